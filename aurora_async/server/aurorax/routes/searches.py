"""Searches: submitted, looked at, fetched, cancelled; and those that are answered at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from aiohttp import web

from aurora_async.aurorax.models import ConjunctionQuery, Query, check_one_request
from aurora_async.aurorax.wire import KINDS, Kind, decode_query
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.logs import normalised_query
from aurora_async.server.aurorax.records import (
    DEFAULT_LEVEL,
    Projector,
    check_level,
    level_projector,
    projector,
    source_record,
)
from aurora_async.server.aurorax.results import Expander, conjunction_expander, record_expander, reformatted
from aurora_async.server.aurorax.routes._core import UUID, Core, JsonObject, no_such_request
from aurora_async.server.aurorax.searches import Search
from aurora_async.server.aurorax.searching import collect
from aurora_async.server.jobs import QueueFull, TaskFailed
from aurora_async.server.site import (
    FATE,
    ApiError,
    Fate,
    Routes,
    answer_bytes,
    answer_kept_file,
    answer_stream,
    error_answer,
    flag,
    open_file,
    read_json,
)
from aurora_async.server.store import Duplicate

__all__ = ["SearchRoutes"]

_SYNCHRONOUS_SPANS: Mapping[str, tuple[timedelta, str]] = {
    "ephemeris": (timedelta(days=2), "two days"),
    "data_products": (timedelta(days=3653), "ten years"),
}

_NO_FATE = Fate()
_GONE = "the result file of this search has been deleted; submit the query again"


class SearchRoutes:
    """`/api/v1/<kind>/search`, `/requests/{id}` and `/requests/{id}/data`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        for kind in KINDS.values():
            request_path = f"{kind.path}/requests/{{}}"
            routes.add("POST", f"{kind.path}/search", partial(self._submit, kind))
            routes.add("GET", request_path, partial(self._status, kind))
            routes.add("DELETE", request_path, partial(self._cancel, kind))
            routes.add("GET", f"{request_path}/data", partial(self._data, kind))
            routes.add("POST", f"{request_path}/data", partial(self._formatted_data, kind))
            routes.add("DELETE", f"{request_path}/data", partial(self._delete_data, kind))
        for name in _SYNCHRONOUS_SPANS:
            routes.add("POST", f"{KINDS[name].path}/search_synchronous", partial(self._search_now, KINDS[name]))

    async def _submit(self, kind: Kind, request: web.BaseRequest) -> web.StreamResponse:
        document = await read_json(request)
        query = decode_query(document, kind)
        check_one_request(query)
        request_id = document.get("request_id")
        if request_id is not None and not (isinstance(request_id, str) and UUID.fullmatch(request_id)):
            raise InvalidQuery("request_id", f"{request_id!r} is not a UUID in lower case")
        self._make_places(query)
        account = self._core.accounts.of(request)
        try:
            search = await self._core.searches.submit(
                kind,
                query,
                normalised_query(document, query),
                request_id=request_id,
                owner=None if account is None else account.email_address,
                ip_address=request.remote or "",
                fate=request.get(FATE, _NO_FATE),
            )
        except Duplicate:
            message = f"a search request with the identifier {request_id} exists already"
            return error_answer(409, "Duplicate", message)
        except QueueFull as error:
            return error_answer(429, "ToManyRequests", str(error), {"Retry-After": "1"})
        location = f"{request.scheme}://{request.host}{kind.path}/requests/{search.request_id}"
        return web.Response(status=202, headers={"Location": location})

    def _make_places(self, query: Query) -> None:
        """Have an internal data source for every custom location; it is committed no later than the search."""
        if isinstance(query, ConjunctionQuery) and query.custom_locations:
            _, new = self._core.sources.custom(place for block in query.custom_locations for place in block.locations)
            if new:
                self._core.sources.add(new)
                self._core.store.add_data_sources(new)

    async def _find(self, kind: Kind, request: web.BaseRequest, request_id: str) -> Search:
        search = self._core.searches.in_memory(request_id)
        if search is None and UUID.fullmatch(request_id):
            search = await self._core.searches.get(request_id)
        if search is None or search.kind is not kind or not self._may_see(search, request):
            raise no_such_request(request_id)
        return search

    def _may_see(self, search: Search, request: web.BaseRequest) -> bool:
        """Tell whether a search is public, or the caller's own; to others a private one does not exist."""
        if search.owner is None:
            return True
        account = self._core.accounts.of(request)
        return account is not None and (account.email_address == search.owner or account.role == "Administrator")

    async def _status(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        return answer_bytes((await self._find(kind, request, request_id)).status())

    async def _cancel(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        search = await self._find(kind, request, request_id)
        if not search.is_over:
            await self._core.searches.cancel(search)
        else:
            await self._core.searches.delete_result(search)
            if kind.name == "conjunctions":
                return web.Response(status=204)
        return answer_bytes(search.status())

    async def _delete_data(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        search = await self._find(kind, request, request_id)
        if not search.is_over:
            raise ApiError(409, "Conflict", "the search is still running, there is no result file to delete")
        await self._core.searches.delete_result(search)
        return answer_bytes(search.status())

    # Data -----------------------------------------------------------------------------------------------------------

    async def _with_result(
        self, search: Search, answer: Callable[[BinaryIO], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer from the result of a search, or say that it has none any more."""
        if not search.is_over:
            raise ApiError(404, "NotFound", f"the search {search.request_id} is still running, there is no data yet")
        assert search.end is not None
        if search.end.error_condition or search.deleted_us is not None:
            return self._no_result(search)
        try:
            file = open_file(self._core.searches.result_path(search.request_id))
        except FileNotFoundError:  # deleted a moment ago
            return self._no_result(search)
        with file:
            return await answer(file)

    @staticmethod
    def _no_result(search: Search) -> web.Response:
        """Say that there is no result, the way the real service does: with status 200."""
        if search.fate.expires:
            raise ApiError(404, "NotFound", _GONE)  # the way the service's description does
        failed = search.end is not None and search.end.error_condition
        message = search.lines[-1][1] if failed and search.lines else _GONE
        return answer_bytes(msgspec.json.encode({"error": {"error_code": "NotFound", "error_message": message}}))

    async def _data(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        level = check_level(request.query.get("data_source_record_format"))
        generate = kind.name == "conjunctions" and bool(flag(request, "generate_ephemeris_queries"))
        search = await self._find(kind, request, request_id)
        if level == DEFAULT_LEVEL and not generate:
            return await self._with_result(search, partial(answer_kept_file, request))
        project = level_projector(kind.name, level, generated_queries=generate)
        return await self._reformatted(request, search, project, generate)

    async def _formatted_data(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        project = projector(kind.name, await read_json(request))
        return await self._reformatted(request, await self._find(kind, request, request_id), project, True)

    async def _reformatted(
        self, request: web.BaseRequest, search: Search, project: Projector, generate: bool
    ) -> web.StreamResponse:
        expand = self._expander(search.kind.name, msgspec.json.decode(search.query), generate)
        return await self._with_result(search, lambda file: answer_stream(request, reformatted(file, expand, project)))

    def _expander(self, kind: str, document: Mapping[str, Any], generate: bool) -> Expander:
        def source_of(stored: JsonObject) -> Mapping[str, Any]:
            # It may have been deleted since.
            return self._core.sources.get(stored["identifier"]) or source_record(stored, "full_record")

        if kind != "conjunctions":
            return record_expander(source_of)
        blocks = [block for group in ("ground", "space", "events") for block in document[group]]
        filters = [block["ephemeris_metadata_filters"] for block in blocks]
        return conjunction_expander(source_of, generate_queries=generate, filters=filters)

    async def _search_now(self, kind: Kind, request: web.BaseRequest) -> web.StreamResponse:
        level = check_level(request.query.get("data_source_record_format"))
        document = await read_json(request)
        if not isinstance(document, dict) or "query" not in document:
            raise InvalidQuery("query", 'is missing: send {"query": …, "response_format": …}')
        query = decode_query(document["query"], kind)
        longest, text = _SYNCHRONOUS_SPANS[kind.name]
        if query.end - query.start > longest:
            raise InvalidQuery("end", f"a synchronous search takes at most {text}; use {kind.path}/search")
        response_format = document.get("response_format")
        if response_format is None:
            project = level_projector(kind.name, level)
        else:
            project = projector(kind.name, response_format)
        task = self._core.planner.plan(query, normalised_query(document["query"], query), "", Path())
        account = self._core.accounts.of(request)
        owner = account.email_address if account is not None else request.remote or ""
        self._core.searches.check_room()
        job = self._core.jobs.submit(collect(task), owner=owner, small=task.is_small)
        try:
            lines: list[bytes] = await job.result
        except TaskFailed as error:
            return error_answer(500, "ApplicationError", str(error))
        finally:
            self._core.jobs.cancel(job)
        if level == DEFAULT_LEVEL and response_format is None:
            return await answer_stream(request, iter([b"[" + b",\n".join(lines) + b"]"]))
        expand = self._expander(kind.name, {}, False)
        return await answer_stream(request, _projected(lines, expand, project))


def _projected(lines: Sequence[bytes], expand: Expander, project: Projector) -> Iterator[bytes]:
    before = b"["
    for begin in range(0, len(lines), 256):
        records = [project(expand(msgspec.json.decode(line))) for line in lines[begin : begin + 256]]
        yield before + b",\n".join(map(msgspec.json.encode, records))
        before = b",\n"
    yield b"]" if lines else b"[]"
