"""Bodies taken over from aiohttp and given back: the same bytes and the same errors as without."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Literal

import pytest
import trustme
import uvloop
from aiohttp import web
from hypothesis import given, settings
from hypothesis.strategies import DrawFn, binary, composite, integers, lists, sampled_from

from aurora_async.config import Config, Retries, Timeouts
from aurora_async.errors import AuroraError, ClientClosed, ConnectionLost, MalformedAnswer, ReadTimeout
from aurora_async.http import Body, Session, _body

Way = Literal["plain", "loop", "thread"]
"""By aiohttp's parser alone, or most of it received in the loop or in a thread."""
FAST: tuple[Way, Way] = ("loop", "thread")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture(autouse=True)
def all_are_large() -> Iterator[None]:
    """Take the fast way with every body that is not here already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_body, "_LARGE_BYTES", 0)
        yield


def session(base_url: str, ssl_context: ssl.SSLContext | None = None, **changes: Any) -> Session:
    settings = {"base_url": base_url, "retries": Retries(attempts=1), **changes}
    return Session(Config(**settings), ssl_context=ssl_context)


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def take_all(body: Body, take: Callable[[Any], object], way: Way) -> None:
    """Read a body to its end, or to what goes wrong with it."""
    if way == "thread":
        await body.pour(take)
    async for chunk in body.chunks():
        take(chunk)


async def poured(body: Body) -> tuple[int, bytes]:
    """Return how much came the fast way, and the whole body."""
    pieces: list[bytes] = []
    assert threading.current_thread() is threading.main_thread()

    def take(piece: memoryview) -> None:
        assert threading.current_thread() is not threading.main_thread()
        pieces.append(bytes(piece))

    count = await body.pour(take)
    assert count == sum(map(len, pieces))
    pieces += [chunk async for chunk in body.chunks()]
    return count, b"".join(pieces)


# The same as without ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(
    script: Callable[[asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Run a script with each connection once the head of a request came."""
    tasks = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await script(writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'' if tls is None else 's'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def answering(
    first: bytes, then: Sequence[bytes], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Send `first`, the others one by one when the event is set, and hang up."""
    go = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await go.wait()
        for piece in then:
            await asyncio.sleep(0)
            writer.write(piece)

    async with serving(script, tls) as base:
        yield base, go


async def read(first: bytes, then: Sequence[bytes], way: Way) -> tuple[bytes, type[AuroraError] | None]:
    """Return what the body of an answer is, and what went wrong."""
    got: list[bytes] = []
    async with answering(first, then) as (base, go), session(base) as http:
        try:
            async with http.open("GET", "/") as body:
                go.set()
                if way == "thread":
                    await body.pour(lambda piece: got.append(bytes(piece)))
                with pytest.MonkeyPatch.context() as patch:
                    if way == "plain":
                        patch.setattr(Body, "_framing", lambda body: None)
                    async for chunk in body.chunks(1000):
                        got.append(chunk)
        except AuroraError as error:
            return b"".join(got), type(error)
    return b"".join(got), None


def in_pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@composite
def in_chunks(draw: DrawFn, data: bytes) -> bytes:
    """A body in chunks, as servers may send it."""
    parts = in_pieces(data, draw(lists(integers(0, 4000), max_size=6)))
    extension = draw(sampled_from([b"", b"", b";a=b", b';q="x"']))
    size = draw(sampled_from([b"%x", b"%X", b"%05x"]))
    trailer = draw(sampled_from([b"", b"", b"Digest: x\r\nX-More: 1\r\n"]))
    sent = [(size + b"%b\r\n%b\r\n") % (len(part), extension, part) for part in parts if part]
    return b"".join([*sent, b"0", extension, b"\r\n", trailer, b"\r\n"])


@composite
def answers(draw: DrawFn) -> tuple[bytes, bytes]:
    """The head of an answer, and its body as sent."""
    data = draw(binary(max_size=4000))
    head = CHUNKED
    if draw(sampled_from([False, True])):
        half = len(data) // 2
        data = gzip.compress(data[:half]) + gzip.compress(data[half:])
        head += b"Content-Encoding: gzip\r\n"
    if draw(sampled_from([False, True])):
        head = head.replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(data))
        return head + b"\r\n", data
    return head + b"\r\n", draw(in_chunks(data))


@given(answer=answers(), held=integers(1, 4000), cuts=lists(integers(0, 5000), max_size=8))
@settings(max_examples=150)
def test_whatever_comes_however_it_comes(answer: tuple[bytes, bytes], held: int, cuts: list[int]) -> None:
    """Sizes, extensions, trailers, gzip members, and every way of the network to cut that up."""
    head, body = answer
    first, then = head + body[:-held], in_pieces(body[-held:], cuts)
    plain = asyncio.run(read(first, then, "plain"))
    assert plain[1] is None
    assert asyncio.run(read(first, then, "thread")) == plain
    assert asyncio.run(read(first, then, "loop")) == plain


@given(
    answer=answers(),
    held=integers(1, 4000),
    at=integers(0, 4000),
    wrong=sampled_from([b"", b"\r", b"\n", b"g", b"0", b"\r\n0\r\n\r\n"]),
)
@settings(max_examples=200)
def test_whatever_is_wrong_with_it(answer: tuple[bytes, bytes], held: int, at: int, wrong: bytes) -> None:
    """Cut short, or with something in it that does not belong there: the same class of error, behind the same bytes."""
    head, body = answer
    place = at % (len(body) + 1)
    body = body[:place] + wrong + (body[place + 1 :] if wrong else b"")
    first, then = head + body[:-held], [body[-held:]]
    plain = asyncio.run(read(first, then, "plain"))
    for way in FAST:
        fast = asyncio.run(read(first, then, way))
        assert fast[1] == plain[1]
        assert fast[0].startswith(plain[0]) or plain[0].startswith(fast[0])
        assert fast[1] is not None or fast == plain


# What may happen meanwhile ------------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to happen; fail after 5 seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def endless(
    head: bytes, block: bytes, pause_s: float = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Send a block again and again."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(pause_s)

    async with serving(script, tls) as base:
        yield base


def sized(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("way", FAST)
def test_a_large_body_goes_the_fast_way_and_its_connection_is_used_again(
    run: Callable[..., None], chunked: bool, way: Way
) -> None:
    """All but its end; as many bodies as there are come over one connection."""
    data = random.Random(1).randbytes(3_000_000)
    peers = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        response = web.StreamResponse()
        if not chunked:
            response.content_length = len(data)
        await response.prepare(request)
        for at in range(0, len(data), 70_000):
            await response.write(data[at : at + 70_000])
        return response

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with session(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
            for _ in range(3):
                async with http.open("GET", "/") as body:
                    by_parser = body._response.content
                    if way == "thread":
                        count, got = await poured(body)
                        assert count > len(data) - 70_000
                    else:
                        got = b"".join([chunk async for chunk in body.chunks()])
                    assert body._response.content is not by_parser
                assert got == data
        await runner.cleanup()

    run(main())
    assert len(peers) == 1


async def test_more_than_announced_is_noticed() -> None:
    """What was announced may be half of a file whose other half comes behind it."""
    data = bytes(300_000)
    async with answering(sized(len(data)), [data + b"more"]) as (base, go), session(base) as http:
        with pytest.raises(MalformedAnswer, match="Content-Length: more bytes came than it says"):
            async with http.open("GET", "/") as body:
                go.set()
                await poured(body)


@pytest.mark.parametrize("way", FAST)
async def test_what_came_before_a_cut_is_given_first(way: Way) -> None:
    """Who goes on from there has the less to ask for."""
    data = random.Random(1).randbytes(300_000)
    got = bytearray()
    async with answering(sized(900_000), [data]) as (base, go), session(base) as http, http.open("GET", "/") as body:
        go.set()
        with pytest.raises(ConnectionLost):
            await take_all(body, got.extend, way)
    assert got == data


@pytest.mark.parametrize("way", FAST)
async def test_silence_and_a_trickle_have_a_limit(way: Way) -> None:
    """Those of the session, also where no event loop watches."""
    got = bytearray()
    for pause_s in (60, 0.01):
        limits = Timeouts(read_s=0.2, least_bytes_per_s=1000)
        async with endless(sized(10_000_000), b"x", pause_s) as base, session(base, timeouts=limits) as http:
            with pytest.raises(ReadTimeout):
                async with http.open("GET", "/") as body:
                    await take_all(body, got.extend, way)
    assert got


@pytest.mark.parametrize("head", [sized(1 << 40), CHUNKED + b"\r\n100000000\r\n"], ids=["sized", "chunked"])
@pytest.mark.parametrize("pause_s", [0, 60], ids=["moving", "silent"])
@pytest.mark.parametrize("way", FAST)
async def test_a_cancellation_leaves_no_thread_and_no_connection(head: bytes, pause_s: float, way: Way) -> None:
    """Whether it waits for the network or for whoever takes what comes."""
    inside = set()

    def take(piece: object) -> None:
        inside.add(threading.current_thread())

    async with endless(head, bytes(100_000), pause_s) as base, session(base) as http:

        async def read_it() -> None:
            async with http.open("GET", "/") as body:
                await take_all(body, take, way)

        reading = asyncio.create_task(read_it())
        await until(lambda: bool(inside))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        before = inside.copy()
        inside.clear()
        await asyncio.sleep(0.01)
        assert not inside
        assert len(before) == 1
        pool = http._bodies
        assert pool is not None and pool.in_use == 0
        await until(lambda: all(sock.fileno() == -1 for sock in http._sockets))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_over_tls_it_is_the_same(run: Callable[..., None], tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Decrypted by the event loop: the bytes, the connection that is used again, the cut, the cancellation, the end."""
    server, client = tls
    data = random.Random(1).randbytes(3_000_000)
    connections = 0

    async def twice(writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            writer.write(sized(len(data)) + data)
            await writer.drain()

    async def main() -> None:
        async with serving(twice, server) as base, session(base, client) as http:
            for _ in range(2):
                async with http.open("GET", "/") as body:
                    count, got = await poured(body)
                assert got == data
                assert count == len(data) - 1
        came = bytearray()
        async with answering(sized(3_000_001), [data], server) as (base, go), session(base, client) as http:
            with pytest.raises(ConnectionLost):
                async with http.open("GET", "/") as body:
                    go.set()
                    await body.pour(came.extend)
                    came += await anext(body.chunks())
        assert came == data
        async with endless(sized(1 << 40), bytes(100_000), 0, server) as base:
            async with session(base, client) as http:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1), http.open("GET", "/") as body:
                        await body.pour(lambda piece: None)
                reading = asyncio.create_task(poured_from(http))
                await asyncio.sleep(0.05)
            with pytest.raises(ClientClosed):
                await reading

    async def poured_from(http: Session) -> None:
        async with http.open("GET", "/") as body:
            await body.pour(lambda piece: None)

    began = time.monotonic()
    run(main())
    assert time.monotonic() - began < 25  # a farewell that is waited for takes TLS 30 seconds


@pytest.mark.parametrize("way", FAST)
async def test_closing_the_session_ends_it(way: Way) -> None:
    """With the error that says so."""
    got = bytearray()
    async with endless(sized(1 << 40), bytes(1000), 60) as base:
        http = session(base)
        await http.__aenter__()

        async def read_it() -> None:
            async with http.open("GET", "/") as body:
                await take_all(body, got.extend, way)

        reading = asyncio.create_task(read_it())
        await until(lambda: bool(got))
        await http.__aexit__(None, None, None)
        with pytest.raises(ClientClosed):
            await reading


async def test_leaving_the_block_ends_it_for_whoever_reads_on() -> None:
    """A generator that somebody holds is no reason to keep the connection."""
    async with endless(sized(1 << 40), bytes(1000)) as base, session(base) as http:
        async with http.open("GET", "/") as body:
            chunks = body.chunks()
            await anext(chunks)
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(5):
                async for _ in chunks:
                    pass
        await until(lambda: all(sock.fileno() == -1 for sock in http._sockets))


@pytest.mark.parametrize("head", [sized(3_000_000), CHUNKED + b"\r\n2dc6c0\r\n"], ids=["sized", "chunked"])
async def test_what_comes_while_the_loop_is_held_up_is_no_silence(head: bytes) -> None:
    """Somebody else's work in the loop took longer than silence is borne; the network did not."""
    server = socket.create_server(("127.0.0.1", 0))
    go = threading.Event()

    def serve() -> None:
        peer, _ = server.accept()
        with server, peer:
            peer.recv(1000)
            peer.sendall(head + bytes(1_000_000))
            go.wait(10)
            peer.sendall(bytes(2_000_000) + (b"" if b"Length" in head else b"\r\n0\r\n\r\n"))

    thread = threading.Thread(target=serve)
    thread.start()
    base = f"http://127.0.0.1:{server.getsockname()[1]}"
    async with session(base, timeouts=Timeouts(read_s=0.2)) as http, http.open("GET", "/") as body:
        count = 0

        def hold_up() -> None:
            go.set()
            time.sleep(0.4)

        async for chunk in body.chunks():
            count += len(chunk)
            if count == 1_000_000:
                asyncio.get_running_loop().call_later(0.05, hold_up)
    assert count == 3_000_000
    await asyncio.to_thread(thread.join)


async def test_others_have_their_turn_while_it_comes_faster_than_it_is_read() -> None:
    """The socket never has to be waited for, and the reader awaits nothing else."""
    turns = 0

    def flood(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer, suppress(OSError):
            peer.recv(1000)
            peer.sendall(sized(1 << 40))
            while True:
                peer.sendall(bytes(1 << 20))

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=flood, args=[server], daemon=True).start()
        async with session(f"http://127.0.0.1:{server.getsockname()[1]}") as http, http.open("GET", "/") as body:
            task = asyncio.create_task(others())
            ends_at = time.monotonic() + 0.3
            async with aclosing(body.chunks(4096)) as chunks:
                await anext(chunks)
                turns = 0
                async for _ in chunks:
                    if time.monotonic() > ends_at:
                        break
            task.cancel()
    assert turns > 5


async def test_an_error_of_whoever_takes_or_is_told_ends_it() -> None:
    """It is raised as it is, and nothing more is taken."""
    taken = []

    def refuse(*of: object) -> None:
        taken.append(of)
        raise KeyError("full")

    async with endless(sized(1 << 40), bytes(100_000)) as base, session(base) as http:
        with pytest.raises(KeyError):
            async with http.open("GET", "/") as body:
                await body.pour(refuse)
        with pytest.raises(KeyError):
            async with http.open("GET", "/") as body:
                await body.pour(lambda piece: None, tell=refuse)
    assert len(taken) == 2


async def test_gzip_is_unpacked_or_not_as_asked() -> None:
    """Also where pieces of it are given before and behind."""
    data = random.Random(1).randbytes(400_000)
    packed = gzip.compress(data)
    head = sized(len(packed))[:-2] + b"Content-Encoding: gzip\r\n\r\n"
    for decode in (True, False):
        got = bytearray()
        async with answering(head, [packed]) as (base, go), session(base) as http, http.open("GET", "/") as body:
            go.set()
            assert await body.pour(got.extend, decode=decode) > 300_000
            async for chunk in body.chunks(decode=decode):
                got += chunk
        assert got == (data if decode else packed)


async def test_small_bodies_and_those_that_end_with_the_connection_go_the_plain_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The way there costs more, or leads nowhere."""
    monkeypatch.undo()
    monkeypatch.setattr(_body, "_LARGE_BYTES", 1000)
    for head, data in ((sized(999), bytes(999)), (b"HTTP/1.0 200 OK\r\n\r\n", bytes(5000))):
        async with answering(head, [data]) as (base, go), session(base) as http, http.open("GET", "/") as body:
            go.set()
            assert await poured(body) == (0, data)
