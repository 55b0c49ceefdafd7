"""A query's files kept in a folder: each run brings what is new since the last one, and what is missing.

With a key or token only what was ingested since the last complete run is asked for, which has left a mark, and in some
days before that: rows may come late. What the public sees changes by releases, which leave no trace in ingestion dates:
there the whole query is asked every time, and compared. Either way a file that came is written down at once, so a run
that is killed costs nothing but the asking.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Set
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from aurora_async.database import Database
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import InvalidInput, TargetNotWritable
from aurora_async.http import Session, shown_url
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import (
    DownloadedFile,
    OnBytes,
    OnOutcome,
    Query,
    download_files,
    find_files,
    folder_of,
)
from aurora_async.imap.errors import NoSuchFile
from aurora_async.imap.latest import outranked
from aurora_async.imap.models import FileRow
from aurora_async.imap.query import SpiceQuery
from aurora_async.transfer import FetchOptions, ensure_writable
from aurora_async.transfer.leases import PARTS_FOLDER, Claim
from aurora_async.transfer.outcomes import raise_for

__all__ = ["Mirrored", "mirror_files"]

STATE = Path(".aurora_async", "imap-mirrors.sqlite")

_OVERLAP = timedelta(days=3)
"""Rows mostly appear within a minute of their ingestion, and after trouble much later. What is known costs nothing."""
_KEY = re.compile(r"(?:[^/.\0][^/\0]*/)*[^/.\0][^/\0]*")
_MIGRATIONS = (
    """
    CREATE TABLE mirrors (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, about TEXT NOT NULL, mark TEXT);
    CREATE TABLE files (
        mirror INTEGER NOT NULL REFERENCES mirrors (id),
        key TEXT NOT NULL,
        ingested TEXT,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (mirror, key)
    ) WITHOUT ROWID;
    """,
)


@attrs.frozen(kw_only=True)
class Mirrored:
    """What a run has done: the files below `folder` are those of the query, but for those that `failed`.

    Of a dry run, `planned` are the keys that a run would fetch, and nothing else has happened.
    """

    folder: Path
    new: tuple[DownloadedFile, ...] = ()
    """Those that came, or came anew."""
    failed: tuple[DownloadedFile, ...] = ()
    """The next run tries these again."""
    present: int = 0
    """How many were here already."""
    planned: tuple[str, ...] = ()
    since: datetime | None = None
    """Only what was ingested since was asked for; None: everything."""
    mark: datetime | None = None
    """All that was ingested until then is here."""

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return not self.failed

    def raise_for_failures(self) -> None:
        """Raise an `ExceptionGroup` of what went wrong, if anything did."""
        raise_for(self.failed, f"of {len(self.new) + len(self.failed)} files are not in {self.folder}")

    def __repr__(self) -> str:
        counted = ((len(self.new), "new"), (len(self.failed), "failed"), (len(self.planned), "to fetch"))
        parts = [f"{number:,} {what}" for number, what in counted if number]
        parts.append(f"{self.present:,} were there")
        return f"<Mirrored in {self.folder}: {', '.join(parts)}>"


async def mirror_files(
    session: Session,
    config: ImapConfig,
    query: Query,
    folder: Path | str | None = None,
    *,
    full: bool = False,
    at_once: int = 16,
    dry_run: bool = False,
    on_planned: Callable[[int], object] | None = None,
    on_outcome: OnOutcome | None = None,
    on_bytes: OnBytes | None = None,
    deadline_s: float | None = None,
) -> Mirrored:
    """Bring a folder up to date with a query; see `Imap.mirror`."""
    started = datetime.now(UTC)
    folder = folder_of(config, folder)
    with Deadline(deadline_s).scope(f"mirroring into {folder}"):
        async with _opened(folder, config, query, dry_run) as state:
            if state.mark is not None and state.mark > started:
                state.mark = None  # a clock was wrong: nobody knows what has come since
            plan = await _plan(session, config, query, folder, state, started, full=full)
            since = state.mark if plan.is_partial else None
            if dry_run:
                return Mirrored(
                    folder=folder, present=plan.present, planned=tuple(plan.wanted), since=since, mark=state.mark
                )
            here = [folder / key for key in state.known if key not in plan.wanted]
            await anyio.to_thread.run_sync(_tidy, here, abandon_on_cancel=True)
            if on_planned is not None:
                on_planned(len(plan.wanted))

            def note(file: DownloadedFile) -> None:
                if plan.is_gone(file):
                    state.forget(file.key)
                elif file.bytes is not None:
                    state.note(file.key, plan.wanted[file.key], file.bytes)
                if on_outcome is not None:
                    on_outcome(file)

            # As rows: a key that the catalogue should not have fails alone.
            wanted = [FileRow(key=key) for key in plan.wanted]
            download = await download_files(
                session, config, wanted, folder, at_once=at_once, on_outcome=note, on_bytes=on_bytes
            )
            failed = tuple(file for file in download.failed if not plan.is_gone(file))
            if not failed and plan.newest is not None:
                state.advance(plan.newest)
            new = tuple(file for file in download if file.ok and not file.was_there)
            there = sum(file.was_there for file in download)
            return Mirrored(
                folder=folder, new=new, failed=failed, present=plan.present + there, since=since, mark=state.mark
            )


# What is to be done ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Plan:
    """What a run fetches: keys, and when each was ingested, where the catalogue has just said that."""

    wanted: Mapping[str, str | None]
    listed: frozenset[str]
    """What the catalogue has just named."""
    newest: datetime | None
    """The last ingestion of these."""
    present: int
    is_partial: bool
    """Whether only what is new was asked for."""

    def is_gone(self, file: DownloadedFile) -> bool:
        """True for a file that was here once, and that the service has no more."""
        return isinstance(file.error, NoSuchFile) and file.key not in self.listed


async def _plan(
    session: Session, config: ImapConfig, query: Query, folder: Path, state: _State, started: datetime, *, full: bool
) -> _Plan:
    asked = _partial(query, state.mark) if config.is_authenticated and not full else None
    listed: dict[str, datetime | None] = {}
    for row in await find_files(session, config, asked or query):
        listed[row.key] = row.ingestion_date
    ingested = {key: None if at is None else at.isoformat() for key, at in listed.items()}
    lacking = await anyio.to_thread.run_sync(_lacking, folder, state.known, abandon_on_cancel=True)
    here = {key: one.ingested for key, one in state.known.items() if key not in lacking}
    wanted = {key: at for key, at in ingested.items() if key not in here or here[key] != at}
    if asked is None:
        dropped = lacking - listed.keys()  # here once, and not among the query's files any more
    else:
        dropped = _outranked(lacking | wanted.keys(), {*state.known, *listed}, query)
        wanted |= {key: state.known[key].ingested for key in sorted(lacking - listed.keys())}
    for key in dropped:
        wanted.pop(key, None)
        state.forget(key)
    moments = [at for at in listed.values() if at is not None]
    return _Plan(
        wanted=wanted,
        listed=frozenset(listed),
        # A row of the future, which somebody's clock has made, would hide all that comes until then.
        newest=max((at for at in moments if at <= started), default=started if moments else None),
        present=len(state.known.keys() - wanted.keys()),
        is_partial=asked is not None,
    )


def _partial(query: Query, mark: datetime | None) -> Query | None:
    """Return the query for what came since the mark; None where that would not do."""
    is_ranked_here = query.latest if isinstance(query, SpiceQuery) else query.is_latest and query.table != "science"
    if mark is None or is_ranked_here:
        return None
    narrowed = attrs.evolve(query, ingestion_start_date=(mark - _OVERLAP).date())  # whole days, which the service knows
    own = query.ingestion_start_date
    return query if own is not None and own > (narrowed.ingestion_start_date or own) else narrowed


def _lacking(folder: Path, known: Mapping[str, _Known]) -> set[str]:
    """Return what was here and is not, or not as long as it was. Blocks."""

    def size(key: str) -> int:
        try:
            return (folder / key).stat().st_size
        except OSError:
            return -1

    return {key for key, one in known.items() if size(key) != one.bytes}


def _tidy(here: Collection[Path]) -> None:
    """Clean away what a killed run has left beside files that are here, at which no transfer looks again. Blocks."""
    unclean = {parent for parent in {path.parent for path in here} if (parent / PARTS_FOLDER).is_dir()}
    for path in here:
        if path.parent in unclean:
            Claim(path, FetchOptions().lease_s).tidy()


def _outranked(some: Set[str], keys: Set[str], query: Query) -> set[str]:
    """Return those of `some` that others of `keys` have replaced, which the whole query would not find any more."""
    if not some or isinstance(query, SpiceQuery) or query.table != "science" or query.major is not None:
        return set()
    series = {_series(key) for key in some}  # the others need not be parsed
    return outranked((key for key in keys if _series(key) in series), is_latest=query.is_latest) & some


def _series(key: str) -> str:
    """Return what the versions of a file have in common."""
    return key.rpartition("_v")[0]


# What was done --------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Known:
    """A file that has come: as it was ingested then, and so long."""

    ingested: str | None
    bytes: int


@attrs.define(eq=False)
class _State:
    """What is written down of one mirror. Changes are written behind its back, many at a time."""

    mark: datetime | None = None
    known: dict[str, _Known] = attrs.field(factory=dict)
    id: int = 0
    database: Database | None = None
    """None where nothing is to be written."""
    _pending: list[asyncio.Future[object]] = attrs.field(factory=list)

    def note(self, key: str, ingested: str | None, size: int) -> None:
        """A file has come."""
        self._write(
            "INSERT OR REPLACE INTO files (mirror, key, ingested, bytes) VALUES (?, ?, ?, ?)", key, ingested, size
        )

    def forget(self, key: str) -> None:
        """A file is none of this mirror's any more."""
        if self.known.pop(key, None) is not None:
            self._write("DELETE FROM files WHERE mirror = ? AND key = ?", key)

    def advance(self, mark: datetime) -> None:
        """All that was ingested until then is here."""
        self.mark = mark if self.mark is None else max(mark, self.mark)
        self._write("UPDATE mirrors SET mark = ?2 WHERE id = ?1", self.mark.isoformat())

    def _write(self, sql: str, *values: object) -> None:
        if self.database is not None:
            self._pending.append(self.database.apply(lambda connection: connection.execute(sql, (self.id, *values))))

    def trouble(self) -> BaseException | None:
        """Return why something could not be written, once the database is closed."""
        errors = [change.exception() for change in self._pending if not change.cancelled()]  # each has to be asked for
        return next((error for error in errors if error is not None), None)


