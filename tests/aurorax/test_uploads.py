"""Loading records into data sources and deleting them again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import numpy as np
import pytest
from aiohttp import web
from support.clients import ClientAs, held_open
from support.scripted import Scripted, client_of, error, serving

from aurora_async import AuroraX, DataProduct, DataProductQuery, DataSource, Ephemeris, EphemerisQuery, Location
from aurora_async.aurorax import ChunkOutcome, SchemaField, UploadFailed
from aurora_async.errors import BadRequest, Conflict, Forbidden, InvalidInput, Unauthorized

FIRST = datetime(2031, 5, 1, tzinfo=UTC)
STATE = SchemaField(field_name="state", description="", data_type="string", allowed_values=["definitive", "predicted"])
NAMES = {"program": "test-program", "platform": "test-platform", "instrument_type": "test-instrument"}
SOURCE = DataSource(
    identifier=7001,
    **NAMES,
    source_type="leo",
    display_name="Test",
    ephemeris_metadata_schema=[STATE],
    data_product_metadata_schema=[STATE],
)
PLACE = Location(lat=51.5, lon=-114.25)


def position(minute: int, **changes: Any) -> Ephemeris:
    return attrs.evolve(
        Ephemeris(
            data_source=SOURCE,
            epoch=FIRST + timedelta(minutes=minute),
            location_geo=PLACE,
            location_gsm=Location(lat=None, lon=None),
            nbtrace=PLACE,
            sbtrace=Location(lat=-60.0, lon=10.0),
            metadata={"state": "definitive"},
        ),
        **changes,
    )


def keogram(day: int, **changes: Any) -> DataProduct:
    start = FIRST + timedelta(days=day)
    return attrs.evolve(
        DataProduct(
            data_source=SOURCE,
            data_product_type="keogram",
            start=start,
            end=start + timedelta(hours=23, minutes=59),
            url=f"https://data.example.org/keogram-{day:03d}.jpg",
            metadata={"state": "predicted"},
        ),
        **changes,
    )


class Loader:
    """A service that takes in what it is sent, as slowly and as badly as a test wants."""

    def __init__(self) -> None:
        self.chunks: list[list[dict[str, Any]]] = []
        self.under_way = self.most = 0
        self.refuses = lambda chunk: None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(
                NAMES
                | {
                    "identifier": SOURCE.identifier,
                    "ephemeris_metadata_schema": [attrs.asdict(STATE)],
                    "data_product_metadata_schema": [],
                }
            )
        chunk = await request.json()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.01)
        self.under_way -= 1
        if (refusal := self.refuses(chunk)) is not None:
            return refusal
        self.chunks.append(chunk)
        return web.Response(status=202)

    @property
    def epochs(self) -> list[str]:
        return sorted(record["epoch"] for chunk in self.chunks for record in chunk)


@pytest.fixture
async def loader() -> Loader:
    """What the scripted service does with uploads."""
    return Loader()


@pytest.fixture
async def far(loader: Loader) -> AsyncIterator[AuroraX]:
    """A client of that service."""
    async with serving(Scripted()) as scripted:
        scripted.on("other", loader.answer)
        async with held_open(client_of(scripted)) as client:
            yield client


class TestChunks:
    """How records go out, seen by a service that only counts."""

    async def test_all_records_go_out_once_in_chunks_a_few_at_once(self, far: AuroraX, loader: Loader) -> None:
        """None is lost or doubled; no more exchanges at one moment than wanted, and not fewer."""
        told: list[ChunkOutcome] = []
        report = await far.ephemeris.upload(
            SOURCE, [position(m) for m in range(101)], chunk_size=10, at_once=3, on_chunk=told.append
        )
        assert report.records == len(loader.epochs) == len(set(loader.epochs)) == 101
        assert [(one.index, one.first, one.count) for one in report.chunks] == [
            (n, 10 * n, 10 if n < 10 else 1) for n in range(11)
        ]
        assert sorted(one.index for one in told) == list(range(11))
        assert loader.most == 3

    async def test_an_endless_iterator_is_read_no_faster_than_it_is_sent(self, far: AuroraX, loader: Loader) -> None:
        """Constant memory: at most the chunks under way and the one that waits are taken."""
        taken = 0

        def records() -> Iterator[Ephemeris]:
            nonlocal taken
            for minute in range(400):
                taken += 1
                assert taken <= sum(map(len, loader.chunks)) + 10 * (2 + 2)
                yield position(minute)

        report = await far.ephemeris.upload(SOURCE, records(), chunk_size=10, at_once=2)
        assert report.records == 400

    async def test_an_asynchronous_iterable_will_do_and_is_closed(self, far: AuroraX, loader: Loader) -> None:
        """Such as a search of another service."""
        closed = False

        async def records() -> AsyncIterator[Ephemeris]:
            nonlocal closed
            try:
                for minute in range(25):
                    yield position(minute)
                    await asyncio.sleep(0)
            finally:
                closed = True

        assert (await far.ephemeris.upload(SOURCE, records(), chunk_size=10)).records == 25
        assert closed

    async def test_a_generator_that_raises_ends_the_upload_with_a_report(self, far: AuroraX, loader: Loader) -> None:
        """What had begun is brought to its end and reported; the generator is closed, clean-up and all."""
        cleaned = False

        async def records() -> AsyncIterator[Ephemeris]:
            nonlocal cleaned
            try:
                for minute in range(55):
                    yield position(minute)
                raise LookupError("the file has a hole")
            finally:
                await asyncio.sleep(0.01)
                cleaned = True

        with pytest.raises(UploadFailed, match=r"50 records were accepted, then came LookupError") as caught:
            await far.ephemeris.upload(SOURCE, records(), chunk_size=10)
        assert isinstance(caught.value.__cause__, LookupError)
        assert caught.value.report.records == len(loader.epochs) == 50
        assert cleaned

    async def test_a_listener_that_raises_ends_it_likewise(self, far: AuroraX, loader: Loader) -> None:
        """Its error is told, and so is what became of each chunk; one that is to be awaited is refused."""

        def listen(outcome: ChunkOutcome) -> None:
            if outcome.index == 1:
                raise LookupError("no display")

        async def wait(outcome: ChunkOutcome) -> None: ...

        with pytest.raises(UploadFailed, match="no display") as caught:
            await far.ephemeris.upload(SOURCE, [position(m) for m in range(400)], chunk_size=10, on_chunk=listen)
        assert caught.value.report.records == len(loader.epochs) < 400
        with pytest.raises(InvalidInput, match="plain function"):
            await far.ephemeris.upload(SOURCE, [], on_chunk=wait)

    async def test_the_clean_up_of_a_generator_is_not_cut_by_a_refusal(self, far: AuroraX, loader: Loader) -> None:
        """It may have a connection to close."""
        loader.refuses = lambda chunk: error(401, "NotAuthenticated", "no key")
        cleaned = False

        async def records() -> AsyncIterator[Ephemeris]:
            nonlocal cleaned
            try:
                for minute in range(10_000):
                    yield position(minute)
            finally:
                await asyncio.sleep(0.01)
                cleaned = True

        with pytest.raises(UploadFailed):
            await far.ephemeris.upload(SOURCE, records(), chunk_size=10)
        assert cleaned

    async def test_a_refused_record_closes_the_generator_it_came_from(self, far: AuroraX, loader: Loader) -> None:
        """It may hold a file open."""
        closed = False

        async def records() -> AsyncIterator[Ephemeris]:
            nonlocal closed
            try:
                for minute in range(10_000):
                    yield position(minute, metadata={"state": "guess"})
            finally:
                closed = True

        with pytest.raises(UploadFailed):
            await far.ephemeris.upload(SOURCE, records(), chunk_size=10)
        assert closed

    async def test_nothing_to_send_sends_nothing(self, far: AuroraX, loader: Loader) -> None:
        """An empty report."""
        report = await far.ephemeris.upload(SOURCE, [])
        assert (report.chunks, report.records, loader.chunks) == ((), 0, [])

    async def test_refused_chunks_are_reported_and_the_others_go_on(self, far: AuroraX, loader: Loader) -> None:
        """The service's own words, chunk by chunk."""
        bad = position(15).epoch.strftime("%Y-%m-%dT%H:%M:00.000Z")

        def refuses(chunk: list[dict[str, Any]]) -> web.Response | None:
            if all(record["epoch"] != bad for record in chunk):
                return None
            return web.json_response([{"error_code": "Validation", "error_message": "no such state"}], status=400)

        loader.refuses = refuses
        with pytest.raises(UploadFailed, match=r"30 records were accepted; records 10 to 19 were not") as caught:
            await far.ephemeris.upload(SOURCE, [position(m) for m in range(40)], chunk_size=10)
        (failed,) = caught.value.report.failed
        assert (failed.index, failed.first, failed.count) == (1, 10, 10)
        assert isinstance(failed.error, BadRequest)
        assert "no such state" in str(failed.error)
        assert caught.value.report.records == len(loader.epochs) == 30

    async def test_what_stops_every_chunk_stops_the_upload(self, far: AuroraX, loader: Loader) -> None:
        """Without a key a million records would be refused one chunk at a time."""
        loader.refuses = lambda chunk: error(401, "NotAuthenticated", "no key")
        asked = 0

        def records() -> Iterator[Ephemeris]:
            nonlocal asked
            for minute in range(10_000):
                asked += 1
                yield position(minute)

        with pytest.raises(UploadFailed) as caught:
            await far.ephemeris.upload(SOURCE, records(), chunk_size=10, at_once=2)
        assert isinstance(caught.value.report.failed[0].error, Unauthorized)
        assert asked < 200

    async def test_a_service_that_stumbles_gets_the_chunk_again(self, far: AuroraX, loader: Loader) -> None:
        """Loading a record twice is loading it once."""
        stumbles = iter([True, False, True])
        loader.refuses = lambda chunk: error(503, "Unavailable", "busy") if next(stumbles, False) else None
        assert (await far.ephemeris.upload(SOURCE, [position(0), position(1)], chunk_size=1)).records == 2
        assert len(loader.epochs) == 2

    async def test_cancelled_in_the_middle_it_ends_at_once(self, far: AuroraX, loader: Loader) -> None:
        """And leaves no task behind, which the warnings of the loop would tell."""
        started = asyncio.Event()

        async def records() -> AsyncIterator[Ephemeris]:
            for minute in range(100_000):
                yield position(minute)
                if loader.chunks:
                    started.set()

        task = asyncio.create_task(far.ephemeris.upload(SOURCE, records(), chunk_size=10))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        count = len(loader.chunks)
        await asyncio.sleep(0.05)
        assert len(loader.chunks) <= count + 4  # those that the service had already


