"""A request in hand: what has been asked of a service, and everything one can do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio

from aurora_async.engine.cancel import outlast
from aurora_async.engine.collect import RecordKind, Result, file_in
from aurora_async.engine.core import Engine
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import EventKind
from aurora_async.engine.protocol import Phase, RequestId, RequestStatus, Service
from aurora_async.engine.waiting import failure_of
from aurora_async.errors import AuroraError, InvalidInput, RequestCancelled
from aurora_async.transfer import Format, Saved, ensure_writable
from aurora_async.transfer.dataset import Appended, check_append
from aurora_async.transfer.tables import Records

__all__ = ["Handle", "Request"]

RecordT = TypeVar("RecordT")


class Handle:
    """One request, whatever its result is: looked at, waited for, let go and called off.

    Cancelling the task while it waits here cancels the request on the service as well, until `detach()` is called. A
    deadline does not, and what is finished is left as it is.
    """

    def __init__(
        self,
        engine: Engine,
        service: Service[Any],
        request_id: RequestId,
        *,
        query: Any = None,
        attached: bool = True,
    ) -> None:
        """Made by a service's `submit` and `resume`."""
        self._engine = engine
        self._service = service
        # One that was submitted elsewhere may be over already: it is looked at at once.
        self._since = asyncio.get_running_loop().time() if attached else None
        self._attached = attached
        self._waits = 0
        self._told_ready = False
        self.request_id = request_id
        self.query = query
        self.status: RequestStatus | None = None
        """What was last seen; reading it asks nobody."""

    def __repr__(self) -> str:
        phase = "not looked at yet" if self.status is None else self.status.phase.value
        return f"<{type(self).__name__} {self._service.name} {self.request_id}: {phase}>"

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
        """Ask the service to give up on the request; one that is over is left as it is, with its result."""
        if not (await self.refresh()).phase.is_final:
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

    def knows(self, status: RequestStatus) -> None:
        """Take over what another handle of this request has seen, and told of."""
        self.status = status
        self._told_ready = status.phase is Phase.READY

    async def _ready(self, deadline: Deadline) -> RequestStatus:
        """Wait for the end; cancelled meanwhile, the request is cancelled on the service unless detached."""
        if self.status is None or self.status.phase is not Phase.READY:
            await self._wait(deadline)
        assert self.status is not None
        failure = failure_of(self.status)
        if failure is not None:
            self._tell(EventKind.ended_by(failure), status=self.status, error=failure)
            raise failure
        if not self._told_ready:
            self._told_ready = True
            self._tell(EventKind.READY, status=self.status)
        return self.status

    async def _wait(self, deadline: Deadline) -> None:
        wait = object()
        self._waits += 1
        if self._attached:
            self._engine.attach(wait, self._call_off)
        try:
            with deadline.scope("waiting for the result", self.request_id):
                await self._engine.poller.final_status(
                    self._service,
                    self.request_id,
                    likeness=self.request_id if self.query is None else self._service.likeness(self.query),
                    since=self._since,
                    on_status=self._saw,
                )
        except (AuroraError, GeneratorExit) as error:
            self._tell(EventKind.ended_by(error), error=error)
            raise
        except BaseException as error:
            if self._attached and self._waits == 1:  # nobody else waits for it
                await outlast(self._call_off())
            self._tell(EventKind.ended_by(error), error=error)
            raise
        finally:
            self._waits -= 1
            self._engine.release(wait)

    def _call_off(self) -> anyio.Event:
        """Begin to cancel the request, which nobody waits for any more; the event happens when that is done."""
        return self._engine.canceller.start(self._service, self.request_id)

    def _saw(self, status: RequestStatus) -> None:
        before, self.status = self.status, status
        self._engine.saw(self._service, self.request_id, self.query, before, status)

    def _tell(self, kind: EventKind, **facts: Any) -> None:
        if kind is EventKind.CANCELLED and not self._attached and not isinstance(facts.get("error"), RequestCancelled):
            kind = EventKind.LEFT
        self._engine.emit(kind, self._service, self.request_id, query=self.query, **facts)


