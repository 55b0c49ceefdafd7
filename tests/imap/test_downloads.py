"""Files of the archive: the right bytes in the archive's own folders below the data directory, or an error by name."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from aiohttp import web
from support.disks import read_only, small_disk
from support.scripted_imap import DATE, KEY, Crowd, ScriptedImap, body_of, imap_config, mag_key, serving_imap

from aurora_async.errors import (
    DeadlineExceeded,
    DiskFull,
    InvalidInput,
    MalformedAnswer,
    TargetExists,
    TargetNotWritable,
    WrongContent,
)
from aurora_async.http import Session
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import Download, download_files
from aurora_async.imap.errors import LinkExpired, NoSuchFile, NotReleased
from aurora_async.imap.filenames import ScienceName
from aurora_async.imap.inputs import ProcessingInputs
from aurora_async.imap.models import FileRow, Metakernel
from aurora_async.imap.query import FileQuery

ONE, TWO, THREE = mag_key(1), mag_key(2), mag_key(3)


@asynccontextmanager
async def asking(archive: ScriptedImap, folder: Path, **changes: Any) -> AsyncIterator[tuple[Session, ImapConfig]]:
    """A session, and what the functions need besides."""
    config = imap_config(archive.base_url, folder, **changes)
    async with Session(config) as session:
        yield session, config


async def downloaded(archive: ScriptedImap, folder: Path, what: Any, **how: Any) -> Download:
    """Download as the public does."""
    async with asking(archive, folder) as (session, config):
        return await download_files(session, config, what, **how)


def files_in(folder: Path) -> list[str]:
    """All files there are, parts of some too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def archive() -> AsyncIterator[ScriptedImap]:
    """Three files."""
    async with serving_imap() as running:
        running.add([ONE, TWO, THREE])
        yield running


# What is asked for ----------------------------------------------------------------------------------------------------


async def test_a_file_is_asked_for_by_whatever_names_it(archive: ScriptedImap, tmp_path: Path) -> None:
    """Always the same file, in the archive's folder, and fetched once."""
    name = ONE.rpartition("/")[2]
    ways = [ONE, name, PurePosixPath("/elsewhere", name), ScienceName.parse(name), FileRow(key=ONE)]
    download = await downloaded(archive, tmp_path, ways)
    assert [file.key for file in download] == [ONE]
    assert files_in(tmp_path) == [ONE]
    assert download.paths == [tmp_path / ONE]
    assert download.paths[0].read_bytes() == body_of(ONE)
    assert download[0].sha256 == hashlib.sha256(body_of(ONE)).hexdigest()
    for way in ways:
        again = await downloaded(archive, tmp_path, way, exists="skip")
        assert [(file.key, file.was_there) for file in again] == [(ONE, True)]
    assert len(archive.requests("download")) == 1


async def test_what_a_query_finds_is_downloaded(archive: ScriptedImap, tmp_path: Path) -> None:
    """In one call, beside others."""
    download = await downloaded(archive, tmp_path, FileQuery(instrument="mag", data_level="l2"))
    assert files_in(tmp_path) == sorted([ONE, TWO, THREE])
    assert download.ok and download.bytes == download.fetched_bytes == 3000


async def test_the_inputs_of_a_job_are_downloaded_at_once(archive: ScriptedImap, tmp_path: Path) -> None:
    """Kernels, spin tables and products, each in its folder."""
    kernel = "imap/spice/lsk/naif0012.tls"
    archive.add([kernel], listed=False)
    names = [f'{{"type":"science","files":["{ONE.rpartition("/")[2]}"]}}', '{"type":"spice","files":["naif0012.tls"]}']
    await downloaded(archive, tmp_path, ProcessingInputs.deserialize(f"[{','.join(names)}]"))
    assert files_in(tmp_path) == [ONE, kernel]
    meta = Metakernel("", ("lsk/naif0012.tls",))
    assert (await downloaded(archive, tmp_path, [meta], exists="skip")).paths == [tmp_path / kernel]


@pytest.mark.parametrize(
    "name",
    ["../x.cdf", "imap/../../x", "/etc/passwd", "x.cdf", "imap//x", "imap/a\nb", "", 7, "imap/.aurora_async/x"],
)
async def test_what_is_no_name_is_refused_before_anything_is_sent(
    archive: ScriptedImap, tmp_path: Path, name: Any
) -> None:
    """Also as one of many: the caller can mend it, and nothing half done is left."""
    with pytest.raises(InvalidInput):
        await downloaded(archive, tmp_path / "data", [ONE, name])
    assert archive.seen == []
    assert not (tmp_path / "data").exists()


