"""Conditions on keywords in SQL: `EXPTIME < 2.0 AND WAVELNTH = 211`, tried on records in a database in memory.

SQLite stands in for the service's PostgreSQL. Times are numbers (seconds of TAI since 1977), `$(2014.01.01_TAI)` is
the number of a time, `"…"` a text, and functions of the schema `drms` exist. A condition may read the records before
it and call functions of a list; whatever else it tries, or if it takes too long, it is refused.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from aurora_async.errors import InvalidInput
from aurora_async.jsoc.keywords import KeywordType, Value
from aurora_async.jsoc.times import MISSING_TIME, TaiTime
from aurora_async.server.jsoc.structure import KeywordDef, RecordSetProblem, Series

if TYPE_CHECKING:
    from aurora_async.server.jsoc.records import Record

__all__ = ["Conditions"]

_MOST_STEPS = 20_000_000
"""Of SQLite's machine, for one batch of records: a second or so."""
_STEPS_BETWEEN = 10_000
_LONGEST = 20_000

_AFFINITY = {KeywordType.TIME: "REAL", KeywordType.FLOAT: "REAL", KeywordType.DOUBLE: "REAL"}

_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "drms_image_exists": (1, lambda quality: None if quality is None else int(quality >= 0)),
    "ceiling": (1, lambda number: None if number is None else math.ceil(number)),
    "ceil": (1, lambda number: None if number is None else math.ceil(number)),
    "floor": (1, lambda number: None if number is None else math.floor(number)),
    "sqrt": (1, lambda number: None if number is None or number < 0 else math.sqrt(number)),
    "mod": (2, lambda one, other: None if one is None or not other else math.fmod(one, other)),
    "power": (2, lambda one, other: None if one is None or other is None else float(one) ** float(other)),
    "strpos": (2, lambda text, part: None if text is None or part is None else str(text).find(str(part)) + 1),
    "btrim": (1, lambda text: None if text is None else str(text).strip()),
}
_BUILT_IN = {
    *("abs", "round", "lower", "upper", "length", "substr", "substring", "trim", "ltrim", "rtrim", "replace"),
    *("coalesce", "nullif", "min", "max", "sign", "like"),
}
_TIME_LITERAL = re.compile(r"\$\(([^()]*)\)")


class Conditions:
    """Conditions of one series, all of which a record must meet; a context manager that lets go of the database."""

    def __init__(self, series: Series, conditions: Sequence[str]) -> None:
        self._series = series
        self._where = " AND ".join(f"({_translated(condition)})" for condition in conditions)
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        database = self._database
        for name, (arguments, function) in _FUNCTIONS.items():
            database.create_function(name, arguments, function, deterministic=True)
        database.execute("PRAGMA case_sensitive_like = ON")
        # Two tables: one with all keywords, to find out which are asked for; one with those only, to be filled.
        self._create("everything", list(self._series.keywords))
        read: set[str] = set()
        self._guarded(f"EXPLAIN SELECT 1 FROM everything WHERE {self._where}", read)
        self._columns = [keyword for keyword in self._series.keywords if keyword.name in read]
        self._create("records", self._columns)
        self._insert = f"INSERT INTO records VALUES ({', '.join('?' * (len(self._columns) + 1))})"
        self._select = f"SELECT place_ FROM records WHERE {self._where} ORDER BY place_"

    def _create(self, table: str, keywords: Sequence[KeywordDef]) -> None:
        names = dict.fromkeys(keyword.name.lower() for keyword in keywords)
        columns = [
            f'"{keyword.name}" {_affinity(keyword)}'
            for keyword in keywords
            if names.pop(keyword.name.lower(), 0) is None
        ]
        self._database.execute(f"CREATE TABLE {table} (place_ INTEGER PRIMARY KEY{''.join(f', {c}' for c in columns)})")

    def __enter__(self) -> Conditions:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def met(self, records: Sequence[Record]) -> list[int]:
        """Return the places of the records that meet all conditions, ascending.

        Raises:
            RecordSetProblem: The conditions are no SQL, try what is not allowed, or take too long.
        """
        self._database.execute("DELETE FROM records")
        self._database.executemany(self._insert, map(self._row, count(), records))
        return [place for (place,) in self._guarded(self._select, set())]

    def _row(self, place: int, record: Record) -> tuple[float | int | str | None, ...]:
        return (place, *(_as_number(keyword, record.value_of(keyword)) for keyword in self._columns))

    def _guarded(self, sql: str, read: set[str]) -> list[tuple[Any, ...]]:
        """Run a statement that somebody else had a part in; add the columns it reads to `read`."""
        steps = 0

        def is_too_long() -> bool:
            nonlocal steps
            steps += _STEPS_BETWEEN
            return steps > _MOST_STEPS

        self._database.set_progress_handler(is_too_long, _STEPS_BETWEEN)
        self._database.set_authorizer(_guard(read))
        try:
            return self._database.execute(sql).fetchall()
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            message = "the condition takes too long" if "interrupted" in str(error) else str(error)
            raise RecordSetProblem(f"problem with database query: {message}") from error
        finally:
            self._database.set_progress_handler(None, 0)
            self._database.set_authorizer(None)


