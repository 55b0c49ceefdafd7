"""AuroraX's own OpenAPI description as a judge of requests and answers, and where the real service differs from it.

The description is read strictly: a key it does not name is wrong, so that a misnamed one is found. It marks nothing as
nullable, although the service writes null wherever a value is missing: those places are deviations like the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import attrs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

__all__ = ["DEVIATIONS", "Deviation", "Exchange", "Judge", "misnamed", "operations"]

_FACT = Path(__file__).parents[1] / "facts" / "aurorax_openapi.json"
_RFC3339 = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
_DATE = r"^\d{4}-\d\d-\d\d$"

Side = Literal["request", "answer"]


@attrs.frozen(kw_only=True)
class Exchange:
    """One request and what was answered; bodies are decoded JSON, None where there was none."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    status: int = 200
    answer: Any = None


@attrs.frozen
class Deviation:
    """What the real service takes (`request`) or gives (`answer`) other than it describes.

    `at` leads into the description, from a schema's name or from `METHOD path`; `becomes` makes the true description
    of what it finds there (None if there is nothing).
    """

    side: Side
    at: tuple[str, ...]
    becomes: Callable[[Any], Any]
    reason: str

    def __str__(self) -> str:
        return f"{self.side}: {' '.join(self.at)}"


def _or_null(schema: Any) -> Any:
    return {"anyOf": [schema, {"type": "null"}]}


def _each_or_null(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: _or_null(schema) for name, schema in properties.items()}


def _is(schema: Any) -> Callable[[Any], Any]:
    return lambda old: schema


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{quote(name)}"}


def _nothing_required(name: str, *properties: str) -> Callable[[Any], Any]:
    """A schema of which any part may be given."""
    parts = {one: {"$ref": f"#/$defs/{quote(name)}/properties/{one}"} for one in properties}
    return _is({"type": "object", "properties": parts, "additionalProperties": False})


def _more(*values: str) -> Callable[[Any], Any]:
    return lambda old: old | {"enum": [*old["enum"], *values]}


_NO_ZONE = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?$"
_OLD_TYPES = "The documentation names the types average and gridded_data too; the description is older than they are."
_ACCOUNTS = {
    "parameters": {"role": {"enum": ["Administrator", "Owner", "Maintainer", "User"]}},
    "body": None,
    "responses": {"200": {"type": "array", "items": _ref("UserAccount")}, "401": _ref("ErrorDocument"),
                  "403": _ref("ErrorDocument")},
}  # fmt: skip


def _wrapped(instead: dict[str, Any] | None, records: dict[str, Any]) -> dict[str, Any]:
    def one(name: str, schema: Any) -> dict[str, Any]:
        return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}

    return {"anyOf": [one("result", instead or records), one("error", _ref("ErrorDocument"))]}


_SUPER_CONJUNCTION = {
    "type": "object",
    "properties": {
        **{name: {"type": "number"} for name in ("min_distance", "max_distance")},
        **{name: _ref("date-time") for name in ("start", "end", "closest_epoch", "farthest_epoch")},
        "conjunction_type": {"enum": ["nbtrace", "sbtrace", "geographic"]},
        "data_sources": {"type": "array", "items": _ref("Data Source")},
        "events": {"type": "array", "items": _ref("ConjunctionEvent")},
    },
    "additionalProperties": False,
}
_SIDES: tuple[Side, ...] = ("request", "answer")
_MISSING = "null where there is no value; the description marks nothing as nullable."
_CONJUNCTIONS = {"type": "array", "items": _SUPER_CONJUNCTION}
_RESULTS = tuple(
    Deviation(
        "answer",
        (f"{method} /api/v1/{kind}/requests/{{request_id}}/data", "responses", "200"),
        partial(_wrapped, _CONJUNCTIONS if kind == "conjunctions" else None),
        'Records come as {"result": […]}, and a result that is gone as {"error": …} with status 200. Of a conjunction '
        "the description has only the pairs.",
    )
    for kind in ("conjunctions", "ephemeris", "data_products")
    for method in ("GET", "POST")
)

