"""Batches of AuroraX searches: what is cut into windows, and what is gathered in one dataset."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clients import ClientAs

from aurora_async import (
    AuroraX,
    Batch,
    ConjunctionQuery,
    DataProductQuery,
    EphemerisQuery,
    GroundBlock,
    PlannedSearch,
    SpaceBlock,
    Stage,
)
from aurora_async.errors import InvalidInput
from aurora_async.server.app import LocalService

DAY = timedelta(days=1)

POSITIONS = EphemerisQuery(start="2020-01-01T18", end="2020-01-03T05", programs="swarm", platforms=["swarma", "swarmb"])
MEETINGS = ConjunctionQuery(
    start="2020-01-01",
    end="2020-01-03",
    ground=GroundBlock(programs="themis-asi"),
    space=SpaceBlock(programs="swarm"),
    max_distance_km=500,
)
KEOGRAMS = DataProductQuery(start="2020-01", end="2020-03", programs="trex", data_product_types="keogram")


async def finished(batch: Batch) -> dict[str, Any]:
    """Run a batch to its end, and return what its manifest says, by file."""
    async with batch:
        status = await batch.finish()
        assert status.is_complete, await batch.report()
        assert await batch.verify() == []
        return {row.path: row for row in batch.folder.rows()}


@pytest.mark.parametrize(
    ("kind", "query"), [("ephemeris", POSITIONS), ("conjunctions", MEETINGS), ("data_products", KEOGRAMS)]
)
@pytest.mark.parametrize("response_format", [None, {"start": True, "epoch": True}], ids=["whole", "parts"])
async def test_a_query_in_windows_gives_the_file_of_one_piece(
    client: AuroraX, tmp_path: Path, kind: str, query: Any, response_format: dict[str, Any] | None
) -> None:
    """Whoever reads the file cannot see how it came about; its name and the manifest are those of one query."""
    if response_format is not None:
        response_format = {"epoch" if kind == "ephemeris" else "start": True}
    one = PlannedSearch(query=query, name="found")
    batch = client.batch(tmp_path / "cut", [one], format="json", window=DAY, response_format=response_format)
    row = (await finished(batch))["found.json"]
    assert row.windows >= 2 and row.attempts == row.windows == len(set(row.request_ids))
    whole = tmp_path / "whole.json"
    await getattr(client, kind).download(query, whole, response_format=response_format)
    assert (tmp_path / "cut" / "found.json").read_text() == whole.read_text()
    assert sorted(path.name for path in (tmp_path / "cut").iterdir() if path.suffix != ".parquet") == [
        "found.json", "journal.sqlite", "manifest.json", "report.md",
    ]  # fmt: skip


async def test_a_merged_table_says_where_it_comes_from(client: AuroraX, tmp_path: Path) -> None:
    """Its file may be found years later, without the manifest."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = await finished(client.batch(tmp_path / "cut", [POSITIONS], format="parquet", window=DAY))
    ((path, row),) = rows.items()
    about = parquet.read_schema(tmp_path / "cut" / path).metadata
    assert about[b"aurora_async.request_ids"].decode().split() == row.request_ids
    assert about[b"aurora_async.service"].decode() == client.config.base_url.rstrip("/")


async def test_windows_that_are_done_are_not_asked_for_again(
    service: LocalService, client_as: ClientAs, tmp_path: Path
) -> None:
    """A year is many windows: a run that stops after some of them goes on with the others, and merges all."""
    async with client_as(None) as client, client.batch(tmp_path, [POSITIONS], window=DAY) as batch:
        async for window in batch.run(at_once=1):
            assert window.parent == 1 and window.records
            batch.stop()
        status = await batch.status()
        assert status.counts == {Stage.SPLIT: 1} and status.requests == 1
    async with client_as(None) as client:
        (row,) = (await finished(client.batch(tmp_path, [POSITIONS], window=DAY))).values()
    assert row.records == 2 * 36 * 60 and row.attempts == row.windows == 3


