"""What is sent and understood on a lane is what aiohttp sends and understands, to the letter."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partialmethod
from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from
from multidict import CIMultiDict

from aurora_async.config import Config, Retries, Timeouts
from aurora_async.errors import AuroraError, InvalidInput, ReadTimeout
from aurora_async.http import Answer, Session, _lane
from aurora_async.http._lane import Head, Pool, template

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[..., Awaitable[str]]
Reply = Callable[[bytes], list[bytes]]
"""Makes of a request the pieces to send, one segment each; an empty one is the end of the connection."""


def properly(request: bytes) -> list[bytes]:
    return [OK[:-2] if request.startswith(b"HEAD") else OK]


class Server:
    """Answers as `reply` says; remembers what was asked, and on how many connections."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                if b"Content-Length: " in request:
                    request += await reader.readexactly(int(request.partition(b"Content-Length: ")[2].split()[0]))
                self.requests.append(request)
                for piece in self.reply(request):
                    if not piece:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[tuple[Server, str]]:
    """Serve on loopback."""
    server = Server(reply)
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    try:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def session(base: str, read_s: float = 5) -> Session:
    timeouts = Timeouts(read_s=read_s)
    return Session(Config(base_url=base, api_key="0123-key", retries=Retries(attempts=1), timeouts=timeouts))


def hinting(request: bytes) -> list[bytes]:
    return [b"HTTP/1.1 103 Hints\r\n\r\n", OK]


async def test_interim_answers_do_not_cost_the_connection() -> None:
    """They come in segments of their own, before the answer, and not behind one."""
    async with serving(hinting) as (server, base), session(base) as http:
        for _ in range(3):
            assert (await http.exchange("GET", "/x")).body == b"{}"
    assert server.connections == 1


async def test_silence_after_an_interim_answer_is_silence() -> None:
    """A server that dies after its hints must not be waited for without end."""
    async with serving(lambda request: hinting(request)[:1]) as (_, base), session(base, read_s=0.2) as http:
        async with asyncio.timeout(20):
            with pytest.raises(ReadTimeout):
                await http.exchange("GET", "/x")


async def test_with_another_version_of_aiohttp_its_client_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lane uses is not all public, and may be gone there."""
    monkeypatch.setattr(_lane, "_IS_KNOWN", False)
    monkeypatch.setattr(Pool, "send", None)
    async with serving(properly) as (server, base), session(base) as http:
        assert (await http.exchange("GET", "/x")).body == b"{}"
        async with http.open("GET", "/y") as body:
            assert await body.pour(lambda piece: None) == 0
            assert b"".join([chunk async for chunk in body.chunks()]) == b"{}"
    assert len(server.requests) == 2


@pytest.fixture(params=["lane", "aiohttp"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "aiohttp":
        monkeypatch.setattr(Pool, "can_send", lambda *_: False)
    return str(request.param)


async def test_both_ways_send_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line, for every method and every kind of headers that there are."""
    signed = "/x?X-Amz-Signature=s"
    async with serving(properly) as (server, base), session(base + "/below") as http:

        async def send_all() -> list[list[bytes]]:
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                for target in ("/a%20b?c=d;e", "/ü b?#part", base, base + signed):
                    for body in (None, b"", b"\x00\r\n\r\n"):
                        await http.exchange(method, target, body=body, params={"q": "1 2"} if body else None)
            await http.exchange("POST", "/", headers={"content-TYPE": "text/plain", "X-Ü": "tab\tü"}, anonymous=True)
            await http.exchange("GET", "/", headers={"HOST": "other.example"})
            sent = [sorted(request.split(b"\r\n")) for request in server.requests]
            server.requests.clear()
            return sent

        on_lane = await send_all()
        monkeypatch.setattr(Pool, "can_send", lambda *_: False)
        assert await send_all() == on_lane


