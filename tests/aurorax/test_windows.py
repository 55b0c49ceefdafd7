"""Searches in windows: the same answer as in one piece, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from aiohttp import web
from support.clients import ClientAs
from support.scripted import Scripted, client_of, error, serving

from aurora_async import (
    AuroraX,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProduct,
    DataProductQuery,
    EphemerisQuery,
    GroundBlock,
    Limits,
    Retries,
    SpaceBlock,
    Timeouts,
)
from aurora_async.aurorax.models import Query
from aurora_async.aurorax.splitting import fitting_window, windows
from aurora_async.engine import Event, EventKind
from aurora_async.errors import DeadlineExceeded, InvalidInput, InvalidQuery, RequestFailed
from aurora_async.server.app import LocalService
from aurora_async.times import to_wire

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

GILLAM = EphemerisQuery(start="2019-12-15", end="2020-01-20", programs="themis-asi", platforms="gillam")
NIGHTS = ConjunctionQuery(
    start="2020-01", end="2020-01", max_distance_km=400, ground=GroundBlock(programs=["rego", "themis-asi"]),
    custom_locations=CustomLocationsBlock(locations=[(56.4, -94.6), (66.0, -135.0)]),
    conjunction_types=["nbtrace", "geographic"],
)  # fmt: skip
SWARM = ConjunctionQuery(
    start="2020-01-01", end="2020-01-01", ground=GroundBlock(programs="themis-asi"), space=SpaceBlock(programs="swarm"),
    max_distance_km=500,
)  # fmt: skip
TRIPLE = ConjunctionQuery(
    start="2020-01-01T03:00", end="2020-01-01T14:00:20",
    max_distance_km={"ground1-ground2": 900, "ground1-space1": 800},
    ground=[GroundBlock(programs="themis-asi"), GroundBlock(programs="rego")],
    space=SpaceBlock(programs="swarm"), subminute_precision=True,
)  # fmt: skip


# The local service ----------------------------------------------------------------------------------------------------


async def test_ephemeris_in_windows_is_that_of_one_piece(client: AuroraX) -> None:
    """Day by day, and in pieces of a day: no minute twice at a seam, and none lost."""
    query = EphemerisQuery(start="2020-01-01T20:00", end="2020-01-03T04:00", platforms="swarma")
    whole = await client.ephemeris.search(query)
    assert len(whole) == 32 * 60 + 1
    for window in (DAY, 5 * HOUR):
        assert await client.ephemeris.search(query, window=window) == whole


async def test_ephemeris_of_more_than_a_month_needs_no_window(client: AuroraX) -> None:
    """The service takes 31 days: what is longer is cut by itself, and is the same as asking month by month."""
    heard: list[Event] = []
    with client.events.subscribe(heard.append):
        found = await client.ephemeris.search(GILLAM, response_format={"epoch": True})
    months = windows(GILLAM)
    assert len(months) == 2
    assert sorted(event.query.start for event in heard if event.kind is EventKind.SUBMITTED) == [  # type: ignore[attr-defined]
        month.start for month in months
    ]
    direct = [await client.ephemeris.search(one, response_format={"epoch": True}) for one in months]
    assert found == [record for month in direct for record in month]
    assert len(found) > 20_000


async def test_one_request_for_more_than_a_month_is_refused_before_it_is_made(client: AuroraX) -> None:
    """`submit` is one request, and the service would refuse it: what else to do is said at once."""
    with pytest.raises(InvalidQuery, match=r"37\.0 days .* windows"):
        await client.ephemeris.submit(GILLAM)


@pytest.mark.parametrize("window", [DAY, 7 * DAY])
async def test_a_month_of_conjunctions_day_by_day_is_the_month(client: AuroraX, window: timedelta) -> None:
    """Nights last across midnight UTC over Canada: nearly every day's last conjunctions are cut, and joined again."""
    whole = await client.conjunctions.search(NIGHTS)
    assert sum(found.start.date() != found.end.date() for found in whole) > 50
    assert await client.conjunctions.search(NIGHTS, window=window) == whole


