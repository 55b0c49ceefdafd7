"""Waiting for room: everybody gets in, in turn, and a service that has none is left in peace."""

from __future__ import annotations

import asyncio
import random

import pytest

from aurora_async.engine import room as room_module
from aurora_async.engine.room import Room
from aurora_async.errors import AtCapacity


class Counter:
    """A service that takes `limit` requests at a time, and counts how often it had to refuse one."""

    def __init__(self, room: Room, limit: int) -> None:
        self.room = room
        self.limit = limit
        self.pending = 0
        self.refused = 0
        self.order: list[int] = []

    async def place(self, number: int) -> int:
        """Get one request in."""

        async def submit(is_our_turn: bool) -> int:
            await asyncio.sleep(0)
            if self.room.is_full and not is_our_turn:
                raise AtCapacity("not our turn")
            if self.pending >= self.limit:
                self.refused += 1
                raise AtCapacity(f"{self.pending} are pending")
            self.pending += 1
            self.order.append(number)
            return number

        return await self.room.enter(submit)

    def end_one(self) -> None:
        """Have one of ours end."""
        self.pending -= 1
        self.room.freed()


async def test_all_get_in_and_few_are_refused() -> None:
    """Two hundred that ask again by themselves would be a storm; here each end of one lets one in."""
    service = Counter(Room(random.Random(1)), limit=3)
    tasks = [asyncio.create_task(service.place(number)) for number in range(200)]
    while not all(task.done() for task in tasks):
        for _ in range(10):
            await asyncio.sleep(0)
        if service.pending:
            service.end_one()
    assert sorted(service.order) == list(range(200))
    assert service.refused < 10
    assert not service.room.is_full


async def test_those_who_wait_get_in_by_the_order_in_which_they_came() -> None:
    """Nobody waits for ever because others are luckier."""
    service = Counter(Room(random.Random(1)), limit=1)
    tasks = [asyncio.create_task(service.place(number)) for number in range(20)]
    while not all(task.done() for task in tasks):
        for _ in range(10):
            await asyncio.sleep(0)
        if service.pending:
            service.end_one()
    assert service.order == list(range(20))


async def test_room_that_others_leave_is_found_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pending may be another program's: nobody tells us when it ends."""
    monkeypatch.setattr(room_module, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(room_module, "_LONGEST_WAIT_S", 0.02)
    service = Counter(Room(random.Random(1)), limit=0)
    tasks = [asyncio.create_task(service.place(number)) for number in range(3)]
    await asyncio.sleep(0.1)
    assert service.refused >= 2 and not service.order
    service.limit = 3
    async with asyncio.timeout(5):
        assert await asyncio.gather(*tasks) == [0, 1, 2]


async def test_one_that_gives_up_keeps_nobody_waiting() -> None:
    """A query whose caller has left must not hold the turn."""
    service = Counter(Room(random.Random(1)), limit=1)
    tasks = [asyncio.create_task(service.place(number)) for number in range(4)]
    for _ in range(20):
        await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    service.end_one()
    async with asyncio.timeout(5):
        assert await tasks[3] == 3
    assert service.order == [0, 3]


async def test_other_errors_are_the_caller_s_and_let_the_next_one_try() -> None:
    """A query that the service refuses for good is no reason for the others to wait longer."""
    room = Room(random.Random(1))

    async def full(is_our_turn: bool) -> None:
        if not is_our_turn:
            raise AtCapacity("one is pending")
        raise ValueError("this one is wrong")

    async def fine(is_our_turn: bool) -> str:
        return "taken"

    first = asyncio.create_task(room.enter(full))
    await asyncio.sleep(0)
    second = asyncio.create_task(room.enter(fine))
    await asyncio.sleep(0)
    room.freed()
    with pytest.raises(ValueError, match="this one is wrong"):
        await first
    assert await second == "taken"
    assert not room.is_full
