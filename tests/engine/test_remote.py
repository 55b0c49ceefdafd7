"""Results at an address: whole under their names there, whatever happens on the way."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Scripted, a_query, client_of, serving

from aurora_async.engine import remote
from aurora_async.engine.batch import Batch
from aurora_async.engine.folder import BatchFolder, Flaw
from aurora_async.engine.remote import RemotePlace, Store, check_address
from aurora_async.errors import (
    AuroraError,
    ConnectionLost,
    DiskFull,
    IncompleteBody,
    InvalidInput,
    MissingExtra,
    TargetNotWritable,
)
from aurora_async.transfer import Saved

fsspec = pytest.importorskip("fsspec", reason="needs the extra `remote`")

DAYS = (1, 2, 3)


@pytest.fixture(params=["memory", "file"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that is empty: in a store that puts whole objects, and in one that writes files."""
    if request.param == "file":
        # Brackets and stars are patterns to fsspec, and names to everybody else.
        yield f"file://{tmp_path}/store [1]*/results"
        return
    yield "memory://bucket [1]*/results"
    fsspec.filesystem("memory").store.clear()


@asynccontextmanager
async def opened(
    service: Scripted, folder: Path, address: str | None, *, format: Any = "jsonl", **settings: Any
) -> AsyncIterator[Batch]:
    queries = [a_query(day) for day in DAYS]
    async with (
        client_of(service) as client,
        client.batch(folder, queries, format=format, outputs=address, **settings) as batch,
    ):
        yield batch


def files_at(address: str) -> dict[str, bytes]:
    """What is there, by path."""
    fs, root = fsspec.core.url_to_fs(address)
    found = fs.find(root)
    return {path.removeprefix(root).lstrip("/"): fs.cat_file(path) for path in found}


async def test_results_are_at_the_address_and_the_rest_is_here(address: str, tmp_path: Path) -> None:
    """Journal and manifest are changed all the time, which an object store is not made for."""
    folder = tmp_path / "batch"
    async with serving(Scripted()) as service, opened(service, folder, address) as batch:
        status = await batch.finish()
        assert status.is_complete
        assert await batch.verify() == []
    found = files_at(address)
    rows = BatchFolder(folder).rows()
    assert set(found) == {row.path for row in rows}
    for row in rows:
        assert hashlib.sha256(found[row.path]).hexdigest() == row.sha256
        assert len(found[row.path]) == row.bytes
    here = {path.name for path in folder.rglob("*") if path.is_file()}
    assert here == {"journal.sqlite", "manifest.json", "manifest.parquet", "report.md"}


async def test_the_next_run_knows_the_address(address: str, tmp_path: Path) -> None:
    """Whoever looks at a batch, or goes on with it, need not know where it puts its files; nor may he change it."""
    folder = tmp_path / "batch"
    async with serving(Scripted()) as service:
        async with opened(service, folder, address) as batch:
            await batch.finish()
        asked = len(service.seen)
        async with opened(service, folder, None) as batch:
            assert [entry async for entry in batch.run()] == []
        with pytest.raises(InvalidInput, match="outputs"):
            async with opened(service, folder, f"{address}/elsewhere"):
                pass
        assert len(service.seen) == asked
        async with opened(service, tmp_path / "local", None) as batch:
            await batch.finish()
        with pytest.raises(InvalidInput, match="outputs"):
            async with opened(service, tmp_path / "local", address):
                pass
        with pytest.raises(InvalidInput, match="reuse"):
            async with opened(service, tmp_path / "another", None, reuse=[folder]):
                pass


