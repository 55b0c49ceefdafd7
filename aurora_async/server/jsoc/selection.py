"""Which records a record set selects: its filters become ranges of coordinates, and those are met.

Source: NetDRMS, `drms_names.txt` and `drms_record.c`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice, product
from typing import TYPE_CHECKING, NoReturn

import attrs

from aurora_async.errors import InvalidInput
from aurora_async.jsoc.keywords import KeywordType
from aurora_async.jsoc.recordset import (
    Between,
    Condition,
    Duration,
    First,
    IndexFilter,
    KeyFilter,
    Last,
    Lasting,
    One,
    OpenFilter,
    Range,
    RecnumFilter,
    RecordSetError,
    Span,
    Subset,
    parse_record_set,
)
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.conditions import Conditions
from aurora_async.server.jsoc.positions import Choice, Coordinate, Position, Words, meet, only
from aurora_async.server.jsoc.records import Record
from aurora_async.server.jsoc.structure import Key, RecordSetProblem, Series

if TYPE_CHECKING:
    from aurora_async.server.jsoc.catalog import Catalog

__all__ = ["MOST_RECORDS", "count", "select"]

MOST_RECORDS = 200_000
"""Records that one answer is made of; more would take gigabytes."""
_MOST_TRIED = 200_000
"""Records that a condition is tried on: 20 s at most, where clients wait for an answer for 60."""
_MOST_WAYS = 100_000
"""Combinations of alternatives, one of each key."""
_BATCH = 2000


def select(
    catalog: Catalog, text: str, *, n: int = 0, images_only: bool = False, limit: int | None = None
) -> list[Record]:
    """Return the records that a text selects; see `Catalog.open`."""
    found: list[Record] = []
    limit = MOST_RECORDS if limit is None else min(limit, MOST_RECORDS)
    subsets = _subsets(catalog, text)
    if n < 0:
        subsets.reverse()
    for subset in subsets:
        left = abs(n) - len(found) if n else limit + 1 - len(found)
        if images_only and subset.series.keyword("QUALITY") and "quality" not in text.lower():
            subset = attrs.evolve(subset, conditions=(*subset.conditions, "drms.image_exists(QUALITY)"))
        if len(found) + min(left, subset.known_size()) > limit:
            _refuse(text, limit)
        positions = islice(subset.positions(backwards=n < 0), left)
        found += [Record(catalog, subset.series, position) for position in positions]
        if len(found) > limit:
            _refuse(text, limit)
    if n < 0:
        found.reverse()
    return found


def _refuse(text: str, limit: int) -> NoReturn:
    raise RecordSetProblem(f"too many records: `{text}` selects more than {limit}; take a part of them, or set n")


def count(catalog: Catalog, text: str, *, n: int = 0) -> int:
    """Return how many records a text selects; see `Catalog.count`."""
    total = sum(subset.count(abs(n)) for subset in _subsets(catalog, text))
    return min(total, abs(n)) if n else total


@attrs.frozen
class _Selection:
    """What one part of a record set asks of its series."""

    catalog: Catalog
    series: Series
    choices: Sequence[Choice]
    recnums: Sequence[range] | None
    conditions: Sequence[str]

    def positions(self, *, backwards: bool = False) -> Iterator[Position]:
        """Yield what is selected, ascending or descending."""
        found = self._numbered(backwards) if self.recnums is not None else self._chosen(backwards)
        return self._tested(found) if self.conditions else found

    def _chosen(self, backwards: bool) -> Iterator[Position]:
        return self.series.positions.among(self.choices, backwards=backwards)

    def _numbered(self, backwards: bool) -> Iterator[Position]:
        assert self.recnums is not None
        numbers = sorted(set(chain.from_iterable(self.recnums)), reverse=backwards)
        for number in numbers:
            position = self.series.positions.at(number)
            if position is not None and all(
                choice is None or any(coordinate in part for part in choice)
                for coordinate, choice in zip(position.coordinates, self.choices, strict=True)
            ):
                yield position

    def _tested(self, positions: Iterator[Position]) -> Iterator[Position]:

        tried = 0
        with Conditions(self.series, self.conditions) as conditions:
            while batch := list(islice(positions, _BATCH)):
                tried += len(batch)
                if tried > _MOST_TRIED:
                    has_range = any(choice is not None for choice in self.choices) or self.recnums is not None
                    advice = "take a shorter range" if has_range else "name a range of the prime keys as well"
                    raise RecordSetProblem(
                        f"too many records: the condition is tried on more than {_MOST_TRIED} of {self.series.name};"
                        f" {advice}"
                    )
                records = [Record(self.catalog, self.series, position) for position in batch]
                for place in conditions.met(records):
                    yield batch[place]

    def known_size(self) -> int:
        """Return how many are selected where that is known without looking at them, else 0."""
        return self.series.positions.count(self.choices) if self.recnums is None and not self.conditions else 0

    def count(self, most: int) -> int:
        """Return how many are selected, or `most` if that is less and not 0."""
        if self.recnums is None and not self.conditions:
            return self.series.positions.count(self.choices)
        positions = self.positions()
        return sum(1 for _ in (islice(positions, most) if most else positions))


def _subsets(catalog: Catalog, text: str) -> list[_Selection]:
    try:
        parsed = parse_record_set(text)
    except RecordSetError as error:
        raise RecordSetProblem(f"invalid record-set specification `{text}`: {error.reason}") from error
    except InvalidInput as error:
        raise RecordSetProblem(f"invalid record-set specification `{text}`: {error}") from error
    return [_selection(catalog, subset) for subset in parsed.subsets]


def _selection(catalog: Catalog, subset: Subset) -> _Selection:
    series = catalog.series(subset.series)
    if series is None:
        raise RecordSetProblem("series not found")
    if not series.keywords:
        raise RecordSetProblem(f"{series.name} is listed, but neither its structure nor its records are known here")
    choices: list[Choice] = [None] * len(series.keys)
    recnums: list[range] | None = None
    conditions: list[str] = []
    place = 0
    for filter in subset.filters:
        match filter:
            case Condition(sql=sql):
                conditions.append(sql)
            case RecnumFilter(ranges=ranges):
                recnums = (recnums or []) + _recnums(series, ranges)
            case OpenFilter():
                _key_at(series, place)
                place += 1
            case IndexFilter(ranges=ranges):
                key = _key_at(series, place)
                choices[place] = _both(choices[place], _by_index(series, key, place, ranges))
                place += 1
            case KeyFilter(ranges=ranges, name=name):
                if name is not None:
                    named = series.key(name)
                    if named is None:
                        raise RecordSetProblem(f"{name} is not a prime key of {series.name}")
                    place = named
                key = _key_at(series, place)
                parts = [part for asked in ranges for part in _parts(series, key, place, asked)]
                choices[place] = _both(choices[place], parts)
                place += 1
    if math.prod(len(choice) for choice in choices if choice is not None) > _MOST_WAYS:
        raise RecordSetProblem(f"too many alternatives: write ranges, or ask for the records of {series.name} in parts")
    return _Selection(catalog, series, choices, recnums, conditions)


def _both(choice: Choice, other: Sequence[range | Words]) -> Sequence[range | Words]:
    """Return what two filters of the same key leave."""
    if choice is None:
        return other
    found: list[range | Words] = []
    for one, two in product(choice, other):
        if isinstance(one, range) and isinstance(two, range):
            found.append(meet(one, two))
        elif isinstance(one, Words) and isinstance(two, Words):
            found.append(Words(max(one.first, two.first), min(one.last, two.last)))
    return found


def _key_at(series: Series, place: int) -> Key:
    if place >= len(series.keys):
        count = len(series.keys)
        raise RecordSetProblem(f"{series.name} has {count} prime {'key' if count == 1 else 'keys'}, not {place + 1}")
    return series.keys[place]


def _ends(series: Series, place: int) -> tuple[Coordinate, Coordinate] | None:
    return series.positions.ends(place) if len(series.positions) else None


# Values of a key ----------------------------------------------------------------------------------------------------


def _parts(series: Series, key: Key, place: int, asked: Range) -> Iterator[range | Words]:
    """Yield the coordinates that a range of values means."""
    match asked:
        case First() | Last():
            ends = _ends(series, place)
            if ends is not None:
                yield only(ends[isinstance(asked, Last)])
        case One(text=text):
            yield only(_coordinate(key, text))
        case Between(start=start, end=end, skip=skip):
            first, last = _coordinate(key, start), _coordinate(key, end)
            if isinstance(first, int) and isinstance(last, int):
                yield range(first, last + 1, _skipped(key, skip))
            else:
                yield Words(str(first), str(last))
        case Lasting(start=start, duration=duration, skip=skip):
            first = _coordinate(key, start)
            if not isinstance(first, int):
                raise RecordSetProblem(f"{key.name} is a text, which has no duration")
            yield range(first, first + max(1, math.trunc(_steps(key, duration))), _skipped(key, skip))


def _coordinate(key: Key, text: str) -> Coordinate:
    """Return the coordinate of a value; a slotted key may be given as a duration since its epoch."""
    try:
        if key.keyword.kind is KeywordType.TIME:
            length = _duration(text) if key.slots is not None else None
            if key.slots is not None and length is not None:
                return key.slots.index(TaiTime(key.slots.epoch_s + _seconds(key, length)))
            return key.coordinate(TaiTime.parse(text))
        value = key.keyword.read(text)
    except (InvalidInput, ValueError) as error:
        raise RecordSetProblem(f"{key.name}: `{text}` is no {key.keyword.type}: {error}") from error
    if value is None and key.keyword.kind is not KeywordType.STRING:
        raise RecordSetProblem(f"{key.name}: `{text}` is no {key.keyword.type}")
    return key.coordinate(value)


def _duration(text: str) -> Duration | None:
    try:
        return Duration.of(text)
    except InvalidInput:
        return None


def _seconds(key: Key, duration: Duration) -> float:
    assert key.slots is not None
    seconds = duration.seconds
    return duration.number * key.slots.step_s if seconds is None else seconds


def _steps(key: Key, length: Duration | float) -> float:
    """Return a length in steps of a key's coordinates."""
    if not isinstance(length, Duration):
        return length
    if key.slots is not None:
        return _seconds(key, length) / key.slots.step_s
    if length.seconds is None:
        return length.number
    return length.seconds * 100 if key.keyword.kind is KeywordType.TIME else length.number


