"""Barycentric dynamical time, which SPICE counts in: seconds past J2000, from UTC and back, without a kernel.

Good to some microseconds from 1999 on, as far as leap seconds are known: TDB runs with TT, 32.184 s ahead of TAI, but
for what the Earth's orbit makes of it, at most 1.7 ms.

Source: NAIF's leap second kernel naif0012.tls, DELTET and its formula.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import UTC, datetime, timedelta

__all__ = ["from_tdb", "to_tdb"]

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_TT_TAI_S = 32.184
_LEAPS = tuple(
    (datetime(*since, tzinfo=UTC), tai_utc_s)
    for since, tai_utc_s in (
        ((1999, 1, 1), 32),
        ((2006, 1, 1), 33),
        ((2009, 1, 1), 34),
        ((2012, 7, 1), 35),
        ((2015, 7, 1), 36),
        ((2017, 1, 1), 37),
    )
)
_SINCE = tuple(since for since, _ in _LEAPS)


def to_tdb(moment: datetime) -> float:
    """Return the TDB seconds past J2000 of an aware instant."""
    moment = moment.astimezone(UTC)
    leaps = _LEAPS[max(0, bisect_right(_SINCE, moment) - 1)][1]
    tt_s = (moment - _J2000) / timedelta(seconds=1) + leaps + _TT_TAI_S
    return tt_s + _orbit_s(tt_s)


def from_tdb(tdb_s: float) -> datetime:
    """Return the aware UTC instant, to the microsecond, of TDB seconds past J2000."""
    tt_s = tdb_s - _orbit_s(tdb_s)
    for since, leaps in reversed(_LEAPS):
        moment = _J2000 + timedelta(seconds=tt_s - _TT_TAI_S - leaps)
        if moment >= since:
            break
    return moment


def _orbit_s(tt_s: float) -> float:
    anomaly = 6.239996 + 1.99096871e-7 * tt_s
    return 1.657e-3 * math.sin(anomaly + 1.671e-2 * math.sin(anomaly))
