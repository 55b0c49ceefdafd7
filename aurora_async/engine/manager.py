"""Many requests at once: bounded, in order of completion, where one failure is an outcome and not the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import attrs

from aurora_async.engine.core import Engine
from aurora_async.engine.protocol import RequestId
from aurora_async.engine.waiting import Waiting
from aurora_async.engine.workers import Workers
from aurora_async.errors import AuroraError, ClientClosed, InvalidInput, RunCancelled
from aurora_async.transfer import Saved
from aurora_async.transfer.tables import Records

__all__ = ["Later", "Outcome", "Run", "Work"]

QueryT = TypeVar("QueryT")


@attrs.frozen(kw_only=True)
class Outcome(Generic[QueryT]):
    """How one query of a run ended: `records`, `saved` or `files`, or the `error` that stopped it."""

    index: int
    """Place of the query in what `run` was given, from 0."""
    query: QueryT
    request_id: RequestId | None
    """None when the query was never accepted, or needed no request."""
    records: Records[Any] | None = attrs.field(default=None, repr=False)
    """The records, unless they were saved."""
    saved: Saved | None = None
    """The file, when the run was given a folder."""
    files: Sequence[Any] | None = attrs.field(default=None, repr=False)
    """What became of each file, where a request has many of them."""
    error: AuroraError | None = None
    seconds: float = 0.0
    """Until the last byte, or the error: from when the service accepted the search, or, where it did not, from when the
    query was taken up; so, too, where each query takes several requests (JSOC)."""

    @property
    def ok(self) -> bool:
        """True when the result is here."""
        return self.error is None

    def unwrap(self) -> Self:
        """Return the outcome itself, or raise its error."""
        if self.error is not None:
            raise self.error
        return self


@attrs.define
class Work:
    """What the work on one query fills in as it goes on; what is there when it fails belongs to the outcome."""

    request_id: RequestId | None = None
    records: Records[Any] | None = None
    saved: Saved | None = None
    files: Sequence[Any] | None = None


Rest = Callable[[], Awaitable[None]]
Begin = Callable[[int, QueryT, Work], Awaitable[Waiting | Rest | None]]
"""Works on a query. It may end before everything is done, and return a request that is then waited for without a task
and handed to `Later.finish`, or what else is to be done, in a task of its own."""


@attrs.frozen
class Later(Generic[QueryT]):
    """How a run goes on with requests that it waits for without a task."""

    engine: Engine
    finish: Callable[[int, QueryT, Work, Waiting], Awaitable[None]]
    """Collects the result of a request that is ready."""


class Run(Generic[QueryT]):
    """`async for outcome in run`, and every query is submitted, waited for and fetched, `at_once` at a time.

    Outcomes come in order of completion. Queries are taken from the iterable only when there is room for them, and no
    more than `at_once` outcomes wait to be taken. What is still under way when the run is closed (`async with run:`,
    `await run.aclose()`), forgotten or left behind by its client, or when the task that waits for an outcome is
    cancelled, is cancelled too, here and on the service.
    """

    def __init__(
        self,
        queries: Iterable[QueryT] | AsyncIterable[QueryT],
        begin: Begin[QueryT],
        *,
        at_once: int,
        start: Callable[[Callable[[], Coroutine[Any, Any, None]], str], None],
        later: Later[QueryT] | None = None,
    ) -> None:
        """Made by a client's `run`.

        Args:
            queries: Any number of them.
            begin: Works on one of them.
            at_once: How many are under way at one moment.
            start: Puts the run's own task into the client's task group.
            later: For a `begin` that returns a request to be waited for. Submitting and collecting are then done by a
                few workers each, as many as keep the connections busy.
        """
        self._state: _State[QueryT] | None = None
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        self._state = _State(queries, begin, at_once, later)
        self._start = start

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Left by `break`, by whichever thread collects it: nobody can ask for the rest any more.
        state = self._state
        if state is not None and state.loop is not None and not state.ended.is_set():
            with contextlib.suppress(RuntimeError):  # the loop is closed, and everything with it
                state.loop.call_soon_threadsafe(state.scope.cancel)

    async def aclose(self) -> None:
        """Cancel what is still under way, here and on the service, and wait until it is."""
        state = self._open_state
        state.scope.cancel()
        if state.loop is None:
            state.ended.set()
        with anyio.CancelScope(shield=True):
            await state.ended.wait()

    def __aiter__(self) -> AsyncIterator[Outcome[QueryT]]:
        return self

    async def __anext__(self) -> Outcome[QueryT]:
        state = self._open_state
        if state.loop is None and not state.ended.is_set():
            self._start(state.run, "run")
            state.loop = asyncio.get_running_loop()
        while not state.outcomes:
            if state.ended.is_set():
                if state.error is not None:
                    raise state.error
                raise StopAsyncIteration
            state.news.clear()
            try:
                await state.news.wait()
            except asyncio.CancelledError:
                # Whoever is cancelled here will not come back for the rest. If he does, it must not look complete.
                state.error = RunCancelled()
                await self.aclose()
                raise
        state.room.release()
        return state.outcomes.popleft()

    @property
    def _open_state(self) -> _State[QueryT]:
        assert self._state is not None  # only a run that was refused has none
        return self._state


class _State(Generic[QueryT]):
    """What a run and its tasks share. They do not hold the run, so a run that is forgotten can be collected."""

    def __init__(
        self,
        queries: Iterable[QueryT] | AsyncIterable[QueryT],
        begin: Begin[QueryT],
        at_once: int,
        later: Later[QueryT] | None,
    ) -> None:
        self._queries = queries
        self._begin = begin
        self._later = later
        self._most_begun = self._most_finished = at_once
        if later is not None:
            # Twice as many as connections: some are about to be sent, or were answered and are being decoded.
            limits = later.engine.config.limits
            self._most_begun = min(at_once, 2 * limits.control_connections)
            self._most_finished = min(at_once, 2 * limits.body_connections)
        self.room = asyncio.Semaphore(at_once)
        self.scope = anyio.CancelScope()
        self.outcomes: deque[Outcome[QueryT]] = deque()
        self.news = asyncio.Event()
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where it runs, once it does."""
        # Some wait for a worker, lest it waits for them; few, since each is out of the user's hands.
        self._may_take = asyncio.Semaphore(2 * self._most_begun)
        self._under_way = 0
        self._is_over = False
        self._called_off: list[anyio.Event] = []
        self._none_under_way = asyncio.Event()

    async def run(self) -> None:
        """Take queries while there is room, and end when all have ended."""
        try:
            with self.scope:
                async with anyio.create_task_group() as tasks, aclosing(_each(self._queries)) as queries:
                    self._tasks = tasks
                    self._beginners = Workers(tasks, self._begin_one, "begin queries", most=self._most_begun)
                    self._finishers = Workers(tasks, self._finish_one, "collect results", most=self._most_finished)
                    try:
                        await self._take_all(queries)
                    except BaseException:
                        # Now: leaving the task group waits for submissions whose answers are still to come.
                        self._call_off()
                        raise
        except BaseExceptionGroup as group:
            # The one layer is this task group's; an error inside it is whatever the queries or the work raised.
            self.error = group.exceptions[0]
        except Exception as error:
            self.error = error
        except BaseException:
            self.error = ClientClosed()
            raise
        finally:
            self._call_off()
            with anyio.CancelScope(shield=True):
                for end in self._called_off:
                    await end.wait()
            self.ended.set()
            self.news.set()

    async def _take_all(self, queries: AsyncIterable[QueryT]) -> None:
        index = 0
        async for query in queries:
            await self.room.acquire()
            await self._may_take.acquire()
            self._under_way += 1
            self._beginners.put((index, query))
            index += 1
        while self._under_way:
            self._none_under_way.clear()
            await self._none_under_way.wait()

    def _call_off(self) -> None:
        """Begin to cancel on the service what is still waited for; what is ready by now stays as it is."""
        if self._later is not None and self._under_way:
            self._is_over = True
            mine = [one for one in self.engine.poller if isinstance(one, Waiting) and one.waiter is self]
            self._called_off += [one.call_off() for one in mine]

    async def _begin_one(self, taken: tuple[int, QueryT]) -> None:
        index, query = taken
        started = asyncio.get_running_loop().time()
        work = Work()
        try:
            rest = await self._begin(index, query, work)
        except ClientClosed:
            raise  # the end of the run, not of one query
        except AuroraError as error:
            self._end(index, query, work, started, error)
            return
        finally:
            self._may_take.release()
        if rest is None:
            self._end(index, query, work, started)
        elif isinstance(rest, Waiting):
            rest.index = index
            rest.begin(self)
        else:
            self._tasks.start_soon(self._go_on, index, query, work, started, rest, name=f"query {index}")

    @property
    def engine(self) -> Engine:
        """That of requests which are waited for."""
        assert self._later is not None
        return self._later.engine

    def waited(self, one: Waiting, error: Exception | None) -> None:
        """Collect, or tell why not."""
        if self._is_over:
            return
        if error is None:
            self._finishers.put(one)
        elif isinstance(error, AuroraError):
            # The client that closes ends the run as well.
            if not isinstance(error, ClientClosed):
                self._end(one.index, one.query, Work(one.request_id), one.since, error)
        else:
            self.error = error
            self.scope.cancel()

    async def _finish_one(self, one: Waiting) -> None:
        assert self._later is not None
        work = Work(one.request_id)
        rest = partial(self._later.finish, one.index, one.query, work, one)
        await self._go_on(one.index, one.query, work, one.since, rest)

    async def _go_on(self, index: int, query: QueryT, work: Work, started: float, rest: Rest) -> None:
        try:
            await rest()
        except ClientClosed:
            raise
        except AuroraError as error:
            self._end(index, query, work, started, error)
        else:
            self._end(index, query, work, started)

    def _end(self, index: int, query: QueryT, work: Work, started: float, error: AuroraError | None = None) -> None:
        outcome = Outcome(
            index=index,
            query=query,
            request_id=work.request_id,
            records=work.records,
            saved=work.saved,
            files=work.files,
            error=error,
            seconds=asyncio.get_running_loop().time() - started,
        )
        self.outcomes.append(outcome)
        self.news.set()
        self._under_way -= 1
        if not self._under_way:
            self._none_under_way.set()


async def _each(queries: Iterable[QueryT] | AsyncIterable[QueryT]) -> AsyncGenerator[QueryT, None]:
    if isinstance(queries, AsyncIterable):
        try:
            async for query in queries:
                yield query
        finally:
            if isinstance(queries, AsyncGenerator):
                await queries.aclose()
        return
    for count, query in enumerate(queries):
        yield query
        if count % 64 == 63:
            await asyncio.sleep(0)  # a long list must not hold up the loop
