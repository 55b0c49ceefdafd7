"""One search, done: a query and its data sources in, a result file and log lines out. Blocks; runs off the loop.

The result file is what `GET …/data` answers by default, to the byte, with one record a line: most clients fetch just
that, and ranges of it mean something. `file_size` counts the list in it, so that of an empty result is 5, as AuroraX's.
Everything else (other levels of detail, response formats, generated queries) is made from it when asked for
(`results`).
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from aurora_async.aurorax.filters import MetadataFilter
from aurora_async.aurorax.models import (
    ConjunctionQuery,
    CriteriaBlock,
    CustomLocationsBlock,
    DataProductQuery,
    EphemerisQuery,
    Query,
    SpaceBlock,
)
from aurora_async.server.aurorax.filtering import compile_filter, hemisphere_mask, mask
from aurora_async.server.aurorax.find import Finder, Track
from aurora_async.server.aurorax.logs import (
    Line,
    conjunction_end_lines,
    conjunction_found_lines,
    conjunction_start_lines,
    conjunction_type_lines,
    record_end_lines,
    record_query_lines,
    record_start_lines,
)
from aurora_async.server.aurorax.records import conjunction_lines, ephemeris_records, timestamp_from_s
from aurora_async.server.aurorax.uploads import Changes
from aurora_async.server.days import DayCache, is_cheap
from aurora_async.server.jobs import Context
from aurora_async.server.sky.ephemeris import (
    DayEphemeris,
    available_days,
    conjugate,
    location_gsm,
    present_at_site,
    site,
)
from aurora_async.server.sky.products import mirrored, products

__all__ = ["RESULT_PREFIX", "RESULT_SUFFIX", "DaysTask", "Outcome", "SearchTask", "batched", "collect", "days_between"]

RESULT_PREFIX, RESULT_SUFFIX = b'{"result":', b"}"
_OPEN, _BETWEEN, _CLOSE = b"[\n", b",\n", b"\n]\n"

_FLUSH_BYTES = 1 << 18
_RECORDS_BETWEEN_CHECKPOINTS = 512
_MINUTE_S = 60
_DAY_S = 86400
_DAY_MINUTES = 1440
_DAYS_AT_ONCE = 12
"""Days that are searched together, which fill a chunk of the finder: one by one, a year costs ten times as much."""

_encode = msgspec.json.Encoder().encode

Record = dict[str, Any]


@attrs.frozen(kw_only=True)
class Outcome:
    """What a search came to."""

    result_count: int
    file_size: int


@attrs.frozen(kw_only=True)
class SearchTask:
    """Everything a search needs to know, wherever it is done.

    `blocks` are the data sources of each criteria block (one block, `data_sources`, unless it is about conjunctions),
    `sources` their records at the level `basic_info`, `places` where the custom locations among them are, `changed`
    those whose records were uploaded or deleted, which `database` tells.
    """

    request_id: str
    kind: str
    query: Query
    document: Mapping[str, Any]
    """The query in normal form."""
    blocks: Mapping[str, tuple[int, ...]]
    sources: Mapping[int, Record]
    places: Mapping[int, tuple[float, float]] = attrs.field(factory=dict)
    changed: frozenset[int] = frozenset()
    database: Path
    path: Path
    files_root: str | None = None
    """Where the addresses of computed data products are to lead; None means to where they are published."""
    is_small: bool = True

    def perform(self, context: Context) -> Outcome:
        """Search, and write the result file."""
        # A file that is not whole yet has a name of its own; a search that is run again writes over its own remains.
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                writer = _ResultWriter(file)
                self._search(context, writer)
                writer.close()
            context.checkpoint()
            part.replace(self.path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if self.kind == "conjunctions":
            _log(context, *conjunction_end_lines(0, 0, 0)[1:2])
        return Outcome(result_count=writer.count, file_size=writer.file_size)

    def _search(self, context: Context, writer: _ResultWriter) -> None:
        if isinstance(self.query, ConjunctionQuery):
            _log(context, *conjunction_start_lines(self.request_id)[1:])
            self._conjunctions(self.query, context, writer)
            return
        _log(context, *record_start_lines(self.kind, self.request_id, self.document)[1:])
        started = time.monotonic()
        records = self.records(context)
        first = next(records, None)
        _log(context, *record_query_lines(time.monotonic() - started))
        started = time.monotonic()
        if first is not None:
            writer.add(first)
            for number, line in enumerate(records):
                writer.add(line)
                if number % _RECORDS_BETWEEN_CHECKPOINTS == 0:
                    context.checkpoint()
        _log(context, record_end_lines(writer.count, time.monotonic() - started, 0, 0)[0])

    def records(self, context: Context) -> Iterator[bytes]:
        """Yield the records of an ephemeris or data product search, encoded, sources at the level `basic_info`."""
        if isinstance(self.query, EphemerisQuery):
            return self._ephemeris(self.query, context)
        if isinstance(self.query, DataProductQuery):
            return self._products(self.query, context)
        raise TypeError(f"{self.query!r} has no records of its own")

    @contextmanager
    def _reading(self) -> Iterator[Changes | None]:
        """Open the uploads, unless there are none to be looked at."""
        if not self.changed:
            yield None
            return
        with Changes.reading(self.database) as changes:
            yield changes

    # Ephemeris ------------------------------------------------------------------------------------------------------

    def _ephemeris(self, query: EphemerisQuery, context: Context) -> Iterator[bytes]:
        identifiers = self.blocks["data_sources"]
        with self._reading() as changes:
            for day in days_between(query.start, query.end):
                for identifier in identifiers:
                    context.checkpoint()
                    if changes is not None and identifier in self.changed:
                        yield from self._changed_day(query, identifier, day, changes, context)
                    elif _is_available(identifier, day):
                        yield from map(itemgetter(1), self._computed_day(query, identifier, day, None, context))

    def _computed_day(
        self, query: EphemerisQuery, identifier: int, day: date, changes: Changes | None, context: Context
    ) -> Iterator[tuple[int, bytes]]:
        """Return epoch (s) and text of the computed records of a day that have not been replaced or deleted."""
        begin_s = _first_minute(day) * _MINUTE_S
        wanted = _within(day, *_minutes(query))
        if changes is not None:
            wanted = changes.computed(identifier, begin_s, wanted)
            if not wanted.any():
                return iter(())
        ephemeris = context.days.get(identifier, day)
        wanted &= ephemeris.present
        wanted &= mask(query.metadata_filter, _Columns(ephemeris), _DAY_MINUTES)
        minutes = np.flatnonzero(wanted)
        if not len(minutes):
            return iter(())
        lines = _encoded_days.lines(ephemeris, self.sources[identifier], minutes)
        return zip((minutes * _MINUTE_S + begin_s).tolist(), lines, strict=True)

    def _changed_day(
        self, query: EphemerisQuery, identifier: int, day: date, changes: Changes, context: Context
    ) -> Iterator[bytes]:
        passes = compile_filter(query.metadata_filter)
        begin_s = _first_minute(day) * _MINUTE_S
        first_s = max(begin_s, int(query.start.timestamp()))
        last_s = min(begin_s + _DAY_S - 1, int(query.end.timestamp()))
        lines = [
            (epoch_s, _encode({"data_source": self.sources[identifier], "epoch": timestamp_from_s(epoch_s), **record}))
            for epoch_s, record in changes.ephemeris(identifier, first_s, last_s)
            if passes(record["metadata"])
        ]
        if _is_available(identifier, day):
            lines += self._computed_day(query, identifier, day, changes, context)
        return map(itemgetter(1), sorted(lines, key=itemgetter(0)))

    # Data products --------------------------------------------------------------------------------------------------

    def _products(self, query: DataProductQuery, context: Context) -> Iterator[bytes]:
        passes = compile_filter(query.metadata_filter)
        with self._reading() as changes:
            for identifier in self.blocks["data_sources"]:
                source = self.sources[identifier]
                context.checkpoint()
                uploaded: list[Record] = []
                computed: Iterable[Record] = products(identifier, query.start, query.end)
                if changes is not None and identifier in self.changed:
                    first_s, last_s = int(query.start.timestamp()), int(query.end.timestamp())
                    uploaded = changes.products(identifier, first_s, last_s)
                    computed = changes.computed_products(identifier, computed)
                if self.files_root is not None:
                    computed = (mirrored(record, self.files_root) for record in computed)
                for record in chain(uploaded, computed):
                    if query.data_product_types and record["data_product_type"] not in query.data_product_types:
                        continue
                    if passes(record["metadata"]):
                        yield _encode({"data_source": source, **record})

    # Conjunctions ---------------------------------------------------------------------------------------------------

    def _conjunctions(self, query: ConjunctionQuery, context: Context, writer: _ResultWriter) -> None:
        types = tuple(dict.fromkeys(query.conjunction_types))
        _log(context, *conjunction_type_lines(types[0], self.document, len(types)))
        first, last = _minutes(query)
        finders = {
            kind: Finder(
                self.blocks,
                query.max_distances,
                subminute=query.subminute_precision,
                start_s=int(query.start.timestamp()),
                end_s=int(query.end.timestamp()),
            )
            for kind in types
        }
        with self._reading() as changes:
            for days in batched(days_between(query.start, query.end), _DAYS_AT_ONCE):
                tracks = self._tracks(query, types, days, (first, last), changes, context)
                if tracks is None:
                    continue
                for kind, finder in finders.items():
                    finder.feed({name: by_type[kind] for name, by_type in tracks.items()})
                    context.checkpoint()
        found = {kind: finder.finish() for kind, finder in finders.items()}
        for kind, search in found.items():
            if kind != types[0]:
                _log(context, *conjunction_type_lines(kind, self.document, len(types)))
            _log(context, *conjunction_found_lines(search.counters, tuple(self.blocks.values())))
        _log(context, *conjunction_end_lines(0, 0, 0)[:1])
        for kind, search in found.items():
            for count, lines in conjunction_lines(search, kind, self.sources, between=_BETWEEN):
                writer.add(lines, count)
                context.checkpoint()

    def _tracks(
        self,
        query: ConjunctionQuery,
        types: Sequence[str],
        days: Sequence[date],
        limits: tuple[int, int],
        changes: Changes | None,
        context: Context,
    ) -> dict[str, dict[str, list[Track]]] | None:
        """Return the records of consecutive days that take part, by block and type; None when there are none.

        A day on which one block has none counts for no block. Blocks that cost nothing are looked at first, so that
        the others need not be computed for such days.
        """
        stretch = _Stretch(days, _within(days[0], *limits, days=len(days)))
        found: dict[str, dict[str, list[Track]]] = {}
        for name in sorted(query.blocks, key=lambda name: not _all_cheap(self.blocks[name], types)):
            block = query.blocks[name]
            found[name] = {kind: [] for kind in types}
            there = np.zeros(len(days), dtype=np.bool_)
            for identifier in self.blocks[name]:
                context.checkpoint()
                parts = self._places(block, types, identifier, stretch) or self._points(
                    block, types, identifier, stretch, changes, context
                )
                for kind, (minutes, points) in parts.items():
                    if len(minutes):
                        if not there.all():
                            there |= stretch.days_of(minutes)
                        found[name][kind].append(Track(identifier, minutes, points))
            stretch.counts &= there
            if not stretch.counts.any():
                return None
        return {name: {kind: stretch.cut(tracks) for kind, tracks in found[name].items()} for name in query.blocks}

    def _places(
        self, block: CriteriaBlock | CustomLocationsBlock, types: Sequence[str], identifier: int, stretch: _Stretch
    ) -> _Parts | None:
        """Return the records of what stays where it is, as sites mostly do; None where it takes a look at each day."""
        if isinstance(block, CustomLocationsBlock):
            if "sbtrace" in types:
                return None
            place, minutes = self.places[identifier], stretch.minutes()
        elif (
            identifier in self.changed
            or _has_conditions(block)
            or not is_cheap(identifier, north="nbtrace" in types, south="sbtrace" in types)
        ):
            return None
        else:
            place, minutes = (
                site(identifier),
                stretch.minutes(present_at_site(identifier, stretch.days[0], len(stretch.days))),
            )
        # One point for all minutes, which takes no memory and tells the finder that nothing moves.
        points = np.broadcast_to(np.array(place), (len(minutes), 2))
        return dict.fromkeys(types, (minutes, points))

    def _points(
        self,
        block: CriteriaBlock | CustomLocationsBlock,
        types: Sequence[str],
        identifier: int,
        stretch: _Stretch,
        changes: Changes | None,
        context: Context,
    ) -> _Parts:
        """Return the records of the days that count."""
        of_source = changes if identifier in self.changed else None
        kept = None if of_source else _kept_points(block, types, identifier, stretch, context)
        points, wanted = kept or self._points_by_day(block, types, identifier, stretch, of_source, context)
        minutes = stretch.minutes_of_days()
        parts: dict[str, _Part] = {}
        for kind in types:
            if wanted.all() and not np.isnan(points[kind].min()):  # as of a spacecraft that nothing is amiss with
                parts[kind] = (minutes, points[kind])
                continue
            lat, lon = points[kind].T
            rows = np.flatnonzero(wanted & ~(np.isnan(lat) | np.isnan(lon)))
            parts[kind] = (minutes[rows], points[kind][rows])
        return parts

    def _points_by_day(
        self,
        block: CriteriaBlock | CustomLocationsBlock,
        types: Sequence[str],
        identifier: int,
        stretch: _Stretch,
        changes: Changes | None,
        context: Context,
    ) -> tuple[_Points, NDArray[np.bool_]]:
        """Return the points of all minutes of the days that count, and which of them take part."""
        points_of_days: list[_Points] = []
        wanted_of_days: list[NDArray[np.bool_]] = []
        for day, within in stretch.by_day():
            context.checkpoint()
            points, wanted = _NOTHING, within
            if isinstance(block, CustomLocationsBlock):
                points = {kind: self._place(identifier, kind, day) for kind in types}
            else:
                if _is_available(identifier, day):
                    points, wanted = _computed_points(block, types, identifier, day, within, changes, context)
                if changes is not None:
                    uploaded = changes.by_minute(identifier, _first_minute(day) * _MINUTE_S, within)
                    points, wanted = _with_uploads(points, wanted, _passing(uploaded, block), types)
            points_of_days.append(points)
            wanted_of_days.append(wanted)
        together = {kind: np.concatenate([points[kind] for points in points_of_days]) for kind in types}
        return together, np.concatenate(wanted_of_days)

    def _place(self, identifier: int, kind: str, day: date) -> NDArray[np.float64]:
        place = self.places[identifier]
        if kind == "sbtrace":
            place = conjugate(*place, datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        return np.broadcast_to(np.array(place), (_DAY_MINUTES, 2))

    # What it needs --------------------------------------------------------------------------------------------------

    def days_needed(self) -> Iterator[tuple[int, date, bool, bool]]:
        """Yield the days that have to be computed or read from a file: data source, day, northern, southern trace."""
        if isinstance(self.query, DataProductQuery):
            return
        costly = list(self._costly())
        for day in days_between(self.query.start, self.query.end):
            if not all(any(self._may_have(one, day) for one in block) for block in self.blocks.values()):
                continue  # a conjunction takes one source of every block
            for identifier, north, south in costly:
                if _is_available(identifier, day):
                    yield identifier, day, north, south

    def _costly(self) -> Iterator[tuple[int, bool, bool]]:
        """Yield the data sources whose days are not made in no time, with the traces that are needed of them."""
        for name, identifiers in self.blocks.items():
            north = south = True
            if isinstance(self.query, ConjunctionQuery):
                block = self.query.blocks[name]
                if isinstance(block, CustomLocationsBlock):
                    continue
                north, south = _sides(self.query.conjunction_types, block.metadata_filter)
            for identifier in identifiers:
                if not is_cheap(identifier, north=north, south=south):
                    yield identifier, north, south

    def _may_have(self, identifier: int, day: date) -> bool:
        return identifier < 0 or identifier in self.changed or _is_available(identifier, day)

    def missing_days(self, days: DayCache) -> dict[tuple[int, bool, bool], list[date]]:
        """Return the days that nobody has computed yet, by data source and traces. Blocks."""
        missing: dict[tuple[int, bool, bool], list[date]] = {}
        every = np.ones(_DAY_MINUTES, dtype=np.bool_)
        with self._reading() as changes:

            def is_gone(identifier: int, day: date) -> bool:
                if changes is None or identifier not in self.changed:
                    return False
                return not changes.computed(identifier, _first_minute(day) * _MINUTE_S, every).any()

            for identifier, day, north, south in self.days_needed():
                if not days.has(identifier, day, north=north, south=south) and not is_gone(identifier, day):
                    missing.setdefault((identifier, north, south), []).append(day)
        return missing


@attrs.frozen(kw_only=True)
class DaysTask:
    """Days to be computed ahead of a search that will need them, so that all processes take part in a long one."""

    identifier: int
    days: tuple[date, ...]
    north: bool
    south: bool

    def perform(self, context: Context) -> None:
        """Compute what nobody has computed meanwhile."""
        for day in self.days:
            context.checkpoint()
            if not context.days.has(self.identifier, day, north=self.north, south=self.south):
                context.days.get(self.identifier, day, north=self.north, south=self.south)


@attrs.frozen(kw_only=True)
class _CollectTask:
    """A search whose records are wanted at once (the synchronous variants): nothing is kept of it."""

    search: SearchTask

    def perform(self, context: Context) -> list[bytes]:
        """Return the encoded records."""
        return list(self.search.records(context))


def collect(search: SearchTask) -> _CollectTask:
    """Return the task whose result are the encoded records of `search`."""
    return _CollectTask(search=search)


def _log(context: Context, *lines: Line) -> None:
    for level, text in lines:
        context.report(level, text)


class _ResultWriter:
    """Writes the result file, a quarter of a megabyte at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: list[bytes] = []
        self._gathered = 0
        self._has_some = False
        self.count = 0
        self.file_size = 0
        file.write(RESULT_PREFIX)
        self._write(_OPEN)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.file_size += len(data)

    def add(self, lines: bytes, count: int = 1) -> None:
        """Add a record, or several in one piece."""
        self._lines.append(lines)
        self._gathered += len(lines)
        self.count += count
        if self._gathered > _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            if self._has_some:
                self._write(_BETWEEN)
            self._has_some = True
            self._write(_BETWEEN.join(self._lines))
            self._lines.clear()
            self._gathered = 0

    def close(self) -> None:
        """Write the end; the file itself is its opener's."""
        self._flush()
        self._write(_CLOSE)
        self._file.write(RESULT_SUFFIX)


