"""`search conjunctions`, `search ephemeris` and `search data_products`: one set of commands for each kind."""

from __future__ import annotations

import json
import re
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.aurorax_cli.asking import Settings, ask, fail, told, told_of_request
from aurora_async.cli.aurorax_cli.results import Output, deliver
from aurora_async.cli.aurorax_cli.statuses import print_logs, print_query, print_status, query_of
from aurora_async.cli.aurorax_cli.templates import template
from aurora_async.errors import AuroraError, InvalidInput, InvalidQuery, NotFound

if TYPE_CHECKING:
    from aurora_async.aurorax import AuroraX, ConjunctionSearches, Query, Searches
    from aurora_async.engine import Event, RequestStatus

__all__ = ["search_groups"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
Say = Callable[[str], None]

_WORDS = {"conjunctions": "conjunction", "ephemeris": "ephemeris", "data_products": "data product"}
_LEVELS = click.Choice(["debug", "info", "warn", "error"])
_BROWSERS = [
    "chrome", "chromium", "chromium-browser", "default", "elinks", "epiphany", "firefox", "galeon", "google-chrome",
    "grail", "kfm", "kfmclient", "konqueror", "links", "lynx", "macosx", "mosaic", "mozilla", "netscape", "opera",
    "safari", "skipstone", "w3m", "windows-default",
]  # fmt: skip
_SHORTEST_POLL_S = 0.01
_OFFICIAL_POLL_S = 1.0
"""How often the official program looks, and says so, unless told otherwise."""

_max_width = click.option("--table-max-width", "--max-width", "max_width", type=int, help="Columns of the logs table.")


def _output(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--minify", is_flag=True, help="Write the file on one line."),
        click.option("--indent", type=int, default=2, show_default=True, help="Blanks a level of the file."),
        click.option("--output-to-terminal", "to_terminal", type=click.Choice(["dict", "objects"]),
                     help="Print the records instead of writing a file."),
        click.option("--outfile", metavar="FILE", help="File to write.  [default: <request id>_data.json]"),
    ):  # fmt: skip
        function = option(function)
    return function


def search_groups() -> Iterator[click.Group]:
    """Make the three groups."""
    for kind in _WORDS:
        group = click.Group(kind, short_help=f"Make {_WORDS[kind]} searches, and look at them.")
        group.help = f"{_WORDS[kind].capitalize()} searches: made from a query file, or looked at by their identifier."
        _add_commands(group, kind)
        yield group


def _add_commands(group: click.Group, kind: str) -> None:
    @group.command("get_status", short_help="Show where a request stands.")
    @click.argument("request_uuid")
    @click.option("--show-logs", is_flag=True, help="Show what the server wrote down, too.")
    @click.option("--show-query", is_flag=True, help="Show what was asked, too.")
    @click.option("--filter-logs", "level", type=_LEVELS, help="Only log lines of this level.")
    @_max_width
    @click.pass_obj
    def get_status(
        settings: Settings, request_uuid: str, show_logs: bool, show_query: bool, level: str | None,
        max_width: int | None,
    ) -> None:  # fmt: skip
        """Show where the request REQUEST_UUID stands."""
        status = _status(settings, kind, request_uuid)
        print_status(status, settings.config().base_url)
        if show_logs:
            click.echo()
            print_logs(status.logs, level=level, max_width=max_width)
        if show_query:
            print_query(status, title=True)

    @group.command("get_logs", short_help="Show what the server wrote down about a request.")
    @click.argument("request_uuid")
    @click.option("--filter", "--filter-logs", "level", type=_LEVELS, help="Only lines of this level.")
    @click.option("--no-truncate", is_flag=True, help="Show lines of more than 1000 characters whole.")
    @_max_width
    @click.pass_obj
    def get_logs(
        settings: Settings, request_uuid: str, level: str | None, no_truncate: bool, max_width: int | None
    ) -> None:
        """Show what the server wrote down about the request REQUEST_UUID."""
        status = _status(settings, kind, request_uuid)
        print_logs(status.logs, level=level, max_width=max_width, truncated=not no_truncate)

    @group.command("get_query", short_help="Show what a request asks.")
    @click.argument("request_uuid")
    @click.pass_obj
    def get_query(settings: Settings, request_uuid: str) -> None:
        """Show what the request REQUEST_UUID asks."""
        print_query(_status(settings, kind, request_uuid), title=False)

    @group.command("get_data", short_help="Fetch the result of a request.")
    @click.argument("request_uuid")
    @_output
    @click.pass_obj
    def get_data(settings: Settings, /, request_uuid: str, **output: Any) -> None:
        """Fetch the result of the request REQUEST_UUID, which must be over."""
        ask(settings, lambda client: _get_data(client, kind, request_uuid, Output(**output)), said=_told_of_data)

    @group.command("search_resubmit", short_help="Submit the query of a request again.")
    @click.argument("request_uuid")
    @click.pass_obj
    def search_resubmit(settings: Settings, request_uuid: str) -> None:
        """Submit the query of the request REQUEST_UUID again, and show the new identifier. Waits for nothing."""
        click.echo(f"Retrieving query for request '{request_uuid}' ...")
        ask(settings, lambda client: _resubmit(client, kind, request_uuid), said=told_of_request)

    @group.command("search_template", short_help="Show a query file to be filled in.")
    @click.option("--outfile", metavar="FILE", help="File to write it to.")
    @click.option("--indent", type=int, default=2, show_default=True, help="Blanks a level.")
    def search_template(outfile: str | None, indent: int) -> None:
        """Show, or save, a query file to be filled in."""
        text = json.dumps(template(kind), indent=indent)
        if outfile is None:
            click.echo(text)
            return
        try:
            Path(outfile).write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"Error: {outfile}: {error.strerror}")
        click.echo(f"Saved template to {outfile}")

    @group.command("describe", short_help="Say in words what a query file asks.")
    @click.argument("infile")
    @click.pass_obj
    def describe(settings: Settings, infile: str) -> None:
        """Print the server's description of the query file INFILE."""
        _check_exists(infile)

        async def work(client: AuroraX) -> str:
            searches = _searches(client, kind)
            return await searches.describe(await _read(searches, kind, infile))

        click.echo(ask(settings, work))

    @group.command("search", short_help="Make the search that a query file asks.")
    @click.argument("infile")
    @click.option(
        "--poll-interval",
        "poll_interval_s",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Look that often whether it is over.  [default: soon at first, then ever more rarely]",
    )
    @_output
    @click.option("--quiet", is_flag=True, help="Do not tell what is being done.")
    @_swarm_options(kind)
    @click.pass_obj
    def search(
        settings: Settings, /, infile: str, poll_interval_s: float | None, quiet: bool, outfile: str | None,
        to_terminal: Any, indent: int, minify: bool, **swarm: Any,
    ) -> None:  # fmt: skip
        """Make the search that the query file INFILE (JSON) asks, wait for its result, and write it to a file.

        Ctrl-C cancels it at the server, too.
        """
        _check_exists(infile)
        output = Output(outfile=outfile, to_terminal=to_terminal, indent=indent, minify=minify)
        changes: dict[str, Any] = {}
        if poll_interval_s is not None:
            from aurora_async.config import Polling

            every_s = max(poll_interval_s, _SHORTEST_POLL_S)
            changes["polling"] = Polling(floor_s=every_s, ceiling_s=every_s, jitter=0)

        async def work(client: AuroraX) -> None:
            told_every_s = _OFFICIAL_POLL_S if poll_interval_s is None else 0.0
            request_id = await _search(client, kind, infile, output, quiet=quiet, told_every_s=told_every_s)
            if swarm:
                await _swarm_aurora(client.conjunctions, request_id, quiet=quiet, **swarm)

        ask(settings, work, **changes)


