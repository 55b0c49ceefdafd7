"""An answer whose body is read while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from aurora_async.config import Timeouts
from aurora_async.errors import AuroraError, MalformedAnswer, ReadTimeout
from aurora_async.http._bulk import Chunked, Framing, Receiver, Silent, Sized, receiving
from aurora_async.http._decoding import Decoder, decoder_for
from aurora_async.http._errors import FOREIGN_ERRORS, shown_url
from aurora_async.http._line import Response
from aurora_async.http._protocol import BodyProtocol

__all__ = ["Body", "Pace", "rest_of"]

_LARGE_BYTES = 2 << 20
"""Below, a connection's buffers have most of a body before anybody could take it over."""


class Body:
    """An answer whose body is still to be read, once, while the `Session.open` block that gave it is open.

    `length` is the number of bytes that `chunks` will deliver, None when nobody said: no Content-Length, or a
    compressed body (`headers` then tell the compressed length).
    """

    __slots__ = (
        "_connection",
        "_decoder",
        "_has_poured",
        "_ours",
        "_pace",
        "_read",
        "_response",
        "_shown",
        "_silence_s",
        "headers",
        "length",
        "method",
        "status",
        "url",
    )

    def __init__(
        self,
        response: aiohttp.ClientResponse | Response,
        method: str,
        url: str,
        timeouts: Timeouts,
        ours: Callable[[Exception, str, str], AuroraError],
    ) -> None:
        """Made by `Session.open`; `ours` makes one of our errors of one of aiohttp's."""
        self._ours = ours
        self._response = response
        self._shown = shown_url(url)
        self._read = False
        self._decoder: Decoder | None = None
        self._has_poured = False
        self._silence_s = timeouts.read_s
        self._pace = Pace(timeouts, method, self._shown)
        connection = response.connection  # None when all of a small answer has come already
        self._connection = None if connection is None else connection.protocol
        self.method = method
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.length = _length(method, response)

    def __repr__(self) -> str:
        return f"<Body of {self.method} {self._shown} [{self.status}], {self.length} bytes>"

    async def chunks(self, size: int = 1 << 20, *, decode: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives: `size` bytes at most each, far fewer on a slow line.

        It is decompressed, unless `decode` is False.

        The iteration ends only with the body: whatever cuts it short raises. (A body without length or chunks, as
        HTTP/1.0 had it, ends where the connection does; nobody can tell whether that was the end.)

        Raises:
            ConnectionLost: The connection ended before the body did.
            ReadTimeout: Nothing came for `Timeouts.read_s`, or too little (`Timeouts.least_bytes_per_s`).
            IncompleteBody: Its compressed data end in the middle.
            MalformedAnswer: Its compressed data are broken, or more came than its Content-Length.
        """
        if self._read:
            raise RuntimeError("a body can be read only once")
        self._read = True
        if not self._has_poured and decode:
            self._decoder = decoder_for(self.headers.get("Content-Encoding"), self._shown)
        decoder = self._decoder
        async with aclosing(self._as_sent(size)) as chunks:
            async for chunk in chunks:
                for piece in (chunk,) if decoder is None else decoder.feed(chunk, size):
                    yield piece
        if decoder is not None:
            decoder.finish()
        if self._connection is not None and isinstance(self._connection.exception(), HttpProcessingError):
            # What follows an answer that nobody else has asked for can only be the rest of it.
            raise MalformedAnswer(self._shown, "Content-Length", "more bytes came than it says; ask again")

    async def pour(
        self,
        take: Callable[[memoryview], object],
        *,
        decode: bool = True,
        tell: Callable[[int, float], object] | None = None,
    ) -> int:
        """Give the greater part of a large body to `take`, in a thread of its own; `chunks` goes on behind it.

        This is the fast way to the disk, where there is one: otherwise nothing is given. Each piece is gone when `take`
        returns. After an error what was given is the beginning of the body, all that came of it.

        Args:
            take: Called in that thread.
            decode: Whether it is decompressed, here and in `chunks`.
            tell: Told here, some times a second, how many bytes were given and how long the network was waited for.

        Returns:
            How many bytes were given.

        Raises:
            ReadTimeout, IncompleteBody, MalformedAnswer: As `chunks`.
        """
        if self._read:
            return 0
        decoder = decoder_for(self.headers.get("Content-Encoding"), self._shown) if decode else None
        async with self._taken_over(by_thread=True) as receiver:
            if receiver is None:
                return 0
            self._has_poured, self._decoder = True, decoder
            await receiving(receiver, take, decoder, tell)
        return receiver.delivered

    async def _as_sent(self, size: int) -> AsyncGenerator[bytes, None]:
        if not self._has_poured:
            async with self._taken_over(by_thread=False) as receiver:
                if receiver is not None:
                    async with aclosing(receiver.pieces(size)) as pieces:
                        async for piece in pieces:
                            yield piece
        if isinstance(self._connection, BodyProtocol):
            self._connection.forget()
        content = self._response.content
        content.set_read_chunk_size(size)
        while piece := await self._next(content, size):
            yield piece

    @asynccontextmanager
    async def _taken_over(self, *, by_thread: bool) -> AsyncGenerator[Receiver | None, None]:
        """Take a large body over from aiohttp, and give back what is left of it then; None where that cannot be."""
        framing, protocol = self._framing(), self._connection
        if framing is None or not isinstance(protocol, BodyProtocol):
            yield None
            return
        if (taken := protocol.take_over(by_thread=by_thread)) is None:
            yield None
            return
        source, first = taken
        receiver = Receiver(source, framing, first, heard=self._pace.heard, silence_s=self._silence_s)
        protocol.when_lost = receiver.stop if by_thread else receiver.close
        try:
            yield receiver
        except BaseException as error:
            protocol.give_up()
            if isinstance(error, Silent):
                raise self._ours(aiohttp.SocketTimeoutError(), self.method, self._shown) from None
            raise
        content = await protocol.give_back(receiver.rest, self._response.content)
        if content is None:
            raise self._ours(aiohttp.ClientConnectionError(), self.method, self._shown)
        self._response.content = content

    def _framing(self) -> Framing | None:
        """Return how a large body is told from what surrounds it, None when it is not, or small."""
        coding = self.headers.get("Transfer-Encoding")
        if coding is not None:
            return Chunked() if coding.strip().lower() == "chunked" else None
        length = int(self.headers.get("Content-Length", 0))
        return Sized(length) if length >= _LARGE_BYTES else None

    async def _next(self, content: aiohttp.StreamReader, size: int) -> bytes:
        try:
            return await self._pace.kept(content.read(size))
        except FOREIGN_ERRORS as error:
            # aiohttp tells of a broken end before it gives what came until then, which may be megabytes.
            if before := content._read_nowait(size):
                return before
            raise self._ours(error, self.method, self._shown) from error


class Pace:
    """Watches how fast a body comes. Only the time that is waited for it counts, not that of whoever reads it."""

    __slots__ = ("_bytes", "_least", "_method", "_shown", "_waited_s", "_window_s")

    def __init__(self, timeouts: Timeouts, method: str, shown: str) -> None:
        self._least = timeouts.least_bytes_per_s or 0.0
        self._window_s = timeouts.read_s
        self._method = method
        self._shown = shown
        self._waited_s = 0.0
        self._bytes = 0

    async def kept(self, reading: Awaitable[bytes]) -> bytes:
        """Return what is read; raise `ReadTimeout` when too little has come for as long as silence would be borne."""
        began = asyncio.get_running_loop().time()
        piece = await reading
        self.heard(asyncio.get_running_loop().time() - began, len(piece))
        return piece

    def heard(self, waited_s: float, size: int) -> None:
        """Note that so many bytes came, 0 at the end, after so long a wait; raises as `kept`."""
        self._waited_s += waited_s
        self._bytes += size
        if self._waited_s >= self._window_s:
            if size and self._bytes < self._least * self._waited_s:
                reason = f"only {self._bytes} bytes came within {self._waited_s:.0f} s"
                raise ReadTimeout(self._method, self._shown, reason)
            self._waited_s, self._bytes = 0.0, 0


async def rest_of(content: aiohttp.StreamReader, pace: Pace) -> bytes:
    pieces = []
    while piece := await pace.kept(content.readany()):
        pieces.append(piece)
    return b"".join(pieces)


def _length(method: str, response: aiohttp.ClientResponse | Response) -> int | None:
    if method == "HEAD" or response.status in (204, 304):
        return 0
    headers = response.headers
    if "Content-Length" not in headers or "Transfer-Encoding" in headers:
        return None
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return None
    return int(headers["Content-Length"])  # aiohttp's parser has refused everything but digits
