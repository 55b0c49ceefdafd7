"""Logging in and out, and the list of accounts."""

from __future__ import annotations

import msgspec
from aiohttp import web

from aurora_async.aurorax.models import ROLES
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.routes._core import Core
from aurora_async.server.site import Routes, answer, answer_bytes, read_json

__all__ = ["AccountRoutes"]


class _Credentials(msgspec.Struct):
    email_address: str
    password: str


class AccountRoutes:
    """`/api/v1/authenticate` and `/api/v1/accounts`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_to(self, routes: Routes) -> None:
        """Answer these endpoints."""
        routes.add("POST", "/api/v1/authenticate", self._authenticate)
        routes.add("POST", "/api/v1/authenticate/end_session", self._end_session)
        routes.add("GET", "/api/v1/accounts", self._accounts)

    async def _authenticate(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            sent = msgspec.convert(await read_json(request), _Credentials)
        except msgspec.ValidationError as error:
            raise InvalidQuery("body", str(error)) from None
        account, token = await self._core.accounts.log_in(sent.email_address, sent.password)
        return answer_bytes(msgspec.json.encode(account), headers={"Authorization": token})

    async def _end_session(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._core.accounts.log_out(request)
        return answer_bytes(b"{}")

    async def _accounts(self, request: web.BaseRequest) -> web.StreamResponse:
        self._core.accounts.require(request, "Administrator")
        role = request.query.get("role") or None
        if role is not None and role not in ROLES:
            raise InvalidQuery("role", f"{role!r} is unknown; use one of {', '.join(ROLES)}")
        return await answer(request, self._core.accounts.listing(role))
