"""The commands of `aurora-async`, as they are typed. What they do is imported when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from aurora_async.cli.exits import PROGRAM, Common, run_command
from aurora_async.cli.options import Section, common_options

__all__ = ["main", "root"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `aurora-async` and return its exit code."""
    return run_command(root, arguments)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version(PROGRAM)
    except PackageNotFoundError:  # a source tree that was never installed
        number = "(not installed)"
    click.echo(f"{PROGRAM} {number}")
    ctx.exit()


@click.group(cls=Section, context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="Show the version and exit.")  # fmt: skip
@common_options()
def root() -> None:
    """Search AuroraX: conjunctions, ephemeris and data products.

    \b
    New here? This needs no network and no account:
      aurora-async demo
    \b
    A search reads a query (JSON) and writes its records to a file:
      aurora-async conjunctions search query.json
      aurora-async ephemeris search query.json --out - | jq '.[0].epoch'
    \b
    A server of your own, for trying things out:
      aurora-async serve --port 8080
      aurora-async --base-url http://127.0.0.1:8080 conjunctions search query.json

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong input, 130 Ctrl-C.
    """


FORMAT_HELP = "json: one sorted list, byte for byte as aurorax-cli writes it. jsonl: one record a line."
OUT_HELP = (
    "File to write, a folder to write into, or - for stdout. An existing file is replaced, as aurorax-cli does, but "
    "only when the new one is whole.  [default: <request id>_data.json here]"
)


