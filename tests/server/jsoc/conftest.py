"""A local JSOC for each test, and somebody who asks it over HTTP with none of our client code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aurora_async.server.app import JsocSettings, LocalService, ServiceSettings

ADDRESS = "demo@example.com"


class Asker:
    """Asks a JSOC; `service` is what it asks."""

    def __init__(self, service: LocalService, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.base_url = service.base_url
        self.text = ""
        """The last document, as it was sent."""
        self.session = session

    async def cgi(self, name: str, *, post: bool = False, **parameters: str) -> dict[str, Any]:
        """Return the document that a program answers; underscores at the end of a name are for Python's keywords."""
        url = f"{self.base_url}/cgi-bin/ajax/{name}"
        named = {key.rstrip("_"): value for key, value in parameters.items()}
        how: dict[str, Any] = {"data": named} if post else {"params": named}
        async with self.session.request("POST" if post else "GET", url, **how) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
            self.text = text = await answer.text()
            assert text.isascii() and text.endswith("\n")
            document: dict[str, Any] = json.loads(text)
            return document

    async def request(self, ds: str, *, post: bool = False, **more: str) -> dict[str, Any]:
        """Ask for an export; return the answer."""
        parameters: dict[str, Any] = {"op": "exp_request", "ds": ds, "notify": ADDRESS} | more
        return await self.cgi("jsoc_fetch", post=post, **parameters)

    async def status(self, request_id: str) -> dict[str, Any]:
        """Ask about an export."""
        return await self.cgi("jsoc_fetch", op="exp_status", requestid=request_id)

    async def ended(self, request_id: str, *, within_s: float = 30) -> dict[str, Any]:
        """Return the status of an export when it is over."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self.status(request_id)
                if int(answer["status"]) not in (1, 2):
                    return answer
                await asyncio.sleep(0.005)

    async def export(self, ds: str, *, post: bool = False, **more: str) -> dict[str, Any]:
        """Have an export made that succeeds; return its list."""
        accepted = await self.request(ds, post=post, **more)
        assert accepted["status"] == 2, accepted
        answer = await self.ended(accepted["requestid"])
        assert int(answer["status"]) == 0, answer
        return answer

    async def get(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        """Return status, headers and body of a file."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(f"{self.base_url}{path}", headers=sent, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()

    async def file(self, path: str) -> bytes:
        """Return a file that must be there."""
        status, _, body = await self.get(path)
        assert status == 200, (path, body[:200])
        return body

    async def files(self, answer: dict[str, Any]) -> dict[str, bytes]:
        """Return all files of a finished export by their names."""
        names = [row["filename"] for row in answer["data"]]
        return {name: await self.file(f"{answer['dir']}/{name}") for name in names}


Serve = Callable[..., AbstractAsyncContextManager[Asker]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Run a service with some of JSOC's settings in an `async with`; all services of a test have the same folder."""

    @asynccontextmanager
    async def run(**jsoc: Any) -> AsyncIterator[Asker]:
        jsoc = {"export_s": 0.0} | jsoc
        settings = ServiceSettings(workers=0, data_dir=tmp_path / "service", jsoc=JsocSettings(**jsoc))
        async with LocalService(settings) as service, aiohttp.ClientSession() as session:
            yield Asker(service, session)

    return run
