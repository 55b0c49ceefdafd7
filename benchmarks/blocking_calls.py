"""What does a blocking call cost, against the same call awaited?

Both clients ask a local service for the status of one request, by turns of fifty calls in one process, so that whatever
else the machine does meets both. The overhead is the difference of the medians; "nothing" is a blocking call that asks
nobody: the way into the loop's thread and back. Then both read the same stream of 14,400 records, three times by turns.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.measure import local_service, print_table, report, run_subject

MODULE = "benchmarks.blocking_calls"
IN_A_TURN = 50


async def both(base_url: str, calls: int) -> Mapping[str, Any]:
    """Measure both by turns; the blocking client runs in a worker's thread, as it would hold up this loop."""
    from aurora_async import AuroraX, EphemerisQuery, sync

    query = EphemerisQuery(start="2020-01-01", end="2020-01-10", platforms="swarma")
    awaited: list[float] = []
    blocking: list[float] = []
    nothing: list[float] = []

    def block(client: sync.AuroraX, request_id: str) -> None:
        for _ in range(IN_A_TURN):
            started = time.perf_counter()
            client.ephemeris.status(request_id)
            blocking.append(time.perf_counter() - started)
            started = time.perf_counter()
            client._loop.run(asyncio.sleep, 0)
            nothing.append(time.perf_counter() - started)

    def read(records: Iterator[object]) -> float:
        started = time.perf_counter()
        return sum(1 for _ in records) / (time.perf_counter() - started)

    async def read_awaited(records: AsyncIterator[object]) -> float:
        started = time.perf_counter()
        count = 0
        async for _ in records:
            count += 1
        return count / (time.perf_counter() - started)

    with sync.AuroraX(base_url=base_url) as other:
        async with AuroraX(base_url=base_url) as client:
            request = await client.ephemeris.submit(query)
            await request.wait()
            for _ in range(calls // IN_A_TURN):
                for _ in range(IN_A_TURN):
                    started = time.perf_counter()
                    await client.ephemeris.status(request.request_id)
                    awaited.append(time.perf_counter() - started)
                await asyncio.to_thread(block, other, request.request_id)
            streams = [
                (
                    await read_awaited(request.stream()),
                    await asyncio.to_thread(read, other.ephemeris.resume(request.request_id).stream()),
                )
                for _ in range(3)
            ]
    awaited_rates, blocking_rates = zip(*streams, strict=True)
    # The first turn opens connections.
    return {
        "awaited_us": 1e6 * median(awaited[IN_A_TURN:]),
        "blocking_us": 1e6 * median(blocking[IN_A_TURN:]),
        "nothing_us": 1e6 * median(nothing[IN_A_TURN:]),
        "awaited_record_us": 1e6 / median(awaited_rates),
        "blocking_record_us": 1e6 / median(blocking_rates),
    }


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run it against a service of its own; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args(argv)
    if options.subject:
        report(lambda: both(options.base_url, options.calls))
        return []
    with local_service("--workers", "1") as base_url:
        facts = run_subject(MODULE, "both", "--base-url", base_url, "--calls", str(options.calls))
    rows = [
        {
            "what": what,
            "awaited µs": facts[f"awaited{of}_us"],
            "blocking µs": facts[f"blocking{of}_us"],
            "overhead µs": facts[f"blocking{of}_us"] - facts[f"awaited{of}_us"],
            "ratio": facts[f"blocking{of}_us"] / facts[f"awaited{of}_us"],
        }
        for what, of in (("a call", ""), ("a record of a stream", "_record"))
    ]
    rows.append(
        {"what": "nothing", "awaited µs": "", "blocking µs": facts["nothing_us"], "overhead µs": "", "ratio": ""}
    )
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
