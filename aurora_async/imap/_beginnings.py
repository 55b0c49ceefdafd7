"""What files begin with: enough to tell a file from an answer that came in its place with status 200."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from aurora_async.errors import WrongContent
from aurora_async.http import shown_url

__all__ = ["refuse_other"]

_BINARY = frozenset({"bc", "bpc", "bsp", "cdf", "jpg", "pdf", "png", "xlsx", "zip"})
_FIRST_BYTES = 4096
_BOM = b"\xef\xbb\xbf"
# The store's errors; and what no binary file begins with.
_STORE_ERROR = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<Error>")
_MARKUP = re.compile(rb"\s*<(?:\?xml|!doctype|html|error)\b", re.IGNORECASE)
_OF_SERVICE = {"message", "Message", "error", "download_url"}


def refuse_other(url: str, target: Path, path: Path) -> None:
    """Refuse what came from `url` and is at `path` if it cannot be the file `target`. Blocks for a moment.

    It need not have the marks of its kind: what the store has is the file, though it be only a test.

    Raises:
        WrongContent: It is an error of the store or the service, or a document in the place of a binary file.
    """
    with path.open("rb") as file:
        first = file.read(_FIRST_BYTES).removeprefix(_BOM)
    is_binary = target.suffix.lower().removeprefix(".") in _BINARY
    if (_MARKUP if is_binary else _STORE_ERROR).match(first) or _is_answer(first, is_binary):
        shown = shown_url(first[:200].decode("utf-8", "replace"))  # it may hold a link
        raise WrongContent(url, target, f"another document came instead of it, {shown!r}; ask again")


def _is_answer(whole: bytes, is_binary: bool) -> bool:
    """True for a short JSON document: any in the place of a binary file, otherwise such as the service answers with."""
    if whole.lstrip()[:1] not in (b"{", b"[", b'"'):
        return False
    try:
        document = msgspec.json.decode(whole)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    is_of_service = isinstance(document, dict) and bool(document) and document.keys() <= _OF_SERVICE
    return is_binary or is_of_service
