"""Records as the service sends them: plain dicts with exactly the keys clients know, and parts of them.

A client breaks on a key too many and on a timestamp with a fraction (`protocol/aurorax.md`, 1.4), so what goes out is
built here alone. Records of one answer share their data source dicts: read them, do not change them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any

import attrs
import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.find import Found, FoundPair, Search

__all__ = [
    "DEFAULT_LEVEL",
    "LEVELS",
    "ConjunctionRecords",
    "Projector",
    "check_level",
    "conjunction_lines",
    "custom_source",
    "data_product_record",
    "ephemeris_record",
    "ephemeris_records",
    "level_projector",
    "location",
    "projector",
    "source_record",
    "timestamp_from_s",
    "timestamps_from_s",
]

Record = dict[str, Any]
Projector = Callable[[Mapping[str, Any]], Record]
"""Takes a full record, gives the part of it that was asked for."""

LEVELS: Mapping[str, tuple[str, ...]] = {
    "identifier_only": ("identifier",),
    "basic_info": ("identifier", "program", "platform", "instrument_type", "source_type", "display_name"),
    "with_metadata": (
        "identifier", "program", "platform", "instrument_type", "source_type", "display_name", "metadata",
    ),
    "full_record": (
        "identifier", "program", "platform", "instrument_type", "source_type", "display_name", "metadata",
        "owner", "maintainers", "ephemeris_metadata_schema", "data_product_metadata_schema",
    ),
}  # fmt: skip
"""The fields of a data source record at each level of detail (2.1)."""

DEFAULT_LEVEL = "basic_info"
_DISTANCE_DIGITS = 11

_EPOCH = datetime(1970, 1, 1)
_EMPTY_FIELDS: Mapping[str, Callable[[], object]] = {
    "metadata": dict,
    "maintainers": list,
    "ephemeris_metadata_schema": list,
    "data_product_metadata_schema": list,
}


def timestamp_from_s(seconds: int) -> str:
    """Write seconds since 1970 as `YYYY-MM-DDTHH:MM:SS`."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def timestamps_from_s(seconds: ArrayLike) -> list[str]:
    """Write a row of times at once, integer seconds since 1970, as `YYYY-MM-DDTHH:MM:SS`; years 1 to 9999."""
    return list(_timestamps(seconds).astype("U19").tolist())


def _timestamps(seconds: ArrayLike) -> NDArray[np.bytes_]:
    # Put together from tables: dates, hours with minutes, and seconds are few, and NumPy takes ten times as long.
    minutes, second = np.divmod(np.asarray(seconds, dtype=np.int64), 60)
    days, minute = np.divmod(minutes, 1440)
    dates, date = np.unique(days, return_inverse=True)
    written = np.empty((len(days), 19), dtype=np.uint8)
    written[:, :11] = _letters([f"{day}T" for day in dates.astype("M8[D]").tolist()], 11)[date]
    written[:, 11:16] = _CLOCK[minute]
    written[:, 16:] = _SECONDS[second]
    return written.view("S19").ravel()


def _letters(texts: Sequence[str], width: int) -> NDArray[np.uint8]:
    return np.array(texts, dtype=f"S{width}").view(np.uint8).reshape(-1, width)


_CLOCK = _letters([f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440)], 5)
_SECONDS = _letters([f":{second:02}" for second in range(60)], 3)


def check_level(text: str | None, field: str = "data_source_record_format") -> str:
    """Return a level of detail, the default for None; `InvalidQuery` when there is no such level."""
    if text is None:
        return DEFAULT_LEVEL
    if text not in LEVELS:
        raise InvalidQuery(field, f"{text!r} is unknown; use one of {', '.join(LEVELS)}")
    return text


def source_record(source: Mapping[str, Any], level: str = DEFAULT_LEVEL) -> Record:
    """Return a data source at a level of detail; fields it lacks are empty (null for texts)."""
    record = {}
    for name in LEVELS[level]:
        value = source.get(name)
        record[name] = _EMPTY_FIELDS[name]() if value is None and name in _EMPTY_FIELDS else value
    return record


