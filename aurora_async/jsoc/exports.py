"""Exports: what is asked of the service, what becomes of it there, and its files.

A `Handle` like that of every other service is what one has of an export. Two things are different. What is on disk and
wanted as it is, is answered at once and gets no identifier; ours (`quick:…`) says all that is needed to ask again. And
the service can give up all exports of a user, but not a single one.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterable, Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode

import anyio
import attrs

from aurora_async.engine import Engine, Output, Phase, RequestId, RequestStatus, Run
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.events import EventKind
from aurora_async.engine.handle import Handle
from aurora_async.engine.manager import Work
from aurora_async.errors import InvalidInput, InvalidQuery, MalformedAnswer, NotFound, ResultExpired
from aurora_async.jsoc.addresses import checked_address, manage_pending
from aurora_async.jsoc.archives import fetch_archive
from aurora_async.jsoc.attrs import FoundRecords
from aurora_async.jsoc.cgi import ask
from aurora_async.jsoc.downloads import (
    Download,
    DownloadOptions,
    Exists,
    ExportedFile,
    Names,
    exported_files,
    fetch_files,
    url_of,
)
from aurora_async.jsoc.errors import (
    AddressNotRegistered,
    ExportRefused,
    ExportTooLarge,
    FilesOffline,
    NoSuchExport,
    NoSuchSeries,
    TooManyPending,
)
from aurora_async.jsoc.filenames import FileNameFormat, default_format
from aurora_async.jsoc.models import SeriesInfo
from aurora_async.jsoc.processing import Protocol, Step, refuse_unsafe, steps_of
from aurora_async.jsoc.recordset import RecordSet, series_of
from aurora_async.jsoc.servers import JsocServer
from aurora_async.jsoc.wire import ExportAnswer, decode_status
from aurora_async.transfer.names import safe_name
from aurora_async.transfer.tables import Records

if TYPE_CHECKING:
    from aurora_async.jsoc.tables import RecordTable

__all__ = ["Export", "ExportQuery", "ExportService", "Exports", "Method", "export_query"]

logger = logging.getLogger(__name__)

Method = Literal["url_quick", "url", "url-tar"]
Structure = Callable[[str], Awaitable[SeriesInfo]]

_QUICK = "quick:"
_NO_SERIES = re.compile(r"\bseries\b.*does not exist")
_REQUEST_ID = re.compile(r"JSOC_\d{8}_\d+(?:_[A-Z]+)*", re.ASCII)

_PHASES = {0: Phase.READY, 1: Phase.RUNNING, 2: Phase.QUEUED, 5: Phase.EXPIRED, -1: Phase.CANCELLED}
# 6: registered a little later than accepted, by older services; 12: queued for a test.
_PHASES |= {6: Phase.QUEUED, 12: Phase.QUEUED}
_NOT_THERE_YET = 6
_LONGEST_UNHEARD_S = 60.0

_LONGEST_LOOK_S = 60.0
_NO_FORECAST_S = 999_999  # how the service says that it will never be done
_MOST_KEPT = 100


# What is asked --------------------------------------------------------------------------------------------------------


def _as_record_set(what: Any) -> RecordSet:
    """Return what a text means, or exactly the records of a table."""
    if isinstance(what, RecordSet | str):
        return RecordSet.of(what)
    if not hasattr(what, "subset"):
        raise InvalidQuery("record_set", f"{what!r} is no record set, text of one, or table of records")
    if not len(what):
        raise InvalidQuery("record_set", "the table has no rows, so there is nothing to export")
    subset = what.subset()
    assert isinstance(subset, RecordSet)
    return subset


def _as_method(method: str) -> Method:
    known: dict[str, Method] = {"url_quick": "url_quick", "url": "url", "url-tar": "url-tar"}
    found = known.get(method.strip().lower()) if isinstance(method, str) else None
    if found is None:
        raise InvalidQuery("method", f"{method!r} is none of {', '.join(known)}")
    return found


def _as_format(text: str | FileNameFormat | None) -> str | None:
    """Return the text of a format, read once to find what is wrong with it; the empty text is the service's own."""
    return text if text is None or text == "" else str(FileNameFormat.parse(str(text)))


def _as_email(address: str | None) -> str | None:
    return None if address is None else checked_address(address, "email")


