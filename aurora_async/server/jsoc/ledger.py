"""What is kept of exports, in the service's database: who asked for what and when, how it ended, and its files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import attrs

from aurora_async.server.jsoc.making import ExportFile
from aurora_async.server.jsoc.orders import Order
from aurora_async.server.store import Store

__all__ = ["Entry", "Ledger"]


@attrs.define(kw_only=True)
class Entry:
    """An export; instants are microseconds since 1970."""

    number: int
    request_id: str
    address: str
    ip_address: str
    order: Order
    fingerprint: str | None
    """None: never the answer to another request."""
    requested_us: int
    due_us: int | None
    """When it ends at the earliest; None means never."""
    status: int
    """2 while it is pending, as in the answer to its request; then what it ended with."""
    error: str | None = None
    expires_us: int | None = None
    records: int
    megabytes: int
    fate: str | None = None
    """How it is to fail."""
    expires: bool = attrs.field(default=False, converter=bool)
    """Whether its files are gone when it ends."""
    count_off: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended."""
        return self.status == 2


_COLUMNS = tuple(field.name for field in attrs.fields(Entry))
_SELECT = f"SELECT {', '.join('query' if name == 'order' else name for name in _COLUMNS)} FROM jsoc_exports"
_INSERT = (
    f"INSERT INTO jsoc_exports ({', '.join('query' if name == 'order' else name for name in _COLUMNS)})"
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
)


class Ledger:
    """The exports in a store (borrowed)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Writing --------------------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> asyncio.Future[Any]:
        """Keep an export that has just been accepted."""
        values = [getattr(entry, name) for name in _COLUMNS]
        values[_COLUMNS.index("order")] = entry.order.as_json()
        return self._store.apply(lambda connection: connection.execute(_INSERT, values) and None)

    def end(self, entry: Entry, files: Sequence[ExportFile] = ()) -> asyncio.Future[Any]:
        """Keep how an export ended, and its files."""
        rows = [
            (entry.number, file.name, file.record.sunum, int(file.record.slot_dir[1:]), file.segment) for file in files
        ]
        values = (entry.status, entry.error, entry.expires_us, entry.number)

        def change(connection: sqlite3.Connection) -> None:
            sql = "UPDATE jsoc_exports SET status = ?, error = ?, expires_us = ? WHERE number = ?"
            connection.execute(sql, values)
            connection.executemany("INSERT OR REPLACE INTO jsoc_export_files VALUES (?, ?, ?, ?, ?)", rows)

        return self._store.apply(change)

    def forget_files(self, number: int) -> asyncio.Future[Any]:
        """Keep that an export has no files any more."""
        sql = "DELETE FROM jsoc_export_files WHERE export = ?"
        return self._store.apply(lambda connection: connection.execute(sql, (number,)) and None)

    # Reading: for a moment each -------------------------------------------------------------------------------------

    def by_id(self, request_id: str) -> Entry | None:
        """Return an export by its id."""
        return self._first("WHERE request_id = ?", request_id)

    def by_number(self, number: int) -> Entry | None:
        """Return an export by its number."""
        return self._first("WHERE number = ?", number)

    def like(self, fingerprint: str, since_us: int, now_us: int) -> Entry | None:
        """Return the newest export that came to the same, which has not failed, and whose files are there."""
        return self._first(
            "WHERE fingerprint = ? AND requested_us >= ? AND status IN (0, 2)"
            " AND (expires_us IS NULL OR expires_us > ?) ORDER BY number DESC LIMIT 1",
            *(fingerprint, since_us, now_us),
        )

    def pending(self) -> list[Entry]:
        """Return the exports that have not ended, in the order in which they came."""
        return self._entries("WHERE status = 2 ORDER BY number")

    def expired(self, now_us: int) -> list[Entry]:
        """Return the exports whose files have had their time and are still listed."""
        return self._entries(
            "WHERE expires_us <= ? AND EXISTS (SELECT 1 FROM jsoc_export_files WHERE export = number)", now_us
        )

    def last_number(self) -> int:
        """Return the number of the newest export, 0 if there is none."""
        return int(self._store.read("SELECT coalesce(max(number), 0) FROM jsoc_exports")[0][0])

    def last_id(self, prefix: str) -> str | None:
        """Return the newest id that begins so."""
        sql = "SELECT request_id FROM jsoc_exports WHERE substr(request_id, 1, ?) = ? ORDER BY number DESC LIMIT 1"
        rows = self._store.read(sql, (len(prefix), prefix))
        return str(rows[0][0]) if rows else None

    def file(self, number: int, name: str) -> tuple[int, int, str] | None:
        """Return storage unit, slot and segment of a file of an export."""
        sql = "SELECT sunum, slot, segment FROM jsoc_export_files WHERE export = ? AND filename = ?"
        rows = self._store.read(sql, (number, name))
        return (int(rows[0][0]), int(rows[0][1]), str(rows[0][2])) if rows else None

    def _first(self, rest: str, *values: Any) -> Entry | None:
        found = self._entries(rest, *values)
        return found[0] if found else None

    def _entries(self, rest: str, *values: Any) -> list[Entry]:
        entries = []
        for row in self._store.read(f"{_SELECT} {rest}", values):
            fields = dict(zip(_COLUMNS, row, strict=True))
            fields["order"] = Order.of_json(fields["order"])
            entries.append(Entry(**fields))
        return entries
