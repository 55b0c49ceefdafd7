"""The house rules on imports (DESIGN.md, section 2): data flows one way, and the heavy parts stay where they belong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import aurora_async

PACKAGE = Path(aurora_async.__file__).parent
NAME = PACKAGE.name

LAYERS = (
    ("errors", "config", "times", "processes", "database", "_lazy", "_zlib"),
    ("http",),
    ("transfer",),
    ("engine",),
    ("display",),
    ("aurorax", "srs", "jsoc", "imap"),
    ("sync", "compat", "plots"),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
SERVICES = LAYERS[5]
# The package's own `__init__` holds what applications see, so it stands above the services and below the facades.
RANK[""] = RANK["_exports"] = RANK["aurorax"]
# What the local services share with a service's client: the words and the wire, never the client.
SHARED_WITH_SERVER = ("models", "filters", "wire", "keywords", "recordset", "times", "filenames", "vocabulary", "tdb")
ABOVE_ALL = ("testing", "__main__")

# Where a module may be imported: anywhere, or (lazily) only when a function runs.
HEAVY = {
    "numpy": {"server": "anywhere", "transfer.tables": "lazily", "plots": "lazily"},
    "PIL": {"server": "lazily"},
    "av": {"server": "lazily"},
    "cdflib": {"server": "lazily"},
    "astropy": {"jsoc.times": "lazily"},
    "sgp4": {"server": "anywhere"},
    "aacgmv2": {"aurorax.geometry": "lazily", "server": "lazily"},
    "pandas": {"transfer": "lazily", "jsoc": "lazily", "imap": "lazily", "compat": "lazily"},
    "pyarrow": {"transfer": "lazily", "jsoc": "lazily", "imap": "lazily"},
    "matplotlib": {"plots": "lazily"},
    "dask": {"engine.cluster": "lazily"},
    "distributed": {"engine.cluster": "lazily"},
    "fsspec": {"engine.remote": "lazily"},
}
NEVER = ("pyaurorax", "pyucalgarysrs", "drms", "imap_data_access", "tests", "benchmarks", "shared")


@attrs.frozen
class Import:
    """One import statement's name: `target` is absolute, `lazy` if it runs only inside a function, or never."""

    line: int
    target: str
    lazy: bool


def imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[Import]:
    """Yield all imports of a module, those inside functions and under TYPE_CHECKING included."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(child.lineno, alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    above = child.level - 1 if is_package else child.level
                    parents = module.split(".")[: len(module.split(".")) - above]
                    base = ".".join([*parents, base] if base else parents)
                yield from (Import(child.lineno, f"{base}.{alias.name}", lazy) for alias in child.names)
            elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):  # no import is inside an expression
                typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from walk(child, lazy or function or typing_only)

    yield from walk(tree, False)


def wrong_lines(files: dict[str, str]) -> list[str]:
    """Return `file:line: what is wrong` for a package given as relative path → source."""
    modules = {path.removesuffix(".py").removesuffix("__init__").rstrip("/").replace("/", ".") for path in files}
    found: list[str] = []
    for path, source in sorted(files.items()):
        inside = path.removesuffix(".py").removesuffix("__init__").rstrip("/").replace("/", ".")
        is_package = path.endswith("__init__.py")
        tree = ast.parse(source)
        if is_package:
            found += [f"{path}:{line}: {reason}" for line, reason in more_than_exports(tree)]
        for one in imports(tree, f"{NAME}.{inside}".rstrip("."), is_package):
            top = one.target.partition(".")[0]
            if top == NAME:
                target = one.target.removeprefix(NAME).lstrip(".")
                while target and target not in modules:  # a name in a module, not a module
                    target = target.rpartition(".")[0]
                reason = wrong_direction(inside, target)
            else:
                reason = wrong_place(inside, top, one.lazy)
            if reason:
                found.append(f"{path}:{one.line}: {reason}")
        for number, line in enumerate(source.splitlines(), start=1):
            if "work/shared" in line:
                found.append(f"{path}:{number}: names the workshop's own files")
    return found


def wrong_direction(importer: str, target: str) -> str | None:
    """Say why `importer` may not import `target` (both inside the package, dotted, "" for its `__init__`)."""
    room, other = importer.partition(".")[0], target.partition(".")[0]
    folder, _, last = target.rpartition(".")
    if last.startswith("_") and last != "__main__" and not f"{importer}.".startswith(f"{folder}." if folder else ""):
        return f"{target} is private to {folder}"
    if room == other:
        return None
    if other == "server":
        return None if room in ("cli", "testing") else "server is for cli and testing alone"
    if room == "server":
        if other in SERVICES and target.partition(".")[2] not in SHARED_WITH_SERVER:
            return f"of a service, server may use its models and wire, not {target}"
        return None if RANK.get(other, 99) <= RANK["aurorax"] and other else f"server → {other or NAME}"
    if room in ABOVE_ALL:
        return None
    if room in SERVICES and other in SERVICES:
        return f"one service imports another: {room} → {other}"
    if room not in RANK or other not in RANK:
        return f"no layer is known for {room} → {other}"
    if RANK[room] < RANK[other] or (other == "" and RANK[room] <= RANK[""]):
        return f"points the wrong way: {room or NAME} → {other or NAME}"
    return None


def wrong_place(importer: str, top: str, lazy: bool) -> str | None:
    """Say why `importer` may not import the foreign package `top`."""
    if top in NEVER:
        return f"{top} has no place in the package"
    if top not in HEAVY:
        return None
    allowed = [how for where, how in HEAVY[top].items() if f"{importer}.".startswith(f"{where}.")]
    if not allowed:
        return f"{top} has no place in {importer}"
    return None if lazy or allowed == ["anywhere"] else f"{top} must be imported inside the function that needs it"


def more_than_exports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the statements of an `__init__` that are no docstring, import or `__all__`."""
    for number, node in enumerate(tree.body):
        docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        exports = isinstance(node, ast.Assign) and [ast.unparse(name) for name in node.targets] == ["__all__"]
        answers = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")  # for what is not there
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not (docstring or exports or answers or for_types or isinstance(node, ast.Import | ast.ImportFrom)):
            yield node.lineno, "an __init__ re-exports and does nothing else"


