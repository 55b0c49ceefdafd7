"""Bodies of records: to a file in one of five forms, or to the caller record by record.

Works on any `Body`, so nothing here speaks HTTP. Other files (images, FITS, CDF) go through `sink.save`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from aurora_async.errors import IncompleteBody, WrongContent
from aurora_async.transfer._forms import Listed, merged_runs, shape_for
from aurora_async.transfer.cutter import Block, RecordCutter
from aurora_async.transfer.decoding import decoder
from aurora_async.transfer.formats import Format, TableForm
from aurora_async.transfer.sink import Data, PartFile, Saved, pump, refuse_other_length

__all__ = ["Body", "blocks", "download", "parse", "records"]

T = TypeVar("T")

_CHUNK_BYTES = 128 * 1024
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
                    del block  # before the next is made, in the same memory
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
    found = _at_once(text, record_type)
    if found is None:
        cutter: RecordCutter[T] = RecordCutter(record_type, url=url)
        found = cutter.feed(text) + cutter.finish()
    refuse_other_count(len(found), expected_records, url, None)
    return found


@lru_cache(maxsize=64)
def _decoder(record_type: Any) -> Callable[[bytes], list[Any]]:
    return decoder(record_type)


def _at_once(text: bytes, record_type: Any) -> list[Any] | None:
    """Decode what is nothing but a list of records, bare or as the only member of an object; None when it is not."""
    if text.startswith(b'{"result":') and text.endswith(b"}"):
        listed = text[10:-1]  # if this is a list, it is all that the object has
    elif text.startswith(b"["):
        listed = text
    else:
        return None
    try:
        records = _decoder(record_type)(listed)
        if not text.isascii():
            text.decode()  # nobody looks into the strings of unknown fields
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the slow way finds out what is wrong
    return records


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
    shape = shape_for(format, body.url, sort_key, table)
    close = getattr(shape, "close", None)
    async with PartFile(target, url=body.url, sha256=sha256, overwrite=overwrite, close=close) as part:
        received = await fill(body, part, shape.feed)
        refuse_other_length(received, body.length, body.url, target)
        try:
            await part.run(write_all, part, shape.finish)
        except IncompleteBody as error:
            raise IncompleteBody(error.url, target, error.reason) from None
        refuse_other_count(shape.records, expected_records, body.url, target)
        if isinstance(shape, Listed) and len(shape.runs) > 1:
            async with PartFile(target, url=body.url, sha256=sha256, overwrite=overwrite) as ordered:
                merged = merged_runs(part.fd, shape)
                while piece := await part.run(next, merged, b""):
                    await ordered.write(piece)
                await ordered.commit()
            part = ordered
        else:
            await part.commit()
        return Saved(target, part.written_bytes, shape.records, part.sha256, time.monotonic() - started)


async def fill(body: Body, part: PartFile, shape: Callable[[Data], Iterable[Data]]) -> int:
    """Move a whole body into a part file, by the fast way if it has one; `shape` and what is returned as for `pump`."""
    received = await part.take(body, shape)
    async with contextlib.aclosing(closable(body.chunks(_CHUNK_BYTES))) as chunks:
        return received + await pump(chunks, part, shape)


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
