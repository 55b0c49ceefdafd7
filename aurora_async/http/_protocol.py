"""aiohttp's connection, from which a body can be taken over while it comes, and to which its end is given back.

aiohttp's parser tells what is in a body, not how far it is in it: with chunks nobody else could go on where it stopped.
So what came is kept beside it, as it came, until somebody has decided how to read the body.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from aiohttp.streams import StreamReader

from aurora_async.http._bulk import Remainder, Source
from aurora_async.http._line import Line
from aurora_async.http._tapped import Tapped

__all__ = ["BodyProtocol"]

_KEPT_BYTES = 1 << 20
"""aiohttp stops reading before, where nobody takes what came."""
_LONGEST_LINE = 1 << 15


class BodyProtocol(Line):
    """A connection for bodies."""

    _kept: list[bytes] | None = None
    _kept_bytes = 0
    _tapped: Tapped | None = None
    when_lost: Callable[[], None] | None = None
    """Ends the work of whoever took the body over."""

    def set_response_params(self, **options: Any) -> None:
        """Prepare for the next answer."""
        self._kept, self._kept_bytes = [], 0
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._kept is not None:
            self._kept.append(data)
            self._kept_bytes += len(data)
            if self._kept_bytes > _KEPT_BYTES:
                self._kept = None
        super().data_received(data)
        if self._payload is not None and self._payload.is_eof():
            self._kept = None

    def connection_lost(self, error: BaseException | None) -> None:
        """Tell whoever took it over."""
        if self.when_lost is not None:
            self.when_lost()
        super().connection_lost(error)

    def forget(self) -> None:
        """Stop keeping: somebody reads what the parser gives."""
        self._kept = None

    def take_over(self, *, by_thread: bool) -> tuple[Source, bytes] | None:
        """Stop reading, and return where the rest of the body comes from, with what came of it, as sent.

        None where that cannot be: on Windows' own event loop, when the body is here already, or, in the loop, over TLS.
        """
        kept, self._kept = self._kept, None
        transport = self.transport
        if kept is None or transport is None or transport.is_closing() or sys.platform == "win32":
            return None
        found = transport.get_extra_info("socket")
        body = _behind_head(b"".join(kept))
        if found is None or body is None:
            return None
        if transport.get_extra_info("sslcontext") is None:
            try:
                duplicate = socket.dup(found.fileno())  # closing it leaves the connection as it is
            except OSError:  # too many open files; the slow way needs no more of them
                return None
            self.pause_reading()
            return socket.socket(found.family, found.type, found.proto, fileno=duplicate), body
        if not by_thread:
            return None
        self.pause_reading()
        self._tapped = Tapped(transport)
        transport.set_protocol(self._tapped)
        transport.resume_reading()
        return self._tapped, body

    async def give_back(self, rest: Remainder, content: StreamReader) -> StreamReader | None:
        """Go on with the rest of a body that was taken over.

        `content`, which is what was read from before, ends when the one that is returned does; None when the connection
        was closed meanwhile.
        """
        self.when_lost = None
        tapped = self._untapped()
        if self.transport is None or (tapped is None and self.transport.is_closing()):
            self._hear_end(tapped)
            return None
        came = rest.came if tapped is None else rest.came + tapped.left()
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self.read_timeout,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        self._kept = None
        self.data_received(rest.head)
        self.resume_reading()
        _, reader = await self.read()
        self.data_received(came)
        if rest.extra:
            reader._read_nowait(rest.extra)  # which tells of no error yet
        reader.on_eof(content.feed_eof)
        self._hear_end(tapped)
        return reader

    def give_up(self) -> None:
        """Go on with nothing: the connection is of no use any more, but has to hear of its end."""
        self.when_lost = None
        self.force_close()
        self._hear_end(self._untapped())

    def _untapped(self) -> Tapped | None:
        tapped, self._tapped = self._tapped, None
        if tapped is not None:
            tapped.transport.set_protocol(self)
            if not tapped.is_over:
                tapped.successor = self  # asyncio may have told it of something already, to be heard in the next turn
        return tapped

    def _hear_end(self, tapped: Tapped | None) -> None:
        if tapped is not None and tapped.is_over:
            self.connection_lost(tapped.error)


def _behind_head(received: bytes) -> bytes | None:
    """Return what follows the head of an answer, None where it is not all there, or spelled with bare line feeds."""
    at = 0
    while (end := received.find(b"\r\n\r\n", at) + 4) > 3:
        if received.count(b"\n", at, end) != received.count(b"\r\n", at, end):
            return None
        # Interim answers ("100 Continue") precede the one that counts.
        if received[at:end].split(b" ", 2)[1][:1] != b"1":
            return received[end:]
        at = end
    return None
