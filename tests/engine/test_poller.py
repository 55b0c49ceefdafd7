"""When requests are looked at: the arithmetic to the last digit, and the scheduler against a service of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated import simulated

from aurora_async.config import Polling
from aurora_async.engine import poller as poller_module
from aurora_async.engine.poller import History, Poller, Schedule, Watch, _Family, _Timetable
from aurora_async.engine.protocol import Output, Phase, RequestStatus
from aurora_async.errors import ClientClosed, NotFound, Unavailable

STEADY = Polling(floor_s=0.1, ceiling_s=30, share=0.1, jitter=0)


def schedule(polling: Polling = STEADY) -> Schedule:
    return Schedule(polling, random.Random(1))


def looks_until(duration_s: float, rules: Schedule) -> list[float]:
    """Times at which a request of this duration is looked at, the last one finding it done."""
    times = [0.0]
    while times[-1] < duration_s:
        times.append(times[-1] + rules.wait_s(times[-1]))
    return times[1:]


@given(st.floats(min_value=1.5, max_value=250))
def test_the_end_is_noticed_within_a_tenth_of_the_duration(duration_s: float) -> None:
    """Fast requests are noticed fast, slow ones are not pestered."""
    assert looks_until(duration_s, schedule())[-1] <= duration_s * 1.1 + 1e-6


def test_looks_grow_with_the_logarithm_of_the_duration() -> None:
    """Twice as long costs a handful of looks more, not twice as many."""
    counts = [len(looks_until(duration_s, schedule())) for duration_s in (10, 20, 40, 80, 160)]
    steps = [later - earlier for earlier, later in pairwise(counts)]
    assert all(6 <= step <= 8 for step in steps)


@given(
    st.floats(min_value=0, max_value=1e6),
    st.floats(min_value=0, max_value=1),
    st.integers(min_value=0, max_value=100_000),
)
def test_a_wait_stays_between_its_bounds(elapsed_s: float, jitter: float, older: int) -> None:
    """Never a busy loop, never beyond the ceiling (and its jitter)."""
    polling = Polling(floor_s=0.1, ceiling_s=30, jitter=jitter)
    wait_s = schedule(polling).wait_s(elapsed_s, older=older, watching=older + 1)
    assert 0.1 * (1 - jitter) <= wait_s <= 30 * (1 + jitter)


def test_the_servers_hint_comes_first() -> None:
    """Retry-After is an order; below the floor it is not taken at its word."""
    assert schedule().wait_s(5, hint_s=7.5, forecast_s=6) == 7.5
    assert schedule().wait_s(5, hint_s=0) == 0.1


def test_a_forecast_saves_the_looks_before_it() -> None:
    """Looking at what similar requests say will take 2 s is useless after 0.5 s: the scouts do that."""
    assert schedule().wait_s(0.5, forecast_s=2.0, older=4) == 1.5
    assert schedule().wait_s(0.5, forecast_s=3600.0, older=4) == STEADY.ceiling_s


@given(st.floats(min_value=1.5, max_value=250), st.floats(min_value=0, max_value=1e5))
def test_a_wrong_forecast_does_not_make_a_scout_late(duration_s: float, forecast_s: float) -> None:
    """What another request took says nothing certain about this one."""
    rules, at, looks = schedule(), 0.0, 0
    while at < duration_s:
        at += rules.wait_s(at, forecast_s=forecast_s)
        looks += 1
    assert at <= duration_s * 1.1 + 1e-6
    assert looks <= 120


def test_past_the_forecast_looks_come_at_its_own_pace_and_then_at_the_usual_one() -> None:
    """Overdue means any moment, but not for ever."""
    assert schedule().wait_s(2.1, forecast_s=2.0, older=500) == pytest.approx(0.2)
    assert schedule().wait_s(100, forecast_s=2.0) == pytest.approx(10)


def test_many_unknown_requests_share_a_budget_of_looks() -> None:
    """Ten thousand requests lean on the service like two hundred; the oldest of a kind are looked at as usual."""
    waits = [schedule().wait_s(1.0, older=older, watching=1000) for older in (0, 3, 4, 999)]
    assert waits == [pytest.approx(0.1), pytest.approx(0.1), 5.0, 5.0]


def test_durations_that_agree_make_a_forecast() -> None:
    """The median, not the mean: one slow request says little."""
    history = History()
    for duration_s in (2.0, 2.1, 1.9, 2.05, 9.0):
        history.add(duration_s, now=0)
    assert history.forecast_s(now=1) == 2.05


@pytest.mark.parametrize("durations_s", [[2.0], [2.0, 2.0], [0.2, 8.0, 1.0, 4.0]])
def test_too_few_durations_or_none_that_agree_make_none(durations_s: list[float]) -> None:
    """A wrong forecast is worse than none."""
    history = History()
    for duration_s in durations_s:
        history.add(duration_s, now=0)
    assert history.forecast_s(now=1) is None


def test_only_the_last_and_recent_durations_count() -> None:
    """A service that got faster is believed soon, and yesterday says nothing."""
    history = History()
    for duration_s in [60.0] * 20 + [1.0] * 16:
        history.add(duration_s, now=0)
    assert history.forecast_s(now=1) == 1.0
    assert history.forecast_s(now=3600) is None


class Timed:
    """A service in memory whose requests take what they are named after: `2.0/anything` takes 2 s."""

    name = "timed"

    def __init__(self) -> None:
        self.looks: list[tuple[float, str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.started = asyncio.get_running_loop().time()
        self.failures: dict[str, list[Exception]] = {}

    def new_request_id(self) -> str:
        return ""

    def likeness(self, query: object) -> Hashable:
        return None

    async def submit(self, query: object, request_id: str | None, *, sending: Callable[[], None]) -> str:
        raise AssertionError

    async def cancel(self, request_id: str) -> bool:
        raise AssertionError

    def outputs(self, status: RequestStatus) -> Sequence[Output]:
        return []

    async def refresh(self, request_id: str) -> RequestStatus:
        elapsed_s = asyncio.get_running_loop().time() - self.started
        self.looks.append((elapsed_s, request_id))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0.001)
        finally:
            self.at_once -= 1
        if self.failures.get(request_id):
            raise self.failures[request_id].pop(0)
        takes_s = float(request_id.partition("/")[0])
        begun = datetime(2024, 1, 1, tzinfo=UTC)
        done = elapsed_s >= takes_s
        return RequestStatus(
            request_id=request_id,
            phase=Phase.READY if done else Phase.RUNNING,
            requested=begun,
            completed=begun + timedelta(seconds=takes_s) if done else None,
        )


async def wait_for(poller: Poller, service: Timed, request_id: str, likeness: Hashable = None) -> RequestStatus:
    return await poller.final_status(
        service, request_id, likeness=likeness, since=service.started, on_status=lambda status: None
    )


FAST = Polling(floor_s=0.005, ceiling_s=1, share=0.1, jitter=0.1)


async def test_many_requests_share_one_timer_and_cost_no_task_each() -> None:
    """A thousand waits cost a thousand entries of one timetable."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, Polling(floor_s=30, ceiling_s=60), at_once=4)
        waits = [asyncio.create_task(wait_for(poller, service, f"9/{number}")) for number in range(1000)]
        await asyncio.sleep(0.01)
        assert poller.watching == 1000
        assert len(asyncio.all_tasks()) == 1000 + 1
        poller.close()
        ended = await asyncio.gather(*waits, return_exceptions=True)
    assert {type(error) for error in ended} == {ClientClosed}


