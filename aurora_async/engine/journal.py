"""What a batch must not forget: each query, the identifier chosen for it before it is sent, and how it ended.

A request is noted before the POST that makes it. Whoever comes after a crash therefore knows every identifier the
service may have heard of, and asks about it instead of sending the query again.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from enum import Enum
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import attrs
import msgspec
from msgspec.structs import replace

from aurora_async.database import Database
from aurora_async.engine.protocol import RequestId
from aurora_async.errors import AuroraError, InvalidInput, TargetNotWritable
from aurora_async.processes import is_gone, new_worker, retire

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

__all__ = ["Entry", "Journal", "LeaseLost", "Planned", "Stage", "is_worked_on", "read_facts", "read_journal"]

_MIGRATIONS = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        query TEXT NOT NULL,
        path TEXT NOT NULL UNIQUE,
        parent INTEGER REFERENCES entries,
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
    CREATE UNIQUE INDEX queries_by_key ON entries (key) WHERE parent IS NULL;
    CREATE INDEX entries_by_stage ON entries (stage, number);
    CREATE INDEX entries_by_parent ON entries (parent) WHERE parent IS NOT NULL;
    CREATE INDEX entries_by_owner ON entries (owner) WHERE owner IS NOT NULL;
    """,
    # No index has `stage` any more, which every change would have to move; what is free is found without a sort.
    """
    DROP INDEX entries_by_stage;
    CREATE INDEX free_entries ON entries (number)
        WHERE owner IS NULL AND stage IN ('planned', 'split', 'intended', 'submitted', 'saved');
    """,
)


class Stage(Enum):
    """How far a query of a batch is."""

    PLANNED = "planned"
    """Nobody has been asked yet."""
    SPLIT = "split"
    """It was cut into windows, and these are under way."""
    INTENDED = "intended"
    """Its identifier is chosen; the service may have it or not."""
    SUBMITTED = "submitted"
    """The service has it."""
    SAVED = "saved"
    """Its file is whole, and may not have its name yet."""
    DONE = "done"
    """Its file is there."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """True when nothing is to be done about it, unless somebody asks for another try."""
        return self in _OVER


_OVER = (Stage.DONE, Stage.FAILED, Stage.CANCELLED)


@attrs.frozen(kw_only=True)
class Planned:
    """A query that is to be added; `windows` are those it is cut into, none when it is asked as it is."""

    key: str
    """Equal for queries that ask the same."""
    kind: str
    query: Mapping[str, Any]
    path: str
    windows: tuple[Planned, ...] = ()


# A struct, because each change makes a new one: its `replace` takes a tenth of the time of `attrs.evolve`.
class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One query of a batch, as the journal has it."""

    number: int
    key: str
    """Equal for queries that ask the same."""
    kind: str
    """Of search, as the service calls it."""
    query: Mapping[str, Any]
    """The query's document."""
    path: str
    """Of its file, relative to the batch's folder."""
    parent: int | None = None
    """The number of the query of which this one is a window."""
    stage: Stage = Stage.PLANNED
    request_id: RequestId | None = None
    attempts: int = 0
    """How many requests were made for it."""
    bytes: int | None = None
    records: int | None = None
    sha256: str | None = None
    seconds: float | None = None
    """From the first look at it to its file."""
    error: str | None = None
    changed_us: int = 0
    """Microseconds since 1970 at the last change."""
    is_cut: bool = False
    """Whether it has windows: they come with it, or never."""


