"""Response formats: trees that say which keys of the records are wanted.

Source: AuroraX API, the response format documents of the three kinds of search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurora_async.errors import InvalidInput

__all__ = ["response_format"]

_Keys = Mapping[str, Any]


def _keys(names: str, **nested: _Keys) -> _Keys:
    return dict.fromkeys(names.split()) | nested


_SCHEMA = _keys("field_name description data_type allowed_values additional_description")
_SOURCE = _keys(
    "identifier program platform instrument_type source_type display_name owner maintainers metadata",
    ephemeris_metadata_schema=_SCHEMA,
    data_product_metadata_schema=_SCHEMA,
)
_FILTER = _keys("logicalOperator", expressions=_keys("key operator values"))  # in this place alone in camel case
_QUERY = _keys(
    "request_id start end",
    data_sources=_keys("programs platforms instrument_types", ephemeris_metadata_filters=_FILTER),
)
_PAIR = _keys(
    "conjunction_type start end min_distance max_distance",
    e1_source=_SOURCE,
    e2_source=_SOURCE,
    generated_e1_ephemeris_query=_QUERY,
    generated_e2_ephemeris_query=_QUERY,
)
_PLACE = _keys("lat lon")
_FORMATS: Mapping[str, _Keys] = {
    "conjunctions": _keys(
        "conjunction_type start end min_distance max_distance closest_epoch farthest_epoch",
        data_sources=_SOURCE,
        events=_PAIR,
    ),
    "ephemeris": _keys(
        "epoch metadata",
        data_source=_SOURCE,
        location_geo=_PLACE,
        location_gsm=_PLACE,
        nbtrace=_PLACE,
        sbtrace=_PLACE,
    ),
    "data_products": _keys("start end url data_product_type metadata", data_source=_SOURCE),
}


def response_format(kind: str, default: object = True) -> dict[str, Any]:
    """Return the tree of all keys that records of a kind can have, with `default` at each leaf.

    `kind` is `conjunctions`, `ephemeris` or `data_products`.
    """
    if not isinstance(kind, str) or kind not in _FORMATS:
        raise InvalidInput("kind", f"{kind!r} is unknown; use {', '.join(_FORMATS)}")
    return _filled(_FORMATS[kind], default)


def _filled(keys: _Keys, default: object) -> dict[str, Any]:
    return {name: default if below is None else _filled(below, default) for name, below in keys.items()}
