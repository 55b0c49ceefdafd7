"""CSV while the body arrives: the flat columns of a DataFrame, the same for every record."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from aurora_async.errors import MalformedAnswer
from aurora_async.transfer._columnar import columnar_decoder, fitting, naive_utc
from aurora_async.transfer._json import json_bytes
from aurora_async.transfer._shapes import Column, ValueKind, columns, layout_of
from aurora_async.transfer.cutter import Block, RecordCutter
from aurora_async.transfer.formats import TableForm

__all__ = ["Csv"]

_BLOCK_BYTES = 256 * 1024


class Csv:
    """Records as CSV (RFC 4180, UTF-8), with a header also when there are none.

    Instants are ISO 8601 with a Z, what is missing is empty, lists and metadata are JSON. Numbered columns
    (`program_1`, `program_2`) are as many as the table's `places`, or else as the first record needs: all conjunctions
    of a query have a data source for each of its blocks, so that no later one needs more.
    """

    def __init__(self, url: str, table: TableForm) -> None:
        self._url = url
        decode = columnar_decoder(table.record_type)
        self._cutter: RecordCutter[Any] = RecordCutter(decode=decode, url=url, block_bytes=_BLOCK_BYTES)
        self._record_type = table.record_type
        self._numbered = layout_of(table.record_type).numbered
        self._places = table.places
        self._has_header = False
        self._row = 0

    @property
    def records(self) -> int:
        return self._cutter.count

    def feed(self, batch: bytes | memoryview) -> Iterable[bytes]:
        return map(self._lines, self._cutter.cut(batch))

    def finish(self) -> Iterator[bytes]:
        yield from map(self._lines, self._cutter.end())
        if not self._has_header:
            yield self._text([])

    def _lines(self, block: Block[Any]) -> bytes:
        for name in self._numbered:
            self._refuse_longer([getattr(record, name, None) for record in block.records], name)
        self._row += len(block.records)
        with fitting(self._cutter, self._url, block.records):
            return self._text(block.records)

    def _text(self, records: list[Any]) -> bytes:
        found = list(columns(records, self._record_type, places=self._places))
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if not self._has_header:
            self._has_header = True
            writer.writerow([column.name for column in found])
        writer.writerows(zip(*map(_texts, found), strict=True))
        return text.getvalue().encode()

    def _refuse_longer(self, lists: list[list[Any] | None], name: str) -> None:
        lengths = [len(one or ()) for one in lists]
        if self._places is None:
            self._places = max(2, lengths[0])
        if max(lengths) > self._places:
            at = next(at for at, length in enumerate(lengths) if length > self._places)
            reason = f"has {lengths[at]} entries, where the file has columns for {self._places}; save it as jsonl"
            raise MalformedAnswer(self._url, f"{self._cutter.path}[{self._row + at}].{name}", reason)


def _texts(column: Column) -> list[Any]:
    if column.kind is ValueKind.TIME:
        return [None if value is None else f"{naive_utc(value).isoformat()}Z" for value in column.values]
    if column.kind is ValueKind.FLAG:
        return [None if value is None else "true" if value else "false" for value in column.values]
    if column.kind in (ValueKind.COUNT, ValueKind.NUMBER, ValueKind.TEXT):
        return column.values
    return [None if value is None else json_bytes(value).decode() for value in column.values]
