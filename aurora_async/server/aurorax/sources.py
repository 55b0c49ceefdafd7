"""The data sources the service knows, and how many records they have."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from aurora_async.aurorax.models import Location
from aurora_async.server.aurorax.counting import Steps
from aurora_async.server.aurorax.records import custom_source, source_record, timestamp_from_s
from aurora_async.server.aurorax.uploads import Changes
from aurora_async.server.data import data_sources
from aurora_async.server.sky import ephemeris, products

__all__ = ["MAX_IDENTIFIER", "DataSources", "published_sources"]


MAX_IDENTIFIER = 2**31 - 1
_SAMPLE_DAYS = 24
_DAY_S = 86400
_FIRST_DAY = date(1970, 1, 1).toordinal()

Record = dict[str, Any]


_COMPUTED_FIELDS = (
    ("computed", "bool", "Whether this service has computed the record"),
    ("element_set_age_days", "double", "Days between the record and the element set it was computed from"),
)


def published_sources() -> list[Record]:
    """Return the data sources that a new service starts with.

    A published metadata schema also names what only computed records carry, so that they fit their own source.
    """
    ours = [
        {"field_name": name, "description": description, "data_type": data_type, "allowed_values": []}
        for name, data_type, description in _COMPUTED_FIELDS
    ]
    sources = [source_record(source, "full_record") for source in data_sources()]
    for source in sources:
        if schema := source["ephemeris_metadata_schema"]:
            source["ephemeris_metadata_schema"] = [*schema, *ours]
    return sources


class DataSources:
    """The data sources of the service, in memory; changing them durably is the store's part.

    Args:
        records: Their full records.
        database: Where uploads and deletions of records are.
        changed: Which sources have uploaded or deleted ephemeris, and which such data products.
    """

    def __init__(
        self, records: Iterable[Record], database: Path, changed: tuple[Iterable[int], Iterable[int]] = ((), ())
    ) -> None:
        self._records: dict[int, Record] = {}
        self._by_place: dict[tuple[float, float], Record] = {}
        self._counts: dict[tuple[str, int, date], int] = {}
        self._stats: dict[tuple[int, bool], tuple[int, Record]] = {}
        self._revisions: dict[int, int] = {}
        self._database = database
        self.changed_ephemeris = set(changed[0])
        self.changed_products = set(changed[1])
        self.version = 0
        """Grows with every change: what was derived from an older one may be out of date."""
        self.add(records)

    def __len__(self) -> int:
        return len(self._records)

    def get(self, identifier: int) -> Record | None:
        """Return the full record of a data source, or None."""
        return self._records.get(identifier)

    def all(self) -> list[Record]:
        """Return all full records, the internal ones of custom locations included."""
        return list(self._records.values())

    def matching(self, **wanted: str | None) -> list[Record]:
        """Return the sources whose fields equal all the given ones (None: any); internal ones only when named."""
        conditions = {name: value for name, value in wanted.items() if value is not None}
        return [
            record
            for record in self._records.values()
            if all(record[name] == value for name, value in conditions.items())
        ]

    def search(self, lists: Mapping[str, Iterable[str]]) -> list[Record]:
        """Return the sources that are in every list that is not empty; lists by field name."""
        conditions = {name: set(values) for name, values in lists.items()}
        return [
            record
            for record in self._records.values()
            if all(not values or record[name] in values for name, values in conditions.items())
        ]

    def add(self, records: Iterable[Record]) -> None:
        """Know more sources from now on."""
        for record in records:
            self._records[int(record["identifier"])] = record
            if record["identifier"] < 0:
                place = record["metadata"]
                self._by_place[place["lat"], place["lon"]] = record
        self.version += 1

    def put(self, record: Record) -> None:
        """Know a new source, or an old one by a new record."""
        # Should there have been one under this identifier before, what it uploaded or deleted counts again.
        self.records_changed(record["identifier"])
        self.add([record])

    def remove(self, identifier: int) -> None:
        """Forget a source."""
        del self._records[identifier]
        self.version += 1

    def free_identifier(self) -> int:
        """Return an identifier for a new source: above all that are taken, as long as there are any."""
        above = max((0, *self._records)) + 1
        if above <= MAX_IDENTIFIER:
            return above
        return next(number for number in itertools.count(1) if number not in self._records)

    def with_triple(self, record: Mapping[str, Any]) -> Record | None:
        """Return the source that has the program, platform and instrument type of `record`."""
        names = ("program", "platform", "instrument_type")
        found = self.matching(**{name: record[name] for name in names})
        return next((one for one in found if one["identifier"] >= 0), None)

    def records_changed(self, identifier: int, *, ephemeris: bool = True, data_products: bool = True) -> None:
        """Take notice that records of a source were uploaded or deleted."""
        if ephemeris:
            self.changed_ephemeris.add(identifier)
        if data_products:
            self.changed_products.add(identifier)
        # Counts that are being made at this moment are of the former state, and kept as such.
        self._revisions[identifier] = self._revisions.get(identifier, 0) + 1

    def custom(self, places: Iterable[Location]) -> tuple[dict[Location, Record], list[Record]]:
        """Return the internal data source behind each custom location, and those among them that are new.

        The same place is the same source, under the same negative identifier, in every search.
        """
        lowest = min((0, *self._records))
        found: dict[Location, Record] = {}
        new: list[Record] = []
        for place in places:
            assert place.lat is not None and place.lon is not None  # the query has been checked
            record = self._by_place.get((place.lat, place.lon)) or found.get(place)
            if record is None:
                lowest -= 1
                # Its place is kept with it: the names show fewer digits than a query may give.
                metadata = {"lat": place.lat, "lon": place.lon}
                record = custom_source(lowest, place.lat, place.lon) | {"metadata": metadata}
                new.append(record)
            found[place] = record
        return found, new

    # What they have: a count may take a while, and is one of `Counting`'s -------------------------------------------

    def availability(self, records: Iterable[Record], start: date, end: date, *, of_products: bool,
                     product_type: str | None = None) -> Steps[dict[int, dict[str, int]]]:  # fmt: skip
        """Return how many records each source has on each day, both ends inclusive; without days that have none."""
        found: dict[int, dict[str, int]] = {}
        records = list(records)
        changed = self.changed_products if of_products else self.changed_ephemeris
        is_changed = any(record["identifier"] in changed for record in records)
        with Changes.reading(self._database) if is_changed else nullcontext() as changes:
            for record in records:
                identifier = int(record["identifier"])
                if changes is None or identifier not in changed:
                    by_day = yield from self._unchanged(identifier, start, end, of_products, product_type)
                elif of_products:
                    by_day = yield from self._changed_products(changes, identifier, start, end, product_type)
                else:
                    by_day = yield from self._changed_ephemeris(changes, identifier, start, end)
                if counts := {day.isoformat(): count for day, count in sorted(by_day.items()) if count}:
                    found[identifier] = counts
        return found

    def _unchanged(
        self, identifier: int, start: date, end: date, of_products: bool, product_type: str | None
    ) -> Steps[dict[date, int]]:
        counts: dict[date, int] = {}
        for day in self._days(identifier, start, end, of_products):
            counts[day] = self._count(identifier, day, of_products, product_type)
            yield
        return counts

    def _changed_ephemeris(self, changes: Changes, identifier: int, start: date, end: date) -> Steps[dict[date, int]]:
        uploaded = changes.ephemeris_days(identifier, _seconds(start), _seconds(end) + _DAY_S - 1)
        gone, touched = _touched(changes, identifier, uploaded, start, end)
        counts = dict(uploaded)
        for day in self._days(identifier, start, end, False):
            number = _number(day)
            if number in touched:
                counts[number] = counts.get(number, 0) + _left(changes, identifier, day)
            elif number not in gone:
                counts[number] = self._count(identifier, day, False, None)
            yield
        return {_day(number): count for number, count in counts.items()}

    def _changed_products(
        self, changes: Changes, identifier: int, start: date, end: date, product_type: str | None
    ) -> Steps[dict[date, int]]:
        counts: dict[date, int] = {}
        for product in self._all_products(changes, identifier, start, end):
            if product_type in (None, product["data_product_type"]):
                day = date.fromisoformat(product["start"][:10])
                counts[day] = counts.get(day, 0) + 1
            yield
        return counts

    def _all_products(self, changes: Changes, identifier: int, start: date, end: date) -> Iterator[Record]:
        """Yield the data products that begin on some days: uploaded ones, and what is left of the computed ones."""
        for product in changes.products(identifier, _seconds(start)):
            if product["start"] <= f"{end}T23:59:59":
                yield product
        for day in self._days(identifier, start, end, True):
            first = datetime.combine(day, time(), UTC)
            of_day = products.products(identifier, first, first + timedelta(days=1, seconds=-1))
            yield from changes.computed_products(identifier, of_day)

    def has_records(self, identifier: int) -> bool:
        """Tell whether a source has any record at all, uploaded or computed."""
        with Changes.reading(self._database) as changes:
            if changes.ephemeris_span(identifier) is not None:
                return True
            span = self.span(identifier)
            if span is not None:
                gone, _ = _touched(changes, identifier, (), *span)
                if len(gone) <= (span[1] - span[0]).days:
                    return True
            return any(True for _ in self._all_products(changes, identifier, date.min, date.max))

    @staticmethod
    def span(identifier: int, *, of_products: bool = False) -> tuple[date, date] | None:
        """Return the first and the last day on which a source can have records; None when it never has."""
        return products.product_days(identifier) if of_products else ephemeris.available_days(identifier)

    def _days(self, identifier: int, start: date, end: date, of_products: bool) -> Iterator[date]:
        span = self.span(identifier, of_products=of_products)
        if span is None:
            return
        day, last = max(start, span[0]), min(end, span[1])
        while day <= last:
            yield day
            day += timedelta(days=1)

    def _count(self, identifier: int, day: date, of_products: bool, product_type: str | None) -> int:
        key = (f"products {product_type}" if of_products else "ephemeris", identifier, day)
        count = self._counts.get(key)
        if count is None:
            if not of_products:
                count = ephemeris.count_day(identifier, day)
            elif product_type is None:
                count = products.count_products(identifier, day)
            else:
                first = datetime.combine(day, time(), UTC)
                made = products.products(identifier, first, first + timedelta(days=1, seconds=-1))
                count = sum(product["data_product_type"] == product_type for product in made)
            self._counts[key] = count
        return count

    def stats(self, identifier: int, *, slow: bool = False) -> Steps[Record]:
        """Return how many records a source has, and from when to when.

        Unless `slow` asks for every day to be counted (which may take half a minute: ground instruments have more than
        a century here), the ephemeris count is the mean of a few days spread over the year, times the number of days.
        """
        key = (identifier, slow)
        revision = self._revisions.get(identifier, 0)
        kept = self._stats.get(key)
        if kept is None or kept[0] != revision:
            made = yield from self._make_stats(identifier, slow)
            kept = self._stats[key] = revision, made
        return kept[1]

    def _make_stats(self, identifier: int, slow: bool) -> Steps[Record]:
        with Changes.reading(self._database) as changes:
            count, first, last = yield from self._ephemeris_stats(changes, identifier, slow)
            product_counts, earliest, latest = yield from self._product_stats(changes, identifier)
        return {
            "ephemeris_count": count,
            "data_product_count": product_counts,
            "earliest_ephemeris_loaded": None if first is None else timestamp_from_s(first),
            "latest_ephemeris_loaded": None if last is None else timestamp_from_s(last),
            "earliest_data_product_loaded": earliest,
            "latest_data_product_loaded": latest,
        }

    def _product_stats(self, changes: Changes, identifier: int) -> Steps[tuple[int, str | None, str | None]]:
        if identifier in self.changed_products:
            starts, ends = [], []
            for product in self._all_products(changes, identifier, date.min, date.max):
                starts.append(product["start"])
                ends.append(product["end"])
                yield
            return len(starts), min(starts, default=None), max(ends, default=None)
        counts = []
        for day in self._days(identifier, date.min, date.max, True):
            if of_day := products.count_products(identifier, day):
                counts.append((day, of_day))
            yield
        if not counts:
            return 0, None, None
        return sum(of_day for _, of_day in counts), f"{counts[0][0]}T00:00:00", f"{counts[-1][0]}T23:59:00"

    def _ephemeris_stats(
        self, changes: Changes, identifier: int, slow: bool
    ) -> Steps[tuple[int, int | None, int | None]]:
        """Return how many records, and the epochs (seconds since 1970) of the first and the last."""
        span = self.span(identifier)
        uploaded: Mapping[int, int] = {}
        gone: set[int] = set()
        touched: set[int] = set()
        if identifier in self.changed_ephemeris:
            uploaded = changes.ephemeris_days(identifier, -(1 << 62), 1 << 62)
            if span is not None:
                gone, touched = _touched(changes, identifier, uploaded, *span)
        total = sum(uploaded.values())
        epochs: list[int] = []
        if (uploaded_span := changes.ephemeris_span(identifier)) is not None:
            epochs += uploaded_span
        if span is not None:
            left = [day for day in self._days(identifier, *span, False) if _number(day) not in gone]
            for day in left:
                if _number(day) in touched:
                    total += _left(changes, identifier, day) - ephemeris.count_day(identifier, day)
                    yield
            total += yield from self._computed_count(identifier, span, left, slow)
            if left:
                epochs += (_seconds(left[0]), _seconds(left[-1]) + _DAY_S - 60)
        return total, min(epochs, default=None), max(epochs, default=None)

    @staticmethod
    def _computed_count(identifier: int, span: tuple[date, date], left: Sequence[date], slow: bool) -> Steps[int]:
        if slow or len(left) <= _SAMPLE_DAYS:
            return (yield from _sum_of(identifier, left))
        # In the middle of the span, because nights are as long in every year, and orbits are known best there.
        days = (span[1] - span[0]).days + 1
        middle = span[0] + timedelta(days=days // 2)
        step = min(days, 365) / _SAMPLE_DAYS
        sample = [
            middle + timedelta(days=round(number * step)) for number in range(-_SAMPLE_DAYS // 2, _SAMPLE_DAYS // 2)
        ]
        return round(len(left) * (yield from _sum_of(identifier, sample)) / len(sample))


def _sum_of(identifier: int, days: Iterable[date]) -> Steps[int]:
    total = 0
    for day in days:
        total += ephemeris.count_day(identifier, day)
        yield
    return total


# Days are counted from 1970 here, as they are in the database.


def _number(day: date) -> int:
    return day.toordinal() - _FIRST_DAY


def _day(number: int) -> date:
    return date.fromordinal(number + _FIRST_DAY)


def _seconds(day: date) -> int:
    return _number(day) * _DAY_S


def _touched(
    changes: Changes, identifier: int, uploaded: Iterable[int], start: date, end: date
) -> tuple[set[int], set[int]]:
    """Return the days whose computed records are all deleted, and those on which some may be replaced or deleted."""
    first, last = _number(start), _number(end)
    gone: set[int] = set()
    touched = set(uploaded)
    for start_s, end_s in changes.deleted_ranges(identifier, _seconds(start), _seconds(end) + _DAY_S - 1):
        # The last record of a day is that of 23:59:00.
        whole = range(max(first, -(-start_s // _DAY_S)), min(last, (end_s + 60) // _DAY_S - 1) + 1)
        gone.update(whole)
        touched.update(day for day in (start_s // _DAY_S, end_s // _DAY_S) if day not in whole)
    return gone, touched - gone


def _left(changes: Changes, identifier: int, day: date) -> int:
    """Return how many computed records of a day are neither replaced nor deleted."""
    present = ephemeris.present_minutes(identifier, day)
    return int(np.count_nonzero(changes.computed(identifier, _seconds(day), present)))
