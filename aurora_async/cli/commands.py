"""The commands of `aurora-async`, as they are typed. What they do is imported when it is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from aurora_async.cli.exits import PROGRAM, Common, run_command
from aurora_async.cli.options import Number, Section, WholeNumber, common_options

__all__ = ["COMPLETE_VARIABLE", "main", "root"]

COMPLETE_VARIABLE = "_AURORA_ASYNC_COMPLETE"
"""What a shell sets when it asks how a line may go on."""

_HEADINGS = {
    "Searches": ("conjunctions", "ephemeris", "data-products", "batch"),
    "What there is": ("sources", "availability"),
    "The Sun and the heliosphere": ("jsoc", "imap"),
    "Files": ("fetch",),
    "The server": ("check", "request", "time-zones", "to-utc", "requests", "accounts"),
    "This computer": ("demo", "serve", "completion", "aurorax-cli", "imap-data-access"),
}
_LAZY = {
    "conjunctions": ("searches:conjunctions", "When footprints came close: spacecraft, imagers, events."),
    "ephemeris": ("searches:ephemeris", "Positions and footprints, minute by minute."),
    "data-products": ("searches:data_products", "Keograms, montages, movies and plots."),
    "batch": ("batch:batch", "Many searches in a folder, stopped and gone on with at any moment."),
    "sources": ("sources:sources", "Spacecraft, instruments and event lists."),
    "availability": ("availability:availability", "How many records there are, day by day."),
    "jsoc": ("jsoc:jsoc", "Series, records and files of JSOC (HMI, AIA, MDI, IRIS)."),
    "imap": ("imap:imap", "Files of the IMAP mission: query, download, upload, sync."),
    "fetch": ("fetch:fetch", "Fetch files from URLs, and go on where it stopped."),
    "check": ("utilities:check", "See whether the server answers, and your key is accepted."),
    "request": ("utilities:request", "Send any request and print the answer."),
    "time-zones": ("utilities:time_zones", "List the time zones that to-utc knows."),
    "to-utc": ("utilities:to_utc", "Convert a local time to UTC."),
    "requests": ("administration:requests", "Everybody's search requests (administrators)."),
    "accounts": ("administration:accounts", "List the accounts (administrators)."),
    "completion": ("utilities:completion", "Print what makes your shell complete commands."),
    "aurorax-cli": ("aurorax_cli:main", "The official client's command line, over ours."),
    "imap-data-access": ("imap_data_access:main", "The official IMAP client's command line, over ours."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `aurora-async` and return its exit code."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, PROGRAM, COMPLETE_VARIABLE, instruction)
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


@click.group(
    cls=Section,
    headings=_HEADINGS,
    lazy={name: (f"aurora_async.cli.{where}", about) for name, (where, about) in _LAZY.items()},
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="Show the version and exit.")  # fmt: skip
@common_options()
def root() -> None:
    """Search AuroraX: conjunctions, ephemeris and data products; look up and load its data. Query and export JSOC's.
    Query and fetch IMAP's.

    \b
    New here? This needs no network and no account:
      aurora-async demo
    \b
    A search reads a query (JSON) and writes its records to a file:
      aurora-async conjunctions template > query.json
      aurora-async conjunctions search query.json
      aurora-async ephemeris search query.json --out - | jq '.[0].epoch'
      aurora-async sources list --program swarm
    \b
    Images of the Sun are records of a series, which are exported to files:
      aurora-async jsoc query 'hmi.v_45s[2013.07.03_08:42_TAI/3m]' -k T_OBS
      aurora-async jsoc export 'hmi.v_45s[2013.07.03_08:42_TAI/3m]' --dir files
    \b
    Files of the IMAP mission are fetched, and kept up to date:
      aurora-async imap query --instrument mag --data-level l2
      aurora-async imap sync --instrument mag --data-level l2 --data-dir files
    \b
    A server of your own, for trying things out:
      aurora-async serve --port 8080
      aurora-async --base-url http://127.0.0.1:8080 conjunctions search query.json

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong input, 130 Ctrl-C; of a
    batch also 3, some of its searches failed, and 4, all of them did.
    """


@root.command(short_help="Run a server of your own that speaks the protocols of all of them.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=WholeNumber(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where everything is kept.  [default: a temporary folder]")  # fmt: skip
@click.option("--api-key", "keys", multiple=True, metavar="KEY[:ROLE]",
              help="Let this key in, as a User or in the role given; may be repeated.")  # fmt: skip
@click.option("--account", "people", multiple=True, metavar="EMAIL:PASSWORD[:ROLE]",
              help="Let this person log in, as a User or in the role given; may be repeated.")  # fmt: skip
@click.option(
    "--maintenance",
    is_flag=True,
    help="Refuse changes of data sources and records, with status 503, until it is switched off.",
)
@click.option("--workers", type=WholeNumber(0, 64), metavar="N",
              help="Worker processes; 0 computes in threads.  [default: one a core, at most 4]")  # fmt: skip
@click.option("--server-time", "server_time_s", type=Number(0), default=0.0, metavar="SECONDS",
              help="Let every search take at least this long, as the real server's do.  [default: 0]")  # fmt: skip
@click.option("--faults", "faults_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Let things go wrong by the rules in this TOML or JSON file.")  # fmt: skip
@click.option("--product-urls", type=click.Choice(["published", "local"]), default="published", show_default=True,
              help="Where data products' URLs lead: to the real files, or to made-up ones here.")  # fmt: skip
@click.option("--jsoc-address", "jsoc_addresses", multiple=True, metavar="EMAIL",
              help="An address that may export; may be repeated.  [default: demo@example.com]")  # fmt: skip
@click.option("--jsoc-export-time", "jsoc_export_s", type=Number(0), default=0.5, show_default=True, metavar="SECONDS",
              help="How long an export takes that is not answered at once.")  # fmt: skip
@click.option("--jsoc-export-life", "jsoc_export_life_s", type=Number(0, min_open=True), metavar="SECONDS",
              help="How long the files of an export are kept.  [default: 7 days]")  # fmt: skip
@click.option("--jsoc-max-pending", type=WholeNumber(1), metavar="N",
              help="Refuse (status 7) more pending exports of an address than this.")  # fmt: skip
@click.option("--jsoc-max-pending-per-ip", type=WholeNumber(1), metavar="N",
              help="The same for the exports that come from one computer; ten at JSOC.")  # fmt: skip
@click.option("--jsoc-max-mb", type=WholeNumber(0), default=100_000, show_default=True, metavar="MB",
              help="Refuse (status 3) exports of more than this, by the sizes of the real files.")  # fmt: skip
@click.option("--jsoc-offline", multiple=True, metavar="SERIES",
              help="Refuse (status 25) exports of this series, as of files on tape; may be repeated.")  # fmt: skip
@click.option("--imap-key", "imap_keys", multiple=True, metavar="KEY[:SCOPE]",
              help="Let this key in at IMAP, to do everything or with the scope given (full, read); may be repeated."
              "  [default: imap-demo-key, imap-read-key:read]")  # fmt: skip
@click.option("--imap-token", "imap_tokens", multiple=True, metavar="TOKEN",
              help="Let this access token in at IMAP; may be repeated.  [default: imap-demo-token]")  # fmt: skip
@click.option("--imap-open", is_flag=True, help="Let everybody see and do everything at IMAP, without a key.")
@click.option("--imap-production-rules", is_flag=True, help="Take uploads to IMAP below /api-key alone.")
@click.option("--imap-objects-port", type=WholeNumber(0, 65535), default=0, metavar="PORT",
              help="Port of the object store that IMAP's files come from.  [default: a free one]")  # fmt: skip
@click.option("--imap-objects-refuse-keys/--imap-objects-take-keys", default=None,
              help="Refuse every request to the object store that carries an API key, or none."
              "  [default: all but the official client's]")  # fmt: skip
@click.option("--imap-files", "imap_files_dir", metavar="DIR",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Have the files below this folder in IMAP's archive, and what is put there later.")  # fmt: skip
@click.option("--imap-empty", is_flag=True, help="Start IMAP without the files that are published.")
@click.option("--imap-link-life", "imap_link_life_s", type=Number(0, min_open=True), metavar="SECONDS",
              help="How long a link to an object can be used.  [default: 1 day]")  # fmt: skip
@click.option("--imap-index-time", "imap_index_s", type=Number(0), default=0.2, show_default=True, metavar="SECONDS",
              help="How long after its upload a file is listed.")  # fmt: skip
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@common_options(service=False)
def serve(
    host: str, port: int, data_dir: Path | None, keys: tuple[str, ...], people: tuple[str, ...], maintenance: bool,
    workers: int | None, server_time_s: float, faults_file: Path | None, product_urls: str,
    jsoc_addresses: tuple[str, ...], jsoc_export_s: float, jsoc_export_life_s: float | None,
    jsoc_max_pending: int | None, jsoc_max_pending_per_ip: int | None, jsoc_max_mb: int,
    jsoc_offline: tuple[str, ...], imap_keys: tuple[str, ...], imap_tokens: tuple[str, ...], imap_open: bool,
    imap_production_rules: bool, imap_objects_port: int, imap_objects_refuse_keys: bool | None,
    imap_files_dir: Path | None, imap_empty: bool, imap_link_life_s: float | None, imap_index_s: float,
    until_stdin_closes: bool,
) -> None:  # fmt: skip
    """Run the local services until Ctrl-C or SIGTERM.

    Prints "listening on http://HOST:PORT" when they are ready. They speak the protocols of AuroraX, JSOC and IMAP's
    data center; positions, footprints, values, images and files are computed or made up, and are not their own.

    Reading needs no account. To try out uploads and administration as well:

    \b
      aurora-async serve --api-key demo:Administrator \\
        --account admin@localhost:demo:Administrator

    Roles are User, Maintainer, Owner and Administrator. Who has a key or logs in sees their own searches, and nobody
    else does but administrators.

    To see how a program takes it when every tenth download breaks off, write to a file, and give it to --faults:

    \b
      [[faults]]
      path = "*/data"
      every = 10
      cut_at = 0.5

    While it runs, GET, POST and DELETE at /_local/faults show, add and remove such rules.

    Exports of JSOC are made for addresses that are registered:

    \b
      aurora-async serve --jsoc-address me@example.com --jsoc-max-pending 3
      aurora-async jsoc export 'hmi.m_720s[2013.07.03_08:42_TAI/1h]' \\
        --base-url http://127.0.0.1:8080 --email me@example.com

    IMAP's base URL is the one that is printed, http://HOST:PORT/imap. Without a key there are the released files:

    
      aurora-async serve --imap-key mine --imap-files archive
      aurora-async imap query --instrument mag --api-key mine \\
        --base-url http://127.0.0.1:8080/imap
    """
    from aurora_async.cli.serve import serve

    serve(
        host=host,
        port=port,
        data_dir=data_dir,
        keys=keys,
        people=people,
        maintenance=maintenance,
        workers=workers,
        server_time_s=server_time_s,
        faults_file=faults_file,
        product_urls=product_urls,
        jsoc={
            "addresses": jsoc_addresses,
            "export_s": jsoc_export_s,
            "export_life_s": jsoc_export_life_s,
            "max_pending": jsoc_max_pending,
            "max_pending_per_ip": jsoc_max_pending_per_ip,
            "max_megabytes": jsoc_max_mb,
            "offline": jsoc_offline,
        },
        imap={
            "api_keys": imap_keys,
            "access_tokens": imap_tokens,
            "is_open": imap_open,
            "production_rules": imap_production_rules,
            "objects_port": imap_objects_port,
            "objects_refuse_keys": imap_objects_refuse_keys,
            "files_dir": imap_files_dir,
            "published": not imap_empty,
            "link_life_s": imap_link_life_s,
            "index_s": imap_index_s,
        },
        until_stdin_closes=until_stdin_closes,
    )


@root.command(short_help="Many searches at once on this computer; needs no network.")
@click.option("--out", "-o", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("aurora-demo"),
              show_default=True, metavar="DIR",
              help="Folder for the results. It replaces those of an earlier demo, and no other files.")  # fmt: skip
@click.option("--keep/--no-keep", default=True, show_default=True,
              help="Leave the results there, or write to a temporary folder and remove it.")  # fmt: skip
@click.option("--searches", type=WholeNumber(1, 500), default=64, show_default=True, metavar="N",
              help="How many searches are made at once, 1 to 500.")  # fmt: skip
@click.option("--workers", type=WholeNumber(0, 64), metavar="N", help="As for serve.")
@click.option("--server-time", "server_time_s", type=Number(0), default=0.0, metavar="SECONDS",
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
