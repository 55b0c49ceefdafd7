"""The border: no foreign error passes it, no answer's message is lost at it, no secret comes out of it."""

from __future__ import annotations

import errno
import inspect
import json
import pickle
import socket
import ssl
import zlib
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

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
    TransportError,
    Unauthorized,
    Unavailable,
)
from aurora_async.http._errors import FOREIGN_ERRORS, http_error, ours, shown_url

PROXY = URL("http://user:hunter2@proxy:3128")
KEY = ConnectionKey("example.org", 443, True, True, PROXY, None, None)
INFO = aiohttp.RequestInfo(URL("http://example.org/"), "GET", CIMultiDictProxy(CIMultiDict()))
REFUSED = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")


def every_class(module: Any) -> list[type[Exception]]:
    found = [value for _, value in inspect.getmembers(module, inspect.isclass) if issubclass(value, Exception)]
    return [one for one in found if one.__module__ == module.__name__]


def made(kind: type[Exception]) -> Exception:
    """Build an instance as aiohttp would."""
    if issubclass(kind, client_exceptions.ClientResponseError):
        return kind(INFO, (), status=400, message="Bad status line 'hello'")
    if kind is client_exceptions.ClientConnectorCertificateError:
        return kind(KEY, ssl.SSLCertVerificationError(1, "self-signed certificate"))
    if issubclass(kind, client_exceptions.UnixClientConnectorError):
        return kind("/sock", KEY, REFUSED)
    if issubclass(kind, client_exceptions.ClientConnectorError):
        return kind(KEY, REFUSED)
    if kind is client_exceptions.ServerFingerprintMismatch:
        return kind(b"a", b"b", "example.org", 443)
    if issubclass(kind, client_exceptions.InvalidURL):
        return kind("http://user:hunter2@x")
    if issubclass(kind, (http_exceptions.BadStatusLine, http_exceptions.InvalidHeader)):
        return kind("hello")
    if kind is http_exceptions.LineTooLong:
        return kind("hello", 8190)
    if issubclass(kind, http_exceptions.BadHttpMessage):
        return kind("hello")
    return kind()


EXPECTED: dict[str, type[AuroraError]] = {
    "ClientConnectionError": ConnectionLost,
    "ClientConnectionResetError": ConnectionLost,
    "ClientConnectorCertificateError": TlsFailed,
    "ClientConnectorDNSError": NameNotResolved,
    "ClientConnectorError": ConnectionRefused,
    "ClientConnectorSSLError": TlsFailed,
    "ClientError": ConnectionLost,
    "ClientHttpProxyError": ConnectionFailed,
    "ClientOSError": ConnectionLost,
    "ClientPayloadError": ConnectionLost,
    "ClientProxyConnectionError": ConnectionFailed,
    "ClientResponseError": MalformedAnswer,
    "ClientSSLError": TlsFailed,
    "ConnectionTimeoutError": ConnectTimeout,
    "ContentTypeError": MalformedAnswer,
    "InvalidURL": InvalidInput,
    "InvalidUrlClientError": InvalidInput,
    "InvalidUrlRedirectClientError": MalformedAnswer,
    "NonHttpUrlClientError": InvalidInput,
    "NonHttpUrlRedirectClientError": MalformedAnswer,
    "RedirectClientError": MalformedAnswer,
    "ServerConnectionError": ConnectionLost,
    "ServerDisconnectedError": ConnectionLost,
    "ServerFingerprintMismatch": TlsFailed,
    "ServerTimeoutError": ReadTimeout,
    "SocketTimeoutError": ReadTimeout,
    "TooManyRedirects": MalformedAnswer,
    "UnixClientConnectorError": ConnectionRefused,
    "UploadAbortedError": ConnectionLost,
    "WSMessageTypeError": MalformedAnswer,
    "WSServerHandshakeError": MalformedAnswer,
}


@pytest.mark.parametrize("kind", every_class(client_exceptions), ids=lambda kind: kind.__name__)
def test_every_error_of_aiohttp_has_its_place_in_our_tree(kind: type[Exception]) -> None:
    """A class that a new aiohttp adds fails here, by its name, until somebody has decided what it means."""
    error = made(kind)
    assert isinstance(error, FOREIGN_ERRORS)
    assert type(ours(error, "GET", "http://example.org/")) is EXPECTED[kind.__name__]


@pytest.mark.parametrize("kind", every_class(http_exceptions), ids=lambda kind: kind.__name__)
def test_what_is_not_http_is_a_malformed_answer(kind: type[Exception]) -> None:
    """The parser's own errors, should one get through unwrapped."""
    assert type(ours(made(kind), "GET", "http://example.org/")) is MalformedAnswer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), ReadTimeout),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), ReadTimeout),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), NameNotResolved),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), ConnectionFailed),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), TlsFailed),
        (ssl.SSLError(1, "bad record"), ConnectionLost),
        (ConnectionResetError(errno.ECONNRESET, "reset"), ConnectionLost),
        (BrokenPipeError(), ConnectionLost),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ConnectionRefused),
        (OSError(errno.EMFILE, "Too many open files"), ConnectionLost),
        (zlib.error("Error -3 while decompressing data"), MalformedAnswer),
        (ValueError("Forbidden control character in 'hunter2'"), InvalidInput),
        (RuntimeError("Connection closed."), ConnectionLost),
    ],
)
def test_errors_of_the_standard_library_become_ours(error: Exception, kind: type[AuroraError]) -> None:
    """They reach us where aiohttp does not wrap them."""
    assert type(ours(error, "GET", "http://example.org/")) is kind


