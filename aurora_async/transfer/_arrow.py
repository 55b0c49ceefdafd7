"""Records into Arrow columns: the schema follows from the record class alone."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import cache
from itertools import accumulate, chain, count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from aurora_async.errors import InvalidInput, MissingExtra
from aurora_async.transfer._columnar import naive_utc
from aurora_async.transfer._json import json_bytes
from aurora_async.transfer._shapes import Column, Field, ValueKind, fields_of, layout_of

if TYPE_CHECKING:
    import pyarrow

__all__ = ["arrow_column", "arrow_schema", "import_pyarrow", "record_batch", "text_columns"]


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
    pa = import_pyarrow()
    shared = layout_of(record_type).inline
    arrays = [
        (_shared if one.name in shared else _array)(pa, list(map(attrgetter(one.name), records)), one)
        for one in fields_of(record_type)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(record_type))


def arrow_column(column: Column) -> pyarrow.Array:
    """Return a column that is no field of a record class.

    Raises:
        InvalidInput: A value is not of the column's kind.
    """
    return _array(import_pyarrow(), column.values, Field(column.name, column.kind, column.optional))


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


_PLACE = Field("place", ValueKind.COUNT)


def _shared(pa: Any, values: list[Any], field: Field) -> Any:
    """Return a column of what may be a few objects, over and over: data sources, as `columnar_decoder` gives them."""
    distinct = {id(value): value for value in values}
    if 2 * len(distinct) > len(values):
        return _array(pa, values, field)
    places = dict(zip(distinct, count()))
    at = _array(pa, [places[id(value)] for value in values], _PLACE)
    return _array(pa, list(distinct.values()), field).take(at)


def _array(pa: Any, values: list[Any], field: Field) -> Any:
    kind = _type(field)
    if field.kind is ValueKind.RECORD and field.inner is not None:
        return _structs(pa, values, field.inner)
    # Of the many fields of a data source a service sends a few.
    if values and values[0] is None and values.count(None) == len(values):
        return pa.nulls(len(values), kind)
    if field.kind is ValueKind.RECORDS and field.inner is not None:
        inside = _structs(pa, list(chain.from_iterable(value or () for value in values)), field.inner)
        return _lists(pa, values, inside, kind)
    try:
        if field.kind is ValueKind.TEXTS:
            texts = list(chain.from_iterable(value or () for value in values))
            return _lists(pa, values, _plain(pa, texts, ValueKind.TEXT, kind.value_type), kind)
        return _plain(pa, values, field.kind, kind)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidInput(field.name, f"does not fit into a column of {kind}: {error}") from error


def _plain(pa: Any, values: list[Any], of: ValueKind, kind: Any) -> Any:
    """Return a column without others inside.

    Filled by hand, because `pyarrow.array` imports pandas wherever that is installed: 50 MB and half a second.
    """
    if of is ValueKind.NUMBER:
        with suppress(TypeError):  # most columns of numbers have no gap; looking for one takes longer than this
            return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(array("d", values))])
    validity = None
    if None in values:
        validity = _bits(pa, [value is not None for value in values])
        nothing = _NOTHING.get(of, "")
        values = [nothing if value is None else value for value in values]
    if of is ValueKind.FLAG:
        buffers = [_bits(pa, values)]
    elif of is ValueKind.NUMBER:
        buffers = [pa.py_buffer(array("d", values))]
    elif of is ValueKind.COUNT:
        buffers = [pa.py_buffer(array("q", values))]
    elif of is ValueKind.TIME:
        buffers = [pa.py_buffer(array("q", _all_microseconds(values)))]
    else:
        texts = list(map(json_bytes, values) if of is ValueKind.JSON else map(str.encode, map(str, values)))
        buffers = [_offsets(pa, texts), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(kind, len(values), [validity, *buffers])


_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = {ValueKind.FLAG: False, ValueKind.NUMBER: 0, ValueKind.COUNT: 0, ValueKind.TIME: _EPOCH}
"""What stands where nothing is."""


def _microseconds(moment: date) -> int:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    since = naive_utc(moment) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _all_microseconds(moments: list[Any]) -> Iterable[int]:
    try:
        return [(moment - _EPOCH) // _MICROSECOND for moment in moments]
    except TypeError:  # days, or instants with a zone
        return map(_microseconds, moments)


def _bits(pa: Any, flags: list[bool]) -> Any:
    bytewise = pa.Array.from_buffers(pa.uint8(), len(flags), [None, pa.py_buffer(bytes(flags))])
    return bytewise.cast(pa.bool_()).buffers()[1]


def _flags(pa: Any, flags: list[bool]) -> Any:
    return pa.Array.from_buffers(pa.bool_(), len(flags), [None, _bits(pa, flags)])


def _offsets(pa: Any, pieces: Iterable[Sized]) -> Any:
    return pa.py_buffer(array("i", accumulate(map(len, pieces), initial=0)))


def _structs(pa: Any, values: list[Any], record_type: type[Any]) -> Any:
    inner = fields_of(record_type)
    missing = [value is None for value in values]
    some_missing = any(missing)
    # A record of which everything may be missing is the same as none (a footprint without coordinates): no mask.
    mask = _flags(pa, missing) if some_missing and not all(one.optional for one in inner) else None
    arrays = []
    for one in inner:
        get = attrgetter(one.name)
        found = [None if v is None else get(v) for v in values] if some_missing else list(map(get, values))
        arrays.append(_array(pa, found, one))
    return pa.StructArray.from_arrays(arrays, fields=_fields(record_type), mask=mask)


def _lists(pa: Any, values: list[Any], inside: Any, kind: Any) -> Any:
    offsets = pa.Array.from_buffers(pa.int32(), len(values) + 1, [None, _offsets(pa, [one or () for one in values])])
    missing = _flags(pa, [value is None for value in values])
    return pa.ListArray.from_arrays(offsets, inside, type=kind, mask=missing)
