"""The IMAP Science Data Center, blocking: what `aurora_async.imap` has, under the same names, without `await`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from aurora_async.imap import (
    Download,
    FileTable,
    ImapConfig,
    SpiceKernel,
    SpiceQuery,
    TableFile,
    Upload,
    Uploads,
)
from aurora_async.imap import Imap as AsyncImap
from aurora_async.imap.downloads import Downloadable, OnBytes, OnOutcome
from aurora_async.imap.spice import TableType
from aurora_async.imap.uploads import Existing
from aurora_async.sync._client import BlockingClient
from aurora_async.sync._verbs import blocking, streaming
from aurora_async.times import TimeLike
from aurora_async.transfer.fetch import Exists

__all__ = ["Imap"]

T = TypeVar("T")


class Imap(BlockingClient[AsyncImap]):
    """The SDC, or a local service like it, blocking; see `aurora_async.Imap`.

    It is opened by the first call, from whichever thread, and closed by `close`, at the end of a `with` block, or at
    the latest when the interpreter ends. It works in scripts and in notebooks alike, whose own event loop it does not
    need. Ctrl-C ends what the call has started; files that have come by then stay.
    """

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
        """Make a client; nothing is opened yet, and nothing is sent."""
        client = AsyncImap(
            config,
            base_url=base_url,
            data_dir=data_dir,
            api_key=api_key,
            access_token=access_token,
            webpoda_token=webpoda_token,
        )
        super().__init__(client)
        self._again = partial(Imap, self.config)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, here or in another process, is a client of its own that is not open yet.
        return self._again, ()

    @property
    def config(self) -> ImapConfig:
        """All settings."""
        return self._asynchronous.config

    query = blocking(AsyncImap.query)
    stream = streaming(AsyncImap.stream)
    spin_tables = blocking(AsyncImap.spin_tables)
    repoint_tables = blocking(AsyncImap.repoint_tables)
    thruster_tables = blocking(AsyncImap.thruster_tables)
    metakernel = blocking(AsyncImap.metakernel)
    metakernel_files = blocking(AsyncImap.metakernel_files)
    mirror = blocking(AsyncImap.mirror)
    reprocess = blocking(AsyncImap.reprocess)
    release = blocking(AsyncImap.release)
    processing_jobs = blocking(AsyncImap.processing_jobs)
    processing_log = blocking(AsyncImap.processing_log)
    packet_times = blocking(AsyncImap.packet_times)
    packets = blocking(AsyncImap.packets)
    download_packets = blocking(AsyncImap.download_packets)
    upload = blocking(AsyncImap.upload)

    @overload
    # A text that mypy does not know is taken for the type of a kernel, as most are: that is the overlap.
    def spice_query(  # type: ignore[overload-overlap]
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
    def spice_query(
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
    def spice_query(
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
        """Return the kernels that match all filters; see `aurora_async.Imap.spice_query`."""
        return self._loop.run(
            self._asynchronous.spice_query, type, file_name, start, end, latest=latest,
            ingestion_start_date=ingestion_start_date, ingestion_end_date=ingestion_end_date, deadline_s=deadline_s,
        )  # fmt: skip

    def download(
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
        """Fetch files into the folders that the service has; see `aurora_async.Imap.download`.

        `what` may come from blocking calls; `on_outcome` and `on_bytes` are called in the loop's thread, and must make
        none.
        """
        return self._loop.run(
            self._asynchronous.download, _read_here(what), folder,
            exists=exists, at_once=at_once, on_outcome=on_outcome, on_bytes=on_bytes, deadline_s=deadline_s,
        )  # fmt: skip

    def upload_many(
        self,
        paths: Iterable[Path | str],
        *,
        exists: Existing = "refuse",
        at_once: int = 4,
        below: Path | str | None = None,
        on_outcome: Callable[[Upload], object] | None = None,
        deadline_s: float | None = None,
    ) -> Uploads:
        """Deliver files; see `aurora_async.Imap.upload_many`.

        `paths` may come from blocking calls; `on_outcome` is called in the loop's thread, and must make none.
        """
        return self._loop.run(
            self._asynchronous.upload_many, _read_here(paths),
            exists=exists, at_once=at_once, below=below, on_outcome=on_outcome, deadline_s=deadline_s,
        )  # fmt: skip


def _read_here(what: T) -> T:
    """Read what can be read only once before the loop does, which blocking calls must not be made from."""
    return cast(T, list(what)) if isinstance(what, Iterator) else what
