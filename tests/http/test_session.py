"""Exchanges and bodies against real servers: good ones, slow ones, broken ones."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import random
import socket
import ssl
import warnings
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import aioresponses
import anyio
import psutil
import pytest
import trustme
from aiohttp import web

from aurora_async.config import Config, Limits, Retries, Timeouts
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    ConnectionFailed,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    Forbidden,
    IncompleteBody,
    InvalidInput,
    MaintenanceMode,
    MalformedAnswer,
    NameNotResolved,
    NotFound,
    ReadTimeout,
    ServerError,
    TlsFailed,
    Unauthorized,
    Unavailable,
)
from aurora_async.http import Answer, Body, Session
from aurora_async.http._line import Pool

Serve = Callable[..., Awaitable[str]]
FAST = Retries(attempts=3, first_s=0.001, ceiling_s=0.002)
KEY = "0123-secret"


@pytest.fixture(params=["lane", "aiohttp"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of sending must keep every promise."""
    if request.param == "aiohttp":
        monkeypatch.setattr(Pool, "can_send", lambda *_: False)
    return str(request.param)


def session(base_url: str, **changes: Any) -> Session:
    settings = {"base_url": base_url, "api_key": KEY, "retries": FAST, **changes}
    return Session(Config(**settings), rng=random.Random(0))


def connections_to(base_url: str) -> list[Any]:
    """Return the client sockets of this process that are connected, or connecting, to a server."""
    port = int(base_url.rsplit(":", 1)[1])
    found = psutil.Process().net_connections(kind="tcp")
    return [one for one in found if one.raddr and one.raddr.port == port]


async def turns(count: int) -> None:
    """Let the event loop run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to happen; fail after 5 seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def write_netrc(text: str) -> None:
    path = Path(os.environ["NETRC"])
    path.write_text(text)
    path.chmod(0o600)


def gates(of: Session) -> list[tuple[int, int]]:
    return [
        (gate.in_use, gate.waiting)
        for origin in of._origins.values()
        for gate in (origin.host.control, origin.host.bodies)
    ]


def assert_idle(of: Session) -> None:
    """No slot is taken, and no connection is in use."""
    assert all(gate == (0, 0) for gate in gates(of))
    for pool in (of._control, of._bodies):
        assert pool is not None and pool.in_use == 0


def echo(request: web.Request, body: bytes = b"") -> web.Response:
    """Tell the client what it sent."""
    seen = {
        "method": request.method,
        "path": request.raw_path,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": body.decode(),
        "peer": request.transport.get_extra_info("peername")[1] if request.transport else None,
    }
    return web.json_response(seen)


async def echoes(request: web.Request) -> web.StreamResponse:
    return echo(request, await request.read())


class Sequence:
    """Answers the first requests with the given statuses, the rest with 200; counts."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> None:
        self.statuses = list(statuses)
        self.headers = headers
        self.body = body
        self.requests: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers=self.headers, body=self.body)
        return await echoes(request)


