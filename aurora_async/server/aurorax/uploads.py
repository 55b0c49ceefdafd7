"""Records that were uploaded, and what was deleted: read from a request body, and read back by searches.

They lie over the computed records: an uploaded ephemeris record takes the place of the computed one of its source and
epoch, a data product that of its source and address; what was deleted stays hidden although it could be computed.
`Changes` is the reading side: it opens the database read-only, so that worker processes can use it as well.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurora_async.aurorax.models import DATA_PRODUCT_TYPES
from aurora_async.errors import AuroraError, MalformedAnswer
from aurora_async.server.aurorax.records import Record, location, timestamp_from_s
from aurora_async.times import parse_wire
from aurora_async.transfer.cutter import RecordCutter

__all__ = [
    "Changes",
    "EphemerisRow",
    "ProductRow",
    "Rows",
    "UploadRefused",
    "ephemeris_rows",
    "product_rows",
    "seconds_of",
]

EphemerisRow = tuple[int, bytes]
"""Epoch (seconds since 1970), the other keys as JSON."""
ProductRow = tuple[str, int, int, bytes]
"""Address, start and end (seconds since 1970), the other keys as JSON."""

ROWS_AT_ONCE = 2000
_CHUNK_BYTES = 1 << 16
_MOST_ERRORS = 100
_RECORDS_BETWEEN_BREATHS = 16
_MINUTE_S = 60
_DAY_S = 86400
_DAY_MINUTES = 1440

_encode = msgspec.json.Encoder().encode


class UploadRefused(AuroraError):
    """Records that cannot be stored; `errors` says which and why, up to a hundred."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(errors)
        self.errors = errors


# From a body ---------------------------------------------------------------------------------------------------------


class _Location(msgspec.Struct):
    lat: float | None = None
    lon: float | None = None


class _Upload(msgspec.Struct, kw_only=True):
    program: str
    platform: str
    instrument_type: str
    metadata: dict[str, Any] | None = None


class _Ephemeris(_Upload, kw_only=True):
    epoch: str
    location_geo: _Location | None = None
    location_gsm: _Location | None = None
    nbtrace: _Location | None = None
    sbtrace: _Location | None = None


class _DataProduct(_Upload, kw_only=True):
    start: str
    end: str
    url: str
    data_product_type: str


Upload = TypeVar("Upload", bound=_Upload)
Row = TypeVar("Row")


Rows = Callable[[BinaryIO, Mapping[str, Any]], Iterator[list[Any]]]
"""Reads the rows of an upload for a data source, batch by batch; `UploadRefused` if any is not right."""


def ephemeris_rows(file: BinaryIO, source: Mapping[str, Any]) -> Iterator[list[EphemerisRow]]:
    """Read ephemeris records from a JSON list.

    AuroraX has one position a minute, and its official client zeroes the seconds of an epoch: so does this service.
    """

    def row(record: _Ephemeris) -> EphemerisRow:
        places = {
            name: _stored_location(name, getattr(record, name))
            for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")
        }
        epoch_s = seconds_of(record.epoch, "epoch")
        return epoch_s - epoch_s % _MINUTE_S, _encode(places | {"metadata": record.metadata or {}})

    return _rows(file, source, _Ephemeris, row)


def product_rows(file: BinaryIO, source: Mapping[str, Any]) -> Iterator[list[ProductRow]]:
    """Read data products from a JSON list."""

    def row(record: _DataProduct) -> ProductRow:
        start_s, end_s = seconds_of(record.start, "start"), seconds_of(record.end, "end")
        if end_s < start_s:
            raise ValueError(f"end: {record.end!r} is before the start")
        if not record.url.strip():
            raise ValueError("url: is empty")
        if record.data_product_type not in DATA_PRODUCT_TYPES:
            allowed = ", ".join(DATA_PRODUCT_TYPES)
            raise ValueError(f"data_product_type: {record.data_product_type!r} is unknown; use one of {allowed}")
        rest = {"data_product_type": record.data_product_type, "metadata": record.metadata or {}}
        return record.url, start_s, end_s, _encode(rest)

    return _rows(file, source, _DataProduct, row)


