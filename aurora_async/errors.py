"""Every error the package raises.

    AuroraError
    ├── InvalidInput (ValueError)     refused before anything was sent
    │   └── InvalidQuery              a query field; also what a service refuses with 400
    ├── MissingExtra (ImportError)    an optional part of the package is needed and not installed
    ├── HttpError                     a service answered, and the answer is an error
    │   ├── BadRequest                400, 422
    │   ├── Unauthorized              401
    │   ├── Forbidden                 403
    │   ├── NotFound                  404
    │   ├── Conflict                  409
    │   ├── TooManyRequests           429
    │   └── ServerError               5xx
    │       └── Unavailable           503
    │           └── MaintenanceMode   503 whose text says so
    ├── TransportError                no usable answer came
    │   ├── ConnectionFailed          never connected
    │   │   ├── NameNotResolved
    │   │   ├── ConnectionRefused
    │   │   ├── TlsFailed
    │   │   └── ConnectTimeout (TimeoutError)
    │   ├── ConnectionLost            cut in the middle
    │   └── ReadTimeout (TimeoutError)
    ├── ClientClosed (RuntimeError)   used outside its `async with` block
    ├── RunCancelled (RuntimeError)   a run was left in the middle and has no further outcomes
    ├── AtCapacity                    a service takes no more of one user's requests for now
    ├── MalformedAnswer               an answer that is not what the protocol promises
    │   └── ResultMissing             a whole document without records, usually an error document
    ├── DeadlineExceeded (TimeoutError)
    ├── RequestError                  about one accepted request
    │   ├── RequestFailed
    │   ├── RequestCancelled
    │   └── ResultExpired
    └── TransferError                 a body that could not be saved whole
        ├── IncompleteBody
        ├── WrongContent
        ├── TransferStalled
        └── TargetNotWritable
            ├── TargetExists
            └── DiskFull

A service adds what only it can raise: `aurorax.NoSuchSource`, `aurorax.UploadFailed`; those of JSOC are drawn in
`jsoc.errors`.

Each fact in a message is also an attribute. Only `http` and the `wire` modules turn foreign errors into these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, TypeVar

__all__ = [
    "AtCapacity",
    "AuroraError",
    "BadRequest",
    "ClientClosed",
    "Conflict",
    "ConnectTimeout",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectionRefused",
    "DeadlineExceeded",
    "DiskFull",
    "Forbidden",
    "HttpError",
    "IncompleteBody",
    "InvalidInput",
    "InvalidQuery",
    "MaintenanceMode",
    "MalformedAnswer",
    "MissingExtra",
    "NameNotResolved",
    "NotFound",
    "ReadTimeout",
    "RequestCancelled",
    "RequestError",
    "RequestFailed",
    "ResultExpired",
    "ResultMissing",
    "RunCancelled",
    "ServerError",
    "TargetExists",
    "TargetNotWritable",
    "TlsFailed",
    "TooManyRequests",
    "TransferError",
    "TransferStalled",
    "TransportError",
    "Unauthorized",
    "Unavailable",
    "WrongContent",
    "bare",
    "raise_bare",
]


def bare(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: what is raised where a task group is only how one verb is done."""
    first = group.exceptions[0]
    return bare(first) if isinstance(first, BaseExceptionGroup) else first


def raise_bare(group: BaseExceptionGroup[BaseException], cause: BaseException | None = None) -> NoReturn:
    """Raise the first error of a group, by `cause` or by what caused it before.

    Without the group as its context: an error that leads to its group leads to itself, and what follows such chains,
    like the pickling of dask.distributed, does not come back.
    """
    error = bare(group)
    context = error.__context__
    try:
        raise error from cause or error.__cause__
    finally:
        error.__context__ = context
        del error, context, group


class AuroraError(Exception):
    """The root: catch this one to catch everything the package raises on purpose."""


