"""What do 10,000 and 50,000 requests that wait cost the client, in CPU time and memory?

All are made by one `client.run` at a stand-in where none is ever ready; then the client is watched while it waits. A
look costs by how much more the client takes when it may look a thousand times a second instead of once; scheduling is
what it takes at its usual pace without its looks. Memory is what the process has grown by since the queries were there,
while next to none of them has been looked at. The peer is a task for each, asleep until its time, which then does
nothing.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Figure, Subject, figure, leave, resident_mb
from benchmarks.table import Row, Target

__all__ = ["ask", "ours", "tasks"]

USUAL_PACE = 200
WATCHED_S = 10.0


def ask(bench: Bench) -> list[Row]:
    """Ask with few looks, with the usual pace, and with many."""
    few, many = bench.size(10_000, 50), bench.size(50_000, 100)
    watched_s = 0.5 if bench.quick else WATCHED_S
    with standins.searches() as origin:

        def watched(count: int, pace: float) -> Subject:
            # A place of its own for each: nothing is ready within the hour.
            return Subject(ours, (f"{origin}/{3600 + count + pace:g}", count, pace, watched_s), rounds=1)

        found = bench.by_turns(
            {
                **{f"{count} {pace}": watched(count, pace) for count in (few, many) for pace in (1, USUAL_PACE)},
                "looking": watched(few, 1000),
                **{f"{count} tasks": Subject(tasks, (count, USUAL_PACE, watched_s), rounds=1) for count in (few, many)},
            }
        )

    def more(of: str) -> float:
        quiet, looking = figure(found[f"{few} 1"], of), figure(found["looking"], of)
        assert isinstance(quiet, Figure) and isinstance(looking, Figure)
        return looking.value - quiet.value

    # In a quick run, the difference may be nothing.
    look_s = max(more("share"), 0) / max(more("looks_per_s"), 1)

    def scheduling(facts: Facts) -> float:
        return float(100 * max(facts["share"] - facts.get("looks_per_s", 0) * look_s, 0))

    def bytes_each(name: str) -> Figure:
        """Of those above the first few: what a client takes without any request is in both, and in neither then."""
        grown = [figure(found[f"{count} {name}"], "grown_mb") for count in (few, many)]
        assert isinstance(grown[0], Figure) and isinstance(grown[1], Figure)
        each = 1e6 * (grown[1].value - grown[0].value) / (many - few)
        return Figure(each, each, each, 1)

    question, look_us = "requests that wait", 1e6 * look_s
    return [
        *(
            Row(
                question=question, what=f"{count:,}, scheduling", unit="% of a core", target=Target("≤", 2),
                ours=figure(found[f"{count} {USUAL_PACE}"], scheduling),
                others={"a task each": figure(found[f"{count} tasks"], scheduling)},
            )
            for count in (few, many)
        ),
        Row(
            question=question, what=f"{many:,}, memory of each", unit="bytes", ours=bytes_each("1"),
            others={"a task each": bytes_each("tasks")}, target=Target("≤", 200),
        ),
        Row(
            question=question, what="a look over HTTP, CPU", unit="µs", others={}, target=Target("≤", 100),
            ours=Figure(look_us, look_us, look_us, 1),
        ),
    ]  # fmt: skip


async def ours(base_url: str, count: int, looks_per_s: float, watched_s: float) -> Facts:
    """Submit them all, and watch what waiting takes."""
    from aurora_async import AuroraX, Config, EphemerisQuery, Polling

    async with AuroraX(base_url=f"{base_url.rpartition('/')[0]}/0") as client:  # what is imported only now
        async for outcome in client.run([EphemerisQuery(start="2020-01-01", end="2020-01-01", platforms="swarma")]):
            outcome.unwrap()
    day = datetime(2020, 1, 1)
    starts = [day + timedelta(minutes=number) for number in range(count)]
    queries = [EphemerisQuery(start=start, end=start + timedelta(minutes=9), platforms="swarma") for start in starts]
    submitted, all_of_them = 0, asyncio.Event()

    def listen(event: Any) -> None:
        nonlocal submitted
        submitted += event.kind.value == "submitted"
        if submitted == count:
            all_of_them.set()

    async def consume(client: Any) -> None:
        async for outcome in client.run(queries, at_once=count):
            outcome.unwrap()

    before_mb = resident_mb()
    polling = Polling(looks_per_s=looks_per_s, ceiling_s=10_000)
    async with AuroraX(Config(base_url=base_url, polling=polling)) as client:
        consuming = asyncio.create_task(consume(client))
        submitting = asyncio.create_task(all_of_them.wait())
        with client.events.subscribe(listen):
            await asyncio.wait([submitting, consuming], return_when=asyncio.FIRST_COMPLETED)
        if consuming.done():
            consuming.result()
        await asyncio.sleep(watched_s / 10)
        grown_mb = resident_mb() - before_mb
        looks, cpu_s, began = (
            await asyncio.to_thread(standins.looks, base_url),
            time.process_time(),
            time.perf_counter(),
        )
        await asyncio.sleep(watched_s)
        cpu_s, took_s = time.process_time() - cpu_s, time.perf_counter() - began
        looks = await asyncio.to_thread(standins.looks, base_url) - looks
        assert not consuming.done()
        # To cancel them all on the service takes long, and is another question.
        leave({"share": cpu_s / took_s, "looks_per_s": looks / took_s, "grown_mb": grown_mb})


async def tasks(count: int, looks_per_s: float, watched_s: float) -> Facts:
    """A task for each, as often due as ours in all."""
    due = 0

    async def one(number: int) -> None:
        nonlocal due
        await asyncio.sleep(number / looks_per_s)
        while True:
            due += 1
            await asyncio.sleep(count / looks_per_s)

    before_mb = resident_mb()
    waiting = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(watched_s / 10)
    grown_mb = resident_mb() - before_mb
    cpu_s, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(watched_s)
    share = (time.process_time() - cpu_s) / (time.perf_counter() - began)
    leave({"share": share, "grown_mb": grown_mb, "due": due, "tasks": len(waiting)})
