"""What the three kinds of search have in common: the search object with its steps, and all steps in one call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec

from aurora_async import sync
from aurora_async.aurorax.formats import response_format
from aurora_async.aurorax.wire import KINDS, decode_status
from aurora_async.compat.pyaurorax._errors import retrieving, their_errors
from aurora_async.compat.pyaurorax._plain import plain
from aurora_async.compat.pyaurorax._printing import Printed, counted, cut, natural_size, say
from aurora_async.compat.pyaurorax.exceptions import AuroraXError, AuroraXSearchError
from aurora_async.compat.pyaurorax.search.api import AuroraXAPIResponse
from aurora_async.compat.pyaurorax.search.requests import failure_of, final_status, with_objects

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["KindManager", "Search", "do"]

RecordT = TypeVar("RecordT")
SearchT = TypeVar("SearchT", bound="Search[Any]")

_SHOWN = 80


class Search(ABC, Printed, Generic[RecordT]):
    """A search, step by step: `execute`, `wait`, `get_data`.

    Attributes:
        executed, completed: Whether it was submitted, and whether it is over.
        request_id, request_url, data_url: Where the service keeps it.
        status, logs: As last seen.
        data: The records, once `get_data` was called.
    """

    _kind: ClassVar[str]
    """As in the paths: `conjunctions`."""
    _noun: ClassVar[str]
    """Of a record: `conjunction`."""
    _name: ClassVar[str]
    """What the object calls itself when it is printed."""

    def __init__(self, aurorax_obj: PyAuroraX, response_format: dict[str, Any] | None) -> None:
        self._aurorax_obj = aurorax_obj
        self.response_format = response_format
        self._forget()

    def _forget(self) -> None:
        self.request: AuroraXAPIResponse | None = None
        self.request_id = ""
        self.request_url = ""
        self.executed = False
        self.completed = False
        self.data_url = ""
        self.status: dict[str, Any] = {}
        self.data: list[RecordT] = []
        self.logs: list[dict[str, Any]] = []
        self._failure: str | None = None
        self._client: sync.AuroraX | None = None

    def __repr__(self) -> str:
        state = f"executed={self.executed}, completed={self.completed}, request_id={self.request_id!r}"
        return f"{self._name}({state})"

    def _rows(self) -> dict[str, object]:
        return {
            "executed": self.executed,
            "completed": self.completed,
            "request_id": self.request_id,
            "request": self.request,
            "request_url": self.request_url,
            "data_url": self.data_url,
            "query": cut(str(self.query), _SHOWN),
            "status": cut(str(self.status), _SHOWN),
            "data": counted(len(self.data), f"{self._noun} result") if self.executed else "",
            "logs": counted(len(self.logs), "log message") if self.executed else "",
        }

    @property
    @abstractmethod
    def query(self) -> dict[str, Any]:
        """The query document, made from the attributes as they are now."""

    @abstractmethod
    def _record(self, record: Any) -> RecordT:
        """Return a record of ours as pyaurorax gives it."""

    def _check(self) -> None:
        """Refuse what need not be sent."""

    def execute(self) -> None:
        """Submit the search. Once is enough: another call makes another request.

        Raises:
            AuroraXBadParametersError: It cannot be right, and was not sent.
            AuroraXAPIError: The service refused it.
        """
        self._check()
        with self._aurorax_obj._client() as client:
            searches = getattr(client, self._kind)
            request = searches.submit(self.query)
            self._forget()
            self._client = client
            self.request_id = request.request_id
            self.request_url = searches.request_url(request.request_id)
        self.executed = True
        self.request = AuroraXAPIResponse(request, None, 202)

    def update_status(self, status: dict[str, Any] | None = None) -> None:
        """Ask for the status, unless it is given, and set `status`, `logs`, `completed` and `data_url` by it."""
        if status is None:
            status = self._aurorax_obj.search.requests.get_status(self._url())
        with their_errors():
            seen = decode_status(msgspec.json.encode(status), self.request_url)
        if seen.phase.is_final:
            self.completed = True
            self.data_url = f"{self.request_url}/data"
        self._failure = failure_of(seen)
        self.status = status
        self.logs = status["logs"]

    def check_for_data(self) -> bool:
        """Ask for the status, and return whether there is data.

        Raises:
            AuroraXSearchError: There will be none: the service gave up on the search.
        """
        self.update_status()
        self._raise_failure()
        return self.completed

    def wait(self, poll_interval: float = 1.0, verbose: bool = False) -> None:
        """Wait for the data, with a look every `poll_interval` seconds, and some sooner during the first of them.

        Interrupted, it leaves the search alone: it can be waited for again.

        Raises:
            AuroraXSearchError: The service gave up on the search.
        """
        looking = "Checking for data ..." if verbose else None
        status = final_status(self._aurorax_obj, self._url(), poll_interval, looking)
        self.update_status(msgspec.json.decode(status.raw))
        self._raise_failure()
        if verbose:
            say("Data is now available")

    def get_data(self) -> None:
        """Fetch the records into `data`.

        Raises:
            AuroraXDataRetrievalError: The result has been deleted since.
            AuroraXSearchError: There is none: the service gave up on the search.
        """
        if not self.completed:
            print("No data available, update status or check for data first")
            return
        self._raise_failure()
        with retrieving(), self._aurorax_obj._client() as client:
            # Settings may have been changed since, but the request is where it was made.
            if self._client is not None and self._client.config.base_url != client.config.base_url:
                client = self._client
            request = getattr(client, self._kind).resume(self.request_id, response_format=self.response_format)
            records: list[Any] = request.records()
        converted: Callable[[Any], Any] = self._record if self.response_format is None else with_objects
        self.data = [converted(record) for record in records]

    def cancel(self, wait: bool = False, poll_interval: float = 1.0, verbose: bool = False) -> int:
        """Ask the service to give up on the search, and return 0; with `wait`, once it has."""
        return self._aurorax_obj.search.requests.cancel(self._url(), wait, poll_interval, verbose)

    def describe(self) -> str:
        """Return the service's description of the search in words."""
        return description(self._aurorax_obj, self._kind, self.query)

    def _url(self) -> str:
        if not self.request_url:
            raise AuroraXError("the search has not been submitted: execute() it first")
        return self.request_url

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise AuroraXSearchError(self._failure)


