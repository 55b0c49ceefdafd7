"""Plans of batches: files that name many searches, some by a template and what it is filled with.

A plan is TOML or JSON (`Plan.read` says how). What is wrong with one is said with its place, before anything is sent.
"""

from __future__ import annotations

import calendar
import itertools
import json
import math
import re
import string
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import attrs

from aurora_async.aurorax.models import Query
from aurora_async.aurorax.wire import KINDS, decode_query
from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.times import TimeRange, to_wire
from aurora_async.transfer import Format

__all__ = ["Plan", "PlannedSearch", "parse_window", "searches_of", "shown_window"]

_MOST_BYTES = 64 * 1024 * 1024
_MOST_SEARCHES = 1_000_000


@attrs.frozen(kw_only=True)
class PlannedSearch:
    """One search of a plan; `name` is that of its file, without an ending, None when the batch chooses."""

    query: Query
    name: str | None = None


@attrs.frozen(kw_only=True)
class Plan:
    """What a batch is to search for, and how its files are written; None leaves a choice to whoever runs it."""

    searches: tuple[PlannedSearch, ...]
    name: str | None = None
    format: Format | None = None
    window: timedelta | Literal["auto"] | None = None
    at_once: int | None = None
    response_format: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read a plan from a `.toml` or `.json` file.

        ```toml
        format = "parquet"          # of the files: json, jsonl, csv, parquet or body
        window = "7d"               # longer searches are cut into windows and merged again
        at_once = 100

        [[search]]
        kind = "ephemeris"          # or conjunctions, data_products
        name = "{platform}_{start:%Y-%m}"
        query = { data_sources = { programs = ["swarm"], platforms = ["{platform}"] } }

        [search.over]               # one search for each combination
        platform = ["swarma", "swarmb", "swarmc"]
        time = { start = "2020-01", end = "2020-12", step = "1 month" }
        ```

        `query` is the document that the service takes, or the name of a JSON file that holds it, beside the plan.
        `over` names lists; `{name}` in a text of the query, and in `name`, stands for their values, and an element that
        is a table fills in a placeholder for each of its keys. `time` is special: it gives `start` and `end` of the
        query. All other keys are optional.

        Raises:
            InvalidInput: With the file, the place in it, and what would be right.
        """
        path = Path(path)
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise InvalidInput(str(path), f"is larger than {_MOST_BYTES >> 20} MiB: make it from a template")
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InvalidInput(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError as error:
            raise InvalidInput(str(path), f"is not a text in UTF-8 (byte {error.start})") from None
        try:
            document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # JSONDecodeError and TOMLDecodeError name line and column
            kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
            raise InvalidInput(str(path), f"is not {kind}: {error}") from None
        try:
            return cls.from_document(document, folder=path.parent)
        except InvalidInput as error:
            raise type(error)(f"{path}: {error.field}", error.reason) from error

    @classmethod
    def from_document(cls, document: object, *, folder: Path | None = None) -> Self:
        """Read a plan from a mapping of the same form, or from a list of its searches; see `read`."""
        if isinstance(document, list):
            document = {"search": document}
        table = _table(document, "plan", ("name", "format", "window", "at_once", "response_format", "search"))
        searches = table.get("search")
        if not isinstance(searches, list) or not searches:
            problem = "is one table, not a list of them" if searches else "is missing"
            raise InvalidInput("search", f"{problem}: a plan has at least one table [[search]]")
        found: list[PlannedSearch] = []
        for number, one in enumerate(searches):
            found += _searches(one, f"search[{number}]", folder)
            if len(found) > _MOST_SEARCHES:
                raise InvalidInput(f"search[{number}]", f"makes it more than {_MOST_SEARCHES:,} searches")
        at_once = table.get("at_once")
        if at_once is not None and (isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1):
            raise InvalidInput("at_once", f"{at_once!r} is not a whole number, 1 or more")
        response_format = table.get("response_format")
        if response_format is not None and not isinstance(response_format, dict):
            raise InvalidInput("response_format", "is not a table of the record's keys")
        return cls(
            searches=tuple(found),
            name=_text(table.get("name"), "name"),
            format=_format(table.get("format")),
            window=parse_window(table.get("window")),
            at_once=at_once,
            response_format=response_format,
        )


# Settings -------------------------------------------------------------------------------------------------------------


def _table(value: object, place: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(place, f"is not a table with {', '.join(known)}")
    for name in value:
        if name not in known:
            raise InvalidInput(f"{place}.{name}" if place != "plan" else name, f"is unknown; known: {', '.join(known)}")
    return value


def _text(value: object, place: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidInput(place, f"{value!r} is not a text")
    return value


def _format(value: object) -> Format | None:
    if value is not None and value not in get_args(Format):
        raise InvalidInput("format", f"{value!r} is unknown; use {', '.join(get_args(Format))}")
    return cast(Format | None, value)


_LENGTH = re.compile(r"\s*(\d{1,6})\s*(min|minutes?|h|hours?|d|days?|w|weeks?|months?|years?)\s*")
_LENGTHS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_window(value: object) -> timedelta | Literal["auto"] | None:
    """Read the longest time that a search may cover before it is cut: `7d`, `auto`, or None."""
    if value is None or value == "auto":
        return None if value is None else "auto"
    step = _step(value, "window")
    if not isinstance(step, timedelta):
        raise InvalidInput("window", f"{value!r} has no fixed length; write it in days (31d)")
    return step


def shown_window(window: timedelta | Literal["auto"]) -> str:
    """Write a window as `parse_window` reads it, or as Python does where that cannot be."""
    if not isinstance(window, timedelta):
        return window
    for unit in ("d", "h", "min"):
        if window % _LENGTHS[unit] == timedelta(0):
            return f"{window // _LENGTHS[unit]}{unit}"
    return str(window)


def _step(value: object, place: str) -> timedelta | int:
    """Read a length of time; months and years, which are of different lengths, are a number of months."""
    match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise InvalidInput(place, f"{value!r} is not a length of time such as 30min, 6h, 1d, 1 week, 1 month or 1 year")
    count, unit = int(match[1]), match[2]
    if unit.startswith(("month", "year")):
        return count * (12 if unit.startswith("year") else 1)
    return count * _LENGTHS["min" if unit.startswith("min") else unit[0]]


# Searches -------------------------------------------------------------------------------------------------------------


def _searches(value: object, place: str, folder: Path | None) -> Iterator[PlannedSearch]:
    table = _table(value, place, ("kind", "name", "query", "over"))
    kind = next((one for name, one in KINDS.items() if name == table.get("kind")), None)
    if kind is None:
        problem = f"{table['kind']!r} is unknown" if "kind" in table else "is missing"
        raise InvalidInput(f"{place}.kind", f"{problem}; use {', '.join(KINDS)}")
    template = _query(table.get("query"), f"{place}.query", folder)
    name = _text(table.get("name"), f"{place}.name")
    axes = _axes(table.get("over", {}), f"{place}.over")
    if math.prod(map(len, axes)) > _MOST_SEARCHES:
        raise InvalidInput(f"{place}.over", f"makes more than {_MOST_SEARCHES:,} searches")
    _filled(template, {key: one for elements in axes for key, one in elements[0].items()}, f"{place}.query")
    used = set(_placeholders(template)) | ({"start", "end"} - template.keys())
    for axis, elements in zip(table.get("over", {}), axes, strict=True):
        if len(elements) > 1 and used.isdisjoint(itertools.chain(*elements)):
            raise InvalidInput(f"{place}.over.{axis}", "has no placeholder in the query: all would ask the same")
    for combination in itertools.product(*axes):
        values: dict[str, Any] = {}
        for one in combination:
            values |= one
        document = _filled(template, values, f"{place}.query")
        if "start" in values and isinstance(values["start"], datetime):
            document = {"start": to_wire(values["start"]), "end": to_wire(values["end"])} | document
        try:
            query = decode_query(document, kind)
        except InvalidQuery as error:
            with_what = "".join(f", {key} = {_shown(value)}" for key, value in values.items())
            where = "" if error.field == "query" else f".{error.field}"
            raise InvalidQuery(
                f"{place}.query{where}", f"{error.reason}{with_what and f' (with{with_what[1:]})'}"
            ) from None
        if name is None:
            yield PlannedSearch(query=query)
            continue
        facts = {"kind": kind.name, "start": query.start, "end": query.end} | values
        yield PlannedSearch(query=query, name=_fill(name, facts, f"{place}.name", _in_names))


def _query(value: object, place: str, folder: Path | None) -> dict[str, Any]:
    if isinstance(value, str) and folder is not None:
        file = folder / value
        try:
            value = json.loads(file.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise InvalidInput(place, f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None
        except (ValueError, RecursionError) as error:
            raise InvalidInput(place, f"{file} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(place, "is missing: give the query's document, or the name of a JSON file that holds it")
    return cast(dict[str, Any], _plain(value))


def _plain(value: Any) -> Any:
    """Dates, which TOML has and JSON has not, as texts."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return to_wire(value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))
    return value.isoformat() if isinstance(value, date) else value


