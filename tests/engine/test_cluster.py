"""A batch whose transfers are made by worker processes, some of which die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from aiohttp import web
from support.scripted import Scripted, a_query, client_of, conjunction, dumps, error, serving

from aurora_async import ConjunctionQuery, Limits
from aurora_async.engine import cluster as clusters
from aurora_async.engine.batch import Batch, Order
from aurora_async.engine.cluster import check_cluster, open_cluster
from aurora_async.engine.folder import BatchFolder
from aurora_async.engine.journal import Stage
from aurora_async.errors import (
    ConnectionFailed,
    Forbidden,
    InvalidInput,
    MissingExtra,
    TargetNotWritable,
)

distributed = pytest.importorskip("distributed", reason="needs the extra `cluster`")

KEY = "a-key-that-nobody-may-see"


@pytest.fixture(scope="module")
def local_cluster() -> Iterator[Any]:
    """A cluster of two worker processes with two threads each, in an event loop of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # those of dask's own beginnings
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield cluster


@pytest.fixture
def workers(local_cluster: Any) -> Any:
    """The cluster, when both workers are there: one that a test has killed is started again."""
    local_cluster.wait_for_workers(2, timeout=30)
    return local_cluster


@dataclass
class Slow(Scripted):
    """Sends the first half of a result, and the second when it is let; counts searches and transfers."""

    accepted: list[int] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    takes_s: float = 0.0
    sends_s: float = 0.0
    at_once: int = 0
    most: int = 0
    times: list[float] = field(default_factory=list)

    async def submit(self, request: web.Request) -> web.Response:
        answer = await super().submit(request)
        self.accepted.append(self.day(list(self.queries)[-1]))
        return answer

    def day(self, request_id: str) -> int:
        """The day that a request asks for."""
        return int(self.queries[request_id]["start"][8:10])

    async def data(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.times.append(anyio.current_time())
        self.keys.add(request.headers.get("x-aurorax-api-key"))
        try:
            text = dumps({"result": records(self.day(request.path.split("/")[-2]))})
            answer = web.StreamResponse(headers={"Content-Length": str(len(text))})
            await answer.prepare(request)
            await answer.write(text[: len(text) // 2])
            self.peers.append(request.transport.get_extra_info("peername"))
            self.started.set()
            await asyncio.sleep(self.sends_s)
            while not (self.may_end.is_set() or request.transport.is_closing()):
                await asyncio.sleep(0.02)
            await answer.write(text[len(text) // 2 :])
            return answer
        finally:
            self.at_once -= 1

    @property
    def doubled(self) -> list[int]:
        """The days that were accepted more than once."""
        return [day for day, count in Counter(self.accepted).items() if count > 1]


def records(day: int) -> list[dict[str, Any]]:
    """What is found on a day."""
    return [conjunction(day + index) for index in range(3)]


def days(count: int) -> list[ConjunctionQuery]:
    """As many queries that differ."""
    return [a_query(day) for day in range(1, count + 1)]


@asynccontextmanager
async def serving_slowly(*, held: bool = False, **settings: Any) -> AsyncIterator[Slow]:
    service = Slow(**settings)
    if not held:
        service.may_end.set()
    async with serving(service):
        try:
            yield service
        finally:
            service.may_end.set()


@asynccontextmanager
async def opened(service: Slow, folder: Path, cluster: Any, count: int, **settings: Any) -> AsyncIterator[Batch]:
    async with (
        client_of(service, **settings) as client,
        client.batch(folder, days(count), format="jsonl", cluster=cluster) as batch,
    ):
        yield batch


def left_over(folder: Path) -> list[str]:
    """What lies in the folder besides results and a batch's own files."""
    ours = ("journal.sqlite", "manifest.", "report.md", "conjunctions_")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(ours)]
    return [str(path.relative_to(folder)) for path in files]


def contents(folder: Path) -> dict[str, bytes]:
    """The results, by name."""
    return {path.name: path.read_bytes() for path in folder.glob("conjunctions_*")}


def process_of(peer: tuple[str, int], workers: Any) -> int:
    """The worker process that holds a connection."""
    for worker in workers.workers.values():
        pid = worker.pid
        ports = {one.laddr.port for one in psutil.Process(pid).net_connections("tcp")}
        if peer[1] in ports:
            return int(pid)
    raise AssertionError(f"no worker process has the port {peer[1]}")


async def test_workers_write_what_this_process_would(workers: Any, tmp_path: Path) -> None:
    """Where a result is fetched is a question of speed, and of nothing else."""
    async with serving_slowly() as service:
        async with opened(service, tmp_path / "here", None, 8) as batch:
            assert (await batch.finish()).is_complete
        service.peers.clear()
        async with opened(service, tmp_path / "there", workers, 8) as batch:
            assert (await batch.finish()).is_complete
            assert await batch.verify() == []
        pids = {process_of(peer, workers) for peer in service.peers}
    assert pids and os.getpid() not in pids
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert left_over(tmp_path / "there") == []


async def test_a_worker_that_is_killed_loses_nothing(workers: Any, tmp_path: Path) -> None:
    """Nodes of a cluster are taken away without a word; what one was transferring, another transfers."""
    async with serving_slowly(held=True) as service, opened(service, tmp_path, workers.scheduler_address, 6) as batch:
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(batch.finish())
            await service.started.wait()
            victim = process_of(service.peers[0], workers)
            os.kill(victim, signal.SIGKILL)
            service.may_end.set()
        status = run.result()
        assert status.is_complete
        assert await batch.verify() == []
    assert not psutil.pid_exists(victim) or psutil.Process(victim).status() == psutil.STATUS_ZOMBIE
    assert sorted(service.accepted) == [1, 2, 3, 4, 5, 6]
    assert sorted(contents(tmp_path).values()) == sorted(
        b"".join(dumps(record).replace(b'": ', b'":').replace(b", ", b",") + b"\n" for record in records(day))
        for day in range(1, 7)
    )
    assert left_over(tmp_path) == []


async def test_limits_hold_for_the_cluster_as_a_whole(workers: Any, tmp_path: Path) -> None:
    """A service that is asked for manners by one user must not find that he has twenty machines."""
    async with serving_slowly(sends_s=0.5) as service:
        async with opened(service, tmp_path, workers, 7, limits=Limits(body_connections=3)) as batch:
            assert (await batch.finish()).is_complete
        assert service.most == 3


async def test_the_pace_holds_for_the_cluster_as_a_whole(workers: Any, tmp_path: Path) -> None:
    """What workers ask is counted with what is submitted and polled here."""
    async with serving_slowly() as service:
        began = anyio.current_time()
        async with opened(service, tmp_path, workers, 6, limits=Limits(requests_per_s=20)) as batch:
            assert (await batch.finish()).is_complete
        took_s = anyio.current_time() - began
        assert len(service.seen) >= 18
        assert len(service.seen) - 1 <= 20 * took_s
        assert len(service.times) == 6
        # Each is as far from the one before it as from any other request, give or take the way to the worker.
        assert service.times[-1] - service.times[0] >= 5 / 20 / 2


async def test_an_overload_is_heeded_by_all(workers: Any, tmp_path: Path) -> None:
    """A worker that is told to wait does not know of the others; who hands out the work does."""
    refused: list[float] = []

    async with serving_slowly() as service:

        async def busy(request: web.Request) -> web.Response | None:
            if refused:
                return None
            refused.append(anyio.current_time())
            return error(503, "Busy", "too much at once", **{"Retry-After": "1"})

        service.on("data", busy)
        async with opened(service, tmp_path, workers, 4, limits=Limits(body_connections=1)) as batch:
            assert (await batch.finish()).is_complete
    assert len(service.times) == 4
    assert min(service.times) - refused[0] >= 1


async def test_credentials_are_seen_by_the_service_alone(workers: Any, tmp_path: Path) -> None:
    """Logs and dashboards of a cluster are read by everybody who uses it."""
    async with serving_slowly() as service:
        async with opened(service, tmp_path, workers, 3, api_key=KEY) as batch:
            assert (await batch.finish()).is_complete
        assert service.keys == {KEY}

    def told(dask_scheduler: Any) -> str:
        return str([*dask_scheduler.transition_log, *dask_scheduler.get_logs(), *dask_scheduler.get_events().values()])

    def known(dask_worker: Any) -> str:
        return str([*dask_worker.state.stimulus_log, *dask_worker.state.log, *dask_worker.get_logs()])

    async with distributed.Client(workers.scheduler_address, asynchronous=True) as client:
        told_by_scheduler = await client.run_on_scheduler(told)
        told_by_workers = str(await client.run(known))
    assert "conjunctions" in told_by_scheduler and "conjunctions" in told_by_workers
    for request_id in [KEY, *service.queries]:
        assert request_id not in told_by_scheduler
        assert request_id not in told_by_workers
    assert KEY not in str(batch.folder.facts()) + (tmp_path / "manifest.json").read_text()


async def test_an_error_of_a_worker_comes_back_as_it_was(workers: Any, tmp_path: Path) -> None:
    """What a batch does about an error depends on its class, and what a user does on its fields."""
    async with serving_slowly() as service:

        async def forbid(request: web.Request) -> web.Response:
            return error(403, "Forbidden", "not for you")

        service.on("data", forbid)
        async with opened(service, tmp_path, workers, 2) as batch:
            with pytest.raises(Forbidden) as caught:
                await batch.finish()
    assert (caught.value.status, caught.value.code, caught.value.detail) == (403, "Forbidden", "not for you")
    assert left_over(tmp_path) == []


async def test_a_cluster_of_our_own_serves_batch_after_batch_and_survives_an_interrupt(tmp_path: Path) -> None:
    """A terminal interrupts all processes at once; that the transfers end in order is the coordinator's affair."""
    async with serving_slowly() as service, open_cluster(1) as cluster:
        (before,) = (await cluster._client.run(os.getpid)).values()
        os.kill(before, signal.SIGINT)
        for name in ("one", "another"):
            async with opened(service, tmp_path / name, cluster, 2) as batch:
                assert (await batch.finish()).is_complete
        assert list((await cluster._client.run(os.getpid)).values()) == [before]


async def test_a_batch_goes_on_with_or_without_the_cluster_it_began_with(workers: Any, tmp_path: Path) -> None:
    """A cluster is there for an afternoon, a batch for a month."""
    async with serving_slowly() as service:
        for first, second in (("there", "here"), ("here", "there")):
            folder = tmp_path / first
            service.accepted.clear()
            async with opened(service, folder, workers if first == "there" else None, 8) as batch:
                async for _ in batch.run(at_once=2):
                    batch.stop()
            begun = BatchFolder(folder).status()
            assert 0 < begun.done < begun.total
            async with opened(service, folder, workers if second == "there" else None, 8) as batch:
                assert (await batch.finish()).is_complete
                assert await batch.verify() == []
            assert sorted(service.accepted) == list(range(1, 9))
            assert left_over(folder) == []
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


async def test_a_run_that_is_left_ends_the_transfers_of_its_workers(workers: Any, tmp_path: Path) -> None:
    """Dask runs a task to its end though nobody wants it; a gigabyte would be fetched for nobody, into nothing."""
    async with serving_slowly(held=True) as service:
        async with opened(service, tmp_path, workers, 4) as batch, anyio.create_task_group() as tasks:
            tasks.start_soon(batch.finish)
            await service.started.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            while service.at_once:
                await anyio.sleep(0.05)
        entries = BatchFolder(tmp_path).status()
        assert entries.done == 0 and entries.counts[Stage.SUBMITTED] > 0
    assert contents(tmp_path) == {}


async def test_a_coordinator_that_dies_leaves_no_transfer_behind(workers: Any, tmp_path: Path) -> None:
    """Its scheduler outlives it, and must not go on for somebody who will come again and start over."""
    async with serving_slowly(held=True) as service:
        script = (
            "import asyncio, sys\n"
            "from aurora_async import AuroraX, ConjunctionQuery, GroundBlock, SpaceBlock\n"
            "async def main(url, folder, cluster):\n"
            "    query = ConjunctionQuery(start='2020-01-01', end='2020-01-02', max_distance_km=500,\n"
            "        ground=GroundBlock(programs='themis-asi'), space=SpaceBlock(programs='swarm'))\n"
            "    async with AuroraX(base_url=url) as client, client.batch(folder, [query], cluster=cluster) as batch:\n"
            "        await batch.finish()\n"
            "asyncio.run(main(*sys.argv[1:]))\n"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, service.base_url, str(tmp_path), workers.scheduler_address),
        )
        with anyio.fail_after(20):
            await service.started.wait()
        process.kill()
        await process.wait()
        with anyio.fail_after(10):
            while service.at_once:
                await anyio.sleep(0.05)
    assert len(service.accepted) == 1


async def test_a_worker_elsewhere_is_refused_before_anything_is_sent(workers: Any, tmp_path: Path) -> None:
    """A worker that does not see the folder would write into one of its own, on another machine."""
    pytest.importorskip("fsspec")
    async with (
        serving_slowly() as service,
        client_of(service) as client,
        client.batch(tmp_path, days(2), cluster=workers, outputs="memory://elsewhere/of-one-process") as batch,
    ):
        with pytest.raises(InvalidInput, match="cannot write to memory://elsewhere/of-one-process"):
            await batch.finish()
        assert service.seen == []


async def test_workers_put_results_at_an_address(workers: Any, tmp_path: Path) -> None:
    """Without a file system that all share, an address that all reach does."""
    pytest.importorskip("fsspec")
    outputs = (tmp_path / "store").as_uri()
    async with (
        serving_slowly() as service,
        client_of(service) as client,
        client.batch(tmp_path / "batch", days(4), cluster=workers, outputs=outputs) as batch,
    ):
        assert (await batch.finish()).is_complete
        assert await batch.verify() == []
    assert len(contents(tmp_path / "store")) == 4
    assert left_over(tmp_path / "batch") == left_over(tmp_path / "store") == []
    assert contents(tmp_path / "batch") == {}


async def test_the_folder_may_be_named_from_here(workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run in folders of their own."""
    monkeypatch.chdir(tmp_path)
    async with serving_slowly() as service, opened(service, Path("survey"), workers, 2) as batch:
        assert (await batch.finish()).is_complete
    assert len(contents(tmp_path / "survey")) == 2


async def test_windows_are_fetched_by_workers_and_merged_here(workers: Any, tmp_path: Path) -> None:
    """Where all see the folder, a window is a result like any other; only merging needs all of them at one place."""
    async with (
        serving_slowly() as service,
        client_of(service) as client,
        client.batch(tmp_path, days(2), cluster=workers, window=timedelta(hours=3)) as batch,
    ):
        assert (await batch.finish()).is_complete
        assert await batch.verify() == []
        assert sorted(service.accepted) == [1, 1, 2, 2]
        assert os.getpid() not in {process_of(peer, workers) for peer in service.peers}
    assert len(contents(tmp_path)) == 2
    assert left_over(tmp_path) == []


async def test_a_worker_that_does_not_see_the_folder_makes_none(workers: Any, tmp_path: Path) -> None:
    """One that joins later is not asked beforehand; a folder made by it would hide that it is another machine."""
    order = Order(
        kind="any", request_id="any", query={}, target=str(tmp_path / "gone" / ".parts" / "1.jsonl"), format="jsonl"
    )
    recipe = clusters._seal((_unused, None))
    with pytest.raises(TargetNotWritable, match="does not see the folder"):
        await clusters._collect(recipe, order)
    assert not (tmp_path / "gone").exists()
    clusters._kept[recipe.data]._life.cancel()


@asynccontextmanager
async def _unused() -> AsyncIterator[None]:
    yield


async def test_a_cluster_that_is_not_there_is_said_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mistyped address is the common case."""
    monkeypatch.setattr(clusters, "_CONNECT_S", 0.5)
    async with serving_slowly() as service, opened(service, tmp_path, "tcp://127.0.0.1:1", 1) as batch:
        with pytest.raises(ConnectionFailed, match=r"connect tcp://127\.0\.0\.1:1: "):
            await batch.finish()
        assert service.seen == []


@pytest.mark.parametrize("wrong", ["", "localhost", 0, -1, True, 1.5, object()])
def test_what_is_no_cluster_is_refused_at_once(wrong: object) -> None:
    """A batch may be planned for an hour before its first run asks for the cluster."""
    with pytest.raises(InvalidInput, match="is not the address of a scheduler"):
        check_cluster(wrong)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional, and the message says how to get it."""
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install "aurora-async\[cluster\]"'):
        check_cluster("local")


async def test_a_login_does_not_travel(workers: Any, tmp_path: Path) -> None:
    """It lives in the memory of one process, which renews it with the password."""
    async with serving_slowly() as service, client_of(service) as client:
        client._is_logged_in = True
        async with client.batch(tmp_path, days(1), cluster=workers) as batch:
            with pytest.raises(InvalidInput, match="use an API key"):
                await batch.finish()
        assert service.seen == []


def test_what_is_sealed_shows_nothing() -> None:
    """Dask writes arguments into logs as their `repr`."""
    assert KEY not in repr(clusters._seal(KEY))
    assert clusters._seal(KEY).open() == KEY
