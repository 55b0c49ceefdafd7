"""The JSOC client: series, records, addresses and exports of a DRMS service."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs

from aurora_async.config import AURORAX_URL, Config, Limits, Timeouts
from aurora_async.engine import Batch, RequestId, Run
from aurora_async.engine.client import ServiceClient
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import InvalidInput, ServerError, TransportError
from aurora_async.jsoc.addresses import check_address, checked_address, manage_pending, register_address
from aurora_async.jsoc.attrs import Attribute, SearchResults, search
from aurora_async.jsoc.batches import export_batch
from aurora_async.jsoc.cgi import ask, read
from aurora_async.jsoc.downloads import Download, DownloadOptions, Exists, Names
from aurora_async.jsoc.exports import Export, Exportable, Exports, export_queries, export_query, named_queries
from aurora_async.jsoc.filenames import FileNameFormat
from aurora_async.jsoc.models import AddressStatus, PendingExports, SeriesInfo, SeriesName
from aurora_async.jsoc.processing import Protocol, Step
from aurora_async.jsoc.queries import ExportQuery, Method
from aurora_async.jsoc.records import Wanted, names_of, read_records
from aurora_async.jsoc.recordset import RecordSet
from aurora_async.jsoc.servers import SERVERS, JsocServer
from aurora_async.jsoc.structures import Structures
from aurora_async.jsoc.tables import RecordTable
from aurora_async.jsoc.wire import decode_count, decode_series, read_document
from aurora_async.transfer.tables import Records

__all__ = ["DEFAULT_CONFIG", "Jsoc"]

DEFAULT_CONFIG = Config(
    # One download at a time is what JSOC asks of each user; its database may think for minutes before it says a word.
    limits=Limits(control_connections=4, body_connections=1),
    timeouts=Timeouts(read_s=180.0),
)
"""What a client has that is given no other; `attrs.evolve` it for settings that differ in some points only."""


class Jsoc(ServiceClient):
    """JSOC, or another DRMS service, asynchronously: `async with Jsoc(email="me@example.com") as jsoc`.

    Args:
        config: All settings; by default those that JSOC asks for, such as one download at a time (`DEFAULT_CONFIG`).
            Its `base_url`, if it is another than AuroraX's, is that of a service laid out like JSOC; its `api_key` is
            not sent.
        server: `jsoc`, `kis`, or a server described by a `JsocServer`, which wins over `config`.
        base_url: Of a service laid out like JSOC, such as a local one.
        email: The registered address that exports are made for; nothing is sent to check it.
        requestor: The name that exports are made under; by default what stands before the @.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        server: str | JsocServer = "jsoc",
        base_url: str | None = None,
        email: str | None = None,
        requestor: str | None = None,
    ) -> None:
        """Make a client; nothing is opened before `async with`, and nothing is sent."""
        config = config or DEFAULT_CONFIG
        if base_url is None and config.base_url != AURORAX_URL and not isinstance(server, JsocServer):
            base_url = config.base_url
        self.server = _server(server) if base_url is None else JsocServer.at(base_url)
        self.email = None if email is None else checked_address(email, "email")
        if requestor is not None and (not isinstance(requestor, str) or not requestor.strip()):
            raise InvalidInput("requestor", f"{requestor!r} is not a name")
        self.requestor = requestor
        home = base_url or self.server.download_url or self.server.base_url
        super().__init__(attrs.evolve(config, base_url=home, api_key=None))
        self._known: Structures | None = None
        self._made: Exports | None = None

    def _ended(self) -> None:
        self._known = None
        self._made = None

    @property
    def _exports(self) -> Exports:
        if self._made is None:
            self._made = Exports(
                self._open_engine, self.server, self._structures.get, email=self.email, requestor=self.requestor
            )
        return self._made

    @property
    def _structures(self) -> Structures:
        if self._known is None:
            self._known = Structures(self._open_engine, self.server)
        return self._known

    # Series -----------------------------------------------------------------------------------------------------------

    async def series(self, regex: str | None = None, *, full: bool = False) -> Records[SeriesName]:
        """Return the series whose names match, in the service's order.

        Args:
            regex: A POSIX extended regular expression, found anywhere in the name, in any case; after `NOT ` those that
                do not match. None lists all.
            full: Whether their notes are told as well; a service without a list of internal series always tells them.

        Raises:
            QueryRefused: The service cannot use the expression.

        Source: JSOC, `show_series` and `showextseries`.
        """
        server = self.server
        server.check("series")
        if regex is not None and (not isinstance(regex, str) or not regex.isprintable()):
            raise InvalidInput("regex", f"{regex!r} is not a text")
        params = {"filter": regex} if regex else {}
        if server.all_series_cgi is not None:
            params = {"dbhost": server.database_host or ""} | params | ({"info": "1"} if full else {})
        answer = await ask(
            self._open_engine.session, server.cgi_url(server.all_series_cgi or server.series_cgi), params
        )
        return Records(decode_series(answer.body, answer.url, regex or ""), record_type=SeriesName)

    async def info(self, ds: str | RecordSet) -> SeriesInfo:
        """Return the structure of a series: its keywords, segments, links and primary keys.

        It is remembered for ten minutes.

        Args:
            ds: A series, or a record set, whose first series is meant.

        Raises:
            NoSuchSeries: There is none of this name.

        Source: JSOC, `jsoc_info` with `op=series_struct`.
        """
        self.server.check("info")
        return await self._structures.get(_record_set(ds).series[0])

    async def keys(self, ds: str | RecordSet) -> list[str]:
        """Return the names of the keywords of a series."""
        return list((await self.info(ds)).keywords)

    async def pkeys(self, ds: str | RecordSet) -> list[str]:
        """Return the names of the primary keys of a series, which together name a record."""
        return list((await self.info(ds)).primekeys)

    # Records ----------------------------------------------------------------------------------------------------------

    async def query(
        self,
        ds: str | RecordSet | RecordTable,
        *,
        keywords: str | Iterable[str] | None = None,
        segments: str | Iterable[str] | None = None,
        links: str | Iterable[str] | None = None,
        prime_keys: bool = False,
        names: bool = False,
        n: int | None = None,
        typed: bool = True,
        check: bool = True,
        deadline_s: float | None = None,
    ) -> RecordTable:
        """Return what is known of the records of a record set, in the order of their primary keys.

        ```python
        table = await jsoc.query("hmi.v_45s[2013.07.03_08:42_TAI/3m]", keywords="T_REC, CRLT_OBS, QUALITY")
        ```

        Args:
            ds: The records; a table means exactly its rows.
            keywords: Names, in a list or with commas between; `**ALL**` for all. Also what the service keeps beside the
                keywords: `*recnum*`, `*sunum*`, `*size*`, `*online*`, `*retain*`, `*archive*`, `*recdir*`, ….
            segments: Names of segments, whose paths are wanted.
            links: Names of links, whose targets are wanted.
            prime_keys: Whether all primary keys come first, named or not.
            names: Whether the service tells the name of each record too.
            n: At most so many, from the beginning or, if negative, from the end.
            typed: Whether values are numbers, times and None; otherwise they are the service's texts.
            check: Whether names that the series does not have are refused; otherwise the service is asked for them, and
                gives no values.
            deadline_s: Seconds for everything; None waits as long as it takes.

        Raises:
            InvalidInput: A name that the series does not have; nothing was asked.
            QueryRefused: The service's own wording, such as its database's about a condition.
            WrongValue: A value is not of the type its keyword has.
            DeadlineExceeded: Time ran out.

        Source: JSOC, `jsoc_info` with `op=rs_list`.
        """
        self.server.check("query")
        record_set = _record_set(ds)
        wanted = Wanted(
            record_set=record_set,
            keywords=() if prime_keys and keywords is None else names_of(keywords, "keywords"),
            segments=names_of(segments, "segments"),
            links=names_of(links, "links"),
            names=names,
            limit=None if n is None else _limit(n),
            typed=typed,
        )
        deadline = Deadline(deadline_s)
        with deadline.scope(f"querying {record_set}"):
            if typed or check or prime_keys:
                wanted = wanted.with_structures([await self._structures.get(series) for series in record_set.series])
            if prime_keys:
                wanted = wanted.with_prime_keys()
            if check:
                wanted.check_names()
            url = self.server.cgi_url(self.server.info_cgi)
            return await read(self._open_engine.session, url, wanted.params, partial(read_records, wanted=wanted))

    async def count(self, ds: str | RecordSet | RecordTable, n: int | None = None) -> int:
        """Return how many records a record set holds, `n` at most.

        Raises:
            QueryRefused: The service's own wording.

        Source: JSOC, `jsoc_info` with `op=rs_summary`.
        """
        self.server.check("query")
        record_set = str(_record_set(ds))
        params = {"op": "rs_summary", "ds": record_set} | ({} if n is None else {"n": str(_limit(n))})
        answer = await ask(self._open_engine.session, self.server.cgi_url(self.server.info_cgi), params)
        return decode_count(answer.body, answer.url, record_set)

    async def search(
        self, *attributes: Attribute, keywords: str | Sequence[str] | None = None, at_once: int = 4
    ) -> SearchResults:
        """Query the records that have all `attributes`, which `&` and `|` combine; see `aurora_async.jsoc.attrs`.

        Args:
            attributes: What records are searched by; each block of alternatives needs a `Series`, and a `Time` or
                another prime key.
            keywords: Which keywords to get besides the prime keys and those that are compared; `**ALL**` for all.
            at_once: Most queries at one moment; the client's own limit of connections holds as well.

        Raises:
            InvalidQuery: What is missing, unknown in the series, or given twice in a block; no query was sent.
            QueryRefused: The service refused a query; the first one that fails ends the others.
        """
        return await search(self, *attributes, keywords=keywords, at_once=at_once)

    # Addresses --------------------------------------------------------------------------------------------------------

    async def check_email(self, address: str | None = None) -> AddressStatus:
        """Return what the service knows about an address, by default the client's own. Nothing changes by it.

        Raises:
            AddressCheckFailed: The service could not find out.

        Source: JSOC, `checkAddress.sh`.
        """
        return await check_address(self._open_engine.session, self.server, self._address(address))

    async def register_email(
        self,
        address: str | None = None,
        *,
        name: str | None = None,
        wait: bool = True,
        deadline_s: float | None = None,
    ) -> AddressStatus:
        """Have an address registered: the service sends it a mail, which its owner replies to.

        Args:
            address: By default the client's own.
            name: Its owner's.
            wait: Whether to wait for the reply; without one the service gives up after some tens of minutes.
            deadline_s: Seconds to wait for it; None waits until the service gives up.

        Returns:
            What is known in the end: `is_registered`, or not in time.

        Raises:
            AddressCheckFailed: The mail could not be sent.
            DeadlineExceeded: Time ran out; the mail can still be replied to.
        """
        session, checked = self._open_engine.session, self._address(address)
        deadline = Deadline(deadline_s)
        with deadline.scope(f"registering {checked}"):
            status = await check_address(session, self.server, checked)
            if not status.is_registered and not status.is_pending:
                status = await register_address(session, self.server, checked, name)
            polling = self.config.polling
            began = anyio.current_time()
            while wait and status.is_pending:
                waited_s = anyio.current_time() - began
                await anyio.sleep(min(max(waited_s * polling.share, self.server.least_look_s), polling.ceiling_s))
                try:
                    status = await check_address(session, self.server, checked)
                except (TransportError, ServerError):
                    continue  # for as long as somebody may be about to reply, the network may come back as well
        return status

    async def pending(self, address: str | None = None) -> PendingExports:
        """Return which exports of an address, by default the client's own, the service has not finished.

        Source: JSOC, `manage-request.sh`.
        """
        return await manage_pending(self._open_engine.session, self.server, self._address(address), "check")

    async def cancel_pending(self, address: str | None = None) -> PendingExports:
        """Have the service give up all exports of an address that it has not finished, whoever asked for them.

        It has no way to give up a single one.
        """
        return await manage_pending(self._open_engine.session, self.server, self._address(address), "cancel")

    async def ask(self, program: str, params: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer of one of the service's programs, for what has no verb here; a refusal is one, too.

        Args:
            program: Its name, such as `jsoc_info`, or its whole address.
            params: Its arguments. The service may get the question twice.

        Raises:
            MalformedAnswer: The answer is no JSON object.
        """
        answer = await ask(self._open_engine.session, self.server.cgi_url(program), params)
        return dict(read_document(answer.body, answer.url).fields)

    # Exports ----------------------------------------------------------------------------------------------------------

    async def export(
        self,
        what: Exportable,
        *,
        method: Method = "url_quick",
        protocol: str | Protocol = "as-is",
        protocol_args: Mapping[str, Any] | None = None,
        filename_format: str | FileNameFormat | None = None,
        process: Mapping[str, Mapping[str, Any]] | Iterable[Step] | None = None,
        n: int | None = None,
        size_ratio: float | None = None,
        email: str | None = None,
        requestor: str | None = None,
        deadline_s: float | None = None,
    ) -> Export:
        """Ask for the files of records, and return the export; nothing of it is waited for.

        While the service takes no more exports of one user, this one waits for its turn.

        Args:
            what: The records; a table of records, or what a search of one block found, means exactly its rows. Or a
                whole `ExportQuery`, which says all that the other arguments do.
            method: `url_quick`: the files that are on disk, at once, where nothing is to be done to them, else like
                `url`, which puts them into a folder; `url-tar`: all of them in one archive.
            protocol: The form: `as-is`, `fits` (with the keywords in the headers), or `jpg`, `png`, `mpg`, `mp4`.
            protocol_args: Of images: `ct` (color table), `scaling`, `size` (1, 2, 4, 8: so much smaller), `min`, `max`.
            filename_format: The service's names for the files, such as `{seriesname}.{recnum:%d}.{segment}`; None makes
                them of series, primary keys and segment.
            process: Steps that images go through, and the arguments of each: `{"im_patch": {"x": 10, …}}`.
            n: The first so many records, with a minus the last.
            size_ratio: How large the files will be, compared with those stored: below 1 for cut-outs.
            email: A registered address; None: the client's.
            requestor: A name; None: the client's.
            deadline_s: Seconds to wait for the turn.

        Raises:
            InvalidQuery: An argument cannot be right, or the series lacks what is asked for; nothing was sent.
            AddressNotRegistered, ExportTooLarge, FilesOffline, ExportRefused: The service refused.

        Source: JSOC, `jsoc_fetch` with `op=exp_request`.
        """
        query = export_query(
            what,
            method=method,
            protocol=protocol,
            protocol_args=protocol_args,
            filename_format=filename_format,
            process=process,
            n=n,
            size_ratio=size_ratio,
            email=email,
            requestor=requestor,
        )
        return await self._exports.submit(query, deadline_s=deadline_s)

    def resume(self, export_id: RequestId) -> Export:
        """Return an export that was made before, here or anywhere. Asks the service nothing yet."""
        return self._exports.resume(export_id)

    async def download(
        self,
        what: Exportable,
        folder: Path | str,
        *,
        method: Method = "url_quick",
        protocol: str | Protocol = "as-is",
        protocol_args: Mapping[str, Any] | None = None,
        filename_format: str | FileNameFormat | None = None,
        process: Mapping[str, Mapping[str, Any]] | Iterable[Step] | None = None,
        n: int | None = None,
        size_ratio: float | None = None,
        email: str | None = None,
        requestor: str | None = None,
        names: Names = "server",
        exists: Exists = "check",
        extract: bool = True,
        keep_tar: bool = True,
        index: int | Sequence[int] | None = None,
        sha256: bool = True,
        at_once: int | None = None,
        deadline_s: float | None = None,
    ) -> Download:
        """Export, wait, and fetch the files into a folder: `export` and `Export.download` in one.

        Args:
            what: The records, or a whole `ExportQuery`, as for `export`.
            folder: Made where it is missing.
            method: `url_quick`, `url`, `url-tar`, as for `export`.
            protocol: `as-is`, `fits`, or images `jpg`, `png`, `mpg`, `mp4`.
            protocol_args: Of images.
            filename_format: The service's names for the files.
            process: Steps that images go through, and the arguments of each.
            n: The first so many records, with a minus the last.
            size_ratio: How large the files will be, compared with those stored.
            email: A registered address; None: the client's.
            requestor: A name; None: the client's.
            names: What the files are called here: as the `server` does, or by `record`.
            exists: What a file that is there already means: `check`, `skip`, `replace`, `refuse`, `unique`.
            extract: Take the files out of an archive.
            keep_tar: Keep the archive as well.
            index: Which of the files; None: all.
            sha256: Compute digests of all files.
            at_once: How many at one moment; None: `Limits.body_connections`, which bounds it in any case.
            deadline_s: Seconds for everything; what has come by then stays.
        """
        query = export_query(
            what,
            method=method,
            protocol=protocol,
            protocol_args=protocol_args,
            filename_format=filename_format,
            process=process,
            n=n,
            size_ratio=size_ratio,
            email=email,
            requestor=requestor,
        )
        options = DownloadOptions(
            names=names, exists=exists, extract=extract, keep_tar=keep_tar, index=index, sha256=sha256
        )
        deadline = Deadline(deadline_s)
        export = await self._exports.submit_until(query, deadline)
        return await export.fetch(Path(folder), options, deadline, at_once=at_once)

    def run(
        self,
        exports: Iterable[Exportable] | AsyncIterable[Exportable],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        name: Callable[[int, ExportQuery], str] | None = None,
        options: DownloadOptions | None = None,
        deadline_s: float | None = None,
    ) -> Run[ExportQuery]:
        """Make many exports, and give their outcomes in order of completion.

        An `Outcome` has the `query`; the `request_id`, once there was one; `files`, the `Download` into the folder, or
        without one what the service lists; and the `error` of an export that failed: the others go on.

        Args:
            exports: Of any kind that `export` takes, or the results of a search; any number, also endless or
                asynchronous: they are taken when there is room.
            at_once: How many are under way, or wait for their turn, at one moment.
            folder: Where the files go, those of each export into a folder of their own; None only lists them.
            name: Gives that folder's name for the number and the query; by default the series and the number.
            options: How files are named and fetched.
            deadline_s: For each export.

        Raises:
            InvalidQuery: One of `exports` cannot be exported; of a list before anything is sent, else when it comes.
        """
        queries = export_queries(exports)
        return self._exports.run(
            queries, at_once=at_once, folder=folder, name=name, options=options, deadline_s=deadline_s
        )

    def batch(
        self,
        folder: Path | str,
        exports: Iterable[Exportable] | Mapping[str, Exportable] = (),
        *,
        names: Names = "server",
    ) -> Batch:
        """Keep many exports in a folder, so that they survive whatever ends this process; see `aurora_async.Batch`.

        Args:
            folder: Holds the journal, for each export a folder of files and a list of them, and what is told of all.
            exports: Of any kind that `export` takes; those the folder knows already are not added again. With names
                that their folders get, or without.
            names: What files are called, see `DownloadOptions`.
        """
        queries = named_queries(exports) if isinstance(exports, Mapping) else export_queries(exports)
        return export_batch(self._open_engine, self._exports, folder, queries, names=names)

    def _address(self, address: str | None) -> str:
        if address is None and self.email is None:
            raise InvalidInput("address", "is missing: give one, or make the client with email=")
        return checked_address(address if address is not None else self.email or "")


def _server(server: str | JsocServer) -> JsocServer:
    if isinstance(server, JsocServer):
        return server
    if not isinstance(server, str) or server.lower() not in SERVERS:
        raise InvalidInput("server", f"{server!r} is unknown; use {', '.join(SERVERS)} or a JsocServer")
    return SERVERS[server.lower()]


def _record_set(ds: str | RecordSet | RecordTable) -> RecordSet:
    if isinstance(ds, RecordTable):
        return ds.subset()
    if not isinstance(ds, str | RecordSet):
        raise InvalidInput("ds", f"{ds!r} is not a record set, such as 'hmi.m_720s[2018.3.2]'")
    return RecordSet.of(ds).with_zones()


def _limit(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n == 0:
        raise InvalidInput("n", f"{n!r} is not a number of records, such as 10 (the first) or -10 (the last)")
    return n
