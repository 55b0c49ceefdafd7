"""Metadata filters, one record at a time and by columns; data sources of a block."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async.aurorax.filters import OPERATORS, MetadataExpression, MetadataFilter
from aurora_async.aurorax.models import EphemerisQuery, EventsBlock, GroundBlock, SpaceBlock
from aurora_async.server.aurorax.filtering import (
    compile_filter,
    hemisphere_mask,
    mask,
    matches_criteria,
    select_sources,
)
from aurora_async.server.data import data_sources

RECORD = {
    "nbtrace_region": "north polar cap",
    "radial_distance": 6819.1090046469235,
    "tii_quality_viy": 0,
    "tii_on": True,
    "version": "95",
    "nothing": None,
    "unknown": math.nan,
    "list": ["a"],
}


@pytest.mark.parametrize(("key", "operator", "values", "passes"), [
    ("nbtrace_region", "=", ["north polar cap"], True),
    ("nbtrace_region", "!=", ["north polar cap"], False),
    ("nbtrace_region", "in", ["north cusp", "north polar cap"], True),
    ("nbtrace_region", "not in", ["north cusp"], True),
    ("nbtrace_region", "=", ["North Polar Cap"], False),
    ("nbtrace_region", ">", ["5"], False),  # order is for numbers
    ("radial_distance", ">=", ["6819.1"], True),  # PyAuroraX writes one number as text
    ("radial_distance", "<", [6819.1], False),
    ("radial_distance", "between", ["6000", "7000"], True),
    ("radial_distance", "between", [6819.1090046469235, 7000], True),  # both ends belong to it
    ("radial_distance", "between", [7000, 6000], False),
    ("tii_quality_viy", "=", ["0"], True),
    ("tii_quality_viy", "=", ["0.0"], True),  # as numbers
    ("tii_quality_viy", "=", ["false"], False),
    ("tii_quality_viy", "!=", ["definitive"], True),
    ("tii_quality_viy", "not in", [0, 1], False),
    ("tii_on", "=", ["true"], True),
    ("tii_on", "=", ["True"], True),  # str() of a Python bool
    ("tii_on", "=", [True], True),
    ("tii_on", "=", ["1"], False),
    ("tii_on", "!=", ["false"], True),
    ("tii_on", "in", ["true", "false"], True),
    ("tii_on", ">", ["0"], False),
    ("version", "=", [95], True),  # a text is compared as text
    ("version", "=", [95.0], False),
    ("version", ">", [90], False),
])  # fmt: skip
def test_values_are_compared_as_what_they_are(key: str, operator: str, values: list[Any], passes: bool) -> None:
    """Numbers as numbers, bools by name, the rest as text (3.3)."""
    expression = MetadataExpression(key, values, operator)
    assert compile_filter(MetadataFilter(expression))(RECORD) is passes
    assert mask(MetadataFilter(expression), {key: [RECORD[key]] * 2}, 2).tolist() == [passes] * 2
    assert mask(MetadataFilter(expression), {key: RECORD[key]}, 2).tolist() == [passes] * 2


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("key", ["missing", "nothing", "unknown", "list"])
def test_a_record_without_the_value_never_matches(key: str, operator: str) -> None:
    """Not even for `!=`: sources without machine-learning fields drop out."""
    values: list[Any] = [1, 2] if operator == "between" else [1]
    metadata_filter = MetadataFilter(MetadataExpression(key, values, operator))
    assert compile_filter(metadata_filter)(RECORD) is False
    columns = {} if key == "missing" else {key: [RECORD[key]]}
    assert mask(metadata_filter, columns, 1).tolist() == [False]


def test_expressions_are_joined_by_and_or_or() -> None:
    """AND is the default; two expressions that exclude each other find nothing, as published."""
    cap = MetadataExpression("nbtrace_region", "north polar cap", "=")
    oval = MetadataExpression("nbtrace_region", "north auroral oval", "=")
    for logic, passes in (("AND", False), ("OR", True)):
        both = MetadataFilter((cap, oval), logic)
        assert compile_filter(both)(RECORD) is passes
        assert mask(both, {"nbtrace_region": np.array(["north polar cap"])}, 1).tolist() == [passes]


def test_no_filter_lets_everything_pass() -> None:
    """None, and a filter without expressions, restrict nothing."""
    for nothing in (None, MetadataFilter()):
        assert compile_filter(nothing)({}) is True
        assert mask(nothing, {}, 3).tolist() == [True] * 3


numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.5])
texts = st.sampled_from(["a", "b", "1", "2.5", "true", "True", ""])
values = numbers | texts | st.booleans()


@st.composite
def expressions(draw: st.DrawFn) -> MetadataExpression:
    operator = draw(st.sampled_from(OPERATORS))
    if operator in ("in", "not in"):
        chosen: list[Any] = draw(st.lists(values, min_size=1, max_size=3))
    elif operator in ("=", "!="):
        chosen = [draw(values)]
    else:
        chosen = [draw(numbers | numbers.map(str)) for _ in range(2 if operator == "between" else 1)]
    return MetadataExpression(draw(st.sampled_from(["x", "y"])), chosen, operator)


columns = st.integers(0, 6).flatmap(
    lambda rows: st.fixed_dictionaries({}, optional={
        key: st.one_of(
            st.lists(values | st.none(), min_size=rows, max_size=rows),
            st.lists(st.integers(-3, 3), min_size=rows, max_size=rows).map(lambda v: np.array(v, dtype=np.int32)),
            st.lists(numbers | st.just(math.nan), min_size=rows, max_size=rows).map(lambda v: np.array(v, dtype=float)),
            st.lists(st.booleans(), min_size=rows, max_size=rows).map(lambda v: np.array(v, dtype=bool)),
            st.lists(texts, min_size=rows, max_size=rows).map(lambda v: np.array(v, dtype=str)),
            st.lists(texts | st.none(), min_size=rows, max_size=rows).map(lambda v: np.array(v, dtype=object)),
            values,
        )
        for key in ("x", "y")
    }).map(lambda found: (rows, found))
)  # fmt: skip


def at(column: Any, row: int) -> Any:
    if isinstance(column, np.ndarray):
        return column[row : row + 1].tolist()[0]
    return column[row] if isinstance(column, list) else column


@settings(max_examples=150, deadline=None)
@given(st.lists(expressions(), min_size=1, max_size=3), st.sampled_from(["AND", "OR"]), columns)
def test_columns_and_records_agree(
    found: list[MetadataExpression], logic: Literal["AND", "OR"], table: tuple[int, dict[str, Any]]
) -> None:
    """The two ways to apply a filter are one rule, whatever kind of array the metadata stand in."""
    rows, data = table
    metadata_filter = MetadataFilter(found, logic)
    passes = compile_filter(metadata_filter)
    expected = [passes({key: at(column, row) for key, column in data.items()}) for row in range(rows)]
    assert mask(metadata_filter, data, rows).tolist() == expected


def test_a_block_names_its_sources_exactly() -> None:
    """OR in a list, AND between lists, empty lists restrict nothing, whole values, case as stored."""
    sources = data_sources()

    def names(block: Any) -> list[str]:
        return [str(source["display_name"]) for source in select_sources(sources, block)]

    assert names(SpaceBlock(programs=("swarm",))) == ["Swarm A", "Swarm B", "Swarm C"]
    assert names(SpaceBlock(programs=("swarm", "epop"), platforms=("swarmb", "epop"))) == ["Swarm B", "ePOP"]
    assert names(SpaceBlock(programs=("Swarm",))) == []
    assert names(SpaceBlock(platforms=("swarm",))) == []
    assert names(EphemerisQuery(start="2020-01-01", end="2020-01-02", platforms=("swarma",))) == ["Swarm A"]
    assert len(names(GroundBlock(programs=("themis-asi",)))) == 24


def test_a_block_means_its_sources_whatever_their_type() -> None:
    """Blocks select by position in the query, not by source type (3.1)."""
    swarm: dict[str, Any] = {"identifier": 3, "program": "swarm", "platform": "swarma", "instrument_type": "footprint"}
    swarm["source_type"] = "leo"
    onset = swarm | {"program": "events", "source_type": "event_list"}
    assert matches_criteria(swarm, GroundBlock(programs=("swarm",)))
    assert matches_criteria(onset, EventsBlock(instrument_types=("footprint",)))
    assert not matches_criteria(swarm, EventsBlock(instrument_types=("footprint",)))  # programs: events


def test_internal_sources_belong_to_no_block() -> None:
    """The sources behind custom locations are not found by their names."""
    internal = {"identifier": -1, "program": "adhoc", "platform": "p", "instrument_type": "i"}
    assert not matches_criteria(internal, GroundBlock(programs=("adhoc",)))


def test_hemispheres_go_by_geographic_latitude() -> None:
    """The equator is northern; an unknown position is in neither."""
    lats = [10.0, 0.0, -0.1, math.nan]
    assert hemisphere_mask(lats, ["northern"]).tolist() == [True, True, False, False]
    assert hemisphere_mask(lats, ["southern"]).tolist() == [False, False, True, False]
    assert hemisphere_mask(lats, ["southern", "northern"]).tolist() == [True, True, True, False]
    assert hemisphere_mask(lats, []).tolist() == [True] * 4