def _axes(value: object, place: str) -> list[list[dict[str, Any]]]:
    """Read what a template is filled with: for each axis, what each of its elements fills in."""
    if not isinstance(value, dict):
        raise InvalidInput(place, "is not a table of lists")
    axes: list[list[dict[str, Any]]] = []
    for name, elements in value.items():
        if name == "time":
            axes.append([{"start": start, "end": end} for start, end in _times(elements, f"{place}.time")])
            continue
        if not name.isidentifier():
            raise InvalidInput(f"{place}.{name}", "is not a name that a placeholder can have: letters, digits, _")
        if not isinstance(elements, list) or not elements:
            raise InvalidInput(f"{place}.{name}", "is not a list of values")
        axes.append([_element(name, one, f"{place}.{name}[{index}]") for index, one in enumerate(elements)])
    return axes


def _element(name: str, value: object, place: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: _scalar(one, f"{place}.{key}") for key, one in value.items()}
    return {name: _scalar(value, place)}


def _scalar(value: object, place: str) -> Any:
    if isinstance(value, dict | list):
        raise InvalidInput(place, "is not a text or a number")
    return _plain(value)


def _times(value: object, place: str) -> list[tuple[datetime, datetime]]:
    table = _table(value, place, ("start", "end", "step"))
    for name in ("start", "end", "step"):
        if name not in table:
            raise InvalidInput(f"{place}.{name}", "is missing")
    step = _step(table["step"], f"{place}.step")
    try:
        span = TimeRange(_plain(table["start"]), _plain(table["end"]))
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error.field}", error.reason) from None
    if isinstance(step, timedelta) and span.duration / step > _MOST_SEARCHES:
        raise InvalidInput(f"{place}.step", f"cuts {span.start:%Y-%m-%d} to {span.end:%Y-%m-%d} into too many pieces")
    found: list[tuple[datetime, datetime]] = []
    start: datetime | None = span.start
    while start is not None and start <= span.end:
        after = _later(span.start, step, len(found) + 1)
        last = span.end if after is None else min(after - timedelta(seconds=1), span.end)
        found.append((start, last))
        start = after
    return found


