"""How the catalogue learns of objects: a while after their upload, and by looking through a folder of the user's.

What lies in that folder is served from where it is. It is looked through again and again, for a small share of the time
at most, so that a file which is put there, changed or removed while the service runs shows up before long.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora_async.errors import InvalidInput
from aurora_async.imap.filenames import InvalidFileName, LegacyName, key_of, parse_name
from aurora_async.server.imap.catalog import Catalog
from aurora_async.server.imap.listing import NOTHING
from aurora_async.server.imap.objects import Object, Objects
from aurora_async.server.imap.sidecars import facts_beside, is_sidecar

__all__ = ["Indexing"]

logger = logging.getLogger(__name__)

_LOOK_S = 0.25
_SHARE = 0.05
"""How much of the time may be spent on looking."""
_AT_ONCE = 500
_KERNELS = "imap/spice/"


class Indexing:
    """Tells a catalogue of objects (both borrowed).

    Args:
        objects: What there is.
        catalog: What is told.
        delay_s: How long after its upload an object is listed.
        folder: The user's, if there is one.
    """

    def __init__(self, objects: Objects, catalog: Catalog, *, delay_s: float, folder: Path | None) -> None:
        self._objects = objects
        self._catalog = catalog
        self._delay_s = delay_s
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """List what is there already, and go on with what a former service has left."""
        if self._folder is not None:
            if not self._folder.is_dir():
                raise InvalidInput("imap.files_dir", f"{self._folder} is not a folder")
            await self._look(settled_ns=time.time_ns())
        for key in [key for key in self._objects.in_user_folder() if self._folder is None]:
            await self._remove(key)
        for entry in self._objects.unlisted():
            self.came(entry)

    def resume(self) -> None:
        """Go on looking."""
        if self._folder is not None:
            self._start(self._keep_looking(), "look for files")

    async def close(self) -> None:
        """Stop; what is not listed yet will be by the next service."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def came(self, entry: Object) -> None:
        """List an object before long."""
        self._start(self._list_later(entry), f"list {entry.key}")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)

    async def _list_later(self, entry: Object) -> None:
        await asyncio.sleep(self._delay_s)
        if self._objects.has(entry):  # no other came meanwhile
            await self._list([entry])

    async def _list(self, entries: Sequence[Object]) -> None:
        kernels = [Path(entry.path) for entry in entries if entry.path and entry.key.startswith(_KERNELS)]
        facts = await asyncio.to_thread(_facts_beside, kernels) if kernels else {}

        async def tell(entry: Object) -> None:
            ingested = datetime.fromtimestamp(entry.changed_us / 1_000_000, UTC)
            said = facts.get(entry.path, NOTHING)
            await self._catalog.index(entry.key, ingested, entry.size, is_old=entry.is_old, facts=said)

        await asyncio.gather(*map(tell, entries))
        await self._objects.mark_listed(entries)

    async def _remove(self, key: str) -> None:
        await self._objects.forget(key)
        await self._catalog.forget(key)

    # The user's folder ----------------------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        wait_s, trouble = _LOOK_S, ""
        while True:
            await asyncio.sleep(wait_s)
            began = time.monotonic()
            try:
                # Who copies a file there takes a while; it is listed when nothing has come to it lately.
                await self._look(settled_ns=time.time_ns() - int(_LOOK_S * 1e9))
                trouble = ""
            except OSError as error:
                if trouble != (trouble := str(error)):
                    logger.warning("%s cannot be looked through: %s", self._folder, error)
            wait_s = max(_LOOK_S, (time.monotonic() - began) / _SHARE)

    async def _look(self, *, settled_ns: int) -> None:
        known = self._objects.in_user_folder()
        found = await asyncio.to_thread(self._find, known, settled_ns)
        new = [entry for key, entry in found.items() if known.get(key) is not entry]
        for at in range(0, len(new), _AT_ONCE):
            part = new[at : at + _AT_ONCE]
            self._objects.show(part)  # first: what is listed can be had
            await self._list(part)
        for key in known.keys() - found.keys():
            await self._remove(key)

    def _find(self, known: dict[str, Object], settled_ns: int) -> dict[str, Object]:
        """Return what is in the folder, by keys; an object that has not changed is the one that was known."""
        by_path = {entry.path: entry for entry in known.values()}
        found: dict[str, Object] = {}
        assert self._folder is not None
        for file in _files(self._folder):
            entry = by_path.get(file.path)
            stat = file.stat()
            if entry is None or (entry.file_ns, entry.size) != (stat.st_mtime_ns, stat.st_size):
                if stat.st_mtime_ns > settled_ns and entry is None:
                    continue
                new = _object_of(file.path, os.path.relpath(file.path, self._folder), stat)
                if new is None:
                    continue
                entry = new
            found.setdefault(entry.key, entry)
        return found


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files below a folder, in the order of their names."""
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(Path(entry.path))
        elif entry.is_file():
            yield entry


def _facts_beside(kernels: Sequence[Path]) -> Mapping[str | None, Mapping[str, Any]]:
    return {str(path): facts_beside(path) for path in kernels}


def _object_of(path: str, relative: str, stat: os.stat_result) -> Object | None:
    """Return the object that a file is, by its name or by its path; None for one that is neither."""
    if is_sidecar(Path(relative).name):
        return None  # it speaks of the file beside it
    try:
        key = key_of(Path(relative).as_posix())
    except InvalidFileName:
        return None
    try:
        is_old = isinstance(parse_name(relative), LegacyName)
    except InvalidFileName:
        is_old = True
    return Object(
        key=key, path=path, size=stat.st_size, etag="", changed_us=stat.st_mtime_ns // 1000, file_ns=stat.st_mtime_ns,
        is_old=is_old,
    )  # fmt: skip
