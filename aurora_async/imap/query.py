"""Queries: what may be asked of the catalogue and of the kernels, refused here when it cannot be right.

A query is a value: everything in it is checked when it is made, in the order of its fields, and nothing is sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import PurePath
from typing import Any, Self, TypedDict

import attrs

from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.imap.filenames import (
    AncillaryName,
    FileName,
    LegacyName,
    QuicklookName,
    ScienceName,
    SpiceName,
    Version,
    key_of,
    parse_name,
)
from aurora_async.imap.tdb import to_tdb
from aurora_async.imap.vocabulary import DATA_LEVELS, EXTENSIONS, INSTRUMENTS, KERNEL_TYPES, TABLES
from aurora_async.times import TimeLike, end_of, start_of, to_wire

__all__ = ["FileQuery", "Filters", "SpiceQuery", "query_of_name"]

LATEST = "latest"
ALL_KERNELS = "kernels"
"""What the service calls all types of kernels."""

_REPOINT = re.compile(r"repoint(\d{5})", re.ASCII)
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)
_DAY = timedelta(days=1)
_LACKS = {"ancillary": ("data_level", "repointing", "major_version", "minor_version")}
"""By table, the filters that it has no column for."""


# Converters rather than validators, which attrs calls after all converters: what is wrong first is told first.


def _one_of(value: str | None, field: str, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise InvalidQuery(field, f"{value!r} is not one of {', '.join(allowed)}")
    return value


def _to_table(value: str | None) -> str:
    if value == "spice":
        raise InvalidQuery("table", f"'spice' is not one of {', '.join(TABLES)}; spice_query() finds kernels")
    return _one_of(value, "table", TABLES) or "science"


def _to_instrument(value: str | None) -> str | None:
    return _one_of(value, "instrument", INSTRUMENTS)


def _to_level(value: str | None) -> str | None:
    return _one_of(value, "data_level", DATA_LEVELS)


def _to_kernel_type(value: str | None) -> str | None:
    return _one_of(value, "type", (ALL_KERNELS, *KERNEL_TYPES))


def _to_descriptor(value: str | None) -> str | None:
    if value is not None and (not isinstance(value, str) or not value or not value.isprintable() or "_" in value):
        raise InvalidQuery("descriptor", f"{value!r} is not a descriptor: printable characters, no _ in it")
    return value


def _to_start_date(when: TimeLike | None) -> date | None:
    return None if when is None else start_of(when, "start_date").date()


def _to_end_date(when: TimeLike | None) -> date | None:
    return None if when is None else end_of(when, "end_date").date()


def _to_first_ingestion(when: TimeLike | None) -> datetime | None:
    return None if when is None else start_of(when, "ingestion_start_date")


def _to_last_ingestion(when: TimeLike | None) -> datetime | None:
    return None if when is None else end_of(when, "ingestion_end_date")


def _number(value: int | str | None, field: str, form: str = "") -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if value is not None and (isinstance(value, bool | str) or not isinstance(value, int) or value < 0):
        raise InvalidQuery(field, f"{value!r} is not a whole number, 0 or more{form}")
    return value


def _to_repointing(value: int | str | None) -> int | None:
    if isinstance(value, str) and (match := _REPOINT.fullmatch(value)):
        return int(match[1])
    return _number(value, "repointing", ", nor such as repoint00096")


def _to_major(value: int | str | None) -> int | None:
    return _number(value, "major_version")


def _to_minor(value: int | str | None) -> int | None:
    return _number(value, "minor_version")


def _to_version(value: Version | str | None) -> str | None:
    if value is None or value == LATEST:
        return value
    if isinstance(value, Version):
        return str(value)
    try:
        return str(Version.parse(value))
    except InvalidInput:
        raise InvalidQuery("version", f"{value!r} is not a version; write latest, v012 or v001.0008") from None


def _ordered(query: object, first: str, last: str) -> None:
    start, end = getattr(query, first), getattr(query, last)
    if start is not None and end is not None and end < start:
        raise InvalidQuery(last, f"{_shown(end)} is before {first}, {_shown(start)}")


def _shown(when: date) -> str:
    return to_wire(when) if isinstance(when, datetime) else when.isoformat()


class _OfIngestion:
    """What queries have in common that say when the service got the files."""

    __slots__ = ()

    ingestion_start_date: datetime | None
    ingestion_end_date: datetime | None

    def takes(self, ingested: datetime | None) -> bool:
        """Whether a file that came at that moment is among those that are wanted: the service looks at days only."""
        first, last = self.ingestion_start_date, self.ingestion_end_date
        if ingested is None:
            return first is None and last is None
        return (first is None or ingested >= first) and (last is None or ingested < _next_second(last))


@attrs.frozen(kw_only=True)
class FileQuery(_OfIngestion):
    """Which files of a table are wanted: all that match every filter that is given.

    `start_date` and `end_date` are the days that the files' own first days lie between; those of ingestion are when the
    service got them, to the second. Each is a date, a datetime (naive: UTC) or a text, which may be partial
    (`2026-04`), and all are inclusive.

    Of science files the service tells, unless `major_version` is given, only those of the highest major version of each
    series (instrument, level, descriptor, day, repointing). `version="latest"` leaves the newest one.
    """

    table: str = attrs.field(default="science", converter=_to_table)
    instrument: str | None = attrs.field(default=None, converter=_to_instrument)
    data_level: str | None = attrs.field(default=None, converter=_to_level)
    descriptor: str | None = attrs.field(default=None, converter=_to_descriptor)
    start_date: date | None = attrs.field(default=None, converter=_to_start_date)
    end_date: date | None = attrs.field(default=None, converter=_to_end_date)
    ingestion_start_date: datetime | None = attrs.field(default=None, converter=_to_first_ingestion)
    ingestion_end_date: datetime | None = attrs.field(default=None, converter=_to_last_ingestion)
    repointing: int | None = attrs.field(default=None, converter=_to_repointing)
    version: str | None = attrs.field(default=None, converter=_to_version)
    """`latest`, `v012` (of science files: any major one), or `v001.0008`."""
    major_version: int | None = attrs.field(default=None, converter=_to_major)
    minor_version: int | None = attrs.field(default=None, converter=_to_minor)
    extension: str | None = None

    def __attrs_post_init__(self) -> None:
        allowed = EXTENSIONS[self.table]
        if self.extension is not None and self.extension not in allowed:
            raise InvalidQuery(
                "extension", f"{self.extension!r} is not one of {', '.join(allowed)} (of {self.table} files)"
            )
        for name in _LACKS.get(self.table, ()):
            if (value := getattr(self, name)) is not None:
                raise InvalidQuery(name, f"{value!r} cannot be asked for: the {self.table} table has no such column")
        _ordered(self, "start_date", "end_date")
        _ordered(self, "ingestion_start_date", "ingestion_end_date")
        self._check_version()
        if not self.document().keys() - {"table"} - ({"version"} if self.is_latest else set()):
            names = ", ".join(field.name for field in attrs.fields(FileQuery) if field.name not in ("table",))
            raise InvalidQuery(
                "query", f"it has no filter; give at least one of {names} (and not version='latest' alone)"
            )

    def _check_version(self) -> None:
        if self.exact_version is None:
            return
        if self.table == "ancillary" and self.exact_version.major is not None:
            raise InvalidQuery(
                "version", f"{self.version!r} has a major part, which ancillary files have not: use vXXX"
            )
        names = ("minor_version",) if self.exact_version.major is None else ("major_version", "minor_version")
        for name in names:
            if getattr(self, name) is not None:
                raise InvalidQuery(name, f"version={self.version!r} says it already; give one of them")

    @property
    def is_latest(self) -> bool:
        """Whether only the newest version of each file is wanted."""
        return self.version == LATEST

    @property
    def exact_version(self) -> Version | None:
        """The one version that is wanted, None for any or for the newest."""
        return None if self.version in (None, LATEST) else Version.parse(str(self.version))

    @property
    def major(self) -> int | None:
        """The one major version that is wanted."""
        return self.major_version if self.exact_version is None else self.exact_version.major

    @property
    def minor(self) -> int | None:
        """The one minor version that is wanted."""
        return self.minor_version if self.exact_version is None else self.exact_version.minor

    def document(self) -> dict[str, Any]:
        """Return the query as plain JSON: what is given of its fields."""
        found = attrs.asdict(self, filter=lambda _, value: value is not None)
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` wrote.

        Raises:
            InvalidInput: Something in it is unknown or wrong.
        """
        if not isinstance(document, Mapping):
            raise InvalidQuery("query", f"{document!r} is not an object of filters")
        known = [field.name for field in attrs.fields(cls)]
        for name in document:
            if name not in known:
                raise InvalidQuery(str(name), f"there is no such filter; there are {', '.join(known)}")
        return cls(**document)


