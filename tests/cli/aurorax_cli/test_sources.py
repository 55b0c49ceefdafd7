"""`aurorax-cli search sources`.

On purpose other than in the official program: `add` and `update` work, a change that the server refuses is told as an
error, internal sources (with negative identifiers) are in no table, and what a column lacks sorts first.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

SOURCES = ("search", "sources")
STORED = {
    "identifier": 4321, "program": "test", "platform": "one", "instrument_type": "camera", "source_type": "ground",
    "display_name": "Test One",
}  # fmt: skip
SHOWN = (
    "DataSource(identifier=4321, program='test', platform='one', instrument_type='camera', source_type='ground', "
    "display_name='Test One', ...)"
)


def identifiers(ran: Any) -> list[str]:
    """Return the first column of a table."""
    assert ran.code == 0, ran.output
    return [line.split()[0] for line in ran.lines[2:]]


def test_sources_are_listed_in_a_table(cli: Any) -> None:
    """The owner is a column when one asks for an owner, or sorts by it."""
    ran = cli(*SOURCES, "list", "--program", "swarm")
    assert ran.lines == [
        "Identifier ↓   Display Name   Program   Platform   Instrument Type   Source Type",
        "================================================================================",
        "3              Swarm A        swarm     swarma     footprint         leo        ",
        "29             Swarm B        swarm     swarmb     footprint         leo        ",
        "30             Swarm C        swarm     swarmc     footprint         leo        ",
    ]
    for option in (("--owner", "dchaddoc@ucalgary.ca"), ("--order", "owner")):
        ran = cli(*SOURCES, "list", *option)
        assert re.search(r"Owner( ↓)? *$", ran.lines[0])
        assert "dchaddoc@ucalgary.ca" in ran.output


def test_sources_are_filtered_sorted_and_turned_around(cli: Any) -> None:
    """By every option there is."""
    turned = cli(*SOURCES, "list", "--program", "swarm", "--order", "platform", "--reversed")
    assert identifiers(turned) == ["30", "29", "3"] and "Platform ↓" in turned.lines[0]
    one = cli(*SOURCES, "list", "--program", "trex", "--platform", "fort smith", "--instrument-type", "RGB ASI",
              "--source-type", "ground")  # fmt: skip
    assert identifiers(one) == ["96"]
    assert identifiers(cli(*SOURCES, "list", "--program", "nothing")) == []


def test_several_names_of_a_kind_are_searched_for(cli: Any) -> None:
    """Separated by commas, with blanks or without; nothing between two of them is no name."""
    for programs in ("swarm,epop", "swarm, epop", ",swarm,,epop,"):
        ran = cli(*SOURCES, "search", "--programs", programs, "--instrument-types", "footprint")
        assert identifiers(ran) == ["3", "29", "30", "32"]
    assert identifiers(cli(*SOURCES, "search", "--platforms", "swarma")) == ["3"]


def test_statistics_are_two_columns_and_two_sums(cli: Any) -> None:
    """The sums count what the rows show."""
    ran = cli(*SOURCES, "list", "--program", "swarm", "--include-stats")
    counts = re.findall(r"([\d,]+) records \(\d{4}-\d\d-\d\dT\d\d:\d\d to \S+\)\s+([\d,]+) records", ran.output)
    assert len(counts) == 3
    total = sum(int(count.replace(",", "")) for count, _ in counts)
    assert ran.output.endswith(f"\n\nTotal Ephemeris records:\t{total:,}\nTotal Data Product records:\t0\n\n")


def test_a_source_is_shown_line_by_line(cli: Any) -> None:
    """By its names and by its number; the spelling of the fifth word is the official program's."""
    basic = [
        "Identifier:\t\t3",
        "Program:\t\tswarm",
        "Platform:\t\tswarma",
        "Instument Type:\t\tfootprint",
        "Source Type:\t\tleo",
        "Display Name:\t\tSwarm A",
    ]
    assert cli(*SOURCES, "get", "swarm", "swarma", "footprint").lines == basic
    by_number = (*SOURCES, "get_using_identifier", "3", "--format")
    assert cli(*by_number, "identifier_only").lines == basic[:1]
    assert cli(*by_number, "with_metadata").lines == [*basic, "Metadata:\t\t{}"]
    full = cli(*by_number, "full_record", "--include-stats")
    assert full.lines[:6] == basic
    assert full.lines[6].startswith("Owner:\t\t\tdchaddoc@ucalgary.ca")
    assert re.search(r"^Ephemeris Stats:\t[\d,]+ \(\d{4}-\d\d-\d\dT\d\d:\d\d to \S+\)$", full.output, re.MULTILINE)
    assert "Data Product Stats:\t0 records\n" in full.output
    assert "Ephemeris Schema:\tsee below table\nData Product Schema:\t[]\n\nSchema " in full.output
    assert re.search(r"^ephemeris   nbtrace_region  +string  ", full.output, re.MULTILINE)


