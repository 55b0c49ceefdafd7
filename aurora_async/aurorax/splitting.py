"""Queries in windows, and the windows' results as one.

Where a range may be cut depends on what lies across the cut, so the windows of each kind meet in their own way:

- **Ephemeris** records are instants: windows do not overlap, and results are put one behind the other.
- **Conjunctions** are runs of minutes: neighbouring windows share the minute at their seam. A conjunction that is cut
  has that minute in both, which is how its halves are known; with sub-minute precision the half-minutes on either side
  of the seam lie between records that one of the windows has. The halves are joined: the first start, the last end,
  the smaller and the larger distance with their epochs, and so each pair. Several custom locations of one block are
  told apart by the identifiers that the service gives them; should those change, there is an error, no wrong answer.
- **Data products** are found when they lie wholly in a window, so each window reaches back over its seam, and a
  product counts in the first window that holds it. One that lasts longer than `LONGEST_PRODUCT` may lie in none:
  when such a one is found, that is an error, too.

Windows come in order of time (conjunctions: for each type), and within one the service's own order is kept; what is
joined stands where its first half stood. What the service sorts by type and time is thus sorted in the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Generic, Literal, Protocol, TypeVar

import attrs
import msgspec

from aurora_async.aurorax.availability import AvailabilityCounts
from aurora_async.aurorax.models import (
    MAX_EPHEMERIS_SPAN,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProductQuery,
    EphemerisQuery,
    Query,
)
from aurora_async.aurorax.wire import kind_of
from aurora_async.engine.split import check_window, seams
from aurora_async.errors import InvalidInput, MalformedAnswer
from aurora_async.times import to_wire
from aurora_async.transfer import Body

__all__ = ["LONGEST_PRODUCT", "Part", "Pieces", "Split", "Window", "fitting_window", "windows"]

QueryT = TypeVar("QueryT", bound=Query)
T = TypeVar("T")

Window = timedelta | Literal["auto"]
"""The longest that one request may be about; "auto" is what `fitting_window` says."""

Part = AsyncIterator[list[msgspec.Raw]]
"""The result of one window: its records as the service sent them, some hundred at a time."""

Pieces = Sequence[bytes | msgspec.Raw]
"""Records as JSON."""

LONGEST_PRODUCT = timedelta(days=31)
"""How far windows of data products reach back. The longest that are printed anywhere last a day."""

_SECOND = timedelta(seconds=1)
_MOST_HELD = 5_000
_Tree = Mapping[str, Any]

# Records that a window may hold or, for conjunctions, that may be looked through for it: some ten seconds of work, and
# some ten megabytes. A spacecraft has 1440 a day; the service searches a year of conjunctions in five to ten seconds.
_FITTING = {"ephemeris": 50_000, "data_products": 20_000, "conjunctions": 500_000}


def windows(query: QueryT, window: timedelta | None = None) -> list[QueryT]:
    """Cut a query into queries that the service takes and that are no longer than `window`, in order of time.

    Cuts lie at midnights, firsts of a month …, as round as the window is long. One that is short enough is returned as
    it is; None cuts only what the service does not take whole: ephemeris of more than 31 days. Conjunctions of several
    types are cut type by type. Data products are cut into windows of 62 days or more.

    Raises:
        InvalidInput: The window is shorter than a minute.
    """
    if window is not None:
        check_window(window)
    found: list[Any] = [query]
    if isinstance(query, EphemerisQuery):
        found = _side_by_side(query, min(window or MAX_EPHEMERIS_SPAN, MAX_EPHEMERIS_SPAN))
    elif isinstance(query, ConjunctionQuery) and window is not None:
        found = _sharing_minutes(query, window)
    elif isinstance(query, DataProductQuery) and window is not None:
        found = _reaching_back(query, max(window, 2 * LONGEST_PRODUCT))
    return found


def _side_by_side(query: EphemerisQuery, window: timedelta) -> list[EphemerisQuery]:
    cuts = seams(query.start, query.end, window)
    if not cuts:
        return [query]
    starts, ends = [query.start, *cuts], [*(cut - _SECOND for cut in cuts), query.end]
    return [attrs.evolve(query, start=start, end=end) for start, end in zip(starts, ends, strict=True)]


def _sharing_minutes(query: ConjunctionQuery, window: timedelta) -> list[ConjunctionQuery]:
    cuts = seams(query.start, query.end, window)
    if not cuts:
        return [query]
    return [
        attrs.evolve(query, start=start, end=end, conjunction_types=(kind,))
        for kind in dict.fromkeys(query.conjunction_types)
        for start, end in pairwise([query.start, *cuts, query.end])
    ]


def _reaching_back(query: DataProductQuery, window: timedelta) -> list[DataProductQuery]:
    if query.duration <= window:
        return [query]
    cuts = seams(query.start, query.end, window - LONGEST_PRODUCT)
    starts = [query.start, *(max(query.start, cut - LONGEST_PRODUCT) for cut in cuts)]
    ends = [*(cut - _SECOND for cut in cuts), query.end]
    return [attrs.evolve(query, start=start, end=end) for start, end in zip(starts, ends, strict=True)]


async def fitting_window(query: Query, counts: AvailabilityCounts) -> timedelta | None:
    """Return a window of whole days with which each request takes some seconds; None when nothing need be cut.

    Counts the records a day, on the days that have any, of all data sources that the query names. Metadata filters
    are not looked at: they make results smaller, not larger.
    """
    kind = kind_of(query).name
    blocks = query.blocks.values() if isinstance(query, ConjunctionQuery) else (query,)
    count = counts.data_products if isinstance(query, DataProductQuery) else counts.ephemeris
    by_day: dict[object, int] = {}
    for block in blocks:
        if isinstance(block, CustomLocationsBlock):
            continue
        names = {"program": block.programs, "platform": block.platforms, "instrument_type": block.instrument_types}
        only: dict[str, Any] = {name: values[0] for name, values in names.items() if len(values) == 1}
        for found in await count(query.start, query.end, **only):
            if all(not values or getattr(found.data_source, name) in values for name, values in names.items()):
                for day, records in found.days.items():
                    by_day[day] = by_day.get(day, 0) + records
    if not by_day:
        return None
    days = _FITTING[kind] * len(by_day) // max(sum(by_day.values()), 1)
    return timedelta(days=min(max(days, 1), query.duration.days + 1))


@attrs.frozen
class Split(Generic[QueryT]):
    """A query in windows, and how their results become one.

    `windows` are made by the function of that name, and each is asked in `asked_format`; `merged` then takes their
    results and gives the body that the query itself would have had, in constant memory.
    """

    query: QueryT
    windows: Sequence[QueryT]
    response_format: _Tree | None = None
    """What was asked of the whole."""

    @property
    def asked_format(self) -> _Tree | None:
        """What is asked of each window: the response format, and what is needed to put the records together."""
        if self.response_format is None:
            return None
        return _union(self.response_format, _needed(self.query, self.response_format))

    @property
    def url(self) -> str:
        """What errors call the merged result."""
        return f"the {len(self.windows)} windows of {to_wire(self.query.start)} to {to_wire(self.query.end)}"

    def merged(self, parts: AsyncIterable[Part] | Iterable[Part]) -> Body:
        """Return the body `{"result": […]}`, given the results of all windows, in the order of the windows.

        It can be read once; errors while it is read are those of `records`.
        """
        return _Merged(self, parts)

    async def records(self, parts: AsyncIterable[Part] | Iterable[Part]) -> AsyncGenerator[Pieces, None]:
        """Yield the merged records in lists, as JSON. The parts are read one after the other, each in its turn.

        Raises:
            MalformedAnswer: Records lack what they are put together by, or two windows contradict each other at their
                seam, as when records were loaded in between.
            InvalidInput: A data product lasts longer than windows reach back, so others may be missing.
        """
        merger = self._merger()
        async with aclosing(_each(parts)) as each:
            async for part in each:
                async with aclosing(_each(part)) as blocks:
                    async for block in blocks:
                        if ready := merger.feed(block):
                            yield ready
                if ready := merger.end_window():
                    yield ready

    def _merger(self) -> _Merger:
        merger: _Merger = _Concatenation()
        if isinstance(self.query, ConjunctionQuery):
            merger = _ConjunctionMerger(self.query, self.windows, self.url)
        elif isinstance(self.query, DataProductQuery):
            merger = _ProductMerger(self.windows, self.url)
        if self.response_format is not None:
            added = _added(self.response_format, _needed(self.query, self.response_format))
            if added:
                merger = _Stripped(merger, added)
        return merger


class _Merger(Protocol):
    def feed(self, records: Sequence[msgspec.Raw]) -> Pieces:
        """Take records of the present window; return those, in order, of which nothing will change any more."""

    def end_window(self) -> Pieces:
        """Go on to the next window."""


@attrs.frozen
class _Merged:
    """A body made of the results of windows."""

    _split: Split[Any]
    _parts: AsyncIterable[Part] | Iterable[Part]
    length: None = None

    @property
    def url(self) -> str:
        return self._split.url

    async def chunks(self, size: int = 1 << 20) -> AsyncGenerator[bytes, None]:
        """Yield the text, in pieces as large as the parts come in."""
        before = b'{"result":['
        async with aclosing(self._split.records(self._parts)) as records:
            async for pieces in records:
                yield before + b",".join(pieces)
                before = b","
        yield b"]}" if before == b"," else before + b"]}"


async def _each(items: AsyncIterable[T] | Iterable[T]) -> AsyncGenerator[T, None]:
    """Any iterable as one that can be closed."""
    if isinstance(items, AsyncIterable):
        try:
            async for item in items:
                yield item
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
    else:
        for item in items:
            yield item


class _Concatenation:
    """One behind the other."""

    def feed(self, records: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
        return records

    def end_window(self) -> Sequence[msgspec.Raw]:
        return ()


# Conjunctions -------------------------------------------------------------------------------------------------------


class _Source(msgspec.Struct):
    identifier: int


class _Cut(msgspec.Struct):
    """What tells whether a conjunction is cut, and from which other one."""

    start: datetime
    end: datetime
    data_sources: list[_Source]


@attrs.define(eq=False)
class _Open:
    """A conjunction that reached the end of its window."""

    record: dict[str, Any]
    is_open: bool = True


class _ConjunctionMerger:
    """Joins what seams have cut, each where its first half stood.

    What stands behind one that is open waits for it, up to `_MOST_HELD` records; beyond that, order yields to memory.
    """

    def __init__(self, query: ConjunctionQuery, windows: Sequence[Query], url: str) -> None:
        # A type's first window has nothing before it.
        joints = [one.end if one.end == other.start else None for one, other in pairwise(windows)]
        self._seams = deque(zip([None, *joints], [*joints, None], strict=True))
        self._url = url
        self._decode = msgspec.json.Decoder(_Cut).decode
        blocks = query.blocks.values()
        # A custom location may be another internal data source in every request; a block with just one has no other.
        self._lone_places = [isinstance(block, CustomLocationsBlock) and len(block.locations) == 1 for block in blocks]
        self._cut: dict[tuple[int, ...], _Open] = {}
        """By sources, those that go on in this window."""
        self._cut_again: dict[tuple[int, ...], _Open] = {}
        """Those that go on in the next one."""
        self._held: deque[msgspec.Raw | _Open] = deque()

    def feed(self, records: Sequence[msgspec.Raw]) -> Pieces:
        first, last = self._seams[0]
        for raw in records:
            cut = _decoded(self._decode, raw, self._url)
            begins, reaches = _utc(cut.start) == first, _utc(cut.end) == last
            if not begins and not reaches:
                self._held.append(raw)
                continue
            key = self._key(cut)
            if begins:
                self._extend(key, cut, raw)
            else:
                self._cut_again[key] = one = _Open(msgspec.json.decode(raw))
                self._held.append(one)
            if begins and reaches:
                self._cut_again[key] = self._cut.pop(key)
            elif begins:
                self._cut.pop(key).is_open = False
        return self._released()

    def end_window(self) -> Pieces:
        for one in self._cut.values():
            raise self._contradiction(one.record["end"], "ends nowhere: the second has nothing of it")
        self._cut, self._cut_again = self._cut_again, {}
        self._seams.popleft()
        return self._released()

    def _key(self, cut: _Cut) -> tuple[int, ...]:
        identifiers = [source.identifier for source in cut.data_sources]
        if len(identifiers) != len(self._lone_places):
            found = f"{len(identifiers)} data sources in a conjunction of {len(self._lone_places)}"
            raise MalformedAnswer(self._url, "$.result[…].data_sources", found)
        return tuple(0 if lone else one for one, lone in zip(identifiers, self._lone_places, strict=True))

    def _extend(self, key: tuple[int, ...], cut: _Cut, raw: msgspec.Raw) -> None:
        if key not in self._cut:
            raise self._contradiction(to_wire(cut.start), "has no beginning: the first has nothing of it")
        try:
            _extend(self._cut[key].record, msgspec.json.decode(raw))
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedAnswer(self._url, "$.result[…]", f"a conjunction lacks {error}") from error

    def _contradiction(self, seam: str, what: str) -> MalformedAnswer:
        return MalformedAnswer(
            self._url,
            "$.result[…]",
            f"two windows meet at {seam}, and a conjunction at that minute {what}; search again, or without windows",
        )

    def _released(self) -> Pieces:
        held, ready = self._held, []
        while held and not (isinstance(held[0], _Open) and held[0].is_open):
            ready.append(_text(held.popleft()))
        if len(held) > _MOST_HELD:
            ready += [_text(one) for one in held if not (isinstance(one, _Open) and one.is_open)]
            self._held = deque(one for one in held if isinstance(one, _Open) and one.is_open)
        return ready


def _text(one: msgspec.Raw | _Open) -> bytes | msgspec.Raw:
    return msgspec.json.encode(one.record) if isinstance(one, _Open) else one


_EXTREMES = (("min_distance", "closest_epoch", -1), ("max_distance", "farthest_epoch", 1))
_PARTNERS = ("e1_source", "e2_source")


def _extend(one: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Continue a conjunction, or a pair of one, by its second half. Of equal extremes the first counts."""
    if "end" in one:
        one["end"] = other["end"]
    for distance, epoch, sign in _EXTREMES:
        if distance in one and sign * other[distance] > sign * one[distance]:
            one[distance] = other[distance]
            if epoch in one:
                one[epoch] = other[epoch]
    for query in ("generated_e1_ephemeris_query", "generated_e2_ephemeris_query"):
        if one.get(query) and other.get(query) and "end" in one[query]:
            one[query]["end"] = other[query]["end"]
    if one.get("events") is not None:
        one["events"] = list(_joined_pairs(one["events"], other["events"]))


