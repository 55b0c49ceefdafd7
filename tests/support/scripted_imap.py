"""An archive of a test's own: the service, and the store that its links lead to, at another origin or at its own.

It keeps an account of every request, headers and body bytes included, and `on` scripts any of its answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from support.scripted import serving

from aurora_async.config import Retries, Timeouts
from aurora_async.imap.config import ImapConfig

Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

DATE = "Mon, 06 Apr 2026 12:00:00 GMT"
KEY = "imap-test-key"
SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=86400&X-Amz-Signature="
ENCRYPTION = {"x-amz-server-side-encryption": "AES256"}
"""With which an ETag is an MD5."""
LINK_OVER = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
EXISTS = "Rename it or remove the existing file before uploading again."
PREFIXES = ("/api-key", "/authorized")
CREDENTIALS = ("x-api-key", "Authorization", "webpoda")


def mag_key(day: int = 1, version: str = "v001.0001", descriptor: str = "norm-dsrf") -> str:
    """The key of a science file; `day` counts from 1 January 2026."""
    month, day = divmod(day - 1, 28)
    date = f"2026{month + 1:02}{day + 1:02}"
    return f"imap/mag/l2/2026/{month + 1:02}/imap_mag_l2_{descriptor}_{date}_{version}.cdf"


@dataclass
class Seen:
    """One request: where it came, and how many bytes of an object it was sent, or sent."""

    origin: str
    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0

    @property
    def credentials(self) -> set[str]:
        """The headers of it that are somebody's secret."""
        return {name for name in CREDENTIALS if name.lower() in {one.lower() for one in self.headers}}


