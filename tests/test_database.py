"""A SQLite file for many writers: changes are answered after their commit, and one that fails is undone alone."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora_async import database
from aurora_async.database import Database, is_on_network
from aurora_async.errors import InvalidInput

SCHEMA = ("CREATE TABLE numbers (number INTEGER PRIMARY KEY);",)


@asynccontextmanager
async def opened(path: Path, migrations: tuple[str, ...] = SCHEMA, **settings: Any) -> AsyncIterator[Database]:
    """Open a database for the length of a block."""
    base = Database(path, migrations, **settings)
    try:
        yield base
    finally:
        await base.close()


def adding(number: int) -> database.Change[int]:
    """Make a change that adds a number."""

    def change(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return change


def numbers(base: Database) -> list[int]:
    """All numbers that are there."""
    return [number for (number,) in base.read("SELECT number FROM numbers ORDER BY number")]


async def test_what_one_turn_of_the_loop_asks_for_shares_one_transaction(tmp_path: Path) -> None:
    """One commit each would cost a flush of the disk each."""
    async with opened(tmp_path / "x.sqlite") as base:
        commits: list[str] = []
        base._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        assert await asyncio.gather(*map(base.apply, map(adding, range(2000)))) == list(range(2000))
        assert len(commits) == 1
        assert numbers(base) == list(range(2000))


async def test_who_writes_alone_waits_for_nobody(tmp_path: Path) -> None:
    """Changes are gathered only where several come at a time."""
    async with opened(tmp_path / "x.sqlite", gather_s=3600) as base:
        for number in range(50):
            assert await base.apply(adding(number)) == number


async def test_a_change_that_fails_is_undone_alone_and_told_to_its_caller(tmp_path: Path) -> None:
    """Also when it had changed something before, and whatever it raised."""

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM numbers")
        raise KeyboardInterrupt

    async with opened(tmp_path / "x.sqlite") as base:
        await base.apply(adding(1))
        answers = await asyncio.gather(
            base.apply(adding(2)), base.apply(adding(1)), base.apply(half), base.apply(adding(3)),
            return_exceptions=True,
        )  # fmt: skip
        assert [type(answer) for answer in answers] == [int, sqlite3.IntegrityError, KeyboardInterrupt, int]
        assert numbers(base) == [1, 2, 3]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.integers(min_value=0, max_value=8), max_size=40))
def test_each_change_is_answered_as_if_it_were_the_only_one(wanted: list[int]) -> None:
    """However they are grouped: the first of equal numbers is added, the others are refused, in order."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(Path(folder) / "x.sqlite", synchronous="NORMAL") as base:
                answers = await asyncio.gather(*map(base.apply, map(adding, wanted)), return_exceptions=True)
                for at, (number, answer) in enumerate(zip(wanted, answers, strict=True)):
                    assert isinstance(answer, sqlite3.IntegrityError) if number in wanted[:at] else answer == number
                assert numbers(base) == sorted(set(wanted))

    asyncio.run(run())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.booleans(), st.integers(min_value=0, max_value=4)), max_size=40))
