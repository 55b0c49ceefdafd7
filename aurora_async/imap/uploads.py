"""Files delivered to the service: it gives a presigned link for a name, and the bytes go there.

All names are looked at before anything is sent. A file counts as delivered when the store has named the MD5 of what
came, or the service shows one of its length. A link takes the same bytes any number of times, so an answer that was
lost is no reason to give up: what the service then has under the name is compared.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias
from urllib.parse import quote

import anyio
import anyio.to_thread
import attrs

from aurora_async.engine.deadline import Deadline
from aurora_async.errors import (
    AuroraError,
    Conflict,
    Forbidden,
    HttpError,
    InvalidInput,
    MalformedAnswer,
    NotFound,
    ServerError,
    TransportError,
    WrongContent,
    raise_bare,
)
from aurora_async.http import Answer, FileBody, Session, shown_url
from aurora_async.imap._asking import LINKS, ask, is_of_link
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import download_url, size_of
from aurora_async.imap.errors import AlreadyExists, LinkExpired
from aurora_async.imap.filenames import FileName, LegacyName, ScienceName, parse_name
from aurora_async.transfer.digests import etag_digest, is_md5_etag
from aurora_async.transfer.outcomes import FileOutcomes
from aurora_async.transfer.tables import table

__all__ = ["Parcel", "Upload", "Uploads", "look_at", "upload_file", "upload_files"]

_MOST_NAMED = 5
_STORED = frozenset({200, 201, 204})
_PAGES = ("text/html", "application/xhtml+xml")

Status: TypeAlias = Literal["uploaded", "exists"]
Existing: TypeAlias = Literal["refuse", "skip", "check"]


@table(shown=("path", "key", "bytes", "status", "error"), noun="file", hides_empty=True)
@attrs.frozen(kw_only=True)
class Upload:
    """What became of a file that was to be delivered: the service has it under `key`, or there is an `error`.

    `status` is `exists` where a file of this name was there before, and none was sent.
    """

    path: Path
    key: str
    bytes: int | None = None
    status: Status | None = None
    error: AuroraError | None = None

    @property
    def ok(self) -> bool:
        """True when the service has a file of this name."""
        return self.error is None


@attrs.frozen(kw_only=True)
class Uploads(FileOutcomes[Upload]):
    """What became of each file that was to be delivered."""

    record_type: ClassVar = Upload
    files: tuple[Upload, ...]

    @property
    def _wording(self) -> str:
        return "files are not delivered"


@attrs.frozen
class Parcel:
    """A file that can be delivered, and is not yet: the service will have it under `key`."""

    file: FileBody
    name: str
    """What a link is asked for by."""
    key: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.file.path

    @property
    def bytes(self) -> int:
        """How long it is."""
        return self.file.size


async def upload_file(
    session: Session,
    config: ImapConfig,
    path: Path | str,
    *,
    exists: Existing = "refuse",
    below: Path | str | None = None,
    deadline_s: float | None = None,
) -> Upload:
    """Deliver a file; see `Imap.upload`."""
    (upload,) = await upload_files(session, config, [path], exists=exists, below=below, deadline_s=deadline_s)
    if upload.error is not None:
        raise upload.error
    return upload


async def upload_files(
    session: Session,
    config: ImapConfig,
    paths: Iterable[Path | str],
    *,
    exists: Existing = "refuse",
    at_once: int = 4,
    below: Path | str | None = None,
    on_outcome: Callable[[Upload], object] | None = None,
    deadline_s: float | None = None,
) -> Uploads:
    """Deliver files, and return what became of each; see `Imap.upload_many`."""
    if exists not in ("refuse", "skip", "check"):
        raise InvalidInput("exists", f"{exists!r} is not one of 'refuse', 'skip', 'check'")
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
    deadline = Deadline(deadline_s)
    parcels = await look_at(paths, below=below)
    delivery = _Delivery(session, config, exists)
    outcomes: dict[int, Upload] = {}
    waiting = iter(enumerate(parcels))

    async def work() -> None:
        for index, parcel in waiting:  # shared: each takes the next
            outcome = outcomes[index] = await delivery.outcome(parcel)
            if on_outcome is not None:
                on_outcome(outcome)

    with deadline.scope(f"uploading {parcels[0].name if len(parcels) == 1 else f'{len(parcels)} files'}"):
        try:
            async with anyio.create_task_group() as tasks:
                for number in range(min(at_once, len(parcels))):
                    tasks.start_soon(work, name=f"upload {number}")
        except BaseExceptionGroup as group:
            raise_bare(group)
    return Uploads(files=tuple(outcomes[index] for index in range(len(parcels))))


async def look_at(paths: Iterable[Path | str], *, below: Path | str | None = None) -> tuple[Parcel, ...]:
    """Return what `upload_files` would send, in order, and send nothing.

    Args:
        paths: Of the files.
        below: As of `upload_files`.

    Raises:
        InvalidInput: Files are missing, the service does not take their names, or two have one name: all that is wrong
            with any of them.
    """
    if isinstance(paths, str | Path):
        raise InvalidInput("paths", f"{str(paths)!r} is one path; give a list of them, or upload the one")
    given = list(paths)
    if wrong := [path for path in given if not isinstance(path, str | os.PathLike)]:
        kind = type(wrong[0]).__name__
        raise InvalidInput("path", f"{kind} is not the type of a path; upload_many delivers several files")
    folder = None if below is None else Path(below)
    return await anyio.to_thread.run_sync(_parcels, [Path(path) for path in given], folder, abandon_on_cancel=True)


def _parcels(paths: list[Path], below: Path | None) -> tuple[Parcel, ...]:
    """Look at files and their names. Blocks."""
    found: dict[str, Parcel] = {}
    wrong: list[InvalidInput] = []
    for path in paths:
        try:
            parcel = _parcel(path, below)
            if (other := found.setdefault(parcel.name, parcel)) is not parcel:
                raise InvalidInput("path", f"{path} has the name of {other.path}, and the service has one of each")
        except InvalidInput as error:
            wrong.append(error)
    if len(wrong) > 1:
        first = "; ".join(str(error).splitlines()[0].removeprefix("path: ") for error in wrong[:_MOST_NAMED])
        more = f"; and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise InvalidInput("path", f"{len(wrong)} of {len(paths)} files cannot be delivered: {first}{more}")
    if wrong:
        raise wrong[0]
    return tuple(found.values())


def _parcel(path: Path, below: Path | None) -> Parcel:
    name, key = (path.name, _deliverable(path).key) if below is None else (_path_below(path, below),) * 2
    return Parcel(FileBody.at(path), name, key)


def _path_below(path: Path, folder: Path) -> str:
    path, folder = path.absolute(), folder.absolute()
    if not path.is_relative_to(folder) or ".." in path.parts:
        raise InvalidInput("path", f"{path} does not lie in {folder}")
    return path.relative_to(folder).as_posix()


def _deliverable(path: Path) -> FileName:
    name = parse_name(path)
    if isinstance(name, LegacyName):
        raise InvalidInput("path", f"{path.name} is named as files were in 2024, and the service takes such no more")
    if isinstance(name, ScienceName) and name.version.major is None:
        raise InvalidInput("path", f"{path.name} lacks the major version: v001.{name.version.minor:04d}, for example")
    return name


@attrs.frozen
class _Delivery:
    """How each of many files is sent."""

    session: Session
    config: ImapConfig
    exists: Existing

    async def outcome(self, parcel: Parcel) -> Upload:
        """Deliver one, and say what became of it."""
        upload = Upload(path=parcel.path, key=parcel.key, bytes=parcel.bytes)
        try:
            return attrs.evolve(upload, status=await self._deliver(parcel))
        except AuroraError as error:
            return attrs.evolve(upload, error=error)

    async def _deliver(self, parcel: Parcel) -> Status:
        """Send it, as often as it takes."""
        sendings = 0

        def note_sending() -> None:
            nonlocal sendings
            sendings += 1

        url = f"{self.config.service_url}/upload/{quote(parcel.name)}"
        for links_left in reversed(range(LINKS)):
            link: str | None = None
            try:
                link = await self._link(parcel)
                answer = await self.session.exchange(
                    "PUT", link, body=parcel.file, headers={"Content-Type": ""}, lane="body", sending=note_sending
                )
            except Conflict as error:
                # Sent before, without an answer: then it may be there because it arrived.
                if sendings > (link is not None) and await self._has(parcel):
                    return "uploaded"
                if self.exists == "skip" or (self.exists == "check" and await self._has(parcel)):
                    return "exists"
                raise AlreadyExists.of(error, parcel.key) from error
            except (ServerError, TransportError):
                with suppress(AuroraError):  # that the answers were lost says nothing of the bytes
                    if sendings and await self._has(parcel):
                        return "uploaded"
                raise
            except HttpError as error:
                if not is_of_link(error, url):
                    raise
                if not links_left:
                    raise LinkExpired.of(error, parcel.key) from error
            else:
                await self._confirm(parcel, answer)
                break
        return "uploaded"

    async def _link(self, parcel: Parcel) -> str:
        """Ask where to send it."""
        answer = await ask(self.session, self.config, f"upload/{quote(parcel.name)}")
        link = answer.json()
        if not isinstance(link, str) or not link.startswith(("http://", "https://")):
            raise MalformedAnswer(shown_url(answer.url), "$", "something else came where a link was expected")
        return link

    async def _has(self, parcel: Parcel) -> bool:
        """Whether the service has just these bytes under this name."""
        url = download_url(self.config, parcel.key)
        try:
            async with self.session.open("GET", url, headers={"Accept-Encoding": "identity"}) as body:
                if body.length != parcel.bytes:
                    return False
                there = _md5_in(body.headers)
                if there is None:  # stored in parts, or encrypted: the ETag says nothing, only the bytes do
                    digest = hashlib.md5(usedforsecurity=False)
                    async for chunk in body.chunks():
                        await anyio.to_thread.run_sync(digest.update, chunk)
                    there = digest.hexdigest()
        except HttpError:
            return False
        return there == await anyio.to_thread.run_sync(_md5_of, parcel.file, abandon_on_cancel=True)

    async def _confirm(self, parcel: Parcel, answer: Answer) -> None:
        """Raise unless the file has certainly arrived."""
        url = shown_url(answer.url)
        if answer.method != "PUT" or answer.status not in _STORED or _is_page(answer):
            # A redirect made a GET of it, or somebody in between, such as a page to log in, has answered for the store.
            reason = f"{answer.status} of {answer.method} came, which is no store's answer to a file; upload it again"
            raise MalformedAnswer(url, "status", reason)
        if (there := _md5_in(answer.headers)) is not None:
            sent = await anyio.to_thread.run_sync(_md5_of, parcel.file, abandon_on_cancel=True)
            if sent == there:
                return
            if sent is not None:
                reason = "what arrived is not the file: it was changed on its way; ask the SDC to remove it"
                raise WrongContent(url, parcel.path, reason, sent, there)
        try:
            size = await self._size_of(parcel)
        except Forbidden:
            return  # it has the file, and does not show it to us: more cannot be known
        if size is None:
            reason = "it was taken, and the service has no such file; upload it again"
            raise WrongContent(url, parcel.path, reason, parcel.bytes)
        if size != parcel.bytes:
            reason = f"{size} of its {parcel.bytes} bytes arrived; ask the SDC to remove it"
            raise WrongContent(url, parcel.path, reason, parcel.bytes, size)

    async def _size_of(self, parcel: Parcel) -> int | None:
        """Return how long the file is that the service has under the name; None where it has none.

        Raises:
            Forbidden: It has one, and does not show it.
        """
        for wait_s in islice(self.session.retry_policy.waits(), self.config.retries.attempts):
            try:
                return await size_of(self.session, self.config, parcel.key)
            except NotFound:
                await anyio.sleep(wait_s)
        return None


def _is_page(answer: Answer) -> bool:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGES


def _md5_in(headers: Mapping[str, str]) -> str | None:
    """Return the MD5 of what a store has, where its ETag certainly is that."""
    digest = etag_digest(headers.get("ETag")) if is_md5_etag(headers) else None
    return None if digest is None else digest.value.hex()


def _md5_of(file: FileBody) -> str | None:
    """Return that of a file; None where it is not what was sent any more. Blocks."""
    try:
        with file.path.open("rb") as opened:
            digest = hashlib.file_digest(opened, partial(hashlib.md5, usedforsecurity=False))
            return digest.hexdigest() if file.is_like(os.fstat(opened.fileno())) else None
    except OSError:
        return None
