"""Blocks, filters, places, records and queries: everything that needs no service."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aurora_async.compat import pyaurorax
from aurora_async.compat.pyaurorax._printing import natural_size, table
from aurora_async.compat.pyaurorax.search import (
    ConjunctionSearch,
    CustomLocationsCriteriaBlock,
    DataProductData,
    DataProductSearch,
    DataSource,
    DataSourceStatistics,
    EphemerisData,
    EphemerisSearch,
    EventsCriteriaBlock,
    GroundCriteriaBlock,
    Location,
    MetadataFilter,
    MetadataFilterExpression,
    SpaceCriteriaBlock,
)

START, END = datetime(2020, 1, 1), datetime(2020, 1, 1, 6, 59, 59)
SWARM_A = DataSource(3, "swarm", "swarma", "footprint", "leo", "Swarm A", format="basic_info")
POLAR = MetadataFilterExpression("nbtrace_region", ["north polar cap"])


@pytest.fixture
def aurorax() -> pyaurorax.PyAuroraX:
    """An object that is never asked to send anything."""
    return pyaurorax.PyAuroraX(api_base_url="http://127.0.0.1:9")


def conjunctions(aurorax: pyaurorax.PyAuroraX, distance: Any = 500, **blocks: Any) -> ConjunctionSearch:
    """A search with some blocks."""
    return ConjunctionSearch(aurorax, START, END, distance, **blocks)


GROUND = {"programs": ["themis-asi"], "platforms": [], "instrument_types": [], "ephemeris_metadata_filters": None}


@pytest.mark.parametrize(
    "given",
    [
        [GroundCriteriaBlock(programs=["themis-asi"]), {"programs": ["rego"]}],
        (GroundCriteriaBlock(programs=["themis-asi"]), {"programs": ["rego"]}),
        (GroundCriteriaBlock(programs=["themis-asi"]), {"programs": ("rego",)}),
    ],
    ids=["a list of both", "a tuple of both", "a tuple within"],
)
def test_blocks_may_come_in_any_mix(aurorax: pyaurorax.PyAuroraX, given: Any) -> None:
    """The original turns every block object of a tuple or a mix into null, and searches for something else."""
    query = conjunctions(aurorax, ground=given, space=[SpaceCriteriaBlock(programs=["swarm"])]).query
    assert query["ground"] == [GROUND, {"programs": ["rego"]}]
    assert query["space"] == [{**GROUND, "programs": ["swarm"], "hemisphere": []}]
    assert json.loads(json.dumps(query)) == query


def test_every_kind_of_block_is_written_as_the_service_reads_it(aurorax: pyaurorax.PyAuroraX) -> None:
    """Filters as objects, events, and places given as pairs, objects or dictionaries."""
    query = conjunctions(
        aurorax,
        space=[{"programs": ["swarm"], "ephemeris_metadata_filters": MetadataFilter([POLAR])}],
        events=[EventsCriteriaBlock(platforms=["toshi"], metadata_filters=MetadataFilter([POLAR], operator="or"))],
        custom_locations=[
            CustomLocationsCriteriaBlock([(51.05, -114.07)]),
            {"locations": [(1, 2), Location(3, 4), {"lat": 5, "lon": 6}]},
        ],
    ).query
    expression = {"key": "nbtrace_region", "values": ["north polar cap"], "operator": "in"}
    assert query["space"][0]["ephemeris_metadata_filters"] == {"logical_operator": "AND", "expressions": [expression]}
    assert query["events"][0]["programs"] == ["events"]
    assert query["events"][0]["ephemeris_metadata_filters"]["logical_operator"] == "OR"
    assert query["adhoc"] == [
        {"locations": [{"lat": 51.05, "lon": -114.07}]},
        {"locations": [{"lat": 1, "lon": 2}, {"lat": 3, "lon": 4}, {"lat": 5, "lon": 6}]},
    ]


def test_what_is_no_block_is_refused_where_it_is_given(aurorax: pyaurorax.PyAuroraX) -> None:
    """Both a ValueError, as the original raises, and an error of the package."""
    with pytest.raises(ValueError, match=r"space\[1\]: GroundCriteriaBlock\(.* is neither a SpaceCriteriaBlock nor"):
        conjunctions(aurorax, space=[{"programs": ["swarm"]}, GroundCriteriaBlock(programs=["rego"])])
    search = conjunctions(aurorax, ground=[{"programs": ["rego"]}] * 11)
    with pytest.raises(pyaurorax.AuroraXError, match="Number of criteria blocks exceeds 10, please reduce the count"):
        search.check_criteria_block_count_validity()


def test_a_distance_means_its_own_pair_and_no_other(aurorax: pyaurorax.PyAuroraX) -> None:
    """The original looks for names inside names, so that a limit for ground1 also falls upon ground10."""
    search = conjunctions(
        aurorax, {"space1-ground1": 500}, ground=[{"programs": ["rego"]}] * 9, space=[{"programs": ["swarm"]}]
    )
    assert {pair for pair, limit in search.distance.items() if limit == 500} == {"ground1-space1"}
    assert len(search.distance) == 45
    search.ground.append({"programs": ["trex"]})
    assert search.distance["ground10-space1"] is None
    search.distance = 300
    assert set(search.distance.values()) == {300} and len(search.distance) == 55


def test_a_distance_for_no_pair_is_not_forgotten(aurorax: pyaurorax.PyAuroraX) -> None:
    """A misspelt pair would otherwise be a search without the limit; the service's reader names it."""
    search = conjunctions(
        aurorax, {"ground1-space2": 500}, ground=[{"programs": ["rego"]}], space=[{"programs": ["swarm"]}]
    )
    with pytest.raises(pyaurorax.AuroraXBadParametersError, match="ground1-space2"):
        search.execute()


