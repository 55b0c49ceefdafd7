"""What a record class looks like as a table: its fields and their kinds, read from its annotations."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from itertools import chain, count
from operator import attrgetter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

__all__ = ["Column", "Field", "Layout", "ValueKind", "columns", "fields_of", "layout_of", "plain_columns", "text_of"]


class ValueKind(Enum):
    """What a field holds. `JSON` is whatever has no fixed form: metadata, mappings, mixed types."""

    TIME = "time"
    FLAG = "flag"
    COUNT = "count"
    NUMBER = "number"
    TEXT = "text"
    TEXTS = "texts"
    RECORD = "record"
    RECORDS = "records"
    JSON = "json"


@attrs.frozen
class Field:
    """One field of a record class; `inner` is the class of the record or records it holds."""

    name: str
    kind: ValueKind
    optional: bool = False
    inner: type[Any] | None = None


@attrs.frozen(kw_only=True)
class Layout:
    """How the fields of a record class become columns, where the plain rule does not serve the reader.

    The plain rule: a field is a column, a record within it is one column a field, named `outer_inner`.
    """

    inline: tuple[str, ...] = ()
    """Records whose fields keep their own names: `program`, not `data_source_program`."""
    numbered: tuple[str, ...] = ()
    """Lists of records that become columns place by place: `program_1`, `program_2`."""
    long: tuple[str, str, str] | None = None
    """A mapping from days to numbers that becomes a row an entry: the field, the names of its two columns."""
    omit: tuple[str, ...] = ()
    """Fields that become no column."""
    hidden: tuple[str, ...] = ()
    """Fields that are told of nowhere, in no dictionary and no Arrow table either: what came, beside what it means."""
    texts: tuple[str, ...] = ()
    """Fields that are told of by their texts: `str(value)`."""
    last: tuple[str, ...] = ()
    """Fields that come after all others."""
    brief: tuple[str, ...] | None = None
    """The fields that are told of such a record inside another one; None is all."""
    shown: tuple[str, ...] | None = None
    """The columns of a notebook's view; None is all that fit."""
    partition: Mapping[str, str] = attrs.field(factory=dict)
    """How a dataset is divided: names, and where their values are (`data_sources.program` is that of the first)."""
    units: Mapping[str, str] = attrs.field(factory=dict)
    """Units of fields that do not name their own."""
    noun: str | None = None
    """What one record is called where they are counted; None: as its class."""
    hides_empty: bool = False
    """Whether a notebook's view leaves out columns without a value."""


_PLAIN = Layout()


def layout_of(record_type: type[Any]) -> Layout:
    """Return what a class says of its columns (`tables.table`)."""
    layout: Layout = getattr(record_type, "__table_layout__", _PLAIN)
    return layout


_KNOWN: dict[type[Any], tuple[Field, ...]] = {}


def fields_of(record_type: type[Any]) -> tuple[Field, ...]:
    """Return the fields of an attrs class that are told of, in order."""
    if record_type not in _KNOWN:
        hints, layout = get_type_hints(record_type), layout_of(record_type)
        names = [one.name for one in attrs.fields(record_type) if one.name not in (*layout.hidden, *layout.last)]
        names += [name for name in layout.last if name in hints]
        _KNOWN[record_type] = tuple(_field(one, hints.get(one, Any), one in layout.texts) for one in names)
    return _KNOWN[record_type]


def _field(name: str, hint: Any, is_text: bool) -> Field:
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    optional = type(None) in members
    if is_text:
        return Field(name, ValueKind.TEXT, optional)
    kinds = {_kind(member): member for member in members if member is not type(None)}
    if len(kinds) == 1:
        ((kind, inner),) = kinds.items()
    elif set(kinds) == {ValueKind.COUNT, ValueKind.NUMBER}:
        kind, inner = ValueKind.NUMBER, None
    else:
        # An identifier that is a text here and a number there is a text.
        kind, inner = ValueKind.TEXT if ValueKind.TEXT in kinds else ValueKind.JSON, None
    if kind is ValueKind.RECORDS:
        inner = get_args(inner)[0]
    return Field(name, kind, optional, inner if kind in (ValueKind.RECORD, ValueKind.RECORDS) else None)


