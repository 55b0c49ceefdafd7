"""Records as people use them: a list that turns into dictionaries, a DataFrame, an Arrow table, a view in a notebook.

Everything is read off the record class (`_shapes`), so that a service has nothing to write but its records. pandas and
pyarrow are imported when they are asked for, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, TypeVar, overload

import attrs
import msgspec

from aurora_async.errors import MissingExtra
from aurora_async.times import parse_wire
from aurora_async.transfer._arrow import arrow_column, arrow_schema, import_pyarrow, record_batch
from aurora_async.transfer._html import AT_EITHER_END, columns_html, record_html, records_html
from aurora_async.transfer._json import json_bytes
from aurora_async.transfer._shapes import (
    Column,
    Layout,
    ValueKind,
    columns,
    fields_of,
    layout_of,
    plain_columns,
    text_of,
)

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "AT_EITHER_END",
    "Column",
    "Records",
    "ValueKind",
    "arrow_of",
    "columns_html",
    "frame_of",
    "parquet_of",
    "table",
]

T = TypeVar("T")
S = TypeVar("S")

_BATCH = 100_000  # the texts of a batch, metadata too, must stay below 2 GiB
_SCALARS = frozenset({ValueKind.TIME, ValueKind.FLAG, ValueKind.COUNT, ValueKind.NUMBER, ValueKind.TEXT})

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def table(**layout: Any) -> Callable[[type[T]], type[T]]:
    """Say how a record class becomes a table (the fields of `Layout`), and give its records a view in notebooks."""

    def apply(record_type: type[T]) -> type[T]:
        record_type.__table_layout__ = Layout(**layout)  # type: ignore[attr-defined]
        record_type._repr_html_ = record_html  # type: ignore[attr-defined]
        return record_type

    return apply


class Records(list[T]):
    """The records of an answer, in its order: a list, and four ways to look at it.

    `record_type` is their class; None for plain dictionaries, as a response format gives them. A slice is `Records`,
    and so is a sum, whose `record_type` is None if the records are of different classes.
    """

    def __init__(self, iterable: Iterable[T] = (), *, record_type: type[T] | None = None) -> None:
        super().__init__(iterable)
        self.record_type = record_type

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Records[T]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> T | Records[T]:
        if isinstance(index, slice):
            return Records(super().__getitem__(index), record_type=self.record_type)
        return super().__getitem__(index)

    @overload
    def __add__(self, other: list[T]) -> Records[T]: ...
    @overload
    def __add__(self, other: list[S]) -> Records[S | T]: ...
    def __add__(self, other: list[Any]) -> Records[Any]:
        if not isinstance(other, list):
            return NotImplemented
        return Records(super().__add__(other), record_type=self._type_with(other))

    def __radd__(self, other: list[T]) -> Records[T]:
        if not isinstance(other, list):
            return NotImplemented
        return Records([*other, *self], record_type=self._type_with(other))

    # Takes any iterable where `+` takes a list, as every list does.
    def __iadd__(self, other: Iterable[T]) -> Self:  # type: ignore[misc, override]
        more = other if isinstance(other, list) else list(other)
        self.record_type = self._type_with(more)
        return super().__iadd__(more)

    def __mul__(self, times: SupportsIndex) -> Records[T]:
        return Records(super().__mul__(times), record_type=self.record_type)

    __rmul__ = __mul__

    def _type_with(self, others: list[Any]) -> type[Any] | None:
        """The class of these records and others together."""
        theirs = others.record_type if isinstance(others, Records) else None
        if self.record_type is None:
            return None if self else theirs
        same = theirs is self.record_type or all(isinstance(one, self.record_type) for one in others)
        return self.record_type if same else None

    def copy(self) -> Records[T]:
        """Return another list of the same records."""
        return self[:]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the records as nested dictionaries of numbers, texts, lists and aware datetimes."""
        if (record_type := self._fields_from) is not None:
            return [_dict(one, record_type) for one in self]
        found: list[dict[str, Any]] = _builtins(self._mappings())
        return found

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame, a row a record.

        Instants are `datetime64[us, UTC]`, numbers that are missing NaN. The data source's names are columns of their
        own (`program`, `platform`, …), locations two (`nbtrace_lat`, `nbtrace_lon`, degrees), metadata stays one column
        of dictionaries. A conjunction has `program_1`, `platform_1`, …, `program_2`, … in the order of the query's
        blocks, and leaves out its pairs (`to_arrow` has them). Availability has a row for each data source and day.
        The columns do not depend on the records, but for conjunctions of more than two blocks. Of plain dictionaries
        they are the keys (`data_source_program`), and texts that are all timestamps become instants.

        Raises:
            MissingExtra: pandas is not installed (`pip install "aurora-async[pandas]"`).
        """
        pd = _pandas()
        if (record_type := self._fields_from) is not None:
            frame = {column.name: _series(pd, column) for column in columns(self, record_type)}
        else:
            frame = {name: _plain_series(pd, values) for name, values in plain_columns(self._mappings()).items()}
        made: pandas.DataFrame = pd.DataFrame(frame, index=None if frame else pd.RangeIndex(len(self)))
        return made

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table, a row a record, whose schema follows from the record class alone.

        Records within records are structs, lists of them lists, instants `timestamp[us, UTC]`; metadata and all else
        of no fixed form is JSON text. A table of no records has the same schema. Of plain dictionaries, which promise
        no form, the schema is what their values show; what does not go together becomes texts.

        Raises:
            InvalidInput: A value is not what its class says, such as a number of more than 64 bits.
            MissingExtra: pyarrow is not installed (`pip install "aurora-async[parquet]"`).
        """
        pa = import_pyarrow()
        if (record_type := self._fields_from) is None:
            flat = plain_columns(self._mappings())
            arrays = [_plain_array(pa, values) for values in flat.values()]
            # The column that is taken away again tells how many rows there are where there is no other.
            return pa.table([*arrays, pa.nulls(len(self))], names=[*flat, ""]).select(range(len(flat)))
        batches = (record_batch(self[at : at + _BATCH], record_type) for at in range(0, len(self), _BATCH))
        return pa.Table.from_batches(batches, arrow_schema(record_type))

    def __repr__(self) -> str:
        return f"<Records: {self._summary()}>"

    def _repr_html_(self) -> str:
        return records_html(self._summary(), self, self._fields_from)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # IPython prints what is a list item by item, whatever its repr.
        printer.text(repr(self))

    def _summary(self) -> str:
        count = f"{len(self):,}" if self else "no"
        if (record_type := self._fields_from) is None:
            return f"{count} plain record{'' if len(self) == 1 else 's'}"
        noun = layout_of(record_type).noun
        if noun is not None:
            return f"{count} {noun if len(self) == 1 or noun.endswith('s') else noun + 's'}"
        return f"{count} {record_type.__name__}{self._span(record_type) if self else ''}"

    def _span(self, record_type: type[T]) -> str:
        times = [field.name for field in fields_of(record_type) if field.kind is ValueKind.TIME and not field.optional]
        if not times:
            return ""
        first, last = ("start", "end") if {"start", "end"} <= set(times) else (times[0], times[0])
        start, end = min(getattr(one, first) for one in self), max(getattr(one, last) for one in self)
        return f", {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"

    @property
    def _fields_from(self) -> type[T] | None:
        """The record class, if it is one that says what its fields are."""
        has_fields = self.record_type is not None and attrs.has(self.record_type)
        return self.record_type if has_fields else None

    def _mappings(self) -> list[Mapping[str, Any]]:
        return [one if isinstance(one, Mapping) else {"value": one} for one in self]


