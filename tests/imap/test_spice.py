"""Kernels and tables: times, ingestion and versions as a person means them, whatever the service makes of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest

from aurora_async.errors import MalformedAnswer, NotFound, ServerError
from aurora_async.http import Answer, Session
from aurora_async.imap import Imap, ImapConfig, SpiceKernel, SpiceQuery
from aurora_async.imap.spice import find_kernels, find_tables, kernel_names, metakernel
from aurora_async.imap.tdb import to_tdb
from aurora_async.testing import FaultScript
from aurora_async.times import end_of, start_of

CONFIG = ImapConfig(base_url="http://imap.example.org")


class Scripted:
    """Answers by a function of path and parameters, and keeps both; the first `cuts` answers end too early."""

    def __init__(self, answer: Callable[[str, Mapping[str, str]], Any], cuts: int = 0) -> None:
        self.answer = answer
        self.cuts = cuts
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def exchange(self, method: str, url: str, *, params: Mapping[str, str], **how: Any) -> Answer:
        path = url.rpartition("/")[2]
        self.asked.append((path, dict(params)))
        body = json.dumps(self.answer(path, params)).encode()
        return Answer(method, url, 200, {}, body[:1] if len(self.asked) <= self.cuts else body)


def spin(day: int, came: str, version: str = "01") -> dict[str, str]:
    """A table of the spins from a day of January 2026 to the next."""
    return {
        "file_path": f"imap/spice/spin/imap_2026_{day:03}_2026_{day + 1:03}_{version}.spin",
        "start_date": f"2026-01-{day:02}, 00:00:00",
        "end_date": f"2026-01-{day + 1:02}, 00:00:00",
        "version": version,
        "ingestion_date": came,
    }


async def test_the_last_day_of_ingestion_is_a_whole_day() -> None:
    """The service means its first moment, so the day after is asked for, and what is too much is left out."""
    rows = [spin(day, f"2026-01-{day:02}, 18:00:00") for day in (4, 5, 6)]
    session = Scripted(lambda path, params: rows)
    found = await find_tables(
        cast(Session, session),
        CONFIG,
        SpiceQuery(type="spin", ingestion_start_date="20260105", ingestion_end_date="20260105"),
    )
    assert session.asked == [("spin-table", {"start_ingest_date": "20260105", "end_ingest_date": "20260106"})]
    assert [row.ingestion_date.day for row in found] == [5]


async def test_tables_cover_a_time_though_they_begin_before_it() -> None:
    """The service looks for those that lie within it; its own word for the newest makes it fail."""
    rows = [spin(day, f"2026-02-{day:02}, 00:00:00", version) for day in (3, 4, 5, 8) for version in ("01", "02")]
    session = Scripted(lambda path, params: rows)
    query = SpiceQuery(type="spin", start="2026-01-05T12:00", end="2026-01-06", latest=True)
    found = await find_tables(cast(Session, session), CONFIG, query)
    assert [(row.start_date and row.start_date.day, row.version) for row in found] == [(4, 2), (5, 2)]
    assert session.asked == [("spin-table", {})]


async def test_thrusters_are_found_under_their_older_name() -> None:
    """Servers that do not know the new one say that there is no such thing."""

    def answer(path: str, params: Mapping[str, str]) -> Any:
        if path == "small-forces-table":
            raise NotFound("GET", path, 404)
        return []

    session = Scripted(answer)
    assert await find_tables(cast(Session, session), CONFIG, SpiceQuery(type="thruster")) == []
    assert [path for path, _ in session.asked] == ["small-forces-table", "thruster-table"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: find_kernels(session, CONFIG, SpiceQuery()),
        lambda session: find_tables(session, CONFIG, SpiceQuery(type="spin")),
        lambda session: kernel_names(session, CONFIG, 0, 9),
        lambda session: metakernel(session, CONFIG, 0, 9),
    ],
    ids=["kernels", "tables", "names", "metakernel"],
)
async def test_an_answer_that_was_cut_is_asked_for_again(ask: Callable[[Any], Awaitable[object]]) -> None:
    """As one of the catalogue, and as often."""

    def answer(path: str, params: Mapping[str, str]) -> Any:
        return "begindata" if path == "metakernel" and "list_files" not in params else []

    await ask(session := Scripted(answer, cuts=2))
    assert len(session.asked) == 3
    with pytest.raises(MalformedAnswer):
        await ask(session := Scripted(answer, cuts=3))
    assert len(session.asked) == 3


async def test_kernels_that_are_too_many_are_asked_for_by_their_days() -> None:
    """As those of the catalogue; without a filter it is asked for all of them, as a bare question makes it fail."""

    def answer(path: str, params: Mapping[str, str]) -> Any:
        if params.get("start_ingest_date", "20240101") < "20260101":
            raise ServerError("GET", path, 500)
        return []

    session = Scripted(answer)
    with pytest.raises(ServerError):
        await find_kernels(cast(Session, session), CONFIG, SpiceQuery())
    assert session.asked[0] == ("spice-query", {"type": "kernels"})
    assert 10 < len(session.asked) < 60


async def test_kernels_are_found_by_what_they_cover(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """A date covers its whole day, and is sent in seconds of TDB."""
    found = await imap_client.spice_query("attitude_history", start="2025-10-30", end="2025-10-30")
    assert [row.file_name for row in found] == ["imap_2025_302_2025_303_001.ah.bc", "imap_2025_303_2025_304_001.ah.bc"]
    (seen,) = aurora_faults.requests("*/spice-query")
    asked = dict(parse_qsl(urlsplit(seen.path).query))
    assert float(asked["start_time"]) == to_tdb(start_of("2025-10-30"))
    assert float(asked["end_time"]) == to_tdb(end_of("2025-10-30"))


async def test_kernels_are_found_by_their_names_and_versions(imap_client: Imap) -> None:
    """A folder before the name does not matter; the newest clock is one of several."""
    (kernel,) = await imap_client.spice_query(file_name="imap/spice/sclk/imap_sclk_0031.tsc")
    assert isinstance(kernel, SpiceKernel)
    assert (kernel.key, kernel.version) == ("imap/spice/sclk/imap_sclk_0031.tsc", 31)
    clocks = await imap_client.spice_query("spacecraft_clock")
    newest = await imap_client.spice_query("spacecraft_clock", latest=True)
    assert len(clocks) > 1
    assert newest.keys == clocks.latest().keys


async def test_each_kind_of_table_is_found(imap_client: Imap) -> None:
    """By a verb of its own, and as a type of kernel; of the repointings the newest holds all."""
    spins = await imap_client.spin_tables(start="2026-04-01", end="2026-04-01")
    assert [row.file_name for row in spins] == ["imap_2026_091_2026_092_01.spin"]
    assert (await imap_client.spice_query("spin", start="2026-04-01", end="2026-04-01")).keys == spins.keys
    thrusters = await imap_client.thruster_tables(
        ingestion_start_date="2026-03-02T09:35:26", ingestion_end_date="2026-03"
    )
    assert [row.file_name for row in thrusters] == ["imap_2026_061_2026_061_hist_01.sff"]
    repoints = await imap_client.repoint_tables()
    (newest,) = await imap_client.repoint_tables(latest=True)
    assert newest.ingestion_date == max(row.ingestion_date for row in repoints)
