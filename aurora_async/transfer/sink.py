"""Chunks into a file: a file under its final name is whole, or is not there.

The bytes go to a part file of a unique name in the same folder, which takes the final name in one step when everything
has been checked. Two saves to one target therefore never mix: the last one to finish wins, whole.

Writing is done by threads of anyio and not through aiofiles: one hop then hashes, checks and writes a batch, and the
part file knows when a cancelled write has really ended, so its clean-up cannot overtake it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import anyio
import anyio.to_thread
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream

from aurora_async.errors import (
    AuroraError,
    DiskFull,
    IncompleteBody,
    TargetExists,
    TargetNotWritable,
    WrongContent,
    raise_bare,
)

__all__ = ["Check", "PartFile", "Saved", "ensure_writable", "save"]

T = TypeVar("T")
Data: TypeAlias = bytes | memoryview

_BATCH_BYTES = 1024 * 1024
_BATCH_CHUNKS = 8192
_BEHIND_BYTES = 32 << 20
_CLEANUP_S = 5.0

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


@attrs.frozen
class Saved:
    """What stands under `path` now: `bytes` long, holding `records` (0 when they were not counted)."""

    path: Path
    bytes: int
    records: int
    sha256: str | None
    seconds: float


class Check(Protocol):
    """Looks at the bytes on their way to the disk, in the writer's thread; raises if something is wrong with them."""

    def feed(self, chunk: bytes, /) -> None:
        """Look at the next bytes."""

    def finish(self) -> None:
        """Look at the whole: after this the file takes its name."""


async def ensure_writable(target: Path, *, url: str = "", overwrite: bool = True) -> None:
    """Find out before a request is sent whether its answer can be saved; makes the missing folders.

    Raises:
        TargetExists: `overwrite` is False and the file is there.
        TargetNotWritable: The target is a folder or a symbolic link, or its folder cannot be made or written.
    """
    # Permissions, read-only mounts, quotas: only making a file tells, and a part file is cleaned up whatever happens.
    async with PartFile(target, url=url, overwrite=overwrite):
        pass


async def save(
    chunks: AsyncIterable[bytes],
    target: Path,
    *,
    url: str = "",
    expected_bytes: int | None = None,
    check: Check | None = None,
    sha256: bool = False,
    overwrite: bool = True,
) -> Saved:
    """Save a body of any size; about 4 MiB of it are in memory, and three chunks if those are larger.

    Args:
        chunks: Borrowed; read no faster than the disk takes them.
        target: Final name. Missing folders are made.
        url: Where the chunks come from, for errors.
        expected_bytes: Length that the chunks must add up to.
        check: Sees every byte in the writer's thread, and has the last word before the file takes its name.
        sha256: Compute the digest on the way.
        overwrite: False never replaces a file, not even one that appears meanwhile.

    Returns:
        What was saved. After an error or a cancellation there is no new file: the one exception is a cancellation that
        comes after the very last step has begun, which may leave the (whole) file.

    Raises:
        IncompleteBody: Fewer bytes than expected.
        WrongContent: More bytes than expected.
        DiskFull: No space was left.
        TargetNotWritable: As `ensure_writable`.
    """
    started = time.monotonic()
    target = Path(target)

    def look(batch: bytes) -> Iterable[bytes]:
        if check is not None:
            check.feed(batch)
        return (batch,)

    async with PartFile(target, url=url, sha256=sha256, overwrite=overwrite) as part:
        received = await pump(chunks, part, look)
        refuse_other_length(received, expected_bytes, url, target)
        if check is not None:
            await part.run(check.finish)
        await part.commit()
    return Saved(target, part.written_bytes, 0, part.sha256, time.monotonic() - started)


async def pump(chunks: AsyncIterable[bytes], part: PartFile, shape: Callable[[bytes], Iterable[Data]]) -> int:
    """Move all chunks into a part file, reading and writing at the same time; return how many bytes were read.

    `shape` runs in the writer's thread, on batches of 1 MiB and more, and returns what to write for them. One batch is
    gathered, one waits and one is written: a slow disk slows the reading.
    """
    received = 0
    sender, receiver = anyio.create_memory_object_stream[list[bytes]](1)
    try:
        # The receiver is closed out here: if the writer closed it, its error would compete with the sender's complaint.
        with receiver:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_write_batches, receiver, part, shape, name=f"write {part.target.name}")
                with sender:
                    batch: list[bytes] = []
                    gathered = 0
                    async for chunk in chunks:
                        batch.append(chunk)
                        gathered += len(chunk)
                        received += len(chunk)
                        if gathered >= _BATCH_BYTES or len(batch) >= _BATCH_CHUNKS:
                            await sender.send(batch)
                            batch, gathered = [], 0
                    if batch:
                        await sender.send(batch)
    except BaseExceptionGroup as group:
        # Reader and writer are one verb: its caller sees the one error that stopped it, bare.
        raise_bare(group)
    return received


