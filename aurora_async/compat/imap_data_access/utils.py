"""What can be asked of a release."""

from __future__ import annotations

from enum import Enum

__all__ = ["ReleaseType"]
__dir__ = __all__.copy


class ReleaseType(Enum):
    """The service does only the first so far."""

    RELEASE = "release"
    EARLY_RELEASE = "early-release"
    UNRELEASE = "unrelease"