def custom_source(identifier: int, lat: float, lon: float) -> Record:
    """Return the internal data source behind a custom location: a negative identifier, type `not_applicable` (3.7).

    The other fields are not printed anywhere; `adhoc` as the program is the service's own word for such blocks.
    """
    if identifier >= 0:
        raise ValueError(f"identifier {identifier}: internal data sources have negative ones")
    place = f"{lat:g}, {lon:g}"
    return {
        "identifier": identifier,
        "program": "adhoc",
        "platform": place,
        "instrument_type": "location",
        "source_type": "not_applicable",
        "display_name": place,
        "metadata": {},
        "owner": None,
        "maintainers": [],
        "ephemeris_metadata_schema": [],
        "data_product_metadata_schema": [],
    }


def location(lat: float | None, lon: float | None) -> Record:
    """Return a location object; null and null where either is missing or NaN, as on an open field line."""
    # A number differs from itself only when it is NaN.
    if lat is None or lon is None or lat != lat or lon != lon:
        return {"lat": None, "lon": None}
    return {"lat": lat, "lon": lon}


def ephemeris_record(
    source: Mapping[str, Any],
    epoch_s: int,
    *,
    location_geo: tuple[float | None, float | None],
    location_gsm: tuple[float | None, float | None],
    nbtrace: tuple[float | None, float | None],
    sbtrace: tuple[float | None, float | None],
    metadata: Mapping[str, Any] | None = None,
) -> Record:
    """Return one ephemeris record; `source` is used as it is, locations are (lat, lon) in degrees."""
    return {
        "data_source": source,
        "epoch": timestamp_from_s(epoch_s),
        "location_geo": location(*location_geo),
        "location_gsm": location(*location_gsm),
        "nbtrace": location(*nbtrace),
        "sbtrace": location(*sbtrace),
        "metadata": {} if metadata is None else metadata,
    }


def ephemeris_records(
    source: Mapping[str, Any],
    epochs_s: ArrayLike,
    *,
    location_geo: NDArray[np.float64],
    location_gsm: NDArray[np.float64],
    nbtrace: NDArray[np.float64],
    sbtrace: NDArray[np.float64],
    metadata: Sequence[Mapping[str, Any]],
) -> Iterator[Record]:
    """Yield ephemeris records of one data source, several times as fast as one by one.

    Args:
        source: Used as it is in every record.
        epochs_s: `(n,)` integers, seconds since 1970.
        location_geo, location_gsm, nbtrace, sbtrace: `(n, 2)` latitude and longitude in degrees, NaN where none is.
        metadata: One mapping per record.
    """
    places = [_locations(points) for points in (location_geo, location_gsm, nbtrace, sbtrace)]
    for epoch, geo, gsm, north, south, extra in zip(timestamps_from_s(epochs_s), *places, metadata, strict=True):
        yield {
            "data_source": source,
            "epoch": epoch,
            "location_geo": geo,
            "location_gsm": gsm,
            "nbtrace": north,
            "sbtrace": south,
            "metadata": extra,
        }


def _locations(points_deg: NDArray[np.float64]) -> list[Record]:
    missing = np.asarray(np.isnan(points_deg).any(axis=1))
    return [
        {"lat": None, "lon": None} if nowhere else {"lat": lat, "lon": lon}
        for (lat, lon), nowhere in zip(points_deg.tolist(), missing.tolist(), strict=True)
    ]


def data_product_record(
    source: Mapping[str, Any],
    data_product_type: str,
    start_s: int,
    end_s: int,
    url: str,
    metadata: Mapping[str, Any] | None = None,
) -> Record:
    """Return one data product record; `source` is used as it is."""
    return {
        "data_source": source,
        "data_product_type": data_product_type,
        "start": timestamp_from_s(start_s),
        "end": timestamp_from_s(end_s),
        "url": url,
        "metadata": {} if metadata is None else metadata,
    }


