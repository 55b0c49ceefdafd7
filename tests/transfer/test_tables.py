"""Records as lists, dictionaries, DataFrames, Arrow tables and notebook views; the record classes are made up here."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal

import attrs
import pandas as pd
import pyarrow as pa
import pytest

from aurora_async.errors import InvalidInput, MissingExtra
from aurora_async.transfer.tables import Records, table

WHEN = datetime(2020, 1, 1, 6, 30, tzinfo=UTC)


@table(units={"depth": "km"}, brief=("name",))
@attrs.frozen
class Place:
    """A record within others."""

    name: str
    depth: float | None = None


@table(inline=("at",), numbered=("stops",), omit=("secret",), units={"length": "m"})
@attrs.frozen
class Journey:
    """A record with a field of every kind."""

    start: datetime
    end: datetime
    at: Place
    via: Place | None
    stops: list[Place]
    length: float
    count: int
    passengers: int | None
    by_night: bool
    paid: bool | None
    kind: Literal["day", "night"]
    number: int | str | None
    tags: list[str]
    notes: dict[str, Any] | None = None
    seen: datetime | None = None
    secret: str = "hidden"


@table(long=("days", "date", "records"))
@attrs.frozen
class Calendar:
    """Numbers by day."""

    name: str
    days: dict[date, int]


def journey(**changes: Any) -> Journey:
    """A journey with something in every field."""
    fields: dict[str, Any] = {
        "start": WHEN,
        "end": WHEN + timedelta(hours=1),
        "at": Place("a", 1.5),
        "via": Place("v", 2.5),
        "stops": [Place("s", 1.0), Place("t", 2.0)],
        "length": 12.5,
        "count": 3,
        "passengers": 4,
        "by_night": True,
        "paid": False,
        "kind": "day",
        "number": 7,
        "tags": ["x", "y"],
        "notes": {"when": WHEN, "list": [1]},
        "seen": WHEN,
    }
    return Journey(**(fields | changes))


def empty(**changes: Any) -> Journey:
    """A journey with nothing in every field that may be empty."""
    return journey(
        **{"via": None, "stops": [], "passengers": None, "paid": None, "number": None, "tags": [], "notes": None,
           "seen": None, "at": Place("b")} | changes
    )  # fmt: skip


JOURNEYS = Records([journey(), empty()], record_type=Journey)


def test_records_are_a_list() -> None:
    """Whoever knows lists knows them; what a slice or a copy loses is noticed at the far end of a notebook."""
    records = Records([1, 2, 3], record_type=int)
    assert records == [1, 2, 3]
    assert records[0] == 1
    for one in (records[:2], records.copy()[:2], copy.copy(records)[:2], pickle.loads(pickle.dumps(records))[:2]):
        assert (type(one), one, one.record_type) == (Records, [1, 2], int)
    records += [4]
    assert isinstance(records, Records)
    assert Records().record_type is None


def test_a_sum_of_records_is_records() -> None:
    """Searches of many months are put together with `+`, and are to become one table."""
    first, second, none = JOURNEYS[:1], JOURNEYS[1:], Records[Journey]()
    in_place = JOURNEYS[:1]
    in_place += second
    from_nothing = Records[Journey]()
    from_nothing += JOURNEYS
    from_a_list: Any = list(first)
    for one in (first + second, first + list(second), from_a_list + second, none + JOURNEYS, JOURNEYS + none, in_place,
                from_nothing):  # fmt: skip
        assert (type(one), one, one.record_type) == (Records, JOURNEYS, Journey)
    for many in (first * 3, 3 * first):
        assert (type(many), len(many), many.record_type) == (Records, 3, Journey)


def test_a_sum_of_different_records_has_no_class() -> None:
    """Whose columns would it have?"""
    mixed = JOURNEYS + Records([Place("a")], record_type=Place)
    assert (len(mixed), mixed.record_type) == (3, None)
    in_place: Records[Any] = JOURNEYS[:]
    in_place += [{"a": 1}]
    assert (len(in_place), in_place.record_type) == (3, None)
    with pytest.raises(TypeError):
        JOURNEYS + 1  # type: ignore[operator]


def test_dictionaries_are_nested_plain_and_in_the_order_of_the_class() -> None:
    """Datetimes stay datetimes; a change to the dictionary must not reach the frozen record."""
    first, second = JOURNEYS.to_dicts()
    assert list(first) == [field.name for field in attrs.fields(Journey)]
    assert first == attrs.asdict(journey())
    assert second["via"] is None
    first["notes"]["list"].append(2)
    assert JOURNEYS[0].notes == {"when": WHEN, "list": [1]}


@table(hidden=("raw",), texts=("place",), last=("name",), noun="stop")
@attrs.frozen
class Stop:
    """A record that says what it is told by."""

    name: str
    place: Place | None
    day: date
    raw: dict[str, Any] = attrs.field(factory=dict)


def test_a_class_says_what_is_told_by_its_text_what_at_the_end_and_what_nowhere() -> None:
    """In every view alike: a script that goes from dictionaries to a table of Arrow finds the same columns."""
    stops = Records([Stop("a", Place("b"), date(2020, 1, 1), {"c": 1}), Stop("d", None, date(2020, 1, 2))])
    stops.record_type = Stop
    text = str(Place("b"))
    assert [list(one.items()) for one in stops.to_dicts()] == [
        [("place", text), ("day", date(2020, 1, 1)), ("name", "a")],
        [("place", None), ("day", date(2020, 1, 2)), ("name", "d")],
    ]
    arrow, frame = stops.to_arrow(), stops.to_pandas()
    assert arrow.column_names == list(frame.columns) == ["place", "day", "name"]
    assert arrow.column("place").to_pylist() == [text, None]
    assert [frame["place"][0], frame["day"][0]] == [text, datetime(2020, 1, 1, tzinfo=UTC)]
    assert "raw" not in stops._repr_html_()


def test_dictionaries_have_keys_that_json_has() -> None:
    """A day as a key is a text."""
    assert Records([Calendar("a", {date(2020, 1, 1): 5})], record_type=Calendar).to_dicts() == [
        {"name": "a", "days": {"2020-01-01": 5}}
    ]
    assert Records([{"a": {"b": WHEN}}]).to_dicts() == [{"a": {"b": WHEN}}]


COLUMNS = {
    "start": "datetime64[us, UTC]",
    "end": "datetime64[us, UTC]",
    "name": "str",
    "via_name": "str",
    "name_1": "str",
    "name_2": "str",
    "length": "float64",
    "count": "int64",
    "passengers": "Int64",
    "by_night": "bool",
    "paid": "boolean",
    "kind": "str",
    "number": "str",
    "tags": "object",
    "notes": "object",
    "seen": "datetime64[us, UTC]",
}


@pytest.mark.parametrize("records", [JOURNEYS, JOURNEYS[:1], JOURNEYS[1:], JOURNEYS[:0]], ids=len)
def test_a_frame_has_the_same_columns_whatever_is_in_it(records: Records[Journey]) -> None:
    """Frames of many searches are concatenated, and an empty one must not turn the times into objects."""
    frame = records.to_pandas()
    texts = str(pd.Series(["a"]).dtype)  # object before pandas 3
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        name: texts if kind == "str" else kind for name, kind in COLUMNS.items()
    }
    assert len(frame) == len(records)


def test_a_frame_holds_the_values() -> None:
    """Missing numbers are NaN or NA, missing instants NaT; dictionaries stay what they are."""
    first, second = JOURNEYS.to_pandas().to_dict("records")
    assert first["start"] == pd.Timestamp("2020-01-01T06:30Z")
    assert (first["name"], first["via_name"], first["name_1"], first["name_2"]) == ("a", "v", "s", "t")
    assert first["notes"] == {"when": WHEN, "list": [1]}
    assert first["passengers"] == 4
    for name in ("via_name", "name_1", "passengers", "paid", "notes", "seen"):
        assert pd.isna(second[name])


def test_places_are_counted_by_the_longest_list() -> None:
    """Three places in one record are three columns in all."""
    three = journey(stops=[Place("s"), Place("t"), Place("u")])
    frame = Records([empty(), three], record_type=Journey).to_pandas()
    assert frame["name_3"].tolist()[1] == "u"
    assert pd.isna(frame["name_3"][0])


def test_a_time_zone_is_converted_and_no_year_is_too_far() -> None:
    """Nanoseconds would end in 2262, and element sets are propagated further by mistake."""
    far = journey(start=datetime(9999, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    records = Records([far], record_type=Journey)
    assert records.to_pandas()["start"].dt.strftime("%Y-%m-%d %H")[0] == "9998-12-31 23"
    assert records.to_arrow()["start"][0].as_py() == far.start


def test_days_are_rows() -> None:
    """One row for each day, which is what is plotted."""
    records = Records(
        [Calendar("a", {date(2020, 1, 1): 5, date(2020, 1, 2): 6}), Calendar("b", {})], record_type=Calendar
    )
    frame = records.to_pandas()
    assert frame["name"].tolist() == ["a", "a"]
    assert frame["date"].tolist() == [pd.Timestamp("2020-01-01T00Z"), pd.Timestamp("2020-01-02T00Z")]
    assert frame["records"].tolist() == [5, 6]
    assert list(records[:0].to_pandas().columns) == ["name", "date", "records"]


STRUCT = pa.struct([pa.field("name", pa.string()), pa.field("depth", pa.float64())])
SCHEMA = pa.schema(
    [
        ("start", pa.timestamp("us", tz="UTC")),
        ("end", pa.timestamp("us", tz="UTC")),
        ("at", STRUCT),
        ("via", STRUCT),
        ("stops", pa.list_(STRUCT)),
        ("length", pa.float64()),
        ("count", pa.int64()),
        ("passengers", pa.int64()),
        ("by_night", pa.bool_()),
        ("paid", pa.bool_()),
        ("kind", pa.string()),
        ("number", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("notes", pa.string()),
        ("seen", pa.timestamp("us", tz="UTC")),
        ("secret", pa.string()),
    ]
)


@pytest.mark.parametrize("records", [JOURNEYS, JOURNEYS[:1], JOURNEYS[1:], JOURNEYS[:0]], ids=len)
def test_an_arrow_schema_follows_from_the_class_alone(records: Records[Journey]) -> None:
    """Files of many searches are read as one data set, which takes one schema."""
    made = records.to_arrow()
    made.validate(full=True)
    assert made.schema.equals(SCHEMA)
    assert made.num_rows == len(records)
    assert made.schema.equals(JOURNEYS.to_arrow().schema, check_metadata=True)


def test_an_arrow_table_holds_the_values() -> None:
    """Nested as the record is; what has no form is JSON; what is missing is null, not an empty record."""
    first, second = JOURNEYS.to_arrow().to_pylist()
    want = attrs.asdict(journey()) | {"number": "7", "notes": '{"when":"2020-01-01T06:30:00Z","list":[1]}'}
    assert first == want
    assert second["via"] is None
    assert second["stops"] == []
    assert second["at"] == {"name": "b", "depth": None}
    assert second["notes"] is None


def test_units_are_in_the_schema() -> None:
    """A file that is read in ten years still says kilometres."""
    schema = JOURNEYS.to_arrow().schema
    assert schema.field("length").metadata == {b"unit": b"m"}
    assert schema.field("at").type.field("depth").metadata == {b"unit": b"km"}
    assert schema.field("count").metadata is None


PLAIN: Records[dict[str, Any]] = Records(
    [
        {"epoch": "2020-01-01T00:00:00", "nbtrace": {"lat": 1.5, "lon": None}, "tags": ["a"], "mixed": 1},
        {"epoch": None, "nbtrace": {"lat": 2}, "mixed": "b", "late": "2020-02-31T00:00:00"},
    ]
)


def test_plain_dictionaries_are_flattened() -> None:
    """Texts that are all timestamps become instants, and a text that only looks like one stays a text."""
    frame = PLAIN.to_pandas()
    assert list(frame.columns) == ["epoch", "nbtrace_lat", "nbtrace_lon", "tags", "mixed", "late"]
    assert str(frame["epoch"].dtype) == "datetime64[us, UTC]"
    assert frame["nbtrace_lat"].tolist() == [1.5, 2.0]
    assert frame["mixed"].tolist() == [1, "b"]
    assert frame["late"][1] == "2020-02-31T00:00:00"


def test_plain_dictionaries_become_an_arrow_table() -> None:
    """Numbers beside texts are texts: a column has one type."""
    made = PLAIN.to_arrow()
    assert made["epoch"].to_pylist() == [datetime(2020, 1, 1, tzinfo=UTC), None]
    assert made["mixed"].to_pylist() == ["1", "b"]
    assert made["tags"].to_pylist() == ['["a"]', None]
    assert Records[Any]().to_arrow().num_rows == 0
    assert Records[Any]().to_pandas().empty


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["x", 1], ["x", "1"]),
        ([1, "x"], ["1", "x"]),
        (["q", True, None], ["q", "True", None]),
        ([True, 1], ["True", "1"]),
        ([WHEN, "z"], ["2020-01-01 06:30:00+00:00", "z"]),
        ([2**70], ["1180591620717411303424"]),
        ([1.5, 2**70], ["1.5", "1180591620717411303424"]),
        ([[2**70, "ä"], None], ['[1180591620717411303424,"ä"]', None]),
    ],
    ids=str,
)
def test_values_that_do_not_go_together_are_texts_in_arrow(values: list[Any], texts: list[Any]) -> None:
    """One odd record of a million must not keep the others out of a file."""
    records = Records([{"a": value} for value in values])
    assert records.to_arrow()["a"].to_pylist() == texts
    assert records.to_pandas()["a"].tolist() == values


def test_records_without_a_key_are_rows_nevertheless() -> None:
    """As many as there are, in both tables."""
    records = Records[dict[str, Any]]([{}, {}, {}])
    assert records.to_arrow().num_rows == len(records.to_pandas()) == 3
    assert records.to_arrow().column_names == []


def test_keys_that_flatten_to_one_name_are_two_columns() -> None:
    """None takes the place of the other."""
    records = Records([{"a_b": 1, "a": {"b": 2}, "a_b_2": 3, 1: 4}])
    columns = {"a_b": [1], "a_b_2": [2], "a_b_2_2": [3], "1": [4]}
    assert records.to_arrow().to_pydict() == columns
    assert records.to_pandas().to_dict("list") == columns


def test_a_number_of_more_than_64_bits_is_kept_or_refused_by_name() -> None:
    """A frame can hold it as an object; an Arrow schema promises 64 bits, but for metadata, which are text."""
    for records in (Records([journey(), journey(count=2**70)], record_type=Journey),
                    Records([journey(), journey(passengers=2**70)], record_type=Journey)):  # fmt: skip
        assert 2**70 in records.to_pandas().to_numpy()
        with pytest.raises(InvalidInput, match=r"(count|passengers): does not fit into a column of int64"):
            records.to_arrow()
    noted = Records([journey(notes={"n": 2**70, "when": WHEN})], record_type=Journey).to_arrow()
    assert noted["notes"].to_pylist() == ['{"n":1180591620717411303424,"when":"2020-01-01T06:30:00Z"}']


def test_what_is_no_record_is_a_column_of_values() -> None:
    """A list of names, say: it is a table too."""
    names = Records(["a", "b"], record_type=str)
    assert names.to_dicts() == [{"value": "a"}, {"value": "b"}]
    assert names.to_pandas()["value"].tolist() == names.to_arrow()["value"].to_pylist() == ["a", "b"]
    assert repr(names) == "<Records: 2 plain records>"
    assert "<td>b</td>" in names._repr_html_()


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (JOURNEYS, "<Records: 2 Journey, 2020-01-01 06:30 to 2020-01-01 07:30>"),
        (JOURNEYS[1:], "<Records: 1 Journey, 2020-01-01 06:30 to 2020-01-01 07:30>"),
        (Records([Place("a")] * 1203, record_type=Place), "<Records: 1,203 Place>"),
        (JOURNEYS[:0], "<Records: no Journey>"),
        (Records([{"a": 1}]), "<Records: 1 plain record>"),
        (Records(), "<Records: no plain records>"),
    ],
)  # fmt: skip
def test_a_repr_is_one_line(records: Records[Any], text: str) -> None:
    """Half a million records in a cell's answer must not fill the notebook."""
    assert repr(records) == text


