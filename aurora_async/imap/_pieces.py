"""The files that packets are in on their way: nothing of them is left for long, whatever ends the process."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread

from aurora_async.errors import raise_bare
from aurora_async.transfer.leases import Claim
from aurora_async.transfer.sink import PartFile

__all__ = ["Piece", "tidy", "whole_file"]

_LEASE_S = 30.0
"""How long a process that writes a file may be silent before others take its place."""
_WAIT_S = 0.5
_COPY_BYTES = 1 << 20


class Piece(PartFile):
    """A part file that loses its name at once: the system removes it when the process ends, in whatever way."""

    def _make(self) -> None:
        super()._make()
        with suppress(OSError):  # Windows does not let go of the name of an open file
            self.path.unlink()

    def start_over(self) -> None:
        """Forget what has come, in a function that `run` runs."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        self.written_bytes = 0

    def read(self, use: Callable[[bytes], object]) -> None:
        """Hand over all that has come; blocks."""
        with self._lock:  # closed meanwhile, its descriptor might be that of another file
            if not self._given_up:
                os.lseek(self.fd, 0, os.SEEK_SET)
            while not self._given_up and (block := os.read(self.fd, _COPY_BYTES)):
                use(block)


class _Busy(Exception):
    """Another process writes the file."""


class _Whole(PartFile):
    """The part file of a claim: what is left of it when the process is killed, the next one knows to be nobody's."""

    def __init__(self, target: Path) -> None:
        super().__init__(target, sha256=True)
        self._claim = Claim(target, _LEASE_S)
        self._path = self._claim.part

    async def renew(self) -> None:
        """Say again and again that the process lives."""
        while True:
            await anyio.sleep(_LEASE_S / 4)
            await anyio.to_thread.run_sync(self._claim.renew, abandon_on_cancel=True)

    def _make(self) -> None:
        if not self._claim.take():
            raise _Busy
        super()._make()
        self._claim.tidy()

    def _remove(self) -> None:
        super()._remove()
        self._claim.drop()


@asynccontextmanager
async def whole_file(target: Path) -> AsyncIterator[PartFile]:
    """Open a file for what is put together, with its digest; while another process writes the same one, wait."""
    try:
        while True:
            with suppress(_Busy):
                async with _Whole(target) as whole, anyio.create_task_group() as tasks:
                    tasks.start_soon(whole.renew)
                    yield whole
                    tasks.cancel_scope.cancel()
                    return
            await anyio.sleep(random.uniform(0.5, 1) * _WAIT_S)
    except BaseExceptionGroup as group:
        raise_bare(group)


async def tidy(target: Path) -> None:
    """Clean away what killed processes have left of a file."""
    await anyio.to_thread.run_sync(Claim(target, _LEASE_S).tidy, abandon_on_cancel=True)
