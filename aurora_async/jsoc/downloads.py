"""The files of a finished export, brought here: each whole or not there, and a report of what became of every one.

Nothing a server says about names is believed: files lie in the folder that was asked for, whatever they are called
there, and what calls itself a FITS file begins like one.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, SupportsIndex
from urllib.parse import quote, unquote_plus

import anyio.to_thread
import attrs

from aurora_async.display.numbers import plural, size
from aurora_async.engine.places import digest_file
from aurora_async.errors import (
    AuroraError,
    InvalidInput,
    MalformedAnswer,
    RequestFailed,
    TargetExists,
    WrongContent,
)
from aurora_async.http import Session, shown_url
from aurora_async.jsoc.errors import NoFile
from aurora_async.jsoc.filenames import NamesTaken, name_of_record
from aurora_async.jsoc.fits import flaw_of
from aurora_async.jsoc.wire import ExportAnswer
from aurora_async.transfer import Fetcher, FetchOptions, FetchOutcome, File, ensure_writable
from aurora_async.transfer.fetch import Exists as FetchExists
from aurora_async.transfer.names import safe_name
from aurora_async.transfer.outcomes import ByteCount, FileOutcomes, below, error_document
from aurora_async.transfer.sink import save
from aurora_async.transfer.tables import Records, table

__all__ = [
    "Download",
    "DownloadOptions",
    "DownloadedFile",
    "Exists",
    "ExportedFile",
    "Names",
    "OnBytes",
    "exported_files",
    "fetch_files",
    "local_names",
    "refuse_other_content",
    "shown_id",
    "url_of",
    "without_file",
]

Names = Literal["server", "record"]
Exists = Literal["check", "skip", "replace", "refuse", "unique"]

_NO_FILE = "NoDataFile"
_WARNING = "warning="
_MOVIE = "movie"
_MOST_SHOWN = 80
_FITS_SUFFIXES = (".fits", ".fit", ".fts")
_PAGE_SUFFIXES = (".html", ".htm")
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)


@table(shown=("record", "filename", "url"), noun="file")
@attrs.frozen
class ExportedFile:
    """A file of an export: of which `record`, under which `filename`, where. `problem` says why there is none."""

    record: str
    filename: str
    url: str | None = None
    """None also for what is in an archive."""
    path: str | None = None
    """On the server, or where it would be if it were not in an archive."""
    problem: AuroraError | None = None

    @property
    def is_movie(self) -> bool:
        """Whether this is the movie, and the others are its frames."""
        return self.record.lower().startswith(_MOVIE)


def exported_files(answer: ExportAnswer, request_id: str, download_url: str) -> tuple[ExportedFile, ...]:
    """Return the files that the service lists, in its order; what it lists and has not, with its `problem`.

    Raises:
        MalformedAnswer: It lists fewer than it says there are, or paths that lead anywhere.
    """
    if answer.files is not None and len(answer.data) < answer.files:
        raise _malformed(request_id, "$.data", f"{answer.files} files announced, {len(answer.data)} listed")
    for where, path in (("$.dir", answer.dir), ("$.tarfile", answer.tarfile)):
        if path is not None and (not path.startswith("/") or not _is_sound(path)):
            raise _malformed(request_id, where, f"{path!r} is no place on the server")
    files = (
        _exported(row.record, row.filename, answer.dir, request_id, download_url, f"$.data[{index}].filename")
        for index, row in enumerate(answer.data)
    )
    return tuple(files if answer.tarfile is None else (attrs.evolve(file, url=None) for file in files))


def _malformed(request_id: str, where: str, reason: str) -> MalformedAnswer:
    return MalformedAnswer(f"export {shown_url(request_id)}", where, reason)


def _exported(
    record: str, filename: str, folder: str | None, request_id: str, download_url: str, where: str
) -> ExportedFile:
    if record.startswith(_WARNING):
        return ExportedFile(record, filename, problem=RequestFailed(request_id, record.removeprefix(_WARNING)))
    if not filename.strip() or filename == _NO_FILE:
        return ExportedFile(record, filename, problem=NoFile(record, filename or "the service names none"))
    try:
        path = _server_path(filename, folder)
    except ValueError as error:
        return ExportedFile(record, filename, problem=_malformed(request_id, where, str(error)))
    return ExportedFile(record, filename, url_of(path, download_url), path)


def _server_path(filename: str, folder: str | None) -> str:
    """Return where a file is on the server; one that would be outside of the export's own folder is refused."""
    if not _is_sound(filename) or filename.rpartition("/")[2] in ("", "."):
        raise ValueError(f"{filename!r} cannot be the name of a file in the export's folder")
    if folder is None:
        return filename
    if filename.startswith("/"):
        raise ValueError(f"{filename!r} is not a name in the export's folder {folder!r}")
    return f"{folder.rstrip('/')}/{filename}"


