"""Files from a server that does what it likes: the right bytes under the name, or an error and nothing there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from support.files import OLD, FileServer, content, serving_bytes, serving_file

from aurora_async.config import Config, Retries, Timeouts
from aurora_async.errors import (
    AuroraError,
    ConnectionLost,
    DeadlineExceeded,
    DiskFull,
    HttpError,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    NotFound,
    TargetExists,
    TargetNotWritable,
    TransferStalled,
    WrongContent,
)
from aurora_async.http import Session, _body
from aurora_async.testing import LocalServer
from aurora_async.transfer.fetch import Fetched, Fetcher, FetchOptions, FetchOutcome, File, fetch, fetch_many
from aurora_async.transfer.leases import PARTS_FOLDER, Claim
from aurora_async.transfer.origins import Origin
from aurora_async.transfer.sink import PartFile
from aurora_async.transfer.versions import Version

SIZE = 1_000_003
DATA = content(SIZE)


def config() -> Config:
    return Config(
        base_url="http://127.0.0.1:9",
        retries=Retries(attempts=4, first_s=0.001, ceiling_s=0.002),
        timeouts=Timeouts(connect_s=2, read_s=2),
        trust_environment=False,
    )


@pytest.fixture
async def session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session for files, whose bodies go the plain way, or that of large ones."""
    if getattr(request, "param", "plain") == "fast":
        monkeypatch.setattr(_body, "_LARGE_BYTES", 0)
    async with Session(config()) as opened:
        yield opened


