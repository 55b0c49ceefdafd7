"""The service's JSON of all its years, and what is wrong in it pointed at."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from aurora_async.errors import MalformedAnswer
from aurora_async.http import Answer
from aurora_async.imap import AncillaryFile, LegacyFile, QuicklookFile, ScienceFile, ScienceName, Version
from aurora_async.imap.wire import (
    decode_catalog,
    decode_gaps,
    decode_jobs,
    decode_kernels,
    decode_reprocessing,
    decode_table_files,
    kernels_named,
)

FACTS = json.loads((Path(__file__).parent.parent / "facts" / "imap_rows.json").read_text())
URL = "http://imap.example.org/query?table=science"


def answer(document: Any) -> Answer:
    """As the service writes it."""
    return Answer("GET", URL, 200, {}, json.dumps(document).encode())


def test_a_row_of_today_is_read() -> None:
    """Both spellings of its version agree, and the name and the key are those of the file."""
    (row,) = decode_catalog(answer(FACTS["science_2026"]), "science")
    assert isinstance(row, ScienceFile)
    assert (row.start_date, row.version, row.released) == (date(2026, 4, 12), Version(1, 8), True)
    assert row.ingestion_date == datetime(2026, 4, 13, 1, 2, 3, tzinfo=UTC)
    assert row.file_name == "imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
    assert isinstance(row.name, ScienceName)
    assert row.name.key == row.key
    assert row.raw == FACTS["science_2026"][0]


def test_rows_of_a_year_ago_are_read() -> None:
    """Real ones: one column for the version, another form of time, nothing about releases."""
    first, last = decode_catalog(answer(FACTS["science"]), "science")
    assert isinstance(first, ScienceFile)
    assert (first.version, first.released, first.repointing) == (Version(None, 7), None, None)
    assert first.ingestion_date == datetime(2024, 12, 6, 18, 31, 33, tzinfo=UTC)
    assert last.extension == "cdf"


def test_rows_of_the_first_archive_are_read() -> None:
    """Two dates, and versions that nothing else has."""
    rows = decode_catalog(answer(FACTS["legacy"]), "science")
    assert [row.version for row in rows] == ["v00-05", "v00-01"]
    assert isinstance(rows[0], LegacyFile)
    assert rows[0].end_date == date(2024, 1, 5)


def test_ancillary_and_quicklook_rows_are_their_own() -> None:
    """A time range without an end has none."""
    first, second, *_ = decode_catalog(answer(FACTS["ancillary"]), "ancillary")
    assert isinstance(first, AncillaryFile) and isinstance(second, AncillaryFile)
    assert (first.end_date, second.end_date, first.version) == (None, date(2026, 4, 3), Version(None, 2))
    (picture,) = decode_catalog(answer([FACTS["science_2026"][0] | {"extension": "png"}]), "quicklook")
    assert isinstance(picture, QuicklookFile)


def test_kernels_are_told_apart_by_their_names() -> None:
    """The service puts the leap seconds where the clock belongs, and the other way round."""
    history, clock = decode_kernels(answer(FACTS["kernels"]))
    assert history.key == "imap/spice/ck/imap_2025_274_2025_276_001.ah.bc"
    assert (history.leapseconds, history.spacecraft_clock) == ("naif0012.tls", "imap_sclk_0147.tsc")
    assert history.intervals[0].start == datetime(2025, 10, 1, 23, 0, 0, 94178, tzinfo=UTC)
    assert (clock.version, clock.end.year) == (31, 2145)


def test_tables_have_numbers_for_versions() -> None:
    """As texts of two digits; a table of repointings has no start."""
    (spin,) = decode_table_files(answer(FACTS["spin"]), "spin")
    assert (spin.start_date, spin.end_date, spin.version) == (date(2026, 3, 30), date(2026, 3, 31), 1)
    repoint, _ = decode_table_files(answer(FACTS["repoint"]), "repoint")
    assert (repoint.start_date, repoint.version) == (None, 2)


def test_what_nobody_knows_is_tolerated() -> None:
    """New columns come every few months."""
    (row,) = decode_catalog(answer([FACTS["science_2026"][0] | {"quality": {"flag": 1}}]), "science")
    assert row.raw["quality"] == {"flag": 1}


@pytest.mark.parametrize(
    ("change", "where", "reason"),
    [
        ({"start_date": None}, r"\$\[1\]\.start_date", "Expected `str`, got `null`"),
        ({"start_date": "20260431"}, r"\$\[1\]\.start_date", "expected a time, got '20260431'"),
        ({"ingestion_date": "yesterday"}, r"\$\[1\]\.ingestion_date", "expected a time, got 'yesterday'"),
        ({"minor_version": "8"}, r"\$\[1\]\.minor_version", "Expected `int | null`, got `str`"),
        ({"minor_version": 10000}, r"\$\[1\]\.major_version", "expected a version"),
        ({"released": "yes"}, r"\$\[1\]\.released", "Expected `bool | null`, got `str`"),
    ],
)
def test_what_is_wrong_is_pointed_at(change: dict[str, Any], where: str, reason: str) -> None:
    """With its place in the answer, so that one of fifty thousand rows can be found."""
    rows = [FACTS["science_2026"][0], FACTS["science_2026"][0] | change]
    with pytest.raises(MalformedAnswer, match=f"malformed at {where}") as error:
        decode_catalog(answer(rows), "science")
    assert reason in str(error.value)


@pytest.mark.parametrize("document", [{"message": "hello"}, ["x"], None])
def test_what_is_no_list_of_rows_is_refused(document: Any) -> None:
    """Such as a greeting of a proxy."""
    with pytest.raises(MalformedAnswer, match=r"malformed at \$"):
        decode_catalog(answer(document), "science")


def test_an_answer_that_is_nested_without_end_is_refused() -> None:
    """It would be beyond what the interpreter bears, and that error is not of our tree."""
    for body in (b"[" * 200_000, b'[{"file_path":' + b"[" * 200_000, json.dumps(FACTS["science_2026"]).encode()[:-1]):
        with pytest.raises(MalformedAnswer, match=r"malformed at \$: not JSON"):
            decode_catalog(Answer("GET", URL, 200, {}, body), "science")


def test_gaps_are_times() -> None:
    """Those of the documentation; a category without a gap is not among them."""
    gaps = decode_gaps(json.dumps(FACTS["gaps"]["body"]).encode(), URL)
    assert list(gaps) == ["spacecraft_ephemeris", "spacecraft_attitude"]
    assert gaps["spacecraft_attitude"][0].duration.total_seconds() == pytest.approx(40943, abs=1e-3)
    with pytest.raises(MalformedAnswer):
        decode_gaps(b'"require_coverage is not a boolean"', URL)


def test_a_metakernel_tells_what_it_loads() -> None:
    """In its order; a path that is too long for one text goes on in the next."""
    front = "/data/a/folder/of/a/name/that/is/so/long/that/no/kernel/fits/into/80/characters/with/it"
    text = f"""
