"""The conjunction search against a finder that tries everything, and against a published search."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax import find
from aurora_async.server.aurorax.find import Counters, Finder, Found, FoundPair, Track, distance_km, find_conjunctions
from aurora_async.server.data import station_of_identifier

FACTS = Path(__file__).parents[2] / "facts"
Point = tuple[float, float]
Blocks = dict[str, list[Track]]
Limits = dict[str, float | None]

FIRST_MINUTE = 26_297_280  # 2020-01-01T00:00
WHOLE = {"start_s": 0, "end_s": 1 << 40}


def track(identifier: int, points: Mapping[int, Point]) -> Track:
    minutes = sorted(points)
    return Track(
        identifier,
        np.array(minutes, dtype=np.int64),
        np.array([points[minute] for minute in minutes], dtype=np.float64).reshape(-1, 2),
    )


def still(identifier: int, point: Point, first: int, last: int) -> Track:
    minutes = np.arange(first, last + 1)
    return Track(identifier, minutes, np.broadcast_to(np.array(point), (len(minutes), 2)))


# A finder that tries everything -------------------------------------------------------------------------------------

Vector = tuple[float, float, float]


def vector(point: Point) -> Vector:
    lat, lon = map(math.radians, point)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def apart_km(one: Vector, other: Vector) -> float:
    """By the cross product: another way than the one tested."""
    cross = (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )
    return 6371.0 * math.atan2(math.hypot(*cross), sum(a * b for a, b in zip(one, other, strict=True)))


def positions(track: Track, *, subminute: bool, start_s: int, end_s: int) -> dict[int, Vector]:
    """Positions by second."""
    points = {
        int(minute) * 60: vector((float(lat), float(lon)))
        for minute, (lat, lon) in zip(track.minutes, track.points_deg, strict=True)
        if start_s <= minute * 60 <= end_s
    }
    if subminute:
        for second in list(points):
            if second + 60 in points:
                total = [a + b for a, b in zip(points[second], points[second + 60], strict=True)]
                length = math.hypot(*total)
                assume(length > 1e-6)
                points[second + 30] = (total[0] / length, total[1] / length, total[2] / length)
    return points


def find_naively(
    blocks: Mapping[str, Sequence[Track]], limits: Limits, *, subminute: bool, start_s: int, end_s: int
) -> tuple[list[Found], Counters]:
    names = list(blocks)
    step = 30 if subminute else 60
    known = {
        name: {
            track.identifier: positions(track, subminute=subminute, start_s=start_s, end_s=end_s) for track in tracks
        }
        for name, tracks in blocks.items()
    }
    limited: dict[tuple[int, int], tuple[float, bool]] = {}
    for (i, one), (j, other) in combinations(enumerate(names), 2):
        limit = limits.get(f"{one}-{other}", limits.get(f"{other}-{one}"))
        if limit is not None:
            same_site = limit == 0 and one.startswith("ground") and other.startswith("ground")
            limited[i, j] = (1.0 if same_site else limit, same_site)

    def runs(seconds: list[int]) -> Iterator[list[int]]:
        run: list[int] = []
        for second in sorted(seconds):
            if run and second != run[-1] + step:
                yield run
                run = []
            run.append(second)
        if run:
            yield run

    def close(i: int, j: int, a: int, b: int, second: int) -> float | None:
        one, other = known[names[i]][a].get(second), known[names[j]][b].get(second)
        if one is None or other is None or a == b:
            return None
        km, limit = apart_km(one, other), limited[i, j][0]
        assume(km == limit or abs(km - limit) > 1e-6)
        return km if km <= limit else None

    events = intervals = 0
    for i, j in limited:
        for a, b in product(known[names[i]], known[names[j]]):
            times = [second for second in known[names[i]][a] if close(i, j, a, b, second) is not None]
            events += len(times)
            intervals += sum(1 for _ in runs(times))

    found = []
    telling = [pair for pair, (_, same_site) in limited.items() if not same_site] or list(limited)
    for identifiers in product(*(known[name] for name in names)):
        if len(set(identifiers)) < len(identifiers):
            continue
        distances: dict[int, dict[tuple[int, int], float]] = {}
        for second in set.intersection(*(set(known[n][i]) for n, i in zip(names, identifiers, strict=True))):
            kms = {(i, j): close(i, j, identifiers[i], identifiers[j], second) for i, j in limited}
            if all(km is not None for km in kms.values()):
                distances[second] = {pair: km for pair, km in kms.items() if km is not None}
        for run in runs(list(distances)):
            low = {second: min(distances[second][pair] for pair in telling) for second in run}
            high = {second: max(distances[second][pair] for pair in telling) for second in run}
            pairs = []
            for i, j in sorted(limited):
                kms_of_pair = [distances[second][i, j] for second in run]
                pairs.append(
                    FoundPair((identifiers[i], identifiers[j]), run[0], run[-1], min(kms_of_pair), max(kms_of_pair))
                )
            found.append(
                Found(
                    identifiers, run[0], run[-1], min(run, key=lambda s: low[s]), max(run, key=lambda s: high[s]),
                    min(low.values()), max(high.values()), tuple(pairs),
                )
            )  # fmt: skip
    return found, Counters(events, intervals, len(found), math.prod(len(tracks) for tracks in blocks.values()))


def assert_same(actual: Iterator[Found] | list[Found], expected: list[Found]) -> None:
    def key(found: Found) -> tuple[Any, ...]:
        return found.start, found.identifiers

    left, right = sorted(actual, key=key), sorted(expected, key=key)
    assert [(f.identifiers, f.start, f.end) for f in left] == [(f.identifiers, f.start, f.end) for f in right]
    for mine, theirs in zip(left, right, strict=True):
        assert mine.min_distance_km == pytest.approx(theirs.min_distance_km, abs=1e-6)
        assert mine.max_distance_km == pytest.approx(theirs.max_distance_km, abs=1e-6)
        for one, other in zip(mine.pairs, theirs.pairs, strict=True):
            assert (one.identifiers, one.start, one.end) == (other.identifiers, other.start, other.end)
            assert one.min_distance_km == pytest.approx(other.min_distance_km, abs=1e-6)
            assert one.max_distance_km == pytest.approx(other.max_distance_km, abs=1e-6)


SITES: list[Point] = [(56.376723, -94.643664), (56.376723, -94.643664), (54.6, -113.64), (61.76, -121.27)]


@st.composite
def tracks_of(draw: st.DrawFn, identifier: int) -> Track:
    """A source that moves on, stays (as one point, or as many), or jumps about; with gaps."""
    minutes = draw(st.sets(st.integers(0, 11), max_size=10))
    kind = draw(st.sampled_from(["moves", "is a place", "stays", "jumps", "anywhere"]))
    site = draw(st.sampled_from(SITES))
    if kind == "is a place":
        there = np.array(sorted(minutes), dtype=np.int64) + FIRST_MINUTE
        return Track(identifier, there, np.broadcast_to(np.array(site), (len(there), 2)))
    if kind == "stays":
        return track(identifier, {FIRST_MINUTE + minute: site for minute in minutes})
    if kind == "moves":
        speed = draw(st.floats(-4, 4)), draw(st.floats(-8, 8))
        return track(
            identifier,
            {FIRST_MINUTE + m: (site[0] + speed[0] * (m - 5), site[1] + speed[1] * (m - 5)) for m in minutes},
        )
    spread = 3.0 if kind == "jumps" else 30.0
    offsets = st.floats(-spread, spread)
    return track(
        identifier, {FIRST_MINUTE + m: (site[0] + draw(offsets), site[1] + 4 * draw(offsets)) for m in minutes}
    )


@st.composite
def searches(draw: st.DrawFn) -> tuple[Blocks, Limits, dict[str, Any]]:
    names = draw(st.sampled_from([
        ["ground1", "space1"],
        ["ground1", "ground2"],
        ["ground1", "space1", "space2"],
        ["ground1", "ground2", "space1"],
        ["space1", "events1", "adhoc1"],
        ["ground1", "ground2", "space1", "space2"],
    ]))  # fmt: skip
    pool = [draw(tracks_of(identifier)) for identifier in range(1, draw(st.integers(2, 5)) + 1)]
    blocks = {
        name: draw(st.lists(st.sampled_from(pool), min_size=0, max_size=3, unique_by=lambda track: track.identifier))
        for name in names
    }
    limit = st.sampled_from([None, 0, 0.0, 150, 400.5, 1000, 2500, 9000, 20_100])
    limits: Limits = {}
    for one, other in combinations(names, 2):
        if draw(st.booleans()):
            limits[f"{other}-{one}" if draw(st.booleans()) else f"{one}-{other}"] = draw(limit)
    if all(value is None for value in limits.values()):
        limits[f"{names[0]}-{names[1]}"] = draw(limit.filter(lambda value: value is not None))
        limits.pop(f"{names[1]}-{names[0]}", None)
    begin = FIRST_MINUTE * 60 + draw(st.integers(-70, 200))
    window = {"start_s": begin, "end_s": begin + draw(st.integers(0, 900)), "subminute": draw(st.booleans())}
    return blocks, limits, window


@settings(max_examples=120, deadline=None)
@given(searches())
def test_it_finds_what_trying_everything_finds(search: tuple[Blocks, Limits, dict[str, Any]]) -> None:
    """Intervals, extremes, pairs, counters; with gaps, time ranges, half-minutes and up to four blocks."""
    blocks, limits, window = search
    expected, counters = find_naively(blocks, limits, **window)
    actual = find_conjunctions(blocks, limits, **window)
    assert actual.counters == counters
    assert len(actual) == len(expected)
    assert_same(iter(actual), expected)


@settings(max_examples=80, deadline=None)
@given(searches(), st.integers(1, 5), st.lists(st.integers(0, 11), max_size=3), st.integers(1, 8))
def test_neither_chunks_nor_stretches_nor_a_full_table_show(
    search: tuple[Blocks, Limits, dict[str, Any]], chunk: int, cuts: list[int], rows: int
) -> None:
    """However the time is cut, the result is the same to the last digit, and so are the counters."""
    blocks, limits, window = search
    whole = find_conjunctions(blocks, limits, **window)
    identifiers = {name: [track.identifier for track in tracks] for name, tracks in blocks.items()}
    borders = [0, *(FIRST_MINUTE + cut for cut in sorted(cuts)), 1 << 40]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find, "_MINUTES_OF_CHUNK", chunk)
        patch.setattr(find, "MAX_ROWS_AT_ONCE", rows)
        finder = Finder(identifiers, limits, **window)
        for begin, end in pairwise(borders):
            stretch = {}
            for name, tracks in blocks.items():
                part = []
                for whole_track in tracks:
                    inside = (whole_track.minutes >= begin) & (whole_track.minutes < end)
                    part.append(
                        Track(whole_track.identifier, whole_track.minutes[inside], whole_track.points_deg[inside])
                    )
                stretch[name] = part
            finder.feed(stretch)
        cut = finder.finish()
    assert cut.counters == whole.counters
    assert list(cut) == list(whole)


@given(
    st.tuples(st.floats(-90, 90), st.floats(-180, 360)),
    st.tuples(st.floats(-90, 90), st.floats(-180, 360)),
)
@settings(max_examples=80, deadline=None)
def test_the_quick_preselection_loses_nothing_at_the_limit(one: Point, other: Point) -> None:
    """A distance of exactly the limit is within it, anywhere on the sphere, however small or large."""
    km = float(distance_km(np.array([one]), np.array([other]))[0])
    assume(km > 0)
    blocks = {"space1": [still(1, one, 5, 5)], "space2": [still(2, other, 5, 5)]}
    assert len(find_conjunctions(blocks, {"space1-space2": km}, subminute=False, **WHOLE)) == 1
    below = math.nextafter(km, 0.0)
    assert len(find_conjunctions(blocks, {"space1-space2": below}, subminute=False, **WHOLE)) == 0


def test_epochs_are_those_of_the_extremes() -> None:
    """The closest and the farthest minute, the first of them when two are equal."""
    passing = track(7, {100 + minute: (56.0, lon) for minute, lon in enumerate((-100, -98, -96, -96, -98, -100))})
    blocks = {"ground1": [still(1, (56.0, -95.0), 100, 105)], "space1": [passing]}
    (found,) = find_conjunctions(blocks, {"ground1-space1": 200}, subminute=False, **WHOLE)
    assert (found.start, found.end) == (101 * 60, 104 * 60)
    assert found.closest == 102 * 60  # as close as 103
    assert found.farthest == 101 * 60  # as far as 104


@given(searches())
@settings(max_examples=30, deadline=None)
def test_extremes_lie_inside_their_interval(search: tuple[Blocks, Limits, dict[str, Any]]) -> None:
    """As in the complete published table; the distances of all pairs lie between those of the conjunction."""
    blocks, limits, window = search
    for found in find_conjunctions(blocks, limits, **window):
        assert found.start <= found.closest <= found.end
        assert found.start <= found.farthest <= found.end
        assert found.min_distance_km <= found.max_distance_km
        assert all((pair.start, pair.end) == (found.start, found.end) for pair in found.pairs)


def test_the_query_window_cuts_intervals() -> None:
    """Minutes outside do not exist for the search, to the second."""
    blocks = {"ground1": [still(1, (56.0, -95.0), 0, 9)], "space1": [still(2, (56.5, -95.0), 0, 9)]}
    (found,) = find_conjunctions(blocks, {"ground1-space1": 100}, subminute=False, start_s=121, end_s=359)
    assert (found.start, found.end) == (180, 300)
    (found,) = find_conjunctions(blocks, {"ground1-space1": 100}, subminute=True, start_s=120, end_s=360)
    assert (found.start, found.end) == (120, 360)


def test_half_minutes_find_what_whole_minutes_miss() -> None:
    """Between two minutes on either side of a site there is one half-minute above it; a gap is not bridged."""
    passing = track(2, {10: (54.0, -95.0), 11: (58.0, -95.0), 13: (54.0, -95.0), 15: (58.0, -95.0)})
    blocks = {"ground1": [still(1, (56.0, -95.0), 0, 20)], "space1": [passing]}
    assert len(find_conjunctions(blocks, {"ground1-space1": 100}, subminute=False, **WHOLE)) == 0
    (found,) = find_conjunctions(blocks, {"space1-ground1": 100}, subminute=True, **WHOLE)
    assert (found.start, found.end, found.closest) == (630, 630, 630)
    assert found.min_distance_km == pytest.approx(0, abs=1e-6)


def test_nothing_is_interpolated_between_opposite_points() -> None:
    """They have no middle, and no warning says so either."""
    jump = track(2, {10: (0.0, 0.0), 11: (0.0, 180.0)})
    blocks = {"ground1": [still(1, (0.0, 90.0), 0, 20)], "space1": [jump]}
    (found,) = find_conjunctions(blocks, {"ground1-space1": 20_100}, subminute=True, start_s=600, end_s=600)
    assert found.start == 600
    assert [f.start for f in find_conjunctions(blocks, {"ground1-space1": 20_100}, subminute=True, **WHOLE)] == [
        600,
        660,
    ]


def test_no_kilometres_between_ground_blocks_mean_the_same_site() -> None:
    """Two cameras of one site, a few metres apart: together with a spacecraft, and their own distance is not told.

    In the published search of four blocks (2020-01-01 to 04, 500 km) the smallest distance is 257 km.
    """
    blocks = {
        "ground1": [still(1, (56.3767, -94.6436), 0, 5), still(2, (54.6, -113.64), 0, 5)],
        "ground2": [still(3, (56.3768, -94.6437), 0, 5)],
        "space1": [still(4, (57.0, -94.0), 2, 4)],
    }
    limits: Limits = {"ground1-ground2": 0, "ground1-space1": 500, "ground2-space1": 500}
    (found,) = find_conjunctions(blocks, limits, subminute=False, **WHOLE)
    assert found.identifiers == (1, 3, 4)
    assert found.min_distance_km > 50
    assert [pair.identifiers for pair in found.pairs] == [(1, 3), (1, 4), (3, 4)]
    assert found.pairs[0].max_distance_km < 0.1


def test_a_data_source_is_never_its_own_partner() -> None:
    """Two blocks that name the same spacecraft mean two different ones of them, also when their pair has no limit."""
    swarm = [still(3, (60.0, 10.0), 0, 5), still(29, (60.1, 10.0), 0, 5)]
    found = list(find_conjunctions({"space1": swarm, "space2": swarm}, {"space1-space2": 50}, subminute=False, **WHOLE))
    assert [f.identifiers for f in found] == [(3, 29), (29, 3)]
    blocks = {"ground1": [still(1, (60.0, 11.0), 0, 5)], "space1": swarm, "space2": swarm}
    limits: Limits = {"ground1-space1": 100, "ground1-space2": 100, "space1-space2": None}
    found = list(find_conjunctions(blocks, limits, subminute=False, **WHOLE))
    assert [f.identifiers for f in found] == [(1, 3, 29), (1, 29, 3)]
    assert [pair.identifiers for pair in found[0].pairs] == [(1, 3), (1, 29)]


def test_a_block_without_limits_still_has_to_be_there() -> None:
    """ "No limit" is a distance that everything satisfies, between records that exist."""
    blocks = {
        "ground1": [still(1, (60.0, 11.0), 0, 9)],
        "space1": [still(2, (60.0, 10.0), 0, 9)],
        "space2": [track(3, dict.fromkeys((2, 3, 7), (-50.0, 100.0)))],
    }
    found = list(find_conjunctions(blocks, {"ground1-space1": 100}, subminute=False, **WHOLE))
    assert [(f.start // 60, f.end // 60) for f in found] == [(2, 3), (7, 7)]


def test_a_limit_that_is_missing_or_misnamed_is_refused() -> None:
    """The finder searches for nothing in particular only by mistake."""
    blocks: Blocks = {"ground1": [], "space1": []}
    with pytest.raises(InvalidQuery, match="limits no pair"):
        find_conjunctions(blocks, {"ground1-space1": None}, subminute=False, **WHOLE)
    with pytest.raises(InvalidQuery) as caught:
        find_conjunctions(blocks, {"ground1-space2": 500}, subminute=False, **WHOLE)
    assert caught.value.field == "max_distances.ground1-space2"


def test_far_too_many_combinations_are_an_error_and_not_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no service would return is refused before it is built."""
    monkeypatch.setattr(find, "MAX_ROWS_AT_ONCE", 10)
    monkeypatch.setattr(find, "MAX_ROWS_OF_A_MINUTE", 100)
    many = {f"space{n}": [still(100 * n + i, (60.0, 10.0), 0, 3) for i in range(6)] for n in range(1, 4)}
    with pytest.raises(InvalidQuery, match="combinations of data sources at one minute"):
        find_conjunctions(many, {"space1-space2": 9, "space2-space3": 9}, subminute=False, **WHOLE)


