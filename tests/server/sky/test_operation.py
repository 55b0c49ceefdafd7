"""When cameras ran, against every printed ground record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np

from aurora_async.server.data import data_sources, station_of_identifier
from aurora_async.server.sky.operation import operating, switched_off

_PROGRAMS = {source["identifier"]: source["program"] for source in data_sources()}


def _runs(identifier: int, text: str) -> bool:
    epoch = dt.datetime.fromisoformat(text)
    minutes = operating(identifier, _PROGRAMS[identifier], station_of_identifier()[identifier], epoch.date())
    return bool(minutes[epoch.hour * 60 + epoch.minute])


def test_cameras_run_whenever_a_published_record_says_so(fact: Callable[[str], Any]) -> None:
    """Printed ephemeris of 2008, 2019 and 2020, and every ground station of the published searches."""
    for record in fact("published_ephemeris.json")["records"]:
        if record["identifier"] in station_of_identifier():
            assert _runs(record["identifier"], record["epoch"])
    for search in fact("published_searches.json")["searches"]:
        for row in search["rows"]:
            if row.get("first_source") in station_of_identifier():
                assert _runs(row["first_source"], row["start"])
                assert _runs(row["first_source"], row["end"])


def test_a_station_in_twilight_is_missing_as_published() -> None:
    """Kiana had Swarm B overhead at 2020-01-01T03:03 with the Sun at -11.9 degrees, and is not in the result."""
    assert not _runs(65, "2020-01-01T03:03:00")
    assert _runs(44, "2020-01-01T00:54:00")


def test_the_first_trex_record_of_gillam_is_dark_enough() -> None:
    """2019-09-27T01:25, from the printed statistics, and not a minute earlier than 01:24."""
    assert _runs(103, "2019-09-27T01:25:00")
    assert not _runs(103, "2019-09-27T01:23:00")


def test_absent_stations_are_off_for_the_season_only() -> None:
    assert switched_off(55, dt.date(2020, 1, 1))
    assert not switched_off(55, dt.date(2019, 1, 3))
    assert switched_off(71, dt.date(2019, 2, 1))
    assert not switched_off(71, dt.date(2015, 1, 1))
    assert not switched_off(71, dt.date(2020, 7, 1))
    off = operating(55, "themis-asi", station_of_identifier()[55], dt.date(2020, 1, 1))
    assert off.shape == (1440,)
    assert not np.any(off)
