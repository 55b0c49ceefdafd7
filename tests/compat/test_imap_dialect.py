"""How the two releases word what a service, or no service, answers."""

from __future__ import annotations

import pytest

from aurora_async.compat.imap_dialect import CURRENT, OLD, agent_of, url_of, worded
from aurora_async.errors import AuroraError, ConnectionRefused, Forbidden, InvalidInput, NotFound


def answered(kind: type[NotFound | Forbidden], status: int, body: bytes) -> AuroraError:
    """An error that was made of another, which alone has the answer's body."""
    first = kind("GET", "http://imap/query", status, detail="short")
    first.body = body
    made = kind("GET", "http://imap/query", status, detail="short")
    made.__cause__ = first
    return made


@pytest.mark.parametrize(
    ("error", "today", "then"),
    [
        (
            answered(NotFound, 404, b"no file"),
            "404 Not Found: no file",
            "HTTP Error: 404 - Not Found\nServer Message: no file",
        ),
        (answered(Forbidden, 403, b""), "403 Forbidden: short", "HTTP Error: 403 - Forbidden\nServer Message: short"),
        (answered(NotFound, 499, b"x"), "499 : x", "HTTP Error: 499 - \nServer Message: x"),
        (ConnectionRefused("GET", "http://imap/", "refused"), "GET http://imap/: refused", "URL Error: refused"),
        (InvalidInput("path", "is missing"), "path: is missing", "path: is missing"),
    ],
)
def test_each_release_has_its_words(error: AuroraError, today: str, then: str) -> None:
    """Scripts look for them; what the service said stands in both."""
    assert (worded(error, CURRENT), worded(error, OLD)) == (today, then)


def test_each_release_asks_its_server_by_its_name() -> None:
    """The old one looks like Python's urllib, by which a local service knows it."""
    assert url_of(CURRENT) == "https://api.imap-mission.com" and agent_of(CURRENT) is None
    assert url_of(OLD) == "https://api.dev.imap-mission.com"
    assert (agent_of(OLD) or "").startswith("Python-urllib/3.")
