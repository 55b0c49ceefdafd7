"""What the `imap` commands do with files: lists of them, their transfer with progress, and what is said afterwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import attrs
import click
import msgspec

from aurora_async.cli.exits import Common, Failed, run
from aurora_async.cli.fetching import FILES, FileProgress, print_failures, reason_of, text_of
from aurora_async.cli.imap_client import ask_imap, in_our_words, short
from aurora_async.cli.listing import Column, note
from aurora_async.cli.output import Output
from aurora_async.cli.progress import shown
from aurora_async.display import Tally, numbers
from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.imap import (
    FileQuery,
    FileTable,
    Imap,
    InvalidFileName,
    ProcessingInputs,
    SpiceKernel,
    SpiceQuery,
    TableFile,
    Uploads,
    key_of,
)
from aurora_async.imap.downloads import Download, Downloadable, DownloadedFile, OnBytes, OnOutcome
from aurora_async.imap.errors import AlreadyExists, CoverageGaps, NoSuchFile, NotReleased
from aurora_async.imap.models import FileRow
from aurora_async.imap.query import query_of_name
from aurora_async.imap.tables import Gap
from aurora_async.imap.uploads import look_at
from aurora_async.times import TimeRange
from aurora_async.transfer.fetch import Exists

__all__ = [
    "Fetching",
    "download",
    "fetch_packets",
    "print_files",
    "print_gaps",
    "print_kernels",
    "print_metakernel",
    "query_of",
    "sync",
    "upload",
]

_NOTHING = "no file meets all of these"
_NOTHING_RELEASED = "no released file meets all of these; --api-key or --access-token shows the others"
_RESUMED = "what has come is kept, the same command goes on from there"


def _minute(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


_NAME = Column("file_name", head="file")
_INGESTED = Column("ingestion_date", head="ingested", value=lambda row: getattr(row, "ingestion_date", None), drop=1)
_FILES = (_NAME, _INGESTED, Column("released", value=lambda row: getattr(row, "released", None), drop=2))
_KERNELS = (
    Column("file_name", head="file", value=lambda row: row.key.removeprefix("imap/spice/")),
    Column("start", show=_minute, drop=1),
    Column("end", show=_minute, drop=1),
    Column("type", drop=2),
    attrs.evolve(_INGESTED, drop=3),
)
_KERNEL_OPTIONS = {
    "type": "TYPE",
    "file_name": "--filename",
    "start": "--start-date",
    "end": "--end-date",
    "ingestion_start_date": "--ingestion-start-date",
    "ingestion_end_date": "--ingestion-end-date",
}
_TABLES = (_NAME, Column("start_date", head="start", drop=2), Column("end_date", head="end"), _INGESTED)


@attrs.frozen
class Fetching:
    """How files are fetched."""

    exists: Exists = "check"
    jobs: int = 16
    events: str | None = None
    dry_run: bool = False


def query_of(filters: Mapping[str, Any]) -> FileQuery:
    """Make a query of what was typed.

    Raises:
        InvalidInput: It cannot be right; `field` is the option.
    """
    name = filters.get("filename")
    if name is not None:
        if len(filters) > 1:
            raise click.UsageError("--filename stands alone: the name says everything else")
        return _query_of_name(name)
    if filters.keys() <= {"table"} or (filters.keys() <= {"table", "version"} and filters["version"] == "latest"):
        raise click.UsageError("say which files: give a filter, such as --instrument mag")
    try:
        return FileQuery(**filters)
    except InvalidInput as error:
        if error.field not in filters:
            raise
        raise InvalidInput(f"--{error.field.replace('_', '-')}", error.reason) from None


def _query_of_name(name: str) -> FileQuery:
    try:
        found = query_of_name(name)
    except InvalidFileName as error:
        raise Failed(short(error), 2) from error
    if isinstance(found, FileQuery):
        return found
    raise click.UsageError(f"{name} is a kernel: imap spice --filename finds it")


# Lists ----------------------------------------------------------------------------------------------------------------


def print_files(common: Common, asked: FileQuery, output: Output, fetching: Fetching | None) -> None:
    """Print what a query finds, or fetch it."""
    _found(common, lambda client: client.query(asked), output, fetching)


def print_kernels(common: Common, asked: Mapping[str, Any], output: Output, fetching: Fetching | None) -> None:
    """Print the kernels that meet filters, or fetch them."""
    try:
        SpiceQuery(**asked)
    except InvalidInput as error:
        raise InvalidInput(_KERNEL_OPTIONS.get(error.field, error.field), error.reason) from None
    _found(common, lambda client: client.spice_query(**asked), output, fetching)


def _found(common: Common, ask: Callable[[Imap], Awaitable[Any]], output: Output, fetching: Fetching | None) -> None:
    async def work(client: Imap) -> Any:
        found = await ask(client)
        if fetching is not None and len(found):
            await _fetch(common, client, {row.key: row for row in found}, fetching)
        return found

    found = ask_imap(common, work)
    if fetching is not None and len(found):
        return
    rows = list(found)
    empty = _nothing(found)
    if output.is_table:
        output.print_records(common, _columns_of(rows), rows, empty=empty)
        if rows:
            note(common, f"{numbers.plural(len(rows), 'file')}; --download fetches them")
        return
    documents = msgspec.to_builtins(found.to_dicts())
    heads = list(documents[0]) if documents else ["key"]
    output.print_records(common, [_field(head) for head in heads], documents, empty=empty)


def _nothing(found: FileTable[Any]) -> str:
    return _NOTHING if found.note is None else _NOTHING_RELEASED


def _columns_of(rows: Sequence[Any]) -> Sequence[Column]:
    match rows[:1]:
        case [SpiceKernel()]:
            return _KERNELS
        case [TableFile()]:
            return _TABLES
        case _:
            return _FILES


def _field(name: str) -> Column:
    return Column(name, value=lambda document: document[name])


# Transfer -------------------------------------------------------------------------------------------------------------


def download(
    common: Common, names: Sequence[str], list_file: str | None, inputs: str | None, filters: Mapping[str, Any],
    fetching: Fetching,
) -> None:  # fmt: skip
    """Fetch what was named, what a list names, what a job needs, and what a query finds."""
    asked = query_of(filters) if filters else None
    named = [_key_of(name) for name in names]
    if not named and list_file is None and inputs is None and asked is None:
        raise click.UsageError("say which files: names, filters such as --instrument mag, --from or --inputs")

    async def work(client: Imap) -> None:
        keys = list(named)
        if list_file is not None:
            keys += _listed(list_file, await text_of(list_file, "give one name a line"))
        if inputs is not None:
            keys += _needed(inputs, await text_of(inputs, "give a document of processing inputs (JSON)"))
        wanted: dict[str, str | FileRow] = {key: key for key in keys}
        if asked is not None:
            found = await client.query(asked)
            wanted |= {row.key: row for row in found}
            if not len(found):
                note(common, _nothing(found))
        await _fetch(common, client, wanted, fetching)

    ask_imap(common, work)


def _listed(name: str, text: str) -> list[str]:
    keys = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(_key_of(line.strip()))
        except AuroraError as error:
            raise Failed(f"{name}, line {number}: {error}", 2) from None
    return keys


def _key_of(name: str) -> str:
    try:
        return key_of(name)
    except InvalidFileName as error:
        raise Failed(short(error), 2) from error


def _needed(name: str, text: str) -> Sequence[str]:
    try:
        return ProcessingInputs.deserialize(text).keys()
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.field}", error.reason) from None


async def _fetch(common: Common, client: Imap, wanted: Mapping[str, str | FileRow], fetching: Fetching) -> None:
    """Fetch what is wanted, by its keys. A row whose key is none is one file that fails; a name is a mistake."""
    if not wanted:
        return
    folder = client.config.data_dir
    if fetching.dry_run:
        absent = [key for key in wanted if not (folder / key).exists()]
        _print_keys(common, absent)
        here = len(wanted) - len(absent)
        known = f"; {numbers.count(here)} here already" if here else ""
        note(common, f"{numbers.plural(len(absent), 'file')} would be fetched into {folder}{known}")
        return
    tally = Tally({FILES: len(wanted)}, opening="connecting")
    done = await _transferred(common, client, wanted.values(), tally, fetching)
    _print_paths(common, done.paths, fetching)
    there, count = sum(file.was_there for file in done), numbers.plural(len(done.paths), "file")
    if there and there == len(done.paths):
        note(common, f"{count}, here already")
    elif done.paths:
        known = f", {numbers.count(there)} of them here already" if there else ""
        size, took = numbers.size(done.fetched_bytes), numbers.duration(tally.elapsed_s)
        note(common, f"{count}{known}; {size} fetched in {took}")
    _tell_failures(done.failed, len(done))


async def _transferred(
    common: Common, client: Imap, wanted: Downloadable, tally: Tally, fetching: Fetching
) -> Download:
    with _watched(common, tally, fetching) as (on_bytes, on_outcome):
        return await client.download(
            wanted, exists=fetching.exists, at_once=fetching.jobs, on_bytes=on_bytes, on_outcome=on_outcome
        )


@contextmanager
def _watched(common: Common, tally: Tally, fetching: Fetching) -> Iterator[tuple[OnBytes, OnOutcome]]:
    """Show what happens to files until the block ends; gives what is to be told of it."""
    progress = FileProgress()

    def on_outcome(file: DownloadedFile) -> None:
        progress.over(file.key, file if file.ok else None, file.error)

    try:
        with shown(progress, tally, quiet=common.quiet, events=fetching.events):
            yield progress.bytes, on_outcome
    except asyncio.CancelledError:
        common.aftermath = _RESUMED
        raise


def _print_paths(common: Common, paths: Iterable[Path], fetching: Fetching) -> None:
    if common.quiet or fetching.events == "-":  # events name the files themselves
        return
    here = Path.cwd()
    for path in paths:
        click.echo(os.fsencode(path.relative_to(here) if path.is_relative_to(here) else path))


def _print_keys(common: Common, keys: Iterable[str]) -> None:
    if not common.quiet:
        for key in keys:
            click.echo(key)


def _tell_failures(failed: Sequence[DownloadedFile], of: int) -> None:
    errors = [(file.key.rpartition("/")[2], file.error) for file in failed if file.error is not None]
    if not errors:
        return
    if of == 1:
        raise errors[0][1]
    print_failures(errors, head="FILE", say=_reason)
    raise Failed(f"{len(errors)} of {numbers.plural(of, 'file')} could not be fetched; try again for these")


def _reason(error: AuroraError) -> str:
    """Say what is wrong without the name of the file, which stands beside it."""
    match error:
        case NotReleased():
            return "not released: --api-key or --access-token would show it"
        case NoSuchFile():
            return "the archive has no such file"
        case AlreadyExists():
            return "the archive has it already, and replaces no file"
        case _:
            return reason_of(error)


def sync(common: Common, asked: FileQuery, fetching: Fetching, *, full: bool) -> None:
    """Bring the data directory up to date with a query."""

    async def work(client: Imap) -> None:
        tally = Tally(opening="asking what there is")
        with _watched(common, tally, fetching) as (on_bytes, on_outcome):
            done = await client.mirror(
                asked, at_once=fetching.jobs, dry_run=fetching.dry_run, on_bytes=on_bytes, on_outcome=on_outcome,
                full=full, on_planned=lambda count: tally.expect(FILES, count),
            )  # fmt: skip
        here = f"; {numbers.count(done.present)} here already" if done.present else ""
        if fetching.dry_run:
            _print_keys(common, done.planned)
            note(common, f"{numbers.plural(len(done.planned), 'file')} would be fetched into {done.folder}{here}")
            return
        _print_paths(common, (file.path for file in done.new if file.path is not None), fetching)
        if done.new:
            size, took = numbers.size(sum(file.fetched_bytes for file in done.new)), numbers.duration(tally.elapsed_s)
            note(common, f"{numbers.plural(len(done.new), 'new file')}, {size} fetched in {took}{here}")
        elif done.present:
            note(common, f"nothing new{here}")
        elif not done.failed:
            note(common, _NOTHING if client.config.is_authenticated else _NOTHING_RELEASED)
        _tell_failures(done.failed, len(done.new) + len(done.failed))

    ask_imap(common, work)


# Kernels and gaps -----------------------------------------------------------------------------------------------------


def print_metakernel(
    common: Common, start: str, end: str, types: Sequence[str], *, require_coverage: bool, as_list: bool,
    with_download: bool, out: Path | None,
) -> None:  # fmt: skip
    """Print a metakernel or write it to a file; fetch its kernels, if that is wanted."""

    async def work(client: Imap) -> Any:
        folder = client.config.data_dir / "imap" / "spice" if with_download else None
        try:
            found = await client.metakernel(
                start,
                end,
                file_types=types or None,
                spice_path=str(folder) if folder else None,
                require_coverage=require_coverage,
            )
        except CoverageGaps as error:
            _tell_gaps(common, error.gaps)
            raise Failed("the range is not covered; shorten it, or leave --require-coverage away") from error
        if with_download:
            tally = Tally({FILES: len(found.keys)}, opening="connecting")
            done = await _transferred(common, client, found, tally, Fetching())
            note(common, f"{numbers.plural(len(done.paths), 'kernel')} in {folder}")
            _tell_failures(done.failed, len(done))
        return found

    found = ask_imap(common, work)
    if as_list:
        _print_keys(common, found.names)
    elif out is not None:
        out.write_text(found.text, encoding="utf-8")
        note(common, f"{out} names {numbers.plural(len(found.names), 'kernel')}")
    else:
        click.echo(found.text, nl=not found.text.endswith("\n"))
    _tell_gaps(common, found.gaps)


def _tell_gaps(common: Common, gaps: Mapping[str, Sequence[TimeRange]]) -> None:
    for category, ranges in gaps.items():
        parts = ", ".join(f"{_minute(gap.start)} to {_minute(gap.end)}" for gap in ranges)
        note(common, f"no {category.removesuffix('_category').replace('_', ' ')} for {parts}")


def _number_of(gap: Gap) -> int:
    return len(gap.missing)


def _place(day: Any) -> str:
    return f"no. {day}" if isinstance(day, int) else str(day)  # of a pointing, or a rotation


_GAP_FIELDS = (
    Column("instrument", value=lambda gap: gap.product[0]),
    Column("data_level", value=lambda gap: gap.product[1]),
    Column("descriptor", value=lambda gap: gap.product[2]),
    Column("first"),
    Column("last"),
    Column.number("missing", _number_of),
)
_GAPS = (
    Column("product", value=lambda gap: " ".join(gap.product), fold_at=30),
    Column("first", show=_place),
    Column("last", show=_place),
    Column.number("missing", _number_of, drop=1),
)


def print_gaps(common: Common, asked: FileQuery, output: Output) -> None:
    """Print which days or pointings products lack."""
    found = ask_imap(common, lambda client: client.query(asked))
    gaps = found.gaps()
    count = numbers.plural(len(found), "file")
    empty = f"no gaps: {count}, one after the other" if len(found) else _nothing(found)
    columns = _GAPS if output.is_table else _GAP_FIELDS
    output.print_records(
        common, columns, gaps, empty=empty, document=lambda gap: {one.name: one.value(gap) for one in columns}
    )
    if gaps:
        note(common, f"{count} there, {numbers.count(sum(map(_number_of, gaps)))} missing")


def fetch_packets(
    common: Common, instrument: str, start: str, end: str | None, *, mode: Literal["ert", "sct"], upload: bool
) -> None:
    """Fetch raw packets into files."""
    done = ask_imap(common, lambda client: client.download_packets(instrument, start, end, mode=mode, upload=upload))
    _print_paths(common, (file.path for file in done.new if file.path is not None), Fetching())
    if not len(done):
        note(common, "no such packets")
        return
    size = numbers.size(sum(file.bytes or 0 for file in done.new))
    known = sum(file.status in ("same", "fewer") for file in done)
    there = f"; {numbers.count(known)} in the archive already" if known else ""
    note(common, f"{numbers.plural(len(done.new), 'new file')}, {size}{there}")
    failed = [(str(file.start_date), file.error) for file in done.failed if file.error is not None]
    if failed:
        print_failures(failed, head="DAY", say=_reason)
        raise Failed(f"{len(failed)} of {numbers.plural(len(done), 'file')} could not be made or delivered")


# Delivery -------------------------------------------------------------------------------------------------------------


def upload(
    common: Common, paths: Sequence[Path], *, exists: Literal["refuse", "skip", "check"], dry_run: bool, jobs: int
) -> None:
    """Deliver files to the archive."""
    if dry_run:
        with in_our_words(common):
            parcels = run(look_at(paths))
        _print_keys(common, [one.key for one in parcels])
        size = numbers.size(sum(one.bytes for one in parcels))
        note(common, f"{numbers.plural(len(parcels), 'file')} would be delivered, {size}")
        return

    async def work(client: Imap) -> Uploads:
        delivered = await client.upload_many(list(paths), exists=exists, at_once=jobs)
        if len(delivered) == 1 and (error := delivered[0].error) is not None:
            raise error
        return delivered

    done = ask_imap(common, work)
    sent = [one for one in done if one.ok and one.status == "uploaded"]
    _print_keys(common, [one.key for one in sent])
    there = sum(one.status == "exists" for one in done)
    known = f"; {numbers.count(there)} there already" if there else ""
    size = numbers.size(sum(one.bytes or 0 for one in sent))
    if sent:
        note(common, f"{numbers.plural(len(sent), 'file')} delivered, {size}{known}")
    elif there:
        note(common, f"nothing delivered{known}")
    failed = [(one.path.name, one.error) for one in done.failed if one.error is not None]
    if failed:
        print_failures(failed, head="FILE", say=_reason)
        raise Failed(f"{numbers.count(len(failed))} of {numbers.plural(len(done), 'file')} could not be delivered")
