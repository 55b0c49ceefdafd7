"""The front door: what README shows runs, and says what the package says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
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
