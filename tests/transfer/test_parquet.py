"""Parquet files: the columns of the record class, whatever was found, and the same rows for every reader."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import Text, answer
from support.documents import RECORDS

from aurora_async.aurorax import Conjunction, DataProduct, Ephemeris
from aurora_async.errors import DiskFull, IncompleteBody, InvalidInput, MalformedAnswer, MissingExtra, WrongContent
from aurora_async.transfer import Format, TableForm, check_format, download, narrowed
from aurora_async.transfer.tables import Records

ROOT = Path(__file__).parents[2]
KINDS = [Conjunction, DataProduct, Ephemeris]
parquet_module = sys.modules["aurora_async.transfer._parquet"]


def minutes(count: int) -> list[dict[str, Any]]:
    """Ephemeris records, one a minute."""
    place = {"lat": 51.5, "lon": -114.25}
    return [
        {
            "data_source": {"identifier": 3, "program": "swarm", "platform": "swarma"},
            "epoch": f"2020-01-01T{minute // 60 % 24:02d}:{minute % 60:02d}:00",
            "location_geo": place | {"lat": minute / 7},
            "location_gsm": None,
            "nbtrace": {"lat": None, "lon": None},
            "sbtrace": place,
            "metadata": {"minute": minute, "region": "north polar cap"} if minute % 3 else None,
        }
        for minute in range(count)
    ]


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table, with what is JSON text read."""
    return [_read(row) for row in table.to_pylist()]


