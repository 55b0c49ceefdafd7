"""The front door: what README shows runs, and says what the package says."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aurora_async.cli.commands import main
from aurora_async.testing import LocalServer

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
JSOC_COMMANDS = re.findall(r"^aurora-async (jsoc .*)$", README, re.MULTILINE)
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_example_runs_and_finds_what_was_published() -> None:
    """A newcomer pastes it: it must work offline, and print the published number of conjunctions."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[0]], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 49


@pytest.mark.parametrize("number", range(1, len(BLOCKS)))
def test_every_other_example_is_python(number: int) -> None:
    """Snippets lean on the text around them, but they are at least well-formed, `await` and all."""
    indented = BLOCKS[number].replace("\n", "\n    ")
    compile(f"async def snippet():\n    {indented}\n    pass", f"README block {number}", "exec")


@pytest.mark.parametrize("command", JSOC_COMMANDS)
def test_every_command_for_jsoc_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand, with a local service in the place of JSOC."""
    monkeypatch.chdir(tmp_path)
    with LocalServer() as server:
        monkeypatch.setenv("JSOC_BASE_URL", server.base_url)
        monkeypatch.setenv("JSOC_EMAIL", server.email)
        assert main(shlex.split(command)) == 0


def test_the_first_example_of_jsoc_gives_its_twenty_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with the program that the README begins JSOC with."""
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in BLOCKS if block.startswith("from aurora_async import Jsoc\n"))
    with LocalServer() as server:
        here = block.replace(
            'Jsoc(email="me@example.com")', f'Jsoc(email="{server.email}", base_url="{server.base_url}")'
        )
        assert here != block
        indented = here.replace("\n", "\n    ")
        found: dict[str, Any] = {}
        exec(f"async def snippet():\n    {indented}\n    return done", found)
        done = asyncio.run(found["snippet"]())
    assert len(done.paths) == 20 and not done.failed
