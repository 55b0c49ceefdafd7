"""What is really on the wire: one exchange over a plain socket, with nobody in between to put things right."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs
from multidict import CIMultiDict

__all__ = ["Wire", "exchange"]


@attrs.frozen
class Wire:
    """All that came before the server closed, reset, or said no more: the bytes, and how long they took."""

    received: bytes
    end: Literal["closed", "reset", "silent"]
    seconds: float

    @property
    def head(self) -> str:
        """The status line and the headers."""
        return self.received.partition(b"\r\n\r\n")[0].decode()

    @property
    def status(self) -> int:
        """The status."""
        return int(self.head.split(" ", 2)[1])

    @property
    def headers(self) -> CIMultiDict[str]:
        """The headers."""
        lines = (line.partition(": ") for line in self.head.split("\r\n")[1:])
        return CIMultiDict((name, value) for name, _, value in lines)

    @property
    def framed(self) -> bytes:
        """All that came after the headers, as it was framed."""
        return self.received.partition(b"\r\n\r\n")[2]

    @property
    def body(self) -> bytes:
        """What came of the body."""
        return self._unchunked()[0] if self.headers.get("Transfer-Encoding") == "chunked" else self.framed

    @property
    def is_whole(self) -> bool:
        """Whether the message is complete by its own account."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            return self._unchunked()[1]
        return len(self.framed) == int(self.headers["Content-Length"])

    @property
    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)

    def _unchunked(self) -> tuple[bytes, bool]:
        left, found = self.framed, b""
        while (end := left.find(b"\r\n")) >= 0:
            size = int(left[:end], 16)
            if size == 0:
                return found, left == b"0\r\n\r\n"
            found += left[end + 2 : end + 2 + size]
            left = left[end + 2 + size + 2 :]
        return found, False


def exchange(
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    silent_s: float = 5.0,
) -> Wire:
    """Ask for a URL on a connection of its own; `silent_s` without a byte end it."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    all_headers = {"Host": parts.netloc, "Connection": "close", **(headers or {})}
    if body is not None:
        all_headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **all_headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items()), "", ""]
    received = b""
    end: Literal["closed", "reset", "silent"] = "closed"
    began = time.monotonic()
    assert parts.hostname is not None and parts.port is not None
    with socket.create_connection((parts.hostname, parts.port), timeout=silent_s) as connection:
        connection.sendall("\r\n".join(lines).encode() + (body or b""))
        try:
            while chunk := connection.recv(1 << 16):
                received += chunk
        except ConnectionResetError:
            end = "reset"
        except TimeoutError:
            end = "silent"
    return Wire(received, end, time.monotonic() - began)
