"""The answer of a query as a table: columns, rows, parts of it, and the very records it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy
import pandas
import pyarrow
import pytest

from aurora_async.errors import InvalidInput
from aurora_async.jsoc import KeywordColumn, KeywordType, RecordSet, RecordTable, SegmentColumn, TaiTime, Value
from aurora_async.jsoc.tables import PackedTexts

TIMES = ["2016.04.01_06:00:00.25_TAI", "2016.04.01_06:12:00_TAI", None, "2017.01.01_00:00:36.50_TAI"]


def a_table(record_set: str = "hmi.m_720s[2016.04.01/1h]", **changes: Any) -> RecordTable:
    """Four records with a keyword of each kind; the last one is in the leap second at the end of 2016."""
    times: list[Value] = [None if text is None else TaiTime.parse(text) for text in TIMES]
    settings: dict[str, Any] = {
        "keywords": {
            "T_OBS": KeywordColumn(name="T_OBS", type=KeywordType.TIME, units="TAI", digits=2, values=times),
            "CAMERA": KeywordColumn(name="CAMERA", type=KeywordType.INT, values=[1, 3, 3, None]),
            "EXPTIME": KeywordColumn(name="EXPTIME", type=KeywordType.DOUBLE, units="s", values=[1.5, 2.5, None, 0.5]),
            "OBJECT": KeywordColumn(name="OBJECT", type=KeywordType.STRING, units="none", values=["Å", "b", None, "d"]),
        },
        "segments": {
            "magnetogram": SegmentColumn(
                name="magnetogram",
                paths=["/SUM1/D1/S00000/m.fits", None, "/SUM1/D1/S00002/m.fits", "/SUM1/D1/S00003/m.fits"],
                dims=["4x4", None, "4x4", "4x4"],
            )
        },
        "recnums": [7, 8, 10, 4],
        "series": ["hmi.M_720s"] * 4,
        "primekeys": ("T_REC", "CAMERA"),
    }
    return RecordTable(RecordSet.of(record_set), **(settings | changes))


# Looking --------------------------------------------------------------------------------------------------------------


def test_a_column_is_found_in_any_case_and_a_row_by_its_number() -> None:
    """As the service finds keywords, and as lists count."""
    table = a_table()
    assert table["exptime"] == [1.5, 2.5, None, 0.5]
    assert table[-1]["EXPTIME"] == 0.5
    assert table[numpy.int64(1)]["CAMERA"] == 3
    assert dict(table[0]) == {
        "T_OBS": TaiTime.parse(TIMES[0] or ""),
        "CAMERA": 1,
        "EXPTIME": 1.5,
        "OBJECT": "Å",
        "magnetogram": "/SUM1/D1/S00000/m.fits",
    }


def test_what_is_not_there_is_said_so() -> None:
    """With the errors of mappings and lists, so that it behaves in other people's code."""
    table = a_table()
    with pytest.raises(KeyError, match="WAVELNTH"):
        table["WAVELNTH"]
    with pytest.raises(IndexError):
        table[4]
    with pytest.raises(InvalidInput, match="give a name, a number, a slice, a mask"):
        table[["EXPTIME", "CAMERA"]]  # type: ignore[list-item]


def test_rows_are_iterated_in_order_and_know_their_record() -> None:
    """The number of a record's version names it whatever was asked for."""
    assert [row.recnum for row in a_table()] == [7, 8, 10, 4]
    assert a_table().names[1] == "hmi.M_720s[:#8]"


def test_a_record_is_named_by_its_primary_keys_where_they_are_known() -> None:
    """As the service names it: each value as it prints it."""
    table = a_table(primekeys=("T_OBS", "CAMERA"))
    assert table[0].name == "hmi.M_720s[2016.04.01_06:00:00.25_TAI][1]"
    assert a_table(names=["a[1]", "b[2]", "c[3]", "d[4]"])[2].name == "c[3]"


def test_a_keyword_and_a_segment_of_one_name_are_both_there() -> None:
    """Series are free to have both, and a table must not lose one of them."""
    segment = SegmentColumn(name="OBJECT", paths=["/SUM1/a", "/SUM1/b", None, None])
    table = a_table(segments={"OBJECT": segment}, links={"OBJECT": ["x[1]", None, None, None]})
    assert table.columns[-3:] == ("OBJECT", "OBJECT.segment", "OBJECT.link")
    assert table["OBJECT.segment"][1] == "/SUM1/b"


