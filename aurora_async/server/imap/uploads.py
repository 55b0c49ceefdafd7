"""`/upload`: whether a file may come and where it belongs; then a link to the object store."""

from __future__ import annotations

import json

from aiohttp import web

from aurora_async.imap.filenames import InvalidFileName, LegacyName, key_of, parse_name
from aurora_async.server.imap.answers import Caller, Refusal, refusal
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.links import Links
from aurora_async.server.imap.objects import Objects
from aurora_async.server.site import JSON

__all__ = ["UploadRoutes"]

_EXAMPLE = "/upload/path/to/file/filename.pkts"
_TAG = "manually_reprocessed"


class UploadRoutes:
    """Gives links for uploads."""

    def __init__(self, objects: Objects, links: Links, *, life_s: float) -> None:
        self._objects = objects
        self._links = links
        self._life_s = life_s

    def add_to(self, gateway: Gateway) -> None:
        """Answer `/upload`."""
        gateway.add("GET", "/upload", self._nothing, "upload")
        gateway.add("GET", "/upload/{…}", self._give_link, "upload")

    async def _nothing(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        _check(caller)
        text = f"No filename given for the upload. Please provide a filename in the path. Eg. {_EXAMPLE}"
        raise refusal(400, text)

    async def _give_link(self, request: web.BaseRequest, caller: Caller, path: str) -> web.StreamResponse:
        _check(caller)
        key = _key_of(path, is_old=caller.is_old)
        if key in self._objects:
            raise _exists(key, is_old=caller.is_old)
        tags = f"{_TAG}=true" if request.query.get(_TAG, "").lower() == "true" else ""
        link = self._links.sign(request, "PUT", key, life_s=self._life_s, tags=tags)
        return web.Response(body=json.dumps(link).encode(), content_type=JSON)


def _check(caller: Caller) -> None:
    # The real gateway refuses such a key with a word of its own; its handlers, that do so as well, say what is wrong.
    if caller.scope == "read":
        raise refusal(403, "Upload access denied. Your API key has read permissions.")
    if caller.scope is None and not caller.is_old:  # there were no keys in January 2024
        raise refusal(403, "Upload access denied. Please provide a valid API key with upload permissions.")


def _key_of(path: str, *, is_old: bool) -> str:
    """Return where a file belongs: by its name alone, for a client of January 2024 where that has it."""
    name = path.rpartition("/")[2]
    try:
        if is_old:
            return key_of(path)
        parsed = parse_name(name)
        if not isinstance(parsed, LegacyName):
            return parsed.key
    except InvalidFileName:
        pass
    raise refusal(400, f"error: {name} does not match ancillary, science, cadence, or SPICE file naming convention.")


def _exists(key: str, *, is_old: bool) -> Refusal:
    if is_old:
        return refusal(409, f"{key} already exists.")
    message = f"The file '{key}' already exists. Rename it or remove the existing file before uploading again."
    return refusal(409, {"error": "FileAlreadyExists", "message": message})
