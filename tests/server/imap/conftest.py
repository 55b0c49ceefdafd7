"""An archive for each test, asked without a socket in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from aurora_async.server.imap.service import ImapService
from aurora_async.server.imap.settings import ImapSettings
from aurora_async.server.site import Routes
from aurora_async.server.store import Store

KEY = "imap-demo-key"
READ_KEY = "imap-read-key"
OLD_AGENT = "Python-urllib/3.11"
CRASH = (500, {"message": "Internal Server Error"})


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def document(self) -> Any:
        """The body, which must be JSON."""
        assert self.content_type == "application/json"
        return json.loads(self.body)

    @property
    def said(self) -> tuple[int, Any]:
        """Status and document."""
        return self.status, self.document


class Archive:
    """A data center, and somebody with a key to all of it who asks it."""

    def __init__(self, service: ImapService) -> None:
        self.service = service
        self._routes = Routes()
        service.add_routes(self._routes)

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        key: str | None = KEY,
        agent: str = "tests",
        state: dict[Any, Any] | None = None,
        **parameters: Any,
    ) -> Answer:
        """Ask below `/api-key`, or without a key below no prefix; parameters make the query string."""
        headers = {"User-Agent": agent} | ({} if key is None else {"x-api-key": key})
        query = f"?{urlencode(parameters)}" if parameters else ""
        request = make_mocked_request(method, f"/imap{'' if key is None else '/api-key'}/{path}{query}", headers)
        for name, value in (state or {}).items():
            request[name] = value
        answer = await self._routes(request)
        assert isinstance(answer, web.Response)
        body = answer.body
        assert isinstance(body, bytes)
        return Answer(answer.status, answer.content_type, body)

    async def rows(self, path: str = "query", **how: Any) -> list[dict[str, Any]]:
        """Return the rows of a catalogue."""
        answer = await self.ask(path, **how)
        assert answer.status == 200, answer.text
        rows: list[dict[str, Any]] = answer.document
        return rows

    async def names(self, path: str = "query", **how: Any) -> list[str]:
        """Return the bare names in a catalogue's answer, in its order."""
        rows = await self.rows(path, **how)
        return [str(row.get("file_path") or row["file_name"]).rpartition("/")[2] for row in rows]

    async def add(self, *keys: str, ingested: str = "2026-05-01T12:00:00", is_old: bool = False) -> None:
        """Have files indexed as if they had just been uploaded."""
        for key in keys:
            moment = datetime.fromisoformat(ingested).replace(tzinfo=UTC)
            await self.service.catalog.index(key, moment, 100, is_old=is_old)

    async def put(self, key: str, content: bytes) -> None:
        """Put an object where uploads are."""

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        await self.service.objects.put(key, chunks())


OpenArchive = Callable[..., AbstractAsyncContextManager[Archive]]


@pytest.fixture
def open_archive(tmp_path: Path) -> OpenArchive:
    """Run an archive with some settings in an `async with`; all archives of a test have the same folder."""

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[Archive]:
        store = Store(tmp_path / "service")
        try:
            service = ImapService(store, tmp_path / "service" / "imap", ImapSettings(**settings))
            archive = Archive(service)
            await service.open()
            service.resume()
            try:
                yield archive
            finally:
                await service.close()
        finally:
            await store.close()

    return run


@pytest.fixture
async def archive(open_archive: OpenArchive) -> AsyncIterator[Archive]:
    """An archive with the published files."""
    async with open_archive() as archive:
        yield archive


@pytest.fixture
async def empty(open_archive: OpenArchive) -> AsyncIterator[Archive]:
    """An archive with nothing in it."""
    async with open_archive(published=False) as archive:
        yield archive
