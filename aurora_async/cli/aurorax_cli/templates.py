"""Query files to be filled in, one for each kind of search."""

from __future__ import annotations

from typing import Any

__all__ = ["template"]

_ANY = ["string"]
_DAY = {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:59"}
_SOURCES = {"programs": _ANY, "platforms": _ANY, "instrument_types": _ANY}
_FILTER = {"logical_operator": "AND", "expressions": [{"key": "string", "operator": "=", "values": _ANY}]}
_EPHEMERIS_FILTER = {"ephemeris_metadata_filters": _FILTER}

_TEMPLATES: dict[str, dict[str, Any]] = {
    "conjunctions": {
        **_DAY,
        "ground": [_SOURCES | _EPHEMERIS_FILTER],
        "space": [_SOURCES | {"hemisphere": ["northern"]} | _EPHEMERIS_FILTER],
        "events": [_SOURCES | _EPHEMERIS_FILTER],
        "conjunction_types": ["nbtrace"],
        "subminute_precision": False,
        "max_distances": {"ground1-space1": 300, "ground2-space1": 400, "ground1-events1": 900, "space1-space2": None},
    },
    "ephemeris": {**_DAY, "data_sources": _SOURCES | _EPHEMERIS_FILTER},
    "data_products": {
        **_DAY,
        "data_sources": _SOURCES | {"data_product_metadata_filters": _FILTER},
        "data_product_type_filters": ["keogram"],
    },
}


def template(kind: str) -> dict[str, Any]:
    """Return the template of a kind of search, to be written as JSON."""
    return _TEMPLATES[kind]
