"""Raw packets: their times, the packets themselves, and that the archive's files hold the same."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from support.imap_asking import ImapAsker, serving

from aurora_async.imap.vocabulary import APIDS, BUFFERS_MIN

LOGIN = {"Authorization": f"Basic {base64.b64encode(b'demo:demo').decode()}"}
TIMES = "&project(time)&formatTime(\"yyyy-MM-dd'T'HH:mm:ss\")"
DAY = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK_ZERO = datetime(2010, 1, 1, tzinfo=UTC)


def query(what: str, start: datetime, end: datetime, rest: str) -> str:
    """Write a query as the official client does."""
    first, last = (f"{moment:%Y-%m-%dT%H:%M:%S.%f}" for moment in (start, end))
    return quote(f"{what}>={first}&{what}<{last}{rest}", safe="=&(),:'-.")


async def packets(asker: ImapAsker, apid: int, start: datetime, end: datetime) -> bytes:
    """Return the packets of a time."""
    file = f"/poda/dap2/apids/SID1/apid_{apid}.bin"
    answer = await asker.ask(f"{file}?{query('time', start, end, '&project(packet)')}", **LOGIN)
    assert answer.status == 200, answer.text
    return answer.body


def read(content: bytes) -> Iterator[tuple[int, datetime]]:
    """Yield identifier and time of each packet, taken apart by its own headers."""
    at = 0
    while at < len(content):
        head, sequence, length = struct.unpack_from(">HHH", content, at)
        (clock_s,) = struct.unpack_from(">I", content, at + 6)
        assert head >> 11 == 0b00001 and sequence >> 14 == 0b11
        yield head & 0x7FF, CLOCK_ZERO + timedelta(seconds=clock_s)
        at += 7 + length
    assert at == len(content)


async def test_times_are_those_of_the_packets(tmp_path: Path) -> None:
    """By the time of the spacecraft for packets, by that of their reception for the list, which is later."""
    apid = APIDS["swe"][0]
    async with serving(tmp_path, published=False) as asker:
        found = list(read(await packets(asker, apid, DAY, DAY + timedelta(hours=2))))
        file = f"/poda/dap2/apids/SID1/apid_{apid}.txt"
        listed = await asker.ask(f"{file}?{query('ert', DAY, DAY + timedelta(hours=2), TIMES)}", **LOGIN)
    assert {number for number, _ in found} == {apid} and len(found) == 12
    times = [datetime.fromisoformat(line).replace(tzinfo=UTC) for line in listed.text.split()]
    assert len(times) == 12 and times[2:] == [moment for _, moment in found[:-2]]
    assert times[0] < DAY


async def test_the_file_of_a_day_holds_what_the_packet_service_has(tmp_path: Path) -> None:
    """All packets in the order of their identifiers, with those of the minutes before and after."""
    margin = timedelta(minutes=BUFFERS_MIN["swe"])
    async with serving(tmp_path) as asker:
        rows = await asker.rows("instrument=swe&data_level=l0&descriptor=raw")
        day = datetime.strptime(rows[0]["start_date"], "%Y%m%d").replace(tzinfo=UTC)
        span = (day - margin, day + timedelta(days=1) + margin)
        parts = [await packets(asker, apid, *span) for apid in APIDS["swe"]]
        assert (await asker.get(rows[0]["file_path"])).body == b"".join(parts)


async def test_nothing_comes_from_the_future(tmp_path: Path) -> None:
    """A day without packets is an empty answer, and no error."""
    start = datetime.now(UTC) + timedelta(days=1)
    async with serving(tmp_path, published=False) as asker:
        assert await packets(asker, APIDS["mag"][0], start, start + timedelta(days=1)) == b""


async def test_only_who_may_is_answered_and_only_what_there_is(tmp_path: Path) -> None:
    """The packet service has logins of its own: IMAP's keys and tokens mean nothing there."""
    file = "/poda/dap2/apids/SID1/apid_1052.bin"
    async with serving(tmp_path, published=False) as asker:
        for headers in ({}, {"x_api_key": "imap-demo-key"}, {"Authorization": "Bearer imap-demo-token"}):
            answer = await asker.ask(f"{file}?project(packet)", **headers)
            assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic ")
        for path in (file.replace("1052", "1"), file.replace("SID1", "SID9"), file.replace(".bin", ".csv")):
            assert (await asker.ask(path, **LOGIN)).status == 404
        for odd in ("time%3E=yesterday", "project(time)", "drop%20table"):
            assert (await asker.ask(f"{file}?{odd}", **LOGIN)).status == 400
