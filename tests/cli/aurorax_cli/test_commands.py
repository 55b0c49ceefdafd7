"""The top of `aurorax-cli`: its options, its help, and errors that all commands share.

On purpose other than in the official program: help, welcome and version are ours, `--api-base-url` keeps its capitals,
and whatever the network does is told in one line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aurora_async.aurorax import NoSuchSource
from aurora_async.cli.aurorax_cli import main
from aurora_async.cli.aurorax_cli.asking import Settings, told, told_of_request
from aurora_async.cli.commands import main as run_main
from aurora_async.errors import (
    AuroraError,
    BadRequest,
    Conflict,
    ConnectionRefused,
    Forbidden,
    InvalidInput,
    InvalidQuery,
    MaintenanceMode,
    NotFound,
    ReadTimeout,
    RequestFailed,
    ServerError,
    TargetNotWritable,
    TooManyRequests,
    Unauthorized,
)

URL = "http://127.0.0.1/api/v1/data_sources"
COMMANDS = {
    "availability": ("data_products", "ephemeris"),
    **dict.fromkeys(
        ("conjunctions", "data_products", "ephemeris"),
        ("describe", "get_data", "get_logs", "get_query", "get_status", "search", "search_resubmit", "search_template"),
    ),
    "sources": ("add", "delete", "get", "get_using_identifier", "list", "search", "update"),
    "util": ("delete_search_request", "list_search_requests"),
}


@pytest.mark.parametrize(
    "command", [(), ("search",), *(("search", group, name) for group, names in COMMANDS.items() for name in names)],
    ids=" ".join,
)  # fmt: skip
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    """Of a width that is not folded by terminals."""
    result = CliRunner().invoke(main, [*command, "--help"], terminal_width=80)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("group", COMMANDS)
def test_the_commands_are_those_of_the_official_program(group: str) -> None:
    """No more and no fewer, under the same names."""
    search: Any = main.commands["search"]
    assert tuple(sorted(search.commands[group].commands)) == COMMANDS[group]
    assert sorted(search.commands) == sorted(COMMANDS)


def test_it_is_a_command_of_ours(local_url: str, folder: Path) -> None:
    """In a process of its own, as a person types it; the address can stand before it, too."""
    ran = subprocess.run(
        [sys.executable, "-m", "aurora_async", "--base-url", local_url, "aurorax-cli", "search", "sources", "get",
         "swarm", "swarma", "footprint", "--format", "identifier_only"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"Identifier:\t\t3\n", b"")


@pytest.mark.parametrize("group", [(), *((name,) for name in COMMANDS)], ids=lambda group: group[-1] if group else "")
def test_a_group_alone_shows_its_help(group: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Over several lines on stderr, with exit code 2, as the official program."""
    assert run_main(["aurorax-cli", "search", *group]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    usage = " ".join(err.partition("\n\n")[0].split())
    assert usage == " ".join(("Usage: aurora-async aurorax-cli search", *group, "[OPTIONS] COMMAND [ARGS]..."))
    assert "\nCommands:\n" in err and "error" not in err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--fast", "No such option '--fast'."),
        ("search nothing", "No such command 'nothing'."),
        ("search conjunctions get_status", "Missing argument 'REQUEST_UUID'."),
        ("search sources add a b c d e",
         "Invalid value for 'SOURCE_TYPE': 'd' is not one of 'event_list', 'ground', 'heo', 'leo', 'lunar'."),
        ("search sources update 7001", "Nothing to change: give at least one option."),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_is_told_in_three_lines(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, hint, error: on stderr, and exit code 2."""
    assert run_main(["aurorax-cli", *typed.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    usage, hint, error = re.fullmatch(r"(Usage: .*)\n(Try .*)\n\n(Error: .*)\n", err, re.DOTALL).groups()  # type: ignore[union-attr]
    assert usage.startswith("Usage: aurora-async aurorax-cli")
    assert re.fullmatch(r"Try 'aurora-async aurorax-cli.* --help' for help\.", hint)
    assert error == f"Error: {said}"


def test_alone_it_says_what_it_is() -> None:
    """And is content; its version is the one it speaks like."""
    assert CliRunner().invoke(main).exit_code == 0
    assert CliRunner().invoke(main, ["--version"]).output == "aurorax-cli, version 1.27.0 (as spoken by aurora-async)\n"


def test_connectivity_can_be_tested(cli: Any, local_url: str) -> None:
    """By the front page: it is there, it is another one, or nobody listens."""
    ran = cli("--test-connectivity")
    asked = f"Checking connectivity to {local_url} ...\n\n"
    assert (ran.code, ran.output) == (0, f"{asked}Connectivity to the AuroraX API looks good!\n")
    ran = cli("--api-base-url", f"{local_url}/nowhere", "--test-connectivity")
    assert (ran.code, ran.lines[2]) == (1, "Error connecting to AuroraX API, got a 404 response")
    ran = cli("--api-base-url", "http://127.0.0.1:9", "--test-connectivity")
    assert ran.code == 1
    assert ran.lines[2].startswith("Error connecting to AuroraX API: GET http://127.0.0.1:9/: connection refused")
    ran = cli("--api-base-url", "nonsense", "--test-connectivity")
    assert ran.code == 1
    assert ran.output.startswith("Error connecting to AuroraX API: base_url: 'nonsense' is not an absolute")


def test_a_wrong_setting_is_told_by_every_command(cli: Any) -> None:
    """Before anything is sent."""
    ran = cli("--api-timeout", "0", "search", "sources", "list")
    assert (ran.code, ran.output) == (1, "Error: --api-timeout: 0 is not a number above 0\n")


def test_the_timeout_is_that_of_connecting_and_of_reading() -> None:
    """What the official program's one number means."""
    timeouts = Settings(timeout_s=7).config().timeouts
    assert (timeouts.connect_s, timeouts.read_s) == (7, 7)


def test_an_api_key_is_not_shown() -> None:
    """A traceback with local variables must not publish it."""
    assert "secret" not in repr(Settings(api_key="secret"))


def refused_query() -> InvalidQuery:
    """What the client makes of a query that the service answers with 400."""
    error = InvalidQuery("query", "the service refused it: end is before start")
    error.__cause__ = BadRequest("POST", URL, 400, "AssertionError", "end is before start")
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Unauthorized("GET", URL, 401), "AuroraXUnauthorizedError occurred: API error code 401: unauthorized"),
        (Unauthorized("GET", URL, 401, None, "no key"),
         "AuroraXUnauthorizedError occurred: API error code 401: no key"),
        (Forbidden("GET", URL, 403), "AuroraXUnauthorizedError occurred: API error code 403: not permitted"),
        (NotFound("GET", URL, 404), "AuroraXAPIError occurred: API error code 404: not found"),
        (Conflict("POST", URL, 409, "Duplicate", "is taken"), "AuroraXDuplicateError occurred: Duplicate - is taken"),
        (Conflict("DELETE", URL, 409, "Conflict", "in use"), "AuroraXConflictError occurred: Conflict - in use"),
        (TooManyRequests("GET", URL, 429, "ToManyRequests"),
         "AuroraXAPIError occurred: API error code 429: ToManyRequests"),
        (ServerError("GET", URL, 500, None, "oh no"), "AuroraXAPIError occurred: API error code 500: oh no"),
        (MaintenanceMode("GET", URL, 503, "Unavailable", "in maintenance mode"),
         "AuroraXMaintenanceError occurred: in maintenance mode"),
        (ReadTimeout("GET", URL, "silence"), "AuroraXAPIError occurred: API request timeout reached"),
        (ConnectionRefused("GET", URL, "connection refused"),
         f"AuroraXAPIError occurred: GET {URL}: connection refused"),
        (NoSuchSource("a", "b", "c"), "AuroraXNotFoundError occurred: No matching data source found"),
        (refused_query(), "AuroraXAPIError occurred: API error code 400: end is before start"),
        (InvalidInput("order", "is unknown"), "Error: order: is unknown"),
    ],
)  # fmt: skip
def test_errors_have_the_official_clients_names(error: AuroraError, line: str) -> None:
    """Scripts look for them."""
    assert told(error) == line


def test_errors_without_such_a_name_are_told_in_our_words() -> None:
    """A failed search, and a file that cannot be written."""
    assert told(RequestFailed("86b5e7b0", "out of memory")).startswith("AuroraXSearchError occurred: ")
    assert told(TargetNotWritable("", Path("/x"), "no such folder")).startswith("Error: ")


def test_errors_about_a_request_are_told_as_such() -> None:
    """Not found, unexpected, or one with a name of its own."""
    assert (
        told_of_request(NotFound("GET", URL, 404, "NotFound", "?")) == "AuroraXAPIError occurred: request ID not found"
    )
    assert told_of_request(ServerError("GET", URL, 500, None, "oh no")) == (
        "AuroraXAPIError occurred: unexpected error -- API error code 500: oh no"
    )
    assert told_of_request(Unauthorized("GET", URL, 401)) == told(Unauthorized("GET", URL, 401))
