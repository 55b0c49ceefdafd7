"""Where SDO was, and how it saw the Sun: what the keywords of its images say about their geometry.

The Sun's place is that of Meeus, Astronomical Algorithms, chapters 25 and 29 (good to 0.01 degrees); the spacecraft's
is a circle, inclined to the equator and of a sidereal day, whose node and phase are those with which the published
speeds of 2016-04-01 come out to 20 m/s. SOHO and IRIS are taken to be at the Earth, and so is SDO for the latitude and
longitude that it looks down upon (0.02 degrees at most).
"""

from __future__ import annotations

import math
from functools import lru_cache

import attrs

__all__ = ["AU_M", "LIGHT_S_PER_AU", "View", "view"]

AU_M = 149_597_870_691.0
LIGHT_S_PER_AU = 499.004782
_SUN_RADIUS_M = 6.96e8
_JD_1977_TT = 2443144.5 + 32.184 / 86400
_EARTH_SPEED = 29_784.7
_ECCENTRICITY = 0.016708634
_TILT = math.radians(7.25)
"""Of the Sun's equator to the ecliptic."""

_ORBIT_RADIUS_M = 42_164_170.0
_ORBIT_SPEED = 3_074.66
_ORBIT_DAY_S = 86_164.0905
_INCLINATION, _NODE, _PHASE = math.radians(29.0), math.radians(294.0), math.radians(158.0)
_PHASE_AT_S = 1_238_544_000.0  # 2016.04.01_TAI

# The ascending node of the Sun's equator, moved by as much as it takes to have the latitude that HMI's records of
# 2013.07.03_08:42 have: what the formulae leave out.
_NODE_MOVED_DEG = -0.095

_ECLIPSE_DAYS = ((55, 77), (240, 262))
_MIDNIGHT_UT_H = 6.8
"""When SDO is on the Earth's far side, at 102 degrees west."""


@attrs.frozen
class View:
    """The Sun as it was seen: angles in degrees, speeds in m/s."""

    latitude_deg: float
    longitude_deg: float
    """Carrington's."""
    rotation: int
    distance_m: float
    radius_arcsec: float
    away: float
    west: float
    north: float
    is_eclipsed: bool

    @property
    def light_delay_s(self) -> float:
        """How much later than at one astronomical unit light arrives."""
        return (self.distance_m / AU_M - 1) * LIGHT_S_PER_AU


Vector = tuple[float, float, float]


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _cross(one: Vector, other: Vector) -> Vector:
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


def _spacecraft(tai_s: float, tilt: float) -> tuple[Vector, Vector]:
    """Return place (m) and velocity (m/s) of SDO, in the ecliptic's frame."""
    turn = _PHASE + math.tau * (tai_s - _PHASE_AT_S) / _ORBIT_DAY_S
    found = []
    for along, across in ((math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))):
        x = math.cos(_NODE) * along - math.sin(_NODE) * across * math.cos(_INCLINATION)
        y = math.sin(_NODE) * along + math.cos(_NODE) * across * math.cos(_INCLINATION)
        z = across * math.sin(_INCLINATION)
        found.append((x, y * math.cos(tilt) + z * math.sin(tilt), z * math.cos(tilt) - y * math.sin(tilt)))
    (x, y, z), (u, v, w) = found
    place = (x * _ORBIT_RADIUS_M, y * _ORBIT_RADIUS_M, z * _ORBIT_RADIUS_M)
    return place, (u * _ORBIT_SPEED, v * _ORBIT_SPEED, w * _ORBIT_SPEED)


@lru_cache(maxsize=4096)
def view(tai_s: float, *, from_sdo: bool = True) -> View:
    """Return how the Sun was seen at an instant (seconds since 1977, TAI), from SDO or from the Earth."""
    jd = tai_s / 86400 + _JD_1977_TT
    centuries = (jd - 2451545.0) / 36525
    anomaly = math.radians(357.52911 + 35999.05029 * centuries)
    centre = math.radians(1.914602 * math.sin(anomaly) + 0.019993 * math.sin(2 * anomaly))
    longitude = math.radians(280.46646 + 36000.76983 * centuries - 0.00569) + centre
    true_anomaly = anomaly + centre
    distance = 1.000001018 * (1 - _ECCENTRICITY**2) / (1 + _ECCENTRICITY * math.cos(true_anomaly)) * AU_M

    node = math.radians(73.6667 + 1.3958333 * (jd - 2396758) / 36525 + _NODE_MOVED_DEG)
    sine, cosine = math.sin(longitude - node), math.cos(longitude - node)
    latitude = math.asin(sine * math.sin(_TILT))
    meridian = math.degrees(math.atan2(-sine * math.cos(_TILT), -cosine)) - (jd - 2398220) * 360 / 25.38

    # In the ecliptic's frame, with the Earth at its origin.
    sun = (math.cos(longitude), math.sin(longitude), 0.0)
    pole = (math.sin(_TILT) * math.sin(node), -math.sin(_TILT) * math.cos(node), math.cos(_TILT))
    toward = _dot(pole, sun)
    length = math.sqrt(1 - toward * toward)
    north = ((pole[0] - toward * sun[0]) / length, (pole[1] - toward * sun[1]) / length, pole[2] / length)
    west = _cross(sun, north)
    across = _EARTH_SPEED * (1 + _ECCENTRICITY * math.cos(true_anomaly))
    velocity = (-math.sin(longitude) * -across, math.cos(longitude) * -across, 0.0)
    away = _EARTH_SPEED * _ECCENTRICITY * math.sin(true_anomaly)
    if from_sdo:
        tilt = math.radians(23.439291 - 0.0130042 * centuries)
        place, moved = _spacecraft(tai_s, tilt)
        away -= _dot(moved, sun)
        velocity = (velocity[0] + moved[0], velocity[1] + moved[1], velocity[2] + moved[2])
        distance -= _dot(place, sun)
    meridian %= 360
    rotation = round((jd - 2398140.2270) / 27.2752316 - (1 - meridian / 360))
    return View(
        math.degrees(latitude),
        meridian,
        rotation,
        distance,
        math.degrees(math.asin(_SUN_RADIUS_M / distance)) * 3600,
        away,
        _dot(velocity, west),
        _dot(velocity, north),
        from_sdo and _in_shadow(jd),
    )


def _in_shadow(jd: float) -> bool:
    """Tell whether the Earth stood before the Sun: around SDO's midnight, in the weeks of eclipses."""
    day = (jd - 2451544.5) % 365.25
    for first, last in _ECLIPSE_DAYS:
        if first <= day <= last:
            hours = (jd + 0.5) % 1 * 24 - _MIDNIGHT_UT_H
            middle = (first + last) / 2
            return abs(hours) < 0.6 * math.sqrt(max(0.0, 1 - ((day - middle) / (last - middle)) ** 2))
    return False
