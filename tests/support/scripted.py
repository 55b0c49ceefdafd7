"""A service whose every answer a test can script: what no well-behaved server would do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from aiohttp import web

from aurora_async import AuroraX, Config, ConjunctionQuery, GroundBlock, Polling, Retries, SpaceBlock, Timeouts

Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def conjunction(index: int = 0) -> dict[str, Any]:
    """A record with the protocol's nine keys."""
    at = f"2020-01-01T00:{index % 60:02d}:00"
    source = {"identifier": 3, "program": "swarm", "platform": "swarma"}
    return {
        "conjunction_type": "nbtrace",
        "start": at,
        "end": at,
        "data_sources": [source, source],
        "min_distance": 284.42085025713,
        "max_distance": 493.19747610761,
        "closest_epoch": at,
        "farthest_epoch": at,
        "events": [],
    }


@dataclass
class Scripted:
    """Speaks AuroraX's search protocol; `on` replaces the answer of a route by a handler of the test's own."""

    takes_s: float = 0.0
    records: list[dict[str, Any]] = field(default_factory=lambda: [conjunction(i) for i in range(3)])
    fails_with: str | None = None
    base_url: str = ""
    requests: dict[str, float] = field(default_factory=dict)
    queries: dict[str, Any] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    scripts: dict[str, Handler] = field(default_factory=dict)
    transports: set[asyncio.BaseTransport] = field(default_factory=set)
    takes: Callable[[dict[str, Any]], float] | None = None

    def on(self, route: str, handler: Handler) -> None:
        """Answer `submit`, `status`, `data`, `cancel` or `other` by `handler`; None from it is the usual answer."""
        self.scripts[route] = handler

    @property
    def open_connections(self) -> int:
        """How many connections clients hold open."""
        return sum(not transport.is_closing() for transport in self.transports)

    def count(self, method: str, ending: str) -> int:
        """How often a route was asked."""
        return sum(one == method and path.endswith(ending) for one, path in self.seen)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.transports.add(request.transport)
        self.seen.append((request.method, request.path))
        route = self._route(request)
        script = self.scripts.get(route)
        if script is not None and (answer := await script(request)) is not None:
            return answer
        handlers = {"submit": self.submit, "status": self.status, "data": self.data, "cancel": self.cancel}
        if route == "other":
            return error(404, "NotFound", request.path)
        return await handlers[route](request)

    @staticmethod
    def _route(request: web.Request) -> str:
        if not request.path.startswith(("/api/v1/conjunctions/", "/api/v1/ephemeris/", "/api/v1/data_products/")):
            return "other"
        if request.path.endswith("/search"):
            return "submit"
        if request.path.endswith("/data"):
            return "data"
        return "cancel" if request.method == "DELETE" else "status"

    async def submit(self, request: web.Request) -> web.Response:
        """Accept a query under the client's own identifier."""
        query = await request.json()
        request_id = query["request_id"]
        if request_id in self.requests:
            return error(409, "Duplicate", "there is a request with this identifier")
        self.requests[request_id] = time.monotonic()
        self.queries[request_id] = query
        return web.Response(status=202, headers={"Location": self.location(request, request_id)})

    def location(self, request: web.Request, request_id: str) -> str:
        """Where a request lives."""
        return f"{self.base_url}{request.path.removesuffix('/search')}/requests/{request_id}"

    async def status(self, request: web.Request) -> web.Response:
        """Say how far a request is."""
        request_id = request.path.rpartition("/")[2]
        if request_id not in self.requests:
            return error(404, "NotFound", f"no request {request_id}")
        takes_s = self.takes_s if self.takes is None else self.takes(self.queries[request_id])
        done = time.monotonic() - self.requests[request_id] >= takes_s
        return web.json_response(self.status_document(request_id, done=done))

    def status_document(self, request_id: str, *, done: bool = True, **result: Any) -> dict[str, Any]:
        """A status document as the real service writes it; `result` replaces entries of `search_result`."""
        failed = self.fails_with is not None or request_id in self.cancelled
        last = "Search was cancelled" if request_id in self.cancelled else self.fails_with
        logs = [{"level": "debug", "summary": "Search request arrived and saved", "timestamp": "2024-06-18T01:56:33.3"}]
        if done and failed:
            logs.append({"level": "error", "summary": last or "", "timestamp": "2024-06-18T01:56:33.4"})
        ready = done and not failed
        return {
            "search_request": {"request_id": request_id, "query": {}, "requested": "2024-06-18T01:56:33.390293"},
            "logs": logs,
            "search_result": {
                "data_uri": f"/api/v1/conjunctions/requests/{request_id}/data" if ready else None,
                "result_count": len(self.records) if ready else None,
                "file_size": 1234 if ready else None,
                "completed_timestamp": None,
                "error_condition": done and failed,
                "result_file_deleted_timestamp": None,
            }
            | result,
        }

    async def data(self, request: web.Request) -> web.StreamResponse:
        """Send the records."""
        return web.json_response({"result": self.records})

    async def cancel(self, request: web.Request) -> web.Response:
        """Give up on a request."""
        request_id = request.path.rpartition("/")[2]
        if request_id not in self.requests:
            return error(404, "NotFound", f"no request {request_id}")
        self.cancelled.append(request_id)
        return web.json_response(self.status_document(request_id))


