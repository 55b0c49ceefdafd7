"""Exports in batches: every file here once, whatever ends a run, and nothing asked twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.clients import held_open

from aurora_async import BatchFolder, Config, EventKind, Polling
from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.jsoc import ExportQuery, Jsoc
from aurora_async.server.app import LocalService, ServiceSettings
from aurora_async.server.jsoc.settings import JsocSettings

EMAIL = "demo@example.com"


def exports(count: int, hour: int = 0) -> list[ExportQuery]:
    """One Dopplergram each."""
    return [
        ExportQuery(f"hmi.v_45s[2016.04.01_{hour:02d}:{minute:02d}:00_TAI]{{Dopplergram}}", method="url")
        for minute in range(0, 3 * count, 3)
    ]


def config(base_url: str) -> Config:
    """Look often: the local service is quick."""
    return Config(base_url=base_url, polling=Polling(floor_s=0.02, ceiling_s=0.2), trust_environment=False)


@pytest.fixture
async def local() -> AsyncIterator[LocalService]:
    """A local service that lets a user have three exports at once."""
    settings = ServiceSettings(workers=0, jsoc=JsocSettings(export_s=0.05, max_pending=3))
    async with LocalService(settings) as service:
        yield service


@pytest.fixture
async def jsoc(local: LocalService) -> AsyncIterator[Jsoc]:
    """Its client."""
    async with held_open(Jsoc(config(local.base_url), email=EMAIL)) as client:
        yield client


async def test_each_export_has_its_files_in_a_folder_and_a_list_of_them(jsoc: Jsoc, tmp_path: Path) -> None:
    """More exports than the service takes at once, and every file is told of: path, length, digest."""
    queries = exports(12)
    async with jsoc.batch(tmp_path, queries) as batch:
        status = await batch.finish(at_once=12)
        assert status.is_complete and status.done == 12
        assert await batch.verify() == []
    lists = sorted(tmp_path.glob("hmi.v_45s_*.json"))
    assert len(lists) == 12
    for path in lists:
        told = json.loads(path.read_text())
        (file,) = told["files"]
        assert file["path"].startswith(f"{path.stem}/") and (tmp_path / file["path"]).stat().st_size == file["bytes"]
        assert (tmp_path / file["path"]).read_bytes().startswith(b"SIMPLE  =")
    assert not (tmp_path / ".parts").exists()
    assert "12 of 12 queries have their file" in (tmp_path / "report.md").read_text()


async def test_a_batch_takes_what_an_export_takes(jsoc: Jsoc, tmp_path: Path) -> None:
    """Texts, with names and without; what cannot be exported is named before anything is sent."""
    text = "hmi.v_45s[2016.04.01_00:00:00_TAI]{Dopplergram}"
    async with jsoc.batch(tmp_path / "named", {"first": text}) as batch:
        assert (await batch.finish()).is_complete
    async with jsoc.batch(tmp_path / "plain", [text]) as batch:
        assert (await batch.finish()).is_complete
    with pytest.raises(InvalidQuery, match=r"exports\['second'\]: 3 is no record set"):
        jsoc.batch(tmp_path / "other", {"first": text, "second": 3})  # type: ignore[dict-item]
    with pytest.raises(InvalidQuery, match=r"exports\[0\]: None is no record set"):
        jsoc.batch(tmp_path / "other", [None])  # type: ignore[list-item]


async def test_a_second_run_asks_nothing(jsoc: Jsoc, tmp_path: Path) -> None:
    """The same command again, the day after, costs the service nothing."""
    async with jsoc.batch(tmp_path, exports(3)) as batch:
        assert (await batch.finish()).is_complete
    heard: list[EventKind] = []
    with jsoc.events.subscribe(lambda event: heard.append(event.kind)):
        async with jsoc.batch(tmp_path, exports(3)) as batch:
            assert (await batch.finish()).is_complete
    assert EventKind.SUBMITTED not in heard


async def test_a_file_that_was_damaged_afterwards_is_found(jsoc: Jsoc, tmp_path: Path) -> None:
    """A batch is verified to its last file, not only its lists."""
    async with jsoc.batch(tmp_path, {"first": exports(2)[0], "second": exports(2)[1]}) as batch:
        assert (await batch.finish()).is_complete
    (damaged,) = (tmp_path / "first").iterdir()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    (lost,) = (tmp_path / "second").iterdir()
    lost.unlink()
    flaws = {flaw.path: flaw.problem for flaw in BatchFolder(tmp_path).verify()}
    assert set(flaws) == {f"first/{damaged.name}", f"second/{lost.name}"}
    assert "SHA-256" in flaws[f"first/{damaged.name}"] and flaws[f"second/{lost.name}"] == "is missing"


async def test_an_export_that_the_service_refuses_fails_alone(jsoc: Jsoc, tmp_path: Path) -> None:
    """One series that does not exist is one line of the report."""
    queries = {"good": exports(1)[0], "bad": ExportQuery("hmi.nothing[2016.04.01]", method="url", filename_format="")}
    async with jsoc.batch(tmp_path, queries) as batch:
        status = await batch.finish()
    assert status.done == 1 and [row.path for row in status.failures] == ["bad.json"]
    assert "hmi.nothing" in str(status.failures[0].reason)


@pytest.mark.parametrize("name", ["a/b", "../a", "a.json", "", ".parts", "manifest"])
async def test_a_name_that_cannot_be_a_folder_is_refused(name: str, jsoc: Jsoc, tmp_path: Path) -> None:
    """Before anything is sent, and nothing outside the batch's folder is touched."""
    with pytest.raises(InvalidInput, match="name"):
        async with jsoc.batch(tmp_path / "batch", {name: exports(1)[0]}):
            pass


RUN = """
import asyncio, sys
sys.path[:0] = [sys.argv[3], sys.argv[4]]
from test_batch import EMAIL, config, exports
from aurora_async.jsoc import Jsoc

async def main():
    async with Jsoc(config(sys.argv[1]), email=EMAIL) as client, client.batch(sys.argv[2], exports(16)) as batch:
        status = await batch.finish(at_once=8)
        return 0 if status.is_complete and not await batch.verify() else 1

sys.exit(asyncio.run(main()))
"""


async def test_a_batch_that_is_killed_again_and_again_exports_each_query_once(tmp_path: Path) -> None:
    """By the service's own count of exports; with every file there, and no part left over."""
    settings = ServiceSettings(workers=0, jsoc=JsocSettings(export_s=0.1, max_pending=3))
    command = [sys.executable, "-c", RUN]
    rng = random.Random(7)
    async with LocalService(settings) as service:

        def run(kill_after_s: float | None) -> int:
            here = Path(__file__).parent
            with subprocess.Popen([*command, service.base_url, str(tmp_path), str(here), str(here.parent)]) as process:
                if kill_after_s is not None:
                    time.sleep(kill_after_s)
                    os.kill(process.pid, signal.SIGKILL)
                return process.wait(60)

        for _ in range(4):
            await asyncio.to_thread(run, rng.uniform(0.7, 2.0))
        assert await asyncio.to_thread(run, None) == 0
        async with Jsoc(config(service.base_url), email=EMAIL) as client:
            one_more = await client.export(exports(1, hour=5)[0])
            assert one_more.request_id.endswith("_017")
    assert len(list(tmp_path.glob("hmi.v_45s_*/*.fits"))) == 16
    assert not (tmp_path / ".parts").exists()