@asynccontextmanager
async def _opened(folder: Path, config: ImapConfig, query: Query, dry_run: bool) -> AsyncIterator[_State]:
    path = folder / STATE
    sees = "everything" if config.is_authenticated else "what is released"
    asked = {"of": type(query).__name__, **attrs.asdict(query, filter=lambda _, value: value is not None)}
    service = shown_url(config.root_url)  # without user and password, of which no file is to know
    about = json.dumps({"service": service, "sees": sees, "query": asked}, sort_keys=True, default=str)
    digest = sha256(about.encode()).hexdigest()
    if dry_run:
        yield await anyio.to_thread.run_sync(_read_file, path, digest)
        return
    await ensure_writable(path)
    try:
        database = Database(path, _MIGRATIONS, synchronous="NORMAL", name="folder")
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    except InvalidInput as error:
        raise _unusable(path, error.__cause__ or error.reason) from error
    state = _State()
    try:
        try:
            await database.apply(
                lambda connection: connection.execute(
                    "INSERT OR IGNORE INTO mirrors (digest, about) VALUES (?, ?)", (digest, about)
                )
            )
            state = await anyio.to_thread.run_sync(lambda: _read(database.connect(), digest))
        except (sqlite3.Error, ValueError) as error:
            raise _unusable(path, error) from error
        state.database = database
        yield state
    finally:
        with anyio.CancelScope(shield=True):
            await database.close()
        trouble = state.trouble()
    if trouble is not None:
        raise _unusable(path, trouble) from trouble


