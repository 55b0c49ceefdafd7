"""Any sequence of runs, crashes, failures, cancellations and retries, held against a model of the service.

The service is a fake inside the process, so that it can look into the journal at the moment a query is sent.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aurora_async import AuroraX, Config, Polling, Retries
from aurora_async.engine.batch import Batch, Order
from aurora_async.engine.collect import RecordKind
from aurora_async.engine.core import Engine
from aurora_async.engine.folder import BatchFolder
from aurora_async.engine.handle import Request
from aurora_async.engine.journal import Entry, Planned, Stage, read_journal
from aurora_async.engine.places import digest_file
from aurora_async.engine.protocol import Output, Phase, RequestStatus
from aurora_async.errors import (
    AuroraError,
    BadRequest,
    ConnectionFailed,
    ConnectionLost,
    IncompleteBody,
    NotFound,
    ResultExpired,
    TooManyRequests,
)
from aurora_async.processes import host
from aurora_async.transfer import Saved, ensure_writable

WELL = "well"
SENDINGS = (WELL, "refused", "away", "busy", "answer lost", "lost on the way", "then silence")
ENDS = (WELL, "fails", "looks fail", "cut", "gone")
DEAD = f"{host()}/{4 << 20}/0"  # more than any system gives a process


@attrs.define
class Asked:
    """A request that the service has accepted."""

    query: str
    end: str
    is_dead: bool = False
    """It will give no result, or none any more: asking anew is right."""


class World:
    """The service, and what is to go wrong with it."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.requests: dict[str, Asked] = {}
        self.sendings: list[str] = []
        self.ends: list[str] = []
        self.folder = Path()
        self.silence = 0
        """How many looks in a row will not be answered."""
        self.steps = 0
        self.dies_at: int | None = None
        self.died: Path | None = None

    async def step(self) -> None:
        """Come to a place at which a process may die: what is on the disk then is all that is left of it."""
        self.steps += 1
        if self.died is None and self.steps == self.dies_at:
            self.died = self.folder.with_name(f"{self.folder.name}+")
            shutil.copytree(self.folder, self.died)
            with sqlite3.connect(self.died / "journal.sqlite") as journal:
                journal.execute("UPDATE entries SET owner = ? WHERE owner IS NOT NULL", (DEAD,))
            journal.close()
        if self.died is not None:
            await asyncio.Event().wait()

    def entry(self, query: str) -> Entry:
        """What the journal has of a query."""
        (found,) = (one for one in read_journal(self.folder / "journal.sqlite")[1] if one.key == query)
        return found


class FakeService:
    """The protocol's side of the world."""

    name = "fake"

    def __init__(self, world: World) -> None:
        self.world = world

    def new_request_id(self) -> str:
        return f"id {next(self.world.numbers)}"

    def likeness(self, query: Any) -> Hashable:
        return "all"

    async def submit(self, query: str, request_id: str | None, *, sending: Callable[[], None]) -> str:
        world = self.world
        assert request_id is not None
        await world.step()
        entry = world.entry(query)
        assert (entry.stage, entry.request_id) == (Stage.INTENDED, request_id), "it is not in the journal"
        assert request_id not in world.requests, "it was accepted before under this identifier"
        alive = [one for one in world.requests.values() if one.query == query and not one.is_dead]
        assert not alive, "there is a request for it already"
        fate = world.sendings.pop() if world.sendings else WELL
        if fate == "away":
            raise ConnectionFailed("POST", "fake", "nobody there")
        sending()
        if fate == "busy":
            raise TooManyRequests("POST", "fake", 429)
        if fate == "refused":
            raise BadRequest("POST", "fake", 400)
        if fate == "lost on the way":
            raise ConnectionLost("POST", "fake", "cut")
        world.requests[request_id] = Asked(query, world.ends.pop() if world.ends else WELL)
        await world.step()
        if fate == "then silence":
            world.silence = 4
        if fate in ("answer lost", "then silence"):
            raise ConnectionLost("POST", "fake", "cut")
        return request_id

    async def refresh(self, request_id: str) -> RequestStatus:
        await self.world.step()
        if self.world.silence:
            self.world.silence -= 1
            raise ConnectionLost("GET", "fake", "cut")
        asked = self.world.requests.get(request_id)
        if asked is None:
            raise NotFound("GET", "fake", 404)
        if asked.end == "looks fail":
            asked.end = WELL
            raise ConnectionLost("GET", "fake", "cut")
        phase = Phase.READY
        if asked.end in ("fails", "cancelled"):
            asked.is_dead = True
            phase = Phase.FAILED if asked.end == "fails" else Phase.CANCELLED
        elif asked.is_dead:
            phase = Phase.EXPIRED
        return RequestStatus(request_id=request_id, phase=phase, reason=asked.end)

    async def cancel(self, request_id: str) -> bool:
        asked = self.world.requests.get(request_id)
        if asked is not None:
            asked.end, asked.is_dead = "cancelled", True
        return asked is not None

    def outputs(self, status: RequestStatus) -> Sequence[Output]:
        raise NotImplementedError


