"""Parquet while the body arrives: a schema that the record class fixes, and row groups of bounded size."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aurora_async.transfer._arrow import Columns, arrow_schema, import_pyarrow, text_columns
from aurora_async.transfer._columnar import columnar_decoder, fitting
from aurora_async.transfer.cutter import Block, RecordCutter
from aurora_async.transfer.formats import TableForm

__all__ = ["Parquet"]

_BLOCK_BYTES = 128 * 1024
_ROW_GROUP_BYTES = 6 * 1024 * 1024
"""Of JSON; as columns it takes two thirds of that. One is filled while the one before it is written."""
_BUFFER_BYTES = 1024 * 1024


class Parquet:
    """Records as a Parquet file, compressed with zstd; the table's `about` goes into the metadata of its schema.

    Runs in the writer's thread, and in one of its own: pyarrow makes pages of a row group without the interpreter's
    lock, while the next is read. `close` waits for that thread. What the file knows of itself, beside its records, is
    below keys like `aurora_async.query`; when and by which version it was written is added here.
    """

    def __init__(self, url: str, table: TableForm) -> None:
        self._url = url
        decode = columnar_decoder(table.record_type)
        self._cutter: RecordCutter[Any] = RecordCutter(decode=decode, url=url, block_bytes=_BLOCK_BYTES)
        self._record_type = table.record_type
        self._about = {
            "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "version": _version(),
            **table.about,
        }
        self._columns: Columns | None = None
        self._columns_bytes = 0
        self._written = _Written()
        self._buffer: Any = None
        self._writer: Any = None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._writing: Future[None] | None = None

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes | memoryview) -> Iterable[bytes]:
        return self._taken(self._cutter.cut(batch))

    def finish(self) -> Iterator[bytes]:
        yield from self._taken(self._cutter.end())
        yield from self._row_group()
        yield from self._finished()
        self._open().close()
        self._buffer.flush()
        yield from self._written.take()

    def close(self) -> None:
        """Wait for what is still being written; nothing can be fed any more."""
        self._beside.shutdown()

    def _taken(self, blocks: Iterable[Block[Any]]) -> Iterator[bytes]:
        for block in blocks:
            if self._columns is None:
                self._columns = Columns(self._record_type)
            with fitting(self._cutter, self._url, block.records):
                self._columns.extend(block.records)
            self._columns_bytes += len(block.text)
            if self._columns_bytes >= _ROW_GROUP_BYTES:
                yield from self._row_group()

    def _row_group(self) -> Iterator[bytes]:
        yield from self._finished()
        if self._columns is not None:
            self._writing = self._beside.submit(self._write, self._columns)
            self._columns, self._columns_bytes = None, 0

    def _finished(self) -> Iterator[bytes]:
        """Wait for the row group that is being written, if one is; yield what it has become."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
        yield from self._written.take()

    def _write(self, columns: Columns) -> None:
        table = import_pyarrow().Table.from_batches([columns.finish()])
        self._open().write_table(table, row_group_size=table.num_rows)
        self._buffer.flush()

    def _open(self) -> Any:
        if self._writer is None:
            from pyarrow.parquet import ParquetWriter

            pa = import_pyarrow()
            metadata = {f"aurora_async.{key}": value for key, value in self._about.items()}
            schema = arrow_schema(self._record_type).with_metadata(metadata)
            # For each of its pages the writer would wait until the other thread lets go of the interpreter's lock.
            self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._written, "w"), _BUFFER_BYTES)
            # Numbers that hardly ever repeat are written faster, and shorter, without a dictionary.
            self._writer = ParquetWriter(self._buffer, schema, compression="zstd", use_dictionary=text_columns(schema))
        return self._writer


@cache
def _version() -> str:
    from importlib.metadata import version  # brings email and zipfile along

    return version("aurora-async")


class _Written(io.RawIOBase):
    """A file to pyarrow, that hands what is written to it to the part file, whose errors are ours."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def take(self) -> list[bytes]:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces
