"""What all local services share: finding the handler of a path, and JSON answers the official clients accept.

The content type is exactly `application/json`: with a charset PyAuroraX takes the body for an error text. There is no
framework between the socket and a handler; a status answer costs what aiohttp's own server costs (about 0.1 ms).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import aiofiles.threadpool
import attrs
import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter

from aurora_async._zlib import fast_zlib
from aurora_async.errors import InvalidInput

__all__ = [
    "CHANGE",
    "CHUNK_BYTES",
    "FATE",
    "HELD_S",
    "ApiError",
    "Change",
    "Fate",
    "Handler",
    "Made",
    "Routes",
    "Version",
    "answer",
    "answer_bytes",
    "answer_file",
    "answer_kept_file",
    "answer_made",
    "answer_open_file",
    "answer_stream",
    "byte_range",
    "error_answer",
    "flag",
    "open_file",
    "read_json",
]

logger = logging.getLogger(__name__)

JSON = "application/json"
GZIP_FROM_BYTES = 16 * 1024
"""Smaller bodies are not worth the time it takes to compress them, least of all on a loopback."""
CHUNK_BYTES = 256 * 1024
"""How much of a body is in memory at a time."""
_SHORTER = "the file became shorter while it was sent"
_GZIP_LEVEL = 2
_GZIP_WINDOW = 31  # zlib's way to say: with a gzip header

Handler = Callable[..., Awaitable[web.StreamResponse]]
"""Called with the request and the variable parts of its path, in order."""


@attrs.frozen(kw_only=True)
class Fate:
    """What a fault has in store for a search or an export that is being submitted."""

    never_ends: bool = False
    fails_with: str | None = None
    expires: bool = False
    """Its result is gone when it ends."""
    count_off: int = 0
    """How much its count of results is wrong."""


@attrs.frozen
class Change:
    """What a fault has done to a file before it is served: it is of another version, but for its validators `kept`."""

    version: int = 1
    kept: tuple[str, ...] = ()


FATE = web.RequestKey("fate", Fate)
CHANGE = web.RequestKey("change", Change)
HELD_S = web.RequestKey("held_s", float)
"""How long a fault has held up a request before its handler was called."""
UNCHANGED = Change()


class ApiError(Exception):
    """An error to be answered: status, AuroraX's error code, and what went wrong."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


ErrorAnswer = Callable[[int, str, str, Mapping[str, str] | None], web.Response]
"""Makes an answer of status, error code, message and further headers."""


class _Node:
    __slots__ = ("children", "handlers", "rest", "variable")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.variable: _Node | None = None
        self.rest: _Node | None = None
        self.handlers: dict[str, Handler] = {}


class Routes:
    """Which handler answers which method and path; there `{}` stands for any one part, `{…}` for all that follow.

    What goes wrong is answered with an error document, by default with AuroraX's.
    """

    def __init__(self, answer_error: ErrorAnswer | None = None) -> None:
        self._root = _Node()
        self._answer_error = answer_error or error_answer

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Let `handler` answer; a path may be given once for each method."""
        node = self._root
        for part in path.split("/")[1:]:
            if part == "{}":
                node.variable = node.variable or _Node()
                node = node.variable
            elif part == "{…}":
                node.rest = node.rest or _Node()
                node = node.rest
            else:
                node = node.children.setdefault(part, _Node())
        if method in node.handlers:
            raise ValueError(f"{method} {path} has a handler already")
        node.handlers[method] = handler

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, with an error document if need be."""
        try:
            return await self._dispatch(request)
        except ApiError as error:
            answer = self._answer_error(error.status, error.code, error.message, error.headers)
        except InvalidInput as error:
            answer = self._answer_error(400, "AssertionError", str(error), None)
        except web.HTTPRequestEntityTooLarge as error:
            answer = self._answer_error(413, "Other", error.text or "the body is too large", None)
        except ConnectionError:
            # Who asked has gone: nobody reads this answer, and a log full of departures helps nobody.
            logger.debug("%s %s: the client went away", request.method, request.path)
            answer = web.Response(status=499)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            message = "an error inside the local service; its log has the details"
            answer = self._answer_error(500, "ApplicationError", message, None)
        transport = request.transport
        if request.writer.output_size and transport is not None and not transport.is_closing():
            # An answer is under way, and a second one inside it might pass for the rest of its body.
            transport.abort()
        return answer

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        path = "/" + request.path.lstrip("/")  # a base URL with a slash at its end makes two of them
        node: _Node | None = self._root
        variables = []
        parts = path.split("/")[1:]
        for number, part in enumerate(parts):
            assert node is not None
            if (child := node.children.get(part)) is not None:
                node = child
            elif node.variable is not None and part:
                node = node.variable
                variables.append(part)
            elif node.rest is not None and part:
                node = node.rest
                variables.append("/".join(parts[number:]))
                break
            else:
                node = None
                break
        if node is None or not node.handlers:
            raise ApiError(404, "NotFound", f"there is nothing under {path}")
        method = "GET" if request.method == "HEAD" and "HEAD" not in node.handlers else request.method
        handler = node.handlers.get(method)
        if handler is None:
            allowed = ", ".join(sorted(node.handlers))
            raise ApiError(405, "Other", f"{request.method} is not allowed here, only {allowed}", {"Allow": allowed})
        return await handler(request, *variables)


# Reading ------------------------------------------------------------------------------------------------------------


async def read_json(request: web.BaseRequest) -> Any:
    """Return the request's body; `ApiError` 400 when it is not JSON."""
    body = await request.read()
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "AssertionError", f"the body is not JSON: {error}") from None


def flag(request: web.BaseRequest, name: str, default: bool | None = False) -> bool | None:
    """Return a boolean of the query string: `true` as IDL writes it, `True` as Python does."""
    text = request.query.get(name)
    if text is None or text == "":
        return default
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise ApiError(400, "AssertionError", f"{name}: {text!r} is neither true nor false")


# Answering ----------------------------------------------------------------------------------------------------------


def answer_bytes(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON that is encoded already."""
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)


def error_answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with an error document."""
    body = msgspec.json.encode({"error_code": code, "error_message": message})
    return answer_bytes(body, status, headers)


async def answer(request: web.BaseRequest, document: Any) -> web.StreamResponse:
    """Answer with a document, compressed if it is large and the client can take that."""
    body = msgspec.json.encode(document)
    if len(body) < GZIP_FROM_BYTES or not accepts_gzip(request):
        return answer_bytes(body)
    body = await asyncio.to_thread(fast_zlib.compress, body, _GZIP_LEVEL, _GZIP_WINDOW)
    return answer_bytes(body, headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})


def accepts_gzip(request: web.BaseRequest) -> bool:
    """True when the client asked for gzip; a range is always one of the plain body."""
    if "Range" in request.headers:
        return False
    for choice in request.headers.get("Accept-Encoding", "").split(","):
        name, _, weight = choice.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def answer_file(request: web.BaseRequest, path: Path, content_type: str = JSON) -> web.StreamResponse:
    """Answer with a file: plain, with length, validators and one range if asked for; JSON also compressed on the way.

    aiohttp's own file answer takes only dates in If-Range: with an ETag it would send a range of another version.

    Raises:
        FileNotFoundError: It is not there.
    """
    with open_file(path) as file:
        return await answer_kept_file(request, file, content_type)


async def answer_kept_file(request: web.BaseRequest, file: BinaryIO, content_type: str = JSON) -> web.StreamResponse:
    """Answer with a file that is open already, borrowed; otherwise as `answer_file`."""
    stat = os.fstat(file.fileno())
    version = Version(f"{stat.st_mtime_ns:x}-{stat.st_size:x}", int(stat.st_mtime))
    version = version.after(request.get(CHANGE, UNCHANGED))
    if (
        content_type == JSON
        and stat.st_size >= GZIP_FROM_BYTES
        and accepts_gzip(request)
        and not version.is_known_to(request)
    ):
        return await answer_stream(request, _pieces(file, stat.st_size))
    headers = {"Content-Type": content_type, "Vary": "Accept-Encoding"}
    return await answer_open_file(request, file, stat.st_size, version, headers)


