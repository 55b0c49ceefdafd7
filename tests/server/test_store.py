"""The database: many changes in one transaction, each answered for itself."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from aurora_async.server.store import _MIGRATIONS, Account, Duplicate, SearchRow, Store

ROW = SearchRow(
    request_id="", kind="ephemeris", query="{}", requested_us=0, owner=None, ip_address="127.0.0.1", logs="[]"
)


def rows(count: int) -> list[SearchRow]:
    """Searches that arrive one after the other."""
    return [attrs.evolve(ROW, request_id=f"{number:05}", requested_us=number) for number in range(count)]


async def test_a_thousand_searches_at_once_are_all_kept(tmp_path: Path) -> None:
    """They share their transactions: one each would take a second or more."""
    store = Store(tmp_path)
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement.startswith("COMMIT")

    store._database._connection.set_trace_callback(count)
    await asyncio.gather(*(store.add_search(row) for row in rows(1000)))
    assert commits < 100
    assert store.unfinished_searches() == rows(1000)
    await store.close()


async def test_a_duplicate_fails_alone(tmp_path: Path) -> None:
    """The others of its transaction are committed."""
    store = Store(tmp_path)
    results = await asyncio.gather(*(store.add_search(row) for row in (*rows(10), *rows(12))), return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 10 + [Duplicate] * 10 + [type(None)] * 2
    assert store.unfinished_searches() == rows(12)
    await store.close()


async def test_a_change_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    """Also when it had changed something before."""
    store = Store(tmp_path)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM searches")
        raise ValueError("in the middle")

    await store.add_search(rows(1)[0])
    with pytest.raises(ValueError, match="in the middle"):
        await store.apply(half)
    assert store.search("00000") == rows(1)[0]
    await store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.apply(half)


async def test_closing_writes_what_is_pending(tmp_path: Path) -> None:
    """Nobody waits for the answers, and nothing is lost."""
    store = Store(tmp_path)
    added = asyncio.gather(*(store.add_search(row) for row in rows(100)))
    await asyncio.sleep(0)
    await store.close()
    await added
    store = Store(tmp_path)
    await store.finish_search(
        "00001", logs="[]", completed_us=5, error_condition=True, result_count=1, file_size=2, query_duration=3
    )
    await store.mark_deleted("00001", 9)
    await store.forget_search("00002")
    found = store.search("00001")
    assert found is not None and (found.error_condition, found.completed_us, found.deleted_us) == (True, 5, 9)
    assert store.search("00002") is None
    assert len(store.unfinished_searches()) == 98
    assert [row.request_id for row in store.searches_between(0, 3)] == ["00000", "00001", "00003"]
    await store.close()


async def test_accounts_are_those_of_the_settings(tmp_path: Path) -> None:
    """Replaced as a whole at every start; one person may have several keys."""
    store = Store(tmp_path)
    await store.set_accounts({"one": Account(role="Owner"), "two": Account()})
    assert sorted(account.role for account in store.accounts().values()) == ["Owner", "User"]
    await store.set_accounts({"three": Account(role="Administrator")})
    assert [account.role for account in store.accounts().values()] == ["Administrator"]
    await store.close()


def test_roles_include_those_below() -> None:
    """An administrator may do everything."""
    assert Account(role="Administrator").may_act_as("Owner")
    assert Account(role="Maintainer").may_act_as("User")
    assert not Account(role="Maintainer").may_act_as("Owner")
    with pytest.raises(ValueError, match="role"):
        Account(role="King")


async def test_a_database_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """Whoever installs a new version keeps what the former one had stored."""
    with closing(sqlite3.connect(tmp_path / "service.sqlite")) as old:
        old.executescript(f"{_MIGRATIONS[0]}; PRAGMA user_version = 1;")
        names = attrs.asdict(attrs.evolve(ROW, request_id="kept"))
        places = ", ".join(f":{name}" for name in names)
        old.execute(f"INSERT INTO searches ({', '.join(names)}) VALUES ({places})", names)
        old.commit()
    store = Store(tmp_path)
    assert [row.request_id for row in store.unfinished_searches()] == ["kept"]
    assert not await store.put_ephemeris(3, [(0, b"{}")])
    assert store.tokens() == store.logins() == store.passwords() == {}
    assert not store.maintenance()
    await store.close()


async def test_a_first_start_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """A database without its first data sources would never get them: it comes to be with them, or not at all."""
    source = {"identifier": 1, "program": "p", "platform": "one", "instrument_type": "i"}

    def killed() -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path, first_sources=killed)
    for _ in range(2):  # and only once
        store = Store(tmp_path, first_sources=lambda: [source])
        assert store.data_sources() == [source]
        await store.close()


async def test_a_change_nobody_waits_for_does_not_fail_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error would be lost with the future: the log has it."""
    store = Store(tmp_path)
    source = {"identifier": -1, "program": "adhoc", "platform": "one", "instrument_type": "i"}
    store.add_data_sources([source])
    store.add_data_sources([source])
    store._database._connection.execute("DROP TABLE tokens")
    store.use_token("digest", 1)
    await store.close()
    await asyncio.sleep(0)
    said = [(record.name, record.levelname, record.message) for record in caplog.records]
    assert said == [
        ("aurora_async.server.store", "ERROR", "data sources could not be kept: "
         "UNIQUE constraint failed: data_sources.identifier"),
        ("aurora_async.server.store", "ERROR", "a token's use could not be kept: no such table: tokens"),
    ]  # fmt: skip


async def test_a_data_source_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    """Neither the one that was to be replaced nor the other."""
    source = {"program": "p", "platform": "one", "instrument_type": "i"}
    store = Store(tmp_path)
    await store.put_data_source(source | {"identifier": 1})
    await store.put_data_source(source | {"identifier": 2, "platform": "two"})
    before = store.data_sources()
    for record, former in (
        ({"identifier": 3}, None),
        ({"identifier": 1, "platform": "three"}, None),
        ({"identifier": 2}, 2),
    ):
        with pytest.raises(Duplicate):
            await store.put_data_source(source | record, former=former)
    assert store.data_sources() == before
    assert await store.remove_data_source(1)
    assert [one["identifier"] for one in store.data_sources()] == [2]
    await store.close()


async def test_a_data_source_with_uploads_stays_and_one_without_takes_no_more(tmp_path: Path) -> None:
    """Whichever comes first, a removal or an upload: no record is left without its source."""
    source = {"program": "p", "platform": "one", "instrument_type": "i"}
    store = Store(tmp_path)
    for identifier in (1, 2):
        await store.put_data_source(source | {"identifier": identifier, "platform": str(identifier)})
    # The one that is called first is asked first, also where both are in one transaction.
    uploaded = store.put_data_products(1, [("https://example.org", 0, 60, b"{}")])
    assert (await store.remove_data_source(1), await uploaded) == (False, True)
    assert await store.remove_data_source(2)
    assert not await store.put_ephemeris(2, [(0, b"{}")])
    assert [one["identifier"] for one in store.data_sources()] == [1]
    await store.close()