def _output_options(function: Any) -> Any:
    for option in (
        click.option("--deadline", "deadline_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                     help="Give up after this long; the request lives on at the server.  [default: never]"),
        click.option("--no-clobber", is_flag=True, help="Fail instead of replacing an existing file."),
        click.option("--format", "form", type=click.Choice(["json", "jsonl"]), default="json", show_default=True,
                     help=FORMAT_HELP),
        click.option("--out", "-o", metavar="FILE", default=None, help=OUT_HELP),
    ):  # fmt: skip
        function = option(function)
    return function


def _add_searches(kind: str, what: str, example: str) -> None:
    name = kind.replace("_", "-")

    @root.group(name, cls=Section, help=f"{what}", short_help=what)
    @common_options()
    def section() -> None: ...

    @section.command("search", short_help="Make the search that a query file describes.", help=f"""
        Make the search that QUERY, a JSON file (or - for stdin), describes, and write its records to a file.

        The path of the file is the one line on stdout; progress goes to stderr. Ctrl-C cancels the request at the
        server too.

        \b
        A query:
        {example}
        """)  # fmt: skip
    @click.argument("query")
    @_output_options
    @common_options()
    @click.pass_obj
    def search(
        common: Common, query: str, out: str | None, form: Literal["json", "jsonl"], no_clobber: bool,
        deadline_s: float | None,
    ) -> None:  # fmt: skip
        from aurora_async.cli.search import Output, search

        search(common, kind, query, Output(out, form, no_clobber, deadline_s))

    @section.command("get-data", short_help="Fetch the result of a request made before.")
    @click.argument("request_id", metavar="REQUEST_ID")
    @_output_options
    @common_options()
    @click.pass_obj
    def get_data(
        common: Common, request_id: str, out: str | None, form: Literal["json", "jsonl"], no_clobber: bool,
        deadline_s: float | None,
    ) -> None:  # fmt: skip
        """Fetch the result of a request made before, here or anywhere, waiting until it is ready."""
        from aurora_async.cli.search import Output, get_data

        get_data(common, kind, request_id, Output(out, form, no_clobber, deadline_s))

    @section.command("describe", short_help="Say in words what a query file asks for.")
    @click.argument("query")
    @common_options()
    @click.pass_obj
    def describe(common: Common, query: str) -> None:
        """Print the server's description of QUERY, a JSON file (or - for stdin). Nothing is searched."""
        from aurora_async.cli.search import describe

        describe(common, kind, query)


_add_searches(
    "conjunctions",
    "When footprints came close: spacecraft, imagers, events.",
    """\
        {"start": "2020-01-01T00:00:00", "end": "2020-01-01T06:59:59",
         "ground": [{"programs": ["themis-asi"]}],
         "space": [{"programs": ["swarm"]}],
         "conjunction_types": ["nbtrace"],
         "max_distances": {"ground1-space1": 500}}""".lstrip(),
)
_add_searches(
    "ephemeris",
    "Positions and footprints, minute by minute.",
    """\
        {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59",
         "data_sources": {"programs": ["swarm"], "platforms": ["swarma"]}}""".lstrip(),
)
_add_searches(
    "data_products",
    "Keograms, montages, movies and plots.",
    """\
        {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59",
         "data_sources": {"programs": ["trex"], "instrument_types": ["RGB ASI"]},
         "data_product_type_filters": ["keogram"]}""".lstrip(),
)


@root.command(short_help="Run a server of your own that speaks AuroraX's protocol.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where everything is kept.  [default: a temporary folder]")  # fmt: skip
@click.option("--api-key", "keys", multiple=True, metavar="KEY[:ROLE]",
              help="Let this key in, as a User or in the role given; may be repeated.")  # fmt: skip
@click.option("--workers", type=click.IntRange(0, 64), metavar="N",
              help="Worker processes; 0 computes in threads.  [default: one a core, at most 4]")  # fmt: skip
@click.option("--server-time", "server_time_s", type=click.FloatRange(0), default=0.0, metavar="SECONDS",
              help="Let every search take at least this long, as the real server's do.  [default: 0]")  # fmt: skip
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@common_options(service=False)
def serve(
    host: str, port: int, data_dir: Path | None, keys: tuple[str, ...], workers: int | None, server_time_s: float,
    until_stdin_closes: bool,
) -> None:  # fmt: skip
    """Run the local services until Ctrl-C or SIGTERM.

    Prints "listening on http://HOST:PORT" when they are ready. They speak AuroraX's protocol; positions and footprints
    are computed (SGP4, IGRF and T89c) and are not AuroraX's own.
    """
    from aurora_async.cli.serve import serve

    serve(
        host=host,
        port=port,
        data_dir=data_dir,
        keys=keys,
        workers=workers,
        server_time_s=server_time_s,
        until_stdin_closes=until_stdin_closes,
    )


@root.command(short_help="Many searches at once on this computer; needs no network.")
@click.option("--out", "-o", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("aurora-demo"),
              show_default=True, metavar="DIR",
              help="Folder for the results. It replaces those of an earlier demo, and no other files.")  # fmt: skip
@click.option("--keep/--no-keep", default=True, show_default=True,
              help="Leave the results there, or write to a temporary folder and remove it.")  # fmt: skip
@click.option("--searches", type=click.IntRange(1, 500), default=64, show_default=True, metavar="N",
              help="How many searches are made at once, 1 to 500.")  # fmt: skip
@click.option("--workers", type=click.IntRange(0, 64), metavar="N", help="As for serve.")
@click.option("--server-time", "server_time_s", type=click.FloatRange(0), default=0.0, metavar="SECONDS",
              help="As for serve.")  # fmt: skip
@common_options(service=False)
@click.pass_obj
def demo(
    common: Common, folder: Path, keep: bool, searches: int, workers: int | None, server_time_s: float
) -> None:  # fmt: skip
    """Start a local server, make many searches at once, and show what was found.

    Among them is a published one: THEMIS all-sky imagers with Swarm, 2020-01-01 00:00 to 06:59 UTC, footprints within
    500 km. It must give 49 conjunctions, or the demo has failed.
    """
    from aurora_async.cli.demo import demo

    demo(
        None if not keep else folder,
        searches=searches,
        workers=workers,
        server_time_s=server_time_s,
        quiet=common.quiet,
    )
