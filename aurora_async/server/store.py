"""What the local service must not forget: searches, data sources and accounts, in one SQLite file.

Writing goes through one thread that puts whatever has gathered meanwhile into one transaction, and each change is
answered after its commit. `synchronous=NORMAL` is on purpose: in WAL mode a commit has then been handed to the
operating system, so nothing acknowledged is lost when the process is killed (`kill -9`); a power failure may take the
last moments with it, yet never damages the file. A service for laptops and tests need not wait for a disk at each POST.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec
from attrs.validators import in_

from aurora_async.errors import InvalidInput

__all__ = ["ROLES", "Account", "Duplicate", "SearchRow", "Store"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

ROLES = ("User", "Maintainer", "Owner", "Administrator")

_MIGRATIONS = (
    """
    CREATE TABLE searches (
        request_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        query TEXT NOT NULL,
        requested_us INTEGER NOT NULL,
        owner TEXT,
        ip_address TEXT NOT NULL,
        logs TEXT NOT NULL,
        completed_us INTEGER,
        error_condition INTEGER NOT NULL DEFAULT 0,
        result_count INTEGER,
        file_size INTEGER,
        query_duration INTEGER,
        deleted_us INTEGER
    );
    CREATE INDEX searches_by_time ON searches (requested_us);
    CREATE INDEX searches_unfinished ON searches (requested_us) WHERE completed_us IS NULL;
    CREATE TABLE data_sources (
        identifier INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        platform TEXT NOT NULL,
        instrument_type TEXT NOT NULL,
        record TEXT NOT NULL
    );
    -- Internal sources (custom locations) are named for readers only.
    CREATE UNIQUE INDEX data_source_triples ON data_sources (program, platform, instrument_type)
        WHERE identifier >= 0;
    CREATE TABLE accounts (
        account_id INTEGER PRIMARY KEY,
        email_address TEXT NOT NULL,
        role TEXT NOT NULL,
        api_key_sha256 TEXT UNIQUE,
        from_settings INTEGER NOT NULL
    );
    """,
)
"""One script per schema version; a released one is never changed, the next is added below it."""


class Duplicate(Exception):
    """An identifier, or the triple of a data source, that is taken already."""


@attrs.frozen(kw_only=True)
class Account:
    """Who an API key belongs to, and what it permits: one of `ROLES`, each including those before it."""

    role: str = attrs.field(default="User", validator=in_(ROLES))
    email_address: str = "user@localhost"

    def may_act_as(self, role: str) -> bool:
        """True when this account's role includes `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


@attrs.frozen(kw_only=True)
class SearchRow:
    """One search as it is stored; instants are microseconds since 1970, `query` and `logs` JSON texts."""

    request_id: str
    kind: str
    query: str
    requested_us: int
    owner: str | None
    ip_address: str
    logs: str
    completed_us: int | None = None
    error_condition: bool = attrs.field(default=False, converter=bool)
    result_count: int | None = None
    file_size: int | None = None
    query_duration: int | None = None
    deleted_us: int | None = None


_COLUMNS = tuple(field.name for field in attrs.fields(SearchRow))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM searches"
_INSERT = f"INSERT INTO searches ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_FINISH = (
    "UPDATE searches SET logs = ?, completed_us = ?, error_condition = ?, result_count = ?, file_size = ?,"
    " query_duration = ? WHERE request_id = ?"
)
_INSERT_SOURCE = "INSERT INTO data_sources VALUES (?, ?, ?, ?, ?)"

Change = Callable[[sqlite3.Connection], Any]


def _digest(api_key: str) -> str:
    return hashlib.sha256(api_key.encode()).hexdigest()


def _as_row(search: SearchRow) -> tuple[Any, ...]:
    return tuple(getattr(search, name) for name in _COLUMNS)


