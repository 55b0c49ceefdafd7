"""The packet service, webpoda, as far as its clients use it: the times of packets, and the packets, by two conditions.

It is not behind the data center's gateway, and has logins of its own.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote

from aiohttp import web

from aurora_async.server.imap.moments import CLOCK_ZERO
from aurora_async.server.imap.packets import DELAY_S, known_apids, packets, times
from aurora_async.server.site import CHUNK_BYTES, Routes

__all__ = ["WebpodaRoutes"]

_SYSTEMS = ("SID1", "SID2", "SID3")
_FILE = re.compile(r"apid_(\d{1,4})\.(txt|bin)")
_BOUND = re.compile(r"(ert|time)(>=|<)([-0-9T:.]+)")
_PROJECTS = {"txt": "project(time)", "bin": "project(packet)"}
_FORMAT = "formatTime(\"yyyy-MM-dd'T'HH:mm:ss\")"


class WebpodaRoutes:
    """Answers `…/apids/<system>/apid_<number>.<txt or bin>`."""

    def __init__(self, logins: tuple[str, ...]) -> None:
        self._tokens = [base64.b64encode(login.encode()).decode() for login in logins]

    def add_to(self, routes: Routes) -> None:
        """Answer below `/imap/poda`."""
        routes.add("GET", "/imap/poda/dap2/apids/{}/{}", self._answer)

    async def _answer(self, request: web.BaseRequest, system: str, name: str) -> web.StreamResponse:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode(errors="surrogateescape")
        if kind.lower() != "basic" or not any(hmac.compare_digest(given, one.encode()) for one in self._tokens):
            return _text(401, "Unauthorized", {"WWW-Authenticate": 'Basic realm="webpoda"'})
        file = _FILE.fullmatch(name)
        if system not in _SYSTEMS or file is None or int(file[1]) not in known_apids():
            return _text(404, f"There is no dataset {system}/{name}")
        apid, suffix = int(file[1]), file[2]
        try:
            start_s, end_s = _span(request.rel_url.raw_query_string, suffix)
        except ValueError as error:
            return _text(400, f"Invalid constraint: {error}")
        if suffix == "bin":
            return await _stream(request, packets(apid, start_s, end_s), "application/octet-stream")
        moments = (datetime.fromtimestamp(made_s, UTC) for made_s in times(apid, start_s, end_s))
        return await _stream(request, (f"{one:%Y-%m-%dT%H:%M:%S}\r\n".encode() for one in moments), "text/plain")


def _span(query: str, suffix: str) -> tuple[float, float]:
    """Return the spacecraft times that a query means (seconds since 1970); what is missing bounds nothing."""
    start_s, end_s = CLOCK_ZERO.timestamp(), time.time()
    for part in unquote(query).split("&"):
        bound = _BOUND.fullmatch(part)
        if bound is None:
            if part not in ("", _PROJECTS[suffix], _FORMAT):
                raise ValueError(part)
            continue
        moment = datetime.fromisoformat(bound[3])
        made_s = moment.replace(tzinfo=UTC).timestamp() - (DELAY_S if bound[1] == "ert" else 0)
        if bound[2] == "<":
            end_s = made_s
        else:
            start_s = made_s
    return start_s, end_s


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, headers=headers, content_type="text/plain")


async def _stream(request: web.BaseRequest, made: Iterator[bytes], content_type: str) -> web.StreamResponse:
    """Answer with packets or times one after another, as many at a time as a chunk holds."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    if request.method != "HEAD":
        gathered = bytearray()
        for part in made:
            gathered += part
            if len(gathered) >= CHUNK_BYTES:
                await response.write(bytes(gathered))
                gathered.clear()
        if gathered:
            await response.write(bytes(gathered))
    await response.write_eof()
    return response
