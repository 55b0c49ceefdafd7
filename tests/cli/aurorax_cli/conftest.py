"""`aurorax-cli`, run in this process, against the local service or a scripted one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from aurora_async.cli.aurorax_cli import main

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
    "data_products": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T23:59:59",
        "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
        "data_product_type_filters": [],
    },
}


@attrs.frozen
class Ran:
    """How a command ended; `output` is its stdout, `errors` its stderr."""

    code: int
    output: str
    errors: str = attrs.field(default="", eq=False)

    @property
    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.output.splitlines()

    @property
    def steps(self) -> list[str]:
        """The lines without the time in brackets, and without those about looking again."""
        lines = [re.sub(r"^\[\d{4}-\d\d-\d\d [\d:.]+\] ", "", line) for line in self.lines]
        return [line for line in lines if line != "Checking for data ..."]

    @property
    def request_id(self) -> str:
        """The identifier of the request that it made."""
        found = re.search(r"[Rr]equest ID(?: is|:) ([0-9a-f-]{36})$", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]


Cli = Callable[..., Ran]


def runner(url: str) -> Cli:
    """Make what runs a command against the service at `url`."""

    def run(*arguments: str) -> Ran:
        result = CliRunner().invoke(main, ["--api-base-url", url, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder commands run in, away from the settings of whoever runs the tests; with a query file of each kind."""
    for name in ("AURORAX_BASE_URL", "AURORAX_API_KEY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for kind, query in QUERIES.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps(query))
    return tmp_path


@pytest.fixture
def cli(local_url: str, folder: Path) -> Cli:
    """Runs a command against the local service."""
    return runner(local_url)


@pytest.fixture(scope="session")
def searched() -> dict[str, str]:
    """Identifiers of finished requests, by kind; filled as tests need them."""
    return {}


@pytest.fixture
def finished(cli: Cli, searched: dict[str, str]) -> Callable[[str], str]:
    """Gives a finished request of a kind, made once for all tests."""

    def request_of(kind: str) -> str:
        if kind not in searched:
            ran = cli("search", kind, "search", f"{kind}.json")
            assert ran.code == 0, ran.output
            searched[kind] = ran.request_id
        return searched[kind]

    return request_of


@attrs.define
class ScriptedService:
    """Answers what a test says it answers, and remembers what it was asked."""

    answers: Mapping[str, tuple[int, Any]]
    """Method and path → status and JSON document; of 202, the address of what was accepted."""
    asked: list[tuple[str, Any]] = attrs.field(factory=list)
    url: str = ""

    @property
    def cli(self) -> Cli:
        """Runs a command against this service."""
        return runner(self.url)


Scripted = Callable[[Mapping[str, tuple[int, Any]]], ScriptedService]


@pytest.fixture
def scripted(folder: Path) -> Iterator[Scripted]:
    """Starts scripted services."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Mapping[str, tuple[int, Any]]) -> ScriptedService:
        service = ScriptedService(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                route = f"{self.command} {self.path.partition('?')[0]}"
                service.asked.append((route, json.loads(body) if body else None))
                nothing = {"error_code": "NotFound", "error_message": "nothing there"}
                status, document = service.answers.get(route, (404, nothing))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status == 202:
                    self.send_header("Location", document)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            do_POST = do_PATCH = do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        service.url = f"http://127.0.0.1:{server.server_port}"
        return service

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
