"""zlib as the extra `fast` brings it, several times as fast, or else Python's own."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import Any

__all__ = ["fast_zlib"]


def _fast_zlib() -> Any:
    try:
        return import_module("isal.isal_zlib")
    except ImportError:  # not here, or not for this machine
        return zlib


fast_zlib: Any = _fast_zlib()
