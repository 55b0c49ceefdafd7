"""The local service as `aurora-async serve` runs it, and the official client pointed at it.

Nothing of the official client is patched: only its documented base URL differs. It is imported by a fixture, so that
collecting these tests costs nothing where it is not installed; where they are asked for (`-m peers`), it must be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).parents[2]

ADMIN_KEY = "peers-admin-key"
USER_KEY = "peers-user-key"


@contextmanager
def _serving(folder: Path, *options: str) -> Iterator[str]:
    """Run `aurora-async serve` as a person does; yield its base URL."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    keys = ("--api-key", f"{ADMIN_KEY}:Administrator", "--api-key", f"{USER_KEY}:User")
    with subprocess.Popen(
        [sys.executable, "-m", "aurora_async", "serve", "--port", "0", "--workers", "2", *keys, *options],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield found[1]
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture(scope="session")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local service, in a process of its own."""
    with _serving(tmp_path_factory.mktemp("serve")) as url:
        yield url


@pytest.fixture(scope="session")
def slow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A local service whose searches take two seconds: long enough to be looked at, waited for and cancelled."""
    with _serving(tmp_path_factory.mktemp("serve-slowly"), "--server-time", "2") as url:
        yield url


@pytest.fixture(scope="session")
def pyaurorax() -> ModuleType:
    """The official client."""
    with warnings.catch_warnings():
        # What its own dependencies have to say about one another is not ours to judge.
        warnings.simplefilter("ignore")
        import pyaurorax
        import pyaurorax.cli.cli
    return pyaurorax


@pytest.fixture
def aurorax(pyaurorax: ModuleType, base_url: str) -> Any:
    """The official client's object, as a script makes it."""
    return pyaurorax.PyAuroraX(api_base_url=base_url)


@pytest.fixture
def slow_aurorax(pyaurorax: ModuleType, slow_url: str) -> Any:
    """The same, of the service that takes its time."""
    return pyaurorax.PyAuroraX(api_base_url=slow_url)


@pytest.fixture(scope="session")
def drms() -> ModuleType:
    """The official client of JSOC."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import drms
    return drms


@pytest.fixture(scope="session")
def drms_config(drms: ModuleType, base_url: str) -> Any:
    """The local service as drms is told of it: by a `ServerConfig`."""
    return drms.ServerConfig(
        name="LOCAL",
        cgi_baseurl=f"{base_url}/cgi-bin/ajax/",
        cgi_show_series="show_series",
        cgi_jsoc_info="jsoc_info",
        cgi_jsoc_fetch="jsoc_fetch",
        cgi_check_address="checkAddress.sh",
        cgi_show_series_wrapper="showextseries",
        show_series_wrapper_dbhost="hmidb2",
        http_download_baseurl=f"{base_url}/",
    )


@pytest.fixture(scope="session")
def drms_email() -> str:
    """The address that the local service knows from the start."""
    return "demo@example.com"


@pytest.fixture(scope="session")
def imap_data_access() -> ModuleType:
    """The official client of the IMAP SDC."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import imap_data_access
        import imap_data_access.io
    return imap_data_access


WithKey = Callable[[str], Any]


@pytest.fixture
def with_key(pyaurorax: ModuleType, base_url: str) -> Iterator[WithKey]:
    """Makes the official client's object with an API key."""
    made: list[Any] = []

    def make(key: str) -> Any:
        made.append(pyaurorax.PyAuroraX(api_base_url=base_url, api_key=key))
        return made[-1]

    yield make
    for one in made:
        # One class-level header dictionary serves all objects: whoever forgets this lends the key to the next test.
        one.api_key = None


@pytest.fixture(scope="session")
def keys() -> dict[str, str]:
    """The API keys that the services let in, by role."""
    return {"Administrator": ADMIN_KEY, "User": USER_KEY}


@attrs.frozen
class Ran:
    """How a command of the official command line ended."""

    code: int
    output: str

    @property
    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.output.splitlines()

    @property
    def request_id(self) -> str:
        """The identifier of the request that it made."""
        found = re.search(r"[Rr]equest ID(?: is|:) ([0-9a-f-]{36})\b", self.output)
        assert found, self.output
        return found[1]


CommandLine = Callable[..., Ran]


@pytest.fixture
def aurorax_cli(
    pyaurorax: ModuleType, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandLine]:
    """Runs a command of `aurorax-cli` against the service in a folder of its own.

    In this process, which saves the two seconds that a new one takes to start; `test_command_line.py` starts one too.
    """
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        result = CliRunner().invoke(pyaurorax.cli.cli.cli, ["--api-base-url", base_url, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.output)

    yield run
    pyaurorax.PyAuroraX().api_key = None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, Mapping):
        # Null and absent are the same thing in both clients.
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if attrs.has(type(value)):
        return _plain(attrs.asdict(value, recurse=False))
    if type(value).__module__.startswith("pyaurorax."):
        if hasattr(value, "to_json_serializable") and hasattr(value, "lat"):
            return _plain(value.to_json_serializable())
        return _plain({name: item for name, item in vars(value).items() if name != "format"})
    assert value is None or isinstance(value, str | int | float), value
    return value


@pytest.fixture(scope="session")
def plain() -> Callable[[Any], Any]:
    """Turns records of either client into dictionaries, lists and naive UTC instants."""
    return _plain