class TestExchange:
    async def test_a_request_arrives_as_it_was_meant(self, serve: Serve) -> None:
        """Path and query below the base URL's own path, body, headers, who asks."""
        base = await serve(echoes)
        async with session(base + "/prefix/") as http:
            answer = await http.exchange("post", "/api/v1/search", params={"q": "a b&c", "x": "1+1"}, body=b'{"a":1}')
        seen = answer.json()
        assert (seen["method"], seen["path"]) == ("POST", "/prefix/api/v1/search?q=a+b%26c&x=1%2B1")
        assert seen["body"] == '{"a":1}'
        assert seen["headers"]["content-type"] == "application/json"
        assert seen["headers"]["x-aurorax-api-key"] == KEY
        assert seen["headers"]["user-agent"].startswith("aurora_async")
        assert seen["headers"]["accept-encoding"] == "gzip, deflate"
        assert seen["headers"]["host"] == base.removeprefix("http://")
        assert "cookie" not in seen["headers"]
        assert (answer.method, answer.status) == ("POST", 200)
        assert answer.url == base + "/prefix/api/v1/search?q=a+b%26c&x=1%2B1"
        assert answer.headers["CONTENT-TYPE"] == answer.headers["content-type"]

    async def test_a_get_has_no_content_type_and_headers_given_win(self, serve: Serve) -> None:
        """The caller knows best, in any case of letters."""
        async with session(await serve(echoes)) as http:
            plain = (await http.exchange("GET", "/")).json()["headers"]
            changed = (await http.exchange("GET", "/", headers={"ACCEPT-encoding": "identity"})).json()["headers"]
            again = (await http.exchange("GET", "/")).json()["headers"]
        assert "content-type" not in plain
        assert changed["accept-encoding"] == "identity"
        assert again == plain

    async def test_the_service_may_be_told_another_name(self, serve: Serve) -> None:
        """Where it goes by the name of a client which dialect it speaks; a store that it leads to is told so, too."""
        home, other = await serve(echoes), await serve(echoes)
        async with session(home, user_agent="Python-urllib/3.11 (aurora_async)") as http:
            told = [(await http.exchange("GET", base)).json()["headers"]["user-agent"] for base in (home, other)]
        assert told == ["Python-urllib/3.11 (aurora_async)"] * 2

    async def test_an_encoded_url_is_sent_to_the_letter(self, serve: Serve) -> None:
        """A presigned link's signature may cover its exact spelling; other texts are encoded."""
        base = await serve(echoes)
        async with session(base) as http:
            for sent in ("/a%2Fb?sig=%2b%2F=&c=d%20e", "/a;b,c?[x]=1:2"):
                assert (await http.exchange("GET", base + sent)).json()["path"] == sent
            assert (await http.exchange("GET", "/ü b?x={1}")).json()["path"] == "/%C3%BC%20b?x=%7B1%7D"

    async def test_a_connection_is_used_again(self, serve: Serve) -> None:
        """Also after an error answer."""
        sequence = Sequence(404)
        base = await serve(sequence)
        async with session(base) as http:
            with pytest.raises(NotFound):
                await http.exchange("GET", "/")
            peers = {(await http.exchange("GET", "/")).json()["peer"] for _ in range(5)}
            assert len(peers) == 1
            assert len(connections_to(base)) == 1
            assert_idle(http)

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    async def test_compressed_answers_are_unpacked(self, serve: Serve, encoding: str) -> None:
        """The headers still tell what came over the wire."""
        packed = gzip.compress(b"[1]") if encoding == "gzip" else zlib.compress(b"[1]")

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(body=packed, headers={"Content-Encoding": encoding})

        async with session(await serve(handler)) as http:
            answer = await http.exchange("GET", "/")
        assert answer.json() == [1]
        assert answer.headers["Content-Length"] == str(len(packed))

    async def test_what_is_not_json_says_so(self, serve: Serve) -> None:
        """With the URL, but without what opens doors."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(body=b"<html>")

        async with session(await serve(handler)) as http:
            answer = await http.exchange("GET", "/x?token=abc")
        with pytest.raises(MalformedAnswer, match=r"malformed at \$") as caught:
            answer.json()
        assert caught.value.url.endswith("/x?token=***")

    async def test_an_error_answer_says_whats_wrong(self, serve: Serve) -> None:
        """In the service's own words, however they are packed."""
        document = json.dumps({"error_code": "NotPermitted", "error_message": "Role missing"}).encode()

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(
                status=403,
                body=gzip.compress(document),
                headers={"Content-Encoding": "gzip", "Content-Type": "application/json", "Retry-After": "5"},
            )

        base = await serve(handler)
        async with session(base) as http:
            with pytest.raises(Forbidden) as caught:
                await http.exchange("DELETE", "/api/v1/data_sources/1")
        error = caught.value
        assert (error.method, error.url) == ("DELETE", base + "/api/v1/data_sources/1")
        assert (error.code, error.detail, error.retry_after_s) == ("NotPermitted", "Role missing", 5.0)

    async def test_an_endless_error_body_is_not_read_to_its_end(self, serve: Serve) -> None:
        """The status is the news."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=404)
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65536)

        async with session(await serve(handler)) as http:
            with pytest.raises(NotFound, match="xxxx…"):
                await http.exchange("GET", "/")
            assert_idle(http)

    async def test_an_error_answer_whose_body_is_cut_still_tells_its_status(self, raw_answer: Serve) -> None:
        """Half a message is better than "connection lost"."""
        base = await raw_answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nno such")
        async with session(base) as http:
            with pytest.raises(NotFound, match="no such"):
                await http.exchange("GET", "/")

    async def test_a_large_request_body_is_sent_without_a_warning(self, serve: Serve) -> None:
        """aiohttp warns about a mebibyte in one piece; here warnings are errors."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(text=str(len(await request.read())))

        async with session(await serve(handler)) as http:
            answer = await http.exchange("PUT", "/", body=bytes(3 << 20))
        assert answer.body == str(3 << 20).encode()

    async def test_head_and_empty_answers(self, serve: Serve) -> None:
        """A length that announces nothing is waited for by nobody."""

        async def handler(request: web.Request) -> web.StreamResponse:
            if request.method == "HEAD":
                return web.Response(headers={"Content-Length": "1000", "ETag": '"x"'})
            return web.Response(status=204)

        base = await serve(handler)
        async with session(base) as http:
            answer = await http.exchange("HEAD", "/")
            assert (answer.body, answer.headers["content-length"], answer.headers["etag"]) == (b"", "1000", '"x"')
            assert (await http.exchange("DELETE", "/")).status == 204
            async with http.open("HEAD", "/") as body:
                assert body.length == 0
                assert [chunk async for chunk in body.chunks()] == []

    @pytest.mark.parametrize("target", ["api", "ftp://example.org/x", "http://", "http://exa mple/", "", "//host/x"])
    async def test_a_target_that_is_none_is_refused_before_anything_is_sent(self, serve: Serve, target: str) -> None:
        """A relative path without its slash would join the host's name."""
        sequence = Sequence()
        async with session(await serve(sequence)) as http:
            if target == "//host/x":
                await http.exchange("GET", target)  # below the base URL like any other path: not another host
                assert sequence.requests == ["GET //host/x"]
            else:
                with pytest.raises(InvalidInput, match="target"):
                    await http.exchange("GET", target)
                assert sequence.requests == []

    async def test_a_header_with_a_line_break_is_refused(self, serve: Serve) -> None:
        """It could smuggle in others; its value may be secret and is not shown."""
        base = await serve(echoes)
        with pytest.raises(InvalidInput) as caught:
            session(base, api_key="secret\r\nx: y")
        assert "secret" not in str(caught.value)
        async with session(base) as http:
            with pytest.raises(InvalidInput):
                http.add_credential(base, {"Authorization": "a\nb"})
            with pytest.raises(InvalidInput) as caught:
                await http.exchange("GET", "/", headers={"X-Y": "secret\r\nx: y"})
            assert "secret" not in str(caught.value)
            assert_idle(http)


