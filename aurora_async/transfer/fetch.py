"""Files from URLs: resumed where that is safe, verified, whole or not there, and fetched once by however many ask.

What is resumed is a version, not a name: only bytes of a version that can be told from every other (a strong ETag, or a
Last-Modified that cannot change any more) are kept, and the server is asked for the rest of just that one (`If-Range`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import re
import shutil
import stat
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import attrs

from aurora_async.config import Config
from aurora_async.errors import (
    AuroraError,
    DeadlineExceeded,
    DiskFull,
    HttpError,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    TargetNotWritable,
    TransferStalled,
    TransportError,
    WrongContent,
    raise_bare,
)
from aurora_async.http import Body, Session, shown_url
from aurora_async.http.retry import is_worth_repeating
from aurora_async.transfer.digests import Digest, caller_digest, etag_digest, promised_digests
from aurora_async.transfer.leases import PARTS_FOLDER, Claim, ClaimLost, Leftover
from aurora_async.transfer.names import name_from
from aurora_async.transfer.origins import Origin
from aurora_async.transfer.sink import Data, PartFile, as_ours, pump, refuse_other_length, sync_folder
from aurora_async.transfer.versions import Version

logger = logging.getLogger(__name__)

__all__ = ["Exists", "FetchOptions", "FetchOutcome", "Fetched", "Fetcher", "File", "fetch", "fetch_many"]

T = TypeVar("T")

Exists = Literal["check", "complete", "skip", "replace", "refuse"]

_OUR_HEADERS = frozenset({"accept-encoding", "if-range", "range"})
_CHECKPOINT_S = 10.0
_PROGRESS_BYTES = 64 << 10
_SMALL_BYTES = 4 << 20
"""What a file may lose when the process is killed: noting how far it is takes longer than to fetch so much again."""
_WAIT_S = 0.5
_ASK_S = 10.0
"""Longest that a file that is there waits for the word of a server that may be away."""
_PAGES = ("text/html", "application/xhtml+xml")
_PAGE_SUFFIXES = (".html", ".htm", ".xhtml", ".php")
_PACKED_SUFFIXES = (".gz", ".tgz", ".z", ".bz2", ".xz", ".zst", ".br", ".svgz")


def _above_zero(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    _check_above_zero(attribute.name, value)


def _above_zero_or_none(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _check_above_zero(attribute.name, value)


def _check_above_zero(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InvalidInput(name, f"{value!r} is not a number above 0")


def _known(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value not in (known := get_args(Exists)):
        raise InvalidInput(attribute.name, f"{value!r} is none of {', '.join(map(repr, known))}")


@attrs.frozen(kw_only=True)
class FetchOptions:
    """How files are fetched.

    Attributes:
        exists: What a file that is there already means. `check`: it is kept if it has the length and the date of the
            server's (instead of the date the digest, where one is given, or the ETag is an MD5), and replaced
            otherwise, also when it is known to be of another address and ETag (on Linux, where the file system keeps
            extended attributes); `complete`: it is kept unless it is shorter than the server's, also where the server
            does not say; `skip`: it is kept unseen; `replace`; `refuse` (`TargetExists`).
        least_bytes_per_s: Slower than this over `stall_s` counts as stalled; None never does.
        stall_s: Seconds over which the pace is measured.
        lease_s: How long a process that writes a file may be silent before others take its place.
        keep_parts: Whether what has arrived is kept after a failure, for the next try to go on from. On a disk that is
            full it never is.
    """

    exists: Exists = attrs.field(default="check", validator=_known)
    least_bytes_per_s: float | None = attrs.field(default=100.0, validator=_above_zero_or_none)
    stall_s: float = attrs.field(default=30.0, validator=_above_zero)
    lease_s: float = attrs.field(default=30.0, validator=_above_zero)
    keep_parts: bool = True


@attrs.frozen
class Fetched:
    """What stands under `path` now: `bytes` long. `fetched_bytes` of them came now, the others were there before.

    `sha256` is None when nothing had to be fetched, and where nobody wanted it.
    """

    path: Path
    url: str = attrs.field(repr=lambda url: repr(shown_url(url)))
    bytes: int
    fetched_bytes: int
    sha256: str | None
    seconds: float
    etag: str | None = None
    last_modified: datetime | None = None
    was_there: bool = False
    """True when nothing had to be fetched."""


@attrs.frozen(kw_only=True)
class File:
    """A file to fetch: `name` is a path in the folder, or what the URL ends in; `check` as of `Fetcher.fetch`."""

    url: str = attrs.field(repr=lambda url: repr(shown_url(url)))
    name: str | None = None
    size: int | None = None
    digest: str | None = None
    check: Callable[[Path], object] | None = attrs.field(default=None, repr=False, eq=False)


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


@attrs.frozen
class _Wanted:
    """What the caller knows of a file before it comes."""

    url: str
    target: Path
    headers: Mapping[str, str]
    size: int | None
    digest: Digest | None
    sha256: bool
    options: FetchOptions
    check: Callable[[Path], object] | None
    on_bytes: Callable[[int, int | None], object] | None

    async def in_thread(self, call: Callable[..., T], *args: object) -> T:
        try:
            return await anyio.to_thread.run_sync(call, *args, abandon_on_cancel=True)
        except OSError as error:
            raise as_ours(error, self.shown, self.target, 0) from error

    @property
    def shown(self) -> str:
        """The URL for people."""
        return shown_url(self.url)

    def keeps(self, found: os.stat_result) -> bool:
        """True when the file that is there is what the caller knows of it. Reads it if need be, and cleans up."""
        is_kept = self.is_kept_by(found)
        if is_kept:
            Claim(self.target, self.options.lease_s).tidy()
        return is_kept

    def is_kept_by(self, found: os.stat_result) -> bool:
        """True when the file that is there is what the caller knows of it. Reads it if need be."""
        if self.size is not None and found.st_size != self.size:
            return False
        return self.digest is None or _holds(self.target, self.digest)

    def was_there(self, found: os.stat_result) -> Fetched:
        return Fetched(self.target, self.url, found.st_size, 0, None, 0.0, was_there=True)


class _Busy(Exception):
    """Somebody else writes the file."""


class _Changed(Exception):
    """What was kept cannot be gone on with: another version, or a server that does not do what it says."""


class _Short(_Changed):
    """The server has less of this very version than it promised."""


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
        check: Callable[[Path], object] | None = None,
        on_bytes: Callable[[int, int | None], object] | None = None,
        sha256: bool = True,
        is_file: bool = False,
    ) -> Fetched:
        """Fetch one file; see `aurora_async.fetch`.

        `check` is called in a thread with the whole file before it takes its name, and raises `WrongContent` for what
        must not take it. With `is_file` the target is not meant as a folder, even where one stands in its place.
        """
        started = time.monotonic()
        _check_url(url)
        if ours := _OUR_HEADERS.intersection(name.lower() for name in headers or {}):
            raise InvalidInput("headers", f"{min(ours)!r} is for this to send")
        path, before = await anyio.to_thread.run_sync(_look_at, target, url, is_file, abandon_on_cancel=True)
        wanted = _Wanted(
            url=url,
            target=path,
            headers={**(headers or {}), "Accept-Encoding": "identity"},
            size=size,
            digest=None if digest is None else caller_digest(digest),
            sha256=sha256,
            options=self._options,
            check=check,
            on_bytes=on_bytes,
        )
        return attrs.evolve(await self._fetch(wanted, before), seconds=time.monotonic() - started)

    async def fetch_many(
        self,
        files: Iterable[str | File],
        folder: Path | str,
        *,
        at_once: int = 8,
        sha256: bool = True,
        on_outcome: Callable[[FetchOutcome], object] | None = None,
        on_bytes: Callable[[int, int, int | None], object] | None = None,
    ) -> list[FetchOutcome]:
        """Fetch many; see `aurora_async.fetch_many`."""
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        planned = _planned(files, Path(folder))
        outcomes: list[FetchOutcome] = []
        waiting = iter(planned)
        full: DiskFull | None = None

        async def work() -> None:
            nonlocal full
            for index, file, target in waiting:  # shared: each takes the next
                outcome = FetchOutcome(index=index, file=file, error=full)
                if full is None:
                    try:
                        got = await self.fetch(
                            file.url, target, size=file.size, digest=file.digest, check=file.check, sha256=sha256,
                            on_bytes=None if on_bytes is None else partial(on_bytes, index), is_file=True,
                        )  # fmt: skip
                        outcome = attrs.evolve(outcome, fetched=got)
                    except AuroraError as error:
                        if isinstance(error, DiskFull) and isinstance(error.__cause__, OSError):
                            full = error  # nothing more fits: the others need not find out, each by itself
                        outcome = attrs.evolve(outcome, error=error)
                outcomes.append(outcome)
                if on_outcome is not None:
                    on_outcome(outcome)

        try:
            async with anyio.create_task_group() as tasks:
                for number in range(min(at_once, len(planned))):
                    tasks.start_soon(work, name=f"fetch {number}")
        except BaseExceptionGroup as group:
            raise_bare(group)
        return sorted(outcomes, key=lambda outcome: outcome.index)

    async def _fetch(self, wanted: _Wanted, before: os.stat_result | None) -> Fetched:
        exists = wanted.options.exists
        if before is not None:
            if exists == "skip":
                await wanted.in_thread(Claim(wanted.target, wanted.options.lease_s).tidy)
                return wanted.was_there(before)
            if exists == "complete" and await self._is_complete(wanted, before):
                return wanted.was_there(before)
            if exists == "check" and await self._is_up_to_date(wanted, before):
                return wanted.was_there(before)
        lost, waited = 0, False
        while lost < self._session.config.retries.attempts:
            try:
                async with _Part(wanted) as part:
                    now = part.found
                    if now is not None and (before is None or _identity(now) != _identity(before)):
                        if await self._is_fetched(wanted, now):
                            return wanted.was_there(now)
                        before = now
                    return await self._while_held(part)
            except ClaimLost:
                lost += 1
            except _Busy:
                if not waited:
                    logger.info("%s: waiting for another process, or task, that fetches it", wanted.target)
                waited = True
                await anyio.sleep(random.uniform(0.5, 1) * _WAIT_S)
        reason = f"somebody removes what is in {PARTS_FOLDER}, again and again"
        raise TargetNotWritable(wanted.shown, wanted.target, reason)

    async def _is_fetched(self, wanted: _Wanted, found: os.stat_result) -> bool:
        """True when whoever was faster has just fetched this file, and not another one of its name."""
        origin = await wanted.in_thread(Origin.noted, wanted.target)
        if wanted.options.exists != "skip" and (origin is None or origin.address != Origin.of(wanted.url).address):
            return await self._is_up_to_date(wanted, found)
        return await wanted.in_thread(wanted.is_kept_by, found)

    async def _is_complete(self, wanted: _Wanted, found: os.stat_result) -> bool:
        """Ask the server how long the file is; while it does not say, what is there is good enough."""
        if not found.st_size:
            return False
        reason: object = f"no answer within {_ASK_S:g} s"
        with anyio.move_on_after(_ASK_S):
            try:
                version = await self._look(wanted)
                return found.st_size >= (version.length or 1) and await wanted.in_thread(wanted.keeps, found)
            except (AuroraError, _Changed) as error:
                reason = error
        logger.warning("%s is taken as it is, since the server does not say how long it is: %s", wanted.target, reason)
        return True

    async def _is_up_to_date(self, wanted: _Wanted, found: os.stat_result) -> bool:
        """Ask the server about the file that is there."""
        origin = await wanted.in_thread(Origin.noted, wanted.target)
        etag = origin.etag if origin is not None and origin.is_of(found, wanted.url) else None
        try:
            version = await self._look_unless(wanted, etag)
        except _Changed:
            return False
        if version is None:
            return await wanted.in_thread(wanted.keeps, found)
        if version.length not in (None, found.st_size) or (version.length is None and wanted.size is None):
            return False
        now = Origin.of(wanted.url, version.etag)
        promise = etag_digest(version.etag)
        if promise is not None and await wanted.in_thread(_holds, wanted.target, promise):
            # Whoever brought it here, it is the file; the next time nobody has to read it.
            await wanted.in_thread(now.note, wanted.target)
        elif promise is not None and version.is_md5:
            return False
        elif wanted.digest is None:
            modified = version.modified
            if modified is None or int(found.st_mtime) != int(modified.timestamp()):
                return False
            if origin is not None and origin.is_other(now, is_of_content=origin.is_of(found, wanted.url)):
                return False
        return await wanted.in_thread(wanted.keeps, found)

    async def _look(self, wanted: _Wanted, attempts: int | None = None) -> Version:
        """Ask which version there is."""
        version = await self._look_unless(wanted, None, attempts)
        if version is None:
            raise _Changed("nothing was said of it")
        return version

    async def _look_unless(self, wanted: _Wanted, etag: str | None, attempts: int | None = None) -> Version | None:
        """Ask which version there is, for one byte: unlike HEAD, every server that gives the file can answer that.

        None, and no byte, where the server says that it is still the one of that ETag.
        """
        headers = {**wanted.headers, "Range": "bytes=0-0"}
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            async with self._session.open("GET", wanted.url, headers=headers, attempts=attempts) as body:
                if body.status == 304 and etag is not None:
                    if body.headers.get("ETag", etag).removeprefix("W/") != etag.removeprefix("W/"):
                        raise _Changed("the server says that another version has not changed")
                    return None
                if body.status == 206:
                    return Version.of(body.headers, _content_range(body)[2])
                _refuse_other(body, wanted)
                return Version.of(body.headers, body.length)
        except HttpError as error:
            if error.status != 416:
                raise
            return Version(length=0)  # an empty file has no first byte

    async def _while_held(self, part: _Part) -> Fetched:
        """Transfer the file for as long as its claim is renewed."""

        async def renew(scope: anyio.CancelScope) -> None:
            is_ours = True
            while is_ours:
                await anyio.sleep(part.wanted.options.lease_s / 4)
                is_ours = await part.renew()
            scope.cancel()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(renew, tasks.cancel_scope, name=f"renew the claim of {part.target.name}")
                fetched = await self._transfer(part)
                tasks.cancel_scope.cancel()
                return fetched
        except BaseExceptionGroup as group:
            raise_bare(group)
        raise ClaimLost

    async def _transfer(self, part: _Part) -> Fetched:
        """Fetch what is missing, as often as it takes and makes sense."""
        policy = self._session.retry_policy
        tries_left, waits = self._session.config.retries.attempts, policy.waits()
        if not part.is_alone:
            await part.run(part.take_over)
        most_bytes = part.written_bytes
        while True:
            tries_left -= 1
            try:
                return await self._try(part)
            except _Changed as change:
                reason = f"it changes all the time: {change}"
                if isinstance(change, _Short):
                    # Once more from the beginning, and a look at what is behind it: twice the same is what there is.
                    reason, tries_left = str(change), min(tries_left, 2)
                failure: AuroraError = WrongContent(part.wanted.shown, part.target, reason)
                await part.run(part.start_over)
            except AuroraError as error:
                failure = error
                if isinstance(error, WrongContent):
                    # Spoilt on its way, or in an earlier try; the same a second time is what the server has.
                    tries_left = min(tries_left, 1)
                    await part.run(part.start_over)
                elif not isinstance(error, TransferStalled) and not is_worth_repeating(
                    error, method="GET", repeat=True
                ):
                    raise
                if part.written_bytes >= most_bytes + _PROGRESS_BYTES:
                    # What brings more than ever before is worth any number of tries.
                    tries_left, waits = self._session.config.retries.attempts, policy.waits()
                most_bytes = max(most_bytes, part.written_bytes)
            left_s = anyio.current_effective_deadline() - anyio.current_time()
            wait_s = policy.wait_s(failure, next(waits), left_s)
            if tries_left <= 0 or wait_s is None:
                raise failure
            logger.info("%s: going on from byte %d, because %s", part.target, part.written_bytes, failure)
            await anyio.sleep(wait_s)

    async def _try(self, part: _Part) -> Fetched:
        """Ask once for what is missing, and save what comes."""
        wanted, known, offset = part.wanted, part.version, part.written_bytes
        headers = dict(wanted.headers)
        if known is not None and known.validator is not None and offset:
            if known.length == offset:
                return await self._finish_what_is_there(part, known)
            headers |= {"Range": f"bytes={offset}-", "If-Range": known.validator}
        try:
            async with self._session.open("GET", wanted.url, headers=headers, attempts=1) as body:
                if body.status == 206:
                    await self._take(part, body, _refuse_other_part(body, part))
                else:
                    _refuse_other(body, wanted)
                    await self._take(part, body, body.length)
        except HttpError as error:
            if error.status != 416 or known is None or "Range" not in headers:
                raise
            return await self._finish_what_is_there(part, known)
        return await part.finish()

    async def _finish_what_is_there(self, part: _Part, known: Version) -> Fetched:
        """All of it came, and then the process died: what is missing is only the name."""
        now = await self._look(part.wanted, attempts=1)
        length = known.length if now.length is None else now.length
        is_short = known.length is not None and now.length == part.written_bytes < known.length
        if is_short and now.is_same(attrs.evolve(known, length=None)):
            raise _Short(f"the server promises {known.length} bytes and has {now.length}")
        if not now.is_same(known) or length != part.written_bytes:
            raise _Changed(f"there is nothing behind byte {part.written_bytes} any more")
        if now.is_md5 and (promise := etag_digest(now.etag)) is not None:
            part.promise(promise)  # no answer with a body has told it
        return await part.finish()

    async def _take(self, part: _Part, body: Body, length: int | None) -> None:
        """Save a body, or the part of it that was asked for; the whole file has `length` bytes."""
        wanted = part.wanted
        if wanted.size is not None and length is not None and length != wanted.size:
            reason = f"it has {length} bytes, {wanted.size} are expected"
            raise WrongContent(wanted.shown, wanted.target, reason, wanted.size, length)
        # A file that is packed by its name is kept packed, even where the server means the packing for the way only.
        decode = not wanted.target.name.lower().endswith(_PACKED_SUFFIXES)
        part.expect(Version.of(body.headers, length), body, decode)
        if length is None or length > _SMALL_BYTES:  # a small one's first bytes are all that has to be waited for
            await part.run(part.begin)
        pace = _Pace(wanted, part.written_bytes if body.status == 206 else 0, body.length)
        await part.take(body, decode=decode, tell=pace.tell)
        trouble: list[AuroraError] = []

        async def arriving() -> AsyncGenerator[bytes, None]:
            try:
                async with aclosing(pace.kept(body.chunks(decode=decode))) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except (TransportError, IncompleteBody, TransferStalled) as error:
                trouble.append(error)  # told once all that came before it is written

        async with aclosing(arriving()) as chunks:
            await pump(chunks, part, lambda batch: (batch,))
        if trouble:
            raise trouble[0]
        if part.is_expecting:  # an empty body
            await part.run(part.begin)
        refuse_other_length(part.written_bytes, length, wanted.shown, wanted.target)


class _Pace:
    """Tells how a body arrives, and gives up when it comes too slowly. What the disk takes does not count."""

    def __init__(self, wanted: _Wanted, before: int, length: int | None) -> None:
        options = wanted.options
        self._wanted = wanted
        self._before = before
        self._total = None if length is None else before + length
        self._window_s = options.stall_s
        self._least_bytes = (options.least_bytes_per_s or 0) * options.stall_s
        self._arrived, self._waited_s = 0, 0.0
        self._in_window, self._window_waited_s = 0, 0.0

    def tell(self, arrived: int, waited_s: float) -> None:
        """Take note of all that has arrived, and how long the network was waited for; raises `TransferStalled`."""
        size = arrived - self._arrived
        self._in_window += size
        self._window_waited_s += waited_s - self._waited_s
        self._arrived, self._waited_s = arrived, waited_s
        if size and self._wanted.on_bytes is not None:
            self._wanted.on_bytes(self._before + arrived, self._total)
        if self._window_waited_s >= self._window_s:
            if self._in_window < self._least_bytes:
                raise self._stalled()
            self._in_window, self._window_waited_s = 0, 0.0

    async def kept(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks while they come fast enough."""
        async with aclosing(chunks):
            while True:
                asked = anyio.current_time()
                # A reader that is cancelled is lost. So it is only once all that might still come would be too late.
                is_enough = self._in_window >= self._least_bytes
                patience_s = self._window_s - self._window_waited_s + (self._window_s if is_enough else 0)
                with anyio.move_on_after(patience_s if self._least_bytes else None) as scope:
                    chunk = await anext(chunks, b"")
                waited_s = anyio.current_time() - asked
                if scope.cancelled_caught:
                    self._window_waited_s += waited_s
                    raise self._stalled()
                if not chunk:
                    return
                yield chunk
                self.tell(self._arrived + len(chunk), self._waited_s + waited_s)

    def _stalled(self) -> TransferStalled:
        before = self._before + self._arrived - self._in_window
        reason = f"only {self._in_window} bytes came in {self._window_waited_s:.1f} s, after {before} bytes"
        return TransferStalled(self._wanted.shown, self._wanted.target, reason)


