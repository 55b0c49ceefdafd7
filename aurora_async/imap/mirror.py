"""A query's files kept in a folder: each run brings what is new since the last one, and what is missing.

With a key or token only what was ingested since is asked for, up to the mark that the last complete run has left. What
the public sees changes by releases, which leave no trace in ingestion dates: there the whole query is asked every time,
and compared. Either way a file that came is written down at once, so a run that is killed costs nothing but the asking.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from aurora_async.database import Database
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import TargetNotWritable
from aurora_async.http import Session
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import (
    Download,
    DownloadedFile,
    OnBytes,
    OnOutcome,
    Query,
    download_files,
    find_files,
    folder_of,
)
from aurora_async.imap.errors import NoSuchFile
from aurora_async.imap.filenames import InvalidFileName, ScienceName, parse_name
from aurora_async.imap.models import FileRow
from aurora_async.imap.query import SpiceQuery
from aurora_async.transfer import FetchOptions, ensure_writable
from aurora_async.transfer.leases import PARTS_FOLDER, Claim

__all__ = ["Mirrored", "mirror_files"]

STATE = Path(".aurora_async", "imap-mirrors.sqlite")

_OVERLAP = timedelta(hours=1)
"""Rows appear up to a minute after the ingestion that they tell; clocks differ by more."""
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

    Of a dry run, `would` are the keys that a run would fetch, and nothing else has happened.
    """

    folder: Path
    new: tuple[DownloadedFile, ...] = ()
    """Those that came, or came anew."""
    failed: tuple[DownloadedFile, ...] = ()
    """The next run tries these again."""
    present: int = 0
    """How many were here already."""
    would: tuple[str, ...] = ()
    since: datetime | None = None
    """Only what was ingested since was asked for; None: everything."""
    mark: datetime | None = None
    """The last ingestion that is all here."""

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return not self.failed

    def raise_for_failures(self) -> None:
        """Raise an `ExceptionGroup` of what went wrong, if anything did."""
        Download(folder=self.folder, files=(*self.new, *self.failed)).raise_for_failures()

    def __repr__(self) -> str:
        counted = ((len(self.new), "new"), (len(self.failed), "failed"), (len(self.would), "to fetch"))
        parts = [f"{number:,} {what}" for number, what in counted if number]
        parts.append(f"{self.present:,} were there")
        return f"<Mirrored in {self.folder}: {', '.join(parts)}>"


