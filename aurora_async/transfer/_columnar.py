"""Record classes remade: to be decoded fast on the way to columns, and to hold what a response format leaves.

Nobody sees a record on the way from JSON to a column, so no record is made. A plain structure with the same fields
refuses what the record class refuses, and leaves metadata as the text that it becomes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from aurora_async.errors import InvalidInput, MalformedAnswer
from aurora_async.transfer._shapes import ValueKind, fields_of, layout_of
from aurora_async.transfer.cutter import RecordCutter
from aurora_async.transfer.decoding import exhaust

__all__ = ["columnar", "columnar_decoder", "fitting", "naive_utc", "narrowed"]

# JSON's whole numbers have no end, those of a column have; said here, the error names the record.
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_COLUMNAR: dict[type[Any], type[Any]] = {}


def columnar(record_type: type[Any]) -> type[Any]:
    """Return a structure with the fields of an attrs class, decoded from the same JSON.

    Mappings of text keep their values as JSON text, instants without a zone stay without (they are UTC), and nothing
    that the class does when a record is made is done.
    """
    if record_type not in _COLUMNAR:
        hints = get_type_hints(record_type)
        fields = [_field(one, hints.get(one.name, Any)) for one in attrs.fields(record_type)]
        # gc=False: no record holds itself, and looking through a million of them costs more than making them.
        _COLUMNAR[record_type] = msgspec.defstruct(record_type.__name__, fields, kw_only=True, gc=False)
    return _COLUMNAR[record_type]


def columnar_decoder(record_type: type[Any]) -> Callable[[bytes], list[Any]]:
    """Return what reads a JSON list of records into such structures, each kind of data source only once.

    A record within a record that keeps its own columns' names (`Layout.inline`) says what the record is about: few
    different ones come, each thousands of times. Metadata that is text in the end is not looked into. A Parquet file
    takes a third less time so. Where that does not work, `columnar` alone is asked, and says what is wrong.
    """
    plain: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[columnar(record_type)]).decode  # type: ignore[misc]
    hints = get_type_hints(record_type)
    required = [one.name for one in attrs.fields(record_type) if one.default is attrs.NOTHING]
    shared = [name for name in layout_of(record_type).inline if name in required]
    texts = [name for name, hint in hints.items() if hint == dict[str, Any] | None]
    if not shared and not texts:
        return plain
    raw = dict.fromkeys((*shared, *texts), msgspec.Raw)
    fields = [_field(one, raw.get(one.name) or hints.get(one.name, Any)) for one in attrs.fields(record_type)]
    quick_type = msgspec.defstruct(record_type.__name__, fields, kw_only=True, gc=False)
    quick = msgspec.json.Decoder(list[quick_type]).decode  # type: ignore[valid-type]
    steps = {name: _Known(hints[name]).all_of for name in shared} | dict.fromkeys(texts, _compact)
    slots = [(attrgetter(name), getattr(quick_type, name).__set__, step) for name, step in steps.items()]

    def decode(text: bytes) -> list[Any]:
        try:
            records = quick(text)
            if not records:
                return records
            for get, set, step in slots:
                if (values := step(list(map(get, records)))) is not None:
                    exhaust(map(set, records, values))
            return records
        except msgspec.DecodeError:
            return plain(text)

    return decode


class _Known(dict[bytes, Any]):
    """Records by their text, decoded when they are first seen; the last thousand, lest a strange answer fill memory."""

    def __init__(self, hint: Any) -> None:
        super().__init__()
        self._decode = msgspec.json.Decoder(_hint(hint)).decode

    def __missing__(self, text: bytes) -> Any:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[text] = found = self._decode(msgspec.json.format(text, indent=-1))
        return found

    def all_of(self, raws: list[Any]) -> Iterable[Any]:
        first = bytes(raws[0])
        if b"".join(raws) == first * len(raws):
            return repeat(self[first], len(raws))
        return map(self.__getitem__, map(bytes, raws))


_MOST_KNOWN = 1000
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _compact(raws: list[Any]) -> Iterable[Any] | None:
    """Return the texts of objects without white space, None for null; None in all if each stays as it is."""
    lines = b"[\n%s]" % b",\n".join(raws)
    compact = msgspec.json.format(lines, indent=-1)
    is_compact = len(compact) == len(lines) - len(raws)
    if is_compact and lines.count(b"\n{") == len(raws):
        return None
    texts = list(map(bytes, raws if is_compact else _raws(compact)))
    if not {text[:1] for text in texts} <= {b"{", b"n"}:
        raise msgspec.ValidationError("Expected `object | null`")
    return [None if text == b"null" else text for text in texts]


_NULL = msgspec.Raw(b"null")


def _field(field: attrs.Attribute[Any], hint: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    default: Any = field.default
    if default is attrs.NOTHING:
        return field.name, _hint(hint)
    if hint is msgspec.Raw:
        return field.name, hint, _NULL
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return field.name, _hint(hint), msgspec.field(default_factory=default.factory)
    return field.name, _hint(hint), default


def _hint(hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_hint, get_args(hint)))]  # noqa: UP007
    if hint is int:
        return _INT64
    if hint == dict[str, Any]:
        return dict[str, msgspec.Raw]
    if isinstance(hint, type) and attrs.has(hint):
        return columnar(hint)
    if origin is list:
        return list[_hint(get_args(hint)[0])]  # type: ignore[misc]
    return hint


def naive_utc(moment: datetime) -> datetime:
    """Return an instant without its zone: UTC, as everywhere."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


_NARROWED: dict[tuple[type[Any], bytes], type[Any]] = {}


@contextmanager
def fitting(cutter: RecordCutter[Any], url: str, records: Sequence[Any]) -> Iterator[None]:
    """Say where in the answer the records are, just cut, of which one does not fit into its column."""
    try:
        yield
    except (InvalidInput, OverflowError) as error:  # such as an instant that lies in the year 0 once its zone is gone
        where = f"{cutter.path}[{cutter.count - len(records)}:{cutter.count}]"
        raise MalformedAnswer(url, where, str(error)) from error


def narrowed(record_type: type[Any], response_format: Mapping[str, Any]) -> type[Any]:
    """Return the class of the records that a response format leaves: fewer fields, each as before or None.

    What a response format asks for has its place in every form, so nothing is left out that `record_type` leaves out.

    Raises:
        InvalidInput: It leaves nothing.
    """
    key = record_type, msgspec.json.encode(response_format)
    if key not in _NARROWED:
        made = _narrowed(record_type, response_format)
        if not attrs.fields(made):
            raise InvalidInput("response_format", "selects no key: give true to at least one")
        _NARROWED[key] = made
    return _NARROWED[key]


def _narrowed(record_type: type[Any], response_format: Mapping[str, Any]) -> type[Any]:
    hints = get_type_hints(record_type)
    kept: dict[str, Any] = {}
    for field in fields_of(record_type):
        wanted = response_format.get(field.name, False)
        if not wanted:
            continue
        hint = hints[field.name]
        if field.inner is not None and isinstance(wanted, Mapping):
            inner = _narrowed(field.inner, wanted)
            if not attrs.fields(inner):
                continue
            hint = inner if field.kind is ValueKind.RECORD else list[inner]  # type: ignore[valid-type]
        kept[field.name] = attrs.field(default=None, type=hint | None)
    made = attrs.make_class(record_type.__name__, kept, frozen=True, kw_only=True)
    made.__table_layout__ = attrs.evolve(layout_of(record_type), omit=(), brief=None)  # type: ignore[attr-defined]
    return made
