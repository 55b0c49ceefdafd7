"""AuroraX's endpoints: what is read from a request, what is answered; the work is done by the modules beside this one.

Where the protocol leaves a choice: an API key that nobody knows is ignored where none is needed, and refused (401)
where one is; statuses and data are open to whoever has the identifier, as the service's own documentation says.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import msgspec
from aiohttp import web

from aurora_async.aurorax.models import (
    ConjunctionQuery,
    CriteriaBlock,
    CustomLocationsBlock,
    DataProductQuery,
    EphemerisQuery,
    Query,
)
from aurora_async.aurorax.wire import KINDS, Kind, decode_query
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.filtering import matches_criteria
from aurora_async.server.aurorax.logs import REQUEST_TYPES, cartesian_product_count, describe, normalised_query
from aurora_async.server.aurorax.records import (
    DEFAULT_LEVEL,
    Projector,
    check_level,
    level_projector,
    projector,
    source_record,
)
from aurora_async.server.aurorax.results import Expander, conjunction_expander, record_expander, reformatted
from aurora_async.server.aurorax.searches import Search, Searches, timestamp
from aurora_async.server.aurorax.searching import SearchTask, collect
from aurora_async.server.aurorax.sources import SOURCE_TYPES, DataSources
from aurora_async.server.days import DayCache
from aurora_async.server.jobs import Jobs, QueueFull, TaskFailed
from aurora_async.server.site import (
    ApiError,
    Routes,
    answer,
    answer_bytes,
    answer_file,
    answer_stream,
    error_answer,
    flag,
    read_json,
)
from aurora_async.server.store import Account, Duplicate, Store
from aurora_async.times import end_of, start_of, to_wire

__all__ = ["API_KEY_HEADER", "AuroraXService"]

API_KEY_HEADER = "x-aurorax-api-key"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_SMALL_SOURCE_DAYS = 120
"""A search that goes through no more days of data sources than this takes milliseconds once they are computed."""
_SMALL_MISSING_DAYS = 2
"""Days that a small search may have to compute (half a second each) before it counts as a large one."""

_SYNCHRONOUS_SPANS: Mapping[str, tuple[timedelta, str]] = {
    "ephemeris": (timedelta(days=2), "two days"),
    "data_products": (timedelta(days=3653), "ten years"),
}

_GONE = "the result file of this search has been deleted; submit the query again"

JsonObject = dict[str, Any]


class AuroraXService:
    """The AuroraX search API over a store and the jobs that run its searches (both borrowed)."""

    def __init__(self, store: Store, jobs: Jobs, results: Path, *, server_time_s: float) -> None:
        self._store = store
        self._jobs = jobs
        self._days = DayCache(jobs.days_folder)
        self._accounts = store.accounts()
        self.sources = DataSources(store.data_sources())
        self._matches: dict[object, tuple[int, ...]] = {}
        self._basic: dict[int, JsonObject] = {}
        self._known_version = -1
        self._searches = Searches(store, jobs, results, server_time_s=server_time_s, plan=self._plan)

    def resume(self) -> None:
        """Run what a former service has left unfinished."""
        self._searches.resume()

    async def close(self) -> None:
        """Stop what is being prepared."""
        await self._searches.close()

    def add_routes(self, routes: Routes) -> None:
        """Answer everything below `/api/v1`."""
        for kind in KINDS.values():
            request_path = f"{kind.path}/requests/{{}}"
            routes.add("POST", f"{kind.path}/search", partial(self._submit, kind))
            routes.add("GET", request_path, partial(self._status, kind))
            routes.add("DELETE", request_path, partial(self._cancel, kind))
            routes.add("GET", f"{request_path}/data", partial(self._data, kind))
            routes.add("POST", f"{request_path}/data", partial(self._formatted_data, kind))
            routes.add("DELETE", f"{request_path}/data", partial(self._delete_data, kind))
            routes.add("POST", kind.describe_path, partial(self._describe, kind))
        for name in _SYNCHRONOUS_SPANS:
            routes.add("POST", f"{KINDS[name].path}/search_synchronous", partial(self._search_now, KINDS[name]))
        routes.add("POST", "/api/v1/utils/describe/cartesian_products", self._cartesian_products)
        routes.add("GET", "/api/v1/utils/timezones", self._timezones)
        routes.add("GET", "/api/v1/utils/timezones/convert", self._convert)
        routes.add("GET", "/api/v1/data_sources", self._list_sources)
        routes.add("POST", "/api/v1/data_sources/search", self._search_sources)
        routes.add("GET", "/api/v1/data_sources/{}", self._get_source)
        routes.add("GET", "/api/v1/data_sources/{}/stats", self._source_stats)
        routes.add("GET", "/api/v1/availability/ephemeris", partial(self._availability, False))
        routes.add("GET", "/api/v1/availability/data_products", partial(self._availability, True))
        routes.add("GET", "/api/v1/utils/admin/search_requests", self._list_requests)
        routes.add("DELETE", "/api/v1/utils/admin/search_requests/{}", self._forget_request)

    # Who asks -------------------------------------------------------------------------------------------------------

    def _account(self, request: web.BaseRequest) -> Account | None:
        key = request.headers.get(API_KEY_HEADER)
        return None if key is None else self._accounts.get(hashlib.sha256(key.encode()).hexdigest())

    def _require(self, request: web.BaseRequest, role: str) -> Account:
        account = self._account(request)
        if account is None:
            said = "no API key was sent" if API_KEY_HEADER not in request.headers else "this API key is not known"
            raise ApiError(401, "NotAuthenticated", f"{said}; {role} is needed here")
        if not account.may_act_as(role):
            raise ApiError(403, "NotPermitted", f"{account.email_address} is {account.role}; {role} is needed here")
        return account

    # Searches -------------------------------------------------------------------------------------------------------

    async def _submit(self, kind: Kind, request: web.BaseRequest) -> web.StreamResponse:
        document = await read_json(request)
        query = decode_query(document, kind)
        request_id = document.get("request_id")
        if request_id is not None and not (isinstance(request_id, str) and _UUID.fullmatch(request_id)):
            raise InvalidQuery("request_id", f"{request_id!r} is not a UUID in lower case")
        self._make_places(query)
        account = self._account(request)
        try:
            search = await self._searches.submit(
                kind,
                query,
                normalised_query(document, query),
                request_id=request_id,
                owner=None if account is None else account.email_address,
                ip_address=request.remote or "",
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
            _, new = self.sources.custom(place for block in query.custom_locations for place in block.locations)
            if new:
                self.sources.add(new)
                self._store.add_data_sources(new)

    def _plan(self, query: Query, document: Mapping[str, Any], request_id: str, path: Path) -> SearchTask:
        """Say what has to be done for a query."""
        kind = next(kind for kind in KINDS.values() if isinstance(query, kind.query_type))
        places: dict[int, tuple[float, float]] = {}
        blocks: dict[str, tuple[int, ...]] = {}
        if isinstance(query, ConjunctionQuery):
            for name, block in query.blocks.items():
                if isinstance(block, CustomLocationsBlock):
                    found, _ = self.sources.custom(block.locations)
                    blocks[name] = tuple(record["identifier"] for record in found.values())
                    for place, record in found.items():
                        assert place.lat is not None and place.lon is not None
                        places[record["identifier"]] = (place.lat, place.lon)
                else:
                    blocks[name] = self._matching(block)
        else:
            blocks["data_sources"] = self._matching(query)
        task = SearchTask(
            request_id=request_id,
            kind=kind.name,
            query=query,
            document=document,
            blocks=blocks,
            sources={one: self._basic_record(one) for identifiers in blocks.values() for one in identifiers},
            places=places,
            path=path,
        )
        return attrs.evolve(task, is_small=_is_small(task, self._days))

    def _matching(self, criteria: CriteriaBlock | EphemerisQuery | DataProductQuery) -> tuple[int, ...]:
        self._look_at_version()
        key = (criteria.programs, criteria.platforms, criteria.instrument_types)
        if (found := self._matches.get(key)) is None:
            records = self.sources.all()
            found = tuple(record["identifier"] for record in records if matches_criteria(record, criteria))
            if len(self._matches) > 1000:
                self._matches.clear()
            self._matches[key] = found
        return found

    def _basic_record(self, identifier: int) -> JsonObject:
        self._look_at_version()
        if (found := self._basic.get(identifier)) is None:
            record = self.sources.get(identifier)
            assert record is not None
            found = self._basic[identifier] = source_record(record)
        return found

    def _look_at_version(self) -> None:
        if self._known_version != self.sources.version:
            self._known_version = self.sources.version
            self._matches.clear()
            self._basic.clear()

    async def _find(self, kind: Kind, request_id: str) -> Search:
        search = self._searches.in_memory(request_id)
        if search is None and _UUID.fullmatch(request_id):
            search = await self._searches.get(request_id)
        if search is None or search.kind is not kind:
            raise ApiError(404, "NotFound", f"No search request record found in AuroraX for identifier {request_id}")
        return search

    async def _status(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        return answer_bytes((await self._find(kind, request_id)).status())

    async def _cancel(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        search = await self._find(kind, request_id)
        if not search.is_over:
            await self._searches.cancel(search)
        else:
            await self._searches.delete_result(search)
            if kind.name == "conjunctions":
                return web.Response(status=204)
        return answer_bytes(search.status())

    async def _delete_data(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        search = await self._find(kind, request_id)
        if not search.is_over:
            raise ApiError(409, "Conflict", "the search is still running, there is no result file to delete")
        await self._searches.delete_result(search)
        return answer_bytes(search.status())

    # Data -----------------------------------------------------------------------------------------------------------

    def _result_of(self, search: Search) -> Path | None:
        """Return where the result of a search is; None when it has none any more.

        Raises:
            ApiError: There is none yet.
        """
        if not search.is_over:
            raise ApiError(404, "NotFound", f"the search {search.request_id} is still running, there is no data yet")
        assert search.end is not None
        if search.end.error_condition or search.deleted_us is not None:
            return None
        path = self._searches.result_path(search.request_id)
        return path if path.exists() else None

    @staticmethod
    def _no_result(search: Search) -> web.Response:
        """Say that there is no result, the way the real service does: with status 200."""
        failed = search.end is not None and search.end.error_condition
        message = search.lines[-1][1] if failed and search.lines else _GONE
        return answer_bytes(msgspec.json.encode({"error": {"error_code": "NotFound", "error_message": message}}))

    async def _data(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        level = check_level(request.query.get("data_source_record_format"))
        generate = kind.name == "conjunctions" and bool(flag(request, "generate_ephemeris_queries"))
        search = await self._find(kind, request_id)
        if (path := self._result_of(search)) is None:
            return self._no_result(search)
        if level == DEFAULT_LEVEL and not generate:
            try:
                return await answer_file(request, path)
            except FileNotFoundError:  # deleted a moment ago
                return self._no_result(search)
        project = level_projector(kind.name, level, generated_queries=generate)
        return await self._reformatted(request, search, path, project, generate)

    async def _formatted_data(self, kind: Kind, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        project = projector(kind.name, await read_json(request))
        search = await self._find(kind, request_id)
        if (path := self._result_of(search)) is None:
            return self._no_result(search)
        return await self._reformatted(request, search, path, project, True)

    async def _reformatted(
        self, request: web.BaseRequest, search: Search, path: Path, project: Projector, generate: bool
    ) -> web.StreamResponse:
        expand = self._expander(search.kind.name, msgspec.json.decode(search.query), generate)
        return await answer_stream(request, reformatted(path, expand, project))

    def _expander(self, kind: str, document: Mapping[str, Any], generate: bool) -> Expander:
        def source_of(stored: JsonObject) -> Mapping[str, Any]:
            # It may have been deleted since.
            return self.sources.get(stored["identifier"]) or source_record(stored, "full_record")

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
        task = self._plan(query, normalised_query(document["query"], query), "", Path())
        account = self._account(request)
        owner = account.email_address if account is not None else request.remote or ""
        self._jobs.check_room()
        job = self._jobs.submit(collect(task), owner=owner, small=task.is_small)
        try:
            lines: list[bytes] = await job.result
        except TaskFailed as error:
            return error_answer(500, "ApplicationError", str(error))
        finally:
            self._jobs.cancel(job)
        if level == DEFAULT_LEVEL and response_format is None:
            return await answer_stream(request, iter([b"[" + b",\n".join(lines) + b"]"]))
        expand = self._expander(kind.name, {}, False)
        return await answer_stream(request, _projected(lines, expand, project))

    # Descriptions and utilities -------------------------------------------------------------------------------------

    async def _describe(self, kind: Kind, request: web.BaseRequest) -> web.StreamResponse:
        document = await read_json(request)
        query = decode_query(document, kind)
        return await answer(request, describe(kind.name, normalised_query(document, query)))

    async def _cartesian_products(self, request: web.BaseRequest) -> web.StreamResponse:
        query = decode_query(await read_json(request), KINDS["conjunctions"])
        assert isinstance(query, ConjunctionQuery)
        counts = [
            len(set(block.locations)) if isinstance(block, CustomLocationsBlock) else len(self._matching(block))
            for block in query.blocks.values()
        ]
        return await answer(request, cartesian_product_count(counts))

    async def _timezones(self, request: web.BaseRequest) -> web.StreamResponse:
        return await answer(request, sorted(zoneinfo.available_timezones()))

    async def _convert(self, request: web.BaseRequest) -> web.StreamResponse:
        text, name = request.query.get("ts", ""), request.query.get("tz", "")
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            message = f"{name!r} is no time zone; /api/v1/utils/timezones lists them"
            raise InvalidQuery("tz", message) from None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidQuery("ts", f"{text!r} is not a timestamp in ISO format") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return await answer(request, to_wire(moment.astimezone(UTC)))

    # Data sources ---------------------------------------------------------------------------------------------------

    async def _list_sources(self, request: web.BaseRequest) -> web.StreamResponse:
        level = check_level(request.query.get("format"), "format")
        return await self._answer_sources(request, self._filtered(request), level)

    def _filtered(self, request: web.BaseRequest) -> list[JsonObject]:
        names = ("program", "platform", "instrument_type", "source_type", "owner")
        wanted = {name: request.query.get(name) for name in names}
        kind = wanted["source_type"]
        if kind is not None and kind not in SOURCE_TYPES:
            raise InvalidQuery("source_type", f"{kind!r} is unknown; use one of {', '.join(SOURCE_TYPES)}")
        return self.sources.matching(**wanted)

    async def _search_sources(self, request: web.BaseRequest) -> web.StreamResponse:
        level = check_level(request.query.get("format"), "format")
        document = await read_json(request)
        if not isinstance(document, dict):
            raise InvalidQuery("body", "must be an object with programs, platforms and instrument_types")
        lists = {}
        for key, field in (("programs", "program"), ("platforms", "platform"), ("instrument_types", "instrument_type")):
            values = document.get(key) or []
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise InvalidQuery(key, f"{values!r} is not a list of texts")
            lists[field] = values
        return await self._answer_sources(request, self.sources.search(lists), level)

    async def _get_source(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        level = check_level(request.query.get("format"), "format")
        record = self._source(identifier)
        shown = source_record(record, level)
        if flag(request, "include_stats"):
            shown["stats"] = await asyncio.to_thread(self.sources.stats, record["identifier"])
        return await answer(request, shown)

    def _source(self, identifier: str) -> JsonObject:
        if not re.fullmatch(r"[+-]?\d{1,10}", identifier):
            raise InvalidQuery("identifier", f"{identifier!r} is not a whole number")
        record = self.sources.get(int(identifier))
        if record is None:
            message = f"No Data Source record found in AuroraX for identifier {int(identifier)}"
            raise ApiError(404, "NotFound", message)
        return record

    async def _answer_sources(
        self, request: web.BaseRequest, records: Sequence[JsonObject], level: str
    ) -> web.StreamResponse:
        shown = [source_record(record, level) for record in records]
        if flag(request, "include_stats"):
            for part, record in zip(shown, records, strict=True):
                part["stats"] = await asyncio.to_thread(self.sources.stats, record["identifier"])
        return await answer(request, shown)

    async def _source_stats(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        level = check_level(request.query.get("format"), "format")
        slow = bool(flag(request, "slow"))
        record = self._source(identifier)
        stats = await asyncio.to_thread(self.sources.stats, record["identifier"], slow=slow)
        return await answer(request, {"data_source": source_record(record, level), **stats})

    async def _availability(self, of_products: bool, request: web.BaseRequest) -> web.StreamResponse:
        level = check_level(request.query.get("format"), "format")
        flag(request, "slow")  # counts are made from the data in any case
        start, end = _date(request, "start"), _date(request, "end")
        today = datetime.now(UTC).date()
        if end is None:
            end = today + timedelta(days=31) if start is None else start + timedelta(days=365)
        start = start or date(today.year, 1, 1)
        records = self._filtered(request)
        kind = request.query.get("data_product_type") if of_products else None
        count = partial(self.sources.availability, of_products=of_products, product_type=kind)
        found = await asyncio.to_thread(count, records, start, end)
        key = "available_data_products" if of_products else "available_ephemeris"
        entries = [
            {"data_source": source_record(record, level), key: found[record["identifier"]]}
            for record in records
            if record["identifier"] in found
        ]
        return await answer(request, entries)

    # Administration -------------------------------------------------------------------------------------------------

    async def _list_requests(self, request: web.BaseRequest) -> web.StreamResponse:
        self._require(request, "Administrator")
        wanted = _Listing(request)
        searches = await self._searches.listing(wanted.start_us, wanted.end_us)
        return await answer(request, [_listed(search) for search in searches if wanted.includes(search)])

    async def _forget_request(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        self._require(request, "Administrator")
        if not (_UUID.fullmatch(request_id) and await self._searches.forget(request_id)):
            raise ApiError(404, "NotFound", f"No search request record found in AuroraX for identifier {request_id}")
        return answer_bytes(b"{}")


def _is_small(task: SearchTask, days: DayCache) -> bool:
    """Tell whether a search takes milliseconds: it goes through few days, nearly all of which are computed."""
    span = (task.query.end - task.query.start).days + 1
    if span * sum(map(len, task.blocks.values())) > _SMALL_SOURCE_DAYS:
        return isinstance(task.query, DataProductQuery) and span < 400
    missing = 0
    for identifier, day, north, south in task.days_needed():
        missing += not days.has(identifier, day, north=north, south=south)
        if missing > _SMALL_MISSING_DAYS:
            return False
    return True


def _projected(lines: Sequence[bytes], expand: Expander, project: Projector) -> Iterator[bytes]:
    before = b"["
    for begin in range(0, len(lines), 256):
        records = [project(expand(msgspec.json.decode(line))) for line in lines[begin : begin + 256]]
        yield before + b",\n".join(map(msgspec.json.encode, records))
        before = b",\n"
    yield b"]" if lines else b"[]"


def _date(request: web.BaseRequest, name: str) -> date | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise InvalidQuery(name, f"{text!r} is not a date such as 2020-01-31") from None


class _Listing:
    """Which searches an administrator wants to see."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._search_type = request.query.get("search_type")
        if self._search_type is not None and self._search_type not in REQUEST_TYPES.values():
            allowed = ", ".join(REQUEST_TYPES.values())
            raise InvalidQuery("search_type", f"{self._search_type!r} is unknown; use one of {allowed}")
        start, end = request.query.get("start"), request.query.get("end")
        self.start_us = 0 if not start else _microseconds(start_of(start, "start"))
        self.end_us = 1 << 62 if not end else _microseconds(end_of(end, "end")) + 999_999
        self._file_size = _number(request, "file_size")
        self._result_count = _number(request, "result_count")
        self._query_duration = _number(request, "query_duration")
        self._error_condition = flag(request, "error_condition", None)
        self._active = flag(request, "active", None)
        if self._file_size is not None or self._result_count is not None:
            self._active = False

    def includes(self, search: Search) -> bool:
        """Tell whether a search is one of them."""
        end = search.end if search.is_over else None
        if self._search_type is not None and REQUEST_TYPES[search.kind.name] != self._search_type:
            return False
        if self._active is not None and self._active is not (end is None):
            return False
        if self._query_duration is not None and _duration_ms(search) < self._query_duration:
            return False
        if end is None:
            return self._error_condition is None or self._active is True
        # The size is asked for in kilobytes.
        return (
            (self._file_size is None or (_file_exists(search) and end.file_size >= 1000 * self._file_size))
            and (self._result_count is None or end.result_count >= self._result_count)
            and (self._error_condition is None or end.error_condition is self._error_condition)
        )


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _number(request: web.BaseRequest, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text):
        raise InvalidQuery(name, f"{text!r} is not a whole number")
    return int(text)


def _file_exists(search: Search) -> bool:
    return search.is_over and search.end is not None and not search.end.error_condition and search.deleted_us is None


def _duration_ms(search: Search) -> int:
    if search.is_over and search.end is not None:
        return search.end.query_duration
    return (time.time_ns() // 1000 - search.requested_us) // 1000


def _listed(search: Search) -> JsonObject:
    end = search.end if search.is_over else None
    return {
        "search_type": REQUEST_TYPES[search.kind.name],
        "ip_address": search.ip_address,
        "request_id": search.request_id,
        "requested": timestamp(search.requested_us),
        "active": end is None,
        "query_duration": _duration_ms(search),
        "result_file_exists": _file_exists(search),
        # Of a deleted file too: the official command line cannot print a finished search without a size.
        "file_size": None if end is None else end.file_size,
        "result_count": None if end is None else end.result_count,
        "error_condition": end is not None and end.error_condition,
    }
