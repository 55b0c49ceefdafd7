"""Waiting for room at a service that takes only so many requests of one user at a time.

Nobody knows the number beforehand, and others may use some of it. So everybody is let in until the service refuses one;
from then on those who wait try one after the other, each when one of our own requests has ended, or after a while.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from aurora_async.errors import AtCapacity

__all__ = ["Room"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 60.0
_GROWTH = 1.5


class Room:
    """The room for one client's requests of one kind."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._turns = asyncio.Lock()  # first come, first served
        self._queued = 0
        self._free = 0
        self._freed = asyncio.Event()
        self.is_full = False
        """The service has refused somebody, and not everybody has come in since."""

    async def enter(self, submit: Callable[[bool], Awaitable[T]]) -> T:
        """Call `submit` until the service takes the request.

        It is told whether it is its turn. If not, it raises `AtCapacity` itself when it finds the room full just before
        it sends: what was on its way when the first of many was refused need not be refused one by one.
        """
        if not self.is_full:
            try:
                return await submit(False)
            except AtCapacity as error:
                if not self.is_full:
                    logger.info("waiting for room: %s", error)
                    self.is_full = True
        self._queued += 1
        try:
            async with self._turns:
                return await self._in_turn(submit)
        finally:
            self._queued -= 1
            if not self._queued:
                self.is_full = False
                self._free = 0

    def freed(self) -> None:
        """One of our requests has ended."""
        if self.is_full:
            self._free += 1
            self._freed.set()

    async def _in_turn(self, submit: Callable[[bool], Awaitable[T]]) -> T:
        for wait_s in self._waits():
            was_freed = await self._next_chance(wait_s)
            try:
                taken = await submit(True)
            except AtCapacity as error:
                logger.info("still no room, %d wait: %s", self._queued, error)
                continue
            except BaseException:
                self._free += was_freed  # not used: it is the next one's
                raise
            if not was_freed:
                self._free += 1  # room came about without us: there may be more of it
            return taken
        raise AssertionError("the waits have no end")

    async def _next_chance(self, wait_s: float) -> bool:
        """Wait until one of ours has ended, True, or for so long."""
        if not self._free:
            self._freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._freed.wait()
        if not self._free:
            return False
        self._free -= 1
        return True

    def _waits(self) -> Iterator[float]:
        wait_s = _FIRST_WAIT_S
        while True:
            yield self._rng.uniform(0.75, 1.25) * wait_s
            wait_s = min(_GROWTH * wait_s, _LONGEST_WAIT_S)
