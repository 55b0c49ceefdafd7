"""The one owner of sockets: small exchanges and large bodies, in pools of their own.

Everything that other clients get wrong at this border is decided here, once: which headers may go to which origin,
which failures are repeated, how hard a host may be leant on, and that nothing is left open.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
import re
import socket
import ssl
import struct
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from weakref import WeakSet

import aiohttp
import anyio
import anyio.to_thread
import attrs
import msgspec
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from aurora_async.config import Config, origin_of
from aurora_async.errors import (
    AuroraError,
    ClientClosed,
    HttpError,
    InvalidInput,
    MaintenanceMode,
    MalformedAnswer,
    Unauthorized,
)
from aurora_async.http._addresses import Address, as_url
from aurora_async.http._body import Body, Pace, rest_of
from aurora_async.http._decoding import ACCEPT_ENCODING, decoder_for
from aurora_async.http._environment import Environment, basic_auth, read_environment
from aurora_async.http._errors import FOREIGN_ERRORS, http_error, ours, shown_url
from aurora_async.http._line import Head, Line, Pool, Response, Whole, fields, template
from aurora_async.http._protocol import BodyProtocol
from aurora_async.http._sending import FileBody, Sending
from aurora_async.http.limits import Gate, Host
from aurora_async.http.retry import LONGEST_WAIT_S, RetryPolicy, is_repeatable, is_worth_repeating, retry_after_s

__all__ = ["Answer", "Session"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

Lane = Literal["control", "body", "urgent"]

CLOSE_S = 5.0
"""Longest that closing may take when a socket will not go."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_ERROR_BODY_BYTES = 1 << 16
_RAW_BODY_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 15
"""Of an answer's head: a Location may be a presigned link."""
_LEAST_SECRET = 6
"""Shorter ones are no credentials worth the name, and their letters are in every text."""
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_PERSONAL_HEADERS = frozenset({"x-aurorax-api-key", "x-api-key", "authorization", "cookie", "proxy-authorization"})
_HEADERS_OF_ONE_ORIGIN = _PERSONAL_HEADERS | {"host"}
_THREAD_FROM_BYTES = 1 << 12
"""More compressed bytes than this may become many megabytes, and decompressing them would hold up the loop."""
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What RFC 9110, 5.6.2, allows as a name."""


@cache
def _user_agent() -> str:
    try:
        return f"aurora_async/{version('aurora-async')}"
    except PackageNotFoundError:  # a source tree that was never installed
        return "aurora_async"


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if _CONTROL_CHARACTERS.search(name + value):
            raise InvalidInput(name, "holds a line break or another control character")  # The value may be a secret.
    return dict(_named(headers))


def _named(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name in headers:
        if not _TOKEN.fullmatch(name):
            raise InvalidInput("headers", f"{name!r} is not the name of a header")
    return headers


def _shown_bytes(body: bytes) -> str:
    return f"<{len(body)} bytes>"


@attrs.frozen
class Answer:
    """A whole answer in memory. `headers` may be asked in any case; `url` is the one that answered, after redirects."""

    method: str
    url: str = attrs.field(repr=lambda url: repr(shown_url(url)))
    status: int
    _headers: Mapping[str, str] | bytes = attrs.field(repr=False, eq=False)
    """As lines until somebody asks, which nearly nobody does."""
    body: bytes = attrs.field(repr=_shown_bytes)

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the answer."""
        if isinstance(self._headers, bytes):
            found = fields(self._headers)
            object.__setattr__(self, "_headers", found)
            return found
        return self._headers

    def json(self) -> Any:
        """Decode the body, whatever its Content-Type says."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedAnswer(shown_url(self.url), "$", f"not JSON: {error}") from error


class _Origin:
    """What one scheme, host and port may be told, and how to reach it."""

    __slots__ = (
        "_agent",
        "_fixed",
        "_login",
        "_proxy",
        "anonymous",
        "bare",
        "host",
        "key",
        "proxy_options",
        "signed",
        "signed_with_body",
        "template",
        "with_body",
    )

    def __init__(
        self,
        key: str,
        host: Host,
        fixed: Mapping[str, str],
        environment: Environment,
        *,
        is_home: bool,
        agent: str | None,
    ) -> None:
        url = URL(key)
        assert url.host is not None and url.port is not None
        self.key = key
        self.host = host
        self._agent = agent or _user_agent()
        self._fixed = fixed
        # netrc knows hosts, not origins: a redirect down to http must not draw the password out in the open.
        self._login = environment.logins.get(url.host.lower()) if url.scheme == "https" or is_home else None
        self._proxy = environment.proxy_for(url.scheme, url.host, url.port)
        self.proxy_options: dict[str, Any] = {}
        if self._proxy is not None:
            self.proxy_options["proxy"] = self._proxy.url
            if self._proxy.authorization is not None and url.scheme == "https":
                self.proxy_options["proxy_headers"] = {"Proxy-Authorization": self._proxy.authorization}
        self.template = template(key)
        self.prepare({})

    def prepare(self, added: Mapping[str, str]) -> None:
        """Merge the headers of every request to this origin now, once, not for each request again."""
        headers: CIMultiDict[str] = CIMultiDict()
        headers["Host"] = URL(self.key).host_port_subcomponent or ""
        headers["User-Agent"] = self._agent
        headers["Accept"] = "*/*"
        headers["Accept-Encoding"] = ACCEPT_ENCODING
        if self._proxy is not None and self._proxy.authorization is not None and self.key.startswith("http:"):
            # Through a tunnel the proxy is told on CONNECT; a plain request carries it, and the proxy takes it off.
            headers["Proxy-Authorization"] = self._proxy.authorization
        self.signed = Head(headers)
        self.signed_with_body = self.signed.with_extra({"Content-Type": "application/octet-stream"})
        if self._login is not None:
            headers = headers.copy()
            headers["Authorization"] = self._login
        json = {"Content-Type": "application/json"}
        self.anonymous = Head(headers).with_extra(json)
        self.bare = Head(headers).with_extra({**self._fixed, **added})
        self.with_body = self.bare.with_extra(json)

    def head(self, address: Address, *, with_body: bool, anonymous: bool) -> Head:
        """Return what a request says beside its method, target and body."""
        if address.is_signed:
            return self.signed_with_body if with_body else self.signed
        if anonymous:
            return self.anonymous
        return self.with_body if with_body else self.bare


class _Request(aiohttp.ClientRequest):
    """aiohttp's request without its second and third merging of headers: 6 % of an exchange.

    aiohttp hands over a copy of its own making, complete since `_Origin.prepare`. Should another version call these
    methods no more, requests stay right and get slower.
    """

    def update_headers(self, headers: LooseHeaders | None) -> None:
        if isinstance(headers, CIMultiDict) and "Host" in headers:
            self.headers = headers
        else:
            super().update_headers(headers)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        if "Accept-Encoding" not in self.headers:  # never so; aiohttp's default asks for what we cannot unpack
            super().update_auto_headers(skip_auto_headers)


Renew = Callable[[], Awaitable[Mapping[str, str]]]
Params = Mapping[str, str | Sequence[str]]
"""Query parameters; those of a list are repeated."""


@attrs.define(eq=False)
class _Renewal:
    """How new credentials are had; many requests may find at once that the old ones are over."""

    renew: Renew
    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    refused: Unauthorized | None = None
    refused_for: Mapping[str, str] | None = None
    """The credentials in whose place none were given."""


@attrs.define(eq=False)
class _Reply:
    """An answer whose body is still to be read, and the slot that it holds until then."""

    method: str
    address: Address
    response: aiohttp.ClientResponse | Response
    gate: Gate
    unread: set[_Reply]
    """The session's; it is among them until its end."""

    def __attrs_post_init__(self) -> None:
        self.unread.add(self)

    def end(self) -> None:
        """Give the slot back, and close the connection unless the body was read to its end."""
        self.unread.discard(self)
        if not self.response.closed:
            self.response.close()
        self.gate.leave()