def _affinity(keyword: KeywordDef) -> str:
    return "INTEGER" if keyword.kind.bits else _AFFINITY.get(keyword.kind, "TEXT")


def _as_number(keyword: KeywordDef, value: Value) -> float | int | str | None:
    """Return what the database holds: numbers that stand for none are what they are there, NaN is no number."""
    if isinstance(value, TaiTime):
        return value.seconds
    if value is not None:
        return value
    if keyword.kind is KeywordType.TIME:
        return MISSING_TIME.seconds
    missing = keyword.kind.missing
    return None if isinstance(missing, float | TaiTime) else missing


def _guard(read: set[str]) -> Callable[..., int]:
    """Return an authorizer: reading the records and functions of the list are allowed, and nothing else.

    A statement has one SELECT, which is ours: what stands in a condition has none.
    """
    selects = 0

    def allows(action: int, first: str | None, second: str | None, database: str | None, origin: str | None) -> int:
        nonlocal selects
        if action == sqlite3.SQLITE_SELECT:
            selects += 1
            return sqlite3.SQLITE_OK if selects == 1 else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ and first in ("everything", "records"):
            read.add(second or "")
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _BUILT_IN | _FUNCTIONS.keys():
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return allows


def _translated(condition: str) -> str:
    """Return a condition as SQLite understands it.

    Raises:
        RecordSetProblem: It is too long, holds several statements or a comment, or a time that is none.
    """
    if len(condition) > _LONGEST:
        raise RecordSetProblem(f"problem with database query: the condition has more than {_LONGEST} characters")
    parts = re.split(r"""('(?:[^']|'')*'|"[^"]*")""", condition)
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = part if part[0] == "'" else "'" + part[1:-1].replace("'", "''") + "'"
            continue
        for mark in (";", "--", "/*", "'", '"'):
            if mark in part:
                raise RecordSetProblem(f"problem with database query: syntax error at or near `{mark}`")
        part = re.sub(r"\bdrms\s*\.\s*(\w+)\s*\(", r"drms_\1(", part, flags=re.IGNORECASE)
        parts[place] = _TIME_LITERAL.sub(_number_of_time, part)
    text = "".join(parts)
    _check_balanced(text)
    return text


def _number_of_time(match: re.Match[str]) -> str:
    try:
        return repr(TaiTime.parse(match[1]).seconds)
    except InvalidInput as error:
        raise RecordSetProblem(f"problem with database query: {error}") from error


def _check_balanced(text: str) -> None:
    """Refuse what would close the parentheses around it, and so become part of another statement."""
    depth = 0
    for character in re.sub(r"'(?:[^']|'')*'", "", text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            raise RecordSetProblem("problem with database query: syntax error at or near `)`")
    if depth:
        raise RecordSetProblem("problem with database query: syntax error at end of input")