\\begintext
made for a test
\\begindata
KERNELS_TO_LOAD = (
  '{front[:60]}+', '{front[60:]}/lsk/naif0012.tls',
  '{front[:60]}+',
  '{front[60:]}/spk/de440.bsp' )
\\begintext
"""
    assert kernels_named(text, front) == ("lsk/naif0012.tls", "spk/de440.bsp")
    assert kernels_named("KERNELS_TO_LOAD = ( 'fk/it''s.tf' )") == ("fk/it's.tf",)


def test_a_job_is_read_whatever_it_lacks() -> None:
    """One that has just begun has no end and no log yet."""
    row = {
        "status": "INPROGRESS",
        "instrument": "glows",
        "data_level": "l1b",
        "descriptor": "hist",
        "start_date": "2026-01-01T00:00:00",
        "major_version": 1,
        "minor_version": 2,
        "started_at": "2026-01-02T03:04:05.678901+00:00",
        "stopped_at": None,
        "container_command": ["--instrument", "glows"],
    }
    (job,) = decode_jobs(answer([row]))
    assert (job.start_date, job.version, job.stream) == (date(2026, 1, 1), Version(1, 2), None)
    assert job.started_at == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert job.command == "--instrument glows"


def test_older_services_give_no_number_for_reprocessing() -> None:
    """They have noted it all the same."""
    assert decode_reprocessing(answer({"message": "Reprocess job queued"})).id is None