def test_ipython_prints_the_repr() -> None:
    """It would print a list item by item."""
    from IPython.lib import pretty as ipython

    pretty: Any = ipython.pretty
    assert pretty(JOURNEYS) == repr(JOURNEYS)
    assert pretty({"found": JOURNEYS[:0]}) == "{'found': <Records: no Journey>}"


def test_a_view_shows_both_ends_and_the_count() -> None:
    """Enough to see what was found; the middle is a line."""
    html = Records([Place(f"n{number}", number / 2) for number in range(1203)], record_type=Place)._repr_html_()
    assert "1,203 Place" in html
    assert [f">n{number}<" in html for number in (0, 4, 5, 1197, 1198, 1202)] == [True, True, False, False, True, True]
    assert html.count("<tr") == 1 + 5 + 1 + 5
    assert 'depth <span class="unit">km</span>' in html
    assert html.count("601.00") == 1


def test_a_class_says_how_its_records_are_counted_and_what_is_left_out() -> None:
    """`6 series` reads better than the name of a class; a column of nothing says nothing."""

    @table(noun="stop", hides_empty=True)
    @attrs.frozen
    class Stop:
        name: str
        note: str | None = None

    stops = Records([Stop("a"), Stop("b")], record_type=Stop)
    assert [repr(stops), repr(stops[:1]), repr(stops[:0])] == [
        "<Records: 2 stops>",
        "<Records: 1 stop>",
        "<Records: no stops>",
    ]
    assert "note" not in stops._repr_html_().partition("<table>")[2]
    assert "<th>note</th>" in Records([Stop("a"), Stop("b", "here")], record_type=Stop)._repr_html_()


