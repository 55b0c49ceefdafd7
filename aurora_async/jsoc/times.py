"""Instants as DRMS keeps them, seconds of TAI since 1977.01.01_00:00:00_TAI, and the service's texts for them.

TAI and UTC differ by a whole number of seconds, one more with every leap second: `tai_minus_utc`. Before 1972 UTC
really ran at a rate of its own and jumped by fractions; the service's table has whole seconds there too, so a UTC of
those years is the service's, and up to two seconds off the historical one. TAI is exact in any year.

Source: the service's documentation and time library (NetDRMS, `base/libs/timeio`).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol, overload, runtime_checkable

import attrs

from aurora_async.errors import InvalidInput, MissingExtra
from aurora_async.times import start_of

__all__ = ["MISSING_TIME", "TIME", "AstropyTime", "InstantLike", "TaiTime", "tai_minus_utc", "zone_of"]

# The UTC days from whose first second on TAI - UTC is 1, 2, 3 ... 37 s: the day before ended with a leap second.
# Source: the table of the service's time library. From 1972 on it is the IERS', whose Bulletin C has announced no other
# since 2017.
_LEAP_DAYS = """
    1960-01-01 1962-07-01 1964-07-01 1965-07-01 1966-07-01 1968-01-01 1969-01-01 1970-01-01 1971-01-01 1972-01-01
    1972-07-01 1973-01-01 1974-01-01 1975-01-01 1976-01-01 1977-01-01 1978-01-01 1979-01-01 1980-01-01 1981-07-01
    1982-07-01 1983-07-01 1985-07-01 1988-01-01 1990-01-01 1991-01-01 1992-07-01 1993-07-01 1994-07-01 1996-01-01
    1997-07-01 1999-01-01 2006-01-01 2009-01-01 2012-07-01 2015-07-01 2017-01-01
"""
_EPOCH = date(1977, 1, 1)
_EPOCH_JD = Decimal("2443144.5")
_LEAPS = [(date.fromisoformat(day) - _EPOCH).days for day in _LEAP_DAYS.split()]
_LEAPS_TAI = [day * 86400 + count for count, day in enumerate(_LEAPS, 1)]

# Seconds ahead of TAI, for clocks that know no leap seconds; hours ahead of UTC for others, none for those not here.
_ATOMIC = {"TAI": Fraction(), "TDT": Fraction("32.184"), "TT": Fraction("32.184"), "GPS": Fraction(-19)}
_CIVIL = {letter: hours for hours, letter in enumerate("ABCDEFGHIKLM", 1)}
_CIVIL |= {letter: -hours for hours, letter in enumerate("NOPQRSTUVWXY", 1)}
_CIVIL |= {"HST": -10, "YST": -9, "HDT": -9, "PST": -8, "YDT": -8, "MST": -7, "PDT": -7, "CST": -6, "MDT": -6}
_CIVIL |= {"EST": -5, "CDT": -5, "AST": -4, "EDT": -4, "ADT": -3, "CET": 1, "BST": 1, "EET": 2, "SST": 8, "WST": 8}
_CIVIL |= {"JST": 9, "JDT": 10, "NZST": 12, "NZDT": 13}

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

TIME = re.compile(
    r"""(?: (?P<modified> M? ) JD_ (?P<julian> -? \d+ (?: \.\d* )? )
      | (?: (?P<compact> \d{4} (?: \d{4} | \d{3} ) )
          | (?P<year> \d{4} | (?: -\d{3,4} | \d{5} ) (?!-) )
            (?: (?P<mark> [.-] ) (?: (?P<ordinal> \d{3} ) | (?P<month> 0?[1-9] | 1[0-2] | [a-z]{3,9} )
                (?: (?P=mark) (?P<day> \d{1,2} ) (?P<fraction> \.\d+ )? )? ) )? )
        (?: [_T\ ] (?P<hour> \d{1,2} ) h?
            (?: : (?P<minute> [0-5]?\d ) m? (?: : (?P<second> (?: [0-5]?\d | 60 ) (?: \.\d* )? ) s? )? )? )? )
    (?: (?(hour) _? | _ ) (?P<zone> [a-z]+ | [+-] (?: 0\d | 1[0-4] ) :? [0-5]\d ) )?""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