@pytest.mark.parametrize(
    ("query", "window"),
    [(SWARM, 17 * MINUTE), (TRIPLE, 17 * MINUTE), (TRIPLE, 5 * MINUTE)],
    ids=["spacecraft", "three blocks", "short windows"],
)
async def test_conjunctions_cut_anywhere_are_joined_again(
    client: AuroraX, query: ConjunctionQuery, window: timedelta
) -> None:
    """Spacecraft, three blocks and half-minutes; with short windows, most conjunctions lie across several."""
    query = attrs.evolve(query, end=query.start + 4 * HOUR) if window < 10 * MINUTE else query
    whole = await client.conjunctions.search(query)
    assert len(whole) > 10
    assert await client.conjunctions.search(query, window=window) == whole


async def test_a_seam_anywhere_in_a_conjunction_changes_nothing(client: AuroraX) -> None:
    """On its first minute, its last, between, and a minute to either side."""
    whole = await client.conjunctions.search(SWARM)
    long = max(whole, key=lambda one: one.end - one.start)
    assert long.end - long.start >= 2 * MINUTE
    seam = long.start - MINUTE
    while seam <= long.end + MINUTE:
        query = attrs.evolve(SWARM, start=seam - 59 * MINUTE, end=seam + 59 * MINUTE)
        assert [one.end for one in windows(query, 59 * MINUTE)] == [seam, query.end]
        found = await client.conjunctions.search(query, window=59 * MINUTE)
        assert found == await client.conjunctions.search(query)
        assert long in found
        seam += MINUTE


async def test_a_response_format_may_leave_out_what_windows_are_joined_by(client: AuroraX) -> None:
    """Whoever wants the smallest distance alone gets that, and gets it right."""
    wanted = {"min_distance": True, "events": {"max_distance": True}}
    whole = await client.conjunctions.search(SWARM, response_format=wanted)
    assert await client.conjunctions.search(SWARM, response_format=wanted, window=17 * MINUTE) == whole
    assert whole[0].keys() == {"min_distance", "events"}


async def test_data_products_across_seams_come_once(client: AuroraX, client_as: ClientAs) -> None:
    """A product is found where it lies wholly in a window, so one across a seam would be found nowhere."""
    query = DataProductQuery(start="2020-01-01", end="2020-04-10", programs="trex", platforms="fort smith")
    seam = windows(query, 62 * DAY)[0].end
    source = await client.sources.find("trex", "fort smith", "RGB ASI")
    across = [
        DataProduct(
            data_source=source, data_product_type="movie", url=f"https://example.org/{days}.mp4",
            start=(seam - days * DAY).replace(second=0), end=(seam + MINUTE).replace(second=0), metadata={},
        )
        for days in (1, 10, 30)
    ]  # fmt: skip
    async with client_as("administrator") as maintainer:
        await maintainer.data_products.upload(source, across, validate=False)
    whole = await client.data_products.search(query)
    with anyio.fail_after(20):
        while sum("example" in product.url for product in whole) < 3:
            await anyio.sleep(0.05)
            whole = await client.data_products.search(query)
    assert len(whole) > 1000
    found = await client.data_products.search(query, window=62 * DAY)
    by_url = {product.url: product for product in whole}
    assert len(found) == len(whole)
    assert {product.url: product for product in found} == by_url


async def test_every_format_of_a_file_works_on_windows(client: AuroraX, tmp_path: Path) -> None:
    """A file of windows is the file of the whole, byte for byte."""
    for format in ("json", "jsonl", "csv", "body"):
        names = [tmp_path / f"{name}.{format}" for name in ("whole", "windows")]
        for path, window in zip(names, (None, 6 * HOUR), strict=True):
            await client.conjunctions.download(SWARM, path, format=format, window=window)
        whole, merged = (path.read_bytes() for path in names)
        if format == "body":
            assert json.loads(whole) == json.loads(merged)
        else:
            assert whole == merged
    saved = await client.conjunctions.download(SWARM, tmp_path, format="jsonl", window=6 * HOUR)
    assert saved.path.parent == tmp_path
    assert saved.path.name.endswith("_data.jsonl")


async def test_a_run_cuts_each_of_its_queries(client: AuroraX, tmp_path: Path) -> None:
    """Windows of one query and other queries are under way together."""
    queries: list[Query] = [SWARM, attrs.evolve(GILLAM, start=datetime(2020, 1, 10)), TRIPLE]
    alone = {0: len(await client.conjunctions.search(SWARM)), 2: len(await client.conjunctions.search(TRIPLE))}
    async for outcome in client.run(queries, folder=tmp_path, format="jsonl", window=3 * HOUR * 8):
        saved = outcome.unwrap().saved
        assert saved is not None
        assert saved.records == alone.get(outcome.index, saved.records) > 0


