"""`aurorax-cli search conjunctions|ephemeris|data_products`.

On purpose other than in the official program: custom locations of a query file (`adhoc`) are searched for, a search
that failed ends the wait and is told as such, `--output-to-terminal objects` shows times and places as the official
client's objects do, `get_logs` has `--no-truncate` for every kind, a status without numbers is shown with dashes,
`get_data` tells of an unknown request and of a file that is no query in one line, the command it advises for an old
request exists, Swarm-Aurora's steps are silent with `--quiet`, and without `--poll-interval` one looks sooner and less.
"""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurora_async.aurorax import ConjunctionSearches

KINDS = ("conjunctions", "ephemeris", "data_products")
COUNTS = {"conjunctions": 49, "ephemeris": 10, "data_products": 66}
SORTED_BY = {"conjunctions": "start", "ephemeris": "epoch", "data_products": "start"}
ID = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"

every_kind = pytest.mark.parametrize("kind", KINDS)
Finished = Callable[[str], str]


def status_of(kind: str = "conjunctions", /, **result: Any) -> dict[str, tuple[int, Any]]:
    """Script the status of a request: as it runs, but for `result`."""
    running = dict.fromkeys(
        ("data_uri", "result_count", "file_size", "query_duration", "completed_timestamp", "error_condition",
         "result_file_deleted_timestamp")
    )  # fmt: skip
    document = {
        "search_request": {
            "request_id": ID,
            "requested": "2024-06-18T01:56:33.390293",
            "query": {"request_id": None, "start": "2020-01-01T00:00:00"},
        },
        "search_result": running | result,
        "logs": [
            {"level": "debug", "summary": "Search request arrived and saved", "timestamp": "2024-06-18T01:56:33.3994"},
            {"level": "error", "summary": "out of memory " * 100, "timestamp": "2024-06-18T01:56:34"},
        ],
    }
    return {f"GET /api/v1/{kind}/requests/{ID}": (200, document)}


FAILED: dict[str, Any] = {"error_condition": True, "completed_timestamp": "2024-06-18T01:56:34"}


@every_kind
def test_a_search_of_a_query_file_saves_its_records(cli: Any, local_url: str, folder: Path, kind: str) -> None:
    """The lines of the documentation, and a file named after the request, sorted by time."""
    ran = cli("search", kind, "search", f"{kind}.json", "--poll-interval", "0.05")
    assert ran.code == 0
    *steps, downloading, writing, saved = ran.steps
    assert steps == [
        "Reading in query file ...",
        "Preparing search ...",
        "Search object created",
        "Request submitted",
        f"Request ID: {ran.request_id}",
        f"Request details available at: {local_url}/api/v1/{kind}/requests/{ran.request_id}",
        "Data is now available",
    ]
    assert re.fullmatch(rf"Downloading {COUNTS[kind]} results and \d+\.\d kB of data \.\.\.", downloading)
    assert (writing, saved) == ("Writing data to file ...", f"Data has been saved to '{ran.request_id}_data.json'")
    text = (folder / f"{ran.request_id}_data.json").read_text()
    records = json.loads(text)
    assert text == json.dumps(records, indent=2)
    assert len(records) == COUNTS[kind]
    assert records == sorted(records, key=lambda record: record[SORTED_BY[kind]])


@every_kind
def test_a_quiet_search_tells_only_of_its_data(cli: Any, folder: Path, kind: str) -> None:
    """As the official program, whose file can be named, too."""
    ran = cli("search", kind, "search", f"{kind}.json", "--quiet", "--outfile", "out.json")
    assert ran.code == 0
    assert ran.steps[1:] == ["Writing data to file ...", "Data has been saved to 'out.json'"]
    assert len(json.loads((folder / "out.json").read_text())) == COUNTS[kind]


