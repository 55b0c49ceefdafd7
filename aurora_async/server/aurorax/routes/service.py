"""The whole AuroraX service: its parts, and every endpoint below `/api/v1`."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from aurora_async.server.aurorax.accounts import Accounts
from aurora_async.server.aurorax.counting import Counting
from aurora_async.server.aurorax.planning import Planner
from aurora_async.server.aurorax.routes._core import Core
from aurora_async.server.aurorax.routes.accounts import AccountRoutes
from aurora_async.server.aurorax.routes.admin import AdminRoutes
from aurora_async.server.aurorax.routes.availability import AvailabilityRoutes
from aurora_async.server.aurorax.routes.records import RecordRoutes
from aurora_async.server.aurorax.routes.searches import SearchRoutes
from aurora_async.server.aurorax.routes.sources import SourceRoutes
from aurora_async.server.aurorax.routes.utilities import UtilityRoutes
from aurora_async.server.aurorax.searches import Searches
from aurora_async.server.aurorax.sources import DataSources
from aurora_async.server.jobs import Jobs
from aurora_async.server.site import Handler, Routes
from aurora_async.server.store import Store

__all__ = ["AuroraXService"]


class AuroraXService:
    """The AuroraX search API over a store and the jobs that run its searches (both borrowed).

    Args:
        store: Where everything is kept.
        jobs: Who runs searches.
        folder: Where result files and bodies of large uploads go.
        server_time_s: A search is over this long after it arrived at the earliest.
        token_life_s: How long an access token lives after its last use.
        max_upload_bytes: The largest upload; larger ones are answered with 413.
    """

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        folder: Path,
        *,
        server_time_s: float,
        token_life_s: float,
        max_upload_bytes: int,
    ) -> None:
        self.sources = DataSources(store.data_sources(), store.path, store.changed_data_sources())
        planner = Planner(self.sources, jobs.days_folder, store.path)
        self._planner = planner
        self._searches = Searches(store, jobs, folder / "results", server_time_s=server_time_s, plan=planner.plan)
        self._core = core = Core(
            store=store,
            jobs=jobs,
            accounts=Accounts(store, token_life_s=token_life_s),
            sources=self.sources,
            counting=Counting(),
            planner=planner,
            searches=self._searches,
            maintenance=store.maintenance(),
        )
        self._topics = (
            SearchRoutes(core),
            SourceRoutes(core),
            RecordRoutes(core, folder / "uploads", max_upload_bytes),
            AvailabilityRoutes(core),
            UtilityRoutes(core),
            AdminRoutes(core),
        )

    @property
    def maintenance(self) -> bool:
        """Whether the service is in maintenance mode: what would change its data sources or records is refused."""
        return self._core.maintenance

    @maintenance.setter
    def maintenance(self, is_on: bool) -> None:
        self._core.maintenance = is_on
        self._core.store.set_maintenance(is_on)

    def lead_to_copies(self, files_root: str) -> None:
        """Have the addresses of data products that are searched for lead to copies below `files_root`."""
        self._planner.files_root = files_root

    def resume(self) -> None:
        """Run what a former service has left unfinished."""
        self._searches.resume()

    async def close(self) -> None:
        """Stop what is being prepared."""
        await self._searches.close()
        await self._core.counting.close()

    def add_routes(self, routes: Routes) -> None:
        """Answer everything below `/api/v1`."""
        AccountRoutes(self._core).add_to(routes)
        guarded = _Guarded(routes, self._core.accounts)
        for topic in self._topics:
            topic.add_to(guarded)


class _Guarded(Routes):
    """Routes whose handlers never see a token that is not valid: also where nobody need be logged in."""

    def __init__(self, routes: Routes, accounts: Accounts) -> None:
        self._routes = routes
        self._accounts = accounts

    def add(self, method: str, path: str, handler: Handler) -> None:
        async def guarded(request: web.BaseRequest, *variables: str) -> web.StreamResponse:
            if "Authorization" in request.headers:
                self._accounts.of(request)
            return await handler(request, *variables)

        self._routes.add(method, path, guarded)
