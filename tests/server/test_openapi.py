"""Whatever the local service answers is what AuroraX's own description of its interface says, or a known deviation."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import msgspec
import pytest
from support.openapi import DEVIATIONS, Deviation, Exchange, Judge, misnamed, operations

from aurora_async.aurorax.formats import response_format
from aurora_async.server.app import Account, LocalService, Login, ServiceSettings

FACTS = Path(__file__).parents[1] / "facts"
ROLES = ("User", "Maintainer", "Owner", "Administrator")
KEYS = {role: Account(role=role, email_address=f"{role.lower()}@example.org") for role in ROLES}
LOGIN = Login(account=KEYS["Owner"], password="correct horse")

LEVELS = ("identifier_only", "basic_info", "with_metadata", "full_record")
SWARM = {"programs": ["swarm"], "platforms": ["swarma"]}
QUERIES: dict[str, dict[str, Any]] = {
    "conjunctions": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T00:59:59",
        "ground": [{"programs": ["themis-asi"]}],
        "space": [SWARM | {"ephemeris_metadata_filters": {"logical_operator": "AND", "expressions": [
            {"key": "nbtrace_region", "operator": "!=", "values": ["south polar cap"]},
        ]}}],
        "adhoc": [{"locations": [{"lat": 60.0, "lon": -110.0}, {"lat": 62.0, "lon": -100.0}]}],
        "conjunction_types": ["nbtrace"],
        "subminute_precision": True,
        "max_distances": {"ground1-space1": 900.5, "ground1-adhoc1": None, "space1-adhoc1": 4000},
    },
    "ephemeris": {"start": "2020-01-01T00:00:00", "end": "2020-01-01T00:02:59", "data_sources": SWARM},
    "data_products": {
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T23:59:59",
        "data_sources": {"programs": ["trex"], "platforms": ["fort smith"]},
        "data_product_type_filters": ["keogram"],
    },
}  # fmt: skip
SCHEMA = {"field_name": "state", "description": "d", "data_type": "string", "allowed_values": [], "searchable": True}
NAMES = {"program": "test-program", "platform": "test-platform", "instrument_type": "test-type"}
SOURCE = NAMES | {
    "source_type": "ground",
    "display_name": "Test",
    "metadata": {"a": 1},
    "ephemeris_metadata_schema": [SCHEMA],
    "data_product_metadata_schema": [SCHEMA],
}
PLACE = {"lat": 51.0, "lon": -114.0}
POSITION = NAMES | {"epoch": "2031-05-01T00:00:00.000Z", "location_geo": PLACE, "metadata": {"state": "on"}}
KEOGRAM = NAMES | {
    "start": "2031-05-01T00:00:00.000", "end": "2031-05-01T23:59:00.000", "url": "https://x.org/a.jpg",
    "data_product_type": "keogram", "metadata": {},
}  # fmt: skip
RANGE = NAMES | {"start": "2031-05-01T00:00:00", "end": "2031-05-02T00:00:00"}
WRONG: Any = {"no_such_field": 1}


class Caller:
    """Asks the service, and keeps what it answers."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self.session = session
        self.base_url = base_url
        self.exchanges: list[Exchange] = []

    async def __call__(self, method: str, path: str, body: Any = None, *, by: str | None = None, **params: str) -> Any:
        headers = {} if by is None else {"x-aurorax-api-key": by} if by in KEYS else {"Authorization": by}
        data = body if isinstance(body, bytes) else None
        document = None if isinstance(body, bytes) else body
        url = f"{self.base_url}/api/v1/{path}"
        async with self.session.request(
            method, url, params=params, json=document, data=data, headers=headers
        ) as answer:
            text = await answer.read()
            decoded = msgspec.json.decode(text) if text else None
            exchange = Exchange(method=method, path=answer.url.path, status=answer.status, answer=decoded)
            self.exchanges.append(exchange)
            return answer.headers.get("Authorization") if path == "authenticate" else decoded


