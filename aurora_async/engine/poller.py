"""When to look at a request again, and the one scheduler that looks at all of them.

Each is looked at again after a share of the time it has taken so far. Of many similar requests a few of the oldest are
scouts: as soon as some are done and agree, the others have a forecast and need no look before it. What is left over
shares a budget of looks a second, so that ten thousand requests lean no harder on the service than two hundred.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import anyio
import anyio.abc
import attrs

from aurora_async.config import Polling
from aurora_async.engine.protocol import RequestId, RequestStatus, Service
from aurora_async.errors import AuroraError, ClientClosed, HttpError, IncompleteBody, MalformedAnswer, ReadTimeout
from aurora_async.http.retry import LONGEST_WAIT_S, may_pass

__all__ = ["History", "Poller", "Schedule", "Watch"]

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
# A new forecast is given to all siblings at most once in so many ends, as a share of them: thousands cost no square.
_SHARE_PER_FORECAST = 1 / 32
# A garbled answer may come from a proxy on the way; this many in a row are the service's own.
_GARBLED_IN_A_ROW = 3
# A status is a few kilobytes: one that takes longer than this is hanging. Moving a scope's deadline costs a timer, so
# each move gives more than is needed.
_LONGEST_LOOK_S = 15.0
_DEADLINE_STEP_S = 5.0
# Looks due at nearly one time share a place in the timetable: ticks of a share of the floor, coarser for long waits.
_TICKS_PER_FLOOR = 20
_TICKS_PER_WAIT = 64


class History:
    """How long the last requests of one likeness took."""

    __slots__ = ("_forecast_s", "_holds_until", "_samples")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        self._forecast_s: float | None = None
        self._holds_until = -math.inf

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, duration_s: float, now: float) -> None:
        """Remember one more."""
        self._samples.append((now, duration_s))
        self._holds_until = -math.inf

    def forecast_s(self, now: float) -> float | None:
        """The median of the recent durations, when there are some and they agree; None when they do not."""
        if now > self._holds_until:
            recent = [sample for sample in self._samples if now - sample[0] <= _SAMPLE_LIVES_S]
            self._holds_until = min((at for at, _ in recent), default=math.inf) + _SAMPLE_LIVES_S
            self._forecast_s = _agreed(sorted(duration_s for _, duration_s in recent))
        return self._forecast_s


def _agreed(ordered: list[float]) -> float | None:
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


class Watch:
    """One request that is looked at until it has ended, whichever way; a subclass says what that leads to.

    Ten thousand of them wait without a task, a future or a timer of their own.
    """

    __slots__ = ("_family", "_place", "request_id", "service", "since")

    def __init__(self, service: Service[Any], request_id: RequestId, *, since: float) -> None:
        self.service = service
        self.request_id = request_id
        self.since = since
        """Loop time from which it counts as running."""
        self._family: _Family | None = None
        """None while it is not watched."""
        self._place: _Place | None = None
        """Where it stands in the timetable; None while it is looked at."""

    @property
    def is_ours(self) -> bool:
        """False when it was submitted elsewhere: nobody here knows how long it has been running."""
        return True

    @property
    def until(self) -> float:
        """Loop time at which nobody waits any longer."""
        return math.inf

    def saw(self, status: RequestStatus) -> None:
        """Hear of every status that was seen."""

    def over(self, status: RequestStatus) -> None:
        """Hear that it has ended; nothing is heard afterwards."""

    def failed(self, error: Exception) -> None:
        """Hear why it is not looked at any more; nothing is heard afterwards."""

    def expired(self) -> None:
        """Hear that `until` has come; nothing is heard afterwards."""


class _Waiter(Watch):
    """What a task waits on."""

    __slots__ = ("_is_ours", "_on_status", "done")

    def __init__(
        self,
        service: Service[Any],
        request_id: RequestId,
        *,
        since: float | None,
        done: asyncio.Future[RequestStatus],
        on_status: Callable[[RequestStatus], None],
    ) -> None:
        super().__init__(service, request_id, since=done.get_loop().time() if since is None else since)
        self._is_ours = since is not None
        self.done = done
        self._on_status = on_status

    @property
    def is_ours(self) -> bool:
        return self._is_ours

    def saw(self, status: RequestStatus) -> None:
        self._on_status(status)

    def over(self, status: RequestStatus) -> None:
        if not self.done.done():  # its task may have been cancelled in this very turn of the loop
            self.done.set_result(status)

    def failed(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Family:
    """Requests of one likeness that are being watched, and what their kind took."""

    __slots__ = ("ended", "gone", "history", "others", "scouts", "told_s")

    def __init__(self) -> None:
        self.history = History()
        self.scouts: list[Watch] = []
        """The oldest."""
        self.others: deque[Watch] = deque()
        """The rest, oldest first; those that have ended stay until their turn comes."""
        self.gone = 0
        """How many of the others have ended."""
        self.told_s: float | None = None
        """The forecast that all of them were given last."""
        self.ended = 0
        """How many have ended since."""

    def __iter__(self) -> Iterator[Watch]:
        """Those that are watched."""
        yield from self.scouts
        for watch in self.others:
            if watch._family is self:
                yield watch

    def add(self, watch: Watch) -> None:
        """Take in the youngest."""
        watch._family = self
        if len(self.scouts) < _SCOUTS:
            self.scouts.append(watch)
        else:
            self.others.append(watch)

    def remove(self, watch: Watch) -> Watch | None:
        """Let one go; return who becomes a scout in its stead."""
        watch._family = None
        if watch not in self.scouts:
            self.gone += 1
            if self.gone > len(self.others) // 2 + 64:
                self.others = deque(other for other in self.others if other._family is self)
                self.gone = 0
            return None
        self.scouts.remove(watch)
        while self.others:
            other = self.others.popleft()
            if other._family is self:
                self.scouts.append(other)
                return other
            self.gone -= 1
        return None


class _Place:
    """A time in the timetable, and who is looked at then; who has got another place since is passed over."""

    __slots__ = ("due", "taken", "watches")

    def __init__(self, due: float) -> None:
        self.due = due
        self.watches: list[Watch] = []
        self.taken = 0
        """How many of them have had their turn."""


class _Timetable:
    """Who is due when. A watch costs ten bytes in here, and a change of its time no search."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._places: dict[int, _Place] = {}
        self._ticks: list[int] = []
        self._entries = 0

    def __len__(self) -> int:
        return self._entries

    @property
    def first(self) -> float:
        """When somebody may be due next."""
        return self._ticks[0] * self._tick_s if self._ticks else math.inf

    def put(self, watch: Watch, due: float, now: float) -> None:
        """Give a watch a place at `due` or a little later."""
        tick_s = self._tick_s
        # Longer waits need not be kept to the tick: a power of two of them, lest places meet nobody else's.
        coarse = 1 << (int((due - now) / (_TICKS_PER_WAIT * tick_s)) | 1).bit_length() - 1
        tick = -(-due // (coarse * tick_s)) * coarse
        if watch.until < tick * tick_s:
            tick = -(-watch.until // tick_s)
        key = int(tick)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(key * tick_s)
            heapq.heappush(self._ticks, key)
        place.watches.append(watch)
        watch._place = place
        self._entries += 1

    def take(self, now: float) -> Watch | None:
        """Return one who is due, and give up its place."""
        while self._ticks and self._ticks[0] * self._tick_s <= now:
            place = self._places[self._ticks[0]]
            while place.taken < len(place.watches):
                watch = place.watches[place.taken]
                place.taken += 1
                self._entries -= 1
                if watch._place is place:
                    watch._place = None
                    if place.taken == len(place.watches):
                        del self._places[heapq.heappop(self._ticks)]
                    return watch
            del self._places[heapq.heappop(self._ticks)]
        return None

    def tidy(self) -> None:
        """Drop what nobody stands in any more."""
        self._entries = 0
        for tick, place in list(self._places.items()):
            place.watches = [watch for watch in place.watches[place.taken :] if watch._place is place]
            place.taken = 0
            self._entries += len(place.watches)
            if not place.watches:
                del self._places[tick]
        self._ticks = sorted(self._places)


class Poller:
    """Looks at every watched request when it is due: one timer, one timetable and a few tasks for all.

    The tasks begin when they are needed and end when nobody is watched: to wake one instead of starting one halves what
    it takes to have somebody looked at in time.
    """

    def __init__(
        self, tasks: anyio.abc.TaskGroup, polling: Polling, *, at_once: int, rng: random.Random | None = None
    ) -> None:
        """`tasks` is borrowed from the client; `at_once` bounds the looks under way at one moment."""
        self._tasks = tasks
        self._polling = polling
        self._schedule = Schedule(polling, rng or random.Random())
        self._at_once = at_once
        self._lookers = 0
        self._idle: list[asyncio.Future[None]] = []
        """Lookers without anything to do."""
        self._timetable = _Timetable(polling.floor_s / _TICKS_PER_FLOOR)
        self._looks: dict[Watch, anyio.CancelScope] = {}
        """Those that are looked at just now."""
        self._garbled: dict[Watch, int] = {}
        self._watching = 0
        self._families: OrderedDict[Hashable, _Family] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def __iter__(self) -> Iterator[Watch]:
        """Whoever is watched."""
        for family in self._families.values():
            yield from family

    @property
    def watching(self) -> int:
        """How many requests are waited for."""
        return self._watching

    def close(self) -> None:
        """End every wait with `ClientClosed`, and begin no more looks."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for watch in list(self):
            self._release(watch)
            watch.failed(ClientClosed())

    def watch(self, watch: Watch, *, likeness: Hashable) -> None:
        """Look until the request has ended, whichever way. Transient failures only postpone the next look."""
        if self._closed:
            raise ClientClosed
        now = self._loop.time()
        self._family((watch.service.name, likeness)).add(watch)
        self._watching += 1
        if not watch.is_ours or now - watch.since > self._polling.floor_s:
            # Submitted elsewhere, or a while ago: it may be over already.
            self._put(watch, now, now)
        else:
            self._plan(watch, now)

    def forget(self, watch: Watch) -> None:
        """Look no more, also not to the end of a look that is under way. One that is over is left as it is."""
        if watch._family is None:
            return
        self._release(watch)
        if (scope := self._looks.get(watch)) is not None:
            scope.cancel()

    async def final_status(
        self,
        service: Service[Any],
        request_id: RequestId,
        *,
        likeness: Hashable,
        since: float | None,
        on_status: Callable[[RequestStatus], None],
    ) -> RequestStatus:
        """Wait until the request has ended, whichever way; `on_status` is called with every status seen.

        `since` is the loop time of the submission, None for one that was submitted elsewhere and may be over already.
        """
        done: asyncio.Future[RequestStatus] = self._loop.create_future()
        waiter = _Waiter(service, request_id, since=since, done=done, on_status=on_status)
        self.watch(waiter, likeness=likeness)
        try:
            return await done
        finally:
            self.forget(waiter)

    # Who is watched ---------------------------------------------------------------------------------------------------

    def _family(self, key: Hashable) -> _Family:
        family = self._families.get(key)
        if family is None:
            family = self._families[key] = _Family()
        self._families.move_to_end(key)
        if len(self._families) > _MOST_FAMILIES:
            for old in [old for old, member in self._families.items() if not member.scouts][: _MOST_FAMILIES // 2]:
                if self._families[old] is not family:
                    del self._families[old]
        return family

    def _release(self, watch: Watch) -> None:
        family = watch._family
        assert family is not None, "only who is watched is released"
        heir = family.remove(watch)
        watch._place = None
        self._watching -= 1
        if not self._watching:
            while self._idle:
                self._wake()
        if self._garbled:
            self._garbled.pop(watch, None)
        if heir is not None and heir._place is not None and not self._closed:
            self._plan(heir, self._loop.time(), latest=heir._place.due)
        if len(self._timetable) > 2 * self._watching + 64:
            self._timetable.tidy()

    # When -------------------------------------------------------------------------------------------------------------

    def _plan(self, watch: Watch, now: float, hint_s: float | None = None, *, latest: float = math.inf) -> None:
        """Give a watch its next time, unless that would be after `latest`."""
        family = watch._family
        assert family is not None
        wait_s = self._schedule.wait_s(
            now - watch.since,
            hint_s=hint_s,
            forecast_s=family.history.forecast_s(now) if watch.is_ours else None,
            older=0 if watch in family.scouts else _SCOUTS,
            watching=self._watching,
        )
        if now + wait_s < latest:
            self._put(watch, now + wait_s, now)

    def _put(self, watch: Watch, due: float, now: float) -> None:
        self._timetable.put(watch, due, now)
        if self._timer is None or self._timetable.first < self._timer.when():
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        can_look = self._idle or self._lookers < self._at_once
        if can_look and not self._closed and (first := self._timetable.first) < math.inf:
            self._timer = self._loop.call_at(first, self._tick)

    # Looking ----------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        """Have one more look at who is due, or end when nobody is watched."""
        if self._idle:
            idle = self._idle.pop()
            if not idle.done():  # by a cancellation
                idle.set_result(None)
        elif self._lookers < self._at_once:
            self._lookers += 1
            self._tasks.start_soon(self._look_on, name="poller")

    def _next_due(self) -> Watch | None:
        # The loop fires a timer up to its clock's resolution early; what is due then is due now.
        now = self._loop.time() + 0.001
        while (watch := self._timetable.take(now)) is not None and watch.until <= now:
            self._release(watch)
            watch.expired()
        if watch is not None:
            if self._timetable.first <= now:
                self._wake()
            elif self._timer is None:
                self._set_timer()
        return watch

    async def _look_on(self) -> None:
        """Look at whoever is due, while anybody is watched."""
        try:
            watch = self._next_due()
            while watch is not None or self._watching:
                # One scope for many looks, because opening one costs a tenth of a look; a look that is cut ends it.
                with anyio.CancelScope() as scope:
                    while not scope.cancel_called and (watch is not None or self._watching):
                        if watch is None:
                            await self._rest()
                        else:
                            await self._look(watch, scope)
                        watch = self._next_due()
                if scope.cancelled_caught:
                    if watch is not None:
                        self._after_cut(watch)
                    watch = self._next_due()
        finally:
            self._lookers -= 1
            self._set_timer()

    async def _rest(self) -> None:
        idle = self._loop.create_future()
        self._idle.append(idle)
        if self._timer is None:
            self._set_timer()
        try:
            await idle
        except BaseException:
            if idle in self._idle:
                self._idle.remove(idle)
            raise

    async def _look(self, watch: Watch, scope: anyio.CancelScope) -> None:
        latest = min(self._loop.time() + _LONGEST_LOOK_S + _DEADLINE_STEP_S, watch.until)
        if not latest - _DEADLINE_STEP_S <= scope.deadline <= latest:
            scope.deadline = latest
        self._looks[watch] = scope
        try:
            status = await watch.service.refresh(watch.request_id)
        except AuroraError as error:
            self._after_failure(watch, error)
            return
        except Exception as error:
            # A bug in a service's code ends the wait for this request, and nobody else's.
            self._fail(watch, error)
            return
        finally:
            del self._looks[watch]
        if watch._family is None:
            return
        if self._garbled:
            self._garbled.pop(watch, None)
        try:
            watch.saw(status)
        except Exception as error:
            self._fail(watch, error)
            return
        if watch._family is None:  # so decided whoever heard of it
            return
        if status.phase.is_final:
            self._remember(watch, watch._family, status)
            self._release(watch)
            watch.over(status)
        else:
            self._plan(watch, self._loop.time(), status.wait_hint_s)

    def _after_cut(self, watch: Watch) -> None:
        """A look came to no end: nobody waits any more, the time for it is up, or it was hanging."""
        if watch._family is None:
            return
        if watch.until <= self._loop.time():
            self._release(watch)
            watch.expired()
        else:
            reason = f"the status did not come within {_LONGEST_LOOK_S:g} s"
            self._after_failure(watch, ReadTimeout("GET", f"the status of request {watch.request_id}", reason))

    def _fail(self, watch: Watch, error: Exception) -> None:
        if watch._family is not None:
            self._release(watch)
            watch.failed(error)

    def _after_failure(self, watch: Watch, error: AuroraError) -> None:
        if watch._family is None:
            return
        garbled = 0
        if isinstance(error, MalformedAnswer | IncompleteBody):
            garbled = self._garbled[watch] = self._garbled.get(watch, 0) + 1
        if not (may_pass(error) or 0 < garbled < _GARBLED_IN_A_ROW):
            self._fail(watch, error)
            return
        logger.info("request %s: looking again later, because %s", watch.request_id, error)
        self._plan(watch, self._loop.time(), error.retry_after_s if isinstance(error, HttpError) else None)

    # Learning ---------------------------------------------------------------------------------------------------------

    def _remember(self, watch: Watch, family: _Family, status: RequestStatus) -> None:
        """Learn from a finished request, and give its siblings the new forecast."""
        if not watch.is_ours:
            return
        now = self._loop.time()
        history = family.history
        before_s = history.forecast_s(now)
        seen_s = now - watch.since
        told_s = status.duration_s
        # The service's clock knows better than our looks, unless it cannot be right.
        took_s = told_s if told_s is not None and 0 <= told_s <= seen_s + 1 else seen_s
        history.add(took_s, now)
        family.ended += 1
        forecast_s = history.forecast_s(now)
        if forecast_s is None:
            if len(history) < _FEWEST_SAMPLES:
                # Until something is known, one that is over makes its fellow scouts tell whether they are too.
                self._hasten(family.scouts, took_s, now)
            return
        given_s = family.told_s
        if given_s is not None:
            if family.ended < _SHARE_PER_FORECAST * len(family.others):
                return
            if before_s is not None and abs(forecast_s - given_s) <= 0.05 * given_s:
                return
        family.told_s, family.ended = forecast_s, 0
        self._hasten(family, forecast_s, now)

    def _hasten(self, siblings: Iterable[Watch], duration_s: float, now: float) -> None:
        """Look at them when they have taken so long, unless they are looked at before."""
        for sibling in siblings:
            if sibling._place is not None and sibling.is_ours:
                expected = max(sibling.since + duration_s, now)
                if expected < sibling._place.due:
                    self._put(sibling, expected, now)
