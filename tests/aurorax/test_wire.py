"""AuroraX's JSON: real documents read, ours written as the official client does, wrong ones named to the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import (
    SearchStrategy,
    booleans,
    builds,
    characters,
    datetimes,
    dictionaries,
    floats,
    integers,
    just,
    lists,
    none,
    one_of,
    sampled_from,
    text,
    timedeltas,
    tuples,
)

from aurora_async.aurorax.filters import MetadataExpression, MetadataFilter
from aurora_async.aurorax.models import (
    CONJUNCTION_TYPES,
    DATA_PRODUCT_TYPES,
    HEMISPHERES,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProductQuery,
    DataSourceStatistics,
    EphemerisQuery,
    EventsBlock,
    GroundBlock,
    Query,
    SpaceBlock,
)
from aurora_async.aurorax.wire import (
    KINDS,
    decode_answer,
    decode_query,
    decode_status,
    kind_of,
    query_document,
    read_query,
)
from aurora_async.engine.protocol import LogEntry, Phase
from aurora_async.errors import InvalidQuery, MalformedAnswer
from aurora_async.http import Answer

FACTS = Path(__file__).parents[1] / "facts"
QUERIES = json.loads((FACTS / "aurorax_queries.json").read_text("utf-8"))
STATUSES = json.loads((FACTS / "aurorax_statuses.json").read_text("utf-8"))["documents"]
CONJUNCTIONS, EPHEMERIS, DATA_PRODUCTS = (KINDS[name] for name in ("conjunctions", "ephemeris", "data_products"))
URL = "/api/v1/conjunctions/requests/86b5"


def kind_of_status(document: dict[str, Any]) -> str:
    return {"conjunction": "conjunctions", "ephemeris": "ephemeris", "data_product": "data_products"}[
        document["kind"].partition(" ")[0]
    ]


def on_the_wire(query: Query, request_id: str | None = None) -> Any:
    """What the service reads: the document after its way through JSON."""
    return json.loads(json.dumps(query_document(query, request_id)))


def conjunction(**changes: Any) -> dict[str, Any]:
    usual = {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T06:59:59",
        "ground": [{"programs": ["themis-asi"]}],
        "space": [{"programs": ["swarm"]}],
        "max_distances": {"ground1-space1": 500},
    }
    return usual | changes


def search(**changes: Any) -> dict[str, Any]:
    """An ephemeris or data product query."""
    usual = {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59", "data_sources": {"programs": ["trex"]}}
    return usual | changes


def filtered(**expression: Any) -> dict[str, Any]:
    usual = {"key": "tii_on", "operator": "=", "values": ["true"]}
    block = {"programs": ["swarm"], "ephemeris_metadata_filters": {"expressions": [usual, usual | expression]}}
    return conjunction(space=[block])


# Real documents -----------------------------------------------------------------------------------------------------

REAL = [
    *((kind, document) for kind in KINDS for document in QUERIES[kind].values()),
    *(("conjunctions", published["query"]) for published in QUERIES["published"]),
    *((kind_of_status(document), document["status"]["search_request"]["query"]) for document in STATUSES),
]


@pytest.mark.parametrize(("kind", "document"), REAL)
def test_every_real_query_is_read(kind: str, document: dict[str, Any]) -> None:
    """Files of the official examples, notebooks since 2021, and what the service itself wrote into its statuses."""
    query = decode_query(document, KINDS[kind])
    assert isinstance(query, KINDS[kind].query_type)
    assert kind_of(query) is KINDS[kind]
    assert query.start == datetime.fromisoformat(document["start"][:19]).replace(tzinfo=UTC)
    assert query.end == datetime.fromisoformat(document["end"][:19]).replace(tzinfo=UTC)


@pytest.mark.parametrize(("kind", "document"), REAL)
def test_what_was_read_is_written_the_same_from_then_on(kind: str, document: dict[str, Any]) -> None:
    """Read and written again, a query neither grows nor loses anything."""
    written = on_the_wire(decode_query(document, KINDS[kind]))
    again = decode_query(written, KINDS[kind])
    assert again == decode_query(document, KINDS[kind])
    assert on_the_wire(again) == written


def test_the_parts_of_a_real_query_arrive() -> None:
    """The machine-learning search of the example notebooks, part by part."""
    query = decode_query(QUERIES["conjunctions"]["example7.json"], CONJUNCTIONS)
    assert query == ConjunctionQuery(
        start="2008-01",
        end="2008-01",
        ground=GroundBlock(
            programs="themis-asi",
            instrument_types="panchromatic ASI",
            metadata_filter=MetadataFilter(
                [
                    MetadataExpression("calgary_apa_ml_v1", ["classified as APA"], "in"),
                    MetadataExpression("calgary_apa_ml_v1_confidence", "95", ">="),
                ]
            ),
        ),
        space=SpaceBlock(programs="themis", instrument_types="footprint", hemisphere="northern"),
        max_distance_km=500,
    )


# Written as the official client writes ------------------------------------------------------------------------------


def test_a_conjunction_query_has_the_keys_the_official_client_sends() -> None:
    """Protocol 2.4.1, with every pair in order and `adhoc` for what we call custom."""
    query = ConjunctionQuery(
        start="2020-01-01",
        end="2020-01-01T06",
        ground=GroundBlock(programs="themis-asi", platforms=["gillam", "fort smith"]),
        space=[
            SpaceBlock(
                programs="swarm",
                hemisphere="northern",
                metadata_filter=MetadataFilter([MetadataExpression("tii_on", True, "=")], "or"),
            ),
            SpaceBlock(programs="themis"),
        ],
        events=EventsBlock(instrument_types="substorm onset"),
        custom_locations=CustomLocationsBlock(locations=[(51.05, -114.07)]),
        max_distance_km={"ground1-space1": 500, "custom1-space2": 12.5},
        conjunction_types=["nbtrace", "sbtrace"],
    )
    assert on_the_wire(query) == {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T06:59:59",
        "ground": [
            {
                "programs": ["themis-asi"],
                "platforms": ["gillam", "fort smith"],
                "instrument_types": [],
                "ephemeris_metadata_filters": None,
            }
        ],
        "space": [
            {
                "programs": ["swarm"],
                "platforms": [],
                "instrument_types": [],
                "hemisphere": ["northern"],
                "ephemeris_metadata_filters": {
                    "logical_operator": "OR",
                    "expressions": [{"key": "tii_on", "operator": "=", "values": [True]}],
                },
            },
            {
                "programs": ["themis"],
                "platforms": [],
                "instrument_types": [],
                "hemisphere": [],
                "ephemeris_metadata_filters": None,
            },
        ],
        "events": [
            {
                "programs": ["events"],
                "platforms": [],
                "instrument_types": ["substorm onset"],
                "ephemeris_metadata_filters": None,
            }
        ],
        "adhoc": [{"locations": [{"lat": 51.05, "lon": -114.07}]}],
        "conjunction_types": ["nbtrace", "sbtrace"],
        "max_distances": {
            "ground1-space1": 500,
            "ground1-space2": None,
            "ground1-events1": None,
            "ground1-adhoc1": None,
            "space1-space2": None,
            "space1-events1": None,
            "space1-adhoc1": None,
            "space2-events1": None,
            "space2-adhoc1": 12.5,
            "events1-adhoc1": None,
        },
    }
    assert list(query_document(query)["max_distances"])[:3] == ["ground1-space1", "ground1-space2", "ground1-events1"]


def test_an_ephemeris_query_has_the_keys_the_official_client_sends() -> None:
    """Protocol 2.4.2."""
    query = EphemerisQuery(start="2019-01-01", end="2019-01-01", programs="swarm", platforms="swarma")
    assert on_the_wire(query) == {
        "start": "2019-01-01T00:00:00",
        "end": "2019-01-01T23:59:59",
        "data_sources": {
            "programs": ["swarm"],
            "platforms": ["swarma"],
            "instrument_types": [],
            "ephemeris_metadata_filters": None,
        },
    }


def test_a_data_product_query_has_the_keys_the_official_client_sends() -> None:
    """Protocol 2.4.3: the types stand beside the data sources, where IDL-AuroraX loses them."""
    keograms = MetadataFilter([MetadataExpression("keogram_type", "daily")])
    query = DataProductQuery(
        start="2020-02", end="2020-02", programs="trex", metadata_filter=keograms, data_product_types="keogram"
    )
    assert on_the_wire(query) == {
        "start": "2020-02-01T00:00:00",
        "end": "2020-02-29T23:59:59",
        "data_sources": {
            "programs": ["trex"],
            "platforms": [],
            "instrument_types": [],
            "data_product_metadata_filters": {
                "logical_operator": "AND",
                "expressions": [{"key": "keogram_type", "operator": "in", "values": ["daily"]}],
            },
        },
        "data_product_type_filters": ["keogram"],
    }


def test_subminute_precision_is_sent_only_when_it_is_asked_for() -> None:
    """A field that older services do not know."""
    assert "subminute_precision" not in query_document(decode_query(conjunction(), CONJUNCTIONS))
    asked = decode_query(conjunction(subminute_precision=True), CONJUNCTIONS)
    assert query_document(asked)["subminute_precision"] is True


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_identifier_travels_beside_the_question(kind: Any) -> None:
    """The client chooses it before it submits; it is no part of the query, and every status has it."""
    document = conjunction() if kind is CONJUNCTIONS else search()
    query = decode_query(document, kind)
    assert query_document(query, "86b5e7b0")["request_id"] == "86b5e7b0"
    assert "request_id" not in query_document(query)
    for request_id in (None, "86b5e7b0"):
        assert decode_query(document | {"request_id": request_id}, kind) == query


def test_what_is_no_query_has_no_kind() -> None:
    """A block is not a query."""
    with pytest.raises(InvalidQuery, match="is not a ConjunctionQuery, EphemerisQuery or DataProductQuery"):
        kind_of(GroundBlock(programs="rego"))  # type: ignore[arg-type]


# The wire's other spellings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "2020-01-01T00:00:00.000Z", "end": "2020-01-01T06:59:59.000Z"},
        {"start": "2020-01-01", "end": "2020-01-01T06"},
        {"events": [], "adhoc": [], "conjunction_types": []},
        {"events": None, "adhoc": None, "conjunction_types": None, "subminute_precision": None},
        {"epoch_search_precision": 60},
        {"epoch_search_precision": None},
        {"epoch_search_precision": 30, "subminute_precision": False},
        {"max_distances": {"space1-ground1": 500.0}},
        {"ground": [{"programs": ["themis-asi"], "platforms": None, "ephemeris_metadata_filters": {}}]},
        {"ground": [{"programs": ["themis-asi"], "ephemeris_metadata_filters": None}]},
        {"ground": [{"programs": ["themis-asi"], "ephemeris_metadata_filters": []}]},
        {"ground": [{"programs": ["themis-asi"], "ephemeris_metadata_filters": {"expressions": None}}]},
        {
            "ground": [
                {
                    "programs": ["themis-asi"],
                    "instrument_types": [],
                    "ephemeris_metadata_filters": {"logical_operator": "AND", "expressions": []},
                }
            ]
        },
    ],
)
def test_other_spellings_of_the_same_query(changes: dict[str, Any]) -> None:
    """Web site, statuses of three years, and people."""
    assert decode_query(conjunction(**changes), CONJUNCTIONS) == decode_query(conjunction(), CONJUNCTIONS)


@pytest.mark.parametrize("precision", [1, 30, 59])
def test_the_former_precision_in_seconds_is_understood(precision: int) -> None:
    """Anything under a minute means sub-minute."""
    query = decode_query(conjunction(epoch_search_precision=precision), CONJUNCTIONS)
    assert query.subminute_precision  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "filters",
    [
        {"logical_operator": "AND", "expressions": [{"key": "a", "operator": "in", "values": ["b"]}]},
        {"expressions": [{"key": "a", "values": ["b"]}]},
        {"logical_operator": None, "expressions": [{"key": "a", "operator": "IN", "values": "b"}]},
        {"logicalOperator": "and", "expressions": [{"key": "a", "operator": "in", "values": ["b"]}]},
        [{"key": "a", "operator": "in", "values": ["b"]}],
    ],
)
def test_spellings_of_a_metadata_filter(filters: Any) -> None:
    """A bare list in 2021, camel case in the queries that conjunctions bring along, single values by hand."""
    document = search(data_sources={"programs": ["swarm"], "ephemeris_metadata_filters": filters})
    query = decode_query(document, EPHEMERIS)
    assert query.metadata_filter == MetadataFilter([MetadataExpression("a", "b")])  # type: ignore[union-attr]


def test_a_pair_of_ground_blocks_without_a_distance_means_the_same_site() -> None:
    """0 km, as the service reads it; other missing pairs have no limit."""
    document = conjunction(
        ground=[{"programs": ["trex"]}] * 3, max_distances={"ground1-space1": 500, "ground3-ground1": 9}
    )
    query = decode_query(document, CONJUNCTIONS)
    assert query.max_distances == {  # type: ignore[union-attr]
        "ground1-ground2": 0,
        "ground1-ground3": 9,
        "ground1-space1": 500,
        "ground2-ground3": 0,
        "ground2-space1": None,
        "ground3-space1": None,
    }
    no_limit = conjunction(
        ground=[{"programs": ["trex"]}] * 2, max_distances={"ground1-ground2": None, "ground1-space1": 5}
    )
    assert decode_query(no_limit, CONJUNCTIONS).max_distances["ground1-ground2"] is None  # type: ignore[union-attr]


@pytest.mark.parametrize("encode", [json.dumps, lambda document: json.dumps(document).encode("utf-8-sig")])
def test_a_query_is_read_from_text(encode: Callable[[Any], str | bytes]) -> None:
    """Files, with the mark that Windows' editors put in front."""
    assert read_query(encode(conjunction()), CONJUNCTIONS) == decode_query(conjunction(), CONJUNCTIONS)