def _refuse_other(body: Body, wanted: _Wanted) -> None:
    """Refuse what is not the file, for all its success: a page that tells of an error, or asks to log in."""
    if body.status not in (200, 203):
        raise MalformedAnswer(shown_url(body.url), "status", f"{body.status} came, with which no file comes")
    kind = body.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _PAGES and wanted.target.suffix.lower() not in _PAGE_SUFFIXES:
        reason = (
            f"a web page came instead of {wanted.target.name}; open the address to read it, or give the file a name "
            "that ends in .html to keep the page"
        )
        raise MalformedAnswer(shown_url(body.url), "Content-Type", reason)


def _refuse_other_part(body: Body, part: _Part) -> int:
    """Refuse a part that does not follow what is there, in the same version; return the length of the whole."""
    first, last, total = _content_range(body)
    known = part.version
    length = known.length if total is None and known is not None else total
    if known is None or length is None or (first, last + 1) != (part.written_bytes, length):
        raise _Changed(f"bytes {first} to {last} came instead of those from {part.written_bytes} on")
    if not known.is_continued_by(Version.of(body.headers, length)):
        raise _Changed("another version came")
    return length


_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*", re.IGNORECASE | re.ASCII)


def _content_range(body: Body) -> tuple[int, int, int | None]:
    """Return the first and the last byte of a partial answer, and the length of the whole."""
    said = body.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(said)
    if match is None or _is_encoded(body):
        raise _Changed(f"a part came without saying which: {said!r}")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < first or (total is not None and last >= total):
        raise _Changed(f"a part came that cannot be: {said!r}")
    return first, last, total


