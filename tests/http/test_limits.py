"""Slots, pace and pauses of one host, with a clock that stands still until told otherwise."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from aurora_async.errors import ClientClosed
from aurora_async.http.limits import Allowance, Gate, Host


class Clock:
    """Time for one test: `advance` moves it and calls what is due."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, int, Entry]] = []

    def __call__(self) -> float:
        return self.now

    def call_at(self, when: float, function: Callable[[], None]) -> Entry:
        entry = Entry(function)
        heapq.heappush(self._due, (when, len(self._due), entry))
        return entry

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, entry = heapq.heappop(self._due)
            if not entry.cancelled:
                entry.function()
            await settle()
        self.now = end
        await settle()


class Entry:
    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def host(clock: Clock, *, control: int = 2, bodies: int = 1, requests_per_s: float | None = None) -> Host:
    return Host(control=control, bodies=bodies, requests_per_s=requests_per_s, clock=clock, call_at=clock.call_at)


def queue(gate: Gate, count: int, order: list[int]) -> list[asyncio.Task[None]]:
    """Let `count` tasks want a slot, in order; each writes down its number when it has one."""

    async def want(number: int) -> None:
        await gate.enter()
        order.append(number)

    return [asyncio.ensure_future(want(number)) for number in range(count)]


async def drop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TestAllowance:
    def test_it_halves_down_to_one_and_recovers_one_slot_a_round(self) -> None:
        """Fast down, slow up, never to a standstill."""
        allowance = Allowance(16)
        slots = []
        for _ in range(5):
            allowance.cut(allowance.cuts)
            slots.append(allowance.slots)
        assert slots == [8, 4, 2, 1, 1]
        rounds = []
        while allowance.slots < 16:
            for _ in range(allowance.slots):
                allowance.credit(allowance.cuts)
            rounds.append(allowance.slots)
        assert rounds == list(range(2, 17))
        for _ in range(100):
            allowance.credit(allowance.cuts)
        assert allowance.slots == 16

    def test_one_overload_is_answered_once(self) -> None:
        """Sixteen exchanges under way all come back with 429: that is one message, not sixteen."""
        allowance = Allowance(16)
        began = allowance.cuts
        assert [allowance.cut(began) for _ in range(16)] == [True] + [False] * 15
        assert allowance.slots == 8
        assert allowance.cut(allowance.cuts)
        assert allowance.slots == 4

    def test_successes_from_before_a_cut_do_not_undo_it(self) -> None:
        """They say nothing about how the host fares now."""
        allowance = Allowance(4)
        began = allowance.cuts
        allowance.cut(began)
        for _ in range(20):
            allowance.credit(began)
        assert allowance.slots == 2


class TestGate:
    async def test_slots_are_given_in_order_of_arrival(self, clock: Clock) -> None:
        """Also to somebody who comes while a slot is free but others wait for it."""
        gate = host(clock, control=2).control
        order: list[int] = []
        tasks = queue(gate, 6, order)
        await settle()
        assert order == [0, 1]
        gate.leave()
        assert not gate.try_enter()
        await settle()
        assert order == [0, 1, 2]
        for _ in range(3):
            gate.leave()
            await settle()
        assert order == list(range(6))
        await asyncio.gather(*tasks)
        assert (gate.in_use, gate.waiting) == (2, 0)

    @pytest.mark.parametrize("moment", ["waiting", "served"])
    async def test_a_cancelled_waiter_takes_no_slot_with_it(self, clock: Clock, moment: str) -> None:
        """Cancelled while it waits, and in the very turn in which a slot was handed to it."""
        gate = host(clock, control=1).control
        await gate.enter()
        order: list[int] = []
        tasks = queue(gate, 2, order)
        await settle()
        if moment == "served":
            gate.leave()  # handed to task 0, which has not run yet
        tasks[0].cancel()
        await settle()
        if moment == "waiting":
            gate.leave()
            await settle()
        assert order == [1]
        assert (gate.in_use, gate.waiting) == (1, 0)
        gate.leave()
        assert gate.in_use == 0

    async def test_nothing_is_lost_whatever_is_cancelled_when(self, clock: Clock) -> None:
        """Two thousand tasks, a third of them cancelled at random moments, cuts and successes among them."""
        rng = random.Random(7)
        the_host = host(clock, control=5)
        gate = the_host.control
        most = 0

        async def use(pauses: int) -> None:
            nonlocal most
            if not gate.try_enter():
                await gate.enter()
            try:
                cuts = gate.allowance.cuts
                most = max(most, gate.in_use)
                for _ in range(pauses):
                    await asyncio.sleep(0)
                if rng.random() < 0.05:
                    the_host.overloaded(gate, cuts, None)
                else:
                    the_host.succeeded(gate, cuts)
            finally:
                gate.leave()

        tasks = []
        for _ in range(2000):
            tasks.append(asyncio.ensure_future(use(rng.randrange(4))))
            if rng.random() < 0.3:
                rng.choice(tasks).cancel()
            if rng.random() < 0.5:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (gate.in_use, gate.waiting) == (0, 0)
        assert most <= 5

    async def test_a_cut_takes_slots_as_they_come_free_and_recovery_gives_them_out(self, clock: Clock) -> None:
        """What runs is not stopped; what waits is let in when the allowance grows, not only when somebody leaves."""
        the_host = host(clock, control=4)
        gate = the_host.control
        order: list[int] = []
        tasks = queue(gate, 8, order)
        await settle()
        the_host.overloaded(gate, gate.allowance.cuts, None)
        gate.leave()
        gate.leave()
        await settle()
        assert (len(order), gate.in_use) == (4, 2)
        for _ in range(2):
            the_host.succeeded(gate, gate.allowance.cuts)
        await settle()
        assert (len(order), gate.in_use) == (5, 3)
        await drop(tasks)

    async def test_closing_wakes_those_who_wait(self, clock: Clock) -> None:
        """Otherwise they would wait for ever."""
        the_host = host(clock, control=1)
        await the_host.control.enter()
        tasks = queue(the_host.control, 3, [])
        await settle()
        the_host.close(ClientClosed())
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, ClientClosed) for result in results)
        assert (the_host.control.in_use, the_host.control.waiting) == (1, 0)


