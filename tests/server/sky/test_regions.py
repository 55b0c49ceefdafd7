"""Region names against the published ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np

from aurora_async.server.data import metadata_schemas
from aurora_async.server.sky.ephemeris import DayEphemeris, compute_day
from aurora_async.server.sky.field import main_field
from aurora_async.server.sky.regions import region_names
from aurora_async.server.sky.sun import day_jd


def test_every_printed_region_comes_out(fact: Callable[[str], Any]) -> None:
    """Three complete Swarm A records, three region names each."""
    compared = 0
    for record in fact("published_records.json")["records"]:
        if record["data_source"]["identifier"] != 3:
            continue
        epoch = dt.datetime.fromisoformat(record["epoch"])
        jd = day_jd(epoch.date(), np.array([epoch.hour * 60.0 + epoch.minute]))
        for place, key in (
            ("nbtrace", "nbtrace_region"),
            ("sbtrace", "sbtrace_region"),
            ("location_geo", "radial_trace_region"),
        ):
            point = np.array([[record[place]["lat"], record[place]["lon"]]])
            assert region_names(point, main_field(epoch.date()), jd)[0] == record["metadata"][key]
            compared += 1
    assert compared == 9


def test_the_north_polar_cap_has_as_many_minutes_as_published(fact: Callable[[str], Any]) -> None:
    """Swarm A, 2019-01-01: 114 records are published, 116 are found; the ten printed ones are among them."""
    expected = fact("published_ephemeris.json")["facts"]["swarma_2019-01-01"]["records_in_north_polar_cap_by_nbtrace"]
    day = compute_day(3, dt.date(2019, 1, 1), south=False)
    inside = day.regions["nbtrace_region"] == "north polar cap"
    assert abs(int(np.count_nonzero(inside)) - expected) <= 3
    assert inside[[25, 26, 27, 28, 29, 30, 69, 120, 121, 122]].all()
    assert not inside[[22, 23, 24, 31, 32]].any()


def test_names_are_those_of_the_schema(swarm_day: dict[int, DayEphemeris]) -> None:
    """Nothing is invented: cusp and cleft are left out, every other name occurs in a day, on its own side."""
    schema = metadata_schemas()["ephemeris"]["swarm/swarma/footprint (identifier 3)"]
    allowed = {item["field_name"]: set(item["allowed_values"]) for item in schema}
    for day in swarm_day.values():
        for key, names in day.regions.items():
            found = set(names.tolist()) - {""}
            assert found <= allowed[key]
            assert allowed[key] - found <= {
                f"{side} {part}" for side in ("north", "south") for part in ("cusp", "cleft")
            }


def test_an_open_line_has_no_region() -> None:
    names = region_names(np.full((2, 2), np.nan), main_field(dt.date(2020, 1, 1)), np.array([2458849.5, 2458849.6]))
    assert names.tolist() == ["", ""]