@attrs.define(kw_only=True)
class ConjunctionRecords:
    """Turns what a search found into records of one conjunction type.

    Args:
        sources: The data sources that can occur, by identifier; only the fields of `level` are taken.
        level: Level of detail of the data sources.
        generate_queries: Whether each pair carries the ephemeris queries that give its records; otherwise null. A
            custom location has no ephemeris, so its query is null in any case.
        filters: The metadata filter document of each block, in block order, which such a query repeats.
    """

    conjunction_type: str
    sources: Mapping[int, Mapping[str, Any]]
    level: str = DEFAULT_LEVEL
    generate_queries: bool = False
    filters: Sequence[Mapping[str, Any] | None] = ()
    _records: dict[int, Record] = attrs.field(factory=dict, init=False)

    def record(self, found: Found) -> Record:
        """Return one conjunction as a record."""
        return {
            "conjunction_type": self.conjunction_type,
            "start": timestamp_from_s(found.start),
            "end": timestamp_from_s(found.end),
            "data_sources": [self._source(identifier) for identifier in found.identifiers],
            "min_distance": round(found.min_distance_km, _DISTANCE_DIGITS),
            "max_distance": round(found.max_distance_km, _DISTANCE_DIGITS),
            "closest_epoch": timestamp_from_s(found.closest),
            "farthest_epoch": timestamp_from_s(found.farthest),
            "events": [self._event(pair, found.identifiers) for pair in found.pairs],
        }

    def _event(self, pair: FoundPair, identifiers: tuple[int, ...]) -> Record:
        one, other = pair.identifiers
        return {
            "conjunction_type": self.conjunction_type,
            "e1_source": self._source(one),
            "e2_source": self._source(other),
            "start": timestamp_from_s(pair.start),
            "end": timestamp_from_s(pair.end),
            "min_distance": round(pair.min_distance_km, _DISTANCE_DIGITS),
            "max_distance": round(pair.max_distance_km, _DISTANCE_DIGITS),
            "generated_e1_ephemeris_query": self._query(one, pair, identifiers),
            "generated_e2_ephemeris_query": self._query(other, pair, identifiers),
        }

    def _source(self, identifier: int) -> Record:
        record = self._records.get(identifier)
        if record is None:
            record = self._records[identifier] = source_record(self.sources[identifier], self.level)
        return record

    def _query(self, identifier: int, pair: FoundPair, identifiers: tuple[int, ...]) -> Record | None:
        if not self.generate_queries or identifier < 0:
            return None
        source = self.sources[identifier]
        block = identifiers.index(identifier)
        return {
            "request_id": None,
            "start": timestamp_from_s(pair.start),
            "end": timestamp_from_s(pair.end),
            "data_sources": {
                "programs": [source["program"]],
                "platforms": [source["platform"]],
                "instrument_types": [source["instrument_type"]],
                "ephemeris_metadata_filters": self.filters[block] if block < len(self.filters) else None,
            },
        }


def conjunction_lines(
    found: Search, conjunction_type: str, sources: Mapping[int, Mapping[str, Any]], *, between: bytes = b",\n"
) -> Iterator[tuple[int, bytes]]:
    """Yield what a search found as encoded records of the default level, without generated queries.

    As those of `ConjunctionRecords` (but for the last digit of a distance, perhaps), and many times as fast: some
    thousand records at a time, how many they are and their text, put together from columns of texts.
    """
    encode = msgspec.json.Encoder().encode
    kind = encode(conjunction_type)
    encoded = {identifier: encode(source_record(source)) for identifier, source in sources.items()}

    @functools.cache
    def named(identifiers: tuple[int, ...]) -> list[bytes]:
        """Return what records of these sources have between their times and distances."""
        names = [encoded[identifier] for identifier in identifiers]
        lists = b'","data_sources":[%b],"min_distance":' % b",".join(names)
        events = [
            b'{"conjunction_type":%b,"e1_source":%b,"e2_source":%b,"start":"' % (kind, names[one], names[other])
            for one, other in found.pairs
        ]
        return [lists, *events]

    begin = repeat(b'{"conjunction_type":%b,"start":"' % kind)
    to_end = repeat(b'","end":"')
    to_low, to_high = repeat(b'","min_distance":'), repeat(b',"max_distance":')
    to_closest, to_farthest = repeat(b',"closest_epoch":"'), repeat(b'","farthest_epoch":"')
    to_events, to_next = repeat(b'","events":['), repeat(b",")
    to_queries = repeat(b',"generated_e1_ephemeris_query":null,"generated_e2_ephemeris_query":null}')

    def numbers(km: NDArray[np.float64]) -> list[bytes]:
        return encode(np.round(km, _DISTANCE_DIGITS).tolist())[1:-1].split(b",")

    for some in found.slices():
        start, end, closest, farthest = (
            _timestamps(times).tolist() for times in (some.start, some.end, some.closest, some.farthest)
        )
        lists, *events = zip(*map(named, some.identifiers), strict=True)
        to_next_record = [b"]}" + between] * (len(start) - 1) + [b"]}"]
        columns: list[Iterable[bytes]] = [
            begin, start, to_end, end, lists, numbers(some.low_km), to_high, numbers(some.high_km),
            to_closest, closest, to_farthest, farthest, to_events,
        ]  # fmt: skip
        for index, event in enumerate(events):
            low, high = numbers(some.pair_low_km[:, index]), numbers(some.pair_high_km[:, index])
            columns += [to_next] * (index > 0)
            columns += [event, start, to_end, end, to_low, low, to_high, high, to_queries]
        # What is the same in every record has no end; the last column has one for each.
        yield len(start), b"".join(chain.from_iterable(zip(*columns, to_next_record, strict=False)))


