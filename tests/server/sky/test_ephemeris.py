"""The public face: days of ephemeris, the published search found in them, and their files."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from aurora_async.server.data import data_sources, metadata_schemas, station_of_identifier
from aurora_async.server.sky.ephemeris import (
    DayEphemeris,
    available_days,
    computable,
    compute_day,
    conjugate,
    conjugate_with_method,
    count_day,
    load_day,
    load_points,
    location_gsm,
    save_day,
)
from aurora_async.server.sky.field import EARTH_RADIUS_KM
from aurora_async.server.sky.footprints import to_cartesian, trace_footprints
from aurora_async.server.sky.sun import day_jd

DAY = dt.date(2020, 1, 1)


def _minute(text: str) -> int:
    epoch = dt.datetime.fromisoformat(text)
    return epoch.hour * 60 + epoch.minute


def _unit(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return to_cartesian(points[:, 0], points[:, 1], np.ones(len(points)))


def _conjunctions(
    ground: dict[int, DayEphemeris],
    space: dict[int, DayEphemeris],
    until: int,
    limit_km: float,
) -> list[tuple[int, int, int, int, float]]:
    """Find runs of consecutive minutes within `limit_km`: (ground, space, first, last, smallest distance)."""
    found = []
    for here, site in ground.items():
        assert site.nbtrace is not None
        for there, craft in space.items():
            assert craft.nbtrace is not None
            cosine = np.sum(_unit(site.nbtrace[:until]) * _unit(craft.nbtrace[:until]), 0)
            distance_km = 6371.0 * np.arccos(np.clip(cosine, -1.0, 1.0))
            near = np.flatnonzero(distance_km <= limit_km)
            for run in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1):
                if len(run):
                    found.append((here, there, int(run[0]), int(run[-1]), float(distance_km[run].min())))
    return found


def _near_side(day: DayEphemeris) -> NDArray[np.float64]:
    """Northern footprints of the minutes in the northern hemisphere, NaN for the others."""
    assert day.radial_distance_km is not None
    radius = np.where(day.location_geo[:, 0] > 0, day.radial_distance_km / EARTH_RADIUS_KM, np.nan)
    return trace_footprints(
        to_cartesian(day.location_geo[:, 0], day.location_geo[:, 1], radius), day_jd(day.day), day.day, north=True
    )


def test_the_published_search_comes_out(fact: Callable[[str], Any], swarm_day: dict[int, DayEphemeris]) -> None:
    """themis-asi x swarm, 2020-01-01 00:00-06:59, 500 km: 49 conjunctions, starts and ends within a minute."""
    search = fact("published_searches.json")["searches"][0]
    stations = [source["identifier"] for source in data_sources() if source["program"] == "themis-asi"]
    ground = {station: compute_day(station, DAY, south=False) for station in stations}
    found = _conjunctions(ground, swarm_day, 7 * 60, search["distance"])
    assert len(found) == search["result_count"] == 49

    exact = 0
    for row in search["rows"]:
        start, end = _minute(row["start"]), _minute(row["end"])
        matches = [
            f
            for f in found
            if f[:2] == (row["first_source"], row["second_source_inferred"])
            and abs(f[2] - start) <= 1
            and abs(f[3] - end) <= 1
        ]
        assert len(matches) == 1, row
        found.remove(matches[0])
        exact += matches[0][2:4] == (start, end)
        # A pass of the southern hemisphere is compared by the far end of its line, which is less certain.
        near_side = swarm_day[matches[0][1]].location_geo[start, 0] > 0
        assert matches[0][4] == pytest.approx(row["min_distance"], abs=13.0 if near_side else 75.0)
    assert found == []
    assert exact >= 44


def test_three_days_of_two_stations_have_the_published_number_of_conjunctions() -> None:
    """Gillam and Fort Smith x Swarm in the northern hemisphere, 2019-01-01 to 03, 500 km: 11 are published.

    Both stations are needed, so both were running.
    """
    found = []
    for day in (dt.date(2019, 1, 1), dt.date(2019, 1, 2), dt.date(2019, 1, 3)):
        ground = {station: compute_day(station, day, south=False) for station in (46, 55)}
        space = {craft: compute_day(craft, day, north=False, south=False) for craft in (3, 29, 30)}
        # Traced here and in the north alone: the far ends of southern lines take most of the time of a day.
        northern = {craft: attrs.evolve(found_day, nbtrace=_near_side(found_day)) for craft, found_day in space.items()}
        found += _conjunctions(ground, northern, 1440, 500.0)
    assert len(found) == 11


def test_a_swarm_day_is_full_and_in_range(swarm_day: dict[int, DayEphemeris]) -> None:
    for day in swarm_day.values():
        assert day.present.all()
        for points in (day.location_geo, day.nbtrace, day.sbtrace):
            assert points is not None
            assert points.shape == (1440, 2)
            assert points.dtype == np.float64
            kept = points[np.isfinite(points[:, 0])]
            assert np.abs(kept[:, 0]).max() <= 90
            assert np.abs(kept[:, 1]).max() <= 180
        assert np.isfinite(day.location_geo).all()
        assert day.nbtrace is not None
        assert 60 < np.isnan(day.nbtrace[:, 0]).sum() < 200


def test_both_traces_together_are_those_asked_for_one_by_one(swarm_day: dict[int, DayEphemeris]) -> None:
    """The tracer shares its arrays between lines; it must not share anything else."""
    north = compute_day(3, DAY, south=False)
    assert north.sbtrace is None
    assert north.metadata(0)["sbtrace_region"] is None
    assert north.nbtrace is not None
    assert swarm_day[3].nbtrace is not None
    np.testing.assert_allclose(north.nbtrace, swarm_day[3].nbtrace, atol=1e-3)
    nothing = compute_day(3, DAY, north=False, south=False)
    assert nothing.nbtrace is None
    assert nothing.sbtrace is None
    assert (nothing.location_geo == swarm_day[3].location_geo).all()


def test_metadata_of_a_spacecraft_says_what_it_is(swarm_day: dict[int, DayEphemeris]) -> None:
    """JSON types, the schema's names and values, and the two flags."""
    schema = {
        item["field_name"]: item for item in metadata_schemas()["ephemeris"]["swarm/swarma/footprint (identifier 3)"]
    }
    for minute in (0, 1, 700, 1439):
        metadata = swarm_day[3].metadata(minute)
        assert json.loads(json.dumps(metadata)) == metadata
        assert metadata.pop("computed") is True
        assert metadata.pop("element_set_age_days") == pytest.approx(12.46 + minute / 1440, abs=0.01)
        assert list(metadata) == list(schema)
        for key, value in metadata.items():
            allowed = schema[key]["allowed_values"]
            assert not allowed or value is None or value in allowed
        assert metadata["state"] == "predictive"
        assert metadata["radial_distance"] == pytest.approx(6810, abs=15)
        assert metadata["spacecraft_region"] is metadata["tii_on"] is None
    # Minute 1 lies over the polar cap: the southern end is open and has no region.
    assert swarm_day[3].metadata(1)["sbtrace_region"] is None


