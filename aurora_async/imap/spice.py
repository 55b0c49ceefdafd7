"""Kernels, the tables of spins, repointings and thrusters, and metakernels.

Times are sent as the service counts them, TDB seconds past J2000. The last day of a range of ingestion it takes for its
first moment only, so the day after is asked for, and what is too much left out here. The tables' own `latest` fails on
the service, and their time filters look for tables within a range, not for those that cover a part of it: both are done
here, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar, get_args

from aurora_async.errors import BadRequest, InvalidQuery, MalformedAnswer
from aurora_async.http import Answer, Session, shown_url
from aurora_async.imap._asking import ask
from aurora_async.imap._parts import Days, in_parts, patiently, readably
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.errors import CoverageGaps, NotOffered, QueryRefused
from aurora_async.imap.filenames import compact
from aurora_async.imap.latest import latest
from aurora_async.imap.models import FileRow, Metakernel, SpiceKernel, TableFile
from aurora_async.imap.query import ALL_KERNELS, SpiceQuery
from aurora_async.imap.tdb import from_tdb
from aurora_async.imap.vocabulary import KERNEL_FOLDERS, KERNEL_TYPES
from aurora_async.imap.wire import decode_gaps, decode_kernels, decode_names, decode_table_files, kernels_named
from aurora_async.times import TimeLike, TimeRange

__all__ = ["TABLE_TYPES", "TableType", "find_kernels", "find_tables", "kernel_names", "metakernel"]

RowT = TypeVar("RowT", bound=FileRow)
T = TypeVar("T")

TableType = Literal["spin", "repoint", "thruster"]
TABLE_TYPES: tuple[TableType, ...] = get_args(TableType)
_PATHS = {
    "spin": ("spin-table",),
    "repoint": ("repoint-table",),
    "thruster": ("small-forces-table", "thruster-table"),  # its name of today, and its first one
}
_DAY = timedelta(days=1)


async def find_kernels(session: Session, config: ImapConfig, query: SpiceQuery) -> list[SpiceKernel]:
    """Return the kernels that a query finds, ordered by their keys.

    Source: IMAP SDC, GET spice-query.
    """
    filters: dict[str, Any] = {
        "file_name": query.file_name,
        "start_time": query.start,
        "end_time": query.end,
        "type": query.type,
        "latest": "true" if query.latest else None,
    }
    params = {name: str(value) for name, value in filters.items() if value is not None}

    async def asked(days: Days, patient: bool) -> list[SpiceKernel]:
        # Without any parameter the service fails.
        filled = params | _ingested(days) or {"type": ALL_KERNELS}
        return await _ask(session, config, "spice-query", filled, decode_kernels, patient)

    rows = await in_parts(asked, Days.of(query))
    return _merged(row for row in rows if query.takes(row.ingestion_date))


async def find_tables(session: Session, config: ImapConfig, query: SpiceQuery) -> list[TableFile]:
    """Return the tables of one type that cover any day of the time that a query asks for, ordered by their keys.

    `latest` counts among those that match the other filters; see `aurora_async.imap.latest`.

    Source: IMAP SDC, GET spin-table, repoint-table, small-forces-table.
    """
    type_ = str(query.type)
    file = query.file_name
    params = {} if file is None else {"file_path": f"imap/spice/{KERNEL_FOLDERS[type_]}/{file}"}
    decode = partial(decode_table_files, type_=type_)

    async def asked(days: Days, patient: bool) -> list[TableFile]:
        filled = params | _ingested(days)
        path, *older = _PATHS[type_]
        try:
            return await _ask(session, config, path, filled, decode, patient)
        except (NotOffered, QueryRefused):
            if not older:
                raise
        return await _ask(session, config, older[0], filled, decode, patient)

    first = None if query.start is None else from_tdb(query.start).date()
    last = None if query.end is None else from_tdb(query.end).date()
    rows = _merged(
        row
        for row in await in_parts(asked, Days.of(query))
        if query.takes(row.ingestion_date)
        and (first is None or row.end_date >= first)
        and (last is None or row.start_date is None or row.start_date <= last)
    )
    return latest(rows) if query.latest else rows


async def metakernel(
    session: Session,
    config: ImapConfig,
    start: TimeLike | float,
    end: TimeLike | float,
    *,
    file_types: Iterable[str] | None = None,
    spice_path: str | None = None,
    require_coverage: bool = False,
) -> Metakernel:
    """Return a metakernel; see `Imap.metakernel`."""
    params = _range(start, end, file_types)
    if spice_path is not None:
        if not isinstance(spice_path, str) or not spice_path.isprintable() or "'" in spice_path:
            raise InvalidQuery("spice_path", f"{spice_path!r} is not a path that a metakernel can hold")
        params["spice_path"] = spice_path
    gaps: dict[str, tuple[TimeRange, ...]] = {}
    try:
        # Asked first, because it is the only way to be told of gaps; without any, it is the answer.
        text = await _ask(session, config, "metakernel", params | {"require_coverage": "true"}, _metakernel_text)
    except BadRequest as error:
        gaps = decode_gaps(error.body, error.url)
        if require_coverage:
            raise CoverageGaps(error.method, error.url, error.status, gaps) from error
        text = await _ask(session, config, "metakernel", params, _metakernel_text)
    return Metakernel(text, kernels_named(text, spice_path or ""), gaps)


async def kernel_names(
    session: Session,
    config: ImapConfig,
    start: TimeLike | float,
    end: TimeLike | float,
    *,
    file_types: Iterable[str] | None = None,
    require_coverage: bool = False,
) -> tuple[str, ...]:
    """Return the names of kernels; see `Imap.metakernel_files`."""
    params = _range(start, end, file_types) | {"list_files": "true"}
    if require_coverage:
        params["require_coverage"] = "true"
    try:
        return await _ask(session, config, "metakernel", params, decode_names)
    except NotOffered as error:
        if "no files found" not in error.detail.lower():
            raise
        return ()
    except BadRequest as error:
        gaps = decode_gaps(error.body, error.url)
        raise CoverageGaps(error.method, error.url, error.status, gaps) from error


def _range(start: TimeLike | float, end: TimeLike | float, file_types: Iterable[str] | None) -> dict[str, str]:
    query = SpiceQuery(start=start, end=end)
    for name, value in (("start", query.start), ("end", query.end)):
        if value is None:
            raise InvalidQuery(name, "is missing: a metakernel is for a time range")
    # Whole seconds within the range: beyond it, there might be a gap of less than a second.
    first = math.ceil(query.start or 0)
    params = {"start_time": str(first), "end_time": str(max(first + 1, math.floor(query.end or 0)))}
    if file_types is not None:
        wanted = [file_types] if isinstance(file_types, str) else list(file_types)
        for one in wanted:
            if one not in KERNEL_TYPES:
                raise InvalidQuery("file_types", f"{one!r} is not one of {', '.join(KERNEL_TYPES)}")
        params["file_types"] = ",".join(wanted)
    return params


def _ingested(days: Days) -> dict[str, str]:
    found = {"start_ingest_date": days.first, "end_ingest_date": days.last and days.last + _DAY}
    return {name: compact(day) for name, day in found.items() if day is not None}


def _metakernel_text(answer: Answer) -> str:
    text = answer.body.decode(errors="replace")
    if "begindata" not in text:
        raise MalformedAnswer(shown_url(answer.url), "$", f"expected a metakernel, got {text[:80]!r}")
    return text


async def _ask(
    session: Session,
    config: ImapConfig,
    path: str,
    params: dict[str, str],
    decode: Callable[[Answer], T],
    patient: bool = True,
) -> T:
    async def exchange(repeat: bool) -> T:
        return decode(await ask(session, config, path, params, repeat=repeat, lane="body"))

    return await readably(partial(patiently, exchange, patient=patient))


def _merged(rows: Iterable[RowT]) -> list[RowT]:
    """Return rows of several parts, each once, ordered by their keys."""
    return sorted({row.key: row for row in rows}.values(), key=lambda row: row.key)
