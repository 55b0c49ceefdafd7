"""Pure helpers beside the official client's own: field lines, distances, response formats, addresses."""

from __future__ import annotations

from datetime import datetime
from types import ModuleType
from typing import Any

import pytest

from aurora_async.aurorax.distances import max_distances
from aurora_async.aurorax.formats import response_format
from aurora_async.aurorax.geometry import ground_to_nbtrace, ground_to_sbtrace
from aurora_async.aurorax.links import swarmaurora_url
from aurora_async.aurorax.models import Location

pytestmark = pytest.mark.peers

PLACES = [(lat, lon) for lat in (-85.0, -56.0, -30.5, 0.0, 35.0, 51.05, 68.0, 90.0) for lon in (-114.07, 20.0, 179.5)]


@pytest.mark.parametrize("year", [1995, 2020, 2026])
def test_field_lines_end_at_the_same_places(pyaurorax: ModuleType, aurorax: Any, year: int) -> None:
    """To the last digit; where the library has no answer, ours are nulls."""
    when = datetime(year, 3, 21, 12)
    for lat, lon in PLACES:
        for official, ours in (
            (aurorax.search.util.ground_geo_to_nbtrace, ground_to_nbtrace),
            (aurorax.search.util.ground_geo_to_sbtrace, ground_to_sbtrace),
        ):
            expected = official(pyaurorax.search.Location(lat, lon), when)
            found = ours(Location(lat, lon), when)
            if found.exists:
                assert (found.lat, found.lon) == (expected.lat, expected.lon)
            else:
                assert expected.lat != expected.lat


@pytest.mark.parametrize("blocks", [{}, {"ground": 1, "space": 1}, {"ground": 2, "space": 3, "events": 1, "custom": 2}])
def test_every_pair_of_blocks_is_the_same(aurorax: Any, blocks: dict[str, int]) -> None:
    """In the same order; custom locations go by our word for them, which is not the service's."""
    official = aurorax.search.conjunctions.create_advanced_distance_combos(distance=500, **blocks)
    counts = {"custom_locations" if kind == "custom" else kind: count for kind, count in blocks.items()}
    ours = max_distances(500, **counts)
    assert list(ours.items()) == [(pair.replace("adhoc", "custom"), limit) for pair, limit in official.items()]


@pytest.mark.parametrize("kind", ["conjunctions", "ephemeris", "data_products"])
def test_response_formats_are_the_same(aurorax: Any, kind: str) -> None:
    """Key by key."""
    for default in (True, False):
        assert response_format(kind, default) == getattr(aurorax.search, kind).create_response_format_template(default)


def test_the_address_of_swarm_aurora_is_the_same(pyaurorax: ModuleType, aurorax: Any) -> None:
    """Of one request."""

    class Search:
        request_id = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"

    assert swarmaurora_url(Search.request_id) == aurorax.search.conjunctions.swarmaurora.get_url(Search())
