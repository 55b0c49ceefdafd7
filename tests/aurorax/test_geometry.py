"""The ends of field lines, as AuroraX has them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from aurora_async.aurorax.geometry import ground_to_nbtrace, ground_to_sbtrace
from aurora_async.aurorax.models import Location
from aurora_async.errors import InvalidInput, MissingExtra

NEW_YEAR = datetime(2020, 1, 1)
needs_aacgmv2 = pytest.mark.skipif(find_spec("aacgmv2") is None, reason="the extra btrace is not installed")
Trace = Callable[[Location, Any], Location]


def near(location: Location, lat: float, lon: float, within_deg: float = 1e-6) -> bool:
    """Compare with two numbers."""
    assert location.lat is not None and location.lon is not None
    return abs(location.lat - lat) < within_deg and abs(location.lon - lon) < within_deg


@pytest.mark.parametrize("trace", [ground_to_nbtrace, ground_to_sbtrace])
def test_a_place_is_the_end_in_its_own_hemisphere(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is asked for that, so no extra is needed; the equator counts as northern."""
    monkeypatch.setitem(sys.modules, "aacgmv2", None)
    place = Location(56.0, 20.0) if trace is ground_to_nbtrace else Location(-56.0, 20.0)
    assert trace(place, NEW_YEAR) is place
    equator = Location(0.0, 20.0)
    assert ground_to_nbtrace(equator, NEW_YEAR) is equator


@needs_aacgmv2
def test_the_other_end_is_the_one_that_the_official_client_computes() -> None:
    """The values are those of PyAuroraX 1.27.0 with aacgmv2 2.7.1, whose own tests ask for (58, -9) and (-48, 39)."""
    assert near(ground_to_nbtrace(Location(-56.0, 20.0), NEW_YEAR), 58.01910124201053, -8.598992660584855)
    assert near(ground_to_sbtrace(Location(56.0, 20.0), NEW_YEAR), -47.131586924820915, 39.28196721833295)


@needs_aacgmv2
def test_there_and_back_leads_to_the_same_place() -> None:
    """A line has two ends."""
    place = Location(51.05, -114.07)
    assert near(ground_to_nbtrace(ground_to_sbtrace(place, NEW_YEAR), NEW_YEAR), 51.05, -114.07, within_deg=0.05)


@needs_aacgmv2
def test_an_instant_can_be_written_in_every_way() -> None:
    """As everywhere: naive is UTC, another zone is converted, a text may be partial."""
    place, east = Location(56.0, 20.0), timezone(timedelta(hours=5))
    at_midnight = ground_to_sbtrace(place, NEW_YEAR)
    for same in (NEW_YEAR.replace(tzinfo=UTC), datetime(2020, 1, 1, 5, tzinfo=east), "2020", "2020-01-01T00:00:00"):
        assert ground_to_sbtrace(place, same) == at_midnight
    assert ground_to_sbtrace(place, "2015") != at_midnight


@needs_aacgmv2
def test_a_place_may_be_of_numpy() -> None:
    """A station list is a table."""
    place = Location(np.float32(56), np.float64(20))  # type: ignore[arg-type]
    assert ground_to_sbtrace(place, NEW_YEAR) == ground_to_sbtrace(Location(56.0, 20.0), NEW_YEAR)


@needs_aacgmv2
def test_there_is_no_end_near_the_magnetic_equator() -> None:
    """Nulls, as in AuroraX's records, and no NaN that travels on."""
    assert ground_to_sbtrace(Location(5.0, 20.0), NEW_YEAR) == Location(None, None)


@pytest.mark.parametrize(
    ("place", "when", "field"),
    [
        (Location(None, None), NEW_YEAR, "location"),
        ((51.0, -114.0), NEW_YEAR, "location"),
        (None, NEW_YEAR, "location"),
        (Location("51", 0.0), NEW_YEAR, "location"),  # type: ignore[arg-type]
        (Location(51.0, "0"), NEW_YEAR, "location"),  # type: ignore[arg-type]
        (Location(True, 0.0), NEW_YEAR, "location"),
        (Location(91.0, 0.0), NEW_YEAR, "location"),
        (Location(float("nan"), 0.0), NEW_YEAR, "location"),
        (Location(56.0, 361.0), NEW_YEAR, "location"),
        (Location(56.0, 20.0), "yesterday", "when"),
        pytest.param(Location(56.0, 20.0), "2040", "when", marks=needs_aacgmv2),
    ],
)
def test_what_cannot_be_traced_is_refused(place: Any, when: Any, field: str, capfd: pytest.CaptureFixture[str]) -> None:
    """By the name of the argument; the library itself writes its complaint about the date to stderr."""
    with pytest.raises(InvalidInput) as caught:
        ground_to_sbtrace(place, when)
    assert caught.value.field == field
    capfd.readouterr()


def test_the_extra_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next step of whoever reads the error is one command."""
    monkeypatch.setitem(sys.modules, "aacgmv2", None)
    with pytest.raises(MissingExtra, match=r'aacgmv2 .*pip install "aurora-async\[btrace\]"') as caught:
        ground_to_nbtrace(Location(-56.0, 20.0), NEW_YEAR)
    assert (caught.value.extra, caught.value.missing) == ("btrace", "aacgmv2")
