"""The object store: what is in it stays what it is, and can be had in parts."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from support.imap_asking import serving

KEY = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
NEW = "imap_mag_l1b_norm-mago_20260101_v001.0001.cdf"
NEW_KEY = f"imap/mag/l1b/2026/01/{NEW}"


async def test_a_published_file_is_always_the_same(tmp_path: Path) -> None:
    """So is what tells its version, in another service too: whoever has a part of it can go on with it anywhere."""
    async with serving(tmp_path / "one") as one, serving(tmp_path / "two") as two:
        first, second = await one.get(KEY), await two.get(KEY)
        (row,) = await one.rows("instrument=mag&start_date=20260412&end_date=20260412&data_level=l2")
    assert first.status == 200 and first.body == second.body
    assert first.headers["ETag"] == second.headers["ETag"] == f'"{hashlib.md5(first.body).hexdigest()}"'
    changed = parsedate_to_datetime(first.headers["Last-Modified"])
    assert changed.strftime("%Y%m%d %H:%M:%S") == row["ingestion_date"]
    assert first.headers["Content-Length"] == str(len(first.body))
    assert first.headers["x-amz-server-side-encryption"] == "AES256"
    assert "made up" in first.headers["x-amz-meta-note"].lower()


async def test_many_who_want_the_same_file_at_once_get_the_same(tmp_path: Path) -> None:
    """It is made once, and nobody sees half of it."""
    async with serving(tmp_path) as asker:
        link = await asker.link(KEY)
        answers = await asyncio.gather(*(asker.ask(link) for _ in range(20)))
    assert len({answer.body for answer in answers}) == 1
    assert {answer.headers["ETag"] for answer in answers} == {f'"{hashlib.md5(answers[0].body).hexdigest()}"'}


async def test_an_object_can_be_had_in_parts_and_by_its_version(tmp_path: Path) -> None:
    """As RFC 9110 has it, with errors as S3 writes them."""
    content = bytes(range(256)) * 2000
    async with serving(tmp_path, published=False) as asker:
        put = await asker.put(NEW, content)
        link = await asker.link(NEW_KEY)
        etag = put.headers["ETag"]
        part = await asker.ask(link, Range="bytes=300000-300009", If_Range=etag)
        assert (part.status, part.body) == (206, content[300000:300010])
        assert part.headers["Content-Range"] == f"bytes 300000-300009/{len(content)}"
        assert (await asker.ask(link, Range="bytes=-3")).body == content[-3:]
        whole = await asker.ask(link, Range="bytes=5-", If_Range='"another"')
        assert (whole.status, whole.body) == (200, content)
        past = await asker.ask(link, Range=f"bytes={len(content)}-")
        assert (past.status, past.code) == (416, "InvalidRange")
        assert past.headers["Content-Range"] == f"bytes */{len(content)}"
        assert (await asker.ask(link, If_Match=etag)).status == 200
        refused = await asker.ask(link, If_Match='"another"')
        assert (refused.status, refused.code) == (412, "PreconditionFailed")
        for condition in ({"If_None_Match": etag}, {"If_Modified_Since": part.headers["Last-Modified"]}):
            known = await asker.ask(link, **condition)
            assert (known.status, known.body, known.headers["ETag"]) == (304, b"", etag)


async def test_what_was_acknowledged_survives_a_restart(tmp_path: Path) -> None:
    """Bytes, version and time; half an upload that a crash left behind goes."""
    async with serving(tmp_path, published=False) as asker:
        await asker.put(NEW, b"brought")
        before = await asker.get(NEW_KEY)
    left = tmp_path / "imap" / "incoming" / "half"
    left.write_bytes(b"half")
    async with serving(tmp_path, published=False) as asker:
        after = await asker.get(NEW_KEY)
        assert (await asker.put(NEW.replace("0001.cdf", "0002.cdf"), b"")).headers[
            "ETag"
        ] == f'"{hashlib.md5().hexdigest()}"'
    assert after.body == b"brought" and not left.exists()
    assert [after.headers[name] for name in ("ETag", "Last-Modified")] == [
        before.headers[name] for name in ("ETag", "Last-Modified")
    ]


async def test_a_file_that_the_disk_has_lost_is_made_again(tmp_path: Path) -> None:
    """A published one; and without the published files nothing of them is there, made before or not."""
    async with serving(tmp_path) as asker:
        first = await asker.get(KEY)
        (tmp_path / "imap" / "objects" / KEY).unlink()
        again = await asker.get(KEY)
    assert again.body == first.body and again.headers["ETag"] == first.headers["ETag"]
    async with serving(tmp_path, published=False) as asker:
        assert (await asker.ask(f"/download/{KEY}")).status == 404


async def test_a_connection_lost_in_an_upload_leaves_nothing(tmp_path: Path) -> None:
    """Neither an object nor a part of one."""
    async with serving(tmp_path, published=False) as asker:
        url = urlsplit(await asker.upload_link(NEW))
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 5000000\r\n\r\n"
        writer.write(head.encode() + bytes(3_000_000))
        await writer.drain()
        incoming = tmp_path / "imap" / "incoming"
        async with asyncio.timeout(10):
            while not any(incoming.iterdir()):
                await asyncio.sleep(0.01)
            writer.close()
            while any(incoming.iterdir()):
                await asyncio.sleep(0.01)
        assert (await asker.ask(f"/api-key/download/{NEW_KEY}", x_api_key="imap-demo-key")).status == 404


async def test_objects_of_any_size_need_no_memory(tmp_path: Path) -> None:
    """Up and down, a part at a time."""
    size, part = 256 << 20, bytes(1 << 20)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(size // len(part)):
            yield part

    async with serving(tmp_path, published=False) as asker:
        link = await asker.upload_link(NEW)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        put = await asker.ask(link, "PUT", data=content(), Content_Length=str(size))
        assert put.status == 200, put.text
        got = 0
        async with asker.session.get(await asker.link(NEW_KEY)) as answer:
            async for chunk in answer.content.iter_any():
                got += len(chunk)
        assert got == size
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 48 << 20


@pytest.mark.parametrize("is_made_up", [True, False])
async def test_a_fault_makes_another_version_of_an_object(tmp_path: Path, *, is_made_up: bool) -> None:
    """A made-up one has other bytes, and the digest of those, unless the fault keeps the ETag."""
    async with serving(tmp_path) as asker:
        await asker.put(NEW, b"brought")
        key = KEY if is_made_up else NEW_KEY
        link = await asker.link(key)
        first = await asker.ask(link)
        fault = asker.service.faults.add(path="/imap/mag/*", version=2)
        second = await asker.ask(link, Range="bytes=2-", If_Range=first.headers["ETag"])
        asker.service.faults.remove(fault)
        asker.service.faults.add(path="/imap/mag/*", version=2, kept="ETag")
        third = await asker.ask(link)
    assert second.status == 200 and second.headers["ETag"] != first.headers["ETag"]
    assert third.headers["ETag"] == first.headers["ETag"] and third.body == second.body
    assert (second.body != first.body) is is_made_up
    if is_made_up:
        assert second.headers["ETag"] == f'"{hashlib.md5(second.body).hexdigest()}"'


async def test_faults_act_on_the_port_of_the_objects(tmp_path: Path) -> None:
    """By the path of the object, which is not that of its redirect; requests are on record with their headers."""
    async with serving(tmp_path) as asker:
        link = await asker.link(KEY)
        content = (await asker.ask(link)).body
        faults = asker.service.faults
        cut = faults.add(path="/imap/mag/*", cut_at=0.5, times=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asker.ask(await asker.link(KEY))
        assert cut.hits == 1
        faults.add(path="/imap/mag/*", overlook="Range", times=1)
        assert (await asker.ask(link, Range="bytes=5-")).body == content
        faults.add(path="/imap/mag/*", status=503, retry_after_s=1, times=1)
        busy = await asker.ask(link)
        assert (busy.status, busy.headers["Retry-After"]) == (503, "1")
        await asker.ask(link, x_api_key="sent by mistake")
        (seen,) = [one for one in faults.requests if "x-api-key" in one.headers and one.path.startswith("/imap/mag/")]
        assert seen.headers["Host"] == urlsplit(asker.service.imap_objects_url).netloc


async def test_an_object_cannot_be_a_folder_of_others(tmp_path: Path) -> None:
    """A client of January 2024 may name anything: what the disk cannot hold is refused, with nothing left behind."""
    old = {"User_Agent": "Python-urllib/3.11"}
    async with serving(tmp_path, published=False) as asker:
        for path, status in (("imap/notes", 200), ("imap/notes/more.txt", 400)):
            link = (await asker.ask(f"/upload/{path}", **old)).document
            answer = await asker.ask(link, "PUT", data=b"x", **old)
            assert answer.status == status
        assert answer.code == "InvalidRequest"
        assert not list((tmp_path / "imap" / "incoming").iterdir())
