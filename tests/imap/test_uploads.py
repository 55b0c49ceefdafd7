"""Files delivered: all names looked at first, the bytes there once and right, whatever was lost on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.scripted import hang_up, times
from support.scripted_imap import ENCRYPTION, Crowd, Handler, ScriptedImap, body_of, imap_config, mag_key, serving_imap

from aurora_async.errors import InvalidInput, MalformedAnswer, ServerError, TransportError, WrongContent
from aurora_async.http import Session
from aurora_async.imap import Imap
from aurora_async.imap.errors import AlreadyExists, LinkExpired, NotAllowed
from aurora_async.imap.uploads import Upload, Uploads, look_at, upload_file, upload_files

ONE, TWO, THREE = (mag_key(day).rpartition("/")[2] for day in (1, 2, 3))


@pytest.fixture
async def archive() -> AsyncIterator[ScriptedImap]:
    """One that has nothing."""
    async with serving_imap() as running:
        yield running


async def uploaded(archive: ScriptedImap, what: Any, **how: Any) -> Any:
    """Upload as on a server that takes files from everybody."""
    config = imap_config(archive.base_url, Path())
    async with Session(config) as session:
        return await (upload_file if isinstance(what, Path) else upload_files)(session, config, what, **how)


def made(folder: Path, *names: str, size: int = 1000) -> list[Path]:
    """Files of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body_of(name, size))
    return [folder / name for name in names]


def stored(archive: ScriptedImap) -> dict[str, bytes]:
    """What the archive has, by name."""
    return {key.rpartition("/")[2]: data for key, data in archive.objects.items()}


async def test_a_file_is_sent_to_the_link_for_its_name(archive: ScriptedImap, tmp_path: Path) -> None:
    """From the disk in pieces, with its length told before, and without a content type, as the link is signed."""
    (path,) = made(tmp_path / "any where", ONE, size=3_000_000)
    upload = await uploaded(archive, path)
    assert upload == Upload(path=path, key=mag_key(1), bytes=3_000_000, status="uploaded")
    assert stored(archive) == {ONE: body_of(ONE, 3_000_000)}
    (put,) = archive.requests("put")
    assert put.headers["Content-Length"] == "3000000"
    assert put.headers.get("Content-Type", "") == ""
    assert [one.path for one in archive.requests("upload")] == [f"/upload/{ONE}"]


@pytest.mark.parametrize(
    "name",
    [
        "imap_mag_l2_norm-dsrf_20260412_v001.cdf",
        "imap_swe_l0_sci_20240105_20240105_v00-05.pkts",
        "notes.txt",
        "imap_mag_l2_norm-dsrf_20260412_v001.0008.txt",
        "missing/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf",
    ],
    ids=["no major version", "of 2024", "no name", "another ending", "not there"],
)
async def test_what_the_archive_would_refuse_is_refused_before_anything_is_sent(
    archive: ScriptedImap, tmp_path: Path, name: str
) -> None:
    """Also as the last of many: none of the others has gone then."""
    paths = made(tmp_path, ONE, *([] if name.startswith("missing") else [name]))
    with pytest.raises(InvalidInput):
        await uploaded(archive, [paths[0], tmp_path / name])
    assert archive.seen == []


async def test_several_files_are_not_one(archive: ScriptedImap, tmp_path: Path) -> None:
    """Whoever means many is told of the verb for that, by name, before anything is sent."""
    async with Imap(imap_config(archive.base_url, tmp_path)) as imap:
        with pytest.raises(InvalidInput, match=r"^path: list is not the type of a path; upload_many delivers"):
            await imap.upload(made(tmp_path, ONE))  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"^path: int is not the type of a path"):
            await imap.upload_many([3])  # type: ignore[list-item]
    assert archive.seen == []


