"""Ephemeris: positions and footprints, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from aurora_async.aurorax import models
from aurora_async.compat.pyaurorax._errors import their_errors
from aurora_async.compat.pyaurorax._plain import must_be, must_be_all, naive, names, uploadable
from aurora_async.compat.pyaurorax._printing import Printed, cut
from aurora_async.compat.pyaurorax._searching import KindManager, Search, do
from aurora_async.compat.pyaurorax.search.location import Location
from aurora_async.compat.pyaurorax.search.metadata_filters import LogicalOperator, MetadataFilter, filter_document
from aurora_async.compat.pyaurorax.search.sources import FORMAT_BASIC_INFO, DataSource
from aurora_async.times import end_of, start_of, to_wire

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["EphemerisData", "EphemerisManager", "EphemerisSearch"]
__dir__ = __all__.copy

Filters = MetadataFilter | Sequence[dict[str, Any]] | dict[str, Any]


@attrs.define(slots=False, eq=False, repr=False)
class EphemerisData(Printed):
    """Where one data source was at one minute (`epoch`, UTC)."""

    data_source: DataSource
    epoch: datetime
    location_geo: Location | None = None
    nbtrace: Location | None = None
    sbtrace: Location | None = None
    location_gsm: Location | None = None
    metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        places = ", ".join(
            f"{name}={getattr(self, name)!r}" for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")
        )
        metadata = cut(str(self.metadata), 20, "...}")
        name = type(self).__name__
        return f"{name}(epoch={self.epoch!r}, {places}, metadata={metadata}, data_source=DataSource(...))"

    def to_json_serializable(self) -> dict[str, Any]:
        """Return the record as it is uploaded; the record itself stays as it is."""
        places = {name: getattr(self, name) for name in ("location_geo", "nbtrace", "sbtrace", "location_gsm")}
        return {
            "epoch": f"{to_wire(self._minute())}.000Z",
            **{name: None if place is None else place.to_json_serializable() for name, place in places.items()},
            "metadata": uploadable(self.metadata),
            "program": self.data_source.program,
            "platform": self.data_source.platform,
            "instrument_type": self.data_source.instrument_type,
        }

    def _minute(self) -> datetime:
        """The epoch, to the minute: there is one record a minute."""
        return start_of(self.epoch, "epoch").replace(second=0, microsecond=0)

    def _as_ours(self) -> models.Ephemeris:
        def place(name: str) -> models.Location:
            return must_be(getattr(self, name) or Location(), Location, name)._as_ours()

        return models.Ephemeris(
            data_source=must_be(self.data_source, DataSource, "data_source")._as_ours(),
            epoch=self._minute(),
            location_geo=place("location_geo"),
            location_gsm=place("location_gsm"),
            nbtrace=place("nbtrace"),
            sbtrace=place("sbtrace"),
            metadata=self.metadata,
        )


class EphemerisSearch(Search[EphemerisData]):
    """A search for ephemeris; at least one of `programs`, `platforms` and `instrument_types` must be given."""

    _kind = "ephemeris"
    _noun = "ephemeris"
    _name = "EphemerisSearch"
    _record_type: ClassVar[type[EphemerisData]] = EphemerisData

    def __init__(
        self,
        aurorax_obj: PyAuroraX,
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
        self.start = start
        self.end = end
        self.programs = programs
        self.platforms = platforms
        self.instrument_types = instrument_types
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
                "ephemeris_metadata_filters": filters,
            },
            "start": start,
            "end": end,
        }

    def _record(self, record: models.Ephemeris) -> EphemerisData:
        return self._record_type(
            data_source=DataSource._of(record.data_source, FORMAT_BASIC_INFO),
            epoch=naive(record.epoch),
            location_geo=Location._of(record.location_geo),
            nbtrace=Location._of(record.nbtrace),
            sbtrace=Location._of(record.sbtrace),
            location_gsm=Location._of(record.location_gsm),
            metadata=record.metadata,
        )


class EphemerisManager(KindManager[EphemerisSearch]):
    """Searches for ephemeris, and, for those who maintain a data source, loading and deleting it."""

    _kind = "ephemeris"

    def search(
        self,
        start: datetime,
        end: datetime,
        programs: Sequence[str] | None = None,
        platforms: Sequence[str] | None = None,
        instrument_types: Sequence[str] | None = None,
        metadata_filters: Filters | None = None,
        metadata_filters_logical_operator: LogicalOperator | None = None,
        response_format: dict[str, Any] | None = None,
        poll_interval: float = 1.0,
        return_immediately: bool = False,
        verbose: bool = False,
    ) -> EphemerisSearch:
        """Search, wait, and return the search with its records in `data`.

        Args:
            start, end: Time range, both inclusive; naive datetimes are UTC. At most one month.
            programs, platforms, instrument_types: Which data sources.
            metadata_filters: Which of their records: a filter, or expressions that the next argument joins.
            metadata_filters_logical_operator: AND (as None) or OR.
            response_format: Records are dictionaries with just that; see `create_response_format_template`.
            poll_interval: Seconds between two looks; the first ones are sooner.
            return_immediately: Whether to return as soon as it is submitted.
            verbose: Whether to print every step.
        """
        search = EphemerisSearch(
            self._aurorax_obj, start, end, programs, platforms, instrument_types, metadata_filters,
            metadata_filters_logical_operator, response_format,
        )  # fmt: skip
        return do(search, poll_interval, return_immediately, verbose)

    def upload(
        self,
        identifier: int,
        records: Sequence[EphemerisData],
        validate_source: bool = False,
        chunk_size: int = 500,
    ) -> int:
        """Load records of a data source, and return 0; the records stay as they are.

        A record of another data source is refused whatever `validate_source` says.

        Raises:
            AuroraXBadParametersError: A record cannot be right; nothing was sent.
            AuroraXUploadError: Some records were not accepted; which, its `__cause__` tells.
        """
        with self._aurorax_obj._client() as client:
            ours = [record._as_ours() for record in must_be_all(records, EphemerisData, "records")]
            client.ephemeris.upload(identifier, ours, chunk_size=chunk_size, validate=False)
        return 0

    def delete(self, data_source: DataSource, start: datetime, end: datetime) -> int:
        """Delete the records of a data source from `start` to `end`, and return 0; the service does it later."""
        with self._aurorax_obj._client() as client:
            client.ephemeris.delete(must_be(data_source, DataSource, "data_source")._as_ours(), start, end)
        return 0
