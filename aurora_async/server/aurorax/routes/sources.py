"""Data sources: listed, searched, read, and, for their owners, added, changed and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.records import LEVELS, source_record
from aurora_async.server.aurorax.routes._core import Core, JsonObject, level_of
from aurora_async.server.aurorax.sources import MAX_IDENTIFIER
from aurora_async.server.site import ApiError, Routes, answer, answer_bytes, flag, read_json
from aurora_async.server.store import Duplicate

__all__ = ["SourceRoutes"]

_REQUIRED = ("program", "platform", "instrument_type", "source_type", "display_name")

_Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
_ShortName = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"\S")]


class _SchemaItem(msgspec.Struct, forbid_unknown_fields=True):
    """What may be sent of a metadata field; of what is null or left out, readers expect something (2.1)."""

    field_name: _Name
    description: str | None = None
    data_type: Literal["string", "double", "int", "bool"] | None = None
    allowed_values: list[str] | None = None
    additional_description: str | None = None
    searchable: bool | None = None

    def __post_init__(self) -> None:
        self.description = self.description or ""
        self.data_type = self.data_type or "string"
        self.allowed_values = self.allowed_values or []


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    """What may be sent of a data source: null is as good as nothing."""

    identifier: Annotated[int, Meta(ge=0, le=MAX_IDENTIFIER)] | None = None
    program: _Name | None = None
    platform: _ShortName | None = None
    instrument_type: _Name | None = None
    source_type: Literal["ground", "leo", "heo", "lunar", "event_list", "not_applicable"] | None = None
    display_name: _ShortName | None = None
    metadata: dict[str, Any] | None = None
    owner: str | None = None
    maintainers: list[str] | None = None
    ephemeris_metadata_schema: list[_SchemaItem] | None = None
    data_product_metadata_schema: list[_SchemaItem] | None = None
    stats: Any = None
    """Clients send a record back as they got it; counts are not theirs to set."""


class SourceRoutes:
    """`/api/v1/data_sources`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        # One change at a time: each is checked against the sources as the one before it has left them.
        self._changing = asyncio.Lock()

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        routes.add("GET", "/api/v1/data_sources", self._list_sources)
        routes.add("POST", "/api/v1/data_sources", self._add)
        routes.add("POST", "/api/v1/data_sources/search", self._search_sources)
        routes.add("GET", "/api/v1/data_sources/{}", self._get_source)
        routes.add("PUT", "/api/v1/data_sources/{}", self._replace)
        routes.add("PATCH", "/api/v1/data_sources/{}", self._update)
        routes.add("DELETE", "/api/v1/data_sources/{}", self._delete)
        routes.add("GET", "/api/v1/data_sources/{}/stats", self._source_stats)

    # Reading --------------------------------------------------------------------------------------------------------

    async def _list_sources(self, request: web.BaseRequest) -> web.StreamResponse:
        level = level_of(request)
        return await self._answer_sources(request, self._core.filtered(request), level)

    async def _search_sources(self, request: web.BaseRequest) -> web.StreamResponse:
        level = level_of(request)
        document = await read_json(request)
        if not isinstance(document, dict):
            raise InvalidQuery("body", "must be an object with programs, platforms and instrument_types")
        lists = {}
        for key, field in (("programs", "program"), ("platforms", "platform"), ("instrument_types", "instrument_type")):
            values = document.get(key) or []
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise InvalidQuery(key, f"{values!r} is not a list of texts")
            lists[field] = values
        return await self._answer_sources(request, self._core.sources.search(lists), level)

    async def _get_source(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        level = level_of(request)
        record = self._core.source(identifier)
        shown = source_record(record, level)
        if flag(request, "include_stats"):
            shown["stats"] = await self._core.count(request, self._core.sources.stats(record["identifier"]))
        return await answer(request, shown)

    async def _answer_sources(
        self, request: web.BaseRequest, records: Sequence[JsonObject], level: str
    ) -> web.StreamResponse:
        shown = [source_record(record, level) for record in records]
        if flag(request, "include_stats"):
            for part, record in zip(shown, records, strict=True):
                part["stats"] = await self._core.count(request, self._core.sources.stats(record["identifier"]))
        return await answer(request, shown)

    async def _source_stats(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        level = level_of(request)
        slow = bool(flag(request, "slow"))
        record = self._core.source(identifier)
        stats = await self._core.count(request, self._core.sources.stats(record["identifier"], slow=slow), slow=slow)
        return await answer(request, {"data_source": source_record(record, level), **stats})

    # Writing --------------------------------------------------------------------------------------------------------

    async def _add(self, request: web.BaseRequest) -> web.StreamResponse:
        self._core.check_maintenance()
        account = self._core.accounts.require(request, "Owner")
        fields = await _read_fields(request, required=_REQUIRED)
        async with self._changing:
            if "identifier" not in fields:
                fields["identifier"] = self._core.sources.free_identifier()
            record = source_record({"owner": account.email_address} | fields, "full_record")
            await self._keep(record, None)
        return await answer(request, record)

    async def _replace(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        return await self._change(request, identifier, required=_REQUIRED, kept=("identifier", "owner"))

    async def _update(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        return await self._change(request, identifier, required=(), kept=LEVELS["full_record"])

    async def _change(
        self, request: web.BaseRequest, identifier: str, *, required: Sequence[str], kept: Sequence[str]
    ) -> web.StreamResponse:
        """Change a source; of its former record, the `kept` fields that the body does not give stay."""
        self._core.check_maintenance()
        self._core.owned_source(request, identifier)
        fields = await _read_fields(request, required=required)
        async with self._changing:
            former = self._core.owned_source(request, identifier)  # as it is when it is our turn
            if fields.get("identifier", former["identifier"]) != former["identifier"]:
                reason = f"{fields['identifier']} is not that of the path, {former['identifier']}; it cannot be changed"
                raise InvalidQuery("identifier", reason)
            record = source_record({name: former[name] for name in kept} | fields, "full_record")
            await self._keep(record, former["identifier"])
        return await answer(request, record)

    async def _keep(self, record: JsonObject, former: int | None) -> None:
        """Store a record under its identifier, in the place of `former`.

        Raises:
            ApiError: 409, its identifier or its names are another's.
        """
        identifier = record["identifier"]
        if former is None and self._core.sources.get(identifier) is not None:
            message = f"There is already a Data Source record with the identifier {identifier}"
            raise ApiError(409, "Duplicate", message)
        twin = self._core.sources.with_triple(record)
        if twin is not None and twin["identifier"] != former:
            names = ", ".join(record[name] for name in ("program", "platform", "instrument_type"))
            message = f"There is already a Data Source record for {names}: {twin['identifier']}"
            raise ApiError(409, "Duplicate", message)
        try:
            await self._core.store.put_data_source(record, former=former)
        except Duplicate as error:
            raise ApiError(409, "Duplicate", f"There is already a Data Source record with {error}") from None
        self._core.sources.put(record)

    async def _delete(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        self._core.check_maintenance()
        async with self._changing:
            record = self._core.owned_source(request, identifier)
            number = record["identifier"]
            has_records = await asyncio.to_thread(self._core.sources.has_records, number)
            if has_records or not await self._core.store.remove_data_source(number):
                message = f"There is existing data associated with data source {number}; remove the data first"
                raise ApiError(409, "Conflict", message)
            self._core.sources.remove(number)
        return answer_bytes(b"{}")


async def _read_fields(request: web.BaseRequest, *, required: Sequence[str]) -> JsonObject:
    """Return the fields of a source that a body gives, checked.

    Raises:
        InvalidQuery: One is not what it must be, or missing.
    """
    document = await read_json(request)
    if not isinstance(document, Mapping):
        raise InvalidQuery("body", "is not a data source record")
    try:
        source = msgspec.convert(document, _Source)
    except msgspec.ValidationError as error:
        raise InvalidQuery("body", str(error)) from None
    given = {name: value for name in LEVELS["full_record"] if (value := getattr(source, name)) is not None}
    if missing := [name for name in required if name not in given]:
        raise InvalidQuery(missing[0], "is missing")
    for schema in ("ephemeris_metadata_schema", "data_product_metadata_schema"):
        names = [item.field_name for item in given.get(schema, ())]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InvalidQuery(schema, f"{twice[0]!r} is described twice")
    fields: JsonObject = msgspec.to_builtins(given)
    return fields