def _is_sound(path: str) -> bool:
    """Whether a path leads only down, on any system."""
    return ".." not in path.split("/") and path.isprintable() and "\\" not in path


def url_of(path: str, download_url: str) -> str:
    """Return the address of a path of the server's; brackets, blanks and all that is encoded."""
    return f"{download_url}/{quote(path.lstrip('/'))}"


# What has come --------------------------------------------------------------------------------------------------------


@table(shown=("record", "path", "bytes", "error"), noun="file", hides_empty=True)
@attrs.frozen(kw_only=True)
class DownloadedFile:
    """What became of one file: it is at `path`, `bytes` long, or there is an `error`.

    `fetched_bytes` of it came now, the others were here before. `record` is None for what is of no single one.
    """

    record: str | None
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


@attrs.frozen(kw_only=True)
class Download(FileOutcomes[DownloadedFile]):
    """The files of one export that are in `folder` now, those that are not, and why."""

    record_type: ClassVar = DownloadedFile
    request_id: str
    folder: Path
    files: tuple[DownloadedFile, ...]
    archive: Path | None = None
    """The tar file, where there was one and it was kept."""

    @property
    def failed(self) -> tuple[DownloadedFile, ...]:
        """The files that should be here and are not; another download fetches just them."""
        return tuple(file for file in self.files if file.error is not None and not isinstance(file.error, NoFile))

    @property
    def missing(self) -> tuple[DownloadedFile, ...]:
        """The records that the service has no file of."""
        return tuple(file for file in self.files if isinstance(file.error, NoFile))

    @property
    def _wording(self) -> str:
        return f"files of {self.request_id} are not here"

    def manifest(self) -> dict[str, Any]:
        """Return all of it as plain objects: what came, what did not, and why; paths as they are below the folder."""
        return {
            "request_id": self.request_id,
            "folder": str(self.folder),
            "archive": below(self.archive, self.folder),
            "files": [
                {
                    "record": file.record,
                    "url": file.url,
                    "path": below(file.path, self.folder),
                    "bytes": file.bytes,
                    "sha256": file.sha256,
                    "error": error_document(file.error),
                }
                for file in self.files
            ],
        }

    async def write_manifest(self, path: Path | str) -> Path:
        """Write the manifest as JSON, whole or not at all."""
        text = json.dumps(self.manifest(), ensure_ascii=False, indent=1) + "\n"

        async def chunks() -> AsyncIterator[bytes]:
            yield text.encode()

        return (await save(chunks(), Path(path))).path

    def __repr__(self) -> str:
        here = f"{plural(len(self.paths), 'file')}, {size(self.bytes)} in {self.folder}"
        counted = ((len(self.failed), "failed"), (len(self.missing), "not on the service"))
        return (
            f"<Download {shown_id(self.request_id)}: {', '.join([here, *(f'{n} {what}' for n, what in counted if n)])}>"
        )

    def _repr_html_(self) -> str:
        paths = (None if file.path is None else Path(below(file.path, self.folder) or "") for file in self.files)
        files = [attrs.evolve(file, path=path) for file, path in zip(self.files, paths, strict=True)]
        return Records(files, record_type=DownloadedFile)._repr_html_()


