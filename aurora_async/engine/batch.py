"""A batch: many queries whose results become files, and which can be stopped and gone on with at any moment.

What is certain when: the identifier of a request is on the disk before the request is sent; the length and digest of a
file are on the disk before it gets its name. So whoever comes after a crash knows what to ask for instead of sending a
query twice, and which file is whole instead of fetching it twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import anyio
import attrs
from msgspec import structs

from aurora_async.engine.core import Engine
from aurora_async.engine.events import EventKind
from aurora_async.engine.folder import JOURNAL, BatchFolder, BatchStatus, Flaw
from aurora_async.engine.handle import Handle
from aurora_async.engine.journal import Entry, Journal, LeaseLost, Planned, Stage, read_journal
from aurora_async.engine.manager import Run, Work
from aurora_async.engine.places import PROBE, STAGING, LocalPlace, Paths, Place
from aurora_async.engine.protocol import RequestId, RequestStatus, Service
from aurora_async.engine.remote import RemotePlace, is_address
from aurora_async.engine.submission import Placement
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    ConnectionFailed,
    DeadlineExceeded,
    Forbidden,
    IncompleteBody,
    InvalidInput,
    MissingExtra,
    NotFound,
    ResultExpired,
    ServerError,
    TargetNotWritable,
    TooManyRequests,
    TransferStalled,
    TransportError,
    Unauthorized,
)
from aurora_async.transfer import Format, Saved

__all__ = ["Batch", "Collector", "Desk", "Order"]

logger = logging.getLogger(__name__)

# What passes by itself: such a query is left where it is, for the next round or the next run.
_PASSING = (TransportError, ServerError, TooManyRequests, IncompleteBody, TransferStalled, DeadlineExceeded)
# What is wrong with everything: the run ends.
_FATAL = (TargetNotWritable, Unauthorized, Forbidden, MissingExtra)
# What decides what the files hold: the same in every run.
_BINDING = ("service", "format", "response_format", "outputs", "dataset", "lists_files", "file_names")
_ROUNDS = 3
# So many queries in a row for which the service could not be reached say that it is no use to try the others.
_UNREACHABLE_AFTER = 10
_GATEWAY_STATUSES = (502, 503, 504)
_LOOK_AROUND_S = 1.0


@attrs.frozen(kw_only=True)
class Order:
    """What a collector needs to know to turn a finished request into a file; plain data, so that it can travel."""

    kind: str
    request_id: RequestId
    query: Mapping[str, Any]
    target: str
    """Where the file goes: a path, or an address."""
    path: str = ""
    """What the file is called in the end, below the batch's folder."""
    format: Format
    response_format: Mapping[str, Any] | None = None
    status: RequestStatus | None = None
    """What the service said of the request when it had ended; None asks once more."""


Collector = Callable[[Order], Awaitable[Saved]]
"""Writes the result of a finished request to a file that is whole or not there, with its digest."""

Collecting = Callable[[], AbstractAsyncContextManager[Collector]]
"""Opens what a collector needs."""


class Desk(Protocol):
    """What a batch needs of a service's client."""

    @property
    def engine(self) -> Engine:
        """The client's engine."""

    def read(self, kind: str, document: Mapping[str, Any]) -> Any:
        """Return the query that a document asks."""

    def service(self, kind: str) -> Service[Any]:
        """Return the kind of request."""

    def request(self, kind: str, request_id: RequestId, query: Any, *, is_new: bool) -> Handle:
        """Return a handle of a request; `is_new` when it was submitted just now."""

    async def cut(self, query: Planned) -> Planned:
        """Return a query with the windows it has to be cut into, if it has to be."""

    def asked_format(self, entry: Entry) -> Mapping[str, Any] | None:
        """Return the response format in which a query, or a window, asks for its result."""

    async def collect(self, order: Order) -> Saved:
        """Collect here."""

    def remote(self) -> Collecting:
        """Return how another process makes a collector of its own; it can be pickled, and shows no credentials."""

    async def merge(self, order: Order, windows: Sequence[Entry], parts: Sequence[Path]) -> Saved:
        """Merge the results of the windows of a query, JSON Lines as the service sent them, to one file."""

    async def append(self, entry: Entry, windows: Sequence[Entry], file: Path, dataset: Path) -> None:
        """Add the records of a query's file, JSON Lines, to a dataset, in the place of those of an earlier try."""