def _joined_pairs(pairs: Sequence[dict[str, Any]], others: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield pairs continued by those of the same partners; what has no counterpart stays as it is."""
    left = list(others)
    for pair in pairs:
        for index, other in enumerate(left):
            if _partners(pair) == _partners(other):
                _extend(pair, left.pop(index))
                break
        yield pair
    yield from left


def _partners(pair: Mapping[str, Any]) -> list[int]:
    # The identifier of a custom location may be another one in every request; pairs of several keep their order.
    return [max(-1, pair[side]["identifier"]) for side in _PARTNERS]


# Data products ------------------------------------------------------------------------------------------------------


class _Span(msgspec.Struct):
    start: datetime
    end: datetime


class _ProductMerger:
    """Takes each product from the first window that holds it: the one before did not reach its end."""

    def __init__(self, windows: Sequence[Query], url: str) -> None:
        self._known_until = deque([None, *(one.end for one in windows)])
        self._url = url
        self._decode = msgspec.json.Decoder(_Span).decode

    def feed(self, records: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
        return [raw for raw in records if self._is_new(_decoded(self._decode, raw, self._url))]

    def end_window(self) -> Sequence[msgspec.Raw]:
        self._known_until.popleft()
        return ()

    def _is_new(self, span: _Span) -> bool:
        if _utc(span.end) - _utc(span.start) > LONGEST_PRODUCT:
            raise InvalidInput(
                "window",
                f"a data product lasts from {to_wire(span.start)} to {to_wire(span.end)}, and windows meet within "
                f"{LONGEST_PRODUCT.days} days, so that others may be missed: search without a window",
            )
        until = self._known_until[0]
        return until is None or _utc(span.end) > until


# Response formats ---------------------------------------------------------------------------------------------------


class _Stripped:
    """What another merger gives, without the keys that only it needed."""

    def __init__(self, merger: _Merger, added: _Tree) -> None:
        self._merger = merger
        self._added = added

    def feed(self, records: Sequence[msgspec.Raw]) -> Sequence[bytes]:
        return self._strip(self._merger.feed(records))

    def end_window(self) -> Sequence[bytes]:
        return self._strip(self._merger.end_window())

    def _strip(self, records: Pieces) -> Sequence[bytes]:
        return [msgspec.json.encode(_without(msgspec.json.decode(raw), self._added)) for raw in records]


def _needed(query: Query, response_format: _Tree) -> _Tree:
    """Return the keys without which records of a query cannot be put together."""
    if isinstance(query, EphemerisQuery):
        return {}
    needed: dict[str, Any] = {"start": True, "end": True}
    if isinstance(query, DataProductQuery):
        return needed
    needed["data_sources"] = {"identifier": True}
    needed |= {distance: True for distance, epoch, _ in _EXTREMES if _selects(response_format.get(epoch))}
    if _selects(response_format.get("events")):
        needed["events"] = {side: {"identifier": True} for side in _PARTNERS}
    return needed


def _selects(tree: Any) -> bool:
    return any(map(_selects, tree.values())) if isinstance(tree, Mapping) else bool(tree)


def _union(tree: _Tree, needed: _Tree) -> _Tree:
    merged = dict(tree)
    for name, below in needed.items():
        have = tree.get(name)
        if isinstance(below, Mapping) and have is not True:
            merged[name] = _union(have if isinstance(have, Mapping) else {}, below)
        else:
            merged[name] = True
    return merged


def _added(tree: _Tree, needed: _Tree) -> _Tree:
    """Return what `needed` has beyond `tree`: True for a whole key, or what is more below it."""
    added: dict[str, Any] = {}
    for name, below in needed.items():
        have = tree.get(name)
        if not _selects(have):
            added[name] = True
        elif isinstance(have, Mapping) and (more := _added(have, below)):
            added[name] = more
    return added


def _without(value: Any, added: _Tree) -> Any:
    if isinstance(value, list):
        return [_without(one, added) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {name: below for name, below in value.items() if added.get(name) is not True}
    return kept | {name: _without(kept[name], added[name]) for name in added.keys() & kept.keys()}


# ---------------------------------------------------------------------------------------------------------------------


def _decoded(decode: Any, raw: msgspec.Raw, url: str) -> Any:
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise MalformedAnswer(url, f"$.result[…]{where.rstrip('`')}", reason) from error


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
