"""How long is a result ready before the client notices, and how many looks does it take?

The stand-in knows when each request was ready and when it was next looked at. A request is the first of its kind (each
in a client of its own), or comes after others like it, of which the client has learned what to expect. Durations are
drawn from ± 10 %, so that no client can be lucky.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks import standins
from benchmarks.many_searches import windows
from benchmarks.measure import Bench, Facts, Subject, figure
from benchmarks.table import Row, Target

__all__ = ["after_others", "ask", "first", "pyaurorax"]

DURATIONS_S = (0.2, 1.0, 5.0, 30.0)
SAMPLES = 8
LEARNED_FROM = 4


def ask(bench: Bench) -> list[Row]:
    """Ask for each duration, all of them side by side."""
    durations_s = (0.1, 0.4) if bench.quick else DURATIONS_S
    samples = bench.size(SAMPLES, 2)
    with standins.searches() as origin:
        base_urls = [f"{origin}/{0.9 * duration_s:g}-{1.1 * duration_s:g}" for duration_s in durations_s]
        # The samples of a run are what its medians are of; a minute each is enough.
        found = bench.by_turns(
            {
                "first": Subject(first, (base_urls, samples), rounds=1),
                "after others": Subject(after_others, (base_urls, samples), rounds=1),
                "pyaurorax": Subject(pyaurorax, (base_urls, samples), needs="pyaurorax", rounds=1),
            }
        )

    def row(what: str, unit: str, ours: str, of: Any, target: Target) -> Row:
        return Row(
            question="delay between ready and noticed, of the first of a kind and later", what=what, unit=unit,
            ours=figure(found[ours], of), others={"pyaurorax": figure(found["pyaurorax"], of)}, target=target,
        )  # fmt: skip

    def share(at: int) -> Any:
        return lambda facts: 100 * facts["late"][at]

    def per_doubling(facts: Facts) -> float:
        looks = facts["looks"]
        return float((looks[-1] - looks[begin]) / math.log2(durations_s[-1] / durations_s[begin]))

    at_most, last = Target("≤", 10), len(durations_s) - 1
    begin = len(durations_s) // 4  # the shortest is over at the first look
    return [
        *(
            row(f"first, {duration_s:g} s", "% of it", "first", share(at), at_most)
            for at, duration_s in enumerate(durations_s)
        ),
        *(
            row(f"later, {durations_s[at]:g} s", "% of it", "after others", share(at), at_most)
            for at in sorted({1, last})
        ),
        row("first: looks", "per doubling", "first", per_doubling, Target("≤", 2)),
        row("later: looks", "per doubling", "after others", per_doubling, Target("≤", 2)),
    ]


async def first(base_urls: Sequence[str], samples: int) -> Facts:
    """So many clients for each duration, a search each."""

    async def one(base_url: str) -> None:
        async with _client(base_url) as client:
            await _searched(client, 1)

    await asyncio.gather(*(one(base_url) for base_url in base_urls for _ in range(samples)))
    return _seen(base_urls)


async def after_others(base_urls: Sequence[str], samples: int) -> Facts:
    """A client for each duration, which has seen some like them."""

    async def one(base_url: str) -> None:
        async with _client(base_url) as client:
            await _searched(client, LEARNED_FROM)
            standins.seen(base_url)  # forgets
            await _searched(client, samples)

    await asyncio.gather(*map(one, base_urls))
    return _seen(base_urls)


def pyaurorax(base_urls: Sequence[str], samples: int) -> Facts:
    """The official client, a thread for each search."""
    from concurrent.futures import ThreadPoolExecutor

    import pyaurorax

    def one(base_url: str) -> None:
        client = pyaurorax.PyAuroraX(api_base_url=base_url, api_timeout=120, progress_bar_backend="standard")
        client.search.ephemeris.search(*windows(1)[0], platforms=["swarma"])

    with ThreadPoolExecutor(samples * len(base_urls)) as pool:
        list(pool.map(one, [base_url for base_url in base_urls for _ in range(samples)]))
    return _seen(base_urls)


def _client(base_url: str) -> Any:
    from aurora_async import AuroraX

    return AuroraX(base_url=base_url)


async def _searched(client: Any, count: int) -> None:
    from aurora_async import EphemerisQuery

    queries = [EphemerisQuery(start=start, end=end, platforms="swarma") for start, end in windows(count)]
    async for outcome in client.run(queries, at_once=count):
        outcome.unwrap()


def _seen(base_urls: Sequence[str]) -> Facts:
    seen = [standins.seen(base_url) for base_url in base_urls]
    return {
        "late": [median(one["late_s"] / one["waited_s"] for one in each) for each in seen],
        "looks": [median(one["looks"] for one in each) for each in seen],
    }
