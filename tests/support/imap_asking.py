"""Somebody who asks a local IMAP over sockets, with none of our client code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from aurora_async.server.app import ImapSettings, LocalService, ServiceSettings

KEY = {"x-api-key": "imap-demo-key"}
READ_KEY = {"x-api-key": "imap-read-key"}
TOKEN = {"Authorization": "Bearer imap-demo-token"}
OLD = {"User-Agent": "Python-urllib/3.11"}


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """What the object store calls the error."""
        assert self.headers["Content-Type"] == "application/xml"
        return self.text.partition("<Code>")[2].partition("</Code>")[0]


class ImapAsker:
    """Asks an IMAP; `service` is what it asks."""

    def __init__(self, service: LocalService, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.session = session

    async def ask(self, path: str, method: str = "GET", *, data: Any = None, **headers: str) -> Answer:
        """Ask at an address, or at a path below `/imap`; redirects are not followed."""
        url = path if path.startswith("http") else f"{self.service.imap_url}{path}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, url, data=data, headers=sent, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def link(self, key: str) -> str:
        """Return a link to an object."""
        answer = await self.ask(f"/api-key/download/{key}", **KEY)
        assert answer.status == 302, answer.text
        return str(answer.headers["Location"])

    async def get(self, key: str, **headers: str) -> Answer:
        """Get an object by a new link."""
        return await self.ask(await self.link(key), **headers)

    async def upload_link(self, name: str, query: str = "") -> str:
        """Return a link for an upload."""
        answer = await self.ask(f"/api-key/upload/{name}{query}", **KEY)
        assert answer.status == 200, answer.text
        return str(answer.document)

    async def put(self, name: str, content: bytes) -> Answer:
        """Upload a file."""
        answer = await self.ask(await self.upload_link(name), "PUT", data=content, Content_Type="")
        assert answer.status == 200, answer.text
        return answer

    async def rows(self, query: str, **headers: str) -> list[dict[str, Any]]:
        """Return the rows of a query with a key."""
        rows: list[dict[str, Any]] = (await self.ask(f"/api-key/query?{query}", **KEY, **headers)).document
        return rows

    async def listed(self, query: str, count: int = 1, **headers: str) -> list[dict[str, Any]]:
        """Return the rows of a query as soon as there are as many of them."""
        async with asyncio.timeout(10):
            while len(rows := await self.rows(query, **headers)) != count:
                await asyncio.sleep(0.01)
            return rows


@asynccontextmanager
async def serving(folder: Path | None = None, *, host: str = "127.0.0.1", **imap: Any) -> AsyncIterator[ImapAsker]:
    """Run a service with some of IMAP's settings."""
    imap = {"index_s": 0.0} | imap
    settings = ServiceSettings(workers=0, host=host, data_dir=folder, imap=ImapSettings(**imap))
    async with (
        LocalService(settings) as service,
        aiohttp.ClientSession(skip_auto_headers=("Content-Type",)) as session,
    ):
        yield ImapAsker(service, session)
