"""Where the Sun stood: its direction, and how high above a site.

Low-precision formulae (Astronomical Almanac, section C, "Low precision formulas for the Sun"), good to 0.01 degrees
between 1950 and 2050; no refraction, no parallax. Times are `(n,)` Julian dates in UTC, taken as UT1 (within 0.9 s).
"""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
from numpy.typing import NDArray

__all__ = ["dark_minutes", "day_jd", "naive_utc", "sidereal_angle", "solar_elevation_deg", "sun_direction"]

_JD_2000 = 2451545.0
_JD_UNIX = 2440587.5


def naive_utc(when: dt.datetime) -> dt.datetime:
    """Return an instant as naive UTC: a naive one is taken to be that already, an aware one is converted."""
    return when if when.tzinfo is None else when.astimezone(dt.UTC).replace(tzinfo=None)


def day_jd(day: dt.date, minutes: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return the Julian dates of minutes after midnight UTC of a day; without `minutes` all 1440 of them."""
    if minutes is None:
        minutes = np.arange(1440.0)
    return np.asarray((day - dt.date(1970, 1, 1)).days + _JD_UNIX + minutes / 1440.0)


def sidereal_angle(jd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Greenwich mean sidereal time (IAU 1982) as an angle in radians, 0 to 2 pi.

    It is the angle that turns SGP4's true-equator, mean-equinox frame into the Earth-fixed one.
    """
    centuries = (jd - _JD_2000) / 36525.0
    # One whole turn a day is dropped before it is multiplied, so that a float64 Julian date loses nothing.
    turns = (
        np.mod(jd, 1.0)
        + (67310.54841 + centuries * (8640184.812866 + centuries * (0.093104 - centuries * 6.2e-6))) / 86400.0
    )
    return np.asarray(np.mod(turns, 1.0) * 2.0 * np.pi)


def sun_direction(jd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(3, n)` float64 unit vectors to the Sun in Earth-fixed geocentric (GEO) coordinates."""
    days = jd - _JD_2000
    anomaly = np.deg2rad(np.mod(357.528 + 0.9856003 * days, 360.0))
    mean_longitude_deg = np.mod(280.460 + 0.9856474 * days, 360.0)
    longitude = np.deg2rad(mean_longitude_deg + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    obliquity = np.deg2rad(23.439 - 4.0e-7 * days)
    equatorial_x = np.cos(longitude)
    equatorial_y = np.cos(obliquity) * np.sin(longitude)
    turn = sidereal_angle(jd)
    cos_turn, sin_turn = np.cos(turn), np.sin(turn)
    return np.stack(
        (
            cos_turn * equatorial_x + sin_turn * equatorial_y,
            cos_turn * equatorial_y - sin_turn * equatorial_x,
            np.sin(obliquity) * np.sin(longitude),
        )
    )


def solar_elevation_deg(lat_deg: float, lon_deg: float, jd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n,)` elevations of the Sun's centre in degrees above the horizon of a geodetic position."""
    return np.asarray(np.rad2deg(np.arcsin(np.clip(_up(lat_deg, lon_deg) @ sun_direction(jd), -1.0, 1.0))))


def dark_minutes(lat_deg: float, lon_deg: float, day: dt.date, below_deg: float, days: int = 1) -> NDArray[np.bool_]:
    """Return `(days * 1440,)`: when from a day on the Sun is lower than `below_deg` at a geodetic position."""
    sun = _sun_of_day(day) if days == 1 else _sun_of_days(day, days)
    return np.asarray(_up(lat_deg, lon_deg) @ sun < np.sin(np.deg2rad(below_deg)))


# 14 MB at most: counts of availability and searches go through all stations for the same days.
@functools.lru_cache(maxsize=400)
def _sun_of_day(day: dt.date) -> NDArray[np.float64]:
    return sun_direction(day_jd(day))


@functools.lru_cache(maxsize=4)
def _sun_of_days(day: dt.date, days: int) -> NDArray[np.float64]:
    each = [_sun_of_day(dt.date.fromordinal(day.toordinal() + number)) for number in range(days)]
    return np.concatenate(each, axis=1)


def _up(lat_deg: float, lon_deg: float) -> NDArray[np.float64]:
    lat, lon = np.deg2rad(lat_deg), np.deg2rad(lon_deg)
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
