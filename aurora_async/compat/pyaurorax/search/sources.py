"""Data sources: their records, and the manager that lists and changes them."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from aurora_async.aurorax import models
from aurora_async.compat.pyaurorax._plain import as_list, must_be, naive
from aurora_async.compat.pyaurorax._printing import Printed, cut, table
from aurora_async.compat.pyaurorax.exceptions import AuroraXBadParametersError

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = [
    "FORMAT_BASIC_INFO",
    "FORMAT_BASIC_INFO_WITH_METADATA",
    "FORMAT_DEFAULT",
    "FORMAT_FULL_RECORD",
    "FORMAT_IDENTIFIER_ONLY",
    "SOURCE_TYPE_EVENT_LIST",
    "SOURCE_TYPE_GROUND",
    "SOURCE_TYPE_HEO",
    "SOURCE_TYPE_LEO",
    "SOURCE_TYPE_LUNAR",
    "SOURCE_TYPE_NOT_APPLICABLE",
    "DataSource",
    "DataSourceStatistics",
    "SourcesManager",
    "fields_of",
    "schema_documents",
]
__dir__ = __all__.copy

FORMAT_IDENTIFIER_ONLY = "identifier_only"
FORMAT_BASIC_INFO = "basic_info"
FORMAT_BASIC_INFO_WITH_METADATA = "with_metadata"
FORMAT_FULL_RECORD = "full_record"
FORMAT_DEFAULT = FORMAT_BASIC_INFO

SOURCE_TYPE_GROUND = "ground"
SOURCE_TYPE_LEO = "leo"
SOURCE_TYPE_HEO = "heo"
SOURCE_TYPE_LUNAR = "lunar"
SOURCE_TYPE_EVENT_LIST = "event_list"
SOURCE_TYPE_NOT_APPLICABLE = "not_applicable"

_REQUIRED = ("program", "platform", "instrument_type", "source_type", "display_name")
_LONG = ("ephemeris_metadata_schema", "data_product_metadata_schema", "stats")
_SHOWN = 80
_TABLE = ("identifier", *_REQUIRED)


@attrs.define(slots=False, eq=False, repr=False)
class DataSourceStatistics(Printed):
    """How many records a data source has, and from when to when (UTC)."""

    ephemeris_count: int
    data_product_count: int
    earliest_ephemeris_loaded: datetime | None = None
    latest_ephemeris_loaded: datetime | None = None
    earliest_data_product_loaded: datetime | None = None
    latest_data_product_loaded: datetime | None = None

    def __repr__(self) -> str:
        counts = f"ephemeris_count={self.ephemeris_count}, data_product_count={self.data_product_count}"
        return f"DataSourceStatistics({counts}, ...)"

    @classmethod
    def _of(cls, stats: models.DataSourceStatistics) -> DataSourceStatistics:
        return cls(
            ephemeris_count=stats.ephemeris_count,
            data_product_count=stats.data_product_count,
            earliest_ephemeris_loaded=naive(stats.earliest_ephemeris_loaded),
            latest_ephemeris_loaded=naive(stats.latest_ephemeris_loaded),
            earliest_data_product_loaded=naive(stats.earliest_data_product_loaded),
            latest_data_product_loaded=naive(stats.latest_data_product_loaded),
        )


@attrs.define(slots=False, eq=False, repr=False)
class DataSource(Printed):
    """A spacecraft, ground instrument or event list; `format` is how much of it was asked for, the rest is None."""

    identifier: int | None = None
    program: str | None = None
    platform: str | None = None
    instrument_type: str | None = None
    source_type: str | None = None
    display_name: str | None = None
    metadata: dict[str, Any] | None = None
    owner: str | None = None
    maintainers: list[str] | None = None
    ephemeris_metadata_schema: list[dict[str, Any]] | None = None
    data_product_metadata_schema: list[dict[str, Any]] | None = None
    stats: DataSourceStatistics | None = None
    format: str = FORMAT_FULL_RECORD

    def __repr__(self) -> str:
        return f"DataSource({', '.join(f'{name}={getattr(self, name)!r}' for name in _TABLE)}, ...)"

    def _rows(self) -> dict[str, object]:
        # The schema of one data source is thousands of characters.
        return vars(self) | {name: None if value is None else cut(str(value), _SHOWN)
                             for name, value in vars(self).items() if name in _LONG}  # fmt: skip

    @classmethod
    def _of(cls, source: models.DataSource, format: str) -> DataSource:
        return cls(
            identifier=source.identifier,
            program=source.program,
            platform=source.platform,
            instrument_type=source.instrument_type,
            source_type=source.source_type,
            display_name=source.display_name,
            metadata=source.metadata,
            owner=source.owner,
            maintainers=source.maintainers,
            ephemeris_metadata_schema=_schema_of(source.ephemeris_metadata_schema),
            data_product_metadata_schema=_schema_of(source.data_product_metadata_schema),
            stats=None if source.stats is None else DataSourceStatistics._of(source.stats),
            format=format,
        )

    def _as_ours(self) -> models.DataSource:
        if self.identifier is None:
            raise AuroraXBadParametersError("the data source has no identifier")
        return models.DataSource(
            identifier=self.identifier,
            program=self.program,
            platform=self.platform,
            instrument_type=self.instrument_type,
            source_type=self.source_type,
            display_name=self.display_name,
        )


def schema_documents(schema: Iterable[models.SchemaField]) -> list[dict[str, Any]]:
    """Return a metadata schema as pyaurorax has it: a list of dictionaries."""
    return [attrs.asdict(field, filter=lambda _, value: value is not None) for field in schema]


def _schema_of(schema: Iterable[models.SchemaField] | None) -> list[dict[str, Any]] | None:
    return None if schema is None else schema_documents(schema)


def fields_of(schema: Iterable[Mapping[str, Any]] | None) -> list[models.SchemaField] | None:
    try:
        return None if schema is None else msgspec.convert(list(schema), list[models.SchemaField])
    except msgspec.ValidationError as error:
        raise AuroraXBadParametersError(f"the metadata schema cannot be right: {error}") from None


class SourcesManager:
    """The data sources of AuroraX."""

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self._aurorax_obj = aurorax_obj

    def list(
        self,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        format: str | None = FORMAT_FULL_RECORD,
        order: str | None = "identifier",
        include_stats: bool | None = False,
    ) -> list[DataSource]:
        """Return the data sources to which every filter applies, sorted by the attribute `order`."""
        level: Any = format or FORMAT_FULL_RECORD
        with self._aurorax_obj._client(level="format") as client:
            found = client.sources.list(
                program=program,
                platform=platform,
                instrument_type=instrument_type,
                source_type=source_type,
                owner=owner,
                level=level,
                include_stats=bool(include_stats),
                order=order or "identifier",
            )
        return [DataSource._of(source, level) for source in found]

    def list_in_table(
        self,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        order: str | None = "identifier",
        table_max_width: int = 200,
        limit: int | None = None,
    ) -> None:
        """Print the first `limit` of the data sources to which every filter applies."""
        found = self.list(program, platform, instrument_type, source_type, owner, format=FORMAT_BASIC_INFO, order=order)
        header = [name.replace("_", " ").title() for name in _TABLE]
        print(table(header, [[getattr(source, name) for name in _TABLE] for source in found[:limit]], table_max_width))

    def search(
        self,
        programs: Sequence[str] | None = (),
        platforms: Sequence[str] | None = (),
        instrument_types: Sequence[str] | None = (),
        format: str | None = FORMAT_FULL_RECORD,
        order: str | None = "identifier",
        include_stats: bool | None = False,
    ) -> builtins.list[DataSource]:
        """Return the data sources that are in every list which is not empty."""
        level: Any = format or FORMAT_FULL_RECORD
        with self._aurorax_obj._client(level="format") as client:
            found = client.sources.search(
                programs=as_list(programs),
                platforms=as_list(platforms),
                instrument_types=as_list(instrument_types),
                level=level,
                include_stats=bool(include_stats),
                order=order or "identifier",
            )
        return [DataSource._of(source, level) for source in found]

    def get(
        self,
        program: str,
        platform: str,
        instrument_type: str,
        format: str | None = FORMAT_FULL_RECORD,
        include_stats: bool | None = False,
    ) -> DataSource:
        """Return the data source with these names, or raise `AuroraXNotFoundError`."""
        level: Any = format or FORMAT_FULL_RECORD
        with self._aurorax_obj._client(level="format") as client:
            found = client.sources.find(
                program, platform, instrument_type, level=level, include_stats=bool(include_stats)
            )
        return DataSource._of(found, level)

    def get_using_filters(
        self,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        format: str | None = FORMAT_FULL_RECORD,
        order: str | None = "identifier",
        include_stats: bool | None = False,
    ) -> builtins.list[DataSource]:
        """Another name of `list`."""
        return self.list(program, platform, instrument_type, source_type, owner, format, order, include_stats)

    def get_using_identifier(
        self, identifier: int, format: str | None = FORMAT_FULL_RECORD, include_stats: bool | None = False
    ) -> DataSource:
        """Return the data source with this identifier, or raise `AuroraXNotFoundError`."""
        level: Any = format or FORMAT_FULL_RECORD
        with self._aurorax_obj._client(level="format") as client:
            found = client.sources.get(identifier, level=level, include_stats=bool(include_stats))
        return DataSource._of(found, level)

    def add(self, data_source: DataSource) -> DataSource:
        """Create a data source, and return it as the service stores it."""
        ds: Any = must_be(data_source, DataSource, "data_source")
        if missing := [name for name in _REQUIRED if not getattr(ds, name)]:
            raise AuroraXBadParametersError(f"a data source must have a {', a '.join(missing)}")
        with self._aurorax_obj._client() as client:
            added = client.sources.add(
                program=ds.program,
                platform=ds.platform,
                instrument_type=ds.instrument_type,
                source_type=ds.source_type,
                display_name=ds.display_name,
                identifier=ds.identifier,
                metadata=ds.metadata,
                ephemeris_metadata_schema=fields_of(ds.ephemeris_metadata_schema),
                data_product_metadata_schema=fields_of(ds.data_product_metadata_schema),
            )
        return DataSource._of(added, FORMAT_FULL_RECORD)

    def delete(self, identifier: int) -> int:
        """Delete a data source that has no records, and return 0."""
        with self._aurorax_obj._client() as client:
            client.sources.delete(identifier)
        return 0

    def update(
        self,
        identifier: int,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        display_name: str | None = None,
        metadata: dict[str, Any] | None = None,
        owner: str | None = None,
        maintainers: Sequence[str] | None = None,
        ephemeris_metadata_schema: Sequence[Mapping[str, Any]] | None = None,
        data_product_metadata_schema: Sequence[Mapping[str, Any]] | None = None,
    ) -> DataSource:
        """Change what is given, leave the rest, and return the whole record."""
        with self._aurorax_obj._client() as client:
            updated = client.sources.update(
                identifier,
                program=program,
                platform=platform,
                instrument_type=instrument_type,
                source_type=source_type,
                display_name=display_name,
                metadata=metadata,
                owner=owner,
                maintainers=maintainers,
                ephemeris_metadata_schema=fields_of(ephemeris_metadata_schema),
                data_product_metadata_schema=fields_of(data_product_metadata_schema),
            )
        return DataSource._of(updated, FORMAT_FULL_RECORD)
