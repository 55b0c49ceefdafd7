"""Windows of queries, and their results merged: always what the query itself would have answered.

The service is a model of a few lines: what is true at each minute, and the records that follow from it for any query.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async import (
    Conjunction,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProductQuery,
    EphemerisQuery,
    GroundBlock,
    SpaceBlock,
)
from aurora_async.aurorax import splitting
from aurora_async.aurorax.formats import response_format
from aurora_async.aurorax.models import Query
from aurora_async.aurorax.splitting import LONGEST_PRODUCT, Split, windows
from aurora_async.errors import InvalidInput, MalformedAnswer
from aurora_async.times import to_wire
from aurora_async.transfer import blocks, download, parse

Record = dict[str, Any]
T = TypeVar("T")

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


# The model ----------------------------------------------------------------------------------------------------------


def at(step: int) -> str:
    """The instant of a half-minute."""
    return to_wire(BEGIN + step * timedelta(seconds=30))


def source(identifier: int) -> Record:
    return {"identifier": identifier, "program": f"program {identifier}"}


@attrs.frozen
class Sky:
    """By type, data sources and half-minute, the distance of every pair of blocks while all are close."""

    blocks: int
    close: Mapping[tuple[str, tuple[int, ...]], Mapping[int, tuple[float, ...]]]

    def conjunctions(self, query: ConjunctionQuery) -> list[Record]:
        """What a service answers that knows nothing outside the range of the query."""
        first_s, last_s = ((moment - BEGIN).total_seconds() for moment in (query.start, query.end))
        # A half-minute lies between two records, and both must be inside.
        minutes = range(-int(-first_s // 60), int(last_s // 60) + 1)
        steps = {2 * minute for minute in minutes}
        if query.subminute_precision:
            steps |= {2 * minute + 1 for minute in minutes[:-1]}
        found = []
        for kind in dict.fromkeys(query.conjunction_types):
            runs = [
                (run, identifiers, self.close[kind, identifiers])
                for kind_of_these, identifiers in self.close
                if kind_of_these == kind
                for run in _runs(sorted(steps & self.close[kind, identifiers].keys()), query.subminute_precision)
            ]
            runs.sort(key=lambda found: (found[0][0], found[1]))
            found += [_conjunction(kind, identifiers, run, distances) for run, identifiers, distances in runs]
        return found


def _runs(steps: Sequence[int], subminute: bool) -> Iterator[list[int]]:
    run: list[int] = []
    for step in steps:
        if run and step - run[-1] > (1 if subminute else 2):
            yield run
            run = []
        run.append(step)
    if run:
        yield run


def _conjunction(
    kind: str, identifiers: tuple[int, ...], run: list[int], km: Mapping[int, tuple[float, ...]]
) -> Record:
    def among(pairs: Sequence[int]) -> Record:
        nearest, farthest = (
            {step: min(km[step][i] for i in pairs) for step in run},
            {step: max(km[step][i] for i in pairs) for step in run},
        )
        closest, most_distant = min(run, key=nearest.__getitem__), max(run, key=farthest.__getitem__)
        return {
            "conjunction_type": kind, "start": at(run[0]), "end": at(run[-1]),
            "min_distance": nearest[closest], "max_distance": farthest[most_distant],
            "closest_epoch": at(closest), "farthest_epoch": at(most_distant),
        }  # fmt: skip

    pairs = list(combinations(identifiers, 2))
    events = [
        {name: value for name, value in among([i]).items() if not name.endswith("epoch")}
        | {"e1_source": source(one), "e2_source": source(other), "generated_e1_ephemeris_query": _generated(run),
           "generated_e2_ephemeris_query": None}
        for i, (one, other) in enumerate(pairs)
    ]  # fmt: skip
    return among(range(len(pairs))) | {"data_sources": [source(one) for one in identifiers], "events": events}


def _generated(run: list[int]) -> Record:
    return {"start": at(run[0]), "end": at(run[-1]), "data_sources": {"programs": ["swarm"]}}


@st.composite
def skies(draw: st.DrawFn) -> Sky:
    blocks = draw(st.integers(2, 3))
    pairs = blocks * (blocks - 1) // 2
    sources = [draw(st.integers(1, 2)) for _ in range(blocks)]
    close: dict[tuple[str, tuple[int, ...]], dict[int, tuple[float, ...]]] = {}
    for identifiers in product(*(range(10 * block, 10 * block + count) for block, count in enumerate(sources, 1))):
        for kind in ("nbtrace", "sbtrace"):
            # Stretches, since steps drawn one by one would hardly ever make a long conjunction; few distances, so
            # that the smallest is often there twice.
            stretches = draw(st.lists(st.tuples(st.integers(0, 120), st.integers(1, 90)), max_size=4))
            seed = draw(st.randoms(use_true_random=False))
            close[kind, identifiers] = {
                step: tuple(float(seed.randint(1, 6)) for _ in range(pairs))
                for first, length in stretches
                for step in range(first, first + length)
            }
    return Sky(blocks, close)


@st.composite
def conjunction_queries(draw: st.DrawFn, blocks: int) -> ConjunctionQuery:
    start = BEGIN + draw(st.integers(0, 20 * 60)) * timedelta(seconds=1)
    length = timedelta(seconds=draw(st.integers(0, 100 * 60)))
    return ConjunctionQuery(
        start=start, end=start + length, max_distance_km=500, ground=[GroundBlock(programs="a")] * (blocks - 1),
        space=[SpaceBlock(programs="b")], subminute_precision=draw(st.booleans()),
        conjunction_types=draw(st.permutations(["nbtrace", "sbtrace"]).flatmap(
            lambda kinds: st.integers(1, 2).map(lambda count: kinds[:count])
        )),
    )  # fmt: skip


async def part(records: Sequence[Any], size: int = 3) -> AsyncIterator[list[msgspec.Raw]]:
    """A window's records as they are read from a body."""
    texts = [msgspec.Raw(msgspec.json.encode(record)) for record in records]
    for first in range(0, len(texts), size):
        yield texts[first : first + size]


