"""Whatever goes wrong is one line on stderr and the right exit code, and never a traceback."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aurora_async.cli.exits import Common, for_stderr, one_line

if TYPE_CHECKING:
    from conftest import Here, Ran, Shell

GOOD = {"start": "2020-01-01", "end": "2020-01-01", "data_sources": {"programs": ["trex"]}}
EMPTY = {"start": "2020-01-01", "end": "2020-01-01", "data_sources": {}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "q.json: is empty"),
        (b" \n ", "q.json: is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "q.json: is not a text in UTF-8 (byte 0)"),
        (b"\0" * 100, "q.json: is not JSON"),
        (b"{", "q.json: is not JSON"),
        (b'{"start": "2020\n', "q.json: is not JSON"),
        (b"[" * 100_000, "q.json: is nested too deeply"),
        (b"[]", "q.json: is not a JSON object but []"),
        (b"null", "q.json: is not a JSON object"),
        (b" " * 5_000_000, "q.json: is larger than 4 MiB"),
        ({}, "q.json: data_sources: must be an object"),
        (EMPTY, "q.json: data_sources.programs: name at least one"),
        ({**GOOD, "start": 2020}, "q.json: start: 2020 is not a text"),
        ({**GOOD, "start": "yesterday"}, "q.json: start: 'yesterday' is not a time"),
        ({**GOOD, "end": "2019-01-01"}, "q.json: end: 2019-01-01T23:59:59 is before the start"),
        ({**GOOD, "colour": "green"}, "q.json: colour: is unknown here; known are"),
        ({**GOOD, "data_sources": {"programs": "trex"}}, "q.json: data_sources.programs: 'trex' is not a list"),
        ({**GOOD, "data_product_type_filters": ["photo"]}, "q.json: data_product_type_filters: 'photo' is unknown"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_query_file_is_refused_by_name(shell: Shell, here: Here, content: Any, said: str) -> None:
    """With the place in it; nothing is sent, so the server named here need not exist."""
    query = shell.write("q.json", content)
    ran = here("--base-url", "http://127.0.0.1:9", "data-products", "search", query)
    assert (ran.code, ran.stdout) == (2, b"")
    assert ran.error.startswith(said)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_error(shell: Shell, here: Here, local_url: str, mark: str) -> None:
    """Windows' editors write one, and nobody sees it."""
    query = shell.write("q.json", json.dumps(GOOD).encode(mark))
    assert here("data-products", "describe", query, "--base-url", local_url).code == 0


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("conjunctions search nowhere.json", 2, "nowhere.json: cannot be read: no such file or directory"),
        ("conjunctions search .", 2, ".: is a folder; give a JSON file"),
        ("conjunctions search", 2, "Missing argument 'QUERY' (see aurora-async conjunctions search --help)"),
        ("conjunctions search q.json --frobnicate", 2, "No such option"),
        ("conjunctions find q.json", 2, "No such command 'find'"),
        ("data-products search q.json --format xml", 2, "Invalid value for '--format'"),
        ("data-products search q.json --deadline abc", 2, "'abc' is not a valid number ("),
        ("serve --port abc", 2, "'abc' is not a valid whole number ("),
        (
            "sources get swarm swarma footprint",
            2,
            "'swarm' is not a number; to look up by names: aurora-async sources find PROGRAM PLATFORM INSTRUMENT_TYPE",
        ),
        (
            "sources get swarma --base-url http://127.0.0.1:9",
            2,
            "'swarma' is not a number; to look up by names: aurora-async sources find PROGRAM PLATFORM INSTRUMENT_TYPE "
            "--base-url http://127.0.0.1:9",
        ),
        ("data-products search q.json --deadline 0", 2, "Invalid value for '--deadline'"),
        ("data-products search q.json --deadline nan", 2, "deadline_s: nan is not a positive number"),
        ("data-products search q.json --base-url nonsense", 2, "base_url: 'nonsense' is not an absolute"),
        ("data-products search q.json --base-url=", 2, "base_url: '' is not an absolute"),
        ("data-products search q.json --base-url http://127.0.0.1:99999", 2, "base_url: 'http://127.0.0.1:99999' has"),
        ("data-products search q.json --out /proc/nowhere/x.json", 1, "/proc/nowhere/x.json: cannot write"),
        ("data-products search q.json --out /dev/full", 1, "/dev/full: this is a device"),
        ("serve --port 70000", 2, "Invalid value for '--port'"),
        ("serve --port 0 --api-key me:Emperor", 2, "--api-key: write KEY or KEY:ROLE with a role of User,"),
        ("serve --port 0 --data-dir /proc/nowhere", 1, "/proc/nowhere cannot be made"),
        ("demo --searches 0", 2, "Invalid value for '--searches'"),
        ("demo --out /proc/nowhere", 1, "/proc/nowhere"),
    ],
)
def test_wrong_words_and_things_that_cannot_be(shell: Shell, here: Here, typed: str, code: int, said: str) -> None:
    """2 for what was typed, 1 for what the world refuses."""
    shell.write("q.json", GOOD)
    ran = here(*typed.split())
    assert (ran.code, ran.stdout) == (code, b"")
    assert said in ran.error


