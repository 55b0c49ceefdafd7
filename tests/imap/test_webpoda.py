"""Raw packets: what is asked of the packet service, and the files of level 0 that are made of what it has."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from support.processes import ENVIRON
from support.scripted_imap import KEY, ScriptedImap, imap_config, serving_imap
from support.scripted_poda import LOGIN, ScriptedPoda, at, serving_poda

from aurora_async.errors import (
    AuroraError,
    ConnectionLost,
    DeadlineExceeded,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    TargetNotWritable,
)
from aurora_async.http import Session
from aurora_async.imap._ccsds import PacketWalk
from aurora_async.imap.client import Imap
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.errors import AlreadyExists
from aurora_async.imap.filenames import ScienceName
from aurora_async.imap.pointings import NoPointings, Pointing, pointings_of
from aurora_async.imap.vocabulary import APIDS
from aurora_async.imap.webpoda import (
    LoginRefused,
    PacketFile,
    PacketFiles,
    download_packets,
    holding,
    packet_times,
    packets,
)

ONE, TWO = APIDS["swapi"]
"""Of SWAPI, whose days have a minute of the days before and after."""

REPOINT_KEY = "imap/spice/repoint/imap_2024_340_01.repoint.csv"
REPOINT_TABLE = """\
repoint_start_sec_sclk,repoint_start_subsec_sclk,repoint_end_sec_sclk,repoint_end_subsec_sclk,\
repoint_start_utc,repoint_end_utc,repoint_id
0,0,1,0,2024-11-30 00:00:00.000,2024-11-30 20:15:00.000,1
0,0,1,0,2024-12-01 00:00:00.000,2024-12-01 00:15:00.500,2
10,0,11,0,2024-12-02 00:00:00.000,2024-12-02 00:15:00.000,3
10,0,NaN,NaN,2024-12-03T00:00:00.000000,NaN,4
10,0,12,0,2024-12-04T00:00:00.000000,2024-12-04 00:15:00.000,5
10,0,12,0,2024-12-05T00:00:00.000000,2024-12-05 00:15:00.000,6
"""
"""In the form of the mission's own; its third pointing ends with a manoeuvre that has no end, its fifth is whole."""


@dataclass
class Place:
    """An archive, a packet service, and a client of both."""

    archive: ScriptedImap
    poda: ScriptedPoda
    session: Session
    config: ImapConfig

    async def download(self, start: str = "2024-12-01", end: str | None = None, **options: Any) -> PacketFiles:
        """Make the files of SWAPI, or of another instrument."""
        instrument = options.pop("instrument", "swapi")
        return await download_packets(self.session, self.config, instrument, start, end, **options)

    def keep(self, name: str, body: bytes) -> None:
        """Put a file of level 0 into the archive."""
        parsed = ScienceName.parse(name)
        assert parsed.version.major is not None
        self.archive.objects[parsed.key] = body
        self.archive.rows.append(
            {
                "file_path": parsed.key,
                "instrument": parsed.instrument,
                "data_level": "l0",
                "descriptor": "raw",
                "start_date": f"{parsed.start_date:%Y%m%d}",
                "repointing": parsed.repointing,
                "major_version": parsed.version.major,
                "minor_version": parsed.version.minor,
                "ingestion_date": "20241206 12:00:00",
                "released": False,
                "extension": "pkts",
                "version": str(parsed.version),
            }
        )

    def keep_repoint_table(self, table: str = REPOINT_TABLE) -> None:
        """Let the archive have a table of repointings, listed beside older ones."""
        self.archive.objects[REPOINT_KEY] = table.encode()

        async def answer(request: web.Request) -> web.StreamResponse:
            row = {"end_date": "2024-12-05, 00:00:00", "version": "01"}
            listed = {REPOINT_KEY: "2024-12-06, 02:00:00", REPOINT_KEY.replace("340", "339"): "2024-12-05, 02:00:00"}
            recent = "start_ingest_date" in request.query
            return web.json_response(
                [] if recent else [row | {"file_path": key, "ingestion_date": when} for key, when in listed.items()]
            )

        self.archive.on("repoint-table", answer)

    @property
    def files(self) -> list[str]:
        """Every file below the data folder, but not folders."""
        folder = self.config.data_dir
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """With one packet of each APID a day, for three days; received 30 h later."""
    async with serving_imap() as archive, serving_poda() as poda:
        for day in ("2024-12-01", "2024-12-02", "2024-12-03"):
            poda.add(TWO, f"{day}T00:00:00", f"{day}T12:00:00.000000")
            poda.add(ONE, f"{day}T06:00:00", f"{day}T23:59:30")
        config = imap_config(archive.base_url, tmp_path, api_key=KEY, webpoda_token=LOGIN, webpoda_url=poda.base_url)
        async with Session(config) as session:
            yield Place(archive, poda, session, config)


