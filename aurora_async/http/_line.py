"""Small requests on the connections of aiohttp's pools, without the objects aiohttp makes for each.

Pool, name lookup, TLS and parser stay aiohttp's. What falls away is most of what an exchange of a few hundred bytes
costs: a request and a response object, the merging and checking of headers that are the same every time, a parser for
each answer and three timers: 100 of the 140 µs of CPU that it took on our side of the socket. And an answer that comes
in one piece and leaves nothing to interpret, as a status does, needs neither parser nor reader: half of the rest.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp import ClientRequest
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aurora_async.http._errors import SlowHead

__all__ = ["Head", "Line", "Pool", "Response", "Whole", "fields", "template"]

_LARGEST_BODY_BYTES = 1 << 15
"""Half of what a transport takes without asking to wait: more is sent by aiohttp, which waits."""
_RECEIVED_BYTES = 1 << 16
_AWKWARD_HEADERS = frozenset({"connection", "content-length", "expect", "transfer-encoding", "upgrade"})
"""They change how a request is sent, or what follows its answer."""

_IS_KNOWN = aiohttp.__version__.startswith("3.14.")
"""What is used here of aiohttp is not all public. With another version its client sends and receives everything."""
_AS_IMPORTED = aiohttp.ClientSession._request
"""Whoever puts another in its place, as aioresponses does, wants to answer requests himself."""
_WITHOUT_LENGTH = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# The same as aiohttp forbids: a tab is allowed.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MOST_INTERIM = 16
"""Each begins the wait for what follows anew."""
_IDLE_S = 15.0
"""How long a connection is kept for the next request; as long as aiohttp keeps them."""

# What nobody can misunderstand: a success with one Content-Length, spelled as everybody does, and nothing that changes
# what a connection or a body is. All else is for aiohttp's parser to judge.
_PLAIN = (
    rb"(?!(?i:(?:proxy-)?connection|content-(?:length|encoding)|transfer-encoding|upgrade|sec-websocket-key1):)"
    rb"[0-9A-Za-z-]++:[\t\x20-\x7e]*+\r\n"
)
_WHOLE = re.compile(
    rb"HTTP/1\.1 (20[01236]) [\t\x20-\x7e]*+\r\n"
    rb"((?:%b){0,50}+(?i:content-length): ?([0-9]{1,9})\r\n(?:%b){0,50}+)\r\n" % (_PLAIN, _PLAIN)
)


class Head:
    """The headers of a request, and the same as bytes, made when first sent."""

    __slots__ = ("_lines", "headers")

    def __init__(self, headers: CIMultiDict[str]) -> None:
        self.headers = headers
        self._lines: bytes | None = None

    @property
    def lines(self) -> bytes:
        """What is between request line and Content-Length; ValueError when it could be taken for something else."""
        if self._lines is None:
            for name, value in self.headers.items():
                if _FORBIDDEN.search(name + value):
                    raise ValueError("a header holds characters that HTTP forbids")
            self._lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()).encode()
        return self._lines

    def with_extra(self, extra: Mapping[str, str]) -> Head:
        """Return this with other headers beside and before its own."""
        headers = self.headers.copy()
        headers.update(extra)
        return Head(headers)

    def request(self, method: str, target: str, body: bytes | None) -> bytes:
        """Return the whole request."""
        line = f"{method} {target} HTTP/1.1"
        if not line.isprintable() or line.count(" ") != 2:
            raise ValueError("a request line holds characters that HTTP forbids")
        if body is not None:
            return b"%b\r\n%bContent-Length: %d\r\n\r\n%b" % (line.encode("ascii"), self.lines, len(body), body)
        length = b"" if method in _WITHOUT_LENGTH else b"Content-Length: 0\r\n"
        return b"%b\r\n%b%b\r\n" % (line.encode("ascii"), self.lines, length)


class _Template(ClientRequest):
    """Never sent: tells the connector where to."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        return super().connection_key


def template(origin: str) -> ClientRequest:
    """Return what the connector must be shown to connect to an origin, without a proxy."""
    return _Template("GET", URL(origin), loop=asyncio.get_running_loop())


class Whole(NamedTuple):
    """A plain answer that came in one piece."""

    status: int
    lines: bytes
    """Its headers; see `fields`."""
    body: bytes


def fields(lines: bytes) -> CIMultiDictProxy[str]:
    """Return the headers that the lines of a `Whole` say."""
    found: CIMultiDict[str] = CIMultiDict()
    for line in lines.decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        found.add(name, value.strip(" \t"))
    return CIMultiDictProxy(found)