_COLUMNS = Entry.__struct_fields__[:-1]
_HAS_WINDOWS = "EXISTS (SELECT 1 FROM entries AS w WHERE w.parent = entries.number)"
_SELECT = f"SELECT {', '.join(_COLUMNS)}, {_HAS_WINDOWS} FROM entries"
_FACTS = "SELECT name, value FROM facts"
_IS_WANTED = "(parent IS NULL OR (SELECT p.stage FROM entries AS p WHERE p.number = entries.parent) = 'split')"
_INSERT = (
    "INSERT OR IGNORE INTO entries (number, key, kind, query, path, parent, stage, changed_us) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


# As `free_entries` has it: an index is used for what is said in its own words.
_IS_OPEN = "stage IN ('planned', 'split', 'intended', 'submitted', 'saved')"
_IS_UNDER_WAY = f"EXISTS (SELECT 1 FROM entries AS w WHERE w.parent = entries.number AND w.{_IS_OPEN})"
_IS_TO_DO = f"{_IS_OPEN} AND CASE stage WHEN 'split' THEN NOT {_IS_UNDER_WAY} ELSE {_IS_WANTED} END"
_FREE = f"{_SELECT} WHERE owner IS NULL AND {_IS_TO_DO} ORDER BY number LIMIT ?"
_LEFT_BEHIND = f"{_SELECT} WHERE owner IS NOT NULL AND owner != ? AND lease_us < ? AND {_IS_TO_DO}"
_OURS = "changed_us = ? WHERE number = ? AND owner = ?"
_LET_GO = "owner = NULL, lease_us = NULL"
# What is NULL is said here: as a value it would cost more than all the others.
_INTEND = f"UPDATE entries SET stage = 'intended', request_id = ?, attempts = ?, error = NULL, {_OURS}"
_SUBMITTED = f"UPDATE entries SET stage = 'submitted', request_id = ?, {_OURS}"
_SAVED = f"UPDATE entries SET stage = 'saved', bytes = ?, records = ?, sha256 = ?, seconds = ?, error = NULL, {_OURS}"
_DONE = f"UPDATE entries SET stage = 'done', error = NULL, {_LET_GO}, {_OURS}"
_FAILED = f"UPDATE entries SET stage = 'failed', error = ?, {_LET_GO}, {_OURS}"
_RELEASE = f"UPDATE entries SET stage = ?, error = NULL, {_LET_GO}, {_OURS}"
# Next to nothing beside a search; with hundreds under way, many more changes then share the disk's one answer.
_GATHER_S = 0.01


class LeaseLost(AuroraError):
    """Another process has taken over what this one worked on, because it was not heard of for too long."""


class Journal:
    """The journal of one batch, open for writing in an event loop.

    Each method returns when the change is on the disk; changes made at the same time share one commit. Where a thousand
    are under way, one costs some 10 µs of CPU: 4 in the writer, 2.5 for asyncio's waking of its task. Several
    processes may have it open: an entry is worked on, and changed, by whoever holds its lease, for as long as it is
    renewed. What a process held that has died is free at once on the same machine, and after `lease_s` elsewhere.
    """

    def __init__(self, path: Path, *, lease_s: float = 60.0) -> None:
        self.owner = new_worker()
        self.lease_s = lease_s
        try:
            self._database = Database(path, _MIGRATIONS, gather_s=_GATHER_S, name="folder")
        except sqlite3.Error as error:
            raise _not_writable(path, error) from error

    async def close(self) -> None:
        """Give back what is held, and close the file."""
        try:
            await self.let_go()
        finally:
            await self._database.close()
            # A disk that is full may have kept us from giving back what others here need not wait for.
            retire(self.owner)

    # Writing ----------------------------------------------------------------------------------------------------------

    async def plan(self, queries: Iterable[Planned], facts: Mapping[str, Any] | None = None) -> int:
        """Add those whose keys are not there yet, each with its windows; return how many those were.

        With them go `facts` about the batch as a whole: there are never queries without their settings, nor settings
        of a plan that was refused.

        Raises:
            InvalidInput: Its file is the file of another query already.
        """
        wanted = list(queries)
        noted = [(name, json.dumps(value)) for name, value in (facts or {}).items()]
        now = _now_us()
        known = "SELECT 1 FROM entries WHERE key = ? AND parent IS NULL"

        def insert(db: sqlite3.Connection, numbers: Iterator[int], one: Planned, parent: int | None) -> bool:
            # A window may ask what another query asks as a whole: it is not that query.
            if parent is None and db.execute(known, (one.key,)).fetchone():
                return False
            number = next(numbers)
            stage = Stage.SPLIT if one.windows else Stage.PLANNED
            values = (number, one.key, one.kind, json.dumps(one.query), one.path, parent, stage.value, now)
            if db.execute(_INSERT, values).rowcount == 0:
                raise InvalidInput("name", f"{one.path!r} is the file of another query of this batch already")
            for window in one.windows:
                insert(db, numbers, window, number)
            return True

        def change(db: sqlite3.Connection) -> int:
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", noted)
            numbers = itertools.count(db.execute("SELECT coalesce(max(number), 0) + 1 FROM entries").fetchone()[0])
            return sum(insert(db, numbers, one, None) for one in wanted)

        return await self._apply(change)

    async def take(self, most: int) -> list[Entry]:
        """Take up to `most` entries that something is to be done about and that nobody else works on.

        A query that was cut is among them when all its windows are over; these are only while it is `split`.
        """
        now = _now_us()
        until = now + int(self.lease_s * 1e6)

        def change(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            for (owner,) in db.execute("SELECT DISTINCT owner FROM entries WHERE owner IS NOT NULL").fetchall():
                if owner != self.owner and is_gone(owner):
                    db.execute(f"UPDATE entries SET {_LET_GO} WHERE owner = ?", (owner,))
            left_behind = db.execute(_LEFT_BEHIND, (self.owner, now)).fetchall()
            rows = sorted(left_behind + db.execute(_FREE, (most,)).fetchall(), key=_number)[:most]
            db.executemany(
                "UPDATE entries SET owner = ?, lease_us = ? WHERE number = ?",
                [(self.owner, until, row[0]) for row in rows],
            )
            return rows

        return [_entry(row) for row in await self._apply(change)]

    async def hold_windows(self, keys: Iterable[str]) -> None:
        """Have the queries with these keys that were cut taken before their windows, as if they were not.

        Who finds nothing to do about one but its windows releases it as `split`.
        """
        sql = "UPDATE entries SET stage = ? WHERE key = ? AND parent IS NULL AND stage = ? AND owner IS NULL"
        rows = [(Stage.PLANNED.value, key, Stage.SPLIT.value) for key in keys]
        await self._apply(lambda db: db.executemany(sql, rows))

    async def renew(self) -> None:
        """Keep what is ours for another lease."""
        until = _now_us() + int(self.lease_s * 1e6)
        await self._run("UPDATE entries SET lease_us = ? WHERE owner = ?", until, self.owner)

    async def let_go(self) -> None:
        """Let others, or a later run, have all that is ours."""
        await self._run(f"UPDATE entries SET {_LET_GO} WHERE owner = ?", self.owner)

    async def release(self, entry: Entry, stage: Stage | None = None) -> None:
        """Let others, or a later run, go on from where it is, or from `stage`."""
        fresh = replace(entry, stage=stage or entry.stage, changed_us=_now_us())
        await self._note(_RELEASE, fresh, fresh.stage.value)

    async def park(self, reasons: Mapping[int, str]) -> None:
        """Let others, or a later run, go on with what is ours of these numbers, and note what stands in the way now."""
        now = _now_us()
        rows = [(reason, now, number, self.owner) for number, reason in reasons.items()]
        sql = f"UPDATE entries SET error = ?, {_LET_GO}, {_OURS}"
        await self._apply(lambda db: db.executemany(sql, rows))

    def intend(self, entry: Entry, request_id: RequestId | None) -> Coroutine[Any, Any, Entry]:
        """Note the identifier under which a query is going to be submitted: before anything is sent."""
        now, attempts = _now_us(), entry.attempts + 1
        fresh = replace(
            entry, stage=Stage.INTENDED, request_id=request_id, attempts=attempts, error=None, changed_us=now
        )
        return self._note(_INTEND, fresh, request_id, attempts)

    def submitted(self, entry: Entry, request_id: RequestId) -> Coroutine[Any, Any, Entry]:
        """Note that the service has it, under the identifier that it uses."""
        fresh = replace(entry, stage=Stage.SUBMITTED, request_id=request_id, changed_us=_now_us())
        return self._note(_SUBMITTED, fresh, request_id)

    def saved(
        self, entry: Entry, *, bytes: int, records: int, sha256: str | None, seconds: float
    ) -> Coroutine[Any, Any, Entry]:
        """Note what its file holds, before that gets its name."""
        fresh = replace(
            entry, stage=Stage.SAVED, bytes=bytes, records=records, sha256=sha256, seconds=seconds, error=None,
            changed_us=_now_us(),
        )  # fmt: skip
        return self._note(_SAVED, fresh, bytes, records, sha256, seconds)

    async def done(self, entry: Entry) -> Entry:
        """Note that its file is there: also when the query was cancelled after that had been saved."""
        fresh = replace(entry, stage=Stage.DONE, error=None, changed_us=_now_us())
        try:
            return await self._note(_DONE, fresh)
        except LeaseLost:
            sql = "UPDATE entries SET stage = ?, changed_us = ? WHERE number = ? AND stage = ? AND sha256 = ?"
            values = (Stage.DONE.value, fresh.changed_us, entry.number, Stage.CANCELLED.value, entry.sha256)
            if await self._run(sql, *values) == 0:
                raise
            return fresh

    def failed(self, entry: Entry, error: str) -> Coroutine[Any, Any, Entry]:
        """Note why there is none."""
        fresh = replace(entry, stage=Stage.FAILED, error=error, changed_us=_now_us())
        return self._note(_FAILED, fresh, error)

    async def lost(self, entry: Entry) -> Entry:
        """Note that a file which was there is not any more: its result is to be fetched once more.

        Windows that were given up while nobody needed them are needed again.
        """
        again = (
            f"UPDATE entries SET changed_us = ?, stage = CASE WHEN request_id IS NOT NULL THEN ? WHEN {_HAS_WINDOWS} "
            "THEN ? ELSE ? END WHERE stage = ? AND "
        )
        stages = [Stage.SUBMITTED.value, Stage.SPLIT.value, Stage.PLANNED.value, Stage.DONE.value]

        def change(db: sqlite3.Connection) -> tuple[Any, ...]:
            db.execute(
                "UPDATE entries SET stage = ?, request_id = NULL, error = NULL WHERE parent = ? AND stage IN (?, ?)",
                (Stage.PLANNED.value, entry.number, Stage.FAILED.value, Stage.CANCELLED.value),
            )
            db.execute(f"{again} (number = ? OR parent = ?)", (_now_us(), *stages, entry.number, entry.number))
            row: tuple[Any, ...] = db.execute(f"{_SELECT} WHERE number = ?", (entry.number,)).fetchone()
            return row

        return _entry(await self._apply(change))

    async def again(self, *stages: Stage) -> int:
        """Have the queries at these stages tried anew, under new identifiers; return how many they are.

        So are the windows, and one that is `split` counts when there are some of its.
        """
        wanted = [stage.value for stage in stages]
        sql = (
            f"UPDATE entries SET stage = CASE WHEN {_HAS_WINDOWS} THEN ? ELSE ? END, request_id = NULL, error = NULL, "
            f"{_LET_GO}, changed_us = ? WHERE stage IN ({_marks(wanted)})"
        )
        values = (Stage.SPLIT.value, Stage.PLANNED.value, _now_us(), *wanted)

        marks = _marks(wanted)
        has_such = f"EXISTS (SELECT 1 FROM entries AS w WHERE w.parent = entries.number AND w.stage IN ({marks}))"
        count = (
            f"SELECT count(*) FROM entries WHERE parent IS NULL AND (stage IN ({marks}) OR (stage = ? AND {has_such}))"
        )

        def change(db: sqlite3.Connection) -> int:
            queries = db.execute(count, (*wanted, Stage.SPLIT.value, *wanted)).fetchone()[0]
            db.execute(f"{sql} AND parent IS NOT NULL", values)
            db.execute(f"{sql} AND parent IS NULL", values)
            return int(queries)

        return await self._apply(change)

    async def cancelled(self) -> list[Entry]:
        """Note of all that is not over that nobody wants it any more; return those the service may be working on."""
        at_work = [Stage.INTENDED.value, Stage.SUBMITTED.value]

        def change(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            rows = db.execute(
                f"{_SELECT} WHERE stage IN ({_marks(at_work)}) AND request_id IS NOT NULL ORDER BY number", at_work
            ).fetchall()
            db.execute(
                f"UPDATE entries SET stage = ?, {_LET_GO}, changed_us = ? WHERE {_IS_OPEN}",
                (Stage.CANCELLED.value, _now_us()),
            )
            return rows

        return [_entry(row) for row in await self._apply(change)]

    async def _note(self, sql: str, fresh: Entry, *values: object) -> Entry:
        """Write down what an entry that is ours has become."""
        try:
            is_ours = await self._database.update(sql, (*values, fresh.changed_us, fresh.number, self.owner))
        except sqlite3.Error as error:
            raise _not_writable(self._database.path, error) from error
        if not is_ours:
            raise LeaseLost(f"another process works on query {fresh.number} of the batch now")
        return fresh

    async def _apply(self, change: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        try:
            return await self._database.apply(change, *args)
        except sqlite3.Error as error:
            raise _not_writable(self._database.path, error) from error

    async def _run(self, sql: str, *values: object) -> int:
        return await self._apply(_run, sql, values)

    # Reading ----------------------------------------------------------------------------------------------------------

    async def entries(self, *, parent: int | None = None, stages: Iterable[Stage] = tuple(Stage)) -> list[Entry]:
        """Return the queries (`parent` None) or the windows of one of them that are at these stages, by number."""
        wanted = [stage.value for stage in stages]
        sql = f"{_SELECT} WHERE parent IS ? AND stage IN ({_marks(wanted)}) ORDER BY number"
        return [_entry(row) for row in await self._read(sql, parent, *wanted)]

    async def now(self, entry: Entry) -> Entry:
        """Return what has become of an entry that another may have changed."""
        (row,) = await self._read(f"{_SELECT} WHERE number = ?", entry.number)
        return _entry(row)

    async def at(self, stage: Stage) -> list[Entry]:
        """Return all entries at a stage, windows among them."""
        rows = await self._read(f"{_SELECT} WHERE stage = ? ORDER BY number", stage.value)
        return [_entry(row) for row in rows]

    async def numbers_of_others(self) -> set[int]:
        """Return the numbers of the entries that other processes work on, as far as can be known from here."""
        sql = "SELECT number, owner FROM entries WHERE owner IS NOT NULL AND owner != ? AND lease_us >= ?"
        rows = await self._read(sql, self.owner, _now_us())
        return {number for number, owner in rows if not is_gone(owner)}

    async def counts(self) -> dict[Stage, int]:
        """Return how many queries are at each stage, windows not counted."""
        sql = "SELECT stage, count(*) FROM entries WHERE parent IS NULL GROUP BY stage"
        rows = await self._read(sql)
        return {Stage(stage): count for stage, count in rows}

    async def left(self) -> int:
        """Return how many entries, windows among them, others are working on; those that they merge, too."""
        sql = f"SELECT count(*) FROM entries WHERE {_IS_OPEN} AND owner IS NOT NULL AND owner != ?"
        rows = await self._read(sql, self.owner)
        return int(rows[0][0])

    async def facts(self) -> dict[str, Any]:
        """Return what is known of the batch as a whole."""
        return {name: json.loads(value) for name, value in await self._read(_FACTS)}

    async def _read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return await asyncio.to_thread(self._database.read, sql, values)
        except sqlite3.Error as error:
            raise _not_writable(self._database.path, error) from error


def _not_writable(path: Path, error: sqlite3.Error) -> TargetNotWritable:
    # Full, locked for long, read-only or damaged: SQLite's words say which.
    return TargetNotWritable("", path, f"the journal cannot be used: {error}")


def read_journal(path: Path) -> tuple[dict[str, Any], list[Entry]]:
    """Return the facts and all entries, by number, of a journal that others may be writing.

    Raises:
        InvalidInput: There is none, or it cannot be read.
        TargetNotWritable: The disk is too full even for reading it.
    """
    with _open_to_read(path) as connection:
        if _is_new(connection):
            raise InvalidInput("folder", f"{path} is empty")
        return _facts(connection), [_entry(row) for row in connection.execute(f"{_SELECT} ORDER BY number")]


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a journal says of the batch as a whole; otherwise as `read_journal`.

    That is nothing when somebody is just making it, or was killed at that.
    """
    with _open_to_read(path) as connection:
        return {} if _is_new(connection) else _facts(connection)


def is_worked_on(path: Path) -> bool:
    """True while a process, here or elsewhere, works on a journal's entries, as far as can be known here."""
    with _open_to_read(path) as connection:
        if _is_new(connection):
            return False
        sql = "SELECT DISTINCT owner FROM entries WHERE owner IS NOT NULL AND lease_us >= ?"
        return any(not is_gone(owner) for (owner,) in connection.execute(sql, (_now_us(),)))


@contextmanager
def _open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that sees one state of the journal."""
    if not path.is_file():
        raise InvalidInput("folder", f"{path.parent} is not the folder of a batch: it has no {path.name}")
    # Without the right to write, SQLite cannot join those who write in WAL mode; but then they are not here. With it,
    # the files it needs for that are gone again afterwards, which a connection that may only read would leave.
    mode = "mode=rw" if os.access(path.parent, os.W_OK) else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=30)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_MIGRATIONS):
                raise InvalidInput("folder", f"{path} was written by a newer aurora_async (schema {version})")
            yield connection
    except InvalidInput:
        raise
    except sqlite3.OperationalError as error:  # not the file, but the disk, or somebody who holds it for long
        raise _not_writable(path, error) from error
    except (sqlite3.Error, ValueError) as error:
        raise InvalidInput("folder", f"{path} cannot be read: {error}") from error


def _is_new(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA user_version").fetchone()[0] == 0)


def _facts(connection: sqlite3.Connection) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in connection.execute(_FACTS)}


def _run(db: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> int:
    return db.execute(sql, values).rowcount


_number = itemgetter(0)


def _entry(row: tuple[Any, ...]) -> Entry:
    *values, is_cut = row
    fields = dict(zip(_COLUMNS, values, strict=True))
    fields |= {"stage": Stage(fields["stage"]), "query": json.loads(fields["query"]), "is_cut": bool(is_cut)}
    return Entry(**fields)


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _now_us() -> int:
    return time.time_ns() // 1000