class TestRetries:
    async def test_a_passing_fault_is_passed_over(self, serve: Serve) -> None:
        """For what may be sent twice."""
        sequence = Sequence(500, 502)
        async with session(await serve(sequence)) as http:
            assert (await http.exchange("GET", "/")).status == 200
        assert len(sequence.requests) == 3

    @pytest.mark.parametrize(
        ("options", "tries"),
        [
            ({"method": "GET"}, 3),
            ({"method": "DELETE"}, 3),
            ({"method": "GET", "attempts": 1}, 1),
            ({"method": "GET", "attempts": 5}, 5),
            ({"method": "GET", "repeat": False}, 1),
            ({"method": "POST"}, 1),
            ({"method": "POST", "repeat": True}, 3),
        ],
    )
    @pytest.mark.parametrize("failure", ["500", "cut"])
    async def test_tries_are_counted(self, serve_raw: Serve, options: dict[str, Any], tries: int, failure: str) -> None:
        """Not one more than allowed: aiohttp's own silent repetition of GET, PUT and DELETE is off."""
        seen = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(1)
            if failure == "500":
                writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()

        async with session(await serve_raw(script)) as http:
            with pytest.raises(ServerError if failure == "500" else ConnectionLost):
                await http.exchange(target="/", **options)
            assert_idle(http)
        assert len(seen) == tries

    async def test_a_connection_lost_while_idle_counts_as_one_try(self, serve_raw: Serve) -> None:
        """The server closes a kept connection just as it is used again."""
        count = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")  # closes on the next request

        async with session(await serve_raw(script)) as http:
            await http.exchange("GET", "/")
            await http.exchange("GET", "/")
            with pytest.raises(ConnectionLost):
                await http.exchange("POST", "/")
        assert count == 2

    async def test_429_is_repeated_even_for_a_post(self, serve: Serve) -> None:
        """And slows the whole host down."""
        sequence = Sequence(429, headers={"Retry-After": "0"})
        async with session(await serve(sequence)) as http:
            assert (await http.exchange("POST", "/")).status == 200
            (origin,) = http._origins.values()
            assert origin.host.control.allowance.slots == 8
        assert len(sequence.requests) == 2

    async def test_maintenance_refuses_writes_at_once_and_does_not_slow_reading_down(self, serve: Serve) -> None:
        """Reading goes on while it lasts."""
        said = b'{"error_code":"Unavailable","error_message":"The system is in Maintenance Mode"}'
        sequence = Sequence(503, headers={"Retry-After": "3000"}, body=said)
        async with session(await serve(sequence)) as http:
            with pytest.raises(MaintenanceMode):
                await http.exchange("DELETE", "/")
            with anyio.fail_after(4):
                assert (await http.exchange("GET", "/")).status == 200
        assert len(sequence.requests) == 2

    async def test_a_wait_beyond_the_deadline_is_not_begun(self, serve: Serve) -> None:
        """The last error comes at once, in place of a sleep that ends in a timeout."""
        sequence = Sequence(503, headers={"Retry-After": "50"})
        async with session(await serve(sequence)) as http:
            with anyio.fail_after(20), pytest.raises(Unavailable) as caught:
                await http.exchange("GET", "/")
        assert caught.value.retry_after_s == 50
        assert len(sequence.requests) == 1

    async def test_a_host_that_asks_for_a_pause_gets_it_from_all(self, serve: Serve) -> None:
        """Not only from the exchange that was told."""
        loop = asyncio.get_running_loop()
        times: list[float] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            times.append(loop.time())
            if len(times) == 1:
                return web.Response(status=503, headers={"Retry-After": "0.3"})
            return await echoes(request)

        async with session(await serve(handler)) as http:
            with pytest.raises(Unavailable):
                await http.exchange("GET", "/", attempts=1)
            await http.exchange("GET", "/other", attempts=1)
        assert times[1] - times[0] >= 0.29

    async def test_refused_connections_are_tried_again(self) -> None:
        """The service may be restarting."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{taken.getsockname()[1]}"
            async with session(base) as http:
                with pytest.raises(ConnectionRefused, match="nothing listens"):
                    await http.exchange("POST", "/")
                assert_idle(http)

    @pytest.mark.parametrize(
        ("code", "kind", "tries"), [(socket.EAI_NONAME, NameNotResolved, 1), (socket.EAI_AGAIN, ConnectionFailed, 3)]
    )
    async def test_a_name_without_an_address_is_not_asked_for_again(
        self, mocked: aioresponses.aioresponses, code: int, kind: type[AuroraError], tries: int
    ) -> None:
        """It will not have one in a second either; a silent name server may answer then."""
        key = aiohttp.client_reqrep.ConnectionKey("no.such.host", 80, False, True, None, None, None)
        url = "http://no.such.host/x"
        mocked.get(url, exception=aiohttp.ClientConnectorDNSError(key, socket.gaierror(code, "oops")), repeat=True)
        async with session("http://no.such.host") as http:
            with pytest.raises(kind) as caught:
                await http.exchange("GET", "/x")
        assert type(caught.value) is kind
        assert sum(len(calls) for calls in mocked.requests.values()) == tries

    async def test_mocked_answers_work(self, mocked: aioresponses.aioresponses) -> None:
        """Users mock aiohttp with aioresponses too."""
        mocked.get("http://no.such.host/x", payload={"a": 1})
        async with session("http://no.such.host") as http:
            assert (await http.exchange("GET", "/x")).json() == {"a": 1}


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nContent-Len",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\n" + gzip.compress(b"hello"),
        ],
        ids=["nothing", "status", "head", "length", "last chunk", "chunk", "gzip"],
    )
    async def test_a_cut_answer_never_passes_for_a_whole_one(self, raw_answer: Serve, answer: bytes) -> None:
        """Wherever it was cut, in memory and in a stream."""
        async with session(await raw_answer(answer)) as http:
            with pytest.raises(ConnectionLost):
                await http.exchange("GET", "/", attempts=1)
            with pytest.raises(ConnectionLost):
                async with http.open("GET", "/", attempts=1) as body:
                    _ = [chunk async for chunk in body.chunks()]
            assert_idle(http)

    async def test_what_came_before_a_cut_is_given_first(self, raw_answer: Serve) -> None:
        """Also when the end is known before anybody has read: who goes on from there has the less to ask for."""
        data = random.Random(1).randbytes(300_000)
        got = b""
        async with session(await raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + data)) as http:
            with pytest.raises(ConnectionLost):
                async with http.open("GET", "/") as body:
                    await until(lambda: body._response.content.exception() is not None)
                    async for chunk in body.chunks(50_000):
                        got += chunk
                        assert len(chunk) <= 50_000
            assert_idle(http)
        assert got == data

    async def test_more_bytes_than_announced_are_noticed(self, raw_answer: Serve) -> None:
        """What was announced may be half of a file whose other half comes behind it."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"
        async with session(await raw_answer(head + bytes(400_000))) as http:
            with pytest.raises(MalformedAnswer, match="Content-Length: more bytes came than it says"):
                async with http.open("GET", "/") as body:
                    _ = [chunk async for chunk in body.chunks()]
            assert_idle(http)
        async with session(await raw_answer(head + bytes(300_000))) as http, http.open("GET", "/") as body:
            assert len(b"".join([chunk async for chunk in body.chunks()])) == 300_000

    @pytest.mark.parametrize("size", [5_000, 100_000], ids=["small", "decompressed in a thread"])
    async def test_a_cut_gzip_stream_in_a_whole_body_is_noticed(self, raw_answer: Serve, size: int) -> None:
        """A proxy that gives up in the middle may close the HTTP body properly."""
        packed = gzip.compress(random.Random(1).randbytes(size))[:-9]
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        async with session(await raw_answer(head.encode() + packed)) as http:
            with pytest.raises(IncompleteBody):
                await http.exchange("GET", "/", attempts=1)
            with pytest.raises(IncompleteBody):
                async with http.open("GET", "/") as body:
                    assert body.length is None
                    _ = [chunk async for chunk in body.chunks(100)]
            assert_idle(http)

    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        ],
        ids=["ssh", "status", "header", "length", "endless"],
    )
    async def test_what_is_not_http_is_called_that(self, raw_answer: Serve, answer: bytes) -> None:
        """And asked for once: another try would get the same."""
        async with session(await raw_answer(answer)) as http:
            with pytest.raises(MalformedAnswer):
                await http.exchange("GET", "/")
            assert_idle(http)

    async def test_broken_chunks_are_an_error(self, raw_answer: Serve) -> None:
        """Not the end of the body."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with session(await raw_answer(head + b"5\r\n12345\r\nzz\r\n")) as http:
            with pytest.raises(AuroraError):
                await http.exchange("GET", "/", attempts=1)
            assert_idle(http)

    @pytest.mark.parametrize(
        "answer",
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"],
        ids=["nothing", "head", "body"],
    )
    async def test_silence_has_a_limit(self, raw_answer: Serve, answer: bytes) -> None:
        """Wherever it begins."""
        base = await raw_answer(answer, stall=True)
        async with session(base, timeouts=Timeouts(read_s=0.05)) as http:
            with pytest.raises(ReadTimeout):
                await http.exchange("GET", "/", attempts=1)
            with pytest.raises(ReadTimeout):
                async with http.open("GET", "/", attempts=1) as body:
                    _ = [chunk async for chunk in body.chunks()]
            assert_idle(http)
            await until(lambda: not connections_to(base))

    async def test_a_host_that_does_not_take_connections_has_a_limit_too(self) -> None:
        """A full backlog swallows the SYN, as a firewall does."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            try:
                for filler in fillers:
                    filler.setblocking(False)
                    filler.connect_ex(address)
                base = f"http://127.0.0.1:{address[1]}"
                async with session(base, timeouts=Timeouts(connect_s=0.1)) as http:
                    with pytest.raises(ConnectTimeout):
                        await http.exchange("GET", "/", attempts=1)
                    assert_idle(http)
            finally:
                for filler in fillers:
                    filler.close()


