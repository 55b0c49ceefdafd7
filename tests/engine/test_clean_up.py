"""Whatever ends a search early, in whatever way: nothing runs on, here or on the service, and nothing runs twice."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from aiohttp import web
from support.scripted import Scripted, a_query, client_of, error, hang_up, times

from aurora_async import AuroraX, Request
from aurora_async.config import Timeouts
from aurora_async.engine.cancel import Canceller
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    InvalidInput,
    RunCancelled,
    ServerError,
)

LONG_S = 60.0


async def until(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)


def slow(seconds: float) -> Callable[[web.Request], Awaitable[None]]:
    """Answer as usual, after a while."""

    async def wait(request: web.Request) -> None:
        await request.read()
        await asyncio.sleep(seconds)

    return wait


def orphans(scripted: Scripted) -> set[str]:
    """Requests that run on although nobody wants them."""
    return set(scripted.requests) - set(scripted.cancelled)


@pytest.mark.parametrize("route", ["submit", "cancel"])
async def test_cancelled_twice_it_is_still_cancelled_there(scripted: Scripted, route: str) -> None:
    """Ctrl-C pressed twice, or a timeout around a timeout: the client does the cleaning, not the task."""
    scripted.takes_s = LONG_S
    scripted.on(route, slow(0.2))
    async with client_of(scripted) as client:
        task = asyncio.create_task(client.conjunctions.search(a_query()))
        await until(lambda: scripted.seen if route == "submit" else scripted.count("GET", "") > 0)
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert scripted.requests
    assert not orphans(scripted)


async def test_a_scope_around_the_client_cancels_what_was_being_submitted(scripted: Scripted) -> None:
    """The POST on its way is waited for, since before it has arrived there is nothing to cancel."""
    scripted.takes_s = LONG_S
    scripted.on("submit", slow(0.3))
    with anyio.move_on_after(0.1) as scope:
        async with client_of(scripted) as client:
            await client.conjunctions.search(a_query())
    assert scope.cancelled_caught
    assert len(scripted.requests) == 1
    assert not orphans(scripted)


@pytest.mark.parametrize("while_", ["waiting", "submitting"])
async def test_closing_the_client_cancels_what_others_wait_for(scripted: Scripted, while_: str) -> None:
    """They get an error that names the request, not a wait without end."""
    scripted.takes_s = LONG_S
    if while_ == "submitting":
        scripted.on("submit", slow(0.2))
    async with client_of(scripted) as client:
        task = asyncio.create_task(client.conjunctions.search(a_query()))
        await until(lambda: scripted.count("GET", "") if while_ == "waiting" else scripted.seen)
    with pytest.raises(ClientClosed):
        await task
    assert scripted.requests
    assert not orphans(scripted)


async def test_a_request_that_was_only_submitted_outlives_the_client(scripted: Scripted) -> None:
    """Submit today, fetch tomorrow: nobody waited for it, so nobody gave it up."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        await client.conjunctions.submit(a_query())
    assert scripted.cancelled == []


async def test_the_last_of_several_who_wait_cancels(scripted: Scripted) -> None:
    """One of two tasks that wait for the same request may leave; the other still gets it."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        one, other = (asyncio.create_task(request.records()) for _ in range(2))
        await until(lambda: scripted.count("GET", request.request_id) > 1)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        assert scripted.cancelled == []
        scripted.takes_s = 0
        assert len(await other) == 3


async def test_who_comes_late_cancels_nothing_again() -> None:
    """The client that closes and the task that waited both clean up, and a second DELETE would delete the result."""
    told: list[str] = []

    class Known:
        name = "known"

        async def cancel(self, request_id: str) -> bool:
            told.append(request_id)
            return request_id == "known"

    service: Any = Known()
    async with anyio.create_task_group() as tasks:
        canceller = Canceller(tasks, 5.0)
        for request_id in ("known", "unknown", "known", "unknown"):
            await canceller.start(service, request_id).wait()
        tasks.cancel_scope.cancel()
    assert told == ["known", "unknown", "unknown"]


async def test_hundreds_are_cancelled_and_not_by_hundreds_of_connections(scripted: Scripted) -> None:
    """A run that is closed leaves none behind, however slow the service says goodbye."""
    scripted.takes_s = LONG_S
    scripted.on("cancel", slow(0.02))
    async with client_of(scripted, timeouts=Timeouts(cancel_s=1)) as client:
        run = client.run([a_query(1 + n % 28) for n in range(300)], at_once=300)
        waiting = asyncio.create_task(run.__anext__())
        await until(lambda: len(scripted.requests) == 300)
        most = scripted.open_connections
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        most = max(most, scripted.open_connections)
    assert not orphans(scripted)
    assert most < 80


async def test_a_service_that_answers_no_cancellation_is_left(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Two hundred times `cancel_s` would be no time-box."""
    scripted.takes_s = LONG_S
    released = asyncio.Event()

    async def hang(request: web.Request) -> None:
        await released.wait()

    scripted.on("cancel", hang)
    async with client_of(scripted, timeouts=Timeouts(cancel_s=0.1)) as client:
        run = client.run([a_query(1 + n % 28) for n in range(100)], at_once=100)
        waiting = asyncio.create_task(run.__anext__())
        await until(lambda: len(scripted.requests) == 100)
        waiting.cancel()
        async with asyncio.timeout(3):
            await asyncio.gather(waiting, return_exceptions=True)
        released.set()
    assert "requests were not cancelled and go on on the service" in caplog.text