async def test_a_row_that_leads_out_fails_alone(archive: ScriptedImap, tmp_path: Path) -> None:
    """That is the server's lie, and no reason to have nothing of the others."""
    evil = ["imap/../../x", "/etc/passwd", "imap/.aurora-parts/x", "imap\\..\\x"]
    download = await downloaded(archive, tmp_path / "data", [FileRow(key=key) for key in (*evil, ONE)])
    assert files_in(tmp_path) == [f"data/{ONE}"]
    assert [file.key for file in download.failed] == evil
    assert all(isinstance(file.error, MalformedAnswer) for file in download.failed)
    assert len(archive.requests("download")) == 1


# Failures -------------------------------------------------------------------------------------------------------------


async def test_one_failure_does_not_stop_the_others(archive: ScriptedImap, tmp_path: Path) -> None:
    """Each says what it is: not there, or not public, and then which credential would help."""
    missing, secret = mag_key(4), mag_key(5)
    archive.add([secret])
    archive.released.discard(secret)
    told: list[str] = []
    download = await downloaded(
        archive, tmp_path, [missing, ONE, secret, TWO], on_outcome=lambda file: told.append(file.key)
    )
    assert [type(file.error) for file in download] == [NoSuchFile, type(None), NotReleased, type(None)]
    assert sorted(told) == sorted([missing, ONE, secret, TWO])
    assert files_in(tmp_path) == [ONE, TWO]
    error = download[2].error
    assert isinstance(error, NotReleased) and error.key == secret and "IMAP_API_KEY" in str(error)
    with pytest.raises(ExceptionGroup, match="2 of 4 files are not in") as caught:
        download.raise_for_failures()
    assert isinstance(caught.value.exceptions[0], NoSuchFile)
    assert repr(download) == f"<Download: 2 files, 2.0 kB in {tmp_path}, 2 failed>"


async def test_a_link_that_is_over_is_asked_for_anew(archive: ScriptedImap, tmp_path: Path) -> None:
    """It may have waited for its turn longer than it lived; a store that refuses always is told as that."""
    archive.over = {"1"}
    assert (await downloaded(archive, tmp_path, ONE)).ok
    assert archive.links == 2
    archive.over = {str(number) for number in range(100)}
    told: list[bool] = []
    download = await downloaded(archive, tmp_path, [TWO], on_outcome=lambda file: told.append(file.ok))
    assert isinstance(download[0].error, LinkExpired)
    assert download[0].error.key == TWO
    assert "Signature=***" in str(download[0].error)
    assert archive.links == 5
    assert told == [False]


async def test_a_refusal_of_the_service_is_its_own_wherever_it_redirects(archive: ScriptedImap, tmp_path: Path) -> None:
    """To another host, for one: that is no link that is over, and asking again changes nothing."""
    archive.released.discard(ONE)

    async def elsewhere(request: web.Request) -> web.StreamResponse | None:
        if request.host in archive.store_url:
            return None
        return web.Response(status=307, headers={"Location": f"{archive.store_url}{request.path}"})

    archive.on("download", elsewhere)
    download = await downloaded(archive, tmp_path, ONE)
    assert isinstance(download[0].error, NotReleased)
    assert len(archive.requests("download")) == 2


ERROR = b"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>SlowDown</Code></Error>"
MESSAGE = b'{"message": "Internal Server Error"}'
ANCILLARY = "imap/ancillary/codice/imap_codice_l1a-sci-lut_20260129_v002"


