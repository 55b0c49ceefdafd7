"""Metadata filters as objects, and every way in which a search may be given some."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from aurora_async.aurorax.filters import OPERATORS
from aurora_async.compat.pyaurorax._plain import as_list, names, plain
from aurora_async.compat.pyaurorax._printing import Printed

__all__ = ["MetadataFilter", "MetadataFilterExpression", "filter_document"]
__dir__ = __all__.copy

LogicalOperator = Literal["and", "or", "AND", "OR"]


def _one_of(*allowed: str) -> Any:
    def check(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
        if not isinstance(value, str) or value.lower() not in allowed:
            raise ValueError(f"Operator {value!r} not allowed. You must use one of the following: {list(allowed)}")

    return check


@attrs.define(slots=False, eq=False)
class MetadataFilterExpression(Printed):
    """One comparison: a record's metadata value under `key` against `values`, which may be one or several.

    `operator` is =, !=, >, <, >=, <=, between, in or not in.
    """

    key: str
    values: Any
    operator: str = attrs.field(default="in", validator=_one_of(*OPERATORS))

    def to_query_dict(self) -> dict[str, Any]:
        """Return the expression as a query has it."""
        return {"key": self.key, "values": names(self.values), "operator": self.operator.lower()}


@attrs.define(slots=False, eq=False, repr=False)
class MetadataFilter(Printed):
    """Several expressions, all (`and`) or at least one (`or`) of which must hold."""

    expressions: list[MetadataFilterExpression]
    operator: LogicalOperator = attrs.field(default="and", validator=_one_of("and", "or"))

    def __repr__(self) -> str:
        return f"MetadataFilter(expressions={self._rows()['expressions']}, operator={self.operator!r})"

    def _rows(self) -> dict[str, object]:
        number = len(self.expressions)
        return vars(self) | {"expressions": f"[{number} expression{'' if number == 1 else 's'}]"}

    def to_query_dict(self) -> dict[str, Any]:
        """Return the filter as a query has it."""
        return {
            "expressions": [_expression(expression) for expression in self.expressions],
            "logical_operator": self.operator.upper(),
        }


def filter_document(filters: Any, operator: str | None = None) -> dict[str, Any]:
    """Return a filter object, a filter dictionary, or a list of expressions of either sort, as a query has it.

    `operator` joins the expressions of a list; a filter of its own brings its own.
    """
    document = plain(filters)
    if isinstance(document, dict) and "key" not in document:
        return document and {"logical_operator": operator or "AND", **document}
    expressions = [_expression(expression) for expression in as_list(document)]
    return {"logical_operator": (operator or "AND").upper(), "expressions": expressions} if expressions else {}


def _expression(expression: Any) -> Any:
    document = plain(expression)
    if isinstance(document, dict) and "values" in document:
        document["values"] = as_list(document["values"])
    return document
