"""Records into Arrow columns: the schema follows from the record class alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from aurora_async.errors import MissingExtra
from aurora_async.transfer._growing import Growing, Shared, growing
from aurora_async.transfer._shapes import Column, Field, ValueKind, fields_of, layout_of

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Columns", "arrow_column", "arrow_schema", "import_pyarrow", "record_batch", "text_columns"]


def import_pyarrow() -> Any:
    """Return pyarrow, or raise `MissingExtra`."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("parquet", "pyarrow") from None
    return pyarrow


def arrow_schema(record_type: type[Any]) -> pyarrow.Schema:
    """Return the schema of a table of such records: `unit` in a field's metadata where its name does not say it."""
    return import_pyarrow().schema(_fields(record_type))


def record_batch(records: Sequence[Any], record_type: type[Any]) -> pyarrow.RecordBatch:
    """Return records of a class, or the structures that `columnar` makes of it, as one batch.

    Raises:
        InvalidInput: A value is not what the class says, such as a number of more than 64 bits.
    """
    columns = Columns(record_type)
    columns.extend(records)
    return columns.finish()


class Columns:
    """The columns of a record class, to which records are added some hundred at a time."""

    def __init__(self, record_type: type[Any]) -> None:
        pa = import_pyarrow()
        self._schema = arrow_schema(record_type)
        inline = layout_of(record_type).inline
        self._columns: list[tuple[attrgetter[Any], Growing]] = []
        for field in fields_of(record_type):
            column = growing(pa, field, _type(field))
            self._columns.append((attrgetter(field.name), Shared(pa, column) if field.name in inline else column))

    def extend(self, records: Sequence[Any]) -> None:
        """Add records of the class, or the structures that `columnar` makes of it.

        Raises:
            InvalidInput: A value is not what the class says; the columns are of no use any more.
        """
        for get, column in self._columns:
            column.extend(list(map(get, records)))

    def finish(self) -> pyarrow.RecordBatch:
        """Return them as one batch; nothing can be added any more."""
        arrays = [column.finish() for _, column in self._columns]
        return import_pyarrow().RecordBatch.from_arrays(arrays, schema=self._schema)


def arrow_column(column: Column) -> pyarrow.Array:
    """Return a column that is no field of a record class.

    Raises:
        InvalidInput: A value is not of the column's kind.
    """
    field = Field(column.name, column.kind, column.optional)
    made = growing(import_pyarrow(), field, _type(field))
    made.extend(column.values)
    return made.finish()


def text_columns(schema: pyarrow.Schema) -> list[str]:
    """Return the paths, as Parquet has them, of columns of text that are within no list."""
    return [path for field in schema for path in _text_columns(field, "")]


def _text_columns(field: pyarrow.Field, above: str) -> Iterator[str]:
    path = above + field.name
    if import_pyarrow().types.is_string(field.type):
        yield path
    elif import_pyarrow().types.is_struct(field.type):
        for inner in field.type:
            yield from _text_columns(inner, f"{path}.")


_FIELDS: dict[type[Any], list[Any]] = {}


def _fields(record_type: type[Any]) -> list[Any]:
    if record_type not in _FIELDS:
        pa = import_pyarrow()
        units = layout_of(record_type).units
        _FIELDS[record_type] = [
            pa.field(field.name, _type(field), metadata={"unit": units[field.name]} if field.name in units else None)
            for field in fields_of(record_type)
        ]
    return _FIELDS[record_type]


@cache
def _type(field: Field) -> Any:
    pa = import_pyarrow()
    if field.inner is not None:
        inner = pa.struct(_fields(field.inner))
        return inner if field.kind is ValueKind.RECORD else pa.list_(inner)
    return {
        ValueKind.TIME: pa.timestamp("us", tz="UTC"),
        ValueKind.FLAG: pa.bool_(),
        ValueKind.COUNT: pa.int64(),
        ValueKind.NUMBER: pa.float64(),
        ValueKind.TEXTS: pa.list_(pa.string()),
    }.get(field.kind, pa.string())
