"""Distances for all pairs of criteria blocks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aurora_async.aurorax.distances import max_distances
from aurora_async.aurorax.models import (
    ConjunctionQuery,
    CustomLocationsBlock,
    EventsBlock,
    GroundBlock,
    SpaceBlock,
)
from aurora_async.errors import InvalidInput


def test_every_pair_of_blocks_gets_the_distance() -> None:
    """Those of one kind among themselves too, each pair once, in the service's order."""
    assert max_distances(500, ground=2, space=1) == {
        "ground1-ground2": 500,
        "ground1-space1": 500,
        "ground2-space1": 500,
    }
    assert list(max_distances(ground=1, events=1, custom_locations=1)) == [
        "ground1-events1", "ground1-custom1", "events1-custom1",
    ]  # fmt: skip
    assert set(max_distances(space=3).values()) == {None}


@pytest.mark.parametrize("counts", [{}, {"space": 1}, {"ground": 0, "events": 1}])
def test_fewer_than_two_blocks_have_no_pairs(counts: dict[str, int]) -> None:
    """Nothing to limit is an empty mapping."""
    assert max_distances(100, **counts) == {}


def test_the_pairs_are_those_of_a_query() -> None:
    """What is returned goes into a query as it is."""
    limits = max_distances(300.5, ground=1, space=2, events=1, custom_locations=1)
    limits["space1-space2"] = None
    query = ConjunctionQuery(
        start="2020-01-01",
        end="2020-01-01",
        max_distance_km=limits,
        ground=[GroundBlock(programs=["themis-asi"])],
        space=[SpaceBlock(programs=["swarm"]), SpaceBlock(programs=["themis"])],
        events=[EventsBlock()],
        custom_locations=[CustomLocationsBlock(locations=[(51.05, -114.07)])],
    )
    assert query.max_distances == limits


@pytest.mark.parametrize("distance", ["500", -5, float("nan"), float("inf"), True, [500]])
def test_a_distance_is_one_that_a_query_takes(distance: Any) -> None:
    """Refused where it is written, not where all the pairs are used."""
    with pytest.raises(InvalidInput) as caught:
        max_distances(distance, ground=1, space=1)
    assert caught.value.field == "distance_km"


def test_numbers_of_numpy_are_numbers() -> None:
    """The mapping is written to files, and json takes Python's own."""
    limits = max_distances(np.float32(500), ground=np.int64(1), space=1)  # type: ignore[arg-type]
    assert json.dumps(limits) == '{"ground1-space1": 500.0}'


@pytest.mark.parametrize("count", [-1, 1.0, True, "2"])
def test_a_count_is_a_number_of_blocks(count: Any) -> None:
    """A wrong one is refused by its name."""
    with pytest.raises(InvalidInput, match="custom_locations"):
        max_distances(500, custom_locations=count)
