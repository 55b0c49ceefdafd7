"""Files behind addresses: right to the byte, in parts and whole, and under the addresses that searches give."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.wire import Wire, exchange

from aurora_async import AuroraX, DataProductQuery, sync
from aurora_async.server.files import made_bytes
from aurora_async.server.sky.products import mirrored, product_at, products, published_url
from aurora_async.server.store import Account
from aurora_async.testing import LocalServer

SIZE = 200_000
ROOT = "data.phys.ucalgary.ca/sort_by_project/TREx/RGB"
KEOGRAM = f"{ROOT}/stream2/2020/01/01/fsmi_rgb-01/20200101__fsmi_rgb-01_full-keogram.jpg"
MOVIE = f"{ROOT}/rt-fullres/daily_movies/2020/01/01/20200101__fsmi_rgb-01_movie.mp4"
NIGHT = DataProductQuery(start="2020-01-01", end="2020-01-01", programs="trex", platforms="fort smith")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """One service for all tests here."""
    with LocalServer(api_keys={"key": Account(role="Administrator", email_address="admin@example.org")}) as running:
        yield running


@pytest.fixture
def data() -> bytes:
    """What is in the file that the tests ask for."""
    return made_bytes(SIZE, "a")


def ask(server: LocalServer, method: str = "GET", path: str = f"/_local/bytes/{SIZE}?seed=a", **headers: str) -> Wire:
    """Ask for the file."""
    return exchange(
        server.base_url + path, method, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_made_bytes_are_the_same_everywhere() -> None:
    """Digests in users' tests must hold on every machine and in every version."""
    assert hashlib.sha256(made_bytes(SIZE, "a")).hexdigest()[:16] == "a43bfd2ee32717e6"
    assert made_bytes(10, "a") == made_bytes(SIZE, "a")[:10] != made_bytes(10, "b")
    assert made_bytes(10, "a", version=2) != made_bytes(10, "a")
    assert made_bytes(0) == b""


def test_no_part_of_the_made_bytes_is_like_another() -> None:
    """A part that was written to the wrong place must show."""
    block = 1 << 12
    parts = [made_bytes(1 << 20)[at : at + block] for at in range(0, 1 << 20, 1 << 16)]
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=65530-65545", 65530, 65545),
        ("bytes=199999-", SIZE - 1, SIZE - 1),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        ("bytes=-300000", 0, SIZE - 1),
        ("bytes=10-300000", 10, SIZE - 1),
    ],
)
def test_a_part_is_just_that_part(server: LocalServer, data: bytes, asked: str, first: int, last: int) -> None:
    """Status, Content-Range, length and bytes agree."""
    answer = ask(server, Range=asked)
    assert answer.status == 206 and answer.is_whole
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.body == data[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6"])
def test_a_range_that_is_none_is_ignored(server: LocalServer, data: bytes, asked: str) -> None:
    """As RFC 9110 says of invalid ranges, and allows for several."""
    answer = ask(server, Range=asked)
    assert (answer.status, answer.body) == (200, data)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
def test_a_range_beyond_the_end_is_416(server: LocalServer, asked: str) -> None:
    """And says how long the file is, so that a client can put itself right."""
    answer = ask(server, Range=asked)
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


def test_a_part_is_sent_only_of_the_version_that_is_meant(server: LocalServer, data: bytes) -> None:
    """If-Range takes an ETag, or a date that is exactly the file's."""
    whole = ask(server)
    assert (whole.status, whole.body, whole.headers["Accept-Ranges"]) == (200, data, "bytes")
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    others = ('"other"', f"W/{etag}", "Thu, 02 Jan 2020 00:00:00 GMT")
    found = {known: ask(server, Range="bytes=5-", If_Range=known).status for known in (etag, date, *others)}
    assert found == {etag: 206, date: 206} | dict.fromkeys(others, 200)


def test_a_digest_is_one_of_the_whole_file(server: LocalServer, data: bytes) -> None:
    """Also with a part (RFC 9530): what was put together from parts is checked against it."""
    said = f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
    url = server.file_url(SIZE, digest=True)
    for headers in ({}, {"Range": "bytes=5-9"}):
        assert exchange(url, headers=headers).headers["Repr-Digest"] == said
    assert "Repr-Digest" not in exchange(server.file_url(SIZE)).headers


def test_head_says_what_get_would(server: LocalServer) -> None:
    """Length, type and validators, without the body; a range means nothing there."""
    head, whole = ask(server, "HEAD", Range="bytes=5-"), ask(server)
    assert (head.status, head.framed) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]


def test_what_the_client_has_is_not_sent_again(server: LocalServer) -> None:
    """304 to the same ETag, or the same date."""
    whole = ask(server)
    assert ask(server, If_None_Match=whole.headers["ETag"]).status == 304
    assert ask(server, If_None_Match='"other"').status == 200
    assert ask(server, If_Modified_Since=whole.headers["Last-Modified"]).status == 304


@pytest.mark.parametrize("path", ["/_local/bytes/-1", "/_local/bytes/x", "/_local/bytes/99999999999999"])
def test_a_length_that_is_none_is_400(server: LocalServer, path: str) -> None:
    """With what would be one."""
    answer = ask(server, path=path)
    assert (answer.status, "is not a number of bytes" in answer.json["error_message"]) == (400, True)


# Data products ------------------------------------------------------------------------------------------------------


