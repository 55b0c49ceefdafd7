"""Searching by attributes, which are joined with `&` and `|`, as sunpy's users write them.

```python
from aurora_async.jsoc import attrs as a

flare = a.Time("2021-07-03T14:25", "2021-07-03T14:35") & a.Series("aia.lev1_euv_12s")
async with Jsoc() as client:
    found = await client.search(flare, a.Wavelength(171) | a.Wavelength(211), a.Keyword("EXPTIME") < 2)
    export = await client.export(found[1][:5])  # these five records of the second block, and no others
```

What stands between the `|` is a block: one query of one series. Values may be astropy's times, quantities and
coordinates; neither astropy nor sunpy has to be there.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import reduce
from itertools import chain, product
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, TypeVar, overload

import anyio
import attrs

from aurora_async.display.numbers import plural
from aurora_async.errors import AuroraError, InvalidInput, InvalidQuery, raise_bare
from aurora_async.jsoc import attrs as jsoc  # itself: sunpy's users write `a.jsoc.Series`
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.recordset import (
    Between,
    Condition,
    Duration,
    Filter,
    KeyFilter,
    One,
    OpenFilter,
    Range,
    RecordSet,
    Subset,
)
from aurora_async.jsoc.tables import RecordTable, Row
from aurora_async.jsoc.times import InstantLike, TaiTime

if TYPE_CHECKING:
    from aurora_async.jsoc.client import Jsoc
    from aurora_async.jsoc.models import Keyword as KeywordInfo
    from aurora_async.jsoc.models import SeriesInfo

__all__ = [
    "Attribute",
    "Block",
    "Cutout",
    "FoundRecords",
    "Keyword",
    "Notify",
    "PrimeKey",
    "Protocol",
    "Sample",
    "SearchResults",
    "Segment",
    "Series",
    "Time",
    "Wavelength",
    "jsoc",
    "search",
]

AttributeT = TypeVar("AttributeT", bound="Attribute")
Block = tuple["Attribute", ...]
"""Attributes that hold together: what one query asks."""

_WAVELENGTH = "WAVELNTH"
_AT_ONCE = 4


class Attribute:
    """What records are searched by. `one & other` must both hold, of `one | other` either may."""

    __slots__ = ()

    def __and__(self, other: object) -> Attribute:
        return _All((self, other)) if isinstance(other, Attribute) else NotImplemented

    def __or__(self, other: object) -> Attribute:
        return _Any((self, other)) if isinstance(other, Attribute) else NotImplemented

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The alternatives: one block more for every `|`, multiplied out."""
        return ((self,),)