"""The text of a time in any form, its zone included."""

_FORMS = (
    "2013.07.03_08:42:00_TAI, 2013.07.03_TAI, 2021-07-03T14:25:00Z, 2014-01-01 00:00, 20210703, 2021-184 or "
    "JD_2455317.5"
)

_SLASHED = re.compile(r"\s*(\d{4})/(\d{1,2})/(\d{1,2})(?=[ T_]|\s*$)", re.ASCII)
"""How sunpy's users write a day; in a record set / begins a duration, so it is not for the service."""


@runtime_checkable
class AstropyTime(Protocol):
    """What is used of astropy's `Time`, known by these and never imported."""

    @property
    def jd1(self) -> Any: ...
    @property
    def shape(self) -> Any: ...
    @property
    def tai(self) -> Any: ...


def _seconds(given: float | str) -> float:
    return TaiTime.parse(given).seconds if isinstance(given, str) else float(given)


@attrs.frozen(order=True)
class TaiTime:
    """An instant: `seconds` of TAI since 1977.01.01_00:00:00_TAI, a double as in the service (0.2 microseconds today).

    Instants are ordered, and the difference of two is the seconds that passed between them, leap seconds included. A
    text is read as `parse` does.
    """

    seconds: float = attrs.field(converter=_seconds)

    def __attrs_post_init__(self) -> None:
        if not math.isfinite(self.seconds):
            raise InvalidInput("time", f"{self.seconds} is not a number of seconds")

    @classmethod
    def of(cls, when: InstantLike) -> TaiTime:
        """Return the instant that `when` is: a naive datetime is UTC, a date or partial text its first moment.

        Texts may have any form that the service reads, or that of `2014/01/01 00:00`. A `Time` of astropy is taken by
        its TAI, so it may have any scale.
        """
        if isinstance(when, TaiTime):
            return when
        if isinstance(when, str):
            return cls.parse(_SLASHED.sub(r"\1-\2-\3", when))
        if isinstance(when, AstropyTime):
            if when.shape:
                raise InvalidInput("time", f"{when!r} is an array of times; give one of them")
            tai = when.tai
            return cls((float(tai.jd1) - float(_EPOCH_JD)) * 86400 + float(tai.jd2) * 86400)  # jd1 alone is exact
        utc = start_of(when, "time")
        minutes = (utc.date() - _EPOCH).days * 1440 + utc.hour * 60 + utc.minute
        return cls(_tai_of(minutes, utc.second + utc.microsecond / 1e6, "UTC"))

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> TaiTime:
        """Read a time in any form the service reads; `zone` is meant where the text names none.

        Parts that are missing are their first; zones that nobody knows are UTC, and an S behind the second is its unit
        and no zone, as in the service. A second 60 that is no leap second is the first of the next minute: the service
        prints one when it rounds 59.996 to two digits.

        Raises:
            InvalidInput: The text is not a time (the service would take it for the missing one).
        """
        text = text.strip()
        if text.upper() == "MISSING":
            return MISSING_TIME
        match = TIME.fullmatch(text)
        if match is None:
            raise InvalidInput("time", f"{text!r} is not a time; write {_FORMS}")
        if match["julian"]:
            days = Decimal(match["julian"]) + (Decimal("2400000.5") if match["modified"] else 0)
            whole, rest = divmod((days - _EPOCH_JD) * 86400, 60)
            return cls(_tai_of(int(whole), float(rest), match["zone"] or "TDT"))
        day = _day_in(match)
        if day is None or (match["fraction"] and match["hour"]) or int(match["hour"] or 0) > 24:
            raise InvalidInput("time", f"{text!r} names a day or an hour that does not exist; write {_FORMS}")
        minutes = day * 1440 + int(match["hour"] or 0) * 60 + int(match["minute"] or 0)
        second = float(match["second"] or 0) + float(match["fraction"] or 0) * 86400
        return cls(_tai_of(minutes, second, match["zone"] or zone))

    @property
    def is_missing(self) -> bool:
        """Whether this is the service's mark for a time that is not known: Julian day 0, whatever it was rounded to."""
        return abs(self.seconds - MISSING_TIME.seconds) < 43200

    @property
    def is_leap_second(self) -> bool:
        """Whether a UTC clock shows a second 60."""
        return math.floor(self.seconds) + 1 in _LEAPS_TAI

    @property
    def utc(self) -> datetime:
        """This instant in UTC, an aware datetime, to the microsecond.

        A datetime has no second 60: all of a leap second is the last microsecond before it, so times keep their order.
        """
        seconds = math.floor(self.seconds) - 1e-6 if self.is_leap_second else self.seconds
        return _datetime(seconds, tai_minus_utc(self)).replace(tzinfo=UTC)

    @property
    def tai(self) -> datetime:
        """What a TAI clock shows, a naive datetime, to the microsecond."""
        return _datetime(self.seconds)

    @property
    def digits(self) -> int:
        """How many digits after its second are needed to print it to the microsecond, 0 to 6."""
        return len(f"{round(Fraction(self.seconds) * 10**6) % 10**6:06}".rstrip("0"))

    def text(self, zone: str = "TAI", precision: int = 0) -> str:
        """Print as the service does: `2016.04.01_06:00:00_TAI`, or `2021-07-03T14:24:59Z` where `zone` is `ISO`.

        Args:
            zone: A name, a letter or `+hhmm`; `ISO`, `JD` or `MJD`; empty for UTC that does not say so.
            precision: Digits after the second (rounded), in `JD` and `MJD` after the day; -1 leaves out the seconds, -2
                the minutes, -3 the clock, -4 the day, -5 the month.
        """
        zone = zone.upper()
        if zone in ("JD", "MJD"):
            days = (Decimal(self.seconds) + Decimal("32.184")) / 86400 + _EPOCH_JD
            return f"{zone}_{days - (Decimal('2400000.5') if zone == 'MJD' else 0):.{max(precision, 0)}f}"
        day, *clock = self._reading(zone, precision)
        year, month, day = _calendar(day)
        iso = zone == "ISO" and 1583 <= year <= 9999
        shown = max(6 + min(precision, 0), 1)
        text = ("-" if iso else ".").join([f"{year:04}", f"{month:02}", f"{day:02}"][:shown])
        if shown > 3:
            text += ("T" if iso else "_") + ":".join(f"{part:02}" for part in clock[: shown - 3])
        if precision > 0:
            text += f".{clock[3]:0{precision}}"
        if zone == "ISO":
            zone = "Z"
        if len(zone) > 1 and zone[0] not in "+-":
            return f"{text}_{zone}"
        return text + zone if shown > 3 else text

    def _reading(self, zone: str, precision: int) -> tuple[int, int, int, int, int]:
        """Return what a clock shows: days since the epoch's, hour, minute, second, fraction in its last digit."""
        scale = 10 ** max(precision, 0)
        # Whole seconds, which most are, need no fractions: those take ten times as long.
        seconds = int(self.seconds) if self.seconds.is_integer() else Fraction(self.seconds)
        ticks = (seconds + (_ATOMIC.get(zone) or 0)) * scale
        # Rounded before it is taken apart, or 59.996 s would print as a second 60.
        whole, fraction = divmod(round(ticks) if precision >= 0 else math.floor(ticks), scale)
        leap = 0
        if zone not in _ATOMIC:
            leap = int(whole + 1 in _LEAPS_TAI)
            whole += _ahead_s(zone) - bisect_right(_LEAPS_TAI, whole) - leap
        day, second = divmod(whole, 86400)
        return day, second // 3600, second // 60 % 60, second % 60 + leap, fraction

    def __str__(self) -> str:
        return self.text("TAI", self.digits)

    def __repr__(self) -> str:
        return f"TaiTime('{self}')"

    def to_astropy(self) -> Any:
        """Return an astropy `Time`, of scale TAI."""
        try:
            from astropy.time import Time
        except ImportError:
            raise MissingExtra("astropy", "astropy") from None
        days, second = divmod(self.seconds, 86400)
        return Time(float(_EPOCH_JD) + days, second / 86400, format="jd", scale="tai")

    def __add__(self, seconds: float) -> TaiTime:
        return TaiTime(self.seconds + seconds)

    @overload
    def __sub__(self, other: TaiTime) -> float: ...
    @overload
    def __sub__(self, other: float) -> TaiTime: ...
    def __sub__(self, other: TaiTime | float) -> TaiTime | float:
        if isinstance(other, TaiTime):
            return self.seconds - other.seconds
        return TaiTime(self.seconds - other)