def _swarm_options(kind: str) -> Callable[[FunctionT], FunctionT]:
    """Add what only conjunctions can do: be shown in Swarm-Aurora."""
    options = (
        click.option("--swarmaurora-show-url", "show_url", is_flag=True,
                     help="Print the address of the page of Swarm-Aurora that shows the result."),
        click.option("--swarmaurora-open-browser", "open_page", is_flag=True, help="Open that page in a browser."),
        click.option("--swarmaurora-browser-type", "browser", type=click.Choice(_BROWSERS), default="default",
                     metavar="NAME", help="The browser to open: default, firefox, safari, …"),
        click.option("--swarmaurora-save-custom-import-file", "save_import", is_flag=True,
                     help="Save what Swarm-Aurora imports to show the result."),
    )  # fmt: skip

    def add(function: FunctionT) -> FunctionT:
        for option in reversed(options if kind == "conjunctions" else ()):
            function = option(function)
        return function

    return add


def _searches(client: AuroraX, kind: str) -> Searches[Any, Any]:
    searches: Searches[Any, Any] = getattr(client, kind)
    return searches


def _status(settings: Settings, kind: str, request_id: str) -> RequestStatus:
    return ask(settings, lambda client: _searches(client, kind).status(request_id), said=told_of_request)


def _with_time(text: str) -> None:
    click.echo(f"[{datetime.now()}] {text}")


