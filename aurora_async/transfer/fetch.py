"""Files from URLs: resumed where that is safe, verified, whole or not there, and fetched once by however many ask.

What is resumed is a version, not a name: only bytes of a version that can be told from every other (a strong ETag, or a
Last-Modified that cannot change any more) are kept, and the server is asked for the rest of just that one (`If-Range`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import attrs

from aurora_async.config import Config
from aurora_async.errors import (
    AuroraError,
    ConnectionLost,
    DeadlineExceeded,
    DiskFull,
    HttpError,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    ReadTimeout,
    TransferStalled,
    WrongContent,
    bare,
)
from aurora_async.http import Body, Session, shown_url
from aurora_async.transfer.digests import Digest, caller_digest, promised_digests
from aurora_async.transfer.leases import Claim, Progress, claim, leftovers
from aurora_async.transfer.names import name_from
from aurora_async.transfer.sink import PartFile, ensure_writable, pump

logger = logging.getLogger(__name__)

__all__ = ["Exists", "FetchOptions", "FetchOutcome", "Fetched", "Fetcher", "File", "fetch", "fetch_many"]

Exists = Literal["check", "skip", "replace", "refuse"]

LEASE_S = 30.0
_CHECKPOINT_BYTES = 64 << 20
_CHECKPOINT_S = 10.0
_PROGRESS_BYTES = 64 << 10
_WAIT_S = 0.5


@attrs.frozen
class Fetched:
    """What stands under `path` now: `bytes` long. `fetched_bytes` of them came now, the others were there before."""

    path: Path
    url: str
    bytes: int
    fetched_bytes: int
    sha256: str | None
    seconds: float
    etag: str | None = None
    last_modified: datetime | None = None

    @property
    def was_there(self) -> bool:
        """True when nothing had to be fetched."""
        return self.fetched_bytes == 0 and self.bytes > 0


def _above_zero(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
        raise InvalidInput(attribute.name, f"{value!r} is not a number above 0")


@attrs.frozen(kw_only=True)
class FetchOptions:
    """How files are fetched.

    Attributes:
        exists: What a file that is there already means. `check`: it is kept if it has the length and the date of the
            server's, and replaced otherwise; `skip`: it is kept unseen; `replace`; `refuse` (`TargetExists`).
        least_bytes_per_s: Slower than this over `stall_s` counts as stalled; None never does.
        stall_s: Seconds over which the pace is measured.
        lease_s: How long a process that writes a file may be silent before others take its place.
        keep_parts: Whether what has arrived is kept after a failure, for the next try to go on from.
    """

    exists: Exists = attrs.field(
        default="check", validator=attrs.validators.in_(("check", "skip", "replace", "refuse"))
    )
    least_bytes_per_s: float | None = attrs.field(default=100.0, validator=_above_zero)
    stall_s: float = attrs.field(default=30.0, validator=_above_zero)
    lease_s: float = attrs.field(default=LEASE_S, validator=_above_zero)
    keep_parts: bool = True


@attrs.frozen
class _Version:
    """Which bytes a server means by a URL at one moment."""

    etag: str | None
    last_modified: str | None
    length: int | None

    @classmethod
    def of(cls, body: Body, length: int | None) -> _Version:
        return cls(body.headers.get("ETag"), body.headers.get("Last-Modified"), length)

    @property
    def modified(self) -> datetime | None:
        return _moment(self.last_modified)

    def is_same(self, other: _Version) -> bool:
        """True when nothing tells the two apart, and something could have."""
        pairs = ((self.etag, other.etag), (self.last_modified, other.last_modified), (self.length, other.length))
        return all(None in pair or pair[0] == pair[1] for pair in pairs) and any(None not in pair for pair in pairs[:2])


@attrs.frozen
class _Wanted:
    """What the caller knows of a file before it comes."""

    url: str
    target: Path
    headers: Mapping[str, str]
    size: int | None
    digest: Digest | None
    options: FetchOptions
    on_bytes: Callable[[int, int | None], object] | None


class _ClaimLost(Exception):
    """Others took the file for abandoned, since this process was silent for too long; they write it now."""


class _Changed(Exception):
    """What was kept cannot be gone on with: another version, or a server that does not do what it says."""


class Fetcher:
    """Fetches files through a session, which is borrowed."""

    def __init__(self, session: Session, options: FetchOptions | None = None) -> None:
        self._session = session
        self._options = options or FetchOptions()

    async def fetch(
        self,
        url: str,
        target: Path | str,
        *,
        size: int | None = None,
        digest: str | None = None,
        headers: Mapping[str, str] | None = None,
        on_bytes: Callable[[int, int | None], object] | None = None,
    ) -> Fetched:
        """Fetch one file; see `aurora_async.fetch`."""
        started = time.monotonic()
        path = await anyio.to_thread.run_sync(_target_of, Path(target), url)
        wanted = _Wanted(
            url=url,
            target=path,
            headers={**(headers or {}), "Accept-Encoding": "identity"},
            size=size,
            digest=None if digest is None else caller_digest(digest),
            options=self._options,
            on_bytes=on_bytes,
        )
        await ensure_writable(path, url=url, overwrite=self._options.exists != "refuse")
        waited = False
        while True:
            ours = await anyio.to_thread.run_sync(claim, path, self._options.lease_s)
            if ours is None:
                waited = True
                await anyio.sleep(_WAIT_S * (0.75 + 0.5 * os.urandom(1)[0] / 256))
                continue
            with suppress(_ClaimLost):
                fetched = await self._claimed(wanted, ours, waited=waited)
                return attrs.evolve(fetched, seconds=time.monotonic() - started)
            waited = True

    async def fetch_many(
        self,
        files: Iterable[str | File],
        folder: Path | str,
        *,
        at_once: int = 8,
        on_outcome: Callable[[FetchOutcome], object] | None = None,
    ) -> list[FetchOutcome]:
        """Fetch many; see `aurora_async.fetch_many`."""
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        planned = _planned(files, Path(folder))
        outcomes: list[FetchOutcome] = []
        waiting = iter(planned)

        async def work() -> None:
            for index, file, target in waiting:  # shared: each takes the next
                try:
                    got = await self.fetch(file.url, target, size=file.size, digest=file.digest)
                    outcome = FetchOutcome(index=index, file=file, fetched=got)
                except AuroraError as error:
                    outcome = FetchOutcome(index=index, file=file, error=error)
                outcomes.append(outcome)
                if on_outcome is not None:
                    on_outcome(outcome)

        try:
            async with anyio.create_task_group() as tasks:
                for number in range(min(at_once, len(planned))):
                    tasks.start_soon(work, name=f"fetch {number}")
        except BaseExceptionGroup as group:
            raise bare(group) from None
        return sorted(outcomes, key=lambda outcome: outcome.index)

    async def _claimed(self, wanted: _Wanted, ours: Claim, *, waited: bool) -> Fetched:
        """Fetch a file that nobody else writes."""
        lost = False
        found: list[Fetched] = []
        part = _Part(ours, wanted)

        async def renew(scope: anyio.CancelScope) -> None:
            nonlocal lost
            while not lost:
                await anyio.sleep(wanted.options.lease_s / 4)
                lost = not await anyio.to_thread.run_sync(ours.renew)
            scope.cancel()

        async with part:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(renew, tasks.cancel_scope, name=f"renew the claim of {wanted.target.name}")
                    found.append(await self._kept(wanted, part, waited=waited) or await self._transfer(wanted, part))
                    tasks.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                raise bare(group) from None
        if not found:
            assert lost
            raise _ClaimLost
        return found[0]

    async def _kept(self, wanted: _Wanted, part: _Part, *, waited: bool) -> Fetched | None:
        """Return the file that is there already, if it may stay."""
        exists = wanted.options.exists
        if waited and exists == "replace":
            exists = "check"  # whoever wrote it meanwhile has just replaced it
        if exists not in ("check", "skip"):
            return None
        try:
            there = await anyio.to_thread.run_sync(wanted.target.stat)
        except FileNotFoundError:
            return None
        if exists == "check":
            version = await self._look(wanted)
            length = wanted.size if version.length is None else version.length
            if there.st_size != length or (wanted.size is not None and wanted.size != length):
                return None
            if wanted.digest is None:
                modified = version.modified
                if modified is None or int(there.st_mtime) != int(modified.timestamp()):
                    return None
            elif not await anyio.to_thread.run_sync(_holds, wanted.target, wanted.digest, abandon_on_cancel=True):
                return None
        part.forget()
        return Fetched(wanted.target, wanted.url, there.st_size, 0, None, 0.0)

    async def _look(self, wanted: _Wanted) -> _Version:
        """Ask for one byte: unlike HEAD, every server that gives the file can answer that."""
        headers = {**wanted.headers, "Range": "bytes=0-0"}
        try:
            async with self._session.open("GET", wanted.url, headers=headers) as body:
                if body.status != 206:
                    return _Version.of(body, body.length)
                return _Version.of(body, _content_range(body)[2])
        except HttpError as error:
            if error.status != 416:
                raise
            return _Version(None, None, 0)  # an empty file has no first byte

    async def _transfer(self, wanted: _Wanted, part: _Part) -> Fetched:
        """Fetch what is missing, as often as it takes and makes sense."""
        waits = self._session.retry_policy.waits()
        most = self._session.config.retries.attempts
        left = most
        await part.run(part.take_over)
        while True:
            before = part.written_bytes
            try:
                return await self._try(wanted, part)
            except _Changed as change:
                failure: AuroraError = WrongContent(wanted.url, wanted.target, f"it changes all the time: {change}")
                logger.info("%s: starting over, because %s", wanted.target, change)
                await part.run(part.start_over)
            except WrongContent as error:
                failure = error
                logger.info("%s; starting over", error)
                await part.run(part.start_over)
            except (ConnectionLost, ReadTimeout, IncompleteBody, TransferStalled) as error:
                failure = error
                if part.written_bytes - before >= _PROGRESS_BYTES:
                    left = most
                    waits = self._session.retry_policy.waits()
                logger.info("%s: going on from byte %d, because %s", wanted.target, part.written_bytes, error)
            left -= 1
            if left <= 0:
                raise failure
            await anyio.sleep(next(waits))

    async def _try(self, wanted: _Wanted, part: _Part) -> Fetched:
        """Ask once for what is missing, and save what comes."""
        offset = part.written_bytes
        validator = part.validator
        headers = dict(wanted.headers)
        if offset and part.version is not None and part.version.length == offset:
            # All of it came, and then the process died: what is missing is only the name.
            if not (await self._look(wanted)).is_same(part.version):
                raise _Changed("another version is there now")
            return await part.finish(part.version)
        if offset and validator is not None:
            headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
        try:
            async with self._session.open("GET", wanted.url, headers=headers) as body:
                await self._take(wanted, part, body, offset if "Range" in headers else 0)
        except HttpError as error:
            if error.status != 416 or "Range" not in headers:
                raise
            raise _Changed(f"there is nothing behind byte {offset} any more") from error
        assert part.version is not None
        return await part.finish(part.version)

    async def _take(self, wanted: _Wanted, part: _Part, body: Body, offset: int) -> None:
        """Save a body, or the part of it that was asked for."""
        if body.status == 206:
            first, last, total = _content_range(body)
            version = _Version.of(body, total)
            if first != offset or (total is not None and last != total - 1):
                raise _Changed(f"bytes {first} to {last} came instead of those from {offset} on")
            if part.version is None or not version.is_same(part.version):
                raise _Changed("another version came")
        else:
            _refuse_page(body, wanted)
            version = _Version.of(body, body.length)
            if part.written_bytes:
                await part.run(part.start_over)
        length = version.length
        if wanted.size is not None and length is not None and length != wanted.size:
            raise WrongContent(
                wanted.url, wanted.target, f"it has {length} bytes, {wanted.size} are expected", wanted.size, length
            )
        await part.run(part.begin, version, body.headers, body.status == 200)
        before = part.written_bytes
        trouble: list[AuroraError] = []

        async def arriving() -> AsyncGenerator[bytes, None]:
            try:
                async with aclosing(_paced(body, wanted, before)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except (ConnectionLost, ReadTimeout, IncompleteBody, TransferStalled) as error:
                trouble.append(error)  # told once all that came before it is written

        async with aclosing(arriving()) as chunks:
            received = await pump(chunks, part, lambda batch: (batch,))
        if trouble:
            raise trouble[0]
        if length is not None and before + received < length:
            raise IncompleteBody(
                wanted.url, wanted.target, f"the body ended after {before + received} of {length} bytes"
            )


def _refuse_page(body: Body, wanted: _Wanted) -> None:
    """An error page with status 200 is not the file: refuse HTML under a name that promises something else."""
    kind = body.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    suffix = wanted.target.suffix.lower()
    if kind in ("text/html", "application/xhtml+xml") and suffix not in ("", ".html", ".htm", ".xhtml"):
        raise MalformedAnswer(
            body.url, "Content-Type", f"a web page came instead of {wanted.target.name}; open the address to read it"
        )


async def _paced(body: Body, wanted: _Wanted, before: int) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body, and give up when they come too slowly. What the disk takes does not count."""
    least, window_s = wanted.options.least_bytes_per_s, wanted.options.stall_s
    arrived, in_window, waited_s = before, 0, 0.0
    total = None if body.length is None else before + body.length
    async with aclosing(_closing(body.chunks())) as chunks:
        while True:
            asked = anyio.current_time()
            with anyio.move_on_after(None if least is None else max(window_s - waited_s, 0.001)) as scope:
                chunk = await anext(chunks, b"")
            waited_s += anyio.current_time() - asked
            if not scope.cancelled_caught:
                if not chunk:
                    return
                in_window += len(chunk)
                arrived += len(chunk)
                yield chunk
                if wanted.on_bytes is not None:
                    wanted.on_bytes(arrived, total)
            if least is not None and waited_s >= window_s:
                if in_window < least * window_s:
                    reason = f"only {in_window} bytes came in {waited_s:.0f} s, after {arrived} bytes"
                    raise TransferStalled(wanted.url, wanted.target, reason)
                in_window, waited_s = 0, 0.0


