"""`aurorax-cli` twice: the official program and ours, with the same arguments, against one service.

Both run in this process. What they print, the files they write and their exit codes are the same to the byte, but for
the times and identifiers in the lines of a search, and for what stands in `DIFFERENCES`, each with its reason.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

pytestmark = pytest.mark.peers

KINDS = ("conjunctions", "ephemeris", "data_products")
QUERIES: dict[str, dict[str, Any]] = {
    "conjunctions": {
        "start": "2020-01-01T00:00:00.000Z",
        "end": "2020-01-01T06:59:59.000Z",
        "ground": [{"programs": ["themis-asi"], "platforms": [], "instrument_types": []}],
        "space": [{"programs": ["swarm"], "hemisphere": []}],
        "conjunction_types": ["nbtrace"],
        "max_distances": {"ground1-space1": 500},
        "epoch_search_precision": 60,
    },
    "ephemeris": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T00:09:59",
        "data_sources": {"programs": ["swarm"], "platforms": ["swarma"], "instrument_types": ["footprint"]},
    },
    "data_products": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T23:59:59",
        "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
        "data_product_type_filters": ["keogram"],
    },
}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@attrs.frozen
class Ended:
    """How a command ended: exit code, stdout, the files it wrote."""

    code: int
    stdout: str
    files: Mapping[str, bytes]

    @property
    def steps(self) -> list[str]:
        """The lines of a search without times, identifiers, and looks at what is not over yet."""
        text = re.sub(r"^\[\d{4}-\d\d-\d\d [\d:.]+\] ", "", self.stdout, flags=re.MULTILINE)
        return [line for line in without_ids(text).splitlines() if line != "Checking for data ..."]


def without_ids(text: str) -> str:
    """Put one word in place of all identifiers."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>", text)


@attrs.frozen
class Both:
    """The two programs; called, it runs the same command with one and then with the other."""

    official: Callable[..., Ended]
    ours: Callable[..., Ended]

    def __call__(self, *arguments: str) -> tuple[Ended, Ended]:
        return self.official(*arguments), self.ours(*arguments)