@pytest.mark.parametrize("route", ["download", "get"])
@pytest.mark.parametrize(
    ("key", "came"),
    [
        (ONE, MESSAGE),
        (ONE, ERROR),
        ("imap/spice/spk/imap_90days_20251120_20260220_v01.bsp", b"\r\n<html><title>log in</title>"),
        ("imap/spice/lsk/naif0012.tls", ERROR),
        (f"{ANCILLARY}.json", MESSAGE),
        (f"{ANCILLARY}.csv", b'{"download_url": "https://bucket.example/x?X-Amz-Signature=secret"}\n'),
        (f"{ANCILLARY}.zip", ERROR),
    ],
)
async def test_an_answer_that_is_not_the_file_is_not_saved(
    archive: ScriptedImap, tmp_path: Path, route: str, key: str, came: bytes
) -> None:
    """Though it came with status 200, as gateways send now and then."""
    archive.add([key], listed=False)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=came, content_type="application/octet-stream")

    archive.on(route, answer)
    download = await downloaded(archive, tmp_path, key)
    assert isinstance(download[0].error, WrongContent)
    assert "secret" not in str(download[0].error)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("imap/spice/lsk/naif0012.tls", b"KPL/LSK\n"),
        (f"{ANCILLARY}.json", b'{"message": "of the instrument", "table": [1, 2]}'),
        (f"{ANCILLARY}.csv", b""),
        (f"{ANCILLARY}.json", b'[{"message": "one"}]'),
        (ONE, b"only a test"),
    ],
)
async def test_what_may_be_the_file_is(archive: ScriptedImap, tmp_path: Path, key: str, content: bytes) -> None:
    """What the store has is what was delivered, real or not."""
    archive.objects[key] = content
    archive.released.add(key)
    assert (await downloaded(archive, tmp_path, key)).paths[0].read_bytes() == content


async def test_a_cut_download_goes_on_where_it_stopped_over_a_fresh_link(archive: ScriptedImap, tmp_path: Path) -> None:
    """The first link dies meanwhile; what had come counts, since the ETag is the same."""
    archive.add([ONE], size=1_000_000)
    archive.cut_at = lambda number: 600_000 if number == 0 else None

    async def age(request: web.Request) -> None:
        archive.over = {str(number) for number in range(archive.links)}

    archive.on("download", age)
    download = await downloaded(archive, tmp_path, ONE)
    assert download.paths[0].read_bytes() == body_of(ONE, 1_000_000)
    assert archive.sent == 1_000_000
    assert archive.requests("get")[1].headers["If-Range"] == archive.etag(body_of(ONE, 1_000_000))
    assert archive.links == 2


async def test_on_a_full_disk_what_fits_is_whole_and_the_rest_is_told(archive: ScriptedImap, tmp_path: Path) -> None:
    """Nothing is left that takes the room of others."""
    keys = [mag_key(day) for day in range(10, 60)]
    archive.add(keys, size=300_000)
    with small_disk(tmp_path / "disk", "2m") as folder:
        download = await downloaded(archive, folder, keys, at_once=4)
        assert 1 <= len(download.paths) <= 6
        assert all(
            path.read_bytes() == body_of(path.relative_to(folder).as_posix(), 300_000) for path in download.paths
        )
        assert len(files_in(folder)) == len(download.paths)
    assert all(isinstance(file.error, DiskFull) for file in download.failed)


async def test_what_has_come_by_the_deadline_is_kept(archive: ScriptedImap, tmp_path: Path) -> None:
    """The next call fetches the rest, and just that."""
    release = asyncio.Event()

    async def wait(request: web.Request) -> None:
        if TWO in request.path:
            await release.wait()

    archive.on("get", wait)
    with pytest.raises(DeadlineExceeded, match=r"downloading into .* was not done within 1 s"):
        await downloaded(archive, tmp_path, [ONE, TWO], deadline_s=1)
    assert files_in(tmp_path) == [ONE]
    release.set()
    assert (await downloaded(archive, tmp_path, [ONE, TWO])).ok
    assert archive.sent <= 2001


async def test_cancelled_it_leaves_whole_files_and_no_other(archive: ScriptedImap, tmp_path: Path) -> None:
    """And nothing goes on behind the caller's back."""
    started, come = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> None:
        if TWO in request.path:
            started.set()
            await asyncio.Event().wait()

    archive.on("get", hang)
    task = asyncio.create_task(downloaded(archive, tmp_path, [ONE, TWO], on_outcome=lambda file: come.set()))
    await started.wait()
    await come.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(tmp_path) == [ONE]


# What is there already ------------------------------------------------------------------------------------------------


def left(folder: Path, key: str, data: bytes, *, dated: bool = False) -> Path:
    """A file that another program has left there, perhaps with the server's date."""
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if dated:
        when = parsedate_to_datetime(DATE).timestamp()
        os.utime(path, (when, when))
    return path


