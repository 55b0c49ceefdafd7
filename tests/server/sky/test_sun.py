"""The Sun's direction and sidereal time against almanac values."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from aurora_async.server.sky.sun import day_jd, naive_utc, sidereal_angle, solar_elevation_deg, sun_direction


def test_sidereal_time_of_the_textbook_example() -> None:
    """Meeus, Astronomical Algorithms, example 12.b: 1987-04-10 19:21:00 UT is 8h 34m 57.0896s."""
    jd = day_jd(dt.date(1987, 4, 10), np.array([19 * 60 + 21.0]))
    expected_deg = 15.0 * (8 + 34 / 60 + 57.0896 / 3600)
    assert np.rad2deg(sidereal_angle(jd))[0] == pytest.approx(expected_deg, abs=2e-4)


def test_the_sun_of_the_textbook_example() -> None:
    """Meeus, example 25.a: declination -7.785 degrees on 1992-10-13 0h (dynamical time, a minute off UTC)."""
    direction = sun_direction(day_jd(dt.date(1992, 10, 13), np.array([0.0])))
    assert np.rad2deg(np.arcsin(direction[2, 0])) == pytest.approx(-7.785, abs=0.012)


def test_directions_are_unit_vectors() -> None:
    assert np.linalg.norm(sun_direction(day_jd(dt.date(2020, 6, 1))), axis=0) == pytest.approx(1.0)


def test_noon_of_an_equinox_has_the_sun_overhead_at_the_equator() -> None:
    """2020-03-20, 12:07 UT at Greenwich's meridian (the equation of time is 7 minutes)."""
    elevation_deg = solar_elevation_deg(0.0, 0.0, day_jd(dt.date(2020, 3, 20)))
    assert elevation_deg.max() > 89.8
    assert abs(int(elevation_deg.argmax()) - (12 * 60 + 7)) <= 1


def test_aware_instants_are_converted_and_naive_ones_are_utc() -> None:
    mountain = dt.timezone(dt.timedelta(hours=-7))
    assert naive_utc(dt.datetime(2020, 1, 1, 17, tzinfo=mountain)) == dt.datetime(2020, 1, 2)
    assert naive_utc(dt.datetime(2020, 1, 1)) == dt.datetime(2020, 1, 1)
