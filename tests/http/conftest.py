"""Real servers on loopback: aiohttp's where HTTP is spoken properly, bare asyncio ones where it is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import aioresponses.core
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start an HTTP server that answers everything with one handler, and return its base URL."""
    servers = []

    async def start(handler: Handler, **options: Any) -> str:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{tail:.*}", handle)
        server = TestServer(app)
        await server.start_server(shutdown_timeout=0.1, **options)
        servers.append(server)
        return str(server.make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def serve_raw() -> AsyncIterator[Serve]:
    """Start a server that runs a script with each connection once a request's head came; return its base URL."""
    servers = []

    async def start(script: Script, **options: Any) -> str:
        tasks = set()

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await reader.readuntil(b"\r\n\r\n")
                    await script(reader, writer)
            except asyncio.CancelledError:
                pass  # the test is over
            finally:
                writer.transport.abort()
                tasks.discard(task)

        server = await asyncio.start_server(run, "127.0.0.1", 0, **options)
        servers.append((server, tasks))
        scheme = "https" if options.get("ssl") else "http"
        return f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server, tasks in servers:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def raw_answer(serve_raw: Serve) -> Serve:
    """Start a server that answers each connection with the given bytes and closes it (or, with `stall`, does not)."""

    async def start(answer: bytes, *, stall: bool = False, **options: Any) -> str:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            await writer.drain()
            if stall:
                await reader.read()
            else:
                writer.close()
                await writer.wait_closed()

        return await serve_raw(script, **options)

    return start


class _Response(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 builds, with the argument that aiohttp 3.14 added."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", None)
        if kwargs["writer"] is None:
            kwargs["stream_writer"] = _NothingWritten()
        super().__init__(*args, **kwargs)


class _NothingWritten:
    output_size = 0


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses.aioresponses]:
    """Replace aiohttp's client by answers and failures made up here; only for what no server can do (DNS)."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _Response)
    with aioresponses.aioresponses() as mock:
        yield mock


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the proxies and the netrc of whoever runs the tests out of them."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path_factory.mktemp("home") / "netrc"))
