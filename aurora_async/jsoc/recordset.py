"""The language that names sets of records: `aia.lev1_euv_12s[2021-07-03T14:25:00Z/10m][171][? EXPTIME<2 ?]{image}`.

`parse_record_set` reads it into immutable values, `str` prints them, and `RecordSet.of("hmi.m_720s").during(...)`
builds them. Values of keys stay texts: what they mean depends on the series.

    recordset = item { "," item }
    item      = series { filter } [ "{" segment { "," segment } "}" ]
    filter    = "[]"                                          any value of this prime key
              | "[" [ KEY "=" ] range { "," range } "]"       the next prime key, or the one named
              | "[" [ KEY "=" ] numbers "]"                   the same, by the numbers of its slots
              | "[:" numbers "]"                              by record number
              | "[?" sql "?]" | "[!" sql "!]"                 a condition; "!" looks at all versions of the records
    range     = "^" | "$" | value                             first, last, this one
              | value "-" value [ "@" length ]                from the one to the other, both included
              | value "/" length [ "@" length ]               from there, so far, the end left out
    value     = time | number | text | "'" any text "'"
    length    = number [ "s" | "m" | "h" | "d" | "u" ]        u: slots; none: in the key's own numbers
    numbers   = span { "," span }
    span      = "#^" | "#$" | "#" n | "#" [ n ] "-#" [ n ] | "#" n "/" count, the last two with an optional "@" step

Source: the service's documentation of record-set queries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, NoReturn, Protocol, TypeVar, runtime_checkable

import attrs

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc.times import TIME, AstropyTime, InstantLike, TaiTime, zone_of

__all__ = [
    "Between",
    "Condition",
    "Duration",
    "DurationLike",
    "Filter",
    "First",
    "IndexFilter",
    "KeyFilter",
    "KeyValue",
    "Last",
    "Lasting",
    "Length",
    "One",
    "OpenFilter",
    "Range",
    "RecnumFilter",
    "RecordSet",
    "RecordSetError",
    "Span",
    "Subset",
    "parse_record_set",
    "series_of",
]

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SERIES = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)
_KEY = re.compile(r"([A-Za-z_]\w*)\s*=", re.ASCII)
_DIGITS = re.compile(r"\d{1,19}", re.ASCII)
_LENGTH = re.compile(r"(\d{1,15}\.?\d*|\.\d+)([smhdu]?)", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "u": None}
_LENGTHS = "90s, 12m, 1.5h, 27d or, for slots, 4u"
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")

# Values without quotes. What is a time or a number up to the next mark is taken as one: both may hold hyphens, which
# otherwise part the ends of a range.
_STOP = r"\s*(?=[-/@,\]]|\Z)"
_TIME = re.compile(f"(?:{TIME.pattern}){_STOP}", TIME.flags)
_NUMBER = re.compile(rf"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+|[smhdu])?{_STOP}", re.ASCII | re.IGNORECASE)
_TEXT = re.compile(r"""[^-/@,\[\]{}'"=^$#:?!\s][^-/@,\[\]{}'"=^$]*""")

# A condition up to its closing mark, which may stand inside quotes too.
_SQL = {mark: re.compile(rf"""((?:[^'"{mark}]|'[^']*'|"[^"]*"|[{mark}](?!\]))*)[{mark}]\]""") for mark in "?!"}


class RecordSetError(InvalidQuery):
    """A text is no record set; `position`, counted from 0, is the character of `text` where it ceases to be one."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__("record set", reason)
        self.args = (text, position, reason)
        self.text = text
        self.position = position

    def __str__(self) -> str:
        start = max(self.position - 60, 0)
        shown = re.sub(r"\s", " ", self.text[start : self.position + 60])
        return f"{self.field}: {self.reason}\n  {shown}\n  {' ' * (self.position - start)}^"


@runtime_checkable
class AstropyQuantity(Protocol):
    """What is used of astropy's `Quantity` and `TimeDelta`, known by it and never imported."""

    def to_value(self, unit: str, /) -> Any: ...


