"""A file server that can do everything right, and everything wrong."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

OLD = "Wed, 01 Jan 2020 00:00:00 GMT"


def content(size: int, seed: str = "a") -> bytes:
    """Bytes in which no part is like another."""
    block = b"".join(hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(64))
    return (block * (size // len(block) + 1))[:size]


@dataclass
class Seen:
    """One request, and how many bytes of the body it got."""

    method: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class FileServer:
    """Serves one file; a fault is called with the number of the request (from 0) and says what to do to it."""

    data: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = OLD
    ranges: bool = True
    if_range: bool = True
    """False gives a part of whatever version there is."""
    dated_parts: bool = True
    """False leaves Last-Modified out of parts, as RFC 9110 (15.3.7) has it."""
    chunked: bool = False
    conditional: bool = False
    """Whether If-None-Match is heeded."""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: Callable[[int], int | None] = lambda number: None
    status: Callable[[int], web.Response | None] = lambda number: None
    before: Callable[[int], None] = lambda number: None
    wait_s: Callable[[int, int], float] = lambda number, at: 0.0
    seen: list[Seen] = field(default_factory=list)
    piece: int = 64 << 10
    url: str = ""

    @property
    def sent(self) -> int:
        """All body bytes that were sent."""
        return sum(one.sent for one in self.seen)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        number = len(self.seen)
        self.before(number)
        seen = Seen(request.method, dict(request.headers))
        self.seen.append(seen)
        if (refusal := self.status(number)) is not None:
            return refusal
        if self.conditional and self.etag is not None and request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304, headers={"ETag": self.etag})
        first, last = 0, len(self.data) - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        condition = request.headers.get("If-Range")
        holds = condition in (None, self.etag, self.last_modified) or not self.if_range
        partial = bool(asked) and self.ranges and holds
        headers = {**self.headers, "Accept-Ranges": "bytes"}
        if partial and asked is not None:
            first = int(asked[1])
            last = min(int(asked[2] or last), last)
            if first > last:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(self.data)}"
        if self.etag is not None:
            headers["ETag"] = self.etag
        if self.last_modified is not None and (self.dated_parts or not partial):
            headers["Last-Modified"] = self.last_modified
        body = self.data[first : last + 1]
        response = web.StreamResponse(status=206 if partial else 200, headers={**headers, **self.headers})
        if self.chunked:
            response.enable_chunked_encoding()
        elif "Content-Length" not in self.headers:
            response.content_length = len(body)
        await response.prepare(request)
        cut = self.cut_at(number)
        for at in range(0, len(body), self.piece):
            piece = body[at : at + self.piece]
            if cut is not None and at + len(piece) > cut:
                await response.write(piece[: max(0, cut - at)])
                seen.sent += max(0, cut - at)
                assert request.transport is not None
                request.transport.close()  # not a reset, which may overtake what was written
                return response
            try:
                await response.write(piece)
            except ConnectionError:  # the client has gone
                return response
            seen.sent += len(piece)
            if wait_s := self.wait_s(number, at):
                await asyncio.sleep(wait_s)
        if cut is not None and cut >= len(body) and request.transport is not None:
            request.transport.close()  # all but the end of a chunked body
            return response
        await response.write_eof()
        return response


@asynccontextmanager
async def serving_file(data: bytes, **options: Any) -> AsyncIterator[FileServer]:
    """Run a file server on a free loopback port."""
    server = FileServer(data, **options)
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer, allow_head=False)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/files/data.bin"  # type: ignore[union-attr]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_bytes(*answers: bytes, then: str = "close") -> AsyncIterator[tuple[str, list[bytes]]]:
    """Send just these bytes, the last of them again and again, and `close` or `reset` the connection.

    Gives the URL, and the requests as they come.
    """
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[min(len(seen), len(answers)) - 1])
        await writer.drain()
        if then == "reset":
            await asyncio.sleep(0.02)
            writer.transport.abort()
        else:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/files/data.bin", seen
