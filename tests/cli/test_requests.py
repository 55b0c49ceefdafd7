"""Everything about requests that were made before, and what administrators see of them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from aurora_async.cli.examples import EXAMPLES

if TYPE_CHECKING:
    from conftest import Here, Shell

KINDS = ("conjunctions", "ephemeris", "data_products")
PRODUCTS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T23:59:59",
    "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
}


@pytest.fixture(autouse=True)
def asked(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks the local service, as wide as it likes."""
    monkeypatch.setenv("AURORAX_BASE_URL", local_url)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def request_id(here: Here, shell: Shell) -> str:
    """A search for data products that is over."""
    ran = here("data-products", "submit", shell.write("q.json", PRODUCTS))
    assert (ran.code, ran.stderr) == (0, "")
    made = ran.stdout.decode().strip()
    assert here("data-products", "wait", made, "-q").code == 0
    return made


def test_submit_prints_the_identifier_alone(request_id: str) -> None:
    """`ID=$(aurora-async … submit q.json)` is what it is for."""
    assert str(uuid.UUID(request_id)) == request_id


def test_status_says_where_it_stands(here: Here, request_id: str) -> None:
    """Fields for people, the whole status for programs."""
    lines = here("data-products", "status", request_id).stdout.decode().splitlines()
    assert lines[:2] == [f"request          {request_id}", "phase            ready"]
    status = json.loads(here("data-products", "status", request_id, "--json").stdout)
    assert (status["phase"], status["records"]) == ("ready", 66)


def test_wait_ends_when_the_result_is_ready(here: Here, request_id: str) -> None:
    """Progress on stderr, the status on stdout."""
    ran = here("data-products", "wait", request_id, "--deadline", "30", "--json")
    assert json.loads(ran.stdout)["phase"] == "ready"
    assert "ready, 66 records" in ran.stderr


def test_logs_of_one_level(here: Here, request_id: str) -> None:
    """Exactly that level; none at all is said."""
    lines = json.loads(here("data-products", "logs", request_id, "--level", "info", "--json").stdout)
    assert lines and {line["level"] for line in lines} == {"info"}
    ran = here("data-products", "logs", request_id, "--level", "error")
    assert (ran.code, ran.stdout) == (0, b"")
    assert ran.stderr.startswith(f"request {request_id} has no log lines of the level error; without")


