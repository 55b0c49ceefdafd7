"""The gate before the IMAP service: its three prefixes, credentials and scopes, and the limits of what it answers.

What a caller may see goes by the prefix of the path alone, so that a handler is told, and looks at no credential.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import zlib
from typing import Literal

from aiohttp import web

from aurora_async.server.imap.answers import Caller, ImapHandler, Refusal, crash
from aurora_async.server.imap.settings import ImapSettings
from aurora_async.server.site import GZIP_FROM_BYTES, HELD_S, Routes, accepts_gzip

__all__ = ["Access", "Gateway"]

logger = logging.getLogger(__name__)

Access = Literal["read", "upload", "reprocess", "release"]
"""What a route is for, which decides the prefixes that it has."""

_KEY, _TOKEN = "api-key", "authorized"
_EVERYWHERE = ("", _KEY, _TOKEN)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WRITING = ("POST", "PUT", "PATCH", "DELETE")
_GZIP_LEVEL, _GZIP_WINDOW = 2, 31  # the window is zlib's way to say: with a gzip header
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*"}


class Gateway:
    """Everything below `/imap` that has a handler."""

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._handlers: dict[tuple[str, str, bool], tuple[ImapHandler, Access]] = {}

    def add(self, method: str, path: str, handler: ImapHandler, access: Access = "read") -> None:
        """Let `handler` answer at `/name`, or at `/name/{…}`, where it is called with what follows as well.

        GET answers HEAD, too. Below which prefixes this is follows from `access`.
        """
        name, _, rest = path.removeprefix("/").partition("/")
        self._handlers[method, name, bool(rest)] = handler, access

    def add_to(self, routes: Routes) -> None:
        """Answer everything below `/imap`."""
        for method in _METHODS:
            # The last two are what comes of a base URL with a stroke at its end.
            for path in ("/imap", "/imap/{…}", "/imap/", "/imap//{…}"):
                routes.add(method, path, self._answer)

    async def _answer(self, request: web.BaseRequest, path: str = "") -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_CORS)
        answer = await self._limited(request, path)
        if "Origin" in request.headers and not answer.prepared:
            answer.headers["Access-Control-Allow-Origin"] = "*"
        return answer

    async def _limited(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        left_s = self._settings.answer_s - request.get(HELD_S, 0.0)
        if left_s <= 0:
            return _too_late()
        try:
            async with asyncio.timeout(left_s) as limit:
                answer = await self._dispatch(request, path)
        except Refusal as refusal:
            return refusal.response()
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return _too_late()
            logger.exception("%s %s failed", request.method, request.path)
            return crash().response()
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            return await self._packed(request, answer, answer.body)
        return answer

    async def _packed(self, request: web.BaseRequest, answer: web.Response, body: bytes) -> web.Response:
        if len(body) > self._settings.answer_bytes:
            return crash().response()
        if len(body) >= GZIP_FROM_BYTES and accepts_gzip(request):
            answer.body = await asyncio.to_thread(zlib.compress, body, _GZIP_LEVEL, _GZIP_WINDOW)
            answer.headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
        return answer

    async def _dispatch(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        prefix, _, behind = path.partition("/")
        if prefix not in (_KEY, _TOKEN):
            prefix, behind = "", path
        name, _, rest = behind.partition("/")
        method = "GET" if request.method == "HEAD" else request.method
        if not name and method == "GET":
            return web.Response(status=302, headers={"Location": "/"})
        found = self._handlers.get((method, name, bool(rest)))
        if found is None or prefix not in self._prefixes(found[1]):
            raise _gateway_says(404, "Not Found")
        handler = found[0]
        caller = self._caller(request, prefix)
        if caller.scope == "read" and method in _WRITING:
            raise _gateway_says(403, "Forbidden")
        return await (handler(request, caller, rest) if rest else handler(request, caller))

    def _prefixes(self, access: Access) -> tuple[str, ...]:
        if access == "read" or self._settings.is_open:
            return _EVERYWHERE
        if access == "reprocess":
            return (_KEY, _TOKEN)
        if access == "upload" and not self._settings.production_rules:
            return _EVERYWHERE
        return (_KEY,)

    def _caller(self, request: web.BaseRequest, prefix: str) -> Caller:
        """Return who asks, or refuse whom nobody knows."""
        is_old = Caller.is_old_agent(request.headers.get("User-Agent", ""))
        if self._settings.is_open:
            return Caller(is_authenticated=True, scope="full", is_old=is_old)
        if prefix == _KEY:
            key = request.headers.get("x-api-key")
            if not key:
                raise _gateway_says(401, "Unauthorized")
            scope = next((scope for known, scope in self._settings.api_keys.items() if _is_same(key, known)), None)
            if scope is None:
                raise _gateway_says(403, "Forbidden")
            return Caller(is_authenticated=True, scope=scope, is_old=is_old)
        if prefix == _TOKEN:
            kind, _, token = request.headers.get("Authorization", "").partition(" ")
            if kind.lower() != "bearer" or not any(_is_same(token, known) for known in self._settings.access_tokens):
                raise _gateway_says(401, "Unauthorized")
            return Caller(is_authenticated=True, scope="full", is_old=is_old)
        return Caller(is_old=is_old)


def _is_same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), known.encode())


def _too_late() -> web.Response:
    return _gateway_says(504, "Endpoint request timed out").response()


def _gateway_says(status: int, text: str) -> Refusal:
    return Refusal(status, json.dumps({"message": text}, separators=(",", ":")).encode())
