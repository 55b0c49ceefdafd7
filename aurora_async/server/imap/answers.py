"""What the data center's handlers share: who asks, the parameters of a request, and answers in the real one's forms.

A handler is called with the request, the caller and the variable parts of its path. It raises `refusal(…)` for what it
does not answer, and `crash()` where the real handlers stumble: there the gateway says no more than that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import attrs
import msgspec
from aiohttp import web

from aurora_async.server.site import JSON

__all__ = [
    "Caller",
    "ImapHandler",
    "Refusal",
    "crash",
    "day_of",
    "json_answer",
    "moment_text",
    "parameters",
    "refusal",
    "text_answer",
]

ImapHandler = Callable[..., Awaitable[web.StreamResponse]]
"""Called with the request, the caller, and the variable parts of the path, in order."""

_OLD_AGENT = "Python-urllib/"


@attrs.frozen(kw_only=True)
class Caller:
    """Who asks, as the gateway has found out."""

    is_authenticated: bool = False
    """Whether everything is seen, not only what is released."""
    scope: str | None = None
    """What the API key is for; None without one."""
    is_old: bool = False
    """Whether it is a client of January 2024, which is answered from the archive of that time."""

    @staticmethod
    def is_old_agent(agent: str) -> bool:
        """True for the first releases of the official client, which named no more than Python's own library."""
        return agent.startswith(_OLD_AGENT)


class Refusal(Exception):
    """What a handler answers instead of what was asked for."""

    def __init__(self, status: int, body: bytes, content_type: str = JSON) -> None:
        super().__init__(status, body, content_type)
        self.status = status
        self.body = body
        self.content_type = content_type

    def response(self) -> web.Response:
        """Return it as an answer."""
        return web.Response(status=self.status, body=self.body, content_type=self.content_type)


def refusal(status: int, document: Any) -> Refusal:
    """Return a refusal whose body is JSON, most often a mere string."""
    return Refusal(status, json.dumps(document).encode())


def crash() -> Refusal:
    """Return what the gateway says of a handler that has crashed."""
    return Refusal(500, b'{"message":"Internal Server Error"}')


def parameters(request: web.BaseRequest) -> dict[str, str]:
    """Return the parameters of a request; several values of one are joined, as the real gateway does."""
    return {name: ",".join(request.query.getall(name)) for name in request.query}


def day_of(text: str) -> date:
    """Return the date that a parameter means; the real handlers do not survive one that is none."""
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # as lenient as there: 202111 is the first of January
    except ValueError:
        raise crash() from None


def moment_text(seconds: int) -> str:
    """Write an instant (seconds since 1970) as all catalogues but `/query` do."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d, %H:%M:%S")


def json_answer(document: Any, status: int = 200) -> web.Response:
    """Answer with a document."""
    return web.Response(status=status, body=msgspec.json.encode(document), content_type=JSON)


def text_answer(text: str, status: int = 200) -> web.Response:
    """Answer with a text."""
    return web.Response(status=status, body=text.encode(), content_type="text/plain")
