"""When ground instruments took data: in the dark, and outside the times in which a camera is known to have been off.

Inferred, not published. Darkness: THEMIS-ASI records end between solar elevations of -12.6 degrees (Athabasca took
part in the published search of 2020-01-01) and -11.9 degrees (Kiana did not), so -12 degrees is taken, for REGO and
Rainbow too; the first TREx RGB record of Gillam (2019-09-27T01:25) has the Sun at -11.51 degrees, and the published
counts of TREx data products come out with -11.5 degrees, so that holds for TREx. Moonlight and outages are not
modelled.

Cameras that were off: eleven THEMIS-ASI stations had Swarm within 500 km in the dark on 2020-01-01 and are missing
from the complete published list of that search. Four of them would also overfill the 109 conjunctions published for 1
to 10 February 2019 (the rest gives 118), so they are taken to be off from 2019-02-01, the others from 2020-01-01;
Fort Smith is needed for the 11 published conjunctions of 1 to 3 January 2019. That all came back on 2020-07-01, after
the season, is an assumption.
"""

from __future__ import annotations

import datetime as dt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from aurora_async.server.data import Station
from aurora_async.server.sky.sun import dark_minutes

__all__ = ["dark_below_deg", "operating", "switched_off"]

_DARK_BELOW_DEG = MappingProxyType({"trex": -11.5})
_DARK_BELOW_DEG_ELSEWHERE = -12.0

_BACK_ON = dt.date(2020, 7, 1)
# Data source identifier: first day without data. EKAT, SNAP, NRSQ, YKNF; FSMI, FYKN, MCGR, PGEO, WHIT, CHBG, GBAY.
_OFF_SINCE = MappingProxyType(
    dict.fromkeys((56, 60, 71, 73), dt.date(2019, 2, 1))
    | dict.fromkeys((55, 57, 58, 59, 61, 62, 66), dt.date(2020, 1, 1))
)


def dark_below_deg(program: str) -> float:
    """Return the solar elevation in degrees below which the instruments of a program take data."""
    return _DARK_BELOW_DEG.get(program, _DARK_BELOW_DEG_ELSEWHERE)


def switched_off(identifier: int, day: dt.date) -> bool:
    """Tell whether an instrument was off for the whole day."""
    since = _OFF_SINCE.get(identifier)
    return since is not None and since <= day < _BACK_ON


def operating(identifier: int, program: str, station: Station, day: dt.date, days: int = 1) -> NDArray[np.bool_]:
    """Return `(days * 1440,)`: in which minutes from a day on a ground instrument took data."""
    dark = dark_minutes(station.lat_deg, station.lon_deg, day, dark_below_deg(program), days)
    if identifier in _OFF_SINCE:
        for number in range(days):
            if switched_off(identifier, dt.date.fromordinal(day.toordinal() + number)):
                dark[number * 1440 : (number + 1) * 1440] = False
    return dark
