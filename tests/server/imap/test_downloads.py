"""`/download`: what there is, and who may have it."""

from __future__ import annotations

from pathlib import Path

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
    """In its header, and in its body for who reads that; HEAD gives the same but the body."""
    async with serving(tmp_path) as asker:
        answer = await asker.ask(f"/download/{PUBLIC}")
        head = await asker.ask(f"/download/{PUBLIC}", "HEAD")
        assert answer.document == {"download_url": answer.headers["Location"]}
        assert (head.status, head.body) == (302, b"")
        assert (await asker.ask(head.headers["Location"])).status == 200


async def test_the_archive_of_january_2024_is_there_for_everybody(tmp_path: Path) -> None:
    """Its files are had by their whole paths, also by clients of today."""
    async with serving(tmp_path) as asker:
        clients: tuple[dict[str, str], ...] = ({}, OLD)
        for headers in clients:
            link = (await asker.ask(f"/download/{LEGACY}", **headers)).headers["Location"]
            answer = await asker.ask(link, **headers)
            assert answer.status == 200 and len(answer.body) > 1000
