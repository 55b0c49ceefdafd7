"""The searches of the service: accepted, run, held, cancelled, forgotten; and what their status says.

A search has ended for everybody at its `completed_us`, which may lie ahead (`server_time_s`): the end is computed and
committed as soon as possible and shown when its time has come, so that no timer and no crash can move it.

How an unsuccessful end looks is chosen for PyAuroraX, whose wait loops end only when `data_uri` is set (`search`) or
`error_condition` is true (`cancel`): a failed or cancelled search has both, its last log line is the reason, and the
data answers with an error document.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import msgspec

from aurora_async.aurorax.models import Query
from aurora_async.aurorax.wire import KINDS, Kind, decode_query
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.logs import (
    REQUEST_TYPES,
    cancelled_line,
    conjunction_end_lines,
    failed_line,
    status_timestamp,
)
from aurora_async.server.aurorax.searching import DaysTask, Outcome, SearchTask, batched
from aurora_async.server.days import DayCache
from aurora_async.server.jobs import Job, Jobs, TaskCancelled
from aurora_async.server.site import Fate
from aurora_async.server.store import SearchRow, Store

__all__ = ["End", "Search", "Searches", "now_us", "timestamp_from_us"]

logger = logging.getLogger(__name__)

_DAYS_AT_ONCE = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RESTARTED = "The service was restarted while this search was running; starting it again"

Plan = Callable[[Query, Mapping[str, Any], str, Path], SearchTask]
"""Makes the task of a query: the query, its normal form, the identifier, where the result goes."""


def now_us() -> int:
    """Return microseconds since 1970."""
    return time.time_ns() // 1000


@lru_cache(maxsize=1024)
def _whole_second(seconds: int) -> str:
    return status_timestamp(_EPOCH + timedelta(seconds=seconds))


def timestamp_from_us(moment_us: int) -> str:
    """Write microseconds since 1970 as statuses do."""
    # The lines of a log, and of a thousand logs at a time, share their seconds.
    seconds, fraction = divmod(moment_us, 1_000_000)
    return f"{_whole_second(seconds)}.{fraction:06}".rstrip("0") if fraction else _whole_second(seconds)


@attrs.frozen(kw_only=True)
class End:
    """How a search ended."""

    completed_us: int
    error_condition: bool
    result_count: int
    file_size: int
    query_duration: int


Line = tuple[str, str, int]
"""A line of a log: level, text, microseconds since 1970."""


class Search:
    """One search as the service knows it at the moment."""

    __slots__ = (
        "_body", "_body_is_final", "deleted_us", "end", "fate", "ip_address", "is_cancelled", "job", "kind", "lines",
        "owner", "preparation", "query", "request_id", "requested_us",
    )  # fmt: skip

    def __init__(
        self, request_id: str, kind: Kind, query: bytes, requested_us: int, owner: str | None, ip_address: str
    ) -> None:
        self.request_id = request_id
        self.kind = kind
        self.query = query
        """The query in normal form, JSON."""
        self.requested_us = requested_us
        self.owner = owner
        self.ip_address = ip_address
        self.lines: list[Line] = []
        self.end: End | None = None
        self.deleted_us: int | None = None
        self.is_cancelled = False
        self.fate = Fate()
        self.job: Job[Outcome] | None = None
        self.preparation: asyncio.Task[None] | None = None
        self._body: bytes | None = None
        self._body_is_final = False

    @classmethod
    def from_row(cls, row: SearchRow) -> Search:
        """Remember a stored search."""
        search = cls(row.request_id, KINDS[row.kind], row.query.encode(), row.requested_us, row.owner, row.ip_address)
        search.lines = [(level, text, at_us) for level, text, at_us in msgspec.json.decode(row.logs)]
        search.deleted_us = row.deleted_us
        if row.completed_us is not None:
            search.end = End(
                completed_us=row.completed_us,
                error_condition=row.error_condition,
                result_count=row.result_count or 0,
                file_size=row.file_size or 0,
                query_duration=row.query_duration or 0,
            )
        return search

    def as_row(self) -> SearchRow:
        """Return what is stored of a search that has just arrived."""
        return SearchRow(
            request_id=self.request_id,
            kind=self.kind.name,
            query=self.query.decode(),
            requested_us=self.requested_us,
            owner=self.owner,
            ip_address=self.ip_address,
            logs=msgspec.json.encode(self.lines).decode(),
        )

    @property
    def data_uri(self) -> str:
        """The path of its data."""
        return f"{self.kind.path}/requests/{self.request_id}/data"

    @property
    def is_over(self) -> bool:
        """True from `completed_us` on."""
        return self.end is not None and self.end.completed_us <= now_us()

    def log(self, level: str, text: str, at_us: int | None = None) -> None:
        """Add a line to the log."""
        self.lines.append((level, text, now_us() if at_us is None else at_us))
        self.changed()

    def changed(self) -> None:
        """Have the status written anew when it is next asked for."""
        self._body = None

    def status(self) -> bytes:
        """Return the status document."""
        over = self.is_over
        if self._body is None or self._body_is_final is not over:
            self._body, self._body_is_final = self._write_status(over), over
        return self._body

    def _write_status(self, over: bool) -> bytes:
        end = self.end if over else None
        deleted = None if self.deleted_us is None or not over else timestamp_from_us(self.deleted_us)
        # The last lines of a search that is held back carry the time at which it will be over.
        until_us = now_us()
        logs = [
            {"level": level, "summary": text, "timestamp": timestamp_from_us(at_us)}
            for level, text, at_us in self.lines
            if over or at_us <= until_us
        ]
        return msgspec.json.encode(
            {
                "search_request": {
                    "request_id": self.request_id,
                    "query": msgspec.Raw(self.query),
                    "requested": timestamp_from_us(self.requested_us),
                    "request_type": REQUEST_TYPES[self.kind.name],
                },
                "logs": logs,
                "search_result": {
                    "data_uri": None if end is None else self.data_uri,
                    "result_count": None if end is None else end.result_count,
                    "file_size": None if end is None else end.file_size,
                    "query_duration": None if end is None else end.query_duration,
                    "completed_timestamp": None if end is None else timestamp_from_us(end.completed_us),
                    "error_condition": end is not None and end.error_condition,
                    "result_file_deleted_timestamp": deleted,
                },
            }
        )


class Searches:
    """All searches: those that run in memory, the others in the store, the last used of these in memory too.

    Args:
        store: Where they are kept; borrowed.
        jobs: Who runs them; borrowed.
        folder: Where the result files are.
        server_time_s: A search is over this long after it arrived, or when it is done, whichever is later.
        plan: Makes the task of a search.
        remembered: How many finished ones are kept in memory.
    """

    def __init__(
        self, store: Store, jobs: Jobs, folder: Path, *, server_time_s: float, plan: Plan, remembered: int = 20_000
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._folder = folder
        self._server_time_us = round(server_time_s * 1e6)
        self._closed = False
        self._plan = plan
        self._remembered = remembered
        self._days = DayCache(jobs.days_folder)
        self._preparing: set[asyncio.Task[None]] = set()
        self._coming = 0
        self._random = random.Random()
        self._unfinished: dict[str, Search] = {}
        self._finished: OrderedDict[str, Search] = OrderedDict()

    async def close(self) -> None:
        """Stop what is being prepared; what runs is stopped by the jobs' owner, and resumed by the next service."""
        self._closed = True
        for preparation in self._preparing:
            preparation.cancel()
        await asyncio.gather(*self._preparing, return_exceptions=True)

    def resume(self) -> None:
        """Run again what a former service has accepted and not finished, and sweep up what it was writing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for part in self._folder.glob(".*.part"):
            part.unlink(missing_ok=True)
        for result in self._folder.glob("??/*.json"):  # where earlier versions had them
            result.rename(self._folder / result.name)
        for row in self._store.unfinished_searches():
            search = Search.from_row(row)
            search.log("info", RESTARTED)
            self._unfinished[search.request_id] = search
            try:
                document = msgspec.json.decode(search.query)
                query = decode_query(document, search.kind)
            except InvalidQuery as error:  # an older version took it
                self._fail(search, str(error))
            else:
                self._start(search, query, document)

    def result_path(self, request_id: str) -> Path:
        """Where the result of a search is, or will be."""
        return Path(f"{self._folder}/{request_id}.json")

    async def submit(
        self,
        kind: Kind,
        query: Query,
        document: Mapping[str, Any],
        *,
        request_id: str | None,
        owner: str | None,
        ip_address: str,
        fate: Fate,
    ) -> Search:
        """Accept a search (`document` is the query in normal form): when this returns, it will not be forgotten.

        Its fate is: a service that is started again knows nothing of it.

        Raises:
            Duplicate: The identifier is taken.
            QueueFull: Too many searches are waiting.
        """
        self.check_room()
        normal = msgspec.json.encode(document)
        search = Search(request_id or self._new_identifier(), kind, normal, now_us(), owner, ip_address)
        search.fate = fate
        search.log("debug", "Search request arrived and saved")
        self._coming += 1
        try:
            await self._store.add_search(search.as_row())
        except BaseException:
            self._coming -= 1
            raise
        self._unfinished[search.request_id] = search
        if self._server_time_us:
            # A service that takes its time takes it in a queue as well: a burst is accepted before it is worked on.
            wait_s = self._server_time_us / 4e6
            asyncio.get_running_loop().call_later(wait_s, self._start_later, search, query, document)
        else:
            self._coming -= 1
            self._start(search, query, document)
        return search

    def check_room(self) -> None:
        """Refuse a search that would have to wait behind too many others.

        Raises:
            QueueFull: Too many are waiting.
        """
        # A burst is in no queue yet: those of it that are being committed, held back or prepared count as well.
        self._jobs.check_room(self._coming + len(self._preparing))

    def _new_identifier(self) -> str:
        # No secret: the system's random numbers would let go of the interpreter, and wait for it, at each search.
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    async def get(self, request_id: str) -> Search | None:
        """Return a search, or None."""
        search = self.in_memory(request_id)
        if search is None and (row := await asyncio.to_thread(self._store.search, request_id)) is not None:
            # While the thread was reading, it may have been deleted or remembered by somebody else.
            search = self.in_memory(request_id) or self._remember(Search.from_row(row))
        return search

    def in_memory(self, request_id: str) -> Search | None:
        """Return a search that can be had without reading the store."""
        return self._unfinished.get(request_id) or self._finished.get(request_id)

    def _remember(self, search: Search) -> Search:
        self._finished[search.request_id] = search
        while len(self._finished) > self._remembered:
            self._finished.popitem(last=False)
        return search

    # Running --------------------------------------------------------------------------------------------------------

    def _start_later(self, search: Search, query: Query, document: Mapping[str, Any]) -> None:
        self._coming -= 1
        if not (self._closed or search.is_cancelled or search.end is not None):
            self._start(search, query, document)

    def _start(self, search: Search, query: Query, document: Mapping[str, Any]) -> None:
        if search.fate.never_ends:
            return
        if search.fate.fails_with is not None:
            self._fail(search, search.fate.fails_with)
            return
        try:
            task = self._plan(query, document, search.request_id, self.result_path(search.request_id))
        except Exception as error:  # accepted is accepted: it must end, whatever is wrong with it
            logger.exception("search %s cannot be planned", search.request_id)
            self._fail(search, str(error))
            return
        if task.is_small:
            self._run(search, task)
            return
        # Not in a task group: it belongs to the search, which outlives the POST; `close` ends it.
        search.preparation = asyncio.get_running_loop().create_task(self._prepare(search, task))
        self._preparing.add(search.preparation)
        search.preparation.add_done_callback(self._preparing.discard)

    async def _prepare(self, search: Search, task: SearchTask) -> None:
        """Have the days that a long search needs computed by all processes at once, then run it."""
        try:
            missing = await asyncio.to_thread(task.missing_days, self._days)
        except OSError as error:
            self._fail(search, f"the computed days cannot be read: {error}")
            return
        days = [
            DaysTask(identifier=identifier, days=tuple(some), north=north, south=south)
            for (identifier, north, south), all_days in missing.items()
            for some in batched(all_days, _DAYS_AT_ONCE)
        ]
        ahead = [self._jobs.submit(some, owner=search.request_id, small=False) for some in days]
        try:
            # A day that cannot be computed fails the search itself, which says so.
            await asyncio.gather(*(job.result for job in ahead), return_exceptions=True)
        finally:
            for job in ahead:
                self._jobs.cancel(job)
        self._run(search, task)

    def _run(self, search: Search, task: SearchTask) -> None:
        def report(at_s: float, level: str, text: str) -> None:
            search.log(level, text, round(at_s * 1e6))

        search.job = self._jobs.submit(
            task,
            # Long searches take turns one by one: who starts a year's must not wait for it with a week's.
            owner=(search.owner or search.ip_address) if task.is_small else search.request_id,
            small=task.is_small,
            on_report=report,
            on_wasted=lambda: self._remove_file(search.request_id),
        )
        search.job.result.add_done_callback(lambda result: self._ended(search, result))

    def _ended(self, search: Search, result: asyncio.Future[Outcome]) -> None:
        """Write down how a search ended, and show it when that is committed."""
        # A search that is cancelled in the very moment in which its job ends is cancelled.
        if search.is_cancelled or search.end is not None or search.request_id not in self._unfinished:
            return
        if result.cancelled():
            return
        error = result.exception()
        if isinstance(error, TaskCancelled):
            return  # whoever cancelled it has written that down, or the service is stopping
        if error is not None:
            self._fail(search, str(error))
            return
        outcome = result.result()
        completed_us = max(now_us(), search.requested_us + self._server_time_us)
        seconds = (completed_us - search.requested_us) / 1e6
        search.lines += [
            (level, text, completed_us)
            for level, text in conjunction_end_lines(outcome.file_size, seconds, outcome.result_count)[2:]
        ]
        end = End(
            completed_us=completed_us,
            error_condition=False,
            result_count=max(0, outcome.result_count + search.fate.count_off),
            file_size=outcome.file_size,
            query_duration=round(seconds * 1000),
        )
        if search.fate.expires:
            self._remove_file(search.request_id)
            search.deleted_us = completed_us
            self._store.mark_deleted(search.request_id, completed_us)
        self._finish(search, end)

    def _fail(self, search: Search, reason: str) -> None:
        completed_us = max(now_us(), search.requested_us + self._server_time_us)
        search.log(*failed_line(reason), completed_us)
        self._finish(search, self._bad_end(search, completed_us))

    def _stop(self, search: Search) -> None:
        if search.preparation is not None:
            search.preparation.cancel()
        if search.job is not None:
            self._jobs.cancel(search.job)

    @staticmethod
    def _bad_end(search: Search, completed_us: int) -> End:
        duration = (completed_us - search.requested_us) // 1000
        return End(
            completed_us=completed_us, error_condition=True, result_count=0, file_size=0, query_duration=duration
        )

    def _finish(self, search: Search, end: End) -> asyncio.Future[Any]:
        committed = self._store.finish_search(
            search.request_id,
            logs=msgspec.json.encode(search.lines).decode(),
            completed_us=end.completed_us,
            error_condition=end.error_condition,
            result_count=end.result_count,
            file_size=end.file_size,
            query_duration=end.query_duration,
        )

        def show(_: object) -> None:
            if search.end is None or end.error_condition:
                search.end = end
            search.job = None
            search.changed()
            if self._unfinished.pop(search.request_id, None) is not None:
                self._remember(search)

        committed.add_done_callback(show)
        return committed

    # Stopping and deleting ------------------------------------------------------------------------------------------

    async def cancel(self, search: Search) -> None:
        """End a search that is not over yet, at once."""
        search.is_cancelled = True
        self._stop(search)
        end = self._bad_end(search, now_us())
        search.lines = [line for line in search.lines if line[2] <= end.completed_us]
        search.log(*cancelled_line(), end.completed_us)
        await self._finish(search, end)
        self._remove_file(search.request_id)

    async def delete_result(self, search: Search) -> None:
        """Delete the result file of a search that is over; no harm when it is gone."""
        self._remove_file(search.request_id)
        if search.deleted_us is None:
            search.deleted_us = now_us()
            search.changed()
            await self._store.mark_deleted(search.request_id, search.deleted_us)

    async def forget(self, request_id: str) -> bool:
        """Remove a search and its data altogether; False when there is none."""
        search = await self.get(request_id)
        if search is None:
            return False
        self._stop(search)
        self._unfinished.pop(request_id, None)
        self._finished.pop(request_id, None)
        await self._store.forget_search(request_id)
        self._remove_file(request_id)
        return True

    def _remove_file(self, request_id: str) -> None:
        self.result_path(request_id).unlink(missing_ok=True)

    # Listing --------------------------------------------------------------------------------------------------------

    async def listing(self, start_us: int, end_us: int) -> Iterable[Search]:
        """Return the searches that arrived between two instants, oldest first."""
        rows = await asyncio.to_thread(self._store.searches_between, start_us, end_us)
        return [self.in_memory(row.request_id) or Search.from_row(row) for row in rows]