# What is asked --------------------------------------------------------------------------------------------------------


async def test_times_are_those_of_the_spacecraft_of_what_was_received(place: Place) -> None:
    """Of all APIDs, in their order; a date as the end includes its day, and blank lines are none."""
    times = await packet_times(place.session, place.config, "swapi", "2024-12-02", "2024-12-02T06:00:00")
    assert times == [at("2024-12-01T00:00:00")]
    times = await packet_times(place.session, place.config, "swapi", "2024-12-02", apids=[TWO])
    assert times == [at("2024-12-01T00:00:00"), at("2024-12-01T12:00:00")]
    times = await packet_times(place.session, place.config, "swapi", "2024-12-02", "2024-12-03")
    assert times == sorted(times)
    assert len(times) == 7


async def test_queries_are_spelled_as_the_service_reads_them(place: Place) -> None:
    """It parses the query itself; another spelling of the same address it does not understand."""
    await packet_times(place.session, place.config, "swapi", "2024-12-01", apids=[ONE], system="SID2")
    await packets(place.session, place.config, "swapi", "2024-12-01T06:00:00", "2024-12-01T06:59:59.25", apids=[ONE])
    assert place.poda.asked == [
        f"/SID2/apid_{ONE}.txt?ert%3E=2024-12-01T00:00:00.000000&ert%3C2024-12-02T00:00:00.000000"
        "&project(time)&formatTime(%22yyyy-MM-dd'T'HH:mm:ss%22)",
        f"/SID1/apid_{ONE}.bin?time%3E=2024-12-01T06:00:00.000000&time%3C2024-12-01T07:00:00.000000&project(packet)",
    ]


async def test_packets_come_in_the_order_of_their_apids(place: Place) -> None:
    """Whatever order the answers come in."""
    expected = place.poda.body((ONE, "2024-12-01T06:00:00"), (TWO, "2024-12-01T00:00:00"))
    assert await packets(place.session, place.config, "swapi", "2024-12-01", "2024-12-01T11:00:00") == expected


async def test_apids_are_asked_for_together_but_not_all_at_once(place: Place) -> None:
    """Ultra has 58; one after the other takes a minute, all together are an attack."""
    place.poda.waits_s = 0.02
    await packets(place.session, place.config, "ultra", "2024-12-01", at_once=4)
    assert place.poda.busiest == 4
    assert len(place.poda.asked) == len(APIDS["ultra"])


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"instrument": "l1const"}, "instrument", "data of other missions"),
        ({"instrument": "hmi"}, "instrument", "those that have: codice, glows"),
        ({"system": "SID9"}, "system", "SID1, SID2, SID3"),
        ({"at_once": 0}, "at_once", "positive"),
        ({"mode": "utc"}, "mode", "'ert'"),
        ({"start": "2024-12-02", "end": "2024-12-01"}, "end", "before the start"),
        ({"start": "yesterday"}, "start", "not a time"),
    ],
)
async def test_what_cannot_be_asked_is_refused(place: Place, change: dict[str, Any], field: str, says: str) -> None:
    """Nothing is sent, neither there nor to the archive."""
    with pytest.raises(InvalidInput) as caught:
        await place.download(**change)
    assert caught.value.field == field
    assert says in caught.value.reason
    assert not place.poda.asked
    assert not place.archive.seen


async def test_without_a_login_nothing_is_asked(place: Place) -> None:
    """The error says where it may be given."""
    config = imap_config(place.archive.base_url, place.config.data_dir, webpoda_url=place.poda.base_url)
    with pytest.raises(InvalidInput, match="IMAP_WEBPODA_TOKEN"):
        await download_packets(place.session, config, "swapi", "2024-12-01")
    assert not place.poda.asked


