"""Files of the service, brought into the folders that they have there: each whole and the server's, or not there.

The service redirects every download to a presigned link, which dies after a time. So a link is never kept: each try
asks for the file by its key, and goes on where the last one stopped. What a link refuses is asked for once more.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import ClassVar, TypeAlias
from urllib.parse import quote

import anyio.to_thread
import attrs

from aurora_async.display.numbers import plural, size
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import AuroraError, HttpError, InvalidInput, MalformedAnswer
from aurora_async.http import Session, shown_url
from aurora_async.imap._asking import LINKS, is_of_link, meaning_of
from aurora_async.imap._beginnings import refuse_other
from aurora_async.imap.catalog import Catalog
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.errors import LinkExpired, NoSuchFile, NotReleased
from aurora_async.imap.filenames import FileName, key_of
from aurora_async.imap.inputs import ProcessingInputs
from aurora_async.imap.models import FileRow, Metakernel
from aurora_async.imap.query import FileQuery, SpiceQuery
from aurora_async.imap.spice import TABLE_TYPES, find_kernels, find_tables
from aurora_async.transfer import Fetcher, FetchOptions, FetchOutcome, File, ensure_writable
from aurora_async.transfer.fetch import Exists
from aurora_async.transfer.outcomes import FileOutcomes, below
from aurora_async.transfer.tables import Records, table

__all__ = [
    "Download",
    "Downloadable",
    "DownloadedFile",
    "OnBytes",
    "OnOutcome",
    "Query",
    "download_files",
    "download_url",
    "find_files",
    "folder_of",
    "size_of",
]

logger = logging.getLogger(__name__)

_CONTENT_RANGE = re.compile(r"bytes 0-0/(\d+)")

Named: TypeAlias = str | PurePath | FileName | FileRow
Query: TypeAlias = FileQuery | SpiceQuery
_Some: TypeAlias = Named | Query | ProcessingInputs | Metakernel
Downloadable: TypeAlias = _Some | Iterable[_Some] | AsyncIterable[_Some]
"""What files can be asked for by: a key, a name, a row, a query, the inputs of a job, or any number of these."""


@table(shown=("key", "path", "bytes", "error"), noun="file", hides_empty=True)
@attrs.frozen(kw_only=True)
class DownloadedFile:
    """What became of one file: it is at `path`, `bytes` long, or there is an `error`.

    `fetched_bytes` of it came now; `sha256` is None where the file was here before.
    """

    key: str
    url: str | None = None
    path: Path | None = None
    bytes: int | None = None
    fetched_bytes: int = 0
    sha256: str | None = None
    error: AuroraError | None = None

    @property
    def ok(self) -> bool:
        """True when the file is here."""
        return self.error is None

    @property
    def was_there(self) -> bool:
        """True when the file was here before, and still is the server's."""
        return self.ok and self.sha256 is None


OnOutcome: TypeAlias = Callable[[DownloadedFile], object]
OnBytes: TypeAlias = Callable[[str, int, int | None], object]


@attrs.frozen(kw_only=True)
class Download(FileOutcomes[DownloadedFile]):
    """The files that are below `folder` now, those that are not, and why."""

    record_type: ClassVar = DownloadedFile
    folder: Path
    files: tuple[DownloadedFile, ...]

    @property
    def fetched_bytes(self) -> int:
        """How much came now."""
        return sum(file.fetched_bytes for file in self.files)

    @property
    def _wording(self) -> str:
        return f"files are not in {self.folder}"

    def __repr__(self) -> str:
        counted = f"{plural(len(self.paths), 'file')}, {size(self.bytes)} in {self.folder}"
        there = sum(file.was_there for file in self.files)
        notes = [f"{number} {what}" for number, what in ((there, "were there"), (len(self.failed), "failed")) if number]
        return f"<Download: {', '.join([counted, *notes])}>"

    def _repr_html_(self) -> str:
        paths = (None if file.path is None else Path(below(file.path, self.folder) or "") for file in self.files)
        files = [attrs.evolve(file, path=path) for file, path in zip(self.files, paths, strict=True)]
        return Records(files, record_type=DownloadedFile)._repr_html_()


async def download_files(
    session: Session,
    config: ImapConfig,
    what: Downloadable,
    folder: Path | str | None = None,
    *,
    exists: Exists = "check",
    at_once: int = 16,
    on_outcome: OnOutcome | None = None,
    on_bytes: OnBytes | None = None,
    deadline_s: float | None = None,
) -> Download:
    """Fetch files into their folders below `folder`, and return what became of each; see `Imap.download`."""
    options = FetchOptions(exists=exists)
    folder = folder_of(config, folder)
    with Deadline(deadline_s).scope(f"downloading into {folder}"):
        files = {one.key: one for one in await _asked_for(session, config, what)}
        run = _Run(config, files, on_outcome)
        wanted = [_file(config, one.key, folder) for one in files.values() if one.ok]
        if await anyio.to_thread.run_sync(_lacks_any, folder, wanted, abandon_on_cancel=True):
            await ensure_writable(folder / ".aurora-probe")
        for refused in [one for one in files.values() if not one.ok]:
            run.end(refused)
        fetcher = Fetcher(session, options)
        while wanted:
            by_key = None if on_bytes is None else partial(_by_key, on_bytes, wanted)
            await fetcher.fetch_many(wanted, folder, at_once=at_once, on_outcome=run.note, on_bytes=by_key)
            wanted = run.asks_anew()
    return Download(folder=folder, files=tuple(files.values()))


