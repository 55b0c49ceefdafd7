"""Conjunctions out of positions: which data sources were close to each other, and when.

The way of the service (`protocol/aurorax.md`, section 3.6): single-epoch events (two sources of two blocks, one minute,
closer than the limit) become runs of consecutive minutes; sources of three and more blocks are joined minute by minute.
What the protocol leaves open is decided here:

- A conjunction is between different data sources: one that two blocks name is never paired with itself.
- A pair of blocks without a limit neither decides nor appears in `Found.pairs`, but all sources of a conjunction have
  a record at each of its minutes (the service stores "no limit" as 2^31 km between records that exist).
- 0 km between two ground blocks means the same site: at most `SAME_SITE_KM` apart. Such a pair decides and appears in
  `Found.pairs`, but `min_distance_km` and `max_distance_km` are those of the other pairs, unless there are none: in the
  published search of four blocks (docs.aurorax.space, 2022, advanced_conjunctions.md) two ground instruments of
  one site did not make the smallest distance 0.
- The pairs of a conjunction are cut to its own interval, so their extremes are never outside it.
- With sub-minute precision half-minutes are looked at too: the middle, on the sphere, of two records one minute apart.

Distances are great circles on a sphere of `EARTH_RADIUS_KM` (`data/footprint_model.json`). Memory holds one chunk of
minutes and what was found, however long the time range that a `Finder` is fed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from aurora_async.errors import InvalidQuery

__all__ = [
    "EARTH_RADIUS_KM",
    "SAME_SITE_KM",
    "Columns",
    "Counters",
    "Finder",
    "Found",
    "FoundPair",
    "Search",
    "Track",
    "distance_km",
    "find_conjunctions",
]

EARTH_RADIUS_KM = 6371.0
SAME_SITE_KM = 1.0
"""Sites are listed with two decimals of a degree in places: up to 0.7 km off, and instruments stand side by side."""

MAX_ROWS_AT_ONCE = 1 << 20
"""Rows of a join that are built at once: a chunk with more is cut in halves."""
MAX_ROWS_OF_A_MINUTE = 1 << 23

_MINUTES_OF_CHUNK = 16384
# Both unit vectors are good to 6e-7 (float32 angles up to 2 pi, sine and cosine to 4 units in the last place), their
# product to 1.5e-6; at 500 km the margin admits less than a kilometre too much.
_DOT_MARGIN = 1e-5

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@attrs.frozen(eq=False)
class Track:
    """The records of one data source that take part: inside the time range, past all filters, with a position.

    `minutes` is `(n,)` int64, minutes since 1970-01-01T00:00Z, strictly increasing; `points_deg` is `(n, 2)` float64,
    latitude and longitude in degrees, without NaN. What stays where it is may have one point in memory for all minutes
    (`np.broadcast_to`): for sources that do, whole blocks of them at once, there is a shorter way.
    """

    identifier: int
    minutes: NDArray[np.int64]
    points_deg: NDArray[np.float64]

    @property
    def stays(self) -> bool:
        """Whether it has one point for all minutes."""
        return self.points_deg.strides[0] == 0


@attrs.frozen
class FoundPair:
    """Two data sources of a conjunction whose blocks have a limit, during that conjunction. Seconds since 1970, km."""

    identifiers: tuple[int, int]
    start: int
    end: int
    min_distance_km: float
    max_distance_km: float


@attrs.frozen
class Found:
    """One conjunction: a data source of every block, in block order. Times in seconds since 1970, both ends inclusive.

    `closest` and `farthest` are the (first) times of the smallest and the largest distance.
    """

    identifiers: tuple[int, ...]
    start: int
    end: int
    closest: int
    farthest: int
    min_distance_km: float
    max_distance_km: float
    pairs: tuple[FoundPair, ...]


@attrs.frozen
class Counters:
    """What the log of a search tells.

    `single_epoch_events` and `continuous_intervals` count over all pairs of blocks with a limit, `combinations` is how
    many tuples the blocks expand to.
    """

    single_epoch_events: int
    continuous_intervals: int
    super_events: int
    combinations: int


@attrs.frozen(eq=False)
class _Runs:
    """Conjunctions as columns, n rows: `sources` (n, blocks) indices, times in steps, pair distances (n, pairs)."""

    sources: _Ints
    first: _Ints
    last: _Ints
    closest: _Ints
    farthest: _Ints
    low: _Floats
    high: _Floats
    pair_low: _Floats
    pair_high: _Floats

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> _Runs:
        return _Runs(*(column[rows] for column in attrs.astuple(self, recurse=False)))

    @classmethod
    def concatenate(cls, parts: Sequence[_Runs]) -> _Runs:
        if len(parts) == 1:
            return parts[0]
        columns = zip(*(attrs.astuple(part, recurse=False) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


@attrs.frozen(eq=False)
class Search:
    """What was found, by start time: `len()` and iteration; objects are made one by one while iterating."""

    counters: Counters
    _identifiers: tuple[_Ints, ...]
    pairs: tuple[tuple[int, int], ...]
    """The blocks, by index, of each pair that has a limit."""
    _step_s: int
    _runs: _Runs

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Found]:
        for some in self.slices():
            for identifiers, *times_and_distances, lows, highs in some.rows():
                start, end, closest, farthest, low, high = times_and_distances
                pairs = tuple(
                    FoundPair((identifiers[one], identifiers[other]), start, end, lows[index], highs[index])
                    for index, (one, other) in enumerate(self.pairs)
                )
                yield Found(identifiers, start, end, closest, farthest, low, high, pairs)

    def slices(self) -> Iterator[Columns]:
        """Yield the same in columns, some thousand at a time, which bounds what lists of Python numbers take."""
        runs = self._runs
        for begin in range(0, len(runs), 1024):
            rows = slice(begin, begin + 1024)
            names = (ids[runs.sources[rows, block]].tolist() for block, ids in enumerate(self._identifiers))
            yield Columns(
                identifiers=list(zip(*names, strict=True)),
                start=runs.first[rows] * self._step_s,
                end=runs.last[rows] * self._step_s,
                closest=runs.closest[rows] * self._step_s,
                farthest=runs.farthest[rows] * self._step_s,
                low_km=runs.low[rows],
                high_km=runs.high[rows],
                pair_low_km=runs.pair_low[rows],
                pair_high_km=runs.pair_high[rows],
            )


@attrs.frozen(eq=False)
class Columns:
    """Conjunctions, each field of `Found` an array; `pair_low_km` and `pair_high_km` are `(n, pairs)`."""

    identifiers: list[tuple[int, ...]]
    start: _Ints
    end: _Ints
    closest: _Ints
    farthest: _Ints
    low_km: _Floats
    high_km: _Floats
    pair_low_km: _Floats
    pair_high_km: _Floats

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield one conjunction after the other, in Python's numbers."""
        columns = attrs.astuple(self, recurse=False)[1:]
        return zip(self.identifiers, *(column.tolist() for column in columns), strict=True)