async def test_nothing_new_is_sent_after_the_cancellation(scripted: Scripted) -> None:
    """Of five hundred queries those that were not submitted yet stay at home."""
    scripted.takes_s = LONG_S
    scripted.on("submit", slow(0.05))
    async with client_of(scripted) as client, client.run([a_query()] * 500, at_once=500) as run:
        waiting = asyncio.create_task(run.__anext__())
        await until(lambda: scripted.requests)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert scripted.count("POST", "/search") < 100
    assert not orphans(scripted)


async def test_cancelled_while_nobody_listens_it_ends_at_once() -> None:
    """There is nothing to clean up where nothing was sent."""
    from support.scripted import quick_config

    config = quick_config("http://127.0.0.1:1", timeouts=Timeouts(cancel_s=30))
    async with AuroraX(config) as client, asyncio.timeout(2):
        task = asyncio.create_task(client.conjunctions.search(a_query()))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, AuroraError)):
            await task


async def test_it_is_submitted_again_only_when_the_service_says_it_has_it_not(scripted: Scripted) -> None:
    """The question whether it arrived gets a 503: that is no answer, so it is asked again."""

    async def accept_and_hang_up(request: web.Request) -> web.StreamResponse:
        await scripted.submit(request)
        return await hang_up(request)

    scripted.on("submit", accept_and_hang_up)
    scripted.on("status", times(2, lambda: error(503, "Unavailable", "busy")))
    async with client_of(scripted) as client:
        assert len(await client.conjunctions.search(a_query())) == 3
    assert scripted.count("POST", "/search") == 1


@pytest.mark.parametrize("location", [None, "/login", "https://elsewhere/api/v1/ephemeris/requests/x"])
async def test_accepted_without_a_usable_location_it_is_asked_for(scripted: Scripted, location: str | None) -> None:
    """The identifier is ours, so a request that the service has is not lost for a missing header."""

    async def accept(request: web.Request) -> web.Response:
        await scripted.submit(request)
        return web.Response(status=202, headers={"Location": location} if location else {})

    scripted.on("submit", accept)
    async with client_of(scripted) as client:
        assert len(await client.conjunctions.search(a_query())) == 3


async def test_one_odd_error_body_is_one_failed_search(scripted: Scripted) -> None:
    """A body nested sixty thousand deep breaks a decoder, not the client and everybody in it."""

    async def odd(request: web.Request) -> web.Response | None:
        query = await request.json()
        return web.Response(status=500, text="[" * 60_000) if query["start"].startswith("2020-01-01") else None

    scripted.on("submit", odd)
    async with client_of(scripted) as client:
        bad, good = await asyncio.gather(
            client.conjunctions.search(a_query(1)), client.conjunctions.search(a_query(2)), return_exceptions=True
        )
    assert isinstance(bad, ServerError)
    assert isinstance(good, list)


async def test_the_users_own_errors_leave_the_client_as_they_are(scripted: Scripted) -> None:
    """Also a group of them: `except*` must see what was raised."""
    raised = ExceptionGroup("mine", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])
    with pytest.raises(ExceptionGroup) as caught:
        async with client_of(scripted):
            raise raised
    assert caught.value is raised