_BOTH = tuple(
    deviation
    for side in _SIDES
    for deviation in (
        Deviation(
            side,
            ("date-time",),
            _is({"pattern": _NO_ZONE}),
            "Timestamps have no zone and mean UTC; PyAuroraX sends none in queries, and some in uploads.",
        ),
        Deviation(
            side,
            ("SuperConjunctionQuery", "properties", "max_distances", "additionalProperties"),
            _is({"type": ["number", "null"]}),
            "Fractions of a kilometre are taken, and null means no limit, as the text of the description says itself.",
        ),
        Deviation(
            side,
            ("SuperConjunctionQuery", "properties", "subminute_precision"),
            _is({"type": "boolean"}),
            "Newer than the description; PyAuroraX sends it since 1.23.",
        ),
        Deviation(
            side,
            ("MetadataExpressionGroup",),
            _or_null,
            "No filter is null: PyAuroraX sends it, and statuses show it.",
        ),
    )
)

DEVIATIONS: tuple[Deviation, ...] = (
    *_BOTH,
    Deviation(
        "request",
        ("DataProductQuery", "properties", "data_product_type_filters", "items"),
        _more("average", "gridded_data"),
        _OLD_TYPES,
    ),
    Deviation(
        "request",
        ("LoadDataProductSpecification", "properties", "data_product_type"),
        _more("average", "gridded_data"),
        _OLD_TYPES,
    ),
    Deviation(
        "request",
        ("GET /api/v1/availability/data_products", "parameters", "data_product_type"),
        _more("average", "gridded_data"),
        _OLD_TYPES,
    ),
    Deviation(
        "request",
        ("PATCH /api/v1/data_sources/{identifier}", "body"),
        _nothing_required(
            "Data Source", "program", "platform", "instrument_type", "source_type", "display_name", "metadata",
            "owner", "maintainers", "ephemeris_metadata_schema", "data_product_metadata_schema",
        ),
        "A change names what it changes; the description uses the schema of a whole data source.",
    ),
    Deviation(
        "request",
        ("Location", "properties"),
        _each_or_null,
        "An open field line has no footprint: null, as the service gives it too.",
    ),
    Deviation(
        "request",
        ("MetadataSchema", "properties", "additional_description"),
        _or_null,
        "The service gives null for none, and takes what it gave.",
    ),
    Deviation(
        "request",
        ("GET /api/v1/accounts",),
        _is(_ACCOUNTS),
        "Not in the description; its test suite uses it.",
    ),
    Deviation("answer", ("Data Source", "required"), _is([]), "The level of detail decides what is told."),
    Deviation("answer", ("Data Source", "properties", "owner"), _or_null, _MISSING),
    Deviation("answer", ("MetadataSchema", "properties", "additional_description"), _or_null, _MISSING),
    Deviation("answer", ("Location", "properties"), _each_or_null, "An open field line has no footprint."),
    Deviation("answer", ("SearchResult", "properties"), _each_or_null, "A search that runs has no result yet."),
    Deviation("answer", ("Ephemeris", "properties", "metadata"), _is({"type": "object"}), "An object, not its text."),
    Deviation("answer", ("DataProduct", "properties", "metadata"), _is({"type": "object"}), "An object, not its text."),
    Deviation(
        "answer",
        ("SearchRequest", "properties", "query"),
        _is({"anyOf": [_ref(f"{kind}Query") for kind in ("SuperConjunction", "Ephemeris", "DataProduct")]}),
        "The query as it was sent, with all defaults; not its text.",
    ),
    *_RESULTS,
    *(
        Deviation("answer", ("ConjunctionEvent", "properties", f"generated_{side}_ephemeris_query"), _or_null, _MISSING)
        for side in ("e1", "e2")
    ),
    *(
        Deviation("answer", (f"{kind}Query", "properties", "request_id"), _or_null, _MISSING)
        for kind in ("SuperConjunction", "Ephemeris", "DataProduct")
    ),
    *(
        Deviation("answer", (name, "properties"), _each_or_null, _MISSING)
        for name in ("UserAccount", "DataSourceStats")
    ),
    *(
        Deviation(
            "answer",
            (operation, "responses", "200"),
            _is({"type": "object", "maxProperties": 0}),
            "What is said beside the status is not known; every client reads an empty object.",
        )
        for operation in (
            "DELETE /api/v1/data_sources/{identifier}",
            "DELETE /api/v1/data_sources/{identifier}/data_products",
            "DELETE /api/v1/utils/admin/search_requests/{request_id}",
            "POST /api/v1/authenticate/end_session",
        )
    ),
    *(
        Deviation("answer", (operation, "responses", status), _is(_ref("ErrorDocument")), "As at its sisters.")
        for operation, status in (
            ("POST /api/v1/conjunctions/search", "400"),
            ("POST /api/v1/data_products/search", "400"),
            ("POST /api/v1/data_products/requests/{request_id}/data", "400"),
            ("POST /api/v1/data_sources/{identifier}/data_products", "401"),
        )
    ),
    Deviation("answer", ("GET /api/v1/accounts",), _is(_ACCOUNTS), "Not in the description."),
    *(
        Deviation("answer", (f"POST /api/v1/{kind}/search", "responses", "202"), _is(None), "As for ephemeris.")
        for kind in ("conjunctions", "data_products")
    ),
    *(
        Deviation(
            "answer",
            (f"POST /api/v1/utils/describe/query/{kind}", "responses", "200"),
            _is({"type": "string"}),
            "One text, not a list of them.",
        )
        for kind in ("conjunction", "ephemeris", "data_products")
    ),
    Deviation(
        "answer", ("GET /api/v1/utils/timezones/convert", "responses", "200"), _is({"type": "string"}), "One timestamp."
    ),
)  # fmt: skip


