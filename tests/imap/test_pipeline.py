"""What the service is making, and asking it to make something anew."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from aurora_async.errors import InvalidInput, ServerError
from aurora_async.imap import Imap, NotOffered, ProcessingJob
from aurora_async.testing import FaultScript, LocalServer


async def test_reprocessing_gets_the_number_of_its_request(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """Which the official client throws away."""
    noted = await imap_client.reprocess("2026-01-01", "20260102", "mag", "l2", "norm-dsrf")
    assert noted.id
    (seen,) = aurora_faults.requests("*/reprocess", method="POST")
    assert dict(parse_qsl(urlsplit(seen.path).query)) == {
        "start_date": "20260101",
        "end_date": "20260102",
        "instrument": "mag",
        "data_level": "l2",
        "descriptor": "norm-dsrf",
        "reprocessing": "True",
    }


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("", "20260102"), "start_date: is missing"),
        (("20260102", "20260101"), "end_date: 2026-01-01 is before start_date"),
        (("20260101", "20260102", "mag", "l2"), "data_level: wants an instrument and a descriptor"),
        (("20260101", "20260102", None, None, "hist"), "descriptor: wants an instrument"),
        (("20260101", "20260102", "moon"), "instrument: 'moon' is not one of codice"),
    ],
)
async def test_reprocessing_that_cannot_be_right_is_not_asked_for(
    imap_client: Imap, aurora_faults: FaultScript, arguments: tuple[Any, ...], refusal: str
) -> None:
    """The service checks nothing: it would be queued."""
    with pytest.raises(InvalidInput) as error:
        await imap_client.reprocess(*arguments)
    assert str(error.value).startswith(refusal)
    assert not aurora_faults.requests("*/reprocess")


async def test_reprocessing_is_never_asked_for_twice(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """After an answer that failed nobody knows whether it is queued."""
    aurora_faults.status(502, "*/reprocess")
    with pytest.raises(ServerError):
        await imap_client.reprocess("20260101", "20260102")
    assert len(aurora_faults.requests("*/reprocess")) == 1


async def test_without_a_key_there_is_no_reprocessing(aurora_server: LocalServer) -> None:
    """The service says 404; the error says what is missing."""
    async with Imap(base_url=aurora_server.imap_url) as imap:
        with pytest.raises(NotOffered, match=r"answered 404 .*an API key \(api_key=, --api-key or IMAP_API_KEY\)"):
            await imap.reprocess("20260101", "20260102")


async def test_jobs_are_told_by_what_they_make(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """Filters are those of the catalogue, and as strict."""
    await imap_client.reprocess("20260101", "20260102")
    one = (await imap_client.processing_jobs())[0]
    same = await imap_client.processing_jobs(
        instrument=one.instrument, data_level=one.data_level, start_date=one.start_date
    )
    assert one.stream in [job.stream for job in same]
    assert all(job.instrument == one.instrument for job in same)
    sent = aurora_faults.requests("*/processing-jobs")[-1]
    assert f"&start_date={one.start_date:%Y%m%d}" in sent.path
    assert all(job.status == "FAILED" for job in await imap_client.processing_jobs(status="FAILED"))
    with pytest.raises(InvalidInput, match="status: 'DONE' is not one of INPROGRESS, SUCCEEDED, FAILED"):
        await imap_client.processing_jobs(status="DONE")
    with pytest.raises(InvalidInput, match="instrument: 'moon' is not one of"):
        await imap_client.processing_jobs(instrument="moon")


async def test_the_log_of_a_job_is_text(imap_client: Imap) -> None:
    """By the job, or by the name of its stream alone."""
    await imap_client.reprocess("20260101", "20260102")
    job = next(job for job in await imap_client.processing_jobs() if job.stream is not None)
    log = await imap_client.processing_log(job)
    assert job.instrument in log
    assert isinstance(job.stream, str)
    assert await imap_client.processing_log(job.stream)
    new = ProcessingJob(
        status="INPROGRESS", instrument="mag", data_level="l2", descriptor="x", start_date=job.start_date
    )
    with pytest.raises(InvalidInput, match="has no log stream"):
        await imap_client.processing_log(new)