def _rows(
    file: BinaryIO, source: Mapping[str, Any], kind: type[Upload], row: Callable[[Upload], Row]
) -> Iterator[list[Row]]:
    decode = msgspec.json.Decoder(kind).decode
    rows: list[Row] = []
    errors: list[str] = []
    for number, text in enumerate(_records(file)):
        if number % _RECORDS_BETWEEN_BREATHS == 0:
            time.sleep(0)  # lets go of the interpreter: a thread that never does makes the event loop wait 5 ms a time
        try:
            record = decode(text)
            for name in ("program", "platform", "instrument_type"):
                if (said := getattr(record, name)) != source[name]:
                    raise ValueError(f"{name}: {said!r} is not that of the data source, {source[name]!r}")
            rows.append(row(record))
        except (msgspec.ValidationError, ValueError) as error:
            errors.append(f"records[{number}]: {error}")
            if len(errors) == _MOST_ERRORS:
                break
        if len(rows) >= ROWS_AT_ONCE:
            yield rows
            rows = []
    if errors:
        raise UploadRefused(errors)
    yield rows


def _records(file: BinaryIO) -> Iterator[msgspec.Raw]:
    """Yield the records of a JSON list as text: a body may be much larger than memory."""
    file.seek(0)
    cutter: RecordCutter[msgspec.Raw] = RecordCutter(msgspec.Raw)
    try:
        begun = False
        while chunk := file.read(_CHUNK_BYTES):
            if not begun and (text := chunk.lstrip(b"\xef\xbb\xbf \t\r\n")):
                begun = True
                if not text.startswith(b"["):
                    raise UploadRefused(["the body is not a list of records"])
            yield from cutter.feed(chunk)
        yield from cutter.finish()
    except MalformedAnswer as error:
        raise UploadRefused([f"the body is not JSON: {error.reason} ({error.where})"]) from None
    except UploadRefused:
        raise
    except AuroraError:
        raise UploadRefused(["the body is not JSON: it stops before its end"]) from None


