"""Getting one query accepted exactly once, whatever happens to answers, callers and clients on the way."""

from __future__ import annotations

import logging
from typing import Any

import anyio

from aurora_async.engine.cancel import Canceller
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.protocol import RequestId, Service
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    Conflict,
    ConnectionFailed,
    HttpError,
    InvalidInput,
    MalformedAnswer,
    NotFound,
    ServerError,
)
from aurora_async.http import Session
from aurora_async.http.retry import may_pass

__all__ = ["Submission"]

logger = logging.getLogger(__name__)


class Submission:
    """One submission, in a task of its own that outlives the cancellation of its caller and of the client.

    The identifier is chosen before the POST. When an answer is lost the service is asked whether it knows it, and the
    query is sent again only when it says no.
    """

    def __init__(
        self, service: Service[Any], query: Any, deadline: Deadline, session: Session, canceller: Canceller
    ) -> None:
        self._service = service
        self._query = query
        self._deadline = deadline
        self._config = session.config
        self._policy = session.retry_policy
        self._canceller = canceller
        self._error: Exception | None = None
        self._accepted = False
        self._may_exist = False
        self._left = False
        self._scope = anyio.CancelScope(deadline=deadline.at, shield=True)
        self.request_id: RequestId | None = service.new_request_id()
        self.ended = anyio.Event()
        """The caller has its answer, or is gone and everything is cleaned up."""

    def result(self) -> RequestId:
        """Return the identifier the service uses, or raise why there is none."""
        if self._error is not None:
            raise self._error
        if self._accepted and self.request_id is not None and not self._left:
            return self.request_id
        if self._deadline.has_passed:
            raise self._deadline.exceeded("submitting the query", self.request_id if self._may_exist else None)
        raise ClientClosed(self.request_id if self._may_exist else None)

    def leave(self) -> anyio.Event:
        """Nobody waits any more: send nothing new, and cancel on the service what it may have accepted.

        The event that is returned happens when both are done.
        """
        self._left = True
        if self.ended.is_set():
            if self._accepted and self.request_id is not None:
                return self._canceller.start(self._service, self.request_id)
        elif self._may_exist:
            # The POST is on its way. Only after it has ended does a cancellation reach what it started.
            self._scope.deadline = min(self._scope.deadline, anyio.current_time() + self._config.timeouts.cancel_s)
        else:
            self._scope.cancel()
        return self.ended

    async def run(self) -> None:
        """Submit, keep what came of it, and clean up when the caller has left meanwhile."""
        try:
            with self._scope:
                self.request_id = await self._submit()
                self._accepted = self._may_exist = True
        except Exception as error:
            self._error = error
        finally:
            try:
                if self._left and self._may_exist and self.request_id is not None:
                    cancelled = self._canceller.start(self._service, self.request_id, sure=self._accepted)
                    with anyio.CancelScope(shield=True):
                        await cancelled.wait()
            finally:
                self.ended.set()

    def _sending(self) -> None:
        self._may_exist = True

    async def _submit(self) -> RequestId:
        waits = self._policy.waits()
        left = self._config.retries.attempts
        while True:
            left -= 1
            try:
                return await self._service.submit(self._query, self.request_id, sending=self._sending)
            except AuroraError as error:
                if _was_refused(error):
                    self._may_exist = False
                    raise
                if self.request_id is None:
                    raise
                logger.info("request %s: asking whether it arrived, because %s", self.request_id, error)
                known = await self._known_as(self.request_id)
                if known is not None:
                    return known
                self._may_exist = False
                if left <= 0 or self._left or isinstance(error, MalformedAnswer | Conflict):
                    raise
            await anyio.sleep(next(waits))

    async def _known_as(self, request_id: RequestId) -> RequestId | None:
        """Ask until the service says whether it knows the request; None when it does not.

        Raises:
            AuroraError: It did not say; the request may exist.
        """
        waits = self._policy.waits()
        left = self._config.retries.attempts
        while True:
            left -= 1
            try:
                return (await self._service.refresh(request_id)).request_id
            except NotFound:
                return None
            except AuroraError as error:
                if left <= 0 or not may_pass(error):
                    raise
            await anyio.sleep(next(waits))


def _was_refused(error: AuroraError) -> bool:
    """True when the service certainly has no such request: it said so, or never got the query."""
    if isinstance(error, HttpError):
        return not isinstance(error, ServerError | Conflict)
    return isinstance(error, ConnectionFailed | ClientClosed | InvalidInput)
