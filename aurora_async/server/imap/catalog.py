"""Which files the archive has, in the service's database: the published ones, uploads, and what processing has made.

A file is seen from its ingestion on. That is how a product appears when its processing is over: it is entered when the
work begins, so that a restart in between forgets nothing.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import attrs

from aurora_async.imap.filenames import FileName, InvalidFileName, SpiceName, parse_name
from aurora_async.server.imap.listing import NOTHING, FileRow, KernelRow
from aurora_async.server.imap.published import PublishedFile, latest_repointings, published_files
from aurora_async.server.store import Store

__all__ = ["MAJOR", "SERIES", "Catalog", "Condition", "Entry", "all_of", "enter_new", "now_s", "seen_now"]


def now_s() -> int:
    """Return the time, in whole seconds since 1970."""
    return int(time.time())


@attrs.frozen(kw_only=True)
class Entry:
    """A file of the archive."""

    key: str
    kind: str
    """As of its name: `science`, `ancillary`, `spice`, …; `other` if that follows no rule."""
    ingested: datetime
    size: int | None
    """None: nobody has brought it; its content is made up when it is asked for."""
    released: bool
    """Whether everybody may have it."""
    is_old: bool
    """Whether it belongs to the archive of January 2024."""


_COLUMNS = tuple(field.name for field in attrs.fields(FileRow))
_ADD = f"INSERT INTO imap_files ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_KERNEL_COLUMNS = tuple(field.name for field in attrs.fields(KernelRow))
_ADD_KERNEL = f"INTO imap_kernels ({', '.join(_KERNEL_COLUMNS)}) VALUES ({', '.join('?' * len(_KERNEL_COLUMNS))})"
_SEEN_KERNELS = (
    "SELECT kernels.*, ingested_s, rank() OVER (PARTITION BY file_root ORDER BY kernels.version DESC) AS place"
    " FROM imap_kernels AS kernels JOIN imap_files USING (file_path) WHERE ingested_s <= ?"
)

SERIES = ("instrument", "data_level", "descriptor", "start_date", "repointing")
"""What the versions of a science file have in common."""
MAJOR = "coalesce(major_version, -1)"
"""In SQL, by what major versions are ordered: any one comes after none."""

Condition = tuple[str, tuple[Any, ...]]
"""A condition in SQL, and the values in it."""


def all_of(conditions: Iterable[Condition]) -> tuple[str, list[Any]]:
    """Return one condition for all of them."""
    conditions = tuple(conditions)
    return " AND ".join(sql for sql, _ in conditions), [value for _, values in conditions for value in values]


def _is_one_of(column: str, values: Sequence[str]) -> Condition:
    return f"{column} IN ({', '.join('?' * len(values))})", tuple(values)


def seen_now(*kinds: str, is_old: bool = False) -> list[Condition]:
    """Return what a file fulfils that queries of these kinds find, now or in the archive of January 2024."""
    return [
        _is_one_of("kind", kinds),
        ("is_old" if is_old else "NOT is_old", ()),
        ("is_listed", ()),
        ("ingested_s <= ?", (now_s(),)),
    ]


class Catalog:
    """The files in a store (borrowed)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._today: date | None = None
        """Up to when there is a table of repointings; None as long as there shall be none."""

    # Writing --------------------------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Enter the published files that are not there yet."""
        files = await asyncio.to_thread(published_files)  # read once, by whichever service comes first
        await self._store.apply(lambda connection: enter_new(connection, files))
        self._today = date.min
        await self.keep_repointings()

    async def withdraw(self) -> None:
        """Remove the published files that nobody has brought himself."""
        if not self._store.read("SELECT 1 FROM imap_files WHERE size IS NULL LIMIT 1"):
            return
        keys = [(file.row.file_path,) for file in await asyncio.to_thread(published_files)]

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM imap_files WHERE file_path = ? AND size IS NULL", keys)
            # The tables of repointings that were made up day by day.
            connection.execute("DELETE FROM imap_files WHERE kind = 'spice' AND size IS NULL")

        await self._store.apply(change)

    async def keep_repointings(self) -> None:
        """Have a table of repointings of today, where the published files are."""
        today = datetime.now(UTC).date()
        if self._today is not None and self._today < today:
            self._today = today
            await self._store.apply(lambda connection: enter_new(connection, [latest_repointings(today)]))

    async def index(
        self, key: str, ingested: datetime, size: int, *, is_old: bool = False, facts: Mapping[str, Any] = NOTHING
    ) -> None:
        """Enter a file that was brought; one that is there already keeps nothing but whether it is released.

        Args:
            key: Its path in the archive.
            ingested: When it came, aware; never later than now.
            size: Bytes.
            is_old: Whether a client of January 2024 has brought it.
            facts: What is known of a kernel beside its name; see `KernelRow.of`.
        """
        ingested_s = min(int(ingested.timestamp()), now_s())
        row, name = _row(key, ingested_s, size, is_old)
        kernel = KernelRow.of(name, ingested_s, facts=facts) if isinstance(name, SpiceName) else None

        def change(connection: sqlite3.Connection) -> None:
            update = " ON CONFLICT DO UPDATE SET ingested_s = excluded.ingested_s, size = excluded.size"
            connection.execute(_ADD + update, _values(row))
            if kernel is not None:
                connection.execute(f"REPLACE {_ADD_KERNEL}", _kernel_values(attrs.evolve(kernel, file_path=key)))

        await self._store.apply(change)

    async def forget(self, key: str) -> None:
        """Remove a file."""
        sql = "DELETE FROM imap_files WHERE file_path = ?"
        await self._store.apply(lambda connection: connection.execute(sql, (key,)) and None)

    async def release(self, keys: Iterable[str]) -> None:
        """Make files public."""
        values = [(key,) for key in keys]
        sql = "UPDATE imap_files SET released = 1 WHERE file_path = ?"
        await self._store.apply(lambda connection: connection.executemany(sql, values) and None)

    # Reading: for a moment each -------------------------------------------------------------------------------------

    def find(self, key: str) -> Entry | None:
        """Return a file; None if there is none, or not yet."""
        sql = "SELECT kind, ingested_s, size, released, is_old FROM imap_files WHERE file_path = ? AND ingested_s <= ?"
        for kind, ingested_s, size, released, is_old in self._store.read(sql, (key, now_s())):
            return Entry(
                key=key,
                kind=kind,
                ingested=datetime.fromtimestamp(ingested_s, UTC),
                size=size,
                released=bool(released),
                is_old=bool(is_old),
            )
        return None

    def search(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a query that may find the whole archive: in a thread, where it holds up no other one."""
        return self._store.read_long(sql, values)

    def products(self) -> list[tuple[str, str, str, int, str, str]]:
        """Return instrument, level, descriptor, number of files, first and last day of each science product."""
        what = "instrument, data_level, descriptor"
        where, values = all_of(seen_now("science"))
        sql = f"SELECT {what}, count(*), min(start_date), max(start_date) FROM imap_files WHERE {where}"
        return self._store.read_long(f"{sql} GROUP BY {what} ORDER BY {what}", values)

    def kernels(
        self, types: Sequence[str], conditions: Sequence[Condition] = (), *, is_latest: bool = False
    ) -> list[dict[str, Any]]:
        """Return the records of kernels, or of tables.

        Args:
            types: The types wanted.
            conditions: On what else is known of a kernel; all must hold.
            is_latest: Only the highest version of what differs in nothing else; the conditions have no part in that.
        """
        place = [("place = 1", ())] if is_latest else []
        where, values = all_of([_is_one_of("kernel_type", types), *place, *conditions])
        sql = f"SELECT record FROM ({_SEEN_KERNELS}) WHERE {where} ORDER BY file_path"
        return [json.loads(record) for (record,) in self._store.read(sql, [now_s(), *values])]

    def newest_science(self, conditions: Sequence[Condition]) -> list[str]:
        """Return the newest of each series among the science files that fulfil the conditions."""
        return self._newest(SERIES, f"{MAJOR} DESC, minor_version DESC", [*seen_now("science"), *conditions])

    def newest_ancillary(self, conditions: Sequence[Condition], first: str, last: str) -> list[str]:
        """Return the newest ancillary files that are valid within a range of days, of those that fulfil the conditions.

        A file without an end is valid until the next one of its descriptor begins, whichever that is.
        """
        following = (
            "SELECT min(other.start_date) FROM imap_files AS other WHERE other.kind = 'ancillary'"
            " AND (other.instrument, other.descriptor) = (imap_files.instrument, imap_files.descriptor)"
            " AND other.start_date > imap_files.start_date"
        )
        is_valid = f"start_date <= ? AND coalesce(end_date >= ?, ({following}) > ?, 1)", (last, first, first)
        series = "instrument", "descriptor", "start_date", "end_date"
        return self._newest(series, "version DESC", [*seen_now("ancillary"), is_valid, *conditions])

    def _newest(self, series: Sequence[str], order: str, conditions: Sequence[Condition]) -> list[str]:
        where, values = all_of(conditions)
        rank = f"rank() OVER (PARTITION BY {', '.join(series)} ORDER BY {order}) AS place"
        source = f"SELECT file_path, {rank} FROM imap_files WHERE {where}"
        sql = f"SELECT file_path FROM ({source}) WHERE place = 1 ORDER BY file_path"
        return [key for (key,) in self._store.read(sql, values)]


def _row(key: str, ingested_s: int, size: int, is_old: bool) -> tuple[FileRow, FileName | None]:
    # Clients of January 2024 have never heard of a release.
    more: dict[str, Any] = {"size": size} | ({"is_old": True, "released": True} if is_old else {})
    try:
        name = parse_name(key)
    except InvalidFileName:
        return FileRow.unnamed(key, ingested_s, **{"is_old": False, "released": False} | more), None
    return FileRow.of(name, ingested_s, **{"file_path": key} | more), name


def enter_new(connection: sqlite3.Connection, files: Iterable[PublishedFile]) -> None:
    """Enter files whose content is made up here, unless they are there already."""
    files = tuple(files)
    connection.executemany(f"{_ADD} ON CONFLICT DO NOTHING", [_values(file.row) for file in files])
    kernels = [_kernel_values(file.kernel) for file in files if file.kernel is not None]
    connection.executemany(f"INSERT OR IGNORE {_ADD_KERNEL}", kernels)


def _values(row: FileRow) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _COLUMNS)


def _kernel_values(row: KernelRow) -> tuple[Any, ...]:
    *searched_by, record = (getattr(row, name) for name in _KERNEL_COLUMNS)
    return *searched_by, json.dumps(record)