def _skipped(key: Key, skip: Duration | float | None) -> int:
    # A skip below half a step would be none, with which the service's own SQL cannot deal.
    return 1 if skip is None else max(1, math.floor(_steps(key, skip) + 0.5))


# Numbers --------------------------------------------------------------------------------------------------------------


def _by_index(series: Series, key: Key, place: int, spans: Sequence[First | Last | Span]) -> list[range | Words]:
    """Return coordinates by slot; for keys without slots, by their place among all values there are."""
    ends = _ends(series, place)
    if ends is None:
        return []
    if key.slots is not None:
        first, last = ends
        assert isinstance(first, int) and isinstance(last, int)
        return list(_spanned(spans, first, last))
    values = series.positions.places(place)
    if values is None:
        raise RecordSetProblem(f"{key.name} has too many values to be counted; name them instead")
    found = chain.from_iterable(_spanned(spans, 0, len(values) - 1))
    return [only(values[number]) for number in islice(found, MOST_RECORDS) if 0 <= number < len(values)]


def _spanned(spans: Sequence[First | Last | Span], first: int, last: int) -> Iterator[range]:
    for span in spans:
        match span:
            case First():
                yield range(first, first + 1)
            case Last():
                yield range(last, last + 1)
            case Span(first=begin, last=end, step=step):
                begin, end = first if begin is None else begin, last if end is None else end
                yield range(begin, end + 1, step)


def _recnums(series: Series, spans: Sequence[First | Last | Span]) -> list[range]:
    size = len(series.positions)
    if not size:
        return []
    first = next(series.positions.among([None] * len(series.keys))).recnum
    highest = first + size - 1
    # Clipped, so that `#1-#9999999999` does not count to the end.
    found = [_clipped(part, first, highest) for part in _spanned(spans, first, highest)]
    if sum(map(len, found)) > MOST_RECORDS:
        raise RecordSetProblem(f"too many records: {sum(map(len, found))} record numbers, {MOST_RECORDS} are allowed")
    return found


def _clipped(part: range, first: int, last: int) -> range:
    begin = part.start if part.start >= first else part.start + -(-(first - part.start) // part.step) * part.step
    return range(begin, min(part.stop, last + 1), part.step)
