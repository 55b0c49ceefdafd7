"""Queries that cannot be right are not built; records are what the service sent, with aware times."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import msgspec
import numpy as np
import pandas as pd
import pytest

from aurora_async.aurorax.filters import MetadataExpression, MetadataFilter
from aurora_async.aurorax.models import (
    Conjunction,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProduct,
    DataProductQuery,
    DataSource,
    DataSourceStatistics,
    Ephemeris,
    EphemerisQuery,
    EventsBlock,
    GroundBlock,
    Location,
    SchemaField,
    SpaceBlock,
    check_one_request,
)
from aurora_async.aurorax.wire import query_document
from aurora_async.errors import InvalidQuery
from aurora_async.transfer.decoding import decoder

RECORDS = json.loads((Path(__file__).parents[1] / "facts" / "aurorax_records.json").read_text("utf-8"))

GROUND = GroundBlock(programs="themis-asi")
SPACE = SpaceBlock(programs="swarm")
PLACE = CustomLocationsBlock(locations=[(51.05, -114.07)])


def conjunction(**changes: Any) -> ConjunctionQuery:
    """The published search of 2020-01-01, with changes."""
    usual: dict[str, Any] = {
        "start": "2020-01-01",
        "end": "2020-01-01T06",
        "ground": [GROUND],
        "space": [SPACE],
        "max_distance_km": 500,
    }
    return ConjunctionQuery(**usual | changes)


def ephemeris(**changes: Any) -> EphemerisQuery:
    return EphemerisQuery(**{"start": "2019-01-01", "end": "2019-01-01", "programs": "swarm"} | changes)


def products(**changes: Any) -> DataProductQuery:
    return DataProductQuery(**{"start": "2020-02", "end": "2020-02", "programs": "trex"} | changes)


def refusal(build: Any, *arguments: Any, **changes: Any) -> tuple[str, str]:
    with pytest.raises(InvalidQuery) as refused:
        build(*arguments, **changes)
    return refused.value.field, refused.value.reason


# Time ranges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [conjunction, ephemeris, products])
def test_a_range_that_runs_backwards_is_refused(build: Any) -> None:
    """The service would search, and find nothing."""
    assert refusal(build, start="2020-01-02", end="2020-01-01T12") == (
        "end",
        "2020-01-01T12:59:59 is before the start, 2020-01-02T00:00:00",
    )


@pytest.mark.parametrize("build", [conjunction, ephemeris, products])
@pytest.mark.parametrize("field", ["start", "end"])
@pytest.mark.parametrize("value", ["soon", None, 5, "2020-02-30"])
def test_a_wrong_time_is_named(build: Any, field: str, value: Any) -> None:
    """Start or end, what was given, and how it is written."""
    where, reason = refusal(build, **{field: value})
    assert where == field
    assert reason.startswith(repr(value))
    assert "2020-01-01T06:30" in reason


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2019-01-01T06", "2019-01-01T07:29"),
        ("2019-01-01T06:00:00.000Z", "2019-01-01T07:29:59Z"),
        (datetime(2019, 1, 1, 6), datetime(2019, 1, 1, 7, 29, 59)),
        (datetime(2019, 1, 1, 6, tzinfo=UTC), datetime(2019, 1, 1, 7, 29, 59, 999999, tzinfo=UTC)),
        (
            datetime(2018, 12, 31, 23, tzinfo=timezone(timedelta(hours=-7))),
            datetime(2019, 1, 1, 8, 29, 59, tzinfo=timezone(timedelta(hours=1))),
        ),
    ],
)
@pytest.mark.parametrize("build", [conjunction, ephemeris, products])
def test_however_its_times_are_written_a_query_is_the_same(build: Any, start: Any, end: Any) -> None:
    """A batch recognises its queries when it is run again, from whatever file or table they come."""
    query = build(start=start, end=end)
    usual = build(start="2019-01-01T06:00:00", end="2019-01-01T07:29:59")
    assert query == usual
    assert hash(query) == hash(usual)
    assert query.start.tzinfo is UTC
    assert query.duration == timedelta(hours=1, minutes=30, seconds=-1)


def test_a_day_may_be_given_as_a_date() -> None:
    """Both ends are inclusive: a date to itself is a day."""
    day = date(2019, 1, 1)
    assert ephemeris(start=day, end=day) == ephemeris(start="2019-01-01T00:00:00", end="2019-01-01T23:59:59")


def test_the_service_takes_one_month_of_ephemeris() -> None:
    """31 days to the second in one request. A longer query is one all the same: it is searched in windows."""
    assert ephemeris(start="2019-01", end="2019-01").duration == timedelta(days=31, seconds=-1)
    check_one_request(ephemeris(start="2019-01-01", end="2019-02-01T00:00:00"))
    with pytest.raises(InvalidQuery, match=r"^end: the range is 31.0 days long; the service takes at most one month"):
        check_one_request(ephemeris(start="2019-01-01", end="2019-02-01T00:00:01"))
    check_one_request(conjunction(start="2008", end="2019"))
    check_one_request(products(start="2008", end="2019"))


@pytest.mark.parametrize(
    "start", [np.datetime64("2019-01-01T06"), np.datetime64("2019-01-01T06:00:00", "ns"), pd.Timestamp("2019-01-01T06")]
)
def test_times_of_numpy_and_pandas_are_times(start: Any) -> None:
    """What a table holds; a Timestamp would keep its nanoseconds where the service counts seconds."""
    query = ephemeris(start=start, end="2019-01-01T07")
    assert query == ephemeris(start="2019-01-01T06", end="2019-01-01T07")
    assert type(query.start) is datetime


@pytest.mark.parametrize("value", [pd.NaT, np.datetime64("NaT"), np.int64(2020)])
def test_a_time_that_is_none_is_refused(value: Any) -> None:
    """NaT is a datetime by inheritance, and would be sent as a text."""
    field, reason = refusal(ephemeris, start=value)
    assert field == "start"
    assert "2020-01-01T06:30" in reason


# Criteria -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [ephemeris, products])
def test_a_search_names_a_data_source(build: Any) -> None:
    """The service requires one restriction at least."""
    wanted = ("programs", "name at least one program, platform or instrument type")
    assert refusal(build, programs=[]) == wanted
    assert refusal(build, programs=None) == wanted
    build(programs=[], platforms="gillam")
    build(programs=[], instrument_types="RGB ASI")


@pytest.mark.parametrize("build", [GroundBlock, SpaceBlock, EventsBlock, ephemeris, products])
@pytest.mark.parametrize("field", ["programs", "platforms", "instrument_types"])
@pytest.mark.parametrize("value", ["", "  ", 5, None, b"swarm", "fort\nsmith", "\udcff"])
def test_what_is_no_name_is_refused(build: Any, field: str, value: Any) -> None:
    """A blank or broken name matches no data source, silently."""
    assert refusal(build, **{field: [value]}) == (field, f"{value!r} is not a name")
    if value is not None:
        assert refusal(build, **{field: value}) == (field, f"{value!r} is not a name")


def test_one_name_needs_no_list() -> None:
    """`programs="swarm"` is one program, not five letters."""
    assert SpaceBlock(programs="swarm") == SpaceBlock(programs=["swarm"]) == SpaceBlock(programs=iter(["swarm"]))


@pytest.mark.parametrize("value", ["north", "Northern", 5, None])
def test_an_unknown_hemisphere_is_refused(value: Any) -> None:
    """The service has two."""
    reason = f"{value!r} is unknown; use one or more of northern, southern"
    assert refusal(SpaceBlock, programs="swarm", hemisphere=[value]) == ("hemisphere", reason)


@pytest.mark.parametrize("value", ["nbtraces", "north", 5, None])
def test_an_unknown_conjunction_type_is_refused(value: Any) -> None:
    """The service has three."""
    reason = f"{value!r} is unknown; use one or more of nbtrace, sbtrace, geographic"
    assert refusal(conjunction, conjunction_types=[value]) == ("conjunction_types", reason)


def test_no_conjunction_type_means_nbtrace() -> None:
    """As the service reads an empty list: 10 results where both footprints gave 22."""
    assert conjunction(conjunction_types=[]) == conjunction(conjunction_types=None) == conjunction()
    assert conjunction().conjunction_types == ("nbtrace",)
    assert conjunction(conjunction_types="geographic").conjunction_types == ("geographic",)


@pytest.mark.parametrize("value", ["keograms", "", 5, None])
def test_an_unknown_data_product_type_is_refused(value: Any) -> None:
    """Silently nothing would be found."""
    known = "keogram, montage, movie, summary_plot, data_availability, average, gridded_data"
    reason = f"{value!r} is unknown; use one or more of {known}"
    assert refusal(products, data_product_types=[value]) == ("data_product_types", reason)


@pytest.mark.parametrize("build", [GroundBlock, SpaceBlock, EventsBlock, ephemeris, products])
@pytest.mark.parametrize("value", ["a = 1", MetadataExpression("a", 1), [], {}])
def test_a_metadata_filter_is_one(build: Any, value: Any) -> None:
    """A dictionary as the wire has it belongs to `decode_query`."""
    assert refusal(build, metadata_filter=value) == ("metadata_filter", f"{value!r} is not a MetadataFilter")


def test_a_filter_without_expressions_is_none() -> None:
    """The service writes one for the other, and both let everything pass."""
    assert GroundBlock(programs="rego", metadata_filter=MetadataFilter()).metadata_filter is None


@pytest.mark.parametrize("value", [1, 0, "yes", None])
def test_subminute_precision_is_yes_or_no(value: Any) -> None:
    """30 was the older service's way to ask for it, and True == 1."""
    reason = f"{value!r} is neither True nor False"
    assert refusal(conjunction, subminute_precision=value) == ("subminute_precision", reason)