async def test_what_is_wrong_there_is_found_and_what_is_gone_is_fetched_again(address: str, tmp_path: Path) -> None:
    """Buckets have rules by which objects expire, and colleagues."""
    folder = tmp_path / "batch"
    fs, root = fsspec.core.url_to_fs(address)
    async with serving(Scripted()) as service:
        async with opened(service, folder, address) as batch:
            await batch.finish()
        first, second, third = (row.path for row in BatchFolder(folder).rows())
        whole = files_at(address)
        fs.rm_file(f"{root}/{first}")
        fs.pipe_file(f"{root}/{second}", whole[second][:-1])
        fs.pipe_file(f"{root}/{third}", whole[third][::-1])
        flaws = BatchFolder(folder).verify()
        assert [flaw.path for flaw in flaws] == [first, second, third]
        assert flaws[0] == Flaw(first, "is missing")
        assert "bytes, the manifest says" in flaws[1].problem
        assert "has the SHA-256" in flaws[2].problem
        submitted = service.count("POST", "/search")
        async with opened(service, folder, address) as batch:
            await batch.finish()
        assert service.count("POST", "/search") == submitted
    assert files_at(address) == whole | {third: whole[third][::-1]}


async def test_windows_are_merged_here_and_put_there(address: str, tmp_path: Path) -> None:
    """A merged file goes the way of all others; its windows are not results."""
    async with (
        serving(Scripted(records=[])) as service,
        opened(service, tmp_path / "batch", address, window=timedelta(hours=3), format="parquet") as batch,
    ):
        assert (await batch.finish()).is_complete
        assert service.count("POST", "/search") == 2 * len(DAYS)
        assert await batch.verify() == []
    assert len(files_at(address)) == len(DAYS)
    assert not (tmp_path / "batch" / ".parts").exists()


async def test_what_the_dead_have_left_is_swept(address: str, tmp_path: Path) -> None:
    """Staged objects cost money as results do."""
    fs, root = fsspec.core.url_to_fs(address)
    folder = tmp_path / "batch"
    fs.makedirs(f"{root}/.parts", exist_ok=True)
    fs.pipe_file(f"{root}/.parts/2.jsonl", b"half")
    fs.pipe_file(f"{root}/.parts/3.0a1b2c3d.jsonl", b"half")
    (folder / ".parts").mkdir(parents=True)
    (folder / ".parts" / "1.jsonl").write_bytes(b"half")
    async with serving(Scripted()) as service, opened(service, folder, address) as batch:
        assert not any(name.startswith(".parts") for name in files_at(address))
        assert not (folder / ".parts" / "1.jsonl").exists()
        assert (await batch.finish()).is_complete


@pytest.mark.parametrize("fails_at", ["put_file", "cp_file", "mv"])
async def test_a_store_that_fails_for_a_while_costs_another_try(
    address: str, fails_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query is not submitted again because its file could not be put."""
    fs, _ = fsspec.core.url_to_fs(address)
    if fails_at not in vars(type(fs)) and fails_at != "put_file":
        pytest.skip("this store does not do it by itself")
    original = getattr(type(fs), fails_at)
    failures = []

    def fail_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not failures and "probe" not in str(args):
            failures.append(args)
            raise ConnectionResetError("reset by peer")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(fs), fails_at, fail_once)
    async with serving(Scripted()) as service, opened(service, tmp_path / "batch", address) as batch:
        assert (await batch.finish()).is_complete
        assert await batch.verify() == []
        assert service.count("POST", "/search") == len(DAYS)
    assert failures
    assert len(files_at(address)) == len(DAYS)


async def test_an_address_that_cannot_be_written_is_said_before_anything_is_sent(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day's work is a high price for a missing permission."""
    fs, _ = fsspec.core.url_to_fs(address)

    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fs), "put_file", refuse)
    async with serving(Scripted()) as service, opened(service, tmp_path / "batch", address) as batch:
        with pytest.raises(TargetNotWritable, match="Access Denied"):
            await batch.finish()
        assert service.seen == []


