"""Where records stand in a series, by arithmetic: a series of millions of records takes no memory.

A position is a record number and one coordinate for each prime key: the slot of a slotted key, the number of a whole
number, hundredths of a second since 1977 for a time that has no slots, or a text. What is asked of a key are ranges of
coordinates, and the answer to all of them at once is found by meeting ranges, not by looking at records.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import accumulate, product
from typing import NamedTuple, Protocol

import attrs

__all__ = [
    "Cadence",
    "Chain",
    "Choice",
    "Coordinate",
    "Patches",
    "Position",
    "Positions",
    "Rows",
    "Words",
    "meet",
    "only",
]

Coordinate = int | str


class Position(NamedTuple):
    """A record's number, and its coordinates in the order of the prime keys."""

    recnum: int
    coordinates: tuple[Coordinate, ...]


@attrs.frozen
class Words:
    """The texts from one to another, both included."""

    first: str
    last: str

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.first <= word <= self.last


Choice = Sequence[range | Words] | None
"""What is asked of a key: one of these; None asks nothing."""


class Positions(Protocol):
    """All the positions of a series, in ascending order of their coordinates."""

    def __len__(self) -> int: ...

    def at(self, recnum: int) -> Position | None:
        """Return the position of a record number."""

    def among(self, choices: Sequence[Choice], *, backwards: bool = False) -> Iterator[Position]:
        """Yield the positions that meet what is asked of each key, ascending or descending."""

    def count(self, choices: Sequence[Choice]) -> int:
        """Return how many there are."""

    def ends(self, key: int) -> tuple[Coordinate, Coordinate]:
        """Return the first and the last coordinate of a key; `ValueError` if there is no record."""

    def places(self, key: int) -> Sequence[Coordinate] | None:
        """Return the coordinates of a key, in order; None if they are too many to be listed."""


