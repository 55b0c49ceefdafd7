"""Keys: each client sends its own, to its own service, and shows it to nobody."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator

import anyio
import pytest
from aiohttp import web
from support.scripted import Scripted, error, serving

from aurora_async import AuroraX, Config
from aurora_async import sync as blocking
from aurora_async.compat import pyaurorax
from aurora_async.errors import AuroraError


class Porter:
    """Notes which key came with which path."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path, request.headers.get("x-aurorax-api-key")))
        await asyncio.sleep(0.001)
        if request.path.endswith("/away"):
            raise web.HTTPTemporaryRedirect(request.query["to"])
        return error(403, "Forbidden", "not for you") if request.path.endswith("/no") else web.json_response([])


@pytest.fixture
async def porter() -> Porter:
    """What the service noted."""
    return Porter()


@pytest.fixture
async def service(porter: Porter) -> AsyncIterator[Scripted]:
    """A service that notes keys."""
    async with serving(Scripted()) as scripted:
        scripted.on("other", porter.answer)
        yield scripted


async def test_clients_with_different_keys_never_send_each_other_s(service: Scripted, porter: Porter) -> None:
    """Many of them at once in one process, asynchronous, blocking and in pyaurorax's form."""

    async def ask(name: str) -> None:
        async with AuroraX(base_url=service.base_url, api_key=f"key-{name}") as client:
            for _ in range(5):
                await client.request("GET", f"/api/v1/for/{name}")

    def ask_blocking(name: str) -> None:
        with blocking.AuroraX(base_url=service.base_url, api_key=f"key-{name}") as client:
            for _ in range(5):
                client.request("GET", f"/api/v1/for/{name}")

    def ask_official(name: str) -> None:
        client = pyaurorax.PyAuroraX(api_base_url=service.base_url, api_key=f"key-{name}")
        for _ in range(5):
            client.search.sources.list(program=name)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, f"a{number}")
            tasks.start_soon(anyio.to_thread.run_sync, ask_blocking, f"b{number}")
            tasks.start_soon(anyio.to_thread.run_sync, ask_official, f"c{number}")
    told = [(path, key) for path, key in porter.seen if "/for/" in path]
    assert len(told) == 50
    assert all(key == f"key-{path.rpartition('/')[2]}" for path, key in told)
    official = [key for path, key in porter.seen if "/for/" not in path]
    assert sorted(official) == sorted(f"key-c{number}" for number in range(5) for _ in range(5))


async def test_a_key_is_never_shown(service: Scripted, porter: Porter, caplog: pytest.LogCaptureFixture) -> None:
    """Not by repr, logs, errors or their traces, nor to whom the service sends us on."""
    caplog.set_level(logging.DEBUG)
    secret = "key-that-nobody-sees"
    elsewhere = Porter()
    async with serving(Scripted()) as other, AuroraX(base_url=service.base_url, api_key=secret) as client:
        other.on("other", elsewhere.answer)
        shown = [repr(client), str(client), repr(client.config), str(Config(api_key=secret))]
        await client.request("GET", "/api/v1/away", params={"to": f"{other.base_url}/api/v1/there"})
        await client.request("GET", f"{other.base_url}/api/v1/directly")
        with pytest.raises(AuroraError) as caught:
            await client.request("GET", "/api/v1/no")
        shown += [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]
    shown.append(repr(blocking.AuroraX(api_key=secret)))
    shown.append(str(pyaurorax.PyAuroraX(api_key=secret)))
    shown.append(caplog.text)
    assert not any(secret in text for text in shown)
    assert {path for path, _ in elsewhere.seen} == {"/api/v1/there", "/api/v1/directly"}
    assert all(key is None for _, key in elsewhere.seen)
    assert all(key == secret for _, key in porter.seen)
