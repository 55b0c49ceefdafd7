"""The objects of the store: what was uploaded, what lies in a folder of the user's, and what is made up when asked for.

An object is a file below a folder of the service's (or the user's own), and a row that says what it is; all rows are in
memory as well, so that finding one costs no query. A file that somebody changes in place is noticed when it is opened.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from aurora_async.server.imap.catalog import Catalog
from aurora_async.server.imap.contents import made_up
from aurora_async.server.site import ApiError
from aurora_async.server.store import Store

__all__ = ["Object", "Objects"]

_INLINE_BYTES = 64 * 1024
"""Less than this is written at once: a hop to a thread would take longer."""
_WRITE_BYTES = 1 << 20
_TRIES = 3


@attrs.frozen(kw_only=True)
class Object:
    """An object that there is."""

    key: str
    path: str | None
    """Where the user has it; None below the service's own folder."""
    size: int
    etag: str
    """MD5 of its bytes in hexadecimal; empty as long as nobody has asked for it."""
    changed_us: int
    """When it came, in microseconds since 1970."""
    file_ns: int
    """When the file was changed, as the file system says: another time means other bytes."""
    tags: str = ""
    is_old: bool = attrs.field(default=False, converter=bool)
    """Whether a client of January 2024 has brought it."""
    is_listed: bool = attrs.field(default=False, converter=bool)
    """Whether the catalogue has been told."""
    is_made_up: bool = attrs.field(default=False, converter=bool)


_COLUMNS = tuple(field.name for field in attrs.fields(Object))
_PUT = f"INSERT OR REPLACE INTO imap_objects ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


