"""One request from submission to its last byte, and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from support.scripted import Scripted, a_query, client_of, conjunction, error, hang_up, quick_config, serving, times

from aurora_async import AuroraX, EventKind, Phase, Polling, Retries
from aurora_async.errors import (
    ClientClosed,
    ConnectionLost,
    ConnectionRefused,
    DeadlineExceeded,
    Forbidden,
    IncompleteBody,
    InvalidInput,
    InvalidQuery,
    MalformedAnswer,
    NotFound,
    RequestCancelled,
    RequestFailed,
    ResultExpired,
    ResultMissing,
    ServerError,
    TargetNotWritable,
    Unauthorized,
    WrongContent,
)

LONG_S = 60.0


async def until(condition: object, limit_s: float = 5.0) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(limit_s):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.002)


async def test_search_gives_typed_records(scripted: Scripted) -> None:
    """The main road: submit, look, fetch."""
    async with client_of(scripted) as client:
        found = await client.conjunctions.search(a_query())
    assert [record.start.minute for record in found] == [0, 1, 2]
    assert found[0].min_distance == 284.42085025713


async def test_the_identifier_is_chosen_before_the_post(scripted: Scripted) -> None:
    """After a crash the identifier on paper is the one on the server."""
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
    assert uuid.UUID(request.request_id).version == 4
    assert scripted.queries[request.request_id]["request_id"] == request.request_id


async def test_another_identifier_in_the_location_is_the_one_that_counts(scripted: Scripted) -> None:
    """A service may rename a request; everything after goes to the new name."""

    async def rename(request: web.Request) -> web.Response:
        scripted.requests["renamed"] = 0.0
        return web.Response(status=202, headers={"Location": scripted.location(request, "renamed")})

    scripted.on("submit", rename)
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        assert request.request_id == "renamed"
        assert len(await request.records()) == 3


async def test_a_lost_answer_does_not_submit_twice(scripted: Scripted) -> None:
    """The POST arrived and its answer did not: the service is asked, and the request is attached to."""

    async def accept_and_hang_up(request: web.Request) -> web.StreamResponse:
        await scripted.submit(request)
        return await hang_up(request)

    scripted.on("submit", accept_and_hang_up)
    async with client_of(scripted) as client:
        assert len(await client.conjunctions.search(a_query())) == 3
    assert scripted.count("POST", "/search") == 1
    assert len(scripted.requests) == 1


async def test_a_post_that_never_arrived_is_sent_again_under_the_same_identifier(scripted: Scripted) -> None:
    """Cut before the service acted: it says 404 for the identifier, so submitting again is safe."""
    cut = times(2, lambda: web.Response())
    calls = 0

    async def hang_up_twice(request: web.Request) -> web.StreamResponse | None:
        nonlocal calls
        calls += 1
        return None if await cut(request) is None else await hang_up(request)

    scripted.on("submit", hang_up_twice)
    async with client_of(scripted) as client:
        await client.conjunctions.search(a_query())
    assert calls == 3
    assert len(scripted.requests) == 1


async def test_a_server_error_on_the_post_is_asked_about_too(scripted: Scripted) -> None:
    """A gateway's 502 says nothing about what the service behind it did."""
    scripted.on("submit", times(1, lambda: error(502, "Other", "bad gateway")))
    async with client_of(scripted) as client:
        assert len(await client.conjunctions.search(a_query())) == 3
    assert len(scripted.requests) == 1


async def test_submitting_gives_up_with_the_last_error(scripted: Scripted) -> None:
    """Attempts are bounded when there is no deadline."""
    scripted.on("submit", times(100, lambda: error(500, "ApplicationError", "database down")))
    async with client_of(scripted) as client:
        with pytest.raises(ServerError, match="database down"):
            await client.conjunctions.search(a_query())
    assert scripted.count("POST", "/search") == 3


async def test_a_refused_query_is_an_invalid_query(scripted: Scripted) -> None:
    """400 carries the service's own wording, and nothing is tried again."""
    scripted.on("submit", times(1, lambda: error(400, "AssertionError", "start is after end")))
    async with client_of(scripted) as client:
        with pytest.raises(InvalidQuery, match="start is after end"):
            await client.conjunctions.search(a_query())
    assert scripted.count("POST", "/search") == 1


