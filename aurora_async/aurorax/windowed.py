"""Searching a query that is cut into windows: requests ahead of the reader, their results merged as his turn comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import msgspec

from aurora_async.aurorax.models import Query
from aurora_async.aurorax.splitting import Part, Split
from aurora_async.engine import Engine, Request, Service
from aurora_async.engine.collect import RecordKind
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.split import in_order
from aurora_async.errors import AuroraError
from aurora_async.http import shown_url
from aurora_async.times import to_wire
from aurora_async.transfer import Format, Saved, download, parse
from aurora_async.transfer.decoding import decoder
from aurora_async.transfer.tables import Records

__all__ = ["WindowedResult"]

RecordT = TypeVar("RecordT")


class WindowedResult(Generic[RecordT]):
    """The records of a query that is cut into windows; read like a `Request`, and submitted when that begins.

    Windows are submitted and waited for ahead of the reader, and their results stay on the service until their turn:
    what is held here is one block of records, and the conjunctions that a seam has cut. Whatever ends the reading
    early, be it an error, the deadline, a cancellation or the reader himself, cancels the windows that are under way.
    """

    request_id: None = None
    """It is several requests; each tells of itself by the client's events."""

    def __init__(self, engine: Engine, service: Service[Any], split: Split[Any], kind: RecordKind[RecordT]) -> None:
        """Made by the searches; `service` asks for what `split` needs."""
        self._engine = engine
        self._service = service
        self._split = split
        self._kind = kind

    async def blocks(self, deadline: Deadline) -> AsyncGenerator[list[RecordT], None]:
        """Yield the records in lists, each as soon as it is there."""
        kind: Any = self._kind.record_type
        decode = decoder(kind)
        async with aclosing(self._split.records(self._parts(deadline))) as found:
            async for pieces in found:
                text = b"[" + b",".join(pieces) + b"]"
                try:
                    records = decode(text)
                except msgspec.DecodeError:
                    records = parse(text, kind, url=self._split.url)  # which says what is wrong, and where
                yield records

    async def collect(self, deadline: Deadline) -> Records[RecordT]:
        """Return all records."""
        records = Records[RecordT](record_type=self._kind.record_type)
        async with aclosing(self.blocks(deadline)) as found:
            async for block in found:
                records += block
        return records

    async def save(
        self, path: Path, format: Format, overwrite: bool, deadline: Deadline, *, sha256: bool = True
    ) -> Saved:
        """Stream the records to the file `path`."""
        table = self._kind.table
        if table is not None:
            service = shown_url(self._engine.config.base_url)
            table = attrs.evolve(table, about={**table.about, "service": service})
        return await download(
            self._split.merged(self._parts(deadline)),
            path,
            format=format,
            sort_key=self._kind.sort_key if format == "json" else None,
            table=table,
            overwrite=overwrite,
            sha256=sha256,
        )

    async def _parts(self, deadline: Deadline) -> AsyncGenerator[Part, None]:
        windows = in_order(
            self._split.windows,
            self._ready,
            at_once=self._engine.config.limits.windows_at_once,
            start=self._engine.start,
            waiting=lambda: deadline.scope("waiting for the windows of the query"),
        )
        async with aclosing(windows):
            async for window, request in windows:
                yield self._records(window, request, deadline)

    # No window has a deadline of its own: the reader's ends them all, on the service as well.

    async def _ready(self, window: Query) -> Request[msgspec.Raw]:
        with self._named(window):
            request_id = await self._engine.submit(self._service, window, Deadline(None))
            kind = RecordKind(msgspec.Raw)
            request = Request(self._engine, self._service, request_id, kind, query=window)
            await request.wait()
        return request

    async def _records(self, window: Query, request: Request[msgspec.Raw], deadline: Deadline) -> Part:
        with self._named(window):
            async with aclosing(request.blocks(Deadline(None), again=True)) as found:
                while True:
                    with deadline.scope("reading the windows of the query"):
                        block = await anext(found, None)
                    if block is None:
                        return
                    yield block

    @contextmanager
    def _named(self, window: Query) -> Iterator[None]:
        try:
            yield
        except AuroraError as error:
            count = len(self._split.windows)
            error.add_note(f"in one of {count} windows, {to_wire(window.start)} to {to_wire(window.end)}")
            raise