async def ask_sources(call: Caller) -> None:
    """Data sources and availability, read."""
    for level in LEVELS:
        await call("GET", "data_sources", program="swarm", format=level, include_stats="true")
        await call("GET", "data_sources/3", format=level)
        await call("POST", "data_sources/search", {"programs": ["swarm"], "platforms": []}, format=level)
        for kind, program in (("ephemeris", "swarm"), ("data_products", "trex")):
            await call(
                "GET", f"availability/{kind}", program=program, start="2020-01-01", end="2020-01-02", format=level
            )
    await call("GET", "data_sources", program="no such program")
    await call("GET", "data_sources/3/stats")
    await call("GET", "data_sources/4711/stats")
    await call("GET", "data_sources/4711")
    await call("POST", "data_sources/search", b"{")
    await call("GET", "availability/ephemeris", start="tomorrow")
    await call("GET", "availability/data_products", start="tomorrow")


async def ask_searches(call: Caller, kind: str) -> None:
    """One search from its beginning to its end, and what can be wrong with it."""
    query, form = QUERIES[kind], response_format(kind)
    request_id = str(uuid.uuid4())
    path = f"{kind}/requests/{request_id}"
    await call("POST", f"{kind}/search", query | {"request_id": request_id})
    async with asyncio.timeout(30):
        while (await call("GET", path))["search_result"]["completed_timestamp"] is None:
            await asyncio.sleep(0.05)
    assert (await call("GET", f"{path}/data"))["result"]
    for level in LEVELS:
        await call("GET", f"{path}/data", data_source_record_format=level, generate_ephemeris_queries="true")
    await call("POST", f"{path}/data", form)
    await call("POST", f"{path}/data", WRONG)
    await call("DELETE", f"{path}/data")
    await call("GET", path)
    await call("GET", f"{path}/data")
    await call("POST", f"{path}/data", form)
    await call("DELETE", path)
    running = str(uuid.uuid4())
    await call("POST", f"{kind}/search", query | {"request_id": running})
    await call("DELETE", f"{kind}/requests/{running}")
    unknown = f"{kind}/requests/{uuid.uuid4()}"
    for method in ("GET", "DELETE"):
        await call(method, unknown)
        await call(method, f"{unknown}/data")
    await call("POST", f"{unknown}/data", form)
    await call("POST", f"{kind}/search", WRONG)
    if kind != "conjunctions":
        await call("POST", f"{kind}/search_synchronous", {"query": query})
        await call("POST", f"{kind}/search_synchronous", {"query": query, "response_format": form})
        await call("POST", f"{kind}/search_synchronous", WRONG)


async def ask_utilities(call: Caller) -> None:
    """Descriptions, time zones, accounts, administration."""
    await call("POST", "utils/describe/query/conjunction", QUERIES["conjunctions"])
    await call("POST", "utils/describe/query/ephemeris", QUERIES["ephemeris"])
    await call("POST", "utils/describe/query/data_products", QUERIES["data_products"])
    await call("POST", "utils/describe/cartesian_products", QUERIES["conjunctions"])
    await call("GET", "utils/timezones")
    await call("GET", "utils/timezones/convert", ts="2020-01-01T00:00:00", tz="America/Edmonton")
    token = await call("POST", "authenticate", {"email_address": "owner@example.org", "password": "correct horse"})
    await call("POST", "authenticate", {"email_address": "owner@example.org", "password": "wrong"})
    await call("POST", "authenticate", WRONG)
    await call("POST", "authenticate/end_session", by=token)
    await call("GET", "accounts", by="Administrator")
    listed = await call("GET", "utils/admin/search_requests", by="Administrator")
    for by in (None, "User"):
        await call("GET", "utils/admin/search_requests", by=by)
        await call("DELETE", f"utils/admin/search_requests/{listed[0]['request_id']}", by=by)
        await call("GET", "accounts", by=by)
    await call("GET", "utils/admin/search_requests", by="Administrator", result_count="many")
    await call("DELETE", f"utils/admin/search_requests/{listed[0]['request_id']}", by="Administrator")


