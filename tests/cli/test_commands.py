"""What can be typed, and what it costs to be told so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aurora_async.cli.commands import main, root
from aurora_async.cli.exits import Common
from aurora_async.cli.options import Section

ROOT = Path(__file__).parents[2]


def commands(command: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the names of all commands, but those of the official client's command line, whose texts are its own."""
    yield path
    if isinstance(command, click.Group) and path != ("aurorax-cli",):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


def command_of(path: tuple[str, ...]) -> click.Command:
    """Return the command with these names."""
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), name)
        assert below is not None
        command = below
    return command


ALL = list(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_that_fits_the_terminal(path: tuple[str, ...]) -> None:
    """Help that wraps is help that nobody reads."""
    result = CliRunner().invoke(root, [*path, "--help"], obj=Common(), terminal_width=80)
    assert result.exit_code == 0
    assert "usage:" in result.output.lower()  # that of the official IMAP client begins small
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_every_option_says_what_it_does(path: tuple[str, ...]) -> None:
    """In one sentence in the list, at length in its own help, and option by option."""
    command = command_of(path)
    assert command.help
    if path:
        assert command.short_help and command.short_help.endswith((".", ")"))
        assert len(path[-1]) + len(command.short_help) < 76
    silent = [
        option.opts
        for option in command.params
        if isinstance(option, click.Option) and not (option.help or option.hidden)
    ]
    assert silent == []


def test_the_list_says_of_a_command_what_it_says_itself() -> None:
    """The list is made without importing the commands, so both are written down."""
    assert {name: about for name, (_, about) in root.lazy.items()} == {
        name: command_of((name,)).short_help for name in root.lazy
    }


def test_every_command_stands_under_a_heading() -> None:
    """What is under none is listed last, and looks forgotten."""
    for path in ALL:
        command = command_of(path)
        if isinstance(command, Section) and command.headings:
            names = [name for names in command.headings.values() for name in names]
            assert sorted(names) == sorted(set(command.commands) | set(command.lazy))


@pytest.mark.parametrize("typed", [["data_products", "get_data"], ["time_zones"]], ids=" ".join)
def test_names_may_be_written_with_underscores(typed: list[str]) -> None:
    """As `aurorax-cli` writes them."""
    assert CliRunner().invoke(root, [*typed, "--help"], obj=Common()).exit_code == 0


@pytest.mark.parametrize("command", [["availability"], ["requests"], ["sources"]], ids=" ".join)
def test_a_group_alone_shows_its_help(command: list[str]) -> None:
    """Nothing is wrong with looking around."""
    result = CliRunner().invoke(root, command, obj=Common())
    assert result.exit_code == 0
    assert "--help" in result.output


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


@pytest.mark.parametrize("typed", ["--help", "conjunctions search --help", "sources list --help", "imap query --help"])
def test_help_imports_nothing_heavy(typed: str) -> None:
    """Only our package's own `__init__` is left out: what it imports is not the command's to decide."""
    code = f"""
        import sys, types
        package = types.ModuleType("aurora_async")
        package.__path__ = [{str(ROOT / "aurora_async")!r}]
        sys.modules["aurora_async"] = package
        from aurora_async.cli import main
        code = main({typed.split()!r})
        heavy = {{"aiohttp", "anyio", "cattrs", "msgspec", "numpy", "rich"}} & set(sys.modules)
        assert (code, heavy) == (0, set()), heavy
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_the_list_of_commands_imports_none_of_them() -> None:
    """Twenty commands must not make `--help` slower than two did."""
    code = """
        import sys
        from aurora_async.cli import main
        code = main(["--help"])
        names = ("searches", "sources", "availability", "administration", "utilities", "aurorax_cli")
        imported = [name for name in names if f"aurora_async.cli.{name}" in sys.modules]
        assert (code, imported) == (0, []), imported
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_command_that_cannot_be_imported_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken corner does not take the program along; who enters it is told in one line."""
    monkeypatch.setitem(root.lazy, "accounts", ("aurora_async.cli.nowhere:accounts", "Broken."))
    monkeypatch.delitem(root.commands, "accounts", raising=False)
    assert main(["--help"]) == 0
    assert main(["conjunctions", "template"]) == 0
    capsys.readouterr()
    assert main(["accounts"]) == 1
    assert capsys.readouterr().err.startswith("aurora-async: error: unexpected ModuleNotFoundError: ")


def test_the_official_command_line_gets_its_arguments_untouched(capsys: pytest.CaptureFixture[str]) -> None:
    """Options of its own included, such as one that is a command of ours elsewhere."""
    assert main(["aurorax-cli", "--version"]) == 0
    assert capsys.readouterr().out.startswith("aurorax-cli, version ")
    assert main(["aurorax-cli", "search", "conjunctions", "search_template", "--indent", "1"]) == 0
    assert capsys.readouterr().out.lstrip().startswith("{\n ")


def test_version() -> None:
    """`--version` is one line."""
    result = CliRunner().invoke(root, ["--version"], obj=Common())
    assert result.exit_code == 0
    assert result.output.startswith("aurora-async ")
