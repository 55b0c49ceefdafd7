"""Data sources, their schemas and availability, as the official client reads and prints them."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.peers

TABLES = json.loads((Path(__file__).parents[1] / "facts" / "peers_source_tables.json").read_text())["tables"]

FORMATS = {
    "identifier_only": {"identifier"},
    "basic_info": {"identifier", "program", "platform", "instrument_type", "source_type", "display_name"},
}
FORMATS["with_metadata"] = FORMATS["basic_info"] | {"metadata"}
FORMATS["full_record"] = FORMATS["with_metadata"] | {
    "maintainers", "ephemeris_metadata_schema", "data_product_metadata_schema"
}  # fmt: skip


def filled(source: Any) -> set[str]:
    """Return which attributes of a source have a value; a source need not have an owner."""
    return {name for name, value in vars(source).items() if value is not None} - {"format", "owner", "stats"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: "-".join(table["arguments"].values()))
def test_the_published_tables_of_data_sources_are_listed(
    aurorax: Any, table: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same identifiers in the same order as the official notebook prints, in its table and as objects."""
    aurorax.search.sources.list_in_table(**table["arguments"])
    header, ruler, *rows = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "Identifier" and set(ruler) == {"="}
    assert [int(row.split()[0]) for row in rows] == table["identifiers"]
    listed = aurorax.search.sources.list(**table["arguments"])
    assert [source.identifier for source in listed] == table["identifiers"]
    found = aurorax.search.sources.get_using_filters(**table["arguments"])
    assert [source.identifier for source in found] == table["identifiers"]