async def test_looks_are_made_by_a_few_tasks_that_end_with_the_last_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """They rest in between, also for longer than a look may take, and a client that waits for nothing has none."""
    monkeypatch.setattr(poller_module, "_LONGEST_LOOK_S", 0.01)
    monkeypatch.setattr(poller_module, "_DEADLINE_STEP_S", 0.01)
    polling = Polling(floor_s=0.05, ceiling_s=0.05)
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, polling, at_once=3)
        waits = [asyncio.create_task(wait_for(poller, service, f"0.25/{number}")) for number in range(20)]
        seen: set[asyncio.Task[Any]] = set()
        while not all(wait.done() for wait in waits):
            seen.update(task for task in asyncio.all_tasks() if task.get_name() == "poller")
            await asyncio.sleep(0.001)
        assert len(seen) == 3
        async with asyncio.timeout(1):
            await asyncio.wait(seen)
        assert {(await wait).phase for wait in waits} == {Phase.READY}
        assert (await wait_for(poller, service, "0/again")).phase is Phase.READY


async def test_a_look_that_hangs_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one whose look begins sees to it that others have theirs in time; nobody is woken for nothing."""
    rests = 0
    rest = Poller._rest

    async def counted(poller: Poller) -> None:
        nonlocal rests
        rests += 1
        await rest(poller)

    monkeypatch.setattr(Poller, "_rest", counted)

    class Hanging(Timed):
        async def refresh(self, request_id: str) -> RequestStatus:
            if request_id == "hangs":
                await asyncio.sleep(60)
            return await super().refresh(request_id)

    async with anyio.create_task_group() as tasks:
        service, poller = Hanging(), Poller(tasks, Polling(floor_s=0.02, ceiling_s=0.02, jitter=0), at_once=8)
        quick = asyncio.create_task(wait_for(poller, service, "0.5/quick", "quick"))
        await asyncio.sleep(0.1)
        hanging = asyncio.create_task(wait_for(poller, service, "hangs", "hangs"))
        async with asyncio.timeout(5):
            assert (await quick).phase is Phase.READY
        assert rests <= len(service.looks) + 2
        poller.close()
        with pytest.raises(ClientClosed):
            await hanging
        tasks.cancel_scope.cancel()


async def test_the_first_to_finish_makes_the_forecast_for_the_rest() -> None:
    """Two hundred equal requests: each is found about when it ends, and most of them are looked at once or twice."""
    async with anyio.create_task_group() as tasks:
        polling = Polling(floor_s=0.02, ceiling_s=1)
        service, poller = Timed(), Poller(tasks, polling, at_once=16, rng=random.Random(4))
        await asyncio.gather(*(wait_for(poller, service, f"0.4/{number}") for number in range(200)))
        took_s = asyncio.get_running_loop().time() - service.started
    assert took_s < 0.8
    assert len(service.looks) < 200 * 6


async def test_looks_at_one_moment_are_bounded() -> None:
    """A thousand due requests do not become a thousand exchanges at once."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=3)
        await asyncio.gather(*(wait_for(poller, service, f"0/{number}") for number in range(100)))
    assert service.most_at_once == 3


