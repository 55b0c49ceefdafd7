"""Work off the loop: batches, turns, worker processes and what happens when one dies."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import psutil
import pytest

from aurora_async.server.jobs import Context, Jobs, QueueFull, TaskCancelled, TaskFailed

BRACKET = {
    "start": "2020-03-01T00:00:00", "end": "2020-03-03T23:59:59", "conjunction_types": ["nbtrace"],
    "space": [{"programs": ["epop"]}], "adhoc": [{"locations": [{"lat": 60.0, "lon": -100.0}]}],
    "max_distances": {"space1-adhoc1": 800},
}  # fmt: skip
"""A search that counts as large: three days of a spacecraft that nobody has computed."""


@attrs.frozen
class Say:
    """A task of threads: writes down that it was done."""

    name: str
    said: list[str] = attrs.field(eq=False)

    def perform(self, context: Context) -> str:
        self.said.append(self.name)
        context.report("info", f"said {self.name}")
        return self.name


class Forever:
    """A task that ends only when it is cancelled."""

    def perform(self, context: Context) -> None:
        while True:
            time.sleep(0.002)
            context.checkpoint()


class Broken:
    """A task that raises."""

    def perform(self, context: Context) -> None:
        raise ZeroDivisionError("by nothing")


def workers() -> list[psutil.Process]:
    """The worker processes of this process."""
    return [child for child in psutil.Process().children() if "aurora_async.server._worker" in child.cmdline()]


async def test_owners_take_turns(tmp_path: Path) -> None:
    """One with many searches delays another's by one, not by all."""
    said: list[str] = []
    async with Jobs(tmp_path, workers=0, most_waiting=100) as jobs:
        tasks = [("many", f"many {number}") for number in range(5)] + [("few", "few 0"), ("few", "few 1")]
        submitted = [jobs.submit(Say(name, said), owner=owner, small=True) for owner, name in tasks]
        assert [await job.result for job in submitted] == [name for _, name in tasks]
    assert said[:4] == ["many 0", "few 0", "many 1", "few 1"]


async def test_a_task_that_raises_fails_alone(tmp_path: Path) -> None:
    """Its error is the reason, and the next task runs."""
    lines: list[tuple[float, str, str]] = []
    async with Jobs(tmp_path, workers=0, most_waiting=100) as jobs:
        broken = jobs.submit(Broken(), owner="", small=True)
        whole = jobs.submit(Say("whole", []), owner="", small=True, on_report=lambda *line: lines.append(line))
        with pytest.raises(TaskFailed, match="by nothing"):
            await broken.result
        assert await whole.result == "whole"
    assert [line[1:] for line in lines] == [("info", "said whole")]


async def test_cancelling_frees_the_thread(tmp_path: Path) -> None:
    """Running, waiting, and at the end of everything."""
    async with Jobs(tmp_path, workers=0, most_waiting=1) as jobs:
        running = jobs.submit(Forever(), owner="", small=True)
        await asyncio.sleep(0.02)
        waiting = jobs.submit(Forever(), owner="", small=True)
        with pytest.raises(QueueFull):
            jobs.check_room()
        for job in (waiting, running):
            jobs.cancel(job)
            with pytest.raises(TaskCancelled):
                await job.result
        assert await jobs.submit(Say("after", []), owner="", small=True).result == "after"
        last = jobs.submit(Forever(), owner="", small=False)
        await asyncio.sleep(0.02)
    with pytest.raises(TaskCancelled):
        await last.result


async def test_one_small_search_starts_no_process(serve: Any, queries: Any) -> None:
    """A third of a second of a core for nothing, in every test of every user."""
    async with serve(workers=2) as client:
        assert len(await client.records("ephemeris", queries.ephemeris())) == 10
        assert not workers()


async def test_many_small_searches_share_a_process(serve: Any, queries: Any) -> None:
    """Every one is answered, with its own ten minutes."""
    async with serve(workers=1, server_time_s=0.5) as client:

        async def search(number: int) -> None:
            start, end = (f"2020-01-01T{minute // 60:02}:{minute % 60:02}" for minute in (number, number + 9))
            path = await client.submit("ephemeris", queries.ephemeris(f"{start}:00", f"{end}:59"))
            await client.ended(path)
            records = (await client.get(f"{path}/data"))["result"]
            assert [records[0]["epoch"], records[-1]["epoch"]] == [f"{start}:00", f"{end}:00"]

        async with asyncio.TaskGroup() as tasks:
            for number in range(300):
                tasks.create_task(search(number))
        assert len(workers()) == 1
        assert {connection.status for connection in workers()[0].net_connections()} <= {"NONE"}
    assert not workers()


async def test_a_long_search_leaves_the_loop_free(serve: Any, tmp_path: Path) -> None:
    """It is done by processes; whoever asks for a status meanwhile is answered at once."""
    async with serve(workers=2, days_dir=tmp_path) as client:
        path = await client.submit("conjunctions", BRACKET)
        waits = []
        gc.collect()
        while (await client.get(path))["search_result"]["data_uri"] is None:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            await client.get("/api/v1/data_sources/3")
            waits.append(time.monotonic() - began)
        assert len(workers()) == 2
        assert (await client.get(path))["search_result"]["error_condition"] is False
    # The median, because other things run on a machine that tests.
    assert sorted(waits)[len(waits) // 2] < 0.06


async def test_a_killed_worker_costs_no_search(serve: Any, tmp_path: Path) -> None:
    """Its tasks are done again by another one."""
    async with serve(workers=1, days_dir=tmp_path) as client:
        path = await client.submit("conjunctions", BRACKET)
        async with asyncio.timeout(20):
            while not any(tmp_path.glob("*/*.day")):
                await asyncio.sleep(0.01)
        (worker,) = workers()
        worker.kill()
        status = await client.ended(path, within_s=40)
        assert status["search_result"]["error_condition"] is False
        assert worker.pid not in [one.pid for one in workers()]


async def test_without_processes_threads_do_it(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter to start (frozen programs, locked-down machines): slower, not broken."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    async with serve(workers=2, days_dir=tmp_path) as client:
        path = await client.submit("conjunctions", BRACKET)
        assert (await client.ended(path, within_s=30))["search_result"]["error_condition"] is False


async def test_workers_end_with_a_killed_service(tmp_path: Path) -> None:
    """`kill -9` leaves no process behind."""
    script = f"""
import asyncio, aiohttp
from aurora_async.server.app import LocalService, ServiceSettings
async def main():
    async with LocalService(ServiceSettings(workers=1)) as service, aiohttp.ClientSession(service.base_url) as session:
        await session.post("/api/v1/conjunctions/search", json={BRACKET!r})
        await asyncio.sleep(1)
        print("now", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"now\n"
    children = psutil.Process(process.pid).children()
    assert children
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=10)
    assert not alive