ANSWERS = {
    "with length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n2;x=y\r\n45\r\n0\r\nX-A: 1\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n12345",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345",
    "old, kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n12345",
    "early hints": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\n1",
    "nothing": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
    % (len(gzip.compress(b"12345", mtime=0)), gzip.compress(b"12345", mtime=0)),
    "repeated header": b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n",
    "refusal": b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such",
    "too many bytes": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12345",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n12345",
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "broken chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n12345\r\n0\r\n\r\n",
    "garbage": b"220 ready\r\n",
}


@given(name=sampled_from(sorted(ANSWERS)), cuts=lists(integers(0, 200), max_size=3), length=integers(0, 400))
@settings(max_examples=80)
def test_both_ways_understand_the_same(name: str, cuts: list[int], length: int) -> None:
    """Whatever comes, in whatever pieces, and wherever it is cut off: the same answer, or the same error."""
    whole = ANSWERS[name]
    places = sorted({0, *(cut % len(whole) for cut in cuts), len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    if length < len(whole):  # often so
        pieces = [whole[:length], b""]

    async def asked(can_send: Callable[..., bool]) -> list[object]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pool, "can_send", can_send)
            async with serving(lambda _: [*pieces, b""]) as (_, base), session(base) as http:
                first = await outcome(http)
                for _ in range(20):  # turns of the loop: the server has closed, and both ways hear of it
                    await asyncio.sleep(0)
                return [first, await outcome(http)]

    async def outcome(http: Session) -> object:
        try:
            answer = await http.exchange("GET", "/")
        except AuroraError as error:
            return type(error), str(error).replace(http.config.base_url, "")
        return answer.status, answer.body, list(answer.headers.items())

    with_lane = asyncio.run(asked(Pool.can_send))
    assert asyncio.run(asked(lambda *_: False)) == with_lane


@pytest.mark.parametrize(
    ("answer", "connections"),
    [("with length", 1), ("chunked", 1), ("old, kept", 1), ("nothing", 1), ("closing", 3), ("old", 3)],
)
async def test_a_connection_is_kept_when_it_may_be(way: str, answer: str, connections: int) -> None:
    """Whatever the answers before were, each request gets its own."""
    async with serving(lambda _: [ANSWERS[answer]]) as (server, base), session(base) as http:
        for _ in range(3):
            assert (await http.exchange("GET", "/")).body in (b"12345", b"")
    assert server.connections == connections


async def test_an_answer_without_body_is_followed_by_one_with(way: str) -> None:
    """On the same connection; the length that HEAD tells is that of the other."""
    async with serving(properly) as (server, base), session(base) as http:
        bodies = [(await http.exchange(method, "/")).body for method in ("GET", "HEAD", "GET", "HEAD", "POST")]
    assert bodies == [b"{}", b"", b"{}", b"", b"{}"]
    assert server.connections == 1


@pytest.mark.parametrize("unasked", [OK.replace(b"{}", b"no"), OK[:25], b"x"], ids=["whole", "begun", "letter"])
async def test_what_nobody_asked_for_does_not_pass_for_an_answer(serve_raw: Serve, unasked: bytes) -> None:
    """A server, or somebody before it, that says more than it was asked for must not shift all answers by one."""
    was_answered = asyncio.Event()
    connections: list[asyncio.StreamWriter] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.write(OK)
        if len(connections) == 1:
            await was_answered.wait()
            writer.write(unasked)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    async with session(await serve_raw(script)) as http:
        await http.exchange("GET", "/")
        assert http._control is not None
        ((line, _),) = next(iter(http._control.connector._conns.values()))
        was_answered.set()
        async with asyncio.timeout(5):
            while line.is_connected() and not line.should_close:
                await asyncio.sleep(0.001)
        assert (await http.exchange("GET", "/")).body == b"{}"
    assert len(connections) == 2


async def test_silence_is_counted_from_the_last_byte(way: str) -> None:
    """Also on a connection whose timer is older than the request."""
    loop = asyncio.get_running_loop()

    def reply(request: bytes) -> list[bytes]:
        return [OK[:10]] if b" /stall " in request else [OK]

    async with serving(reply) as (_, base), session(base, read_s=0.2) as http:
        await http.exchange("GET", "/")
        await asyncio.sleep(0.12)
        await http.exchange("GET", "/")
        await asyncio.sleep(0.12)  # past the first timer
        began = loop.time()
        with pytest.raises(ReadTimeout):
            await http.exchange("GET", "/stall")
        assert 0.2 <= loop.time() - began < 2


@pytest.mark.parametrize(
    "said",
    [
        {"method": "GET\r\nX: y"},
        {"method": "GET /"},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X\nY": "b"}},
        {"headers": {"X": "a\x00"}},
    ],
)
async def test_nothing_can_be_smuggled_into_a_request(way: str, said: Mapping[str, str]) -> None:
    """Neither way, and not a byte is sent."""
    options = {"method": "GET", "target": "/", **said}
    async with serving(lambda _: [OK]) as (server, base), session(base) as http:
        with pytest.raises(InvalidInput):
            await http.exchange(**options)  # type: ignore[arg-type]
        for target in ("/a\r\nX: y", "/a\r\n\r\nGET /b HTTP/1.1\r\n\r\n", base + "/\n", "/ HTTP/1.0"):
            try:
                await http.exchange("GET", target)
            except InvalidInput:
                continue
    assert all(request.count(b"\r\n") == server.requests[0].count(b"\r\n") for request in server.requests)
    assert not [one for one in server.requests if b"\nX: y" in one or one.split(b"\r\n")[0].count(b" ") != 2]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://data.example:80", "data.example"),
        ("https://data.example:443", "data.example"),
        ("https://data.example:80", "data.example:80"),
        ("http://[::1]:80", "[::1]"),
        ("http://[fe80::1]:8080", "[fe80::1]:8080"),
    ],
)
async def test_a_host_is_named_as_the_standard_says(origin: str, host: str) -> None:
    """RFC 9110, 7.2: without the port that goes without saying."""
    async with Session(Config(base_url=origin)) as http:
        head = http._new_origin(origin).bare
        assert head.request("GET", "/", None).startswith(f"GET / HTTP/1.1\r\nHost: {host}\r\n".encode())
        assert template(origin).connection_key.host == origin.split("//")[1].rpartition(":")[0].strip("[]")


