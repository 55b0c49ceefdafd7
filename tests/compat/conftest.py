"""A local service in a process of its own, and the drop-in pointed at it as its users do: by the environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aurora_async.compat import pyaurorax
from aurora_async.compat.pyaurorax import _module_form

ROOT = Path(__file__).parents[2]
KEYS = {role: f"compat-{role.lower()}-key" for role in ("Administrator", "Owner", "Maintainer", "User")}


@contextmanager
def _serving(*options: str) -> Iterator[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    keys = [option for role, key in KEYS.items() for option in ("--api-key", f"{key}:{role}")]
    command = [sys.executable, "-m", "aurora_async", "serve", "--port", "0", "--workers", "2", *keys, *options]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    ) as process:
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
    with _serving() as url:
        yield url


@pytest.fixture
def environment(base_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """AURORAX_BASE_URL names the service, so that code which names no server asks it."""
    monkeypatch.setenv("AURORAX_BASE_URL", base_url)
    monkeypatch.delenv("AURORAX_API_KEY", raising=False)
    _module_form.aurorax.cache_clear()
    yield base_url
    _module_form.aurorax.cache_clear()


@pytest.fixture
def aurorax(environment: str) -> pyaurorax.PyAuroraX:
    """The object, as a notebook makes it."""
    return pyaurorax.PyAuroraX()


@pytest.fixture
def keys() -> dict[str, str]:
    """The API keys that the services let in, by role."""
    return KEYS
