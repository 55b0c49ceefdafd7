"""What the service knows about its users, which are e-mail addresses to it: registrations and pending exports."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from aurora_async.errors import InvalidInput
from aurora_async.http import Session
from aurora_async.jsoc.cgi import ask
from aurora_async.jsoc.models import AddressStatus, PendingExports
from aurora_async.jsoc.servers import JsocServer
from aurora_async.jsoc.wire import decode_address, decode_pending

__all__ = ["check_address", "checked_address", "manage_pending", "register_address"]

# The service's own pattern, to the end.
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}", re.ASCII)


def checked_address(address: str, field: str = "address") -> str:
    """Return an address without the blanks around it, or refuse what is none."""
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address.strip()):
        raise InvalidInput(field, f"{address!r} is not an e-mail address")
    return address.strip()


async def check_address(session: Session, server: JsocServer, address: str) -> AddressStatus:
    """Ask what the service knows about an address; nothing changes by it."""
    return await _about(session, server, address, {"checkonly": "1"})


async def register_address(session: Session, server: JsocServer, address: str, name: str | None) -> AddressStatus:
    """Have the service send its mail to an address it does not know; its owner replies to it.

    Sent twice, for an answer that was lost, the second finds the registration pending, and sends no mail.
    """
    return await _about(session, server, address, {} if name is None else {"name": name})


async def _about(session: Session, server: JsocServer, address: str, more: dict[str, str]) -> AddressStatus:
    server.check("email")
    # Encoded here and again on the way: the service takes off both.
    address = checked_address(address)
    params = {"address": quote(address, safe="")} | more
    answer = await ask(session, server.cgi_url(server.check_address_cgi), params)
    return decode_address(answer.body, answer.url, address)


async def manage_pending(
    session: Session, server: JsocServer, address: str, operation: Literal["check", "cancel"]
) -> PendingExports:
    """Ask which exports of an address are under way, or give up all of them."""
    server.check("pending")
    address = checked_address(address)
    params = {"address": address, "operation": operation}
    answer = await ask(session, server.cgi_url(server.manage_cgi), params)
    return decode_pending(answer.body, answer.url, address)
