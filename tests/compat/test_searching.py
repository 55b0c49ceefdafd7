"""Searches that do not go as the protocol hopes: each of these hangs, lies or crashes with the original."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from aiohttp import web
from support.scripted import Scripted, error, serving, times

from aurora_async.compat import pyaurorax
from aurora_async.compat.pyaurorax.search import ConjunctionSearch, DataProductData, DataSource, EphemerisData, Location
from aurora_async.config import Retries
from aurora_async.errors import BadRequest

T = TypeVar("T")

START, END = datetime(2020, 1, 1), datetime(2020, 1, 1, 6, 59, 59)
BLOCKS: dict[str, Any] = {"ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}]}
SOURCE: dict[str, Any] = {"identifier": 3, "program": "swarm", "platform": "swarma", "instrument_type": "footprint"}
SWARM_A = DataSource(**SOURCE)


async def against(service: Scripted, use: Callable[[pyaurorax.PyAuroraX], T], **settings: Any) -> T:
    """Run blocking code in a thread, against a scripted service in this loop."""
    async with serving(service):
        aurorax = pyaurorax.PyAuroraX(api_base_url=service.base_url, **settings)
        aurorax._change(retries=Retries(attempts=2, first_s=0.01))  # no test waits for what it does not test
        try:
            return await asyncio.to_thread(use, aurorax)
        finally:
            await asyncio.to_thread(aurorax.close)


def search(aurorax: pyaurorax.PyAuroraX, **how: Any) -> ConjunctionSearch:
    """Any search."""
    return aurorax.search.conjunctions.search(START, END, 500, **BLOCKS, **how)


def made(aurorax: pyaurorax.PyAuroraX) -> ConjunctionSearch:
    """The same, to be taken step by step."""
    return ConjunctionSearch(aurorax, START, END, 500, **BLOCKS)


async def test_a_search_that_fails_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a data file the original waits for ever; the last line of the log says why there is none."""
    with pytest.raises(pyaurorax.AuroraXSearchError, match=r"^out of memory$"):
        await against(Scripted(fails_with="out of memory"), lambda aurorax: search(aurorax, verbose=True))
    assert capsys.readouterr().out.endswith("] Waiting for data ...\n")


async def test_a_failed_search_says_so_at_every_step() -> None:
    """Also to a loop of one's own, which would otherwise never see data and never end."""

    def steps(aurorax: pyaurorax.PyAuroraX) -> None:
        one = made(aurorax)
        one.execute()
        for step in (one.wait, one.check_for_data, one.get_data):
            with pytest.raises(pyaurorax.AuroraXSearchError, match=r"^out of memory$"):
                step()
        assert one.completed
        assert one.logs[-1]["summary"] == "out of memory"
        assert one.status["search_result"]["error_condition"] is True

    await against(Scripted(fails_with="out of memory"), steps)


async def test_a_search_is_noticed_before_the_interval_is_over() -> None:
    """One that takes a moment is looked at after moments; the original sleeps the whole interval first."""
    service = Scripted(takes_s=0.15)
    begun = time.monotonic()
    one = await against(service, lambda aurorax: search(aurorax, poll_interval=20))
    assert time.monotonic() - begun < 5
    assert len(one.data) == 3
    assert one.data[0].start == datetime(2020, 1, 1)


async def test_the_interval_is_the_usual_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few looks are sooner; the printed ones are as far apart as the user said, and no line is printed twice."""
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append, monotonic=lambda: sum(waits))
    monkeypatch.setattr("aurora_async.compat.pyaurorax.search.requests.time", clock)
    service = Scripted()

    async def still_running(request: web.Request) -> web.StreamResponse | None:
        if sum(waits) >= 35:
            return None
        document = service.status_document(request.path.rpartition("/")[2], data_uri=None, result_count=None)
        return web.json_response(document)

    service.on("status", still_running)
    await against(service, lambda aurorax: search(aurorax, poll_interval=5, verbose=True))
    early = [wait for at, wait in enumerate(waits) if sum(waits[:at]) < 5]
    assert early[0] == pytest.approx(0.1, rel=0.11) and 8 < len(early) < 25
    usual = waits[len(early) :]
    assert 5 <= min(usual) <= max(usual) <= 5.5 and len(set(usual)) == len(usual) > 4
    assert capsys.readouterr().out.count("Checking for data ...\n") == len(usual) + 1


async def test_a_moment_without_the_service_does_not_end_a_wait() -> None:
    """Not even one that outlasts the retries of a single look."""
    service = Scripted()
    service.on("status", times(6, lambda: error(429, "ToManyRequests", "later", **{"Retry-After": "0"})))
    one = await against(service, search)
    assert len(one.data) == 3


async def test_a_request_that_is_gone_ends_a_wait() -> None:
    """What will not pass is told at once."""
    service = Scripted()
    service.on("status", times(9, lambda: error(404, "NotFound", "no such request")))
    with pytest.raises(pyaurorax.AuroraXNotFoundError, match=r"^API error code 404: no such request$"):
        await against(service, search)


async def test_an_interrupted_search_is_called_off_and_an_interrupted_wait_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody has the object of an interrupted `search()`; a notebook that interrupts `s.wait()` has it still."""
    service = Scripted(takes_s=60)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aurora_async.compat.pyaurorax.search.requests.time.sleep", interrupt)

    def use(aurorax: pyaurorax.PyAuroraX) -> str:
        one = made(aurorax)
        one.execute()
        with pytest.raises(KeyboardInterrupt):
            one.wait()
        assert service.cancelled == []
        with pytest.raises(KeyboardInterrupt):
            search(aurorax)
        return one.request_id

    request_id = await against(service, use)
    assert service.cancelled == [other for other in service.requests if other != request_id]
    assert len(service.cancelled) == 1


