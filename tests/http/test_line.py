"""What is sent and understood on a line of ours is what aiohttp sends and understands, to the letter."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partialmethod
from itertools import pairwise
from unittest import mock

import aiohttp
import pytest
from aiohttp.http_parser import HttpResponseParser
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from
from multidict import CIMultiDict

from aurora_async.config import Config, Retries, Timeouts
from aurora_async.errors import AuroraError, InvalidInput, ReadTimeout
from aurora_async.http import Answer, Session, _line
from aurora_async.http._line import Head, Pool, fields, template

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


async def test_hints_without_end_are_no_answer() -> None:
    """Each of them ends a silence, and none is what was asked for."""

    def reply(request: bytes) -> list[bytes]:
        return [b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 1000

    async with serving(reply) as (_, base), session(base, read_s=60) as http, asyncio.timeout(20):
        with pytest.raises(ReadTimeout):
            await http.exchange("GET", "/x")


async def test_a_connection_that_ends_while_the_session_closes_is_one_of_our_errors() -> None:
    """Whichever of the two is heard of first, in whatever turn of the loop."""
    for turns in range(12):
        hung_up = asyncio.Event()

        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            hung_up.set()  # noqa: B023

        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        http = session(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await http.__aenter__()
        asking = asyncio.create_task(http.exchange("GET", "/"))
        await hung_up.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        await http.__aexit__(None, None, None)
        with pytest.raises(AuroraError):
            await asking
        server.close()


def test_answers_are_equal_whether_or_not_their_headers_were_read() -> None:
    """They are read when somebody asks for them."""
    one, other = (Answer("GET", "http://x/", 200, b"A: b\r\n", b"{}") for _ in range(2))
    assert one.headers == {"A": "b"}
    assert one == other
    assert hash(one) == hash(other)


async def test_with_another_version_of_aiohttp_its_client_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a line uses is not all public, and may be gone there."""
    monkeypatch.setattr(_line, "_IS_KNOWN", False)
    monkeypatch.setattr(Pool, "send", None)
    async with serving(properly) as (server, base), session(base) as http:
        assert (await http.exchange("GET", "/x")).body == b"{}"
        async with http.open("GET", "/y") as body:
            assert await body.pour(lambda piece: None) == 0
            assert b"".join([chunk async for chunk in body.chunks()]) == b"{}"
    assert len(server.requests) == 2


@pytest.fixture(params=["line", "aiohttp"])
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
            await http.exchange("POST", "/", headers={"content-TYPE": "text/plain", "X-!": "tab\tü"}, anonymous=True)
            await http.exchange("GET", "/", headers={"HOST": "other.example"})
            sent = [sorted(request.split(b"\r\n")) for request in server.requests]
            server.requests.clear()
            return sent

        on_line = await send_all()
        monkeypatch.setattr(Pool, "can_send", lambda *_: False)
        assert await send_all() == on_line


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

    with_line = asyncio.run(asked(Pool.can_send))
    assert asyncio.run(asked(lambda *_: False)) == with_line


STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 202 OK",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No",
    b"HTTP/1.1 99 X",
]
HEADER_LINES = [
    b"Content-Length: 3",
    b"content-length:3",
    b"Content-Length:  3",
    b"Content-Length: 03",
    b"Content-Length: +3",
    b"Content-Length: 3, 3",
    b"Content-Length : 3",
    b"Content-Length: 4",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding : chunked",
    b"Content-Encoding: gzip",
    b"Connection: close",
    b"proxy-connection: close",
    b"Upgrade: x",
    b"Sec-WebSocket-Key1: x",
    b"Content-Type:  text/plain \t",
    b"X-Empty:",
    b"X-Twice: 1",
    b"X-Twice: 2",
    b" folded: 3",
    b"\tContent-Length: 3",
    b"X: a\nContent-Length: 3",
    b"X: a\rContent-Length: 3",
    b"X: \xc3\xbc",
    b"X: \x00",
    b"no colon",
    b": no name",
    b"",
]


@given(
    status=sampled_from(STATUS_LINES),
    lines=lists(sampled_from(HEADER_LINES), max_size=3),
    at=integers(0, 3),
    many=sampled_from([0, 0, 0, 60, 200]),
    body=sampled_from([b"123", b"123", b"123", b"", b"1234", b"3\r\n123\r\n0\r\n\r\n"]),
)
@settings(max_examples=1500)
def test_what_is_read_in_one_piece_aiohttp_reads_the_same(
    status: bytes, lines: list[bytes], at: int, many: int, body: bytes
) -> None:
    """Where the answers on a connection end must be beyond doubt: whatever is not certain is for aiohttp's parser."""
    lines.insert(at, b"Content-Length: 3")
    came = b"\r\n".join([status, *lines, *[b"X-Many: x"] * many, b"", body])
    found = _line._WHOLE.match(came)
    if found is None or len(came) - found.end() != int(found[3]):
        return
    protocol = mock.Mock()
    parser = HttpResponseParser(protocol, mock.Mock(), 1 << 16, read_until_eof=True, auto_decompress=False)
    ((message, content),), upgraded, tail = parser.feed_data(came)
    assert (message.should_close, message.chunked, message.upgrade, upgraded, tail) == (False, False, False, False, b"")
    assert content.is_eof() and content.read_nowait() == came[found.end() :]
    assert message.code == int(found[1])
    spelled = [(name.lower(), value) for name, value in fields(found[2]).items()]
    assert spelled == [(name.lower(), value) for name, value in message.headers.items()]


