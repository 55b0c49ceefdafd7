"""A few tasks for many pieces of work: waking one that idles costs a tenth of what starting one does."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio.abc

__all__ = ["Workers"]

ItemT = TypeVar("ItemT")


class Workers(Generic[ItemT]):
    """Do `work` with every item that is put, first come, first served, by at most `most` tasks.

    They begin when there is work, stay while any of them has some, and end with the last of it. The task group is
    borrowed; what `work` raises ends it. The context variables a task sees are those of whoever made it begin.

    With `outlives`, what was put is begun also when the group has been cancelled: `work` shields what is to be done.
    """

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        work: Callable[[ItemT], Awaitable[None]],
        name: str,
        *,
        most: float = math.inf,
        outlives: bool = False,
    ) -> None:
        self._tasks = tasks
        self._work = work
        self._most = most
        self._outlives = outlives
        self._name = name
        self._count = 0
        self._items: deque[ItemT] = deque()
        self._idle: list[asyncio.Future[bool]] = []
        """Done with True when there is work, with False when it is over."""
        self._loop = asyncio.get_running_loop()

    def put(self, item: ItemT) -> None:
        """Have something done, soon."""
        self._items.append(item)
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():  # by a cancellation
                idle.set_result(True)
                return
        if self._count < self._most:
            self._start()

    def _start(self) -> None:
        self._tasks.start_soon(self._run, name=self._name)
        self._count += 1

    async def _run(self) -> None:
        try:
            is_needed = True
            while is_needed or self._items:  # put since they were told that it is over
                while self._items:
                    await self._work(self._items.popleft())
                if len(self._idle) == self._count - 1:
                    break
                idle = self._loop.create_future()
                self._idle.append(idle)
                try:
                    is_needed = await idle
                except BaseException:
                    if idle in self._idle:
                        self._idle.remove(idle)
                    raise
        finally:
            self._count -= 1
            if self._items and not self._idle:  # it was cancelled
                if self._outlives:
                    self._start()
            elif len(self._idle) == self._count:
                while self._idle:
                    idle = self._idle.pop()
                    if not idle.done():
                        idle.set_result(False)