def _read(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _read(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_read(inner) for inner in value]
    is_json = name == "metadata" or name.startswith("generated_")
    return json.loads(value) if is_json and value is not None else value


async def saved(found: list[Any], folder: Path, record_type: type[Any], **about: str) -> pa.Table:
    """What a Parquet file of these records holds."""
    table = TableForm(record_type, about=about)
    outcome = await download(
        Text(answer(found)), folder / "file.parquet", format="parquet", table=table, expected_records=len(found)
    )
    assert outcome.records == len(found)
    assert outcome.bytes == outcome.path.stat().st_size
    assert [path.name for path in folder.iterdir()] == ["file.parquet"]
    return pq.read_table(outcome.path)


@pytest.mark.parametrize("record_type", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_file_holds_what_to_arrow_gives(record_type: type[Any], data: st.DataObject) -> None:
    """Two ways to one table: records in memory, and a file whose records nobody ever held."""
    found = data.draw(st.lists(RECORDS[record_type], max_size=4))
    records = msgspec.json.decode(json.dumps(found), type=list[record_type])  # type: ignore[valid-type]
    in_memory = Records(records, record_type=record_type).to_arrow()
    with tempfile.TemporaryDirectory() as folder:
        in_file = asyncio.run(saved(found, Path(folder), record_type))
    assert in_file.schema.equals(in_memory.schema, check_metadata=False)
    assert [field.metadata for field in in_file.schema] == [field.metadata for field in in_memory.schema]
    assert rows(in_file) == rows(in_memory)


@pytest.mark.parametrize("record_type", KINDS)
async def test_nothing_found_has_the_columns_of_something(tmp_path: Path, record_type: type[Any]) -> None:
    """Files of a survey are read as one, and some of them are empty."""
    table = await saved([], tmp_path, record_type)
    assert table.num_rows == 0
    assert table.schema.equals(Records([], record_type=record_type).to_arrow().schema)


async def test_pandas_polars_and_duckdb_read_the_same(tmp_path: Path) -> None:
    """The point of the format: nested columns, gaps and instants survive in each of them."""
    table = await saved(minutes(500), tmp_path, Ephemeris)
    path = str(tmp_path / "file.parquet")
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    assert str(frame["epoch"].dtype) == "timestamp[us, tz=UTC][pyarrow]"
    assert pa.Table.from_pandas(frame, preserve_index=False).to_pylist() == table.to_pylist()
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert polars.read_parquet(path).to_arrow().to_pylist() == table.to_pylist()
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.read_parquet(path).to_arrow_table().to_pylist() == table.to_pylist()
        question = (
            f"select count(*), max(nbtrace.lat), min(epoch) from '{path}' where metadata ->> 'region' is not null"
        )
        counted = connection.sql(question).to_arrow_table().to_pylist()
    assert list(counted[0].values()) == [333, None, datetime(2020, 1, 1, 0, 1, tzinfo=UTC)]


async def test_a_file_says_where_it_comes_from(tmp_path: Path) -> None:
    """Found on a disk years later, it tells its query, its request, and who wrote it."""
    table = await saved(minutes(2), tmp_path, Ephemeris, query='{"start": "2020"}', request_id="abc")
    told = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert told["aurora_async.query"] == '{"start": "2020"}'
    assert told["aurora_async.request_id"] == "abc"
    assert told["aurora_async.version"]
    assert datetime.fromisoformat(told["aurora_async.created"]).tzinfo is not None
    assert pq.ParquetFile(tmp_path / "file.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


async def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in memory is one of them, however many records there are; their order is the service's."""
    monkeypatch.setattr(parquet_module, "_ROW_GROUP_BYTES", 50_000)
    monkeypatch.setattr(parquet_module, "_BLOCK_BYTES", 10_000)
    table = await saved(minutes(3000), tmp_path, Ephemeris)
    assert pq.ParquetFile(tmp_path / "file.parquet").num_row_groups > 5
    assert [json.loads(text)["minute"] for text in table["metadata"].to_pylist() if text] == [
        minute for minute in range(3000) if minute % 3
    ]


async def test_metadata_keeps_the_spelling_of_the_service(tmp_path: Path) -> None:
    """Numbers in it are copied, not computed."""
    spelled = '{"big":123456789012345678901234567890,"exact":0.10,"far":1e400}'
    (record,) = minutes(1)
    body = answer([record | {"metadata": "HERE"}]).replace(b'"HERE"', spelled.encode())
    await download(Text(body), tmp_path / "file", format="parquet", table=TableForm(Ephemeris))
    assert pq.read_table(tmp_path / "file")["metadata"].to_pylist() == [spelled]


@pytest.mark.parametrize("format", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("change", "where", "reason"),
    [
        ({"data_source": {"identifier": 2**63}}, ".data_source.identifier", "int` <= "),
        ({"data_source": {"identifier": 1.5}}, ".data_source.identifier", "Expected `int`"),
        ({"epoch": "2020-02-31T00:00:00"}, ".epoch", "Invalid RFC3339"),
        ({"epoch": None}, ".epoch", "Expected `datetime`"),
        ({"nbtrace": {"lat": "north", "lon": 1}}, ".nbtrace.lat", "Expected `float | null`"),
        ({"metadata": [1]}, ".metadata", "Expected `object | null`"),
    ],
)
async def test_what_fits_no_column_is_named(
    tmp_path: Path, format: Format, change: dict[str, Any], where: str, reason: str
) -> None:
    """At the millionth record too: which one, which field, what was expected there."""
    found = minutes(2000)
    found[1999] |= change
    with pytest.raises(MalformedAnswer) as caught:
        await download(Text(answer(found)), tmp_path / "file", format=format, table=TableForm(Ephemeris))
    assert caught.value.where == f"$.result[1999]{where}"
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["parquet", "csv"])
async def test_an_instant_before_the_first_year_is_named(tmp_path: Path, format: Format) -> None:
    """Valid as a text, and in no calendar once its zone is gone."""
    found = minutes(20)
    found[7]["epoch"] = "0001-01-01T00:00:00+05:00"
    with pytest.raises(MalformedAnswer) as caught:
        await download(Text(answer(found)), tmp_path / "file", format=format, table=TableForm(Ephemeris))
    assert caught.value.where == "$.result[0:20]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["parquet", "csv"])
async def test_nothing_is_saved_of_a_wrong_body(tmp_path: Path, format: Format) -> None:
    """Torn, of another count or length: a clear error each, and no file."""
    text = answer(minutes(2000))
    table = TableForm(Ephemeris)
    for body, expected, error in (
        (Text(text), 1999, WrongContent),
        (Text(text[:-1]), None, IncompleteBody),
        (Text(text[:100_000]), None, IncompleteBody),
        (Text(text, length=len(text) + 1), None, IncompleteBody),
        (Text(b"<html>busy</html>"), None, MalformedAnswer),
    ):
        with pytest.raises(error):
            await download(body, tmp_path / "file", format=format, table=table, expected_records=expected)
        assert list(tmp_path.iterdir()) == []
        assert body.closed


@pytest.mark.parametrize("format", ["parquet", "csv"])
async def test_a_full_disk_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format) -> None:
    """Also when it fills up at the very end, with the footer."""
    target = tmp_path / "file"
    target.write_text("old")
    written = os.write

    def full(fd: int, data: Any) -> int:
        if bytes(data[-4:]) == b"PAR1" or format == "csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull):
        await download(Text(answer(minutes(100))), target, format=format, table=TableForm(Ephemeris))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("steps", [*range(0, 40, 4), 60, 100])
async def test_a_cancelled_download_leaves_nothing(tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it comes: the file is whole, or there is none; nor does a thread go on."""
    monkeypatch.setattr(parquet_module, "_ROW_GROUP_BYTES", 50_000)
    monkeypatch.setattr(parquet_module, "_BLOCK_BYTES", 10_000)
    target = tmp_path / "file"
    body = Text(answer(minutes(1000)))
    task = asyncio.create_task(download(body, target, format="parquet", table=TableForm(Ephemeris)))
    for _ in range(steps):
        await asyncio.sleep(0.0002 if steps > 20 else 0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [path.name for path in tmp_path.iterdir()] in ([], ["file"])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("parquet")]
    if target.exists():
        assert pq.read_table(target).num_rows == 1000


async def test_what_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of downloading is not how to learn that a package is missing."""
    body = Text(answer([]))
    with pytest.raises(InvalidInput, match="class of the records"):
        await download(body, tmp_path / "file", format="parquet")
    monkeypatch.setattr(sys.modules["aurora_async.transfer.formats"], "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"aurora-async\[parquet\]"):
        await download(body, tmp_path / "file", format="parquet", table=TableForm(Ephemeris))
    check_format("csv")
    assert body.yielded == 0


# --- Response formats -----------------------------------------------------------------------------------------


async def test_a_response_format_leaves_columns_out_and_changes_none(tmp_path: Path) -> None:
    """What is wanted is known before the first record, and so are its types; what a record lacks is null."""
    wanted = {"epoch": True, "nbtrace": {"lat": True, "lon": False}, "sbtrace": {"lat": False}, "metadata": True}
    found = [{"epoch": "2020-01-01T00:00:00", "nbtrace": {"lat": 1}, "metadata": {"a": [1]}}, {"epoch": None}, {}]
    table = await saved(found, tmp_path, narrowed(Ephemeris, wanted))
    epoch = pa.field("epoch", pa.timestamp("us", tz="UTC"))
    trace = pa.field("nbtrace", pa.struct([("lat", pa.float64())]))
    assert table.schema.remove_metadata() == pa.schema([epoch, trace, ("metadata", pa.string())])
    assert table.to_pylist() == [
        {"epoch": datetime(2020, 1, 1, tzinfo=UTC), "nbtrace": {"lat": 1.0}, "metadata": '{"a":[1]}'},
        {"epoch": None, "nbtrace": {"lat": None}, "metadata": None},
        {"epoch": None, "nbtrace": {"lat": None}, "metadata": None},
    ]


def test_a_response_format_must_leave_something() -> None:
    """A table has a column; the class of one tree is made once, however many requests use it."""
    with pytest.raises(InvalidInput, match="selects no key"):
        narrowed(Conjunction, {"start": False, "data_sources": {"program": False}})
    assert narrowed(Ephemeris, {"epoch": True}) is narrowed(Ephemeris, {"epoch": True})


# --- Memory ---------------------------------------------------------------------------------------------------

_MEASURED = """
import asyncio, json, sys
from pathlib import Path
from aurora_async.aurorax import Ephemeris
from aurora_async.transfer import TableForm, download
from aurora_async.transfer.dataset import append

PLACE = {"lat": 1.5, "lon": 2.5}
PLACES = {name: PLACE for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")}
RECORDS = [
    {"data_source": {"identifier": 3, "program": "swarm", "platform": "swarma"}, **PLACES,
     "epoch": f"2020-01-0{1 + day % 3}T00:00:00", "metadata": {"region": "r" * 300}}
    for day in range(1, 29)
]
BLOCK = json.dumps(RECORDS).encode()[1:-1]

class Body:
    url, length = "x", None
    def __init__(self, blocks):
        self.blocks = blocks
    async def chunks(self, size=0, /):
        yield b'{"result":[' + BLOCK
        for _ in range(self.blocks - 1):
            yield b"," + BLOCK
        yield b"]}"

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

async def run(blocks):
    table = TableForm(Ephemeris)
    folder = Path(sys.argv[1])
    if sys.argv[2] == "dataset":
        await append(Body(blocks), folder / "set", stem="s", table=table)
    else:
        await download(Body(blocks), folder / "file", format=sys.argv[2], table=table)

asyncio.run(run(1_000_000 // len(BLOCK)))
small = peak()
asyncio.run(run(20_000_000 // len(BLOCK)))
print(small, peak(), "pandas" in sys.modules)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak of memory")
@pytest.mark.parametrize("form", ["parquet", "csv", "dataset"])
def test_memory_does_not_grow_with_the_body(tmp_path: Path, form: str) -> None:
    """Twenty times the body takes a row group more, all together less than 150 MiB; pandas stays out of it."""
    call = [sys.executable, "-c", _MEASURED, str(tmp_path), form]
    outcome = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr
    small, large, pandas = outcome.stdout.split()
    assert int(large) < 150
    assert int(large) - int(small) < 50
    assert pandas == "False"
