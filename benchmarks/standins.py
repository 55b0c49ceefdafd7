"""Servers that are faster than every client: bare sockets, canned answers, bodies sent by the kernel (`sendfile`).

`searches` is one event loop that accepts, makes wait and answers; what it is to do is in its base URL: requests below
`/0.2-8` are ready 0.2 to 8 s after their submission, drawn from a seed, and `/0.2-8/_seen` tells what came of them.
`bodies` has every search ready at once, a thread a connection: below `/chunked/2000000000` the result is a list of two
gigabytes, sent in chunks. Besides `chunked` there are `plain`, `gzip`, and `lines` (JSON Lines).
"""

from __future__ import annotations

import asyncio
import json
import math
import mmap
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from benchmarks import records

__all__ = ["bodies", "local_service", "looks", "searches", "seen"]

_SEND_BYTES = 16 << 20
_CHUNK_BYTES = 32 << 10
_FEW = 10


@contextmanager
def searches() -> Iterator[str]:
    """Run the stand-in that lets requests wait; gives its address."""
    with _listening([sys.executable, "-m", "benchmarks.standins", "searches"]) as process:
        yield process[1]


@contextmanager
def bodies(authority: Path | None = None) -> Iterator[str]:
    """Run the stand-in for large results; with TLS where there is a file to put its authority's certificate into."""
    told = [] if authority is None else [str(authority)]
    with _listening([sys.executable, "-m", "benchmarks.standins", "bodies", *told]) as process:
        yield process[1]


@contextmanager
def local_service(*arguments: str) -> Iterator[tuple[int, str]]:
    """Run `aurora-async serve`; gives its process and its base URL."""
    with _listening([sys.executable, "-m", "aurora_async", "serve", "--port", "0", *arguments]) as process:
        yield process


def seen(base_url: str) -> list[dict[str, float]]:
    """Return what the stand-in saw of each request below a base URL, and have it forget that.

    `waited_s` is how long it was not ready, `looks` how often it was asked for until it was, `late_s` how long after
    that the first look came, and `accepted_s` an instant of the clock that they share.
    """
    with urllib.request.urlopen(f"{base_url}/_seen") as answer:
        found: list[dict[str, float]] = json.load(answer)
        return found


def looks(base_url: str) -> int:
    """Return how many looks the stand-in has answered below a base URL."""
    with urllib.request.urlopen(f"{base_url}/_looks") as answer:
        return int(answer.read())


