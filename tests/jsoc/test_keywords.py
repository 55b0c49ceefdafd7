"""Values of keywords: typed as their series says, printed as the service prints them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurora_async.jsoc.keywords import KeywordType, Value, print_value, read_value
from aurora_async.jsoc.times import MISSING_TIME, TaiTime

CHAR, SHORT, INT, LONGLONG, FLOAT, DOUBLE, TIME, STRING, LINK = KeywordType
WHOLE = {CHAR: 8, SHORT: 16, INT: 32, LONGLONG: 64}


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        ("171", INT, 171),
        (" 171 ", INT, 171),
        ("-7", SHORT, -7),
        ("0x00000000", INT, 0),
        ("0x40000000", INT, 0x40000000),
        ("0x80000200", INT, -0x7FFFFE00),
        ("0xffffffff", INT, -1),
        ("-2147483136", INT, -0x7FFFFE00),
        ("2147484160", INT, -0x7FFFFE00),
        ("0x0000010000000000", LONGLONG, 1 << 40),
        ("0xFFFF", SHORT, -1),
        ("89", CHAR, 89),
        ("Y", CHAR, "Y"),
        (12, LONGLONG, 12),
        ("3313.104980", DOUBLE, 3313.10498),
        ("6173.0", FLOAT, 6173.0),
        ("1e-3", DOUBLE, 0.001),
        ("inf", DOUBLE, math.inf),
        (2, DOUBLE, 2.0),
        ("2016.04.01_06:00:00_TAI", TIME, TaiTime.parse("2016.04.01_06:00:00_TAI")),
        ("2021-07-03T14:25:05.84Z", TIME, TaiTime.parse("2021-07-03T14:25:05.84Z")),
        ("2016.04.01_06:00:00", TIME, TaiTime.parse("2016.04.01_06:00:00_UTC")),
        (1238565600.0, TIME, TaiTime.parse("2016.04.01_06:00:00_TAI")),
        ("SDO/HMI", STRING, "SDO/HMI"),
        (" 12 ", STRING, " 12 "),
        ("Invalid KeyLink", LINK, "Invalid KeyLink"),
    ],
)
def test_a_text_becomes_a_value_of_its_type(text: str | float, type: KeywordType, value: Value) -> None:
    """Integers stay integers, hexadecimal words too: QUALITY is where the official client loses them to NaN."""
    read = read_value(text, type)
    assert read == value
    assert read.__class__ is value.__class__


@pytest.mark.parametrize("type", KeywordType)
def test_missing_is_none_in_every_type(type: KeywordType) -> None:
    """As `MISSING` in lists, and as the value that stands for it in headers and for QUALITY."""
    assert [read_value(text, type) for text in ("MISSING", "", None)] == [None] * 3
    assert read_value(print_value(None, type, units="ISO"), type) is None


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("-128", CHAR),
        ("-32768", SHORT),
        ("-2147483648", INT),
        ("0x80000000", INT),
        ("-9223372036854775808", LONGLONG),
        ("0x8000000000000000", LONGLONG),
        ("nan", FLOAT),
        ("-nan", DOUBLE),
        ("-4712.01.01_11:59:28Z", TIME),
        ("-4712.01.01_11:59_TAI", TIME),
        (-211087684832.184, TIME),
    ],
)
def test_the_value_that_stands_for_none_is_none(text: str | float, type: KeywordType) -> None:
    """One that slips through would be an image of the year 4713 B.C., or the coldest pixel there is."""
    assert read_value(text, type) is None


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("foo", INT),
        ("1.5", INT),
        (1.5, INT),
        (math.inf, INT),
        (math.nan, LONGLONG),
        ("0xgg", INT),
        ("4294967296", INT),
        ("-2147483649", INT),
        ("65536", SHORT),
        ("YES", CHAR),
        ("Invalid KeyLink", DOUBLE),
        ("0x10", FLOAT),
        ("yesterday", TIME),
    ],
)
def test_a_text_of_another_type_is_refused(text: str | float, type: KeywordType) -> None:
    """A value that cannot be right is not made a missing one in silence."""
    with pytest.raises(ValueError) as refused:
        read_value(text, type)
    assert str(text) in str(refused.value)


def test_the_units_of_a_time_are_its_zone() -> None:
    """`units` is how a series says in which zone it prints."""
    assert read_value("2016.04.01_06:00:00", TIME, units="TAI") == TaiTime.parse("2016.04.01_06:00:00_TAI")
    assert read_value("2016.04.01_06:00:00_TAI", TIME, units="UTC") == TaiTime.parse("2016.04.01_06:00:00_TAI")


@pytest.mark.parametrize(
    ("value", "type", "format", "text"),
    [
        (3313.10498, DOUBLE, "%f", "3313.104980"),
        (6173.0, FLOAT, "%.1f", "6173.0"),
        (6173.0, FLOAT, "%8.2lf", " 6173.00"),
        (0.000123, DOUBLE, "%15.9g", "       0.000123"),
        (1.5, DOUBLE, "%e", "1.500000e+00"),
        (171, INT, "%d", "171"),
        (-7, SHORT, "%hd", "-7"),
        (1 << 40, LONGLONG, "%lld", "1099511627776"),
        (0, INT, "0x%08x", "0x00000000"),
        (-0x7FFFFE00, INT, "0x%08x", "0x80000200"),
        (-1, SHORT, "%hx", "ffff"),
        (1 << 40, LONGLONG, "0x%016llX", "0x0000010000000000"),
        (-1, INT, "%u", "4294967295"),
        ("SDO", STRING, "%s", "SDO"),
        ("SDO", STRING, "%-5s|", "SDO  |"),
        (171, INT, "", "171"),
        (None, INT, "%d", "-2147483648"),
        (None, INT, "0x%08x", "0x80000000"),
        (None, SHORT, "%hd", "-32768"),
        (None, CHAR, "%hhd", "-128"),
        (None, LONGLONG, "%lld", "-9223372036854775808"),
        (None, DOUBLE, "%f", "nan"),
        (None, STRING, "%s", ""),
    ],
)
def test_a_value_prints_in_the_format_of_its_keyword(value: Value, type: KeywordType, format: str, text: str) -> None:
    """The formats of `aia.lev0`, `hmi.V_45s` and others: names of records are made of such texts."""
    assert print_value(value, type, format) == text


@pytest.mark.parametrize(
    ("value", "format", "units", "text"),
    [
        ("2016-04-01T05:59:24Z", "0", "TAI", "2016.04.01_06:00:00_TAI"),
        ("2016-04-01T05:59:24Z", "", "TAI", "2016.04.01_06:00:00_TAI"),
        ("2021-07-03T14:25:05.84Z", "2", "ISO", "2021-07-03T14:25:05.84Z"),
        ("2021-07-03T14:25:05.84Z", "2", "UTC", "2021.07.03_14:25:05.84_UTC"),
        ("2021-07-03T14:25:05.84Z", "-1", "TAI", "2021.07.03_14:25_TAI"),
        (None, "2", "ISO", "-4712.01.01_11:59:27.82Z"),
        (None, "0", "ISO", "-4712.01.01_11:59:28Z"),
        (None, "-1", "TAI", "-4712.01.01_11:59_TAI"),
    ],
)
def test_a_time_prints_in_its_zone_with_its_digits(value: str | None, format: str, units: str, text: str) -> None:
    """A time's format is the digits of its second: definitions of series say `2` where others say `%f`."""
    when = None if value is None else TaiTime.parse(value)
    assert print_value(when, TIME, format, units) == text