class TestHost:
    async def test_a_pause_holds_back_both_kinds_and_then_lets_them_in(self, clock: Clock) -> None:
        """Retry-After speaks for the host, not for the one exchange that was told."""
        the_host = host(clock)
        the_host.overloaded(the_host.control, 0, 3.0)
        order: list[int] = []
        tasks = queue(the_host.control, 1, order) + queue(the_host.bodies, 1, order)
        await clock.advance(2.9)
        assert order == []
        await clock.advance(0.2)
        assert order == [0, 0]
        await asyncio.gather(*tasks)

    async def test_a_shorter_pause_does_not_end_a_longer_one(self, clock: Clock) -> None:
        """And a longer one prolongs a shorter one that somebody waits for already."""
        the_host = host(clock)
        the_host.pause(1.0)
        order: list[int] = []
        tasks = queue(the_host.control, 1, order)
        await settle()
        the_host.pause(5.0)
        the_host.pause(2.0)
        await clock.advance(4.9)
        assert order == []
        await clock.advance(0.2)
        assert order == [0]
        await asyncio.gather(*tasks)

    async def test_a_pace_spaces_starts_evenly_and_serves_both_kinds(self, clock: Clock) -> None:
        """A flood of one kind does not keep the other from starting."""
        the_host = host(clock, control=100, bodies=100, requests_per_s=10)
        control: list[int] = []
        bodies: list[int] = []
        tasks = queue(the_host.control, 50, control) + queue(the_host.bodies, 3, bodies)
        await settle()
        assert (len(control), len(bodies)) == (1, 0)
        await clock.advance(1.0001)
        assert len(control) + len(bodies) == 11
        assert len(bodies) == 3
        await clock.advance(1.0)
        assert len(control) + len(bodies) == 21
        await drop(tasks)

    async def test_time_without_requests_is_not_saved_up(self, clock: Clock) -> None:
        """A quiet hour is no permission for a burst."""
        the_host = host(clock, control=100, requests_per_s=10)
        await clock.advance(3600)
        assert the_host.control.try_enter()
        assert not the_host.control.try_enter()

    async def test_without_pace_and_pause_the_clock_is_not_even_read(self) -> None:
        """The hot path: thousands of exchanges a second pass here."""

        def never() -> float:
            raise AssertionError

        the_host = Host(control=2, bodies=1, clock=never, call_at=Clock().call_at)
        assert the_host.control.try_enter()
        the_host.succeeded(the_host.control, 0)
        the_host.control.leave()

    async def test_cancelled_waiters_use_up_no_pace(self, clock: Clock) -> None:
        """A start that does not happen is not counted."""
        the_host = host(clock, control=100, requests_per_s=10)
        order: list[int] = []
        tasks = queue(the_host.control, 4, order)
        await settle()
        for task in tasks[1:3]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await clock.advance(0.11)
        assert order == [0, 3]
