"""Exports as the engine sees them: submitted, looked at, called off.

Two things are different from other services. What is on disk and wanted as it is, is answered at once and gets no
identifier; ours (`quick:…`) says all that is needed to ask again. And the service can give up all exports of a user,
but not a single one.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio
import attrs

from aurora_async.engine import Engine, Output, Phase, RequestId, RequestStatus
from aurora_async.errors import InvalidInput, InvalidQuery, MalformedAnswer
from aurora_async.jsoc.addresses import manage_pending
from aurora_async.jsoc.cgi import ask
from aurora_async.jsoc.downloads import exported_files, url_of
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
from aurora_async.jsoc.queries import ExportQuery, as_email, as_requestor
from aurora_async.jsoc.recordset import RecnumFilter, series_of
from aurora_async.jsoc.servers import JsocServer
from aurora_async.jsoc.wire import ExportAnswer, decode_status
from aurora_async.transfer.names import safe_name

__all__ = ["QUICK", "REQUEST_ID", "ExportService", "Structure", "quick_query"]

logger = logging.getLogger(__name__)

Structure = Callable[[str], Awaitable[SeriesInfo]]

QUICK = "quick:"
_NO_SERIES = re.compile(r"\bseries\b.*does not exist")
REQUEST_ID = re.compile(r"JSOC_\d{8}_\d+(?:_[A-Z]+)*", re.ASCII)

_PHASES = {0: Phase.READY, 1: Phase.RUNNING, 2: Phase.QUEUED, 5: Phase.EXPIRED, -1: Phase.CANCELLED}
# 6: registered a little later than accepted, by older services; 12: queued for a test.
_PHASES |= {6: Phase.QUEUED, 12: Phase.QUEUED}
_NOT_THERE_YET = 6
_LONGEST_UNHEARD_S = 60.0

_LONGEST_LOOK_S = 60.0
_NO_FORECAST_S = 999_999  # how the service says that it will never be done
_MOST_KEPT = 100


def _quick_id(query: ExportQuery) -> RequestId:
    """Return an identifier that says all that is needed to ask a quick export again."""
    told = {
        name: value for name, value in query.document().items() if name in ("record_set", "n", "email", "requestor")
    }
    return QUICK + urlencode({name: value for name, value in told.items() if value not in (None, 0)})


def quick_query(request_id: RequestId) -> ExportQuery:
    """Return the query that the identifier of a quick export tells."""
    fields: dict[str, Any] = dict(parse_qsl(request_id.removeprefix(QUICK), keep_blank_values=True))
    try:
        return ExportQuery.from_document(fields | {"n": int(fields.get("n", 0))})
    except ValueError as error:  # InvalidQuery is one
        raise InvalidInput("export_id", f"{request_id!r} is not the identifier of a quick export: {error}") from error


@attrs.define
class _Known:
    """What is remembered of an export while it is under way. An identifier may be that of several handles.

    For the service gives an export that is asked for twice within a day to both.
    """

    address: str | None = None
    unclaimed: int = 0
    """Submissions whose handle is still to be made."""
    wanted: set[object] = attrs.field(factory=set)
    """The handles that have not called it off."""
    first_look: float | None = None
    became: RequestId | None = None
    """The identifier under which a quick export was queued after all."""

    @property
    def is_unwanted(self) -> bool:
        """True when nobody here has a use for it."""
        return not self.unclaimed and not self.wanted


class ExportService:
    """Exports of one server, as the engine sees them. The engine is borrowed."""

    name = "export"

    def __init__(
        self, engine: Engine, server: JsocServer, structure: Structure, email: str | None, requestor: str | None
    ) -> None:
        self.engine = engine
        self.server = server
        self._structure = structure
        self._email = as_email(email)
        self._requestor = as_requestor(requestor)
        self._known: dict[RequestId, _Known] = {}
        self._answers: OrderedDict[RequestId, ExportAnswer] = OrderedDict()
        self._giving_up = anyio.Lock()

    def new_request_id(self) -> None:
        """The service chooses."""

    def label(self, request_id: RequestId) -> str:
        """Return the record set of a quick export."""
        return str(quick_query(request_id).record_set) if request_id.startswith(QUICK) else ""

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
        known.unclaimed += 1
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
        try:
            answer = await (self._quick_answer(asked) if asked.startswith(QUICK) else self._look(asked))
            if asked.startswith(QUICK) and answer.request_id is not None:
                known.became = answer.request_id
            status = self._status(request_id, answer, anyio.current_time() - known.first_look)
        except NoSuchExport:
            self._forget(request_id)
            raise
        if status.phase.is_final:
            self._forget(request_id)
        return status

    def _forget(self, request_id: RequestId) -> None:
        self._known.pop(request_id, None)

    def claim(self, request_id: RequestId, handle: object) -> None:
        """Note that somebody has the export in hand."""
        known = self._known.setdefault(request_id, _Known())
        known.unclaimed = max(known.unclaimed - 1, 0)
        known.wanted.add(handle)

    def let_go(self, request_id: RequestId, handle: object) -> bool:
        """Note that one handle has called the export off; True when nobody else here wants it."""
        known = self._known.setdefault(request_id, _Known())
        known.wanted.discard(handle)
        return known.is_unwanted

    async def cancel(self, request_id: RequestId) -> bool:
        """Have the service give up what nobody here wants any more, if that is all that its user has pending."""
        known = self._known.setdefault(request_id, _Known())
        if known.unclaimed:
            known.unclaimed -= 1  # whoever submitted it has left before he had it
        else:
            known.wanted.clear()
        if not known.is_unwanted:
            return True
        if request_id.startswith(QUICK) and known.became is None:
            self._forget(request_id)  # there is nothing to give up
            return True
        address = known.address or self._email
        if address is None or not self.server.supports("pending"):
            logger.info("export %s goes on: nobody knows how to give it up", request_id)
            self._forget(request_id)
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
        if answer is None:
            return None
        status = self._status(request_id, answer, 0.0)
        if status.phase.is_final:
            self._forget(request_id)
        return status

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
        await self._check_segments(query)
        if not query.is_quick:  # files that come as they are stored are called what they are
            form["filenamefmt"] = await self._format(query)
        form["process"] = "|".join([f"n={query.n}", *map(str, query.process)])
        requestor = self._requestor if query.requestor is None else query.requestor
        form["requestor"] = address.partition("@")[0] if requestor is None else requestor
        if all(any(isinstance(one, RecnumFilter) for one in subset.filters) for subset in query.record_set.subsets):
            form["q"] = "1"  # just these records: none is to be left out for its quality
        if query.size_ratio is not None:
            form["sizeratio"] = f"{query.size_ratio:g}"
        return {name: value for name, value in form.items() if value}

    async def _check_segments(self, query: ExportQuery) -> None:
        """Refuse segments that the series does not have: the service would list records without files."""
        asked = {name: None for subset in query.record_set.subsets for name in subset.segments}
        if not asked:
            return
        info = await self._structure(query.series)
        for name in asked:
            if name not in info.segments:
                there = ", ".join(info.segments) or "none"
                raise InvalidQuery("segment", f"{info.name} has no segment {name}; it has {there}")

    async def _format(self, query: ExportQuery) -> str:
        """Return the format of file names, checked against the series."""
        info = await self._structure(query.series)
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
        if found.request_id is not None and not REQUEST_ID.fullmatch(found.request_id):
            raise MalformedAnswer(
                answer.url, "$.requestid", f"{found.request_id[:100]!r} is not like JSOC_20240919_001"
            )
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
        query = quick_query(request_id)
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
            self._forget(request_id)
            return
        by_id = {known.became or export_id: known for export_id, known in self._known.items()}
        others = [one for one in pending.request_ids if one not in by_id or not by_id[one].is_unwanted]
        if others or not pending.request_ids:
            # All or nothing is what the service offers.
            logger.info("export %s goes on: %s has others pending (%s)", request_id, address, pending.message)
            return
        await manage_pending(self.engine.session, self.server, address, "cancel")
        for export_id, known in list(self._known.items()):
            if (known.became or export_id) in pending.request_ids:
                del self._known[export_id]


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
            raise TooManyPending(said, tuple(REQUEST_ID.findall(said)))
        case 25:
            raise FilesOffline(record_set, answer.status, said)
        case 4 if _NO_SERIES.search(said):
            raise NoSuchSeries(series_of(record_set), answer.status, said)
        case 4 if said.startswith("Cannot process your request."):
            raise AddressNotRegistered(address, said.removeprefix("Cannot process your request.").strip())
        case _:
            raise ExportRefused(record_set, answer.status, said)
