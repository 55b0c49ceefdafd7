"""`aurorax-cli search availability`.

On purpose other than in the official program: data products are sorted by `--order` too, and a range that ends before
it begins is refused instead of having nothing in it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

AVAILABILITY = ("search", "availability")


def rows_of(ran: Any) -> list[list[str]]:
    """Return the cells of a table."""
    assert ran.code == 0, ran.output
    return [re.split(r" {2,}", line.strip()) for line in ran.lines[2:]]


@pytest.mark.parametrize(
    ("start", "end"), [("2020-01-01", "2020-01-02"), ("2020/01/01", "2020/01/02"), ("20200101", "20200102")]
)
def test_there_is_a_row_for_each_source_and_day(cli: Any, start: str, end: str) -> None:
    """In all three spellings of a date; reversing turns the sources around, not the days."""
    ran = cli(*AVAILABILITY, "ephemeris", start, end, "--program", "swarm")
    assert re.split(r" {2,}", ran.lines[0]) == [
        "Identifier ↓", "Display Name", "Program", "Platform", "Instrument Type", "Source Type", "Date",
        "Available Records",
    ]  # fmt: skip
    rows = rows_of(ran)
    assert rows[0] == ["3", "Swarm A", "swarm", "swarma", "footprint", "leo", "2020-01-01", "1,440"]
    assert [(row[0], row[6]) for row in rows] == [
        (identifier, f"2020-01-0{day}") for identifier in ("3", "29", "30") for day in (1, 2)
    ]
    turned = rows_of(cli(*AVAILABILITY, "ephemeris", start, end, "--program", "swarm", "--reversed"))
    assert [(row[0], row[6]) for row in turned] == [
        (identifier, f"2020-01-0{day}") for identifier in ("30", "29", "3") for day in (1, 2)
    ]


def test_every_filter_is_asked(cli: Any) -> None:
    """One source is left."""
    (row,) = rows_of(
        cli(*AVAILABILITY, "data_products", "2020-01-01", "2020-01-01", "--platform", "fort smith", "--program", "trex",
            "--instrument-type", "RGB ASI", "--source-type", "ground")
    )  # fmt: skip
    assert row == ["96", "TREx RGB FSMI", "trex", "fort smith", "RGB ASI", "ground", "2020-01-01", "66"]


@pytest.mark.parametrize("kind", ["ephemeris", "data_products"])
def test_both_kinds_are_sorted_by_the_column_wanted(cli: Any, kind: str) -> None:
    """And the column says so."""
    ran = cli(*AVAILABILITY, kind, "2020-01-01", "2020-01-01", "--source-type", "ground", "--order", "platform")
    platforms = [row[3] for row in rows_of(ran)]
    assert platforms == sorted(platforms) and len(set(platforms)) > 3
    assert "Platform ↓" in ran.lines[0]


@pytest.mark.parametrize(("kind", "words"), [("ephemeris", "ephemeris"), ("data_products", "data products")])
def test_nothing_is_told_as_nothing(cli: Any, kind: str, words: str) -> None:
    """With exit code 0, since the question was a good one."""
    ran = cli(*AVAILABILITY, kind, "2020-01-01", "2020-01-01", "--program", "nothing")
    assert (ran.code, ran.output) == (0, f"No {words} availability information found!\n")


@pytest.mark.parametrize(
    ("start", "end", "line"),
    [
        ("2020-13-01", "2020-01-01", "Error parsing start date, make sure it is in a valid format shown in help menu"),
        ("2020-01-01", "2020", "Error parsing end date, make sure it is in a valid format shown in help menu"),
        ("2020-01-02", "2020-01-01", "Error: end: 2020-01-01T23:59:59 is before the start, 2020-01-02T00:00:00"),
    ],
)
def test_wrong_dates_are_refused(cli: Any, start: str, end: str, line: str) -> None:
    """In one line."""
    ran = cli(*AVAILABILITY, "ephemeris", start, end)
    assert (ran.code, ran.output) == (1, f"{line}\n")