# Blocks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ground": [GROUND, GroundBlock()]}, "ground[1]"),
        ({"space": SpaceBlock()}, "space[0]"),
        ({"events": EventsBlock(programs=[])}, "events[0]"),
        ({"custom_locations": [CustomLocationsBlock(locations=[])]}, "custom_locations[0]"),
    ],
)
def test_an_empty_block_is_refused(changes: dict[str, Any], field: str) -> None:
    """It would mean every data source there is."""
    assert refusal(conjunction, **changes) == (field, "is empty: name at least one program or place")


def test_a_block_that_only_filters_is_not_empty() -> None:
    """Any imager under a clear sky, any spacecraft over the north: the service accepts both."""
    clear = MetadataFilter(MetadataExpression("cloudy", "no", "="))
    query = conjunction(ground=GroundBlock(metadata_filter=clear), space=SpaceBlock(hemisphere="northern"))
    assert query.pairs == ("ground1-space1",)


def test_an_events_block_means_all_events_unless_told_otherwise() -> None:
    """The official client names the program `events` in every such block."""
    assert EventsBlock(instrument_types="substorm onset").programs == ("events",)
    assert conjunction(events=EventsBlock()).blocks["events1"] == EventsBlock()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ground": []}, "a conjunction needs at least 2 criteria blocks, this query has 1"),
        ({"ground": (), "space": None}, "a conjunction needs at least 2 criteria blocks, this query has 0"),
        ({"ground": [GROUND] * 10}, "at most 10 criteria blocks are allowed, this query has 11"),
        (
            {"ground": [GROUND] * 4, "space": [SPACE] * 4, "custom_locations": [PLACE] * 4},
            "at most 10 criteria blocks are allowed, this query has 12",
        ),
    ],
)
def test_a_conjunction_takes_two_to_ten_blocks(changes: dict[str, Any], reason: str) -> None:
    """The official client looks at the upper end only."""
    assert refusal(conjunction, **changes) == ("blocks", reason)
    assert len(conjunction(ground=[GROUND] * 9).pairs) == 45


