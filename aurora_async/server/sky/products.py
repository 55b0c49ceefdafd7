"""Data products of the TREx RGB imagers: keograms, montages and movies, one set for each night.

Inferred, not AuroraX's own list: every record says `computed`. The rule is that of the searches run in 2022: each UTC
hour with imaging has four products, each day with imaging six more, and imaging means that the Sun is 11.5 degrees
below the horizon. It gives the published 66 records (Fort Smith, 2020-01-01) and 1490 (five stations, 1 to 5 February
2020), and the five daily keograms of 2021-01-01. Searches run since 2024 return two hourly products fewer (164 and
820 records, which two hourly types would give): the service dropped some in between, and a service cannot be in two
years at once.

Addresses follow the three that are printed; for the others (`"url_pattern": "inferred"` in the metadata) the printed
ones are continued, and nothing is known to lie there. The imaging times are those of the Sun, printed ones differ by
up to ten minutes: FSMI 2020-01-01 imaged from 00:27 to 14:38.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterator
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from aurora_async.server.data import station_of_identifier
from aurora_async.server.sky.operation import dark_below_deg
from aurora_async.server.sky.sun import dark_minutes, naive_utc

__all__ = [
    "DAILY",
    "HOURLY",
    "ProductKind",
    "count_products",
    "mirrored",
    "product_at",
    "product_days",
    "products",
    "published_url",
]

_ROOT = "https://data.phys.ucalgary.ca/sort_by_project/TREx/RGB"

# Cameras as they appear in public file names (Gillam and Fort Smith in printed records).
_CAMERAS = MappingProxyType(
    {96: "fsmi_rgb-01", 101: "luck_rgb-03", 102: "pina_rgb-02", 103: "gill_rgb-04", 104: "rabb_rgb-06"}
)
# First and last data product of Gillam in the statistics printed in March 2022.
_FIRST_DAY, _LAST_DAY = dt.date(2019, 9, 27), dt.date(2021, 10, 22)


@attrs.frozen
class ProductKind:
    """One kind of data product: its type, the metadata key and value that name it, and the end of its address."""

    data_product_type: str
    value: str
    file: str
    is_printed: bool = False

    @property
    def key(self) -> str:
        """Name of the metadata field that holds the kind, as in `keogram_type`."""
        return f"{self.data_product_type}_type"


# `{day}` is a path of year, month and day, `{date}` the same without strokes, `{hour}` two digits.
_HOUR = "stream2/{day}/{camera}/ut{hour}/{date}_{hour}_{camera}_full-"
_DAY = "stream2/{day}/{camera}/{date}__{camera}_full-"
HOURLY = (
    ProductKind("keogram", "hourly", _HOUR + "keogram.jpg", True),
    ProductKind("keogram", "hourly_hires", _HOUR + "keogram-hires.jpg"),
    ProductKind(
        "keogram",
        "hourly_hires_200px",
        _HOUR + "keogram-hires-200px.jpg",
    ),
    ProductKind("montage", "hourly", _HOUR + "montage.jpg"),
)
DAILY = (
    ProductKind("keogram", "daily", _DAY + "keogram.jpg", True),
    ProductKind("keogram", "daily_hires", _DAY + "keogram-hires.jpg"),
    ProductKind("keogram", "daily_hires_200px", _DAY + "keogram-hires-200px.jpg"),
    ProductKind(
        "keogram",
        "daily_moviederived",
        "rt-fullres/movie_derived_daily_keograms/{day}/{date}__{camera}_moviebased-keogram.jpg",
        True,
    ),
    ProductKind("montage", "daily", _DAY + "montage.jpg"),
    ProductKind("movie", "real-time daily", "rt-fullres/daily_movies/{day}/{date}__{camera}_movie.mp4"),
)


def product_days(identifier: int) -> tuple[dt.date, dt.date] | None:
    """Return the first and the last day with data products of a data source, None when it has none."""
    return (_FIRST_DAY, _LAST_DAY) if identifier in _CAMERAS else None


@functools.lru_cache(maxsize=4096)
def _dark(identifier: int, day: dt.date) -> NDArray[np.bool_]:
    """`(1440,)`: minutes of a day in which the imager ran; for a day on which there are no products, none."""
    if identifier not in _CAMERAS or not _FIRST_DAY <= day <= _LAST_DAY:
        return np.zeros(1440, dtype=np.bool_)
    station = station_of_identifier()[identifier]
    return dark_minutes(station.lat_deg, station.lon_deg, day, dark_below_deg("trex"))


def count_products(identifier: int, day: dt.date) -> int:
    """Return how many data products a day has."""
    hours = int(np.count_nonzero(_dark(identifier, day).reshape(24, 60).any(axis=1)))
    return hours * len(HOURLY) + len(DAILY) if hours else 0


def products(identifier: int, start: dt.datetime, end: dt.datetime) -> Iterator[dict[str, Any]]:
    """Yield the data products that lie wholly between two instants, in order of time.

    Args:
        identifier: Data source; one without products yields nothing.
        start: Earliest start of a record, naive or aware UTC.
        end: Latest end of a record; a record of an hour ends in its last minute.

    Yields:
        Records as on the wire, without `data_source`.
    """
    span = product_days(identifier)
    if span is None:
        return
    start, end = naive_utc(start), naive_utc(end)
    day = max(start.date(), span[0])
    while day <= min(end.date(), span[1]):
        for record in _products_of_day(identifier, day):
            if record["start"] >= start and record["end"] <= end:
                yield record | {"start": record["start"].isoformat(), "end": record["end"].isoformat()}
        day += dt.timedelta(days=1)


def product_at(url: str) -> dict[str, Any] | None:
    """Return the data product that a published address belongs to, as `products` yields it; None if it is nobody's."""
    if (named := re.search(r"/([0-9]{8})_[^/]*$", url)) is None:
        return None
    with suppress(ValueError):  # no such day
        day = dt.datetime.strptime(named[1], "%Y%m%d")
        for identifier, camera in _CAMERAS.items():
            if camera in url:
                for record in products(identifier, day, day + dt.timedelta(days=1)):
                    if record["url"] == url:
                        return record
    return None


