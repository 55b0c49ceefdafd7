"""Ephemeris of a data source, a UTC day at a time: what the local AuroraX service serves.

Everything here is computed, never AuroraX's own record, and every record's metadata says so. `compute_day` is pure and
takes half a second for a spacecraft; `save_day` and `load_day` keep a day losslessly in some 46 kB.
"""

from __future__ import annotations

import datetime as dt
import functools
import io
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from aurora_async.server.data import data_sources, gauss_coefficients, station_of_identifier
from aurora_async.server.sky.field import EARTH_RADIUS_KM, gsm_frame, main_field
from aurora_async.server.sky.footprints import (
    Conjugate,
    conjugate_between,
    conjugate_point,
    to_cartesian,
    to_lat_lon,
    trace_footprints,
)
from aurora_async.server.sky.operation import operating
from aurora_async.server.sky.orbit import track, validity
from aurora_async.server.sky.regions import region_names
from aurora_async.server.sky.sun import day_jd

__all__ = [
    "MINUTES",
    "DayEphemeris",
    "available_days",
    "computable",
    "compute_day",
    "conjugate",
    "conjugate_with_method",
    "count_day",
    "load_day",
    "load_points",
    "location_gsm",
    "present_at_site",
    "present_minutes",
    "save_day",
    "site",
]

MINUTES = 1440
#: Degrees are kept in whole millionths (0.1 m), so that a saved day equals the computed one.
_PER_DEGREE = 1e6
_NO_VALUE = np.iinfo(np.int32).min


# Not slotted: the region names are worked out once, when a record's metadata is first asked for.
@attrs.frozen(kw_only=True, eq=False, slots=False)
class DayEphemeris:
    """One data source, one UTC day, one record a minute; every array has 1440 rows, one for each minute of the day.

    `location_geo`, `nbtrace` and `sbtrace` are `(1440, 2)` float64, latitude and longitude in degrees, longitude in
    -180..180, NaN where there is no record or the field line is open; a trace is None when it was not asked for. They
    are geocentric for spacecraft, geodetic for ground instruments, as AuroraX has them.
    """

    identifier: int
    day: dt.date
    present: NDArray[np.bool_]
    location_geo: NDArray[np.float64]
    nbtrace: NDArray[np.float64] | None
    sbtrace: NDArray[np.float64] | None
    #: `(1440,)` float64, spacecraft only.
    radial_distance_km: NDArray[np.float64] | None = None
    #: `(1440,)` float64, days since the epoch of the element set used (negative before it), spacecraft only.
    element_set_age_days: NDArray[np.float64] | None = None
    #: How the conjugate point was found, ground instruments only: `aacgmv2` or `own field tracer`.
    conjugate_method: str | None = None

    @property
    def is_spacecraft(self) -> bool:
        """Whether this is an orbit and not a site."""
        return self.radial_distance_km is not None

    @functools.cached_property
    def regions(self) -> Mapping[str, NDArray[np.str_]]:
        """`nbtrace_region`, `sbtrace_region`, `radial_trace_region`, `(1440,)` each, empty where there is none.

        A region needs its trace: without `nbtrace` there is no `nbtrace_region`. Ground instruments have none.
        """
        if not self.is_spacecraft:
            return MappingProxyType({})
        field, jd = main_field(self.day), day_jd(self.day)
        points = {
            "nbtrace_region": self.nbtrace,
            "sbtrace_region": self.sbtrace,
            "radial_trace_region": self.location_geo,
        }
        return MappingProxyType({key: region_names(p, field, jd) for key, p in points.items() if p is not None})

    def metadata(self, minute: int) -> dict[str, object]:
        """Return the metadata of one record, in JSON types.

        Every field of the source's published schema is there, as in AuroraX's records; what does not follow from
        position and trace (`spacecraft_region`, the instrument flags) is null. `state` is always `predictive`: elements
        propagated are a forecast, also backwards.
        """
        found: dict[str, object] = {**_unknown_fields().get(self.identifier, {}), "computed": True}
        if self.radial_distance_km is None or self.element_set_age_days is None:
            if self.conjugate_method is not None:
                found["conjugate"] = self.conjugate_method
            return found
        found["state"] = "predictive"
        found["radial_distance"] = float(self.radial_distance_km[minute])
        found["element_set_age_days"] = float(self.element_set_age_days[minute])
        for key, names in self.regions.items():
            if names[minute]:
                found[key] = str(names[minute])
        return found

    def merged(self, other: DayEphemeris) -> DayEphemeris:
        """Return this day with the traces of `other` where it has none itself."""
        return attrs.evolve(
            self,
            nbtrace=other.nbtrace if self.nbtrace is None else self.nbtrace,
            sbtrace=other.sbtrace if self.sbtrace is None else self.sbtrace,
            conjugate_method=self.conjugate_method or other.conjugate_method,
        )


