"""Bodies of records: to a file in one of five forms, or to the caller record by record.

Works on any `Body`, so nothing here speaks HTTP. Other files (images, FITS, CDF) go through `sink.save`.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from aurora_async.errors import IncompleteBody, InvalidInput, WrongContent
from aurora_async.transfer._csv import Csv
from aurora_async.transfer._parquet import Parquet
from aurora_async.transfer.cutter import RAW_BLOCK_BYTES, Block, RecordCounter, RecordCutter
from aurora_async.transfer.formats import Format, TableForm, check_format
from aurora_async.transfer.sink import PartFile, Saved, pump, refuse_other_length

__all__ = ["Body", "blocks", "download", "parse", "records"]

T = TypeVar("T")

_CHUNK_BYTES = 128 * 1024
_WINDOW_BYTES = 2 * 1024 * 1024
_RUNS_BYTES = 4 * 1024 * 1024
_RUN_BYTES = 4 * 1024
_MERGED_BYTES = 1024 * 1024
_THREAD_FROM_BYTES = 256 * 1024


class Body(Protocol):
    """What is read: borrowed, so whoever opened it closes it."""

    @property
    def url(self) -> str:
        """Where it comes from."""

    @property
    def length(self) -> int | None:
        """How many bytes `chunks` yields in all, None if that is not known."""

    def chunks(self, size: int = ..., /) -> AsyncIterator[bytes]:
        """Yield the bytes, decompressed, at most `size` at a time."""


@overload
def records(body: Body, record_type: type[T], *, expected_records: int | None = None) -> AsyncGenerator[T, None]: ...


@overload
def records(
    body: Body, record_type: None = None, *, expected_records: int | None = None
) -> AsyncGenerator[Any, None]: ...


async def records(
    body: Body, record_type: type[Any] | None = None, *, expected_records: int | None = None
) -> AsyncGenerator[Any, None]:
    """Yield the records of a body while it arrives, in the server's order and in constant memory.

    Nothing is read ahead of the caller but what the socket buffers. Stop early by closing the iterator
    (`contextlib.aclosing`); the body itself stays its owner's.

    Args:
        body: Borrowed.
        record_type: What to decode each record into, None for plain dictionaries.
        expected_records: How many the status promised.

    Raises:
        MalformedAnswer: A record is not what its type says; `where` points at it.
        ResultMissing: The body is a whole document without records.
        IncompleteBody: The body ended early. The records yielded until then are right.
        WrongContent: All came, and their number is not `expected_records`.
    """
    async with contextlib.aclosing(blocks(body, record_type, expected_records=expected_records)) as cut:
        async for block in cut:
            for record in block.records:
                yield record
            del block


@overload
def blocks(
    body: Body, record_type: type[T], *, expected_records: int | None = None
) -> AsyncGenerator[Block[T], None]: ...


@overload
def blocks(
    body: Body, record_type: None = None, *, expected_records: int | None = None
) -> AsyncGenerator[Block[Any], None]: ...


async def blocks(
    body: Body, record_type: type[Any] | None = None, *, expected_records: int | None = None
) -> AsyncGenerator[Block[Any], None]:
    """Like `records`, some hundred at a time: for callers that pass many on at once."""
    cutter: RecordCutter[Any] = RecordCutter(record_type, url=body.url)
    received = 0
    async with contextlib.aclosing(closable(body.chunks(_CHUNK_BYTES))) as chunks:
        async for chunk in chunks:
            received += len(chunk)
            for at in range(0, len(chunk), _CHUNK_BYTES):
                piece = chunk[at : at + _CHUNK_BYTES] if len(chunk) > _CHUNK_BYTES else chunk
                for block in await _cut(cutter, cutter.cut(piece)):
                    yield block
                    del block  # before the next is made: see cutter._BLOCK_BYTES
                # The chunks may all be here already, and then nothing above ever lets go of the loop.
                await anyio.lowlevel.checkpoint()
    refuse_other_length(received, body.length, body.url, None)
    for block in await _cut(cutter, cutter.end()):
        yield block
    refuse_other_count(cutter.count, expected_records, body.url, None)


async def _cut(cutter: RecordCutter[T], cut: Iterator[Block[T]]) -> Iterable[Block[T]]:
    if cutter.buffered_bytes <= _THREAD_FROM_BYTES:
        return cut
    # A huge record: even a single look at it would hold up everybody else on the loop.
    return await anyio.to_thread.run_sync(list, cut)


def parse(text: bytes, record_type: type[T] | None = None, *, url: str, expected_records: int | None = None) -> list[T]:
    """Return the records of a small body that is in memory already; errors are those of `records`."""
    cutter: RecordCutter[T] = RecordCutter(record_type, url=url)
    found = cutter.feed(text) + cutter.finish()
    refuse_other_count(cutter.count, expected_records, url, None)
    return found


async def download(
    body: Body,
    target: Path,
    *,
    expected_records: int | None = None,
    format: Format = "body",
    sort_key: str | None = None,
    table: TableForm | None = None,
    sha256: bool = True,
    overwrite: bool = True,
) -> Saved:
    """Save a body of records, whole or not at all.

    The file takes its name only when the JSON was complete and held as many records as promised. Memory does not grow
    with the body: some 20 MiB on top of `sink.save`, for `parquet` some 100 MiB.

    Args:
        body: Borrowed.
        target: Final name; missing folders are made.
        expected_records: How many the status promised, None to accept any number.
        format: `body` keeps the server's bytes. `jsonl` has one record a line, without white space, in the server's
            order. `json` is what `aurorax-cli` writes: a bare list, two spaces of indentation, ASCII; numbers are
            spelled as the server spelled them. `csv` has the columns of `Records.to_pandas`, `parquet` those of
            `Records.to_arrow`, both in the server's order and decided by the class before the first record.
        sort_key: For `json`: sort by this text (`start`, `epoch`) of each record, equal ones in the server's order,
            those without it at the end. A body in order costs nothing more; any other is sorted on disk, which for a
            while takes the size of the file once more, and some 15 KiB of memory for each 2 MiB of body.
        table: For `csv` and `parquet`: what the table is to be like.
        sha256: Compute the digest of the file.
        overwrite: False never replaces a file.

    Raises:
        InvalidInput, MissingExtra: It cannot be written in this form; nothing was read.
        ResultMissing: The body is a whole document without records; `rest` is that document.
        IncompleteBody: The body ended early.
        WrongContent: All came, and their number is not `expected_records`.
        MalformedAnswer: Not JSON, or not records; for a table, a record is not what its class says, and `where` which.
        DiskFull, TargetNotWritable: As `sink.save`.
    """
    started = time.monotonic()
    target = Path(target)
    shape = _shape(format, body.url, sort_key, table)
    async with PartFile(target, url=body.url, sha256=sha256, overwrite=overwrite) as part:
        async with contextlib.aclosing(closable(body.chunks(_CHUNK_BYTES))) as chunks:
            received = await pump(chunks, part, shape.feed)
        refuse_other_length(received, body.length, body.url, target)
        try:
            await part.run(write_all, part, shape.finish)
        except IncompleteBody as error:
            raise IncompleteBody(error.url, target, error.reason) from None
        refuse_other_count(shape.records, expected_records, body.url, target)
        if isinstance(shape, _Listed) and len(shape.runs) > 1:
            async with PartFile(target, url=body.url, sha256=sha256, overwrite=overwrite) as ordered:
                merged = _merge(part.fd, shape)
                while piece := await part.run(next, merged, b""):
                    await ordered.write(piece)
                await ordered.commit()
            part = ordered
        else:
            await part.commit()
        return Saved(target, part.written_bytes, shape.records, part.sha256, time.monotonic() - started)


def write_all(part: PartFile, finish: Callable[[], Iterable[bytes]]) -> None:
    """Write what a form still has, in the writer's thread."""
    for piece in finish():
        part.write_here(piece)