def test_one_block_is_no_conjunction(aurorax: pyaurorax.PyAuroraX) -> None:
    """The original sends it and hopes."""
    with pytest.raises(pyaurorax.AuroraXError, match="at least 2 criteria blocks"):
        conjunctions(aurorax, ground=[{"programs": ["rego"]}]).execute()


@pytest.mark.parametrize(
    "start",
    [START, START.replace(tzinfo=UTC), datetime(2020, 1, 1, 7, tzinfo=timezone(timedelta(hours=7))), "2020-01-01"],
    ids=["naive", "aware", "of another zone", "text"],
)
def test_times_are_utc_whatever_they_are_given_as(aurorax: pyaurorax.PyAuroraX, start: Any) -> None:
    """The original writes the clock's digits of any zone."""
    search = EphemerisSearch(aurorax, start, "2020-01-01", programs=["swarm"])  # type: ignore[arg-type]
    assert (search.query["start"], search.query["end"]) == ("2020-01-01T00:00:00", "2020-01-01T23:59:59")


EXPRESSION = {"key": "nbtrace_region", "values": ["north polar cap"], "operator": "in"}
BOTH = {"logical_operator": "OR", "expressions": [EXPRESSION, EXPRESSION]}


@pytest.mark.parametrize(
    "filters",
    [
        MetadataFilter([POLAR, POLAR], operator="or"),
        [POLAR, EXPRESSION],
        (EXPRESSION, EXPRESSION),
        {"logical_operator": "OR", "expressions": [EXPRESSION, POLAR]},
        [{**EXPRESSION, "values": "north polar cap"}, EXPRESSION],
    ],
    ids=["object", "mix", "tuple", "dictionary", "one value"],
)
def test_metadata_filters_may_come_in_any_form(aurorax: pyaurorax.PyAuroraX, filters: Any) -> None:
    """All of these mean the same, so all of them are sent as the same."""
    how: dict[str, Any] = {"metadata_filters": filters, "metadata_filters_logical_operator": "or"}
    ephemeris = EphemerisSearch(aurorax, START, END, programs=["swarm"], **how)
    products = DataProductSearch(aurorax, START, END, programs=["trex"], **how)
    assert ephemeris.query["data_sources"]["ephemeris_metadata_filters"] == BOTH
    assert products.query["data_sources"]["data_product_metadata_filters"] == BOTH