@attrs.frozen
class _Limit:
    """Two blocks (by index, the smaller first) and how close their sources must come."""

    one: int
    other: int
    km: float
    same_site: bool

    @property
    def dot(self) -> np.float32:
        """The product of two unit vectors at this distance, less the margin."""
        angle = self.km / EARTH_RADIUS_KM
        return np.float32(-2.0 if angle >= math.pi else math.cos(angle) - _DOT_MARGIN)


def _limits(names: Sequence[str], max_distances: Mapping[str, float | None]) -> tuple[_Limit, ...]:
    by_pair = {frozenset(pair): pair for pair in combinations(names, 2)}
    limits: dict[frozenset[str], _Limit] = {}
    for key, km in max_distances.items():
        sides = frozenset(key.split("-"))
        if sides not in by_pair:
            raise InvalidQuery(f"max_distances.{key}", f"is no pair of the blocks {', '.join(names)}")
        if km is None:
            continue
        one, other = by_pair[sides]
        same_site = km == 0 and one.startswith("ground") and other.startswith("ground")
        limit_km = SAME_SITE_KM if same_site else float(km)
        limits[sides] = _Limit(names.index(one), names.index(other), limit_km, same_site)
    if not limits:
        raise InvalidQuery("max_distances", "limits no pair of blocks: give at least one distance")
    return tuple(sorted(limits.values(), key=lambda limit: (limit.one, limit.other)))


def _vectors(points_deg: _Floats) -> _Floats:
    """Return `(3, n)` float64 unit vectors of `(n, 2)` latitudes and longitudes in degrees."""
    lat, lon = np.deg2rad(points_deg[:, 0]), np.deg2rad(points_deg[:, 1])
    cos_lat = np.cos(lat)
    return np.stack((cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)))


def _rough_vectors(points_deg: _Floats) -> NDArray[np.float32]:
    """Return the same as float32, in a fifth of the time, for the pre-selection."""
    lat, lon = np.deg2rad(points_deg[:, 0]).astype(np.float32), np.deg2rad(points_deg[:, 1]).astype(np.float32)
    cos_lat = np.cos(lat)
    return np.stack((cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)))


