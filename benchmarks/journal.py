"""How many changes of state a second are on the disk, and what does a batch cost above a plain run?

A thousand tasks, which are there before the clock starts, have twenty queries each: one after the other is intended and
submitted, and each of these changes is answered after its commit (`synchronous = FULL`). As many tasks make the same
updates of a table of the same form by aiosqlite, with a transaction each, or with one for whatever has gathered. What
it costs alone to wake a task for each change is told by tasks that wait as often, and for nothing. Then the same
queries go to a folder by `run` and by `batch`, at a stand-in that has every result at once.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Span, Subject, figure
from benchmarks.table import Row, Target

__all__ = ["ask", "awaits", "batched", "by_aiosqlite", "changes", "run_to_folder"]

WRITERS = 1000
"""Tasks, each of which has one change under way."""
_GATHERED = "aiosqlite, gathered"


def ask(bench: Bench) -> list[Row]:
    """Ask for changes a second, then for the overhead."""
    each, queries, writers = bench.size(20, 2), bench.size(3_000, 30), bench.size(WRITERS, 100)
    made = bench.by_turns(
        {
            "ours": Subject(changes, (writers, each)),
            "aiosqlite, one by one": Subject(by_aiosqlite, (writers, 2, 1), needs="aiosqlite"),
            _GATHERED: Subject(by_aiosqlite, (writers, each, writers), needs="aiosqlite"),
            "only awaited, kept nowhere": Subject(awaits, (writers, each)),
        }
    )
    with standins.searches() as origin:
        base_url = f"{origin}/0"
        run = bench.by_turns(
            {
                "run": Subject(run_to_folder, (base_url, queries)),
                "batch": Subject(batched, (base_url, queries)),
            }
        )
    rates = {name: figure(outcome, lambda facts: facts["changes"] / facts["wall_s"]) for name, outcome in made.items()}
    costs = {
        name: figure(outcome, lambda facts: 1e6 * facts["cpu_s"] / facts["changes"]) for name, outcome in made.items()
    }
    question = f"journal, and a batch of {queries:,} over `run`"
    plain = figure(run["run"], "wall_s")
    plain_cpu = figure(run["run"], "cpu_s")
    assert not isinstance(plain, str) and not isinstance(plain_cpu, str)
    return [
        Row(
            question=question, what="durable changes", unit="/s", ours=rates.pop("ours"), others=rates,
            target=Target("≥", 50_000), against=_GATHERED, more_is_better=True,
        ),
        Row(
            question=question, what="durable change: CPU", unit="µs", ours=costs.pop("ours"), others=costs,
            against=_GATHERED,
        ),
        Row(
            question=question, what="batch: time", unit="% more", others={},
            ours=figure(run["batch"], lambda facts: 100 * (facts["wall_s"] / plain.value - 1)),
            target=Target("≤", 5),
        ),
        Row(
            question=question, what="batch: CPU", unit="% more", others={},
            ours=figure(run["batch"], lambda facts: 100 * (facts["cpu_s"] / plain_cpu.value - 1)),
        ),
        Row(
            question=question, what="batch: memory", unit="MB", others={"run": figure(run["run"], "peak_mb")},
            ours=figure(run["batch"], "peak_mb"), apart=True,
        ),
    ]  # fmt: skip


async def changes(writers: int, each: int) -> Facts:
    """Two changes of each query."""
    from aurora_async.engine.journal import Entry, Journal, Planned

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")
        try:
            await journal.plan(
                Planned(key=f"{number:032x}", kind="ephemeris", query={"start": number}, path=f"{number}.json")
                for number in range(writers * each)
            )
            entries = await journal.take(writers * each)
            assert len(entries) == writers * each

            async def write(mine: Sequence[Entry]) -> None:
                for entry in mine:
                    request_id = f"00000000-0000-4000-8000-{entry.number:012x}"
                    await journal.submitted(await journal.intend(entry, request_id), request_id)

            span = await _timed([write(entries[first::writers]) for first in range(writers)])
        finally:
            await journal.close()
    return span.facts(changes=2 * writers * each)


async def by_aiosqlite(writers: int, each: int, most: int) -> Facts:
    """The same updates of rows like ours, with one index of ours, at most so many in a transaction."""
    import aiosqlite

    with tempfile.TemporaryDirectory() as folder:
        async with aiosqlite.connect(Path(folder) / "journal.sqlite", isolation_level=None) as db:
            await db.execute("PRAGMA journal_mode = WAL")
            await db.execute("PRAGMA synchronous = FULL")
            await db.execute(
                "CREATE TABLE entries (number INTEGER PRIMARY KEY, key TEXT, query TEXT, path TEXT UNIQUE, stage TEXT, "
                "request_id TEXT, attempts INTEGER, error TEXT, changed_us INTEGER, owner TEXT)"
            )
            await db.execute(
                "CREATE INDEX free_entries ON entries (number) WHERE owner IS NULL AND stage IN ('planned', 'intended')"
            )
            numbers = range(writers * each)
            await db.execute("BEGIN")
            await db.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, 'planned', NULL, 0, NULL, 0, 'us')",
                [(number, f"{number:032x}", f'{{"start": {number}}}', f"{number}.json") for number in numbers],
            )
            await db.execute("COMMIT")
            update = (
                "UPDATE entries SET stage = ?, request_id = ?, attempts = 1, error = NULL, changed_us = ? "
                "WHERE number = ? AND owner = 'us'"
            )
            loop = asyncio.get_running_loop()
            gathered = deque[tuple[tuple[object, ...], asyncio.Future[None]]]()
            some = asyncio.Event()

            async def commit() -> None:
                left = 2 * len(numbers)
                while left:
                    await some.wait()
                    some.clear()
                    while gathered:
                        taken = [gathered.popleft() for _ in range(min(most, len(gathered)))]
                        await db.execute("BEGIN IMMEDIATE")
                        await db.executemany(update, [row for row, _ in taken])
                        await db.execute("COMMIT")
                        for _, committed in taken:
                            committed.set_result(None)
                        left -= len(taken)

            async def write(mine: Sequence[int]) -> None:
                for number in mine:
                    for stage in ("intended", "sent"):
                        committed = loop.create_future()
                        gathered.append(((stage, f"{number:032x}", number, number), committed))
                        some.set()
                        await committed

            span = await _timed([commit(), *(write(numbers[first::writers]) for first in range(writers))])
    return span.facts(changes=2 * writers * each)


async def awaits(writers: int, each: int) -> Facts:
    """As many tasks, waiting as often: all that one turn of the loop asks for is answered in the next."""
    loop = asyncio.get_running_loop()
    asked = list[asyncio.Future[None]]()

    def answer() -> None:
        answered = asked.copy()
        asked.clear()
        for one in answered:
            one.set_result(None)

    async def write() -> None:
        for _ in range(2 * each):
            if not asked:
                loop.call_soon(answer)
            future = loop.create_future()
            asked.append(future)
            await future

    span = await _timed([write() for _ in range(writers)])
    return span.facts(changes=2 * writers * each)


async def _timed(works: Iterable[Coroutine[Any, Any, None]]) -> Span:
    """Have a task for each, and only then start the clock and all of them."""
    begin = asyncio.Event()

    async def one(work: Coroutine[Any, Any, None]) -> None:
        await begin.wait()
        await work

    tasks = [asyncio.create_task(one(work)) for work in works]
    await asyncio.sleep(0)  # all of them wait now
    with Span() as span:
        begin.set()
        await asyncio.gather(*tasks)
    return span


async def run_to_folder(base_url: str, count: int) -> Facts:
    """Files without a journal."""
    from aurora_async import AuroraX

    with tempfile.TemporaryDirectory() as folder:
        async with AuroraX(base_url=base_url) as client:
            await _warm(client, folder)
            with Span() as span:
                async for outcome in client.run(_queries(count), at_once=100, folder=Path(folder) / "run"):
                    outcome.unwrap()
    return span.facts()


async def batched(base_url: str, count: int) -> Facts:
    """The same files with one, planning included."""
    from aurora_async import AuroraX

    with tempfile.TemporaryDirectory() as folder:
        async with AuroraX(base_url=base_url) as client:
            await _warm(client, folder)
            with Span() as span:
                async with client.batch(Path(folder) / "batch", _queries(count)) as batch:
                    async for entry in batch.run(at_once=100):
                        assert entry.records == 10, entry
    return span.facts()


async def _warm(client: Any, folder: str) -> None:
    async for outcome in client.run(_queries(1), folder=Path(folder) / "warm-run"):
        outcome.unwrap()
    async with client.batch(Path(folder) / "warm-batch", _queries(1)) as batch:
        async for _ in batch.run():
            pass


def _queries(count: int) -> list[Any]:
    from aurora_async import EphemerisQuery

    begin = datetime(2020, 1, 1)
    starts = [begin + timedelta(minutes=10 * number) for number in range(count)]
    return [EphemerisQuery(start=start, end=start + timedelta(minutes=9), platforms="swarma") for start in starts]