def _as_limit(n: int | None) -> int:
    if isinstance(n, bool) or not isinstance(n, int | None):
        raise InvalidQuery("n", f"{n!r} is not a number of records: the first ones, or with a minus the last")
    return n or 0


def _as_ratio(ratio: float | None) -> float | None:
    if ratio is not None and (isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < 1e6):
        raise InvalidQuery("size_ratio", f"{ratio!r} is not a number above 0")
    return ratio


def _as_requestor(name: str | None) -> str | None:
    if name is not None and not isinstance(name, str):
        raise InvalidQuery("requestor", f"{name!r} is not a name")
    return name if name is None else refuse_unsafe("requestor", name.strip())


@attrs.frozen(init=False)
class ExportQuery:
    """Files of records: which records, in what form, after which steps.

    Attributes:
        record_set: Of one series; a text, or a table of records, of which exactly the rows are meant.
        method: `url_quick` answers at once with files that are on disk, where nothing is to be done to them, and is
            `url` otherwise; `url-tar` packs all of them into one archive.
        protocol: The form: `as-is`, `fits` (with the keywords in the headers), or images `jpg`, `png`, `mpg`, `mp4`.
        filename_format: The service's names; None makes them of series, primary keys and segment, the empty text
            leaves them to the service.
        process: The steps an image goes through.
        n: The first so many records, with a minus the last; 0: all.
        size_ratio: How large the files are expected to be, compared with those stored: a cut-out is small, and passes
            the service's limit only when it knows.
        email: A registered address; None: the client's.
        requestor: A name; None: the client's, or what stands before the address' @; the empty text sends none.
    """

    record_set: RecordSet = attrs.field(converter=_as_record_set)
    method: Method = attrs.field(converter=_as_method)
    protocol: Protocol
    filename_format: str | None = attrs.field(converter=_as_format)
    process: tuple[Step, ...] = attrs.field(converter=steps_of)
    n: int = attrs.field(converter=_as_limit)
    size_ratio: float | None = attrs.field(converter=_as_ratio)
    email: str | None = attrs.field(converter=_as_email)
    requestor: str | None = attrs.field(converter=_as_requestor)

    def __init__(
        self,
        record_set: RecordSet | RecordTable | str,
        *,
        method: str = "url_quick",
        protocol: str | Protocol = "as-is",
        protocol_args: Mapping[str, Any] | None = None,
        filename_format: str | FileNameFormat | None = None,
        process: Mapping[str, Mapping[str, Any]] | Iterable[Step] | None = None,
        n: int | None = None,
        size_ratio: float | None = None,
        email: str | None = None,
        requestor: str | None = None,
    ) -> None:
        """Check everything that can be checked without the series; what is given is only read.

        Args:
            protocol_args: Options of images: `ct` (color table), `scaling`, `size` (1, 2, 4, 8: so much smaller),
                `min`, `max`.
            process: Names of steps, and the arguments of each.

        Raises:
            InvalidQuery: With the field, and what is allowed there.
        """
        self.__attrs_init__(
            record_set,
            method,
            Protocol.of(protocol, protocol_args),
            filename_format,
            process,
            n,
            size_ratio,
            email,
            requestor,
        )
        if len({series.lower() for series in self.record_set.series}) > 1:
            raise InvalidQuery("record_set", f"an export is of one series, not of {', '.join(self.record_set.series)}")
        refuse_unsafe("record_set", str(self.record_set))

    @property
    def series(self) -> str:
        """The series of the records."""
        return self.record_set.series[0]

    @property
    def is_quick(self) -> bool:
        """Whether the service may answer at once: stored files, just as they are."""
        return self.method == "url_quick" and self.protocol.name == "as-is" and not self.process

    def document(self) -> dict[str, Any]:
        """Return the query as plain JSON, for files and journals."""
        return {
            "record_set": str(self.record_set),
            "method": self.method,
            "protocol": str(self.protocol),
            "filename_format": self.filename_format,
            "process": {step.name: dict(step.arguments) for step in self.process},
            "n": self.n,
            "size_ratio": self.size_ratio,
            "email": self.email,
            "requestor": self.requestor,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ExportQuery:
        """Return the query of a document, also of one that somebody has written; what is left out has its default."""
        known = {attribute.name for attribute in attrs.fields(cls)} | {"protocol_args"}
        if not isinstance(document, Mapping) or "record_set" not in document:
            raise InvalidQuery("record_set", "is missing")
        for name in document:
            if name not in known:
                raise InvalidQuery(str(name), f"is unknown; known are {', '.join(sorted(known))}")
        return cls(**document)


def export_query(what: Any, **arguments: Any) -> ExportQuery:
    """Return the query that the arguments of a verb mean; one that is given whole takes no others."""
    defaults = {"method": "url_quick", "protocol": "as-is"}
    given = {name: value for name, value in arguments.items() if value != defaults.get(name)}
    if isinstance(what, ExportQuery):
        for name in given:
            raise InvalidQuery(name, "belongs into the ExportQuery, where one is given")
        return what
    if isinstance(what, FoundRecords):  # which knows its protocol, cut-out and address
        return what.export_query(**given)
    return ExportQuery(what, **given)


def _quick_id(query: ExportQuery) -> RequestId:
    """Return an identifier that says all that is needed to ask a quick export again."""
    told = {
        name: value for name, value in query.document().items() if name in ("record_set", "n", "email", "requestor")
    }
    return _QUICK + urlencode({name: value for name, value in told.items() if value not in (None, 0)})


def _quick_query(request_id: RequestId) -> ExportQuery:
    fields: dict[str, Any] = dict(parse_qsl(request_id.removeprefix(_QUICK), keep_blank_values=True))
    try:
        return ExportQuery.from_document(fields | {"n": int(fields.get("n", 0))})
    except ValueError as error:  # InvalidQuery is one
        raise InvalidInput("export_id", f"{request_id!r} is not the identifier of a quick export: {error}") from error


# The service ----------------------------------------------------------------------------------------------------------


@attrs.define
class _Known:
    """What is remembered of an export while it is under way. An identifier may be that of several handles.

    For the service gives an export that is asked for twice within a day to both.
    """

    address: str | None = None
    submitted: int = 0
    called_off: int = 0
    first_look: float | None = None
    became: RequestId | None = None
    """The identifier under which a quick export was queued after all."""


class ExportService:
    """Exports of one server, as the engine sees them. The engine is borrowed."""

    name = "exports"

    def __init__(
        self, engine: Engine, server: JsocServer, structure: Structure, email: str | None, requestor: str | None
    ) -> None:
        self.engine = engine
        self.server = server
        self._structure = structure
        self._email = _as_email(email)
        self._requestor = _as_requestor(requestor)
        self._known: dict[RequestId, _Known] = {}
        self._answers: OrderedDict[RequestId, ExportAnswer] = OrderedDict()
        self._giving_up = anyio.Lock()

    def new_request_id(self) -> None:
        """The service chooses."""

    def likeness(self, query: ExportQuery | None) -> Hashable:
        """Return the form and the steps, which take their time."""
        return (
            None if query is None else (query.method, query.protocol.name, tuple(step.name for step in query.process))
        )

    async def submit(
        self, query: ExportQuery, request_id: RequestId | None, *, sending: Callable[[], None]
    ) -> RequestId:
        """Ask for an export, and return its identifier.

        Raises:
            InvalidQuery: The series lacks what is asked for; nothing was sent.
            AddressNotRegistered, ExportRefused, TooManyPending: The service refused.
        """
        address = self._address(query)
        form = await self._form(query, address)
        # Asked again when an answer is lost: an export like one of the last 24 hours gets the identifier of that one.
        answer = await self._ask(query, form, address, sending=sending)
        if answer.request_id is None:
            accepted = _quick_id(query)
            self._keep(accepted, answer)
        else:
            accepted = answer.request_id
        known = self._known.setdefault(accepted, _Known())
        known.address = address
        known.submitted += 1
        return accepted

    async def refresh(self, request_id: RequestId) -> RequestStatus:
        """Ask once how far an export is.

        Raises:
            NoSuchExport: The service does not know it.
        """
        known = self._known.setdefault(request_id, _Known())
        if known.first_look is None:
            known.first_look = anyio.current_time()
        asked = known.became or request_id
        answer = await (self._quick_answer(asked) if asked.startswith(_QUICK) else self._look(asked))
        if asked.startswith(_QUICK) and answer.request_id is not None:
            known.became = answer.request_id
        status = self._status(request_id, answer, anyio.current_time() - known.first_look)
        if status.phase.is_final:
            self._known.pop(request_id, None)
        return status

    async def cancel(self, request_id: RequestId) -> bool:
        """Have the service give up what nobody here wants any more, if that is all that its user has pending."""
        known = self._known.setdefault(request_id, _Known())
        known.called_off += 1
        if request_id.startswith(_QUICK) and known.became is None:
            return True  # there is nothing to give up
        address = known.address or self._email
        if address is None or not self.server.supports("pending"):
            logger.info("export %s goes on: nobody knows how to give it up", request_id)
            return True
        async with self._giving_up:
            if request_id in self._known:  # else it was given up with another
                await self._give_up(request_id, address)
        return True

    def outputs(self, status: RequestStatus) -> Sequence[Output]:
        """Name the files of a finished export."""
        answer = self.answer(status)
        if answer.tarfile is not None:
            return [Output(name=safe_name(answer.tarfile), target=self._url(answer.tarfile))]
        files = exported_files(answer, status.request_id, self.download_url)
        return [Output(name=safe_name(file.filename), target=file.url) for file in files if file.url is not None]

    def answer(self, status: RequestStatus) -> ExportAnswer:
        """Return the service's own words behind a status."""
        return decode_status(status.raw, self._fetch_url)

    def take_answer(self, request_id: RequestId) -> RequestStatus | None:
        """Return the status that a quick export had as soon as it was asked for, once."""
        answer = self._answers.pop(request_id, None)
        return None if answer is None else self._status(request_id, answer, 0.0)

    @property
    def download_url(self) -> str:
        """Where files are."""
        assert self.server.download_url is not None, "asked of a service that has it"
        return self.server.download_url

    @property
    def _fetch_url(self) -> str:
        return self.server.cgi_url(self.server.fetch_cgi)

    def _url(self, path: str) -> str:
        return url_of(path, self.download_url)

    # Asking -----------------------------------------------------------------------------------------------------------

    def _address(self, query: ExportQuery) -> str:
        self.server.check("export")
        address = query.email or self._email
        if address is None:
            raise InvalidInput("email", "is missing: exports are made for registered addresses only")
        return address

    async def _form(self, query: ExportQuery, address: str) -> dict[str, str]:
        """Return the parameters of an export, in the order of the service's own pages."""
        form = {
            "op": "exp_request",
            "format": "json",
            "ds": str(query.record_set.with_zones()),
            "notify": address,
            "method": "url" if query.method == "url_quick" and not query.is_quick else query.method,
            "protocol": str(query.protocol),
        }
        if not query.is_quick:  # files that come as they are stored are called what they are
            form["filenamefmt"] = await self._format(query)
        form["process"] = "|".join([f"n={query.n}", *map(str, query.process)])
        requestor = self._requestor if query.requestor is None else query.requestor
        form["requestor"] = address.partition("@")[0] if requestor is None else requestor
        if query.size_ratio is not None:
            form["sizeratio"] = f"{query.size_ratio:g}"
        return {name: value for name, value in form.items() if value}

    async def _format(self, query: ExportQuery) -> str:
        """Return the format of file names, checked against the series like the segments."""
        info = await self._structure(query.series)
        for segment in {name: None for subset in query.record_set.subsets for name in subset.segments}:
            if segment not in info.segments:
                raise InvalidQuery("segment", f"{info.name} has no {segment!r}; it has {', '.join(info.segments)}")
        if query.filename_format is None:
            return str(default_format(info))
        if query.filename_format:
            FileNameFormat.parse(query.filename_format).check(info)
        return query.filename_format

    async def _ask(
        self, query: ExportQuery, form: Mapping[str, str], address: str, sending: Callable[[], None] | None = None
    ) -> ExportAnswer:
        attempts = None if sending is not None else 1  # who looks comes again
        answer = await ask(self.engine.session, self._fetch_url, form, repeat=True, attempts=attempts, sending=sending)
        found = decode_status(answer.body, answer.url)
        _refuse(found, str(query.record_set), address)
        if found.request_id is None and found.status != 0:
            raise MalformedAnswer(answer.url, "$.requestid", f"an export with status {found.status} has none")
        return found

    async def _look(self, request_id: RequestId) -> ExportAnswer:
        form = {"op": "exp_status", "requestid": request_id}
        answer = await ask(self.engine.session, self._fetch_url, form, attempts=1)
        found = decode_status(answer.body, answer.url)
        if found.status == 4 and found.request_id is None and _is_about_the_id(found.error):
            raise NoSuchExport(request_id, found.error or "")
        return found

    async def _quick_answer(self, request_id: RequestId) -> ExportAnswer:
        """Return the answer that came at once, or ask again: what it lists may have gone to tape meanwhile."""
        answer = self._answers.pop(request_id, None)
        if answer is not None:
            return answer
        query = _quick_query(request_id)
        address = self._address(query)
        try:
            return await self._ask(query, await self._form(query, address), address)
        except TooManyPending as error:
            logger.info("export %s: asking again later, because %s", request_id, error)
            return ExportAnswer(status=2, wait_s=_LONGEST_LOOK_S)

    def _keep(self, request_id: RequestId, answer: ExportAnswer) -> None:
        self._answers[request_id] = answer
        if len(self._answers) > _MOST_KEPT:
            self._answers.popitem(last=False)

    # What came --------------------------------------------------------------------------------------------------------

    def _status(self, request_id: RequestId, answer: ExportAnswer, elapsed_s: float) -> RequestStatus:
        phase = _PHASES.get(answer.status, Phase.FAILED)
        if answer.status == _NOT_THERE_YET and elapsed_s > _LONGEST_UNHEARD_S:
            raise NoSuchExport(request_id, f"status {answer.status} for {elapsed_s:.0f} s")
        reason = ""
        if phase in (Phase.FAILED, Phase.CANCELLED, Phase.EXPIRED):
            said = answer.error or "it gives no reason"
            reason = f"{said} (status {answer.status})" + (f"; ask {answer.contact}" if answer.contact else "")
        return RequestStatus(
            request_id=request_id,
            phase=phase,
            reason=reason,
            records=answer.records if phase is Phase.READY else None,  # until then it is 0, whatever was asked
            result_bytes=None if answer.size_mb is None else int(answer.size_mb * 1_000_000),
            wait_hint_s=self._wait_hint_s(answer.wait_s, elapsed_s),
            raw=answer.raw,
        )

    def _wait_hint_s(self, wait_s: float | None, elapsed_s: float) -> float:
        """Return when to look again: when the service says, or, where it cannot say, a share of what it has taken."""
        if wait_s is None or not 0 < wait_s < _NO_FORECAST_S:
            wait_s = self.engine.config.polling.share * elapsed_s
        return min(max(wait_s, self.server.least_look_s), _LONGEST_LOOK_S)

    async def _give_up(self, request_id: RequestId, address: str) -> None:
        pending = await manage_pending(self.engine.session, self.server, address, "check")
        if not pending.is_pending:
            self._known.pop(request_id, None)
            return
        by_id = {known.became or export_id: known for export_id, known in self._known.items()}
        others = [one for one in pending.request_ids if one not in by_id or not _is_unwanted(by_id[one])]
        if others or not pending.request_ids:
            # All or nothing is what the service offers.
            logger.info("export %s goes on: %s has others pending (%s)", request_id, address, pending.message)
            return
        await manage_pending(self.engine.session, self.server, address, "cancel")
        for export_id, known in list(self._known.items()):
            if (known.became or export_id) in pending.request_ids:
                del self._known[export_id]


def _is_unwanted(known: _Known) -> bool:
    return known.called_off >= max(known.submitted, 1)


def _is_about_the_id(said: str | None) -> bool:
    words = ("requestid", "export drms record", "request id")
    return any(word in (said or "").lower() for word in words)


def _refuse(answer: ExportAnswer, record_set: str, address: str) -> None:
    """Raise what the service has to say about an export, if it did not accept it."""
    if _PHASES.get(answer.status) in (Phase.READY, Phase.RUNNING, Phase.QUEUED):
        return
    said = answer.error or "it gives no reason"
    match answer.status:
        case 3:
            raise ExportTooLarge(record_set, answer.status, said, answer.size_mb)
        case 7:
            raise TooManyPending(said, tuple(_REQUEST_ID.findall(said)))
        case 25:
            raise FilesOffline(record_set, answer.status, said)
        case 4 if _NO_SERIES.search(said):
            raise NoSuchSeries(series_of(record_set), answer.status, said)
        case 4 if said.startswith("Cannot process your request."):
            raise AddressNotRegistered(address, said.removeprefix("Cannot process your request.").strip())
        case _:
            raise ExportRefused(record_set, answer.status, said)


# In hand --------------------------------------------------------------------------------------------------------------


class Export(Handle):
    """One export: `wait()`, then `files()` or `download()`; each waits by itself too.

    A cancellation reaches the service only when nothing else of the same user is pending there.
    """

    _service: ExportService

    def __init__(
        self,
        engine: Engine,
        service: ExportService,
        request_id: RequestId,
        *,
        query: ExportQuery | None = None,
        attached: bool = True,
    ) -> None:
        """Made by `export` and `resume` of a client."""
        super().__init__(engine, service, request_id, query=query, attached=attached)
        self._read: tuple[bytes, ExportAnswer] | None = None
        if (status := service.take_answer(request_id)) is not None:
            self._saw(status)

    @property
    def directory(self) -> str | None:
        """The folder on the server, once the export is known to be finished; None for files that lie where they are."""
        return None if self._finished is None else self._finished.dir

    @property
    def tarfile(self) -> str | None:
        """The archive on the server, likewise; None where there is none."""
        return None if self._finished is None else self._finished.tarfile

    @property
    def keywords_url(self) -> str | None:
        """Where a list of all keywords is, likewise; None where they are in the files themselves."""
        path = None if self._finished is None else self._finished.keywords
        return url_of(path, self._service.download_url) if path is not None and path.startswith("/") else None

    @property
    def _finished(self) -> ExportAnswer | None:
        if self.status is None or self.status.phase is not Phase.READY:
            return None
        return self._answer(self.status)

    def _answer(self, status: RequestStatus) -> ExportAnswer:
        if self._read is None or self._read[0] is not status.raw:
            self._read = status.raw, self._service.answer(status)
        return self._read[1]

    async def files(self, *, deadline_s: float | None = None) -> Records[ExportedFile]:
        """Wait, then return what the service lists: each file with its record and address, or why there is none."""
        return await self.list_files(Deadline(deadline_s))

    async def download(
        self,
        folder: Path | str,
        *,
        names: Names = "server",
        exists: Exists = "check",
        extract: bool = True,
        keep_tar: bool = True,
        index: int | Sequence[int] | None = None,
        sha256: bool = True,
        at_once: int | None = None,
        deadline_s: float | None = None,
    ) -> Download:
        """Wait, then fetch the files into a folder, each whole or not there; one that fails does not stop the others.

        Args:
            folder: Made where it is missing.
            names: See `DownloadOptions`, like the next five.
            exists: What a file that is there already means.
            extract: Take the files out of an archive.
            keep_tar: Keep the archive as well.
            index: Which of the files.
            sha256: Compute digests of all files.
            at_once: How many at one moment; None: `Limits.body_connections`, which bounds it in any case.
            deadline_s: Seconds for waiting and fetching together; what has come by then stays.

        Raises:
            RequestFailed, RequestCancelled, ResultExpired: As `wait`; also when the files have gone meanwhile.
            WrongContent: An archive holds what must not be taken out of it; nothing was.
            TargetNotWritable: The folder cannot be made or written.
        """
        options = DownloadOptions(
            names=names, exists=exists, extract=extract, keep_tar=keep_tar, index=index, sha256=sha256
        )
        return await self.fetch(Path(folder), options, Deadline(deadline_s), at_once=at_once)

    # The same inside a deadline that has begun before.

    async def list_files(self, deadline: Deadline) -> Records[ExportedFile]:
        """Return what the service lists."""
        answer = self._answer(await self._ready(deadline))
        files = exported_files(answer, self.request_id, self._service.download_url)
        return Records(files, record_type=ExportedFile)

    async def fetch(
        self, folder: Path, options: DownloadOptions, deadline: Deadline, *, at_once: int | None = None
    ) -> Download:
        """Fetch the files."""
        answer = self._answer(await self._ready(deadline))
        with self._failure_told(), deadline.scope("downloading the export", self.request_id):
            try:
                download = await self._fetched(answer, folder, options, at_once)
            except NotFound:
                await self._refuse_expired()
                raise
            if any(isinstance(file.error, NotFound) for file in download.failed):
                await self._refuse_expired()
        failed = download.failed
        if failed:
            self._tell(EventKind.FAILED, error=failed[0].error)
        else:
            self._tell(EventKind.DONE, bytes=download.bytes, path=folder)
        return download

    async def _fetched(
        self, answer: ExportAnswer, folder: Path, options: DownloadOptions, at_once: int | None
    ) -> Download:
        session, url = self._engine.session, self._service.download_url
        files = exported_files(answer, self.request_id, url)

        def on_bytes(come: int) -> None:
            self._tell(EventKind.BYTES, bytes=come)

        archive: Path | None = None
        if answer.tarfile is not None:
            packed = ExportedFile("", answer.tarfile, url_of(answer.tarfile, url), answer.tarfile)
            archive, found = await fetch_archive(session, packed, files, folder, options, on_bytes=on_bytes)
        else:
            found = await fetch_files(
                session,
                files,
                folder,
                options,
                by_record=answer.dir is None,
                at_once=at_once or self._engine.config.limits.body_connections,
                on_bytes=on_bytes,
            )
        return Download(request_id=self.request_id, folder=folder, files=tuple(found), archive=archive)

    async def _refuse_expired(self) -> None:
        """Files that are not there any more are those of an export that has expired, if the service says so."""
        if self.request_id.startswith(_QUICK):
            return
        status = await self.refresh()
        if status.phase is Phase.EXPIRED:
            raise ResultExpired(self.request_id, status.reason)

    @contextmanager
    def _failure_told(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._tell(EventKind.ended_by(error), error=error)
            raise


class Exports:
    """Makes exports, and finds those that were made. One for as long as its client is open."""

    def __init__(
        self,
        engine: Engine,
        server: JsocServer,
        structure: Structure,
        *,
        email: str | None = None,
        requestor: str | None = None,
    ) -> None:
        """Made by the client; `structure` returns that of a series."""
        self._engine = engine
        self.service = ExportService(engine, server, structure, email, requestor)

    async def submit(self, query: ExportQuery, *, deadline_s: float | None = None) -> Export:
        """Ask for an export, and return it; nothing of it is waited for, except for room where others are pending.

        Raises:
            InvalidQuery: What is asked for is not in the series.
            AddressNotRegistered, ExportTooLarge, FilesOffline, ExportRefused: The service refused.
        """
        return await self.submit_until(query, Deadline(deadline_s))

    async def submit_until(self, query: ExportQuery, deadline: Deadline) -> Export:
        """Do the same inside a deadline that has begun before."""
        request_id = await self._engine.submit(self.service, query, deadline)
        return self.handle(request_id, query)

    def resume(self, export_id: RequestId) -> Export:
        """Return an export that was made before, here or anywhere. Asks the service nothing yet."""
        export_id = export_id.strip() if isinstance(export_id, str) else export_id
        if not isinstance(export_id, str) or not (export_id.startswith(_QUICK) or _REQUEST_ID.fullmatch(export_id)):
            raise InvalidInput("export_id", f"{export_id!r} is not an identifier such as JSOC_20240919_001")
        if export_id.startswith(_QUICK):
            _quick_query(export_id)
        self.service.server.check("export")
        return self.handle(export_id, attached=False)

    def handle(self, request_id: RequestId, query: ExportQuery | None = None, *, attached: bool = True) -> Export:
        """Return the handle of an export."""
        return Export(self._engine, self.service, request_id, query=query, attached=attached)

    def run(
        self,
        queries: Iterable[ExportQuery] | AsyncIterable[ExportQuery],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        name: Callable[[int, ExportQuery], str] | None = None,
        options: DownloadOptions | None = None,
        deadline_s: float | None = None,
    ) -> Run[ExportQuery]:
        """Make many exports, and give their outcomes in order of completion; `files` tells what became of each file.

        Args:
            queries: Any number, also endless or asynchronous.
            at_once: How many are under way, or wait for room, at one moment.
            folder: Where the files go, those of each export into a folder of their own; None only lists them.
            name: Gives that folder's name for the number and the query; by default the series and the number.
            options: How files are named and fetched.
            deadline_s: For each export.
        """
        Deadline(deadline_s)
        names = name or _folder_name

        async def work(index: int, query: ExportQuery, work: Work) -> None:
            deadline = Deadline(deadline_s)
            export = await self.submit_until(query, deadline)
            work.request_id = export.request_id
            if folder is None:
                work.files = await export.list_files(deadline)
                return
            place = Path(folder) / safe_name(names(index, query))
            download = work.files = await export.fetch(place, options or DownloadOptions(), deadline)
            for file in download.failed:
                assert file.error is not None
                raise file.error

        return Run(queries, work, at_once=at_once, start=self._engine.start)


def _folder_name(index: int, query: ExportQuery) -> str:
    return f"{query.series.lower()}.{index:04d}"
