"""How many records each data source has, day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial

from aiohttp import web

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.records import source_record
from aurora_async.server.aurorax.routes._core import Core, level_of
from aurora_async.server.site import Routes, answer, flag

__all__ = ["AvailabilityRoutes"]


class AvailabilityRoutes:
    """`/api/v1/availability/…`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        routes.add("GET", "/api/v1/availability/ephemeris", partial(self._availability, False))
        routes.add("GET", "/api/v1/availability/data_products", partial(self._availability, True))

    async def _availability(self, of_products: bool, request: web.BaseRequest) -> web.StreamResponse:
        level = level_of(request)
        if flag(request, "slow"):  # counts are made from the data in any case
            self._core.check_maintenance("Slow mode is currently not available.")
        start, end = _date(request, "start"), _date(request, "end")
        today = datetime.now(UTC).date()
        if end is None:
            end = today + timedelta(days=31) if start is None else _later(start, days=365)
        start = start or date(today.year, 1, 1)
        records = self._core.filtered(request)
        kind = request.query.get("data_product_type") if of_products else None
        count = self._core.sources.availability(records, start, end, of_products=of_products, product_type=kind)
        found = await self._core.count(request, count)
        key = "available_data_products" if of_products else "available_ephemeris"
        entries = [
            {"data_source": source_record(record, level), key: found[record["identifier"]]}
            for record in records
            if record["identifier"] in found
        ]
        return await answer(request, entries)


def _later(day: date, *, days: int) -> date:
    return day + min(timedelta(days=days), date.max - day)


def _date(request: web.BaseRequest, name: str) -> date | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise InvalidQuery(name, f"{text!r} is not a date such as 2020-01-31") from None