async def _closing(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    async for chunk in chunks:
        yield chunk


_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*", re.IGNORECASE)


def _content_range(body: Body) -> tuple[int, int, int | None]:
    """Return the first and the last byte of a partial answer, and the length of the whole."""
    said = body.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(said)
    if match is None or body.headers.get("Content-Encoding", "identity") != "identity":
        raise _Changed(f"a part came without saying which: {said!r}")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < first or (total is not None and last >= total):
        raise _Changed(f"a part came that cannot be: {said!r}")
    return first, last, total


class _Part(PartFile):
    """The part file of a claim: it outlives failures, and is begun where another has ended.

    `version` and `validator` are None until the first bytes come; without a validator there is nothing to go on from.
    """

    def __init__(self, ours: Claim, wanted: _Wanted) -> None:
        super().__init__(wanted.target, url=wanted.url, overwrite=wanted.options.exists != "refuse")
        self.version: _Version | None = None
        self.validator: str | None = None
        self._path = ours.part
        self._ours = ours
        self._wanted = wanted
        self._expected: list[Digest] = []
        self._hashes: dict[str, Any] = {}
        self._durable_bytes = 0
        self._checkpoint_time = time.monotonic()
        self._fetched_bytes = 0
        self._is_over = False

    @property
    def sha256(self) -> str | None:
        """Hexadecimal digest of the file."""
        return self._hashes["sha256"].hexdigest() if "sha256" in self._hashes else None

    async def finish(self, version: _Version) -> Fetched:
        """Verify the file and give it its name."""
        await self.run(self._verify)
        await self.commit()
        self._is_over = True
        return Fetched(
            self.target,
            self._wanted.url,
            self.written_bytes,
            self._fetched_bytes,
            self.sha256,
            0.0,
            version.etag,
            version.modified,
        )

    def forget(self) -> None:
        """Nothing is to be fetched."""
        self._is_over = True

    # In the writer's thread -------------------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Go on from what somebody else has left, if anything can be done with it; clean the rest away."""
        for left in leftovers(self._ours):
            known, size = left.progress, left.usable_bytes
            version = _Version(known.etag, known.last_modified, known.length)
            if self.written_bytes or not size or known.validator is None:
                left.remove()
                continue
            self._close()
            left.move_to(self._ours)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            if os.fstat(self._fd).st_size < size:
                os.ftruncate(self._fd, 0)
                continue
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, 0, os.SEEK_END)
            self.written_bytes = self._durable_bytes = size
            self.version, self.validator = version, known.validator
            logger.info("%s: going on from byte %d of an earlier try", self.target, self.written_bytes)

    def start_over(self) -> None:
        """Forget what has come."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.written_bytes = self._durable_bytes = 0
        self.version = self.validator = None
        self._hashes = {}

    def begin(self, version: _Version, headers: Mapping[str, str], whole: bool) -> None:
        """Prepare for the bytes of an answer, behind those that are there."""
        if self.version is None:
            self.version, self.validator = version, _validator(version, headers.get("Date"))
            self._checkpoint()
        caller = self._wanted.digest
        self._expected = promised_digests(headers, whole=whole) + ([caller] if caller is not None else [])
        self._hash_what_is_there()
        self._refuse_without_space()

    def write_here(self, data: bytes) -> None:
        super().write_here(data)
        if self._given_up:
            return
        self._fetched_bytes += len(data)
        for digest in self._hashes.values():
            digest.update(data)
        due = time.monotonic() - self._checkpoint_time >= _CHECKPOINT_S
        if due or self.written_bytes - self._durable_bytes >= _CHECKPOINT_BYTES:
            self._checkpoint()

    def _hash_what_is_there(self) -> None:
        algorithms = {"sha256", *(digest.algorithm for digest in self._expected)}
        if self._hashes.keys() >= algorithms:
            return
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        if not self.written_bytes:
            return
        with self._path.open("rb") as file:
            while piece := file.read(1 << 20):
                for digest in self._hashes.values():
                    digest.update(piece)

    def _refuse_without_space(self) -> None:
        if self.version is None or self.version.length is None:
            return
        missing = self.version.length - self.written_bytes
        free = shutil.disk_usage(self._path.parent).free
        if missing > free:
            advice = "free some space or choose another folder, then run it again"
            raise DiskFull(self._url, self.target, f"{missing} bytes are missing, {free} are free; {advice}", 0)

    def _checkpoint(self, *, released: bool = False) -> None:
        """Make what has come durable, then write down that it is: never the other way round."""
        assert self.version is not None
        os.fsync(self._fd)
        progress = Progress(
            etag=self.version.etag,
            last_modified=self.version.last_modified,
            validator=self.validator,
            length=self.version.length,
            durable_bytes=self.written_bytes,
        )
        self._ours.note(progress, released=released)
        self._durable_bytes = self.written_bytes
        self._checkpoint_time = time.monotonic()

    def _verify(self) -> None:
        self._hash_what_is_there()
        size = self._wanted.size
        if size is not None and self.written_bytes != size:
            reason = f"it has {self.written_bytes} bytes, {size} are expected"
            raise WrongContent(self._url, self.target, reason, size, self.written_bytes)
        caller = self._wanted.digest
        for promise in self._expected if caller is None or caller in self._expected else [*self._expected, caller]:
            found = self._hashes[promise.algorithm].digest()
            if found != promise.value:
                reason = (
                    f"its {promise.algorithm} is {found.hex()}, but {promise.value.hex()} was promised "
                    f"({promise.source}); fetch it again"
                )
                raise WrongContent(self._url, self.target, reason, promise.value.hex(), found.hex())

    def _commit(self) -> None:
        if self._given_up:
            return
        if not self._ours.state.exists():
            raise _ClaimLost
        if self.version is not None and (modified := self.version.modified) is not None:
            # Like `curl -R`: by length and date one can tell later whether the server has another version.
            os.utime(self._path, (modified.timestamp(), modified.timestamp()))
        super()._commit()

    def _remove(self) -> None:
        """Leave what the next one can go on from, or nothing."""
        with self._lock:
            keep = not self._is_over and self._wanted.options.keep_parts and self.validator is not None
            if keep and self.written_bytes and self._ours.state.exists():
                with suppress(OSError):
                    self._checkpoint(released=True)
                    self._close()
                    self._removed = True
                    return
            with suppress(OSError):
                self._close()
            if self._is_over:
                for left in leftovers(self._ours):
                    left.remove()
            self._ours.drop()
            self._removed = True


def _validator(version: _Version, date: str | None) -> str | None:
    """Return what tells this version from every other, byte for byte: None when nothing does (RFC 9110, 8.8)."""
    if version.etag is not None and re.fullmatch(r'"[^"]*"', version.etag):
        return version.etag
    modified, sent = version.modified, _moment(date)
    # Within the minute it was changed in, a file may be changed again without its date showing it.
    if modified is not None and sent is not None and (sent - modified).total_seconds() >= 60:
        return version.last_modified
    return None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _holds(path: Path, digest: Digest) -> bool:
    found = digest.new()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return bool(found.digest() == digest.value)


def _planned(files: Iterable[str | File], folder: Path) -> list[tuple[int, File, Path]]:
    """Return where each file goes; two that would take one place are refused before anything is sent."""
    planned: list[tuple[int, File, Path]] = []
    taken: dict[str, str] = {}
    for index, wanted in enumerate(files):
        file = File(url=wanted) if isinstance(wanted, str) else wanted
        name = file.name or name_from(file.url)
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts:
            raise InvalidInput(f"files[{index}].name", f"{name!r} is not the name of a file inside {folder}")
        spelling = os.path.normcase(os.path.normpath(name))
        if taken.setdefault(spelling, file.url) != file.url:
            raise InvalidInput(f"files[{index}].name", f"{name!r} is also that of {shown_url(taken[spelling])}")
        planned.append((index, file, folder / name))
    return planned


def _target_of(target: Path, url: str) -> Path:
    return target / name_from(url) if target.is_dir() else target


# Public ---------------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class File:
    """A file to fetch: `name` is a path inside the folder, by default what the URL ends in."""

    url: str
    name: str | None = None
    size: int | None = None
    digest: str | None = None


@attrs.frozen(kw_only=True)
class FetchOutcome:
    """What became of one of many files: `fetched`, or the `error` that stopped it."""

    index: int
    file: File
    fetched: Fetched | None = None
    error: AuroraError | None = None

    @property
    def ok(self) -> bool:
        """True when the file is here."""
        return self.error is None


async def fetch(
    url: str,
    target: Path | str = ".",
    *,
    size: int | None = None,
    digest: str | None = None,
    headers: Mapping[str, str] | None = None,
    options: FetchOptions | None = None,
    config: Config | None = None,
    deadline_s: float | None = None,
    on_bytes: Callable[[int, int | None], object] | None = None,
) -> Fetched:
    """Fetch a file of any size, in constant memory: under its name it is whole and verified, or it is not there.

    A transfer that is cut, stalled or killed goes on where it stopped, also in another process, as long as the server
    shows that the file has not changed meanwhile. However many processes ask for one target, it is fetched once.

    Args:
        url: Where from.
        target: The file, or an existing folder, in which it has the name that the URL ends in.
        size: Its length in bytes, where it is known.
        digest: Its SHA-256 in hexadecimal digits, or `md5:…`, `sha1:…`, `sha512:…`.
        headers: Sent beside our own.
        options: What a file that is there already means, how slow is too slow, …
        config: Retries, limits and timeouts.
        deadline_s: For all of it; what has come by then is kept for the next try.
        on_bytes: Told how many bytes are there, and of how many, as they arrive.

    Raises:
        HttpError: The server refused.
        ConnectionLost, ReadTimeout, TransferStalled, IncompleteBody: After all tries that brought nothing new.
        WrongContent, MalformedAnswer: What came is not what was promised.
        DiskFull, TargetNotWritable, TargetExists: It cannot be saved.
        DeadlineExceeded: Time ran out.
    """
    async with Session(config or Config()) as session:
        try:
            with anyio.fail_after(deadline_s):
                return await Fetcher(session, options).fetch(
                    url, target, size=size, digest=digest, headers=headers, on_bytes=on_bytes
                )
        except TimeoutError as error:
            if deadline_s is None or isinstance(error, AuroraError):
                raise
            raise DeadlineExceeded(f"fetching {shown_url(url)}", deadline_s) from None


async def fetch_many(
    files: Iterable[str | File],
    folder: Path | str = ".",
    *,
    at_once: int = 8,
    options: FetchOptions | None = None,
    config: Config | None = None,
    on_outcome: Callable[[FetchOutcome], object] | None = None,
) -> list[FetchOutcome]:
    """Fetch many files into a folder, `at_once` at a time, and return what became of each, in order.

    One that fails does not stop the others. See `fetch` for the rest.
    """
    async with Session(config or Config()) as session:
        return await Fetcher(session, options).fetch_many(files, folder, at_once=at_once, on_outcome=on_outcome)