@every_kind
@pytest.mark.parametrize(
    ("options", "indent"), [(("--minify",), None), (("--indent", "4"), 4), (("--indent", "0"), 0), ((), 2)]
)
def test_a_file_is_laid_out_as_wanted(
    cli: Any, finished: Finished, folder: Path, kind: str, options: tuple[str, ...], indent: int | None
) -> None:
    """Minified, it is one line, with blanks after commas."""
    ran = cli("search", kind, "get_data", finished(kind), "--outfile", "out.json", *options)
    assert ran.code == 0
    assert ran.lines[0] == "Checking request status ..."
    assert ran.lines[2:] == ["Writing data to file ...", "Data has been saved to 'out.json'"]
    text = (folder / "out.json").read_text()
    assert text == json.dumps(json.loads(text), indent=indent)


@pytest.mark.parametrize("options", [(), ("--minify",)])
def test_a_file_in_a_folder_is_named_after_the_request(
    cli: Any, finished: Finished, folder: Path, options: tuple[str, ...]
) -> None:
    """However it is laid out."""
    (folder / "results").mkdir()
    request_id = finished("ephemeris")
    ran = cli("search", "ephemeris", "get_data", request_id, "--outfile", "results", *options)
    assert (ran.code, ran.lines[-1]) == (0, f"Data has been saved to 'results/{request_id}_data.json'")
    assert len(json.loads((folder / "results" / f"{request_id}_data.json").read_text())) == 10


@pytest.mark.parametrize("options", [(), ("--indent", "1")])
def test_a_file_that_cannot_be_written_is_told(cli: Any, finished: Finished, options: tuple[str, ...]) -> None:
    """In one line; what is missing of the folders above it is made, but a file is no folder."""
    typed = ("search", "ephemeris", "get_data", finished("ephemeris"), *options)
    assert cli(*typed, "--outfile", "new/folder/out.json").code == 0
    ran = cli(*typed, "--outfile", "ephemeris.json/out.json")
    assert ran.code == 1
    assert ran.lines[-1].startswith("Error: ") and "ephemeris.json/out.json" in ran.lines[-1]


@every_kind
def test_records_can_be_printed_as_dictionaries(cli: Any, finished: Finished, folder: Path, kind: str) -> None:
    """As Python writes them, after an empty line; no file is left."""
    before = set(folder.iterdir())
    ran = cli("search", kind, "get_data", finished(kind), "--output-to-terminal", "dict")
    assert ran.code == 0
    records = ast.literal_eval(ran.output.partition("\n\n")[2])
    assert len(records) == COUNTS[kind]
    assert {"conjunctions": "events", "ephemeris": "nbtrace", "data_products": "url"}[kind] in records[0]
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("conjunctions", r"Conjunction\(start=datetime\.datetime\(2020, 1, 1, 0, 8\), "
                         r"end=datetime\.datetime\(2020, 1, 1, 0, 9\), min_distance=\d+\.\d\d, max_distance=\d+\.\d\d, "
                         r"data_sources=\[\.\.\.\], events=\[\.\.\.\]\)"),
        ("ephemeris", r"EphemerisData\(epoch=datetime\.datetime\(2020, 1, 1, 0, 0\), "
                      r"location_geo=Location\(lat=[\d.-]+, lon=[\d.-]+\), location_gsm=Location\(.*\), "
                      r"nbtrace=Location\(.*\), sbtrace=Location\(.*\), metadata=\{.{19}\.\.\.\}, "
                      r"data_source=DataSource\(\.\.\.\)\)"),
        ("data_products", r"DataProductData\(start=datetime\.datetime\(2020, 1, 1, 0, 0\), "
                          r"end=datetime\.datetime\(2020, 1, 1, 23, 59\), data_product_type='\w+', "
                          r"url='https://.{12}\.\.\.', metadata=\{.{19}\.\.\.\}, data_source=DataSource\(\.\.\.\)\)"),
    ],
)  # fmt: skip
def test_records_can_be_printed_as_objects(cli: Any, finished: Finished, kind: str, line: str) -> None:
    """A line each, as the official client shows its objects, with times and places that are some."""
    ran = cli("search", kind, "get_data", finished(kind), "--output-to-terminal", "objects")
    assert ran.code == 0
    assert len(ran.lines) == 3 + COUNTS[kind]
    assert re.fullmatch(line, ran.lines[3]), ran.lines[3]


