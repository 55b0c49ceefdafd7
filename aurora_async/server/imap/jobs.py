"""`/reprocess`, and what becomes of it: `/processing-jobs` and `/processing-logs`.

The answer to a reprocessing knows no job yet. Here each newest file of the range is made again, as its next version, by
a job that takes a fixed time; how it stands follows from the clock alone, so that a restart loses none.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from aiohttp import web

from aurora_async.errors import InvalidInput
from aurora_async.imap.filenames import ScienceName, Version
from aurora_async.server.imap.answers import Caller, Refusal, day_of, json_answer, parameters, refusal, text_answer
from aurora_async.server.imap.catalog import Catalog, Condition, enter_new
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.listing import FileRow, compact
from aurora_async.server.imap.published import PublishedFile
from aurora_async.server.site import FATE, Fate
from aurora_async.server.store import Store

__all__ = ["JobRoutes"]

_SHOWN = 100
"""Jobs that are listed when nothing is asked for in particular, the newest first."""
_FILTERS = ("instrument", "data_level", "descriptor")
_STORED = (
    *("number", "instrument", "data_level", "descriptor", "start_date", "repointing", "major_version"),
    *("minor_version", "dependency_hash", "job_log_stream_id", "container_command", "started_us", "stops_us", "error"),
)
_COLUMNS = (
    *("status", "instrument", "data_level", "descriptor", "start_date", "major_version", "minor_version"),
    *("repointing", "dependency_hash", "job_definition", "job_log_stream_id", "container_image"),
    *("container_image_digest", "container_command", "started_at", "stopped_at"),
)


class JobRoutes:
    """Reprocessing, its jobs and their logs."""

    def __init__(self, store: Store, catalog: Catalog, *, job_s: float) -> None:
        self._store = store
        self._catalog = catalog
        self._job_us = round(job_s * 1e6)

    def add_to(self, gateway: Gateway) -> None:
        """Answer what asks for them."""
        gateway.add("POST", "/reprocess", self._reprocess, "reprocess")
        gateway.add("GET", "/processing-jobs", self._jobs)
        gateway.add("GET", "/processing-logs/{…}", self._log)

    # Asking for them ------------------------------------------------------------------------------------------------

    async def _reprocess(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        reprocess_id = str(uuid.uuid4())
        names = await asyncio.to_thread(self._next_versions, parameters(request))
        await self._start(reprocess_id, names, request.get(FATE, Fate()))
        return json_answer({"message": "Reprocess job queued", "reprocess_id": reprocess_id})

    def _next_versions(self, given: dict[str, str]) -> list[ScienceName]:
        """Return the files that a reprocessing makes: of levels above the packets themselves."""
        try:
            first, last = (compact(day_of(given.get(name, ""))) for name in ("start_date", "end_date"))
        except Refusal:
            return []  # what is queued is not looked at: whoever asks learns nothing of it
        conditions: list[Condition] = [("start_date BETWEEN ? AND ?", (first, last)), ("data_level != 'l0'", ())]
        conditions += [(f"{name} = ?", (given[name],)) for name in _FILTERS if given.get(name)]
        names = []
        for key in self._catalog.newest_science(conditions):
            name = ScienceName.parse(key)
            try:
                following = Version(name.version.major, name.version.minor + 1)
            except InvalidInput:
                continue  # it was the last one
            names.append(attrs.evolve(name, version=following))
        return names

    async def _start(self, reprocess_id: str, names: Sequence[ScienceName], fate: Fate) -> None:
        started_us = time.time_ns() // 1000
        stops_us = None if fate.never_ends else started_us + self._job_us
        jobs = [_job(reprocess_id, name, (started_us, stops_us, fate.fails_with)) for name in names]
        # They are there from when their jobs are over: in whole seconds, so a little earlier rather than later.
        made_s = (stops_us or 0) // 1_000_000
        files = [PublishedFile(FileRow.of(name, made_s)) for name in names]

        def change(connection: sqlite3.Connection) -> None:
            columns, places = ", ".join(_STORED[1:]), ", ".join("?" * (len(_STORED) - 1))
            connection.executemany(f"INSERT INTO imap_jobs ({columns}) VALUES ({places})", jobs)
            if stops_us is not None and fate.fails_with is None:
                enter_new(connection, files)

        await self._store.apply(change)

    # Asking about them ----------------------------------------------------------------------------------------------

    async def _jobs(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        wanted: dict[str, Any] = dict(parameters(request))
        for name in wanted:
            if name not in _COLUMNS:
                raise refusal(400, {"error": f"Invalid parameter: {name}"})
        if "start_date" in wanted:
            try:
                wanted["start_date"] = f"{day_of(wanted['start_date']).isoformat()}T00:00:00"
            except Refusal:
                message = "Invalid date format for start_date. Expected YYYYMMDD."
                raise refusal(400, {"error": message}) from None
        sql = f"SELECT {', '.join(_STORED)} FROM imap_jobs ORDER BY number DESC"
        rows = await asyncio.to_thread(self._store.read, sql if wanted else f"{sql} LIMIT {_SHOWN}")
        shown = [_as_shown(dict(zip(_STORED, row, strict=True))) for row in rows]
        matching = [job for job in shown if all(str(job[name]) == str(value) for name, value in wanted.items())]
        return json_answer(matching)

    async def _log(self, request: web.BaseRequest, caller: Caller, _: str) -> web.StreamResponse:
        if not request.query_string:
            return text_answer("No query parameters were given.", 400)
        stream = parameters(request).get("job_log_stream_id")
        if not stream:
            raise refusal(400, {"error": "job_log_stream_id is required."})
        sql = f"SELECT {', '.join(_STORED)} FROM imap_jobs WHERE job_log_stream_id = ?"
        for row in self._store.read(sql, (stream,)):
            return text_answer(_log_text(dict(zip(_STORED, row, strict=True))))
        raise refusal(500, {"error": f"Could not fetch logs: there is no log stream {stream}"})


def _job(reprocess_id: str, name: ScienceName, course: tuple[int, int | None, str | None]) -> tuple[Any, ...]:
    command = f"--instrument {name.instrument} --data-level {name.data_level} --descriptor {name.descriptor}"
    digest = hashlib.sha256(f"{reprocess_id} {name}".encode()).hexdigest()
    return (
        *(name.instrument, name.data_level, name.descriptor, compact(name.start_date), name.repointing),
        *(name.version.major, name.version.minor, digest[:32], f"local/{name.instrument}/{digest[32:]}"),
        *(f"imap_cli {command} --start-date {compact(name.start_date)} --version {name.version}", *course),
    )


def _as_shown(job: dict[str, Any]) -> dict[str, Any]:
    day = datetime.strptime(job["start_date"], "%Y%m%d")
    job |= {
        "status": _status(job),
        "start_date": day.isoformat(),
        "job_definition": f"local-{job['instrument']}-{job['data_level']}",
        "container_image": "local/made-up",
        "container_image_digest": None,
        "started_at": _moment(job["started_us"]),
        "stopped_at": None if _status(job) == "INPROGRESS" else _moment(job["stops_us"]),
    }
    return {column: job[column] for column in _COLUMNS}


def _status(job: dict[str, Any]) -> str:
    if job["stops_us"] is None or time.time_ns() // 1000 < job["stops_us"]:
        return "INPROGRESS"
    return "SUCCEEDED" if job["error"] is None else "FAILED"


def _log_text(job: dict[str, Any]) -> str:
    lines = [
        (job["started_us"], f"INFO: {job['container_command']}"),
        (job["started_us"], "INFO: a local stand-in: nothing is computed, the product will be made up"),
    ]
    match _status(job):
        case "SUCCEEDED":
            lines.append((job["stops_us"], "INFO: done"))
        case "FAILED":
            lines.append((job["stops_us"], f"ERROR: {job['error']}"))
    return "".join(f"{_moment(at_us)} {line}\n" for at_us, line in lines)


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")
