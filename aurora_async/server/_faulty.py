"""What goes out to a client when a rule has it go wrong: the bytes of one answer, changed, slowed, stopped or cut."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

if TYPE_CHECKING:
    from aurora_async.server.faults import Fault
    from aurora_async.server.rules import FaultRule

__all__ = ["FaultyWriter"]

_LOOK_S = 0.02
"""How often something that waits looks whether it still has to."""
_SLICES_PER_S = 20
_GZIP_WINDOW = 31  # zlib's way to say: with a gzip header


class FaultyWriter(AbstractStreamWriter):
    """Stands between a response and the connection, which aiohttp's own writer frames for it.

    Once the connection is cut every call raises `ConnectionResetError`, as it does when a client has gone.
    """

    def __init__(self, writer: AbstractStreamWriter, rule: FaultRule, fault: Fault, *, is_head: bool) -> None:
        assert isinstance(writer, StreamWriter)
        self._writer = writer
        self._rule = rule
        self._fault = fault
        self._is_head = is_head
        self._is_cut = False
        self._chunked = False
        self._status_line = ""
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._gathered: bytearray | None = None
        self._held = b""
        self._sent = 0
        self._damage_at: int | None = None
        self._stops: list[tuple[int, Callable[[], Awaitable[None]]]] = []

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection, None when it is gone."""
        return self._writer.transport

    async def before_handling(self) -> None:
        """Do what the rule does before the request is carried out."""
        await self._wait(self._rule.delay_s)
        await self._at_place("request")

    # What a response calls ------------------------------------------------------------------------------------------

    def enable_chunking(self) -> None:
        """Send the body in chunks."""
        self._chunked = True

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Unused: the handlers compress what they send."""
        raise NotImplementedError

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Begin the answer."""
        if self._is_cut:
            raise _cut_off()
        self._status_line, self._headers = status_line, headers.copy()
        await self._at_place("answer")
        length = headers.get("Content-Length")
        if self._must_be_gathered(length is not None):
            self._gathered = bytearray()
        else:
            await self._open(None if length is None else int(length))

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send a part of the body."""
        if self._is_cut:
            raise _cut_off()
        if self._gathered is not None:
            self._gathered += chunk
        else:
            await self._send(self._shortened(bytes(chunk)))

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send the last part of the body, and end the answer."""
        await self.write(chunk)
        if self._gathered is not None:
            body, self._gathered = self._finished(bytes(self._gathered)), None
            await self._open(len(body))
            await self._send(self._shortened(body))
        if self._rule.content_length_off > 0 and not self._is_head:
            await self._cut()  # on a connection that stays open the client would wait for the rest: that is a stall
        await self._writer.write_eof()
        self.output_size = self._writer.output_size

    async def drain(self) -> None:
        """Wait until the client has taken what was sent."""
        await self._writer.drain()

    # The changes ----------------------------------------------------------------------------------------------------

    def _must_be_gathered(self, has_length: bool) -> bool:
        """Tell whether the whole body must be known before the first byte of it goes out."""
        rule = self._rule
        if self._is_head:
            return False
        if rule.gzip and "Content-Encoding" not in self._headers:
            return True
        needs_length = rule.content_length_off or isinstance(rule.cut_at, float) or isinstance(rule.stall_at, float)
        return bool(needs_length) and not has_length

    def _finished(self, body: bytes) -> bytes:
        if self._rule.gzip and "Content-Encoding" not in self._headers:
            body = zlib.compress(body, wbits=_GZIP_WINDOW)
            self._headers["Content-Encoding"] = "gzip"
        if self._rule.content_length_off:
            self._chunked = False
            self._headers.popall("Transfer-Encoding", None)
        if not self._chunked:
            self._headers["Content-Length"] = str(len(body))
        return body

    async def _open(self, length: int | None) -> None:
        """Send the headers, now that all is known that they say."""
        rule, headers = self._rule, self._headers
        if length is not None:
            length = max(0, length - rule.short_by)
        if "Content-Length" in headers and length is not None:
            headers["Content-Length"] = str(max(0, length + rule.content_length_off))
        if rule.content_range_off and (said := headers.get("Content-Range")):
            headers["Content-Range"] = _moved(said, rule.content_range_off)
        if rule.chunked and not self._is_head and length is not None:
            self._chunked = True
            headers.popall("Content-Length", None)
            headers["Transfer-Encoding"] = "chunked"
        for name, value in rule.headers.items():
            headers.popall(name, None)
            if value:
                headers[name] = value
        self._damage_at = None if not rule.malformed else -1 if length is None else length // 2
        stops = [
            (_position(rule.stall_after, rule.stall_at, length), self._stall),
            (_position(rule.cut_after, rule.cut_at, length), self._cut),
        ]
        self._stops = sorted(((at, stop) for at, stop in stops if at is not None), key=lambda stop: stop[0])
        if self._chunked:
            self._writer.enable_chunking()
        lines = [self._status_line, *(f"{name}: {value}" for name, value in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        half = len(head) // 2
        self._write_raw(head[:half])
        await self._at_place("headers")
        self._write_raw(head[half:])
        await self._stop_here()

    def _shortened(self, chunk: bytes) -> bytes:
        """Hold back what may be the end of the body."""
        if not (short_by := self._rule.short_by):
            return chunk
        chunk = self._held + chunk
        self._held = chunk[-short_by:]
        return chunk[: len(chunk) - len(self._held)]

    def _damaged(self, chunk: bytes) -> bytes:
        if self._damage_at is None or not chunk:
            return chunk
        if self._damage_at < 0:  # of a body of unknown length, the middle of the first part
            self._damage_at = len(chunk) // 2
        at = self._damage_at - self._sent
        return chunk[:at] + b"\0" + chunk[at + 1 :] if 0 <= at < len(chunk) else chunk

    # The flow -------------------------------------------------------------------------------------------------------

    def _write_raw(self, data: bytes) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            raise _cut_off()
        transport.write(data)
        self.output_size += len(data)

    async def _send(self, chunk: bytes) -> None:
        chunk = self._damaged(chunk)
        while chunk:
            until = self._stops[0][0] - self._sent if self._stops else len(chunk)
            part, chunk = chunk[:until], chunk[until:]
            await self._send_at_pace(part)
            self._sent += len(part)
            await self._stop_here()

    async def _send_at_pace(self, part: bytes) -> None:
        pace = self._rule.bytes_per_s
        if pace is None:
            await self._writer.write(part)
            return
        step = max(1, int(pace / _SLICES_PER_S))
        for begin in range(0, len(part), step):
            piece = part[begin : begin + step]
            await self._writer.write(piece)
            await self._wait(len(piece) / pace)

    async def _stop_here(self) -> None:
        while self._stops and self._stops[0][0] <= self._sent:
            _, stop = self._stops.pop(0)
            await stop()

    async def _at_place(self, place: str) -> None:
        if self._rule.stall_at == place:
            await self._stall()
        if self._rule.cut_at == place:
            await self._cut()

    async def _stall(self) -> None:
        await self._wait(float("inf") if self._rule.stall_s is None else self._rule.stall_s)
        if self._rule.stall_s is None:
            await self._cut()  # the rule was removed, and nobody waits for an answer so late

    async def _wait(self, seconds: float) -> None:
        """Let time pass, as long as the rule is there, and the client."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._fault.is_active and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, _LOOK_S))
            if (transport := self.transport) is None or transport.is_closing():
                self._is_cut = True
                raise _cut_off()

    async def _cut(self) -> NoReturn:
        self._is_cut = True
        if (transport := self.transport) is not None:
            if self._rule.reset:
                transport.set_write_buffer_limits(0)
                await self._writer.drain()  # a reset throws away what has not left yet
                _make_closing_reset(transport)
                transport.abort()
            else:
                transport.close()  # after what is still to be sent
        raise _cut_off()


def _make_closing_reset(transport: asyncio.Transport) -> None:
    connection: Any = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut_off() -> ConnectionResetError:
    return ConnectionResetError("the connection was cut by a scripted fault")


def _position(after: int | None, at: float | str | None, length: int | None) -> int | None:
    """Return the byte of the body at which something happens, None where it does not happen in the body."""
    if after is not None:
        return after
    if at is None or isinstance(at, str):
        return None
    return int(at * (length or 0))


def _moved(content_range: str, off: int) -> str:
    return re.sub(
        r"(\d+)-(\d+)",
        lambda match: f"{max(0, int(match[1]) + off)}-{max(0, int(match[2]) + off)}",
        content_range,
        count=1,
    )
