"""Who may export: registered e-mail addresses, and the registration of others (`checkAddress.sh`).

At JSOC a person answers a mail; here an address is registered a while after it was asked for, without any mail. What
lies below `.invalid` can by definition get none (RFC 2606), so that this way of failing can be had.
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from aurora_async.server.jsoc.answers import json_answer, parameters
from aurora_async.server.jsoc.settings import JsocSettings
from aurora_async.server.site import Routes
from aurora_async.server.store import Store

__all__ = ["Addresses"]

# Matched at the start only, as at JSOC.
_ADDRESS = re.compile(r"\s*[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,6}")
_LONGEST = 320

REGISTERED = 2, "Email address is valid and registered."
_STARTED = 1, "The registration of the email address was started; it is registered after a while, without any mail."
_PENDING = 3, "Email-address registration is pending. Please wait and try again later."
_UNKNOWN = 4, "email address has been neither validated nor registered"
_NO_ADDRESS = -2, "Missing required argument 'address'."
_BAD_ADDRESS = -2, "Not a valid email address."
_NO_MAIL = -3, "Cannot send mail to this address."


class Addresses:
    """The addresses in a store (borrowed), and those that the settings name."""

    def __init__(self, store: Store, settings: JsocSettings) -> None:
        self._store = store
        self._always = {_key(address) for address in settings.addresses}
        self._registration_us = round(settings.registration_s * 1e6)

    def add_to(self, routes: Routes) -> None:
        """Answer `checkAddress.sh`, by GET and by POST."""
        for folder in ("/cgi-bin/ajax", "/cgi-bin"):
            for method in ("GET", "POST"):
                routes.add(method, f"{folder}/checkAddress.sh", self._answer)

    def refusal(self, address: str) -> str | None:
        """Return what the check says of an address; None when it is registered."""
        status, message = self.check(address)
        return None if status == REGISTERED[0] else message

    def check(self, address: str) -> tuple[int, str]:
        """Return status and message of an address, and change nothing."""
        if not address.strip():
            return _NO_ADDRESS
        if len(address) > _LONGEST or not _ADDRESS.match(address):
            return _BAD_ADDRESS
        if _key(address) in self._always:
            return REGISTERED
        rows = self._store.read("SELECT asked_us FROM jsoc_addresses WHERE address = ?", (_key(address),))
        if not rows:
            return _UNKNOWN
        return REGISTERED if _now_us() >= rows[0][0] + self._registration_us else _PENDING

    async def register(self, address: str, name: str | None = None) -> tuple[int, str]:
        """Start the registration of an address that is not known yet; return status and message."""
        found = self.check(address)
        if found != _UNKNOWN:
            return found
        if _key(address).endswith(".invalid"):
            return _NO_MAIL
        values = _key(address), name, _now_us()
        sql = "INSERT OR IGNORE INTO jsoc_addresses (address, name, asked_us) VALUES (?, ?, ?)"
        await self._store.apply(lambda connection: connection.execute(sql, values) and None)
        return _STARTED

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        given = await parameters(request)
        # The official client encodes the address twice, and one layer is off by now.
        address = unquote(given.get("address", ""))
        if given.get("checkonly", "0") not in ("", "0"):
            status, message = self.check(address)
        else:
            status, message = await self.register(address, given.get("name"))
        document: dict[str, Any] = {"status": status, "msg": message}
        return json_answer(document)


def _key(address: str) -> str:
    return address.strip().lower()


def _now_us() -> int:
    return time.time_ns() // 1000