# What is refused, and where -----------------------------------------------------------------------------------------

FILTER = "space[0].ephemeris_metadata_filters"


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        (None, "query", "is not a JSON object but nothing"),
        ([], "query", "is not a JSON object but []"),
        ("x" * 100, "query", f"is not a JSON object but '{'x' * 56}..."),
        ({}, "start", "is missing"),
        (conjunction(start=None), "start", "nothing is not a text"),
        (conjunction(start="soon"), "start", "'soon' is not a time; write 2020, "),
        (conjunction(end=20200101), "end", "20200101 is not a text"),
        (conjunction(end="2019"), "end", "2019-12-31T23:59:59 is before the start, 2020-01-01T00:00:00"),
        (
            conjunction(ends="2020"),
            "ends",
            "is unknown here; known are adhoc, conjunction_types, end, events, ground, ",
        ),
        (conjunction(ground=5), "ground", "5 is not a list of objects"),
        (conjunction(ground={"programs": ["rego"]}), "ground", "{'programs': ['rego']} is not a list of objects"),
        (conjunction(ground=["rego"]), "ground[0]", "'rego' is not an object"),
        (conjunction(ground=[{}]), "ground[0]", "is empty: name at least one program or place"),
        (conjunction(ground=[{"programs": "rego"}]), "ground[0].programs", "'rego' is not a list of texts"),
        (conjunction(ground=[{"programs": ["rego", 5]}]), "ground[0].programs", "5 is not a text"),
        (conjunction(ground=[{"programs": [" "]}]), "ground[0].programs", "' ' is not a name"),
        (conjunction(ground=[{"program": ["rego"]}]), "ground[0].program", "is unknown here; known are ephemeris_"),
        (conjunction(ground=[{"programs": ["a"], "hemisphere": []}]), "ground[0].hemisphere", "is unknown here; known"),
        (
            conjunction(space=[{"programs": ["a"]}, {"programs": ["a"], "hemisphere": ["north"]}]),
            "space[1].hemisphere",
            "'north' is unknown; use one or more of northern, southern",
        ),
        (conjunction(adhoc=[{}]), "adhoc[0].locations", "is missing"),
        (conjunction(adhoc=[{"locations": []}]), "adhoc[0]", "is empty: name at least one program or place"),
        (conjunction(adhoc=[{"locations": {}}]), "adhoc[0].locations", "{} is not a list of objects"),
        (conjunction(adhoc=[{"locations": [[51, -114]]}]), "adhoc[0].locations[0]", "[51, -114] is not an object"),
        (conjunction(adhoc=[{"locations": [{"lat": 51}]}]), "adhoc[0].locations[0].lon", "is missing"),
        (
            conjunction(adhoc=[{"locations": [{"lat": 1, "lon": 1}, {"lat": 91, "lon": 0}]}]),
            "adhoc[0].locations[1].lat",
            "91 must be a number of degrees from -90 to 90",
        ),
        (
            conjunction(adhoc=[{"locations": [{"lat": "51", "lon": 0}]}]),
            "adhoc[0].locations[0].lat",
            "'51' is not a number",
        ),
        (conjunction(space=[]), "blocks", "a conjunction needs at least 2 criteria blocks, this query has 1"),
        (conjunction(space=[{"programs": ["a"]}] * 10), "blocks", "at most 10 criteria blocks are allowed, this"),
        (conjunction(conjunction_types="nbtrace"), "conjunction_types", "'nbtrace' is not a list of texts"),
        (
            conjunction(conjunction_types=["north"]),
            "conjunction_types",
            "'north' is unknown; use one or more of nbtrace",
        ),
        (conjunction(max_distances=500), "max_distances", "500 is not an object of pairs of blocks and kilometres"),
        (conjunction(max_distances={}), "max_distances", "limits no pair of blocks: give at least one distance"),
        (conjunction(max_distances={"ground1-space1": "5"}), "max_distances", "'5' is not a number"),
        (conjunction(max_distances={"ground1-space1": -1}), "max_distances['ground1-space1']", "-1 km is negative"),
        (
            conjunction(max_distances={"ground1-space2": 1}),
            "max_distances['ground1-space2']",
            "is no pair of this query's blocks (ground1-space1)",
        ),
        (conjunction(subminute_precision=1), "subminute_precision", "1 is not true or false"),
        (conjunction(epoch_search_precision="30"), "epoch_search_precision", "'30' is not a number of seconds (30 or"),
        (conjunction(epoch_search_precision=0), "epoch_search_precision", "0 is not a number of seconds (30 or 60)"),
        (conjunction(epoch_search_precision=True), "epoch_search_precision", "True is not a number of seconds (30 or"),
        (filtered(key=5), f"{FILTER}.expressions[1].key", "5 is not a text"),
        (filtered(key=""), f"{FILTER}.expressions[1].key", "'' is not the name of a metadata field"),
        (filtered(operator="~"), f"{FILTER}.expressions[1].operator", "'~' is unknown; use one of =, !=, <, <=, >, >="),
        (filtered(operator="between"), f"{FILTER}.expressions[1].values", "'between' takes 2 values, not 1"),
        (filtered(operator="<"), f"{FILTER}.expressions[1].values", "['true']: '<' compares numbers"),
        (filtered(values=[None]), f"{FILTER}.expressions[1].values", "nothing is not a text, a number or a bool"),
        (filtered(values={"a": 1}), f"{FILTER}.expressions[1].values", "{'a': 1} is not a text, a number or a bool"),
        (filtered(value=1), f"{FILTER}.expressions[1].value", "is unknown here; known are key, operator, values"),
        (conjunction(space=[{"programs": ["a"], "ephemeris_metadata_filters": 0}]), FILTER, "0 is not an object"),
        (
            conjunction(space=[{"programs": ["a"], "ephemeris_metadata_filters": "a=1"}]),
            FILTER,
            "'a=1' is not an object",
        ),
        (
            conjunction(space=[{"programs": ["a"], "ephemeris_metadata_filters": ["a=1"]}]),
            f"{FILTER}.expressions[0]",
            "'a=1' is not an object",
        ),
        (
            conjunction(space=[{"programs": ["a"], "ephemeris_metadata_filters": {"expressions": 5}}]),
            f"{FILTER}.expressions",
            "5 is not a list of objects",
        ),
        (
            conjunction(space=[{"programs": ["a"], "ephemeris_metadata_filters": {"logical_operator": "XOR"}}]),
            f"{FILTER}.logical_operator",
            "'XOR' is unknown; use AND or OR",
        ),
    ],
)
def test_a_wrong_conjunction_document_is_named_to_the_place(document: Any, field: str, reason: str) -> None:
    """One line for whoever wrote the file, in the file's own words."""
    with pytest.raises(InvalidQuery) as refused:
        decode_query(document, CONJUNCTIONS)
    assert refused.value.field == field
    assert refused.value.reason.startswith(reason)
    assert "\n" not in str(refused.value)


