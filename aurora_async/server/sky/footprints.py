"""Where field lines meet the Earth: B-traces of spacecraft, and conjugate points of places on the ground.

A line is followed by the embedded Dormand-Prince pair of orders 5 and 4, all lines of a call at once, each with a
step of its own; lines that have landed or left drop out of the arrays. The step aims at the stopping height as soon
as it is in reach, so a line from low orbit costs eight evaluations of the field.
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import logging
import threading
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from aurora_async.server.data import gauss_coefficients, station_of_identifier
from aurora_async.server.sky.field import (
    EARTH_RADIUS_KM,
    ExternalField,
    GsmFrame,
    MainField,
    Vectors,
    gsm_frame,
    main_field,
)
from aurora_async.server.sky.sun import naive_utc

__all__ = [
    "OWN_TRACER",
    "STOP_HEIGHT_KM",
    "Conjugate",
    "conjugate_between",
    "conjugate_point",
    "height_km",
    "own_conjugates",
    "to_cartesian",
    "to_lat_lon",
    "trace_footprints",
]

STOP_HEIGHT_KM = 100.0
OWN_TRACER = "own field tracer"
_AACGMV2 = "aacgmv2"
_AACGM_LOCK = threading.Lock()

_OPEN_LINE_RADIUS = 60.0
_WGS84_A_KM = 6378.137
_WGS84_B_KM = 6356.752314245

# Local error of a step in Earth radii (2.5 m), at one radius from the centre; it may grow with the distance.
_TOLERANCE = 4.0e-7
_MOST_STEPS = 600
# First step allowed: 950 km, so that a line from low orbit is down in one.
_FIRST_REACH = 0.15
# Closer to the end than this (160 km along the line) a midpoint step lands within some ten metres.
_LANDING_REACH = 0.025
# Columns in hand at once: fewer pay more for each NumPy call, more fall out of the cache.
_CHUNK = 4096

_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_DEFECT = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def to_cartesian(lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64], radius: NDArray[np.float64]) -> Vectors:
    """Return `(3, n)` positions from geocentric latitude, longitude and radius, in the unit of the radius."""
    lat, lon = np.deg2rad(lat_deg), np.deg2rad(lon_deg)
    cos_lat = np.cos(lat)
    return np.stack((radius * cos_lat * np.cos(lon), radius * cos_lat * np.sin(lon), radius * np.sin(lat)))


def to_lat_lon(position: Vectors) -> NDArray[np.float64]:
    """Return `(n, 2)` geocentric latitude and longitude in degrees, longitude in -180..180."""
    x, y, z = position
    return np.asarray(np.rad2deg(np.stack((np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)), axis=1)))


def height_km(position: Vectors) -> NDArray[np.float64]:
    """Return `(n,)` heights above WGS84 of positions in Earth radii, measured along the radius.

    The true height, along the normal, is shorter by a 200,000th part at most: 0.5 m at 100 km.
    """
    x, y, z = position
    radius_squared = x * x + y * y + z * z
    radius = np.sqrt(radius_squared)
    flat = (_WGS84_A_KM / _WGS84_B_KM) ** 2 - 1.0
    surface_km = _WGS84_A_KM / np.sqrt(1.0 + flat * (z * z) / radius_squared)
    return np.asarray(radius * EARTH_RADIUS_KM - surface_km)


@attrs.frozen(eq=False)
class _Lines:
    """The lines still under way and what each runs through; `sign` is 1 with the field, -1 against it."""

    main: MainField
    external: ExternalField | None
    frame: GsmFrame | None
    sign: NDArray[np.float64]
    scratch: NDArray[np.float64]

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> _Lines:
        """Return some of the lines."""
        frame = None if self.frame is None else self.frame.take(which)
        return _Lines(self.main, self.external, frame, self.sign[which], self.scratch)

    def direction(self, position: Vectors) -> Vectors:
        """Return unit vectors along the lines at one position each."""
        nearest = float(np.sqrt(np.min(_dot(position, position))))
        field = self.main(position, degree=self.main.degree_for(nearest), scratch=self.scratch)
        if self.external is not None and self.frame is not None:
            field += self.frame.to_geo(self.external(self.frame.to_gsm(position), self.frame.tilt))
        # A null of the field has no direction: the tiny addend makes the line stand still there, and then give up.
        field *= self.sign / np.sqrt(_dot(field, field) + 1e-12)
        return field


def _follow(lines: _Lines, start: Vectors, stop_height_km: float, open_radius: float) -> Vectors:
    """Return `(3, n)` ends of the lines through `start` at the stopping height, NaN for those that never come down."""
    ends = np.full_like(start, np.nan)
    lane = np.flatnonzero(np.isfinite(start).all(axis=0))
    if not len(lane):
        return ends
    landed: list[tuple[NDArray[np.intp], Vectors, Vectors]] = []
    underway = lines.take(lane)
    position = start[:, lane]
    direction = underway.direction(position)
    reach = np.full(len(lane), _FIRST_REACH)
    for _ in range(_MOST_STEPS):
        radius_squared = _dot(position, position)
        slope = _dot(position, direction) / np.sqrt(radius_squared)
        along = _distance_down(position, slope, stop_height_km)
        # A flat line bends more than it falls: from there the landing has to be shorter.
        down = np.abs(along) < _LANDING_REACH * np.minimum(1.0, 2.0 * np.abs(slope))
        gone = (radius_squared > open_radius**2) | (radius_squared < 0.8) | (reach < 1e-6)
        if (down | gone).any():
            landed.append((lane[down], position[:, down], direction[:, down]))
            stay = ~(down | gone)
            lane, reach, along, radius_squared = lane[stay], reach[stay], along[stay], radius_squared[stay]
            if not len(lane):
                break
            position, direction, underway = position[:, stay], direction[:, stay], underway.take(stay)
        step = np.clip(along, -reach, reach)
        slopes = [direction]
        for row in _STAGES:
            ahead = position + step * _combine(row, slopes)
            slopes.append(underway.direction(ahead))
        defect = _combine(_DEFECT, slopes)
        error = np.abs(step) * np.sqrt(_dot(defect, defect)) / (_TOLERANCE * radius_squared)
        good = error <= 1.0
        position = np.where(good, ahead, position)
        direction = np.where(good, slopes[-1], direction)
        factor = np.clip(0.9 * np.maximum(error, 1e-10) ** -0.2, 0.2, 5.0)
        proposed = np.abs(step) * factor
        # A step cut short by its aim says little about the reach: success may only widen it.
        reach = np.where(good & (factor >= 1.0), np.maximum(reach, proposed), proposed)
    if any(len(part[0]) for part in landed):
        lane = np.concatenate([part[0] for part in landed])
        position, direction = (np.concatenate([part[i] for part in landed], axis=1) for i in (1, 2))
        ends[:, lane] = _land(lines.take(lane), position, direction, stop_height_km)
    return ends


def _dot(left: Vectors, right: Vectors) -> NDArray[np.float64]:
    return np.asarray(np.einsum("in,in->n", left, right))


def _combine(factors: tuple[float, ...], slopes: list[Vectors]) -> Vectors:
    total = factors[0] * slopes[0]
    for factor, slope in zip(factors[1:], slopes[1:], strict=True):
        if factor:
            total += factor * slope
    return total


def _distance_down(position: Vectors, slope: NDArray[np.float64], stop_height_km: float) -> NDArray[np.float64]:
    """Return how far along its tangent a line has to go to the stopping height; infinite where it leads up.

    `slope` is the cosine between the line and the outward radius.
    """
    to_go = (stop_height_km - height_km(position)) / EARTH_RADIUS_KM
    return np.where(slope < 0.0, to_go / np.minimum(slope, -1e-6), np.inf)


def _land(lines: _Lines, position: Vectors, direction: Vectors, stop_height_km: float) -> Vectors:
    """Put lines that are within reach of the stopping height on it: a midpoint step, then along the tangent."""

    def to_the_end(towards: Vectors) -> NDArray[np.float64]:
        slope = _dot(position, towards) / np.sqrt(_dot(position, position))
        return _distance_down(position, slope, stop_height_km)

    step = to_the_end(direction)
    halfway = lines.direction(position + 0.5 * step * direction)
    position = position + step * halfway
    # The tangent at the end, extrapolated: a few kilometres are left at most, and this is good to a few metres.
    direction = 2.0 * halfway - direction
    return position + to_the_end(direction) * direction


def trace_footprints(
    position: Vectors,
    jd: NDArray[np.float64],
    day: dt.date,
    *,
    north: NDArray[np.bool_] | bool,
    iopt: int = 4,
    stop_height_km: float = STOP_HEIGHT_KM,
) -> NDArray[np.float64]:
    """Follow the field lines through spacecraft to the Earth.

    With the field a line ends in the north, against it in the south. The settings (IGRF at the date, degree 13; T89c
    at `iopt` 4; 100 km above WGS84; open beyond 60 Earth radii) are those that match the B-traces which AuroraX
    publishes, see `footprint_model.json`.

    Args:
        position: `(3, n)` float64, Earth-fixed, in Earth radii of 6371.2 km; NaN where there is none.
        jd: `(n,)` Julian dates (UTC).
        day: Date of the main field.
        north: Which end, for all lines or for each.
        iopt: Activity level of T89c, 1 to 7.
        stop_height_km: Where a line ends, above WGS84.

    Returns:
        `(n, 2)` float64, geocentric latitude and longitude in degrees, NaN where the line is open.
    """
    main, external = main_field(day), ExternalField(iopt)
    sign = np.where(np.broadcast_to(north, jd.shape), 1.0, -1.0)
    scratch = main.scratch(min(len(jd), _CHUNK))
    ends = np.empty_like(position)
    for first in range(0, len(jd), _CHUNK):
        part = slice(first, first + _CHUNK)
        lines = _Lines(main, external, gsm_frame(main, jd[part]), sign[part], scratch)
        ends[:, part] = _follow(lines, position[:, part], stop_height_km, _OPEN_LINE_RADIUS)
    return to_lat_lon(ends)


# --- conjugate points of places on the ground


@attrs.frozen
class Conjugate:
    """The other end of the field line through a place on the ground, and which method found it."""

    lat_deg: float
    lon_deg: float
    method: str


@functools.cache
def _aacgmv2() -> Any | None:
    """Import aacgmv2, which needs a C compiler to install and is therefore optional."""
    try:
        module = importlib.import_module("aacgmv2")
    except ImportError:
        return None
    # It logs an error for every place near the magnetic equator; such places get our own tracer instead.
    logging.getLogger("aacgmv2_logger").setLevel(logging.CRITICAL)
    return module


def _ground(lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64]) -> Vectors:
    """Return positions on WGS84 from geodetic latitude and longitude."""
    lat = np.deg2rad(lat_deg)
    geocentric = np.arctan2(_WGS84_B_KM**2 * np.sin(lat), _WGS84_A_KM**2 * np.cos(lat))
    radius_km = 1.0 / np.hypot(np.cos(geocentric) / _WGS84_A_KM, np.sin(geocentric) / _WGS84_B_KM)
    return to_cartesian(np.rad2deg(geocentric), lon_deg, radius_km / EARTH_RADIUS_KM)


def own_conjugates(lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64], year: float) -> NDArray[np.float64]:
    """Follow the lines of the main field alone from the ground to the ground.

    Without an external field every line comes back, as in altitude-adjusted corrected geomagnetic coordinates at height
    0, whose conjugate points AuroraX uses; `conjugate_point` says how near the two are.

    Returns:
        `(n, 2)` float64, geodetic latitude and longitude in degrees.
    """
    main = MainField(year)
    start = _ground(lat_deg, lon_deg)
    rising = _dot(start, main(start)) > 0.0
    lines = _Lines(main, None, None, np.where(rising, 1.0, -1.0), main.scratch(start.shape[1]))
    ends = _follow(lines, start, 0.0, 1.0e5)
    points = to_lat_lon(ends)
    lat = np.deg2rad(points[:, 0])
    points[:, 0] = np.rad2deg(np.arctan2(_WGS84_A_KM**2 * np.sin(lat), _WGS84_B_KM**2 * np.cos(lat)))
    return points


@functools.lru_cache(maxsize=64)
def _stations_of_year(year: int) -> dict[tuple[float, float], tuple[float, float]]:
    """Conjugate points of all known stations on January 1, traced together: 60 lines cost little more than one."""
    places = sorted({(station.lat_deg, station.lon_deg) for station in station_of_identifier().values()})
    lat, lon = np.array(places).T
    points = own_conjugates(lat, lon, float(year))
    return dict(zip(places, ((float(a), float(b)) for a, b in points), strict=True))


@functools.lru_cache(maxsize=4096)
def _own_conjugate(lat_deg: float, lon_deg: float, year: int) -> tuple[float, float]:
    known = _stations_of_year(year).get((lat_deg, lon_deg))
    if known is not None:
        return known
    lat, lon = own_conjugates(np.array([lat_deg]), np.array([lon_deg]), float(year))[0]
    return float(lat), float(lon)


@functools.lru_cache(maxsize=4096)
def _aacgm_conjugate(lat_deg: float, lon_deg: float, when: dt.datetime) -> tuple[float, float] | None:
    """Ask aacgmv2; None where it has no answer (near the magnetic equator) or is not installed."""
    aacgmv2 = _aacgmv2()
    if aacgmv2 is None:
        return None
    # The C library keeps the date in a global variable.
    with _AACGM_LOCK:
        try:
            lat, lon, _ = aacgmv2.convert_latlon(lat_deg, lon_deg, 0.0, when, method_code="G2A")
            lat, lon, _ = aacgmv2.convert_latlon(-lat, lon, 0.0, when, method_code="A2G")
        except RuntimeError:  # a date that its coefficients do not cover
            return None
    return (float(lat), float(lon)) if np.isfinite(lat) and np.isfinite(lon) else None


def conjugate_between(first: Conjugate, last: Conjugate, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n, 2)` points on the way from one to a near other; the longitude goes the short way round."""
    turn = (last.lon_deg - first.lon_deg + 180.0) % 360.0 - 180.0
    lon = (first.lon_deg + share * turn + 180.0) % 360.0 - 180.0
    return np.stack((first.lat_deg + share * (last.lat_deg - first.lat_deg), lon), axis=-1)


