"""Records of data sources: uploaded, and deleted again.

What is answered with 202 is committed by then, so it is found by the next search and outlives a killed process.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec
from aiohttp import web

from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.records import timestamp_from_s
from aurora_async.server.aurorax.routes._core import Core, JsonObject, no_such_source
from aurora_async.server.aurorax.searches import now_us
from aurora_async.server.aurorax.uploads import Rows, UploadRefused, ephemeris_rows, product_rows, seconds_of
from aurora_async.server.site import ApiError, Routes, answer, answer_bytes, read_json
from aurora_async.server.sky.products import published_url

__all__ = ["RecordRoutes"]

_IN_MEMORY_BYTES = 4 * 1024 * 1024
"""Larger bodies wait in a file."""
_JOBS_ARE_LISTED = timedelta(hours=1)

_Kept = Callable[[int, Any], Awaitable[bool]]


class _Names(msgspec.Struct, kw_only=True):
    program: str
    platform: str
    instrument_type: str


class _EphemerisRange(_Names, kw_only=True):
    start: str
    end: str


class _ProductUrls(_Names, kw_only=True):
    urls: list[str]


Wanted = TypeVar("Wanted", bound=_Names)


class RecordRoutes:
    """`/api/v1/data_sources/{id}/ephemeris` and `/data_products`."""

    def __init__(self, core: Core, folder: Path, max_upload_bytes: int) -> None:
        self._core = core
        self._folder = folder
        self._max_upload_bytes = max_upload_bytes

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        store, path = self._core.store, "/api/v1/data_sources/{}"
        routes.add("POST", f"{path}/ephemeris", partial(self._upload, ephemeris_rows, store.put_ephemeris))
        routes.add("POST", f"{path}/data_products", partial(self._upload, product_rows, store.put_data_products))
        routes.add("DELETE", f"{path}/ephemeris", self._delete_ephemeris)
        routes.add("DELETE", f"{path}/data_products", self._delete_products)
        routes.add("GET", f"{path}/ephemeris/delete_jobs", self._delete_jobs)
        routes.add("GET", f"{path}/ephemeris/delete_jobs/{{}}", self._delete_job)

    # Uploads --------------------------------------------------------------------------------------------------------

    async def _upload(self, read: Rows, keep: _Kept, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        self._core.check_maintenance()
        source = self._core.maintained_source(request, identifier)
        number = source["identifier"]
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(self._folder)) as spool:
            file = cast("BinaryIO", spool)
            await self._receive(request, file)
            try:
                # All are looked at before any is stored: what is refused leaves nothing behind.
                await asyncio.to_thread(deque, read(file, source), 0)
            except UploadRefused as error:
                errors = [{"error_code": "AssertionError", "error_message": text} for text in error.errors]
                return answer_bytes(msgspec.json.encode(errors), 400)
            batches = read(file, source)
            try:
                while (rows := await asyncio.to_thread(next, batches, None)) is not None:
                    if not await keep(number, rows):
                        raise no_such_source(number)  # it was removed while the body was on its way
            finally:  # also when the client has gone in the middle of it
                self._records_changed(number, of_products=read is product_rows)
        return web.Response(status=202)

    async def _receive(self, request: web.BaseRequest, file: BinaryIO) -> None:
        size = 0
        async for chunk in request.content.iter_chunked(256 * 1024):
            size += len(chunk)
            if size > self._max_upload_bytes:
                message = f"an upload has at most {self._max_upload_bytes} bytes; send it in parts"
                raise ApiError(413, "Other", message)
            if size <= _IN_MEMORY_BYTES:
                file.write(chunk)
            else:
                await asyncio.to_thread(file.write, chunk)

    def _records_changed(self, identifier: int, *, of_products: bool) -> None:
        self._core.sources.records_changed(identifier, ephemeris=not of_products, data_products=of_products)

    # Deletions ------------------------------------------------------------------------------------------------------

    async def _delete_ephemeris(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        self._core.check_maintenance()
        source = self._core.maintained_source(request, identifier)
        wanted = await _read_names(request, _EphemerisRange, source)
        try:
            start_s, end_s = seconds_of(wanted.start, "start"), seconds_of(wanted.end, "end")
        except ValueError as error:
            name, _, reason = str(error).partition(": ")
            raise InvalidQuery(name, reason) from None
        if end_s < start_s:
            raise InvalidQuery("end", f"{wanted.end!r} is before the start")
        job = str(uuid.uuid4())
        number = source["identifier"]
        await self._core.store.delete_ephemeris(number, start_s, end_s, job=job, requested_us=now_us())
        self._records_changed(number, of_products=False)
        return web.Response(status=202)

    async def _delete_products(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        self._core.check_maintenance()
        source = self._core.maintained_source(request, identifier)
        wanted = await _read_names(request, _ProductUrls, source)
        urls = [*wanted.urls, *{published_url(url) for url in wanted.urls}.difference(wanted.urls)]
        await self._core.store.delete_data_products(source["identifier"], urls)
        self._records_changed(source["identifier"], of_products=True)
        return answer_bytes(b"{}")

    async def _delete_jobs(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        return await answer(request, list(await self._recent_jobs(identifier)))

    async def _delete_job(self, request: web.BaseRequest, identifier: str, job: str) -> web.StreamResponse:
        told = (await self._recent_jobs(identifier)).get(job)
        if told is None:
            raise ApiError(404, "NotFound", f"No delete job {job} found for data source {identifier}")
        return await answer(request, told)

    async def _recent_jobs(self, identifier: str) -> dict[str, list[str]]:
        """Return what there is to tell of each deletion of the last hour, by identifier; none takes any time."""
        number = self._core.source(identifier)["identifier"]
        since_us = now_us() - _JOBS_ARE_LISTED // timedelta(microseconds=1)
        rows = await asyncio.to_thread(self._core.store.deletions, number, since_us)
        return {
            job: [
                f"Delete ephemeris of data source {number}"
                f" from {timestamp_from_s(start_s)} to {timestamp_from_s(end_s)}",
                f"Requested and completed at {datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}",
                f"Deleted {count} uploaded records",
            ]
            for job, start_s, end_s, at_us, count in rows
        }


async def _read_names(request: web.BaseRequest, kind: type[Wanted], source: Mapping[str, Any]) -> Wanted:
    """Return what a deletion is about; its names must be those of the data source."""
    document: JsonObject = await read_json(request)
    try:
        wanted = msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InvalidQuery("body", str(error)) from None
    for name in ("program", "platform", "instrument_type"):
        if (said := getattr(wanted, name)) != source[name]:
            raise InvalidQuery(name, f"{said!r} is not that of the data source, {source[name]!r}")
    return wanted
