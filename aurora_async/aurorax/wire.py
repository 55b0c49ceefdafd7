"""AuroraX's JSON to and from our models: the one place that knows the wire's spelling.

Queries go through cattrs, strictly: a wrong type, an unknown key or a refused value becomes one `InvalidQuery` that
names the place. Statuses, which a client reads by the thousand, are decoded by msgspec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import combinations
from typing import Any, TypeVar

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from aurora_async.aurorax.filters import FilterValue, MetadataExpression, MetadataFilter, plain_number
from aurora_async.aurorax.models import (
    Conjunction,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProduct,
    DataProductQuery,
    Ephemeris,
    EphemerisQuery,
    EventsBlock,
    GroundBlock,
    Location,
    Query,
    SpaceBlock,
)
from aurora_async.engine.protocol import LogEntry, Phase, RequestStatus
from aurora_async.errors import InvalidQuery, MalformedAnswer
from aurora_async.http import Answer
from aurora_async.times import start_of, to_wire

__all__ = [
    "KINDS",
    "Kind",
    "decode_answer",
    "decode_query",
    "decode_status",
    "encode_plain",
    "kind_of",
    "query_document",
    "read_query",
    "status_query",
]

T = TypeVar("T")


@attrs.frozen
class Kind:
    """One of AuroraX's three kinds of search."""

    name: str
    """As in the paths: `conjunctions`, `ephemeris`, `data_products`."""
    query_type: type[Query]
    record_type: type[Any]
    sort_key: str
    """The field by which `aurorax-cli` sorts what it writes."""
    describe_path: str

    @property
    def path(self) -> str:
        """The path below which everything of this kind lives."""
        return f"/api/v1/{self.name}"


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("conjunctions", ConjunctionQuery, Conjunction, "start", "/api/v1/utils/describe/query/conjunction"),
        Kind("ephemeris", EphemerisQuery, Ephemeris, "epoch", "/api/v1/utils/describe/query/ephemeris"),
        Kind("data_products", DataProductQuery, DataProduct, "start", "/api/v1/utils/describe/query/data_products"),
    )
}


def kind_of(query: Query) -> Kind:
    """Return the kind of search that `query` asks for."""
    for kind in KINDS.values():
        if isinstance(query, kind.query_type):
            return kind
    raise InvalidQuery("query", f"{query!r} is not a ConjunctionQuery, EphemerisQuery or DataProductQuery")


# Queries ------------------------------------------------------------------------------------------------------------


def _exactly(kind: type[T], name: str) -> Callable[[object, object], T]:
    def check(value: object, _: object) -> T:
        if type(value) is not kind:
            raise TypeError(f"{_short(value)} is not {name}")
        return value

    return check


def _objects(structure: Callable[[Mapping[str, Any], Any], T]) -> Callable[[object, Any], T]:
    def check(value: object, cl: Any) -> T:
        if not isinstance(value, Mapping):
            raise TypeError(f"{_short(value)} is not an object")
        return structure(value, cl)

    return check