def operations() -> list[str]:
    """Return all operations of the description, as `METHOD path`."""
    return [f"{method.upper()} {path}" for path, methods in _description()["paths"].items() for method in methods]


# Objects whose keys are the user's own, or are names of things.
_FREE = ("metadata", "max_distances", "available_ephemeris", "available_data_products")


def misnamed(document: Any) -> Iterator[Any]:
    """Yield a document again and again, each time with another of its keys misspelt."""
    if isinstance(document, list):
        for index, inner in enumerate(document):
            yield from ([*document[:index], wrong, *document[index + 1 :]] for wrong in misnamed(inner))
    if isinstance(document, dict):
        for key, inner in document.items():
            rest = {name: value for name, value in document.items() if name != key}
            yield rest | {f"{key}_": inner}
            if key not in _FREE:
                yield from (rest | {key: wrong} for wrong in misnamed(inner))


class Judge:
    """The description as one side keeps to it: with all its deviations, or with all but one."""

    def __init__(self, side: Side, *, without: Deviation | None = None) -> None:
        self._side = side
        schemas = _description()["components"]["schemas"]
        self._schemas = {name: _strict(schema) for name, schema in schemas.items()}
        self._schemas |= {"date-time": {"pattern": _RFC3339}, "date": {"pattern": _DATE}}
        self._operations = {
            f"{method.upper()} {path}": _strict_operation(operation)
            for path, methods in _description()["paths"].items()
            for method, operation in methods.items()
        }
        for deviation in DEVIATIONS:
            if deviation.side == side and deviation is not without:
                self._apply(deviation)
        names = sorted(self._operations, key=lambda name: name.count("{"))
        self._patterns = [(name, re.compile(re.sub(r"\{\w+\}", "[^/]+", name))) for name in names]
        self._validator = Draft202012Validator({"$defs": self._schemas})

    def _apply(self, deviation: Deviation) -> None:
        *way, last = deviation.at
        place: Any = self._operations if " /" in deviation.at[0] else self._schemas
        for step in way:
            place = place[step]
        place[last] = deviation.becomes(place.get(last))

    def operation_of(self, exchange: Exchange) -> str | None:
        """Return the operation an exchange is; a path without variables is preferred."""
        asked = f"{exchange.method} {exchange.path}"
        return next((name for name, pattern in self._patterns if pattern.fullmatch(asked)), None)

    def problems(self, exchange: Exchange) -> list[str]:
        """Return what is wrong with this side of an exchange."""
        name = self.operation_of(exchange)
        if name is None:
            return [f"{exchange.method} {exchange.path} is not described"]
        operation = self._operations[name]
        found = (
            self._in_request(operation, exchange) if self._side == "request" else self._in_answer(operation, exchange)
        )
        return [f"{name}: {problem}" for problem in found]

    def _in_request(self, operation: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        schemas = operation["parameters"]
        for key, text in exchange.query:
            if key not in schemas:
                yield f"parameter {key} is not described"
            else:
                yield from self._against(schemas[key], _parameter(text, schemas[key]), f"parameter {key}: ")
        if operation["body"] is not None:
            yield from self._against(operation["body"], exchange.body, "body: ")
        elif exchange.body is not None:
            yield "a body is not described"

    def _in_answer(self, operation: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        if str(exchange.status) not in operation["responses"]:
            yield f"status {exchange.status} is not described"
            return
        schema = operation["responses"][str(exchange.status)]
        if schema is not None:
            yield from self._against(schema, exchange.answer, f"{exchange.status}: ")
        elif exchange.answer is not None:
            yield f"{exchange.status}: a body is not described"

    def _against(self, schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
        for error in self._validator.descend(value, schema):
            deepest = _deepest(error)
            yield f"{where}{deepest.json_path}: {deepest.message[:300]}"


def _deepest(error: ValidationError) -> ValidationError:
    """Of an alternative of which nothing fits, what is wrong in the one that fits best."""
    inner = max(error.context or (), key=lambda one: len(one.absolute_path), default=None)
    return error if inner is None else _deepest(inner)


@cache
def _description() -> Any:
    return json.loads(_FACT.read_text("utf-8"))["description"]


def _strict_operation(operation: dict[str, Any]) -> dict[str, Any]:
    """Reduce an operation to its parameters, the schema of its body, and the schemas of its answers by status."""
    body = operation.get("requestBody")
    return {
        "parameters": {
            one["name"]: _strict(one["schema"]) for one in operation.get("parameters", ()) if one["in"] == "query"
        },
        "body": None if body is None else _content(body),
        "responses": {status: _content(answer) for status, answer in operation["responses"].items()},
    }


def _content(part: dict[str, Any]) -> dict[str, Any] | None:
    content = part.get("content", {})
    return _strict(content["application/json"].get("schema", {})) if "application/json" in content else None


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Translate a schema of OpenAPI 3.0 into one of JSON Schema that allows no key it does not name."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{quote(schema['$ref'].rpartition('/')[2])}"}
    if schema.get("format") in ("date", "date-time"):
        return {"$ref": f"#/$defs/{schema['format']}", "type": "string"}
    made: dict[str, Any] = {
        key: schema[key] for key in ("type", "enum", "minimum", "maximum", "required") if key in schema
    }
    if "items" in schema:
        made["items"] = _strict(schema["items"])
    if "properties" in schema:
        made["properties"] = {name: _strict(inner) for name, inner in schema["properties"].items()}
        made["additionalProperties"] = False
    if "additionalProperties" in schema:
        made["additionalProperties"] = _strict(schema["additionalProperties"])
    return _or_null(made) if schema.get("nullable") else made


def _parameter(text: str, schema: dict[str, Any]) -> Any:
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return int(text) if schema.get("type") == "integer" and text.isdecimal() else text