def _check_exists(infile: str) -> None:
    if infile != "-" and not Path(infile).exists():
        fail(f"Error: infile doesn't exist ({infile})")


async def _read(searches: Searches[Any, Any], kind: str, infile: str) -> Query:
    """Read a query file as the official program does: distances of blocks that the query does not have are no error."""
    from aurora_async.cli.queryfile import read_query_text

    text = await read_query_text(infile)
    try:
        document = json.loads(text)
        query: Query = searches.read(_without_absent_pairs(document) if isinstance(document, dict) else text)
    except InvalidQuery as error:
        raise InvalidQuery(f"{infile}: {error.field}", error.reason) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(infile, f"is not JSON: {error}") from None
    return query


def _without_absent_pairs(document: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the distances of blocks that are not there, as in the template. A misspelt block is left to be refused."""
    distances = document.get("max_distances")
    if not isinstance(distances, Mapping):
        return dict(document)

    def is_absent(block: str) -> bool:
        name = _BLOCK.fullmatch(block)
        listed = name and (document.get(name[1]) or document.get(_SAME_BLOCKS.get(name[1], "")) or [])
        return name is not None and isinstance(listed, list) and int(name[2]) > len(listed)

    known = {pair: limit for pair, limit in distances.items() if not any(map(is_absent, str(pair).split("-")))}
    return {**document, "max_distances": known}


_BLOCK = re.compile(r"(ground|space|events|adhoc|custom)([1-9]\d*)")
_SAME_BLOCKS = {"adhoc": "custom", "custom": "adhoc"}


async def _search(client: AuroraX, kind: str, infile: str, output: Output, *, quiet: bool, told_every_s: float) -> str:
    say: Say = (lambda text: None) if quiet else _with_time
    searches = _searches(client, kind)
    say("Reading in query file ...")
    query = await _read(searches, kind, infile)
    say("Preparing search ...")
    say("Search object created")
    request = await searches.submit(query)
    say("Request submitted")
    say(f"Request ID: {request.request_id}")
    say(f"Request details available at: {searches.request_url(request.request_id)}")

    told = time.monotonic()

    def heard(event: Event) -> None:
        nonlocal told
        if event.kind.value != "polled" or event.status is None or event.status.phase.is_final:
            return
        if time.monotonic() - told >= told_every_s:
            told = time.monotonic()
            say("Checking for data ...")

    with client.events.subscribe(heard):
        status = await request.wait()
    say("Data is now available")
    await deliver(request, status, kind, output, _with_time)
    return request.request_id


async def _get_data(client: AuroraX, kind: str, request_id: str, output: Output) -> None:
    searches = _searches(client, kind)
    click.echo("Checking request status ...")
    status = await searches.status(request_id)
    if not status.phase.is_final:
        fail(
            "Error: Search is not done yet, not retrieving data\n\nNote: you can use the get_status command to check "
            f'if the search has completed. Try the command "aurorax-cli search {kind} get_status {request_id}"'
        )
    await deliver(searches.resume(request_id), status, kind, output, click.echo)


def _told_of_data(error: AuroraError) -> str:
    return "Error: request ID not found" if isinstance(error, NotFound) else told(error)


async def _resubmit(client: AuroraX, kind: str, request_id: str) -> None:
    searches = _searches(client, kind)
    document = query_of(await searches.status(request_id))
    if document is None:
        fail("Error resubmitting: missing query from original request ID")
    click.echo("Preparing new search ...")
    query = searches.read(_without_absent_pairs(document))
    click.echo("Submitting new search ...")
    request = await searches.submit(query)
    click.echo(f"Request has been resubmitted, new request ID is {request.detach()}")


async def _swarm_aurora(
    searches: ConjunctionSearches,
    request_id: str,
    *,
    quiet: bool,
    show_url: bool,
    open_page: bool,
    browser: str,
    save_import: bool,
) -> None:
    say: Say = (lambda text: None) if quiet else _with_time
    url = searches.swarmaurora_url(request_id)
    if save_import:
        say("Generating Swarm-Aurora custom import file ...")
        path = await searches.save_swarmaurora_import(request_id)
        say(f"Saved Swarm-Aurora custom import file to '{path}'")
    if show_url:
        _with_time(f"Swarm-Aurora URL: {url}")
    if open_page:
        say(f"Launching a browser to show this conjunction search in Swarm-Aurora (browser='{browser}') ...")
        try:
            webbrowser.get(None if browser == "default" else browser).open(url)
        except webbrowser.Error:
            fail(f"Error: there is no browser '{browser}' here; open {url}")