@pytest.mark.parametrize(
    "stub",
    [b"", body_of(ONE)[:400], body_of(ONE)[:-1] + b"?", body_of(ONE) + b"more"],
    ids=["empty", "cut", "spoilt", "too long"],
)
@pytest.mark.parametrize("dated", [False, True])
async def test_a_stub_of_another_client_is_noticed_and_repaired(
    archive: ScriptedImap, tmp_path: Path, stub: bytes, dated: bool
) -> None:
    """The official client writes under the final name, and takes whatever is there for the file from then on."""
    path = left(tmp_path, ONE, stub, dated=dated)
    download = await downloaded(archive, tmp_path, ONE)
    assert download.ok and not download[0].was_there
    assert path.read_bytes() == body_of(ONE)


async def test_a_file_that_is_the_servers_costs_one_exchange_and_no_byte(archive: ScriptedImap, tmp_path: Path) -> None:
    """Told by the ETag that was noted with it, or by the MD5 that it is."""
    await downloaded(archive, tmp_path, [ONE, TWO])
    whole = left(tmp_path, THREE, body_of(THREE))
    sent, asked = archive.sent, len(archive.requests("get"))
    download = await downloaded(archive, tmp_path, [ONE, TWO, THREE])
    assert [file.was_there for file in download] == [True, True, True]
    assert download.fetched_bytes == 0
    assert archive.sent - sent <= 3
    assert len(archive.requests("get")) - asked == 3
    assert whole.read_bytes() == body_of(THREE)


async def test_a_file_that_the_server_has_replaced_is_fetched_anew(archive: ScriptedImap, tmp_path: Path) -> None:
    """Of the same length, too."""
    await downloaded(archive, tmp_path, ONE)
    archive.objects[ONE] = body_of("new")
    assert (await downloaded(archive, tmp_path, ONE)).paths[0].read_bytes() == body_of("new")


@pytest.mark.parametrize(("exists", "holds"), [("skip", b"old"), ("replace", body_of(ONE)), ("refuse", b"old")])
async def test_the_other_ways_to_treat_a_file_that_is_there(
    archive: ScriptedImap, tmp_path: Path, exists: Any, holds: bytes
) -> None:
    """As they are for every fetch."""
    path = left(tmp_path, ONE, b"old")
    download = await downloaded(archive, tmp_path, ONE, exists=exists)
    assert path.read_bytes() == holds
    assert isinstance(download[0].error, TargetExists) is (exists == "refuse")


# Many -----------------------------------------------------------------------------------------------------------------


async def test_so_many_at_once_and_no_more(archive: ScriptedImap, tmp_path: Path) -> None:
    """Sixteen by default, over as many connections, and told as they come."""
    keys = [mag_key(day) for day in range(10, 74)]
    archive.add(keys)
    archive.on("get", crowd := Crowd(16))
    come: dict[str, int] = {}
    download = await downloaded(archive, tmp_path, keys, on_bytes=lambda key, there, of: come.__setitem__(key, there))
    assert download.ok
    assert crowd.most == 16
    assert come == dict.fromkeys(keys, 1000)
    assert {row["error"] for row in download.to_dicts()} == {None}
    archive.on("get", crowd := Crowd(3))
    await downloaded(archive, tmp_path, keys[:8], at_once=3, exists="replace")
    assert crowd.most == 3


async def test_with_a_key_all_files_are_there(archive: ScriptedImap, tmp_path: Path) -> None:
    """The prefix that the key opens is asked."""
    archive.released.clear()
    async with asking(archive, tmp_path, api_key=KEY) as (session, config):
        assert (await download_files(session, config, [ONE, TWO], tmp_path / "other")).ok
    assert files_in(tmp_path) == [f"other/{ONE}", f"other/{TWO}"]


async def test_a_folder_of_any_name_may_lie_in_the_data_directory(archive: ScriptedImap, tmp_path: Path) -> None:
    """Finding out whether files can be written there trips over none."""
    for name in ("download", "imap", "data"):
        (tmp_path / name).mkdir()
    assert (await downloaded(archive, tmp_path, ONE)).ok


async def test_files_that_are_all_here_need_no_writable_folder(archive: ScriptedImap, tmp_path: Path) -> None:
    """Institutes keep their archives read-only, and programs read from them by downloading."""
    folder = tmp_path / "data"
    archive.add([mag_key(1), mag_key(2)])
    assert (await downloaded(archive, folder, mag_key(1))).ok
    with read_only(folder) as place:
        (again,) = await downloaded(archive, place, mag_key(1))
        assert again.was_there
        with pytest.raises(TargetNotWritable):
            await downloaded(archive, place, [mag_key(1), mag_key(2)])
