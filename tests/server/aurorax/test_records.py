"""Records as clients expect them, and their parts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.find import Found, FoundPair, Track, find_conjunctions
from aurora_async.server.aurorax.records import (
    LEVELS,
    ConjunctionRecords,
    check_level,
    conjunction_lines,
    custom_source,
    data_product_record,
    ephemeris_record,
    ephemeris_records,
    level_projector,
    location,
    projector,
    source_record,
    timestamp_from_s,
    timestamps_from_s,
)

PUBLISHED = json.loads((Path(__file__).parents[2] / "facts" / "published_records.json").read_text(encoding="utf-8"))

ATHA = {
    "identifier": 44, "program": "themis-asi", "platform": "athabasca", "instrument_type": "panchromatic ASI",
    "source_type": "ground", "display_name": "THEMIS-ASI ATHA",
}  # fmt: skip
SWARM_A = {
    "identifier": 3, "program": "swarm", "platform": "swarma", "instrument_type": "footprint", "source_type": "leo",
    "display_name": "Swarm A", "owner": "somebody@example.org", "metadata": {"a": 1}, "maintainers": None,
    "ephemeris_metadata_schema": [
        {"field_name": "state", "description": "d", "data_type": "string", "allowed_values": [], "searchable": True},
    ],
}  # fmt: skip
START = 1577843160  # 2020-01-01T01:46:00
FOUND = Found(
    (44, 3), START, START + 60, START, START + 60, 284.4208502571304, 493.1974761076123,
    (FoundPair((44, 3), START, START + 60, 284.4208502571304, 493.1974761076123),),
)  # fmt: skip
FORMAT = {
    "conjunction_type": True,
    "start": True,
    "end": True,
    "min_distance": False,
    "closest_epoch": True,
    "farthest_epoch": True,
    "data_sources": {"identifier": True, "display_name": True, "owner": False},
    "events": {
        "conjunction_type": True,
        "e1_source": {"identifier": True, "display_name": True},
        "e2_source": {"identifier": True, "display_name": True},
        "start": True,
        "end": True,
        "min_distance": True,
        "max_distance": True,
        "generated_e1_ephemeris_query": {"request_id": False, "data_sources": {"programs": False}},
    },
}


def conjunction(**options: Any) -> dict[str, Any]:
    return ConjunctionRecords(conjunction_type="nbtrace", sources={44: ATHA, 3: SWARM_A}, **options).record(FOUND)


def test_many_conjunctions_are_written_as_one_is() -> None:
    """The lines of a result file are the records, but for the last digit of a distance."""
    minutes = np.arange(1000, 2000)
    passing = np.stack((np.tile(np.linspace(40.0, 75.0, 50), 20), np.full(1000, -113.0)), axis=1)
    site = np.broadcast_to(np.array((54.7, -113.3)), (1000, 2))
    tracks = {"ground1": [Track(44, minutes, site)], "space1": [Track(3, minutes, passing)]}
    found = find_conjunctions(tracks, {"ground1-space1": 900}, subminute=False, start_s=0, end_s=10**6)
    sources = {44: ATHA, 3: SWARM_A}
    records = ConjunctionRecords(conjunction_type="nbtrace", sources=sources)
    ((count, text),) = conjunction_lines(found, "nbtrace", sources, between=b"\n")
    lines = text.split(b"\n")
    assert count == len(lines) == len(found) == 20
    for line, one in zip(lines, found, strict=True):
        written, record = msgspec.json.decode(line), records.record(one)
        assert [list(written), list(written["events"][0])] == [list(record), list(record["events"][0])]
        for part, other in ((written, record), *zip(written["events"], record["events"], strict=True)):
            for name in ("min_distance", "max_distance"):
                assert part[name] == pytest.approx(other.pop(name), abs=2e-11)
                del part[name]
        assert written == record


def test_a_conjunction_has_exactly_the_printed_keys() -> None:
    """One key more breaks PyAuroraX (1.4); distances have eleven decimals (3.6)."""
    record = conjunction()
    assert record == {
        "conjunction_type": "nbtrace",
        "start": "2020-01-01T01:46:00",
        "end": "2020-01-01T01:47:00",
        "data_sources": [ATHA, {key: SWARM_A[key] for key in LEVELS["basic_info"]}],
        "min_distance": 284.42085025713,
        "max_distance": 493.19747610761,
        "closest_epoch": "2020-01-01T01:46:00",
        "farthest_epoch": "2020-01-01T01:47:00",
        "events": [
            {
                "conjunction_type": "nbtrace",
                "e1_source": ATHA,
                "e2_source": {key: SWARM_A[key] for key in LEVELS["basic_info"]},
                "start": "2020-01-01T01:46:00",
                "end": "2020-01-01T01:47:00",
                "min_distance": 284.42085025713,
                "max_distance": 493.19747610761,
                "generated_e1_ephemeris_query": None,
                "generated_e2_ephemeris_query": None,
            }
        ],
    }
    assert b'"min_distance":284.42085025713,' in msgspec.json.encode(record)


def test_a_response_format_gives_the_published_record() -> None:
    """The record printed in the notebook of version 1.22.0, selected out of a full one."""
    published = PUBLISHED_CONJUNCTION
    assert projector("conjunctions", FORMAT)(conjunction(level="full_record", generate_queries=True)) == published


PUBLISHED_CONJUNCTION = {
    # github.com/aurorax-space/pyaurorax, examples/notebooks/search/search_conjunctions.ipynb (1.22.0), run 2025-02-12.
    "closest_epoch": "2020-01-01T01:46:00",
    "conjunction_type": "nbtrace",
    "data_sources": [
        {"display_name": "THEMIS-ASI ATHA", "identifier": 44},
        {"display_name": "Swarm A", "identifier": 3},
    ],
    "end": "2020-01-01T01:47:00",
    "events": [
        {
            "conjunction_type": "nbtrace",
            "e1_source": {"display_name": "THEMIS-ASI ATHA", "identifier": 44},
            "e2_source": {"display_name": "Swarm A", "identifier": 3},
            "end": "2020-01-01T01:47:00",
            "max_distance": 493.19747610761,
            "min_distance": 284.42085025713,
            "start": "2020-01-01T01:46:00",
        }
    ],
    "farthest_epoch": "2020-01-01T01:47:00",
    "start": "2020-01-01T01:46:00",
}


def test_generated_queries_ask_for_the_records_of_a_pair() -> None:
    """With the filter of the block; a custom location has no ephemeris to ask for."""
    only_cap = {"logical_operator": "AND", "expressions": [{"key": "k", "operator": "=", "values": ["v"]}]}
    event = conjunction(generate_queries=True, filters=[None, only_cap])["events"][0]
    assert event["generated_e1_ephemeris_query"]["data_sources"]["ephemeris_metadata_filters"] is None
    assert event["generated_e2_ephemeris_query"] == {
        "request_id": None,
        "start": "2020-01-01T01:46:00",
        "end": "2020-01-01T01:47:00",
        "data_sources": {
            "programs": ["swarm"],
            "platforms": ["swarma"],
            "instrument_types": ["footprint"],
            "ephemeris_metadata_filters": only_cap,
        },
    }
    here = custom_source(-1, 51.05, -114.07)
    found = Found((3, -1), 0, 0, 0, 0, 1.0, 1.0, (FoundPair((3, -1), 0, 0, 1.0, 1.0),))
    records = ConjunctionRecords(conjunction_type="nbtrace", sources={3: SWARM_A, -1: here}, generate_queries=True)
    event = records.record(found)["events"][0]
    assert event["generated_e1_ephemeris_query"] is not None
    assert event["generated_e2_ephemeris_query"] is None
    assert event["e2_source"]["source_type"] == "not_applicable"


def test_levels_show_their_fields() -> None:
    """Statistics are in none of them; what a source lacks is empty."""
    assert source_record(SWARM_A, "identifier_only") == {"identifier": 3}
    assert list(source_record(SWARM_A)) == list(LEVELS["basic_info"])
    assert source_record(ATHA, "with_metadata")["metadata"] == {}
    full = source_record(SWARM_A | {"stats": {}}, "full_record")
    assert list(full) == list(LEVELS["full_record"])
    assert full["maintainers"] == []
    assert source_record(ATHA, "full_record")["owner"] is None
    assert check_level(None) == "basic_info"
    with pytest.raises(InvalidQuery, match="data_source_record_format: 'full' is unknown; use one of identifier_only"):
        check_level("full")


@pytest.mark.parametrize("level", LEVELS)
def test_a_stored_record_is_shown_at_any_level(level: str) -> None:
    """What `GET …/data` answers is cut out of the full records of the file."""
    full = conjunction(level="full_record", generate_queries=True)
    assert level_projector("conjunctions", level)(full) == conjunction(level=level)
    assert level_projector("conjunctions", level, generated_queries=True)(full) == conjunction(
        level=level, generate_queries=True
    )


def test_published_ephemeris_records_are_rebuilt() -> None:
    """To the last key and digit, null traces of open field lines and null GSM positions included."""
    seconds = 1546300800
    record = ephemeris_record(
        ATHA,
        seconds,
        location_geo=(1.5, 2.5),
        location_gsm=(None, None),
        nbtrace=(math.nan, math.nan),
        sbtrace=(-1.0, 0.0),
    )
    assert record == {
        "data_source": ATHA,
        "epoch": "2019-01-01T00:00:00",
        "location_geo": {"lat": 1.5, "lon": 2.5},
        "location_gsm": {"lat": None, "lon": None},
        "nbtrace": {"lat": None, "lon": None},
        "sbtrace": {"lat": -1.0, "lon": 0.0},
        "metadata": {},
    }
    many = ephemeris_records(
        ATHA,
        np.array([seconds]),
        location_geo=np.array([[1.5, 2.5]]),
        location_gsm=np.array([[math.nan, math.nan]]),
        nbtrace=np.array([[math.nan, 4.0]]),
        sbtrace=np.array([[-1.0, 0.0]]),
        metadata=[{}],
    )
    assert list(many) == [record]
    assert location(1.0, None) == {"lat": None, "lon": None}


def test_a_data_product_record_has_the_six_keys() -> None:
    """As printed for a TREx RGB keogram."""
    record = data_product_record(ATHA, "keogram", START, START + 59, "https://x/y.jpg", {"keogram_type": "hourly"})
    assert list(record) == ["data_source", "data_product_type", "start", "end", "url", "metadata"]
    assert record["end"] == "2020-01-01T01:46:59"
    assert projector("data_products", {"url": True, "metadata": True})(record) == {
        "url": "https://x/y.jpg",
        "metadata": {"keogram_type": "hourly"},
    }


@given(st.integers(-62135596800, 253402300799))
def test_timestamps_are_whole_seconds_without_a_zone(seconds: int) -> None:
    """Years 1 to 9999, each with four digits; one by one and many at once."""
    text = timestamp_from_s(seconds)
    assert len(text) == len("2020-01-01T00:00:00")
    assert timestamps_from_s([seconds]) == [text]


def test_parts_of_records_follow_the_format() -> None:
    """`true` on an object takes all of it, unknown keys are ignored, what is not there is null."""
    record = ephemeris_record(
        SWARM_A, 0, location_geo=(1.0, 2.0), location_gsm=(3.0, 4.0), nbtrace=(None, None), sbtrace=(7.0, 8.0)
    )
    project = projector("ephemeris", {
        "epoch": True,
        "location_geo": True,
        "nbtrace": {"lat": True},
        "sbtrace": {"lat": False},
        "location_gsm": None,
        "data_source": {"maintainers": True, "data_product_metadata_schema": True, "ephemeris_metadata_schema": {
            "data_type": True, "additional_description": True,
        }},
        "added_next_year": {"and": {"its": True}},
    })  # fmt: skip
    assert project(record) == {
        "data_source": {
            "maintainers": None,
            "ephemeris_metadata_schema": [{"data_type": "string", "additional_description": None}],
            "data_product_metadata_schema": None,
        },
        "epoch": "1970-01-01T00:00:00",
        "location_geo": {"lat": 1.0, "lon": 2.0},
        "nbtrace": {"lat": None},
    }
    assert projector("ephemeris", {})(record) == {}


def test_the_logical_operator_of_a_format_is_in_camel_case() -> None:
    """In the format alone (2.5)."""
    only_cap = {"logical_operator": "OR", "expressions": [{"key": "k", "operator": "=", "values": ["v"]}]}
    record = conjunction(generate_queries=True, filters=[None, only_cap])
    filters = {"logicalOperator": True, "expressions": {"key": True}}
    query = {"data_sources": {"ephemeris_metadata_filters": filters}}
    events = projector("conjunctions", {"events": {"generated_e2_ephemeris_query": query}})(record)["events"]
    wanted = {"logical_operator": "OR", "expressions": [{"key": "k"}]}
    assert events == [{"generated_e2_ephemeris_query": {"data_sources": {"ephemeris_metadata_filters": wanted}}}]


@pytest.mark.parametrize(("response_format", "field"), [
    (None, "response_format"),
    ([], "response_format"),
    ({"start": "yes"}, "response_format.start"),
    ({"start": 1}, "response_format.start"),
    ({"start": {"a": True}}, "response_format.start"),
    ({"events": {"e1_source": {"identifier": []}}}, "response_format.events.e1_source.identifier"),
    ({"data_sources": [{"identifier": True}]}, "response_format.data_sources"),
    ({"unheard_of": "x"}, "response_format.unheard_of"),
])  # fmt: skip
def test_a_malformed_format_is_refused_at_its_place(response_format: Any, field: str) -> None:
    """The message names the key, so that the 400 that it becomes can be acted on."""
    with pytest.raises(InvalidQuery) as caught:
        projector("conjunctions", response_format)
    assert caught.value.field == field


def template(keys: dict[str, Any]) -> Any:
    return st.fixed_dictionaries({}, optional={
        key: st.booleans() if below is None else st.booleans() | template(below) for key, below in keys.items()
    })  # fmt: skip


SHAPE: dict[str, Any] = {
    "start": None,
    "data_sources": {"identifier": None, "display_name": None},
    "events": {"end": None, "e1_source": {"identifier": None, "owner": None}},
}


@given(template(SHAPE))
def test_a_projection_holds_what_was_chosen_and_nothing_else(response_format: dict[str, Any]) -> None:
    """Whatever the template, each value that comes back is the record's own."""
    record = conjunction(level="full_record")

    def check(part: Any, whole: Any, asked: Any) -> None:
        if isinstance(part, list):
            for one, other in zip(part, whole, strict=True):
                check(one, other, asked)
        elif isinstance(part, dict) and isinstance(asked, dict):
            assert part.keys() == {key for key, below in asked.items() if chosen(below)}
            for key, value in part.items():
                check(value, whole[key], asked[key])
        else:
            assert asked is True
            assert part == whole

    def chosen(asked: Any) -> bool:
        return any(map(chosen, asked.values())) if isinstance(asked, dict) else bool(asked)

    check(projector("conjunctions", response_format)(record), record, response_format)


def test_projectors_do_not_share_what_they_have_seen() -> None:
    """A data source that changes between two answers is shown changed."""
    renamed = dict(ATHA, display_name="new")
    for source in (ATHA, renamed):
        record = data_product_record(source, "keogram", 0, 0, "u")
        assert level_projector("data_products")(record)["data_source"] == source
