"""Parquet while the body arrives: a schema that the record class fixes, and row groups of bounded size."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aurora_async.transfer._arrow import arrow_schema, import_pyarrow, record_batch, text_columns
from aurora_async.transfer._columnar import columnar_decoder, fitting
from aurora_async.transfer.cutter import Block, RecordCutter
from aurora_async.transfer.formats import TableForm

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Parquet"]

# A column costs some microseconds however short it is, and a record of ephemeris has thirty of them.
_BLOCK_BYTES = 1024 * 1024
_ROW_GROUP_BYTES = 8 * 1024 * 1024
"""Of Arrow memory: what waits for its row group, and, compressed, once more while that is written."""


class Parquet:
    """Records as a Parquet file, compressed with zstd; the table's `about` goes into the metadata of its schema.

    Runs in the writer's thread. What the file knows of itself, beside its records, is below keys like
    `aurora_async.query`; when and by which version it was written is added here.
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
        self._written = _Written()
        self._writer: Any = None
        self._waiting: list[pyarrow.RecordBatch] = []
        self._waiting_bytes = 0

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes | memoryview) -> Iterable[bytes]:
        return self._taken(self._cutter.cut(batch))

    def finish(self) -> Iterator[bytes]:
        yield from self._taken(self._cutter.end())
        yield from self._row_group()
        self._open().close()
        yield from self._written.take()

    def _taken(self, blocks: Iterable[Block[Any]]) -> Iterator[bytes]:
        for block in blocks:
            with fitting(self._cutter, self._url, block.records):
                batch = record_batch(block.records, self._record_type)
            self._waiting.append(batch)
            self._waiting_bytes += batch.nbytes
            if self._waiting_bytes >= _ROW_GROUP_BYTES:
                yield from self._row_group()

    def _row_group(self) -> Iterator[bytes]:
        writer = self._open()
        if self._waiting:
            table = import_pyarrow().Table.from_batches(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
            writer.write_table(table, row_group_size=table.num_rows)
        yield from self._written.take()

    def _open(self) -> Any:
        if self._writer is None:
            from pyarrow.parquet import ParquetWriter

            metadata = {f"aurora_async.{key}": value for key, value in self._about.items()}
            schema = arrow_schema(self._record_type).with_metadata(metadata)
            # Numbers that hardly ever repeat are written faster, and shorter, without a dictionary.
            self._writer = ParquetWriter(self._written, schema, compression="zstd", use_dictionary=text_columns(schema))
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
