"""SGP4 positions against published ones, and the choice of the element set."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aurora_async.server.data import element_sets
from aurora_async.server.sky.footprints import to_cartesian
from aurora_async.server.sky.orbit import track, validity
from aurora_async.server.sky.sun import day_jd


def test_swarm_a_is_where_it_was_published_to_be(fact: Callable[[str], Any]) -> None:
    """Within 15 km (2 seconds of flight) from an element set 23 days old, 6 km from one of 12 days."""
    printed = [r for r in fact("published_records.json")["records"] if r["data_source"]["identifier"] == 3]
    assert len(printed) == 3
    for record in printed:
        epoch = dt.datetime.fromisoformat(record["epoch"])
        orbit = track(3, day_jd(epoch.date(), np.array([epoch.hour * 60.0 + epoch.minute])))
        lat, lon, radius = (
            np.array([record[a][b]])
            for a, b in (("location_geo", "lat"), ("location_geo", "lon"), ("metadata", "radial_distance"))
        )
        apart_km = np.linalg.norm(orbit.position_km - to_cartesian(lat, lon, radius))
        assert apart_km < (15.0 if epoch.year == 2019 else 6.0)
        assert orbit.element_set_age_days[0] == pytest.approx(23.1 if epoch.year == 2019 else 12.5, abs=0.1)


def test_the_element_set_nearest_in_time_is_used() -> None:
    """Half-way between two sets the age jumps from positive to negative."""
    first, second = element_sets()[3][:2]
    middle = first.epoch + (second.epoch - first.epoch) / 2
    jd = day_jd(middle.date(), np.arange(-1440.0, 2880.0, 60.0))
    age = track(3, jd).element_set_age_days
    assert age[0] > 20
    assert age[-1] < -20
    assert np.count_nonzero(np.diff(age) < 0) == 1


def test_a_geostationary_spacecraft_stays_over_its_longitude() -> None:
    """GOES-16 stood at 75.2 degrees west: frame and sidereal time are right."""
    x, y, z = track(659, day_jd(dt.date(2019, 12, 20))).position_km
    assert np.rad2deg(np.arctan2(y, x)) == pytest.approx(-75.2, abs=0.15)
    assert np.abs(z).max() < 80


def test_validity_reaches_180_days_beyond_the_sets() -> None:
    """Whole days only, gaps bridged."""
    sets = element_sets()[3]
    span = validity(3)
    assert span is not None
    assert 179 <= (sets[0].epoch.date() - span[0]).days <= 180
    assert 179 <= (span[1] - sets[-1].epoch.date()).days <= 180


def test_spacecraft_without_elements_have_no_validity() -> None:
    """GOES-18 and THEMIS-B are listed, but no element set of theirs is held."""
    assert validity(658) is None
    assert validity(34) is None
    with pytest.raises(KeyError):
        track(658, day_jd(dt.date(2020, 1, 1)))
