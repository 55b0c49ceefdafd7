"""`fetch`: files from URLs, gone on with where an earlier try has stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.exits import Common
from aurora_async.cli.options import EVENTS, FILE, WholeNumber, common_options

if TYPE_CHECKING:
    from aurora_async.transfer.fetch import Exists

__all__ = ["fetch", "fetch_options"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def fetch_options(function: FunctionT) -> FunctionT:
    """Add the options of everything that fetches files."""
    for option in (
        click.option("--events", type=EVENTS, metavar="FILE",
                     help="Append what happens to this file, as JSON Lines; - is stdout, instead of the paths."),
        click.option("--jobs", "-j", type=WholeNumber(1, 64), default=8, show_default=True, metavar="N",
                     help="How many files are fetched at one moment; 8 at most from one host."),
        click.option("--exists", type=click.Choice(["check", "complete", "skip", "replace", "refuse"]), default="check",
                     show_default=True,
                     help="What to do about a file that is there. check: keep it if it has the length and the date "
                          "of the server's. complete: keep it unless it is shorter. skip: keep it unseen. replace: "
                          "fetch it anew. refuse: fail."),
        click.option("--dir", "-d", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(),
                     metavar="DIR", help="Folder for the files.  [default: this one]"),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command("fetch", short_help="Fetch files from URLs, and go on where it stopped.")
@click.argument("urls", nargs=-1, metavar="URL...")
@click.option("--from", "list_file", type=FILE, metavar="FILE",
              help="Read URLs from this file, or - for stdin: one a line, its digest behind it if known.")  # fmt: skip
@click.option("--digest", metavar="sha256:HEX", help="What the file must have; for one URL. md5, sha1, sha512 too.")
@fetch_options
@common_options(service=False)
@click.pass_obj
def fetch(
    common: Common, urls: tuple[str, ...], list_file: str | None, digest: str | None, folder: Path, exists: Exists,
    jobs: int, events: str | None,
) -> None:  # fmt: skip
    """Fetch files of any size. Each has its name once it is whole and verified, and not before.

    What was cut, stalled or killed goes on when the same command is given again, as long as the server shows that the
    file has not changed. Several processes may fetch into one folder; each file is fetched once.

    A web page, such as a form to log in, is refused unless the name of the file ends in .html, .htm, .xhtml or .php.

    \b
      aurora-async fetch https://example.org/2020/keogram.png --dir keograms
      jq -r '.[].url' found.json | aurora-async fetch --from - --dir keograms

    The paths of the files are printed on stdout, progress and failures on stderr.
    """
    if not urls and list_file is None:
        raise click.UsageError("give URLs, or a file of them with --from")
    if digest is not None and (len(urls) != 1 or list_file is not None):
        raise click.UsageError("--digest is for one URL; in a file for --from, digests stand behind their URLs")
    from aurora_async.cli.fetching import fetch_urls

    fetch_urls(common, urls, list_file, digest, folder=folder, exists=exists, jobs=jobs, events=events)
