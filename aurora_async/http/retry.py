"""Which failures deserve another try, and how long to wait before it.

Pure arithmetic: nothing here sleeps, speaks HTTP or reads a clock, so a schedule can be checked to the last digit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs

from aurora_async.config import Retries
from aurora_async.errors import (
    AuroraError,
    ConnectionFailed,
    ConnectionLost,
    HttpError,
    IncompleteBody,
    MaintenanceMode,
    NameNotResolved,
    ReadTimeout,
    TlsFailed,
    TooManyRequests,
)

__all__ = ["LONGEST_WAIT_S", "RetryPolicy", "is_repeatable", "is_worth_repeating", "may_pass", "retry_after_s"]

LONGEST_WAIT_S = 3600.0
"""A service that asks for more patience than this gets the error raised instead, with its Retry-After in it."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATABLE_METHODS = _READS | {"PUT", "DELETE"}
_REPEATABLE_STATUSES = frozenset({408, 425, 500, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def is_repeatable(method: str) -> bool:
    """Say whether sending a request of this method twice means the same as sending it once (RFC 9110, 9.2.2)."""
    return method in _REPEATABLE_METHODS


def is_worth_repeating(error: AuroraError, *, method: str, repeat: bool) -> bool:
    """Say whether another try could end otherwise, and could do no harm.

    Args:
        error: How the last try ended.
        method: Of the request, in capitals.
        repeat: The service may have acted on the request already, and acting twice does no harm.
    """
    match error:
        case NameNotResolved() | TlsFailed():
            # A name without an address and a certificate that does not verify are answers, not accidents: they change
            # when a person changes a setting, not within seconds. A name server that is silent is ConnectionFailed.
            return False
        case ConnectionFailed() | TooManyRequests():
            return True  # The service has not acted, so even what must not happen twice may be sent again.
        case MaintenanceMode():
            # Lasts hours and stops writes only: waiting helps a read alone, and only if the service says how long.
            return repeat and method in _READS and error.retry_after_s is not None
        case HttpError():
            return repeat and error.status in _REPEATABLE_STATUSES
        case ConnectionLost() | ReadTimeout() | IncompleteBody():
            return repeat
        case _:
            return False


def may_pass(error: AuroraError) -> bool:
    """Say whether whoever has the time may hope that asking again later ends otherwise.

    More patient than `is_worth_repeating`: within hours even a network cable is plugged in again.
    """
    match error:
        case ConnectionFailed() | ConnectionLost() | ReadTimeout() | TooManyRequests():
            return True
        case HttpError():
            return error.status in _REPEATABLE_STATUSES
        case _:
            return False


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, None when there is none that can be read.

    Both forms of RFC 9110, 10.2.3: seconds ("120") and an HTTP date, which may lie in the past (0 seconds).
    """
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:  # "-0000": UTC by RFC 5322
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Growing waits with jitter, stretched by Retry-After, ended by the attempts or by the deadline."""

    retries: Retries = attrs.field(factory=Retries)
    rng: random.Random = attrs.field(factory=random.Random, repr=False, eq=False)

    def waits(self) -> Iterator[float]:
        """Yield seconds, without end: each is drawn from the upper half of its range.

        Clients that failed together thus do not come back together.
        """
        ceiling_s = self.retries.ceiling_s
        wait_s = min(self.retries.first_s, ceiling_s)
        while True:
            yield self.rng.uniform(wait_s / 2, wait_s)
            # Clamped at every step: factor ** n overflows a float near n = 1000.
            wait_s = min(wait_s * self.retries.factor, ceiling_s)

    def wait_s(self, error: AuroraError, backoff_s: float, left_s: float) -> float | None:
        """Return how long to wait after `error`, None when the wait would not end in time.

        Args:
            error: What the last try ended with; a Retry-After in it is the least to wait.
            backoff_s: The wait that the schedule has for this try.
            left_s: Seconds until the caller's deadline, infinite without one.
        """
        wait_s = backoff_s
        asked_s = error.retry_after_s if isinstance(error, HttpError) else None
        if asked_s is not None:
            if asked_s > LONGEST_WAIT_S:
                return None
            # On top of what was asked, never below: those told the same time must not come back in the same moment.
            wait_s = max(backoff_s, asked_s + self.rng.uniform(0, min(asked_s, 1.0) / 4))
        return wait_s if wait_s < left_s else None
