"""Credentials go to the service they were issued for, and to nobody else: no store, no link, no other host, no log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.scripted_imap import KEY, ScriptedImap, body_of, imap_config, mag_key, serving_imap

from aurora_async.errors import AuroraError
from aurora_async.imap.client import Imap
from aurora_async.imap.query import FileQuery

TOKEN, LOGIN = "ey.secret.token", "ZGVtbzpkZW1v"
PASSWORD, LOGGED_IN = "hunter2", "Basic c29tZWJvZHk6aHVudGVyMg=="
ONE, TWO = mag_key(1), mag_key(2)

# What a client is given, and the one header that the service may see for it.
WHO = pytest.mark.parametrize(
    ("given", "header"),
    [
        ({"api_key": KEY}, "x-api-key"),
        ({"access_token": TOKEN}, "Authorization"),
        ({"api_key": KEY, "access_token": TOKEN}, "x-api-key"),
    ],
    ids=["key", "token", "both"],
)
WHERE = pytest.mark.parametrize("same_origin", [False, True], ids=["another origin", "the same origin"])


@pytest.fixture
async def archive() -> AsyncIterator[ScriptedImap]:
    """Two files."""
    async with serving_imap() as running:
        running.add([ONE, TWO])
        yield running


def client(archive: ScriptedImap, folder: Path, **given: Any) -> Imap:
    """One that has a login for raw packets besides."""
    return Imap(imap_config(archive.base_url, folder, webpoda_token=LOGIN, **given))


def credentials(archive: ScriptedImap, origin: str) -> list[set[str]]:
    """What each request to an origin had."""
    return [one.credentials for one in archive.seen if one.origin == origin]


@WHO
@WHERE
async def test_a_presigned_link_sees_no_credential(
    archive: ScriptedImap, tmp_path: Path, same_origin: bool, given: dict[str, str], header: str
) -> None:
    """Its query is its credential; stores refuse it together with any other, and strangers may own it."""
    archive.same_origin = same_origin
    new = tmp_path / mag_key(3).rpartition("/")[2]
    new.write_bytes(body_of("new"))
    async with client(archive, tmp_path, **given) as imap:
        assert (await imap.download([ONE, TWO])).ok
        assert (await imap.download([ONE, TWO])).ok  # looks whether they are still the same
        (await imap.upload_many([new])).raise_for_failures()
        assert (await imap.mirror(FileQuery(instrument="mag"))).ok
    assert len(credentials(archive, "store")) >= 5
    assert credentials(archive, "store") == [set()] * len(credentials(archive, "store"))
    assert credentials(archive, "service") == [{header}] * len(credentials(archive, "service"))
    assert any(one.headers.get(header, "").endswith(given.get("api_key", TOKEN)) for one in archive.seen)


@WHO
@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_to_another_origin_takes_no_credential_along(
    archive: ScriptedImap, tmp_path: Path, status: int, given: dict[str, str], header: str
) -> None:
    """Whoever the service sends us to, and with whatever method."""

    async def elsewhere(request: web.Request) -> web.StreamResponse | None:
        if request.host in archive.store_url:
            return None
        return web.Response(status=status, headers={"Location": f"{archive.store_url}/query?{request.query_string}"})

    archive.on("query", elsewhere)
    async with client(archive, tmp_path, **given) as imap:
        assert len(await imap.query(instrument="mag")) == 2
    assert credentials(archive, "service") == [{header}]
    assert credentials(archive, "store") == [set()]


@WHO
async def test_the_packet_service_sees_its_own_login_and_the_other_service_does_not(
    archive: ScriptedImap, tmp_path: Path, given: dict[str, str], header: str
) -> None:
    """Two services, two secrets."""

    async def packets(request: web.Request) -> web.Response:
        return web.Response(text="2026-01-01T00:00:00\n")

    archive.on("poda", packets)
    async with client(archive, tmp_path, webpoda_url=f"{archive.store_url}/poda", **given) as imap:
        assert await imap.packet_times("swe", "2026-01-01", "2026-01-01")
        await imap.query(instrument="mag")
    poda = [one for one in archive.seen if one.origin == "store"]
    assert poda and {one.headers["Authorization"] for one in poda} == {f"Basic {LOGIN}"}
    assert all("x-api-key" not in one.headers for one in poda)
    assert credentials(archive, "service") == [{header}]


async def test_a_login_in_the_address_stays_there(
    archive: ScriptedImap, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The session sends it; no outcome shows it, no error, and no file has it for everybody to read."""
    config = imap_config(archive.base_url.replace("//", f"//somebody:{PASSWORD}@"), tmp_path)
    new = tmp_path / mag_key(3).rpartition("/")[2]
    new.write_bytes(body_of("new"))
    (tmp_path / TWO).mkdir(parents=True)
    with caplog.at_level(logging.DEBUG):
        async with Imap(config) as imap:
            download = await imap.download([ONE, TWO, mag_key(4)])
            assert [file.ok for file in download] == [True, False, False]
            mirror = await imap.mirror(FileQuery(instrument="mag"))
            upload = await imap.upload(new)
    assert {one.headers["Authorization"] for one in archive.seen if one.origin == "service"} == {LOGGED_IN}
    assert credentials(archive, "store") == [set()] * len(credentials(archive, "store"))
    shown = [repr(download.files), str(download.to_dicts()), repr(mirror), repr(mirror.failed), repr(upload)]
    shown += [str(file.error) for file in (*download, *mirror.failed)]
    shown += [one.getMessage() for one in caplog.records]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert PASSWORD not in "\n".join(shown)
    assert not any(PASSWORD.encode() in data for data in kept)


async def test_no_secret_is_logged_or_shown(
    archive: ScriptedImap, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is the signature of a link, with which anybody could fetch the file for a day."""
    archive.over = {str(number) for number in range(2, 99)}
    with caplog.at_level(logging.DEBUG):
        async with client(archive, tmp_path, api_key=KEY, access_token=TOKEN) as imap:
            shown = [repr(imap), repr(imap.config)]
            download = await imap.download([ONE, TWO, mag_key(3)], at_once=1)
            shown += [repr(download), str(download.to_dicts()), download._repr_html_()]
            try:
                download.raise_for_failures()
            except ExceptionGroup as group:
                shown += [str(group), *map(repr, group.exceptions), *map(str, group.exceptions)]
    assert len(download.failed) == 2
    assert all(isinstance(file.error, AuroraError) for file in download.failed)
    logged = [one.getMessage() for one in caplog.records if one.name.startswith("aurora_async")]
    assert logged
    said = "\n".join([*shown, *logged])
    for secret in (KEY, TOKEN, LOGIN, "Signature=1", "Signature=2"):
        assert secret not in said