@functools.cache
def _programs() -> Mapping[int, str]:
    return {int(source["identifier"]): str(source["program"]) for source in data_sources()}


@functools.cache
def _unknown_fields() -> Mapping[int, Mapping[str, None]]:
    """Return the fields of the published schemas, by identifier, none of them known."""
    return {
        int(source["identifier"]): {item["field_name"]: None for item in source["ephemeris_metadata_schema"]}
        for source in data_sources()
        if source.get("ephemeris_metadata_schema")
    }


def computable(identifier: int) -> bool:
    """Tell whether positions of a data source can be computed: its elements or its site are known."""
    return available_days(identifier) is not None


_FIRST_GROUND_DAY = dt.date(2000, 1, 1)


@functools.cache
def available_days(identifier: int) -> tuple[dt.date, dt.date] | None:
    """Return the first and the last day with computed records, None when there are none.

    Spacecraft: 180 days before the first to 180 days after the last element set, gaps bridged (every record tells the
    age of its set). Ground instruments: from 2000, before the oldest of their arrays was built, to the end of IGRF;
    when each was built is not known here.
    """
    if identifier in station_of_identifier():
        return _FIRST_GROUND_DAY, dt.date(int(gauss_coefficients().epochs[-1]) - 1, 12, 31)
    return validity(identifier)


def _is_available(identifier: int, day: dt.date) -> bool:
    span = available_days(identifier)
    return span is not None and span[0] <= day <= span[1]


@functools.lru_cache(maxsize=65536)
def count_day(identifier: int, day: dt.date) -> int:
    """Return how many records a day has; no field line is traced for it."""
    if not _is_available(identifier, day):
        return 0
    station = station_of_identifier().get(identifier)
    if station is not None:
        return int(np.count_nonzero(operating(identifier, _programs().get(identifier, ""), station, day)))
    # An orbit that holds at every half-hour of a day holds in between; only a decaying one is counted out.
    some = np.append(np.arange(0.0, MINUTES, 30.0), MINUTES - 1.0)
    if np.isfinite(track(identifier, day_jd(day, some)).position_km[0]).all():
        return MINUTES
    return int(np.count_nonzero(np.isfinite(track(identifier, day_jd(day)).position_km[0])))


def present_minutes(identifier: int, day: dt.date) -> NDArray[np.bool_]:
    """Return `(1440,)` bool, the minutes of a day that have a record; no field line is traced for it."""
    if not _is_available(identifier, day):
        return np.zeros(MINUTES, dtype=np.bool_)
    if identifier in station_of_identifier():
        return present_at_site(identifier, day, 1)
    return np.asarray(np.isfinite(track(identifier, day_jd(day)).position_km).all(axis=0))


def present_at_site(identifier: int, day: dt.date, days: int) -> NDArray[np.bool_]:
    """Return `(days * 1440,)` bool: the minutes from a day on in which a ground instrument has a record.

    Many days at once cost little more than one.
    """
    span = available_days(identifier)
    assert span is not None  # as for every site
    present = np.zeros(days * MINUTES, dtype=np.bool_)
    first, last = max(day, span[0]), min(dt.date.fromordinal(day.toordinal() + days - 1), span[1])
    if first <= last:
        begin, there = (first - day).days, (last - first).days + 1
        station, program = station_of_identifier()[identifier], _programs().get(identifier, "")
        at = slice(begin * MINUTES, (begin + there) * MINUTES)
        present[at] = operating(identifier, program, station, first, there)
    return present


@functools.cache
def site(identifier: int) -> tuple[float, float]:
    """Return geodetic latitude and longitude (degrees) of a ground instrument, as its records have them."""
    station = station_of_identifier()[identifier]
    lat_deg, lon_deg = _rounded(np.array((station.lat_deg, station.lon_deg))).tolist()
    return lat_deg, lon_deg


def compute_day(identifier: int, day: dt.date, *, north: bool = True, south: bool = True) -> DayEphemeris:
    """Compute the records of a data source on a UTC day.

    Args:
        identifier: Data source; one that is not computable has no record.
        day: UTC day; one outside `available_days` has no record.
        north: Fill `nbtrace`.
        south: Fill `sbtrace`.
    """
    if not _is_available(identifier, day):
        nothing = np.full((MINUTES, 2), np.nan)
        return DayEphemeris(
            identifier=identifier,
            day=day,
            present=np.zeros(MINUTES, dtype=np.bool_),
            location_geo=nothing,
            nbtrace=nothing if north else None,
            sbtrace=nothing if south else None,
        )
    compute = _ground_day if identifier in station_of_identifier() else _spacecraft_day
    return compute(identifier, day, north, south)