NESTED = "instrument_types, platforms, programs"


@pytest.mark.parametrize(
    ("kind", "document", "field", "reason"),
    [
        ("ephemeris", {}, "data_sources", "must be an object with programs, platforms, …, not nothing"),
        (
            "ephemeris",
            search(data_sources=["swarm"]),
            "data_sources",
            "must be an object with programs, platforms, …, not",
        ),
        ("ephemeris", search(data_sources={}), "data_sources.programs", "name at least one program, platform or "),
        ("ephemeris", search(data_sources={"programs": 5}), "data_sources.programs", "5 is not a list of texts"),
        ("ephemeris", search(data_sources={"programs": [""]}), "data_sources.programs", "'' is not a name"),
        (
            "ephemeris",
            search(data_sources={"program": ["swarm"]}),
            "data_sources.program",
            f"is unknown here; known are ephemeris_metadata_filters, {NESTED}",
        ),
        (
            "ephemeris",
            search(data_sources={"programs": ["swarm"], "start": "2020"}),
            "data_sources.start",
            f"is unknown here; known are ephemeris_metadata_filters, {NESTED}",
        ),
        ("ephemeris", search(programs=["swarm"]), "programs", "belongs into data_sources"),
        ("ephemeris", search(max_distances={}), "max_distances", "is unknown here; known are data_sources, end, start"),
        (
            "ephemeris",
            search(data_sources={"programs": ["a"], "ephemeris_metadata_filters": [{"values": [1]}]}),
            "data_sources.ephemeris_metadata_filters.expressions[0].key",
            "is missing",
        ),
        (
            "data_products",
            search(data_sources={"programs": ["a"], "data_product_metadata_filters": [{"key": "a", "values": []}]}),
            "data_sources.data_product_metadata_filters.expressions[0].values",
            "'in' needs at least one value",
        ),
        (
            "data_products",
            search(data_sources={"programs": ["a"], "data_product_type_filters": ["keogram"]}),
            "data_sources.data_product_type_filters",
            f"is unknown here; known are data_product_metadata_filters, {NESTED}",
        ),
        (
            "data_products",
            search(data_product_type_filters=["keograms"]),
            "data_product_type_filters",
            "'keograms' is unknown; use one or more of keogram, montage, ",
        ),
        (
            "data_products",
            search(data_product_type_filters="x"),
            "data_product_type_filters",
            "'x' is not a list of texts",
        ),
        (
            "data_products",
            search(types=[]),
            "types",
            "is unknown here; known are data_product_type_filters, data_sources, end",
        ),
    ],
)
def test_a_wrong_search_document_is_named_to_the_place(kind: str, document: Any, field: str, reason: str) -> None:
    """As above, with the data sources one level deeper; what stands on the wrong level is not overlooked."""
    with pytest.raises(InvalidQuery) as refused:
        decode_query(document, KINDS[kind])
    assert refused.value.field == field
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "is not JSON: Expecting value: line 1 column 1"),
        ('{"start": ', "is not JSON: Expecting value: line 1 column 11"),
        ("{'start': 1}", "is not JSON: Expecting property name"),
        (b"\xff\xfe\xfd", "is not JSON: "),
        (b'"\xff"', "is not JSON: 'utf-8' codec can't decode byte 0xff"),
        ("[" * 100_000, "is nested too deeply"),
        ("5", "is not a JSON object but 5"),
    ],
)
def test_what_is_no_json_object_is_refused(body: str | bytes, reason: str) -> None:
    """Whatever a file or a POST holds, an InvalidQuery comes out."""
    with pytest.raises(InvalidQuery) as refused:
        read_query(body, CONJUNCTIONS)
    assert refused.value.field == "query"
    assert refused.value.reason.startswith(reason)


