"""Data products, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aurora_async.compat.pyaurorax._module_form import STANDARD_POLLING_SLEEP_TIME, aurorax, submitting
from aurora_async.compat.pyaurorax._searching import do
from aurora_async.compat.pyaurorax.search.data_products import (
    DATA_PRODUCT_TYPE_DATA_AVAILABILITY,
    DATA_PRODUCT_TYPE_KEOGRAM,
    DATA_PRODUCT_TYPE_MONTAGE,
    DATA_PRODUCT_TYPE_MOVIE,
    DATA_PRODUCT_TYPE_SUMMARY_PLOT,
    DataProductData,
    DataProductSearch,
    Filters,
)
from aurora_async.compat.pyaurorax.search.metadata_filters import LogicalOperator
from aurora_async.compat.pyaurorax.search.sources import DataSource

__all__ = [
    "DATA_PRODUCT_TYPE_DATA_AVAILABILITY",
    "DATA_PRODUCT_TYPE_KEOGRAM",
    "DATA_PRODUCT_TYPE_MONTAGE",
    "DATA_PRODUCT_TYPE_MOVIE",
    "DATA_PRODUCT_TYPE_SUMMARY_PLOT",
    "DataProduct",
    "Search",
    "delete",
    "delete_daterange",
    "search",
    "search_async",
    "upload",
]
__dir__ = __all__.copy


class DataProduct(DataProductData):
    """One keogram, montage, movie or plot."""

    def __repr__(self) -> str:
        source = repr(self.data_source).replace(", ...)", ")")  # in full, where later releases leave it out
        return f"DataProduct(data_source={source}, {self._facts()})"


class Search(DataProductSearch):
    """A search for data products, step by step."""

    _name = "DataProductsSearch"
    _record_type = DataProduct

    def __init__(
        self,
        start: datetime,
        end: datetime,
        programs: Sequence[str] | None = None,
        platforms: Sequence[str] | None = None,
        instrument_types: Sequence[str] | None = None,
        data_product_types: Sequence[str] | None = None,
        metadata_filters: Filters | None = None,
        metadata_filters_logical_operator: LogicalOperator | None = None,
        response_format: dict[str, Any] | None = None,
    ) -> None:
        """Make a search; nothing is sent before `execute`."""
        super().__init__(
            aurorax(), start, end, programs, platforms, instrument_types, data_product_types, metadata_filters,
            metadata_filters_logical_operator, response_format,
        )  # fmt: skip


def search(
    start: datetime,
    end: datetime,
    programs: Sequence[str] | None = None,
    platforms: Sequence[str] | None = None,
    instrument_types: Sequence[str] | None = None,
    data_product_types: Sequence[str] | None = None,
    metadata_filters: Filters | None = None,
    metadata_filters_logical_operator: LogicalOperator | None = None,
    response_format: dict[str, Any] | None = None,
    poll_interval: float = STANDARD_POLLING_SLEEP_TIME,
    return_immediately: bool = False,
    verbose: bool = False,
) -> Search:
    """Search, wait, and return the search with its records in `data`."""
    made = Search(
        start, end, programs, platforms, instrument_types, data_product_types, metadata_filters,
        metadata_filters_logical_operator, response_format,
    )  # fmt: skip
    return do(made, poll_interval, return_immediately, verbose)


search_async = submitting(Search)


def upload(identifier: int, records: Sequence[DataProductData], validate_source: bool = False) -> int:
    """Load records of a data source, and return 1."""
    aurorax().search.data_products.upload(identifier, records, validate_source)
    return 1


def delete(data_source: DataSource, urls: Sequence[str]) -> int:
    """Delete the records of a data source with these URLs, and return 1."""
    aurorax().search.data_products.delete_urls(data_source, urls)
    return 1


def delete_daterange(
    data_source: DataSource, start: datetime, end: datetime, data_product_types: Sequence[str] | None = None
) -> int:
    """Delete the records of a data source that lie from `start` to `end`, and return 1."""
    aurorax().search.data_products.delete(data_source, start, end, data_product_types)
    return 1
