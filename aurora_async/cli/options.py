"""Options that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from aurora_async.cli.exits import Common

__all__ = ["Section", "common_options"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Section(click.Group):
    """A group of commands that, called alone, shows its help and is content; `get_data` is `get-data`, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "invoke_without_command": True, "no_args_is_help": False})

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Find a command as we write it, or as `aurorax-cli` does."""
        return super().get_command(ctx, name) or super().get_command(ctx, name.replace("_", "-"))


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
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
                     expose_value=False, callback=_remember),
        click.option("--debug", is_flag=True, help="Log what happens, and show the traceback of an error.",
                     expose_value=False, callback=_remember),
    ]  # fmt: skip
    if service:
        options = [
            click.option("--base-url", metavar="URL", expose_value=False, callback=_remember,
                         help="The server to ask.  [env: AURORAX_BASE_URL; default: https://api.aurorax.space]"),
            click.option("--api-key", metavar="KEY", expose_value=False, callback=_remember,
                         help="Your key; searching needs none.  [env: AURORAX_API_KEY]"),
            *options,
        ]  # fmt: skip

    def add(function: FunctionT) -> FunctionT:
        for option in reversed(options):
            function = option(function)
        return function

    return add
