"""The whole JSOC: its catalogue, and everything below `/cgi-bin` and the file area."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aurora_async.server.jsoc.addresses import Addresses
from aurora_async.server.jsoc.area import AreaRoutes
from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.exports import Exports
from aurora_async.server.jsoc.fetch import FetchRoutes
from aurora_async.server.jsoc.info import InfoRoutes
from aurora_async.server.jsoc.settings import JsocSettings
from aurora_async.server.jsoc.structure import Series
from aurora_async.server.site import Routes
from aurora_async.server.store import Store

__all__ = ["JsocService"]


class JsocService:
    """JSOC over a store (borrowed)."""

    def __init__(self, store: Store, folder: Path, settings: JsocSettings) -> None:
        self.settings = settings
        self._catalog = Catalog()
        self._addresses = Addresses(store, settings)
        self._info = InfoRoutes(self._catalog, settings.offline)
        self._exports = Exports(
            store,
            self._catalog,
            folder / "exports",
            settings,
            self._addresses.refusal,
        )

    def series(self) -> Sequence[Series]:
        """Return the series that have records."""
        return self._catalog.with_records()

    def resume(self) -> None:
        """Go on with the exports that a former service has left unfinished."""
        self._exports.resume()

    async def close(self) -> None:
        """Stop what is being prepared."""
        await self._exports.close()

    def add_routes(self, routes: Routes) -> None:
        """Answer everything below `/cgi-bin`, and the file area."""
        self._info.add_to(routes)
        self._addresses.add_to(routes)
        FetchRoutes(self._exports, self._catalog).add_to(routes)
        AreaRoutes(self._exports, self._catalog).add_to(routes)
