"""What a journal keeps, who may change it, and what others see of it meanwhile."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from support.disks import read_only
from support.processes import ENVIRON

from aurora_async.engine.journal import (
    _FREE,
    _MIGRATIONS,
    Entry,
    Journal,
    LeaseLost,
    Planned,
    Stage,
    read_facts,
    read_journal,
)
from aurora_async.errors import InvalidInput, TargetNotWritable
from aurora_async.processes import host


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal lies."""
    return tmp_path / "journal.sqlite"


@asynccontextmanager
async def opened(path: Path, *, lease_s: float = 60.0) -> AsyncIterator[Journal]:
    """A journal that is open."""
    journal = Journal(path, lease_s=lease_s)
    try:
        yield journal
    finally:
        await journal.close()


def planned(name: str, *windows: str, asks: str | None = None, key: str | None = None) -> Planned:
    """A query, cut into windows if any are named."""
    query: Mapping[str, object] = {"start": "2020-01-01T00:00:00", "asks": asks or name}
    cut = tuple(
        Planned(key=f"key of {one}", kind="ephemeris", query=query, path=f".parts/{name}-{one}") for one in windows
    )
    return Planned(key=key or f"key of {name}", kind="ephemeris", query=query, path=f"{name}.jsonl", windows=cut)


def names(entries: list[Entry]) -> list[str]:
    """The paths of entries."""
    return [entry.path for entry in entries]


async def finished(journal: Journal, entry: Entry, request_id: str | None = "id") -> Entry:
    """Bring an entry to its end."""
    if request_id is not None:
        entry = await journal.submitted(await journal.intend(entry, request_id), request_id)
    entry = await journal.saved(entry, bytes=3, records=1, sha256="abc", seconds=0.5)
    return await journal.done(entry)


async def lease_of(journal: Journal, worker: str, entry: Entry, *, lives_s: float) -> None:
    """Have somebody else hold an entry."""
    until = int((time.time() + lives_s) * 1e6)
    await journal._run("UPDATE entries SET owner = ?, lease_us = ? WHERE number = ?", worker, until, entry.number)


def a_dead_worker() -> str:
    """The name of a process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"{host()}/{ended.pid}/0000"


# What is planned -------------------------------------------------------------------------------------------------


async def test_queries_are_taken_in_the_order_of_the_plan(path: Path) -> None:
    """Whoever watches a batch sees it go on from the beginning to the end."""
    async with opened(path) as journal:
        assert await journal.plan([planned("c"), planned("a"), planned("b")]) == 3
        assert names(await journal.take(2)) == ["c.jsonl", "a.jsonl"]
        assert names(await journal.take(5)) == ["b.jsonl"]
        assert await journal.take(5) == []


async def test_a_query_is_planned_once_however_often_it_is_given(path: Path) -> None:
    """The same command run again must add nothing."""
    async with opened(path) as journal:
        assert await journal.plan([planned("a"), planned("again", key="key of a")]) == 1
        assert await journal.plan([planned("a"), planned("b")]) == 1
        assert names(await journal.entries()) == ["a.jsonl", "b.jsonl"]


async def test_two_queries_with_one_file_are_refused_and_nothing_is_planned(path: Path) -> None:
    """One would replace the other's result; half a plan would be no better."""
    async with opened(path) as journal:
        with pytest.raises(InvalidInput, match=r"'a\.jsonl' is the file of another query"):
            await journal.plan([planned("b"), planned("a"), planned("a", key="another")])
        assert await journal.entries() == []


async def test_a_window_that_asks_what_a_query_asks_is_still_a_window(path: Path) -> None:
    """A day asked for by itself and as a part of a month: the month must not miss it."""
    async with opened(path) as journal:
        assert await journal.plan([planned("day"), planned("month", "day", "night")]) == 2
        assert names(await journal.entries()) == ["day.jsonl", "month.jsonl"]
        assert names(await journal.entries(parent=2)) == [".parts/month-day", ".parts/month-night"]