InstantLike = TaiTime | datetime | date | str | AstropyTime
"""What `TaiTime.of` takes; a `Timestamp` of pandas and a `datetime64` of NumPy are read as well."""

MISSING_TIME = TaiTime(-211087684832.184)
"""Julian day 0, which stands for no time at all; it prints as `-4712.01.01_11:59:28Z`."""


def tai_minus_utc(when: TaiTime) -> int:
    """Return by how many seconds TAI is ahead of UTC; during a leap second, as before it."""
    return bisect_right(_LEAPS_TAI, when.seconds)


def zone_of(text: str) -> str | None:
    """Return the zone a text of a time names; None if it names none, or is no time."""
    match = TIME.fullmatch(text.strip())
    return match["zone"] if match else None


def _tai_of(minutes: int, second: float, zone: str) -> float:
    """Return TAI seconds for what a clock shows: minutes since the epoch's day began, and the second."""
    zone = zone.upper()
    if zone in _ATOMIC:
        return minutes * 60 + second - float(_ATOMIC[zone])
    # A leap second is the 61st of its minute, whatever a zone calls that minute.
    minutes -= _ahead_s(zone) // 60
    return minutes * 60 + bisect_right(_LEAPS, minutes // 1440) + second


def _ahead_s(zone: str) -> int:
    """Return how far a zone's clocks are ahead of UTC."""
    if zone[:1] not in ("+", "-"):
        return _CIVIL.get(zone, 0) * 3600
    hours, minutes = divmod(int(zone[1:].replace(":", "")), 100)
    return (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)


def _day_in(match: re.Match[str]) -> int | None:
    """Return the days from the epoch's to the date of a time; None if there is no such date."""
    if compact := match["compact"]:
        year, month, day = int(compact[:4]), int(compact[4:6]), int(compact[6:] or 0)
        ordinal = int(compact[4:]) if len(compact) == 7 else None
    else:
        year, day = int(match["year"]), int(match["day"] or 1)
        name = (match["month"] or "1").upper()
        month = int(name) if name.isdigit() else next((n for n, m in enumerate(_MONTHS, 1) if name.startswith(m)), 0)
        ordinal = int(match["ordinal"]) if match["ordinal"] else None
    if ordinal is not None:
        number = _day(year, 1, 1) + ordinal - 1
        return number if _calendar(number)[0] == year else None
    number = _day(year, month, day)
    return number if _calendar(number) == (year, month, day) else None


# Days since the epoch's in the Gregorian calendar, before 1582.10.15 in the Julian one, years counted through 0: as in
# the service. Formulas: E. G. Richards, Explanatory Supplement to the Astronomical Almanac (2012), section 15.11.
_REFORM = (1582, 10, 15)
_REFORM_DAY = 2299161
_EPOCH_DAY = 2443145  # its Julian day number


def _day(year: int, month: int, day: int) -> int:
    early = (14 - month) // 12
    years = year + 4800 - early
    number = day + (153 * (month + 12 * early - 3) + 2) // 5 + 365 * years + years // 4 - 32083
    if (year, month, day) >= _REFORM:
        number -= years // 100 - years // 400 - 38
    return number - _EPOCH_DAY


def _calendar(day: int) -> tuple[int, int, int]:
    """Return year, month and day of month."""
    number = day + _EPOCH_DAY
    shifted = 4 * (number + 1401) + 3
    if number >= _REFORM_DAY:
        shifted += 4 * ((4 * number + 274277) // 146097 * 3 // 4 - 38)
    days = 5 * (shifted % 1461 // 4) + 2
    month = (days // 153 + 2) % 12 + 1
    return shifted // 1461 - 4716 + (14 - month) // 12, month, days % 153 // 5 + 1


def _datetime(seconds: float, behind_s: int = 0) -> datetime:
    """Return the datetime so many seconds after the epoch, for a clock that is `behind_s` behind TAI."""
    try:
        return datetime(1977, 1, 1) + timedelta(microseconds=round(Fraction(seconds) * 10**6), seconds=-behind_s)
    except OverflowError:
        raise InvalidInput("time", f"{seconds} s from 1977 lie outside the years 1 to 9999 of datetime") from None
