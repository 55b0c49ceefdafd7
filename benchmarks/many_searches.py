"""How long do many searches at once take, against the time that the service needs for one of them?

The local service is told to take 2 s for each search; the ideal client ends after 2 s, whatever their number. Accepting
a thousand takes the service itself a while, so the table also tells when it had the last one over, by its own clock.
The queries are ten-minute ephemeris windows, made as requests (submit, look, fetch), each with ten records (6 kB).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from benchmarks.measure import local_service, print_table, report, run_subject

MODULE = "benchmarks.many_searches"
SERVER_TIME_S = 2.0


def windows(count: int) -> list[tuple[datetime, datetime]]:
    """Ten-minute windows of one day, from its start; more than a day's worth begins again a minute later."""
    day = datetime(2020, 1, 1)
    starts = [day + timedelta(minutes=(10 * n) % 1430 + (10 * n) // 1430) for n in range(count)]
    return [(start, start + timedelta(minutes=9)) for start in starts]


async def ours(base_url: str, count: int) -> Mapping[str, Any]:
    """All at once through `client.run`, records in memory."""
    from aurora_async import AuroraX, EphemerisQuery

    queries = [EphemerisQuery(start=start, end=end, platforms="swarma") for start, end in windows(count)]
    looks = 0
    first, last = None, None

    def count_looks(event: Any) -> None:
        nonlocal looks, first, last
        if event.kind.value == "polled":
            looks += 1
        elif event.kind.value == "ready":
            first = min(first or event.status.requested, event.status.requested)
            last = max(last or event.status.completed, event.status.completed)

    loop = asyncio.get_running_loop()
    async with AuroraX(base_url=base_url) as client:
        # The spacecraft-day is computed once, before the clock starts.
        await client.ephemeris.search(EphemerisQuery(start="2020-01-01", end="2020-01-01", platforms="swarma"))
        started = loop.time()
        records = 0
        with client.events.subscribe(count_looks):
            async for outcome in client.run(queries, at_once=count):
                records += len(outcome.unwrap().records or [])
        took_s = loop.time() - started
        assert first is not None and last is not None
        return {
            "search_s": took_s,
            "service_s": (last - first).total_seconds(),
            "records": records,
            "looks": looks,
        }


async def pyaurorax(base_url: str, count: int, threads: int = 100) -> Mapping[str, Any]:
    """The official client, one blocking search a thread."""
    import time
    from concurrent.futures import ThreadPoolExecutor

    import pyaurorax as official

    client = official.PyAuroraX(api_base_url=base_url, api_timeout=120, progress_bar_backend="standard")
    client.search.ephemeris.search(*windows(1)[0], platforms=["swarma"])

    def search(window: tuple[datetime, datetime]) -> int:
        return len(client.search.ephemeris.search(*window, platforms=["swarma"]).data)

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        records = sum(pool.map(search, windows(count)))
    return {"search_s": time.perf_counter() - started, "service_s": None, "records": records, "looks": None}


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects against one service each; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--peers", action="store_true", help="also run the official client")
    options = parser.parse_args(argv)
    if options.subject:
        work = {"ours": ours, "pyaurorax": pyaurorax}[options.subject]
        report(lambda: work(options.base_url, options.count))
        return []
    rows = []
    for subject in ["ours", *(["pyaurorax"] if options.peers else [])]:
        with local_service("--server-time", str(SERVER_TIME_S)) as base_url:
            facts = run_subject(MODULE, subject, "--base-url", base_url, "--count", str(options.count))
        rows.append(
            {
                "client": subject,
                "searches": options.count,
                "seconds": facts["search_s"],
                "x ideal": facts["search_s"] / SERVER_TIME_S,
                "x service": facts["search_s"] / facts["service_s"] if facts["service_s"] else "",
                "ms CPU a search": 1000 * facts["cpu_s"] / options.count,
                "looks a search": facts["looks"] / options.count if facts["looks"] else "",
                "peak MB": facts["peak_mb"],
                "records": facts["records"],
            }
        )
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
