"""The one border where our errors become drms's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aurora_async.compat.drms.exceptions import (
    DrmsConnectionError,
    DrmsError,
    DrmsExportError,
    DrmsOperationNotSupported,
    DrmsQueryError,
)
from aurora_async.errors import AuroraError, HttpError, InvalidInput, InvalidQuery, RequestError, TransportError
from aurora_async.jsoc import AddressNotRegistered, ExportRefused, NotSupported, QueryRefused

__all__ = ["refusal", "their_errors"]


@contextmanager
def their_errors() -> Iterator[None]:
    """Raise what drms's users expect to catch; the error of ours stays its `__cause__`.

    An argument that cannot be right stays the ValueError that it is.
    """
    try:
        yield
    except DrmsError:
        raise
    except QueryRefused as error:
        raise DrmsQueryError(f"{error.reason} [status={error.status}]") from error
    except ExportRefused as error:
        raise DrmsExportError(f"{error.reason} [status={error.status}]") from error
    except AddressNotRegistered as error:
        raise DrmsExportError(f"{error.reason} [status=4]") from error
    except NotSupported as error:
        raise DrmsOperationNotSupported(str(error)) from error
    except InvalidQuery as error:
        raise DrmsQueryError(str(error)) from error
    except InvalidInput:
        raise
    except RequestError as error:
        raise DrmsExportError(str(error)) from error
    except (HttpError, TransportError) as error:
        raise DrmsConnectionError(str(error)) from error
    except AuroraError as error:
        raise DrmsError(str(error)) from error


def refusal(error: Exception) -> dict[str, Any]:
    """Return the answer with which the service refuses an export."""
    match error.__cause__:
        case ExportRefused(status=status, reason=reason):
            return {"status": status, "error": reason}
        case QueryRefused(reason=reason):
            return {"status": 4, "error": reason}
        case AddressNotRegistered(reason=reason):
            return {"status": 4, "error": f"Cannot process your request. {reason}"}
        case _:
            return {"status": 4, "error": str(error)}
