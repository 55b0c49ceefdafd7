"""Data sources: reading them in every way, and changing those one owns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import numpy as np
import pytest
from aiohttp import web
from support.clients import ClientAs, held_open
from support.scripted import Scripted, client_of, serving

from aurora_async import AuroraX, DataSource
from aurora_async.aurorax import NoSuchSource, SchemaField
from aurora_async.errors import Conflict, Forbidden, InvalidInput, MalformedAnswer, NotFound, Unauthorized

SWARM_A = ("swarm", "swarma", "footprint")
NEW: dict[str, Any] = {
    "program": "test-program",
    "platform": "test-platform",
    "instrument_type": "test-instrument",
    "source_type": "leo",
    "display_name": "Test",
}
STATE = SchemaField(field_name="state", description="A state", data_type="string", allowed_values=["definitive"])


async def test_a_source_is_found_by_names_by_number_and_by_lists(client: AuroraX) -> None:
    """Three roads, one record."""
    by_names = await client.sources.find(*SWARM_A)
    assert by_names == await client.sources.get(by_names.identifier)
    assert by_names == await client.sources.get(np.int64(by_names.identifier))  # as it comes out of a table
    assert (by_names.program, by_names.platform, by_names.instrument_type) == SWARM_A
    assert by_names in await client.sources.search(programs="swarm", platforms=["swarma"])
    assert [one.identifier for one in await client.sources.list(platform="swarma")] == [by_names.identifier]


async def test_filters_match_whole_names_and_the_list_is_sorted(client: AuroraX) -> None:
    """`swar` is no program; the order is the caller's."""
    assert await client.sources.list(program="swar") == []
    everything = await client.sources.list()
    assert [one.identifier for one in everything] == sorted(one.identifier for one in everything)
    assert len(everything) > 50
    leo = await client.sources.list(source_type="leo", order="display_name")
    names = [one.display_name for one in leo]
    assert names == sorted(names, key=str)
    assert {one.source_type for one in leo} == {"leo"}