class Store:
    """The database below `folder`, held by one service at a time.

    A new one starts with the data sources that `first_sources` returns (full records).
    """

    def __init__(self, folder: Path, *, first_sources: Callable[[], Iterable[Mapping[str, Any]]] = list) -> None:
        self._folder = folder
        self._lock_connection = _claim(folder)
        try:
            self._connection = _connect(folder / "service.sqlite")
            if _migrate(self._connection, folder) == 0:
                self._connection.executemany(_INSERT_SOURCE, [_source_row(source) for source in first_sources()])
            self._reader = _connect(folder / "service.sqlite")
        except BaseException:
            self._lock_connection.close()
            raise
        self._reading = threading.Lock()
        self._pending: list[tuple[Change, asyncio.Future[Any]]] = []
        self._gathered = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._writer = threading.Thread(target=self._write, name="store writer", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        """Write what is still pending, then let go of the database."""
        with self._gathered:
            self._closing = True
            self._gathered.notify()
        await asyncio.to_thread(self._writer.join)
        self._reader.close()
        self._connection.close()
        self._lock_connection.close()

    # Writing --------------------------------------------------------------------------------------------------------

    def apply(self, change: Change) -> asyncio.Future[Any]:
        """Have `change` made in the next transaction; the future holds what it returned, once that is committed."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        with self._gathered:
            if self._closing:
                raise RuntimeError("the store is closed")
            self._pending.append((change, answer))
            if len(self._pending) == 1:
                self._gathered.notify()
        return answer

    def _write(self) -> None:
        while True:
            with self._gathered:
                while not self._pending and not self._closing:
                    self._gathered.wait()
                batch, self._pending = self._pending, []
            if not batch:
                return
            outcomes = self._commit(batch)
            try:
                self._loop.call_soon_threadsafe(_settle, outcomes)
            except RuntimeError:
                # The loop is gone: nobody waits for these answers any more, and the changes are made.
                return

    def _commit(self, batch: Sequence[tuple[Change, asyncio.Future[Any]]]) -> list[_Outcome]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                return [(answer, change(self._connection), None) for change, answer in batch]
        except Exception as error:
            if len(batch) == 1:
                return [(batch[0][1], None, error)]
        # One of them is at fault: each for itself, so that the others do not suffer for it.
        return [outcome for one in batch for outcome in self._commit([one])]

    async def add_search(self, search: SearchRow) -> None:
        """Keep a search that has just arrived.

        Raises:
            Duplicate: Its identifier is taken.
        """
        row = _as_row(search)
        try:
            await self.apply(lambda connection: connection.execute(_INSERT, row) and None)
        except sqlite3.IntegrityError:
            raise Duplicate(search.request_id) from None

    def finish_search(
        self,
        request_id: str,
        *,
        logs: str,
        completed_us: int,
        error_condition: bool,
        result_count: int | None,
        file_size: int | None,
        query_duration: int | None,
    ) -> asyncio.Future[Any]:
        """Keep how a search ended."""
        row = (logs, completed_us, error_condition, result_count, file_size, query_duration, request_id)
        return self.apply(lambda connection: connection.execute(_FINISH, row) and None)

    def mark_deleted(self, request_id: str, deleted_us: int) -> asyncio.Future[Any]:
        """Keep that the result file of a search is gone."""
        sql = "UPDATE searches SET deleted_us = ? WHERE request_id = ?"
        return self.apply(lambda connection: connection.execute(sql, (deleted_us, request_id)) and None)

    def forget_search(self, request_id: str) -> asyncio.Future[Any]:
        """Remove a search altogether."""
        sql = "DELETE FROM searches WHERE request_id = ?"
        return self.apply(lambda connection: connection.execute(sql, (request_id,)) and None)

    def add_data_sources(self, records: Iterable[Mapping[str, Any]]) -> asyncio.Future[Any]:
        """Keep new data sources (full records)."""
        rows = [_source_row(record) for record in records]
        return self.apply(lambda connection: connection.executemany(_INSERT_SOURCE, rows) and None)

    def set_accounts(self, accounts: Mapping[str, Account]) -> asyncio.Future[Any]:
        """Replace the accounts that come from the settings, by API key; only the key's digest is kept."""
        rows = [(who.email_address, who.role, _digest(key)) for key, who in accounts.items()]

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM accounts WHERE from_settings")
            connection.executemany(
                "INSERT INTO accounts (email_address, role, api_key_sha256, from_settings) VALUES (?, ?, ?, 1)", rows
            )

        return self.apply(change)

    # Reading --------------------------------------------------------------------------------------------------------

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading:
            return self._reader.execute(sql, values).fetchall()

    def _searches(self, rest: str, values: Sequence[Any] = ()) -> list[SearchRow]:
        rows = self._read(f"{_SELECT} {rest}", values)
        return [SearchRow(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def search(self, request_id: str) -> SearchRow | None:
        """Return a search by its identifier. Blocks for a moment, as everything that reads here."""
        found = self._searches("WHERE request_id = ?", (request_id,))
        return found[0] if found else None

    def unfinished_searches(self) -> list[SearchRow]:
        """Return the searches that have not ended, oldest first."""
        return self._searches("WHERE completed_us IS NULL ORDER BY requested_us")

    def searches_between(self, start_us: int, end_us: int) -> list[SearchRow]:
        """Return the searches that arrived in a time range, both ends inclusive, oldest first."""
        return self._searches("WHERE requested_us BETWEEN ? AND ? ORDER BY requested_us", (start_us, end_us))

    def data_sources(self) -> list[dict[str, Any]]:
        """Return the full record of every data source, by identifier."""
        rows = self._read("SELECT record FROM data_sources ORDER BY identifier")
        return [msgspec.json.decode(row[0]) for row in rows]

    def accounts(self) -> dict[str, Account]:
        """Return every account that has an API key, by the key's digest."""
        rows = self._read("SELECT api_key_sha256, role, email_address FROM accounts WHERE api_key_sha256 IS NOT NULL")
        return {digest: Account(role=role, email_address=email) for digest, role, email in rows}


_Outcome = tuple["asyncio.Future[Any]", Any, "Exception | None"]


def _settle(outcomes: Iterable[_Outcome]) -> None:
    for answer, result, error in outcomes:
        if answer.done():  # whoever waited for it was cancelled
            continue
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)


def _source_row(record: Mapping[str, Any]) -> tuple[Any, ...]:
    text = msgspec.json.encode(record).decode()
    return record["identifier"], record["program"], record["platform"], record["instrument_type"], text


def _claim(folder: Path) -> sqlite3.Connection:
    """Hold the folder for this service: a lock that the operating system lifts however the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "in-use.sqlite", timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        reason = f"{folder} is in use by another service ({error}); stop it, or give this one a folder of its own"
        raise InvalidInput("data_dir", reason) from error
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _migrate(connection: sqlite3.Connection, folder: Path) -> int:
    """Bring the schema up to date; return the version found, 0 for a new database."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        reason = f"{folder} was written by a newer aurora_async (schema {version}, this one knows {len(_MIGRATIONS)})"
        raise InvalidInput("data_dir", reason)
    for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    return version
