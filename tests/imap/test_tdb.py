"""UTC and TDB against what the service itself has converted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.imap.tdb import from_tdb, to_tdb

FACTS = json.loads((Path(__file__).parent.parent / "facts" / "imap_rows.json").read_text())


def test_real_kernels_agree_to_the_microsecond() -> None:
    """Both columns of a row are the service's own; one of the rows reaches from 2010, with other leap seconds."""
    for row in FACTS["kernels"]:
        for tdb, text in zip(row["file_intervals_j2000"][0], row["file_intervals_datetime"][0], strict=True):
            utc = datetime.fromisoformat(text).replace(tzinfo=UTC)
            if utc.year < 2100:  # leap seconds that nobody knows yet
                assert abs(from_tdb(tdb) - utc) <= timedelta(microseconds=1)
                assert to_tdb(utc) == pytest.approx(tdb, abs=2e-6)


@given(st.datetimes(datetime(1999, 1, 2), datetime(2100, 1, 1)))
def test_what_is_converted_comes_back(moment: datetime) -> None:
    """To the microsecond, leap seconds in between or not."""
    utc = moment.replace(tzinfo=UTC)
    assert abs(from_tdb(to_tdb(utc)) - utc) <= timedelta(microseconds=1)