def test_what_a_schema_does_not_say_is_a_dash(scripted: Any) -> None:
    """A field may be searchable, not searchable, or silent about it."""
    schema = [{"field_name": "kp", "data_type": "double"}, {"field_name": "l", "searchable": False}]
    service = scripted({"GET /api/v1/data_sources/4321": (200, STORED | {"ephemeris_metadata_schema": schema})})
    lines = service.cli(*SOURCES, "get_using_identifier", "4321", "--format", "full_record").lines
    assert [line.split()[4] for line in lines[-2:]] == ["-", "False"]


def test_a_source_that_does_not_exist_is_told_in_one_line(cli: Any) -> None:
    """The text of the service reaches the person."""
    ran = cli(*SOURCES, "get_using_identifier", "12345678")
    message = "No Data Source record found in AuroraX for identifier 12345678"
    assert (ran.code, ran.output) == (1, f"AuroraXAPIError occurred: API error code 404: {message}\n")
    ran = cli(*SOURCES, "get", "no", "such", "source")
    assert (ran.code, ran.output) == (1, "AuroraXNotFoundError occurred: No matching data source found\n")


def test_a_source_can_be_added(scripted: Any) -> None:
    """Its fields are the arguments, in order."""
    service = scripted({"POST /api/v1/data_sources": (200, STORED)})
    ran = service.cli(*SOURCES, "add", "test", "one", "camera", "ground", "Test One", "--identifier", "4321")
    assert (ran.code, ran.output) == (0, f"Created data source successfully\n\n{SHOWN}\n")
    assert service.asked == [("POST /api/v1/data_sources", STORED)]


def test_a_source_can_be_changed(scripted: Any) -> None:
    """Only what is given is sent."""
    source = "/api/v1/data_sources/4321"
    service = scripted({f"PATCH {source}": (200, STORED), f"GET {source}": (200, STORED)})
    ran = service.cli(*SOURCES, "update", "4321", "--display-name", "Test One")
    assert (ran.code, ran.output) == (0, f"Updated data source successfully\n\n{SHOWN}\n")
    assert service.asked[0] == (f"PATCH {source}", {"display_name": "Test One"})


def test_a_source_can_be_deleted(scripted: Any) -> None:
    """And one that must not be is not said to be."""
    service = scripted({"DELETE /api/v1/data_sources/4321": (200, {})})
    ran = service.cli(*SOURCES, "delete", "4321")
    assert (ran.code, ran.output) == (0, "Successfully deleted data source #4321\n")
    refusals = (
        (401, "NotAuthenticated", "AuroraXUnauthorizedError occurred: API error code 401: no"),
        (403, "NotPermitted", "AuroraXUnauthorizedError occurred: API error code 403: no"),
        (409, "Conflict", "AuroraXConflictError occurred: Conflict - no"),
    )
    for status, code, line in refusals:
        answer = (status, {"error_code": code, "error_message": "no"})
        ran = scripted({"DELETE /api/v1/data_sources/4321": answer}).cli(*SOURCES, "delete", "4321")
        assert (ran.code, ran.output) == (1, f"{line}\n")


@pytest.mark.parametrize(
    "arguments", [("get_using_identifier", "three"), ("list", "--order", "colour"), ("get", "swarm")]
)
def test_what_was_typed_wrong_is_exit_code_2(cli: Any, arguments: tuple[str, ...]) -> None:
    """As for every command that click reads."""
    assert cli(*SOURCES, *arguments).code == 2
