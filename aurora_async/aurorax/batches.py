"""AuroraX's side of batches: what a search becomes in a journal, and how its requests are handled and merged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiofiles
import attrs
import msgspec

from aurora_async.aurorax.availability import AvailabilityCounts
from aurora_async.aurorax.models import Query
from aurora_async.aurorax.plans import PlannedSearch
from aurora_async.aurorax.searches import ResponseFormat, Searches
from aurora_async.aurorax.splitting import Split, Window, fitting_window, windows
from aurora_async.aurorax.wire import KINDS, decode_query, kind_of, query_document
from aurora_async.engine import Engine, Request, RequestId, Service
from aurora_async.engine.batch import Collecting, Order
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.journal import Entry, Planned
from aurora_async.engine.places import STAGING, check_name
from aurora_async.errors import InvalidInput
from aurora_async.http import shown_url
from aurora_async.times import to_wire
from aurora_async.transfer import Format, Saved, TableForm, download, ending
from aurora_async.transfer.dataset import append

__all__ = ["SearchDesk", "planned"]

_LINES_BYTES = 1 << 20


class SearchDesk:
    """What a batch needs of AuroraX.

    Args:
        engine: Of the client.
        searches: The three kinds of search, by name.
        counts: Tells how large windows may be, if that is to be found out.
        remote: Tells how another process makes a collector of its own.
        response_format: Asked of every result.
        window: What longer queries are cut into; None cuts only what the service does not take whole.
    """

    def __init__(
        self,
        engine: Engine,
        searches: Mapping[str, Searches[Any, Any]],
        counts: AvailabilityCounts,
        remote: Callable[[], Collecting],
        *,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
    ) -> None:
        self.engine = engine
        self._searches = searches
        self._counts = counts
        self._remote = remote
        self._response_format = response_format
        self._window = window
        self._services: dict[str, Service[Any]] = {}

    def read(self, kind: str, document: Mapping[str, Any]) -> Query:
        """Return the query that a document asks."""
        return _read(kind, msgspec.json.encode(document))

    def service(self, kind: str) -> Service[Any]:
        """Return the kind of request."""
        # Made when it is needed: a response format may have keys of one kind only.
        if kind not in self._services:
            self._services[kind] = self._searches[kind].service(self._response_format)
        return self._services[kind]

    def request(self, kind: str, request_id: RequestId, query: Query, *, is_new: bool) -> Request[Any]:
        """Return a handle of a request; `is_new` when it was submitted just now."""
        return self._searches[kind].handle(request_id, query, self._response_format, attached=is_new)

    async def cut(self, query: Planned) -> Planned:
        """Return a query with the windows it has to be cut into, if it has to be."""
        whole = self.read(query.kind, query.query)
        window = await fitting_window(whole, self._counts) if self._window == "auto" else self._window
        pieces = windows(whole, window)
        if len(pieces) == 1:
            return query
        return attrs.evolve(query, windows=tuple(_piece(query, piece, place) for place, piece in enumerate(pieces)))

    def asked_format(self, entry: Entry) -> ResponseFormat | None:
        """Return the response format in which a query, or a window, asks for its result."""
        if entry.parent is None or self._response_format is None:
            return self._response_format
        return Split(self.read(entry.kind, entry.query), (), self._response_format).asked_format

    async def collect(self, order: Order) -> Saved:
        """Collect a result here."""
        query = self.read(order.kind, order.query)
        searches = self._searches[order.kind]
        request = searches.handle(order.request_id, query, order.response_format, attached=False)
        if order.status is not None:
            request.knows(order.status)
        return await request.save(Path(order.target), order.format, True, Deadline(None), sha256=True)

    def remote(self) -> Collecting:
        """Return how another process makes a collector of its own."""
        return self._remote()

    async def merge(self, order: Order, windows: Sequence[Entry], parts: Sequence[Path]) -> Saved:
        """Merge the results of the windows of a query to one file."""
        query = self.read(order.kind, order.query)
        split = Split(query, [self.read(order.kind, window.query) for window in windows], self._response_format)
        kind = self._searches[order.kind].record_kind(self._response_format, query)
        assert kind.table is not None
        return await download(
            split.merged(_records_of(part) for part in parts),
            Path(order.target),
            format=order.format,
            sort_key=kind.sort_key if order.format == "json" else None,
            table=self._told(kind.table, windows),
            sha256=True,
        )

    async def append(self, entry: Entry, windows: Sequence[Entry], file: Path, dataset: Path) -> None:
        """Add the records of a file to a dataset, where they take the place of those of an earlier try."""
        table = self._searches[entry.kind].record_kind(None, self.read(entry.kind, entry.query)).table
        assert table is not None
        table = self._told(table, windows or [entry])
        await append(_Lines(file), dataset, stem=f"{entry.kind}-{entry.key[:16]}", table=table)

    def _told(self, table: TableForm, requests: Sequence[Entry]) -> TableForm:
        """Have a table say where it comes from."""
        about = {
            **table.about,
            "service": shown_url(self.engine.config.base_url),
            "request_ids": " ".join(one.request_id for one in requests if one.request_id is not None),
        }
        return attrs.evolve(table, about=about)


@attrs.frozen
class _Lines:
    """A file of one record a line, as a body."""

    path: Path
    length: None = None

    @property
    def url(self) -> str:
        """Where it comes from."""
        return str(self.path)

    async def chunks(self, size: int = _LINES_BYTES) -> AsyncGenerator[bytes, None]:
        """Yield the text of a list."""
        before = b"["
        async with aclosing(_records_of(self.path)) as parts:
            async for records in parts:
                yield before + b",".join(records)
                before = b","
        yield b"]" if before == b"," else b"[]"


async def _records_of(part: Path) -> AsyncGenerator[list[msgspec.Raw], None]:
    """Yield the lines of a file, about a mebibyte at a time."""
    async with aiofiles.open(part, "rb") as file:
        while lines := await file.readlines(_LINES_BYTES):
            yield [msgspec.Raw(line.rstrip(b"\n")) for line in lines]


# A query is read when it is submitted and when its result is collected, which often is soon.
@lru_cache(maxsize=256)
def _read(kind: str, document: bytes) -> Query:
    return decode_query(msgspec.json.decode(document), KINDS[kind])


def _piece(whole: Planned, query: Query, place: int) -> Planned:
    key = _key(whole.key, place)
    return Planned(key=key, kind=whole.kind, query=_document(query), path=f"{STAGING}/window-{key[:20]}.jsonl")


def planned(
    searches: Iterable[PlannedSearch],
    *,
    format: Format,
    response_format: ResponseFormat | None,
) -> Iterator[Planned]:
    """Yield the searches as a journal keeps them; those that ask the same have the same key."""
    for number, one in enumerate(searches):
        if not isinstance(one.query, Query):
            raise InvalidInput(f"queries[{number}]", f"{one.query!r} is not a query")
        kind = kind_of(one.query).name
        document = _document(one.query)
        key = _key(kind, document, response_format)
        name = one.name if one.name is not None else f"{_stem(kind, one.query)}_{key[:8]}"
        yield Planned(key=key, kind=kind, query=document, path=check_name(f"{name}.{ending(format)}"))


def _document(query: Query) -> dict[str, Any]:
    """Write a query as it comes back from a journal."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(query_document(query)))
    return plain


def _key(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _stem(kind: str, query: Query) -> str:
    start, end = (to_wire(moment).replace("-", "").replace(":", "") for moment in (query.start, query.end))
    return f"{kind}_{start}_{end}"