@attrs.frozen
class Duration:
    """A length of time, or (unit `u`) so many slots of a key."""

    number: float = attrs.field(converter=float)
    unit: str = "s"

    def __attrs_post_init__(self) -> None:
        if not (0 <= self.number < 1e15 and self.unit in _UNITS_S):
            raise InvalidQuery("duration", f"{self.number:g}{self.unit} is none; write {_LENGTHS}")

    @classmethod
    def of(cls, length: DurationLike) -> Duration:
        """Return the duration that `12m`, 720 (seconds), a timedelta or a quantity of astropy is."""
        if isinstance(length, Duration):
            return length
        if isinstance(length, timedelta):
            return cls(length.total_seconds())
        if isinstance(length, AstropyQuantity):
            return cls(length.to_value("s"))
        if not isinstance(length, str):
            return cls(length)
        match = _LENGTH.fullmatch(length.strip())
        if match is None or not match[2]:
            raise InvalidQuery("duration", f"{length!r} is none; write {_LENGTHS}")
        return cls(float(match[1]), match[2])

    @property
    def seconds(self) -> float | None:
        """The length in seconds; None for slots, whose length depends on the series."""
        second = _UNITS_S[self.unit]
        return None if second is None else self.number * second

    def __str__(self) -> str:
        return f"{_plain(self.number)}{self.unit}"


DurationLike = Duration | timedelta | float | str | AstropyQuantity

Length = Duration | float
"""How far a range goes or steps: a duration, or in the key's own numbers."""


def _plain(number: float) -> str:
    """Print a number without an exponent, and without a fraction that says nothing."""
    return f"{Decimal(repr(float(number))):f}".removesuffix(".0")


def _length(length: Length) -> str:
    return str(length) if isinstance(length, Duration) else _plain(length)


def _is_length(_: object, __: object, length: Any) -> None:
    if isinstance(length, int | float) and not 0 <= length < 1e15:
        raise InvalidQuery("range", f"{length} is not how far a range can go or step")


def _step(length: Length | None) -> str:
    return "" if length is None else f"@{_length(length)}"


def _value_end(text: str, position: int) -> int:
    """Return where a value without quotes ends; `position` if none begins there."""
    for pattern in (_TIME, _NUMBER, _TEXT):
        if match := pattern.match(text, position):
            return position + len(match[0].rstrip())
    return position


def _can_be_quoted(_: object, __: object, text: str) -> None:
    if "'" in text and '"' in text:
        raise InvalidQuery("value", f"{text!r} holds both kinds of quotes, and the language has no others")


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def _value(text: str) -> str:
    """Print a value so that it is read as one."""
    return text if _value_end(text, 0) == len(text) > 0 else _quoted(text)


@attrs.frozen
class One:
    """One value of a key."""

    text: str = attrs.field(validator=_can_be_quoted)

    def __str__(self) -> str:
        return _value(self.text)


@attrs.frozen
class First:
    """The first value there is in the series."""

    def __str__(self) -> str:
        return "^"


@attrs.frozen
class Last:
    """The last value there is in the series."""

    def __str__(self) -> str:
        return "$"


@attrs.frozen
class Between:
    """From `start` to `end`, both included; with `skip` only one in so far."""

    start: str = attrs.field(validator=_can_be_quoted)
    end: str = attrs.field(validator=_can_be_quoted)
    skip: Length | None = attrs.field(default=None, validator=_is_length)

    def __str__(self) -> str:
        start, end = _value(self.start), _value(self.end)
        if _value_end(f"{start}-{end}", 0) > len(start):  # 2150-12, were it not quoted, would be a month
            end = _quoted(self.end)
        return f"{start}-{end}{_step(self.skip)}"


@attrs.frozen
class Lasting:
    """From `start` on for `duration`, the end left out; with `skip` only one in so far."""

    start: str = attrs.field(validator=_can_be_quoted)
    duration: Length = attrs.field(validator=_is_length)
    skip: Length | None = attrs.field(default=None, validator=_is_length)

    def __str__(self) -> str:
        return f"{_value(self.start)}/{_length(self.duration)}{_step(self.skip)}"