@attrs.frozen
class _All(Attribute):
    parts: tuple[Attribute, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(tuple(chain(*combination)) for combination in product(*(part.blocks for part in self.parts)))


@attrs.frozen
class _Any(Attribute):
    parts: tuple[Attribute, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(chain(*(part.blocks for part in self.parts)))


def _number(value: Any, unit: str, field: str) -> float:
    """Return a number in `unit`, which a number without a unit is in already."""
    try:
        number = float(value.to_value(unit) if hasattr(value, "to_value") else value)
    except (TypeError, ValueError) as error:  # astropy's errors of units are both
        raise InvalidQuery(field, f"{value!r} is no number of {unit}: {error}") from None
    if not math.isfinite(number):
        raise InvalidQuery(field, f"{value!r} is no number of {unit}")
    # 17.1 nm are 171.00000000000003 Angstrom.
    return round(number) if math.isclose(number, round(number), rel_tol=1e-14) else number


def _instant(when: InstantLike) -> TaiTime:
    return TaiTime.of(when)


def _length(value: Any) -> Duration:
    return Duration(value.total_seconds() if isinstance(value, timedelta) else _number(value, "s", "Sample"))


def _angstrom(value: Any) -> float:
    return _number(value, "Angstrom", "Wavelength")


def _text(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


# The attributes ------------------------------------------------------------------------------------------------------


@attrs.frozen
class Series(Attribute):
    """The records of this series, such as `aia.lev1_euv_12s`; every block needs one."""

    name: str


@attrs.frozen
class Time(Attribute):
    """Records from `start` to `end`, both included: by the first prime key of the series that is a time.

    Takes texts in any form of the service, datetimes (naive ones are UTC), dates, `TaiTime` and astropy's `Time`.
    """

    start: TaiTime = attrs.field(converter=_instant)
    end: TaiTime = attrs.field(converter=_instant)

    def __attrs_post_init__(self) -> None:
        if self.end < self.start:
            raise InvalidQuery("Time", f"ends ({self.end}) before it starts ({self.start})")


@attrs.frozen
class Sample(Attribute):
    """Of the records in a `Time` only one every so often: seconds, a timedelta, or a quantity."""

    every: Duration = attrs.field(converter=_length)

    def __attrs_post_init__(self) -> None:
        if not self.every.number:
            raise InvalidQuery("Sample", "must be longer than 0 s")


@attrs.frozen
class Wavelength(Attribute):
    """Images of one wavelength, or of those from `shortest` to `longest`: in Angstrom, or a quantity of length."""

    shortest: float = attrs.field(converter=_angstrom)
    longest: float = attrs.field(converter=_angstrom)

    @longest.default
    def _same(self) -> float:
        return self.shortest

    def __attrs_post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise InvalidQuery("Wavelength", f"{self.shortest:g} to {self.longest:g} Angstrom is no range")


@attrs.frozen(init=False)
class PrimeKey(Attribute):
    """Records whose prime key `name` has one of the values, or lies in a range: `PrimeKey("HARPNUM", 4864)`.

    A value is a text, number or time, a pair `(first, last)` is a range with both its ends.
    """

    name: str
    values: tuple[Any, ...]

    def __init__(self, name: str, *values: Any) -> None:
        if not values:
            raise InvalidQuery(name, "needs a value; leave the attribute out for any")
        self.__attrs_init__(name, values)


@attrs.frozen(init=False)
class Segment(Attribute):
    """Only these of the files that records have, such as `image`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        if not names:
            raise InvalidQuery("Segment", "needs a name; leave the attribute out for all files")
        self.__attrs_init__(names)


@attrs.frozen
class Protocol(Attribute):
    """How files are exported: `as-is`, `fits`, `jpg`, `mpg`, `mp4`, `png`."""

    name: str


@attrs.frozen
class Notify(Attribute):
    """The registered e-mail address that an export is made for."""

    address: str


class Keyword:
    """A keyword to be compared: `Keyword("EXPTIME") < 2`. Several comparisons of one keyword all hold.

    A value is a number, a text, or for a keyword that is a time whatever `Time` takes.
    """

    __slots__ = ("name",)
    __hash__ = None  # type: ignore[assignment]  # == makes a condition here

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"\w+", name, re.ASCII):
            raise InvalidQuery("Keyword", f"{name!r} is not the name of a keyword")
        self.name = name

    def __repr__(self) -> str:
        return f"Keyword({self.name!r})"

    def __lt__(self, value: Any) -> Comparison:
        return Comparison(self.name, "<", value)

    def __le__(self, value: Any) -> Comparison:
        return Comparison(self.name, "<=", value)

    def __gt__(self, value: Any) -> Comparison:
        return Comparison(self.name, ">", value)

    def __ge__(self, value: Any) -> Comparison:
        return Comparison(self.name, ">=", value)

    def __eq__(self, value: Any) -> Comparison:  # type: ignore[override]
        return Comparison(self.name, "=", value)

    def __ne__(self, value: Any) -> Comparison:  # type: ignore[override]
        return Comparison(self.name, "<>", value)

    def __and__(self, other: object) -> NoReturn:
        # `&` binds tighter than `<`: what comes here was meant to be compared first.
        raise InvalidQuery("Keyword", f'write the comparison in parentheses: (Keyword("{self.name}") < 2) & …')

    __rand__ = __or__ = __ror__ = __and__


@attrs.frozen
class Comparison(Attribute):
    """A condition on a keyword, made by comparing a `Keyword`."""

    name: str
    operator: str
    value: Any

    def __bool__(self) -> bool:
        # `1 < Keyword("EXPTIME") < 2` asks for it, and would lose its first half.
        raise TypeError("a comparison is neither true nor false here; join comparisons with &")

    def sql(self, keyword: KeywordInfo) -> str:
        """Write it for the service, whose times are numbers and whose texts stand in quotes."""
        return f"{self.name} {self.operator} {self._literal(keyword)}"

    def _literal(self, keyword: KeywordInfo) -> str:
        value = self.value
        if keyword.is_time:
            return f"$({_time_text(TaiTime.of(value), keyword)})"
        if isinstance(value, bool) or not (isinstance(value, str | Real) or hasattr(value, "to_value")):
            raise InvalidQuery(self.name, f"{value!r} is neither a number nor a text, and {self.name} is no time")
        if keyword.is_numeric:
            return _text(_number(value, keyword.units or "its unit", self.name))
        text = str(value)
        if "'" in text or '"' in text or ";" in text:
            raise InvalidQuery(self.name, f"{text!r} holds a quote or a semicolon, which the service refuses")
        return f"'{text}'"


@attrs.frozen(init=False)
class Cutout(Attribute):
    """A part of each image, by two opposite corners, or one and the size; it follows the Sun's rotation if wanted.

    Args:
        bottom_left: A helioprojective coordinate as astropy and sunpy have it, or x and y in arcsec.
        top_right: The same; or give `width` and `height`, in arcsec or as quantities of angle.
        at: When the coordinates hold; by default the `obstime` of `bottom_left`.
        tracking: Follow the rotation of the Sun from there on.
        register: Shift the images by fractions of a pixel, so that they lie upon each other.
        nan_off_limb: Leave out what is not on the disk.
    """

    arguments: Mapping[str, Any]
    """Those of the service's processing step `im_patch`."""

    def __init__(
        self,
        bottom_left: Any,
        top_right: Any = None,
        *,
        width: Any = None,
        height: Any = None,
        at: InstantLike | None = None,
        tracking: bool = False,
        register: bool = False,
        nan_off_limb: bool = False,
    ) -> None:
        left, bottom = _corner(bottom_left, "Cutout.bottom_left")
        if [top_right is None, width is None, height is None] not in ([False, True, True], [True, False, False]):
            raise InvalidQuery("Cutout", "give either top_right, or both width and height")
        if top_right is not None:
            right, top = _corner(top_right, "Cutout.top_right")
        else:
            right = left + _number(width, "arcsec", "Cutout.width")
            top = bottom + _number(height, "arcsec", "Cutout.height")
        if right <= left or top <= bottom:
            raise InvalidQuery("Cutout", f"is empty: from {left:g}, {bottom:g} to {right:g}, {top:g} arcsec")
        at = getattr(bottom_left, "obstime", None) if at is None else at
        if at is None:
            raise InvalidQuery("Cutout.at", "is missing: say when these coordinates hold")
        arguments = {
            "t_ref": TaiTime.of(at).text("ISO", 3),
            "t": int(not tracking),
            "r": int(register),
            "c": int(nan_off_limb),
            "locunits": "arcsec",
            "boxunits": "arcsec",
            "x": (left + right) / 2,
            "y": (bottom + top) / 2,
            "width": right - left,
            "height": top - bottom,
        }
        self.__attrs_init__(arguments)


def _corner(place: Any, field: str) -> tuple[float, float]:
    if hasattr(place, "Tx") and hasattr(place, "Ty"):
        place = (place.Tx, place.Ty)
    try:
        x, y = place
    except (TypeError, ValueError):
        wanted = "x and y in arcsec, or a helioprojective coordinate (transform others to it)"
        raise InvalidQuery(field, f"{place!r} is not {wanted}") from None
    return _number(x, "arcsec", field), _number(y, "arcsec", field)


# From a block to a record set ----------------------------------------------------------------------------------------


def _all_of(block: Block, kind: type[AttributeT]) -> list[AttributeT]:
    return [attribute for attribute in block if isinstance(attribute, kind)]


def _one_of(block: Block, kind: type[AttributeT]) -> AttributeT | None:
    found = _all_of(block, kind)
    for other in found[1:]:
        if other != found[0]:
            raise InvalidQuery(kind.__name__, f"{found[0]} and {other} cannot both hold; join alternatives with |")
    return found[0] if found else None


def _series_of(block: Block) -> str:
    series = _one_of(block, Series)
    if series is None:
        raise InvalidQuery("Series", 'is missing: say which one is searched, such as Series("aia.lev1_euv_12s")')
    return series.name


def _record_set(block: Block, info: SeriesInfo) -> RecordSet:
    """Return what a block means in its series: values of prime keys in their places, all else as one condition."""
    keys = {name.casefold(): name for name in info.primekeys}
    filters: dict[str, KeyFilter] = {}

    def add(name: str, ranges: Sequence[Range], said: str) -> None:
        if name in filters:
            raise InvalidQuery(said, f"the prime key {name} is given twice in one block; join alternatives with |")
        filters[name] = KeyFilter(ranges)

    conditions = [one.sql(_keyword(one.name, info)) for one in _all_of(block, Comparison)]
    time, sample = _one_of(block, Time), _one_of(block, Sample)
    if time is not None:
        key = _time_key(info)
        start, end = (_time_text(when, info.keywords[key]) for when in (time.start, time.end))
        add(key, [Between(start, end, None if sample is None else sample.every)], "Time")
    elif sample is not None:
        raise InvalidQuery("Sample", "needs a Time that is sampled")
    for prime in _all_of(block, PrimeKey):
        name = keys.get(prime.name.casefold())
        if name is None:
            is_keyword = prime.name in info.keywords
            hint = f"write Keyword({prime.name!r}) == ..." if is_keyword else _alike(prime.name, keys)
            raise InvalidQuery("PrimeKey", f"{prime.name} is no prime key of {_described(info)}; {hint}")
        add(name, [_range(value, info.keywords[name]) for value in prime.values], f"PrimeKey({name!r})")
    wavelength = _one_of(block, Wavelength)
    if wavelength is not None:
        ends = _text(wavelength.shortest), _text(wavelength.longest)
        if _WAVELENGTH.casefold() in keys:
            add(keys[_WAVELENGTH.casefold()], [One(ends[0]) if ends[0] == ends[1] else Between(*ends)], "Wavelength")
        elif _WAVELENGTH not in info.keywords:
            raise InvalidQuery("Wavelength", f"{info.name} has no keyword {_WAVELENGTH}; leave the attribute out")
        elif ends[0] == ends[1]:
            conditions.append(f"{_WAVELENGTH} = {ends[0]}")
        else:
            conditions += [f"{_WAVELENGTH} >= {ends[0]}", f"{_WAVELENGTH} <= {ends[1]}"]
    if not filters:
        reason = f"a prime key is missing, or all of {_described(info)} would be searched: add Time or PrimeKey"
        raise InvalidQuery("PrimeKey", reason)
    placed: list[Filter] = [filters.get(name, OpenFilter()) for name in info.primekeys]
    while isinstance(placed[-1], OpenFilter):
        placed.pop()
    if conditions:
        placed.append(Condition(" AND ".join(conditions)))
    return RecordSet((Subset(info.name, placed, _segments(block, info)),))


def _described(info: SeriesInfo) -> str:
    return f"{info.name} (prime keys: {', '.join(info.primekeys) or 'none'})"


def _segments(block: Block, info: SeriesInfo) -> list[str]:
    known = {name.casefold(): name for name in info.segments}
    names = []
    for asked in chain(*(segment.names for segment in _all_of(block, Segment))):
        name = known.get(asked.casefold())
        if name is None:
            raise InvalidQuery("Segment", f"{info.name} has no {asked}, it has {', '.join(known.values()) or 'none'}")
        names.append(name)
    return list(dict.fromkeys(names))


def _keyword(name: str, info: SeriesInfo) -> KeywordInfo:
    found = info.keywords.get(name)
    if found is None:
        hint = _alike(name, {known.casefold(): known for known in info.keywords})
        raise InvalidQuery("Keyword", f"{info.name} has no {name}; {hint}")
    return found


def _alike(name: str, known: Mapping[str, str]) -> str:
    alike = difflib.get_close_matches(name.casefold(), known, n=3)
    return f"did you mean {' or '.join(known[one] for one in alike)}?" if alike else "info() lists what it has"


def _time_key(info: SeriesInfo) -> str:
    for name in info.primekeys:
        if info.keywords[name].is_time:
            return name
    raise InvalidQuery("Time", f"no prime key is a time in {_described(info)}; compare a Keyword instead")


def _time_text(when: TaiTime, keyword: KeywordInfo) -> str:
    """Write a time on the clock of its keyword, with as many digits as it has, and with the zone."""
    return when.text("ISO", when.digits) if keyword.units in ("ISO", "UTC", "Z") else str(when)


def _range(value: Any, keyword: KeywordInfo) -> Range:
    if isinstance(value, tuple):
        if len(value) != 2:
            raise InvalidQuery(keyword.name, f"{value!r} is no range; give its first and its last value")
        first, last = (_key_text(end, keyword) for end in value)
        return Between(first, last)
    return One(_key_text(value, keyword))


def _key_text(value: Any, keyword: KeywordInfo) -> str:
    if keyword.is_time:
        return _time_text(TaiTime.of(value), keyword)
    if isinstance(value, str):
        return value
    return _text(_number(value, keyword.units or "its unit", keyword.name))


# Searching -----------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class FoundRecords:
    """What one block found: the records, and how their files are to be exported.

    Slices, lists of booleans and `where` keep some of the rows; `client.export(found[2:9])` exports exactly these.
    """

    block: Block
    record_set: RecordSet
    """What was asked."""
    table: RecordTable

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.table)

    @overload
    def __getitem__(self, wanted: str) -> list[Any]: ...
    @overload
    def __getitem__(self, wanted: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, wanted: slice | Iterable[SupportsIndex]) -> FoundRecords: ...
    def __getitem__(self, wanted: Any) -> Any:
        """Return a column (by name), a row (by number), or some rows (slice, mask, list of numbers)."""
        part = self.table[wanted]
        return attrs.evolve(self, table=part) if isinstance(part, RecordTable) else part

    def where(self, holds: Callable[[Row], object]) -> FoundRecords:
        """Keep the rows for which `holds(row)` is true."""
        return attrs.evolve(self, table=self.table.where(holds))

    def subset(self) -> RecordSet:
        """Return the record set that holds exactly these rows."""
        return self.table.subset()

    def export_query(self, **arguments: Any) -> ExportQuery:
        """Return what exports these rows, with the segments, protocol, cut-out and address of the block.

        Args:
            arguments: Other fields of `ExportQuery`, or other values than the block's.

        Raises:
            InvalidQuery: There are no rows.
        """
        return ExportQuery(self.table, **(_export_arguments(self.block) | arguments))

    def __repr__(self) -> str:
        return f"<FoundRecords {self.record_set}: {plural(len(self), 'row')}>"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@attrs.frozen(eq=False)
class SearchResults(Sequence[FoundRecords]):
    """What each block found, in the order in which the blocks are written.

    `results[0]` is what the first block found, `results[0, 2:9]` some rows of that, `results[:, :3]` the first three
    of each.
    """

    blocks: tuple[FoundRecords, ...]

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def row_count(self) -> int:
        """How many records there are in all blocks; one that two blocks have found counts twice."""
        return sum(map(len, self.blocks))

    @overload
    def __getitem__(self, which: int) -> FoundRecords: ...
    @overload
    def __getitem__(self, which: slice) -> SearchResults: ...
    @overload
    def __getitem__(self, which: tuple[int, slice]) -> FoundRecords: ...
    @overload
    def __getitem__(self, which: tuple[slice, slice]) -> SearchResults: ...

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, tuple):
            return SearchResults(self.blocks[which]) if isinstance(which, slice) else self.blocks[which]
        blocks: int | slice
        rows: slice
        blocks, rows = which
        if isinstance(blocks, slice):
            return SearchResults(tuple(block[rows] for block in self.blocks[blocks]))
        return self.blocks[blocks][rows]

    def export_queries(self, **arguments: Any) -> list[ExportQuery]:
        """Return an export for every block that found something, for `client.run`; see `FoundRecords.export_query`."""
        return [block.export_query(**arguments) for block in self.blocks if len(block)]

    def __repr__(self) -> str:
        rows = ", ".join(plural(len(block), "row") for block in self.blocks)
        return f"<SearchResults of {plural(len(self), 'block')}: {rows}>"

    def _repr_html_(self) -> str:
        return "".join(block._repr_html_() for block in self.blocks)


def _export_arguments(block: Block) -> dict[str, Any]:
    cutout, protocol, notify = _one_of(block, Cutout), _one_of(block, Protocol), _one_of(block, Notify)
    return {
        **({} if cutout is None else {"process": {"im_patch": dict(cutout.arguments)}}),
        **({} if protocol is None else {"protocol": protocol.name}),
        **({} if notify is None else {"email": notify.address}),
    }


async def search(
    client: Jsoc, *attributes: Attribute, keywords: str | Sequence[str] | None = None, at_once: int = _AT_ONCE
) -> SearchResults:
    """Query the records that have all `attributes`: every block of alternatives by itself, several at a time.

    Args:
        client: An open client.
        attributes: What records are searched by; each block needs a `Series`, and a `Time` or another prime key.
        keywords: Which keywords to get besides the prime keys and those that are compared; `**ALL**` for all.
        at_once: Most queries at one moment; the client's own limit of connections holds as well.

    Raises:
        InvalidQuery: What is missing, unknown in the series, or given twice in a block; no query was sent.
        QueryRefused: The service refused a query; the first one that fails ends the others.
    """
    if at_once < 1:
        raise InvalidInput("at_once", "must be 1 or more")
    if not attributes:
        raise InvalidQuery("attributes", "there are none; give at least Series and Time")
    for one in attributes:
        if not isinstance(one, Attribute):
            raise InvalidQuery("attributes", f"{one!r} is none; a Keyword becomes one when it is compared")
    blocks = reduce(operator.and_, attributes).blocks
    series = [_series_of(block) for block in blocks]
    for block in blocks:
        _export_arguments(block)
    structures = {name: await client.info(name) for name in dict.fromkeys(series)}
    sets = [_record_set(block, structures[name]) for block, name in zip(blocks, series, strict=True)]
    found: dict[int, FoundRecords] = {}
    slots = anyio.CapacityLimiter(at_once)

    async def query(index: int) -> None:
        block, record_set = blocks[index], sets[index]
        async with slots:
            try:
                table = await client.query(
                    record_set,
                    keywords=_asked(keywords, block) or None,
                    segments=list(record_set.subsets[0].segments) or None,
                    prime_keys=True,
                )
            except AuroraError as error:
                if len(blocks) > 1:
                    error.add_note(f"in block {index + 1} of {len(blocks)}, {record_set}")
                raise
        found[index] = FoundRecords(block, record_set, table)

    try:
        async with anyio.create_task_group() as tasks:
            for index in range(len(blocks)):
                tasks.start_soon(query, index, name=f"search {sets[index]}")
    except BaseExceptionGroup as group:
        raise_bare(group)
    return SearchResults(tuple(found[index] for index in range(len(blocks))))


def _asked(keywords: str | Sequence[str] | None, block: Block) -> list[str]:
    wanted = re.split(r"[\s,]+", keywords.strip()) if isinstance(keywords, str) else list(keywords or ())
    if "**ALL**" in wanted:
        return wanted
    return list(dict.fromkeys([*wanted, *(one.name for one in _all_of(block, Comparison))]))
