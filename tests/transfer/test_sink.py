"""A file under its final name is whole, or is not there: after errors, cancellations, full disks and `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from aurora_async.errors import DiskFull, IncompleteBody, TargetExists, TargetNotWritable, WrongContent
from aurora_async.transfer import PartFile, ensure_writable, save, sink

ROOT = Path(__file__).parents[2]


async def parts(count: int, size: int = 70_000, fail: BaseException | None = None) -> AsyncIterator[bytes]:
    """Yield `count` chunks that all differ, letting go of the loop before each."""
    for number in range(count):
        await asyncio.sleep(0)
        yield bytes([number % 256]) * size
    if fail is not None:
        raise fail


def whole(count: int, size: int = 70_000) -> bytes:
    return b"".join(bytes([number % 256]) * size for number in range(count))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_body_is_saved_with_its_length_and_digest(tmp_path: Path) -> None:
    """The folder is made, the part file is gone, the permissions are those of any new file."""
    target = tmp_path / "new" / "folder" / "result.json"
    saved = await save(parts(100), target, expected_bytes=7_000_000, sha256=True)
    assert target.read_bytes() == whole(100)
    assert (saved.path, saved.bytes, saved.sha256) == (target, 7_000_000, hashlib.sha256(whole(100)).hexdigest())
    assert saved.seconds > 0
    assert names(target.parent) == ["result.json"]
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no way to ask for it")
async def test_writing_begins_long_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte is asked for once, or not yet; at the end the disk has most of them already."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(sink, "_BEHIND_BYTES", 2_000_000)
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, start, size, advice: asked.append((start, start + size)))
    await save(parts(100), tmp_path / "x")
    assert asked[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(asked))
    assert 7_000_000 - 2_000_000 < asked[-1][1] <= 7_000_000
    assert (tmp_path / "x").read_bytes() == whole(100)


async def test_an_empty_body_is_an_empty_file(tmp_path: Path) -> None:
    """Nothing is also something that can be whole."""
    saved = await save(parts(0), tmp_path / "empty", expected_bytes=0)
    assert (saved.bytes, saved.sha256) == (0, None)
    assert (tmp_path / "empty").read_bytes() == b""


async def test_many_tiny_chunks_are_written_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread hop a chunk would cost more than the chunk."""
    writes: list[int] = []
    written = os.write

    def noted(fd: int, data: memoryview) -> int:
        writes.append(len(data))
        return written(fd, data)

    monkeypatch.setattr(os, "write", noted)
    await save(parts(3000, 1000), tmp_path / "file")
    assert (tmp_path / "file").stat().st_size == 3_000_000
    assert len(writes) == 3
    assert writes[0] >= 1_000_000


async def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less than it was given."""
    written = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written(fd, data[:1000]))
    await save(parts(3), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == whole(3)


@pytest.mark.parametrize(("announced", "error"), [(210_001, IncompleteBody), (209_999, WrongContent)])
async def test_another_length_than_announced_is_refused(tmp_path: Path, announced: int, error: type[Exception]) -> None:
    """The old file stays as it was."""
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(error, match="210000"):
        await save(parts(3), target, url="https://example.org/f", expected_bytes=announced)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


async def test_a_check_sees_every_byte_and_has_the_last_word(tmp_path: Path) -> None:
    """It runs beside the loop, in the writer's thread."""

    class Check:
        seen = b""
        threads: set[str]

        def __init__(self) -> None:
            self.threads = set()

        def feed(self, chunk: bytes) -> None:
            self.seen += chunk
            self.threads.add(threading.current_thread().name)

        def finish(self) -> None:
            raise WrongContent("u", None, "not what was promised")

    check = Check()
    with pytest.raises(WrongContent):
        await save(parts(40), tmp_path / "file", check=check)
    assert check.seen == whole(40)
    assert threading.main_thread().name not in check.threads
    assert names(tmp_path) == []


async def test_the_error_of_the_source_arrives_bare(tmp_path: Path) -> None:
    """Reader and writer are two tasks inside, one verb outside: no group, no part file."""
    cause = OSError("wire")
    failure = ConnectionResetError("cut")
    failure.__cause__ = cause
    with pytest.raises(ConnectionResetError) as caught:
        await save(parts(50, fail=failure), tmp_path / "file")
    assert caught.value is failure
    assert caught.value.__cause__ is cause
    assert names(tmp_path) == []


