"""Raw packets, from the mission's packet service ("webpoda"), made into the files of level 0.

The service knows two times of a packet: when the spacecraft sent it (`sct`) and when it was received on Earth (`ert`).
It is asked for one application identifier (APID) at a time. Here all of an instrument are asked for at once, each into
a file of its own; only when all of them are whole are they put one after the other, in the order of the APIDs. Of the
packets only the headers matter, which say that they are packets, and whole.

Source: the SDC's data-access client 1.3.0.
"""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import anyio.to_thread
import attrs

from aurora_async.display.numbers import plural, size
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.http import Session
from aurora_async.imap._pieces import Piece, tidy, whole_file
from aurora_async.imap._poda import SYSTEMS, LoginRefused, PacketService, Window, all_of
from aurora_async.imap.catalog import rows
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import download_files, folder_of
from aurora_async.imap.filenames import ScienceName, Version
from aurora_async.imap.models import ScienceFile
from aurora_async.imap.pointings import Pointing, fetch_pointings, pointings_of
from aurora_async.imap.query import FileQuery
from aurora_async.imap.uploads import upload_file
from aurora_async.imap.vocabulary import BUFFERS_MIN, REPOINTED
from aurora_async.times import TimeLike
from aurora_async.transfer.outcomes import FileOutcomes
from aurora_async.transfer.sink import ensure_writable
from aurora_async.transfer.tables import table

__all__ = [
    "SYSTEMS",
    "LoginRefused",
    "Mode",
    "PacketFile",
    "PacketFiles",
    "download_packets",
    "packet_times",
    "packets",
]

logger = logging.getLogger(__name__)

Mode = Literal["ert", "sct"]
Status = Literal["new", "same", "fewer", "empty"]

_FIRST_VERSION = Version(1, 1)
_CUT_OFF = timedelta(microseconds=999_999)
"""The most that a listed time lacks."""
_FILES_AT_ONCE = 3


@table(shown=("start_date", "repointing", "status", "path", "bytes", "error"), noun="packet file", hides_empty=True)
@attrs.frozen(kw_only=True)
class PacketFile:
    """What became of the packets of a day, or of a pointing.

    Status `new`: they are at `path`, under a name that the service does not have. `same`: its newest file holds just
    these, and `path` is that. `fewer`: it holds more, so nothing was kept, and `path` is that. `empty`: there are none.
    A new file that could not be delivered is there, with the `error`.
    """

    start_date: date
    repointing: int | None = None
    status: Status | None = None
    path: Path | None = None
    bytes: int | None = None
    sha256: str | None = None
    is_uploaded: bool = False
    error: AuroraError | None = None

    @property
    def ok(self) -> bool:
        """True when nothing went wrong."""
        return self.error is None


@attrs.frozen(kw_only=True)
class PacketFiles(FileOutcomes[PacketFile]):
    """What became of the packets of each day or pointing, in their order."""

    record_type: ClassVar = PacketFile
    folder: Path
    files: tuple[PacketFile, ...]

    @property
    def new(self) -> tuple[PacketFile, ...]:
        """Those that the service does not have, or did not have before."""
        return tuple(file for file in self.files if file.status == "new")

    @property
    def _wording(self) -> str:
        return "packet files are not made or not delivered"

    def __repr__(self) -> str:
        made = self.new
        bytes_made = sum(file.bytes or 0 for file in made)
        return f"<PacketFiles: {plural(len(made), 'new file')}, {size(bytes_made)} in {self.folder}>"


@attrs.frozen
class _Span:
    """What goes into one file."""

    start_date: date
    repointing: int | None
    window: Window


async def packet_times(
    session: Session,
    config: ImapConfig,
    instrument: str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    apids: Iterable[int] | None = None,
    system: str = "SID1",
    at_once: int = 8,
    deadline_s: float | None = None,
) -> list[datetime]:
    """Return the times of packets that were received on Earth in a time range; see `Imap.packet_times`."""
    service = PacketService.of(session, config, instrument, apids=apids, system=system, at_once=at_once)
    window = Window.of(start, end)
    with Deadline(deadline_s).scope(f"listing the packets of {instrument}"):
        return sorted(time for times in await service.times(window) for time in times)