@attrs.define
class _Run:
    """What has become of the files so far, by their keys."""

    config: ImapConfig
    files: dict[str, DownloadedFile]
    on_outcome: OnOutcome | None
    links_left: int = LINKS - 1
    expired: list[File] = attrs.field(factory=list)

    def note(self, outcome: FetchOutcome) -> None:
        """A file is over, unless it was only its link that was."""
        error = outcome.error
        if self.links_left and error is not None and is_of_link(error, outcome.file.url):
            self.expired.append(outcome.file)
        else:
            self.end(_downloaded(outcome, self.config))

    def end(self, file: DownloadedFile) -> None:
        """A file is over."""
        self.files[file.key] = file
        logger.info("downloading: GET %s: %s", file.url or file.key, file.error or file.path)
        if self.on_outcome is not None:
            self.on_outcome(file)

    def asks_anew(self) -> list[File]:
        """Return what needs another link."""
        expired, self.expired = self.expired, []
        self.links_left -= 1
        return expired


async def find_files(session: Session, config: ImapConfig, query: Query) -> Sequence[FileRow]:
    """Return what a query of either kind finds."""
    if isinstance(query, FileQuery):
        return await Catalog(session, config).find(query)
    return await (find_tables if query.type in TABLE_TYPES else find_kernels)(session, config, query)


def folder_of(config: ImapConfig, folder: Path | str | None) -> Path:
    """Return the data directory: the one given, or the client's."""
    return config.data_dir if folder is None else Path(folder).absolute()


def download_url(config: ImapConfig, key: str) -> str:
    """Return the address that redirects to a file."""
    # Without user and password, which are for the session to send: this address is shown, and noted with files.
    return f"{shown_url(config.service_url)}/download/{quote(key)}"


async def size_of(session: Session, config: ImapConfig, key: str) -> int | None:
    """Return how long a file of the service is; None where nobody says it.

    Raises:
        NotFound: The service has none of this key.
        Forbidden: It does not show it.
    """
    try:
        # One byte: a HEAD would be refused by the link it is redirected to, which is signed for GET alone.
        async with session.open("GET", download_url(config, key), headers={"Range": "bytes=0-0"}) as body:
            match = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range", ""))
            return body.length if match is None else int(match[1])
    except HttpError as error:
        if error.status != 416:
            raise
        return 0  # an empty file has no first byte


def _file(config: ImapConfig, key: str, folder: Path) -> File:
    url = download_url(config, key)
    return File(url=url, name=key, check=partial(refuse_other, url, folder / key))


def _lacks_any(folder: Path, files: Iterable[File]) -> bool:
    """Whether anything has to be written for certain. Blocks."""
    return any(not (folder / str(file.name)).exists() for file in files)


def _by_key(on_bytes: OnBytes, files: list[File], index: int, come: int, total: int | None) -> None:
    on_bytes(str(files[index].name), come, total)


async def _asked_for(session: Session, config: ImapConfig, what: Downloadable) -> list[DownloadedFile]:
    """Return the keys of what is asked for, in order; an error with those that the catalogue should not have."""
    if isinstance(what, FileQuery | SpiceQuery):
        what = await find_files(session, config, what)
    elif isinstance(what, Metakernel):
        what = what.keys
    elif isinstance(what, ProcessingInputs):
        what = what.keys()
    elif isinstance(what, str | PurePath | FileName | FileRow):
        return [_asked(what)]
    if isinstance(what, AsyncIterable):
        what = [one async for one in what]
    if not isinstance(what, Iterable):
        raise InvalidInput("what", f"{what!r} names no file: give a key, a name, a row, a query, or several of these")
    return [one for each in what for one in await _asked_for(session, config, each)]


def _asked(what: Named) -> DownloadedFile:
    is_row = not isinstance(what, str | PurePath | FileName)
    try:
        key = key_of(what)
        # What we keep ourselves lies in such folders.
        if hidden := next((part for part in key.split("/") if part.startswith(".")), None):
            raise InvalidInput("key", f"{key!r} leads into {hidden!r}, and no folder of the service is called that")
    except InvalidInput as error:
        if not is_row:
            raise
        key = str(getattr(what, "key", what))
        return DownloadedFile(key=key, error=MalformedAnswer("the catalogue", "$.file_path", error.reason))
    return DownloadedFile(key=key)


def _downloaded(outcome: FetchOutcome, config: ImapConfig) -> DownloadedFile:
    url, key, got = outcome.file.url, str(outcome.file.name), outcome.fetched
    if got is None:
        assert outcome.error is not None
        return DownloadedFile(key=key, url=url, error=_refined(outcome.error, key, url, config))
    return DownloadedFile(
        key=key, url=url, path=got.path, bytes=got.bytes, fetched_bytes=got.fetched_bytes, sha256=got.sha256
    )


def _refined(error: AuroraError, key: str, url: str, config: ImapConfig) -> AuroraError:
    """Return what an error means for a file of the service."""
    if not isinstance(error, HttpError):
        return error
    if is_of_link(error, url):
        return LinkExpired.of(error, key)
    if error.status == 404:
        return NoSuchFile.of(error, key)
    if error.status == 403 and not config.is_authenticated:
        return NotReleased.of(error, key)
    return meaning_of(error)
