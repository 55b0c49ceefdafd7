"""One budget of time for everything a verb does: submitting, polling, fetching."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import anyio

from aurora_async.errors import DeadlineExceeded, InvalidInput

__all__ = ["Deadline"]

_NO_END = nullcontext()


class Deadline:
    """Begins when made; None never ends. Each step opens a scope with what is left."""

    __slots__ = ("_deadline_s", "at")

    def __init__(self, deadline_s: float | None) -> None:
        if deadline_s is not None and (
            isinstance(deadline_s, bool) or not isinstance(deadline_s, int | float) or not deadline_s > 0
        ):
            raise InvalidInput("deadline_s", f"{deadline_s!r} is not a positive number of seconds")
        self._deadline_s = deadline_s
        self.at = math.inf if deadline_s is None else asyncio.get_running_loop().time() + deadline_s
        """The loop's time at which it ends."""

    @property
    def has_passed(self) -> bool:
        """True when no time is left."""
        return asyncio.get_running_loop().time() >= self.at

    def exceeded(self, doing: str, request_id: str | None = None) -> DeadlineExceeded:
        """The error that says so."""
        return DeadlineExceeded(doing, self._deadline_s or 0.0, request_id)

    def scope(self, doing: str, request_id: str | None = None) -> AbstractContextManager[None]:
        """Stop the block when time is up, with `DeadlineExceeded`: a deadline is not a cancellation."""
        return _NO_END if self.at == math.inf else self._scope(doing, request_id)

    @contextmanager
    def _scope(self, doing: str, request_id: str | None) -> Iterator[None]:
        with anyio.CancelScope(deadline=self.at) as scope:
            yield
        if scope.cancelled_caught:
            raise self.exceeded(doing, request_id)
