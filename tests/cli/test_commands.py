"""What can be typed, and what it costs to be told so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from aurora_async.cli.commands import root
from aurora_async.cli.exits import Common

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["conjunctions"],
        ["conjunctions", "search"],
        ["ephemeris", "search"],
        ["data-products", "search"],
        ["data_products", "search"],
        ["ephemeris", "get-data"],
        ["ephemeris", "get_data"],
        ["ephemeris", "describe"],
        ["serve"],
        ["demo"],
    ],
    ids=" ".join,
)
def test_every_command_has_help_that_fits_the_terminal(command: list[str]) -> None:
    """Help that wraps is help that nobody reads."""
    result = CliRunner().invoke(root, [*command, "--help"], obj=Common(), terminal_width=80)
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("command", [[], ["conjunctions"], ["data-products"]], ids=" ".join)
def test_a_group_alone_shows_its_help(command: list[str]) -> None:
    """Nothing is wrong with looking around."""
    result = CliRunner().invoke(root, command, obj=Common())
    assert result.exit_code == 0
    assert "Commands:" in result.output


@pytest.mark.parametrize(
    ("typed", "heard"),
    [
        ("--base-url http://a conjunctions search q", "http://a"),
        ("conjunctions --base-url http://a search q", "http://a"),
        ("conjunctions search q --base-url http://a", "http://a"),
        ("--base-url http://a conjunctions search q --base-url http://b", "http://b"),
        ("conjunctions search q", None),
    ],
)
def test_shared_options_stand_before_and_after_the_command(
    typed: str, heard: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody remembers on which level an option lives; the last one wins."""
    seen = []
    monkeypatch.setattr("aurora_async.cli.search.search", lambda common, *rest: seen.append(common.base_url))
    result = CliRunner().invoke(root, typed.split(), obj=Common())
    assert (result.exit_code, seen) == (0, [heard])


def test_an_api_key_is_not_shown() -> None:
    """A traceback with local variables must not publish it."""
    assert "secret" not in repr(Common(api_key="secret"))


def test_help_imports_nothing_heavy() -> None:
    """Only our package's own `__init__` is left out: what it imports is not the command's to decide."""
    code = f"""
        import sys, types
        package = types.ModuleType("aurora_async")
        package.__path__ = [{str(ROOT / "aurora_async")!r}]
        sys.modules["aurora_async"] = package
        from aurora_async.cli import main
        code = main(["conjunctions", "search", "--help"])
        heavy = {{"aiohttp", "anyio", "cattrs", "msgspec", "numpy", "rich"}} & set(sys.modules)
        assert (code, heavy) == (0, set()), heavy
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_version() -> None:
    """`--version` is one line."""
    result = CliRunner().invoke(root, ["--version"], obj=Common())
    assert result.exit_code == 0
    assert result.output.startswith("aurora-async ")
