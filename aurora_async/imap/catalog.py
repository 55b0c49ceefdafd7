"""The catalogue of files: any query, answered whole.

The service answers in pages that are cut anew for each question, so that rows move from one to the next when files come
or go in between: each page is asked for with the last row of the one before, and when that is not where it was, the
next question goes back until it meets rows it knows. A page that comes again is of a server, or of a cache before it,
that does not look at the offset, and is asked for everything at once. What the service cannot answer at once is asked
part by part (`_parts`), at last instrument by instrument, and the parts are ranked again together.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date, time, timedelta
from functools import partial

import attrs

from aurora_async.errors import AuroraError, ServerError
from aurora_async.http import Session
from aurora_async.imap._asking import ask
from aurora_async.imap._parts import Days, in_parts, is_too_much, patiently, readably
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.errors import QueryRefused
from aurora_async.imap.filenames import compact
from aurora_async.imap.latest import highest_major, latest
from aurora_async.imap.models import CatalogFile, LegacyFile
from aurora_async.imap.query import FileQuery
from aurora_async.imap.vocabulary import INSTRUMENTS
from aurora_async.imap.wire import decode_catalog

__all__ = ["Catalog", "rows"]

logger = logging.getLogger(__name__)

PAGE_ROWS = 5000
"""Some 2 MB; beyond 6 MB the service fails."""
_FEWEST_ROWS = 5
_TOO_LONG = frozenset({500, 502})
"""How it fails then. What takes too long (503, 504) takes as long for a page, which is cut from the whole answer."""

_DAY = timedelta(days=1)
_LAST_SECOND = time(23, 59, 59)
_NO_PAGES = re.compile(r"'?(offset|limit)'? is not a valid", re.IGNORECASE)


def rows(session: Session, config: ImapConfig, query: FileQuery) -> AsyncGenerator[CatalogFile, None]:
    """Yield the files that a query finds; see `Catalog.rows`."""
    return Catalog(session, config).rows(query)


class Catalog:
    """The catalogue of one service; it remembers whether that one has pages, and how long they can be.

    Args:
        session: Borrowed.
        config: Says where the service is.
        page_rows: Most rows of a page.
    """

    def __init__(self, session: Session, config: ImapConfig, *, page_rows: int = PAGE_ROWS) -> None:
        """Remember where to ask; nothing is sent."""
        self._session = session
        self._config = config
        self._page_rows = page_rows
        self._has_pages = True

    async def find(self, query: FileQuery) -> list[CatalogFile]:
        """Return the files that a query finds, by their keys; see `rows`."""
        found = [row async for row in self.rows(query)]
        # A version that came between two pages may stand beside the one it took the place of.
        return sorted(latest(found) if query.is_latest else found, key=lambda row: row.key)

    async def rows(self, query: FileQuery) -> AsyncGenerator[CatalogFile, None]:
        """Yield the files that a query finds, each once, as they come; ordered by their keys where that is possible.

        Raises:
            QueryRefused: By the service, with its own wording.
            HttpError, TransportError, MalformedAnswer: The service failed even for the least that can be asked.
        """
        seen: set[str] = set()
        failed: AuroraError | None = None
        days = Days.of(query)
        if not _is_put_together(query):
            can_be_less = days.are_many or query.instrument is None
            try:
                async with aclosing(self._pages(query, days, patient=not can_be_less)) as pages:
                    async for page in pages:
                        for row in page:
                            if _takes(query, row):
                                seen.add(row.key)
                                yield row
                return
            except AuroraError as error:
                if not (can_be_less and is_too_much(error)):
                    raise
                failed = error
        for row in await self._put_together(query, failed):
            if row.key not in seen:
                yield row

    async def _put_together(self, query: FileQuery, failed: AuroraError | None) -> list[CatalogFile]:
        """Ask part by part, and rank the rows of all parts as the service would have ranked the whole."""
        parts, cut_days = _whole_and_cut(query)
        found: dict[str, CatalogFile] = {}
        for days in parts:
            rows = await in_parts(partial(self._all, query), days, failed=failed)
            found.update((row.key, row) for row in rows if _takes(query, row))
        for days in cut_days:
            found.update((row.key, row) for row in await self._of_cut_day(query, days))
        merged = sorted(found.values(), key=lambda row: row.key)
        if query.is_latest:
            return latest(merged)
        return highest_major(merged) if _is_ranked(query) else merged

    async def _of_cut_day(self, query: FileQuery, day: Days) -> list[CatalogFile]:
        """Return the files of a day of which only some hours are wanted.

        The service ranks all that came on that day, and what it then tells may be of the wrong hours, in place of what
        is wanted: hence all versions are asked for, and where higher major ones are in the way, the lower ones too.
        """
        every = attrs.evolve(query, version=None if query.is_latest else query.version)
        rows = await self._all(every, day, True)
        kept = [row for row in rows if _takes(query, row)]
        majors = [row.version.major or 0 for row in rows if not isinstance(row, LegacyFile) and row.version is not None]
        if len(kept) < len(rows):
            for major in range(max(majors, default=0)):
                lower = await self._all(_of_major(every, major), day, True)
                kept += [row for row in lower if _takes(query, row)]
        return kept

    async def _all(self, query: FileQuery, days: Days, patient: bool) -> list[CatalogFile]:
        """Return all rows; where even a day is too much, which has no part, instrument by instrument."""
        try:
            return [row async for page in self._pages(query, days, patient=patient) for row in page]
        except AuroraError as error:
            if not (patient and query.instrument is None and is_too_much(error)):
                raise
        rows = []
        for instrument in INSTRUMENTS:
            rows += await self._all(attrs.evolve(query, instrument=instrument), days, True)
        return rows

    async def _pages(self, query: FileQuery, days: Days, *, patient: bool) -> AsyncGenerator[list[CatalogFile], None]:
        """Yield the rows, each once, in the service's order, page by page."""
        params = _params(query, days)
        seen: set[str] = set()
        begun: set[str] = set()
        """The first rows of pages, since one of them had something new."""
        offset, step = 0, 1
        while True:
            rows, is_last = await self._page(params, query.table, offset, patient)
            if offset and (not rows or rows[0].key not in seen):
                # Files before it went away, and what moved up has not been seen: back, until a row is known.
                offset, step = max(0, offset - step), 2 * step
                continue
            fresh = {row.key: row for row in rows if row.key not in seen}
            seen.update(fresh)
            yield list(fresh.values())
            if is_last:
                return
            if fresh:
                begun.clear()
            elif rows[0].key in begun:
                logger.info("%s repeats a page, whatever the offset; asking for all at once", self._config.service_url)
                self._has_pages, offset = False, 0
                continue
            begun.add(rows[0].key)
            offset, step = offset + len(rows) - 1, 1

    async def _page(
        self, params: dict[str, str], table: str, offset: int, patient: bool
    ) -> tuple[list[CatalogFile], bool]:
        """Return the rows from an offset on, and whether none come behind them.

        With patience, which is for what cannot be asked in parts, a page that is too long is asked for in shorter ones.
        """
        limit = known = self._page_rows
        while self._has_pages:
            page = params | {"offset": str(offset), "limit": str(limit)}
            try:
                rows = await self._ask(page, table, patient and limit == known)
            except QueryRefused as error:
                if _NO_PAGES.match(error.reason) is None:
                    raise
                self._has_pages = False
            except ServerError as error:
                if not patient or error.status not in _TOO_LONG or limit <= _FEWEST_ROWS:
                    raise
                limit = max(limit // 10, _FEWEST_ROWS)  # few steps: the service may as well be down
            else:
                if len(rows) > limit:  # one that does not heed the limit has told all
                    self._has_pages = False
                self._page_rows = min(limit, self._page_rows)
                return rows, len(rows) != limit
        return await self._ask(params, table, patient), True

    async def _ask(self, params: dict[str, str], table: str, patient: bool) -> list[CatalogFile]:
        async def exchange(repeat: bool) -> list[CatalogFile]:
            answer = await ask(self._session, self._config, "query", params, repeat=repeat, lane="body")
            return decode_catalog(answer, table)

        return await readably(partial(patiently, exchange, patient=patient))


def _params(query: FileQuery, days: Days) -> dict[str, str]:
    """Return what the service is asked: days only, and versions in the words of the table."""
    version, major, minor, is_latest = None, query.major, query.minor, False
    if query.table == "ancillary":
        version, major, minor = query.exact_version, None, None
    elif query.table == "science":
        if query.exact_version is not None and query.exact_version.major is None:
            version, major, minor = query.exact_version, query.major_version, None  # known to old servers as well
        is_latest = query.is_latest and major is None
    found = {
        "table": query.table,
        "instrument": query.instrument,
        "data_level": query.data_level,
        "descriptor": query.descriptor,
        "start_date": query.start_date,
        "end_date": query.end_date,
        "ingestion_start_date": days.first,
        "ingestion_end_date": days.last,
        "repointing": query.repointing,
        "version": version,
        "major_version": major,
        "minor_version": minor,
        "extension": query.extension,
        "latest": "true" if is_latest else None,
    }
    return {
        name: compact(value) if isinstance(value, date) else str(value)
        for name, value in found.items()
        if value is not None
    }


def _of_major(query: FileQuery, major: int) -> FileQuery:
    """Return the query for one major version; `query` names none."""
    exact = query.exact_version
    return attrs.evolve(
        query, version=None, major_version=major, minor_version=query.minor if exact is None else exact.minor
    )


def _takes(query: FileQuery, row: CatalogFile) -> bool:
    """Whether a row came in the time that is wanted: of a day the service tells all."""
    return isinstance(row, LegacyFile) or query.takes(row.ingestion_date)


def _is_ranked(query: FileQuery) -> bool:
    """Whether the service leaves out rows in favour of others."""
    return query.table == "science" and query.major is None


def _is_put_together(query: FileQuery) -> bool:
    """Whether all rows must be here before the first one is known to be wanted."""
    return (query.is_latest and not _is_ranked(query)) or bool(_whole_and_cut(query)[1])


def _whole_and_cut(query: FileQuery) -> tuple[Sequence[Days], Sequence[Days]]:
    """Return the days of a query: those that are wanted whole, and those that are cut by a time of day.

    Only where the service ranks: what it ranks must be what is wanted.
    """
    days = Days.of(query)
    if not _is_ranked(query):
        return (days,), ()
    first, last = query.ingestion_start_date, query.ingestion_end_date
    from_day, to_day, cut = days.first, days.last, []
    if first is not None and first.time() != time():
        cut.append(first.date())
        from_day = first.date() + _DAY
    if last is not None and last.time() < _LAST_SECOND:
        cut.append(last.date())
        to_day = last.date() - _DAY
    is_any_whole = from_day is None or to_day is None or from_day <= to_day
    return (Days(from_day, to_day),) if is_any_whole else (), [Days(day, day) for day in dict.fromkeys(cut)]
