"""The tables that the official program prints, from rows as the service sends them. Nothing is fetched here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

__all__ = ["current_table", "old_table"]

Row = Mapping[str, Any]


@attrs.frozen
class _Column:
    head: str
    cell: Callable[[Row], object]
    is_optional: bool = False
    """Left out where no row has a value."""


def _of(key: str) -> Callable[[Row], object]:
    return lambda row: row.get(key, "")


def _file_name(row: Row) -> str:
    return str(row.get("file_path", "")).rpartition("/")[2]


def _version(row: Row) -> object:
    """Write a version of two parts in its full form, and one without the first in the short one."""
    major, minor = row.get("major_version"), row.get("minor_version")
    if minor is None:
        return row.get("version", "")
    return f"v{minor:03d}" if major is None else f"v{major:03d}.{minor:04d}"


_INSTRUMENT, _DESCRIPTOR = _Column("Instrument", _of("instrument")), _Column("Descriptor", _of("descriptor"))
_START, _END = _Column("Start Date", _of("start_date")), _Column("End Date", _of("end_date"))
_INGESTED = _Column("Ingestion Date", _of("ingestion_date"))
_PLAIN_VERSION, _NAME = _Column("Version", _of("version")), _Column("Filename", _file_name)
_LEVEL = _Column("Data Level", _of("data_level"))

_LAYOUTS: Mapping[str, Sequence[_Column]] = {
    "science": (
        _INSTRUMENT,
        _LEVEL,
        _DESCRIPTOR,
        _START,
        _INGESTED,
        _Column("Version", _version),
        _Column("CR", _of("cr"), is_optional=True),
        _Column("Repointing", _of("repointing"), is_optional=True),
        _NAME,
    ),
    "ancillary": (_INSTRUMENT, _DESCRIPTOR, _START, _END, _INGESTED, _PLAIN_VERSION, _NAME),
    "spice": (
        _Column("Kernel Type", _of("kernel_type")),
        _Column("Min Date", _of("min_date_datetime")),
        _Column("Max Date", _of("max_date_datetime")),
        _INGESTED,
        _PLAIN_VERSION,
        _Column("Filename", _of("file_name")),  # with its folder
    ),
    # Spin, repoint and thruster files, which have no columns of a kernel.
    "files": (_START, _END, _INGESTED, _PLAIN_VERSION, _NAME),
}


def current_table(table: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines that release 1.3.0 prints for rows of a table: `science`, `ancillary` or `spice`."""
    if not rows:
        yield "Found [0] matching files"
        return
    yield f"Found [{len(rows)}] matching files in {table} table"
    columns = _LAYOUTS["files" if table == "spice" and "kernel_type" not in rows[0] else table]
    columns = [
        column
        for column in columns
        if not column.is_optional or any(column.cell(row) not in (None, "") for row in rows)
    ]
    lines = [[column.head for column in columns]] + [[str(column.cell(row)) for column in columns] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = f"|{'-' * (sum(widths) + 3 * len(widths) - 1)}|"
    head, *body = (
        f"| {' | '.join(f'{cell:<{width}}' for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )
    yield from (rule, head, rule, *body, rule)


_OLD_COLUMNS = (
    (_INSTRUMENT, 10), (_LEVEL, 10), (_DESCRIPTOR, 10), (_START, 10), (_END, 8), (_PLAIN_VERSION, 7), (_NAME, 50)
)  # fmt: skip


def old_table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines that release 0.2.0 prints: columns as wide as they are, whatever stands in them."""
    yield f"Found [{len(rows)}] matching files"
    if not rows:
        return
    rule = f"{'-' * 111}|"
    yield from (rule, "".join(f"{column.head:<{width}}|" for column, width in _OLD_COLUMNS), rule)
    for row in rows:
        yield "".join(f"{column.cell(row)!s:<{width}}|" for column, width in _OLD_COLUMNS)
    yield rule
