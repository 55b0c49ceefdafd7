"""Records in a notebook: a table of the first and last ones, a sheet for a single one.

Colours are the page's own, lines and stripes half transparent, so that light and dark themes are both served. Whatever
came from a service is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from aurora_async.transfer._shapes import Column, ValueKind, columns, layout_of, plain_columns

__all__ = ["AT_EITHER_END", "columns_html", "record_html", "records_html"]

AT_EITHER_END = 5
"""Rows that are shown of the beginning and of the end of what has many."""
_MOST_COLUMNS = 12
_MOST_TEXT = 60
_NOTHING: tuple[Any, ...] = (None, "", [], (), {})

_STYLE = """<style>
.aurora-records { overflow-x: auto; color: inherit; font-size: 0.9em; }
.aurora-records p { margin: 0.3em 0; }
.aurora-records table { border-collapse: collapse; border: none; margin: 0.3em 0; font-size: inherit; }
.aurora-records th, .aurora-records td {
  padding: 0.25em 0.8em; border: none; text-align: left; vertical-align: top; white-space: nowrap;
  background: transparent; color: inherit; }
.aurora-records th { font-weight: 600; border-bottom: 1px solid rgba(128, 128, 128, 0.6); }
.aurora-records tr { background: transparent; }
.aurora-records tbody tr + tr td { border-top: 1px solid rgba(128, 128, 128, 0.2); }
.aurora-records .number { text-align: right; font-variant-numeric: tabular-nums; }
.aurora-records .gap td { text-align: center; opacity: 0.6; }
.aurora-records .name { opacity: 0.7; }
.aurora-records .unit { opacity: 0.7; font-weight: 400; }
.aurora-records a { color: inherit; text-decoration: underline; }
</style>"""


def records_html(title: str, records: Sequence[Any], record_type: type[Any] | None) -> str:
    """Return the first and last of some records as a table."""
    gap = len(records) > 2 * AT_EITHER_END + 1
    seen = [*records[:AT_EITHER_END], *records[-AT_EITHER_END:]] if gap else list(records)
    return columns_html(title, _shown(seen, record_type), len(seen), gap=gap)


def _two_decimals(value: float) -> str:
    return f"{value:,.2f}" if 0.01 <= abs(value) < 1e9 or value == 0 else f"{value:.3g}"


def columns_html(
    title: str, columns: Sequence[Column], rows: int, *, gap: bool, real: Callable[[float], str] = _two_decimals
) -> str:
    """Return columns, each `rows` long, as a table; with a `gap` they are the two ends of something longer.

    `real` prints a number that is not whole: two decimals do for degrees and km, not for every keyword.
    """
    heads = "".join(f"<th{_class(column)}>{escape(column.name)}{_unit(column)}</th>" for column in columns)
    lines = [
        "<tr>" + "".join(f"<td{_class(column)}>{_cell(column.values[row], real)}</td>" for column in columns) + "</tr>"
        for row in range(rows)
    ]
    if gap:
        lines.insert(AT_EITHER_END, f'<tr class="gap"><td colspan="{len(columns)}">⋮</td></tr>')
    body = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>" if columns else ""
    return f'<div class="aurora-records">{_STYLE}<p><b>{escape(title)}</b></p>{body}</div>'


def record_html(record: Any) -> str:
    """Return one record as a sheet: a line a field, metadata entry by entry."""
    lines: list[tuple[str, str]] = []
    for column in columns([record], type(record), long=False):
        (value,) = column.values
        if isinstance(value, Mapping) and value:
            lines += [(f"{column.name}.{key}", _cell(inner)) for key, inner in value.items()]
        elif value not in (None, [], {}):
            lines.append((column.name, _cell(value) + _unit(column)))
    rows = "".join(f'<tr><td class="name">{escape(str(name))}</td><td>{text}</td></tr>' for name, text in lines)
    title = escape(type(record).__name__)
    return f'<div class="aurora-records">{_STYLE}<p><b>{title}</b></p><table><tbody>{rows}</tbody></table></div>'


def _shown(records: Sequence[Any], record_type: type[Any] | None) -> list[Column]:
    if record_type is None:
        plain = [one if isinstance(one, Mapping) else {"value": one} for one in records]
        found = [Column(name, ValueKind.JSON, True, values) for name, values in plain_columns(plain).items()]
        return found[:_MOST_COLUMNS]
    wanted = layout_of(record_type).shown
    found = list(columns(records, record_type, long=False))
    if layout_of(record_type).hides_empty:
        found = [column for column in found if any(value not in _NOTHING for value in column.values)]
    if wanted is None:
        return [column for column in found if column.kind not in (ValueKind.JSON, ValueKind.RECORDS)][:_MOST_COLUMNS]
    # What is numbered stays together place by place: program_1, platform_1, program_2, platform_2.
    places = {column.name: _place(column.name, wanted) for column in found}
    numbered = min((place[1] for place in places.values() if place and place[0]), default=0)
    order = {name: (numbered if place[0] else place[1], *place) for name, place in places.items() if place}
    return sorted((column for column in found if column.name in order), key=lambda column: order[column.name])


def _place(name: str, wanted: Sequence[str]) -> tuple[int, int] | None:
    """Return the number at the end of a column's name (0 for none), and where the rest is in `wanted`."""
    if name in wanted:
        return 0, wanted.index(name)
    stem, _, number = name.rpartition("_")
    return (int(number), wanted.index(stem)) if number.isdecimal() and stem in wanted else None


def _class(column: Column) -> str:
    numbers = [value for value in column.values if value is not None]
    right = bool(numbers) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
    return ' class="number"' if right else ""


def _unit(column: Column) -> str:
    return f' <span class="unit">{escape(column.unit)}</span>' if column.unit else ""


def _cell(value: Any, real: Callable[[float], str] = _two_decimals) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return real(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        name = value.rstrip("/").rpartition("/")[2]
        return f'<a href="{escape(value)}" rel="noopener noreferrer" target="_blank">{_clipped(name)}</a>'
    if isinstance(value, Mapping):
        return _clipped(", ".join(f"{key}: {inner}" for key, inner in value.items()))
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return _clipped(", ".join(map(str, value)))
    return _clipped(str(value))


def _clipped(text: str) -> str:
    whole = f' title="{escape(text)}"' if len(text) > _MOST_TEXT else ""
    return f"<span{whole}>{escape(text[:_MOST_TEXT])}…</span>" if whole else escape(text)