class Batch:
    """A named set of queries in a folder: `async with client.batch(folder, queries) as batch`, then `batch.run()`.

    Whatever ends a run (a signal, a crash, a full disk), the same batch opened again goes on where it was: no query is
    submitted twice and no finished file is fetched again. Several processes may run it together.
    """

    def __init__(
        self,
        folder: Path | str,
        desk: Desk,
        queries: Iterable[Planned] = (),
        *,
        facts: Mapping[str, Any] | None = None,
        reuse: Iterable[Path | str] = (),
        crew: Callable[[Desk, Place, Collector], AbstractAsyncContextManager[Collector]] | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Made by a client's `batch`.

        `facts` are what may not change between two runs; `format` and `outputs` are among them. `crew` gives who
        collects during a run, such as the workers of a cluster; it is told the collector that does it here.
        """
        self.folder = BatchFolder(folder)
        self._desk = desk
        self._queries = queries
        self._given: dict[str, Any] = json.loads(json.dumps(dict(facts or {})))
        self._facts: dict[str, Any] = {}
        self._reuse = [BatchFolder(one) for one in reuse]
        self._reusable: dict[str, tuple[Path, Entry]] = {}
        self._parts = LocalPlace(self.folder.path)
        self._place: Place = self._parts
        self._storage_options = storage_options
        self._crew = crew
        self._collect: Collector = self._collect_here
        self._helpers = AsyncExitStack()
        self._journal: Journal | None = None
        self._heart: anyio.CancelScope | None = None
        self._run: Run[Entry] | None = None
        self._ending = asyncio.Lock()
        self._is_stopping = False
        self._reset()

    def _reset(self) -> None:
        self._waits: dict[anyio.CancelScope, float] = {}
        self._placements: set[Placement] = set()
        self._news = asyncio.Event()
        self._under_way = 0
        self._parked: deque[tuple[Entry, AuroraError]] = deque()
        self._unreachable = 0
        self._was_reached = False
        self._fatal: AuroraError | None = None

    async def __aenter__(self) -> Self:
        """Open the journal, add the queries that are new, and see what became of the others.

        Raises:
            InvalidInput: The folder cannot be made, or belongs to a batch of other settings.
            TargetNotWritable: Nothing can be written into it.
        """
        path = self.folder.path
        try:
            await anyio.Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput("folder", f"{path} cannot be made: {error.strerror or error}") from error
        journal = self._journal = Journal(path / JOURNAL)
        try:
            self._facts = self._settled(await journal.facts())
            if (outputs := self._facts.get("outputs")) is not None:
                self._place = RemotePlace(outputs, path / STAGING, self._storage_options)
            for one in self._reuse:
                self._reusable |= await asyncio.to_thread(_results, one, self._given)
            added = await journal.plan(await self._new_queries(journal), self._given)
            logger.info("batch %s: %d new queries", path, added)
            await self._look_after_files(journal)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await journal.close()
            raise
        self._heart = anyio.CancelScope()
        self._desk.engine.start(self._beat, "heartbeat of a batch")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._heart is not None:
            self._heart.cancel()
        with anyio.CancelScope(shield=True):
            try:
                await self._end_run()  # which goes on when its iterator was left in the middle
            finally:
                await self._open_journal.close()
                self._journal = None

    # What can be done with it -----------------------------------------------------------------------------------------

    async def run(self, *, at_once: int = 100) -> AsyncGenerator[Entry, None]:
        """Do what is to be done, `at_once` requests at a time, and yield each query or window when it is over.

        A query that fails is an entry with an `error`; the others go on. What could not be done for a reason that
        passes by itself (no connection, a service that is overloaded) is tried again in this run, and then left for the
        next one.

        Raises:
            TargetNotWritable: The disk is full, or the folder cannot be written to.
            Unauthorized, Forbidden: The service lets nobody in with these credentials.
            ConnectionFailed, ServerError: The service cannot be reached: for ten queries in a row, or for all of them.
        """
        _ = self._open_journal
        if self._run is not None:
            raise RuntimeError("this batch is running already")
        self._reset()
        self._is_stopping = False
        ended: dict[int, Entry | None] = {}

        async def work(index: int, entry: Entry, _: Work) -> None:
            ended[index] = await self._work(entry)

        run = self._run = Run(self._to_do(at_once), work, at_once=at_once, start=self._desk.engine.start)
        try:
            await self._place.remove(await self._place.probe())
            if self._crew is not None and not all(stage.is_over for stage in await self._open_journal.counts()):
                crew = self._crew(self._desk, self._place, self._collect_here)
                self._collect = await self._helpers.enter_async_context(crew)
            async for outcome in run:
                entry = ended.pop(outcome.index, None)
                outcome.unwrap()
                if entry is not None:
                    yield entry
        finally:
            with anyio.CancelScope(shield=True):
                await self._end_run()
        if self._fatal is not None:
            raise self._fatal

    async def _end_run(self) -> None:
        """End what is under way, leave the rest to others or to the next run, and write down what came of it."""
        async with self._ending:
            if self._run is None:
                return
            try:
                await self._run.aclose()
                await self._helpers.aclose()
                journal = self._open_journal
                await journal.park({entry.number: str(error) for entry, error in self._parked})
                await journal.let_go()
                await self._tidy_up(journal)
            except TargetNotWritable as error:
                self._fatal = self._fatal or error
            finally:
                self._run = None

    async def finish(self, *, at_once: int = 100) -> BatchStatus:
        """Run to the end, and return what came of it."""
        async with aclosing(self.run(at_once=at_once)) as entries:
            async for _ in entries:
                pass
        return await self.status()

    def stop(self) -> None:
        """Submit nothing more, finish the transfers that are under way, and leave the rest for the next run.

        The requests stay on the service; the next run asks for them. It stops the run that is on: said before one has
        begun, it does not keep that from beginning.
        """
        self._is_stopping = True
        for placement in self._placements:
            placement.is_called_off = True
        for scope, grace_s in self._waits.items():
            scope.deadline = min(scope.deadline, anyio.current_time() + grace_s)
        self._news.set()

    async def retry(self) -> int:
        """Have what failed or was cancelled tried anew by the next `run`; return how many queries that are.

        One of which only windows failed so far is among them.
        """
        return await self._open_journal.again(Stage.FAILED, Stage.CANCELLED)

    async def cancel(self) -> int:
        """Give up what is not over, here and on the service; return how many requests were cancelled there."""
        if self._run is not None:
            self.stop()
        journal, canceller = self._open_journal, self._desk.engine.canceller
        others = await journal.numbers_of_others()
        entries = await journal.cancelled()
        ends = [
            canceller.start(self._desk.service(one.kind), one.request_id or "", sure=one.stage is Stage.SUBMITTED)
            for one in entries
        ]
        for end in ends:
            await end.wait()
        if self._run is None:
            await self._tidy_up(journal, others)
        return len(ends)

    async def status(self) -> BatchStatus:
        """Return how far it is."""
        return await asyncio.to_thread(self.folder.status)

    async def verify(self) -> list[Flaw]:
        """Read every file once more, and return what is wrong with them."""
        return await asyncio.to_thread(self.folder.verify, self._storage_options)

    async def report(self) -> str:
        """Return what came of it, as Markdown."""
        return await asyncio.to_thread(self.folder.report)

    # One query --------------------------------------------------------------------------------------------------------

    async def _work(self, entry: Entry) -> Entry | None:
        """Bring a query to its end; None when there is none yet."""
        job = _Job(entry, anyio.current_time())
        try:
            try:
                await self._bring_to_end(job)
            except (_Parked, LeaseLost, ClientClosed):
                raise
            except AuroraError as error:
                return await self._failed(job, error)
        except (_Parked, LeaseLost):
            return None
        finally:
            self._under_way -= 1
            self._news.set()
        self._unreachable, self._was_reached = 0, True
        return job.entry

    async def _bring_to_end(self, job: _Job) -> None:
        if job.entry.stage is Stage.SAVED and await self._publish(job):
            return
        if await self._adopt(job):
            return
        if job.entry.stage is Stage.SPLIT or _is_merged(job.entry):
            await self._merge(job)
            return
        await self._save(job, await self._collected(job))

    async def _collected(self, job: _Job) -> Saved:
        query = self._desk.read(job.entry.kind, job.entry.query)
        is_old = job.entry.request_id is not None
        while True:
            try:
                return await self._collect_once(job, query, is_old=is_old)
            except (ResultExpired, NotFound) as error:
                if not is_old:
                    raise
                if self._is_stopping:
                    raise _Parked from error
                # An earlier run submitted it, and the service has forgotten it, or its result, since.
                logger.info("query %d is submitted again: %s", job.entry.number, error)
                is_old = False
                job.entry = structs.replace(job.entry, stage=Stage.PLANNED, request_id=None)

    async def _collect_once(self, job: _Job, query: Any, *, is_old: bool) -> Saved:
        known = job.entry.request_id if job.entry.stage in (Stage.SUBMITTED, Stage.SAVED) else None
        request_id = known or await self._place_query(job, query)
        request = self._desk.request(job.entry.kind, request_id, query, is_new=not is_old)
        request.detach()
        with self._parkable():
            status = await request.wait()
        try:
            return await self._collect(self._order(job.entry, request_id, status))
        except AuroraError as error:
            self._emit(EventKind.FAILED, job.entry, request_id, query=query, error=error)
            raise

    async def _collect_here(self, order: Order) -> Saved:
        place = self._place if is_address(order.target) else self._parts
        return await place.filled(order.target, lambda target: self._desk.collect(attrs.evolve(order, target=target)))

    async def _place_query(self, job: _Job, query: Any) -> RequestId:
        """Submit a query, unless an earlier run did; the identifier it has on the service is in the journal then."""
        journal, service = self._open_journal, self._desk.service(job.entry.kind)
        if self._is_stopping:
            raise _Parked
        may_have_arrived = job.entry.stage is Stage.INTENDED
        if not may_have_arrived:
            job.entry = await journal.intend(job.entry, service.new_request_id())
        engine = self._desk.engine
        placement = Placement(service, query, job.entry.request_id, engine.session, engine.room(service))
        self._placements.add(placement)
        try:
            # What is being sent may arrive: a query that was taken is not asked about in the next run.
            with self._parkable(grace_s=engine.config.timeouts.cancel_s):
                request_id = await placement.run(ask_first=may_have_arrived)
        except _Parked:
            raise
        except ClientClosed as error:
            raise (_Parked() if placement.is_called_off else error) from None
        except AuroraError as error:
            job.is_unsure = placement.may_exist
            self._emit(EventKind.FAILED, job.entry, job.entry.request_id or "", query=query, error=error)
            raise
        finally:
            self._placements.discard(placement)
        try:
            job.entry = await journal.submitted(job.entry, request_id)
        except LeaseLost:
            now = await journal.now(job.entry)
            if now.stage is Stage.CANCELLED or now.request_id not in (job.entry.request_id, request_id):
                # Whoever cancelled it may have done so on the service before the query arrived there.
                canceller = self._desk.engine.canceller
                await canceller.start(service, request_id).wait()
            raise
        self._emit(EventKind.SUBMITTED, job.entry, request_id, query=query)
        return request_id

    async def _merge(self, job: _Job) -> None:
        """Merge the results of the windows, when all of them are over."""
        journal, entry = self._open_journal, job.entry
        windows = await journal.entries(parent=entry.number)
        if not all(window.stage.is_over for window in windows):
            await journal.release(entry, Stage.SPLIT)
            raise _Parked
        bad = next((window for window in windows if window.stage is not Stage.DONE), None)
        if bad is not None:
            where = f"its window {bad.query.get('start')} to {bad.query.get('end')}"
            job.entry = await journal.failed(entry, f"{where}: {bad.error or bad.stage.value}")
            return
        lost = [window for window in windows if await self._parts.size(window.path) != window.bytes]
        if lost:
            for window in lost:
                await journal.lost(window)
            await journal.release(entry, Stage.SPLIT)
            raise _Parked
        parts = [Path(self._parts.target(window.path)) for window in windows]
        order = self._order(entry, "")

        async def merge(target: str) -> Saved:
            return await self._desk.merge(attrs.evolve(order, target=target), windows, parts)

        await self._save(job, await self._place.filled(order.target, merge))
        for window in windows:
            await self._parts.remove(window.path)

    async def _save(self, job: _Job, saved: Saved) -> None:
        """Note what was written, then give it its name."""
        job.entry = await self._open_journal.saved(
            job.entry,
            bytes=saved.bytes,
            records=saved.records,
            sha256=saved.sha256,
            seconds=anyio.current_time() - job.started,
        )
        if not await self._publish(job, is_fresh=True):
            raise LeaseLost(f"another process has published query {job.entry.number} of the batch")

    async def _publish(self, job: _Job, *, is_fresh: bool = False) -> bool:
        """Give a whole file its name; False when neither it nor the named one is there, as a crash may have left it."""
        place, entry = self._place_of(job.entry), job.entry
        is_named = not is_fresh and await place.size(entry.path) == entry.bytes
        if not is_named or await place.sha256(entry.path) != entry.sha256:
            staged = _staged(entry, self._format_of(entry))
            if not await place.publish(staged, entry.path, entry.sha256):
                return False
        if (dataset := self._facts.get("dataset")) is not None and entry.parent is None:
            # Before the journal says done: a crash in between adds it once more, in its own place.
            windows = await self._open_journal.entries(parent=entry.number)
            await self._desk.append(entry, windows, Path(place.target(entry.path)), Path(dataset))
        job.entry = await self._open_journal.done(entry)
        return True

    async def _adopt(self, job: _Job) -> bool:
        """Take the result of an earlier batch, if there is one that still is what it was."""
        found = self._reusable.get(job.entry.key)
        if found is None or job.entry.stage not in (Stage.PLANNED, Stage.SPLIT):
            return False
        source, earlier = found
        staged = _staged(job.entry, self._format_of(job.entry))
        if not await self._place.adopt(source, staged):
            return False
        if await self._place.sha256(staged) != earlier.sha256:
            await self._place.remove(staged)
            return False
        assert earlier.bytes is not None and earlier.records is not None
        await self._save(job, Saved(source, earlier.bytes, earlier.records, earlier.sha256, 0.0))
        return True

    async def _failed(self, job: _Job, error: AuroraError) -> Entry | None:
        """Decide what an error means: for this query, or for all of them."""
        if _is_unreachable(error):
            self._unreachable += 1
        else:
            self._unreachable, self._was_reached = 0, True
        if isinstance(error, _FATAL) or self._unreachable >= _UNREACHABLE_AFTER:
            self._fatal = self._fatal or error
            self.stop()
        if job.is_unsure or isinstance(error, (*_FATAL, *_PASSING)):
            # It stays ours, so that nobody takes it before we have tried again or given up.
            self._parked.append((job.entry, error))
            return None
        return await self._open_journal.failed(job.entry, str(error))

    # Around the queries -----------------------------------------------------------------------------------------------

    async def _to_do(self, at_once: int) -> AsyncGenerator[Entry, None]:
        """Yield what is to be done, as long as there is something; entries of windows come as their parents' do."""
        journal = self._open_journal
        await journal.hold_windows(self._reusable)
        rounds = 1
        while not self._is_stopping:
            self._news.clear()
            taken = await journal.take(at_once)
            for entry in taken:
                if self._is_stopping:
                    return
                self._under_way += 1
                yield entry
            if taken or self._news.is_set():
                continue
            if self._under_way:
                await self._news.wait()
            elif self._parked and rounds < _ROUNDS:
                rounds += 1
                parked, self._parked = self._parked, deque()
                logger.info("batch %s: trying %d queries again", self.folder.path, len(parked))
                with self._parkable(quietly=True):
                    await anyio.sleep(self._desk.engine.config.retries.first_s * 4**rounds)
                for entry, error in parked:
                    if self._is_stopping:
                        self._parked.append((entry, error))
                    else:
                        self._under_way += 1
                        yield entry
            elif not self._parked and await journal.left():
                # Who has parked some himself does not wait: two who do would wait for each other.
                with self._parkable(quietly=True):
                    await anyio.sleep(_LOOK_AROUND_S)
            else:
                if self._parked and not self._was_reached:
                    self._fatal = self._fatal or self._parked[-1][1]
                return

    @contextmanager
    def _parkable(self, *, grace_s: float = 0.0, quietly: bool = False) -> Iterator[None]:
        """Leave the block when the batch is to stop, `grace_s` after that is said."""
        with anyio.CancelScope() as scope:
            self._waits[scope] = grace_s
            try:
                if self._is_stopping:
                    scope.cancel()
                yield
            finally:
                del self._waits[scope]
        if scope.cancelled_caught and not quietly:
            raise _Parked

    async def _beat(self) -> None:
        journal = self._open_journal
        assert self._heart is not None
        with self._heart:
            while True:
                await anyio.sleep(journal.lease_s / 4)
                try:
                    await journal.renew()
                except Exception as error:  # such as a full disk: the next beat may succeed
                    logger.warning("the lease of batch %s could not be renewed: %s", self.folder.path, error)

    async def _new_queries(self, journal: Journal) -> list[Planned]:
        """Return what is to be added, cut where it has to be; no two write one file."""
        entries = await journal.entries()
        known = {entry.key for entry in entries}
        paths = Paths()
        for entry in entries:
            paths.add(entry.path, _about(entry))
        found: list[Planned] = []
        for number, query in enumerate(self._queries):
            if query.key not in known:
                known.add(query.key)
                if (other := paths.add(query.path, _about(query))) is not None:
                    hint = "a placeholder in the name, such as {start:%Y-%m-%d} in a plan's, tells them apart"
                    raise InvalidInput("name", f"{_about(query)} cannot be beside {other}: {hint}")
                found.append(await self._desk.cut(query))
            if number % 64 == 63:
                await asyncio.sleep(0)  # a long list must not hold up the loop
        return found

    def _settled(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with which the batch goes on; refuse others than those its results have."""
        for name in _BINDING:
            given, kept = self._given.get(name), known.get(name)
            # A setting that decides what the files hold may not come later, nor go.
            is_late = name == "response_format" or (name in ("outputs", "dataset") and given is not None)
            if known and given != kept and (is_late or None not in (given, kept)):
                reason = f"{given!r} is not that of the batch in {self.folder.path}, {kept!r}; use another folder"
                raise InvalidInput(name, reason)
        return {**known, **self._given}

    async def _look_after_files(self, journal: Journal) -> None:
        """See which finished files have gone, and remove what a crash has left."""
        done = await journal.entries(stages=[Stage.DONE])
        for entry, size in zip(done, await self._place.sizes([entry.path for entry in done]), strict=True):
            if size != entry.bytes:
                logger.warning("%s is not what it was: it is fetched again", entry.path)
                await journal.lost(entry)
        await self._sweep(journal)

    async def _sweep(self, journal: Journal, spared: Set[int] = frozenset()) -> None:
        """Remove what the dead have left in the staging folder; `spared` are numbers that others may be writing."""
        # In this order: what is not there at the first look is left alone, and who writes has taken his query before.
        places = {self._place, self._parts}
        found = [(place, path) for place in places for path in await place.staged()]
        if not found:
            return
        others = await journal.numbers_of_others()
        needed = {_staged(entry, self._format_of(entry)) for entry in await journal.at(Stage.SAVED)}
        for parent in await journal.entries(stages=[Stage.SPLIT, Stage.FAILED, Stage.SAVED]):
            windows = await journal.entries(parent=parent.number, stages=[Stage.SAVED, Stage.DONE])
            needed |= {window.path for window in windows}
        for place, path in found:
            if path.startswith(PROBE) and others:  # one of them puts it there for a moment, and removes it
                continue
            if path not in needed and _number_of(path) not in others | spared:
                await place.remove(path)

    async def _tidy_up(self, journal: Journal, spared: Set[int] = frozenset()) -> None:
        """Write down what came of it, and leave nothing that nobody needs."""
        await self._sweep(journal, spared)
        await asyncio.to_thread(self.folder.write_manifest)
        if all(stage.is_over for stage in await journal.counts()):
            for place in {self._place, self._parts}:
                await place.leave()

    def _order(self, entry: Entry, request_id: RequestId, status: RequestStatus | None = None) -> Order:
        format = self._format_of(entry)
        return Order(
            kind=entry.kind,
            request_id=request_id,
            query=entry.query,
            target=self._place_of(entry).target(_staged(entry, format)),
            path=entry.path,
            format=format,
            response_format=self._desk.asked_format(entry),
            status=status,
        )

    def _format_of(self, entry: Entry) -> Format:
        format: Format = self._facts.get("format", "jsonl")
        return "jsonl" if entry.parent is not None else format

    def _place_of(self, entry: Entry) -> Place:
        return self._place if entry.parent is None else self._parts

    def _emit(self, kind: EventKind, entry: Entry, request_id: RequestId, **facts: Any) -> None:
        self._desk.engine.emit(kind, self._desk.service(entry.kind), request_id, **facts)

    @property
    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError("the batch is not open: use `async with`")
        return self._journal


class _Parked(AuroraError):
    """Left where it is, for a later run."""


@attrs.define
class _Job:
    """A query that is worked on: what the journal has of it, and since when."""

    entry: Entry
    started: float
    is_unsure: bool = False
    """The service may have it, and has not said."""


def _is_unreachable(error: AuroraError) -> bool:
    # A gateway that answers for a service which is down is no service either.
    return isinstance(error, ConnectionFailed) or (isinstance(error, ServerError) and error.status in _GATEWAY_STATUSES)


def _is_merged(entry: Entry) -> bool:
    # One that was cut never has a request; it is not `split` while its file may come from another batch.
    return entry.is_cut and entry.stage in (Stage.PLANNED, Stage.SAVED) and entry.attempts == 0


def _staged(entry: Entry, format: Format) -> str:
    return f"{STAGING}/{entry.number}.{format}"


def _about(query: Planned | Entry) -> str:
    about = f"{query.path!r} of {query.kind}"
    return f"{about} {query.query['start']} to {query.query['end']}" if "start" in query.query else about


def _number_of(staged: str) -> int | None:
    """The number of the query that a file in the staging folder is written for, its part file included."""
    number = staged.rpartition("/")[2].lstrip(".").partition(".")[0]
    return int(number) if number.isdecimal() else None


def _results(folder: BatchFolder, facts: Mapping[str, Any]) -> dict[str, tuple[Path, Entry]]:
    """Return the finished files of another batch by the keys of their queries, if they are written like ours."""
    theirs, entries = read_journal(folder.journal)
    for name in ("format", "service"):
        if theirs.get(name) != facts.get(name):
            raise InvalidInput("reuse", f"the {name} of {folder.path} is {theirs.get(name)}, not {facts.get(name)}")
    if theirs.get("outputs") is not None:
        raise InvalidInput("reuse", f"the files of {folder.path} are at {theirs['outputs']}, not in the folder")
    return {
        entry.key: (folder.path / entry.path, entry)
        for entry in entries
        if entry.parent is None and entry.stage is Stage.DONE and entry.sha256 is not None
    }