@every_kind
def test_a_status_is_eight_lines(cli: Any, local_url: str, finished: Finished, kind: str) -> None:
    """With tabs, so that the values stand below each other."""
    request_id = finished(kind)
    ran = cli("search", kind, "get_status", request_id)
    assert ran.code == 0
    shown = dict(re.split(r":\t+", line, maxsplit=1) for line in ran.lines)
    assert list(shown) == [
        "Completed", "Requested timestamp", "Completed timestamp", "Query duration", "Error condition", "Data URL",
        "File size", "Result count",
    ]  # fmt: skip
    assert (shown["Completed"], shown["Error condition"], shown["Result count"]) == ("True", "False", str(COUNTS[kind]))
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", shown["Requested timestamp"])
    assert re.fullmatch(r"[\d.]+ seconds? \(\d+ms\)", shown["Query duration"])
    assert shown["Data URL"] == f"{local_url}/api/v1/{kind}/requests/{request_id}/data"


@every_kind
def test_a_status_can_be_followed_by_logs_and_query(cli: Any, finished: Finished, kind: str) -> None:
    """The same as the commands for one of them show."""
    request_id = finished(kind)
    everything = cli("search", kind, "get_status", request_id, "--show-logs", "--show-query").output
    logs = cli("search", kind, "get_logs", request_id).output
    query = cli("search", kind, "get_query", request_id).output
    assert everything.partition("\n\n")[2] == f"{logs}\nSearch query:\n==================\n{query}"
    asked = ast.literal_eval(query)
    assert "request_id" not in asked
    assert asked["start"] == "2020-01-01T00:00:00"


@every_kind
def test_logs_are_a_table(cli: Any, finished: Finished, kind: str) -> None:
    """Folded to the width wanted, and filtered by level."""
    request_id = finished(kind)
    ran = cli("search", kind, "get_logs", request_id, "--max-width", "100")
    assert ran.lines[0].split() == ["Timestamp", "Level", "Summary"]
    assert set(ran.lines[1]) == {"="}
    assert max(map(len, ran.lines)) <= 100
    rows = [line for line in ran.lines[2:] if not line.startswith(" ")]
    assert len(rows) == (13 if kind == "conjunctions" else 7)
    infos = cli("search", kind, "get_logs", request_id, "--filter", "info", "--max-width", "100").lines[2:]
    assert [row.split()[2] for row in infos if not row.startswith(" ")] == ["info"] * len(
        [row for row in rows if row.split()[2] == "info"]
    )


def test_a_table_of_logs_too_narrow_to_be_read_is_drawn_wider(scripted: Any) -> None:
    """And stderr says so."""
    service = scripted(status_of(**FAILED))
    ran = service.cli("search", "conjunctions", "get_logs", ID, "--max-width", "43")
    assert (ran.code, ran.errors) == (0, "the table needs more than 43 columns; it is drawn wider\n")
    assert ran.output == service.cli("search", "conjunctions", "get_logs", ID, "--max-width", "113").output


@every_kind
def test_long_summaries_are_cut_unless_wanted_whole(scripted: Any, kind: str) -> None:
    """At 1000 characters, for every kind."""
    service = scripted(status_of(kind, **FAILED))
    cut = service.cli("search", kind, "get_logs", ID).output
    whole = service.cli("search", kind, "get_logs", ID, "--no-truncate").output
    assert cut.count("memory") < whole.count("memory") == 100
    assert "..." in cut and "..." not in whole


def test_a_request_that_runs_is_shown_with_dashes(scripted: Any) -> None:
    """And its data are not fetched yet; the way to look again is told."""
    service = scripted(status_of())
    ran = service.cli("search", "conjunctions", "get_status", ID)
    assert ran.lines == [
        "Completed:\t\tFalse",
        "Requested timestamp:\t2024-06-18 01:56:33.390293",
        "Completed timestamp:\t-",
        "Query duration:\t\t-",
        "Error condition:\t-",
        "Data URL:\t\t-",
        "File size:\t\t-",
        "Result count:\t\t-",
    ]
    ran = service.cli("search", "conjunctions", "get_data", ID)
    assert ran.code == 1
    assert ran.lines[1] == "Error: Search is not done yet, not retrieving data"
    assert ran.lines[3].endswith(f'"aurorax-cli search conjunctions get_status {ID}"')


