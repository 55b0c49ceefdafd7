"""Queries: what cannot be right is refused when it is written, in words that say what could be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from aurora_async.errors import InvalidInput
from aurora_async.imap import FileQuery, SpiceQuery, Version, query_of_name


@pytest.mark.parametrize(
    ("filters", "refusal"),
    [
        ({}, "query: it has no filter; give at least one of instrument, data_level, descriptor, start_date"),
        ({"version": "latest"}, "query: it has no filter"),
        ({"table": "spice"}, "table: 'spice' is not one of science, ancillary, quicklook; spice_query() finds kernels"),
        (
            {"instrument": "MAG"},
            "instrument: 'MAG' is not one of codice, glows, hi, hit, ialirt, idex, l1const, lo, mag",
        ),
        ({"data_level": "l4"}, "data_level: 'l4' is not one of l0, l1, l1a"),
        ({"descriptor": "a_b"}, "descriptor: 'a_b' is not a descriptor"),
        ({"start_date": "20260230"}, "start_date: '20260230' is not a time"),
        ({"start_date": "20260402", "end_date": "20260401"}, "end_date: 2026-04-01 is before start_date, 2026-04-02"),
        (
            {"ingestion_start_date": "20260402", "ingestion_end_date": "2026-04-01T10:00"},
            "ingestion_end_date: 2026-04-01T10:00:59 is before ingestion_start_date, 2026-04-02T00:00:00",
        ),
        (
            {"repointing": "repoint1"},
            "repointing: 'repoint1' is not a whole number, 0 or more, nor such as repoint00096",
        ),
        ({"version": "v01"}, "version: 'v01' is not a version; write latest, v012 or v001.0008"),
        ({"minor_version": True}, "minor_version: True is not a whole number"),
        ({"version": "v001.0008", "major_version": 1}, "major_version: version='v001.0008' says it already"),
        ({"version": "v008", "minor_version": 8}, "minor_version: version='v008' says it already"),
        ({"extension": "png"}, "extension: 'png' is not one of cdf, pkts (of science files)"),
        ({"table": "ancillary", "extension": "pkts"}, "extension: 'pkts' is not one of cdf, csv, dat, json"),
        (
            {"table": "ancillary", "data_level": "l2"},
            "data_level: 'l2' cannot be asked for: the ancillary table has no",
        ),
        ({"table": "ancillary", "version": "v001.0001"}, "version: 'v001.0001' has a major part"),
        ({"instrument": "x", "data_level": "y", "version": "z"}, "instrument: 'x' is not one of"),
    ],
)
def test_what_cannot_be_right_is_refused(filters: dict[str, Any], refusal: str) -> None:
    """With the field, the value and what is allowed, always in the same order; of several faults the first."""
    with pytest.raises(InvalidInput) as error:
        FileQuery(**filters)
    assert str(error.value).startswith(refusal)


def test_days_are_days_and_ingestion_is_to_the_second() -> None:
    """Dates, datetimes in any zone, texts of the wire, of ISO, and partial ones."""
    query = FileQuery(
        start_date="202604",
        end_date=datetime(2026, 4, 30, 23, tzinfo=timezone(-timedelta(hours=2))),
        ingestion_start_date=date(2026, 4, 1),
        ingestion_end_date="2026-04-05T06:30",
    )
    assert (query.start_date, query.end_date) == (date(2026, 4, 1), date(2026, 5, 1))
    assert query.ingestion_start_date == datetime(2026, 4, 1, tzinfo=UTC)
    assert query.ingestion_end_date == datetime(2026, 4, 5, 6, 30, 59, tzinfo=UTC)


def test_a_query_is_plain_json_and_back() -> None:
    """What a mirror notes, and what a file of queries holds."""
    query = FileQuery(
        instrument="glows",
        repointing="repoint00096",
        version="v001.0008",
        ingestion_end_date="2026-04",
        start_date="2026",
    )
    document = query.document()
    assert document["repointing"] == 96
    assert FileQuery.from_document(document) == query
    with pytest.raises(InvalidInput, match="level: there is no such filter; there are table, instrument, data_level"):
        FileQuery.from_document({"level": "l2"})


def test_the_name_of_a_file_is_a_query_for_it() -> None:
    """What the official command line offers and never manages."""
    query = query_of_name("x/imap_glows_l2_hist_20260101-repoint00096_v001.0002.cdf")
    assert isinstance(query, FileQuery)
    assert query == FileQuery(
        instrument="glows",
        data_level="l2",
        descriptor="hist",
        start_date="20260101",
        end_date="20260101",
        repointing=96,
        version="v001.0002",
        extension="cdf",
    )
    assert (query.major, query.minor) == (1, 2)
    ancillary = query_of_name("imap_mag_l2-norm-offsets_20251017_20251017_v001.cdf")
    assert isinstance(ancillary, FileQuery)
    assert (ancillary.table, ancillary.data_level, ancillary.exact_version) == ("ancillary", None, Version(None, 1))
    assert query_of_name("naif0012.tls") == SpiceQuery(file_name="naif0012.tls")
    with pytest.raises(InvalidInput, match="is not in a table: such names are from before February 2024"):
        query_of_name("imap_swe_l0_sci_20240105_20240105_v00-05.pkts")
    with pytest.raises(InvalidInput, match="not in a table: no table lists such files"):
        query_of_name("imap_mag_l1a_test_20210101_v000.0001.json")


@pytest.mark.parametrize(
    ("filters", "refusal"),
    [
        ({"type": "ck"}, "type: 'ck' is not one of kernels, attitude_history"),
        ({"file_name": "../naif0012.tls"}, "file_name: '../naif0012.tls' is not the name of a kernel"),
        ({"start": float("inf")}, "start: inf is not a number of seconds"),
        ({"start": "2026-02", "end": "2026-01"}, "end: "),
        ({"latest": "true"}, "latest: 'true' is neither True nor False"),
    ],
)
def test_a_kernel_query_that_cannot_be_right_is_refused(filters: dict[str, Any], refusal: str) -> None:
    """As strictly."""
    with pytest.raises(InvalidInput) as error:
        SpiceQuery(**filters)
    assert str(error.value).startswith(refusal)


def test_kernels_are_asked_for_in_the_seconds_of_spice() -> None:
    """By the pair of times that a real answer holds; of a date, its whole day is meant; numbers stay what they are."""
    query = SpiceQuery(start=datetime(2025, 10, 29, 19, 7, 7, 908503, tzinfo=UTC), end=815126896.0094784)
    assert query.start == pytest.approx(815036897.0909909, abs=1e-6)
    assert query.end == 815126896.0094784
    day = SpiceQuery(start=date(2025, 10, 29), end=date(2025, 10, 29))
    assert (day.end or 0) - (day.start or 0) == pytest.approx(86399, abs=1e-3)
    assert SpiceQuery(file_name="imap/spice/lsk/naif0012.tls").file_name == "naif0012.tls"
