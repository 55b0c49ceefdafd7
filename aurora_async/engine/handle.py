"""A request in hand: what has been asked of a service, and everything one can do with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import anyio.abc

from aurora_async.config import Config
from aurora_async.engine.collect import RecordKind, Result, file_in
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import Event, EventKind, Events
from aurora_async.engine.poller import Poller, is_transient
from aurora_async.engine.protocol import Named, Phase, RequestId, RequestStatus, Service
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    Conflict,
    ConnectionLost,
    MaintenanceMode,
    NotFound,
    ReadTimeout,
    RequestCancelled,
    RequestError,
    RequestFailed,
    ResultExpired,
    ServerError,
)
from aurora_async.http import Session
from aurora_async.transfer import Form, Saved, ensure_writable

__all__ = ["Engine", "Request"]

logger = logging.getLogger(__name__)

RecordT = TypeVar("RecordT")


class Engine:
    """What all requests of one client share. The session and the task group are borrowed from the client."""

    def __init__(self, config: Config, session: Session, tasks: anyio.abc.TaskGroup) -> None:
        self.config = config
        self.session = session
        self.tasks = tasks
        self.events = Events()
        self.poller = Poller(tasks, config.polling, at_once=config.limits.control_connections)

    def close(self) -> None:
        """End what waits; the client's task group ends the rest."""
        self.poller.close()

    async def submit(self, service: Service[Any], query: Any, deadline: Deadline) -> RequestId:
        """Submit `query` exactly once, also when answers get lost, and return the identifier the service uses.

        The identifier is chosen here, so after a lost answer the service is asked whether it knows it: submitting
        again is only done when it does not. Cancelled in the middle, the request is cancelled on the service too.
        """
        request_id = service.new_request_id()
        submission = _Submission(self, service, query, request_id, deadline)
        self.tasks.start_soon(submission.run, name=f"submit {request_id}")
        try:
            await submission.ended.wait()
        except BaseException:
            # The POST may be on its way: only after it has ended does a cancellation reach what it started.
            with anyio.move_on_after(self.config.timeouts.cancel_s, shield=True):
                await submission.ended.wait()
            submission.scope.cancel()
            if submission.may_exist and submission.request_id is not None:
                await self.abandon(service, submission.request_id)
            raise
        try:
            accepted = submission.result()
        except AuroraError as error:
            self.emit(EventKind.FAILED, service, request_id or "", query=query, error=error)
            raise
        self.emit(EventKind.SUBMITTED, service, accepted, query=query)
        return accepted

    async def abandon(self, service: Service[Any], request_id: RequestId) -> None:
        """Cancel a request on the service while being cancelled here: shielded, but not for ever."""
        cancel_s = self.config.timeouts.cancel_s
        with anyio.move_on_after(cancel_s, shield=True) as scope:
            try:
                await service.cancel(request_id)
            except AuroraError as error:
                logger.warning("request %s could not be cancelled and goes on on the server: %s", request_id, error)
        if scope.cancelled_caught:
            logger.warning("request %s: no answer to its cancellation within %g s", request_id, cancel_s)

    def emit(self, kind: EventKind, service: Named, request_id: RequestId, **facts: Any) -> None:
        """Tell listeners, when there are any."""
        if self.events.heard:
            self.events.emit(Event(kind=kind, service=service.name, request_id=request_id, **facts))


