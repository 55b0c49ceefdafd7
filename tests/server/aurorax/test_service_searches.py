"""Searches from POST to data: three kinds, waiting, cancelling, failing, deleting."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aurora_async.server import jobs
from aurora_async.server.aurorax.searching import SearchTask

RESULT_KEYS = {
    "data_uri", "result_count", "file_size", "query_duration", "completed_timestamp", "error_condition",
    "result_file_deleted_timestamp",
}  # fmt: skip


def files(folder: Path, name: str) -> list[Path]:
    """What lies in the result folder under a name."""
    return list(folder.glob(f"results/*{name}*"))


async def test_the_published_search_finds_its_49_conjunctions(serve: Any, queries: Any) -> None:
    """THEMIS-ASI x Swarm, 2020-01-01: the number that AuroraX itself answered."""
    async with serve() as client:
        path, status = await client.run("conjunctions", queries.conjunctions())
        records = (await client.get(f"{path}/data"))["result"]
    assert len(records) == 49 == status["search_result"]["result_count"]
    assert set(records[0]) == {
        "conjunction_type", "start", "end", "data_sources", "min_distance", "max_distance", "closest_epoch",
        "farthest_epoch", "events",
    }  # fmt: skip
    summaries = [line["summary"] for line in status["logs"]]
    assert summaries[0] == "Search request arrived and saved"
    assert summaries[1].startswith("Starting conjunction search for query ")
    assert summaries[-4:-2] == ["Saving results", "Search completed"]
    assert summaries[-2] == f"File size is {status['search_result']['file_size']} bytes."
    assert len(summaries) == 13


async def test_a_status_is_what_clients_expect(serve: Any, queries: Any) -> None:
    """All keys at all times, and the query with the key `request_id`."""
    async with serve() as client:
        path, status = await client.run("ephemeris", queries.ephemeris())
        assert set(status) == {"search_request", "logs", "search_result"}
        assert set(status["search_result"]) == RESULT_KEYS
        assert status["search_result"]["data_uri"] == f"{path}/data"
        assert status["search_request"]["request_id"] == path.rpartition("/")[2]
        assert status["search_request"]["request_type"] == "ephemeris"
        assert "request_id" in status["search_request"]["query"]
        levels = [line["level"] for line in status["logs"]]
        assert levels == ["debug", "debug", "info", "debug", "info", "debug", "info"]
        stamps = [datetime.fromisoformat(line["timestamp"]) for line in status["logs"]]
        assert stamps == sorted(stamps)
        again = await client.get(path, data=b"{}")
    assert again == status


async def test_ephemeris_are_a_record_a_minute(serve: Any, queries: Any) -> None:
    """Whole seconds without zone, every location an object, and the honest metadata."""
    async with serve() as client:
        records = await client.records("ephemeris", queries.ephemeris())
    assert [record["epoch"] for record in records] == [f"2020-01-01T00:0{minute}:00" for minute in range(10)]
    assert set(records[0]) == {
        "data_source", "epoch", "location_geo", "location_gsm", "nbtrace", "sbtrace", "metadata",
    }  # fmt: skip
    assert set(records[0]["data_source"]) == {
        "identifier", "program", "platform", "instrument_type", "source_type", "display_name",
    }  # fmt: skip
    assert records[0]["metadata"]["computed"] is True


async def test_data_products_are_the_published_66(serve: Any, queries: Any) -> None:
    """The count of the documentation's example, and of one type among them."""
    async with serve() as client:
        assert len(await client.records("data_products", queries.products())) == 66
        keograms = await client.records("data_products", queries.products(data_product_type_filters=["movie"]))
    assert {record["data_product_type"] for record in keograms} == {"movie"}


async def test_an_empty_result_is_five_bytes(serve: Any, queries: Any) -> None:
    """As on the real service."""
    async with serve() as client:
        path, status = await client.run("ephemeris", queries.ephemeris("1999-01-01T00:00:00", "1999-01-01T01:00:00"))
        assert await client.get(f"{path}/data") == {"result": []}
        _, _, formatted = await client.call("POST", f"{path}/data", json={"epoch": True})
    assert formatted == {"result": []}
    assert (status["search_result"]["result_count"], status["search_result"]["file_size"]) == (0, 5)


