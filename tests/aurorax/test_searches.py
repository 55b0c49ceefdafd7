"""The three kinds of search against the local service, and the one-exchange road beside the usual one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.scripted import Scripted, client_of, error, hang_up, serving, times

from aurora_async import (
    AuroraX,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProductQuery,
    EphemerisQuery,
    GroundBlock,
    MetadataExpression,
    MetadataFilter,
    SpaceBlock,
)
from aurora_async.errors import IncompleteBody, InvalidQuery, ServerError
from aurora_async.server.app import LocalService

FACTS = Path(__file__).parents[1] / "facts"

SHORT = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")
TREX = DataProductQuery(start="2020-01-01", end="2020-01-01", programs="trex", platforms="fort smith")


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A scripted service on loopback."""
    async with serving(Scripted(records=[])) as running:
        yield running


def published_search() -> tuple[ConjunctionQuery, list[dict[str, Any]]]:
    """The search of 2020-01-01 whose 49 rows are printed in the official notebook."""
    facts = json.loads((FACTS / "published_searches.json").read_text())
    published = facts["searches"][0]
    query = ConjunctionQuery(
        start=published["start"],
        end=published["end"],
        ground=GroundBlock(programs=published["ground"][0]["programs"]),
        space=SpaceBlock(programs=published["space"][0]["programs"]),
        max_distance_km=published["distance"],
    )
    return query, published["rows"]


async def test_the_published_search_comes_out(service: LocalService) -> None:
    """49 conjunctions; every printed one within a minute, most of them exactly."""
    query, rows = published_search()
    async with AuroraX(base_url=service.base_url) as client:
        found = await client.conjunctions.search(query)
    assert len(found) == len(rows) == 49
    exact = 0
    left = list(found)
    for row in rows:
        start, end = (datetime.fromisoformat(row[key]).replace(tzinfo=UTC) for key in ("start", "end"))
        sources = {row["first_source"], row["second_source_inferred"]}
        match = next(
            one
            for one in left
            if {source.identifier for source in one.data_sources} == sources
            and abs(one.start - start) <= timedelta(minutes=1)
            and abs(one.end - end) <= timedelta(minutes=1)
        )
        left.remove(match)
        exact += (match.start, match.end) == (start, end)
    assert exact >= 44


async def test_ephemeris_of_a_day_is_a_record_a_minute(service: LocalService) -> None:
    """1440 records, and what is computed says so."""
    query = EphemerisQuery(start="2019-01-01", end="2019-01-01", platforms="swarma", instrument_types="footprint")
    async with AuroraX(base_url=service.base_url, synchronous=False) as client:
        found = await client.ephemeris.search(query)
    assert [record.epoch for record in found] == [query.start + timedelta(minutes=m) for m in range(1440)]
    assert all(record.metadata and record.metadata["computed"] is True for record in found)
    assert any(not record.nbtrace.exists for record in found)


async def test_one_exchange_and_four_give_the_same_records(service: LocalService) -> None:
    """The short road is only shorter."""
    async with (
        AuroraX(base_url=service.base_url) as short,
        AuroraX(base_url=service.base_url, synchronous=False) as far,
    ):
        assert await short.ephemeris.search(SHORT) == await far.ephemeris.search(SHORT)
        by_short, by_far = await short.data_products.search(TREX), await far.data_products.search(TREX)
        assert by_short == by_far
        assert len(by_short) == 66
        assert [r async for r in short.ephemeris.stream(SHORT)] == [r async for r in far.ephemeris.stream(SHORT)]


async def test_the_same_file_by_either_road(service: LocalService, tmp_path: Path) -> None:
    """Byte for byte what the official command line writes: a bare list, sorted, indented by two."""
    async with (
        AuroraX(base_url=service.base_url) as short,
        AuroraX(base_url=service.base_url, synchronous=False) as far,
    ):
        await short.ephemeris.download(SHORT, tmp_path / "short.json")
        await far.ephemeris.download(SHORT, tmp_path / "far.json")
    text = (tmp_path / "short.json").read_text()
    assert text == (tmp_path / "far.json").read_text()
    records = json.loads(text)
    assert text == json.dumps(records, indent=2)
    assert [record["epoch"] for record in records] == sorted(record["epoch"] for record in records)


@pytest.mark.parametrize("synchronous", [True, False])
async def test_a_response_format_gives_plain_dictionaries_with_just_that(
    service: LocalService, synchronous: bool
) -> None:
    """What is not asked for is not sent."""
    wanted = {"epoch": True, "data_source": {"identifier": True}, "nbtrace": {"lat": True}}
    async with AuroraX(base_url=service.base_url, synchronous=synchronous) as client:
        found: list[Any] = await client.ephemeris.search(SHORT, response_format=wanted)
    assert len(found) == 10
    assert found[0].keys() == {"epoch", "data_source", "nbtrace"}
    assert found[0]["data_source"] == {"identifier": 3}
    assert found[0]["nbtrace"].keys() == {"lat"}


