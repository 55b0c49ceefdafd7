"""The file area: files that are made when they are asked for, and are served like any others."""

from __future__ import annotations

import asyncio
import html.parser
import io
import resource
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

STORED = "/SUM58/D803708321/S00008/Dopplergram.fits"
TWO = "hmi.M_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}"


async def test_a_stored_file_is_always_the_same(serve: Any) -> None:
    """So are its validators, also of another service: whoever has a part of it can go on with it anywhere."""
    async with serve() as asker:
        status, headers, content = await asker.get(STORED)
        assert (status, headers["Content-Type"], len(content)) == (
            200,
            "application/fits",
            int(headers["Content-Length"]),
        )
        again = await asker.get(STORED)
        assert again[2] == content
    async with serve() as asker:
        later = await asker.get(STORED)
        assert later[2] == content
        for name in ("ETag", "Last-Modified", "Accept-Ranges"):
            assert later[1][name] == headers[name]


async def test_a_file_can_be_had_in_parts(serve: Any) -> None:
    """A range with the right validator is a part, with another one the whole, and outside it is refused."""
    async with serve() as asker:
        _, headers, content = await asker.get(STORED)
        size, etag = len(content), headers["ETag"]
        status, headers, part = await asker.get(STORED, Range="bytes=5000-", If_Range=etag)
        assert (status, part) == (206, content[5000:])
        assert headers["Content-Range"] == f"bytes 5000-{size - 1}/{size}"
        status, _, whole = await asker.get(STORED, Range="bytes=5000-", If_Range='"another"')
        assert (status, whole) == (200, content)
        status, headers, _ = await asker.get(STORED, Range=f"bytes={size}-")
        assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
        assert (await asker.get(STORED, If_None_Match=etag))[0] == 304
        async with asker.session.head(f"{asker.base_url}{STORED}") as head:
            assert (head.status, head.headers["Content-Length"]) == (200, str(size))


async def test_exported_files_and_tars_can_be_had_in_parts(serve: Any) -> None:
    """Those that are made on the spot, and the one that lies on the disk."""
    async with serve() as asker:
        made = await asker.export(TWO, protocol="fits")
        packed = await asker.export(TWO, protocol="fits", method="url-tar")
        for path in (f"{made['dir']}/{made['data'][0]['filename']}", packed["tarfile"]):
            _, headers, content = await asker.get(path)
            status, _, part = await asker.get(path, Range="bytes=100-199", If_Range=headers["ETag"])
            assert (status, part) == (206, content[100:200])


@pytest.mark.parametrize(
    "path",
    [
        "/SUM58/D803708321/S00008/other.fits",
        "/SUM58/D803708321/S00099/Dopplergram.fits",
        "/SUM0/D803708321/S00008/Dopplergram.fits",
        "/SUM58/D1/S00000/x",
        "/SUM58/D999999999999/S00000/x",
        "/SUM58/D803708321/S00008",
        "/SUM58/elsewhere/S00008/Dopplergram.fits",
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(serve: Any, path: str) -> None:
    """As a server of files answers, and not a document of the API's; neither is there a file of another path."""
    async with serve() as asker:
        status, headers, body = await asker.get(path)
        if status == 301:
            status, headers, body = await asker.get(headers["Location"])
        assert (status, headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert b"Not Found" in body


@pytest.mark.parametrize("path", ["/a/b/c", "/a/b/c/", "/a/b/c/d/e"])
async def test_outside_of_the_area_answers_are_as_ever(serve: Any, path: str) -> None:
    """The routes of the area match any path of three parts and more."""
    async with serve() as asker:
        status, headers, _ = await asker.get(path)
        assert (status, headers["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize(
    "name", ["%2e%2e%2f%2e%2e%2fservice.sqlite", "..%2Findex.json", "../index.json", "%2Fetc%2Fpasswd"]
)
async def test_no_file_of_the_computer_is_served(serve: Any, name: str) -> None:
    """A name from outside is one of the export's files, or of none."""
    async with serve() as asker:
        made = await asker.export(TWO, protocol="fits")
        reader, writer = await asyncio.open_connection("127.0.0.1", asker.service.port)
        writer.write(f"GET {made['dir']}/{name} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.0 404", b"HTTP/1.0 400")), answer[:100]


class Links(html.parser.HTMLParser):
    """Gathers where a page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note a link."""
        self.targets += [value for name, value in attributes if (tag, name) == ("a", "href") and value]


async def test_the_page_of_a_directory_leads_to_its_files(serve: Any) -> None:
    """Also when its address was given without the stroke at its end."""
    async with serve() as asker:
        made = await asker.export(TWO, protocol="fits")
        async with asker.session.get(f"{asker.base_url}{made['dir']}") as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            page, address = await answer.text(), str(answer.url)
        links = Links()
        links.feed(page)
        assert len(links.targets) == 2
        for target, content in zip(links.targets, (await asker.files(made)).values(), strict=True):
            async with asker.session.get(urljoin(address, target)) as answer:
                assert await answer.read() == content
        listing = (await asker.file(f"{made['dir']}/index.txt")).decode()
        assert f"requestid={made['requestid']}" in listing
        assert f"{made['data'][0]['record']}\t{made['data'][0]['filename']}" in listing
        status, headers, body = await asker.get(f"{made['dir']}/index.json")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert body.decode().count("\\/") >= 3  # strokes are escaped, as the service does it


async def test_coordinates_lead_astropy_to_the_centre_of_the_disk(serve: Any) -> None:
    """The smaller image has the sky of the real one: the disk's edge is a radius away from its centre."""
    async with serve() as asker:
        made = await asker.export("hmi.Ic_720s[2017.1.8_TAI]{continuum}", protocol="fits")
        with fits.open(io.BytesIO(next(iter((await asker.files(made)).values())))) as file:
            said, light = file[0].header.copy(), np.array(file[0].data)
        assert said["CDELT1"] == pytest.approx(0.504 * 64, rel=0.01)
        rows, columns = np.nonzero(np.isfinite(light))
        # CROTA2 is about 180 degrees; the celestial coordinates of the sky's plane do not care.
        sky = WCS(said, fix=False).wcs_pix2world(np.stack([columns, rows], axis=-1), 0) * 3600
        sky = (sky + 180 * 3600) % (360 * 3600) - 180 * 3600
        distance = np.hypot(sky[:, 0], sky[:, 1])
        assert distance.max() == pytest.approx(said["RSUN_OBS"], abs=said["CDELT1"])
        assert (
            light[rows[distance.argmin()], columns[distance.argmin()]]
            > 1.5 * light[rows[distance.argmax()], columns[distance.argmax()]]
        )


async def test_many_files_need_no_memory(serve: Any) -> None:
    """A tar of a thousand files is written, and served, a file at a time."""
    async with serve() as asker:
        small = await asker.export("hmi.v_45s[2016.04.01_TAI/15m]{Dopplergram}", protocol="as-is", method="url-tar")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        accepted = await asker.request(
            "hmi.v_45s[2016.04.01_TAI/750m]{Dopplergram}", protocol="as-is", method="url-tar"
        )
        made = await asker.ended(accepted["requestid"], within_s=120)
        assert (small["count"], made["count"]) == ("20", "1000")
        size = 0
        async with asker.session.get(f"{asker.base_url}{made['tarfile']}") as answer:
            async for chunk in answer.content.iter_chunked(1 << 18):
                size += len(chunk)
        assert size > 1000 * 20_000
        grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown_bytes < size / 2