both_ways = pytest.mark.parametrize("session", ["plain", "fast"], indirect=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """A server of one file of a megabyte."""
    async with serving_file(DATA) as running:
        yield running


def held(target: Path) -> Claim | None:
    """Claim a file, as another process would."""
    ours = Claim(target, 30)
    return ours if ours.take() else None


def nothing_left(folder: Path, *names: str) -> bool:
    """No part file, no claim, no folder for them."""
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@both_ways
async def test_a_file_comes_whole_with_the_date_of_the_server(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """What is told of it is true."""
    got = await Fetcher(session).fetch(server.url, tmp_path / "sub" / "x.bin")
    assert got.path.read_bytes() == DATA
    assert (got.bytes, got.fetched_bytes, got.was_there) == (SIZE, SIZE, False)
    assert got.sha256 == hashlib.sha256(DATA).hexdigest()
    assert got.path.stat().st_mtime == 1577836800
    assert nothing_left(tmp_path / "sub", "x.bin")
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


async def test_what_fails_the_caller_s_check_never_gets_its_name(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """Whoever knows more of a file than its length may look at all of it first."""
    looked: list[bytes] = []

    def refuse(path: Path) -> None:
        looked.append(path.read_bytes())
        raise WrongContent(server.url, tmp_path / "x.bin", "is no FITS file")

    with pytest.raises(WrongContent, match="no FITS"):
        await Fetcher(session).fetch(server.url, tmp_path / "x.bin", check=refuse)
    assert set(looked) == {DATA}
    assert not (tmp_path / "x.bin").exists()
    got = await Fetcher(session).fetch(server.url, tmp_path / "x.bin", check=lambda path: None)
    assert got.path.read_bytes() == DATA and nothing_left(tmp_path, "x.bin")


async def test_a_slash_at_the_end_means_a_folder_that_is_still_to_be_made(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """Or the file would be called like the folder, and the next one would replace it."""
    got = await Fetcher(session).fetch(server.url, f"{tmp_path}/data/")
    assert got.path.parent == tmp_path / "data"
    assert got.path.read_bytes() == DATA


async def test_in_a_folder_it_has_the_name_of_the_url(session: Session, server: FileServer, tmp_path: Path) -> None:
    """Whatever the URL says, it lies in the folder."""
    assert (await Fetcher(session).fetch(server.url, tmp_path)).path == tmp_path / "data.bin"
    evil = server.url.replace("data.bin", "..%2F..%2Fetc%2Fpasswd")
    assert (await Fetcher(session).fetch(evil, tmp_path)).path == tmp_path / "passwd"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("tenth", range(10))
@both_ways
async def test_cut_anywhere_it_goes_on_from_there(
    session: Session, server: FileServer, tmp_path: Path, tenth: int, chunked: bool
) -> None:
    """Only what is missing is asked for, of the same version alone."""
    server.chunked = chunked
    cut = SIZE * tenth // 10
    server.cut_at = lambda number: cut if number == 0 else None
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert nothing_left(tmp_path, "x")
    assert len(server.seen) == 2
    assert server.sent <= SIZE + server.piece
    if tenth:
        assert server.seen[1].headers["If-Range"] == '"v1"'


@pytest.mark.parametrize(
    ("etag", "last_modified", "resumed"),
    [
        ('"v1"', None, True),
        (None, OLD, True),
        ('W/"v1"', OLD, True),
        ('W/"v1"', None, False),
        (None, None, False),
    ],
)
async def test_only_what_can_be_told_from_other_versions_is_gone_on_with(
    session: Session, server: FileServer, tmp_path: Path, etag: str | None, last_modified: str | None, resumed: bool
) -> None:
    """Without a strong validator the bytes that came are worth nothing."""
    server.etag, server.last_modified = etag, last_modified
    server.cut_at = lambda number: SIZE // 2 if number == 0 else None
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert ("Range" in server.seen[1].headers) is resumed


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("what", ["etag", "date", "both", "neither"])
async def test_versions_never_mix(
    session: Session, server: FileServer, tmp_path: Path, what: str, if_range: bool
) -> None:
    """The file changes after half of it came; what is saved is the new one, whole. (No validator: it starts over.)

    Also where the server gives a part of the new one in spite of If-Range.
    """
    other = content(SIZE, "b")
    server.if_range = if_range
    if what == "neither":
        server.etag = server.last_modified = None

    def change(number: int) -> None:
        if number == 1:
            server.data = other
            if what in ("etag", "both"):
                server.etag = '"v2"'
            if what in ("date", "both"):
                server.last_modified = "Thu, 02 Jan 2020 00:00:00 GMT"

    server.before = change
    server.cut_at = lambda number: SIZE // 2 if number == 0 else None
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == other
    assert nothing_left(tmp_path, "x")


async def test_a_part_need_not_repeat_the_date_it_was_asked_for_by(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """It came because the date held. Of another length it is another version all the same."""
    server.etag, server.dated_parts = None, False
    server.cut_at = lambda number: SIZE // 2 if number == 0 else None
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert server.sent <= SIZE + server.piece


@both_ways
async def test_cut_behind_the_last_byte_it_is_known_to_be_whole(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """A chunked body without its end: there is nothing more (416), and the version has just this length."""
    server.chunked = True
    server.cut_at = lambda number: SIZE if number == 0 else None
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert server.sent <= SIZE + 1
    assert nothing_left(tmp_path, "x")


@both_ways
async def test_a_server_without_ranges_sends_it_again(session: Session, server: FileServer, tmp_path: Path) -> None:
    """200 where a part was asked for is the whole."""
    server.ranges = False
    server.cut_at = lambda number: SIZE // 2 if number == 0 else None
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA


@pytest.mark.parametrize(
    "said", ["bytes 0-99/1000003", "bytes 500000-1000002/9999999", "items 1-2/3", "bytes 9-1/3", ""]
)
@both_ways
async def test_a_part_that_is_not_the_one_asked_for_is_not_used(
    session: Session, server: FileServer, tmp_path: Path, said: str
) -> None:
    """The bytes at the place where they belong, or none."""
    server.cut_at = lambda number: SIZE // 2 if number == 0 else None

    def lie(number: int) -> None:
        server.headers = {"Content-Range": said} if number == 1 else {}

    server.before = lie
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA


@both_ways
async def test_cut_again_and_again_it_ends_when_nothing_new_comes(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """Progress buys new tries; without any, the tries are counted."""
    server.cut_at = lambda number: 100_000
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert len(server.seen) == 11
    server.seen.clear()
    server.cut_at = lambda number: 0
    with pytest.raises(ConnectionLost):
        await Fetcher(session).fetch(server.url, tmp_path / "y")
    assert len(server.seen) == 4
    assert nothing_left(tmp_path, "x")


@both_ways
async def test_what_was_cut_is_gone_on_with_by_the_next_call(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """Also by another process: what counts is in the folder."""
    server.cut_at = lambda number: 600_000 if number == 0 else 0
    with pytest.raises(ConnectionLost):
        await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert len(list((tmp_path / PARTS_FOLDER).iterdir())) == 2
    server.cut_at = lambda number: None
    sent = server.sent
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert got.sha256 == hashlib.sha256(DATA).hexdigest()
    assert server.sent - sent == SIZE - 600_000 == got.fetched_bytes
    assert nothing_left(tmp_path, "x")


async def test_whatever_was_left_without_its_name_is_given_it(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """Killed after the last byte and before the name: the version is asked for, not the bytes."""
    ours = held(tmp_path / "x")
    assert ours is not None
    ours.part.write_bytes(DATA)
    ours.note(Version(etag='"v1"', validator='"v1"', length=SIZE), SIZE, released=True)
    got = await Fetcher(session).fetch(server.url, tmp_path / "x")
    assert got.path.read_bytes() == DATA
    assert server.sent <= 1


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"durable_bytes": "x"}', b'{"pid": -3}', b"\xff"])
async def test_a_claim_that_cannot_be_read_is_a_claim_all_the_same(
    session: Session, server: FileServer, tmp_path: Path, garbage: bytes
) -> None:
    """Until its lease has ended; then it is cleaned away."""
    ours = held(tmp_path / "x")
    assert ours is not None
    ours.state.write_bytes(garbage)
    assert held(tmp_path / "x") is None
    os.utime(ours.state, (1, 1))
    assert (await Fetcher(session).fetch(server.url, tmp_path / "x")).path.read_bytes() == DATA
    assert nothing_left(tmp_path, "x")


class TestPromises:
    """Lengths and digests."""

    @pytest.mark.parametrize("name", ["Repr-Digest", "Digest", "Content-MD5"])
    async def test_a_digest_of_the_server_is_verified(
        self, session: Session, server: FileServer, tmp_path: Path, name: str
    ) -> None:
        """Right: saved. Wrong: an error that says both, and nothing there."""

        def promise(data: bytes) -> None:
            sha, md5 = (base64.b64encode(hashlib.new(h, data).digest()).decode() for h in ("sha256", "md5"))
            value = {"Repr-Digest": f"sha-256=:{sha}:", "Digest": f"SHA-256={sha}", "Content-MD5": md5}[name]
            server.headers = {name: value}

        promise(DATA)
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        promise(b"other")
        with pytest.raises(WrongContent, match=rf"promised \({name}\)"):
            await Fetcher(session).fetch(server.url, tmp_path / "y")
        assert nothing_left(tmp_path, "x")

    @both_ways
    async def test_without_a_digest_the_rest_is_as_ever(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """It is gone on with where it was cut, and known again; who fetched it is not told by the digest."""
        server.cut_at = lambda number: SIZE // 3 if number < 2 else None
        fetcher = Fetcher(session)
        got = await fetcher.fetch(server.url, tmp_path / "x", sha256=False)
        assert (got.sha256, got.was_there, got.fetched_bytes) == (None, False, SIZE)
        assert "Range" in server.seen[1].headers
        assert got.path.read_bytes() == DATA
        again = await fetcher.fetch(server.url, tmp_path / "x", sha256=False)
        assert (again.sha256, again.was_there) == (None, True)
        assert nothing_left(tmp_path, "x")

    @both_ways
    @pytest.mark.parametrize("of_server", [True, False], ids=["server", "caller"])
    async def test_what_is_promised_is_verified_also_where_no_digest_is_wanted(
        self, session: Session, server: FileServer, tmp_path: Path, of_server: bool
    ) -> None:
        """Leaving it out saves time, not care."""
        wrong = hashlib.sha256(b"other")
        if of_server:
            server.headers = {"Repr-Digest": f"sha-256=:{base64.b64encode(wrong.digest()).decode()}:"}
        with pytest.raises(WrongContent, match="was promised"):
            await Fetcher(session).fetch(
                server.url, tmp_path / "x", digest=None if of_server else wrong.hexdigest(), sha256=False
            )
        assert nothing_left(tmp_path)

    @both_ways
    async def test_a_digest_of_the_caller_holds_for_what_was_resumed_too(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """The whole file is hashed, not what came last."""
        server.cut_at = lambda number: SIZE // 3 if number < 2 else None
        good = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
        got = await Fetcher(session).fetch(server.url, tmp_path / "x", digest=f"md5:{good}", size=SIZE)
        assert got.path.read_bytes() == DATA
        with pytest.raises(WrongContent) as caught:
            await Fetcher(session).fetch(server.url, tmp_path / "y", digest="0" * 64)
        assert caught.value.expected == "0" * 64
        with pytest.raises(WrongContent, match="999 are expected"):
            await Fetcher(session).fetch(server.url, tmp_path / "y", size=999)
        assert nothing_left(tmp_path, "x")

    @pytest.mark.parametrize("digest", ["xyz", "12", "crc32:00000000", "md5:" + "0" * 64])
    async def test_what_is_no_digest_is_refused_before_anything_is_sent(
        self, session: Session, server: FileServer, tmp_path: Path, digest: str
    ) -> None:
        """One clear error."""
        with pytest.raises(InvalidInput, match="digest"):
            await Fetcher(session).fetch(server.url, tmp_path / "x", digest=digest)
        assert server.seen == []

    async def test_a_web_page_is_not_a_file(self, session: Session, server: FileServer, tmp_path: Path) -> None:
        """A login or error page with status 200."""
        server.headers = {"Content-Type": "text/html; charset=utf-8"}
        with pytest.raises(MalformedAnswer, match=r"a web page came instead of x\.bin"):
            await Fetcher(session).fetch(server.url, tmp_path / "x.bin")
        assert nothing_left(tmp_path)
        await Fetcher(session).fetch(server.url, tmp_path / "x.html")

    async def test_a_name_without_a_suffix_promises_no_page(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Results and downloads behind identifiers have none, and a form to log in is not one of them."""
        server.headers = {"Content-Type": "text/html"}
        with pytest.raises(MalformedAnswer, match=r"instead of 4711; .* give the file a name that ends in \.html"):
            await Fetcher(session).fetch(server.url, tmp_path / "4711")
        assert nothing_left(tmp_path)


class TestLies:
    """Answers that are not what they say."""

    @pytest.mark.parametrize("times", [1, None])
    async def test_a_length_that_is_too_long_is_told_as_that(
        self, session: Session, tmp_path: Path, times: int | None
    ) -> None:
        """A server that counts wrongly has not changed the file; one that did so once is given another chance."""
        with LocalServer() as server:
            fault = server.faults.add(path="*/bytes/*", content_length_off=100, times=times)
            url = server.file_url(300_000)
            if times is None:
                with pytest.raises(WrongContent, match="the server promises 300100 bytes and has 300000"):
                    await Fetcher(session).fetch(url, tmp_path / "x")
                assert fault.hits <= 6
            else:
                assert (await Fetcher(session).fetch(url, tmp_path / "x")).bytes == 300_000

    @both_ways
    async def test_a_body_shorter_than_its_length_is_not_the_file(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """However often it is asked for."""
        server.headers = {"Content-Length": str(SIZE + 10)}
        server.cut_at = lambda number: SIZE
        with pytest.raises((ConnectionLost, WrongContent)):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert len(server.seen) <= 8
        assert not (tmp_path / "x").exists()

    @both_ways
    async def test_a_body_longer_than_its_length_is_not_the_file(self, session: Session, tmp_path: Path) -> None:
        """Half a file with a wrong length must not look like a whole one, now or the next time."""
        head = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: 900000\r\n\r\n'
        async with serving_bytes(head + DATA) as (url, seen):
            for _ in range(2):
                with pytest.raises(MalformedAnswer, match="more bytes came than it says"):
                    await Fetcher(session).fetch(url, tmp_path / "x")
            assert len(seen) == 2
        assert nothing_left(tmp_path)

    @both_ways
    async def test_packed_bytes_are_unpacked_and_half_of_them_are_no_file(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Some servers compress whatever one asks; what is packed by its name stays packed."""
        server.data = packed = gzip.compress(DATA)
        server.headers = {"Content-Encoding": "gzip", "Content-MD5": base64.b64encode(b"x" * 16).decode()}
        assert (await Fetcher(session).fetch(server.url, tmp_path / "x")).path.read_bytes() == DATA
        server.headers = {"Content-Encoding": "gzip"}
        assert (await Fetcher(session).fetch(server.url, tmp_path / "x.gz")).path.read_bytes() == packed
        server.data = packed[: len(packed) // 2]
        server.seen.clear()
        with pytest.raises(IncompleteBody):
            await Fetcher(session).fetch(server.url, tmp_path / "y")
        assert len(server.seen) <= 5
        assert nothing_left(tmp_path, "x", "x.gz")

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Le", b""])
    async def test_a_reset_during_the_headers_is_tried_again_as_often_as_configured(
        self, session: Session, tmp_path: Path, answer: bytes
    ) -> None:
        """And not as often as that again for each of them."""
        async with serving_bytes(answer, then="reset") as (url, seen):
            with pytest.raises(ConnectionLost):
                await Fetcher(session).fetch(url, tmp_path / "x")
            assert len(seen) == 4
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        async with serving_bytes(answer, answer, whole) as (url, _):
            assert (await Fetcher(session).fetch(url, tmp_path / "x")).path.read_bytes() == b"abc"
        assert nothing_left(tmp_path, "x")

    @pytest.mark.parametrize("status", [202, 204, 206])
    async def test_only_200_is_a_file(self, session: Session, server: FileServer, tmp_path: Path, status: int) -> None:
        """Neither "come again later" nor "nothing here" nor a part that nobody asked for."""
        server.status = lambda number: web.Response(status=status, headers={"Content-Range": "bytes 0-1/2"})
        with pytest.raises((MalformedAnswer, WrongContent)):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert len(server.seen) <= 4
        assert nothing_left(tmp_path)


class TestRefusals:
    """Statuses, silence, full disks."""

    @pytest.mark.parametrize("status", [429, 503])
    async def test_a_service_that_says_when_is_asked_then(
        self, session: Session, server: FileServer, tmp_path: Path, status: int
    ) -> None:
        """Not before; and not at all when that is too late."""
        server.status = lambda number: web.Response(status=status, headers={"Retry-After": "1"}) if not number else None
        got = await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert got.seconds >= 1
        assert len(server.seen) == 2
        server.status = lambda number: web.Response(status=status, headers={"Retry-After": "7200"})
        with pytest.raises(HttpError) as caught:
            await Fetcher(session).fetch(server.url, tmp_path / "y")
        assert caught.value.retry_after_s == 7200
        assert len(server.seen) == 3
        assert nothing_left(tmp_path, "x")

    @both_ways
    async def test_bytes_that_come_slowly_but_well_are_waited_for(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Over many windows, none of which ends where a piece does; without a length, a loss would not be seen."""
        server.data, server.piece, server.chunked = DATA[:30_000], 1000, True
        server.wait_s = lambda number, at: 0.02
        options = FetchOptions(least_bytes_per_s=5000, stall_s=0.13)
        assert (await Fetcher(session, options).fetch(server.url, tmp_path / "x")).path.read_bytes() == server.data
        assert len(server.seen) == 1

    @pytest.mark.parametrize("status", [429, 500, 502, 503])
    async def test_a_service_that_stumbles_is_asked_again(
        self, session: Session, server: FileServer, tmp_path: Path, status: int
    ) -> None:
        """Three times, as configured; then the error is told."""
        server.status = lambda number: web.Response(status=status) if number < 3 else None
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        server.status = lambda number: web.Response(status=status)
        server.seen.clear()
        with pytest.raises(AuroraError) as caught:
            await Fetcher(session).fetch(server.url, tmp_path / "y")
        assert getattr(caught.value, "status", None) == status
        assert len(server.seen) == 4
        assert nothing_left(tmp_path, "x")

    async def test_one_that_is_not_there_is_not_asked_again(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """And leaves nothing in the folder."""
        server.status = lambda number: web.Response(status=404)
        with pytest.raises(NotFound):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert len(server.seen) == 1
        assert nothing_left(tmp_path)

    @pytest.mark.parametrize("wait_s", [0.05, 30])
    @both_ways
    async def test_bytes_that_come_too_slowly_are_given_up(
        self, session: Session, server: FileServer, tmp_path: Path, wait_s: float
    ) -> None:
        """A trickle and a silence alike; with what came kept for the next try."""
        server.piece = 1000
        server.wait_s = lambda number, at: wait_s if number or at > 200_000 else 0
        options = FetchOptions(least_bytes_per_s=1e6, stall_s=0.2)
        with pytest.raises(TransferStalled, match="bytes came in"):
            await Fetcher(session, options).fetch(server.url, tmp_path / "x")
        assert not (tmp_path / "x").exists()
        server.wait_s = lambda number, at: 0
        got = await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert got.path.read_bytes() == DATA
        assert got.fetched_bytes < SIZE - 200_000

    @both_ways
    async def test_a_slow_disk_is_not_a_slow_server(
        self, session: Session, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the waits for the network are measured."""
        write = PartFile.write_here

        def slowly(self: PartFile, data: bytes) -> None:
            time.sleep(0.5)
            write(self, data)

        monkeypatch.setattr(PartFile, "write_here", slowly)
        server.data = content(4_000_000)
        options = FetchOptions(least_bytes_per_s=5e6, stall_s=0.3)
        assert (await Fetcher(session, options).fetch(server.url, tmp_path / "x")).bytes == 4_000_000

    async def test_space_is_looked_for_before_anything_is_written(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """An exabyte does not fit anywhere."""
        server.headers = {"Content-Length": str(10**18)}
        server.cut_at = lambda number: 0
        with pytest.raises(DiskFull, match=r"it needs 1,000,000,000,000\.0 MB, [\d,]+\.\d MB are free"):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert len(server.seen) == 1
        assert nothing_left(tmp_path)

    @pytest.mark.parametrize("options", [FetchOptions(), FetchOptions(keep_parts=False)])
    @both_ways
    async def test_a_disk_that_fills_up_is_told_once_and_left_clean(
        self, session: Session, server: FileServer, small_disk: Path, options: FetchOptions
    ) -> None:
        """Nothing of it stays there, and of many files the rest is not even asked for."""
        server.chunked = True  # a length would be refused before anything is written
        server.data = content(3_000_000)
        with pytest.raises(DiskFull, match="free some space") as caught:
            await Fetcher(session, options).fetch(server.url, small_disk / "x")
        assert caught.value.written_bytes > 500_000
        assert nothing_left(small_disk)
        server.seen.clear()
        files = [File(url=server.url, name=f"{n}") for n in range(20)]
        outcomes = await Fetcher(session, options).fetch_many(files, small_disk, at_once=2)
        assert {type(outcome.error) for outcome in outcomes} == {DiskFull}
        assert len({id(outcome.error) for outcome in outcomes}) <= 2
        assert len(server.seen) <= 3
        assert nothing_left(small_disk)
        server.data = DATA
        assert (await Fetcher(session, options).fetch(server.url, small_disk / "x")).path.read_bytes() == DATA

    @both_ways
    async def test_a_limit_of_the_system_is_a_full_disk(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """`ulimit -f`, and quotas: the same error, the same cleanness."""
        resource = pytest.importorskip("resource")
        server.chunked = True
        server.data = content(3_000_000)
        former = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, former[1]))
        try:
            with pytest.raises(DiskFull, match="too large"):
                await Fetcher(session).fetch(server.url, tmp_path / "x")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
        assert nothing_left(tmp_path)

    @pytest.mark.parametrize("folder", ["file", "file/deeper", "locked"])
    async def test_a_folder_that_cannot_be_written_is_told_before_anything_is_sent(
        self, session: Session, server: FileServer, tmp_path: Path, folder: str
    ) -> None:
        """One error for each way."""
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / "locked").mkdir(mode=0o500)
        if folder == "locked" and os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        with pytest.raises(TargetNotWritable, match="cannot write in"):
            await Fetcher(session).fetch(server.url, tmp_path / folder / "x")
        assert server.seen == []

    @pytest.mark.parametrize(
        "url", ["", "/files/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http:///x", "http://[::1/x"]
    )
    async def test_what_is_no_address_is_refused(self, session: Session, tmp_path: Path, url: str) -> None:
        """A path would be taken for one of the service's own."""
        with pytest.raises(InvalidInput, match="url"):
            await Fetcher(session).fetch(url, tmp_path)

    @pytest.mark.parametrize("name", ["Range", "if-range", "ACCEPT-ENCODING"])
    async def test_headers_that_resuming_depends_on_are_ours(
        self, session: Session, server: FileServer, tmp_path: Path, name: str
    ) -> None:
        """A caller's would make half a file look whole."""
        with pytest.raises(InvalidInput, match=f"headers: '{name.lower()}' is for this to send"):
            await Fetcher(session).fetch(server.url, tmp_path, headers={name: "x"})
        assert server.seen == []


class TestThere:
    """What a file that is there already means."""

    async def test_check_keeps_what_is_the_server_s(self, session: Session, server: FileServer, tmp_path: Path) -> None:
        """Length and date; otherwise it is fetched."""
        fetcher = Fetcher(session)
        await fetcher.fetch(server.url, tmp_path / "x")
        sent = server.sent
        again = await fetcher.fetch(server.url, tmp_path / "x")
        assert again.was_there
        assert server.sent - sent <= 1
        server.data = content(SIZE, "b")
        server.last_modified = "Thu, 02 Jan 2020 00:00:00 GMT"
        server.etag = '"v2"'
        assert not (await fetcher.fetch(server.url, tmp_path / "x")).was_there
        assert (tmp_path / "x").read_bytes() == server.data
        (tmp_path / "x").write_bytes(server.data[:1000])
        os.utime(tmp_path / "x", (1577923200, 1577923200))
        assert not (await fetcher.fetch(server.url, tmp_path / "x")).was_there
        assert (tmp_path / "x").read_bytes() == server.data
        assert nothing_left(tmp_path, "x")

    async def test_check_with_a_digest_reads_the_file(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Its date does not matter then."""
        (tmp_path / "x").write_bytes(DATA)
        digest = hashlib.sha256(DATA).hexdigest()
        assert (await Fetcher(session).fetch(server.url, tmp_path / "x", digest=digest)).was_there
        (tmp_path / "x").write_bytes(b"x" + DATA[1:])
        assert not (await Fetcher(session).fetch(server.url, tmp_path / "x", digest=digest)).was_there

    async def test_skip_refuse_and_replace(self, session: Session, server: FileServer, tmp_path: Path) -> None:
        """Unseen, not at all, always."""
        (tmp_path / "x").write_bytes(b"mine")
        assert (await Fetcher(session, FetchOptions(exists="skip")).fetch(server.url, tmp_path / "x")).was_there
        with pytest.raises(TargetExists):
            await Fetcher(session, FetchOptions(exists="refuse")).fetch(server.url, tmp_path / "x")
        assert server.seen == []
        assert (tmp_path / "x").read_bytes() == b"mine"
        await Fetcher(session, FetchOptions(exists="replace")).fetch(server.url, tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == DATA

    async def test_complete_keeps_what_is_no_stub(self, session: Session, server: FileServer, tmp_path: Path) -> None:
        """Somebody's own file of that name is not replaced; what a cut transfer left is."""
        fetcher = Fetcher(session, FetchOptions(exists="complete"))
        for own in (b"x" + DATA[1:], DATA + b"x"):
            (tmp_path / "x").write_bytes(own)
            assert (await fetcher.fetch(server.url, tmp_path / "x")).was_there
            assert (tmp_path / "x").read_bytes() == own
        for stub in (b"", DATA[:-1]):
            (tmp_path / "x").write_bytes(stub)
            assert not (await fetcher.fetch(server.url, tmp_path / "x")).was_there
            assert (tmp_path / "x").read_bytes() == DATA
        server.status = lambda number: web.Response(status=404)
        assert (await fetcher.fetch(server.url, tmp_path / "x")).was_there
        (tmp_path / "x").write_bytes(DATA[:-1])
        before = len(server.seen)
        server.status = lambda number: web.Response(status=404) if number > before else None
        with pytest.raises(NotFound):  # it is known to be a stub
            await fetcher.fetch(server.url, tmp_path / "x")

    @pytest.mark.parametrize(("etag", "is_kept"), [('"v2"', False), ('"v1"', True), (None, True)])
    async def test_a_file_of_another_address_is_told_by_its_version(
        self, session: Session, server: FileServer, tmp_path: Path, etag: str | None, is_kept: bool
    ) -> None:
        """Of one length, made in one second, under one name: two exports of one record, processed differently."""
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        if Origin.noted(tmp_path / "x") is None:
            pytest.skip("this file system keeps no attributes")
        async with serving_file(content(SIZE, "b"), etag=etag) as other:
            assert (await Fetcher(session).fetch(other.url, tmp_path / "x")).was_there is is_kept
        server.etag = '"v3"'  # of its own address only length and date count: some servers have an ETag per machine
        (tmp_path / "x").unlink()
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        server.etag = '"v4"'
        assert (await Fetcher(session).fetch(server.url, tmp_path / "x")).was_there

    async def test_what_came_from_there_is_asked_for_by_its_version(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Of five thousand files that are there already not one byte comes again."""
        server.conditional = True
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        if Origin.noted(tmp_path / "x") is None:
            pytest.skip("this file system keeps no attributes")
        assert (await Fetcher(session).fetch(server.url, tmp_path / "x")).was_there
        assert (len(server.seen), server.sent) == (2, SIZE)

    @pytest.mark.parametrize("change", ["shorter", "touched"])
    async def test_what_has_changed_since_is_of_no_version(
        self, session: Session, server: FileServer, tmp_path: Path, change: str
    ) -> None:
        """The attribute stays with a file that somebody cuts or writes into."""
        server.conditional = True
        target = tmp_path / "x"
        await Fetcher(session).fetch(server.url, target)
        date = target.stat().st_mtime
        if change == "shorter":
            os.truncate(target, 1000)
            os.utime(target, (date, date))
        else:
            target.write_bytes(b"x" + DATA[1:])
        assert not (await Fetcher(session).fetch(server.url, target)).was_there
        assert target.read_bytes() == DATA

    @pytest.mark.parametrize("is_sure", [True, False])
    async def test_an_object_s_etag_tells_a_file_of_unknown_origin(
        self, session: Session, server: FileServer, tmp_path: Path, is_sure: bool
    ) -> None:
        """Another client brought it here, some day: its MD5 says whether it is the file, and then it is known."""
        server.conditional = True
        server.etag = f'"{hashlib.md5(DATA).hexdigest()}"'
        if is_sure:
            server.headers = {"x-amz-server-side-encryption": "AES256"}
        target = tmp_path / "x"
        target.write_bytes(DATA)
        assert (await Fetcher(session).fetch(server.url, target)).was_there
        assert (await Fetcher(session).fetch(server.url, target)).was_there
        noted = Origin.noted(target) is not None
        assert server.sent == (1 if noted else 2)
        target.write_bytes(b"x" + DATA[1:])
        os.utime(target, (1577836800, 1577836800))  # the server's own date
        assert (await Fetcher(session).fetch(server.url, target)).was_there is not is_sure

    async def test_an_object_that_is_spoilt_on_its_way_is_noticed(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """By the MD5 that its ETag is; one of another length would be noticed anyway."""
        server.etag = f'"{hashlib.md5(DATA).hexdigest()}"'
        server.headers = {"x-amz-server-side-encryption": "AES256"}
        server.data = b"x" + DATA[1:]
        with pytest.raises(WrongContent, match=r"its md5 is .* was promised \(ETag\)"):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert nothing_left(tmp_path)
        server.data = DATA
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == DATA

    async def test_nothing_has_changed_only_where_that_was_asked(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Some gateways answer everything with 304: a stub is not the file for that."""
        (tmp_path / "x").write_bytes(b"stub")
        server.status = lambda number: web.Response(status=304)
        with pytest.raises(MalformedAnswer, match="304 came"):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        server.status = lambda number: None
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        if Origin.noted(tmp_path / "x") is None:
            pytest.skip("this file system keeps no attributes")
        seen = len(server.seen)
        server.data = content(SIZE, "b")
        server.status = lambda number: web.Response(status=304, headers={"ETag": '"v9"'}) if number == seen else None
        assert not (await Fetcher(session).fetch(server.url, tmp_path / "x")).was_there
        assert (tmp_path / "x").read_bytes() == server.data

    async def test_new_permissions_make_no_new_file(self, session: Session, server: FileServer, tmp_path: Path) -> None:
        """Only another file under the name means that somebody was faster."""
        (tmp_path / "x").write_bytes(b"stale")
        Origin.of(server.url, '"v0"').note(tmp_path / "x")
        server.before = lambda number: os.chmod(tmp_path / "x", 0o600 + number)  # noqa: PTH101
        assert not (await Fetcher(session).fetch(server.url, tmp_path / "x")).was_there
        assert (tmp_path / "x").read_bytes() == DATA

    async def test_etags_made_of_the_content_tell_versions_of_one_address(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """An object of several parts was replaced within a second by one of its length."""
        server.etag = f'"{"a" * 32}-2"'
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        if Origin.noted(tmp_path / "x") is None:
            pytest.skip("this file system keeps no attributes")
        server.etag, server.data = f'"{"b" * 32}-2"', content(SIZE, "b")
        assert not (await Fetcher(session).fetch(server.url, tmp_path / "x")).was_there
        assert (tmp_path / "x").read_bytes() == server.data

    async def test_a_folder_in_the_place_of_a_file_is_refused(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Many files have names: none of them may go somewhere else."""
        (tmp_path / "x").mkdir()
        (outcome,) = await Fetcher(session).fetch_many([File(url=server.url, name="x")], tmp_path)
        assert isinstance(outcome.error, TargetNotWritable) and "this is a folder" in str(outcome.error)
        assert list((tmp_path / "x").iterdir()) == []


class TestSecretsInAddresses:
    """Links that carry their credential, and addresses with a login, are in many logs."""

    async def test_no_error_and_no_result_shows_them(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Nor does what a table of outcomes prints."""
        url = server.url.replace("http://", "http://ann:hunter2@") + "?X-Amz-Signature=0123abcd"
        fetched = await Fetcher(session).fetch(url, tmp_path / "x")
        shown = repr(fetched) + repr(File(url=url))
        server.headers = {"Content-Type": "text/html"}
        for status in (200, 202):
            server.status = lambda number, status=status: None if status == 200 else web.Response(status=status)
            with pytest.raises(MalformedAnswer) as page:
                await Fetcher(session).fetch(url, tmp_path / "y")
            shown += str(page.value)
        server.headers, server.status = {}, lambda number: None
        with pytest.raises(WrongContent) as wrong:
            await Fetcher(session).fetch(url, tmp_path / "y", size=7)
        shown += str(wrong.value)
        assert "hunter2" not in shown and "0123abcd" not in shown and "data.bin" in shown


class TestLeftovers:
    """What a part file says of itself has to be so at every moment, and is not enough at the end."""

    async def test_another_version_is_never_taken_for_the_one_that_was_noted(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Killed while the second version comes, and the server has the first one again: nothing is mixed."""
        server.data = content(3_000_000)
        server.cut_at = lambda number: 1_500_000
        server.status = lambda number: web.Response(status=404) if number else None
        with pytest.raises(NotFound):
            await Fetcher(session).fetch(server.url, tmp_path / "x")
        (note,) = (tmp_path / PARTS_FOLDER).glob("*.json")
        assert json.loads(note.read_bytes())["version"]["etag"] == '"v1"'
        server.cut_at, server.status = lambda number: None, lambda number: None
        server.etag, server.data, server.last_modified = (
            '"v2"',
            content(3_000_000, "b"),
            "Thu, 02 Jan 2020 00:00:00 GMT",
        )
        server.wait_s = lambda number, at: 30.0 if at >= 2_500_000 else 0.0
        fetching = asyncio.create_task(Fetcher(session).fetch(server.url, tmp_path / "x"))
        told: set[str | None] = set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            for path in (tmp_path / PARTS_FOLDER).glob("*.json"):
                part = path.with_suffix(".part")
                if part.exists() and server.data.startswith(part.read_bytes()[:1000] or b"?"):
                    version = json.loads(path.read_bytes())["version"]
                    told.add(version and version["etag"])
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        assert told == {None}

    async def test_all_of_it_was_there_and_is_verified_all_the_same(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """It was spoilt on its way, and the process died before the digest was computed."""
        server.etag = f'"{hashlib.md5(DATA).hexdigest()}"'
        server.headers = {"x-amz-server-side-encryption": "AES256"}
        claim = Claim(tmp_path / "x", 1.0)
        assert claim.take()
        claim.part.write_bytes(b"x" + DATA[1:])
        version = Version(etag=server.etag, last_modified=OLD, length=SIZE, validator=server.etag, is_md5=True)
        claim.note(version, SIZE, released=True)
        await Fetcher(session).fetch(server.url, tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == DATA
        assert nothing_left(tmp_path, "x")


class TestMany:
    """Several on one target."""

    async def test_however_many_want_it_it_is_fetched_once(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """The others wait for the one that was first, and take what it fetched."""
        server.wait_s = lambda number, at: 0.02
        found: list[Fetched] = await asyncio.gather(
            *(Fetcher(session).fetch(server.url, tmp_path / "x") for _ in range(5))
        )
        assert all(one.path.read_bytes() == DATA for one in found)
        assert sum(not one.was_there for one in found) == 1
        assert server.sent <= SIZE + 10
        assert nothing_left(tmp_path, "x")

    @pytest.mark.parametrize("notes", [True, False])
    @pytest.mark.parametrize("exists", ["check", "replace"])
    async def test_another_file_of_the_name_is_not_taken_for_it(
        self, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: bool, exists: Any
    ) -> None:
        """Two addresses, one target, at the same time: each call has had its own bytes there."""
        if not notes:
            monkeypatch.setattr(Origin, "noted", lambda path: None)
        fetcher = Fetcher(session, FetchOptions(exists=exists))
        other = content(SIZE + 1, "b")
        async with serving_file(DATA) as one, serving_file(other) as two:
            one.wait_s = lambda number, at: 0.02
            first = asyncio.create_task(fetcher.fetch(one.url, tmp_path / "x"))
            while not one.sent:
                await asyncio.sleep(0.001)
            found = await fetcher.fetch(two.url, tmp_path / "x")
            assert (await first).sha256 == hashlib.sha256(DATA).hexdigest()
        assert found.sha256 == hashlib.sha256(other).hexdigest()
        assert (tmp_path / "x").read_bytes() == other

    async def test_skip_keeps_whatever_came_first(self, session: Session, tmp_path: Path) -> None:
        """As it keeps what was there all along."""
        fetcher = Fetcher(session, FetchOptions(exists="skip"))
        async with serving_file(DATA) as one, serving_file(content(SIZE + 1, "b")) as two:
            one.wait_s = lambda number, at: 0.02
            first = asyncio.create_task(fetcher.fetch(one.url, tmp_path / "x"))
            while not one.sent:
                await asyncio.sleep(0.001)
            assert (await fetcher.fetch(two.url, tmp_path / "x")).was_there
            await first
        assert (tmp_path / "x").read_bytes() == DATA

    async def test_when_the_first_is_cancelled_the_next_goes_on(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """From about where it stood: a batch of a megabyte may have been on its way to the disk."""
        server.data = data = content(8_000_000)
        server.wait_s = lambda number, at: 0.01
        first = asyncio.create_task(Fetcher(session).fetch(server.url, tmp_path / "x"))
        while server.sent < 4_000_000:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(Fetcher(session).fetch(server.url, tmp_path / "x"))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await second).path.read_bytes() == data
        assert server.sent < 10_500_000
        assert nothing_left(tmp_path, "x")

    async def test_a_folder_in_which_parts_do_not_last_is_told(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Somebody cleans it all the time: not tried for ever."""
        server.wait_s = lambda number, at: 0.02

        async def clean() -> None:
            while True:
                for path in (tmp_path / PARTS_FOLDER).glob("*.json"):
                    path.unlink(missing_ok=True)
                await asyncio.sleep(0.01)

        cleaner = asyncio.create_task(clean())
        with pytest.raises(TargetNotWritable, match="somebody removes what is in"):
            await Fetcher(session, FetchOptions(lease_s=0.1)).fetch(server.url, tmp_path / "x")
        cleaner.cancel()
        assert nothing_left(tmp_path)

    @both_ways
    async def test_one_who_was_silent_too_long_does_not_overwrite_his_successor(
        self, session: Session, server: FileServer, tmp_path: Path
    ) -> None:
        """Its claim is taken by another; it notices, and takes what the other fetched."""
        server.wait_s = lambda number, at: 0.05 if number == 0 else 0
        options = FetchOptions(lease_s=0.4)
        first = asyncio.create_task(Fetcher(session, options).fetch(server.url, tmp_path / "x"))
        while server.sent < SIZE // 4:
            await asyncio.sleep(0.01)
        (state,) = (tmp_path / PARTS_FOLDER).glob("*.json")
        state.unlink()  # as the successor does
        got = await first
        assert got.path.read_bytes() == DATA
        assert nothing_left(tmp_path, "x")


@pytest.mark.parametrize("method", ["take", "leftovers", "note", "tidy"])
@pytest.mark.parametrize("native", [True, False])
@both_ways
async def test_cancelled_while_a_thread_works_it_leaves_no_claim(
    session: Session, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, native: bool
) -> None:
    """The thread cannot be stopped; what it does after that is undone, or the next one would wait for nobody."""
    monkeypatch.setattr(sys.modules[Fetcher.__module__], "_SMALL_BYTES", 0)  # so that it is noted how far it is
    abandoned = Claim(tmp_path / "x", 0.0)
    assert abandoned.take()
    os.utime(abandoned.state, (0, 0))
    working = threading.Event()
    real = getattr(Claim, method)

    def slowly(self: Claim, *args: Any, **kwargs: Any) -> Any:
        working.set()
        time.sleep(0.1)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Claim, method, slowly)
    fetching = Fetcher(session).fetch(server.url, tmp_path / "x")
    async with anyio.create_task_group() as tasks:
        task = asyncio.create_task(fetching) if native else None
        if task is None:
            tasks.start_soon(lambda: fetching)
        while not working.is_set():
            await asyncio.sleep(0.005)
        tasks.cancel_scope.cancel()
        if task is not None:
            task.cancel()
    if task is not None:
        await asyncio.gather(task, return_exceptions=True)
    monkeypatch.undo()
    started = time.monotonic()
    assert (await Fetcher(session).fetch(server.url, tmp_path / "x")).path.read_bytes() == DATA
    assert time.monotonic() - started < 3
    assert nothing_left(tmp_path, "x")


@both_ways
async def test_cancelled_at_any_moment_it_leaves_the_old_file_or_the_new(
    session: Session, server: FileServer, tmp_path: Path
) -> None:
    """Never half of one; and the next try ends well."""
    (tmp_path / "x").write_bytes(b"old")
    for steps in range(0, 60, 3):
        task = asyncio.create_task(Fetcher(session, FetchOptions(exists="replace")).fetch(server.url, tmp_path / "x"))
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert (tmp_path / "x").read_bytes() in (b"old", DATA)
    await Fetcher(session, FetchOptions(exists="replace")).fetch(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert nothing_left(tmp_path, "x")


@pytest.mark.parametrize(
    "change", [{"exists": "maybe"}, {"lease_s": 0}, {"lease_s": None}, {"stall_s": -1}, {"least_bytes_per_s": True}]
)
def test_options_are_checked(change: dict[str, Any]) -> None:
    """When they are made, not when they are used."""
    with pytest.raises(InvalidInput, match=next(iter(change))):
        FetchOptions(**change)


class TestPublic:
    """`fetch` and `fetch_many`, which bring their own session."""

    async def test_one(self, server: FileServer, tmp_path: Path) -> None:
        """Told as it arrives."""
        told: list[tuple[int, int | None]] = []
        got = await fetch(server.url, tmp_path, config=config(), on_bytes=lambda n, of: told.append((n, of)))
        assert got.path.read_bytes() == DATA
        assert told[-1] == (SIZE, SIZE)
        assert [n for n, _ in told] == sorted(n for n, _ in told)

    async def test_a_deadline_keeps_what_has_come(self, server: FileServer, tmp_path: Path) -> None:
        """Two tries of half the time each are as good as one."""
        server.data = data = content(8_000_000)
        server.wait_s = lambda number, at: 0.03
        with pytest.raises(DeadlineExceeded, match=r"fetching .*data\.bin was not done within"):
            await fetch(server.url, tmp_path, config=config(), deadline_s=1.5)
        server.wait_s = lambda number, at: 0.0
        got = await fetch(server.url, tmp_path, config=config())
        assert got.path.read_bytes() == data
        assert 0 < got.fetched_bytes < len(data)

    async def test_many_of_which_one_fails(self, server: FileServer, tmp_path: Path) -> None:
        """The others come; each outcome says which file it is about."""
        urls = [server.url.replace("data.bin", f"{n}.bin") for n in range(20)]
        server.status = lambda number: web.Response(status=404) if number == 3 else None
        told: list[FetchOutcome] = []
        outcomes = await fetch_many(urls, tmp_path, at_once=4, config=config(), on_outcome=told.append)
        assert [outcome.index for outcome in outcomes] == list(range(20))
        assert sorted(outcome.index for outcome in told) == list(range(20))
        (failed,) = [outcome for outcome in outcomes if not outcome.ok]
        assert isinstance(failed.error, NotFound)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            f"{n}.bin" for n in range(20) if n != failed.index
        )

    @pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
    async def test_names_stay_in_the_folder(self, server: FileServer, tmp_path: Path, name: str) -> None:
        """Refused before anything is sent, as are two files of one name."""
        if name:
            with pytest.raises(InvalidInput, match="inside"):
                await fetch_many([File(url=server.url, name=name)], tmp_path, config=config())
        with pytest.raises(InvalidInput, match="is also that of"):
            await fetch_many([server.url, server.url.replace("files", "others")], tmp_path, config=config())
        assert server.seen == []


KILLED = """
import asyncio, sys
from aurora_async.config import Config
from aurora_async.transfer.fetch import fetch
def told(there, of):
    print(there, flush=True)
asyncio.run(fetch(sys.argv[1], sys.argv[2], config=Config(trust_environment=False), on_bytes=told))
"""


def start(url: str, target: Path) -> subprocess.Popen[str]:
    """Fetch in a process of its own."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, url, str(target)],
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def test_killed_at_any_moment_the_next_process_goes_on(server: FileServer, tmp_path: Path) -> None:
    """Again and again: what had come is not asked for again, but for what was still on its way to the disk."""
    server.data = data = content(24_000_000)
    server.wait_s = lambda number, at: 0.002
    on_its_way = 6 << 20  # a batch is gathered, one waits, one is written; 2 MiB each at most
    told = [0]
    for until in (0, 9_000_000, 17_000_000):
        with start(server.url, tmp_path / "x") as process:
            assert process.stdout is not None
            there = 0
            while there <= until and (line := await asyncio.to_thread(process.stdout.readline)):
                there = int(line)
            process.kill()
            await asyncio.to_thread(process.communicate)
        assert not (tmp_path / "x").exists()
        told.append(there)
    with start(server.url, tmp_path / "x") as process:
        _, stderr = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, stderr
    assert (tmp_path / "x").read_bytes() == data
    assert nothing_left(tmp_path, "x")
    begun = [int(one.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")) for one in server.seen]
    assert len(begun) == len(told)
    assert all(there - on_its_way <= first for there, first in zip(told, begun, strict=True))
    assert begun[-1] > 10_000_000


async def test_three_processes_on_one_target_fetch_it_once(server: FileServer, tmp_path: Path) -> None:
    """The first fetches, the others wait for it; when it is killed, another goes on."""
    server.data = data = content(6_000_000)
    server.wait_s = lambda number, at: 0.01
    processes = [start(server.url, tmp_path / "x") for _ in range(3)]
    while server.sent < 2_000_000:
        await asyncio.sleep(0.02)
    (state,) = (tmp_path / PARTS_FOLDER).glob("*.json")
    pid = int(json.loads(state.read_text())["worker"].split("/")[-2])
    os.kill(pid, signal.SIGKILL)
    for process in processes:
        _, stderr = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == (-signal.SIGKILL if process.pid == pid else 0), stderr
    assert (tmp_path / "x").read_bytes() == data
    assert nothing_left(tmp_path, "x")
    assert server.sent <= 2 * len(data)