@pytest.mark.parametrize("field", ["ground", "space", "events", "custom_locations"])
@pytest.mark.parametrize("value", [5, "themis-asi", {"programs": ["rego"]}])
def test_a_block_is_one_of_its_kind(field: str, value: Any) -> None:
    """PyAuroraX turns what it does not expect into null, silently."""
    where, reason = refusal(conjunction, **{field: [value]})
    assert where == f"{field}[0]"
    assert reason.startswith(f"{value!r} is not a ")
    assert refusal(conjunction, **{field: 5}) == (f"{field}[0]", reason.replace(repr(value), "5"))


def test_a_space_block_is_no_ground_block() -> None:
    """They are told apart by their place in the query."""
    assert refusal(conjunction, ground=[SPACE]) == ("ground[0]", f"{SPACE!r} is not a GroundBlock")


def test_one_block_needs_no_list() -> None:
    """Most searches have one of a kind."""
    assert conjunction(ground=GROUND, space=SPACE) == conjunction()


@pytest.mark.parametrize(
    ("locations", "field", "reason"),
    [
        ([(91, 0)], "locations[0].lat", "91 must be a number of degrees from -90 to 90"),
        ([(0, 0), (-90.001, 0)], "locations[1].lat", "-90.001 must be a number of degrees from -90 to 90"),
        ([(0, 360.5)], "locations[0].lon", "360.5 must be a number of degrees from -180 to 360"),
        ([Location(0, -181)], "locations[0].lon", "-181 must be a number of degrees from -180 to 360"),
        ([(float("nan"), 0)], "locations[0].lat", "nan must be a number of degrees from -90 to 90"),
        ([(0, float("inf"))], "locations[0].lon", "inf must be a number of degrees from -180 to 360"),
        ([(True, 0)], "locations[0].lat", "True must be a number of degrees from -90 to 90"),
        ([("51", 0)], "locations[0].lat", "'51' must be a number of degrees from -90 to 90"),
        ([Location(None, None)], "locations[0].lat", "None must be a number of degrees from -90 to 90"),
        ((51.05, -114.07), "locations[0]", "51.05 is neither a Location nor a (lat, lon) pair"),
        ([(1, 2, 3)], "locations[0]", "(1, 2, 3) is neither a Location nor a (lat, lon) pair"),
        (None, "locations[0]", "None is neither a Location nor a (lat, lon) pair"),
    ],
)
def test_a_place_off_the_earth_is_refused(locations: Any, field: str, reason: str) -> None:
    """Latitude and longitude swapped is the usual mistake, and half of the time shows."""
    assert refusal(CustomLocationsBlock, locations=locations) == (field, reason)