async def ask_changes(call: Caller) -> None:
    """Data sources and records, written, by those who may and by those who may not."""
    source = await call("POST", "data_sources", SOURCE, by="Owner")
    path = f"data_sources/{source['identifier']}"
    await call("PUT", path, SOURCE | {"display_name": "Put"}, by="Owner")
    await call("PATCH", path, {"display_name": "Patched"}, by="Owner")
    await call("POST", f"{path}/ephemeris", [POSITION], by="Owner")
    await call("POST", f"{path}/data_products", [KEOGRAM], by="Owner")
    await call("POST", f"{path}/ephemeris", [POSITION | {"epoch": "tomorrow"}], by="Owner")
    await call("POST", f"{path}/data_products", [KEOGRAM | {"url": None}], by="Owner")
    await call("DELETE", path, by="Owner")  # it still has records
    await call("POST", "data_sources", SOURCE, by="Owner")  # there is one
    other = await call("POST", "data_sources", SOURCE | {"platform": "other"}, by="Owner")
    await call("PUT", path, SOURCE | {"platform": "other"}, by="Owner")
    await call("PATCH", path, {"platform": "other"}, by="Owner")
    await call("POST", "data_sources", NAMES, by="Owner")
    wanted: dict[str, Any] = {"ephemeris": RANGE, "data_products": NAMES | {"urls": [KEOGRAM["url"]]}}
    for kind, body in wanted.items():
        await call("DELETE", f"{path}/{kind}", WRONG, by="Owner")
        await call("DELETE", f"{path}/{kind}", body, by="Owner")
        await call("DELETE", f"data_sources/4711/{kind}", body, by="Owner")
    (job,) = await call("GET", f"{path}/ephemeris/delete_jobs")
    await call("GET", f"{path}/ephemeris/delete_jobs/{job}")
    await call("GET", f"{path}/ephemeris/delete_jobs/no-such-job")
    await call("GET", "data_sources/4711/ephemeris/delete_jobs")
    for by in (None, "User"):
        await write(call, path, by)
    for method in ("PUT", "PATCH"):
        await call(method, path, WRONG, by="Owner")
        await call(method, "data_sources/4711", SOURCE, by="Owner")
    await call("DELETE", "data_sources/4711", by="Owner")
    await call("DELETE", f"data_sources/{other['identifier']}", by="Owner")


async def write(call: Caller, path: str, by: str | None) -> None:
    """Try to write all there is to write."""
    await call("POST", "data_sources", SOURCE | {"platform": "third"}, by=by)
    await call("PUT", path, SOURCE, by=by)
    await call("PATCH", path, {"display_name": "Changed"}, by=by)
    await call("DELETE", path, by=by)
    await call("POST", f"{path}/ephemeris", [POSITION], by=by)
    await call("POST", f"{path}/data_products", [KEOGRAM], by=by)
    await call("DELETE", f"{path}/ephemeris", RANGE, by=by)
    await call("DELETE", f"{path}/data_products", NAMES | {"urls": []}, by=by)


async def ask_everything(days_dir: Path) -> list[Exchange]:
    """Ask for everything that can be asked for, and return the answers."""
    settings = ServiceSettings(days_dir=days_dir, api_keys=KEYS, logins=(LOGIN,), workers=0)
    async with LocalService(settings) as service, aiohttp.ClientSession() as session:
        call = Caller(session, service.base_url)
        await ask_sources(call)
        for kind in QUERIES:
            await ask_searches(call, kind)
        await ask_changes(call)
        await ask_utilities(call)
        service.maintenance = True
        await write(call, "data_sources/3", "Administrator")
        for kind in ("ephemeris", "data_products"):
            await call("GET", f"availability/{kind}", slow="true")
    return call.exchanges


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    """All answers."""
    return asyncio.run(ask_everything(tmp_path_factory.mktemp("days")))