def test_a_request_that_failed_is_told_as_such(scripted: Any) -> None:
    """With its reason, which is the last line of its log."""
    service = scripted(status_of(**FAILED))
    ran = service.cli("search", "conjunctions", "get_status", ID)
    assert ran.code == 0
    assert ran.lines[4:6] == ["Error condition:\tTrue", "Data URL:\t\t-"]
    ran = service.cli("search", "conjunctions", "get_data", ID, "--outfile", "out.json")
    assert ran.code == 1
    _, failed = ran.lines
    assert failed.startswith("AuroraXSearchError occurred: ") and "out of memory" in failed


def submitted(kind: str = "conjunctions") -> dict[str, tuple[int, Any]]:
    """Script that a search is accepted."""
    return {f"POST /api/v1/{kind}/search": (202, f"/api/v1/{kind}/requests/{ID}")}


@every_kind
def test_a_search_that_fails_ends_the_wait(scripted: Any, folder: Path, kind: str) -> None:
    """The service sets no address of data then, for which the official program waits for ever."""
    service = scripted(submitted(kind) | status_of(kind, **FAILED))
    ran = service.cli("search", kind, "search", f"{kind}.json")
    assert ran.code == 1
    assert ran.steps[-1].startswith(f"AuroraXSearchError occurred: request {ID} failed on the server: out of memory")
    assert not (folder / f"{ID}_data.json").exists()


def test_looking_again_is_told_once_a_second_unless_it_was_asked_for(scripted: Any) -> None:
    """Without --poll-interval the first looks are many; their lines would bury the others."""
    running, failed = status_of(), status_of(**FAILED)
    (status,) = running

    class Ending(dict[str, tuple[int, Any]]):
        """Runs for so many looks, then has failed."""

        looks = 0

        def get(self, route: str, default: Any = None) -> Any:
            self.looks += route == status
            return (running if self.looks < 6 else failed)[route] if route == status else super().get(route, default)

    def told(*options: str) -> int:
        ran = scripted(Ending(submitted())).cli("search", "conjunctions", "search", "conjunctions.json", *options)
        assert ran.code == 1
        lines: int = ran.output.count("Checking for data ...")
        return lines

    assert told("--poll-interval", "0.01") == 5
    assert told() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_search_that_is_interrupted_is_cancelled_at_the_server(
    scripted: Any, folder: Path, number: signal.Signals, code: int
) -> None:
    """Nobody waits for it any more; meanwhile every look was told."""
    service = scripted(submitted() | status_of() | {f"DELETE /api/v1/conjunctions/requests/{ID}": (200, {})})
    typed = ("search", "conjunctions", "search", "conjunctions.json", "--poll-interval", "0.02")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "aurora_async", "aurorax-cli", "--api-base-url", service.url, *typed],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("Checking for data ...\n"):
                break
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == code
    assert f"DELETE /api/v1/conjunctions/requests/{ID}" in [route for route, _ in service.asked]


def test_a_result_that_is_gone_is_told_with_the_way_out(scripted: Any) -> None:
    """Deleted by the status, or by the answer in place of the data (200 with an error document)."""
    done = {
        "data_uri": f"/api/v1/conjunctions/requests/{ID}/data",
        "completed_timestamp": "2024-06-18T01:56:34",
        "error_condition": False,
        "result_count": 49,
        "file_size": 376747,
        "query_duration": 325,
    }
    gone = (200, {"error": {"error_code": "NotFound", "error_message": "deleted"}})
    for answers in (
        status_of(**done, result_file_deleted_timestamp="2024-06-23T01:56:34"),
        status_of(**done) | {f"GET /api/v1/conjunctions/requests/{ID}/data": gone},
    ):
        ran = scripted(answers).cli("search", "conjunctions", "get_data", ID)
        assert ran.code == 1
        assert ran.lines[:3] == [
            "Checking request status ...", "Downloading 49 results and 376.7 kB of data ...", ""
        ]  # fmt: skip
        told = " ".join(ran.lines[3:])
        assert told.startswith("Error downloading data: this request is too old")
        assert f"search conjunctions search_resubmit {ID}" in told.replace("- ", "-")


