"""`conjunctions`, `ephemeris` and `data-products`: making searches, and everything about requests made before."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from aurora_async.cli.client import ask, searches_of
from aurora_async.cli.examples import EXAMPLES
from aurora_async.cli.exits import Common, run
from aurora_async.cli.fetch import fetch_options
from aurora_async.cli.listing import Column, Listing, note, print_fields, print_json, print_text
from aurora_async.cli.options import (
    EVENTS,
    FILE,
    JSON,
    Number,
    Section,
    WholeNumber,
    common_options,
    confirm,
    json_option,
    listing_options,
    yes_option,
)

if TYPE_CHECKING:
    from aurora_async.aurorax import AuroraX
    from aurora_async.aurorax.models import Query
    from aurora_async.engine import RequestStatus
    from aurora_async.transfer import Format
    from aurora_async.transfer.fetch import Exists

__all__ = ["conjunctions", "data_products", "ephemeris"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_FORMATS = ("json", "jsonl", "csv", "parquet")
_FORMAT_HELP = (
    "json: one sorted list, byte for byte as aurorax-cli writes it. jsonl: one record a line. "
    "csv, parquet: tables (parquet needs the extra of that name).  [default: what --out ends in, or json]"
)
_OUT_HELP = (
    "File to write, a folder to write into, or - for stdout. An existing file is replaced, as aurorax-cli does, but "
    "only when the new one is whole.  [default: <request id>_data.json here]"
)


class _Window(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3
    """A length of time, or `auto`."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        from aurora_async.aurorax.plans import parse_window
        from aurora_async.engine.split import check_window
        from aurora_async.errors import InvalidInput

        try:
            window = parse_window(value)
            return window if window == "auto" else check_window(window)
        except InvalidInput as error:
            self.fail(error.reason, param, ctx)


_DEADLINE = click.option(
    "--deadline", "deadline_s", type=Number(min=0, min_open=True), metavar="SECONDS",
    help="Give up after this long; the request lives on at the server, windows do not.  [default: never]",
)  # fmt: skip
_EVENTS = click.option(
    "--events", type=EVENTS, metavar="FILE",
    help="Append what happens to this file, as JSON Lines. - is stdout, which then has nothing else.",
)  # fmt: skip
_WINDOW = click.option(
    "--window", type=_Window(), metavar="LENGTH",
    help="Search in windows of at most this length (1d, 12h, 1w), several at a time, and merge what they give; auto "
    "chooses one.  [default: windows only for ephemeris of more than 31 days, which the service does not take]",
)  # fmt: skip
_REQUEST = click.argument("request_id", metavar="REQUEST_ID")
_QUERY = click.argument("query", type=FILE)
_LOG_COLUMNS = (Column("timestamp"), Column("level"), Column("summary", fold_at=24))


def _output_options(function: FunctionT) -> FunctionT:
    for option in (
        _EVENTS,
        _DEADLINE,
        click.option("--no-clobber", is_flag=True, help="Fail instead of replacing an existing file."),
        click.option("--response-format", type=JSON, metavar="JSON",
                     help="Only these keys of the records; see template --response-format. @FILE reads a file."),
        click.option("--format", type=click.Choice(_FORMATS), help=_FORMAT_HELP),
        click.option("--out", "-o", type=FILE, metavar="FILE", default=None, help=_OUT_HELP),
    ):  # fmt: skip
        function = option(function)
    return function


def _format_of(out: str | None, format: Format | None) -> Format:
    """Return the format of a file: as was typed, or as its name says, which must not say something else."""
    path = Path(out or "")
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in _FORMATS or str(out).endswith("/") or path.is_dir():
        return format or "json"
    if format not in (None, suffix):
        raise click.UsageError(f"{out} is not a name for --format {format}; leave one of them out, or change it")
    return cast("Format", suffix)


def _query(query_file: str, kind: str) -> Query:
    """Read a query before anything is asked: what is wrong with it is said without a server."""
    from aurora_async.aurorax.wire import KINDS
    from aurora_async.cli.queryfile import read_query_file

    return run(read_query_file(query_file, KINDS[kind]))


