"""The regions on the Sun that are followed in HARP series: how many there were, when, and for how long.

Their numbers and times are made up, along a few that are published: region 3604 has 1336 records, 4864 was there on
2014-11-30, and on 2014-01-01 the first hour has 61 records of regions.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import attrs
import numpy as np

from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.positions import Patch

__all__ = ["patches"]

_EPOCH_S = TaiTime.parse("1993.01.01_00:00:00_TAI").seconds
_SLOT_S = 720.0
_DAY = 120

# When a region of that number was first seen; between two, the numbers are spread evenly.
_SEEN = (
    (1, "2010.05.01_00:00:00_TAI"),
    (377, "2011.02.10_00:00:00_TAI"),
    (1449, "2012.03.02_00:00:00_TAI"),
    (2500, "2013.02.20_00:00:00_TAI"),
    (3604, "2014.01.07_00:00:00_TAI"),
    (4698, "2014.10.17_00:00:00_TAI"),
    (4864, "2014.11.26_00:00:00_TAI"),
    (7115, "2017.08.29_00:00:00_TAI"),
    (7500, "2020.10.20_00:00:00_TAI"),
    (8088, "2022.03.24_00:00:00_TAI"),
    (11149, "2024.05.01_00:00:00_TAI"),
    (12400, "2025.12.20_00:00:00_TAI"),
)
# Slots in which a region is followed: as published, or so that as many are there as is published (3581), or one (7401).
_LENGTHS = {3581: 84, 3604: 1336, 4864: 1100, 7401: 600}
# The great ones are seen from limb to limb.
_LENGTHS |= {377: 1300, 1449: 1300, 4698: 1300, 7115: 1300, 11149: 1300}
# NOAA's number for an active region that came into view then; those of 377, 1449, 4698, 4864, 7115 and 11149 are real.
_NUMBERED = (
    ("2010.05.01_00:00:00_TAI", 11066),
    ("2011.02.10_00:00:00_TAI", 11158),
    ("2012.03.02_00:00:00_TAI", 11429),
    ("2013.02.20_00:00:00_TAI", 11678),
    ("2014.01.07_00:00:00_TAI", 11950),
    ("2014.10.17_00:00:00_TAI", 12192),
    ("2014.11.26_00:00:00_TAI", 12222),
    ("2017.08.29_00:00:00_TAI", 12673),
    ("2020.10.20_00:00:00_TAI", 12778),
    ("2021.04.22_00:00:00_TAI", 12818),
    ("2022.03.24_00:00:00_TAI", 12975),
    ("2024.05.01_00:00:00_TAI", 13664),
    ("2025.12.20_00:00:00_TAI", 14310),
)
_LAST_NRT = "2021.05.01_05:24:00_TAI"


def _slot(text: str) -> int:
    return round((TaiTime.parse(text).seconds - _EPOCH_S) / _SLOT_S)


@cache
def patches(which: str) -> Sequence[Patch]:
    """Return the regions of the `definitive` series, or of the near-real-time (`nrt`) one, by number."""
    return list(_numbered(_definitive() if which == "definitive" else _near_real_time()))


def _numbered(patches: Sequence[Patch]) -> Iterator[Patch]:
    """Give NOAA's numbers to some of the regions, each to the first that is seen when the number is due."""
    slots, numbers = [_slot(when) for when, _ in _NUMBERED], [number for _, number in _NUMBERED]
    given = 0
    for patch in patches:
        due = math.floor(np.interp(patch.slots.start, slots, numbers))
        yield attrs.evolve(patch, active_region=due) if due > given else patch
        given = max(due, given)


def _definitive() -> Sequence[Patch]:
    found = []
    for (first, begin), (last, end) in pairwise(_SEEN):
        start, stop = _slot(begin), _slot(end)
        for number in range(first, last):
            slot = start + (stop - start) * (number - first) // (last - first)
            found.append(Patch(number, range(slot, slot + _LENGTHS.get(number, _length(number)))))
    return found


def _near_real_time() -> Sequence[Patch]:
    """Return regions numbered on their own, of which only one is there when the series ends."""
    end = _slot(_LAST_NRT) + 1
    found = []
    for number in range(5800, 6314):
        begin = end - (6314 - number) * 90
        found.append(Patch(number, range(begin, min(begin + _length(number), end - 1))))
    return [*found, Patch(6314, range(end - 700, end))]


def _length(number: int) -> int:
    # Most regions are small and soon gone; a few cross the whole disk.
    share = zlib.crc32(b"region %d" % number) / 2**32
    return 30 + round(13 * _DAY * math.pow(share, 3.2))