def mirrored(record: dict[str, Any], root: str) -> dict[str, Any]:
    """Return a record whose address leads to the copy that a local service has below `root`."""
    url = record["url"]
    metadata = record["metadata"] | {"published_url": url}
    return record | {"url": f"{root}/{url.removeprefix('https://')}", "metadata": metadata}


def published_url(url: str) -> str:
    """Return the published address of a copy's; of another address, that address."""
    _, found, path = url.rpartition(f"/{_ROOT.removeprefix('https://')}")
    return f"{_ROOT}{path}" if found else url


def _products_of_day(identifier: int, day: dt.date) -> Iterator[dict[str, Any]]:
    dark = _dark(identifier, day)
    if not dark.any():
        return
    midnight = dt.datetime.combine(day, dt.time())

    def record(kind: ProductKind, first: dt.datetime, minutes: int, imaging: tuple[int, int]) -> dict[str, Any]:
        file = kind.file.format(
            day=f"{day:%Y/%m/%d}", date=f"{day:%Y%m%d}", hour=f"{first:%H}", camera=_CAMERAS[identifier]
        )
        begin, finish = (midnight + dt.timedelta(minutes=minute) for minute in imaging)
        return {
            "data_product_type": kind.data_product_type,
            "start": first,
            "end": first + dt.timedelta(minutes=minutes - 1),
            "url": f"{_ROOT}/{file}",
            "metadata": {
                kind.key: kind.value,
                "imaging_start_time": begin.isoformat(timespec="microseconds"),
                "imaging_end_time": finish.isoformat(timespec="microseconds"),
                "computed": True,
                "url_pattern": "published" if kind.is_printed else "inferred",
            },
        }

    for kind in DAILY:
        yield record(kind, midnight, 1440, _night(identifier, day))
    for hour in range(24):
        minutes = np.flatnonzero(dark[hour * 60 : hour * 60 + 60]) + hour * 60
        if len(minutes):
            for kind in HOURLY:
                yield record(kind, midnight + dt.timedelta(hours=hour), 60, (int(minutes[0]), int(minutes[-1])))


def _night(identifier: int, day: dt.date) -> tuple[int, int]:
    """First and last imaging minute, from midnight, of the night that a daily product shows.

    That is the first night which touches the day; it may begin on the day before, as in the printed record of Gillam
    (2019-12-31T23:30 to 2020-01-01T13:16).
    """
    dark = np.concatenate([_dark(identifier, day + dt.timedelta(days=n)) for n in (-1, 0, 1)])
    first = 1440 + int(np.argmax(dark[1440:2880]))
    light_before = np.flatnonzero(~dark[:first])
    light_after = np.flatnonzero(~dark[first:])
    begin = int(light_before[-1]) + 1 if len(light_before) else first
    finish = first + (int(light_after[0]) if len(light_after) else 1440) - 1
    return begin - 1440, finish - 1440
