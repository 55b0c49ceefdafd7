"""What the local service must not forget: searches, data sources, uploaded records and accounts, in one SQLite file.

`synchronous=NORMAL` is on purpose: in WAL mode a commit has then been handed to the operating system, so nothing
acknowledged is lost when the process is killed (`kill -9`); a power failure may take the last moments with it, yet
never damages the file. A service for laptops and tests need not wait for a disk at each POST.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec
from attrs.validators import in_

from aurora_async.aurorax.models import ROLES
from aurora_async.database import Change, Database
from aurora_async.errors import InvalidInput

__all__ = ["Account", "Duplicate", "Login", "SearchRow", "Store", "digest_of"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


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
    """
    CREATE TABLE ephemeris (
        data_source INTEGER NOT NULL,
        epoch_s INTEGER NOT NULL,
        record BLOB NOT NULL,
        PRIMARY KEY (data_source, epoch_s)
    ) WITHOUT ROWID;
    CREATE TABLE data_products (
        data_source INTEGER NOT NULL,
        url TEXT NOT NULL,
        start_s INTEGER NOT NULL,
        end_s INTEGER NOT NULL,
        record BLOB NOT NULL,
        PRIMARY KEY (data_source, url)
    ) WITHOUT ROWID;
    CREATE INDEX data_products_by_time ON data_products (data_source, start_s);
    -- Both for the list of deletions and for hiding computed records, which nobody can remove.
    CREATE TABLE ephemeris_deletions (
        job TEXT PRIMARY KEY,
        data_source INTEGER NOT NULL,
        start_s INTEGER NOT NULL,
        end_s INTEGER NOT NULL,
        requested_us INTEGER NOT NULL,
        deleted INTEGER NOT NULL
    );
    CREATE INDEX ephemeris_deletions_by_source ON ephemeris_deletions (data_source, start_s);
    CREATE TABLE data_product_deletions (
        data_source INTEGER NOT NULL,
        url TEXT NOT NULL,
        PRIMARY KEY (data_source, url)
    ) WITHOUT ROWID;
    ALTER TABLE accounts ADD COLUMN password TEXT;
    CREATE TABLE logins (
        email_address TEXT PRIMARY KEY,
        this_login_us INTEGER NOT NULL,
        last_login_us INTEGER
    );
    CREATE TABLE tokens (
        sha256 TEXT PRIMARY KEY,
        email_address TEXT NOT NULL,
        used_us INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE switches (
        name TEXT PRIMARY KEY,
        is_on INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE jsoc_addresses (
        address TEXT PRIMARY KEY,
        name TEXT,
        asked_us INTEGER NOT NULL
    );
    CREATE TABLE jsoc_exports (
        number INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        address TEXT NOT NULL,
        ip_address TEXT NOT NULL,
        query TEXT NOT NULL,
        fingerprint TEXT,
        requested_us INTEGER NOT NULL,
        due_us INTEGER,
        status INTEGER NOT NULL,
        error TEXT,
        expires_us INTEGER,
        records INTEGER NOT NULL,
        megabytes INTEGER NOT NULL,
        fate TEXT,
        expires INTEGER NOT NULL DEFAULT 0,
        count_off INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX jsoc_exports_pending ON jsoc_exports (number) WHERE status = 2;
    CREATE INDEX jsoc_exports_by_content ON jsoc_exports (fingerprint) WHERE fingerprint IS NOT NULL;
    CREATE TABLE jsoc_export_files (
        export INTEGER NOT NULL REFERENCES jsoc_exports (number) ON DELETE CASCADE,
        filename TEXT NOT NULL,
        sunum INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        segment TEXT NOT NULL,
        PRIMARY KEY (export, filename)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE imap_objects (
        key TEXT PRIMARY KEY,
        path TEXT,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        changed_us INTEGER NOT NULL,
        file_ns INTEGER NOT NULL,
        tags TEXT NOT NULL DEFAULT '',
        is_old INTEGER NOT NULL DEFAULT 0,
        is_listed INTEGER NOT NULL DEFAULT 0,
        is_made_up INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE imap_secrets (
        name TEXT PRIMARY KEY,
        secret BLOB NOT NULL
    );
    INSERT INTO imap_secrets VALUES ('links', randomblob(32));
    """,
    """
    CREATE TABLE imap_files (
        file_path TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        instrument TEXT,
        data_level TEXT,
        descriptor TEXT,
        start_date TEXT,
        end_date TEXT,
        repointing INTEGER,
        major_version INTEGER,
        minor_version INTEGER,
        version TEXT,
        cr INTEGER,
        crid INTEGER,
        extension TEXT,
        released INTEGER NOT NULL,
        ingested_s INTEGER NOT NULL,
        size INTEGER,
        is_old INTEGER NOT NULL,
        is_listed INTEGER NOT NULL
    );
    CREATE INDEX imap_files_by_kind ON imap_files (kind, instrument, data_level, descriptor, start_date);
    CREATE TABLE imap_kernels (
        file_path TEXT PRIMARY KEY REFERENCES imap_files (file_path) ON DELETE CASCADE,
        file_name TEXT NOT NULL,
        file_root TEXT NOT NULL,
        kernel_type TEXT NOT NULL,
        version INTEGER NOT NULL,
        min_tdb_s REAL NOT NULL,
        max_tdb_s REAL NOT NULL,
        record TEXT NOT NULL
    );
    CREATE INDEX imap_kernels_by_root ON imap_kernels (file_root, version);
    CREATE TABLE imap_jobs (
        number INTEGER PRIMARY KEY,
        instrument TEXT,
        data_level TEXT,
        descriptor TEXT,
        start_date TEXT,
        repointing INTEGER,
        major_version INTEGER,
        minor_version INTEGER,
        dependency_hash TEXT NOT NULL,
        job_log_stream_id TEXT NOT NULL,
        container_command TEXT NOT NULL,
        started_us INTEGER NOT NULL,
        stops_us INTEGER,
        error TEXT
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


@attrs.frozen
class Login:
    """An account that logs in with a password."""

    account: Account
    password: str = attrs.field(repr=False)


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


def digest_of(secret: str) -> str:
    """Return what is kept of an API key or a token; they are long and random enough for a plain digest."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


_as_row = attrgetter(*_COLUMNS)


class Store:
    """The database below `folder`, held by one service at a time.

    A new one starts with the data sources that `first_sources` returns (full records).
    """

    def __init__(self, folder: Path, *, first_sources: Callable[[], Iterable[Mapping[str, Any]]] = list) -> None:
        self.path = folder / "service.sqlite"
        """The database, for readers with a connection of their own."""
        self._lock_connection = _claim(folder)

        def add_first_sources(connection: sqlite3.Connection) -> None:
            connection.executemany(_INSERT_SOURCE, [_source_row(source) for source in first_sources()])

        try:
            self._database = Database(
                self.path, _MIGRATIONS, synchronous="NORMAL", first=add_first_sources, name="data_dir"
            )
        except BaseException:
            self._lock_connection.close()
            raise

    async def close(self) -> None:
        """Write what is still pending, then let go of the database."""
        try:
            await self._database.close()
        finally:
            self._lock_connection.close()

    # Writing --------------------------------------------------------------------------------------------------------

    def apply(self, change: Change[T]) -> asyncio.Future[T]:
        """Have `change` made in the next transaction; the future holds what it returned, once that is committed."""
        return self._database.apply(change)

    def _apply_logged(self, change: Change[object], what: str) -> asyncio.Future[Any]:
        """Have `change` made, for which nobody need wait: should it fail, the log tells `what` was not kept."""
        answer = self.apply(change)
        answer.add_done_callback(partial(_log_failure, what))
        return answer

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

    def add_data_sources(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Keep new data sources (full records), no later than what is applied next."""
        rows = [_source_row(record) for record in records]
        self._apply_logged(lambda connection: connection.executemany(_INSERT_SOURCE, rows) and None, "data sources")

    async def put_data_source(self, record: Mapping[str, Any], *, former: int | None = None) -> None:
        """Keep a data source (full record), in the place of the one under `former` if that is given.

        Raises:
            Duplicate: Its identifier or its triple is taken.
        """
        row = _source_row(record)

        def change(connection: sqlite3.Connection) -> None:
            if former is not None:
                connection.execute("DELETE FROM data_sources WHERE identifier = ?", (former,))
            connection.execute(_INSERT_SOURCE, row)

        try:
            await self.apply(change)
        except sqlite3.IntegrityError:
            raise Duplicate("the identifier, or program, platform and instrument type") from None

    async def remove_data_source(self, identifier: int) -> bool:
        """Remove a data source; False when it has uploaded records, which may have come a moment ago."""
        sql = (
            "DELETE FROM data_sources WHERE identifier = ?1"
            " AND NOT EXISTS (SELECT 1 FROM ephemeris WHERE data_source = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM data_products WHERE data_source = ?1)"
        )
        removed = await self.apply(lambda connection: connection.execute(sql, (identifier,)).rowcount)
        return bool(removed)

    def put_ephemeris(self, data_source: int, rows: Sequence[tuple[int, bytes]]) -> asyncio.Future[bool]:
        """Keep ephemeris records: epoch (seconds since 1970) and the rest as JSON; the same epoch replaces.

        The future holds False when there is no such data source (any more).
        """
        return self._put_records("INSERT OR REPLACE INTO ephemeris VALUES (?, ?, ?)", data_source, rows)

    def put_data_products(self, data_source: int, rows: Sequence[tuple[str, int, int, bytes]]) -> asyncio.Future[bool]:
        """Keep data products: address, start and end (seconds since 1970), the rest as JSON; otherwise the same."""
        return self._put_records("INSERT OR REPLACE INTO data_products VALUES (?, ?, ?, ?, ?)", data_source, rows)

    def _put_records(self, sql: str, data_source: int, rows: Sequence[tuple[Any, ...]]) -> asyncio.Future[bool]:
        def change(connection: sqlite3.Connection) -> bool:
            known = connection.execute("SELECT 1 FROM data_sources WHERE identifier = ?", (data_source,)).fetchone()
            if known is not None:
                connection.executemany(sql, ((data_source, *row) for row in rows))
            return known is not None

        return self.apply(change)

    def delete_ephemeris(
        self, data_source: int, start_s: int, end_s: int, *, job: str, requested_us: int
    ) -> asyncio.Future[Any]:
        """Delete the ephemeris of a time range, both ends inclusive, and keep that this was done."""

        def change(connection: sqlite3.Connection) -> None:
            sql = "DELETE FROM ephemeris WHERE data_source = ? AND epoch_s BETWEEN ? AND ?"
            deleted = connection.execute(sql, (data_source, start_s, end_s)).rowcount
            row = (job, data_source, start_s, end_s, requested_us, deleted)
            connection.execute("INSERT INTO ephemeris_deletions VALUES (?, ?, ?, ?, ?, ?)", row)

        return self.apply(change)

    def delete_data_products(self, data_source: int, urls: Sequence[str]) -> asyncio.Future[Any]:
        """Delete data products by address, and keep that they are gone."""
        rows = [(data_source, url) for url in urls]

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM data_products WHERE data_source = ? AND url = ?", rows)
            connection.executemany("INSERT OR IGNORE INTO data_product_deletions VALUES (?, ?)", rows)

        return self.apply(change)

    def set_accounts(
        self, keys: Mapping[str, Account], passwords: Iterable[tuple[Account, str]] = ()
    ) -> asyncio.Future[Any]:
        """Replace the accounts that come from the settings.

        Args:
            keys: Accounts by API key, of which only the digest is kept.
            passwords: Accounts and what is kept of their passwords (`accounts.hash_password`).
        """
        rows: list[tuple[str, str, str | None, str | None]] = [
            (who.email_address, who.role, digest_of(key), None) for key, who in keys.items()
        ]
        rows += [(who.email_address, who.role, None, password) for who, password in passwords]

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM accounts WHERE from_settings")
            connection.executemany(
                "INSERT INTO accounts (email_address, role, api_key_sha256, password, from_settings)"
                " VALUES (?, ?, ?, ?, 1)",
                rows,
            )

        return self.apply(change)

    def add_login(self, email_address: str, token_sha256: str, now_us: int, dead_before_us: int) -> asyncio.Future[Any]:
        """Keep a new token and that somebody logged in; forget the tokens last used before `dead_before_us`."""

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM tokens WHERE used_us < ?", (dead_before_us,))
            connection.execute("INSERT INTO tokens VALUES (?, ?, ?)", (token_sha256, email_address, now_us))
            connection.execute(
                "INSERT INTO logins VALUES (?, ?, NULL) ON CONFLICT (email_address)"
                " DO UPDATE SET last_login_us = this_login_us, this_login_us = excluded.this_login_us",
                (email_address, now_us),
            )

        return self.apply(change)

    def use_token(self, token_sha256: str, now_us: int) -> None:
        """Keep when a token was last used, some time soon."""
        sql = "UPDATE tokens SET used_us = ? WHERE sha256 = ?"
        self._apply_logged(lambda connection: connection.execute(sql, (now_us, token_sha256)) and None, "a token's use")

    def forget_token(self, token_sha256: str) -> asyncio.Future[Any]:
        """Make a token invalid."""
        sql = "DELETE FROM tokens WHERE sha256 = ?"
        return self.apply(lambda connection: connection.execute(sql, (token_sha256,)) and None)

    def set_maintenance(self, is_on: bool) -> asyncio.Future[Any]:
        """Keep whether the service is in maintenance mode."""
        sql = "INSERT OR REPLACE INTO switches VALUES ('maintenance', ?)"
        return self._apply_logged(lambda connection: connection.execute(sql, (is_on,)) and None, "maintenance mode")

    # Reading --------------------------------------------------------------------------------------------------------

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._database.read(sql, values)

    def read_long(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query that takes a while: in a thread, where it holds up no other one."""
        with self._database.snapshot() as connection:
            return connection.execute(sql, values).fetchall()

    def _searches(self, rest: str, values: Sequence[Any] = ()) -> list[SearchRow]:
        rows = self._database.read(f"{_SELECT} {rest}", values)
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
        rows = self._database.read("SELECT record FROM data_sources ORDER BY identifier")
        return [msgspec.json.decode(row[0]) for row in rows]

    def accounts(self) -> dict[str, Account]:
        """Return every account that has an API key, by the key's digest."""
        rows = self._database.read(
            "SELECT api_key_sha256, role, email_address FROM accounts WHERE api_key_sha256 IS NOT NULL"
        )
        return {digest: Account(role=role, email_address=email) for digest, role, email in rows}

    def passwords(self) -> dict[str, tuple[Account, str]]:
        """Return every account that has a password, with what is kept of it, by address."""
        rows = self._database.read("SELECT email_address, role, password FROM accounts WHERE password IS NOT NULL")
        return {email: (Account(role=role, email_address=email), password) for email, role, password in rows}

    def tokens(self) -> dict[str, tuple[str, int]]:
        """Return whose each token is, and when it was last used (microseconds since 1970), by the token's digest."""
        rows = self._database.read("SELECT sha256, email_address, used_us FROM tokens")
        return {digest: (email, used_us) for digest, email, used_us in rows}

    def logins(self) -> dict[str, tuple[int, int | None]]:
        """Return when each person logged in last, and the time before, by address."""
        return {email: (this, last) for email, this, last in self._database.read("SELECT * FROM logins")}

    def maintenance(self) -> bool:
        """Return whether the service was in maintenance mode when it ended."""
        return self._database.read("SELECT is_on FROM switches WHERE name = 'maintenance'") == [(1,)]

    def deletions(self, data_source: int, since_us: int) -> list[tuple[str, int, int, int, int]]:
        """Return the deletions of ephemeris since then: job, start and end (s), when (us), how many were uploaded."""
        sql = (
            "SELECT job, start_s, end_s, requested_us, deleted FROM ephemeris_deletions"
            " WHERE data_source = ? AND requested_us >= ? ORDER BY requested_us"
        )
        return [
            (job, start, end, at, count)
            for job, start, end, at, count in self._database.read(sql, (data_source, since_us))
        ]

    def changed_data_sources(self) -> tuple[set[int], set[int]]:
        """Return which data sources have uploaded or deleted ephemeris, and which such data products."""
        found = []
        for uploaded, deleted in (("ephemeris", "ephemeris_deletions"), ("data_products", "data_product_deletions")):
            rows = self._database.read(
                f"SELECT identifier FROM data_sources"
                f" WHERE EXISTS (SELECT 1 FROM {uploaded} WHERE data_source = identifier)"
                f" OR EXISTS (SELECT 1 FROM {deleted} WHERE data_source = identifier)"
            )
            found.append({identifier for (identifier,) in rows})
        return found[0], found[1]


def _log_failure(what: str, answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled() and (error := answer.exception()) is not None:
        logger.error("%s could not be kept: %s", what, error, exc_info=error)


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
