"""Which versions count: the worked examples of the service's own tests and of its documentation."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.imap_catalog import science_row

from aurora_async.http import Answer
from aurora_async.imap import AncillaryFile, AncillaryName, FileTable
from aurora_async.imap.latest import highest_major, latest, outranked, valid_on
from aurora_async.imap.wire import decode_catalog, decode_kernels, decode_table_files

FACTS = json.loads((Path(__file__).parent.parent / "facts" / "imap_rows.json").read_text())


def answer(document: Any) -> Answer:
    """As the service writes it."""
    return Answer("GET", "http://imap.example.org/query", 200, {}, json.dumps(document).encode())


def ancillary(name: str) -> AncillaryFile:
    """The row of a file of this name."""
    said = AncillaryName.parse(name)
    return AncillaryFile(
        key=said.key,
        instrument=said.instrument,
        descriptor=said.descriptor,
        start_date=said.start_date,
        end_date=said.end_date,
        version=said.version,
        extension=said.extension,
    )


def test_a_window_and_an_open_range_of_one_day_are_two_files() -> None:
    """The service's own test: the official client keeps one of them and loses the other."""
    asked = FACTS["expected_latest"]
    first, last = (date.fromisoformat(asked[name]) for name in ("start_date", "end_date"))
    rows = decode_catalog(answer(FACTS["ancillary"]), "ancillary")
    wanted = [row for row in rows if row.instrument == asked["instrument"] and first <= row.start_date <= last]
    assert sorted(row.key for row in latest(wanted)) == asked["paths"]


def test_files_that_differ_in_their_form_or_pointing_are_several() -> None:
    """A table as csv does not make void the picture of the same day."""
    names = [
        "imap_hi_flags_20260101_v001.csv",
        "imap_hi_flags_20260101_v002.csv",
        "imap_hi_flags_20260101_v001.json",
        "imap_hi_flags_20260101-repoint00096_v001.csv",
        "imap_hi_flags_20260101-repoint00097_v001.csv",
    ]
    assert [row.file_name for row in latest(map(ancillary, names))] == names[1:]


@pytest.mark.parametrize("choice", FACTS["selection"]["choices"], ids=lambda choice: f"{choice['date']}")
def test_the_file_for_a_day_is_that_of_the_documentation(choice: dict[str, str]) -> None:
    """A window with a higher version counts inside it only; an open range ends where the next one begins."""
    newest = choice.get("with_files_up_to", "v999")
    rows = [ancillary(name) for name in FACTS["selection"]["files"]]
    known = [row for row in rows if str(row.version) <= newest]
    (row,) = valid_on(known, date.fromisoformat(choice["date"]))
    assert row.file_name == choice["use"]
    assert FileTable(known, table="ancillary").valid_on(choice["date"]).keys == (row.key,)


def test_science_files_are_ranked_by_major_version_first() -> None:
    """Within their series; what ties stays."""
    rows = [
        *(science_row(1, minor, major=major) for major, minor in ((1, 9), (2, 0), (2, 3))),
        science_row(2, 1),
        science_row(3, 5, major=None),
        science_row(3, 1, major=1),
    ]
    twin = {"file_path": rows[2]["file_path"].replace(".cdf", ".pkts"), "extension": "pkts"}
    found = decode_catalog(answer([*rows, rows[2] | twin]), "science")
    assert [row.key for row in latest(found)] == [found[at].key for at in (2, 3, 5, 6)]
    assert [row.key for row in highest_major(found)] == [found[at].key for at in (1, 2, 3, 5, 6)]


def test_keys_of_science_files_are_ranked_as_their_rows_are() -> None:
    """What a mirror holds it knows by key alone. Files of other kinds, and of no kind, outrank none."""
    old, new, higher = (science_row(1, minor, major=major)["file_path"] for major, minor in ((1, 8), (1, 9), (2, 1)))
    alone, others = science_row(2)["file_path"], ["imap/spice/lsk/naif0012.tls", "imap/mag/test_calibration.txt"]
    assert outranked([old, new, alone, *others], is_latest=True) == {old}
    assert outranked([old, new, alone, *others], is_latest=False) == set()
    assert outranked(iter([old, higher, new, alone]), is_latest=False) == {old, new}
    unversioned = science_row(1, 900, major=None)["file_path"]
    assert outranked([unversioned, old], is_latest=True) == {unversioned}


def test_of_repointings_the_table_that_came_last_counts() -> None:
    """Each holds all since launch, whatever its version and end; tables of spins count for their own days."""
    rows = decode_table_files(answer(FACTS["repoint"]), "repoint")
    assert [row.key for row in latest(rows)] == ["imap/spice/repoint/imap_2026_268_2026_268_01.repoint"]
    (spin,) = decode_table_files(answer(FACTS["spin"]), "spin")
    newer = attrs.evolve(spin, version=2, key=spin.key.replace("_01.spin", "_02.spin"))
    other = attrs.evolve(spin, start_date=date(2026, 3, 31))
    assert latest([spin, newer, other]) == [newer, other]


def test_kernels_are_ranked_by_the_root_of_their_names() -> None:
    """Two clocks are versions of one, two attitude histories of other days are not."""
    history, clock = decode_kernels(answer(FACTS["kernels"]))
    newer = attrs.evolve(clock, version=32, key="imap/spice/sclk/imap_sclk_0032.tsc")
    assert latest([history, clock, newer]) == [history, newer]