@pytest.mark.parametrize("width", [80, 60])
def test_logs_fold_instead_of_being_cut(
    here: Here, request_id: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """A log line is read to its end."""
    whole = here("data-products", "logs", request_id).stdout
    monkeypatch.setenv("COLUMNS", str(width))
    folded = here("data-products", "logs", request_id).stdout
    assert max(map(len, folded.decode().splitlines())) <= width
    assert sorted(folded.replace(b" ", b"").replace(b"\n", b"")) == sorted(whole.replace(b" ", b"").replace(b"\n", b""))


def test_query_prints_what_search_takes(here: Here, shell: Shell, request_id: str) -> None:
    """The way from an identifier to a file that can be changed."""
    again = shell.write("again.json", here("data-products", "query", request_id).stdout)
    assert here("data-products", "describe", again).stdout == here("data-products", "describe", "q.json").stdout


def test_resubmit_makes_another_request_of_the_same_query(here: Here, request_id: str) -> None:
    """With an identifier of its own."""
    other = here("data-products", "resubmit", request_id).stdout.decode().strip()
    assert other != request_id
    assert here("data-products", "query", other).stdout == here("data-products", "query", request_id).stdout


def test_cancelling_what_is_over_leaves_it(here: Here, request_id: str) -> None:
    """And says how it stands."""
    ran = here("data-products", "cancel", request_id)
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", f"request {request_id} is ready\n")


def test_a_deleted_result_is_gone(here: Here, request_id: str) -> None:
    """Not without --yes where nobody can be asked."""
    ran = here("data-products", "delete-data", request_id)
    assert ran.code == 2
    assert "add --yes" in ran.error
    assert here("data-products", "delete-data", request_id, "--yes").code == 0
    ran = here("data-products", "get-data", request_id)
    assert ran.code == 1
    assert "is gone (deleted " in ran.error


@pytest.mark.parametrize("verb", ["status", "logs", "query", "wait", "resubmit", "cancel"])
def test_a_request_that_nobody_knows(here: Here, verb: str) -> None:
    """Exit code 1; the identifier is in the message."""
    unknown = "00000000-0000-4000-8000-000000000000"
    ran = here("ephemeris", verb, unknown)
    assert (ran.code, ran.stdout) == (1, b"")
    assert unknown in ran.error


def test_a_response_format_restricts_what_is_written(here: Here, shell: Shell, request_id: str) -> None:
    """Typed, or from a file, such as template prints one."""
    assert here("data-products", "get-data", request_id, "-o", "x.json", "--response-format", '{"url": true}').code == 0
    records = json.loads((shell.folder / "x.json").read_bytes())
    assert {name for record in records for name in record} == {"url"}
    shell.write("format.json", here("data-products", "template", "--response-format").stdout)
    assert here("data-products", "search", "q.json", "-o", "y.json", "--response-format", "@format.json").code == 0
    ran = here("data-products", "search", "q.json", "--response-format", "{")
    assert ran.code == 2
    assert ran.error.startswith("Invalid value for '--response-format': '{' is not JSON: ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_a_query_that_finds_something(here: Here, shell: Shell, kind: str) -> None:
    """It is the first thing that is tried."""
    ran = here(kind, "template")
    assert json.loads(ran.stdout) == json.loads(EXAMPLES[kind])
    assert here(kind, "search", shell.write("t.json", ran.stdout), "-o", "found.json").code == 0
    assert len(json.loads((shell.folder / "found.json").read_bytes())) > 0


def test_count_is_a_number(here: Here, shell: Shell) -> None:
    """24 imagers with 3 spacecraft."""
    ran = here("conjunctions", "count", shell.write("q.json", EXAMPLES["conjunctions"].encode()))
    assert (ran.code, ran.stderr) == (0, "")
    assert int(ran.stdout) > 3


def test_links_need_no_server(here: Here) -> None:
    """They are arithmetic."""
    pages = json.loads(here("conjunctions", "links", "abc", "--json").stdout)
    assert here("conjunctions", "swarmaurora", "link", "abc").stdout.decode().strip() == pages["swarm_aurora"]
    assert all("abc" in url for url in pages.values())


@pytest.mark.parametrize("width", [80, 60])
def test_links_are_whole_on_any_terminal(here: Here, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """They are there to be clicked on, and copied."""
    request_id = "00000000-0000-4000-8000-000000000000"
    pages = json.loads(here("conjunctions", "links", request_id, "--json").stdout)
    monkeypatch.setenv("COLUMNS", str(width))
    words = here("conjunctions", "links", request_id).stdout.decode().split()
    assert set(pages.values()) <= set(words)


# Administration -----------------------------------------------------------------------------------------------------


def test_an_administrator_sees_and_removes_requests(here: Here, request_id: str, admin_key: str) -> None:
    """Of everybody; removing asks first."""
    key = ("--api-key", admin_key)
    ran = here("requests", "list", "--search-type", "data_product", "--over", "--json", *key)
    assert request_id in {one["request_id"] for one in json.loads(ran.stdout)}
    assert here("requests", "delete", request_id, *key).code == 2
    assert here("requests", "delete", request_id, "-y", *key).stderr == f"request {request_id} is deleted\n"
    ran = here("requests", "list", "--json", *key)
    assert request_id not in {one["request_id"] for one in json.loads(ran.stdout)}


@pytest.mark.parametrize("width", [80, 60])
def test_the_list_of_requests_fits(
    here: Here, request_id: str, admin_key: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """And never cuts the identifier."""
    monkeypatch.setenv("COLUMNS", str(width))
    ran = here("requests", "list", "--api-key", admin_key)
    assert max(map(len, ran.stdout.decode().splitlines())) <= width
    assert request_id.encode() in ran.stdout


def test_no_such_request_is_said(here: Here, admin_key: str) -> None:
    """With a way out."""
    ran = here("requests", "list", "--start", "1990", "--end", "1990", "--api-key", admin_key)
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "there are no such search requests; try fewer filters\n")


def test_others_are_told_what_they_lack(here: Here) -> None:
    """401 becomes a sentence with the option to use."""
    ran = here("requests", "list")
    assert ran.code == 1
    assert "give an API key" in ran.error