def test_numbers_and_names_of_numpy_are_sent_as_others() -> None:
    """float64 is a float by inheritance alone, and the encoder's TypeError would come in the middle of a batch."""
    query = conjunction(
        ground=GroundBlock(programs=np.array(["themis-asi"])),
        space=SpaceBlock(
            programs=np.str_("swarm"), metadata_filter=MetadataFilter([MetadataExpression("n", np.float64(3))])
        ),
        custom_locations=CustomLocationsBlock(locations=np.array([[51.05, -114.07], [0.0, 200.0]])),
        max_distance_km={"ground1-space1": np.float64(500), np.str_("custom1-space1"): np.int64(300)},
        subminute_precision=np.bool_(True),
    )
    document = json.loads(msgspec.json.encode(query_document(query)))
    assert document["adhoc"] == [{"locations": [{"lat": 51.05, "lon": -114.07}, {"lat": 0, "lon": -160}]}]
    assert document["max_distances"]["ground1-space1"] == 500
    assert document["ground"][0]["programs"] == ["themis-asi"]
    assert document["subminute_precision"] is True
    msgspec.json.encode(query_document(conjunction(max_distance_km=np.float32(500))))
    msgspec.json.encode(query_document(products(data_product_types=np.array(["keogram"]))))


def test_places_at_the_edge_are_on_the_earth() -> None:
    """Poles, the date line, and longitudes counted to 360, which become those that the service describes."""
    edges = [(90, 0), (-90, 0), (0, -180), (0, 180), (0, 270.5), (0, 360)]
    longitudes = [place.lon for place in CustomLocationsBlock(locations=edges).locations]
    assert longitudes == [0, 0, -180, 180, -89.5, 0]


# Distances ----------------------------------------------------------------------------------------------------------


def test_blocks_and_pairs_are_in_the_order_of_the_service() -> None:
    """The official clients send every pair once, ground before space before events before places."""
    query = conjunction(ground=[GROUND] * 2, space=[SPACE], events=[EventsBlock()], custom_locations=[PLACE])
    assert list(query.blocks) == ["ground1", "ground2", "space1", "events1", "custom1"]
    assert query.pairs == (
        "ground1-ground2",
        "ground1-space1",
        "ground1-events1",
        "ground1-custom1",
        "ground2-space1",
        "ground2-events1",
        "ground2-custom1",
        "space1-events1",
        "space1-custom1",
        "events1-custom1",
    )
    assert query.max_distances == dict.fromkeys(query.pairs, 500)


@pytest.mark.parametrize(
    "name",
    [
        "space1-custom1",
        "custom1-space1",
        "adhoc1-space1",
        "space1-adhoc1",
        "space1-custom_locations1",
        " Space1 - ADHOC1 ",
    ],
)
def test_a_pair_may_be_named_in_any_way(name: str) -> None:
    """The OpenAPI sample has `adhoc1-space1`, users write `space1-adhoc1`, our word is `custom`."""
    query = conjunction(ground=[], custom_locations=[PLACE], max_distance_km={name: 300})
    assert query.max_distances == {"space1-custom1": 300}
    assert query == conjunction(ground=[], custom_locations=[PLACE], max_distance_km=300)


