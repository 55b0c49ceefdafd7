"""What every display says in the same words."""

from __future__ import annotations

from aurora_async.display import numbers
from aurora_async.display.tally import Progress

__all__ = ["states", "sums"]


def sums(progress: Progress, *, is_over: bool = False) -> list[str]:
    """Return how many have ended, after how long, how fast that goes and how much is left, as far as it is known."""
    of = "" if progress.total is None else f" of {progress.total:,}"
    ended = progress.ended - progress.states["left"]  # those go on at the server
    parts = [f"{ended:,}{of} ended", numbers.duration(progress.elapsed_s)]
    if progress.per_s and not is_over:
        parts.append(numbers.frequency(progress.per_s))
    if progress.bytes:
        parts.append(numbers.size(progress.bytes))
    if progress.bytes_per_s and not is_over:
        parts.append(f"{numbers.size(progress.bytes_per_s)}/s")
    if progress.left_s and not is_over:
        parts.append(f"about {numbers.rough(progress.left_s)} left")
    return parts


def states(progress: Progress) -> list[tuple[str, str]]:
    """Return each state that requests are in, and how many they are: `("running", "300 running")`."""
    counts = {"to come": 0 if progress.total is None else progress.total - progress.begun, **progress.states}
    return [(state, f"{number:,} {state}") for state, number in counts.items() if number]
