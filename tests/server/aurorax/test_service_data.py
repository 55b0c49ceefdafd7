"""The data of a finished search: levels, response formats, generated queries, compression, ranges."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aurora_async.server.rules import FaultRule

BASIC = {"identifier", "program", "platform", "instrument_type", "source_type", "display_name"}
FULL = BASIC | {
    "metadata", "owner", "maintainers", "ephemeris_metadata_schema", "data_product_metadata_schema",
}  # fmt: skip


def result_file(folder: Path) -> Path:
    """The only result there is."""
    (file,) = folder.glob("results/*.json")
    return file


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("identifier_only", {"identifier"}),
        ("basic_info", BASIC),
        ("with_metadata", BASIC | {"metadata"}),
        ("full_record", FULL),
    ],
)
async def test_levels_choose_the_fields_of_data_sources(serve: Any, queries: Any, level: str, keys: set[str]) -> None:
    """In records of all kinds; everything else is the same at every level."""
    async with serve() as client:
        for kind, query in (
            ("ephemeris", queries.ephemeris()),
            ("data_products", queries.products()),
            ("conjunctions", queries.conjunctions(end="2020-01-01T01:59:59")),
        ):
            path, _ = await client.run(kind, query)
            plain = (await client.get(f"{path}/data"))["result"]
            found = (await client.get(f"{path}/data?data_source_record_format={level}"))["result"]
            assert len(found) == len(plain) > 0
            for one, other in zip(found, plain, strict=True):
                if kind == "conjunctions":
                    assert all(set(source) == keys for source in one["data_sources"])
                    assert set(one["events"][0]["e1_source"]) == keys
                    assert (one["start"], one["min_distance"]) == (other["start"], other["min_distance"])
                else:
                    assert set(one["data_source"]) == keys
                    assert one | {"data_source": None} == other | {"data_source": None}


async def test_ephemeris_queries_are_generated_on_demand(serve: Any, queries: Any) -> None:
    """Each gives the records of its side of the pair, with the filters that its block had."""
    filters = {"logical_operator": "AND", "expressions": [{"key": "state", "operator": "=", "values": ["predictive"]}]}
    space = [{"programs": ["swarm"], "ephemeris_metadata_filters": filters}]
    async with serve() as client:
        path, _ = await client.run("conjunctions", queries.conjunctions(space=space, end="2020-01-01T01:59:59"))
        plain = (await client.get(f"{path}/data?generate_ephemeris_queries=False"))["result"]
        assert plain[0]["events"][0]["generated_e1_ephemeris_query"] is None
        found = (await client.get(f"{path}/data?generate_ephemeris_queries=True"))["result"]
        assert [record["closest_epoch"] for record in found] == [record["closest_epoch"] for record in plain]
        event = found[0]["events"][0]
        ground, space_query = event["generated_e1_ephemeris_query"], event["generated_e2_ephemeris_query"]
        assert ground["data_sources"]["platforms"] == [event["e1_source"]["platform"]]
        assert space_query["data_sources"]["ephemeris_metadata_filters"] == filters
        assert await client.records("ephemeris", {key: space_query[key] for key in ("start", "end", "data_sources")})


async def test_a_response_format_selects_fields(serve: Any, queries: Any) -> None:
    """True selects, false and absence leave out."""
    chosen = {"epoch": True, "nbtrace": {"lat": True, "lon": False}, "data_source": {"identifier": True, "owner": True}}
    async with serve() as client:
        path, _ = await client.run("ephemeris", queries.ephemeris())
        status, _, document = await client.call("POST", f"{path}/data", json=chosen)
    assert status == 200
    assert document["result"][0] == {
        "data_source": {"identifier": 3, "owner": "dchaddoc@ucalgary.ca"},
        "epoch": "2020-01-01T00:00:00",
        "nbtrace": {"lat": pytest.approx(76.9, abs=0.5)},
    }
    assert len(document["result"]) == 10


async def test_bodies_come_compressed_when_asked_for(serve: Any, queries: Any) -> None:
    """Stored and reformatted ones; small ones are not worth it."""
    async with serve() as client, aiohttp.ClientSession(auto_decompress=False) as session:
        path, _ = await client.run("ephemeris", queries.ephemeris(end="2020-01-01T23:59:59"))
        for level in ("basic_info", "full_record"):
            url = f"{client.base_url}{path}/data?data_source_record_format={level}"
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
                plain = await answer.read()
                assert "Content-Encoding" not in answer.headers
            for accepted in ("gzip", "br, gzip;q=0.5", "*"):
                async with session.get(url, headers={"Accept-Encoding": accepted}) as answer:
                    packed = await answer.read()
                    assert answer.headers["Content-Encoding"] == "gzip"
                    assert answer.headers["Content-Type"] == "application/json"
                assert gzip.decompress(packed) == plain
                assert len(packed) < len(plain) / 3
            async with session.get(url, headers={"Accept-Encoding": "gzip;q=0"}) as answer:
                assert "Content-Encoding" not in answer.headers
        async with session.get(f"{client.base_url}{path}", headers={"Accept-Encoding": "gzip"}) as answer:
            assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("end", "faults"),
    [
        ("2020-01-01T00:09:59", ()),
        ("2020-01-01T23:59:59", ()),
        ("2020-01-01T23:59:59", (FaultRule(path="*/data", headers={"X-Seen": "yes"}),)),
    ],
)
async def test_plain_bodies_can_be_resumed(serve: Any, queries: Any, end: str, faults: tuple[FaultRule, ...]) -> None:
    """Length, a strong validator, and ranges of the very same bytes: for small files and for large ones.

    Those the system sends itself, unless a fault has to see them.
    """
    plain = {"Accept-Encoding": "identity"}
    async with serve(faults=faults) as client:
        path, status = await client.run("ephemeris", queries.ephemeris(end=end))
        url = f"{client.base_url}{path}/data"
        async with client.session.get(url, headers=plain) as answer:
            body = await answer.read()
            etag = answer.headers["ETag"]
            assert int(answer.headers["Content-Length"]) == len(body)
            assert answer.headers["Last-Modified"]
            assert ("X-Seen" in answer.headers) is bool(faults)
            assert not etag.startswith("W/")
        assert len(body) == status["search_result"]["file_size"] + len('{"result":}')
        asked = {"Range": "bytes=1000-", "If-Range": etag, "Accept-Encoding": "gzip"}
        async with client.session.get(url, headers=asked) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes 1000-{len(body) - 1}/{len(body)}"
            assert answer.headers["ETag"] == etag
            assert answer.headers["Content-Type"] == "application/json"
            assert await answer.read() == body[1000:]
        async with client.session.get(url, headers=asked | {"If-Range": '"another"'}) as answer:
            assert (answer.status, await answer.read()) == (200, body)
        for text, first, last in (("bytes=5-9", 5, 9), ("bytes=-4", len(body) - 4, len(body) - 1)):
            async with client.session.get(url, headers={"Range": text}) as answer:
                assert (answer.status, await answer.read()) == (206, body[first : last + 1])
                assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(body)}"
        async with client.session.get(url, headers={"Range": f"bytes={len(body)}-"}) as answer:
            assert answer.status == 416
            assert answer.headers["Content-Range"] == f"bytes */{len(body)}"
        async with client.session.get(url, headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
        async with client.session.head(url, headers=plain) as answer:
            assert (answer.status, int(answer.headers["Content-Length"])) == (200, len(body))


async def test_results_of_earlier_versions_are_found(serve: Any, queries: Any, tmp_path: Path) -> None:
    """They lay in folders by the first two digits of the identifier."""
    async with serve(data_dir=tmp_path) as client:
        path, _ = await client.run("ephemeris", queries.ephemeris())
        document = await client.get(f"{path}/data")
    file = result_file(tmp_path)
    (file.parent / file.name[:2]).mkdir()
    file.rename(file.parent / file.name[:2] / file.name)
    async with serve(data_dir=tmp_path) as client:
        assert await client.get(f"{path}/data") == document


async def test_a_lost_file_is_an_expired_result(serve: Any, queries: Any, tmp_path: Path) -> None:
    """Whoever removed it (a cleaning job, a user): 200 with an error document, as from the real service."""
    async with serve(data_dir=tmp_path) as client:
        path, _ = await client.run("ephemeris", queries.ephemeris())
        result_file(tmp_path).unlink()
        document = await client.get(f"{path}/data")
        _, _, formatted = await client.call("POST", f"{path}/data", json={"epoch": True})
    assert document == formatted
    assert document["error"]["error_code"] == "NotFound"


@pytest.mark.parametrize("is_formatted", [False, True])
async def test_an_answer_that_fails_in_its_middle_is_cut(
    serve: Any, queries: Any, tmp_path: Path, is_formatted: bool
) -> None:
    """An error document inside a body that is under way would pass for a part of it, or leave the client waiting."""
    async with serve(data_dir=tmp_path) as client:
        path, _ = await client.run("ephemeris", queries.ephemeris())
        file = result_file(tmp_path)
        prefix, *lines, _, _ = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(prefix + lines[0] * (30_000_000 // len(lines[0])) + b"{no record}\n]\n}")
        method, body = ("POST", {"epoch": True, "metadata": True}) if is_formatted else ("GET", None)
        plain = {"Accept-Encoding": "identity"}
        async with client.session.request(method, f"{client.base_url}{path}/data", json=body, headers=plain) as answer:
            assert answer.status == 200
            assert await answer.content.readexactly(1000)
            if not is_formatted:
                os.truncate(file, 20_000_000)
            with pytest.raises(aiohttp.ClientPayloadError):
                async with asyncio.timeout(30):
                    await answer.content.read()


@pytest.mark.parametrize("kind", ["ephemeris", "data_products"])
async def test_the_synchronous_variants_answer_the_records(serve: Any, queries: Any, kind: str) -> None:
    """A bare list, at a level or in a format, and nothing is kept."""
    query = queries.ephemeris() if kind == "ephemeris" else queries.products()
    async with serve() as client:
        records = await client.records(kind, query)
        path = f"/api/v1/{kind}/search_synchronous"
        status, _, found = await client.call("POST", path, json={"query": query})
        assert (status, found) == (200, records)
        _, _, full = await client.call("POST", f"{path}?data_source_record_format=full_record", json={"query": query})
        assert set(full[0]["data_source"]) == FULL
        chosen = {"query": query, "response_format": {"metadata": True}}
        _, _, parts = await client.call("POST", path, json=chosen)
        assert parts == [{"metadata": record["metadata"]} for record in records]
        nothing = query | {"start": "1998-01-01T00:00:00", "end": "1998-01-01T00:01:00"}
        for body in ({"query": nothing}, {"query": nothing, "response_format": {"metadata": True}}):
            assert (await client.call("POST", path, json=body))[2] == []
        admin = {"x-aurorax-api-key": "key-admin"}
        assert len(await client.get("/api/v1/utils/admin/search_requests", headers=admin)) == 1


async def test_answers_of_any_size_are_streamed(serve: Any, queries: Any, tmp_path: Path) -> None:
    """A file of 200 MB costs the service no more memory than one of 2 MB."""
    psutil = pytest.importorskip("psutil")
    async with serve(data_dir=tmp_path) as client:
        path, _ = await client.run("ephemeris", queries.ephemeris(end="2020-01-01T23:59:59"))
        file = result_file(tmp_path)
        prefix, *lines, _, _ = file.read_bytes().splitlines(keepends=True)
        with file.open("wb") as grown:
            grown.write(prefix)
            block = b"".join(lines)[:-1] + b",\n"
            for _ in range(60_000_000 // len(block)):
                grown.write(block)
            grown.write(lines[-1] + b"]\n}")
        before = psutil.Process().memory_info().rss
        peak = total = 0
        for url, body in ((f"{path}/data", None), (f"{path}/data", {"epoch": True})):
            method = "GET" if body is None else "POST"
            async with client.session.request(method, f"{client.base_url}{url}", json=body) as answer:
                async for chunk in answer.content.iter_any():
                    total += len(chunk)
                    peak = max(peak, psutil.Process().memory_info().rss)
    assert total > 60_000_000
    assert peak - before < 30_000_000


def test_json_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    """The empty list as it lies in a file."""
    assert json.loads(b'{"result":[\n\n]\n}') == {"result": []}
