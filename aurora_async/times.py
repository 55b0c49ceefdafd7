"""Instants and time ranges: aware UTC inside, the field's habits at the border.

A naive datetime means UTC, as everywhere in the field; an aware one is converted; a text may be partial (`2020-01`): as
a start it is filled to the beginning of the period, as an end to its last second.
"""

from __future__ import annotations

import calendar
import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import attrs

from aurora_async.errors import InvalidInput

__all__ = ["TimeLike", "TimeRange", "end_of", "parse_wire", "start_of", "to_wire"]

TimeLike = datetime | date | str

_WHOLE = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d", re.ASCII)
_TEXT = re.compile(
    r"""(?P<year>\d{4})
    (?: (?P<sep>-?) (?P<month>\d\d)
      (?: (?P=sep) (?P<day>\d\d)
        (?: [T\ ]? (?P<hour>\d\d)
          (?: :? (?P<minute>\d\d)
            (?: :? (?P<second>\d\d) (?: [.,] (?P<fraction>\d{1,9}) )? )? )?
          (?P<zone> Z | [+-](?:[01]\d|2[0-3]):?[0-5]\d )? )? )? )?""",
    re.VERBOSE | re.ASCII,
)
_FORMS = "2020, 2020-01, 2020-01-01, 20200101, 2020-01-01T06, 2020-01-01T06:30, 2020-01-01T06:30:15 or with Z / +01:00"


def start_of(when: TimeLike, field: str = "start") -> datetime:
    """Return the first instant `when` can mean, aware UTC."""
    return _instant(when, field)[0]


def end_of(when: TimeLike, field: str = "end") -> datetime:
    """Return the last whole second `when` can mean, aware UTC; an instant given to the second is kept."""
    return _instant(when, field)[1]


def _instant(when: TimeLike, field: str) -> tuple[datetime, datetime]:
    if isinstance(when, datetime):
        moment = _as_utc(_plain_datetime(when, field), field)
        return moment, moment
    if isinstance(when, date):
        first = datetime(when.year, when.month, when.day, tzinfo=UTC)
        return first, first + timedelta(days=1, seconds=-1)
    if isinstance(when, str) or type(when).__name__ == "datetime64":  # NumPy's writes itself as we read it
        return _from_text(str(when), field)
    raise InvalidInput(
        field, f"{when!r} is a {type(when).__name__}; give a datetime, a date or a text such as {_FORMS}"
    )


def _plain_datetime(when: datetime, field: str) -> datetime:
    """Make a Timestamp of pandas, which has nanoseconds and may be no time at all, a datetime like others."""
    if type(when) is datetime:
        return when
    try:
        return datetime.combine(when.date(), when.timetz())
    except ValueError:
        raise InvalidInput(field, f"{when!r} is not a time; write {_FORMS}") from None


def _as_utc(when: datetime, field: str) -> datetime:
    try:
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(field, f"{when.isoformat()} lies outside the years 1 to 9999 in UTC") from None


def _from_text(text: str, field: str) -> tuple[datetime, datetime]:
    if _WHOLE.fullmatch(text):  # as the services write it, and most of what is read: seven times as fast
        with suppress(ValueError):
            moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return moment, moment
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(field, f"{text!r} is not a time; write {_FORMS}")
    part = {name: int(match[name]) for name in ("year", "month", "day", "hour", "minute", "second") if match[name]}
    try:
        year, last_month = part["year"], part.get("month", 12)
        last_day = part.get("day") or calendar.monthrange(year, last_month)[1]
        clock = part.get("hour", 0), part.get("minute", 0), part.get("second", 0)
        first = datetime(year, part.get("month", 1), part.get("day", 1), *clock)
        clock = part.get("hour", 23), part.get("minute", 59), part.get("second", 59)
        last = datetime(year, last_month, last_day, *clock)
    except ValueError as error:  # calendar.IllegalMonthError among them
        raise InvalidInput(field, f"{text!r} is not a time: {error}; write {_FORMS}") from None
    fraction = timedelta(microseconds=int((match["fraction"] or "0").ljust(6, "0")[:6]))
    offset = _offset(match["zone"])
    try:
        first = (first + fraction - offset).replace(tzinfo=UTC)
        last = (last + fraction - offset).replace(tzinfo=UTC)
    except OverflowError:
        raise InvalidInput(field, f"{text!r} lies outside the years 1 to 9999") from None
    return first, last


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def to_wire(moment: datetime) -> str:
    """Write an aware UTC instant as the services do: whole seconds, no zone (`2020-01-01T06:59:59`)."""
    return moment.isoformat(timespec="seconds")[:19]  # strftime pads no year before 1000


def parse_wire(text: str) -> datetime:
    """Read a timestamp of a service, with or without fraction and zone, as aware UTC; `ValueError` if it is none."""
    return _as_utc(datetime.fromisoformat(text), "timestamp")


@attrs.frozen
class TimeRange:
    """From `start` to `end`, both inclusive, aware UTC."""

    start: datetime = attrs.field(converter=start_of)
    end: datetime = attrs.field(converter=end_of)

    def __attrs_post_init__(self) -> None:
        if self.end < self.start:
            raise InvalidInput("end", f"{to_wire(self.end)} is before the start, {to_wire(self.start)}")

    @property
    def duration(self) -> timedelta:
        """`end - start`."""
        return self.end - self.start
