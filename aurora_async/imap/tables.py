"""What a query found: rows as people use them, and what they tell together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, TypeVar, overload

import attrs

from aurora_async.display.numbers import plural
from aurora_async.errors import InvalidInput
from aurora_async.imap.latest import latest, valid_on
from aurora_async.imap.models import (
    AncillaryFile,
    FileRow,
    QuicklookFile,
    ScienceFile,
    SpiceKernel,
    TableFile,
)
from aurora_async.imap.query import FileQuery, SpiceQuery
from aurora_async.times import TimeLike, end_of, start_of, to_wire
from aurora_async.transfer.tables import AT_EITHER_END, Column, Records, ValueKind, columns_html

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["FileTable", "Gap"]

RowT = TypeVar("RowT", bound=FileRow, covariant=True)

_ROWS: dict[str, type[FileRow]] = {
    "science": ScienceFile,
    "quicklook": QuicklookFile,
    "ancillary": AncillaryFile,
    "spice": SpiceKernel,
    "spin": TableFile,
    "repoint": TableFile,
    "thruster": TableFile,
}
_NOT_SHOWN = ("key", "root", "start_tdb_s", "end_tdb_s", "leapseconds", "spacecraft_clock")
_DAY = timedelta(days=1)


@attrs.frozen(kw_only=True)
class _AnyFile(ScienceFile):
    """The columns of files as they were until 2024 and of later ones, where both stand in one table."""

    end_date: date | None = None


@attrs.frozen
class Gap:
    """Days, pointings or rotations of the Sun, from `first` to `last`, of which a product has no file."""

    product: tuple[str, str, str]
    """Instrument, level and descriptor."""
    first: date | int
    last: date | int

    @property
    def missing(self) -> tuple[date | int, ...]:
        """Each of them."""
        if isinstance(self.first, date) and isinstance(self.last, date):
            return tuple(self.first + number * _DAY for number in range((self.last - self.first).days + 1))
        assert isinstance(self.first, int) and isinstance(self.last, int)
        return tuple(range(self.first, self.last + 1))

    def __str__(self) -> str:
        return f"{' '.join(self.product)}: {self.first} to {self.last}"


class FileTable(Sequence[RowT], Generic[RowT]):
    """What a query found: a sequence of rows, ordered by their keys, which `Imap.download` takes as it is.

    A slice is a table, too. Empty ones say in `note` why that may be.

    Attributes:
        table: Where they are from: science, ancillary, quicklook, spice, spin, repoint, thruster.
        query: What was asked for; None where it was no query.
        note: Why there may be more that was not told; None where nothing is known of that kind.
    """

    def __init__(
        self,
        rows: Iterable[RowT],
        *,
        table: str = "science",
        query: FileQuery | SpiceQuery | None = None,
        note: str | None = None,
    ) -> None:
        """Made by the verbs of `Imap`."""
        self._rows = tuple(rows)
        self.table = table
        self.query = query
        self.note = note

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowT]:
        return iter(self._rows)

    @overload
    def __getitem__(self, wanted: SupportsIndex) -> RowT: ...
    @overload
    def __getitem__(self, wanted: slice) -> FileTable[RowT]: ...
    def __getitem__(self, wanted: SupportsIndex | slice) -> RowT | FileTable[RowT]:
        return self._of(self._rows[wanted]) if isinstance(wanted, slice) else self._rows[wanted]

    def _of(self, rows: Iterable[Any]) -> FileTable[RowT]:
        return FileTable(rows, table=self.table, query=self.query, note=self.note)

    @property
    def keys(self) -> tuple[str, ...]:
        """The paths the service has the files under."""
        return tuple(row.key for row in self._rows)

    def where(self, holds: Callable[[RowT], object]) -> FileTable[RowT]:
        """Return a table of the rows for which `holds(row)` is true."""
        return self._of(row for row in self._rows if holds(row))

    def latest(self) -> FileTable[RowT]:
        """Return a table of the newest version of each file; see `aurora_async.imap.latest`."""
        return self._of(latest(self._rows))

    def valid_on(self, day: TimeLike) -> FileTable[RowT]:
        """Return a table of the ancillary files that data of a day are to be made with, one of each descriptor.

        Of those that are valid on that day the highest version counts; see `inputs.ancillary_for_day`.
        """
        if self.table != "ancillary":
            raise InvalidInput("table", f"{self.table} files are not valid for a range of days; ancillary files are")
        return self._of(valid_on(self._files(AncillaryFile), start_of(day, "day").date()))

    def gaps(self, start: TimeLike | None = None, end: TimeLike | None = None) -> tuple[Gap, ...]:
        """Return what is missing, product by product: pointings of products that have them, or rotations, or days.

        Args:
            start: Where days are looked at from; by default the query's start, or the product's first day.
            end: The last of them; by default the query's end, or the product's last day. Pointings and rotations are
                looked at from the lowest to the highest number there is.
        """
        if self.table not in ("science", "quicklook"):
            raise InvalidInput("table", f"{self.table} files are of no product, and only products have gaps")
        asked = self.query if isinstance(self.query, FileQuery) else None
        first = start_of(start, "start").date() if start is not None else asked.start_date if asked else None
        last = end_of(end, "end").date() if end is not None else asked.end_date if asked else None
        products: dict[tuple[str, str, str], list[ScienceFile | QuicklookFile]] = {}
        for row in [*self._files(ScienceFile), *self._files(QuicklookFile)]:
            products.setdefault((row.instrument, row.data_level, row.descriptor), []).append(row)
        return tuple(gap for product, rows in products.items() for gap in _gaps(product, rows, first, last))

    def _files(self, kind: type[Any]) -> list[Any]:
        return [row for row in self._rows if isinstance(row, kind)]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary a row, of texts, numbers, dates and aware datetimes."""
        return self._records().to_dicts()

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame, a row a file. Days and instants are `datetime64[us, UTC]`, numbers that miss `Int64`.

        Raises:
            MissingExtra: pandas is not installed (`pip install "aurora-async[pandas]"`).
        """
        return self._records().to_pandas()

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table, a row a file, with days and instants as `timestamp[us, UTC]`.

        Raises:
            MissingExtra: pyarrow is not installed (`pip install "aurora-async[parquet]"`).
        """
        return self._records().to_arrow()

    def _records(self) -> Records[Any]:
        kinds = set(map(type, self._rows)) or {_ROWS[self.table]}
        if len(kinds) == 1:
            return Records(self._rows, record_type=kinds.pop())
        names = [field.name for field in attrs.fields(_AnyFile)]
        every: Iterator[dict[str, Any]] = ({name: getattr(row, name, None) for name in names} for row in self._rows)
        return Records((_AnyFile(**values) for values in every), record_type=_AnyFile)

    def __repr__(self) -> str:
        return f"<FileTable: {self._summary()}>"

    def __str__(self) -> str:
        if not self:
            return self._summary()
        rows, gap = self._ends()
        lines = [[column.name, *("" if one is None else str(one) for one in column.values)] for column in rows._shown()]
        if gap:
            for line in lines:
                line.insert(1 + AT_EITHER_END, "…")
        padded = [[cell.ljust(max(map(len, line))) for cell in line] for line in lines]
        return "\n".join([self._summary(), *("  ".join(line).rstrip() for line in zip(*padded, strict=True))])

    def _repr_html_(self) -> str:
        rows, gap = self._ends()
        return columns_html(self._summary(), rows._shown(), len(rows), gap=gap)

    def _ends(self) -> tuple[FileTable[RowT], bool]:
        """Return the first and the last rows, and whether there are others in between."""
        gap = len(self) > 2 * AT_EITHER_END + 1
        return (self._of([*self._rows[:AT_EITHER_END], *self._rows[-AT_EITHER_END:]]) if gap else self), gap

    def _summary(self) -> str:
        nouns = {SpiceKernel: "kernel", TableFile: f"{self.table} table"}
        text = plural(len(self), nouns.get(_ROWS[self.table], f"{self.table} file"))
        return f"{text}; {self.note}" if self.note else text

    def _shown(self) -> list[Column]:
        """The columns in which there is something, as texts where they are times; the name instead of the key."""
        rows = [
            {name: _time_text(value) for name, value in row.items() if name not in _NOT_SHOWN}
            | {"file_name": row["key"].rpartition("/")[2]}
            for row in self.to_dicts()
        ]
        names = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
        return [Column(name, ValueKind.JSON, True, [row[name] for row in rows]) for name in names]


def _gaps(
    product: tuple[str, str, str],
    rows: Sequence[ScienceFile | QuicklookFile],
    first: date | None,
    last: date | None,
) -> Iterator[Gap]:
    for number in ("repointing", "cr"):
        if numbers := {getattr(row, number) for row in rows} - {None}:
            yield from (Gap(product, start, end) for start, end in _missing(numbers, min(numbers), max(numbers)))
            return
    days = {row.start_date.toordinal() for row in rows}
    start = min(days) if first is None else first.toordinal()
    end = max(days) if last is None else min(last, datetime.now(UTC).date()).toordinal()
    for begin, stop in _missing(days, start, end):
        yield Gap(product, date.fromordinal(begin), date.fromordinal(stop))


def _missing(numbers: set[int], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of numbers from `start` to `end` that are not there."""
    begin = start
    for number in [*sorted(one for one in numbers if start <= one <= end), end + 1]:
        if begin < number:
            yield begin, number - 1
        begin = number + 1


def _time_text(value: object) -> object:
    if isinstance(value, datetime):
        return to_wire(value).replace("T", " ")
    return value.isoformat() if isinstance(value, date) else value
