"""Data sources, availability, descriptions, time zones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from yarl import URL

from aurora_async.server.app import Account, Login

BASIC = ["identifier", "program", "platform", "instrument_type", "source_type", "display_name"]
SWARM_A = {
    "identifier": 3, "program": "swarm", "platform": "swarma", "instrument_type": "footprint", "source_type": "leo",
    "display_name": "Swarm A",
}  # fmt: skip
STATS = {
    "ephemeris_count", "data_product_count", "earliest_ephemeris_loaded", "latest_ephemeris_loaded",
    "earliest_data_product_loaded", "latest_data_product_loaded",
}  # fmt: skip


async def test_listings_filter_by_whole_values(serve: Any) -> None:
    """All conditions together; nothing found is an empty list."""
    async with serve() as client:
        everything = await client.get("/api/v1/data_sources")
        assert len(everything) > 100
        assert list(everything[0]) == BASIC
        swarm = await client.get("/api/v1/data_sources?program=swarm", data=b"{}")
        assert [source["platform"] for source in swarm] == ["swarma", "swarmb", "swarmc"]
        assert await client.get("/api/v1/data_sources?program=swarm&platform=swarma&source_type=leo") == [SWARM_A]
        assert await client.get("/api/v1/data_sources?program=swar") == []
        assert await client.get("/api/v1/data_sources?owner=dchaddoc@ucalgary.ca&program=swarm&platform=swarmb") == []


@pytest.mark.parametrize(
    ("level", "count"), [("identifier_only", 1), ("basic_info", 6), ("with_metadata", 7), ("full_record", 11)]
)
async def test_levels_choose_fields(serve: Any, level: str, count: int) -> None:
    """In listings, searches and single records."""
    async with serve() as client:
        one = await client.get(f"/api/v1/data_sources/3?format={level}")
        many = await client.get(f"/api/v1/data_sources?platform=swarma&format={level}")
        _, _, found = await client.call(
            "POST", f"/api/v1/data_sources/search?format={level}", json={"platforms": ["swarma"]}
        )
    assert [one] == many == found
    assert len(one) == count


async def test_a_search_takes_lists(serve: Any) -> None:
    """Alternatives inside a list, lists together, empty ones do not restrict."""
    async with serve() as client:

        async def search(**lists: list[str]) -> list[int]:
            status, _, found = await client.call("POST", "/api/v1/data_sources/search", json=lists)
            assert status == 200
            return [source["identifier"] for source in found]

        assert await search(programs=["swarm"], platforms=["swarma", "swarmb", "gillam"]) == [3, 29]
        everything = await search(programs=[], platforms=[], instrument_types=[])
        assert len(everything) > 100 and await search() == everything


async def test_statistics_come_when_asked_for(serve: Any) -> None:
    """Exactly the six keys; with the deprecated path also the source."""
    async with serve() as client:
        assert "stats" not in await client.get("/api/v1/data_sources/3")
        for flag in ("true", "True"):
            source = await client.get(f"/api/v1/data_sources/3?include_stats={flag}")
            assert set(source["stats"]) == STATS
        (listed,) = await client.get("/api/v1/data_sources?platform=swarma&include_stats=True")
        assert listed["stats"] == source["stats"]
        assert source["stats"]["ephemeris_count"] > 1_000_000
        imager = await client.get("/api/v1/data_sources/103?include_stats=true")
        assert imager["stats"]["data_product_count"] > 1000
        old = await client.get("/api/v1/data_sources/3/stats?slow=false")
        assert old == {"data_source": SWARM_A, **source["stats"]}
        # Of FAST no elements are known: nothing to count, slowly or not.
        nothing = await client.get("/api/v1/data_sources/70/stats?slow=true&format=identifier_only")
        assert (nothing["data_source"], nothing["ephemeris_count"]) == ({"identifier": 70}, 0)


async def test_availability_is_a_count_for_each_day(serve: Any) -> None:
    """Both ends inclusive; sources and days without records do not appear."""
    async with serve() as client:
        found = await client.get(
            "/api/v1/availability/ephemeris?start=2019-01-01&end=2019-01-03&program=swarm&platform=swarma"
            "&format=basic_info&slow=False"
        )
        days = {"2019-01-01": 1440, "2019-01-02": 1440, "2019-01-03": 1440}
        assert found == [{"data_source": SWARM_A, "available_ephemeris": days}]
        day = "/api/v1/availability/data_products?start=2020-01-01&end=2020-01-01&platform=fort smith"
        products = await client.get(day)
        assert [entry["available_data_products"] for entry in products] == [{"2020-01-01": 66}]
        movies = await client.get(f"{day}&data_product_type=movie")
        assert movies[0]["available_data_products"] == {"2020-01-01": 1}
        assert await client.get("/api/v1/availability/ephemeris?program=nothing") == []
        assert await client.get("/api/v1/availability/ephemeris?start=1950-01-01&end=1950-02-01&program=swarm") == []


async def test_queries_are_described(serve: Any, queries: Any) -> None:
    """A JSON string each, as printed by the real service."""
    async with serve() as client:

        async def describe(kind: str, query: Any) -> Any:
            status, _, text = await client.call("POST", f"/api/v1/utils/describe/query/{kind}", json=query)
            assert status == 200
            return text

        text = await describe("conjunction", queries.conjunctions())
        assert text.startswith("Find conjunctions of type (nbtrace) with epoch precision of 60 seconds between data")
        assert (await describe("ephemeris", queries.ephemeris())).startswith("Find ephemeris for ((program in (swarm)")
        assert (await describe("data_products", queries.products())).startswith("Find data_products for ((program in")
        path = "/api/v1/utils/describe/cartesian_products"
        assert (await client.call("POST", path, json=queries.conjunctions()))[2] == 24 * 3


async def test_time_zones_are_listed_and_converted(serve: Any) -> None:
    """The two small helpers of the web site."""
    async with serve() as client:
        assert "America/Edmonton" in await client.get("/api/v1/utils/timezones")
        path = "/api/v1/utils/timezones/convert"
        assert await client.get(f"{path}?ts=2020-01-01T00:00:00&tz=America/Edmonton") == "2020-01-01T07:00:00"
        assert await client.get(f"{path}?ts=2020-01-01T00:00:00Z&tz=America/Edmonton") == "2020-01-01T00:00:00"


@pytest.mark.parametrize(("moment", "zone"), [("0001-01-01", "Asia/Tokyo"), ("9999-12-31T23:00", "America/New_York")])
async def test_a_time_that_utc_has_not_is_refused(serve: Any, moment: str, zone: str) -> None:
    """The year 0 and the year 10000 cannot be written: the fault is the caller's, not the service's."""
    async with serve() as client:
        status, _, error = await client.call("GET", f"/api/v1/utils/timezones/convert?ts={moment}&tz={zone}")
        assert (status, error["error_code"]) == (400, "AssertionError")


async def test_availability_ends_with_the_calendar(serve: Any) -> None:
    """A start in the last year has no day twelve months later."""
    async with serve() as client:
        for what in ("ephemeris", "data_products"):
            assert await client.get(f"/api/v1/availability/{what}?start=9999-06-01") == []
            assert await client.get(f"/api/v1/availability/{what}?start=9999-12-31&end=9999-12-31") == []


async def test_a_number_is_written_in_ascii(serve: Any) -> None:
    """The digits of other scripts name no data source."""
    async with serve() as client:
        for path in ("/api/v1/data_sources/٣", "/api/v1/data_sources/٣/stats"):
            assert (await client.call("GET", path))[0] == 400
        admin = {"x-aurorax-api-key": "key-admin"}
        listing = "/api/v1/utils/admin/search_requests?file_size=٣"
        assert (await client.call("GET", listing, headers=admin))[0] == 400


async def test_only_slow_statistics_are_slow(serve: Any) -> None:
    """Anybody may ask for forty of them: uploads, logins and other counts do not wait until they are done."""
    login = Login(Account(email_address="me@example.org"), "secret")
    body = {"email_address": "me@example.org", "password": "secret"}
    upload = "/api/v1/data_sources/3/ephemeris"
    async with serve(logins=(login,), api_keys={"admin": Account(role="Administrator")}) as client:
        base_url = URL(client.base_url)
        sources = await client.get("/api/v1/data_sources?source_type=ground&format=identifier_only")
        slow = []
        for source in sources[:40]:
            reader, writer = await asyncio.open_connection(base_url.host, base_url.port)
            path = f"/api/v1/data_sources/{source['identifier']}/stats?slow=true"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            slow.append((asyncio.create_task(reader.readline()), writer))
        async with asyncio.timeout(8):
            for number in range(3):
                assert await client.get(f"/api/v1/data_sources/{sources[number]['identifier']}?include_stats=true")
                assert (await client.call("POST", "/api/v1/authenticate", json=body))[0] == 200
                assert (await client.call("POST", upload, json=[], headers={"x-aurorax-api-key": "admin"}))[0] == 202
                assert await client.get("/api/v1/availability/ephemeris?start=2020-01-01&end=2020-01-02")
        assert not all(answer.done() for answer, _ in slow)
        for answer, writer in slow:
            answer.cancel()
            writer.close()


async def test_the_text_of_a_missing_source_is_the_known_one(serve: Any) -> None:
    """The official test suite compares it."""
    async with serve() as client:
        status, _, document = await client.call("GET", "/api/v1/data_sources/12345678")
    assert (status, document) == (404, {
        "error_code": "NotFound",
        "error_message": "No Data Source record found in AuroraX for identifier 12345678",
    })  # fmt: skip
