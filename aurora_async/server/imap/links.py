"""Links that are good for one thing: one method, one object, on one host, and not for ever.

They are signed as those of S3 are (signature version 4, in the query), so that whoever takes them apart finds what is
there in the real ones. The secret is the store's own: a link outlives a restart of the service.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from aiohttp import web

from aurora_async.server.site import ApiError
from aurora_async.server.store import Store

__all__ = ["Links"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_REGION, _SERVICE = "us-west-2", "s3"
_ACCESS_KEY = "AURORAASYNCLOCAL"
_STAMP = "%Y%m%dT%H%M%SZ"
_SIGNATURE = "X-Amz-Signature"
_NEEDED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", _SIGNATURE)
_WHOLE_FROM_S = 60


class Links:
    """Makes and checks links, with the secret in a store (borrowed)."""

    def __init__(self, store: Store) -> None:
        ((secret,),) = store.read("SELECT secret FROM imap_secrets WHERE name = 'links'")
        self._secret = bytes(secret).hex()
        self._port = 0

    def lead_to(self, port: int) -> None:
        """Have links lead to the object store at this port."""
        self._port = port

    def sign(self, request: web.BaseRequest, method: str, key: str, *, life_s: float, tags: str = "") -> str:
        """Return a link to an object on the host under which the client has reached this service."""
        host = f"{_host_name(request)}:{self._port}"
        now = time.time()
        # Stamps are of whole seconds: the life of a short link, for tests, makes good for what is lost.
        expires = f"{life_s:.0f}" if life_s >= _WHOLE_FROM_S else f"{life_s + now % 1:.3f}"
        stamp = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
        query = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{_ACCESS_KEY}/{_scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": expires,
            "X-Amz-SignedHeaders": "host",
        }
        if tags:
            query["x-amz-tagging"] = tags
        signature = self._signature(method, host, f"/{key}", query, stamp)
        return f"{request.scheme}://{host}/{quote(key)}?{_canonical(query)}&{_SIGNATURE}={signature}"

    def check(self, request: web.BaseRequest) -> None:
        """Raise what S3 answers to a link that is not good, or no more."""
        query = dict(request.query)
        if any(name not in query for name in _NEEDED):
            raise ApiError(403, "AccessDenied", "Access Denied")
        signature = query.pop(_SIGNATURE)
        stamp = query["X-Amz-Date"]
        try:
            is_over = time.time() >= _instant_s(stamp) + float(query["X-Amz-Expires"])
        except ValueError:
            raise ApiError(400, "AuthorizationQueryParametersError", "X-Amz-Date or X-Amz-Expires is none") from None
        if is_over:
            raise ApiError(403, "AccessDenied", "Request has expired")
        # A link given to HEAD is good for GET, too: urllib goes on with that after a redirect, up to Python 3.12.
        methods = ("GET", "HEAD") if request.method == "GET" else (request.method,)
        given = signature.encode("ascii", "replace").decode()
        host = request.headers.get("Host", "")
        right = (self._signature(method, host, request.path, query, stamp) for method in methods)
        if not any(hmac.compare_digest(one, given) for one in right):
            message = "The signature is not that of this request: another method, object or host, or a changed link."
            raise ApiError(403, "SignatureDoesNotMatch", message)

    def _signature(self, method: str, host: str, path: str, query: Mapping[str, str], stamp: str) -> str:
        asked = "\n".join((method, quote(path), _canonical(query), f"host:{host}\n", "host", "UNSIGNED-PAYLOAD"))
        digest = hashlib.sha256(asked.encode()).hexdigest()
        signed = "\n".join((_ALGORITHM, stamp, _scope(stamp), digest))
        return _mac(_day_key(self._secret, stamp[:8]), signed).hex()


def _scope(stamp: str) -> str:
    return f"{stamp[:8]}/{_REGION}/{_SERVICE}/aws4_request"


@lru_cache(maxsize=256)
def _instant_s(stamp: str) -> float:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp()


@lru_cache(maxsize=16)
def _day_key(secret: str, day: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, _REGION, _SERVICE, "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _canonical(query: Mapping[str, str]) -> str:
    return "&".join(sorted(f"{_quoted(name)}={_quoted(value)}" for name, value in query.items()))


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def _host_name(request: web.BaseRequest) -> str:
    """Return the host that the client knows this service by, without a port."""
    host = request.host
    return host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
