"""What comes over TLS, for a thread that receives it as if from a socket.

The event loop decrypts it, into one of a few buffers that go back and forth, and stops while the thread has them all.
"""

from __future__ import annotations

import asyncio
import queue

__all__ = ["Tapped"]

_BUFFER_BYTES = 256 << 10
_BUFFERS = 3


class Tapped(asyncio.BufferedProtocol):
    """Stands in for the protocol of a transport, and has the methods of a socket that `Receiver` needs."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_over = False
        """No more will come."""
        self.error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self.transport = transport
        self._free = [memoryview(bytearray(_BUFFER_BYTES)) for _ in range(_BUFFERS)]
        self._full = queue.SimpleQueue[tuple[memoryview, int] | None]()
        self._view = memoryview(b"")
        self._current: memoryview | None = None
        self._longest_s = 0.0
        self.successor: asyncio.Protocol | None = None
        """Whose transport it is again; what is still on its way here is for him."""

    # In the event loop ------------------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._free[-1]

    def buffer_updated(self, nbytes: int) -> None:
        if self.successor is not None:
            self.successor.data_received(bytes(self._free[-1][:nbytes]))
            return
        self._full.put((self._free.pop(), nbytes))
        if not self._free:
            self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over, self.error = True, error
        self._full.put(None)
        if self.successor is not None:
            self.successor.connection_lost(error)

    def _give_back(self, buffer: memoryview) -> None:
        self._free.append(buffer)
        if len(self._free) == 1 and not self.is_over and self.successor is None:
            self.transport.resume_reading()

    def left(self) -> bytes:
        """Return what nobody has received."""
        pieces = [bytes(self._view)]
        while not self._full.empty():
            if (full := self._full.get()) is not None:
                pieces.append(bytes(full[0][: full[1]]))
        return b"".join(pieces)

    # In the thread ----------------------------------------------------------------------------------------------------

    def settimeout(self, longest_s: float) -> None:
        self._longest_s = longest_s

    def recv_into(self, into: memoryview) -> int:
        if not self._view:
            try:
                full = self._full.get(timeout=self._longest_s)
            except queue.Empty:
                raise TimeoutError from None
            if full is None:
                return 0
            self._current, size = full
            self._view = self._current[:size]
        size = min(len(into), len(self._view))
        into[:size] = self._view[:size]
        self._view = self._view[size:]
        if not self._view and self._current is not None:
            self._loop.call_soon_threadsafe(self._give_back, self._current)
        return size

    def fileno(self) -> int:
        """There is none: this is for threads, not for the loop to wait on."""
        return -1

    def shutdown(self, how: int) -> None:
        self._full.put(None)

    def close(self) -> None:
        """Nothing is held open."""