async def packets(
    session: Session,
    config: ImapConfig,
    instrument: str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    apids: Iterable[int] | None = None,
    system: str = "SID1",
    at_once: int = 8,
    deadline_s: float | None = None,
) -> bytes:
    """Return the packets that the spacecraft sent in a time range of its own clock; see `Imap.packets`."""
    service = PacketService.of(session, config, instrument, apids=apids, system=system, at_once=at_once)
    window = Window.of(start, end)
    with Deadline(deadline_s).scope(f"reading the packets of {instrument}"):
        return b"".join(await service.packets(window))


async def download_packets(
    session: Session,
    config: ImapConfig,
    instrument: str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    mode: Mode = "ert",
    upload: bool = False,
    folder: Path | str | None = None,
    repoint_rows: Iterable[Mapping[str, str]] | None = None,
    system: str = "SID1",
    at_once: int = 8,
    on_outcome: Callable[[PacketFile], object] | None = None,
    deadline_s: float | None = None,
) -> PacketFiles:
    """Make the files of level 0 that the service lacks; see `Imap.download_packets`."""
    if mode not in ("ert", "sct"):
        raise InvalidInput("mode", f"{mode!r} is not one of 'ert' (received on Earth) and 'sct' (spacecraft time)")
    service = PacketService.of(session, config, instrument, system=system, at_once=at_once)
    window = Window.of(start, end)
    maker = _Maker(service, folder_of(config, folder), upload)
    with Deadline(deadline_s).scope(f"making packet files of {instrument}"):
        await ensure_writable(maker.folder / ".aurora-probe")
        spans = await maker.spans(window, mode, repoint_rows)
        archived = await maker.archived(spans)
        made: dict[_Span, PacketFile] = {}
        waiting = iter(spans)

        async def work() -> None:
            for span in waiting:  # shared: each takes the next
                file = made[span] = await maker.outcome(span, archived.get((span.start_date, span.repointing)))
                if on_outcome is not None:
                    on_outcome(file)

        await all_of([work] * min(_FILES_AT_ONCE, len(spans)))
    return PacketFiles(folder=maker.folder, files=tuple(made[span] for span in spans))


