"""The border where aiohttp's errors, and error answers, become ours.

`reason` never quotes an aiohttp error blindly: some of them print the whole connection, proxy password included.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import zlib
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp import client_exceptions as theirs
from aiohttp import http_exceptions

from aurora_async.errors import (
    AuroraError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    Forbidden,
    HttpError,
    InvalidInput,
    MaintenanceMode,
    MalformedAnswer,
    NameNotResolved,
    NotFound,
    ReadTimeout,
    ServerError,
    TlsFailed,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)

__all__ = ["FOREIGN_ERRORS", "SlowHead", "http_error", "ours", "shown_url"]


class SlowHead(aiohttp.SocketTimeoutError):
    """Of an answer something has come, and not its whole head."""


FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    aiohttp.ClientError,
    aiohttp.WSMessageTypeError,
    http_exceptions.HttpProcessingError,
    OSError,  # TimeoutError and ssl.SSLError among them
    zlib.error,
    ValueError,  # yarl, and aiohttp on forbidden characters in headers
    RuntimeError,  # StreamReader, when the connection is closed under it
)
"""What a call of aiohttp may raise, besides cancellation and plain mistakes of ours."""

_DETAIL_CHARS = 300
_BY_STATUS: dict[int, type[HttpError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: BadRequest,
    429: TooManyRequests,
    503: Unavailable,
}
_USER = re.compile(r"^(\w+://)[^/?]*@")
_SECRET_PARAMS = re.compile(
    r"(?i)(?<=[?&])(x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|signature|sig|policy"
    r"|key-pair-id|access_?token|auth_?token|id_?token|token|api_?-?key|password|secret)=[^&#]*"
)


def shown_url(url: str) -> str:
    """Return a URL fit for messages and logs: without user, password, fragment and signatures of presigned links."""
    url = url.partition("#")[0]
    if "@" in url:
        url = _USER.sub(r"\1", url)
    return _SECRET_PARAMS.sub(r"\1=***", url) if "?" in url else url


def ours(error: Exception, method: str, url: str) -> AuroraError:
    """Return the error of our tree that says what `error` means; `url` is already fit to be shown."""
    match error:
        case AuroraError():
            return error
        # Never connected. The order matters: aiohttp's classes inherit from each other.
        case theirs.ClientConnectorDNSError() | socket.gaierror():
            cause = error.os_error if isinstance(error, theirs.ClientConnectorDNSError) else error
            said = _os_reason(cause)
            if cause.errno == socket.EAI_AGAIN or getattr(cause.__cause__, "errno", None) == socket.EAI_AGAIN:
                # "Temporary failure": no name server answered, which says nothing about the name, and may pass.
                return ConnectionFailed(method, url, f"the name could not be looked up: {said}")
            return NameNotResolved(method, url, f"the host name has no address: {said}")
        case theirs.ClientConnectorCertificateError():
            return TlsFailed(method, url, f"the certificate does not verify: {_certificate_reason(error)}")
        case theirs.ClientSSLError() | theirs.ServerFingerprintMismatch() | ssl.SSLCertVerificationError():
            return TlsFailed(method, url, f"the TLS handshake failed: {_os_reason(error)}")
        case theirs.ClientProxyConnectionError():
            return ConnectionFailed(method, url, f"the proxy cannot be reached: {_os_reason(error.os_error)}")
        case theirs.ClientHttpProxyError():
            return ConnectionFailed(method, url, f"the proxy refused with status {error.status}")
        case theirs.ClientConnectorError():
            if error.os_error.errno == errno.ECONNREFUSED:
                return ConnectionRefused(method, url, "connection refused: nothing listens there")
            return ConnectionFailed(method, url, f"cannot connect: {_os_reason(error.os_error)}")
        case theirs.ConnectionTimeoutError():
            return ConnectTimeout(method, url, "no connection in time")
        # Connected, no whole answer.
        case SlowHead():
            return ReadTimeout(method, url, "an answer has begun, and its head was not whole in time")
        case theirs.ServerTimeoutError():
            return ReadTimeout(method, url, "nothing was heard in time")
        case theirs.ServerDisconnectedError():
            return ConnectionLost(method, url, "the server closed the connection before it had answered")
        case theirs.ClientPayloadError():
            return ConnectionLost(method, url, "the connection ended before the body did")
        case theirs.UploadAbortedError():
            return ConnectionLost(method, url, "the request could not be sent whole")
        # Wrong addresses: those the caller gave, and those a server redirected to.
        case theirs.RedirectClientError():
            return MalformedAnswer(url, "Location", "the server redirects to something that is no http(s) address")
        case theirs.InvalidURL() | theirs.NonHttpUrlClientError():
            return InvalidInput("target", f"{url!r} is not a path or an http(s) URL")
        # Not HTTP.
        case theirs.ClientResponseError():
            return MalformedAnswer(url, "HTTP", _one_line(error.message) or type(error).__name__)
        case http_exceptions.HttpProcessingError():
            return MalformedAnswer(url, "HTTP", _one_line(error.message) or type(error).__name__)
        case theirs.WSMessageTypeError():
            return MalformedAnswer(url, "WebSocket", "unexpected type of message")
        case zlib.error():
            return MalformedAnswer(url, "body", f"its compression is broken: {error}")
        # What is left, from the particular to the general.
        case theirs.ClientConnectionResetError() | ConnectionResetError() | BrokenPipeError():
            return ConnectionLost(method, url, "the connection was reset")
        case theirs.ClientOSError():
            return ConnectionLost(method, url, f"the connection broke: {_os_reason(error)}")
        case theirs.ClientError():
            return ConnectionLost(method, url, f"the connection broke ({type(error).__name__})")
        case ConnectionRefusedError():
            return ConnectionRefused(method, url, "connection refused: nothing listens there")
        case TimeoutError():
            return ReadTimeout(method, url, "nothing was heard in time")
        case OSError():
            return ConnectionLost(method, url, f"the connection broke: {_os_reason(error)}")
        case RuntimeError():
            return ConnectionLost(method, url, "the connection was closed while it was in use")
        case _:
            # ValueError: aiohttp refuses header values with line breaks. Its text may quote them, so it is left out.
            return InvalidInput("headers", "a header holds characters that HTTP forbids")


def _os_reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return _one_line(error.strerror)
    quotable = not isinstance(error, aiohttp.ClientError)
    return (quotable and _one_line(str(error))) or type(error).__name__


def _certificate_reason(error: theirs.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return _one_line(getattr(cause, "verify_message", "") or str(cause))


def http_error(
    method: str, url: str, status: int, body: bytes, content_type: str, retry_after_s: float | None
) -> HttpError:
    """Return the error for an answer with `status` 400 or above; `url` is already fit to be shown."""
    code, detail = _said(body, content_type)
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else HttpError)
    if kind is Unavailable and "maintenance mode" in detail.lower():
        kind = MaintenanceMode
    error = kind(method, url, status, code, detail, retry_after_s)
    error.body = body
    return error


def _said(body: bytes, content_type: str) -> tuple[str | None, str]:
    """Find the service's error code and message in the body of an error answer, whatever its form."""
    if not body.strip():
        return None, ""
    # Tried whatever the type says: gateways label their JSON text/html, and the other way round.
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
        return None, _one_line(_without_tags(text) if "html" in content_type or text.lstrip()[:1] == "<" else text)
    code, detail = _from_json(document)
    return code, _one_line(detail)


