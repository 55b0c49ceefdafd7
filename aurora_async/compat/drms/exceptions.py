"""The errors of drms.

    DrmsError (RuntimeError)
    ├── DrmsQueryError               the service refused a listing, a structure or a query
    ├── DrmsExportError              it refused an export, or gave up on it
    ├── DrmsOperationNotSupported    this server has no such operation; nothing was sent
    └── DrmsConnectionError (URLError)   no usable answer came; drms itself lets urllib's errors through

The error of ours that one stands for, with all its attributes, is its `__cause__`.
"""

from __future__ import annotations

from typing import Self
from urllib.error import URLError

from aurora_async.errors import AuroraError

__all__ = [
    "DrmsConnectionError",
    "DrmsError",
    "DrmsExportError",
    "DrmsOperationNotSupported",
    "DrmsQueryError",
]
__dir__ = __all__.copy


class DrmsError(AuroraError, RuntimeError):
    """The root: catch this one to catch everything raised here on purpose."""


class DrmsQueryError(DrmsError):
    """The service refused a query; the message ends in its status."""


class DrmsExportError(DrmsError):
    """The service refused an export or gave up on it; the message ends in its status."""


class DrmsOperationNotSupported(DrmsError):
    """The server has no such operation, and nothing was sent."""


class DrmsConnectionError(DrmsError, URLError):
    """No usable answer came, after as many tries as are sensible."""

    def __new__(cls, *args: object) -> Self:
        # An OSError in memory: found by the order of bases, RuntimeError would refuse to make it for who unpickles it.
        return URLError.__new__(cls, *args)

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.reason)
