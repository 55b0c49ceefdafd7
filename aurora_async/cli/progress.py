"""What is shown while searches are under way: a live display on a terminal, lines with timestamps elsewhere.

Both are fed by the client's events and nothing else. They go to stderr, and a stderr that is gone stops them, not the
search.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from aurora_async.cli import numbers
from aurora_async.cli.screen import is_live, words

if TYPE_CHECKING:
    from aurora_async.engine import Event, Events

__all__ = ["STATES", "Row", "Tally", "shown"]

STATES = ("waiting", "running", "fetching", "done", "failed")
_STYLES = {"waiting": "dim", "running": "cyan", "fetching": "blue", "done": "green", "failed": "bold red"}
_MARKS = {"waiting": "·", "running": "·", "fetching": "↓", "done": "✓", "failed": "✗"}
_PLAIN_MARKS = {"waiting": ".", "running": ".", "fetching": "v", "done": "+", "failed": "x"}
_NARROW = 60
_ROOMY = 72
_WIDE = 100
_LINES_EVERY_S = 2.0
_STILL_AFTER_S = 10.0


@attrs.define
class Row:
    """One search, as far as events have told."""

    kind: str
    request_id: str
    since: float
    state: str = "waiting"
    looks: int = 0
    bytes: int = 0
    records: int | None = None
    until: float | None = None

    def seconds(self, now: float) -> float:
        """How long it has taken, or took."""
        return (now if self.until is None else self.until) - self.since


class Tally:
    """Counts what events tell. `totals` says how many searches of each kind there will be; `clock` is in seconds."""

    def __init__(self, totals: dict[str, int] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.began = clock()
        self.rows: dict[str, Row] = {}
        self.totals = totals or {}
        self.states = dict.fromkeys(STATES, 0)
        self.bytes = 0

    @property
    def total(self) -> int:
        """How many searches there will be, as far as is known."""
        return max(sum(self.totals.values()), len(self.rows))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self.began

    def row_of(self, event: Event) -> Row:
        """Return what an event is about."""
        row = self.rows.get(event.request_id)
        if row is None:
            row = self.rows[event.request_id] = Row(event.service, event.request_id, self.clock())
            self.states[row.state] += 1
        return row

    def hear(self, event: Event) -> None:
        """Take in an event."""
        row = self.row_of(event)
        match event.kind.value:
            case "polled":
                row.looks += 1
            case "running":
                self._move(row, "running")
            case "ready":
                if event.status is not None:
                    row.records = event.status.records
                self._move(row, "fetching")
            case "bytes":
                # A transfer that is made again begins at nothing: what it repeats is counted once.
                self.bytes += max(event.bytes - row.bytes, 0)
                row.bytes = max(event.bytes, row.bytes)
                self._move(row, "fetching")
            case "done" | "failed" as end:
                row.records = row.records if event.records is None else event.records
                row.until = self.clock()
                self._move(row, end)

    def _move(self, row: Row, state: str) -> None:
        if row.state != state:
            self.states[row.state] -= 1
            self.states[state] += 1
            row.state = state


@contextmanager
def shown(console: Console, tally: Tally, events: Events, *, quiet: bool = False) -> Iterator[None]:
    """Show on `console` what happens to requests until the block ends. What is to stay there, the caller prints."""
    if quiet:
        with events.subscribe(tally.hear):
            yield
    elif is_live(console):
        # The display draws itself in a thread of its own: a terminal that is stopped (Ctrl-S) must not stop the loop.
        view = _View(tally, console)
        with (
            events.subscribe(tally.hear),
            Live(view, console=console, transient=True, refresh_per_second=8),
        ):
            yield
    else:
        with events.subscribe(_Lines(tally, console).hear):
            yield


class _View:
    """The live display: a line for each search while they fit, and a line for each kind of search when they do not."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally = tally
        self._spinner = Spinner("dots" if _speaks_utf8(console) else "line", style="cyan")
        self._marks = _MARKS if _speaks_utf8(console) else _PLAIN_MARKS

    def __rich_console__(self, console: Console, options: object) -> Iterator[RenderableType]:
        tally = self._tally
        if not tally.rows:
            yield self._sentence("submitting", tally.elapsed_s)
        elif tally.total <= max(console.height - 4, 1):
            yield self._lines(console.width)
        else:
            yield self._sums(console.width)

    def _sentence(self, text: str, seconds: float) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(self._spinner, f"{text} …", Text(numbers.duration(seconds), style="dim"))
        return grid

    def _lines(self, width: int) -> RenderableType:
        now = self._tally.clock()
        grid = Table.grid(padding=(0, 1))
        for row in list(self._tally.rows.values()):
            mark = self._spinner if row.until is None else Text(self._marks[row.state], style=_STYLES[row.state])
            cells: list[RenderableType] = [
                mark,
                words(row.kind),
                Text(row.request_id if width >= _WIDE else row.request_id[:8], style="dim"),
                Text(row.state.ljust(8), style=_STYLES[row.state]),
            ]
            if width >= _ROOMY:
                cells.append(Text(_looked(row.looks), style="dim"))
                cells.append(Text(numbers.size(row.bytes).rjust(8) if row.bytes else " " * 8))
            cells.append(Text(numbers.duration(row.seconds(now)).rjust(6), style="dim"))
            grid.add_row(*cells)
        for column in grid.columns:
            column.no_wrap = True
        return grid

    def _sums(self, width: int) -> RenderableType:
        tally = self._tally
        done, size = Counter[str](), Counter[str]()
        for row in list(tally.rows.values()):
            done[row.kind] += row.until is not None
            size[row.kind] += row.bytes
        totals = tally.totals or Counter(row.kind for row in list(tally.rows.values()))
        room = width - (36 if width >= _NARROW else 24)
        grid = Table.grid(padding=(0, 1))
        for kind, total in totals.items():
            bar = ProgressBar(
                total=total,
                completed=done[kind],
                width=max(min(room, 40), 4),
                complete_style="cyan",
                finished_style="green",
            )
            cells: list[RenderableType] = [words(kind), bar, f"{done[kind]:,}/{total:,}".rjust(7)]
            if width >= _NARROW:
                cells.append(Text(numbers.size(size[kind]).rjust(8), style="dim"))
            grid.add_row(*cells)
        states = Text(" · ").join(
            Text(f"{number:,} {state}", style=_STYLES[state]) for state, number in self._states() if number
        )
        sums = Text(numbers.duration(tally.elapsed_s))
        if tally.bytes:
            traffic = f" · {numbers.size(tally.bytes)} at {numbers.rate(tally.bytes, tally.elapsed_s)}"
            sums.append(traffic, style="dim")
        return Group(grid, states, sums)

    def _states(self) -> list[tuple[str, int]]:
        unsubmitted = self._tally.total - len(self._tally.rows)
        return [("waiting", self._tally.states["waiting"] + unsubmitted), *list(self._tally.states.items())[1:]]