def _print_status(status: RequestStatus) -> None:
    from aurora_async.display import numbers

    seconds, size = status.duration_s, status.result_bytes
    print_fields(
        {
            "request": status.request_id,
            "phase": status.phase.value,
            **({"reason": status.reason} if status.reason else {}),
            "requested (UTC)": status.requested,
            "completed (UTC)": status.completed,
            "took": None if seconds is None else numbers.duration(seconds),
            "records": None if status.records is None else numbers.count(status.records),
            "size": None if size is None else numbers.size(size),
        }.items()
    )


def _print_status_json(status: RequestStatus) -> None:
    import attrs

    document = attrs.asdict(status, filter=attrs.filters.exclude("raw", "logs", "wait_hint_s"))
    print_json(document | {"phase": status.phase.value, "duration_s": status.duration_s})


def _section(kind: str, short_help: str, *headings: tuple[str, tuple[str, ...]]) -> Section:
    """Make the section of a kind of search, with the commands that all kinds have."""
    count = ("count",) if kind == "conjunctions" else ()
    common = {
        "Searching": ("search", "submit", "describe", *count, "template"),
        "Requests made before": ("status", "logs", "query", "wait", "get-data", "resubmit", "cancel", "delete-data"),
    }

    @click.group(
        kind.replace("_", "-"),
        cls=Section,
        headings=common | dict(headings),
        short_help=short_help,
        help=short_help,
    )
    @common_options()
    def section() -> None: ...

    _add_searching(section, kind)
    _add_requests(section, kind)
    return section


def _add_searching(section: Section, kind: str) -> None:
    example = EXAMPLES[kind].replace("\n", "\n        ")

    @section.command("search", short_help="Make the search that a query file describes.", help=f"""
        Make the search that QUERY, a JSON file (or - for stdin), describes, and write its records to a file.

        The path of the file is the one line on stdout; progress goes to stderr. Ctrl-C cancels the request at the
        server too.

        \b
        A query:
        {example}
        """)  # fmt: skip
    @_QUERY
    @_WINDOW
    @_output_options
    @common_options()
    @click.pass_obj
    def search(
        common: Common, query: str, out: str | None, format: Format | None, no_clobber: bool,
        deadline_s: float | None, response_format: Any, events: str | None, window: Any,
    ) -> None:  # fmt: skip
        from aurora_async.cli.search import Output, search

        output = Output(out, _format_of(out, format), no_clobber, deadline_s, response_format, events)
        search(common, kind, query, window, output)

    @section.command("submit", short_help="Submit a query and print the request's identifier.")
    @_QUERY
    @common_options()
    @click.pass_obj
    def submit(common: Common, query: str) -> None:
        """Submit QUERY, a JSON file (or - for stdin), print the identifier of the request, and wait for nothing."""
        question = _query(query, kind)
        click.echo(ask(common, lambda client: searches_of(client, kind).submit(question)).request_id)

    @section.command("describe", short_help="Say in words what a query file asks for.")
    @_QUERY
    @common_options()
    @click.pass_obj
    def describe(common: Common, query: str) -> None:
        """Print the server's description of QUERY, a JSON file (or - for stdin). Nothing is searched."""
        question = _query(query, kind)
        print_text(ask(common, lambda client: searches_of(client, kind).describe(question)))

    @section.command("template", short_help="Print a query to begin with.")
    @click.option("--response-format", is_flag=True, help="A response format instead: all keys that records can have.")
    @common_options(service=False)
    def template(response_format: bool) -> None:
        """Print a query that finds something, to be changed and given to search.

        With --response-format, print the keys that records can have, each with true; remove what is not wanted.
        """
        if not response_format:
            print_json(json.loads(EXAMPLES[kind]))
            return
        from aurora_async.aurorax.formats import response_format as keys

        print_json(keys(kind))


