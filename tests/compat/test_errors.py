"""No error of ours gets through to code that knows pyaurorax's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from aurora_async import errors
from aurora_async.aurorax.records import ChunkOutcome, UploadFailed, UploadReport
from aurora_async.aurorax.sources import NoSuchSource
from aurora_async.compat import pyaurorax
from aurora_async.compat.pyaurorax._errors import their_error, their_errors

REFUSED = errors.InvalidQuery("query", "the service refused it: no such hemisphere")
REFUSED.__cause__ = errors.BadRequest("POST", "https://example.org", 400, "AssertionError", "no such hemisphere")

MEANING: list[tuple[errors.AuroraError, type[pyaurorax.AuroraXError], str]] = [
    (errors.InvalidInput("order", "is unknown"), pyaurorax.AuroraXBadParametersError, "order: is unknown"),
    (REFUSED, pyaurorax.AuroraXAPIError, "API error code 400: no such hemisphere"),
    (
        errors.Unauthorized("GET", "u", 401, "NotAuthenticated", "key expired"),
        pyaurorax.AuroraXUnauthorizedError,
        "key expired",
    ),
    (errors.Forbidden("GET", "u", 403, "NotPermitted", "not you"), pyaurorax.AuroraXUnauthorizedError, "not you"),
    (
        errors.NotFound("GET", "u", 404, "NotFound", "no such source"),
        pyaurorax.AuroraXNotFoundError,
        "API error code 404: no such source",
    ),
    (errors.NotFound("GET", "u", 404), pyaurorax.AuroraXNotFoundError, "API error code 404: not found"),
    (
        errors.Conflict("POST", "u", 409, "Duplicate", "exists"),
        pyaurorax.AuroraXDuplicateError,
        "Duplicate - exists",
    ),
    (
        errors.Conflict("DELETE", "u", 409, "Conflict", "has data"),
        pyaurorax.AuroraXConflictError,
        "Conflict - has data",
    ),
    (
        errors.MaintenanceMode("POST", "u", 503, "Unavailable", "API is in maintenance mode"),
        pyaurorax.AuroraXMaintenanceError,
        "API is in maintenance mode",
    ),
    (
        errors.ServerError("GET", "u", 500, "ApplicationError", "oops"),
        pyaurorax.AuroraXAPIError,
        "API error code 500: oops",
    ),
    (errors.ReadTimeout("GET", "u", "silence"), pyaurorax.AuroraXAPIError, "API request timeout reached"),
    (errors.ConnectTimeout("GET", "u", "silence"), pyaurorax.AuroraXAPIError, "API request timeout reached"),
    (errors.ConnectionRefused("GET", "u", "refused"), pyaurorax.AuroraXAPIError, "GET u: refused"),
    (errors.RequestFailed("id", "out of memory"), pyaurorax.AuroraXSearchError, "out of memory"),
    (
        errors.RequestCancelled("id", "by hand"),
        pyaurorax.AuroraXSearchError,
        "request id was cancelled: by hand",
    ),
    (
        errors.ResultExpired("id", "deleted"),
        pyaurorax.AuroraXDataRetrievalError,
        "the result of request id is gone (deleted); submit the query again",
    ),
    (
        errors.IncompleteBody("u", Path("f"), "cut"),
        pyaurorax.AuroraXDataRetrievalError,
        "u to f: cut",
    ),
    (NoSuchSource("a", "b", "c"), pyaurorax.AuroraXNotFoundError, "No matching data source found"),
    (
        UploadFailed(
            UploadReport(
                chunks=(ChunkOutcome(index=0, first=0, count=2, error=errors.ReadTimeout("POST", "u", "silence")),)
            )
        ),
        pyaurorax.AuroraXUploadError,
        "0 records were accepted; records 0 to 1 were not: POST u: silence",
    ),
]


@pytest.mark.parametrize(("error", "kind", "text"), MEANING, ids=[type(error).__name__ for error, _, _ in MEANING])
def test_an_error_means_the_same_in_both_languages(
    error: errors.AuroraError, kind: type[pyaurorax.AuroraXError], text: str
) -> None:
    """The class that scripts catch, the text that they show, and our error, with its facts, behind it."""
    with pytest.raises(pyaurorax.AuroraXError) as raised, their_errors():
        raise error
    assert (type(raised.value), str(raised.value)) == (kind, text)
    assert raised.value.__cause__ is error


def test_an_error_of_pyaurorax_is_left_as_it_is() -> None:
    """Borders may lie within borders."""
    error = pyaurorax.AuroraXSearchError("out of memory")
    with pytest.raises(pyaurorax.AuroraXSearchError) as raised, their_errors(), their_errors():
        raise error
    assert raised.value is error
    assert their_error(errors.RequestFailed("id", "x")).__cause__ is None


def test_the_names_of_2022_are_those_of_today() -> None:
    """A script of that time catches what a script of today catches."""
    for name in vars(pyaurorax.exceptions):
        if name.endswith("Exception"):
            assert issubclass(getattr(pyaurorax, name), pyaurorax.AuroraXError)
    assert pyaurorax.AuroraXException is pyaurorax.AuroraXError