async def test_a_slow_disk_slows_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than the three batches that are gathered, waiting and being written."""
    gate = threading.Event()
    written = os.write

    def slow(fd: int, data: bytes) -> int:
        gate.wait(10)
        return written(fd, data)

    monkeypatch.setattr(os, "write", slow)
    yielded = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal yielded
        for _ in range(200):
            yielded += 1
            yield bytes(100_000)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save, source(), tmp_path / "file")
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert yielded <= 3 * 11 + 1
        gate.set()
    assert yielded == 200
    assert (tmp_path / "file").stat().st_size == 20_000_000


# --- Cancellation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", [True, False], ids=["task.cancel", "cancel scope"])
@pytest.mark.parametrize("steps", [*range(30), 40, 60, 90])
async def test_cancelled_at_any_step_nothing_is_left(tmp_path: Path, steps: int, native: bool) -> None:
    """The old file or the whole new one, and never a part file."""
    target = tmp_path / "file"
    target.write_text("old")
    scope = anyio.CancelScope()

    async def work() -> None:
        with scope:
            await save(parts(40), target, sha256=True)

    task = asyncio.create_task(work())
    for _ in range(steps):
        await asyncio.sleep(0)
    if native:
        task.cancel()
    else:
        scope.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert names(tmp_path) == ["file"]
    assert target.read_bytes() in (b"old", whole(40))
    assert target.read_bytes() == b"old" or steps > 10


async def test_cancelled_in_the_middle_of_a_write_the_part_file_still_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clean-up waits for the thread that is writing; it does not close the file under it."""
    writing, gate = threading.Event(), threading.Event()
    written = os.write

    def slow(fd: int, data: bytes) -> int:
        writing.set()
        gate.wait(10)
        return written(fd, data)

    monkeypatch.setattr(os, "write", slow)
    task = asyncio.create_task(save(parts(40), tmp_path / "file"))
    await asyncio.to_thread(writing.wait, 10)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == []


async def test_a_disk_that_hangs_does_not_hold_a_cancellation_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time box the task ends; the part file goes when the disk answers."""
    writing, gate = threading.Event(), threading.Event()
    written = os.write

    def hanging(fd: int, data: bytes) -> int:
        writing.set()
        gate.wait(10)
        return written(fd, data)

    monkeypatch.setattr(os, "write", hanging)
    monkeypatch.setattr(sink, "_CLEANUP_S", 0.05)
    task = asyncio.create_task(save(parts(40), tmp_path / "file"))
    await asyncio.to_thread(writing.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    gate.set()
    for _ in range(1000):
        if not names(tmp_path):
            break
        await asyncio.sleep(0.005)
    assert names(tmp_path) == []


# --- Targets ------------------------------------------------------------------------------------------------


async def test_a_target_that_cannot_be_written_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Folder, symbolic link, a file where a folder should be, no name, a pipe: each with what to do."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name, said in {
        "folder": "folder",
        "link": "symbolic link to file",
        "dangling": "symbolic link to nowhere",
        "file/inner": "Not a directory",
        "file/inner/more": "Not a directory",
        "..": "not the name of a file",
        "a\0b": "not the name of a file",
        "x" * 300: "too long",
        "pipe": "pipe",
    }.items():
        with pytest.raises(TargetNotWritable, match=said) as caught:
            await ensure_writable(tmp_path / name, url="https://example.org/f")
        assert caught.value.target == tmp_path / name
        with pytest.raises(TargetNotWritable, match=said):
            await save(parts(1), tmp_path / name)
    assert names(tmp_path) == ["dangling", "file", "folder", "link", "pipe"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    """Found by making a file, as only that tells."""
    os.chmod(tmp_path, 0o500)  # noqa: PTH101
    try:
        with pytest.raises(TargetNotWritable, match="Permission denied"):
            await ensure_writable(tmp_path / "file")
    finally:
        os.chmod(tmp_path, 0o700)  # noqa: PTH101


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_kernel_folder_is_refused() -> None:
    """A folder that even root cannot write."""
    with pytest.raises(TargetNotWritable):
        await ensure_writable(Path("/proc/self/result.json"))


async def test_ensure_writable_makes_folders_and_nothing_else(tmp_path: Path) -> None:
    """The probe leaves nothing behind."""
    await ensure_writable(tmp_path / "a" / "b" / "file")
    assert names(tmp_path / "a" / "b") == []


async def test_a_long_name_has_room_for_its_part_file(tmp_path: Path) -> None:
    """255 bytes are allowed for a name; the part file's must not be longer."""
    target = tmp_path / ("é" * 127)
    await save(parts(1), target)
    assert names(tmp_path) == [target.name]