def test_values_of_a_filter_stay_what_they_are() -> None:
    """The original writes one number as text and a list of numbers as numbers; operators are not case-sensitive."""
    assert MetadataFilterExpression("kp", 5, "=").to_query_dict() == {"key": "kp", "values": [5], "operator": "="}
    assert MetadataFilterExpression("kp", [1, 5], "BETWEEN").to_query_dict()["operator"] == "between"
    with pytest.raises(ValueError, match="Operator 'like' not allowed"):
        MetadataFilterExpression("kp", 5, "like")
    with pytest.raises(ValueError, match="Operator 'xor' not allowed"):
        MetadataFilter([], operator="xor")  # type: ignore[arg-type]


def test_a_place_has_both_numbers_or_none() -> None:
    """Half a place is no place."""
    assert Location().to_json_serializable() == {"lat": None, "lon": None}
    with pytest.raises(ValueError, match="Latitude and longitude must both be numbers, or both be None"):
        Location(1)
    with pytest.raises(ValueError, match="lat '51' is not a number"):
        Location("51", 0)  # type: ignore[arg-type]
    place = Location(51, -114)
    for change in ("lat", "lon"):
        with pytest.raises(ValueError, match="both be None"):
            setattr(place, change, None)
    with pytest.raises(ValueError, match="not a number"):
        place.lat = "52"  # type: ignore[assignment]
    place.lat = 52
    assert vars(place) == {"lat": 52, "lon": -114}


def test_blocks_share_no_lists() -> None:
    """A default list that all blocks share remembers what the last notebook cell put into it."""
    one = GroundCriteriaBlock()
    one.programs.append("rego")
    assert GroundCriteriaBlock().programs == []


def test_a_record_survives_being_written_as_json() -> None:
    """The original takes the record apart: whoever uploads a list has no list of records any more."""
    when = datetime(2020, 1, 1, 12, 30, 59)
    ephemeris = EphemerisData(SWARM_A, when, Location(1, 2), metadata={"seen": datetime(2020, 1, 1)})
    product = DataProductData(SWARM_A, "keogram", START, when, "https://example.org/k.png", {"a": 1})
    for record in (ephemeris, product):
        before = copy.copy(vars(record))
        document = record.to_json_serializable()
        assert vars(record) == before
        assert json.loads(json.dumps(document)) == document
        assert document["program"] == "swarm"
    assert ephemeris.to_json_serializable()["epoch"] == "2020-01-01T12:30:00.000Z"
    assert ephemeris.to_json_serializable()["metadata"] == {"seen": "2020-01-01T00:00:00.000000"}
    assert product.to_json_serializable()["end"] == "2020-01-01T12:30:00.000"


def test_a_data_source_is_printed_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    """Its schemas are thousands of characters, of which the original prints 80, too."""
    schema = [{"field_name": f"field_{number}", "data_type": "string"} for number in range(50)]
    SWARM_A.pretty_print()
    assert "ephemeris_metadata_schema     : None\n" in capsys.readouterr().out
    stats = DataSourceStatistics(1440, 0)
    DataSource(3, ephemeris_metadata_schema=schema, metadata={"a": "b" * 200}, stats=stats).pretty_print()
    lines = capsys.readouterr().out.splitlines()
    assert f"  ephemeris_metadata_schema     : {str(schema)[:80]}..." in lines
    assert f"  metadata                      : {{'a': '{'b' * 200}'}}" in lines
    assert any(line.startswith("  stats                         : DataSourceStatistics(") for line in lines)


