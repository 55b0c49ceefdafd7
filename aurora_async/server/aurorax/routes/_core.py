"""What the endpoints share: the parts of the service, who may do what, and how parameters are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
from aiohttp import web

from aurora_async.aurorax.models import SOURCE_TYPES
from aurora_async.errors import InvalidQuery
from aurora_async.server.aurorax.accounts import Accounts
from aurora_async.server.aurorax.counting import Counting, Steps
from aurora_async.server.aurorax.planning import Planner
from aurora_async.server.aurorax.records import check_level
from aurora_async.server.aurorax.searches import Searches
from aurora_async.server.aurorax.sources import DataSources
from aurora_async.server.jobs import Jobs
from aurora_async.server.site import ApiError
from aurora_async.server.store import Account, Store

__all__ = ["UUID", "Core", "JsonObject", "level_of", "no_such_request", "no_such_source"]

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

JsonObject = dict[str, Any]

T = TypeVar("T")


@attrs.define(kw_only=True)
class Core:
    """The parts of the service that its endpoints work with."""

    store: Store
    jobs: Jobs
    accounts: Accounts
    sources: DataSources
    counting: Counting
    planner: Planner
    searches: Searches
    maintenance: bool

    def check_maintenance(self, what: str = "This endpoint is currently offline.") -> None:
        """Refuse (503) what is not available in maintenance mode; clients look for these two words."""
        if self.maintenance:
            raise ApiError(503, "Unavailable", f"The API is in maintenance mode. {what}")

    async def count(self, request: web.BaseRequest, count: Steps[T], *, slow: bool = False) -> T:
        """Return what a count finds, for as long as the client waits for it."""
        return await self.counting.run(count, is_wanted=lambda: request.transport is not None, slow=slow)

    def source(self, identifier: str) -> JsonObject:
        """Return the data source that a path names.

        Raises:
            ApiError: 404, there is none.
        """
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", identifier):
            raise InvalidQuery("identifier", f"{identifier!r} is not a whole number")
        record = self.sources.get(int(identifier))
        if record is None:
            raise no_such_source(int(identifier))
        return record

    def owned_source(self, request: web.BaseRequest, identifier: str) -> JsonObject:
        """Return a data source that the caller may change: as its owner, or as an administrator."""
        account = self.accounts.require(request, "Owner")
        record = self._named_source(identifier)
        if account.role != "Administrator" and record["owner"] != account.email_address:
            raise _not_theirs(account, "change", record)
        return record

    def maintained_source(self, request: web.BaseRequest, identifier: str) -> JsonObject:
        """Return a data source whose records the caller may change: as owner, maintainer or administrator."""
        account = self.accounts.require(request, "Maintainer")
        record = self._named_source(identifier)
        theirs = [*record["maintainers"]]
        if account.may_act_as("Owner"):
            theirs.append(record["owner"])
        if account.role != "Administrator" and account.email_address not in theirs:
            raise _not_theirs(account, "change the records of", record)
        return record

    def _named_source(self, identifier: str) -> JsonObject:
        record = self.source(identifier)
        if record["identifier"] < 0:
            raise InvalidQuery("identifier", f"{identifier} is internal: it stands for a custom location of searches")
        return record

    def filtered(self, request: web.BaseRequest) -> list[JsonObject]:
        """Return the data sources that the query string means."""
        names = ("program", "platform", "instrument_type", "source_type", "owner")
        wanted = {name: request.query.get(name) for name in names}
        kind = wanted["source_type"]
        if kind is not None and kind not in SOURCE_TYPES:
            raise InvalidQuery("source_type", f"{kind!r} is unknown; use one of {', '.join(SOURCE_TYPES)}")
        return self.sources.matching(**wanted)


def _not_theirs(account: Account, verb: str, record: Mapping[str, Any]) -> ApiError:
    message = f"{account.email_address} ({account.role}) may not {verb} data source {record['identifier']}"
    return ApiError(403, "NotPermitted", message)


def level_of(request: web.BaseRequest) -> str:
    """Return how much of a data source is asked for."""
    return check_level(request.query.get("format"), "format")


def no_such_source(identifier: int) -> ApiError:
    """Return the answer to an identifier that is not a data source's; the text is compared by clients."""
    return ApiError(404, "NotFound", f"No Data Source record found in AuroraX for identifier {identifier}")


def no_such_request(request_id: str) -> ApiError:
    """Return the answer to an identifier that is not a request's."""
    return ApiError(404, "NotFound", f"No search request record found in AuroraX for identifier {request_id}")
