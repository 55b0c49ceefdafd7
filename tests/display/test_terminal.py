"""What is drawn fits the terminal it is drawn on."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from aurora_async import Event, EventKind
from aurora_async.display import Tally
from aurora_async.display.terminal import MARKS, PLAIN_MARKS, drawn, live, summary
from aurora_async.errors import RequestFailed

ID = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"
SIZES = [(120, 40), (80, 24), (60, 24), (50, 24), (40, 24), (40, 10), (20, 6)]


def some(number: int, total: dict[str, int] | None = None, *, clock_s: float = 754.0) -> Tally:
    """A tally of requests in all states, long under way."""
    now = 0.0
    tally = Tally(total, clock=lambda: now)
    kinds = [kind for kind in EventKind if kind is not EventKind.LEFT]
    for index in range(number):
        service = ("conjunctions", "data_products")[index % 2]
        request_id = f"{index:08d}{ID[8:]}"
        error = RequestFailed(request_id, "the disk of the server\nis full, and nobody\tis there to empty it")
        for kind in (EventKind.SUBMITTED, EventKind.POLLED, kinds[index % len(kinds)]):
            tally.hear(Event(kind=kind, request_id=request_id, service=service, bytes=123_456_789, error=error))
        now += 0.01
    now = clock_s
    return tally


@pytest.mark.parametrize("marks", [MARKS, PLAIN_MARKS], ids=["utf-8", "ascii"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", [0, 1, 3, 40, 1000])
def test_no_line_is_wider_and_no_picture_higher_than_the_terminal(
    number: int, size: tuple[int, int], marks: object
) -> None:
    """A line that wraps is redrawn as two, and the display jumps."""
    width, height = size
    signs = MARKS if marks is MARKS else PLAIN_MARKS
    for total in (None, {"conjunctions": 5000, "data_products": 5000}):
        lines = drawn(some(number, total).progress(), width, height, signs)
        assert lines
        assert max(line.cell_len for line in lines) <= width
        assert len(lines) < height
        assert not any("\n" in line.plain or "\t" in line.plain for line in lines)
        if signs is PLAIN_MARKS:
            assert all(line.plain.isascii() for line in lines)


def test_many_requests_are_sums_the_slowest_and_the_last_errors() -> None:
    """What somebody who waits for hours wants to know, whatever their number."""
    tally = some(1000, {"conjunctions": 5000, "data_products": 5000})
    text = [line.plain for line in drawn(tally.progress(), 80, 24, MARKS)]
    assert text[0].split(" · ")[0].endswith("375 of 10,000 ended")
    assert re.findall(r"\d+/5,000", " ".join(text)) == ["125/5,000", "250/5,000"]
    assert "9,000 to come" in "\n".join(text)
    assert text[text.index("  slowest:") + 1].split()[:2] == ["conjunctions", "00000000"]
    assert text[-1].startswith("✗ request 00000998 failed on the server: the disk of the server is full")


def test_few_requests_have_a_line_each() -> None:
    """In the order in which they were made, also those that are over."""
    text = [line.plain for line in drawn(some(9).progress(), 80, 24, PLAIN_MARKS)]
    assert [f"0000000{number}" in line for number, line in enumerate(text[:9])] == [True] * 9
    assert text[9].strip().startswith("3 ended")


@pytest.mark.parametrize("width", [40, 50, 60, 71, 72, 80, 99, 100])
def test_a_search_takes_one_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """With columns as wide as they get in a long search."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    now = 0.0
    tally = Tally({"data_products": 1}, clock=lambda: now)
    terminal = Terminal()
    with live(tally, Console(file=terminal, width=width, height=24, color_system=None)):
        for kind, count in ((EventKind.SUBMITTED, 1), (EventKind.POLLED, 123), (EventKind.BYTES, 1)):
            for _ in range(count):
                tally.hear(Event(kind=kind, request_id=ID, service="data_products", bytes=123_456_789))
        now = 754.0
        terminal.seek(0)
        terminal.truncate()
    drawn_text = terminal.getvalue()
    assert "data products" in drawn_text and "12 min 34 s" in drawn_text
    assert "…" not in drawn_text
    assert drawn_text.count("\n") == 1  # the one behind it, when the display ends


def test_names_that_somebody_has_chosen_are_not_cut_like_identifiers() -> None:
    """Files are fetched under their names."""
    tally = Tally(2)
    tally.hear(Event(kind=EventKind.BYTES, request_id="20200101__0000_fsmi_keogram.png", service="file", bytes=1))
    tally.hear(Event(kind=EventKind.BYTES, request_id=ID, service="file", bytes=1))
    text = [line.plain for line in drawn(tally.progress(), 99, 24, MARKS)]
    assert "file 20200101__0000_fsmi_keogram.png fetching" in text[0]
    assert f"file {ID[:8]} " in text[1]


@pytest.mark.parametrize("width", [100, 80, 50])
def test_a_long_label_leaves_room_for_what_follows(width: int) -> None:
    """How far the request is matters more than the end of its name."""
    tally = Tally({"export": 1})
    label = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z][171,193][? EXPTIME < 2 ?]{image}"
    tally.hear(Event(kind=EventKind.RUNNING, request_id="quick:aia", service="export", label=label))
    (line,) = (line.plain for line in drawn(tally.progress(), width, 24, MARKS))
    assert "export aia.lev1_euv_12s" in line or width < 60
    assert "running" in line
    assert line.endswith(" s") and len(line) <= width


def test_the_summary_tells_what_came_of_it() -> None:
    """Also what was never begun."""
    text = summary(some(8, {"conjunctions": 10}).progress()).plain
    assert text.startswith("8 requests in 12 min 34 s: 2 waiting, 1 running, 1 ready, 1 fetching, 1 done, 1 failed, ")
    assert "1 cancelled, 2 not begun, 123.5 MB" in text


class Terminal(io.StringIO):
    """Like one, to whoever asks."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True
