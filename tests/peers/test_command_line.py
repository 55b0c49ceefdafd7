"""The official command line, `aurorax-cli`, against the local service."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.peers

KINDS = ("conjunctions", "ephemeris", "data_products")

QUERIES: dict[str, dict[str, Any]] = {
    "conjunctions": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T06:59:59",
        "ground": [{"programs": ["themis-asi"], "platforms": [], "instrument_types": []}],
        "space": [{"programs": ["swarm"], "hemisphere": []}],
        "conjunction_types": ["nbtrace"],
        "max_distances": {"ground1-space1": 500},
    },
    "ephemeris": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T00:09:59",
        "data_sources": {"programs": ["swarm"], "platforms": ["swarma"], "instrument_types": ["footprint"]},
    },
    # As in the documentation, which calls the file data_product_search.json.
    "data_products": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T23:59:59",
        "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
        "data_product_type_filters": [],
    },
}

COUNTS = {"conjunctions": 49, "ephemeris": 10, "data_products": 66}


@pytest.fixture
def query(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The name of a query file of the test's kind, in the folder where commands run."""
    (tmp_path / "query.json").write_text(json.dumps(QUERIES[request.node.callspec.params["kind"]]))
    return "query.json"


def searched(aurorax_cli: Any, kind: str, query: str) -> Any:
    """Run a search to its end."""
    ran = aurorax_cli("search", kind, "search", query, "--poll-interval", "0.05")
    assert ran.code == 0, ran.output
    return ran


def said(lines: list[str]) -> list[str]:
    """Return the lines without the time in brackets and without those about polling."""
    texts = [re.sub(r"^\[\d{4}-\d\d-\d\d [\d:.]+\] ", "", line) for line in lines]
    return [text for text in texts if text != "Checking for data ..."]


