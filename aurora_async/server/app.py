"""The local services: settings, start and stop.

They share a port; only the object store of IMAP has one of its own, as it is another host than the rest of the service.

`LocalService` runs inside a program (tests, demos); `serve` is the whole of `aurora-async serve`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import anyio
import attrs
from aiohttp import web
from attrs.validators import ge, optional

from aurora_async.errors import InvalidInput
from aurora_async.server.aurorax.accounts import hash_password
from aurora_async.server.aurorax.routes import AuroraXService
from aurora_async.server.aurorax.sources import published_sources
from aurora_async.server.faults import Faults
from aurora_async.server.files import FileRoutes
from aurora_async.server.home import home_page
from aurora_async.server.imap.service import ImapService
from aurora_async.server.imap.settings import ImapSettings
from aurora_async.server.jobs import Jobs
from aurora_async.server.jsoc.service import JsocService
from aurora_async.server.jsoc.settings import JsocSettings
from aurora_async.server.rules import FaultRule
from aurora_async.server.site import Routes
from aurora_async.server.store import Account, Login, Store

__all__ = ["Account", "ImapSettings", "JsocSettings", "LocalService", "Login", "ServiceSettings", "serve"]

logger = logging.getLogger(__name__)


def _default_workers() -> int:
    # What this process may use, which in a container is often less than what the machine has.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, usable)


def _show_no_keys(keys: Mapping[str, Account]) -> str:
    return f"<{len(keys)} keys>"


@attrs.frozen(kw_only=True)
class ServiceSettings:
    """What a local service can be told."""

    host: str = "127.0.0.1"
    port: int = attrs.field(default=0, validator=[ge(0), attrs.validators.le(65535)])
    """0 takes a free one."""
    data_dir: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    """Where everything is kept; None keeps it in a temporary folder until the service stops."""
    days_dir: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    """Where computed days of ephemeris are kept, if not in `data_dir`; services may share one."""
    api_keys: Mapping[str, Account] = attrs.field(factory=dict, repr=_show_no_keys)
    """The accounts, by API key."""
    logins: tuple[Login, ...] = ()
    """The accounts with a password, which is exchanged for a token that lives for a while."""
    token_life_s: float = attrs.field(default=1800.0, validator=attrs.validators.gt(0))
    """How long a token lives after its last use."""
    maintenance: bool = False
    """Start in maintenance mode, in which data sources and their records are not changed (503).

    False leaves it as it is: a service that was in maintenance mode when it ended still is.
    """
    product_urls: Literal["published", "local"] = attrs.field(
        default="published", validator=attrs.validators.in_(("published", "local"))
    )
    """Where the URLs of data products lead: to where the real ones are published, or to copies in this service.

    Copies are made up. Their records say what the published URL is, as `published_url` in the metadata.
    """
    workers: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Worker processes at most; 0 computes in threads, None takes one per core, up to four."""
    server_time_s: float = attrs.field(default=0.0, validator=ge(0))
    """A search is over this long after it arrived (or when it is done, if that takes longer): for tests of waiting."""
    max_body_bytes: int = attrs.field(default=4 * 1024 * 1024, validator=ge(1024))
    """Largest body of a query, a response format and the like; larger ones are answered with 413."""
    max_upload_bytes: int = attrs.field(default=1024**3, validator=ge(1024))
    """Largest upload of records; memory does not grow with it."""
    max_waiting: int = attrs.field(default=100_000, validator=ge(1))
    """Searches that may wait to be run; further ones are answered with 429."""
    jsoc: JsocSettings = attrs.field(factory=JsocSettings)
    """What JSOC can be told."""
    imap: ImapSettings = attrs.field(factory=ImapSettings)
    """What IMAP's data center can be told."""
    faults: tuple[FaultRule, ...] = ()
    """What goes wrong from the start; `LocalService.faults` changes it while the service runs."""


