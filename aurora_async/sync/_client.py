"""What the blocking clients of all services have in common: being opened, closed, forgotten, and left to the end."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

from aurora_async.errors import ClientClosed
from aurora_async.sync._loop import BlockingLoop, the_loop

__all__ = ["BlockingClient"]

ClientT = TypeVar("ClientT", bound=AbstractAsyncContextManager[Any])


class BlockingClient(Generic[ClientT]):
    """An asynchronous client, held open in the loop from the first call on until it is closed or forgotten."""

    def __init__(self, asynchronous: ClientT) -> None:
        self._asynchronous = asynchronous
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<blocking {repr(self._asynchronous)[1:]}"

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it: what waits is cancelled, here and on the service. Nothing can be asked after this."""
        with self._lock:
            self._is_closed = True
            held, self._held = self._held, None
        if held is not None:
            held.loop.run(held.close)

    def __del__(self) -> None:
        held: _Held | None = getattr(self, "_held", None)
        if held is not None:
            held.let_go()

    @property
    def _loop(self) -> BlockingLoop:
        """The loop in which it is open now."""
        return (self._held or self._open()).loop

    def _service(self, name: str) -> Any:
        """Return a part of the asynchronous client, which has parts only while it is open."""
        if self._held is None:
            self._open()
        return getattr(self._asynchronous, name)

    def _open(self) -> _Held:
        loop = the_loop()
        loop.check()  # before the lock, whose owner may be waiting for the loop
        with self._lock:
            if self._is_closed:
                raise ClientClosed
            if self._held is None:
                held = _Held(loop, self._asynchronous)
                loop.run(held.open)
                self._held = held
                _opened.add(self)
            return self._held


class _Held:
    """Holds an asynchronous client open, in one task from its opening to its closing."""

    def __init__(self, loop: BlockingLoop, client: AbstractAsyncContextManager[Any]) -> None:
        self.loop = loop
        self._client = client
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Return when it is open."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(opened), name="hold a client open")
        # A client that is collected together with what it refers to must leave its task alive.
        _tasks.add(self._task)
        self._task.add_done_callback(_tasks.discard)
        try:
            await opened
        except asyncio.CancelledError:
            self._over.set()
            raise

    async def _hold(self, opened: asyncio.Future[None]) -> None:
        try:
            async with self._client:
                if not opened.done():
                    opened.set_result(None)
                await self._over.wait()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def close(self) -> None:
        """End it, and wait for that; when that is interrupted, it goes on without us."""
        assert self._task is not None
        self._over.set()
        await asyncio.wait((self._task,))
        self._task.result()

    def let_go(self) -> None:
        """End it, without waiting: for whoever is collected."""
        self.loop.call_soon(self._over.set)


_opened: WeakSet[BlockingClient[Any]] = WeakSet()
_tasks: set[asyncio.Task[None]] = set()


@atexit.register  # runs before the loop's own, which was registered before
def _close_all() -> None:
    for client in list(_opened):
        held = client._held
        if held is not None and not held.loop.in_a_hurry:
            with contextlib.suppress(Exception):
                client.close()