def _spacecraft_day(identifier: int, day: dt.date, north: bool, south: bool) -> DayEphemeris:
    jd = day_jd(day)
    orbit = track(identifier, jd)
    position = orbit.position_km / EARTH_RADIUS_KM
    # Both ends go through the tracer together: it works on arrays, and longer ones cost less a line.
    ends = [end for end, wanted in ((True, north), (False, south)) if wanted]
    traces: dict[bool, NDArray[np.float64]] = {}
    if ends:
        found = trace_footprints(
            np.tile(position, len(ends)), np.tile(jd, len(ends)), day, north=np.repeat(np.array(ends), MINUTES)
        )
        traces = {end: _rounded(part) for end, part in zip(ends, np.split(found, len(ends)), strict=True)}
    return DayEphemeris(
        identifier=identifier,
        day=day,
        present=np.isfinite(position[0]),
        location_geo=_rounded(to_lat_lon(position)),
        nbtrace=traces.get(True),
        sbtrace=traces.get(False),
        radial_distance_km=np.round(np.linalg.norm(orbit.position_km, axis=0), 3),
        element_set_age_days=np.round(orbit.element_set_age_days, 4),
    )


def _ground_day(identifier: int, day: dt.date, north: bool, south: bool) -> DayEphemeris:
    station = station_of_identifier()[identifier]
    present = operating(identifier, _programs().get(identifier, ""), station, day)
    site = np.where(present[:, None], (station.lat_deg, station.lon_deg), np.nan)
    away: NDArray[np.float64] | None = None
    method: str | None = None
    northern = station.lat_deg >= 0.0
    if south if northern else north:
        midnight = dt.datetime.combine(day, dt.time())
        first, last = (
            conjugate_point(station.lat_deg, station.lon_deg, midnight + dt.timedelta(minutes=n))
            for n in (0, MINUTES - 1)
        )
        method = first.method
        drift = conjugate_between(first, last, np.arange(MINUTES) / (MINUTES - 1))
        away = np.where(present[:, None], _rounded(drift), np.nan)
    return DayEphemeris(
        identifier=identifier,
        day=day,
        present=present,
        location_geo=_rounded(site),
        nbtrace=None if not north else _rounded(site) if northern else away,
        sbtrace=None if not south else away if northern else _rounded(site),
        conjugate_method=method,
    )


def _rounded(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.rint(points * _PER_DEGREE) / _PER_DEGREE)


def location_gsm(ephemeris: DayEphemeris) -> NDArray[np.float64]:
    """Return `(1440, 2)` GSM latitude and longitude in degrees; all NaN for ground instruments, as in AuroraX."""
    if not ephemeris.is_spacecraft:
        return np.full((MINUTES, 2), np.nan)
    frame = gsm_frame(main_field(ephemeris.day), day_jd(ephemeris.day))
    lat_deg, lon_deg = ephemeris.location_geo.T
    return _rounded(to_lat_lon(frame.to_gsm(to_cartesian(lat_deg, lon_deg, np.ones(MINUTES)))))


def conjugate_with_method(lat_deg: float, lon_deg: float, when: dt.datetime) -> Conjugate:
    """Return the conjugate point of a geodetic position on the ground and the method that found it."""
    return conjugate_point(lat_deg, lon_deg, when)


def conjugate(lat_deg: float, lon_deg: float, when: dt.datetime) -> tuple[float, float]:
    """Return geodetic latitude and longitude (degrees) of the other end of the field line through a place."""
    point = conjugate_point(lat_deg, lon_deg, when)
    return point.lat_deg, point.lon_deg


#: The columns of a kept day: values a minute, whole units per one. Computed values are rounded to these units, so that
#: a kept day equals the computed one.
_COLUMNS = MappingProxyType(
    {
        "location_geo": (2, _PER_DEGREE),
        "nbtrace": (2, _PER_DEGREE),
        "sbtrace": (2, _PER_DEGREE),
        "radial_distance_km": (1, 1e3),
        "element_set_age_days": (1, 1e4),
    }
)


@functools.lru_cache(maxsize=16)
def _units(columns: tuple[str, ...]) -> NDArray[np.float64]:
    """Return for each number of a kept day how many units make one."""
    return np.concatenate([np.full(_COLUMNS[name][0] * MINUTES, _COLUMNS[name][1]) for name in columns])


@functools.lru_cache(maxsize=16)
def _places(columns: tuple[str, ...]) -> Mapping[str, slice]:
    """Return where among the numbers of a kept day each column is."""
    ends = np.cumsum([_COLUMNS[name][0] * MINUTES for name in columns]).tolist()
    return {name: slice(end - _COLUMNS[name][0] * MINUTES, end) for name, end in zip(columns, ends, strict=True)}


_PRESENT_BYTES = MINUTES // 8


class _Head(msgspec.Struct):
    """The first bytes of a kept day, filled up with blanks; `present` and the columns follow."""

    identifier: int
    day: int
    columns: tuple[str, ...]
    conjugate_method: str | None