async def test_an_answer_without_location_is_malformed(scripted: Scripted) -> None:
    """A 202 that names no request cannot be followed."""
    scripted.on("submit", times(1, lambda: web.Response(status=202)))
    async with client_of(scripted) as client:
        with pytest.raises(MalformedAnswer, match="Location"):
            await client.conjunctions.search(a_query())


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (403, Forbidden)])
async def test_missing_permission_is_said_at_once(scripted: Scripted, status: int, kind: type[Exception]) -> None:
    """The official client takes a 403 for a success."""
    scripted.on("submit", times(1, lambda: error(status, "NotPermitted", "no")))
    async with client_of(scripted) as client:
        with pytest.raises(kind):
            await client.conjunctions.search(a_query())
    assert scripted.count("POST", "/search") == 1


async def test_nobody_listening_is_one_clear_error() -> None:
    """A wrong address ends the search after the configured attempts."""
    config = quick_config("http://127.0.0.1:1")
    async with AuroraX(config) as client:
        with pytest.raises(ConnectionRefused, match=r"127\.0\.0\.1:1"):
            await client.conjunctions.search(a_query())


async def test_a_failed_search_raises_its_last_log_line(scripted: Scripted) -> None:
    """The official client polls for ever; here error_condition ends the wait."""
    scripted.fails_with = "Out of memory while joining"
    async with client_of(scripted) as client:
        with pytest.raises(RequestFailed, match="Out of memory while joining") as caught:
            await client.conjunctions.search(a_query())
    assert caught.value.request_id in scripted.requests


async def test_completed_without_data_is_a_failure(scripted: Scripted) -> None:
    """completed_timestamp ends the wait too."""

    async def status(request: web.Request) -> web.Response:
        request_id = request.path.rpartition("/")[2]
        result = {"data_uri": None, "completed_timestamp": "2024-06-18T01:56:33.730679"}
        return web.json_response(scripted.status_document(request_id, **result))

    scripted.on("status", status)
    async with client_of(scripted) as client:
        with pytest.raises(RequestFailed, match="without data"):
            await client.conjunctions.search(a_query())


async def test_a_request_cancelled_elsewhere_is_said_as_such(scripted: Scripted) -> None:
    """Somebody else may cancel what we wait for."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        await request.cancel()
        scripted.takes_s = 0  # the service has got round to it
        with pytest.raises(RequestCancelled):
            await request.wait()


@pytest.mark.parametrize("route", ["status", "data", "missing"])
async def test_a_result_that_is_gone_is_expired(scripted: Scripted, route: str) -> None:
    """Three ways a service says so: in the status, by 404, and by 200 with an error document."""

    async def deleted(request: web.Request) -> web.Response:
        request_id = request.path.rpartition("/")[2]
        document = scripted.status_document(request_id, result_file_deleted_timestamp="2024-06-23T01:00:00")
        return web.json_response(document)

    async def missing(request: web.Request) -> web.Response:
        return web.json_response({"error": {"error_code": "NotFound", "error_message": "no file"}})

    if route == "status":
        scripted.on("status", deleted)
    elif route == "data":
        scripted.on("data", times(9, lambda: error(404, "NotFound", "no file")))
    else:
        scripted.on("data", missing)
    async with client_of(scripted) as client:
        with pytest.raises(ResultExpired, match="submit the query again"):
            await client.conjunctions.search(a_query())


async def test_an_error_document_instead_of_the_data_is_not_taken_for_an_expired_result(scripted: Scripted) -> None:
    """Submitting again would not help; what the service says is told."""

    async def broken(request: web.Request) -> web.Response:
        return web.json_response({"error": {"error_code": "ApplicationError", "error_message": "disk"}})

    scripted.on("data", broken)
    async with client_of(scripted) as client:
        with pytest.raises(ResultMissing, match="ApplicationError"):
            await client.conjunctions.search(a_query())


async def test_transient_failures_never_end_a_wait(scripted: Scripted) -> None:
    """Five kinds of trouble in a row, then the answer: the wait goes through."""
    troubles = iter(
        [
            error(503, "Unavailable", "busy", **{"Retry-After": "0"}),
            error(500, "ApplicationError", "oops"),
            error(429, "ToManyRequests", "slow down", **{"Retry-After": "0"}),
            web.Response(text="<html>gateway</html>", content_type="text/html"),
            None,
        ]
    )

    async def trouble(request: web.Request) -> web.StreamResponse | None:
        answer = next(troubles, 0)
        if answer is None:
            return await hang_up(request)
        return answer or None

    scripted.on("status", trouble)
    async with client_of(scripted) as client:
        assert len(await client.conjunctions.search(a_query())) == 3


async def test_garbage_for_a_status_ends_the_wait_after_three(scripted: Scripted) -> None:
    """One garbled answer may be a proxy's; three in a row are the service's."""
    scripted.on("status", times(99, lambda: web.Response(text="<html>", content_type="text/html")))
    async with client_of(scripted) as client:
        with pytest.raises(MalformedAnswer):
            await client.conjunctions.search(a_query())
    assert scripted.count("GET", "") == 3


async def test_a_request_the_service_forgot_is_not_found(scripted: Scripted) -> None:
    """404 for a status is final."""
    async with client_of(scripted) as client:
        with pytest.raises(NotFound):
            await client.conjunctions.resume(str(uuid.uuid4())).wait()


async def test_a_deadline_leaves_the_request_alive(scripted: Scripted) -> None:
    """Running out of time is not giving up: the identifier in the error picks the request up again."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        with pytest.raises(DeadlineExceeded) as caught:
            await client.conjunctions.search(a_query(), deadline_s=0.1)
        assert scripted.cancelled == []
        scripted.takes_s = 0
        assert caught.value.request_id is not None
        assert len(await client.conjunctions.resume(caught.value.request_id).records()) == 3


