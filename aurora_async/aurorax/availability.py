"""Availability: how many records each data source has, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import attrs
import msgspec

from aurora_async.aurorax.models import DATA_PRODUCT_TYPES, DataSource
from aurora_async.aurorax.sources import Level, check_level, source_filters
from aurora_async.aurorax.wire import decode_answer
from aurora_async.engine import Engine
from aurora_async.errors import InvalidInput
from aurora_async.times import TimeLike, TimeRange, end_of, start_of
from aurora_async.transfer.tables import Records, table

__all__ = ["Availability", "AvailabilityCounts"]


@table(
    inline=("data_source",),
    long=("days", "date", "records"),
    shown=("program", "platform", "instrument_type", "days"),
)
@attrs.frozen(kw_only=True)
class Availability:
    """How many records `data_source` has on each day (UTC); days without any are left out."""

    data_source: DataSource
    days: Mapping[date, int]

    @property
    def total(self) -> int:
        """The records of all days together."""
        return sum(self.days.values())

    def __repr__(self) -> str:
        if not self.days:
            return f"<Availability of {self.data_source}: no records>"
        span = f"{min(self.days)} to {max(self.days)}"
        return f"<Availability of {self.data_source}: {self.total:,} records on {len(self.days)} days, {span}>"


class _Entry(msgspec.Struct):
    data_source: DataSource
    available_ephemeris: dict[date, int] | None = None
    available_data_products: dict[date, int] | None = None


class AvailabilityCounts:
    """Counts of records by data source and day.

    Both ends of the range are inclusive, and may be partial (`2020-01`). Filters are matched whole; None does not
    restrict. `slow` counts the records themselves instead of using prepared counts, which follow an upload after
    about ten minutes.
    """

    def __init__(self, engine: Engine) -> None:
        """Made by the client."""
        self._engine = engine

    async def ephemeris(
        self,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        level: Level = "basic_info",
        slow: bool = False,
    ) -> Records[Availability]:
        """Return the counts of ephemeris records, for the data sources that have any.

        Args:
            start: First day; None is the first of January of this year.
            end: Last day; None is twelve months after the start, or a month from now.
            program, platform, instrument_type, source_type, owner: Which data sources.
            level: How much is told of each data source.
            slow: Count now.

        Source: AuroraX API, GET api/v1/availability/ephemeris.
        """
        filters = source_filters(
            program=program, platform=platform, instrument_type=instrument_type, source_type=source_type, owner=owner
        )
        return await self._ask("ephemeris", _params(start, end, level, slow) | filters)

    async def data_products(
        self,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        data_product_type: str | None = None,
        level: Level = "basic_info",
        slow: bool = False,
    ) -> Records[Availability]:
        """Return the counts of data products, of one type if wanted; else as `ephemeris`.

        Source: AuroraX API, GET api/v1/availability/data_products.
        """
        filters = source_filters(
            program=program, platform=platform, instrument_type=instrument_type, source_type=source_type, owner=owner
        )
        if data_product_type is not None:
            if data_product_type not in DATA_PRODUCT_TYPES:
                allowed = ", ".join(DATA_PRODUCT_TYPES)
                raise InvalidInput("data_product_type", f"{data_product_type!r} is unknown; use one of {allowed}")
            filters["data_product_type"] = data_product_type
        return await self._ask("data_products", _params(start, end, level, slow) | filters)

    async def _ask(self, kind: str, params: Mapping[str, str]) -> Records[Availability]:
        answer = await self._engine.session.exchange("GET", f"/api/v1/availability/{kind}", params=params)
        found = [
            Availability(data_source=entry.data_source, days=getattr(entry, f"available_{kind}") or {})
            for entry in decode_answer(answer, list[_Entry])
            if entry.data_source.identifier >= 0
        ]
        return Records(found, record_type=Availability)


def _params(start: TimeLike | None, end: TimeLike | None, level: Level, slow: bool) -> dict[str, Any]:
    check_level(level)
    params = {"format": level, "slow": "true" if slow else "false"}
    if start is not None:
        params["start"] = start_of(start, "start").date().isoformat()
    if end is not None:
        params["end"] = end_of(end, "end").date().isoformat()
    if start is not None and end is not None:
        TimeRange(start, end)  # refuses one that ends before it begins
    return params
