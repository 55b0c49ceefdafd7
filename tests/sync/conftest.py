"""A local service in a process of its own: blocking calls would hold up one in this."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.processes import ENVIRON

from aurora_async.sync import AuroraX


@contextmanager
def service(*arguments: str) -> Iterator[str]:
    """Run `aurora-async serve` and give its base URL."""
    command = [sys.executable, "-m", "aurora_async", "serve", "--port", "0", "--workers", "1", *arguments]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.fullmatch(r"listening on (\S+)\n", process.stdout.readline())
            assert found
            yield found[1]
        finally:
            process.terminate()


@pytest.fixture(scope="package")
def base_url() -> Iterator[str]:
    """A service that answers as soon as it can."""
    with service("--api-key", "key-owner:Owner") as url:
        yield url


@pytest.fixture(scope="package")
def slow_url() -> Iterator[str]:
    """A service whose searches and exports take a minute."""
    with service("--server-time", "60", "--jsoc-export-time", "60") as url:
        yield url


@pytest.fixture
def client(base_url: str) -> Iterator[AuroraX]:
    """A blocking client of the first."""
    with AuroraX(base_url=base_url) as opened:
        yield opened
