"""`/download`: whether there is a file and who may have it; then a link to the object store."""

from __future__ import annotations

import json

from aiohttp import web

from aurora_async.imap.filenames import InvalidFileName, parse_name
from aurora_async.server.imap.answers import Caller, Refusal
from aurora_async.server.imap.catalog import Catalog
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.links import Links
from aurora_async.server.imap.objects import Objects

__all__ = ["DownloadRoutes"]

_HTML = "text/html"
_EXAMPLE = "/download/path/to/file/filename.pkts"
_NEVER_PUBLIC = ("quicklook", "dependency", "release")


class DownloadRoutes:
    """Sends clients on to objects."""

    def __init__(self, objects: Objects, catalog: Catalog, links: Links, *, life_s: float) -> None:
        self._objects = objects
        self._catalog = catalog
        self._links = links
        self._life_s = life_s

    def add_to(self, gateway: Gateway) -> None:
        """Answer `/download`."""
        gateway.add("GET", "/download", self._nothing)
        gateway.add("GET", "/download/{…}", self._send_on)

    async def _nothing(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        text = f"No file requested for download. Please provide a filename in the path. Eg. {_EXAMPLE}"
        raise Refusal(400, text.encode(), _HTML)

    async def _send_on(self, request: web.BaseRequest, caller: Caller, key: str) -> web.StreamResponse:
        """Give a link for the method that it was asked for with, which a client goes on with."""
        if key not in self._objects:
            text = f"File not found, make sure you include the full path to the file in the request, e.g. {_EXAMPLE}."
            raise Refusal(404, text.encode(), _HTML)
        if not caller.is_authenticated and not self._is_released(key):
            raise Refusal(403, f"The file {key} is not a part of a public release yet.".encode(), _HTML)
        link = self._links.sign(request, request.method, key, life_s=self._life_s)
        body = json.dumps({"download_url": link}).encode()
        return web.Response(status=302, body=body, headers={"Location": link, "Content-Type": _HTML})

    def _is_released(self, key: str) -> bool:
        if "test_data" in key:
            return True
        entry = self._objects.known(key)
        if entry is not None and entry.is_old:
            return True
        try:
            kind = parse_name(key).kind
        except InvalidFileName:
            kind = ""
        if kind == "spice":
            return True
        row = None if kind in _NEVER_PUBLIC else self._catalog.find(key)
        return row is not None and (row.released or row.is_old)
