"""The one object behind the functions of the releases up to 0.13, which knew modules instead of objects."""

from __future__ import annotations

from functools import cache

from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["STANDARD_POLLING_SLEEP_TIME", "aurorax"]

STANDARD_POLLING_SLEEP_TIME = 1.0


@cache
def aurorax() -> PyAuroraX:
    """Return the object, made at the first call with the settings of the environment."""
    return PyAuroraX()
