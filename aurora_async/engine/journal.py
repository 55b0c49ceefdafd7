"""What a batch must not forget: each query, the identifier chosen for it before it is sent, and how it ended.

A request is noted before the POST that makes it. Whoever comes after a crash therefore knows every identifier the
service may have heard of, and asks about it instead of sending the query again.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from aurora_async.database import Database
from aurora_async.engine.protocol import RequestId

__all__ = ["Entry", "Journal", "Owner", "Stage", "read_journal"]

_MIGRATIONS = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        service TEXT NOT NULL,
        query TEXT NOT NULL,
        path TEXT NOT NULL UNIQUE,
        stage TEXT NOT NULL,
        request_id TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER,
        records INTEGER,
        sha256 TEXT,
        seconds REAL,
        error TEXT,
        changed_us INTEGER NOT NULL,
        owner TEXT,
        lease_us INTEGER
    );
    CREATE INDEX entries_by_stage ON entries (stage, number);
    """,
)


class Stage(Enum):
    """How far a query of a batch is."""

    PLANNED = "planned"
    """Nobody has been asked yet."""
    INTENDED = "intended"
    """Its identifier is chosen; the service may have it or not."""
    SUBMITTED = "submitted"
    """The service has it."""
    DONE = "done"
    """Its file is there."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """True when nothing is to be done about it, unless somebody asks for another try."""
        return self in (Stage.DONE, Stage.FAILED, Stage.CANCELLED)


@attrs.frozen(kw_only=True)
class Entry:
    """One query of a batch, as the journal has it."""

    number: int
    key: str
    """Equal for queries that ask the same."""
    service: str
    query: Mapping[str, Any]
    """The query's document."""
    path: str
    """Of its file, relative to the batch's folder."""
    stage: Stage = Stage.PLANNED
    request_id: RequestId | None = None
    attempts: int = 0
    bytes: int | None = None
    records: int | None = None
    sha256: str | None = None
    seconds: float | None = None
    error: str | None = None
    changed_us: int = 0
    """Microseconds since 1970 at the last change."""


_COLUMNS = tuple(field.name for field in attrs.fields(Entry))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM entries"


