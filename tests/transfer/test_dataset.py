"""Datasets: appended to as often as one likes, read as one table, and never half changed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
from support.bodies import Text, answer

from aurora_async.aurorax import Conjunction, Ephemeris
from aurora_async.errors import (
    DiskFull,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    TargetNotWritable,
    WrongContent,
)
from aurora_async.transfer import TableForm, narrowed
from aurora_async.transfer.dataset import Appended, append

TABLE = TableForm(Ephemeris, about={"query": "{}"})
NAMES = [("swarm", "swarma"), ("themis-asi", "fort smith"), ("é/..", "50%"), (None, "")]
dataset_module = sys.modules["aurora_async.transfer.dataset"]


def ephemeris(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Records of four data sources and three days, in no order."""
    found = []
    for number in range(first, first + count):
        program, platform = NAMES[number % 4]
        place = {"lat": number / 7, "lon": None}
        found.append(
            {
                "data_source": {"identifier": number, "program": program, "platform": platform},
                "epoch": f"2020-01-{number % 3 + 1:02d}T23:{number % 60:02d}:00",
                **dict.fromkeys(("location_geo", "location_gsm", "nbtrace", "sbtrace"), place),
            }
        )
    random.Random(1).shuffle(found)
    return found


async def put(folder: Path, found: list[Any], stem: str = "one", **settings: Any) -> Appended:
    return await append(Text(answer(found)), folder / "set", stem=stem, table=TABLE, **settings)


