"""A file as the body of a request: read while it is sent, anew for each try, in constant memory."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import TypeVar

import aiohttp
import anyio
import anyio.to_thread
import attrs
from aiohttp.abc import AbstractStreamWriter

from aurora_async.errors import InvalidInput, ReadTimeout, TransferError

__all__ = ["FileBody", "Sending"]

T = TypeVar("T")

_BLOCK_BYTES = 1 << 20
_PIECE_BYTES = 1 << 16


@attrs.frozen
class FileBody:
    """A file whose bytes are to be sent. What it is like is noted, so that a change on the way does not go unseen."""

    path: Path
    size: int
    modified_ns: int

    @classmethod
    async def of(cls, path: Path | str) -> FileBody:
        """Look at a file; errors are those of `at`."""
        return await anyio.to_thread.run_sync(cls.at, path)

    @classmethod
    def at(cls, path: Path | str) -> FileBody:
        """Look at a file. Blocks for a moment.

        Raises:
            InvalidInput: There is none, or it is no regular file.
        """
        path = Path(path)
        try:
            found = path.stat()
        except OSError as error:
            raise InvalidInput("path", f"{path} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput("path", f"{path} is not a file")
        return cls(path, found.st_size, found.st_mtime_ns)

    def is_like(self, found: os.stat_result) -> bool:
        """True when the file has not changed."""
        return (found.st_size, found.st_mtime_ns) == (self.size, self.modified_ns)


class Sending(aiohttp.Payload):
    """One try to send a file, given up when nothing is taken of it for `patience_s`."""

    _value: FileBody

    def __init__(self, file: FileBody, method: str, shown: str, patience_s: float) -> None:
        super().__init__(file)
        self._size = file.size
        self._method = method
        self._shown = shown
        self._patience_s = patience_s
        self._taken_bytes = 0
        self.scope = anyio.CancelScope()
        self.problem: TransferError | None = None
        """What was wrong with the file itself; the connection's own error is only what came of that."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: a payload must have this, for bodies in memory."""
        raise TypeError("a file is sent from the disk, not held in memory")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the bytes. The last are withheld unless the file is still what it was: what is sent is never a mix."""
        file = self._value
        # Not an asynchronous generator or context: aiohttp cancels a writer without waiting for what that awaits.
        opened = await self._in_thread(FileIO, file.path)
        try:
            while self._taken_bytes < file.size:
                block: bytes = await self._in_thread(opened.read, min(_BLOCK_BYTES, file.size - self._taken_bytes))
                is_last = self._taken_bytes + len(block) == file.size
                if not block or (is_last and not file.is_like(os.fstat(opened.fileno()))):
                    raise self._told("it changed while it was sent; upload it again")
                for start in range(0, len(block), _PIECE_BYTES):
                    self.scope.deadline = anyio.current_time() + self._patience_s
                    piece = block[start : start + _PIECE_BYTES]
                    await writer.write(piece)
                    self._taken_bytes += len(piece)
        finally:
            opened.close()
        self.scope.deadline = math.inf  # from here on the answer is awaited, which has a limit of its own

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        try:
            return await anyio.to_thread.run_sync(call, *args)
        except OSError as error:
            raise self._told(f"it cannot be read: {error.strerror}") from error

    def _told(self, reason: str) -> TransferError:
        self.problem = TransferError(self._shown, self._value.path, reason)
        return self.problem

    def given_up(self) -> ReadTimeout:
        """Return what to raise when `scope` has ended the try."""
        reason = f"{self._taken_bytes} of {self._size} bytes were taken, then none for {self._patience_s:g} s"
        return ReadTimeout(self._method, self._shown, reason)
