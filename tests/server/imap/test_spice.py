"""`/spice-query`: the catalogue of kernels."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aurora_async.imap.tdb import to_tdb

VALID = "['file_name', 'start_time', 'end_time', 'type', 'latest', 'start_ingest_date', 'end_ingest_date']"


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, 500, {"message": "Internal Server Error"}),
        (
            {"type": "leapseconds", "start_date": "20260101"},
            400,
            f"start_date is not a valid query parameter. Valid query parameters are: {VALID}",
        ),
        ({"version": "1"}, 400, f"version is not a valid query parameter. Valid query parameters are: {VALID}"),
        ({"type": "compass"}, 400, "Invalid value for type: compass"),
        ({"start_time": "20260101T00"}, 400, "Invalid value for start_time: 20260101T00"),
        ({"end_ingest_date": "soon"}, 400, "Invalid value for end_ingest_date: soon"),
    ],
)
async def test_what_is_wrong_is_answered_in_the_services_words(
    empty: Any, parameters: dict[str, str], status: int, said: Any
) -> None:
    """Among it what the official client sends as dates and versions."""
    assert (await empty.ask("spice-query", **parameters)).said == (status, said)


async def test_a_published_row_is_answered_as_published(archive: Any) -> None:
    """With the two kernels it was made by in each other's place, as the real service has them."""
    (row,) = await archive.rows("spice-query", key=None, file_name="imap_2025_302_2025_303_001.ah.bc")
    assert list(row.items()) == [
        ("file_name", "ck/imap_2025_302_2025_303_001.ah.bc"),
        ("file_root", "imap_2025_302_2025_303_.ah.bc"),
        ("kernel_type", "attitude_history"),
        ("version", 1),
        ("min_date_j2000", 815036897.0909909),
        ("max_date_j2000", 815126896.0094784),
        ("file_intervals_j2000", [[815036897.0909909, 815126896.0094784]]),
        ("min_date_datetime", "2025-10-29, 19:07:07"),
        ("max_date_datetime", "2025-10-30, 20:07:06"),
        ("file_intervals_datetime", [["2025-10-29T19:07:07.908503+00:00", "2025-10-30T20:07:06.826978+00:00"]]),
        ("min_date_sclk", "1/0499460830:00000"),
        ("max_date_sclk", "1/0499550829:00000"),
        ("file_intervals_sclk", [["1/0499460830:00000", "1/0499550829:00000"]]),
        ("sclk_kernel", "naif0012.tls"),
        ("lsk_kernel", "imap_sclk_0031.tsc"),
        ("ingestion_date", "2025-11-01, 08:05:12"),
        ("timestamp", 1761984312.0),
    ]


async def test_an_uploaded_kernel_covers_the_days_of_its_name_or_all_time(empty: Any) -> None:
    """Nobody reads the kernels here; the numbers of the undated one are those of the real catalogue."""
    await empty.add("imap/spice/spk/imap_pred_od009_20251104_20251216_v01.bsp", "imap/spice/lsk/naif0012.tls")
    undated, dated = await empty.rows("spice-query", type="kernels")
    assert (undated["file_root"], undated["version"]) == ("naif.tls", 12)
    assert undated["file_intervals_j2000"] == [[315576066.1839245, 4575787269.183866]]
    assert undated["file_intervals_datetime"] == [["2010-01-01T00:00:00", "2145-01-01T00:00:00"]]
    assert (dated["kernel_type"], dated["version"]) == ("ephemeris_predicted", 1)
    assert (dated["min_date_datetime"], dated["max_date_datetime"]) == ("2025-11-04, 00:00:00", "2025-12-17, 00:00:00")
    assert (dated["ingestion_date"], dated["timestamp"]) == ("2026-05-01, 12:00:00", 1777636800)


async def test_the_latest_is_looked_for_in_the_whole_table(archive: Any) -> None:
    """Of what is found afterwards only those are left that are the latest of all."""
    assert await archive.names("spice-query", type="spacecraft_clock", latest="True") == ["imap_sclk_0225.tsc"]
    clocks = await archive.names("spice-query", type="spacecraft_clock", latest="no")
    assert clocks == [f"imap_sclk_{number}.tsc" for number in ("0031", "0032", "0136", "0147", "0225")]
    assert await archive.rows("spice-query", file_name="imap_sclk_0147.tsc", latest="true") == []


async def test_coverage_and_ingestion_are_searched(archive: Any) -> None:
    """A kernel that touches the range is found; the last ingestion day is only its midnight."""
    inside = {"type": "attitude_history", "start_time": "815126896", "end_time": "815193197"}
    assert await archive.names("spice-query", **inside) == [
        "imap_2025_302_2025_303_001.ah.bc",
        "imap_2025_303_2025_304_001.ah.bc",
    ]
    # A kernel is found also by the very instants that it begins and ends at.
    ends = {"type": "attitude_history", "start_time": "815126896.0094784"}
    assert "imap_2025_302_2025_303_001.ah.bc" in await archive.names("spice-query", **ends)
    begins = {"type": "attitude_history", "end_time": "815036897.0909909"}
    assert "imap_2025_302_2025_303_001.ah.bc" in await archive.names("spice-query", **begins)
    came = {"type": "attitude_history", "start_ingest_date": "20251101"}
    assert await archive.rows("spice-query", **came, end_ingest_date="20251101") == []
    assert len(await archive.rows("spice-query", **came, end_ingest_date="20251102")) == 2


async def test_tables_are_found_by_their_type_alone(archive: Any) -> None:
    """`spin`, `repoint` and `thruster` hand over to the tables; `kernels` has none of them."""
    assert {row["kernel_type"] for row in await archive.rows("spice-query", type="kernels")}.isdisjoint(
        {"spin", "repoint", "thruster"}
    )
    assert await archive.rows("spice-query", type="spin") == await archive.rows("spin-table")
    after = str(to_tdb(datetime.fromisoformat("2026-04-01T00:00:00+00:00")))
    assert await archive.names("spice-query", type="thruster", start_time=after) == [
        "imap_2026_091_2026_092_hist_01.sff"
    ]
    path = "imap/spice/spin/imap_2026_089_2026_090_01.spin"
    assert len(await archive.rows("spice-query", type="spin", file_name=path)) == 1


async def test_what_a_kernel_covers_can_be_said_beside_it(
    open_archive: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As nobody reads it out of the kernel, and its name holds whole days only."""
    folder = tmp_path / "files"
    folder.mkdir()
    known, other = "imap_2025_118_2025_120_009.ah.bc", "imap_2025_120_2025_121_001.ah.bc"
    intervals = [[799240876.0732585, 799240921.0732585], [799242436.0732583, 799244783.0732579]]
    for name, beside in ((known, {"file_intervals_j2000": intervals}), (other, {"file_intervals_j2000": []})):
        (folder / name).write_bytes(b"kernel")
        (folder / f"{name}.json").write_text(json.dumps(beside))
    async with open_archive(published=False, files_dir=folder) as archive:
        found, made = await archive.rows("spice-query", type="kernels")
        assert found["file_intervals_j2000"] == intervals
        assert (found["min_date_datetime"], found["max_date_datetime"]) == (
            "2025-04-29, 23:20:06",
            "2025-04-30, 00:25:13",
        )
        assert await archive.names("spice-query", start_time="799244784") == [other]
        assert made["min_date_datetime"] == "2025-04-30, 00:00:00"
        assert f"{other}.json is left out: " in caplog.text
        assert archive.service.catalog.find(f"imap/spice/ck/{known}.json") is None