def merged(split: Split[Any], results: Sequence[Sequence[Any]], size: int = 3) -> list[Any]:
    """The records of a merged body, read by the same cutter that reads the service's own."""

    async def read() -> bytes:
        return b"".join([chunk async for chunk in split.merged(part(records, size) for records in results).chunks()])

    return parse(run(read()), url="merged")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what never really waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return cast(T, stop.value)
    raise AssertionError("it waits")


def length_of(query: Query) -> timedelta:
    return query.end - query.start


# Windows ------------------------------------------------------------------------------------------------------------


def ephemeris(start: str, end: str) -> EphemerisQuery:
    return EphemerisQuery(start=start, end=end, programs="swarm")


def test_a_year_of_ephemeris_is_twelve_months() -> None:
    """The service takes 31 days; the first of one window follows the last second of the one before."""
    found = windows(ephemeris("2019", "2019"))
    assert [(to_wire(one.start), to_wire(one.end)) for one in found[:2]] == [
        ("2019-01-01T00:00:00", "2019-01-31T23:59:59"),
        ("2019-02-01T00:00:00", "2019-02-28T23:59:59"),
    ]
    assert len(found) == 12
    assert {one.programs for one in found if isinstance(one, EphemerisQuery)} == {("swarm",)}


@given(days=st.integers(1, 900), window_days=st.none() | st.floats(0.05, 500), start_s=st.integers(0, 10**7))
def test_every_second_is_in_one_window_of_ephemeris(days: int, window_days: float | None, start_s: int) -> None:
    """A second in two windows would repeat its record, one in none would lose it."""
    start = BEGIN + timedelta(seconds=start_s)
    query = EphemerisQuery(start=start, end=start + days * DAY, programs="swarm")
    window = None if window_days is None else max(window_days, days / 1000) * DAY
    found = windows(query, window)
    assert (found[0].start, found[-1].end) == (query.start, query.end)
    assert all(one.end + timedelta(seconds=1) == other.start for one, other in pairwise(found))
    assert all(length_of(one) <= min(window or 31 * DAY, 31 * DAY) for one in found)


@pytest.mark.parametrize("window", [None, 31 * DAY, 400 * DAY])
def test_what_is_short_enough_stays_as_it_is(window: timedelta | None) -> None:
    """Nothing changes for a query that needs no window: also not its types."""
    month = ConjunctionQuery(
        start="2020-01", end="2020-01", max_distance_km=500, ground=GroundBlock(programs="a"),
        space=SpaceBlock(programs="b"), conjunction_types=["nbtrace", "sbtrace"],
    )  # fmt: skip
    assert windows(month, window) == [month]
    assert windows(ephemeris("2020-01", "2020-01"), window) == [ephemeris("2020-01", "2020-01")]