json_values = one_of(none(), booleans(), integers(), floats(), text(max_size=5))
json_documents = one_of(
    json_values, lists(json_values, max_size=2), dictionaries(text(max_size=5), json_values, max_size=2)
)


@given(
    sampled_from(list(KINDS)), sampled_from(sorted(conjunction(adhoc=[], events=[], data_sources={}))), json_documents
)
def test_no_document_breaks_the_reader(kind: str, field: str, value: Any) -> None:
    """A server reads what anybody sends: a query or an InvalidQuery, nothing else."""
    document = (conjunction() if kind == "conjunctions" else search()) | {field: value}
    try:
        decode_query(document, KINDS[kind])
    except InvalidQuery as error:
        assert error.field.split(".")[0].split("[")[0] in {*document, "blocks", "start", "data_sources"}


# There and back -----------------------------------------------------------------------------------------------------

names: SearchStrategy[str] = text(
    characters(exclude_categories=("C", "Zl", "Zp", "Zs"), include_characters=" "), min_size=1, max_size=6
).filter(str.strip)
name_lists = lists(names, max_size=2)
numbers = one_of(integers(-(2**63), 2**63), floats(allow_nan=False, allow_infinity=False))
scalars = one_of(text(characters(exclude_categories=("Cs",)), max_size=6), booleans(), numbers)
expressions = one_of(
    builds(MetadataExpression, names, lists(scalars, min_size=1, max_size=3), sampled_from(["in", "not in"])),
    builds(MetadataExpression, names, scalars, sampled_from(["=", "!="])),
    builds(MetadataExpression, names, numbers, sampled_from(["<", "<=", ">", ">="])),
    builds(MetadataExpression, names, tuples(numbers, numbers), just("between")),
)
filters = one_of(none(), builds(MetadataFilter, lists(expressions, max_size=2), sampled_from(["AND", "OR"])))
sources: dict[str, Any] = {"platforms": name_lists, "instrument_types": name_lists, "metadata_filter": filters}
restricted: dict[str, Any] = sources | {"programs": lists(names, min_size=1, max_size=2)}
degrees = tuples(floats(-90, 90), floats(-180, 360))
blocks: dict[str, SearchStrategy[Any]] = {
    "ground": builds(GroundBlock, **restricted),
    "space": builds(SpaceBlock, hemisphere=lists(sampled_from(HEMISPHERES), max_size=2), **restricted),
    "events": builds(EventsBlock, **sources),
    "custom_locations": builds(CustomLocationsBlock, locations=lists(degrees, min_size=1, max_size=2)),
}
spans = tuples(
    datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9000, 1, 1)), timedeltas(timedelta(), timedelta(days=30))
)
limits = one_of(integers(0, 2**31), floats(0, 2**31))