async def test_without_overwrite_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    """Neither one that is there before nor one that appears at the last moment."""
    target = tmp_path / "file"
    saved = await save(parts(2), target, overwrite=False)
    assert saved.bytes == 140_000
    for verb in (ensure_writable(target, overwrite=False), save(parts(3), target, overwrite=False)):
        with pytest.raises(TargetExists):
            await verb
    assert target.read_bytes() == whole(2)
    late = tmp_path / "late"
    with pytest.raises(TargetExists):
        async with PartFile(late, overwrite=False) as part:
            await part.write(b"ours")
            late.write_text("theirs")
            await part.commit()
    assert late.read_text() == "theirs"
    assert names(tmp_path) == ["file", "late"]


async def test_without_overwrite_one_of_many_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when every look before the last step found nothing: the link itself decides."""
    monkeypatch.setattr(sink, "_refuse_target", lambda *_: None)
    target = tmp_path / "file"
    outcomes = await asyncio.gather(
        *(save(parts(count), target, overwrite=False) for count in range(1, 9)), return_exceptions=True
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, sink.Saved)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, TargetExists) for outcome in outcomes) == 7
    assert target.stat().st_size == winners[0].bytes
    assert names(tmp_path) == ["file"]


async def test_a_file_system_without_links_can_be_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT answers EPERM to a link."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    await save(parts(2), tmp_path / "file", overwrite=False)
    assert names(tmp_path) == ["file"]
    with pytest.raises(TargetExists):
        await save(parts(3), tmp_path / "file", overwrite=False)


async def test_two_saves_to_one_target_do_not_mix(tmp_path: Path) -> None:
    """The last one wins, whole."""
    target = tmp_path / "file"
    await asyncio.gather(save(parts(30), target), save(parts(31), target), save(parts(32), target))
    assert target.read_bytes() in (whole(30), whole(31), whole(32))
    assert names(tmp_path) == ["file"]


# --- Full disks and killed processes ------------------------------------------------------------------------


async def test_a_full_disk_is_said_and_cleaned_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which file, how far it came and what to do, and survives pickling."""
    written = os.write
    room = 2_500_000

    def until_full(fd: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = written(fd, data[:room])
        room -= count
        return count

    monkeypatch.setattr(os, "write", until_full)
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(DiskFull, match=r"No space left on device after 2500000 bytes; free some space") as caught:
        await save(parts(100), target, url="https://example.org/f")
    assert caught.value.written_bytes == 2_500_000
    assert str(target) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert names(tmp_path) == ["file"]
    assert target.read_text() == "old"


async def test_a_disk_that_is_full_only_at_the_end_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems notice at fsync."""

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        await save(parts(3), tmp_path / "file")
    assert names(tmp_path) == []


SAVE = """
import asyncio, resource, sys
from itertools import pairwise
from pathlib import Path
from aurora_async.transfer import save

async def endless():
    while True:
        yield bytes(1 << 18)
        print("chunk", flush=True)
        await asyncio.sleep(0)

async def main():
    try:
        await save(endless(), Path(sys.argv[1]), url="u")
    except Exception as error:
        print("error", type(error).__name__, error, flush=True)
"""


def run_save(target: Path, before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"{SAVE}{before}\nasyncio.run(main())", str(target)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_a_file_beyond_the_limit_of_the_system_is_a_full_disk(tmp_path: Path) -> None:
    """The real system call, refused by the real system."""
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))"
    with run_save(tmp_path / "file", limit) as process:
        out, _ = process.communicate(timeout=20)
    assert "error DiskFull" in out
    assert "3000000 bytes" in out
    assert names(tmp_path) == []


def test_a_real_full_disk(tmp_path: Path) -> None:
    """A file system of 4 MB, where one may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with run_save(tmp_path / "file") as process:
            out, _ = process.communicate(timeout=20)
        assert "error DiskFull" in out
        assert names(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("old", [None, "old"])
def test_killed_in_the_middle_the_final_name_is_untouched(tmp_path: Path, old: str | None) -> None:
    """`kill -9` leaves a part file at most, whose name says what it is."""
    target = tmp_path / "file"
    if old is not None:
        target.write_text(old)
    with run_save(target) as process:
        assert process.stdout is not None
        for _ in range(40):
            assert process.stdout.readline() == "chunk\n"
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert (target.read_text() if target.exists() else None) == old
    left = [name for name in names(tmp_path) if name != "file"]
    assert len(left) == 1
    assert left[0].startswith(".file.")
    assert left[0].endswith(".part")


async def test_nothing_blocks_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file operation happens in a thread: 40 MB with a slow fsync never stop the loop for long."""
    synced = os.fsync

    def slow(fd: int) -> None:
        time.sleep(0.5)
        synced(fd)

    monkeypatch.setattr(os, "fsync", slow)
    longest = 0.0
    done = anyio.Event()

    async def watch() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await save(parts(40, 1_000_000), tmp_path / "file", sha256=True)
        done.set()
    assert longest < 0.4
