"""A JSOC that exports whatever a test wants, files included, and tells every lie; and exports made there."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import attrs
from aiohttp import web
from support.scripted import quick_config, serving
from support.scripted_jsoc import keyword, structure

from aurora_async.engine.client import ServiceClient
from aurora_async.jsoc.exports import Exports
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.servers import JsocServer
from aurora_async.jsoc.structures import Structures

Handler = Callable[[web.Request, dict[str, str]], Awaitable[web.StreamResponse | None]]

EMAIL = "somebody@example.com"
FOLDER = "/SUM7/D42/S00000"


def a_fits(data: bytes = b"") -> bytes:
    """A whole FITS file with these values."""
    cards = [b"SIMPLE  =                    T", b"BITPIX  =                    8", b"NAXIS   =                    1"]
    cards += [b"NAXIS1  = %20d" % len(data), b"END"]
    return b"".join(card.ljust(80) for card in cards).ljust(2880) + data + bytes(-len(data) % 2880)


FITS = a_fits(bytes(2880))


def a_query(record_set: str = "hmi.M_720s[2020.01.01_TAI][1]", **changes: Any) -> ExportQuery:
    """Any export that is queued."""
    return ExportQuery(record_set, **({"method": "url", "protocol": "fits"} | changes))


def a_tar(*members: tuple[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar archive of files, or of whatever a header says."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                header = tarfile.TarInfo(name)
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))
    return packed.getvalue()


def document(answer: dict[str, Any]) -> web.Response:
    """An answer as the service's."""
    return web.Response(body=json.dumps(answer).encode() + b"\n", content_type="application/json")


@dataclass
class ScriptedExports:
    """Exports `rows` (record and file name); `files` are bodies by path. `on` replaces the answers of a route."""

    takes_s: float = 0.0
    wait: Any = 0
    max_pending: int | None = None
    rows: list[tuple[str, str]] = field(default_factory=lambda: [("hmi.M_720s[2020.01.01_00:00:00_TAI][1]", "a.fits")])
    files: dict[str, bytes] = field(default_factory=lambda: {f"{FOLDER}/a.fits": FITS})
    finished: dict[str, Any] = field(default_factory=dict)
    """Members of a finished answer, beside the usual ones or instead of them."""
    base_url: str = ""
    exports: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    forms: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    scripts: dict[str, Handler] = field(default_factory=dict)

    def on(self, route: str, handler: Handler) -> None:
        """Answer `submit`, `status`, `manage` or `file` by `handler`; None from it is the usual answer."""
        self.scripts[route] = handler

    def count(self, route: str) -> int:
        """How often a route was asked."""
        return self.asked.count(route)

    @property
    def pending(self) -> list[str]:
        """Exports that are not finished."""
        now = time.monotonic()
        running = (one for one, (since, _) in self.exports.items() if now - since < self.takes_s)
        return [one for one in running if one not in self.given_up]

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        form = dict(request.query) | {name: str(value) for name, value in (await request.post()).items()}
        route = self._route(request.path, form)
        self.asked.append(route)
        if route in self.scripts and (answer := await self.scripts[route](request, form)) is not None:
            return answer
        answers = {"info": self.info, "submit": self.submit, "status": self.status, "manage": self.manage}
        if route in answers:
            return document(answers[route](form))
        body = self.files.get(request.path)
        return web.Response(body=body, headers={"ETag": '"1"'}) if body is not None else web.Response(status=404)

    @staticmethod
    def _route(path: str, form: dict[str, str]) -> str:
        cgi = path.rpartition("/")[2] if path.startswith("/cgi-bin") else ""
        routes = {"exp_request": "submit", "exp_status": "status"}
        return {"jsoc_info": "info", "manage-request.sh": "manage"}.get(cgi) or routes.get(form.get("op", ""), "file")

    def info(self, form: dict[str, str]) -> dict[str, Any]:
        """The structure of the one series."""
        return structure(keyword("DATE__OBS", "time", units="UTC"))

    def submit(self, form: dict[str, str]) -> dict[str, Any]:
        """Accept an export; the same one has the same identifier."""
        self.forms.append(form)
        if self.max_pending is not None and len(self.pending) >= self.max_pending:
            ids = ", ".join(self.pending)
            return {"status": 7, "error": f"User {EMAIL} has {len(self.pending)} pending export requests ({ids})"}
        if form["method"] == "url_quick":
            rows = [{"record": record, "filename": filename} for record, filename in self.rows]
            return {"status": 0, "requestid": "", "dir": "", "data": rows, "method": "url_quick", "protocol": "as-is"}
        for one, (_, other) in self.exports.items():
            if other == form:
                return self.queued(one)
        number = f"JSOC_20200101_{len(self.exports) + 1:03d}"
        self.exports[number] = (time.monotonic(), form)
        return self.queued(number)

    def queued(self, number: str) -> dict[str, Any]:
        """What is said of an accepted export."""
        return {
            "status": 2,
            "requestid": number,
            "method": "url",
            "protocol": "fits",
            "wait": self.wait,
            "rcount": 1,
            "size": 1,
        }

    def status(self, form: dict[str, str]) -> dict[str, Any]:
        """How far an export is; all numbers are texts when it is finished."""
        number = form["requestid"]
        header = {"requestid": number, "method": "url", "protocol": "fits"}
        if number not in self.exports:
            return {"status": 4, "error": f"invalid export DRMS record for ID `%s`{number}"}
        if number in self.given_up:
            return header | {"status": -1, "error": "killed"}
        if time.monotonic() - self.exports[number][0] < self.takes_s:
            return header | {"status": 1, "wait": self.wait, "rcount": 0, "size": 1}
        rows = [{"record": record, "filename": filename} for record, filename in self.rows]
        done = {"status": "0", "wait": "0", "count": str(len(rows)), "size": "1", "dir": FOLDER, "data": rows}
        return header | done | self.finished

    def manage(self, form: dict[str, str]) -> dict[str, Any]:
        """Tell what is pending, or give all of it up."""
        pending = self.pending
        if not pending:
            return {"status": "1", "msg": "nothing is pending"}
        if form["operation"] == "cancel":
            self.given_up.update(pending)
            return {"status": "3", "msg": f"cancelled {', '.join(pending)}"}
        return {"status": "2", "msg": f"pending: {', '.join(pending)}"}


@asynccontextmanager
async def serving_exports(**fields: Any) -> AsyncIterator[ScriptedExports]:
    """Run a scripted JSOC on a free loopback port."""
    async with serving(ScriptedExports(**fields)) as scripted:
        yield scripted


@asynccontextmanager
async def exports_at(base_url: str, *, email: str | None = EMAIL, **settings: Any) -> AsyncIterator[Exports]:
    """Make exports there, with short waits; to be opened in the test itself."""
    server = attrs.evolve(JsocServer.at(base_url), least_look_s=0.01)
    async with ServiceClient(quick_config(base_url, **settings)) as client:
        engine = client._open_engine
        yield Exports(engine, server, Structures(engine, server).get, email=email)


async def until(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)
