"""Data products: keograms, montages, movies and plots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from aurora_async.aurorax import models
from aurora_async.compat.pyaurorax._errors import their_errors
from aurora_async.compat.pyaurorax._plain import as_list, must_be, must_be_all, naive, names, uploadable
from aurora_async.compat.pyaurorax._printing import Printed, cut
from aurora_async.compat.pyaurorax._searching import KindManager, Search, do
from aurora_async.compat.pyaurorax.search.metadata_filters import LogicalOperator, MetadataFilter, filter_document
from aurora_async.compat.pyaurorax.search.sources import FORMAT_BASIC_INFO, DataSource
from aurora_async.times import end_of, start_of, to_wire

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = [
    "DATA_PRODUCT_TYPE_DATA_AVAILABILITY",
    "DATA_PRODUCT_TYPE_KEOGRAM",
    "DATA_PRODUCT_TYPE_MONTAGE",
    "DATA_PRODUCT_TYPE_MOVIE",
    "DATA_PRODUCT_TYPE_SUMMARY_PLOT",
    "DataProductData",
    "DataProductSearch",
    "DataProductsManager",
]
__dir__ = __all__.copy

DATA_PRODUCT_TYPE_KEOGRAM = "keogram"
DATA_PRODUCT_TYPE_MONTAGE = "montage"
DATA_PRODUCT_TYPE_MOVIE = "movie"
DATA_PRODUCT_TYPE_SUMMARY_PLOT = "summary_plot"
DATA_PRODUCT_TYPE_DATA_AVAILABILITY = "data_availability"

Filters = MetadataFilter | Sequence[dict[str, Any]] | dict[str, Any]


@attrs.define(slots=False, eq=False, repr=False)
class DataProductData(Printed):
    """One keogram, montage, movie or plot: what it shows (`start` to `end`, UTC), and the `url` of the file."""

    data_source: DataSource
    data_product_type: str
    start: datetime
    end: datetime
    url: str
    metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"DataProductData({self._facts()}, data_source=DataSource(...))"

    def _facts(self) -> str:
        return (
            f"start={self.start!r}, end={self.end!r}, data_product_type={self.data_product_type!r}, "
            f"url={cut(self.url, 20)!r}, metadata={cut(str(self.metadata), 20, '...}')}"
        )

    def to_json_serializable(self) -> dict[str, Any]:
        """Return the record as it is uploaded; the record itself stays as it is."""
        start, end = self._minutes()
        return {
            "data_product_type": self.data_product_type,
            "start": f"{to_wire(start)}.000",
            "end": f"{to_wire(end)}.000",
            "url": self.url,
            "metadata": uploadable(self.metadata),
            "program": self.data_source.program,
            "platform": self.data_source.platform,
            "instrument_type": self.data_source.instrument_type,
        }

    def _minutes(self) -> tuple[datetime, datetime]:
        """Start and end, to the minute as everything that pyaurorax has uploaded."""
        start, end = start_of(self.start, "start"), start_of(self.end, "end")
        return start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)

    def _as_ours(self) -> models.DataProduct:
        start, end = self._minutes()
        return models.DataProduct(
            data_source=must_be(self.data_source, DataSource, "data_source")._as_ours(),
            data_product_type=self.data_product_type,
            start=start,
            end=end,
            url=self.url,
            metadata=self.metadata,
        )


class DataProductSearch(Search[DataProductData]):
    """A search for data products; at least one of `programs`, `platforms` and `instrument_types` must be given."""

    _kind = "data_products"
    _noun = "data product"
    _name = "DataProductSearch"
    _record_type: ClassVar[type[DataProductData]] = DataProductData

    def __init__(
        self,
        aurorax_obj: PyAuroraX,
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
        self.start = start
        self.end = end
        self.programs = programs
        self.platforms = platforms
        self.instrument_types = instrument_types
        self.data_product_types = data_product_types
        self.metadata_filters = metadata_filters
        self.metadata_filters_logical_operator = metadata_filters_logical_operator or "AND"
        super().__init__(aurorax_obj, response_format)

    @property
    def query(self) -> dict[str, Any]:
        """The query document, made from the attributes as they are now."""
        filters = filter_document(self.metadata_filters, self.metadata_filters_logical_operator)
        with their_errors():
            start, end = to_wire(start_of(self.start)), to_wire(end_of(self.end))
        return {
            "data_sources": {
                "programs": names(self.programs),
                "platforms": names(self.platforms),
                "instrument_types": names(self.instrument_types),
                "data_product_metadata_filters": filters,
            },
            "start": start,
            "end": end,
            "data_product_type_filters": names(self.data_product_types),
        }

    def _record(self, record: models.DataProduct) -> DataProductData:
        return self._record_type(
            data_source=DataSource._of(record.data_source, FORMAT_BASIC_INFO),
            data_product_type=record.data_product_type,
            start=naive(record.start),
            end=naive(record.end),
            url=record.url,
            metadata=record.metadata,
        )


class DataProductsManager(KindManager[DataProductSearch]):
    """Searches for data products, and, for those who maintain a data source, loading and deleting them."""

    _kind = "data_products"

    def search(
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
        poll_interval: float = 1.0,
        return_immediately: bool = False,
        verbose: bool = False,
    ) -> DataProductSearch:
        """Search, wait, and return the search with its records in `data`; arguments are those of `ephemeris.search`.

        `data_product_types` is any of the `DATA_PRODUCT_TYPE_*`; None means all. A record must lie wholly inside the
        time range.
        """
        search = DataProductSearch(
            self._aurorax_obj, start, end, programs, platforms, instrument_types, data_product_types, metadata_filters,
            metadata_filters_logical_operator, response_format,
        )  # fmt: skip
        return do(search, poll_interval, return_immediately, verbose)

    def upload(
        self,
        identifier: int,
        records: Sequence[DataProductData],
        validate_source: bool = False,
        chunk_size: int = 500,
    ) -> int:
        """Load records of a data source, and return 0; see `EphemerisManager.upload`."""
        with self._aurorax_obj._client() as client:
            ours = [record._as_ours() for record in must_be_all(records, DataProductData, "records")]
            client.data_products.upload(identifier, ours, chunk_size=chunk_size, validate=False)
        return 0

    def delete_urls(self, data_source: DataSource, urls: Sequence[str]) -> int:
        """Delete the records of a data source with these URLs, and return 0."""
        source = must_be(data_source, DataSource, "data_source")._as_ours()
        with self._aurorax_obj._client() as client:
            client.data_products.delete_urls(source, urls)
        return 0

    def delete(
        self,
        data_source: DataSource,
        start: datetime,
        end: datetime,
        data_product_types: Sequence[str] | None = None,
    ) -> int:
        """Delete the records of a data source that lie from `start` to `end`, and return 0."""
        source = must_be(data_source, DataSource, "data_source")._as_ours()
        with self._aurorax_obj._client() as client:
            client.data_products.delete(source, start, end, data_product_types=as_list(data_product_types))
        return 0