@settings(max_examples=40)
@given(
    spans,
    dictionaries(sampled_from(sorted(blocks)), integers(1, 2), min_size=1).filter(
        lambda count: sum(count.values()) > 1
    ),
    lists(one_of(none(), limits), min_size=28, max_size=28),
    one_of(none(), limits),
    lists(sampled_from(CONJUNCTION_TYPES), max_size=3),
    booleans(),
    # Drawn last, and as a whole: the blocks depend on how many of each kind there are.
    builds(dict, **{kind: lists(block, min_size=2, max_size=2) for kind, block in blocks.items()}),
)
def test_conjunction_queries_come_back_from_the_wire(
    span: tuple[datetime, timedelta],
    counts: dict[str, int],
    by_pair: list[float | None],
    for_all: float | None,
    types: list[str],
    subminute: bool,
    drawn: dict[str, list[Any]],
) -> None:
    """What the service's answer says about a query can be compared with the query."""
    criteria: dict[str, Any] = {kind: drawn[kind][:count] for kind, count in counts.items()}
    usual: dict[str, Any] = {"start": span[0], "end": span[0] + span[1], **criteria, "conjunction_types": types}
    query = ConjunctionQuery(**usual, max_distance_km=1 if for_all is None else for_all, subminute_precision=subminute)
    if for_all is None:
        by_name = dict(zip(query.pairs, [by_pair[0] or 0, *by_pair[1:]], strict=False))
        query = ConjunctionQuery(**usual, max_distance_km=by_name, subminute_precision=subminute)
    comes_back(query)


