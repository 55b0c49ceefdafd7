"""Which auroral region a point on the ground lies in, by the boundaries of NASA's Satellite Situation Center.

Both boundaries are circles in dipole colatitude whose centre lies 5 degrees from the pole: the polar cap has a radius
of 15 degrees and its centre towards midnight, the oval one of 25 degrees and its centre towards 22:30 local time
(recorded in auroral_zone_ssc.pro of SPEDAS, which has the signs reversed). Mid-latitude reaches down to 30 degrees of
dipole latitude. SSC tells the cusp and the cleft apart from these near noon; their bounds are published nowhere we
could find, so those two names are never given here.

Against AuroraX: 116 minutes of Swarm A on 2019-01-01 fall into the north polar cap by `nbtrace`, 114 are published; all
nine region names of the three records printed in full come out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aurora_async.server.sky.field import MainField
from aurora_async.server.sky.footprints import to_cartesian
from aurora_async.server.sky.sun import sun_direction

__all__ = ["LOW_LATITUDE", "geomagnetic", "region_names"]

LOW_LATITUDE = "low latitude"
_LOW_LATITUDE_DEG = 30.0
_OVAL_TURN = np.deg2rad(22.5)


def geomagnetic(
    points: NDArray[np.float64], field: MainField, jd: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centred-dipole latitude (degrees) and magnetic local time as an angle from midnight (radians).

    Args:
        points: `(n, 2)` float64, geocentric latitude and longitude in degrees.
        field: Main field of the date, which holds the dipole axis.
        jd: `(n,)` Julian dates (UTC).
    """
    axis = field.dipole_axis
    east = np.cross((0.0, 0.0, 1.0), axis)
    east /= np.linalg.norm(east)
    south = np.cross(east, axis)
    place = to_cartesian(points[:, 0], points[:, 1], np.ones(len(points)))
    sun = sun_direction(jd)
    from_midnight = np.arctan2(east @ place, south @ place) - np.arctan2(east @ sun, south @ sun) + np.pi
    return np.rad2deg(np.arcsin(np.clip(axis @ place, -1.0, 1.0))), np.asarray(from_midnight)


def _offset_circle_deg(radius_deg: float, from_centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colatitude of a circle about a point 5 degrees from the pole, by the angle from that point (plane triangle)."""
    return np.asarray(
        radius_deg * np.cos(np.arcsin(np.sin(from_centre) * 5.0 / radius_deg)) + 5.0 * np.cos(from_centre)
    )


def region_names(points: NDArray[np.float64], field: MainField, jd: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return `(n,)` region names in the spelling of AuroraX's schema, empty where the point is NaN."""
    lat_deg, from_midnight = geomagnetic(points, field, jd)
    colat_deg = 90.0 - np.abs(lat_deg)
    band = np.select(
        (
            colat_deg < _offset_circle_deg(15.0, from_midnight),
            colat_deg < _offset_circle_deg(25.0, from_midnight + _OVAL_TURN),
            np.abs(lat_deg) >= _LOW_LATITUDE_DEG,
        ),
        ("polar cap", "auroral oval", "mid-latitude"),
        LOW_LATITUDE,
    )
    side = np.where(band == LOW_LATITUDE, "", np.where(lat_deg >= 0.0, "north ", "south "))
    return np.where(np.isfinite(lat_deg), np.char.add(side, band), "")
