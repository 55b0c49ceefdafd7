"""What happens to requests, told to whoever listens: progress displays, logs, tests."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from aurora_async.engine.protocol import RequestId, RequestStatus
from aurora_async.errors import RequestCancelled

__all__ = ["Event", "EventKind", "EventStream", "Events"]

logger = logging.getLogger(__name__)


class EventKind(enum.Enum):
    """What happened. SUBMITTED to READY come once each and in order, POLLED and BYTES any number of times.

    DONE ends every successful fetch of the result, FAILED every verb that did not succeed, and CANCELLED every one
    whose caller was cancelled, or whose request somebody has cancelled on the service. LEFT is told instead where the
    caller was cancelled and the request goes on, because it was detached or is somebody else's. A stream that its
    reader leaves early tells none of them.
    """

    SUBMITTED = "submitted"
    POLLED = "polled"
    RUNNING = "running"
    READY = "ready"
    BYTES = "bytes"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LEFT = "left"

    @classmethod
    def ended_by(cls, error: BaseException) -> EventKind:
        """Return what an error is told as: that of a caller who was cancelled is no failure."""
        gone = not isinstance(error, Exception) or isinstance(error, RequestCancelled)
        return cls.CANCELLED if gone else cls.FAILED


@attrs.frozen(kw_only=True)
class Event:
    """One thing that happened to one request; `bytes` counts what has arrived of its body so far."""

    kind: EventKind
    request_id: RequestId
    service: str
    label: str = ""
    """What people know the request by, where that is not its identifier."""
    query: object = None
    status: RequestStatus | None = None
    bytes: int = 0
    records: int | None = None
    path: Path | None = None
    """Of the file, when a result was saved (DONE)."""
    error: BaseException | None = None


class Events:
    """A client's bus: `subscribe` for a callback, `stream` for an async iterator. Listeners never slow the engine."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._streams: list[EventStream] = []

    @property
    def heard(self) -> bool:
        """True when somebody listens, so that events nobody hears need not be made."""
        return bool(self._listeners)

    @contextmanager
    def subscribe(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Call `listener` with every event, in the event loop's thread, until the block ends."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    @contextmanager
    def stream(self, *, keep: int = 10_000) -> Iterator[EventStream]:
        """Give an async iterator of events. A reader that falls behind by `keep` loses looks and byte counts first."""
        stream = EventStream(keep)
        self._streams.append(stream)
        try:
            with self.subscribe(stream.put):
                yield stream
        finally:
            self._streams.remove(stream)
            stream.close()

    def close(self) -> None:
        """End the streams; what waits in them can still be read."""
        for stream in self._streams:
            stream.close()

    def emit(self, event: Event) -> None:
        """Tell every listener; one that raises is reported to the log and does not harm the request."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                logger.exception("a listener failed on %s of request %s", event.kind.value, event.request_id)


_TRANSIENT = (EventKind.POLLED, EventKind.BYTES)


class EventStream:
    """Events in order; changes of state are never dropped, looks and byte counts are when `keep` are waiting."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Add an event."""
        if event.kind in _TRANSIENT and len(self._waiting) >= self._keep:
            return
        self._waiting.append(event)
        self._news.set()

    def close(self) -> None:
        """Let the reader come to an end."""
        self._closed = True
        self._news.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