class _Submission:
    """One submission, in a task of its own so that a cancelled caller can still learn how it ended."""

    def __init__(
        self, engine: Engine, service: Service[Any], query: Any, request_id: RequestId | None, deadline: Deadline
    ) -> None:
        self._engine = engine
        self._service = service
        self._query = query
        self._deadline = deadline
        self._error: AuroraError | None = None
        self._accepted = False
        self.request_id = request_id
        self.may_exist = False
        """True once the service may have accepted it."""
        self.scope = anyio.CancelScope(deadline=deadline.at)
        self.ended = anyio.Event()

    def result(self) -> RequestId:
        """Return the identifier the service uses, or raise why there is none."""
        if self._error is not None:
            raise self._error
        if self._accepted and self.request_id is not None:
            return self.request_id
        if self._deadline.has_passed:
            raise self._deadline.exceeded("submitting the query", self.request_id if self.may_exist else None)
        raise ClientClosed  # under the submission

    async def run(self) -> None:
        """Submit, and keep what came of it; never raises what the caller has to hear."""
        try:
            with self.scope:
                self.request_id = await self._submit()
                self._accepted = self.may_exist = True
        except AuroraError as error:
            self._error = error
        finally:
            self.ended.set()

    async def _submit(self) -> RequestId:
        retries = self._engine.config.retries
        wait_s = retries.first_s
        attempt = 1
        while True:
            self.may_exist = True
            try:
                return await self._service.submit(self._query, self.request_id)
            except (ConnectionLost, ReadTimeout, ServerError, Conflict) as error:
                known = await self._known_as(error)
                if known is not None:
                    return known
                if self.request_id is None or isinstance(error, Conflict | MaintenanceMode):
                    raise
                if attempt == retries.attempts:
                    raise
            except AuroraError:
                self.may_exist = False  # refused, or never sent
                raise
            await anyio.sleep(wait_s)
            wait_s = min(wait_s * retries.factor, retries.ceiling_s)
            attempt += 1

    async def _known_as(self, cause: AuroraError) -> RequestId | None:
        """Ask whether a submission whose answer was lost did arrive."""
        if self.request_id is None:
            return None
        logger.info("request %s: asking whether it arrived, because %s", self.request_id, cause)
        try:
            return (await self._service.refresh(self.request_id)).request_id
        except NotFound:
            self.may_exist = False
            return None
        except AuroraError as error:
            if is_transient(error):
                return None  # submitting again under the same identifier cannot run it twice
            raise