class Request(Handle, Generic[RecordT]):
    """One request with records: `wait()`, then `stream()`, `records()` or `download()`; each waits by itself too."""

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
        super().__init__(engine, service, request_id, query=query, attached=attached)
        self._kind = kind

    async def stream(self, *, deadline_s: float | None = None) -> AsyncGenerator[RecordT, None]:
        """Yield the records as they arrive, in the service's order and in constant memory; waits first."""
        async with aclosing(self.blocks(Deadline(deadline_s))) as blocks:
            async for block in blocks:
                for record in block:
                    yield record

    async def records(self, *, deadline_s: float | None = None) -> Records[RecordT]:
        """Wait, then return all records in the service's order. A transfer that is cut is made again."""
        return await self.collect(Deadline(deadline_s))

    async def download(
        self,
        target: Path | str,
        *,
        format: Format = "json",
        overwrite: bool = True,
        sha256: bool = True,
        deadline_s: float | None = None,
    ) -> Saved:
        """Wait, then stream the result to a file that is whole or not there. A transfer that is cut is made again.

        Args:
            target: The file, or an existing folder, in which it is called `<request_id>_data.json` (`.jsonl`, …).
            format: `json`, a list sorted by time as `aurorax-cli` writes it; `jsonl`, one record a line in the
                service's order; `body`, the service's bytes unchanged; `csv` and `parquet`, tables with the columns of
                `Records.to_pandas` and `Records.to_arrow`, in the service's order. A Parquet file knows its query.
            overwrite: Whether a file of that name is replaced.
            sha256: Compute the digest of the file.
            deadline_s: Seconds for waiting and transferring together.

        Raises:
            TargetNotWritable, MissingExtra: Before anything is sent.
            IncompleteBody, WrongContent: The body was cut, or holds another number of records than the status said.
        """
        deadline = Deadline(deadline_s)
        path = file_in(target, f"{self.request_id}_data", format)
        await ensure_writable(path, overwrite=overwrite)
        return await self.save(path, format, overwrite, deadline, sha256=sha256)

    async def append(self, folder: Path | str, *, stem: str | None = None, deadline_s: float | None = None) -> Appended:
        """Wait, then add the records to the dataset in `folder`: one table in many Parquet files.

        Args:
            folder: Parquet files by program, platform and day, which pandas, polars and DuckDB read as one table.
            stem: What its files there are called; the same again replaces them. By default the request's identifier.
            deadline_s: Seconds for waiting and transferring together.

        Raises:
            InvalidInput, MissingExtra: Before anything is sent.
            IncompleteBody, WrongContent: As `download`; the dataset is then as it was.
        """
        stem = self.request_id if stem is None else stem
        if self._kind.table is None:
            raise InvalidInput("table", "the class of these records is not known")
        check_append(stem, self._kind.table)
        deadline = Deadline(deadline_s)
        return await (await self._result(deadline)).append(Path(folder), stem, deadline)

    # The same inside a deadline that has begun before.

    async def blocks(self, deadline: Deadline, *, again: bool = False) -> AsyncGenerator[list[RecordT], None]:
        """Yield the records in lists, as they come out of the body: the fastest way to read many.

        `again` goes on where a transfer was cut, instead of raising.
        """
        result = await self._result(deadline)
        async with aclosing(result.blocks(deadline, again=again)) as blocks:
            async for block in blocks:
                yield block

    async def collect(self, deadline: Deadline) -> Records[RecordT]:
        """Return all records."""
        return await (await self._result(deadline)).collect(deadline)

    async def save(
        self, path: Path, format: Format, overwrite: bool, deadline: Deadline, *, sha256: bool = True
    ) -> Saved:
        """Stream the result to the file `path`."""
        return await (await self._result(deadline)).save(path, format, overwrite, deadline, sha256=sha256)

    async def _result(self, deadline: Deadline) -> Result[RecordT]:
        status = await self._ready(deadline)
        outputs = self._service.outputs(status)
        return Result(self._engine.session, outputs, self._kind, self._tell, request_id=self.request_id)
