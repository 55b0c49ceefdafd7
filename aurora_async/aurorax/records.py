"""Sending records to AuroraX.

They go out in chunks, a few at once, as they come out of an iterable of any length. An upload may safely be sent twice,
since a record replaces the one with its identity: data source and epoch, or data source and URL.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
import attrs

from aurora_async.aurorax.filters import plain_number
from aurora_async.aurorax.metadata import check_metadata
from aurora_async.aurorax.models import (
    DATA_PRODUCT_TYPES,
    DataProduct,
    DataSource,
    Ephemeris,
    Location,
    SchemaField,
    east_or_west,
)
from aurora_async.aurorax.wire import encode_plain
from aurora_async.errors import AuroraError, BadRequest, InvalidInput, raise_bare
from aurora_async.http import Session
from aurora_async.times import to_wire

__all__ = [
    "ChunkOutcome",
    "UploadFailed",
    "UploadReport",
    "Uploader",
    "data_product_document",
    "ephemeris_document",
    "names_of",
]

RecordT = TypeVar("RecordT")


@attrs.frozen(kw_only=True)
class ChunkOutcome:
    """What became of one chunk of an upload: `count` records, the first of them number `first` of all (from 0)."""

    index: int
    first: int
    count: int
    error: AuroraError | None = None


@attrs.frozen(kw_only=True)
class UploadReport:
    """What became of an upload, chunk by chunk, in order."""

    chunks: tuple[ChunkOutcome, ...]

    @property
    def records(self) -> int:
        """How many records the service accepted."""
        return sum(chunk.count for chunk in self.chunks if chunk.error is None)

    @property
    def failed(self) -> tuple[ChunkOutcome, ...]:
        """The chunks that were not accepted."""
        return tuple(chunk for chunk in self.chunks if chunk.error is not None)


class UploadFailed(AuroraError):
    """An upload did not end well: `report` says which chunks were accepted, and which were not and why.

    Where the records or `on_chunk` raised an error, the upload ends with what had begun, and `reason` is that error.
    """

    def __init__(self, report: UploadReport, reason: Exception | None = None) -> None:
        super().__init__(report, reason)
        self.report = report
        self.reason = reason

    def __str__(self) -> str:
        if self.reason is not None:
            return f"{self.report.records} records were accepted, then came {self.reason!r}"
        first, *others = self.report.failed
        more = f" (and {len(others)} more)" if others else ""
        span = f"records {first.first} to {first.first + first.count - 1}"
        return f"{self.report.records} records were accepted; {span} were not{more}: {first.error}"


@attrs.frozen(kw_only=True)
class Uploader(Generic[RecordT]):
    """Sends records of one kind to one data source. The session is borrowed."""

    session: Session
    target: str
    """The path they are posted to."""
    encode: Callable[[RecordT, str], dict[str, Any]]
    """Makes the document of a record, or refuses it (`InvalidInput`); the text is what the record is called."""
    chunk_size: int
    at_once: int
    on_chunk: Callable[[ChunkOutcome], object] | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("chunk_size", "at_once"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInput(name, f"{value!r} is not a whole number, 1 or more")
        if self.on_chunk is not None and (not callable(self.on_chunk) or iscoroutinefunction(self.on_chunk)):
            raise InvalidInput("on_chunk", f"{self.on_chunk!r} is not a plain function")

    async def upload(self, records: Iterable[RecordT] | AsyncIterable[RecordT]) -> UploadReport:
        """Send all records.

        A list is checked whole before anything is sent. What comes out of an iterator is checked chunk by chunk: a
        record that is refused ends the upload. So does every error but the service's refusal of one chunk.

        Raises:
            InvalidInput: A list holds a record that cannot be right; nothing was sent.
            UploadFailed: Some chunks were not accepted, or the iterator raised an error.
        """
        if not isinstance(records, Iterable | AsyncIterable):
            raise InvalidInput("records", f"{records!r} is no iterable of records")
        if isinstance(records, Sequence):
            await anyio.to_thread.run_sync(self._check, records)
        outcomes: list[ChunkOutcome] = []
        try:
            reason = await self._send_all(records, outcomes)
        except BaseExceptionGroup as group:
            raise_bare(group)
        report = UploadReport(chunks=tuple(sorted(outcomes, key=lambda chunk: chunk.index)))
        if reason is not None:
            raise UploadFailed(report, reason) from reason
        if report.failed:
            raise UploadFailed(report) from report.failed[0].error
        return report

    async def _send_all(
        self, records: Iterable[RecordT] | AsyncIterable[RecordT], outcomes: list[ChunkOutcome]
    ) -> Exception | None:
        """Send what there is; return what else than a refusal ended it. What has begun is always brought to its end."""
        give, take = anyio.create_memory_object_stream[tuple[int, list[RecordT]]](0)
        taking = anyio.CancelScope()
        reasons: list[Exception] = []

        async def send() -> None:
            with take.clone() as chunks:
                async for index, chunk in chunks:
                    outcome = await self._send(index, chunk)
                    outcomes.append(outcome)
                    if outcome.error is not None and not isinstance(outcome.error, BadRequest):
                        taking.cancel()  # the next chunks would fare no better
                    if self.on_chunk is not None:
                        try:
                            self.on_chunk(outcome)
                        except Exception as error:
                            reasons.append(error)
                            taking.cancel()
                    if taking.cancel_called:
                        return

        with take, give:
            async with anyio.create_task_group() as tasks:
                for number in range(self.at_once):
                    tasks.start_soon(send, name=f"upload {number}")
                # Taken by this task alone: an asynchronous generator may hold cancel scopes, which belong to a task.
                async with aclosing(_chunks(records, self.chunk_size)) as chunks:
                    with taking:
                        try:
                            async for index, chunk in chunks:
                                await give.send((index, chunk))
                        except Exception as error:
                            reasons.append(error)
                give.close()
        return reasons[0] if reasons else None

    def _check(self, records: Sequence[RecordT]) -> None:
        for first in range(0, len(records), self.chunk_size):
            self._encoded(records[first : first + self.chunk_size], first)

    async def _send(self, index: int, chunk: list[RecordT]) -> ChunkOutcome:
        outcome = ChunkOutcome(index=index, first=index * self.chunk_size, count=len(chunk))
        try:
            body = await anyio.to_thread.run_sync(self._encoded, chunk, outcome.first)
            await self.session.exchange("POST", self.target, body=body, repeat=True)
        except AuroraError as error:
            return attrs.evolve(outcome, error=error)
        return outcome

    def _encoded(self, chunk: Sequence[RecordT], first: int) -> bytes:
        """Return the body of a chunk; in a thread, since it may take long."""
        documents = [self.encode(record, f"records[{number}]") for number, record in enumerate(chunk, first)]
        try:
            return encode_plain(documents)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"records[{first}] and following", f"are not JSON: {error}") from None


async def _chunks(
    records: Iterable[RecordT] | AsyncIterable[RecordT], size: int
) -> AsyncGenerator[tuple[int, list[RecordT]], None]:
    """Yield numbered lists of at most `size` records."""
    index = 0
    chunk: list[RecordT] = []
    async with aclosing(_each(records)) as each:
        async for record in each:
            chunk.append(record)
            if len(chunk) == size:
                yield index, chunk
                index += 1
                chunk = []
    if chunk:
        yield index, chunk


async def _each(records: Iterable[RecordT] | AsyncIterable[RecordT]) -> AsyncGenerator[RecordT, None]:
    if isinstance(records, AsyncIterable):
        try:
            async for record in records:
                yield record
        finally:
            if isinstance(records, AsyncGenerator):
                await records.aclose()
    else:
        for record in records:
            yield record


# Documents ----------------------------------------------------------------------------------------------------------


def names_of(source: DataSource) -> dict[str, str]:
    """Return what the service compares a write with: program, platform and instrument type of the data source."""
    names = {"program": source.program, "platform": source.platform, "instrument_type": source.instrument_type}
    known = {name: value for name, value in names.items() if value is not None}
    if len(known) < len(names):
        raise InvalidInput("source", "has no program, platform or instrument type: read it at the level basic_info")
    return known


def ephemeris_document(
    source: DataSource, schema: Sequence[SchemaField] | None
) -> Callable[[Ephemeris, str], dict[str, Any]]:
    """Return what turns an ephemeris record of `source` into its document; `schema` None does not check metadata."""
    names = names_of(source)

    def document(record: Ephemeris, field: str) -> dict[str, Any]:
        _check_record(record, Ephemeris, source, schema, field)
        if record.epoch.second or record.epoch.microsecond:
            raise InvalidInput(f"{field}.epoch", f"{record.epoch.isoformat()} is not a whole minute")
        return names | {
            "epoch": f"{to_wire(record.epoch)}.000Z",
            "location_geo": _place(record.location_geo, f"{field}.location_geo"),
            "location_gsm": _place(record.location_gsm, f"{field}.location_gsm"),
            "nbtrace": _place(record.nbtrace, f"{field}.nbtrace"),
            "sbtrace": _place(record.sbtrace, f"{field}.sbtrace"),
            "metadata": _metadata(record.metadata),
        }

    return document


def data_product_document(
    source: DataSource, schema: Sequence[SchemaField] | None
) -> Callable[[DataProduct, str], dict[str, Any]]:
    """Return what turns a data product of `source` into its document; `schema` None does not check metadata."""
    names = names_of(source)

    def document(record: DataProduct, field: str) -> dict[str, Any]:
        _check_record(record, DataProduct, source, schema, field)
        if record.data_product_type not in DATA_PRODUCT_TYPES:
            allowed = ", ".join(DATA_PRODUCT_TYPES)
            raise InvalidInput(
                f"{field}.data_product_type", f"{record.data_product_type!r} is unknown; use one of {allowed}"
            )
        if not isinstance(record.url, str) or not record.url.strip():
            raise InvalidInput(f"{field}.url", f"{record.url!r} is not a URL")
        if record.end < record.start:
            raise InvalidInput(f"{field}.end", f"{to_wire(record.end)} is before the start, {to_wire(record.start)}")
        return names | {
            "data_product_type": record.data_product_type,
            "start": f"{to_wire(record.start)}.000",
            "end": f"{to_wire(record.end)}.000",
            "url": record.url,
            "metadata": _metadata(record.metadata),
        }

    return document


_CLASSES: Mapping[type[Any], Mapping[str, type[Any]]] = {
    Ephemeris: {"data_source": DataSource, "epoch": datetime},
    DataProduct: {"data_source": DataSource, "start": datetime, "end": datetime},
}


def _check_record(
    record: Any, kind: type[Any], source: DataSource, schema: Sequence[SchemaField] | None, field: str
) -> None:
    if not isinstance(record, kind):
        raise InvalidInput(field, f"{record!r} is not of the class {kind.__name__}")
    for name, wanted in _CLASSES[kind].items():
        if not isinstance(value := getattr(record, name), wanted):
            raise InvalidInput(f"{field}.{name}", f"{value!r} is not a {wanted.__name__}")
    if record.metadata is not None and not isinstance(record.metadata, Mapping):
        raise InvalidInput(f"{field}.metadata", f"{record.metadata!r} is not a dictionary")
    ours: DataSource = record.data_source
    for name in ("identifier", "program", "platform", "instrument_type"):
        given, expected = getattr(ours, name), getattr(source, name)
        if given is not None and given != expected:
            raise InvalidInput(f"{field}.data_source.{name}", f"{given!r} is not that of the data source, {expected!r}")
    if schema is not None:
        check_metadata(record.metadata, schema, field=f"{field}.metadata")


def _place(place: Location, field: str) -> dict[str, float | None]:
    if not isinstance(place, Location):
        raise InvalidInput(field, f"{place!r} is not a Location")
    lat, lon = plain_number(place.lat), plain_number(place.lon)
    if (lat is None) != (lon is None):
        raise InvalidInput(field, "has only one of latitude and longitude; give both or neither")
    for name, value, lowest, highest in (("lat", lat, -90, 90), ("lon", lon, -180, 360)):
        if value is not None and not (
            isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest
        ):
            raise InvalidInput(f"{field}.{name}", f"{value!r} is not a number of degrees from {lowest} to {highest}")
    return {"lat": lat, "lon": east_or_west(lon)}


def _metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: _wire_value(value) for name, value in (metadata or {}).items()}


def _wire_value(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else plain_number(value)