class TestBodies:
    async def test_a_body_comes_in_pieces_of_bounded_size(self, serve: Serve) -> None:
        """With its length, when the server said it."""
        data = random.Random(1).randbytes(1_000_000)

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(body=data, headers={"ETag": '"v1"'})

        base = await serve(handler)
        async with session(base) as http:
            async with http.open("GET", "/file") as body:
                assert (body.status, body.length, body.headers["etag"]) == (200, len(data), '"v1"')
                assert body.url == base + "/file"
                chunks = [chunk async for chunk in body.chunks(50_000)]
            assert b"".join(chunks) == data
            assert max(map(len, chunks)) <= 50_000
            assert_idle(http)
            assert len(connections_to(base)) == 1

    async def test_a_compressed_body_is_unpacked_and_has_no_length(self, serve: Serve) -> None:
        """Content-Length counts other bytes than those delivered."""
        data = bytes(range(256)) * 4000

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(body=gzip.compress(data), headers={"Content-Encoding": "gzip"})

        async with session(await serve(handler)) as http, http.open("GET", "/") as body:
            assert body.length is None
            assert b"".join([chunk async for chunk in body.chunks()]) == data
        async with session(await serve(handler)) as http, http.open("GET", "/") as body:
            assert gzip.decompress(b"".join([chunk async for chunk in body.chunks(decode=False)])) == data

    async def test_a_chunked_body_has_no_length(self, serve: Serve) -> None:
        """Nobody has said it."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            for _ in range(10):
                await response.write(b"12345")
            return response

        async with session(await serve(handler)) as http, http.open("GET", "/") as body:
            assert body.length is None
            assert b"".join([chunk async for chunk in body.chunks(7)]) == b"12345" * 10

    async def test_leaving_early_closes_the_connection(self, serve: Serve) -> None:
        """The rest may be gigabytes; and a body that was left cannot be read on."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(bytes(65536))

        base = await serve(handler)
        async with session(base) as http:
            async with http.open("GET", "/") as body:
                chunks = body.chunks()
                await anext(chunks)
            assert_idle(http)
            await until(lambda: not connections_to(base))
            with pytest.raises(ConnectionLost):
                while True:
                    await anext(chunks)

    async def test_a_body_is_read_once(self, serve: Serve) -> None:
        """A second reading would find nothing and take that for the body."""
        async with session(await serve(echoes)) as http, http.open("GET", "/") as body:
            assert [chunk async for chunk in body.chunks()]
            with pytest.raises(RuntimeError, match="once"):
                await anext(body.chunks())

    async def test_an_error_status_and_a_passing_fault_are_met_before_the_block(self, serve: Serve) -> None:
        """What opens is a body worth reading."""
        sequence = Sequence(503, 404)
        async with session(await serve(sequence)) as http:
            with pytest.raises(NotFound):
                async with http.open("GET", "/"):
                    pytest.fail("opened")
            assert_idle(http)
        assert len(sequence.requests) == 2

    async def test_control_exchanges_do_not_queue_behind_bodies(self, serve: Serve) -> None:
        """All slots for bodies are taken by slow ones, and more wait; a poll passes."""
        release = asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            if request.path == "/body":
                response = web.StreamResponse()
                await response.prepare(request)
                await release.wait()
                return response
            return await echoes(request)

        async with session(await serve(handler), limits=Limits(body_connections=2)) as http:

            async def read() -> None:
                async with http.open("GET", "/body") as body:
                    _ = [chunk async for chunk in body.chunks()]

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(read)
                await until(lambda: len(gates(http)) == 2 and gates(http)[1] == (2, 3))
                await http.exchange("GET", "/poll")
                bulk = asyncio.ensure_future(http.exchange("GET", "/poll", lane="body"))
                await until(lambda: gates(http)[1] == (2, 4))
                release.set()
            await bulk
            assert_idle(http)

    async def test_no_more_connections_than_allowed(self, serve: Serve) -> None:
        """Two hundred exchanges at once are four at a time."""
        now = most = 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            return web.Response()

        base = await serve(handler)
        async with session(base, limits=Limits(control_connections=4)) as http:
            await asyncio.gather(*(http.exchange("GET", "/") for _ in range(200)))
            assert len(connections_to(base)) <= 4
        assert most <= 4

    async def test_a_slow_reader_slows_the_server(self, serve: Serve) -> None:
        """Memory does not grow with the body."""
        written = 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal written
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(2000):
                await response.write(bytes(65536))
                written += 65536
            return response

        async with session(await serve(handler)) as http, http.open("GET", "/") as body:
            await anext(body.chunks(1 << 16))
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.02)
            assert written < 40_000_000


