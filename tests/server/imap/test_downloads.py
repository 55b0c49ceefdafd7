"""`/download`: what there is, and who may have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.imap_asking import KEY, OLD, TOKEN, serving

SECRET = "imap/swe/l0/2024/05/imap_swe_l0_raw_20240510_v001.pkts"
PUBLIC = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
LEGACY = "imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-00.pkts"
NOT_FOUND = (
    "File not found, make sure you include the full path to the file in the request, e.g."
    " /download/path/to/file/filename.pkts."
)


async def test_without_credentials_there_is_what_is_released(tmp_path: Path) -> None:
    """Everything else is there for a key or a token, by the prefix of the path."""
    quicklook = "imap_mag_l1a_x_20260101_v001.0001.png"
    async with serving(tmp_path) as asker:
        await asker.put(quicklook, b"x")
        expected = {
            PUBLIC: 302,
            SECRET: 403,
            LEGACY: 302,
            "imap/spice/lsk/naif0012.tls": 302,
            f"imap/quicklook/mag/l1a/2026/01/{quicklook}": 403,
            "imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf": 404,
            "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.9999.cdf": 404,
            "imap/../service.sqlite": 404,
        }
        for key, status in expected.items():
            answer = await asker.ask(f"/download/{key}")
            assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (status, "text/html"), key
            for prefix, credential in (("api-key", KEY), ("authorized", TOKEN)):
                with_it = await asker.ask(f"/{prefix}/download/{key}", **credential)
                assert with_it.status == (404 if status == 404 else 302), key
        refused = await asker.ask(f"/download/{SECRET}", **KEY)
        assert refused.text == f"The file {SECRET} is not a part of a public release yet."
        assert (await asker.ask("/download/nothing")).text == NOT_FOUND
        nothing = await asker.ask("/download")
    assert nothing.status == 400 and nothing.text.startswith("No file requested for download.")


async def test_a_redirect_says_where_to_twice(tmp_path: Path) -> None:
    """In its header, and in its body for who reads that."""
    async with serving(tmp_path) as asker:
        answer = await asker.ask(f"/download/{PUBLIC}")
        assert answer.document == {"download_url": answer.headers["Location"]}


async def test_what_is_asked_by_head_is_followed_by_head(tmp_path: Path) -> None:
    """Whoever wants to know how long a file is and of which version is sent on with a link that is good for that."""
    async with serving(tmp_path) as asker:
        sent_on = await asker.ask(f"/download/{PUBLIC}", "HEAD")
        head = await asker.ask(sent_on.headers["Location"], "HEAD")
        whole = await asker.get(PUBLIC)
        # What some clients make of a HEAD that is sent on.
        assert (await asker.ask(sent_on.headers["Location"])).body == whole.body
        assert (await asker.ask(sent_on.headers["Location"], "PUT", data=b"x")).code == "SignatureDoesNotMatch"
    assert (sent_on.status, sent_on.body, head.status, head.body) == (302, b"", 200, b"")
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "key",
    [
        "imap/quicklook/mag/l1a/2026/01/imap_mag_l1a_norm_20260101_v001.0001.png",
        "imap/dependency/mag/l1a/2026/01/imap_mag_l1a_norm-12345678_20260101_v001.json",
        "imap/release/codice/imap_codice_data-release-001_20260403_20260430_v001.txt",
    ],
)
async def test_what_is_for_the_pipeline_is_never_public(empty: Any, key: str) -> None:
    """Whatever the catalogue says of it."""
    await empty.put(key, b"x")
    await empty.add(key)
    await empty.service.catalog.release([key])
    assert empty.service.catalog.find(key).released
    refused = await empty.ask(f"download/{key}", key=None)
    assert (refused.status, refused.text) == (403, f"The file {key} is not a part of a public release yet.")


async def test_the_archive_of_january_2024_is_there_for_everybody(tmp_path: Path) -> None:
    """Its files are had by their whole paths, also by clients of today."""
    async with serving(tmp_path) as asker:
        clients: tuple[dict[str, str], ...] = ({}, OLD)
        for headers in clients:
            link = (await asker.ask(f"/download/{LEGACY}", **headers)).headers["Location"]
            answer = await asker.ask(link, **headers)
            assert answer.status == 200 and len(answer.body) > 1000