@dataclass
class ScriptedImap:
    """Has `objects` by key, of which some are `released`; `rows` are what a query finds."""

    objects: dict[str, bytes] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    rows: list[dict[str, Any]] = field(default_factory=list)
    same_origin: bool = False
    """Whether links lead to the service itself."""
    md5_etags: bool = True
    base_url: str = ""
    store_url: str = ""
    seen: list[Seen] = field(default_factory=list)
    links: int = 0
    over: set[str] = field(default_factory=set)
    """Numbers of links that are refused from now on."""
    cut_at: Callable[[int], int | None] = lambda number: None
    """After how many bytes the answer of the store to its so many-th request is cut."""
    scripts: dict[str, Handler] = field(default_factory=dict)

    def on(self, route: str, handler: Handler) -> None:
        """Answer `download`, `upload`, `query`, `release`, `get` or `put` by `handler`; None is the usual answer."""
        self.scripts[route] = handler

    def requests(self, route: str) -> list[Seen]:
        """Those of one route: a word of the path, or `get` and `put` of the store."""
        if route in ("get", "put"):
            return [one for one in self.seen if one.path.startswith("/bucket/") and one.method == route.upper()]
        return [one for one in self.seen if re.match(rf"(/[a-z-]+)?/{route}(/|\?|$)", one.path)]

    @property
    def sent(self) -> int:
        """All bytes of objects that were sent."""
        return sum(one.sent for one in self.requests("get"))

    def add(self, keys: Iterable[str], size: int = 1000, *, listed: bool = True) -> None:
        """Add files, released and in the catalogue."""
        for key in keys:
            self.objects[key] = body_of(key, size)
            self.released.add(key)
            if listed:
                self.list(key)

    def list(self, key: str, ingestion_date: str = "20240406 12:00:00", **changes: Any) -> None:
        """Put a file's row into the catalogue."""
        match = re.fullmatch(r"imap_(.+?)_(.+?)_(.+?)_(\d{8})_v(\d+)\.(\d+)\.cdf", key.rpartition("/")[2])
        assert match is not None
        row = {
            "file_path": key,
            "instrument": match[1],
            "data_level": match[2],
            "descriptor": match[3],
            "start_date": match[4],
            "repointing": None,
            "major_version": int(match[5]),
            "minor_version": int(match[6]),
            "ingestion_date": ingestion_date,
            "cr": None,
            "crid": None,
            "released": key in self.released,
            "extension": "cdf",
            "version": f"v{match[5]}.{match[6]}",
        }
        self.rows = [one for one in self.rows if one["file_path"] != key] + [row | changes]

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        origin = "store" if request.host == self.store_url.removeprefix("http://") else "service"
        if self.same_origin and request.path.startswith("/bucket/"):
            origin = "store"
        self.seen.append(Seen(origin, request.method, request.path_qs, dict(request.headers)))
        path = request.path
        if path.startswith("/bucket/"):
            return await self._stored(request, self.seen[-1])
        prefix = next((one for one in PREFIXES if path.startswith(f"{one}/")), "")
        if prefix == "/api-key" and request.headers.get("x-api-key") != KEY:
            return web.json_response({"message": "Forbidden"}, status=403)
        route, _, rest = path.removeprefix(prefix).removeprefix("/").partition("/")
        if route in self.scripts and (answer := await self.scripts[route](request)) is not None:
            return answer
        match route:
            case "download":
                return self._download(rest, known=bool(prefix))
            case "upload":
                return self._upload(rest)
            case "query":
                return web.json_response(self._found(dict(request.query), known=bool(prefix)))
            case "release":
                return web.json_response("Successfully released data per specification in manifest.txt")
        return web.json_response({"message": "Not Found"}, status=404)

    def _link(self, key: str) -> str:
        self.links += 1
        return f"{self.base_url if self.same_origin else self.store_url}/bucket/{key}?{SIGNED}{self.links}"

    def _download(self, key: str, *, known: bool) -> web.Response:
        if key not in self.objects:
            text = "File not found, make sure you include the full path to the file in the request"
            return web.Response(status=404, text=text, content_type="text/html")
        if not known and key not in self.released:
            text = f"The file {key} is not a part of a public release yet."
            return web.Response(status=403, text=text, content_type="text/html")
        link = self._link(key)
        return web.json_response({"download_url": link}, status=302, headers={"Location": link})

    def _upload(self, name: str) -> web.Response:
        name = name.rpartition("/")[2]
        if (known := next((key for key in self.objects if key.endswith(f"/{name}")), None)) is not None:
            document = {"error": "FileAlreadyExists", "message": f"The file '{known}' already exists. {EXISTS}"}
            return web.json_response(document, status=409)
        return web.json_response(self._link(f"uploads/{name}"))

    def _found(self, query: dict[str, str], *, known: bool) -> list[dict[str, Any]]:
        since = query.get("ingestion_start_date", "")
        rows = [row for row in self.rows if row["ingestion_date"][:8] >= since and (known or row["released"])]
        rows.sort(key=lambda row: row["file_path"])
        first = int(query.get("offset", 0))
        return rows[first : first + int(query.get("limit", len(rows)))]

    async def _stored(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        route = request.method.lower()
        if route in self.scripts and (answer := await self.scripts[route](request)) is not None:
            return answer
        if request.query.get("X-Amz-Signature") in self.over:
            return web.Response(status=403, text=LINK_OVER, content_type="application/xml")
        if seen.credentials:
            return web.Response(status=400, text="<Error><Code>InvalidArgument</Code></Error>")
        key = request.path.removeprefix("/bucket/")
        if request.method == "PUT":
            data = b"".join([piece async for piece in request.content.iter_any()])  # `read` has a limit
            seen.sent = len(data)
            self.objects[key.replace("uploads/", "imap/")] = data
            return web.Response(headers={"ETag": self.etag(data), **ENCRYPTION})
        return await self._get(request, seen, self.objects[key])

    def etag(self, data: bytes) -> str:
        """That of an object: its MD5, unless it came in several parts."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return f'"{digest}"' if self.md5_etags else f'"{digest}-2"'

    async def _get(self, request: web.Request, seen: Seen, data: bytes) -> web.StreamResponse:
        etag = self.etag(data)
        headers = {"ETag": etag, "Last-Modified": DATE, "Accept-Ranges": "bytes", **ENCRYPTION}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        first, last, status = 0, len(data) - 1, 200
        if asked is not None and request.headers.get("If-Range") in (None, etag, DATE):
            first, last, status = int(asked[1]), min(int(asked[2] or last), last), 206
            if first > last:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = last + 1 - first
        response.content_type = "binary/octet-stream"
        await response.prepare(request)
        cut = self.cut_at(len(self.requests("get")) - 1)
        body = data[first : last + 1][:cut]
        await response.write(body)
        seen.sent = len(body)
        if cut is not None:
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write_eof()
        return response


def body_of(key: str, size: int = 1000) -> bytes:
    """Bytes that belong to a key, and begin as a CDF does."""
    block = hashlib.sha256(key.encode()).digest()
    return (b"\xcd\xf3\0\1" + block * (size // len(block) + 1))[:size]


@dataclass
class Crowd:
    """Holds requests until as many as expected are there at one moment, and some time more for those that should not.

    With fewer it holds them for ever, which ends in the client's timeout. `on(route, crowd)` makes it a handler.
    """

    expected: int
    most: int = 0
    _now: int = 0
    _is_met: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: web.Request) -> None:
        """Wait for the others."""
        self._now += 1
        self.most = max(self.most, self._now)
        if self._now >= self.expected and not self._is_met.is_set():
            await asyncio.sleep(0.05)
            self._is_met.set()
        await self._is_met.wait()
        self._now -= 1


@dataclass
class _Store:
    """The second origin, which tells everything to the first."""

    archive: ScriptedImap
    base_url: str = ""

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        return await self.archive._dispatch(request)


@asynccontextmanager
async def serving_imap(archive: ScriptedImap | None = None) -> AsyncIterator[ScriptedImap]:
    """Run an archive on two free ports."""
    archive = archive or ScriptedImap()
    async with serving(archive), serving(_Store(archive)) as store:
        archive.store_url = store.base_url
        yield archive


def imap_config(base_url: str, data_dir: Path, **changes: Any) -> ImapConfig:
    """Short waits, so that no test waits for what it does not test."""
    settings: dict[str, Any] = {
        "retries": Retries(attempts=3, first_s=0.01, ceiling_s=0.05),
        "timeouts": Timeouts(connect_s=2, read_s=2, cancel_s=2),
    }
    return ImapConfig(base_url=base_url, data_dir=data_dir, trust_environment=False, **(settings | changes))