def _number(value: object, _: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{_short(value)} is not a number")
    return value


def _scalar(value: object, _: object) -> FilterValue:
    if not isinstance(value, str | int | float):
        raise TypeError(f"{_short(value)} is not a text, a number or a bool")
    return value


def _filter_document(value: object) -> object:
    """Bring the wire's ways to say a filter to one: null, `{}`, a bare list (2021) or the whole object."""
    if value is None:
        return {}
    if isinstance(value, list):
        return {"expressions": value}
    if isinstance(value, Mapping) and "logicalOperator" in value and "logical_operator" not in value:
        # The spelling of the ephemeris queries that conjunctions bring along (`generated_e1_ephemeris_query`).
        return {"logical_operator" if name == "logicalOperator" else name: item for name, item in value.items()}
    return value


@cache
def _converter() -> cattrs.Converter:
    # Made when first needed: generating its code takes longer than importing the rest of the package.
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    text, flag = _exactly(str, "a text"), _exactly(bool, "true or false")
    converter.register_structure_hook(str, text)
    converter.register_structure_hook(bool, flag)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(FilterValue, _scalar)
    # A query's datetimes reach the class as texts, because only it knows how a partial one is to be filled.
    converter.register_structure_hook(datetime, text)

    def names(value: object, _: object) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise TypeError(f"{_short(value)} is not a list of texts")
        for item in value:
            text(item, str)
        return tuple(value)

    def distances(value: object, _: object) -> Mapping[str, float | None]:
        if not isinstance(value, Mapping):
            raise TypeError(f"{_short(value)} is not an object of pairs of blocks and kilometres")
        return {str(pair): None if limit is None else _number(limit, float) for pair, limit in value.items()}

    def listed(kind: type[T]) -> Callable[[object, object], tuple[T, ...]]:
        def structure(value: object, _: object) -> tuple[T, ...]:
            if value is None:
                return ()
            if not isinstance(value, list):
                raise TypeError(f"{_short(value)} is not a list of objects")
            return tuple(converter.structure(value, list[kind]))  # type: ignore[valid-type]

        return structure

    def metadata_filter(value: object, _: object) -> MetadataFilter | None:
        document = _filter_document(value)
        return None if document == {} else converter.structure(document, MetadataFilter)

    converter.register_structure_hook(
        MetadataExpression,
        _objects(
            make_dict_structure_fn(
                MetadataExpression, converter, values=override(struct_hook=lambda value, _: _expression_values(value))
            )
        ),
    )
    converter.register_structure_hook(
        MetadataFilter,
        _objects(
            make_dict_structure_fn(
                MetadataFilter,
                converter,
                logical_operator=override(struct_hook=lambda value, _: "AND" if value is None else text(value, str)),
                expressions=override(struct_hook=listed(MetadataExpression)),
            )
        ),
    )
    converter.register_structure_hook(Location, _objects(make_dict_structure_fn(Location, converter)))
    converter.register_structure_hook(
        CustomLocationsBlock,
        _objects(
            make_dict_structure_fn(CustomLocationsBlock, converter, locations=override(struct_hook=listed(Location)))
        ),
    )

    lists = dict.fromkeys(("programs", "platforms", "instrument_types"), override(struct_hook=names))
    ephemeris_filter = override(rename="ephemeris_metadata_filters", struct_hook=metadata_filter)
    for block in (GroundBlock, SpaceBlock, EventsBlock):
        extra = {"hemisphere": override(struct_hook=names)} if block is SpaceBlock else {}
        converter.register_structure_hook(
            block,
            _objects(make_dict_structure_fn(block, converter, metadata_filter=ephemeris_filter, **lists, **extra)),  # type: ignore[arg-type]
        )
        converter.register_unstructure_hook(
            block, make_dict_unstructure_fn(block, converter, metadata_filter=override(rename=ephemeris_filter.rename))
        )
    converter.register_structure_hook(
        ConjunctionQuery,
        make_dict_structure_fn(
            ConjunctionQuery,
            converter,
            max_distance_km=override(rename="max_distances", struct_hook=distances),
            ground=override(struct_hook=listed(GroundBlock)),
            space=override(struct_hook=listed(SpaceBlock)),
            events=override(struct_hook=listed(EventsBlock)),
            custom_locations=override(rename="adhoc", struct_hook=listed(CustomLocationsBlock)),
            # An empty list of types means nbtrace to the service.
            conjunction_types=override(struct_hook=lambda value, _: names(value, _) or ("nbtrace",)),
            subminute_precision=override(struct_hook=lambda value, _: False if value is None else flag(value, bool)),
        ),
    )
    converter.register_structure_hook(
        EphemerisQuery,
        make_dict_structure_fn(EphemerisQuery, converter, metadata_filter=ephemeris_filter, **lists),  # type: ignore[arg-type]
    )
    converter.register_structure_hook(
        DataProductQuery,
        make_dict_structure_fn(
            DataProductQuery,
            converter,
            metadata_filter=override(rename="data_product_metadata_filters", struct_hook=metadata_filter),
            data_product_types=override(rename="data_product_type_filters", struct_hook=names),
            **lists,  # type: ignore[arg-type]
        ),
    )
    return converter


def _expression_values(value: object) -> tuple[FilterValue, ...]:
    if isinstance(value, list):
        return tuple(_scalar(item, FilterValue) for item in value)
    return (_scalar(value, FilterValue),)


def query_document(query: Query, request_id: str | None = None) -> dict[str, Any]:
    """Write a query as the service reads it; `request_id` is the identifier the client chose."""
    document: dict[str, Any] = {} if request_id is None else {"request_id": request_id}
    document |= {"start": to_wire(query.start), "end": to_wire(query.end)}
    if isinstance(query, ConjunctionQuery):
        document |= {
            "ground": [_converter().unstructure(block) for block in query.ground],
            "space": [_converter().unstructure(block) for block in query.space],
            "events": [_converter().unstructure(block) for block in query.events],
            "adhoc": [_converter().unstructure(block) for block in query.custom_locations],
            "conjunction_types": query.conjunction_types,
            "max_distances": {_wire_pair(pair): limit for pair, limit in query.max_distances.items()},
        }
        if query.subminute_precision:
            document["subminute_precision"] = True
        return document
    sources = {
        "programs": query.programs,
        "platforms": query.platforms,
        "instrument_types": query.instrument_types,
    }
    filtered = None if query.metadata_filter is None else _converter().unstructure(query.metadata_filter)
    if isinstance(query, EphemerisQuery):
        return document | {"data_sources": sources | {"ephemeris_metadata_filters": filtered}}
    return document | {
        "data_sources": sources | {"data_product_metadata_filters": filtered},
        "data_product_type_filters": query.data_product_types,
    }


def _wire_pair(pair: str) -> str:
    return pair.replace("custom", "adhoc")


# A query copied from the web site or from a status carries these too; they are not part of the question.
_BESIDE_THE_QUESTION = ("request_id",)


def decode_query(document: object, kind: Kind) -> Query:
    """Read a query document of `kind`, as files, the web site, a status or a client hold it.

    Raises:
        InvalidQuery: `field` is the place in the document (`space[0].hemisphere`).
    """
    if not isinstance(document, Mapping):
        raise InvalidQuery("query", f"is not a JSON object but {_short(document)}")
    fields = {name: value for name, value in document.items() if name not in _BESIDE_THE_QUESTION}
    if kind.query_type is ConjunctionQuery:
        if "custom" in fields and "adhoc" not in fields:
            fields["adhoc"] = fields.pop("custom")  # as `aurorax-cli search` reads it
        fields = _with_same_site(_without_old_precision(fields))
    else:
        sources = fields.pop("data_sources", None)
        if not isinstance(sources, Mapping):
            raise InvalidQuery("data_sources", f"must be an object with programs, platforms, …, not {_short(sources)}")
        nested = _known_keys(kind.query_type, inside="data_sources")
        if misplaced := set(fields) & nested:
            raise InvalidQuery(min(misplaced), "belongs into data_sources")
        if unknown := set(map(str, sources)) - nested:
            raise InvalidQuery(
                f"data_sources.{min(unknown)}", f"is unknown here; known are {', '.join(sorted(nested))}"
            )
        fields |= sources
    try:
        query: Query = _converter().structure(fields, kind.query_type)
    except cattrs.BaseValidationError as error:
        raise _invalid_query(error, kind) from error
    return query


def read_query(text: str | bytes, kind: Kind) -> Query:
    """Read a query from JSON text; `InvalidQuery` also when it is not JSON."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidQuery("query", f"is not JSON: {error}") from None
    except RecursionError:
        raise InvalidQuery("query", "is nested too deeply") from None
    return decode_query(document, kind)


def _without_old_precision(fields: dict[str, Any]) -> dict[str, Any]:
    """Translate the former `epoch_search_precision` (seconds; any value under 60 means sub-minute)."""
    precision = fields.pop("epoch_search_precision", None)
    if precision is not None:
        if type(precision) is not int or precision <= 0:
            raise InvalidQuery("epoch_search_precision", f"{precision!r} is not a number of seconds (30 or 60)")
        if fields.get("subminute_precision") is None:
            fields["subminute_precision"] = precision < 60
    return fields


def _with_same_site(fields: dict[str, Any]) -> dict[str, Any]:
    """Write out what a document leaves unsaid: a pair of ground blocks without a distance means the same site, 0 km."""
    distances, ground = fields.get("max_distances"), fields.get("ground")
    if not isinstance(distances, Mapping) or not isinstance(ground, list):
        return fields
    names = [f"ground{number}" for number in range(1, len(ground) + 1)]
    unsaid = {
        f"{one}-{other}": 0
        for one, other in combinations(names, 2)
        if f"{one}-{other}" not in distances and f"{other}-{one}" not in distances
    }
    return fields | {"max_distances": {**distances, **unsaid}}


def _invalid_query(error: BaseException, kind: Kind) -> InvalidQuery:
    """Name the first thing wrong, with its place in the document."""
    path = ""
    while isinstance(error, BaseExceptionGroup):
        error, note = _first(error)
        path += note
    if isinstance(error, InvalidQuery):
        field, reason = f"{path}.{error.field}", error.reason
    elif isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = ", ".join(sorted(_known_keys(error.cl)))
        field, reason = f"{path}.{min(error.extra_fields)}", f"is unknown here; known are {known}"
    elif isinstance(error, KeyError):
        field, reason = f"{path}.{error.args[0]}", "is missing"
    else:
        field, reason = path, str(error)
    field = field.strip(".") or "query"
    top = re.split(r"[.\[]", field)[0]
    wire = _wire_name(kind.query_type, top)
    prefix = "data_sources." if wire in _known_keys(kind.query_type, inside="data_sources") else ""
    return InvalidQuery(prefix + wire + field[len(top) :], reason)


def _first(group: BaseExceptionGroup[BaseException]) -> tuple[BaseException, str]:
    if isinstance(group, cattrs.ClassValidationError):
        noted, others = group.group_exceptions()
        if noted:
            error, class_note = noted[0]
            renamed = _wire_name(group.cl, class_note.name)
            return error, "" if isinstance(error, KeyError) else f".{renamed}"
        return others[0], ""
    if isinstance(group, cattrs.IterableValidationError):
        with_notes, others = group.group_exceptions()
        if with_notes:
            error, item_note = with_notes[0]
            return error, f"[{item_note.index}]"
        return others[0], ""
    return group.exceptions[0], ""


def _wire_name(cl: type[Any], name: str) -> str:
    if name == "metadata_filter":
        kind = "data_product" if cl is DataProductQuery else "ephemeris"
        return f"{kind}_metadata_filters"
    return {"max_distance_km": "max_distances", "custom_locations": "adhoc"}.get(
        name, "data_product_type_filters" if name == "data_product_types" else name
    )


def _known_keys(cl: type[Any], inside: str = "") -> set[str]:
    """The keys of a document of `cl`: those at its top, or those inside its `data_sources`."""
    names = {_wire_name(cl, attribute.name) for attribute in attrs.fields(cl) if attribute.init}
    if cl not in (EphemerisQuery, DataProductQuery):
        return names if not inside else set()
    nested = {"programs", "platforms", "instrument_types", _wire_name(cl, "metadata_filter")}
    return nested if inside else names - nested | {"data_sources"}


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def encode_plain(document: object) -> bytes:
    """Write as JSON what may hold numbers and texts of other libraries; `TypeError` or `ValueError` when it cannot."""
    return msgspec.json.encode(document, enc_hook=_as_plain)


def _as_plain(value: object) -> object:
    plain = plain_number(value)
    if plain is value:
        raise TypeError(f"{type(value).__qualname__} objects have no place in it")
    return plain


# Answers ------------------------------------------------------------------------------------------------------------


def decode_answer(answer: Answer, kind: type[T]) -> T:
    """Read an answer as `kind` (a class of ours, a list of one, a text …); fields nobody knows are tolerated.

    Raises:
        MalformedAnswer: With the place (`$[3].identifier`).
    """
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `")
        raise MalformedAnswer(answer.url, where.rstrip("`") or "$", reason) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedAnswer(answer.url, "$", f"not JSON: {error}") from error


# Statuses -----------------------------------------------------------------------------------------------------------


class _Log(msgspec.Struct):
    level: str
    summary: str
    timestamp: datetime | None = None


class _SearchRequest(msgspec.Struct):
    request_id: str
    requested: datetime | None = None


class _SearchResult(msgspec.Struct):
    data_uri: str | None  # null while it runs; a status without it is refused, since its wait would never end
    result_count: int | None = None
    file_size: int | None = None
    completed_timestamp: datetime | None = None
    error_condition: bool | None = None
    result_file_deleted_timestamp: str | None = None


class _Status(msgspec.Struct):
    search_request: _SearchRequest
    search_result: _SearchResult
    logs: list[_Log]


_status_decoder = msgspec.json.Decoder(_Status)


def decode_status(body: bytes, url: str) -> RequestStatus:
    """Read a status document; everything the protocol says about the end of a request is looked at.

    Raises:
        MalformedAnswer: With the place (`$.search_result.file_size`).
    """
    try:
        status = _status_decoder.decode(body)
        requested = _aware(status.search_request.requested)
        completed = _aware(status.search_result.completed_timestamp)
        logs = tuple(LogEntry(log.level, log.summary, _aware(log.timestamp)) for log in status.logs)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `")
        raise MalformedAnswer(url, where.rstrip("`") or "$", reason) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedAnswer(url, "$", f"not a status document: {error}") from error
    phase, reason = _phase(status)
    return RequestStatus(
        request_id=status.search_request.request_id,
        phase=phase,
        reason=reason,
        records=status.search_result.result_count,
        result_bytes=status.search_result.file_size,
        requested=requested,
        completed=completed,
        logs=logs,
        raw=body,
    )


def status_query(body: bytes, url: str) -> dict[str, Any]:
    """Return the query document that a status document tells of, without the identifier."""
    document = msgspec.json.decode(body)  # it has been read as a status before
    query = document["search_request"].get("query")
    if not isinstance(query, Mapping):
        raise MalformedAnswer(url, "$.search_request.query", f"expected an object, got {_short(query)}")
    return {name: value for name, value in query.items() if name != "request_id"}


# As a word of its own: a database's "canceling statement due to statement timeout" is a failure.
_CANCELLED = re.compile(r"\bcancell?ed\b", re.IGNORECASE)


def _phase(status: _Status) -> tuple[Phase, str]:
    result = status.search_result
    last = " ".join(status.logs[-1].summary.split()) if status.logs else ""
    last = last or "the server gives no reason"
    if result.error_condition:
        return (Phase.CANCELLED if _CANCELLED.search(last) else Phase.FAILED), last
    if result.result_file_deleted_timestamp is not None:
        return Phase.EXPIRED, f"deleted {result.result_file_deleted_timestamp}"
    if result.data_uri is not None:
        return Phase.READY, ""
    if result.completed_timestamp is not None:
        return Phase.FAILED, f"it completed without data; its last log line is: {last}"
    return (Phase.RUNNING if len(status.logs) > 1 else Phase.QUEUED), ""


def _aware(moment: datetime | None) -> datetime | None:
    """Until 2022 the service's timestamps ended in Z, since then they are bare; they are UTC either way."""
    if moment is not None:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else start_of(moment, "timestamp")
    return None
