"""`/query`: what the archive has of science, ancillary and quicklook files, and what it had in January 2024.

Parameters are looked at in the real service's order, so that one with several mistakes is told the same one first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import attrs
from aiohttp import web

from aurora_async.imap.filenames import compact
from aurora_async.imap.vocabulary import DATA_LEVELS, INSTRUMENTS
from aurora_async.server.imap.answers import Caller, crash, day_of, parameters, refusal
from aurora_async.server.imap.catalog import MAJOR, SERIES, Catalog, Condition, all_of, seen_now
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.moments import midnight_s
from aurora_async.server.site import JSON

__all__ = ["QueryRoutes"]

_DAY_S = 86_400
_MOST_ROWS = 1 << 62
_MADE = {
    "ingestion_date": "strftime('%Y%m%d %H:%M:%S', ingested_s, 'unixepoch')",
    "released": "json(CASE WHEN released THEN 'true' ELSE 'false' END)",
}
"""In SQL, what is answered that is stored otherwise."""


@attrs.frozen
class _Table:
    name: str
    columns: tuple[str, ...]
    """In the order of the answer; each is a parameter as well."""
    bounds: tuple[str, ...] = ()
    """Further parameters."""
    also: tuple[str, ...] = ()
    """Further columns of the answer."""
    kinds: tuple[str, ...] = attrs.field(kw_only=True)
    """Of the files that are in it."""
    made: Mapping[str, str] = attrs.field(kw_only=True, default=_MADE)
    order: str = "file_path"


_PRODUCT_COLUMNS = (
    *("file_path", "instrument", "data_level", "descriptor", "start_date", "repointing", "major_version"),
    *("minor_version", "ingestion_date", "cr", "crid", "released", "extension"),
)
_INGESTION = ("ingestion_start_date", "ingestion_end_date")
_TABLES = {
    "science": _Table("science", _PRODUCT_COLUMNS, ("end_date", *_INGESTION), kinds=("science",), also=("version",)),
    "ancillary": _Table(
        "ancillary",
        (
            *("file_path", "instrument", "descriptor", "start_date", "end_date", "version", "extension"),
            *("ingestion_date", "released"),
        ),
        _INGESTION,
        kinds=("ancillary",),
    ),
    "quicklook": _Table("quicklook", _PRODUCT_COLUMNS, ("end_date", *_INGESTION), kinds=("quicklook",)),
}
_VALID_TABLES = ["science", "ancillary", "spice", "quicklook"]
_OLD_TABLE = _Table(
    "science",
    ("file_path", "instrument", "data_level", "descriptor", "start_date", "end_date", "version", "extension"),
    kinds=("legacy", "science"),
    made={"end_date": "coalesce(end_date, start_date)"},
    order="rowid",  # as they came: not by name, as the published answer shows
)

_VERSION = re.compile(r"v(?:(?P<major>\d{3})\.)?(?P<minor>\d+)", re.ASCII)


class QueryRoutes:
    """`/query`, with anything behind it."""

    def __init__(self, catalog: Catalog, *, is_paged: bool) -> None:
        self._catalog = catalog
        self._is_paged = is_paged

    def add_to(self, gateway: Gateway) -> None:
        """Answer it."""
        for path in ("/query", "/query/{…}"):
            gateway.add("GET", path, self._answer)

    async def _answer(self, request: web.BaseRequest, caller: Caller, *_: str) -> web.StreamResponse:
        if not request.query_string:
            raise crash()
        given = parameters(request)
        rows = await asyncio.to_thread(self._old_rows if caller.is_old else self._rows, given, caller)
        return web.Response(body=f"[{','.join(rows)}]".encode(), content_type=JSON)

    def _rows(self, given: dict[str, str], caller: Caller) -> list[str]:
        name = given.pop("table", "science")
        if name not in _VALID_TABLES:
            raise refusal(400, f"{name} is not a valid table. Valid tables are: {_VALID_TABLES}")
        page = _page(given) if self._is_paged else (-1, 0)
        if name not in _TABLES:
            raise crash()
        table = _TABLES[name]
        rank = _rank(given) if name == "science" else None
        conditions = _conditions(table, given)
        if not caller.is_authenticated:
            conditions.append(("released", ()))
        return self._select(table, conditions, rank, page)

    def _old_rows(self, given: dict[str, str], caller: Caller) -> list[str]:
        if given.get("table") == "science":  # the only one there was; a newer client in the old dialect names it
            del given["table"]
        return self._select(_OLD_TABLE, _conditions(_OLD_TABLE, given), None, (-1, 0))

    def _select(
        self, table: _Table, conditions: Sequence[Condition], rank: str | None, page: tuple[int, int]
    ) -> list[str]:
        where, values = all_of([*seen_now(*table.kinds, is_old=table is _OLD_TABLE), *conditions])
        source = f"SELECT rowid, * FROM imap_files WHERE {where}"
        if rank is not None:
            series = f"PARTITION BY {', '.join(SERIES)} ORDER BY {rank}"
            source = f"SELECT * FROM (SELECT *, rank() OVER ({series}) AS place FROM ({source})) WHERE place = 1"
        # The database writes the JSON: a whole archive takes a tenth of the time so, and the loop goes on meanwhile.
        row = ", ".join(f"'{column}', {table.made.get(column, column)}" for column in (*table.columns, *table.also))
        sql = f"SELECT json_object({row}) FROM ({source}) ORDER BY {table.order} LIMIT ? OFFSET ?"
        return [record for (record,) in self._catalog.search(sql, [*values, *page])]


def _page(given: dict[str, str]) -> tuple[int, int]:
    """Take limit (-1 for none) and offset out of the parameters."""
    try:
        offset = int(given.pop("offset", "0"))
        limit = int(given.pop("limit")) if "limit" in given else None
    except ValueError:
        raise refusal(400, "'offset' and 'limit' must be integers.") from None
    if offset < 0:
        raise refusal(400, "'offset' must be greater than or equal to 0.")
    if limit is not None and limit <= 0:
        raise refusal(400, "'limit' must be greater than 0.")
    return -1 if limit is None else min(limit, _MOST_ROWS), min(offset, _MOST_ROWS)


def _rank(given: dict[str, str]) -> str | None:
    """Take what is said of versions out of the parameters; return by what the files of a series are ranked."""
    if "version" in given:
        match = _VERSION.fullmatch(given.pop("version"))
        if match is None or len(match["minor"]) != (4 if match["major"] else 3):
            raise refusal(400, "Invalid 'version' value. Use format 'vMMM.mmmm' or 'vXXX'.")
        parts = {"major_version": match["major"], "minor_version": match["minor"]}
        given.update({name: str(int(part)) for name, part in parts.items() if part is not None})
    is_latest = given.pop("latest", "").lower() == "true"
    if "major_version" in given:
        return None
    return f"{MAJOR} DESC, minor_version DESC" if is_latest else f"{MAJOR} DESC"


# Conditions ---------------------------------------------------------------------------------------------------------


def _conditions(table: _Table, given: Mapping[str, str]) -> list[Condition]:
    valid = [*table.columns, *table.bounds]
    for name in given:
        if name not in valid:
            message = f"{name} is not a valid query parameter for {table.name} table."
            raise refusal(400, f"{message} Valid query parameters are: {valid}")
    return [_condition(name, text) for name, text in given.items()]


def _condition(name: str, text: str) -> Condition:
    match name:
        case "start_date":
            return "start_date >= ?", (compact(day_of(text)),)
        case "end_date":
            return "start_date <= ?", (compact(day_of(text)),)  # not the row's end, in no table
        case "ingestion_start_date":
            return "ingested_s >= ?", (midnight_s(day_of(text)),)
        case "ingestion_end_date":
            return "ingested_s < ?", (midnight_s(day_of(text)) + _DAY_S,)
        case "ingestion_date":
            return "ingested_s = ?", (_value(_instant, text),)
        case "instrument" | "data_level":
            if text not in (INSTRUMENTS if name == "instrument" else DATA_LEVELS):
                raise crash()  # the database's enumeration has no such value
            return f"{name} = ?", (text,)
        case "repointing" | "major_version" | "minor_version" | "cr" | "crid":
            return f"{name} = ?", (_value(int, text),)
        case "released":
            if text.lower() not in ("true", "false"):
                raise crash()
            return "released = ?", (text.lower() == "true",)
        case _:
            return f"{name} = ?", (text,)


def _value(read: Callable[[str], int], text: str) -> int:
    try:
        value = read(text)
    except ValueError:
        raise crash() from None
    if abs(value) >= 1 << 63:
        raise crash()
    return value


def _instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