class Objects:
    """The objects in a store and a folder (borrowed)."""

    def __init__(self, store: Store, catalog: Catalog, folder: Path) -> None:
        self._store = store
        self._catalog = catalog
        self._folder = folder / "objects"
        self._incoming = folder / "incoming"
        self._objects: dict[str, Object] = {}
        self._changed: dict[tuple[str, int], Object] = {}
        """Other versions of made-up objects, which faults have asked for."""
        self._making: dict[tuple[str, int], asyncio.Task[Object]] = {}

    def resume(self) -> None:
        """Learn what a former service had."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            left.unlink(missing_ok=True)
        for row in self._store.read(f"SELECT {', '.join(_COLUMNS)} FROM imap_objects"):
            entry = Object(**dict(zip(_COLUMNS, row, strict=True)))
            # The archive may have been started without the published files this time.
            if not entry.is_made_up or self._is_published(entry.key):
                self._objects[entry.key] = entry

    async def close(self) -> None:
        """Finish what is being made."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def __contains__(self, key: str) -> bool:
        """Tell whether there is an object, made already or not."""
        return key in self._objects or self._is_published(key)

    def _is_published(self, key: str) -> bool:
        entry = self._catalog.find(key)
        return entry is not None and entry.size is None

    def known(self, key: str) -> Object | None:
        """Return an object that was brought or made before."""
        return self._objects.get(key)

    def has(self, entry: Object) -> bool:
        """Tell whether this is still what there is under its key, whatever else has become known of it."""
        now = self._objects.get(entry.key)
        return now is not None and (now.path, now.file_ns) == (entry.path, entry.file_ns)

    def unlisted(self) -> Sequence[Object]:
        """Return the objects that the catalogue has not been told of."""
        return [entry for entry in self._objects.values() if not entry.is_listed]

    def in_user_folder(self) -> dict[str, Object]:
        """Return the objects that the user has, by their keys."""
        return {key: entry for key, entry in self._objects.items() if entry.path is not None}

    def path_of(self, entry: Object) -> Path:
        """Return where the bytes are."""
        return self._folder / entry.key if entry.path is None else Path(entry.path)

    # Reading --------------------------------------------------------------------------------------------------------

    async def get(self, key: str, *, version: int = 1) -> Object | None:
        """Return an object, with its digest; a published one is made if need be, also in another version."""
        entry = self._objects.get(key)
        if entry is None:
            return await self._made(key, version) if self._is_published(key) else None
        if entry.is_made_up and version != 1:
            return await self._made(key, version)
        try:
            stat = self.path_of(entry).stat()
        except OSError:
            return await self._made(key, version) if entry.is_made_up else None
        if entry.etag and (stat.st_mtime_ns, stat.st_size) == (entry.file_ns, entry.size):
            return entry
        return await self._digested(entry, stat)

    async def open(self, key: str, *, version: int = 1) -> tuple[Object, BinaryIO] | None:
        """Return an object with its file, which the caller closes; what was found out of it is true of these bytes.

        Raises:
            ApiError: It changes all the time.
        """
        for _ in range(_TRIES):
            entry = await self.get(key, version=version)
            if entry is None:
                return None
            is_other = entry.is_made_up and version != 1
            file = _open(self._other_path(key, version) if is_other else self.path_of(entry))
            if file is None:
                continue
            stat = os.fstat(file.fileno())
            if (stat.st_mtime_ns, stat.st_size) == (entry.file_ns, entry.size):
                return entry, file
            file.close()
        raise ApiError(503, "SlowDown", "The object is being changed. Please try again.")

    async def read(self, key: str) -> bytes | None:
        """Return what is in an object; None where there is none."""
        entry = await self.get(key)
        return None if entry is None else await asyncio.to_thread(self.path_of(entry).read_bytes)

    async def _digested(self, entry: Object, stat: os.stat_result) -> Object:
        path = self.path_of(entry)
        etag = await asyncio.to_thread(_md5_of, path)
        changed_us = entry.changed_us if stat.st_mtime_ns == entry.file_ns else stat.st_mtime_ns // 1000
        entry = attrs.evolve(entry, etag=etag, size=stat.st_size, file_ns=stat.st_mtime_ns, changed_us=changed_us)
        await self._keep(entry)
        return entry

    # Making ---------------------------------------------------------------------------------------------------------

    async def _made(self, key: str, version: int) -> Object:
        if (done := self._changed.get((key, version))) is not None:
            return done
        task = self._making.get((key, version))
        if task is None:
            task = asyncio.create_task(self._make(key, version), name=f"make {key}")
            self._making[key, version] = task
            task.add_done_callback(lambda _: self._making.pop((key, version), None))
        return await asyncio.shield(task)  # others may wait for it as well

    async def _make(self, key: str, version: int) -> Object:
        entry = self._catalog.find(key)
        now_us = time.time_ns() // 1000
        changed_us = now_us if entry is None else int(entry.ingested.timestamp() * 1_000_000)
        path = self._folder / key if version == 1 else self._other_path(key, version)

        def make() -> Object:
            content = made_up(key, version=version)
            left = self._incoming / secrets.token_hex(8)
            left.write_bytes(content)
            stat = left.stat()
            _take_place(left, path)
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            return Object(
                key=key, path=None, size=len(content), etag=etag, changed_us=changed_us, file_ns=stat.st_mtime_ns,
                is_listed=True, is_made_up=True,
            )  # fmt: skip

        made = await asyncio.to_thread(make)
        if version == 1:
            await self._keep(made)
        else:
            self._changed[key, version] = made
        return made

    def _other_path(self, key: str, version: int) -> Path:
        return self._folder.parent / "changed" / str(version) / key

    # Writing --------------------------------------------------------------------------------------------------------

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, tags: str = "", is_old: bool = False) -> Object:
        """Keep what comes as an object, in the place of one that there may be; it is whole, or is not there.

        Raises:
            OSError: The key cannot be that of a file beside those that there are.
        """
        left = self._incoming / secrets.token_hex(8)
        try:
            etag, size = await _save(chunks, left)
            stat = left.stat()
            _take_place(left, self._folder / key)
        except BaseException:
            with suppress(OSError):
                left.unlink(missing_ok=True)
            raise
        entry = Object(
            key=key, path=None, size=size, etag=etag, changed_us=time.time_ns() // 1000, file_ns=stat.st_mtime_ns,
            tags=tags, is_old=is_old,
        )  # fmt: skip
        await self._keep(entry)
        return entry

    def show(self, entries: Iterable[Object]) -> None:
        """Have objects that are files of the user's be there, until the service ends."""
        self._objects.update((entry.key, entry) for entry in entries)

    async def mark_listed(self, entries: Iterable[Object]) -> None:
        """Keep objects, and that the catalogue has been told of them."""
        listed = [attrs.evolve(self._objects[entry.key], is_listed=True) for entry in entries if self.has(entry)]
        self.show(listed)
        rows = [attrs.astuple(entry) for entry in listed]
        await self._store.apply(lambda connection: connection.executemany(_PUT, rows) and None)

    async def forget(self, key: str) -> None:
        """Have an object be there no more."""
        self._objects.pop(key, None)
        sql = "DELETE FROM imap_objects WHERE key = ?"
        await self._store.apply(lambda connection: connection.execute(sql, (key,)) and None)

    async def _keep(self, entry: Object) -> None:
        self._objects[entry.key] = entry
        row: tuple[Any, ...] = attrs.astuple(entry)
        await self._store.apply(lambda connection: connection.execute(_PUT, row) and None)


def _take_place(left: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left.replace(path)


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except OSError:
        return None


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


async def _save(chunks: AsyncIterator[bytes], path: Path) -> tuple[str, int]:
    """Write what comes to a file; return its digest and its size."""
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("xb") as file:

        def write(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        gathered = bytearray()
        async for chunk in chunks:
            gathered += chunk
            if len(gathered) >= _WRITE_BYTES:
                size += len(gathered)
                await asyncio.to_thread(write, bytes(gathered))
                gathered.clear()
        size += len(gathered)
        if len(gathered) <= _INLINE_BYTES:
            write(bytes(gathered))
        else:
            await asyncio.to_thread(write, bytes(gathered))
    return digest.hexdigest(), size
