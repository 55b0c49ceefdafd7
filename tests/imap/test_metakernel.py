"""Metakernels: which kernels cover a time range, and where none do."""

from __future__ import annotations

from typing import Any

import pytest

from aurora_async.errors import InvalidInput
from aurora_async.imap import CoverageGaps, Imap
from aurora_async.testing import FaultScript


async def test_a_metakernel_tells_its_kernels_and_its_gaps(imap_client: Imap) -> None:
    """Both are asked for at once; where nothing covers the attitude, it says so by category and time."""
    made = await imap_client.metakernel("2025-10-29", "2025-10-30", spice_path="/data/spice")
    assert "\\begindata" in made.text
    assert "'/data/spice/lsk/naif0012.tls'" in made.text
    assert made.names[0] == "lsk/naif0012.tls"
    assert made.names[-2:] == ("ck/imap_2025_302_2025_303_001.ah.bc", "ck/imap_2025_303_2025_304_001.ah.bc")
    assert made.keys[0] == "imap/spice/lsk/naif0012.tls"
    (gap,) = made.gaps["spacecraft_attitude"]
    assert f"{gap.end:%Y-%m-%dT%H:%M:%S}" == "2025-10-29T19:07:07"


async def test_without_gaps_one_exchange_tells_all(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """Covered is what is asked for as covered."""
    made = await imap_client.metakernel("2025-10-29", "2025-10-30", file_types=["leapseconds", "spacecraft_clock"])
    assert not made.gaps
    assert len(aurora_faults.requests("*/metakernel")) == 1


async def test_gaps_are_an_error_for_whoever_wants_none(imap_client: Imap) -> None:
    """With each of them as a time range."""
    with pytest.raises(CoverageGaps, match="no kernels for spacecraft_attitude 2025-10-29T0") as error:
        await imap_client.metakernel("2025-10-29", "2025-10-30", require_coverage=True)
    assert error.value.status == 422
    assert "pointing_attitude" in error.value.gaps
    with pytest.raises(CoverageGaps):
        await imap_client.metakernel_files("2025-10-29", "2025-10-30", require_coverage=True)


async def test_the_list_is_that_of_the_text(imap_client: Imap) -> None:
    """Bare names, in the order they are loaded, for `download`; none is an empty list, not an error."""
    names = await imap_client.metakernel_files("2025-10-29", "2025-10-30")
    made = await imap_client.metakernel("2025-10-29", "2025-10-30")
    assert names == tuple(name.rpartition("/")[2] for name in made.names)
    assert await imap_client.metakernel_files("2025-10-29", "2025-10-30", file_types="ephemeris_90days") == ()


@pytest.mark.parametrize(
    ("start", "end", "more", "refusal"),
    [
        ("2026-01-02", "2026-01-01", {}, "end: "),
        (None, "2026-01-01", {}, "start: is missing"),
        (8.2e8, 8.3e8, {"file_types": ["ck"]}, "file_types: 'ck' is not one of attitude_history"),
        (8.2e8, 8.3e8, {"spice_path": "it's"}, 'spice_path: "it\'s" is not a path'),
    ],
)
async def test_what_cannot_be_right_is_not_sent(
    imap_client: Imap, aurora_faults: FaultScript, start: Any, end: Any, more: dict[str, Any], refusal: str
) -> None:
    """The service ignores types that it does not know."""
    with pytest.raises(InvalidInput) as error:
        await imap_client.metakernel(start, end, **more)
    assert str(error.value).startswith(refusal)
    assert not aurora_faults.requests("*/metakernel")