async def _write_batches(
    batches: MemoryObjectReceiveStream[list[bytes]], part: PartFile, shape: Callable[[bytes], Iterable[Data]]
) -> None:
    async for batch in batches:
        await part.run(_write_shaped, part, shape, batch)


def _write_shaped(part: PartFile, shape: Callable[[bytes], Iterable[Data]], batch: list[bytes]) -> None:
    for piece in shape(b"".join(batch) if len(batch) > 1 else batch[0]):
        part.write_here(piece)


def refuse_other_length(received: int, expected: int | None, url: str, target: Path | None) -> None:
    """Raise unless as many bytes came as were announced."""
    if expected is None or received == expected:
        return
    if received < expected:
        raise IncompleteBody(url, target, f"the body ended after {received} of {expected} bytes; download it again")
    raise WrongContent(url, target, f"{received} bytes came, {expected} were announced", expected, received)


class PartFile:
    """A file on its way to its final name: `async with` it, write, `commit`; without a commit it disappears.

    All file operations run in threads, one at a time. Leaving the block waits for the one that is running, at most 5 s:
    a disk that hangs longer is cleaned up by its thread when it comes back.
    """

    def __init__(
        self,
        target: Path,
        *,
        url: str = "",
        sha256: bool = False,
        overwrite: bool = True,
        close: Callable[[], object] | None = None,
    ) -> None:
        """Prepare; `close` is called in a thread when the block is left, for what has threads of its own."""
        self.target = Path(target)
        self.written_bytes = 0
        self._behind_bytes = 0
        self._url = url
        self._overwrite = overwrite
        self._close_other = close
        self._digest = hashlib.sha256() if sha256 else None
        # The beginning of the name tells people whose it is; a whole one could be too long with its suffix.
        self._path = self.target.with_name(f".{self.target.name[:50]}.{secrets.token_hex(8)}.part")
        self._fd = -1
        self._lock = threading.Lock()
        self._given_up = False
        self._exists = False

    @property
    def path(self) -> Path:
        """The part file."""
        return self._path

    @property
    def fd(self) -> int:
        """Descriptor of the part file, readable and writable, for the threads of this package."""
        return self._fd

    @property
    def sha256(self) -> str | None:
        """Hexadecimal digest of what was written, None if it was not asked for."""
        return self._digest.hexdigest() if self._digest is not None else None

    async def __aenter__(self) -> Self:
        """Make the part file.

        Raises:
            TargetExists: `overwrite` is False and the file is there.
            TargetNotWritable: As `ensure_writable`.
        """
        try:
            await anyio.to_thread.run_sync(self._open, abandon_on_cancel=True)
        except BaseException:
            await self._clean_up()  # a cancelled hop may have made the file all the same
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the part file, unless it has its final name."""
        await self._clean_up()

    async def run(self, call: Callable[..., T], *args: object) -> T:
        """Run a function in the writer's thread; it may use `write_here`."""
        # Abandoned, not waited for: the lock makes the clean-up wait, and that has a time box.
        return await self._of_here(anyio.to_thread.run_sync(self._locked, call, *args, abandon_on_cancel=True))

    async def take(self, body: object, shape: Callable[[Data], Iterable[Data]] | None = None, **how: Any) -> int:
        """Write what a body gives by its fast way, where it has one; return how many bytes of it came, often 0.

        Args:
            body: Borrowed; `chunks` has the rest. `how` goes to its `pour`.
            shape: Runs in the writer's thread, and returns what to write for what came.
        """
        pour = getattr(body, "pour", None)
        if pour is None:
            return 0

        def write(piece: memoryview) -> None:
            for shaped in (piece,) if shape is None else shape(piece):
                self.write_here(shaped)

        received: int = await self._of_here(pour(partial(self._locked, write), **how))
        return received

    async def _of_here(self, work: Awaitable[T]) -> T:
        """Await what uses the file in a thread."""
        try:
            return await work
        except OSError as error:
            if isinstance(error, AuroraError):
                raise
            raise as_ours(error, self._url, self.target, self.written_bytes) from error

    async def write(self, data: bytes) -> None:
        """Append; raises `DiskFull` or `TargetNotWritable`."""
        await self.run(self.write_here, data)

    async def commit(self) -> None:
        """Make it durable and give it its final name.

        Raises:
            TargetExists: `overwrite` is False and a file of that name appeared meanwhile.
            DiskFull: The system found only now that there is no space.
        """
        await self.run(self._commit)

    def write_here(self, data: Data) -> None:
        """Append, in a function that `run` runs."""
        if self._given_up:
            return
        with memoryview(data) as view:
            at = 0
            while at < len(view):
                try:
                    at += os.write(self._fd, view[at:])
                except OSError as error:
                    raise as_ours(error, self._url, self.target, self.written_bytes + at) from error
        self._hash(data)
        self.written_bytes += len(data)
        self._write_behind()

    def _write_behind(self) -> None:
        """Have the system begin to write what it would hold back: the end then waits for little (0.02 s, not 0.9 s/GB).

        Linux takes "not needed" for that; nothing is lost but the cache of what is on the disk already.
        """
        size = self.written_bytes - self._behind_bytes
        if size >= _BEHIND_BYTES and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._fd, self._behind_bytes, size, os.POSIX_FADV_DONTNEED)
            self._behind_bytes = self.written_bytes

    def _hash(self, data: Data) -> None:
        if self._digest is not None:
            self._digest.update(data)

    def _locked(self, call: Callable[..., T], *args: Any) -> T:
        with self._lock:
            return call(*args)

    def _open(self) -> None:
        with self._lock:
            if self._given_up:
                return
            _refuse_target(self.target, self._url, self._overwrite)
            try:
                self.target.parent.mkdir(parents=True, exist_ok=True)
                self._make()
            except OSError as error:
                raise as_ours(error, self._url, self.target, 0) from error
            self._exists = True

    def _make(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self._path, flags, 0o666)

    def _commit(self) -> None:
        if self._given_up:
            return
        os.fsync(self._fd)
        self._close()
        if self._given_up:
            return
        _refuse_target(self.target, self._url, self._overwrite)
        self._take_name()
        self._exists = False
        sync_folder(self.target.parent)

    def _take_name(self) -> None:
        if self._overwrite:
            self._path.replace(self.target)
            return
        try:
            # A link fails where a rename would replace: the only way to look and act in one step.
            self.target.hardlink_to(self._path)
        except FileExistsError:
            raise _exists(self.target, self._url) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # FAT and some network file systems know no links: what remains is the look just taken.
            self._path.replace(self.target)
        else:
            self._path.unlink()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    async def _clean_up(self) -> None:
        """Remove what is left, whoever cancels meanwhile and however: the cancellation goes on when it is gone."""
        self._given_up = True
        cancelled: asyncio.CancelledError | None = None
        # A task, because a cancelled thread hop would go on without anybody waiting for it.
        removal = asyncio.ensure_future(anyio.to_thread.run_sync(self._remove))
        with anyio.move_on_after(_CLEANUP_S, shield=True) as scope:
            while not removal.done():
                try:
                    await asyncio.wait([removal])
                except asyncio.CancelledError as error:
                    if scope.cancel_called:
                        break  # out of time: the thread removes it when the disk answers
                    cancelled = error
        if cancelled is not None:
            raise cancelled

    def _remove(self) -> None:
        with self._lock:
            with contextlib.suppress(OSError):
                self._close()
            if self._exists:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)
                self._exists = False
        if self._close_other is not None:
            self._close_other()