async def test_a_search_is_called_off_wherever_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment it was submitted: between two lines that are printed, and also by what ends a program."""
    service = Scripted(takes_s=60)

    def end(text: str) -> None:
        if text.startswith("Request ID"):
            raise SystemExit(1)

    monkeypatch.setattr("aurora_async.compat.pyaurorax._searching.say", end)

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        with pytest.raises(SystemExit):
            search(aurorax, verbose=True)

    await against(service, use)
    assert service.cancelled == list(service.requests) and len(service.cancelled) == 1


async def test_a_search_that_a_connection_failed_is_left_to_the_service() -> None:
    """What it says about a search may be asked for later; what it found is not thrown away."""
    service = Scripted(takes_s=60)
    service.on("status", times(1, lambda: error(403, "NotPermitted", "not you")))

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        with pytest.raises(pyaurorax.AuroraXUnauthorizedError):
            search(aurorax)

    await against(service, use)
    assert service.requests and service.cancelled == []


async def test_settings_may_change_while_others_wait() -> None:
    """A timeout that one thread sets is none of the business of the others: what they have under way goes on."""
    service = Scripted()
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    looking, counts = threading.Semaphore(0), list[int]()

    async def slow(request: web.Request) -> None:
        looking.release()
        await changed.wait()

    async def sources(request: web.Request) -> web.Response:
        return web.json_response([])

    service.on("status", slow)
    service.on("other", sources)

    def wait(aurorax: pyaurorax.PyAuroraX) -> None:
        one = made(aurorax)
        one.execute()
        one.wait()
        one.get_data()
        counts.append(len(one.data))

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        uses: list[Callable[[], None]] = [lambda: wait(aurorax), lambda: counts.append(len(search(aurorax).data))]
        threads = [threading.Thread(target=one) for one in uses]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert looking.acquire(timeout=10)
        aurorax.api_timeout = 20
        aurorax.api_key = "another"
        assert aurorax.search.sources.list() == []  # over a connection of its own
        loop.call_soon_threadsafe(changed.set)
        for thread in threads:
            thread.join()

    await against(service, use)
    assert counts == [3, 3]


async def test_a_search_stays_at_the_server_that_has_it() -> None:
    """Whatever the object is set to meanwhile."""
    service, other = Scripted(), Scripted()

    def use(aurorax: pyaurorax.PyAuroraX) -> int:
        one = made(aurorax)
        one.execute()
        aurorax.api_base_url = other.base_url
        one.wait()
        one.get_data()
        return len(one.data)

    async with serving(other):
        assert await against(service, use) == 3
    assert other.seen == []


async def test_a_connection_that_is_closed_under_a_wait_is_told_in_words_of_this_package() -> None:
    """Which has no `async with`; and the next request works."""
    service = Scripted(takes_s=60)

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        one = made(aurorax)
        one.execute()
        closing = threading.Timer(0.2, aurorax.close)
        closing.start()
        with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^close\(\) ended this while it was under way; the next"):
            one.wait()
        closing.join()
        one.update_status()

    await against(service, use)


async def test_a_cancelled_search_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """With `wait`, once the service has given up; whoever waits for its data then is told."""

    def use(aurorax: pyaurorax.PyAuroraX) -> ConjunctionSearch:
        one = made(aurorax)
        one.execute()
        assert one.cancel(wait=True, poll_interval=0.01, verbose=True) == 0
        with pytest.raises(pyaurorax.AuroraXSearchError, match="cancelled"):
            one.wait()
        return one

    service = Scripted(takes_s=0.2)
    one = await against(service, use)
    assert service.cancelled == [one.request_id]
    said = capsys.readouterr().out.splitlines()
    assert all(line.endswith("] Checking for cancellation status ...") for line in said[:-1]) and len(said) > 1
    assert said[-1].endswith("] The request has been cancelled")


async def test_steps_in_the_wrong_order_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A hint where the original gives one, an error where it sends nonsense."""

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        one = made(aurorax)
        for step in (one.wait, one.update_status, one.cancel):
            with pytest.raises(pyaurorax.AuroraXError, match="execute"):
                step()
        one.get_data()

    service = Scripted()
    await against(service, use)
    assert capsys.readouterr().out == "No data available, update status or check for data first\n"
    assert service.seen == []


