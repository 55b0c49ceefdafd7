"""One event loop in a thread of its own, on which everything blocking runs.

It starts with the first call and serves all clients of the process, from whichever threads they are used. It ends with
the interpreter, after the clients that are still open have been closed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import aclosing
from contextvars import copy_context
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

__all__ = ["BlockingLoop", "ClosableIterator", "the_loop"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# More records than this are not handed over in one piece, and no more pieces than this wait for their reader.
_MOST_IN_PIECE = 1024
_MOST_PIECES = 2
_STOP_S = 5.0
_MOST_HEARD = 32


class BlockingLoop:
    """An event loop in a daemon thread. Its methods block, and belong to other threads than its own."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._calls: deque[_Call[Any]] = deque()
        self._called = _new_signal()
        self._under_way: set[_Call[Any]] = set()
        """They must not be collected before they have ended: a stream that is collected with them waits for that."""
        self._heard: deque[_Bell] = deque(maxlen=_MOST_HEARD)
        """Bells that can be waited for once more."""
        # The threads this one starts are daemons, too: none of them keeps the interpreter from its end.
        self._thread = threading.Thread(target=self._serve, name="aurora_async.sync", daemon=True)
        self._thread.start()
        self.in_a_hurry = False
        """Whether the end of the interpreter waits for nothing."""

    def _serve(self) -> None:
        if isinstance(self._called, _Bell):
            self._loop.add_reader(self._called.fd, self._answer)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # ends, at its own end, what still runs
            runner.run(self._over.wait())

    def _answer(self) -> None:
        self._called.wait()
        self._start_calls()

    def _start_calls(self) -> None:
        while self._calls:
            self._calls.popleft().start()

    def _begin(self, call: _Call[Any]) -> None:
        self._under_way.add(call)
        self._calls.append(call)
        if isinstance(self._called, _Bell) and not self._loop.is_closed():
            self._called.ring()
        else:
            self._loop.call_soon_threadsafe(self._start_calls)

    def check(self) -> None:
        """Raise where waiting would have no end: in a forked child, and in the loop's own thread."""
        if os.getpid() != self._pid:
            raise RuntimeError("this client was opened before the process forked; make a new one in each process")
        if self._is_here:
            raise RuntimeError(
                "a blocking call from a callback would wait for itself; make it in another thread, or use the client "
                "of aurora_async"
            )

    def run(self, verb: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a coroutine function in the loop, and return what it returns.

        An interrupt (Ctrl-C) cancels it, and is raised when it has ended; a second one does not wait for that.
        """
        self.check()
        self.in_a_hurry = False
        call = _Call(verb(*args, **kwargs), self._heard, self._under_way)
        try:
            self._begin(call)
            call.wait()
        except BaseException:
            self._give_up(call)
            raise
        return call.result()

    def stream(self, source: ClosableIterator[T]) -> Generator[T, None, None]:
        """Yield what `source` gives, as it arrives. One task of the loop reads it, whatever the reader does."""
        self.check()
        pipe = _Pipe(source)
        call = _Call(pipe.pump(), self._heard, self._under_way)
        try:
            self._begin(call)
            while (piece := pipe.next()) is not None:
                self.call_soon(pipe.took)
                yield from piece
            call.wait()
        except BaseException:
            self._give_up(call)
            raise
        call.result()

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call a function in the loop's thread; does not wait for it."""
        # A child shares the pipe that wakes its parent's loop. A closed loop means that the interpreter ends.
        if os.getpid() == self._pid:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def stop(self) -> None:
        """End the thread."""
        self.call_soon(self._over.set)
        self._thread.join(0 if self.in_a_hurry else _STOP_S)

    @property
    def _is_here(self) -> bool:
        return threading.get_ident() == self._thread.ident

    def _give_up(self, call: _Call[Any]) -> None:
        """Cancel a call and wait until it has ended. Whoever interrupts that, too, wants no more waiting at all."""
        self.call_soon(call.cancel)
        # A generator may be collected anywhere, also where its call does not end while it is waited for.
        if self._is_here or self._loop.is_closed() or os.getpid() != self._pid:
            return
        try:
            call.wait()
        except BaseException:
            self.in_a_hurry = True
            raise


class _Bell:
    """What one thread waits for and another rings, through the kernel.

    A thread that waits for a lock wakes while the other still has the interpreter, and waits for that once more. Who
    rings this lets go of the interpreter: there and back are 35 µs instead of 78.
    """

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd = os.eventfd(0)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "fd"):
            close(self.fd)

    def ring(self) -> None:
        os.eventfd_write(self.fd, 1)

    def wait(self) -> None:
        """Block until it is rung, or has been; an interrupt gets through."""
        os.eventfd_read(self.fd)