class FakeDesk:
    """What the batch has of the client."""

    def __init__(self, engine: Engine, service: FakeService) -> None:
        self.engine = engine
        self._service = service

    def read(self, kind: str, document: Mapping[str, Any]) -> str:
        return str(document["query"])

    def service(self, kind: str) -> FakeService:
        return self._service

    def request(self, kind: str, request_id: str, query: str, *, is_new: bool) -> Request[Any]:
        kinds = RecordKind[Any](None)
        return Request(self.engine, self._service, request_id, kinds, query=query, attached=is_new)

    async def cut(self, query: Planned) -> Planned:
        return query

    def asked_format(self, entry: Entry) -> None:
        return None

    def remote(self) -> Any:
        raise NotImplementedError

    async def collect(self, order: Order) -> Saved:
        world = self._service.world
        await world.step()
        asked = world.requests[order.request_id]
        target = Path(order.target)
        await ensure_writable(target)
        if asked.end == "cut":
            asked.end = WELL
            raise IncompleteBody("fake", target, "cut")
        if asked.is_dead or asked.end == "gone":
            asked.is_dead = True
            raise ResultExpired(order.request_id, "gone")
        target.write_bytes(content(asked.query))
        await world.step()
        return Saved(target, len(content(asked.query)), 1, digest_file(target), 0.0)

    async def merge(self, order: Order, windows: Any, parts: Any) -> Saved:
        raise NotImplementedError


def content(query: str) -> bytes:
    """The right file of a query."""
    return f"what is found for {query}".encode()


