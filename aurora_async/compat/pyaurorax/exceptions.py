"""The errors of pyaurorax, by the names of both its generations.

    AuroraXError
    ├── AuroraXAPIError               the service refused, or could not be reached
    │   └── AuroraXNotFoundError      404, and a data source that does not exist
    ├── AuroraXBadParametersError (ValueError)     refused before anything was sent
    ├── AuroraXConflictError
    ├── AuroraXDataRetrievalError     the search is done, its result could not be fetched
    ├── AuroraXDownloadError
    ├── AuroraXDuplicateError
    ├── AuroraXInitializationError
    ├── AuroraXMaintenanceError
    ├── AuroraXPurgeError
    ├── AuroraXSearchError            the service gave up on a search
    ├── AuroraXUnauthorizedError      401 and 403
    ├── AuroraXUnsupportedReadError
    └── AuroraXUploadError

The error of ours that one stands for, with all its attributes, is its `__cause__`.
"""

from __future__ import annotations

from aurora_async.errors import AuroraError

__all__ = [
    "AuroraXAPIError",
    "AuroraXBadParametersError",
    "AuroraXBadParametersException",
    "AuroraXConflictError",
    "AuroraXConflictException",
    "AuroraXDataRetrievalError",
    "AuroraXDataRetrievalException",
    "AuroraXDownloadError",
    "AuroraXDuplicateError",
    "AuroraXDuplicateException",
    "AuroraXError",
    "AuroraXException",
    "AuroraXInitializationError",
    "AuroraXMaintenanceError",
    "AuroraXMaxRetriesException",
    "AuroraXNotFoundError",
    "AuroraXNotFoundException",
    "AuroraXPurgeError",
    "AuroraXSearchError",
    "AuroraXUnauthorizedError",
    "AuroraXUnauthorizedException",
    "AuroraXUnexpectedContentTypeException",
    "AuroraXUnsupportedReadError",
    "AuroraXUploadError",
    "AuroraXUploadException",
    "AuroraXValidationException",
]
__dir__ = __all__.copy


class AuroraXError(AuroraError):
    """The root: catch this one to catch everything raised here on purpose."""


class AuroraXInitializationError(AuroraXError):
    """A setting of `PyAuroraX` cannot be right."""


class AuroraXPurgeError(AuroraXError):
    """Files could not be deleted."""


class AuroraXAPIError(AuroraXError):
    """The service refused, failed, or gave no usable answer."""


class AuroraXNotFoundError(AuroraXAPIError):
    """The service knows no such thing."""


class AuroraXBadParametersError(AuroraXError, ValueError):
    """An argument cannot be right, and nothing was sent."""


class AuroraXDuplicateError(AuroraXError):
    """It exists already."""


class AuroraXUnauthorizedError(AuroraXError):
    """No API key, a bad one, or one whose role is not sufficient."""


class AuroraXConflictError(AuroraXError):
    """It is still in use."""


class AuroraXDataRetrievalError(AuroraXError):
    """A search is done, and its result could not be fetched; most often because it has been deleted since."""


class AuroraXSearchError(AuroraXError):
    """The service gave up on a search, or somebody cancelled it."""


class AuroraXUploadError(AuroraXError):
    """Some records were not accepted."""


class AuroraXMaintenanceError(AuroraXError):
    """The service is in maintenance mode: nothing can be written."""


class AuroraXUnsupportedReadError(AuroraXError):
    """Never raised here: it belongs to the half of pyaurorax that reads image files."""


class AuroraXDownloadError(AuroraXError):
    """Never raised here: it belongs to the half of pyaurorax that downloads image files."""


# The releases up to 0.13 called them so.
AuroraXException = AuroraXError
AuroraXNotFoundException = AuroraXNotFoundError
AuroraXMaxRetriesException = AuroraXAPIError
AuroraXDuplicateException = AuroraXDuplicateError
AuroraXUnexpectedContentTypeException = AuroraXAPIError
AuroraXUnauthorizedException = AuroraXUnauthorizedError
AuroraXConflictException = AuroraXConflictError
AuroraXBadParametersException = AuroraXBadParametersError
AuroraXValidationException = AuroraXBadParametersError
AuroraXUploadException = AuroraXUploadError
AuroraXDataRetrievalException = AuroraXDataRetrievalError
