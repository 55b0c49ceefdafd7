"""`imap`: files of the Interstellar Mapping and Acceleration Probe, at its Science Data Center."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.exits import Common
from aurora_async.cli.imap_client import ask_imap, imap_options
from aurora_async.cli.listing import Column, note
from aurora_async.cli.options import EVENTS, FILE, Section, WholeNumber, confirm, remember, yes_option
from aurora_async.cli.output import Output, format_option

if TYPE_CHECKING:
    from aurora_async.transfer.fetch import Exists

__all__ = ["imap"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_KERNEL_KINDS = (
    "attitude_history, ephemeris_reconstructed, spacecraft_clock, leapseconds and so on; spin, repoint, thruster"
)
_DAY = "YYYYMMDD"


def _filters(function: FunctionT) -> Any:
    """Add the filters of a query, and give those that were typed to the command as its `filters`."""
    options = {
        "table": click.option("--table", type=click.Choice(["science", "ancillary", "quicklook"]),
                              help="Which files.  [default: science]"),
        "instrument": click.option("--instrument", metavar="NAME",
                                   help="codice, glows, hi, hit, idex, lo, mag, swapi, swe, ultra; ialirt, l1const, "
                                        "spacecraft."),
        "data_level": click.option("--data-level", metavar="LEVEL", help="l0, l1a, l1b, l2 and so on."),
        "descriptor": click.option("--descriptor", metavar="NAME", help="The product: norm-dsrf, hist, sci."),
        "start_date": click.option("--start-date", metavar=_DAY, help="Files that start on this day or later."),
        "end_date": click.option("--end-date", metavar=_DAY, help="Files that start on this day or before."),
        "ingestion_start_date": click.option("--ingestion-start-date", metavar="TIME",
                                             help="Files that came then or later: a day, or an instant (UTC)."),
        "ingestion_end_date": click.option("--ingestion-end-date", metavar="TIME",
                                           help="Files that came then or before."),
        "repointing": click.option("--repointing", metavar="N", help="Files of a pointing: 96 or repoint00096."),
        "version": click.option("--version", metavar="VERSION",
                                help="latest, v001.0008, or v008: a minor version."),
        "major_version": click.option("--major-version", metavar="N",
                                      help="Of this major version.  [default: the highest]"),
        "minor_version": click.option("--minor-version", metavar="N", help="Of this minor version."),
        "extension": click.option("--extension", metavar="EXT", help="How names end: cdf, pkts, csv."),
        "filename": click.option("--filename", metavar="NAME", help="The file of this name, and no other filter."),
    }  # fmt: skip

    @wraps(function)
    def command(*args: Any, **values: Any) -> Any:
        filters = {name: value for name in options if (value := values.pop(name)) is not None}
        return function(*args, filters=filters, **values)

    # click knows only its own wrappers' options.
    decorated: Any = command
    for option in reversed(options.values()):
        decorated = option(decorated)
    return decorated


_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


def _transfer(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--events", type=EVENTS, metavar="FILE",
                     help="Append what happens to this file, as JSON Lines; - is stdout, instead of the paths."),
        click.option("--jobs", "-j", type=WholeNumber(1, 16), default=16, show_default=True, metavar="N",
                     help="How many files are on their way at one moment."),
    ):  # fmt: skip
        function = option(function)
    return function


_EXISTS = click.option(
    "--exists", default="check", show_default=True,
    type=click.Choice(["check", "complete", "skip", "replace", "refuse"]),
    help="What to do about a file that is here. check: keep it if it is the archive's. complete: keep it unless it is "
         "shorter. skip: keep it unseen. replace: fetch it anew. refuse: fail.",
)  # fmt: skip


@click.group(
    "imap",
    cls=Section,
    short_help="Files of the IMAP mission: query, download, upload, sync.",
    headings={
        "Looking": ("query", "spice", "gaps"),
        "Files": ("download", "sync", "metakernel", "packets"),
        "The archive": ("upload", "reprocess", "release", "jobs"),
    },
)
@imap_options
def imap() -> None:
    """Query and fetch the files of the Interstellar Mapping and Acceleration Probe (IMAP), and deliver new ones.

    \b
      aurora-async imap query --instrument mag --data-level l2
      aurora-async imap download --instrument mag --data-level l2 --version latest
      aurora-async imap sync --instrument mag --data-level l2

    Files lie in the folders that the archive has, below the data directory. Without a key or token there is only what
    has been released.
    """


# Looking --------------------------------------------------------------------------------------------------------------


@imap.command("query", short_help="List files, and fetch them.")
@_filters
@click.option("--download", "with_download", is_flag=True,
              help="Fetch them, too; the command download has more to say about that.")  # fmt: skip
@format_option
@imap_options
@click.pass_obj
def _query(common: Common, filters: dict[str, Any], with_download: bool, output: Output) -> None:
    """List the files that meet all of the filters.

    \b
      aurora-async imap query --instrument mag --data-level l2 \\
        --start-date 20260401 --end-date 20260412
      aurora-async imap query --table ancillary --instrument codice --json
      aurora-async imap query --instrument glows --version latest --download

    Versions are two numbers, major and minor (v001.0008). Unless one is asked for, all minor versions are listed of
    the highest major version that a day or pointing has; latest is the newest of these.
    """
    from aurora_async.cli.imap_files import Fetching, print_files, query_of

    asked = query_of(filters)
    if with_download and not output.is_table:
        raise click.UsageError("--download prints paths: leave --format and --json away")
    print_files(common, asked, output, Fetching() if with_download else None)


@imap.command("spice", short_help="List SPICE kernels, and fetch them.")
@click.argument("kernel_type", required=False, metavar="[TYPE]")
@click.option("--filename", metavar="NAME", help="The kernel of this name: naif0012.tls.")
@click.option("--start-date", metavar="TIME", help="Kernels that cover something from here on: a day, or an instant.")
@click.option("--end-date", metavar="TIME", help="Kernels that cover something until here.")
@click.option("--latest", is_flag=True, help="Only the latest version of each.")
@click.option("--ingestion-start-date", metavar="TIME", help="Kernels that came then or later.")
@click.option("--ingestion-end-date", metavar="TIME", help="Kernels that came then or before.")
@click.option("--download", "with_download", is_flag=True, help="Fetch them, too.")
@format_option
@imap_options
@click.pass_obj
def _spice(
    common: Common, kernel_type: str | None, filename: str | None, start_date: str | None, end_date: str | None,
    latest: bool, ingestion_start_date: str | None, ingestion_end_date: str | None, with_download: bool,
    output: Output,
) -> None:  # fmt: skip
    """List the kernels of a type: attitude_history, ephemeris_reconstructed, spacecraft_clock, leapseconds, and so on.

    Types spin, repoint and thruster are the tables of spins, repointings and thruster firings.

    \b
      aurora-async imap spice spacecraft_clock --latest --download
      aurora-async imap spice attitude_history --start-date 2025-10-30
    """
    from aurora_async.cli.imap_files import Fetching, print_kernels

    if with_download and not output.is_table:
        raise click.UsageError("--download prints paths: leave --format and --json away")
    filters = {
        "type": kernel_type,
        "file_name": filename,
        "start": start_date,
        "end": end_date,
        "latest": latest or None,
        "ingestion_start_date": ingestion_start_date,
        "ingestion_end_date": ingestion_end_date,
    }
    asked = {name: value for name, value in filters.items() if value is not None}
    if not asked:
        raise click.UsageError("say which: a type, such as spacecraft_clock, or a filter")
    print_kernels(common, asked, output, Fetching() if with_download else None)


@imap.command("gaps", short_help="List the days or pointings that products lack.")
@_filters
@format_option
@imap_options
@click.pass_obj
def _gaps(common: Common, filters: dict[str, Any], output: Output) -> None:
    """List the days of which products have no file; of some the pointings, or rotations of the Sun.

    Days are looked at from --start-date to --end-date, or from the first to the last file of each product; pointings
    and rotations from the lowest to the highest number that it has.

    \b
      aurora-async imap gaps --instrument mag --data-level l2
    """
    from aurora_async.cli.imap_files import print_gaps, query_of

    print_gaps(common, query_of(filters), output)


# Files ----------------------------------------------------------------------------------------------------------------


@imap.command("download", short_help="Fetch files by name, by a query, or those of a job.")
@click.argument("names", nargs=-1, metavar="[FILE...]")
@click.option("--from", "list_file", type=FILE, metavar="FILE",
              help="Read names from this file, or - for stdin: one a line.")  # fmt: skip
@click.option("--inputs", type=FILE, metavar="FILE",
              help="Fetch what this document of processing inputs (JSON) lists.")  # fmt: skip
@_filters
@_EXISTS
@_DRY_RUN
@_transfer
@imap_options
@click.pass_obj
def _download(
    common: Common, names: tuple[str, ...], list_file: str | None, inputs: str | None, filters: dict[str, Any],
    exists: Exists, dry_run: bool, jobs: int, events: str | None,
) -> None:  # fmt: skip
    """Fetch files into the folders that they have in the archive, below the data directory.

    Files are given by name (folders do not matter), by the filters of a query, or by what a job of processing needs.

    \b
      aurora-async imap download imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf
      aurora-async imap download --instrument mag --data-level l2 \\
        --start-date 20260401 --version latest
      aurora-async imap download --inputs dependencies.json
      aurora-async imap query --instrument mag --json | jq -r '.[3:9][].key' \\
        | aurora-async imap download --from -

    A file that is here already is compared with the archive's: what another program left half done is noticed. Given
    again, the command fetches what is missing. Paths are printed on stdout, progress and failures on stderr.
    """
    from aurora_async.cli.imap_files import Fetching, download

    download(common, names, list_file, inputs, filters, Fetching(exists, jobs, events, dry_run))


@imap.command("sync", short_help="Keep a folder up to date with a query.")
@_filters
@click.option("--full", is_flag=True,
              help="Look at all files of the query, not only at what has come since the last time.")  # fmt: skip
@_DRY_RUN
@_transfer
@imap_options
@click.pass_obj
def _sync(common: Common, filters: dict[str, Any], full: bool, dry_run: bool, jobs: int, events: str | None) -> None:
    """Fetch what is new since the last time, and what is missing; print the paths of what came.

    \b
      aurora-async imap sync --instrument mag --data-level l2 --data-dir imap

    Files are never removed. The command may be stopped at any moment, and goes on where it was when it is given again.
    """
    from aurora_async.cli.imap_files import Fetching, query_of, sync

    sync(common, query_of(filters), Fetching("check", jobs, events, dry_run), full=full)


@imap.command("metakernel", short_help="Get the best set of kernels for a time range.")
@click.argument("start", metavar="START")
@click.argument("end", metavar="END")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only kernels of this type; may be repeated.")
@click.option("--require-coverage", is_flag=True, help="Fail when a part of the range is not covered.")
@click.option("--list", "as_list", is_flag=True, help="Print the names of the kernels instead.")
@click.option("--download", "with_download", is_flag=True,
              help="Fetch the kernels, and let the metakernel name them where they are then.")  # fmt: skip
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the metakernel there.  [default: stdout]")  # fmt: skip
@imap_options
@click.pass_obj
def _metakernel(
    common: Common, start: str, end: str, types: tuple[str, ...], require_coverage: bool, as_list: bool,
    with_download: bool, out: Path | None,
) -> None:  # fmt: skip
    """Print a metakernel: the kernels that SPICE is to load for START to END (days, or instants).

    \b
      aurora-async imap metakernel 20260401 20260402 --download --out april.tm
    """
    from aurora_async.cli.imap_files import print_metakernel

    if as_list and (with_download or out is not None):
        raise click.UsageError("--list prints names; --download and --out are for the metakernel")
    print_metakernel(common, start, end, types, require_coverage=require_coverage, as_list=as_list,
                     with_download=with_download, out=out)  # fmt: skip


@imap.command("packets", short_help="Fetch raw packets of an instrument.")
@click.argument("instrument")
@click.argument("start", metavar="START")
@click.argument("end", required=False, metavar="[END]")
@click.option("--mode", type=click.Choice(["ert", "sct"]), default="ert", show_default=True,
              help="START and END are days on which packets were received on Earth (ert), or made (sct).")  # fmt: skip
@click.option("--upload", is_flag=True, help="Deliver what is new or has changed to the archive.")
@click.option("--webpoda-token", metavar="TOKEN", expose_value=False, callback=remember,
              help="Base64 of user:password, for the packet service.  [env: IMAP_WEBPODA_TOKEN]")  # fmt: skip
@imap_options
@click.pass_obj
def _packets(common: Common, instrument: str, start: str, end: str | None, mode: Any, upload: bool) -> None:
    """Fetch the packets of INSTRUMENT from START to END (inclusive) into l0 files, one a day or pointing."""
    from aurora_async.cli.imap_files import fetch_packets

    fetch_packets(common, instrument, start, end, mode=mode, upload=upload)


# The archive ----------------------------------------------------------------------------------------------------------


@imap.command("upload", short_help="Deliver files to the archive.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...",
                type=click.Path(path_type=Path, readable=False))  # fmt: skip
@click.option("--exists", type=click.Choice(["refuse", "skip", "check"]), default="refuse", show_default=True,
              help="What to do about a file that the archive has. refuse: fail. skip: leave it. check: leave it if it "
                   "is the same, else fail.")  # fmt: skip
@_DRY_RUN
@click.option("--jobs", "-j", type=WholeNumber(1, 16), default=4, show_default=True, metavar="N",
              help="How many files are on their way at one moment.")  # fmt: skip
@imap_options
@click.pass_obj
def _upload(common: Common, paths: tuple[Path, ...], exists: Any, dry_run: bool, jobs: int) -> None:
    """Deliver files. Their names decide where the archive puts them; it never replaces one that it has.

    All names are looked at before anything is sent. Printed is what the files are called in the archive.
    """
    from aurora_async.cli.imap_files import upload

    upload(common, paths, exists=exists, dry_run=dry_run, jobs=jobs)


@imap.command("reprocess", short_help="Have files made anew.")
@click.option("--start-date", metavar=_DAY, required=True, help="The first day.")
@click.option("--end-date", metavar=_DAY, required=True, help="The last day.")
@click.option("--instrument", metavar="NAME", help="Only of this instrument.")
@click.option("--data-level", metavar="LEVEL", help="Only of this level; needs instrument and descriptor.")
@click.option("--descriptor", metavar="NAME", help="Only of this product; needs an instrument.")
@yes_option
@imap_options
@click.pass_obj
def _reprocess(common: Common, /, start_date: str, end_date: str, yes: bool, **product: Any) -> None:
    """Have the files of a range of days processed anew. Prints the identifier that the service gave to the order."""
    if product["instrument"] is None:
        confirm(f"Reprocess all instruments from {start_date} to {end_date}?", yes=yes, otherwise="nothing was ordered")
    order = ask_imap(common, lambda client: client.reprocess(start_date, end_date, **product))
    if order.id is not None and not common.quiet:
        click.echo(order.id)
    note(common, order.message)


@imap.command("release", short_help="Make files public.")
@click.argument("manifest", type=click.Path(path_type=Path, readable=False))
@click.option("--type", "release_type", type=click.Choice(["release", "early-release", "unrelease"]), default="release",
              show_default=True, help="The service does only release so far.")  # fmt: skip
@yes_option
@imap_options
@click.pass_obj
def _release(common: Common, manifest: Path, release_type: Any, yes: bool) -> None:
    """Deliver a MANIFEST, and make public what it lists. That cannot be undone: you are asked before."""
    confirm(f"Make public what {manifest.name} lists?", yes=yes, otherwise="nothing was released")
    done = ask_imap(common, lambda client: client.release(manifest, release_type))
    note(common, done.message)


_JOB_COLUMNS = (
    Column("status"),
    Column("instrument"),
    Column("data_level", head="level"),
    Column("descriptor"),
    Column("start_date", head="day"),
    Column("repointing", head="pointing", drop=3),
    Column("version", drop=1),
    Column("started_at", head="started", drop=2),
    Column("stopped_at", head="stopped", drop=4),
    Column("stream", head="log", drop=5),
)


@imap.command("jobs", short_help="See what the processing pipeline does, and its logs.")
@click.option("--instrument", metavar="NAME", help="Only of this instrument.")
@click.option("--data-level", metavar="LEVEL", help="Only of this level.")
@click.option("--descriptor", metavar="NAME", help="Only of this product.")
@click.option("--start-date", metavar=_DAY, help="Only those for this day.")
@click.option("--status", metavar="WORD", help="INPROGRESS, SUCCEEDED or FAILED.")
@click.option("--log", "stream", metavar="STREAM", help="Print the log of a job instead, by its stream.")
@format_option
@imap_options
@click.pass_obj
def _jobs(common: Common, /, stream: str | None, output: Output, **filters: Any) -> None:
    """List the jobs that meet the filters; without any, the newest ones."""
    asked = {name: value for name, value in filters.items() if value is not None}
    if stream is not None:
        if asked:
            raise click.UsageError("--log stands alone: a stream is one job's")
        click.echo(ask_imap(common, lambda client: client.processing_log(stream)))
        return
    jobs = ask_imap(common, lambda client: client.processing_jobs(**asked))
    output.print_records(common, _JOB_COLUMNS, jobs, empty="no such jobs")
