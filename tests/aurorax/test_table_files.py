"""Results as tables, from a search to a file that knows where it comes from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import attrs
import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.clients import ClientAs

from aurora_async import AuroraX, ConjunctionQuery, EphemerisQuery, GroundBlock, SpaceBlock
from aurora_async.errors import InvalidInput, MissingExtra
from aurora_async.server.app import LocalService

SHORT = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")
PAIR = ConjunctionQuery(
    start="2020-01-01",
    end="2020-01-01T06",
    ground=GroundBlock(programs="themis-asi"),
    space=SpaceBlock(programs="swarm"),
    max_distance_km=500,
)


def told(path: Path) -> dict[str, str]:
    """What a Parquet file says of itself."""
    metadata = pq.read_schema(path).metadata
    return {key.decode().removeprefix("aurora_async."): value.decode() for key, value in metadata.items()}


@pytest.mark.parametrize("synchronous", [True, False])
async def test_a_search_becomes_a_table(service: LocalService, tmp_path: Path, synchronous: bool) -> None:
    """By either road: the records of `search`, and the query they answer."""
    async with AuroraX(base_url=service.base_url, synchronous=synchronous) as client:
        found = await client.ephemeris.search(SHORT)
        saved = await client.ephemeris.download(SHORT, tmp_path, format="parquet")
        flat = await client.ephemeris.download(SHORT, tmp_path / "flat.csv", format="csv")
        facts = told(saved.path)
        assert client.ephemeris.read(facts["query"]) == SHORT
    assert saved.path.name.endswith("_data.parquet")
    assert saved.records == flat.records == len(found) == 10
    assert pq.read_table(saved.path).drop(["metadata"]).equals(found.to_arrow().drop(["metadata"]))
    assert list(pd.read_csv(flat.path).columns) == list(found.to_pandas().columns)
    assert facts["service"] == service.base_url
    assert ("request_id" in facts) is not synchronous


async def test_a_request_made_before_tells_its_query_too(
    client: AuroraX, service: LocalService, tmp_path: Path
) -> None:
    """The service knows what was asked; a conjunction's columns come from its first record then."""
    request = await client.conjunctions.submit(PAIR)
    await request.wait()
    resumed = client.conjunctions.resume(request.request_id)
    saved = await resumed.download(tmp_path, format="parquet")
    facts = told(saved.path)
    assert saved.path.name == f"{request.request_id}_data.parquet"
    assert facts["request_id"] == request.request_id
    assert client.conjunctions.read(facts["query"]) == PAIR
    flat = await resumed.download(tmp_path, format="csv")
    assert "program_2" in flat.path.read_text().splitlines()[0]
    assert "program_3" not in flat.path.read_text().splitlines()[0]


async def test_credentials_are_in_no_file(client_as: ClientAs, tmp_path: Path) -> None:
    """Files are passed on; what opens an account is not."""
    async with client_as("user") as client:
        saved = await client.ephemeris.download(SHORT, tmp_path / "file.parquet", format="parquet")
    assert b"key-user" not in saved.path.read_bytes()


async def test_a_response_format_becomes_a_table(client: AuroraX, tmp_path: Path) -> None:
    """Only what was asked, in the types of the record."""
    wanted = {"epoch": True, "nbtrace": {"lat": True}, "data_source": {"platform": True}}
    saved = await client.ephemeris.download(SHORT, tmp_path / "f", format="parquet", response_format=wanted)
    table = pq.read_table(saved.path)
    assert table.column_names == ["data_source", "epoch", "nbtrace"]
    assert table["data_source"].to_pylist() == [{"platform": "swarma"}] * 10
    assert str(table.schema.field("epoch").type) == "timestamp[us, tz=UTC]"
    with pytest.raises(InvalidInput, match="selects no key"):
        await client.ephemeris.download(SHORT, tmp_path / "g", response_format={"epoch": False})


async def test_requests_are_appended_to_one_dataset(client: AuroraX, tmp_path: Path) -> None:
    """Two searches, one of them appended twice: each record once, in a table that pandas opens."""
    for query in (SHORT, attrs.evolve(SHORT, platforms="swarmb")):
        request = await client.ephemeris.submit(query)
        appended = [await request.append(tmp_path / "set") for _ in range(2)]
        assert [one.records for one in appended] == [10, 10]
        assert appended[0].stem == request.request_id
        assert told(tmp_path / "set" / appended[0].files[0].path)["request_id"] == request.request_id
    frame = pd.read_parquet(tmp_path / "set")
    assert frame.groupby("platform", observed=True).size().to_dict() == {"swarma": 10, "swarmb": 10}
    with pytest.raises(InvalidInput, match="partition"):
        await client.ephemeris.resume("unknown", response_format={"epoch": True}).append(tmp_path / "set")


async def test_many_searches_become_tables(client: AuroraX, tmp_path: Path) -> None:
    """Each under the ending of its form."""
    queries: list[Any] = [SHORT, attrs.evolve(SHORT, platforms="swarmb")]
    async for outcome in client.run(queries, folder=tmp_path, format="parquet"):
        assert outcome.error is None
    assert [pq.read_metadata(path).num_rows for path in sorted(tmp_path.iterdir())] == [10, 10]
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet"}


async def test_without_pyarrow_nothing_is_sent(
    client: AuroraX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search of an hour is not made when its result cannot be written."""
    monkeypatch.setattr(sys.modules["aurora_async.transfer.formats"], "find_spec", lambda name: None)
    heard = []
    monkeypatch.setattr(client.ephemeris._engine.session, "exchange", lambda *_, **__: heard.append(1))
    with pytest.raises(MissingExtra):
        await client.ephemeris.download(SHORT, tmp_path, format="parquet")
    with pytest.raises(MissingExtra):
        await client.ephemeris.resume("x").download(tmp_path, format="parquet")
    with pytest.raises(MissingExtra):
        client.run([SHORT], folder=tmp_path, format="parquet")
    assert (heard, list(tmp_path.iterdir())) == ([], [])