def _next_second(moment: datetime) -> datetime:
    """The service prints whole seconds: all of the last one is wanted, unless a fraction was asked for."""
    return moment + timedelta(seconds=1) if moment.microsecond == 0 else moment + timedelta(microseconds=1)


def _to_kernel_name(value: str | PurePath | FileName | None) -> str | None:
    if value is None:
        return None
    try:
        return key_of(value).rpartition("/")[2]
    except InvalidInput as error:
        raise InvalidQuery("file_name", f"{value!r} is not the name of a kernel: {error}") from None


def _to_start_s(when: TimeLike | float | None) -> float | None:
    return _seconds(when, "start") if isinstance(when, int | float) or when is None else to_tdb(start_of(when, "start"))


def _to_end_s(when: TimeLike | float | None) -> float | None:
    return _seconds(when, "end") if isinstance(when, int | float) or when is None else to_tdb(end_of(when, "end"))


def _seconds(value: float | None, field: str) -> float | None:
    if value is not None and (isinstance(value, bool) or not math.isfinite(value)):
        raise InvalidQuery(field, f"{value!r} is not a number of seconds (TDB past J2000)")
    return None if value is None else float(value)


@attrs.frozen(kw_only=True)
class SpiceQuery(_OfIngestion):
    """Which kernels are wanted: all that match every filter that is given; without one, all.

    `start` and `end` ask for kernels that cover any of the time between them: dates, datetimes, texts, or numbers,
    which are TDB seconds past J2000. `latest` leaves out kernels of which the service has a newer version, whether or
    not that one matches the other filters.
    """

    type: str | None = attrs.field(default=None, converter=_to_kernel_type)
    file_name: str | None = attrs.field(default=None, converter=_to_kernel_name)
    start: float | None = attrs.field(default=None, converter=_to_start_s)
    """TDB seconds past J2000."""
    end: float | None = attrs.field(default=None, converter=_to_end_s)
    latest: bool = attrs.field(default=False)
    ingestion_start_date: datetime | None = attrs.field(default=None, converter=_to_first_ingestion)
    ingestion_end_date: datetime | None = attrs.field(default=None, converter=_to_last_ingestion)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.latest, bool):
            raise InvalidQuery("latest", f"{self.latest!r} is neither True nor False")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InvalidQuery("end", f"{self.end!r} is before the start, {self.start!r} (TDB seconds past J2000)")
        _ordered(self, "ingestion_start_date", "ingestion_end_date")


