"""When to look at a request again, and the one scheduler that looks at all of them.

The order of trust: the server's own hint; what similar requests took, when they agree; otherwise waits that grow with
the time already waited. Of many similar requests the oldest are looked at most: as soon as one of them is done, the
others have a forecast, and looks before that would tell little.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import anyio
import anyio.abc
import attrs

from aurora_async.config import Polling
from aurora_async.engine.protocol import RequestId, RequestStatus, Service
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    ConnectionFailed,
    ConnectionLost,
    HttpError,
    MalformedAnswer,
    ReadTimeout,
    ServerError,
    TooManyRequests,
)

__all__ = ["History", "Poller", "Schedule", "is_transient"]

logger = logging.getLogger(__name__)

_SAMPLES = 16
# Durations "agree" when the middle half of them lies within this share of their median.
_AGREEMENT = 0.25
# A request with this many older siblings is looked at half as often as the oldest.
_SCOUTS = 8
# A garbled answer may come from a proxy on the way; this many in a row are the service's own.
_GARBLED_IN_A_ROW = 3


def is_transient(error: AuroraError) -> bool:
    """True when asking again later may well succeed."""
    return isinstance(error, ConnectionFailed | ConnectionLost | ReadTimeout | ServerError | TooManyRequests)


class History:
    """How long the last requests of one likeness took, by the server's clock where it tells."""

    def __init__(self) -> None:
        self._durations_s: deque[float] = deque(maxlen=_SAMPLES)

    def add(self, duration_s: float) -> None:
        """Remember one more."""
        self._durations_s.append(duration_s)

    @property
    def forecast_s(self) -> float | None:
        """The median duration, when the durations agree well enough to be one; None when they do not."""
        if not self._durations_s:
            return None
        ordered = sorted(self._durations_s)
        middle = ordered[len(ordered) // 2]
        spread = ordered[(3 * len(ordered)) // 4] - ordered[len(ordered) // 4]
        return middle if spread <= _AGREEMENT * middle else None


@attrs.frozen
class Schedule:
    """Pure arithmetic: seconds until the next look. Nothing here sleeps, so it can be checked to the last digit."""

    polling: Polling
    rng: random.Random

    def wait_s(
        self, elapsed_s: float, *, hint_s: float | None = None, forecast_s: float | None = None, older: int = 0
    ) -> float:
        """Seconds to wait now, `elapsed_s` after submission, with `older` similar requests still ahead of this one."""
        if hint_s is not None:
            return max(hint_s, self.polling.floor_s)
        if forecast_s is not None and elapsed_s < forecast_s:
            return forecast_s - elapsed_s
        patience = 1 + older / _SCOUTS
        share = min(self.polling.share * patience, 0.5)
        nominal_s = min(max(share * elapsed_s, self.polling.floor_s * patience), self.polling.ceiling_s)
        if forecast_s is not None:
            # Overdue, so any moment now: the forecast's own length says what lateness is worth.
            nominal_s = min(nominal_s, max(self.polling.share * forecast_s, self.polling.floor_s))
        return nominal_s * self.rng.uniform(1 - self.polling.jitter, 1 + self.polling.jitter)


@attrs.define(eq=False)
class _Watch:
    """One request that somebody waits for."""

    service: Service[Any]
    request_id: RequestId
    family: _Family
    order: int
    """Place among its siblings, by submission."""
    since: float
    """Loop time of the submission."""
    done: asyncio.Future[RequestStatus]
    on_status: Callable[[RequestStatus], None]
    due: float = 0.0
    ticket: int = -1
    """Which entry of the heap is the valid one; older entries are skipped when they come up."""
    scope: anyio.CancelScope | None = None
    garbled: int = 0


class _Family:
    """Requests of one likeness that are being watched, oldest first, and what their kind took."""

    def __init__(self) -> None:
        self.history = History()
        self.watches: dict[int, _Watch] = {}

    def older_than(self, watch: _Watch) -> int:
        """At least how many older siblings are still watched."""
        oldest = next(iter(self.watches), watch.order)
        return min(watch.order - oldest, len(self.watches) - 1)


class Poller:
    """Looks at every watched request when it is due: one timer and one heap for all, no task while nothing is due."""

    def __init__(
        self, tasks: anyio.abc.TaskGroup, polling: Polling, *, at_once: int, rng: random.Random | None = None
    ) -> None:
        """`tasks` is borrowed from the client; `at_once` bounds the looks under way at one moment."""
        self._tasks = tasks
        self._schedule = Schedule(polling, rng or random.Random())
        self._at_once = at_once
        self._looking = 0
        self._heap: list[tuple[float, int, _Watch]] = []
        self._tickets = itertools.count()
        self._orders = itertools.count()
        self._families: dict[Hashable, _Family] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._loop = asyncio.get_running_loop()
        self._closed = False

    @property
    def watching(self) -> int:
        """How many requests are waited for."""
        return sum(len(family.watches) for family in self._families.values())

    def close(self) -> None:
        """End every wait with `ClientClosed`, and begin no more looks."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        for family in self._families.values():
            for watch in family.watches.values():
                if not watch.done.done():
                    watch.done.set_exception(ClientClosed())

    async def final_status(
        self,
        service: Service[Any],
        request_id: RequestId,
        *,
        likeness: Hashable,
        since: float,
        on_status: Callable[[RequestStatus], None],
    ) -> RequestStatus:
        """Look until the request has ended, whichever way. Transient failures only postpone the next look.

        `since` is the loop time of the submission; `on_status` is called with every status seen.
        """
        if self._closed:
            raise ClientClosed
        family = self._families.setdefault((service.name, likeness), _Family())
        watch = _Watch(service, request_id, family, next(self._orders), since, self._loop.create_future(), on_status)
        family.watches[watch.order] = watch
        try:
            self._plan(watch)
            return await watch.done
        finally:
            family.watches.pop(watch.order, None)
            watch.ticket = -1
            if watch.scope is not None:  # we were cancelled in the middle of a look
                watch.scope.cancel()

    def _plan(self, watch: _Watch, hint_s: float | None = None) -> None:
        now = self._loop.time()
        wait_s = self._schedule.wait_s(
            now - watch.since,
            hint_s=hint_s,
            forecast_s=watch.family.history.forecast_s,
            older=watch.family.older_than(watch),
        )
        self._put(watch, now + wait_s)

    def _put(self, watch: _Watch, due: float) -> None:
        watch.due, watch.ticket = due, next(self._tickets)
        heapq.heappush(self._heap, (due, watch.ticket, watch))
        if self._timer is None or due < self._timer_due:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._heap and self._heap[0][1] != self._heap[0][2].ticket:
            heapq.heappop(self._heap)
        if self._heap and not self._closed:
            self._timer_due = self._heap[0][0]
            self._timer = self._loop.call_at(self._timer_due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        while self._looking < self._at_once and (watch := self._next_due()) is not None:
            self._looking += 1
            self._tasks.start_soon(self._look_at_all_due, watch, name="poller")
        if self._looking < self._at_once:
            self._set_timer()

    def _next_due(self) -> _Watch | None:
        # The loop fires a timer up to its clock's resolution early; what is due then is due now.
        now = self._loop.time() + 0.001
        while self._heap and self._heap[0][0] <= now:
            _, ticket, watch = heapq.heappop(self._heap)
            if ticket == watch.ticket:
                return watch
        return None

    async def _look_at_all_due(self, first: _Watch) -> None:
        watch: _Watch | None = first
        try:
            while watch is not None:
                await self._look(watch)
                watch = self._next_due()
        finally:
            self._looking -= 1
            self._set_timer()

    async def _look(self, watch: _Watch) -> None:
        try:
            with anyio.CancelScope() as watch.scope:
                status = await watch.service.refresh(watch.request_id)
        except AuroraError as error:
            self._after_failure(watch, error)
            return
        except BaseException:
            watch.done.cancel()
            raise
        finally:
            watch.scope = None
        if watch.done.done():
            return
        watch.garbled = 0
        try:
            watch.on_status(status)
        except Exception as error:
            watch.done.set_exception(error)
            return
        if status.phase.is_final:
            self._remember(watch, status)
            watch.done.set_result(status)
        else:
            self._plan(watch, status.wait_hint_s)

    def _after_failure(self, watch: _Watch, error: AuroraError) -> None:
        if watch.done.done():
            return
        watch.garbled += isinstance(error, MalformedAnswer)
        may_pass = is_transient(error) or (isinstance(error, MalformedAnswer) and watch.garbled < _GARBLED_IN_A_ROW)
        if not may_pass:
            watch.done.set_exception(error)
            return
        logger.info("request %s: looking again later, because %s", watch.request_id, error)
        self._plan(watch, error.retry_after_s if isinstance(error, HttpError) else None)

    def _remember(self, watch: _Watch, status: RequestStatus) -> None:
        """Learn from a finished request, and give its siblings the new forecast."""
        history = watch.family.history
        before_s = history.forecast_s
        duration_s = status.duration_s
        history.add(self._loop.time() - watch.since if duration_s is None else duration_s)
        forecast_s = history.forecast_s
        if forecast_s is None or (before_s is not None and abs(forecast_s - before_s) <= 0.05 * before_s):
            return
        now = self._loop.time()
        for sibling in watch.family.watches.values():
            expected = max(sibling.since + forecast_s, now)
            if sibling is not watch and sibling.scope is None and expected < sibling.due:
                self._put(sibling, expected)
