"""What JSOC's programs behind addresses share: reading parameters, and JSON as the service writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

__all__ = ["as_json", "json_answer", "parameters", "text_answer"]


async def parameters(request: web.BaseRequest) -> dict[str, str]:
    """Return the parameters of a request, of its query string and of a form alike; the first of a name counts.

    A name may hold `=`: the service joins names and values and splits them at the first one, so that
    `process%3Dn=0|…` is a `process` with the value `n=0|…`.
    """
    given = list(request.query.items())
    if request.method == "POST":
        given += [(name, _form_text(value)) for name, value in (await request.post()).items()]
    found: dict[str, str] = {}
    for name, value in given:
        name, _, value = f"{name}={value}".partition("=")
        found.setdefault(name, value)
    return found


def _form_text(value: str | bytes | bytearray | web.FileField) -> str:
    if isinstance(value, str):
        return value
    data = value.file.read() if isinstance(value, web.FileField) else value
    return data.decode(errors="replace")


def as_json(document: Mapping[str, Any]) -> str:
    """Return a document as the service writes it: ASCII, with strokes escaped, and a new line at its end."""
    # Strokes occur within strings only, so that they can be escaped in the finished text.
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/") + "\n"


def json_answer(document: Mapping[str, Any]) -> web.Response:
    """Answer with a document, whatever its status says, as HTTP 200."""
    return text_answer(as_json(document), "application/json")


def text_answer(text: str, content_type: str = "text/plain") -> web.Response:
    """Answer with a text."""
    return web.Response(body=text.encode(), content_type=content_type)
