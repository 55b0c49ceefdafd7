"""Which versions count: the service's rules for its tables, and what it leaves to us.

Science files are ranked within their series by major version, then by minor; files that tie all stay. The other filters
come first: "the latest of those that match". Ranks of parts can be put together: what is highest in the whole is
highest in the part where it lies.

Ancillary files have versions for each time range and form: a file for three days does not make void the one without an
end that starts on the same day.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import date
from typing import Any, TypeVar

from aurora_async.imap.filenames import AncillaryName, SpiceName, Version
from aurora_async.imap.inputs import ancillary_for_day
from aurora_async.imap.models import (
    AncillaryFile,
    FileRow,
    LegacyFile,
    QuicklookFile,
    ScienceFile,
    SpiceKernel,
    TableFile,
)

__all__ = ["highest_major", "latest", "valid_on"]

RowT = TypeVar("RowT", bound=FileRow)


def latest(rows: Iterable[RowT]) -> list[RowT]:
    """Return the newest of each file, in their order.

    What one file is, its versions aside: a series of science or quicklook files (instrument, level, descriptor, day,
    repointing); an ancillary file's instrument, descriptor, days, repointing and extension; the root of a kernel's
    name; the time range of a table of spins or thrusters. Of the tables of repointings the one that came last counts,
    because each has all since launch.
    """
    return _highest(list(rows), _rank)


def highest_major(rows: Iterable[RowT]) -> list[RowT]:
    """Return the files of the highest major version of each series: what the service tells unless asked otherwise."""
    return _highest(list(rows), _major)


def valid_on(files: Iterable[AncillaryFile], day: date) -> list[AncillaryFile]:
    """Return the files, one of each instrument and descriptor, that data of a day are to be made with.

    By the rule of `inputs.ancillary_for_day`.
    """
    by_descriptor: dict[tuple[str, str], dict[AncillaryName, AncillaryFile]] = {}
    for file in files:
        if isinstance(name := file.name, AncillaryName):
            by_descriptor.setdefault((file.instrument, file.descriptor), {})[name] = file
    return [group[name] for group in by_descriptor.values() for name in ancillary_for_day(group, day)]


def _highest(rows: list[RowT], rank: Callable[[FileRow], Any]) -> list[RowT]:
    ranked = [(_file(row), rank(row)) for row in rows]
    best: dict[Hashable, Any] = {}
    for file, place in ranked:
        if file not in best or place > best[file]:
            best[file] = place
    return [row for row, (file, place) in zip(rows, ranked, strict=True) if place == best[file]]


def _file(row: FileRow) -> Hashable:
    """What a file has in common with its other versions."""
    match row:
        case ScienceFile() | QuicklookFile():
            return type(row), *row.series
        case AncillaryFile():
            name = row.name
            repointing = name.repointing if isinstance(name, AncillaryName) else None
            return row.instrument, row.descriptor, row.start_date, row.end_date, repointing, row.extension
        case LegacyFile():
            return row.instrument, row.data_level, row.descriptor, row.start_date, row.end_date, row.extension
        case SpiceKernel():
            return row.root
        case TableFile(type="repoint"):
            return row.type
        case TableFile():
            name = row.name
            word = name.word if isinstance(name, SpiceName) else None
            return row.type, row.start_date, row.end_date, word
    return row.key


def _rank(row: FileRow) -> Any:
    match row:
        case ScienceFile() | QuicklookFile() | AncillaryFile():
            return _order(row.version)
        case TableFile(type="repoint"):
            return row.ingestion_date, row.end_date, row.version
        case SpiceKernel():
            return -1 if row.version is None else row.version
        case LegacyFile() | TableFile():
            return row.version
    return 0


def _major(row: FileRow) -> int:
    return _order(row.version)[0] if isinstance(row, ScienceFile | QuicklookFile) else 0


def _order(version: Version | None) -> tuple[int, int]:
    """Those without a major version come before all that have one, those without any first of all."""
    if version is None:
        return -2, -1
    return -1 if version.major is None else version.major, version.minor
