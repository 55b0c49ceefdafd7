"""What all requests of one client share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio.abc

from aurora_async.config import Config
from aurora_async.engine.cancel import Canceller, outlast
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import Event, EventKind, Events
from aurora_async.engine.poller import Poller
from aurora_async.engine.protocol import Labelled, Named, Phase, RequestId, RequestStatus, Service
from aurora_async.engine.room import Room
from aurora_async.engine.submission import Submission
from aurora_async.engine.workers import Workers
from aurora_async.errors import AuroraError, ClientClosed
from aurora_async.http import Session

__all__ = ["Engine"]


class Engine:
    """Submits, and ends what is under way when the client closes. Session and task groups are borrowed from the client.

    `tasks` ends with the client; `cleaning` ends after it, so that what is called off on the service can be waited for.
    """

    def __init__(
        self,
        config: Config,
        session: Session,
        tasks: anyio.abc.TaskGroup,
        cleaning: anyio.abc.TaskGroup,
    ) -> None:
        self.config = config
        self.session = session
        self.tasks = tasks
        self.events = Events()
        self.canceller = Canceller(cleaning, config.timeouts.cancel_s)
        # Some control connections stay free, so that looks which hang never keep a submission waiting.
        looks = max(1, config.limits.control_connections * 3 // 4)
        self.poller = Poller(tasks, config.polling, at_once=looks)
        # In tasks of the client's own, which shield themselves: neither the caller nor a scope around the client cuts a
        # submission in the middle.
        self._submitters = Workers(cleaning, Submission.run, "submit", outlives=True)
        self._submissions: set[Submission] = set()
        self._rooms: dict[str, Room] = {}
        self._waits: dict[object, Callable[[], object]] = {}
        self._closed = False

    async def submit(self, service: Service[Any], query: Any, deadline: Deadline) -> RequestId:
        """Submit `query` and return the identifier the service uses; cancelled, it is cancelled there too."""
        self.check_open()
        submission = Submission(service, query, deadline, self.session, self.canceller, self.room(service))
        chosen = submission.request_id
        self._submissions.add(submission)
        self._submitters.put(submission)
        try:
            await submission.ended.wait()
        except GeneratorExit:
            submission.leave()
            raise
        except BaseException as error:
            try:
                await outlast(submission.leave())
            finally:
                maybe = submission.request_id if submission.may_exist else None
                self.emit(EventKind.CANCELLED, service, maybe or "", query=query, error=error)
            raise
        finally:
            self._submissions.discard(submission)
        try:
            accepted = submission.result()
        except AuroraError as error:
            self.emit(EventKind.FAILED, service, chosen or "", query=query, error=error)
            raise
        self.emit(EventKind.SUBMITTED, service, accepted, query=query)
        return accepted

    def emit(self, kind: EventKind, service: Named, request_id: RequestId, **facts: Any) -> None:
        """Tell listeners, when there are any."""
        if self.events.heard:
            label = service.label(request_id) if isinstance(service, Labelled) else ""
            self.events.emit(Event(kind=kind, service=service.name, request_id=request_id, label=label, **facts))

    def saw(
        self, service: Named, request_id: RequestId, query: Any, before: RequestStatus | None, status: RequestStatus
    ) -> None:
        """Note what was seen of a request, and tell what is new."""
        phase_before = None if before is None else before.phase
        if status.phase.is_final and (phase_before is None or not phase_before.is_final):
            self.room(service).freed()
        if self.events.heard:
            self.emit(EventKind.POLLED, service, request_id, query=query, status=status)
            if status.phase is Phase.RUNNING and phase_before is not Phase.RUNNING:
                self.emit(EventKind.RUNNING, service, request_id, query=query, status=status)

    def room(self, service: Named) -> Room:
        """Return the room the service has for requests of this kind."""
        room = self._rooms.get(service.name)
        if room is None:
            room = self._rooms[service.name] = Room()
        return room

    def attach(self, key: object, call_off: Callable[[], object]) -> None:
        """Note that somebody waits for a request, which is called off when the client closes."""
        self._waits[key] = call_off

    def release(self, key: object) -> None:
        """Note that nobody waits for it any more."""
        self._waits.pop(key, None)

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Put work into the client's task group."""
        self.check_open()
        self.tasks.start_soon(work, name=name)

    def check_open(self) -> None:
        """Raise `ClientClosed` unless the client is open."""
        if self._closed:
            raise ClientClosed

    def close(self) -> None:
        """End what waits here, and begin to cancel it on the service."""
        self._closed = True
        for submission in self._submissions:
            submission.leave()
        for call_off in self._waits.values():
            call_off()
        self.poller.close()
        self.events.close()
