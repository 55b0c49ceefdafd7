"""Availability: counts of records by data source and day."""

from __future__ import annotations

from datetime import date

import pytest

from aurora_async import AuroraX, EphemerisQuery
from aurora_async.errors import InvalidInput


async def test_each_day_says_how_many_records_a_search_finds(client: AuroraX) -> None:
    """The counts are what a search gives, not an estimate of it."""
    (found,) = await client.availability.ephemeris("2020-01-01", "2020-01-03", program="swarm", platform="swarma")
    assert found.data_source.platform == "swarma"
    assert list(found.days) == [date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 3)]
    query = EphemerisQuery(start="2020-01-02", end="2020-01-02", programs="swarm", platforms="swarma")
    assert found.days[date(2020, 1, 2)] == len(await client.ephemeris.search(query))
    assert found.total == sum(found.days.values())


async def test_slow_counts_say_the_same_where_nothing_changes(client: AuroraX) -> None:
    """Two ways of counting."""
    fast = await client.availability.ephemeris("2020-01", "2020-01", platform="swarmb")
    assert fast == await client.availability.ephemeris("2020-01", "2020-01", platform="swarmb", slow=True)
    assert len(fast[0].days) == 31


async def test_data_products_can_be_counted_by_type(client: AuroraX) -> None:
    """All of them are at least those of one type."""
    everything = await client.availability.data_products("2020-01-01", "2020-01-02", program="trex")
    keograms = await client.availability.data_products(
        "2020-01-01", "2020-01-02", program="trex", data_product_type="keogram"
    )
    assert keograms
    assert sum(one.total for one in keograms) < sum(one.total for one in everything)


async def test_nonsense_is_refused_before_anything_is_sent() -> None:
    """Nobody listens at the address."""
    async with AuroraX(base_url="http://127.0.0.1:9") as client:
        for call, field in (
            (client.availability.ephemeris("2020-01-02", "2020-01-01"), "end"),
            (client.availability.ephemeris("yesterday"), "start"),
            (client.availability.ephemeris("2020", level="all"), "level"),  # type: ignore[arg-type]
            (client.availability.data_products("2020", data_product_type="painting"), "data_product_type"),
            (client.availability.data_products("2020", source_type="moon"), "source_type"),
        ):
            with pytest.raises(InvalidInput) as caught:
                await call
            assert caught.value.field == field
