"""The forms in which a body of records is saved: what is written for what was read, in the writer's thread."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, Protocol

import msgspec

from aurora_async.errors import InvalidInput
from aurora_async.transfer._csv import Csv
from aurora_async.transfer._parquet import Parquet
from aurora_async.transfer.cutter import Block, RecordCounter, RecordCutter
from aurora_async.transfer.formats import Format, TableForm, check_format

__all__ = ["Listed", "Shape", "merged_runs", "read_at", "shape_for"]

_WINDOW_BYTES = 2 * 1024 * 1024
_RUNS_BYTES = 4 * 1024 * 1024
_RUN_BYTES = 4 * 1024
_MERGED_BYTES = 1024 * 1024


class Shape(Protocol):
    @property
    def records(self) -> int: ...

    def feed(self, batch: bytes | memoryview, /) -> Iterable[bytes | memoryview]: ...

    def finish(self) -> Iterable[bytes]: ...


def shape_for(format: Format, url: str, sort_key: str | None, table: TableForm | None) -> Shape:
    check_format(format)
    if format == "json":
        return Listed(sort_key, url)
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

    def feed(self, batch: bytes | memoryview) -> Iterable[bytes | memoryview]:
        self._counter.feed(batch)
        return (batch,)

    def finish(self) -> Iterable[bytes]:
        self._counter.finish()
        return ()


class _Lines:
    """One record a line."""

    def __init__(self, url: str) -> None:
        self._cutter = RecordCutter(msgspec.Raw, url=url)
        self._decoder = msgspec.json.Decoder(list[msgspec.Raw])

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes | memoryview) -> Iterable[bytes]:
        return map(self._lines, self._cutter.cut(batch))

    def finish(self) -> Iterable[bytes]:
        return map(self._lines, self._cutter.end())

    def _lines(self, block: Block[msgspec.Raw]) -> bytes:
        compact = msgspec.json.format(block.text, indent=-1)
        as_sent = len(compact) == len(block.text)
        return b"\n".join([*(block.records if as_sent else self._decoder.decode(compact)), b""])


class Listed:
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
        self._cutter = RecordCutter(record_type, url=url)
        self._at = 0
        self._last = ""
        self._in_order = True
        self._window: list[bytes] = []
        self._window_keys: list[str] = []
        self._window_bytes = 0

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes | memoryview) -> Iterator[bytes]:
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


def merged_runs(fd: int, shape: Listed) -> Iterator[bytes]:
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