def _add_requests(section: Section, kind: str) -> None:
    @section.command("status", short_help="Say where a request stands.")
    @_REQUEST
    @json_option
    @common_options()
    @click.pass_obj
    def status(common: Common, request_id: str, as_json: bool) -> None:
        """Say where a request stands: its phase, when it was made, how large its result is."""
        found = ask(common, lambda client: searches_of(client, kind).status(request_id))
        (_print_status_json if as_json else _print_status)(found)

    @section.command("logs", short_help="Show what the server wrote down about a request.")
    @_REQUEST
    @click.option("--level", type=click.Choice(["debug", "info", "warn", "error"]), help="Only lines of this level.")
    @listing_options(_LOG_COLUMNS)
    @common_options()
    @click.pass_obj
    def logs(common: Common, request_id: str, level: Any, listing: Listing) -> None:
        """Show what the server wrote down about a request, in order."""
        found = ask(common, lambda client: searches_of(client, kind).logs(request_id, level=level))
        such = "" if level is None else f" of the level {level}; without --level, all are shown"
        listing.print(common, found, empty=f"request {request_id} has no log lines{such}")

    @section.command("query", short_help="Print the query that a request asks.")
    @_REQUEST
    @common_options()
    @click.pass_obj
    def query(common: Common, request_id: str) -> None:
        """Print the query that a request asks, as JSON that search takes."""
        from aurora_async.aurorax.wire import query_document

        print_json(query_document(ask(common, lambda client: searches_of(client, kind).query(request_id))))

    @section.command("wait", short_help="Wait until a request is over.")
    @_REQUEST
    @_DEADLINE
    @_EVENTS
    @json_option
    @common_options()
    @click.pass_obj
    def wait(
        common: Common, request_id: str, deadline_s: float | None, as_json: bool, events: str | None
    ) -> None:  # fmt: skip
        """Wait until the result of a request is ready, and print its status; nothing is fetched.

        Ctrl-C ends the waiting and leaves the request alone.
        """
        from aurora_async.cli.search import wait

        found = wait(common, kind, request_id, deadline_s, events)
        if events != "-":
            (_print_status_json if as_json else _print_status)(found)

    @section.command("get-data", short_help="Fetch the result of a request made before.")
    @_REQUEST
    @_output_options
    @common_options()
    @click.pass_obj
    def get_data(
        common: Common, request_id: str, out: str | None, format: Format | None, no_clobber: bool,
        deadline_s: float | None, response_format: Any, events: str | None,
    ) -> None:  # fmt: skip
        """Fetch the result of a request made before, here or anywhere, waiting until it is ready."""
        from aurora_async.cli.search import Output, get_data

        output = Output(out, _format_of(out, format), no_clobber, deadline_s, response_format, events)
        get_data(common, kind, request_id, output)

    @section.command("resubmit", short_help="Make a search once more.")
    @_REQUEST
    @common_options()
    @click.pass_obj
    def resubmit(common: Common, request_id: str) -> None:
        """Submit the query of a request once more, and print the new identifier."""
        click.echo(ask(common, lambda client: searches_of(client, kind).resubmit(request_id)).request_id)

    @section.command("cancel", short_help="Give up on a request.")
    @_REQUEST
    @common_options()
    @click.pass_obj
    def cancel(common: Common, request_id: str) -> None:
        """Ask the server to give up on a request; one that is over is left as it is, with its result."""

        async def work(client: AuroraX) -> RequestStatus:
            await searches_of(client, kind).cancel(request_id)
            return await searches_of(client, kind).status(request_id)

        phase = ask(common, work).phase.value
        note(
            common,
            f"request {request_id} is {phase}" if phase != "running" else f"request {request_id} is told to stop",
        )

    @section.command("delete-data", short_help="Delete the stored result of a request.")
    @_REQUEST
    @yes_option
    @common_options()
    @click.pass_obj
    def delete_data(common: Common, request_id: str, yes: bool) -> None:
        """Delete the stored result of a request; resubmit makes the search again."""
        confirm(f"Delete the result of request {request_id}?", yes=yes)
        ask(common, lambda client: searches_of(client, kind).delete_result(request_id))
        note(common, f"the result of request {request_id} is deleted")


_RECORDS = ("Records of a data source (for its maintainers)", ("upload", "delete"))

conjunctions = _section(
    "conjunctions",
    "When footprints came close: spacecraft, imagers, events.",
    ("Results elsewhere", ("links", "swarmaurora")),
)
ephemeris = _section(
    "ephemeris",
    "Positions and footprints, minute by minute.",
    (_RECORDS[0], (*_RECORDS[1], "delete-jobs")),
)
data_products = _section("data_products", "Keograms, montages, movies and plots.", ("Files", ("get-files",)), _RECORDS)


