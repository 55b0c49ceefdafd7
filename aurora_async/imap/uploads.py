"""Files delivered to the archive: the service gives a presigned link for a name, and the bytes go there.

All names are looked at before anything is sent. A link takes the same bytes any number of times, so an answer that was
lost is no reason to give up; only when the service then says that the file exists must one find out whose it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
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
    HttpError,
    InvalidInput,
    MalformedAnswer,
    WrongContent,
    raise_bare,
)
from aurora_async.http import Answer, FileBody, Session, shown_url
from aurora_async.imap._asking import ask
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import download_url
from aurora_async.imap.errors import AlreadyExists, LinkExpired
from aurora_async.imap.filenames import FileName, LegacyName, ScienceName, parse_name
from aurora_async.transfer.outcomes import FileOutcomes
from aurora_async.transfer.tables import table

__all__ = ["Upload", "Uploads", "upload_files"]

_LINKS = 3
_LINK_REFUSED = frozenset({400, 401, 403})
_MOST_NAMED = 5
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')

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
class _Parcel:
    """A file, and what it is asked a link for."""

    file: FileBody
    name: str
    key: str


async def upload_file(
    session: Session,
    config: ImapConfig,
    path: Path | str,
    *,
    exists: Existing = "refuse",
    below: Path | None = None,
    deadline_s: float | None = None,
) -> Upload:
    """Deliver a file to the archive. Arguments are those of `upload_files`.

    Raises:
        InvalidInput: The file is missing, or its name is none that the archive takes. Nothing was sent.
        AlreadyExists, HttpError, TransportError, WrongContent: It is not delivered.
        DeadlineExceeded: Time ran out.

    Source: IMAP SDC, GET upload/<name>, PUT to the link it gives.
    """
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
    below: Path | None = None,
    on_outcome: Callable[[Upload], object] | None = None,
    deadline_s: float | None = None,
) -> Uploads:
    """Deliver files to the archive, which chooses the folder by the name. One that fails does not stop the others.

    Args:
        session: Borrowed.
        config: Where the service is.
        paths: Of the files.
        exists: What a file that the archive has already means. `refuse`: `AlreadyExists`; `skip`: nothing; `check`:
            nothing if it is the same, byte for byte, else `AlreadyExists`.
        at_once: How many are sent at one moment.
        below: Names are not looked at, and the path below this folder is asked for: as it was until 2024.
        on_outcome: Told of each file when it is over.
        deadline_s: Seconds for all of it.

    Raises:
        InvalidInput: A file is missing, or its name is none that the archive takes. Nothing was sent.
        DeadlineExceeded: Time ran out.

    Source: IMAP SDC, GET upload/<name>, PUT to the link it gives.
    """
    if isinstance(paths, str | Path):
        raise InvalidInput("paths", f"{str(paths)!r} is one path; give a list of them, or upload the one")
    if exists not in ("refuse", "skip", "check"):
        raise InvalidInput("exists", f"{exists!r} is none of 'refuse', 'skip', 'check'")
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
    deadline = Deadline(deadline_s)
    parcels = await _parcels(list(paths), below)
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


async def _parcels(paths: list[Path | str], below: Path | None) -> list[_Parcel]:
    """Look at all files and names; what is wrong with any of them is told before anything is sent."""
    found: dict[str, _Parcel] = {}
    wrong: list[InvalidInput] = []
    for path in paths:
        try:
            parcel = await _parcel(Path(path), below)
            if (other := found.setdefault(parcel.name, parcel)) is not parcel:
                raise InvalidInput("path", f"{path} has the name of {other.file.path}, and the archive has one of each")
        except InvalidInput as error:
            wrong.append(error)
    if len(wrong) > 1:
        first = "; ".join(str(error).splitlines()[0].removeprefix("path: ") for error in wrong[:_MOST_NAMED])
        more = f"; and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise InvalidInput("path", f"{len(wrong)} of {len(paths)} files cannot be delivered: {first}{more}")
    if wrong:
        raise wrong[0]
    return list(found.values())


async def _parcel(path: Path, below: Path | None) -> _Parcel:
    name, key = (path.name, _deliverable(path).key) if below is None else (_path_below(path, below),) * 2
    return _Parcel(await FileBody.of(path), name, key)


def _path_below(path: Path, folder: Path) -> str:
    path, folder = path.absolute(), folder.absolute()
    if not path.is_relative_to(folder) or ".." in path.parts:
        raise InvalidInput("path", f"{path} does not lie in {folder}")
    return path.relative_to(folder).as_posix()


def _deliverable(path: Path) -> FileName:
    name = parse_name(path)
    if isinstance(name, LegacyName):
        raise InvalidInput("path", f"{path.name} is named as files were in 2024, and the archive takes such no more")
    if isinstance(name, ScienceName) and name.version.major is None:
        raise InvalidInput("path", f"{path.name} lacks the major version: v001.{name.version.minor:04d}, for example")
    return name


@attrs.frozen
class _Delivery:
    """How each of many files is sent."""

    session: Session
    config: ImapConfig
    exists: Existing

    async def outcome(self, parcel: _Parcel) -> Upload:
        """Deliver one, and say what became of it."""
        told = Upload(path=parcel.file.path, key=parcel.key, bytes=parcel.file.size)
        try:
            return attrs.evolve(told, status=await self._deliver(parcel))
        except AuroraError as error:
            return attrs.evolve(told, error=error)

    async def _deliver(self, parcel: _Parcel) -> Status:
        """Send it, as often as it takes."""
        sendings = 0

        def note_sending() -> None:
            nonlocal sendings
            sendings += 1

        for links_left in reversed(range(_LINKS)):
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
            except HttpError as error:
                if link is None or error.status not in _LINK_REFUSED:
                    raise
                if not links_left:
                    raise LinkExpired.of(error, parcel.key) from error
            else:
                await self._verify(parcel, answer)
                break
        return "uploaded"

    async def _link(self, parcel: _Parcel) -> str:
        """Ask where to send it."""
        answer = await ask(self.session, self.config, f"upload/{quote(parcel.name)}")
        link = answer.json()
        if not isinstance(link, str) or not link.startswith(("http://", "https://")):
            raise MalformedAnswer(shown_url(answer.url), "$", "something else came where a link was expected")
        return link

    async def _has(self, parcel: _Parcel) -> bool:
        """Whether the archive has just these bytes under this name."""
        url = download_url(self.config, parcel.key)
        try:
            async with self.session.open("GET", url, headers={"Accept-Encoding": "identity"}) as body:
                if body.length != parcel.file.size:
                    return False
                promised = _md5_of(body.headers)
                if promised is None:  # stored in parts, or encrypted: the ETag says nothing, only the bytes do
                    found = hashlib.md5(usedforsecurity=False)
                    async for chunk in body.chunks():
                        await anyio.to_thread.run_sync(found.update, chunk)
                    promised = found.hexdigest()
        except HttpError:
            return False
        return promised == await anyio.to_thread.run_sync(_md5, parcel.file.path, abandon_on_cancel=True)

    async def _verify(self, parcel: _Parcel, answer: Answer) -> None:
        """Compare what the store says it got with what was sent."""
        promised = _md5_of(answer.headers)
        if promised is None:
            return
        sent = await anyio.to_thread.run_sync(_md5, parcel.file.path, abandon_on_cancel=True)
        if sent != promised:
            reason = "what arrived is not the file: it was changed on its way; ask the archive's people to remove it"
            raise WrongContent(shown_url(answer.url), parcel.file.path, reason, sent, promised)


def _md5_of(headers: Mapping[str, str]) -> str | None:
    """Return the MD5 that an ETag is, when the object was stored in one piece, and not encrypted with a key."""
    match = _MD5.fullmatch(headers.get("ETag", ""))
    is_plain = headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
    return match[1] if match is not None and is_plain else None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