@every_kind
def test_a_request_can_be_submitted_again(cli: Any, finished: Finished, kind: str) -> None:
    """Under a new identifier, asking the same."""
    request_id = finished(kind)
    ran = cli("search", kind, "search_resubmit", request_id)
    assert ran.code == 0
    assert ran.lines == [
        f"Retrieving query for request '{request_id}' ...",
        "Preparing new search ...",
        "Submitting new search ...",
        f"Request has been resubmitted, new request ID is {ran.request_id}",
    ]
    assert ran.request_id != request_id
    queries = [ast.literal_eval(cli("search", kind, "get_query", one).output) for one in (request_id, ran.request_id)]
    assert queries[0] == queries[1]


@every_kind
def test_a_template_can_be_shown_saved_described_and_searched(cli: Any, folder: Path, kind: str) -> None:
    """Though it names no data source that exists, and distances of blocks that it does not have."""
    shown = cli("search", kind, "search_template", "--indent", "4")
    ran = cli("search", kind, "search_template", "--indent", "4", "--outfile", "template.json")
    assert (ran.code, ran.output) == (0, "Saved template to template.json\n")
    assert shown.output == (folder / "template.json").read_text() + "\n"
    template = json.loads(shown.output)
    assert (template["start"], template["end"]) == ("2020-01-01T00:00:00", "2020-01-01T23:59:59")
    assert cli("search", kind, "describe", "template.json").output.startswith(f"Find {kind} ")
    ran = cli("search", kind, "search", "template.json")
    assert ran.code == 0
    assert (folder / f"{ran.request_id}_data.json").read_text() == "[]"


def test_a_template_that_cannot_be_saved_is_told(cli: Any) -> None:
    """In one line."""
    ran = cli("search", "ephemeris", "search_template", "--outfile", "no/such/folder.json")
    assert (ran.code, ran.output) == (1, "Error: no/such/folder.json: No such file or directory\n")


@every_kind
def test_a_query_file_can_be_described(cli: Any, kind: str) -> None:
    """One sentence, as text."""
    ran = cli("search", kind, "describe", f"{kind}.json")
    assert ran.code == 0
    assert ran.output.startswith(f"Find {kind} ") and ran.output.count("\n") == 1


@every_kind
@pytest.mark.parametrize("command", ["search", "describe"])
def test_a_query_file_that_cannot_be_used_is_told_in_one_line(cli: Any, folder: Path, kind: str, command: str) -> None:
    """A wrong name, what is no JSON, and what is no query."""
    ran = cli("search", kind, command, "nowhere.json")
    assert (ran.code, ran.output) == (1, "Error: infile doesn't exist (nowhere.json)\n")
    for content, reason in (
        ("{", "is not JSON"),
        ('{"start": "2020"}', "broken.json: "),
        ("[]", "is not a JSON object"),
    ):
        (folder / "broken.json").write_text(content)
        ran = cli("search", kind, command, "broken.json")
        assert ran.code == 1
        assert ran.lines[-1].startswith("Error: broken.json: ") and reason in ran.lines[-1]


@every_kind
def test_an_unknown_request_is_told_as_not_found(cli: Any, kind: str) -> None:
    """By every command about one."""
    for command in ("get_status", "get_logs", "get_query", "search_resubmit"):
        ran = cli("search", kind, command, "some-bad-request-id")
        assert (ran.code, ran.lines[-1]) == (1, "AuroraXAPIError occurred: request ID not found")
    ran = cli("search", kind, "get_data", "some-bad-request-id")
    assert (ran.code, ran.lines) == (1, ["Checking request status ...", "Error: request ID not found"])


