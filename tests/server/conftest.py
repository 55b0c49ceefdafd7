"""A local service for each test, and one folder of computed days for all of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from aurora_async.server.app import Account, LocalService, ServiceSettings

KEYS = {
    "key-admin": Account(role="Administrator", email_address="admin@example.org"),
    "key-owner": Account(role="Owner", email_address="owner@example.org"),
    "key-other-owner": Account(role="Owner", email_address="other@example.org"),
    "key-maintainer": Account(role="Maintainer", email_address="maintainer@example.org"),
    "key-user": Account(role="User", email_address="user@example.org"),
}


class Client:
    """Speaks to a service without any of our client code."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self.session = session

    async def call(self, method: str, path: str, **how: Any) -> tuple[int, Any, Any]:
        """Return status, headers and the JSON of an answer (None when it has no body)."""
        async with self.session.request(method, f"{self.base_url}{path}", **how) as answer:
            body = await answer.read()
            if body:
                assert answer.headers["Content-Type"] == "application/json"
            return answer.status, answer.headers, await answer.json() if body else None

    async def get(self, path: str, **how: Any) -> Any:
        """Return the JSON of a path that must answer 200."""
        status, _, document = await self.call("GET", path, **how)
        assert status == 200, document
        return document

    async def submit(self, kind: str, query: dict[str, Any], **how: Any) -> str:
        """Submit a search under an identifier of our own; return the path of the request."""
        query = {"request_id": str(uuid.uuid4())} | query
        status, headers, document = await self.call("POST", f"/api/v1/{kind}/search", json=query, **how)
        assert (status, document) == (202, None), document
        path = f"/api/v1/{kind}/requests/{query['request_id']}"
        assert headers["Location"] == self.base_url + path
        return path

    async def ended(self, path: str, *, within_s: float = 20) -> Any:
        """Return the status of a request when it is over."""
        async with asyncio.timeout(within_s):
            while True:
                status = await self.get(path)
                if status["search_result"]["completed_timestamp"] is not None:
                    return status
                await asyncio.sleep(0.005)

    async def run(self, kind: str, query: dict[str, Any]) -> tuple[str, Any]:
        """Run a search to its end; return its path and its status."""
        path = await self.submit(kind, query)
        return path, await self.ended(path)

    async def records(self, kind: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the records that a search finds."""
        path, status = await self.run(kind, query)
        assert status["search_result"]["error_condition"] is False, status
        found = (await self.get(f"{path}/data"))["result"]
        assert len(found) == status["search_result"]["result_count"]
        return list(found)


Serve = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="session")
def days_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the services of all tests keep the days they have computed."""
    return tmp_path_factory.mktemp("days")


@pytest.fixture
def serve(days_dir: Path) -> Serve:
    """Run a service with some settings in an `async with`; it computes in threads, which start at once."""

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[Client]:
        settings = {"days_dir": days_dir, "api_keys": KEYS, "workers": 0} | settings
        async with (
            LocalService(ServiceSettings(**settings)) as service,
            aiohttp.ClientSession() as session,
        ):
            yield Client(service.base_url, session)

    return run


def ephemeris(start: str = "2020-01-01T00:00:00", end: str = "2020-01-01T00:09:59", **sources: Any) -> dict[str, Any]:
    """An ephemeris query: ten minutes of Swarm A unless said otherwise."""
    criteria = {"programs": ["swarm"], "platforms": ["swarma"], "instrument_types": ["footprint"]} | sources
    return {"start": start, "end": end, "data_sources": criteria}


def conjunctions(**changes: Any) -> dict[str, Any]:
    """The published search of 2020-01-01, which finds 49 conjunctions."""
    return {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T06:59:59",
        "ground": [{"programs": ["themis-asi"]}],
        "space": [{"programs": ["swarm"]}],
        "conjunction_types": ["nbtrace"],
        "max_distances": {"ground1-space1": 500},
    } | changes


def products(**changes: Any) -> dict[str, Any]:
    """A day of data products of the imager at Fort Smith."""
    sources = {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]}
    return {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59", "data_sources": sources} | changes


@pytest.fixture
def queries() -> SimpleNamespace:
    """The query documents that tests vary: `ephemeris(…)`, `conjunctions(…)`, `products(…)`."""
    return SimpleNamespace(ephemeris=ephemeris, conjunctions=conjunctions, products=products)
