"""`import aurora_async` is cheap and has no side effects."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aurora_async

ROOT = Path(aurora_async.__file__).parents[1]


def printed_by(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def after_import() -> dict[str, Any]:
    """What is there once a fresh interpreter has imported everything the package offers by name."""
    code = """
import json, logging, sys
from aurora_async import *
loggers = {name: logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("aurora_async")}
handlers = [name for name, logger in {"root": logging.root, **loggers}.items() if logger.handlers]
levels = sorted({logger.level for logger in loggers.values()})
print(json.dumps({"modules": list(sys.modules), "handlers": handlers, "levels": levels}))
"""
    found: dict[str, Any] = json.loads(printed_by(code))
    return found


def test_importing_the_package_imports_nothing_heavy(after_import: dict[str, Any]) -> None:
    """An application that only wants the client has no numpy, and does not wait for what it does not use."""
    heavy = {"numpy", "sgp4", "pandas", "pyarrow", "matplotlib", "dask", "click", "rich", "aiosqlite", "pytest"}
    assert heavy.isdisjoint(after_import["modules"])


def test_importing_the_package_imports_no_local_service(after_import: dict[str, Any]) -> None:
    """The client speaks to a server; it does not carry one about."""
    assert [name for name in after_import["modules"] if name.startswith("aurora_async.server")] == []


@pytest.mark.parametrize(
    ("code", "spared"),
    [
        ("import aurora_async, aurora_async.errors", {"asyncio", "aiohttp", "attr", "msgspec"}),
        ("from aurora_async import TimeRange, Config", {"aiohttp", "aurora_async.engine"}),
        ("from aurora_async import AuroraX", {"aurora_async.jsoc", "aurora_async.imap", "aurora_async.display"}),
        ("from aurora_async import Imap", {"aurora_async.aurorax", "aurora_async.jsoc", "aurora_async.engine.cluster"}),
        ("from aurora_async import sync", {"asyncio", "aiohttp", "aurora_async.engine"}),
        ("from aurora_async.sync import Jsoc", {"aurora_async.aurorax", "aurora_async.imap"}),
        (
            "from aurora_async.cli.commands import main",
            {"aiohttp", "rich", "aurora_async.engine", "aurora_async.transfer"},
        ),
    ],
)
def test_a_part_alone_costs_no_more_than_the_part(code: str, spared: set[str]) -> None:
    """Every run of pytest loads the plugin, every `--help` the command line, and few scripts ask two services."""
    assert spared.isdisjoint(printed_by(f"{code}\nimport sys; print(*sys.modules)").split())


@pytest.mark.parametrize("package", ["aurora_async", "aurora_async.sync"])
def test_what_type_checkers_see_is_what_there_is(package: str) -> None:
    """The names stand there twice: as imports for those who only read, and in a table for those who run."""
    path = ROOT.joinpath(*package.split("."))
    source = path / "_exports.py" if (path / "_exports.py").exists() else path / "__init__.py"
    shown = {
        alias.name: node.module
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module not in ("typing", "aurora_async._lazy")
        for alias in node.names
    }
    offered = importlib.import_module(package)
    assert offered.__all__ == sorted(shown)
    for name, module in shown.items():
        assert getattr(offered, name) is getattr(importlib.import_module(str(module)), name)


def test_importing_the_package_leaves_logging_alone(after_import: dict[str, Any]) -> None:
    """Where log lines go, and which, is the application's choice."""
    assert after_import["handlers"] == []
    assert after_import["levels"] == [0]


def test_importing_the_package_reads_no_environment() -> None:
    """A setting that is read at import cannot be changed by the program that imports."""
    code = """
import os, sys
import aiofiles, aiohttp, anyio, attrs, cattrs, msgspec  # what others read at import is theirs

read = []
class Watched(dict):
    def note(self, name):
        if "aurora_async" in sys._getframe(2).f_code.co_filename:
            read.append(name)
    def get(self, name, default=None):
        self.note(name)
        return super().get(name, default)
    def __getitem__(self, name):
        self.note(name)
        return super().__getitem__(name)
    def __contains__(self, name):
        self.note(name)
        return super().__contains__(name)
os.environ = Watched(os.environ)
from aurora_async import *
print(read)
"""
    assert printed_by(code) == "[]"


def test_every_name_in_all_exists_and_is_listed_once() -> None:
    """`from aurora_async import *` and the documentation are made from `__all__`."""
    assert aurora_async.__all__ == sorted(set(aurora_async.__all__))
    assert [name for name in aurora_async.__all__ if not hasattr(aurora_async, name)] == []
    assert set(aurora_async.__all__) <= set(dir(aurora_async))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """`hasattr` and `getattr` with a default rely on it."""
    assert not hasattr(aurora_async, "Aurora") and not hasattr(aurora_async, "_private")
    assert aurora_async.errors.AuroraError.__module__ == "aurora_async.errors"


def test_asking_for_what_is_not_offered_imports_nothing() -> None:
    """What looks a module over, as debuggers and notebooks do, must not start up the local service or a test plugin."""
    code = """
import sys, aurora_async, aurora_async.sync
before = set(sys.modules)
asked = ["server", "testing", "cli", "compat", "pytest", "aurorax.wire", "_bench"]
print([name for name in asked if hasattr(aurora_async, name) or hasattr(aurora_async.sync, name)])
print(set(sys.modules) - before)
"""
    assert printed_by(code).split("\n") == ["[]", "set()"]