def test_radial_distance_is_near_the_published_one(swarm_day: dict[int, DayEphemeris]) -> None:
    assert swarm_day[3].metadata(0)["radial_distance"] == pytest.approx(6802.930422, abs=1.0)


def test_location_gsm_of_a_spacecraft_and_of_a_station(swarm_day: dict[int, DayEphemeris]) -> None:
    """Null for ground instruments, as printed; for Swarm A on 2019-01-01 the printed one, within the orbit's error."""
    day = compute_day(3, dt.date(2019, 1, 1), north=False, south=False)
    assert location_gsm(day)[5] == pytest.approx((25.644464, 44.303787), abs=0.15)
    assert np.isnan(location_gsm(compute_day(46, DAY))).all()
    assert location_gsm(swarm_day[3]).shape == (1440, 2)


def test_a_northern_station_is_its_own_northern_footprint(fact: Callable[[str], Any]) -> None:
    """Gillam: location and nbtrace as printed, sbtrace its conjugate point, drifting; nothing by daylight."""
    day = compute_day(46, DAY)
    record = next(
        r
        for r in fact("published_records.json")["records"]
        if r["epoch"].startswith("2020-01-01T00:00:00") and r["data_source"]["identifier"] == 46
    )
    assert day.location_geo[0].tolist() == list(record["location_geo"].values())
    assert day.nbtrace is not None
    assert day.sbtrace is not None
    assert day.nbtrace[0].tolist() == list(record["nbtrace"].values())
    assert day.sbtrace[0, 0] == pytest.approx(record["sbtrace"]["lat"], abs=0.02)
    assert day.sbtrace[0, 1] == pytest.approx(record["sbtrace"]["lon"], abs=0.2)
    assert 0 < np.abs(day.sbtrace[1439] - day.sbtrace[0]).max() < 0.01
    assert not day.present[18 * 60]
    assert np.isnan(day.location_geo[18 * 60]).all()
    assert np.isnan(day.sbtrace[18 * 60]).all()
    assert day.metadata(0) == {"computed": True, "conjugate": day.conjugate_method}
    assert day.conjugate_method in ("aacgmv2", "own field tracer")