@functools.lru_cache(maxsize=4096)
def conjugate_point(lat_deg: float, lon_deg: float, when: dt.datetime) -> Conjugate:
    """Return the conjugate point of a geodetic position on the ground, geodetic as well.

    AuroraX takes it from AACGM coordinates at height 0. Where aacgmv2 is installed so do we; otherwise (and where
    AACGM is not defined) the line of IGRF is followed for January 1 of two years and the date interpolated between,
    since the model itself changes linearly with time. On 2020-01-01 aacgmv2 2.7.1 and our tracer differ by 0.037
    degrees of arc on average over the known stations and by 0.066 at most; over the globe by 0.04 in the median, and
    by a few degrees within 15 degrees of the magnetic equator, where the AACGM fit is poor.

    Args:
        lat_deg: Geodetic latitude.
        lon_deg: Longitude.
        when: Naive or aware UTC.

    Raises:
        ValueError: IGRF does not cover the date.
    """
    when = naive_utc(when)
    epochs = gauss_coefficients().epochs
    if not dt.datetime(int(epochs[0]), 1, 1) <= when <= dt.datetime(int(epochs[-1]), 1, 1):
        msg = f"IGRF covers {epochs[0]:.0f} to {epochs[-1]:.0f}, not {when.isoformat()}"
        raise ValueError(msg)
    found = _aacgm_conjugate(lat_deg, lon_deg, when)
    if found is not None:
        return Conjugate(*found, _AACGMV2)
    # The years of IGRF end at a midnight, which belongs to the last of them.
    year = min(when.year, int(epochs[-1]) - 1)
    start, end = dt.datetime(year, 1, 1), dt.datetime(year + 1, 1, 1)
    share = (when - start) / (end - start)
    first, last = (Conjugate(*_own_conjugate(lat_deg, lon_deg, y), OWN_TRACER) for y in (year, year + 1))
    lat, lon = conjugate_between(first, last, np.array(share))
    return Conjugate(float(lat), float(lon), OWN_TRACER)
