"""The object store's own port: objects by their links, with the manners of S3.

It is another origin than the rest of the service, as in reality, and knows no credential but the link itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from xml.sax.saxutils import escape

from aiohttp import web

from aurora_async.server.imap.answers import Caller
from aurora_async.server.imap.contents import NOTE
from aurora_async.server.imap.indexing import Indexing
from aurora_async.server.imap.links import Links
from aurora_async.server.imap.objects import Object, Objects
from aurora_async.server.imap.settings import ImapSettings
from aurora_async.server.site import CHANGE, ApiError, Change, Routes, Version, answer_open_file

__all__ = ["ObjectRoutes"]

_ENCRYPTION = {"x-amz-server-side-encryption": "AES256"}
_OFFICIAL_AGENTS = "python-urllib3/", "Python-urllib/"
"""Of the official client, which sends its API key wherever it is sent on to: today's, and that of January 2024."""
_CONTENT_TYPE = "binary/octet-stream"
"""What S3 says of objects whose upload named no type: neither do the clients' uploads."""


class ObjectRoutes:
    """What the object store answers."""

    def __init__(self, objects: Objects, links: Links, indexing: Indexing, settings: ImapSettings) -> None:
        self._objects = objects
        self._links = links
        self._indexing = indexing
        self._settings = settings

    def routes(self) -> Routes:
        """Return everything that is answered on the port."""
        routes = Routes(_s3_error)
        routes.add("GET", "/{…}", self._get)  # and HEAD, for which a link must have been made
        routes.add("PUT", "/{…}", self._put)
        return routes

    def _check(self, request: web.BaseRequest) -> None:
        if "Authorization" in request.headers:
            message = "Only one auth mechanism allowed: a signature in the query, or the Authorization header"
            raise ApiError(400, "InvalidArgument", message)
        if "x-api-key" in request.headers and not self._overlooks_key(request):
            raise ApiError(403, "AccessDenied", "An API key was sent to a link that needs none")
        self._links.check(request)

    def _overlooks_key(self, request: web.BaseRequest) -> bool:
        if self._settings.objects_refuse_keys is None:
            return request.headers.get("User-Agent", "").startswith(_OFFICIAL_AGENTS)
        return not self._settings.objects_refuse_keys

    async def _get(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        self._check(request)
        change = request.get(CHANGE, Change())
        first = None if change.version == 1 else await self._objects.get(key)
        found = await self._objects.open(key, version=change.version)
        if found is None:
            raise ApiError(404, "NoSuchKey", "The specified key does not exist.")
        entry, file = found
        with file:
            version = (
                _version(entry) if first is None else _version(first).after(change, etag=_other_etag(first, entry))
            )
            if not version.is_wanted_by(request):
                message = "At least one of the pre-conditions you specified did not hold"
                raise ApiError(412, "PreconditionFailed", message)
            headers = {**_ENCRYPTION, "Content-Type": _CONTENT_TYPE}
            if entry.tags:
                headers["x-amz-tagging-count"] = str(entry.tags.count("&") + 1)
            if entry.is_made_up:
                headers["x-amz-meta-note"] = NOTE
            return await answer_open_file(request, file, entry.size, version, headers)

    async def _put(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        self._check(request)
        if "Content-Length" not in request.headers:
            raise ApiError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # that was no part of the answer
        tags = request.query.get("x-amz-tagging", "")
        is_old = Caller.is_old_agent(request.headers.get("User-Agent", ""))
        try:
            entry = await self._objects.put(key, _body(request), tags=tags, is_old=is_old)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ApiError(400, "InvalidRequest", "There are objects below this key, or it is below one") from None
        self._indexing.came(entry)
        return web.Response(headers={"ETag": f'"{entry.etag}"', **_ENCRYPTION})


def _version(entry: Object) -> Version:
    return Version(entry.etag, entry.changed_us // 1_000_000)


def _other_etag(first: Object, other: Object) -> str | None:
    """Return the digest that a fault's version of an object has; what is not made up is of the same bytes."""
    return other.etag if other.etag != first.etag else None


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Yield a body as it comes; it is as long as was said, and what was said of its digest is true."""
    said = request.headers.get("Content-MD5")
    digest = hashlib.md5(usedforsecurity=False)
    try:
        async for chunk in request.content.iter_any():
            if said is not None:
                digest.update(chunk)
            yield chunk
    except web.RequestPayloadError as error:
        raise ConnectionResetError("the client left before its file was whole") from error
    if said is not None and said != base64.b64encode(digest.digest()).decode():
        raise ApiError(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")


def _s3_error(status: int, code: str, message: str, headers: Mapping[str, str] | None) -> web.Response:
    """Answer as S3 does."""
    code = {405: "MethodNotAllowed", 416: "InvalidRange", 500: "InternalError"}.get(status, code)
    if status == 404 and code == "NotFound":  # no key at all
        status, code, message = 403, "AccessDenied", "Access Denied"
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/xml")
