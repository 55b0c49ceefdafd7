"""When to look at a request again, and the one scheduler that looks at all of them.

Each is looked at again after a share of the time it has taken so far. Of many similar requests a few of the oldest are
scouts: as soon as some are done and agree, the others have a forecast and need no look before it. What is left over
shares a budget of looks a second, so that ten thousand requests lean no harder on the service than two hundred.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any

import anyio
import anyio.abc
import attrs

from aurora_async.config import Polling
from aurora_async.engine.protocol import RequestId, RequestStatus, Service
from aurora_async.errors import AuroraError, ClientClosed, HttpError, IncompleteBody, MalformedAnswer, ReadTimeout
from aurora_async.http.retry import LONGEST_WAIT_S, may_pass

__all__ = ["History", "Poller", "Schedule"]

logger = logging.getLogger(__name__)

_SAMPLES = 16
_FEWEST_SAMPLES = 3
_SAMPLE_LIVES_S = 600.0
# Durations "agree" when the middle half of them lies within this share of their median.
_AGREEMENT = 0.25
# So many times overdue, a forecast was about something else.
_FORECAST_HOLDS = 3.0
# The oldest of a family, which are looked at whatever the forecast and the budget say.
_SCOUTS = 4
_MOST_FAMILIES = 256
# A garbled answer may come from a proxy on the way; this many in a row are the service's own.
_GARBLED_IN_A_ROW = 3
# A status is a few kilobytes: one that takes longer than this is hanging.
_LONGEST_LOOK_S = 15.0


class History:
    """How long the last requests of one likeness took."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)

    def add(self, duration_s: float, now: float) -> None:
        """Remember one more."""
        self._samples.append((now, duration_s))

    def forecast_s(self, now: float) -> float | None:
        """The median of the recent durations, when there are some and they agree; None when they do not."""
        ordered = sorted(duration_s for at, duration_s in self._samples if now - at <= _SAMPLE_LIVES_S)
        if len(ordered) < _FEWEST_SAMPLES:
            return None
        middle = ordered[len(ordered) // 2]
        spread = ordered[(3 * len(ordered)) // 4] - ordered[len(ordered) // 4]
        return middle if spread <= _AGREEMENT * middle else None


@attrs.frozen
class Schedule:
    """Pure arithmetic: seconds until the next look. Nothing here sleeps, so it can be checked to the last digit."""

    polling: Polling
    rng: random.Random

    def wait_s(
        self,
        elapsed_s: float,
        *,
        hint_s: float | None = None,
        forecast_s: float | None = None,
        older: int = 0,
        watching: int = 1,
    ) -> float:
        """Seconds to wait now.

        Args:
            elapsed_s: Since the submission.
            hint_s: What the server asked for.
            forecast_s: What similar requests took, when they agree.
            older: How many similar requests are ahead of this one.
            watching: How many requests of the client share its budget of looks.
        """
        polling = self.polling
        if hint_s is not None:
            return min(max(hint_s, polling.floor_s), LONGEST_WAIT_S)
        if forecast_s is not None and elapsed_s > _FORECAST_HOLDS * forecast_s + polling.floor_s:
            forecast_s = None
        is_scout = older < _SCOUTS
        if forecast_s is not None and elapsed_s < forecast_s and not is_scout:
            return min(forecast_s - elapsed_s, polling.ceiling_s)
        nominal_s = max(polling.share * elapsed_s, polling.floor_s)
        if forecast_s is not None:
            # A scout is there in time too; an overdue one may end any moment, and its lateness says how soon.
            ahead_s = forecast_s - elapsed_s
            late_s = polling.share * max(forecast_s, -ahead_s)
            nominal_s = min(nominal_s, ahead_s if ahead_s > 0 else max(late_s, polling.floor_s))
        elif not is_scout:
            nominal_s = max(nominal_s, watching / polling.looks_per_s)
        nominal_s = min(nominal_s, polling.ceiling_s)
        return nominal_s * self.rng.uniform(1 - polling.jitter, 1 + polling.jitter)


@attrs.define(eq=False)
class _Watch:
    """One request that somebody waits for."""

    service: Service[Any]
    request_id: RequestId
    family: _Family
    order: int
    """Place in its family, by the time it was first waited for."""
    since: float | None
    """Loop time of the submission; None when that was elsewhere."""
    begun: float
    """Loop time from which it counts as running."""
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
        self.orders = itertools.count()

    def older_than(self, watch: _Watch) -> int:
        """How many older siblings are still watched; those in between that have ended may be counted too."""
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
        self._watching = 0
        self._families: OrderedDict[Hashable, _Family] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._loop = asyncio.get_running_loop()
        self._closed = False

    @property
    def watching(self) -> int:
        """How many requests are waited for."""
        return self._watching

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
        since: float | None,
        on_status: Callable[[RequestStatus], None],
    ) -> RequestStatus:
        """Look until the request has ended, whichever way. Transient failures only postpone the next look.

        `since` is the loop time of the submission, None for one that was submitted elsewhere and may be over already;
        `on_status` is called with every status seen.
        """
        if self._closed:
            raise ClientClosed
        family = self._family((service.name, likeness))
        now = self._loop.time()
        begun = now if since is None else since
        done: asyncio.Future[RequestStatus] = self._loop.create_future()
        watch = _Watch(service, request_id, family, next(family.orders), since, begun, done, on_status)
        family.watches[watch.order] = watch
        self._watching += 1
        try:
            self._plan_first(watch, now)
            return await watch.done
        finally:
            del family.watches[watch.order]
            self._watching -= 1
            watch.ticket = -1
            self._drop_stale()
            if watch.scope is not None:  # we were cancelled in the middle of a look
                watch.scope.cancel()

    def _family(self, key: Hashable) -> _Family:
        family = self._families.setdefault(key, _Family())
        self._families.move_to_end(key)
        if len(self._families) > _MOST_FAMILIES:
            for old in [old for old, member in self._families.items() if not member.watches][: _MOST_FAMILIES // 2]:
                if self._families[old] is not family:
                    del self._families[old]
        return family

    def _drop_stale(self) -> None:
        """Forget the entries of waits that have ended, when they are most of the heap."""
        if len(self._heap) > 2 * self._watching + 64:
            self._heap = [entry for entry in self._heap if entry[1] == entry[2].ticket]
            heapq.heapify(self._heap)

    def _plan_first(self, watch: _Watch, now: float) -> None:
        """One that was submitted elsewhere, or a while ago, may be over already: what was not looked at is due."""
        if watch.since is None or now - watch.since > self._schedule.polling.floor_s:
            self._put(watch, now)
        else:
            self._plan(watch)

    def _plan(self, watch: _Watch, hint_s: float | None = None) -> None:
        now = self._loop.time()
        wait_s = self._schedule.wait_s(
            now - watch.begun,
            hint_s=hint_s,
            forecast_s=None if watch.since is None else watch.family.history.forecast_s(now),
            older=watch.family.older_than(watch),
            watching=self._watching,
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
                status = await self._refreshed(watch)
        except AuroraError as error:
            self._after_failure(watch, error)
            return
        except Exception as error:
            # A bug in a service's code ends the wait for this request, and nobody else's.
            self._end(watch, error)
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
            self._end(watch, error)
            return
        if status.phase.is_final:
            self._remember(watch, status)
            watch.done.set_result(status)
        else:
            self._plan(watch, status.wait_hint_s)

    async def _refreshed(self, watch: _Watch) -> RequestStatus:
        try:
            with anyio.fail_after(_LONGEST_LOOK_S):
                return await watch.service.refresh(watch.request_id)
        except TimeoutError as error:
            if isinstance(error, AuroraError):
                raise
            reason = f"the status did not come within {_LONGEST_LOOK_S:g} s"
            raise ReadTimeout("GET", f"the status of request {watch.request_id}", reason) from error

    @staticmethod
    def _end(watch: _Watch, error: Exception) -> None:
        if not watch.done.done():
            watch.done.set_exception(error)

    def _after_failure(self, watch: _Watch, error: AuroraError) -> None:
        if watch.done.done():
            return
        is_garbled = isinstance(error, MalformedAnswer | IncompleteBody)
        watch.garbled += is_garbled
        if not (may_pass(error) or (is_garbled and watch.garbled < _GARBLED_IN_A_ROW)):
            watch.done.set_exception(error)
            return
        logger.info("request %s: looking again later, because %s", watch.request_id, error)
        self._plan(watch, error.retry_after_s if isinstance(error, HttpError) else None)

    def _remember(self, watch: _Watch, status: RequestStatus) -> None:
        """Learn from a finished request, and give its siblings the new forecast."""
        if watch.since is None:
            return
        now = self._loop.time()
        history = watch.family.history
        before_s = history.forecast_s(now)
        seen_s = now - watch.since
        told_s = status.duration_s
        # The service's clock knows better than our looks, unless it cannot be right.
        history.add(told_s if told_s is not None and 0 <= told_s <= seen_s + 1 else seen_s, now)
        forecast_s = history.forecast_s(now)
        if forecast_s is None or (before_s is not None and abs(forecast_s - before_s) <= 0.05 * before_s):
            return
        for sibling in watch.family.watches.values():
            if sibling is watch or sibling.scope is not None or sibling.since is None:
                continue
            expected = max(sibling.since + forecast_s, now)
            if expected < sibling.due:
                self._put(sibling, expected)