def test_a_station_asked_for_its_own_side_needs_no_conjugate() -> None:
    day = compute_day(46, DAY, south=False)
    assert day.sbtrace is None
    assert day.metadata(0) == {"computed": True}


def test_the_printed_hour_of_gillam_is_complete() -> None:
    """2019-01-01 06:00-06:59: 60 records."""
    assert compute_day(46, dt.date(2019, 1, 1), north=False, south=False).present[360:420].all()


@pytest.mark.parametrize("day", [dt.date(2008, 1, 1), dt.date(2020, 1, 1), dt.date(2020, 6, 21), dt.date(2019, 3, 30)])
@pytest.mark.parametrize("identifier", [3, 37, 46, 65, 55, 103, 658, 999])
def test_counts_are_those_of_the_computed_day(identifier: int, day: dt.date) -> None:
    """Availability answers from `count_day`, searches from `compute_day`."""
    assert count_day(identifier, day) == int(compute_day(identifier, day, north=False, south=False).present.sum())


def test_swarm_availability_is_the_published_one() -> None:
    """1440 a day for all three, 2019-01-01 to 10."""
    for identifier in (3, 29, 30):
        assert {count_day(identifier, dt.date(2019, 1, day)) for day in range(1, 11)} == {1440}


def test_what_is_computable() -> None:
    """Spacecraft with elements, stations with a site; nothing before the first element set's validity."""
    assert computable(3)
    assert computable(46)
    assert not computable(658)
    assert not computable(492)
    assert not computable(-1)
    assert available_days(46) == (dt.date(2000, 1, 1), dt.date(2029, 12, 31))
    span = available_days(3)
    assert span is not None
    assert span[0] < dt.date(2018, 9, 14) < dt.date(2022, 1, 22) < span[1]
    assert count_day(3, span[0]) == count_day(3, span[1]) == 1440
    assert count_day(3, span[0] - dt.timedelta(days=1)) == 0
    assert sum(computable(source["identifier"]) for source in data_sources()) == 18 + len(station_of_identifier())


@pytest.mark.parametrize("day", [dt.date(2000, 1, 1), dt.date(2029, 12, 31)])
def test_stations_work_to_the_ends_of_igrf(day: dt.date) -> None:
    """The last conjugate point is that of the midnight at which the model ends."""
    computed = compute_day(46, day)
    assert computed.sbtrace is not None
    assert np.isfinite(computed.sbtrace[computed.present]).all()
    assert computed.present.any()


def test_a_conjugate_beyond_igrf_is_refused() -> None:
    with pytest.raises(ValueError, match="2030"):
        conjugate(51.05, -114.07, dt.datetime(2031, 1, 1))


@pytest.mark.parametrize("identifier", [3, 46, 999])
def test_a_day_out_of_range_is_empty_not_an_error(identifier: int) -> None:
    day = compute_day(identifier, dt.date(1850, 1, 1))
    assert not day.present.any()
    assert day.nbtrace is not None
    assert np.isnan(day.nbtrace).all()