Range = One | First | Last | Between | Lasting


def _as_ranges(ranges: Iterable[Range]) -> tuple[Range, ...]:
    return tuple(ranges)


@attrs.frozen
class Span:
    """Numbers from `first` to `last`, both included, None being the ends of the series; only every `step`-th."""

    first: int | None = None
    last: int | None = None
    step: int = 1

    def __attrs_post_init__(self) -> None:
        if self.step < 1 or min(self.first or 0, self.last or 0) < 0:
            raise InvalidQuery("numbers", f"{self.first} to {self.last} by {self.step}: one is too small")

    def __str__(self) -> str:
        first, last = ("" if end is None else str(end) for end in (self.first, self.last))
        text = f"#{first}" if first == last != "" else f"#{first}-#{last}"
        return text if self.step == 1 else f"{text}@{self.step}"


Numbers = First | Last | Span


def _as_numbers(numbers: Iterable[Numbers]) -> tuple[Numbers, ...]:
    return tuple(numbers)


def _hashed(numbers: Iterable[Numbers]) -> str:
    return ",".join(str(item) if isinstance(item, Span) else f"#{item}" for item in numbers)


def _not_empty(filter: KeyFilter | IndexFilter | RecnumFilter, _: object, values: tuple[object, ...]) -> None:
    if not values:
        raise InvalidQuery("filter", f"a {type(filter).__name__} without values would let no record pass")


def _is_key(_: object, __: object, name: str | None) -> None:
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidQuery("key", f"{name!r} is not the name of a key")


def _equals(name: str | None) -> str:
    return "" if name is None else f"{name}="


@attrs.frozen
class OpenFilter:
    """Any value of the next prime key."""

    def __str__(self) -> str:
        return "[]"


@attrs.frozen
class KeyFilter:
    """Values of the next prime key, or of the one that `name` names; `ranges` are alternatives."""

    ranges: tuple[Range, ...] = attrs.field(converter=_as_ranges, validator=_not_empty)
    name: str | None = attrs.field(default=None, validator=_is_key)

    def __str__(self) -> str:
        return f"[{_equals(self.name)}{','.join(map(str, self.ranges))}]"


@attrs.frozen
class IndexFilter:
    """Slots of the next prime key, or of the one that `name` names, by their numbers."""

    ranges: tuple[Numbers, ...] = attrs.field(converter=_as_numbers, validator=_not_empty)
    name: str | None = attrs.field(default=None, validator=_is_key)

    def __str__(self) -> str:
        return f"[{_equals(self.name)}{_hashed(self.ranges)}]"


@attrs.frozen
class RecnumFilter:
    """Records by their numbers in the series, of which each version of a record has one."""

    ranges: tuple[Numbers, ...] = attrs.field(converter=_as_numbers, validator=_not_empty)

    def __str__(self) -> str:
        return f"[:{_hashed(self.ranges)}]"


def _stripped(sql: str) -> str:
    return sql.strip()


@attrs.frozen
class Condition:
    """A condition on keywords, in SQL: for the newest version of each record, or for `all_versions`."""

    sql: str = attrs.field(converter=_stripped)
    all_versions: bool = False

    def __attrs_post_init__(self) -> None:
        match = _SQL[self._mark].fullmatch(f"{self.sql} {self._mark}]")
        if not self.sql or match is None:
            raise InvalidQuery("condition", f"{self.sql!r} is empty, leaves a quote open or holds {self._mark}]")

    @property
    def _mark(self) -> str:
        return "!" if self.all_versions else "?"

    def __str__(self) -> str:
        return f"[{self._mark} {self.sql} {self._mark}]"


Filter = OpenFilter | KeyFilter | IndexFilter | RecnumFilter | Condition


