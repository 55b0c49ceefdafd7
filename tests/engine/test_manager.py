"""Many requests at once: all of them end, in order of completion, and one failure is only one outcome."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.scripted import Scripted, a_query, client_of, error

from aurora_async import ConjunctionQuery, DataProductQuery, EphemerisQuery, Timeouts
from aurora_async.errors import ClientClosed, DeadlineExceeded, InvalidInput, InvalidQuery, RequestFailed

LONG_S = 60.0


async def test_every_query_has_one_outcome(scripted: Scripted) -> None:
    """Three hundred queries, thirty at a time: none lost, none doubled."""
    queries = [a_query(1 + number % 28) for number in range(300)]
    async with client_of(scripted) as client:
        outcomes = [outcome async for outcome in client.run(queries, at_once=30)]
    assert sorted(outcome.index for outcome in outcomes) == list(range(300))
    assert all(outcome.ok and len(outcome.records or []) == 3 for outcome in outcomes)
    assert len({outcome.request_id for outcome in outcomes}) == len(scripted.requests) == 300
    assert all(outcome.query is queries[outcome.index] for outcome in outcomes)


async def test_outcomes_come_in_order_of_completion(scripted: Scripted) -> None:
    """The fast one does not wait for the slow one before it."""
    scripted.takes = lambda query: 0.4 if query["start"].startswith("2020-01-01") else 0.0
    async with client_of(scripted) as client:
        outcomes = [outcome async for outcome in client.run([a_query(1), a_query(2)])]
    assert [outcome.index for outcome in outcomes] == [1, 0]
    assert outcomes[0].seconds < outcomes[1].seconds


async def test_no_more_than_at_once_are_under_way(scripted: Scripted) -> None:
    """The service is not flooded, however many queries there are."""
    scripted.takes_s = 0.05
    most = 0

    async with client_of(scripted) as client:
        async for outcome in client.run([a_query(1 + n % 28) for n in range(60)], at_once=7):
            assert outcome.ok
            most = max(most, client._open_engine.poller.watching)
    assert most <= 7


async def test_queries_are_taken_only_when_there_is_room(scripted: Scripted) -> None:
    """An endless generator is fine, and what has been taken is bounded by at_once."""
    taken = 0

    def endless() -> Iterator[ConjunctionQuery]:
        nonlocal taken
        while True:
            taken += 1
            yield a_query()

    async with client_of(scripted) as client, client.run(endless(), at_once=5) as run:
        async for _ in run:
            break
        await asyncio.sleep(0.05)
        assert taken <= 5 + 3  # one delivered, one in the feeder's hand


async def test_queries_may_come_asynchronously_and_of_any_kind(scripted: Scripted) -> None:
    """Conjunctions, ephemeris and data products in one run."""
    scripted.records = []

    async def queries() -> AsyncIterator[ConjunctionQuery | EphemerisQuery | DataProductQuery]:
        yield a_query()
        await asyncio.sleep(0)
        yield EphemerisQuery(start="2020-01-01", end="2020-01-01", programs="swarm")
        yield DataProductQuery(start="2020-01-01", end="2020-01-01", programs="trex")

    async with client_of(scripted) as client:
        outcomes = [outcome async for outcome in client.run(queries())]
    assert all(outcome.ok for outcome in outcomes)
    assert {path.split("/")[3] for _, path in scripted.seen} == {"conjunctions", "ephemeris", "data_products"}


async def test_a_query_that_waits_costs_no_task(scripted: Scripted) -> None:
    """Three hundred under way are three hundred entries of one timetable, and end like any other."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        before = len(ours())
        async with client.run([a_query(1 + n % 28) for n in range(300)], at_once=300) as run:
            first = asyncio.create_task(run.__anext__())
            poller = client._open_engine.poller
            async with asyncio.timeout(10):
                while poller.watching < 300:
                    await asyncio.sleep(0.005)
            assert len(ours()) <= before + 2 + 16 * 3  # the run, its reader, and who speaks to the service
            scripted.takes_s = 0.0
            assert (await first).ok
            assert sum([outcome.ok async for outcome in run]) == 299
        assert len(ours()) <= before + 1
    assert scripted.cancelled == []