class _Lines:
    """Plain lines: each change of a search while they are few, sums every two seconds when they are many."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally = tally
        self._console = console
        self._last = tally.clock()

    def hear(self, event: Event) -> None:
        """Take in an event, and print what is worth a line."""
        self._tally.hear(event)
        row = self._tally.row_of(event)
        text = self._of_many() if self._tally.total > 3 else self._of_one(event.kind.value, row)
        if text:
            self._last = self._tally.clock()
            self._print(text)

    def _of_one(self, what: str, row: Row) -> str:
        name = f"{words(row.kind)} {row.request_id}"
        match what:
            case "submitted":
                return f"{name}: submitted"
            case "running":
                return f"{name}: running"
            case "ready":
                records = "" if row.records is None else f", {numbers.plural(row.records, 'record')}"
                return f"{name}: ready{records} ({_looked(row.looks)})"
            case "polled" if self._tally.clock() - self._last >= _STILL_AFTER_S:
                return f"{name}: {row.state} since {numbers.duration(row.seconds(self._tally.clock()))}"
            case "bytes" if self._tally.clock() - self._last >= _LINES_EVERY_S:
                return f"{name}: {numbers.size(row.bytes)} fetched"
        return ""  # the end is told by whoever asked

    def _of_many(self) -> str:
        tally = self._tally
        if tally.clock() - self._last < _LINES_EVERY_S:
            return ""
        ended = tally.states["done"] + tally.states["failed"]
        states = ", ".join(f"{number:,} {state}" for state, number in tally.states.items() if number)
        return f"{ended:,} of {tally.total:,} searches over ({states}), {numbers.size(tally.bytes)}"

    def _print(self, text: str) -> None:
        with suppress(OSError):
            moment = datetime.now().isoformat(sep=" ", timespec="seconds")
            self._console.print(f"[{moment}] {text}", soft_wrap=True)


def _looked(times: int) -> str:
    return "looked once" if times == 1 else f"looked {times:,} times"


def _speaks_utf8(console: Console) -> bool:
    return console.encoding.lower().replace("-", "").startswith("utf")