def test_a_server_that_is_not_there(shell: Shell, here: Here) -> None:
    """The address is in the message: it is what must be mended."""
    arguments = ("search", shell.write("q.json", GOOD), "--base-url", "http://127.0.0.1:9", "--deadline", "0.3", "-q")
    ran = here("data-products", *arguments)
    assert ran.code == 1
    assert "http://127.0.0.1:9/" in ran.error


def test_a_full_disk_behind_stdout(shell: Shell, local_url: str) -> None:
    """The result was fetched, and could not be written: that is a failure."""
    query = shell.write("q.json", GOOD)
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "aurora_async", "data-products", "search", query, "--base-url", local_url]
        ran = subprocess.run(
            [*command, "-q", "--out", "-"], cwd=shell.folder, env=shell.environ(), stdout=full, stderr=subprocess.PIPE
        )
    assert ran.returncode == 1
    assert ran.stderr == b"aurora-async: error: No space left on device\n"


def test_a_port_in_use(shell: Shell) -> None:
    """One line that says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = shell.run("serve", "--port", str(taken.getsockname()[1]))
    assert ran.code == 1
    assert "cannot listen on 127.0.0.1:" in ran.error


@pytest.mark.parametrize("command", ["serve", "demo"])
@pytest.mark.parametrize("missing", ["numpy", "sgp4"])
def test_a_missing_extra_is_named(shell: Shell, command: str, missing: str) -> None:
    """The README's first command installs it; whoever installed less is told what to do."""
    hide = f"""
import sys
import time
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
    shell.write("sitecustomize.py", hide.encode())
    path = os.pathsep.join([str(shell.folder), shell.environ()["PYTHONPATH"]])
    ran = shell.run(command, environ={"PYTHONPATH": path})
    assert ran.code == 1
    assert ran.error == f'{missing} is not installed, and this needs it: pip install "aurora-async[server]"'


def test_an_error_is_one_line_whatever_a_server_puts_into_it() -> None:
    """Control codes of a stranger do not reach the terminal."""
    assert one_line("a\r\n\x1b[2Jb\x00\u2028c") == "a [2Jb c"


# A server that plays along ------------------------------------------------------------------------------------------

ID = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(**result: Any) -> dict[str, Any]:
    """A status document as the service sends it."""
    nothing = dict.fromkeys(
        ("data_uri", "result_count", "file_size", "query_duration", "completed_timestamp", "error_condition",
         "result_file_deleted_timestamp")
    )  # fmt: skip
    return {
        "search_request": {"request_id": ID, "query": {}, "requested": "2020-01-01T00:00:00"},
        "logs": [{"level": "debug", "summary": result.pop("log", "Search request arrived"), "timestamp": None}],
        "search_result": {**nothing, **result},
    }


CANCELLED = status(error_condition=True, log="Search was cancelled by the user")


class Scripted:
    """A server whose one request stays as `status` says, and once cancelled, as `status_after` says."""

    def __init__(self) -> None:
        self.status = status()
        self.status_after = CANCELLED
        self.cancelled: list[str] = []
        self.looked_at = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer anything."""
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": f"{self.url}{request.path[:-6]}requests/{ID}"})
        if request.method == "DELETE":
            self.cancelled.append(request.path)
            self.status = self.status_after
        self.looked_at.set()
        return web.json_response(self.status)


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A running one."""
    script = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", script.answer)
    async with TestServer(app) as server:
        script.url = str(server.make_url("")).rstrip("/")
        yield script


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "terminated")],
)
async def test_a_signal_cancels_the_request_at_the_server(
    shell: Shell, scripted: Scripted, number: signal.Signals, code: int, said: str
) -> None:
    """Whoever gives up a search must not leave the server working on it, and wants to know that."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here (nohup), and so by every program started from here")
    query = shell.write("q.json", GOOD)
    process = shell.start("data-products", "search", query, "--base-url", scripted.url, "-q")
    await asyncio.wait_for(scripted.looked_at.wait(), 20)
    process.send_signal(number)
    stdout, stderr = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, stdout) == (code, b"")
    assert stderr.decode() == f"aurora-async: error: {said}; request {ID} was cancelled on the server\n"
    assert scripted.cancelled == [f"/api/v1/data_products/requests/{ID}"]