async def test_fractions_zones_and_missing_places_are_read() -> None:
    """The original knows one spelling of a timestamp and no null, and says that there is likely no data."""
    record = {
        "data_source": SOURCE,
        "epoch": "2020-01-01T00:00:00.5+01:00",
        "location_geo": {"lat": 1.0, "lon": 2.0},
        "location_gsm": {"lat": None, "lon": None},
        "nbtrace": {"lat": 3.0, "lon": 4.0},
        "sbtrace": {"lat": None, "lon": None},
        "metadata": None,
        "a_field_of_tomorrow": 5,
    }
    partial = {"epoch": "2020-01-01T00:00:00Z", "nbtrace": {"lat": 3.0}, "sbtrace": None}

    async def data(request: web.Request) -> web.Response:
        found = record if request.method == "GET" else partial
        return web.json_response({"result": [found]})  # says charset=utf-8, which the original refuses

    service = Scripted(records=[{}])
    service.on("data", data)

    def use(aurorax: pyaurorax.PyAuroraX) -> tuple[Any, Any]:
        ephemeris = aurorax.search.ephemeris
        whole = ephemeris.search(START, END, programs=["swarm"])
        tree = {"epoch": True, "nbtrace": {"lat": True}, "sbtrace": {"lat": True}}
        return whole.data[0], ephemeris.search(START, END, programs=["swarm"], response_format=tree).data[0]

    whole, selected = await against(service, use)
    assert whole.epoch == datetime(2019, 12, 31, 23, 0, 0, 500000)
    assert vars(whole.location_geo) == {"lat": 1.0, "lon": 2.0}
    assert vars(whole.sbtrace) == {"lat": None, "lon": None}
    assert selected == {"epoch": datetime(2020, 1, 1), "nbtrace": {"lat": 3.0}, "sbtrace": None}


async def test_a_result_that_is_not_there_is_one_error_whoever_asks() -> None:
    """Of a request nobody knows, too; `AuroraXNotFoundError` is for other things."""
    service = Scripted()

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        one = made(aurorax)
        one.execute()
        one.wait()
        for route in ("status", "data"):
            service.on(route, times(9, lambda: error(404, "NotFound", "no such request")))
        for ask in (one.get_data, lambda: aurorax.search.requests.get_data(one.data_url)):
            with pytest.raises(pyaurorax.AuroraXDataRetrievalError, match="no such request"):
                ask()

    await against(service, use)


async def test_a_deleted_result_is_told() -> None:
    """The service answers 200 and an error document; the original's message is about anything but that."""

    async def gone(request: web.Request) -> web.Response:
        return web.json_response({"error": {"error_code": "NotFound", "error_message": "deleted"}})

    service = Scripted()
    service.on("data", gone)

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        with pytest.raises(pyaurorax.AuroraXDataRetrievalError, match="NotFound"):
            search(aurorax)
        one = made(aurorax)
        one.execute()
        one.wait()
        with pytest.raises(pyaurorax.AuroraXDataRetrievalError, match="NotFound"):
            aurorax.search.requests.get_data(one.data_url)

    await against(service, use)


RAW = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T06:59:59",
    **BLOCKS,
    "max_distances": {"ground1-space1": 500},
    "conjunction_types": [],
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"start": "2020-01-01T00:00:00.000Z", "end": "2020-01-01T06:59:59.000Z"},
        {"request_id": None, "events": [], "adhoc": [], "epoch_search_precision": 60},
    ],
    ids=["as sent", "as on the web site", "as in a status"],
)
async def test_a_raw_query_may_come_from_anywhere(changes: dict[str, Any]) -> None:
    """The original cuts the last digit of times without Z, and stumbles over a status's own query."""
    service = Scripted()
    await against(service, lambda aurorax: aurorax.search.conjunctions.search_from_raw_query(RAW | changes))
    (sent,) = service.queries.values()
    assert (sent["start"], sent["end"]) == ("2020-01-01T00:00:00", "2020-01-01T06:59:59")
    assert sent["max_distances"] == {"ground1-space1": 500}
    assert "subminute_precision" not in sent


