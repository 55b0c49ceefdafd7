"""A query kept in a folder: what is new comes, nothing comes twice, and a run that fails or dies is made good."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.disks import read_only
from support.scripted import times
from support.scripted_imap import KEY, ScriptedImap, body_of, imap_config, mag_key, serving_imap

from aurora_async.errors import DeadlineExceeded, InvalidInput, ServerError, TargetNotWritable
from aurora_async.http import Session
from aurora_async.imap import mirror
from aurora_async.imap.downloads import DownloadedFile
from aurora_async.imap.errors import NotReleased
from aurora_async.imap.mirror import STATE, Mirrored, mirror_files
from aurora_async.imap.query import FileQuery
from aurora_async.transfer.leases import Claim

ONE, TWO, THREE, FOUR = (mag_key(day) for day in range(1, 5))
MAG = FileQuery(instrument="mag")


@pytest.fixture
async def archive() -> AsyncIterator[ScriptedImap]:
    """Three files, ingested one a day."""
    async with serving_imap() as running:
        running.add([ONE, TWO, THREE])
        for day, key in enumerate((ONE, TWO, THREE), start=1):
            running.list(key, f"2024040{day} 12:00:00")
        yield running


async def mirrored(
    archive: ScriptedImap, folder: Path, query: FileQuery = MAG, *, key: str | None = KEY, **how: Any
) -> Mirrored:
    """Run once, with a key, as those who have one do."""
    config = imap_config(archive.base_url, folder, api_key=key)
    async with Session(config) as session:
        return await mirror_files(session, config, query, **how)


def keys_of(run: Mirrored) -> list[str]:
    """What came."""
    return sorted(file.key for file in run.new)


def asked(archive: ScriptedImap, route: str) -> int:
    """How often a route was asked so far."""
    return len(archive.requests(route))


async def test_each_run_brings_what_is_new_since_the_last_one(archive: ScriptedImap, tmp_path: Path) -> None:
    """Only what was ingested since is asked for, and nothing is asked about files that are here."""
    planned: list[int] = []
    first = await mirrored(archive, tmp_path, on_planned=planned.append)
    assert keys_of(first) == [ONE, TWO, THREE]
    assert first.since is None and str(first.mark) == "2024-04-03 12:00:00+00:00"
    assert (tmp_path / ONE).read_bytes() == body_of(ONE)
    downloads = asked(archive, "download")
    second = await mirrored(archive, tmp_path, on_planned=planned.append)
    assert second.ok and second.new == () and second.present == 3
    assert second.since == first.mark
    assert asked(archive, "download") == downloads
    assert "ingestion_start_date=20240331" in archive.requests("query")[-1].path
    archive.add([FOUR])
    third = await mirrored(archive, tmp_path, on_planned=planned.append)
    assert keys_of(third) == [FOUR]
    assert third.present == 3
    assert planned == [3, 0, 1]
    assert repr(third) == f"<Mirrored in {tmp_path}: 1 new, 3 were there>"


@pytest.mark.parametrize("late", ["20240402 22:00:00", "20240401 00:00:00"])
async def test_a_row_that_appears_late_is_seen(archive: ScriptedImap, tmp_path: Path, late: str) -> None:
    """Some days after the ingestion that it tells, when other rows have been seen that are younger."""
    await mirrored(archive, tmp_path)
    archive.add([FOUR])
    archive.list(FOUR, late)
    assert keys_of(await mirrored(archive, tmp_path)) == [FOUR]


async def test_a_row_of_the_day_before_is_seen_after_midnight(archive: ScriptedImap, tmp_path: Path) -> None:
    """Ingested just before, it is listed when the mark is of the new day, and whole days are what is asked for."""
    archive.list(THREE, "20240403 00:10:00")
    assert (await mirrored(archive, tmp_path)).mark == datetime(2024, 4, 3, 0, 10, tzinfo=UTC)
    archive.add([FOUR])
    archive.list(FOUR, "20240402 23:55:00")
    assert keys_of(await mirrored(archive, tmp_path)) == [FOUR]


@pytest.mark.parametrize("bound", ["20240403", "2024-04-03T11:00"])
async def test_nothing_comes_from_before_a_bound_of_the_query(
    archive: ScriptedImap, tmp_path: Path, bound: str
) -> None:
    """The days before the mark, which are asked for once more, end where the query begins."""
    query = FileQuery(instrument="mag", ingestion_start_date=bound)
    for expected in ([THREE], [], [FOUR]):
        if expected == [FOUR]:
            archive.add([FOUR])
        run = await mirrored(archive, tmp_path, query)
        assert keys_of(run) == expected and run.ok
    assert not (tmp_path / TWO).exists()


async def test_a_row_of_the_future_hides_nothing(archive: ScriptedImap, tmp_path: Path) -> None:
    """The service's clock was wrong once: else all that comes until then would be old, and never looked for."""
    archive.list(THREE, "20990101 00:00:00")
    run = await mirrored(archive, tmp_path)
    assert keys_of(run) == [ONE, TWO, THREE]
    assert run.mark == datetime(2024, 4, 2, 12, tzinfo=UTC)
    archive.add([FOUR])
    assert keys_of(await mirrored(archive, tmp_path)) == [FOUR]


