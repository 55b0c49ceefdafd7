"""The live display fits the terminal it is drawn on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aurora_async.cli.progress import Tally, shown
from aurora_async.engine import Event, EventKind, Events

ID = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"


class Terminal(io.StringIO):
    """Like one, to whoever asks."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [50, 60, 71, 72, 80, 99, 100])
def test_a_search_takes_one_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """With columns as wide as they get in a long search; a line that wraps is redrawn as two, and the display jumps."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    now = 0.0
    tally, events = Tally({"data_products": 1}, clock=lambda: now), Events()
    terminal = Terminal()
    console = Console(file=terminal, width=width, height=24, color_system=None)
    with shown(console, tally, events):
        for kind, count in ((EventKind.SUBMITTED, 1), (EventKind.POLLED, 123), (EventKind.BYTES, 1)):
            for _ in range(count):
                events.emit(Event(kind=kind, request_id=ID, service="data_products", bytes=123_456_789))
        now = 754.0
        terminal.seek(0)
        terminal.truncate()
    drawn = terminal.getvalue()
    assert "data products" in drawn and "12 min 34 s" in drawn
    assert "…" not in drawn
    assert drawn.count("\n") == 1  # the one behind it, when the display ends