@contextmanager
def _listening(command: Sequence[str]) -> Iterator[tuple[int, str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                raise RuntimeError(f"{' '.join(command)} printed {line!r}")
            yield process.pid, line.split()[-1]
        finally:
            process.terminate()


# Searches ----------------------------------------------------------------------------------------------------------


class _Search:
    __slots__ = ("accepted", "looks", "noticed", "query", "requested", "waits_s")

    def __init__(self, query: bytes, waits_s: float) -> None:
        self.query, self.waits_s = query, waits_s
        self.accepted, self.requested = time.monotonic(), time.time()
        self.looks, self.noticed = 0, math.nan


class _Place:
    """The requests below one base URL."""

    def __init__(self, waits: str) -> None:
        low, _, high = waits.partition("-")
        self.low_s, self.high_s = float(low), float(high or low)
        self.forget()

    def forget(self) -> None:
        self.random = Random(f"{self.low_s}-{self.high_s}")
        self.searches: dict[bytes, _Search] = {}
        self.looks = 0

    def waits_s(self) -> float:
        return math.exp(self.random.uniform(math.log(self.low_s or 1e-9), math.log(self.high_s or 1e-9)))

    def seen(self) -> bytes:
        told = [
            {
                "accepted_s": search.accepted,
                "waited_s": search.waits_s,
                "looks": search.looks,
                "late_s": search.noticed - search.accepted - search.waits_s,
            }
            for search in self.searches.values()
        ]
        self.forget()
        return json.dumps(told).encode()


_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HOST = re.compile(rb"(?i)\r\nhost: *(\S+)")
_REQUEST_ID = re.compile(rb'"request_id": ?"([^"]+)"')


class _Searches(asyncio.Protocol):
    places: ClassVar[dict[bytes, _Place]] = {}
    numbers = count()
    data = records.few(_FEW)
    data_head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.held = transport, b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            head, begin = self.held[:end], end + 4
            found = _LENGTH.search(head)
            until = begin + (int(found[1]) if found else 0)
            if len(self.held) < until:
                return
            body, self.held = self.held[begin:until], self.held[until:]
            self.transport.write(self.answer(head, body))

    def answer(self, head: bytes, body: bytes) -> bytes:
        method, path, _ = head.split(b" ", 2)
        _, waits, *below = path.split(b"/")
        place = self.places.get(waits)
        if place is None:
            place = self.places[waits] = _Place(waits.decode())
        if below == [b"_seen"]:
            return _json(place.seen())
        if below == [b"_looks"]:
            return _json(b"%d" % place.looks)
        kind = below[2]
        if method == b"POST":
            chosen = _REQUEST_ID.search(body)
            request_id = chosen[1] if chosen else b"00000000-0000-4000-8000-%012x" % next(self.numbers)
            place.searches[request_id] = _Search(body, place.waits_s())
            host = _HOST.search(head)
            where = (host[1] if host else b"", waits, kind, request_id)
            location = b"Location: http://%s/%s/api/v1/%s/requests/%s" % where
            return b"HTTP/1.1 202 Accepted\r\n%s\r\nContent-Length: 0\r\n\r\n" % location
        search = place.searches.get(below[4])
        if search is None:
            return _json(b'{"error_code": "NotFound", "error_message": "no such request"}', b"404 Not Found")
        if method == b"DELETE":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if below[-1] == b"data":
            return self.data_head + self.data
        place.looks += 1
        return _json(self.status(search, below[4], kind))

    def status(self, search: _Search, request_id: bytes, kind: bytes) -> bytes:
        now = time.monotonic()
        is_ready = now >= search.accepted + search.waits_s
        if math.isnan(search.noticed):
            search.looks += 1
            if is_ready:
                search.noticed = now
        ended = _timestamp(search.requested + search.waits_s) if is_ready else ""
        return _status(request_id, kind, search.query, _timestamp(search.requested), ended, _FEW, len(self.data))


def _json(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _timestamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).replace(tzinfo=None).isoformat()


def _status(request_id: bytes, kind: bytes, query: bytes, requested: str, ended: str, found: int, size: int) -> bytes:
    result = (
        b'"data_uri":"/api/v1/%s/requests/%s/data","result_count":%d,"file_size":%d,"query_duration":1,'
        b'"completed_timestamp":"%s"' % (kind, request_id, found, size, ended.encode())
        if ended
        else b'"data_uri":null,"result_count":null,"file_size":null,"query_duration":null,"completed_timestamp":null'
    )
    return (
        b'{"search_request":{"request_id":"%s","query":%s,"requested":"%s","request_type":"%s"},'
        b'"logs":[{"level":"debug","summary":"Search request arrived and saved","timestamp":"%s"}],'
        b'"search_result":{%s,"error_condition":false,"result_file_deleted_timestamp":null}}'
    ) % (request_id, query or b"{}", requested.encode(), kind, requested.encode(), result)


async def _serve_searches() -> None:
    server = await asyncio.get_running_loop().create_server(_Searches, "127.0.0.1", 0, backlog=4096)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


# Bodies ------------------------------------------------------------------------------------------------------------


class _Result:
    """A result of about `size` bytes in one coding: pieces in memory, each with how often it is sent."""

    def __init__(self, coding: str, size: int) -> None:
        block, lines = records.block(), coding == "lines"
        blocks = max(size // (len(block) + 1), 1)
        self.records = blocks * records.RECORDS_A_BLOCK
        if lines:
            block = block.replace(b'},{"data_source"', b'}\n{"data_source"')
        head, tail = (b"", b"\n") if lines else (b'{"result":[', b"]}")
        unit = (b"\n" if lines else b",") + block
        self.bytes = len(head) + len(block) + (blocks - 1) * len(unit) + len(tail)
        # Whatever is sent once or a thousand times is coded once.
        many = max(_SEND_BYTES // len(unit), 1)
        times, rest = divmod(blocks - 1, many)
        once, often, last = head + block, unit, tail
        self.headers = f"Content-Length: {self.bytes}\r\n"
        if coding == "chunked":
            once, often, last = _framed(once), _framed(often), _framed(last) + b"0\r\n\r\n"
            self.headers = "Transfer-Encoding: chunked\r\n"
        elif coding == "gzip":
            check = zlib.crc32(once)
            for _ in range(blocks - 1):
                check = zlib.crc32(often, check)
            check = zlib.crc32(last, check)
            ends = zlib.compressobj(wbits=-zlib.MAX_WBITS).flush()
            ends += check.to_bytes(4, "little") + (self.bytes % (1 << 32)).to_bytes(4, "little")
            once = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + _deflated(once)
            often, last = _deflated(often), _deflated(last) + ends
            length = len(once) + (blocks - 1) * len(often) + len(last)
            self.headers = f"Content-Length: {length}\r\nContent-Encoding: gzip\r\n"
        pieces = ((once, 1), (often * many if times else b"", times), (often * rest, 1), (last, 1))
        self.pieces = [(_Piece(piece), often) for piece, often in pieces if piece]


class _Piece:
    """Bytes in a file in memory, from which the kernel sends."""

    def __init__(self, data: bytes) -> None:
        if hasattr(os, "memfd_create"):
            self.file = os.fdopen(os.memfd_create("piece"), "w+b")
        else:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
        self.file.write(data)
        self.file.flush()
        self.view = memoryview(mmap.mmap(self.file.fileno(), len(data), access=mmap.ACCESS_READ))

    def send(self, connection: socket.socket) -> None:
        if isinstance(connection, ssl.SSLSocket):
            for at in range(0, len(self.view), 1 << 20):
                connection.sendall(self.view[at : at + (1 << 20)])
        else:
            connection.sendfile(self.file, 0, len(self.view))


def _framed(data: bytes) -> bytes:
    pieces = (data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def _deflated(data: bytes) -> bytes:
    """Compress to a piece that may stand before, behind and between others: it refers to nothing before it."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)


_making = threading.Lock()
_made_result = cache(_Result)


def _answer_bodies(connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError), connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        held = b""
        while True:
            while b"\r\n\r\n" not in held:
                if not (more := connection.recv(1 << 16)):
                    return
                held += more
            head, _, held = held.partition(b"\r\n\r\n")
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            while len(held) < length:
                held += connection.recv(1 << 16)
            body, held = held[:length], held[length:]
            _answer_body(connection, head, body)


def _answer_body(connection: socket.socket, head: bytes, body: bytes) -> None:
    method, path, _ = head.decode().split(" ", 2)
    _, coding, size, *below = path.split("/")
    with _making:
        result = _made_result(coding, int(size))
    if method == "POST":
        chosen = _REQUEST_ID.search(body)
        request_id = chosen[1].decode() if chosen else "00000000-0000-4000-8000-000000000000"
        scheme = "https" if isinstance(connection, ssl.SSLSocket) else "http"
        host = _HOST.search(head)
        where = f"{scheme}://{host[1].decode() if host else ''}/{coding}/{size}/api/v1/{below[2]}/requests/{request_id}"
        connection.sendall(f"HTTP/1.1 202 Accepted\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
    elif below[-1] == "data":
        answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + result.headers + "\r\n"
        connection.sendall(answer.encode())
        for piece, times in result.pieces if method == "GET" else ():
            for _ in range(times):
                piece.send(connection)
    else:
        at, kind = _timestamp(time.time()), below[2].encode()
        connection.sendall(_json(_status(below[4].encode(), kind, b"{}", at, at, result.records, result.bytes)))


def _serve_bodies(authority: str | None) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    tls: ssl.SSLContext | None = None
    if authority is not None:
        import trustme

        made: Any = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.issue_cert("127.0.0.1").configure_cert(tls)
        made.cert_pem.write_to_path(authority)
    print(f"listening on {'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer_bodies, args=(connection, tls), daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1] == "searches":
        asyncio.run(_serve_searches())
    else:
        _serve_bodies(sys.argv[2] if len(sys.argv) > 2 else None)