@pytest.mark.parametrize(
    "name",
    [
        "ground1-space2",
        "ground1-ground1",
        "ground2-space1",
        "ground1",
        "ground1-space1-space1",
        "ground-space",
        "ground0-space1",
        "ground01-space1",
        "",
        "-",
        "ground1space1",
        "events1-space1",
        "sky1-space1",
        None,
        5,
    ],
)
def test_a_pair_that_does_not_exist_is_refused(name: Any) -> None:
    """PyAuroraX drops it without a word, and searches without the limit."""
    field = f"max_distance_km[{name!r}]"
    assert refusal(conjunction, max_distance_km={name: 300}) == (
        field,
        "is no pair of this query's blocks (ground1-space1)",
    )


def test_a_pair_name_does_not_match_the_beginning_of_another() -> None:
    """In PyAuroraX `ground1-space1` also sets `ground10-space1`, which matches as a substring."""
    query = conjunction(ground=[], space=[SPACE] * 10, max_distance_km={"space1-space2": 300})
    assert [pair for pair, limit in query.max_distances.items() if limit is not None] == ["space1-space2"]


def test_entries_that_contradict_each_other_are_refused() -> None:
    """Which one would count? Saying the same twice is harmless."""
    both = {"ground1-space1": 500, "space1-ground1": 400}
    reason = "differs from another entry for the pair ground1-space1"
    assert refusal(conjunction, max_distance_km=both) == ("max_distance_km['space1-ground1']", reason)
    assert refusal(conjunction, max_distance_km=both | {"ground1-space1": None})[1] == reason
    assert conjunction(max_distance_km={"ground1-space1": 500, "space1-ground1": 500.0}) == conjunction()


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (-1, "-1 km is negative"),
        (-0.5, "-0.5 km is negative"),
        (float("-inf"), "-inf km is negative"),
        (float("inf"), "inf km is no limit: give None for the pairs that have none"),
        (2**31 + 1, "2147483649 km is no limit: give None for the pairs that have none"),
        (float("nan"), "nan is not a number of kilometres"),
        (True, "True is not a number of kilometres"),
        ("500", "'500' is not a number of kilometres"),
        ([500], "[500] is not a number of kilometres"),
    ],
)
def test_a_distance_is_a_number_of_kilometres(limit: Any, reason: str) -> None:
    """For one pair or for all."""
    assert refusal(conjunction, max_distance_km=limit) == ("max_distance_km", reason)
    where = "max_distance_km['space1-ground1']"
    assert refusal(conjunction, max_distance_km={"space1-ground1": limit}) == (where, reason)


@pytest.mark.parametrize("limit", [{}, {"ground1-space1": None}])
def test_a_query_without_any_limit_is_refused(limit: Any) -> None:
    """Everything would be a conjunction with everything."""
    assert refusal(conjunction, max_distance_km=limit) == (
        "max_distance_km",
        "limits no pair of blocks: give at least one distance",
    )
    assert refusal(conjunction, max_distance_km=None) == ("max_distance_km", "None is not a number of kilometres")


def test_a_pair_that_is_left_out_has_no_limit() -> None:
    """One that is named has, be it 0 km: the same site."""
    query = conjunction(ground=[GROUND, GROUND], max_distance_km={"ground1-ground2": 0, "ground1-space1": 1.5})
    assert query.max_distances == {"ground1-ground2": 0, "ground1-space1": 1.5, "ground2-space1": None}


# Queries are values -------------------------------------------------------------------------------------------------

QUERIES = [
    conjunction(),
    conjunction(custom_locations=[PLACE], max_distance_km={"ground1-space1": 500, "ground1-custom1": None}),
    ephemeris(metadata_filter=MetadataFilter([MetadataExpression("tii_on", True, "=")])),
    products(data_product_types="keogram"),
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: type(query).__name__)
def test_queries_travel(query: Any) -> None:
    """To worker processes, clusters and journals, whole."""
    for again in (pickle.loads(pickle.dumps(query)), copy.copy(query), copy.deepcopy(query), attrs.evolve(query)):
        assert again == query
        assert hash(again) == hash(query)
        assert repr(again) == repr(query)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: type(query).__name__)
