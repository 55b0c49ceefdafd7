"""The magnetic field against independent programs, against physics, and against published positions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async.server.sky.field import ExternalField, MainField, decimal_year, gsm_frame, main_field
from aurora_async.server.sky.footprints import to_cartesian, to_lat_lon
from aurora_async.server.sky.sun import day_jd, sun_direction


def _epochs(texts: list[str]) -> tuple[list[dt.date], np.ndarray[Any, np.dtype[np.float64]]]:
    moments = [dt.datetime.fromisoformat(text) for text in texts]
    jd = [float(day_jd(m.date(), np.array(m.hour * 60.0 + m.minute))) for m in moments]
    return [m.date() for m in moments], np.array(jd)


def test_main_field_agrees_with_an_independent_program(fact: Callable[[str], Any]) -> None:
    """Seven points from the pole to eight Earth radii: the same to a ten-millionth of a nanotesla."""
    field = MainField(2020.0)
    for reference in fact("field_references.json")["igrf"]:
        lat, lon = np.deg2rad(reference["lat_deg"]), np.deg2rad(reference["lon_deg"])
        up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        south = np.array([np.sin(lat) * np.cos(lon), np.sin(lat) * np.sin(lon), -np.cos(lat)])
        east = np.array([-np.sin(lon), np.cos(lon), 0.0])
        vector = field(reference["radius_re"] * up[:, None])[:, 0]
        # The reference stands a ten-thousandth of an arc second beside the pole, where it would divide by zero.
        expected = [reference[key] for key in ("radial_nt", "south_nt", "east_nt")]
        assert [vector @ up, vector @ south, vector @ east] == pytest.approx(expected, abs=1e-3)


def test_external_field_agrees_with_an_independent_program(fact: Callable[[str], Any]) -> None:
    """Two points for each of the seven activity levels."""
    for reference in fact("field_references.json")["t89c"]:
        field = ExternalField(reference["iopt"])
        vector = field(np.array(reference["gsm_re"])[:, None], np.array([reference["tilt_rad"]]))[:, 0]
        assert vector == pytest.approx(reference["field_nt"], abs=1e-9)


def test_gsm_frame_agrees_with_an_independent_program(fact: Callable[[str], Any]) -> None:
    """Tilt and a turned vector, within the hundredth of a degree that the solar formula is good for."""
    for reference in fact("field_references.json")["gsm"]:
        (day,), jd = _epochs([reference["epoch"]])
        frame = gsm_frame(main_field(day), jd)
        assert frame.tilt[0] == pytest.approx(reference["tilt_rad"], abs=2e-4)
        vector = np.array(reference["geo"])[:, None]
        assert frame.to_gsm(vector)[:, 0] == pytest.approx(reference["gsm"], abs=4e-4)
        assert frame.to_geo(frame.to_gsm(vector)) == pytest.approx(vector)


def test_gsm_positions_of_swarm_a_are_the_published_ones(fact: Callable[[str], Any]) -> None:
    """Every printed location_gsm comes out of the printed location_geo, within 0.003 degrees of arc."""
    records = [r for r in fact("published_ephemeris.json")["records"] if "location_gsm" in r]
    assert len(records) > 20
    days, jd = _epochs([r["epoch"] for r in records])
    lat, lon, gsm_lat, gsm_lon = (
        np.array([r[key][axis] for r in records]) for key in ("location_geo", "location_gsm") for axis in ("lat", "lon")
    )
    one = np.ones(len(records))
    turned = gsm_frame(main_field(days[0]), jd).to_gsm(to_cartesian(lat, lon, one))
    apart = np.linalg.norm(turned - to_cartesian(gsm_lat, gsm_lon, one), axis=0)
    assert np.rad2deg(apart).max() < 0.003
    assert to_lat_lon(turned).shape == (len(records), 2)


def test_gsm_axes_are_what_their_name_says() -> None:
    """Orthonormal, x to the Sun, the dipole in the x-z plane and leaning northwards."""
    field = main_field(dt.date(2019, 6, 1))
    jd = day_jd(dt.date(2019, 6, 1))[::60]
    frame = gsm_frame(field, jd)
    for index in range(len(jd)):
        assert frame.rotation[:, :, index] @ frame.rotation[:, :, index].T == pytest.approx(np.eye(3), abs=1e-12)
    assert frame.to_gsm(sun_direction(jd))[0] == pytest.approx(1.0)
    dipole = frame.to_gsm(np.repeat(field.dipole_axis[:, None], len(jd), axis=1))
    assert dipole[1] == pytest.approx(0.0, abs=1e-12)
    assert (dipole[2] > 0.8).all()


@settings(max_examples=60, deadline=None)
@given(
    iopt=st.integers(1, 7),
    tilt=st.floats(-0.6, 0.6),
    place=st.tuples(st.floats(-50, 10), st.floats(-20, 20), st.floats(-20, 20)),
)
def test_external_field_has_no_sources(iopt: int, tilt: float, place: tuple[float, float, float]) -> None:
    """Its divergence vanishes everywhere: the property the paper builds the closed form on."""
    step = 1e-4
    centre = np.array(place)[:, None]
    around = centre + step * np.concatenate((np.eye(3), -np.eye(3)), axis=1)
    field = ExternalField(iopt)(around, np.full(6, tilt))
    divergence = sum(field[i, i] - field[i, i + 3] for i in range(3)) / (2 * step)
    assert abs(divergence) < 1e-4 * max(1.0, float(np.abs(field).max()))


@given(st.floats(1.0, 40.0))
@settings(max_examples=40, deadline=None)
def test_a_shortened_series_stays_within_its_bound(radius: float) -> None:
    """`degree_for` promises a tenth of a nanotesla."""
    field = MainField(2020.0)
    rng = np.random.default_rng(5)
    points = rng.normal(size=(3, 50))
    points *= radius / np.linalg.norm(points, axis=0)
    assert np.abs(field(points) - field(points, degree=field.degree_for(radius))).max() < 0.1


def test_scratch_changes_nothing() -> None:
    """Room that held other points, and more of them, gives the same field."""
    field = MainField(2015.5)
    points = np.random.default_rng(1).normal(size=(3, 40)) * 3.0
    room = field.scratch(100)
    room[:] = np.nan
    assert (field(points, scratch=room) == field(points)).all()


@pytest.mark.parametrize("year", [1899.9, 2030.1])
def test_dates_that_igrf_does_not_cover_are_refused(year: float) -> None:
    with pytest.raises(ValueError, match="1900 to 2030"):
        MainField(year)


def test_decimal_year_is_noon() -> None:
    assert decimal_year(dt.date(2020, 1, 1)) == pytest.approx(2020 + 0.5 / 366)
    assert decimal_year(dt.date(2019, 12, 31)) == pytest.approx(2020 - 0.5 / 365)
