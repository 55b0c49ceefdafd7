"""Response formats: the official client's templates, and parts of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

pytestmark = pytest.mark.peers

PUBLISHED = (datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 6, 59, 59))
DAY = (datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 23, 59, 59))
TEN_MINUTES = (datetime(2020, 1, 1, 0, 0, 0), datetime(2020, 1, 1, 0, 9, 59))

KINDS = ("conjunctions", "ephemeris", "data_products")
BASIC = {"identifier", "program", "platform", "instrument_type", "source_type", "display_name"}


def run(aurorax: Any, kind: str, response_format: Any) -> Any:
    """Make a small search with a response format."""
    how = {"response_format": response_format, "poll_interval": 0.05}
    if kind == "conjunctions":
        blocks = {"ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}]}
        return aurorax.search.conjunctions.search(*PUBLISHED, 500, **blocks, **how)
    if kind == "ephemeris":
        return aurorax.search.ephemeris.search(*TEN_MINUTES, programs=["swarm"], **how)
    return aurorax.search.data_products.search(*DAY, programs=["trex"], platforms=["fort smith"], **how)


def holes(template: Any, record: Any, where: str = "$") -> list[str]:
    """Return where a record lacks what the template asks for, or has what it does not."""
    if isinstance(record, list):
        return [hole for index, item in enumerate(record) for hole in holes(template, item, f"{where}[{index}]")]
    if not isinstance(template, dict) or record is None:
        return []
    if not isinstance(record, dict):  # the client has made a location of it
        record = record.to_json_serializable()
    wrong = [f"{where}.{name}" for name in set(template) ^ set(record)]
    for name in set(template) & set(record):
        wrong += holes(template[name], record[name], f"{where}.{name}")
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_template_gives_every_field_it_names(aurorax: Any, kind: str) -> None:
    """`create_response_format_template()` is where users start: with all leaves true, all keys must be there."""
    template = getattr(aurorax.search, kind).create_response_format_template()
    records = run(aurorax, kind, template).data
    assert records
    assert sorted({hole for record in records for hole in holes(template, record)}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_of_false_gives_as_many_empty_records(aurorax: Any, kind: str) -> None:
    """The other way to use it: start from nothing, and switch on what is wanted."""
    template = getattr(aurorax.search, kind).create_response_format_template(default=False)
    search = run(aurorax, kind, template)
    assert len(search.data) == search.status["search_result"]["result_count"] > 0
    assert all(not any(record.values()) for record in search.data)


def test_parts_of_conjunctions(aurorax: Any) -> None:
    """As in the notebook: a few fields, plain dictionaries, timestamps converted by the client at both levels."""
    template = aurorax.search.conjunctions.create_response_format_template(default=False)
    template["start"] = True
    template["end"] = True
    template["min_distance"] = True
    template["data_sources"]["identifier"] = True
    template["events"]["start"] = True
    records = run(aurorax, "conjunctions", template).data
    for record in records:
        assert isinstance(record["start"], datetime) and isinstance(record["end"], datetime)
        assert [set(source) for source in record["data_sources"]] == [{"identifier"}] * 2
        assert isinstance(record["events"][0]["start"], datetime)
        assert "max_distance" not in record
    records = run(aurorax, "conjunctions", {"closest_epoch": True, "farthest_epoch": True}).data
    assert {tuple(record) for record in records} == {("closest_epoch", "farthest_epoch")}
    assert isinstance(records[0]["closest_epoch"], datetime)


def test_conjunctions_carry_the_queries_for_their_ephemeris(aurorax: Any) -> None:
    """Asked for in the format, they are queries that the service itself accepts."""
    wanted = {"start": True, "end": True, "programs": True, "platforms": True, "instrument_types": True}
    query = {"start": True, "end": True, "data_sources": {name: True for name in wanted if name.endswith("s")}}
    event = {"start": True, "end": True, "generated_e1_ephemeris_query": query, "generated_e2_ephemeris_query": query}
    record = run(aurorax, "conjunctions", {"events": event}).data[0]
    generated = record["events"][0]["generated_e2_ephemeris_query"]
    found = aurorax.search.ephemeris.search(
        datetime.fromisoformat(generated["start"]),
        datetime.fromisoformat(generated["end"]),
        programs=generated["data_sources"]["programs"],
        platforms=generated["data_sources"]["platforms"],
        instrument_types=generated["data_sources"]["instrument_types"],
        poll_interval=0.05,
    ).data
    assert [found[0].epoch, found[-1].epoch] == [record["events"][0]["start"], record["events"][0]["end"]]


def test_parts_of_ephemeris(aurorax: Any, pyaurorax: Any) -> None:
    """Whole locations become `Location`s; the rest is as it came."""
    template = {"epoch": True, "nbtrace": {"lat": True, "lon": True}, "data_source": {"platform": True}}
    records = run(aurorax, "ephemeris", template).data
    assert len(records) == 30
    for record in records:
        assert set(record) == set(template)
        assert isinstance(record["epoch"], datetime)
        assert isinstance(record["nbtrace"], pyaurorax.search.Location)
        assert set(record["data_source"]) == {"platform"}
    assert [set(record) for record in run(aurorax, "ephemeris", {"metadata": True}).data] == [{"metadata"}] * 30


def test_parts_of_data_products(aurorax: Any) -> None:
    """The list of files, which is what most scripts want of data products."""
    records = run(aurorax, "data_products", {"start": True, "url": True, "data_product_type": True}).data
    assert len(records) == 66 == len({record["url"] for record in records})
    assert all(record["url"].startswith("https://") for record in records)
    assert isinstance(records[0]["start"], datetime)


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_search_can_be_fetched_in_other_formats(aurorax: Any, kind: str) -> None:
    """`requests.get_data` posts a format to the same result; without one the records are whole and basic."""
    search = run(aurorax, kind, None)
    raw = aurorax.search.requests.get_data(search.data_url, skip_serializing=True)
    assert len(raw) == len(search.data)
    sources = raw[0]["data_sources"] if kind == "conjunctions" else [raw[0]["data_source"]]
    assert all(set(source) == BASIC for source in sources)
    name = "epoch" if kind == "ephemeris" else "start"
    part = aurorax.search.requests.get_data(search.data_url, response_format={name: True})
    assert [record[name] for record in part] == [datetime.fromisoformat(record[name]) for record in raw]
    texts = aurorax.search.requests.get_data(search.data_url, response_format={name: True}, skip_serializing=True)
    assert [record[name] for record in texts] == [record[name] for record in raw]
