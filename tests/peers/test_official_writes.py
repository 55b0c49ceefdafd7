"""Data sources and records, added, changed and deleted with the official client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.peers

START = datetime(2020, 1, 1)
NAMES = {"program": "test-program", "platform": "test-platform", "instrument_type": "test-instrument"}
SCHEMA = [
    {"field_name": "state", "description": "what it did", "data_type": "string", "allowed_values": ["on", "off"],
     "additional_description": "", "searchable": True}
]  # fmt: skip


@pytest.fixture
def admin(with_key: Any, keys: dict[str, str]) -> Any:
    """The official client's object of an administrator."""
    return with_key(keys["Administrator"])


@pytest.fixture
def source(admin: Any, pyaurorax: Any) -> Iterator[Any]:
    """A data source of our own, removed with all it holds in the end."""
    search = admin.search
    wanted = pyaurorax.search.DataSource(
        **NAMES, source_type="ground", display_name="Test", ephemeris_metadata_schema=SCHEMA
    )
    added = search.sources.add(wanted)
    yield added
    search.ephemeris.delete(added, START - timedelta(days=3650), START + timedelta(days=3650))
    search.data_products.delete(added, START - timedelta(days=3650), START + timedelta(days=3650))
    assert search.sources.delete(added.identifier) == 0


def test_a_source_is_added_changed_and_removed(admin: Any, pyaurorax: Any) -> None:
    """The client shows what the service made of it; only what is named changes."""
    sources = admin.search.sources
    names = NAMES | {"platform": "short-lived"}
    added = sources.add(pyaurorax.search.DataSource(**names, source_type="leo", display_name="Test", identifier=990099))
    assert (added.identifier, added.metadata, added.maintainers) == (990099, {}, [])
    assert added.owner == "administrator@localhost"
    changed = sources.update(
        990099, display_name="Changed", metadata={"a": [1, 2]}, data_product_metadata_schema=SCHEMA
    )
    assert (changed.display_name, changed.metadata, changed.platform) == ("Changed", {"a": [1, 2]}, "short-lived")
    assert changed.data_product_metadata_schema == SCHEMA
    again = sources.update(990099, maintainers=["someone@example.org"])
    assert (again.maintainers, again.metadata) == (["someone@example.org"], {"a": [1, 2]})
    assert sources.delete(990099) == 0
    with pytest.raises(pyaurorax.AuroraXAPIError, match="No Data Source record found in AuroraX for identifier 990099"):
        sources.get_using_identifier(990099)


def test_duplicates_conflicts_and_strangers_are_told_apart(
    admin: Any, aurorax: Any, source: Any, pyaurorax: Any, with_key: Any, keys: dict[str, str]
) -> None:
    """Each refusal becomes the exception that the client has for it."""
    twin = pyaurorax.search.DataSource(**NAMES, source_type="ground", display_name="Twin")
    with pytest.raises(pyaurorax.AuroraXDuplicateError, match=r"^Duplicate - "):
        admin.search.sources.add(twin)
    with pytest.raises(pyaurorax.AuroraXConflictError, match=r"^Conflict - "):
        admin.search.sources.delete(3)
    with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^API error code 400: .*source_type"):
        admin.search.sources.update(source.identifier, source_type="moon")
    # One header for all objects of the client: the key of the last one is everybody's.
    stranger = with_key("no such key")
    for write in (
        lambda: stranger.search.sources.add(twin),
        lambda: stranger.search.sources.delete(source.identifier),
        lambda: stranger.search.ephemeris.upload(source.identifier, []),
        lambda: stranger.search.ephemeris.delete(source, START, START),
    ):
        with pytest.raises(pyaurorax.AuroraXUnauthorizedError):
            write()
    user = with_key(keys["User"])
    assert user.search.sources.update(source.identifier, display_name="Mine").display_name == "Test"
    with_key(keys["Administrator"])


def positions(pyaurorax: Any, source: Any, count: int) -> list[Any]:
    """Records of the first minutes of 2020."""
    place = pyaurorax.search.Location
    return [
        pyaurorax.search.EphemerisData(
            data_source=source,
            epoch=START + timedelta(minutes=minute),
            location_geo=place(51.05 + minute / 1000, -114.07),
            location_gsm=place(150.25, -75.5),
            nbtrace=place(56.35, -94.7),
            metadata={"state": "on", "minute": minute, "when": START},
        )
        for minute in range(count)
    ]