def test_a_table_shows_its_size_and_its_columns() -> None:
    """In a session and in a notebook; what comes from the service is escaped there."""
    objects = KeywordColumn(name="OBJECT", type=KeywordType.STRING, values=["<b>"] * 30)
    long = RecordTable(RecordSet.of("su.test"), keywords={"OBJECT": objects}, recnums=range(30))
    assert repr(a_table()) == ("<RecordTable: 4 records of hmi.M_720s; T_OBS, CAMERA, EXPTIME, OBJECT, magnetogram>")
    page = long._repr_html_()
    assert "30 records" in page
    assert page.count("&lt;b&gt;") == 10
    assert "<b></td>" not in page


def test_a_view_shows_all_digits() -> None:
    """An exposure of 1.99962 s is one below 2 s, and must not read 2.00."""
    exposures = KeywordColumn(name="EXPTIME", type=KeywordType.DOUBLE, values=[1.99962, 0.000012, 123456.789])
    page = RecordTable(RecordSet.of("su.test"), keywords={"EXPTIME": exposures}, recnums=[1, 2, 3])._repr_html_()
    assert all(f">{text}<" in page for text in ("1.99962", "1.2e-05", "123456.789"))


def test_a_printed_table_shows_its_rows_aligned() -> None:
    """Times as the service prints them; what is missing says so."""
    assert str(a_table()).splitlines() == [
        "4 records of hmi.M_720s",
        "T_OBS                        CAMERA  EXPTIME  OBJECT   magnetogram",
        "2016.04.01_06:00:00.25_TAI        1      1.5  Å        /SUM1/D1/S00000/m.fits",
        "2016.04.01_06:12:00.00_TAI        3      2.5  b        MISSING",
        "MISSING                           3  MISSING  MISSING  /SUM1/D1/S00002/m.fits",
        "2017.01.01_00:00:36.50_TAI  MISSING      0.5  d        /SUM1/D1/S00003/m.fits",
    ]


def test_a_long_table_is_printed_in_two_ends_and_a_wide_one_in_part() -> None:
    """A screen holds no million rows, and no four hundred keywords."""
    columns = {f"K{at}": KeywordColumn(name=f"K{at}", values=["x" * 99] * 30) for at in range(20)}
    first, *lines = str(RecordTable(RecordSet.of("su.test"), keywords=columns, recnums=range(30))).splitlines()
    assert first == "30 records of su.test"
    assert [line[0] for line in lines] == ["K", *"xxxxx", "…", *"xxxxx"]
    assert all(line.endswith("  …") for line in lines)
    assert "x" * 60 not in lines[1]
    assert str(RecordTable(RecordSet.of("su.test"), keywords={}, recnums=[7])) == "1 record of su.test"


def test_primary_keys_that_nobody_asked_for_name_the_records() -> None:
    """Also of some of the rows; a key without a value names nothing, so the number does."""
    keys = {"T_REC": PackedTexts(["2016.04.01_TAI", "", "2016.04.03_TAI", "2016.04.04_TAI"])}
    table = a_table(unseen_keys=keys)
    assert table.columns == a_table().columns
    assert table[0].name == "hmi.M_720s[2016.04.01_TAI][1]"
    assert table[[2, 1]].names == ("hmi.M_720s[2016.04.03_TAI][3]", "hmi.M_720s[:#8]")
    assert str(a_table(unseen_keys=keys, recnums=[None] * 4)[:1].subset()) == "hmi.M_720s[2016.04.01_TAI][1]"


def test_packed_texts_are_found_in_any_order() -> None:
    """Across the packs they are kept in."""
    texts = [f"record {number}" for number in range(2000)]
    packed = PackedTexts(texts[:700])
    packed.extend(texts[700:])
    assert len(packed) == 2000
    assert [packed[at] for at in range(2000)] == texts
    assert [packed[at] for at in (1999, 0, 511, 512, 700)] == [texts[at] for at in (1999, 0, 511, 512, 700)]