async def test_a_query_that_was_cut_is_taken_when_all_its_windows_are_over(path: Path) -> None:
    """Before that there is nothing to merge."""
    async with opened(path) as journal:
        await journal.plan([planned("month", "a", "b")])
        first, second = await journal.take(5)
        assert {first.parent, second.parent} == {1}
        await finished(journal, first)
        assert await journal.take(5) == []
        await journal.failed(second, "no")
        assert [entry.stage for entry in await journal.take(5)] == [Stage.SPLIT]


# What is kept ----------------------------------------------------------------------------------------------------


async def test_every_step_is_there_for_whoever_opens_it_next(path: Path) -> None:
    """A run may end after any of them."""
    async with opened(path) as journal:
        await journal.plan([], {"format": "jsonl"})
        await journal.plan([planned("a")])
        (entry,) = await journal.take(1)
        steps = [
            lambda: journal.intend(entry, "mine"),
            lambda: journal.submitted(entry, "theirs"),
            lambda: journal.saved(entry, bytes=3, records=1, sha256="abc", seconds=0.5),
            lambda: journal.done(entry),
        ]
        for step, stage in zip(steps, ["intended", "submitted", "saved", "done"], strict=True):
            entry = await step()
            assert entry.stage.value == stage
            facts, [kept] = read_journal(path)
            assert kept == entry
        assert facts == read_facts(path) == {"format": "jsonl"}
    async with opened(path) as journal:
        assert await journal.entries() == [entry]
        assert (entry.request_id, entry.attempts, entry.sha256) == ("theirs", 1, "abc")


