"""Records out of JSON: decoded at C speed, a block of them at a time, and then as their constructors would make them.

msgspec fills the fields of a record and calls neither its constructor nor its converters. What a converter would change
(the service's bare timestamps are UTC) is changed afterwards, field by field for a whole block: 0.2 µs a field, where a
`__attrs_post_init__`, called for every record, took 3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from operator import attrgetter
from types import new_class
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import msgspec

from aurora_async.times import start_of
from aurora_async.transfer._shapes import ValueKind, fields_of

if TYPE_CHECKING:
    from attrs import frozen as light

__all__ = ["as_utc", "block_wise", "converted", "decoder", "exhaust", "light"]

T = TypeVar("T")

_Values = list[Any]
_BlockWise = Callable[[_Values], _Values | None]

_BLOCK_WISE: dict[Any, _BlockWise] = {}
exhaust = deque[Any](maxlen=0).extend
"""Takes all of an iterator, at C speed, for what that does."""


def decoder(record_type: type[T] | None) -> Callable[[bytes], list[T]]:
    """Return what reads a JSON list of records; None for plain dictionaries and values.

    It raises the errors of msgspec, whose text ends with the place (`$[3].epoch`).
    """
    of: Any = list if record_type is None else list[record_type]  # type: ignore[valid-type]
    decode: Callable[[bytes], list[T]] = msgspec.json.Decoder(of).decode
    if record_type is None or not (steps := _steps(record_type)):
        return decode

    def decode_and_complete(text: bytes) -> list[T]:
        records = decode(text)
        _complete(records, steps)
        return records

    return decode_and_complete


def converted(document: Any, record_type: type[T]) -> T:
    """Return the record of a document that is decoded already; raises `msgspec.ValidationError`."""
    record = msgspec.convert(document, record_type)
    try:
        _complete([record], _steps(record_type))
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(str(error).replace("`$[0]", "`$", 1)) from None
    return record


def block_wise(converter: Callable[[Any], Any], convert_all: _BlockWise) -> None:
    """Say how a converter of attrs fields is applied to many decoded values: None if all stay as they are.

    `convert_all` raises `ValueError` where the converter does.
    """
    _BLOCK_WISE[converter] = convert_all


def as_utc(moment: datetime) -> datetime:
    """Make a timestamp aware UTC, a bare one without changing its numbers; what is none stays as it is."""
    if not isinstance(moment, datetime) or moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else start_of(moment, "timestamp")


_NAIVE, _AWARE = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)


def _all_as_utc(moments: list[datetime]) -> list[datetime]:
    try:
        return [moment - _NAIVE + _AWARE for moment in moments]  # in a fifth of the time of `replace`
    except TypeError:  # some come with a zone
        return list(map(as_utc, moments))


block_wise(as_utc, _all_as_utc)


# Steps ----------------------------------------------------------------------------------------------------------------

_Step = tuple[str, Callable[[Sequence[Any]], None]]
"""A field, and what completes it in some records."""


_STEPS: dict[Any, tuple[_Step, ...]] = {}


def _steps(record_type: Any) -> tuple[_Step, ...]:
    if record_type not in _STEPS:
        _STEPS[record_type] = tuple(_made_steps(record_type)) if attrs.has(record_type) else ()
    return _STEPS[record_type]


def _made_steps(record_type: type[Any]) -> Iterator[_Step]:
    for one in attrs.fields(record_type):
        if (convert_all := _BLOCK_WISE.get(one.converter)) is not None:
            set = getattr(record_type, one.name).__set__
            yield one.name, partial(_convert, attrgetter(one.name), set, convert_all)
    for field in fields_of(record_type):
        if field.kind is ValueKind.RECORDS and (steps := _steps(field.inner)):
            yield field.name, partial(_complete_within, attrgetter(field.name), steps)


_REFUSED = (ValueError, msgspec.ValidationError)


def _complete(records: Sequence[Any], steps: Iterable[_Step]) -> None:
    for name, complete in steps:
        try:
            complete(records)
        except _REFUSED as error:
            if len(records) > 1:  # one by one, to see which
                for index, record in enumerate(records):
                    try:
                        complete([record])
                    except _REFUSED as found:
                        raise _placed(found, index, name) from None
            raise _placed(error, 0, name) from None


def _placed(error: Exception, index: int, name: str) -> msgspec.ValidationError:
    reason, _, below = str(error).partition(" - at `$")
    return msgspec.ValidationError(f"{reason} - at `$[{index}].{name}{below or '`'}")


def _convert(
    get: Callable[[Any], Any], set: Callable[[Any, Any], None], convert_all: _BlockWise, records: Sequence[Any]
) -> None:
    values = convert_all(list(map(get, records)))
    if values is not None:
        exhaust(map(set, records, values))


def _complete_within(get: Callable[[Any], Any], steps: Iterable[_Step], records: Sequence[Any]) -> None:
    _complete(list(chain.from_iterable(filter(None, map(get, records)))), steps)


# Classes --------------------------------------------------------------------------------------------------------------

if not TYPE_CHECKING:

    def light(cls: type[T] | None = None, /, *, kw_only: bool = False) -> Any:
        """Make a class as `attrs.frozen` does, of the kind that msgspec fills twice as fast: one of its structures.

        For what comes by the million. Converters run when one is constructed, and the functions of attrs (`evolve`,
        `fields`, `asdict`) take it as their own. The garbage collector does not look at it: nothing that is decoded is
        part of a cycle.
        """
        if cls is None:
            return partial(light, kw_only=kw_only)
        known = attrs.fields(attrs.frozen(cls, kw_only=kw_only))
        names = {field.name for field in known}
        if any(one.validator or not (one.init and one.repr is True and one.eq is True) for one in known):
            raise TypeError(f"{cls.__name__}: a light class has no validators; every field is in its init, repr and eq")

        def fill(namespace: dict[str, Any]) -> None:
            namespace.update({name: value for name, value in vars(cls).items() if name not in (*names, *_OF_INSTANCES)})
            namespace.update({field.name: _default(field) for field in known if field.default is not attrs.NOTHING})

        settings = {"metaclass": _Light, "frozen": True, "gc": False, "kw_only": kw_only}
        made = new_class(cls.__name__, (msgspec.Struct,), settings, fill)
        made.__attrs_attrs__ = known
        return made


_OF_INSTANCES = ("__dict__", "__weakref__")


class _Light(type(msgspec.Struct)):  # type: ignore[misc]
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        for field in attrs.fields(cls):
            if field.converter is not None:
                getattr(cls, field.name).__set__(made, field.converter(getattr(made, field.name)))
        return made


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    return msgspec.field(default_factory=default.factory) if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]