# Parts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        slice(1, 3),
        [1, 2],
        range(1, 3),
        [False, True, True, False],
        numpy.array([False, True, True, False]),
        numpy.array([1, 2]),
        pandas.Series([False, True, True, False]),
        pandas.array([None, True, True, False], dtype="boolean"),
        pandas.RangeIndex(1, 3),
        (row for row in (-3, 2)),
    ],
)
def test_a_part_keeps_everything_of_its_rows(wanted: Any) -> None:
    """However people say which rows they mean: also as pandas or NumPy do; a mask that is missing keeps no row."""
    part = a_table()[wanted]
    assert part.recnums == (8, 10)
    assert part["CAMERA"] == [3, 3]
    assert part["magnetogram"] == [None, "/SUM1/D1/S00002/m.fits"]
    assert part.segments["magnetogram"].dims == [None, "4x4"]


@pytest.mark.parametrize("mask", [[True, False], [True, False, 1, 0]])
def test_a_mask_of_another_length_or_kind_is_refused(mask: list[Any]) -> None:
    """It was made for another table, and would keep the wrong rows."""
    with pytest.raises(InvalidInput, match="must hold 4 times True or False"):
        a_table()[mask]


def test_rows_can_be_kept_by_what_they_hold() -> None:
    """The most direct way to say it."""
    assert a_table().where(lambda row: (row["EXPTIME"] or 9) < 2).recnums == (7, 4)


def test_a_part_of_nothing_is_a_table() -> None:
    """So that no one has to ask first."""
    empty = a_table()[[]]
    assert (len(empty), empty.columns, empty["EXPTIME"]) == (0, a_table().columns, [])
    assert empty.series == "hmi.m_720s"
    assert list(empty.to_pandas().columns) == list(a_table().columns)


# The very records -----------------------------------------------------------------------------------------------------


def test_the_records_of_a_table_are_named_by_number() -> None:
    """Neighbours are written as a range: a request of thousands of rows stays short."""
    assert str(a_table().subset()) == "hmi.M_720s[:#4,#7-#8,#10]"
    assert str(a_table()[[0, 3]].subset()) == "hmi.M_720s[:#4,#7]"


def test_the_segments_that_were_asked_for_stay_asked_for() -> None:
    """An export of the rows is one of the files that the record set named."""
    assert str(a_table("hmi.m_720s[2016.04.01/1h]{magnetogram}")[:1].subset()) == "hmi.M_720s[:#7]{magnetogram}"


def test_records_of_two_series_stay_apart() -> None:
    """A number means another record in another series."""
    table = a_table(
        "hmi.m_720s[2016.04.01],hmi.v_720s[2016.04.01]{Dopplergram}", series=["hmi.M_720s"] * 2 + ["hmi.V_720s"] * 2
    )
    assert str(table.subset()) == "hmi.M_720s[:#7-#8],hmi.V_720s[:#4,#10]{Dopplergram}"


def test_without_numbers_records_are_named_by_their_primary_keys() -> None:
    """Some sites do not tell the numbers."""
    times = KeywordColumn(
        name="T_REC", type=KeywordType.TIME, units="TAI", values=[TaiTime.parse("2016.04.01_06:00:00_TAI")] * 3
    )
    cameras = KeywordColumn(name="CAMERA", type=KeywordType.INT, values=[3, 1, None])
    table = RecordTable(
        RecordSet.of("hmi.m_720s[2016.04.01]"),
        keywords={"T_REC": times, "CAMERA": cameras},
        recnums=[None] * 3,
        primekeys=("T_REC", "CAMERA"),
    )
    first = "hmi.m_720s[2016.04.01_06:00:00_TAI]"
    assert str(table[:2].subset()) == f"{first}[3],{first}[1]"
    with pytest.raises(InvalidInput, match="record 2 has no CAMERA"):
        table.subset()


def test_records_that_nothing_names_cannot_be_asked_for_again() -> None:
    """Better than an export of the whole series."""
    with pytest.raises(InvalidInput, match="query them with T_REC"):
        a_table(recnums=[None] * 4).subset()
    with pytest.raises(InvalidInput, match="query them with primary keys"):
        a_table(recnums=[None] * 4, primekeys=()).subset()
    with pytest.raises(InvalidInput, match="there are none"):
        a_table()[[]].subset()