class Request(Generic[RecordT]):
    """One request: `wait()`, then `stream()`, `records()` or `download()`; each of them waits by itself too.

    Cancelling the task while it waits here cancels the request on the service as well, until `detach()` is called. A
    deadline does not, and what is finished is left as it is.
    """

    def __init__(
        self,
        engine: Engine,
        service: Service[Any],
        request_id: RequestId,
        kind: RecordKind[RecordT],
        *,
        query: Any = None,
        attached: bool = True,
    ) -> None:
        """Made by a search service's `submit` and `resume`."""
        self._engine = engine
        self._service = service
        self._kind = kind
        self._since = asyncio.get_running_loop().time()
        self._attached = attached
        self.request_id = request_id
        self.query = query
        self.status: RequestStatus | None = None
        """What was last seen; reading it asks nobody."""

    def __repr__(self) -> str:
        phase = "not looked at yet" if self.status is None else self.status.phase.value
        return f"<Request {self._service.name} {self.request_id}: {phase}>"

    def detach(self) -> RequestId:
        """Let the request outlive this task and process; the returned identifier is what `resume` takes, anywhere."""
        self._attached = False
        return self.request_id

    async def refresh(self) -> RequestStatus:
        """Ask the service for the status, once."""
        status = await self._service.refresh(self.request_id)
        self._saw(status)
        return status

    async def cancel(self) -> None:
        """Ask the service to give up on the request; one that is over is left as it is."""
        await self._service.cancel(self.request_id)

    async def wait(self, *, deadline_s: float | None = None) -> RequestStatus:
        """Wait until the result is ready.

        Raises:
            RequestFailed: The service gave up on it; `reason` is its last log line.
            RequestCancelled: Somebody cancelled it.
            ResultExpired: It was done, and the service has deleted the result since.
            DeadlineExceeded: It lives on, and can be waited for again.
        """
        return await self._ready(Deadline(deadline_s))

    async def stream(self, *, deadline_s: float | None = None) -> AsyncGenerator[RecordT, None]:
        """Yield the records as they arrive, in the service's order and in constant memory; waits first."""
        async with aclosing(self.blocks(Deadline(deadline_s))) as blocks:
            async for block in blocks:
                for record in block:
                    yield record

    async def records(self, *, deadline_s: float | None = None) -> list[RecordT]:
        """Wait, then return all records in the service's order. A transfer that is cut is made again."""
        return await self.collect(Deadline(deadline_s))

    async def download(
        self, target: Path | str, *, form: Form = "json", overwrite: bool = True, deadline_s: float | None = None
    ) -> Saved:
        """Wait, then stream the result to a file that is whole or not there. A transfer that is cut is made again.

        Args:
            target: The file, or an existing folder, in which it is called `<request_id>_data.json` (or `.jsonl`).
            form: `json`, a list sorted by time as `aurorax-cli` writes it; `jsonl`, one record a line in the
                service's order; `body`, the service's bytes unchanged.
            overwrite: Whether a file of that name is replaced.
            deadline_s: Seconds for waiting and transferring together.

        Raises:
            TargetNotWritable: Before anything is sent.
            IncompleteBody, WrongContent: The body was cut, or holds another number of records than the status said.
        """
        deadline = Deadline(deadline_s)
        path = file_in(target, f"{self.request_id}_data", form)
        await ensure_writable(path, overwrite=overwrite)
        return await self.save(path, form, overwrite, deadline)

    # The same inside a deadline that has begun before.

    async def blocks(self, deadline: Deadline) -> AsyncGenerator[list[RecordT], None]:
        """Yield the records in lists, as they come out of the body: the fastest way to read many."""
        result = await self._result(deadline)
        async with aclosing(result.blocks(deadline)) as blocks:
            async for block in blocks:
                yield block

    async def collect(self, deadline: Deadline) -> list[RecordT]:
        """Return all records."""
        return await (await self._result(deadline)).collect(deadline)

    async def save(self, path: Path, form: Form, overwrite: bool, deadline: Deadline) -> Saved:
        """Stream the result to the file `path`."""
        return await (await self._result(deadline)).save(path, form, overwrite, deadline)

    async def _result(self, deadline: Deadline) -> Result[RecordT]:
        status = await self._ready(deadline)
        outputs = self._service.outputs(status)
        return Result(self._engine.session, outputs, self._kind, self._tell, request_id=self.request_id)

    async def _ready(self, deadline: Deadline) -> RequestStatus:
        """Wait for the end; cancelled meanwhile, the request is cancelled on the service unless detached."""
        if self.status is None or self.status.phase is not Phase.READY:
            try:
                with deadline.scope("waiting for the result", self.request_id):
                    await self._engine.poller.final_status(
                        self._service,
                        self.request_id,
                        likeness=self._service.likeness(self.query),
                        since=self._since,
                        on_status=self._saw,
                    )
            except AuroraError as error:
                self._tell(EventKind.FAILED, error=error)
                raise
            except BaseException as error:
                if self._attached:
                    await self._engine.abandon(self._service, self.request_id)
                self._tell(EventKind.FAILED, error=error)
                raise
        assert self.status is not None
        failure = _failure(self.status)
        if failure is not None:
            self._tell(EventKind.FAILED, status=self.status, error=failure)
            raise failure
        self._tell(EventKind.READY, status=self.status)
        return self.status

    def _saw(self, status: RequestStatus) -> None:
        before = None if self.status is None else self.status.phase
        self.status = status
        self._tell(EventKind.POLLED, status=status)
        if status.phase is Phase.RUNNING and before is not Phase.RUNNING:
            self._tell(EventKind.RUNNING, status=status)

    def _tell(self, kind: EventKind, **facts: Any) -> None:
        self._engine.emit(kind, self._service, self.request_id, query=self.query, **facts)


def _failure(status: RequestStatus) -> RequestError | None:
    """Return what is to be raised for a request that ended without a result."""
    errors = {Phase.FAILED: RequestFailed, Phase.CANCELLED: RequestCancelled, Phase.EXPIRED: ResultExpired}
    kind = errors.get(status.phase)
    return None if kind is None else kind(status.request_id, status.reason)