@pytest.mark.parametrize("mode", ["ert", "sct"])
async def test_a_login_that_is_refused_ends_all(place: Place, mode: Any) -> None:
    """Not once for each of a year's days."""
    config = imap_config(
        place.archive.base_url, place.config.data_dir, webpoda_token="d3Jvbmc=", webpoda_url=place.poda.base_url
    )
    with pytest.raises(LoginRefused, match="IMAP_WEBPODA_TOKEN") as caught:
        await download_packets(place.session, config, "swapi", "2024-01-01", "2024-12-31", mode=mode)
    assert "d3Jvbmc=" not in str(caught.value)
    assert len(place.poda.asked) < 20


async def test_each_service_sees_its_own_credential(place: Place) -> None:
    """The archive's key is nothing to the packet service, nor its login to the archive."""
    place.keep_repoint_table()
    await place.download(upload=True)
    await place.download(instrument="glows")
    assert {headers.get("Authorization") for headers in place.poda.headers} == {f"Basic {LOGIN}"}
    assert not any("x-api-key" in {name.lower() for name in headers} for headers in place.poda.headers)
    assert not any("Authorization" in one.credentials for one in place.archive.seen)


# Days -----------------------------------------------------------------------------------------------------------------


async def test_days_whose_packets_were_received_are_made_whole(place: Place) -> None:
    """Not only of what was received then: a day's file has all its packets, and a minute of those around it."""
    made = await place.download("2024-12-03T06:00:00", "2024-12-03T06:30:00")
    (file,) = made
    assert made.ok
    assert (file.status, file.start_date, file.repointing) == ("new", at("2024-12-02T00:00:00").date(), None)
    assert file.path == place.config.data_dir / "imap/swapi/l0/2024/12/imap_swapi_l0_raw_20241202_v001.0001.pkts"
    whole = [(ONE, "2024-12-01T23:59:30"), (ONE, "2024-12-02T06:00:00"), (ONE, "2024-12-02T23:59:30")]
    whole += [(TWO, "2024-12-02T00:00:00"), (TWO, "2024-12-02T12:00:00"), (TWO, "2024-12-03T00:00:00")]
    assert file.path.read_bytes() == place.poda.body(*whole)
    assert file.bytes == len(place.poda.body(*whole))
    assert place.files == [file.path.relative_to(place.config.data_dir).as_posix()]


async def test_the_end_of_a_widened_day_is_not_in_it(place: Place) -> None:
    """Bounds are half-open, so that no packet is in a window twice and none is missed."""
    place.poda.packets.clear()
    place.poda.add(ONE, "2024-11-30T23:58:59.999999", "2024-11-30T23:59:00", "2024-12-02T00:00:59.999999")
    place.poda.add(ONE, "2024-12-02T00:01:00")
    (file,) = await place.download(mode="sct")
    assert file.path is not None
    inside = place.poda.body((ONE, "2024-11-30T23:59:00"), (ONE, "2024-12-02T00:00:59.999999"))
    assert file.path.read_bytes() == inside


async def test_every_day_of_spacecraft_time_is_made(place: Place) -> None:
    """One without packets is told as such, and leaves no file, no folder."""
    outcomes: list[PacketFile] = []
    made = await place.download("2024-12-03", "2025-01-01", mode="sct", on_outcome=outcomes.append)
    assert [file.status for file in made] == ["new", "new", *["empty"] * 28]
    assert len(outcomes) == 30
    assert [path.name for path in made.paths] == [
        "imap_swapi_l0_raw_20241203_v001.0001.pkts",
        "imap_swapi_l0_raw_20241204_v001.0001.pkts",
    ]
    assert not (place.config.data_dir / "imap/swapi/l0/2025").exists()
    assert repr(made).startswith("<PacketFiles: 2 new files, ")


# What the archive has -------------------------------------------------------------------------------------------------


def day_of(place: Place) -> bytes:
    """What the file of the first day holds."""
    packets = [(ONE, "2024-12-01T06:00:00"), (ONE, "2024-12-01T23:59:30")]
    packets += [(TWO, "2024-12-01T00:00:00"), (TWO, "2024-12-01T12:00:00"), (TWO, "2024-12-02T00:00:00")]
    return place.poda.body(*packets)


