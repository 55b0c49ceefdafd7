"""What do 10,000 and 50,000 requests that wait cost the client, in CPU time and memory?

All are made by one `client.run` at a stand-in where none is ever ready; then the client is watched while it waits.
Memory is what the process has grown by since before the queries were there, while next to none has been looked at (so
that there are next to no statuses), less what as many queries and identifiers take in a process that has nothing else
to do. A look costs what the client takes when it may look at a thousand of ten thousand a second above what it takes
with one; and, with few requests, all that it takes when it looks at each of them ten times a second: of twenty, they
come one at a time, of a thousand it is never done. Scheduling is what it takes at its usual pace without its looks. The
peer is a task for each, asleep until its time, which then does nothing.
"""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import datetime, timedelta
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Figure, Subject, figure, leave, resident_mb
from benchmarks.table import Row, Target

__all__ = ["alone", "ask", "ours", "tasks"]

USUAL_PACE = 200
WATCHED_S = 5.0
NEVER_S = 10_000.0


def ask(bench: Bench) -> list[Row]:
    """Ask with few looks, with the usual pace, and with many."""
    few, many = bench.size(10_000, 50), bench.size(50_000, 100)
    watched_s = 0.2 if bench.quick else WATCHED_S
    with standins.searches() as origin:

        def watched(count: int, pace: float, at_least_every_s: float = NEVER_S) -> Subject:
            # A place of its own for each: nothing is ready within the hour.
            place = f"{origin}/{3600 + count + pace:g}"
            return Subject(ours, (place, count, pace, at_least_every_s, watched_s), rounds=1)

        found = bench.by_turns(
            {
                **{f"{count} {pace}": watched(count, pace) for count in (few, many) for pace in (1, USUAL_PACE)},
                "a thousand a second": watched(few, 1000),
                "one at a time": watched(20, 10_000, 0.1),
                "never done": watched(bench.size(1000, 50), 100_000, 0.1),
                **{f"{count} alone": Subject(alone, (count,), rounds=1) for count in (few, many)},
                **{f"{count} tasks": Subject(tasks, (count, USUAL_PACE, watched_s), rounds=1) for count in (few, many)},
            }
        )

    def one(value: float) -> Figure:
        return Figure(value, value, value, 1)

    def value(name: str, of: str) -> float:
        told = figure(found[name], of)
        assert isinstance(told, Figure)
        return told.value

    def more(of: str) -> float:
        return value("a thousand a second", of) - value(f"{few} 1", of)

    # In a quick run, the difference may be nothing.
    look_s = max(more("share"), 0) / max(more("looks_per_s"), 1)

    def scheduling(facts: Facts) -> float:
        return float(100 * max(facts["share"] - facts.get("looks_per_s", 0) * look_s, 0))

    def bytes_each(name: str) -> float:
        """Of those above the first few: what a client takes without any request is in both, and in neither then."""
        return 1e6 * (value(f"{many} {name}", "grown_mb") - value(f"{few} {name}", "grown_mb")) / (many - few)

    def look_us(name: str) -> Figure:
        return one(1e6 * value(name, "share") / max(value(name, "looks_per_s"), 1))

    question = "requests that wait"
    return [
        *(
            Row(
                question=question, what=f"{count:,}, scheduling", unit="%", target=Target("≤", 2), apart=True,
                ours=figure(found[f"{count} {USUAL_PACE}"], scheduling),
                others={"a task each": figure(found[f"{count} tasks"], scheduling)},
            )
            for count in (few, many)
        ),
        Row(
            question=question, what="each, memory", unit="bytes", ours=one(bytes_each("1") - bytes_each("alone")),
            others={"a task each": one(bytes_each("tasks"))}, target=Target("≤", 200), apart=True,
        ),
        Row(question=question, what="its query and id", unit="bytes", ours=one(bytes_each("alone")), others={}),
        *(
            Row(question=question, what=what, unit="µs", ours=ours, others={}, target=target)
            for what, ours, target in (
                ("look, never done", look_us("never done"), Target("≤", 100)),
                ("look, 1,000/s", one(1e6 * look_s), Target("≤", 100)),
                ("look, one by one", look_us("one at a time"), None),
            )
        ),
    ]  # fmt: skip


async def ours(base_url: str, count: int, looks_per_s: float, at_least_every_s: float, watched_s: float) -> Facts:
    """Submit them all, and watch what waiting takes."""
    from aurora_async import AuroraX, Config, Polling

    await _warm(base_url)
    before_mb = _resident_mb()
    queries = _queries(count)
    submitted, all_of_them = 0, asyncio.Event()

    def listen(event: Any) -> None:
        nonlocal submitted
        submitted += event.kind.value == "submitted"
        if submitted == count:
            all_of_them.set()

    async def consume(client: Any) -> None:
        async for outcome in client.run(queries, at_once=count):
            outcome.unwrap()

    polling = Polling(looks_per_s=looks_per_s, ceiling_s=at_least_every_s)
    async with AuroraX(Config(base_url=base_url, polling=polling)) as client:
        consuming = asyncio.create_task(consume(client))
        submitting = asyncio.create_task(all_of_them.wait())
        with client.events.subscribe(listen):
            await asyncio.wait([submitting, consuming], return_when=asyncio.FIRST_COMPLETED)
        if consuming.done():
            consuming.result()
        await asyncio.sleep(watched_s / 10)
        grown_mb = _resident_mb() - before_mb
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


def alone(count: int) -> Facts:
    """What of a request is not the client's: its query and its identifier."""
    from aurora_async import AuroraX

    _queries(1)
    # Whoever refers to them is not counted: ours has a place for each as well.
    identifiers = [""] * count
    before_mb = _resident_mb()
    queries = _queries(count)
    for number in range(count):
        identifiers[number] = f"00000000-0000-4000-8000-{number:012x}"
    return {"grown_mb": _resident_mb() - before_mb, "kept": [len(queries), len(identifiers)], "in": AuroraX.__module__}


def _queries(count: int) -> list[Any]:
    from aurora_async import EphemerisQuery

    day = datetime(2020, 1, 1)
    starts = (day + timedelta(minutes=number) for number in range(count))
    return [EphemerisQuery(start=start, end=start + timedelta(minutes=9), platforms="swarma") for start in starts]


async def _warm(base_url: str) -> None:
    """Have imported what is imported only now."""
    from aurora_async import AuroraX

    async with AuroraX(base_url=f"{base_url.rpartition('/')[0]}/0") as client:
        async for outcome in client.run(_queries(1)):
            outcome.unwrap()


def _resident_mb() -> float:
    gc.collect()
    return resident_mb()


async def tasks(count: int, looks_per_s: float, watched_s: float) -> Facts:
    """A task for each, as often due as ours in all."""
    due = 0

    async def one(number: int) -> None:
        nonlocal due
        await asyncio.sleep(number / looks_per_s)
        while True:
            due += 1
            await asyncio.sleep(count / looks_per_s)

    before_mb = _resident_mb()
    waiting = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(watched_s / 10)
    grown_mb = _resident_mb() - before_mb
    cpu_s, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(watched_s)
    share = (time.process_time() - cpu_s) / (time.perf_counter() - began)
    leave({"share": share, "grown_mb": grown_mb, "due": due, "tasks": len(waiting)})