@pytest.mark.parametrize("key", ["adhoc", "custom"])
def test_custom_locations_of_a_query_file_are_searched_for(cli: Any, folder: Path, key: str) -> None:
    """Under the service's name for them, and under the one that the official program reads."""
    query = {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T23:59:59",
        "space": [{"programs": ["swarm"]}],
        key: [{"locations": [{"lat": 56.354, "lon": -94.656}]}],
        "max_distances": {f"space1-{key}1": 500, "ground1-space1": 300},
    }
    (folder / "near.json").write_text(json.dumps(query))
    ran = cli("search", "conjunctions", "search", "near.json", "--outfile", "out.json")
    assert ran.code == 0, ran.output
    assert len(json.loads((folder / "out.json").read_text())) > 0
    asked = ast.literal_eval(cli("search", "conjunctions", "get_query", ran.request_id).output)
    assert asked["adhoc"] == query[key]
    assert asked["max_distances"] == {"space1-adhoc1": 500}


def test_a_misspelt_distance_is_refused(cli: Any, folder: Path) -> None:
    """Left out, it would not limit anything; those of blocks that are not there never did."""
    query = json.loads((folder / "conjunctions.json").read_text())
    (folder / "near.json").write_text(
        json.dumps(query | {"max_distances": {"ground1-space1": 500, "ground1-spcae1": 1}})
    )
    ran = cli("search", "conjunctions", "describe", "near.json")
    assert (ran.code, ran.output.partition("]")[0]) == (1, "Error: near.json: max_distances['ground1-spcae1'")


def test_an_answer_without_data_is_told_in_the_services_words(scripted: Any) -> None:
    """When it does not say that the data are gone."""
    done = {"data_uri": "/data", "completed_timestamp": "2024-06-18T01:56:34", "result_count": 1}
    broken = (200, {"error": {"error_code": "ApplicationError", "error_message": "disk on fire"}})
    service = scripted(status_of(**done) | {f"GET /api/v1/conjunctions/requests/{ID}/data": broken})
    ran = service.cli("search", "conjunctions", "get_data", ID)
    assert ran.code == 1
    assert ran.lines[-1].startswith("Error downloading data: ") and "disk on fire" in ran.lines[-1]


def test_a_result_can_be_shown_in_swarm_aurora(cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is printed, its page opened, its import file saved."""
    opened: list[tuple[str | None, str]] = []

    class Browser:
        def __init__(self, name: str | None) -> None:
            self.name = name

        def open(self, url: str) -> None:
            opened.append((self.name, url))

    async def import_document(searches: ConjunctionSearches, request_id: str) -> list[dict[str, Any]]:
        return [{"id": request_id}]

    monkeypatch.setattr("webbrowser.get", Browser)
    monkeypatch.setattr(ConjunctionSearches, "swarmaurora_import", import_document)
    command = ("search", "conjunctions", "search", "conjunctions.json")
    ran = cli(*command, "--swarmaurora-show-url", "--swarmaurora-open-browser", "--swarmaurora-save-custom-import-file")
    assert ran.code == 0
    url = f"https://swarm-aurora.com/conjunctionFinder?aurorax_request_id={ran.request_id}"
    name = f"swarmaurora_custom_import_{ran.request_id}.json"
    assert ran.steps[-4:] == [
        "Generating Swarm-Aurora custom import file ...",
        f"Saved Swarm-Aurora custom import file to '{name}'",
        f"Swarm-Aurora URL: {url}",
        "Launching a browser to show this conjunction search in Swarm-Aurora (browser='default') ...",
    ]
    assert json.loads((folder / name).read_text()) == [{"id": ran.request_id}]
    quiet = cli(*command, "--quiet", "--swarmaurora-open-browser", "--swarmaurora-browser-type", "firefox")
    assert "Swarm-Aurora" not in quiet.output
    assert [name for name, _ in opened] == [None, "firefox"]
    assert opened[0][1] == url


def test_a_browser_that_is_not_there_is_told_with_the_address(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search has been made: its result can still be looked at."""
    monkeypatch.setattr("webbrowser._tryorder", [])
    ran = cli("search", "conjunctions", "search", "conjunctions.json", "--swarmaurora-open-browser",
              "--swarmaurora-browser-type", "galeon")  # fmt: skip
    assert ran.code == 1
    assert ran.lines[-1].startswith("Error: there is no browser 'galeon' here; open https://swarm-aurora.com/")
