"""When things began: a day, the mission, and the spacecraft's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

__all__ = ["CLOCK_ZERO", "LAUNCH", "midnight", "midnight_s"]

LAUNCH = date(2025, 9, 24)
CLOCK_ZERO = datetime(2010, 1, 1, tzinfo=UTC)
"""Where the spacecraft's clock began. This one is taken to run with UTC; the real one drifts."""


def midnight(day: date) -> datetime:
    """Return when a day begins."""
    return datetime.combine(day, time(), UTC)


def midnight_s(day: date) -> int:
    """Return when a day begins, in seconds since 1970."""
    return int(midnight(day).timestamp())