class Session:
    """Speaks HTTP for one client: `async with Session(config) as session`.

    Credentials belong to an origin (scheme, host, port) and go nowhere else, whoever redirects there: the API key of
    `config` to that of `base_url`, others to the one named in `add_credential`. A login from ~/.netrc goes to its host
    over https; over http only where `base_url` leads there. A presigned link brings its own, and gets no other.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Make a session; nothing is opened before `async with`.

        Args:
            config: Where the service is, who asks, and with what manners.
            ssl_context: Verifies servers, for a certificate authority of one's own; None: as the system does.
            rng: Draws the jitter of retries; tests bring a seeded one.
        """
        self.config = Config() if config is None else config
        self._ssl_context = ssl_context
        self.retry_policy = RetryPolicy(retries=self.config.retries, rng=rng or random.Random())
        base = as_url(self.config.base_url)
        home = base.with_user(None)
        self._home = Address(str(home).rstrip("/"), origin_of(str(home)), home.raw_path.rstrip("/"))
        fixed = {}
        if base.user is not None:
            fixed["Authorization"] = basic_auth(base.user, base.password or "")
        fixed |= self.config.credentials
        self._fixed = {self._home.origin: _checked(fixed)}
        self._added: dict[str, Mapping[str, str]] = {}  # replaced, never changed: whoever used one can tell
        self._renewals: dict[str, _Renewal] = {}
        self._origins: dict[str, _Origin] = {}
        self._environment = Environment()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._unread: set[_Reply] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._control: Pool | None = None
        self._bodies: Pool | None = None

    def __repr__(self) -> str:
        return f"<Session of {self._home.shown}>"

    @property
    def closed(self) -> bool:
        """Not inside its `async with` block: not opened yet, or closed again."""
        return self._control is None

    async def __aenter__(self) -> Self:
        if self._control is not None:
            raise RuntimeError("this session is open already")
        if self.config.trust_environment:
            self._environment = await anyio.to_thread.run_sync(read_environment)
        self._origins.clear()
        self._loop = asyncio.get_running_loop()
        self._control = self._pool(Line)
        self._bodies = self._pool(BodyProtocol)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        control, bodies = self._control, self._bodies
        self._control = self._bodies = None
        for origin in self._origins.values():
            origin.host.close(ClientClosed())
        for reply in self._unread:
            # A connection that aiohttp closes itself does not tell who reads from it: he would wait for ever.
            reply.response.content.set_exception(aiohttp.ClientConnectionError("the session is closed"))
            _reset_when_closed(reply.response)
        with anyio.move_on_after(CLOSE_S, shield=True):
            # First, because closing alone may wait for the other side: a TLS transport for its farewell (30 s), and any
            # transport for a peer that reads what is still buffered. That holds as well for connections that were
            # given up earlier, which aiohttp has forgotten by now.
            for sock in list(self._sockets):
                with suppress(OSError):  # not connected (any more)
                    sock.shutdown(socket.SHUT_RDWR)
            for pool in (control, bodies):
                if pool is not None:
                    await pool.close()
            pause_s = 0.0
            while any(sock.fileno() != -1 for sock in list(self._sockets)):
                # The transports close in the loop's next turns; only a connection still being made takes longer.
                await anyio.sleep(pause_s)
                pause_s = min(pause_s + 0.001, 0.02)
            return
        logger.warning("%r left a socket open that did not close within %g s", self, CLOSE_S)

    def add_credential(self, origin: str, headers: Mapping[str, str], *, renew: Renew | None = None) -> None:
        """Send `headers` with every request to the origin of the URL `origin`, until `remove_credential`.

        `renew` returns new ones once these are refused (401); the request that was refused is then sent again, once.
        """
        key = origin_of(origin)
        self._added[key] = {**self._added.get(key, {}), **_checked(headers)}
        if renew is None:
            self._renewals.pop(key, None)
        else:
            self._renewals[key] = _Renewal(renew)
        self._refresh(key)

    def remove_credential(self, origin: str) -> None:
        """Forget all that `add_credential` was given for this origin. The API key of `config` stays."""
        key = origin_of(origin)
        self._added.pop(key, None)
        self._renewals.pop(key, None)
        self._refresh(key)

    async def exchange(
        self,
        method: str,
        target: str,
        *,
        params: Params | None = None,
        body: bytes | FileBody | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool | None = None,
        attempts: int | None = None,
        lane: Lane = "control",
        sending: Callable[[], None] | None = None,
        anonymous: bool = False,
    ) -> Answer:
        """Send a request and read its answer whole.

        Args:
            method: GET, POST, …
            target: A path below the base URL ("/api/v1/…"), or an absolute URL, which may lie anywhere.
            params: Go into the query, encoded here.
            body: Sent as `application/json` unless `headers` say otherwise; a `FileBody` is read while it is sent.
            headers: Beside those of the origin, and before them; credentials among them, and a `Host`, stop at the
                first redirect to another origin.
            repeat: Whether the request may reach the service twice; None: by its method.
            attempts: Most tries; None: as configured; 1: no retry.
            lane: `control`, the usual one; `body`, the pool for bodies, for an answer of many megabytes; `urgent`, past
                everybody who waits and past a pause of the host: for calling off what would only burden it.
            sending: Called before each try is sent: from then on the service may have it.
            anonymous: For asking for credentials: those of the origin stay at home, and so does what is sent instead
                of them, wherever the service redirects.

        Returns:
            The answer, with a status below 400.

        Raises:
            HttpError: The service answered with an error status; after all tries that made sense.
            TransportError: No usable answer came; after all tries that made sense.
            MalformedAnswer, IncompleteBody: What came is not HTTP, or not what it says it is.
            ClientClosed: The session is not open.
        """
        method = method.upper()
        address = self._resolve(target, params)
        tries_left = self.config.retries.attempts if attempts is None else attempts
        waits = self.retry_policy.waits()
        while True:
            tries_left -= 1
            try:
                found = await self._send(method, address, body, headers, lane, sending, anonymous, whole=True)
                return found if isinstance(found, Answer) else await self._read(found)
            except AuroraError as error:
                await self._pause(error, waits, method, repeat, tries_left)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        target: str,
        *,
        params: Params | None = None,
        body: bytes | FileBody | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool | None = None,
        attempts: int | None = None,
        lane: Lane = "body",
    ) -> AsyncGenerator[Body, None]:
        """Send a request and hand over its answer with the body still to be read, through the pool for bodies.

        Arguments and errors are those of `exchange`. Tries end where the body begins: going on with half a body is
        for the caller, who knows what half it has. Leaving the block early closes the connection.
        """
        method = method.upper()
        address = self._resolve(target, params)
        tries_left = self.config.retries.attempts if attempts is None else attempts
        waits = self.retry_policy.waits()
        while True:
            tries_left -= 1
            try:
                reply = await self._send(method, address, body, headers, lane)
                break
            except AuroraError as error:
                await self._pause(error, waits, method, repeat, tries_left)
        assert isinstance(reply, _Reply)
        try:
            yield Body(reply.response, reply.method, reply.address.text, self.config.timeouts, self._ours)
        finally:
            reply.end()

    async def lend(self, exchange: Callable[[], Awaitable[T]]) -> T:
        """Await an exchange for a body at our service that another process makes in our stead, trying once.

        It takes a slot of ours for as long, its failures are heeded and repeated like those of our own.
        """
        tries_left = self.config.retries.attempts
        waits = self.retry_policy.waits()
        while True:
            tries_left -= 1
            try:
                return await self._lend_once(exchange)
            except AuroraError as error:
                await self._pause(error, waits, "GET", True, tries_left)

    async def _lend_once(self, exchange: Callable[[], Awaitable[T]]) -> T:
        if self._control is None:
            raise ClientClosed
        host = (self._origins.get(self._home.origin) or self._new_origin(self._home.origin)).host
        gate = host.bodies
        if not gate.try_enter():
            await gate.enter()
        cuts = gate.allowance.cuts
        try:
            result = await exchange()
        except HttpError as error:
            _heed(error, host, gate, cuts)
            raise
        finally:
            gate.leave()
        host.succeeded(gate, cuts)
        return result

    async def _pause(
        self, error: AuroraError, waits: Iterator[float], method: str, repeat: bool | None, tries_left: int
    ) -> None:
        """Wait before the next try, or raise `error`, if no other try would make sense or end in time."""
        repeat = is_repeatable(method) if repeat is None else repeat
        if tries_left <= 0 or not is_worth_repeating(error, method=method, repeat=repeat):
            raise error
        left_s = anyio.current_effective_deadline() - anyio.current_time()
        wait_s = self.retry_policy.wait_s(error, next(waits), left_s)
        if wait_s is None:
            raise error
        logger.debug("%s; trying again in %.2f s", error, wait_s)
        await anyio.sleep(wait_s)

    async def _read(self, reply: _Reply) -> Answer:
        """Read the rest of an answer."""
        response = reply.response
        content = response.content
        try:
            if content.is_eof():
                raw = content.read_nowait()
            else:
                pace = Pace(self.config.timeouts, reply.method, reply.address.shown)
                raw = await rest_of(content, pace)
        except FOREIGN_ERRORS as error:
            raise self._ours(error, reply.method, reply.address.shown) from error
        finally:
            reply.end()
        encoding = response.headers.get("Content-Encoding")
        if encoding is not None and (decoder := decoder_for(encoding, reply.address.shown)) is not None:
            if len(raw) <= _THREAD_FROM_BYTES:
                raw = decoder.whole(raw)
            else:
                raw = await anyio.to_thread.run_sync(decoder.whole, raw, abandon_on_cancel=True)
        return Answer(reply.method, reply.address.text, response.status, response.headers, raw)

    async def _send(
        self,
        method: str,
        address: Address,
        body: bytes | FileBody | None,
        headers: Mapping[str, str] | None,
        lane: Lane,
        sending: Callable[[], None] | None = None,
        anonymous: bool = False,
        *,
        whole: bool = False,
    ) -> _Reply | Answer:
        """Send once, through any redirects, up to the first byte of a body; or to its last, see `_hop`."""
        for _ in range(_MOST_REDIRECTS + 1):
            key = address.origin
            used = self._added.get(key)
            try:
                reply = await self._hop(method, address, body, headers, lane, sending, anonymous, whole)
            except Unauthorized as error:
                own = _are_named(used, headers)  # the caller's own credentials were refused, not ours
                if anonymous or own or not await self._renewed(key, used, error):
                    raise
                reply = await self._hop(method, address, body, headers, lane, sending, anonymous, whole)
            if (
                isinstance(reply, Answer)
                or reply.response.status not in _REDIRECTS
                or "Location" not in reply.response.headers
            ):
                return reply
            try:
                after, address, body = _redirected(reply, body)
                await _read_up_to(reply.response, _ERROR_BODY_BYTES)  # A short rest read, the connection stays in use.
            finally:
                reply.end()
            if anonymous and address.origin != key:
                reason = f"it sends a login to {address.shown!r}; nothing was sent there"
                raise MalformedAnswer(reply.address.shown, "Location", reason)
            logger.debug("%s %s redirects to %s", method, reply.address.shown, address.shown)
            if headers and (address.origin != key or address.is_signed):
                headers = {name: text for name, text in headers.items() if name.lower() not in _HEADERS_OF_ONE_ORIGIN}
            method = after
        raise MalformedAnswer(address.shown, "Location", f"more than {_MOST_REDIRECTS} redirects")

    async def _hop(
        self,
        method: str,
        address: Address,
        body: bytes | FileBody | None,
        extra: Mapping[str, str] | None,
        lane: Lane,
        sending: Callable[[], None] | None,
        anonymous: bool,
        whole: bool,
    ) -> _Reply | Answer:
        """Send to one origin, within its limits; an error status raises.

        With `whole` an answer that came in one piece is returned as such.
        """
        pool = self._bodies if lane == "body" else self._control
        if pool is None:
            raise ClientClosed
        origin = self._origins.get(address.origin) or self._new_origin(address.origin)
        host = origin.host
        gate = host.bodies if lane == "body" else host.control
        if lane == "urgent":
            gate.enter_at_once()
        elif not gate.try_enter():
            await gate.enter()
        cuts = gate.allowance.cuts
        try:
            with_body = body is not None or method in _BODY_METHODS
            head = origin.head(address, with_body=with_body, anonymous=anonymous)
            if extra:
                head = head.with_extra(_named(extra))
            if sending is not None:
                sending()
            response: aiohttp.ClientResponse | Response | Whole
            if isinstance(body, FileBody):
                response = await self._upload(pool.client, method, address, body, head.headers, origin)
            elif not origin.proxy_options and pool.can_send(extra, body):
                request = head.request(method, address.target, body)
                response = await pool.send(origin.template, request, method, whole=whole)
            else:
                response = await pool.client.request(
                    method,
                    address.url,
                    data=_payload(body),
                    headers=head.headers,
                    allow_redirects=False,
                    **origin.proxy_options,
                )
        except FOREIGN_ERRORS as error:
            gate.leave()
            raise self._ours(error, method, address.shown) from error
        except BaseException:
            gate.leave()
            raise
        if isinstance(response, Whole):
            gate.leave()
            host.succeeded(gate, cuts)
            return Answer(method, address.text, *response)
        reply = _Reply(method, address, response, gate, self._unread)
        if response.status < 400:
            host.succeeded(gate, cuts)
            return reply
        try:
            refusal = await _refusal(reply, _secrets(head.headers))
            _heed(refusal, host, gate, cuts)  # before the slot is given back, lest it be taken at once
        finally:
            reply.end()
        raise refusal

    async def _upload(
        self,
        client: aiohttp.ClientSession,
        method: str,
        address: Address,
        file: FileBody,
        headers: CIMultiDict[str],
        origin: _Origin,
    ) -> aiohttp.ClientResponse:
        sending = Sending(file, method, address.shown, self.config.timeouts.read_s)
        headers = headers.copy()
        headers["Content-Length"] = str(file.size)
        try:
            with sending.scope:
                return await client.request(
                    method, address.url, data=sending, headers=headers, allow_redirects=False, **origin.proxy_options
                )
        except FOREIGN_ERRORS:
            if sending.problem is not None:
                raise sending.problem from None
            raise
        raise sending.given_up()

    async def _renewed(self, key: str, used: Mapping[str, str] | None, error: Unauthorized) -> bool:
        """Get new credentials after `used` were refused, one at a time for an origin; False where nothing gives any."""
        renewal = self._renewals.get(key)
        if renewal is None:
            return False
        async with renewal.lock:
            if self._added.get(key) is used and self._renewals.get(key) is renewal:
                if renewal.refused is not None and renewal.refused_for is used:
                    raise renewal.refused  # asking again for each that waited would be so many failed logins
                logger.debug("%s; asking for new credentials", error)
                try:
                    renewed = _checked(await renewal.renew())
                except Unauthorized as refusal:
                    renewal.refused, renewal.refused_for = refusal, used
                    raise
                if self._renewals.get(key) is not renewal:
                    return False  # they were given up meanwhile
                self._added[key] = {**(used or {}), **renewed}
                self._refresh(key)
        return True

    def _resolve(self, target: str, params: Params | None) -> Address:
        """Return the address of a target."""
        if self._control is None:
            raise ClientClosed
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("this client was opened in another event loop; open one in each loop that uses it")
        # Behind the base's own slash a path cannot lead to another origin.
        address = self._home.below(target) if target.startswith("/") else Address.parsed(target)
        return Address.of(address.url.extend_query(params), address.origin) if params else address

    def _ours(self, error: Exception, method: str, shown: str) -> AuroraError:
        return ClientClosed() if self._control is None else ours(error, method, shown)

    def _new_origin(self, key: str) -> _Origin:
        limits = self.config.limits
        loop = asyncio.get_running_loop()
        host = Host(
            control=limits.control_connections,
            bodies=limits.body_connections,
            requests_per_s=limits.requests_per_s,
            clock=loop.time,
            call_at=loop.call_at,
        )
        is_home = key in self._fixed  # the origin of base_url
        fixed = self._fixed.get(key, {})
        agent = self.config.user_agent
        origin = self._origins[key] = _Origin(key, host, fixed, self._environment, is_home=is_home, agent=agent)
        origin.prepare(self._added.get(key, {}))
        return origin

    def _refresh(self, key: str) -> None:
        if (origin := self._origins.get(key)) is not None:
            origin.prepare(self._added.get(key, {}))

    def _pool(self, line: type[Line]) -> Pool:
        timeouts = self.config.timeouts
        client = aiohttp.ClientSession(
            # No limit here: the gates keep one for each host, in order of arrival, and can be paused.
            connector=aiohttp.TCPConnector(
                limit=0, ssl=self._ssl_context or True, socket_factory=self._new_socket, ttl_dns_cache=60
            ),
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            # No total: a long download is not a slow one. `connect` covers the name lookup too; with no limit in the
            # connector, no time in a queue counts towards it.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=timeouts.connect_s, sock_connect=timeouts.connect_s, sock_read=timeouts.read_s
            ),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_LONGEST_LINE_BYTES,
            max_field_size=_LONGEST_LINE_BYTES,
        )
        # aiohttp would repeat GET, PUT and DELETE once by itself, whatever `repeat` and `attempts` say.
        client._retry_connection = False
        return Pool(client, line, max_line_bytes=_LONGEST_LINE_BYTES)

    def _new_socket(self, address: tuple[Any, ...]) -> socket.socket:
        sock = socket.socket(family=address[0], type=address[1], proto=address[2])
        self._sockets.add(sock)
        return sock