# Parts of records ---------------------------------------------------------------------------------------------------


@attrs.frozen
class _Tree:
    """The keys of a record in their order: None for a value, a tree for an object or a list of objects."""

    keys: Mapping[str, _Tree | None]
    is_list: bool = False
    is_source: bool = False
    aliases: Mapping[str, str] = attrs.field(factory=dict)


def _leaves(*names: str) -> dict[str, _Tree | None]:
    return dict.fromkeys(names)


_SCHEMA = _Tree(
    _leaves("field_name", "description", "data_type", "allowed_values", "additional_description", "searchable"),
    is_list=True,
)
_SOURCE_KEYS: dict[str, _Tree | None] = {
    **_leaves(*LEVELS["full_record"]),
    "ephemeris_metadata_schema": _SCHEMA,
    "data_product_metadata_schema": _SCHEMA,
}
_SOURCE = _Tree(_SOURCE_KEYS, is_source=True)
_SOURCES = attrs.evolve(_SOURCE, is_list=True)
_LOCATION = _Tree(_leaves("lat", "lon"))
_FILTERS = _Tree(
    {"logical_operator": None, "expressions": _Tree(_leaves("key", "operator", "values"), is_list=True)},
    # Camel case in the format alone (2.5); the query that is described has an underscore.
    aliases={"logicalOperator": "logical_operator"},
)
_QUERY = _Tree(
    {
        **_leaves("request_id", "start", "end"),
        "data_sources": _Tree(
            {**_leaves("programs", "platforms", "instrument_types"), "ephemeris_metadata_filters": _FILTERS}
        ),
    }
)
_EVENT = _Tree(
    {
        "conjunction_type": None,
        "e1_source": _SOURCE,
        "e2_source": _SOURCE,
        **_leaves("start", "end", "min_distance", "max_distance"),
        "generated_e1_ephemeris_query": _QUERY,
        "generated_e2_ephemeris_query": _QUERY,
    },
    is_list=True,
)
_TREES: Mapping[str, _Tree] = {
    "conjunctions": _Tree(
        {
            **_leaves("conjunction_type", "start", "end"),
            "data_sources": _SOURCES,
            **_leaves("min_distance", "max_distance", "closest_epoch", "farthest_epoch"),
            "events": _EVENT,
        }
    ),
    "ephemeris": _Tree(
        {
            "data_source": _SOURCE,
            "epoch": None,
            **dict.fromkeys(("location_geo", "location_gsm", "nbtrace", "sbtrace"), _LOCATION),
            "metadata": None,
        }
    ),
    "data_products": _Tree({"data_source": _SOURCE, **_leaves("data_product_type", "start", "end", "url", "metadata")}),
}