def _as_filters(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    return tuple(filters)


def _as_names(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@attrs.frozen
class Subset:
    """The records of one series that pass all `filters`; of their files those in `segments`, all if there are none."""

    series: str
    filters: tuple[Filter, ...] = attrs.field(default=(), converter=_as_filters)
    segments: tuple[str, ...] = attrs.field(default=(), converter=_as_names)

    def __attrs_post_init__(self) -> None:
        if not _SERIES.fullmatch(self.series):
            raise InvalidQuery("series", f"{self.series!r} is not the name of a series, such as hmi.m_720s")
        for segment in self.segments:
            if not _NAME.fullmatch(segment):
                raise InvalidQuery("segment", f"{segment!r} is not the name of a segment")

    def __str__(self) -> str:
        segments = f"{{{','.join(self.segments)}}}" if self.segments else ""
        return f"{self.series}{''.join(map(str, self.filters))}{segments}"


def _as_subsets(subsets: Iterable[Subset]) -> tuple[Subset, ...]:
    return tuple(subsets)


@attrs.frozen
class RecordSet:
    """Records of one series, or of several; `str` prints it in the service's language.

    Each verb returns the set with one filter more, and all of them have to be passed:

        RecordSet.of("aia.lev1_euv_12s").during("2021-07-03T14:25", lasting="10m").key("WAVELNTH", 171, 193)

    What does not name its key is about the next one of the series' prime keys; `any()` leaves one open.
    """

    subsets: tuple[Subset, ...] = attrs.field(converter=_as_subsets)

    def __attrs_post_init__(self) -> None:
        if not self.subsets:
            raise InvalidQuery("record set", "it is empty; name a series, such as hmi.m_720s")

    @classmethod
    def of(cls, what: RecordSet | str) -> RecordSet:
        """Return the record set that a text is, or the one given."""
        return what if isinstance(what, RecordSet) else parse_record_set(what)

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series, each once, in their order."""
        return tuple(dict.fromkeys(subset.series for subset in self.subsets))

    def during(
        self,
        start: InstantLike,
        end: InstantLike | None = None,
        *,
        lasting: DurationLike | None = None,
        every: DurationLike | None = None,
        key: str | None = None,
    ) -> RecordSet:
        """Keep the times from `start` to `end`, both included, or from `start` for `lasting`, its end left out.

        Times are written with their zone, UTC where a text or datetime has none: in a range without zones the service
        would take the second date for the zone of the first. A partial text is its first moment, as an end too.

        Args:
            start: The first time; also the slot from which `every` counts.
            end: The last time.
            lasting: How long, such as `10m`, 600 (seconds), `4u` (slots) or a timedelta.
            every: Keep one record in so long.
            key: The prime key of the time, where it is not the next one.
        """
        skip = None if every is None else Duration.of(every)
        if lasting is not None and end is None:
            return self.filtered(KeyFilter([Lasting(_time(start), Duration.of(lasting), skip)], key))
        if lasting is not None or end is None:
            raise InvalidQuery("end", "give the end, or how long it lasts")
        if TaiTime.of(end) < TaiTime.of(start):
            raise InvalidQuery("end", f"{_time(end)} is before the start, {_time(start)}")
        return self.filtered(KeyFilter([Between(_time(start), _time(end), skip)], key))

    def key(self, name: str | None, *values: KeyValue) -> RecordSet:
        """Keep records whose prime key `name` (None: the next one) has one of `values`.

        A pair is a range, both ends included. Texts are values too, whatever they hold.
        """
        return self.filtered(KeyFilter(map(_range, values), name))

    def any(self) -> RecordSet:
        """Leave the next prime key open."""
        return self.filtered(OpenFilter())

    def where(self, sql: str) -> RecordSet:
        """Keep records for which an SQL condition on their keywords holds, such as `QUALITY = 0 AND EXPTIME < 2.0`."""
        if ";" in sql:
            raise InvalidQuery("condition", f"{sql!r} holds a semicolon, which the service refuses wherever it stands")
        return self.filtered(Condition(sql))

    def recnums(self, numbers: Iterable[int]) -> RecordSet:
        """Keep the records with exactly these numbers, written as runs of neighbours."""
        return self.filtered(RecnumFilter(_runs(numbers)))

    def segment(self, *names: str) -> RecordSet:
        """Take these segments only; none for all."""
        return RecordSet(attrs.evolve(subset, segments=names) for subset in self.subsets)

    def with_zones(self) -> RecordSet:
        """Write out the zone, UTC, of ISO times that name none: from a range or a list the service would misread them.

        It takes the `-2021` of `2021-07-03T14:25-2021-07-03T14:35` for a zone.
        """
        return RecordSet(attrs.evolve(one, filters=map(_with_zones, one.filters)) for one in self.subsets)

    def filtered(self, filter: Filter) -> RecordSet:
        """Keep the records that pass `filter` as well."""
        return RecordSet(attrs.evolve(subset, filters=(*subset.filters, filter)) for subset in self.subsets)

    def __str__(self) -> str:
        return ",".join(map(str, self.subsets))


def _with_zones(filter: Filter) -> Filter:
    if not isinstance(filter, KeyFilter) or (len(filter.ranges) == 1 and isinstance(filter.ranges[0], One)):
        return filter  # one value alone is read right, and may be a text
    return attrs.evolve(filter, ranges=map(_zoned, filter.ranges))


def _zoned(range: Range) -> Range:
    match range:
        case One(text):
            return One(_iso_with_zone(text))
        case Between(start, end, skip):
            return Between(_iso_with_zone(start), _iso_with_zone(end), skip)
        case Lasting(start, duration, skip):
            return Lasting(_iso_with_zone(start), duration, skip)
    return range


def _iso_with_zone(text: str) -> str:
    """Return a text with its zone; what has one, or is no ISO date with a day, as it stands."""
    time = TIME.fullmatch(text)
    if time is None or time["zone"] or time["mark"] != "-" or not (time["day"] or time["ordinal"]):
        return text
    return f"{text}Z" if time["hour"] else f"{text}_UTC"


Scalar = str | int | float | date | TaiTime | AstropyTime
KeyValue = Scalar | tuple[Scalar, Scalar]


def _time(when: InstantLike) -> str:
    """Print a time with its zone, a text that has one as it stands."""
    instant = TaiTime.of(when)
    if isinstance(when, TaiTime):
        return str(instant)
    if isinstance(when, str) and (zone_of(when) or "").isalpha():
        return when.strip()
    return instant.text("ISO", instant.digits)


def _scalar(value: Scalar) -> str:
    if isinstance(value, date | TaiTime | AstropyTime):
        return _time(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        raise InvalidQuery("key", f"{value!r} is no single value; give them one by one, as in key(name, *values)")
    return str(value)


def _range(value: KeyValue) -> Range:
    if not isinstance(value, tuple):
        return One(_scalar(value))
    start, end = value
    return Between(_scalar(start), _scalar(end))


def _runs(numbers: Iterable[int]) -> Iterator[Span]:
    """Yield runs of neighbours, in ascending order."""
    distinct = sorted(set(numbers))
    # Neighbours differ from their places in the list by the same number.
    for _, run in groupby(enumerate(distinct), key=lambda item: item[1] - item[0]):
        found = [number for _, number in run]
        yield Span(found[0], found[-1])


def series_of(text: str) -> str:
    """Return the name of the series that a record set begins with."""
    return _Reader(text).name_of_series()


def parse_record_set(text: str) -> RecordSet:
    """Read a record set.

    Ranges of times are parted where the first one ends, ISO times without a zone too, which the service itself would
    cut in the middle of a date.

    Raises:
        RecordSetError: The text is none; the message shows where it ceases to be one, and what is wanted there.
    """
    return _Reader(text).record_set()


Item = TypeVar("Item")


class _Reader:
    """Reads a text from left to right; what has been read lies before `position`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def record_set(self) -> RecordSet:
        if self.skip("@"):
            self.fail("the service reads files of record sets (@name) on its own machines only; write their lines here")
        subsets = self.listed(self.subset)
        if self.blanks() < len(self.text):
            self.fail("wanted here: a filter in [ ], segments in { }, a comma, or the end")
        return RecordSet(subsets)

    def subset(self) -> Subset:
        series = self.name_of_series()
        filters = []
        while self.skip("["):
            filters.append(self.filter())
        segments = []
        if self.skip("{"):
            segments.append(self.take(_NAME, "the name of a segment"))
            while not self.skip("}"):
                self.skip(",")
                segments.append(self.take(_NAME, "a comma, the name of a segment, or }"))
        return Subset(series, filters, segments)

    def name_of_series(self) -> str:
        return self.take(_SERIES, "the name of a series, such as hmi.m_720s")

    def filter(self) -> Filter:
        if self.skip("]"):
            return OpenFilter()
        for mark in _SQL:
            if self.skip(mark):
                return self.condition(mark)
        filter: Filter
        if self.skip(":"):
            filter = RecnumFilter(self.listed(self.span))
        else:
            key = self.match(_KEY)
            name = key[1] if key else None
            if self.text.startswith("#", self.blanks()):
                filter = IndexFilter(self.listed(self.span), name)
            else:
                filter = KeyFilter(self.listed(self.range), name)
        if not self.skip("]"):
            again = self.text.startswith("/", self.position)
            hint = " (a day is 2021.07.03 or 2021-07-03; / begins a duration)" if again else ""
            self.fail(f"wanted here: a comma, or ]{hint}")
        return filter

    def condition(self, mark: str) -> Condition:
        match = _SQL[mark].match(self.text, self.position)
        if match is None or not match[1].strip():
            self.fail(f"wanted here: a condition in SQL with its quotes closed, and {mark}] behind it")
        self.position = match.end()
        return Condition(match[1], all_versions=mark == "!")

    def range(self) -> Range:
        if self.skip("^"):
            return First()
        if self.skip("$"):
            return Last()
        start = self.value("a value, ^ for the first, $ for the last")
        if self.skip("-"):
            return Between(start, self.value("the value the range ends with"), self.step())
        if self.skip("/"):
            return Lasting(start, self.length(), self.step())
        return One(start)

    def value(self, wanted: str) -> str:
        if quoted := self.match(_QUOTED):
            return quoted[0][1:-1]
        start, self.position = self.blanks(), _value_end(self.text, self.position)
        if start == self.position:
            self.fail(f"wanted here: {wanted}")
        return self.text[start : self.position]

    def step(self) -> Length | None:
        return self.length() if self.skip("@") else None

    def length(self) -> Length:
        match = self.match(_LENGTH)
        if match is None:
            self.fail(f"wanted here: a number or a duration, such as {_LENGTHS}")
        number, unit = float(match[1]), match[2]
        return Duration(number, unit) if unit else number

    def span(self) -> Numbers:
        self.skip("#")
        if self.skip("^"):
            return First()
        if self.skip("$"):
            return Last()
        first = last = self.number()
        if first is not None and self.skip("/"):
            last = first + (self.number() or self.fail("wanted here: how many")) - 1
        elif self.skip("-"):
            self.skip("#")
            last = self.number()
        elif first is None:
            self.fail("wanted here: a number, #^ or #$")
        step = self.number() if self.skip("@") else 1
        return Span(first, last, step or self.fail("wanted here: a step of 1 or more"))

    def number(self) -> int | None:
        match = self.match(_DIGITS)
        return int(match[0]) if match else None

    def listed(self, read: Callable[[], Item]) -> list[Item]:
        items = [read()]
        while self.skip(","):
            items.append(read())
        return items

    def blanks(self) -> int:
        """Go on to what is no blank."""
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1
        return self.position

    def skip(self, mark: str) -> bool:
        """Go on behind `mark`, if it comes next."""
        found = self.text.startswith(mark, self.blanks())
        self.position += len(mark) * found
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Go on behind what `pattern` matches, if that comes next."""
        match = pattern.match(self.text, self.blanks())
        if match:
            self.position = match.end()
        return match

    def take(self, pattern: re.Pattern[str], wanted: str) -> str:
        match = self.match(pattern)
        return match[0] if match else self.fail(f"wanted here: {wanted}")

    def fail(self, reason: str) -> NoReturn:
        raise RecordSetError(self.text, self.position, reason)
