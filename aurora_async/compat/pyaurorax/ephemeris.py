"""Ephemeris, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aurora_async.compat.pyaurorax._module_form import STANDARD_POLLING_SLEEP_TIME, aurorax, submitting
from aurora_async.compat.pyaurorax._searching import do
from aurora_async.compat.pyaurorax.search.ephemeris import EphemerisData, EphemerisSearch, Filters
from aurora_async.compat.pyaurorax.search.metadata_filters import LogicalOperator
from aurora_async.compat.pyaurorax.search.sources import DataSource

__all__ = ["Ephemeris", "Search", "delete", "search", "search_async", "upload"]
__dir__ = __all__.copy


class Ephemeris(EphemerisData):
    """Where one data source was at one minute (`epoch`, UTC)."""


class Search(EphemerisSearch):
    """A search for ephemeris, step by step."""

    _record_type = Ephemeris

    def __init__(
        self,
        start: datetime,
        end: datetime,
        programs: Sequence[str] | None = None,
        platforms: Sequence[str] | None = None,
        instrument_types: Sequence[str] | None = None,
        metadata_filters: Filters | None = None,
        metadata_filters_logical_operator: LogicalOperator | None = None,
        response_format: dict[str, Any] | None = None,
    ) -> None:
        """Make a search; nothing is sent before `execute`."""
        super().__init__(
            aurorax(), start, end, programs, platforms, instrument_types, metadata_filters,
            metadata_filters_logical_operator, response_format,
        )  # fmt: skip


def search(
    start: datetime,
    end: datetime,
    programs: Sequence[str] | None = None,
    platforms: Sequence[str] | None = None,
    instrument_types: Sequence[str] | None = None,
    metadata_filters: Filters | None = None,
    metadata_filters_logical_operator: LogicalOperator | None = None,
    response_format: dict[str, Any] | None = None,
    poll_interval: float = STANDARD_POLLING_SLEEP_TIME,
    return_immediately: bool = False,
    verbose: bool = False,
) -> Search:
    """Search, wait, and return the search with its records in `data`."""
    made = Search(
        start, end, programs, platforms, instrument_types, metadata_filters, metadata_filters_logical_operator,
        response_format,
    )  # fmt: skip
    return do(made, poll_interval, return_immediately, verbose)


search_async = submitting(Search)


def upload(identifier: int, records: Sequence[EphemerisData], validate_source: bool = False) -> int:
    """Load records of a data source, and return 1."""
    aurorax().search.ephemeris.upload(identifier, records, validate_source)
    return 1


def delete(data_source: DataSource, start: datetime, end: datetime) -> int:
    """Delete the records of a data source from `start` to `end`, and return 1; the service does it later."""
    aurorax().search.ephemeris.delete(data_source, start, end)
    return 1