@given(spans, builds(dict, **restricted))
def test_ephemeris_queries_come_back_from_the_wire(span: tuple[datetime, timedelta], criteria: dict[str, Any]) -> None:
    """As above."""
    comes_back(EphemerisQuery(start=span[0], end=span[0] + span[1], **criteria))


@given(spans, builds(dict, **restricted), lists(sampled_from(DATA_PRODUCT_TYPES), max_size=3))
def test_data_product_queries_come_back_from_the_wire(
    span: tuple[datetime, timedelta], criteria: dict[str, Any], types: list[str]
) -> None:
    """As above."""
    comes_back(DataProductQuery(start=span[0], end=span[0] + span[1], **criteria, data_product_types=types))


def comes_back(query: Query) -> None:
    document = on_the_wire(query, "86b5e7b0")
    again = decode_query(document, kind_of(query))
    assert again == query
    assert hash(again) == hash(query)
    assert on_the_wire(again, "86b5e7b0") == document


# Answers ------------------------------------------------------------------------------------------------------------


def test_an_instant_before_the_first_is_a_malformed_answer() -> None:
    """Fourteen hours before the year 1 is no time of ours, and no OverflowError either."""
    body = b'[{"ephemeris_count": 1, "data_product_count": 0, "latest_ephemeris_loaded": "0001-01-01T00:00:00+14:00"}]'
    with pytest.raises(MalformedAnswer, match=r"outside the years 1 to 9999") as caught:
        decode_answer(Answer("GET", URL, 200, {}, body), list[DataSourceStatistics])
    assert caught.value.where == "$[0]"


