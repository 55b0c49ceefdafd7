"""What only the IMAP SDC can raise.

    AuroraError
    ├── InvalidInput
    │   └── InvalidQuery
    │       └── QueryRefused        400: the service's own wording
    └── HttpError
        ├── BadRequest
        │   └── CoverageGaps        no kernels for a part of the time range
        ├── Unauthorized
        │   └── NotIdentified       no key or token, or one that does not count
        ├── Forbidden
        │   ├── NotAllowed          the key or token is unknown, or does not allow this
        │   ├── NotReleased         the file is there, and not public yet
        │   └── LinkExpired         a link to a file that was given is over
        ├── NotFound
        │   ├── NoSuchFile
        │   └── NotOffered          this server, or this prefix of it, has no such operation
        └── Conflict
            └── AlreadyExists       files are never replaced

Each says what was asked, what came back, and what to do next. Files are named by their `key`, the path that the service
has them under.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from aurora_async.errors import BadRequest, Conflict, Forbidden, HttpError, InvalidQuery, NotFound, Unauthorized
from aurora_async.times import TimeRange, to_wire

__all__ = [
    "API_KEY",
    "CREDENTIALS",
    "AlreadyExists",
    "CoverageGaps",
    "LinkExpired",
    "NoSuchFile",
    "NotAllowed",
    "NotIdentified",
    "NotOffered",
    "NotReleased",
    "QueryRefused",
]

API_KEY = "an API key (api_key=, --api-key or IMAP_API_KEY)"
CREDENTIALS = f"{API_KEY} or a token (access_token= or IMAP_ACCESS_TOKEN)"
"""How to be somebody that the service knows."""


class QueryRefused(InvalidQuery):
    """The service could not use a query; `reason` is its own wording, `url` what it was asked."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__("query", reason)
        self.args = (url, reason)
        self.url = url

    def __str__(self) -> str:
        return f"the service refuses the query {self.url}: {self.reason}"


class NotIdentified(Unauthorized):
    """401: the service wants a key or a token here, or does not accept the one it got."""

    hint = f"give {CREDENTIALS} that is valid for this server"


class NotAllowed(Forbidden):
    """403: the key or token is unknown to the service, or does not allow this."""

    hint = "the key or token is unknown to this server, or does not allow this; ask the SDC for one that does"


class NotOffered(NotFound):
    """404: this server has no such operation, or not without a key."""

    hint = f"the server may lack this operation, or offer it only to those with {CREDENTIALS}"


class _OfFile(HttpError):
    """An answer about the file `key`."""

    def __init__(
        self,
        method: str,
        url: str,
        status: int,
        code: str | None = None,
        detail: str = "",
        retry_after_s: float | None = None,
        key: str = "",
    ) -> None:
        super().__init__(method, url, status, code, detail, retry_after_s)
        self.args = (*self.args, key)
        self.key = key

    @classmethod
    def of(cls, error: HttpError, key: str) -> Self:
        """Return what `error` means for the file `key`."""
        return error.become(cls, key)


class NotReleased(_OfFile, Forbidden):
    """The file `key` is there and not public yet."""

    hint = f"files that are not released want {CREDENTIALS}"


class LinkExpired(_OfFile, Forbidden):
    """The link that the service gave for the file `key` is over, and so were those it gave then."""

    hint = "links live for a day; check this machine's clock, or ask again"


class NoSuchFile(_OfFile, NotFound):
    """The service has no file `key`."""

    hint = "query() tells which files there are; names are case-sensitive, and old versions may be gone"


class AlreadyExists(_OfFile, Conflict):
    """The service has a file `key` already, and never replaces one."""

    hint = "give the file the next version; exists='skip' passes over those that are there"


class CoverageGaps(BadRequest):
    """For a part of the time range there are no kernels; `gaps` are those parts, by category of kernels."""

    hint = "shorten the range, or do not require coverage"

    def __init__(self, method: str, url: str, status: int, gaps: Mapping[str, tuple[TimeRange, ...]]) -> None:
        parts = (
            f"{category} {', '.join(f'{to_wire(gap.start)} to {to_wire(gap.end)}' for gap in found)}"
            for category, found in gaps.items()
            if found
        )
        super().__init__(method, url, status, None, f"no kernels for {'; '.join(parts)}")
        self.args = (method, url, status, gaps)
        self.gaps = gaps
