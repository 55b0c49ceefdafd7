"""Times as people write them, and as the services do."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, timedeltas, timezones

from aurora_async.errors import InvalidInput
from aurora_async.times import TimeRange, end_of, parse_wire, start_of, to_wire


def instant(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2020", instant(2020, 1, 1), instant(2020, 12, 31, 23, 59, 59)),
        ("2020-02", instant(2020, 2, 1), instant(2020, 2, 29, 23, 59, 59)),
        ("2019-02", instant(2019, 2, 1), instant(2019, 2, 28, 23, 59, 59)),
        ("1900-02", instant(1900, 2, 1), instant(1900, 2, 28, 23, 59, 59)),
        ("202012", instant(2020, 12, 1), instant(2020, 12, 31, 23, 59, 59)),
        ("2020-01-31", instant(2020, 1, 31), instant(2020, 1, 31, 23, 59, 59)),
        ("20200131", instant(2020, 1, 31), instant(2020, 1, 31, 23, 59, 59)),
        ("2020-01-01T06", instant(2020, 1, 1, 6), instant(2020, 1, 1, 6, 59, 59)),
        ("2020010106", instant(2020, 1, 1, 6), instant(2020, 1, 1, 6, 59, 59)),
        ("2020-01-01T06:30", instant(2020, 1, 1, 6, 30), instant(2020, 1, 1, 6, 30, 59)),
        ("202001010630", instant(2020, 1, 1, 6, 30), instant(2020, 1, 1, 6, 30, 59)),
        ("2020-01-01 06:30", instant(2020, 1, 1, 6, 30), instant(2020, 1, 1, 6, 30, 59)),
        ("2020-01-01T06:30:15", instant(2020, 1, 1, 6, 30, 15), instant(2020, 1, 1, 6, 30, 15)),
        ("20200101T063015", instant(2020, 1, 1, 6, 30, 15), instant(2020, 1, 1, 6, 30, 15)),
        ("20200101063015", instant(2020, 1, 1, 6, 30, 15), instant(2020, 1, 1, 6, 30, 15)),
        ("2020-01-01T06:30:15.25", instant(2020, 1, 1, 6, 30, 15, 250000), instant(2020, 1, 1, 6, 30, 15, 250000)),
        (
            "2020-01-01T06:30:15,123456789",
            instant(2020, 1, 1, 6, 30, 15, 123456),
            instant(2020, 1, 1, 6, 30, 15, 123456),
        ),
        ("2020-01-01T00:00:00.000Z", instant(2020, 1, 1), instant(2020, 1, 1)),
        ("2020-01-01T06Z", instant(2020, 1, 1, 6), instant(2020, 1, 1, 6, 59, 59)),
        ("2020-01-01T06:30+01:00", instant(2020, 1, 1, 5, 30), instant(2020, 1, 1, 5, 30, 59)),
        ("2020-01-01T00:30:00-0730", instant(2020, 1, 1, 8), instant(2020, 1, 1, 8)),
        ("2020-01-01T00:00:00+05:30", instant(2019, 12, 31, 18, 30), instant(2019, 12, 31, 18, 30)),
        ("  2020-01-01\n", instant(2020, 1, 1), instant(2020, 1, 1, 23, 59, 59)),
        ("9999", instant(9999, 1, 1), instant(9999, 12, 31, 23, 59, 59)),
        ("0001", instant(1, 1, 1), instant(1, 12, 31, 23, 59, 59)),
    ],
)
def test_a_partial_text_is_filled_up(text: str, start: datetime, end: datetime) -> None:
    """As in IDL-AuroraX: a start to the beginning of the period it names, an end to its last second."""
    assert (start_of(text), end_of(text)) == (start, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "20",
        "2020-1-1",
        "2020-00",
        "2020-00-15",
        "2020-13",
        "202013",
        "2020-01-00",
        "2020-02-30",
        "2019-02-29",
        "1900-02-29",
        "0000",
        "2020-0131",
        "202001-31",
        "2020/01/01",
        "2020-01-01T",
        "2020-01-01Z",
        "2020-01-01T24:00",
        "2020-01-01T23:60",
        "2020-01-01T23:59:60",
        "2020-01-01T00:00:00.",
        "2020-01-01T00:00+1",
        "2020-01-01T00:00+99:99",
        "2020-01-01T00:00+24:00",
        "2020-01-01T00:00+01:60",
        "2020-01-01T00:00:00 UTC",
        "\u0662\u0660\u0662\u0660",
        "2020-01-01; 2021",
    ],
)
def test_what_is_no_time_is_refused_with_the_forms_that_are(text: str) -> None:
    """The error has to teach: field, what was given, what may be given."""
    for read, field in ((start_of, "start"), (end_of, "end")):
        with pytest.raises(InvalidInput) as refused:
            read(text)
        assert refused.value.field == field
        assert refused.value.reason.startswith(f"{text!r} is not a time")
        assert "write 2020, 2020-01, 2020-01-01" in refused.value.reason


@pytest.mark.parametrize("value", [None, 5, 2020.0, True, b"2020", ("2020",)])
def test_other_types_are_refused(value: object) -> None:
    """A number might be seconds, days or a year: nobody should guess."""
    with pytest.raises(InvalidInput, match=r"^when: .* is a \w+; give a datetime, a date or a text such as 2020, "):
        start_of(value, "when")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0001-01-01T00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_the_ends_of_the_calendar_are_errors_of_ours(text: str) -> None:
    """Python's OverflowError is no ValueError and would pass by every handler."""
    with pytest.raises(InvalidInput, match="lies outside the years 1 to 9999"):
        start_of(text)
    with pytest.raises(InvalidInput, match="lies outside the years 1 to 9999"):
        start_of(datetime.fromisoformat(text))
    with pytest.raises(ValueError, match="lies outside the years 1 to 9999"):
        parse_wire(text)


