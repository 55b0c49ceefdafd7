"""Answers on stdout: a table that fits the terminal, the fields of one thing, or JSON.

On a terminal, columns that matter least are left out until the others fit, and stderr says which. Into a pipe or a file
goes every column as wide as it is, without colours. JSON is always the whole record.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs
import click

from aurora_async.cli.exits import Common, for_stderr, one_line
from aurora_async.display.numbers import count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["Column", "Listing", "note", "print_fields", "print_json", "print_text", "shown"]

_GAP = 2


def shown(value: object) -> str:
    """Write a value as people read it; a dash for what is not known."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case date():
            return value.isoformat()
        case list() | tuple():
            return ", ".join(map(str, value)) or "-"
        case _:
            return one_line(str(value))


def counted(value: int | None) -> str:
    """Write a number with commas."""
    return "-" if value is None else count(value)


@attrs.frozen(kw_only=True)
class Column:
    """One column. `name` is what `--sort` takes and, unless `value` says otherwise, the attribute that is shown."""

    name: str = attrs.field(kw_only=False)
    value: Callable[[Any], Any] = attrs.field()
    show: Callable[[Any], str] = shown
    is_number: bool = False
    drop: int = 0
    """Those with the highest number are left out first where the terminal is narrow; 0 is never left out."""
    head: str = ""
    """What stands above it; the name, unless it is too long for what stands below."""
    fold_at: int | None = None
    """Characters to which it may be narrowed, its text going on in the next line; None keeps it in one."""

    @value.default
    def _attribute(self) -> Callable[[Any], Any]:
        return attrgetter(self.name)

    @classmethod
    def number(cls, name: str, value: Callable[[Any], Any] | None = None, **settings: Any) -> Column:
        """A column of counts."""
        return cls(name, value=value or attrgetter(name), show=counted, is_number=True, **settings)

    @property
    def title(self) -> str:
        """As the head of the column."""
        return (self.head or self.name.replace("_", " ")).upper()

    def sort_key(self, record: Any) -> Any:
        """Texts without regard to case."""
        value = self.value(record)
        return value.casefold() if isinstance(value, str) else value


@attrs.frozen
class Listing:
    """How records are to be listed, as typed."""

    columns: Sequence[Column]
    sort: str | None = None
    reverse: bool = False
    limit: int | None = None
    as_json: bool = False

    def fits(self, records: Sequence[Any]) -> bool:
        """Say whether all columns have room side by side."""
        room = _terminal_width()
        widths = [max(len(one.title), *(len(one.show(one.value(it))) for it in records)) for one in self.columns]
        return room is None or sum(widths) + _GAP * (len(widths) - 1) <= room

    def print(self, common: Common, records: Iterable[Any], *, empty: str) -> None:
        """Print records. `empty` is what stderr says when there are none: what was asked, and what to try."""
        found = list(records)
        if self.sort is not None:
            by = next(column for column in self.columns if column.name == self.sort)
            known = [one for one in found if by.value(one) is not None]
            unknown = [one for one in found if by.value(one) is None]  # last, in both directions
            found = sorted(known, key=by.sort_key, reverse=self.reverse) + unknown
        elif self.reverse:
            found.reverse()
        wanted = found[: self.limit]
        if self.as_json:
            print_json(wanted)
        elif wanted:
            left_out = _print_table(self.columns, wanted)
            if left_out:
                note(common, f"no room for {', '.join(left_out)}; --json has everything")
        if not found:
            note(common, empty)
        elif len(wanted) < len(found):
            note(common, f"{count(len(wanted))} of {count(len(found))}; --limit cut the rest")


def note(common: Common, text: str) -> None:
    """Say something beside the result, on stderr."""
    if common.quiet:
        return
    with suppress(OSError):  # a stderr that is gone is no reason to fail
        click.secho(for_stderr(text), err=True, dim=os.environ.get("TERM") != "dumb")


def print_json(value: object) -> None:
    """Print a whole JSON document."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_text(text: str) -> None:
    """Print sentences, on a terminal broken between words."""
    width = _terminal_width()
    click.echo(text if width is None else "\n".join(_broken(text, width)))


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print what is known of one thing: names, and values beside them.

    A value with a word too long for that, such as an address, stands below its name instead: it is not broken.
    """
    from rich.text import Text

    rows = [(name.replace("_", " "), shown(value)) for name, value in fields]
    beside = max(len(name) for name, _ in rows) + _GAP
    width = _terminal_width()
    lines = []
    for name, value in rows:
        parts = [value] if width is None else _broken(value, width - beside)
        if width is None or max(map(len, parts)) <= width - beside:
            indent = " " * beside
            parts[0] = indent[len(name) :] + parts[0]
        else:
            indent = " " * _GAP
            parts = ["", *_broken(value, width - _GAP)]
        lines.append(Text.assemble((name, "dim"), f"\n{indent}".join(parts)))
    _print(Text("\n").join(lines))


def _broken(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [text]


def _print_table(columns: Sequence[Column], records: Sequence[Any]) -> list[str]:
    """Print a table; return the titles of the columns that were left out."""
    from rich.table import Table
    from rich.text import Text

    cells = [[column.show(column.value(record)) for record in records] for column in columns]
    widths = [max(len(column.title), *map(len, texts)) for column, texts in zip(columns, cells, strict=True)]
    room = _terminal_width()
    kept = list(range(len(columns))) if room is None else _fitting(columns, widths, room)
    least = sum(_least_width(columns[at], widths[at]) for at in kept) + _GAP * (len(kept) - 1)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for at in kept:
        column = columns[at]
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            # Where not even the columns that stay have room, all of them fold: better than a cut identifier.
            no_wrap=column.fold_at is None and (room is None or least <= room),
            overflow="fold",
        )
    for row in zip(*(cells[at] for at in kept), strict=True):
        table.add_row(*map(Text, row))
    _print(table, sum(widths) + _GAP * len(widths))
    return [column.title for at, column in enumerate(columns) if at not in kept]


def _least_width(column: Column, width: int) -> int:
    return width if column.fold_at is None else min(width, column.fold_at)


def _fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Return which columns to keep."""
    kept = list(range(len(columns)))
    while sum(_least_width(columns[at], widths[at]) + _GAP for at in kept) - _GAP > room:
        droppable = [at for at in kept if columns[at].drop]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda at: (columns[at].drop, at)))
    return kept


def _terminal_width() -> int | None:
    """Columns of the terminal behind stdout, or those that COLUMNS demands; None where width does not matter."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return None
    return _console().width


def _console() -> Console:
    from aurora_async.cli.screen import console_for

    return console_for(sys.stdout)


def _print(answer: Table | Text, natural_width: int | None = None) -> None:
    console = _console()
    if natural_width is not None and _terminal_width() is None:
        console.width = natural_width
    # Through click, not by the console itself: it would make a reader that goes away an exit code of 1.
    with console.capture() as captured:
        console.print(answer, soft_wrap=natural_width is None)
    lines = captured.get().splitlines()
    click.echo("\n".join(line.rstrip() for line in lines), color=True)