def parquet_of(records: Records[Any]) -> bytes:
    """Return the Parquet file of a few records, such as those of a manifest; `download` writes many.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow = records.to_arrow()
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(arrow, sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def frame_of(columns: Iterable[Column], rows: int) -> pandas.DataFrame:
    """Return a DataFrame of columns whose kinds are known, for what is no list of records.

    Raises:
        MissingExtra: pandas is not installed.
    """
    pd = _pandas()
    frame = {column.name: _series(pd, column) for column in columns}
    made: pandas.DataFrame = pd.DataFrame(frame, index=pd.RangeIndex(rows))
    return made


def arrow_of(columns: Iterable[Column], rows: int) -> pyarrow.Table:
    """Return an Arrow table of columns whose kinds are known, with their units as the metadata `unit` of its fields.

    Raises:
        InvalidInput: A value is not of its column's kind, such as a number of more than 64 bits.
        MissingExtra: pyarrow is not installed.
    """
    pa = import_pyarrow()
    fields, arrays = [], []
    for column in columns:
        arrays.append(arrow_column(column))
        unit = {"unit": column.unit} if column.unit else None
        fields.append(pa.field(column.name, arrays[-1].type, metadata=unit))
    if not arrays:  # the column that is taken away again tells how many rows there are
        return pa.table([pa.nulls(rows)], names=[""]).select([])
    return pa.table(arrays, schema=pa.schema(fields))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtra("pandas", "pandas") from None
    return pandas


def _builtins(value: Any) -> Any:
    # Copies all the way down: a dictionary that is changed shall not change a frozen record.
    return msgspec.to_builtins(value, builtin_types=(datetime,), str_keys=True)


def _dict(record: Any, record_type: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    texts = layout_of(record_type).texts
    for field in fields_of(record_type):  # msgspec would sort them by name
        value = getattr(record, field.name)
        if field.name in texts:
            found[field.name] = text_of(value)
        elif value is None or field.kind in _SCALARS:
            found[field.name] = value
        elif field.inner is None:
            found[field.name] = _builtins(value)
        elif field.kind is ValueKind.RECORD:
            found[field.name] = _dict(value, field.inner)
        else:
            found[field.name] = [_dict(one, field.inner) for one in value]
    return found


# pandas ---------------------------------------------------------------------------------------------------------------


def _series(pd: ModuleType, column: Column) -> Any:
    if column.kind is ValueKind.TIME:
        return pd.Series(pd.DatetimeIndex(column.values, dtype="datetime64[us, UTC]"))
    if column.kind is ValueKind.TEXT:
        # The text type of pandas 3; before it, texts were objects.
        return pd.Series(column.values, dtype="str" if int(pd.__version__.split(".")[0]) >= 3 else object)
    dtype = {
        ValueKind.FLAG: "boolean" if column.optional else "bool",
        ValueKind.COUNT: "Int64" if column.optional else "int64",
        ValueKind.NUMBER: "float64",
    }
    try:
        return pd.Series(column.values, dtype=dtype.get(column.kind, object))
    except OverflowError:  # JSON's whole numbers have no end
        return pd.Series(column.values, dtype=object)


def _plain_series(pd: ModuleType, values: list[Any]) -> Any:
    instants = _instants(values)
    if instants is not None:
        return pd.Series(pd.DatetimeIndex(instants, dtype="datetime64[us, UTC]"))
    return pd.Series(values, dtype=object).infer_objects()


def _instants(values: Sequence[Any]) -> list[datetime | None] | None:
    """Read texts that are all timestamps; None if one is not, or none is there."""
    given = [value for value in values if value is not None]
    if not given or not all(isinstance(value, str) and _TIMESTAMP.fullmatch(value) for value in given):
        return None
    try:
        return [None if value is None else parse_wire(value) for value in values]
    except ValueError:  # the 31st of February
        return None


# Arrow ----------------------------------------------------------------------------------------------------------------


def _plain_array(pa: ModuleType, values: list[Any]) -> Any:
    instants = _instants(values)
    if instants is not None:
        return pa.array(instants, pa.timestamp("us", tz="UTC"))
    if any(isinstance(value, list | dict) for value in values):
        return pa.array([None if value is None else json_bytes(value) for value in values], pa.string())
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):  # texts beside numbers, or a number of more than 64 bits
        return pa.array([None if value is None else str(value) for value in values], pa.string())
