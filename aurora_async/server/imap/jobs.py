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
from typing import Any

import attrs
from aiohttp import web

from aurora_async.errors import InvalidInput
from aurora_async.imap.filenames import ScienceName, Version, compact
from aurora_async.server.imap.answers import Caller, Refusal, day_of, json_answer, parameters, refusal, text_answer
from aurora_async.server.imap.catalog import Catalog, Condition, all_of, enter_new
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.listing import FileRow
from aurora_async.server.imap.published import PublishedFile
from aurora_async.server.site import FATE, JSON, Fate
from aurora_async.server.store import Store

__all__ = ["JobRoutes"]

_SHOWN = 100
"""Jobs that are listed when nothing is asked for in particular, the newest first."""
_FILTERS = ("instrument", "data_level", "descriptor")
_STORED = (
    *("instrument", "data_level", "descriptor", "start_date", "repointing", "major_version"),
    *("minor_version", "dependency_hash", "job_log_stream_id", "container_command", "started_us", "stops_us", "error"),
)
_COLUMNS = (
    *("status", "instrument", "data_level", "descriptor", "start_date", "major_version", "minor_version"),
    *("repointing", "dependency_hash", "job_definition", "job_log_stream_id", "container_image"),
    *("container_image_digest", "container_command", "started_at", "stopped_at"),
)


def _moment(column: str) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%f+00:00', {column} / 1e6, 'unixepoch')"


_MADE = {
    "status": "CASE WHEN NOT is_over THEN 'INPROGRESS' WHEN error IS NULL THEN 'SUCCEEDED' ELSE 'FAILED' END",
    "start_date": "substr(start_date, 1, 4)||'-'||substr(start_date, 5, 2)||'-'||substr(start_date, 7)||'T00:00:00'",
    "job_definition": "'local-'||instrument||'-'||data_level",
    "container_image": "'local/made-up'",
    "container_image_digest": "NULL",
    "started_at": _moment("started_us"),
    "stopped_at": f"CASE WHEN is_over THEN {_moment('stops_us')} END",
}
"""In SQL, what is shown of a job that is stored otherwise."""
_JOBS = (
    f"SELECT number, error, {', '.join(f'{_MADE.get(column, column)} AS {column}' for column in _COLUMNS)}"
    " FROM (SELECT *, coalesce(stops_us <= ?, 0) AS is_over FROM imap_jobs)"
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
            columns, places = ", ".join(_STORED), ", ".join("?" * len(_STORED))
            connection.executemany(f"INSERT INTO imap_jobs ({columns}) VALUES ({places})", jobs)
            if stops_us is not None and fate.fails_with is None:
                enter_new(connection, files)

        await self._store.apply(change)

    # Asking about them ----------------------------------------------------------------------------------------------

    async def _jobs(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        wanted = parameters(request)
        for name in wanted:
            if name not in _COLUMNS:
                raise refusal(400, {"error": f"Invalid parameter: {name}"})
        if "start_date" in wanted:
            try:
                wanted["start_date"] = f"{day_of(wanted['start_date']).isoformat()}T00:00:00"
            except Refusal:
                message = "Invalid date format for start_date. Expected YYYYMMDD."
                raise refusal(400, {"error": message}) from None
        where, values = all_of([("1", ()), *((f"CAST({name} AS TEXT) = ?", (text,)) for name, text in wanted.items())])
        row = ", ".join(f"'{column}', {column}" for column in _COLUMNS)
        sql = f"SELECT json_object({row}) FROM ({_JOBS}) WHERE {where} ORDER BY number DESC LIMIT ?"
        found = await self._read(sql, *values, -1 if wanted else _SHOWN)
        return web.Response(body=f"[{','.join(job for (job,) in found)}]".encode(), content_type=JSON)

    async def _log(self, request: web.BaseRequest, caller: Caller, _: str) -> web.StreamResponse:
        if not request.query_string:
            return text_answer("No query parameters were given.", 400)
        stream = parameters(request).get("job_log_stream_id")
        if not stream:
            raise refusal(400, {"error": "job_log_stream_id is required."})
        columns = "status, container_command, started_at, stopped_at, error"
        for row in await self._read(f"SELECT {columns} FROM ({_JOBS}) WHERE job_log_stream_id = ?", stream):
            return text_answer(_log_text(*row))
        raise refusal(500, {"error": f"Could not fetch logs: there is no log stream {stream}"})

    async def _read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query about `_JOBS` as they stand now."""
        return await asyncio.to_thread(self._store.read_long, sql, (time.time_ns() // 1000, *values))


def _job(reprocess_id: str, name: ScienceName, course: tuple[int, int | None, str | None]) -> tuple[Any, ...]:
    command = f"--instrument {name.instrument} --data-level {name.data_level} --descriptor {name.descriptor}"
    digest = hashlib.sha256(f"{reprocess_id} {name}".encode()).hexdigest()
    return (
        *(name.instrument, name.data_level, name.descriptor, compact(name.start_date), name.repointing),
        *(name.version.major, name.version.minor, digest[:32], f"local/{name.instrument}/{digest[32:]}"),
        *(f"imap_cli {command} --start-date {compact(name.start_date)} --version {name.version}", *course),
    )


def _log_text(status: str, command: str, started_at: str, stopped_at: str | None, error: str | None) -> str:
    lines: list[tuple[str | None, str]] = [
        (started_at, f"INFO: {command}"),
        (started_at, "INFO: a local stand-in: nothing is computed, the product will be made up"),
    ]
    match status:
        case "SUCCEEDED":
            lines.append((stopped_at, "INFO: done"))
        case "FAILED":
            lines.append((stopped_at, f"ERROR: {error}"))
    return "".join(f"{moment} {line}\n" for moment, line in lines)
