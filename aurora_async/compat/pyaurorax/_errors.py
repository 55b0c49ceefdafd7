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

__all__ = ["their_error", "their_errors"]


@contextmanager
def their_errors() -> Iterator[None]:
    """Raise what pyaurorax's users expect to catch; the error of ours stays its `__cause__`."""
    try:
        yield
    except AuroraXError:
        raise
    except AuroraError as error:
        raise their_error(error) from error


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