def seconds_of(text: str, name: str) -> int:
    """Return a timestamp as whole seconds since 1970; `ValueError` names the field."""
    try:
        return int(parse_wire(text).timestamp() // 1)
    except (ValueError, TypeError, OverflowError, AuroraError):
        raise ValueError(f"{name}: {text!r} is not a timestamp such as 2020-01-31T12:00:00") from None


def _stored_location(name: str, place: _Location | None) -> Record:
    if place is None or (place.lat is None and place.lon is None):
        return location(None, None)
    if place.lat is None or place.lon is None:
        raise ValueError(f"{name}: lat and lon are both numbers, or both null")
    return location(_folded(place.lat), _turned(place.lon))


def _folded(lat: float) -> float:
    """Bring a latitude beyond a pole back as AuroraX's database does: 150.25 is stored as 29.75."""
    lat = _turned(lat)
    return lat if -90 <= lat <= 90 else (180 - lat if lat > 0 else -180 - lat)


def _turned(deg: float) -> float:
    return deg if -180 <= deg <= 180 else (deg + 180) % 360 - 180


# For searches --------------------------------------------------------------------------------------------------------


class Changes:
    """What uploads and deletions have changed, read from the database: `with Changes.reading(path) as changes`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def reading(cls, path: Path) -> Iterator[Changes]:
        """Open the database for reading."""
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False
        )
        try:
            yield cls(connection)
        finally:
            connection.close()

    def ephemeris(self, identifier: int, start_s: int, end_s: int) -> list[tuple[int, Record]]:
        """Return the uploaded records between two instants, both inclusive, by epoch; without source and epoch."""
        sql = "SELECT epoch_s, record FROM ephemeris WHERE data_source = ? AND epoch_s BETWEEN ? AND ? ORDER BY epoch_s"
        rows = self._connection.execute(sql, (identifier, start_s, end_s))
        return [(epoch_s, msgspec.json.decode(record)) for epoch_s, record in rows]

    def by_minute(self, identifier: int, day_s: int, within: NDArray[np.bool_]) -> dict[int, Record]:
        """Return the uploaded records of the wanted minutes of a day."""
        by_minute = (
            ((epoch_s - day_s) // _MINUTE_S, record)
            for epoch_s, record in self.ephemeris(identifier, day_s, day_s + _DAY_S - 1)
        )
        return {minute: record for minute, record in by_minute if within[minute]}

    def computed(self, identifier: int, day_s: int, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of a day's computed records, `(1440,)` bool, are neither replaced nor deleted."""
        left = present.copy()
        sql = "SELECT epoch_s FROM ephemeris WHERE data_source = ? AND epoch_s BETWEEN ? AND ?"
        for (epoch_s,) in self._connection.execute(sql, (identifier, day_s, day_s + _DAY_S - 1)):
            left[(epoch_s - day_s) // _MINUTE_S] = False
        for start_s, end_s in self.deleted_ranges(identifier, day_s, day_s + _DAY_S - 1):
            first = -(-(start_s - day_s) // _MINUTE_S)
            left[max(0, first) : max(0, min(_DAY_MINUTES, (end_s - day_s) // _MINUTE_S + 1))] = False
        return left

    def deleted_ranges(self, identifier: int, start_s: int, end_s: int) -> list[tuple[int, int]]:
        """Return the deletions of ephemeris that touch a time range, by their start."""
        sql = (
            "SELECT start_s, end_s FROM ephemeris_deletions"
            " WHERE data_source = ? AND start_s <= ? AND end_s >= ? ORDER BY start_s"
        )
        return self._connection.execute(sql, (identifier, end_s, start_s)).fetchall()

    def ephemeris_days(self, identifier: int, start_s: int, end_s: int) -> dict[int, int]:
        """Return how many records were uploaded for each day (days since 1970) between two instants."""
        sql = (
            "SELECT epoch_s / 86400 - (epoch_s < 0 AND epoch_s % 86400 != 0), count(*) FROM ephemeris"
            " WHERE data_source = ? AND epoch_s BETWEEN ? AND ? GROUP BY 1"
        )
        return dict(self._connection.execute(sql, (identifier, start_s, end_s)).fetchall())

    def ephemeris_span(self, identifier: int) -> tuple[int, int] | None:
        """Return the first and the last uploaded epoch."""
        sql = "SELECT min(epoch_s), max(epoch_s) FROM ephemeris WHERE data_source = ?"
        first, last = self._connection.execute(sql, (identifier,)).fetchone()
        return None if first is None else (first, last)

    def products(self, identifier: int, start_s: int | None = None, end_s: int | None = None) -> list[Record]:
        """Return the uploaded data products that lie wholly between two instants, by start; without source."""
        sql = (
            "SELECT url, start_s, end_s, record FROM data_products WHERE data_source = ?1"
            " AND (?2 IS NULL OR start_s >= ?2) AND (?3 IS NULL OR end_s <= ?3) ORDER BY start_s, url"
        )
        found = []
        for url, first_s, last_s, record in self._connection.execute(sql, (identifier, start_s, end_s)):
            rest = msgspec.json.decode(record)
            found.append(
                {
                    "data_product_type": rest["data_product_type"],
                    "start": timestamp_from_s(first_s),
                    "end": timestamp_from_s(last_s),
                    "url": url,
                    "metadata": rest["metadata"],
                }
            )
        return found

    def computed_products(self, identifier: int, computed: Iterable[Record]) -> Iterator[Record]:
        """Yield those of a source's computed data products that are neither replaced nor deleted."""
        sql = (
            "SELECT EXISTS (SELECT 1 FROM data_products WHERE data_source = ?1 AND url = ?2)"
            " OR EXISTS (SELECT 1 FROM data_product_deletions WHERE data_source = ?1 AND url = ?2)"
        )
        for record in computed:
            if not self._connection.execute(sql, (identifier, record["url"])).fetchone()[0]:
                yield record