def test_the_installed_command_reaches_the_service(base_url: str, tmp_path: Path) -> None:
    """In a process of its own, as a person types it: `--test-connectivity` asks for `/` and wants 200."""
    script = Path(sys.executable).with_name("aurorax-cli")
    where = ["--api-base-url", f"{base_url}/"]
    home = os.environ | {"HOME": str(tmp_path)}
    ran = subprocess.run(
        [str(script), *where, "--test-connectivity"], capture_output=True, text=True, cwd=tmp_path, env=home
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (f"Checking connectivity to {base_url} ...\n\nConnectivity to the AuroraX API looks good!\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_of_a_query_file_saves_its_records(
    aurorax_cli: Any, base_url: str, tmp_path: Path, kind: str, query: str
) -> None:
    """The lines of the documentation, and a file named after the request."""
    ran = searched(aurorax_cli, kind, query)
    url = f"{base_url}/api/v1/{kind}/requests/{ran.request_id}"
    lines = said(ran.lines)
    assert re.fullmatch(rf"Downloading {COUNTS[kind]} results and \d+\.\d kB of data \.\.\.", lines.pop(-3))
    assert lines == [
        "Reading in query file ...",
        "Preparing search ...",
        "Search object created",
        "Request submitted",
        f"Request ID: {ran.request_id}",
        f"Request details available at: {url}",
        "Data is now available",
        "Writing data to file ...",
        f"Data has been saved to '{ran.request_id}_data.json'",
    ]
    records = json.loads((tmp_path / f"{ran.request_id}_data.json").read_text())
    key = "epoch" if kind == "ephemeris" else "start"
    assert len(records) == COUNTS[kind]
    assert records == sorted(records, key=lambda record: record[key])


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_can_be_printed_instead(aurorax_cli: Any, kind: str, query: str) -> None:
    """As dictionaries, quietly; and as objects from a request that is over."""
    ran = searched(aurorax_cli, kind, query)
    printed = aurorax_cli("search", kind, "search", query, "--poll-interval", "0.05", "--quiet",
                          "--output-to-terminal", "dict")  # fmt: skip
    assert printed.code == 0
    before, _, text = printed.output.partition("\n\n")
    assert said([before])[0].startswith(f"Downloading {COUNTS[kind]} results")
    records = ast.literal_eval(text)
    saved = json.loads(Path(f"{ran.request_id}_data.json").read_text())
    assert records == saved
    printed = aurorax_cli("search", kind, "get_data", ran.request_id, "--output-to-terminal", "objects")
    name = {"conjunctions": "Conjunction", "ephemeris": "EphemerisData", "data_products": "DataProductData"}[kind]
    assert printed.code == 0
    assert sum(line.startswith(f"{name}(") for line in printed.lines) == COUNTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_the_status_of_a_request_is_shown_with_logs_and_query(aurorax_cli: Any, kind: str, query: str) -> None:
    """Eight lines, a table of logs, and the query, from which the command deletes `request_id` unasked."""
    request_id = searched(aurorax_cli, kind, query).request_id
    ran = aurorax_cli("search", kind, "get_status", request_id, "--show-logs", "--show-query", "--max-width", "300")
    assert ran.code == 0
    shown = dict(re.split(r":\t+", line, maxsplit=1) for line in ran.lines[:8])
    assert list(shown) == [
        "Completed", "Requested timestamp", "Completed timestamp", "Query duration", "Error condition", "Data URL",
        "File size", "Result count",
    ]  # fmt: skip
    assert (shown["Completed"], shown["Error condition"]) == ("True", "False")
    assert shown["Result count"] == str(COUNTS[kind])
    assert re.fullmatch(r"(\d+ milliseconds|[\d.]+ seconds?.*) \(\d+ms\)", shown["Query duration"])
    assert re.fullmatch(r"\d+\.\d kB", shown["File size"])
    assert shown["Data URL"].endswith(f"/api/v1/{kind}/requests/{request_id}/data")
    assert "Search request arrived and saved" in ran.output and ran.lines[9].split() == [
        "Timestamp",
        "Level",
        "Summary",
    ]
    filtered = aurorax_cli("search", kind, "get_status", request_id, "--show-logs", "--filter-logs", "error")
    assert [line.split() for line in filtered.lines[9:10]] == [["Timestamp", "Level", "Summary"]]
    assert len(filtered.lines) == 11

    text = ran.output.partition("Search query:\n==================\n")[2]
    shown_query = ast.literal_eval(text)
    assert "request_id" not in shown_query
    assert shown_query["start"] == QUERIES[kind]["start"]
    asked = aurorax_cli("search", kind, "get_query", request_id)
    assert ast.literal_eval(asked.output) == shown_query


@pytest.mark.parametrize("kind", KINDS)
def test_the_logs_of_a_request_are_shown(aurorax_cli: Any, kind: str, query: str) -> None:
    """Whole and filtered by level; every timestamp is one that the command can read."""
    request_id = searched(aurorax_cli, kind, query).request_id
    ran = aurorax_cli("search", kind, "get_logs", request_id, "--table-max-width", "380")
    assert ran.code == 0
    # A long summary goes on in the next lines, whose first column is empty.
    rows = [line for line in ran.lines[2:] if not line.startswith(" ")]
    assert len(rows) == (13 if kind == "conjunctions" else 7)
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? +(debug|info) ", row) for row in rows)
    assert rows[-1].rstrip().endswith(f"and found {COUNTS[kind]} records.")
    filtered = aurorax_cli("search", kind, "get_logs", request_id, "--filter", "info", "--max-width", "380")
    infos = [line for line in filtered.lines[2:] if not line.startswith(" ")]
    assert [row.split() for row in infos] == [row.split() for row in rows if row.split()[2] == "info"]
    if kind == "conjunctions":
        assert aurorax_cli("search", kind, "get_logs", request_id, "--no-truncate").code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_can_be_submitted_again(aurorax_cli: Any, kind: str, query: str) -> None:
    """From the query in its status, which therefore must be one that the service accepts."""
    request_id = searched(aurorax_cli, kind, query).request_id
    ran = aurorax_cli("search", kind, "search_resubmit", request_id)
    assert ran.code == 0, ran.output
    assert ran.lines[:3] == [
        f"Retrieving query for request '{request_id}' ...", "Preparing new search ...", "Submitting new search ...",
    ]  # fmt: skip
    assert ran.request_id != request_id
    first, second = (aurorax_cli("search", kind, "get_query", one).output for one in (request_id, ran.request_id))
    # pprint of the same query, but for what the command itself fills in.
    again, once = ast.literal_eval(second), ast.literal_eval(first)
    assert {name: again[name] for name in ("start", "end")} == {name: once[name] for name in ("start", "end")}


def test_a_resubmitted_query_keeps_its_custom_locations(aurorax_cli: Any, aurorax: Any) -> None:
    """`search` drops them (a slip of the command), resubmitting does not."""
    from datetime import datetime

    space, places = [{"programs": ["swarm"]}], [{"locations": [{"lat": 56.354, "lon": -94.656}]}]
    search = aurorax.search.conjunctions.search(
        datetime(2020, 1, 1), datetime(2020, 1, 1, 23, 59, 59), 500, space=space, custom_locations=places,
        poll_interval=0.05,
    )  # fmt: skip
    again = aurorax_cli("search", "conjunctions", "search_resubmit", search.request_id).request_id
    status = aurorax.search.requests.wait_for_data(
        aurorax.search.conjunctions.get_request_url(again), poll_interval=0.05
    )
    assert status["search_result"]["result_count"] == len(search.data) > 0
    assert status["search_request"]["query"]["adhoc"] == places


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_file_can_be_described(aurorax_cli: Any, kind: str, query: str) -> None:
    """One sentence, as text and not as JSON."""
    ran = aurorax_cli("search", kind, "describe", query)
    assert ran.code == 0
    assert ran.output.startswith(f"Find {kind} ") and ran.output.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_of_a_query_can_be_described_and_searched(aurorax_cli: Any, kind: str) -> None:
    """It names no data source that exists, and distances of blocks that it does not have; it is accepted as it is."""
    assert aurorax_cli("search", kind, "search_template", "--outfile", "template.json").code == 0
    described = aurorax_cli("search", kind, "describe", "template.json")
    assert described.output.startswith(f"Find {kind} "), described.output
    ran = aurorax_cli("search", kind, "search", "template.json", "--poll-interval", "0.05")
    assert ran.code == 0, ran.output
    assert json.loads(Path(f"{ran.request_id}_data.json").read_text()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["get_status", "get_logs", "get_query", "search_resubmit"])
def test_an_unknown_request_is_told_as_not_found(aurorax_cli: Any, kind: str, command: str) -> None:
    """The command looks for the words of a 404."""
    ran = aurorax_cli("search", kind, command, "00000000-0000-4000-8000-000000000000")
    assert (ran.code, ran.lines[-1]) == (1, "AuroraXAPIError occurred: request ID not found")


@pytest.mark.parametrize("kind", KINDS)
def test_deleted_data_is_told_as_too_old(aurorax_cli: Any, aurorax: Any, kind: str, query: str) -> None:
    """The answer is 200 with an error document in it, whose code the command looks for."""
    request_id = searched(aurorax_cli, kind, query).request_id
    aurorax.search.requests.cancel(getattr(aurorax.search, kind).get_request_url(request_id))
    ran = aurorax_cli("search", kind, "get_data", request_id)
    assert ran.code == 1
    assert "this request is too old" in ran.output.replace("\n", " ")
    # The command folds its lines, also at the hyphens of an identifier.
    assert f"search_resubmit{request_id}" in "".join(ran.output.split())


def test_availability_is_shown_as_a_table(aurorax_cli: Any) -> None:
    """One row for each source and day, in all three spellings of a date."""
    for start, end in (("2020-01-01", "2020-01-02"), ("2020/01/01", "2020/01/02"), ("20200101", "20200102")):
        ran = aurorax_cli("search", "availability", "ephemeris", start, end, "--program", "swarm", "--reversed")
        assert ran.code == 0
        rows = [re.split(r" {2,}", line.strip()) for line in ran.lines[2:]]
        assert [(row[0], row[-2], row[-1]) for row in rows] == [
            (identifier, f"2020-01-0{day}", "1,440") for identifier in ("30", "29", "3") for day in (1, 2)
        ]
    ran = aurorax_cli("search", "availability", "data_products", "2020-01-01", "2020-01-01", "--platform", "fort smith",
                      "--program", "trex", "--instrument-type", "RGB ASI", "--source-type", "ground")  # fmt: skip
    assert re.split(r" {2,}", ran.lines[2].strip()) == [
        "96", "TREx RGB FSMI", "trex", "fort smith", "RGB ASI", "ground", "2020-01-01", "66"
    ]  # fmt: skip
    for kind, words in (("ephemeris", "ephemeris"), ("data_products", "data products")):
        ran = aurorax_cli("search", "availability", kind, "2020-01-01", "2020-01-01", "--program", "nothing")
        assert (ran.code, ran.output) == (0, f"No {words} availability information found!\n")


def test_sources_are_listed_as_tables(aurorax_cli: Any) -> None:
    """Filtered, ordered, reversed, and with statistics, whose totals the command adds up."""
    ran = aurorax_cli("search", "sources", "list", "--program", "swarm", "--order", "platform", "--reversed")
    assert ran.lines[0].split("  ")[0] == "Identifier" and "Platform ↓" in ran.lines[0]
    assert [line.split()[0] for line in ran.lines[2:]] == ["30", "29", "3"]
    ran = aurorax_cli("search", "sources", "list", "--program", "swarm", "--include-stats")
    assert ran.code == 0
    found = re.findall(r"([\d,]+) records \((\S+) to (\S+)\)\s+([\d,]+) records", ran.output)
    assert len(found) == 3
    total = sum(int(count.replace(",", "")) for count, *_ in found)
    assert f"Total Ephemeris records:\t{total:,}\n" in ran.output
    ran = aurorax_cli("search", "sources", "search", "--programs", "swarm, epop", "--instrument-types", "footprint")
    assert [line.split()[0] for line in ran.lines[2:]] == ["3", "29", "30", "32"]
    ran = aurorax_cli("search", "sources", "list", "--owner", "dchaddoc@ucalgary.ca")
    assert "Owner" in ran.lines[0] and "dchaddoc@ucalgary.ca" in ran.lines[2]


@pytest.mark.parametrize("level", ["basic_info", "with_metadata", "identifier_only", "full_record"])
def test_a_source_is_shown_in_each_format(aurorax_cli: Any, level: str) -> None:
    """By its three names and by its identifier, with statistics; the schema as a table."""
    options = ("--format", level, "--include-stats")
    ran = aurorax_cli("search", "sources", "get", "swarm", "swarma", "footprint", *options)
    assert ran.code == 0, ran.output
    assert ran.lines[0] == "Identifier:\t\t3"
    assert aurorax_cli("search", "sources", "get_using_identifier", "3", *options) == ran
    assert re.search(r"^Ephemeris Stats:\t[\d,]+ \(\d{4}-\d\d-\d\dT\d\d:\d\d to \S+\)$", ran.output, re.MULTILINE)
    if level == "full_record":
        assert "Owner:\t\t\tdchaddoc@ucalgary.ca\n" in ran.output
        assert "Ephemeris Schema:\tsee below table\n" in ran.output
        # The eleven that are published, and the two that say of a computed record what it is.
        assert len(re.findall(r"^ephemeris ", ran.output, re.MULTILINE)) == 13


def test_a_source_with_products_is_shown(aurorax_cli: Any) -> None:
    """Its schemas may be empty; the command prints an empty table then."""
    ran = aurorax_cli("search", "sources", "get", "trex", "fort smith", "RGB ASI", "--include-stats",
                      "--format", "full_record")  # fmt: skip
    assert ran.code == 0
    assert re.search(r"^Data Product Stats:\t[\d,]+ \(2019-\S+ to 2021-\S+\)$", ran.output, re.MULTILINE)


def test_sources_that_do_not_exist_are_errors_in_one_line(aurorax_cli: Any) -> None:
    """The text of the service reaches the person."""
    ran = aurorax_cli("search", "sources", "get_using_identifier", "12345678")
    message = "No Data Source record found in AuroraX for identifier 12345678"
    assert (ran.code, ran.output) == (1, f"AuroraXAPIError occurred: API error code 404: {message}\n")
    ran = aurorax_cli("search", "sources", "get", "no", "such", "source")
    assert (ran.code, ran.output) == (1, "AuroraXNotFoundError occurred: No matching data source found\n")


@pytest.mark.parametrize("kind", ["ephemeris"])
def test_an_administrator_lists_and_deletes_requests(
    aurorax_cli: Any, aurorax: Any, kind: str, query: str, keys: dict[str, str]
) -> None:
    """With `--api-key`. The command sorts by two columns and writes sizes: of a request without its data, too."""
    kept, emptied = (searched(aurorax_cli, kind, query).request_id for _ in range(2))
    aurorax.search.requests.cancel(aurorax.search.ephemeris.get_request_url(emptied))
    admin = ("--api-key", keys["Administrator"], "search", "util")
    orders = ("--order", "result_count", "--second-order", "query_duration", "--reversed")
    ran = aurorax_cli(*admin, "list_search_requests", "--search-type", "ephemeris", *orders)
    assert ran.code == 0, ran.output
    for request_id in (kept, emptied):
        (row,) = [line for line in ran.lines[2:] if request_id in line]
        assert " 127.0.0.1 " in row and " 10 " in row
        ran_delete = aurorax_cli(*admin, "delete_search_request", request_id)
        assert (ran_delete.code, ran_delete.output) == (0, f"Successfully deleted request '{request_id}'\n")
        assert aurorax_cli("search", kind, "get_status", request_id).code == 1
