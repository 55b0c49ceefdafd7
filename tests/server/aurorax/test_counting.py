"""Counts take turns in a thread of their own, and stop when nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator

import pytest

from aurora_async.server.aurorax.counting import Counting


class Count:
    """A count whose steps the test can follow: it goes on until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()
        self.is_closed = False

    def steps(self) -> Generator[None, None, str]:
        """Count."""
        try:
            self.begun.set()
            while not self.end.is_set():
                time.sleep(0.001)
                yield
            return threading.current_thread().name
        finally:
            self.is_closed = True


def always() -> bool:
    """Somebody wants to know."""
    return True


async def test_a_short_count_does_not_wait_for_a_long_one() -> None:
    """They take turns; none of them runs in the threads that everything else uses."""
    counting, long, short = Counting(), Count(), Count()
    for slow in (False, True):
        task = asyncio.create_task(counting.run(long.steps(), is_wanted=always, slow=slow))
        await asyncio.to_thread(long.begun.wait, 10)
        short.end.set()
        async with asyncio.timeout(10):
            assert (await counting.run(short.steps(), is_wanted=always)).startswith("counting")
        assert not task.done()
        long.end.set()
        await task
        long.begun.clear()
        long.end.clear()
    await counting.close()


async def test_one_slow_count_is_made_at_a_time() -> None:
    """The next may be the same one, and find it done."""
    counting, first, second = Counting(), Count(), Count()
    tasks = [asyncio.create_task(counting.run(one.steps(), is_wanted=always, slow=True)) for one in (first, second)]
    await asyncio.to_thread(first.begun.wait, 10)
    short = Count()
    short.end.set()
    await counting.run(short.steps(), is_wanted=always)
    assert not second.begun.is_set()
    first.end.set()
    second.end.set()
    await asyncio.gather(*tasks)
    await counting.close()


async def test_a_count_nobody_waits_for_stops() -> None:
    """Impatient clients would fill the service with work for nobody; what it had open is closed."""
    counting, count = Counting(), Count()
    wanted = [True]
    task = asyncio.create_task(counting.run(count.steps(), is_wanted=lambda: wanted[0]))
    await asyncio.to_thread(count.begun.wait, 10)
    wanted.clear()
    wanted.append(False)
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionError, match="has gone"):
            await task
    await counting.close()
    assert count.is_closed


async def test_a_cancelled_count_is_closed_in_its_thread() -> None:
    """In the middle of a step it cannot be closed from elsewhere."""
    counting, count = Counting(), Count()
    task = asyncio.create_task(counting.run(count.steps(), is_wanted=always))
    await asyncio.to_thread(count.begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await counting.close()
    assert count.is_closed


async def test_an_error_of_a_count_is_its_askers() -> None:
    """And of nobody else."""

    def wrong() -> Generator[None, None, int]:
        yield
        raise ValueError("a count that fails")

    counting, count = Counting(), Count()
    with pytest.raises(ValueError, match="a count that fails"):
        await counting.run(wrong(), is_wanted=always)
    count.end.set()
    assert await counting.run(count.steps(), is_wanted=always)
    await counting.close()
