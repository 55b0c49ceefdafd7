"""Faults of the local services, by rule: which exchanges, and what goes wrong with them.

Works between the sockets and the handlers, so that it holds for every route of every service; without rules nothing is
looked at. Services know of two things only: the `Change` of a file since it was last asked for, and the `Fate` of a
request that they accept.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import random
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs
import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from aurora_async.server._faulty import FaultyWriter
from aurora_async.server.rules import FaultRule, refuse_unknown, rules_of
from aurora_async.server.site import CHANGE, FATE, HELD_S, ApiError, Change, Routes, answer_bytes, read_json

__all__ = ["Fault", "Faults", "Seen"]

_CONTROL = ("/_local/faults", "/_local/requests")
_MOST_SEEN = 10_000


@attrs.define
class Seen:
    """A request that reached the service. `status` is that of its answer, None while there is none."""

    method: str
    path: str
    """With the query string."""
    headers: Mapping[str, str]
    """As sent, also those that the service overlooked."""
    fault: Fault | None = None
    status: int | None = None


class Fault:
    """A rule at work: how many exchanges it has met (`seen`), and on how many it has acted (`hits`)."""

    def __init__(self, identifier: int, rule: FaultRule) -> None:
        self.identifier = identifier
        self.rule = rule
        self.seen = 0
        self.hits = 0
        self.is_active = True
        self._is_path = re.compile(fnmatch.translate(rule.path)).match
        self._random = random.Random(rule.seed)
        self._seen: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.rule.given().items())
        struck = "once" if self.hits == 1 else f"{self.hits} times"
        came = "1 request" if self.seen == 1 else f"{self.seen} requests"
        return f"<Fault {given}: struck {struck}, {came} came by>"

    def strikes(self, method: str, path: str, *, is_ranged: bool, is_submission: bool = False) -> bool:
        """Count an exchange if the rule means it; True when it is one to act on."""
        rule = self.rule
        if rule.method is not None and rule.method != method:
            return False
        if rule.ranged is not None and rule.ranged is not is_ranged:
            return False
        if not self._is_path(path):
            return False
        if rule.has_fate and not is_submission:
            return False
        key = path if rule.each_path else ""
        self.seen += 1
        self._seen[key] += 1
        number = self._seen[key]
        if rule.nth:
            is_due = number in rule.nth
        else:
            past = number - rule.skip
            is_due = past > 0 and past % rule.every == 0 and (rule.times is None or self._hits[key] < rule.times)
            # Drawn for every exchange, so that the sequence depends on their order alone.
            is_due = self._random.random() < rule.probability and is_due
        self.hits += is_due
        self._hits[key] += is_due
        return is_due

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"id": self.identifier, "rule": self.rule.given(), "seen": self.seen, "hits": self.hits}


@attrs.frozen
class _Exchange:
    rule: FaultRule | None
    writer: FaultyWriter | None
    seen: Seen


_EXCHANGE = web.RequestKey("exchange", _Exchange)

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Faults:
    """The faults of a service. Rules may be added and removed from any thread while it runs."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self._faults: tuple[Fault, ...] = ()
        self._lock = threading.Lock()
        self._last = 0
        self._recording = False
        self.requests: deque[Seen] = deque(maxlen=_MOST_SEEN)
        """The last requests that came since the first rule was added, or `recording` was switched on."""
        self.is_on = False
        for rule in rules:
            self.add(rule)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, rule: FaultRule | None = None, **fields: Any) -> Fault:
        """Have exchanges go wrong from now on, by a rule or the fields of one; return it with its counts.

        Raises:
            InvalidInput: There is no such rule.
        """
        refuse_unknown(fields, [one.name for one in attrs.fields(FaultRule)])
        with self._lock:
            self._last += 1
            fault = Fault(self._last, rule or FaultRule(**fields))
            self._faults = (*self._faults, fault)
            self._recording = self.is_on = True
        return fault

    def remove(self, fault: Fault) -> None:
        """Have a rule act no more; what it holds up is let go. No harm when it is gone."""
        with self._lock:
            fault.is_active = False
            self._faults = tuple(one for one in self._faults if one is not fault)

    def clear(self) -> None:
        """Remove all rules, and forget the requests."""
        for fault in self._faults:
            self.remove(fault)
        self.requests.clear()
        self.is_on = self._recording = False

    @property
    def recording(self) -> bool:
        """Whether requests are written down; may be set."""
        return self._recording

    @recording.setter
    def recording(self, is_on: bool) -> None:
        with self._lock:
            self._recording = is_on
            self.is_on = is_on or bool(self._faults)

    # What the server calls ------------------------------------------------------------------------------------------

    def begin(
        self, message: RawRequestMessage, writer: AbstractStreamWriter
    ) -> tuple[RawRequestMessage, AbstractStreamWriter, dict[Any, Any]]:
        """Decide about an exchange that begins: return its message, its writer, and what its request is to carry."""
        method, path = message.method, "/" + message.url.path.lstrip("/")
        if path.startswith(_CONTROL):
            return message, writer, {}
        seen = Seen(method, message.path, message.headers)
        rule = self._choose(seen, path, _is_submission(message))
        if self._recording:
            self.requests.append(seen)
        if rule is None or seen.fault is None:
            return message, writer, {_EXCHANGE: _Exchange(None, None, seen)}
        faulty = FaultyWriter(writer, rule, seen.fault, is_head=method == "HEAD")
        state: dict[Any, Any] = {_EXCHANGE: _Exchange(rule, faulty, seen)}
        if rule.has_fate:
            state[FATE] = rule.fate
        if rule.version != 1:
            state[CHANGE] = Change(rule.version, rule.kept)
        unseen = (*rule.overlook, "Accept-Encoding") if rule.malformed else rule.overlook
        if unseen:
            headers = CIMultiDict(message.headers)
            for name in unseen:
                headers.popall(name, None)
            message = message._replace(headers=CIMultiDictProxy(headers))
        return message, faulty, state

    def _choose(self, seen: Seen, path: str, is_submission: bool) -> FaultRule | None:
        delay_s = 0.0
        for fault in self._faults:
            if fault.strikes(seen.method, path, is_ranged="Range" in seen.headers, is_submission=is_submission):
                seen.fault = fault
                if not fault.rule.only_delays:
                    break
                delay_s += fault.rule.delay_s
        if seen.fault is None:
            return None
        rule = seen.fault.rule
        if rule.only_delays:
            return attrs.evolve(rule, delay_s=delay_s)
        return attrs.evolve(rule, delay_s=delay_s + rule.delay_s) if delay_s else rule

    async def answer(self, request: web.BaseRequest, respond: Respond) -> web.StreamResponse:
        """Answer a request as its rule says."""
        exchange = request.get(_EXCHANGE)
        if exchange is None:
            return await respond(request)
        response = await self._answer(request, exchange, respond)
        exchange.seen.status = response.status
        return response

    @staticmethod
    async def _answer(request: web.BaseRequest, exchange: _Exchange, respond: Respond) -> web.StreamResponse:
        rule, writer = exchange.rule, exchange.writer
        if rule is None or writer is None:
            return await respond(request)
        began_s = time.monotonic()
        try:
            await writer.before_handling()
        except ConnectionError:
            return web.Response(status=499)  # for the log: nothing can be sent any more
        request[HELD_S] = time.monotonic() - began_s
        scripted = rule.answer()
        return await respond(request) if scripted is None else scripted

    def close(self) -> None:
        """Let go what is held up: the service stops."""
        for fault in self._faults:
            fault.is_active = False

    # Over HTTP ------------------------------------------------------------------------------------------------------

    def add_routes(self, routes: Routes) -> None:
        """Answer `/_local/faults` and `/_local/requests`, to this computer only."""
        routes.add("GET", "/_local/faults", self._get)
        routes.add("POST", "/_local/faults", self._post)
        routes.add("DELETE", "/_local/faults", self._delete_all)
        routes.add("DELETE", "/_local/faults/{}", self._delete)
        routes.add("GET", "/_local/requests", self._get_requests)

    async def _get(self, request: web.BaseRequest) -> web.StreamResponse:
        _check_local(request)
        return _answer_json({"faults": [fault.as_document() for fault in self._faults]})

    async def _post(self, request: web.BaseRequest) -> web.StreamResponse:
        _check_local(request)
        if request.content_type != "application/json":
            # Without this, any web page in a browser on this computer could post rules.
            raise ApiError(415, "Other", "send the header Content-Type: application/json")
        added = [self.add(rule) for rule in rules_of(await read_json(request))]
        return _answer_json({"faults": [fault.as_document() for fault in added]}, 201)

    async def _delete_all(self, request: web.BaseRequest) -> web.StreamResponse:
        _check_local(request)
        self.clear()
        return web.Response(status=204)

    async def _delete(self, request: web.BaseRequest, identifier: str) -> web.StreamResponse:
        _check_local(request)
        for fault in self._faults:
            if str(fault.identifier) == identifier:
                self.remove(fault)
                return web.Response(status=204)
        raise ApiError(404, "NotFound", f"there is no fault {identifier}")

    async def _get_requests(self, request: web.BaseRequest) -> web.StreamResponse:
        _check_local(request)
        requests = [
            {
                "method": one.method,
                "path": one.path,
                "headers": dict(one.headers),
                "status": one.status,
                "fault": None if one.fault is None else one.fault.identifier,
            }
            for one in self.requests
        ]
        return _answer_json({"requests": requests})


def _is_submission(message: RawRequestMessage) -> bool:
    """Tell whether a request submits a search, an export or a reprocessing."""
    path = message.url.path
    if path.endswith(("/jsoc_fetch", "/jsocextfetch")):
        # The form of a POST is not read yet: one without an operation in its address is taken for an export.
        return message.url.query.get("op", "exp_request" if message.method == "POST" else "") == "exp_request"
    return message.method == "POST" and path.endswith(("/search", "/reprocess"))


def _check_local(request: web.BaseRequest) -> None:
    if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:
        raise ApiError(403, "NotPermitted", "faults are scripted from the computer that the service runs on")


def _answer_json(document: Any, status: int = 200) -> web.Response:
    return answer_bytes(msgspec.json.encode(document), status)