def test_stretches_must_come_in_order() -> None:
    """A record fed too late would silently be lost."""
    finder = Finder({"ground1": [1], "space1": [2]}, {"ground1-space1": 9}, subminute=False, **WHOLE)
    finder.feed({"ground1": [still(1, (0.0, 0.0), 5, 6)]})
    with pytest.raises(ValueError, match="minute 6 was fed"):
        finder.feed({"space1": [still(2, (0.0, 0.0), 6, 7)]})
    with pytest.raises(ValueError, match="does not belong"):
        finder.feed({"space1": [still(3, (0.0, 0.0), 8, 9)]})


def test_results_come_by_start_time() -> None:
    """The service promises no order; ours is one that readers like."""
    blocks = {
        "ground1": [still(i, (60.0, 10.0), 20 - 5 * i, 21 - 5 * i) for i in (1, 2, 3)],
        "space1": [still(9, (60.0, 10.5), 0, 30)],
    }
    assert [f.start for f in find_conjunctions(blocks, {"ground1-space1": 100}, subminute=False, **WHOLE)] == [
        300,
        600,
        900,
    ]


def test_the_published_search_of_2020_01_01_is_found() -> None:
    """THEMIS-ASI and Swarm within 500 km: each of the 49 conjunctions, starts and ends within a minute."""
    rows = json.loads((FACTS / "computed_swarm_footprints.json").read_text(encoding="utf-8"))["rows"]
    swarm: dict[int, dict[int, Point]] = {}
    for identifier, epoch, lat, lon in rows:
        swarm.setdefault(identifier, {})[int(np.datetime64(epoch, "m").astype(np.int64))] = (lat, lon)
    published = json.loads((FACTS / "published_searches.json").read_text(encoding="utf-8"))["searches"][0]
    start_s, end_s = (int(np.datetime64(published[key], "s").astype(np.int64)) for key in ("start", "end"))
    stations = station_of_identifier()
    ground = [
        still(identifier, (stations[identifier].lat_deg, stations[identifier].lon_deg), start_s // 60, end_s // 60)
        for identifier in sorted({row["first_source"] for row in published["rows"]})
    ]
    search = find_conjunctions(
        {"ground1": ground, "space1": [track(identifier, points) for identifier, points in swarm.items()]},
        {"ground1-space1": published["distance"]},
        subminute=False,
        start_s=start_s,
        end_s=end_s,
    )
    found: dict[tuple[int, ...], list[Found]] = {}
    for conjunction in search:
        found.setdefault(conjunction.identifiers, []).append(conjunction)
    assert len(published["rows"]) == 49
    for row in published["rows"]:
        start, end = (int(np.datetime64(row[key], "s").astype(np.int64)) for key in ("start", "end"))
        near = [
            conjunction
            for conjunction in found[row["first_source"], row["second_source_inferred"]]
            if abs(conjunction.start - start) <= 60 and abs(conjunction.end - end) <= 60
        ]
        assert len(near) == 1