async def mirror_files(
    session: Session,
    config: ImapConfig,
    query: Query,
    folder: Path | str | None = None,
    *,
    at_once: int = 16,
    dry_run: bool = False,
    on_planned: Callable[[int], object] | None = None,
    on_outcome: OnOutcome | None = None,
    on_bytes: OnBytes | None = None,
    deadline_s: float | None = None,
) -> Mirrored:
    """Bring a folder up to date with a query. Nothing is removed: what newer versions replace stays.

    Args:
        session: Borrowed.
        config: Where the service is, and the folder when none is given.
        query: Which files. Each query has its own mark, and each way to ask: as the public, or as somebody it knows.
        folder: The data directory; several mirrors may share it.
        at_once: How many files are fetched at one moment.
        dry_run: Find out what would be fetched, and leave it at that.
        on_planned: Told how many files this run fetches, before the first.
        on_outcome: Told of each of these when it is over.
        on_bytes: Told of which key how many bytes are here, and of how many (None where that is not known yet).
        deadline_s: Seconds for all of it; what has come by then is kept.

    Raises:
        TargetNotWritable: The folder cannot be made or written.
        HttpError, TransportError: The catalogue could not be asked. A file that fails raises nothing.
        DeadlineExceeded: Time ran out.
    """
    folder = folder_of(config, folder)
    with Deadline(deadline_s).scope(f"mirroring into {folder}"):
        async with _opened(folder, config, query, dry_run) as state:
            plan = await _plan(session, config, query, folder, state)
            since = state.mark if plan.is_partial else None
            if dry_run:
                return Mirrored(
                    folder=folder, present=plan.present, would=tuple(plan.wanted), since=since, mark=state.mark
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

            # As rows: what the catalogue should not have told fails alone.
            wanted = [FileRow(key=key) for key in plan.wanted]
            download = await download_files(
                session, config, wanted, folder, at_once=at_once, on_outcome=note, on_bytes=on_bytes
            )
            failed = tuple(file for file in download.failed if not plan.is_gone(file))
            if not failed and plan.newest is not None:
                state.advance(plan.newest)
            await state.written()
            new = tuple(file for file in download if file.ok and not file.was_there)
            there = sum(file.was_there for file in download)
            return Mirrored(
                folder=folder, new=new, failed=failed, present=plan.present + there, since=since, mark=state.mark
            )


# What is to be done ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Plan:
    """What a run fetches: keys, and when each was ingested, where the catalogue has just told that."""

    wanted: Mapping[str, str | None]
    listed: frozenset[str]
    """What the catalogue has just told of."""
    newest: datetime | None
    present: int
    is_partial: bool
    """Whether only what is new was asked for."""

    def is_gone(self, file: DownloadedFile) -> bool:
        """True for a file that was here once, and that the archive has no more."""
        return isinstance(file.error, NoSuchFile) and file.key not in self.listed


async def _plan(session: Session, config: ImapConfig, query: Query, folder: Path, state: _State) -> _Plan:
    asked = _partial(query, state.mark) if config.is_authenticated else None
    listed: dict[str, datetime | None] = {}
    for row in await find_files(session, config, asked or query):
        listed[row.key] = getattr(row, "ingestion_date", None)  # which rows of 2024 have not
    ingested = {key: None if at is None else at.isoformat() for key, at in listed.items()}
    lacking = await anyio.to_thread.run_sync(_lacking, folder, state.known, abandon_on_cancel=True)
    here = {key: one.ingested for key, one in state.known.items() if key not in lacking}
    wanted = {key: at for key, at in ingested.items() if key not in here or here[key] != at}
    if asked is None:
        dropped = lacking - listed.keys()  # here once, and not among the query's files any more
    else:
        dropped = _outranked({*state.known, *listed}, query) & (lacking | wanted.keys())
        wanted |= {key: state.known[key].ingested for key in sorted(lacking - listed.keys())}
    for key in dropped:
        wanted.pop(key, None)
        state.forget(key)
    return _Plan(
        wanted=wanted,
        listed=frozenset(listed),
        newest=max((at for at in listed.values() if at is not None), default=None),
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


def _outranked(keys: Iterable[str], query: Query) -> set[str]:
    """Return the keys of science files that newer versions have replaced.

    The service ranks what is left after all filters, the one for ingestion too: of what is new it may tell an old
    version that was delivered late, which is not among the files of the whole query.
    """
    if isinstance(query, SpiceQuery) or query.table != "science" or query.major is not None:
        return set()
    ranks: dict[str, tuple[Hashable, tuple[int, int]]] = {}
    for key in keys:
        try:
            name = parse_name(key)
        except InvalidFileName:
            continue
        if isinstance(name, ScienceName):
            major = -1 if name.version.major is None else name.version.major
            series = name.instrument, name.data_level, name.descriptor, name.start_date, name.repointing
            ranks[key] = series, (major, name.version.minor if query.is_latest else 0)
    best: dict[Hashable, tuple[int, int]] = {}
    for of_series, rank in ranks.values():
        best[of_series] = max(best.get(of_series, rank), rank)
    return {key for key, (of_series, rank) in ranks.items() if rank < best[of_series]}


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

    async def written(self) -> None:
        """Wait until all of it is."""
        assert self.database is not None
        try:
            await asyncio.gather(*self._pending)
        except sqlite3.Error as error:
            raise _not_writable(self.database.path, error) from error


@asynccontextmanager
async def _opened(folder: Path, config: ImapConfig, query: Query, dry_run: bool) -> AsyncIterator[_State]:
    path = folder / STATE
    sees = "everything" if config.is_authenticated else "what is released"
    asked = {"of": type(query).__name__, **attrs.asdict(query, filter=lambda _, value: value is not None)}
    about = json.dumps({"service": config.root_url, "sees": sees, "query": asked}, sort_keys=True, default=str)
    digest = sha256(about.encode()).hexdigest()
    if dry_run:
        yield await anyio.to_thread.run_sync(_read, path, digest)
        return
    await ensure_writable(path)
    try:
        database = Database(path, _MIGRATIONS, synchronous="NORMAL", name="folder")
    except sqlite3.OperationalError as error:
        raise _not_writable(path, error) from error
    try:
        await database.apply(
            lambda connection: connection.execute(
                "INSERT OR IGNORE INTO mirrors (digest, about) VALUES (?, ?)", (digest, about)
            )
        )
        state = await anyio.to_thread.run_sync(_read, path, digest)
        state.database = database
        yield state
    finally:
        with anyio.CancelScope(shield=True):
            await database.close()


def _read(path: Path, digest: str) -> _State:
    """Read what is written down, if anything is. Blocks."""
    if not path.exists():
        return _State()
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            for number, mark in connection.execute("SELECT id, mark FROM mirrors WHERE digest = ?", (digest,)):
                files = connection.execute("SELECT key, ingested, bytes FROM files WHERE mirror = ?", (number,))
                known = {key: _Known(ingested, size) for key, ingested, size in files}
                return _State(None if mark is None else datetime.fromisoformat(mark), known, number)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _not_writable(path, error) from error
    return _State()


def _not_writable(path: Path, error: Exception) -> TargetNotWritable:
    return TargetNotWritable("", path, f"what was fetched cannot be written down: {error}")
