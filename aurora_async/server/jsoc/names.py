"""Names of exported files, by the pattern that an export gives: `{seriesname}.{T_REC:A}.{CAMERA}.{segment}`.

Source: JSOC's `exputil.c`, as the protocol reference tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aurora_async.jsoc.keywords import KeywordType, print_value
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.records import Record

__all__ = ["DEFAULT_PATTERN", "BadPattern", "file_name"]

DEFAULT_PATTERN = "{seriesname}.{recnum:%d}.{segment}"

_LONGEST = 127
_FIELD = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_TIME_LAYOUT = re.compile(r"([AD])([+-]?\d+)?(?:,(\w+))?")


class BadPattern(Exception):
    """A pattern that gives no name; the text says why."""


def file_name(pattern: str, record: Record, series: str, stored_name: str, number: int) -> str:
    """Return the name of a file.

    Args:
        pattern: Text with fields in braces.
        record: Whose file it is.
        series: The series that it is exported to: the record's own, unless its images were processed.
        stored_name: What the file is called where it is stored.
        number: Which of the export's files it is, from 0 on.

    Raises:
        BadPattern: A field is unknown, or the name would not be one of a file.
    """
    name = "".join("".join(_parts(pattern, record, series, stored_name, number)).split())
    if not name or len(name) > _LONGEST:
        raise BadPattern(f"file name {name[:_LONGEST]!r} has {len(name)} characters, 1 to {_LONGEST} are allowed")
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise BadPattern(f"{name!r} is no name of a file in the export's directory")
    return name


def _parts(pattern: str, record: Record, series: str, stored_name: str, number: int) -> Iterator[str]:
    at = 0
    for field in _FIELD.finditer(pattern):
        yield _plain(pattern[at : field.start()], pattern)
        at = field.end()
        name, layout = field[1].strip(), field[2] or ""
        match name.lower():
            case "seriesname":
                yield series
            case "recnum":
                yield _printed(layout or "%d", record.recnum)
            case "segment":
                yield stored_name
            case "#":
                yield _printed(layout or "%05d", number)
            case _:
                yield _keyword(record, name, layout)
    yield _plain(pattern[at:], pattern)


def _plain(text: str, pattern: str) -> str:
    if "{" in text or "}" in text:
        raise BadPattern(f"a brace is not closed in the file name format {pattern!r}")
    return text


def _printed(layout: str, value: int) -> str:
    return _formatted(value, KeywordType.LONGLONG, layout)


def _keyword(record: Record, name: str, layout: str) -> str:
    keyword = record.series.keyword(name)
    if keyword is None:
        raise BadPattern(f"{name} in the file name format is no keyword of {record.series.name}")
    value = record.value(keyword.name)
    if isinstance(value, TaiTime) and (laid := _TIME_LAYOUT.fullmatch(layout)):
        precision = int(laid[2] if laid[2] else keyword.format or 0)
        text = value.text(laid[3] or keyword.units, precision)
        if laid[1] == "A":
            return text.replace(".", "").replace(":", "")
        # `D` makes directories of year, month and day.
        return re.sub(r"^(\d+)[.-](\d+)[.-](\d+)", r"@\1@\2@\3@", text.replace(":", ""))
    if layout.startswith("%"):
        return _formatted(value, keyword.kind, layout)
    return print_value(value, keyword.kind, keyword.format, keyword.units)


def _formatted(value: int | float | str | TaiTime | None, kind: KeywordType, layout: str) -> str:
    if isinstance(value, TaiTime):
        value, kind = value.seconds, KeywordType.DOUBLE
    try:
        return print_value(value, kind, layout)
    except ValueError as error:
        raise BadPattern(str(error)) from None
