"""Checking a record's metadata against the schema of its data source, before the service would."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

import attrs

from aurora_async.aurorax.filters import plain_number
from aurora_async.aurorax.models import SchemaField
from aurora_async.errors import InvalidInput

__all__ = ["MetadataProblem", "check_metadata", "find_problems"]


@attrs.frozen
class MetadataProblem:
    """What is wrong with one field of a record's metadata."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_double(value: object) -> bool:
    return (isinstance(value, float) and math.isfinite(value)) or _is_int(value)


_TYPES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    # Instants are sent as texts.
    "string": ("a text", lambda value: isinstance(value, str | date | datetime)),
    "double": ("a number", _is_double),
    "int": ("a whole number", _is_int),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
}


def find_problems(metadata: Mapping[str, Any] | None, schema: Iterable[SchemaField]) -> list[MetadataProblem]:
    """Return all that a data source's schema finds wrong with a record's metadata; an empty list is a good sign.

    Every field of the schema must be there and nothing else; each value must have the field's type, or be None, and be
    one of its allowed values where it has such. A type that nobody knows is not judged.
    """
    fields = {field.field_name: field for field in schema}
    given = metadata or {}
    problems = [MetadataProblem(name, "is missing") for name in fields if name not in given]
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            known = ", ".join(fields) or "none"
            problems.append(MetadataProblem(str(name), f"is not a field of the schema, whose fields are: {known}"))
        elif value is not None and (reason := _mismatch(plain_number(value), field)):
            problems.append(MetadataProblem(name, reason))
    return problems


def _mismatch(value: object, field: SchemaField) -> str | None:
    expected, is_right = _TYPES.get(field.data_type.lower(), ("", None))
    if is_right is not None and not is_right(value):
        return f"{value!r} is not {expected}"
    # Allowed values are written as texts whatever the type.
    if field.allowed_values and not any(_means(value, allowed) for allowed in field.allowed_values):
        return f"{value!r} is not allowed; allowed are {', '.join(field.allowed_values)}"
    return None


def _means(value: object, allowed: str) -> bool:
    if isinstance(value, bool):
        return allowed.lower() == str(value).lower()
    if isinstance(value, int | float):
        try:
            return float(allowed) == value
        except ValueError:
            return False
    return allowed == str(value)


def check_metadata(
    metadata: Mapping[str, Any] | None, schema: Iterable[SchemaField], *, field: str = "metadata"
) -> None:
    """Raise `InvalidInput` for the first thing wrong; `field` is what the record's metadata are called there."""
    for problem in find_problems(metadata, schema):
        raise InvalidInput(f"{field}.{problem.field}", problem.reason)