# Statuses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", STATUSES, ids=lambda document: document["kind"])
def test_every_real_status_is_read(document: dict[str, Any]) -> None:
    """2021 to 2024, with and without Z, with fields that came and went."""
    given = document["status"]
    body = json.dumps(given).encode()
    status = decode_status(body, URL)
    assert status.request_id == given["search_request"]["request_id"]
    assert (status.phase, status.reason) == (Phase.READY, "")
    assert status.records == given["search_result"]["result_count"]
    assert status.result_bytes == given["search_result"]["file_size"]
    assert status.duration_s == pytest.approx(given["search_result"]["query_duration"] / 1000, abs=0.2)
    assert [(log.level, log.summary) for log in status.logs] == [
        (log["level"], log["summary"]) for log in given["logs"]
    ]
    times = [status.requested, status.completed, *(log.timestamp for log in status.logs)]
    assert all(moment is not None and moment.tzinfo is UTC for moment in times)
    assert status.raw == body


def test_a_real_status_to_the_microsecond() -> None:
    """The service drops the trailing zeros of a fraction: `.18355` are 183550 microseconds."""
    status = decode_status(json.dumps(STATUSES[2]["status"]).encode(), URL)
    assert status.completed == datetime(2024, 6, 18, 1, 58, 12, 183550, tzinfo=UTC)
    assert status.duration_s == pytest.approx(0.406819, abs=1e-9)
    assert status.logs[-1] == LogEntry(
        "info",
        "Finished search in 0.40 seconds and found 820 records.",
        datetime(2024, 6, 18, 1, 58, 12, 186117, tzinfo=UTC),
    )


LINE = {"level": "debug", "summary": "Search request arrived and saved", "timestamp": "2024-06-18T01:56:33.399473"}
RUNNING: dict[str, Any] = {
    "data_uri": None,
    "result_count": None,
    "file_size": None,
    "query_duration": None,
    "completed_timestamp": None,
    "error_condition": False,
    "result_file_deleted_timestamp": None,
}
DATA = f"{URL}/data"
OVER = "2024-06-18T01:56:33.730679"


def status_body(*summaries: str, request: Any = None, **result: Any) -> bytes:
    logs = [LINE, *(LINE | {"level": "error", "summary": summary} for summary in summaries)]
    request = {"request_id": "86b5"} if request is None else request
    return json.dumps({"search_request": request, "search_result": RUNNING | result, "logs": logs}).encode()


@pytest.mark.parametrize(
    ("body", "phase", "reason"),
    [
        (status_body(), Phase.QUEUED, ""),
        (status_body("Starting conjunction search"), Phase.RUNNING, ""),
        (status_body("Saving", error_condition=None), Phase.RUNNING, ""),
        (status_body("Done", data_uri=DATA, completed_timestamp=OVER), Phase.READY, ""),
        (status_body("Done", data_uri=DATA), Phase.READY, ""),
        (status_body("Out of memory", error_condition=True), Phase.FAILED, "Out of memory"),
        # Whether a failed search has a data_uri is unknown; it must not be taken for a result.
        (status_body("Out of\n  memory", error_condition=True, data_uri=DATA), Phase.FAILED, "Out of memory"),
        (status_body(" ", error_condition=True), Phase.FAILED, "the server gives no reason"),
        (status_body("Search was cancelled", error_condition=True), Phase.CANCELLED, "Search was cancelled"),
        (status_body("Request CANCELED by user", error_condition=True), Phase.CANCELLED, "Request CANCELED by user"),
        (
            status_body("Done", data_uri=DATA, completed_timestamp=OVER, result_file_deleted_timestamp=OVER),
            Phase.EXPIRED,
            f"deleted {OVER}",
        ),
        (
            status_body("Search completed", completed_timestamp=OVER),
            Phase.FAILED,
            "it completed without data; its last log line is: Search completed",
        ),
    ],
)
def test_the_phase_looks_at_everything_that_ends_a_request(body: bytes, phase: Phase, reason: str) -> None:
    """The official client looks at `data_uri` alone, and waits for ever for a search that failed."""
    status = decode_status(body, URL)
    assert (status.phase, status.reason) == (phase, reason)
    assert phase.is_final is (phase not in (Phase.QUEUED, Phase.RUNNING))


