"""Plans of batches: what a file of a few lines makes, and what is said of one that is wrong."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async import ConjunctionQuery, EphemerisQuery
from aurora_async.aurorax.plans import Plan, searches_of
from aurora_async.errors import InvalidInput

SOURCES = {"data_sources": {"programs": ["swarm"], "platforms": ["{platform}"]}}
DAY = {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59"}

TOML = """
name = "swarm 2020"
format = "parquet"
window = "7d"
at_once = 50

[[search]]
kind = "ephemeris"
name = "{platform}_{start:%Y-%m}"
query = { data_sources = { programs = ["swarm"], platforms = ["{platform}"] } }

[search.over]
platform = ["swarma", "swarmb"]
time = { start = "2020-01", end = "2020-03", step = "1 month" }
"""


def search(**fields: Any) -> dict[str, Any]:
    """One search of a plan."""
    return {"kind": "ephemeris", "query": DAY | {"data_sources": {"platforms": ["swarma"]}}} | fields


def over(time: dict[str, Any]) -> list[tuple[datetime, datetime]]:
    """What a template makes over a span of time."""
    query = {"data_sources": {"platforms": ["swarma"]}}
    plan = Plan.from_document([search(query=query, over={"time": time})])
    return [(one.query.start, one.query.end) for one in plan.searches]


def at(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_template_makes_a_search_for_each_combination(tmp_path: Path) -> None:
    """A year of a constellation is a few lines."""
    path = tmp_path / "plan.toml"
    path.write_text(TOML)
    plan = Plan.read(path)
    assert (plan.name, plan.format, plan.window, plan.at_once) == ("swarm 2020", "parquet", timedelta(days=7), 50)
    assert [one.name for one in plan.searches] == [
        "swarma_2020-01", "swarma_2020-02", "swarma_2020-03", "swarmb_2020-01", "swarmb_2020-02", "swarmb_2020-03",
    ]  # fmt: skip
    last = plan.searches[-1].query
    assert isinstance(last, EphemerisQuery)
    assert (last.start, last.end) == (at("2020-03-01"), at("2020-03-31T23:59:59"))
    assert last.platforms == ("swarmb",)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    """Programs write JSON."""
    toml, as_json = tmp_path / "plan.toml", tmp_path / "plan.JSON"
    toml.write_text(TOML)
    as_json.write_text(json.dumps(tomllib.loads(TOML)), encoding="utf-8-sig")
    assert Plan.read(toml) == Plan.read(as_json)


def test_a_list_of_searches_is_a_plan(tmp_path: Path) -> None:
    """What another program has exported, with one query after the other."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps([search(), search(kind="data_products")]))
    assert [type(one.query).__name__ for one in Plan.read(path).searches] == ["EphemerisQuery", "DataProductQuery"]


def test_a_query_may_lie_in_a_file_beside_the_plan(tmp_path: Path) -> None:
    """The web site saves queries as such files."""
    (tmp_path / "query.json").write_text(json.dumps(search()["query"]))
    path = tmp_path / "plan.toml"
    path.write_text('[[search]]\nkind = "ephemeris"\nquery = "query.json"\n')
    assert Plan.read(path).searches[0].query == Plan.from_document([search()]).searches[0].query


def test_numbers_stay_numbers() -> None:
    """A template over distances is a conjunction search for each."""
    query = DAY | {
        "ground": [{"programs": ["themis-asi"]}],
        "space": [{"programs": ["swarm"]}],
        "conjunction_types": ["nbtrace"],
        "max_distances": {"ground1-space1": "{distance_km}"},
    }
    document = search(kind="conjunctions", query=query, over={"distance_km": [100, 250.5]}, name="within {distance_km}")
    plan = Plan.from_document([document])
    queries = [one.query for one in plan.searches]
    assert all(isinstance(query, ConjunctionQuery) for query in queries)
    assert [query.max_distances for query in queries] != [queries[0].max_distances] * 2  # type: ignore[attr-defined]
    assert [one.name for one in plan.searches] == ["within 100", "within 250.5"]


def test_tables_fill_in_several_placeholders_at_once() -> None:
    """What belongs together varies together."""
    pairs = [{"program": "swarm", "platform": "swarma"}, {"program": "themis", "platform": "themisa"}]
    query = DAY | {"data_sources": {"programs": ["{program}"], "platforms": ["{platform}"]}}
    plan = Plan.from_document([search(query=query, name="{program}-{platform}", over={"pair": pairs})])
    assert [one.name for one in plan.searches] == ["swarm-swarma", "themis-themisa"]