def test_queries_cannot_be_changed(query: Any) -> None:
    """A query that changes after it was journalled is another query."""
    for name in ("start", "programs", "ground", "max_distance_km", "new"):
        with pytest.raises(AttributeError):
            setattr(query, name, query.start)


def test_a_query_does_not_share_the_lists_it_was_given() -> None:
    """Nor the mapping: a loop that reuses one would change all the queries it has made."""
    limits: dict[str, Any] = {"ground1-space1": 500}
    programs, ground, places = ["rego"], [GROUND], [(51.05, -114.07)]
    block = GroundBlock(programs=programs)
    custom = CustomLocationsBlock(locations=places)
    query = conjunction(ground=ground, max_distance_km=limits)
    limits["ground1-space1"] = 1
    for given in (programs, ground, places):
        given.clear()
    assert block.programs == ("rego",)
    assert len(custom.locations) == 1
    assert query == conjunction()
    with pytest.raises(TypeError):
        query.max_distance_km["ground1-space1"] = 1  # type: ignore[index]
    query.max_distances["ground1-space1"] = 1  # a copy
    assert query == conjunction()


def test_what_the_limits_are_not_how_they_are_written_makes_queries_equal() -> None:
    """A batch must recognise a query that came back from a file, where every pair is written out."""
    one, other = conjunction(), conjunction(max_distance_km={"space1-ground1": 500.0})
    assert one == other
    assert hash(one) == hash(other)
    assert conjunction(max_distance_km=501) != one
    assert conjunction(max_distance_km=500, subminute_precision=True) != one


def test_a_query_can_be_changed_into_another() -> None:
    """Splitting a long one into windows is `attrs.evolve`; what it then says is checked again."""
    query = conjunction(max_distance_km={"ground1-space1": 500})
    assert attrs.evolve(query, end="2020-01-02").max_distances == {"ground1-space1": 500}
    with pytest.raises(InvalidQuery):
        attrs.evolve(query, end="2019")


# Records ------------------------------------------------------------------------------------------------------------

# Protocol, 2.4.6: the nine keys of a real conjunction, the service's own values.
CONJUNCTION: dict[str, Any] = RECORDS["conjunction_selected"] | {
    "min_distance": 284.42085025713,
    "max_distance": 493.19747610761,
}


def decoded(record: Any, kind: type[Any]) -> Any:
    (found,) = decoder(kind)(b"[" + json.dumps(record).encode() + b"]")
    return found


def test_a_real_conjunction_is_read() -> None:
    """The first record of the published search with its distances."""
    found: Conjunction = decoded(CONJUNCTION, Conjunction)
    assert found.start == found.closest_epoch == datetime(2020, 1, 1, 1, 46, tzinfo=UTC)
    assert found.end == found.farthest_epoch == datetime(2020, 1, 1, 1, 47, tzinfo=UTC)
    assert [source.display_name for source in found.data_sources] == ["THEMIS-ASI ATHA", "Swarm A"]
    (pair,) = found.events
    assert (pair.min_distance, pair.max_distance) == (284.42085025713, 493.19747610761)
    assert pair.start == found.start
    assert pair.start.tzinfo is UTC
    assert pair.generated_e1_ephemeris_query is None


def test_a_conjunction_cut_by_a_response_format_is_no_whole_record() -> None:
    """Missing distances must not turn into zeros; the place is named."""
    with pytest.raises(msgspec.ValidationError, match="missing required field `min_distance`"):
        decoded(RECORDS["conjunction_selected"], Conjunction)


@pytest.mark.parametrize("record", RECORDS["ephemeris"], ids=lambda record: record["epoch"])
def test_real_ephemeris_are_read(record: dict[str, Any]) -> None:
    """Every value the service printed, to the last digit."""
    found: Ephemeris = decoded(record, Ephemeris)
    assert found.epoch == datetime.fromisoformat(record["epoch"]).replace(tzinfo=UTC)
    assert found.epoch.tzinfo is UTC
    assert found.metadata == record["metadata"]
    for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace"):
        assert attrs.asdict(getattr(found, name)) == record[name]
    assert found.location_gsm.exists is (record["location_gsm"]["lat"] is not None)
    assert found.data_source.display_name == record["data_source"]["display_name"]