def _kind(hint: Any) -> ValueKind:
    origin = get_origin(hint)
    if origin is Literal:
        return ValueKind.TEXT if all(isinstance(choice, str) for choice in get_args(hint)) else ValueKind.JSON
    if origin in (list, tuple, Sequence, frozenset, set):
        inner = next(iter(get_args(hint)), Any)
        if isinstance(inner, type) and attrs.has(inner):
            return ValueKind.RECORDS
        return ValueKind.TEXTS if inner is str else ValueKind.JSON
    if not isinstance(hint, type):
        return ValueKind.JSON
    if attrs.has(hint):
        return ValueKind.RECORD
    by_base = (
        (bool, ValueKind.FLAG),
        (int, ValueKind.COUNT),
        (float, ValueKind.NUMBER),
        (str, ValueKind.TEXT),
        (date, ValueKind.TIME),
    )
    return next((kind for base, kind in by_base if issubclass(hint, base)), ValueKind.JSON)


@attrs.frozen(eq=False)
class Column:
    """One column: a value for each record, in order; `unit` where the name does not say it."""

    name: str
    kind: ValueKind
    optional: bool
    values: list[Any]
    unit: str | None = None


def columns(
    records: Sequence[Any], record_type: type[Any], *, long: bool = True, places: int | None = None
) -> Iterator[Column]:
    """Yield the flat columns of some records, one after the other: only one is held.

    `long` makes a row of each entry of a class's `long` mapping, instead of leaving it as it is. `places` is how many
    columns a numbered list gets; None: as many as the longest one needs.
    """
    layout = layout_of(record_type)
    if not long or layout.long is None:
        yield from _flat(records, record_type, (), places=places)
        return
    name, key, value = layout.long
    entries = [(record, item) for record in records for item in getattr(record, name).items()]
    yield from _flat([record for record, _ in entries], record_type, (name,), places=places)
    days = [datetime(day.year, day.month, day.day, tzinfo=UTC) for _, (day, _) in entries]
    yield Column(key, ValueKind.TIME, False, days)
    yield Column(value, ValueKind.COUNT, False, [count for _, (_, count) in entries])


def _flat(
    values: Sequence[Any],
    record_type: type[Any],
    without: tuple[str, ...],
    *,
    prefix: str = "",
    suffix: str = "",
    optional: bool = False,
    places: int | None = None,
) -> Iterator[Column]:
    layout = layout_of(record_type)
    for field in fields_of(record_type):
        if field.name in without or field.name in layout.omit:
            continue
        found = _attribute(values, field.name, optional)
        if field.name in layout.texts:
            found = list(map(text_of, found))
        missing = optional or field.optional
        if field.kind is ValueKind.RECORD and field.inner is not None:
            yield from _flat(
                found,
                field.inner,
                _told_not(field.inner),
                prefix=prefix if field.name in layout.inline else f"{prefix}{field.name}_",
                suffix=suffix,
                optional=missing,
            )
        elif field.name in layout.numbered and field.inner is not None:
            lists = [one or () for one in found]
            # At least two, so that a table of no conjunctions has the columns of one.
            for place in range(places or max(2, max(map(len, lists), default=0))):
                yield from _flat(
                    [one[place] if place < len(one) else None for one in lists],
                    field.inner,
                    _told_not(field.inner),
                    suffix=f"_{place + 1}",
                    optional=True,
                )
        else:
            yield Column(f"{prefix}{field.name}{suffix}", field.kind, missing, found, layout.units.get(field.name))


def _attribute(values: Sequence[Any], name: str, optional: bool) -> list[Any]:
    if optional:
        return [None if value is None else getattr(value, name) for value in values]
    return list(map(attrgetter(name), values))


def text_of(value: object) -> str | None:
    """Return what stands for one of a layout's `texts`."""
    return None if value is None else str(value)


def _told_not(record_type: type[Any]) -> tuple[str, ...]:
    brief = layout_of(record_type).brief
    return () if brief is None else tuple(one.name for one in fields_of(record_type) if one.name not in brief)


def plain_columns(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of plain objects; one within another is a column a key, named `outer_inner`.

    Where that is the name of another column already, as of `{"a_b": 1, "a": {"b": 2}}`, a number follows: `a_b_2`.
    """
    flat = [dict(_leaves(record, ())) for record in records]
    found: dict[str, list[Any]] = {}
    for path in dict.fromkeys(path for row in flat for path in row):
        name = "_".join(map(str, path))
        numbered = (f"{name}_{number}" for number in count(2))
        found[next(one for one in chain((name,), numbered) if one not in found)] = [row.get(path) for row in flat]
    return found


def _leaves(record: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value
