"""Queries in words, how much they ask for, and time zones."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from aurora_async.aurorax.models import ConjunctionQuery, CustomLocationsBlock
from aurora_async.aurorax.wire import KINDS, Kind, decode_query
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.logs import cartesian_product_count, describe, normalised_query
from aurora_async.server.aurorax.routes._core import Core
from aurora_async.server.site import Routes, answer, read_json
from aurora_async.times import to_wire

__all__ = ["UtilityRoutes"]


class UtilityRoutes:
    """`/api/v1/utils/describe/…` and `/api/v1/utils/timezones`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        for kind in KINDS.values():
            routes.add("POST", kind.describe_path, partial(self._describe, kind))
        routes.add("POST", "/api/v1/utils/describe/cartesian_products", self._cartesian_products)
        routes.add("GET", "/api/v1/utils/timezones", self._timezones)
        routes.add("GET", "/api/v1/utils/timezones/convert", self._convert)

    async def _describe(self, kind: Kind, request: web.BaseRequest) -> web.StreamResponse:
        document = await read_json(request)
        query = decode_query(document, kind)
        return await answer(request, describe(kind.name, normalised_query(document, query)))

    async def _cartesian_products(self, request: web.BaseRequest) -> web.StreamResponse:
        query = decode_query(await read_json(request), KINDS["conjunctions"])
        assert isinstance(query, ConjunctionQuery)
        counts = [
            len(set(block.locations))
            if isinstance(block, CustomLocationsBlock)
            else len(self._core.planner.matching(block))
            for block in query.blocks.values()
        ]
        return await answer(request, cartesian_product_count(counts))

    async def _timezones(self, request: web.BaseRequest) -> web.StreamResponse:
        return await answer(request, sorted(zoneinfo.available_timezones()))

    async def _convert(self, request: web.BaseRequest) -> web.StreamResponse:
        text, name = request.query.get("ts", ""), request.query.get("tz", "")
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            message = f"{name!r} is no time zone; /api/v1/utils/timezones lists them"
            raise InvalidQuery("tz", message) from None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidQuery("ts", f"{text!r} is not a timestamp in ISO format") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise InvalidQuery("ts", f"{text!r} lies outside the years 1 to 9999 in UTC") from None
        return await answer(request, to_wire(moment))
