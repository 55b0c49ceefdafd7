"""The command as a person runs it: a process of its own, against servers that really listen."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from aurora_async.cli import main
from aurora_async.http.retry import RetryPolicy

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "AURORAX_BASE_URL", "AURORAX_API_KEY", "JSOC_BASE_URL", "JSOC_EMAIL", "IMAP_DATA_ACCESS_URL", "IMAP_DATA_DIR",
    "IMAP_API_KEY", "IMAP_ACCESS_TOKEN", "IMAP_WEBPODA_TOKEN", "IMAP_DATA_ACCESS_CLIENT_VERSION",
)  # fmt: skip


@attrs.frozen
class Ran:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def error(self) -> str:
        """The one line of the error, without its beginning; fails when there is another line, or none."""
        (line,) = self.stderr.splitlines()
        assert line.startswith("aurora-async: error: "), line
        return line.removeprefix("aurora-async: error: ")


@attrs.frozen
class Shell:
    """Runs `aurora-async` in a folder, away from the settings of whoever runs the tests."""

    folder: Path

    def environ(self, changes: dict[str, str | None] | None = None) -> dict[str, str]:
        """Return the environment of a command."""
        ours = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", *SETTINGS)
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        changed = {**kept, "PYTHONPATH": path, **(changes or {})}
        return {name: value for name, value in changed.items() if value is not None}

    def start(self, *arguments: str, environ: dict[str, str | None] | None = None) -> subprocess.Popen[bytes]:
        """Start a command and return its process."""
        return subprocess.Popen(
            [sys.executable, "-m", "aurora_async", *arguments],
            cwd=self.folder, env=self.environ(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, stdin: bytes = b"", environ: dict[str, str | None] | None = None) -> Ran:
        """Run a command to its end."""
        with self.start(*arguments, environ=environ) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=60)
            finally:
                process.kill()
        return Ran(process.returncode, stdout, stderr.decode())

    def write(self, name: str, content: Any) -> str:
        """Write a file into the folder: bytes as they are, anything else as JSON."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (self.folder / name).write_bytes(data)
        return name

    async def run_async(self, *arguments: str) -> Ran:
        """Run a command while the server it asks lives in this loop."""
        return await asyncio.to_thread(self.run, *arguments)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder of its own to run commands in."""
    return Shell(tmp_path)


Here = Callable[..., Ran]


@pytest.fixture
def here(shell: Shell, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Runs a command in this process, which saves the second that a new one takes to start.

    A server that is away is asked as often as ever, only sooner: what comes of it is told, not how long it takes.
    """
    monkeypatch.chdir(shell.folder)
    waits = RetryPolicy.waits
    monkeypatch.setattr(RetryPolicy, "waits", lambda policy: (wait_s / 50 for wait_s in waits(policy)))
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ran:
        code = main(arguments)
        printed = capfd.readouterr()
        return Ran(code, printed.out.encode(), printed.err)

    return run


@pytest.fixture(scope="session")
def admin_key() -> str:
    """A key of an administrator of the local service."""
    return "cli-admin-key"


@pytest.fixture(scope="package")
def local_url(tmp_path_factory: pytest.TempPathFactory, admin_key: str) -> Iterator[str]:
    """The base URL of `aurora-async serve`, run as a person runs it."""
    shell = Shell(tmp_path_factory.mktemp("serve"))
    with shell.start("serve", "--port", "0", "--workers", "1", "--api-key", f"{admin_key}:Administrator") as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield found[1]
        finally:
            process.terminate()
            _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, b"")