@pytest.mark.parametrize("count", [1, 1200])
def test_ephemeris_is_uploaded_found_and_deleted(admin: Any, source: Any, pyaurorax: Any, count: int) -> None:
    """In chunks of the client's own, to the last digit; afterwards there is nothing."""
    ephemeris = admin.search.ephemeris
    assert ephemeris.upload(source.identifier, positions(pyaurorax, source, count), validate_source=True) == 0

    def search() -> list[Any]:
        found: list[Any] = ephemeris.search(START, START + timedelta(days=1), programs=["test-program"]).data
        return sorted(found, key=lambda one: one.epoch)

    found = search()
    assert [one.epoch for one in found] == [START + timedelta(minutes=minute) for minute in range(count)]
    last = found[-1]
    assert (last.location_geo.lat, last.location_geo.lon) == (51.05 + (count - 1) / 1000, -114.07)
    assert (last.location_gsm.lat, last.sbtrace.lat, last.sbtrace.lon) == (29.75, None, None)
    assert last.metadata == {"state": "on", "minute": count - 1, "when": "2020-01-01T00:00:00.000000"}
    assert last.data_source.identifier == source.identifier
    counts = admin.search.availability.ephemeris(START.date(), START.date(), program="test-program")
    assert [one.available_ephemeris for one in counts] == [{"2020-01-01": count}]
    stats = admin.search.sources.get_using_identifier(source.identifier, include_stats=True).stats
    assert (stats.ephemeris_count, stats.earliest_ephemeris_loaded) == (count, START)
    with pytest.raises(pyaurorax.AuroraXConflictError):
        admin.search.sources.delete(source.identifier)
    assert ephemeris.delete(source, START, START + timedelta(days=1)) == 0
    assert search() == []


def test_a_wrong_upload_is_an_error_of_the_client(admin: Any, source: Any, pyaurorax: Any) -> None:
    """The list of what is wrong is shown as it came."""
    records = positions(pyaurorax, admin.search.sources.get("swarm", "swarma", "footprint"), 2)
    with pytest.raises(pyaurorax.AuroraXAPIError, match=r"^API error code 400: .*records\[1\]: program"):
        admin.search.ephemeris.upload(source.identifier, records)


def test_data_products_are_uploaded_found_and_deleted(admin: Any, source: Any, pyaurorax: Any) -> None:
    """By address, and by time and type, which the client turns into addresses."""
    products = admin.search.data_products
    records = [
        pyaurorax.search.DataProductData(
            data_source=source,
            data_product_type=kind,
            start=START + timedelta(hours=hour),
            end=START + timedelta(hours=hour, minutes=59),
            url=f"https://example.org/{kind}/{hour}.jpg",
            metadata={"keogram_type": "hourly"},
        )
        for kind in ("keogram", "movie")
        for hour in range(5)
    ]
    urls = [record.url for record in records]
    assert products.upload(source.identifier, records, chunk_size=2) == 0

    def found() -> set[str]:
        search = products.search(START, START + timedelta(days=1), programs=["test-program"])
        assert all(one.metadata == {"keogram_type": "hourly"} for one in search.data)
        return {one.url for one in search.data}

    assert found() == set(urls)
    assert products.delete_urls(source, urls[:2]) == 0
    assert found() == set(urls[2:])
    end = START + timedelta(hours=3)
    assert products.delete(source, START, end, data_product_types=["movie"]) == 0
    assert found() == {*urls[2:5], *urls[8:]}


def test_a_conjunction_with_records_of_ones_own(admin: Any, source: Any, pyaurorax: Any) -> None:
    """What was uploaded a moment ago is searched like everything else."""
    admin.search.ephemeris.upload(source.identifier, positions(pyaurorax, source, 420))
    search = admin.search.conjunctions.search(
        START, START + timedelta(hours=7), {"ground1-space1": 500},
        ground=[pyaurorax.search.GroundCriteriaBlock(programs=["test-program"])],
        space=[pyaurorax.search.SpaceCriteriaBlock(programs=["swarm"])],
    )  # fmt: skip
    # The records stand at the imager of Gillam all the time, which sees as much.
    imager = admin.search.conjunctions.search(
        START, START + timedelta(hours=7), {"ground1-space1": 500},
        ground=[pyaurorax.search.GroundCriteriaBlock(programs=["themis-asi"], platforms=["gillam"])],
        space=[pyaurorax.search.SpaceCriteriaBlock(programs=["swarm"])],
    )  # fmt: skip
    assert search.data
    met, met_by_imager = ({(one.start, one.data_sources[1].platform) for one in made.data} for made in (search, imager))
    assert met & met_by_imager


def test_maintenance_is_recognised(admin: Any, source: Any, pyaurorax: Any, base_url: str, keys: Any) -> None:
    """By the two words in the message; searches go on meanwhile."""
    import requests

    switch, headers = f"{base_url}/api/v1/utils/admin/maintenance", {"x-aurorax-api-key": keys["Administrator"]}
    assert requests.put(switch, json={"maintenance": True}, headers=headers, timeout=10).status_code == 200
    try:
        with pytest.raises(pyaurorax.AuroraXMaintenanceError, match="maintenance mode"):
            admin.search.ephemeris.upload(source.identifier, [])
        with pytest.raises(pyaurorax.AuroraXMaintenanceError):
            admin.search.sources.delete(source.identifier)
        with pytest.raises(pyaurorax.AuroraXMaintenanceError):
            admin.search.availability.ephemeris(START.date(), START.date(), program="swarm", slow=True)
        assert admin.search.ephemeris.search(START, START, programs=["swarm"], platforms=["swarma"]).data
    finally:
        requests.put(switch, json={"maintenance": False}, headers=headers, timeout=10)