@pytest.fixture
def both(pyaurorax: ModuleType, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """Runs commands, each in a folder with a query file of each kind."""
    from click.testing import CliRunner

    from aurora_async.cli.aurorax_cli import main

    for name in ("AURORAX_BASE_URL", "AURORAX_API_KEY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    number = count()

    def run(program: Any, *arguments: str) -> Ended:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        for kind, query in QUERIES.items():
            (folder / f"{kind}.json").write_text(json.dumps(query))
        before = set(folder.iterdir())
        monkeypatch.chdir(folder)
        result = CliRunner().invoke(program, ["--api-base-url", base_url, *arguments])
        # One class-level header dictionary serves all objects of the official client, the next test's too.
        pyaurorax.PyAuroraX().api_key = None
        files = {path.name: path.read_bytes() for path in set(folder.iterdir()) - before}
        return Ended(result.exit_code, result.stdout_bytes.decode(), files)

    return Both(partial(run, pyaurorax.cli.cli.cli), partial(run, main))


@pytest.fixture(scope="module")
def requests(pyaurorax: ModuleType, base_url: str) -> dict[str, str]:
    """A finished request of each kind, made by the official client."""
    aurorax = pyaurorax.PyAuroraX(api_base_url=base_url)
    made = {}
    for kind, query in QUERIES.items():
        searches = getattr(aurorax.search, kind)
        if kind == "conjunctions":
            search = searches.search_from_raw_query(query, poll_interval=0.05)
        else:
            times = [datetime.fromisoformat(query[name]) for name in ("start", "end")]
            search = searches.search(*times, **query["data_sources"], poll_interval=0.05)
        made[kind] = search.request_id
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "command",
    [
        "get_status {id}",
        "get_status {id} --show-logs --show-query",
        "get_status {id} --show-logs --filter-logs error --max-width 300",
        "get_logs {id}",
        "get_logs {id} --filter info --table-max-width 120",
        "get_logs {id} --max-width 50",
        "get_query {id}",
        "get_data {id}",
        "get_data {id} --minify",
        "get_data {id} --indent 0",
        "get_data {id} --indent 4 --outfile out.json",
        "get_data {id} --output-to-terminal dict",
        "search_template",
        "search_template --outfile template.json --indent 4",
        "describe {kind}.json",
        "describe nowhere.json",
        "search nowhere.json",
        "get_status {unknown}",
        "get_logs {unknown}",
        "get_query some-bad-request-id",
        "search_resubmit {unknown}",
        "get_status",
        "get_logs {id} --filter loud",
        "get_data {id} --output-to-terminal table",
    ],
)
def test_commands_about_a_request_are_equal(both: Both, requests: dict[str, str], kind: str, command: str) -> None:
    """Output, files and exit codes, also when it goes wrong."""
    typed = command.format(id=requests[kind], kind=kind, unknown=UNKNOWN).split()
    official, ours = both("search", kind, *typed)
    assert ours == official


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        "--poll-interval 0.05",
        "--poll-interval 0.05 --quiet",
        "--poll-interval 0.05 --outfile out.json --indent 3",
        "--poll-interval 0.05 --quiet --output-to-terminal dict",
        "--poll-interval 0.05 --minify",
    ],
)
def test_searches_are_equal(both: Both, kind: str, options: str) -> None:
    """Line by line, but for times and identifiers; and the files to the byte."""
    official, ours = both("search", kind, "search", f"{kind}.json", *options.split())
    assert (ours.code, ours.steps) == (official.code, official.steps) and official.code == 0
    assert {without_ids(name): body for name, body in ours.files.items()} == {
        without_ids(name): body for name, body in official.files.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_resubmitting_is_equal(both: Both, requests: dict[str, str], kind: str) -> None:
    """And what is asked anew."""
    official, ours = both("search", kind, "search_resubmit", requests[kind])
    assert (ours.code, ours.steps) == (official.code, official.steps)
    again = [re.findall(r"[0-9a-f-]{36}", ended.stdout)[-1] for ended in (official, ours)]
    asked = [meant(ast.literal_eval(both.official("search", kind, "get_query", one).stdout)) for one in again]
    assert asked[0] == asked[1]


def meant(query: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a query what is nothing: no filter, or one without expressions, and minutes for a precision."""
    nothing = (None, False, {"logical_operator": "AND", "expressions": []})
    left: dict[str, Any] = {}
    for name, value in query.items():
        if isinstance(value, list):
            value = [meant(one) if isinstance(one, dict) else one for one in value]
        elif isinstance(value, dict) and value not in nothing:
            value = meant(value)
        if value not in nothing:
            left[name] = value
    return left


def test_the_address_of_swarm_aurora_is_equal(both: Both) -> None:
    """The one of its lines that needs no network."""
    official, ours = both(
        "search", "conjunctions", "search", "conjunctions.json", "--poll-interval", "0.05", "--swarmaurora-show-url"
    )
    assert ours.steps == official.steps
    assert ours.steps[-1].startswith("Swarm-Aurora URL: https://")


@pytest.mark.parametrize("kind", ["ephemeris", "data_products"])
@pytest.mark.parametrize(
    "typed",
    [
        "2020-01-01 2020-01-02",
        "2020/01/01 20200102 --program swarm --reversed",
        "2020-01-01 2020-01-01 --source-type ground",
        "2020-01-01 2020-01-01 --program trex --platform gillam",
        "2020-01-01 2020-01-01 --program nothing",
        "2020-13-01 2020-01-01",
        "2020-01-01 tomorrow",
        "2020-01-01",
        "2020-01-01 2020-01-01 --order colour",
    ],
)
def test_availability_is_equal(both: Both, kind: str, typed: str) -> None:
    """Tables, their absence, and wrong dates."""
    official, ours = both("search", "availability", kind, *typed.split())
    assert ours == official


@pytest.mark.parametrize("column", ["program", "platform", "instrument_type", "source_type", "display_name"])
def test_the_order_of_ephemeris_availability_is_equal(both: Both, column: str) -> None:
    """Also of sources that are alike in the column."""
    typed = ("search", "availability", "ephemeris", "2020-01-01", "2020-01-01", "--order", column)
    for options in ((), ("--reversed",)):
        official, ours = both(*typed, *options)
        assert ours == official


@pytest.mark.parametrize(
    "typed",
    [
        ("list",),
        ("list", "--include-stats"),
        ("list", "--order", "owner", "--reversed"),
        ("list", "--program", "swarm", "--include-stats", "--owner", "dchaddoc@ucalgary.ca"),
        *(("list", "--order", column) for column in ("program", "platform", "instrument_type", "display_name")),
        *(("list", "--reversed", "--order", column) for column in ("program", "platform", "instrument_type")),
        ("list", "--program", "nothing"),
        ("list", "--program", "nothing", "--include-stats"),
        ("list", "--source-type", "heo"),
        ("list", "--source-type", "moon"),
        # Without any list, the official program also shows the custom locations of whoever has searched before.
        ("search", "--instrument-types", "footprint,panchromatic ASI"),
        ("search", "--programs", "swarm, epop", "--instrument-types", "footprint"),
        ("search", "--programs", "swarm,,", "--order", "owner", "--include-stats", "--reversed"),
        ("search", "--platforms", "fort smith,gillam"),
        *(
            command
            for level in ("basic_info", "with_metadata", "identifier_only", "full_record")
            for command in (
                ("get", "swarm", "swarma", "footprint", "--format", level),
                ("get_using_identifier", "3", "--include-stats", "--format", level),
                ("get_using_identifier", "103", "--include-stats", "--format", level),
            )
        ),
        ("get", "no", "such", "source"),
        ("get_using_identifier", "12345678"),
        ("get_using_identifier", "three"),
        ("add", "a", "b", "c", "moon", "D"),
    ],
    ids=" ".join,
)
def test_sources_are_equal(both: Both, typed: tuple[str, ...]) -> None:
    """Tables, single records, and what does not exist."""
    official, ours = both("search", "sources", *typed)
    assert ours == official


@pytest.mark.parametrize(
    "typed",
    [
        "--search-type ephemeris --limit 1",
        "--search-type ephemeris --limit 1 --reversed",
        "--start 2020 --limit 1",
        "--end 2020-01-01",
        "--result-count 1000000",
        "--order colour",
    ],
)
def test_requests_are_listed_equally(both: Both, requests: dict[str, str], keys: dict[str, str], typed: str) -> None:
    """As far as the official table is right: in its first row."""
    admin = ("--api-key", keys["Administrator"], "search", "util", "list_search_requests")
    official, ours = both(*admin, *typed.split())
    assert ours == official


def test_deleting_a_request_is_equal(both: Both, requests: dict[str, str], keys: dict[str, str]) -> None:
    """By an administrator, each its own; both are gone."""
    for program in (both.official, both.ours):
        (request_id,) = re.findall(
            r"[0-9a-f-]{36}$", program(*_EPHEMERIS, "search_resubmit", requests["ephemeris"]).stdout
        )
        admin = ("--api-key", keys["Administrator"], "search", "util")
        ended = program(*admin, "delete_search_request", request_id)
        assert (ended.code, ended.stdout) == (0, f"Successfully deleted request '{request_id}'\n")
        assert both.ours(*_EPHEMERIS, "get_status", request_id).code == 1


_EPHEMERIS = ("search", "ephemeris")


@pytest.mark.parametrize("typed", ["--test-connectivity", "search", "search sources", "search util", "nothing", "-x"])
def test_the_top_is_equal(both: Both, typed: str) -> None:
    """Connectivity, groups without a command, and what does not exist: exit codes, and what is no help text."""
    official, ours = both(*typed.split())
    assert ours.code == official.code
    if typed == "--test-connectivity":
        assert ours == official


@attrs.frozen
class Difference:
    """Where ours differs on purpose: what is typed, why, and what each prints (a regular expression of the whole)."""

    typed: tuple[str, ...]
    reason: str
    official: tuple[int, str]
    ours: tuple[int, str]


DIFFERENCES = [
    Difference(
        ("search", "{kind}", "get_data", UNKNOWN),
        "the official program waits for an exception that its library never raises, and ends in a traceback",
        (1, r"Checking request status \.\.\.\n"),
        (1, r"Checking request status \.\.\.\nError: request ID not found\n"),
    ),
    Difference(
        ("search", "conjunctions", "get_data", "{id}", "--output-to-terminal", "objects"),
        "the official objects are made of unconverted records",
        (0, r".*\nConjunction\(start='2020-01-01T00:08:00', .*"),
        (0, r".*\nConjunction\(start=datetime\.datetime\(2020, 1, 1, 0, 8\), .*"),
    ),
    Difference(
        ("search", "availability", "ephemeris", "2020-01-02", "2020-01-01"),
        "a range that ends before it begins is a slip of the pen",
        (0, r"No ephemeris availability information found!\n"),
        (1, r"Error: end: .* is before the start, .*\n"),
    ),
    Difference(
        ("search", "availability", "data_products", "2020-01-01", "2020-01-01", "--order", "display_name"),
        "the official program marks the column, and does not sort by it",
        (0, r"Identifier   Display Name ↓.*LUCK.*GILL.*"),
        (0, r"Identifier   Display Name ↓.*GILL.*LUCK.*"),
    ),
    Difference(
        ("--api-key", "{user}", "search", "sources", "delete", "3"),
        "the official client takes 403 and 405 for success",
        (0, r"Successfully deleted data source #3\n"),
        (1, r"AuroraX\w+ occurred: API error code 40[35]: .*\n"),
    ),
    Difference(
        ("search", "sources", "add", "a", "b", "c", "ground", "D"),
        "the official program asks its library for a class that is elsewhere",
        (1, r""),
        (1, r"AuroraX\w+ occurred: API error code 40[15]: .*\n"),
    ),
    Difference(
        ("search", "sources", "update", "3", "--display-name", "D"),
        "the official program calls a method that does not exist",
        (1, r""),
        (1, r"AuroraX\w+ occurred: API error code 40[15]: .*\n"),
    ),
    Difference(
        ("search", "util", "list_search_requests"),
        "the official program ends in a traceback",
        (1, r""),
        (1, r"AuroraXUnauthorizedError occurred: An Administrator API key was not detected, .*\n"),
    ),
    Difference(
        ("search", "util", "delete_search_request", UNKNOWN),
        "the official program ends in a traceback",
        (1, r""),
        (1, r"AuroraXUnauthorizedError occurred: An Administrator API key was not detected, .*\n"),
    ),
    Difference(
        ("--api-key", "{admin}", "search", "util", "list_search_requests"),
        "the official program gives each row the file size of another",
        (0, r".* data_product [^\n]* \d\.\d kB .*"),
        (0, r"(?!.* data_product [^\n]* \d\.\d kB ).* ephemeris [^\n]* \d\.\d kB .*"),
    ),
    Difference(
        ("--api-base-url", "http://127.0.0.1:9", "--test-connectivity"),
        "the reason is the HTTP library's",
        (1, r"Checking .*\n\nError connecting to AuroraX API: HTTPConnectionPool.*\n"),
        (1, r"Checking .*\n\nError connecting to AuroraX API: GET http://127\.0\.0\.1:9/: connection refused.*\n"),
    ),
    Difference((), "the welcome is ours", (0, r"Welcome to .*"), (0, r"This is aurorax-cli as aurora-async .*")),
    Difference(
        ("--version",),
        "who speaks is told",
        (0, r"cli, version 1\.27\.0\n"),
        (0, r"aurorax-cli, version 1\.27\.0 \(as spoken by aurora-async\)\n"),
    ),
    Difference(
        ("search", "sources", "list", "--help"),
        "help is ours",
        (0, r"Usage: .*using the options.*"),
        (0, r"Usage: .*every filter given.*"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: " ".join(difference.typed) or "alone")
def test_differences_are_these_and_intended(
    both: Both, requests: dict[str, str], keys: dict[str, str], difference: Difference
) -> None:
    """Each is looked at from both sides: one that the official program mends is found here."""
    known = {"kind": "ephemeris", "id": requests["conjunctions"], "user": keys["User"], "admin": keys["Administrator"]}
    official, ours = both(*(word.format(**known) for word in difference.typed))
    for ended, (code, pattern) in ((official, difference.official), (ours, difference.ours)):
        assert ended.code == code, (ended, difference.reason)
        assert re.fullmatch(pattern, ended.stdout, re.DOTALL), (ended.stdout, difference.reason)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_on_the_terminal_are_those_of_the_official_client(
    both: Both, pyaurorax: ModuleType, aurorax: Any, requests: dict[str, str], kind: str
) -> None:
    """Not of its command line, which shows unconverted ones."""
    searches = getattr(aurorax.search, kind)
    names = {"conjunctions": "Conjunction", "ephemeris": "EphemerisData", "data_products": "DataProductData"}
    url = f"{searches.get_request_url(requests[kind])}/data"
    make = getattr(pyaurorax.search, names[kind])
    shown = sorted(str(make(**record)) for record in aurorax.search.requests.get_data(url))
    ours = both.ours("search", kind, "get_data", requests[kind], "--output-to-terminal", "objects")
    assert sorted(ours.stdout.splitlines()[3:]) == shown


def test_custom_locations_of_a_query_file_are_searched_for(both: Both, tmp_path: Path) -> None:
    """The official program drops them, and so asks for one block alone."""
    query = {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T23:59:59",
        "space": [{"programs": ["swarm"]}],
        "adhoc": [{"locations": [{"lat": 56.354, "lon": -94.656}]}],
        "max_distances": {"space1-adhoc1": 500},
    }
    (tmp_path / "near.json").write_text(json.dumps(query))
    official, ours = both("search", "conjunctions", "search", str(tmp_path / "near.json"), "--outfile", "out.json")
    assert (official.code, official.files) == (1, {})
    assert ours.code == 0 and len(json.loads(ours.files["out.json"])) > 0