def test_a_naive_datetime_means_utc() -> None:
    """As everywhere in the field; the zone of the laptop on a field campaign is nobody's business."""
    assert start_of(datetime(2020, 1, 1, 6)) == end_of(datetime(2020, 1, 1, 6)) == instant(2020, 1, 1, 6)


def test_an_aware_datetime_is_converted() -> None:
    """The same instant, and one zone inside the package."""
    local = datetime(2020, 1, 1, 6, tzinfo=timezone(timedelta(hours=-7)))
    assert start_of(local) == local
    assert start_of(local).tzinfo is UTC


def test_a_date_is_its_whole_day() -> None:
    """`date(2020, 1, 1)` to itself is one day, not nothing."""
    assert start_of(date(2020, 2, 29)) == instant(2020, 2, 29)
    assert end_of(date(2020, 2, 29)) == instant(2020, 2, 29, 23, 59, 59)


@given(datetimes(timezones=timezones()))
def test_what_is_written_for_a_service_is_read_back(moment: datetime) -> None:
    """Whole seconds survive the wire, in every year and from every zone."""
    try:
        moment = start_of(moment).replace(microsecond=0)
    except InvalidInput:
        return  # in year 1 or 9999, and not in UTC's
    text = to_wire(moment)
    assert len(text) == 19
    assert parse_wire(text) == start_of(text) == end_of(text) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-01T01:46:00", instant(2020, 1, 1, 1, 46)),
        ("2024-06-18T01:56:33.390293", instant(2024, 6, 18, 1, 56, 33, 390293)),
        ("2024-06-18T01:58:12.18355", instant(2024, 6, 18, 1, 58, 12, 183550)),
        ("2022-01-14T01:34:35.634Z", instant(2022, 1, 14, 1, 34, 35, 634000)),
        ("2022-01-14T01:34:35+01:00", instant(2022, 1, 14, 0, 34, 35)),
    ],
)
def test_timestamps_of_the_services_are_read(text: str, moment: datetime) -> None:
    """AuroraX drops trailing zeros of a fraction, and wrote a Z until 2022."""
    assert parse_wire(text) == moment
    assert parse_wire(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "soon", "2020-13-01T00:00:00"])
def test_what_is_no_timestamp_is_a_value_error(text: str) -> None:
    """The wire modules turn it into an error that points into the answer."""
    with pytest.raises(ValueError):
        parse_wire(text)


def test_a_time_range_is_filled_up_at_both_ends() -> None:
    """`TimeRange("2020", "2020")` is the year, to its last second."""
    year = TimeRange("2020", "2020")
    assert (year.start, year.end) == (instant(2020, 1, 1), instant(2020, 12, 31, 23, 59, 59))
    assert year.duration == timedelta(days=366, seconds=-1)


def test_a_time_range_may_be_one_instant_but_not_run_backwards() -> None:
    """Both ends are inclusive, so an instant is a range."""
    now = datetime(2020, 1, 1)
    assert TimeRange(now, now).duration == timedelta()
    with pytest.raises(InvalidInput) as refused:
        TimeRange("2020-01-02", "2020-01-01")
    assert (refused.value.field, refused.value.reason) == (
        "end",
        "2020-01-01T23:59:59 is before the start, 2020-01-02T00:00:00",
    )


def test_a_time_range_names_the_end_that_is_wrong() -> None:
    """Two texts were given; which one is it?"""
    for field, arguments in (("start", ("x", "2020")), ("end", ("2020", "x"))):
        with pytest.raises(InvalidInput) as refused:
            TimeRange(*arguments)
        assert refused.value.field == field


@given(datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9000, 1, 1)), timedeltas(timedelta(), timedelta(9999)))
def test_time_ranges_are_values(start: datetime, duration: timedelta) -> None:
    """However they were written, equal ranges are equal, hash alike and travel to other processes."""
    one, other = TimeRange(start, start + duration), TimeRange(start.replace(tzinfo=UTC), start + duration)
    assert one == other == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(other)
    assert one.duration == duration
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.start = start  # type: ignore[misc]
