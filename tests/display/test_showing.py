"""`show_progress`, wherever a program runs."""

from __future__ import annotations

import io

import pytest
from support.scripted import Scripted, a_query, client_of, serving

from aurora_async import show_progress


async def test_it_shows_what_a_client_does_and_what_came_of_it() -> None:
    """In a log: begin and end of each request."""
    log = io.StringIO()
    async with serving(Scripted()) as scripted, client_of(scripted) as client:
        with show_progress(client, total=1, file=log) as tally:
            (record, *_) = await client.conjunctions.search(a_query())
    assert record
    lines = log.getvalue().splitlines()
    assert lines[0].endswith(": submitted") and lines[-1].endswith(": done, 3 records")
    assert tally.progress().states["done"] == 1


async def test_a_terminal_keeps_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that were drawn over are gone at the end."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    async with serving(Scripted()) as scripted, client_of(scripted) as client:
        with show_progress(client, file=terminal):
            async for outcome in client.run([a_query(1), a_query(2)]):
                outcome.unwrap()
    last = terminal.getvalue().splitlines()[-1]
    assert "2 requests in " in last and "2 done" in last


class Terminal(io.StringIO):
    """Like one, to whoever asks."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True