class LocalService:
    """The local services while they run: `async with LocalService(settings) as service: … service.base_url …`."""

    def __init__(self, settings: ServiceSettings | None = None) -> None:
        self.settings = settings or ServiceSettings()
        self.faults = Faults(self.settings.faults)
        """What goes wrong; from any thread."""
        self._port: int | None = None
        self._aurorax: AuroraXService | None = None
        self._imap: ImapService | None = None
        self._exits = AsyncExitStack()

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        if self._port is None:
            raise RuntimeError("the service is not running")
        return self._port

    @property
    def base_url(self) -> str:
        """What a client is given: `http://127.0.0.1:PORT`."""
        return self._url(self.port)

    @property
    def imap_url(self) -> str:
        """What a client of IMAP is given."""
        return f"{self.base_url}/imap"

    @property
    def imap_objects_url(self) -> str:
        """Where IMAP's object store is, to which downloads and uploads are sent on."""
        if self._imap is None:
            raise RuntimeError("the service is not running")
        return self._imap.objects_url

    def _url(self, port: int) -> str:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{port}"

    @property
    def maintenance(self) -> bool:
        """Whether the service is in maintenance mode; may be set while it runs."""
        return self._running.maintenance

    @maintenance.setter
    def maintenance(self, is_on: bool) -> None:
        self._running.maintenance = is_on

    @property
    def _running(self) -> AuroraXService:
        if self._aurorax is None:
            raise RuntimeError("the service is not running")
        return self._aurorax

    async def __aenter__(self) -> LocalService:
        async with AsyncExitStack() as exits:
            await self._start(exits)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._port = self._aurorax = self._imap = None
        with anyio.move_on_after(30, shield=True):
            await self._exits.aclose()

    async def _start(self, exits: AsyncExitStack) -> None:
        settings = self.settings
        folder = await exits.enter_async_context(_folder(settings.data_dir))
        store = await exits.enter_async_context(_open_store(folder))
        workers = _default_workers() if settings.workers is None else settings.workers
        jobs = Jobs(settings.days_dir or folder / "days", workers=workers, most_waiting=settings.max_waiting)
        await exits.enter_async_context(jobs)
        passwords = [
            (login.account, await asyncio.to_thread(hash_password, login.password)) for login in settings.logins
        ]
        await store.set_accounts(settings.api_keys, passwords)
        if settings.maintenance:
            await store.set_maintenance(True)
        aurorax = self._aurorax = AuroraXService(
            store,
            jobs,
            folder,
            server_time_s=settings.server_time_s,
            token_life_s=settings.token_life_s,
            max_upload_bytes=settings.max_upload_bytes,
        )
        exits.push_async_callback(aurorax.close)
        jsoc = JsocService(store, folder / "jsoc", settings.jsoc)
        exits.push_async_callback(jsoc.close)
        imap = self._imap = ImapService(store, folder / "imap", settings.imap)
        exits.push_async_callback(imap.close)
        await imap.open()
        routes = Routes()
        aurorax.add_routes(routes)
        imap.add_routes(routes)
        jsoc.add_routes(routes)
        routes.add("GET", "/", home_page(aurorax, jsoc, imap))
        FileRoutes().add_to(routes)
        self.faults.add_routes(routes)
        if settings.product_urls == "local" and settings.port:
            aurorax.lead_to_copies(f"{self._url(settings.port)}/files")  # what is resumed as well
        aurorax.resume()
        jsoc.resume()
        imap.resume()
        objects_port = await exits.enter_async_context(
            _listen(imap.object_routes(), self.faults, settings, settings.imap.objects_port, "imap.objects_port")
        )
        imap.lead_to(self._url(objects_port))
        self._port = await exits.enter_async_context(_listen(routes, self.faults, settings, settings.port, "port"))
        exits.callback(self.faults.close)
        if settings.product_urls == "local":
            aurorax.lead_to_copies(f"{self.base_url}/files")


@asynccontextmanager
async def _folder(data_dir: Path | None) -> AsyncIterator[Path]:
    if data_dir is not None:
        _make(data_dir)
        yield data_dir
        return
    folder = Path(tempfile.mkdtemp(prefix="aurora-async-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput("data_dir", f"{folder} cannot be made: {error.strerror}") from error


@asynccontextmanager
async def _open_store(folder: Path) -> AsyncIterator[Store]:
    store = Store(folder, first_sources=published_sources)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _listen(
    routes: Routes, faults: Faults, settings: ServiceSettings, port: int, name: str
) -> AsyncIterator[int]:
    def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]
        state = None
        if faults.is_on:
            message, writer, state = faults.begin(message, writer)
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=settings.max_body_bytes, state=state
        )

    def respond(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        return faults.answer(request, routes) if faults.is_on else routes(request)

    loop = asyncio.get_running_loop()
    # The low-level server: a framework's routing and middlewares would cost a third of the exchanges per second.
    server = web.Server(respond, request_factory=make_request, access_log=None, keepalive_timeout=75.0)
    runner = web.ServerRunner(server, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            where = f"{settings.host}:{port}"
            raise InvalidInput(name, f"cannot listen on {where}: {error.strerror}; choose another port") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def serve(settings: ServiceSettings, *, on_ready: Callable[[LocalService], object] | None = None) -> None:
    """Run the local services until SIGTERM or SIGINT.

    Args:
        settings: As for `LocalService`.
        on_ready: Called with the service when it listens.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        with suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt, which ends this as well
            loop.add_signal_handler(number, stop.set)
    try:
        async with LocalService(settings) as service:
            if on_ready is not None:
                on_ready(service)
            await stop.wait()
    finally:
        for number in signals:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