async def test_a_plain_answer_in_one_piece_is_read_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what makes a look cheap: no parser, no reader; otherwise the test above says nothing."""
    monkeypatch.setattr(_line.Response, "__init__", None)
    answer = b"HTTP/1.1 201 Made\r\nServer: x y\r\ncontent-length: 2\r\nLocation: /a\r\nX-A: 1\r\nx-a:2\r\n\r\n{}"
    async with serving(lambda _: [answer]) as (server, base), session(base) as http:
        for lane in ("control", "body", "control"):
            found = await http.exchange("POST", "/", body=b"{}", lane=lane)
            assert (found.status, found.body, found.headers["LOCATION"]) == (201, b"{}", "/a")
            assert [value for name, value in found.headers.items() if name.lower() == "x-a"] == ["1", "2"]
    assert server.connections == 2


async def test_connections_that_nobody_needs_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of requests must not keep its sockets open for as long as the client lives; one in use stays."""
    monkeypatch.setattr(_line, "_IDLE_S", 0.1)
    async with serving(lambda _: [OK]) as (server, base), session(base) as http:
        await asyncio.gather(*(http.exchange("GET", "/") for _ in range(12)))
        async with asyncio.timeout(5):
            while sum(sock.fileno() != -1 for sock in http._sockets) > 1:
                await http.exchange("GET", "/")
                await asyncio.sleep(0.01)
            burst = server.connections
            assert burst > 1
            while any(sock.fileno() != -1 for sock in http._sockets):
                await asyncio.sleep(0.01)
        assert (await http.exchange("GET", "/")).body == b"{}"
    assert server.connections == burst + 1


async def test_a_head_that_trickles_is_not_waited_for_without_end(way: str, serve_raw: Serve) -> None:
    """Each byte is a sign of life, and a million of them are no answer; a body may take as long as it likes."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with asyncio.timeout(20):
        async with session(await serve_raw(trickle), read_s=0.2) as http:
            with pytest.raises(ReadTimeout, match="head was not whole"):
                await http.exchange("GET", "/")
        timeouts = Timeouts(read_s=0.2, least_bytes_per_s=None)
        async with Session(Config(base_url=await serve_raw(slow_body), timeouts=timeouts)) as http:
            assert (await http.exchange("GET", "/", attempts=1)).body == b"x" * 20


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
        (((line, _),),) = http._control._idle.values()
        was_answered.set()
        async with asyncio.timeout(5):
            while line.is_connected() and not line.should_close:
                await asyncio.sleep(0.001)
        assert (await http.exchange("GET", "/")).body == b"{}"
    assert len(connections) == 2


async def test_silence_is_counted_from_the_last_byte(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection whose timer is older than the request."""
    loop, passed_s = asyncio.get_running_loop(), 0.0
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + passed_s)

    def reply(request: bytes) -> list[bytes]:
        return [OK[:10]] if b" /stall " in request else [OK]

    async def let_pass(seconds: float) -> None:
        nonlocal passed_s
        passed_s += seconds
        await asyncio.sleep(0.01)  # whatever is due by now comes first

    async with serving(reply) as (server, base), session(base, read_s=100) as http:
        await http.exchange("GET", "/")
        await let_pass(8)
        await http.exchange("GET", "/")
        stalled = asyncio.create_task(http.exchange("GET", "/stall"))
        async with asyncio.timeout(50):
            while len(server.requests) < 3:
                await asyncio.sleep(0.001)
        assert server.connections == 1
        await let_pass(95)  # past the first timer
        assert not stalled.done()
        await let_pass(10)
        with pytest.raises(ReadTimeout):
            await stalled


@pytest.mark.parametrize(
    "said",
    [
        {"method": "GET\r\nX: y"},
        {"method": "GET /"},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X\nY": "b"}},
        {"headers": {"X": "a\x00"}},
        {"headers": {"X y": "a"}},
        {"headers": {"X: a": "b"}},
        {"headers": {"Ü": "a"}},
        {"headers": {"": "a"}},
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
