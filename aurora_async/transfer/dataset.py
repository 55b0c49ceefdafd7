"""Results appended to one dataset: Parquet files in a folder that pandas, polars, DuckDB and Arrow read as one table.

A file is `program=…/platform=…/date=…/<stem>-<n>.parquet`, the way Hive names partitions. Which records share a file is
known only at the end, so their text is first gathered in one file beside the dataset, by partition, and then made into
one Parquet file a partition: a result in any order costs neither memory nor thousands of small files.

Beside the folder, in `.<name>.appended`, is what is not data (polars reads a folder only if all of it is): the folder
`<stem>.<token>` of files on their way, left behind by a crash alone and removed by the next append of that stem, and
`<stem>.json`, the list of files that the stem has. That list is written before a file takes its name, so that whatever
a crash leaves is found and replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
import attrs
import msgspec

from aurora_async.errors import IncompleteBody, InvalidInput
from aurora_async.transfer._columnar import columnar_decoder, fitting, naive_utc
from aurora_async.transfer._forms import read_at
from aurora_async.transfer._parquet import Parquet
from aurora_async.transfer._shapes import fields_of, layout_of
from aurora_async.transfer.cutter import Block, RecordCutter
from aurora_async.transfer.download import Body, fill, refuse_other_count, write_all
from aurora_async.transfer.formats import TableForm, check_format
from aurora_async.transfer.names import safe_name
from aurora_async.transfer.sink import PartFile, as_ours, refuse_other_length, sync_folder

__all__ = ["Appended", "DataFile", "append", "check_append"]

_BLOCK_BYTES = 256 * 1024
_GATHERED_BYTES = 16 * 1024 * 1024
_READ_BYTES = 1024 * 1024
_CLEANUP_S = 5.0
_UNNAMED = "unknown"
"""Instead of the name that Hive has for null, with which pandas reads nothing of the whole dataset."""


@attrs.frozen
class DataFile:
    """One file of a dataset; `path` is relative to its folder."""

    path: Path
    bytes: int
    records: int
    sha256: str


@attrs.frozen
class Appended:
    """What a stem has in a dataset now."""

    folder: Path
    stem: str
    files: tuple[DataFile, ...]
    seconds: float

    @property
    def records(self) -> int:
        """Records in all files."""
        return sum(one.records for one in self.files)

    @property
    def bytes(self) -> int:
        """Length of all files."""
        return sum(one.bytes for one in self.files)


async def append(
    body: Body, folder: Path, *, stem: str, table: TableForm, expected_records: int | None = None
) -> Appended:
    """Add the records of a body to the dataset in `folder`, in memory that does not grow with either.

    The files of `stem` that are there already are replaced, and no others: the same append twice is one. Nothing of the
    dataset changes before all has come and been checked. Different stems may be appended at once, from any process; one
    stem only by one. For a while this takes the size of the body on the disk.

    Records are partitioned by program and platform, those of the first data source for a conjunction, and the day (UTC)
    of their start, or `unknown`; a result without records has no files.

    Args:
        body: Borrowed.
        folder: The dataset; made if missing.
        stem: Names the files; the same for the same result, another for every other.
        table: The class of the records, and what the files say of themselves.
        expected_records: How many the status promised.

    Raises:
        InvalidInput: `stem` is no part of a file's name, or `table` knows no partitions; nothing was read.
        MissingExtra: pyarrow is not installed.
        IncompleteBody, WrongContent, MalformedAnswer, ResultMissing, DiskFull, TargetNotWritable: As `download`.
    """
    started = time.monotonic()
    folder, aside = _places(folder)
    check_append(stem, table)
    split = _Split(body.url, table)
    async with _staging(folder, aside, stem, body.url) as staging, PartFile(staging / "gathered") as gathered:
        received = await fill(body, gathered, split.feed)
        refuse_other_length(received, body.length, body.url, folder)
        try:
            await gathered.run(write_all, gathered, split.finish)
        except IncompleteBody as error:
            raise IncompleteBody(error.url, folder, error.reason) from None
        refuse_other_count(split.records, expected_records, body.url, folder)
        files = []
        for number, (partition, pieces) in enumerate(sorted(split.pieces.items())):
            parquet = Parquet(body.url, table)
            async with PartFile(staging / str(number), url=body.url, sha256=True, close=parquet.close) as part:
                written = _parquet_of(gathered.fd, pieces, parquet)
                while piece := await gathered.run(next, written, b""):
                    await part.write(piece)
                await part.commit()
            path = Path(*partition, f"{stem}-{number}.parquet")
            files.append(DataFile(path, part.written_bytes, parquet.records, part.sha256 or ""))
        await _to_its_end(_ours, _take_names, folder, body.url, aside, stem, staging, files)
    return Appended(folder, stem, tuple(files), time.monotonic() - started)


def check_append(stem: str, table: TableForm) -> None:
    """Raise what `append` would raise for these before it reads anything."""
    check_format("parquet")
    if not stem or safe_name(stem) != stem or stem.startswith("_"):
        raise InvalidInput("stem", f"{stem!r} is no beginning of a file's name")
    partition = layout_of(table.record_type).partition
    missing = {path.partition(".")[0] for path in partition.values()}
    missing -= {one.name for one in fields_of(table.record_type)}
    if not partition or missing:
        raise InvalidInput("table", f"its records do not say their partition ({', '.join(sorted(missing))})")


def _places(folder: Path) -> tuple[Path, Path]:
    """Return the folder, and the one beside it, on the same file system, for what is on its way there."""
    folder = Path(folder).resolve()
    if not folder.name:
        raise InvalidInput("folder", f"{folder} is not a folder that can have another one beside it")
    return folder, folder.with_name(f".{folder.name}.appended")


class _Split:
    """The text of records, gathered by partition: `pieces` says where in what was written those of each are.

    Decodes them as they will be decoded again, so that what is wrong is found while the place in the body is known.
    """

    def __init__(self, url: str, table: TableForm) -> None:
        self.pieces: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        partition = layout_of(table.record_type).partition
        self._partition = [(name, path.split(".")) for name, path in partition.items()]
        self._url = url
        decode = columnar_decoder(table.record_type)
        self._cutter: RecordCutter[Any] = RecordCutter(decode=decode, url=url, block_bytes=_BLOCK_BYTES)
        self._texts = msgspec.json.Decoder(list[msgspec.Raw])
        self._waiting: dict[tuple[Any, ...], list[msgspec.Raw]] = {}
        self._waiting_bytes = 0
        self._at = 0

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes | memoryview) -> Iterator[bytes]:
        for block in self._cutter.cut(batch):
            self._sort(block)
            if self._waiting_bytes >= _GATHERED_BYTES:
                yield from self._gathered()

    def finish(self) -> Iterator[bytes]:
        for block in self._cutter.end():
            self._sort(block)
        yield from self._gathered()

    def _sort(self, block: Block[Any]) -> None:
        with fitting(self._cutter, self._url, block.records):
            keys = [tuple([_value(record, path) for _, path in self._partition]) for record in block.records]
        for key, text in zip(keys, self._texts.decode(block.text), strict=True):
            self._waiting.setdefault(key, []).append(text)
        self._waiting_bytes += len(block.text)

    def _gathered(self) -> Iterator[bytes]:
        for key, texts in self._waiting.items():
            piece = b",".join(texts)
            yield piece
            names = tuple(f"{name}={value}" for (name, _), value in zip(self._partition, map(_shown, key), strict=True))
            self.pieces.setdefault(names, []).append((self._at, len(piece)))
            self._at += len(piece)
        self._waiting, self._waiting_bytes = {}, 0


def _value(record: Any, path: Sequence[str]) -> Any:
    value = reduce(_inner, path, record)
    return naive_utc(value).date() if isinstance(value, datetime) else value


def _inner(value: Any, name: str) -> Any:
    if isinstance(value, list):
        value = value[0] if value else None
    return getattr(value, name, None)


def _shown(value: Any) -> str:
    return _UNNAMED if value is None or value == "" else quote(str(value), safe="")


def _parquet_of(fd: int, pieces: Iterable[tuple[int, int]], parquet: Parquet) -> Iterator[bytes]:
    """Yield the Parquet file of the records whose text is in these pieces of a file."""
    before = b"["
    for start, length in pieces:
        yield from parquet.feed(before)
        for at in range(start, start + length, _READ_BYTES):
            yield from parquet.feed(read_at(fd, min(_READ_BYTES, start + length - at), at))
        before = b","
    yield from parquet.feed(b"]")
    yield from parquet.finish()


# Staging and names; these run in threads ------------------------------------------------------------------------------


@asynccontextmanager
async def _staging(folder: Path, aside: Path, stem: str, url: str) -> AsyncGenerator[Path, None]:
    """A folder for files on their way, gone afterwards."""
    staging = aside / f"{stem}.{secrets.token_hex(8)}"
    try:
        await anyio.to_thread.run_sync(_ours, _make_staging, folder, url, stem, staging)
        yield staging
    finally:
        with anyio.move_on_after(_CLEANUP_S, shield=True):
            await anyio.to_thread.run_sync(shutil.rmtree, staging, True, abandon_on_cancel=True)


async def _to_its_end(work: Callable[..., None], *arguments: Any) -> None:
    """Run in a thread what is not to be left in its middle: a cancellation goes on when that is done."""
    cancelled: asyncio.CancelledError | None = None
    # A task, because a cancelled thread hop would go on without anybody waiting for it.
    thread = asyncio.ensure_future(anyio.to_thread.run_sync(work, *arguments))
    with anyio.CancelScope(shield=True):
        while not thread.done():
            try:
                await asyncio.wait([thread])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled from thread.exception()
    thread.result()


def _make_staging(folder: Path, stem: str, staging: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    staging.mkdir(parents=True)
    leftover = re.compile(re.escape(stem) + r"\.[0-9a-f]{16}")
    for other in staging.parent.iterdir():
        if other != staging and leftover.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)


def _take_names(folder: Path, aside: Path, stem: str, staging: Path, files: Sequence[DataFile]) -> None:
    """Put the staged files in their places and remove what the stem had there before; any step may be the last.

    Until the end the list has both the old and the new files; whoever comes after a crash replaces them all.
    """
    listed = aside / f"{stem}.json"
    new = [one.path.as_posix() for one in files]
    old: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        old = msgspec.json.decode(listed.read_bytes(), type=list[str])
    stale = sorted(set(old) - set(new))
    _write_list(listed, staging, [*new, *stale])
    changed: set[Path] = set()
    for number, path in enumerate(new):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / str(number)).replace(target)
        changed.update(target.relative_to(folder).parents)
    for inside in changed:
        sync_folder(folder / inside)
    for path in stale:
        (folder / path).unlink(missing_ok=True)
    _write_list(listed, staging, new)


def _write_list(listed: Path, staging: Path, paths: Sequence[str]) -> None:
    part = staging / "list"
    with part.open("wb") as file:
        file.write(msgspec.json.encode(paths))
        file.flush()
        os.fsync(file.fileno())
    part.replace(listed)
    sync_folder(listed.parent)


def _ours(work: Callable[..., None], folder: Path, url: str, *arguments: Any) -> None:
    try:
        work(folder, *arguments)
    except OSError as error:
        raise as_ours(error, url, folder, 0) from error