def test_windows_of_data_products_overlap_and_are_never_short() -> None:
    """A product is found only where it lies wholly inside; a short window would find hardly any."""
    year = DataProductQuery(start="2019", end="2019", programs="trex")
    found = windows(year, DAY)
    assert found == windows(year, 62 * DAY)
    assert all(length_of(one) <= 62 * DAY for one in found)
    assert all(one.end + timedelta(seconds=1) - LONGEST_PRODUCT == other.start for one, other in pairwise(found))


@pytest.mark.parametrize("query", [ephemeris("2019", "2019"), DataProductQuery(start="2019", end="2019", programs="a")])
def test_a_window_of_seconds_is_refused(query: Query) -> None:
    """There is a record a minute: a shorter window is a mistake, and would make thousands of requests."""
    with pytest.raises(InvalidInput, match="at least a minute"):
        windows(query, timedelta(seconds=10))


# Merging ------------------------------------------------------------------------------------------------------------


@given(data=st.data(), sky=skies(), window_minutes=st.integers(1, 45), size=st.integers(1, 50))
def test_conjunctions_of_windows_are_those_of_the_whole(
    data: st.DataObject, sky: Sky, window_minutes: int, size: int
) -> None:
    """Several blocks and types, half-minutes, many seams, ties, ends on a seam: the same records in the same order."""
    query = data.draw(conjunction_queries(sky.blocks))
    split = Split(query, windows(query, window_minutes * MINUTE))
    results = [sky.conjunctions(one) for one in split.windows]
    assert merged(split, results, size) == sky.conjunctions(query)


KEEP_ALL = response_format("conjunctions")
FORMATS: list[Record] = [
    {"min_distance": True},
    {"closest_epoch": True},
    {"farthest_epoch": True, "start": True},
    {"data_sources": {"program": True}, "end": True},
    {"data_sources": {"identifier": True}},
    {"data_sources": True, "closest_epoch": False},
    {"events": {"start": True, "end": True}},
    {"events": {"e1_source": {"program": True}, "max_distance": True}, "max_distance": True},
    {"events": {"e2_source": {"identifier": False}, "e1_source": {"identifier": True}}},
    {"events": {"generated_e1_ephemeris_query": {"end": True}}},
    {"events": True},
    KEEP_ALL,
]


def reduced(value: Any, wanted: Any) -> Any:
    """A record in a response format, as the service reduces it."""
    if wanted is True or value is None:
        return value
    if isinstance(value, list):
        return [reduced(one, wanted) for one in value]
    return {name: reduced(value[name], below) for name, below in wanted.items() if name in value and _selects(below)}


def _selects(tree: Any) -> bool:
    return any(map(_selects, tree.values())) if isinstance(tree, Mapping) else bool(tree)


