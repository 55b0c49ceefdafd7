"""Small requests on the connections of aiohttp's pools, without the objects aiohttp makes for each.

Pool, name lookup, TLS and parser stay aiohttp's. What falls away is most of what an exchange of a few hundred bytes
costs: a request and a response object, the merging and checking of headers that are the same every time, a parser for
each answer and three timers: 100 of the 140 µs of CPU that it took on our side of the socket.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import aiohttp
from aiohttp import ClientRequest
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

__all__ = ["Head", "Line", "Pool", "Response", "template"]

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


class Line(ResponseHandler):
    """A connection that is made ready for the next answer with next to no work."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._params: dict[str, Any] | None = None
        self._heard_at: float | None = None
        """When something was last heard, while silence counts."""

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

    @property
    def is_spoilt(self) -> bool:
        """Something came that nobody had asked for, and would pass for the answer to the next request."""
        return self._parser is not None and self.should_close

    def data_received(self, data: bytes) -> None:
        """Note what comes behind the end of an answer, or while nothing is awaited."""
        if data and self._payload is not None and self._payload.is_eof():
            self._should_close = True
        super().data_received(data)

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
        if self._payload is not None and not self._payload.is_eof() and self._payload.exception() is None:
            self._payload.set_exception(exc)

    # A timer is set where none runs, and looks when it ends whether there was silence all the time: one timer in a
    # minute, where aiohttp sets and cancels one whenever it sends and hears something.

    def _reschedule_timeout(self) -> None:
        if self._read_timeout:
            self._heard_at = self._loop.time()
            if self._read_timeout_handle is None:
                self._read_timeout_handle = self._loop.call_at(self._heard_at + self._read_timeout, self._look)

    def _drop_timeout(self) -> None:
        self._heard_at = None
        if self._connection_lost_called and self._read_timeout_handle is not None:
            self._read_timeout_handle.cancel()
            self._read_timeout_handle = None

    def _look(self) -> None:
        self._read_timeout_handle = None
        if self._heard_at is not None and self._read_timeout:
            ends_at = self._heard_at + self._read_timeout
            if ends_at <= self._loop.time():
                self._on_read_timeout()
            else:
                self._read_timeout_handle = self._loop.call_at(ends_at, self._look)


class Response:
    """An answer on a lane: what the session and `Body` need of aiohttp's."""

    __slots__ = ("closed", "connection", "content", "headers", "status")

    def __init__(self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader) -> None:
        self.connection = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.closed = False

    def close(self) -> None:
        """Give the connection back when the whole body has come, read or not; else end it."""
        self.closed = True
        if self.content.is_eof():
            self.connection.release()
        else:
            if self.content.exception() is None:
                self.content.set_exception(aiohttp.ClientConnectionError("the rest of the body is not read"))
            self.connection.close()


class Pool:
    """Connections kept for later, for aiohttp's client and for requests that need none."""

    __slots__ = ("_for_body", "_for_head", "_is_traced", "_timeout", "client", "connector")

    def __init__(self, client: aiohttp.ClientSession, line: type[Line], *, max_line_bytes: int) -> None:
        """Made with the client that owns the connections, and the class these are to have."""
        assert client.connector is not None
        self.client = client
        self.connector = client.connector
        if _IS_KNOWN:
            make: Callable[..., ResponseHandler] = line
            self.connector._factory = partial(make, asyncio.get_running_loop())
        self._timeout = client.timeout
        self._is_traced = bool(client.trace_configs)  # as instrumentation for telemetry brings them in
        self._for_body: dict[str, Any] = {
            "read_until_eof": True,
            "auto_decompress": False,
            "read_timeout": client.timeout.sock_read,
            "max_line_size": max_line_bytes,
            "max_field_size": max_line_bytes,
        }
        self._for_head = {**self._for_body, "skip_payload": True}

    def can_send(self, extra: Mapping[str, str] | None, body: bytes | None) -> bool:
        """Say whether `send` does what `client.request` would; not for a proxy, which nobody here knows of."""
        if body is not None and len(body) > _LARGEST_BODY_BYTES:
            return False
        if extra and any(name.lower() in _AWKWARD_HEADERS for name in extra):
            return False
        return _IS_KNOWN and not self._is_traced and aiohttp.ClientSession._request is _AS_IMPORTED

    async def send(self, where: ClientRequest, request: bytes, method: str) -> Response:
        """Send a request and return its answer as soon as its head has come; errors are aiohttp's."""
        try:
            connection = await self.connector.connect(where, [], self._timeout)
            while isinstance(connection.protocol, Line) and connection.protocol.is_spoilt:
                connection.close()
                connection = await self.connector.connect(where, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        try:
            line = connection.protocol
            if line is None or (transport := line.transport) is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("it was closed just now")
            line.set_response_params(**(self._for_head if method == "HEAD" else self._for_body))
            line.start_timeout()
            transport.write(request)
            message, content = await line.read()
            while 100 <= message.code < 200 and message.code != 101:
                if isinstance(line, Line):
                    line.expect_more()
                message, content = await line.read()
        except BaseException:
            connection.close()
            raise
        return Response(connection, message, content)
