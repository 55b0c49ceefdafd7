"""The data sources the service knows, and how many records they have."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from aurora_async.aurorax.models import Location
from aurora_async.server.aurorax.records import custom_source, source_record
from aurora_async.server.data import data_sources
from aurora_async.server.sky import ephemeris, products
from aurora_async.times import to_wire

__all__ = ["SOURCE_TYPES", "DataSources", "published_sources"]

SOURCE_TYPES = ("ground", "leo", "heo", "lunar", "event_list", "not_applicable")

_SAMPLE_DAYS = 24

Record = dict[str, Any]


def published_sources() -> list[Record]:
    """Return the data sources that a new service starts with."""
    return [source_record(source, "full_record") for source in data_sources()]


class DataSources:
    """The data sources of the service, in memory; changing them durably is the store's part."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records: dict[int, Record] = {}
        self._by_place: dict[tuple[float, float], Record] = {}
        self._counts: dict[tuple[str, int, date], int] = {}
        self._stats: dict[tuple[int, bool], Record] = {}
        self._counting = threading.Lock()
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

    # What they have: each of these may compute for a while and belongs into a thread -------------------------------

    def availability(self, records: Iterable[Record], start: date, end: date, *, of_products: bool,
                     product_type: str | None = None) -> dict[int, dict[str, int]]:  # fmt: skip
        """Return how many records each source has on each day, both ends inclusive; without days that have none."""
        found: dict[int, dict[str, int]] = {}
        for record in records:
            identifier = int(record["identifier"])
            counts = {}
            for day in self._days(identifier, start, end, of_products):
                if count := self._count(identifier, day, of_products, product_type):
                    counts[day.isoformat()] = count
            if counts:
                found[identifier] = counts
        return found

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

    def stats(self, identifier: int, *, slow: bool = False) -> Record:
        """Return how many records a source has, and from when to when.

        Unless `slow` asks for every day to be counted (which may take half a minute: ground instruments have more than
        a century here), the ephemeris count is the mean of a few days spread over the year, times the number of days.
        """
        key = (identifier, slow)
        with self._counting:
            if key not in self._stats:
                self._stats[key] = self._make_stats(identifier, slow)
            return self._stats[key]

    def _make_stats(self, identifier: int, slow: bool) -> Record:
        count, first, last = self._ephemeris_stats(identifier, slow)
        product_counts = [
            (day, of_day)
            for day in self._days(identifier, date.min, date.max, True)
            if (of_day := products.count_products(identifier, day))
        ]
        return {
            "ephemeris_count": count,
            "data_product_count": sum(of_day for _, of_day in product_counts),
            "earliest_ephemeris_loaded": None if first is None else to_wire(first),
            "latest_ephemeris_loaded": None if last is None else to_wire(last),
            "earliest_data_product_loaded": f"{product_counts[0][0]}T00:00:00" if product_counts else None,
            "latest_data_product_loaded": f"{product_counts[-1][0]}T23:59:00" if product_counts else None,
        }

    def _ephemeris_stats(self, identifier: int, slow: bool) -> tuple[int, datetime | None, datetime | None]:
        span = self.span(identifier)
        if span is None:
            return 0, None, None
        days = (span[1] - span[0]).days + 1
        first = datetime.combine(span[0], time(), UTC)
        last = datetime.combine(span[1], time(23, 59), UTC)
        if slow or days <= _SAMPLE_DAYS:
            total = sum(ephemeris.count_day(identifier, day) for day in self._days(identifier, *span, False))
            return total, first, last
        # In the middle of the span, because nights are as long in every year, and orbits are known best there.
        middle = span[0] + timedelta(days=days // 2)
        step = min(days, 365) / _SAMPLE_DAYS
        sample = [
            ephemeris.count_day(identifier, middle + timedelta(days=round(number * step)))
            for number in range(-_SAMPLE_DAYS // 2, _SAMPLE_DAYS // 2)
        ]
        return round(days * sum(sample) / len(sample)), first, last