async def test_filters_and_hemispheres_select_records(serve: Any, queries: Any) -> None:
    """Metadata filters of ephemeris and of blocks, and the spacecraft's own latitude."""
    expression = {"key": "nbtrace_region", "operator": "in", "values": ["north polar cap"]}
    filtered = {"logical_operator": "AND", "expressions": [expression]}
    async with serve() as client:
        day = queries.ephemeris(end="2020-01-01T23:59:59", ephemeris_metadata_filters=filtered)
        records = await client.records("ephemeris", day)
        assert 0 < len(records) < 1440
        assert {record["metadata"]["nbtrace_region"] for record in records} == {"north polar cap"}
        blocks = [{"programs": ["swarm"], "hemisphere": [half]} for half in ("northern", "southern")]
        halves = [await client.records("conjunctions", queries.conjunctions(space=[block])) for block in blocks]
        assert all(halves) and sum(map(len, halves)) == 49
        space = [{"programs": ["swarm"], "ephemeris_metadata_filters": filtered}]
        polar = await client.records("conjunctions", queries.conjunctions(space=space))
    assert 0 < len(polar) < 49


async def test_custom_locations_are_sources_with_negative_identifiers(serve: Any, queries: Any) -> None:
    """The same place is the same source in the next search; listings of clients hide it by its sign."""
    places = [{"locations": [{"lat": 56.0, "lon": -94.0}, {"lat": 62.0, "lon": -114.0}]}]
    changes = {"ground": [], "adhoc": places, "max_distances": {"space1-adhoc1": 500}, "end": "2020-01-01T23:59:59"}
    query = queries.conjunctions(**changes)
    async with serve() as client:
        first, second = await client.records("conjunctions", query), await client.records("conjunctions", query)
        identifier = first[0]["data_sources"][1]["identifier"]
        source = await client.get(f"/api/v1/data_sources/{identifier}")
    assert first == second and first
    assert identifier in (-1, -2)
    assert source["source_type"] == "not_applicable"


async def test_a_block_without_sources_finds_nothing_at_once(serve: Any, queries: Any) -> None:
    """Nobody computes a year of spacecraft for it."""
    year = queries.conjunctions(end="2020-12-31T23:59:59", ground=[{"programs": ["no-such-program"]}])
    async with serve() as client:
        path = await client.submit("conjunctions", year)
        status = await client.ended(path, within_s=5)
    assert (status["search_result"]["result_count"], status["search_result"]["error_condition"]) == (0, False)


async def test_both_traces_can_be_searched_at_once(serve: Any, queries: Any) -> None:
    """Each record says which."""
    async with serve() as client:
        types = ["nbtrace", "sbtrace", "geographic"]
        records = await client.records("conjunctions", queries.conjunctions(conjunction_types=types))
    assert {record["conjunction_type"] for record in records} == set(types)
    assert sum(record["conjunction_type"] == "nbtrace" for record in records) == 49


async def test_a_search_is_over_exactly_when_the_server_time_is(serve: Any, queries: Any) -> None:
    """Tests of waiting clients count on it: not earlier, and at once when it is time."""
    async with serve(server_time_s=0.4) as client:
        await client.ended(await client.submit("ephemeris", queries.ephemeris()))
        path = await client.submit("ephemeris", queries.ephemeris())
        status = await client.get(path)
        assert status["search_result"]["data_uri"] is None
        assert status["search_result"]["file_size"] is None
        code, _, document = await client.call("GET", f"{path}/data")
        assert (code, document["error_code"]) == (404, "NotFound")
        status = await client.ended(path)
        late_s = time.time() - _seconds(status["search_result"]["completed_timestamp"])
    took = _seconds(status["search_result"]["completed_timestamp"]) - _seconds(status["search_request"]["requested"])
    assert took == pytest.approx(0.4, abs=1e-5)
    assert status["search_result"]["query_duration"] == 400
    assert late_s < 0.2
    assert status["logs"][-1]["summary"] == "Finished search in 0.40 seconds and found 10 records."