@pytest.mark.parametrize("route", ["submit", "status", "data"])
async def test_one_deadline_covers_every_step(scripted: Scripted, route: str) -> None:
    """A service that hangs at any step is left when time is up."""
    released = asyncio.Event()

    async def hang(request: web.Request) -> None:
        await released.wait()

    scripted.on(route, hang)
    async with client_of(scripted) as client:
        with pytest.raises(DeadlineExceeded):
            await client.conjunctions.search(a_query(), deadline_s=0.15)
        released.set()
    assert scripted.cancelled == []


@pytest.mark.parametrize("deadline_s", [0, -1, float("nan")])
async def test_a_deadline_that_is_no_time_is_refused(scripted: Scripted, deadline_s: float) -> None:
    """Before anything is sent."""
    async with client_of(scripted) as client:
        with pytest.raises(InvalidInput, match="deadline_s"):
            await client.conjunctions.search(a_query(), deadline_s=deadline_s)
    assert scripted.seen == []


async def test_cancelling_the_wait_cancels_the_remote_request(scripted: Scripted) -> None:
    """A search nobody waits for is not left running on a shared service."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        task = asyncio.create_task(client.conjunctions.search(a_query()))
        await until(lambda: scripted.count("GET", "") > 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scripted.cancelled == list(scripted.requests)


async def test_a_cancellation_that_the_service_ignores_is_time_boxed(scripted: Scripted) -> None:
    """An unreachable service does not hold up our own end."""
    scripted.takes_s = LONG_S
    released = asyncio.Event()

    async def hang(request: web.Request) -> None:
        await released.wait()

    scripted.on("cancel", hang)
    timeouts = quick_config("http://x").timeouts
    async with client_of(scripted, timeouts=type(timeouts)(cancel_s=0.1)) as client:
        task = asyncio.create_task(client.conjunctions.search(a_query()))
        await until(lambda: scripted.requests)
        task.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(asyncio.CancelledError):
                await task
        released.set()


async def test_a_pause_of_the_host_does_not_hold_up_a_cancellation(scripted: Scripted) -> None:
    """A service that says "not for an hour" is still told that it may stop working for us."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        scripted.on("status", times(99, lambda: error(429, "ToManyRequests", "later", **{"Retry-After": "3000"})))
        task = asyncio.create_task(request.wait())
        await until(lambda: scripted.count("GET", request.request_id) > 0)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert scripted.cancelled == [request.request_id]


async def test_a_detached_request_outlives_its_task(scripted: Scripted) -> None:
    """detach gives a token that another client, anywhere, resumes."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        token = request.detach()
        task = asyncio.create_task(request.wait())
        await until(lambda: scripted.count("GET", token) > 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert scripted.cancelled == []
    scripted.takes_s = 0
    async with client_of(scripted) as other:
        assert len(await other.conjunctions.resume(token).records()) == 3


async def test_closing_the_client_ends_what_waits_in_it(scripted: Scripted) -> None:
    """Nothing goes on after `async with` has ended."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        task = asyncio.create_task(request.wait())
        await until(lambda: scripted.count("GET", request.request_id) > 0)
    with pytest.raises((asyncio.CancelledError, ClientClosed)):
        await task
    with pytest.raises(ClientClosed):
        await client.conjunctions.search(a_query())