# Other libraries ------------------------------------------------------------------------------------------------------


def test_a_frame_has_nullable_integers_and_real_times() -> None:
    """What is missing does not turn a QUALITY into a float; UTC takes account of the leap seconds."""
    frame = a_table().to_pandas()
    assert frame["CAMERA"].dtype == "Int64"
    assert frame["CAMERA"].isna().tolist() == [False, False, False, True]
    assert frame["EXPTIME"].dtype == "float64"
    assert frame["T_OBS"].dtype == "datetime64[us, UTC]"
    assert frame["T_OBS"][0] == datetime(2016, 4, 1, 5, 59, 24, 250000, UTC)
    assert frame["T_OBS"].isna().tolist() == [False, False, True, False]
    # A leap second has no place in a datetime; it stays before the next second.
    assert frame["T_OBS"][3] == datetime(2017, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)


def test_a_frame_can_show_the_clock_of_the_service() -> None:
    """TAI as a clock reading without a zone, in which the leap second has one; or the service's texts."""
    frame = a_table().to_pandas(times="tai")
    assert frame["T_OBS"].dtype == "datetime64[us]"
    assert frame["T_OBS"][3] == datetime(2017, 1, 1, 0, 0, 36, 500000)
    texts = a_table().to_pandas(times="text")["T_OBS"]
    assert texts.dropna().tolist() == [TIMES[0], "2016.04.01_06:12:00.00_TAI", TIMES[3]]
    with pytest.raises(InvalidInput, match="'local' is unknown; use 'utc', 'tai' or 'text'"):
        a_table().to_pandas(times="local")  # type: ignore[arg-type]


def test_an_arrow_table_has_timestamps_and_units() -> None:
    """For Parquet files and everything that reads them."""
    arrow = a_table().to_arrow()
    assert arrow.schema.field("T_OBS").type == pyarrow.timestamp("us", tz="UTC")
    assert arrow.schema.field("CAMERA").type == pyarrow.int64()
    assert arrow.schema.field("EXPTIME").metadata == {b"unit": b"s"}
    assert arrow.schema.field("OBJECT").metadata is None  # "none" is how the service says that there is no unit
    assert arrow.column("CAMERA").to_pylist() == [1, 3, 3, None]
    assert a_table()[[]].to_arrow().schema == arrow.schema


def test_a_number_too_large_for_arrow_names_its_column() -> None:
    """Instead of an error of the library about nothing in particular."""
    column = KeywordColumn(name="HUGE", type=KeywordType.LONGLONG, values=[1 << 70])
    with pytest.raises(InvalidInput, match="HUGE: does not fit"):
        RecordTable(RecordSet.of("su.test"), keywords={"HUGE": column}, recnums=[1]).to_arrow()


def test_dictionaries_hold_plain_values() -> None:
    """For JSON and for templates."""
    first = a_table().to_dicts()[0]
    assert first["T_OBS"] == datetime(2016, 4, 1, 5, 59, 24, 250000, UTC)
    assert a_table().to_dicts(times="text")[0]["T_OBS"] == TIMES[0]
    assert first["magnetogram"] == "/SUM1/D1/S00000/m.fits"


def test_texts_stay_texts() -> None:
    """A table of the service's own texts has no types to convert them by."""
    table = a_table(keywords={"EXPTIME": KeywordColumn(name="EXPTIME", values=["1.50", "MISSING", None, "nan"])})
    assert table.to_pandas()["EXPTIME"].dropna().tolist() == ["1.50", "MISSING", "nan"]
    assert table.to_arrow().schema.field("EXPTIME").type == pyarrow.string()


def test_a_table_without_columns_still_has_rows() -> None:
    """Whoever asked only for the numbers of records."""
    table = RecordTable(RecordSet.of("su.test"), keywords={}, recnums=[3, 4])
    assert (len(table), table.to_pandas().shape, table.to_arrow().num_columns) == (2, (2, 0), 0)
    assert str(table.subset()) == "su.test[:#3-#4]"
