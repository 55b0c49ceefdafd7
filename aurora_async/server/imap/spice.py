"""`/spice-query`, and the tables of spins, repointings and thruster firings, which are files of the SPICE family too.

All of them are public.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from typing import TypeVar

from aiohttp import web

from aurora_async.imap.filenames import compact
from aurora_async.imap.tdb import from_tdb, to_tdb
from aurora_async.server.imap.answers import Caller, crash, json_answer, parameters, refusal
from aurora_async.server.imap.catalog import Catalog, Condition
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.listing import KERNELS, TABLES
from aurora_async.server.imap.moments import midnight, midnight_s

__all__ = ["SpiceRoutes"]

T = TypeVar("T")

_KERNEL_PARAMETERS = ["file_name", "start_time", "end_time", "type", "latest", "start_ingest_date", "end_ingest_date"]
_TABLE_PARAMETERS = ["file_path", "start_date", "end_date", "latest", "start_ingest_date", "end_ingest_date"]
_PATHS = {
    "spin-table": "spin",
    "repoint-table": "repoint",
    "small-forces-table": "thruster",
    "thruster-table": "thruster",  # what it was called before
}


class SpiceRoutes:
    """The catalogue of kernels, and the tables."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add_to(self, gateway: Gateway) -> None:
        """Answer them."""
        gateway.add("GET", "/spice-query", self._answer_kernels)
        for name, kernel_type in _PATHS.items():
            gateway.add("GET", f"/{name}", partial(self._answer_table, kernel_type))

    async def _answer_kernels(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        if not request.query_string:
            raise crash()
        given = parameters(request)
        _check(given, _KERNEL_PARAMETERS)
        kernel_type = given.pop("type", "kernels")
        if kernel_type in TABLES:
            return await self._table(kernel_type, _as_for_a_table(given))
        if kernel_type not in ("kernels", *KERNELS):
            raise _invalid("type", kernel_type)
        is_latest = given.pop("latest", "").lower() == "true"
        types = KERNELS if kernel_type == "kernels" else (kernel_type,)
        conditions: list[Condition] = []
        for name, text in given.items():
            match name:
                case "file_name":
                    conditions.append(("file_name = ?", (text,)))
                case "start_time":
                    conditions.append(("max_tdb_s >= ?", (_read(float, name, text),)))
                case "end_time":
                    conditions.append(("min_tdb_s <= ?", (_read(float, name, text),)))
                case _:
                    conditions.append(_ingested(name, text))
        return await self._found(types, conditions, is_latest=is_latest)

    async def _answer_table(self, kernel_type: str, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        given = parameters(request)
        _check(given, _TABLE_PARAMETERS)
        return await self._table(kernel_type, given)

    async def _table(self, kernel_type: str, given: dict[str, str]) -> web.StreamResponse:
        if "latest" in given:
            raise crash()
        if kernel_type == "repoint":
            await self._catalog.keep_repointings()
        conditions: list[Condition] = []
        for name, text in given.items():
            match name:
                case "file_path":
                    conditions.append(("file_path = ?", (text,)))
                case "start_date":
                    first = to_tdb(midnight(_read(_day, name, text)))
                    if kernel_type != "repoint":  # of which no start is known
                        conditions.append(("min_tdb_s >= ?", (first,)))
                case "end_date":
                    conditions.append(("max_tdb_s <= ?", (to_tdb(midnight(_read(_day, name, text))),)))
                case _:
                    conditions.append(_ingested(name, text))
        return await self._found((kernel_type,), conditions)

    async def _found(
        self, types: Sequence[str], conditions: Sequence[Condition], *, is_latest: bool = False
    ) -> web.StreamResponse:
        return json_answer(await asyncio.to_thread(self._catalog.kernels, types, conditions, is_latest=is_latest))


def _as_for_a_table(given: dict[str, str]) -> dict[str, str]:
    """Return the parameters under the names and in the form that a table has for them."""
    renamed = {}
    for name, text in given.items():
        match name:
            case "file_name":
                renamed["file_path"] = text
            case "start_time" | "end_time":
                moment = _read(lambda text: from_tdb(float(text)), name, text)
                renamed[name.replace("time", "date")] = compact(moment.date())
            case _:
                renamed[name] = text
    return renamed


def _ingested(name: str, text: str) -> Condition:
    bound = midnight_s(_read(_day, name, text))
    # To the midnight at which the last day begins, as the real service has it: nothing of that day is found.
    return ("ingested_s >= ?" if name == "start_ingest_date" else "ingested_s <= ?"), (bound,)


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()


def _check(given: dict[str, str], valid: list[str]) -> None:
    for name in given:
        if name not in valid:
            raise refusal(400, f"{name} is not a valid query parameter. Valid query parameters are: {valid}")


def _read(read: Callable[[str], T], name: str, text: str) -> T:
    try:
        return read(text)
    except (ValueError, OverflowError):
        raise _invalid(name, text) from None


def _invalid(name: str, text: str) -> Exception:
    return refusal(400, f"Invalid value for {name}: {text}")
