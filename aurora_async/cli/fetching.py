"""Files on their way, with progress: what `fetch` and `data-products get-files` do."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import TypeVar

import attrs
import click
import msgspec
from rich.table import Table
from rich.text import Text

from aurora_async.aurorax import DataProduct, FetchedProduct
from aurora_async.cli.client import Access
from aurora_async.cli.exits import Common, Failed, one_line, run
from aurora_async.cli.listing import note
from aurora_async.cli.progress import shown
from aurora_async.cli.queryfile import in_daemon_thread
from aurora_async.cli.screen import console_for
from aurora_async.cli.upload import documents
from aurora_async.config import Config
from aurora_async.display import Tally, numbers
from aurora_async.engine import Event, EventKind, Events
from aurora_async.errors import (
    AuroraError,
    HttpError,
    InvalidInput,
    MalformedAnswer,
    TargetExists,
    TransferError,
    TransportError,
)
from aurora_async.http import Session, shown_url
from aurora_async.transfer import Fetched, Fetcher, FetchOptions, FetchOutcome, File
from aurora_async.transfer.decoding import converted
from aurora_async.transfer.fetch import Exists
from aurora_async.transfer.outcomes import FileOutcome

__all__ = ["FILES", "FileProgress", "Reason", "fetch_products", "fetch_urls", "print_failures", "reason_of", "text_of"]

T = TypeVar("T")
Reason = Callable[[AuroraError], str]

FILES = "file"
"""What displays call these: the kind of requests that files are."""
_REASONS = 10


@attrs.frozen
class FileProgress:
    """What the displays listen to: files as if they were requests, named by their URLs."""

    events: Events = attrs.field(factory=Events)

    def bytes(self, url: str, there: int, of: int | None) -> None:
        self._tell(EventKind.BYTES, url, bytes=there)

    def over(self, url: str, fetched: Fetched | FileOutcome | None, error: AuroraError | None) -> None:
        if fetched is None:
            self._tell(EventKind.FAILED, url, error=error)
        else:
            self._tell(EventKind.DONE, url, bytes=fetched.bytes or 0, path=fetched.path)

    def _tell(self, kind: EventKind, url: str, **facts: object) -> None:
        name = shown_url(url).rpartition("/")[2]
        self.events.emit(Event(kind=kind, service=FILES, request_id=name, **facts))  # type: ignore[arg-type]


def fetch_urls(
    common: Common, urls: Sequence[str], list_file: str | None, digest: str | None, *, folder: Path, exists: Exists,
    jobs: int, events: str | None = None,
) -> None:  # fmt: skip
    """Fetch what was typed, and what a file lists."""

    async def work() -> None:
        files = [File(url=url, digest=digest) for url in urls]
        if list_file is not None:
            files += await _listed(list_file)
        progress = FileProgress()

        async def fetch() -> list[FetchOutcome]:
            async with Session(Config.from_environment()) as session:
                return await Fetcher(session, FetchOptions(exists=exists)).fetch_many(
                    files, folder, at_once=jobs,
                    on_bytes=lambda index, there, of: progress.bytes(files[index].url, there, of),
                    on_outcome=lambda one: progress.over(one.file.url, one.fetched, one.error),
                )  # fmt: skip

        outcomes = await _watched(common, len(files), progress, fetch, events)
        _tell(common, [(one.file.url, one.fetched, one.error) for one in outcomes], events)

    run(work())


def fetch_products(
    common: Common, records: str, *, folder: Path, exists: Exists, jobs: int, events: str | None = None
) -> None:
    """Fetch the files of the data products in a results file, or in the result of a request."""
    access = Access.of(common)
    is_file = records == "-" or Path(records).exists()
    if not is_file and (Path(records).suffix or os.sep in records):
        raise InvalidInput(records, "cannot be read: no such file")

    async def work() -> None:
        found = await _products_in(records) if is_file else []
        async with access.client() as client:
            if not is_file:
                found = await client.data_products.resume(records).records()
            progress = FileProgress()

            async def fetch() -> list[FetchedProduct]:
                return await client.data_products.fetch_files(
                    found, folder, at_once=jobs, options=FetchOptions(exists=exists), on_bytes=progress.bytes,
                    on_outcome=lambda one: progress.over(one.record.url, one.fetched, one.error),
                )  # fmt: skip

            outcomes = await _watched(common, len({record.url for record in found}), progress, fetch, events)
        once = {one.record.url: one for one in outcomes}
        _tell(common, [(url, one.fetched, one.error) for url, one in once.items()], events)

    run(work())


async def _listed(name: str) -> list[File]:
    """Read a list of URLs: one a line, perhaps with a digest behind it; empty lines and those with a # say nothing."""
    files = []
    for number, line in enumerate((await text_of(name, "give one URL a line")).splitlines(), start=1):
        match line.split():
            case []:
                continue
            case [first, *_] if first.startswith("#"):
                continue
            case [url]:
                files.append(File(url=url))
            case [url, digest]:
                files.append(File(url=url, digest=digest))
            case _:
                raise InvalidInput(f"{name}: line {number}", "is not a URL, nor a URL and its digest")
    return files


