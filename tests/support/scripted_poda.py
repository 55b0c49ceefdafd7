"""A packet service of a test's own: packets by APID and time, a login, and an account of who asked for what."""

from __future__ import annotations

import asyncio
import base64
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web
from support.scripted import serving

LOGIN = base64.b64encode(b"demo:demo").decode()
_PATH = re.compile(r"/(SID\d)/apid_(\d+)\.(txt|bin)")
_QUERY = re.compile(
    r"(ert|time)%3E=(?P<start>[\dT:.-]{26})&\1%3C(?P<end>[\dT:.-]{26})"
    r"&project\((time\)&formatTime\(%22yyyy-MM-dd'T'HH:mm:ss%22|packet)\)"
)


def at(text: str) -> datetime:
    """A time, aware UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class ScriptedPoda:
    """Has `packets`: of each APID, what was sent when. Everything is received `delay` later."""

    packets: dict[int, dict[datetime, bytes]] = field(default_factory=dict)
    delay: timedelta = timedelta(hours=30)
    base_url: str = ""
    asked: list[str] = field(default_factory=list)
    """Paths and queries as they stood in the request."""
    headers: list[dict[str, str]] = field(default_factory=list)
    cuts: int = 0
    """How many answers with packets end in the middle from now on."""
    instead: list[Callable[[bytes], web.Response]] = field(default_factory=list)
    """What comes in place of the next answers with packets, made of them."""
    page: bool = False
    """Whether a page is all that comes: that of a login."""
    broken: set[int] = field(default_factory=set)
    """APIDs that are refused."""
    busiest: int = 0
    """Most requests at one moment."""
    waits_s: float = 0.0
    hangs_after: int | None = None
    """How many requests are answered; the others never are."""
    _busy: int = 0

    def add(self, apid: int, *times: str, size: int = 30, count: int = 1) -> None:
        """Add packets, each of which tells its time; `count` of them of each."""
        for time in times:
            data = time.encode().ljust(size, b".")
            packet = struct.pack(">HHH", 0x0800 | apid, 0xC000, len(data) - 1) + data
            self.packets.setdefault(apid, {})[at(time)] = packet * count

    def body(self, *packets: tuple[int, str]) -> bytes:
        """The packets of these APIDs and times, one after the other."""
        return b"".join(self.packets[apid][at(time)] for apid, time in packets)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.headers.append(dict(request.headers))
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            await asyncio.sleep(self.waits_s)
            if self.hangs_after is not None and len(self.asked) > self.hangs_after:
                await asyncio.Event().wait()
            return await self._answer(request)
        finally:
            self._busy -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Basic {LOGIN}":
            return web.Response(status=401, text="Unauthorized")
        path, _, query = request.raw_path.partition("?")
        file, bounds = _PATH.fullmatch(path), _QUERY.fullmatch(query)
        if file is None or bounds is None:
            return web.Response(status=400, text=f"cannot read {request.raw_path}")
        if self.page:
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        apid = int(file[2])
        if apid in self.broken:
            return web.Response(status=404, text="no such dataset")
        delay = self.delay if bounds[1] == "ert" else timedelta()
        start, end = at(bounds["start"]), at(bounds["end"])
        found = {
            time: packet for time, packet in sorted(self.packets.get(apid, {}).items()) if start <= time + delay < end
        }
        if file[3] == "txt":
            return web.Response(text="".join(f"{time:%Y-%m-%dT%H:%M:%S}\r\n" for time in found) + "\r\n")
        body = b"".join(found.values())
        if self.instead:
            return self.instead.pop(0)(body)
        return await self._packets(request, body)

    async def _packets(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Chunks without a length, as a service that searches while it answers has to."""
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        if self.cuts and body:
            self.cuts -= 1
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(body)
        await response.write_eof()
        return response


@asynccontextmanager
async def serving_poda() -> AsyncIterator[ScriptedPoda]:
    """Run one on a free port."""
    async with serving(ScriptedPoda()) as poda:
        yield poda
