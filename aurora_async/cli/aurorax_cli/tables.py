"""Tables of plain text: a header, a double line, rows; columns as wide as their longest cell."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import cycle, zip_longest
from typing import Any

__all__ = ["MAX_WIDTH", "missing_first", "table", "wrapped"]

MAX_WIDTH = 400
"""Characters in a line; what is wider is folded inside its column."""

_GAP = 3


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, ordered_by: str = "") -> str:
    """Draw a table. Cells may have several lines; the column `ordered_by` (`display_name`) gets an arrow."""
    titles = [f"{title} ↓" if title.lower().replace(" ", "_") == ordered_by else title for title in header]
    cells = [titles, *([str(cell) for cell in row] for row in rows)]
    widths = _widths([max(map(_longest_line, column)) for column in zip(*cells, strict=True)])
    drawn = [_drawn(row, widths) for row in cells]
    drawn.insert(1, ("=" * _GAP).join("=" * width for width in widths))
    return "\n".join(drawn)


def wrapped(text: str, width: int) -> str:
    """Fold a text into lines."""
    return "\n".join(textwrap.wrap(text, width))


def missing_first(value: Any) -> tuple[bool, Any]:
    """Make a key to sort a column by that has gaps."""
    return value is not None, value


def _widths(wanted: Sequence[int]) -> list[int]:
    """Give every column what it wants, or share the room out one character at a time."""
    room = MAX_WIDTH - _GAP * (len(wanted) - 1)
    if sum(wanted) <= room:
        return list(wanted)
    widths = [0] * len(wanted)
    for column in cycle(range(len(wanted))):
        if not room:
            break
        if widths[column] < wanted[column]:
            widths[column] += 1
            room -= 1
    return widths


def _drawn(row: Sequence[str], widths: Sequence[int]) -> str:
    folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = zip_longest(*folded, fillvalue="")
    gap = " " * _GAP
    return "\n".join(
        gap.join(text + " " * (width - _cells(text)) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def _folded(cell: str, width: int) -> list[str]:
    return [piece for line in cell.split("\n") for piece in (textwrap.wrap(line, width) or [""])]


def _longest_line(cell: str) -> int:
    return max(map(_cells, cell.split("\n")))


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
