"""Records as a query gives them: columns of typed values, rows that know which records they are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import index as as_index
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

import attrs

from aurora_async.errors import InvalidInput
from aurora_async.jsoc.keywords import KeywordType, Value
from aurora_async.jsoc.recordset import KeyFilter, One, RecordSet, Subset
from aurora_async.jsoc.times import TaiTime
from aurora_async.transfer.tables import AT_EITHER_END, Column, ValueKind, arrow_of, columns_html, frame_of

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["KeywordColumn", "PackedTexts", "RecordTable", "Row", "SegmentColumn", "Times"]

Times = Literal["utc", "tai", "text"]

_MOST_COLUMNS = 12
"""Of a view."""
_MOST_TEXT = 60
_PACK = 512
_WHOLE = frozenset({KeywordType.SHORT, KeywordType.INT, KeywordType.LONGLONG})
_REAL = frozenset({KeywordType.FLOAT, KeywordType.DOUBLE})


@attrs.frozen(eq=False, kw_only=True)
class KeywordColumn:
    """The values of a keyword, one a record; None where a record has none.

    `type` is None where the values are the service's texts. `units` of a time name the zone, `digits` the decimals of
    the second, that the service prints it with.
    """

    name: str
    type: KeywordType | None = None
    units: str = ""
    digits: int = 0
    values: list[Value] = attrs.field(factory=list, repr=False)


@attrs.frozen(eq=False, kw_only=True)
class SegmentColumn:
    """The files of a segment, one a record; None where a record has none.

    `paths` are below the service's download address, `dims` such as `4096x4096`; `cparms`, `bzeros` and `bscales` tell
    how FITS files are compressed and scaled.
    """

    name: str
    paths: list[str | None] = attrs.field(factory=list, repr=False)
    dims: list[str | None] = attrs.field(factory=list, repr=False)
    cparms: list[str | None] = attrs.field(factory=list, repr=False)
    bzeros: list[str | None] = attrs.field(factory=list, repr=False)
    bscales: list[str | None] = attrs.field(factory=list, repr=False)


class PackedTexts:
    """Many texts in the memory of their letters, for what is rarely looked at; each object would take 50 bytes more."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._packs: list[str] = []
        self._ends: list[int] = []
        self._opened: tuple[int, list[str]] = (-1, [])
        self.extend(texts)

    def extend(self, texts: Sequence[str]) -> None:
        """Add texts at the end."""
        for start in range(0, len(texts), _PACK):
            pack = texts[start : start + _PACK]
            self._packs.append("\0".join(pack))  # which no text of a database can hold
            self._ends.append(len(self) + len(pack))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> str:
        place = bisect_right(self._ends, index)
        opened = self._opened
        if opened[0] != place:
            opened = self._opened = place, self._packs[place].split("\0")
        return opened[1][index - self._ends[place]]  # counted from the pack's end


class Row(Mapping[str, Any]):
    """One record of a table: its keywords, the paths of its segments and the targets of its links, by name.

    What is there is a `Value`; the type is left open, so that `row["EXPTIME"] < 2` need not be argued with a checker.
    """

    __slots__ = ("_index", "_table")

    def __init__(self, table: RecordTable, index: int) -> None:
        self._table = table
        self._index = index

    def __getitem__(self, name: str) -> Any:
        value: Value = self._table[name][self._index]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.columns)

    def __len__(self) -> int:
        return len(self._table.columns)

    def __repr__(self) -> str:
        return f"<Row {self.name}: {dict(self)}>"

    @property
    def recnum(self) -> int | None:
        """The number of this version of the record; None where the service did not tell."""
        return self._table.recnums[self._index]

    @property
    def name(self) -> str:
        """How the record is named: by its primary keys where those are known, else by its number."""
        return self._table.name_of(self._index)