def test_a_failure_without_any_log_is_a_failure() -> None:
    """The logs may be empty."""
    body = json.dumps(
        {"search_request": {"request_id": "r"}, "search_result": RUNNING | {"error_condition": True}, "logs": []}
    )
    status = decode_status(body.encode(), URL)
    assert (status.phase, status.reason) == (Phase.FAILED, "the server gives no reason")


def test_a_status_may_grow() -> None:
    """Unknown fields anywhere, and a query of a form that is not known yet."""
    request = {"request_id": "86b5", "query": ["new"], "user_uuid": None}
    assert decode_status(status_body(request=request, expiration_timestamp=OVER), URL).phase is Phase.QUEUED
    assert decode_status(status_body(), URL).duration_s is None


@pytest.mark.parametrize(
    ("body", "where", "reason"),
    [
        (b"", "$", "not a status document: Input data was truncated"),
        (b"<html>", "$", "not a status document: JSON is malformed"),
        (b"\xff\xfe", "$", "not a status document: "),
        (b'{"logs": ', "$", "not a status document: Input data was truncated"),
        (b"null", "$", "Expected `object`, got `null`"),
        (b"[]", "$", "Expected `object`, got `array`"),
        (b"{}", "$", "Object missing required field `search_request`"),
        (b'{"x": ' * 100_000, "$", "not a status document: maximum recursion depth"),
        (status_body(request={}), "$.search_request", "Object missing required field `request_id`"),
        (status_body(request={"request_id": None}), "$.search_request.request_id", "Expected `str`, got `null`"),
        (status_body(request={"request_id": "r", "requested": "now"}), "$.search_request.requested", "Invalid RFC3339"),
        (status_body(data_uri=5), "$.search_result.data_uri", "Expected `str | null`, got `int`"),
        (status_body(error_condition="no"), "$.search_result.error_condition", "Expected `bool | null`, got `str`"),
        (status_body(file_size="8 MB"), "$.search_result.file_size", "Expected `int | null`, got `str`"),
        (status_body(result_count=1.5), "$.search_result.result_count", "Expected `int | null`, got `float`"),
        (status_body(completed_timestamp="soon"), "$.search_result.completed_timestamp", "Invalid RFC3339"),
        (status_body(completed_timestamp="0001-01-01T00:00:00+05:00"), "$", "not a status document: timestamp: 0001-"),
        (
            json.dumps({"search_request": {"request_id": "r"}, "search_result": {}, "logs": []}).encode(),
            "$.search_result",
            "Object missing required field `data_uri`",
        ),
        (
            json.dumps({"search_request": {"request_id": "r"}, "search_result": RUNNING}).encode(),
            "$",
            "Object missing required field `logs`",
        ),
        (
            json.dumps({"search_request": {"request_id": "r"}, "search_result": RUNNING, "logs": [LINE, 5]}).encode(),
            "$.logs[1]",
            "Expected `object`, got `int`",
        ),
        (
            json.dumps(
                {"search_request": {"request_id": "r"}, "search_result": RUNNING, "logs": [LINE | {"summary": None}]}
            ).encode(),
            "$.logs[0].summary",
            "Expected `str`, got `null`",
        ),
    ],
)
def test_a_wrong_status_is_named_to_the_place(body: bytes, where: str, reason: str) -> None:
    """A proxy's page, a cut answer, another version of the service: said at once, not waited for."""
    with pytest.raises(MalformedAnswer) as refused:
        decode_status(body, URL)
    assert (refused.value.url, refused.value.where) == (URL, where)
    assert refused.value.reason.startswith(reason)
    assert "\n" not in str(refused.value)


@given(integers(0, 10**4), integers(0, 255))
def test_no_damage_to_a_status_breaks_the_reader(at: int, byte: int) -> None:
    """One byte wrong anywhere: a status still, or an error of ours."""
    body = bytearray(json.dumps(STATUSES[0]["status"]).encode())
    body[at % len(body)] = byte
    try:
        decode_status(bytes(body), URL)
    except MalformedAnswer as error:
        assert error.where.startswith("$")