READY = status(data_uri="data/1", result_count=0, file_size=2, completed_timestamp="2020-01-01T00:00:01")
RUNS = f"request {ID} still runs on the server, stop it with: aurora-async data-products cancel {ID} --base-url {{url}}"
SAID = [
    (status(), RUNS),
    (READY, f"request {ID} is ready, fetch it with: aurora-async data-products get-data {ID} --base-url {{url}}"),
    (status(error_condition=True, log="out of disk"), f"request {ID} has failed on the server"),
    ({}, f"what became of request {ID} is not known, see: aurora-async data-products status {ID} --base-url {{url}}"),
]


@pytest.mark.parametrize(("after", "said"), SAID, ids=["running", "ready", "failed", "nonsense"])
async def test_an_interruption_tells_what_became_of_the_request(
    shell: Shell, scripted: Scripted, after: dict[str, Any], said: str
) -> None:
    """The server has the last word: that it was told to stop does not mean that it has."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("Ctrl-C is ignored here (in the background), and so by every program started from here")
    scripted.status_after = after
    query = shell.write("q.json", GOOD)
    process = shell.start("data-products", "search", query, "--base-url", scripted.url, "-q")
    await asyncio.wait_for(scripted.looked_at.wait(), 20)
    process.send_signal(signal.SIGINT)
    _, stderr = await asyncio.to_thread(process.communicate, timeout=20)
    said = said.format(url=scripted.url)
    assert (process.returncode, stderr.decode()) == (130, f"aurora-async: error: interrupted; {said}\n")
    assert [path.name for path in shell.folder.iterdir()] == ["q.json"]


async def test_a_request_of_others_is_left_alone(shell: Shell, scripted: Scripted) -> None:
    """Nothing was asked of it but to wait, and nothing has become of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("Ctrl-C is ignored here (in the background), and so by every program started from here")
    process = shell.start("data-products", "get-data", ID, "--base-url", scripted.url, "-q")
    await asyncio.wait_for(scripted.looked_at.wait(), 20)
    process.send_signal(signal.SIGINT)
    _, stderr = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, stderr) == (130, b"aurora-async: error: interrupted\n")
    assert scripted.cancelled == []


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _ended(*_: object, **__: object) -> None:
    raise EOFError


