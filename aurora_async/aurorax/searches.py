"""What the three kinds of search have in common: making searches, and everything about those that were made."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast, get_args, overload
from urllib.parse import quote

import attrs
import msgspec

from aurora_async.aurorax.availability import AvailabilityCounts
from aurora_async.aurorax.formats import response_format as format_template
from aurora_async.aurorax.models import ConjunctionQuery, Query, check_one_request
from aurora_async.aurorax.splitting import Split, Window, fitting_window, windows
from aurora_async.aurorax.windowed import WindowedResult
from aurora_async.aurorax.wire import (
    Kind,
    decode_answer,
    decode_query,
    decode_status,
    encode_plain,
    query_document,
    read_query,
    status_query,
)
from aurora_async.engine import Engine, LogEntry, Output, Request, RequestId, RequestStatus, Service
from aurora_async.engine.collect import RecordKind, Result, file_in
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import EventKind
from aurora_async.engine.waiting import Waiting
from aurora_async.errors import (
    AuroraError,
    BadRequest,
    ConnectionFailed,
    ConnectionLost,
    IncompleteBody,
    InvalidInput,
    InvalidQuery,
    MalformedAnswer,
    NotFound,
    ReadTimeout,
    ServerError,
    TooManyRequests,
)
from aurora_async.http import shown_url
from aurora_async.transfer import Format, Saved, TableForm, ensure_writable, narrowed
from aurora_async.transfer.tables import Records

__all__ = ["LogLevel", "QueryDocument", "ResponseFormat", "Searches", "Window", "encode_format", "refusal_told"]

logger = logging.getLogger(__name__)

QueryT = TypeVar("QueryT", bound=Query)
RecordT = TypeVar("RecordT")
AnswerT = TypeVar("AnswerT")

ResponseFormat = Mapping[str, Any]
QueryDocument = Mapping[str, Any] | str | bytes
"""A query as the web site shows it and files hold it: an object, or JSON text."""
LogLevel = Literal["debug", "info", "warn", "error"]

# The service accepts two days and ten years; one exchange is the better way only for what it answers within seconds.
_SYNCHRONOUS_SPANS = {"ephemeris": timedelta(days=2), "data_products": timedelta(days=31)}

# What a service that is slow, or has no such endpoint, answers: the query is then made as a request.
_TRY_AS_REQUEST = (
    NotFound,
    ServerError,
    TooManyRequests,
    ReadTimeout,
    ConnectionFailed,
    ConnectionLost,
    IncompleteBody,
)


def encode_format(response_format: ResponseFormat | None, kind: Kind | None = None) -> bytes | None:
    """Write a response format as JSON; `InvalidInput` when it is none, or has keys that records of `kind` have not."""
    if response_format is None:
        return None
    if not isinstance(response_format, Mapping) or not response_format:
        raise InvalidInput("response_format", f"{response_format!r} is not a tree of the record's keys")
    if kind is not None:
        _refuse_unknown_keys(response_format, format_template(kind.name), "response_format")
    try:
        encoded = msgspec.json.encode(response_format)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("response_format", f"is not JSON: {error}") from None
    if kind is not None:
        narrowed(kind.record_type, response_format)  # refuses what selects nothing
    return encoded


def _refuse_unknown_keys(wanted: Mapping[str, Any], known: Mapping[str, Any], place: str) -> None:
    for name, below in wanted.items():
        if name not in known:
            raise InvalidInput(f"{place}.{name}", f"is unknown; known are {', '.join(known)}")
        if isinstance(below, Mapping) and isinstance(known[name], Mapping):
            _refuse_unknown_keys(below, known[name], f"{place}.{name}")


@contextmanager
def refusal_told() -> Iterator[None]:
    """What the service finds wrong with a query is said like what we find wrong with it."""
    try:
        yield
    except BadRequest as error:
        raise InvalidQuery("query", f"the service refused it: {error.detail or error}") from error


def _log_fallback(error: AuroraError) -> None:
    logger.info("no answer in one exchange, submitting a request instead: %s", error)


@attrs.frozen
class _SearchService:
    """One kind of search as the engine sees it, with the response format that its results are asked in."""

    kind: Kind
    engine: Engine
    response_format: bytes | None = None
    """The document, encoded."""

    @property
    def name(self) -> str:
        return self.kind.name

    def new_request_id(self) -> RequestId:
        return str(uuid.uuid4())

    def likeness(self, query: Query | None) -> Hashable:
        if query is None:
            return None
        # What a search takes grows with its span: twice as long is another likeness.
        span = max(int(query.duration.total_seconds()) // 60, 1).bit_length()
        return span, type(query)

    async def submit(self, query: Query, request_id: RequestId | None, *, sending: Callable[[], None]) -> RequestId:
        check_one_request(query)
        body = msgspec.json.encode(query_document(query, request_id))
        with refusal_told():
            answer = await self.engine.session.exchange("POST", f"{self.kind.path}/search", body=body, sending=sending)
        location = answer.headers.get("Location", "")
        folder, _, accepted = location.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")
        if not accepted or not folder.endswith(f"{self.kind.path}/requests"):
            raise MalformedAnswer(answer.url, "Location", f"names no {self.kind.name} request: {location!r}")
        return accepted

    async def refresh(self, request_id: RequestId) -> RequestStatus:
        target = self._path(request_id)
        answer = await self.engine.session.exchange("GET", target, attempts=1)
        return decode_status(answer.body, target)

    async def cancel(self, request_id: RequestId) -> bool:
        try:
            await self.engine.session.exchange("DELETE", self._path(request_id), lane="urgent")
        except NotFound:
            return False
        return True

    def outputs(self, status: RequestStatus) -> Sequence[Output]:
        target = f"{self._path(status.request_id)}/data"
        about = _About(partial(_told_query, status, target))
        output = Output(name="data", target=target, records=status.records, size_bytes=status.result_bytes, about=about)
        if self.response_format is not None:
            output = attrs.evolve(output, method="POST", body=self.response_format)
        return [output]

    def _path(self, request_id: RequestId) -> str:
        return _path(self.kind, request_id)


class _About(Mapping[str, str]):
    """What a file may say of its records, put together only when one is written: most results are just read."""

    def __init__(self, facts: Callable[[], dict[str, str]]) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> str:
        return self._facts()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts())

    def __len__(self) -> int:
        return len(self._facts())


def _own_query(query: Query | None) -> dict[str, str]:
    return {} if query is None else {"query": msgspec.json.encode(query_document(query)).decode()}


def _told_query(status: RequestStatus, target: str) -> dict[str, str]:
    try:
        return {"query": msgspec.json.encode(status_query(status.raw, target)).decode()}
    except MalformedAnswer:  # a status without a query is one all the same
        return {}


def _path(kind: Kind, request_id: RequestId) -> str:
    if not isinstance(request_id, str) or request_id.strip(". ") == "":
        raise InvalidInput("request_id", f"{request_id!r} is not the identifier of a request")
    return f"{kind.path}/requests/{quote(request_id, safe='')}"


class Searches(Generic[QueryT, RecordT]):
    """One kind of search.

    A query may be given as an object of ours or as a document (a mapping, or JSON text), as the web site shows it; the
    identifier in one is left out, since a new search gets a new one. `response_format` is a tree of the record's keys
    with True at what is wanted; records then come as plain dictionaries with just that. `deadline_s` covers
    submitting, polling and fetching; None waits as long as it takes.

    `window` cuts a query into windows of at most that length, each a request (`Limits.windows_at_once` at a time), and
    merges their results to what the query itself would have given, conjunctions that were cut joined again; `"auto"`
    chooses a length by what availability tells. None cuts only what the service does not take whole: ephemeris of more
    than 31 days. A window that fails ends the others, and its error has a note that says which it was.
    See `aurora_async.aurorax.splitting` for what of each kind lies at the seams.
    """

    def __init__(self, engine: Engine, kind: Kind, *, synchronous: bool = True) -> None:
        """Made by the client; `synchronous` is False to do without the one-exchange endpoints."""
        self._engine = engine
        self._kind = kind
        self._synchronous = synchronous

    @overload
    async def search(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Records[RecordT]: ...
    @overload
    async def search(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Records[dict[str, Any]]: ...
    async def search(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Records[Any]:
        """Return all records that answer `query`, in the service's order.

        Raises:
            InvalidQuery: The service refused the query; `reason` is its own wording.
            RequestFailed: The service accepted the query and later gave up on it.
            DeadlineExceeded: Time ran out; the request lives on, and `resume(error.request_id)` picks it up. Windows
                are cancelled.
        """
        query = self._query(query)
        self._engine.check_open()
        deadline = Deadline(deadline_s)
        split = await self._split(query, response_format, window, deadline)
        if split is None and self._fits_one_exchange(query):
            try:
                with refusal_told():
                    return await self._one_exchange(query, response_format).collect(deadline)
            except _TRY_AS_REQUEST as error:
                _log_fallback(error)
        return await (await self._asked(query, split, response_format, deadline)).collect(deadline)

    @overload
    def stream(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> AsyncGenerator[RecordT, None]: ...
    @overload
    def stream(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]: ...
    async def stream(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Yield records as they arrive, in the service's order and in constant memory, however large the result."""
        query = self._query(query)
        self._engine.check_open()
        deadline = Deadline(deadline_s)
        split = await self._split(query, response_format, window, deadline)
        if split is None and self._fits_one_exchange(query):
            yielded = False
            try:
                async with aclosing(self._one_exchange(query, response_format).blocks(deadline)) as blocks:
                    while True:
                        with refusal_told():
                            block = await anext(blocks, None)
                        if block is None:
                            break
                        for record in block:
                            yielded = True
                            yield record
                return
            except _TRY_AS_REQUEST as error:
                if yielded:
                    raise
                _log_fallback(error)
        asked = await self._asked(query, split, response_format, deadline)
        async with aclosing(asked.blocks(deadline)) as blocks:
            async for block in blocks:
                for record in block:
                    yield record

    async def download(
        self,
        query: QueryT | QueryDocument,
        target: Path | str,
        *,
        format: Format = "json",
        overwrite: bool = True,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Saved:
        """Search, and stream the result to a file that is whole or not there; see `Request.download`.

        `target` is the file, or an existing folder, in which it is called `<request_id>_data.json` (`.jsonl`, …); the
        result of windows has an identifier of its own.
        """
        query = self._query(query)
        self._engine.check_open()
        deadline = Deadline(deadline_s)
        path = file_in(target, f"{uuid.uuid4()}_data", format)
        await ensure_writable(path, overwrite=overwrite)
        split = await self._split(query, response_format, window, deadline)
        if split is None and self._fits_one_exchange(query):
            try:
                with refusal_told():
                    return await self._one_exchange(query, response_format).save(path, format, overwrite, deadline)
            except _TRY_AS_REQUEST as error:
                _log_fallback(error)
        asked = await self._asked(query, split, response_format, deadline)
        if asked.request_id is not None:
            path = file_in(target, f"{asked.request_id}_data", format)
        return await asked.save(path, format, overwrite, deadline)

    @overload
    async def submit(
        self, query: QueryT | QueryDocument, *, response_format: None = None, deadline_s: float | None = None
    ) -> Request[RecordT]: ...
    @overload
    async def submit(
        self, query: QueryT | QueryDocument, *, response_format: ResponseFormat, deadline_s: float | None = None
    ) -> Request[dict[str, Any]]: ...
    async def submit(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat | None = None,
        deadline_s: float | None = None,
    ) -> Request[Any]:
        """Submit `query` and return the request; nothing of it is waited for.

        It is one request: ephemeris of more than 31 days, which the other verbs cut into windows, is refused.
        """
        query = self._query(query)
        return await self.submit_until(query, response_format, Deadline(deadline_s))

    @overload
    def resume(self, request_id: RequestId, *, response_format: None = None) -> Request[RecordT]: ...
    @overload
    def resume(self, request_id: RequestId, *, response_format: ResponseFormat) -> Request[dict[str, Any]]: ...
    def resume(self, request_id: RequestId, *, response_format: ResponseFormat | None = None) -> Request[Any]:
        """Return a handle of a request that was submitted before, here or anywhere. Asks the service nothing yet.

        Cancelling the task that waits for it leaves the request alone, since others may wait for it too.
        """
        _path(self._kind, request_id)
        service = self.service(response_format)
        return Request(self._engine, service, request_id, self.record_kind(response_format), attached=False)

    async def describe(self, query: QueryT | QueryDocument) -> str:
        """Return the service's description of `query` in words."""
        return await self._ask_about(query, self._kind.describe_path, str)

    def read(self, document: QueryDocument) -> QueryT:
        """Return the query that a document asks, checked as if it had been built here.

        Raises:
            InvalidQuery: With the place in the document (`space[0].hemisphere`).
        """
        if isinstance(document, str | bytes):
            text = document.removeprefix("\ufeff") if isinstance(document, str) else document
            return cast(QueryT, read_query(text, self._kind))
        try:
            plain = msgspec.json.decode(encode_plain(document))  # tuples, datetimes … as JSON has them
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidQuery("query", f"is not JSON: {error}") from None
        return cast(QueryT, decode_query(plain, self._kind))

    def response_format(self, default: Any = True) -> dict[str, Any]:
        """Return a response format with all keys that records can have, and `default` at each of them."""
        return format_template(self._kind.name, default)

    # Requests made before, here or anywhere ---------------------------------------------------------------------------

    async def status(self, request_id: RequestId) -> RequestStatus:
        """Return where a request stands.

        Raises:
            NotFound: The service does not know it.
        """
        answer = await self._engine.session.exchange("GET", _path(self._kind, request_id))
        return decode_status(answer.body, answer.url)

    async def logs(self, request_id: RequestId, *, level: LogLevel | None = None) -> list[LogEntry]:
        """Return what the service wrote down about a request, in order; `level` restricts to exactly that one."""
        if level is not None and level not in get_args(LogLevel):
            raise InvalidInput("level", f"{level!r} is unknown; use {', '.join(get_args(LogLevel))}")
        status = await self.status(request_id)
        return [entry for entry in status.logs if level is None or entry.level == level]

    async def query(self, request_id: RequestId) -> QueryT:
        """Return the query that a request asks."""
        target = _path(self._kind, request_id)
        status = await self.status(request_id)
        try:
            return self.read(status_query(status.raw, target))
        except InvalidQuery as error:
            raise MalformedAnswer(target, f"$.search_request.query.{error.field}", error.reason) from error

    @overload
    async def resubmit(
        self, request_id: RequestId, *, response_format: None = None, deadline_s: float | None = None
    ) -> Request[RecordT]: ...
    @overload
    async def resubmit(
        self, request_id: RequestId, *, response_format: ResponseFormat, deadline_s: float | None = None
    ) -> Request[dict[str, Any]]: ...
    async def resubmit(
        self,
        request_id: RequestId,
        *,
        response_format: ResponseFormat | None = None,
        deadline_s: float | None = None,
    ) -> Request[Any]:
        """Submit the query of a request once more; the new request has an identifier of its own."""
        encode_format(response_format, self._kind)
        deadline = Deadline(deadline_s)
        with deadline.scope("reading the query", request_id):
            query = await self.query(request_id)
        return await self.submit_until(query, response_format, deadline)

    async def cancel(self, request_id: RequestId) -> None:
        """Ask the service to give up on a request; one that is over is left as it is, with its result."""
        await self.resume(request_id).cancel()

    async def delete_result(self, request_id: RequestId) -> RequestStatus:
        """Delete the stored result of a request and return the request's status; making the search again recreates it.

        Source: AuroraX API, DELETE api/v1/…/requests/{id}/data.
        """
        answer = await self._engine.session.exchange("DELETE", f"{_path(self._kind, request_id)}/data")
        return decode_status(answer.body, answer.url)

    def request_url(self, request_id: RequestId) -> str:
        """Return the address at which the service tells about a request."""
        return f"{shown_url(self._engine.config.base_url)}{_path(self._kind, request_id)}"

    # Inside -----------------------------------------------------------------------------------------------------------

    def service(self, response_format: ResponseFormat | None = None) -> Service[QueryT]:
        """Return this kind of search as the engine sees it."""
        return _SearchService(self._kind, self._engine, encode_format(response_format, self._kind))

    def handle(
        self, request_id: RequestId, query: QueryT, response_format: ResponseFormat | None, *, attached: bool = True
    ) -> Request[RecordT]:
        """Return a handle of a request of ours; `attached` when it was submitted just now."""
        service = self.service(response_format)
        records = self.record_kind(response_format, query)
        return Request(self._engine, service, request_id, records, query=query, attached=attached)

    def _query(self, query: QueryT | QueryDocument) -> QueryT:
        if isinstance(query, Mapping | str | bytes):
            return self.read(query)
        if not isinstance(query, self._kind.query_type):
            raise InvalidQuery("query", f"{query!r} is not a {self._kind.query_type.__name__}")
        return query

    async def _ask_about(self, query: QueryT | QueryDocument, target: str, kind: type[AnswerT]) -> AnswerT:
        """Ask the service something about a query that it need not search for."""
        body = msgspec.json.encode(query_document(self._query(query)))
        with refusal_told():
            answer = await self._engine.session.exchange("POST", target, body=body, repeat=True)
        return decode_answer(answer, kind)

    def _fits_one_exchange(self, query: QueryT) -> bool:
        span = _SYNCHRONOUS_SPANS.get(self._kind.name)
        return self._synchronous and span is not None and query.duration <= span

    def _one_exchange(self, query: QueryT, response_format: ResponseFormat | None) -> Result[RecordT]:
        """The result of the endpoint that answers a small query at once, and stores nothing."""
        document: dict[str, Any] = {"query": query_document(query)}
        if (wanted := encode_format(response_format, self._kind)) is not None:
            document["response_format"] = msgspec.Raw(wanted)
        output = Output(
            name="data",
            target=f"{self._kind.path}/search_synchronous",
            method="POST",
            body=msgspec.json.encode(document),
            attempts=1,
        )
        label = str(uuid.uuid4())

        def tell(kind: EventKind, **facts: Any) -> None:
            # A failure that leads to a request instead is not the query's failure.
            if not isinstance(facts.get("error"), _TRY_AS_REQUEST):
                self._engine.emit(kind, self._kind, label, query=query, **facts)

        return Result(self._engine.session, [output], self.record_kind(response_format, query), tell, request_id=None)

    async def begin(
        self,
        service: Service[QueryT],
        query: QueryT,
        response_format: ResponseFormat | None,
        window: Window | None,
        deadline: Deadline,
    ) -> Waiting | WindowedResult[RecordT]:
        """Submit `query`, to be waited for without a task; or return its windows where it is cut into such.

        `service` is that for `response_format`, one for all the queries of a run.
        """
        split = await self._split(query, response_format, window, deadline)
        if split is not None:
            return self._windowed(query, split, response_format)
        return Waiting(service, await self._engine.submit(service, query, deadline), query, deadline)

    async def _asked(
        self, query: QueryT, split: Split[QueryT] | None, response_format: ResponseFormat | None, deadline: Deadline
    ) -> Request[RecordT] | WindowedResult[RecordT]:
        if split is None:
            return await self.submit_until(query, response_format, deadline)
        return self._windowed(query, split, response_format)

    def _windowed(
        self, query: QueryT, split: Split[QueryT], response_format: ResponseFormat | None
    ) -> WindowedResult[RecordT]:
        service = self.service(split.asked_format)
        return WindowedResult(self._engine, service, split, self.record_kind(response_format, query))

    async def _split(
        self, query: QueryT, response_format: ResponseFormat | None, window: Window | None, deadline: Deadline
    ) -> Split[QueryT] | None:
        """Return the windows of `query`; None when it is one request."""
        encode_format(response_format, self._kind)
        if window == "auto":
            window = None
            if not self._fits_one_exchange(query):
                with deadline.scope("choosing a window"):
                    window = await fitting_window(query, AvailabilityCounts(self._engine))
        found = windows(query, window)
        return Split(query, found, response_format) if len(found) > 1 else None

    async def submit_until(
        self, query: QueryT, response_format: ResponseFormat | None, deadline: Deadline
    ) -> Request[RecordT]:
        """As `submit`, inside a deadline that has begun before."""
        request_id = await self._engine.submit(self.service(response_format), query, deadline)
        return self.handle(request_id, query, response_format)

    def record_kind(self, response_format: ResponseFormat | None, query: QueryT | None = None) -> RecordKind[RecordT]:
        about = _About(partial(_own_query, query))
        places = len(query.blocks) if isinstance(query, ConjunctionQuery) else None
        record_type = self._kind.record_type
        if response_format is None:
            return RecordKind(record_type, self._kind.sort_key, TableForm(record_type, places, about))
        table = TableForm(narrowed(record_type, response_format), places, about)
        return RecordKind(None, self._kind.sort_key, table)