def _reset_when_closed(response: aiohttp.ClientResponse | Response) -> None:
    """Have the server hear at once that nobody reads on, which it would else find out when it next tries to send."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        with suppress(OSError, AttributeError):  # not connected any more; not a socket
            sock = connection.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _are_named(ours: Mapping[str, str] | None, given: Mapping[str, str] | None) -> bool:
    """True when a header of ours is among those given."""
    return not {name.lower() for name in ours or ()}.isdisjoint(name.lower() for name in given or ())


def _redirected(reply: _Reply, body: bytes | FileBody | None) -> tuple[str, Address, bytes | FileBody | None]:
    """Return method, address and body of the request that a redirect asks for (RFC 9110, 15.4)."""
    shown = reply.address.shown
    location = reply.response.headers["Location"]
    before = reply.address.url
    try:
        address = Address.parsed(str(before.join(as_url(location))))
    except ValueError as error:
        raise MalformedAnswer(shown, "Location", f"{shown_url(location)!r} is not an http(s) address") from error
    method, status = reply.method, reply.response.status
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None  # as every browser and client does
    if body is not None and before.scheme == "https" and address.url.scheme == "http":
        raise MalformedAnswer(shown, "Location", f"it sends a request body from https to {address.shown!r}")
    return method, address, body


def _heed(refusal: HttpError, host: Host, gate: Gate, cuts: int) -> None:
    """Slow down when a host says it is overloaded, which maintenance does not mean."""
    if refusal.status in (429, 503) and not isinstance(refusal, MaintenanceMode):
        asked_s = refusal.retry_after_s
        host.overloaded(gate, cuts, None if asked_s is None else min(asked_s, LONGEST_WAIT_S))


def _secrets(headers: Mapping[str, str]) -> list[bytes]:
    """Return the credentials among the headers of a request, which a service may quote."""
    values = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() in _PERSONAL_HEADERS]
    return [value.encode("utf-8", "surrogateescape") for value in values if len(value) >= _LEAST_SECRET]


async def _refusal(reply: _Reply, secrets: Iterable[bytes]) -> HttpError:
    """Read what an error answer says."""
    response = reply.response
    headers = response.headers
    shown = reply.address.shown
    body = await _read_up_to(response, _ERROR_BODY_BYTES)
    # The status is the news; a body that cannot be decoded does not change it.
    with suppress(AuroraError):
        if (decoder := decoder_for(headers.get("Content-Encoding"), shown)) is not None:
            body = next(decoder.feed(body, _ERROR_BODY_BYTES), b"")
    for secret in secrets:
        body = body.replace(secret, b"***")
    asked_s = retry_after_s(headers.get("Retry-After"), datetime.now(UTC))
    return http_error(reply.method, shown, response.status, body, headers.get("Content-Type", ""), asked_s)


async def _read_up_to(response: aiohttp.ClientResponse | Response, most: int) -> bytes:
    """Read a body that matters little: what there is of it, `most` bytes at most."""
    body = b""
    with suppress(*FOREIGN_ERRORS):
        while len(body) < most and (chunk := await response.content.read(most - len(body))):
            body += chunk
    return body


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp warns about more than 1 MiB in one piece: writing it would hold up the loop.
    return io.BytesIO(body) if body is not None and len(body) > _RAW_BODY_BYTES else body
