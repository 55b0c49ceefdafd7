"""Where a batch keeps its files: a folder here; what is written elsewhere only needs these few verbs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, ParamSpec, Protocol, TypeVar

import anyio
import anyio.to_thread
import attrs

from aurora_async.errors import InvalidInput, TargetNotWritable
from aurora_async.transfer.sink import Saved, sync_folder

__all__ = ["PROBE", "STAGING", "LocalPlace", "Paths", "Place", "aside", "check_name", "digest_file"]

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")

STAGING = ".parts"
"""The folder of files that are not results yet."""
PROBE = f"{STAGING}/probe-"
"""What the paths of files begin with that only try whether one can be written."""

_OURS = frozenset({"journal.sqlite", "manifest.json", "manifest.parquet", "report.md"})
# Of Windows, with whichever ending.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})
_PART_BYTES = 200
# An object store has room for 1024, with the folder.
_PATH_BYTES = 800


class Place(Protocol):
    """A folder, or what is like one; paths are relative to it, with `/` between their parts."""

    def target(self, path: str) -> str:
        """Return what a collector is told to write: a path here, or an address."""

    async def filled(self, target: str, write: Callable[[str], Awaitable[Saved]]) -> Saved:
        """Have `write` make the file `target`: itself, or a local one that is put there."""

    async def taken(self, saved: Saved, target: str) -> Saved:
        """Take over, as `target`, what a worker of a cluster has written for it."""

    async def probe(self) -> str:
        """Write a small file, to see whether that can be done, and return its path."""

    async def size(self, path: str) -> int | None:
        """Return the bytes of a file, None when there is none."""

    async def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """Return the bytes of many files, in their order."""

    async def sha256(self, path: str) -> str | None:
        """Return the hexadecimal digest of a file, None when there is none."""

    async def publish(self, staged: str, path: str, sha256: str | None) -> bool:
        """Give a whole file its final name, for good; False when none of the first name has this digest."""

    async def adopt(self, source: Path, path: str) -> bool:
        """Take in a copy of a local file, under a name that is not final; False when the file is not there."""

    async def remove(self, path: str) -> None:
        """Remove a file, if it is there."""

    async def staged(self) -> list[str]:
        """Return the paths of all files that are not results."""

    async def leave(self) -> None:
        """Tidy up when nothing is to be staged any more."""


def check_name(name: str) -> str:
    """Return the name of an output, normalised; it lies inside the folder and is none of a batch's own files.

    It can be a file's on every system, for folders are passed on.

    Raises:
        InvalidInput: It does not, or cannot.
    """
    parts = name.replace("\\", "/").split("/")
    # No part begins with a dot: neither `..`, nor the staging folder, nor a file that is hidden.
    inside = all(part and not part.startswith(".") for part in parts) and ":" not in parts[0] and name.isprintable()
    if not inside or parts[0].casefold() in _OURS:
        raise InvalidInput("name", f"{name!r} is not the name of a file that a batch could write into its folder")
    if any(part.endswith((".", " ")) or part.partition(".")[0].rstrip().casefold() in _DEVICES for part in parts):
        raise InvalidInput("name", f"{name!r} cannot be a file on Windows")
    if len(name.encode()) > _PATH_BYTES or any(len(part.encode()) > _PART_BYTES for part in parts):
        raise InvalidInput("name", f"{name!r} is too long")
    return "/".join(parts)


class Paths:
    """The files of a batch, none of which may be another's, nor another's folder, on any system.

    There are systems for which `Night` and `night`, or two ways to write an accent, are one name.
    """

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, path: str, about: str) -> str | None:
        """Add a file; when it clashes with one that is there, do not, and return what that one is about."""
        name = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        folders = [name[:at] for at, character in enumerate(name) if character == "/"]
        for taken in (self._files.get(name), self._folders.get(name), *map(self._files.get, folders)):
            if taken is not None:
                return taken
        self._files[name] = about
        for folder in folders:
            self._folders.setdefault(folder, about)
        return None


class LocalPlace:
    """A folder of this machine, or one that it has mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._publish = _Gathered(_publish_all)

    def target(self, path: str) -> str:
        """Return the path of a file."""
        return str(self.folder / path)

    async def filled(self, target: str, write: Callable[[str], Awaitable[Saved]]) -> Saved:
        """Have `write` make the file itself."""
        return await write(target)

    async def taken(self, saved: Saved, target: str) -> Saved:
        """Rename what a worker has written, under a name of its own, to `target`."""
        if not await aside(_rename, saved.path, Path(target)):
            reason = "what a worker has written there is not to be seen from here: is this one folder for all of them?"
            raise TargetNotWritable("", saved.path, reason)
        return attrs.evolve(saved, path=Path(target))

    async def probe(self) -> str:
        """Write a small file, to see whether that can be done, and return its path."""
        path = f"{PROBE}{secrets.token_hex(4)}"
        await aside(_touch, self.folder / path)
        return path

    async def size(self, path: str) -> int | None:
        """Return the bytes of a file, None when there is none."""
        return await aside(_size, self.folder / path)

    async def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """Return the bytes of many files, in their order."""
        return await aside(lambda: [_size(self.folder / path) for path in paths])

    async def sha256(self, path: str) -> str | None:
        """Return the hexadecimal digest of a file, None when there is none."""
        return await aside(digest_file, self.folder / path)

    async def publish(self, staged: str, path: str, sha256: str | None) -> bool:
        """Rename a whole file to its final name, so that it stays so through a power failure."""
        # Not with the others: a little file must not wait for the digest of a large one.
        if await aside(digest_file, self.folder / staged) != sha256:
            return False
        return await self._publish(_Move(self.folder / staged, self.folder / path))

    async def adopt(self, source: Path, path: str) -> bool:
        """Take in a local file: by a link where that is possible, for results are never written to again."""
        return await aside(_link_or_copy, source, self.folder / path)

    async def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        await aside(_remove, self.folder / path)

    async def staged(self) -> list[str]:
        """Return the paths of all files in the staging folder."""
        return [f"{STAGING}/{name}" for name in await aside(_names, self.folder / STAGING)]

    async def leave(self) -> None:
        """Remove the staging folder, unless there is something in it."""
        with contextlib.suppress(OSError):
            await aside((self.folder / STAGING).rmdir)