@pytest.mark.parametrize("ending", ["cut", "short"])
async def test_a_cut_body_is_fetched_again(scripted: Scripted, tmp_path: Path, ending: str) -> None:
    """One broken transfer is no failed search, in memory or on disk."""
    broken = times(1, web.Response)

    async def cut(request: web.Request) -> web.StreamResponse | None:
        if await broken(request) is None:
            return None
        text = json.dumps({"result": scripted.records})[:200]
        if ending == "short":  # complete as HTTP, torn as JSON
            return web.Response(text=text, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Length": "5000"})
        await response.prepare(request)
        await response.write(text.encode())
        return await hang_up(request)

    scripted.on("data", cut)
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        assert len(await request.records()) == 3
        broken = times(1, web.Response)
        saved = await request.download(tmp_path / "found.json")
    assert saved.records == 3
    assert len(json.loads(saved.path.read_text())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


async def test_a_body_that_stays_broken_is_an_error_and_no_file(scripted: Scripted, tmp_path: Path) -> None:
    """After the last attempt the error names what happened, and nothing stands under the name."""
    scripted.on("data", times(99, lambda: web.Response(text='{"result":[{"a":1}', content_type="application/json")))
    async with client_of(scripted) as client:
        with pytest.raises(IncompleteBody):
            await client.conjunctions.download(a_query(), tmp_path / "found.json")
    assert list(tmp_path.iterdir()) == []
    assert scripted.count("GET", "/data") == 3


async def test_records_must_be_as_many_as_the_status_said(scripted: Scripted, tmp_path: Path) -> None:
    """A body can be whole as JSON and still miss records."""

    async def two_of_three(request: web.Request) -> web.Response:
        return web.json_response({"result": scripted.records[:2]})

    scripted.on("data", two_of_three)
    async with client_of(scripted) as client:
        with pytest.raises(WrongContent, match=r"2 records.*says 3"):
            await client.conjunctions.search(a_query())
        with pytest.raises(WrongContent):
            await client.conjunctions.download(a_query(), tmp_path / "found.json")
    assert list(tmp_path.iterdir()) == []


async def test_a_wrong_record_is_pointed_at(scripted: Scripted) -> None:
    """The error says which record, and what in it."""
    scripted.records = [conjunction(0), conjunction(1) | {"closest_epoch": "yesterday"}]
    async with client_of(scripted) as client:
        with pytest.raises(MalformedAnswer) as caught:
            await client.conjunctions.search(a_query())
    assert caught.value.where == "$.result[1].closest_epoch"


async def test_an_unwritable_target_is_refused_before_anything_is_sent(scripted: Scripted, tmp_path: Path) -> None:
    """A search of ten minutes must not end at a folder that could never be written."""
    (tmp_path / "file").write_text("")
    async with client_of(scripted) as client:
        with pytest.raises(TargetNotWritable):
            await client.conjunctions.download(a_query(), tmp_path / "file" / "found.json")
    assert scripted.seen == []


async def test_a_download_into_a_folder_is_named_after_the_request(scripted: Scripted, tmp_path: Path) -> None:
    """As the official command line does."""
    async with client_of(scripted) as client:
        saved = await client.conjunctions.download(a_query(), tmp_path, format="jsonl")
    assert saved.path == tmp_path / f"{next(iter(scripted.requests))}_data.jsonl"
    assert len(saved.path.read_text().splitlines()) == 3


async def test_stream_yields_while_the_body_arrives(scripted: Scripted) -> None:
    """The first records are here before the last are sent."""
    more = asyncio.Event()
    scripted.records = [conjunction(i) for i in range(4000)]

    async def in_two_parts(request: web.Request) -> web.StreamResponse:
        body = json.dumps({"result": scripted.records}).encode()
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        await more.wait()
        await response.write(body[len(body) // 2 :])
        await response.write_eof()
        return response

    scripted.on("data", in_two_parts)
    count = 0
    async with client_of(scripted) as client:
        async for _ in client.conjunctions.stream(a_query()):
            count += 1
            more.set()
    assert count == 4000


async def test_a_stream_left_early_closes_its_connection(scripted: Scripted) -> None:
    """`break` must not leave a socket that nobody reads."""
    scripted.records = [conjunction(i) for i in range(20_000)]
    async with client_of(scripted) as client:
        stream = client.conjunctions.stream(a_query())
        async for _ in stream:
            break
        await stream.aclose()
    await until(lambda: scripted.open_connections == 0)


async def test_events_tell_the_whole_story_in_order(scripted: Scripted, tmp_path: Path) -> None:
    """A progress display needs nothing but the events."""
    scripted.takes_s = 0.05
    async with client_of(scripted) as client:
        with client.events.stream() as events:
            await client.conjunctions.download(a_query(), tmp_path / "found.json")
            told = []
            async for event in events:
                told.append(event)
                if event.kind is EventKind.DONE:
                    break
    kinds = [event.kind for event in told]
    assert kinds[0] is EventKind.SUBMITTED
    assert list(dict.fromkeys(kinds))[-3:] == [EventKind.READY, EventKind.BYTES, EventKind.DONE]
    assert EventKind.POLLED in kinds
    assert told[-1].records == 3
    assert {event.request_id for event in told} == set(scripted.requests)


async def test_a_large_body_is_told_of_while_it_comes_by_its_fast_way(scripted: Scripted, tmp_path: Path) -> None:
    """In order, up to its last byte; and it is counted like any other."""
    text = json.dumps({"result": [conjunction(number) for number in range(10_000)]}).encode()

    async def data(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(text)
        await response.prepare(request)
        for at in range(0, len(text), 1_000_000):
            await response.write(text[at : at + 1_000_000])
            await asyncio.sleep(0.15)
        return response

    scripted.records = [conjunction()] * 10_000
    scripted.on("data", data)
    arrived: list[int] = []
    async with client_of(scripted) as client:
        with client.events.subscribe(lambda event: arrived.append(event.bytes) if event.bytes else None):
            saved = await client.conjunctions.download(a_query(), tmp_path / "found.json", format="body")
    assert (tmp_path / "found.json").read_bytes() == text
    assert (saved.records, saved.bytes) == (10_000, len(text))
    assert arrived == sorted(arrived)
    assert arrived[-1] == len(text)
    assert len(set(arrived)) > 2


async def test_a_failing_listener_harms_nobody(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a progress display is logged, and the search goes on."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    async with client_of(scripted) as client:
        with client.events.subscribe(broken):
            assert len(await client.conjunctions.search(a_query())) == 3
    assert "a listener failed" in caplog.text


async def test_refresh_asks_once_and_the_attribute_asks_nobody(scripted: Scripted) -> None:
    """Reading `status` costs no round trip."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        assert request.status is None
        assert (await request.refresh()).phase is Phase.QUEUED
        assert request.status is not None
        assert "queued" in repr(request)
    assert len(scripted.seen) == 2


async def test_a_wait_after_the_end_asks_nobody(scripted: Scripted) -> None:
    """What is known to be ready need not be looked at again."""
    async with client_of(scripted) as client:
        request = await client.conjunctions.submit(a_query())
        await request.wait()
        looks = len(scripted.seen)
        await request.wait()
    assert len(scripted.seen) == looks


async def _cancelled_after(steps: int, scripted: Scripted, folder: Path, kinds: list[EventKind]) -> bool:
    """Cancel a download after so many turns of the loop; True if it had ended by itself before."""
    polling = Polling(floor_s=0.001)
    async with client_of(scripted, polling=polling) as client, AsyncExitStack() as stack:
        stack.enter_context(client.events.subscribe(lambda event: kinds.append(event.kind)))
        before = asyncio.all_tasks()
        task = asyncio.create_task(client.conjunctions.download(a_query(), folder / "found.json"))
        for _ in range(steps):
            await asyncio.sleep(0)
            if task.done():
                return True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not any("aurora_async" in repr(task) for task in asyncio.all_tasks() - before), 1.0)
    return False


async def test_cancelling_at_any_await_leaves_nothing(tmp_path: Path) -> None:
    """No task, no open socket, no part file, and no request that runs on: at every single step."""
    ended = False
    steps = 0
    while not ended:
        folder = tmp_path / str(steps)
        folder.mkdir()
        async with serving(Scripted()) as scripted:
            kinds: list[EventKind] = []
            ended = await _cancelled_after(steps, scripted, folder, kinds)
            await until(lambda: scripted.open_connections == 0)
            # What was known to be finished is left alone; everything before has to be cancelled.
            assert EventKind.READY in kinds or scripted.cancelled == list(scripted.requests)
        assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []
        steps += 1 if steps < 60 else 7
    assert steps > 40


async def test_retries_do_not_wait_past_the_deadline() -> None:
    """With a second to go, an hour's back-off is not begun."""
    config = quick_config("http://127.0.0.1:1", retries=Retries(attempts=9, first_s=3600, ceiling_s=3600))
    async with AuroraX(config) as client, asyncio.timeout(5):
        with pytest.raises((ConnectionRefused, DeadlineExceeded)):
            await client.conjunctions.search(a_query(), deadline_s=1)


async def test_connection_lost_for_good_while_fetching_is_said(scripted: Scripted) -> None:
    """A service that cuts every time ends the search with what happened."""
    scripted.on("data", hang_up)
    async with client_of(scripted) as client:
        with pytest.raises(ConnectionLost):
            await client.conjunctions.search(a_query())