def test_a_head_is_made_once() -> None:
    """And what is added for one request stays out of the next."""
    head = Head(CIMultiDict({"A": "1"}))
    assert head.with_extra({"a": "2", "B": "3"}).lines == b"a: 2\r\nB: 3\r\n"
    assert head.lines is head.lines
    assert head.request("PUT", "/", b"x") == b"PUT / HTTP/1.1\r\nA: 1\r\nContent-Length: 1\r\n\r\nx"


async def test_what_mocks_aiohttp_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By any means, not only by aioresponses."""

    async def refuse(*_: object, **__: object) -> Answer:
        raise aiohttp.ServerDisconnectedError

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    async with serving(lambda _: [OK]) as (server, base), session(base) as http:
        with pytest.raises(AuroraError):
            await http.exchange("GET", "/")
    assert server.connections == 0


async def test_what_traces_aiohttp_sees_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instrumentation for telemetry slips its trace into each client that is made."""
    seen: list[str] = []

    async def note(_: object, __: object, about: aiohttp.TraceRequestStartParams) -> None:
        seen.append(about.method)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    make = aiohttp.ClientSession.__init__
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", partialmethod(make, trace_configs=[trace]))
    async with serving(properly) as (_, base), session(base) as http:
        await http.exchange("GET", "/")
    assert seen == ["GET"]


async def test_a_connection_is_kept_when_its_reader_was_slow(way: str) -> None:
    """A body that had to wait in the socket is as whole as any other."""
    size = 3 << 20
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))
    async with serving(lambda _: [large]) as (server, base), session(base) as http:
        for _ in range(2):
            async with http.open("GET", "/") as body:
                got = 0
                async for chunk in body.chunks(1 << 16):
                    got += len(chunk)
                    await asyncio.sleep(0)
                assert got == size
    assert server.connections == 1