class InvalidInput(AuroraError, ValueError):
    """An argument, file or setting is wrong, and nothing was sent.

    `field` names it (dotted for nested ones, such as `space[1].hemisphere`); `reason` says what is allowed.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidQuery(InvalidInput):
    """A query that cannot be right, refused by this package or (400) by the service, whose own wording is `reason`."""


class MissingExtra(AuroraError, ImportError):
    """A verb needs the library `missing`, which comes with the optional part `extra` of the package."""

    def __init__(self, extra: str, missing: str) -> None:
        super().__init__(extra, missing)
        self.extra = extra
        self.missing = missing

    def __str__(self) -> str:
        return f'{self.missing} is not installed, and this needs it: pip install "aurora-async[{self.extra}]"'


HttpErrorT = TypeVar("HttpErrorT", bound="HttpError")


class HttpError(AuroraError):
    """A service answered with an error status.

    `code` and `detail` are the service's own error code and message, where its body carried them; `retry_after_s` is
    its Retry-After in seconds from now.
    """

    hint = ""
    """What the reader can do next; each subclass has its own."""
    body = b""
    """The answer as it came, its first 64 KiB at most."""

    def __init__(
        self,
        method: str,
        url: str,
        status: int,
        code: str | None = None,
        detail: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(method, url, status, code, detail, retry_after_s)
        self.method = method
        self.url = url
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s

    def become(self, kind: type[HttpErrorT], *more: Any) -> HttpErrorT:
        """Return the same answer as an error of another kind; `more` is what that kind is told besides."""
        other = kind(self.method, self.url, self.status, self.code, self.detail, self.retry_after_s, *more)
        other.body = self.body
        return other

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.code, self.detail) if part)
        text = f"{self.method} {self.url} answered {self.status}" + (f" ({said})" if said else "")
        return f"{text}; {self.hint}" if self.hint else text


class BadRequest(HttpError):
    """400 or 422: the service found the request malformed."""


class Unauthorized(HttpError):
    """401: no credentials, or bad or expired ones."""

    hint = "give an API key (api_key=, --api-key or AURORAX_API_KEY) that is valid for this server, or log in"


class Forbidden(HttpError):
    """403: the credentials are good, their role is not sufficient."""

    hint = "the account that asks lacks the role for it"


class NotFound(HttpError):
    """404: the service knows no such thing."""


class Conflict(HttpError):
    """409: a duplicate, or something that is still in use."""


class TooManyRequests(HttpError):
    """429, after all retries that the deadline allowed."""

    hint = "send fewer requests at once, or try again later"


class ServerError(HttpError):
    """5xx, after all retries that the deadline allowed."""

    hint = "the fault is on the server's side; try again later"


class Unavailable(ServerError):
    """503: the service is not available at the moment."""


class MaintenanceMode(Unavailable):
    """503 in maintenance mode: reading and searching go on working, writing does not."""

    hint = "the service is in maintenance mode: writes are refused until it ends"


class TransportError(AuroraError):
    """No usable answer came: `reason` says what happened on the wire."""

    def __init__(self, method: str, url: str, reason: str) -> None:
        super().__init__()
        # Not passed up: OSError, which TimeoutError is, would take the method for an errno.
        self.args = (method, url, reason)
        self.method = method
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.method} {self.url}: {self.reason}"


class ConnectionFailed(TransportError):
    """No connection came about, so the service has not seen the request."""


class NameNotResolved(ConnectionFailed):
    """The host name has no address (DNS)."""


class ConnectionRefused(ConnectionFailed):
    """Nothing listens there."""


class TlsFailed(ConnectionFailed):
    """The TLS handshake failed; a certificate that does not verify is the common case."""


class ConnectTimeout(ConnectionFailed, TimeoutError):
    """No connection within `Timeouts.connect_s`."""


class ConnectionLost(TransportError):
    """The connection ended before the answer did: the service may or may not have acted on the request."""


class ReadTimeout(TransportError, TimeoutError):
    """Connected, but nothing was heard for `Timeouts.read_s`, or too little."""


class ClientClosed(AuroraError, RuntimeError):
    """A client was used before its `async with` block, or after it; `request_id` is what was cancelled with it."""

    def __init__(self, request_id: str | None = None) -> None:
        super().__init__(request_id)
        self.request_id = request_id

    def __str__(self) -> str:
        if self.request_id is not None:
            return f"the client was closed, and request {self.request_id} cancelled with it"
        return "the client is closed: use it inside its `async with` (or `with`) block"


class RunCancelled(AuroraError, RuntimeError):
    """A run was cancelled while its next outcome was waited for: what was under way then is cancelled too."""

    def __str__(self) -> str:
        return "the run was cancelled before all its queries had ended; start another with those that are missing"


class AtCapacity(AuroraError):
    """A service has as many requests of this user as it takes: it took nothing, and does when some of them have ended.

    Clients wait for that by themselves; `reason` is what the service said.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the service takes no more requests for now: {self.reason}"