def _refuse_target(target: Path, url: str, overwrite: bool) -> None:
    if target.name in ("", "..") or "\0" in str(target):
        raise TargetNotWritable(url, target, "this is not the name of a file; give one")
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise as_ours(error, url, target, 0) from error
    if stat.S_ISLNK(mode):
        # Replacing the link would leave the file behind it as it was, which nobody who made a link expects.
        leads_to = os.readlink(target)  # noqa: PTH115
        raise TargetNotWritable(url, target, f"this is a symbolic link to {leads_to}; give the file itself")
    if stat.S_ISDIR(mode):
        raise TargetNotWritable(url, target, "this is a folder; give the name of a file in it")
    if not stat.S_ISREG(mode):
        raise TargetNotWritable(url, target, "this is a device, pipe or socket; give the name of a file")
    if not overwrite:
        raise _exists(target, url)


def _exists(target: Path, url: str) -> TargetExists:
    return TargetExists(url, target, "the file exists; give another name, remove it, or allow overwriting")


def sync_folder(folder: Path) -> None:
    """Make a new name durable, where the system has a way to ask for it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def as_ours(error: OSError, url: str, target: Path, written: int) -> TargetNotWritable:
    said = error.strerror or str(error)
    if error.errno in _FULL:
        advice = "free some space or choose another folder, then run it again"
        return DiskFull(url, target, f"{said} after {written} bytes; {advice}", written)
    return TargetNotWritable(url, target, f"cannot write in {target.parent}: {said}")
