"""An event loop whose time jumps to the next timer, so that hours of waiting are tested in milliseconds, exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["simulated"]

T = TypeVar("T")


class _Simulated(asyncio.SelectorEventLoop):
    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def simulated(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, which must wait for nothing but timers."""
    loop = _Simulated()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
