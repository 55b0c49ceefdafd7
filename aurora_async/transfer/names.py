"""Names of files from URLs: whatever a server says, a name is one part of a path and lies in the folder."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

__all__ = ["name_from", "safe_name"]

_LONGEST_BYTES = 200  # of the 255 that file systems take; part files and unique names add to it
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\ud800-\udfff]')


def name_from(url: str) -> str:
    """Return the name that a URL ends in; one that is no URL is refused by whoever opens it."""
    try:
        path = urlsplit(url).path
    except ValueError:  # a bracket without its other half, a host that is no name
        path = url
    return safe_name(unquote(path.rstrip("/")))


def safe_name(name: str, default: str = "download") -> str:
    """Return `name` as one part of a path that every system takes: without folders, controls and reserved words."""
    last = re.split(r"[/\\]", name)[-1]
    last = _UNSAFE.sub("_", last).strip().rstrip(". ")
    if last.startswith("."):
        last = f"_{last[1:]}"
    if not last.strip("_"):
        return default
    if _RESERVED.fullmatch(last):
        last = f"_{last}"
    return _shortened(last)


def _shortened(name: str) -> str:
    """Cut the stem, not the suffix."""
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 16:
        stem, dot, suffix = name, "", ""
    room = _LONGEST_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix
