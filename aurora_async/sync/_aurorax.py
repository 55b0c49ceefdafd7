"""AuroraX, blocking: what `aurora_async.aurorax` has, under the same names, without `await`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from aurora_async import aurorax
from aurora_async.aurorax.models import DataSource, Query
from aurora_async.aurorax.plans import Plan, PlannedSearch
from aurora_async.aurorax.records import ChunkOutcome, UploadReport
from aurora_async.aurorax.searches import QueryDocument, ResponseFormat
from aurora_async.aurorax.splitting import Window
from aurora_async.config import Config
from aurora_async.engine import Request as AsyncRequest
from aurora_async.engine import RequestId
from aurora_async.engine import Run as AsyncRun
from aurora_async.engine.cluster import ClusterLike
from aurora_async.sync._batch import Batch
from aurora_async.sync._client import BlockingClient
from aurora_async.sync._requests import Events, Handle, Part, Run, read_aside
from aurora_async.sync._verbs import blocking, here, streaming
from aurora_async.transfer import Format
from aurora_async.transfer.tables import Records

__all__ = [
    "Administration",
    "AuroraX",
    "AvailabilityCounts",
    "ConjunctionSearches",
    "DataProductSearches",
    "EphemerisSearches",
    "Request",
    "Searches",
    "Sources",
]

T = TypeVar("T")
QueryT = TypeVar("QueryT", bound=Query)
RecordT = TypeVar("RecordT")


class Request(Handle, Generic[RecordT]):
    """One request; see `aurora_async.Request`. Ctrl-C while it is waited for cancels it on the service, too."""

    stream = streaming(AsyncRequest[RecordT].stream)
    records = blocking(AsyncRequest[RecordT].records)
    download = blocking(AsyncRequest[RecordT].download)
    append = blocking(AsyncRequest[RecordT].append)


class Searches(Part, Generic[QueryT, RecordT]):
    """One kind of search; see `aurora_async.aurorax.Searches`."""

    download = blocking(aurorax.Searches[QueryT, RecordT].download)
    describe = blocking(aurorax.Searches[QueryT, RecordT].describe)
    read = here(aurorax.Searches[QueryT, RecordT].read)
    response_format = here(aurorax.Searches[QueryT, RecordT].response_format)
    request_url = here(aurorax.Searches[QueryT, RecordT].request_url)
    status = blocking(aurorax.Searches[QueryT, RecordT].status)
    logs = blocking(aurorax.Searches[QueryT, RecordT].logs)
    query = blocking(aurorax.Searches[QueryT, RecordT].query)
    cancel = blocking(aurorax.Searches[QueryT, RecordT].cancel)
    delete_result = blocking(aurorax.Searches[QueryT, RecordT].delete_result)

    @overload
    def search(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Records[RecordT]: ...
    @overload
    def search(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Records[dict[str, Any]]: ...
    def search(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Records[Any]:
        """Return all records that answer `query`, in the service's order."""
        found: Records[Any] = self._loop.run(
            self._asynchronous.search, query, response_format=response_format, window=window, deadline_s=deadline_s
        )
        return found

    @overload
    def stream(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Generator[RecordT, None, None]: ...
    @overload
    def stream(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Generator[dict[str, Any], None, None]: ...
    def stream(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Generator[Any, None, None]:
        """Yield records as they arrive, no faster than they are taken and in constant memory."""
        yield from self._loop.stream(
            self._asynchronous.stream(query, response_format=response_format, window=window, deadline_s=deadline_s)
        )

    @overload
    def submit(
        self, query: QueryT | QueryDocument, *, response_format: None = None, deadline_s: float | None = None
    ) -> Request[RecordT]: ...
    @overload
    def submit(
        self, query: QueryT | QueryDocument, *, response_format: ResponseFormat, deadline_s: float | None = None
    ) -> Request[dict[str, Any]]: ...
    def submit(
        self,
        query: QueryT | QueryDocument,
        *,
        response_format: ResponseFormat | None = None,
        deadline_s: float | None = None,
    ) -> Request[Any]:
        """Submit `query` and return the request; nothing of it is waited for."""
        verb = self._asynchronous.submit
        return Request(
            self._client, self._loop.run(verb, query, response_format=response_format, deadline_s=deadline_s)
        )

    @overload
    def resubmit(
        self, request_id: RequestId, *, response_format: None = None, deadline_s: float | None = None
    ) -> Request[RecordT]: ...
    @overload
    def resubmit(
        self, request_id: RequestId, *, response_format: ResponseFormat, deadline_s: float | None = None
    ) -> Request[dict[str, Any]]: ...
    def resubmit(
        self,
        request_id: RequestId,
        *,
        response_format: ResponseFormat | None = None,
        deadline_s: float | None = None,
    ) -> Request[Any]:
        """Submit the query of a request once more; the new request has an identifier of its own."""
        verb = self._asynchronous.resubmit
        return Request(
            self._client, self._loop.run(verb, request_id, response_format=response_format, deadline_s=deadline_s)
        )

    @overload
    def resume(self, request_id: RequestId, *, response_format: None = None) -> Request[RecordT]: ...
    @overload
    def resume(self, request_id: RequestId, *, response_format: ResponseFormat) -> Request[dict[str, Any]]: ...
    def resume(self, request_id: RequestId, *, response_format: ResponseFormat | None = None) -> Request[Any]:
        """Return a handle of a request that was submitted before, here or anywhere. Asks the service nothing yet."""
        return Request(self._client, self._asynchronous.resume(request_id, response_format=response_format))


class _Loadable(Searches[QueryT, RecordT]):
    """A kind of search whose records can be loaded, too."""

    def upload(
        self,
        source: DataSource | int,
        records: Iterable[RecordT],
        *,
        chunk_size: int = 500,
        at_once: int = 4,
        validate: bool = True,
        on_chunk: Callable[[ChunkOutcome], object] | None = None,
    ) -> UploadReport:
        """Load records of `source`; see `aurora_async.aurorax.EphemerisSearches.upload`.

        `records` is iterated in a thread of its own, and may make blocking calls; `on_chunk` is called in the loop's
        thread, and may not.
        """
        report: UploadReport = self._loop.run(
            self._asynchronous.upload, source, read_aside(records, 256),
            chunk_size=chunk_size, at_once=at_once, validate=validate, on_chunk=on_chunk,
        )  # fmt: skip
        return report


class ConjunctionSearches(Searches[aurorax.ConjunctionQuery, aurorax.Conjunction]):
    """Searches for conjunctions; see `aurora_async.aurorax.ConjunctionSearches`."""

    count_combinations = blocking(aurorax.ConjunctionSearches.count_combinations)
    page_url = here(aurorax.ConjunctionSearches.page_url)
    swarmaurora_url = here(aurorax.ConjunctionSearches.swarmaurora_url)
    swarmaurora_import = blocking(aurorax.ConjunctionSearches.swarmaurora_import)
    save_swarmaurora_import = blocking(aurorax.ConjunctionSearches.save_swarmaurora_import)


class EphemerisSearches(_Loadable[aurorax.EphemerisQuery, aurorax.Ephemeris]):
    """Searches for positions and footprints; see `aurora_async.aurorax.EphemerisSearches`."""

    delete = blocking(aurorax.EphemerisSearches.delete)
    delete_jobs = blocking(aurorax.EphemerisSearches.delete_jobs)
    delete_job = blocking(aurorax.EphemerisSearches.delete_job)


class DataProductSearches(_Loadable[aurorax.DataProductQuery, aurorax.DataProduct]):
    """Searches for keograms, montages, movies and plots; see `aurora_async.aurorax.DataProductSearches`."""

    fetch_files = blocking(aurorax.DataProductSearches.fetch_files)
    delete_urls = blocking(aurorax.DataProductSearches.delete_urls)
    delete = blocking(aurorax.DataProductSearches.delete)


class Sources(Part):
    """The data sources; see `aurora_async.aurorax.Sources`."""

    list = blocking(aurorax.Sources.list)
    search = blocking(aurorax.Sources.search)
    get = blocking(aurorax.Sources.get)
    find = blocking(aurorax.Sources.find)
    statistics = blocking(aurorax.Sources.statistics)
    ephemeris_schema = blocking(aurorax.Sources.ephemeris_schema)
    data_product_schema = blocking(aurorax.Sources.data_product_schema)
    add = blocking(aurorax.Sources.add)
    update = blocking(aurorax.Sources.update)
    replace = blocking(aurorax.Sources.replace)
    delete = blocking(aurorax.Sources.delete)


class AvailabilityCounts(Part):
    """Counts of records by data source and day; see `aurora_async.aurorax.AvailabilityCounts`."""

    ephemeris = blocking(aurorax.AvailabilityCounts.ephemeris)
    data_products = blocking(aurorax.AvailabilityCounts.data_products)


class Administration(Part):
    """What only administrators may do; see `aurora_async.aurorax.Administration`."""

    search_requests = blocking(aurorax.Administration.search_requests)
    delete_search_request = blocking(aurorax.Administration.delete_search_request)
    accounts = blocking(aurorax.Administration.accounts)


class AuroraX(BlockingClient[aurorax.AuroraX]):
    """AuroraX, blocking; see `aurora_async.AuroraX`.

    It is opened by the first call, from whichever thread, and closed by `close`, at the end of a `with` block, or at
    the latest when the interpreter ends. It works in scripts and in notebooks alike, whose own event loop it does not
    need. Ctrl-C cancels what the call has started on the service, too.

    Attributes:
        conjunctions, ephemeris, data_products: The three kinds of search.
        sources: The data sources.
        availability: How many records they have, day by day.
        admin: What only administrators may do.
        events: What happens to its requests.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        synchronous: bool = True,
    ) -> None:
        """Make a client; nothing is opened yet."""
        super().__init__(aurorax.AuroraX(config, base_url=base_url, api_key=api_key, synchronous=synchronous))
        self._synchronous = synchronous

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, here or in another process, is a client of its own that is not open yet. It holds the key, too.
        return partial(AuroraX, self.config, synchronous=self._synchronous), ()

    @property
    def config(self) -> Config:
        """All settings."""
        return self._asynchronous.config

    @property
    def conjunctions(self) -> ConjunctionSearches:
        """When footprints came close."""
        return ConjunctionSearches(self, "conjunctions")

    @property
    def ephemeris(self) -> EphemerisSearches:
        """Positions and footprints, minute by minute."""
        return EphemerisSearches(self, "ephemeris")

    @property
    def data_products(self) -> DataProductSearches:
        """Keograms, montages, movies and plots."""
        return DataProductSearches(self, "data_products")

    @property
    def sources(self) -> Sources:
        """Spacecraft, instruments and event lists."""
        return Sources(self, "sources")

    @property
    def availability(self) -> AvailabilityCounts:
        """How many records there are, day by day."""
        return AvailabilityCounts(self, "availability")

    @property
    def admin(self) -> Administration:
        """What only administrators may do."""
        return Administration(self, "admin")

    @property
    def events(self) -> Events:
        """What happens to this client's requests, for progress displays and logs."""
        return Events(self, "events")

    authenticate = blocking(aurorax.AuroraX.authenticate)
    end_session = blocking(aurorax.AuroraX.end_session)
    time_zones = blocking(aurorax.AuroraX.time_zones)
    to_utc = blocking(aurorax.AuroraX.to_utc)
    request = blocking(aurorax.AuroraX.request)

    def run(
        self,
        queries: Iterable[Query],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        format: Format = "json",
        name: Callable[[int, Query], str] | None = None,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Run[Query]:
        """Make many searches, and give their outcomes in order of completion; see `aurora_async.AuroraX.run`.

        `queries` is iterated in a thread of its own, and may make blocking calls; `name` is called in the loop's
        thread, and may not.
        """

        async def make() -> AsyncRun[Query]:
            return self._asynchronous.run(
                read_aside(queries, 1), at_once=at_once, folder=folder, format=format, name=name,
                response_format=response_format, window=window, deadline_s=deadline_s,
            )  # fmt: skip

        return Run(self, self._loop.run(make))

    def batch(
        self,
        folder: Path | str,
        queries: Plan | Iterable[Query | PlannedSearch] = (),
        *,
        format: Format | None = None,
        window: Window | None = None,
        response_format: ResponseFormat | None = None,
        reuse: Iterable[Path | str] = (),
        cluster: ClusterLike | None = None,
        outputs: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        dataset: Path | str | None = None,
    ) -> Batch:
        """Keep many searches in a folder, so that they survive whatever ends this process; see `aurora_async.Batch`."""
        given = queries if isinstance(queries, Plan) else list(queries)
        return Batch(
            self,
            lambda: self._asynchronous.batch(
                folder,
                given,
                format=format,
                window=window,
                response_format=response_format,
                reuse=reuse,
                cluster=cluster,
                outputs=outputs,
                storage_options=storage_options,
                dataset=dataset,
            ),
        )