def _is_encoded(body: Body) -> bool:
    return body.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


class _Part(PartFile):
    """The part file of a claim: it outlives failures, and is begun where another has ended.

    `version` is None until the first bytes come.

    Raises, where it is opened:
        _Busy: Somebody else writes the file.
    """

    def __init__(self, wanted: _Wanted) -> None:
        super().__init__(wanted.target, url=wanted.shown, overwrite=wanted.options.exists != "refuse")
        self.wanted = wanted
        self.found: os.stat_result | None = None
        """The file that was there when this was opened."""
        self.version: Version | None = None
        self._claim = Claim(wanted.target, wanted.options.lease_s)
        self._path = self._claim.part
        self._promises = set[Digest]()
        self._hashes: dict[str, Any] = {}
        self._checkpoint_time = 0.0
        self._beginning: Callable[[], None] | None = None
        self._is_noted = False
        self._fetched_bytes = 0
        self._keep = wanted.options.keep_parts
        self._has_name = False

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what the next one can go on from, or nothing."""
        if isinstance(error, DiskFull | MalformedAnswer):  # others need the space more; it may not be what it seems
            self._keep = False
        if not self._has_name:  # otherwise it is clean already
            await super().__aexit__(kind, error, trace)

    async def _of_here(self, work: Awaitable[T]) -> T:
        """Await what uses the file in a thread.

        Raises:
            ClaimLost: Others have taken the file, and perhaps cleaned ours away.
        """
        try:
            return await super()._of_here(work)
        except TargetNotWritable:
            if not await anyio.to_thread.run_sync(lambda: self._claim.is_held):
                raise ClaimLost from None
            raise

    async def renew(self) -> bool:
        """Say that this process lives; False when others have taken the file."""
        return await anyio.to_thread.run_sync(self._claim.renew, abandon_on_cancel=True)

    async def finish(self) -> Fetched:
        """Verify the file and give it its name."""
        await self.run(self._finish)
        assert self.version is not None
        return Fetched(
            self.target, self.wanted.url, self.written_bytes, self._fetched_bytes, self.sha256, 0.0,
            self.version.etag, self.version.modified,
        )  # fmt: skip

    @property
    def sha256(self) -> str | None:
        """Hexadecimal digest of the file, None where nothing asked for it."""
        return self._hashes["sha256"].hexdigest() if "sha256" in self._hashes else None

    # In the writer's thread -------------------------------------------------------------------------------------------

    def _make(self) -> None:
        if not self._claim.take():
            raise _Busy
        super()._make()
        self.found = _file_at(self.target)

    @property
    def is_alone(self) -> bool:
        """True when nobody has left anything of the file."""
        return self._claim.is_alone

    def take_over(self) -> None:
        """Go on from what somebody else has left, if anything can be done with it."""
        for left in self._claim.leftovers():
            if left.version is not None and left.version.validator is not None and left.usable_bytes:
                self._go_on_from(left, left.version)
                break
        self._claim.tidy()  # whoever is only stuck must find his claim gone when he wakes

    def _go_on_from(self, left: Leftover, version: Version) -> None:
        # Noted before they are ours: whoever comes upon our part file must know of which version it is.
        self._claim.note(version, 0)
        self._is_noted = True
        self._close()
        try:
            self._claim.move_here(left)
        except FileNotFoundError:
            logger.debug("%s: what was left of an earlier try has gone", self.target)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        size = min(left.usable_bytes, os.fstat(self._fd).st_size)
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, 0, os.SEEK_END)
        self.version, self.written_bytes = version, size
        self._checkpoint()
        logger.info("%s: going on from byte %d of an earlier try", self.target, size)

    def start_over(self) -> None:
        """Forget what has come."""
        if self._is_noted:
            # Before it is gone: whoever comes upon the part file must not take what follows for what was noted.
            self._claim.note(None, 0)
            sync_folder(self._path.parent)
            self._is_noted = False
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.version, self.written_bytes = None, 0
        self._promises.clear()
        self._hashes = {}

    def promise(self, digest: Digest) -> None:
        """Have the whole file verified by a digest, too."""
        self._promises.add(digest)

    def expect(self, version: Version, body: Body, decode: bool) -> None:
        """Take the bytes of an answer from now on, behind those that are there if it is a part."""
        self._beginning = partial(self._begin, version, body, decode)

    @property
    def is_expecting(self) -> bool:
        """True as long as nothing has come of the answer."""
        return self._beginning is not None

    def begin(self) -> None:
        """Prepare for the bytes of the answer, unless the first of them came and that is done."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning()

    def _begin(self, version: Version, body: Body, decode: bool) -> None:
        if body.status != 206:
            self.start_over()
        if self.version is None:
            self.version = version
            self._checkpoint_time = time.monotonic()
            if version.length is None or version.length > _SMALL_BYTES:
                self._checkpoint()
        elif self.version.length is None:
            self.version = attrs.evolve(self.version, length=version.length)
        if not (decode and _is_encoded(body)):  # they would be about the packed bytes
            self._promises.update(promised_digests(body.headers, whole=body.status != 206))
        self._hash_what_is_there()
        self._refuse_without_space()

    def write_here(self, data: Data) -> None:
        self.begin()
        super().write_here(data)
        if self._given_up:
            return
        self._fetched_bytes += len(data)
        if time.monotonic() - self._checkpoint_time >= _CHECKPOINT_S:
            self._checkpoint()

    def _hash(self, data: Data) -> None:
        for digest in self._hashes.values():
            digest.update(data)

    def _hash_what_is_there(self) -> None:
        if self.wanted.digest is not None:
            self._promises.add(self.wanted.digest)
        algorithms = {promise.algorithm for promise in self._promises} | ({"sha256"} if self.wanted.sha256 else set())
        if self._hashes.keys() >= algorithms:
            return
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        if self.written_bytes:
            for piece in _pieces(self._path):
                self._hash(piece)
                if self._given_up:
                    return

    def _refuse_without_space(self) -> None:
        assert self.version is not None
        missing = (self.version.length or 0) - self.written_bytes
        free = shutil.disk_usage(self._path.parent).free
        if missing > free:
            advice = "free some space or choose another folder, then run it again"
            said = f"it needs {missing / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free"
            raise DiskFull(self._url, self.target, f"{said}; {advice}", 0)

    def _checkpoint(self, *, released: bool = False) -> None:
        """Make what has come durable, then write down that it is: never the other way round."""
        os.fsync(self._fd)
        self._claim.note(self.version, self.written_bytes, released=released)
        self._is_noted = True
        self._checkpoint_time = time.monotonic()

    def _finish(self) -> None:
        self._verify()
        self._commit()
        if self._has_name:
            self._claim.tidy()
            self._claim.drop()

    def _verify(self) -> None:
        self._hash_what_is_there()
        size = self.wanted.size
        if size is not None and self.written_bytes != size:
            reason = f"it has {self.written_bytes} bytes, {size} are expected"
            raise WrongContent(self._url, self.target, reason, size, self.written_bytes)
        for promise in self._promises:
            found = self._hashes[promise.algorithm].digest()
            if found != promise.value:
                reason = (
                    f"its {promise.algorithm} is {found.hex()}, but {promise.value.hex()} was promised "
                    f"({promise.source}); fetch it again"
                )
                raise WrongContent(self._url, self.target, reason, promise.value.hex(), found.hex())
        if self.wanted.check is not None:
            self.wanted.check(self._path)

    def _commit(self) -> None:
        if self._given_up:
            return
        if not self._claim.is_held:
            raise ClaimLost
        if self.version is not None and (modified := self.version.modified) is not None:
            # Like `curl -R`: by length and date one can tell later whether the server has another version.
            with suppress(OSError, OverflowError):
                os.utime(self._path, (modified.timestamp(), modified.timestamp()))
        Origin.of(self.wanted.url, None if self.version is None else self.version.etag).note(self._path)
        super()._commit()
        self._has_name = True

    def _remove(self) -> None:
        with self._lock:
            is_worth_keeping = self.written_bytes and self.version is not None and self.version.validator is not None
            if self._keep and is_worth_keeping and not self._has_name:
                with suppress(OSError, ClaimLost):
                    self._checkpoint(released=True)
                    self._close()
                    return
            with suppress(OSError):
                self._close()
            if not self._has_name:
                self._claim.drop()


