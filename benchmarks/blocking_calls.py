"""What does a blocking call cost above the same call awaited?

Both of our clients ask a stand-in for the status of one request, by turns of fifty calls in one process, so that
whatever else the machine does meets both; the overhead is the difference of the medians. The peers, which have no such
client, call what does nothing from a thread without a loop. Then both read the same stream of records by turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from statistics import median

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Subject, figure
from benchmarks.table import Row, Target

__all__ = ["ask", "by_asgiref", "by_portal", "calls", "streams"]

IN_A_TURN = 50


def ask(bench: Bench) -> list[Row]:
    """Ask for a call, and for a record of a stream."""
    count, size = bench.size(1000, 100), bench.size(20_000_000, 1_000_000)
    with standins.searches() as origin, standins.bodies() as large:
        called = bench.by_turns(
            {
                "ours": Subject(calls, (f"{origin}/3600", count)),
                "anyio portal, nothing": Subject(by_portal, (count,)),
                "asgiref, nothing": Subject(by_asgiref, (count,), needs="asgiref"),
            }
        )
        streamed = bench.by_turns({"ours": Subject(streams, (f"{large}/plain/{size}",))})
    overheads = {name: figure(outcome, "overhead_us") for name, outcome in called.items()}
    question = "blocking instead of awaited"
    return [
        Row(
            question=question, what="a call", unit="µs more", ours=overheads.pop("ours"), others=overheads,
            target=Target("≤", 150), apart=True,
        ),
        Row(question=question, what="a call, awaited", unit="µs", ours=figure(called["ours"], "awaited_us"), others={}),
        Row(
            question=question, what="a record of a stream", unit="µs more", others={},
            ours=figure(streamed["ours"], "overhead_us"),
        ),
    ]  # fmt: skip


async def calls(base_url: str, count: int) -> Facts:
    """The blocking client runs in a worker's thread, as it would hold up this loop."""
    from aurora_async import AuroraX, EphemerisQuery, sync

    query = EphemerisQuery(start="2020-01-01", end="2020-01-01", platforms="swarma")
    awaited, blocking = list[float](), list[float]()

    def block(client: sync.AuroraX, request_id: str) -> None:
        for _ in range(IN_A_TURN):
            started = time.perf_counter()
            client.ephemeris.status(request_id)
            blocking.append(time.perf_counter() - started)

    with sync.AuroraX(base_url=base_url) as other:
        async with AuroraX(base_url=base_url) as client:
            request = await client.ephemeris.submit(query)
            for _ in range(count // IN_A_TURN):
                for _ in range(IN_A_TURN):
                    started = time.perf_counter()
                    await client.ephemeris.status(request.request_id)
                    awaited.append(time.perf_counter() - started)
                await asyncio.to_thread(block, other, request.request_id)
            request.detach()
    # The first turn opens connections.
    awaited_us, blocking_us = (1e6 * median(times[IN_A_TURN:]) for times in (awaited, blocking))
    return {"awaited_us": awaited_us, "overhead_us": blocking_us - awaited_us}


async def streams(base_url: str) -> Facts:
    """Records one by one, three times by turns."""
    from aurora_async import AuroraX, EphemerisQuery, sync

    query = EphemerisQuery(start="2019-01-01", end="2019-01-31", programs="swarm")

    def read_blocking(records: Iterator[object]) -> float:
        started, count = time.perf_counter(), 0
        for _ in records:
            count += 1
        return (time.perf_counter() - started) / count

    async def read_awaited(records: AsyncIterator[object]) -> float:
        started, count = time.perf_counter(), 0
        async for _ in records:
            count += 1
        return (time.perf_counter() - started) / count

    awaited, blocking = list[float](), list[float]()
    with sync.AuroraX(base_url=base_url) as other:
        async with AuroraX(base_url=base_url) as client:
            request = await client.ephemeris.submit(query)
            await request.wait()
            for _ in range(3):
                awaited.append(await read_awaited(request.stream()))
                blocking.append(
                    await asyncio.to_thread(read_blocking, other.ephemeris.resume(request.request_id).stream())
                )
    return {"overhead_us": 1e6 * (median(blocking) - median(awaited))}


def by_portal(count: int) -> Facts:
    """anyio's portal to a loop in another thread."""
    import anyio
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        return {"overhead_us": _overhead_us(lambda: portal.call(anyio.sleep, 0), count)}


def by_asgiref(count: int) -> Facts:
    """Django's way, a loop for each call."""
    from asgiref.sync import async_to_sync

    return {"overhead_us": _overhead_us(lambda: async_to_sync(asyncio.sleep)(0), count)}


def _overhead_us(call: Callable[[], object], count: int) -> float:
    async def awaited() -> float:
        started = time.perf_counter()
        for _ in range(count):
            await asyncio.sleep(0)
        return (time.perf_counter() - started) / count

    times = list[float]()
    for _ in range(count):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e6 * (median(times) - asyncio.run(awaited()))
