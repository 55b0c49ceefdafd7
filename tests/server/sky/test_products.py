"""Data products against the published counts and records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from aurora_async.server.data import data_sources
from aurora_async.server.sky.products import DAILY, HOURLY, count_products, product_days, products

_RGB = (96, 101, 102, 103, 104)


def _day(text: str) -> tuple[dt.datetime, dt.datetime]:
    day = dt.datetime.fromisoformat(text)
    return day, day.replace(hour=23, minute=59, second=59)


def test_the_counts_of_2022_come_out(fact: Callable[[str], Any]) -> None:
    """66 records of Fort Smith on a day, 1490 of all TREx sources in five days."""
    first, second = fact("published_data_products.json")["counts"][:2]
    start, end = (dt.datetime.fromisoformat(first[key]) for key in ("start", "end"))
    assert len(list(products(96, start, end))) == first["result_count"] == 66
    start, end = (dt.datetime.fromisoformat(second[key]) for key in ("start", "end"))
    trex = [source["identifier"] for source in data_sources() if source["program"] == "trex"]
    assert sum(len(list(products(i, start, end))) for i in trex) == second["result_count"] == 1490


def test_the_counts_since_2024_would_come_out_with_two_hourly_types(fact: Callable[[str], Any]) -> None:
    """164 and 820: the days and hours are right, the service lists fewer kinds now."""
    kinds = {("keogram", "hourly"), ("montage", "hourly")} | {(k.data_product_type, k.value) for k in DAILY}

    def count(start: dt.datetime, end: dt.datetime) -> int:
        return sum(
            (r["data_product_type"], r["metadata"][f"{r['data_product_type']}_type"]) in kinds
            for i in _RGB
            for r in products(i, start, end)
        )

    counts = fact("published_data_products.json")["counts"]
    assert count(*_day("2020-02-01")) == counts[2]["result_count"] == 164
    assert count(_day("2020-02-01")[0], _day("2020-02-05")[1]) == 820


def test_one_daily_keogram_for_each_station(fact: Callable[[str], Any]) -> None:
    """2021-01-01, keogram_type = daily: five, one a station."""
    expected = fact("published_data_products.json")["counts"][3]
    found = [
        identifier
        for identifier in _RGB
        for record in products(identifier, *_day("2021-01-01"))
        if record["metadata"].get("keogram_type") == "daily"
    ]
    assert found == expected["identifiers"]
    assert len(found) == expected["result_count"]


def test_printed_records_are_among_them(fact: Callable[[str], Any]) -> None:
    """Times, kind and address as printed; imaging within ten minutes of the printed times."""
    for printed in fact("published_data_products.json")["records"]:
        start, end = (dt.datetime.fromisoformat(printed[key]) for key in ("start", "end"))
        matches = [r for r in products(printed["data_source"], start, end) if r["url"] == printed["url"]]
        assert len(matches) == 1
        assert {k: matches[0][k] for k in ("start", "end", "data_product_type")} == {
            k: printed[k] for k in ("start", "end", "data_product_type")
        }
        metadata = matches[0]["metadata"]
        assert metadata["computed"] is True
        assert metadata["url_pattern"] == "published"
        if printed["metadata"] is None:
            continue
        assert metadata["keogram_type"] == printed["metadata"]["keogram_type"]
        for key in ("imaging_start_time", "imaging_end_time"):
            assert len(metadata[key]) == len(printed["metadata"][key])
            apart = dt.datetime.fromisoformat(metadata[key]) - dt.datetime.fromisoformat(printed["metadata"][key])
            assert abs(apart) <= dt.timedelta(minutes=10)


def test_records_lie_wholly_in_the_range() -> None:
    """start >= query start and end <= query end: a daily product is left out of half a day."""
    noon = dt.datetime(2020, 1, 1, 12)
    half = list(products(96, dt.datetime(2020, 1, 1), noon))
    assert {r["metadata"][f"{r['data_product_type']}_type"] for r in half} == {k.value for k in HOURLY}
    assert all(r["end"] <= noon.isoformat() for r in half)
    assert not list(products(96, dt.datetime(2020, 1, 1, 2, 1), dt.datetime(2020, 1, 1, 3, 58)))


@pytest.mark.parametrize("identifier", [*_RGB, 46, 3, 339, 999])
def test_counts_are_those_of_the_records(identifier: int) -> None:
    for text in ("2020-01-01", "2020-06-21", "2019-09-26", "2019-09-27", "2021-10-23"):
        assert count_products(identifier, dt.date.fromisoformat(text)) == len(list(products(identifier, *_day(text))))


def test_bounds_are_those_of_the_printed_statistics() -> None:
    """Gillam, March 2022: 2019-09-27 to 2021-10-22."""
    assert product_days(103) == (dt.date(2019, 9, 27), dt.date(2021, 10, 22))
    assert product_days(46) is None
    assert next(products(103, dt.datetime.min, dt.datetime.max))["start"].startswith("2019-09-27")
    *_, last = products(103, dt.datetime(2021, 10, 20), dt.datetime.max)
    assert last["start"].startswith("2021-10-22")


def test_aware_ends_are_understood() -> None:
    naive = list(products(96, *_day("2020-01-01")))
    assert naive == list(products(96, *(edge.replace(tzinfo=dt.UTC) for edge in _day("2020-01-01"))))
