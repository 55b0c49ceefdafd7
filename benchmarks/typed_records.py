"""How fast does a JSON body become typed records, and in how much memory?

Every subject takes the body from the same stand-in over HTTP, and makes of each record an object with datetimes and
places; none keeps more of them than it must. pyaurorax, which takes ten times the body's size in memory, gets a smaller
one. The two JSON libraries are given dataclasses to fill, as one would write them.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from benchmarks import records, standins
from benchmarks.body_to_disk import DATA
from benchmarks.measure import Bench, Facts, Span, Subject, figure, watched_loop
from benchmarks.table import Row, Target

__all__ = ["ask", "by_ijson", "by_orjson", "ours", "pyaurorax", "ready_search"]


def ask(bench: Bench) -> list[Row]:
    """Ask for the pace, memory, and the longest time that the loop was blocked."""
    size, smaller = bench.size(500_000_000, 3_000_000), bench.size(100_000_000, 2_000_000)
    with standins.bodies() as origin:
        base_url = f"{origin}/plain/{size}"
        small = f"pyaurorax, {smaller / 1e6:g} MB"
        found = bench.by_turns(
            {
                "ours": Subject(ours, (base_url,)),
                small: Subject(pyaurorax, (f"{origin}/plain/{smaller}",), needs="pyaurorax"),
                "orjson, whole": Subject(by_orjson, (base_url,), needs="json"),
                "ijson": Subject(by_ijson, (base_url,), needs="json", rounds=1),
            }
        )

    def pace(facts: Facts) -> float:
        return float(facts["megabytes"] / facts["wall_s"])

    def row(what: str, unit: str, of: Any, target: Target, *names: str, worst: bool = False) -> Row:
        return Row(
            question=f"JSON to typed records, {size / 1e6:g} MB", what=what, unit=unit,
            ours=figure(found["ours"], of, worst=worst),
            others={name: figure(found[name], of) for name in names}, target=target, more_is_better=unit == "MB/s",
        )  # fmt: skip

    others = [name for name in found if name != "ours"]
    return [
        row("`stream`", "MB/s", pace, Target("≥", 12, small), *others),
        row("`stream`, again", "MB/s", pace, Target("≥", 4, "orjson, whole"), "orjson, whole"),
        row("memory", "MB", "peak_mb", Target("≤", 60), *others),
        row("lag of the loop", "ms", "lag_ms", Target("≤", 20), worst=True),
    ]


async def ours(base_url: str) -> Facts:
    """Record by record, as it comes."""
    from aurora_async import AuroraX, EphemerisQuery

    query = EphemerisQuery(start="2019-01-01", end="2019-01-31", programs="swarm")
    async with AuroraX(base_url=base_url) as client:
        request = await client.ephemeris.submit(query)
        status = await request.wait()
        count, north = 0, 0
        with watched_loop() as lag, Span() as span:
            async for record in request.stream():
                count += 1
                north += (record.location_geo.lat or 0) > 0
        assert count == status.records, (count, north)
        return span.facts(megabytes=(status.result_bytes or 0) / 1e6, lag_ms=lag.longest_ms)


def pyaurorax(base_url: str) -> Facts:
    """The official client: the body, its objects, and the records, all of them."""
    search = ready_search(base_url)
    with Span() as span:
        search.get_data()
        north = sum((record.location_geo.lat or 0) > 0 for record in search.data)
    assert len(search.data) == search.status["search_result"]["result_count"], north
    return span.facts(megabytes=search.status["search_result"]["file_size"] / 1e6)


def ready_search(base_url: str) -> Any:
    """Return a search of the official client that is over, and whose result is still to be had."""
    import pyaurorax

    client = pyaurorax.PyAuroraX(api_base_url=base_url, api_timeout=600, progress_bar_backend="standard")
    search = client.search.ephemeris.search(
        datetime(2019, 1, 1), datetime(2019, 1, 31), programs=["swarm"], return_immediately=True
    )
    search.wait()
    return search


def by_orjson(base_url: str) -> Facts:
    """The whole body, then its objects, then a record of each."""
    import orjson

    with Span() as span, urllib.request.urlopen(f"{base_url}/{DATA}") as answer:
        body = answer.read()
        _count(map(records.made_by_others(), orjson.loads(body)["result"]))
    return span.facts(megabytes=len(body) / 1e6)


def by_ijson(base_url: str) -> Facts:
    """Event by event, its fastest backend."""
    import ijson

    with Span() as span, urllib.request.urlopen(f"{base_url}/{DATA}") as answer:
        _count(map(records.made_by_others(), ijson.items(answer, "result.item", use_float=True)))
        size = int(answer.headers["Content-Length"])
    return span.facts(megabytes=size / 1e6)


def _count(made: Iterable[Any]) -> int:
    north = count = 0
    for record in made:
        count += 1
        north += (record.location_geo.lat or 0) > 0
    assert count, north
    return count
