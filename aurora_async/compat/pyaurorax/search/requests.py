"""What can be done with a request given by its URL, and what administrators can do with everybody's."""

from __future__ import annotations

import builtins
import logging
import random
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from aurora_async.aurorax.wire import decode_status
from aurora_async.compat.pyaurorax._errors import retrieving, their_errors
from aurora_async.compat.pyaurorax._plain import instant
from aurora_async.compat.pyaurorax._printing import say
from aurora_async.compat.pyaurorax.exceptions import AuroraXBadParametersError, AuroraXSearchError
from aurora_async.compat.pyaurorax.search.location import Location
from aurora_async.config import Polling
from aurora_async.engine import Phase, RequestStatus
from aurora_async.engine.poller import Schedule
from aurora_async.errors import AuroraError, ResultMissing
from aurora_async.http.retry import may_pass
from aurora_async.times import end_of, start_of, to_wire

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["RequestsManager", "failure_of", "final_status", "with_objects"]
__dir__ = __all__.copy

logger = logging.getLogger(__name__)

SearchType = Literal["conjunction", "ephemeris", "data_product"]

_SHORTEST_WAIT_S = 0.01
_EARLY_SHARE = 0.25
"""Of the time waited so far: how soon to look again during the first interval."""
_INSTANTS = ("start", "end", "epoch", "closest_epoch", "farthest_epoch")
_PLACES = ("location_geo", "location_gsm", "nbtrace", "sbtrace")


class RequestsManager:
    """Requests by URL, as `get_request_url` of each kind of search gives it."""

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self._aurorax_obj = aurorax_obj

    def get_status(self, request_url: str) -> dict[str, Any]:
        """Return the status document of a request, as the service wrote it."""
        with self._aurorax_obj._client(path="request_url") as client:
            status: dict[str, Any] = client.request("GET", request_url).json()
        return status

    def get_logs(self, request_url: str) -> builtins.list[dict[str, Any]]:
        """Return what the service wrote down about a request."""
        return list(self.get_status(request_url).get("logs") or ())

    def get_data(
        self, data_url: str, response_format: dict[str, Any] | None = None, skip_serializing: bool = False
    ) -> builtins.list[dict[str, Any]]:
        """Return the records of a request as dictionaries, in memory.

        Timestamps become naive UTC datetimes and places `Location`s, unless `skip_serializing`. A record that has only
        one of latitude and longitude, as a response format may ask, keeps its dictionary.

        Raises:
            AuroraXDataRetrievalError: There is none, most often because it has been deleted.
        """
        with retrieving(), self._aurorax_obj._client(path="data_url") as client:
            method = "GET" if response_format is None else "POST"
            answer = client.request(method, data_url, body=response_format)
            document = answer.json()
            if not isinstance(document, dict) or "result" not in document:
                raise ResultMissing(answer.url, document if isinstance(document, dict) else {"$": document})
        records: list[dict[str, Any]] = document["result"]
        return records if skip_serializing else [with_objects(record) for record in records]

    def wait_for_data(self, request_url: str, poll_interval: float = 1.0, verbose: bool = False) -> dict[str, Any]:
        """Wait until a request is over, and return its status document.

        It is looked at every `poll_interval` seconds, and some times sooner during the first of them. A service that
        cannot be reached meanwhile is looked for again.

        Raises:
            AuroraXSearchError: The service gave up on it, or somebody cancelled it.
        """
        looking = "Checking for data ..." if verbose else None
        status = final_status(self._aurorax_obj, request_url, poll_interval, looking)
        failure = failure_of(status)
        if failure is not None:
            raise AuroraXSearchError(failure)
        if verbose:
            say("Data is now available")
        document: dict[str, Any] = msgspec.json.decode(status.raw)
        return document

    def cancel(self, request_url: str, wait: bool = False, poll_interval: float = 1.0, verbose: bool = False) -> int:
        """Ask the service to give up on a request, and return 0; with `wait`, once it has."""
        with self._aurorax_obj._client(path="request_url") as client:
            client.request("DELETE", request_url)
        if wait:
            looking = "Checking for cancellation status ..." if verbose else None
            final_status(self._aurorax_obj, request_url, poll_interval, looking)
            if verbose:
                say("The request has been cancelled")
        return 0

    def list(
        self,
        search_type: SearchType | None = None,
        active: bool | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        file_size: int | None = None,
        result_count: int | None = None,
        query_duration: int | None = None,
        error_condition: bool | None = None,
    ) -> builtins.list[dict[str, Any]]:
        """Return everybody's search requests, as the service tells of them. Needs the role Administrator.

        Args:
            search_type: One kind alone.
            active: True for those that run, False for those that are over.
            start, end: When they were made.
            file_size: At least so many kilobytes.
            result_count: At least so many records.
            query_duration: At least so many milliseconds.
            error_condition: True for those that failed, False for those that did not.
        """
        if search_type is not None and search_type not in get_args(SearchType):
            raise AuroraXBadParametersError(
                f"search_type: {search_type!r} is unknown; use one of {', '.join(get_args(SearchType))}"
            )
        params = {
            "search_type": search_type,
            "active": active,
            "start": None if start is None else to_wire(start_of(start)),
            "end": None if end is None else to_wire(end_of(end)),
            "file_size": file_size,
            "result_count": result_count,
            "query_duration": query_duration,
            "error_condition": error_condition,
        }
        with self._aurorax_obj._client() as client:
            found: list[dict[str, Any]] = client.request(
                "GET", "/api/v1/utils/admin/search_requests", params=params
            ).json()
        return found

    def delete(self, request_id: str) -> int:
        """Remove a search request and its data, and return 0. Needs the role Administrator."""
        with self._aurorax_obj._client() as client:
            client.admin.delete_search_request(request_id)
        return 0


