"""What a query found, as people use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from support.imap_catalog import science_row

from aurora_async.errors import InvalidInput
from aurora_async.http import Answer
from aurora_async.imap import (
    CatalogFile,
    FileQuery,
    FileTable,
    Gap,
    LegacyFile,
    ProcessingJob,
    ScienceFile,
    Version,
)
from aurora_async.imap.wire import decode_catalog
from aurora_async.transfer.tables import Records


def table(rows: Sequence[dict[str, Any]], query: FileQuery | None = None) -> FileTable[CatalogFile]:
    """A table of rows of the wire."""
    answer = Answer("GET", "http://imap.example.org/query", 200, {}, json.dumps(rows).encode())
    return FileTable(decode_catalog(answer, "science"), query=query)


def pointing(number: int) -> dict[str, Any]:
    """A row of a product that has one file a pointing."""
    return science_row(1) | {"instrument": "glows", "repointing": number, "file_path": f"imap/{number}"}


def test_a_table_is_a_sequence_of_rows_and_a_table() -> None:
    """What slices and filters leave is one as well, and knows what it is of."""
    found = table([science_row(1), science_row(1, 2), science_row(2)], FileQuery(instrument="mag"))
    assert len(found) == 3
    assert found[0].key == found.keys[0]
    assert found[1:].query == found.query
    assert [row.start_date.day for row in found.where(lambda row: row.start_date > date(2026, 1, 1))] == [2]
    assert found.latest().keys == found.keys[1:]


def test_dictionaries_hold_dates_and_texts() -> None:
    """The key comes last: it is the longest."""
    (row,) = table([science_row(1)]).to_dicts()
    assert (row["start_date"], row["version"], row["repointing"]) == (date(2026, 1, 1), "v001.0001", None)
    assert row["ingestion_date"] == datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert list(row)[-1] == "key"


def test_frames_and_arrow_tables_have_their_types_without_a_row() -> None:
    """A script that found nothing goes on with the columns it expects."""
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    full, empty = table([science_row(1), pointing(96)]), table([])
    assert list(full.to_pandas()["repointing"].dropna()) == [96]
    assert str(full.to_pandas()["start_date"].dtype) == "datetime64[us, UTC]"
    assert list(empty.to_pandas().columns) == list(full.to_pandas().columns)
    assert empty.to_arrow().schema == full.to_arrow().schema


def test_files_of_2024_beside_later_ones_have_the_columns_of_both() -> None:
    """An archive of that time tells them in one list, and what it did not know then is missing."""
    old = science_row(2) | {"version": "v00-05", "end_date": "20260103"}
    found = table([science_row(1), old])
    new, legacy = found
    assert isinstance(new, ScienceFile)
    assert isinstance(legacy, LegacyFile)
    assert (legacy.released, legacy.ingestion_date) == (None, None)
    first, second = found.to_dicts()
    assert list(first) == list(second)
    assert (first["version"], first["end_date"]) == ("v001.0001", None)
    assert (second["version"], second["end_date"]) == ("v00-05", date(2026, 1, 3))
    pytest.importorskip("pandas")
    assert str(found.to_pandas()["released"].dtype) == "boolean"


def test_what_came_is_in_no_table() -> None:
    """Jobs and files tell a version alike; the rows as they came are an attribute."""
    job = ProcessingJob(
        status="FAILED", instrument="mag", data_level="l2", descriptor="x", start_date=date(2026, 1, 1),
        version=Version(1, 2), raw={"status": "FAILED"},
    )  # fmt: skip
    (told,) = Records([job], record_type=ProcessingJob).to_dicts()
    assert told["version"] == "v001.0002"
    assert "raw" not in told
    assert "raw" not in table([science_row(1)]).to_dicts()[0]


def test_a_long_table_shows_its_ends() -> None:
    """In a notebook and in a terminal, without the columns that are empty."""
    found = table([science_row(day) for day in range(1, 31)])
    html, text = found._repr_html_(), str(found)
    assert "30 science files" in html
    assert "⋮" in html
    assert text.count("\n") == 12
    assert "repointing" not in text
    assert str(table([])) == "0 science files"


def test_missing_days_are_told_product_by_product() -> None:
    """Between the first and the last day there is, or those of the query; never beyond today."""
    rows = [science_row(day) for day in (3, 4, 7)]
    mag = ("mag", "l2", "norm-dsrf")
    assert table(rows).gaps() == (Gap(mag, date(2026, 1, 5), date(2026, 1, 6)),)
    asked = table(rows, FileQuery(instrument="mag", start_date="20260101", end_date="20260108"))
    assert [str(gap) for gap in asked.gaps()] == [
        "mag l2 norm-dsrf: 2026-01-01 to 2026-01-02",
        "mag l2 norm-dsrf: 2026-01-05 to 2026-01-06",
        "mag l2 norm-dsrf: 2026-01-08 to 2026-01-08",
    ]
    assert [day for gap in asked.gaps(start="2026-01-04") for day in gap.missing] == [
        date(2026, 1, 5),
        date(2026, 1, 6),
        date(2026, 1, 8),
    ]
    assert table(rows).gaps(end="2999")[-1].missing[-1] == datetime.now(UTC).date()


def test_missing_pointings_are_numbers() -> None:
    """Products that have one file a pointing have no days of their own."""
    (gap,) = table([pointing(number) for number in (96, 97, 100)]).gaps()
    assert gap.missing == (98, 99)
    with pytest.raises(InvalidInput, match="table: ancillary files are of no product, and only products have gaps"):
        FileTable([], table="ancillary").gaps()
