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

from aurora_async.imap.filenames import AncillaryName, InvalidFileName, ScienceName, SpiceName, Version, parse_name
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

__all__ = ["highest_major", "latest", "outranked", "valid_on"]

T = TypeVar("T")
RowT = TypeVar("RowT", bound=FileRow)


def latest(rows: Iterable[RowT]) -> list[RowT]:
    """Return the newest of each file, in their order.

    What one file is, its versions aside: a series of science or quicklook files (instrument, level, descriptor, day,
    repointing); an ancillary file's instrument, descriptor, days, repointing and extension; the root of a kernel's
    name; the time range of a table of spins or thrusters. Of the tables of repointings the one that came last counts,
    because each has all since launch.
    """
    return _highest(rows, _file, _rank)


def highest_major(rows: Iterable[RowT]) -> list[RowT]:
    """Return the files of the highest major version of each series: what the service tells unless asked otherwise."""
    return _highest(rows, _file, _major)


def outranked(keys: Iterable[str], *, is_latest: bool) -> set[str]:
    """Return the keys of science files of which others among them are newer.

    The service ranks what is left after all filters, the one for ingestion too: of what is new it may tell an old
    version that was delivered late, which is not among the files of the whole query.

    Args:
        keys: Of files of any kind; only those of science files are ranked.
        is_latest: By their whole versions; False: by their major versions alone.
    """
    names: dict[str, ScienceName] = {}
    for key in keys:
        try:
            name = parse_name(key)
        except InvalidFileName:
            continue
        if isinstance(name, ScienceName):
            names[key] = name

    def rank(key: str) -> Any:
        version = names[key].version
        return version if is_latest else _major_of(version)

    return names.keys() - set(_highest(names, lambda key: names[key].series, rank))


def valid_on(files: Iterable[AncillaryFile], day: date) -> list[AncillaryFile]:
    """Return the files, one of each instrument and descriptor, that data of a day are to be made with.

    By the rule of `inputs.ancillary_for_day`.
    """
    by_descriptor: dict[tuple[str, str], dict[AncillaryName, AncillaryFile]] = {}
    for file in files:
        if isinstance(name := file.name, AncillaryName):
            by_descriptor.setdefault((file.instrument, file.descriptor), {})[name] = file
    return [group[name] for group in by_descriptor.values() for name in ancillary_for_day(group, day)]


def _highest(ones: Iterable[T], file: Callable[[T], Hashable], rank: Callable[[T], Any]) -> list[T]:
    """Return those that none of the same file ranks above, in their order."""
    ranked = [(one, file(one), rank(one)) for one in ones]
    best: dict[Hashable, Any] = {}
    for _, of_file, place in ranked:
        if of_file not in best or place > best[of_file]:
            best[of_file] = place
    return [one for one, of_file, place in ranked if place == best[of_file]]


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
        case TableFile(type="repoint"):
            return row.ingestion_date, row.end_date, row.version
        case ScienceFile() | QuicklookFile() | AncillaryFile() | LegacyFile() | TableFile() | SpiceKernel():
            return row.version is not None, row.version
    return 0


def _major(row: FileRow) -> int:
    return _major_of(row.version if isinstance(row, ScienceFile | QuicklookFile) else None)


def _major_of(version: Version | None) -> int:
    return -1 if version is None or version.major is None else version.major
