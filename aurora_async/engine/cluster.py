"""The transfers of a batch, spread over the workers of a dask.distributed cluster.

The coordinator alone submits, polls and keeps the journal. A worker is handed one finished request at a time, and turns
it into a staged file with a client of its own. While it does, the coordinator holds a slot of its own session for it,
and a worker tries once: so the limits of one configuration hold for the whole cluster.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import pickle
import secrets
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import attrs

from aurora_async.engine.batch import Collecting, Collector, Desk, Order
from aurora_async.engine.events import EventKind
from aurora_async.engine.places import Place
from aurora_async.engine.remote import RemotePlace, Store, is_address, put_at
from aurora_async.errors import (
    AuroraError,
    ConnectionFailed,
    InvalidInput,
    MissingExtra,
    TargetNotWritable,
    TransferError,
    TransferStalled,
)
from aurora_async.transfer import Saved

__all__ = ["Cluster", "ClusterLike", "check_cluster", "on_cluster", "open_cluster"]

ClusterLike = Any
"""Address of a scheduler, `"local"`, a number of workers, a `distributed.Client` (or what has such), or a `Cluster`."""

_LOCAL = "local"
_TRANSFERS_PER_WORKER = 4
_CONNECT_S = 30.0
_LOOK_S = 5.0
_WITHOUT_WORKERS_S = 60.0
_IDLE_S = 60.0
_CALLED_OFF_S = 0.5


def check_cluster(cluster: ClusterLike) -> None:
    """See whether this can be a cluster, before anything is asked or sent.

    Raises:
        InvalidInput: It cannot.
        MissingExtra: dask.distributed is not installed.
    """
    if find_spec("distributed") is None:
        raise MissingExtra("cluster", "distributed")
    is_count = isinstance(cluster, int) and not isinstance(cluster, bool) and cluster > 0
    is_name = isinstance(cluster, str) and (cluster == _LOCAL or is_address(cluster))
    if not (is_count or is_name or isinstance(cluster, Cluster) or _scheduler_of(cluster) is not None):
        allowed = "the address of a scheduler (tcp://host:8786), local, a number of workers, or a distributed.Client"
        raise InvalidInput("cluster", f"{cluster!r} is not {allowed}")


def _scheduler_of(cluster: object) -> str | None:
    """Return the scheduler's address of a client or a cluster of dask's."""
    owner = getattr(cluster, "scheduler", None)
    address = getattr(owner, "address", None) or getattr(cluster, "scheduler_address", None)
    return address if isinstance(address, str) else None


def _distributed() -> Any:  # it is typed in part
    import distributed

    return distributed


@asynccontextmanager
async def open_cluster(cluster: ClusterLike = _LOCAL) -> AsyncGenerator[Cluster, None]:
    """Connect to a cluster, or start one on this machine: for several batches, one after the other or at once.

    ```python
    async with AuroraX() as client, open_cluster(4) as cluster:
        async with client.batch("survey", queries, format="parquet", cluster=cluster) as batch:
            await batch.finish()
    ```

    Args:
        cluster: Address of a scheduler; `"local"` for as many processes as there are processors, or their number; a
            `distributed.Client` or cluster, borrowed. Processes are started anew, so a script needs its
            `if __name__ == "__main__":`.

    Raises:
        InvalidInput, MissingExtra: As `check_cluster`.
        ConnectionFailed: Nobody answers there, or no worker is there.
    """
    if isinstance(cluster, Cluster):
        yield cluster
        return
    check_cluster(cluster)
    distributed = _distributed()
    async with AsyncExitStack() as stack:
        if isinstance(cluster, int) or cluster == _LOCAL:
            local = distributed.LocalCluster(
                n_workers=cluster if isinstance(cluster, int) else os.cpu_count(),
                threads_per_worker=_TRANSFERS_PER_WORKER,
                processes=True,
                preload=[__name__],
                dashboard_address="127.0.0.1:0",
                # What matters of it comes back as an error of ours; the rest is noise of starting and closing.
                silence_logs=logging.CRITICAL,
                asynchronous=True,
            )
            try:
                cluster = await stack.enter_async_context(local)
            except RuntimeError as error:
                advice = 'in a script, what starts them must stand behind `if __name__ == "__main__":`'
                raise InvalidInput("cluster", f"no worker processes can be started here ({error}); {advice}") from error
        address = cluster if isinstance(cluster, str) else _scheduler_of(cluster)
        assert address is not None
        security = getattr(cluster, "security", None)
        try:
            # A client of our own, in this loop: one that is lent may live in a thread, and have a loop there.
            client = await stack.enter_async_context(
                distributed.Client(
                    address,
                    asynchronous=True,
                    security=security,
                    set_as_default=False,
                    name="aurora_async",
                    timeout=_CONNECT_S,
                )
            )
            await client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError as error:
            raise ConnectionFailed("connect", address, f"no worker within {_CONNECT_S:g} s") from error
        except OSError as error:
            raise ConnectionFailed("connect", address, str(error)) from error
        yield Cluster(client, address)


@asynccontextmanager
async def on_cluster(
    cluster: ClusterLike, desk: Desk, place: Place, here: Collector
) -> AsyncGenerator[Collector, None]:
    """Open a cluster for one run of a batch; what a batch is given as its `crew`."""
    async with open_cluster(cluster) as opened, opened.crew(desk, place, here) as collect:
        yield collect


@attrs.frozen
class _Sealed:
    """What only a worker is to read: no log, task key or dashboard shows what is in it, credentials among that."""

    data: bytes = attrs.field(repr=False)

    def open(self) -> Any:
        return pickle.loads(self.data)


def _seal(value: object) -> _Sealed:
    return _Sealed(pickle.dumps(value))


class Cluster:
    """A cluster that is open, see `open_cluster`."""

    def __init__(self, client: Any, address: str) -> None:
        """Made by `open_cluster`; `client` is a `distributed.Client` of this loop, borrowed."""
        self.address = address
        self._client = client
        self._alone_since: float | None = None

    def __repr__(self) -> str:
        return f"<Cluster {self.address}>"

    @asynccontextmanager
    async def crew(self, desk: Desk, place: Place, here: Collector) -> AsyncGenerator[Collector, None]:
        """Give a collector that has workers do it, wherever they can reach what is to be written; others do it `here`.

        Raises:
            InvalidInput: A worker does not see the batch's folder, or the address of its outputs.
        """
        options = place.options if isinstance(place, RemotePlace) else None
        await self._see_that_all_see(place, options)
        recipe = _seal((desk.remote(), options))

        async def collect(order: Order) -> Saved:
            if options is not None and not is_address(order.target):
                # A window of a query that was cut: its file stays here, where it is merged.
                return await here(order)
            order = attrs.evolve(order, target=_wherever(order.target))
            saved = await desk.engine.session.lend(partial(self._by_a_worker, recipe, order))
            saved = await place.taken(saved, order.target)
            service = desk.service(order.kind)
            desk.engine.emit(
                EventKind.DONE, service, order.request_id, bytes=saved.bytes, records=saved.records, path=saved.path
            )
            return saved

        yield collect

    async def _see_that_all_see(self, place: Place, options: Mapping[str, Any] | None) -> None:
        path = await place.probe()
        try:
            target = _wherever(place.target(path))
            found = await self._client.run(_sees, _seal((target, options)), on_error="return")
        finally:
            await place.remove(path)
        for worker, problem in found.items():
            if problem is not None:
                what = f"worker {worker} cannot write to {place.target('')}"
                raise InvalidInput("cluster", f"{what} ({problem}); give `outputs` an address that all can reach")

    async def _by_a_worker(self, recipe: _Sealed, order: Order) -> Saved:
        if self._client.status == "closed":  # as it is some time after its scheduler has gone
            raise self._gone(order)
        number = Path(order.target).stem
        key = f"{order.kind}-{number}-{secrets.token_hex(4)}"
        future = self._client.submit(_collect_there, recipe, _seal(order), key, key=key, pure=False)
        try:
            outcome = await self._outcome(future, order)
        finally:
            # Nobody wants it any more: a worker that is at it hears of that, and stops.
            future.release()
        if isinstance(outcome, AuroraError):
            raise outcome
        return outcome

    async def _outcome(self, future: Any, order: Order) -> Saved | AuroraError:
        distributed = _distributed()
        while True:
            try:
                with anyio.move_on_after(_LOOK_S):
                    outcome: Saved | AuroraError = await future.result()
                    return outcome
                has_workers = bool(await self._client.nthreads())
            except distributed.KilledWorker as error:
                reason = f"{error.allowed_failures + 1} workers died over it, the last was {error.last_worker.address}"
                return TransferError(order.target, None, reason)
            except (concurrent.futures.CancelledError, OSError):
                return self._gone(order)
            now = anyio.current_time()
            self._alone_since = None if has_workers else self._alone_since or now
            if self._alone_since is not None and now - self._alone_since >= _WITHOUT_WORKERS_S:
                reason = f"the cluster at {self.address} has had no worker for {now - self._alone_since:.0f} s"
                return TransferStalled(order.target, None, reason)

    def _gone(self, order: Order) -> TransferStalled:
        return TransferStalled(order.target, None, f"the scheduler at {self.address} does not answer any more")


def _wherever(target: str) -> str:
    """A path that means the same to processes that work in other folders."""
    return target if is_address(target) else str(Path(target).absolute())


# In a worker ----------------------------------------------------------------------------------------------------------


def dask_setup(worker: object) -> None:
    """What dask calls at the start of a process of `open_cluster("local")`: an interrupt is for the coordinator alone.

    A terminal sends it to all; the transfers that the coordinator wants to see finished would end there and then.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _sees(sealed: _Sealed) -> str | None:
    """Say why a file cannot be seen from here, None when it can."""
    target, options = sealed.open()
    if is_address(target):
        address, _, name = target.rpartition("/")
        try:
            return None if Store(address, options).size(name) is not None else "it does not see what others put there"
        except AuroraError as error:
            return str(error)
    return None if Path(target).is_file() else "it does not see the same folder"


