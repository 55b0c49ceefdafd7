"""Events add up to numbers that can be relied on, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async import Event, EventKind
from aurora_async.display import Progress, Tally
from aurora_async.errors import RequestFailed


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def event(kind: EventKind, request_id: str = "a", service: str = "ephemeris", **facts: Any) -> Event:
    """Something that happened."""
    return Event(kind=kind, request_id=request_id, service=service, **facts)


def counts(tally: Tally) -> dict[str, int]:
    """How many requests are in which state."""
    return {state: number for state, number in tally.progress().states.items() if number}


STORY = (
    (EventKind.SUBMITTED, "waiting"),
    (EventKind.POLLED, "waiting"),
    (EventKind.RUNNING, "running"),
    (EventKind.READY, "ready"),
    (EventKind.BYTES, "fetching"),
    (EventKind.DONE, "done"),
)


def test_a_request_goes_through_its_states() -> None:
    """One request is in one state at a time."""
    tally = Tally()
    for kind, state in STORY:
        tally.hear(event(kind))
        assert counts(tally) == {state: 1}


@given(st.lists(st.tuples(st.sampled_from(EventKind), st.sampled_from("abc")), max_size=60))
def test_whatever_comes_the_states_add_up(told: list[tuple[EventKind, str]]) -> None:
    """Results fetched twice, failures tried again, looks at what is over: each request is counted once."""
    tally = Tally()
    for kind, request_id in told:
        tally.hear(event(kind, request_id, bytes=1))
    progress = tally.progress()
    assert sum(progress.states.values()) == progress.begun == len({request_id for _, request_id in told})
    assert all(number >= 0 for number in progress.states.values())
    over = {request_id for kind, request_id in told if kind.value in ("done", "failed", "cancelled", "left")}
    assert progress.ended == sum(kind.ended for kind in progress.kinds) == len(over)


def test_a_result_that_is_fetched_after_a_failure_is_done() -> None:
    """The last word counts."""
    tally = Tally()
    for kind in (EventKind.SUBMITTED, EventKind.FAILED, EventKind.BYTES, EventKind.DONE):
        tally.hear(event(kind, bytes=1))
    assert counts(tally) == {"done": 1}
    assert tally.progress().ended == 1


def test_queries_that_were_refused_are_not_taken_for_one() -> None:
    """They have no identifier to be told apart by."""
    tally = Tally()
    for _ in range(3):
        tally.hear(event(EventKind.FAILED, "", error=RuntimeError("no")))
    assert counts(tally) == {"failed": 3}
    assert tally.request_ids == []


def test_bytes_of_a_transfer_that_is_made_again_are_counted_once() -> None:
    """It begins at nothing; the sum is of what was worth something."""
    tally = Tally()
    for arrived in (10, 20, 5, 30):
        tally.hear(event(EventKind.BYTES, bytes=arrived))
    assert tally.progress().bytes == 30


def test_the_slowest_are_those_that_began_first() -> None:
    """And only those that are still under way."""
    tally = Tally()
    for request_id in "abcdef":
        tally.hear(event(EventKind.SUBMITTED, request_id))
    tally.hear(event(EventKind.DONE, "b"))
    assert [row.request_id for row in tally.progress(slowest=3).slowest] == ["a", "c", "d"]


def test_the_last_errors_are_kept() -> None:
    """In words; a cancellation is not one."""
    tally = Tally()
    for number in range(9):
        for _ in range(2):  # told by whoever saw it first, and by whoever took it from there
            tally.hear(event(EventKind.FAILED, f"id{number}", error=RequestFailed(f"id{number}", "out of disk")))
    tally.hear(event(EventKind.CANCELLED, "x", error=RuntimeError("gone")))
    errors = tally.progress().errors
    assert [one.request_id for one in errors] == ["id4", "id5", "id6", "id7", "id8"]
    assert errors[-1].text == "request id8 failed on the server: out of disk"


class Run:
    """Requests that end one after another, while `at_once` are under way."""

    def __init__(self, total: int | None, at_once: int) -> None:
        self.clock = Clock()
        self.tally = Tally(total, clock=self.clock)
        self.at_once = at_once
        self.begun = self.ended = 0

    def go_on(self, number: int, *, every_s: float) -> Progress:
        """Let some more end."""
        for _ in range(number):
            while self.begun < self.ended + self.at_once:
                self.tally.hear(event(EventKind.SUBMITTED, str(self.begun)))
                self.begun += 1
            self.clock.now += every_s
            self.tally.hear(event(EventKind.DONE, str(self.ended)))
            self.ended += 1
        return self.tally.progress()


def test_the_time_that_is_left_is_not_known_before_the_first_ones_have_ended() -> None:
    """As many as are under way together: until then, nobody can tell waiting from working."""
    run = Run(1000, at_once=100)
    assert run.go_on(99, every_s=0.5).left_s is None
    assert run.go_on(101, every_s=0.5).left_s == pytest.approx(400, rel=0.05)


def test_the_time_that_is_left_follows_a_change_of_speed() -> None:
    """The mean over everything would promise for hours what was true in the first minute."""
    run = Run(4000, at_once=10)
    run.go_on(1000, every_s=0.1)
    assert run.go_on(500, every_s=2.0).left_s == pytest.approx(5000, rel=0.1)


def test_nobody_knows_what_is_left_of_an_unknown_number() -> None:
    """Nor, when nothing ends any more, of a known one."""
    assert Run(None, at_once=1).go_on(100, every_s=1).left_s is None
    run = Run(1000, at_once=1)
    assert run.go_on(20, every_s=1).left_s is not None
    run.clock.now += 100_000
    assert run.tally.progress().left_s is None


def test_a_number_may_become_known_later() -> None:
    """What is new in an archive is found out first."""
    tally = Tally()
    assert tally.progress().total is None
    tally.expect("file", 3)
    tally.hear(event(EventKind.DONE, service="file"))
    progress = tally.progress()
    assert (progress.total, progress.ended, [kind.total for kind in progress.kinds]) == (3, 1, [3])


def test_speeds_are_those_of_the_last_seconds() -> None:
    """A stalled run must be seen to stall."""
    run = Run(None, at_once=1)
    assert run.tally.progress().per_s is None
    assert run.go_on(60, every_s=0.25).per_s == pytest.approx(4, rel=0.1)
    run.clock.now += 30
    assert run.tally.progress().per_s is None


def test_ten_thousand_requests_take_little_memory() -> None:
    """Those that are over are numbers, but for some of the last."""
    tally = Tally()
    ids = [f"{number:036d}" for number in range(10_000)]
    tracemalloc.start()
    for request_id in ids:
        for kind, _ in STORY:
            tally.hear(event(kind, request_id))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 5_000_000
    assert counts(tally) == {"done": 10_000}
    assert len(tally.progress().rows) == 50
