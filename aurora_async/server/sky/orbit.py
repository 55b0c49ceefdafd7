"""Where spacecraft were: SGP4 on the element set nearest in time, turned into Earth-fixed axes.

The spacecraft positions are geocentric. Against the positions of Swarm A that AuroraX prints (NASA SSCWeb) the
along-track error is 3 to 13 km with a set 23 days old (2019-01-01) and 5 km with one 12 days old (2020-01-01).
"""

from __future__ import annotations

import datetime as dt
import functools

import attrs
import numpy as np
from numpy.typing import NDArray
from sgp4.api import WGS72, Satrec

from aurora_async.server.data import ElementSet, element_sets
from aurora_async.server.sky.sun import sidereal_angle

__all__ = ["VALIDITY_DAYS", "Track", "track", "validity"]

#: Elements are used this long before the first and after the last set of a spacecraft, and bridge every gap between.
VALIDITY_DAYS = 180


@attrs.frozen(eq=False)
class Track:
    """Positions of one spacecraft at `n` instants.

    `position_km` is `(3, n)` float64 in Earth-fixed axes, NaN where SGP4 gives up (a decayed orbit);
    `element_set_age_days` `(n,)` is how long after the epoch of the element set used, negative before it.
    """

    position_km: NDArray[np.float64]
    element_set_age_days: NDArray[np.float64]


def validity(identifier: int) -> tuple[dt.date, dt.date] | None:
    """Return the first and last whole day for which elements are used, None without elements."""
    sets = element_sets().get(identifier)
    if not sets:
        return None
    # A day more at either end: only whole days count.
    margin = dt.timedelta(days=VALIDITY_DAYS - 1)
    return (sets[0].epoch - margin).date(), (sets[-1].epoch + margin).date()


@functools.cache
def _satellite(elements: ElementSet) -> Satrec:
    return Satrec.twoline2rv(elements.line1, elements.line2, WGS72)


def track(identifier: int, jd: NDArray[np.float64]) -> Track:
    """Propagate a spacecraft to Julian dates (UTC), each from the element set nearest to it in time.

    Raises:
        KeyError: No element set is held for this data source.
    """
    sets = element_sets()[identifier]
    epochs = np.array([s.epoch.timestamp() / 86400.0 + 2440587.5 for s in sets])
    nearest = np.abs(jd[:, None] - epochs[None, :]).argmin(axis=1)
    position = np.full((3, len(jd)), np.nan)
    for index in np.unique(nearest):
        here = nearest == index
        whole = np.floor(jd[here])
        errors, teme_km, _ = _satellite(sets[index]).sgp4_array(whole, jd[here] - whole)
        position[:, here] = np.where(errors == 0, teme_km.T, np.nan)
    turn = sidereal_angle(jd)
    cos_turn, sin_turn = np.cos(turn), np.sin(turn)
    x, y, z = position
    fixed = np.stack((cos_turn * x + sin_turn * y, cos_turn * y - sin_turn * x, z))
    return Track(fixed, jd - epochs[nearest])
