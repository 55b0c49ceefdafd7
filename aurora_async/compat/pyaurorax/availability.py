"""Availability, as functions."""

from __future__ import annotations

from datetime import date

from aurora_async.compat.pyaurorax._module_form import aurorax
from aurora_async.compat.pyaurorax.search.availability import AvailabilityResult
from aurora_async.compat.pyaurorax.search.sources import FORMAT_DEFAULT

__all__ = ["AvailabilityResult", "data_products", "ephemeris"]
__dir__ = __all__.copy


def ephemeris(
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
    """Return how many ephemeris records there are, by data source and day."""
    return aurorax().search.availability.ephemeris(
        start, end, program, platform, instrument_type, source_type, owner, format, slow
    )


def data_products(
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
    """Return how many data products there are, by data source and day."""
    return aurorax().search.availability.data_products(
        start, end, program, platform, instrument_type, source_type, owner, format, slow
    )