async def test_a_process_that_is_killed_loses_nothing_it_was_told_is_kept(path: Path) -> None:
    """An identifier that is forgotten is a search that is made twice."""
    code = """
import asyncio, os, sys
from pathlib import Path
from aurora_async.engine.journal import Journal, Planned
async def main():
    journal = Journal(Path(sys.argv[1]))
    await journal.plan([Planned(key=str(n), kind="k", query={}, path=str(n)) for n in range(50)])
    entries = await journal.take(50)
    await asyncio.gather(*(journal.intend(entry, f"id {entry.number}") for entry in entries))
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code, path], env=ENVIRON, timeout=60)
    assert done.returncode == -9
    _, entries = read_journal(path)
    assert [entry.request_id for entry in entries] == [f"id {number}" for number in range(1, 51)]
    async with opened(path) as journal:
        assert len(await journal.take(100)) == 50  # what the dead held is free at once


async def test_a_failure_is_tried_anew_under_a_new_identifier(path: Path) -> None:
    """The old identifier belongs to a request that has failed."""
    async with opened(path) as journal:
        await journal.plan([planned("a"), planned("b"), planned("c")])
        a, b, _ = await journal.take(3)
        await journal.failed(await journal.intend(a, "old"), "no")
        await finished(journal, b)
        assert await journal.again(Stage.FAILED) == 1
        kept = (await journal.entries())[0]
        assert (kept.stage, kept.request_id, kept.error, kept.attempts) == (Stage.PLANNED, None, None, 1)
        assert [entry.stage for entry in await journal.entries()] == [Stage.PLANNED, Stage.DONE, Stage.PLANNED]


async def test_trying_a_cut_query_anew_spares_the_windows_that_are_done(path: Path) -> None:
    """Eleven good months need not be asked for again because of the twelfth."""
    async with opened(path) as journal:
        await journal.plan([planned("year", "a", "b", "c")])
        a, b, c = await journal.take(3)
        await finished(journal, a)
        await journal.failed(b, "no")
        await finished(journal, c)
        (year,) = await journal.take(1)
        await journal.failed(year, "its window")
        assert await journal.again(Stage.FAILED) == 1
        stages = [entry.stage for entry in read_journal(path)[1]]
        assert stages == [Stage.SPLIT, Stage.DONE, Stage.PLANNED, Stage.DONE]


async def test_a_query_of_which_only_a_window_failed_counts_as_tried_anew(path: Path) -> None:
    """Whoever is told that there is nothing to try again looks no further."""
    async with opened(path) as journal:
        await journal.plan([planned("year", "1", "2"), planned("a")])
        window, *_ = await journal.take(3)
        await journal.failed(window, "no space")
        assert await journal.again(Stage.FAILED) == 1
        assert await journal.again(Stage.FAILED) == 0


async def test_a_file_that_is_gone_is_fetched_from_the_request_that_made_it(path: Path) -> None:
    """Its result is still on the service: a second search would be wasted."""
    async with opened(path) as journal:
        await journal.plan([planned("a"), planned("taken over"), planned("year", "w")])
        a, taken_over, window = await journal.take(5)
        a, taken_over = await finished(journal, a), await finished(journal, taken_over, None)
        await finished(journal, window, "window's id")
        (year,) = await journal.take(1)
        year = await finished(journal, year, None)
        for entry in (a, taken_over, year):
            await journal.lost(entry)
        found = {entry.path: entry for entry in read_journal(path)[1]}
        assert (found["a.jsonl"].stage, found["a.jsonl"].request_id) == (Stage.SUBMITTED, "id")
        assert found["taken over.jsonl"].stage is Stage.PLANNED, "it never had a request"
        assert found["year.jsonl"].stage is Stage.SPLIT
        window = found[".parts/year-w"]
        assert (window.stage, window.request_id) == (Stage.SUBMITTED, "window's id")


async def test_cancelling_names_the_requests_that_the_service_may_work_on(path: Path) -> None:
    """They are to be cancelled there; what is done stays."""
    async with opened(path) as journal:
        await journal.plan([planned(name) for name in "abcd"])
        a, b, c, _ = await journal.take(4)
        await finished(journal, a)
        await journal.intend(b, "b's")
        await journal.submitted(await journal.intend(c, "c's"), "c's")
        assert [entry.request_id for entry in await journal.cancelled()] == ["b's", "c's"]
        assert await journal.counts() == {Stage.DONE: 1, Stage.CANCELLED: 3}
        with pytest.raises(LeaseLost):
            await journal.submitted(b, "b's")


# Who may change it -----------------------------------------------------------------------------------------------


async def test_two_who_take_never_get_the_same(path: Path) -> None:
    """Each query is worked on once, whoever does it."""
    async with opened(path) as one, opened(path) as other:
        await one.plan([planned(str(number)) for number in range(40)])
        taken = await asyncio.gather(*(journal.take(5) for journal in (one, other) * 5))
        numbers = [entry.number for entries in taken for entry in entries]
        assert sorted(numbers) == list(range(1, 41))


async def test_what_is_given_back_can_be_taken_by_another(path: Path) -> None:
    """A run that ends leaves the rest at once, and with the reason."""
    async with opened(path) as one, opened(path) as other:
        await one.plan([planned("a"), planned("b"), planned("c")])
        a, b, _ = await one.take(3)
        await one.park({a.number: "the service is away"})
        await one.release(b)
        found = await other.take(3)
        assert [(entry.path, entry.error) for entry in found] == [("a.jsonl", "the service is away"), ("b.jsonl", None)]
        await one.let_go()
        assert names(await other.take(3)) == ["c.jsonl"]


async def test_what_a_dead_process_of_this_machine_held_is_free_at_once(path: Path) -> None:
    """After a crash nobody waits for a lease to run out."""
    async with opened(path) as journal:
        await journal.plan([planned("a")])
        await lease_of(journal, a_dead_worker(), (await journal.entries())[0], lives_s=600)
        assert await journal.left() == 1
        assert names(await journal.take(1)) == ["a.jsonl"]


@pytest.mark.parametrize(
    ("worker", "lives_s", "is_free"),
    [
        (f"{host()}/{os.getpid()}/0000", 600, False),
        ("elsewhere/1234/0000", 600, False),
        ("elsewhere/1234/0000", -1, True),
        (f"{host()}/{os.getpid()}/0000", -1, True),
    ],
    ids=["lives here", "lives elsewhere", "silent elsewhere", "silent here"],
)
async def test_what_others_hold_is_free_when_they_were_not_heard_of_for_a_lease(
    path: Path, worker: str, lives_s: float, is_free: bool
) -> None:
    """Of a process on another machine nobody here can tell whether it lives."""
    async with opened(path) as journal:
        await journal.plan([planned("a")])
        await lease_of(journal, worker, (await journal.entries())[0], lives_s=lives_s)
        assert await journal.numbers_of_others() == (set() if is_free else {1})
        assert bool(await journal.take(1)) is is_free


async def test_what_a_journal_could_not_give_back_is_free_once_it_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full then; whoever runs the batch again in the same process does not wait for a lease."""
    one = Journal(path)
    await one.plan([planned("a")])
    await one.take(1)

    async def full() -> None:
        raise TargetNotWritable("", path, "the disk is full")

    monkeypatch.setattr(one, "let_go", full)
    with pytest.raises(TargetNotWritable):
        await one.close()
    async with opened(path) as journal:
        assert names(await journal.take(1)) == ["a.jsonl"]


