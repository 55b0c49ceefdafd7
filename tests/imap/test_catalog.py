"""Queries answered whole: pages whose rows move, servers that fail at what is too much, versions ranked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.imap_catalog import TOO_MUCH, CatalogInMemory, Row, ranked, science_row

from aurora_async.errors import BadRequest, MalformedAnswer, ServerError
from aurora_async.http import Answer, Session
from aurora_async.imap import FileQuery, ImapConfig, QueryRefused
from aurora_async.imap.catalog import Catalog

CONFIG = ImapConfig(base_url="http://imap.example.org", api_key="k")
FIRST = datetime(2026, 1, 20, tzinfo=UTC)


def catalog_of(service: CatalogInMemory, page_rows: int = 5000) -> Catalog:
    """A catalogue that asks this service."""
    return Catalog(cast(Session, service), CONFIG, page_rows=page_rows)


async def found(service: CatalogInMemory, query: FileQuery, page_rows: int = 5000) -> list[str]:
    """The keys that a query finds."""
    return [row.key for row in await catalog_of(service, page_rows).find(query)]


def key(row: Row) -> str:
    """Its key."""
    return str(row["file_path"])


def came(row: Row) -> datetime:
    """When the service got it."""
    return datetime.strptime(row["ingestion_date"], "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)


@st.composite
def archives(draw: st.DrawFn) -> list[Row]:
    """Files of a few days in several versions, come within six weeks, often several on one day."""
    keys = draw(
        st.lists(
            st.tuples(st.integers(1, 5), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=25, unique=True
        )
    )
    return [
        science_row(
            day,
            minor,
            major=major,
            came=f"{FIRST + timedelta(days=draw(st.integers(0, 40)), hours=draw(st.integers(0, 23))):%Y%m%d %H:%M:%S}",
        )
        for day, major, minor in keys
    ]


moments = st.none() | st.builds(
    lambda days, hours: FIRST + timedelta(days=days, hours=hours), st.integers(0, 40), st.sampled_from((0, 6, 12))
)


@settings(max_examples=100)
@given(
    rows=archives(),
    start=moments,
    end=moments,
    version=st.sampled_from((None, "latest", "v002", "v001.0002")),
    most_days=st.sampled_from((None, 300, 40, 12)),
    failing=st.sampled_from(TOO_MUCH),
    page_rows=st.sampled_from((2, 5, 5000)),
    has_pages=st.booleans(),
    ignored=st.sampled_from(((), ("offset",), ("offset", "limit"))),
)
async def test_a_query_in_pages_and_parts_gives_what_the_whole_would(
    rows: list[Row],
    start: datetime | None,
    end: datetime | None,
    version: str | None,
    most_days: int | None,
    failing: int | str,
    page_rows: int,
    has_pages: bool,
    ignored: tuple[str, ...],
) -> None:
    """Whatever the service cannot do at once, its filters come first and then its rules for versions, over all rows."""
    if start is not None and end is not None and end < start:
        start, end = end, start
    service = CatalogInMemory(rows, most_days=most_days, failing=(failing,), has_pages=has_pages, ignored=ignored)
    query = FileQuery(
        instrument="mag", version=version, ingestion_start_date=start, ingestion_end_date=end, start_date="2026"
    )
    kept = [row for row in rows if (start is None or came(row) >= start) and (end is None or came(row) <= end)]
    if version == "v001.0002":
        expected = [row for row in kept if (row["major_version"], row["minor_version"]) == (1, 2)]
    else:
        if version == "v002":
            kept = [row for row in kept if row["minor_version"] == 2]
        expected = ranked(kept, latest=version == "latest")
    assert await found(service, query, page_rows) == sorted(map(key, expected))


@settings(max_examples=100)
@given(data=st.data(), page_rows=st.integers(2, 6))
async def test_rows_that_move_between_pages_are_neither_lost_nor_doubled(data: st.DataObject, page_rows: int) -> None:
    """Files come and go while the pages are turned; what was there all the time is told, and nothing twice."""
    numbers = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True))
    rows = [science_row(1, number) for number in numbers]
    stable = set(map(key, rows))
    ever = set(stable)

    def change(number: int) -> None:
        if number > 40:
            return  # an archive that changes faster than it is read can be read by nobody
        for number in data.draw(st.lists(st.integers(0, 60), max_size=3)):
            row = science_row(1, number)
            if row in service.rows:
                service.rows.remove(row)
                stable.discard(key(row))
            else:
                service.rows.append(row)
                ever.add(key(row))

    service = CatalogInMemory(rows, before_answer=change)
    told = [row.key async for row in catalog_of(service, page_rows).rows(FileQuery(major_version=1))]
    assert len(told) == len(set(told))
    assert stable <= set(told) <= ever


async def test_a_file_that_goes_away_between_two_pages_hides_no_other() -> None:
    """Without a row in common, the first row of the second page would be passed over in silence."""
    rows = [science_row(day) for day in range(1, 8)]

    def change(number: int) -> None:
        if number == 1:
            del service.rows[0]

    service = CatalogInMemory(rows[:], before_answer=change)
    assert await found(service, FileQuery(instrument="mag"), page_rows=3) == list(map(key, rows))
    assert [asked["offset"] for asked in service.asked] == ["0", "2", "1", "3", "5"]


async def test_a_small_answer_takes_one_exchange() -> None:
    """Paging costs nothing where nothing is to be turned."""
    service = CatalogInMemory([science_row()])
    await found(service, FileQuery(instrument="mag"))
    assert service.asked == [{"table": "science", "instrument": "mag", "offset": "0", "limit": "5000"}]


async def test_that_a_server_has_no_pages_is_found_out_once() -> None:
    """Older servers refuse offset and limit; what does not heed them tells all at once."""
    catalog = catalog_of(service := CatalogInMemory([science_row(day) for day in range(1, 9)], has_pages=False))
    for _ in range(3):
        assert len(await catalog.find(FileQuery(instrument="mag"))) == 8
    assert ["limit" in asked for asked in service.asked] == [True, False, False, False]


@pytest.mark.parametrize(("ignored", "page_rows"), [(("offset",), 5), (("offset", "limit"), 8), ((), 1)])
async def test_a_page_that_comes_again_and_again_is_no_page(ignored: tuple[str, ...], page_rows: int) -> None:
    """A server or a cache that does not look at the offset is asked for everything at once, and not for ever."""

    def refuse(number: int) -> None:
        assert number < 5

    service = CatalogInMemory(rows := [science_row(day) for day in range(1, 9)], ignored=ignored, before_answer=refuse)
    assert await found(service, FileQuery(instrument="mag"), page_rows) == list(map(key, rows))
    assert "limit" not in service.asked[-1]


async def test_what_comes_for_no_offset_but_the_first_is_no_page() -> None:
    """Nothing behind the first page, and always the same there."""

    class First(CatalogInMemory):
        async def exchange(self, method: str, url: str, **how: Any) -> Answer:
            assert len(self.asked) < 9
            answer = await super().exchange(method, url, **how)
            return attrs.evolve(answer, body=b"[]") if int(how["params"].get("offset", 0)) else answer

    service = First(rows := [science_row(day) for day in range(1, 9)])
    assert await found(service, FileQuery(instrument="mag"), page_rows=5) == list(map(key, rows))


async def test_an_answer_that_was_cut_is_asked_for_again() -> None:
    """By a proxy that ended it well all the same; a few times, since it may always be so."""
    service = CatalogInMemory([science_row()], cuts=2)
    assert await found(service, FileQuery(instrument="mag")) == [key(science_row())]
    service = CatalogInMemory([science_row()], cuts=3)
    with pytest.raises(MalformedAnswer, match="not JSON"):
        await found(service, FileQuery(instrument="mag"))
    assert len(service.asked) == 3


async def test_a_service_that_is_down_is_not_asked_day_by_day() -> None:
    """A question for the last day alone shows that no part would be answered, and the error is that of the whole."""
    service = CatalogInMemory([science_row()], most_days=0, failing=(504, 500))  # 500 first
    with pytest.raises(ServerError) as failure:
        await found(service, FileQuery(instrument="mag"))
    assert len(service.asked) == 2
    assert failure.value.status == 500
    with pytest.raises(ServerError):
        await found(service := CatalogInMemory([], most_days=0, failing=(504,)), FileQuery(start_date="2026"))
    assert len(service.asked) == 3
    with pytest.raises(ServerError):
        await found(service := CatalogInMemory([], most_days=0, failing=(502,)), FileQuery(instrument="mag"))
    assert [asked["limit"] for asked in service.asked] == ["5000", "5000", "500", "50", "5"]


async def test_versions_that_came_far_apart_are_ranked_together() -> None:
    """Each is the highest of the part it came in."""
    rows = [science_row(1, 1, major=1, came="20260101 12:00:00"), science_row(1, 1, major=2, came="20260210 12:00:00")]
    service = CatalogInMemory(rows, most_days=12)
    for query in (FileQuery(instrument="mag"), FileQuery(instrument="mag", version="latest")):
        assert await found(service, query) == [key(rows[1])]
        assert [row.key async for row in catalog_of(service).rows(query)] == [key(rows[1])]


async def test_a_version_that_comes_between_two_pages_takes_the_place_of_the_older_one() -> None:
    """The older one has been told by then: `rows` tells both, and `find` knows which is the latest."""
    rows = [science_row(day) for day in range(1, 6)]
    newer = science_row(3, 2)

    def change(number: int) -> None:
        if number == 1:
            service.rows.append(newer)

    latest = FileQuery(instrument="mag", version="latest")
    service = CatalogInMemory(rows[:], before_answer=change)
    told = [row.key async for row in catalog_of(service, 3).rows(latest)]
    assert sorted(told) == sorted(map(key, [*rows, newer]))
    service = CatalogInMemory(rows[:], before_answer=change)
    assert await found(service, latest, page_rows=3) == sorted(map(key, [*rows[:2], newer, *rows[3:]]))


@pytest.mark.parametrize("ingested", [None, "20260201"])
async def test_a_day_that_is_too_much_is_asked_for_by_instruments(ingested: str | None) -> None:
    """After a reprocessing everything is of one day, and that cannot be halved."""
    rows = [
        science_row(day) | {"instrument": one, "file_path": f"imap/{one}/{day}"}
        for one in ("mag", "swe", "hi")
        for day in range(1, 6)
    ]
    service = CatalogInMemory(rows, most_rows=5, has_pages=False)
    query = FileQuery(start_date="2026", ingestion_start_date=ingested, ingestion_end_date=ingested)
    assert await found(service, query) == sorted(map(key, rows))


async def test_a_day_of_one_instrument_that_is_too_much_comes_in_shorter_pages() -> None:
    """It has no other parts. How long a page can be is found out once."""
    rows = [science_row(1 + number % 30, number) for number in range(60)]
    service = CatalogInMemory(rows, most_rows=40, failing=(500,))
    day = FileQuery(instrument="mag", major_version=1, ingestion_start_date="20260201", ingestion_end_date="20260201")
    for query in (day, FileQuery(instrument="mag", major_version=1)):
        service.asked.clear()
        assert await found(service, query) == sorted(map(key, rows))
        limits = [asked["limit"] for asked in service.asked]
        assert limits.count("500") == limits.count("50") == 1
        assert limits[-10:] == ["5"] * 10


async def test_what_the_service_refuses_is_refused_in_its_own_words() -> None:
    """And nothing is divided: less of it would be refused as well."""

    class Refusing(CatalogInMemory):
        async def exchange(self, method: str, url: str, **how: Any) -> Answer:
            self.asked.append({})
            raise BadRequest(method, url, 400, None, "foo is not a valid query parameter for science table.")

    with pytest.raises(QueryRefused, match=r"refuses the query http://imap\S+: foo is not a valid"):
        await found(service := Refusing([]), FileQuery(instrument="mag"))
    assert len(service.asked) == 1


async def test_the_hours_of_a_day_are_looked_at_before_the_versions() -> None:
    """The service filters by day and ranks: a version of the evening would hide that of the noon, major ones too."""
    rows = [
        science_row(1, 1, major=0, came="20260201 12:00:00"),
        science_row(1, 0, major=1, came="20260201 20:00:00"),
    ]
    service = CatalogInMemory(rows)
    noon = FileQuery(instrument="mag", version="latest", ingestion_end_date="2026-02-01T13:00")
    assert await found(service, noon) == [key(rows[0])]


async def test_all_of_the_last_second_is_wanted() -> None:
    """The service tells whole seconds, and a partial text means its end."""
    service = CatalogInMemory([science_row(came="20260201 23:59:59")])
    for end in ("2026-02-01", "2026-02-01T23:59", datetime(2026, 2, 1, 23, 59, 59)):
        assert len(await found(service, FileQuery(instrument="mag", ingestion_end_date=end))) == 1
    assert not await found(service, FileQuery(instrument="mag", ingestion_end_date="2026-02-01T23:59:58"))


async def test_a_row_that_is_wrong_is_pointed_at() -> None:
    """In the page it is in."""
    service = CatalogInMemory([science_row(1), science_row(2) | {"ingestion_date": "2026-13-01 00:00:00"}])
    service.found = lambda asked: service.rows  # type: ignore[method-assign]
    with pytest.raises(MalformedAnswer, match=r"\$\[1\]\.ingestion_date: expected a time, got '2026-13-01"):
        await found(service, FileQuery(instrument="mag"))
