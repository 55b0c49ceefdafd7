"""pyaurorax's search half over ours: `from aurora_async.compat import pyaurorax`, and the rest of a notebook stays.

Both of its generations are here: the object form, `pyaurorax.PyAuroraX().search`, and the module form of the releases
up to 0.13, `pyaurorax.data_products.search(…)`. Times that come out are naive and UTC, as they were.
"""

from __future__ import annotations

from typing import NoReturn

from aurora_async.compat.pyaurorax import (
    api,
    availability,
    conjunctions,
    data_products,
    ephemeris,
    exceptions,
    location,
    metadata,
    requests,
    search,
    sources,
    util,
)
from aurora_async.compat.pyaurorax.api import authenticate, get_api_key
from aurora_async.compat.pyaurorax.client import NOT_HERE, PyAuroraX, __version__
from aurora_async.compat.pyaurorax.exceptions import (
    AuroraXAPIError,
    AuroraXBadParametersError,
    AuroraXBadParametersException,
    AuroraXConflictError,
    AuroraXConflictException,
    AuroraXDataRetrievalError,
    AuroraXDataRetrievalException,
    AuroraXDownloadError,
    AuroraXDuplicateError,
    AuroraXDuplicateException,
    AuroraXError,
    AuroraXException,
    AuroraXInitializationError,
    AuroraXMaintenanceError,
    AuroraXMaxRetriesException,
    AuroraXNotFoundError,
    AuroraXNotFoundException,
    AuroraXPurgeError,
    AuroraXSearchError,
    AuroraXUnauthorizedError,
    AuroraXUnauthorizedException,
    AuroraXUnexpectedContentTypeException,
    AuroraXUnsupportedReadError,
    AuroraXUploadError,
    AuroraXUploadException,
    AuroraXValidationException,
)
from aurora_async.compat.pyaurorax.search import (
    CONJUNCTION_TYPE_NBTRACE,
    CONJUNCTION_TYPE_SBTRACE,
    DATA_PRODUCT_TYPE_KEOGRAM,
    DATA_PRODUCT_TYPE_MONTAGE,
    DATA_PRODUCT_TYPE_MOVIE,
    DATA_PRODUCT_TYPE_SUMMARY_PLOT,
    FORMAT_BASIC_INFO,
    FORMAT_BASIC_INFO_WITH_METADATA,
    FORMAT_DEFAULT,
    FORMAT_FULL_RECORD,
    FORMAT_IDENTIFIER_ONLY,
    SOURCE_TYPE_EVENT_LIST,
    SOURCE_TYPE_GROUND,
    SOURCE_TYPE_HEO,
    SOURCE_TYPE_LEO,
    SOURCE_TYPE_LUNAR,
)
from aurora_async.compat.pyaurorax.search.location import Location

__all__ = [
    "CONJUNCTION_TYPE_NBTRACE",
    "CONJUNCTION_TYPE_SBTRACE",
    "DATA_PRODUCT_TYPE_KEOGRAM",
    "DATA_PRODUCT_TYPE_MONTAGE",
    "DATA_PRODUCT_TYPE_MOVIE",
    "DATA_PRODUCT_TYPE_SUMMARY_PLOT",
    "FORMAT_BASIC_INFO",
    "FORMAT_BASIC_INFO_WITH_METADATA",
    "FORMAT_DEFAULT",
    "FORMAT_FULL_RECORD",
    "FORMAT_IDENTIFIER_ONLY",
    "SOURCE_TYPE_EVENT_LIST",
    "SOURCE_TYPE_GROUND",
    "SOURCE_TYPE_HEO",
    "SOURCE_TYPE_LEO",
    "SOURCE_TYPE_LUNAR",
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
    "Location",
    "PyAuroraX",
    "__version__",
    "api",
    "authenticate",
    "availability",
    "conjunctions",
    "data_products",
    "ephemeris",
    "exceptions",
    "get_api_key",
    "location",
    "metadata",
    "requests",
    "search",
    "sources",
    "util",
]


def __getattr__(name: str) -> NoReturn:
    """Say why three of the modules are not here."""
    raise AttributeError(
        NOT_HERE if name in ("data", "models", "tools") else f"module {__name__!r} has no attribute {name!r}"
    )


def __dir__() -> list[str]:
    """Offer what is public; so do the modules, with `__dir__ = __all__.copy`."""
    return __all__.copy()