async def test_a_mark_in_the_future_counts_as_none(archive: ScriptedImap, tmp_path: Path) -> None:
    """Then it was our own clock: everything is asked for, and the mark is right again."""
    await mirrored(archive, tmp_path)
    spoil(tmp_path, "UPDATE mirrors SET mark = '2099-01-01T00:00:00+00:00'")
    archive.add([FOUR])
    run = await mirrored(archive, tmp_path)
    assert keys_of(run) == [FOUR] and run.since is None
    assert run.mark == datetime(2024, 4, 6, 12, tzinfo=UTC)


async def test_a_full_run_asks_for_everything(archive: ScriptedImap, tmp_path: Path) -> None:
    """Also for what appears years late; nothing is fetched twice for that."""
    await mirrored(archive, tmp_path)
    archive.add([FOUR])
    archive.list(FOUR, "20230101 00:00:00")
    assert keys_of(await mirrored(archive, tmp_path)) == []
    downloads = asked(archive, "download")
    run = await mirrored(archive, tmp_path, full=True)
    assert keys_of(run) == [FOUR] and run.since is None
    assert asked(archive, "download") == downloads + 1


async def test_nothing_is_ranked_when_nothing_changes(
    archive: ScriptedImap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that only asks is cheap, however many files are here; one file is ranked among its own versions."""
    await mirrored(archive, tmp_path)
    ranked = list[list[str]]()

    def note(keys: Iterable[str], *, is_latest: bool) -> set[str]:
        ranked.append(list(keys))
        return set()

    monkeypatch.setattr(mirror, "outranked", note)
    await mirrored(archive, tmp_path)
    newer = mag_key(1, "v001.0002")
    archive.add([newer])
    await mirrored(archive, tmp_path)
    assert [sorted(keys) for keys in ranked if keys] == [[ONE, newer]]


async def test_what_is_ingested_anew_comes_anew(archive: ScriptedImap, tmp_path: Path) -> None:
    """The same name, another ingestion: the file was replaced."""
    await mirrored(archive, tmp_path)
    archive.objects[TWO] = body_of("new")
    archive.list(TWO, "20240404 00:00:00")
    assert keys_of(await mirrored(archive, tmp_path)) == [TWO]
    assert (tmp_path / TWO).read_bytes() == body_of("new")


async def test_what_was_removed_or_cut_here_comes_again(archive: ScriptedImap, tmp_path: Path) -> None:
    """However long ago it was ingested; what the archive has no more is forgotten."""
    await mirrored(archive, tmp_path)
    (tmp_path / ONE).unlink()
    (tmp_path / TWO).write_bytes(b"cut")
    assert keys_of(await mirrored(archive, tmp_path)) == [ONE, TWO]
    (tmp_path / ONE).unlink()
    del archive.objects[ONE]
    archive.rows = [row for row in archive.rows if row["file_path"] != ONE]
    for _ in range(2):
        downloads = asked(archive, "download")
        run = await mirrored(archive, tmp_path)
        assert run.ok and run.new == () and run.present == 2
    assert asked(archive, "download") == downloads


async def test_a_release_shows_files_to_the_public_that_were_ingested_long_ago(
    archive: ScriptedImap, tmp_path: Path
) -> None:
    """So the public's mirror asks the whole query every time; still nothing is fetched twice."""
    archive.released.discard(ONE)
    archive.list(ONE, "20240401 12:00:00")
    assert keys_of(await mirrored(archive, tmp_path, key=None)) == [TWO, THREE]
    archive.released.add(ONE)
    archive.list(ONE, "20240401 12:00:00")
    downloads = asked(archive, "download")
    run = await mirrored(archive, tmp_path, key=None)
    assert keys_of(run) == [ONE] and run.since is None
    assert asked(archive, "download") == downloads + 1


async def test_the_mark_stays_where_it_is_until_everything_is_here(archive: ScriptedImap, tmp_path: Path) -> None:
    """One file that fails is tried again by the next run, and the others are not."""

    async def fail(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=500) if TWO in request.path else None

    archive.on("get", fail)
    run = await mirrored(archive, tmp_path)
    assert [file.key for file in run.failed] == [TWO] and isinstance(run.failed[0].error, ServerError)
    assert run.mark is None
    with pytest.raises(ExceptionGroup, match="1 of 3 files"):
        run.raise_for_failures()
    archive.scripts.clear()
    downloads = asked(archive, "download")
    again = await mirrored(archive, tmp_path)
    assert keys_of(again) == [TWO] and again.mark is not None
    assert asked(archive, "download") == downloads + 1


async def test_a_run_that_is_stopped_is_gone_on_with(archive: ScriptedImap, tmp_path: Path) -> None:
    """What had come is written down: the next run does not even ask about it."""

    async def hang(request: web.Request) -> None:
        if TWO in request.path:
            await asyncio.Event().wait()

    archive.on("get", hang)
    come, both = list[str](), asyncio.Event()

    def note(file: DownloadedFile) -> None:
        come.append(file.key)
        if len(come) == 2:
            both.set()

    task = asyncio.create_task(mirrored(archive, tmp_path, on_outcome=note))
    await both.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    archive.scripts.clear()
    downloads = asked(archive, "download")
    assert keys_of(await mirrored(archive, tmp_path)) == [TWO]
    assert asked(archive, "download") == downloads + 1


async def test_what_a_killed_run_has_left_is_cleaned_away(archive: ScriptedImap, tmp_path: Path) -> None:
    """A claim that it had just begun to write is of nobody, and no later run fetches that file."""
    await mirrored(archive, tmp_path)
    claim = Claim((tmp_path / ONE), 30)
    claim.part.parent.mkdir()
    torn = claim.part.with_suffix(".new")
    torn.write_bytes(b"{")
    os.utime(torn, (1, 1))
    assert (await mirrored(archive, tmp_path)).present == 3
    assert not claim.part.parent.exists()


async def test_a_deadline_ends_a_run(archive: ScriptedImap, tmp_path: Path) -> None:
    """Also while the catalogue is asked."""

    async def hang(request: web.Request) -> None:
        await asyncio.Event().wait()

    archive.on("query", hang)
    with pytest.raises(DeadlineExceeded, match="mirroring into"):
        await mirrored(archive, tmp_path, deadline_s=0.1)


async def test_a_dry_run_tells_what_would_come_and_changes_nothing(archive: ScriptedImap, tmp_path: Path) -> None:
    """Not even the folder is made."""
    folder = tmp_path / "data"
    run = await mirrored(archive, folder, dry_run=True)
    assert run.planned == (ONE, TWO, THREE)
    assert not folder.exists()
    await mirrored(archive, folder)
    archive.add([FOUR])
    (folder / ONE).unlink()
    again = await mirrored(archive, folder, dry_run=True)
    assert sorted(again.planned) == [ONE, FOUR] and again.present == 2
    assert not (folder / ONE).exists()


async def test_an_old_version_that_is_delivered_late_does_not_come(archive: ScriptedImap, tmp_path: Path) -> None:
    """The service ranks only what is new; among all files of the query it is not, nor does it come again here."""
    newer, older, late = mag_key(9, "v002.0001"), mag_key(9, "v001.0001"), mag_key(9, "v001.0002")
    archive.add([newer, older])
    latest = FileQuery(instrument="mag", version="latest")
    for query in (MAG, latest):
        archive.rows = [row for row in archive.rows if row["file_path"] not in (older, late)]
        await mirrored(archive, tmp_path, query)
        archive.add([late])
        run = await mirrored(archive, tmp_path, query)
        assert run.ok and run.new == ()
    assert not (tmp_path / late).exists()


async def test_what_newer_versions_replace_stays_and_is_not_kept_up(archive: ScriptedImap, tmp_path: Path) -> None:
    """Whoever removes an old version by hand is not given it again."""
    query = FileQuery(instrument="mag", version="latest")
    await mirrored(archive, tmp_path, query)
    newer = mag_key(1, "v001.0002")
    archive.add([newer])
    assert keys_of(await mirrored(archive, tmp_path, query)) == [newer]
    assert (tmp_path / ONE).exists()
    (tmp_path / ONE).unlink()
    run = await mirrored(archive, tmp_path, query)
    assert run.ok and run.new == ()


async def test_mirrors_in_one_folder_do_not_know_of_each_other(archive: ScriptedImap, tmp_path: Path) -> None:
    """Each query has its own mark, and so have the public and those with a key; files are shared."""
    await mirrored(archive, tmp_path)
    sent = archive.sent
    other = await mirrored(archive, tmp_path, FileQuery(instrument="mag", data_level="l2"))
    public = await mirrored(archive, tmp_path, key=None)
    for run in (other, public):
        assert run.since is None and run.new == () and run.present == 3
    assert archive.sent - sent <= 6


async def test_what_the_catalogue_lists_and_the_service_withholds_fails_alone(
    archive: ScriptedImap, tmp_path: Path
) -> None:
    """Released between two questions, or the other way round."""
    archive.released.discard(TWO)
    run = await mirrored(archive, tmp_path, key=None)
    assert keys_of(run) == [ONE, THREE]
    assert [type(file.error) for file in run.failed] == [NotReleased]


async def test_a_row_that_leads_out_fails_alone(archive: ScriptedImap, tmp_path: Path) -> None:
    """The others come, and nothing is written outside of the folder."""
    evil = f"imap/../../{ONE.rpartition('/')[2]}"
    archive.list(evil)
    run = await mirrored(archive, tmp_path / "data")
    assert keys_of(run) == [ONE, TWO, THREE]
    assert [file.key for file in run.failed] == [evil]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def spoil(folder: Path, change: str) -> None:
    """Change what is written down."""
    with closing(sqlite3.connect(folder / STATE)) as connection:
        connection.execute(change)
        connection.commit()


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mirrors SET mark = 'gar'",
        "UPDATE mirrors SET mark = '2024-04-03T12:00:00'",
        "UPDATE mirrors SET mark = x'00ff'",
        "INSERT INTO files VALUES (1, x'00ff', NULL, 5)",
        "INSERT INTO files VALUES (1, '../../outside', NULL, 5)",
        "DROP TABLE files",
        None,
    ],
    ids=[
        "no time",
        "naive time",
        "bytes for a time",
        "bytes for a key",
        "a key that leads out",
        "no table",
        "no database",
    ],
)
async def test_notes_that_are_damaged_are_told(
    archive: ScriptedImap, tmp_path: Path, change: str | None, dry_run: bool
) -> None:
    """With the file, and what to do: without it, one comparison of everything makes it anew."""
    await mirrored(archive, tmp_path)
    if change is None:
        (tmp_path / STATE).write_bytes(b"nothing that can be read" * 99)
    else:
        spoil(tmp_path, change)
    with pytest.raises(TargetNotWritable, match=rf"{STATE.name}: .*move the file away") as caught:
        await mirrored(archive, tmp_path, dry_run=dry_run)
    assert caught.value.target == tmp_path / STATE
    (tmp_path / STATE).unlink()
    sent = archive.sent
    assert (await mirrored(archive, tmp_path)).present == 3
    assert archive.sent - sent <= 3