async def test_a_window_that_fits_is_chosen_by_how_many_records_there_are(client: AuroraX) -> None:
    """A month of one spacecraft is one request; of many, it is several; of none, one again."""
    counts = client.availability
    spacecraft = EphemerisQuery(start="2020-01", end="2020-03", programs="swarm", platforms="swarma")
    swarm = attrs.evolve(spacecraft, platforms=())
    nobody = attrs.evolve(spacecraft, programs="nobody")
    one, three = await fitting_window(spacecraft, counts), await fitting_window(swarm, counts)
    assert one is not None and three is not None
    assert (one.days, three.days) == (34, 11)
    assert await fitting_window(nobody, counts) is None
    year = attrs.evolve(SWARM, start="2019", end="2019")
    conjunctions = await fitting_window(year, counts)
    assert conjunctions is not None
    assert 7 <= conjunctions.days <= 60
    assert await client.conjunctions.search(SWARM, window="auto") == await client.conjunctions.search(SWARM)


@pytest.mark.parametrize("window", [timedelta(seconds=30), "1d", 86400, "Auto"])
async def test_a_window_that_is_none_is_refused_before_anything_is_sent(service: LocalService, window: Any) -> None:
    """A mistake costs no request, and names the parameter."""
    async with AuroraX(base_url=service.base_url) as client:
        with pytest.raises(InvalidInput, match="window"):
            await client.conjunctions.search(SWARM, window=window)
        with pytest.raises(InvalidInput, match="window"):
            client.run([SWARM], window=window)


# Windows that fail, are cut off or take too long: a scripted service -------------------------------------------------