def _lengths(vectors: _Floats) -> _Floats:
    return np.asarray(np.sqrt(np.square(vectors).sum(axis=0)))


def _great_circle_km(one: _Floats, other: _Floats) -> _Floats:
    # Kahan's formula: exact to the last digits from 0 to half the circumference, and 0 for equal vectors.
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arctan2(_lengths(one - other), _lengths(one + other)))


def distance_km(one_deg: _Floats, other_deg: _Floats) -> _Floats:
    """Return the great-circle distances in km between two `(n, 2)` arrays of latitude and longitude in degrees."""
    return _great_circle_km(_vectors(np.asarray(one_deg)), _vectors(np.asarray(other_deg)))


def _middle(one: _Floats, other: _Floats) -> _Floats:
    """Return the unit vectors half-way on the sphere; NaN between opposite points, which have no middle."""
    total = one + other
    length = _lengths(total)
    length[length < 1e-9] = np.nan
    return np.asarray(total / length)


@attrs.frozen(eq=False)
class _Grid:
    """One block's positions at every step of a chunk.

    `vectors` is `(3, sources, steps)` float32 for the pre-selection, NaN where there is no record; `first_step` is the
    step of the first ones.
    """

    vectors: NDArray[np.float32]
    first_step: int

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.vectors[0]))


def _exact(tracks: Sequence[Track | None], source: _Ints, step: _Ints, steps_a_minute: int) -> _Floats:
    """Return `(3, n)` float64 unit vectors of sources at steps where they have a position."""
    if steps_a_minute == 1:
        return _vectors(_records_at(tracks, source, step))
    minute = (step + 1) // 2
    here = _vectors(_records_at(tracks, source, minute))
    between = step % 2 == 1
    if between.any():
        before = _vectors(_records_at(tracks, source[between], minute[between] - 1))
        here[:, between] = _middle(before, here[:, between])
    return here


def _records_at(tracks: Sequence[Track | None], source: _Ints, minute: _Ints) -> _Floats:
    """Return `(n, 2)` positions in degrees at minutes that the tracks have."""
    points = np.empty((len(source), 2))
    for row in np.flatnonzero(np.bincount(source)).tolist():
        track, here = tracks[row], source == row
        assert track is not None  # where a source has no record there is no vector, and nothing is close to it
        points[here] = track.points_deg[0 if track.stays else np.searchsorted(track.minutes, minute[here])]
    return points


def _grid(tracks: Sequence[Track | None], begin: int, end: int, steps_a_minute: int) -> _Grid | None:
    """Lay the records of minutes `begin` to `end` (exclusive) on a grid; None when there are none."""
    before = begin - (steps_a_minute - 1)  # that minute is only there for the half-minute after it
    vectors = np.full((3, len(tracks), end - before), np.nan, dtype=np.float32)
    empty = True
    for row, track in enumerate(tracks):
        if track is None:
            continue
        low, high = np.searchsorted(track.minutes, (before, end))
        if low < high:
            empty = False
            _lay(vectors[:, row], track.minutes[low:high] - before, track.points_deg[low:high])
    if empty:
        return None
    if steps_a_minute == 1:
        return _Grid(vectors, begin)
    return _Grid(_with_half_minutes(vectors, before, tracks), 2 * begin - 1)


def _lay(vectors: NDArray[np.float32], columns: _Ints, points_deg: _Floats) -> None:
    """Write the unit vectors of records into their columns of `(3, minutes)`."""
    # A source that stays where it is, as a site does, needs one sine.
    lat_deg, lon_deg = points_deg.T
    stays = points_deg.strides[0] == 0 or bool((lat_deg == lat_deg[0]).all() and (lon_deg == lon_deg[0]).all())
    laid = _rough_vectors(points_deg[:1] if stays else points_deg)
    breaks = np.flatnonzero(np.diff(columns) != 1) + 1
    if len(breaks) > 100:
        vectors[:, columns] = laid
        return
    # Slices are several times faster than an array of columns, and records mostly come without gaps.
    starts, ends = [0, *breaks.tolist()], [*breaks.tolist(), len(columns)]
    for start, end in zip(starts, ends, strict=True):
        first = int(columns[start])
        vectors[:, first : first + end - start] = laid if stays else laid[:, start:end]