class TestCredentials:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_the_key_never_follows_a_redirect_to_another_origin(self, serve: Serve, status: int) -> None:
        """Another port is another origin; what the caller gave by hand stays behind as well; so it is for bodies."""
        other = await serve(echoes)

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": other + "/there?x=%2F"})

        base = await serve(handler)
        personal = {"AUTHORIZATION": "Bearer t", "Cookie": "a=b", "host": "home.example", "X-Plain": "stays"}
        async with session(base) as http:
            http.add_credential(base, {"X-Custom-Key": "k"})
            answer = await http.exchange("GET", "/", headers=personal)
            assert_idle(http)
            async with http.open("GET", "/", headers=personal) as body:
                streamed = json.loads(b"".join([chunk async for chunk in body.chunks()]))
        assert answer.url == body.url == other + "/there?x=%2F"
        for seen in (answer.json(), streamed):
            assert seen["path"] == "/there?x=%2F"
            assert not seen["headers"].keys() & {"x-aurorax-api-key", "authorization", "cookie", "x-custom-key"}
            assert seen["headers"]["x-plain"] == "stays"
            assert seen["headers"]["host"] == other.removeprefix("http://")

    async def test_the_key_follows_within_its_origin_and_comes_back_to_it(self, serve: Serve) -> None:
        """A → A keeps everything; A → B → A gets the key of A again, but not what the caller gave by hand."""
        urls: dict[str, str] = {}

        async def other(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": urls["a"] + "/end"})

        async def home(request: web.Request) -> web.StreamResponse:
            if request.path == "/same":
                return web.Response(status=302, headers={"Location": "end"})
            if request.path == "/away":
                return web.Response(status=302, headers={"Location": urls["b"] + "/"})
            return await echoes(request)

        urls["a"], urls["b"] = await serve(home), await serve(other)
        async with session(urls["a"]) as http:
            same = (await http.exchange("GET", "/same", headers={"Authorization": "x"})).json()["headers"]
            away = (await http.exchange("GET", "/away", headers={"Authorization": "x"})).json()["headers"]
        assert (same["x-aurorax-api-key"], same["authorization"]) == (KEY, "x")
        assert away["x-aurorax-api-key"] == KEY
        assert "authorization" not in away

    async def test_an_absolute_target_elsewhere_gets_no_key(self, serve: Serve) -> None:
        """Presigned links are absolute URLs."""
        base, other = await serve(echoes), await serve(echoes)
        async with session(base) as http:
            assert "x-aurorax-api-key" not in (await http.exchange("GET", other + "/")).json()["headers"]
            assert "x-aurorax-api-key" in (await http.exchange("GET", base + "/")).json()["headers"]
            assert "x-aurorax-api-key" in (await http.exchange("GET", base.upper() + "/")).json()["headers"]

    async def test_credentials_are_added_and_removed_by_origin(self, serve: Serve) -> None:
        """Before the first request to it and after; the key of the configuration stays."""
        base, other = await serve(echoes), await serve(echoes)
        async with session(base) as http:
            http.add_credential(other + "/any/path", {"Authorization": "Bearer one"})

            async def sent(url: str) -> tuple[str | None, str | None]:
                headers = (await http.exchange("GET", url)).json()["headers"]
                return headers.get("authorization"), headers.get("x-aurorax-api-key")

            assert await sent(other + "/") == ("Bearer one", None)
            http.add_credential(base, {"Authorization": "Bearer two"})
            assert await sent("/") == ("Bearer two", KEY)
            http.remove_credential(other)
            http.remove_credential(base)
            http.remove_credential("http://never.seen")
            assert await sent(other + "/") == (None, None)
            assert await sent("/") == (None, KEY)

    async def test_credentials_that_are_refused_are_renewed_once_and_the_request_sent_again(self, serve: Serve) -> None:
        """For exchanges and for bodies; new ones that are refused too are the end of it."""
        good = "Bearer 2"

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != good:
                raise web.HTTPUnauthorized
            return web.Response(text="in")

        async def renew() -> dict[str, str]:
            renewed.append(None)
            return {"Authorization": f"Bearer {len(renewed) + 1}"}

        base = await serve(answer)
        renewed: list[None] = []
        async with session(base) as http:
            http.add_credential(base, {"Authorization": "Bearer 1"}, renew=renew)
            assert (await http.exchange("GET", "/")).body == b"in"
            good = "Bearer 3"
            async with http.open("GET", "/") as body:
                assert b"".join([chunk async for chunk in body.chunks()]) == b"in"
            good = "Bearer none"
            with pytest.raises(Unauthorized):
                await http.exchange("GET", "/")
            assert len(renewed) == 3
            with pytest.raises(Unauthorized):
                await http.exchange("GET", "/", anonymous=True)
            assert len(renewed) == 3

    async def test_credentials_given_up_while_they_are_renewed_stay_given_up(self, serve: Serve) -> None:
        """Who logs out must not find himself logged in by a request that was under way."""
        sent: list[str | None] = []
        refused = anyio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            sent.append(request.headers.get("Authorization"))
            raise web.HTTPUnauthorized

        base = await serve(answer)
        async with session(base) as http:

            async def renew() -> dict[str, str]:
                refused.set()
                await removed.wait()
                return {"Authorization": "Bearer 2"}

            removed = anyio.Event()
            http.add_credential(base, {"Authorization": "Bearer 1"}, renew=renew)
            asking = asyncio.create_task(http.exchange("GET", "/"))
            await refused.wait()
            http.remove_credential(base)
            removed.set()
            with pytest.raises(Unauthorized):
                await asking
            with pytest.raises(Unauthorized):
                await http.exchange("GET", "/")
        assert sent == ["Bearer 1", None]

    async def test_user_and_password_in_the_base_url_become_a_credential(self, serve: Serve) -> None:
        """And are shown nowhere."""
        base = await serve(echoes)
        async with session(base.replace("http://", "http://me:hunter2@"), api_key=None) as http:
            answer = await http.exchange("GET", "/x")
            assert answer.json()["headers"]["authorization"] == "Basic bWU6aHVudGVyMg=="
            assert answer.url == base + "/x"
            assert "hunter2" not in repr(http)

    async def test_nothing_is_shown_in_repr_or_logs(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        """Of anything that is made on the way, at the most talkative level."""
        sequence = Sequence(500, body=b"no")

        async def handler(request: web.Request) -> web.StreamResponse:
            if request.path == "/go":
                return web.Response(status=302, headers={"Location": "/end?X-Amz-Signature=signed"})
            return await sequence(request)

        with caplog.at_level(logging.DEBUG):
            async with session(await serve(handler)) as http:
                http.add_credential(http.config.base_url, {"Authorization": "Bearer token-9"})
                answer = await http.exchange("GET", "/go")
                async with http.open("GET", "/go") as body:
                    said = "".join(one.getMessage() for one in caplog.records if one.name.startswith("aurora_async"))
                    shown = f"{http!r} {http.config!r} {answer!r} {body!r} {said}"
        assert answer.url.endswith("/end?X-Amz-Signature=signed")
        assert "trying again" in said and "redirects to" in said
        assert not [secret for secret in ("signed", KEY, "token-9") if secret in shown]

    async def test_netrc_is_for_its_own_host(self, serve: Serve) -> None:
        """Asked for once a session; an explicit credential goes before it; without trust it is not looked at."""
        write_netrc("machine 127.0.0.1 login me password hunter2\n")
        base = await serve(echoes)
        by_name = base.replace("127.0.0.1", "localhost")
        async with session(base) as http:
            assert (await http.exchange("GET", "/")).json()["headers"]["authorization"] == "Basic bWU6aHVudGVyMg=="
            assert "authorization" not in (await http.exchange("GET", by_name + "/")).json()["headers"]
            other = await serve(echoes)  # the same host, another origin, unencrypted
            assert "authorization" not in (await http.exchange("GET", other + "/")).json()["headers"]
            http.add_credential(base, {"Authorization": "Bearer x"})
            assert (await http.exchange("GET", "/")).json()["headers"]["authorization"] == "Bearer x"
        async with session(base, trust_environment=False) as http:
            assert "authorization" not in (await http.exchange("GET", "/")).json()["headers"]


class TestRedirects:
    @pytest.mark.parametrize(
        ("status", "method", "arrives"),
        [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (301, "PUT", "PUT"),
            (307, "POST", "POST"),
            (308, "PATCH", "PATCH"),
        ],
    )
    async def test_method_and_body_change_as_the_standard_says(
        self, serve: Serve, status: int, method: str, arrives: str
    ) -> None:
        """RFC 9110, 15.4."""
        arrived: list[tuple[str, bytes]] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            if request.path == "/":
                return web.Response(status=status, headers={"Location": "/end"})
            arrived.append((request.method, await request.read()))
            return web.Response()

        async with session(await serve(handler)) as http:
            answer = await http.exchange(method, "/", body=None if method == "HEAD" else b"{}")
        assert answer.method == arrives
        assert arrived == [(arrives, b"" if arrives in ("GET", "HEAD") else b"{}")]

    @pytest.mark.parametrize("location", ["/", "ftp://example.org/", "http://", "mailto:a@b", "http://[::1/x"])
    async def test_a_redirect_that_leads_nowhere_is_a_malformed_answer(self, serve: Serve, location: str) -> None:
        """A circle, or something that is no web address."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": location})

        async with session(await serve(handler)) as http:
            with pytest.raises(MalformedAnswer, match="Location"):
                await http.exchange("GET", "/")
            assert_idle(http)

    async def test_a_location_without_redirect_is_left_to_the_caller(self, serve: Serve) -> None:
        """A search is accepted with 202 and the address of its status."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(status=202, headers={"Location": "/api/v1/requests/1"})

        async with session(await serve(handler)) as http:
            answer = await http.exchange("POST", "/search", body=b"{}")
        assert (answer.status, answer.headers["location"]) == (202, "/api/v1/requests/1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TestTls:
    def server_side(self, authority: trustme.CA, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    def trusting(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    async def test_a_certificate_of_an_unknown_authority_is_refused_at_once(
        self, serve: Serve, authority: trustme.CA
    ) -> None:
        """Asked again it would be the same."""
        base = (await serve(echoes, ssl=self.server_side(authority, "127.0.0.1"))).replace("http:", "https:")
        async with session(base) as http:
            with pytest.raises(TlsFailed, match="does not verify"):
                await http.exchange("GET", "/")
            assert_idle(http)

    async def test_a_certificate_for_another_name_is_refused(self, serve: Serve, authority: trustme.CA) -> None:
        """Also one of a trusted authority."""
        base = (await serve(echoes, ssl=self.server_side(authority, "other.example"))).replace("http:", "https:")
        async with Session(Config(base_url=base), ssl_context=self.trusting(authority)) as http:
            with pytest.raises(TlsFailed, match="does not verify"):
                await http.exchange("GET", "/")

    async def test_plain_http_on_a_tls_port_is_a_tls_failure(self) -> None:
        """A wrong scheme in the base URL."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server, session(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
            with pytest.raises(TlsFailed, match="handshake"):
                await http.exchange("GET", "/")

    async def test_tls_with_an_authority_of_ones_own_and_clean_closing(
        self, serve: Serve, authority: trustme.CA
    ) -> None:
        """Idle, and in the middle of a body: no socket outlives the block, and none is waited for."""
        stop = asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            if request.path == "/":
                return await echoes(request)
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"x")
            await stop.wait()
            return response

        context = self.server_side(authority, "127.0.0.1")
        base = (await serve(handler, ssl=context)).replace("http:", "https:")
        with anyio.fail_after(4):
            async with Session(Config(base_url=base), ssl_context=self.trusting(authority)) as http:
                assert (await http.exchange("GET", "/")).status == 200
                async with http.open("GET", "/stall") as body:
                    await anext(body.chunks())
            assert connections_to(base) == []
            stop.set()

    async def test_a_request_body_is_not_sent_from_https_to_http(self, serve: Serve, authority: trustme.CA) -> None:
        """It may hold a password."""
        plain = await serve(echoes)

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": plain + "/"})

        base = (await serve(handler, ssl=self.server_side(authority, "127.0.0.1"))).replace("http:", "https:")
        async with Session(Config(base_url=base, api_key=KEY), ssl_context=self.trusting(authority)) as http:
            with pytest.raises(MalformedAnswer, match="from https to"):
                await http.exchange("POST", "/", body=b"{}")
            assert "x-aurorax-api-key" not in (await http.exchange("GET", "/")).json()["headers"]

    async def test_a_tunnel_is_told_the_proxys_password_and_not_the_key(
        self, serve: Serve, serve_raw: Serve, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CONNECT carries what the proxy may know; the key is inside."""
        base = (await serve(echoes, ssl=self.server_side(authority, "127.0.0.1"))).replace("http:", "https:")
        heads: list[bytes] = []
        ended = asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async def on_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            host, port = heads[-1].split()[1].decode().split(":")
            there, back = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(relay(reader, back), relay(there, writer), return_exceptions=True)
            ended.set()

        proxy = await asyncio.start_server(on_client, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://me:hunter2@127.0.0.1:{port}")
        async with Session(Config(base_url=base, api_key=KEY), ssl_context=self.trusting(authority)) as http:
            seen = (await http.exchange("GET", "/")).json()["headers"]
        proxy.close()
        assert seen["x-aurorax-api-key"] == KEY
        assert "proxy-authorization" not in seen
        (head,) = heads
        assert head.startswith(b"CONNECT ")
        assert b"Basic bWU6aHVudGVyMg==" in head
        assert KEY.encode() not in head
        await ended.wait()

    async def test_a_plain_request_goes_through_its_proxy(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the proxy's password, and not to hosts that NO_PROXY names."""
        proxy = await serve(echoes)
        monkeypatch.setenv("http_proxy", proxy.replace("http://", "http://me:hunter2@"))
        async with session("http://data.example") as http:
            seen = (await http.exchange("GET", "/file")).json()
        assert seen["path"] in ("http://data.example/file", "/file")
        assert seen["headers"]["host"] == "data.example"
        assert seen["headers"]["proxy-authorization"] == "Basic bWU6aHVudGVyMg=="
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        base = await serve(echoes)
        async with session(base) as http:
            assert "proxy-authorization" not in (await http.exchange("GET", "/")).json()["headers"]

    async def test_a_proxy_that_is_down_or_refuses_is_a_failed_connection(
        self, raw_answer: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And its password is not in the message."""
        refusing = await raw_answer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        for proxy in (refusing, "http://127.0.0.1:1"):
            monkeypatch.setenv("https_proxy", proxy.replace("http://", "http://me:hunter2@"))
            async with session("https://data.example") as http:
                with pytest.raises(ConnectionFailed, match="proxy") as caught:
                    await http.exchange("GET", "/")
            assert "hunter2" not in str(caught.value)


class TestClosing:
    async def test_a_session_is_used_inside_its_block(self, serve: Serve) -> None:
        """Before and after it there is nothing to send with."""
        http = session(await serve(echoes))
        assert http.closed
        for _ in range(2):
            with pytest.raises(ClientClosed, match="use it inside"):
                await http.exchange("GET", "/")
            with pytest.raises(ClientClosed):
                async with http.open("GET", "/"):
                    pytest.fail("opened")
            async with http:
                assert not http.closed
                assert (await http.exchange("GET", "/")).status == 200
                with pytest.raises(RuntimeError, match="open already"):
                    await http.__aenter__()

    async def test_no_socket_outlives_the_block(self, serve: Serve) -> None:
        """Idle ones, and those in use."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"x" * 100)
            if request.path == "/stall":
                await asyncio.sleep(10)
            return response

        base = await serve(handler)
        async with session(base) as http:
            await asyncio.gather(*(http.exchange("GET", "/") for _ in range(10)))
            async with http.open("GET", "/stall") as body:
                await anext(body.chunks())
                assert len(connections_to(base)) > 1
        assert connections_to(base) == []

    async def test_those_under_way_and_those_waiting_learn_that_it_is_closed(self, raw_answer: Serve) -> None:
        """And do not begin again."""
        base = await raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", stall=True)
        http = session(base, limits=Limits(control_connections=2))
        async with http:
            tasks = [asyncio.ensure_future(http.exchange("GET", "/")) for _ in range(5)]
            await until(lambda: gates(http) == [(2, 3), (0, 0)] and len(connections_to(base)) == 2)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [ClientClosed] * 5
        assert connections_to(base) == []

    @pytest.mark.parametrize("turns", range(12))
    async def test_who_reads_a_body_learns_it_too(self, raw_answer: Serve, turns: int) -> None:
        """Whether he waits for bytes at that moment or comes back for them later: never does he wait for ever."""
        base = await raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", stall=True)
        read = anyio.Event()
        closed = anyio.Event()

        async def in_two_steps(http: Session) -> None:
            async with http.open("GET", "/") as body:
                chunks = body.chunks()
                assert await anext(chunks) == b"1"
                read.set()
                await closed.wait()
                await anext(chunks)

        async with session(base) as http:
            waits = asyncio.create_task(http.exchange("GET", "/"))
            comes_back = asyncio.create_task(in_two_steps(http))
            await read.wait()
            for _ in range(turns):
                await asyncio.sleep(0.0005)
        closed.set()
        async with asyncio.timeout(5):
            results = await asyncio.gather(waits, comes_back, return_exceptions=True)
        assert [type(result) for result in results] == [ClientClosed] * 2

    async def test_a_peer_that_does_not_read_does_not_hold_up_closing(self) -> None:
        """A given-up upload sits in a transport that aiohttp has forgotten; asyncio would wait for it for ever."""
        with socket.socket() as listener:
            # Accepts no connection: the kernel does, and holds no more than this.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            started = anyio.current_time()
            async with session(base) as http:
                with anyio.move_on_after(0.1):
                    await http.exchange("PUT", "/", body=bytes(20 << 20))
                assert_idle(http)
            assert anyio.current_time() - started < 4
            assert connections_to(base) == []

    async def test_closing_outlives_a_cancellation(self, serve: Serve) -> None:
        """The scope that is cancelled is the reason for closing."""
        base = await serve(echoes)
        with anyio.CancelScope() as scope:
            async with session(base) as http:
                await http.exchange("GET", "/")
                scope.cancel()
                await anyio.sleep(1)
        assert scope.cancelled_caught
        assert connections_to(base) == []


class TestCancellation:
    """Cancelled at whatever await: no slot is lost, no connection in use goes back to the pool, none stays open."""

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"], ids=["head", "body"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_an_exchange_that_never_ends(self, raw_answer: Serve, answer: bytes, method: str) -> None:
        """After every number of event-loop turns up to where it waits for the server."""
        base = await raw_answer(answer, stall=True)
        async with session(base) as http:
            for steps in range(40):
                task = asyncio.ensure_future(http.exchange(method, "/", body=b"{}"))
                await turns(steps)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert_idle(http)
            await until(lambda: not connections_to(base))

    @pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
    async def test_an_exchange_that_is_answered(self, serve: Serve, warm: bool) -> None:
        """Cancelled before its end or just after: the next exchange gets its own answer, not the rest of this one."""
        base = await serve(echoes)
        async with session(base) as http:
            finished = 0
            for steps in range(60):
                if warm:
                    await http.exchange("GET", "/warm")
                task = asyncio.ensure_future(http.exchange("GET", "/cancelled"))
                await turns(steps)
                task.cancel()
                finished += isinstance((await asyncio.gather(task, return_exceptions=True))[0], Answer)
                assert_idle(http)
                assert (await http.exchange("GET", f"/{steps}")).json()["path"] == f"/{steps}"
            assert len(connections_to(base)) <= 2
            assert finished or not warm

    async def test_a_body_being_opened_and_read(self, raw_answer: Serve) -> None:
        """The same for `open`, inside the block too."""
        base = await raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123", stall=True)

        async def read(http: Session) -> None:
            async with http.open("GET", "/") as body:
                async for _ in body.chunks():
                    pass

        async with session(base) as http:
            for steps in range(40):
                task = asyncio.ensure_future(read(http))
                await turns(steps)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert_idle(http)
            await until(lambda: not connections_to(base))

    async def test_waiting_for_a_slot_and_for_another_try(
        self, raw_answer: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither holds anything."""
        caplog.set_level(logging.DEBUG, "aurora_async")
        base = await raw_answer(b"", stall=True)
        async with session(base, limits=Limits(control_connections=1)) as http:
            tasks = [asyncio.ensure_future(http.exchange("GET", "/")) for _ in range(3)]
            await until(lambda: gates(http) == [(1, 2), (0, 0)])
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert_idle(http)
        refused = await raw_answer(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
        async with session(refused, retries=Retries(first_s=100, ceiling_s=100)) as http:
            task = asyncio.ensure_future(http.exchange("GET", "/"))
            await until(lambda: "trying again" in caplog.text)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert_idle(http)

    async def test_a_redirect_under_way(self, serve: Serve, raw_answer: Serve) -> None:
        """Two hosts, two slots, none kept."""
        end = await raw_answer(b"", stall=True)

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": end + "/"})

        base = await serve(handler)
        async with session(base) as http:
            for steps in range(50):
                task = asyncio.ensure_future(http.exchange("GET", "/"))
                await turns(steps)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert_idle(http)
            await until(lambda: not connections_to(end))


async def test_nothing_is_left_for_the_garbage_collector(serve: Serve) -> None:
    """aiohttp would warn from there, and in debug mode call the loop's exception handler."""
    complaints: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            async with session(await serve(Sequence(404, 500))) as http:
                with pytest.raises(NotFound):
                    await http.exchange("GET", "/")
                await http.exchange("GET", "/")
                async with http.open("GET", "/"):
                    pass
    finally:
        loop.set_debug(False)
    assert complaints == []


async def _typed(body: Body) -> AsyncIterator[bytes]:
    """Hold the promised types, for mypy."""
    async for chunk in body.chunks():
        yield chunk
