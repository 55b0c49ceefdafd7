"""Requests that were made before: where they stand, what they asked, asking it again, deleting what they found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from support.clients import ClientAs
from support.scripted import Scripted, serving

from aurora_async import AuroraX, ConjunctionQuery, EphemerisQuery, GroundBlock, Phase, SpaceBlock
from aurora_async.aurorax import links
from aurora_async.aurorax.distances import max_distances
from aurora_async.errors import InvalidInput, InvalidQuery, NotFound, ResultExpired
from aurora_async.server.app import LocalService

QUERY = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", programs="swarm", platforms="swarma")
CONJUNCTIONS = ConjunctionQuery(
    start="2020-01-01T00:00",
    end="2020-01-01T01:59",
    ground=GroundBlock(programs="themis-asi"),
    space=SpaceBlock(programs="swarm"),
    max_distance_km=500,
)


async def test_the_life_of_a_request(client: AuroraX) -> None:
    """Submitted here, looked at by its identifier alone, asked again, and its result deleted."""
    request = await client.ephemeris.submit(QUERY)
    await request.wait()
    status = await client.ephemeris.status(request.request_id)
    assert (status.phase, status.records) == (Phase.READY, 10)
    assert await client.ephemeris.query(request.request_id) == QUERY
    again = await client.ephemeris.resubmit(request.request_id)
    assert again.request_id != request.request_id
    assert await again.records() == await request.records()
    deleted = await client.ephemeris.delete_result(request.request_id)
    assert deleted.phase is Phase.EXPIRED
    with pytest.raises(ResultExpired):
        await client.ephemeris.resume(request.request_id).records()
    assert len(await again.records()) == 10


async def test_logs_can_be_had_of_one_level(client: AuroraX) -> None:
    """Exactly that level, in order; all of them without."""
    request = await client.ephemeris.submit(QUERY)
    await request.wait()
    everything = await client.ephemeris.logs(request.request_id)
    by_level = {
        level: await client.ephemeris.logs(request.request_id, level=level)
        for level in ("debug", "info", "warn", "error")
    }
    assert everything == [entry for entry in everything if entry in by_level[entry.level]]
    assert by_level["info"]
    assert by_level["debug"]
    assert {entry.level for entry in by_level["info"]} == {"info"}
    assert by_level["error"] == []


async def test_cancel_by_identifier(client: AuroraX, service: LocalService) -> None:
    """One that is over stays as it is, with its result; one nobody knows is said so."""
    request = await client.ephemeris.submit(QUERY)
    await request.wait()
    await client.ephemeris.cancel(request.request_id)
    assert (await client.ephemeris.status(request.request_id)).phase is Phase.READY
    with pytest.raises(NotFound):
        await client.ephemeris.cancel("some-bad-request-id")


@pytest.mark.parametrize("request_id", ["", "..", " ", 3, None])
async def test_what_is_no_identifier_is_refused_before_anything_is_sent(request_id: Any) -> None:
    """`..` would be another address; nobody listens at this one."""
    async with AuroraX(base_url="http://127.0.0.1:9") as client:
        searches = client.ephemeris
        for verb in (searches.status, searches.logs, searches.query, searches.resubmit, searches.delete_result):
            with pytest.raises(InvalidInput) as caught:
                await verb(request_id)
            assert caught.value.field == "request_id"
        with pytest.raises(InvalidInput):
            searches.resume(request_id)
        with pytest.raises(InvalidInput, match="level"):
            await searches.logs("any", level="all")  # type: ignore[arg-type]


async def test_an_identifier_of_any_text_is_one_part_of_the_path(client: AuroraX) -> None:
    """What looks like a path or a query is neither."""
    for request_id in ("a/b", "a?b=c", "a#b", "../data_sources", "ä ö"):
        with pytest.raises(NotFound):
            await client.ephemeris.status(request_id)


@pytest.mark.parametrize("form", ["mapping", "text", "bytes", "bom", "loose"])
async def test_a_query_copied_from_the_web_site_is_accepted(client: AuroraX, form: str) -> None:
    """With fractions and Z in the timestamps, and with the identifier of the search it came from."""
    document: dict[str, Any] = {
        "request_id": "86b5e7b0-fe87-424a-a894-dd8c80f7beaa",
        "start": "2020-01-01T00:00:00.000Z",
        "end": "2020-01-01T00:09:59.000Z",
        "data_sources": {"programs": ["swarm"], "platforms": ["swarma"], "instrument_types": ["footprint"]},
    }
    text = json.dumps(document)
    loose = document | {"start": datetime(2020, 1, 1, tzinfo=UTC), "data_sources": {"platforms": (np.str_("swarma"),)}}
    forms = {"mapping": document, "text": text, "bytes": text.encode(), "bom": f"\ufeff{text}", "loose": loose}
    query: Any = forms[form]
    assert len(await client.ephemeris.search(query)) == 10
    request = await client.ephemeris.submit(query)
    assert request.request_id != document["request_id"]
    assert [record.epoch.minute async for record in client.ephemeris.stream(query)] == list(range(10))
    assert "swarma" in await client.ephemeris.describe(query)
    read = client.ephemeris.read(query)
    assert (read.start, read.platforms) == (QUERY.start, QUERY.platforms)


async def test_a_document_that_is_wrong_names_the_place(client: AuroraX) -> None:
    """As the same mistake in an object would be."""
    with pytest.raises(InvalidQuery) as caught:
        await client.conjunctions.search(
            {"start": "2020-01-01", "end": "2020-01-02", "space": [{"colour": "red"}], "max_distances": {}}
        )
    assert caught.value.field == "space[0].colour"
    with pytest.raises(InvalidQuery, match="not JSON"):
        await client.conjunctions.submit("{")
    with pytest.raises(InvalidQuery):
        await client.conjunctions.submit(QUERY)  # type: ignore[arg-type]


async def test_combinations_are_counted_without_a_search(client: AuroraX) -> None:
    """As many as there are pairs of an imager and a spacecraft."""
    imagers = await client.sources.list(program="themis-asi")
    spacecraft = await client.sources.list(program="swarm")
    assert await client.conjunctions.count_combinations(CONJUNCTIONS) == len(imagers) * len(spacecraft)


async def test_a_template_of_a_response_format_is_a_response_format(client: AuroraX) -> None:
    """All keys at once give the whole record."""
    template = client.ephemeris.response_format()
    assert template["data_source"]["identifier"] is True
    assert client.ephemeris.response_format(default=False)["nbtrace"] == {"lat": False, "lon": False}
    (record, *_) = await client.ephemeris.search(QUERY, response_format=template)
    assert record.keys() == template.keys()  # type: ignore[attr-defined]
    assert set(client.conjunctions.response_format()) == {
        "conjunction_type", "start", "end", "min_distance", "max_distance", "closest_epoch", "farthest_epoch",
        "data_sources", "events",
    }  # fmt: skip


async def test_a_key_that_records_have_not_is_refused_before_anything_is_sent() -> None:
    """The service would answer with empty records; nobody listens at this address."""
    async with AuroraX(base_url="http://127.0.0.1:9") as client:
        for response_format, field in (
            ({"epoc": True}, "response_format.epoc"),
            ({"nbtrace": {"lat": True, "height": True}}, "response_format.nbtrace.height"),
        ):
            for call in (client.ephemeris.search, client.ephemeris.submit):
                with pytest.raises(InvalidInput, match="known are") as caught:
                    await call(QUERY, response_format=response_format)
                assert caught.value.field == field


async def test_a_password_in_the_base_url_is_not_shown() -> None:
    """Not by the client, and not in an address that is passed on."""
    async with AuroraX(base_url="http://bob:s3cret@127.0.0.1:9") as client:
        assert "s3cret" not in repr(client) + client.ephemeris.request_url("abc")


async def test_an_identifier_never_leads_out_of_the_folder(
    client: AuroraX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever text it is, the file lies where it was asked for."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response([])

    (tmp_path / "in").mkdir()
    async with serving(Scripted()) as other:
        other.on("other", answer)
        monkeypatch.setattr(links, "_SWARM_AURORA", f"{other.base_url}/conjunctionFinder")
        path = await client.conjunctions.save_swarmaurora_import("../../out", tmp_path / "in")
    assert path.parent == tmp_path / "in"
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


async def test_addresses_of_a_request(client: AuroraX, service: LocalService) -> None:
    """The service's own, and the pages that show a result."""
    searches = client.conjunctions
    assert searches.request_url("abc") == f"{service.base_url}/api/v1/conjunctions/requests/abc"
    assert searches.page_url("abc") == "https://aurorax.space/conjunctionSearch/standard?requestID=abc"
    assert searches.page_url("abc", expert=True) == "https://aurorax.space/conjunctionSearch/expert?requestID=abc"
    assert searches.swarmaurora_url("a&b") == "https://swarm-aurora.com/conjunctionFinder?aurorax_request_id=a%26b"