def ours() -> set[asyncio.Task[object]]:
    """Tasks that are not the scripted service's."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}


async def test_queries_in_windows_do_not_keep_others_from_being_submitted(scripted: Scripted) -> None:
    """They are many requests each, and long under way: at_once counts them, the few who submit do not."""
    scripted.records = []
    scripted.takes = lambda query: LONG_S if query["start"].startswith("2020-0") else 0.0
    windowed = [EphemerisQuery(start="2020-01-01", end="2020-03-01", programs="swarm") for _ in range(40)]
    async with (
        client_of(scripted) as client,
        client.run([*windowed, a_query(), query_of_december()], at_once=50) as run,
    ):
        async with asyncio.timeout(10):
            outcome = await anext(run)
    assert outcome.index == 41
    assert outcome.ok


def query_of_december() -> ConjunctionQuery:
    """One that the scripted service answers at once."""
    return a_query(start="2020-12-01", end="2020-12-02")


async def test_a_bug_in_what_is_waited_for_ends_the_run_with_it(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no error of ours must not be an outcome, nor leave the reader without one."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        run = client.run([a_query(day) for day in range(1, 9)])

        async def broken(*args: object, **kwargs: object) -> None:
            raise ZeroDivisionError

        reading = asyncio.create_task(run.__anext__())
        while len(scripted.requests) < 8:
            await asyncio.sleep(0.001)
        monkeypatch.setattr(client._open_engine.session, "exchange", broken)
        with pytest.raises(ZeroDivisionError):
            await reading


async def test_failures_are_outcomes_and_the_rest_goes_on(scripted: Scripted) -> None:
    """Every third is refused; the others are there, and the error is the one a search would raise."""

    async def refuse_some(request: object) -> object:
        query = await request.json()  # type: ignore[attr-defined]
        refused = int(query["start"][8:10]) % 3 == 0
        return error(400, "AssertionError", "no such source") if refused else None

    scripted.on("submit", refuse_some)  # type: ignore[arg-type]
    async with client_of(scripted) as client:
        outcomes = [outcome async for outcome in client.run([a_query(day) for day in range(1, 13)])]
    failed = [outcome for outcome in outcomes if not outcome.ok]
    assert {outcome.query.start.day for outcome in failed} == {3, 6, 9, 12}
    assert all(isinstance(outcome.error, InvalidQuery) for outcome in failed)
    with pytest.raises(InvalidQuery, match="no such source"):
        failed[0].unwrap()


async def test_a_failed_search_keeps_its_identifier(scripted: Scripted) -> None:
    """Whoever reads the report must be able to look the request up."""
    scripted.fails_with = "out of memory"
    async with client_of(scripted) as client:
        (outcome,) = [outcome async for outcome in client.run([a_query()])]
    assert isinstance(outcome.error, RequestFailed)
    assert outcome.request_id in scripted.requests


async def test_a_deadline_is_for_each_query(scripted: Scripted) -> None:
    """One that hangs is an outcome, and stays alive on the service."""
    scripted.takes = lambda query: LONG_S if query["start"].startswith("2020-01-01") else 0.0
    async with client_of(scripted) as client:
        outcomes = {o.index: o async for o in client.run([a_query(1), a_query(2)], deadline_s=0.3)}
    assert isinstance(outcomes[0].error, DeadlineExceeded)
    assert outcomes[1].ok
    assert scripted.cancelled == []


async def test_results_go_to_files_of_their_own(scripted: Scripted, tmp_path: Path) -> None:
    """With a folder nothing is kept in memory, and each file is whole."""
    async with client_of(scripted) as client:
        run = client.run([a_query(day) for day in range(1, 9)], folder=tmp_path / "new")
        outcomes = [outcome.unwrap() async for outcome in run]
    files = {outcome.saved.path for outcome in outcomes if outcome.saved}
    assert files == set((tmp_path / "new").iterdir())
    assert len(files) == 8
    assert all(len(json.loads(file.read_text())) == 3 for file in files)
    assert all(outcome.records is None for outcome in outcomes)


async def test_two_results_never_take_the_same_file(scripted: Scripted, tmp_path: Path) -> None:
    """A naming function that repeats itself would lose a result: the second is refused before it is submitted."""
    async with client_of(scripted) as client:
        run = client.run([a_query(1), a_query(2)], folder=tmp_path, name=lambda index, query: "same.json")
        outcomes = sorted([outcome async for outcome in run], key=lambda outcome: outcome.ok)
    assert isinstance(outcomes[0].error, InvalidInput)
    assert outcomes[1].ok
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("name", ["../out.json", "/tmp/out.json", ""])
async def test_files_stay_inside_the_folder(scripted: Scripted, tmp_path: Path, name: str) -> None:
    """Whatever a name is made from."""
    async with client_of(scripted) as client:
        run = client.run([a_query()], folder=tmp_path / "inside", name=lambda index, query: name)
        (outcome,) = [outcome async for outcome in run]
    assert isinstance(outcome.error, InvalidInput)
    assert scripted.seen == []


@pytest.mark.parametrize("how", ["close", "break", "cancel"])
async def test_leaving_early_cancels_what_is_under_way(scripted: Scripted, how: str) -> None:
    """Closed, abandoned or cancelled: nothing runs on, here or on the service."""
    scripted.takes = lambda query: 0.0 if query["start"].startswith("2020-01-01") else LONG_S
    queries = [a_query(day) for day in range(1, 21)]
    async with client_of(scripted) as client:
        before = asyncio.all_tasks()

        async def consume() -> None:
            async for _ in client.run(queries, at_once=10):
                if how == "break":
                    break

        if how == "close":
            async with client.run(queries, at_once=10) as run:
                await anext(run)
                while len(scripted.requests) < 8:
                    await asyncio.sleep(0.001)
        else:
            task = asyncio.create_task(consume())
            while len(scripted.requests) < 8:
                await asyncio.sleep(0.001)
            if how == "cancel":
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            gc.collect()
        async with asyncio.timeout(3):
            while {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}:
                await asyncio.sleep(0.005)
        running = {key for key, query in scripted.queries.items() if not query["start"].startswith("2020-01-01")}
        assert running <= set(scripted.cancelled)


async def test_an_error_in_the_iterable_is_raised_after_what_was_begun(scripted: Scripted) -> None:
    """A bug of the caller's is not an outcome."""

    def broken() -> Iterator[ConjunctionQuery]:
        yield a_query()
        raise ZeroDivisionError

    async with client_of(scripted) as client:
        with pytest.raises(ZeroDivisionError):
            async for _ in client.run(broken()):
                pass


