"""Whatever the client can send is what AuroraX's own description of its interface says, or a deviation that is known.

The requests are recorded by a server on loopback, as they arrive there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import attrs
import msgspec
import pytest
from aiohttp import web
from support.openapi import DEVIATIONS, Deviation, Exchange, Judge, misnamed, operations
from support.scripted import Scripted, quick_config, serving

from aurora_async import (
    AuroraX,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProduct,
    DataProductQuery,
    DataSource,
    Ephemeris,
    EphemerisQuery,
    EventsBlock,
    GroundBlock,
    Location,
    MetadataExpression,
    MetadataFilter,
    SpaceBlock,
)
from aurora_async.aurorax import SchemaField

FILTER = MetadataFilter(
    [
        MetadataExpression("calgary_apa_ml_v1", ["classified as APA"], "in"),
        MetadataExpression("nbtrace_region", "north polar cap"),
    ],
    logical_operator="OR",
)
CONJUNCTIONS = ConjunctionQuery(
    start="2020-01-01",
    end="2020-01-01T06:59",
    ground=GroundBlock(programs="themis-asi", platforms="gillam", metadata_filter=FILTER),
    space=SpaceBlock(programs="swarm", hemisphere="northern", instrument_types="footprint"),
    events=EventsBlock(platforms="substorm onset"),
    custom_locations=CustomLocationsBlock(locations=[(51.05, -114.07), (62.45, 245.63)]),
    max_distance_km={"ground1-space1": 500, "ground1-events1": 300},
    conjunction_types=("nbtrace", "geographic"),
)
PLAIN_CONJUNCTIONS = ConjunctionQuery(
    start="2020-01-01",
    end="2020-01-02",
    ground=GroundBlock(programs="themis-asi"),
    space=SpaceBlock(programs="swarm"),
    max_distance_km=500,
)
SUBMINUTE = attrs.evolve(PLAIN_CONJUNCTIONS, max_distance_km=299.5, subminute_precision=True)
EPHEMERIS = EphemerisQuery(start="2020-01-01", end="2020-01-01", programs="swarm", metadata_filter=FILTER)
PRODUCTS = DataProductQuery(
    start="2020-01-01", end="2020-01-02", programs="trex", data_product_types="keogram", metadata_filter=FILTER
)
SCHEMA = [SchemaField(field_name="state", description="", allowed_values=["definitive"], searchable=True)]
SOURCE = DataSource(
    identifier=7001,
    program="test",
    platform="test",
    instrument_type="test",
    source_type="leo",
    display_name="Test",
    metadata={"any": {"thing": 1}},
    owner="owner@example.org",
    maintainers=["maintainer@example.org"],
    ephemeris_metadata_schema=SCHEMA,
    data_product_metadata_schema=SCHEMA,
)
PLACE, NOWHERE = Location(51.0, -114.0), Location(None, None)
POSITION = Ephemeris(
    data_source=SOURCE,
    epoch=datetime(2031, 5, 1),
    location_geo=PLACE,
    location_gsm=NOWHERE,
    nbtrace=PLACE,
    sbtrace=NOWHERE,
    metadata={"state": "definitive"},
)
KEOGRAM = DataProduct(
    data_source=SOURCE,
    data_product_type="keogram",
    start=datetime(2031, 5, 1),
    end=datetime(2031, 5, 1, 23, 59),
    url="https://data.example.org/keogram.jpg",
    metadata={"state": "definitive"},
)
_ENDLESS = "2019-12-31"  # a search from this day on goes on until it is cancelled
REQUEST_ID = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"
LEVELS: tuple[Any, ...] = ("identifier_only", "basic_info", "with_metadata", "full_record")

Verb = Callable[[AuroraX], Awaitable[Any]]


def search_verbs() -> list[Verb]:
    """All verbs of the three kinds of search, with every form of query."""
    queries: list[tuple[str, Any]] = [
        *(("conjunctions", one) for one in (CONJUNCTIONS, PLAIN_CONJUNCTIONS, SUBMINUTE)),
        ("ephemeris", EPHEMERIS),
        ("data_products", PRODUCTS),
    ]
    verbs: list[Verb] = [lambda client: client.conjunctions.count_combinations(CONJUNCTIONS)]
    for kind, query in queries:

        def searches(client: AuroraX, kind: str = kind) -> Any:
            return getattr(client, kind)

        async def deleted(client: AuroraX, query: Any = query, searches: Any = searches) -> None:
            request = await searches(client).submit(query)
            await request.wait()
            await searches(client).status(request.request_id)
            await searches(client).logs(request.request_id, level="debug")
            await request.records()
            await searches(client).delete_result(request.request_id)

        async def cancelled(client: AuroraX, query: Any = query, searches: Any = searches) -> None:
            request = await searches(client).submit(attrs.evolve(query, start=_ENDLESS))
            await searches(client).cancel(request.request_id)

        async def formatted(client: AuroraX, query: Any = query, searches: Any = searches) -> None:
            form = searches(client).response_format()
            await searches(client).search(query, response_format=form)
            request = await searches(client).submit(query, response_format=form)
            await request.records()

        verbs += [
            deleted,
            cancelled,
            formatted,
            lambda client, query=query, searches=searches: searches(client).search(query),  # type: ignore[misc]
            lambda client, query=query, searches=searches: searches(client).describe(query),  # type: ignore[misc]
        ]
    return verbs


VERBS: list[Verb] = [
    *search_verbs(),
    lambda client: client.ephemeris.upload(SOURCE, [POSITION]),
    lambda client: client.ephemeris.delete(SOURCE, "2031-05-01", "2031-05-02"),
    lambda client: client.ephemeris.delete_jobs(SOURCE),
    lambda client: client.ephemeris.delete_job(SOURCE, "a"),
    lambda client: client.data_products.upload(SOURCE, [KEOGRAM]),
    lambda client: client.data_products.upload(SOURCE, [attrs.evolve(KEOGRAM, data_product_type="gridded_data")]),
    lambda client: client.data_products.delete_urls(SOURCE, [KEOGRAM.url]),
    lambda client: client.data_products.delete(SOURCE, "2031-05-01", "2031-05-02", data_product_types=["average"]),
    *(
        lambda client, level=level: client.sources.list(
            program="a", platform="b", instrument_type="c", source_type="leo", owner="d", level=level,
            include_stats=True,
        )
        for level in LEVELS
    ),
    lambda client: client.sources.search(programs=["a"], platforms=["b"], instrument_types=["c"], include_stats=True),
    lambda client: client.sources.get(7001, include_stats=True),
    lambda client: client.sources.find("test", "test", "test"),
    lambda client: client.sources.statistics(7001, slow=True),
    lambda client: client.sources.ephemeris_schema(7001),
    lambda client: client.sources.data_product_schema(7001),
    lambda client: client.sources.add(
        identifier=7001,
        program="a",
        platform="b",
        instrument_type="c",
        source_type="ground",
        display_name="d",
        metadata={"a": 1},
        owner="a@example.org",
        maintainers=["b@example.org"],
        ephemeris_metadata_schema=SCHEMA,
        data_product_metadata_schema=SCHEMA,
    ),
    lambda client: client.sources.update(7001, display_name="e", ephemeris_metadata_schema=[]),
    lambda client: client.sources.replace(SOURCE),
    lambda client: client.sources.delete(7001),
    lambda client: client.availability.ephemeris("2020-01", "2020-02", program="swarm", source_type="leo", slow=True),
    lambda client: client.availability.data_products("2020", platform="a", owner="b", data_product_type="keogram"),
    lambda client: client.availability.data_products(instrument_type="a", data_product_type="gridded_data"),
    lambda client: client.admin.search_requests(
        search_type="conjunction", active=False, start="2020", end="2021", file_size_kb=1, result_count=2,
        query_duration_ms=3, error_condition=True,
    ),
    lambda client: client.admin.delete_search_request(REQUEST_ID),
    lambda client: client.admin.accounts(role="Owner"),
    lambda client: client.authenticate("a@example.org", "correct horse"),
    lambda client: client.end_session(),
    lambda client: client.time_zones(),
    lambda client: client.to_utc("2020-01-01T00:00:00", "America/Edmonton"),
]  # fmt: skip

SOURCE_DOCUMENT = msgspec.to_builtins(SOURCE)
ANSWERS: dict[str, Any] = {
    "GET /api/v1/data_sources": [SOURCE_DOCUMENT],
    "POST /api/v1/data_sources": SOURCE_DOCUMENT,
    "POST /api/v1/data_sources/search": [SOURCE_DOCUMENT],
    "GET /api/v1/data_sources/{identifier}": SOURCE_DOCUMENT,
    "PUT /api/v1/data_sources/{identifier}": SOURCE_DOCUMENT,
    "PATCH /api/v1/data_sources/{identifier}": SOURCE_DOCUMENT,
    "GET /api/v1/data_sources/{identifier}/stats": {"ephemeris_count": 0, "data_product_count": 0},
    "POST /api/v1/authenticate": {"email_address": "a@example.org"},
    "POST /api/v1/utils/describe/cartesian_products": 1,
    "GET /api/v1/utils/timezones/convert": "2020-01-01T07:00:00",
    **{f"POST /api/v1/utils/describe/query/{kind}": "Find." for kind in ("conjunction", "ephemeris", "data_products")},
}


async def record_all() -> list[Exchange]:
    """Use every verb, and return what arrived."""
    judge = Judge("request")
    found: list[Exchange] = []

    async def record(request: web.Request) -> web.StreamResponse | None:
        text = await request.read()
        exchange = Exchange(
            method=request.method,
            path=request.path,
            query=tuple(request.query.items()),
            body=msgspec.json.decode(text) if text else None,
        )
        found.append(exchange)
        if request.path.endswith("/search_synchronous"):
            return web.json_response([])
        if request.method == "DELETE" and request.path.endswith("/data"):
            return web.json_response(scripted.status_document(request.path.split("/")[-2]))
        if re.match(r"/api/v1/(conjunctions|ephemeris|data_products)/", request.path):
            return None
        answer = ANSWERS.get(judge.operation_of(exchange) or "", [])
        headers = {"Authorization": "Bearer token"} if request.path == "/api/v1/authenticate" else None
        return web.json_response(answer, headers=headers)

    scripted = Scripted(records=[], takes=lambda query: 1e6 if query["start"].startswith(_ENDLESS) else 0)
    for route in ("submit", "status", "data", "cancel", "other"):
        scripted.on(route, record)
    async with serving(scripted):
        for synchronous in (True, False):
            async with AuroraX(quick_config(scripted.base_url), synchronous=synchronous) as client:
                for verb in VERBS:
                    await verb(client)
    return found


@pytest.fixture(scope="module")
def recorded() -> list[Exchange]:
    """All requests of all verbs."""
    return asyncio.run(record_all())


JUDGE = Judge("request")
NEVER_SENT = {"GET /api/application.wadl", "GET /api/application.wadl/{path}"}
USED = sorted({*operations(), "GET /api/v1/accounts"} - NEVER_SENT)
OURS = [deviation for deviation in DEVIATIONS if deviation.side == "request"]


@pytest.mark.parametrize("operation", USED)
def test_the_client_sends_what_is_described(recorded: list[Exchange], operation: str) -> None:
    """Every operation of the description is used by a verb, with its names, its types and its allowed values."""
    sent = [exchange for exchange in recorded if JUDGE.operation_of(exchange) == operation]
    assert sent
    assert [problem for exchange in sent for problem in JUDGE.problems(exchange)] == []


def test_the_client_sends_nothing_else(recorded: list[Exchange]) -> None:
    """A path with a typing error answers 404 only when somebody is waiting for it."""
    assert {JUDGE.operation_of(exchange) for exchange in recorded} == set(USED)


@pytest.mark.parametrize("deviation", OURS, ids=str)
def test_a_deviation_is_needed(recorded: list[Exchange], deviation: Deviation) -> None:
    """One that is not is a hole in the description through which a mistake can slip."""
    strict = Judge("request", without=deviation)
    by_length = sorted(recorded, key=lambda exchange: len(str(exchange.body)))  # most show in the short ones
    assert any(strict.problems(exchange) for exchange in by_length)


def test_a_misspelt_key_is_found(recorded: list[Exchange]) -> None:
    """Of every body and of every query: a check that has never caught anything proves nothing."""
    tried = 0
    # The same question asked by another verb says nothing new.
    for exchange in {(JUDGE.operation_of(one), str(one.body), str(one.query)): one for one in recorded}.values():
        wrong = [attrs.evolve(exchange, body=body) for body in misnamed(exchange.body)]
        wrong += [attrs.evolve(exchange, query=[(f"{key}_", text)]) for key, text in exchange.query]
        for one in wrong:
            assert JUDGE.problems(one), one
        tried += len(wrong)
    assert tried > 500
