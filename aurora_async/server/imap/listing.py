"""How a file stands in the catalogue: all that its name says, in the columns of the tables that are asked.

What a name does not say about a kernel, the service says for itself unless it is told: a kernel covers the whole days
of its name, or if there are none the time that the real catalogue gives for such kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import attrs

from aurora_async.imap.filenames import FileName, SpiceName, Version, compact
from aurora_async.imap.tdb import from_tdb, to_tdb
from aurora_async.imap.vocabulary import KERNEL_TYPES
from aurora_async.server.imap.answers import moment_text
from aurora_async.server.imap.moments import CLOCK_ZERO, LAUNCH, midnight

__all__ = ["KERNELS", "NOTHING", "TABLES", "FileRow", "KernelRow"]

TABLES = ("spin", "repoint", "thruster")
"""Types of the SPICE family that are no kernels; each has a table of its own."""
KERNELS = tuple(type for type in KERNEL_TYPES if type not in TABLES)
"""All other types."""

_PUBLIC = ("ancillary", "spice", "legacy")
"""Kinds that are public from the start; the others have to be released, if that can be done at all."""
_UNDATED = [315576066.1839245, 4575787269.183866]
"""What the real catalogue says that kernels without dates cover: 2010 to 2145."""

CLOCK_KERNEL = "imap_sclk_0225.tsc"
"""The newest published kernel of the spacecraft's clock, by which other kernels would be read."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class FileRow:
    """A file of the archive; the names are the catalogue's columns."""

    file_path: str
    kind: str
    """As of its name: `science`, `ancillary`, `spice`, …; `other` if that follows no rule."""
    instrument: str | None = None
    data_level: str | None = None
    descriptor: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    repointing: int | None = None
    major_version: int | None = None
    minor_version: int | None = None
    version: str | None = None
    cr: int | None = None
    crid: int | None = None
    extension: str | None = None
    released: bool
    ingested_s: int
    """Seconds since 1970; before that it is not seen."""
    size: int | None = None
    """None: nobody has brought it; its content is made up when it is asked for."""
    is_old: bool = False
    """Whether it belongs to the archive of January 2024."""
    is_listed: bool = True
    """Whether queries find it."""

    @classmethod
    def of(cls, name: FileName, ingested_s: int, **more: Any) -> FileRow:
        """Return the row of a file by its name; `more` are columns that are known better."""
        columns: dict[str, Any] = {"kind": name.kind, "released": name.kind in _PUBLIC, "is_old": name.kind == "legacy"}
        if not isinstance(name, SpiceName):
            columns |= {column: getattr(name, column, None) for column in _OF_THE_NAME}
            for column in ("start_date", "end_date"):
                day = getattr(name, column, None)
                columns[column] = None if day is None else compact(day)
            version = getattr(name, "version", None)
            columns["version"] = str(version)
            if isinstance(version, Version):
                columns |= {"major_version": version.major, "minor_version": version.minor}
        columns |= {"file_path": name.key, "ingested_s": ingested_s}
        return cls(**columns | more)

    @classmethod
    def unnamed(cls, key: str, ingested_s: int, **more: Any) -> FileRow:
        """Return the row of a file whose name follows no rule; no query finds it."""
        return cls(file_path=key, kind="other", ingested_s=ingested_s, is_listed=False, **more)


_OF_THE_NAME = ("instrument", "data_level", "descriptor", "repointing", "cr", "extension")


@attrs.frozen(kw_only=True)
class KernelRow:
    """A kernel, or another file of the SPICE family: what is searched by, and what is answered."""

    file_path: str
    file_name: str
    file_root: str
    """The name without its version: of those that share it, the one of the highest version counts."""
    kernel_type: str
    version: int
    min_tdb_s: float
    max_tdb_s: float
    record: dict[str, Any]

    @classmethod
    def of(cls, name: SpiceName, ingested_s: int, *, facts: Mapping[str, Any] = NOTHING) -> KernelRow:
        """Return the row of a kernel or table.

        Args:
            name: Its name.
            ingested_s: Seconds since 1970.
            facts: What is known of it beside its name, in the form of the answers; of a kernel most of all what it
                covers, `file_intervals_j2000`.
        """
        described = _table_record if name.type in TABLES else _kernel_record
        spans, record = described(name, ingested_s, facts)
        return cls(
            file_path=name.key,
            file_name=name.name,
            file_root=name.root,
            kernel_type=name.type,
            version=int(name.version or 1),
            min_tdb_s=min(begin for begin, _ in spans),
            max_tdb_s=max(end for _, end in spans),
            record=record | dict(facts),
        )


Spans = list[list[float]]


def _table_record(name: SpiceName, ingested_s: int, facts: Mapping[str, Any]) -> tuple[Spans, dict[str, Any]]:
    """Spin, repoint and thruster tables have dates; only the end is known of a table of repointings."""
    end = name.end_date or LAUNCH
    start = name.start_date or end
    record = {
        "file_path": name.key,
        "start_date": _day_text(start),
        "end_date": _day_text(end),
        "version": name.version,
        "ingestion_date": moment_text(ingested_s),
    }
    if name.type == "repoint":
        del record["start_date"]
    return [[to_tdb(midnight(start)), to_tdb(midnight(end))]], record


def _day_text(day: date) -> str:
    return f"{day.isoformat()}, 00:00:00"


def _kernel_record(name: SpiceName, ingested_s: int, facts: Mapping[str, Any]) -> tuple[Spans, dict[str, Any]]:
    spans: Spans = facts.get("file_intervals_j2000") or [_span(name)]
    intervals = [[from_tdb(seconds) for seconds in span] for span in spans]
    first, last = min(begin for begin, _ in intervals), max(end for _, end in intervals)
    # The time without an end has no zone in the real answers.
    zone = None if spans == [_UNDATED] else UTC
    return spans, {
        "file_name": f"{name.folder}/{name}",
        "file_root": name.root,
        "kernel_type": name.type,
        "version": int(name.version or 1),
        "min_date_j2000": min(begin for begin, _ in spans),
        "max_date_j2000": max(end for _, end in spans),
        "file_intervals_j2000": spans,
        "min_date_datetime": moment_text(int(first.timestamp())),
        "max_date_datetime": moment_text(int(last.timestamp())),
        "file_intervals_datetime": [[one.replace(tzinfo=zone).isoformat() for one in pair] for pair in intervals],
        "min_date_sclk": _clock_text(first),
        "max_date_sclk": _clock_text(last),
        "file_intervals_sclk": [[_clock_text(one) for one in pair] for pair in intervals],
        # The two are swapped in all answers of the real service.
        "sclk_kernel": "naif0012.tls",
        "lsk_kernel": CLOCK_KERNEL,
        "ingestion_date": moment_text(ingested_s),
        "timestamp": float(ingested_s),
    }


def _span(name: SpiceName) -> list[float]:
    if name.start_date is None or name.end_date is None:
        return _UNDATED
    return [to_tdb(midnight(name.start_date)), to_tdb(midnight(name.end_date) + timedelta(days=1))]


def _clock_text(moment: datetime) -> str:
    """Write an instant as ticks of the spacecraft's clock."""
    return f"1/{int((moment - CLOCK_ZERO).total_seconds()):010d}:00000"
