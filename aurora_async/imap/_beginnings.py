"""What files begin with: enough to tell a file from an answer that came in its place with status 200."""

from __future__ import annotations

import re
from pathlib import Path

from aurora_async.errors import WrongContent
from aurora_async.http import shown_url

__all__ = ["refuse_other"]

_BINARY = frozenset({"bc", "bpc", "bsp", "cdf", "jpg", "pdf", "png", "xlsx", "zip"})
_FIRST_BYTES = 4096
# JSON, XML, HTML. Not whatever lacks the marks of its kind: what the store has is the file, though it be only a test.
_DOCUMENT = re.compile(rb'(?:\xef\xbb\xbf)?\s*[{\[<"]')
# The store's errors; those of the gateway; what the service says beside the redirect to a link.
_ANSWER = re.compile(
    rb"""
    \s* (?: <\?xml[^>]*\?> \s* )? <Error> |
    \s* \{ (?: \s* "(?:message|Message|error|download_url)" \s* : \s* "[^"]*" \s* ,? )+ \} \s* \Z
    """,
    re.VERBOSE,
)


def refuse_other(url: str, target: Path, path: Path) -> None:
    """Refuse what came from `url` and is at `path` if it cannot be the file `target`. Blocks for a moment.

    Raises:
        WrongContent: It is an error of the store or the service, or a document where no such file begins as one.
    """
    with path.open("rb") as file:
        first = file.read(_FIRST_BYTES)
    is_binary = target.suffix.lower().removeprefix(".") in _BINARY
    if (_DOCUMENT if is_binary else _ANSWER).match(first):
        shown = shown_url(first[:200].decode("utf-8", "replace"))  # it may hold a link
        raise WrongContent(url, target, f"another document came instead of it, {shown!r}; ask again")
