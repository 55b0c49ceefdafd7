"""The file area: `/SUM58/D803708321/S00008/Dopplergram.fits` is a stored file, other storage units are exports'.

Files are made when they are asked for and are the same each time, so that one can be had in parts, or again later.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import PurePosixPath

import attrs
from aiohttp import web

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.contents import stored_file
from aurora_async.server.jsoc.exports import Exports
from aurora_async.server.jsoc.ledger import Entry
from aurora_async.server.jsoc.making import file_content
from aurora_async.server.site import CHANGE, ApiError, Change, Made, Routes, Version, answer_file, answer_made

__all__ = ["AreaRoutes"]

_STORED_S = 1_577_836_800  # 2020-01-01, the date of all that is stored
_KEPT_BYTES = 16 << 20
_TYPES = {
    ".fits": "application/fits",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".mp4": "video/mp4",
    ".mpg": "video/mpeg",
    ".png": "image/png",
    ".tar": "application/x-tar",
}


@attrs.frozen
class _File:
    """A file that can be made."""

    changed_s: int
    make: Callable[[int], bytes]
    """Makes it, of a version."""


class AreaRoutes:
    """`/SUM…`."""

    def __init__(self, exports: Exports, catalog: Catalog) -> None:
        self._exports = exports
        self._catalog = catalog
        self._kept = _Kept()

    def add_to(self, routes: Routes) -> None:
        """Answer everything that may be below a partition."""
        routes.add("GET", "/{}/{}/{}/{…}", self._file)
        routes.add("GET", "/{}/{}/{}/", self._directory)
        routes.add("GET", "/{}/{}/{}", self._directory)

    async def _directory(self, request: web.BaseRequest, partition: str, unit: str, slot: str) -> web.StreamResponse:
        if partition.startswith("SUM") and not request.path.endswith("/"):
            # The page's links begin where its address ends.
            return web.Response(status=301, headers={"Location": f"{request.path}/"})
        return await self._file(request, partition, unit, slot, "index.html")

    async def _file(
        self, request: web.BaseRequest, partition: str, unit: str, slot: str, name: str
    ) -> web.StreamResponse:
        if not partition.startswith("SUM"):
            raise ApiError(404, "NotFound", f"there is nothing under {request.path}")
        place = re.fullmatch(r"/SUM\d{1,4}/D(\d{1,15})/S(\d{5})", f"/{partition}/{unit}/{slot}")
        if place is None:
            return _not_found()
        sunum, number = int(place[1]), int(place[2])
        if (entry := self._exports.in_unit(sunum)) is not None:
            return await self._exported(request, entry, name)
        file = await asyncio.to_thread(self._stored, sunum, number, request.path)
        return _not_found() if file is None else await self._answer(request, name, file)

    async def _exported(self, request: web.BaseRequest, entry: Entry, name: str) -> web.StreamResponse:
        path = self._exports.folder_of(entry) / name
        # A name from outside is looked for in the directory itself, and nowhere else.
        if "/" not in name and name not in ("", ".", "..") and path.is_file():
            return await answer_file(request, path, _type_of(name))
        known = self._exports.ledger.file(entry.number, name)
        record = None if known is None else await asyncio.to_thread(self._catalog.record_at, known[0], known[1])
        if known is None or record is None or entry.order.is_tar:
            return _not_found()
        changed_s = entry.requested_us // 1_000_000
        order, segment = entry.order, known[2]
        file = _File(changed_s, lambda version: file_content(order, record, segment, version=version))
        return await self._answer(request, name, file)

    def _stored(self, sunum: int, slot: int, path: str) -> _File | None:
        record = self._catalog.record_at(sunum, slot)
        if record is None:
            return None
        known = {record.segment_path(segment): segment.name for segment in record.series.segments}
        segment = known.get(path) if record.has_image else None
        if segment is None:
            return None
        return _File(_STORED_S, lambda version: stored_file(record, segment, version=version))

    async def _answer(self, request: web.BaseRequest, name: str, file: _File) -> web.StreamResponse:
        change = request.get(CHANGE, Change())
        key = f"{request.path} {file.changed_s} {change.version}"
        content = self._kept.get(key)
        if content is None:
            content = await asyncio.to_thread(file.make, change.version)
            self._kept.put(key, content)
        etag = hashlib.sha256(f"{request.path} {file.changed_s}".encode()).hexdigest()[:16]
        made = Made(len(content), lambda begin, end: content[begin:end], {"Content-Type": _type_of(name)})
        return await answer_made(request, made, Version(etag, file.changed_s).after(change))


class _Kept:
    """The files that were asked for last: whoever has one in parts need not have it made for each."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> bytes | None:
        if (content := self._files.get(key)) is not None:
            self._files.move_to_end(key)
        return content

    def put(self, key: str, content: bytes) -> None:
        if key in self._files:
            return
        self._files[key] = content
        self._size += len(content)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._files.popitem(last=False)[1])


def _type_of(name: str) -> str:
    return _TYPES.get(PurePosixPath(name).suffix, "text/plain")


def _not_found() -> web.Response:
    # A page, as a server of files has it, not a document of the API's.
    page = "<!doctype html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
    return web.Response(status=404, text=page, content_type="text/html")
