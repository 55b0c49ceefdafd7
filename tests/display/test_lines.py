"""Without a terminal: lines for a log, few even when there are many requests."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from aurora_async import Event, EventKind
from aurora_async.display import Tally
from aurora_async.display.lines import Lines
from aurora_async.errors import RequestFailed


class Log:
    """A tally and its lines, by a clock that goes on when it is told to."""

    def __init__(self, total: int | None = None, file: Any = None, **how: Any) -> None:
        self.now = 0.0
        self.file = io.StringIO() if file is None else file
        self.tally = Tally(total, clock=lambda: self.now)
        self.lines = Lines(self.tally, self.file, **how)

    def tell(self, kind: EventKind, request_id: str = "a", **facts: Any) -> None:
        """Let something happen."""
        event = Event(kind=kind, request_id=request_id, service="data_products", **facts)
        self.tally.hear(event)
        self.lines.hear(event)

    def after(self, seconds: float) -> list[str]:
        """Return the lines that are written when time has gone on, without their times."""
        self.now += seconds
        self.lines.tick()
        return self.taken()

    def taken(self) -> list[str]:
        """Return what is written."""
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        assert all(re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ", line) for line in text.splitlines())
        return [line[22:] for line in text.splitlines()]


def test_each_event_of_note_is_a_line() -> None:
    """Looks and byte counts are not."""
    log = Log()
    kinds = (EventKind.SUBMITTED, EventKind.POLLED, EventKind.RUNNING, EventKind.READY, EventKind.BYTES)
    for kind in kinds:
        log.tell(kind)
    log.tell(EventKind.DONE, records=66)
    log.tell(EventKind.FAILED, "b", error=RequestFailed("b", "out of disk"))
    said = ["submitted", "running", "ready", "done, 66 records"]
    assert log.after(0.3) == [
        *(f"data products a: {what}" for what in said),
        "data products b: failed: request b failed on the server: out of disk",
    ]


def test_a_request_is_called_by_what_people_know_it_by() -> None:
    """An identifier that a service never gave says little."""
    log = Log()
    log.tell(EventKind.RUNNING, "quick:m_720s%5B2013", label="m_720s[2013]")
    assert log.after(0.3) == ["data products m_720s[2013]: running"]
    assert log.after(12) == ["data products m_720s[2013]: running since 12.3 s"]


def test_how_it_ends_may_be_left_to_the_caller() -> None:
    """A command prints a sentence of its own."""
    log = Log(ends=False)
    log.tell(EventKind.SUBMITTED)
    log.tell(EventKind.DONE)
    log.lines.end()
    assert log.taken() == ["data products a: submitted"]


def test_a_long_silence_is_broken() -> None:
    """A log that says nothing looks like a program that hangs."""
    log = Log()
    log.tell(EventKind.RUNNING)
    log.tell(EventKind.BYTES, bytes=5000)
    assert len(log.after(1)) == 1
    assert log.after(9) == []
    assert log.after(2) == ["data products a: fetching since 12.0 s, 5.0 kB fetched"]


def test_thousands_are_told_in_sums_and_some_errors() -> None:
    """An hour of thousands of requests, most of which fail, is some hundred lines, not thirty thousand."""
    log = Log(2000)
    lines = []
    for number in range(2000):
        for kind in (EventKind.SUBMITTED, EventKind.READY, EventKind.FAILED if number % 3 else EventKind.DONE):
            log.tell(kind, str(number), error=RuntimeError("no"))
        lines += log.after(1.8)
    log.lines.end()
    lines += log.taken()
    assert 100 < len(lines) < 800
    sums = [line for line in lines if " ended " in line]
    pattern = r"[\d,]+ of 2,000 ended after .* s \(.* to come, .* done, .* failed\), .*/min, about .* left"
    assert re.fullmatch(pattern, sums[5])
    assert sums[-1].startswith("2,000 of 2,000 ended after 1 h 00 min (667 done, 1,333 failed)")
    assert {line for line in lines if " ended " not in line} <= {
        f"data products {number}: failed: no" for number in range(2000)
    }


def test_a_failure_that_several_hands_tell_is_one_line() -> None:
    """Submitting, looking and giving up meet the same server that is away; one that comes to life may fail again."""
    log = Log()
    for _ in range(3):
        log.tell(EventKind.FAILED, error=RuntimeError("no"))
    assert log.after(1) == ["data products a: failed: no"]
    log.tell(EventKind.RUNNING)
    log.tell(EventKind.FAILED, error=RuntimeError("no"))
    assert log.after(1) == ["data products a: running", "data products a: failed: no"]


def test_the_last_sum_promises_nothing_and_counts_no_request_that_was_left_as_ended() -> None:
    """After Ctrl-C nothing goes on here, and what was under way goes on at the server."""
    log = Log(100)
    for number in range(40):
        log.tell(EventKind.SUBMITTED, str(number))
    for number in range(40):
        log.now += 1
        log.tell(EventKind.DONE if number < 34 else EventKind.LEFT, str(number))
    assert re.search(r"34 of 100 ended .* left$", log.after(0)[0])
    log.lines.end()
    assert log.taken() == ["34 of 100 ended after 40.0 s (60 to come, 34 done, 6 left)"]


def test_what_the_encoding_lacks_is_escaped() -> None:
    """A minus sign in a server's message must not be what the lines die of."""
    raw = io.BytesIO()
    log = Log(file=io.TextIOWrapper(raw, encoding="ascii"))
    log.tell(EventKind.FAILED, error=RuntimeError("-1 \u2212 2\nsecond line"))
    log.now = 1.0
    log.lines.tick()
    assert raw.getvalue()[22:] == b"data products a: failed: -1 \\u2212 2 second line\n"


class Gone(io.StringIO):
    """A stderr whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def close(self) -> None:
        pass


@pytest.mark.parametrize("file", [Gone(), None], ids=["broken", "closed"])
def test_a_file_that_is_gone_stops_the_lines_and_nothing_else(file: Any) -> None:
    """Progress is the least important thing that a program does."""
    log = Log(file=file)
    log.file.close()
    log.tell(EventKind.SUBMITTED)
    log.now = 1.0
    log.lines.tick()
    log.lines.end()
