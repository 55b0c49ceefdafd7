"""Metadata filters: which ephemeris or data product records take part in a search, by the values they carry."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any, Literal

import attrs

from aurora_async.errors import InvalidQuery

__all__ = ["OPERATORS", "FilterValue", "MetadataExpression", "MetadataFilter", "plain_number"]

FilterValue = str | int | float | bool

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "between", "in", "not in")
_ORDER_OPERATORS = ("<", "<=", ">", ">=", "between")

_PLAIN = (str, bool, int, float)
_PLAIN_KINDS = "biufU"  # NumPy's letters for booleans, whole numbers, floats and texts; times are none of them


def plain_number(value: Any) -> Any:
    """Return a number, text or truth value of NumPy, or another library, as Python's own; everything else as it is.

    The encoder takes exactly Python's own, and NumPy's float64 is a float, its str_ a str, by inheritance alone.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    # NumPy's bool, or an array without dimensions; but not one of astropy, which has a unit, or a masked one.
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and value.dtype.kind in _PLAIN_KINDS:
        return value.item()
    return value


def _as_values(values: FilterValue | Iterable[FilterValue]) -> tuple[FilterValue, ...]:
    if type(value := plain_number(values)) in _PLAIN:
        return (value,)
    if isinstance(values, Iterable) and not isinstance(values, bytes):
        return tuple(map(plain_number, values))
    raise InvalidQuery("values", f"{values!r} is neither a text, a number, a bool nor a list of them")


def _as_key(key: str) -> str:
    name: str = plain_number(key)
    return name


def _normal_operator(operator: str) -> str:
    if not isinstance(operator, str):
        raise InvalidQuery("operator", f"{operator!r} is unknown; use one of {', '.join(OPERATORS)}")
    return " ".join(operator.lower().split())


@attrs.frozen
class MetadataExpression:
    """One comparison: the record's metadata value under `key` against `values`.

    `=`, `!=`, `<`, `<=`, `>`, `>=` take one value, `between` two (inclusive), `in` and `not in` any number. Order
    comparisons are between numbers. A record without the key does not match.
    """

    key: str = attrs.field(converter=_as_key)
    values: tuple[FilterValue, ...] = attrs.field(converter=_as_values)
    operator: str = attrs.field(default="in", converter=_normal_operator)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.key, str) or not self.key.strip():
            raise InvalidQuery("key", f"{self.key!r} is not the name of a metadata field")
        if self.operator not in OPERATORS:
            raise InvalidQuery("operator", f"{self.operator!r} is unknown; use one of {', '.join(OPERATORS)}")
        for value in self.values:
            if not _is_json_scalar(value):
                raise InvalidQuery("values", f"{value!r} is not a text, a finite number or a bool")
        self._check_count()
        if self.operator in _ORDER_OPERATORS and not all(map(_is_number, self.values)):
            raise InvalidQuery("values", f"{list(self.values)!r}: {self.operator!r} compares numbers")

    def _check_count(self) -> None:
        count = len(self.values)
        if self.operator in ("in", "not in"):
            if not count:
                raise InvalidQuery("values", f"{self.operator!r} needs at least one value")
        elif count != (wanted := 2 if self.operator == "between" else 1):
            raise InvalidQuery("values", f"{self.operator!r} takes {wanted} value{'s'[: wanted - 1]}, not {count}")


def _is_json_scalar(value: object) -> bool:
    if isinstance(value, str):
        return value.isprintable() or not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return isinstance(value, float) and math.isfinite(value)


def _is_number(value: FilterValue) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _as_expressions(
    expressions: MetadataExpression | Iterable[MetadataExpression],
) -> tuple[MetadataExpression, ...]:
    return tuple(expressions) if isinstance(expressions, Iterable) else (expressions,)


def _as_logic(operator: str) -> str:
    return operator.upper() if isinstance(operator, str) else operator


@attrs.frozen
class MetadataFilter:
    """Several expressions, all (`AND`) or at least one (`OR`) of which must hold."""

    expressions: tuple[MetadataExpression, ...] = attrs.field(default=(), converter=_as_expressions)
    logical_operator: Literal["AND", "OR"] = attrs.field(default="AND", converter=_as_logic)

    def __attrs_post_init__(self) -> None:
        if self.logical_operator not in ("AND", "OR"):
            raise InvalidQuery("logical_operator", f"{self.logical_operator!r} is unknown; use AND or OR")
        for expression in self.expressions:
            if not isinstance(expression, MetadataExpression):
                raise InvalidQuery("expressions", f"{expression!r} is not a MetadataExpression")
