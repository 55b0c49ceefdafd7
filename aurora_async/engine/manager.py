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
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import attrs

from aurora_async.engine.protocol import RequestId
from aurora_async.errors import AuroraError, ClientClosed, InvalidInput, RunCancelled
from aurora_async.transfer import Saved
from aurora_async.transfer.tables import Records

__all__ = ["Outcome", "Run", "Work"]

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
    """From submission to the last byte."""

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
        work: Callable[[int, QueryT, Work], Awaitable[None]],
        *,
        at_once: int,
        start: Callable[[Callable[[], Coroutine[Any, Any, None]], str], None],
    ) -> None:
        """Made by a client's `run`. `start` puts the run's own task into the client's task group."""
        self._state: _State[QueryT] | None = None
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        self._state = _State(queries, work, at_once)
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
    """What a run and its task share. The task does not hold the run, so a run that is forgotten can be collected."""

    def __init__(
        self,
        queries: Iterable[QueryT] | AsyncIterable[QueryT],
        work: Callable[[int, QueryT, Work], Awaitable[None]],
        at_once: int,
    ) -> None:
        self._queries = queries
        self._work = work
        self.room = asyncio.Semaphore(at_once)
        self.scope = anyio.CancelScope()
        self.outcomes: deque[Outcome[QueryT]] = deque()
        self.news = asyncio.Event()
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where it runs, once it does."""

    async def run(self) -> None:
        """Take queries while there is room, and end when all have ended."""
        try:
            with self.scope:
                async with anyio.create_task_group() as tasks, aclosing(_each(self._queries)) as queries:
                    index = 0
                    async for query in queries:
                        await self.room.acquire()
                        tasks.start_soon(self._one, index, query, name=f"query {index}")
                        index += 1
        except BaseExceptionGroup as group:
            # The one layer is this task group's; an error inside it is whatever the queries or the work raised.
            self.error = group.exceptions[0]
        except Exception as error:
            self.error = error
        except BaseException:
            self.error = ClientClosed()
            raise
        finally:
            self.ended.set()
            self.news.set()

    async def _one(self, index: int, query: QueryT) -> None:
        started = anyio.current_time()
        work, failure = Work(), None
        try:
            await self._work(index, query, work)
        except ClientClosed:
            raise  # the end of the run, not of one query
        except AuroraError as error:
            failure = error
        outcome = Outcome(
            index=index,
            query=query,
            request_id=work.request_id,
            records=work.records,
            saved=work.saved,
            files=work.files,
            error=failure,
            seconds=anyio.current_time() - started,
        )
        self.outcomes.append(outcome)
        self.news.set()


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
