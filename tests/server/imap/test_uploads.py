"""Uploads: which names are taken, by whom, and when the catalogue knows of the file."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.imap_asking import KEY, OLD, READ_KEY, TOKEN, serving

from aurora_async.errors import InvalidInput

NAME = "imap_mag_l1b_norm-mago_20260101_v001.0001.cdf"
FILE = f"imap/mag/l1b/2026/01/{NAME}"
QUERY = "instrument=mag&data_level=l1b&start_date=20260101&end_date=20260101"


async def test_a_file_comes_by_a_link_and_is_listed(tmp_path: Path) -> None:
    """Under its canonical key, whatever folders were named; not released, and in the version that was sent."""
    async with serving(tmp_path) as asker:
        link = await asker.upload_link(f"some/folder/{NAME}")
        put = await asker.ask(link, "PUT", data=b"content", Content_Type="")
        assert (put.status, put.body) == (200, b"")
        assert put.headers["ETag"] == f'"{hashlib.md5(b"content").hexdigest()}"'
        (row,) = await asker.listed(QUERY)
        assert (row["file_path"], row["released"], row["version"]) == (FILE, False, "v001.0001")
        assert (await asker.get(FILE)).body == b"content"
        assert (await asker.ask(link, "PUT", data=b"again, as the answer was lost")).status == 200
        assert (await asker.get(FILE)).body == b"again, as the answer was lost"


async def test_who_may_not_upload_is_told_why(tmp_path: Path) -> None:
    """A key may be for reading alone; in production there is one way only."""
    async with serving(tmp_path, published=False) as asker:
        reader = await asker.ask(f"/api-key/upload/{NAME}", **READ_KEY)
        assert (reader.status, reader.document) == (403, "Upload access denied. Your API key has read permissions.")
        nobody = await asker.ask(f"/upload/{NAME}")
        denied = "Upload access denied. Please provide a valid API key with upload permissions."
        assert (nobody.status, nobody.document) == (403, denied)
        assert (await asker.ask(f"/authorized/upload/{NAME}", **TOKEN)).status == 200
    async with serving(tmp_path, published=False, production_rules=True) as asker:
        for path in (f"/upload/{NAME}", f"/authorized/upload/{NAME}"):
            answer = await asker.ask(path, **TOKEN)
            assert (answer.status, answer.document) == (404, {"message": "Not Found"})
        assert (await asker.ask(f"/api-key/upload/{NAME}", **KEY)).status == 200
    async with serving(tmp_path, published=False, is_open=True) as asker:
        assert (await asker.ask(f"/upload/{NAME}")).status == 200


@pytest.mark.parametrize("name", ["test.cdf", "imap_swe_l1a_sci_20240105_20240105_v00-00.cdf", "imap_mag_l2_a_b.cdf"])
async def test_a_name_that_fits_no_rule_is_refused(tmp_path: Path, name: str) -> None:
    """Also one of the rules of January 2024."""
    async with serving(tmp_path, published=False) as asker:
        answer = await asker.ask(f"/api-key/upload/{name}", **KEY)
        assert (answer.status, answer.document) == (
            400,
            f"error: {name} does not match ancillary, science, cadence, or SPICE file naming convention.",
        )
        nothing = await asker.ask("/api-key/upload", **KEY)
    assert nothing.status == 400 and nothing.document.startswith("No filename given for the upload.")


async def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    """Neither one that was brought, from the moment of its upload, nor a published one."""
    published = "imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
    async with serving(tmp_path, index_s=60) as asker:
        await asker.put(NAME, b"x")
        for name, key in ((NAME, FILE), (published, f"imap/mag/l2/2026/04/{published}")):
            answer = await asker.ask(f"/api-key/upload/{name}", **KEY)
            assert (answer.status, answer.document) == (
                409,
                {
                    "error": "FileAlreadyExists",
                    "message": f"The file '{key}' already exists. Rename it or remove the existing file before"
                    " uploading again.",
                },
            )
        assert await asker.rows(QUERY) == []  # the catalogue does not know of it yet


async def test_what_was_brought_is_listed_after_a_restart(tmp_path: Path) -> None:
    """The catalogue lags behind, and forgets nothing."""
    async with serving(tmp_path, index_s=60) as asker:
        await asker.put(NAME, b"x")
    async with serving(tmp_path) as asker:
        await asker.listed(QUERY)


async def test_an_upload_is_what_its_headers_say(tmp_path: Path) -> None:
    """A body of unknown length is refused, one with another digest is not kept; a tag is part of the link."""
    async with serving(tmp_path, published=False) as asker:
        link = await asker.upload_link(NAME, "?manually_reprocessed=true")
        chunked = await asker.ask(link, "PUT", data=_in_chunks())
        assert (chunked.status, chunked.code) == (411, "MissingContentLength")
        wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        damaged = await asker.ask(link, "PUT", data=b"x", Content_MD5=wrong)
        assert (damaged.status, damaged.code) == (400, "BadDigest")
        assert (await asker.ask(f"/api-key/download/{FILE}", **KEY)).status == 404
        assert (await asker.ask(link.replace("manually", "m"), "PUT", data=b"x")).code == "SignatureDoesNotMatch"
        assert (await asker.ask(link, "PUT", data=b"x")).status == 200
        assert (await asker.get(FILE)).headers["x-amz-tagging-count"] == "1"


async def _in_chunks() -> AsyncIterator[bytes]:
    yield b"x"


async def test_a_client_of_january_2024_uploads_to_any_path(tmp_path: Path) -> None:
    """Without a key, as there was none; clients of today see nothing of it in the catalogue."""
    keys = ("imap/swe/l1a/2024/01/imap_swe_l1a_sci_20240105_20240105_v00-00.cdf", "imap/mag/calibration/test.txt")
    async with serving(tmp_path) as asker:
        for key in keys:
            link = (await asker.ask(f"/upload/{key}", **OLD)).document
            assert (await asker.ask(link, "PUT", data=key.encode(), Content_Type="", **OLD)).status == 200
            again = await asker.ask(f"/upload/{key}", **OLD)
            assert (again.status, again.document) == (409, f"{key} already exists.")
            assert (await asker.get(key)).body == key.encode()
        query = "instrument=swe&data_level=l1a&start_date=20240105&end_date=20240105"
        (row,) = await asker.listed(query, **OLD)
        assert (row["file_path"], row["end_date"], row["version"]) == (keys[0], "20240105", "v00-00")
        assert keys[0] not in [row["file_path"] for row in await asker.rows(query)]
        for path in ("../service.sqlite", "imap/../../x", "elsewhere/x.txt"):
            assert (await asker.ask(f"/upload/{path}", **OLD)).status in (400, 404)


async def test_a_folder_of_files_is_an_archive(tmp_path: Path) -> None:
    """What lies there is listed and served from the first moment; what comes, changes or goes is noticed."""
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    (files / "deep" / NAME).write_bytes(b"first")
    (files / "notes.txt").write_bytes(b"no file of the archive's")
    async with serving(tmp_path / "service", published=False, files_dir=files) as asker:
        assert [row["file_path"] for row in await asker.rows(QUERY)] == [FILE]
        first = await asker.get(FILE)
        assert first.body == b"first" and first.headers["ETag"] == f'"{hashlib.md5(b"first").hexdigest()}"'
        (files / "deep" / NAME).write_bytes(b"second")
        second = await asker.get(FILE)
        assert second.body == b"second" and second.headers["ETag"] == f'"{hashlib.md5(b"second").hexdigest()}"'
        new = files / NAME.replace("0001.cdf", "0002.cdf")
        new.write_bytes(b"new")
        os.utime(new, (1_750_000_000, 1_750_000_000))
        rows = await asker.listed(QUERY, 2)
        assert rows[1]["ingestion_date"] == "20250615 15:06:40"
        new.unlink()
        await asker.listed(QUERY, 1)
        assert (await asker.ask(f"/api-key/download/{rows[1]['file_path']}", **KEY)).status == 404
        assert (await asker.ask(f"/api-key/upload/{NAME}", **KEY)).status == 409
    async with serving(tmp_path / "service", published=False) as asker:
        assert await asker.rows(QUERY) == []
    with pytest.raises(InvalidInput, match="files_dir"):
        async with serving(tmp_path / "service", files_dir=tmp_path / "nowhere"):
            pass