def test_times_in_texts_of_a_query_may_be_written_in_any_form() -> None:
    """Such as in an expression of a metadata filter."""
    query = {"data_sources": {"platforms": ["{platform}-{start:%Y}"]}}
    time = {"start": "2020", "end": "2021", "step": "1 year"}
    plan = Plan.from_document([search(query=query, over={"platform": ["a"], "time": time})])
    assert [one.query.platforms for one in plan.searches] == [("a-2020",), ("a-2021",)]  # type: ignore[attr-defined]


def test_dates_of_toml_are_understood(tmp_path: Path) -> None:
    """TOML has dates, JSON has not; nobody should have to put them in quotes."""
    path = tmp_path / "plan.toml"
    path.write_text(
        '[[search]]\nkind = "ephemeris"\nquery.data_sources.platforms = ["swarma"]\n'
        "query.start = 2020-01-01\nquery.end = 2020-01-02T06:00:00+01:00\n"
        '[[search]]\nkind = "ephemeris"\nquery.data_sources.platforms = ["swarma"]\n'
        'over.time = { start = 2020-01-01, end = 2020-01-02, step = "1d" }\n'
    )
    first, *rest = (one.query for one in Plan.read(path).searches)
    assert (first.start, first.end) == (at("2020-01-01"), at("2020-01-02T05:00:00"))
    assert [(one.start, one.end) for one in rest] == [
        (at("2020-01-01"), at("2020-01-01T23:59:59")),
        (at("2020-01-02"), at("2020-01-02T23:59:59")),
    ]


def test_queries_of_a_program_are_searches_without_names() -> None:
    """A batch takes a plan, or what a program has made, in one list."""
    named = Plan.from_document([search(name="mine")]).searches[0]
    assert [one.name for one in searches_of([named.query, named])] == [None, "mine"]
    assert list(searches_of(Plan(searches=(named,)))) == [named]


# Time steps ------------------------------------------------------------------------------------------------------


