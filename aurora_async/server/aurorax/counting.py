"""Counting records off the event loop: a thread of its own, in slices, so that no count waits for a whole other one.

Statistics of every day take half a minute. In the pool of threads that files and uploads share, a few of them would
stop the service; here they delay other counts by one slice each, and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import TypeVar

__all__ = ["Counting", "Steps"]

T = TypeVar("T")

Steps = Generator[None, None, T]
"""A count that yields every few milliseconds and returns what it found."""

_SLICE_S = 0.02


class Counting:
    """The counts that are under way; they take turns, and of the slow ones one is counted at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="counting")
        self._slow_turn = asyncio.Lock()

    async def run(self, count: Steps[T], *, is_wanted: Callable[[], bool], slow: bool = False) -> T:
        """Return what a count finds; `slow` waits for the slow ones before it, one of which may be the same.

        Raises:
            ConnectionError: Nobody wants to know any more.
        """
        loop = asyncio.get_running_loop()
        async with self._slow_turn if slow else nullcontext():
            found: tuple[T] | None = None
            try:
                while found is None:
                    if not is_wanted():
                        raise ConnectionAbortedError("whoever wanted this count has gone")
                    found = await loop.run_in_executor(self._thread, _slice, count)
            finally:
                with suppress(RuntimeError):  # the thread has ended, and with it whatever it did
                    # In the thread: a count that is cancelled may be in the middle of a slice.
                    self._thread.submit(count.close)
        return found[0]

    async def close(self) -> None:
        """Let the slice that runs come to its end."""
        await asyncio.to_thread(self._thread.shutdown)


def _slice(count: Generator[None, None, T]) -> tuple[T] | None:
    """Count for a moment; return the result, in a tuple, when there is one."""
    until = time.monotonic() + _SLICE_S
    try:
        while time.monotonic() < until:
            next(count)
            time.sleep(0)  # lets go of the interpreter, for which the event loop waits otherwise
    except StopIteration as end:
        return (end.value,)
    return None