class RecordTable:
    """What a query found: a row a record, in the order of the primary keys, and columns in the order asked.

    ```python
    table = await jsoc.query("aia.lev1_euv_12s[2021-07-03T14:25Z/10m]", keywords="T_REC, WAVELNTH, EXPTIME")
    short = table.where(lambda row: row["EXPTIME"] < 2.0)
    export = await jsoc.export(short)  # these records and no others
    ```

    `table["EXPTIME"]` is a column, `table[3]` a row; `table[2:9]`, `table[mask]` and `table[[1, 5, 2]]` are tables of
    those rows. Whole numbers are int, times `TaiTime`, missing values None.

    Attributes:
        record_set: What was asked for.
        keywords, segments, links: The columns, by name.
        recnums: The number of each record's version; None where the service did not tell.
    """

    def __init__(
        self,
        record_set: RecordSet,
        *,
        keywords: Mapping[str, KeywordColumn],
        segments: Mapping[str, SegmentColumn] | None = None,
        links: Mapping[str, list[str | None]] | None = None,
        recnums: Sequence[int | None] = (),
        names: Sequence[str] | None = None,
        series: str | Sequence[str] | None = None,
        primekeys: Sequence[str] = (),
        unseen_keys: Mapping[str, PackedTexts] | None = None,
    ) -> None:
        """Made by `Jsoc.query`.

        `names` are those of the records where they were asked for, `series` the service's spelling of the one series,
        or of that of each record, `primekeys` of the one series. `unseen_keys` are those of them that nobody asked for.
        """
        self.record_set = record_set
        self.keywords = dict(keywords)
        self.segments = dict(segments or {})
        self.links = dict(links or {})
        self.recnums = tuple(recnums)
        self._names = None if names is None else tuple(names)
        self._series = record_set.series[0] if series is None else series if isinstance(series, str) else tuple(series)
        self._primekeys = tuple(primekeys)
        self._unseen_keys = dict(unseen_keys or {})
        seen = {name.lower(): column for name, column in self.keywords.items()}
        columns = {key: seen.get(key.lower()) or self._unseen_keys.get(key) for key in self._primekeys}
        self._key_columns = {key: column for key, column in columns.items() if column is not None}
        self._columns: dict[str, list[Any]] = {name: column.values for name, column in self.keywords.items()}
        for name, segment in self.segments.items():
            self._columns[_free(name, "segment", self._columns)] = segment.paths
        for name, targets in self.links.items():
            self._columns[_free(name, "link", self._columns)] = targets

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns: keywords, segments, links."""
        return tuple(self._columns)

    @property
    def series(self) -> str:
        """The name of the series, of the first record's where there are several."""
        return self._series if isinstance(self._series, str) else (*self._series, *self.record_set.series)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each record; see `Row.name`."""
        return tuple(map(self.name_of, range(len(self))))

    def name_of(self, index: int) -> str:
        """Return the name of the record in a row."""
        if self._names is not None:
            return self._names[index]
        series = self._series_of(index)
        keys = [self._text(column, index) for column in self._key_columns.values()]
        if keys and all(keys) and len(keys) == len(self._primekeys):
            return series + "".join(f"[{key}]" for key in keys)
        return f"{series}[:#{self.recnums[index]}]"

    def __len__(self) -> int:
        return len(self.recnums)

    def __iter__(self) -> Iterator[Row]:
        return (Row(self, index) for index in range(len(self)))

    @overload
    def __getitem__(self, wanted: str) -> list[Any]: ...
    @overload
    def __getitem__(self, wanted: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, wanted: slice | Iterable[SupportsIndex]) -> RecordTable: ...
    def __getitem__(self, wanted: Any) -> Any:
        """Return a column (by name), a row (by number), or a table of some rows (slice, mask, list of numbers)."""
        if isinstance(wanted, str):
            return self._column(wanted)
        if isinstance(wanted, slice):
            return self._rows(range(len(self))[wanted])
        if isinstance(wanted, Iterable):  # first, because NumPy's arrays have an __index__ too
            return self._rows(self._numbers(list(wanted)))
        return Row(self, range(len(self))[wanted])

    def where(self, holds: Callable[[Row], object]) -> RecordTable:
        """Return a table of the rows for which `holds(row)` is true."""
        return self._rows([index for index, row in enumerate(self) if holds(row)])

    def subset(self) -> RecordSet:
        """Return the record set that holds exactly these records, of the segments that were asked for in braces.

        By their numbers; where the service did not tell those, by their primary keys.

        Raises:
            InvalidInput: There are none, or nothing here identifies them.
        """
        if not len(self):
            raise InvalidInput("rows", "there are none, so there is nothing to ask for")
        if None not in self.recnums:
            by_series: dict[str, list[int]] = {}
            for index, recnum in enumerate(self.recnums):
                by_series.setdefault(self._series_of(index), []).append(int(recnum or 0))
            found = [self._of(series).recnums(numbers).subsets for series, numbers in by_series.items()]
            return RecordSet([subset for subsets in found for subset in subsets])
        return RecordSet([subset for index in range(len(self)) for subset in self._by_keys(index).subsets])

    def to_dicts(self, *, times: Times = "utc") -> list[dict[str, Any]]:
        """Return a dictionary a record; times are aware datetimes, readings of a TAI clock, or the service's texts."""
        columns = {name: self._plain(name, times) for name in self._columns}
        return [{name: values[index] for name, values in columns.items()} for index in range(len(self))]

    def to_pandas(self, *, times: Times = "utc") -> pandas.DataFrame:
        """Return a DataFrame, a row a record.

        Whole numbers are `Int64`, which has a place for missing values; other numbers float64 with NaN for those.

        Args:
            times: `utc`: `datetime64[us, UTC]`, leap seconds taken account of; `tai`: what a TAI clock shows, without
                a zone; `text`: as the service prints them.

        Raises:
            MissingExtra: pandas is not installed (`pip install "aurora-async[pandas]"`).
        """
        frame = frame_of(self._shaped(times), len(self))
        if times == "tai":
            for name, column in self.keywords.items():
                if column.type is KeywordType.TIME:
                    frame[name] = frame[name].dt.tz_localize(None)
        return frame

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table, a row a record, with times as `timestamp[us, UTC]` and units in the fields' metadata.

        Raises:
            MissingExtra: pyarrow is not installed (`pip install "aurora-async[parquet]"`).
        """
        return arrow_of(self._shaped("utc"), len(self))

    def __repr__(self) -> str:
        return f"<RecordTable: {self._summary()}; {', '.join(self._columns)}>"

    def __str__(self) -> str:
        rows, gap = self._ends()
        shown = rows._shaped("text")
        columns = [_aligned(column, gap) for column in shown[:_MOST_COLUMNS]]
        if len(shown) > _MOST_COLUMNS:
            columns.append(["…"] * len(columns[0]))
        return "\n".join([self._summary(), *("  ".join(line).rstrip() for line in zip(*columns, strict=True))])

    def _repr_html_(self) -> str:
        rows, gap = self._ends()
        columns = rows._shaped("text")[:_MOST_COLUMNS]
        return columns_html(self._summary(), columns, len(rows), gap=gap, real=_real)

    def _ends(self) -> tuple[RecordTable, bool]:
        """Return the first and the last rows, and whether there are others in between."""
        gap = len(self) > 2 * AT_EITHER_END + 1
        return (self[[*range(AT_EITHER_END), *range(-AT_EITHER_END, 0)]] if gap else self), gap

    def _summary(self) -> str:
        series = {self._series: None} if isinstance(self._series, str) else dict.fromkeys(self._series)
        return f"{len(self):,} record{'' if len(self) == 1 else 's'} of {', '.join(series)}"

    def _column(self, name: str) -> list[Any]:
        if name in self._columns:
            return self._columns[name]
        # As in the service, where no two names differ in case only.
        for known, values in self._columns.items():
            if known.lower() == name.lower():
                return values
        raise KeyError(name)

    def _numbers(self, wanted: list[Any]) -> Sequence[int]:
        if any(map(_is_flag, wanted)):
            if len(wanted) != len(self) or not all(_is_flag(one) or _is_missing(one) for one in wanted):
                raise InvalidInput("mask", f"must hold {len(self)} times True or False, one a row")
            return [index for index, flag in enumerate(wanted) if not _is_missing(flag) and flag]
        try:
            return [range(len(self))[as_index(one)] for one in wanted]
        except TypeError:
            raise InvalidInput("rows", "give a name, a number, a slice, a mask or a list of numbers") from None

    def _rows(self, numbers: Sequence[int]) -> RecordTable:
        def pick(values: Sequence[Any]) -> list[Any]:
            return [values[number] for number in numbers] if values else []

        def picked(column: SegmentColumn) -> SegmentColumn:
            kinds = ("paths", "dims", "cparms", "bzeros", "bscales")
            lists: dict[str, Any] = {kind: pick(getattr(column, kind)) for kind in kinds}
            return attrs.evolve(column, **lists)

        return RecordTable(
            self.record_set,
            keywords={name: attrs.evolve(one, values=pick(one.values)) for name, one in self.keywords.items()},
            segments={name: picked(one) for name, one in self.segments.items()},
            links={name: pick(one) for name, one in self.links.items()},
            recnums=pick(self.recnums),
            names=None if self._names is None else pick(self._names),
            series=self._series if isinstance(self._series, str) else pick(self._series),
            primekeys=self._primekeys,
            unseen_keys={
                key: PackedTexts([one[number] for number in numbers]) for key, one in self._unseen_keys.items()
            },
        )

    def _series_of(self, index: int) -> str:
        return self._series if isinstance(self._series, str) else self._series[index]

    def _of(self, series: str) -> RecordSet:
        """The whole series, with the segments that the record set names for it."""
        asked = [one for one in self.record_set.subsets if one.series.lower() == series.lower()]
        segments = tuple(dict.fromkeys(name for one in asked for name in one.segments))
        everything = any(not one.segments for one in asked)
        return RecordSet([Subset(series, (), () if everything else segments)])

    def _by_keys(self, index: int) -> RecordSet:
        missing = [key for key in self._primekeys if key not in self._key_columns]
        if missing or not self._primekeys:
            told = ", ".join(missing) or "primary keys"
            raise InvalidInput("rows", f"nothing says which records they are: query them with {told}")
        found = self._of(self._series_of(index))
        for key in self._primekeys:
            text = self._text(self._key_columns[key], index)
            if not text:
                raise InvalidInput("rows", f"record {index} has no {key}, so nothing says which one it is")
            found = found.filtered(KeyFilter((One(text),)))
        return found

    @staticmethod
    def _text(column: KeywordColumn | PackedTexts, index: int) -> str:
        if isinstance(column, PackedTexts):
            return column[index]
        value = column.values[index]
        if isinstance(value, TaiTime):
            return value.text(column.units, column.digits)
        return "" if value is None else str(value)

    def _plain(self, name: str, times: Times) -> list[Any]:
        return self._shaped_one(name, times).values

    def _shaped(self, times: Times) -> list[Column]:
        return [self._shaped_one(name, times) for name in self._columns]

    def _shaped_one(self, name: str, times: Times) -> Column:
        if times not in ("utc", "tai", "text"):
            raise InvalidInput("times", f"{times!r} is unknown; use 'utc', 'tai' or 'text'")
        column = self.keywords.get(name)
        if column is None:
            return Column(name, ValueKind.TEXT, True, self._columns[name])
        unit = column.units if column.units not in ("", "none") else None
        if column.type in _WHOLE:
            return Column(name, ValueKind.COUNT, True, column.values, unit)
        if column.type in _REAL:
            return Column(name, ValueKind.NUMBER, True, column.values, unit)
        if column.type is not KeywordType.TIME:
            texts = [None if value is None else str(value) for value in column.values]
            return Column(name, ValueKind.TEXT, True, texts, unit)
        if times == "text":
            texts = [self._text(column, index) or None for index in range(len(self))]
            return Column(name, ValueKind.TEXT, True, texts)
        return Column(name, ValueKind.TIME, True, [_instant(value, times) for value in column.values])


def _free(name: str, kind: str, taken: Mapping[str, object]) -> str:
    """Return the name of a column, which a keyword may have already."""
    return f"{name}.{kind}" if name in taken else name


def _aligned(column: Column, gap: bool) -> list[str]:
    """Return the lines of a column, its name first, all of one width."""
    cells = [column.name, *map(_cell, column.values)]
    if gap:
        cells.insert(1 + AT_EITHER_END, "…")
    width = max(map(len, cells))
    is_number = column.kind in (ValueKind.COUNT, ValueKind.NUMBER)
    return [cell.rjust(width) if is_number else cell.ljust(width) for cell in cells]


def _cell(value: Any) -> str:
    if value is None:
        return "MISSING"
    text = _real(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"


def _real(value: float) -> str:
    """Print all digits that the service has printed."""
    return f"{value:.10g}"


def _instant(value: Value, times: Times) -> datetime | None:
    if not isinstance(value, TaiTime):
        return None
    return value.utc if times == "utc" else value.tai.replace(tzinfo=UTC)


def _is_flag(value: object) -> bool:
    """Whether it is True or False, NumPy's too."""
    return isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b"


def _is_missing(value: object) -> bool:
    """Whether it is None, or pandas' NA, which a comparison with a missing value gives; such rows are left out."""
    return value is None or type(value).__name__ == "NAType"
