"""What several commands share: sections, options, and the question before something is deleted."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from aurora_async.cli.exits import Common, Failed
from aurora_async.cli.listing import Column, Listing

__all__ = [
    "EVENTS",
    "FILE",
    "JSON",
    "Number",
    "Section",
    "WholeNumber",
    "common_options",
    "confirm",
    "json_option",
    "listing_options",
    "remember",
    "yes_option",
]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Section(click.Group):
    """A group of commands that, called alone, shows its help and is content; `get_data` is `get-data`, too.

    Args:
        headings: The names of all commands, under the headings they are listed below; without it, the alphabet.
        lazy: Where commands are (`module:name`) that are imported when they are needed, and what the list says of
            them: help must not import twenty modules.
    """

    def __init__(
        self,
        *args: Any,
        headings: Mapping[str, Sequence[str]] | None = None,
        lazy: Mapping[str, tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{**kwargs, "invoke_without_command": True, "no_args_is_help": False})
        self.headings = headings or {}
        self.lazy = lazy or {}

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of their headings, then those that have none."""
        return [name for names in self._headed(ctx).values() for name in names]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Find a command as we write it, or as `aurorax-cli` does."""
        spelling = name if name in self.commands else name.replace("_", "-")
        if spelling in self.lazy and spelling not in self.commands:
            module, _, attribute = self.lazy[spelling][0].partition(":")
            self.add_command(getattr(import_module(module), attribute), spelling)
        return super().get_command(ctx, spelling)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands below their headings."""
        for heading, names in self._headed(ctx).items():
            with formatter.section(heading):
                formatter.write_dl([(name, self._about(name)) for name in names])

    def _headed(self, ctx: click.Context) -> dict[str, Sequence[str]]:
        listed = {name for names in self.headings.values() for name in names}
        others = [name for name in super().list_commands(ctx) if name not in listed]
        return {**self.headings, **({"Commands": others} if others else {})}

    def _about(self, name: str) -> str:
        return self.lazy[name][1] if name in self.lazy else self.commands[name].short_help or ""


class _Json(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3
    """JSON typed as it is, or, behind an @, the file that holds it."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not isinstance(value, str):
            return value
        shown, text = repr(value), value
        if value.startswith("@"):
            shown = value[1:]
            try:
                text = Path(shown).read_text(encoding="utf-8-sig")
            except (OSError, ValueError) as error:
                self.fail(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}", param, ctx)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            self.fail(f"{shown} is not JSON: {error}", param, ctx)


class _EventsFile(click.Path):
    """A file that lines can be appended to, or - for stdout: looked at before anything else is done or printed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what cannot be written; nothing is made."""
        path = Path(value)
        if value == "-":
            return value
        if path.is_dir():
            self.fail(f"{value} is a folder", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{value} cannot be made: there is no folder {path.parent}", param, ctx)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            self.fail(f"{value} may not be written", param, ctx)
        return value


class Number(click.FloatRange):
    """A number within bounds. Its name, which refusals tell, is one that people use."""

    name = "number"


class WholeNumber(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


JSON = _Json()
# Whether it can be read is told where it is: there is more to say than that. As a type, shells complete its name.
FILE = click.Path(readable=False)
EVENTS = _EventsFile(readable=False)

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask first.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def confirm(question: str, *, yes: bool, otherwise: str = "nothing was deleted") -> None:
    """Ask before something is deleted; `--yes` has answered already. `otherwise` is what is said after a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask on: add --yes")
    if not click.confirm(question, err=True):
        raise Failed(otherwise)


def listing_options(columns: Sequence[Column], *, sort: str | None = None) -> Callable[[FunctionT], Any]:
    """Add the options of a list, and give them to the command as its `listing`; `sort` is how it comes by itself."""

    def add(function: FunctionT) -> Any:
        @wraps(function)
        def command(*args: Any, sort: str | None, reverse: bool, limit: int | None, as_json: bool, **rest: Any) -> Any:
            return function(*args, listing=Listing(columns, sort, reverse, limit, as_json), **rest)

        # click knows only its own wrappers' options.
        decorated: Any = command
        for option in (
            json_option,
            click.option("--limit", type=WholeNumber(min=0), metavar="N", help="Show only the first N."),
            click.option("--reverse", is_flag=True, help="Last one first."),
            click.option("--sort", type=click.Choice([column.name for column in columns]), metavar="COLUMN",
                         default=sort,
                         help=f"Sort by {', '.join(column.name for column in columns)}."),
        ):  # fmt: skip
            decorated = option(decorated)
        return decorated

    return add


def remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a shared option in `Common`: the callback of them all."""
    # Nearer to the end of the line wins; not given there, what stood before the command's name holds.
    if value is None or value is False:
        return
    setattr(ctx.ensure_object(Common), str(param.name), value)
    if param.name == "debug":
        logger = logging.getLogger("aurora_async")
        logger.setLevel(logging.DEBUG)
        for handler in logger.handlers:
            handler.setLevel(logging.DEBUG)


def common_options(*, service: bool = True) -> Callable[[FunctionT], FunctionT]:
    """Add the shared options; `service` ones say which server is asked."""
    options = [
        click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.",
                     expose_value=False, callback=remember),
        click.option("--debug", is_flag=True, help="Log what happens, and show the traceback of an error.",
                     expose_value=False, callback=remember),
    ]  # fmt: skip
    if service:
        options = [
            # Eager: what is wrong with an argument before it is told with a command for the same server.
            click.option("--base-url", metavar="URL", expose_value=False, callback=remember, is_eager=True,
                         help="The server to ask.  [env: AURORAX_BASE_URL; default: https://api.aurorax.space]"),
            click.option("--api-key", metavar="KEY", expose_value=False, callback=remember,
                         help="Your key; searching needs none.  [env: AURORAX_API_KEY]"),
            click.option("--login", metavar="EMAIL", expose_value=False, callback=remember,
                         help="Log in with a password, which is asked for, instead of a key."),
            *options,
        ]  # fmt: skip

    def add(function: FunctionT) -> FunctionT:
        for option in reversed(options):
            function = option(function)
        return function

    return add
