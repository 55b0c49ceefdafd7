"""`search`, `get-data` and `describe` against the local server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Here, Shell

from aurora_async.cli.demo_queries import PUBLISHED_COUNT

PRODUCTS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T23:59:59",
    "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
    "data_product_type_filters": [],
}
CONJUNCTIONS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T06:59:59",
    "ground": [{"programs": ["themis-asi"]}],
    "space": [{"programs": ["swarm"]}],
    "conjunction_types": ["nbtrace"],
    "max_distances": {"ground1-space1": 500},
}


def test_the_published_search_writes_what_aurorax_cli_writes(shell: Shell, local_url: str) -> None:
    """A bare list, two spaces of indentation, sorted by start, in a file named after the request."""
    ran = shell.run("conjunctions", "search", shell.write("q.json", CONJUNCTIONS), "--base-url", local_url)
    assert ran.code == 0, ran.stderr
    name = ran.stdout.decode().strip()
    assert re.fullmatch(r"[0-9a-f-]{36}_data\.json", name)
    written = (shell.folder / name).read_text()
    records = json.loads(written)
    assert len(records) == PUBLISHED_COUNT
    assert written == json.dumps(sorted(records, key=lambda record: record["start"]), indent=2)


def test_progress_is_plain_lines_on_stderr_where_there_is_no_terminal(shell: Shell, here: Here, local_url: str) -> None:
    """A log file gets a time for each line, and no control codes."""
    ran = here("data-products", "search", shell.write("q.json", PRODUCTS), "--base-url", local_url)
    assert ran.code == 0
    *lines, last = ran.stderr.splitlines()
    assert all(re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] data products [0-9a-f-]{36}: ", line) for line in lines)
    assert [line.split(": ")[1].split(" ")[0].rstrip(",") for line in lines][:1] == ["submitted"]
    assert re.fullmatch(r"66 data products, [\d.]+ kB, in [\d.]+ s", last)
    assert "\x1b" not in ran.stderr


def test_quiet_prints_nothing(shell: Shell, local_url: str) -> None:
    """Neither progress nor the name of the file, which a script that is quiet has chosen itself."""
    query = shell.write("q.json", PRODUCTS)
    ran = shell.run("data-products", "search", query, "--base-url", local_url, "--quiet", "--out", "found.json")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "")
    assert len(json.loads((shell.folder / "found.json").read_bytes())) == 66


def test_a_pipe_in_and_a_pipe_out(shell: Shell, local_url: str) -> None:
    """stdout carries the records and nothing else; jsonl has one of them a line."""
    arguments = ("--base-url", local_url, "data-products", "search", "-", "--out", "-", "--format", "jsonl")
    ran = shell.run(*arguments, stdin=json.dumps(PRODUCTS).encode())
    assert ran.code == 0, ran.stderr
    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == 66
    assert "66 data products" in ran.stderr
    assert list(shell.folder.iterdir()) == []


def test_a_result_can_be_fetched_again(
    shell: Shell, here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the file is the identifier of the request."""
    monkeypatch.setenv("AURORAX_BASE_URL", local_url)
    query = shell.write("q.json", PRODUCTS)
    name = here("data-products", "search", query).stdout.decode().strip()
    request_id = name.removesuffix("_data.json")
    ran = here("data_products", "get_data", request_id, "-o", "again.json")
    assert (ran.code, ran.stdout) == (0, b"again.json\n")
    assert (shell.folder / "again.json").read_bytes() == (shell.folder / name).read_bytes()


def test_an_existing_file_is_replaced_unless_it_must_not_be(shell: Shell, here: Here, local_url: str) -> None:
    """As `aurorax-cli` does; `--no-clobber` is for those who would rather not."""
    query = shell.write("q.json", PRODUCTS)
    shell.write("found.json", b"mine")
    search = ("data-products", "search", query, "--base-url", local_url, "--out", "found.json", "-q")
    ran = here(*search, "--no-clobber")
    assert ran.code == 1
    assert "found.json" in ran.error
    assert (shell.folder / "found.json").read_bytes() == b"mine"
    assert here(*search).code == 0
    assert (shell.folder / "found.json").read_bytes().startswith(b"[")


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ("-o found.jsonl", b'{"'),
        ("-o found.CSV", b"identifier,program,"),
        ("-o found.parquet", b"PAR1"),
        ("-o found.txt", b"["),
        ("-o found.txt --format jsonl", b'{"'),
        ("-o found.jsonl --format jsonl", b'{"'),
    ],
)
def test_the_name_of_the_file_says_its_format(
    shell: Shell, here: Here, local_url: str, arguments: str, begins: bytes
) -> None:
    """A file that is called Parquet and holds JSON is found out days later, by a program that cannot read it."""
    ran = here("data-products", "search", shell.write("q.json", PRODUCTS), "--base-url", local_url, *arguments.split())
    assert ran.code == 0, ran.stderr
    assert (shell.folder / ran.stdout.decode().strip()).read_bytes().startswith(begins)


@pytest.mark.parametrize("verb", ["search", "get-data"])
def test_a_name_that_contradicts_the_format_is_refused(shell: Shell, here: Here, verb: str) -> None:
    """Before anything is sent."""
    query = shell.write("q.json", PRODUCTS)
    ran = here("ephemeris", verb, query, "-o", "x.parquet", "--format", "csv", "--base-url", "http://127.0.0.1:9")
    assert ran.code == 2
    assert ran.error.startswith("x.parquet is not a name for --format csv")


def test_describe_is_the_servers_sentence(shell: Shell, here: Here, local_url: str) -> None:
    """On stdout, alone."""
    ran = here("conjunctions", "describe", shell.write("q.json", CONJUNCTIONS), "--base-url", local_url)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(b"Find conjunctions of type (nbtrace)")


def test_describe_fits_the_terminal(shell: Shell, here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has hundreds of characters; into a pipe it goes as one line."""
    describe = ("conjunctions", "describe", shell.write("q.json", CONJUNCTIONS), "--base-url", local_url)
    monkeypatch.delenv("COLUMNS", raising=False)
    (line,) = here(*describe).stdout.decode().splitlines()
    monkeypatch.setenv("COLUMNS", "60")
    lines = here(*describe).stdout.decode().splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(lines) == line


def test_a_reader_that_goes_away_is_no_error_to_talk_about(shell: Shell, local_url: str) -> None:
    """`… --out - | head -1` ends quietly."""
    query = shell.write("q.json", {**PRODUCTS, "end": "2020-01-09T23:59:59"})
    process = shell.start("data-products", "search", query, "--base-url", local_url, "--out", "-", "-q")
    assert process.stdout is not None and process.stderr is not None and process.stdin is not None
    process.stdout.read(10)
    process.stdout.close()
    with process:
        assert process.wait(20) == 141
        assert process.stderr.read() == b""