def _from_json(document: Any) -> tuple[str | None, str]:
    if isinstance(document, list):
        # The upload endpoints: one document per bad record.
        found = [_from_json(item) for item in document[:20]]
        code = next((code for code, _ in found if code), None)
        return code, "; ".join(dict.fromkeys(detail for _, detail in found if detail))
    if not isinstance(document, Mapping):
        return None, str(document)
    inner = document.get("error")
    if isinstance(inner, Mapping):
        return _from_json(inner)
    code = document.get("error_code") or document.get("code")
    for name in ("error_message", "detail", "message", "errorMessage", "title", "error"):
        said = document.get(name)
        if isinstance(said, str) and said:
            return _text(code), said
        if isinstance(said, list) and said:  # FastAPI: [{"loc": ["query", "start"], "msg": "field required"}]
            return _text(code), "; ".join(_validation_text(item) for item in said[:20])
    if code is not None:
        return _text(code), ""
    return None, msgspec.json.encode(document).decode()


def _validation_text(item: Any) -> str:
    if isinstance(item, Mapping) and "msg" in item:
        where = ".".join(str(part) for part in item.get("loc") or ())
        return f"{where}: {item['msg']}" if where else str(item["msg"])
    return str(item)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _without_tags(html: str) -> str:
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", html)
    if title and title[1].strip():
        return title[1]
    return re.sub(r"(?s)<[^>]*>", " ", re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", html))


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _DETAIL_CHARS else f"{text[: _DETAIL_CHARS - 1]}…"
