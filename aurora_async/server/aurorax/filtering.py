"""Which data sources a block means, and which of their records a filter keeps (`protocol/aurorax.md`, 3.1, 3.3, 3.4).

Values of records are compared as what they are: numbers as numbers, bools by their names, texts as texts. A record
without the key, or with null or NaN under it, matches no expression, not even `!=`.

A block selects by the names it gives, not by source type: the criteria that the service writes to its logs
(`program in (themis-asi)`) know no source type either. What a block is called decides only how it is searched
(hemispheres for `space`, same site for `ground`). Internal sources (negative identifiers, custom locations) belong to
no block.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aurora_async.aurorax.filters import FilterValue, MetadataExpression, MetadataFilter
from aurora_async.aurorax.models import CriteriaBlock, DataProductQuery, EphemerisQuery

__all__ = [
    "Predicate",
    "compile_filter",
    "hemisphere_mask",
    "mask",
    "matches_criteria",
    "select_sources",
]

Predicate = Callable[[Mapping[str, Any]], bool]
"""Tells whether a record with this metadata passes a filter."""

_ValueTest = Callable[[Any], bool]

_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches_criteria(source: Mapping[str, Any], criteria: CriteriaBlock | EphemerisQuery | DataProductQuery) -> bool:
    """Tell whether a data source record is one that `criteria` names: exact values, in all lists that are not empty."""
    return (
        int(source["identifier"]) >= 0
        and (not criteria.programs or source["program"] in criteria.programs)
        and (not criteria.platforms or source["platform"] in criteria.platforms)
        and (not criteria.instrument_types or source["instrument_type"] in criteria.instrument_types)
    )


def select_sources(
    sources: Iterable[Mapping[str, Any]], criteria: CriteriaBlock | EphemerisQuery | DataProductQuery
) -> list[Mapping[str, Any]]:
    """Return the data source records that `criteria` names, in the order given."""
    return [source for source in sources if matches_criteria(source, criteria)]


def hemisphere_mask(lat_deg: ArrayLike, hemispheres: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which geographic latitudes lie in one of the named hemispheres; none named means both.

    The equator is northern, as in the official client's B-trace helper. NaN, a position that is not known, is neither.
    """
    lat = np.asarray(lat_deg, dtype=np.float64)
    if not hemispheres:
        return np.ones(lat.shape, dtype=np.bool_)
    found = np.zeros(lat.shape, dtype=np.bool_)
    if "northern" in hemispheres:
        found |= lat >= 0
    if "southern" in hemispheres:
        found |= lat < 0
    return found


def compile_filter(metadata_filter: MetadataFilter | None) -> Predicate:
    """Return the predicate of a filter; None, or no expressions, lets everything pass."""
    if metadata_filter is None or not metadata_filter.expressions:
        return lambda metadata: True
    tests = [(expression.key, _value_test(expression)) for expression in metadata_filter.expressions]
    if len(tests) == 1:
        key, test = tests[0]
        return lambda metadata: test(metadata.get(key))
    quantify = all if metadata_filter.logical_operator == "AND" else any
    return lambda metadata: quantify(test(metadata.get(key)) for key, test in tests)


def mask(metadata_filter: MetadataFilter | None, columns: Mapping[str, Any], rows: int) -> NDArray[np.bool_]:
    """Apply a filter to many records at once.

    Args:
        columns: Metadata by key, each `(rows,)`: an array of numbers (NaN: missing), bools or texts, an array or
            list of anything (None: missing), or one value that all records share.
        rows: How many records there are.

    Returns:
        `(rows,)` bool, True where a record passes.
    """
    if metadata_filter is None or not metadata_filter.expressions:
        return np.ones(rows, dtype=np.bool_)
    masks = [_column_mask(expression, columns.get(expression.key), rows) for expression in metadata_filter.expressions]
    combine = np.logical_and if metadata_filter.logical_operator == "AND" else np.logical_or
    return np.asarray(combine.reduce(masks), dtype=np.bool_)


def _column_mask(expression: MetadataExpression, column: Any, rows: int) -> NDArray[np.bool_]:
    test = _value_test(expression)
    if column is None or isinstance(column, str | int | float | np.generic):
        return np.full(rows, test(column.item() if isinstance(column, np.generic) else column))
    # A list stays one: an array of mixed kinds would make texts of its numbers.
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "iuf":
            return _number_mask(expression, column)
        if column.dtype.kind in "bU":
            distinct, places = np.unique(column, return_inverse=True)
            return np.array([test(value) for value in distinct.tolist()], dtype=np.bool_)[places]
        column = column.tolist()
    return np.fromiter(map(test, column), dtype=np.bool_, count=rows)


def _number_mask(expression: MetadataExpression, values: NDArray[Any]) -> NDArray[np.bool_]:
    numbers = [number for value in expression.values if (number := _as_number(value)) is not None]
    symbol = expression.operator
    if symbol in _ORDERS:
        return np.asarray(_ORDERS[symbol](values, numbers[0]), dtype=np.bool_)
    if symbol == "between":
        return np.asarray((values >= numbers[0]) & (values <= numbers[1]), dtype=np.bool_)
    equal = np.isin(values, np.array(numbers, dtype=np.float64))
    if symbol in ("=", "in"):
        return equal
    return np.asarray(~equal & ~np.isnan(values))


def _value_test(expression: MetadataExpression) -> _ValueTest:
    """Return the test of one stored value; what is not comparable (missing, null, lists) never passes."""
    symbol = expression.operator
    numbers = tuple(number for value in expression.values if (number := _as_number(value)) is not None)
    if symbol in _ORDERS:
        order, bound = _ORDERS[symbol], numbers[0]
        return lambda value: _is_number(value) and bool(order(value, bound))
    if symbol == "between":
        low, high = numbers
        return lambda value: _is_number(value) and low <= value <= high
    texts = frozenset(_as_text(value) for value in expression.values)
    # Python's own spelling, "True", is what str() makes of a bool in PyAuroraX.
    flags = frozenset(text.lower() for text in texts)
    wanted = symbol in ("=", "in")

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return (value in texts) is wanted
        if isinstance(value, bool):
            return (("true" if value else "false") in flags) is wanted
        return _is_number(value) and (value in numbers) is wanted

    return test


def _is_number(value: Any) -> bool:
    # Whole numbers may be larger than any float, which `math.isnan` does not take.
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _as_number(value: FilterValue) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _as_text(value: FilterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