def _holds(path: Path, digest: Digest) -> bool:
    found = digest.new()
    for piece in _pieces(path):
        found.update(piece)
    return bool(found.digest() == digest.value)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def _file_at(path: Path) -> os.stat_result | None:
    """Return what a file is like that is there; anything but a file is for the part file to refuse."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_size, found.st_mtime_ns  # not the ctime: a change of permissions brings no new file


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
            other = shown_url(taken[spelling])
            problem = f"{name!r} is also that of {other}; fetch one of them into another folder"
            raise InvalidInput(f"files[{index}].name", problem)
        planned.append((index, file, folder / name))
    return planned


def _check_url(url: object) -> None:
    try:
        is_url = isinstance(url, str) and urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:  # a bracket without its other half, a host that is no name
        is_url = False
    if not is_url:
        raise InvalidInput("url", f"{shown_url(str(url))!r} is not an http(s) URL")


def _look_at(target: Path | str, url: str, is_file: bool) -> tuple[Path, os.stat_result | None]:
    """Return where the file goes, and what is there."""
    path = Path(target)
    try:
        # "data/" is a folder, also one that is still to be made; a Path has lost its slash.
        if not is_file and (str(target).endswith(("/", os.sep)) or path.is_dir()):
            path /= name_from(url)
        return path, _file_at(path)
    except OSError as error:
        raise as_ours(error, shown_url(url), path, 0) from error


# Public ---------------------------------------------------------------------------------------------------------------


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
    sha256: bool = True,
    on_bytes: Callable[[int, int | None], object] | None = None,
) -> Fetched:
    """Fetch a file of any size, in constant memory: under its name it is whole and verified, or it is not there.

    A transfer that is cut, stalled or killed goes on where it stopped, also in another process, as long as the server
    shows that the file has not changed meanwhile. However many processes ask for one target, it is fetched once.

    A web page, such as a form to log in, is taken for a file only where the target's name ends in `.html`, `.htm`,
    `.xhtml` or `.php`; elsewhere it is refused.

    Args:
        url: Where from.
        target: The file, or a folder (one that exists, or a text with a / at its end), in which it has the name that
            the URL ends in.
        size: Its length in bytes, where it is known.
        digest: Its SHA-256 in hexadecimal digits, or `md5:…`, `sha1:…`, `sha512:…`.
        headers: Sent beside our own.
        options: What a file that is there already means, how slow is too slow, …
        config: Retries, limits and timeouts.
        deadline_s: For all of it; what has come by then is kept for the next try.
        sha256: Compute the digest, which takes a third of the time of a large file where the network is fast (some
            hundred MB/s). Without it, what `digest` or the server promises is verified all the same.
        on_bytes: Told how many bytes are there, and of how many, as they arrive.

    Raises:
        HttpError: The server refused.
        ConnectionLost, ReadTimeout, TransferStalled, IncompleteBody: After all tries that brought nothing new.
        WrongContent, MalformedAnswer: What came is not what was promised.
        DiskFull, TargetNotWritable, TargetExists: It cannot be saved.
        DeadlineExceeded: Time ran out.
    """
    if deadline_s is not None:
        _check_above_zero("deadline_s", deadline_s)
    async with Session(config or Config()) as session:
        try:
            with anyio.fail_after(deadline_s):
                return await Fetcher(session, options).fetch(
                    url, target, size=size, digest=digest, headers=headers, sha256=sha256, on_bytes=on_bytes
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
    sha256: bool = True,
    on_outcome: Callable[[FetchOutcome], object] | None = None,
    on_bytes: Callable[[int, int, int | None], object] | None = None,
) -> list[FetchOutcome]:
    """Fetch many files into a folder, and return what became of each, in order.

    One that fails does not stop the others; a disk that is full stops all that have not begun.

    Args:
        files: URLs, or `File`s, which also say name, size and digest.
        folder: Made when it is not there.
        at_once: How many are fetched at one moment; `Limits.body_connections` bounds those of one host.
        options: As for `fetch`, for all of them.
        config: As for `fetch`.
        sha256: As for `fetch`.
        on_outcome: Told of each file when it is over.
        on_bytes: Told index, how many bytes are there, and of how many, as they arrive.

    Raises:
        InvalidInput: Two URLs would have one name, or a name leads out of the folder. Nothing was sent.
    """
    async with Session(config or Config()) as session:
        fetcher = Fetcher(session, options)
        return await fetcher.fetch_many(
            files, folder, at_once=at_once, sha256=sha256, on_outcome=on_outcome, on_bytes=on_bytes
        )
