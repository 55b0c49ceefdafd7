"""One table for all questions: ours, the others, the ratio, the target, and whether it was reached."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.measure import Figure

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Row", "Target", "as_json", "show"]


@dataclass(frozen=True)
class Target:
    """What ours is to be: at most, or at least, so much; of a named peer's figure where there is one."""

    bound: Literal["≤", "≥"]
    limit: float
    of: str = ""

    def holds(self, value: float) -> bool:
        """Say whether a figure, or a ratio, is within."""
        return value <= self.limit if self.bound == "≤" else value >= self.limit


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of a question: what ours is, and what others are."""

    question: str
    what: str
    unit: str
    ours: Figure | str
    others: Mapping[str, Figure | str]
    target: Target | None = None
    against: str = ""
    """Whom ours is compared with, where that is neither whom the target names nor the best."""
    more_is_better: bool = False
    apart: bool = False
    """Others do less, or something else: their figures stand beside ours, and are no measure of it."""

    @property
    def peer(self) -> tuple[str, Figure] | None:
        """Whom ours is compared with: the one that is named, else the best of those that are here; or nobody."""
        found = {name: one for name, one in self.others.items() if isinstance(one, Figure) and not self.apart}
        if wanted := (self.target and self.target.of) or self.against:
            named = found.get(wanted)
            return None if named is None else (wanted, named)
        best = max if self.more_is_better else min
        return best(found.items(), key=lambda one: one[1].value, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than the peer."""
        if self.peer is None or isinstance(self.ours, str):
            return None
        more, less = (self.ours, self.peer[1]) if self.more_is_better else (self.peer[1], self.ours)
        return more.value / less.value if less.value else None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None without one, or without what it is measured by."""
        if self.target is None or isinstance(self.ours, str):
            return None
        if not self.target.of:
            return self.target.holds(self.ours.value)
        return None if self.ratio is None else self.target.holds(self.ratio)


def as_json(row: Row) -> dict[str, Any]:
    """Return a row with everything that the table has no room for."""

    def one(figure: Figure | str) -> Any:
        return figure if isinstance(figure, str) else vars(figure)

    return {
        "question": row.question,
        "what": row.what,
        "unit": row.unit,
        "more_is_better": row.more_is_better,
        "ours": one(row.ours),
        "others": {name: one(figure) for name, figure in row.others.items()},
        "compared_with": row.peer and row.peer[0],
        "ratio": row.ratio,
        "target": row.target and {"bound": row.target.bound, "limit": row.target.limit, "of": row.target.of or None},
        "reached": row.reached,
    }


def show(rows: Sequence[Row], caption: str, *, judged: bool = True, width: int | None = None) -> None:
    """Print the table, as wide as the terminal; below are the lines of `caption`.

    `judged` says whether the targets were reached.
    """
    # Others' interpreters, which load this module too, have no rich.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=width, highlight=False)
    wide = (min(console.width, 140) - 5 - sum(_NARROW)) // 2

    def part(cells: Sequence[Sequence[str | Text]]) -> Table:
        """Some lines; all parts have columns of the same width, and the titles between them have the whole width."""
        table = Table.grid(padding=(0, 1, 0, 0))
        for justify, columns in zip(_JUSTIFIED, _widths(wide), strict=True):
            table.add_column(justify=justify, width=columns, overflow="fold")
        for line in cells:
            table.add_row(*line)
        return table

    def line(row: Row) -> list[str | Text]:
        what = f"{row.what}, {row.unit}" if row.unit else row.what
        return [
            textwrap.fill(what, wide, initial_indent="  ", subsequent_indent="  "),
            Text(_shown(row.ours), style="bold") + Text(_spread(row.ours), style="dim"),
            Text("\n").join(_others(row, wide)),
            "" if row.ratio is None else f"{_number(row.ratio)} x",
            _target(row),
            Text(*_MARKS[row.reached if judged else None]),
        ]

    console.print(part([[Text(name, style="dim") for name in ("", "ours", "others", "ratio", "target", "")]]))
    for question in dict.fromkeys(row.question for row in rows):
        console.print(Text(f"\n{question}", style="bold"))
        console.print(part([line(row) for row in rows if row.question == question]))
    console.print(Text(f"\n{caption}", style="dim"))


_JUSTIFIED: Sequence[Literal["left", "right"]] = ("left", "right", "left", "right", "left", "left")
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("", "")}
_NARROW = (11, 8, 8, 1)


def _widths(wide: int) -> tuple[int, ...]:
    ours, ratio, target, mark = _NARROW
    return wide, ours, wide, ratio, target, mark


def _others(row: Row, width: int) -> list[Text]:
    """The one that ours is compared with first, then the others as they are given; figures one below the other."""
    from rich.text import Text

    first = row.peer[0] if row.peer else ""
    names = sorted(row.others, key=lambda name: name != first)
    figures = {name: _shown(one) for name, one in row.others.items() if isinstance(one, Figure)}
    digits = max(map(len, figures.values()), default=0)
    told = {
        name: f"{figures[name]:>{digits}} {name}" if name in figures else f"{'':{digits}} {name}: {row.others[name]}"
        for name in names
    }
    return [
        Text(
            textwrap.fill(told[name], width, subsequent_indent=" " * (digits + 1)), style="" if name == first else "dim"
        )
        for name in names
    ]


def _shown(figure: Figure | str) -> str:
    return figure if isinstance(figure, str) else _number(figure.value)


def _spread(figure: Figure | str) -> str:
    if isinstance(figure, str) or figure.runs < 2:
        return ""
    low, high = (f"{value / 1000:,.0f}k" if value >= 10_000 else _number(value) for value in (figure.low, figure.high))
    return f"\n{low}–{high}"  # noqa: RUF001 - a range


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{row.target.bound} {_number(row.target.limit)}" + (" x" if row.target.of else "")


def _number(value: float) -> str:
    """Return three digits of it, and those before them."""
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    places = next((places for places, below in ((3, 0.1), (2, 10), (1, 100)) if abs(value) < below), 0)
    return f"{value:,.{places}f}"