class Line(ResponseHandler):
    """A connection that is made ready for the next answer with next to no work."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._params: dict[str, Any] | None = None
        self._whole: asyncio.Future[Whole | None] | None = None
        """Whoever waits for an answer of which nothing has come."""
        self._expected: dict[str, Any] = {}
        """What the parser is to know should that answer be for it."""
        self._heard_at: float | None = None
        """When something was last heard, while silence counts; a head that is not complete says nothing."""
        self._has_begun = False
        """Something of a head has come."""
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have asyncio receive into less than its 256 KiB, for which the allocator asks the kernel each time."""
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            transport.max_size = _RECEIVED_BYTES

    def set_response_params(self, **params: Any) -> None:
        """Keep the parser when it has read others of the same kind to their ends."""
        between_answers = self._payload is None or self._payload.is_eof()
        self._payload = None
        if self._parser is None or not between_answers or params != self._params:
            self._params = params
            super().set_response_params(**params)

    def ask(self, request: bytes, params: dict[str, Any], *, whole: bool) -> asyncio.Future[Whole | None] | None:
        """Send a request whose answer is to be had from `read`.

        With `whole` it may come as the result of the future that is returned; when that is None, from `read` as well.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("it was closed just now")
        if not whole or self._tail:  # a server that is too busy to listen may have answered already
            self.set_response_params(**params)
            self.start_timeout()
            transport.write(request)
            return None
        self._payload = None
        self._expected = params
        self._read_timeout = params["read_timeout"]
        self.start_timeout()
        whole_answer = self._whole = self._loop.create_future()
        transport.write(request)
        return whole_answer

    @property
    def is_ready(self) -> bool:
        """Whether another request may be sent. Not where something came that nobody had asked for."""
        transport = self.transport
        return transport is not None and not transport.is_closing() and not self.should_close

    @property
    def is_spoilt(self) -> bool:
        """Something came that nobody had asked for, and would pass for the answer to the next request."""
        return self._payload is not None and self.should_close

    def data_received(self, data: bytes) -> None:
        """Note what comes behind the end of an answer, or while nothing is awaited."""
        if (waiting := self._whole) is not None:
            self._whole = None
            found = _WHOLE.match(data)
            if (
                found is not None
                and len(data) - found.end() == int(found[3])
                and found.end() <= self._expected["max_line_size"]
            ):
                self._payload = EMPTY_PAYLOAD
                self._heard_at = None
                if not waiting.done():
                    waiting.set_result(Whole(int(found[1]), found[2], data[found.end() :]))
                return
            self.set_response_params(**self._expected)
            if not waiting.done():
                waiting.set_result(None)
        payload = self._payload
        if data and payload is not None and payload.is_eof():
            self._should_close = True
        super().data_received(data)
        if payload is None:
            self._has_begun = self._payload is None
            if self._heard_at is not None and not self._has_begun:
                self._heard_at = self._loop.time()  # the head is complete: from now on it is the body that is awaited

    def expect_more(self) -> None:
        """After an interim answer: what follows is expected, and silence counts again."""
        if not len(self):  # otherwise it is here already
            self._payload = None
            self.start_timeout()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Spare the parser an empty feed, which aiohttp gives it after each read of a body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell whoever reads a body, too: aiohttp lets him wait for ever when its framing is broken."""
        super().set_exception(exc, *cause)
        if (waiting := self._whole) is not None:
            self._whole = None
            if not waiting.done():
                waiting.set_exception(exc)
        if self._payload is not None and not self._payload.is_eof() and self._payload.exception() is None:
            self._payload.set_exception(exc)

    # A timer is set where none runs, and looks when it ends whether there was silence all the time: one timer in a
    # minute, where aiohttp sets and cancels one whenever it sends and hears something.

    def start_timeout(self) -> None:
        """Count silence from now on."""
        self._heard_at = None
        self._has_begun = False
        self._reschedule_timeout()

    def _reschedule_timeout(self) -> None:
        if self._read_timeout and (self._heard_at is None or self._payload is not None):
            self._heard_at = self._loop.time()
            if self._read_timeout_handle is None:
                self._read_timeout_handle = self._loop.call_at(self._heard_at + self._read_timeout, self._look)

    def _drop_timeout(self) -> None:
        self._heard_at = None
        if self._connection_lost_called and self._read_timeout_handle is not None:
            self._read_timeout_handle.cancel()
            self._read_timeout_handle = None

    def _on_read_timeout(self) -> None:
        if self._has_begun:
            self.set_exception(SlowHead())
        else:
            super()._on_read_timeout()

    def _look(self) -> None:
        self._read_timeout_handle = None
        if self._heard_at is not None and self._read_timeout:
            ends_at = self._heard_at + self._read_timeout
            if ends_at <= self._loop.time():
                self._on_read_timeout()
            else:
                self._read_timeout_handle = self._loop.call_at(ends_at, self._look)


class Response:
    """An answer on a line: what the session and `Body` need of aiohttp's."""

    __slots__ = ("_pool", "_where", "closed", "connection", "content", "headers", "status")

    def __init__(
        self,
        pool: Pool,
        where: ClientRequest,
        connection: Connection,
        message: RawResponseMessage,
        content: aiohttp.StreamReader,
    ) -> None:
        self._pool = pool
        self._where = where
        self.connection = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.closed = False

    def close(self) -> None:
        """Keep the connection when the whole body has come, read or not; else end it."""
        self.closed = True
        if self.content.is_eof():
            self._pool.keep(self._where, self.connection)
        else:
            if self.content.exception() is None:
                self.content.set_exception(aiohttp.ClientConnectionError("the rest of the body is not read"))
            self.connection.close()


