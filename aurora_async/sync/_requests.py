"""What the blocking clients of all services have for requests: handles, runs and events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio.to_thread

from aurora_async.engine import Events as AsyncEvents
from aurora_async.engine import Outcome, RequestId, RequestStatus
from aurora_async.engine import Run as AsyncRun
from aurora_async.engine.handle import Handle as AsyncHandle
from aurora_async.errors import RunCancelled
from aurora_async.sync._client import BlockingClient
from aurora_async.sync._loop import BlockingLoop
from aurora_async.sync._verbs import blocking, here

__all__ = ["Events", "Handle", "Part", "Run", "read_aside"]

T = TypeVar("T")
QueryT = TypeVar("QueryT")


class Handle:
    """One request; see `aurora_async.engine.Handle`. Ctrl-C while it is waited for cancels it on the service, too."""

    def __init__(self, client: BlockingClient[Any], asynchronous: Any) -> None:
        """Made by the verbs of a client."""
        self._client = client  # which stays open while anybody has a request of it
        self._asynchronous = asynchronous

    @property
    def _loop(self) -> BlockingLoop:
        return self._client._loop

    def __repr__(self) -> str:
        return repr(self._asynchronous)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a request belongs to its client: pass on its request_id, and resume that where it is needed")

    @property
    def request_id(self) -> RequestId:
        """Its identifier."""
        found: RequestId = self._asynchronous.request_id
        return found

    @property
    def query(self) -> Any:
        """What it asks, None when it was submitted elsewhere."""
        return self._asynchronous.query

    @property
    def status(self) -> RequestStatus | None:
        """What was last seen; reading it asks nobody."""
        seen: RequestStatus | None = self._asynchronous.status
        return seen

    detach = here(AsyncHandle.detach)
    refresh = blocking(AsyncHandle.refresh)
    cancel = blocking(AsyncHandle.cancel)
    wait = blocking(AsyncHandle.wait)


class Part:
    """A part of a client, which has it only while it is open."""

    def __init__(self, client: BlockingClient[Any], name: str) -> None:
        """Made by the client."""
        self._client = client
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name} of {self._client!r}>"

    @property
    def _loop(self) -> BlockingLoop:
        return self._client._loop

    @property
    def _asynchronous(self) -> Any:
        return self._client._service(self._name)


class Events(Part):
    """What happens to the client's requests; see `aurora_async.engine.Events`. Listeners must not make blocking calls.

    Whoever wants to read events in turn gives `queue.SimpleQueue().put` as the listener.
    """

    subscribe = here(AsyncEvents.subscribe)


class Run(Generic[QueryT]):
    """`for outcome in run`; see `aurora_async.Run`. What is under way when it is closed is cancelled."""

    def __init__(self, client: BlockingClient[Any], asynchronous: AsyncRun[QueryT]) -> None:
        """Made by a client's `run`."""
        self._client = client  # which stays open while anybody has a run of it
        self._outcomes = client._loop.stream(asynchronous)
        self._error: RunCancelled | None = None

    def __iter__(self) -> Iterator[Outcome[QueryT]]:
        return self

    def __next__(self) -> Outcome[QueryT]:
        if self._error is not None:
            raise self._error
        try:
            return next(self._outcomes)
        except KeyboardInterrupt:
            self._error = RunCancelled()  # should the rest be asked for all the same, it must not look complete
            raise

    def close(self) -> None:
        """Cancel what is still under way, here and on the service, and wait until it is."""
        self._outcomes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def _aside(items: Iterable[T], at_once: int) -> AsyncGenerator[T, None]:
    """Yield items that a worker's thread takes, so that neither the loop waits for them nor they for the loop."""
    iterator = iter(items)

    def take() -> list[T]:
        return list(islice(iterator, at_once))

    # An interrupt does not wait for the next item, which may never come.
    while taken := await anyio.to_thread.run_sync(take, abandon_on_cancel=True):
        for item in taken:
            yield item


def read_aside(items: Iterable[T], at_once: int) -> Iterable[T] | AsyncIterable[T]:
    """Return what gives the items in the loop; `at_once` are taken from them at a time, in a thread of their own."""
    # What is no iterable at all is refused further in.
    return items if isinstance(items, Sequence) or not isinstance(items, Iterable) else _aside(items, at_once)
