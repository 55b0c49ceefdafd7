"""Metadata schemas, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aurora_async.compat.pyaurorax._module_form import aurorax

__all__ = ["get_data_products_schema", "get_ephemeris_schema", "validate"]
__dir__ = __all__.copy


def validate(schema: Sequence[Mapping[str, Any]], record: Mapping[str, Any], quiet: bool = False) -> bool:
    """Return whether a record's metadata are as its schema says; what is wrong is printed, unless `quiet`."""
    return aurorax().search.metadata.validate(schema, record, quiet)


def get_ephemeris_schema(identifier: int) -> list[dict[str, Any]]:
    """Return the metadata fields that ephemeris records of a data source carry."""
    return aurorax().search.metadata.get_ephemeris_schema(identifier)


def get_data_products_schema(identifier: int) -> list[dict[str, Any]]:
    """Return the metadata fields that data products of a data source carry."""
    return aurorax().search.metadata.get_data_products_schema(identifier)