async def test_windows_are_held_back_while_their_query_may_do_without_them(path: Path) -> None:
    """Its file may be there from another batch; when it is not, or is lost again, the windows go on."""
    async with opened(path) as journal:
        await journal.plan([planned("year", "1", "2")])
        await journal.hold_windows(["key of year", "key of 1", "unknown"])
        (year,) = await journal.take(9)
        assert year.path == "year.jsonl"
        await journal.release(year, Stage.SPLIT)
        assert len(await journal.take(9)) == 2
        await journal.let_go()
        await journal.hold_windows(["key of year"])
        (year,) = await journal.take(9)
        year = await finished(journal, year, None)
        assert await journal.take(9) == []
        await journal.cancelled()
        assert (await journal.lost(year)).stage is Stage.SPLIT
        assert len(await journal.take(9)) == 2


async def test_a_lease_that_is_renewed_does_not_run_out(path: Path) -> None:
    """A query may take hours."""
    async with opened(path, lease_s=0.2) as one, opened(path) as other:
        await one.plan([planned("a")])
        (entry,) = await one.take(1)
        for _ in range(3):
            await asyncio.sleep(0.1)
            await one.renew()
            assert await other.take(1) == []
        await one.intend(entry, "id")


async def test_whoever_lost_his_lease_changes_nothing_any_more(path: Path) -> None:
    """Two who write of one query would undo each other's notes."""
    async with opened(path, lease_s=0.0) as one, opened(path) as other:
        await one.plan([planned("a")])
        (mine,) = await one.take(1)
        await asyncio.sleep(0.01)
        (theirs,) = await other.take(1)
        assert mine.number == theirs.number
        await other.intend(theirs, "theirs")
        for change in (
            lambda: one.intend(mine, "mine"),
            lambda: one.submitted(mine, "mine"),
            lambda: one.failed(mine, "no"),
            lambda: one.release(mine),
            lambda: one.done(mine),
        ):
            with pytest.raises(LeaseLost):
                await change()
        await one.park({mine.number: "no"})
        await one.renew()
        await one.let_go()
        (kept,) = await other.entries()
        assert (kept.request_id, kept.stage, kept.error) == ("theirs", Stage.INTENDED, None)
        await other.submitted(kept, "theirs")


# What others see -------------------------------------------------------------------------------------------------


async def test_what_is_free_is_found_without_looking_at_the_rest(path: Path) -> None:
    """A batch of a hundred thousand asks a thousand times for its next hundred."""
    async with opened(path) as journal:
        plan = journal._database.read(f"EXPLAIN QUERY PLAN {_FREE}", (10,))
    steps = [str(row[3]) for row in plan]
    assert steps[0] == "SCAN entries USING INDEX free_entries"
    assert not any("TEMP B-TREE" in step for step in steps)


