"""Fetching a finished result: as records, in memory or streamed, or as a file."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import attrs

from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import EventKind
from aurora_async.engine.protocol import Output, RequestId
from aurora_async.errors import (
    ConnectionLost,
    IncompleteBody,
    NotFound,
    ReadTimeout,
    ResultExpired,
    ResultMissing,
)
from aurora_async.http import Body, Session, shown_url
from aurora_async.transfer import Format, Saved, TableForm, blocks, check_format, download, ending, parse
from aurora_async.transfer.dataset import Appended, append
from aurora_async.transfer.tables import Records

__all__ = ["RecordKind", "Result", "file_in"]

logger = logging.getLogger(__name__)

_SMALL_BYTES = 64 * 1024

RecordT = TypeVar("RecordT")
T = TypeVar("T")


@attrs.frozen
class RecordKind(Generic[RecordT]):
    """What the records of a result are: their class (None for plain objects), what orders them, their table."""

    record_type: type[RecordT] | None
    sort_key: str | None = None
    table: TableForm | None = None


class Result(Generic[RecordT]):
    """The bodies of one finished request, or of one exchange that needed no request (`request_id` None).

    `tell` hears of the bytes that arrive and of the end, good or bad. The session is borrowed.
    """

    def __init__(
        self,
        session: Session,
        outputs: Sequence[Output],
        kind: RecordKind[RecordT],
        tell: Callable[..., None],
        *,
        request_id: RequestId | None,
    ) -> None:
        self._session = session
        self._outputs = outputs
        self._kind = kind
        self._tell = tell
        self._request_id = request_id

    async def blocks(self, deadline: Deadline, *, again: bool = False) -> AsyncGenerator[list[RecordT], None]:
        """Yield the records in lists while they arrive; `again` goes on behind the last one when a transfer is cut."""
        count = 0
        read = self._blocks_again if again else self._blocks_of
        with self._failure_told():
            for output in self._outputs:
                async with aclosing(read(output, deadline)) as found:
                    async for block in found:
                        count += len(block)
                        yield block
        self._tell(EventKind.DONE, records=count)

    async def collect(self, deadline: Deadline) -> Records[RecordT]:
        """Return all records. A transfer that is cut is made again."""

        async def read(output: Output) -> list[RecordT]:
            if output.size_bytes is not None and output.size_bytes <= _SMALL_BYTES:
                return await self._small(output, deadline)
            found: list[RecordT] = []
            async with aclosing(self._blocks_of(output, deadline)) as read_blocks:
                async for block in read_blocks:
                    found += block
            return found

        records = Records[RecordT](record_type=self._kind.record_type)
        with self._failure_told():
            for output in self._outputs:
                records += await self._again_if_cut(read, output, deadline)
        self._tell(EventKind.DONE, records=len(records))
        return records

    async def save(
        self, path: Path, format: Format, overwrite: bool, deadline: Deadline, *, sha256: bool = True
    ) -> Saved:
        """Stream the one body to the file `path`. A transfer that is cut is made again."""

        async def take(body: _Counted, output: Output) -> Saved:
            return await download(
                body,
                path,
                format=format,
                expected_records=output.records,
                sort_key=self._kind.sort_key if format == "json" else None,
                table=self._table(output),
                overwrite=overwrite,
                sha256=sha256,
            )

        saved = await self._taken(take, deadline)
        self._tell(EventKind.DONE, bytes=saved.bytes, records=saved.records, path=saved.path)
        return saved

    async def append(self, folder: Path, stem: str, deadline: Deadline) -> Appended:
        """Add the records of the one body to the dataset in `folder`. A transfer that is cut is made again."""

        async def take(body: _Counted, output: Output) -> Appended:
            table = self._table(output)
            assert table is not None, "the caller has checked it"
            return await append(body, folder, stem=stem, table=table, expected_records=output.records)

        appended = await self._taken(take, deadline)
        self._tell(EventKind.DONE, bytes=appended.bytes, records=appended.records, path=appended.folder)
        return appended

    async def _taken(self, take: Callable[[_Counted, Output], Awaitable[T]], deadline: Deadline) -> T:
        async def transfer(output: Output) -> T:
            with self._gone_told(), deadline.scope("downloading the result", self._request_id):
                async with self._open(output) as body:
                    return await take(_Counted(body, self._tell), output)

        with self._failure_told():
            (output,) = self._outputs
            return await self._again_if_cut(transfer, output, deadline)

    def _table(self, output: Output) -> TableForm | None:
        if self._kind.table is None:
            return None
        about = {**output.about, **self._kind.table.about, "service": shown_url(self._session.config.base_url)}
        if self._request_id is not None:
            about["request_id"] = self._request_id
        return attrs.evolve(self._kind.table, about=about)

    async def _blocks_of(self, output: Output, deadline: Deadline) -> AsyncGenerator[list[RecordT], None]:
        async with AsyncExitStack() as stack:
            # No scope stays open over a yield: each step gets what is left of the deadline.
            with self._gone_told(), deadline.scope("reading the result", self._request_id):
                body = await stack.enter_async_context(self._open(output))
            cut = blocks(_Counted(body, self._tell), self._kind.record_type, expected_records=output.records)
            stack.push_async_callback(cut.aclose)
            while True:
                with self._gone_told(), deadline.scope("reading the result", self._request_id):
                    block = await anext(cut, None)
                if block is None:
                    return
                yield block.records

    async def _blocks_again(self, output: Output, deadline: Deadline) -> AsyncGenerator[list[RecordT], None]:
        given = 0
        waits = self._session.retry_policy.waits()
        left = output.attempts or self._session.config.retries.attempts
        while True:
            left -= 1
            at = 0
            try:
                async with aclosing(self._blocks_of(output, deadline)) as found:
                    async for block in found:
                        fresh = block[max(0, given - at) :]
                        at += len(block)
                        if fresh:
                            given += len(fresh)
                            yield fresh
                return
            except (ConnectionLost, ReadTimeout, IncompleteBody) as error:
                if left <= 0:
                    raise
                logger.info("%s: reading on from record %d, because %s", output.target, given, error)
            with deadline.scope("reading the result", self._request_id):
                await anyio.sleep(next(waits))

    async def _small(self, output: Output, deadline: Deadline) -> list[RecordT]:
        """Read a body in one piece: for one of a few records, streaming costs more than the exchange."""
        with self._gone_told(), deadline.scope("reading the result", self._request_id):
            answer = await self._session.exchange(
                output.method, output.target, body=output.body, repeat=True, attempts=output.attempts, lane="body"
            )
            self._tell(EventKind.BYTES, bytes=len(answer.body))
            return parse(answer.body, self._kind.record_type, url=answer.url, expected_records=output.records)

    def _open(self, output: Output) -> AbstractAsyncContextManager[Body]:
        # Results are only read here, by GET or by a POST that stores nothing, so asking twice is harmless.
        return self._session.open(output.method, output.target, body=output.body, repeat=True, attempts=output.attempts)

    async def _again_if_cut(self, transfer: Callable[[Output], Awaitable[T]], output: Output, deadline: Deadline) -> T:
        waits = self._session.retry_policy.waits()
        left = output.attempts or self._session.config.retries.attempts
        while True:
            left -= 1
            try:
                return await transfer(output)
            except (ConnectionLost, ReadTimeout, IncompleteBody) as error:
                if left <= 0:
                    raise
                logger.info("%s: transferring again, because %s", output.target, error)
            with deadline.scope("transferring the result", self._request_id):
                await anyio.sleep(next(waits))

    @contextmanager
    def _gone_told(self) -> Iterator[None]:
        """A result that was there and is not any more is called expired, however the service says so."""
        try:
            yield
        except NotFound as error:
            if self._request_id is None:
                raise
            raise ResultExpired(self._request_id, error.detail or "not found") from error
        except ResultMissing as error:
            said = str(error.rest.get("error", error.rest))
            if self._request_id is None or "NotFound" not in said:
                raise
            raise ResultExpired(self._request_id, said) from error

    @contextmanager
    def _failure_told(self) -> Iterator[None]:
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:
            self._tell(EventKind.ended_by(error), error=error)
            raise


def file_in(target: Path | str, stem: str, format: Format) -> Path:
    """Return `target` itself, or, when it is an existing folder, the file `stem` of the right kind in it."""
    check_format(format)
    path = Path(target)
    return path / f"{stem}.{ending(format)}" if path.is_dir() else path


class _Counted:
    """A body that tells how much of it has arrived."""

    def __init__(self, body: Body, tell: Callable[..., Any]) -> None:
        self._body = body
        self._tell = tell
        self._arrived = 0
        self.url = body.url
        self.length = body.length

    async def chunks(self, size: int = 1 << 20) -> AsyncGenerator[bytes, None]:
        """Yield the body's chunks, or what `pour` has left of it."""
        async for chunk in self._body.chunks(size):
            self._told(self._arrived + len(chunk))
            yield chunk

    async def pour(self, take: Callable[[memoryview], object]) -> int:
        """Give `take` what goes by the fast way."""
        return await self._body.pour(take, tell=lambda arrived, waited_s: self._told(arrived))

    def _told(self, arrived: int) -> None:
        if arrived > self._arrived:
            self._arrived = arrived
            self._tell(EventKind.BYTES, bytes=arrived)
