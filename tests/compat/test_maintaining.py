"""Writing and administration, against the local service: sources, uploads, deletions, everybody's requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from aurora_async.compat import pyaurorax
from aurora_async.compat.pyaurorax.search import DataProductData, DataSource, EphemerisData, Location

START = datetime(2021, 3, 4)


@pytest.fixture
def as_role(environment: str, keys: dict[str, str]) -> Callable[[str], pyaurorax.PyAuroraX]:
    """Makes the object of somebody with a role."""
    return lambda role: pyaurorax.PyAuroraX(api_key=keys[role])


@pytest.fixture
def owner(as_role: Callable[[str], pyaurorax.PyAuroraX]) -> pyaurorax.PyAuroraX:
    """Who may create data sources."""
    return as_role("Owner")


SCHEMA = [{"field_name": "quality", "description": "how good", "data_type": "int", "allowed_values": []}]


def a_source(name: str) -> DataSource:
    """A data source that does not exist yet."""
    return DataSource(
        program="compat-tests", platform=name, instrument_type="imager", source_type="ground", display_name=name,
        metadata={"altitude_km": 110}, ephemeris_metadata_schema=SCHEMA,
    )  # fmt: skip


def soon(found: Callable[[], int], count: int) -> None:
    """Wait until a search finds so many records: the service works on writes after it has accepted them."""
    until = time.monotonic() + 10
    while found() != count:
        assert time.monotonic() < until, f"{found()} records, not {count}"
        time.sleep(0.05)


def test_a_source_lives_from_add_to_delete(owner: pyaurorax.PyAuroraX) -> None:
    """Whole records come back from every verb, and a second one of the same names is refused."""
    sources = owner.search.sources
    added = sources.add(a_source("life"))
    assert added.identifier is not None
    assert (added.program, added.metadata, added.format) == ("compat-tests", {"altitude_km": 110}, "full_record")
    assert owner.search.metadata.get_ephemeris_schema(added.identifier) == SCHEMA
    with pytest.raises(pyaurorax.AuroraXDuplicateError, match=r"^Duplicate - "):
        sources.add(a_source("life"))
    updated = sources.update(added.identifier, display_name="renamed")
    assert (updated.display_name, updated.metadata) == ("renamed", {"altitude_km": 110})
    assert sources.delete(added.identifier) == 0
    with pytest.raises(pyaurorax.AuroraXNotFoundError, match="No matching data source found"):
        sources.get("compat-tests", "life", "imager")


@pytest.mark.parametrize("field", ["program", "display_name"])
def test_a_source_that_lacks_something_is_refused(owner: pyaurorax.PyAuroraX, field: str) -> None:
    """A ValueError, as of the original."""
    source = a_source("incomplete")
    setattr(source, field, None)
    with pytest.raises(ValueError, match=field):
        owner.search.sources.add(source)


def test_ephemeris_goes_in_and_out(owner: pyaurorax.PyAuroraX) -> None:
    """Uploaded, found as it was, and deleted; a source with records is not deleted."""
    source = owner.search.sources.add(a_source("ephemeris"))
    assert source.identifier is not None
    ephemeris = owner.search.ephemeris
    place = Location(51.05, -114.07)
    records = [
        EphemerisData(source, START + timedelta(minutes=minute), place, place, None, None, {"quality": minute})
        for minute in range(5)
    ]
    assert ephemeris.upload(source.identifier, records, validate_source=True, chunk_size=2) == 0

    def found() -> list[EphemerisData]:
        return ephemeris.search(START, START + timedelta(hours=1), programs=["compat-tests"], poll_interval=0.05).data

    soon(lambda: len(found()), 5)
    first = min(found(), key=lambda record: record.epoch)
    assert (first.epoch, first.metadata, vars(first.sbtrace)) == (START, {"quality": 0}, {"lat": None, "lon": None})
    assert first.location_geo is not None and first.location_geo.lat == pytest.approx(51.05)
    with pytest.raises(pyaurorax.AuroraXConflictError, match=r"^Conflict - "):
        owner.search.sources.delete(source.identifier)
    stranger = EphemerisData(DataSource(3, "swarm", "swarma", "footprint"), START)
    with pytest.raises(pyaurorax.AuroraXError, match=r"records\[1\]\.data_source"):
        ephemeris.upload(source.identifier, [records[0], stranger])

    assert ephemeris.delete(source, START, START + timedelta(hours=1)) == 0
    soon(lambda: len(found()), 0)
    assert owner.search.sources.delete(source.identifier) == 0


def test_data_products_go_in_and_out(owner: pyaurorax.PyAuroraX) -> None:
    """Deleted by URL, and by time and type."""
    source = owner.search.sources.add(a_source("products"))
    assert source.identifier is not None
    products = owner.search.data_products
    end = START + timedelta(hours=1)
    kinds = ["keogram", "keogram", "movie"]
    records = [
        DataProductData(source, kind, START, end, f"https://example.org/{number}.png", {"number": number})
        for number, kind in enumerate(kinds)
    ]
    assert products.upload(source.identifier, records) == 0

    def urls() -> list[str]:
        found = products.search(START, end, programs=["compat-tests"], poll_interval=0.05).data
        return sorted(record.url.rpartition("/")[2] for record in found)

    soon(lambda: len(urls()), 3)
    assert products.delete_urls(source, ["https://example.org/0.png"]) == 0
    soon(lambda: len(urls()), 2)
    assert products.delete(source, START, end, data_product_types=["keogram"]) == 0
    soon(lambda: len(urls()), 1)
    assert urls() == ["2.png"]
    assert products.delete(source, START, end) == 0
    soon(lambda: len(urls()), 0)
    assert owner.search.sources.delete(source.identifier) == 0


def test_writing_needs_the_role(as_role: Callable[[str], pyaurorax.PyAuroraX], aurorax: pyaurorax.PyAuroraX) -> None:
    """The original takes 403 for a success of uploads and deletions."""
    for somebody in (as_role("User"), aurorax):
        with pytest.raises(pyaurorax.AuroraXUnauthorizedError):
            somebody.search.sources.add(a_source("forbidden"))
        with pytest.raises(pyaurorax.AuroraXUnauthorizedError):
            somebody.search.ephemeris.delete(DataSource(3, "swarm", "swarma", "footprint"), START, START)
        with pytest.raises(pyaurorax.AuroraXUnauthorizedError):
            somebody.search.requests.list()


def test_administrators_see_and_remove_requests(as_role: Callable[[str], pyaurorax.PyAuroraX]) -> None:
    """By kind, and one of them."""
    administrator = as_role("Administrator")
    search = administrator.search.ephemeris.search(START, START, programs=["swarm"], poll_interval=0.05)
    requests = administrator.search.requests

    def listed() -> set[str]:
        found = requests.list(search_type="ephemeris", active=False)
        assert {request["search_type"] for request in found} <= {"ephemeris"}
        return {request["request_id"] for request in found}

    assert search.request_id in listed()
    assert requests.delete(search.request_id) == 0
    assert search.request_id not in listed()
    with pytest.raises(pyaurorax.AuroraXNotFoundError):
        requests.get_status(search.request_url)