@pytest.mark.parametrize("how", ["break", "raise"])
async def test_a_run_with_a_name_ends_with_its_client(scripted: Scripted, how: str) -> None:
    """Left in the middle and still referred to, it cannot be collected; closing the client ends it."""
    scripted.takes = lambda query: 0.0 if query["start"].startswith("2020-01-01") else LONG_S
    queries = [a_query(day) for day in range(1, 12)]
    run = None

    async def leave() -> None:
        nonlocal run
        async with client_of(scripted) as client:
            run = client.run(queries, at_once=11)
            async for _ in run:
                await until(lambda: len(scripted.requests) == 11)
                if how == "raise":
                    raise ZeroDivisionError
                break

    if how == "raise":
        with pytest.raises(ZeroDivisionError):
            await leave()
    else:
        await leave()
    assert len(orphans(scripted)) == 1  # the one that was done
    assert run is not None
    async with asyncio.timeout(2):
        await run.aclose()


async def test_a_forgotten_run_is_ended_by_whichever_thread_collects_it(scripted: Scripted) -> None:
    """Garbage is not always collected in the event loop's thread."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        run = client.run([a_query()] * 5, at_once=5)
        waiting = asyncio.create_task(run.__anext__())
        await until(lambda: len(scripted.requests) == 5)
        # A cycle, so that only the collector finds it; the task that waits is ended without cancelling the run.
        cycle: dict[str, object] = {"run": run}
        cycle["self"] = cycle
        waiting.get_coro().close()  # type: ignore[union-attr]
        del run, cycle, waiting
        gc.disable()
        try:
            thread = threading.Thread(target=gc.collect)
            thread.start()
            thread.join()
        finally:
            gc.enable()
        await until(lambda: not orphans(scripted))


async def test_a_run_left_in_the_middle_never_looks_complete(scripted: Scripted) -> None:
    """A timeout around one outcome ends the run, and the next outcome says so."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        run = client.run([a_query()] * 3)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(run)
        with pytest.raises(RunCancelled):
            await anext(run)
    assert not orphans(scripted)


async def test_after_its_client_has_closed_nothing_begins(scripted: Scripted) -> None:
    """One clear error, and no wait without end."""
    async with client_of(scripted) as client:
        searches, run = client.conjunctions, client.run([a_query()])
        request: Request[object] = searches.resume("5fbc7254-97c3-41fb-80e9-41a4b38007b3")
    with pytest.raises(ClientClosed):
        await searches.search(a_query())
    with pytest.raises(ClientClosed):
        await request.wait()
    with pytest.raises(ClientClosed):
        await anext(run)
    async with asyncio.timeout(2):
        await run.aclose()


async def test_another_event_loop_is_told_so(scripted: Scripted) -> None:
    """A client belongs to the loop that opened it; elsewhere it would fail in strange ways."""
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())

        def elsewhere() -> None:
            asyncio.run(request.refresh())

        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(elsewhere)
        assert await request.records()


async def test_event_streams_end_with_the_client(scripted: Scripted) -> None:
    """A progress display in a task of its own comes to an end by itself."""
    async with client_of(scripted) as client:

        async def read() -> int:
            with client.events.stream() as events:
                return len([event async for event in events])

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        await client.conjunctions.search(a_query())
    async with asyncio.timeout(2):
        assert await reader > 3


@pytest.mark.parametrize(
    "wrong",
    [{"format": "xlsx", "folder": "x"}, {"deadline_s": -1}, {"response_format": {"start": object()}}],
)
async def test_what_is_wrong_with_every_query_is_said_before_any_is_sent(
    scripted: Scripted, wrong: dict[str, object]
) -> None:
    """A thousand searches must not end at an argument that could never work."""
    async with client_of(scripted) as client:
        with pytest.raises(InvalidInput):
            client.run([a_query()], **wrong)  # type: ignore[arg-type]
    assert scripted.seen == []


async def test_cancelling_a_finished_request_keeps_its_result(scripted: Scripted) -> None:
    """The service would delete the file: cancelling what is over must not cost the result."""
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        await request.cancel()
        assert scripted.cancelled == []
        assert len(await request.records()) == 3
