"""Data sources, as functions."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from aurora_async.compat.pyaurorax._module_form import aurorax
from aurora_async.compat.pyaurorax.exceptions import AuroraXBadParametersError
from aurora_async.compat.pyaurorax.search.sources import (
    FORMAT_BASIC_INFO,
    FORMAT_BASIC_INFO_WITH_METADATA,
    FORMAT_DEFAULT,
    FORMAT_FULL_RECORD,
    FORMAT_IDENTIFIER_ONLY,
    SOURCE_TYPE_EVENT_LIST,
    SOURCE_TYPE_GROUND,
    SOURCE_TYPE_HEO,
    SOURCE_TYPE_LEO,
    SOURCE_TYPE_LUNAR,
    SOURCE_TYPE_NOT_APPLICABLE,
    DataSource,
    DataSourceStatistics,
)

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
    "add",
    "delete",
    "get",
    "get_stats",
    "get_using_filters",
    "get_using_identifier",
    "list",
    "search",
    "update",
    "update_partial",
]
__dir__ = __all__.copy


def list(
    program: str | None = None,
    platform: str | None = None,
    instrument_type: str | None = None,
    source_type: str | None = None,
    owner: str | None = None,
    format: str = FORMAT_FULL_RECORD,
    order: str = "identifier",
) -> builtins.list[DataSource]:
    """Return the data sources to which every filter applies."""
    return aurorax().search.sources.list(program, platform, instrument_type, source_type, owner, format, order)


get_using_filters = list


def search(
    programs: Sequence[str] = (),
    platforms: Sequence[str] = (),
    instrument_types: Sequence[str] = (),
    format: str = FORMAT_FULL_RECORD,
    order: str = "identifier",
) -> builtins.list[DataSource]:
    """Return the data sources that are in every list which is not empty."""
    return aurorax().search.sources.search(programs, platforms, instrument_types, format, order)


def get(program: str, platform: str, instrument_type: str, format: str = FORMAT_FULL_RECORD) -> DataSource:
    """Return the data source with these names."""
    return aurorax().search.sources.get(program, platform, instrument_type, format)


def get_using_identifier(identifier: int, format: str = FORMAT_FULL_RECORD) -> DataSource:
    """Return the data source with this identifier."""
    return aurorax().search.sources.get_using_identifier(identifier, format)


def get_stats(identifier: int, format: str = FORMAT_FULL_RECORD, slow: bool = False) -> DataSourceStatistics:
    """Return how many records a data source has; `slow` counts them instead of estimating."""
    with aurorax()._client() as client:
        return DataSourceStatistics._of(client.sources.statistics(identifier, slow=slow))


def add(data_source: DataSource) -> DataSource:
    """Create a data source, and return it as the service stores it."""
    return aurorax().search.sources.add(data_source)


def delete(identifier: int) -> int:
    """Delete a data source that has no records, and return 1."""
    aurorax().search.sources.delete(identifier)
    return 1


def update(data_source: DataSource) -> DataSource:
    """Store all fields that `data_source` has, and return the whole record."""
    if data_source.identifier is None:
        raise AuroraXBadParametersError("the data source has no identifier, update operation aborted")
    names = ("identifier", "stats", "format")
    changes = {name: value for name, value in vars(data_source).items() if name not in names}
    return aurorax().search.sources.update(data_source.identifier, **changes)


def update_partial(
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
    return aurorax().search.sources.update(
        identifier, program, platform, instrument_type, source_type, display_name, metadata, owner, maintainers,
        ephemeris_metadata_schema, data_product_metadata_schema,
    )  # fmt: skip