YEAR = EphemerisQuery(start="2019", end="2019", programs="swarm")


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A service that answers each window by its start."""
    async with serving(Scripted()) as running:

        async def data(request: web.Request) -> web.Response:
            start = running.queries[request.path.split("/")[-2]]["start"]
            return web.json_response({"result": [{"epoch": start, "number": number} for number in range(3)]})

        running.on("data", data)
        yield running


EPOCHS = {"epoch": True, "metadata": True}


def epochs_of(query: Query) -> list[str]:
    return [to_wire(one.start) for one in windows(query) for _ in range(3)]


async def test_a_bounded_number_of_windows_is_under_way(scripted: Scripted) -> None:
    """Results wait on the service; but not a whole decade of them, for a reader who may leave."""
    async with (
        client_of(scripted, limits=Limits(windows_at_once=3)) as client,
        aclosing(client.ephemeris.stream(YEAR, response_format=EPOCHS)) as records,
    ):
        first = await anext(records)
        await anyio.wait_all_tasks_blocked()
        assert len(scripted.requests) == 3
        found = [first["epoch"]] + [record["epoch"] async for record in records]
    assert found == epochs_of(YEAR)
    assert len(scripted.requests) == 12
    assert scripted.cancelled == []


async def test_windows_come_in_order_though_the_first_is_last(scripted: Scripted) -> None:
    """The order of the records does not depend on which window the service finishes first."""
    scripted.takes = lambda query: 0.4 if query["start"].startswith("2019-01") else 0.0
    async with client_of(scripted) as client:
        found = await client.ephemeris.search(YEAR, response_format=EPOCHS)
    assert [record["epoch"] for record in found] == epochs_of(YEAR)


async def test_a_window_that_fails_is_named_and_ends_the_others(scripted: Scripted) -> None:
    """Half a year is not the year: nothing goes on for it, and one knows where to look."""
    scripted.takes = lambda query: 0.1 if query["start"].startswith("2019-03") else 60.0

    async def status(request: web.Request) -> web.Response | None:
        request_id = request.path.rpartition("/")[2]
        if not scripted.queries[request_id]["start"].startswith("2019-03"):
            return None
        logs = [{"level": "error", "summary": "out of memory", "timestamp": "2024-06-18T01:56:33.4"}]
        return web.json_response(scripted.status_document(request_id, error_condition=True) | {"logs": logs})

    scripted.on("status", status)
    async with client_of(scripted, limits=Limits(windows_at_once=5)) as client:
        with pytest.raises(RequestFailed, match="out of memory") as failed:
            await client.ephemeris.search(YEAR, response_format=EPOCHS)
        assert failed.value.__notes__ == ["in one of 12 windows, 2019-03-01T00:00:00 to 2019-03-31T23:59:59"]
        others = {key for key, query in scripted.queries.items() if not query["start"].startswith("2019-03")}
        assert set(scripted.cancelled) == others
        assert len(others) == 4


async def test_one_deadline_covers_all_windows_and_cancels_them(scripted: Scripted) -> None:
    """Nobody can pick up the pieces later, so none is left running."""
    scripted.takes_s = 60.0
    async with client_of(scripted) as client:
        with pytest.raises(DeadlineExceeded):
            await client.ephemeris.search(YEAR, response_format=EPOCHS, deadline_s=0.3)
        assert len(scripted.requests) == 8
        assert set(scripted.cancelled) == set(scripted.requests)


async def test_the_deadline_ends_the_reading_as_well(scripted: Scripted) -> None:
    """A window that is ready can still take for ever to arrive; its request is not offered as if it were the whole."""
    stalled = asyncio.Event()

    async def data(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await stalled.wait()
        return answer

    scripted.on("data", data)
    async with client_of(scripted, timeouts=Timeouts(read_s=30)) as client:
        with pytest.raises(DeadlineExceeded) as exceeded:
            await client.ephemeris.search(YEAR, response_format=EPOCHS, deadline_s=0.5)
        assert exceeded.value.request_id is None
        stalled.set()


async def test_cancelling_the_task_cancels_every_window(scripted: Scripted, tmp_path: Path) -> None:
    """Ctrl-C leaves nothing behind on the service, and no file."""
    scripted.takes_s = 60.0
    async with client_of(scripted) as client:
        task = asyncio.create_task(client.ephemeris.download(YEAR, tmp_path / "a.json"))
        with anyio.fail_after(10):
            while len(scripted.requests) < 8:
                await anyio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(scripted.cancelled) == set(scripted.requests)
    assert list(tmp_path.iterdir()) == []


async def test_a_reader_who_has_enough_cancels_the_rest(scripted: Scripted) -> None:
    """Leaving a stream early is no reason for the service to go on."""
    scripted.takes = lambda query: 0.0 if query["start"].startswith("2019-01") else 60.0
    async with client_of(scripted) as client:
        async with aclosing(client.ephemeris.stream(YEAR, response_format=EPOCHS)) as records:
            await anext(records)
        late = {key for key, query in scripted.queries.items() if not query["start"].startswith("2019-01")}
        assert set(scripted.cancelled) == late


async def test_a_transfer_that_is_cut_goes_on_behind_the_last_record(scripted: Scripted) -> None:
    """Eleven windows are not read again because the twelfth was interrupted, and no record comes twice."""
    numbers = range(2000)
    scripted.records = [{"epoch": "2019-01-01T00:00:00", "number": number} for number in numbers]
    left = {"cuts": 4}

    async def data(request: web.Request) -> web.StreamResponse:
        body = json.dumps({"result": scripted.records}).encode()
        if left["cuts"] == 0:
            return web.Response(body=body, content_type="application/json")
        left["cuts"] -= 1
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[: len(body) * (left["cuts"] + 1) // 6])
        assert request.transport is not None
        request.transport.abort()
        return answer

    scripted.on("data", data)
    events: list[Event] = []
    query = EphemerisQuery(start="2019-01", end="2019-02", programs="swarm")
    async with client_of(scripted, retries=Retries(attempts=6, first_s=0.01)) as client:
        with client.events.subscribe(events.append):
            found = await client.ephemeris.search(query, response_format={"metadata": True})
    assert [record["number"] for record in found] == [*numbers, *numbers]
    assert left == {"cuts": 0}
    assert [event.kind for event in events if event.kind in (EventKind.DONE, EventKind.FAILED)] == [EventKind.DONE] * 2


async def test_a_window_that_the_service_refuses_is_an_invalid_query(scripted: Scripted) -> None:
    """The service's word on one window is its word on the query."""

    async def submit(request: web.Request) -> web.Response:
        return error(400, "AssertionError", "no such platform")

    scripted.on("submit", submit)
    async with client_of(scripted) as client:
        with pytest.raises(InvalidQuery, match="no such platform"):
            await client.ephemeris.search(YEAR)
