"""An answer whose body is read while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from aurora_async.config import Timeouts
from aurora_async.errors import AuroraError, MalformedAnswer, ReadTimeout
from aurora_async.http._bulk import Chunked, Framing, Receiver, Silent, Sized, receiving
from aurora_async.http._decoding import Decoder, decoder_for
from aurora_async.http._errors import FOREIGN_ERRORS, shown_url
from aurora_async.http._lane import Response
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
        if isinstance(self._connection, BodyProtocol):
            self._connection.forget()
        content = self._response.content
        content.set_read_chunk_size(size)
        while chunk := await self._next(content, size):
            if decoder is None:
                yield chunk
            else:
                for piece in decoder.feed(chunk, size):
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
        framing = self._framing()
        if framing is None or self._read or not isinstance(self._connection, BodyProtocol):
            return 0
        protocol = self._connection
        decoder = decoder_for(self.headers.get("Content-Encoding"), self._shown) if decode else None
        if (taken := protocol.take_over()) is None:
            return 0
        source, first = taken
        self._has_poured, self._decoder = True, decoder
        receiver = Receiver(
            source, framing, first, take, decoder=decoder, heard=self._pace.heard, silence_s=self._silence_s
        )
        try:
            rest = await receiving(receiver, tell)
        except BaseException as error:
            protocol.give_up()
            if isinstance(error, Silent):
                raise self._ours(aiohttp.SocketTimeoutError(), self.method, self._shown) from None
            raise
        content = await protocol.give_back(rest, self._response.content)
        if content is None:
            raise self._ours(aiohttp.ClientConnectionError(), self.method, self._shown)
        self._response.content = content
        return receiver.delivered

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