@attrs.frozen
class Owner:
    """A process that works on a batch; the name tells it from all others, on other hosts too."""

    name: str = attrs.field(factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")


class Journal:
    """The journal of one batch, open for writing.

    Each method returns when the change is on the disk; changes made at the same time share one commit. Several
    processes may have it open: an entry is worked on by whoever holds its lease, for as long as he renews it.
    """

    def __init__(self, path: Path, *, owner: Owner | None = None, lease_s: float = 30.0) -> None:
        self.owner = owner or Owner()
        self.lease_s = lease_s
        self._database = Database(path, _MIGRATIONS, name="batch")

    async def close(self) -> None:
        """Give back what is held, and close the file."""
        name = self.owner.name
        await self._database.apply(
            lambda db: db.execute("UPDATE entries SET owner = NULL, lease_us = NULL WHERE owner = ?", (name,)) and None
        )
        await self._database.close()

    # Writing ----------------------------------------------------------------------------------------------------------

    async def note(self, facts: Mapping[str, Any]) -> None:
        """Keep facts about the batch as a whole."""
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        await self._database.apply(
            lambda db: db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows) and None
        )

    async def plan(self, entries: Iterable[Entry]) -> int:
        """Add entries whose keys are not there yet, and return how many those were."""
        now = _now_us()
        rows = [
            (one.number, one.key, one.service, json.dumps(one.query), one.path, Stage.PLANNED.value, now)
            for one in entries
        ]

        def change(db: sqlite3.Connection) -> int:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO entries (number, key, service, query, path, stage, changed_us) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            return db.total_changes - before

        return await self._database.apply(change)

    async def take(self, most: int) -> list[Entry]:
        """Take up to `most` entries that are not over and that nobody else works on; ours until the lease ends."""
        over = [stage.value for stage in Stage if stage.is_over]
        name, now = self.owner.name, _now_us()
        until = now + int(self.lease_s * 1e6)

        def change(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            rows = db.execute(
                f"{_SELECT} WHERE stage NOT IN ({_marks(over)}) AND (owner IS NULL OR (lease_us < ? AND owner != ?)) "
                "ORDER BY number LIMIT ?",
                (*over, now, name, most),
            ).fetchall()
            db.executemany(
                "UPDATE entries SET owner = ?, lease_us = ? WHERE number = ?", [(name, until, row[0]) for row in rows]
            )
            return rows

        return [_entry(row) for row in await self._database.apply(change)]

    async def renew(self) -> int:
        """Keep what is ours for another lease, and return how many entries that are."""
        until = _now_us() + int(self.lease_s * 1e6)
        sql = "UPDATE entries SET lease_us = ? WHERE owner = ?"
        values = (until, self.owner.name)
        return await self._database.apply(lambda db: db.execute(sql, values).rowcount)

    async def intend(self, number: int, request_id: RequestId) -> None:
        """Note the identifier under which a query is going to be submitted: before anything is sent."""
        await self._set(number, stage=Stage.INTENDED.value, request_id=request_id, error=None, attempts=_Added(1))

    async def submitted(self, number: int, request_id: RequestId) -> None:
        """Note that the service has it, under the identifier that it uses."""
        await self._set(number, stage=Stage.SUBMITTED.value, request_id=request_id)

    async def done(self, number: int, *, bytes: int, records: int, sha256: str | None, seconds: float) -> None:
        """Note that its file is there."""
        await self._end(number, Stage.DONE, bytes=bytes, records=records, sha256=sha256, seconds=seconds, error=None)

    async def failed(self, number: int, error: str) -> None:
        """Note why there is none."""
        await self._end(number, Stage.FAILED, error=error)

    async def cancelled(self, number: int) -> None:
        """Note that nobody wants it any more."""
        await self._end(number, Stage.CANCELLED)

    async def again(self, *stages: Stage) -> int:
        """Have the entries at these stages tried anew, under new identifiers; return how many they are."""
        values = [stage.value for stage in stages]
        sql = (
            "UPDATE entries SET stage = ?, request_id = NULL, owner = NULL, lease_us = NULL, changed_us = ? "
            f"WHERE stage IN ({_marks(values)})"
        )
        parameters = (Stage.PLANNED.value, _now_us(), *values)
        return await self._database.apply(lambda db: db.execute(sql, parameters).rowcount)

    async def _end(self, number: int, stage: Stage, **changes: Any) -> None:
        await self._set(number, stage=stage.value, owner=None, lease_us=None, **changes)

    async def _set(self, number: int, **changes: Any) -> None:
        changes["changed_us"] = _now_us()
        sets = [
            f"{name} = {name} + ?" if isinstance(value, _Added) else f"{name} = ?" for name, value in changes.items()
        ]
        values = [value.by if isinstance(value, _Added) else value for value in changes.values()]
        sql = f"UPDATE entries SET {', '.join(sets)} WHERE number = ?"
        await self._database.apply(lambda db: db.execute(sql, (*values, number)) and None)

    # Reading ----------------------------------------------------------------------------------------------------------

    async def entries(self) -> list[Entry]:
        """Return all entries, by number."""
        return await asyncio.to_thread(
            lambda: [_entry(row) for row in self._database.read(f"{_SELECT} ORDER BY number")]
        )

    async def counts(self) -> dict[Stage, int]:
        """Return how many entries are at each stage."""
        sql = "SELECT stage, count(*) FROM entries GROUP BY stage"
        rows = await asyncio.to_thread(self._database.read, sql)
        return {Stage(stage): count for stage, count in rows}

    async def facts(self) -> dict[str, Any]:
        """Return what is known of the batch as a whole."""
        rows = await asyncio.to_thread(self._database.read, "SELECT name, value FROM facts")
        return {name: json.loads(value) for name, value in rows}


def read_journal(path: Path) -> Iterator[Entry]:
    """Yield the entries of a journal, by number, without disturbing who writes it."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        for row in connection.execute(f"{_SELECT} ORDER BY number"):
            yield _entry(row)
    finally:
        connection.close()


@attrs.frozen
class _Added:
    by: int


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Entry(**values | {"stage": Stage(values["stage"]), "query": json.loads(values["query"])})


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _now_us() -> int:
    return time.time_ns() // 1000
