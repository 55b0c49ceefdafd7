"""Two hundred exports at once where the service allows ten, against the local service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
from support.scripted import quick_config

from aurora_async.errors import RequestFailed
from aurora_async.jsoc import ExportQuery, Jsoc, JsocServer
from aurora_async.server.app import LocalService, ServiceSettings
from aurora_async.server.jsoc.settings import JsocSettings

EMAIL = "demo@example.com"
COUNT = 200
ALLOWED = 10


@asynccontextmanager
async def a_service() -> AsyncIterator[LocalService]:
    """One that refuses the eleventh pending export of an address, and remembers what it was asked."""
    settings = ServiceSettings(workers=0, jsoc=JsocSettings(max_pending=ALLOWED, export_s=0.05))
    async with LocalService(settings) as service:
        service.faults.recording = True
        yield service


def client_of(service: LocalService) -> Jsoc:
    """One that looks often: the service is quick."""
    server = attrs.evolve(JsocServer.at(service.base_url), least_look_s=0.05)
    return Jsoc(quick_config(service.base_url), server=server, email=EMAIL)


def queries() -> list[ExportQuery]:
    """One file each, and no two of them alike."""
    times = [f"{minute // 60:02d}:{minute % 60:02d}:00_TAI" for minute in range(0, 3 * COUNT, 3)]
    return [ExportQuery(f"hmi.v_45s[2016.04.01_{time}]{{Dopplergram}}", method="url") for time in times]


def submissions(service: LocalService) -> int:
    """Return how often an export was asked for, accepted or not."""
    return sum("op=exp_request" in seen.path for seen in service.faults.requests)


async def test_two_hundred_pass_where_ten_are_allowed(tmp_path: Path) -> None:
    """Each is made once, every file is here, those that fail keep no other, and few ask when there is no room."""
    asked = queries()
    for number in range(7, COUNT, 50):  # two files of one name: the service finds out when it makes them
        same = f"hmi.m_720s[2016.04.{number // 50 + 1:02d}_TAI/24m]"
        asked[number] = ExportQuery(same, protocol="fits", filename_format="{segment}")
    async with a_service() as service:
        async with client_of(service) as client, client.run(asked, at_once=COUNT, folder=tmp_path) as run:
            outcomes = [outcome async for outcome in run]
        failed = {outcome.index: outcome.error for outcome in outcomes if not outcome.ok}
        assert sorted(failed) == list(range(7, COUNT, 50))
        assert all(isinstance(error, RequestFailed) for error in failed.values())
        assert len({outcome.request_id for outcome in outcomes}) == COUNT
        files = [file for outcome in outcomes for file in outcome.files or ()]
        assert len({file.path for file in files}) == len(list(tmp_path.rglob("*.fits"))) == COUNT - len(failed)
        assert {file.path.read_bytes()[:9] for file in files} == {b"SIMPLE  ="}
        assert COUNT <= submissions(service) <= 1.3 * COUNT


async def test_two_hundred_that_are_called_off_leave_nothing_pending() -> None:
    """Those under way are given up by the service, which would wait for them for ever, and no other is asked for."""
    async with a_service() as service, client_of(service) as client:
        stuck = service.faults.add(never_finishes=True, skip=2 * ALLOWED)
        done: list[object] = []

        async def make_all() -> None:
            async with client.run(queries(), at_once=COUNT) as run:
                async for outcome in run:
                    done.append(outcome.unwrap())

        task = asyncio.create_task(make_all())
        async with asyncio.timeout(20):
            while stuck.hits < ALLOWED or not done or len((await client.pending()).request_ids) < ALLOWED:
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (await client.pending()).request_ids == ()
    assert 3 * ALLOWED <= submissions(service) <= 5 * ALLOWED