@pytest.mark.parametrize("wanted", FORMATS, ids=msgspec.json.encode)
@settings(max_examples=15)
@given(data=st.data(), sky=skies(), window_minutes=st.integers(1, 45))
def test_a_response_format_loses_nothing_that_the_halves_are_joined_by(
    data: st.DataObject, sky: Sky, window_minutes: int, wanted: Record
) -> None:
    """What is needed beyond the format is asked for, and not given on."""
    # One that is always there: nearest in the second of three windows or so, farthest in the last.
    long = {2 * minute: (abs(minute - 25.0),) * (sky.blocks * (sky.blocks - 1) // 2) for minute in range(90)}
    sky = attrs.evolve(sky, close={**sky.close, ("nbtrace", tuple(range(1, sky.blocks + 1))): long})
    query = data.draw(conjunction_queries(sky.blocks))
    split = Split(query, windows(query, window_minutes * MINUTE), wanted)
    results = [[reduced(record, split.asked_format) for record in sky.conjunctions(one)] for one in split.windows]
    assert merged(split, results) == [reduced(record, wanted) for record in sky.conjunctions(query)]


def sky_of(steps: Mapping[tuple[int, ...], Sequence[int]]) -> Sky:
    return Sky(
        2, {("nbtrace", identifiers): {2 * at: (float(at),) for at in found} for identifiers, found in steps.items()}
    )


def conjunction_query(minutes: int, **changes: Any) -> ConjunctionQuery:
    ours: dict[str, Any] = {"ground": GroundBlock(programs="a"), "space": SpaceBlock(programs="b")}
    return ConjunctionQuery(start=BEGIN, end=BEGIN + minutes * MINUTE, max_distance_km=500, **(ours | changes))


def test_a_place_of_ones_own_may_change_its_identifier_from_window_to_window() -> None:
    """The service makes an internal data source for it, and nobody promises that it is the same one twice."""
    query = conjunction_query(30, ground=(), custom_locations=CustomLocationsBlock(locations=[(51, -114)]))
    split = Split(query, windows(query, 10 * MINUTE))
    truth = {
        -1: sky_of({(3, -1): range(5, 26)}),
        -7: sky_of({(3, -7): range(5, 26)}),
        -9: sky_of({(3, -9): range(5, 26)}),
    }
    results = [sky.conjunctions(one) for one, sky in zip(split.windows, truth.values(), strict=True)]
    assert merged(split, results) == truth[-1].conjunctions(query)


def test_a_pair_that_only_one_half_has_is_kept() -> None:
    """Nothing promises that both halves name the same pairs."""
    query = conjunction_query(20)
    split = Split(query, windows(query, 10 * MINUTE))
    sky = sky_of({(1, 2): range(5, 16)})
    results = [sky.conjunctions(one) for one in split.windows]
    more = results[1][0]["events"][0] | {"e1_source": source(9)}
    results[1][0]["events"].append(more)
    (found,) = merged(split, results)
    assert found["events"] == [*sky.conjunctions(query)[0]["events"], more]


@pytest.mark.parametrize("lost", [0, 1])
def test_windows_that_contradict_each_other_at_their_seam_are_no_answer(lost: int) -> None:
    """Records were loaded or deleted between two requests: half a conjunction must not pass for a whole one."""
    query = conjunction_query(20)
    split = Split(query, windows(query, 10 * MINUTE))
    sky = sky_of({(1, 2): range(5, 16)})
    results = [sky.conjunctions(one) for one in split.windows]
    results[lost].clear()
    with pytest.raises(MalformedAnswer, match="2020-01-01T00:10:00"):
        merged(split, results)


@pytest.mark.parametrize("damage", [{"start": "soon"}, {"data_sources": [{}]}, {"data_sources": []}, {"events": [{}]}])
def test_records_that_cannot_be_joined_are_malformed(damage: Record) -> None:
    """What is wrong with the answer is said, as everywhere, by an error of ours that names the place."""
    query = conjunction_query(20)
    split = Split(query, windows(query, 10 * MINUTE))
    sky = sky_of({(1, 2): range(5, 16)})
    results = [sky.conjunctions(one) for one in split.windows]
    results[1][0] |= damage
    with pytest.raises(MalformedAnswer, match=r"\$\.result"):
        merged(split, results)


def test_one_that_lasts_for_ever_does_not_hold_up_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded: beyond a number that waits, the order gives way, and no record is lost."""
    monkeypatch.setattr(splitting, "_MOST_HELD", 10)
    query = conjunction_query(600)
    # Some before it, which are given on in order, and far more behind it than may wait.
    sky = sky_of({(1, 2): range(5, 601)} | {(1, 3 + minute): [minute] for minute in range(1, 600)})
    split = Split(query, windows(query, HOUR))
    merger = splitting._ConjunctionMerger(query, split.windows, "here")
    most = 0
    given_on: list[Any] = []
    for one in split.windows:
        given_on += merger.feed([msgspec.Raw(msgspec.json.encode(record)) for record in sky.conjunctions(one)])
        most = max(most, len(merger._held))
        given_on += merger.end_window()
    found = [msgspec.json.decode(text) for text in given_on]
    by_start = sorted(found, key=lambda record: (record["start"], record["data_sources"][1]["identifier"]))
    assert by_start == sky.conjunctions(query)
    assert most <= 11


@st.composite
def products(draw: st.DrawFn) -> list[Record]:
    """Products of up to 31 days anywhere in half a year, hours and whole days among them."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        hours = draw(st.integers(0, 24 * 250))
        length = draw(
            st.sampled_from([59 * MINUTE, DAY - MINUTE, DAY, 8 * DAY, LONGEST_PRODUCT - HOUR, LONGEST_PRODUCT])
        )
        start = BEGIN + hours * HOUR
        found.append({"start": to_wire(start), "end": to_wire(start + length), "url": f"/{number}"})
    return sorted(found, key=lambda record: (record["end"], record["url"]))


def products_in(truth: Sequence[Record], query: Query) -> list[Record]:
    return [one for one in truth if one["start"] >= to_wire(query.start) and one["end"] <= to_wire(query.end)]


@given(truth=products(), hours=st.integers(0, 24 * 250), start=st.integers(0, 500), days=st.integers(1, 200))
def test_a_data_product_across_a_seam_comes_once(truth: list[Record], hours: int, start: int, days: int) -> None:
    """It is in no window that ends in its middle, and in two that overlap by its length."""
    query = DataProductQuery(start=BEGIN + start * HOUR, end=BEGIN + (start + hours) * HOUR, programs="trex")
    for wanted in (None, {"url": True}, {"start": True, "url": True}):
        split = Split(query, windows(query, days * DAY), wanted)
        expected = copy.deepcopy(products_in(truth, query))
        results = [products_in(truth, one) for one in split.windows]
        if wanted is not None:
            results = [[reduced(record, split.asked_format) for record in records] for records in results]
            expected = [reduced(record, wanted) for record in expected]
        assert merged(split, results) == expected


def test_products_too_long_for_the_overlap_are_said_not_lost() -> None:
    """One of them was found in the middle of a window; another may lie across a seam, where nobody finds it."""
    query = DataProductQuery(start="2019", end="2019", programs="trex")
    split = Split(query, windows(query, 90 * DAY))
    long = {"start": "2019-01-02T00:00:00", "end": "2019-02-10T00:00:00", "url": "/1"}
    with pytest.raises(InvalidInput, match="2019-01-02T00:00:00"):
        merged(split, [[long]] + [[]] * (len(split.windows) - 1))


@given(counts=st.lists(st.integers(0, 8), min_size=1, max_size=6), wanted=st.sampled_from([None, {"epoch": True}]))
def test_ephemeris_is_put_one_behind_the_other(counts: list[int], wanted: Record | None) -> None:
    """To the letter: not even a number is spelled anew."""
    query = ephemeris("2019", "2019")
    split = Split(query, windows(query)[: len(counts)], wanted)
    assert split.asked_format == wanted
    records = [[{"epoch": f"{window}:{number}"} for number in range(count)] for window, count in enumerate(counts)]
    assert merged(split, records) == [record for window in records for record in window]


async def test_a_merged_body_is_saved_like_any_other(tmp_path: Path) -> None:
    """Every format of a file works on it, and records decode to their class."""
    query = conjunction_query(60)
    sky = sky_of({(1, 2): range(5, 45), (1, 3): [9, 10, 11], (2, 2): [10]})
    split = Split(query, windows(query, 10 * MINUTE))

    def body() -> Any:
        return split.merged(part(sky.conjunctions(one)) for one in split.windows if isinstance(one, ConjunctionQuery))

    saved = await download(body(), tmp_path / "a.json", format="json", sort_key="start")
    assert saved.records == 3
    assert msgspec.json.decode(saved.path.read_bytes()) == sky.conjunctions(query)
    saved = await download(body(), tmp_path / "a.jsonl", format="jsonl")
    assert [msgspec.json.decode(line) for line in saved.path.read_bytes().splitlines()] == sky.conjunctions(query)
    saved = await download(body(), tmp_path / "a.body", format="body")
    assert msgspec.json.decode(saved.path.read_bytes()) == {"result": sky.conjunctions(query)}
    found = [record async for block in blocks(body(), Conjunction) for record in block.records]
    assert [record.closest_epoch.minute for record in found] == [5, 9, 10]


async def test_nothing_found_is_an_empty_list() -> None:
    """A body without a record is whole, too."""
    query = conjunction_query(60)
    split = Split(query, windows(query, 10 * MINUTE))
    body = split.merged(part([]) for _ in split.windows)
    assert b"".join([chunk async for chunk in body.chunks()]) == b'{"result":[]}'


async def test_a_window_is_read_when_its_turn_has_come_and_closed_when_the_reader_leaves() -> None:
    """Results wait on the service, not in memory; and no connection stays open behind a reader who has enough."""
    query = ephemeris("2019", "2019")
    split = Split(query, windows(query))
    opened, closed = [], []

    async def window(number: int) -> AsyncIterator[list[msgspec.Raw]]:
        opened.append(number)
        try:
            for _ in range(3):
                yield [msgspec.Raw(b'{"epoch":1}')]
        finally:
            closed.append(number)

    chunks = split.merged(window(number) for number in range(12)).chunks()
    for _ in range(4):
        await anext(chunks)
    assert (opened, closed) == ([0, 1], [0])
    await chunks.aclose()  # type: ignore[attr-defined]
    assert (opened, closed) == ([0, 1], [0, 1])
