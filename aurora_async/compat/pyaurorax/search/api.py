"""Requests and answers as objects, for scripts that speak with the service themselves."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from aurora_async.http import Answer

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = [
    "URL_SUFFIX_CONJUNCTION_REQUEST",
    "URL_SUFFIX_CONJUNCTION_SEARCH",
    "URL_SUFFIX_DATA_PRODUCTS_AVAILABILITY",
    "URL_SUFFIX_DATA_PRODUCTS_REQUEST",
    "URL_SUFFIX_DATA_PRODUCTS_SEARCH",
    "URL_SUFFIX_DATA_PRODUCTS_UPLOAD",
    "URL_SUFFIX_DATA_SOURCES",
    "URL_SUFFIX_DATA_SOURCES_SEARCH",
    "URL_SUFFIX_DELETE_REQUESTS",
    "URL_SUFFIX_DESCRIBE_CONJUNCTION_QUERY",
    "URL_SUFFIX_DESCRIBE_DATA_PRODUCTS_QUERY",
    "URL_SUFFIX_DESCRIBE_EPHEMERIS_QUERY",
    "URL_SUFFIX_EPHEMERIS_AVAILABILITY",
    "URL_SUFFIX_EPHEMERIS_REQUEST",
    "URL_SUFFIX_EPHEMERIS_SEARCH",
    "URL_SUFFIX_EPHEMERIS_UPLOAD",
    "URL_SUFFIX_LIST_REQUESTS",
    "AuroraXAPIRequest",
    "AuroraXAPIResponse",
    "Method",
]
__dir__ = __all__.copy

URL_SUFFIX_DATA_SOURCES = "api/v1/data_sources"
URL_SUFFIX_DATA_SOURCES_SEARCH = "api/v1/data_sources/search"
URL_SUFFIX_EPHEMERIS_AVAILABILITY = "api/v1/availability/ephemeris"
URL_SUFFIX_EPHEMERIS_UPLOAD = "api/v1/data_sources/{}/ephemeris"
URL_SUFFIX_EPHEMERIS_SEARCH = "api/v1/ephemeris/search"
URL_SUFFIX_EPHEMERIS_REQUEST = "api/v1/ephemeris/requests/{}"
URL_SUFFIX_DATA_PRODUCTS_AVAILABILITY = "api/v1/availability/data_products"
URL_SUFFIX_DATA_PRODUCTS_UPLOAD = "api/v1/data_sources/{}/data_products"
URL_SUFFIX_DATA_PRODUCTS_SEARCH = "api/v1/data_products/search"
URL_SUFFIX_DATA_PRODUCTS_REQUEST = "api/v1/data_products/requests/{}"
URL_SUFFIX_CONJUNCTION_SEARCH = "api/v1/conjunctions/search"
URL_SUFFIX_CONJUNCTION_REQUEST = "api/v1/conjunctions/requests/{}"
URL_SUFFIX_DESCRIBE_CONJUNCTION_QUERY = "api/v1/utils/describe/query/conjunction"
URL_SUFFIX_DESCRIBE_EPHEMERIS_QUERY = "api/v1/utils/describe/query/ephemeris"
URL_SUFFIX_DESCRIBE_DATA_PRODUCTS_QUERY = "api/v1/utils/describe/query/data_products"
URL_SUFFIX_LIST_REQUESTS = "api/v1/utils/admin/search_requests"
URL_SUFFIX_DELETE_REQUESTS = "api/v1/utils/admin/search_requests/{}"

Method = Literal["get", "post", "put", "delete", "patch"]


class AuroraXAPIResponse:
    """An answer: `data` is its JSON, None when it has none; `request` is the answer as it came."""

    def __init__(self, request: Any, data: Any, status_code: int) -> None:
        """Made by `AuroraXAPIRequest.execute` and by searches."""
        self.request = request
        self.data = data
        self.status_code = status_code

    def __repr__(self) -> str:
        try:
            phrase = HTTPStatus(self.status_code).phrase
        except ValueError:  # a status of the service's own
            phrase = "unknown"
        return f"AuroraXAPIResponse [{self.status_code}] ({phrase})"


class AuroraXAPIRequest:
    """A request to any URL of the service, sent with the key of `aurorax_obj` if it is at its server."""

    def __init__(
        self,
        aurorax_obj: PyAuroraX,
        url: str,
        method: Method,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        null_response: bool = False,
    ) -> None:
        """Make a request; nothing is sent before `execute`. `null_response` allows an answer without a body."""
        self._aurorax_obj = aurorax_obj
        self.url = url
        self.method = method
        self.params = dict(params or {})
        self.body = {} if body is None else body
        self.headers = dict(headers or {})
        self.null_response = null_response

    def __repr__(self) -> str:
        return f"AuroraXAPIRequest(method={self.method!r}, url={self.url!r})"

    def execute(self) -> AuroraXAPIResponse:
        """Send the request; an error status raises.

        Raises:
            AuroraXError: See `aurora_async.compat.pyaurorax.exceptions`.
        """
        with self._aurorax_obj._client(path="url") as client:
            answer: Answer = client.request(
                self.method.upper(), self.url, params=self.params, body=self.body or None, headers=self.headers or None
            )
            data = answer.json() if answer.body or not self.null_response else None
        return AuroraXAPIResponse(answer, data, answer.status)
