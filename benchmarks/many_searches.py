"""How long do a thousand searches take at once, against the time that the service needs for the longest of them?

The ideal client ends when the service has the last one ready, whatever their number. The queries are ten-minute windows
of ephemeris, made as requests (submit, look, fetch), each with ten records (6 kB). Two services: a stand-in that
accepts faster than any client submits, and the local one, of whose own time to accept and run them the ideal knows
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Outcome, Span, Subject, figure
from benchmarks.table import Row, Target

__all__ = ["ask", "ours", "pyaurorax", "windows"]

SERVER_TIME_S = 2.0
THREADS = 100
FEW = 5


def ask(bench: Bench) -> list[Row]:
    """Ask for equal times, for a mix of them, and at the local service."""
    count, took, mix = (20, "0.2", "0.05-0.4") if bench.quick else (1000, f"{SERVER_TIME_S:g}", "0.2-8")
    few = bench.size(FEW, 2)
    threads, serial = f"pyaurorax, {THREADS} threads", f"pyaurorax, serial (of {few})"
    with standins.searches() as origin:
        base_url = f"{origin}/{took}"
        equal = bench.by_turns(
            {
                "ours": Subject(ours, (base_url, count)),
                threads: Subject(pyaurorax, (base_url, count, THREADS), needs="pyaurorax", rounds=1),
                serial: Subject(pyaurorax, (base_url, few, 1), needs="pyaurorax", rounds=1),
            }
        )
        base_url = f"{origin}/{mix}"
        mixed = bench.by_turns(
            {
                "ours": Subject(ours, (base_url, count)),
                threads: Subject(pyaurorax, (base_url, count, THREADS), needs="pyaurorax", rounds=1),
            }
        )
    with standins.local_service("--server-time", took) as (_, base_url):
        local = bench.by_turns(
            {
                "ours": Subject(ours, (base_url, count, float(took))),
                threads: Subject(pyaurorax, (base_url, count, THREADS, float(took)), needs="pyaurorax", rounds=1),
            }
        )

    def times_ideal(facts: Facts) -> float:
        return float(facts["wall_s"] / facts["ideal_s"] * (count / facts["count"] if facts["one_by_one"] else 1))

    def row(what: str, unit: str, found: Mapping[str, Outcome], of: Any, target: Target | None = None) -> Row:
        figures = {name: figure(outcome, of) for name, outcome in found.items()}
        return Row(
            question=f"{count:,} searches at once", what=what, unit=unit, ours=figures.pop("ours"), others=figures,
            target=target,
        )  # fmt: skip

    return [
        row(f"{took} s each", "x ideal", equal, times_ideal, Target("≤", 1.15)),
        row(f"{mix.replace('-', ' to ')} s", "x ideal", mixed, times_ideal, Target("≤", 1.3)),
        row("same, local service", "x ideal", local, times_ideal, Target("≤", 1.15)),
        row("CPU a search", "ms", equal, lambda facts: 1000 * facts["cpu_s"] / facts["count"], Target("≤", 2)),
        row("looks a search", "", equal, lambda facts: facts["looks"] / facts["count"]),
        row("memory", "MB", equal, "peak_mb"),
    ]


def windows(count: int) -> list[tuple[datetime, datetime]]:
    """Ten-minute windows of one day, from its start; more than a day's worth begins again a minute later."""
    day = datetime(2020, 1, 1)
    starts = [day + timedelta(minutes=(10 * n) % 1430 + (10 * n) // 1430 % 10) for n in range(count)]
    return [(start, start + timedelta(minutes=9)) for start in starts]


async def ours(base_url: str, count: int, ideal_s: float = 0) -> Facts:
    """All at once through `client.run`, records in memory; `ideal_s` where the service is not the stand-in."""
    from aurora_async import AuroraX, EphemerisQuery

    queries = [EphemerisQuery(start=start, end=end, platforms="swarma") for start, end in windows(count)]
    # What is imported only now, and the spacecraft-day, which the local service computes once.
    async with AuroraX(base_url=base_url if ideal_s else f"{base_url.rpartition('/')[0]}/0") as client:
        async for outcome in client.run(queries[:1]):
            outcome.unwrap()
    records = 0
    async with AuroraX(base_url=base_url) as client:
        with Span() as span:
            async for outcome in client.run(queries, at_once=count):
                records += len(outcome.unwrap().records or [])
    assert records == 10 * count, records
    return span.facts(count=count, one_by_one=False, **_told(base_url, ideal_s))


def pyaurorax(base_url: str, count: int, threads: int, ideal_s: float = 0) -> Facts:
    """The official client, one blocking search a thread."""
    from concurrent.futures import ThreadPoolExecutor

    import pyaurorax

    first = base_url if ideal_s else f"{base_url.rpartition('/')[0]}/0"
    client = pyaurorax.PyAuroraX(api_base_url=first, api_timeout=120, progress_bar_backend="standard")
    client.search.ephemeris.search(*windows(1)[0], platforms=["swarma"])
    client = pyaurorax.PyAuroraX(api_base_url=base_url, api_timeout=120, progress_bar_backend="standard")

    def search(window: tuple[datetime, datetime]) -> int:
        return len(client.search.ephemeris.search(*window, platforms=["swarma"]).data)

    with Span() as span, ThreadPoolExecutor(threads) as pool:
        records = sum(pool.map(search, windows(count)))
    assert records == 10 * count, records
    return span.facts(count=count, one_by_one=threads == 1, **_told(base_url, ideal_s))


def _told(base_url: str, ideal_s: float) -> dict[str, float]:
    """Return what the stand-in has to say; the local service does not count looks."""
    if ideal_s:
        return {"ideal_s": ideal_s, "looks": 0}
    seen = standins.seen(base_url)
    return {"ideal_s": max(one["waited_s"] for one in seen), "looks": sum(one["looks"] for one in seen)}