async def test_all_that_is_wrong_with_many_is_told_at_once(archive: ScriptedImap, tmp_path: Path) -> None:
    """Two of one name among it: the archive has one of each."""
    paths = made(tmp_path, ONE, f"other/{ONE}", "notes.txt")
    with pytest.raises(InvalidInput, match=r"2 of 3 files cannot be delivered: .*has the name of .*; ") as caught:
        await uploaded(archive, paths)
    assert "notes.txt" in str(caught.value)
    assert archive.seen == []


async def test_what_would_be_sent_can_be_looked_at(tmp_path: Path) -> None:
    """Names and files are looked at as for an upload, and no service is needed."""
    parcels = await look_at(made(tmp_path, ONE, TWO))
    assert [(one.path, one.key, one.bytes) for one in parcels] == [
        (tmp_path / ONE, mag_key(1), 1000),
        (tmp_path / TWO, mag_key(2), 1000),
    ]
    with pytest.raises(InvalidInput, match="one path"):
        await look_at(str(tmp_path / ONE))
    with pytest.raises(InvalidInput, match="2 of 3 files"):
        await look_at([tmp_path / ONE, tmp_path / THREE, tmp_path / "notes.txt"])


async def test_many_are_sent_at_once_and_one_failure_stops_none(archive: ScriptedImap, tmp_path: Path) -> None:
    """What is there already is an error of that one file, or passed over."""
    names = [mag_key(day).rpartition("/")[2] for day in range(1, 13)]
    paths = made(tmp_path, *names)
    archive.objects[mag_key(3)] = b"theirs"
    archive.on("put", crowd := Crowd(4))
    uploads = await uploaded(archive, paths)
    assert isinstance(uploads, Uploads)
    assert [one.path for one in uploads] == paths
    assert crowd.most == 4
    (failed,) = uploads.failed
    assert isinstance(failed.error, AlreadyExists) and failed.error.key == failed.key == mag_key(3)
    with pytest.raises(ExceptionGroup, match="1 of 12 files are not delivered"):
        uploads.raise_for_failures()
    puts = len(archive.requests("put"))
    again = await uploaded(archive, paths, exists="skip")
    assert again.ok and {one.status for one in again} == {"exists"}
    assert len(archive.requests("put")) == puts


async def test_a_single_file_that_is_there_raises_what_it_is(archive: ScriptedImap, tmp_path: Path) -> None:
    """With the archive's own name for it; `check` takes one with the same bytes, and no other."""
    (path,) = made(tmp_path, ONE)
    archive.objects[mag_key(1)] = body_of(ONE)
    archive.released.add(mag_key(1))
    with pytest.raises(AlreadyExists, match="exists='skip'"):
        await uploaded(archive, path)
    assert (await uploaded(archive, path, exists="skip")).status == "exists"
    for archive.md5_etags in (True, False):
        archive.objects[mag_key(1)] = body_of(ONE)
        assert (await uploaded(archive, path, exists="check")).status == "exists"
        archive.objects[mag_key(1)] = body_of(TWO)
        with pytest.raises(AlreadyExists):
            await uploaded(archive, path, exists="check")
    assert archive.requests("put") == []


# Trouble --------------------------------------------------------------------------------------------------------------


async def test_a_link_that_is_over_is_asked_for_anew(archive: ScriptedImap, tmp_path: Path) -> None:
    """And a store that refuses every link is told as that."""
    paths = made(tmp_path, ONE, TWO)
    archive.over = {"1"}
    assert (await uploaded(archive, paths[0])).status == "uploaded"
    assert archive.links == 2
    archive.over = {str(number) for number in range(100)}
    with pytest.raises(LinkExpired):
        await uploaded(archive, paths[1])
    assert archive.links == 5


