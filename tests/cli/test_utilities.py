"""The small commands: is the server there, what does it say to a request, how does a line go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aurora_async.cli.exits import Common
from aurora_async.errors import InvalidInput

if TYPE_CHECKING:
    from conftest import Here, Shell


@pytest.fixture(autouse=True)
def asked(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks the local service."""
    monkeypatch.setenv("AURORAX_BASE_URL", local_url)
    monkeypatch.delenv("COLUMNS", raising=False)


def test_check_tells_what_answers(here: Here, local_url: str) -> None:
    """The first thing to type when nothing works."""
    ran = here("check")
    assert (ran.code, ran.stderr) == (0, "")
    lines = dict(line.split("  ", 1) for line in ran.stdout.decode().splitlines())
    assert lines["server"].strip() == local_url
    assert lines["key"].strip() == "none given; searching needs none"
    assert int(json.loads(here("check", "--json").stdout)["data_sources"]) > 100


def test_check_knows_whether_the_key_is_good(here: Here, admin_key: str) -> None:
    """A server looks at a key only where it needs one, so a search would not tell."""
    assert json.loads(here("check", "--json", "--api-key", admin_key).stdout)["key"] == "accepted, of an administrator"
    ran = here("check", "--api-key", "wrong")
    assert ran.code == 1
    assert "refuses the API key" in ran.error


def test_check_of_a_server_that_is_not_there(here: Here) -> None:
    """The address is what must be mended."""
    ran = here("check", "--base-url", "http://127.0.0.1:9")
    assert (ran.code, ran.stdout) == (1, b"")
    assert "http://127.0.0.1:9/" in ran.error


def test_request_prints_the_body_as_it_came(here: Here) -> None:
    """Whatever the service has that we have no word for."""
    ran = here("request", "get", "/api/v1/data_sources", "-p", "program=swarm", "-p", "format=identifier_only")
    assert {source["identifier"] for source in json.loads(ran.stdout)} >= {3, 29, 30}
    assert ran.stderr == ""


def test_request_sends_a_body_and_shows_headers(here: Here, shell: Shell) -> None:
    """The body may lie in a file."""
    shell.write("names.json", {"programs": ["swarm"], "platforms": ["swarma"], "instrument_types": []})
    ran = here("request", "POST", "/api/v1/data_sources/search", "--json", "@names.json", "--include")
    assert [source["identifier"] for source in json.loads(ran.stdout)] == [3]
    assert ran.stderr.startswith("status: 200\n")


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("request GET data_sources", 2, "path: 'data_sources' does not begin with /"),
        ("request GET / -p swarm", 2, "--param 'swarm' is not NAME=VALUE"),
        ("request GET / -H swarm", 2, "--header 'swarm' is not NAME:VALUE"),
        ("request POST / --json @nowhere", 2, "nowhere cannot be read: No such file"),
        ("request GET /api/v1/nowhere", 1, "/api/v1/nowhere answered 404"),
        ("to-utc yesterday UTC", 1, "answered 400"),
    ],
)
def test_wrong_requests(here: Here, typed: str, code: int, said: str) -> None:
    """2 for what was typed, 1 for what the server refuses."""
    ran = here(*typed.split())
    assert (ran.code, ran.stdout) == (code, b"")
    assert said in ran.error


def test_time_zones_can_be_looked_for(here: Here) -> None:
    """By a part of the name, in any case."""
    assert here("time-zones", "edmon").stdout == b"America/Edmonton\n"
    assert "Europe/Berlin" in json.loads(here("time-zones", "--json").stdout)
    ran = here("time-zones", "atlantis")
    assert (ran.code, ran.stdout, ran.stderr) == (
        0, b"", "no time zone has 'atlantis' in its name; time-zones alone lists all\n"
    )  # fmt: skip


def test_to_utc(here: Here) -> None:
    """One line, which every program reads."""
    assert here("to-utc", "2020-01-01T17:00:00", "America/Edmonton").stdout == b"2020-01-02T00:00:00Z\n"


def test_a_login_without_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password on a command line or in a pipe would be seen by others."""
    from aurora_async.cli.client import Access

    def no_terminal(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", no_terminal)
    with pytest.raises(InvalidInput, match="asks for the password on a terminal"):
        Access.of(Common(login="me@example.org"))


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback with local variables must not publish it."""
    from aurora_async.cli.client import Access

    monkeypatch.setattr("getpass.getpass", lambda prompt: "secret")
    access = Access.of(Common(login="me@example.org"))
    assert access.password == "secret"
    assert "secret" not in repr(access)


# Completion ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(here: Here, shell_name: str) -> None:
    """It calls the program back with the variable that the program listens to."""
    ran = here("completion", shell_name)
    assert ran.code == 0
    assert f"_AURORA_ASYNC_COMPLETE={shell_name}_complete".encode() in ran.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (["conj"], {"conjunctions"}),
        (["sources", "s"], {"search", "stats", "schema"}),
        (["conjunctions", "logs", "x", "--level", ""], {"debug", "info", "warn", "error"}),
        (["sources", "list", "--so"], {"--source-type", "--sort"}),
    ],
)
def test_bash_is_told_how_a_line_goes_on(shell: Shell, line: list[str], offered: set[str]) -> None:
    """As its completion function asks."""
    words = " ".join(["aurora-async", *line])
    asked: dict[str, str | None] = {
        "_AURORA_ASYNC_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(line)),
    }  # fmt: skip
    ran = shell.run(environ=asked)
    assert ran.stderr == ""
    assert {answer.split(",")[1] for answer in ran.stdout.decode().split()} == offered


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (["conjunctions", "search"], "file"),
        (["ephemeris", "search", "q.json", "--out"], "file"),
        (["data-products", "submit"], "file"),
        (["data-products", "upload", "3"], "file"),
        (["conjunctions", "swarmaurora", "import", "x", "--out"], "file"),
        (["serve", "--data-dir"], "dir"),
        (["demo", "--out"], "dir"),
    ],
    ids=" ".join,
)
def test_shells_are_told_where_a_file_is_wanted(shell: Shell, line: list[str], kind: str) -> None:
    """Which ones there are, a shell knows itself."""
    asked: dict[str, str | None] = {
        "_AURORA_ASYNC_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["aurora-async", *line, "q"]),
        "COMP_CWORD": str(len(line) + 1),
    }
    ran = shell.run(environ=asked)
    assert (ran.stdout.decode(), ran.stderr) == (f"{kind},q\n", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_script_works_in_bash(shell: Shell, here: Here) -> None:
    """The whole way: sourced, and its function called as bash calls it. The names of files, bash completes itself."""
    (shell.folder / "complete.sh").write_bytes(here("completion", "bash").stdout)
    (shell.folder / "aurora-async").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aurora_async "$@"\n')
    (shell.folder / "aurora-async").chmod(0o755)
    script = """
        source ./complete.sh
        COMP_WORDS=(aurora-async conj); COMP_CWORD=1
        _aurora_async_completion aurora-async conj aurora-async
        echo "${COMPREPLY[@]}"
        compopt() { echo "compopt $1 $2"; }
        COMP_WORDS=(aurora-async conjunctions search q); COMP_CWORD=3
        _aurora_async_completion aurora-async q search
    """
    environ = shell.environ({"PATH": f"{shell.folder}{os.pathsep}{os.environ['PATH']}"})
    ran = subprocess.run(["bash", "-c", script], cwd=shell.folder, env=environ, capture_output=True, check=False)
    assert (ran.stdout.decode().splitlines(), ran.stderr) == (["conjunctions", "compopt -o default"], b"")
