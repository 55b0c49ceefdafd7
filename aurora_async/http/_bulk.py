"""The middle of a large body, received into a buffer of its own: in a thread for what writes it, or in the loop.

asyncio gives each piece of a body as new bytes, aiohttp copies them, and a thread is asked to write each batch: half of
curl's speed. A thread that receives into one buffer and writes from it does no more than curl, in larger pieces. Who
works on a body in the loop receives from the socket what he wants next, at a tenth of what it costs through the parser.

What is easily got wrong stays where it was: head, first bytes, last bytes, trailers and all that is broken are read by
aiohttp. This takes the socket while all is as expected, and gives it back before the end, or where that begins which it
does not understand.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Protocol

import anyio
import anyio.to_thread
import attrs

from aurora_async.http._decoding import Decoder

__all__ = ["Chunked", "Framing", "Receiver", "Remainder", "Silent", "Sized", "Source", "receiving"]

_BUFFER_BYTES = 512 << 10
_LEAST_ROOM = 16 << 10
_GATHER_S = 0.1
"""Longest that what came waits for more, to be handed on together."""
_TELL_S = 0.1
_TURN_S = 0.01
"""Longest that others wait for their turn in the loop."""
_STOP_S = 5.0


class Silent(Exception):
    """Nothing came for too long."""


@attrs.frozen
class Remainder:
    """The rest of a body, as an answer of its own: `extra` bytes of what came precede it."""

    head: bytes
    came: bytes = b""
    extra: int = 0


class Source(Protocol):
    """What a receiver needs of a socket."""

    def fileno(self) -> int: ...

    def settimeout(self, longest_s: float, /) -> None: ...

    def recv_into(self, into: memoryview, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Framing(Protocol):
    """Where in what comes the body is; that begins with `before`, and then comes from the network."""

    @property
    def before(self) -> bytes: ...

    def room(self, room: int) -> int:
        """How many bytes of `room` may be received now; 0 at the end."""

    def strip(self, buffer: bytearray, have: int, end: int) -> tuple[int, int]:
        """Move what is body of what came, between `have` and `end`, to `have`; return where it and the rest end now."""

    def rest(self) -> Remainder:
        """What is left of this body, as if it were an answer of its own."""


class Sized:
    """A body of known length: all but its last byte."""

    before = b""

    def __init__(self, length: int) -> None:
        self._left = length - 1

    def room(self, room: int) -> int:
        return min(room, self._left)

    def strip(self, buffer: bytearray, have: int, end: int) -> tuple[int, int]:
        self._left -= end - have
        return end, end

    def rest(self) -> Remainder:
        return Remainder(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (self._left + 1))


class Chunked:
    """A body in chunks: all up to the last one, or to anything out of the ordinary, such as extensions."""

    before = b"\r\n"
    """Stands between two chunks."""

    def __init__(self) -> None:
        self._left = 0
        self._ended = False

    def room(self, room: int) -> int:
        return 0 if self._ended else room

    def strip(self, buffer: bytearray, have: int, end: int) -> tuple[int, int]:
        at = have
        with memoryview(buffer) as view:
            while True:
                size = min(self._left, end - at)
                if at != have:
                    view[have : have + size] = view[at : at + size]
                have += size
                at += size
                self._left -= size
                if at == end:
                    return have, have
                found = _NEXT_CHUNK.match(buffer, at, end)
                if found is None or int(found[1], 16) == 0:
                    break
                self._left = int(found[1], 16)
                at = found.end()
            self._ended = found is not None or _NEXT_CHUNK_BEGINS.fullmatch(buffer, at, end) is None
            view[have : have + end - at] = view[at:end]
            return have, have + end - at

    def rest(self) -> Remainder:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        # Between two chunks there is no place to begin at; behind a byte of one there is.
        return Remainder(head, b"%x\r\n" % self._left) if self._left else Remainder(head, b"1\r\nx", 1)


_NEXT_CHUNK = re.compile(rb"\r\n([0-9a-fA-F]{1,15})\r\n")
_NEXT_CHUNK_BEGINS = re.compile(rb"\r?|\r\n[0-9a-fA-F]{0,15}\r?")


class Receiver:
    """Receives a body from a socket until its end is near, once, by `run` in a thread or `pieces` in the loop.

    `heard` is told how long the next so many bytes were waited for, and may raise.
    """

    def __init__(
        self,
        source: Source,
        framing: Framing,
        first: bytes,
        *,
        heard: Callable[[float, int], None],
        silence_s: float,
    ) -> None:
        self.delivered = 0
        self.rest = Remainder(b"")
        """What is left, at the end."""
        self._source = source
        self._framing = framing
        self._came = memoryview(framing.before + first)
        self._heard = heard
        self._silence_s = silence_s
        self._waited_s = self._heard_s = 0.0
        self._waiting_since: float | None = None
        self._readable: asyncio.Event | None = None
        """Somebody waits for it."""
        self._stopped = False

    @property
    def waited_s(self) -> float:
        """How long the network was waited for until now."""
        since = self._waiting_since
        return self._waited_s + (0 if since is None else time.monotonic() - since)

    def stop(self) -> None:
        """Have `run` end soon, from another thread. The connection is of no use afterwards."""
        self._stopped = True
        with contextlib.suppress(OSError):  # not connected any more
            self._source.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket: once `run` has ended, or to have `pieces` end."""
        if self._readable is not None:
            asyncio.get_running_loop().remove_reader(self._source.fileno())
            self._readable.set()
        self._source.close()

    async def pieces(self, size: int) -> AsyncGenerator[bytes, None]:
        """Yield what comes, `size` bytes at most at a time.

        Raises:
            Silent: Nothing came for `silence_s`.
        """
        self._source.settimeout(0)
        buffer = bytearray(size)
        end = 0
        turned = time.monotonic()
        try:
            with memoryview(buffer) as view:
                while room := self._framing.room(size - end):
                    if time.monotonic() - turned > _TURN_S:  # what comes may never have to be waited for
                        await asyncio.sleep(0)
                        turned = time.monotonic()
                    if not (came := await self._arriving(view[end : end + room])):
                        break
                    have, end = self._framing.strip(buffer, 0, end + came)
                    if have:
                        yield bytes(view[:have])
                        view[: end - have] = view[have:end]
                        end -= have
                self._leave(view[:end])
        finally:
            self.close()

    def run(self, take: Callable[[memoryview], object], decoder: Decoder | None) -> None:
        """Give `take` what comes, decompressed, in pieces that are gone afterwards.

        Raises:
            Silent: Nothing came for `silence_s`.
        """
        buffer = bytearray(_BUFFER_BYTES)
        have = end = 0
        since = 0.0
        with memoryview(buffer) as view:
            while (room := self._framing.room(_BUFFER_BYTES - end)) and not self._stopped:
                came = self._receive(view[end : end + room], _GATHER_S if have else self._silence_s)
                if came is None and not have:
                    raise Silent
                if came:
                    since = since if have else time.monotonic()
                    have, end = self._framing.strip(buffer, have, end + came)
                is_full = _BUFFER_BYTES - end < _LEAST_ROOM
                if have and (is_full or not came or time.monotonic() - since > _GATHER_S):
                    self._deliver(view[:have], take, decoder)
                    view[: end - have] = view[have:end]
                    have, end = 0, end - have
                if came == 0:
                    break
            if have:
                self._deliver(view[:have], take, decoder)
            self._leave(view[have:end])

    def _leave(self, unread: memoryview) -> None:
        rest = self._framing.rest()
        self.rest = attrs.evolve(rest, came=b"".join((rest.came, unread, self._came)))

    def _receive(self, into: memoryview, longest_s: float) -> int | None:
        """Return how many bytes came, 0 when the connection has ended, None when time ran out."""
        if self._came:
            return self._receive_first(into)
        self._source.settimeout(longest_s)  # never None: that would make the original block
        self._waiting_since = began = time.monotonic()
        try:
            came = self._source.recv_into(into)
        except TimeoutError:
            return None
        except OSError:  # whoever reads on finds out which
            return 0
        finally:
            self._waiting_since = None
            self._waited_s += time.monotonic() - began
        return self._received(came)

    async def _arriving(self, into: memoryview) -> int:
        """Like `_receive`, in the loop."""
        if self._came:
            return self._receive_first(into)
        is_late = False
        while True:
            try:
                return self._received(self._source.recv_into(into))
            except BlockingIOError:
                if is_late:
                    raise Silent from None
            except OSError:
                return 0
            began = time.monotonic()
            # What came while the loop was held up for longer than that is there now all the same.
            is_late = not await self._is_readable()
            self._waited_s += time.monotonic() - began

    async def _is_readable(self) -> bool:
        """Wait until something can be received, or the time for that is up."""
        loop, place = asyncio.get_running_loop(), self._source.fileno()
        self._readable = asyncio.Event()
        loop.add_reader(place, self._readable.set)
        try:
            async with asyncio.timeout(self._silence_s):
                return await self._readable.wait()
        except TimeoutError:
            return False
        finally:
            if self._source.fileno() == place:
                loop.remove_reader(place)
            self._readable = None

    def _receive_first(self, into: memoryview) -> int:
        size = min(len(into), len(self._came))
        into[:size] = self._came[:size]
        self._came = self._came[size:]
        return size

    def _received(self, came: int) -> int:
        waited_s, self._heard_s = self._waited_s - self._heard_s, self._waited_s
        self._heard(waited_s, came)
        return came

    def _deliver(self, piece: memoryview, take: Callable[[memoryview], object], decoder: Decoder | None) -> None:
        if decoder is None:
            take(piece)
            self.delivered += len(piece)
            return
        for decoded in decoder.feed(piece):
            take(memoryview(decoded))
            self.delivered += len(decoded)


async def receiving(
    receiver: Receiver,
    take: Callable[[memoryview], object],
    decoder: Decoder | None,
    tell: Callable[[int, float], object] | None,
) -> None:
    """Run a receiver in a thread, which is gone afterwards; raises what `tell` raises, too."""
    # A limiter of its own: those who wait for the network must not keep others from the threads they share.
    run = partial(anyio.to_thread.run_sync, receiver.run, take, decoder, limiter=anyio.CapacityLimiter(1))
    thread = asyncio.ensure_future(run())
    thread.add_done_callback(lambda _: receiver.close())
    try:
        while not thread.done():
            await asyncio.wait([thread], timeout=_TELL_S)
            if tell is not None:
                tell(receiver.delivered, receiver.waited_s)
        thread.result()
    finally:
        if not thread.done():
            receiver.stop()
            with anyio.move_on_after(_STOP_S, shield=True):  # a disk that hangs longer is left to its thread
                await asyncio.wait([thread])
        if thread.done() and not thread.cancelled():
            thread.exception()  # of no interest any more where something else is raised
