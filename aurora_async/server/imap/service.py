"""The whole data center: its catalogue, and everything below `/imap` and on the object store's port."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aurora_async.server.imap.catalog import Catalog
from aurora_async.server.imap.downloads import DownloadRoutes
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.indexing import Indexing
from aurora_async.server.imap.jobs import JobRoutes
from aurora_async.server.imap.links import Links
from aurora_async.server.imap.metakernel import MetakernelRoutes
from aurora_async.server.imap.object_routes import ObjectRoutes
from aurora_async.server.imap.objects import Objects
from aurora_async.server.imap.query import QueryRoutes
from aurora_async.server.imap.release import ReleaseRoutes
from aurora_async.server.imap.settings import ImapSettings
from aurora_async.server.imap.spice import SpiceRoutes
from aurora_async.server.imap.uploads import UploadRoutes
from aurora_async.server.imap.webpoda import WebpodaRoutes
from aurora_async.server.site import Routes
from aurora_async.server.store import Store

__all__ = ["ImapService"]


class ImapService:
    """The data center over a store (borrowed)."""

    def __init__(self, store: Store, folder: Path, settings: ImapSettings) -> None:
        self.settings = settings
        self.catalog = Catalog(store)
        self.objects = Objects(store, self.catalog, folder)
        self.objects_url = ""
        """Where the object store listens, once it does; see `lead_to`."""
        self._store = store
        self._links = Links(store)
        self._indexing = Indexing(self.objects, self.catalog, delay_s=settings.index_s, folder=settings.files_dir)

    async def open(self) -> None:
        """Have the published files listed, or not if that is not wanted."""
        if self.settings.published:
            await self.catalog.publish()
        else:
            await self.catalog.withdraw()
        self.objects.resume()
        await self._indexing.open()

    def lead_to(self, objects_url: str) -> None:
        """Have links lead to the object store, which listens now."""
        self.objects_url = objects_url
        self._links.lead_to(urlsplit(objects_url).port or 80)

    def resume(self) -> None:
        """Go on with what a former service has left unfinished."""
        self._indexing.resume()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._indexing.close()
        await self.objects.close()

    def add_routes(self, routes: Routes) -> None:
        """Answer everything below `/imap`."""
        gateway = Gateway(self.settings)
        QueryRoutes(self.catalog, is_paged=self.settings.is_paged).add_to(gateway)
        SpiceRoutes(self.catalog).add_to(gateway)
        MetakernelRoutes(self.catalog).add_to(gateway)
        JobRoutes(self._store, self.catalog, job_s=self.settings.job_s).add_to(gateway)
        ReleaseRoutes(self.catalog, self.objects.read).add_to(gateway)
        DownloadRoutes(self.objects, self.catalog, self._links, life_s=self.settings.link_life_s).add_to(gateway)
        UploadRoutes(self.objects, self._links, life_s=self.settings.upload_link_life_s).add_to(gateway)
        gateway.add_to(routes)
        WebpodaRoutes(self.settings.webpoda_logins).add_to(routes)

    def object_routes(self) -> Routes:
        """Return what the object store's port answers."""
        return ObjectRoutes(self.objects, self._links, self._indexing, self.settings).routes()