def test_a_value_that_does_not_fit_its_format_is_refused() -> None:
    """A catalog that says so is broken, and would print nonsense."""
    with pytest.raises(ValueError, match="cannot be printed"):
        print_value("SDO", INT, "%d")


def of_type(type: KeywordType) -> st.SearchStrategy[tuple[KeywordType, int]]:
    limit = 1 << WHOLE[type] - 1
    return st.tuples(st.just(type), st.integers(-limit, limit - 1))


@given(st.sampled_from(list(WHOLE)).flatmap(of_type), st.sampled_from(["%d", "%lld", "%i", "0x%08x", "0x%016llX", ""]))
@example((INT, -(1 << 31)), "0x%08x")
def test_whole_numbers_are_printed_and_read(typed: tuple[KeywordType, int], format: str) -> None:
    """Also those with the sign bit, which a bit field prints as a large number."""
    type, number = typed
    wanted = None if number == type.missing else number
    assert read_value(print_value(number, type, format), type) == wanted


@given(st.floats(allow_nan=False))
def test_doubles_are_printed_and_read(number: float) -> None:
    """Seventeen digits tell doubles apart; nine do for floats."""
    assert read_value(print_value(number, DOUBLE, "%.17g"), DOUBLE) == number
    single = struct.unpack("f", struct.pack("f", max(-3e38, min(number, 3e38))))[0]
    read = read_value(print_value(single, FLOAT, "%.9g"), FLOAT)
    assert isinstance(read, float)
    assert struct.pack("f", read) == struct.pack("f", single)


@given(
    st.floats(-3e9, 3e9).map(lambda at: TaiTime(round(at, 2))), st.sampled_from(["TAI", "UTC", "ISO", "Z", "TDT", ""])
)
def test_times_are_printed_and_read(when: TaiTime, units: str) -> None:
    """To the digits of the format."""
    read = read_value(print_value(when, TIME, "2", units), TIME, units=units)
    assert isinstance(read, TaiTime)
    assert read - when == pytest.approx(0, abs=0.0051)


@given(st.text().filter(lambda text: text not in ("", "MISSING")))
def test_texts_are_printed_and_read(text: str) -> None:
    """As they are, blanks and percent signs too."""
    assert read_value(print_value(text, STRING, "%s"), STRING) == text


def test_types_are_named_as_in_the_structure_of_a_series() -> None:
    """`series_struct` sends these words; another one is refused by the reader of that answer."""
    words = "char short int longlong float double time string link"
    assert [type.value for type in KeywordType] == words.split()
    assert [type.missing for type in (CHAR, SHORT, TIME, STRING)] == [-128, -32768, MISSING_TIME, ""]