# Days and minutes ---------------------------------------------------------------------------------------------------


def days_between(start: datetime, end: datetime) -> Iterator[date]:
    """Return every UTC day that two instants touch."""
    # By number: after the last day of the calendar there is no other.
    return map(date.fromordinal, range(start.toordinal(), end.toordinal() + 1))


def _minutes(query: Query) -> tuple[int, int]:
    """Return the first and the last whole minute of a query's range, since 1970."""
    return -(-int(query.start.timestamp()) // _MINUTE_S), int(query.end.timestamp()) // _MINUTE_S


def _first_minute(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY_MINUTES


def _within(day: date, first: int, last: int, *, days: int = 1) -> NDArray[np.bool_]:
    """Return `(days * 1440,)` bool: which minutes from a day on lie in a range of minutes since 1970."""
    found = np.zeros(days * _DAY_MINUTES, dtype=np.bool_)
    begin = _first_minute(day)
    found[max(0, first - begin) : max(0, last + 1 - begin)] = True
    return found


def batched(days: Iterable[date], most: int) -> Iterator[Sequence[date]]:
    """Yield days in stretches of at most `most`."""
    left = iter(days)
    while some := tuple(islice(left, most)):
        yield some


_Part = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Minutes since 1970 and the points of those minutes, as a track has them."""
_Parts = Mapping[str, _Part]
"""The same by conjunction type."""


class _Stretch:
    """Consecutive days of a search: which of their minutes it is about, and which days still count."""

    def __init__(self, days: Sequence[date], within: NDArray[np.bool_]) -> None:
        self.days = days
        self.counts = np.ones(len(days), dtype=np.bool_)
        self._within = within
        self._first = _first_minute(days[0])

    def minutes(self, present: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return the minutes that the search is about, or those among them that are present."""
        return np.flatnonzero(self._within if present is None else self._within & present) + self._first

    def by_day(self) -> Iterator[tuple[date, NDArray[np.bool_]]]:
        """Yield the days that count, and which of their minutes the search is about."""
        for number in np.flatnonzero(self.counts).tolist():
            yield self.days[number], self._within[number * _DAY_MINUTES : (number + 1) * _DAY_MINUTES]

    def within_of_days(self) -> NDArray[np.bool_]:
        """Tell which minutes of the days that count the search is about."""
        return self._within.reshape(-1, _DAY_MINUTES)[self.counts].ravel()

    def minutes_of_days(self) -> NDArray[np.int64]:
        """Return all minutes of the days that count."""
        begins = self._first + _DAY_MINUTES * np.flatnonzero(self.counts)
        return np.add.outer(begins, np.arange(_DAY_MINUTES)).ravel()

    def days_of(self, minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which days have one of some minutes, which are in order."""
        borders = np.searchsorted(minutes, self._first + _DAY_MINUTES * np.arange(len(self.days) + 1))
        return np.asarray(borders[1:] > borders[:-1])

    def cut(self, tracks: Iterable[Track]) -> list[Track]:
        """Leave out the days that do not count."""
        if self.counts.all():
            return list(tracks)
        kept = []
        for track in tracks:
            rows = self.counts[(track.minutes - self._first) // _DAY_MINUTES]
            if rows.any():
                points = track.points_deg
                stays = points.strides[0] == 0
                points = np.broadcast_to(points[:1], (int(rows.sum()), 2)) if stays else points[rows]
                kept.append(Track(track.identifier, track.minutes[rows], points))
        return kept


def _is_available(identifier: int, day: date) -> bool:
    span = available_days(identifier) if identifier > 0 else None
    return span is not None and span[0] <= day <= span[1]


def _all_cheap(identifiers: Iterable[int], types: Sequence[str]) -> bool:
    north, south = "nbtrace" in types, "sbtrace" in types
    return all(
        identifier < 0 or available_days(identifier) is None or is_cheap(identifier, north=north, south=south)
        for identifier in identifiers
    )


def _sides(types: Sequence[str], metadata_filter: MetadataFilter | None) -> tuple[bool, bool]:
    """Return which B-traces a search looks at: those of its types, and those that its filter's fields come from."""
    keys = {expression.key for expression in metadata_filter.expressions} if metadata_filter is not None else set()
    both = "conjugate" in keys
    return (
        both or "nbtrace" in types or "nbtrace_region" in keys,
        both or "sbtrace" in types or "sbtrace_region" in keys,
    )


def _points(ephemeris: DayEphemeris, kind: str) -> NDArray[np.float64]:
    points = {"nbtrace": ephemeris.nbtrace, "sbtrace": ephemeris.sbtrace, "geographic": ephemeris.location_geo}[kind]
    assert points is not None
    return points


_Points = Mapping[str, NDArray[np.float64]]
"""By conjunction type, `(1440, 2)` each: latitude and longitude in degrees, NaN where there is none."""

_NOTHING: _Points = dict.fromkeys(("nbtrace", "sbtrace", "geographic"), np.full((_DAY_MINUTES, 2), np.nan))
_KEYS = {"nbtrace": "nbtrace", "sbtrace": "sbtrace", "geographic": "location_geo"}


def _has_conditions(block: CriteriaBlock) -> bool:
    """Tell whether each record has to be looked at for whether the block means it."""
    by_metadata = block.metadata_filter is not None and bool(block.metadata_filter.expressions)
    return by_metadata or (isinstance(block, SpaceBlock) and bool(block.hemisphere))


def _kept_points(
    block: CriteriaBlock | CustomLocationsBlock,
    types: Sequence[str],
    identifier: int,
    stretch: _Stretch,
    context: Context,
) -> tuple[_Points, NDArray[np.bool_]] | None:
    """Return the same as `_points_by_day`, all days at once; None where it takes a look at each."""
    days = [day for day, _ in stretch.by_day()]
    if (
        isinstance(block, CustomLocationsBlock)
        or _has_conditions(block)
        or not all(_is_available(identifier, day) for day in (days[0], days[-1]))
    ):
        return None
    kept = context.days.points(identifier, days, [_KEYS[kind] for kind in types])
    if kept is None:
        return None
    present, points = kept
    return {kind: points[_KEYS[kind]] for kind in types}, present & stretch.within_of_days()


def _computed_points(
    block: CriteriaBlock,
    types: Sequence[str],
    identifier: int,
    day: date,
    within: NDArray[np.bool_],
    changes: Changes | None,
    context: Context,
) -> tuple[_Points, NDArray[np.bool_]]:
    """Return the computed points of a day, and `(1440,)` bool, which of them take part."""
    wanted = within
    if changes is not None:
        wanted = changes.computed(identifier, _first_minute(day) * _MINUTE_S, within)
        if not wanted.any():
            return _NOTHING, wanted
    needs = _sides(types, block.metadata_filter)
    ephemeris = context.days.get(identifier, day, north=needs[0], south=needs[1])
    wanted = wanted & ephemeris.present
    if wanted.any():
        wanted &= mask(block.metadata_filter, _Columns(ephemeris), _DAY_MINUTES)
        if isinstance(block, SpaceBlock):
            wanted &= hemisphere_mask(ephemeris.location_geo[:, 0], block.hemisphere)
    return {kind: _points(ephemeris, kind) for kind in types}, wanted


def _passing(records: Mapping[int, Record], block: CriteriaBlock) -> dict[int, Record]:
    """Return those of some uploaded records, by minute, that a block means."""
    passes = compile_filter(block.metadata_filter)
    found = {minute: record for minute, record in records.items() if passes(record["metadata"])}
    if not isinstance(block, SpaceBlock):
        return found
    lat_deg = np.array([record["location_geo"]["lat"] for record in found.values()], dtype=np.float64)
    kept = hemisphere_mask(lat_deg, block.hemisphere).tolist()
    return {minute: record for (minute, record), keep in zip(found.items(), kept, strict=True) if keep}


def _with_uploads(
    points: _Points, wanted: NDArray[np.bool_], uploaded: Mapping[int, Record], types: Sequence[str]
) -> tuple[_Points, NDArray[np.bool_]]:
    """Return the points of a day with uploaded ones, by minute, in their places."""
    minutes = list(uploaded)
    if not minutes:
        return points, wanted
    wanted = wanted.copy()
    wanted[minutes] = True
    merged = {}
    for kind in types:
        places = [record[_KEYS[kind]] for record in uploaded.values()]
        merged[kind] = points[kind].copy()
        merged[kind][minutes] = np.array([(place["lat"], place["lon"]) for place in places], dtype=np.float64)
    return merged, wanted


class _Columns(Mapping[str, Any]):
    """The metadata of a day's records as columns, each made when a filter asks for it."""

    def __init__(self, ephemeris: DayEphemeris) -> None:
        self._ephemeris = ephemeris

    def __getitem__(self, key: str) -> Any:
        ephemeris = self._ephemeris
        if key == "computed":
            return True
        if not ephemeris.is_spacecraft:
            if key == "conjugate" and ephemeris.conjugate_method is not None:
                return ephemeris.conjugate_method
            raise KeyError(key)
        if key == "state":
            return "predictive"
        if key == "radial_distance":
            return ephemeris.radial_distance_km
        if key == "element_set_age_days":
            return ephemeris.element_set_age_days
        names = ephemeris.regions[key]
        return [name or None for name in names.tolist()]

    def __iter__(self) -> Iterator[str]:
        return iter(("computed", "state", "radial_distance", "element_set_age_days", *self._ephemeris.regions))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _EncodedDays:
    """The records of the days last used, encoded: searches of one spacecraft-day by the hundred are common."""

    def __init__(self, days: int = 16) -> None:
        self._days = days
        self._kept: OrderedDict[tuple[int, date, bytes], _EncodedDay] = OrderedDict()
        self._lock = threading.Lock()

    def lines(self, ephemeris: DayEphemeris, source: Record, minutes: NDArray[np.intp]) -> list[bytes]:
        """Return the records of some minutes."""
        key = (ephemeris.identifier, ephemeris.day, _encode(source))
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.ephemeris is not ephemeris:
                kept = self._kept[key] = _EncodedDay(ephemeris, source)
            self._kept.move_to_end(key)
            while len(self._kept) > self._days:
                self._kept.popitem(last=False)
        return kept.get(minutes.tolist())


class _EncodedDay:
    """The records of one day, encoded minute by minute as they are asked for. Threads may share it."""

    def __init__(self, ephemeris: DayEphemeris, source: Record) -> None:
        self.ephemeris = ephemeris
        self._source = source
        self._gsm = location_gsm(ephemeris)
        self._lines: list[bytes | None] = [None] * _DAY_MINUTES

    def get(self, minutes: list[int]) -> list[bytes]:
        lines = self._lines
        missing = [minute for minute in minutes if lines[minute] is None]
        for begin in range(0, len(missing), _RECORDS_BETWEEN_CHECKPOINTS):
            some = missing[begin : begin + _RECORDS_BETWEEN_CHECKPOINTS]
            for minute, encoded in zip(some, self._encode(some), strict=True):
                lines[minute] = encoded
        return [line for minute in minutes if (line := lines[minute]) is not None]

    def _encode(self, minutes: list[int]) -> Iterator[bytes]:
        day, rows = self.ephemeris, np.array(minutes, dtype=np.intp)
        assert day.nbtrace is not None and day.sbtrace is not None
        records = ephemeris_records(
            self._source,
            (rows + _first_minute(day.day)) * _MINUTE_S,
            location_geo=day.location_geo[rows],
            location_gsm=self._gsm[rows],
            nbtrace=day.nbtrace[rows],
            sbtrace=day.sbtrace[rows],
            metadata=[day.metadata(minute) for minute in minutes],
        )
        return map(_encode, records)


_encoded_days = _EncodedDays()
