"""The metadata that records of a data source carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aurora_async.aurorax.metadata import find_problems
from aurora_async.compat.pyaurorax.search.sources import fields_of, schema_documents

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["MetadataManager"]
__dir__ = __all__.copy


class MetadataManager:
    """Metadata schemas, and checking records against them."""

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self._aurorax_obj = aurorax_obj

    def get_ephemeris_schema(self, identifier: int) -> list[dict[str, Any]]:
        """Return the metadata fields that ephemeris records of a data source carry."""
        with self._aurorax_obj._client() as client:
            return schema_documents(client.sources.ephemeris_schema(identifier))

    def get_data_products_schema(self, identifier: int) -> list[dict[str, Any]]:
        """Return the metadata fields that data products of a data source carry."""
        with self._aurorax_obj._client() as client:
            return schema_documents(client.sources.data_product_schema(identifier))

    def validate(
        self, schema: Sequence[Mapping[str, Any]], record: Mapping[str, Any], quiet: bool | None = False
    ) -> bool:
        """Return whether a record's metadata are as its schema says: names, types and allowed values.

        What is wrong is printed, unless `quiet`.
        """
        problems = find_problems(record, fields_of(schema) or ())
        if not quiet:
            for problem in problems:
                print(f"Metadata invalid, {problem}")
        return not problems