@pytest.mark.parametrize("kind", [*every_class(client_exceptions), ValueError], ids=lambda kind: kind.__name__)
def test_no_reason_shows_a_password(kind: type[Exception]) -> None:
    """Some of aiohttp's messages print the connection with its proxy, or the URL as it was given."""
    error = ValueError("hunter2") if kind is ValueError else made(kind)
    mapped = ours(error, "GET", shown_url("http://user:hunter2@x/"))
    assert "hunter2" not in f"{mapped} {mapped!r}"


def test_our_errors_pass_unchanged_and_survive_pickling() -> None:
    """They travel between processes, in batches."""
    error = ours(made(client_exceptions.ClientConnectorError), "GET", "http://example.org/")
    assert ours(error, "POST", "http://other/") is error
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, TransportError)
    assert (copy.method, copy.url, str(copy)) == ("GET", "http://example.org/", str(error))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (402, HttpError),
        (403, Forbidden),
        (404, NotFound),
        (408, HttpError),
        (409, Conflict),
        (422, BadRequest),
        (429, TooManyRequests),
        (500, ServerError),
        (502, ServerError),
        (503, Unavailable),
        (504, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[HttpError]) -> None:
    """The official client takes 403, 409, 429 and 504 for successes."""
    error = http_error("GET", "http://example.org/x", status, b"", "", 3.0)
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.retry_after_s) == (status, None, "", 3.0)


HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        ({"error_code": "NotFound", "error_message": "No such thing"}, "NotFound", "No such thing"),
        (
            [{"error_code": "Duplicate", "error_message": m} for m in ("a", "b", "a")] + [{"error_code": "Other"}],
            "Duplicate",
            "a; b",
        ),
        ({"error": {"error_code": "NotFound", "error_message": "gone"}}, "NotFound", "gone"),
        ({"detail": "Not authenticated"}, None, "Not authenticated"),
        ({"detail": [{"loc": ["query", "start"], "msg": "field required"}]}, None, "query.start: field required"),
        ({"detail": ["one", "two"]}, None, "one; two"),
        ({"message": "Forbidden"}, None, "Forbidden"),
        ({"code": 7, "title": "Nope"}, "7", "Nope"),
        ({"error_code": "Other", "error_message": None}, "Other", ""),
        ({"status": "bad"}, None, '{"status":"bad"}'),
        ({}, None, "{}"),
        ([], None, ""),
        ("words", None, "words"),
        (HTML, None, "502 Bad Gateway"),
        (b"<html><style>p {}</style><p>Try\n <b>later</b></p>", None, "Try later"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", None, "AccessDenied"),
        (b"plain\n\ttext", None, "plain text"),
        (b"x" * 5000, None, "x" * 299 + "…"),
        (b"\xff\xfe\x00", None, "\ufffd\ufffd\x00"),
        (b'{"error_message": "cut', None, '{"error_message": "cut'),
        (b" \n", None, ""),
    ],
)
def test_the_services_own_words_are_found_in_any_form(body: Any, code: str | None, detail: str) -> None:
    """AuroraX, its upload endpoints (an array), FastAPI (SRS, IMAP), gateways in front of them, and plain text."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = http_error("GET", "http://example.org/x", 500, raw, "text/html; charset=x", None)
    assert (error.code, error.detail) == (code, detail)
    assert "\n" not in str(error)


@pytest.mark.parametrize("said", ["Server is in maintenance mode", "MAINTENANCE MODE", "Maintenance Mode: back soon"])
def test_maintenance_mode_is_told_apart_in_any_case(said: str) -> None:
    """Only with status 503: a 500 that mentions it is a fault."""
    body = json.dumps({"error_code": "Unavailable", "error_message": said}).encode()
    assert type(http_error("POST", "u", 503, body, "", None)) is MaintenanceMode
    assert type(http_error("POST", "u", 503, said.encode(), "text/plain", None)) is MaintenanceMode
    assert type(http_error("POST", "u", 500, body, "", None)) is ServerError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/p?key=**ALL**&n=1", "http://h/p?key=**ALL**&n=1"),
        ("http://user:pw@h:80/p#secret", "http://h:80/p"),
        ("https://s3/x?X-Amz-Signature=abc&X-Amz-Date=1", "https://s3/x?X-Amz-Signature=***&X-Amz-Date=1"),
        ("https://s3/x?a=1&token=abc", "https://s3/x?a=1&token=***"),
        ("https://s3/x?design=1&Signature=abc", "https://s3/x?design=1&Signature=***"),
    ],
)
def test_urls_are_shown_without_what_opens_doors(url: str, shown: str) -> None:
    """A presigned link in a log is a key in a log."""
    assert shown_url(url) == shown