# Conjunctions only --------------------------------------------------------------------------------------------------


@conjunctions.command("count", short_help="Count the combinations that a query expands to.")
@_QUERY
@common_options()
@click.pass_obj
def _count(common: Common, query: str) -> None:
    """Print to how many combinations of data sources QUERY expands: the effort of the search."""
    question: Any = _query(query, "conjunctions")
    click.echo(ask(common, lambda client: client.conjunctions.count_combinations(question)))


@conjunctions.command("links", short_help="Print the pages that show a request's result.")
@_REQUEST
@json_option
@common_options(service=False)
def _links(request_id: str, as_json: bool) -> None:
    """Print the addresses of the pages that show the result of a request."""
    from aurora_async.aurorax import links

    pages = {
        "aurorax": links.page_url(request_id),
        "expert": links.page_url(request_id, expert=True),
        "swarm_aurora": links.swarmaurora_url(request_id),
    }
    if as_json:
        print_json(pages)
    else:
        print_fields(pages.items())


@conjunctions.group("swarmaurora", cls=Section, short_help="Show a result at Swarm-Aurora.",
                    headings={"Commands": ("link", "import")})  # fmt: skip
@common_options()
def _swarmaurora() -> None:
    """Show the result of a request at swarm-aurora.com."""


@_swarmaurora.command("link", short_help="Print the page's address.")
@_REQUEST
@click.option("--open", "in_browser", is_flag=True, help="Open it in a browser, too.")
@common_options(service=False)
def _swarmaurora_link(request_id: str, in_browser: bool) -> None:
    """Print the address of the page that shows the result of a request."""
    from aurora_async.aurorax.links import swarmaurora_url

    url = swarmaurora_url(request_id)
    click.echo(url)
    if in_browser:
        click.launch(url)


@_swarmaurora.command("import", short_help="Save the custom import file.")
@_REQUEST
@click.option("--out", "-o", "target", type=click.Path(path_type=Path), default=Path(), metavar="FILE",
              help="File, or folder.  [default: swarmaurora_custom_import_<request id>.json here]")  # fmt: skip
@common_options()
@click.pass_obj
def _swarmaurora_import(common: Common, request_id: str, target: Path) -> None:
    """Save what Swarm-Aurora imports of a result, and print the path of the file. Your key is not sent there."""
    click.echo(ask(common, lambda client: client.conjunctions.save_swarmaurora_import(request_id, target)))


# Records ------------------------------------------------------------------------------------------------------------

_SOURCE = click.argument("source", type=WholeNumber(min=0), metavar="SOURCE")
_RANGE = (
    click.option("--end", metavar="TIME", help="Last moment (UTC), inclusive; may be partial."),
    click.option("--start", metavar="TIME", help="First moment (UTC): 2020-01-01T00:00, or partial: 2020-01."),
)


def _range_options(function: Callable[..., Any]) -> Any:
    """Add START and END, which may also be typed as options."""

    @wraps(function)
    def command(*args: Any, span: tuple[str, ...], start: str | None, end: str | None, **rest: Any) -> Any:
        if span:
            if len(span) != 2 or start is not None or end is not None:
                raise click.UsageError("say a range once, as START END or with --start and --end")
            start, end = span
        return function(*args, start=start, end=end, **rest)

    decorated: Any = command
    for parameter in (*_RANGE, click.argument("span", nargs=-1, metavar="[START END]")):
        decorated = parameter(decorated)
    return decorated


def _add_upload(section: Section, kind: str) -> None:
    @section.command("upload", short_help="Load records from a file.")
    @_SOURCE
    @click.argument("file", type=FILE)
    @click.option("--chunk-size", type=WholeNumber(min=1), default=500, show_default=True, metavar="N",
                  help="Records in one exchange.")  # fmt: skip
    @click.option("--at-once", type=WholeNumber(min=1), default=4, show_default=True, metavar="N",
                  help="Most exchanges at one moment.")  # fmt: skip
    @click.option("--no-validate", is_flag=True, help="Do not compare metadata with the schema of the data source.")
    @common_options()
    @click.pass_obj
    def upload(common: Common, source: int, file: str, chunk_size: int, at_once: int, no_validate: bool) -> None:
        """Load the records in FILE (or - for stdin) into the data source SOURCE, the number of one.

        FILE is a JSON list, as search writes it, or has one JSON record a line. A record replaces the one with its
        identity, so an upload that failed may be made again.
        """
        from aurora_async.cli.upload import upload

        upload(common, kind, source, file, chunk_size=chunk_size, at_once=at_once, validate=not no_validate)