def shown_id(request_id: str) -> str:
    """Return an identifier as it is read best: that of a quick export is the question itself, and may be long."""
    text = unquote_plus(request_id)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


# Bringing them --------------------------------------------------------------------------------------------------------


def _known(*allowed: str) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise InvalidInput(attribute.name, f"{value!r} is none of {', '.join(map(repr, allowed))}")

    return check


def _as_indices(index: SupportsIndex | Iterable[SupportsIndex] | None) -> tuple[int, ...] | None:
    if index is None:
        return None
    try:
        places = tuple(index) if isinstance(index, Iterable) else (index,)
        # A truth value is a number to Python, and a mask of them would be taken for places 0 and 1.
        if any(isinstance(one, bool) for one in places):
            raise TypeError
        return tuple(map(operator.index, places))
    except TypeError:
        raise InvalidInput("index", f"{index!r} is not one place in the list of files, or several") from None


@attrs.frozen(kw_only=True)
class DownloadOptions:
    """How the files of an export are named and fetched.

    Attributes:
        names: `server`: as the service calls them; `record`: by series, primary keys and segment. Files that come as
            they are stored (`url_quick`) all have the name of their segment there, and are named by record always.
        exists: What a file that is there already means. `check`: it is kept if it is the server's, by length and date
            (`FetchOptions.exists`); that of another export, processed differently, is told apart by address and ETag
            where the file system keeps extended attributes: elsewhere, give each export a folder. `skip`: it is kept
            unseen; `replace`; `refuse` (`TargetExists`); `unique`: the new one is called `….1`.
        extract: Take the files out of a tar archive.
        keep_tar: Keep the archive as well, so that another download need not fetch it again.
        index: Which files of the list, None for all.
        sha256: Compute the digests also of files that were here before; those that come have theirs anyway.
    """

    names: Names = attrs.field(default="server", validator=_known("server", "record"))
    exists: Exists = attrs.field(default="check", validator=_known("check", "skip", "replace", "refuse", "unique"))
    extract: bool = True
    keep_tar: bool = True
    index: tuple[int, ...] | None = attrs.field(default=None, converter=_as_indices)
    sha256: bool = True

    @property
    def fetching(self) -> FetchOptions:
        """The same for one file. A name that was free when it was chosen must not be replaced either."""
        exists: FetchExists = "refuse" if self.exists == "unique" else self.exists
        return FetchOptions(exists=exists)

    def chosen(self, files: Sequence[ExportedFile]) -> list[int]:
        """Return the places of the wanted files, in the order they were asked for, each once."""
        if self.index is None:
            return list(range(len(files)))
        for one in self.index:
            if not -len(files) <= one < len(files):
                raise InvalidInput("index", f"{one} is not a place in the list of {len(files)} files")
        return list(dict.fromkeys(one % len(files) for one in self.index))


OnBytes = Callable[[int], object]