@given(
    start=st.datetimes(datetime(1995, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    length_s=st.integers(0, 3 * 366 * 86400),
    count=st.integers(1, 400),
    unit=st.sampled_from(["h", "d", "w", " days", "month", " months", "year"]),
)
def test_pieces_of_time_cover_the_span_and_do_not_overlap(
    start: datetime, length_s: int, count: int, unit: str
) -> None:
    """A minute that is in no piece, or in two, would be missing in the results or doubled."""
    end = start + timedelta(seconds=length_s)
    count = max(count, 24) if unit == "h" else count
    pieces = over({"start": start.isoformat(), "end": end.isoformat(), "step": f"{count}{unit}"})
    assert pieces[0][0] == start.replace(tzinfo=UTC)
    assert pieces[-1][1] == end.replace(tzinfo=UTC)
    assert all(first <= last for first, last in pieces)
    assert all(after - before == timedelta(seconds=1) for (_, before), (after, _) in pairwise(pieces))
    assert len({last - first for first, last in pieces[:-1]}) <= (1 if "m" not in unit and "y" not in unit else 5)


@pytest.mark.parametrize(
    ("span", "step", "starts"),
    [
        (("2020-01-31", "2020-04-30"), "1 month", ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]),
        (("2019-02-28", "2020-03-01"), "1 year", ["2019-02-28", "2020-02-28"]),
        (("2020-02-29", "2021-03-01"), "1 year", ["2020-02-29", "2021-02-28"]),
        (("2020-01", "2020-01"), "2 weeks", ["2020-01-01", "2020-01-15", "2020-01-29"]),
        (("9999-12", "9999"), "1 month", ["9999-12-01"]),
    ],
)
def test_months_are_those_of_the_calendar(span: tuple[str, str], step: str, starts: list[str]) -> None:
    """From the 31st on, each step is counted from the beginning: it does not stay on the 29th for ever."""
    pieces = over({"start": span[0], "end": span[1], "step": step})
    assert [f"{first:%Y-%m-%d}" for first, _ in pieces] == starts


# What is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ("text", "plan", "is not a table"),
        ({}, "search", "is missing"),
        ({"search": []}, "search", "is missing"),
        ({"search": {}}, "search", "is missing"),
        ({"search": [1]}, "search[0]", "is not a table"),
        ({"serach": []}, "serach", "is unknown"),
        ({"search": [search()], "format": "xml"}, "format", "use body, json"),
        ({"search": [search()], "format": ["json"]}, "format", "is unknown"),
        ({"search": [search()], "window": "soon"}, "window", "is not a length of time"),
        ({"search": [search()], "window": "0d"}, "window", "is not a length of time"),
        ({"search": [search()], "window": "1 month"}, "window", "write it in days"),
        ({"search": [search()], "at_once": 0}, "at_once", "1 or more"),
        ({"search": [search()], "at_once": True}, "at_once", "1 or more"),
        ({"search": [search()], "name": 3}, "name", "is not a text"),
        ({"search": [search()], "response_format": []}, "response_format", "is not a table"),
        ([search(kind="ephemris")], "search[0].kind", "use conjunctions"),
        ([search(kind=[])], "search[0].kind", "use conjunctions"),
        ([search(), search(qeury={})], "search[1].qeury", "is unknown"),
        ([search(query=None)], "search[0].query", "is missing"),
        ([search(query="q.json")], "search[0].query", "is missing"),
        ([search(query=search()["query"] | {"start": "yesterday"})], "search[0].query.start", "is not a time"),
        ([search(query=DAY | {"data_sources": {"progams": []}})], "search[0].query.data_sources.progams", "unknown"),
        ([search(name="{platform}")], "search[0].name", "placeholder {platform}"),
        ([search(name="{start")], "search[0].name", "is not a template"),
        ([search(name="{}")], "search[0].name", "placeholder {}"),
        ([search(name="{start!r}")], "search[0].name", "placeholder"),
        ([search(name="{start.year}")], "search[0].name", "placeholder"),
        ([search(name="{kind:%d}")], "search[0].name", "is not a template"),
        ([search(over=[])], "search[0].over", "is not a table"),
        ([search(over={"platform": "swarma"})], "search[0].over.platform", "is not a list"),
        ([search(over={"platform": []})], "search[0].over.platform", "is not a list"),
        ([search(over={"plat form": ["a"]})], "search[0].over.plat form", "is not a name"),
        ([search(over={"platform": ["a", ["b"]]})], "search[0].over.platform[1]", "is not a text"),
        ([search(over={"platform": ["a", "b"]}, name="{platform}")], "search[0].over.platform", "no placeholder"),
        ([search(over={"time": {"start": "2020", "end": "2020", "step": "1d"}})], "search[0].over.time", "placeholder"),
        ([search(over={"time": "2020"})], "search[0].over.time", "is not a table"),
        ([search(over={"time": {"start": "2020"}})], "search[0].over.time.end", "is missing"),
        ([search(over={"time": {"start": "2020", "end": "2019", "step": "1d"}})], "search[0].over.time.end", "before"),
        ([search(over={"time": {"start": "2020", "end": "2020", "step": "1"}})], "search[0].over.time.step", "length"),
        ([search(over={"time": {"start": "1000", "end": "3000", "step": "1min"}})], "search[0].over.time.step", "many"),
        ([search(over={name: list(range(1000)) for name in "abc"})], "search[0].over", "more than 1,000,000"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(document: Any, field: str, reason: str) -> None:
    """Before anything is sent, and so that it can be mended without guessing."""
    with pytest.raises(InvalidInput) as caught:
        Plan.from_document(document)
    assert (caught.value.field, reason in caught.value.reason) == (field, True), caught.value


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("none.toml", None, "cannot be read: no such file"),
        ("plan.toml", "[[search", "is not TOML"),
        ("plan.toml", "[[search]]\nkind = 3\n", r"search\[0\]\.kind: 3 is unknown"),
        ("plan.json", "[" * 100_000, "is not JSON"),
        ("plan.json", '{"search": [{"kind": "ephemeris", "query": "gone.json"}]}', r"gone\.json cannot be read"),
        ("plan.json", '{"search": [{"kind": "ephemeris", "query": "plan.json"}]}', r"search\[0\]\.query\.data_sources"),
        ("plan.toml", b"\xff\xfe", "is not a text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(
    tmp_path: Path, name: str, text: str | bytes | None, reason: str
) -> None:
    """One line, without a traceback, is all that the command shows of it."""
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInput, match=reason) as caught:
        Plan.read(path)
    assert caught.value.field.startswith(str(path))
