"""Availability: how many records each data source has, day by day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import attrs

from aurora_async.aurorax.availability import Availability
from aurora_async.aurorax.sources import Level
from aurora_async.compat.pyaurorax._printing import Printed
from aurora_async.compat.pyaurorax.search.sources import FORMAT_DEFAULT, DataSource

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["AvailabilityManager", "AvailabilityResult"]
__dir__ = __all__.copy


@attrs.define(slots=False)
class AvailabilityResult(Printed):
    """Records by day (`{"2020-01-01": 1440}`) of one data source; what was not asked for is None."""

    data_source: DataSource
    available_data_products: dict[str, int] | None = None
    available_ephemeris: dict[str, int] | None = None


class AvailabilityManager:
    """Counts of records by data source and day, for the data sources that have any. Both ends are inclusive."""

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self._aurorax_obj = aurorax_obj

    def ephemeris(
        self,
        start: date,
        end: date,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        format: str = FORMAT_DEFAULT,
        slow: bool = False,
    ) -> list[AvailabilityResult]:
        """Return how many ephemeris records there are; `slow` counts them instead of using prepared counts."""
        return self._ask(
            "ephemeris", start, end, format,
            program=program, platform=platform, instrument_type=instrument_type, source_type=source_type, owner=owner,
            slow=bool(slow),
        )  # fmt: skip

    def data_products(
        self,
        start: date,
        end: date,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        format: str | None = FORMAT_DEFAULT,
        slow: bool | None = False,
    ) -> list[AvailabilityResult]:
        """Return how many data products there are; `slow` counts them instead of using prepared counts."""
        return self._ask(
            "data_products", start, end, format or FORMAT_DEFAULT,
            program=program, platform=platform, instrument_type=instrument_type, source_type=source_type, owner=owner,
            slow=bool(slow),
        )  # fmt: skip

    def _ask(self, kind: str, start: date, end: date, format: str, **how: Any) -> list[AvailabilityResult]:
        with self._aurorax_obj._client(level="format") as client:
            ask = client.availability.ephemeris if kind == "ephemeris" else client.availability.data_products
            found: Iterable[Availability] = ask(start, end, level=cast(Level, format), **how)
        return [
            AvailabilityResult(
                data_source=DataSource._of(one.data_source, format),
                **{f"available_{kind}": {day.isoformat(): count for day, count in one.days.items()}},
            )
            for one in found
        ]