def test_a_view_of_few_shows_all_without_a_gap() -> None:
    """Eleven rows take no more room than ten and a gap."""
    html = Records([Place(f"n{number}") for number in range(11)], record_type=Place)._repr_html_()
    assert html.count("<tr") == 12
    assert "gap" not in html.rpartition("</style>")[2]


EVIL = '<script>alert("1")</script>'


@pytest.mark.parametrize(
    "html",
    [
        Records([Place(EVIL), Place("https://x/" + EVIL), Place("x" * 70 + EVIL)], record_type=Place)._repr_html_(),
        Records([{EVIL: EVIL, "a": {EVIL: [EVIL]}, "b": ["x" * 70 + EVIL]}])._repr_html_(),
        journey(notes={EVIL: {EVIL: EVIL}}, kind=EVIL)._repr_html_(),  # type: ignore[attr-defined]
        journey(notes={"a": "http://x/" + EVIL}, tags=[EVIL])._repr_html_(),  # type: ignore[attr-defined]
    ],
)
def test_what_came_from_a_service_is_escaped(html: str) -> None:
    """A notebook runs the scripts of a page that it trusts."""
    assert "alert" in html
    assert "<script" not in html
    assert 'alert("' not in html


def test_an_address_is_a_link_and_only_http_is() -> None:
    """A keogram is one click away; a `javascript:` address is a text."""
    html = Records(
        [Place("https://x.org/a/keogram.jpg"), Place("javascript:alert(1)")], record_type=Place
    )._repr_html_()
    assert '<a href="https://x.org/a/keogram.jpg" rel="noopener noreferrer" target="_blank">keogram.jpg</a>' in html
    assert html.count("href") == 1


def test_a_view_of_one_record_tells_its_metadata_entry_by_entry() -> None:
    """The sheet of a record; what is missing takes no line."""
    html = journey(notes={"region": "north"}, via=None)._repr_html_()  # type: ignore[attr-defined]
    assert "notes.region" in html
    assert "north" in html
    assert "via_name" not in html


@pytest.mark.parametrize(
    ("library", "verb", "extra"), [("pandas", "to_pandas", "pandas"), ("pyarrow", "to_arrow", "parquet")]
)
def test_a_library_that_is_not_there_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, library: str, verb: str, extra: str
) -> None:
    """The message is the command to type."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf'pip install "aurora-async\[{extra}\]"'):
        getattr(JOURNEYS, verb)()


def test_neither_library_is_imported_before_it_is_asked_for() -> None:
    """pandas alone would double the time of `import aurora_async`."""
    code = (
        "import sys; from aurora_async.transfer.tables import Records; Records([{'a': 1}])._repr_html_();"
        "print(sorted({'pandas', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