async def answer_open_file(
    request: web.BaseRequest, file: BinaryIO, size: int, version: Version, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Answer with a file as it is, or a part of it: with length, validators and one range if asked for."""
    if version.is_known_to(request):
        return version.mark(web.Response(status=304))
    status, begin, end = 200, 0, size
    if "Range" in request.headers and version.may_be_continued(request):
        status, begin, end = byte_range(request, size)
    headers = {**headers, "Accept-Ranges": "bytes"}
    if status == 206:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    if end - begin <= CHUNK_BYTES:
        # A read this size, from the page cache most likely, is quicker than a hop to a thread.
        file.seek(begin)
        return version.mark(web.Response(body=file.read(end - begin), status=status, headers=headers))
    response = version.mark(web.StreamResponse(status=status, headers=headers))
    response.content_length = end - begin
    writer = await response.prepare(request)
    if request.method != "HEAD" and await _send(writer, file, begin, end - begin) < end - begin:
        raise OSError(_SHORTER)
    await response.write_eof()
    return response


async def _send(writer: AbstractStreamWriter | None, file: BinaryIO, begin: int, count: int) -> int:
    """Send a part of a file; return how much of it there was."""
    assert writer is not None
    # The system sends it without our seeing it; a writer that makes something go wrong wants to see it.
    if type(writer) is StreamWriter:
        if writer.transport is None or writer.transport.is_closing():
            raise ConnectionResetError("the client went away")
        with suppress(NotImplementedError):  # uvloop's
            return await asyncio.get_running_loop().sendfile(writer.transport, file, begin, count)
    file.seek(begin)
    reader = aiofiles.threadpool.wrap(file)
    sent = 0
    while sent < count and (chunk := await reader.read(min(CHUNK_BYTES, count - sent))):
        await writer.write(chunk)
        sent += len(chunk)
    return sent


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    for piece in iter(partial(file.read, CHUNK_BYTES), b""):
        size -= len(piece)
        yield piece
    if size > 0:
        raise OSError(_SHORTER)


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, here: that takes microseconds, and a hop to a thread many of them."""
    return path.open("rb")


class Version:
    """What identifies the bytes of a file: an ETag and a time of change (seconds since 1970)."""

    def __init__(self, etag: str, changed_s: int) -> None:
        self._etag = etag
        self._changed_s = changed_s

    def after(self, change: Change, *, etag: str | None = None) -> Version:
        """Return the version that there is after a change; with `etag` if that is known."""
        if change.version == 1:
            return self
        kept = [name.lower() for name in change.kept]
        return Version(
            self._etag if "etag" in kept else etag or f"{self._etag}-{change.version}",
            # Dates are of whole seconds, and none lies ahead.
            self._changed_s if "last-modified" in kept else self._changed_s - change.version,
        )

    def is_wanted_by(self, request: web.BaseRequest) -> bool:
        """True unless the client wants another version, or none so new."""
        if (wanted := request.if_match) is not None:
            return any(etag.value in (self._etag, "*") for etag in wanted)
        until = request.if_unmodified_since
        return until is None or self._changed_s <= until.timestamp()

    def is_known_to(self, request: web.BaseRequest) -> bool:
        """True when the client said that it has this version already."""
        if (known := request.if_none_match) is not None:
            return any(etag.value in (self._etag, "*") for etag in known)
        since = request.if_modified_since
        return since is not None and self._changed_s <= since.timestamp()

    def may_be_continued(self, request: web.BaseRequest) -> bool:
        """True unless the client has a part of another version."""
        condition = request.headers.get("If-Range")
        if condition is None:
            return True
        if condition.startswith(('"', "W/")):
            return condition == f'"{self._etag}"'
        since = request.if_range
        return since is not None and self._changed_s == since.timestamp()

    def mark(self, response: Answer) -> Answer:
        """Put the validators on an answer."""
        response.etag = self._etag
        response.last_modified = self._changed_s
        return response


Answer = TypeVar("Answer", bound=web.StreamResponse)


def byte_range(request: web.BaseRequest, size: int) -> tuple[int, int, int]:
    """Return status, first byte and the one after the last; several ranges, or none we know, get the whole."""
    match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", request.headers["Range"].replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return 200, 0, size
    if match[1] and match[2] and int(match[2]) < int(match[1]):
        return 200, 0, size
    if match[1]:
        begin, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    else:
        begin, end = max(0, size - int(match[2])), size
    if begin >= end:
        message = f"{request.headers['Range']} is outside of {size} bytes"
        raise ApiError(416, "Other", message, {"Content-Range": f"bytes */{size}"})
    return 206, begin, end


@attrs.frozen
class Made:
    """A file that exists while it is asked for: how long it is, and what is in it from one byte to another."""

    size: int
    part: Callable[[int, int], bytes]
    headers: Mapping[str, str]


async def answer_made(request: web.BaseRequest, made: Made, version: Version) -> web.StreamResponse:
    """Answer with such a file, or a part of it: with length, validators and one range if asked for."""
    if version.is_known_to(request):
        return version.mark(web.Response(status=304))
    status, begin, end = 200, 0, made.size
    if request.method == "GET" and "Range" in request.headers and version.may_be_continued(request):
        status, begin, end = byte_range(request, made.size)
    headers = {**made.headers, "Accept-Ranges": "bytes"}
    if status == 206:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{made.size}"
    response = version.mark(web.StreamResponse(status=status, headers=headers))
    response.content_length = end - begin
    await response.prepare(request)
    if request.method != "HEAD":
        for at in range(begin, end, CHUNK_BYTES):
            await response.write(made.part(at, min(at + CHUNK_BYTES, end)))
    await response.write_eof()
    return response


async def answer_stream(request: web.BaseRequest, chunks: Iterator[bytes]) -> web.StreamResponse:
    """Answer with JSON that comes in chunks, each made (and compressed) in a thread; one at a time is in memory."""
    packer = fast_zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW) if accepts_gzip(request) else None
    headers = {"Content-Type": JSON, "Vary": "Accept-Encoding"}
    if packer is not None:
        headers["Content-Encoding"] = "gzip"

    def next_chunk() -> bytes | None:
        for chunk in chunks:
            packed = chunk if packer is None else packer.compress(chunk)
            if packed:
                return packed
        return None

    # Before the status line goes out: what fails at once can still be answered as an error.
    chunk = await asyncio.to_thread(next_chunk)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    while chunk is not None:
        await response.write(chunk)
        chunk = await asyncio.to_thread(next_chunk)
    if packer is not None:
        await response.write(packer.flush())
    await response.write_eof()
    return response