@pytest.mark.parametrize("fails", [False, True])
async def test_notes_that_cannot_be_written_are_told(
    archive: ScriptedImap, tmp_path: Path, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless something else stops the run; and then nothing is left that nobody asked for."""

    def spoilt(count: int) -> None:
        spoil(tmp_path, "DROP TABLE files")

    def stop(file: DownloadedFile) -> None:
        if fails:
            raise ZeroDivisionError

    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError if fails else TargetNotWritable):
        await mirrored(archive, tmp_path, on_planned=spoilt, on_outcome=stop)
    gc.collect()
    assert caplog.records == []


async def test_a_dry_run_needs_to_write_nothing(archive: ScriptedImap, tmp_path: Path) -> None:
    """The folder may be somebody else's, whose files are only compared."""
    await mirrored(archive, tmp_path)
    archive.add([FOUR])
    with read_only(tmp_path) as folder:
        run = await mirrored(archive, folder, dry_run=True)
    assert run.planned == (FOUR,) and run.present == 3


async def test_trouble_is_told_before_anything_is_fetched(archive: ScriptedImap, tmp_path: Path) -> None:
    """A catalogue that does not answer, a folder that cannot be written."""
    archive.on("query", times(99, lambda: web.Response(status=400)))
    with pytest.raises(InvalidInput):
        await mirrored(archive, tmp_path)
    archive.scripts.clear()
    with read_only(tmp_path) as folder, pytest.raises(TargetNotWritable):
        await mirrored(archive, folder / "data")
    assert archive.requests("download") == []