@pytest.mark.parametrize("arrives", [False, True], ids=["lost on its way", "answer lost"])
async def test_bytes_are_sent_again_when_no_answer_comes(archive: ScriptedImap, tmp_path: Path, arrives: bool) -> None:
    """The same link takes the same bytes twice."""
    (path,) = made(tmp_path, ONE, size=300_000)

    async def lose(request: web.Request) -> web.StreamResponse | None:
        if len(archive.requests("put")) > 1:
            return None
        if arrives:
            archive.objects[mag_key(1)] = await request.read()
        await hang_up(request)
        return web.Response()

    archive.on("put", lose)
    assert (await uploaded(archive, path)).status == "uploaded"
    assert len(archive.requests("put")) == 2
    assert stored(archive)[ONE] == body_of(ONE, 300_000)


@pytest.mark.parametrize("ours", [True, False])
async def test_a_conflict_after_a_lost_answer_is_looked_into(archive: ScriptedImap, tmp_path: Path, ours: bool) -> None:
    """The file that is there now may be the one that was just sent: its bytes tell."""
    (path,) = made(tmp_path, ONE)
    archive.released.add(mag_key(1))

    async def lose(request: web.Request) -> web.StreamResponse:
        if len(archive.requests("put")) > 1:
            return web.Response(status=403)
        archive.objects[mag_key(1)] = await request.read() if ours else body_of(TWO)
        await hang_up(request)
        return web.Response()

    archive.on("put", lose)
    if ours:
        assert (await uploaded(archive, path)).status == "uploaded"
    else:
        with pytest.raises(AlreadyExists):
            await uploaded(archive, path)


async def test_a_busy_store_is_asked_again_and_a_broken_one_told(archive: ScriptedImap, tmp_path: Path) -> None:
    """As many tries as configured."""
    paths = made(tmp_path, ONE, TWO)
    archive.on("put", times(2, lambda: web.Response(status=503)))
    assert (await uploaded(archive, paths[0])).status == "uploaded"
    archive.on("put", times(9, lambda: web.Response(status=500)))
    with pytest.raises(ServerError):
        await uploaded(archive, paths[1])


def storing(archive: ScriptedImap, data: bytes | None, headers: dict[str, str]) -> Handler:
    """A store that has `data` afterwards, whatever is sent, and answers with `headers`."""

    async def put(request: web.Request) -> web.Response:
        await request.read()
        archive.objects = {} if data is None else {mag_key(1): data}
        return web.Response(headers=headers)

    return put


async def test_what_the_store_got_is_compared_with_what_was_sent(archive: ScriptedImap, tmp_path: Path) -> None:
    """By the MD5 that its ETag is."""
    (path,) = made(tmp_path, ONE)
    archive.on("put", storing(archive, body_of(ONE), {"ETag": f'"{"0" * 32}"', **ENCRYPTION}))
    with pytest.raises(WrongContent, match="not the file"):
        await uploaded(archive, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": f'"{"0" * 32}-2"'},
        {"ETag": f'"{"0" * 32}"', "x-amz-server-side-encryption": "aws:kms"},
        {"ETag": f'"{"0" * 32}"'},
        {},
    ],
    ids=["in parts", "encrypted", "of any store", "none"],
)
async def test_where_the_etag_says_nothing_the_service_is_asked(
    archive: ScriptedImap, tmp_path: Path, headers: dict[str, str]
) -> None:
    """A file that it does not have, or only a piece of it, is not delivered, whatever the store has answered."""
    (path,) = made(tmp_path, ONE)
    archive.released.add(mag_key(1))
    for data, says in ((None, "has no such file"), (b"", "0 of its 1000"), (body_of(ONE)[:10], "10 of its 1000")):
        archive.objects.clear()
        archive.on("put", storing(archive, data, headers))
        with pytest.raises(WrongContent, match=says):
            await uploaded(archive, path)
    archive.objects.clear()
    archive.on("put", storing(archive, body_of(ONE), headers))
    assert (await uploaded(archive, path)).status == "uploaded"