def final_status(aurorax_obj: PyAuroraX, request_url: str, poll_interval: float, looking: str | None) -> RequestStatus:
    """Look until a request has ended, whichever way; `looking` is printed with the looks that are an interval apart.

    Not the engine's wait: that one keeps to its client's schedule, knows no URLs, and interrupted cancels the request.
    """
    every_s = max(poll_interval, _SHORTEST_WAIT_S)
    with their_errors(ceiling_s="poll_interval"):
        polling = Polling(ceiling_s=every_s, floor_s=min(0.1, every_s), share=_EARLY_SHARE)
    early = Schedule(polling, random.Random())
    begun = said = time.monotonic()
    with aurorax_obj._client(path="request_url") as client:
        while True:
            try:
                answer = client.request("GET", request_url)
                status = decode_status(answer.body, answer.url)
            except AuroraError as error:
                if not may_pass(error):
                    raise
                logger.warning("%s: looking again later, because %s", request_url, error)
            else:
                if status.phase.is_final:
                    return status
            waited_s = time.monotonic() - begun
            # A search that takes a moment is noticed at once; the others are looked at as often as was asked for, and
            # not in step with other clients.
            time.sleep(early.wait_s(waited_s) if waited_s < every_s else every_s * random.uniform(1, 1.1))
            if looking is not None and time.monotonic() - said >= every_s:
                said = time.monotonic()
                say(looking)


def failure_of(status: RequestStatus) -> str | None:
    """Return why a request has no result, None when it has one, had one, or may still get one."""
    if status.phase is Phase.FAILED:
        return status.reason
    return f"the search was cancelled: {status.reason}" if status.phase is Phase.CANCELLED else None


def with_objects(record: dict[str, Any]) -> dict[str, Any]:
    """Replace timestamps and places of a record by objects; in a conjunction's events too."""
    for name in _INSTANTS:
        if name in record:
            record[name] = instant(record[name])
    for name in _PLACES:
        place = record.get(name)
        if isinstance(place, dict) and place.keys() == {"lat", "lon"}:
            record[name] = Location(**place)
    for event in record.get("events") or ():
        with_objects(event)
    return record
