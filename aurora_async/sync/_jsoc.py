"""JSOC, blocking: what `aurora_async.jsoc` has, under the same names, without `await`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aurora_async.config import Config
from aurora_async.engine import RequestId
from aurora_async.engine import Run as AsyncRun
from aurora_async.jsoc import Download, DownloadOptions, ExportQuery, JsocServer
from aurora_async.jsoc import Export as AsyncExport
from aurora_async.jsoc import Jsoc as AsyncJsoc
from aurora_async.jsoc.downloads import Names
from aurora_async.jsoc.exports import Exportable, export_queries
from aurora_async.jsoc.filenames import FileNameFormat
from aurora_async.jsoc.processing import Protocol, Step
from aurora_async.jsoc.queries import Method
from aurora_async.sync._batch import Batch
from aurora_async.sync._client import BlockingClient
from aurora_async.sync._loop import the_loop
from aurora_async.sync._requests import Events, Handle, Run, read_aside
from aurora_async.sync._verbs import blocking

__all__ = ["Export", "Jsoc", "write_manifest"]


def write_manifest(download: Download, path: Path | str) -> Path:
    """Write what became of the files of an export as JSON, whole or not at all: `Download.write_manifest`."""
    return the_loop().run(download.write_manifest, path)


class Export(Handle):
    """One export; see `aurora_async.jsoc.Export`. Ctrl-C while it is waited for gives it up, where that can be."""

    @property
    def directory(self) -> str | None:
        """The folder on the server, once the export is known to be finished; None for files that lie where they are."""
        found: str | None = self._asynchronous.directory
        return found

    @property
    def tarfile(self) -> str | None:
        """The archive on the server, likewise; None where there is none."""
        found: str | None = self._asynchronous.tarfile
        return found

    @property
    def keywords_url(self) -> str | None:
        """Where a list of all keywords is, likewise; None where they are in the files themselves."""
        found: str | None = self._asynchronous.keywords_url
        return found

    files = blocking(AsyncExport.files)
    download = blocking(AsyncExport.download)


class Jsoc(BlockingClient[AsyncJsoc]):
    """JSOC, or another DRMS service, blocking; see `aurora_async.Jsoc`.

    It is opened by the first call, from whichever thread, and closed by `close`, at the end of a `with` block, or at
    the latest when the interpreter ends. It works in scripts and in notebooks alike, whose own event loop it does not
    need. Ctrl-C cancels what the call has started.

    Attributes:
        events: What happens to its exports.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        server: str | JsocServer = "jsoc",
        base_url: str | None = None,
        email: str | None = None,
        requestor: str | None = None,
    ) -> None:
        """Make a client; nothing is opened yet, and nothing is sent."""
        super().__init__(AsyncJsoc(config, server=server, base_url=base_url, email=email, requestor=requestor))
        self._again = partial(Jsoc, config, server=server, base_url=base_url, email=email, requestor=requestor)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, here or in another process, is a client of its own that is not open yet.
        return self._again, ()

    @property
    def config(self) -> Config:
        """All settings."""
        return self._asynchronous.config

    @property
    def server(self) -> JsocServer:
        """The service."""
        return self._asynchronous.server

    @property
    def email(self) -> str | None:
        """The address that exports are made for."""
        return self._asynchronous.email

    @property
    def requestor(self) -> str | None:
        """The name that exports are made under; None: what stands before the @."""
        return self._asynchronous.requestor

    @property
    def events(self) -> Events:
        """What happens to this client's exports, for progress displays and logs."""
        return Events(self, "events")

    series = blocking(AsyncJsoc.series)
    info = blocking(AsyncJsoc.info)
    keys = blocking(AsyncJsoc.keys)
    pkeys = blocking(AsyncJsoc.pkeys)
    query = blocking(AsyncJsoc.query)
    count = blocking(AsyncJsoc.count)
    check_email = blocking(AsyncJsoc.check_email)
    register_email = blocking(AsyncJsoc.register_email)
    pending = blocking(AsyncJsoc.pending)
    cancel_pending = blocking(AsyncJsoc.cancel_pending)
    search = blocking(AsyncJsoc.search)
    ask = blocking(AsyncJsoc.ask)
    download = blocking(AsyncJsoc.download)

    def export(
        self,
        what: Exportable,
        *,
        method: Method = "url_quick",
        protocol: str | Protocol = "as-is",
        protocol_args: Mapping[str, Any] | None = None,
        filename_format: str | FileNameFormat | None = None,
        process: Mapping[str, Mapping[str, Any]] | Iterable[Step] | None = None,
        n: int | None = None,
        size_ratio: float | None = None,
        email: str | None = None,
        requestor: str | None = None,
        deadline_s: float | None = None,
    ) -> Export:
        """Ask for the files of records, and return the export; see `aurora_async.Jsoc.export`."""
        asynchronous = self._loop.run(
            self._asynchronous.export, what,
            method=method, protocol=protocol, protocol_args=protocol_args, filename_format=filename_format,
            process=process, n=n, size_ratio=size_ratio, email=email, requestor=requestor, deadline_s=deadline_s,
        )  # fmt: skip
        return Export(self, asynchronous)

    def resume(self, export_id: RequestId) -> Export:
        """Return an export that was made before, here or anywhere. Asks the service nothing yet."""

        async def resumed() -> AsyncExport:
            return self._asynchronous.resume(export_id)

        return Export(self, self._loop.run(resumed))

    def run(
        self,
        exports: Iterable[Exportable],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        name: Callable[[int, ExportQuery], str] | None = None,
        options: DownloadOptions | None = None,
        deadline_s: float | None = None,
    ) -> Run[ExportQuery]:
        """Make many exports, and give their outcomes in order of completion; see `aurora_async.Jsoc.run`.

        `exports` is iterated in a thread of its own, and may make blocking calls; `name` is called in the loop's
        thread, and may not.
        """

        queries = export_queries(exports)

        async def make() -> AsyncRun[ExportQuery]:
            return self._asynchronous.run(
                read_aside(queries, 1), at_once=at_once, folder=folder, name=name, options=options,
                deadline_s=deadline_s,
            )  # fmt: skip

        return Run(self, self._loop.run(make))

    def batch(
        self,
        folder: Path | str,
        exports: Iterable[Exportable] | Mapping[str, Exportable] = (),
        *,
        names: Names = "server",
    ) -> Batch:
        """Keep many exports in a folder, so that they survive whatever ends this process; see `aurora_async.Batch`."""
        given = exports if isinstance(exports, Mapping) else list(export_queries(exports))
        return Batch(self, lambda: self._asynchronous.batch(folder, given, names=names))