def error(status: int, code: str, message: str, **headers: str) -> web.Response:
    """An error answer in the service's form."""
    return web.json_response({"error_code": code, "error_message": message}, status=status, headers=headers)


def times(count: int, answer: Callable[[], web.StreamResponse]) -> Handler:
    """Give `answer` the first `count` times, then the usual one."""
    left = count

    async def handle(request: web.Request) -> web.StreamResponse | None:
        nonlocal left
        left -= 1
        return answer() if left >= 0 else None

    return handle


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Cut the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class Dispatching(Protocol):
    """A service of a test's own."""

    base_url: str

    async def _dispatch(self, request: web.Request) -> web.StreamResponse: ...


ScriptedT = TypeVar("ScriptedT", bound=Dispatching)


@asynccontextmanager
async def serving(scripted: ScriptedT) -> AsyncIterator[ScriptedT]:
    """Run a scripted service on a free loopback port."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", scripted._dispatch)
    runner = web.AppRunner(application, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    scripted.base_url = f"http://127.0.0.1:{port}"
    try:
        yield scripted
    finally:
        await runner.cleanup()


def quick_config(base_url: str, **changes: Any) -> Config:
    """Short waits, so that no test waits for what it does not test."""
    settings: dict[str, Any] = {
        "polling": Polling(floor_s=0.01, ceiling_s=0.2),
        "retries": Retries(attempts=3, first_s=0.01, ceiling_s=0.05),
        "timeouts": Timeouts(connect_s=2, read_s=2, cancel_s=2),
    }
    return Config(base_url=base_url, trust_environment=False, **(settings | changes))


def a_query(day: int = 1, **changes: Any) -> ConjunctionQuery:
    """Any valid query."""
    settings: dict[str, Any] = {
        "start": f"2020-01-{day:02d}",
        "end": f"2020-01-{day:02d}T05:59:59",
        "ground": GroundBlock(programs="themis-asi"),
        "space": SpaceBlock(programs="swarm"),
        "max_distance_km": 500,
    }
    return ConjunctionQuery(**(settings | changes))


@asynccontextmanager
async def client_of(scripted: Scripted, **changes: Any) -> AsyncIterator[AuroraX]:
    """A client with short waits, to be opened in the test itself (a fixture may not hold a task group)."""
    async with AuroraX(quick_config(scripted.base_url, **changes)) as client:
        yield client


def dumps(document: Any) -> bytes:
    """JSON text."""
    return json.dumps(document).encode()
