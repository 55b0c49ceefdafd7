"""Every verb of the asynchronous client, blocking, with the same name, arguments and text."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import aurora_async
from aurora_async import (
    ConjunctionQuery,
    DataProduct,
    Ephemeris,
    EphemerisQuery,
    GroundBlock,
    Location,
    Phase,
    SpaceBlock,
    aurorax,
    sync,
)
from aurora_async.aurorax import NoSuchSource, UploadFailed
from aurora_async.engine import Events, Request
from aurora_async.errors import InvalidInput, NotFound, Unauthorized
from aurora_async.sync import AuroraX
from aurora_async.transfer.tables import Records

QUERY = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")
PAIRS: list[tuple[type[Any], type[Any]]] = [
    (aurorax.AuroraX, sync.AuroraX),
    (aurorax.ConjunctionSearches, sync.ConjunctionSearches),
    (aurorax.EphemerisSearches, sync.EphemerisSearches),
    (aurorax.DataProductSearches, sync.DataProductSearches),
    (aurorax.Sources, sync.Sources),
    (aurorax.AvailabilityCounts, sync.AvailabilityCounts),
    (aurorax.Administration, sync.Administration),
    (Events, sync.Events),
    (Request, sync.Request),
]
# What is used inside the package, and what needs a loop of one's own.
INTERNAL = {
    *("submit_until", "begin", "answer", "service", "handle", "knows"),
    *("record_kind", "blocks", "collect", "save", "emit", "close"),
}
NEEDS_A_LOOP = {(Events, "stream")}
# What the facade takes and gives instead of what only a loop can use.
PLAIN = {
    "AsyncGenerator[RecordT, None]": "Generator[RecordT, None, None]",
    "AsyncGenerator[Any, None]": "Generator[Any, None, None]",
    "Iterable[Ephemeris] | AsyncIterable[Ephemeris]": "Iterable[RecordT]",
    "Iterable[DataProduct] | AsyncIterable[DataProduct]": "Iterable[RecordT]",
    "Iterable[Query] | AsyncIterable[Query]": "Iterable[Query]",
}


def verbs(kind: type[Any]) -> dict[str, Any]:
    """The public methods of a class."""
    return {
        name: value
        for name, value in inspect.getmembers(kind)
        if inspect.isfunction(value) and not name.startswith("_") and name not in INTERNAL
    }


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS, ids=lambda kind: kind.__qualname__)
def test_no_verb_is_missing_and_none_differs(asynchronous: type[Any], blocking: type[Any]) -> None:
    """Arguments, their kinds, defaults and types, and what is returned; none of them is a coroutine function."""
    theirs, ours = verbs(asynchronous), verbs(blocking)
    assert ours.keys() - {"close"} == {name for name in theirs if (asynchronous, name) not in NEEDS_A_LOOP}
    for name in ours.keys() - {"close"}:
        expected = str(inspect.signature(theirs[name]))
        for asynchronous_type, plain in PLAIN.items():
            expected = expected.replace(asynchronous_type, plain)
        assert str(inspect.signature(ours[name])) == expected, name
        assert ours[name].__doc__
        assert not inspect.iscoroutinefunction(ours[name])
        assert not inspect.isasyncgenfunction(ours[name])


def test_making_a_client_takes_the_same_arguments() -> None:
    """And the same attributes tell of it."""
    expected, found = (inspect.signature(kind.__init__) for kind in (aurorax.AuroraX, sync.AuroraX))
    assert found == expected
    client = AuroraX(base_url="http://127.0.0.1:9", api_key="secret")
    assert client.config.api_key == "secret"
    assert "secret" not in repr(client)


@pytest.mark.parametrize("name", ["fetch", "fetch_many"])
def test_functions_are_those_of_the_asynchronous_package(name: str) -> None:
    """The same arguments and text, and nothing to await."""
    theirs, ours = getattr(aurora_async, name), getattr(sync, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert ours.__doc__ == theirs.__doc__
    assert not inspect.iscoroutinefunction(ours)


def test_files_are_fetched_without_await(base_url: str, client: AuroraX, tmp_path: Path) -> None:
    """With and without a client."""
    url = f"{base_url}/_local/bytes/100"
    assert sync.fetch(url, tmp_path / "x").bytes == 100
    assert [one.ok for one in sync.fetch_many([url], tmp_path)] == [True]
    source = client.sources.find("trex", "gillam", "RGB ASI")
    now = datetime(2020, 1, 1, tzinfo=UTC)
    record = DataProduct(data_source=source, data_product_type="keogram", start=now, end=now, url=url)
    (got,) = client.data_products.fetch_files([record], tmp_path)
    assert got.fetched is not None
    assert got.fetched.path == tmp_path / "trex" / "gillam" / "RGB ASI" / "2020-01-01" / "100"


def test_a_search_in_every_form(client: AuroraX, tmp_path: Path) -> None:
    """Records, a stream of them, a file, a request."""
    records = client.ephemeris.search(QUERY)
    assert isinstance(records, Records)
    assert len(records) == 10
    assert list(client.ephemeris.stream(QUERY)) == records
    saved = client.ephemeris.download(QUERY, tmp_path / "x.json")
    assert saved.records == 10
    request = client.ephemeris.submit(QUERY)
    assert request.status is None
    assert request.wait().phase is Phase.READY
    assert request.status is not None
    assert (request.query, request.refresh().records) == (QUERY, 10)
    assert list(request.stream()) == request.records() == records
    assert request.download(tmp_path / "y.json").sha256 == saved.sha256
    resumed = client.ephemeris.resume(request.detach())
    assert resumed.request_id == request.request_id
    assert resumed.records() == records
    again = client.ephemeris.resubmit(request.request_id)
    again.cancel()
    assert again.request_id != request.request_id
    assert client.ephemeris.query(request.request_id) == QUERY
    assert client.ephemeris.logs(request.request_id, level="info")
    assert client.ephemeris.delete_result(request.request_id).phase is Phase.EXPIRED
    assert "swarma" in client.ephemeris.describe(QUERY)
    assert client.ephemeris.read(b'{"start": "2020", "end": "2020-01-02", "data_sources": {"programs": ["x"]}}')
    assert client.ephemeris.request_url("abc").endswith("/ephemeris/requests/abc")


def test_the_other_services(client: AuroraX) -> None:
    """One verb of each."""
    source = client.sources.find("swarm", "swarma", "footprint")
    assert source in client.sources.list(program="swarm")
    (found,) = client.availability.ephemeris("2020-01-01", "2020-01-01", platform="swarma")
    assert found.total == 1440
    query = ConjunctionQuery(
        start="2020-01-01",
        end="2020-01-01",
        ground=GroundBlock(programs="trex", instrument_types="RGB ASI"),
        space=SpaceBlock(platforms="swarma"),
        max_distance_km=500,
    )
    assert client.conjunctions.count_combinations(query) > 1
    assert client.conjunctions.page_url("a").endswith("requestID=a")
    assert client.to_utc("2020-01-01T12:00:00", "UTC") == datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert client.request("GET", "/api/v1/utils/timezones").json() == client.time_zones()


def test_errors_are_those_of_the_asynchronous_client(client: AuroraX) -> None:
    """The same classes, raised where the call was made."""
    with pytest.raises(NoSuchSource):
        client.sources.find("a", "b", "c")
    with pytest.raises(NotFound) as caught:
        client.ephemeris.status("nothing")
    assert caught.traceback[0].path == Path(__file__)
    with pytest.raises(Unauthorized):
        client.admin.accounts()
    with pytest.raises(InvalidInput):
        client.ephemeris.resume("")


def test_a_run_gives_outcomes_as_they_come(client: AuroraX) -> None:
    """An iterator that can be left in the middle; what is wrong with it is said at once."""
    days = [EphemerisQuery(start=f"2020-01-0{n}", end=f"2020-01-0{n}", platforms="swarma") for n in (1, 2, 3)]
    outcomes = list(client.run(days, at_once=2))
    assert sorted(one.index for one in outcomes) == [0, 1, 2]
    assert {len(one.records or ()) for one in outcomes} == {1440}
    with client.run(iter(days)) as run:
        assert next(run).ok
    with pytest.raises(StopIteration):
        next(run)
    with pytest.raises(InvalidInput):
        client.run(days, at_once=0)


def test_queries_and_records_may_come_from_blocking_calls(client: AuroraX) -> None:
    """The iterable is not run in the loop, which would wait for itself."""

    def queries() -> Any:
        for source in client.sources.list(program="swarm", instrument_type="footprint"):
            yield EphemerisQuery(start="2020-01-01", end="2020-01-01", platforms=source.platform or "")

    assert sum(one.ok for one in client.run(queries())) >= 3


def test_an_upload_takes_any_iterable(base_url: str) -> None:
    """A generator is read as it is sent; a refusal is reported chunk by chunk."""
    with AuroraX(base_url=base_url, api_key="key-owner") as owner:
        source = owner.sources.find("swarm", "swarma", "footprint")
        nowhere = Location(None, None)
        records = (
            Ephemeris(
                data_source=source,
                epoch=datetime(2031, 1, 1, tzinfo=UTC) + timedelta(minutes=minute),
                location_geo=nowhere, location_gsm=nowhere, nbtrace=nowhere, sbtrace=nowhere, metadata={},
            )
            for minute in range(10)
        )  # fmt: skip
        with pytest.raises(UploadFailed, match="is missing") as caught:
            owner.ephemeris.upload(source, records)
        assert caught.value.report.records == 0


def test_events_are_heard_inside_the_block(client: AuroraX) -> None:
    """For progress displays."""
    heard: list[str] = []
    with client.events.subscribe(lambda event: heard.append(event.kind.value)):
        client.ephemeris.submit(QUERY).records()
    count = len(heard)
    assert heard[0] == "submitted"
    assert heard[-1] == "done"
    client.ephemeris.submit(QUERY).records()
    assert len(heard) == count