def refuse_other_count(found: int, expected: int | None, url: str, target: Path | None) -> None:
    """Raise unless there are as many records as promised."""
    if expected is not None and found != expected:
        reason = f"the body holds {found} records, the status of the request says {expected}; download it again"
        raise WrongContent(url, target, reason, expected, found)


async def closable(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Any iterator as one that can be closed, which closes it too if it has a way."""
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


# --- Forms: what is written for what was read; they run in the writer's thread ---------------------------------------


class _Shape(Protocol):
    @property
    def records(self) -> int: ...

    def feed(self, batch: bytes, /) -> Iterable[bytes]: ...

    def finish(self) -> Iterable[bytes]: ...


def _shape(format: Format, url: str, sort_key: str | None, table: TableForm | None) -> _Shape:
    check_format(format)
    if format == "json":
        return _Listed(sort_key, url)
    if sort_key is not None:
        raise InvalidInput("sort_key", f"only format 'json' is sorted, not {format!r}")
    if format == "jsonl":
        return _Lines(url)
    if format == "body":
        return _AsSent(url)
    if table is None:
        raise InvalidInput("table", f"format {format!r} needs to know the class of the records")
    return Csv(url, table) if format == "csv" else Parquet(url, table)


class _AsSent:
    """The bytes themselves, counted."""

    def __init__(self, url: str) -> None:
        self._counter = RecordCounter(url=url)

    @property
    def records(self) -> int:
        return self._counter.records

    def feed(self, batch: bytes) -> Iterable[bytes]:
        self._counter.feed(batch)
        return (batch,)

    def finish(self) -> Iterable[bytes]:
        self._counter.finish()
        return ()


class _Lines:
    """One record a line."""

    def __init__(self, url: str) -> None:
        self._cutter = RecordCutter(msgspec.Raw, url=url, block_bytes=RAW_BLOCK_BYTES)
        self._decoder = msgspec.json.Decoder(list[msgspec.Raw])

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes) -> Iterable[bytes]:
        return map(self._lines, self._cutter.cut(batch))

    def finish(self) -> Iterable[bytes]:
        return map(self._lines, self._cutter.end())

    def _lines(self, block: Block[msgspec.Raw]) -> bytes:
        compact = msgspec.json.format(block.text, indent=-1)
        as_sent = len(compact) == len(block.text)
        return b"\n".join([*(block.records if as_sent else self._decoder.decode(compact)), b""])


class _Listed:
    """A bare list with the layout of `json.dump(records, file, indent=2)`, sorted if asked.

    Numbers keep the server's spelling, which is also Python's unless the server writes `1E5` or `0.10`. Strings are
    spelled as `json.dump` spells them. What is written is in order as long as the body is; when that ends, windows of
    2 MiB are sorted on their own, and what fits behind the last record extends its run. More than one run at the end
    are merged by `_merge`: stable, as windows are sorted stably and runs follow each other in the server's order.
    """

    def __init__(self, sort_key: str | None, url: str) -> None:
        self.runs: list[tuple[int, int]] = []
        self._sorted = sort_key is not None
        record_type: type[Any] = msgspec.Raw if sort_key is None else _keyed(sort_key)
        self.decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[record_type])  # type: ignore[valid-type]
        self._cutter = RecordCutter(record_type, url=url, block_bytes=RAW_BLOCK_BYTES)
        self._at = 0
        self._last = ""
        self._in_order = True
        self._window: list[bytes] = []
        self._window_keys: list[str] = []
        self._window_bytes = 0

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes) -> Iterator[bytes]:
        for block in self._cutter.cut(batch):
            yield from self._take(block)

    def finish(self) -> Iterator[bytes]:
        for block in self._cutter.end():
            yield from self._take(block)
        if self._window:
            yield self._sorted_window()
        yield b"\n]" if self.runs else b"[]"

    def _take(self, block: Block[Any]) -> Iterator[bytes]:
        text = _as_json_dump(msgspec.json.format(block.text, indent=2)[4:-2])
        if not self._sorted:
            yield self._append(text, new_run=False)
            return
        keys = _keys(block.records)
        if self._in_order and keys[0] >= self._last and keys == sorted(keys):
            self._last = keys[-1]
            yield self._append(text, new_run=False)
            return
        self._in_order = False
        self._window.append(text)
        self._window_keys += keys
        self._window_bytes += len(block.text)
        if self._window_bytes >= _WINDOW_BYTES:
            yield self._sorted_window()

    def _sorted_window(self) -> bytes:
        found = [record for text in self._window for record in _split(text)]
        keys = self._window_keys
        self._window = []
        order = sorted(range(len(keys)), key=keys.__getitem__)
        new_run = keys[order[0]] < self._last
        self._last = keys[order[-1]]
        self._window_keys, self._window_bytes = [], 0
        return self._append(b"{" + _BETWEEN_OBJECTS.join([found[index] for index in order]), new_run=new_run)

    def _append(self, text: bytes, *, new_run: bool) -> bytes:
        before = _BETWEEN if self.runs else _BEFORE
        start = self._at + len(before)
        self._at = start + len(text)
        if new_run or not self.runs:
            self.runs.append((start, self._at))
        else:
            self.runs[-1] = (self.runs[-1][0], self._at)
        return before + text


_BEFORE = b"[\n  "
_BETWEEN = b",\n  "
_BETWEEN_OBJECTS = b",\n  {"
"""Stands between two records and nowhere else: within one, lines are indented deeper, and strings have no lines."""

_UNLIKE_JSON_DUMP = re.compile(rb"(?:\\u[0-9a-fA-F]{4})++|\\.|[\x7f-\xff]++")


def _as_json_dump(text: bytes) -> bytes:
    """Spell strings as `json.dump` does: ASCII alone, and each escape in its one canonical form."""
    if text.isascii() and b"\\" not in text and b"\x7f" not in text:
        return text
    return _UNLIKE_JSON_DUMP.sub(lambda found: json.dumps(json.loads(b'"%s"' % found[0]))[1:-1].encode(), text)


def _keyed(sort_key: str) -> type[Any]:
    """Return a type with the one field of a record that it is sorted by, as `key`."""
    return msgspec.defstruct("Record", [("key", str | None, None)], rename={"key": sort_key}, gc=False)


_LAST = "\U0010ffff"


def _keys(found: Iterable[Any]) -> list[str]:
    return [_LAST if record.key is None else record.key for record in found]


def _split(text: bytes) -> list[bytes]:
    """Split `{...},\\n  {...}` into its records, each without its first brace."""
    return text[1:].split(_BETWEEN_OBJECTS)


def _merge(fd: int, shape: _Listed) -> Iterator[bytes]:
    """Yield the file anew, about 1 MiB at a time, its runs merged."""
    size = max(_RUN_BYTES, _RUNS_BYTES // len(shape.runs))
    runs = [_read_run(fd, start, end, size, shape.decoder) for start, end in shape.runs]
    before = _BEFORE + b"{"
    gathered: list[bytes] = []
    gathered_bytes = 0
    for _, record in heapq.merge(*runs, key=itemgetter(0)):
        gathered += (before, record)
        gathered_bytes += len(record)
        before = _BETWEEN_OBJECTS
        if gathered_bytes >= _MERGED_BYTES:
            yield b"".join(gathered)
            gathered, gathered_bytes = [], 0
    yield b"".join([*gathered, b"\n]"])


def _read_run(
    fd: int, at: int, end: int, size: int, decoder: msgspec.json.Decoder[list[Any]]
) -> Iterator[tuple[str, bytes]]:
    """Yield key and text of each record of a run, reading `size` bytes at a time, or as many as one record has."""
    left = b""
    while at < end:
        piece = read_at(fd, min(size, end - at), at)
        at += len(piece)
        text, left = left + piece, b""
        if at < end:
            cut = text.rfind(_BETWEEN_OBJECTS)
            if cut < 0:
                left, size = text, 2 * size
                continue
            text, left = text[:cut], text[cut + len(_BETWEEN) :]
        yield from zip(_keys(decoder.decode(b"[" + text + b"]")), _split(text), strict=True)


def read_at(fd: int, size: int, at: int) -> bytes:
    """Read from a part file, wherever it is written."""
    if hasattr(os, "pread"):
        piece = os.pread(fd, size, at)
    else:
        os.lseek(fd, at, os.SEEK_SET)
        piece = os.read(fd, size)
    if not piece:
        raise OSError(f"the part file ends before byte {at}")
    return piece