class TestChecks:
    """What is refused before it is sent, by its number."""

    @pytest.mark.parametrize(
        ("change", "field", "reason"),
        [
            ({"metadata": {"state": "guess"}}, "metadata.state", "not allowed"),
            ({"metadata": {"state": 1}}, "metadata.state", "not a text"),
            ({"metadata": None}, "metadata.state", "is missing"),
            ({"metadata": {"state": "definitive", "x": 1}}, "metadata.x", "not a field"),
            ({"epoch": FIRST + timedelta(seconds=30)}, "epoch", "whole minute"),
            ({"nbtrace": Location(lat=51.0, lon=None)}, "nbtrace", "only one"),
            ({"location_geo": Location(lat=91.0, lon=0.0)}, "location_geo.lat", "degrees from -90 to 90"),
            ({"data_source": attrs.evolve(SOURCE, platform="other")}, "data_source.platform", "not that of"),
            ({"data_source": None}, "data_source", "not a DataSource"),
            ({"epoch": "2020-01-01"}, "epoch", "not a datetime"),
            ({"metadata": ["definitive"]}, "metadata", "not a dictionary"),
        ],
    )
    async def test_ephemeris(
        self, far: AuroraX, loader: Loader, change: dict[str, Any], field: str, reason: str
    ) -> None:
        """One bad record in a list, and nothing at all is sent."""
        records = [position(0), position(1, **change), position(2)]
        with pytest.raises(InvalidInput, match=reason) as caught:
            await far.ephemeris.upload(SOURCE.identifier, records, chunk_size=1)
        assert caught.value.field == f"records[1].{field}"
        assert loader.chunks == []

    @pytest.mark.parametrize(
        ("change", "field", "reason"),
        [
            ({"data_product_type": "painting"}, "data_product_type", "is unknown; use one of keogram"),
            ({"url": " "}, "url", "not a URL"),
            ({"end": FIRST - timedelta(days=9)}, "end", "before the start"),
            ({"metadata": {"state": "predicted"}}, "metadata.state", "not a field"),
        ],
    )
    async def test_data_products(
        self, far: AuroraX, loader: Loader, change: dict[str, Any], field: str, reason: str
    ) -> None:
        """The schema of this source has no fields at all."""
        good = {"metadata": {}}
        records = [keogram(0, **good), keogram(1, **good | change)]
        with pytest.raises(InvalidInput, match=reason) as caught:
            await far.data_products.upload(SOURCE.identifier, records)
        assert caught.value.field == f"records[1].{field}"
        assert loader.chunks == []

    async def test_an_iterator_is_checked_as_it_goes(self, far: AuroraX, loader: Loader) -> None:
        """What was sent before is in the report; nothing comes after."""
        records = (position(m, metadata={"state": "guess" if m == 25 else "definitive"}) for m in range(10_000))
        with pytest.raises(UploadFailed) as caught:
            await far.ephemeris.upload(SOURCE, records, chunk_size=10, at_once=1)
        (failed,) = caught.value.report.failed
        assert isinstance(failed.error, InvalidInput)
        assert failed.error.field == "records[25].metadata.state"
        assert caught.value.report.records == len(loader.epochs) == 20

    async def test_without_validation_the_source_is_not_asked(self) -> None:
        """A data source whose names are known needs no exchange; the metadata are the service's to judge."""
        loader = Loader()
        async with serving(Scripted()) as scripted:
            scripted.on("other", loader.answer)
            async with client_of(scripted) as client:
                south = Location(lat=np.float32(-60), lon=np.float64(350))  # as it comes out of a data file
                record = position(0, metadata={"any": np.int64(1), "name": np.str_("x")}, sbtrace=south)
                await client.ephemeris.upload(SOURCE, [record], validate=False)
                assert [method for method, _ in scripted.seen] == ["POST"]
        ((sent,),) = loader.chunks
        assert sent == NAMES | {
            "epoch": "2031-05-01T00:00:00.000Z",
            "location_geo": {"lat": 51.5, "lon": -114.25},
            "location_gsm": {"lat": None, "lon": None},
            "nbtrace": {"lat": 51.5, "lon": -114.25},
            "sbtrace": {"lat": -60.0, "lon": -10.0},  # as the service describes longitudes
            "metadata": {"any": 1, "name": "x"},
        }

    async def test_nonsense_is_refused_before_anything_is_sent(self) -> None:
        """Nobody listens at the address."""
        async with AuroraX(base_url="http://127.0.0.1:9") as client:
            for call, field in (
                (client.ephemeris.upload(SOURCE, [], chunk_size=0, validate=False), "chunk_size"),
                (client.ephemeris.upload(SOURCE, [], at_once=True, validate=False), "at_once"),
                (client.ephemeris.upload("x", []), "identifier"),  # type: ignore[arg-type]
                (client.ephemeris.upload(SOURCE, 5, validate=False), "records"),  # type: ignore[arg-type]
                (client.data_products.delete_urls(SOURCE, 5), "urls"),  # type: ignore[arg-type]
                (client.ephemeris.delete(SOURCE, "2020-02", "2020-01"), "end"),
                (client.ephemeris.delete_job(SOURCE, ""), "job"),
                (client.data_products.delete_urls(SOURCE, "http://one"), "urls"),
                (client.data_products.delete_urls(SOURCE, ["http://one", ""]), "urls[1]"),
                (client.data_products.delete(SOURCE, "2020", "2020", data_product_types="x"), "data_product_types"),
            ):
                with pytest.raises(InvalidInput) as caught:
                    await call
                assert caught.value.field == field


