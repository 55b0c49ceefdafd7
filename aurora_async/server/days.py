"""Computed days of ephemeris, each kept as a file and the last used ones in memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aurora_async.server.data import station_of_identifier
from aurora_async.server.sky.ephemeris import DayEphemeris, compute_day, load_day, load_points, save_day

__all__ = ["DayCache"]


class DayCache:
    """Days of ephemeris below `folder`, computed when they are first asked for.

    Several processes may share the folder: a file is whole or not there, and the same day is the same file whoever
    computed it. A B-trace that nobody has asked for is not computed; the day is completed when somebody does.
    """

    def __init__(self, folder: Path, *, in_memory: int = 256) -> None:
        self._folder = str(folder)
        self._in_memory = in_memory
        self._days: OrderedDict[tuple[int, date], DayEphemeris] = OrderedDict()
        self._known: set[tuple[int, date, bool, bool]] = set()
        self._lock = threading.Lock()

    def get(self, identifier: int, day: date, *, north: bool = True, south: bool = True) -> DayEphemeris:
        """Return a day of a data source, with at least the B-traces asked for."""
        key = (identifier, day)
        with self._lock:
            found = self._days.get(key)
            if found is not None:
                self._days.move_to_end(key)
        if found is not None and _has(found, north, south):
            return found
        found = self._load_or_compute(identifier, day, north, south)
        with self._lock:
            self._days[key] = found
            while len(self._days) > self._in_memory:
                self._days.popitem(last=False)
        return found

    def _load_or_compute(self, identifier: int, day: date, north: bool, south: bool) -> DayEphemeris:
        if is_cheap(identifier, north=north, south=south):
            return compute_day(identifier, day, north=north, south=south)
        wanted = "n" * north + "s" * south
        for sides in dict.fromkeys((wanted, "ns", "n", "s")):
            kept = load_day(self._path(identifier, day, sides))
            if kept is not None:
                break
        if kept is not None and _has(kept, north, south):
            return kept
        missing_north = north and (kept is None or kept.nbtrace is None)
        missing_south = south and (kept is None or kept.sbtrace is None)
        made = compute_day(identifier, day, north=missing_north, south=missing_south)
        found = made if kept is None else kept.merged(made)
        save_day(Path(self._path(identifier, day, _sides(found))), found)
        if kept is not None:
            # The more complete file is there by now, so nobody misses this one.
            Path(self._path(identifier, day, _sides(kept))).unlink(missing_ok=True)
        return found

    def points(
        self, identifier: int, days: Sequence[date], names: Collection[str]
    ) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float64]]] | None:
        """Return the minutes with a record and the points of many days, as `load_points`; None unless all are in files.

        A search of a year reads a thousand days, each once: that they do not stay in memory is no loss.
        """
        north, south = "nbtrace" in names, "sbtrace" in names
        if is_cheap(identifier, north=north, south=south):
            return None
        wanted = "n" * north + "s" * south
        return load_points(
            [[self._path(identifier, day, sides) for sides in dict.fromkeys((wanted, "ns"))] for day in days], names
        )

    def has(self, identifier: int, day: date, *, north: bool = True, south: bool = True) -> bool:
        """True when the day is there already, or made faster than read."""
        if is_cheap(identifier, north=north, south=south):
            return True
        key = (identifier, day, north, south)
        if key not in self._known:
            wanted = "n" * north + "s" * south
            paths = (self._path(identifier, day, sides) for sides in ("ns", "n", "s") if wanted in sides)
            if not any(map(os.path.exists, paths)):
                return False
            if len(self._known) > 100_000:
                self._known.clear()
            self._known.add(key)
        return True

    def _path(self, identifier: int, day: date, sides: str) -> str:
        # A text: for a search of a year, making paths of it takes longer than reading the files.
        return f"{self._folder}/{identifier}/{day.isoformat()}.{sides}.day"


def is_cheap(identifier: int, *, north: bool, south: bool) -> bool:
    """True when computing a day beats reading it from a file: a site without its conjugate point."""
    station = station_of_identifier().get(identifier)
    return station is not None and not (south if station.lat_deg >= 0 else north)


def _sides(day: DayEphemeris) -> str:
    return "n" * (day.nbtrace is not None) + "s" * (day.sbtrace is not None)


def _has(day: DayEphemeris, north: bool, south: bool) -> bool:
    return not (north and day.nbtrace is None) and not (south and day.sbtrace is None)