class Pool:
    """Connections kept for later, for aiohttp's client and for requests that need none.

    Those of the latter stay borrowed from aiohttp's connector while nobody uses them: it would make and forget several
    objects for each request. Whichever was used last is used next, so that those no longer needed grow old.
    """

    __slots__ = ("_for_body", "_for_head", "_idle", "_is_traced", "_loop", "_timeout", "_timer", "client", "connector")

    def __init__(self, client: aiohttp.ClientSession, line: type[Line], *, max_line_bytes: int) -> None:
        """Made with the client that owns the connections, and the class these are to have."""
        assert client.connector is not None
        self.client = client
        self.connector = client.connector
        self._loop = asyncio.get_running_loop()
        if _IS_KNOWN:
            make: Callable[..., ResponseHandler] = line
            self.connector._factory = partial(make, self._loop)
        self._timeout = client.timeout
        self._is_traced = bool(client.trace_configs)  # as instrumentation for telemetry brings them in
        self._idle: dict[ClientRequest, list[tuple[Line, Connection]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._for_body: dict[str, Any] = {
            "read_until_eof": True,
            "auto_decompress": False,
            "read_timeout": client.timeout.sock_read,
            "max_line_size": max_line_bytes,
            "max_field_size": max_line_bytes,
        }
        self._for_head = {**self._for_body, "skip_payload": True}

    @property
    def in_use(self) -> int:
        """Connections on which an answer is awaited or read."""
        return len(self.connector._acquired) - sum(map(len, self._idle.values()))

    async def close(self) -> None:
        """Close all connections, also those in use."""
        if self._timer is not None:
            self._timer.cancel()
        for idle in self._idle.values():
            for _, connection in idle:
                connection.close()
        self._idle.clear()
        await self.client.close()

    def can_send(self, extra: Mapping[str, str] | None, body: bytes | None) -> bool:
        """Say whether `send` does what `client.request` would; not for a proxy, which nobody here knows of."""
        if body is not None and len(body) > _LARGEST_BODY_BYTES:
            return False
        if extra and any(name.lower() in _AWKWARD_HEADERS for name in extra):
            return False
        return _IS_KNOWN and not self._is_traced and aiohttp.ClientSession._request is _AS_IMPORTED

    async def send(self, where: ClientRequest, request: bytes, method: str, *, whole: bool = False) -> Response | Whole:
        """Send a request and return its answer as soon as its head has come; errors are aiohttp's.

        With `whole` a plain answer that comes in one piece is returned as such, its connection given back.
        """
        line, connection = self._idle_one(where) or await self._new_one(where)
        try:
            is_head = method == "HEAD"
            params = self._for_head if is_head else self._for_body
            coming = line.ask(request, params, whole=whole and not is_head)
            answer = None if coming is None else await coming
            if answer is None:
                message, content = await line.read()
                interim = 0
                while 100 <= message.code < 200 and message.code != 101:
                    if (interim := interim + 1) > _MOST_INTERIM:
                        raise SlowHead
                    line.expect_more()
                    message, content = await line.read()
        except BaseException:
            connection.close()
            raise
        if answer is None:
            return Response(self, where, connection, message, content)
        self._keep(where, line, connection)
        return answer

    def keep(self, where: ClientRequest, connection: Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        if isinstance(line := connection.protocol, Line):
            self._keep(where, line, connection)

    def _keep(self, where: ClientRequest, line: Line, connection: Connection) -> None:
        if not line.is_ready or self.connector.closed:
            connection.close()
            return
        line.idle_since = self._loop.time()
        idle = self._idle.get(where)
        if idle is None:
            idle = self._idle[where] = []
        idle.append((line, connection))
        if self._timer is None:
            self._timer = self._loop.call_later(_IDLE_S, self._sweep)

    def _idle_one(self, where: ClientRequest) -> tuple[Line, Connection] | None:
        idle = self._idle.get(where)
        while idle:
            found = line, connection = idle.pop()
            # The age, too: a loop that was held up has not swept, and has not heard either of what the server closed.
            if line.is_ready and self._loop.time() < line.idle_since + _IDLE_S:
                return found
            connection.close()
        return None

    async def _new_one(self, where: ClientRequest) -> tuple[Line, Connection]:
        try:
            while True:
                connection = await self.connector.connect(where, [], self._timeout)
                line = connection.protocol
                assert isinstance(line, Line)
                if not line.is_spoilt:
                    return line, connection
                connection.close()
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error

    def _sweep(self) -> None:
        """Close what has not been used for long."""
        self._timer = None
        first = math.inf
        for idle in self._idle.values():
            while idle and idle[0][0].idle_since + _IDLE_S <= self._loop.time():
                idle.pop(0)[1].close()
            if idle:
                first = min(first, idle[0][0].idle_since)
        if first < math.inf:
            self._timer = self._loop.call_at(first + _IDLE_S, self._sweep)