class TestLocalService:
    """Loading and deleting for real."""

    @pytest.fixture
    async def owner(self, client_as: ClientAs) -> AsyncIterator[AuroraX]:
        """A client that asks as the owner of a data source of its own."""
        async with held_open(client_as("owner")) as client:
            yield client

    @pytest.fixture
    async def source(self, owner: AuroraX) -> DataSource:
        """A data source without records."""
        return await owner.sources.add(
            **NAMES,
            source_type="leo",
            display_name="Test",
            identifier=SOURCE.identifier,
            ephemeris_metadata_schema=[STATE],
            data_product_metadata_schema=[STATE],
        )

    async def test_ephemeris_is_found_once_loaded_and_not_once_deleted(
        self, owner: AuroraX, source: DataSource
    ) -> None:
        """What went in comes out, field by field; a range of it can be taken out again."""
        sent = [position(m) for m in range(60)]
        await owner.ephemeris.upload(source, sent, chunk_size=7)
        query = EphemerisQuery(start=FIRST, end=FIRST + timedelta(days=1), programs=NAMES["program"])
        found = await owner.ephemeris.search(query)
        plain = [attrs.evolve(record, data_source=SOURCE) for record in found]
        assert sorted(plain, key=lambda record: record.epoch) == sent
        with pytest.raises(Conflict):
            await owner.sources.delete(source.identifier)
        await owner.ephemeris.delete(source, FIRST, FIRST + timedelta(minutes=29))
        jobs = await owner.ephemeris.delete_jobs(source)
        assert jobs
        async with asyncio.timeout(20):
            while len(await owner.ephemeris.search(query)) > 30:
                await asyncio.sleep(0.05)
        left = await owner.ephemeris.search(query)
        assert min(record.epoch for record in left) == FIRST + timedelta(minutes=30)

    async def test_a_record_loaded_again_takes_the_place_of_the_first(self, owner: AuroraX, source: DataSource) -> None:
        """A record is its source and epoch, or its source and URL."""
        await owner.ephemeris.upload(source, [position(0)])
        await owner.ephemeris.upload(source, [position(0, metadata={"state": "predicted"})])
        query = EphemerisQuery(start=FIRST, end=FIRST, programs=NAMES["program"])
        (found,) = await owner.ephemeris.search(query)
        assert found.metadata == {"state": "predicted"}

    async def test_data_products_can_be_deleted_by_url_by_time_and_by_type(
        self, owner: AuroraX, source: DataSource
    ) -> None:
        """The service knows URLs alone; the rest is searched for."""
        sent = [keogram(day) for day in range(10)] + [
            keogram(day, data_product_type="movie", url=f"https://data.example.org/movie-{day}.mp4") for day in (3, 4)
        ]
        await owner.data_products.upload(source, sent, chunk_size=4)
        query = DataProductQuery(start=FIRST, end=FIRST + timedelta(days=30), programs=NAMES["program"])

        async def urls() -> set[str]:
            return {record.url for record in await owner.data_products.search(query)}

        everything = {record.url for record in sent}
        assert await urls() == everything
        await owner.data_products.delete_urls(source, [sent[0].url])
        assert await urls() == everything - {sent[0].url}
        gone = await owner.data_products.delete(source, FIRST + timedelta(days=2), FIRST + timedelta(days=6))
        assert set(gone) == {sent[day].url for day in (2, 3, 4, 5)} | {sent[10].url, sent[11].url}
        gone = await owner.data_products.delete(source, FIRST, FIRST + timedelta(days=99), data_product_types="movie")
        assert gone == []
        assert await urls() == {sent[day].url for day in (1, 6, 7, 8, 9)}

    @pytest.mark.parametrize(
        ("role", "refusal"), [(None, Unauthorized), ("user", Forbidden), ("maintainer", Forbidden)]
    )
    async def test_only_who_maintains_a_source_may_load(
        self, client_as: ClientAs, owner: AuroraX, source: DataSource, role: str | None, refusal: type[Exception]
    ) -> None:
        """A maintainer of other sources may not either."""
        async with client_as(role) as someone:
            with pytest.raises(UploadFailed) as caught:
                await someone.ephemeris.upload(source, [position(0)])
            assert isinstance(caught.value.report.failed[0].error, refusal)
            with pytest.raises(refusal):
                await someone.data_products.delete_urls(source, ["https://data.example.org/1"])
        await owner.sources.update(source.identifier, maintainers=["maintainer@example.org"])
        if role == "maintainer":
            async with client_as(role) as someone:
                assert (await someone.ephemeris.upload(source, [position(0)])).records == 1
