"""What pyaurorax prints: values in full, steps of a search, tables."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest

__all__ = ["Printed", "counted", "cut", "natural_size", "say", "table"]


class Printed:
    """Gives a class `pretty_print`: the name of the class, then an attribute a line."""

    def _rows(self) -> Mapping[str, object]:
        """What is printed; a class that has more to hide or to shorten says so."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def pretty_print(self) -> None:
        """Print all attributes, one a line."""
        rows = self._rows()
        width = max(map(len, rows)) + 2
        print(f"{type(self).__name__}:")
        for name, value in rows.items():
            print(f"  {name:<{width}}: {value}")


def say(text: str) -> None:
    """Print a step of a search, with the time of this machine's clock."""
    print(f"[{datetime.now()}] {text}")


def cut(text: str, length: int, end: str = "...") -> str:
    """Return `text`, and of a longer one its first `length` characters and `end`."""
    return text if len(text) <= length else f"{text[:length]}{end}"


def counted(number: int, noun: str) -> str:
    """Return `[1 event]` or `[2 events]`."""
    return f"[{number} {noun}{'' if number == 1 else 's'}]"


def natural_size(size_bytes: float) -> str:
    """376747 → `376.7 kB`."""
    if size_bytes < 1000:
        return "1 Byte" if size_bytes == 1 else f"{size_bytes:.0f} Bytes"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 999.95:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / 1000:.1f} TB"


def table(header: Sequence[str], rows: Sequence[Sequence[object]], max_width: int = 80) -> str:
    """Draw a table: a header, a double line, and rows whose cells are broken where `max_width` is too narrow."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    wanted = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths = _fitting(wanted, max_width - 3 * (len(wanted) - 1))
    drawn = [line for cells in lines for line in _drawn(cells, widths)]
    height = len(list(_drawn(header, widths)))
    return "\n".join([*drawn[:height], "=" * (sum(widths) + 3 * (len(widths) - 1)), *drawn[height:]])


def _fitting(wanted: Sequence[int], room: int) -> list[int]:
    if sum(wanted) <= room:
        return list(wanted)
    widths = [0] * len(wanted)
    # A character at a time and in turns: narrow columns get what they need, wide ones share the rest.
    while sum(widths) < room:
        for number, width in enumerate(wanted):
            if widths[number] < width and sum(widths) < room:
                widths[number] += 1
    return [max(width, 1) for width in widths]


def _drawn(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    broken = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    return [
        "   ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True))
        for parts in zip_longest(*broken, fillvalue="")
    ]