def identifiers(folder: Path) -> list[int]:
    """The records of the dataset, by the identifiers of their sources."""
    table = pds.dataset(folder / "set", partitioning="hive", schema=None).to_table()
    return sorted(source["identifier"] for source in table["data_source"].to_pylist()) if table.num_columns else []


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_records_lie_where_their_partition_says(tmp_path: Path) -> None:
    """By program, platform and day, whatever their order was; each file once, with its digest."""
    done = await put(tmp_path, ephemeris(120), expected_records=120)
    assert len(done.files) == 12
    assert (done.records, done.stem, done.folder) == (120, "one", tmp_path / "set")
    for one in done.files:
        content = (done.folder / one.path).read_bytes()
        assert (one.bytes, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert sum(one.bytes for one in done.files) == done.bytes
    assert "program=themis-asi/platform=fort%20smith/date=2020-01-02" in {
        one.path.parent.as_posix() for one in done.files
    }
    assert files(tmp_path) == [".set.appended/one.json", *sorted(f"set/{one.path.as_posix()}" for one in done.files)]
    table = pds.dataset(done.folder, partitioning="hive").to_table()
    for row in table.to_pylist():
        source = row["data_source"]
        assert row["program"] == (source["program"] or "unknown")
        assert row["platform"] == (source["platform"] or "unknown")
        assert row["date"] == row["epoch"].date().isoformat()
    assert pq.read_schema(done.folder / done.files[0].path).metadata[b"aurora_async.query"] == b"{}"


async def test_every_reader_opens_it(tmp_path: Path) -> None:
    """The folder itself is what pandas and polars take, a pattern what DuckDB takes."""
    await put(tmp_path, ephemeris(60))
    await put(tmp_path, ephemeris(60, 60), stem="two")
    folder = str(tmp_path / "set")
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.read_parquet(folder)
    assert len(frame) == 120
    assert set(frame["program"]) == {"swarm", "themis-asi", "é/..", "unknown"}
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert polars.read_parquet(folder, hive_partitioning=True).filter(polars.col("platform") == "50%").height == 30
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect() as connection:
        rows = connection.sql(
            f"select program, count(*) from read_parquet('{folder}/**/*.parquet', hive_partitioning = true) "
            "where date = '2020-01-02' group by 1 order by 1"
        ).fetchall()
    assert rows == [("swarm", 10), ("themis-asi", 10), ("unknown", 10), ("é/..", 10)]


async def test_the_same_stem_replaces_its_own_files_and_no_others(tmp_path: Path) -> None:
    """A batch that is run again must not double what it appended before, nor lose what others did."""
    await put(tmp_path, ephemeris(24))
    await put(tmp_path, ephemeris(24, 100), stem="one-0")  # begins like the first one
    foreign = tmp_path / "set" / "program=mine" / "mine.parquet"
    foreign.parent.mkdir()
    shutil.copy(sorted((tmp_path / "set").rglob("one-0-0.parquet"))[0], foreign)
    before = foreign.read_bytes()
    for _ in range(2):
        await put(tmp_path, ephemeris(5, 50))
        foreign.rename(tmp_path / "aside")
        assert identifiers(tmp_path) == [*range(50, 55), *range(100, 124)]
        (tmp_path / "aside").rename(foreign)
    assert foreign.read_bytes() == before
    assert (await put(tmp_path, [])).files == ()
    assert not list((tmp_path / "set").rglob("one-[0-9].parquet"))


async def test_a_conjunction_belongs_to_its_first_data_source(tmp_path: Path) -> None:
    """It has two and more; the first is that of the query's first block."""
    record = {
        "conjunction_type": "nbtrace",
        "start": "2020-01-01T23:59:00",
        "end": "2020-01-02T00:03:00",
        "min_distance": 1,
        "max_distance": 2,
        "closest_epoch": "2020-01-02T00:00:00",
        "farthest_epoch": "2020-01-02T00:00:00",
        "data_sources": [
            {"identifier": 1, "program": "themis-asi", "platform": "gillam"},
            {"identifier": 2, "program": "swarm", "platform": "swarma"},
        ],
        "events": [],
    }
    body = Text(answer([record, record | {"data_sources": []}]))
    done = await append(body, tmp_path / "set", stem="q", table=TableForm(Conjunction))
    assert [one.path.as_posix() for one in done.files] == [
        "program=themis-asi/platform=gillam/date=2020-01-01/q-0.parquet",
        "program=unknown/platform=unknown/date=2020-01-01/q-1.parquet",
    ]


async def test_what_is_gathered_in_many_turns_is_one_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large result in no order must not become thousands of files of some rows."""
    monkeypatch.setattr(dataset_module, "_GATHERED_BYTES", 20_000)
    monkeypatch.setattr(dataset_module, "_BLOCK_BYTES", 10_000)
    monkeypatch.setattr(dataset_module, "_READ_BYTES", 700)
    done = await put(tmp_path, ephemeris(2000))
    assert len(done.files) == 12
    assert identifiers(tmp_path) == list(range(2000))


async def test_nothing_is_changed_by_a_wrong_body(tmp_path: Path) -> None:
    """Torn, of another count, with a wrong record: the dataset stays as it was, and nothing lies beside it."""
    await put(tmp_path, ephemeris(30))
    before = files(tmp_path)
    text = answer(ephemeris(200))
    wrong = ephemeris(200)
    wrong[150] = wrong[150] | {"epoch": "never"}
    for body, expected, error in (
        (Text(text), 199, WrongContent),
        (Text(text[:-1]), None, IncompleteBody),
        (Text(text, length=len(text) + 1), None, IncompleteBody),
        (Text(answer(wrong)), None, MalformedAnswer),
        (Text(b"<html>"), None, MalformedAnswer),
    ):
        with pytest.raises(error) as caught:
            await append(body, tmp_path / "set", stem="one", table=TABLE, expected_records=expected)
        assert files(tmp_path) == before
    assert caught.value.url == "https://example.org/data"
    assert identifiers(tmp_path) == list(range(30))


async def test_what_cannot_be_appended_is_refused_at_once(tmp_path: Path) -> None:
    """A stem that is a path, records that do not say where they belong, a folder that is a file."""
    body = Text(answer([]))
    for stem in ("", "a/b", "..", ".hidden", "_hidden", "a\0", "x" * 250):
        with pytest.raises(InvalidInput, match="stem"):
            await append(body, tmp_path / "set", stem=stem, table=TABLE)
    with pytest.raises(InvalidInput, match=r"partition \(data_source\)"):
        await append(body, tmp_path / "set", stem="a", table=TableForm(narrowed(Ephemeris, {"epoch": True})))
    with pytest.raises(InvalidInput, match="folder"):
        await append(body, Path("/"), stem="a", table=TABLE)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "set").write_text("a file")
    with pytest.raises(TargetNotWritable):
        await append(body, tmp_path / "set", stem="a", table=TABLE)
    assert body.yielded == 0


@pytest.mark.parametrize("room", [0, 30_000, 60_000])
async def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """While the text is gathered, and while the files are made of it."""
    written = os.write

    def full(fd: int, data: Any) -> int:
        nonlocal room
        if room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room -= len(data)
        return written(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull):
        await put(tmp_path, ephemeris(100))
    assert files(tmp_path) == []


@pytest.mark.parametrize("steps", [*range(0, 60, 6), 100, 200])
async def test_a_cancelled_append_leaves_nothing_or_all(tmp_path: Path, steps: int) -> None:
    """Whenever it comes, no file lies beside the dataset afterwards."""
    task = asyncio.create_task(put(tmp_path, ephemeris(200)))
    for _ in range(steps):
        await asyncio.sleep(0.0005 if steps > 30 else 0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    left = files(tmp_path)
    assert left == [] or identifiers(tmp_path) == list(range(200))
    assert len(left) in (0, 13)


# --- Crashes --------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here: what runs after it in a test does not run in the world."""


@contextmanager
def crashing(monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[None]:
    """End the process before its `at`-th change of names; nothing is cleaned up after it."""
    left = at

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return change(*arguments, **options)

        return changed

    with monkeypatch.context() as patched:
        for name in ("replace", "unlink", "mkdir"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        patched.setattr(shutil, "rmtree", lambda *_: None)
        with contextlib.suppress(Crash):
            yield


async def test_after_a_crash_the_same_append_puts_all_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two steps: files are whole or staged, and the next run leaves its own and nothing else."""
    # What the disk does with what it was told is not in question here, only in which order it was told.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    await put(tmp_path / "before", ephemeris(3))
    await put(tmp_path / "before", ephemeris(1, 90), stem="other")
    new = ephemeris(3, 51)
    crashes = 0
    for at in range(200):
        place = tmp_path / str(at)
        shutil.copytree(tmp_path / "before", place)
        finished = False
        with crashing(monkeypatch, at):
            await put(place, new)
            finished = True
        found = identifiers(place)  # all files under their names can be read
        assert {90} <= set(found) <= {0, 1, 2, 51, 52, 53, 90}
        assert all(path.startswith((".set.appended/", "set/program=")) for path in files(place))
        await put(place, new)
        assert identifiers(place) == [51, 52, 53, 90]
        assert [path for path in files(place) if path.startswith(".")] == [
            ".set.appended/one.json",
            ".set.appended/other.json",
        ]
        if finished:
            break
        crashes += 1
        shutil.rmtree(place)
    assert crashes > 15