async def test_closing_the_client_ends_a_run_with_an_error(scripted: Scripted) -> None:
    """A run that cannot go on must not look as if it had been complete."""
    scripted.takes_s = LONG_S
    async with client_of(scripted) as client:
        run = client.run([a_query()])
        task = asyncio.create_task(run.__anext__())
        while not scripted.requests:
            await asyncio.sleep(0.001)
    with pytest.raises(ClientClosed):
        await task


@pytest.mark.parametrize("at_once", [0, -1, 1.5, True, "3"])
async def test_at_once_is_a_positive_whole_number(scripted: Scripted, at_once: int) -> None:
    """Refused before anything is taken from the queries."""
    async with client_of(scripted) as client:
        with pytest.raises(InvalidInput, match="at_once"):
            client.run([a_query()], at_once=at_once)


async def test_no_queries_no_outcomes(scripted: Scripted) -> None:
    """The empty run ends at once."""
    async with client_of(scripted) as client:
        assert [outcome async for outcome in client.run([])] == []


async def test_what_waits_is_called_off_at_once_though_a_submission_hangs(scripted: Scripted) -> None:
    """The one whose answer is still to come must not hold up the cancelling of all others."""
    scripted.takes_s = LONG_S
    hangs = asyncio.Event()

    async def hang(request: object) -> None:
        if len(scripted.requests) >= 9:
            hangs.set()
            await asyncio.sleep(LONG_S)

    scripted.on("submit", hang)
    async with client_of(scripted, timeouts=Timeouts(cancel_s=1)) as client:
        run = client.run([a_query(day) for day in range(1, 11)], at_once=10)
        task = asyncio.ensure_future(anext(run))
        await hangs.wait()
        while client._open_engine.poller.watching < 9:
            await asyncio.sleep(0.001)
        task.cancel()
        while len(scripted.cancelled) < 9:
            await asyncio.sleep(0.001)
        assert not task.done()
        await asyncio.wait([task])
