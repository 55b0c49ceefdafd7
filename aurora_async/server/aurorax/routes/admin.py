"""What only administrators may do: see and remove everybody's searches, and switch maintenance mode."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from aiohttp import web

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.logs import REQUEST_TYPES
from aurora_async.server.aurorax.routes._core import UUID, Core, JsonObject, no_such_request
from aurora_async.server.aurorax.searches import Search, timestamp_from_us
from aurora_async.server.site import Routes, answer, answer_bytes, flag, read_json
from aurora_async.times import end_of, start_of

__all__ = ["AdminRoutes"]


class AdminRoutes:
    """`/api/v1/utils/admin/…`; `maintenance` is this service's own, AuroraX has no documented switch."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        routes.add("GET", "/api/v1/utils/admin/search_requests", self._list_requests)
        routes.add("DELETE", "/api/v1/utils/admin/search_requests/{}", self._forget_request)
        routes.add("GET", "/api/v1/utils/admin/maintenance", self._maintenance)
        routes.add("PUT", "/api/v1/utils/admin/maintenance", self._set_maintenance)

    async def _list_requests(self, request: web.BaseRequest) -> web.StreamResponse:
        self._core.accounts.require(request, "Administrator")
        wanted = _Listing(request)
        searches = await self._core.searches.listing(wanted.start_us, wanted.end_us)
        return await answer(request, [_listed(search) for search in searches if wanted.includes(search)])

    async def _forget_request(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        self._core.accounts.require(request, "Administrator")
        if not (UUID.fullmatch(request_id) and await self._core.searches.forget(request_id)):
            raise no_such_request(request_id)
        return answer_bytes(b"{}")

    async def _maintenance(self, request: web.BaseRequest) -> web.StreamResponse:
        self._core.accounts.require(request, "Administrator")
        return await answer(request, {"maintenance": self._core.maintenance})

    async def _set_maintenance(self, request: web.BaseRequest) -> web.StreamResponse:
        self._core.accounts.require(request, "Administrator")
        document = await read_json(request)
        wanted = document.get("maintenance") if isinstance(document, dict) else None
        if not isinstance(wanted, bool):
            raise InvalidQuery("maintenance", 'send {"maintenance": true} or {"maintenance": false}')
        await self._core.store.set_maintenance(wanted)
        self._core.maintenance = wanted
        return await answer(request, {"maintenance": wanted})


class _Listing:
    """Which searches an administrator wants to see."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._search_type = request.query.get("search_type")
        if self._search_type is not None and self._search_type not in REQUEST_TYPES.values():
            allowed = ", ".join(REQUEST_TYPES.values())
            raise InvalidQuery("search_type", f"{self._search_type!r} is unknown; use one of {allowed}")
        start, end = request.query.get("start"), request.query.get("end")
        self.start_us = 0 if not start else _microseconds(start_of(start, "start"))
        self.end_us = 1 << 62 if not end else _microseconds(end_of(end, "end")) + 999_999
        self._file_size = _number(request, "file_size")
        self._result_count = _number(request, "result_count")
        self._query_duration = _number(request, "query_duration")
        self._error_condition = flag(request, "error_condition", None)
        self._active = flag(request, "active", None)
        if self._file_size is not None or self._result_count is not None:
            self._active = False

    def includes(self, search: Search) -> bool:
        """Tell whether a search is one of them."""
        end = search.end if search.is_over else None
        if self._search_type is not None and REQUEST_TYPES[search.kind.name] != self._search_type:
            return False
        if self._active is not None and self._active is not (end is None):
            return False
        if self._query_duration is not None and _duration_ms(search) < self._query_duration:
            return False
        if end is None:
            return self._error_condition is None or self._active is True
        # The size is asked for in kilobytes.
        return (
            (self._file_size is None or (_file_exists(search) and end.file_size >= 1000 * self._file_size))
            and (self._result_count is None or end.result_count >= self._result_count)
            and (self._error_condition is None or end.error_condition is self._error_condition)
        )


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _number(request: web.BaseRequest, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidQuery(name, f"{text!r} is not a whole number")
    return int(text)


def _file_exists(search: Search) -> bool:
    return search.is_over and search.end is not None and not search.end.error_condition and search.deleted_us is None


def _duration_ms(search: Search) -> int:
    if search.is_over and search.end is not None:
        return search.end.query_duration
    return (time.time_ns() // 1000 - search.requested_us) // 1000


def _listed(search: Search) -> JsonObject:
    end = search.end if search.is_over else None
    return {
        "search_type": REQUEST_TYPES[search.kind.name],
        "ip_address": search.ip_address,
        "request_id": search.request_id,
        "requested": timestamp_from_us(search.requested_us),
        "active": end is None,
        "query_duration": _duration_ms(search),
        "result_file_exists": _file_exists(search),
        # Of a deleted file too: the official command line cannot print a finished search without a size.
        "file_size": None if end is None else end.file_size,
        "result_count": None if end is None else end.result_count,
        "error_condition": end is not None and end.error_condition,
    }
