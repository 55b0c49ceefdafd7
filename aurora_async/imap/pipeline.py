"""The service's own pipeline: what it is making, what it said meanwhile, and asking it to make something anew."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any
from urllib.parse import quote

from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.http import Session
from aurora_async.imap._asking import ask
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.filenames import compact
from aurora_async.imap.models import ProcessingJob, Reprocessing
from aurora_async.imap.query import FileQuery
from aurora_async.imap.wire import decode_jobs, decode_reprocessing
from aurora_async.times import TimeLike

__all__ = ["JOB_STATUSES", "find_jobs", "read_log", "reprocess_files"]

JOB_STATUSES = ("INPROGRESS", "SUCCEEDED", "FAILED")


async def reprocess_files(
    session: Session,
    config: ImapConfig,
    start_date: TimeLike,
    end_date: TimeLike,
    *,
    instrument: str | None = None,
    data_level: str | None = None,
    descriptor: str | None = None,
) -> Reprocessing:
    """Ask for files to be made anew; see `Imap.reprocess`."""
    for field, value in (("start_date", start_date), ("end_date", end_date)):
        if not value:
            raise InvalidInput(field, "is missing: give the first and the last day")
    if data_level is not None and (instrument is None or descriptor is None):
        raise InvalidInput("data_level", "wants an instrument and a descriptor beside it")
    if descriptor is not None and instrument is None:
        raise InvalidInput("descriptor", "wants an instrument beside it")
    query = FileQuery(
        start_date=start_date, end_date=end_date, instrument=instrument, data_level=data_level, descriptor=descriptor
    )
    params = _params(query, ("start_date", "end_date", "instrument", "data_level", "descriptor"))
    params["reprocessing"] = "True"
    return decode_reprocessing(await ask(session, config, "reprocess", params, method="POST"))


async def find_jobs(
    session: Session,
    config: ImapConfig,
    *,
    status: str | None = None,
    instrument: str | None = None,
    data_level: str | None = None,
    descriptor: str | None = None,
    start_date: TimeLike | None = None,
    repointing: int | str | None = None,
    major_version: int | None = None,
    minor_version: int | None = None,
) -> list[ProcessingJob]:
    """Return the jobs that match; see `Imap.processing_jobs`."""
    if status is not None and status not in JOB_STATUSES:
        raise InvalidQuery("status", f"{status!r} is not one of {', '.join(JOB_STATUSES)}")
    filters: dict[str, Any] = {
        "instrument": instrument,
        "data_level": data_level,
        "descriptor": descriptor,
        "start_date": start_date,
        "repointing": repointing,
        "major_version": major_version,
        "minor_version": minor_version,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    params = {} if status is None else {"status": status}
    if given:
        # The words are the same, and so is what is wrong with them.
        params |= _params(FileQuery(**given), given)
    return decode_jobs(await ask(session, config, "processing-jobs", params))


def _params(query: FileQuery, names: Iterable[str]) -> dict[str, str]:
    given = ((name, getattr(query, name)) for name in names)
    return {
        name: compact(value) if isinstance(value, date) else str(value) for name, value in given if value is not None
    }


async def read_log(session: Session, config: ImapConfig, job: ProcessingJob | str) -> str:
    """Return the log of a job; see `Imap.processing_log`."""
    stream = job.stream if isinstance(job, ProcessingJob) else job
    if not isinstance(stream, str) or not stream or not stream.isprintable():
        raise InvalidInput("job", f"{job!r} has no log stream" if stream is None else f"{stream!r} names no log stream")
    path = f"processing-logs/{quote(stream.rpartition('/')[2] or stream, safe='')}"
    answer = await ask(session, config, path, {"job_log_stream_id": stream}, lane="body")
    return answer.body.decode(errors="replace")