class _Lock:
    """The same where the kernel has no such thing."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        self._lock.release()

    def wait(self) -> None:
        # On Windows, an interrupt gets through only between two tries.
        self._lock.acquire(timeout=0.1 if sys.platform == "win32" else -1)


def _new_signal() -> _Bell | _Lock:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # too many files are open
            return _Bell()
    return _Lock()


class _Call(Generic[T]):
    """A coroutine in the loop, and the thread that waits for it."""

    __slots__ = ("_context", "_ended", "_has_ended", "_heard", "_task", "_under_way", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], heard: deque[_Bell], under_way: set[_Call[Any]]) -> None:
        self._work = work
        self._context = copy_context()
        self._task: asyncio.Task[T] | None = None
        self._heard = heard
        self._under_way = under_way
        try:
            self._ended: _Bell | _Lock = heard.pop()
        except IndexError:
            self._ended = _new_signal()
        self._has_ended = False

    # In the loop.

    def start(self) -> None:
        if self._has_ended:  # interrupted before
            return
        self._task = asyncio.get_running_loop().create_task(self._work, context=self._context)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:  # interrupted before it was started
            self._work.close()
            self._end(None)

    def _end(self, task: asyncio.Task[T] | None) -> None:
        if task is not None and not task.cancelled():
            task.exception()  # has been looked at, lest the loop complain when an interrupted thread does not
        self._has_ended = True
        self._ended.ring()
        self._under_way.discard(self)

    # In the thread.

    def wait(self) -> None:
        """Block until it has ended; an interrupt gets through, and one may then wait again."""
        while not self._has_ended:
            self._ended.wait()
            if self._has_ended and isinstance(self._ended, _Bell):
                self._heard.append(self._ended)

    def result(self) -> T:
        task, self._task = self._task, None
        assert task is not None
        try:
            return task.result()
        except asyncio.CancelledError:
            raise RuntimeError("the loop of the blocking clients has been stopped") from None
        finally:
            del task  # an error holds this frame, and must not hold itself


class ClosableIterator(Protocol[T_co]):
    """An asynchronous generator, or what can be read and closed like one."""

    def __aiter__(self) -> AsyncIterator[T_co]: ...

    async def aclose(self) -> None: ...


class _Pipe(Generic[T]):
    """What an asynchronous iterable gives, on its way to a thread: in pieces, and only so many ahead of the reader.

    What comes without waiting is one piece: the task that reads does not yield to the loop in between.
    """

    def __init__(self, source: ClosableIterator[T]) -> None:
        self._source = source
        self._pieces: queue.SimpleQueue[list[T] | None] = queue.SimpleQueue()
        self._gathered: list[T] = []
        self._ahead = 0
        self._room = asyncio.Event()

    # In the loop.

    async def pump(self) -> None:
        """Read the source to its end."""
        loop = asyncio.get_running_loop()
        try:
            async with aclosing(self._source) as source:
                async for item in source:
                    if not self._gathered:
                        loop.call_soon(self._hand_over)
                    self._gathered.append(item)
                    if len(self._gathered) >= _MOST_IN_PIECE:
                        self._hand_over()
                    while self._ahead >= _MOST_PIECES:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._hand_over()
            self._pieces.put(None)

    def _hand_over(self) -> None:
        if self._gathered:
            self._ahead += 1
            self._pieces.put(self._gathered)
            self._gathered = []

    def took(self) -> None:
        """Note that the reader took a piece."""
        self._ahead -= 1
        self._room.set()

    # In the thread.

    def next(self) -> list[T] | None:
        """Block until there is a piece; None at the end."""
        if sys.platform != "win32":
            return self._pieces.get()
        while True:
            with contextlib.suppress(queue.Empty):
                return self._pieces.get(timeout=0.1)


_lock = threading.Lock()
_current: BlockingLoop | None = None


def the_loop() -> BlockingLoop:
    """Return the loop of this process, started if need be."""
    global _current
    with _lock:
        if _current is None:
            _current = BlockingLoop()
        return _current


@atexit.register
def _stop() -> None:
    if _current is not None:
        _current.stop()


def _forget() -> None:
    # A child has none of its parent's threads, and its lock may have been held by one of them.
    global _lock, _current
    _lock, _current = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
