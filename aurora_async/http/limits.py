"""How hard one client leans on one host: requests at once, and per second.

A host that answers 429 or 503 gets half as many requests at once, and more again only slowly (additive increase,
multiplicative decrease, as TCP does). There is no lock: everything runs in one event loop, and nothing awaits between a
check and the change that follows from it. The clock is a parameter, so tests bring their own.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

__all__ = ["Allowance", "Gate", "Host"]


class Allowance:
    """How many exchanges may run at once: `slots`, between 1 and `most`."""

    __slots__ = ("_share", "cuts", "most", "slots")

    def __init__(self, most: int) -> None:
        self.most = most
        self.slots = most
        self.cuts = 0
        """How often it was cut; an exchange remembers the count at its start."""
        self._share = float(most)

    def cut(self, cuts_at_start: int) -> bool:
        """Halve it, unless it was halved since this exchange began: one overload is answered by many 429 at once."""
        if cuts_at_start != self.cuts:
            return False
        self.cuts += 1
        self._share = max(1.0, self._share / 2)
        self.slots = int(self._share)
        return True

    def credit(self, cuts_at_start: int) -> None:
        """Grow by one slot for each round of as many successes as there are slots."""
        if self.slots < self.most and cuts_at_start == self.cuts:
            self._share = min(float(self.most), self._share + 1 / self.slots)
            # The sum of n times 1/n may fall short of 1 by a rounding error.
            self.slots = int(self._share + 1e-9)


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Gate:
    """The slots of one pool at one host, given out first come, first served.

    Whoever entered must `leave`, whatever happens. A waiter that is cancelled loses nothing and leaves nothing behind.
    """

    __slots__ = ("_host", "_in_use", "_waiting", "allowance")

    def __init__(self, host: Host, most: int) -> None:
        self.allowance = Allowance(most)
        self._host = host
        self._in_use = 0
        # Ordered for its O(1) removal from front and middle: ten thousand may wait, and any may be cancelled.
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def in_use(self) -> int:
        """Slots that are taken."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Exchanges that want a slot and have none."""
        return len(self._waiting)

    def try_enter(self) -> bool:
        """Take a slot if that needs no waiting."""
        if self._in_use < self.allowance.slots and not self._waiting and self._host.try_start():
            self._in_use += 1
            return True
        return False

    def enter_at_once(self) -> None:
        """Take a slot that need not be free, whatever the host said: others wait a little longer for it."""
        self._in_use += 1

    async def enter(self) -> None:
        """Wait for a slot behind those who wait already, and take it."""
        if self.try_enter():
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        self.admit()
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.leave()  # Cancelled after the slot was handed over: pass it on.
            else:
                self._waiting.pop(future, None)
            raise

    def leave(self) -> None:
        """Give a slot back."""
        self._in_use -= 1
        if self._waiting:
            self.admit()

    def admit(self) -> None:
        """Hand free slots to those who wait longest, as far as the host is open."""
        waiting = self._waiting
        while waiting and self._in_use < self.allowance.slots:
            future = next(iter(waiting))
            if future.done():  # Cancelled, and its task has not run since.
                del waiting[future]
            elif self._host.try_start():
                del waiting[future]
                self._in_use += 1
                future.set_result(None)
            else:
                self._host.wake_when_open()
                return

    def fail(self, error: Exception) -> None:
        """Wake everybody who waits with `error`."""
        while self._waiting:
            future, _ = self._waiting.popitem(last=False)
            if not future.done():
                future.set_exception(error)


class Host:
    """What holds for a host as a whole: its gates, its pace, and the pause it asked for."""

    __slots__ = ("_call_at", "_clock", "_gates", "_interval_s", "_opens_at", "_timer", "bodies", "control")

    def __init__(
        self,
        *,
        control: int,
        bodies: int,
        requests_per_s: float | None = None,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], _Timer],
    ) -> None:
        """Make the gates of one host.

        Args:
            control: Most short exchanges at once.
            bodies: Most bodies at once.
            requests_per_s: Most starts per second, both kinds together and evenly spaced; None: no such limit.
            clock: Seconds, any origin, never backwards.
            call_at: Calls a function at a time of that clock, as `loop.call_at` does.
        """
        self.control = Gate(self, control)
        self.bodies = Gate(self, bodies)
        self._gates = [self.control, self.bodies]
        self._interval_s = 1 / requests_per_s if requests_per_s else 0.0
        self._clock = clock
        self._call_at = call_at
        self._opens_at = 0.0
        self._timer: _Timer | None = None

    def try_start(self) -> bool:
        """Say whether an exchange may start now, and count it."""
        if not self._opens_at and not self._interval_s:
            return True  # The common case does not even read the clock.
        now = self._clock()
        if now < self._opens_at:
            return False
        self._opens_at = now + self._interval_s if self._interval_s else 0.0
        return True

    def pause(self, seconds: float) -> None:
        """Start nothing for so long; what runs goes on. A shorter pause does not end a longer one."""
        self._opens_at = max(self._opens_at, self._clock() + seconds)

    def succeeded(self, gate: Gate, cuts_at_start: int) -> None:
        """Learn that an exchange went well."""
        allowance = gate.allowance
        if allowance.slots < allowance.most:
            allowance.credit(cuts_at_start)
            if gate.waiting:
                gate.admit()

    def overloaded(self, gate: Gate, cuts_at_start: int, retry_after_s: float | None) -> None:
        """Learn that the host answered 429 or 503."""
        gate.allowance.cut(cuts_at_start)
        if retry_after_s:
            self.pause(retry_after_s)

    def wake_when_open(self) -> None:
        """Let waiters in as soon as the host opens."""
        if self._timer is None:
            self._timer = self._call_at(self._opens_at, self._open)

    def close(self, error: Exception) -> None:
        """Wake everybody who waits with `error`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for gate in self._gates:
            gate.fail(error)

    def _open(self) -> None:
        self._timer = None
        # In turns: with a pace, each opening has room for one, and neither kind may starve the other.
        self._gates.reverse()
        for gate in self._gates:
            gate.admit()
