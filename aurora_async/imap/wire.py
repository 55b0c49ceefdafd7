"""The service's JSON to our models: the one place that knows the wire's spelling.

The catalogue writes `20260412` and `20260413 01:02:03`, older servers of it `2024-10-07 17:05:14`, the catalogues of
kernels `2026-04-06, 23:57:54`; all of them are UTC, and any is read anywhere. What is missing or wrong is named with
its place (`$[3].ingestion_date`), what nobody knows is tolerated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar

import msgspec

from aurora_async.errors import AuroraError, MalformedAnswer
from aurora_async.http import Answer, shown_url
from aurora_async.imap.filenames import Version
from aurora_async.imap.models import (
    AncillaryFile,
    CatalogFile,
    LegacyFile,
    ProcessingJob,
    QuicklookFile,
    Reprocessing,
    ScienceFile,
    SpiceKernel,
    TableFile,
)
from aurora_async.imap.tdb import from_tdb
from aurora_async.times import TimeRange

__all__ = [
    "decode_catalog",
    "decode_gaps",
    "decode_jobs",
    "decode_kernels",
    "decode_names",
    "decode_reprocessing",
    "decode_table_files",
    "kernels_named",
]

T = TypeVar("T")

_WHEN = re.compile(
    r"(\d{4})(-?)(\d\d)\2(\d\d)(?:(?:,? |T)(\d\d):(\d\d):(\d\d)(\.\d{1,6})?\d*(?:Z|\+00:?00)?)?", re.ASCII
)
_LEGACY_VERSION = re.compile(r"v\d\d-\d\d", re.ASCII)
_KERNELS_TO_LOAD = re.compile(r"KERNELS_TO_LOAD\s*\+?=\s*\((?P<list>[^)]*)\)", re.IGNORECASE)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")


class _ProductRow(msgspec.Struct, gc=False):
    file_path: str
    instrument: str
    data_level: str
    descriptor: str
    start_date: str
    extension: str
    end_date: str | None = None
    repointing: int | None = None
    major_version: int | None = None
    minor_version: int | None = None
    version: str | None = None
    ingestion_date: str | None = None
    cr: int | None = None
    crid: str | int | None = None
    released: bool | None = None


class _AncillaryRow(msgspec.Struct, gc=False):
    file_path: str
    instrument: str
    descriptor: str
    start_date: str
    version: str
    extension: str
    end_date: str | None = None
    ingestion_date: str | None = None
    released: bool | None = None


class _KernelRow(msgspec.Struct, gc=False):
    file_name: str
    file_root: str
    kernel_type: str
    min_date_j2000: float
    max_date_j2000: float
    min_date_datetime: str
    max_date_datetime: str
    ingestion_date: str
    version: int | None = None
    file_intervals_j2000: list[tuple[float, float]] | None = None
    sclk_kernel: str | None = None
    lsk_kernel: str | None = None


class _TableRow(msgspec.Struct, gc=False):
    file_path: str
    end_date: str
    version: str | int
    ingestion_date: str
    start_date: str | None = None


class _JobRow(msgspec.Struct, gc=False):
    status: str
    instrument: str
    data_level: str
    descriptor: str
    start_date: str
    major_version: int | None = None
    minor_version: int | None = None
    repointing: int | None = None
    dependency_hash: str | None = None
    job_definition: str | None = None
    job_log_stream_id: str | None = None
    container_image: str | None = None
    container_image_digest: str | None = None
    container_command: str | list[str] | None = None
    started_at: str | None = None
    stopped_at: str | None = None


class _Reprocessed(msgspec.Struct):
    message: str = ""
    reprocess_id: str | None = None


def _document(answer: Answer, form: type[T]) -> tuple[Any, T]:
    """Return a JSON answer as it came, and as what it has to be."""
    document = answer.json()
    try:
        return document, msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        raise MalformedAnswer(shown_url(answer.url), where.strip("`") or "$", reason) from error


class _Reader(Generic[T]):
    """Reads the values of one list of rows, and knows where in it each was when one is wrong."""

    def __init__(self, answer: Answer, form: type[list[T]]) -> None:
        self._url = shown_url(answer.url)
        self._at = 0
        self._days: dict[str, date] = {}  # the same few thousand for any number of rows
        self.raw: list[dict[str, Any]]
        self.rows: list[T]
        self.raw, self.rows = _document(answer, form)

    def __iter__(self) -> Iterator[tuple[T, dict[str, Any]]]:
        for at, pair in enumerate(zip(self.rows, self.raw, strict=True)):
            self._at = at
            yield pair

    def wrong(self, field: str, expected: str, value: object) -> MalformedAnswer:
        return MalformedAnswer(self._url, f"$[{self._at}].{field}", f"expected {expected}, got {value!r}")

    def moment(self, field: str, text: str) -> datetime:
        match = _WHEN.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            year, _, month, day, hour, minute, second, fraction = match.groups()
            micros = round(float(fraction or 0) * 1e6)
            return datetime(
                int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micros, UTC
            )
        except ValueError:
            raise self.wrong(field, "a time", text) from None

    def maybe_moment(self, field: str, text: str | None) -> datetime | None:
        return None if text is None else self.moment(field, text)

    def day(self, field: str, text: str) -> date:
        found = self._days.get(text)
        if found is None:
            found = self._days[text] = self.moment(field, text).date()
        return found

    def maybe_day(self, field: str, text: str | None) -> date | None:
        return None if text is None else self.day(field, text)

    def version(self, text: str | None, major: int | None = None, minor: int | None = None) -> Version | None:
        field = "version"
        try:
            if minor is not None:
                field = "minor_version" if major is None else "major_version"
                return Version(major, minor)
            return None if text is None else Version.parse(text)
        except AuroraError:
            raise self.wrong(field, "a version", text if minor is None else (major, minor)) from None


def decode_catalog(answer: Answer, table: str) -> list[CatalogFile]:
    """Read the rows of a query of `table`.

    Raises:
        MalformedAnswer: With the place (`$[3].ingestion_date`).
    """
    if table == "ancillary":
        return list(_ancillary_files(answer))
    return list(_product_files(answer, QuicklookFile if table == "quicklook" else ScienceFile))


def _ancillary_files(answer: Answer) -> Iterator[AncillaryFile]:
    reader = _Reader(answer, list[_AncillaryRow])
    for row, raw in reader:
        yield AncillaryFile(
            key=row.file_path,
            instrument=row.instrument,
            descriptor=row.descriptor,
            start_date=reader.day("start_date", row.start_date),
            end_date=reader.maybe_day("end_date", row.end_date),
            version=reader.version(row.version),
            ingestion_date=reader.maybe_moment("ingestion_date", row.ingestion_date),
            released=row.released,
            extension=row.extension,
            raw=raw,
        )


def _product_files(answer: Answer, made: type[ScienceFile] | type[QuicklookFile]) -> Iterator[CatalogFile]:
    reader = _Reader(answer, list[_ProductRow])
    for row, raw in reader:
        if row.version is not None and _LEGACY_VERSION.fullmatch(row.version):
            yield LegacyFile(
                key=row.file_path,
                instrument=row.instrument,
                data_level=row.data_level,
                descriptor=row.descriptor,
                start_date=reader.day("start_date", row.start_date),
                end_date=reader.maybe_day("end_date", row.end_date),
                version=row.version,
                extension=row.extension,
                raw=raw,
            )
            continue
        yield made(
            key=row.file_path,
            instrument=row.instrument,
            data_level=row.data_level,
            descriptor=row.descriptor,
            start_date=reader.day("start_date", row.start_date),
            repointing=row.repointing,
            cr=row.cr,
            crid=None if row.crid is None else str(row.crid),
            version=reader.version(row.version, row.major_version, row.minor_version),
            ingestion_date=reader.maybe_moment("ingestion_date", row.ingestion_date),
            released=row.released,
            extension=row.extension,
            raw=raw,
        )


def decode_kernels(answer: Answer) -> list[SpiceKernel]:
    """Read the rows of a kernel query.

    Raises:
        MalformedAnswer: With the place.
    """
    reader = _Reader(answer, list[_KernelRow])
    return [_kernel(reader, row, raw) for row, raw in reader]


def _kernel(reader: _Reader[Any], row: _KernelRow, raw: Mapping[str, Any]) -> SpiceKernel:
    # The service confuses these two, so their names decide.
    computed_with = [one for one in (row.sclk_kernel, row.lsk_kernel) if one]
    return SpiceKernel(
        key=f"imap/spice/{row.file_name}",
        type=row.kernel_type,
        root=row.file_root,
        version=row.version,
        start=reader.moment("min_date_datetime", row.min_date_datetime),
        end=reader.moment("max_date_datetime", row.max_date_datetime),
        start_tdb_s=row.min_date_j2000,
        end_tdb_s=row.max_date_j2000,
        intervals=tuple(_span(reader, index, one) for index, one in enumerate(row.file_intervals_j2000 or ())),
        ingestion_date=reader.moment("ingestion_date", row.ingestion_date),
        leapseconds=next((one for one in computed_with if one.endswith(".tls")), None),
        spacecraft_clock=next((one for one in computed_with if one.endswith(".tsc")), None),
        raw=raw,
    )


def _span(reader: _Reader[Any], index: int, ends: tuple[float, float]) -> TimeRange:
    try:
        return TimeRange(from_tdb(ends[0]), from_tdb(ends[1]))
    except (ValueError, OverflowError):  # InvalidInput among them
        raise reader.wrong(f"file_intervals_j2000[{index}]", "a start and a later end", ends) from None


def decode_table_files(answer: Answer, type_: str) -> list[TableFile]:
    """Read the rows of the tables of spins, repointings or thrusters.

    Raises:
        MalformedAnswer: With the place.
    """
    reader = _Reader(answer, list[_TableRow])
    found = []
    for row, raw in reader:
        try:
            version = int(row.version)
        except ValueError:
            raise reader.wrong("version", "a number", row.version) from None
        found.append(
            TableFile(
                key=row.file_path,
                type=type_,
                start_date=reader.maybe_day("start_date", row.start_date),
                end_date=reader.day("end_date", row.end_date),
                version=version,
                ingestion_date=reader.moment("ingestion_date", row.ingestion_date),
                raw=raw,
            )
        )
    return found


def decode_jobs(answer: Answer) -> list[ProcessingJob]:
    """Read the jobs of the pipeline.

    Raises:
        MalformedAnswer: With the place.
    """
    reader = _Reader(answer, list[_JobRow])
    return [
        ProcessingJob(
            status=row.status,
            instrument=row.instrument,
            data_level=row.data_level,
            descriptor=row.descriptor,
            start_date=reader.day("start_date", row.start_date),
            version=reader.version(None, row.major_version, row.minor_version),
            repointing=row.repointing,
            stream=row.job_log_stream_id,
            started_at=reader.maybe_moment("started_at", row.started_at),
            stopped_at=reader.maybe_moment("stopped_at", row.stopped_at),
            definition=row.job_definition,
            dependency_hash=row.dependency_hash,
            image=row.container_image,
            image_digest=row.container_image_digest,
            command=" ".join(row.container_command)
            if isinstance(row.container_command, list)
            else row.container_command,
            raw=raw,
        )
        for row, raw in reader
    ]


def decode_reprocessing(answer: Answer) -> Reprocessing:
    """Read what the service says about what is to be processed anew; older ones tell no identifier."""
    _, said = _document(answer, _Reprocessed)
    return Reprocessing(said.reprocess_id, said.message)


def decode_names(answer: Answer) -> tuple[str, ...]:
    """Read a list of names."""
    _, names = _document(answer, list[str])
    return tuple(names)


def decode_gaps(body: bytes, url: str) -> dict[str, tuple[TimeRange, ...]]:
    """Read what parts of a time range have no kernels, by category; those without a gap are left out.

    Raises:
        MalformedAnswer: It is nothing of that kind.
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, list[tuple[float, float]]])
        return {
            category.removesuffix("_category"): tuple(TimeRange(from_tdb(start), from_tdb(end)) for start, end in gaps)
            for category, gaps in document.items()
            if gaps
        }
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise MalformedAnswer(url, "$", f"expected the gaps of each category: {error}") from error


def kernels_named(text: str, put_in_front: str = "") -> tuple[str, ...]:
    """Return the kernels that the text of a metakernel loads, in its order, without what was put in front of each.

    A path of more than 80 characters goes on in the next text, after a `+`.
    """
    names: list[str] = []
    going_on = False
    for match in _KERNELS_TO_LOAD.finditer(text):
        for quoted in _QUOTED.findall(match["list"]):
            part = quoted.replace("''", "'")
            if going_on:
                names[-1] += part.removesuffix("+")
            else:
                names.append(part.removesuffix("+"))
            going_on = part.endswith("+")
    front = put_in_front.rstrip("/") + "/" if put_in_front else ""
    return tuple(name.removeprefix(front) for name in names)