def test_an_open_field_line_has_no_footprint() -> None:
    """Over the polar cap: null, null, which is a place that does not exist, not 0, 0."""
    found: Ephemeris = decoded(RECORDS["open_field_line"], Ephemeris)
    assert found.sbtrace == Location(None, None)
    assert not found.sbtrace.exists
    assert found.nbtrace.exists


@pytest.mark.parametrize("record", RECORDS["data_products"], ids=lambda record: record["data_source"]["display_name"])
def test_real_data_products_are_read(record: dict[str, Any]) -> None:
    """Times inside metadata stay the texts they are."""
    found: DataProduct = decoded(record, DataProduct)
    assert (found.start, found.end) == (
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2020, 1, 1, 23, 59, tzinfo=UTC),
    )
    assert (found.url, found.metadata) == (record["url"], record["metadata"])


def test_a_data_product_without_metadata_is_read() -> None:
    """As a response format leaves it."""
    assert decoded(RECORDS["data_product_selected"], DataProduct).metadata is None


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (Conjunction, CONJUNCTION),
        (Ephemeris, RECORDS["ephemeris"][0]),
        (DataProduct, RECORDS["data_products"][0]),
        (DataSource, {"identifier": 3}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_unknown_fields_are_tolerated_missing_ones_are_not(kind: type[Any], record: dict[str, Any]) -> None:
    """The service grows; the official client breaks with each new field."""
    assert decoded(record | {"new_field": {"a": [1]}}, kind) == decoded(record, kind)
    for name in record:
        if name != "metadata":
            with pytest.raises(msgspec.ValidationError):
                decoded({key: value for key, value in record.items() if key != name}, kind)


@pytest.mark.parametrize("written", ["2020-01-01T06:00:00", "2020-01-01T06:00:00Z", "2020-01-01T07:00:00.000+01:00"])
def test_however_a_time_is_written_it_is_aware_utc(written: str) -> None:
    """2024 the service wrote no zone, until 2022 a Z; naive and aware times cannot even be compared."""
    found: Ephemeris = decoded(RECORDS["ephemeris"][0] | {"epoch": written}, Ephemeris)
    assert found.epoch == datetime(2020, 1, 1, 6, tzinfo=UTC)
    assert found.epoch.tzinfo is UTC


def test_the_times_of_statistics_are_aware_too() -> None:
    """First and last record of a data source, or none yet."""
    counts = {"ephemeris_count": 1, "data_product_count": 0, "earliest_ephemeris_loaded": "2008-01-01T00:00:00"}
    found: DataSourceStatistics = decoded(counts, DataSourceStatistics)
    assert found.earliest_ephemeris_loaded == datetime(2008, 1, 1, tzinfo=UTC)
    assert found.latest_data_product_loaded is None


def test_a_place_of_the_users_own_is_a_data_source_too() -> None:
    """It comes back with a negative identifier and hardly any field."""
    assert decoded({"identifier": -1, "source_type": "not_applicable"}, DataSource).program is None


def test_a_location_that_is_null_has_no_coordinates() -> None:
    """As one whose latitude and longitude are null: nobody who reads `record.nbtrace.lat` should have to ask first."""
    text = b"""{"data_source": {"identifier": 3}, "epoch": "2020-01-01T00:00:00.5Z", "nbtrace": null, "sbtrace": null,
               "location_geo": {"lat": 1.5, "lon": null}, "location_gsm": null}"""
    (record,) = decoder(Ephemeris)(b"[" + text + b"]")
    assert record.nbtrace == record.sbtrace == record.location_gsm == Location(None, None)
    assert record.location_geo == Location(1.5, None)


def test_an_instant_before_the_first_is_a_wrong_value() -> None:
    """No OverflowError: the decoder says where it stands."""
    with pytest.raises(msgspec.ValidationError, match="outside the years 1 to 9999"):
        decoded(RECORDS["ephemeris"][0] | {"epoch": "0001-01-01T00:00:00+14:00"}, Ephemeris)


def test_parts_of_a_schema_that_are_null_are_as_unsaid() -> None:
    """One field with a null must not keep a whole list of data sources from being read."""
    nulls = {"description": None, "data_type": None, "allowed_values": None, "additional_description": None}
    found: DataSource = decoded(
        {"identifier": 3, "ephemeris_metadata_schema": [{"field_name": "n"} | nulls]}, DataSource
    )
    assert found.ephemeris_metadata_schema == [SchemaField(field_name="n")]
    assert repr(found.ephemeris_metadata_schema) == "[<SchemaField n: string>]"
