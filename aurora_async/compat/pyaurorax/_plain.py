"""Between pyaurorax's loose arguments and JSON documents, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar, overload

from aurora_async.aurorax.filters import plain_number
from aurora_async.compat.pyaurorax._printing import cut
from aurora_async.compat.pyaurorax.exceptions import AuroraXBadParametersError
from aurora_async.times import parse_wire

__all__ = ["as_list", "instant", "must_be", "must_be_all", "naive", "names", "plain", "uploadable"]

T = TypeVar("T")

_SHOWN = 60


@overload
def naive(moment: datetime) -> datetime: ...
@overload
def naive(moment: None) -> None: ...
def naive(moment: datetime | None) -> datetime | None:
    """Return an instant as pyaurorax gives it: UTC, and not saying so."""
    return moment if moment is None or moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def instant(value: Any) -> Any:
    """Return a timestamp of the service, with or without fraction and zone, as a naive datetime; other things as is."""
    try:
        return naive(parse_wire(value)) if isinstance(value, str) else value
    except ValueError:
        return value


def plain(value: Any) -> Any:
    """Return blocks, filters, tuples and mixes of them as the dictionaries and lists of a query document."""
    for method in ("to_search_query_dict", "to_query_dict", "to_json_serializable"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return plain_number(value)


def as_list(value: Any) -> list[Any]:
    """Return None as nothing, one text, mapping or object as one, and what holds several as a list of them."""
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def names(value: Any) -> list[Any]:
    """Return programs, platforms or the like as the list that a query document has."""
    return [plain(item) for item in as_list(value)]


def must_be(value: object, kind: type[T], name: str) -> T:
    """Return the argument `name`, whose attributes are about to be read."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise AuroraXBadParametersError(f"{name}: {cut(repr(value), _SHOWN)} is not {article} {kind.__name__}")
    return value


def must_be_all(values: object, kind: type[T], name: str) -> list[T]:
    """Return the same of an argument that holds several; the message says which of them is wrong."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        raise AuroraXBadParametersError(f"{name}: {cut(repr(values), _SHOWN)} is not a list of {kind.__name__}")
    return [must_be(value, kind, f"{name}[{index}]") for index, value in enumerate(values)]


def uploadable(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a copy of a record's metadata with instants as the texts that the service stores."""
    if metadata is None:
        return None
    return {name: _text(value) for name, value in metadata.items()}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return naive(value).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if isinstance(value, date) else value