async def test_a_raw_query_that_lacks_something_is_refused() -> None:
    """Before anything is sent, with the name of what is missing."""
    service = Scripted()

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        for name in ("start", "end", "max_distances"):
            query = {key: value for key, value in RAW.items() if key != name}
            with pytest.raises(pyaurorax.AuroraXError, match=f"{name}: is missing"):
                aurorax.search.conjunctions.search_from_raw_query(query)
        with pytest.raises(pyaurorax.AuroraXError, match="is not JSON"):
            aurorax.search.conjunctions.search_from_raw_query("{")

    await against(service, use)
    assert service.seen == []


async def test_a_refused_search_raises() -> None:
    """403 makes a search of the original that is executed and has no identifier."""
    service = Scripted()
    service.on("submit", times(1, lambda: error(403, "NotPermitted", "not you")))
    with pytest.raises(pyaurorax.AuroraXUnauthorizedError, match=r"^not you$"):
        await against(service, search)

    service.on("submit", times(1, lambda: error(400, "AssertionError", "no such hemisphere")))
    with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^API error code 400: no such hemisphere$") as refused:
        await against(service, search)
    assert isinstance(refused.value.__cause__.__cause__, BadRequest)  # type: ignore[union-attr]


EPHEMERIS = [EphemerisData(SWARM_A, datetime(2020, 1, 1, minute // 60, minute % 60)) for minute in range(999)]
PRODUCTS = [DataProductData(SWARM_A, "keogram", START, END, f"https://example.org/{number}") for number in range(3)]


WRONG: list[tuple[str, Callable[[Any], object]]] = [
    ("records[0]: 1 is not an EphemerisData", lambda search: search.ephemeris.upload(3, [1])),
    ("records[1]: None is not a DataProductData", lambda search: search.data_products.upload(3, [PRODUCTS[0], None])),
    ("records: None is not a list of EphemerisData", lambda search: search.ephemeris.upload(3, None)),
    ("data_source: 3 is not a DataSource", lambda search: search.ephemeris.upload(3, [EphemerisData(3, START)])),  # type: ignore[arg-type]
    ("nbtrace: (1, 2) is not a Location",
     lambda search: search.ephemeris.upload(3, [EphemerisData(SWARM_A, START, nbtrace=(1, 2))])),  # type: ignore[arg-type]
    ("data_source: None is not a DataSource", lambda search: search.ephemeris.delete(None, START, END)),
    ("data_source: 3 is not a DataSource", lambda search: search.data_products.delete(3, START, END)),
    ("data_source: 3 is not a DataSource", lambda search: search.data_products.delete_urls(3, ["https://x.org/"])),
    ("data_source: {} is not a DataSource", lambda search: search.sources.add({})),
    ("format: 'nope' is unknown; use one of", lambda search: search.sources.list(format="nope")),
    ("format: 'nope' is unknown; use one of", lambda search: search.sources.get("a", "b", "c", format="nope")),
    ("format: 'nope' is unknown; use one of", lambda search: search.availability.ephemeris(START, END, format="nope")),
    ("request_url: 'abc' does not begin with /", lambda search: search.requests.get_status("abc")),
    ("request_url: 'abc' does not begin with /", lambda search: search.requests.wait_for_data("abc")),
    ("request_url: 'abc' does not begin with /", lambda search: search.requests.cancel("abc")),
    ("data_url: 'abc' does not begin with /", lambda search: search.requests.get_data("abc")),
    ("poll_interval: nan is not a number above 0",
     lambda search: search.requests.wait_for_data("/", poll_interval=float("nan"))),
]  # fmt: skip


@pytest.mark.parametrize(("message", "call"), WRONG, ids=[message for message, _ in WRONG])
async def test_a_wrong_argument_is_called_what_the_user_called_it(message: str, call: Callable[[Any], object]) -> None:
    """Not what it is called inside; and nothing is sent."""
    service = Scripted()

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        with pytest.raises(pyaurorax.AuroraXBadParametersError) as refused:
            call(aurorax.search)
        assert str(refused.value).startswith(message)

    await against(service, use)
    assert service.seen == []


@pytest.mark.parametrize("status", [403, 409, 429, 504])
async def test_a_refused_write_is_no_success(status: int) -> None:
    """The original returns 0, which means success, for each of these."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(SOURCE)
        return error(status, "Other", "no", **{"Retry-After": "0"})

    service = Scripted()
    service.on("other", refuse)

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        ephemeris, products, sources = aurorax.search.ephemeris, aurorax.search.data_products, aurorax.search.sources
        writes: list[Callable[[], object]] = [
            lambda: ephemeris.upload(3, EPHEMERIS[:2]),
            lambda: products.upload(3, PRODUCTS),
            lambda: ephemeris.delete(SWARM_A, START, END),
            lambda: products.delete_urls(SWARM_A, ["https://example.org/1"]),
            lambda: sources.delete(3),
            lambda: sources.add(SWARM_A),
            lambda: sources.update(3, owner="somebody@example.org"),
            lambda: aurorax.search.requests.delete("some-request"),
        ]
        for write in writes:
            with pytest.raises(pyaurorax.AuroraXError):
                write()

    await against(service, use)


async def test_an_upload_keeps_to_its_chunk_size_and_leaves_the_records_alone() -> None:
    """999 records in chunks of 500 are one chunk of the original, and no records afterwards."""
    chunks: list[list[dict[str, Any]]] = []

    async def take(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(SOURCE)
        chunks.append(await request.json())
        return web.Response(status=202)

    service = Scripted()
    service.on("other", take)
    assert await against(service, lambda aurorax: aurorax.search.ephemeris.upload(3, EPHEMERIS)) == 0
    assert sorted(map(len, chunks)) == [499, 500]
    assert {type(record) for record in EPHEMERIS} == {EphemerisData}
    first = min((record for chunk in chunks for record in chunk), key=lambda record: str(record["epoch"]))
    assert first == EPHEMERIS[0].to_json_serializable() | {
        place: Location().to_json_serializable() for place in ("location_geo", "location_gsm", "nbtrace", "sbtrace")
    } | {"metadata": {}}


async def test_a_key_goes_to_its_own_server_alone() -> None:
    """Two objects of one process, and a request to somebody else's server."""
    seen: list[tuple[str, str | None]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("x-aurorax-api-key")))
        return web.json_response([])

    mine, foreign = Scripted(), Scripted()
    mine.on("other", note)
    foreign.on("other", note)

    def use(url: str) -> None:
        with_key = pyaurorax.PyAuroraX(api_base_url=url, api_key="secret")
        without = pyaurorax.PyAuroraX(api_base_url=url)
        with_key.search.sources.list()
        without.search.sources.list()
        request = with_key.search.api.AuroraXAPIRequest(with_key, url=f"{foreign.base_url}/elsewhere", method="get")
        assert request.execute().data == []
        with_key.api_key = None
        with_key.search.sources.list()

    async with serving(mine), serving(foreign):
        await asyncio.to_thread(use, mine.base_url)
    keys = [key for path, key in seen if path != "/elsewhere"]
    assert keys == ["secret", None, None]
    assert ("/elsewhere", None) in seen


async def test_administrators_may_ask_for_failed_requests() -> None:
    """The original never sends `error_condition`, but `query_duration` a second time."""
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return web.json_response([])

    service = Scripted()
    service.on("other", answer)
    await against(
        service,
        lambda aurorax: aurorax.search.requests.list(
            search_type="ephemeris", active=False, start=START, file_size=5, error_condition=True
        ),
    )
    assert asked == [
        {
            "search_type": "ephemeris",
            "active": "false",
            "start": "2020-01-01T00:00:00",
            "file_size": "5",
            "error_condition": "true",
        }
    ]


async def test_sources_of_any_completeness_are_sorted_and_internal_ones_are_left_out() -> None:
    """The original sorts the text "None" beside numbers, and lists other people's custom locations."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response([{"identifier": 4}, {**SOURCE, "owner": "b@example.org"}, {"identifier": -7}])

    service = Scripted()
    service.on("other", answer)

    def use(aurorax: pyaurorax.PyAuroraX) -> list[list[int | None]]:
        sources = aurorax.search.sources
        return [[one.identifier for one in found] for found in (sources.list(order="owner"), sources.search())]

    assert await against(service, use) == [[3, 4], [3, 4]]


async def test_an_object_may_be_used_from_many_threads() -> None:
    """A thread for each search is how scripts of the original get some of them done at once."""
    counts: list[int] = []

    def use(aurorax: pyaurorax.PyAuroraX) -> None:
        threads = [threading.Thread(target=lambda: counts.append(len(search(aurorax).data))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    await against(Scripted(takes_s=0.05), use)
    assert counts == [3] * 8