def test_what_does_not_arrive_whole_is_noticed(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every driver looks at what the store answers."""
    store = Store(address)
    source = tmp_path / "source"
    source.write_bytes(b"a whole result")
    original = type(store._fs).put_file

    def cut(self: Any, path: str, target: str, **kwargs: Any) -> None:
        half = tmp_path / "half"
        half.write_bytes(b"a WHOLE result")
        original(self, str(half), target, **kwargs)

    monkeypatch.setattr(type(store._fs), "put_file", cut)
    with pytest.raises(IncompleteBody, match="is not what came"):
        store.put(source, ".parts/1.jsonl", None)
    monkeypatch.undo()
    store.put(source, ".parts/1.jsonl", hashlib.sha256(b"a whole result").hexdigest())
    assert store.size(".parts/1.jsonl") == 14


@pytest.mark.parametrize("told", [{"ETag": '"{md5}"'}, {"md5Hash": "{base64}"}])
def test_what_a_store_says_of_an_object_spares_reading_it(
    told: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte that was put would be fetched again only to see that it is there."""
    store = Store("memory://told")
    source = tmp_path / "source"
    source.write_bytes(b"a whole result")
    md5 = hashlib.md5(b"a whole result")
    said = {
        name: text.format(md5=md5.hexdigest(), base64=base64.b64encode(md5.digest()).decode())
        for name, text in told.items()
    }
    original = type(store._fs).info
    monkeypatch.setattr(type(store._fs), "info", lambda self, path, **kw: original(self, path, **kw) | said)

    def read(*_: Any) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(store, "sha256", read)
    store.put(source, ".parts/1.jsonl", None)
    monkeypatch.undo()
    store._fs.store.clear()


async def test_an_object_that_another_has_replaced_is_read_before_it_is_published(tmp_path: Path) -> None:
    """A worker that was taken for dead may put its file a second time."""
    place = RemotePlace("memory://replaced", tmp_path)
    target = place.target(".parts/1.jsonl")

    async def write(path: str) -> Saved:
        Path(path).write_bytes(b"result")
        return Saved(Path(path), 6, 1, hashlib.sha256(b"result").hexdigest(), 0.0)

    saved = await place.filled(target, write)
    assert await place.sha256(".parts/1.jsonl") == saved.sha256
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/replaced/.parts/1.jsonl", b"others")
    assert await place.sha256(".parts/1.jsonl") == hashlib.sha256(b"others").hexdigest()
    fs.store.clear()


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (OSError(28, "No space left on device"), DiskFull),
        (PermissionError(13, "Permission denied"), TargetNotWritable),
        (NotImplementedError(), TargetNotWritable),
        (TimeoutError("timed out"), ConnectionLost),
        (OSError("SlowDown"), ConnectionLost),
        (RuntimeError("a driver's own"), ConnectionLost),
    ],
)
def test_the_errors_of_drivers_become_ours(
    error: Exception, ours: type[AuroraError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends a run, a store that is busy does not."""
    store = Store("memory://errors")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(type(store._fs), "info", fail)
    with pytest.raises(ours, match="memory://errors/1") as caught:
        store.size("1.jsonl")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("results", "is not an address"),
        ("", "is not an address"),
        (None, "is not an address"),
        ("nowhere://bucket/results", "Protocol not known: nowhere"),
        ("simplecache::nowhere://bucket/results", "Protocol not known: nowhere"),
        ("ftp://me:secret@host/results", "holds a password"),
    ],
)
def test_what_is_no_address_is_refused_at_once(wrong: Any, reason: str) -> None:
    """A password in it would be in the manifest, which people pass on."""
    with pytest.raises(InvalidInput, match=reason) as caught:
        check_address(wrong)
    assert "secret" not in str(caught.value)


def test_an_address_that_no_driver_knows_is_refused() -> None:
    """fsspec says which library is missing, where it knows."""
    with pytest.raises(InvalidInput, match="nowhere"):
        Store("nowhere://bucket/results")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional, and the message says how to get it."""
    monkeypatch.setattr(remote, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install "aurora-async\[remote\]"'):
        check_address("s3://bucket/results")