async def test_a_request_of_another_time_is_looked_at_at_once() -> None:
    """What was resumed may be over already, whatever requests of this client took."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, Polling(floor_s=30, ceiling_s=60), at_once=2)
        async with asyncio.timeout(2):
            await poller.final_status(service, "0/x", likeness="x", since=None, on_status=lambda status: None)


async def test_one_that_was_submitted_a_while_ago_is_looked_at_at_once() -> None:
    """Whoever does something else before waiting does not pay for it twice."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, Polling(floor_s=1, ceiling_s=60), at_once=2)
        since = asyncio.get_running_loop().time() - 600
        async with asyncio.timeout(2):
            await poller.final_status(service, "0/x", likeness=None, since=since, on_status=lambda status: None)


async def test_a_bug_in_a_service_ends_one_wait() -> None:
    """Whatever a service's code raises reaches the one who waits for that request, and nobody else."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=2)
        service.failures["0/odd"] = [RecursionError()]
        odd, good = await asyncio.gather(
            wait_for(poller, service, "0/odd"), wait_for(poller, service, "0/good"), return_exceptions=True
        )
    assert isinstance(odd, RecursionError)
    assert isinstance(good, RequestStatus)


async def test_what_nobody_waits_for_is_forgotten() -> None:
    """Waits that ended leave nothing behind, however far away their next look was."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, Polling(floor_s=3000, ceiling_s=3600), at_once=2)
        for batch in range(20):
            waits = [asyncio.create_task(wait_for(poller, service, "9/x", (batch, n))) for n in range(100)]
            await asyncio.sleep(0)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        assert poller.watching == 0
        assert len(poller._timetable) <= 200
        assert len(poller._families) <= 300
        poller.close()


async def test_a_slow_request_does_not_hide_a_fast_one() -> None:
    """Each is looked at in its own time, whatever the others do."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=2)
        slow = asyncio.create_task(wait_for(poller, service, "30/slow"))
        fast = await wait_for(poller, service, "0.05/fast")
        assert fast.phase is Phase.READY
        assert asyncio.get_running_loop().time() - service.started < 1
        slow.cancel()
    assert poller.watching == 0


async def test_transient_failures_only_postpone() -> None:
    """503 with Retry-After is waited out; nothing is raised."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=2)
        service.failures["0/x"] = [Unavailable("GET", "u", 503, retry_after_s=0.1)]
        await wait_for(poller, service, "0/x")
    (first, _), (second, _) = service.looks
    assert second - first >= 0.1


