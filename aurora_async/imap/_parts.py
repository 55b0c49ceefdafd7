"""Questions that are too much for the service, put part by part: the days on which files came, halved until it answers.

Behind the service's gateway an answer has 30 s and 6 MB, and fails with 500, 502, 503 or 504 beyond that. The same
statuses say that the service is down; which it is, a question for a single day shows.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, TypeVar

import anyio
import attrs

from aurora_async.errors import AuroraError, MaintenanceMode, MalformedAnswer, ReadTimeout, ServerError, raise_bare
from aurora_async.http.retry import is_worth_repeating

__all__ = ["Days", "Ingested", "in_parts", "is_too_much", "patiently", "readably"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DAY = date(2024, 1, 1)
"""Nothing came before, so nothing is gained by halving what lies there; an open range reaches back beyond it anyway."""
AT_ONCE = 4
_TRIES = 3
_DAY = timedelta(days=1)


class Ingested(Protocol):
    """A query that says when the files came that it wants."""

    @property
    def ingestion_start_date(self) -> datetime | None:
        """The first moment."""

    @property
    def ingestion_end_date(self) -> datetime | None:
        """The last one."""


@attrs.frozen
class Days:
    """Days on which files came, both inclusive; None is no bound."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, query: Ingested) -> Days:
        """Return the days of a query."""
        first, last = query.ingestion_start_date, query.ingestion_end_date
        return cls(first and first.date(), last and last.date())

    def _bounds(self) -> tuple[date, date]:
        first = FIRST_DAY if self.first is None else self.first
        return first, max(first, datetime.now(UTC).date()) if self.last is None else self.last

    @property
    def are_many(self) -> bool:
        """Whether they can be divided."""
        first, last = self._bounds()
        return first < last

    def halves(self) -> tuple[Days, Days]:
        """Divide them; what is open stays open."""
        first, last = self._bounds()
        return self._divided(first + (last - first + _DAY) // 2)

    def without_last(self) -> tuple[Days, Days]:
        """Return all but the last day, and that one."""
        return self._divided(self._bounds()[1])

    def _divided(self, seam: date) -> tuple[Days, Days]:
        return Days(self.first, seam - _DAY), Days(seam, self.last)


async def in_parts(
    ask: Callable[[Days, bool], Awaitable[list[T]]], days: Days, *, failed: AuroraError | None = None
) -> list[T]:
    """Return what `ask` finds for all the days, part by part where that is too much at once.

    Args:
        ask: Asks for some days; the flag says whether to be patient, because they cannot be fewer.
        days: All of them.
        failed: How the question for all of them has ended already.

    Raises:
        AuroraError: The first that is no reason to ask for less, or that came of a single day. If the last day alone
            is too much as well, the service is down, and it is the error for all days.
    """
    if failed is None or not days.are_many:
        try:
            return await ask(days, not days.are_many)
        except AuroraError as error:
            failed = error
    if not (days.are_many and is_too_much(failed)):
        raise failed
    logger.info("asking part by part, because %s", failed)
    rest, last_day = days.without_last()
    try:
        found = await ask(last_day, True)
    except AuroraError as error:
        raise (failed if is_too_much(error) else error) from error
    todo = [rest]

    async def one(part: Days) -> None:
        try:
            found.extend(await ask(part, not part.are_many))
        except AuroraError as error:
            if not (part.are_many and is_too_much(error)):
                raise
            todo.extend(part.halves())

    while todo:
        # The newest parts first: what fails even for a day shows after the logarithm of their number.
        now = [todo.pop() for _ in range(min(AT_ONCE, len(todo)))]
        try:
            async with anyio.create_task_group() as tasks:
                for part in now:
                    tasks.start_soon(one, part)
        except BaseExceptionGroup as group:
            raise_bare(group)
    return found


def is_too_much(error: AuroraError) -> bool:
    """Whether an answer failed as one does that was asked for too much."""
    return isinstance(error, ServerError | ReadTimeout) and not isinstance(error, MaintenanceMode)


async def patiently(exchange: Callable[[bool], Awaitable[T]], *, patient: bool) -> T:
    """Make an exchange, of which `repeat` is given; without patience a failure by its size is not repeated.

    503 is: it may mean any moment of trouble, and the service has not worked for it.
    """
    if not patient:
        try:
            return await exchange(False)
        except AuroraError as error:
            by_size = is_too_much(error) and not (isinstance(error, ServerError) and error.status == 503)
            if by_size or not is_worth_repeating(error, method="GET", repeat=True):
                raise
    return await exchange(True)


async def readably(read: Callable[[], Awaitable[T]]) -> T:
    """Ask and read, and do so again where nothing can be read of what came: a proxy may have cut it, and ended it well.

    What is wrong in one place of it would be wrong again.
    """
    for _ in range(_TRIES - 1):
        try:
            return await read()
        except MalformedAnswer as error:
            if error.where != "$":
                raise
            logger.debug("%s; asking again", error)
    return await read()
