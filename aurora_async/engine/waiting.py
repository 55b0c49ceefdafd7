"""Waiting for a request without a task: a fifth of a kilobyte each, where a task takes one and a half."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import anyio

from aurora_async.engine.core import Engine
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import EventKind
from aurora_async.engine.poller import Watch
from aurora_async.engine.protocol import Phase, RequestId, RequestStatus, Service
from aurora_async.errors import ClientClosed, RequestCancelled, RequestError, RequestFailed, ResultExpired

__all__ = ["Waiter", "Waiting", "failure_of"]

_FAILURES = {Phase.FAILED: RequestFailed, Phase.CANCELLED: RequestCancelled, Phase.EXPIRED: ResultExpired}


def failure_of(status: RequestStatus) -> RequestError | None:
    """Return what is to be raised for a request that ended without a result."""
    kind = _FAILURES.get(status.phase)
    return None if kind is None else kind(status.request_id, status.reason)


class Waiter(Protocol):
    """Who waits, be it for one request or for many."""

    @property
    def engine(self) -> Engine:
        """The client's."""

    def waited(self, one: Waiting, error: Exception | None, /) -> None:
        """Hear, in the event loop and once for each, that a result is ready, or which error `Request.wait` would raise.

        Of a result that is ready a handle may be told by `knows(one.status)`. When the client closes the request is
        called off, and the error is `ClientClosed`. Nothing may be raised here.
        """


class Waiting(Watch):
    """A request that was submitted just now, until its result is ready."""

    __slots__ = ("deadline", "index", "query", "status", "waiter")

    waiter: Waiter

    def __init__(self, service: Service[Any], request_id: RequestId, query: Any, deadline: Deadline) -> None:
        super().__init__(service, request_id, since=asyncio.get_running_loop().time())
        self.query = query
        self.deadline = deadline
        self.status: RequestStatus | None = None
        """What was last seen."""
        self.index = 0
        """Place among many, for whoever waits for them."""

    @property
    def until(self) -> float:
        return self.deadline.at

    def begin(self, waiter: Waiter) -> None:
        """Wait from now on."""
        self.waiter = waiter
        waiter.engine.poller.watch(self, likeness=self.service.likeness(self.query))

    def call_off(self) -> anyio.Event:
        """Wait no more, and cancel the request on the service; the event that is returned happens when that is done."""
        self.waiter.engine.poller.forget(self)
        self._tell(EventKind.CANCELLED, error=asyncio.CancelledError())
        return self.waiter.engine.canceller.start(self.service, self.request_id)

    # What the poller says ---------------------------------------------------------------------------------------------

    def saw(self, status: RequestStatus) -> None:
        before, self.status = self.status, status
        self.waiter.engine.saw(self.service, self.request_id, self.query, before, status)

    def over(self, status: RequestStatus) -> None:
        error = failure_of(status)
        if error is None:
            self._tell(EventKind.READY, status=status)
        else:
            self._tell(EventKind.ended_by(error), status=status, error=error)
        self.waiter.waited(self, error)

    def failed(self, error: Exception) -> None:
        if isinstance(error, ClientClosed):
            self.waiter.engine.canceller.start(self.service, self.request_id)
        self._tell(EventKind.ended_by(error), error=error)
        self.waiter.waited(self, error)

    def expired(self) -> None:
        self.failed(self.deadline.exceeded("waiting for the result", self.request_id))

    def _tell(self, kind: EventKind, **facts: Any) -> None:
        self.waiter.engine.emit(kind, self.service, self.request_id, query=self.query, **facts)
