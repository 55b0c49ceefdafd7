"""A server whose answer has no end, in a thread of its own: it shows how fast it is read."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Endless:
    """Answers each connection with a beginning, and then with the same block for ever."""

    def __init__(self, listener: socket.socket, beginning: bytes, block: bytes) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.sent = 0
        self._listener = listener
        self._beginning = beginning
        self._block = block
        self._ended = threading.Event()

    def settled(self) -> int:
        """Return how much has been sent when nothing more is taken."""
        before = -1
        while before != self.sent:
            before = self.sent
            time.sleep(0.2)
        return before

    def hung_up(self) -> bool:
        """Wait until the reader has gone, and be ready for another; False when he stays."""
        gone = self._ended.wait(5)
        self._ended.clear()
        return gone

    def serve(self) -> None:
        """Take one connection after the other, until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self._answer(connection)
                self._ended.set()

    def _answer(self, connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        if not connection.recv(65536):
            return
        connection.sendall(head + b"%x\r\n%s\r\n" % (len(self._beginning), self._beginning))
        chunk = b"%x\r\n%s\r\n" % (len(self._block), self._block)
        while True:
            connection.sendall(chunk)
            self.sent += len(chunk)


@contextmanager
def endless(beginning: bytes, block: bytes) -> Iterator[Endless]:
    """Run one on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Endless(listener, beginning, block)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
