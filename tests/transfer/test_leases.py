"""Claims on files: at no moment two who write, and nothing of the dead is lost or left lying about."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from aurora_async import processes
from aurora_async.transfer.leases import PARTS_FOLDER, Claim, ClaimLost
from aurora_async.transfer.versions import Version

VERSION = Version(etag='"v1"', validator='"v1"', length=100)
DEAD = f"{processes.host()}/4194999/abcd"  # above the highest number that Linux gives
ELSEWHERE = "another host/boot pid:[1]/1/abcd"


def claim(target: Path, worker: str | None = None, lease_s: float = 30) -> Claim:
    """A claim, perhaps of another process."""
    return Claim(target, lease_s) if worker is None else Claim(target, lease_s, worker)


def left_behind(target: Path, worker: str, written: int, durable: int, *, silent_s: float = 0) -> Claim:
    """What a process has left that wrote some bytes, and noted some of them."""
    theirs = claim(target, worker)
    assert theirs.take()
    theirs.part.write_bytes(b"x" * written)
    theirs.note(VERSION, durable)
    age(theirs, silent_s)
    return theirs


def age(of: Claim, seconds: float) -> None:
    """Let a claim be silent for so long."""
    moment = time.time() - seconds
    os.utime(of.state, (moment, moment))


def names(target: Path) -> set[str]:
    """What lies in the folder for parts."""
    folder = target.parent / PARTS_FOLDER
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_one_has_it_until_he_drops_it(tmp_path: Path) -> None:
    """Others may have other files meanwhile; at the end nothing is left."""
    first, second, other = claim(tmp_path / "x"), claim(tmp_path / "x"), claim(tmp_path / "y")
    assert first.take() and other.take() and not second.take()
    first.drop()
    assert second.take()
    second.drop()
    other.drop()
    assert list(tmp_path.iterdir()) == []


def test_of_many_who_want_it_at_one_moment_never_two_have_it(tmp_path: Path) -> None:
    """Looking before and after is enough: whoever comes second sees the first, whatever the order of their steps."""
    holders, most, turns = 0, 0, 0
    lock, ready = threading.Lock(), threading.Barrier(6)

    def want() -> None:
        nonlocal holders, most, turns
        ready.wait()
        until = time.monotonic() + 20
        for _ in range(5):
            ours = claim(tmp_path / "x")
            while not ours.take():
                assert time.monotonic() < until
                time.sleep(0.001 * (1 + os.urandom(1)[0] % 16))
            with lock:
                holders += 1
                most = max(most, holders)
            time.sleep(0.001)
            with lock:
                holders -= 1
                turns += 1
            ours.drop()

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, turns) == (1, 30)
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_of_this_host_is_followed_at_once(tmp_path: Path) -> None:
    """All it wrote is used, noted as durable or not: the system that has it lives on."""
    left_behind(tmp_path / "x", DEAD, written=70, durable=40)
    ours = claim(tmp_path / "x")
    assert ours.take()
    (left,) = ours.leftovers()
    assert (left.usable_bytes, left.is_gone, left.version) == (70, True, VERSION)
    ours.move_here(left)
    assert ours.part.read_bytes() == b"x" * 70
    assert not left.part.exists()
    ours.tidy()
    assert names(tmp_path / "x") == {ours.part.name, ours.state.name}


def test_another_host_is_followed_when_it_has_been_silent_for_too_long(tmp_path: Path) -> None:
    """Only what it noted as durable can be seen from here for sure, and it may wake and write on: a copy is taken."""
    theirs = left_behind(tmp_path / "x", ELSEWHERE, written=70, durable=40)
    ours = claim(tmp_path / "x")
    assert not ours.take()
    age(theirs, 31)
    assert ours.take()
    (left,) = ours.leftovers()
    assert (left.usable_bytes, left.is_gone) == (40, False)
    ours.move_here(left)
    assert left.part.exists()
    ours.tidy()
    assert not theirs.renew()
    assert not theirs.is_held
    with pytest.raises(ClaimLost):
        theirs.note(VERSION, 70)
    assert names(tmp_path / "x") == {ours.part.name, ours.state.name}


def test_a_heartbeat_keeps_it_and_a_longer_lease_is_respected(tmp_path: Path) -> None:
    """The one who waits may be more impatient than the one who writes has promised to be quick."""
    theirs = claim(tmp_path / "x", ELSEWHERE, lease_s=300)
    assert theirs.take()
    age(theirs, 100)
    assert not claim(tmp_path / "x", lease_s=10).take()
    age(theirs, 301)
    assert theirs.renew()
    assert not claim(tmp_path / "x", lease_s=10).take()
    age(theirs, 301)
    assert claim(tmp_path / "x", lease_s=10).take()


def test_what_was_released_is_taken_at_once_and_whole(tmp_path: Path) -> None:
    """Its owner has said that he does not write any more."""
    theirs = left_behind(tmp_path / "x", ELSEWHERE, written=70, durable=70)
    theirs.note(VERSION, 70, released=True)
    ours = claim(tmp_path / "x")
    assert ours.take()
    (left,) = ours.leftovers()
    assert (left.usable_bytes, left.is_gone) == (70, True)


def test_a_part_shorter_than_its_note_is_not_believed(tmp_path: Path) -> None:
    """A file system that lost the end of it in a power failure."""
    left_behind(tmp_path / "x", ELSEWHERE, written=30, durable=40, silent_s=31)
    ours = claim(tmp_path / "x")
    assert ours.take()
    assert [left.usable_bytes for left in ours.leftovers()] == [30]


def test_the_largest_comes_first(tmp_path: Path) -> None:
    """Several may have tried."""
    for number, written in enumerate((10, 90, 50)):
        left_behind(tmp_path / "x", DEAD, written, 0, silent_s=number)
    ours = claim(tmp_path / "x")
    assert ours.take()
    assert [left.usable_bytes for left in ours.leftovers()] == [90, 50, 10]


def test_tidying_leaves_the_living_alone(tmp_path: Path) -> None:
    """And takes what has no owner any more: claims, parts without claims, claims that never came to be."""
    target = tmp_path / "x"
    left_behind(target, DEAD, 10, 0)
    alive = claim(target)
    assert alive.take()
    alive.part.write_bytes(b"mine")
    orphan = claim(target)
    orphan.part.write_bytes(b"whose?")
    os.utime(orphan.part, (1, 1))
    begun = claim(target, DEAD)
    begun._write(None, 0, False)
    other = claim(tmp_path / "y")
    assert other.take()
    assert len(names(target)) == 7
    claim(target).tidy()
    assert names(target) == {alive.part.name, alive.state.name, other.state.name}


def test_where_nobody_can_know_who_lives_only_silence_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of processes mean nothing without the name of the system that gives them."""
    left_behind(tmp_path / "x", DEAD, 10, 0)
    monkeypatch.setattr(processes, "host", lambda: "host/")
    assert not claim(tmp_path / "x").take()


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one out removes it, at any moment."""
    mkdir = Path.mkdir
    times = 0

    def meddled(self: Path) -> None:
        nonlocal times
        mkdir(self)
        times += 1
        if times < 4:
            self.rmdir()

    monkeypatch.setattr(Path, "mkdir", meddled)
    assert claim(tmp_path / "x").take()
    assert times == 4