async def _collect_there(recipe: _Sealed, sealed: _Sealed, key: str) -> Saved | AuroraError:
    """Collect in a worker's own loop.

    What goes wrong is returned, not raised: dask would log it with all arguments, and cut a long one.
    """
    from distributed import get_worker

    tasks: Mapping[Any, Any] = get_worker().state.tasks
    outcome: Saved | AuroraError = TransferError("", None, "nobody wants it any more")
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_called_off, tasks, key, group.cancel_scope)
        try:
            outcome = await _collect(recipe, sealed.open())
        except AuroraError as error:
            # What led to it stays here: dask would pickle that too, with all tracebacks, and need not come to an end.
            outcome = error.with_traceback(None)
            outcome.__cause__ = outcome.__context__ = None
        group.cancel_scope.cancel()
    return outcome


async def _cancel_when_called_off(tasks: Mapping[Any, Any], key: str, scope: anyio.CancelScope) -> None:
    """Dask lets a task run to its end though nobody waits for it, be the coordinator only stopped, or dead."""
    while (task := tasks.get(key)) is not None and task.state == "executing":  # noqa: ASYNC110 - no event tells it
        await anyio.sleep(_CALLED_OFF_S)
    scope.cancel()


async def _collect(recipe: _Sealed, order: Order) -> Saved:
    kept = _kept.get(recipe.data)
    if kept is None:
        kept = _kept[recipe.data] = _Kept(recipe)
    async with kept.collector() as (collect, options):
        if is_address(order.target):
            return await put_at(order.target, options, lambda path: collect(attrs.evolve(order, target=path)))
        target = Path(order.target)
        if not target.parent.parent.is_dir():  # one made here would only hide that it is another machine's
            raise TargetNotWritable("", target, "this worker does not see the folder of the batch")
        # Under a name of its own: a worker that was taken for dead may be writing the same file still.
        own = target.with_name(f"{target.stem}.{secrets.token_hex(4)}{target.suffix}")
        return await collect(attrs.evolve(order, target=str(own)))