_add_upload(ephemeris, "ephemeris")
_add_upload(data_products, "data_products")


@ephemeris.command("delete", short_help="Delete the records of a time range.")
@_SOURCE
@_range_options
@yes_option
@common_options()
@click.pass_obj
def _delete_ephemeris(common: Common, source: int, start: str | None, end: str | None, yes: bool) -> None:
    """Delete the ephemeris of the data source SOURCE from START to END; the server does it later."""
    if start is None or end is None:
        raise click.UsageError("say which records with START END, or with --start and --end")
    confirm(f"Delete the ephemeris of data source {source} from {start} to {end}?", yes=yes)
    ask(common, lambda client: client.ephemeris.delete(source, start, end))
    note(common, "the server has accepted the deletion; delete-jobs shows how far it is")


@ephemeris.command("delete-jobs", short_help="Show the deletions of the last hour.")
@_SOURCE
@click.argument("job", required=False)
@json_option
@common_options()
@click.pass_obj
def _delete_jobs(common: Common, source: int, job: str | None, as_json: bool) -> None:
    """Show the deletions of the last hour for the data source SOURCE, or what is known of one of them, JOB."""
    lines = ask(
        common,
        lambda client: (
            client.ephemeris.delete_jobs(source) if job is None else client.ephemeris.delete_job(source, job)
        ),
    )
    if as_json:
        print_json(lines)
    elif lines:
        click.echo("\n".join(lines))
    else:
        note(common, f"no ephemeris of data source {source} was deleted within the last hour")


@data_products.command("get-files", short_help="Fetch the files that records point to.")
@click.argument("records", metavar="RECORDS")
@fetch_options
@common_options()
@click.pass_obj
def _get_files(
    common: Common, records: str, folder: Path, exists: Exists, jobs: int, events: str | None
) -> None:  # fmt: skip
    """Fetch the keograms, movies and plots that RECORDS point to.

    RECORDS is a file of data products, as search writes it (JSON, or one record a line; - is stdin), or the identifier
    of a request. Below DIR, each file goes to program/platform/instrument type/date.

    Given again, the command fetches what is missing, and goes on where it stopped.
    """
    from aurora_async.cli.fetching import fetch_products

    fetch_products(common, records, folder=folder, exists=exists, jobs=jobs, events=events)


@data_products.command("delete", short_help="Delete records by URL, or those of a time range.")
@_SOURCE
@_range_options
@click.option("--type", "types", multiple=True, metavar="TYPE",
              help="Of the time range, only this type; may be repeated.")  # fmt: skip
@click.option("--url", "urls", multiple=True, metavar="URL", help="The record with this URL; may be repeated.")
@yes_option
@common_options()
@click.pass_obj
def _delete_data_products(
    common: Common, source: int, start: str | None, end: str | None, types: tuple[str, ...], urls: tuple[str, ...],
    yes: bool,
) -> None:  # fmt: skip
    """Delete data products of the data source SOURCE: those named by --url, or those from START to END.

    The URLs of what was deleted are printed, one a line.
    """
    if bool(urls) == (start is not None and end is not None) or (urls and (start or end or types)):
        raise click.UsageError("say which records, either with --url or with START END")
    if urls:
        confirm(f"Delete {len(urls)} data product(s) of data source {source}?", yes=yes)
        ask(common, lambda client: client.data_products.delete_urls(source, urls))
        click.echo("\n".join(urls))
        return
    assert start is not None and end is not None
    first, last = start, end
    which = " or ".join(types) or "all types"
    confirm(f"Delete the data products ({which}) of data source {source} from {start} to {end}?", yes=yes)
    deleted = ask(common, lambda client: client.data_products.delete(source, first, last, data_product_types=types))
    if deleted:
        click.echo("\n".join(deleted))
    else:
        note(common, f"data source {source} has no such data products from {start} to {end}")
