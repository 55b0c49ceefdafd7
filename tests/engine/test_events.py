"""How verbs end is told to whoever listens, also when it is by being cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from support.scripted import Scripted, a_query, client_of, error

from aurora_async import Event, EventKind, Retries
from aurora_async.errors import RequestCancelled


def ends(heard: list[Event]) -> list[EventKind]:
    """The events with which something was over."""
    return [one.kind for one in heard if one.kind in (EventKind.DONE, EventKind.FAILED, EventKind.CANCELLED)]


@pytest.mark.parametrize("while_", ["submit", "status", "data"])
async def test_whoever_is_cancelled_is_told_as_cancelled(scripted: Scripted, while_: str) -> None:
    """Once, under the identifier that the service knows, and not as a failure."""
    arrived, released = asyncio.Event(), asyncio.Event()

    async def hold(request: object) -> None:
        arrived.set()
        await released.wait()

    scripted.on(while_, hold)
    heard: list[Event] = []
    async with client_of(scripted) as client:
        with client.events.subscribe(heard.append):
            task = asyncio.create_task(client.conjunctions.search(a_query()))
            await arrived.wait()
            task.cancel()
            asyncio.get_running_loop().call_later(0.05, released.set)
            with pytest.raises(asyncio.CancelledError):
                await task
    assert ends(heard) == [EventKind.CANCELLED]
    assert heard[-1].request_id in scripted.requests


async def test_a_query_that_never_arrived_is_cancelled_without_an_identifier(scripted: Scripted) -> None:
    """The service has nothing that could be asked about."""
    asked = asyncio.Event()

    async def refuse(request: web.Request) -> web.StreamResponse:
        return error(503, "ServiceUnavailable", "later")

    async def know_nothing(request: web.Request) -> web.StreamResponse:
        asked.set()
        return error(404, "NotFound", "no such request")

    scripted.on("submit", refuse)
    scripted.on("status", know_nothing)
    heard: list[Event] = []
    async with client_of(scripted, retries=Retries(first_s=30)) as client:
        with client.events.subscribe(heard.append):
            task = asyncio.create_task(client.conjunctions.search(a_query()))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert [(one.kind, one.request_id) for one in heard] == [(EventKind.CANCELLED, "")]


async def test_a_request_cancelled_on_the_service_is_no_failure(scripted: Scripted) -> None:
    """Somebody wanted it so."""
    scripted.takes_s = 60
    heard: list[Event] = []
    async with client_of(scripted) as client:
        with client.events.subscribe(heard.append):
            request = await client.conjunctions.submit(a_query())
            await client.conjunctions.cancel(request.request_id)
            scripted.takes_s = 0  # the service has got round to it
            with pytest.raises(RequestCancelled):
                await request.wait()
    assert ends(heard) == [EventKind.CANCELLED]


async def test_a_request_that_goes_on_is_left_and_not_cancelled(scripted: Scripted) -> None:
    """Detached, or somebody else's: it ends without us."""
    scripted.takes_s = 60
    heard: list[Event] = []
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        with client.events.subscribe(heard.append):
            for handle in (request, client.conjunctions.resume(request.detach())):
                task = asyncio.create_task(handle.wait())
                while not heard or heard[-1].kind is EventKind.LEFT:
                    await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert heard[-1].kind is EventKind.LEFT
    assert scripted.cancelled == []


async def test_the_end_names_the_file(scripted: Scripted, tmp_path: Path) -> None:
    """What was saved is what somebody who only listens wants to know."""
    heard: list[Event] = []
    async with client_of(scripted) as client:
        with client.events.subscribe(heard.append):
            saved = await client.conjunctions.download(a_query(), tmp_path / "o.json")
    assert (heard[-1].kind, heard[-1].path, heard[-1].records) == (EventKind.DONE, saved.path, 3)