def projector(kind: str, response_format: object, field: str = "response_format") -> Projector:
    """Compile a response format (2.5) for records of `conjunctions`, `ephemeris` or `data_products`.

    `true` selects a field, and on an object all of its fields; `false`, null and a missing key leave it out. Keys that
    records of this kind do not have are ignored, so that a newer client's template still works. A selected field that
    a record lacks is null.

    The projector remembers the data sources it has seen by identifier: use one for each answer.

    Raises:
        InvalidQuery: The format is no object, or has something else than true, false or an object somewhere;
            `field` is that place.
    """
    if not isinstance(response_format, Mapping):
        raise InvalidQuery(field, f"must be an object of record keys and true or false, not {_short(response_format)}")
    return _compiled(_TREES[kind], _selected(_TREES[kind], response_format, field))


def level_projector(kind: str, level: str = DEFAULT_LEVEL, *, generated_queries: bool = False) -> Projector:
    """Return the projector of full stored records to what `GET …/data` answers.

    Args:
        level: Level of detail of data sources.
        generated_queries: Whether the pairs of a conjunction keep the ephemeris queries they were stored with; the
            keys stay, null otherwise.
    """
    project = _compiled(_TREES[kind], _at_level(_TREES[kind], LEVELS[level]))
    if kind != "conjunctions" or generated_queries:
        return project

    def without_queries(record: Mapping[str, Any]) -> Record:
        projected = project(record)
        for event in projected["events"]:
            event["generated_e1_ephemeris_query"] = event["generated_e2_ephemeris_query"] = None
        return projected

    return without_queries


_Selection = dict[str, Any]
"""True (all of it, as it is) or another selection for each key that was chosen, in the record's order."""


def _selected(tree: _Tree, asked: Mapping[Any, Any], path: str) -> _Selection:
    """Check a format against the keys of a record, and bring it into their order."""
    known: dict[str, object] = {}
    for key, value in asked.items():
        name = tree.aliases.get(key, key)
        if not isinstance(value, bool | Mapping) and value is not None:
            raise InvalidQuery(f"{path}.{key}", f"{_short(value)} is not true, false or an object of them")
        if name in tree.keys:
            if tree.keys[name] is None and isinstance(value, Mapping):
                raise InvalidQuery(f"{path}.{key}", "is one value: write true or false")
            known[name] = value
    selection: _Selection = {}
    for name, below in tree.keys.items():
        value = known.get(name)
        if isinstance(value, Mapping) and below is not None:
            # An object of which nothing is chosen is left out: PyAuroraX would look for lat in an empty location.
            if part := _selected(below, value, f"{path}.{name}"):
                selection[name] = part
        elif value:
            selection[name] = True
    return selection


def _at_level(tree: _Tree, source_keys: Sequence[str]) -> _Selection:
    """Select everything, but of data sources only some keys."""
    if tree.is_source:
        return dict.fromkeys((name for name in tree.keys if name in source_keys), True)
    return {name: True if below is None else _at_level(below, source_keys) for name, below in tree.keys.items()}


def _compiled(tree: _Tree, selection: _Selection) -> Projector:
    """Build the function that copies a selection; a list of objects is handled by its parent."""
    steps: list[tuple[str, Callable[[Any], Any] | None]] = []
    for name, chosen in selection.items():
        below = tree.keys[name]
        if below is None or chosen is True:
            steps.append((name, None))
            continue
        part = _compiled(below, chosen)
        if below.is_source:
            part = _remembering(part)
        steps.append((name, _for_list(part) if below.is_list else _or_null(part)))
    plain = tuple(name for name, part in steps if part is None)
    if len(plain) == len(steps):
        return lambda record: {name: record.get(name) for name in plain}

    def project(record: Mapping[str, Any]) -> Record:
        get = record.get
        return {name: get(name) if part is None else part(get(name)) for name, part in steps}

    return project


def _or_null(part: Projector) -> Callable[[Mapping[str, Any] | None], Record | None]:
    return lambda value: None if value is None else part(value)


def _for_list(part: Projector) -> Callable[[Sequence[Mapping[str, Any]] | None], list[Record] | None]:
    return lambda values: None if values is None else [part(value) for value in values]


def _remembering(part: Projector) -> Projector:
    """Project each data source once: a million records name a handful of them."""
    seen: dict[object, Record] = {}

    def project(source: Mapping[str, Any]) -> Record:
        identifier = source.get("identifier")
        if identifier is None:
            return part(source)
        record = seen.get(identifier)
        if record is None:
            record = seen[identifier] = part(source)
        return record

    return project


def _short(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
