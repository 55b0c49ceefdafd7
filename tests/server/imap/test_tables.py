"""The tables of spins, repointings and thruster firings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

VALID = "['file_path', 'start_date', 'end_date', 'latest', 'start_ingest_date', 'end_ingest_date']"


async def test_published_rows_are_answered_as_published(archive: Any) -> None:
    """With versions that are texts; under the table's older name as well."""
    rows = await archive.rows("small-forces-table", key=None, start_date="20260302", end_date="20260302")
    assert [list(row.items()) for row in rows] == [
        [
            ("file_path", "imap/spice/activities/imap_2026_061_2026_061_hist_01.sff"),
            *(("start_date", "2026-03-02, 00:00:00"), ("end_date", "2026-03-02, 00:00:00")),
            *(("version", "01"), ("ingestion_date", "2026-03-02, 09:35:27")),
        ]
    ]
    assert await archive.rows("thruster-table") == await archive.rows("small-forces-table")


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, 5),
        ({"start_date": "20260101", "end_date": "20260331"}, 3),
        ({"start_ingest_date": "20260401"}, 2),
        ({"end_ingest_date": "20260401"}, 3),
        ({"file_path": "imap/spice/spin/imap_2026_091_2026_092_01.spin"}, 1),
        ({"file_path": "imap_2026_091_2026_092_01.spin"}, 0),
    ],
)
async def test_dates_are_those_of_the_row_and_paths_are_whole(
    archive: Any, parameters: dict[str, str], found: int
) -> None:
    """Rows that begin and end within; ingested from one midnight to another."""
    assert len(await archive.rows("spin-table", **parameters)) == found


async def test_a_table_of_repointings_has_no_start(archive: Any) -> None:
    """Each holds every one since launch, so that a start is not looked at either."""
    rows = await archive.rows("repoint-table", end_date="20260801", start_date="20260731")
    assert rows == [
        {
            "file_path": "imap/spice/repoint/imap_2026_191_01.repoint",
            "end_date": "2026-07-10, 00:00:00",
            "version": "01",
            "ingestion_date": "2026-07-11, 00:00:00",
        }
    ]


async def test_there_is_always_a_table_of_repointings_of_these_days(archive: Any) -> None:
    """Packets of a pointing can only be fetched by one that was ingested within a fortnight."""
    since = datetime.now(UTC) - timedelta(days=2)
    (row,) = await archive.rows("repoint-table", start_ingest_date=f"{since:%Y%m%d}")
    entry = archive.service.catalog.find(row["file_path"])
    assert entry.size is None
    assert entry.ingested >= since - timedelta(days=1)


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        (
            {"file_name": "x"},
            400,
            f"file_name is not a valid query parameter. Valid query parameters are: {VALID}",
        ),
        ({"end_date": "tomorrow"}, 400, "Invalid value for end_date: tomorrow"),
        ({"latest": "true"}, 500, {"message": "Internal Server Error"}),
    ],
)
@pytest.mark.parametrize("table", ["spin-table", "repoint-table", "thruster-table"])
async def test_what_is_wrong_is_answered_in_the_services_words(
    empty: Any, table: str, parameters: dict[str, str], status: int, said: Any
) -> None:
    """`latest` is a parameter there that no request survives."""
    assert (await empty.ask(table, **parameters)).said == (status, said)
