"""AuroraX's records as tables and on the screen: the columns a reader gets, and one line for each record."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pandas as pd
import pytest

from aurora_async.aurorax import (
    Account,
    Availability,
    Conjunction,
    DataProduct,
    DataSource,
    DataSourceStatistics,
    Ephemeris,
    Location,
    PairConjunction,
    SchemaField,
    SearchRequest,
)
from aurora_async.transfer.decoding import decoder
from aurora_async.transfer.tables import Records

SOURCE = DataSource(
    identifier=3,
    program="swarm",
    platform="swarma",
    instrument_type="footprint",
    source_type="leo",
    display_name="Swarm A",
)
IMAGER = DataSource(
    identifier=44,
    program="themis-asi",
    platform="athabasca",
    instrument_type="panchromatic ASI",
    source_type="ground",
    display_name="THEMIS-ASI ATHA",
)
START, END = datetime(2020, 1, 1, 1, 46, tzinfo=UTC), datetime(2020, 1, 1, 1, 47, tzinfo=UTC)
EPHEMERIS = Ephemeris(
    data_source=SOURCE,
    epoch=START,
    location_geo=Location(51.123, -114.5),
    location_gsm=Location(1.0, 2.0),
    nbtrace=Location(60.0, -110.25),
    sbtrace=Location(None, None),
    metadata={"nbtrace_region": "north auroral oval"},
)
PRODUCT = DataProduct(
    data_source=IMAGER,
    data_product_type="keogram",
    start=START,
    end=END,
    url="https://x.org/a/keogram.jpg",
    metadata={},
)
PAIR = PairConjunction(
    conjunction_type="nbtrace",
    start=START,
    end=END,
    min_distance=284.42,
    max_distance=493.2,
    e1_source=IMAGER,
    e2_source=SOURCE,
)
CONJUNCTION = Conjunction(
    conjunction_type="nbtrace",
    start=START,
    end=END,
    data_sources=[IMAGER, SOURCE],
    min_distance=284.42,
    max_distance=493.2,
    closest_epoch=START,
    farthest_epoch=END,
    events=[PAIR],
)
AVAILABILITY = Availability(data_source=SOURCE, days={date(2020, 1, 1): 1440, date(2020, 1, 2): 1000})
STATISTICS = DataSourceStatistics(
    ephemeris_count=11712947,
    data_product_count=0,
    earliest_ephemeris_loaded=datetime(2007, 2, 18, tzinfo=UTC),
    latest_ephemeris_loaded=datetime(2029, 5, 27, tzinfo=UTC),
)
FIELD = SchemaField(field_name="nbtrace_region", allowed_values=["north auroral oval", "north mid-latitude"])
REQUEST = SearchRequest(search_type="ephemeris", request_id="a", requested=START, active=False, query_duration=None)
ACCOUNT = Account(email_address="a@example.org", agree_terms=START)

SOURCE_COLUMNS = ["identifier", "program", "platform", "instrument_type", "source_type", "display_name"]
COLUMNS: dict[type[Any], list[str]] = {
    Ephemeris: [
        *SOURCE_COLUMNS, "epoch", "location_geo_lat", "location_geo_lon", "location_gsm_lat", "location_gsm_lon",
        "nbtrace_lat", "nbtrace_lon", "sbtrace_lat", "sbtrace_lon", "metadata",
    ],
    DataProduct: [*SOURCE_COLUMNS, "data_product_type", "start", "end", "url", "metadata"],
    Conjunction: [
        "conjunction_type", "start", "end", *(f"{name}_1" for name in SOURCE_COLUMNS),
        *(f"{name}_2" for name in SOURCE_COLUMNS), "min_distance", "max_distance", "closest_epoch", "farthest_epoch",
    ],
    Availability: [*SOURCE_COLUMNS, "date", "records"],
    DataSource: [
        *SOURCE_COLUMNS, "metadata", "owner", "maintainers", "ephemeris_metadata_schema",
        "data_product_metadata_schema", "ephemeris_count", "data_product_count", "earliest_ephemeris_loaded",
        "latest_ephemeris_loaded", "earliest_data_product_loaded", "latest_data_product_loaded",
    ],
}  # fmt: skip
RECORDS = (EPHEMERIS, PRODUCT, CONJUNCTION, AVAILABILITY, SOURCE, FIELD, REQUEST, ACCOUNT)


def of(*records: Any) -> Records[Any]:
    """Records as a verb returns them."""
    return Records(records, record_type=type(records[0]))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_kind_of_record_becomes_a_frame_and_an_arrow_table(record: Any) -> None:
    """With the columns documented, and the same of none."""
    records = of(record)
    frame, none = records.to_pandas(), records[:0].to_pandas()
    assert frame.dtypes.to_dict() == none.dtypes.to_dict()
    assert list(frame.columns) == COLUMNS.get(type(record), list(attrs.fields_dict(type(record))))
    table = records.to_arrow()
    table.validate(full=True)
    assert table.schema == records[:0].to_arrow().schema
    assert table.column_names == list(attrs.fields_dict(type(record)))
    assert list(records.to_dicts()[0]) == table.column_names


def test_a_frame_of_ephemeris_has_what_is_plotted() -> None:
    """Times to select by, degrees with NaN where the field line is open, metadata as it came."""
    frame = of(EPHEMERIS, EPHEMERIS).to_pandas().set_index("epoch")
    assert len(frame.loc["2020-01-01 01:46"]) == 2
    assert frame["nbtrace_lat"].mean() == 60.0
    assert frame["sbtrace_lat"].isna().all()
    assert frame["sbtrace_lat"].dtype == "float64"
    assert frame.groupby("platform").size()["swarma"] == 2
    assert frame["metadata"].iloc[0] == EPHEMERIS.metadata


def test_a_frame_of_conjunctions_has_the_data_sources_side_by_side() -> None:
    """By block, as many as the query had."""
    frame = of(CONJUNCTION).to_pandas()
    assert (frame["platform_1"][0], frame["platform_2"][0]) == ("athabasca", "swarma")
    assert frame["end"][0] - frame["start"][0] == pd.Timedelta(minutes=1)
    three = attrs.evolve(CONJUNCTION, data_sources=[IMAGER, SOURCE, SOURCE])
    assert of(CONJUNCTION, three).to_pandas()["platform_3"].tolist()[1] == "swarma"


def test_a_frame_of_availability_has_a_row_a_day() -> None:
    """Counts that can be plotted against the date."""
    frame = of(AVAILABILITY).to_pandas()
    assert frame["records"].tolist() == [1440, 1000]
    assert frame["date"].dt.day.tolist() == [1, 2]
    assert frame["platform"].tolist() == ["swarma", "swarma"]


def test_distances_carry_their_unit_in_arrow() -> None:
    """The service's names do not say that they are kilometres."""
    schema = of(CONJUNCTION).to_arrow().schema
    assert schema.field("min_distance").metadata == {b"unit": b"km"}
    assert of(CONJUNCTION).to_arrow().to_pylist()[0]["events"][0]["e2_source"]["platform"] == "swarma"


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (SOURCE, "<DataSource 3: swarm swarma footprint>"),
        (DataSource(identifier=-7), "<DataSource -7>"),
        (
            EPHEMERIS,
            "<Ephemeris 2020-01-01 01:46 swarm swarma footprint: "
            "at 51.12, -114.50, nbtrace 60.00, -110.25, sbtrace none>",
        ),
        (
            attrs.evolve(EPHEMERIS, data_source=DataSource(identifier=-7)),
            "<Ephemeris 2020-01-01 01:46 source -7: at 51.12, -114.50, nbtrace 60.00, -110.25, sbtrace none>",
        ),
        (
            PRODUCT,
            "<DataProduct keogram 2020-01-01 01:46 to 01:47 themis-asi athabasca panchromatic ASI: "
            "https://x.org/a/keogram.jpg>",
        ),
        (
            CONJUNCTION,
            "<Conjunction nbtrace 2020-01-01 01:46 to 01:47: themis-asi athabasca panchromatic ASI + "
            "swarm swarma footprint, 284.4 to 493.2 km>",
        ),
        (
            attrs.evolve(PAIR, end=datetime(2020, 1, 2, tzinfo=UTC)),
            "<PairConjunction nbtrace 2020-01-01 01:46 to 2020-01-02 00:00: themis-asi athabasca panchromatic ASI + "
            "swarm swarma footprint, 284.4 to 493.2 km>",
        ),
        (FIELD, "<SchemaField nbtrace_region: string, one of 2 values>"),
        (
            STATISTICS,
            "<DataSourceStatistics: 11,712,947 ephemeris 2007-02-18 to 2029-05-27, 0 data products>",
        ),
        (
            AVAILABILITY,
            "<Availability of <DataSource 3: swarm swarma footprint>: "
            "2,440 records on 2 days, 2020-01-01 to 2020-01-02>",
        ),
        (
            Availability(data_source=SOURCE, days={}),
            "<Availability of <DataSource 3: swarm swarma footprint>: no records>",
        ),
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_a_record_is_one_readable_line(record: Any, text: str) -> None:
    """A record in a traceback, a log or a list says which one it is, not all it holds."""
    assert repr(record) == text


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_have_a_view_in_a_notebook(record: Any) -> None:
    """What tells one record from another is in it."""
    html = of(record)._repr_html_()
    assert f"1 {type(record).__name__}" in html
    for name in ("platform", "platform_1", "email_address", "field_name", "request_id"):
        if name in COLUMNS.get(type(record), attrs.fields_dict(type(record))):
            assert f"<th>{name}</th>" in html


@pytest.mark.parametrize("record", (EPHEMERIS, PRODUCT, CONJUNCTION, PAIR, SOURCE, AVAILABILITY))
def test_a_record_has_a_sheet_in_a_notebook(record: Any) -> None:
    """Of every kind that is looked at one by one."""
    html = record._repr_html_()
    assert type(record).__name__ in html
    assert "swarma" in html or "athabasca" in html


def test_a_real_record_decodes_and_shows() -> None:
    """The decorator that says the layout must leave the class one that the JSON decoder builds."""
    text = json.dumps(msgspec.to_builtins(EPHEMERIS))
    assert decoder(Ephemeris)(f"[{text}]".encode()) == [EPHEMERIS]


def test_a_frame_survives_a_file(tmp_path: Path) -> None:
    """Parquet keeps times, nulls and structs, so a batch can be written and read by anything."""
    import pyarrow.parquet as parquet

    table = of(EPHEMERIS, EPHEMERIS).to_arrow()
    parquet.write_table(table, tmp_path / "ephemeris.parquet")
    assert parquet.read_table(tmp_path / "ephemeris.parquet").equals(table)
