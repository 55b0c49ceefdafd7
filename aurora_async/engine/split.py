"""Long time ranges in pieces: where to cut them, and working on many pieces while their results are taken in order.

What a piece is, and how results are put together again, is each service's own; nothing in here knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from aurora_async.engine.manager import Run, Work
from aurora_async.errors import InvalidInput
from aurora_async.times import to_wire

__all__ = ["MOST_PIECES", "check_window", "in_order", "seams"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

MOST_PIECES = 100_000
"""Eleven years by the hour; more are a mistake, and would fill the memory before anything is sent."""

_MINUTE = timedelta(minutes=1)


def check_window(window: object) -> timedelta:
    """Return `window`; raise `InvalidInput` unless it is a length of time that a range can be cut by."""
    if not isinstance(window, timedelta):
        raise InvalidInput("window", f"{window!r} is not a timedelta")
    if window < _MINUTE:
        raise InvalidInput("window", f"{window} is too short: at least a minute")
    return window


def seams(start: datetime, end: datetime, window: timedelta) -> list[datetime]:
    """Return the instants at which a range is cut, in order, so that no piece is longer than `window`.

    They are as round as the window is long: firsts of a year, a month, midnights, full hours, or full minutes. None is
    the start or the end itself, so a range that is no longer than the window is not cut.
    """
    check_window(window)
    if (end - start) / window > MOST_PIECES:
        reason = f"{window} cuts {to_wire(start)} to {to_wire(end)} into more than {MOST_PIECES:,} pieces"
        raise InvalidInput("window", reason)
    found: list[datetime] = []
    while end - start > window:
        # At most one unit is given away, and no unit is longer than the window: this always lies after the start.
        start = _rounded_down(start + window, window)
        found.append(start)
    return found


def _rounded_down(moment: datetime, window: timedelta) -> datetime:
    moment = moment.replace(second=0, microsecond=0)
    for unit, first in (
        (timedelta(hours=1), {"minute": 0}),
        (timedelta(days=1), {"hour": 0}),
        (timedelta(days=31), {"day": 1}),
        (timedelta(days=366), {"month": 1}),
    ):
        if window >= unit:
            moment = moment.replace(**first)  # type: ignore[arg-type]
    return moment


async def in_order(
    items: Sequence[ItemT],
    work: Callable[[ItemT], Awaitable[ResultT]],
    *,
    at_once: int,
    start: Callable[[Callable[[], Coroutine[Any, Any, None]], str], None],
    waiting: Callable[[], AbstractContextManager[object]],
) -> AsyncGenerator[tuple[ItemT, ResultT], None]:
    """Yield every item with the result of its work, in the items' order, while the next ones are worked on.

    The first failure is raised and ends the others; so does closing the iterator early, or cancelling who waits here.

    Args:
        items: What is worked on.
        work: Done once for each.
        at_once: How many items may be begun and not yet be given back, results that wait for their turn included.
        start: Puts a task into the client's task group.
        waiting: Makes the scope of each wait, such as what is left of a deadline.
    """
    room = asyncio.Semaphore(at_once)
    results: dict[int, ResultT] = {}

    async def admitted() -> AsyncIterator[ItemT]:
        for item in items:
            await room.acquire()
            yield item

    async def one(index: int, item: ItemT, _: Work) -> None:
        results[index] = await work(item)

    # A run has a task of its own, so no cancel scope of this generator's stays open while it yields.
    async with Run(admitted(), one, at_once=at_once, start=start) as run:
        for index, item in enumerate(items):
            while index not in results:
                with waiting():
                    (await anext(run)).unwrap()
            yield item, results.pop(index)
            room.release()