def _later(moment: datetime, step: timedelta | int, count: int) -> datetime | None:
    """Return the moment `count` steps later, None where the calendar ends."""
    try:
        if isinstance(step, timedelta):
            return moment + count * step
        year, month = divmod(moment.year * 12 + moment.month - 1 + count * step, 12)
        # The 31st of a shorter month is its last day.
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)
    except (OverflowError, ValueError):
        return None


# Templates ------------------------------------------------------------------------------------------------------------


def _filled(value: Any, values: Mapping[str, Any], place: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, values, f"{place}.{name}") for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values, f"{place}[{index}]") for index, one in enumerate(value)]
    if not isinstance(value, str) or not values:
        return value
    if value.startswith("{") and value.endswith("}") and value[1:-1] in values:
        whole = values[value[1:-1]]  # a number stays one
        return to_wire(whole) if isinstance(whole, datetime) else whole
    return _fill(value, values, place, _shown)


def _placeholders(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _placeholders(one)
    elif isinstance(value, str):
        with suppress(ValueError):  # which is said, with its place, when it is filled in
            yield from (name for _, name, _, _ in string.Formatter().parse(value) if name)


def _fill(template: str, values: Mapping[str, Any], place: str, show: Callable[[Any], str]) -> str:
    parts: list[str] = []
    try:
        for text, name, spec, conversion in string.Formatter().parse(template):
            parts.append(text)
            if name is None:
                continue
            if name not in values or conversion:
                known = ", ".join(f"{{{one}}}" for one in values) or "none"
                raise InvalidInput(place, f"{template!r} has a placeholder {{{name}}}; there is {known}")
            parts.append(format(values[name], spec) if spec else show(values[name]))
    except InvalidInput:  # a ValueError too
        raise
    except ValueError as error:
        raise InvalidInput(place, f"{template!r} is not a template: {error}") from None
    return "".join(parts)


def _shown(value: Any) -> str:
    return to_wire(value) if isinstance(value, datetime) else str(value)


def _in_names(value: Any) -> str:
    """As in a query, without what a file's name had better not have."""
    return _shown(value).replace("-", "").replace(":", "") if isinstance(value, datetime) else str(value)


def searches_of(queries: Plan | Iterable[Query | PlannedSearch]) -> Iterator[PlannedSearch]:
    """Yield what a batch is given, in whichever form."""
    given = queries.searches if isinstance(queries, Plan) else queries
    for one in given:
        yield one if isinstance(one, PlannedSearch) else PlannedSearch(query=one)
