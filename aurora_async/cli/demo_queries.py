"""The searches of the demo: a published one, and beside it what a night's work asks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice

import attrs

from aurora_async.aurorax.models import (
    ConjunctionQuery,
    DataProductQuery,
    EphemerisQuery,
    GroundBlock,
    Query,
    SpaceBlock,
)

__all__ = ["PUBLISHED_COUNT", "DemoSearch", "demo_searches"]

PUBLISHED_COUNT = 49
"""Conjunctions that AuroraX found for the first of the searches, printed in its documentation (June 2024)."""

_DAY = timedelta(days=1)
_FIRST_DAY = date(2020, 1, 1)
_SPACECRAFT = ("swarma", "swarmb", "swarmc")
_SPACECRAFT_DAYS = 3  # each costs the service some seconds of computing


@attrs.frozen
class DemoSearch:
    """A query, and the file (below the demo's folder) for its result."""

    file: str
    query: Query

    @property
    def kind(self) -> str:
        """The kind of search, which is also the folder of the file."""
        return self.file.partition("/")[0]


def demo_searches(count: int) -> list[DemoSearch]:
    """Return the first `count` searches of the demo."""
    return list(islice(_all(), count))


def _all() -> Iterator[DemoSearch]:
    yield DemoSearch(
        "conjunctions/themis-asi_swarm_2020-01-01.json",
        ConjunctionQuery(
            start="2020-01-01T00:00:00",
            end="2020-01-01T06:59:59",
            ground=(GroundBlock(programs=("themis-asi",)),),
            space=(SpaceBlock(programs=("swarm",)),),
            max_distance_km=500,
            conjunction_types=("nbtrace",),
        ),
    )
    for day in _days(_SPACECRAFT_DAYS):
        for spacecraft in _SPACECRAFT:
            yield DemoSearch(
                f"ephemeris/{spacecraft}_{day}.json",
                EphemerisQuery(start=day, end=day, programs=("swarm",), platforms=(spacecraft,)),
            )
    for day in _days(None):
        yield DemoSearch(
            f"data_products/trex_rgb_{day}.json",
            DataProductQuery(start=day, end=day, programs=("trex",), instrument_types=("RGB ASI",)),
        )


def _days(count: int | None) -> Iterator[date]:
    day = _FIRST_DAY
    while count is None or day < _FIRST_DAY + count * _DAY:
        yield day
        day += _DAY
