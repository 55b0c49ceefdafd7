"""The files behind data products: each where it belongs, fetched once, and asked for without credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.files import FileServer, content, serving_file

from aurora_async import AuroraX, DataProduct, DataSource, FetchedProduct, FetchOptions
from aurora_async.aurorax.files import places
from aurora_async.errors import InvalidInput, NotFound

DATA = content(50_000)


def product(url: str, *, day: int = 1, platform: str | None = "gillam", program: str = "trex") -> DataProduct:
    """A keogram."""
    source = DataSource(identifier=1, program=program, platform=platform, instrument_type="RGB ASI")
    start = datetime(2020, 1, day, tzinfo=UTC)
    return DataProduct(data_source=source, data_product_type="keogram", start=start, end=start, url=url)


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """Where files are, which is not where the service is."""
    async with serving_file(DATA) as running:
        yield running


def client_of(base_url: str = "http://127.0.0.1:9") -> AuroraX:
    """A client with a key."""
    return AuroraX(base_url=base_url, api_key="secret")


class TestPlaces:
    """Where files go."""

    def test_a_file_lies_by_source_and_day(self) -> None:
        """So that a folder can be looked through by people."""
        url = "https://data.example.org/deep/below/20200101_gill_keogram.jpg?x=1"
        assert places([product(url)]) == {url: "trex/gillam/RGB ASI/2020-01-01/20200101_gill_keogram.jpg"}
        assert places([product(url, platform=None)]) == {
            url: "trex/unknown/RGB ASI/2020-01-01/20200101_gill_keogram.jpg"
        }

    def test_names_of_servers_lead_nowhere_else(self) -> None:
        """Neither those of data sources nor those in URLs."""
        (place,) = places([product("https://x/..%2f..%2fy", platform="../..", program="/etc")]).values()
        assert place == "etc/unknown/RGB ASI/2020-01-01/y"

    def test_equal_names_do_not_meet(self) -> None:
        """In different folders they are as they were; in one they are told apart, the same way each time."""
        one, two, other = "https://x/a/k.png", "https://x/b/K.png", "https://x/c/k.png"
        found = places([product(one), product(two), product(other, day=2), product(one)])
        assert found == places([product(two), product(other, day=2), product(one)])
        assert found[other] == "trex/gillam/RGB ASI/2020-01-02/k.png"
        assert len({place.casefold() for place in found.values()}) == 3
        assert all(place.endswith(".png") for place in found.values())


async def test_every_record_has_its_file_and_every_file_is_fetched_once(server: FileServer, tmp_path: Path) -> None:
    """Several records may show one file; what came is told of each, in the order of the records."""
    urls = [server.url.replace("data.bin", f"{number}.jpg") for number in (0, 1, 0, 2)]
    records = [product(url, day=1 + number) for number, url in enumerate(urls)]
    told: list[FetchedProduct] = []
    sizes: dict[str, int] = {}
    async with client_of() as client:
        outcomes = await client.data_products.fetch_files(
            records, tmp_path, on_outcome=told.append, on_bytes=lambda url, there, of: sizes.update({url: there})
        )
        again = await client.data_products.fetch_files(records, tmp_path, options=FetchOptions(exists="skip"))
    assert [outcome.record for outcome in outcomes] == records
    assert sorted(outcome.index for outcome in told) == [0, 1, 2, 3]
    assert sizes == dict.fromkeys(urls, len(DATA))
    assert len(server.seen) == 3
    assert all(outcome.ok and outcome.fetched and outcome.fetched.path.read_bytes() == DATA for outcome in outcomes)
    assert outcomes[0].fetched == outcomes[2].fetched
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        f"trex/gillam/RGB ASI/2020-01-0{day}/{name}.jpg" for day, name in ((1, 0), (2, 1), (4, 2))
    ]
    assert all(outcome.fetched and outcome.fetched.was_there for outcome in again)


async def test_one_that_fails_does_not_stop_the_others(server: FileServer, tmp_path: Path) -> None:
    """Its outcome says why, also when its URL is none."""
    urls = [server.url, server.url.replace("data", "gone"), "no url"]
    server.status = lambda number: web.Response(status=404) if number == 1 else None
    async with client_of() as client:
        outcomes = await client.data_products.fetch_files(map(product, urls), tmp_path, at_once=1)
    assert [type(outcome.error) for outcome in outcomes] == [type(None), NotFound, InvalidInput]
    assert [outcome.ok for outcome in outcomes] == [True, False, False]


async def test_credentials_stay_with_the_service(server: FileServer, tmp_path: Path) -> None:
    """A URL in a record may lead anywhere; only the service's own origin is told the key."""
    async with serving_file(DATA) as home, client_of(home.url.removesuffix("/files/data.bin")) as client:
        await client.data_products.fetch_files([product(home.url), product(server.url)], tmp_path)
    assert [one.headers.get("x-aurorax-api-key") for one in home.seen] == ["secret"]
    assert "secret" not in str(server.seen)


@pytest.mark.parametrize("records", [[{"url": "https://x"}], ["https://x"]])
async def test_what_is_no_data_product_is_refused(tmp_path: Path, records: Any) -> None:
    """Such as the dictionaries of a search with a response format: where would they go?"""
    async with client_of() as client:
        with pytest.raises(InvalidInput, match=r"records\[0\]: .* is not a DataProduct"):
            await client.data_products.fetch_files(records, tmp_path)