def _with_half_minutes(
    vectors: NDArray[np.float32], first_minute: int, tracks: Sequence[Track | None]
) -> NDArray[np.float32]:
    """Return each minute but the first, preceded by the half-minute before it."""
    total = vectors[:, :, :-1] + vectors[:, :, 1:]
    length = np.sqrt(np.einsum("cnm,cnm->nm", total, total))
    steps = np.empty((3, vectors.shape[1], 2 * total.shape[2]), dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(total, length, out=steps[:, :, 0::2])
    steps[:, :, 1::2] = vectors[:, :, 1:]
    # Records far apart: the shorter the sum of two float32 vectors, the less they tell its direction.
    rows, columns = np.nonzero(length < 0.5)
    if rows.size:
        minutes = columns + first_minute
        one, other = _vectors(_records_at(tracks, rows, minutes)), _vectors(_records_at(tracks, rows, minutes + 1))
        steps[:, rows, 2 * columns] = _middle(one, other)
    return steps


@attrs.frozen(eq=False)
class _Hits:
    """The single-epoch events of a pair of blocks, n rows: step and two sources, and the distance in km."""

    step: _Ints
    one: _Ints
    other: _Ints
    km: _Floats

    def between(self, begin: int, end: int) -> _Hits:
        rows = (self.step >= begin) & (self.step < end)
        return _Hits(self.step[rows], self.one[rows], self.other[rows], self.km[rows])


def _preselect(
    one: NDArray[np.float32], other: NDArray[np.float32], dot: np.float32
) -> Iterator[tuple[int, _Ints, _Ints]]:
    """Yield for each row of `one` the rows of `other` and the columns where the product reaches `dot`."""
    shape = other.shape[1:]
    product, term = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    close = np.empty(shape, dtype=np.bool_)
    for row in range(one.shape[1]):
        np.multiply(other[0], one[0, row], out=product)
        for axis in (1, 2):
            np.multiply(other[axis], one[axis, row], out=term)
            np.add(product, term, out=product)
        np.greater_equal(product, dot, out=close)
        flat = np.flatnonzero(close)
        if flat.size:
            rows, columns = np.divmod(flat, shape[1])
            yield row, rows, columns


_Near = tuple[_Ints, _Ints, _Ints]
"""Pre-selected pairs: rows of one block, rows of the other, columns; sorted in this order."""


def _near(one: NDArray[np.float32], other: NDArray[np.float32], dot: np.float32) -> _Near | None:
    near = list(_preselect(one, other, dot))
    if not near:
        return None
    ones = np.repeat(np.array([row for row, _, _ in near]), [len(rows) for _, rows, _ in near])
    return ones, np.concatenate([rows for _, rows, _ in near]), np.concatenate([columns for _, _, columns in near])


def _near_places(
    places: Sequence[Track | None], others: Sequence[Track | None], dot: np.float32, begin: int, end: int
) -> _Near | None:
    """Do the same for a block whose sources stay where they are, without a grid; columns are minutes, up to `end`.

    Only those of the others that are not far north or south are looked at: most of an orbit is, and so this takes a
    tenth of the time.
    """
    rows = [row for row, track in enumerate(places) if track is not None]
    there = [track for track in places if track is not None]
    points_deg = np.array([track.points_deg[0] for track in there])
    reach_deg = math.degrees(math.acos(max(-1.0, float(dot))))
    south_deg, north_deg = points_deg[:, 0].min() - reach_deg, points_deg[:, 0].max() + reach_deg
    parts = []
    for row, track in enumerate(others):
        if track is None:
            continue
        first, last = np.searchsorted(track.minutes, (begin, end))
        lat_deg = track.points_deg[first:last, 0]
        at = np.flatnonzero((lat_deg >= south_deg) & (lat_deg <= north_deg)) + first
        parts.append((np.full(len(at), row), track.minutes[at], _rough_vectors(track.points_deg[at])))
    other, minute = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    moving = np.concatenate([vectors for _, _, vectors in parts], axis=1)
    product = _vectors(points_deg).T.astype(np.float32) @ moving
    place, column = np.divmod(np.flatnonzero(product >= dot), len(minute) or 1)
    minutes = minute[column]
    keep = np.zeros(len(place), dtype=np.bool_)
    borders = np.searchsorted(place, np.arange(len(there) + 1)).tolist()
    for track, low, high in zip(there, borders, borders[1:], strict=False):
        wanted = minutes[low:high]
        at = np.searchsorted(track.minutes, wanted)
        at[at == len(track.minutes)] = 0
        keep[low:high] = track.minutes[at] == wanted
    if not keep.any():
        return None
    return np.array(rows)[place[keep]], other[column[keep]], minutes[keep] - begin


def _any_records(tracks: Sequence[Sequence[Track | None]], limit: _Limit, begin: int, end: int) -> bool:
    """Tell whether both blocks of a pair may have records in a chunk, without laying them on a grid."""
    return all(
        any(track is not None and track.minutes[0] < end and track.minutes[-1] >= begin for track in tracks[block])
        for block in (limit.one, limit.other)
    )


def _joined_track(parts: Iterable[Track | None]) -> Track | None:
    """Return stretches of one track, in order, as one; None when there are none."""
    there = [track for track in parts if track is not None]
    if len(there) <= 1:
        return there[0] if there else None
    minutes = np.concatenate([track.minutes for track in there])
    first = there[0].points_deg[0]
    if all(track.stays and (track.points_deg[0] == first).all() for track in there):
        return Track(there[0].identifier, minutes, np.broadcast_to(first, (len(minutes), 2)))
    return Track(there[0].identifier, minutes, np.concatenate([track.points_deg for track in there]))


@attrs.frozen(eq=False)
class _Table:
    """Rows of a join: the step, source indices by block, distances by limit."""

    step: _Ints
    sources: dict[int, _Ints]
    km: dict[int, _Floats]

    def knows(self, limit: _Limit) -> int:
        return (limit.one in self.sources) + (limit.other in self.sources)

    def take(self, rows: NDArray[Any]) -> _Table:
        return _Table(
            self.step[rows],
            {block: column[rows] for block, column in self.sources.items()},
            {index: column[rows] for index, column in self.km.items()},
        )

    def join(self, other: _Table, first_step: int, most: int) -> _Table | None:
        """Return all pairs of rows that agree in step and common blocks; None when there are more than `most`."""
        mine, theirs = self.step - first_step, other.step - first_step
        for block in self.sources.keys() & other.sources.keys():
            size = 1 + max(int(self.sources[block].max(initial=0)), int(other.sources[block].max(initial=0)))
            mine, theirs = mine * size + self.sources[block], theirs * size + other.sources[block]
        order = np.argsort(theirs, kind="stable")
        theirs = theirs[order]
        begins, ends = np.searchsorted(theirs, mine, "left"), np.searchsorted(theirs, mine, "right")
        counts = ends - begins
        total = int(counts.sum())
        if total > most:
            return None
        left = np.repeat(np.arange(len(mine)), counts)
        # Positions 0, 1, … within each left row's matches.
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        right = order[begins[left] + within]
        one, two = self.take(left), other.take(right)
        return _Table(one.step, two.sources | one.sources, one.km | two.km)


def _sorting(runs: _Runs) -> NDArray[np.intp] | None:
    """Return the order by sources and time; None when the rows are in it already."""
    first = int(runs.first.min())
    key, size = np.zeros(len(runs), dtype=np.int64), 1
    columns = [*runs.sources.T, runs.first - first]
    for column in columns:
        width = int(column.max()) + 1
        size *= width
        if size >= 1 << 62:
            return np.asarray(np.lexsort(columns[::-1]), dtype=np.intp)
        key = key * width + column
    return None if bool((key[1:] >= key[:-1]).all()) else np.asarray(np.argsort(key, kind="stable"))


def _merged(runs: _Runs) -> _Runs:
    """Join rows of the same sources that follow each other without a gap."""
    if not len(runs):
        return runs
    order = _sorting(runs)
    if order is not None:
        runs = runs.take(order)
    begins = np.append(
        True, (runs.sources[1:] != runs.sources[:-1]).any(axis=1) | (runs.first[1:] != runs.last[:-1] + 1)
    )
    starts = np.flatnonzero(begins)
    group = np.cumsum(begins) - 1
    low, high = np.minimum.reduceat(runs.low, starts), np.maximum.reduceat(runs.high, starts)

    def first_in_group(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
        at = np.flatnonzero(rows)
        groups = group[at]
        return np.asarray(at[np.append(True, groups[1:] != groups[:-1])], dtype=np.intp)

    return _Runs(
        runs.sources[starts],
        runs.first[starts],
        np.maximum.reduceat(runs.last, starts),
        runs.closest[first_in_group(runs.low == low[group])],
        runs.farthest[first_in_group(runs.high == high[group])],
        low,
        high,
        np.minimum.reduceat(runs.pair_low, starts),
        np.maximum.reduceat(runs.pair_high, starts),
    )


class Finder:
    """Finds conjunctions in positions that come stretch by stretch, in order of time.

    Args:
        identifiers: The data sources of each block, by block name (`ground1`, `space1`, …), in the order of blocks.
        max_distances: Largest distance in km by pair of block names, in either order (`ground1-space1`); None, or a
            pair left out, does not limit.
        subminute: Look at half-minutes too.
        start_s, end_s: The time range, seconds since 1970, both inclusive; records outside do not exist.

    Raises:
        InvalidQuery: No pair has a limit, or a pair names no two of the blocks.
    """

    def __init__(
        self,
        identifiers: Mapping[str, Sequence[int]],
        max_distances: Mapping[str, float | None],
        *,
        subminute: bool,
        start_s: int,
        end_s: int,
    ) -> None:
        self._names = tuple(identifiers)
        self._limits = _limits(self._names, max_distances)
        limited = {block for limit in self._limits for block in (limit.one, limit.other)}
        self._unlimited = [block for block in range(len(self._names)) if block not in limited]
        self._identifiers = tuple(np.array(identifiers[name], dtype=np.int64) for name in self._names)
        self._rows = tuple({int(key): row for row, key in enumerate(ids)} for ids in self._identifiers)
        self._steps_a_minute = 2 if subminute else 1
        self._begin = -(-start_s // 60)
        self._end = end_s // 60 + 1
        self._fed_until = self._waiting_since = self._begin
        self._waiting: list[list[list[Track | None]]] = []
        self._events = self._intervals = 0
        self._found: list[_Runs] = []
        self._open: list[_Runs] = []
        self._open_pairs: list[tuple[int, _Ints]] = [(-1, np.empty(0, dtype=np.int64)) for _ in self._limits]
        self._last_records: tuple[dict[int, Track], ...] = tuple({} for _ in self._names)

    def feed(self, blocks: Mapping[str, Sequence[Track]]) -> None:
        """Take one more stretch: all its records must be later than those fed before.

        Short stretches, such as days, wait until they fill a chunk together; their arrays must not be changed.
        """
        tracks = [self._arrange(block, blocks.get(name, ())) for block, name in enumerate(self._names)]
        present = [track for rows in tracks for track in rows if track is not None]
        if not present:
            return
        begin = min(int(track.minutes[0]) for track in present)
        end = max(int(track.minutes[-1]) for track in present) + 1
        if begin < self._fed_until:
            raise ValueError(f"minute {begin} was fed after the minutes before {self._fed_until}")
        if not self._waiting:
            self._waiting_since = begin
        self._waiting.append(tracks)
        self._fed_until = end
        if end - self._waiting_since >= _MINUTES_OF_CHUNK:
            self._search_waiting()

    def finish(self) -> Search:
        """Return everything found; the finder is used up."""
        self._search_waiting()
        self._close([], None)
        runs = _Runs.concatenate(self._found) if self._found else self._no_runs()
        order = np.lexsort((*(runs.sources[:, block] for block in reversed(range(len(self._names)))), runs.first))
        counters = Counters(self._events, self._intervals, len(runs), math.prod(len(ids) for ids in self._identifiers))
        pairs = tuple((limit.one, limit.other) for limit in self._limits)
        self._found = []
        return Search(counters, self._identifiers, pairs, 60 // self._steps_a_minute, runs.take(order))

    def _no_runs(self) -> _Runs:
        ints, floats = np.empty(0, dtype=np.int64), np.empty(0)
        pairs = np.empty((0, len(self._limits)))
        sources = np.empty((0, len(self._names)), dtype=np.int64)
        return _Runs(sources, ints, ints, ints, ints, floats, floats, pairs, pairs)

    def _arrange(self, block: int, tracks: Sequence[Track]) -> list[Track | None]:
        """Give each track with records inside the time range its row."""
        rows: list[Track | None] = [None] * len(self._identifiers[block])
        for track in tracks:
            row = self._rows[block].get(track.identifier)
            if row is None:
                raise ValueError(f"data source {track.identifier} does not belong to block {self._names[block]}")
            low, high = np.searchsorted(track.minutes, (self._begin, self._end))
            if low < high:
                rows[row] = Track(track.identifier, track.minutes[low:high], track.points_deg[low:high])
        return rows

    def _search_waiting(self) -> None:
        """Search what was fed and not searched yet."""
        if not self._waiting:
            return
        tracks = [
            [_joined_track(parts) for parts in zip(*rows, strict=True)] for rows in zip(*self._waiting, strict=True)
        ]
        self._waiting = []
        self._prepend_last_records(tracks)
        # In equal parts: a little more than a chunk is not worth another.
        parts = max(1, round((self._fed_until - self._waiting_since) / _MINUTES_OF_CHUNK))
        size = -(-(self._fed_until - self._waiting_since) // parts)
        for first in range(self._waiting_since, self._fed_until, size):
            self._search_chunk(tracks, first, min(first + size, self._fed_until))

    def _prepend_last_records(self, tracks: list[list[Track | None]]) -> None:
        """Give the half-minute between two stretches its first record."""
        if self._steps_a_minute == 1:
            return
        for rows, last_records in zip(tracks, self._last_records, strict=True):
            for row, track in enumerate(rows):
                if track is None:
                    continue
                before = last_records.get(row)
                last_records[row] = Track(track.identifier, track.minutes[-1:].copy(), track.points_deg[-1:].copy())
                if before is not None and before.minutes[0] == track.minutes[0] - 1:
                    rows[row] = _joined_track((before, track))

    def _search_chunk(self, tracks: Sequence[Sequence[Track | None]], begin: int, end: int) -> None:
        """Search minutes `begin` to `end` (exclusive) and, with sub-minute precision, the half-minute before each."""
        grids: dict[int, _Grid | None] = {}

        def grid(block: int) -> _Grid | None:
            if block not in grids:
                grids[block] = _grid(tracks[block], begin, end, self._steps_a_minute)
            return grids[block]

        first_step = begin * self._steps_a_minute - (self._steps_a_minute - 1)
        end_step = end * self._steps_a_minute - (self._steps_a_minute - 1)
        all_hits = [
            self._pair_hits(limit, tracks, grid, first_step, end_step)
            if _any_records(tracks, limit, begin, end)
            else None
            for limit in self._limits
        ]
        for index, hits in enumerate(all_hits):
            self._count(index, hits, first_step, end_step)
        found: list[_Runs] = []
        decisive = [hits for hits in all_hits if hits is not None and len(hits.step)]
        if len(decisive) == len(self._limits):
            unlimited = {block: there for block in self._unlimited if (there := grid(block)) is not None}
            if len(unlimited) == len(self._unlimited):
                found = self._join(decisive, unlimited, first_step, end_step)
        self._close(found, end_step)

    def _pair_hits(
        self,
        limit: _Limit,
        tracks: Sequence[Sequence[Track | None]],
        grid: Callable[[int], _Grid | None],
        first_step: int,
        end_step: int,
    ) -> _Hits | None:
        places = tracks[limit.one]
        if self._steps_a_minute == 1 and all(track is None or track.stays for track in places):
            near = _near_places(places, tracks[limit.other], limit.dot, first_step, end_step)
        else:
            one, other = grid(limit.one), grid(limit.other)
            near = None if one is None or other is None else _near(one.vectors, other.vectors, limit.dot)
        if near is None:
            return None
        ones, others, columns = near
        steps = columns + first_step
        km = _great_circle_km(
            _exact(places, ones, steps, self._steps_a_minute),
            _exact(tracks[limit.other], others, steps, self._steps_a_minute),
        )
        # A source that both blocks name is not a partner of itself.
        different = self._identifiers[limit.one][ones] != self._identifiers[limit.other][others]
        close = (km <= limit.km) & different
        return _Hits(steps[close], ones[close], others[close], km[close])

    def _count(self, index: int, hits: _Hits | None, first_step: int, end_step: int) -> None:
        """Count events and runs; a run that a chunk border cuts counts once. `hits` come sorted by sources and step."""
        last_end, last_pairs = self._open_pairs[index]
        if hits is None or not len(hits.step):
            return
        self._events += len(hits.step)
        pairs = hits.one * len(self._identifiers[self._limits[index].other]) + hits.other
        begins = np.append(True, (pairs[1:] != pairs[:-1]) | (hits.step[1:] != hits.step[:-1] + 1))
        self._intervals += int(np.count_nonzero(begins))
        if last_end == first_step:
            self._intervals -= int(np.isin(pairs[hits.step == first_step], last_pairs).sum())
        self._open_pairs[index] = (end_step, pairs[hits.step == end_step - 1])

    def _join(
        self, hits: Sequence[_Hits], unlimited: Mapping[int, _Grid], first_step: int, end_step: int
    ) -> list[_Runs]:
        """Join the pairs to tuples of one source per block, step by step; each row is a run of one step."""
        table = self._joined(hits, unlimited, first_step, end_step)
        if table is not None:
            return [self._one_step_runs(table)]
        if end_step - first_step == 1:
            raise InvalidQuery(
                "max_distances",
                f"more than {MAX_ROWS_OF_A_MINUTE} combinations of data sources at one minute: give narrower blocks or "
                "shorter distances",
            )
        middle = (first_step + end_step) // 2
        parts = []
        for begin, end in ((first_step, middle), (middle, end_step)):
            part = [pair.between(begin, end) for pair in hits]
            if all(len(pair.step) for pair in part):
                # Merged at once, so that what waits is runs and not minutes.
                parts += [_merged(runs) for runs in self._join(part, unlimited, begin, end)]
        return parts

    def _joined(
        self, hits: Sequence[_Hits], unlimited: Mapping[int, _Grid], first_step: int, end_step: int
    ) -> _Table | None:
        """Return the joined rows; None when they are too many to be built at once."""
        most = MAX_ROWS_OF_A_MINUTE if end_step - first_step == 1 else MAX_ROWS_AT_ONCE
        left = sorted(range(len(hits)), key=lambda index: len(hits[index].step))
        index = left.pop(0)
        limit = self._limits[index]
        table = _Table(
            hits[index].step, {limit.one: hits[index].one, limit.other: hits[index].other}, {index: hits[index].km}
        )
        while left:
            # Pairs between blocks already joined only remove rows; a pair without a common block multiplies them.
            index = min(left, key=lambda i: (-table.knows(self._limits[i]), len(hits[i].step)))
            left.remove(index)
            limit, pair = self._limits[index], hits[index]
            sources = {limit.one: pair.one, limit.other: pair.other}
            joined = table.join(_Table(pair.step, sources, {index: pair.km}), first_step, most)
            if joined is None:
                return None
            table = joined
        for block, grid in unlimited.items():
            rows, columns = np.nonzero(grid.present)
            steps = columns + grid.first_step
            near = (steps >= first_step) & (steps < end_step)
            joined = table.join(_Table(steps[near], {block: rows[near]}, {}), first_step, most)
            if joined is None:
                return None
            table = joined
        return table.take(self._different(table))

    def _different(self, table: _Table) -> NDArray[np.bool_]:
        """Tell which rows name no data source twice."""
        keep = np.ones(len(table.step), dtype=np.bool_)
        for one, other in combinations(range(len(self._names)), 2):
            ids, other_ids = self._identifiers[one], self._identifiers[other]
            if len(self._names) > 2 and np.intersect1d(ids, other_ids).size:
                keep &= ids[table.sources[one]] != other_ids[table.sources[other]]
        return keep

    def _one_step_runs(self, table: _Table) -> _Runs:
        sources = np.stack([table.sources[block] for block in range(len(self._names))], axis=1)
        km = np.stack([table.km[index] for index in range(len(self._limits))], axis=1)
        telling = [index for index, limit in enumerate(self._limits) if not limit.same_site] or slice(None)
        low, high = km[:, telling].min(axis=1), km[:, telling].max(axis=1)
        return _Runs(sources, table.step, table.step, table.step, table.step, low, high, km, km)

    def _close(self, found: Sequence[_Runs], end_step: int | None) -> None:
        """Add the runs of a chunk; those that reach its end stay open for the next one."""
        runs = [part for part in (*self._open, *found) if len(part)]
        self._open = []
        if not runs:
            return
        merged = _merged(_Runs.concatenate(runs))
        if end_step is not None:
            still_open = merged.last == end_step - 1
            self._open = [merged.take(still_open)]
            merged = merged.take(~still_open)
        if len(merged):
            self._found.append(merged)


def find_conjunctions(
    blocks: Mapping[str, Sequence[Track]],
    max_distances: Mapping[str, float | None],
    *,
    subminute: bool,
    start_s: int,
    end_s: int,
) -> Search:
    """Find all conjunctions among tracks that are in memory at once; a `Finder` takes them stretch by stretch.

    Args: as of `Finder`; `blocks` are the tracks by block name (`ground1`, `space1`, …), in the order of blocks.

    Raises:
        InvalidQuery: No pair has a limit, a pair names no two of the blocks, or far too much would be found.
    """
    identifiers = {name: [track.identifier for track in tracks] for name, tracks in blocks.items()}
    finder = Finder(identifiers, max_distances, subminute=subminute, start_s=start_s, end_s=end_s)
    finder.feed(blocks)
    return finder.finish()