def test_every_import_of_the_package_points_down() -> None:
    """One import the wrong way, and the layers become a knot that nobody can take apart or test alone."""
    files = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    assert "errors.py" in files and "http/session.py" in files
    assert wrong_lines(files) == []


HOUSE = {
    "__init__.py": "",
    "errors.py": "",
    "times.py": "",
    "http/__init__.py": "",
    "http/session.py": "",
    "http/_errors.py": "",
    "engine/__init__.py": "",
    "engine/handle.py": "",
    "aurorax/__init__.py": "",
    "aurorax/client.py": "",
    "aurorax/models.py": "",
    "srs/__init__.py": "",
    "sync.py": "",
    "server/__init__.py": "",
    "server/app.py": "",
}


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("errors.py", "import os\nfrom aurora_async.http import session", "errors.py:2: points the wrong way"),
        ("times.py", "def f():\n  import aurora_async.engine.handle", "times.py:2: points the wrong way"),
        (
            "http/session.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  from aurora_async.engine import handle",
            "http/session.py:3: points the wrong way",
        ),
        ("http/session.py", "from ..engine.handle import Request", "http/session.py:1: points the wrong way"),
        ("engine/__init__.py", "from ..aurorax import client", "engine/__init__.py:1: points the wrong way"),
        ("engine/handle.py", "from aurora_async import AuroraX", "engine/handle.py:1: points the wrong way"),
        ("__init__.py", "from aurora_async import sync", "__init__.py:1: points the wrong way"),
        ("aurorax/client.py", "from aurora_async.sync import AuroraX", "aurorax/client.py:1: points the wrong way"),
        ("srs/__init__.py", "from aurora_async.aurorax import models", "srs/__init__.py:1: one service imports"),
        ("engine/handle.py", "from aurora_async.http import _errors", "engine/handle.py:1: http._errors is private"),
        ("engine/handle.py", "from aurora_async.http._errors import x", "engine/handle.py:1: http._errors is private"),
        ("aurorax/client.py", "from aurora_async.server import app", "aurorax/client.py:1: server is for cli"),
        ("sync.py", "import aurora_async.server", "sync.py:1: server is for cli and testing alone"),
        ("server/app.py", "from aurora_async.aurorax import client", "server/app.py:1: of a service, server may use"),
        ("server/app.py", "from aurora_async.aurorax import AuroraX", "server/app.py:1: of a service, server may use"),
        ("server/app.py", "from aurora_async.sync import AuroraX", "server/app.py:1: server → sync"),
        ("server/app.py", "import aurora_async", "server/app.py:1: server → aurora_async"),
        ("http/__init__.py", '"""Doc."""\nimport os\nX = 1', "http/__init__.py:3: an __init__ re-exports"),
        ("aurorax/models.py", "import numpy as np", "aurorax/models.py:1: numpy has no place in aurorax.models"),
        ("aurorax/models.py", "def f():\n  from numpy import typing", "aurorax/models.py:2: numpy has no place"),
        ("transfer/tables.py", "import pandas", "transfer/tables.py:1: pandas must be imported inside the function"),
        ("server/app.py", "import pandas", "server/app.py:1: pandas has no place in server.app"),
        ("aurorax/client.py", "import pyaurorax", "aurorax/client.py:1: pyaurorax has no place"),
        ("aurorax/client.py", "def f():\n  import drms", "aurorax/client.py:2: drms has no place"),
        ("aurorax/client.py", "DATA = '/work/shared/data'", "aurorax/client.py:1: names the workshop's own files"),
        ("rooms.py", "import aurora_async.errors", "rooms.py:1: no layer is known"),
    ],
)
def test_a_wrong_line_is_named(path: str, source: str, wrong: str) -> None:
    """A checker that has never caught anything proves nothing."""
    assert wrong_lines(HOUSE) == []
    found = wrong_lines(HOUSE | {path: source})
    assert len(found) == 1
    assert found[0].startswith(wrong)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("engine/handle.py", "from aurora_async.errors import AuroraError\nfrom ..http import session"),
        ("http/session.py", "from aurora_async.http import _errors\nfrom ._errors import ours"),
        ("server/app.py", "import numpy, sgp4\nfrom aurora_async.aurorax.models import Query"),
        ("sync.py", "from aurora_async import AuroraX"),
        ("cli/serve.py", "from aurora_async.server import app\nfrom aurora_async import sync"),
        ("testing.py", "from aurora_async.server.app import LocalService"),
        ("transfer/tables.py", "def f():\n  import pyarrow\n  import numpy"),
        ("http/__init__.py", '"""Doc."""\nfrom aurora_async.http.session import Session\n__all__ = ["Session"]'),
    ],
)
def test_a_right_line_is_left_alone(path: str, source: str) -> None:
    """A checker that cries at good code is soon switched off."""
    assert wrong_lines(HOUSE | {path: source}) == []