async def aside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a thread, to its end."""
    # Not abandoned: what a batch notes next holds only after it.
    return await anyio.to_thread.run_sync(partial(call, *args, **kwargs))


class _Gathered(Generic[T, U]):
    """A blocking call for many at a time: what is asked while a thread is at it is the next one's.

    Where a hundred files become whole at about the same time, they cost a few threads' hops and a few looks of the
    disk at their folder, not a hundred. The call returns, or has for an error, what belongs to each.
    """

    def __init__(self, call: Callable[[list[T]], Sequence[U | Exception]]) -> None:
        self._call = call
        self._asked: list[tuple[T, asyncio.Future[U]]] = []
        self._is_at_work = False

    async def __call__(self, one: T) -> U:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[U] = loop.create_future()
        self._asked.append((one, answer))
        if not self._is_at_work:
            self._begin(loop)
        with anyio.CancelScope(shield=True):  # to its end, like `aside`
            await answer
        return answer.result()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        asked, self._asked = self._asked, []
        self._is_at_work = bool(asked)
        if asked:
            work = loop.run_in_executor(None, self._call, [one for one, _ in asked])
            work.add_done_callback(partial(self._end, [answer for _, answer in asked]))

    def _end(self, answers: list[asyncio.Future[U]], work: asyncio.Future[Sequence[U | Exception]]) -> None:
        failed = work.exception()
        results = work.result() if failed is None else [failed] * len(answers)
        for answer, result in zip(answers, results, strict=True):
            if answer.done():  # whoever waited for it was cancelled
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)
        self._begin(work.get_loop())


@attrs.frozen
class _Move:
    """A file that is to get its final name."""

    staged: Path
    path: Path


def _publish_all(moves: list[_Move]) -> list[bool | Exception]:
    """Rename files, and ask the disk once for each of the folders they come to."""
    ends: list[bool | Exception] = []
    folders = set()
    for move in moves:
        try:
            is_there = _rename(move.staged, move.path)
        except Exception as error:
            ends.append(error)
            continue
        ends.append(is_there)
        if is_there:
            folders.add(move.path.parent)
    for folder in folders:
        sync_folder(folder)
    return ends


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def digest_file(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal, None when there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _touch(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise TargetNotWritable("", path, f"cannot be made: {error.strerror or error}") from error


def _rename(staged: Path, path: Path) -> bool:
    try:
        try:
            staged.replace(path)
        except FileNotFoundError:  # the file, or the folder that it comes to
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise TargetNotWritable("", path, f"cannot be given its name: {error.strerror or error}") from error
    return True


def _link_or_copy(source: Path, path: Path) -> bool:
    if not source.is_file():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            path.hardlink_to(source)
        except OSError:
            _copy(source, path)
    except OSError as error:
        raise TargetNotWritable("", path, f"cannot be made from {source}: {error.strerror or error}") from error
    return True


def _copy(source: Path, path: Path) -> None:
    with source.open("rb") as before, path.open("wb") as after:
        shutil.copyfileobj(before, after, 1 << 20)
        after.flush()
        os.fsync(after.fileno())


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TargetNotWritable("", path, f"cannot be removed: {error.strerror or error}") from error


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TargetNotWritable("", folder, f"cannot be read: {error.strerror or error}") from error
