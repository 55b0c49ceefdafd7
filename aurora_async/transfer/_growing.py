"""Columns that grow: values become Arrow's buffers some hundred at a time, and its arrays in the end.

Filled by hand, because `pyarrow.array` imports pandas wherever that is installed: 50 MB and half a second. And filled
without pyarrow, whose calls take some microseconds each however few values they are given; a record of ephemeris has
thirty columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import accumulate, chain, count
from operator import attrgetter
from typing import Any, Protocol

from aurora_async.errors import InvalidInput
from aurora_async.transfer._columnar import naive_utc
from aurora_async.transfer._json import json_bytes
from aurora_async.transfer._shapes import Field, ValueKind, fields_of

__all__ = ["Growing", "Shared", "growing"]


class Growing(Protocol):
    """A column. Where `extend` raises it may have taken some of the values: that is the end of the whole table."""

    def extend(self, values: list[Any], /) -> None: ...

    def finish(self) -> Any:
        """Return the Arrow array; nothing can be added any more."""


def growing(pa: Any, field: Field, kind: Any) -> Growing:
    """Return an empty column for the values of a field, which is to become an array of the Arrow type `kind`."""
    if field.inner is not None:
        is_one = field.kind is ValueKind.RECORD
        records = _Records(pa, field.inner, kind if is_one else kind.value_type)
        return records if is_one else _Lists(pa, field.name, kind, records)
    if field.kind is ValueKind.TEXTS:
        return _Lists(pa, field.name, kind, _Texts(pa, field.name, kind.value_type, kind))
    leaves: dict[ValueKind, Callable[..., Growing]] = {
        ValueKind.TIME: _Times,
        ValueKind.FLAG: _Flags,
        ValueKind.COUNT: _Counts,
        ValueKind.NUMBER: _Numbers,
        ValueKind.JSON: _Documents,
    }
    return leaves.get(field.kind, _Texts)(pa, field.name, kind, kind)


class _Gaps:
    """Where values are missing: a byte for each, up to the last that anything was said of."""

    def __init__(self, pa: Any) -> None:
        self._pa = pa
        self._missing = bytearray()

    def note(self, before: int, missing: Sequence[bool]) -> None:
        """Say which of the next values are missing, behind so many others."""
        self._missing += bytes(before - len(self._missing))
        self._missing += bytes(missing)

    def mask(self, length: int) -> Any:
        """Return an array that is true where values are missing, None where none is."""
        return _flags(self._pa, self._missing.ljust(length, b"\0")) if self._missing else None

    def validity(self, length: int) -> Any:
        """Return the bits that are set where values are there, None where all are."""
        there = self._missing.translate(_OPPOSITE).ljust(length, b"\1")
        return _flags(self._pa, there).buffers()[1] if self._missing else None


_OPPOSITE = bytes.maketrans(b"\0\1", b"\1\0")


def _flags(pa: Any, flags: bytes | bytearray) -> Any:
    return pa.Array.from_buffers(pa.uint8(), len(flags), [None, pa.py_buffer(flags)]).cast(pa.bool_())


def _offsets(pa: Any, sizes: array[int]) -> Any:
    return pa.py_buffer(array("i", accumulate(sizes, initial=0)))


# Without others inside ------------------------------------------------------------------------------------------------


class _Leaf(ABC):
    """`said` is the type that an error names."""

    nothing: Any = 0
    """What stands where nothing is."""

    def __init__(self, pa: Any, name: str, kind: Any, said: Any) -> None:
        self._pa = pa
        self._name = name
        self._kind = kind
        self._said = said
        self._gaps = _Gaps(pa)
        self._length = 0

    def extend(self, values: list[Any]) -> None:
        try:
            try:
                self._take(values)  # most columns have no gap; looking for one takes longer than this
            except (TypeError, AttributeError):
                if None not in values:
                    raise
                self._gaps.note(self._length, [value is None for value in values])
                self._take([self.nothing if value is None else value for value in values])
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InvalidInput(self._name, f"does not fit into a column of {self._said}: {error}") from error
        self._length += len(values)

    def finish(self) -> Any:
        validity = self._gaps.validity(self._length)
        return self._pa.Array.from_buffers(self._kind, self._length, [validity, *self._buffers()])

    @abstractmethod
    def _take(self, values: list[Any]) -> None:
        """Take all values, or none: None and what else is wrong raises what it raises in Python."""

    @abstractmethod
    def _buffers(self) -> list[Any]:
        """Return what Arrow has beside the validity of such a column."""


class _Numbers(_Leaf):
    code = "d"

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._values = array(self.code)

    def _take(self, values: list[Any]) -> None:
        self._values += array(self.code, values)

    def _buffers(self) -> list[Any]:
        return [self._pa.py_buffer(self._values)]


class _Counts(_Numbers):
    code = "q"


_EPOCH = datetime(1970, 1, 1)


class _Times(_Counts):
    nothing = _EPOCH

    def _take(self, values: list[Any]) -> None:
        try:
            passed = [moment - _EPOCH for moment in values]
        except TypeError:  # days, or instants with a zone
            passed = [_instant(moment) - _EPOCH for moment in values]
        super()._take([one.days * 86_400_000_000 + one.seconds * 1_000_000 + one.microseconds for one in passed])


def _instant(moment: date) -> datetime:
    if isinstance(moment, datetime):
        return naive_utc(moment)
    return datetime(moment.year, moment.month, moment.day)


class _Flags(_Leaf):
    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._values = bytearray()

    def _take(self, values: list[Any]) -> None:
        self._values += bytes(values)

    def _buffers(self) -> list[Any]:
        return [_flags(self._pa, self._values).buffers()[1]]


class _Texts(_Leaf):
    nothing: Any = ""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._text = bytearray()
        self._sizes = array("i")

    def _take(self, values: list[Any]) -> None:
        if None in values:
            raise TypeError("None is no text")
        self._take_encoded([str(value).encode() for value in values])

    def _take_encoded(self, texts: list[bytes]) -> None:
        self._text += b"".join(texts)
        self._sizes.extend(map(len, texts))

    def _buffers(self) -> list[Any]:
        return [_offsets(self._pa, self._sizes), self._pa.py_buffer(self._text)]


class _Documents(_Texts):
    """What has no fixed form, as JSON; what is bytes is that already, and so is `msgspec.Raw`."""

    nothing = b""

    def _take(self, values: list[Any]) -> None:
        try:
            self._take_encoded(values)
        except TypeError:
            if None in values:
                raise
            self._take_encoded(list(map(json_bytes, values)))


# Of others ------------------------------------------------------------------------------------------------------------


class _Records:
    """A column a field. A record of which everything may be missing is the same as none: such have no gaps."""

    def __init__(self, pa: Any, record_type: type[Any], kind: Any) -> None:
        fields = fields_of(record_type)
        self._pa = pa
        self._kind = kind
        self._columns = [growing(pa, one, kind.field(one.name).type) for one in fields]
        self._getters = [attrgetter(one.name) for one in fields]
        self._gaps = None if all(one.optional for one in fields) else _Gaps(pa)
        self._length = 0

    def extend(self, values: list[Any]) -> None:
        try:
            inside = [list(map(get, values)) for get in self._getters]
        except AttributeError:
            if None not in values:
                raise
            if self._gaps is not None:
                self._gaps.note(self._length, [value is None for value in values])
            inside = [[None if value is None else get(value) for value in values] for get in self._getters]
        for column, found in zip(self._columns, inside, strict=True):
            column.extend(found)
        self._length += len(values)

    def finish(self) -> Any:
        arrays = [column.finish() for column in self._columns]
        mask = None if self._gaps is None else self._gaps.mask(self._length)
        return self._pa.StructArray.from_arrays(arrays, fields=list(self._kind), mask=mask)


class _Lists:
    def __init__(self, pa: Any, name: str, kind: Any, inside: Growing) -> None:
        self._pa = pa
        self._name = name
        self._kind = kind
        self._inside = inside
        self._gaps = _Gaps(pa)
        self._sizes = array("i")

    def extend(self, values: list[Any]) -> None:
        if None in values:
            self._gaps.note(len(self._sizes), [value is None for value in values])
        lists = [value or () for value in values]
        try:
            inside = list(chain.from_iterable(lists))
        except TypeError as error:
            raise InvalidInput(self._name, f"does not fit into a column of {self._kind}: {error}") from error
        self._inside.extend(inside)
        self._sizes.extend(map(len, lists))

    def finish(self) -> Any:
        pa, length = self._pa, len(self._sizes)
        offsets = pa.Array.from_buffers(pa.int32(), length + 1, [None, _offsets(pa, self._sizes)])
        return pa.ListArray.from_arrays(offsets, self._inside.finish(), type=self._kind, mask=self._gaps.mask(length))


class Shared:
    """A column of what may be a few objects, over and over: data sources, as `columnar_decoder` gives them."""

    def __init__(self, pa: Any, inside: Growing) -> None:
        self._pa = pa
        self._inside = inside
        self._inside_length = 0
        self._places: dict[int, int] = {}
        self._known: list[Any] = []
        self._at = array("i")

    def extend(self, values: list[Any]) -> None:
        identities = list(map(id, values))
        if not self._places.keys() >= (distinct := set(identities)):
            self._learn(dict(zip(identities, values, strict=True)))
        if len(distinct) == 1:
            self._at += array("i", [self._places[identities[0]]]) * len(values)
        else:
            self._at += array("i", list(map(self._places.__getitem__, identities)))

    def _learn(self, values: dict[int, Any]) -> None:
        new = {identity: value for identity, value in values.items() if identity not in self._places}
        if len(self._known) + len(new) > _MOST_KNOWN:
            self._places, self._known, new = {}, [], values
        self._places.update(zip(new, count(self._inside_length)))
        self._known += new.values()  # held: while they are here, no other object has the identity of one of them
        self._inside.extend(list(new.values()))
        self._inside_length += len(new)

    def finish(self) -> Any:
        at = self._pa.Array.from_buffers(self._pa.int32(), len(self._at), [None, self._pa.py_buffer(self._at)])
        return self._inside.finish().take(at)


_MOST_KNOWN = 1000