class Filters(TypedDict, total=False):
    """The fields of a `FileQuery`, as arguments of a function."""

    table: str | None
    instrument: str | None
    data_level: str | None
    descriptor: str | None
    start_date: TimeLike | None
    end_date: TimeLike | None
    ingestion_start_date: TimeLike | None
    ingestion_end_date: TimeLike | None
    repointing: int | str | None
    version: Version | str | None
    major_version: int | str | None
    minor_version: int | str | None
    extension: str | None


def query_of_name(name: str | PurePath | FileName) -> FileQuery | SpiceQuery:
    """Return the query that finds the file of this name, in a table or among the kernels.

    It finds other files, too, whose names differ from this one in nothing but their end dates.

    Raises:
        InvalidInput: It is no name of a file that a table has.
    """
    parsed = name if isinstance(name, FileName) else parse_name(name)
    if isinstance(parsed, SpiceName):
        return SpiceQuery(file_name=str(parsed))
    if not isinstance(parsed, ScienceName | QuicklookName | AncillaryName):
        why = "such names are from before February 2024"
        if not isinstance(parsed, LegacyName):
            why = "no table lists such files, but download() takes their names"
        raise InvalidQuery("name", f"{str(parsed)!r} is not in a table: {why}")
    return FileQuery(
        table=parsed.kind,
        instrument=parsed.instrument,
        data_level=None if isinstance(parsed, AncillaryName) else parsed.data_level,
        descriptor=parsed.descriptor,
        start_date=parsed.start_date,
        end_date=parsed.start_date,
        repointing=None if isinstance(parsed, AncillaryName) else parsed.repointing,
        version=parsed.version,
        extension=parsed.extension,
    )
