"""The one border where our errors become pyaurorax's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aurora_async.aurorax.records import UploadFailed
from aurora_async.aurorax.sources import NoSuchSource
from aurora_async.compat.pyaurorax.exceptions import (
    AuroraXAPIError,
    AuroraXBadParametersError,
    AuroraXConflictError,
    AuroraXDataRetrievalError,
    AuroraXDuplicateError,
    AuroraXError,
    AuroraXMaintenanceError,
    AuroraXNotFoundError,
    AuroraXSearchError,
    AuroraXUnauthorizedError,
    AuroraXUploadError,
)
from aurora_async.errors import (
    AuroraError,
    BadRequest,
    ClientClosed,
    Conflict,
    ConnectTimeout,
    Forbidden,
    HttpError,
    InvalidInput,
    MaintenanceMode,
    NotFound,
    ReadTimeout,
    RequestCancelled,
    RequestFailed,
    ResultExpired,
    ResultMissing,
    TransferError,
    Unauthorized,
)

__all__ = ["retrieving", "their_error", "their_errors"]


@contextmanager
def their_errors(**theirs: str) -> Iterator[None]:
    """Raise what pyaurorax's users expect to catch; the error of ours stays its `__cause__`.

    `theirs` are their names of our arguments (`level="format"`): a message is about what was typed.
    """
    try:
        yield
    except AuroraXError:
        raise
    except InvalidInput as error:
        if error.field not in theirs:
            raise their_error(error) from error
        raise AuroraXBadParametersError(f"{theirs[error.field]}: {error.reason}") from error
    except AuroraError as error:
        raise their_error(error) from error


@contextmanager
def retrieving() -> Iterator[None]:
    """Tell of data that is not there as pyaurorax does: it has a name of its own for that."""
    try:
        yield
    except AuroraXNotFoundError as error:
        raise AuroraXDataRetrievalError(str(error)) from error.__cause__


def their_error(error: AuroraError) -> AuroraXError:
    """Return the error of pyaurorax that says the same as one of ours."""
    match error:
        case HttpError():
            return _http_error(error)
        case InvalidInput(__cause__=BadRequest() as refusal):
            return _http_error(refusal)
        case InvalidInput():
            return AuroraXBadParametersError(str(error))
        case NoSuchSource():
            return AuroraXNotFoundError("No matching data source found")
        case ReadTimeout() | ConnectTimeout():
            return AuroraXAPIError("API request timeout reached")
        case RequestFailed():
            return AuroraXSearchError(error.reason)
        case RequestCancelled():
            return AuroraXSearchError(str(error))
        case ResultExpired() | ResultMissing() | TransferError():
            return AuroraXDataRetrievalError(str(error))
        case UploadFailed():
            return AuroraXUploadError(str(error))
        case ClientClosed():
            return AuroraXAPIError("close() ended this while it was under way; the next request connects again")
        case _:
            return AuroraXAPIError(str(error))


def _http_error(error: HttpError) -> AuroraXError:
    said = error.detail or error.hint or str(error)
    match error:
        case Unauthorized() | Forbidden():
            return AuroraXUnauthorizedError(said)
        case MaintenanceMode():
            return AuroraXMaintenanceError(said)
        case Conflict(code="Duplicate"):
            return AuroraXDuplicateError(f"{error.code} - {said}")
        case Conflict():
            return AuroraXConflictError(f"{error.code or 'Conflict'} - {said}")
        case NotFound():
            return AuroraXNotFoundError(f"API error code 404: {error.detail or 'not found'}")
        case _:
            return AuroraXAPIError(f"API error code {error.status}: {said}")
