"""A SQLite file that many tasks write to: one writer thread, and one transaction for whatever has gathered meanwhile.

A change is answered after its commit. Readers are not held up by writers where the file can be kept in WAL mode, which
network file systems cannot do: there the older, slower mode is used.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, TypeVar, TypeVarTuple

from aurora_async.errors import InvalidInput

__all__ = ["Change", "Database", "is_on_network"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Change = Callable[[sqlite3.Connection], T]

# File systems that several hosts may have mounted: WAL needs memory that all writers share.
_NETWORKS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"),
    *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "ocfs2", "gfs2", "panfs", "virtiofs"),
}
_WAIT_S = 30.0
_LOOK_BACK = 16


class Database:
    """A database file, opened for reading and writing in an event loop.

    Args:
        path: The file; it is made when it is not there.
        migrations: One script per schema version; a released one is never changed, the next is added behind it.
        synchronous: `FULL` has a commit on the disk before it is answered, through a power failure too; `NORMAL` has
            it with the operating system, so that only the process may die.
        wal: Whether to use WAL mode; None looks where the file lies.
        gather_s: How long changes are gathered after the first, so that more of them share a commit; no longer than
            until there are as many as the last commits had at most, for who writes alone need not wait for others.
        first: Made together with a new file's schema, so that there is never one without the other.
        name: What the file is called in errors, as the field of what the user gave.

    Raises:
        InvalidInput: The file is no database, or of a newer version.
        sqlite3.OperationalError: It cannot be opened or made.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        wal: bool | None = None,
        gather_s: float = 0.0,
        first: Change[object] | None = None,
        name: str = "database",
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._wal = wal if wal is not None else not is_on_network(path)
        self._gather_s = gather_s
        self._loop = asyncio.get_running_loop()
        opened = list[sqlite3.Connection]()
        try:
            opened.append(self.connect())
            self.found_version = _migrate(opened[0], path, migrations, first, name)
            opened.append(self.connect())
        except BaseException as error:
            for connection in opened:
                connection.close()
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                raise InvalidInput(name, f"{path} cannot be read: {error}; restore it, or move it away") from error
            raise
        self._connection, self._reader = opened
        self._reading = threading.Lock()
        self._asked: list[_Pending] = []
        """In this turn of the loop."""
        self._pending: list[_Pending] = []
        self._gathered = threading.Condition()
        self._enough = 0
        """At so many pending changes the writer wants to be woken; 0 when it does not wait."""
        self._sizes = deque[int](maxlen=_LOOK_BACK)
        self._closing = False
        self._writer = threading.Thread(target=self._write, name=f"{path.name} writer", daemon=True)
        self._writer.start()

    @property
    def is_wal(self) -> bool:
        """True when readers and writers do not wait for each other."""
        return self._wal

    def connect(self) -> sqlite3.Connection:
        """Return another connection to the file; the caller closes it."""
        connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            if self._wal:
                self._wal = _can_wal(connection)
            if not self._wal:
                connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def apply(self, change: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Have `change` made in the next transaction; the future holds what it returned, once that is committed.

        One that raises is undone, alone; for that the others may be called once more.
        """
        return self._ask(change, args)

    def update(self, sql: str, values: Sequence[object]) -> asyncio.Future[bool]:
        """Have a statement executed, like `apply`, that changes one row at most; the future holds whether it did.

        Those that follow each other with the same statement are executed as one, in half the time.
        """
        return self._ask(sql, values)

    def _ask(self, change: Callable[..., Any] | str, values: Sequence[Any]) -> asyncio.Future[Any]:
        if self._closing:
            raise RuntimeError(f"{self.path} is closed")
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._asked.append((change, values, answer))
        return answer

    def _hand_over(self) -> None:
        """Let the writer have what one turn of the loop asked for: one lock, and one waking, for all of it."""
        with self._gathered:
            self._pending += self._asked
            self._asked.clear()
            if 0 < self._enough <= len(self._pending):
                self._gathered.notify()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Blocks for a moment: call it in a thread where it is more than that."""
        with self._reading:
            return self._reader.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the file, whatever is written meanwhile."""
        with closing(self.connect()) as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Write what is still pending, then let go of the file."""
        self._hand_over()
        with self._gathered:
            self._closing = True
            self._gathered.notify()
        await asyncio.to_thread(self._writer.join)

    # In the writer's thread -------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while batch := self._next():
            results = self._commit(batch)
            try:
                self._loop.call_soon_threadsafe(_settle, batch, results)
            except RuntimeError:
                # The loop is gone, and nobody waits for answers any more: what is pending is written all the same.
                self._closing = True
        with self._reading:
            self._reader.close()
        self._connection.close()

    def _next(self) -> list[_Pending]:
        with self._gathered:
            self._enough = 1
            while not self._pending and not self._closing:
                self._gathered.wait()
            self._enough = max(self._sizes, default=1)
            if self._gather_s and len(self._pending) < self._enough and not self._closing:
                self._gathered.wait(self._gather_s)
            self._enough = 0
            batch, self._pending = self._pending, []
        self._sizes.append(len(batch))
        return batch

    def _commit(self, batch: Sequence[_Pending], *, joined: bool = True) -> list[Any]:
        """Return what each of the changes returned, `_Failed` for one that raised."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = _made(connection, batch, joined)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return results
        except _SomeChangedNothing:
            return self._commit(batch, joined=False)
        except BaseException as error:  # whatever it is, whoever waits for the change must hear of it
            if len(batch) == 1:
                return [_Failed(error)]
        # One of them is at fault: each for itself, so that the others do not suffer for it.
        return [result for one in batch for result in self._commit([one])]


_Pending = tuple[Callable[..., Any] | str, Sequence[Any], "asyncio.Future[Any]"]
"""A function and its arguments, or a statement and its values; and who waits for it."""


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _SomeChangedNothing(Exception):
    """Which of the joined updates they were is told only by executing each for itself."""


def _made(connection: sqlite3.Connection, batch: Sequence[_Pending], joined: bool) -> list[Any]:
    results = list[Any]()
    for change, same in itertools.groupby(batch, key=_what):
        if callable(change):
            results += [change(connection, *args) for _, args, _ in same]
        elif joined:
            rows = [values for _, values, _ in same]
            if connection.executemany(change, rows).rowcount != len(rows):
                raise _SomeChangedNothing
            results += itertools.repeat(True, len(rows))
        else:
            results += [connection.execute(change, values).rowcount > 0 for _, values, _ in same]
    return results


_what = itemgetter(0)


def _settle(batch: Sequence[_Pending], results: Sequence[Any]) -> None:
    for (_, _, answer), result in zip(batch, results, strict=True):
        if answer.done():  # whoever waited for it was cancelled
            continue
        if isinstance(result, _Failed):
            error = result.error
            # No future takes this one.
            answer.set_exception(RuntimeError(repr(error)) if isinstance(error, StopIteration) else error)
        else:
            answer.set_result(result)


def _migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[str],
    first: Change[object] | None,
    name: str,
) -> int:
    """Bring the schema up to date, all of it or nothing; return the version found, 0 for a new file."""
    if _version(connection) == len(migrations):
        return len(migrations)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # anew: another process may just have done it
        if version > len(migrations):
            reason = f"{path} was written by a newer aurora_async (schema {version}, this one knows {len(migrations)})"
            raise InvalidInput(name, reason)
        for script in migrations[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        if version == 0 and first is not None:
            first(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return version


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _statements(script: str) -> Iterator[str]:
    """Split a script, which `executescript` would not run inside a transaction."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _can_wal(connection: sqlite3.Connection) -> bool:
    """Try it: where memory cannot be shared, switching the mode, or the first look after it, fails."""
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                return False
            time.sleep(0.01)  # another process is just switching; SQLite itself does not wait for that
        else:
            return bool(mode == "wal")


def is_on_network(path: Path) -> bool:
    """True when the file system of a path is one that other hosts may have mounted, as far as Linux tells."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    place = path.resolve()
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        folder = Path(fields[1].replace("\\040", " "))
        if (place == folder or folder in place.parents) and len(folder.parts) >= best:
            best, kind = len(folder.parts), fields[2]
    return kind in _NETWORKS