class KindManager(Generic[SearchT]):
    """What the managers of the three kinds have in common."""

    _kind: ClassVar[str]

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self._aurorax_obj = aurorax_obj

    def describe(self, search_obj: SearchT | None = None, query_dict: dict[str, Any] | None = None) -> str:
        """Return the service's description, in words, of a search or of a query document."""
        if search_obj is not None:
            return search_obj.describe()
        if query_dict is None:
            raise AuroraXError("One of 'search_obj' or 'query_dict' must be supplied")
        return description(self._aurorax_obj, self._kind, plain(query_dict))

    def get_request_url(self, request_id: str) -> str:
        """Return the address at which the service tells about a request."""
        return f"{self._aurorax_obj.api_base_url}{KINDS[self._kind].path}/requests/{request_id}"

    def create_response_format_template(self, default: bool = True) -> dict[str, Any]:
        """Return a response format with all keys that records can have, and `default` at each of them."""
        return response_format(self._kind, default)


def description(aurorax_obj: PyAuroraX, kind: str, query: dict[str, Any]) -> str:
    """Return what the service says a query document asks."""
    with aurorax_obj._client() as client:
        return str(client.request("POST", KINDS[kind].describe_path, body=query).json())


def do(search: SearchT, poll_interval: float, return_immediately: bool, verbose: bool) -> SearchT:
    """Take all steps of a search. Interrupted, the search is called off: nobody has it who could wait for it again.

    An error leaves it alone: that the service could not be reached says nothing about the search.
    """

    def tell(text: str) -> None:
        if verbose:
            say(text)

    tell("Search object created")
    try:
        search.execute()
        tell("Request submitted")
        tell(f"Request ID: {search.request_id}")
        tell(f"Request details available at: {search.request_url}")
        if return_immediately:
            return search
        tell("Waiting for data ...")
        search.wait(poll_interval, verbose)
    except AuroraXError:
        raise
    except BaseException:
        with suppress(AuroraXError):  # also of one that was not submitted yet
            search.cancel()
        raise
    tell("Retrieving data ...")
    search.get_data()
    result = search.status["search_result"]
    size, count = natural_size(result["file_size"] or 0), len(search.data)
    tell(f"Retrieved {size} of data containing {count} records")
    return search
