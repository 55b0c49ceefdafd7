"""A release: everything looked at first, the manifest there once, and no sleeping for luck."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.scripted_imap import KEY, ScriptedImap, imap_config, serving_imap

from aurora_async.errors import DeadlineExceeded, InvalidInput
from aurora_async.http import Session
from aurora_async.imap.errors import AlreadyExists, NotAllowed
from aurora_async.imap.releases import Released, release_files

NAME = "imap_mag_data-release-001_20260101_20260131_v001.txt"
STORED = f"imap/release/mag/{NAME}"
LINES = "# what is public\ninstrument, data_type, descriptor, flag\n\nmag, l2, all, true\nmag, ancillary, all, false\n"


@pytest.fixture
async def archive() -> AsyncIterator[ScriptedImap]:
    """One that puts a manifest where it belongs only when it is looked for a third time."""
    async with serving_imap() as running:
        looked = 0

        async def index(request: web.Request) -> None:
            nonlocal looked
            looked += 1
            if looked == 3 and (data := running.objects.pop(f"imap/{NAME}", None)) is not None:
                running.objects[STORED] = data

        running.on("download", index)
        yield running


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A good one."""
    path = tmp_path / NAME
    path.write_text(LINES)
    return path


async def released(archive: ScriptedImap, manifest: Path, kind: str = "release", **how: Any) -> Released:
    """Release, with a key unless told otherwise."""
    config = imap_config(archive.base_url, Path(), api_key=how.pop("key", KEY))
    async with Session(config) as session:
        return await release_files(session, config, manifest, kind, **how)


async def test_a_release_is_asked_for_once_the_manifest_is_there(archive: ScriptedImap, manifest: Path) -> None:
    """Looked for in growing intervals, as soon as it is delivered."""
    done = await released(archive, manifest)
    assert done == Released("Successfully released data per specification in manifest.txt", manifest, STORED)
    routes = [one.path.partition("?")[0].split("/")[2] for one in archive.seen if one.origin == "service"]
    assert routes == ["upload", "download", "download", "download", "release"]
    assert archive.seen[-1].path == f"/api-key/release?release_type=release&manifest_file={NAME}"


async def test_a_release_that_was_cut_short_is_asked_for_again(archive: ScriptedImap, manifest: Path) -> None:
    """The manifest is there already, the same: that is no reason to stop. Another one of its name is."""
    archive.scripts.clear()
    archive.objects[STORED] = manifest.read_bytes()
    assert (await released(archive, manifest)).key == STORED
    manifest.write_text(f"{LINES}mag, l1b, all, true\n")
    with pytest.raises(AlreadyExists):
        await released(archive, manifest)
    assert archive.requests("put") == []
    assert len(archive.requests("release")) == 1


async def test_a_manifest_that_never_appears_ends_with_the_deadline(archive: ScriptedImap, manifest: Path) -> None:
    """Nothing is released then."""
    archive.scripts.clear()
    with pytest.raises(DeadlineExceeded, match="releasing what imap_mag_data-release-001"):
        await released(archive, manifest, deadline_s=0.5)
    assert archive.requests("release") == []


async def test_a_key_that_may_not_release_is_told(archive: ScriptedImap, manifest: Path) -> None:
    """In the service's own words."""

    async def refuse(request: web.Request) -> web.Response:
        return web.json_response("Release operation denied. Your API key has read permissions.", status=403)

    archive.on("release", refuse)
    with pytest.raises(NotAllowed, match="read permissions"):
        await released(archive, manifest)


@pytest.mark.parametrize(
    ("name", "text", "how", "says"),
    [
        (NAME, LINES, {"kind": "publish"}, "not one of 'release', 'early-release', 'unrelease'"),
        (NAME, LINES, {"kind": "unrelease"}, "does not support 'unrelease' yet"),
        (NAME, LINES, {"key": None}, "needs an API key"),
        ("manifest.txt", LINES, {}, "not a file name of IMAP"),
        (NAME, "mag, l2, all\n", {}, "line 1: 'mag, l2, all' is not instrument, data_type"),
        (NAME, "# nothing\n", {}, "names nothing to release"),
        (NAME, None, {}, "cannot be read"),
    ],
)
async def test_what_cannot_be_released_is_refused_before_anything_is_sent(
    archive: ScriptedImap, tmp_path: Path, name: str, text: str | None, how: dict[str, Any], says: str
) -> None:
    """One bad line would be a fault of the service's own, with nothing said of where."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        await released(archive, path, **how)
    assert archive.seen == []
