"""What the service says about a search: log lines, descriptions, the query in normal form, timestamps of a status.

Texts follow the printed ones to the letter (`tests/facts/aurorax_log_texts.json` holds them with their sources); where
none is printed (several distances, filters, hemispheres, custom locations, failures) the text is ours, made to be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from aurora_async.aurorax.models import ConjunctionQuery, DataProductQuery, EphemerisQuery, Query
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.find import Counters
from aurora_async.times import to_wire

__all__ = [
    "REQUEST_TYPES",
    "Line",
    "cancelled_line",
    "cartesian_product_count",
    "conjunction_end_lines",
    "conjunction_found_lines",
    "conjunction_start_lines",
    "conjunction_type_lines",
    "describe",
    "failed_line",
    "normalised_query",
    "record_end_lines",
    "record_query_lines",
    "record_start_lines",
    "status_timestamp",
]

REQUEST_TYPES = {"conjunctions": "conjunction", "ephemeris": "ephemeris", "data_products": "data_product"}
"""`request_type` of a status document (and `search_type` of the administrators' list) by kind."""

MAX_COMBINATIONS = 10_000
"""Combinations that a log line lists; the service lists all, which for ten wide blocks no memory holds."""


class Line(NamedTuple):
    """One log entry but for its timestamp; `level` is debug, info, warn or error."""

    level: str
    summary: str


def status_timestamp(moment: datetime) -> str:
    """Write an instant as a status does: UTC without zone, up to six fraction digits, trailing zeros removed."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") if "." in text else text


# Log lines ----------------------------------------------------------------------------------------------------------


def conjunction_start_lines(request_id: str) -> list[Line]:
    """Entries 1 and 2 of a conjunction search."""
    return [
        Line("debug", "Search request arrived and saved"),
        Line("info", f"Starting conjunction search for query {request_id}"),
    ]


def conjunction_type_lines(conjunction_type: str, document: Mapping[str, Any], types: int = 1) -> list[Line]:
    """Entries 3 to 5, repeated for each type: what is searched.

    Args:
        conjunction_type: The type searched now.
        document: The query in normal form (`normalised_query`).
        types: How many types this search goes through.
    """
    blocks = _blocks(document)
    pairs = [pair for pair in _limited_pairs(document, blocks) if pair is not None]
    lines = [
        Line("debug", f"Start search for {conjunction_type} conjunctions using query: {_conjunctions_text(document)}"),
        Line(
            "debug",
            f"Querying the database {len(pairs)} times for this overall combination of criteria blocks and conjunction "
            f"types. This log message will repeat {types} times during this search.",
        ),
    ]
    lines += [
        Line("debug", f"Querying database for criteria combination [({blocks[one]}), ({blocks[other]})]")
        for one, other in pairs
    ]
    return lines


def conjunction_found_lines(counters: Counters, identifiers: Sequence[Sequence[int]]) -> list[Line]:
    """Entries 6 to 9, repeated for each type: what was found. `identifiers` are the data sources of each block."""
    return [
        Line("debug", f"Found {counters.single_epoch_events} single epoch events"),
        Line("debug", f"Reduced single events into {counters.continuous_intervals} continuous intervals"),
        Line(
            "debug",
            f"Searching for super events across all data source combinations: [{_combinations_text(identifiers)}]",
        ),
        Line("debug", f"Found {counters.super_events} super events"),
    ]


def conjunction_end_lines(file_bytes: int, seconds: float, records: int) -> list[Line]:
    """Entries 10 to 13 of a conjunction search."""
    return [
        Line("debug", "Saving results"),
        Line("info", "Search completed"),
        Line("debug", f"File size is {file_bytes} bytes."),
        Line("info", f"Finished search in {seconds:.2f} seconds and found {records} records."),
    ]


def record_start_lines(kind: str, request_id: str, document: Mapping[str, Any]) -> list[Line]:
    """Entries 1 and 2 of an `ephemeris` or `data_products` search; `document` is the query in normal form."""
    arrived = Line("debug", "Search request arrived and saved")
    if kind == "ephemeris":
        return [arrived, Line("debug", f"Starting {request_id} for query {_ephemeris_text(document)}")]
    return [arrived, Line("info", f"Starting query for {request_id}")]


def record_query_lines(query_seconds: float) -> list[Line]:
    """Entries 3 and 4: the records are known."""
    return [
        Line("info", f"Finished query in {query_seconds:.2f} seconds."),
        Line("debug", "Starting to write data to file"),
    ]


def record_end_lines(records: int, writing_seconds: float, file_bytes: int, seconds: float) -> list[Line]:
    """Entries 5 to 7: the records are written; `seconds` is the whole search."""
    return [
        Line("info", f"Finished writing data, found {records} records in {writing_seconds:.2f} seconds."),
        Line("debug", f"File size is {file_bytes} bytes."),
        Line("info", f"Finished search in {seconds:.2f} seconds and found {records} records."),
    ]


def cancelled_line() -> Line:
    """The entry of level error that a cancelled search receives (its wording is not printed anywhere)."""
    return Line("error", "Search request was cancelled")


def failed_line(reason: str) -> Line:
    """The last entry of a failed search, which clients show as the reason (its wording is not printed anywhere)."""
    return Line("error", f"Search failed: {reason}")


def cartesian_product_count(sources_of_blocks: Iterable[int]) -> int:
    """Return how many tuples of one data source per block there are, given the number of sources of each block."""
    return math.prod(sources_of_blocks)


def _combinations_text(identifiers: Sequence[Sequence[int]]) -> str:
    searched = _combinations(identifiers, ())
    texts = [f"[{', '.join(map(str, names))}]" for names in islice(searched, MAX_COMBINATIONS)]
    if next(searched, None) is not None:
        texts.append("...")
    return ", ".join(texts)


def _combinations(identifiers: Sequence[Sequence[int]], begun: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the tuples that begin so; a data source is never combined with itself (see `find`)."""
    if len(begun) == len(identifiers):
        yield begun
        return
    for identifier in identifiers[len(begun)]:
        if identifier not in begun:
            yield from _combinations(identifiers, (*begun, identifier))


# Descriptions -------------------------------------------------------------------------------------------------------


def describe(kind: str, document: Mapping[str, Any]) -> str:
    """Say a query of `kind` (`conjunctions`, `ephemeris`, `data_products`) in words; `document` is its normal form."""
    if kind == "conjunctions":
        return _conjunctions_text(document)
    return _ephemeris_text(document) if kind == "ephemeris" else _data_products_text(document)


def _conjunctions_text(document: Mapping[str, Any]) -> str:
    blocks = _blocks(document)
    distances = ", ".join(
        f"{pair}={'no limit' if limit is None else f'{_number(limit)} km'}"
        for pair, limit in document["max_distances"].items()
    )
    return (
        f"Find conjunctions of type ({', '.join(document['conjunction_types'])}) "
        f"with epoch precision of {document['epoch_search_precision']} seconds between data sources of "
        f"{' AND '.join(f'{name}=({text})' for name, text in blocks.items())} "
        f"WHERE epochs are between {document['start']} AND {document['end']} UTC "
        f"HAVING max distances between location points of {distances}."
    )


def _ephemeris_text(document: Mapping[str, Any]) -> str:
    sources = document["data_sources"]
    filters = _filter_text(sources["ephemeris_metadata_filters"])
    # The two blanks before the last AND, and the one after each first, are as printed.
    return (
        f"Find ephemeris for (({_criteria_text(sources)} filtered by metadata ()) AND  ephemeris_metadata_filters "
        f"[{filters}])  AND epoch between {_short_time(document['start'])} and {_short_time(document['end'])} UTC"
    )


def _data_products_text(document: Mapping[str, Any]) -> str:
    sources, types = document["data_sources"], document["data_product_type_filters"]
    filters = _filter_text(sources["data_product_metadata_filters"])
    text = (
        f"Find data_products for (({_criteria_text(sources)} filtered by metadata ()) AND  "
        f"data_product_metadata_filters [{filters}]) AND data_product start >= {_short_time(document['start'])} UTC "
        f"AND data_product end <= {_short_time(document['end'])} UTC AND"
    )
    return f"{text} data_product_type in ({', '.join(types)})" if types else text


def _blocks(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each criteria block, by the service's name for it."""
    texts = {}
    for group in ("ground", "space", "events"):
        for number, block in enumerate(document[group], start=1):
            text = _criteria_text(block)
            if block.get("hemisphere"):
                text += f" AND hemisphere in ({', '.join(block['hemisphere'])})"
            if filters := _filter_text(block["ephemeris_metadata_filters"]):
                text += f" filtered by metadata ({filters})"
            texts[f"{group}{number}"] = text.removeprefix(" AND ")
    for number, block in enumerate(document["adhoc"], start=1):
        places = ", ".join(f"({_number(place['lat'])}, {_number(place['lon'])})" for place in block["locations"])
        texts[f"adhoc{number}"] = f"location in ({places})"
    return texts


def _limited_pairs(document: Mapping[str, Any], blocks: Mapping[str, str]) -> Iterable[tuple[str, str] | None]:
    for pair, limit in document["max_distances"].items():
        sides = [side.strip().lower() for side in pair.split("-")]
        sides = [side.replace("custom_locations", "adhoc").replace("custom", "adhoc") for side in sides]
        yield None if limit is None or not set(sides) <= blocks.keys() else (sides[0], sides[1])


def _criteria_text(criteria: Mapping[str, Any]) -> str:
    names = (("program", "programs"), ("platform", "platforms"), ("instrument_type", "instrument_types"))
    return " AND ".join(f"{name} in ({', '.join(criteria[key])})" for name, key in names if criteria[key])


def _filter_text(document: Mapping[str, Any] | None) -> str:
    if not document:
        return ""
    expressions = [
        f"{expression['key']} {expression['operator']} {_values_text(expression['operator'], expression['values'])}"
        for expression in document["expressions"]
    ]
    return f" {document['logical_operator']} ".join(expressions)


def _values_text(operator: str, values: Sequence[object]) -> str:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    if operator == "between":
        return " and ".join(texts)
    return f"({', '.join(texts)})" if "in" in operator else ", ".join(texts)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _short_time(text: str) -> str:
    """Drop seconds of 00, as the service's language prints times."""
    return text.removesuffix(":00") if len(text) == len("2020-01-01T00:00:00") else text


# Normal form --------------------------------------------------------------------------------------------------------


def normalised_query(document: Mapping[str, Any], query: Query) -> dict[str, Any]:
    """Return a query as status documents show it: as it was sent, with everything unsaid filled in.

    Args:
        document: What the client sent.
        query: The same, decoded (`aurora_async.aurorax.wire.decode_query`), which has checked it.
    """
    normal: dict[str, Any] = {
        "request_id": document.get("request_id"),
        "start": to_wire(query.start),
        "end": to_wire(query.end),
    }
    if isinstance(query, ConjunctionQuery):
        return normal | _normal_conjunction(document, query)
    sources = document["data_sources"]
    if isinstance(query, EphemerisQuery):
        return normal | {"data_sources": _normal_criteria(sources, "ephemeris_metadata_filters")}
    if isinstance(query, DataProductQuery):
        return normal | {
            "data_sources": _normal_criteria(sources, "data_product_metadata_filters"),
            "data_product_type_filters": list(query.data_product_types),
        }
    raise InvalidQuery("query", f"{query!r} is not a query")


def _normal_conjunction(document: Mapping[str, Any], query: ConjunctionQuery) -> dict[str, Any]:
    def blocks(name: str) -> list[dict[str, Any]]:
        return [_normal_criteria(block, "ephemeris_metadata_filters") for block in document.get(name) or ()]

    space = [
        {"hemisphere": list(block.hemisphere)} | normal
        for block, normal in zip(query.space, blocks("space"), strict=True)
    ]
    # Only here do our models fill in more than an empty list: an event block that names no programs.
    events = [
        normal | {"programs": list(block.programs)}
        for block, normal in zip(query.events, blocks("events"), strict=True)
    ]
    normal = {
        "ground": blocks("ground"),
        "space": space,
        "events": events,
        "adhoc": [
            {"locations": [{"lat": place.lat, "lon": place.lon} for place in block.locations]}
            for block in query.custom_locations
        ],
        # As sent: an empty list is searched as nbtrace, and still shown as an empty list.
        "conjunction_types": list(document.get("conjunction_types") or ()),
        "max_distances": dict(document.get("max_distances") or {}),
        "epoch_search_precision": 30 if query.subminute_precision else 60,
    }
    if document.get("subminute_precision") is not None:
        normal["subminute_precision"] = query.subminute_precision
    return normal


def _normal_criteria(sources: Mapping[str, Any], filter_key: str) -> dict[str, Any]:
    lists = {key: list(sources.get(key) or ()) for key in ("programs", "platforms", "instrument_types")}
    return lists | {filter_key: _normal_filter(sources.get(filter_key))}


def _normal_filter(document: Any) -> dict[str, Any] | None:
    if document is None:
        return None
    if isinstance(document, list):  # as clients wrote it in 2021
        document = {"expressions": document}
    return {
        "logical_operator": (document.get("logical_operator") or "AND").upper(),
        "expressions": [_normal_expression(expression) for expression in document.get("expressions") or ()],
    }


def _normal_expression(expression: Mapping[str, Any]) -> dict[str, Any]:
    values = expression["values"]
    return {
        "key": expression["key"],
        "operator": " ".join(expression.get("operator", "in").lower().split()),
        "values": values if isinstance(values, list) else [values],
    }
