"""What the service refuses: malformed input, missing keys, insufficient roles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

ADMIN = {"x-aurorax-api-key": "key-admin"}
BLOCK = {"programs": ["swarm"]}


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("ephemeris", {"start": None}, "start"),
        ("ephemeris", {"start": "yesterday"}, "start"),
        ("ephemeris", {"end": "2019-01-01T00:00:00"}, "end"),
        ("ephemeris", {"end": "2020-03-01T00:00:00"}, "end"),
        ("ephemeris", {"data_sources": None}, "data_sources"),
        ("ephemeris", {"data_sources": {}}, "programs"),
        ("ephemeris", {"data_sources": {"programs": "swarm"}}, "programs"),
        ("ephemeris", {"unknown": 1}, "unknown"),
        ("ephemeris", {"request_id": "1"}, "request_id"),
        ("ephemeris", {"request_id": 17}, "request_id"),
        ("ephemeris", {"request_id": "7BF4C13F-BD71-44AC-8249-0473834D7273"}, "request_id"),
        ("data_products", {"data_product_type_filters": ["painting"]}, "data_product_type"),
        ("conjunctions", {"ground": []}, "blocks"),
        ("conjunctions", {"space": [BLOCK] * 10}, "blocks"),
        ("conjunctions", {"max_distances": {}}, "max_distance"),
        ("conjunctions", {"max_distances": {"ground1-space1": -1}}, "max_distance"),
        ("conjunctions", {"max_distances": {"ground1-space9": 1}}, "max_distance"),
        ("conjunctions", {"conjunction_types": ["astrology"]}, "conjunction_types"),
        ("conjunctions", {"space": [BLOCK | {"hemisphere": ["western"]}]}, "hemisphere"),
        ("conjunctions", {"adhoc": [{"locations": [{"lat": 91, "lon": 0}]}]}, "locations"),
        ("conjunctions", {"epoch_search_precision": 0}, "epoch_search_precision"),
    ],
)
async def test_a_query_that_cannot_be_right_is_400(
    serve: Any, queries: Any, kind: str, change: Any, field: str
) -> None:
    """The message names the place, and nothing is kept."""
    query = {"ephemeris": queries.ephemeris, "data_products": queries.products, "conjunctions": queries.conjunctions}
    document = query[kind]() | change
    document = {name: value for name, value in document.items() if value is not None}
    async with serve() as client:
        status, _, error = await client.call("POST", f"/api/v1/{kind}/search", json=document)
        assert await client.get("/api/v1/utils/admin/search_requests", headers=ADMIN) == []
    assert (status, error["error_code"]) == (400, "AssertionError")
    assert field in error["error_message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1, 2]", b"null", b'"text"', b"\xff\xfe", b'{"start": NaN}', b"[" * 100_000], ids=range(8)
)
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/ephemeris/search",
        "/api/v1/conjunctions/search",
        "/api/v1/data_products/search_synchronous",
        "/api/v1/utils/describe/query/ephemeris",
        "/api/v1/utils/describe/cartesian_products",
    ],
)
async def test_bodies_that_are_no_query_are_400(serve: Any, path: str, body: bytes) -> None:
    """Whatever arrives, the answer is an error document and no 500."""
    async with serve() as client:
        status, _, error = await client.call("POST", path, data=body)
    assert (status, error["error_code"]) == (400, "AssertionError")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/data_sources?format=everything",
        "/api/v1/data_sources?source_type=moon",
        "/api/v1/data_sources?include_stats=perhaps",
        "/api/v1/data_sources/three",
        "/api/v1/availability/ephemeris?start=01/02/2020",
        "/api/v1/availability/ephemeris?start=2020-02-30",
        "/api/v1/availability/data_products?slow=2",
        "/api/v1/utils/timezones/convert?ts=2020-01-01&tz=Mars/Olympus",
        "/api/v1/utils/timezones/convert?ts=noon&tz=UTC",
        "/api/v1/utils/timezones/convert?tz=../../etc/passwd&ts=2020-01-01",
        "/api/v1/utils/admin/search_requests?search_type=poem",
        "/api/v1/utils/admin/search_requests?start=soon",
        "/api/v1/utils/admin/search_requests?file_size=big",
        "/api/v1/utils/admin/search_requests?active=2",
    ],
)
async def test_bad_parameters_are_400(serve: Any, path: str) -> None:
    """The message names the parameter."""
    async with serve() as client:
        status, _, error = await client.call("GET", path, headers=ADMIN)
    assert (status, error["error_code"]) == (400, "AssertionError")


async def test_bad_formats_of_data_are_400(serve: Any, queries: Any) -> None:
    """Also for a search that has no data."""
    async with serve() as client:
        path, _ = await client.run("ephemeris", queries.ephemeris())
        for body in (b"[]", b'{"epoch": "yes"}', b"{"):
            status, _, error = await client.call("POST", f"{path}/data", data=body)
            assert (status, error["error_code"]) == (400, "AssertionError")
        assert (await client.call("GET", f"{path}/data?data_source_record_format=none"))[0] == 400
        body = {"query": queries.ephemeris(end="2020-01-04T00:00:00")}
        status, _, error = await client.call("POST", "/api/v1/ephemeris/search_synchronous", json=body)
        assert status == 400 and "two days" in error["error_message"]
        assert (await client.call("POST", "/api/v1/ephemeris/search_synchronous", json={}))[0] == 400


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "NotAuthenticated"),
        ({"x-aurorax-api-key": "no-such-key"}, 401, "NotAuthenticated"),
        ({"x-aurorax-api-key": "key-user"}, 403, "NotPermitted"),
        ({"x-aurorax-api-key": "key-owner"}, 403, "NotPermitted"),
    ],
)
async def test_administration_needs_an_administrator(serve: Any, headers: Any, status: int, code: str) -> None:
    """PyAuroraX tells 401 from everything else; the message never repeats the key."""
    async with serve() as client:
        for method, path in (("GET", ""), ("DELETE", "/7bf4c13f-bd71-44ac-8249-0473834d7273")):
            found, _, error = await client.call(method, f"/api/v1/utils/admin/search_requests{path}", headers=headers)
            assert (found, error["error_code"]) == (status, code)
            assert "no-such-key" not in error["error_message"]


async def test_an_unknown_key_does_not_shut_out_readers(serve: Any, queries: Any) -> None:
    """A user whose environment carries a key of the real service can still use the local one."""
    headers = {"x-aurorax-api-key": "a key of another service"}
    async with serve() as client:
        path = await client.submit("ephemeris", queries.ephemeris(), headers=headers)
        await client.ended(path)
        assert (await client.call("GET", "/api/v1/data_sources", headers=headers))[0] == 200


async def test_keys_of_a_former_run_do_not_stay_valid(serve: Any, tmp_path: Any) -> None:
    """A key left out on the next start is a key withdrawn; the text of a key is never stored."""
    async with serve(data_dir=tmp_path) as client:
        await client.get("/api/v1/utils/admin/search_requests", headers=ADMIN)
    assert not any(b"key-admin" in file.read_bytes() for file in tmp_path.glob("service.sqlite*"))
    async with serve(data_dir=tmp_path, api_keys={}) as client:
        assert (await client.call("GET", "/api/v1/utils/admin/search_requests", headers=ADMIN))[0] == 401


async def test_administrators_see_and_remove_every_search(serve: Any, queries: Any) -> None:
    """All filters of the listing."""
    path = "/api/v1/utils/admin/search_requests"
    async with serve() as client:
        found, _ = await client.run("ephemeris", queries.ephemeris())
        cancelled = await client.submit("conjunctions", queries.conjunctions(end="2020-12-31T00:00:00"))
        await client.call("DELETE", cancelled)
        running = await client.submit("conjunctions", queries.conjunctions(end="2020-12-31T00:00:00"))
        await asyncio.sleep(0.05)

        async def listed(**wanted: Any) -> list[str]:
            rows = await client.get(path, headers=ADMIN, params={key: str(value) for key, value in wanted.items()})
            return [row["request_id"] for row in rows]

        ids = [one.rpartition("/")[2] for one in (found, cancelled, running)]
        rows = await client.get(path, headers=ADMIN)
        assert [row["request_id"] for row in rows] == ids
        assert set(rows[0]) == {
            "search_type", "ip_address", "request_id", "requested", "active", "query_duration", "result_file_exists",
            "file_size", "result_count", "error_condition",
        }  # fmt: skip
        assert (rows[0]["search_type"], rows[0]["active"], rows[0]["result_count"]) == ("ephemeris", False, 10)
        assert (rows[2]["active"], rows[2]["file_size"], rows[2]["result_count"]) == (True, None, None)
        assert await listed(active=True) == ids[2:]
        assert await listed(active="false") == ids[:2]
        assert await listed(search_type="conjunction") == ids[1:]
        assert await listed(file_size=5) == ids[:1]
        assert await listed(file_size=60, active=True) == []
        assert await listed(result_count=10) == ids[:1]
        assert await listed(result_count=11) == []
        assert await listed(error_condition=True) == ids[1:2]
        assert await listed(error_condition=False) == ids[:1]
        assert await listed(query_duration=10_000_000) == []
        assert await listed(start="2020-01-01T00:00:00") == ids
        assert await listed(end="2020-01-01T00:00:00") == []
        for one in (found, running):
            status, _, _ = await client.call("DELETE", f"{path}/{one.rpartition('/')[2]}", headers=ADMIN)
            assert status == 200
            assert (await client.call("GET", one))[0] == 404
        assert await listed() == ids[1:2]
        assert (await client.call("DELETE", f"{path}/{ids[0]}", headers=ADMIN))[0] == 404
        assert (await client.call("DELETE", f"{path}/x", headers=ADMIN))[0] == 404