JUDGE = Judge("answer")
NOT_SERVED = {"GET /api/application.wadl", "GET /api/application.wadl/{path}"}
SERVED = sorted({*operations(), "GET /api/v1/accounts"} - NOT_SERVED)
OURS = [deviation for deviation in DEVIATIONS if deviation.side == "answer"]


@pytest.mark.parametrize("operation", SERVED)
def test_the_service_answers_what_is_described(answered: list[Exchange], operation: str) -> None:
    """Every operation of the description, done and refused, with its names, its types and its allowed values."""
    ours = [exchange for exchange in answered if JUDGE.operation_of(exchange) == operation]
    assert any(exchange.status < 300 for exchange in ours)
    assert [problem for exchange in ours for problem in JUDGE.problems(exchange)] == []


def test_refusals_are_among_the_answers(answered: list[Exchange]) -> None:
    """A test that sees successes alone would let the error documents drift."""
    statuses = Counter(exchange.status for exchange in answered)
    assert set(statuses) == {200, 202, 204, 400, 401, 403, 404, 409, 503}
    refused = {JUDGE.operation_of(one) for one in answered if one.status == 403}
    writes = {
        name for name in SERVED if "/data_sources" in name and not name.startswith("GET") and "search" not in name
    }
    assert writes <= refused
    assert writes <= {JUDGE.operation_of(one) for one in answered if one.status == 503}


def real_answers() -> list[Exchange]:
    """What AuroraX itself answered: its statuses of 2024, and records."""
    statuses = json.loads((FACTS / "aurorax_statuses.json").read_text("utf-8"))["documents"]
    records = json.loads((FACTS / "aurorax_records.json").read_text("utf-8"))
    results = {
        "conjunctions": [records["conjunction_selected"]],
        "ephemeris": [*records["ephemeris"], records["open_field_line"]],
        "data_products": [*records["data_products"], records["data_product_selected"]],
    }
    return [
        *(
            Exchange(method="GET", path="/api/v1/conjunctions/requests/a", answer=one["status"])
            for one in statuses
            if one["status"]["search_request"]["requested"].startswith("2024")
        ),
        *(
            Exchange(method="GET", path=f"/api/v1/{kind}/requests/a/data", answer={"result": found})
            for kind, found in results.items()
        ),
    ]


@pytest.mark.parametrize("exchange", real_answers(), ids=lambda exchange: exchange.path)
def test_the_real_service_answers_so_too(exchange: Exchange) -> None:
    """The deviations are the real service's, not excuses of the local one."""
    assert JUDGE.problems(exchange) == []


@pytest.mark.parametrize("deviation", OURS, ids=str)
def test_a_deviation_is_needed(answered: list[Exchange], deviation: Deviation) -> None:
    """One that is not is a hole in the description through which a mistake can slip."""
    strict = Judge("answer", without=deviation)
    # The shortest first: most deviations show in a few lines, and a day of records takes a second to be judged.
    by_length = sorted((*answered, *real_answers()), key=lambda exchange: len(msgspec.json.encode(exchange.answer)))
    assert any(strict.problems(exchange) for exchange in by_length)


def shortened(document: Any) -> Any:
    """Return a document with three elements of each list: the hundredth record has no other keys than the first."""
    if isinstance(document, dict):
        return {key: shortened(value) for key, value in document.items()}
    return [shortened(value) for value in document[:3]] if isinstance(document, list) else document


def test_a_misspelt_key_is_found(answered: list[Exchange]) -> None:
    """At any depth of any answer, one of each operation and status: a check that catches nothing proves nothing."""
    by_kind = {(JUDGE.operation_of(one), one.status): one for one in answered if one.answer}
    tried = 0
    for exchange in by_kind.values():
        for answer in islice(misnamed(shortened(exchange.answer)), 100):
            assert JUDGE.problems(attrs.evolve(exchange, answer=answer)), (exchange, answer)
            tried += 1
    assert tried > 500