def test_updates_that_are_joined_are_answered_as_if_each_were_alone(changes: list[tuple[bool, int]]) -> None:
    """Rows come and go between them, some do not exist: each hears of its own, and the order is kept."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(Path(folder) / "x.sqlite", synchronous="NORMAL") as base:
                there = set[int]()
                expected, answers = list[bool](), list[asyncio.Future[bool]]()
                for adds, number in changes:
                    if adds:
                        sql = "INSERT OR IGNORE INTO numbers VALUES (?)"
                        expected.append(number not in there)
                        there.add(number)
                    else:
                        sql = "DELETE FROM numbers WHERE number = ?"
                        expected.append(number in there)
                        there.discard(number)
                    answers.append(base.update(sql, (number,)))
                assert await asyncio.gather(*answers) == expected
                assert numbers(base) == sorted(there)

    asyncio.run(run())


async def test_an_update_that_is_refused_leaves_those_beside_it(tmp_path: Path) -> None:
    """A statement for many would end at the first row that is refused."""
    async with opened(tmp_path / "x.sqlite") as base:
        sql = "INSERT INTO numbers VALUES (?)"
        answers = [base.update(sql, (number,)) for number in (1, 2, 1, 3)]
        made = await asyncio.gather(*answers, return_exceptions=True)
        assert isinstance(made.pop(2), sqlite3.IntegrityError)
        assert made == [True, True, True]
        assert numbers(base) == [1, 2, 3]


async def test_a_caller_who_is_cancelled_disturbs_nobody(tmp_path: Path) -> None:
    """His change is made all the same, and the others get their answers."""
    async with opened(tmp_path / "x.sqlite") as base:
        first, second = base.apply(adding(1)), base.apply(adding(2))
        first.cancel()
        assert await second == 2
        assert numbers(base) == [1, 2]


async def test_closing_writes_what_is_pending(tmp_path: Path) -> None:
    """And gives the file back, also when whoever closes is cancelled."""
    for number in (1, 2):
        base = Database(tmp_path / "x.sqlite", SCHEMA)
        answer = base.apply(adding(number))
        closing_ = asyncio.create_task(base.close())
        await asyncio.sleep(0)
        if number == 2:
            closing_.cancel()
        await asyncio.gather(closing_, return_exceptions=True)
        assert await answer == number
        await asyncio.to_thread(base._writer.join)
        with pytest.raises(RuntimeError, match="closed"):
            base.apply(adding(3))
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            base.read("SELECT 1")
    async with opened(tmp_path / "x.sqlite") as base:
        assert numbers(base) == [1, 2]


def test_when_the_loop_ends_first_nothing_is_lost(tmp_path: Path) -> None:
    """A program that ends without closing has its changes in the file."""

    hold = threading.Event()

    async def leave() -> Database:
        base = Database(tmp_path / "x.sqlite", SCHEMA)
        base.apply(lambda connection: hold.wait(10))
        await asyncio.sleep(0.01)
        base.apply(adding(1))
        return base

    base = asyncio.run(leave())
    hold.set()
    base._writer.join(10)
    assert not base._writer.is_alive()
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
        assert connection.execute("SELECT number FROM numbers").fetchall() == [(1,)]


@pytest.mark.parametrize("wal", [True, False])
async def test_a_reader_sees_one_state_while_others_write(tmp_path: Path, wal: bool) -> None:
    """Without WAL the writer waits for him; with it, nobody waits."""
    async with opened(tmp_path / "x.sqlite", wal=wal) as base:
        assert base.is_wal is wal
        await base.apply(adding(1))
        with base.snapshot() as seen:
            count = "SELECT count(*) FROM numbers"
            assert seen.execute(count).fetchone() == (1,)
            written = base.apply(adding(2))
            if wal:
                assert await written == 2
            assert seen.execute(count).fetchone() == (1,)
        assert await written == 2
        assert numbers(base) == [1, 2]


async def test_another_process_reads_while_it_is_open(tmp_path: Path) -> None:
    """`status` looks at a batch that runs."""
    async with opened(tmp_path / "x.sqlite") as base:
        await base.apply(adding(7))
        code = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT * FROM numbers').fetchall())"
        seen = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code, str(base.path)], capture_output=True, text=True, check=True
        )
        assert seen.stdout == "[(7,)]\n"


class TestSchema:
    """Versions of it."""

    async def test_an_older_file_is_brought_up_to_date(self, tmp_path: Path) -> None:
        """Script by script, with what is in it kept."""
        async with opened(tmp_path / "x.sqlite") as base:
            assert base.found_version == 0
            await base.apply(adding(1))
        more = (*SCHEMA, "ALTER TABLE numbers ADD COLUMN name TEXT; -- it; has\n UPDATE numbers SET name = 'a;b'")
        async with opened(tmp_path / "x.sqlite", more) as base:
            assert base.found_version == 1
            assert base.read("SELECT * FROM numbers") == [(1, "a;b")]
        async with opened(tmp_path / "x.sqlite", more) as base:
            assert base.found_version == 2

    async def test_a_migration_that_fails_changes_nothing(self, tmp_path: Path) -> None:
        """Neither schema nor version; the next program version may do it right."""
        async with opened(tmp_path / "x.sqlite") as base:
            await base.apply(adding(1))
        with pytest.raises(sqlite3.OperationalError, match="nothing"):
            Database(tmp_path / "x.sqlite", (*SCHEMA, "DELETE FROM numbers; DROP TABLE nothing;"))
        async with opened(tmp_path / "x.sqlite") as base:
            assert (base.found_version, numbers(base)) == (1, [1])

    async def test_the_first_contents_come_with_the_schema_or_neither_does(self, tmp_path: Path) -> None:
        """And only once."""

        def killed(connection: sqlite3.Connection) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Database(tmp_path / "x.sqlite", SCHEMA, first=killed)
        for _ in range(2):
            async with opened(tmp_path / "x.sqlite", first=adding(5)) as base:
                assert numbers(base) == [5]

    async def test_a_newer_file_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        """An old program must not write what it does not understand."""
        async with opened(tmp_path / "x.sqlite", (*SCHEMA, "CREATE TABLE more (x);")):
            pass
        before = (tmp_path / "x.sqlite").read_bytes()
        with pytest.raises(InvalidInput, match=r"journal: .*newer aurora_async \(schema 2, this one knows 1\)"):
            Database(tmp_path / "x.sqlite", SCHEMA, name="journal")
        assert (tmp_path / "x.sqlite").read_bytes() == before

    async def test_what_is_no_database_is_said_to_be_none(self, tmp_path: Path) -> None:
        """With what to do about it."""
        (tmp_path / "x.sqlite").write_bytes(b"not a database, but a text of some length" * 100)
        with pytest.raises(InvalidInput, match="cannot be read: file is not a database; restore it, or move it away"):
            Database(tmp_path / "x.sqlite", SCHEMA)

    def test_processes_that_begin_at_once_agree(self, tmp_path: Path) -> None:
        """One makes the schema, the others find it made; none fails, and none makes it twice."""
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            found = pool.map(_add_in_process, [(str(tmp_path / "x.sqlite"), number) for number in range(8)])
        assert sorted(found)[0] == 0
        assert found.count(0) == 1
        with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
            assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (8,)


def _add_in_process(what: tuple[str, int]) -> int:
    path, number = what

    async def add() -> int:
        async with opened(Path(path)) as base:
            await base.apply(adding(number))
            return base.found_version

    return asyncio.run(add())


class TestNetworks:
    """File systems of several hosts, where WAL would damage the file."""

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/data/nfs here/x.sqlite", True),
            ("/data/local/x.sqlite", False),
            ("/data/local/far/deep/x.sqlite", True),
            ("/elsewhere/x.sqlite", False),
        ],
    )
    def test_the_mount_that_a_path_lies_on_says_which(
        self, path: str, expected: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The deepest one, with its spaces."""
        mounts = "\n".join(
            (
                "/dev/sda / ext4 rw 0 0",
                r"host:/x /data/nfs\040here nfs4 rw 0 0",
                "/dev/sdb /data/local xfs rw 0 0",
                "a@b: /data/local/far fuse.sshfs rw 0 0",
            )
        )
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts)
        assert is_on_network(Path(path)) is expected

    async def test_there_the_older_mode_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Slower, and right."""
        monkeypatch.setattr(database, "is_on_network", lambda path: True)
        async with opened(tmp_path / "x.sqlite") as base:
            await base.apply(adding(1))
            assert not base.is_wal
            assert base.read("PRAGMA journal_mode") == [("delete",)]

    async def test_where_wal_cannot_be_had_it_is_done_without(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file system that nobody has a list of shows itself when it is tried."""
        monkeypatch.setattr(database, "_can_wal", lambda connection: False)
        async with opened(tmp_path / "x.sqlite", wal=True) as base:
            await base.apply(adding(1))
            assert not base.is_wal
            assert numbers(base) == [1]
