"""The official client and ours find the same: record for record, description for description, byte for byte."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

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

pytestmark = pytest.mark.peers

START, END = datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 23, 59, 59)
MORNING = datetime(2020, 1, 1, 6, 59, 59)


def their_conjunctions(aurorax: Any, **how: Any) -> Any:
    """The published search, asked for by the official client."""
    return aurorax.search.conjunctions.search(
        START, MORNING, 500, ground=[{"programs": ["themis-asi"]}], space=[{"programs": ["swarm"]}],
        poll_interval=0.05, **how,
    )  # fmt: skip


def our_conjunctions() -> ConjunctionQuery:
    """The same, asked for by ours."""
    return ConjunctionQuery(
        start=START, end=MORNING, max_distance_km=500, ground=GroundBlock(programs="themis-asi"),
        space=SpaceBlock(programs="swarm"),
    )  # fmt: skip


async def test_conjunctions_are_equal_with_their_events(aurorax: Any, base_url: str, plain: Any) -> None:
    """All 49, each with its sources and pairs, in the same order, every digit alike; of the same request, too."""
    theirs = their_conjunctions(aurorax)
    async with AuroraX(base_url=base_url) as client:
        ours = await client.conjunctions.search(our_conjunctions())
        same = [record async for record in client.conjunctions.resume(theirs.request_id).stream()]
    assert len(ours) == 49
    assert plain(ours) == plain(theirs.data) == plain(same)
    assert plain(ours[0])["events"][0]["e1_source"]["program"] == "themis-asi"


async def test_conjunctions_of_four_blocks_are_equal(aurorax: Any, base_url: str, plain: Any) -> None:
    """Filters, hemispheres, custom places, several types and limits by pair, all at once."""
    search = aurorax.search
    regions = ["north auroral oval", "north polar cap"]
    theirs = search.conjunctions.search(
        START, END, {"ground1-space1": 600, "ground1-adhoc1": None, "space1-adhoc1": 900, "ground1-space2": None,
                     "space1-space2": 3000, "space2-adhoc1": None},
        ground=[search.GroundCriteriaBlock(programs=["themis-asi"], platforms=["gillam", "the pas", "rankin inlet"])],
        space=[
            search.SpaceCriteriaBlock(programs=["swarm"], platforms=["swarma"], metadata_filters=search.MetadataFilter(
                [search.MetadataFilterExpression("nbtrace_region", regions, operator="in")])),
            search.SpaceCriteriaBlock(programs=["swarm"], platforms=["swarmc"], hemisphere=["northern"]),
        ],
        custom_locations=[search.CustomLocationsCriteriaBlock(locations=[(56.354, -94.656), (62.8, -92.1)])],
        conjunction_types=["nbtrace", "geographic"], poll_interval=0.05,
    )  # fmt: skip
    query = ConjunctionQuery(
        start=START,
        end=END,
        ground=GroundBlock(programs="themis-asi", platforms=["gillam", "the pas", "rankin inlet"]),
        space=[
            SpaceBlock(
                programs="swarm",
                platforms="swarma",
                metadata_filter=MetadataFilter([MetadataExpression("nbtrace_region", regions)]),
            ),
            SpaceBlock(programs="swarm", platforms="swarmc", hemisphere="northern"),
        ],
        custom_locations=CustomLocationsBlock(locations=[(56.354, -94.656), (62.8, -92.1)]),
        conjunction_types=["nbtrace", "geographic"],
        max_distance_km={"ground1-space1": 600, "space1-custom1": 900, "space1-space2": 3000},
    )
    async with AuroraX(base_url=base_url) as client:
        ours = await client.conjunctions.search(query)
        described = await client.conjunctions.describe(query)
    assert plain(ours) == plain(theirs.data)
    assert {record.conjunction_type for record in ours} == {"nbtrace", "geographic"}
    assert {len(record.events) for record in ours} == {3}
    assert described == theirs.describe()


async def test_ephemeris_of_a_whole_day_is_equal(aurorax: Any, base_url: str, plain: Any) -> None:
    """1440 records of a spacecraft and those of an imager, with open field lines and missing positions among them."""
    theirs = aurorax.search.ephemeris.search(START, END, platforms=["swarma", "gillam"], poll_interval=0.05)
    query = EphemerisQuery(start=START, end=END, platforms=["swarma", "gillam"])
    async with AuroraX(base_url=base_url) as client:
        ours = await client.ephemeris.search(query)
        same = [record async for record in client.ephemeris.resume(theirs.request_id).stream()]
        described = await client.ephemeris.describe(query)
    async with AuroraX(base_url=base_url, synchronous=False) as client:
        submitted = await client.ephemeris.search(query)
    assert len(ours) > 1440
    assert plain(ours) == plain(theirs.data) == plain(same) == plain(submitted)
    assert described == theirs.describe()


async def test_data_products_are_equal(aurorax: Any, base_url: str, plain: Any) -> None:
    """A day of all TREx cameras, whole and filtered."""
    filters = [{"key": "keogram_type", "operator": "=", "values": ["daily"]}]
    theirs = aurorax.search.data_products.search(START, END, programs=["trex"], poll_interval=0.05)
    fewer = aurorax.search.data_products.search(
        START, END, programs=["trex"], data_product_types=["keogram"], metadata_filters=filters, poll_interval=0.05
    )
    query = DataProductQuery(start=START, end=END, programs="trex")
    filtered = DataProductQuery(
        start=START, end=END, programs="trex", data_product_types="keogram",
        metadata_filter=MetadataFilter([MetadataExpression("keogram_type", "daily", "=")]),
    )  # fmt: skip
    async with AuroraX(base_url=base_url) as client:
        ours = await client.data_products.search(query)
        same = [record async for record in client.data_products.resume(theirs.request_id).stream()]
        ours_fewer = await client.data_products.search(filtered)
        described = await client.data_products.describe(filtered)
    assert plain(ours) == plain(theirs.data) == plain(same)
    assert plain(ours_fewer) == plain(fewer.data)
    assert 0 < len(ours_fewer) < len(ours)
    assert described == fewer.describe()


async def test_records_in_a_response_format_are_equal(aurorax: Any, base_url: str) -> None:
    """Both give plain dictionaries; those of the official client have their timestamps converted."""
    template = aurorax.search.conjunctions.create_response_format_template()
    theirs = their_conjunctions(aurorax, response_format=template)
    raw = aurorax.search.requests.get_data(theirs.data_url, response_format=template, skip_serializing=True)
    async with AuroraX(base_url=base_url) as client:
        ours = await client.conjunctions.search(our_conjunctions(), response_format=template)
    assert ours == raw
    assert ours[0]["events"][0]["generated_e1_ephemeris_query"] is not None


async def test_our_requests_are_read_by_the_official_client(aurorax: Any, base_url: str, plain: Any) -> None:
    """A request submitted here can be waited for and fetched there: identifiers are all that is passed on."""
    async with AuroraX(base_url=base_url) as client:
        request = await client.conjunctions.submit(our_conjunctions())
        url = aurorax.search.conjunctions.get_request_url(request.request_id)
        status = aurorax.search.requests.wait_for_data(url, poll_interval=0.05)
        ours = [record async for record in request.stream()]
    raw = aurorax.search.requests.get_data(f"{url}/data")
    assert status["search_result"]["result_count"] == len(raw) == 49
    assert plain(raw) == plain(ours)


QUERIES: dict[str, tuple[dict[str, Any], Any]] = {
    "conjunctions": (
        {
            "start": "2020-01-01T00:00:00.000Z",
            "end": "2020-01-01T06:59:59.000Z",
            "ground": [{"programs": ["themis-asi"]}],
            "space": [{"programs": ["swarm"]}],
            "conjunction_types": ["nbtrace", "sbtrace"],
            "max_distances": {"ground1-space1": 500},
        },
        ConjunctionQuery(
            start=START, end=MORNING, max_distance_km=500, ground=GroundBlock(programs="themis-asi"),
            space=SpaceBlock(programs="swarm"), conjunction_types=["nbtrace", "sbtrace"],
        ),
    ),
    "ephemeris": (
        {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59", "data_sources": {"programs": ["swarm"]}},
        EphemerisQuery(start=START, end=END, programs="swarm"),
    ),
    "data_products": (
        {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59", "data_sources": {"programs": ["trex"]}},
        DataProductQuery(start=START, end=END, programs="trex"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", QUERIES)
async def test_our_file_is_that_of_the_official_command_line_byte_for_byte(
    aurorax_cli: Any, base_url: str, tmp_path: Path, kind: str
) -> None:
    """A central promise: who changes clients finds the same files, and may go on comparing their checksums.

    Of the same request, of the same query in a request of its own, and of the same query in one exchange; with many
    records of the same minute, which both must leave in the order of the service.
    """
    import json

    document, query = QUERIES[kind]
    (tmp_path / "query.json").write_text(json.dumps(document))
    ran = aurorax_cli("search", kind, "search", "query.json", "--outfile", "theirs.json", "--poll-interval", "0.05")
    assert ran.code == 0, ran.output
    fetched = aurorax_cli("search", kind, "get_data", ran.request_id)
    assert fetched.lines[-1] == f"Data has been saved to '{ran.request_id}_data.json'"
    theirs = (tmp_path / "theirs.json").read_bytes()
    assert (tmp_path / f"{ran.request_id}_data.json").read_bytes() == theirs

    folder = tmp_path / "ours"
    folder.mkdir()
    async with AuroraX(base_url=base_url) as client:
        searches = getattr(client, kind)
        same = await searches.resume(ran.request_id).download(folder, format="json")
        again = await searches.download(query, folder / "again.json", format="json")
    async with AuroraX(base_url=base_url, synchronous=False) as client:
        submitted = await getattr(client, kind).download(query, folder / "submitted.json", format="json")
    assert Path(same.path).name == f"{ran.request_id}_data.json"
    assert same.records == len(json.loads(theirs)) > 90
    for saved in (same, again, submitted):
        assert Path(saved.path).read_bytes() == theirs