class BatchStates(RuleBasedStateMachine):
    """One folder; each rule is a process that opens it, does something, and ends or dies."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.world = World()
        self.world.folder = self.place / "batch"
        self.known: set[str] = set()
        self.damaged: set[str] = set()

    def teardown(self) -> None:
        """Whatever has happened: well again, and all tried again, there is a right file for each query."""
        try:
            if self.known:
                self._end_well()
        finally:
            shutil.rmtree(self.place)

    def _end_well(self) -> None:
        async def finish(batch: Batch) -> None:
            await batch.retry()
            assert (await batch.finish()).is_complete, await batch.report()
            assert await batch.verify() == []

        for asked in self.world.requests.values():
            asked.end = "cancelled" if asked.end == "cancelled" else WELL
        self._with_batch(finish)
        names = {path.name for path in self.world.folder.iterdir()}
        assert names <= {"journal.sqlite", "manifest.json", "manifest.parquet", "report.md"} | self.known

    def _with_batch(self, use: Callable[[Batch], Awaitable[None]], *, dies_at: int | None = None) -> None:
        world = self.world
        world.steps, world.dies_at, world.died = 0, dies_at, None
        planned = [Planned(key=name, kind="fake", query={"query": name}, path=name) for name in sorted(self.known)]
        config = Config(
            base_url="http://127.0.0.1:9",
            polling=Polling(floor_s=0.001, ceiling_s=0.01),
            retries=Retries(attempts=2, first_s=0.001, ceiling_s=0.001),
            trust_environment=False,
        )

        async def process() -> None:
            async with AuroraX(config) as client:
                desk = FakeDesk(client._open_engine, FakeService(world))
                async with Batch(world.folder, desk, planned) as batch:
                    await use(batch)

        async def until_death() -> None:
            task = asyncio.create_task(process())
            while not task.done() and world.died is None:
                await asyncio.wait([task], timeout=0.002)
            if world.died is not None:
                task.cancel()
                await asyncio.wait([task])
            else:
                await task

        asyncio.run(until_death())
        if world.died is not None:
            shutil.rmtree(world.folder)
            world.died.rename(world.folder)
        self.damaged = {name for name in self.damaged if not self._is_right(name)}

    def _is_right(self, name: str) -> bool:
        path = self.world.folder / name
        return path.exists() and path.read_bytes() == content(name)

    # What may happen ----------------------------------------------------------------------------------------------

    @rule(names=st.sets(st.sampled_from("abcde"), min_size=1))
    def plan(self, names: set[str]) -> None:
        self.known |= {f"query {name}" for name in names}

    @rule(
        sendings=st.lists(st.sampled_from(SENDINGS), max_size=6),
        ends=st.lists(st.sampled_from(ENDS), max_size=6),
        dies_at=st.none() | st.integers(1, 25),
        is_left=st.booleans(),
    )
    def run(self, sendings: list[str], ends: list[str], dies_at: int | None, is_left: bool) -> None:
        async def run(batch: Batch) -> None:
            with suppress(AuroraError):
                async for _ in batch.run(at_once=2):
                    if is_left:
                        break

        self.world.sendings, self.world.ends = sendings, ends
        self._with_batch(run, dies_at=dies_at)
        self.world.sendings, self.world.ends = [], []

    @rule(steps=st.integers(0, 60))
    def run_and_stop(self, steps: int) -> None:
        async def run(batch: Batch) -> None:
            task = asyncio.create_task(batch.finish(at_once=2))
            for _ in range(steps):
                await asyncio.sleep(0)
            batch.stop()
            await task

        self._with_batch(run)

    @rule(steps=st.integers(0, 80))
    def run_and_cancel_the_task(self, steps: int) -> None:
        async def run(batch: Batch) -> None:
            task = asyncio.create_task(batch.finish(at_once=2))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        self._with_batch(run)

    @rule()
    def retry(self) -> None:
        async def retry(batch: Batch) -> None:
            await batch.retry()

        self._with_batch(retry)

    @rule()
    def cancel(self) -> None:
        async def cancel(batch: Batch) -> None:
            await batch.cancel()

        self._with_batch(cancel)

    @rule()
    def expire(self) -> None:
        """All results are deleted on the service."""
        for asked in self.world.requests.values():
            asked.is_dead = True

    @rule(number=st.integers(0, 4), is_deleted=st.booleans())
    def damage_a_file(self, number: int, is_deleted: bool) -> None:
        paths = [path for name in sorted(self.known) if (path := self.world.folder / name).exists()]
        if number < len(paths):
            self.damaged.add(paths[number].name)
            if is_deleted:
                paths[number].unlink()
            else:
                paths[number].write_bytes(b"short")

    # What always holds --------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_every_file_is_right(self) -> None:
        """Under its final name a file is right, and whatever is called done has one."""
        if not BatchFolder(self.world.folder).is_batch:
            return
        _, entries = read_journal(self.world.folder / "journal.sqlite")
        assert len({entry.key for entry in entries}) == len(entries)
        for entry in entries:
            is_there = (self.world.folder / entry.path).exists()
            if entry.path not in self.damaged:
                assert self._is_right(entry.path) if is_there else entry.stage is not Stage.DONE
            if entry.stage in (Stage.SUBMITTED, Stage.SAVED):
                assert entry.request_id in self.world.requests

    @invariant()
    def a_reader_understands_it(self) -> None:
        """Status and report need no process that is alive."""
        folder = BatchFolder(self.world.folder)
        if folder.is_batch:
            assert folder.status().total == len(folder.rows())
            assert folder.report().startswith("# batch: ")


BatchStates.TestCase.settings = settings(max_examples=20, stateful_step_count=10, deadline=None)
test_whatever_happens_nothing_is_lost_or_doubled = BatchStates.TestCase