async def test_a_final_error_reaches_only_its_own_waiter() -> None:
    """One unknown request does not end the others."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=2)
        service.failures["0/lost"] = [NotFound("GET", "u", 404)]
        lost, found = await asyncio.gather(
            wait_for(poller, service, "0/lost"), wait_for(poller, service, "0.05/found"), return_exceptions=True
        )
    assert isinstance(lost, NotFound)
    assert isinstance(found, RequestStatus)


async def test_a_cancelled_wait_is_not_looked_at_again() -> None:
    """Also when it is cancelled in the middle of a look."""
    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=2)
        wait = asyncio.create_task(wait_for(poller, service, "9/x"))
        while not service.at_once:
            await asyncio.sleep(0)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        looks = len(service.looks)
        await asyncio.sleep(0.03)
        assert len(service.looks) == looks
        assert service.at_once == 0
        assert poller.watching == 0


async def test_a_failing_listener_of_a_status_ends_the_wait_with_its_error() -> None:
    """A bug above the poller is not swallowed, and does not stop the scheduler."""

    def broken(status: RequestStatus) -> None:
        raise ZeroDivisionError

    async with anyio.create_task_group() as tasks:
        service, poller = Timed(), Poller(tasks, FAST, at_once=1)
        with pytest.raises(ZeroDivisionError):
            await poller.final_status(service, "0/x", likeness=None, since=service.started, on_status=broken)
        assert (await wait_for(poller, service, "0/y")).phase is Phase.READY


# With a clock of our own: thousands of requests, hours of waiting, to the last look.


class Simulated:
    """A service whose requests take what it was told, and what became of each."""

    name = "simulated"

    def __init__(self, takes_s: list[float]) -> None:
        self.takes_s = takes_s
        self.begun: list[float] = []
        self.noticed: dict[int, float] = {}
        self.all_noticed = asyncio.Event()
        self.looks = 0
        self.looking: set[str] = set()

    async def refresh(self, request_id: str) -> RequestStatus:
        assert request_id not in self.looking, "two looks at one request at one time"
        self.looking.add(request_id)
        await asyncio.sleep(0.001)
        self.looking.remove(request_id)
        self.looks += 1
        index = int(request_id)
        takes_s = self.takes_s[index]
        done = asyncio.get_running_loop().time() - self.begun[index] >= takes_s
        begun = datetime(2024, 1, 1, tzinfo=UTC)
        return RequestStatus(
            request_id=request_id,
            phase=Phase.READY if done else Phase.RUNNING,
            requested=begun,
            completed=begun + timedelta(seconds=takes_s) if done else None,
        )

    @property
    def delays(self) -> list[float]:
        """Seconds between ready and noticed as shares of what it took, smallest first."""
        return sorted(
            (noticed - self.begun[index] - self.takes_s[index]) / self.takes_s[index]
            for index, noticed in self.noticed.items()
        )


class Noted(Watch):
    """Notes when it was over."""

    __slots__ = ()

    def over(self, status: RequestStatus) -> None:
        service: Any = self.service
        service.noticed[int(self.request_id)] = asyncio.get_running_loop().time()
        if len(service.noticed) == len(service.takes_s):
            service.all_noticed.set()


def waited_for(takes_s: list[float], *, gap_s: float = 0.0005, seed: int = 0) -> Simulated:
    """Submit requests one after the other, and look until all are over."""
    service = Simulated(takes_s)

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            poller = Poller(tasks, Polling(), at_once=12, rng=random.Random(seed))
            for index in range(len(takes_s)):
                service.begun.append(loop.time())
                poller.watch(Noted(service, str(index), since=loop.time()), likeness=None)  # type: ignore[arg-type]
                await asyncio.sleep(gap_s)
            await service.all_noticed.wait()
            assert poller.watching == 0

    simulated(wait())
    return service


@settings(max_examples=40, deadline=None)
@given(takes_s=st.floats(min_value=1.2, max_value=7200), seed=st.integers(min_value=0, max_value=1000))
def test_one_of_unknown_length_is_noticed_within_a_tenth_and_its_jitter(takes_s: float, seed: int) -> None:
    """From a second to two hours, with some eighty looks up to the ceiling and one every half minute behind it."""
    service = waited_for([takes_s], seed=seed)
    assert 0 <= service.delays[0] <= 0.13
    assert service.looks <= 85 + takes_s / 27


def test_a_thousand_alike_are_noticed_at_once_and_with_few_looks() -> None:
    """The scouts find the first; by the forecast the others are looked at when they end."""
    service = waited_for([2.0] * 1000)
    delays = service.delays
    assert delays[500] <= 0.01
    assert delays[-1] <= 0.11
    assert service.looks <= 1000 * 1.6


def test_a_thousand_of_any_length_are_all_over_soon_after_the_longest() -> None:
    """Where nothing agrees there is no forecast; the budget is for those that are left."""
    rng = random.Random(5)
    service = waited_for([rng.uniform(0.2, 8.0) for _ in range(1000)])
    assert max(service.noticed.values()) <= 8.5 * 1.1
    assert service.looks <= 3000


@settings(max_examples=15, deadline=None)
@given(
    takes_s=st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=30),
    gap_s=st.floats(min_value=0, max_value=2),
    seed=st.integers(min_value=0, max_value=1000),
)
def test_whatever_they_take_each_is_noticed_once_and_none_is_forgotten(
    takes_s: list[float], gap_s: float, seed: int
) -> None:
    """No order of ends, promotions and forecasts loses one, looks at it twice at a time, or notices it too soon."""
    service = waited_for(takes_s, gap_s=gap_s, seed=seed)
    assert all(service.noticed[i] - service.begun[i] >= takes_s[i] for i in range(len(takes_s)))


class Nameless:
    """As a service, to those who never look."""

    name = "nameless"


def watches(count: int) -> list[Watch]:
    return [Watch(Nameless(), str(index), since=0.0) for index in range(count)]  # type: ignore[arg-type]


@given(
    waits_s=st.lists(st.floats(min_value=0, max_value=4000), max_size=50),
    moved=st.lists(st.tuples(st.integers(min_value=0, max_value=49), st.floats(min_value=0, max_value=4000))),
)
def test_the_timetable_gives_each_its_turn_once_in_order_and_never_early(
    waits_s: list[float], moved: list[tuple[int, float]]
) -> None:
    """Moved or not; late by a sixty-fourth of the wait and a tick at most."""
    timetable = _Timetable(0.005)
    found = watches(len(waits_s))
    due = dict(zip(found, waits_s, strict=True))
    due |= {found[index]: wait_s for index, wait_s in moved if index < len(found)}
    for watch, wait_s in zip(found, waits_s, strict=True):
        timetable.put(watch, wait_s, 0.0)
    for index, wait_s in moved:
        if index < len(found):
            timetable.put(found[index], wait_s, 0.0)
    if len(timetable) > len(found):
        timetable.tidy()
    turns = []
    while (now := timetable.first) < float("inf"):
        while (taken := timetable.take(now)) is not None:
            turns.append(taken)
            assert due[taken] - 1e-6 <= now <= due[taken] * (1 + 1 / 64) + 0.005 + 1e-6
    assert sorted(map(id, turns)) == sorted(map(id, found))
    assert len(timetable) == 0


@given(st.lists(st.one_of(st.none(), st.integers(min_value=0, max_value=1000)), max_size=200))
def test_the_scouts_are_the_oldest_that_are_watched(steps: list[int | None]) -> None:
    """Whoever leaves, in whatever order: None adds one, a number lets one go."""
    family, watched = _Family(), []
    for step in steps:
        if step is None:
            (watch,) = watches(1)
            family.add(watch)
            watched.append(watch)
        elif watched:
            family.remove(watched.pop(step % len(watched)))
        assert set(family.scouts) == set(watched[:4])
        assert set(family) == set(watched)
        assert len(family.others) <= 2 * len(watched) + 130


def test_thousands_of_ends_move_each_of_the_others_a_few_times() -> None:
    """Durations that drift change the forecast all the time; telling all siblings each time would be a square."""
    count = 2000
    puts = 0
    put = _Timetable.put

    def counted(self: _Timetable, watch: Watch, due: float, now: float) -> None:
        nonlocal puts
        puts += 1
        put(self, watch, due, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Timetable, "put", counted)
        service = waited_for([20.0 * 0.999**index for index in range(count)], gap_s=0.0001)
    assert puts - service.looks <= 40 * count


async def test_a_watch_ends_at_its_time_also_in_the_middle_of_a_look() -> None:
    """A deadline needs no timer of its own, and a service that hangs does not outstay it."""
    ends: list[str] = []

    class Until(Watch):
        __slots__ = ("at",)

        at: float

        @property
        def until(self) -> float:
            return self.at

        def expired(self) -> None:
            ends.append(self.request_id)

    class Hanging(Timed):
        async def refresh(self, request_id: str) -> RequestStatus:
            if request_id == "hangs":
                await asyncio.Event().wait()
            return await super().refresh(request_id)

    async with anyio.create_task_group() as tasks:
        loop, service = asyncio.get_running_loop(), Hanging()
        poller = Poller(tasks, Polling(floor_s=0.02, ceiling_s=60), at_once=2)
        for request_id, after_s in (("hangs", 0.06), ("9/x", 0.1)):
            watch = Until(service, request_id, since=loop.time())
            watch.at = loop.time() + after_s
            poller.watch(watch, likeness=None)
        async with asyncio.timeout(2):
            while poller.watching:
                await asyncio.sleep(0.005)
        assert ends == ["hangs", "9/x"]
        assert 0.1 <= loop.time() - service.started < 0.5