def meet(one: range, other: range) -> range:
    """Return what two ascending ranges have in common, which is a range as well.

    By the Chinese remainder theorem: with steps of 13 and 480 slots the first one in common is found at once.
    """
    if not one or not other:
        return range(0)
    common = math.gcd(one.step, other.step)
    apart, rest = divmod(other.start - one.start, common)
    if rest:
        return range(0)
    turns = other.step // common
    first = one.start + one.step * (apart * pow(one.step // common, -1, turns) % turns)
    step = one.step * turns
    lowest = max(one.start, other.start)
    if first < lowest:
        first += -(-(lowest - first) // step) * step
    return range(first, min(one.stop, other.stop), step)


def only(coordinate: Coordinate) -> range | Words:
    """Return what asks for one coordinate."""
    return Words(coordinate, coordinate) if isinstance(coordinate, str) else range(coordinate, coordinate + 1)


def _passes(coordinates: Sequence[Coordinate], choices: Sequence[Choice]) -> bool:
    return all(
        choice is None or any(coordinate in part for part in choice)
        for coordinate, choice in zip(coordinates, choices, strict=True)
    )


class Rows:
    """A few positions, listed one by one."""

    def __init__(self, rows: Sequence[tuple[Coordinate, ...]]) -> None:
        self._rows = [Position(number, row) for number, row in enumerate(rows, 1)]

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, recnum: int) -> Position | None:
        return self._rows[recnum - 1] if 0 < recnum <= len(self._rows) else None

    def among(self, choices: Sequence[Choice], *, backwards: bool = False) -> Iterator[Position]:
        for position in reversed(self._rows) if backwards else self._rows:
            if _passes(position.coordinates, choices):
                yield position

    def count(self, choices: Sequence[Choice]) -> int:
        return sum(1 for _ in self.among(choices))

    def ends(self, key: int) -> tuple[Coordinate, Coordinate]:
        found = self.places(key)
        if not found:
            raise ValueError("a series without records has no ends")
        return found[0], found[-1]

    def places(self, key: int) -> Sequence[Coordinate]:
        return sorted(
            {position.coordinates[key] for position in self._rows}, key=lambda one: (isinstance(one, str), one)
        )


@attrs.frozen
class _Line:
    """The coordinates of a key for one member, cycle after cycle: `start + pace * cycle`; a text stays what it is."""

    start: Coordinate
    pace: int = 0

    def at(self, cycle: int) -> Coordinate:
        return self.start if isinstance(self.start, str) else self.start + self.pace * cycle

    def cycles(self, wanted: range | Words, all_cycles: range) -> range:
        """Return the cycles in which it is `wanted`."""
        if not self.pace or isinstance(self.start, str) or isinstance(wanted, Words):
            here: Container[object] = wanted
            return all_cycles if self.start in here else range(0)
        first, stop = self.start + self.pace * all_cycles.start, self.start + self.pace * all_cycles.stop
        found = meet(range(first, stop, self.pace), wanted)
        if not found:
            return range(0)
        begin = (found[0] - self.start) // self.pace
        step = found.step // self.pace
        return range(begin, begin + step * len(found), step)


class Cadence:
    """Cycles of equal length, each with the same members: an image at each wavelength, every twelve seconds.

    Args:
        cycles: Which cycles there are.
        members: The keys of each member, as lines along the cycles, in ascending order.
        recnum: The number of the first record.
    """

    def __init__(self, cycles: range, members: Sequence[Sequence[tuple[Coordinate, int]]], recnum: int = 1) -> None:
        self._cycles = cycles
        self._members = [tuple(_Line(*line) for line in member) for member in members]
        self._recnum = recnum

    def __len__(self) -> int:
        return len(self._cycles) * len(self._members)

    def at(self, recnum: int) -> Position | None:
        if not 0 <= recnum - self._recnum < len(self):
            return None
        cycle, member = divmod(recnum - self._recnum, len(self._members))
        return self._position(self._cycles.start + cycle, member)

    def place(self, recnum: int) -> tuple[int, int]:
        """Return cycle and member of a record."""
        cycle, member = divmod(recnum - self._recnum, len(self._members))
        return self._cycles.start + cycle, member

    def _position(self, cycle: int, member: int) -> Position:
        recnum = self._recnum + (cycle - self._cycles.start) * len(self._members) + member
        return Position(recnum, tuple(line.at(cycle) for line in self._members[member]))

    def _found(self, choices: Sequence[Choice]) -> Iterator[tuple[int, list[range]]]:
        """Yield each member that has records, and the cycles in which it has."""
        for number, member in enumerate(self._members):
            found = []
            asked = [(line, choice) for line, choice in zip(member, choices, strict=True) if choice is not None]
            for parts in product(*(choice for _, choice in asked)):
                cycles = self._cycles
                for (line, _), part in zip(asked, parts, strict=True):
                    cycles = meet(cycles, line.cycles(part, self._cycles))
                    if not cycles:
                        break
                if cycles:
                    found.append(cycles)
            if found:
                yield number, found

    def among(self, choices: Sequence[Choice], *, backwards: bool = False) -> Iterator[Position]:
        def places(member: int, cycles: range) -> Iterator[tuple[int, int]]:
            return ((cycle, member) for cycle in (reversed(cycles) if backwards else cycles))

        streams = [places(member, cycles) for member, found in self._found(choices) for cycles in found]
        last = None
        for place in heapq.merge(*streams, reverse=backwards):
            if place != last:  # ranges may overlap
                yield self._position(*place)
            last = place

    def count(self, choices: Sequence[Choice]) -> int:
        total = 0
        for _, found in self._found(choices):
            if len(found) == 1:
                total += len(found[0])
            else:
                total += _size_of_union(found)
        return total

    def ends(self, key: int) -> tuple[Coordinate, Coordinate]:
        if not len(self):
            raise ValueError("a series without records has no ends")
        lines = [member[key] for member in self._members]
        ends = [line.at(cycle) for line in lines for cycle in (self._cycles[0], self._cycles[-1])]
        return min(ends, key=_order), max(ends, key=_order)

    def places(self, key: int) -> Sequence[Coordinate] | None:
        lines = [member[key] for member in self._members]
        if not any(line.pace for line in lines):
            return sorted({line.start for line in lines}, key=_order)
        if len({(line.start, line.pace) for line in lines}) == 1 and isinstance(lines[0].start, int):
            first = lines[0].start + lines[0].pace * self._cycles.start
            return range(first, first + lines[0].pace * len(self._cycles), lines[0].pace)
        return None


def _order(coordinate: Coordinate) -> tuple[bool, Coordinate]:
    return isinstance(coordinate, str), coordinate


def _size_of_union(ranges: list[range]) -> int:
    size, last = 0, None
    for number in heapq.merge(*ranges):
        size += number != last
        last = number
    return size


class Chain:
    """Positions that follow upon others: a camera was replaced, and from then on its number is another one."""

    def __init__(self, parts: Sequence[Positions], first_recnums: Sequence[int]) -> None:
        self._parts = list(parts)
        self._first_recnums = list(first_recnums)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def part_of(self, recnum: int) -> Positions:
        """Return the part that holds a record number, or the one next to it."""
        return self._parts[max(bisect_right(self._first_recnums, recnum) - 1, 0)]

    def at(self, recnum: int) -> Position | None:
        return self.part_of(recnum).at(recnum)

    def among(self, choices: Sequence[Choice], *, backwards: bool = False) -> Iterator[Position]:
        for part in reversed(self._parts) if backwards else self._parts:
            yield from part.among(choices, backwards=backwards)

    def count(self, choices: Sequence[Choice]) -> int:
        return sum(part.count(choices) for part in self._parts)

    def ends(self, key: int) -> tuple[Coordinate, Coordinate]:
        ends = [end for part in self._parts for end in part.ends(key)]
        return min(ends, key=_order), max(ends, key=_order)

    def places(self, key: int) -> Sequence[Coordinate] | None:
        found = [part.places(key) for part in self._parts]
        if None in found:
            return None
        return sorted({one for places in found for one in places or ()}, key=_order)


@attrs.frozen
class Patch:
    """A region on the Sun: its number, and the slots in which it is followed."""

    number: int
    slots: range
    active_region: int = 0
    """The number that NOAA has given it, 0 if it has none."""


class Patches:
    """Regions, each followed for as long as it is seen: number first, then slot."""

    def __init__(self, make: Callable[[], Sequence[Patch]]) -> None:
        self._make = make
        self._patches: Sequence[Patch] = ()
        self._ends: list[int] = []
        self._longest = 0

    def _prepare(self) -> Sequence[Patch]:
        if not self._ends:
            # By number, and so by first slot. Two threads may both do this, with the same outcome.
            self._patches = self._make()
            self._longest = max(len(patch.slots) for patch in self._patches)
            self._ends = list(accumulate(len(patch.slots) for patch in self._patches))
        return self._patches

    def __len__(self) -> int:
        self._prepare()
        return self._ends[-1]

    def patch(self, number: int) -> Patch | None:
        """Return a region by its number."""
        at = bisect_left(self._prepare(), number, key=lambda patch: patch.number)
        return self._patches[at] if at < len(self._patches) and self._patches[at].number == number else None

    def at(self, recnum: int) -> Position | None:
        if not 0 < recnum <= len(self):
            return None
        place = bisect_left(self._ends, recnum)
        patch = self._patches[place]
        return Position(recnum, (patch.number, patch.slots[recnum - 1 - self._ends[place] + len(patch.slots)]))

    def _found(self, choices: Sequence[Choice], *, backwards: bool = False) -> Iterator[tuple[int, Patch, list[range]]]:
        numbers, slots = choices
        patches = self._prepare()
        places = range(len(patches))
        if slots is not None:
            spans = [(part[0], part[-1]) for part in slots if isinstance(part, range) and part]
            if not spans:
                return
            lowest, highest = min(first for first, _ in spans), max(last for _, last in spans)
            places = range(
                bisect_left(patches, lowest - self._longest, key=lambda patch: patch.slots.start),
                bisect_right(patches, highest, key=lambda patch: patch.slots.start),
            )
        for place in reversed(places) if backwards else places:
            patch = patches[place]
            if numbers is not None and not any(patch.number in part for part in numbers):
                continue
            found = [patch.slots]
            if slots is not None:
                met = (meet(patch.slots, part) for part in slots if isinstance(part, range))
                found = [part for part in met if part]
            if found:
                yield self._ends[place] - len(patch.slots) + 1, patch, found

    def among(self, choices: Sequence[Choice], *, backwards: bool = False) -> Iterator[Position]:
        for first, patch, found in self._found(choices, backwards=backwards):
            last = None
            streams = [reversed(slots) if backwards else iter(slots) for slots in found]
            for slot in heapq.merge(*streams, reverse=backwards):
                if slot != last:
                    yield Position(first + slot - patch.slots.start, (patch.number, slot))
                last = slot

    def count(self, choices: Sequence[Choice]) -> int:
        return sum(len(found[0]) if len(found) == 1 else _size_of_union(found) for _, _, found in self._found(choices))

    def ends(self, key: int) -> tuple[Coordinate, Coordinate]:
        patches = self._prepare()
        if key == 0:
            return patches[0].number, patches[-1].number
        return patches[0].slots[0], max(patch.slots[-1] for patch in patches)

    def places(self, key: int) -> Sequence[Coordinate] | None:
        return [patch.number for patch in self._prepare()] if key == 0 else None
