"""`jsoc_fetch`: asking for exports and about them; and `manage-request.sh`, by which a user gives pending ones up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from aurora_async.server.jsoc.answers import as_json, json_answer, parameters, text_answer
from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.exports import Exports
from aurora_async.server.jsoc.orders import Refused, check_texts, read_order
from aurora_async.server.site import FATE, Fate, Routes

__all__ = ["FetchRoutes"]

_ID = re.compile(r"JSOC_[0-9]{8}_[0-9]+(?:_X)?(?:_IN|_SU)?")
_SLOTS = 64
"""Directories that a storage unit has at most here."""


class FetchRoutes:
    """`/cgi-bin/ajax/jsoc_fetch`, `jsocextfetch` and `manage-request.sh`."""

    def __init__(self, exports: Exports, catalog: Catalog) -> None:
        self._exports = exports
        self._catalog = catalog

    def add_to(self, routes: Routes) -> None:
        """Answer these addresses, by GET and by POST."""
        for method in ("GET", "POST"):
            routes.add(method, "/cgi-bin/ajax/jsoc_fetch", self._fetch)
            routes.add(method, "/cgi-bin/ajax/jsocextfetch", self._fetch)
            routes.add(method, "/cgi-bin/ajax/manage-request.sh", self._manage)

    async def _fetch(self, request: web.BaseRequest) -> web.StreamResponse:
        given = await parameters(request)
        try:
            check_texts(given)
            document = await self._answer(request, given)
        except Refused as refused:
            document = refused.document
        if isinstance(document, bytes):
            return web.Response(body=document, content_type="application/json")
        if given.get("format", "json").lower() == "txt" and given.get("op") == "exp_request":
            return text_answer(_as_text(document))
        # A quick answer may name a hundred thousand files.
        text = await asyncio.to_thread(as_json, document) if "data" in document else as_json(document)
        return text_answer(text, "application/json")

    async def _answer(self, request: web.BaseRequest, given: Mapping[str, str]) -> bytes | dict[str, Any]:
        match given.get("op", ""):
            case "exp_request":
                ip_address = request.remote or "127.0.0.1"
                return await self._exports.submit(read_order(given), ip_address, request.get(FATE, Fate()))
            case "exp_status":
                return await self._status(given.get("requestid", ""))
            case "exp_repeat":
                raise Refused(4, "Re-Export requests temporarily disabled.")
            case "exp_su":
                return await asyncio.to_thread(self._units, given)
            case op:
                raise Refused(4, f"Operation '{op}' is not known, only exp_request, exp_status, exp_su and exp_repeat.")

    async def _status(self, request_id: str) -> bytes | dict[str, Any]:
        if not request_id:
            raise Refused(4, "RequestID must be provided")
        if not _ID.fullmatch(request_id):
            raise Refused(4, f"Bad RequestID '{request_id}' provided.")
        found = await self._exports.status(request_id)
        if found is None:
            # As JSOC has it: a format that nobody filled in.
            raise Refused(4, f"invalid export DRMS record for ID `%s`{request_id}")
        return found

    def _units(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Answer where storage units are."""
        asked = given.get("sunum", "").replace(",", " ").split()
        if not asked or not all(re.fullmatch(r"[0-9]{1,18}", one) for one in asked):
            raise Refused(4, "There are no valid SUNUMs in the request")
        units = {sunum: self._unit(sunum) for sunum in asked}
        size = sum(int(unit["susize"]) for unit in units.values())
        return {
            "count": len(units),
            "size": size >> 20,
            "dir": "",
            "data": units,
            "requestid": "",
            "method": given.get("method", "url_quick"),
            "protocol": given.get("protocol", "as-is"),
            "wait": 0,
            "status": 0,
        }

    def _unit(self, sunum: str) -> dict[str, str]:
        number = int(sunum)
        records = [record for slot in range(_SLOTS) if (record := self._catalog.record_at(number, slot)) is not None]
        if not records:
            return {"sunum": sunum, "series": "NA", "path": "NA", "sustatus": "I", "susize": "0"}
        first = records[0]
        return {
            "sunum": sunum,
            "series": first.series.name,
            "path": first.directory.rpartition("/")[0],
            "sustatus": "Y",
            "susize": str(sum(record.size_bytes for record in records)),
        }

    async def _manage(self, request: web.BaseRequest) -> web.StreamResponse:
        given = await parameters(request)
        address = unquote(given.get("address", "")).strip()  # some programs encode it twice
        operation = given.get("operation", "")
        if not address:
            return _managed(-2, "Missing required argument 'address'.")
        if operation not in ("check", "cancel"):
            return _managed(-2, f"Operation '{operation}' is not known, only check and cancel.")
        if operation == "cancel":
            ids = await self._exports.give_up(address)
            cancelled = f"{len(ids)} pending export requests of {address} were cancelled: {', '.join(ids)}."
            return _managed(3, cancelled) if ids else _nothing_pending(address)
        ids = self._exports.pending_of(address)
        pending = f"{address} has {len(ids)} pending export requests: {', '.join(ids)}."
        return _managed(2, pending) if ids else _nothing_pending(address)


def _nothing_pending(address: str) -> web.Response:
    return _managed(1, f"{address} has no pending export requests.")


def _managed(status: int, message: str) -> web.Response:
    return json_answer({"status": str(status), "msg": message})


def _as_text(document: Mapping[str, Any]) -> str:
    """Return the answer to a request in its older form: a line for each member, then one for each file."""
    lines = [f"{name}={value}" for name, value in document.items() if name != "data"]
    if data := document.get("data"):
        lines += ["# DATA", *(f"{row['record']}\t{row['filename']}" for row in data)]
    return "\n".join(lines) + "\n"
