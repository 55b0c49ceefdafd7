"""Who asks, and what they may do: API keys, and tokens that a password is exchanged for.

A key that nobody knows is ignored where none is needed: environments carry keys of the real service, and reading is
anonymous. A token that nobody knows is refused everywhere: whoever sends one believes to be logged in, and can log in
again. Keys and tokens are kept as digests, passwords as scrypt makes them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from aiohttp import web

from aurora_async.aurorax.models import ROLES
from aurora_async.config import API_KEY_HEADER
from aurora_async.server.aurorax.searches import now_us
from aurora_async.server.site import ApiError
from aurora_async.server.store import Account, Store, digest_of
from aurora_async.times import to_wire

__all__ = ["Accounts", "hash_password"]

_BEARER = "Bearer "

_SAVED_EVERY_US = 60_000_000
"""A token's last use is written down once a minute at most: a restart may cost it that much of its life."""

JsonObject = dict[str, Any]


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return what is kept of a password. Takes 50 ms on purpose, so call it in a thread."""
    salt = os.urandom(16) if salt is None else salt
    made = hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def _is_password(password: str, kept: str) -> bool:
    salt = base64.b64decode(kept.partition("$")[0])
    return hmac.compare_digest(hash_password(password, salt), kept)


@attrs.define
class _Token:
    email_address: str
    used_us: int
    saved_us: int


class Accounts:
    """The accounts of the service; they come from its settings.

    Args:
        store: Where they and their tokens are kept; borrowed.
        token_life_s: How long a token lives after its last use.
    """

    def __init__(self, store: Store, *, token_life_s: float) -> None:
        self._store = store
        self._life_us = round(token_life_s * 1e6)
        self._by_key = store.accounts()
        self._passwords = store.passwords()
        self._logins = store.logins()
        # Those of people who are no longer let in are as good as unknown.
        self._tokens = {
            digest: _Token(email, used_us, used_us)
            for digest, (email, used_us) in store.tokens().items()
            if email in self._passwords
        }
        # As slow to refuse an unknown address as a wrong password, so that neither can be told from the other.
        self._nobody = ""

    def of(self, request: web.BaseRequest) -> Account | None:
        """Return whose request this is; None when it is anonymous.

        Raises:
            ApiError: 401, the access token is not valid (any more).
        """
        if (digest := _token_digest(request)) is not None:
            return self._passwords[self._use(digest)][0]
        key = request.headers.get(API_KEY_HEADER)
        return None if key is None else self._by_key.get(digest_of(key))

    def require(self, request: web.BaseRequest, role: str) -> Account:
        """Return whose request this is, if that account's role includes `role`.

        Raises:
            ApiError: 401, nobody we know; 403, not permitted.
        """
        account = self.of(request)
        if account is None:
            said = "no API key was sent" if API_KEY_HEADER not in request.headers else "this API key is not known"
            raise ApiError(401, "NotAuthenticated", f"{said}; {role} is needed here")
        if not account.may_act_as(role):
            raise ApiError(403, "NotPermitted", f"{account.email_address} is {account.role}; {role} is needed here")
        return account

    def _use(self, digest: str) -> str:
        now = now_us()
        known = self._tokens.get(digest)
        if known is None or now - known.used_us > self._life_us:
            self._tokens.pop(digest, None)
            raise ApiError(401, "NotAuthenticated", "the access token is not valid, or has expired; log in again")
        known.used_us = now
        if now - known.saved_us > min(_SAVED_EVERY_US, self._life_us // 10):
            known.saved_us = now
            self._store.use_token(digest, now)
        return known.email_address

    async def log_in(self, email_address: str, password: str) -> tuple[JsonObject, str]:
        """Return an account as a document, and a new token for it.

        Raises:
            ApiError: 401, the combination is wrong.
        """
        known = self._passwords.get(email_address)
        if known is None and not self._nobody:
            self._nobody = await asyncio.to_thread(hash_password, secrets.token_hex())
        kept = self._nobody if known is None else known[1]
        if not await asyncio.to_thread(_is_password, password, kept) or known is None:
            raise ApiError(401, "NotAuthenticated", "the email address and password combination is incorrect")
        token, now = secrets.token_urlsafe(32), now_us()
        digest = digest_of(token)
        await self._store.add_login(email_address, digest, now, now - self._life_us)
        self._tokens = {one: token for one, token in self._tokens.items() if now - token.used_us <= self._life_us}
        self._tokens[digest] = _Token(email_address, now, now)
        last = self._logins.get(email_address)
        self._logins[email_address] = (now, None if last is None else last[0])
        return self._document(known[0]), _BEARER + token

    async def log_out(self, request: web.BaseRequest) -> None:
        """Make the request's token invalid.

        Raises:
            ApiError: 400, there is none; 401, it was not valid.
        """
        digest = _token_digest(request)
        if digest is None:
            raise ApiError(400, "AssertionError", "no access token was sent: there is no session to end")
        self._use(digest)
        del self._tokens[digest]
        await self._store.forget_token(digest)

    def listing(self, role: str | None) -> list[JsonObject]:
        """Return the accounts, of one role if that is given, by address."""
        everybody = {*self._by_key.values(), *(account for account, _ in self._passwords.values())}
        chosen = sorted(everybody, key=lambda one: (one.email_address, ROLES.index(one.role)))
        return [self._document(account) for account in chosen if role in (None, account.role)]

    def _document(self, account: Account) -> JsonObject:
        this_us, last_us = self._logins.get(account.email_address, (None, None))
        return {
            "account_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{account.email_address}")),
            "upload_username": None,
            "email_address": account.email_address,
            "email_confirmed": None,
            "first_name": account.email_address.partition("@")[0],
            "last_name": "",
            "role": account.role,
            "agree_terms": None,
            "this_login": _written(this_us),
            "last_login": _written(last_us),
            "disabled": False,
        }


def _token_digest(request: web.BaseRequest) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    if not header.startswith(_BEARER):
        raise ApiError(401, "NotAuthenticated", "the Authorization header does not hold an access token")
    return digest_of(header.removeprefix(_BEARER).strip())


def _written(moment_us: int | None) -> str | None:
    return None if moment_us is None else to_wire(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment_us))