@pytest.mark.parametrize(("window", "shown"), [(7 * DAY, "7d"), (DAY / 4, "6h"), (DAY / 48, "30min"), ("auto", "auto")])
async def test_the_report_names_the_window_as_a_plan_does(
    client: AuroraX, tmp_path: Path, window: Any, shown: str
) -> None:
    """It is read by those who want the same once more."""
    short = EphemerisQuery(start="2020-01-01T18:00:00", end="2020-01-01T18:00:30", platforms="swarma")
    async with client.batch(tmp_path, [short], window=window) as batch:
        await batch.finish()
        said = await batch.report()
    assert f"\n- window: {shown}\n" in said
    assert "1 of 1 query has its file: 1 record," in said and said.splitlines()[2].endswith(", 1 request.")


async def test_a_window_that_is_lost_is_fetched_again(client: AuroraX, tmp_path: Path) -> None:
    """Somebody tidies up between two runs: the merged result has everything all the same."""
    async with client.batch(tmp_path, [POSITIONS], window=DAY) as batch:
        async for window in batch.run(at_once=1):
            (tmp_path / window.path).unlink()
            batch.stop()
    (row,) = (await finished(client.batch(tmp_path, [POSITIONS], window=DAY))).values()
    assert row.records == 2 * 36 * 60 and row.attempts == 3  # the result was still there


async def test_a_dataset_has_every_record_once(client: AuroraX, tmp_path: Path) -> None:
    """However often a batch is run, and however many batches share it: the same query has the same place in it."""
    pytest.importorskip("pyarrow")
    import pyarrow.dataset as ds

    for name in ("first", "again", "first"):
        await finished(client.batch(tmp_path / name, [POSITIONS, MEETINGS], window=DAY, dataset=tmp_path / "dataset"))
    rows = ds.dataset(tmp_path / "dataset", partitioning="hive").to_table(["program", "platform", "date"]).to_pylist()
    by_day = Counter((row["platform"], str(row["date"])) for row in rows if row["program"] == "swarm")
    names = [path for path in (tmp_path / "dataset").rglob("*.parquet") if path.name.startswith("ephemeris")]
    about = pytest.importorskip("pyarrow.parquet").read_schema(names[0]).metadata
    assert len(about[b"aurora_async.request_ids"].split()) == 3
    assert about[b"aurora_async.service"].decode() == client.config.base_url.rstrip("/")
    minutes = {"2020-01-01": 6 * 60, "2020-01-02": 24 * 60, "2020-01-03": 6 * 60}
    assert by_day == {(platform, day): count for platform in ("swarma", "swarmb") for day, count in minutes.items()}
    cameras = sum(row["program"] == "themis-asi" for row in rows)
    assert cameras == len(await client.conjunctions.search(MEETINGS)) > 100


async def test_a_dataset_is_added_to_again_where_that_was_not_noted(
    client: AuroraX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between adding a result and noting it: the next run puts the same files in the same place."""
    pytest.importorskip("pyarrow")
    import pyarrow.dataset as ds

    from aurora_async.engine.journal import Journal

    class Died(BaseException):
        pass

    async def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "done", die)
        with pytest.raises(Died):
            await finished(client.batch(tmp_path / "batch", [POSITIONS], dataset=tmp_path / "dataset"))
    assert ds.dataset(tmp_path / "dataset", partitioning="hive").count_rows() == 2 * 36 * 60
    await finished(client.batch(tmp_path / "batch", [POSITIONS], dataset=tmp_path / "dataset"))
    assert ds.dataset(tmp_path / "dataset", partitioning="hive").count_rows() == 2 * 36 * 60


@pytest.mark.parametrize(
    "settings", [{"format": "parquet"}, {"response_format": {"start": True}}, {"outputs": "memory://elsewhere"}]
)
async def test_a_dataset_that_could_not_be_made_is_refused_at_once(
    client: AuroraX, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """A day later is too late to hear that the files at hand cannot be read back."""
    with pytest.raises(InvalidInput, match="dataset: is made from whole records"):
        client.batch(tmp_path, [POSITIONS], dataset=tmp_path / "dataset", **settings)
