"""What the service knows about: files of its tables, kernels, jobs. All frozen, and as the service tells it.

Every file has a `key`, the path the service has it under, and `Imap.download` takes a row as it is. Days are `date`,
instants aware UTC; `raw` is the row as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeAlias

import attrs

from aurora_async.imap.filenames import FileName, InvalidFileName, Version, parse_name
from aurora_async.times import TimeRange
from aurora_async.transfer.tables import table

__all__ = [
    "AncillaryFile",
    "CatalogFile",
    "FileRow",
    "LegacyFile",
    "Metakernel",
    "ProcessingJob",
    "QuicklookFile",
    "Reprocessing",
    "ScienceFile",
    "SpiceKernel",
    "TableFile",
]


_LAST = ("ingestion_date", "released", "extension", "key")
"""Of columns; the key is the longest."""


@attrs.frozen(kw_only=True)
class FileRow:
    """A file of one of the service's tables."""

    key: str
    """The path the service has it under: `imap/mag/l2/2026/04/imap_….cdf`."""
    ingestion_date: datetime | None = None
    """When the service got it; None where it does not tell."""
    released: bool | None = None
    """Whether it is public; None where the service does not tell."""
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)

    @property
    def file_name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def name(self) -> FileName | None:
        """What the file name says; None where it is none of those that the service has today."""
        try:
            return parse_name(self.file_name)
        except InvalidFileName:
            return None


@attrs.frozen(kw_only=True)
class _ProductFile(FileRow):
    """A file of a product: the data of an instrument, at a level, for a day, a pointing or a rotation of the Sun."""

    instrument: str
    data_level: str
    descriptor: str
    start_date: date
    repointing: int | None = None
    cr: int | None = None
    """The Carrington rotation, of maps."""
    crid: str | None = None
    version: Version | None = None
    extension: str

    @property
    def series(self) -> tuple[str, str, str, date, int | None]:
        """What the versions of this file have in common: among them the service looks for the latest."""
        return self.instrument, self.data_level, self.descriptor, self.start_date, self.repointing


@table(noun="science file", hidden=("raw",), texts=("version",), last=_LAST, hides_empty=True)
@attrs.frozen(kw_only=True)
class ScienceFile(_ProductFile):
    """A science file."""


@table(noun="quicklook file", hidden=("raw",), texts=("version",), last=_LAST, hides_empty=True)
@attrs.frozen(kw_only=True)
class QuicklookFile(_ProductFile):
    """A picture of science data, for a first look."""


@table(noun="ancillary file", hidden=("raw",), texts=("version",), last=_LAST, hides_empty=True)
@attrs.frozen(kw_only=True)
class AncillaryFile(FileRow):
    """What science data are made with: calibrations, tables. Valid from `start_date` to `end_date`, inclusive.

    Without an end it is valid until another one without an end begins.
    """

    instrument: str
    descriptor: str
    start_date: date
    end_date: date | None = None
    version: Version | None = None
    extension: str


@table(noun="legacy file", hidden=("raw",), last=_LAST, hides_empty=True)
@attrs.frozen(kw_only=True)
class LegacyFile(FileRow):
    """A file of the service as it was until February 2024: two dates, and versions such as `v00-05`."""

    instrument: str
    data_level: str
    descriptor: str
    start_date: date
    end_date: date | None = None
    version: str
    extension: str


CatalogFile: TypeAlias = ScienceFile | QuicklookFile | AncillaryFile | LegacyFile
"""What a query finds."""


@table(noun="kernel", hidden=("raw", "released", "intervals"), last=("key",), hides_empty=True)
@attrs.frozen(kw_only=True)
class SpiceKernel(FileRow):
    """A SPICE kernel and what it covers: the hull of its intervals is `start` to `end`.

    Kernels without a time span are said to cover 2010 to 2145. `root` is the name without its version.
    """

    type: str
    root: str
    version: int | None
    start: datetime
    end: datetime
    start_tdb_s: float
    """Seconds of barycentric dynamical time past J2000, which SPICE calls ET."""
    end_tdb_s: float
    intervals: tuple[TimeRange, ...] = ()
    ingestion_date: datetime
    leapseconds: str | None = None
    """The kernel that its times were computed with."""
    spacecraft_clock: str | None = None


@table(noun="table file", hidden=("raw", "released"), last=("key",), hides_empty=True)
@attrs.frozen(kw_only=True)
class TableFile(FileRow):
    """A table of spins, of repointings, or of what the thrusters did: `type` is `spin`, `repoint` or `thruster`.

    A table of repointings has no `start`: it holds all since launch.
    """

    type: str
    start_date: date | None = None
    end_date: date
    version: int
    ingestion_date: datetime


@attrs.frozen
class Metakernel:
    """The best set of kernels for a time range, in the order they are to be loaded: the last one wins.

    `gaps` tells, by category of kernels, where in the range there are none; it is empty where everything is covered.
    """

    text: str = attrs.field(repr=False)
    """The metakernel itself."""
    names: tuple[str, ...]
    """The kernels, as it has them, without what was put in front of them: `spk/de440.bsp`."""
    gaps: Mapping[str, tuple[TimeRange, ...]] = attrs.field(factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the kernels, for `Imap.download`."""
        return tuple(f"imap/spice/{name}" for name in self.names)


@table(noun="processing job", hidden=("raw",), texts=("version",), hides_empty=True)
@attrs.frozen(kw_only=True)
class ProcessingJob:
    """A job of the pipeline. `status` is INPROGRESS, SUCCEEDED or FAILED; `stream` names its log."""

    status: str
    instrument: str
    data_level: str
    descriptor: str
    start_date: date
    version: Version | None = None
    repointing: int | None = None
    stream: str | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    definition: str | None = None
    dependency_hash: str | None = None
    image: str | None = None
    image_digest: str | None = None
    command: str | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)


@attrs.frozen
class Reprocessing:
    """The service has noted what is to be processed anew, under `id` (None where it does not say)."""

    id: str | None
    message: str
