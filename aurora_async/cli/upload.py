"""`upload`: records from a file into a data source, in constant memory, with progress."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import aiofiles
import msgspec

from aurora_async.aurorax import AuroraX, ChunkOutcome, UploadFailed, UploadReport
from aurora_async.aurorax.wire import KINDS
from aurora_async.cli.client import ask
from aurora_async.cli.exits import Common, Failed
from aurora_async.cli.listing import note
from aurora_async.cli.queryfile import in_daemon_thread
from aurora_async.cli.screen import console_for
from aurora_async.display import numbers
from aurora_async.display.terminal import is_live
from aurora_async.errors import IncompleteBody, InvalidInput, MalformedAnswer
from aurora_async.transfer.cutter import RecordCutter
from aurora_async.transfer.decoding import converted

__all__ = ["documents", "upload"]

_PIECE_BYTES = 1 << 18
_LONGEST_LINE = 1 << 20
_LINES_EVERY_S = 2.0
_BLANK = b" \t\r\n\xef\xbb\xbf"
_SOURCE_KEYS = ("program", "platform", "instrument_type")


def upload(common: Common, kind: str, source: int, file: str, **how: Any) -> None:
    """Load the records in a file."""
    if file != "-":
        if not Path(file).exists():
            raise InvalidInput(file, "there is no such file")
        if Path(file).is_dir():
            raise InvalidInput(file, "is a folder; give a file of records")
    accepted = 0

    with _progress(common) as tell:

        def on_chunk(outcome: ChunkOutcome) -> None:
            nonlocal accepted
            if outcome.error is None:
                accepted += outcome.count
                tell(accepted)

        async def work(client: AuroraX) -> UploadReport:
            async with aclosing(_records(file, kind, source)) as records:
                report: UploadReport = await getattr(client, kind).upload(source, records, on_chunk=on_chunk, **how)
                return report

        try:
            report = ask(common, work)
        except UploadFailed as error:
            if error.reason is not None:  # the file is at fault
                if accepted == 0:
                    raise error.reason from None
                done = numbers.plural(accepted, "record")
                reason = f"{error.reason}; the server has accepted {done} before it, the rest was not sent"
                raise Failed(reason) from error
            refused = error.report.failed[0].error
            if accepted or not isinstance(refused, InvalidInput):
                raise
            raise InvalidInput(f"{file}: {refused.field}", refused.reason) from error
    if not report.records:
        note(common, f"{file} holds no records; nothing was sent")
    else:
        note(common, f"{numbers.plural(report.records, 'record')} accepted; a search finds them in a few seconds")


async def _records(file: str, kind: str, source: int) -> AsyncGenerator[Any, None]:
    """Yield the records of a file as they are read, each with its data source."""
    record_type = KINDS[kind].record_type
    number = 0
    async with aclosing(documents(file)) as found:
        async for document in found:
            try:
                yield converted(_with_source(document, source), record_type)
            except msgspec.ValidationError as error:
                raise InvalidInput(f"{file}: records[{number}]", str(error)) from None
            number += 1


def _with_source(document: Any, source: int) -> Any:
    """Add the data source to a record that has none, or only its names, as the service takes them."""
    if not isinstance(document, Mapping) or "data_source" in document:
        return document
    names = {name: document[name] for name in _SOURCE_KEYS if name in document}
    return {name: value for name, value in document.items() if name not in names} | {
        "data_source": {"identifier": source, **names}
    }


async def documents(file: str) -> AsyncGenerator[Any, None]:
    """Yield the JSON documents of a file as they are read: those of a list, of a result, or one a line."""
    async with aclosing(_pieces(file)) as pieces:
        begin = b""
        async for piece in pieces:
            begin += piece
            # A list is known by its first character, one record a line by the whole first line.
            text = begin.lstrip(_BLANK)
            if text[:1] == b"[" or b"\n" in text or len(text) > _LONGEST_LINE:
                break
        way = _by_line if _is_lines(begin.lstrip(_BLANK).partition(b"\n")[0]) else _by_cutting
        async with aclosing(way(file, begin, pieces)) as found:
            async for document in found:
                yield document


async def _by_cutting(file: str, begin: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[Any, None]:
    cutter: RecordCutter[Any] = RecordCutter(url=file)
    try:
        for document in cutter.feed(begin):
            yield document
        async for piece in pieces:
            for document in cutter.feed(piece):
                yield document
        for document in cutter.finish():
            yield document
    except (MalformedAnswer, IncompleteBody) as error:
        reason = error.reason if isinstance(error, MalformedAnswer) else "it ends in the middle"
        raise InvalidInput(file, f"is neither a JSON list of records nor one record a line: {reason}") from None


def _is_lines(first: bytes) -> bool:
    try:
        document = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return False
    return isinstance(document, dict) and "result" not in document


async def _by_line(file: str, begin: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[Any, None]:
    number, rest = 0, begin

    def decoded(line: bytes) -> Any:
        try:
            return msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"{file}: line {number}", f"is not JSON: {error}") from None

    while True:
        *lines, rest = rest.split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield decoded(line)
        piece = await anext(pieces, b"")
        if not piece:
            break
        rest += piece
    number += 1
    if rest.strip():
        yield decoded(rest)


async def _pieces(file: str) -> AsyncGenerator[bytes, None]:
    if file == "-":
        while piece := await in_daemon_thread(lambda: os.read(sys.stdin.fileno(), _PIECE_BYTES)):
            yield piece
        return
    async with aiofiles.open(file, "rb") as opened:
        while piece := await opened.read(_PIECE_BYTES):
            yield piece


@contextmanager
def _progress(common: Common) -> Iterator[Callable[[int], None]]:
    """Give what shows how many records have been accepted: a line drawn over, or one every two seconds."""
    console = console_for(sys.stderr)
    if common.quiet:
        yield lambda accepted: None
        return
    if is_live(console):
        with console.status("uploading …") as status:
            yield lambda accepted: status.update(f"uploading … {numbers.count(accepted)} records accepted")
        return
    last = time.monotonic()

    def tell(accepted: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINES_EVERY_S:
            last = time.monotonic()
            note(common, f"{numbers.count(accepted)} records accepted")

    yield tell