def _read_file(path: Path, digest: str) -> _State:
    """Read what is written down, if anything is, and write nothing. Blocks."""
    if not path.exists():
        return _State()
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        try:
            return _read(sqlite3.connect(uri, uri=True), digest)
        except sqlite3.OperationalError:
            # Where nothing can be written, SQLite reads such a file only if told that nobody else does write it.
            return _read(sqlite3.connect(f"{uri}&immutable=1", uri=True), digest)
    except (OSError, sqlite3.Error, ValueError) as error:
        raise _unusable(path, error) from error


def _read(connection: sqlite3.Connection, digest: str) -> _State:
    """Read one mirror, if it is known, and close the connection. Blocks.

    Raises:
        sqlite3.Error, ValueError: The file is damaged.
    """
    with closing(connection):
        for number, mark in connection.execute("SELECT id, mark FROM mirrors WHERE digest = ?", (digest,)):
            known = {}
            for key, ingested, size in connection.execute(
                "SELECT key, ingested, bytes FROM files WHERE mirror = ?", (number,)
            ):
                if not isinstance(key, str) or not _KEY.fullmatch(key) or not isinstance(size, int):
                    raise ValueError(f"{key!r} of {size!r} bytes is none of its files")
                known[key] = _Known(ingested, size)
            return _State(None if mark is None else _moment(mark), known, number)
    return _State()


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is no time")
    return moment


def _unusable(path: Path, trouble: BaseException | str) -> TargetNotWritable:
    reason = (
        f"what has been fetched cannot be read or written down there ({trouble}); mend that, or move the file away: "
        "then everything is compared once more, and nothing that is here is fetched again"
    )
    return TargetNotWritable("", path, reason)
