"""What the archive has, and keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aurora_async.server.imap.published import published_files

MAG = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"


def test_every_published_file_is_where_the_service_keeps_such_files() -> None:
    """Keys are made of names here: a folder that differs from a published one would be a mistake of ours."""
    keys = [file.row.file_path for file in published_files()]
    assert len(keys) == len(set(keys)) > 700
    misspelt = [file.row.file_path for file in published_files() if file.row.kind == "other"]
    assert misspelt == ["imap/mag/l0/2024/01/imap_mag_l0_raw_202040101_20240101_v00-00.pkts"]
    for key in (
        "imap/mag/l1d/2025/09/imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf",
        "imap/glows/l0/2026/01/imap_glows_l0_raw_20260101-repoint00096_v001.0002.pkts",
        "imap/spice/activities/imap_2025_283_2025_284_hist_01.sff",
        "imap/spice/spk/imap_pred_od025_20260303_20260414_v01.bsp",
        "imap/ancillary/mag/imap_mag_calibration_20240229_v001.cdf",
        "imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-00.pkts",
    ):
        assert key in keys


async def test_a_restart_forgets_nothing_that_was_brought_or_released(open_archive: Any) -> None:
    """All of it is in the database before it is acknowledged."""
    async with open_archive() as archive:
        await archive.add(MAG)
        await archive.service.catalog.release([MAG])
        before = await archive.rows(instrument="mag")
    async with open_archive() as archive:
        assert await archive.rows(instrument="mag") == before
        assert archive.service.catalog.find(MAG).released


async def test_the_published_files_can_be_left_out_later(open_archive: Any) -> None:
    """What was brought stays."""
    async with open_archive() as archive:
        await archive.add(MAG)
    async with open_archive(published=False) as archive:
        assert await archive.names(start_date="20000101") == [MAG.rpartition("/")[2]]
        assert await archive.rows("spice-query", type="kernels") == []
        assert await archive.rows("repoint-table") == []


async def test_a_file_that_comes_again_keeps_only_whether_it_is_released(empty: Any) -> None:
    """A new content has a new time, and is as public as the former one."""
    await empty.add(MAG)
    await empty.service.catalog.release([MAG])
    await empty.add(MAG, ingested="2026-06-01T00:00:00")
    (row,) = await empty.rows(key=None, instrument="mag")
    assert row["ingestion_date"] == "20260601 00:00:00"
    await empty.service.catalog.forget(MAG)
    assert await empty.rows(instrument="mag") == []
    assert empty.service.catalog.find(MAG) is None


async def test_a_clock_that_is_ahead_hides_no_file(empty: Any) -> None:
    """A file dropped with a time of tomorrow was ingested now."""
    await empty.add(MAG, ingested="2126-01-01T00:00:00")
    entry = empty.service.catalog.find(MAG)
    assert entry.ingested <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("key", "kind", "released"),
    [
        (MAG, "science", False),
        ("imap/ancillary/mag/imap_mag_l2-calibration_20250201_v002.cdf", "ancillary", True),
        ("imap/spice/lsk/naif0013.tls", "spice", True),
        ("imap/spice/spin/imap_2026_089_2026_090_02.spin.csv", "spice", True),
        ("imap/quicklook/mag/l1a/2026/01/imap_mag_l1a_norm_20260101_v001.0001.png", "quicklook", False),
        ("imap/dependency/mag/l1a/2026/01/imap_mag_l1a_norm_20260101_v001.0001.json", "dependency", False),
        ("imap/release/mag/imap_mag_data-release-001_20260101_20260131_v001.txt", "release", False),
        ("imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-07.pkts", "legacy", True),
        ("imap/mag/notes.txt", "other", False),
    ],
)
async def test_a_new_file_is_as_public_as_its_kind(empty: Any, key: str, kind: str, released: bool) -> None:
    """Science is released later, calibrations and kernels are public at once, the rest never is."""
    await empty.add(key)
    entry = empty.service.catalog.find(key)
    assert (entry.kind, entry.released, entry.size) == (kind, released, 100)
