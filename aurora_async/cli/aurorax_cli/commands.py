"""The top of `aurorax-cli`: its options, and the groups of commands below `search`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from aurora_async.cli.aurorax_cli.admin import util
from aurora_async.cli.aurorax_cli.asking import Settings, ask, fail
from aurora_async.cli.aurorax_cli.availability import availability
from aurora_async.cli.aurorax_cli.searches import search_groups
from aurora_async.cli.aurorax_cli.sources import sources
from aurora_async.cli.exits import Common
from aurora_async.errors import AuroraError, HttpError

__all__ = ["main"]

_SPEAKS_LIKE = "1.27.0"


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"aurorax-cli, version {_SPEAKS_LIKE} (as spoken by aurora-async)")
        ctx.exit()


@contextmanager
def _as_officially_told() -> Iterator[None]:
    """Tell what is typed wrong in the official program's lines: usage, hint, error; or the help of a bare group."""
    try:
        yield
    except click.UsageError as error:
        error.show()  # on stderr, unlike what goes wrong later
        raise click.exceptions.Exit(error.exit_code) from None


class _Official(click.Group):
    """The top, where the errors of all commands below it come by."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _as_officially_told():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _as_officially_told():
            return super().invoke(ctx)


@click.group(
    "aurorax-cli",
    cls=_Official,
    invoke_without_command=True,
    short_help="The official client's command line, over ours.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="Show the version this program speaks like, and exit.")  # fmt: skip
@click.option("--api-key", help="Your key; searching needs none.  [env: AURORAX_API_KEY]")
@click.option("--api-base-url", help="The server to ask.  [env: AURORAX_BASE_URL]")
@click.option("--api-timeout", type=int, metavar="SECONDS", help="Longest silence of the server, in seconds.")
@click.option("--verbose", "-v", is_flag=True, help="Accepted, and without effect, as in the official program.")
@click.option("--test-connectivity", is_flag=True, help="See whether the server answers.")
@click.pass_context
def main(
    ctx: click.Context,
    api_key: str | None,
    api_base_url: str | None,
    api_timeout: int | None,
    verbose: bool,
    test_connectivity: bool,
) -> None:
    """Everything that the official command aurorax-cli does, typed in the same way.

    It reads and prints what the official one does, errors on stdout included. Commands of aurora-async
    itself do the same and more, with progress, restarts and results in constant memory.
    """
    above = ctx.find_object(Common) or Common()
    ctx.obj = settings = Settings(
        base_url=above.base_url if api_base_url is None else api_base_url,
        api_key=above.api_key if api_key is None else api_key,
        timeout_s=api_timeout,
    )
    if ctx.invoked_subcommand is not None:
        return
    if test_connectivity:
        _test_connectivity(settings)
    else:
        click.echo("This is aurorax-cli as aurora-async speaks it.\n\nWhat it can do:  aurorax-cli --help")


def _test_connectivity(settings: Settings) -> None:
    from aurora_async.config import Retries

    def said(error: AuroraError) -> str:
        if isinstance(error, HttpError):
            return f"Error connecting to AuroraX API, got a {error.status} response"
        return f"Error connecting to AuroraX API: {error}"

    try:
        config = settings.config()
    except AuroraError as error:
        fail(said(error))
    click.echo(f"Checking connectivity to {config.base_url} ...\n")
    ask(settings, lambda client: client.request("GET", "/"), said=said, retries=Retries(attempts=1))
    click.echo("Connectivity to the AuroraX API looks good!")


@main.group("search", short_help="Everything about the search engine.")
def search() -> None:
    """Searches, data sources and availability."""


for _group in (availability, *search_groups(), sources, util):
    search.add_command(_group)