async def test_a_journal_of_the_first_version_is_gone_on_with(path: Path) -> None:
    """A batch that began before an upgrade ends after it."""
    stages = ("planned", "submitted", "done")
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(_MIGRATIONS[0])
        old.execute("PRAGMA user_version = 1")
        sql = (
            "INSERT INTO entries (number, key, kind, query, path, stage, changed_us) VALUES (?, ?, 'x', '{}', ?, ?, 1)"
        )
        old.executemany(sql, [(number, stage, stage, stage) for number, stage in enumerate(stages, 1)])
    async with opened(path) as journal:
        taken = await journal.take(10)
        assert names(taken) == ["planned", "submitted"]
        for entry in taken:
            await finished(journal, entry)
    assert {entry.stage for entry in read_journal(path)[1]} == {Stage.DONE}


async def test_it_is_read_while_it_is_written(path: Path) -> None:
    """`status` of a run that is on neither waits nor sees half a change."""
    async with opened(path) as journal:
        await journal.plan([planned(str(number)) for number in range(200)])
        entries = await journal.take(200)

        async def write() -> None:
            await asyncio.gather(*(finished(journal, entry) for entry in entries))

        writing = asyncio.create_task(write())
        looks = []
        while not writing.done():
            looks.append((await asyncio.to_thread(read_journal, path))[1])
        await writing
        assert all(len(look) == 200 for look in looks)
        assert all((entry.sha256 is None) == (entry.stage.value in ("planned", "intended", "submitted"))
                   for look in looks for entry in look)  # fmt: skip
        done = [sum(entry.stage is Stage.DONE for entry in look) for look in looks]
        assert done == sorted(done)


async def test_it_is_read_in_a_folder_that_nobody_can_write_to(path: Path) -> None:
    """An archive is often mounted read-only."""
    async with opened(path) as journal:
        await journal.plan([planned("a")])
    with read_only(path.parent) as folder:
        assert names(read_journal(folder / path.name)[1]) == ["a.jsonl"]
        with pytest.raises(TargetNotWritable, match="journal"):
            async with opened(folder / path.name) as journal:
                await journal.plan([planned("b")])


async def test_a_journal_of_a_newer_version_is_refused(path: Path) -> None:
    """Its rules are not known: writing could break them, reading misunderstand them."""
    async with opened(path) as journal:
        await journal.plan([planned("a")])
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(InvalidInput, match="newer aurora_async"):
        Journal(path)
    with pytest.raises(InvalidInput, match="newer aurora_async"):
        read_journal(path)


@pytest.mark.parametrize("content", [None, b"", b"not a database, and long enough to be none" * 40])
def test_what_is_no_journal_is_said_to_be_none(path: Path, content: bytes | None) -> None:
    """A typing error in a path is the common case."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"journal\.sqlite"):
        read_journal(path)


def test_a_journal_that_is_just_being_made_knows_nothing_yet(path: Path) -> None:
    """Who begins a moment later, or after a kill at that moment, goes on; there is nothing to look at, though."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
    db.close()
    assert read_facts(path) == {}
    with pytest.raises(InvalidInput, match="is empty"):
        read_journal(path)


async def test_what_another_merges_is_waited_for(path: Path) -> None:
    """Should he die over it, there must be somebody who takes it over."""
    async with opened(path) as one, opened(path) as other:
        await one.plan([planned("a", "w")])
        (window,) = await one.take(9)
        await finished(one, window)
        assert names(await one.take(9)) == ["a.jsonl"]
        assert (await one.left(), await other.left()) == (0, 1)


async def test_a_disk_that_is_full_is_said_to_be_so(path: Path) -> None:
    """And what was kept before is still there when there is space again."""
    async with opened(path) as journal:
        await journal.plan([planned("a")])
        pages = journal._database._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._database._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(TargetNotWritable, match="full"):
            await journal.plan([planned("b" * 100_000)])
        journal._database._connection.execute("PRAGMA max_page_count = 1000000")
        assert await journal.plan([planned("b")]) == 1
        assert names(await journal.entries()) == ["a.jsonl", "b.jsonl"]
