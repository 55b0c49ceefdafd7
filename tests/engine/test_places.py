"""Where a batch keeps its files: a whole file gets its name for good, and many at a time cost little more than one."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path

import pytest

from aurora_async.engine import places
from aurora_async.engine.places import STAGING, LocalPlace
from aurora_async.errors import TargetNotWritable


@pytest.fixture
def place(tmp_path: Path) -> LocalPlace:
    """A folder with a staging folder."""
    (tmp_path / STAGING).mkdir()
    return LocalPlace(tmp_path)


def staged(place: LocalPlace, number: int) -> tuple[str, str, str]:
    """Write a file, and return what publishing it takes."""
    content = f"file {number}".encode()
    (place.folder / STAGING / f"{number}.csv").write_bytes(content)
    return f"{STAGING}/{number}.csv", f"month/{number}.csv", hashlib.sha256(content).hexdigest()


async def test_files_that_are_whole_together_are_published_together(
    place: LocalPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look of the disk at the folder for each would be half of what a small file costs."""
    synced: list[Path] = []
    others_are_here = threading.Event()

    def sync(folder: Path) -> None:
        others_are_here.wait(30)
        synced.append(folder)

    monkeypatch.setattr(places, "sync_folder", sync)
    moves = [staged(place, number) for number in range(50)]
    publishing = asyncio.gather(*(place.publish(*move) for move in moves))
    while len(place._publish._asked) < 49:
        await asyncio.sleep(0.001)
    others_are_here.set()
    assert await publishing == [True] * 50
    assert synced == [place.folder / "month"] * 2  # the first goes at once; the others while a thread is at it
    assert {path.name for path in (place.folder / "month").iterdir()} == {f"{number}.csv" for number in range(50)}
    assert await place.staged() == []


async def test_what_cannot_be_published_holds_up_nothing_else(place: LocalPlace) -> None:
    """One that is gone, one that is another's, one whose folder cannot be made: each is told its own."""
    moves = [staged(place, number) for number in range(5)]
    (place.folder / moves[1][0]).unlink()
    (place.folder / moves[2][0]).write_bytes(b"of another")
    (place.folder / "file").touch()
    moves[3] = (moves[3][0], "file/3.csv", moves[3][2])
    first, gone, changed, nowhere, last = await asyncio.gather(
        *(place.publish(*move) for move in moves), return_exceptions=True
    )
    assert (first, gone, changed, last) == (True, False, False, True)
    assert isinstance(nowhere, TargetNotWritable)
    assert await place.staged() == [f"{STAGING}/2.csv", f"{STAGING}/3.csv"]


async def test_whoever_is_cancelled_while_his_file_is_published_disturbs_nobody(place: LocalPlace) -> None:
    """What is his may be published or not, as he left it; the others have their answers."""
    waiting = [asyncio.create_task(place.publish(*staged(place, number))) for number in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert (ends[0], ends[2]) == (True, True) and isinstance(ends[1], asyncio.CancelledError)
    assert await place.publish(*staged(place, 4))
    assert (place.folder / "month/1.csv").exists() != (place.folder / STAGING / "1.csv").exists()