async def test_filters_and_custom_locations_go_through(service: LocalService) -> None:
    """Every part of a query reaches the service and is understood there."""
    query = ConjunctionQuery(
        start="2020-01-01T00:00",
        end="2020-01-01T02:59",
        space=SpaceBlock(
            programs="swarm",
            hemisphere="northern",
            metadata_filter=MetadataFilter(MetadataExpression("radial_distance", [6700, 7000], "between")),
        ),
        custom_locations=CustomLocationsBlock(locations=[(51.05, -114.07)]),
        max_distance_km={"custom1-space1": 1500},
        conjunction_types=("nbtrace", "geographic"),
    )
    async with AuroraX(base_url=service.base_url) as client:
        found = await client.conjunctions.search(query)
        described = await client.conjunctions.describe(query)
    assert found
    assert {one.conjunction_type for one in found} == {"nbtrace", "geographic"}
    assert all(source.identifier < 0 for one in found for source in one.data_sources[1:])
    assert "2020-01-01" in described


async def test_the_service_has_the_last_word_on_a_query(scripted: Scripted) -> None:
    """400 of the one-exchange endpoint is a refusal like any other: no second try as a request."""
    scripted.on("data", times(9, lambda: error(400, "AssertionError", "unknown platform")))
    scripted.on("status", times(9, lambda: error(400, "AssertionError", "unknown platform")))
    async with client_of(scripted) as client:
        with pytest.raises(InvalidQuery, match="unknown platform"):
            await client.ephemeris.search(SHORT)
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("trouble", ["missing", "broken", "cut"])
async def test_without_the_short_road_the_long_one_is_taken(scripted: Scripted, tmp_path: Path, trouble: str) -> None:
    """A service that lacks the endpoint, or fails there, is asked in the usual way."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/search_synchronous"):
            return None
        if trouble == "cut":
            return await hang_up(request)
        return error(404, "NotFound", "no path") if trouble == "missing" else error(500, "ApplicationError", "oops")

    scripted.on("status", refuse)
    async with client_of(scripted) as client:
        assert await client.ephemeris.search(SHORT) == []
        assert [record async for record in client.ephemeris.stream(SHORT)] == []
        saved = await client.ephemeris.download(SHORT, tmp_path / "found.json")
    assert saved.records == 0
    assert scripted.count("POST", "/search_synchronous") == 3
    assert scripted.count("POST", "/search") == 3


@pytest.mark.parametrize(
    "query",
    [
        EphemerisQuery(start="2020-01-01", end="2020-01-03", programs="swarm"),
        DataProductQuery(start="2020-01", end="2020-02", programs="trex"),
    ],
)
async def test_long_queries_are_made_as_requests(scripted: Scripted, query: Any) -> None:
    """What may take minutes is not waited for in one exchange."""
    async with client_of(scripted) as client:
        searches = client.ephemeris if isinstance(query, EphemerisQuery) else client.data_products
        await searches.search(query)
    assert scripted.count("POST", "/search_synchronous") == 0


async def test_a_torn_answer_of_one_exchange_leaves_no_file(scripted: Scripted, tmp_path: Path) -> None:
    """Both roads broken: the error of the second, and nothing on disk."""

    async def torn(request: web.Request) -> web.StreamResponse | None:
        if request.path.endswith("/search_synchronous") or request.path.endswith("/data"):
            return web.Response(text='[{"epoch": "2020-01-01T00:00:00"}, {"ep', content_type="application/json")
        return None

    scripted.on("status", torn)
    scripted.on("data", torn)
    async with client_of(scripted) as client:
        with pytest.raises(IncompleteBody):
            await client.ephemeris.download(SHORT, tmp_path / "found.json")
    assert list(tmp_path.iterdir()) == []


async def test_the_wrong_kind_of_query_is_refused(scripted: Scripted) -> None:
    """An ephemeris query given to the conjunction search is a slip of the pen, caught before sending."""
    async with client_of(scripted) as client:
        with pytest.raises(InvalidQuery, match="ConjunctionQuery"):
            await client.conjunctions.search(SHORT)  # type: ignore[arg-type]
    assert scripted.seen == []


async def test_server_errors_of_describe_are_told(scripted: Scripted) -> None:
    """Describe is one exchange, repeated as configured."""
    scripted.on("other", times(99, lambda: error(500, "ApplicationError", "oops")))
    async with client_of(scripted) as client:
        with pytest.raises(ServerError):
            await client.ephemeris.describe(SHORT)
    assert len(scripted.seen) == 3