async def text_of(name: str, wanted: str) -> str:
    """Read a file, or stdin for `-`; `wanted` says what should be in it."""
    try:
        data = await in_daemon_thread(sys.stdin.buffer.read if name == "-" else Path(name).read_bytes)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(name, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise InvalidInput(name, f"is not a text in UTF-8; {wanted}") from None


async def _products_in(file: str) -> list[DataProduct]:
    found = []
    async with aclosing(documents(file)) as read:
        async for document in read:
            try:
                found.append(converted(document, DataProduct))
            except msgspec.ValidationError as error:
                raise InvalidInput(f"{file}: records[{len(found)}]", f"is not a data product: {error}") from None
    return found


async def _watched(
    common: Common, count: int, progress: FileProgress, fetch: Callable[[], Awaitable[T]], events: str | None
) -> T:
    try:
        with shown(progress, Tally({FILES: count}, opening="connecting"), quiet=common.quiet, events=events):
            return await fetch()
    except asyncio.CancelledError:
        common.aftermath = "what has come is kept, the same command goes on from there"
        raise


def _tell(
    common: Common, outcomes: Sequence[tuple[str, Fetched | None, AuroraError | None]], events: str | None
) -> None:
    """Print the paths, and then what failed."""
    got = [fetched for _, fetched, _ in outcomes if fetched is not None]
    if not common.quiet and events != "-":  # events name the files themselves
        for fetched in got:
            click.echo(os.fsencode(fetched.path))
    failed = [(url, error) for url, _, error in outcomes if error is not None]
    if failed and len(outcomes) == 1:
        error = failed[0][1]
        if isinstance(error, TargetExists):
            raise Failed(f"{error.target}: {reason_of(error)}") from error
        raise error
    there = sum(fetched.was_there for fetched in got)
    size = numbers.size(sum(fetched.fetched_bytes for fetched in got))
    known = f", {numbers.count(there)} of them there already" if there else ""
    note(common, f"{numbers.plural(len(got), 'file')}{known}; {size} fetched")
    if failed:
        print_failures(failed)
        raise Failed(f"{len(failed)} of {numbers.plural(len(outcomes), 'file')} could not be fetched")


def print_failures(failed: Sequence[tuple[str, AuroraError]], *, head: str = "URL", say: Reason | None = None) -> None:
    """Print a table on stderr, as wide as its texts where that is no terminal; the same reason is told once."""
    groups: dict[str, list[str]] = {}
    for url, error in failed:
        groups.setdefault(one_line((say or reason_of)(error)), []).append(shown_url(url))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(head, overflow="fold")
    table.add_column("ERROR", overflow="fold")
    for reason, urls in islice(groups.items(), _REASONS):
        more = f" and {len(urls) - 1:,} more" if len(urls) > 1 else ""
        table.add_row(Text(f"{urls[0]}{more}"), Text(reason))
    console = console_for(sys.stderr)
    if not sys.stderr.isatty():
        console.width = table.__rich_measure__(console, console.options.update(max_width=1 << 16)).maximum
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), err=True, color=True)
    if len(groups) > _REASONS:
        click.echo(f"... and {len(groups) - _REASONS:,} other reasons; --events FILE has them all", err=True)


def reason_of(error: AuroraError) -> str:
    """Say what is wrong; the URL stands beside it."""
    match error:
        case TargetExists():
            return "the file exists; remove it, or have it replaced with --exists replace"
        case HttpError():
            return f"{error.status} {error.detail}".rstrip()
        case TransferError() | TransportError() | MalformedAnswer() | InvalidInput():
            return error.reason
        case _:
            return str(error)