@pytest.mark.parametrize(
    ("level", "known", "unknown"),
    [
        ("identifier_only", (), ("program", "source_type", "metadata", "owner")),
        ("basic_info", ("program", "source_type", "display_name"), ("metadata", "owner", "ephemeris_metadata_schema")),
        ("with_metadata", ("program", "metadata"), ("owner", "ephemeris_metadata_schema")),
        ("full_record", ("program", "metadata", "owner", "ephemeris_metadata_schema"), ()),
    ],
)
async def test_each_level_tells_what_it_says(
    client: AuroraX, level: Any, known: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    """What is not told is None, never a guess."""
    source = await client.sources.find(*SWARM_A, level=level)
    assert [name for name in known if getattr(source, name) is None] == []
    assert [name for name in unknown if getattr(source, name) is not None] == []


async def test_statistics_come_alone_or_with_the_source(client: AuroraX) -> None:
    """Counts and aware times."""
    source = await client.sources.find(*SWARM_A, include_stats=True)
    alone = await client.sources.statistics(source.identifier)
    assert source.stats == alone
    assert alone.ephemeris_count > 0
    assert alone.earliest_ephemeris_loaded is not None
    assert alone.earliest_ephemeris_loaded.utcoffset() is not None


async def test_the_schemas_of_a_source(client: AuroraX) -> None:
    """They say what metadata its records carry."""
    source = await client.sources.find(*SWARM_A)
    schema = await client.sources.ephemeris_schema(source.identifier)
    assert schema == source.ephemeris_metadata_schema
    assert {"nbtrace_region", "state"} <= {field.field_name for field in schema}


async def test_one_that_is_not_there_is_said_so(client: AuroraX) -> None:
    """The error names what was asked, and what to do."""
    with pytest.raises(NoSuchSource, match=r"platform 'swarmz'.*list\(\)") as caught:
        await client.sources.find("swarm", "swarmz", "footprint")
    assert caught.value.platform == "swarmz"
    with pytest.raises(NotFound):
        await client.sources.get(987654)


async def test_nonsense_is_refused_before_anything_is_sent() -> None:
    """Nobody listens at the address: an error that is not about input would be a connection's."""
    async with AuroraX(base_url="http://127.0.0.1:9") as client:
        sources = client.sources
        for call, field in (
            (sources.list(level="all"), "level"),  # type: ignore[arg-type]
            (sources.list(order="colour"), "order"),
            (sources.list(source_type="moon"), "source_type"),
            (sources.list(program=""), "program"),
            (sources.search(programs=[3]), "programs"),  # type: ignore[list-item]
            (sources.get("3"), "identifier"),  # type: ignore[arg-type]
            (sources.delete(True), "identifier"),
            (sources.add(**NEW | {"source_type": "moon"}), "source_type"),
            (sources.add(**NEW | {"display_name": "x" * 51}), "display_name"),
            (sources.add(**NEW | {"identifier": "new"}), "identifier"),
            (sources.replace(DataSource(identifier=3)), "source.program"),
            (sources.replace(DataSource(identifier=3, **NEW)), "source"),
            (sources.search(programs=5), "programs"),  # type: ignore[arg-type]
            (sources.add(**NEW, metadata=5), "metadata"),  # type: ignore[arg-type]
            (sources.add(**NEW, owner=5), "owner"),  # type: ignore[arg-type]
            (sources.add(**NEW, maintainers="a@b"), "maintainers"),
            (sources.add(**NEW, ephemeris_metadata_schema=STATE), "ephemeris_metadata_schema[0]"),  # type: ignore[arg-type]
        ):
            with pytest.raises(InvalidInput) as caught:
                await call
            assert caught.value.field == field


async def test_an_answer_that_is_no_source_names_the_place() -> None:
    """A service that lies is told from one that has nothing."""

    async def lie(request: web.Request) -> web.StreamResponse:
        return web.json_response([{"identifier": 1}, {"identifier": "two"}])

    async with serving(Scripted()) as scripted, client_of(scripted) as client:
        scripted.on("other", lie)
        with pytest.raises(MalformedAnswer, match=r"\$\[1\]\.identifier"):
            await client.sources.list()


class TestChanging:
    """Adding, updating, replacing and deleting, with the roles that may."""

    @pytest.fixture
    async def owner(self, client_as: ClientAs) -> AsyncIterator[AuroraX]:
        """A client that asks as an owner."""
        async with held_open(client_as("owner")) as open_client:
            yield open_client

    async def test_the_life_of_a_source(self, owner: AuroraX) -> None:
        """Added, found, changed in one field, replaced, deleted, gone."""
        added = await owner.sources.add(**NEW, ephemeris_metadata_schema=[STATE], metadata={"a": 1})
        assert added.ephemeris_metadata_schema == [STATE]
        assert await owner.sources.find("test-program", "test-platform", "test-instrument") == added
        changed = await owner.sources.update(added.identifier, display_name="Other", metadata={})
        assert changed == attrs.evolve(added, display_name="Other", metadata={})
        replaced = await owner.sources.replace(attrs.evolve(changed, source_type="heo", metadata={"b": 2}))
        assert (replaced.source_type, replaced.metadata) == ("heo", {"b": 2})
        assert replaced == await owner.sources.get(added.identifier)
        await owner.sources.delete(added.identifier)
        with pytest.raises(NotFound):
            await owner.sources.get(added.identifier)

    async def test_names_and_numbers_are_given_once(self, owner: AuroraX) -> None:
        """The service says so; nothing is overwritten."""
        added = await owner.sources.add(**NEW, identifier=4321)
        assert added.identifier == 4321
        with pytest.raises(Conflict):
            await owner.sources.add(**NEW)
        with pytest.raises(Conflict):
            await owner.sources.add(**NEW | {"platform": "another"}, identifier=4321)

    @pytest.mark.parametrize(
        ("role", "refusal"), [(None, Unauthorized), ("user", Forbidden), ("maintainer", Forbidden)]
    )
    async def test_not_everybody_may(self, client_as: ClientAs, role: str | None, refusal: type[Exception]) -> None:
        """Without a key 401, with too small a role 403."""
        async with client_as(role) as someone:
            with pytest.raises(refusal):
                await someone.sources.add(**NEW)
