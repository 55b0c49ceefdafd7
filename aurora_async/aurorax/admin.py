"""Administration: everybody's search requests, and the accounts. Needs the role Administrator."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from urllib.parse import quote

import attrs

from aurora_async.aurorax.models import ROLES, make_aware
from aurora_async.aurorax.wire import decode_answer
from aurora_async.engine import Engine, RequestId
from aurora_async.errors import InvalidInput
from aurora_async.times import TimeLike, end_of, start_of, to_wire
from aurora_async.transfer.tables import Records

__all__ = ["Account", "Administration", "SearchRequest"]

SearchType = Literal["conjunction", "ephemeris", "data_product"]

_SEARCH_TYPES = ("conjunction", "ephemeris", "data_product")


@attrs.frozen(kw_only=True)
class SearchRequest:
    """A search request as administrators see it; `query_duration` is in ms, `file_size` in bytes."""

    search_type: str
    request_id: str
    requested: datetime
    active: bool
    ip_address: str | None = None
    query_duration: int | None = None
    result_file_exists: bool | None = None
    file_size: int | None = None
    result_count: int | None = None
    error_condition: bool | None = None

    def __attrs_post_init__(self) -> None:
        make_aware(self, "requested")


@attrs.frozen(kw_only=True)
class Account:
    """Who may do what: `role` is User, Maintainer, Owner or Administrator."""

    email_address: str
    role: str | None = None
    account_id: str | int | None = None
    first_name: str | None = None
    last_name: str | None = None
    agree_terms: datetime | bool | None = None
    disabled: bool | None = None
    upload_username: str | None = None
    email_confirmed: datetime | bool | None = None
    this_login: datetime | None = None
    last_login: datetime | None = None

    def __attrs_post_init__(self) -> None:
        make_aware(self, "agree_terms", "email_confirmed", "this_login", "last_login")


class Administration:
    """What only administrators may do."""

    def __init__(self, engine: Engine) -> None:
        """Made by the client."""
        self._engine = engine

    async def search_requests(
        self,
        *,
        search_type: SearchType | None = None,
        active: bool | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        file_size_kb: int | None = None,
        result_count: int | None = None,
        query_duration_ms: int | None = None,
        error_condition: bool | None = None,
    ) -> Records[SearchRequest]:
        """Return the search requests of all users to which every filter given applies.

        Args:
            search_type: One kind alone.
            active: True for those that run, False for those that are over, None for both.
            start, end: When they were made.
            file_size_kb, result_count, query_duration_ms: At least so much; the first two leave out those that run.
            error_condition: True for those that failed, False for those that did not.

        Source: AuroraX API, GET api/v1/utils/admin/search_requests.
        """
        if search_type is not None and search_type not in _SEARCH_TYPES:
            raise InvalidInput("search_type", f"{search_type!r} is unknown; use one of {', '.join(_SEARCH_TYPES)}")
        params: dict[str, str] = {} if search_type is None else {"search_type": search_type}
        for name, flag in (("active", active), ("error_condition", error_condition)):
            if flag is not None:
                if not isinstance(flag, bool):
                    raise InvalidInput(name, f"{flag!r} is neither True nor False")
                params[name] = "true" if flag else "false"
        if start is not None:
            params["start"] = to_wire(start_of(start, "start"))
        if end is not None:
            params["end"] = to_wire(end_of(end, "end"))
        least = {"file_size": file_size_kb, "result_count": result_count, "query_duration": query_duration_ms}
        for name, value in least.items():
            if value is not None:
                if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                    raise InvalidInput(name, f"{value!r} is not a whole number, 0 or more")
                params[name] = str(value)
        answer = await self._engine.session.exchange("GET", "/api/v1/utils/admin/search_requests", params=params)
        return Records(decode_answer(answer, list[SearchRequest]), record_type=SearchRequest)

    async def delete_search_request(self, request_id: RequestId) -> None:
        """Remove a search request and its data.

        Source: AuroraX API, DELETE api/v1/utils/admin/search_requests/{id}.
        """
        if not isinstance(request_id, str) or not request_id:
            raise InvalidInput("request_id", f"{request_id!r} is not a request identifier")
        target = f"/api/v1/utils/admin/search_requests/{quote(request_id, safe='')}"
        await self._engine.session.exchange("DELETE", target, repeat=False)

    async def accounts(self, *, role: str | None = None) -> Records[Account]:
        """Return the accounts, of one role if wanted.

        Source: AuroraX API, GET api/v1/accounts.
        """
        if role is not None and role not in ROLES:
            raise InvalidInput("role", f"{role!r} is unknown; use one of {', '.join(ROLES)}")
        params = {} if role is None else {"role": role}
        answer = await self._engine.session.exchange("GET", "/api/v1/accounts", params=params)
        return Records(decode_answer(answer, list[Account]), record_type=Account)
