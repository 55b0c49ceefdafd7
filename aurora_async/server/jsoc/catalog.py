"""The series that there are, and the records of each.

Structures are facts, as far as they are published. A series of which only the name is known is listed, and has neither
keywords nor records.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from aurora_async.server.jsoc import selection
from aurora_async.server.jsoc.definitions import defined_names, listed_series, make_series, unknown_series
from aurora_async.server.jsoc.records import Record, home_of
from aurora_async.server.jsoc.structure import Listed, Series

__all__ = ["Catalog"]


class Catalog:
    """All series, and the records of each; what is asked often is kept, so one of them serves all."""

    def __init__(self) -> None:
        self._defined = defined_names()
        self._numbers = {name.lower(): number for number, name in enumerate(self._defined, 1)}
        self._listed = {one.name.lower(): one for one in listed_series()}
        self._made: dict[str, Series] = {}
        self._making = threading.Lock()
        self.published: dict[str, Mapping[int, Any]] = {}
        """What is known of published records, by series and record number; `records` fills it."""

    def names(self) -> list[str]:
        """Return the names of all listed series, sorted without regard to case."""
        return [one.name for one in self._listed.values()]

    def listing(self) -> Sequence[Listed]:
        """Return all listed series, sorted without regard to case."""
        return list(self._listed.values())

    def with_records(self) -> Sequence[Series]:
        """Return the series that have records."""
        found = [self.series(name) for name in sorted(self._defined, key=str.lower)]
        return [series for series in found if series is not None and len(series.positions)]

    def series(self, name: str) -> Series | None:
        """Return a series, whatever the case of its name; None if there is none of that name."""
        name = name.lower()
        with self._making:  # one for all threads
            if name not in self._made:
                if (number := self._numbers.get(name)) is not None:
                    self._made[name] = make_series(self._defined[number - 1], number)
                elif name in self._listed:
                    self._made[name] = unknown_series(self._listed[name])
            return self._made.get(name)

    def open(self, text: str, *, n: int = 0, images_only: bool = False, limit: int | None = None) -> list[Record]:
        """Return the records that a text selects, ascending by their prime keys.

        Args:
            text: A record set.
            n: The first so many of them, or the last if negative; 0 means all.
            images_only: Leave out records whose QUALITY says that there is no image, unless the text speaks of it.
            limit: More records than this are an error.

        Raises:
            RecordSetProblem: The text cannot be understood, or selects too much.
        """
        return selection.select(self, text, n=n, images_only=images_only, limit=limit)

    def count(self, text: str, *, n: int = 0) -> int:
        """Return how many records a text selects, without looking at each where arithmetic will do.

        Raises:
            RecordSetProblem: The text cannot be understood.
        """
        return selection.count(self, text, n=n)

    def record(self, series: Series, recnum: int) -> Record | None:
        """Return a record by its number."""
        position = series.positions.at(recnum)
        return None if position is None else Record(self, series, position)

    def record_at(self, sunum: int, slot: int) -> Record | None:
        """Return the record whose files are in a slot of a storage unit."""
        home = home_of(self, sunum, slot)
        if home is None:
            return None
        series = self.series(home[0])
        return None if series is None else self.record(series, home[1])

    def numbered(self, number: int) -> Series | None:
        """Return a series by its number."""
        return self.series(self._defined[number - 1]) if 0 < number <= len(self._defined) else None
