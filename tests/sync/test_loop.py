"""The way into the loop's thread and back, by the kernel's bell and by the lock that stands behind it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import pytest

from aurora_async.sync import _loop
from aurora_async.sync._loop import BlockingLoop

SAID: ContextVar[str] = ContextVar("SAID", default="nothing")


@pytest.fixture(params=["bell", "lock"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockingLoop]:
    """A loop of its own; ends with the test."""
    if request.param == "lock":
        monkeypatch.setattr(_loop, "_new_signal", _loop._Lock)
    elif sys.platform != "linux":
        pytest.skip("this system has no such bells")
    made = BlockingLoop()
    yield made
    made.stop()


async def answer(number: int) -> int:
    """Answer a little later, or not at all."""
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError(number)
    return number


def test_everybody_gets_his_own_answer(loop: BlockingLoop) -> None:
    """From many threads at once, errors among them; bells are used once more when they were heard."""
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: loop.run(answer, number), range(1000))) == list(range(1000))
    with pytest.raises(ValueError, match="-7"):
        loop.run(answer, -7)
    assert loop.run(answer, 7) == 7


def test_a_call_has_the_context_of_its_caller(loop: BlockingLoop) -> None:
    """What logging and tracing keep there belongs to the call, not to the thread it runs in."""

    async def said() -> str:
        return SAID.get()

    token = SAID.set("hello")
    assert loop.run(said) == "hello"
    SAID.reset(token)
    assert loop.run(said) == "nothing"


def test_an_interrupt_cancels_the_call_and_no_other(loop: BlockingLoop) -> None:
    """It is raised when the call has ended; the next one does not hear the bell of the one before."""
    begun, interrupted, cancelled = threading.Event(), threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.set()
            await asyncio.sleep(0.01)
            cancelled.set()

    def interrupt() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        # Between Python's last look for signals and the kernel's first, one may be overlooked until the next.
        while not interrupted.wait(2):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    for _ in range(5):
        for event in (begun, interrupted, cancelled):
            event.clear()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            loop.run(wait)
        assert cancelled.is_set()
        thread.join()
        assert [loop.run(answer, number) for number in range(20)] == list(range(20))


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the files of this process as Linux shows them")
def test_calls_leave_no_files_open(loop: BlockingLoop) -> None:
    """Every bell is a file of the process."""

    def files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    loop.run(answer, 1)
    before = files()
    for number in range(100):
        loop.run(answer, number)
    with ThreadPoolExecutor(50) as threads:
        list(threads.map(lambda number: loop.run(answer, number), range(500)))
    assert files() <= before + 50


def test_a_stream_in_a_circle_ends_well_when_it_is_collected(loop: BlockingLoop) -> None:
    """The collector ends what is in a circle in any order; what the stream waits for must not be ended before it."""
    closed: list[int] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            for number in range(100_000):
                yield number
                if number % 1000 == 0:
                    await asyncio.sleep(0)
        finally:
            closed.append(1)

    for _ in range(20):
        stream = loop.stream(numbers())
        assert next(stream) == 0
        circle: list[object] = [stream]
        circle.append(circle)
        del stream, circle
        gc.collect()
    assert len(closed) == 20