@pytest.mark.parametrize(
    ("kept", "status", "version"),
    [
        (lambda body: body, "same", "v002.0009"),
        (lambda body: body + b"more", "fewer", "v002.0009"),
        (lambda body: body[:-1], "new", "v002.0010"),
        (lambda body: b"x" + body[1:], "new", "v002.0010"),
    ],
    ids=["same", "more there", "fewer there", "others there"],
)
async def test_a_file_is_new_only_where_its_packets_are(
    place: Place, kept: Any, status: str, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The newest one there counts, by both parts of its version; one that is needless is not left behind."""
    body = day_of(place)
    place.keep("imap_swapi_l0_raw_20241201_v001.0020.pkts", b"old")
    place.keep("imap_swapi_l0_raw_20241201_v002.0009.pkts", kept(body))
    place.keep("imap_swapi_l0_raw_20241201_v002.0002.pkts", b"old")
    place.keep("imap_swapi_l0_raw_20241202_v002.0033.pkts", b"of another day")
    with caplog.at_level(logging.WARNING):
        (file,) = await place.download(mode="sct")
    assert file.status == status
    assert file.path is not None
    assert file.path.name == f"imap_swapi_l0_raw_20241201_{version}.pkts"
    assert file.path.read_bytes() == (body if status == "new" else kept(body))
    names = {f"imap/swapi/l0/2024/12/imap_swapi_l0_raw_20241201_{one}.pkts" for one in ("v002.0009", version)}
    assert set(place.files) == names
    assert ("kept as it is" in caplog.text) == (status == "fewer")


async def test_what_is_new_is_delivered_when_asked_for(place: Place) -> None:
    """And is not new the next time; what the archive refuses is told with the file, not only logged."""
    made = await place.download("2024-12-01", "2024-12-02", mode="sct", upload=True)
    assert [file.is_uploaded for file in made] == [True, True]
    for path in made.paths:
        assert place.archive.objects[f"imap/{path.name}"] == path.read_bytes()
        place.keep(path.name, path.read_bytes())
    again = await place.download("2024-12-01", "2024-12-02", mode="sct", upload=True)
    assert [(file.status, file.is_uploaded) for file in again] == [("same", False), ("same", False)]
    place.archive.rows.clear()  # as if it had not been looked at yet
    refused = await place.download("2024-12-01", mode="sct", upload=True)
    assert isinstance(refused[0].error, AlreadyExists)
    assert refused[0].path is not None
    assert refused[0].path.exists()


# Pointings ------------------------------------------------------------------------------------------------------------


async def test_a_pointing_is_from_the_end_of_one_manoeuvre_up_to_that_of_the_next(place: Place) -> None:
    """A packet at the very end belongs to the next one alone. Without bounds, because of a `NaN`, there is no file."""
    place.keep_repoint_table()
    first, second = APIDS["glows"]
    place.poda.add(first, "2024-11-30T20:14:59.999999", "2024-11-30T20:15:00", "2024-12-01T00:15:00.499999")
    place.poda.add(second, "2024-12-01T00:15:00.500000", "2024-12-02T00:15:00", "2024-12-04T00:20:00")
    made = await place.download("2024-11-29", "2024-12-06", instrument="glows", mode="sct")
    assert [(file.repointing, file.status, file.ok) for file in made] == [
        (1, "new", True),
        (2, "new", True),
        (5, "new", True),
    ]
    assert [path.name for path in made.paths] == [
        "imap_glows_l0_raw_20241130-repoint00001_v001.0001.pkts",
        "imap_glows_l0_raw_20241201-repoint00002_v001.0001.pkts",
        "imap_glows_l0_raw_20241204-repoint00005_v001.0001.pkts",
    ]
    assert made.paths[0].read_bytes() == place.poda.body(
        (first, "2024-11-30T20:15:00"), (first, "2024-12-01T00:15:00.499999")
    )
    assert made.paths[1].read_bytes() == place.poda.body((second, "2024-12-01T00:15:00.500000"))


async def test_pointings_with_received_packets_are_made(place: Place) -> None:
    """Listed times are cut to the second: the packet at .5 is of the second pointing although its time is not."""
    place.keep_repoint_table()
    place.poda.add(APIDS["glows"][1], "2024-12-01T00:15:00.600000")
    made = await place.download("2024-12-02", instrument="glows")
    assert [(file.repointing, file.status) for file in made] == [(1, "empty"), (2, "new")]


async def test_the_table_of_repointings_is_asked_for_with_the_key(place: Place) -> None:
    """The newest ingested one, as somebody who may see it; first among the last days, then among all."""
    place.keep_repoint_table()
    await place.download("2024-12-01", instrument="glows", mode="sct")
    recent, all_of_them = [one.path for one in place.archive.seen if "repoint-table" in one.path]
    assert re.fullmatch(r"/api-key/repoint-table\?start_ingest_date=\d{8}&end_ingest_date=\d{8}", recent)
    assert all_of_them == "/api-key/repoint-table"
    assert (place.config.data_dir / REPOINT_KEY).read_text() == REPOINT_TABLE


async def test_a_file_of_the_archive_is_one_of_the_same_pointing(place: Place) -> None:
    """Two pointings may begin on one day."""
    rows = [{"repoint_end_utc": f"2024-12-01 {hour}:00:00.000", "repoint_id": f"{hour}"} for hour in ("06", "12", "18")]
    place.poda.add(APIDS["glows"][0], "2024-12-01T07:00:00", "2024-12-01T13:00:00")
    place.keep("imap_glows_l0_raw_20241201-repoint00006_v001.0004.pkts", b"less")
    made = await place.download("2024-12-01", instrument="glows", mode="sct", repoint_rows=rows)
    assert [path.name for path in made.paths] == [
        "imap_glows_l0_raw_20241201-repoint00006_v001.0005.pkts",
        "imap_glows_l0_raw_20241201-repoint00012_v001.0001.pkts",
    ]


async def test_without_a_table_of_repointings_there_are_no_pointings(place: Place) -> None:
    """The error says which address lists none; a table that is none is pointed into."""

    async def none(request: web.Request) -> web.StreamResponse:
        return web.json_response([])

    place.archive.on("repoint-table", none)
    with pytest.raises(NoPointings, match="/api-key/repoint-table lists no table"):
        await place.download(instrument="lo")
    place.keep_repoint_table(REPOINT_TABLE.replace("repoint_id", "id"))
    with pytest.raises(MalformedAnswer, match="row 1"):
        await place.download(instrument="lo")


@given(
    st.lists(st.integers(0, 40_000_000), min_size=2, max_size=8, unique=True),
    st.lists(st.integers(0, 40_000_000), max_size=8),
)
def test_no_pointing_that_holds_a_packet_is_missed(bounds: list[int], sent: Iterable[int]) -> None:
    """Wherever in its second it was sent; one too many costs a look, one too few costs data."""
    zero = at("2024-12-01T00:00:00")

    def moment(microseconds: int) -> datetime:
        return zero + timedelta(microseconds=microseconds)

    rows = [
        {"repoint_end_utc": moment(bound).isoformat(" ")[:26], "repoint_id": str(number)}
        for number, bound in enumerate(sorted(bounds))
    ]
    pointings = pointings_of(rows)
    assert [(one.start, one.end) for one in pointings] == [
        (moment(start), moment(end)) for start, end in zip(sorted(bounds), sorted(bounds)[1:], strict=False)
    ]
    found = holding(pointings, [moment(one).replace(microsecond=0) for one in sent])
    assert {one for one in pointings if any(one.start <= moment(each) < one.end for each in sent)} <= set(found)
    assert all(isinstance(one, Pointing) for one in found)


async def test_the_local_services_have_the_same_packets_in_both_places(imap_client: Imap) -> None:
    """Catalogue, table of repointings, packets and download together, at servers that no test has scripted."""
    made = await imap_client.download_packets("glows", "2026-01-01", "2026-01-02", mode="sct")
    assert [(file.repointing, file.status) for file in made] == [(95, "new"), (96, "same"), (97, "new")]
    assert [path.name for path in made.paths] == [
        "imap_glows_l0_raw_20251231-repoint00095_v001.0001.pkts",
        "imap_glows_l0_raw_20260101-repoint00096_v001.0002.pkts",
        "imap_glows_l0_raw_20260102-repoint00097_v001.0001.pkts",
    ]
    received = await imap_client.packet_times("glows", "2026-01-01T06", apids=APIDS["glows"][:1])
    assert len(received) == 6, "one every ten minutes"
    assert len(await imap_client.packets("glows", "2026-01-01T06", apids=APIDS["glows"][:1])) == 6 * 50


# What goes wrong ------------------------------------------------------------------------------------------------------


async def test_a_cut_answer_is_asked_for_again(place: Place) -> None:
    """From its beginning: there is no half of a packet in the file, and no packet twice."""
    place.poda.cuts = 2
    (file,) = await place.download(mode="sct")
    assert file.path is not None
    assert file.path.read_bytes() == day_of(place)


async def test_an_answer_that_stays_cut_makes_no_file(place: Place) -> None:
    """The others are made; what is missing is told, and there is nothing left of it."""
    place.poda.packets[ONE] = {time: body for time, body in place.poda.packets[ONE].items() if time.day == 1}
    place.poda.cuts = 1000
    made = await place.download("2024-12-01", "2024-12-02", mode="sct")
    assert [(type(file.error), file.ok) for file in made] == [(ConnectionLost, False)] * 2
    assert not place.files
    place.poda.cuts = 0
    place.poda.broken = {TWO}
    made = await place.download("2024-12-01", "2024-12-02", mode="sct")
    assert not made.ok
    assert not place.files
    with pytest.raises(ExceptionGroup, match="2 of 2 packet files are not made"):
        made.raise_for_failures()


async def test_a_page_is_no_packet(place: Place) -> None:
    """A login page that comes with 200 would make a file that looks like data."""
    place.poda.page = True
    with pytest.raises(MalformedAnswer, match="a page came"):
        await place.download()
    with pytest.raises(MalformedAnswer, match="a page came"):
        await packets(place.session, place.config, "swapi", "2024-12-01")
    (file,) = await place.download(mode="sct")
    assert isinstance(file.error, AuroraError)
    assert not place.files


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (lambda body: web.Response(status=302), MalformedAnswer, "status: 302"),
        (lambda body: web.Response(status=204), MalformedAnswer, "status: 204"),
        (lambda body: web.Response(status=206, body=body[:36]), MalformedAnswer, "status: 206"),
        (lambda body: web.json_response({"error": "busy"}), MalformedAnswer, "byte 0: expected a packet of APID 11"),
        (lambda body: web.Response(body=body + b"query timed out"), MalformedAnswer, "expected a packet of APID 11"),
        (lambda body: web.Response(body=body[:-1]), IncompleteBody, "within a packet"),
        (lambda body: web.Response(body=body + body[:5]), IncompleteBody, "within a packet"),
    ],
    ids=["to nowhere", "nothing", "part", "JSON", "text behind", "cut", "cut header"],
)
async def test_what_is_not_exactly_packets_is_asked_for_again_and_makes_no_file(
    place: Place, answer: Any, error: type[AuroraError], says: str
) -> None:
    """Whatever its status: it would be a file of level 0 for ever, or a day that seems to have no packets."""
    place.poda.instead = [answer]
    (file,) = await place.download(mode="sct")
    assert file.path is not None
    assert file.path.read_bytes() == day_of(place)
    file.path.unlink()
    place.poda.instead = [answer] * 100
    (file,) = await place.download(mode="sct")
    assert isinstance(file.error, error)
    assert says in str(file.error)
    assert not place.files
    with pytest.raises(error):
        await packets(place.session, place.config, "swapi", "2024-12-01")


async def test_what_is_cancelled_leaves_nothing(place: Place) -> None:
    """Neither under a name nor beside it; the next run begins as if there had been none."""
    place.poda.hangs_after = 1  # so that no day is whole
    with anyio.move_on_after(0.2) as scope:
        await place.download("2024-12-01", "2024-12-03", mode="sct")
    assert scope.cancelled_caught
    assert not place.files
    with pytest.raises(DeadlineExceeded, match="making packet files of swapi"):
        await place.download(mode="sct", deadline_s=0.05)
    assert not place.files


RUN = """
import asyncio, sys
from pathlib import Path
from aurora_async import Imap, ImapConfig

async def run(url, folder, key, login, poda):
    config = ImapConfig(base_url=url, data_dir=Path(folder), api_key=key, webpoda_token=login, webpoda_url=poda)
    async with Imap(config) as imap:
        await imap.download_packets("swapi", "2024-12-01", mode="sct")

asyncio.run(run(*sys.argv[1:]))
"""


async def killed(place: Place, is_there: Callable[[], bool]) -> None:
    """Make files in a process of its own, and kill it as soon as something is there."""
    given = (place.archive.base_url, str(place.config.data_dir), KEY, LOGIN, place.poda.base_url)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, *given, env=ENVIRON)
    while not is_there():
        await asyncio.sleep(0.01)
        assert process.returncode is None
    process.kill()
    await process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it cannot be known that a process is gone")
async def test_what_is_killed_leaves_nothing_for_ever(place: Place) -> None:
    """Packets that come have no name yet; of what is put together, the next run sees that it is nobody's any more."""
    first, second = (f"imap/swapi/l0/2024/12/imap_swapi_l0_raw_20241201_v001.000{minor}.pkts" for minor in (1, 2))
    place.poda.hangs_after = 1
    await killed(place, lambda: len(place.poda.asked) == 2)
    assert not place.files
    place.poda.hangs_after = None
    place.keep(Path(first).name, day_of(place)[:-1])

    async def hang(request: web.Request) -> web.StreamResponse:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    place.archive.on("get", hang)  # of the file that the new one is to be compared with
    await killed(place, lambda: len(place.archive.requests("get")) > 0)
    assert any(name.endswith(".part") for name in place.files)
    place.archive.scripts.clear()
    (file,) = await place.download(mode="sct")
    assert file.ok
    assert place.files == [first, second]


async def test_two_runs_make_one_file(place: Place) -> None:
    """The second waits until the first is done with it, and neither takes away what the other is writing."""
    made = await asyncio.gather(place.download(mode="sct"), place.download(mode="sct"))
    assert [(files[0].status, files[0].error) for files in made] == [("new", None)] * 2
    (name,) = place.files
    assert (place.config.data_dir / name).read_bytes() == day_of(place)


async def test_any_other_folder_may_be_in_the_data_directory(place: Place) -> None:
    """Only what would be in the way of a file is."""
    (place.config.data_dir / "packets").mkdir()
    assert (await place.download(mode="sct")).ok


async def test_a_folder_that_cannot_be_written_is_told_first(place: Place) -> None:
    """Before minutes of packets have come."""
    there = place.config.data_dir / "file"
    there.write_bytes(b"")
    with pytest.raises(TargetNotWritable):
        await place.download(folder=there / "below")
    assert not place.poda.asked


async def test_without_a_key_everything_seems_new(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """The archive does not show files of level 0 to everybody; who makes them all again should know why."""
    config = imap_config(
        place.archive.base_url, place.config.data_dir, webpoda_token=LOGIN, webpoda_url=place.poda.base_url
    )
    place.keep("imap_swapi_l0_raw_20241201_v001.0004.pkts", day_of(place))
    (file,) = await download_packets(place.session, config, "swapi", "2024-12-01", mode="sct")
    assert file.path is not None
    assert file.path.name.endswith("_v001.0001.pkts")
    assert "without a key" in caplog.text


async def test_a_file_may_be_larger_than_memory_would_hold(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets go to the disk as they come: never is all of an APID in memory."""
    sizes: list[int] = []

    class Watched(PacketWalk):
        def feed(self, chunk: bytes | bytearray | memoryview) -> None:
            sizes.append(len(chunk))
            super().feed(chunk)

    monkeypatch.setattr("aurora_async.imap._poda.PacketWalk", Watched)
    place.poda.add(ONE, "2024-12-01T07:00:00", size=60_000, count=200)
    (file,) = await place.download(mode="sct")
    assert file.bytes == len(day_of(place)) + 200 * 60_006
    assert sum(sizes) >= 200 * 60_006
    assert max(sizes) <= 1 << 20