async def test_the_import_file_for_swarm_aurora_is_fetched_without_our_key(
    client_as: ClientAs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another service, to which our key means nothing."""
    keys: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers.get("x-aurorax-api-key"))
        assert request.path_qs == "/conjunctionFinder/generate_custom_import_json?aurorax_request_id=abc"
        return web.json_response([{"a": 1}])

    async with serving(Scripted()) as other, client_as("owner") as client:
        other.on("other", answer)
        monkeypatch.setattr(links, "_SWARM_AURORA", f"{other.base_url}/conjunctionFinder")
        assert await client.conjunctions.swarmaurora_import("abc") == [{"a": 1}]
        path = await client.conjunctions.save_swarmaurora_import("abc", tmp_path)
        with pytest.raises(InvalidInput):
            await client.conjunctions.save_swarmaurora_import(" ", tmp_path / "new" / "x.json")
    assert keys == [None, None]
    assert path == tmp_path / "swarmaurora_custom_import_abc.json"
    assert path.read_text() == json.dumps([{"a": 1}], indent=4)
    assert list(tmp_path.iterdir()) == [path]


def test_distances_of_all_pairs() -> None:
    """One distance for every pair of blocks, in the query's own names."""
    assert max_distances(500, ground=2, space=1) == {
        "ground1-ground2": 500, "ground1-space1": 500, "ground2-space1": 500,
    }  # fmt: skip
