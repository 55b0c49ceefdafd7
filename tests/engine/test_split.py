"""Cutting time ranges, and working on the pieces in order."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.engine.split import MOST_PIECES, in_order, seams
from aurora_async.errors import InvalidInput, ServerError

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9990, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@given(
    start=moments.map(lambda at: at.replace(microsecond=0)),
    length=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=800)),
    pieces=st.floats(min_value=0.1, max_value=200),
)
def test_pieces_are_no_longer_than_the_window_and_cover_the_range(
    start: datetime, length: timedelta, pieces: float
) -> None:
    """The service refuses a piece that is a second too long, and a seam in the wrong place loses or doubles data."""
    window = max(MINUTE, length / pieces)
    end = start + length
    found = [start, *seams(start, end, window), end]
    assert found == sorted(found)
    assert len(set(found[:-1])) == len(found) - 1
    assert all(later - earlier <= window for earlier, later in pairwise(found))
    # Less than a unit is given away each time, so there are at most twice as many pieces as there must be, and one.
    assert len(found) - 1 <= 2 * (length / window) + 1
    assert all(seam.second == seam.microsecond == 0 for seam in found[1:-1])


@pytest.mark.parametrize(
    ("start", "end", "window", "expected"),
    [
        ("2019-01-01", "2020-01-01", timedelta(days=31), [f"2019-{month:02d}-01" for month in range(2, 13)]),
        ("2020-01-15", "2020-03-20", timedelta(days=40), ["2020-02-01", "2020-03-01"]),
        ("2020-01-01", "2020-01-04", DAY, ["2020-01-02", "2020-01-03"]),
        ("2020-01-01T06:30", "2020-01-03", DAY, ["2020-01-02"]),
        ("2020-01-01T00:20", "2020-01-01T03:00", timedelta(minutes=90), ["2020-01-01T01:00", "2020-01-01T02:00"]),
        ("2018-05-01", "2020-05-01", timedelta(days=366), ["2019-01-01", "2020-01-01"]),
        ("2020-01-01", "2020-01-01T00:02:30", MINUTE, ["2020-01-01T00:01", "2020-01-01T00:02"]),
        ("2020-01-01", "2020-01-02", DAY, []),
    ],
)
def test_seams_are_as_round_as_the_window_is_long(start: str, end: str, window: timedelta, expected: list[str]) -> None:
    """Whole days and months are what people and the service's own files count in."""
    assert seams(day(start), day(end), window) == [day(text) for text in expected]


@pytest.mark.parametrize("window", [timedelta(seconds=59), timedelta(0), -DAY, 3600, "1d", None])
def test_a_window_that_cuts_nothing_is_refused(window: Any) -> None:
    """A window of nothing would never come to an end."""
    with pytest.raises(InvalidInput, match="window"):
        seams(day("2020-01-01"), day("2020-01-02"), window)


def test_more_pieces_than_anybody_can_want_are_refused() -> None:
    """A century by the minute is a typing mistake that would fill the memory first."""
    with pytest.raises(InvalidInput, match=f"{MOST_PIECES:,} pieces"):
        seams(day("1920-01-01"), day("2020-01-01"), MINUTE)


def starting(tasks: anyio.abc.TaskGroup) -> Callable[[Callable[[], Coroutine[Any, Any, None]], str], None]:
    """What a client gives: a way into its task group."""

    def start(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        tasks.start_soon(work, name=name)

    return start


class Bench:
    """Work whose end the test decides."""

    def __init__(self, count: int) -> None:
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.may_end = [anyio.Event() for _ in range(count)]
        self.fails: set[int] = set()
        self.news = anyio.Event()

    async def work(self, item: int) -> str:
        self.begun.append(item)
        self.news.set()
        try:
            await self.may_end[item].wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(item)
            raise
        if item in self.fails:
            raise ServerError("GET", "http://service", 500, "broken")
        return f"result {item}"

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(5):
            while not holds():
                self.news = anyio.Event()
                await self.news.wait()


async def test_results_come_in_the_items_order_and_a_bounded_number_waits() -> None:
    """The last window may be ready first; its turn is still last, and not all may pile up until then."""
    bench = Bench(6)
    taken: list[tuple[int, str]] = []
    async with anyio.create_task_group() as tasks:
        results = in_order(
            range(6), bench.work, at_once=3, start=starting(tasks),
            waiting=nullcontext,
        )  # fmt: skip
        async with aclosing(results):
            for item in (5, 4, 3, 2, 1):
                bench.may_end[item].set()
            async with anyio.create_task_group() as reading:

                async def read() -> None:
                    async for pair in results:
                        taken.append(pair)

                reading.start_soon(read)
                await bench.until(lambda: len(bench.begun) == 3)
                await anyio.wait_all_tasks_blocked()
                assert (bench.begun, taken) == ([0, 1, 2], [])
                bench.may_end[0].set()
    assert taken == [(item, f"result {item}") for item in range(6)]


async def test_the_first_failure_is_raised_and_ends_the_others() -> None:
    """One window that fails makes the whole useless: what is under way for it must not go on."""
    bench = Bench(3)
    bench.fails.add(2)
    bench.may_end[2].set()
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ServerError):
            async for _ in in_order(
                range(3), bench.work, at_once=3, start=starting(tasks),
                waiting=nullcontext,
            ):  # fmt: skip
                pytest.fail("nothing is ready")
    assert sorted(bench.cancelled) == [0, 1]


async def test_an_iterator_that_is_left_early_ends_what_is_under_way() -> None:
    """Whoever has seen enough leaves no work behind."""
    bench = Bench(3)
    bench.may_end[0].set()
    async with anyio.create_task_group() as tasks:
        results = in_order(
            range(3), bench.work, at_once=3, start=starting(tasks),
            waiting=nullcontext,
        )  # fmt: skip
        async with aclosing(results):
            async for _ in results:
                break
            await bench.until(lambda: len(bench.begun) == 3)
    assert sorted(bench.cancelled) == [1, 2]
