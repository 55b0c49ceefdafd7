"""Two hundred exports at once, where the service allows ten: against the local service, which no test has made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aurora_async import Config, Polling
from aurora_async.errors import RequestFailed
from aurora_async.jsoc import ExportQuery, Jsoc
from aurora_async.server.app import LocalService, ServiceSettings
from aurora_async.server.jsoc.settings import JsocSettings

EMAIL = "demo@example.com"
COUNT = 200
ALLOWED = 10


@asynccontextmanager
async def a_service() -> AsyncIterator[LocalService]:
    """One that refuses the eleventh pending export of an address, and counts what it is asked."""
    settings = ServiceSettings(workers=0, jsoc=JsocSettings(max_pending=ALLOWED, export_s=0.05))
    async with LocalService(settings) as service:
        service.faults.recording = True
        yield service


def client_of(service: LocalService) -> Jsoc:
    """One that looks often: the service is quick."""
    polling = Polling(floor_s=0.02, ceiling_s=0.2)
    return Jsoc(Config(base_url=service.base_url, polling=polling, trust_environment=False), email=EMAIL)


def queries() -> list[ExportQuery]:
    """One file each, and no two of them alike."""
    times = [f"{minute // 60:02d}:{minute % 60:02d}:00_TAI" for minute in range(0, 3 * COUNT, 3)]
    return [ExportQuery(f"hmi.v_45s[2016.04.01_{time}]{{Dopplergram}}", method="url") for time in times]


def submissions(service: LocalService) -> int:
    """Return how often an export was asked for, accepted or not."""
    return sum("op=exp_request" in seen.path for seen in service.faults.requests)


async def test_two_hundred_pass_where_ten_are_allowed(tmp_path: Path) -> None:
    """None is lost, none is made twice, every file is here, and the service is not stormed with what it refuses."""
    async with a_service() as service:
        async with client_of(service) as client, client.run(queries(), at_once=COUNT, folder=tmp_path) as run:
            outcomes = [outcome async for outcome in run]
        assert [outcome.error for outcome in outcomes if not outcome.ok] == []
        assert len({outcome.request_id for outcome in outcomes}) == COUNT
        files = [file for outcome in outcomes for file in outcome.files or ()]
        assert len({file.path for file in files}) == len(list(tmp_path.rglob("*.fits"))) == COUNT
        assert {file.path.read_bytes()[:9] for file in files} == {b"SIMPLE  ="}
        print(submissions(service), len(service.faults.requests))
        assert COUNT <= submissions(service) <= 1.3 * COUNT