def test_a_table_can_be_cut_and_widened(aurorax: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The first cell of the metadata notebook."""
    aurorax.search.sources.list_in_table(limit=20, table_max_width=250)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [int(row.split()[0]) for row in rows] == [3, 29, 30, *range(32, 40), *range(44, 53)]


@pytest.mark.parametrize("order", ["identifier", "program", "platform", "instrument_type", "display_name"])
def test_sources_can_be_ordered(aurorax: Any, order: str) -> None:
    """The client sorts the records itself, which needs the key in each of them."""
    values = [getattr(source, order) for source in aurorax.search.sources.list(order=order)]
    assert values == sorted(values) and len(values) >= 103


@pytest.mark.parametrize("level", FORMATS)
def test_each_format_gives_its_fields(aurorax: Any, level: str) -> None:
    """All four ways of getting a source know all four levels of detail."""
    sources = aurorax.search.sources
    found = [
        sources.get("swarm", "swarma", "footprint", format=level),
        sources.get_using_identifier(3, format=level),
        *sources.get_using_filters(program="swarm", platform="swarma", format=level),
        *sources.search(programs=["swarm"], platforms=["swarma"], format=level),
        *sources.list(program="swarm", platform="swarma", format=level),
    ]
    assert len(found) == 5
    for source in found:
        assert filled(source) == FORMATS[level]
        assert (source.identifier, source.format, source.stats) == (3, level, None)


def test_the_formats_have_their_constants(pyaurorax: Any, aurorax: Any) -> None:
    """Scripts write these, not the words."""
    search = pyaurorax.search
    constants = (search.FORMAT_IDENTIFIER_ONLY, search.FORMAT_BASIC_INFO, search.FORMAT_BASIC_INFO_WITH_METADATA)
    assert (*constants, search.FORMAT_FULL_RECORD) == tuple(FORMATS)
    heo = aurorax.search.sources.list(source_type=search.SOURCE_TYPE_HEO)
    assert {source.source_type for source in heo} == {"heo"}
    assert aurorax.search.sources.list(source_type=search.SOURCE_TYPE_LUNAR) == []


def test_a_full_record_prints_itself_like_the_published_one(aurorax: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Swarm A, as in the notebook; its statistics there are an artefact of that day."""
    aurorax.search.sources.get("swarm", "swarma", "footprint").pretty_print()
    printed = capsys.readouterr().out.splitlines()
    schema = "[{'field_name': 'nbtrace_region', 'description': \"Region based on where the magn..."
    shown = {name.strip(): value for name, _, value in (line.partition(": ") for line in printed[1:])}
    # Neither client nor protocol orders the keys of a schema field.
    assert schema[:4] == "[{'f" and shown.pop("ephemeris_metadata_schema").endswith("...")
    assert shown == {
        "identifier": "3", "program": "swarm", "platform": "swarma", "instrument_type": "footprint",
        "source_type": "leo", "display_name": "Swarm A", "metadata": "{}", "owner": "dchaddoc@ucalgary.ca",
        "maintainers": "[]", "data_product_metadata_schema": "[]", "stats": "None", "format": "full_record",
    }  # fmt: skip


def test_statistics_come_with_any_format(aurorax: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`include_stats` makes an object of counts and instants; a source without records has nothing but zeros."""
    for level in FORMATS:
        stats = aurorax.search.sources.get_using_identifier(3, format=level, include_stats=True).stats
        assert stats.ephemeris_count > 1_000_000 and stats.data_product_count == 0
        assert isinstance(stats.earliest_ephemeris_loaded, datetime)
        assert stats.earliest_ephemeris_loaded < stats.latest_ephemeris_loaded
        assert stats.earliest_data_product_loaded is None
    stats.pretty_print()
    assert f"ephemeris_count               : {stats.ephemeris_count}\n" in capsys.readouterr().out
    products = aurorax.search.sources.get("trex", "fort smith", "RGB ASI", include_stats=True).stats
    assert products.data_product_count > 10_000
    # It takes a record a minute in every night: counting the products must not cost it those.
    assert products.ephemeris_count > 100_000
    assert products.earliest_data_product_loaded < products.latest_data_product_loaded


def test_statistics_of_all_sources_come_within_the_time_limit_of_the_client(aurorax: Any) -> None:
    """It gives up after ten seconds, and does not try again."""
    sources = aurorax.search.sources.list(include_stats=True)
    assert len(sources) >= 103 and all(source.stats is not None for source in sources)


def test_a_search_of_sources_takes_lists(aurorax: Any) -> None:
    """Alternatives inside a list, all lists together, and no list at all is everything."""
    found = aurorax.search.sources.search(programs=["trex", "rego"], platforms=["gillam"])
    assert {source.platform for source in found} == {"gillam"}
    assert {source.program for source in found} == {"trex", "rego"}
    found = aurorax.search.sources.search(instrument_types=["footprint"], programs=["swarm"], order="platform")
    assert [source.identifier for source in found] == [3, 29, 30]
    assert aurorax.search.sources.search(programs=["no such program"]) == []
    everything = {source.identifier for source in aurorax.search.sources.search()}
    assert {source.identifier for source in aurorax.search.sources.list()} <= everything


def test_the_owner_is_a_filter(aurorax: Any) -> None:
    """The address that the published record of Swarm A names."""
    owned = aurorax.search.sources.list(owner="dchaddoc@ucalgary.ca", format="full_record")
    assert 3 in [source.identifier for source in owned]
    assert {source.owner for source in owned} == {"dchaddoc@ucalgary.ca"}


def test_schemas_are_the_published_ones(aurorax: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Eleven fields of Swarm A, as in the metadata notebook, then our own two; the validator compares the names."""
    schema = aurorax.search.metadata.get_ephemeris_schema(3)
    assert [field["field_name"] for field in schema[11:]] == ["computed", "element_set_age_days"]
    assert schema[0] == {
        "field_name": "nbtrace_region",
        "description": "Region based on where the magnetic field line that passes through the spacecraft intersects the"
        " Earth's surface in the Earth's northern magnetic hemisphere",
        "data_type": "string",
        "allowed_values": [
            "north polar cap", "north cusp", "north cleft", "north auroral oval", "north mid-latitude", "low latitude"
        ],
        "searchable": True,
    }  # fmt: skip
    record = {field["field_name"]: "value" for field in schema}
    assert aurorax.search.metadata.validate(schema, record) is True
    assert aurorax.search.metadata.validate(schema, {"other": 1}) is False
    assert capsys.readouterr().out == "Metadata invalid, keys don't match\n"
    assert aurorax.search.metadata.get_data_products_schema(3) == []


@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_availability_counts_records_by_day(aurorax: Any, slow: bool) -> None:
    """Both ends inclusive; the counts are those of the records that a search finds."""
    start, end = datetime(2020, 1, 1), datetime(2020, 1, 3)
    found = aurorax.search.availability.ephemeris(start, end, program="swarm", slow=slow)
    assert [result.data_source.identifier for result in found] == [3, 29, 30]
    days = {f"2020-01-0{day}": 1440 for day in (1, 2, 3)}
    assert all(result.available_ephemeris == days for result in found)
    assert all(result.available_data_products is None for result in found)

    filters = {"program": "trex", "platform": "fort smith", "instrument_type": "RGB ASI", "source_type": "ground"}
    (result,) = aurorax.search.availability.data_products(start, end, slow=slow, **filters)
    assert set(result.available_data_products) == set(days)
    assert result.available_data_products["2020-01-01"] == 66
    assert result.available_ephemeris is None
    assert (result.data_source.display_name, result.data_source.format) == ("TREx RGB FSMI", "basic_info")


def test_availability_of_the_ground_is_what_a_search_finds(aurorax: Any) -> None:
    """Imagers take data in the dark only, and the table of availability must not promise more."""
    filters = {"program": "themis-asi", "platform": "gillam"}
    (result,) = aurorax.search.availability.ephemeris(date(2020, 1, 1), date(2020, 1, 1), **filters)
    search = aurorax.search.ephemeris.search(
        datetime(2020, 1, 1), datetime(2020, 1, 1, 23, 59, 59), programs=["themis-asi"], platforms=["gillam"],
        poll_interval=0.05,
    )  # fmt: skip
    assert result.available_ephemeris == {"2020-01-01": len(search.data)}
    assert 0 < len(search.data) < 1440


def test_availability_takes_all_formats_and_may_be_empty(aurorax: Any) -> None:
    """The level of detail of the sources is chosen as everywhere else; unknown programs have nothing."""
    start, end = datetime(2020, 1, 1), datetime(2020, 1, 1)
    for level, fields in FORMATS.items():
        (result,) = aurorax.search.availability.ephemeris(start, end, program="swarm", platform="swarma", format=level)
        assert filled(result.data_source) == fields
    assert aurorax.search.availability.ephemeris(start, end, program="no such program") == []
    assert aurorax.search.availability.data_products(start, end, program="swarm") == []
    owned = aurorax.search.availability.ephemeris(start, end, owner="dchaddoc@ucalgary.ca", format="full_record")
    assert 3 in [result.data_source.identifier for result in owned]


def test_an_unknown_source_is_not_found_in_the_published_words(aurorax: Any, pyaurorax: Any) -> None:
    """The official test suite compares the text."""
    with pytest.raises(pyaurorax.AuroraXAPIError) as caught:
        aurorax.search.sources.get_using_identifier(12345678)
    message = "No Data Source record found in AuroraX for identifier 12345678"
    assert str(caught.value) == f"API error code 404: {message}"
    with pytest.raises(pyaurorax.AuroraXNotFoundError, match=r"^No matching data source found$"):
        aurorax.search.sources.get("swarm", "no such platform", "footprint")