class MalformedAnswer(AuroraError):
    """An answer does not have the form the protocol promises; `where` points into it (`$.result[3].epoch`)."""

    def __init__(self, url: str, where: str, reason: str) -> None:
        super().__init__(url, where, reason)
        self.url = url
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"the answer of {self.url} is malformed at {self.where}: {self.reason}"


class ResultMissing(MalformedAnswer):
    """The answer came whole and holds no records; `rest` is what it holds instead.

    AuroraX answers for a deleted result file with 200 and `{"error": {"error_code": "NotFound", ...}}`.
    """

    def __init__(self, url: str, rest: dict[str, Any]) -> None:
        super().__init__(url, "$.result", f"the document has no result, it holds {str(rest)[:500]}")
        self.args = (url, rest)
        self.rest = rest


class DeadlineExceeded(AuroraError, TimeoutError):
    """Time ran out. What was accepted lives on: `request_id` (None before submission) can be resumed."""

    def __init__(self, doing: str, deadline_s: float, request_id: str | None = None) -> None:
        super().__init__()
        self.args = (doing, deadline_s, request_id)  # see TransportError
        self.doing = doing
        self.deadline_s = deadline_s
        self.request_id = request_id

    def __str__(self) -> str:
        text = f"{self.doing} was not done within {self.deadline_s:g} s"
        if self.request_id is None:
            return text
        return f"{text}; request {self.request_id} lives on, resume({self.request_id!r}) picks it up"


class RequestError(AuroraError):
    """Something about one request that a service had accepted; `request_id` names it."""

    def __init__(self, request_id: str, reason: str) -> None:
        super().__init__(request_id, reason)
        self.request_id = request_id
        self.reason = reason


class RequestFailed(RequestError):
    """The service accepted a request and later gave up on it; `reason` is its last log line."""

    def __str__(self) -> str:
        return f"request {self.request_id} failed on the server: {self.reason}"


class RequestCancelled(RequestError):
    """The request was cancelled, here or by somebody else, before it had a result."""

    def __str__(self) -> str:
        return f"request {self.request_id} was cancelled: {self.reason}"


class ResultExpired(RequestError):
    """The request is done, and the service has deleted its result since: submit the query again."""

    def __str__(self) -> str:
        return f"the result of request {self.request_id} is gone ({self.reason}); submit the query again"


class TransferError(AuroraError):
    """A body could not be saved whole. Nothing stands under the target's name that was not there before."""

    def __init__(self, url: str, target: Path | None, reason: str) -> None:
        super().__init__(url, target, reason)
        self.url = url
        self.target = target
        self.reason = reason

    def __str__(self) -> str:
        where = " to ".join(str(place) for place in (self.url, self.target) if place)
        return f"{where}: {self.reason}"


class IncompleteBody(TransferError):
    """The body ended before its end: cut, short of its Content-Length, or JSON that is not closed."""


class WrongContent(TransferError):
    """The body came whole and is not what was promised: `found` (a count, a length or a digest) is not `expected`."""

    def __init__(
        self,
        url: str,
        target: Path | None,
        reason: str,
        expected: int | str | None = None,
        found: int | str | None = None,
    ) -> None:
        super().__init__(url, target, reason)
        self.args = (url, target, reason, expected, found)
        self.expected = expected
        self.found = found


class TransferStalled(TransferError):
    """Bytes came too slowly for too long."""


class TargetNotWritable(TransferError):
    """The folder or file cannot be written: missing, read-only, or not permitted."""


class TargetExists(TargetNotWritable):
    """A file of that name exists and must not be replaced."""


class DiskFull(TargetNotWritable):
    """No space is left for the body; `written_bytes` of it had been written and are removed again."""

    def __init__(self, url: str, target: Path | None, reason: str, written_bytes: int = 0) -> None:
        super().__init__(url, target, reason)
        self.args = (url, target, reason, written_bytes)
        self.written_bytes = written_bytes
