"""Others' programs: each in a virtual environment of its own, made once with pip from the versions pinned here.

They lie in the user's cache folder, under a name that changes with what is in them. One that cannot be had is shown as
not here; none of them is ever put into the environment that our own package runs in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["ENVIRONMENTS", "TOOLS", "cache_folder", "python_of", "tool_version", "versions"]

ENVIRONMENTS: Mapping[str, Sequence[str]] = {
    "pyaurorax": ("pyaurorax==1.27.0", "pandas==3.1.1", "pyarrow==26.0.1"),
    "drms": ("drms==0.9.0",),
    "imap-data-access": ("imap-data-access==1.3.0",),
    "json": ("orjson==3.13.0", "ijson==3.6.0"),
    "aiohttp": ("aiohttp==3.14.5", "aiofiles==25.1.0"),
    "parfive": ("parfive==2.3.1",),
    "tables": ("polars==2.1.0", "duckdb==2.0.0", "pyarrow==26.0.1", "pandas==3.1.1"),
    "asgiref": ("asgiref==3.13.0",),
    "aiosqlite": ("aiosqlite==0.22.1",),
    "matplotlib": ("matplotlib==3.11.2",),
}

TOOLS = ("curl", "wget", "aria2c")
"""Programs that are looked for on the machine."""

_DONE = "installed"


def cache_folder() -> Path:
    """Return where environments, and what takes minutes to compute, are kept from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "aurora_async-benchmarks"


def python_of(name: str, *, install: bool) -> Path | None:
    """Return the interpreter of an environment; None where it is not there, and not wanted or not to be had."""
    folder = _folder(name)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / _DONE).exists():
        return python
    if not install:
        return None
    print(f"installing {', '.join(ENVIRONMENTS[name])} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)  # one that broke off half way
    try:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *ENVIRONMENTS[name]])
    except subprocess.CalledProcessError as error:
        print(f"{name} is not to be had here: {_last_line(error.stderr)}", file=sys.stderr)
        return None
    (folder / _DONE).touch()
    return python


def versions(used: Sequence[str]) -> dict[str, str]:
    """Return the pinned version of each package, and that of each tool, among what was used."""
    found = dict[str, str]()
    for name in used:
        if name in ENVIRONMENTS:
            for requirement in ENVIRONMENTS[name]:
                package, _, version = requirement.partition("==")
                found[package] = version
        elif known := tool_version(name):
            found[name] = known
    return found


def tool_version(name: str) -> str | None:
    """Return what a program calls its version, None where it is not here."""
    if shutil.which(name) is None:
        return None
    first = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    return next((word for word in first.split() if word[:1].isdigit()), "?")


def _folder(name: str) -> Path:
    what = "\n".join([*ENVIRONMENTS[name], sys.executable, sys.version])
    return cache_folder() / f"{name}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