_HEAD_BYTES = 256
_read_head = msgspec.json.Decoder(_Head).decode


def save_day(path: Path, ephemeris: DayEphemeris) -> Path:
    """Keep a day in a file, whole or not at all; a trace that the file has and the day has not stays in it.

    Whole numbers of 32 bits, not compressed: a search of a year reads a thousand of these files.
    """
    before = load_day(path)
    if before is not None and (before.identifier, before.day) == (ephemeris.identifier, ephemeris.day):
        ephemeris = ephemeris.merged(before)
    columns = {name: values for name in _COLUMNS if (values := getattr(ephemeris, name)) is not None}
    head = _Head(ephemeris.identifier, ephemeris.day.toordinal(), tuple(columns), ephemeris.conjugate_method)
    numbers = np.concatenate([values.ravel() for values in columns.values()])
    whole = np.where(np.isnan(numbers), _NO_VALUE, np.rint(np.nan_to_num(numbers) * _units(head.columns)))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, so that two processes that keep the same day do not write into one file.
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(head).ljust(_HEAD_BYTES))
            file.write(np.packbits(ephemeris.present).tobytes())
            file.write(whole.astype("<i4").tobytes())
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return path


def _read_day(path: str | Path) -> tuple[_Head, NDArray[np.uint8], NDArray[np.int32]]:
    """Return head, minutes with a record (a bit each) and numbers of a kept day, or raise one of `_NO_DAY`."""
    with io.FileIO(path) as file:
        data = memoryview(file.read())
    head = _read_head(data[:_HEAD_BYTES])
    present = np.frombuffer(data, np.uint8, _PRESENT_BYTES, _HEAD_BYTES)
    whole = np.frombuffer(data, "<i4", offset=_HEAD_BYTES + _PRESENT_BYTES)
    if len(whole) != len(_units(head.columns)):
        raise ValueError(f"{path} is torn")
    return head, present, whole


def _read_first(paths: Iterable[str]) -> tuple[_Head, NDArray[np.uint8], NDArray[np.int32]]:
    for path in paths:
        with suppress(FileNotFoundError):
            return _read_day(path)
    raise FileNotFoundError


_NO_DAY = (OSError, KeyError, ValueError, OverflowError, msgspec.DecodeError)


def load_points(
    days: Iterable[Iterable[str]], names: Collection[str]
) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float64]]] | None:
    """Return what is needed of many kept days at once, in a quarter of the time that `load_day` takes for them.

    Args:
        days: The files of each, of which the first that is there is read.
        names: `location_geo`, `nbtrace`, `sbtrace`, or some of them.

    Returns:
        One day after the other: `(n * 1440,)` bool, the minutes with a record, and by name `(n * 1440, 2)` float64, as
        `DayEphemeris` has them. None unless every file is there and has what was asked for.
    """
    bits: list[NDArray[np.uint8]] = []
    parts: dict[str, list[NDArray[np.int32]]] = {name: [] for name in names}
    try:
        for paths in days:
            head, present, whole = _read_first(paths)
            places = _places(head.columns)
            bits.append(present)
            for name, of_days in parts.items():
                of_days.append(whole[places[name]])
    except _NO_DAY:
        return None
    points: dict[str, NDArray[np.float64]] = {}
    for name, of_days in parts.items():
        whole = np.concatenate(of_days)
        numbers = whole / _COLUMNS[name][1]
        if whole.min() == _NO_VALUE:
            numbers[whole == _NO_VALUE] = np.nan
        points[name] = numbers.reshape(-1, 2)
    return np.unpackbits(np.concatenate(bits)).view(np.bool_), points


def load_day(path: str | Path) -> DayEphemeris | None:
    """Return the day kept in a file, None when there is no such file or it is not one of ours."""
    try:
        head, present, whole = _read_day(path)
        # All columns at once, and then views of them: a column of a day is too short for NumPy's calls.
        numbers = whole / _units(head.columns)
        if whole.min() == _NO_VALUE:
            numbers[whole == _NO_VALUE] = np.nan
        columns: dict[str, NDArray[np.float64]] = {}
        for name, place in _places(head.columns).items():
            values = numbers[place]
            columns[name] = values.reshape(MINUTES, 2) if _COLUMNS[name][0] == 2 else values
        return DayEphemeris(
            identifier=head.identifier,
            day=dt.date.fromordinal(head.day),
            present=np.unpackbits(present).view(np.bool_),
            location_geo=columns["location_geo"],
            nbtrace=columns.get("nbtrace"),
            sbtrace=columns.get("sbtrace"),
            radial_distance_km=columns.get("radial_distance_km"),
            element_set_age_days=columns.get("element_set_age_days"),
            conjugate_method=head.conjugate_method,
        )
    except _NO_DAY:
        return None