@pytest.mark.parametrize("key", [_interrupted, _ended], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize(
    ("typed", "asking"),
    [
        ("sources delete 7001", "click.termui.visible_prompt_func"),
        ("sources list --login me@example.org", "getpass.getpass"),
    ],
    ids=["confirmation", "password"],
)
def test_a_question_that_is_not_answered_has_its_line_to_itself(
    here: Here, monkeypatch: pytest.MonkeyPatch, typed: str, asking: str, key: Callable[..., None]
) -> None:
    """The cursor stands behind it; what follows begins in the next line."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(asking, key)
    ran = here(*typed.split(), "--base-url", "http://127.0.0.1:9")
    assert ran.code == 130
    assert ran.stderr.endswith("\naurora-async: error: interrupted\n")


def test_ctrl_c_while_the_query_is_awaited_on_stdin(shell: Shell) -> None:
    """A read that never ends must not hold up the end of the program."""
    process = shell.start("data-products", "search", "-", "--base-url", "http://127.0.0.1:9")
    threads = psutil.Process(process.pid).num_threads
    while threads() == 1:  # the second one is the one that reads
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130  # stdin is still open
    _, stderr = process.communicate()
    assert stderr == b"aurora-async: error: interrupted\n"


async def test_a_search_that_fails_says_the_servers_last_word(shell: Shell, scripted: Scripted) -> None:
    """Exit code 1, and no file."""
    scripted.status = status(error_condition=True, completed_timestamp="2020-01-01T00:00:01", log="out of disk")
    ran: Ran = await shell.run_async(
        "data-products", "search", shell.write("q.json", GOOD), "--base-url", scripted.url, "-q"
    )
    assert ran.code == 1
    assert ran.error == f"request {ID} failed on the server: out of disk"
    assert [path.name for path in shell.folder.iterdir()] == ["q.json"]


async def test_a_deadline_leaves_the_request_and_says_how_to_fetch_it(shell: Shell, scripted: Scripted) -> None:
    """The server goes on; the command to come back with is in the message."""
    query = shell.write("q.json", GOOD)
    ran: Ran = await shell.run_async(
        "data-products", "search", query, "--base-url", scripted.url, "-q", "--deadline", "1"
    )
    assert ran.code == 1
    command = f"aurora-async data-products get-data {ID} --base-url {scripted.url}"
    assert ran.error.endswith(f"lives on, fetch it with: {command}")
    assert scripted.cancelled == []


def test_a_command_to_be_typed_asks_the_same_service_and_shows_no_key() -> None:
    """What was typed now has to be typed again."""
    common = Common(base_url="http://127.0.0.1:8080", email="me@example.org", api_key="secret")
    assert common.command("jsoc", "download", "a b", also=["email"]) == (
        "aurora-async jsoc download 'a b' --base-url http://127.0.0.1:8080 --email me@example.org"
    )
    assert Common(server="kis").command("jsoc", "series") == "aurora-async jsoc series --server kis"
    assert Common().command("sources", "list") == "aurora-async sources list"


class Stderr(io.StringIO):
    """A terminal, or a pipe."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def fileno(self) -> int:
        return 2


LONG = "aurora-async: error: waiting was not done within 0.5 s; the export lives on, fetch its files with: "
COMMAND = "aurora-async jsoc download JSOC_20261121_001 --base-url http://127.0.0.1:8391 --email me@example.org"


@pytest.mark.parametrize("width", [100, 80, 50])
def test_a_long_line_is_broken_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """The terminal would break it anywhere. The command stays whole: it is there to be copied."""
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((width, 24)))
    monkeypatch.setattr("sys.stderr", Stderr(is_terminal=True))
    *lines, command = for_stderr(LONG + COMMAND).splitlines()
    assert command == f"  {COMMAND}"
    assert " ".join(lines) == LONG.rstrip()
    assert max(map(len, lines)) <= width
    assert for_stderr("interrupted") == "interrupted"
    assert max(map(len, for_stderr("no command in it " * 20).splitlines())) <= width


def test_a_long_line_is_one_line_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs are searched by lines."""
    monkeypatch.setattr("sys.stderr", Stderr(is_terminal=False))
    assert for_stderr(LONG + COMMAND) == LONG + COMMAND


async def test_what_nobody_foresaw_is_one_line_and_with_debug_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug of ours is told like an error, with the way to more."""
    from aurora_async.cli import main

    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("aurora_async.cli.search.search", broken)
    line = "aurora-async: error: unexpected KeyError: 'x'; please report it with what --debug prints\n"
    assert main(["ephemeris", "search", "q"]) == 1
    assert capsys.readouterr().err == line
    assert main(["ephemeris", "search", "q", "--debug"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and printed.endswith(line)
