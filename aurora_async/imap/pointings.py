"""Pointings: the time between two manoeuvres, which the files of some instruments are one for.

The spacecraft turns its axis back to the Sun about once a day. A table of repointings lists every manoeuvre since
launch; a pointing has the number of the manoeuvre that it follows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import anyio.to_thread
import attrs

from aurora_async.errors import AuroraError, MalformedAnswer
from aurora_async.http import Session
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.downloads import download_files
from aurora_async.imap.query import SpiceQuery
from aurora_async.imap.spice import find_tables

__all__ = ["NoPointings", "Pointing", "fetch_pointings", "pointings_of"]

_RECENT = timedelta(days=14)


class NoPointings(AuroraError):
    """The service has no table of repointings; `url` is what was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return f"{self.url} lists no table of repointings, and without one the files of this instrument have no bounds"


@attrs.frozen
class Pointing:
    """From the end of one manoeuvre up to the end of the next, which belongs to the next pointing."""

    number: int
    start: datetime
    end: datetime


def pointings_of(rows: Iterable[Mapping[str, str]], source: str = "the table of repointings") -> list[Pointing]:
    """Return the pointings that a table's rows make, in order.

    A manoeuvre that is not finished has `NaN` for its end: neither the pointing before it nor the one after it has
    bounds then, and both are left out.

    Args:
        rows: With the columns `repoint_end_utc` and `repoint_id`; others do not matter.
        source: Where they come from, for errors.

    Raises:
        MalformedAnswer: A row lacks them, or has something else in them.
    """
    ends: list[tuple[int, datetime | None]] = []
    for number, row in enumerate(rows, 1):
        try:
            end, repointing = str(row["repoint_end_utc"]).strip(), int(row["repoint_id"])
            ends.append((repointing, None if end.lower() == "nan" else _utc(end)))
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedAnswer(source, f"row {number}", f"not a manoeuvre: {error!r}") from error
    return [
        Pointing(number, start, end)
        for (number, start), (_, end) in pairwise(ends)
        if start is not None and end is not None and start < end
    ]


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


async def fetch_pointings(session: Session, config: ImapConfig, folder: Path | str | None = None) -> list[Pointing]:
    """Return all pointings so far, from the table that the service got last; it is kept in its place below `folder`.

    Raises:
        NoPointings: There is no table.
        MalformedAnswer: What is listed as one is not a table of repointings.

    Source: IMAP SDC, GET repoint-table.
    """
    # All tables since launch are a long list. The newest is nearly always among those of the last days.
    today = datetime.now(UTC).date()
    every = SpiceQuery(type="repoint", latest=True)
    recent = attrs.evolve(every, ingestion_start_date=today - _RECENT, ingestion_end_date=today)
    newest = await find_tables(session, config, recent) or await find_tables(session, config, every)
    if not newest:
        raise NoPointings(f"{config.service_url}/repoint-table")
    (got,) = await download_files(session, config, newest[-1], folder)
    if got.error is not None:
        raise got.error
    assert got.path is not None
    return await anyio.to_thread.run_sync(_read, got.path)


def _read(path: Path) -> list[Pointing]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return pointings_of(csv.DictReader(file, skipinitialspace=True), str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedAnswer(str(path), "the file", f"not a table: {error}") from error
