"""The AuroraX client: one session, one task group, three kinds of search, and many of them at once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import anyio
import attrs
from anyio import AsyncContextManagerMixin

from aurora_async.aurorax.models import (
    Conjunction,
    ConjunctionQuery,
    DataProduct,
    DataProductQuery,
    Ephemeris,
    EphemerisQuery,
    Query,
)
from aurora_async.aurorax.searches import ResponseFormat, Searches, encode_format
from aurora_async.aurorax.wire import KINDS, kind_of
from aurora_async.config import Config
from aurora_async.engine import Engine, Events, Run
from aurora_async.engine.collect import check_form
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.manager import Work
from aurora_async.errors import ClientClosed, InvalidInput, bare
from aurora_async.http import Session
from aurora_async.times import to_wire
from aurora_async.transfer import Form, ensure_writable

__all__ = ["AuroraX"]


class AuroraX(AsyncContextManagerMixin):
    """AuroraX, asynchronously: `async with AuroraX() as client`.

    Args:
        config: All settings; nothing is read from the environment unless it was made by `Config.from_environment`.
        base_url: Another server than `config`'s, such as a local service.
        api_key: Another key than `config`'s. Reading is anonymous; searches made with a key are private to its owner.
        synchronous: Whether small ephemeris and data product searches are made in one exchange instead of four.

    Attributes:
        conjunctions, ephemeris, data_products: The three kinds of search.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        synchronous: bool = True,
    ) -> None:
        """Make a client; nothing is opened before `async with`."""
        config = config or Config()
        if base_url is not None:
            config = attrs.evolve(config, base_url=base_url)
        if api_key is not None:
            config = attrs.evolve(config, api_key=api_key)
        self.config = config
        self._synchronous = synchronous
        self._engine: Engine | None = None

    def __repr__(self) -> str:
        return f"<AuroraX {self.config.base_url}>"

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self, None]:
        if self._engine is not None:
            raise RuntimeError("this client is open already")
        failure: BaseException | None = None
        try:
            async with (
                Session(self.config) as session,
                anyio.create_task_group() as cleaning,
                anyio.create_task_group() as tasks,
            ):
                engine = self._engine = Engine(self.config, session, tasks, cleaning)
                try:
                    yield self
                except BaseException as error:
                    failure = error  # raised below, unchanged: the task groups would wrap it
                finally:
                    engine.close()
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise bare(group) from failure
        finally:
            self._engine = None
        if failure is not None:
            raise failure

    @property
    def conjunctions(self) -> Searches[ConjunctionQuery, Conjunction]:
        """When footprints came close."""
        return self._searches("conjunctions")

    @property
    def ephemeris(self) -> Searches[EphemerisQuery, Ephemeris]:
        """Positions and footprints, minute by minute."""
        return self._searches("ephemeris")

    @property
    def data_products(self) -> Searches[DataProductQuery, DataProduct]:
        """Keograms, montages, movies and plots."""
        return self._searches("data_products")

    @property
    def events(self) -> Events:
        """What happens to this client's requests, for progress displays and logs."""
        return self._open_engine.events

    def run(
        self,
        queries: Iterable[Query] | AsyncIterable[Query],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        form: Form = "json",
        name: Callable[[int, Query], str] | None = None,
        response_format: ResponseFormat | None = None,
        deadline_s: float | None = None,
    ) -> Run[Query]:
        """Make many searches, of any kind, and give their outcomes in order of completion.

        ```python
        async for outcome in client.run(queries, at_once=500, folder="results"):
            print(outcome.query.start, outcome.error or outcome.saved.path)
        ```

        Args:
            queries: Any number of them, also endless or asynchronous: they are taken when there is room.
            at_once: How many are under way on the service at one moment.
            folder: Where results are streamed to, a file each; None collects the records in memory.
            form: Of the files: `json`, `jsonl` or `body`, see `Request.download`.
            name: Gives a file's name for the number and the query; by default kind, start, end and a counter.
            response_format: Asked of every result.
            deadline_s: For each query.

        A search that fails is an outcome with an `error`; the others go on.
        """
        engine = self._open_engine
        target = None if folder is None else Path(folder)
        names = name or _file_name(form)
        taken: set[str] = set()
        # What is wrong with every query is said once, and before anything is sent.
        Deadline(deadline_s)
        check_form(form)
        encode_format(response_format)

        async def search(index: int, query: Query, work: Work) -> None:
            searches: Searches[Any, Any] = self._searches(kind_of(query).name)
            deadline = Deadline(deadline_s)
            if target is None:
                request = await searches.submit_until(query, response_format, deadline)
                work.request_id = request.request_id
                work.records = await request.collect(deadline)
                return
            path = _path_inside(target, names(index, query), taken)
            await ensure_writable(path)
            request = await searches.submit_until(query, response_format, deadline)
            work.request_id = request.request_id
            work.saved = await request.save(path, form, True, deadline)

        return Run(queries, search, at_once=at_once, start=engine.start)

    @property
    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise ClientClosed
        return self._engine

    def _searches(self, kind: str) -> Searches[Any, Any]:
        return Searches(self._open_engine, KINDS[kind], synchronous=self._synchronous)


def _path_inside(folder: Path, name: str, taken: set[str]) -> Path:
    """Return the file `name` in `folder`, which no other result of the run has and which cannot lie outside."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise InvalidInput("name", f"{name!r} is not the name of a file inside {folder}")
    spelling = os.path.normcase(os.path.normpath(name))
    if spelling in taken:
        raise InvalidInput("name", f"{name!r} is the file of another query of this run already")
    taken.add(spelling)
    return folder / name


def _file_name(form: Form) -> Callable[[int, Query], str]:
    ending = "jsonl" if form == "jsonl" else "json"

    def name(index: int, query: Query) -> str:
        start, end = (to_wire(moment).replace("-", "").replace(":", "") for moment in (query.start, query.end))
        return f"{kind_of(query).name}_{start}_{end}_{index:06d}.{ending}"

    return name
