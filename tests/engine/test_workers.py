"""A few tasks for many pieces of work: everything is done once, and no task stays behind."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated import simulated

from aurora_async.engine.workers import Workers


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.floats(min_value=0, max_value=2), st.floats(min_value=0, max_value=3)), max_size=40),
    most=st.integers(min_value=1, max_value=5),
)
def test_everything_is_done_once_by_no_more_than_so_many(steps: list[tuple[float, float]], most: int) -> None:
    """Whenever things come and however long they take; the task group ends by itself when all is done."""
    begun: list[int] = []
    done: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        assert len(begun) - len(done) <= most
        await asyncio.sleep(steps[item][1])
        done.append(item)

    async def put_all() -> None:
        async with anyio.create_task_group() as tasks:
            workers = Workers(tasks, work, "test", most=most)
            for index, (pause_s, _) in enumerate(steps):
                await asyncio.sleep(pause_s)
                workers.put(index)

    simulated(put_all())
    assert begun == list(range(len(steps)))
    assert sorted(done) == begun


async def test_a_busy_worker_keeps_the_others_for_what_comes() -> None:
    """Starting a task for each piece is what they are there to avoid."""
    used: set[object] = set()
    release = asyncio.Event()

    async def work(item: str) -> None:
        used.add(asyncio.current_task())
        if item == "long":
            await release.wait()

    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks, work, "test")
        workers.put("long")
        for _ in range(20):
            workers.put("short")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        release.set()
    assert len(used) == 2


async def test_bursts_start_no_more_tasks_than_there_are_pieces() -> None:
    """Those who are about to end when more comes do it themselves; each starting another one would never stop."""
    started = 0

    async def work(item: int) -> None: ...

    async with anyio.create_task_group() as tasks:

        def start(*work: Any, name: str) -> None:
            nonlocal started
            started += 1
            tasks.start_soon(*work, name=name)

        workers = Workers(mock.Mock(start_soon=start), work, "test")
        for _ in range(50):
            for item in range(8):
                workers.put(item)
            await asyncio.sleep(0)
    assert started <= 50 * 8


async def test_what_waits_is_begun_after_a_cancellation_only_where_that_is_wanted() -> None:
    """Thousands of queries of a run that is over must not be begun, one after the other, only to be cut."""
    for outlives, expected in ((False, 3), (True, 100)):
        begun: list[int] = []

        async def work(item: int, begun: list[int] = begun) -> None:
            begun.append(item)
            await asyncio.sleep(60)

        async with anyio.create_task_group() as tasks:
            workers = Workers(tasks, work, "test", most=3, outlives=outlives)
            for item in range(100):
                workers.put(item)
            while len(begun) < 3:
                await asyncio.sleep(0)
            tasks.cancel_scope.cancel()
        assert len(begun) == expected
