"""Getting one query accepted exactly once, whatever happens to answers, callers and clients on the way."""

from __future__ import annotations

import logging
from typing import Any

import anyio

from aurora_async.engine.cancel import Canceller
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.protocol import RequestId, Service
from aurora_async.engine.room import Room
from aurora_async.errors import (
    AtCapacity,
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

__all__ = ["Placement", "Submission"]

logger = logging.getLogger(__name__)


class Placement:
    """Getting one query accepted exactly once, under an identifier that is chosen before the POST.

    When an answer is lost the service is asked whether it knows the identifier, and the query is sent again only when
    it says no.
    """

    def __init__(
        self, service: Service[Any], query: Any, request_id: RequestId | None, session: Session, room: Room
    ) -> None:
        self.request_id = request_id
        self.may_exist = False
        """The service may have the request."""
        self.is_called_off = False
        """Set it, and nothing new is sent."""
        self._service = service
        self._query = query
        self._room = room
        self._config = session.config
        self._policy = session.retry_policy

    async def run(self, *, ask_first: bool = False) -> RequestId:
        """Submit, and return the identifier the service uses; `ask_first` when an earlier try may have arrived."""
        if ask_first and self.request_id is not None:
            self.may_exist = True
            known = await self._known_as(self.request_id)
            if known is not None:
                return known
            self.may_exist = False
        waits = self._policy.waits()
        left = self._config.retries.attempts
        while True:
            left -= 1
            try:
                return await self._room.enter(self._submit)
            except AuroraError as error:
                if _was_refused(error):
                    self.may_exist = False
                    raise
                if self.request_id is None:
                    raise
                logger.info("request %s: asking whether it arrived, because %s", self.request_id, error)
                known = await self._known_as(self.request_id)
                if known is not None:
                    return known
                self.may_exist = False
                if left <= 0 or self.is_called_off or isinstance(error, MalformedAnswer | Conflict):
                    raise
            await anyio.sleep(next(waits))

    async def _submit(self, is_our_turn: bool) -> RequestId:
        def sending() -> None:
            if self.is_called_off:
                raise ClientClosed  # whoever asked for it has left, and a cancellation is about to arrive here
            if self._room.is_full and not is_our_turn:
                raise AtCapacity("others were refused just now")
            self.may_exist = True

        try:
            return await self._service.submit(self._query, self.request_id, sending=sending)
        except AtCapacity:
            self.may_exist = False
            raise

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


class Submission:
    """One placement in a task of its own, which outlives the cancellation of its caller and of the client."""

    def __init__(
        self,
        service: Service[Any],
        query: Any,
        deadline: Deadline,
        session: Session,
        canceller: Canceller,
        room: Room,
    ) -> None:
        self._service = service
        self._deadline = deadline
        self._cancel_s = session.config.timeouts.cancel_s
        self._canceller = canceller
        self._placement = Placement(service, query, service.new_request_id(), session, room)
        self._error: Exception | None = None
        self._accepted = False
        self._scope = anyio.CancelScope(deadline=deadline.at, shield=True)
        self.ended = anyio.Event()
        """The caller has its answer, or is gone and everything is cleaned up."""

    @property
    def request_id(self) -> RequestId | None:
        """The identifier chosen, then the one the service uses."""
        return self._placement.request_id

    @property
    def may_exist(self) -> bool:
        """The service may have the request."""
        return self._placement.may_exist

    def result(self) -> RequestId:
        """Return the identifier the service uses, or raise why there is none."""
        if self._error is not None:
            raise self._error
        placement = self._placement
        if self._accepted and placement.request_id is not None and not placement.is_called_off:
            return placement.request_id
        maybe = placement.request_id if placement.may_exist else None
        if self._deadline.has_passed:
            error = self._deadline.exceeded("submitting the query", maybe)
            if placement.may_exist and maybe is None:
                error.add_note("it may have arrived all the same; the service has not told its identifier yet")
            raise error
        raise ClientClosed(maybe)

    def leave(self) -> anyio.Event:
        """Nobody waits any more: send nothing new, and cancel on the service what it may have accepted.

        The event that is returned happens when both are done.
        """
        self._placement.is_called_off = True
        if self.ended.is_set():
            if self._accepted and self.request_id is not None:
                return self._canceller.start(self._service, self.request_id)
        elif self._placement.may_exist:
            # The POST is on its way. Only after it has ended does a cancellation reach what it started.
            self._scope.deadline = min(self._scope.deadline, anyio.current_time() + self._cancel_s)
        else:
            self._scope.cancel()
        return self.ended

    async def run(self) -> None:
        """Submit, keep what came of it, and clean up when the caller has left meanwhile."""
        placement = self._placement
        try:
            with self._scope:
                placement.request_id = await placement.run()
                self._accepted = placement.may_exist = True
        except Exception as error:
            self._error = error
        finally:
            try:
                if placement.is_called_off and placement.may_exist and placement.request_id is not None:
                    cancelled = self._canceller.start(self._service, placement.request_id, sure=self._accepted)
                    with anyio.CancelScope(shield=True):
                        await cancelled.wait()
            finally:
                self.ended.set()


def _was_refused(error: AuroraError) -> bool:
    """True when the service certainly has no such request: it said so, or never got the query."""
    if isinstance(error, HttpError):
        return not isinstance(error, ServerError | Conflict)
    return isinstance(error, ConnectionFailed | ClientClosed | InvalidInput)