class _Kept:
    """A client of this worker process: opened for its first order, closed when none has come for a while."""

    def __init__(self, recipe: _Sealed) -> None:
        self._recipe = recipe
        self._users = 0
        self._used_at = 0.0
        self._opened: asyncio.Future[tuple[Collector, Mapping[str, Any] | None]] = asyncio.Future()
        # A task of its own: a client's task group must be left by the task that entered it, and orders come and go.
        self._life = asyncio.create_task(self._live(), name="client of a batch")

    @asynccontextmanager
    async def collector(self) -> AsyncGenerator[tuple[Collector, Mapping[str, Any] | None], None]:
        self._users += 1
        try:
            yield await asyncio.shield(self._opened)
        finally:
            self._users -= 1
            self._used_at = anyio.current_time()

    async def _live(self) -> None:
        try:
            collecting: Collecting
            collecting, options = self._recipe.open()
            async with collecting() as collect:
                self._opened.set_result((collect, options))
                while self._users or anyio.current_time() - self._used_at < _IDLE_S:  # noqa: ASYNC110
                    await anyio.sleep(_IDLE_S / 10)
                # Without a step between: whoever comes now opens another.
                self._forget()
        except Exception as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            self._forget()

    def _forget(self) -> None:
        if _kept.get(self._recipe.data) is self:
            del _kept[self._recipe.data]


_kept: dict[bytes, _Kept] = {}
"""By recipe, those of this process."""