def test_values_print_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """As the original prints them, names aligned."""
    SpaceCriteriaBlock(programs=["swarm"], metadata_filters=MetadataFilter([POLAR])).pretty_print()
    assert capsys.readouterr().out.splitlines() == [
        "SpaceCriteriaBlock:",
        "  programs          : ['swarm']",
        "  platforms         : []",
        "  instrument_types  : []",
        "  hemisphere        : []",
        "  metadata_filters  : MetadataFilter(expressions=[1 expression], operator='and')",
    ]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 Bytes"),
        (1, "1 Byte"),
        (999, "999 Bytes"),
        (376747, "376.7 kB"),
        (2_100_000, "2.1 MB"),
        (3e12, "3.0 TB"),
    ],
)
def test_sizes_are_printed_in_decimal_units(size_bytes: int, text: str) -> None:
    """The notebooks print 376747 bytes as 376.7 kB."""
    assert natural_size(size_bytes) == text


def test_a_table_is_as_narrow_as_it_must_be() -> None:
    """Columns get a character each in turns, so that narrow ones are whole before wide ones take the rest."""
    rows = [(92, "trex", "near-infrared ASI")]
    assert table(("Identifier", "Program", "Instrument Type"), rows, 200).splitlines() == [
        "Identifier   Program   Instrument Type  ",
        "========================================",
        "92           trex      near-infrared ASI",
    ]
    assert max(map(len, table(("Identifier", "Program", "Instrument Type"), rows, 30).splitlines())) == 30


class FakeConjunctions:
    """What Swarm-Aurora would answer, which no test asks."""

    def swarmaurora_url(self, request_id: str) -> str:
        return f"https://swarm-aurora.com/conjunctionFinder?aurorax_request_id={request_id}"

    def swarmaurora_import(self, request_id: str) -> list[dict[str, Any]]:
        return [{"id": request_id}]

    def save_swarmaurora_import(self, request_id: str, target: Path) -> Path:
        target.write_text(json.dumps(self.swarmaurora_import(request_id)))
        return target


def test_a_search_can_be_shown_at_swarm_aurora(
    aurorax: pyaurorax.PyAuroraX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page, in a browser that exists or does not, and the file that is imported there."""
    monkeypatch.setattr(aurorax, "_opened", SimpleNamespace(conjunctions=FakeConjunctions()))
    monkeypatch.chdir(tmp_path)
    search = conjunctions(aurorax, ground=[{"programs": ["rego"]}], space=[{"programs": ["swarm"]}])
    search.request_id = "abc"
    swarmaurora = aurorax.search.conjunctions.swarmaurora
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.get", lambda using: SimpleNamespace(open_new_tab=opened.append))
    swarmaurora.open_in_browser(search, browser="firefox")
    assert opened == [swarmaurora.get_url(search)]
    assert opened[0].endswith("?aurorax_request_id=abc")

    assert swarmaurora.create_custom_import_file(search, return_dict=True) == [{"id": "abc"}]
    assert swarmaurora.create_custom_import_file(search) == "swarmaurora_custom_import_abc.json"
    assert json.loads((tmp_path / "swarmaurora_custom_import_abc.json").read_text()) == [{"id": "abc"}]
    assert swarmaurora.create_custom_import_file(search, filename="mine.json") == "mine.json"

    monkeypatch.undo()
    monkeypatch.setattr(aurorax, "_opened", SimpleNamespace(conjunctions=FakeConjunctions()))
    with pytest.raises(ValueError, match="browser 'no-such-browser' was not found"):
        swarmaurora.open_in_browser(search, browser="no-such-browser")


def test_the_other_half_is_said_to_be_elsewhere(aurorax: pyaurorax.PyAuroraX) -> None:
    """`hasattr` is honest, and a notebook that plots is told what to install."""
    assert not hasattr(aurorax, "tools")
    with pytest.raises(AttributeError, match="reads and plots image files: use pyaurorax"):
        _ = aurorax.data
