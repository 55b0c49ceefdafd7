"""How many changes of state a second are on the disk, and what does a batch cost above a plain run?

Each query of the journal is taken, intended and submitted, thousands at the same time, as in a large batch; a change is
answered after its commit (`synchronous = FULL`). The peer makes the same updates of a table of the same form by
aiosqlite, with a transaction each. Then the same queries go to a folder by `run` and by `batch`, at a stand-in that has
every result at once.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Span, Subject, figure
from benchmarks.table import Row, Target

__all__ = ["ask", "batched", "by_aiosqlite", "changes", "run_to_folder"]

GROUP = 1000


def ask(bench: Bench) -> list[Row]:
    """Ask for changes a second, then for the overhead."""
    count, others_count, queries = bench.size(20_000, 200), bench.size(3_000, 50), bench.size(3_000, 30)
    made = bench.by_turns(
        {
            "ours": Subject(changes, (count,)),
            "aiosqlite, a transaction each": Subject(by_aiosqlite, (others_count, 1), needs="aiosqlite"),
            f"aiosqlite, {GROUP:,} in one": Subject(by_aiosqlite, (count, GROUP), needs="aiosqlite"),
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
    question = "journal of a batch"
    plain = figure(run["run"], "wall_s")
    plain_cpu = figure(run["run"], "cpu_s")
    assert not isinstance(plain, str) and not isinstance(plain_cpu, str)
    return [
        Row(
            question=question, what="durable changes", unit="a second", ours=rates.pop("ours"), others=rates,
            target=Target("≥", 50_000), more_is_better=True,
        ),
        Row(
            question=question, what=f"batch of {queries:,}, over `run`", unit="% of time", others={},
            ours=figure(run["batch"], lambda facts: 100 * (facts["wall_s"] / plain.value - 1)),
            target=Target("≤", 5),
        ),
        Row(
            question=question, what=f"batch of {queries:,}, over `run`", unit="% of CPU", others={},
            ours=figure(run["batch"], lambda facts: 100 * (facts["cpu_s"] / plain_cpu.value - 1)),
        ),
        Row(
            question=question, what="memory", unit="MB", others={"run": figure(run["run"], "peak_mb")},
            ours=figure(run["batch"], "peak_mb"),
        ),
    ]  # fmt: skip


async def changes(count: int) -> Facts:
    """Two changes of each query, all queries at the same time."""
    from aurora_async.engine.journal import Entry, Journal, Planned

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")
        try:
            await journal.plan(
                Planned(key=f"{number:032x}", kind="ephemeris", query={"start": number}, path=f"{number}.json")
                for number in range(count)
            )
            entries = await journal.take(count)
            assert len(entries) == count

            async def one(entry: Entry) -> None:
                request_id = f"00000000-0000-4000-8000-{entry.number:012x}"
                await journal.submitted(await journal.intend(entry, request_id), request_id)

            with Span() as span:
                await asyncio.gather(*map(one, entries))
        finally:
            await journal.close()
    return span.facts(changes=2 * count)


async def by_aiosqlite(count: int, group: int) -> Facts:
    """The same updates of rows like ours, so many in a transaction."""
    import aiosqlite

    with tempfile.TemporaryDirectory() as folder:
        async with aiosqlite.connect(Path(folder) / "journal.sqlite", isolation_level=None) as db:
            await db.execute("PRAGMA journal_mode = WAL")
            await db.execute("PRAGMA synchronous = FULL")
            await db.execute(
                "CREATE TABLE entries (number INTEGER PRIMARY KEY, stage TEXT, request_id TEXT, attempts INTEGER, "
                "changed_us INTEGER, owner TEXT)"
            )
            await db.execute("CREATE INDEX entries_by_stage ON entries (stage, number)")
            await db.execute("BEGIN")
            await db.executemany(
                "INSERT INTO entries VALUES (?, 'planned', NULL, 0, 0, 'us')", [(number,) for number in range(count)]
            )
            await db.execute("COMMIT")
            update = "UPDATE entries SET stage = ?, request_id = ?, attempts = 1, changed_us = ? WHERE number = ?"
            rows = [
                (stage, f"{number:032x}", number, number) for stage in ("intended", "sent") for number in range(count)
            ]
            with Span() as span:
                for begin in range(0, len(rows), group):
                    await db.execute("BEGIN IMMEDIATE")
                    await db.executemany(update, rows[begin : begin + group])
                    await db.execute("COMMIT")
    return span.facts(changes=2 * count)


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