async def test_what_is_there_and_not_shown_is_delivered(archive: ScriptedImap, tmp_path: Path) -> None:
    """The service keeps what is new from the public, and that it does is the proof that it is there."""
    (path,) = made(tmp_path, ONE)
    archive.on("put", storing(archive, body_of(ONE), {}))
    assert (await uploaded(archive, path)).status == "uploaded"


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=303, headers={"Location": "/bucket/page"}),
        web.Response(text="<html>log in</html>", content_type="text/html"),
        web.Response(status=202),
    ],
    ids=["a redirect to a page", "a page", "not yet"],
)
async def test_only_the_answer_of_a_store_counts(archive: ScriptedImap, tmp_path: Path, answer: web.Response) -> None:
    """A 303 makes a GET of a PUT, and somebody in between may answer for the store: nothing has arrived."""
    (path,) = made(tmp_path, ONE)
    archive.objects["page"] = b"<html>"

    async def put(request: web.Request) -> web.Response:
        await request.read()
        return answer

    archive.on("put", put)
    with pytest.raises(MalformedAnswer, match="no store's answer"):
        await uploaded(archive, path)


@pytest.mark.parametrize("is_touched", [False, True])
async def test_a_file_that_changes_after_it_was_sent_was_delivered(
    archive: ScriptedImap, tmp_path: Path, is_touched: bool
) -> None:
    """What arrived is what was there then, also where both are of one length."""
    (path,) = made(tmp_path, ONE)
    archive.released.add(mag_key(1))

    async def put(request: web.Request) -> web.Response:
        data = archive.objects[mag_key(1)] = await request.read()
        path.write_bytes(data if is_touched else body_of(TWO))
        os.utime(path, (1, 1))
        return web.Response(headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"', **ENCRYPTION})

    archive.on("put", put)
    assert (await uploaded(archive, path)).status == "uploaded"


@pytest.mark.parametrize("arrives", [b"all", b"", None])
async def test_when_all_answers_are_lost_the_service_is_asked(
    archive: ScriptedImap, tmp_path: Path, arrives: bytes | None
) -> None:
    """Whether the answers were lost or the bytes: what it has now tells, where it has anything."""
    (path,) = made(tmp_path, ONE)
    archive.released.add(mag_key(1))

    async def lose(request: web.Request) -> web.StreamResponse:
        data = await request.read()
        if arrives is not None:
            archive.objects[mag_key(1)] = data if arrives else b""
        if len(archive.requests("put")) % 2:
            return web.Response(status=500)
        return await hang_up(request)

    archive.on("put", lose)
    if arrives:
        assert (await uploaded(archive, path)).status == "uploaded"
    else:
        with pytest.raises((TransportError, ServerError)):
            await uploaded(archive, path)


async def test_a_key_that_may_only_read_is_told(archive: ScriptedImap, tmp_path: Path) -> None:
    """In the service's own words, and nothing is sent."""
    (path,) = made(tmp_path, ONE)
    said = "Upload access denied. Your API key has read permissions."
    archive.on("upload", times(1, lambda: web.json_response(said, status=403)))
    with pytest.raises(NotAllowed, match="read permissions"):
        await uploaded(archive, path)
    archive.on("upload", times(1, lambda: web.json_response({"url": "x"})))
    with pytest.raises(MalformedAnswer):
        await uploaded(archive, path)
    assert archive.requests("put") == []


async def test_in_the_dialect_of_2024_the_path_is_asked_for(archive: ScriptedImap, tmp_path: Path) -> None:
    """Whatever its name is, below the data directory and nowhere else."""
    (path,) = made(tmp_path, "data/imap/mag/calibration/test_calibration.txt")
    await uploaded(archive, path, below=str(tmp_path / "data"))
    (asked,) = archive.requests("upload")
    assert asked.path == "/upload/imap/mag/calibration/test_calibration.txt"
    with pytest.raises(InvalidInput, match="does not lie in"):
        await uploaded(archive, path, below=tmp_path / "other")