def test_every_data_product_has_a_file(server: LocalServer) -> None:
    """Of all kinds, each with bytes of its own."""
    query = {"identifier": 96, "start": _moment("2020-01-01T00:00"), "end": _moment("2020-01-01T23:59")}
    urls = [record["url"] for record in products(**query)]
    answers = [ask(server, path=f"/files/{url.removeprefix('https://')}") for url in urls]
    assert len(urls) == 66 and {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == len({answer.headers["ETag"] for answer in answers}) == 66
    types = {url.rpartition(".")[2]: answer.headers["Content-Type"] for url, answer in zip(urls, answers, strict=True)}
    assert types == {"jpg": "image/jpeg", "mp4": "video/mp4"}


@pytest.mark.parametrize(
    "path",
    [
        KEOGRAM.replace("20200101__", "20200631__").replace("2020/01", "2020/06"),
        KEOGRAM.replace("fsmi", "nobody"),
        KEOGRAM.replace(".jpg", ".png"),
        KEOGRAM.replace("20200101", "99999999"),
        "data.phys.ucalgary.ca/",
        "example.org/20200101__fsmi_rgb-01.jpg",
        f"{ROOT}/../../etc/passwd",
    ],
)
def test_other_addresses_have_none(server: LocalServer, path: str) -> None:
    """A service that had a file for every address would hide a wrong one."""
    assert ask(server, path=f"/files/{path}").status == 404


def test_a_keogram_is_a_jpeg(server: LocalServer) -> None:
    """Its segments follow each other to the end, and one of them says that it is made up."""
    body = ask(server, path=f"/files/{KEOGRAM}").body
    segments = dict(_jpeg_segments(body))
    height, width = struct.unpack(">HH", segments[0xC0][1:5])
    assert (width, height) == (960, 384)
    assert b"Not an observation" in segments[0xFE]
    assert body.endswith(b"\xff\xd9")
    assert _decoded_blocks(body) == width * height // 64 * 3


def test_a_movie_is_an_mp4(server: LocalServer) -> None:
    """Without tracks, but with all that a player looks for first."""
    body = ask(server, path=f"/files/{MOVIE}").body
    boxes, at = [], 0
    while at < len(body):
        size, name = struct.unpack(">I4s", body[at : at + 8])
        boxes.append(name)
        at += size
    assert (boxes, at) == ([b"ftyp", b"moov", b"free"], len(body))


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _jpeg_segments(body: bytes) -> Iterator[tuple[int, bytes]]:
    assert body[:2] == b"\xff\xd8"
    at = 2
    while True:
        mark, kind, length = struct.unpack(">BBH", body[at : at + 4])
        assert mark == 0xFF
        yield kind, body[at + 4 : at + 2 + length]
        at += 2 + length
        if kind == 0xDA:
            yield 0, body[at:-2]
            return


def _decoded_blocks(body: bytes) -> int:
    """Count the blocks by reading all codes: what is left after the last must be padding."""
    segments = dict(_jpeg_segments(body))
    table = segments[0xC4]
    lengths, code, known = table[1:17], 0, {}
    values = iter(table[17:29])
    for length, count in enumerate(lengths, 1):
        for _ in range(count):
            known[f"{code:0{length}b}"] = next(values)
            code += 1
        code <<= 1
    scan = segments[0].replace(b"\xff\0", b"\xff")
    bits = f"{int.from_bytes(scan, 'big'):0{len(scan) * 8}b}"
    at = blocks = 0
    while len(bits) - at > 7:
        end = at + 1
        while bits[at:end] not in known:
            end += 1
        at = end + known[bits[at:end]]
        assert bits[at] == "0"  # the end of the block
        at += 1
        blocks += 1
    assert set(bits[at:]) <= {"1"}
    return blocks


def test_an_address_leads_to_its_record_and_back() -> None:
    """The published address is never lost."""
    record = product_at(f"https://{KEOGRAM}")
    assert record is not None and record["metadata"]["keogram_type"] == "daily"
    copy = mirrored(record, "http://127.0.0.1:1/files")
    assert copy["url"] == f"http://127.0.0.1:1/files/{KEOGRAM}"
    assert copy["metadata"] == record["metadata"] | {"published_url": record["url"]}
    assert published_url(copy["url"]) == published_url(record["url"]) == record["url"]
    assert published_url("https://example.org/a.jpg") == "https://example.org/a.jpg"


async def test_records_lead_to_files_that_are_there(server: LocalServer) -> None:
    """Both a search that is answered at once and one that is not."""
    for synchronous in (True, False):
        async with AuroraX(base_url=server.base_url, synchronous=synchronous) as client:
            records = await client.data_products.search(NIGHT)
        assert len(records) == 66
        for record in records[:3]:
            assert record.url.startswith(f"{server.base_url}/files/{ROOT}/") and record.metadata is not None
            assert record.metadata["published_url"] == f"https://{urlsplit(record.url).path.removeprefix('/files/')}"
            assert exchange(record.url).status == 200


def test_the_published_addresses_are_given_unless_others_are_wanted() -> None:
    """The official client's published examples show these."""
    with LocalServer(product_urls="published") as server, sync.AuroraX(base_url=server.base_url) as client:
        record = client.data_products.search(NIGHT)[0]
    assert record.url.startswith(f"https://{ROOT}/")
    assert record.metadata is not None and "published_url" not in record.metadata


async def test_a_record_can_be_deleted_by_the_address_that_it_was_given(server: LocalServer) -> None:
    """What a search shows is what a deletion names."""
    async with AuroraX(base_url=server.base_url, api_key="key") as client:
        deleted = await client.data_products.delete(96, "2020-01-02", "2020-01-02", data_product_types="movie")
        assert len(deleted) == 1 and deleted[0].startswith(server.base_url)
        left = await client.data_products.search(
            DataProductQuery(start="2020-01-02", end="2020-01-02", programs="trex", platforms="fort smith")
        )
    assert deleted[0] not in {record.url for record in left} and len(left) > 40
