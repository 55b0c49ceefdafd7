"""A DRMS service whose every answer a test can script, and which remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from support.scripted import quick_config, serving

from aurora_async.jsoc.client import Jsoc

Answering = Callable[[dict[str, str]], Awaitable[web.StreamResponse]]


def keyword(name: str, type: str, **more: Any) -> dict[str, Any]:
    """A keyword in the structure of a series, as the service writes it."""
    row = {"name": name, "type": type, "recscope": "variable", "defval": "", "units": "none", "note": ""}
    return row | more


def structure(*keywords: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The structure of a series with prime keys T_REC and CAMERA."""
    document = {
        "note": "made for a test",
        "retention": 10000,
        "primekeys": ["T_REC", "CAMERA"],
        "primekeysinfo": [{"name": "T_REC", "slotted": 1, "step": "720.0"}, {"name": "CAMERA", "slotted": 0}],
        "dbindex": ["T_REC", "CAMERA"],
        "keywords": [keyword("T_REC", "time", units="TAI"), keyword("CAMERA", "int"), *keywords],
        "segments": [
            {"name": "magnetogram", "type": "int", "units": "Gauss", "protocol": "fits", "dims": "4x4", "note": ""}
        ],
        "links": [{"name": "MDATA", "target": "hmi.M_720s", "kind": "DYNAMIC", "note": ""}],
        "Interval": {
            "FirstRecord": "hmi.M_720s[2009.04.13_21:48:00_TAI][1]",
            "FirstRecnum": 361508,
            "LastRecord": "hmi.M_720s[2019.10.25_23:12:00_TAI][3]",
            "LastRecnum": 642236,
            "MaxRecnum": 642240,
        },
        "runtime": 0.037,
        "status": 0,
    }
    return document | changes


def record_list(recnums: list[int], **columns: list[Any]) -> dict[str, Any]:
    """The list of records that a query gets; those without any are as bare as the service's."""
    if not recnums:
        return {"count": 0, "runtime": 0.01, "status": 0}
    values: dict[str, list[Any]] = {"*recnum*": list(recnums), **columns}
    return {
        "keywords": [{"name": name, "values": column} for name, column in values.items()],
        "segments": [],
        "links": [],
        "count": len(recnums),
        "runtime": 0.037,
        "status": 0,
    }


@dataclass
class ScriptedJsoc:
    """Answers by operation, or by the name of the CGI, with JSON, raw bytes, or what a function makes."""

    answers: dict[str, Any] = field(default_factory=dict)
    base_url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def count(self, operation: str) -> int:
        """How often an operation was asked for."""
        return sum(one["op"] == operation for one in self.asked if "op" in one)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        form = dict(request.query) | {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        self.methods.append(request.method)
        answer = self.answers.get(form.get("op", ""), self.answers.get(request.path.rpartition("/")[2]))
        if callable(answer):
            made: web.StreamResponse = await answer(form)
            return made
        if isinstance(answer, web.Response):
            return answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def serving_jsoc(**answers: Any) -> AsyncIterator[ScriptedJsoc]:
    """Run a scripted service on a free loopback port; `answers` by operation, or by the name of the CGI."""
    async with serving(ScriptedJsoc(answers)) as scripted:
        yield scripted


@asynccontextmanager
async def jsoc_of(scripted: ScriptedJsoc, **arguments: Any) -> AsyncIterator[Jsoc]:
    """A client with short waits, to be opened in the test itself."""
    async with Jsoc(quick_config(scripted.base_url), **arguments) as client:
        yield client