def _seconds(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


async def test_the_clients_identifier_is_kept_and_used_once(serve: Any, queries: Any) -> None:
    """Submitting again after a lost answer neither loses nor doubles the search."""
    request_id = str(uuid.uuid4())
    query = queries.ephemeris() | {"request_id": request_id}
    async with serve() as client:
        assert await client.submit("ephemeris", query) == f"/api/v1/ephemeris/requests/{request_id}"
        answers = await asyncio.gather(*(client.call("POST", "/api/v1/ephemeris/search", json=query) for _ in range(3)))
    assert [(status, document["error_code"]) for status, _, document in answers] == [(409, "Duplicate")] * 3


async def test_an_identifier_is_made_when_none_is_sent(serve: Any, queries: Any) -> None:
    """36 characters at the end of an absolute URL: what PyAuroraX cuts out."""
    async with serve() as client:
        query = queries.products() | {"request_id": None}
        status, headers, _ = await client.call("POST", "/api/v1/data_products/search", json=query)
        path = headers["Location"].removeprefix(client.base_url)
        assert status == 202
        uuid.UUID(path[-36:])
        await client.ended(path)


async def test_cancelling_ends_a_search_at_once(serve: Any, queries: Any, tmp_path: Path) -> None:
    """Error condition and data_uri: PyAuroraX's two wait loops look at one each, and neither may run for ever."""
    year = queries.conjunctions(start="2019-01-01T00:00:00", end="2019-12-31T23:59:59")
    async with serve(data_dir=tmp_path) as client:
        path = await client.submit("conjunctions", year)
        await asyncio.sleep(0.2)
        began = time.monotonic()
        code, _, status = await client.call("DELETE", path, data=b"{}")
        assert code == 200
        assert time.monotonic() - began < 1
        assert status["search_result"]["error_condition"] is True
        assert status["search_result"]["data_uri"] == f"{path}/data"
        assert status["logs"][-1]["level"] == "error"
        assert "cancelled" in status["logs"][-1]["summary"]
        assert await client.get(path) == status
        error = (await client.get(f"{path}/data"))["error"]
        assert "cancelled" in error["error_message"]
        # The only thread there is must be free again.
        await client.ended(await client.submit("conjunctions", queries.conjunctions()), within_s=5)
    assert not files(tmp_path, path[-36:])


async def test_a_held_search_can_be_cancelled_too(serve: Any, queries: Any) -> None:
    """It has been computed, but for everybody outside it is still running."""
    async with serve(server_time_s=5) as client:
        path = await client.submit("ephemeris", queries.ephemeris())
        await asyncio.sleep(0.3)
        _, _, status = await client.call("DELETE", path)
        assert status["search_result"]["error_condition"] is True
        assert status["search_result"]["result_count"] == 0
        assert not any("Finished search" in line["summary"] for line in status["logs"])
        assert await client.get(path) == status


async def test_a_search_that_raises_says_so(serve: Any, queries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the last line of the log, which is what clients show."""

    def no_products(*_: object) -> Any:
        raise RuntimeError("the shelf is empty")

    monkeypatch.setattr("aurora_async.server.aurorax.searching.products", no_products)
    async with serve() as client:
        path, status = await client.run("data_products", queries.products())
        data = await client.get(f"{path}/data")
    assert status["search_result"]["error_condition"] is True
    assert status["search_result"]["data_uri"] is not None
    assert "the shelf is empty" in status["logs"][-1]["summary"]
    assert "the shelf is empty" in data["error"]["error_message"]


async def test_deleted_data_are_gone_and_the_status_stays(serve: Any, queries: Any, tmp_path: Path) -> None:
    """The real service answers 200 with an error document, which the command line looks for."""
    async with serve(data_dir=tmp_path) as client:
        path, _ = await client.run("ephemeris", queries.ephemeris())
        for _ in range(2):
            code, _, status = await client.call("DELETE", f"{path}/data")
            assert code == 200
            assert status["search_result"]["result_file_deleted_timestamp"] is not None
            assert status["search_result"]["data_uri"] is not None
        assert (await client.get(f"{path}/data"))["error"]["error_code"] == "NotFound"
    async with serve(data_dir=tmp_path) as client:
        assert await client.get(path) == status
        assert (await client.get(f"{path}/data"))["error"]["error_code"] == "NotFound"


async def test_cancelling_what_is_over_deletes_its_data(serve: Any, queries: Any) -> None:
    """204 for conjunctions, the status for the others."""
    async with serve() as client:
        path, _ = await client.run("conjunctions", queries.conjunctions())
        assert (await client.call("DELETE", path))[0] == 204
        assert "error" in await client.get(f"{path}/data")
        path, _ = await client.run("data_products", queries.products())
        code, _, status = await client.call("DELETE", path)
        assert code == 200
        assert status["search_result"]["result_file_deleted_timestamp"] is not None
        assert status["search_result"]["error_condition"] is False


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("ending", ["", "/data"])
@pytest.mark.parametrize("identifier", ["some-bad-request-id", "7bf4c13f-bd71-44ac-8249-0473834d7273", "../x"])
async def test_unknown_requests_are_404(serve: Any, method: str, ending: str, identifier: str) -> None:
    """Any text in place of the identifier: the official test suite asks for one that is none."""
    async with serve() as client:
        status, _, document = await client.call(method, f"/api/v1/ephemeris/requests/{identifier}{ending}")
    assert (status, document["error_code"]) == (404, "NotFound")


async def test_a_request_of_another_kind_is_404(serve: Any, queries: Any) -> None:
    """The identifier alone is not enough."""
    async with serve() as client:
        path = await client.submit("ephemeris", queries.ephemeris())
        assert (await client.call("GET", path.replace("ephemeris", "conjunctions")))[0] == 404


async def test_full_is_said_with_429(serve: Any, queries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded: while one search is worked on one may wait, and the others are told when to come again."""
    may_go_on = threading.Event()
    perform = jobs.perform

    def perform_later(*how: Any) -> None:
        may_go_on.wait()
        perform(*how)

    monkeypatch.setattr(jobs, "perform", perform_later)
    async with serve(max_waiting=1) as client:
        try:
            answers = [
                await client.call("POST", "/api/v1/ephemeris/search", json=queries.ephemeris()) for _ in range(12)
            ]
        finally:
            may_go_on.set()
    assert [status for status, _, _ in answers] == [202] * 2 + [429] * 10
    for _, headers, document in answers[2:]:
        assert (document["error_code"], headers["Retry-After"]) == ("ToManyRequests", "1")


@pytest.mark.parametrize("held_s", [0.0, 60.0])
async def test_full_holds_for_a_burst(serve: Any, queries: Any, monkeypatch: pytest.MonkeyPatch, held_s: float) -> None:
    """Searches that come together are let in one by one: also those that are held back, or are being committed."""
    may_go_on = threading.Event()
    perform = jobs.perform

    def perform_later(*how: Any) -> None:
        may_go_on.wait()
        perform(*how)

    monkeypatch.setattr(jobs, "perform", perform_later)
    async with serve(max_waiting=3, server_time_s=held_s) as client:
        try:
            burst = [client.call("POST", "/api/v1/ephemeris/search", json=queries.ephemeris()) for _ in range(30)]
            statuses = sorted([status for status, _, _ in await asyncio.gather(*burst)])
        finally:
            may_go_on.set()
    # One that is being worked on waits no longer.
    assert set(statuses) == {202, 429}
    assert statuses.count(202) <= 4


async def test_places_are_looked_at_as_all_else_is(serve: Any, queries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays where it is takes a shorter way, over many days and the borders of stretches: to the same result."""
    over_weeks = {
        "start": "2019-12-25T03:10:00",
        "end": "2020-01-20T12:34:56",
        "ground": [{"programs": ["themis-asi"]}],
        "space": [],
        "adhoc": [{"locations": [{"lat": 54.7, "lon": -113.3}, {"lat": 67.0, "lon": -50.0}]}],
        "max_distances": {"ground1-adhoc1": 800},
    }
    searches = [over_weeks, queries.conjunctions(end="2020-01-02T06:00:00")]
    async with serve() as client:
        short = [await client.records("conjunctions", query) for query in searches]
        monkeypatch.setattr(SearchTask, "_places", lambda *_: None)
        assert [await client.records("conjunctions", query) for query in searches] == short
    assert all(len(records) > 40 for records in short)


@pytest.mark.parametrize(
    ("start", "end"), [("9999-12-30T12:00:00", "9999-12-31T23:59:59"), ("0001-01-01T00:00:00", "0001-01-02T00:00:00")]
)
async def test_a_search_may_touch_the_ends_of_the_calendar(serve: Any, queries: Any, start: str, end: str) -> None:
    """There is no day after the last one: nothing is found, and nothing fails."""
    async with serve() as client:
        assert await client.records("ephemeris", queries.ephemeris(start, end)) == []
        assert await client.records("data_products", queries.products(start=start, end=end)) == []
        assert await client.records("conjunctions", queries.conjunctions(start=start, end=end)) == []
