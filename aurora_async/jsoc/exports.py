"""Exports in hand: made, waited for, and their files."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import anyio

from aurora_async.display.numbers import plural
from aurora_async.engine import Engine, Phase, RequestId, RequestStatus, Run
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import EventKind
from aurora_async.engine.handle import Handle
from aurora_async.engine.manager import Work
from aurora_async.errors import DeadlineExceeded, InvalidInput, InvalidQuery, NotFound, ResultExpired
from aurora_async.jsoc.archives import fetch_archive
from aurora_async.jsoc.attrs import FoundRecords, SearchResults
from aurora_async.jsoc.downloads import (
    Download,
    DownloadOptions,
    Exists,
    ExportedFile,
    Names,
    exported_files,
    fetch_files,
    shown_id,
    url_of,
)
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.recordset import RecordSet
from aurora_async.jsoc.servers import JsocServer
from aurora_async.jsoc.service import QUICK, REQUEST_ID, ExportService, Structure, quick_query
from aurora_async.jsoc.tables import RecordTable
from aurora_async.jsoc.wire import ExportAnswer
from aurora_async.transfer.names import safe_name
from aurora_async.transfer.tables import Records

__all__ = ["Export", "Exportable", "Exports", "export_queries", "export_query", "named_queries"]

Exportable = ExportQuery | RecordSet | RecordTable | FoundRecords | SearchResults | str
"""What can be exported: a whole query, or what says which records are meant."""


def export_query(what: Any, **arguments: Any) -> ExportQuery:
    """Return the query that the arguments of a verb mean; one that is given whole takes no others."""
    defaults = {"method": "url_quick", "protocol": "as-is"}
    given = {name: value for name, value in arguments.items() if value != defaults.get(name)}
    if isinstance(what, ExportQuery):
        for name in given:
            raise InvalidQuery(name, "belongs into the ExportQuery, where one is given")
        return what
    if isinstance(what, SearchResults):
        if len(what) != 1:
            advice = "export each: `jsoc.run(found.export_queries(protocol='fits'), folder=...)`"
            raise InvalidQuery("what", f"has {plural(len(what), 'block')}; {advice}")
        what = what[0]
    if isinstance(what, FoundRecords):  # which knows its protocol, cut-out and address
        return what.export_query(**given)
    return ExportQuery(what, **given)


@overload
def export_queries(given: Iterable[Exportable]) -> Iterable[ExportQuery]: ...
@overload
def export_queries(
    given: Iterable[Exportable] | AsyncIterable[Exportable],
) -> Iterable[ExportQuery] | AsyncIterable[ExportQuery]: ...
def export_queries(given: Any) -> Any:
    """Return the query of each of many: of a sequence at once, of what else is iterated as it comes.

    Raises:
        InvalidQuery: One of them is nothing that can be exported: `exports[3]`.
    """
    if isinstance(given, SearchResults):
        return given.export_queries()
    if isinstance(given, AsyncIterable):
        return _queries_as_they_come(given)
    if isinstance(given, Exportable) or not isinstance(given, Iterable):
        raise InvalidQuery("exports", f"{given!r} is no list of exports; put one into a list, or use `download`")
    queries = (_query_at(index, one) for index, one in enumerate(given))
    return list(queries) if isinstance(given, Sequence) else queries


def named_queries(given: Mapping[str, Exportable]) -> dict[str, ExportQuery]:
    """Return the query of each of many, likewise."""
    return {name: _query_at(name, one) for name, one in given.items()}


async def _queries_as_they_come(given: AsyncIterable[Any]) -> AsyncIterator[ExportQuery]:
    index = 0
    async for one in given:
        yield _query_at(index, one)
        index += 1


def _query_at(place: int | str, what: Any) -> ExportQuery:
    try:
        if isinstance(what, Exportable):
            return export_query(what)
    except InvalidInput as error:
        error.add_note(f"in exports[{place!r}]")
        raise
    raise InvalidQuery(f"exports[{place!r}]", f"{what!r} is no record set, table of records or ExportQuery")


class Export(Handle):
    """One export: `wait()`, then `files()` or `download()`; each waits by itself too.

    A cancellation reaches the service only when nothing else of the same user is pending there.
    """

    _service: ExportService

    def __init__(
        self,
        engine: Engine,
        service: ExportService,
        request_id: RequestId,
        *,
        query: ExportQuery | None = None,
        attached: bool = True,
    ) -> None:
        """Made by `export` and `resume` of a client."""
        super().__init__(engine, service, request_id, query=query, attached=attached)
        self._read: tuple[bytes, ExportAnswer] | None = None
        self._claim = object()
        service.claim(request_id, self._claim)
        if (status := service.take_answer(request_id)) is not None:
            self._saw(status)

    def __repr__(self) -> str:
        phase = "not looked at yet" if self.status is None else self.status.phase.value
        return f"<Export {shown_id(self.request_id)}: {phase}>"

    async def cancel(self) -> None:
        """Have the service give up the export, unless it is over, or another handle here still wants it."""
        if not (await self.refresh()).phase.is_final and self._service.let_go(self.request_id, self._claim):
            await self._service.cancel(self.request_id)

    def _call_off(self) -> anyio.Event:
        if self._service.let_go(self.request_id, self._claim):
            return super()._call_off()
        ended = anyio.Event()
        ended.set()
        return ended

    @property
    def directory(self) -> str | None:
        """The folder on the server, once the export is known to be finished; None for files that lie where they are."""
        return None if self._finished is None else self._finished.dir

    @property
    def tarfile(self) -> str | None:
        """The archive on the server, likewise; None where there is none."""
        return None if self._finished is None else self._finished.tarfile

    @property
    def keywords_url(self) -> str | None:
        """Where a list of all keywords is, likewise; None where they are in the files themselves."""
        path = None if self._finished is None else self._finished.keywords
        return url_of(path, self._service.download_url) if path is not None and path.startswith("/") else None

    @property
    def _finished(self) -> ExportAnswer | None:
        if self.status is None or self.status.phase is not Phase.READY:
            return None
        return self._answer(self.status)

    def _answer(self, status: RequestStatus) -> ExportAnswer:
        if self._read is None or self._read[0] is not status.raw:
            self._read = status.raw, self._service.answer(status)
        return self._read[1]

    async def files(self, *, deadline_s: float | None = None) -> Records[ExportedFile]:
        """Wait, then return what the service lists: each file with its record and address, or why there is none."""
        return await self.list_files(Deadline(deadline_s))

    async def download(
        self,
        folder: Path | str,
        *,
        names: Names = "server",
        exists: Exists = "check",
        extract: bool = True,
        keep_tar: bool = True,
        index: int | Sequence[int] | None = None,
        sha256: bool = True,
        at_once: int | None = None,
        deadline_s: float | None = None,
    ) -> Download:
        """Wait, then fetch the files into a folder, each whole or not there; one that fails does not stop the others.

        Args:
            folder: Made where it is missing.
            names: See `DownloadOptions`, like the next five.
            exists: What a file that is there already means.
            extract: Take the files out of an archive.
            keep_tar: Keep the archive as well.
            index: Which of the files.
            sha256: Compute digests of all files.
            at_once: How many at one moment; None: `Limits.body_connections`, which bounds it in any case.
            deadline_s: Seconds for waiting and fetching together; what has come by then stays.

        Raises:
            RequestFailed, RequestCancelled, ResultExpired: As `wait`; also when the files have gone meanwhile.
            MalformedAnswer: The service lists fewer files than it announces, or names no folder of its own.
            WrongContent: An archive holds what must not be taken out of it; nothing was.
            DiskFull, TargetExists, HttpError, …: The archive itself could not be fetched. What goes wrong with single
                files, also those of an archive, is the `error` of each.
            TargetNotWritable: The folder cannot be made or written.
        """
        options = DownloadOptions(
            names=names, exists=exists, extract=extract, keep_tar=keep_tar, index=index, sha256=sha256
        )
        return await self.fetch(Path(folder), options, Deadline(deadline_s), at_once=at_once)

    # The same inside a deadline that has begun before.

    async def list_files(self, deadline: Deadline) -> Records[ExportedFile]:
        """Return what the service lists."""
        answer = self._answer(await self._ready(deadline))
        files = exported_files(answer, self.request_id, self._service.download_url)
        return Records(files, record_type=ExportedFile)

    async def fetch(
        self, folder: Path, options: DownloadOptions, deadline: Deadline, *, at_once: int | None = None
    ) -> Download:
        """Fetch the files."""
        if at_once is not None and (isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1):
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        answer = self._answer(await self._ready(deadline))
        with self._failure_told(), deadline.scope("downloading the export", self.request_id):
            try:
                download = await self._fetched(answer, folder, options, at_once)
            except NotFound:
                await self._refuse_expired()
                raise
            if any(isinstance(file.error, NotFound) for file in download.failed):
                await self._refuse_expired()
        failed = download.failed
        if failed:
            self._tell(EventKind.FAILED, error=failed[0].error)
        else:
            self._tell(EventKind.DONE, bytes=download.bytes, path=folder)
        return download

    async def _fetched(
        self, answer: ExportAnswer, folder: Path, options: DownloadOptions, at_once: int | None
    ) -> Download:
        session, url = self._engine.session, self._service.download_url
        files = exported_files(answer, self.request_id, url)

        def on_bytes(come: int) -> None:
            self._tell(EventKind.BYTES, bytes=come)

        archive: Path | None = None
        if answer.tarfile is not None:
            packed = ExportedFile("", answer.tarfile, url_of(answer.tarfile, url), answer.tarfile)
            archive, found = await fetch_archive(session, packed, files, folder, options, on_bytes=on_bytes)
        else:
            found = await fetch_files(
                session,
                files,
                folder,
                options,
                by_record=answer.dir is None,
                at_once=self._engine.config.limits.body_connections if at_once is None else at_once,
                on_bytes=on_bytes,
            )
        return Download(request_id=self.request_id, folder=folder, files=tuple(found), archive=archive)

    async def _refuse_expired(self) -> None:
        """Files that are not there any more are those of an export that has expired, if the service says so."""
        if self.request_id.startswith(QUICK):
            return
        status = await self.refresh()
        if status.phase is Phase.EXPIRED:
            raise ResultExpired(self.request_id, status.reason)

    @contextmanager
    def _failure_told(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._tell(EventKind.ended_by(error), error=error)
            raise


class Exports:
    """Makes exports, and finds those that were made. One for as long as its client is open."""

    def __init__(
        self,
        engine: Engine,
        server: JsocServer,
        structure: Structure,
        *,
        email: str | None = None,
        requestor: str | None = None,
    ) -> None:
        """Made by the client; `structure` returns that of a series."""
        self._engine = engine
        self.service = ExportService(engine, server, structure, email, requestor)

    async def submit(self, query: ExportQuery, *, deadline_s: float | None = None) -> Export:
        """Ask for an export, and return it; nothing of it is waited for, except for room where others are pending.

        Raises:
            InvalidQuery: What is asked for is not in the series.
            AddressNotRegistered, ExportTooLarge, FilesOffline, ExportRefused: The service refused.
        """
        return await self.submit_until(query, Deadline(deadline_s))

    async def submit_until(self, query: ExportQuery, deadline: Deadline) -> Export:
        """Do the same inside a deadline that has begun before."""
        try:
            request_id = await self._engine.submit(self.service, query, deadline)
        except DeadlineExceeded as error:
            if getattr(error, "__notes__", ()):
                error.add_note("asked for again within a day, it is the same export")
            raise
        return self.handle(request_id, query)

    def resume(self, export_id: RequestId) -> Export:
        """Return an export that was made before, here or anywhere. Asks the service nothing yet."""
        export_id = export_id.strip() if isinstance(export_id, str) else export_id
        if not isinstance(export_id, str) or not (export_id.startswith(QUICK) or REQUEST_ID.fullmatch(export_id)):
            raise InvalidInput("export_id", f"{export_id!r} is not an identifier such as JSOC_20240919_001")
        if export_id.startswith(QUICK):
            quick_query(export_id)
        self.service.server.check("export")
        return self.handle(export_id, attached=False)

    def handle(self, request_id: RequestId, query: ExportQuery | None = None, *, attached: bool = True) -> Export:
        """Return the handle of an export."""
        return Export(self._engine, self.service, request_id, query=query, attached=attached)

    def run(
        self,
        queries: Iterable[ExportQuery] | AsyncIterable[ExportQuery],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        name: Callable[[int, ExportQuery], str] | None = None,
        options: DownloadOptions | None = None,
        deadline_s: float | None = None,
    ) -> Run[ExportQuery]:
        """Make many exports, and give their outcomes in order of completion; `files` tells what became of each file.

        Args:
            queries: Any number, also endless or asynchronous.
            at_once: How many are under way, or wait for room, at one moment.
            folder: Where the files go, those of each export into a folder of their own; None only lists them.
            name: Gives that folder's name for the number and the query; by default the series and the number.
            options: How files are named and fetched.
            deadline_s: For each export.
        """
        Deadline(deadline_s)
        names = name or _folder_name
        taken: set[str] = set()

        async def work(index: int, query: ExportQuery, work: Work) -> None:
            deadline = Deadline(deadline_s)
            place = None if folder is None else Path(folder) / _free_name(names(index, query), taken)
            export = await self.submit_until(query, deadline)
            work.request_id = export.request_id
            if place is None:
                work.files = await export.list_files(deadline)
                return
            download = work.files = await export.fetch(place, options or DownloadOptions(), deadline)
            for file in download.failed:
                assert file.error is not None
                raise file.error

        return Run(queries, work, at_once=at_once, start=self._engine.start)


def _folder_name(index: int, query: ExportQuery) -> str:
    return f"{query.series.lower()}.{index:04d}"


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name of a folder that no other export of the run has, on any system."""
    safe = safe_name(name)
    if safe.casefold() in taken:
        raise InvalidInput("name", f"{name!r} is the folder of another export of this run already")
    taken.add(safe.casefold())
    return safe