async def fetch_files(
    session: Session,
    files: Sequence[ExportedFile],
    folder: Path,
    options: DownloadOptions,
    *,
    by_record: bool,
    at_once: int,
    on_bytes: OnBytes,
) -> list[DownloadedFile]:
    """Fetch the files of an export into a folder, and return what became of each.

    Args:
        session: Borrowed.
        files: What there is.
        folder: Made where it is missing.
        options: Which of them, and how.
        by_record: Whether only the record tells names apart.
        at_once: How many at one moment; the limits of the session's configuration hold as well.
        on_bytes: Told how many bytes of all files have come.

    Raises:
        InvalidInput: The index names what there is not.
        TargetNotWritable: The folder cannot be made or written.
    """
    chosen = options.chosen(files)
    by_record = by_record or options.names == "record"
    names = await anyio.to_thread.run_sync(partial(local_names, files, by_record=by_record))
    found = {at: without_file(files[at]) for at in chosen}
    wanted = [at for at in chosen if files[at].problem is None]
    if wanted:
        await ensure_writable(folder / ".aurora-probe")
    fetcher = Fetcher(session, options.fetching)
    while wanted:
        # One address under one name is one file, however many records it is listed for.
        places = {names[at]: names[at] for at in wanted}
        if options.exists == "unique":
            places = await _free_names(folder, places)
        tasks = {places[names[at]]: _file(places[names[at]], files[at], folder) for at in wanted}
        outcomes = await fetcher.fetch_many(tasks.values(), folder, at_once=at_once, on_bytes=ByteCount(on_bytes))
        by_name = dict(zip(tasks, outcomes, strict=True))
        found |= {at: await _told(files[at], by_name[places[names[at]]], options.sha256) for at in wanted}
        # Somebody was faster to take a name that was free: the next one, then.
        wanted = [at for at in wanted if options.exists == "unique" and isinstance(found[at].error, TargetExists)]
    return [found[at] for at in chosen]


def local_names(files: Sequence[ExportedFile], *, by_record: bool, taken: Iterable[str] = ()) -> dict[int, str]:
    """Return the name of every file there is, chosen or not, so that each has the same one whatever is chosen.

    None gets one of those that are `taken`.
    """
    given, names, by_path = NamesTaken(), dict[int, str](), dict[str, str]()
    for name in taken:
        given.add(name)
    for at, file in enumerate(files):
        if file.path is None:
            continue
        if not by_record and file.path in by_path:
            names[at] = by_path[file.path]
            continue
        wanted = name_of_record(file.record, file.filename) if by_record else None
        names[at] = by_path[file.path] = given.add(wanted or safe_name(file.filename))
    return names


async def _free_names(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return for each name one that nothing in the folder has."""

    def look() -> set[str]:
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    there = await anyio.to_thread.run_sync(look)
    taken = NamesTaken()
    return {name: taken.add(name, there) for name in names}


def _file(name: str, file: ExportedFile, folder: Path) -> File:
    assert file.url is not None, "those without were left out"
    return File(url=file.url, name=name, check=partial(_check, file.filename, file.url, folder / name))


def _check(filename: str, url: str, target: Path, path: Path) -> None:
    with path.open("rb") as file:
        refuse_other_content(filename, file, path.stat().st_size, url, target)


def refuse_other_content(filename: str, file: BinaryIO, size: int, url: str, target: Path) -> None:
    """Refuse what is not what it is called: a FITS file that is none or was cut, a page that tells of an error.

    The file begins where `file` stands, and is `size` bytes long.
    """
    name, flaw = filename.lower(), None
    if name.endswith(_FITS_SUFFIXES):
        flaw = flaw_of(file, size)
    elif not name.endswith(_PAGE_SUFFIXES) and _PAGE.match(head := file.read(min(size, 512))):
        flaw = f"a web page came instead: {' '.join(head.decode('latin1').split())[:60]!r}"
    if flaw is not None:
        raise WrongContent(url, target, flaw)


def without_file(file: ExportedFile) -> DownloadedFile:
    """Return what becomes of one that the service lists and has not."""
    return DownloadedFile(record=file.record, url=file.url, error=file.problem)


async def _told(file: ExportedFile, outcome: FetchOutcome, sha256: bool) -> DownloadedFile:
    got = outcome.fetched
    if got is None:
        return DownloadedFile(record=file.record, url=file.url, error=outcome.error)
    digest = got.sha256
    if digest is None and sha256:
        digest = await anyio.to_thread.run_sync(digest_file, got.path, abandon_on_cancel=True)
    return DownloadedFile(
        record=file.record,
        url=file.url,
        path=got.path,
        bytes=got.bytes,
        fetched_bytes=got.fetched_bytes,
        sha256=digest,
    )
