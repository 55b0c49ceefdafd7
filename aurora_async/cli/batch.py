"""`batch`: many searches in a folder, which can be stopped, killed and gone on with at any moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aurora_async.cli.exits import Common
from aurora_async.cli.options import EVENTS, FILE, Section, WholeNumber, common_options, json_option

__all__ = ["batch"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_WHERE = click.argument("where", metavar="PLAN_OR_FOLDER", type=FILE)
_DIR = click.option(
    "--dir", "-d", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="The batch's folder.  [default: beside the plan, named after it]",
)  # fmt: skip


def _run_options(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--events", type=EVENTS, metavar="FILE",
                     help="Append what happens to this file, as JSON Lines. - is stdout, which then has nothing else."),
        click.option("--cluster", metavar="ADDRESS",
                     help="Let a dask.distributed cluster fetch the results: tcp://host:8786, a number of processes "
                          "here, or local, one a processor."),
        click.option("--at-once", type=WholeNumber(min=1), metavar="N",
                     help="Most requests under way at one moment.  [default: as the plan says, or 100]"),
        _DIR,
    ):  # fmt: skip
        function = option(function)
    return function


@click.group(
    "batch",
    cls=Section,
    headings={"Running": ("run", "retry", "cancel"), "Looking, without a server": ("status", "report", "verify")},
    short_help="Many searches in a folder, stopped and gone on with at any moment.",
)
@common_options()
def batch() -> None:
    """Many searches whose results become files in a folder, described by a plan.

    Whatever ends a run (Ctrl-C, a crash, a full disk), the same command goes on from there: no search is submitted
    twice, no finished file is fetched twice. Several processes may run one batch together.

    \b
    A plan, swarm.toml, of three spacecraft in twelve months, 36 searches:
      format = "parquet"            # or jsonl, json, csv, body
      window = "7d"                 # cut longer searches, and merge them again
      [[search]]
      kind = "ephemeris"            # or conjunctions, data_products
      name = "{platform}_{start:%Y-%m}"
      query.data_sources = { programs = ["swarm"], platforms = ["{platform}"] }
      over.platform = ["swarma", "swarmb", "swarmc"]
      over.time = { start = "2020-01", end = "2020-12", step = "1 month" }

    \b
      aurora-async batch run swarm.toml      results and a report in swarm/
      aurora-async batch status swarm.toml   from another terminal, while it runs
      aurora-async batch retry swarm.toml    what has failed, once more

    Ctrl-C stops submitting and finishes the transfers that have begun; pressed twice, it ends at once.

    Exit codes: 0 every search has its file, 3 some have failed, 4 all have failed, 1 it broke off (no server, full
    disk), 2 wrong input, 130 Ctrl-C.
    """


@batch.command("run", short_help="Run a plan, or go on with it.")
@_WHERE
@_run_options
@click.option("--format", type=click.Choice(["jsonl", "json", "csv", "parquet", "body"]),
              help="Of the files.  [default: as the plan says, or jsonl]")  # fmt: skip
@click.option(
    "--window",
    metavar="LENGTH",
    help="Cut longer searches into windows (6h, 7d, auto) and merge them again.  [default: as the plan says]",
)
@click.option("--outputs", metavar="ADDRESS",
              help="Write the files there, as s3://bucket/survey, or whatever fsspec knows.")  # fmt: skip
@click.option("--dataset", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Add every result to this Parquet dataset too: program=…/platform=…/date=….")  # fmt: skip
@click.option("--reuse", type=click.Path(exists=True, file_okay=False, path_type=Path), multiple=True, metavar="FOLDER",
              help="Take what this batch has from there; may be repeated.")  # fmt: skip
@common_options()
@click.pass_obj
def _run(common: Common, /, where: str, folder: Path | None, **settings: Any) -> None:
    """Make the searches of a plan, or go on with those of a folder that has been run before.

    The folder's path is the one line on stdout; progress goes to stderr.
    """
    from aurora_async.cli.batches import Found, Settings, run_batch

    run_batch(common, Found.at(where, folder), Settings(**settings))


@batch.command("retry", short_help="Make the searches that failed once more.")
@_WHERE
@_run_options
@common_options()
@click.pass_obj
def _retry(common: Common, /, where: str, folder: Path | None, **settings: Any) -> None:
    """Make the searches that failed or were cancelled once more, and finish what is not over."""
    from aurora_async.cli.batches import Found, Settings, run_batch

    run_batch(common, Found.at(where, folder), Settings(**settings), retry=True)


@batch.command("cancel", short_help="Give up what is not over.")
@_WHERE
@_DIR
@common_options()
@click.pass_obj
def _cancel(common: Common, where: str, folder: Path | None) -> None:
    """Give up the searches that are not over, here and on the server; files that are there stay. Retry undoes it."""
    from aurora_async.cli.batches import Found, cancel

    cancel(common, Found.at(where, folder))


def _add_looking(name: str, short_help: str, help: str) -> None:
    @batch.command(name, short_help=short_help, help=help)
    @_WHERE
    @_DIR
    @json_option
    @common_options(service=False)
    def look(where: str, folder: Path | None, as_json: bool) -> None:
        from aurora_async.cli.batches import Found, print_report, print_status

        (print_status if name == "status" else print_report)(Found.at(where, folder), as_json=as_json)


_add_looking(
    "status",
    "Say how far it is.",
    "Say how far a batch is, also while it runs, here or on another computer. Nothing is asked of a server.",
)
_add_looking(
    "report",
    "Print what came of it.",
    "Print what came of a batch, as Markdown; with --json, all that is known of each search.",
)


@batch.command("verify", short_help="Check every file against the manifest.")
@_WHERE
@_DIR
@common_options(service=False)
@click.pass_obj
def _verify(common: Common, where: str, folder: Path | None) -> None:
    """Read every file once more and compare its length and digest with the manifest. Nothing is asked of a server.

    Each file that is missing or is not what it was is a line on stdout, and the exit code is 1.
    """
    from aurora_async.cli.batches import Found, verify

    verify(common, Found.at(where, folder))