@pytest.mark.parametrize("identifier", [37, 39, 67, 69, 653])
def test_high_orbits_trace_without_a_warning(identifier: int) -> None:
    """THEMIS, Cluster, MMS, RBSP, GOES: both traces of a day, warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        day = compute_day(identifier, dt.date(2019, 12, 20))
    assert day.present.all()
    assert day.nbtrace is not None
    assert day.sbtrace is not None
    assert day.radial_distance_km is not None
    closed = np.isfinite(day.sbtrace[:, 0])
    assert closed.any()
    # Whatever closes in the near-Earth region closes at both ends.
    inner = day.radial_distance_km < 5 * 6371
    assert np.isfinite(day.nbtrace[inner, 0]).all()
    assert closed[inner].all()


def test_a_day_survives_its_file_unchanged(tmp_path: Path, swarm_day: dict[int, DayEphemeris]) -> None:
    """Also the regions, which are worked out again; and it is small."""
    for day in (swarm_day[3], compute_day(46, DAY), compute_day(999, DAY)):
        path = save_day(tmp_path / "cache" / f"{day.identifier}.day", day)
        assert path.stat().st_size < 50_000
        again = load_day(path)
        assert again is not None
        for name in ("present", "location_geo", "nbtrace", "sbtrace", "radial_distance_km", "element_set_age_days"):
            np.testing.assert_array_equal(getattr(again, name), getattr(day, name))
        assert (again.identifier, again.day, again.conjugate_method) == (day.identifier, day.day, day.conjugate_method)
        assert again.metadata(0) == day.metadata(0)
    assert [p.name for p in tmp_path.rglob("*.part")] == []


def test_halves_of_a_day_meet_in_one_file(tmp_path: Path, swarm_day: dict[int, DayEphemeris]) -> None:
    """The north may be there without the south; saving the south later keeps both."""
    path = tmp_path / "3.day"
    save_day(path, compute_day(3, DAY, south=False))
    north = load_day(path)
    assert north is not None
    assert north.sbtrace is None
    save_day(path, compute_day(3, DAY, north=False))
    both = load_day(path)
    assert both is not None
    assert both.nbtrace is not None
    assert both.sbtrace is not None
    for kept, whole, atol in (
        (both.nbtrace, swarm_day[3].nbtrace, 1e-3),
        (both.sbtrace, swarm_day[3].sbtrace, 2e-2),
    ):
        assert whole is not None
        np.testing.assert_allclose(kept, whole, atol=atol)


def test_points_of_many_days_are_those_of_each(tmp_path: Path, swarm_day: dict[int, DayEphemeris]) -> None:
    """A search of a year reads its days in another way than one of a day: it must find the same, gaps and all."""
    whole = swarm_day[3]
    gap = np.arange(1440) // 100 == 3
    assert whole.nbtrace is not None
    torn = np.where(gap[:, None], np.nan, whole.nbtrace)
    days = [whole, attrs.evolve(whole, present=~gap, nbtrace=torn, sbtrace=None)]
    paths = [save_day(tmp_path / f"{number}.day", day) for number, day in enumerate(days)]
    absent = str(tmp_path / "absent.day")
    kept = load_points([[absent, str(path)] for path in paths], ("nbtrace", "location_geo"))
    assert kept is not None
    present, points = kept
    np.testing.assert_array_equal(present, np.concatenate([day.present for day in days]))
    for name, found in points.items():
        np.testing.assert_array_equal(found, np.concatenate([getattr(day, name) for day in days]))
    assert load_points([[str(path)] for path in paths], ("sbtrace",)) is None
    assert load_points([[str(paths[0])], [absent]], ("nbtrace",)) is None
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    assert load_points([[str(path)] for path in paths], ("nbtrace",)) is None


def test_a_torn_file_is_no_day(tmp_path: Path, swarm_day: dict[int, DayEphemeris]) -> None:
    """Wherever it was torn, and whatever else lies under that name: the day is computed anew."""
    path = save_day(tmp_path / "torn.day", swarm_day[3])
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:100],
        whole[:300],
        whole[:-1],
        whole + b"0",
        b"no day".ljust(len(whole)),
        b"\xff" * 500,
    ):
        path.write_bytes(content)
        assert load_day(path) is None
    assert load_day(tmp_path / "absent.day") is None


def test_a_failed_save_leaves_nothing_behind(
    tmp_path: Path, swarm_day: dict[int, DayEphemeris], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_day(tmp_path / "3.day", swarm_day[3])
    assert list(tmp_path.iterdir()) == []


def test_days_travel_between_processes(swarm_day: dict[int, DayEphemeris]) -> None:
    """A process pool pickles arguments and result."""
    again = pickle.loads(pickle.dumps(swarm_day[29]))
    assert (again.location_geo == swarm_day[29].location_geo).all()
    assert again.metadata(5) == swarm_day[29].metadata(5)


def test_the_conjugate_of_a_custom_location() -> None:
    """Calgary: the far end lies south of New Zealand, and the place may be anywhere on the globe."""
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert conjugate(51.05, -114.07, when) == pytest.approx((-60.27, -148.87), abs=0.1)
    assert conjugate_with_method(51.05, -114.07, when).method in ("aacgmv2", "own field tracer")
    assert np.isfinite(conjugate(0.0, 0.0, when)).all()
    assert np.isfinite(conjugate(90.0, 0.0, when)).all()