@attrs.frozen(eq=False)
class _Maker:
    """Makes the files of one instrument."""

    service: PacketService
    folder: Path
    is_delivering: bool

    async def spans(self, window: Window, mode: Mode, repoint_rows: Iterable[Mapping[str, str]] | None) -> list[_Span]:
        """Return the days or pointings that files are to be made of."""
        service = self.service
        if service.instrument not in REPOINTED:
            buffer = timedelta(minutes=BUFFERS_MIN.get(service.instrument, 0))
            days = window.days() if mode == "sct" else sorted({time.date() for time in await self._received(window)})
            return [_Span(day, None, Window.of_day(day, buffer)) for day in days]
        if repoint_rows is None:
            pointings = await fetch_pointings(service.session, service.config, self.folder)
        else:
            pointings = pointings_of(repoint_rows)
        if mode == "sct":
            chosen = [one for one in pointings if one.start < window.end and window.start < one.end]
        else:
            chosen = holding(pointings, await self._received(window))
        return [_Span(one.start.date(), one.number, Window(one.start, one.end)) for one in chosen]

    async def _received(self, window: Window) -> set[datetime]:
        return {time for times in await self.service.times(window) for time in times}

    async def archived(self, spans: list[_Span]) -> dict[tuple[date, int | None], ScienceFile]:
        """Return the newest files that the service has of them."""
        if not spans:
            return {}
        if not self.service.config.is_authenticated:
            logger.warning("without a key the service shows no files of level 0, and all packets count as new")
        days = [span.start_date for span in spans]
        query = FileQuery(
            instrument=self.service.instrument,
            data_level="l0",
            descriptor="raw",
            start_date=min(days),
            end_date=max(days),
        )
        newest: dict[tuple[date, int | None], ScienceFile] = {}
        async for row in rows(self.service.session, self.service.config, query):
            if isinstance(row, ScienceFile) and row.version is not None:
                best = newest.setdefault((row.start_date, row.repointing), row).version
                if best is not None and best < row.version:
                    newest[row.start_date, row.repointing] = row
        return newest

    async def outcome(self, span: _Span, archived: ScienceFile | None) -> PacketFile:
        """Make one file, and say what became of it."""
        told = PacketFile(start_date=span.start_date, repointing=span.repointing)
        try:
            told = await self._make(span, archived, told)
            if self.is_delivering and told.status == "new" and told.path is not None:
                await upload_file(self.service.session, self.service.config, told.path)
                told = attrs.evolve(told, is_uploaded=True)
        except LoginRefused:
            raise  # as it would be for all others
        except AuroraError as error:
            return attrs.evolve(told, error=error)
        return told

    async def _make(self, span: _Span, archived: ScienceFile | None, told: PacketFile) -> PacketFile:
        version = _version_after(archived)
        name = ScienceName(self.service.instrument, "l0", "raw", span.start_date, version, repointing=span.repointing)
        path = name.path_in(self.folder)
        await tidy(path)
        async with AsyncExitStack() as stack:
            pieces: dict[int, Piece] = {}

            async def fetch(apid: int) -> None:
                piece = pieces[apid] = await stack.enter_async_context(Piece(self.folder / path.name))
                await self.service.save(apid, span.window, piece)

            await all_of(partial(fetch, apid) for apid in self.service.apids)
            if not any(piece.written_bytes for piece in pieces.values()):
                return attrs.evolve(told, status="empty", bytes=0)
            whole = await stack.enter_async_context(whole_file(path))
            for apid in self.service.apids:
                await whole.run(pieces[apid].read, whole.write_here)
            told = attrs.evolve(told, bytes=whole.written_bytes, sha256=whole.sha256)
            if archived is not None and (there := await self._there(archived, told)) is not None:
                return there
            await whole.commit()
        return attrs.evolve(told, status="new", path=path)

    async def _there(self, archived: ScienceFile, told: PacketFile) -> PacketFile | None:
        """Return what makes a new file needless: that the service's has the same packets, or more of them."""
        (got,) = await download_files(self.service.session, self.service.config, archived, self.folder)
        if got.error is not None:
            raise got.error
        assert got.path is not None and got.bytes is not None and told.bytes is not None
        if told.bytes > got.bytes:
            return None
        if told.bytes < got.bytes:
            logger.warning(
                "the packet service has %d bytes for %s, which holds %d; kept as it is",
                told.bytes, archived.file_name, got.bytes,
            )  # fmt: skip
            return attrs.evolve(told, status="fewer", path=got.path, bytes=got.bytes, sha256=got.sha256)
        sha256 = got.sha256 or await anyio.to_thread.run_sync(_sha256, got.path)
        return attrs.evolve(told, status="same", path=got.path) if sha256 == told.sha256 else None


def holding(pointings: Iterable[Pointing], times: Iterable[datetime]) -> list[Pointing]:
    """Return the pointings that hold one of these times, which are cut to the second.

    What is listed at 00:15:00 may be of 00:15:00.9, and a pointing may begin in between: both are returned then.
    """
    ordered = sorted(times)

    def holds(pointing: Pointing) -> bool:
        first = bisect_left(ordered, pointing.start - _CUT_OFF)
        return first < len(ordered) and ordered[first] < pointing.end

    return [pointing for pointing in pointings if holds(pointing)]


def _version_after(archived: ScienceFile | None) -> Version:
    """Return the next minor version; 1.1 after none, and after those of old that had no major part."""
    version = archived.version if archived is not None else None
    return _FIRST_VERSION if version is None or version.major is None else Version(version.major, version.minor + 1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
