"""The IMAP client: everything that the Science Data Center of the mission can be asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import attrs

from aurora_async.engine.client import ServiceClient
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import InvalidInput
from aurora_async.imap.catalog import Catalog
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import Download, Downloadable, OnBytes, OnOutcome, download_files
from aurora_async.imap.errors import CREDENTIALS
from aurora_async.imap.mirror import Mirrored, mirror_files
from aurora_async.imap.models import CatalogFile, Metakernel, ProcessingJob, Reprocessing, SpiceKernel, TableFile
from aurora_async.imap.pipeline import find_jobs, read_log, reprocess_files
from aurora_async.imap.query import FileQuery, Filters, SpiceQuery
from aurora_async.imap.releases import Released, release_files
from aurora_async.imap.spice import TABLE_TYPES, TableType, find_kernels, find_tables, kernel_names, metakernel
from aurora_async.imap.tables import FileTable
from aurora_async.imap.uploads import Existing, Upload, Uploads, upload_file, upload_files
from aurora_async.imap.vocabulary import ReleaseType
from aurora_async.imap.webpoda import Mode, PacketFile, PacketFiles, download_packets, packet_times, packets
from aurora_async.times import TimeLike
from aurora_async.transfer.fetch import Exists
from aurora_async.transfer.tables import Records

__all__ = ["Imap", "TableFilters"]

_RELEASED_ONLY = f"only released files were searched: give {CREDENTIALS} to see all"


class TableFilters(TypedDict, total=False):
    """The filters of tables of spins, repointings and thrusters, as arguments of a function."""

    start: TimeLike | float | None
    end: TimeLike | float | None
    latest: bool
    file_name: str | None
    ingestion_start_date: TimeLike | None
    ingestion_end_date: TimeLike | None
    deadline_s: float | None


class Imap(ServiceClient):
    """The IMAP Science Data Center, asynchronously: `async with Imap(api_key="…") as imap`.

    Args:
        config: All settings; nothing is read from the environment unless it was made by `ImapConfig.from_environment`.
        base_url: Another server than `config`'s, such as a local one.
        data_dir: The folder that files go to, and are looked for in, by the service's own folders; made when needed.
        api_key: Shows all files, not only those that are released, and allows what it was given for.
        access_token: A token of LASP's login; shows all files, too. The key comes first.
        webpoda_token: For raw packets: base64 of `user:password`.
    """

    config: ImapConfig

    def __init__(
        self,
        config: ImapConfig | None = None,
        *,
        base_url: str | None = None,
        data_dir: Path | str | None = None,
        api_key: str | None = None,
        access_token: str | None = None,
        webpoda_token: str | None = None,
    ) -> None:
        """Make a client; nothing is opened before `async with`, and nothing is sent."""
        if config is not None and not isinstance(config, ImapConfig):
            raise InvalidInput("config", f"{type(config).__name__} is not an ImapConfig")
        given: dict[str, Any] = {
            "base_url": base_url,
            "data_dir": data_dir,
            "api_key": api_key,
            "access_token": access_token,
            "webpoda_token": webpoda_token,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        super().__init__(attrs.evolve(ImapConfig() if config is None else config, **changes))

    # Files ------------------------------------------------------------------------------------------------------------

    async def query(
        self, query: FileQuery | None = None, *, deadline_s: float | None = None, **filters: Unpack[Filters]
    ) -> FileTable[CatalogFile]:
        """Return the files that match all filters, of which there must be one, ordered by their keys.

        However many there are: what the service cannot answer at once is asked page by page, and part by part.

        Args:
            query: All filters in one, instead of those that follow.
            deadline_s: Seconds for all of it.
            filters: By name:
                `table`: `science` (by default), `ancillary` or `quicklook`.
                `instrument`, `data_level`: One of `vocabulary.INSTRUMENTS`, of `vocabulary.DATA_LEVELS`.
                `descriptor`: Of the product, such as `norm-dsrf`.
                `start_date`, `end_date`: The days, inclusive, that the files begin on: a date, a datetime, or a text
                such as `20260412` or `2026-04`.
                `ingestion_start_date`, `ingestion_end_date`: When the service got the files, inclusive, to the second.
                `repointing`: A number, or `repoint00096`.
                `version`: `latest`, `v012` or `v001.0008`. Without it and `major_version` the service tells the science
                files of the highest major version.
                `major_version`, `minor_version`: Of science and quicklook files.
                `extension`: Such as `cdf`.

        Raises:
            InvalidInput: A filter cannot be right, or there is none. Nothing was sent.
            QueryRefused: By the service, with its own wording.
            HttpError, TransportError, MalformedAnswer: The service failed even for the least that can be asked.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET query.
        """
        asked = _file_query(query, filters)
        with Deadline(deadline_s).scope(f"the query of {asked.table} files"):
            rows = await Catalog(self._open_engine.session, self.config).find(asked)
        note = None if rows or self.config.is_authenticated else _RELEASED_ONLY
        return FileTable(rows, table=asked.table, query=asked, note=note)

    def stream(self, query: FileQuery | None = None, **filters: Unpack[Filters]) -> AsyncGenerator[CatalogFile, None]:
        """Yield the files that match all filters while the service tells them, each once.

        Arguments and errors are those of `query`. A file whose new version comes in the meantime may be told of twice,
        once in each version.
        """
        return Catalog(self._open_engine.session, self.config).rows(_file_query(query, filters))

    async def download(
        self,
        what: Downloadable,
        folder: Path | str | None = None,
        *,
        exists: Exists = "check",
        at_once: int = 16,
        on_outcome: OnOutcome | None = None,
        on_bytes: OnBytes | None = None,
        deadline_s: float | None = None,
    ) -> Download:
        """Fetch files into the folders that the service has (`imap/mag/l2/2026/04/…`), below a data directory.

        Args:
            what: Names, keys, rows, what a query found, a query, a metakernel, the inputs of a job, or several of
                these; a file that is named twice is fetched once.
            folder: The data directory; None: the client's.
            exists: What a file that is there already means: see `FetchOptions.exists`.
            at_once: How many at one moment; the client's own limit of connections holds as well.
            on_outcome: Told of each file when it is over.
            on_bytes: Told of which key how many bytes are here, and of how many (None where that is not known yet).
            deadline_s: Seconds for all of it; what has come by then is kept.

        Returns:
            What became of each file; one that fails raises nothing and does not stop the others, but a disk that is
            full stops all that have not begun.

        Raises:
            InvalidInput: Something is no name of a file, or leads out of the folder. Nothing was sent.
            QueryRefused, HttpError, TransportError: A query among `what` was not answered; see `query`.
            TargetNotWritable: The folder cannot be made or written.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET download.
        """
        return await download_files(
            self._open_engine.session,
            self.config,
            what,
            folder,
            exists=exists,
            at_once=at_once,
            on_outcome=on_outcome,
            on_bytes=on_bytes,
            deadline_s=deadline_s,
        )

    async def mirror(
        self,
        query: FileQuery | SpiceQuery,
        folder: Path | str | None = None,
        *,
        full: bool = False,
        at_once: int = 16,
        dry_run: bool = False,
        on_planned: Callable[[int], object] | None = None,
        on_outcome: OnOutcome | None = None,
        on_bytes: OnBytes | None = None,
        deadline_s: float | None = None,
    ) -> Mirrored:
        """Bring a folder up to date with a query: fetch what is new since the last time, and what is missing.

        Nothing is removed: what newer versions replace stays.

        Args:
            query: Which files. Each query has its own mark of how far the mirror is, and each way to ask: as the
                public, or as somebody whom the service knows.
            folder: The data directory; None: the client's. It remembers the marks; several mirrors may share it.
            full: Ask for all files of the query, not only for what came since the mark and in three days before it.
            at_once: How many files at one moment.
            dry_run: Find out what would be fetched, and leave it at that.
            on_planned: Told how many files this run fetches, before the first.
            on_outcome: Told of each of these when it is over.
            on_bytes: Told of which key how many bytes are here, and of how many (None where that is not known yet).
            deadline_s: Seconds for all of it; what has come by then is kept.

        Raises:
            QueryRefused, HttpError, TransportError: The query was not answered. A file that fails raises nothing.
            TargetNotWritable: The folder cannot be made or written.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET query, spice-query and download.
        """
        return await mirror_files(
            self._open_engine.session,
            self.config,
            query,
            folder,
            full=full,
            at_once=at_once,
            dry_run=dry_run,
            on_planned=on_planned,
            on_outcome=on_outcome,
            on_bytes=on_bytes,
            deadline_s=deadline_s,
        )

    async def upload(
        self,
        path: Path | str,
        *,
        exists: Existing = "refuse",
        below: Path | str | None = None,
        deadline_s: float | None = None,
    ) -> Upload:
        """Deliver a file. Arguments are those of `upload_many`.

        Raises:
            InvalidInput: The file is missing, or the service does not take its name. Nothing was sent.
            AlreadyExists: The service has one of this name.
            HttpError, TransportError, WrongContent, MalformedAnswer: It is not delivered, or nobody says that it is.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET upload, and PUT to the link it gives.
        """
        return await upload_file(
            self._open_engine.session, self.config, path, exists=exists, below=below, deadline_s=deadline_s
        )

    async def upload_many(
        self,
        paths: Iterable[Path | str],
        *,
        exists: Existing = "refuse",
        at_once: int = 4,
        below: Path | str | None = None,
        on_outcome: Callable[[Upload], object] | None = None,
        deadline_s: float | None = None,
    ) -> Uploads:
        """Deliver files; the service chooses the folder by the name, and lists a file some time later.

        One that fails does not stop the others, and raises nothing.

        Args:
            paths: Of the files.
            exists: What a file that the service has already means. `refuse`: `AlreadyExists`; `skip`: nothing; `check`:
                nothing if it is the same, byte for byte, else `AlreadyExists`.
            at_once: How many at one moment.
            below: Names are not looked at, and the path below this folder is asked for: as it was until 2024.
            on_outcome: Told of each file when it is over.
            deadline_s: Seconds for all of it.

        Raises:
            InvalidInput: A file is missing, or the service does not take its name. Nothing was sent.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET upload, and PUT to the link it gives.
        """
        return await upload_files(
            self._open_engine.session,
            self.config,
            paths,
            exists=exists,
            at_once=at_once,
            below=below,
            on_outcome=on_outcome,
            deadline_s=deadline_s,
        )

    # SPICE ------------------------------------------------------------------------------------------------------------

    @overload
    # A text that mypy does not know is taken for the type of a kernel, as most are: that is the overlap.
    async def spice_query(  # type: ignore[overload-overlap]
        self,
        type: TableType,
        file_name: str | None = None,
        start: TimeLike | float | None = None,
        end: TimeLike | float | None = None,
        *,
        latest: bool = False,
        ingestion_start_date: TimeLike | None = None,
        ingestion_end_date: TimeLike | None = None,
        deadline_s: float | None = None,
    ) -> FileTable[TableFile]: ...
    @overload
    async def spice_query(
        self,
        type: SpiceQuery | str | None = None,
        file_name: str | None = None,
        start: TimeLike | float | None = None,
        end: TimeLike | float | None = None,
        *,
        latest: bool = False,
        ingestion_start_date: TimeLike | None = None,
        ingestion_end_date: TimeLike | None = None,
        deadline_s: float | None = None,
    ) -> FileTable[SpiceKernel]: ...
    async def spice_query(
        self,
        type: SpiceQuery | str | None = None,
        file_name: str | None = None,
        start: TimeLike | float | None = None,
        end: TimeLike | float | None = None,
        *,
        latest: bool = False,
        ingestion_start_date: TimeLike | None = None,
        ingestion_end_date: TimeLike | None = None,
        deadline_s: float | None = None,
    ) -> FileTable[SpiceKernel] | FileTable[TableFile]:
        """Return the kernels that match all filters; without any, all kernels.

        Args:
            type: One of `vocabulary.KERNEL_TYPES`; the tables `spin`, `repoint` and `thruster` give rows of their own.
                Or a `SpiceQuery`, which is all filters in one, instead of those that follow.
            file_name: Of one kernel, such as `naif0012.tls`.
            start: Kernels that cover any of the time from here: a date, datetime or text, or TDB seconds past J2000.
            end: Until here.
            latest: Leave out those of which the service has a newer version, whether or not that one matches.
            ingestion_start_date: When the service got them, at the earliest; to the second.
            ingestion_end_date: At the latest, inclusive.
            deadline_s: Seconds for all of it.

        Raises:
            InvalidInput: A filter cannot be right. Nothing was sent.
            QueryRefused: By the service, with its own wording.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET spice-query.
        """
        filters: dict[str, Any] = {
            "file_name": file_name,
            "start": start,
            "end": end,
            "latest": latest,
            "ingestion_start_date": ingestion_start_date,
            "ingestion_end_date": ingestion_end_date,
        }
        if isinstance(type, SpiceQuery):
            _refuse_more(name for name, value in filters.items() if value is not None and value is not False)
            query = type
        else:
            query = SpiceQuery(type=type, **filters)
        session = self._open_engine.session
        with Deadline(deadline_s).scope("the query of kernels"):
            if query.type in TABLE_TYPES:
                tables = await find_tables(session, self.config, query)
                return FileTable(tables, table=query.type, query=query)
            return FileTable(await find_kernels(session, self.config, query), table="spice", query=query)

    async def spin_tables(self, **filters: Unpack[TableFilters]) -> FileTable[TableFile]:
        """Return the tables of the spins of the spacecraft.

        Args:
            filters: By name:
                `start`, `end`: Tables that cover any day in between.
                `latest`: Of those that match, only the newest for each time range.
                `file_name`: Of one table.
                `ingestion_start_date`, `ingestion_end_date`: When the service got them, to the second.
                `deadline_s`: Seconds for all of it.

        Raises:
            InvalidInput: A filter cannot be right. Nothing was sent.
            QueryRefused: By the service, with its own wording.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET spin-table.
        """
        return await self.spice_query("spin", **filters)

    async def repoint_tables(self, **filters: Unpack[TableFilters]) -> FileTable[TableFile]:
        """Return the tables of repointings. Each has all since launch: `latest=True` gives the one that came last.

        Arguments and errors are those of `spin_tables`. A table reaches from launch to its end date.

        Source: IMAP SDC, GET repoint-table.
        """
        return await self.spice_query("repoint", **filters)

    async def thruster_tables(self, **filters: Unpack[TableFilters]) -> FileTable[TableFile]:
        """Return the tables of what the thrusters did, which the service calls small forces, too.

        Arguments and errors are those of `spin_tables`.

        Source: IMAP SDC, GET small-forces-table.
        """
        return await self.spice_query("thruster", **filters)

    async def metakernel(
        self,
        start: TimeLike | float,
        end: TimeLike | float,
        *,
        file_types: Iterable[str] | None = None,
        spice_path: str | None = None,
        require_coverage: bool = False,
        deadline_s: float | None = None,
    ) -> Metakernel:
        """Return the best set of kernels for a time range, with the gaps that they leave.

        Args:
            start: A date, datetime or text, or TDB seconds past J2000.
            end: The same; of a date, its end.
            file_types: Only kernels of these types; see `vocabulary.KERNEL_TYPES`.
            spice_path: A folder, put in front of every kernel in the text.
            require_coverage: Raise when there are gaps.
            deadline_s: Seconds for all of it.

        Raises:
            InvalidInput: A time or a type cannot be right. Nothing was sent.
            CoverageGaps: There are gaps, and they were not to be.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET metakernel.
        """
        with Deadline(deadline_s).scope("making a metakernel"):
            return await metakernel(
                self._open_engine.session,
                self.config,
                start,
                end,
                file_types=file_types,
                spice_path=spice_path,
                require_coverage=require_coverage,
            )

    async def metakernel_files(
        self,
        start: TimeLike | float,
        end: TimeLike | float,
        *,
        file_types: Iterable[str] | None = None,
        require_coverage: bool = False,
        deadline_s: float | None = None,
    ) -> tuple[str, ...]:
        """Return the names of the kernels for a time range, in the order they are to be loaded: `download` takes them.

        Arguments and errors are those of `metakernel`; where there are no kernels at all, the tuple is empty.

        Source: IMAP SDC, GET metakernel with `list_files`.
        """
        with Deadline(deadline_s).scope("listing the kernels of a time range"):
            return await kernel_names(
                self._open_engine.session,
                self.config,
                start,
                end,
                file_types=file_types,
                require_coverage=require_coverage,
            )

    # The pipeline -----------------------------------------------------------------------------------------------------

    async def reprocess(
        self,
        start_date: TimeLike,
        end_date: TimeLike,
        instrument: str | None = None,
        data_level: str | None = None,
        descriptor: str | None = None,
        *,
        deadline_s: float | None = None,
    ) -> Reprocessing:
        """Ask for the files of some days to be made anew, and return the number of that request.

        Args:
            start_date: The first day.
            end_date: The last one, inclusive.
            instrument: None: of all.
            data_level: Wants an instrument and a descriptor beside it.
            descriptor: Wants an instrument beside it.
            deadline_s: Seconds for all of it.

        Raises:
            InvalidInput: An argument cannot be right. Nothing was sent.
            NotIdentified, NotAllowed, NotOffered: It takes a key or a token.
            ConnectionLost, ReadTimeout, ServerError, DeadlineExceeded: The service may have noted it or not.

        Source: IMAP SDC, POST reprocess.
        """
        with Deadline(deadline_s).scope("asking for files to be made anew"):
            return await reprocess_files(
                self._open_engine.session,
                self.config,
                start_date,
                end_date,
                instrument=instrument,
                data_level=data_level,
                descriptor=descriptor,
            )

    async def release(
        self, manifest: Path | str, release_type: ReleaseType = "release", *, deadline_s: float | None = 120.0
    ) -> Released:
        """Publish the files that a manifest names: it is delivered, waited for, and acted on.

        The manifest's name says of which days (`imap_<instrument>_data-release-<nnn>_<first>_<last>_v<NNN>.txt`), its
        lines say which files: instrument, data level (or `ancillary`, `all`), descriptor (or `all`), and `true` to
        release them. One that was delivered before, byte for byte, is used again: a release that was cut short is
        simply asked for again.

        Args:
            manifest: The file.
            release_type: `release`; the service knows `early-release` and `unrelease` and does not do them yet.
            deadline_s: Seconds for all of it; the service mostly has a manifest within one or two.

        Raises:
            InvalidInput: The type, the manifest or its name cannot be right, or there is no API key. Nothing was sent.
            AlreadyExists: The service has another manifest of this name.
            NotAllowed: The key may not release.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET release.
        """
        return await release_files(
            self._open_engine.session, self.config, manifest, release_type, deadline_s=deadline_s
        )

    async def processing_jobs(
        self,
        *,
        status: str | None = None,
        instrument: str | None = None,
        data_level: str | None = None,
        descriptor: str | None = None,
        start_date: TimeLike | None = None,
        repointing: int | str | None = None,
        major_version: int | None = None,
        minor_version: int | None = None,
        deadline_s: float | None = None,
    ) -> Records[ProcessingJob]:
        """Return the jobs of the pipeline that match all filters; without any, the newest 100.

        Args:
            status: INPROGRESS, SUCCEEDED or FAILED.
            instrument: One of `vocabulary.INSTRUMENTS`.
            data_level: One of `vocabulary.DATA_LEVELS`.
            descriptor: Of the product.
            start_date: The day that is processed.
            repointing: The pointing that is processed.
            major_version: Of the files that are made.
            minor_version: Of the files that are made.
            deadline_s: Seconds for all of it.

        Raises:
            InvalidInput: A filter cannot be right. Nothing was sent.
            QueryRefused: By the service, with its own wording.
            NotIdentified, NotAllowed, NotOffered: It takes a key or a token.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET processing-jobs.
        """
        with Deadline(deadline_s).scope("the query of processing jobs"):
            jobs = await find_jobs(
                self._open_engine.session,
                self.config,
                status=status,
                instrument=instrument,
                data_level=data_level,
                descriptor=descriptor,
                start_date=start_date,
                repointing=repointing,
                major_version=major_version,
                minor_version=minor_version,
            )
        return Records(jobs, record_type=ProcessingJob)

    async def processing_log(self, job: ProcessingJob | str, *, deadline_s: float | None = None) -> str:
        """Return what a job, or the stream of that name, has logged.

        Args:
            job: Of `processing_jobs`, or its `stream`.
            deadline_s: Seconds for all of it.

        Raises:
            InvalidInput: The job has no log. Nothing was sent.
            NotIdentified, NotAllowed, NotOffered: There is no such log, or it takes a key or a token.
            DeadlineExceeded: Time ran out.

        Source: IMAP SDC, GET processing-logs.
        """
        with Deadline(deadline_s).scope("reading the log of a job"):
            return await read_log(self._open_engine.session, self.config, job)

    # Raw packets ------------------------------------------------------------------------------------------------------

    async def packet_times(
        self,
        instrument: str,
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        apids: Iterable[int] | None = None,
        system: str = "SID1",
        at_once: int = 8,
        deadline_s: float | None = None,
    ) -> list[datetime]:
        """Return the spacecraft times of the packets that were received on Earth between `start` and `end`.

        Args:
            instrument: One that has packets: see `vocabulary.APIDS`.
            start: First time of reception, UTC.
            end: Last one, inclusive; a date includes all its day. None: the end of what `start` names.
            apids: Of the packets; None: all of the instrument.
            system: See `webpoda.SYSTEMS`.
            at_once: How many APIDs are asked for at one moment.
            deadline_s: Seconds for all of it.

        Returns:
            One for each packet, to the second, aware UTC, in their order.

        Raises:
            InvalidInput: The instrument has no packets, or there is no login. Nothing was sent.
            LoginRefused: The packet service does not take it.
            HttpError, TransportError, MalformedAnswer: The packet service failed.
            DeadlineExceeded: Time ran out.

        Source: LASP webpoda, `apid_<n>.txt`.
        """
        return await packet_times(
            self._open_engine.session,
            self.config,
            instrument,
            start,
            end,
            apids=apids,
            system=system,
            at_once=at_once,
            deadline_s=deadline_s,
        )

    async def packets(
        self,
        instrument: str,
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        apids: Iterable[int] | None = None,
        system: str = "SID1",
        at_once: int = 8,
        deadline_s: float | None = None,
    ) -> bytes:
        """Return the packets that the spacecraft sent, by its own clock, between `start` and `end`.

        They are in memory, in the order of their APIDs: for more than some hours of an instrument use
        `download_packets`. Arguments and errors are those of `packet_times`, but for the clock.

        Source: LASP webpoda, `apid_<n>.bin`.
        """
        return await packets(
            self._open_engine.session,
            self.config,
            instrument,
            start,
            end,
            apids=apids,
            system=system,
            at_once=at_once,
            deadline_s=deadline_s,
        )

    async def download_packets(
        self,
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
        """Make the files of level 0 that the service lacks: one a day, of some instruments one a pointing.

        A file gets the next minor version of the service's newest one, and is made only where its packets are others.
        Days of some instruments hold some minutes of the days before and after, pointings do not.

        Args:
            instrument: One that has packets: see `vocabulary.APIDS`.
            start: First day or time, UTC.
            end: Last one, inclusive; a date includes all its day. None: the end of what `start` names.
            mode: What these are about. `ert`: when packets were received on Earth; the days and pointings that they are
                of are made anew, whole. `sct`: when they were sent; all days and pointings in between are made.
            upload: Deliver what is new.
            folder: The data directory; None: the client's.
            repoint_rows: The rows of a table of repointings; None: the newest one of the service.
            system: See `webpoda.SYSTEMS`.
            at_once: How many APIDs are asked for at one moment.
            on_outcome: Told of each file when it is over.
            deadline_s: Seconds for all of it; files that are made by then are kept.

        Returns:
            What became of each day or pointing; one that fails does not stop the others.

        Raises:
            InvalidInput: The instrument has no packets, or there is no login. Nothing was sent.
            LoginRefused: The packet service does not take it.
            NoPointings: The service has no table of repointings.
            HttpError, TransportError, MalformedAnswer: The packets, the pointings or the service's files could not be
                listed.
            TargetNotWritable: The folder cannot be made or written.
            DeadlineExceeded: Time ran out.

        Source: LASP webpoda, `apid_<n>.bin` and `apid_<n>.txt`.
        """
        return await download_packets(
            self._open_engine.session,
            self.config,
            instrument,
            start,
            end,
            mode=mode,
            upload=upload,
            folder=folder,
            repoint_rows=repoint_rows,
            system=system,
            at_once=at_once,
            on_outcome=on_outcome,
            deadline_s=deadline_s,
        )


def _file_query(query: FileQuery | None, filters: Filters) -> FileQuery:
    if query is None:
        return FileQuery(**filters)
    if not isinstance(query, FileQuery):
        raise InvalidInput("query", f"{query!r} is not a FileQuery; filters are given by name")
    _refuse_more(filters)
    return query


def _refuse_more(given: Iterable[str]) -> None:
    for name in given:
        raise InvalidInput("query", f"is given, and so is {name}: give one of them")
