"""Progress on a terminal: lines that are drawn over, never wider than it is and never more than fit on it.

Drawing is a pure function of a `Progress`; rich only places the lines and knows the colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import attrs
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from aurora_async.display import numbers
from aurora_async.display.phrases import states, sums
from aurora_async.display.tally import Failure, Progress, Row, Tally, words

__all__ = ["MARKS", "PLAIN_MARKS", "Marks", "drawn", "is_live", "live"]

_STYLES = {
    "waiting": "dim", "running": "cyan", "ready": "blue", "fetching": "blue", "done": "green", "failed": "bold red",
    "cancelled": "yellow", "left": "yellow",
}  # fmt: skip
_NARROW = 60
_ROOMY = 72
_WIDE = 100
_REDRAWN_PER_S = 8
_WIDEST_BAR = 40
_SLOWEST = 5
_NAME = 18
"""Characters that a name keeps in any case: those of JSOC's identifiers differ at the end."""
_SLOW_S = 2.0
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@attrs.frozen
class Marks:
    """The signs that lines are made of, which not every terminal's encoding has."""

    over: dict[str, str]
    spinner: str
    bar: str
    rest: str
    dot: str
    cut: str


MARKS = Marks({"done": "✓", "failed": "✗", "cancelled": "■", "left": "■"}, "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "─", " · ", "…")
PLAIN_MARKS = Marks({"done": "+", "failed": "x", "cancelled": "-", "left": "-"}, "-\\|/", "#", ".", ", ", "...")


def is_live(console: Console) -> bool:
    """True when lines can be drawn over: a terminal that understands how, also when FORCE_COLOR colours a pipe."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


def marks_for(console: Console) -> Marks:
    """Return the signs that a console can show."""
    return MARKS if console.encoding.lower().replace("-", "").startswith("utf") else PLAIN_MARKS


@contextmanager
def live(tally: Tally, console: Console, *, leave: bool = False) -> Iterator[None]:
    """Draw until the block ends; `leave` a line that says what came of it.

    It is drawn in a thread of its own: a terminal that is stopped (Ctrl-S) must not stop the event loop.
    """
    view = _View(tally, marks_for(console))
    with Live(view, console=console, transient=True, refresh_per_second=_REDRAWN_PER_S):
        yield
    if leave:
        with suppress(OSError):
            console.print(summary(tally.progress()), soft_wrap=True)


class _View:
    """What rich draws, again and again."""

    def __init__(self, tally: Tally, marks: Marks) -> None:
        self._tally = tally
        self.marks = marks

    def __rich_console__(self, console: Console, options: object) -> Iterator[RenderableType]:
        lines = drawn(self._tally.progress(slowest=_SLOWEST), console.width, console.height, self.marks)
        yield Text("\n").join(lines)


def drawn(progress: Progress, width: int, height: int, marks: Marks) -> list[Text]:
    """Return the lines: one for each request while they fit, and sums, the slowest and the last errors if not."""
    spinner = Text(marks.spinner[int(progress.elapsed_s * _REDRAWN_PER_S) % len(marks.spinner)], "cyan")
    if not progress.begun:
        seconds = _dim(numbers.duration(progress.elapsed_s))
        return _cut([Text.assemble(spinner, f" {progress.opening} {marks.cut} ", seconds)], width, marks)
    most = max(height - 4, 1)
    count = max(progress.begun, progress.total or 0)
    if count <= most and len(progress.rows) == progress.begun:
        lines = [
            Text.assemble(spinner if row.until is None else Text(marks.over[row.state], _STYLES[row.state]), " ", line)
            for row, line in zip(progress.rows, _of(progress.rows, progress, width - 2), strict=True)
        ]
        if count > 1:
            lines += _flow(_sums(progress), width, marks, Text("  "))
        return _cut(lines, width, marks)
    lines = _flow(_sums(progress), width, marks, Text.assemble(spinner, " "))
    if len(progress.kinds) > 1 or progress.total:
        lines += _bars(progress, width, marks)
    lines += _flow(_states(progress), width, marks, Text("  "))
    room = max(most - len(lines), 0)
    errors = progress.errors[-(room // 2) :] if room > 1 else []
    slow = [row for row in progress.slowest if row.seconds(progress.now) >= _SLOW_S][: max(room - len(errors) - 1, 0)]
    if slow:
        lines.append(_dim("  slowest:"))
        lines += [Text("  ") + line for line in _of(slow, progress, width - 2)]
    lines += [_error(failure, width, marks) for failure in errors]
    return _cut(lines[:most], width, marks)


def summary(progress: Progress) -> Text:
    """Return one line about a run that is over."""
    parts = _states(attrs.evolve(progress, total=None))
    not_begun = (progress.total or 0) - progress.begun
    if not_begun > 0:
        parts.append(Text(f"{not_begun:,} not begun", "yellow"))
    if progress.bytes:
        parts.append(_dim(numbers.size(progress.bytes)))
    said = f"{numbers.plural(progress.begun, 'request')} in {numbers.duration(progress.elapsed_s)}"
    return Text.assemble(said, ": " if parts else "", Text(", ").join(parts))


def _sums(progress: Progress) -> list[Text]:
    return [Text(text, "dim" if text[0].isdigit() and number else "") for number, text in enumerate(sums(progress))]


def _states(progress: Progress) -> list[Text]:
    return [Text(text, _STYLES.get(state, "dim")) for state, text in states(progress)]


def _bars(progress: Progress, width: int, marks: Marks) -> list[Text]:
    names = [words(kind.name) for kind in progress.kinds]
    counts = [f"{kind.ended:,}/{kind.total:,}" if kind.total else f"{kind.ended:,}" for kind in progress.kinds]
    sizes = [numbers.size(kind.bytes) if kind.bytes else "" for kind in progress.kinds]
    if width < _NARROW:
        sizes = [""] * len(sizes)
    widths = [max(map(len, texts), default=0) for texts in (names, counts, sizes)]
    room = min(width - sum(widths) - 6 - (2 if widths[2] else 0), _WIDEST_BAR)
    lines = []
    for kind, name, count, size in zip(progress.kinds, names, counts, sizes, strict=True):
        line = Text(f"  {name.ljust(widths[0])}  ")
        if room >= 4 and any(one.total for one in progress.kinds):
            share = min(kind.ended / kind.total, 1) if kind.total else 0
            full = int(room * share)
            line.append(marks.bar * full, "green" if share == 1 else "cyan")
            line.append(marks.rest * (room - full) if kind.total else " " * room, "dim")
            line.append("  ")
        line.append(count.rjust(widths[1]))
        if widths[2]:
            line.append("  " + size.rjust(widths[2]), "dim")
        lines.append(line)
    return lines


def _of(rows: Sequence[Row], progress: Progress, width: int) -> list[Text]:
    """Return a line for each request, with what there is room for, in columns."""
    times = [numbers.duration(row.seconds(progress.now)) for row in rows]
    longest = max(map(len, times), default=0)
    kinds = max((len(words(kind.name)) for kind in progress.kinds), default=0)
    # Where it is wide, a UUID is whole; a record set may be longer, and must leave room for what follows.
    room = width // 2 if width >= _WIDE - 2 else max(width // 3, _NAME)
    names = [(row.label if width >= _WIDE - 2 else _short(row.label))[:room] for row in rows]
    longest_name = max(map(len, names), default=0)
    are_looked_at = any(row.looks for row in rows)  # files never are
    lines = []
    for row, name, time in zip(rows, names, times, strict=True):
        line = Text(words(row.kind).ljust(kinds))
        if width >= _NARROW - 12:
            line.append(f" {name:{longest_name}}", "dim")
        line.append(f" {row.state:9}", _STYLES[row.state])
        if width >= _ROOMY - 2:
            if are_looked_at:
                looked = "looked once" if row.looks == 1 else f"looked {row.looks:,} times"
                line.append(f" {looked:16}", "dim")
            line.append(f" {numbers.size(row.bytes) if row.bytes else '':>8}")
        line.append(f" {time:>{longest}}", "dim")
        lines.append(line)
    return lines


def _error(failure: Failure, width: int, marks: Marks) -> Text:
    request_id, text = failure.request_id, " ".join(failure.text.split())
    who = f"{words(failure.kind)} {_short(failure.label)}".rstrip() + ": "
    if request_id and request_id in text:  # the error names it
        who = ""
        text = text if width >= _WIDE else text.replace(request_id, _short(request_id))
    return Text.assemble((marks.over["failed"], _STYLES["failed"]), f" {who}", (text, "red"))


def _short(request_id: str) -> str:
    """The beginning of a UUID tells it from others; a name that somebody has chosen is left as it is."""
    return request_id[:8] if _UUID.fullmatch(request_id) else request_id


def _flow(parts: Sequence[Text], width: int, marks: Marks, begin: Text) -> list[Text]:
    """Put parts side by side with dots between them, on as many lines as that takes."""
    lines = [begin]
    fresh = True
    for part in parts:
        if not fresh and lines[-1].cell_len + len(marks.dot) + part.cell_len > width:
            lines.append(Text("  "))
            fresh = True
        lines[-1] = Text.assemble(lines[-1], "" if fresh else (marks.dot, "dim"), part)
        fresh = False
    return lines if parts else []


def _cut(lines: Iterable[Text], width: int, marks: Marks) -> list[Text]:
    """Shorten what is too wide: a line that wraps is redrawn as two, and the display jumps."""
    cut = []
    for line in lines:
        if line.cell_len > width:
            line = line.copy()
            line.truncate(max(width - len(marks.cut), 1))
            line.append(marks.cut)
        cut.append(line)
    return cut


def _dim(text: str) -> Text:
    return Text(text, "dim")
