"""Many requests at once: bounded, in order of completion, where one failure is an outcome and not the end."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import attrs

from aurora_async.engine.protocol import RequestId
from aurora_async.errors import AuroraError, ClientClosed, InvalidInput, bare
from aurora_async.transfer import Saved

__all__ = ["Outcome", "Run", "Work"]

QueryT = TypeVar("QueryT")


@attrs.frozen(kw_only=True)
class Outcome(Generic[QueryT]):
    """How one query of a run ended: `records` or `saved`, or the `error` that stopped it."""

    index: int
    """Place of the query in what `run` was given, from 0."""
    query: QueryT
    request_id: RequestId | None
    """None when the query was never accepted, or needed no request."""
    records: list[Any] | None = attrs.field(default=None, repr=False)
    """The records, unless they were saved."""
    saved: Saved | None = None
    """The file, when the run was given a folder."""
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
    records: list[Any] | None = None
    saved: Saved | None = None


class Run(Generic[QueryT]):
    """`async for outcome in run`, and every query is submitted, waited for and fetched, `at_once` at a time.

    Outcomes come in order of completion. Queries are taken from the iterable only when there is room for them, and no
    more than `at_once` outcomes wait to be taken. When the loop is left early, close the run (`async with run:` or
    `await run.aclose()`): what is still under way is then cancelled, here and on the service.
    """

    def __init__(
        self,
        queries: Iterable[QueryT] | AsyncIterable[QueryT],
        work: Callable[[int, QueryT, Work], Awaitable[None]],
        *,
        at_once: int,
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
    ) -> None:
        """Made by a client's `run`. `start` puts the run into the client's task group."""
        self._started = False
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        self._queries = queries
        self._work = work
        self._room = asyncio.Semaphore(at_once)
        self._start = start
        self._scope = anyio.CancelScope()
        self._outcomes: deque[Outcome[QueryT]] = deque()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # A loop that was left by `break` without closing: nobody can ask for the rest any more.
        if self._started and not self._ended.is_set():
            with contextlib.suppress(RuntimeError):
                self._scope.cancel()

    async def aclose(self) -> None:
        """Cancel what is still under way, here and on the service, and wait until it is."""
        self._scope.cancel()
        if self._started:
            with anyio.CancelScope(shield=True):
                await self._ended.wait()

    def __aiter__(self) -> AsyncIterator[Outcome[QueryT]]:
        return self

    async def __anext__(self) -> Outcome[QueryT]:
        if not self._started:
            self._started = True
            self._start(_Feeder(self).run)
        while not self._outcomes:
            if self._ended.is_set():
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            self._news.clear()
            try:
                await self._news.wait()
            except BaseException:
                await self.aclose()
                raise
        self._room.release()
        return self._outcomes.popleft()


class _Feeder(Generic[QueryT]):
    """The task behind a run. It holds the run's parts and not the run, so that an abandoned run can be collected."""

    def __init__(self, run: Run[QueryT]) -> None:
        self._queries = run._queries
        self._work = run._work
        self._room = run._room
        self._scope = run._scope
        self._outcomes = run._outcomes
        self._news = run._news
        self._ended = run._ended
        self._fail = _failer(run)

    async def run(self) -> None:
        """Take queries while there is room, and end when all have ended."""
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    index = 0
                    async for query in _each(self._queries):
                        await self._room.acquire()
                        tasks.start_soon(self._one, index, query, name=f"query {index}")
                        index += 1
        except BaseExceptionGroup as group:
            self._fail(bare(group))
        except Exception as error:
            self._fail(error)
        except BaseException:
            self._fail(ClientClosed())
            raise
        finally:
            self._ended.set()
            self._news.set()

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
            error=failure,
            seconds=anyio.current_time() - started,
        )
        self._outcomes.append(outcome)
        self._news.set()


def _failer(run: Run[Any]) -> Callable[[BaseException], None]:
    reference = weakref.ref(run)

    def fail(error: BaseException) -> None:
        alive = reference()
        if alive is not None:
            alive._error = error

    return fail


async def _each(queries: Iterable[QueryT] | AsyncIterable[QueryT]) -> AsyncIterator[QueryT]:
    if isinstance(queries, AsyncIterable):
        async for query in queries:
            yield query
        return
    for count, query in enumerate(queries):
        yield query
        if count % 64 == 63:
            await asyncio.sleep(0)  # a long list must not hold up the loop
