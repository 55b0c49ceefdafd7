"""A batch under everything that can end a run, or go wrong in it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.disks import small_disk
from support.processes import ENVIRON
from support.scripted import Scripted, a_query, client_of, conjunction, error, hang_up, serving, times

from aurora_async import ConjunctionQuery, Timeouts
from aurora_async.aurorax.plans import Plan, PlannedSearch
from aurora_async.engine import batch as batches
from aurora_async.engine.batch import Batch
from aurora_async.engine.events import EventKind
from aurora_async.engine.folder import BatchFolder, Flaw
from aurora_async.engine.journal import Journal, Stage, read_journal
from aurora_async.engine.places import LocalPlace
from aurora_async.errors import (
    AuroraError,
    ConnectionFailed,
    InvalidInput,
    ServerError,
    TargetNotWritable,
    Unauthorized,
)
from aurora_async.processes import host


@dataclass
class Days(Scripted):
    """Answers each query with records of its own, and counts the searches it has accepted."""

    accepted: list[int] = field(default_factory=list)
    expired: set[str] = field(default_factory=set)

    async def submit(self, request: web.Request) -> web.Response:
        answer = await super().submit(request)
        if answer.status == 202:
            self.accepted.append(self.day(list(self.queries)[-1]))
        return answer

    def day(self, request_id: str) -> int:
        """The day that a request asks for."""
        return int(self.queries[request_id]["start"][8:10])

    def status_document(self, request_id: str, **settings: Any) -> dict[str, Any]:
        gone = {"result_file_deleted_timestamp": "2024-06-18T01:56:33"} if request_id in self.expired else {}
        return super().status_document(request_id, **(gone | settings))

    async def data(self, request: web.Request) -> web.StreamResponse:
        request_id = request.path.split("/")[-2]
        if request_id in self.expired:
            return error(404, "NotFound", "gone")
        return web.json_response({"result": records(self.day(request_id))})

    @property
    def doubled(self) -> list[int]:
        """The days that were accepted more than once."""
        return [day for day, count in Counter(self.accepted).items() if count > 1]


def records(day: int) -> list[dict[str, Any]]:
    """What is found on a day."""
    return [conjunction(day + index) for index in range(3)]


def days(count: int, **changes: Any) -> list[ConjunctionQuery]:
    """Queries, a day each."""
    return [a_query(day, **changes) for day in range(1, count + 1)]


@pytest.fixture
async def service() -> AsyncIterator[Days]:
    """A service that counts."""
    async with serving(Days()) as scripted:
        yield scripted


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits that a test does not need."""
    monkeypatch.setattr(batches, "_LOOK_AROUND_S", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the batch lives."""
    return tmp_path / "survey"


@asynccontextmanager
async def a_batch(service: Days, folder: Path, queries: Any = (), **options: Any) -> AsyncIterator[Batch]:
    """A batch that is open, and its client."""
    async with client_of(service) as client, client.batch(folder, queries, **options) as batch:
        yield batch


async def finished(service: Days, folder: Path, queries: Any = (), **options: Any) -> list[Flaw]:
    """Run a batch to its end, and return what is wrong with it."""
    async with a_batch(service, folder, queries, **options) as batch:
        status = await batch.finish(at_once=4)
        assert status.is_complete, await batch.report()
        return await batch.verify()


def is_right(folder: Path, count: int) -> bool:
    """True when there is one right file for each day, and nothing else."""
    found: dict[int, Any] = {}
    for row in BatchFolder(folder).rows():
        lines = (folder / row.path).read_text().splitlines()
        found[int(row.start[8:10])] = [json.loads(line) for line in lines]
    assert found == {day: records(day) for day in range(1, count + 1)}
    strangers = {path.name for path in folder.iterdir() if not path.name.endswith(".jsonl")}
    strangers -= {"journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"}
    assert strangers <= {"manifest.json", "manifest.parquet", "report.md"}, strangers
    return True


# The way it goes -------------------------------------------------------------------------------------------------


async def test_every_query_becomes_a_file(service: Days, folder: Path) -> None:
    """That is what a batch is for."""
    async with a_batch(service, folder, days(7)) as batch:
        entries = [entry async for entry in batch.run(at_once=3)]
        assert [entry.stage for entry in entries] == [Stage.DONE] * 7
        assert {entry.records for entry in entries} == {3}
        status = await batch.status()
    assert (status.done, status.total, status.records, status.requests) == (7, 7, 21, 7)
    assert status.is_over and status.is_complete
    assert is_right(folder, 7) and not service.doubled


async def test_a_batch_that_is_complete_asks_the_service_nothing(service: Days, folder: Path) -> None:
    """The same command again costs nothing."""
    await finished(service, folder, days(5))
    service.seen.clear()
    assert await finished(service, folder, days(5)) == []
    assert service.seen == []


async def test_no_more_are_under_way_than_was_said(service: Days, folder: Path) -> None:
    """`at_once` is a promise to the service."""
    service.takes_s = 0.03
    most = 0

    async def count(request: web.Request) -> None:
        nonlocal most
        now = asyncio.get_running_loop().time()
        most = max(most, 1 + sum(now - since < service.takes_s for since in service.requests.values()))

    service.on("submit", count)
    async with a_batch(service, folder, days(12)) as batch:
        await batch.finish(at_once=3)
    assert most <= 3


async def test_equal_queries_are_run_once(service: Days, folder: Path) -> None:
    """Lists that people make by hand have repeats."""
    assert await finished(service, folder, [*days(3), *days(3), a_query(2)]) == []
    assert sorted(service.accepted) == [1, 2, 3]


async def test_queries_are_added_to_a_folder_that_has_others(service: Days, folder: Path) -> None:
    """A survey grows by a month every month."""
    await finished(service, folder, days(3))
    await finished(service, folder, days(5))
    assert sorted(service.accepted) == [1, 2, 3, 4, 5]
    assert is_right(folder, 5)


async def test_two_queries_of_one_name_are_refused_before_anything_is_sent(service: Days, folder: Path) -> None:
    """The second result would replace the first."""
    named = [PlannedSearch(query=query, name="night") for query in days(2)]
    with pytest.raises(InvalidInput, match=r"night\.jsonl"):
        await finished(service, folder, named)
    assert service.seen == []


@pytest.mark.parametrize(
    ("first", "second"), [("Night", "night"), ("Mär/z", "Ma\u0308r/z"), ("a", "a.jsonl/b"), ("A.jsonl/b/c", "a")]
)
async def test_names_that_are_one_on_some_system_are_refused(
    service: Days, folder: Path, first: str, second: str
) -> None:
    """The folder is passed on to a Mac or a Windows, or is of one already; and no file is another's folder."""
    one, other = days(2)
    together = [PlannedSearch(query=one, name=first), PlannedSearch(query=other, name=second)]
    with pytest.raises(InvalidInput, match=r"2020-01-02.* cannot be beside .*2020-01-01.* placeholder"):
        await finished(service, folder, together)
    assert service.seen == []
    assert await finished(service, folder, together[:1]) == []
    with pytest.raises(InvalidInput, match="cannot be beside"):
        await finished(service, folder, together)
    assert len(service.accepted) == 1


@pytest.mark.parametrize("name", ["CON", "nul.2020", "lpt1 /x", "a./b", "a /b", "/".join(["abcdefgh"] * 100)])
async def test_a_name_that_some_system_cannot_have_is_refused(service: Days, folder: Path, name: str) -> None:
    """Where it can be made it could not be passed on, and where it cannot the run would end in the middle."""
    with pytest.raises(InvalidInput, match=r"cannot be a file on Windows|too long"):
        await finished(service, folder, [PlannedSearch(query=a_query(), name=name)])
    assert service.seen == []


@pytest.mark.parametrize(
    "name",
    ["../up", "/etc/x", "a/../../b", ".parts/x", "", ".", "a//b", "x" * 300, "a\nb", "C:/x", "Report.md/x"],
)
async def test_a_name_that_leads_elsewhere_is_refused(service: Days, folder: Path, name: str) -> None:
    """Names may come from a table that somebody else made."""
    with pytest.raises(InvalidInput, match="name"):
        await finished(service, folder, [PlannedSearch(query=a_query(), name=name)])
    assert service.seen == []


async def test_names_may_have_folders(service: Days, folder: Path) -> None:
    """Ten thousand files in one folder are no joy."""
    named = [PlannedSearch(query=query, name=f"{query.start:%Y}/{query.start:%d}") for query in days(2)]
    assert await finished(service, folder, named) == []
    assert sorted(path.name for path in (folder / "2020").iterdir()) == ["01.jsonl", "02.jsonl"]


@pytest.mark.parametrize(
    "other",
    [{"format": "json"}, {"format": "csv"}, {"response_format": {"min_distance": True}}],
    ids=lambda other: "".join(other),
)
async def test_other_settings_are_refused_for_a_folder_that_has_results(
    service: Days, folder: Path, other: dict[str, Any]
) -> None:
    """Half of the files would be of one kind and half of another."""
    await finished(service, folder, days(2))
    service.seen.clear()
    with pytest.raises(InvalidInput, match="use another folder") as caught:
        await finished(service, folder, days(3), **other)
    assert caught.value.field in other
    assert service.seen == []


@pytest.mark.parametrize("address", ["nowhere://bar", "memory://store"])
async def test_a_first_run_that_is_refused_leaves_no_settings_behind(service: Days, folder: Path, address: str) -> None:
    """The right command after a wrong one must not need another folder."""
    pytest.importorskip("fsspec", reason="needs the extra `remote`")
    twice = [PlannedSearch(query=query, name="night") for query in days(2)]
    with pytest.raises(InvalidInput, match=r"nowhere|night\.jsonl"):
        await finished(service, folder, twice, outputs=address)
    assert await finished(service, folder, days(2)) == []
    assert is_right(folder, 2)


async def test_another_service_is_refused_for_a_folder_that_has_results(service: Days, folder: Path) -> None:
    """Identifiers of one mean nothing to another, and results of the two do not belong together."""
    await finished(service, folder, days(2))
    async with serving(Days()) as other:
        with pytest.raises(InvalidInput, match="service"):
            await finished(other, folder, days(2))
        assert other.seen == []


async def test_a_folder_is_gone_on_with_as_it_was_begun(service: Days, folder: Path) -> None:
    """Who retries a batch need not know how it was made."""
    await finished(service, folder, days(2), format="csv")
    async with a_batch(service, folder) as batch:
        assert (await batch.finish()).is_complete


async def test_results_of_an_earlier_batch_are_taken_from_there(service: Days, folder: Path, tmp_path: Path) -> None:
    """A new selection shares most of its queries with the last one."""
    earlier = tmp_path / "earlier"
    await finished(service, earlier, days(3))
    assert await finished(service, folder, days(5), reuse=[earlier]) == []
    assert sorted(service.accepted) == [1, 2, 3, 4, 5]
    shutil.rmtree(earlier)
    assert is_right(folder, 5)
    assert BatchFolder(folder).verify() == []


async def test_what_an_earlier_batch_has_lost_is_asked_for(service: Days, folder: Path, tmp_path: Path) -> None:
    """Its journal says what was there, not what is there."""
    earlier = tmp_path / "earlier"
    await finished(service, earlier, days(3))
    first, second, _ = sorted(earlier.glob("*.jsonl"))
    first.unlink()
    second.write_text(second.read_text().replace("swarma", "swarmb"))
    assert await finished(service, folder, days(3), reuse=[earlier]) == []
    assert sorted(service.accepted) == [1, 1, 2, 2, 3]
    assert is_right(folder, 3)


async def test_a_result_that_was_taken_over_and_is_lost_is_asked_for(
    service: Days, folder: Path, tmp_path: Path
) -> None:
    """It never had a request whose result could be fetched again."""
    earlier = tmp_path / "earlier"
    await finished(service, earlier, days(1))
    await finished(service, folder, days(1), reuse=[earlier])
    next(folder.glob("*.jsonl")).unlink()
    assert await finished(service, folder, days(1)) == []
    assert is_right(folder, 1)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_query_that_was_cut_is_taken_from_an_earlier_batch_before_its_windows_run(
    service: Days, folder: Path, tmp_path: Path, lost: bool
) -> None:
    """Its windows are what costs; they run only where the file has gone meanwhile."""
    long, cut = [a_query(1, end="2020-01-03T00:00:00")], {"window": timedelta(days=1)}
    earlier = tmp_path / "earlier"
    await finished(service, earlier, long, **cut)
    before = len(service.accepted)
    assert before > 1
    (file,) = earlier.glob("*.jsonl")
    text = file.read_text()
    if lost:
        file.unlink()
    assert await finished(service, folder, long, reuse=[earlier], **cut) == []
    assert len(service.accepted) == (2 * before if lost else before)
    assert (folder / file.name).read_text() == text
    assert not (folder / ".parts").exists()


async def test_a_cut_query_whose_taken_over_file_is_lost_runs_its_windows(
    service: Days, folder: Path, tmp_path: Path
) -> None:
    """Asked whole it might be more than the service takes."""
    long, cut = [a_query(1, end="2020-01-03T00:00:00")], {"window": timedelta(days=1)}
    await finished(service, tmp_path / "earlier", long, **cut)
    before = len(service.accepted)
    await finished(service, folder, long, reuse=[tmp_path / "earlier"], **cut)
    (file,) = folder.glob("*.jsonl")
    file.unlink()
    assert await finished(service, folder, long) == []
    assert len(service.accepted) == 2 * before


@pytest.mark.parametrize("stage", ["planned", "saved"])
async def test_a_crash_while_a_cut_query_is_taken_over_leaves_it_to_its_windows(
    service: Days, folder: Path, stage: str
) -> None:
    """The next run may not name the earlier batch any more."""
    long = [a_query(1, end="2020-01-03T00:00:00")]
    async with a_batch(service, folder, long, window=timedelta(days=1)):
        pass
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute("UPDATE entries SET stage = ?, sha256 = 'abc', bytes = 3 WHERE parent IS NULL", (stage,))
    db.close()
    assert await finished(service, folder) == []
    (row,) = BatchFolder(folder).rows()
    assert row.attempts == row.windows == len(service.accepted) > 1


async def test_only_batches_written_alike_are_taken_from(service: Days, folder: Path, tmp_path: Path) -> None:
    """A CSV file is no JSON Lines file, whatever it is called."""
    await finished(service, tmp_path / "earlier", days(1), format="csv")
    with pytest.raises(InvalidInput, match="reuse"):
        await finished(service, folder, days(1), reuse=[tmp_path / "earlier"])


# Failures --------------------------------------------------------------------------------------------------------


async def test_a_query_that_fails_stops_no_other(service: Days, folder: Path) -> None:
    """One bad night in a year must not cost the year."""

    async def fail_the_second(request: web.Request) -> web.Response | None:
        request_id = request.path.rpartition("/")[2]
        if service.day(request_id) != 2:
            return None
        service.fails_with = "the disk is on fire"
        try:
            return await Scripted.status(service, request)
        finally:
            service.fails_with = None

    service.on("status", fail_the_second)
    async with a_batch(service, folder, days(4)) as batch:
        status = await batch.finish(at_once=2)
        assert (status.done, status.counts[Stage.FAILED]) == (3, 1)
        (row,) = status.failures
        assert row.start == "2020-01-02T00:00:00" and "on fire" in (row.reason or "")
        assert "on fire" in await batch.report()
        assert [entry async for entry in batch.run()] == [], "a failure is final until a retry"

    service.scripts.clear()
    async with a_batch(service, folder, days(4)) as batch:
        assert (await batch.finish()).done == 3
        assert await batch.retry() == 1
        assert (await batch.finish()).is_complete
    assert is_right(folder, 4)
    assert service.doubled == [2]


async def test_a_query_that_the_service_refuses_has_failed(service: Days, folder: Path) -> None:
    """It was not accepted, and asking again would not change that."""
    service.on("submit", times(1, lambda: error(400, "BadQuery", "no such program")))
    async with a_batch(service, folder, days(3)) as batch:
        status = await batch.finish(at_once=1)
    assert (status.done, [row.reason for row in status.failures]) == (
        2,
        ["query: the service refused it: no such program"],
    )


async def test_the_answer_of_a_submission_is_lost_and_nothing_else(service: Days, folder: Path) -> None:
    """The service has the query then: sending it again would make a second search."""
    lost = 0

    async def take_and_hang_up(request: web.Request) -> web.StreamResponse | None:
        nonlocal lost
        lost += 1
        if lost % 2 == 0:
            return None
        await service.submit(request)
        return await hang_up(request)

    service.on("submit", take_and_hang_up)
    assert await finished(service, folder, days(6)) == []
    assert not service.doubled and is_right(folder, 6)


async def test_a_submission_of_which_nobody_knows_whether_it_arrived_is_not_forgotten(
    service: Days, folder: Path
) -> None:
    """Neither given up for failed, with the identifier, nor sent under another one."""

    async def take_and_talk_nonsense(request: web.Request) -> web.StreamResponse:
        await service.submit(request)
        return web.Response(text="<html>Log in to the hotel's network</html>", content_type="text/html")

    async def nonsense(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Log in to the hotel's network</html>", content_type="text/html")

    service.on("submit", take_and_talk_nonsense)
    service.on("status", nonsense)
    async with a_batch(service, folder, days(2)) as batch:
        status = await batch.finish()
    assert status.counts == {Stage.INTENDED: 2}
    service.scripts.clear()
    assert await finished(service, folder, days(2)) == []
    assert not service.doubled and is_right(folder, 2)


@pytest.mark.parametrize("stage", ["intended", "submitted"])
async def test_a_result_that_has_expired_since_is_searched_for_again(service: Days, folder: Path, stage: str) -> None:
    """Between two runs may lie weeks."""
    async with client_of(service) as client:
        batch = client.batch(folder, days(2))
        async with batch:
            service.takes_s = 60
            stopped = asyncio.create_task(batch.finish())
            while len(service.accepted) < 2:
                await asyncio.sleep(0.01)
            batch.stop()
            assert (await stopped).counts == {Stage.SUBMITTED: 2}
    service.takes_s = 0
    service.expired.update(service.requests)
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute("UPDATE entries SET stage = ?", (stage,))
    db.close()
    assert await finished(service, folder) == []
    assert is_right(folder, 2)
    assert sorted(service.accepted) == [1, 1, 2, 2]


async def test_stopping_while_a_result_turns_out_to_be_gone_parks_it(service: Days, folder: Path) -> None:
    """It is to be searched for again, which a run that stops does not begin any more: that is no failure."""
    service.takes_s = 60
    async with a_batch(service, folder, days(1)) as batch:
        run = asyncio.create_task(batch.finish())
        while not service.accepted:
            await asyncio.sleep(0.005)
        batch.stop()
        await run
    service.takes_s = 0
    async with a_batch(service, folder) as batch:

        async def gone(request: web.Request) -> web.StreamResponse:
            batch.stop()
            return error(404, "NotFound", "gone")

        service.on("data", gone)
        assert (await batch.finish()).counts == {Stage.SUBMITTED: 1}
    service.scripts.clear()
    assert await finished(service, folder) == []


async def test_a_result_that_is_gone_right_away_has_failed(service: Days, folder: Path) -> None:
    """A service that loses everything must not be asked for ever."""

    async def gone(request: web.Request) -> web.StreamResponse:
        return error(404, "NotFound", "gone")

    service.on("data", gone)
    async with a_batch(service, folder, days(1)) as batch:
        status = await batch.finish()
    assert status.counts == {Stage.FAILED: 1}
    assert service.accepted == [1]


async def test_a_service_that_is_away_for_a_while_is_waited_for(service: Days, folder: Path) -> None:
    """A restart of the service is no failure of the queries."""
    service.on("submit", times(20, lambda: error(500, "Other", "restarting")))
    service.on("data", times(8, lambda: error(503, "Other", "restarting")))
    assert await finished(service, folder, days(4)) == []
    assert not service.doubled and is_right(folder, 4)


@pytest.mark.parametrize("count", [2, 30])
@pytest.mark.parametrize("how", ["closed", "gateway"])
async def test_a_service_that_is_away_ends_the_run_early(service: Days, folder: Path, count: int, how: str) -> None:
    """Ten thousand queries need not each find out that nobody is there; and all are still to do."""
    if how == "gateway":
        service.on("submit", times(1 << 30, lambda: error(502, "Other", "no route")))
        expected: type[AuroraError] = ServerError
    else:
        async with serving(Scripted()) as gone:
            service.base_url = gone.base_url
        expected = ConnectionFailed
    async with a_batch(service, folder, days(count)) as batch:
        with pytest.raises(expected):
            await batch.finish(at_once=5)
        status = await batch.status()
    assert status.done == 0 and not any(stage.is_over for stage in status.counts)
    assert status.waiting and status.waiting[0].reason
    assert service.count("POST", "/search") <= 3 * 3 * 10
    assert not (folder / ".parts").exists() or not any((folder / ".parts").iterdir())
    if how == "gateway":
        service.scripts.clear()
        assert await finished(service, folder) == []


async def test_a_key_that_is_refused_ends_the_run(service: Days, folder: Path) -> None:
    """It is the same for every query."""
    service.on("submit", times(1 << 30, lambda: error(401, "NotAuthorized", "who are you?")))
    async with a_batch(service, folder, days(20)) as batch:
        with pytest.raises(Unauthorized):
            await batch.finish(at_once=2)
    assert service.count("POST", "/search") <= 4


# Stopping and cancelling -----------------------------------------------------------------------------------------


async def test_stopping_parks_what_is_waited_for(service: Days, folder: Path) -> None:
    """SIGINT once: nothing new, and what the service works on is asked for by the next run."""
    service.takes_s = 60
    async with a_batch(service, folder, days(8)) as batch:
        run = asyncio.create_task(batch.finish(at_once=3))
        while len(service.accepted) < 3:
            await asyncio.sleep(0.005)
        batch.stop()
        async with asyncio.timeout(10):
            status = await run
    assert status.counts == {Stage.SUBMITTED: 3, Stage.PLANNED: 5}
    assert service.cancelled == [], "they go on on the service"
    service.takes_s = 0
    assert await finished(service, folder) == []
    assert not service.doubled and is_right(folder, 8)


async def test_stopping_lets_a_transfer_end(service: Days, folder: Path) -> None:
    """A gigabyte that is nearly here is not thrown away."""
    fetching, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(request: web.Request) -> None:
        fetching.set()
        await go_on.wait()

    service.on("data", slowly)
    async with a_batch(service, folder, days(8)) as batch:
        run = asyncio.create_task(batch.finish(at_once=2))
        await fetching.wait()
        batch.stop()
        await asyncio.sleep(0)
        go_on.set()
        status = await run
    assert status.done >= 1 and status.done + status.counts.get(Stage.SUBMITTED, 0) <= 2
    assert len(service.accepted) <= 2


async def test_stopping_does_not_wait_for_a_submission_that_hangs(service: Days, folder: Path) -> None:
    """Whether it arrived is asked by the next run."""
    hung = asyncio.Event()

    async def take_and_hang(request: web.Request) -> web.StreamResponse:
        await service.submit(request)
        hung.set()
        await asyncio.sleep(60)
        raise AssertionError

    service.on("submit", take_and_hang)
    timeouts = Timeouts(connect_s=2, read_s=30, cancel_s=0.1)
    async with client_of(service, timeouts=timeouts) as client, client.batch(folder, days(3)) as batch:
        run = asyncio.create_task(batch.finish(at_once=1))
        await hung.wait()
        batch.stop()
        async with asyncio.timeout(10):
            assert (await run).counts == {Stage.INTENDED: 1, Stage.PLANNED: 2}
    service.scripts.clear()
    assert await finished(service, folder) == []
    assert not service.doubled


async def test_a_run_that_is_left_in_the_middle_is_over(service: Days, folder: Path) -> None:
    """`break` needs no care: nothing goes on behind the back of who left."""
    async with a_batch(service, folder, days(9)) as batch:
        async for entry in batch.run(at_once=2):
            assert entry.stage is Stage.DONE
            break
    before = len(service.accepted)
    await asyncio.sleep(0.05)
    assert len(service.accepted) == before < 9
    assert await finished(service, folder) == []
    assert not service.doubled and is_right(folder, 9)


async def test_one_run_at_a_time(service: Days, folder: Path) -> None:
    """Two in one process would be a mistake; two processes are not."""
    async with a_batch(service, folder, days(3)) as batch:
        async for _ in batch.run(at_once=1):
            with pytest.raises(RuntimeError, match="running already"):
                await batch.finish()


async def test_cancelling_gives_up_here_and_there(service: Days, folder: Path) -> None:
    """Whoever cancels does not want the service to work on."""
    service.takes_s = 60
    async with a_batch(service, folder, days(5)) as batch:
        run = asyncio.create_task(batch.finish(at_once=3))
        while len(service.accepted) < 3:
            await asyncio.sleep(0.005)
        batch.stop()
        await run
        assert await batch.cancel() == 3
        assert (await batch.status()).counts == {Stage.CANCELLED: 5}
        assert [entry async for entry in batch.run()] == []
    assert sorted(service.cancelled) == sorted(service.requests)
    assert json.loads((folder / "manifest.json").read_text())["queries"][0]["phase"] == "cancelled"
    service.takes_s = 0
    async with a_batch(service, folder) as batch:
        assert await batch.retry() == 5
        assert (await batch.finish()).is_complete
    assert is_right(folder, 5)


async def test_cancelling_ends_a_run_that_is_on(service: Days, folder: Path) -> None:
    """Also from another task."""
    service.takes_s = 60
    async with a_batch(service, folder, days(5)) as batch:
        run = asyncio.create_task(batch.finish(at_once=3))
        while (await batch.status()).counts.get(Stage.SUBMITTED) != 3:  # until then, one may be cancelled twice
            await asyncio.sleep(0.005)
        assert await batch.cancel() == 3
        async with asyncio.timeout(10):
            status = await run
    assert status.counts == {Stage.CANCELLED: 5}
    assert len(service.cancelled) == 3


async def test_a_query_on_its_way_while_another_process_cancels_does_not_go_on_there(
    service: Days, folder: Path
) -> None:
    """The service does not know it yet when it is told to give it up; whoever gets the answer tells it again."""
    service.takes_s = 60
    arrived, let_in = asyncio.Event(), asyncio.Event()

    async def wait(_: web.Request) -> None:
        arrived.set()
        await let_in.wait()

    service.on("submit", wait)
    async with a_batch(service, folder, days(1)) as one, a_batch(service, folder) as other:
        run = asyncio.create_task(one.finish())
        await arrived.wait()
        await other.cancel()
        assert service.cancelled == []
        let_in.set()
        async with asyncio.timeout(20):
            assert (await run).counts == {Stage.CANCELLED: 1}
    assert service.cancelled == list(service.requests)


async def test_a_query_on_its_way_that_another_took_over_is_left_to_him(service: Days, folder: Path) -> None:
    """A lease may be lost without anybody wanting the query given up."""
    service.takes_s = 60
    async with a_batch(service, folder, days(1)) as batch:
        journal = batch._open_journal

        async def take_over(request: web.Request) -> web.Response:
            await journal._run("UPDATE entries SET owner = 'elsewhere/1/0', lease_us = 9223372036854775807")
            return await service.submit(request)

        service.on("submit", take_over)
        run = asyncio.create_task(batch.finish())
        while not await journal.left():
            await asyncio.sleep(0.005)
        batch.stop()
        assert (await run).counts == {Stage.INTENDED: 1}
    assert len(service.requests) == 1 and service.cancelled == []


async def test_a_file_that_has_its_name_when_its_query_is_cancelled_counts(
    service: Days, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest says what is in the folder: the file is whole, and nobody looks for an orphan."""
    publish = LocalPlace.publish
    async with a_batch(service, folder, days(1)) as one, a_batch(service, folder) as other:

        async def cancelled_then(self: LocalPlace, *args: Any) -> bool:
            named = await publish(self, *args)
            await other.cancel()
            return named

        monkeypatch.setattr(LocalPlace, "publish", cancelled_then)
        assert (await one.finish()).is_complete
        assert await one.verify() == []
    assert is_right(folder, 1)


async def test_each_result_is_said_to_be_ready_once(service: Days, folder: Path) -> None:
    """Whoever waits for a request and whoever fetches its result are two, and it is one request."""
    told: Counter[EventKind] = Counter()
    async with client_of(service) as client, client.batch(folder, days(3)) as batch:
        with client.events.subscribe(lambda event: told.update([event.kind])):
            await batch.finish()
    assert told[EventKind.READY] == told[EventKind.DONE] == 3


# Crashes ---------------------------------------------------------------------------------------------------------


def as_a_crash_leaves(folder: Path, copy: Path) -> Path:
    """Copy the folder of a batch that is running, as if its process had ended now."""
    shutil.copytree(folder, copy)
    with sqlite3.connect(copy / "journal.sqlite") as db:
        # A number that no process has: 4 Mi is the most that Linux gives.
        db.execute("UPDATE entries SET owner = ? WHERE owner IS NOT NULL", (f"{host()}/{4 << 20}/0",))
    db.close()
    return copy


async def test_a_crash_before_or_after_any_step_loses_and_doubles_nothing(
    service: Days, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder as it is at each step, gone on with: one search for each query, and the right files."""
    crashes: list[str] = []
    one_at_a_time = asyncio.Lock()
    is_afterwards = ContextVar("is_afterwards", default=False)

    async def crash(step: str) -> None:
        if is_afterwards.get():
            return
        async with one_at_a_time:
            token = is_afterwards.set(True)
            copy = as_a_crash_leaves(folder, tmp_path / f"crash{len(crashes)}")
            crashes.append(step)
            before = {entry.number: entry.request_id for entry in read_journal(copy / "journal.sqlite")[1]}
            assert await finished(service, copy) == [], step
            assert is_right(copy, 2), step
            after = read_journal(copy / "journal.sqlite")[1]
            assert all(entry.attempts == 1 and entry.request_id in service.requests for entry in after), step
            assert all(before[entry.number] in (None, entry.request_id) for entry in after), step
            is_afterwards.reset(token)

    def watch(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        async def stepped(*args: Any, **kwargs: Any) -> Any:
            await crash(f"before {name}")
            result = await real(*args, **kwargs)
            await crash(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, stepped)

    for name in ("take", "intend", "submitted", "saved", "done", "let_go"):
        watch(Journal, name)
    watch(LocalPlace, "publish")
    async with a_batch(service, folder, days(2)) as batch:
        monkeypatch.setattr(batch, "_collect", _hooked(batch._collect, crash))
        assert (await batch.finish(at_once=1)).is_complete
    assert is_right(folder, 2)
    assert len(set(crashes)) == 16 and len(crashes) >= 28


def _hooked(collect: Any, crash: Any) -> Any:
    async def collected(order: Any) -> Any:
        await crash("before collecting")
        saved = await collect(order)
        await crash("after collecting")
        return saved

    return collected


async def test_a_run_cancelled_at_any_moment_loses_and_doubles_nothing(service: Days, tmp_path: Path) -> None:
    """A cancellation may come between any two steps of the loop."""
    service.takes_s = 0.005
    moments, complete = 0, 0
    for steps in range(0, 260, 8):
        folder = tmp_path / f"after {steps}"
        before = len(service.accepted)

        async def run(folder: Path = folder) -> None:
            async with a_batch(service, folder, days(2)) as batch:
                await batch.finish(at_once=2)

        task = asyncio.create_task(run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        complete += not task.cancelled()
        moments += 1
        assert await finished(service, folder, days(2)) == []
        assert is_right(folder, 2)
        assert len(service.accepted) - before == 2, f"cancelled after {steps} steps"
    assert moments - complete > 10, "most of them came in time"


# The folder ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b"{}\n"), lambda path: path.write_bytes(b"")]
)
async def test_a_file_that_is_not_what_it_was_is_fetched_again(
    service: Days, folder: Path, damage: Callable[[Path], None]
) -> None:
    """Not searched for again: the service still has the result."""
    await finished(service, folder, days(3))
    damage(sorted(folder.glob("*.jsonl"))[1])
    assert len(BatchFolder(folder).verify()) == 1
    assert await finished(service, folder) == []
    assert is_right(folder, 3) and not service.doubled


async def test_verifying_reads_every_byte_and_asks_nobody(service: Days, folder: Path) -> None:
    """One bit in an archive, years later."""
    await finished(service, folder, days(3))
    first, second, third = sorted(folder.glob("*.jsonl"))
    first.write_bytes(first.read_bytes().replace(b"swarma", b"swarmb", 1))
    second.unlink()
    third.write_bytes(third.read_bytes() + b"\n")
    service.seen.clear()
    flaws = BatchFolder(folder).verify()
    assert [flaw.path for flaw in flaws] == [first.name, second.name, third.name]
    assert "SHA-256" in flaws[0].problem and flaws[1].problem == "is missing" and "bytes" in flaws[2].problem
    (folder / "journal.sqlite").unlink()
    assert BatchFolder(folder).verify() == flaws, "the manifest alone is enough"
    assert service.seen == []


async def test_the_manifest_says_what_became_of_each_query(service: Days, folder: Path) -> None:
    """It is what goes into a paper's supplement."""
    service.on("submit", times(1, lambda: error(400, "BadQuery", "no such program")))
    async with a_batch(
        service, folder, Plan(searches=tuple(PlannedSearch(query=one) for one in days(2)), name="nights")
    ) as batch:
        await batch.finish(at_once=1)
    document = json.loads((folder / "manifest.json").read_text())
    assert document["batch"] == {"format": "jsonl", "name": "nights", "service": service.base_url}
    failed, done = document["queries"]
    assert (failed["phase"], failed["reason"], failed["sha256"]) == (
        "failed",
        "query: the service refused it: no such program",
        None,
    )
    assert done | {"seconds": 0, "sha256": "", "key": "", "request_ids": [], "bytes": 0} == {
        "number": 2, "kind": "conjunctions", "start": "2020-01-02T00:00:00", "end": "2020-01-02T05:59:59",
        "phase": "done", "path": done["path"], "bytes": 0, "records": 3, "sha256": "", "seconds": 0, "attempts": 1,
        "windows": 0, "request_ids": [], "reason": None, "key": "",
    }  # fmt: skip
    assert done["request_ids"][0] in service.requests
    assert done["bytes"] == (folder / done["path"]).stat().st_size
    report = (folder / "report.md").read_text()
    assert report.startswith("# nights: over\n\n1 of 2 queries have their file: 3 records,")
    assert "no such program" in report


async def test_what_others_have_left_in_the_staging_folder_is_removed(service: Days, folder: Path) -> None:
    """Parts of a process that was killed, and no folder that somebody put there."""
    await finished(service, folder, days(1))
    (folder / ".parts").mkdir()
    for name in (".7.jsonl.abc.part", "7.jsonl", "manifest.json.abcd", "window-1.jsonl", "probe-1234"):
        (folder / ".parts" / name).write_text("half")
    assert await finished(service, folder, days(1)) == []
    assert is_right(folder, 1) and not (folder / ".parts").exists()
    (folder / ".parts" / "mine").mkdir(parents=True)
    assert await finished(service, folder, days(1)) == []
    assert (folder / ".parts" / "mine").is_dir()


async def test_a_folder_that_cannot_be_written_to_is_refused(service: Days, tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/aurora")):
        with pytest.raises((InvalidInput, TargetNotWritable), match=r"folder|cannot be"):
            await finished(service, folder, days(1))
    assert service.seen == []


async def test_a_full_disk_ends_the_run_and_nothing_is_lost(service: Days, folder: Path) -> None:
    """With space again the run goes on where it was."""
    big = [conjunction(1) | {"filler": "x" * 400_000}] * 3
    with small_disk(folder, "1m") as place:

        async def fill(request: web.Request) -> web.StreamResponse:
            return web.json_response({"result": big})

        service.on("data", fill)
        async with a_batch(service, place, days(6)) as batch:
            with pytest.raises(TargetNotWritable, match=r"space|full"):
                await batch.finish(at_once=2)
            assert (await batch.status()).done == 0
        assert list(place.glob("*.jsonl")) == []
        service.scripts.clear()
        assert await finished(service, place) == []
        assert not service.doubled and is_right(place, 6)


async def test_a_reader_sees_how_far_a_run_is(service: Days, folder: Path) -> None:
    """`batch status` in another terminal."""
    async with a_batch(service, folder, days(5)) as batch:
        seen = []
        async for _ in batch.run(at_once=1):
            seen.append(BatchFolder(folder).status().done)
    assert seen[-1] == 5 and all(count >= number for number, count in enumerate(seen, 1))


@pytest.mark.parametrize("what", ["status", "rows", "report", "verify", "facts"])
def test_a_folder_without_a_batch_is_said_to_be_none(tmp_path: Path, what: str) -> None:
    """A typing error in a path is the common case."""
    with pytest.raises(InvalidInput, match="is not the folder of a batch"):
        getattr(BatchFolder(tmp_path / "nowhere"), what)()
    assert not (tmp_path / "nowhere").exists()


# Several processes -----------------------------------------------------------------------------------------------


async def test_two_share_the_work_of_one_folder(service: Days, folder: Path) -> None:
    """Each query is done by one of them, and both know when all is done."""
    service.takes_s = 0.02

    async def run() -> int:
        async with a_batch(service, folder, days(20)) as batch:
            done = [entry async for entry in batch.run(at_once=3)]
            assert (await batch.status()).is_complete
            return len(done)

    counts = await asyncio.gather(run(), run())
    assert sum(counts) == 20 and min(counts) >= 1
    assert not service.doubled and is_right(folder, 20)


async def test_three_processes_share_the_work_of_one_folder(service: Days, folder: Path) -> None:
    """Real ones, which begin at the same time."""
    code = """
import asyncio, sys
from support.scripted import a_query, quick_config
from aurora_async import AuroraX
async def main():
    async with AuroraX(quick_config(sys.argv[1])) as client:
        async with client.batch(sys.argv[2], [a_query(day) for day in range(1, 25)]) as batch:
            status = await batch.finish(at_once=4)
            assert status.is_complete, status
            assert not await batch.verify()
asyncio.run(main())
"""
    service.takes_s = 0.05
    tests = str(Path(__file__).parents[1])
    environ = ENVIRON | {"PYTHONPATH": os.pathsep.join((tests, ENVIRON["PYTHONPATH"]))}
    command = [sys.executable, "-W", "error", "-c", code, service.base_url, str(folder)]
    processes = [await asyncio.create_subprocess_exec(*command, env=environ) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert not service.doubled and is_right(folder, 24)


async def test_two_who_cannot_finish_do_not_wait_for_each_other(service: Days, folder: Path) -> None:
    """Each would see what the other has given up for now as under way, for ever."""
    service.takes_s = 0.05

    async def fail_two(request: web.Request) -> web.Response | None:
        return error(500, "Internal", "no") if service.day(request.path.split("/")[-2]) < 3 else None

    async def run() -> int:
        async with a_batch(service, folder, days(4)) as batch:
            return (await batch.finish(at_once=1)).done

    service.on("data", fail_two)
    assert max(await asyncio.wait_for(asyncio.gather(run(), run()), 60)) == 2
    service.scripts.clear()
    assert await run() == 4
    assert not service.doubled and is_right(folder, 4)


async def test_a_merge_that_lost_everything_fetches_its_windows_again(service: Days, folder: Path) -> None:
    """A crash before the merged file had its name, and somebody who then tidied up."""
    whole = [a_query(1, end="2020-01-03")]
    await finished(service, folder, whole, window=timedelta(days=1))
    (merged,) = folder.glob("*.jsonl")
    content = merged.read_bytes()
    merged.unlink()
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute("UPDATE entries SET stage = 'saved' WHERE parent IS NULL")
    db.close()
    assert await finished(service, folder) == []
    assert merged.read_bytes() == content and len(service.accepted) == 3


async def test_a_process_killed_while_it_made_the_journal_stops_nobody(service: Days, folder: Path) -> None:
    """The file is there then, and nothing in it."""
    folder.mkdir()
    (folder / "journal.sqlite").touch()
    assert await finished(service, folder, days(1)) == []


async def test_what_another_took_over_is_left_to_him(service: Days, folder: Path, caplog: Any) -> None:
    """A laptop that slept for an hour finds its queries done by others."""
    service.takes_s = 0.2
    caplog.set_level(logging.ERROR)
    async with a_batch(service, folder, days(2)) as batch:
        run = asyncio.create_task(batch.finish())
        while len(service.accepted) < 2:
            await asyncio.sleep(0.005)
        await batch._open_journal._run("UPDATE entries SET owner = 'elsewhere/1/0', lease_us = 0")
        service.takes_s = 0
        assert (await run).is_complete
    assert not service.doubled and is_right(folder, 2)
    assert caplog.records == []
