"""The keywords, segments and links of records, read into columns while the answer arrives.

An answer of a million records takes the memory of its values, and of one piece of its text: each run of values becomes
what the keyword's type says as it comes, and equal ones are one object.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import attrs

from aurora_async.errors import InvalidInput
from aurora_async.http import Body, shown_url
from aurora_async.jsoc._pull import Pull
from aurora_async.jsoc.errors import WrongValue
from aurora_async.jsoc.keywords import KeywordType, Value, read_value
from aurora_async.jsoc.models import Keyword, SeriesInfo
from aurora_async.jsoc.recordset import RecordSet
from aurora_async.jsoc.tables import KeywordColumn, PackedTexts, RecordTable, SegmentColumn
from aurora_async.jsoc.wire import Node, refuse

__all__ = ["Wanted", "names_of", "read_records"]

ALL, NONE = "**ALL**", "**NONE**"

RECNUM = "*recnum*"
_PSEUDO = {
    RECNUM: KeywordType.LONGLONG,
    "*sunum*": KeywordType.LONGLONG,
    "*size*": KeywordType.LONGLONG,
    "*online*": KeywordType.STRING,
    "*retain*": KeywordType.STRING,
    "*archive*": KeywordType.STRING,
    "*recdir*": KeywordType.STRING,
    "*dirmtime*": KeywordType.STRING,
    "*logdir*": KeywordType.STRING,
    "*spec*": KeywordType.STRING,
}
_INDEX = re.compile(r"\[\d+\]$")
_DECIMALS = re.compile(r":\d\d\.(\d+)")

# What the service writes for what is not there.
_NO_VALUE = frozenset({"Invalid KeyLink"})
_NO_SIZE = frozenset({"NA"})
_NO_FILE = frozenset({"InvalidSegName", "BadSegLink", "NoDataDirectory", "NoDataFile", "NA", ""})
_NO_LINK = frozenset({"Invalid_Link", ""})
_REMEMBERED = 1 << 12
_PIECE_BYTES = 1 << 14  # some hundred values, so that others have their turn every few milliseconds


def names_of(given: str | Iterable[str] | None, field: str) -> tuple[str, ...] | None:
    """Return names given in a list, or in a text with commas or blanks between; each once. None is none given."""
    if given is None:
        return None
    listed = isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping)
    if not listed and not isinstance(given, str):
        raise InvalidInput(field, f"{given!r} is not a name or a list of names")
    names = [part for one in ([given] if isinstance(given, str) else given) for part in _parts(one, field)]
    if not names:
        raise InvalidInput(field, f"is empty; name some, or use {ALL!r}")
    return tuple({name.lower(): name for name in reversed(names)}[key] for key in dict.fromkeys(map(str.lower, names)))


def _parts(name: object, field: str) -> list[str]:
    if not isinstance(name, str) or not name.isprintable():
        raise InvalidInput(field, f"{name!r} is not a name")
    return name.replace(",", " ").split()


@attrs.frozen(kw_only=True)
class Wanted:
    """What is to be told of each record: names; None where a group is not asked for."""

    record_set: RecordSet
    keywords: tuple[str, ...] | None = None
    segments: tuple[str, ...] | None = None
    links: tuple[str, ...] | None = None
    names: bool = False
    limit: int | None = None
    typed: bool = True
    structures: tuple[SeriesInfo, ...] = ()
    """Of the series of the record set, where they are known."""

    def __attrs_post_init__(self) -> None:
        if self.keywords is None and self.segments is None and self.links is None:
            raise InvalidInput("keywords", f"name keywords, segments or links to be told of ({ALL!r} for all)")
        several = len({series.lower() for series in self.record_set.series}) > 1
        if several and any(ALL in (group or ()) for group in (self.keywords, self.segments, self.links)):
            raise InvalidInput("keywords", f"{ALL!r} is for one series; this record set has several, so name them")

    def with_structures(self, structures: Iterable[SeriesInfo]) -> Wanted:
        """Return the same with what is known of its series."""
        return attrs.evolve(self, structures=tuple(structures))

    def with_prime_keys(self) -> Wanted:
        """Return the same with all primary keys first, each once."""
        keys = [key for info in self.structures for key in info.primekeys]
        return attrs.evolve(self, keywords=names_of([*keys, *(self.keywords or ())], "keywords"))

    def check_names(self) -> None:
        """Refuse names that no series of the record set has, and say which one may have been meant.

        The service would give a column of error words instead.
        """
        for field, given in (("keywords", self.keywords), ("segments", self.segments), ("links", self.links)):
            known = [name for info in self.structures for name in getattr(info, field)]
            if field == "keywords":
                known += _PSEUDO
            folded = {name.lower() for name in known}
            for name in given or ():
                if name not in (ALL, NONE) and _INDEX.sub("", name.lower()) not in folded:
                    raise InvalidInput(field, self._unknown(name, field, known))

    def _unknown(self, name: str, field: str, known: Sequence[str]) -> str:
        spelled = {one.lower(): one for one in known}
        near = [spelled[one] for one in get_close_matches(name.lower(), spelled, n=3)]
        what = field.removesuffix("s")
        text = f"{', '.join(self.record_set.series)} has no {what} {name!r}"
        if near:
            return f"{text}; did you mean {' or '.join(near)}?"
        shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
        return f"{text}; there are {shown}" if known else f"{text}, and no other"

    @property
    def params(self) -> dict[str, str]:
        """The question as the service reads it. What names each record is asked for along with its keywords."""
        asked = [name for name in self.keywords or () if name != NONE]
        numbered = asked if RECNUM in map(str.lower, asked) else [RECNUM, *asked]
        params = {"op": "rs_list", "ds": str(self.record_set), "key": ",".join([*numbered, *self.unseen_keys])}
        for name, group in (("seg", self.segments), ("link", self.links)):
            if group is not None:
                params[name] = ",".join(group)
        if self.names or len(self.record_set.series) > 1:
            params["R"] = "1"
        if self.limit is not None:
            params["n"] = str(self.limit)
        return params

    @property
    def unseen_keys(self) -> tuple[str, ...]:
        """The primary keys that nobody asked for, but that name the records."""
        asked = {name.lower() for name in self.keywords or ()}
        if self.names or len(self.structures) != 1 or ALL.lower() in asked:
            return ()
        return tuple(key for key in self.structures[0].primekeys if key.lower() not in asked)

    def keyword(self, name: str) -> Keyword | None:
        """Return what is known of a keyword, which else is a text; None where all are wanted as they came."""
        if not self.typed:
            return None
        if name.lower() in _PSEUDO:
            return Keyword(name, _PSEUDO[name.lower()])
        plain = _INDEX.sub("", name)
        known = (info.keywords[plain] for info in self.structures if plain in info.keywords)
        return next(known, Keyword(name, KeywordType.STRING))

    def expanded(self, field: str) -> list[str]:
        """Return the names of a group with `**ALL**` written out, as the service does it."""
        names: list[str] = []
        for name in getattr(self, field) or ():
            every = (one for info in self.structures for one in getattr(info, field)) if name == ALL else (name,)
            names += [one for one in every if one != NONE]
        return list(dict.fromkeys(names))


class _Reading(dict[Any, Value]):
    """Values by what the service wrote for them, each read once: most of a column's are equal to others."""

    def __init__(self, read: Callable[[Any], Value]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, raw: Any) -> Value:
        value = self._read(raw)
        if len(self) < _REMEMBERED:
            self[raw] = value
        return value


class _Values:
    """The values of one keyword, as they come."""

    def __init__(self, name: str, keyword: Keyword | None) -> None:
        self.name = name
        self.keyword = keyword
        self.digits = 0
        self.values: list[Value] = []
        self._reading = _Reading(self._text if keyword is None else self._typed)

    def column(self) -> KeywordColumn:
        keyword = self.keyword
        kind, units = (None, "") if keyword is None else (keyword.type, keyword.units)
        return KeywordColumn(name=self.name, type=kind, units=units, digits=self.digits, values=self.values)

    def add(self, run: list[Any]) -> None:
        if self.name == RECNUM and set(map(type, run)) == {int}:  # asked for along with everything
            self.values += run
            return
        if self.keyword is not None and self.keyword.is_real:
            with suppress(ValueError, TypeError):  # MISSING, null, and what is wrong
                self.values += [None if value != value else value for value in map(float, run)]
                return
        reading = self._reading
        self.values += [reading[raw] for raw in run]

    def wrong(self, run: list[Any]) -> tuple[int, Any, Exception]:
        """Return the first value of a run that cannot be read: where it is, what it is, and why not."""
        for index, raw in enumerate(run):
            try:
                self._reading[raw]
            except (ValueError, TypeError) as error:
                return len(self.values) + index, raw, error
        raise AssertionError("only called for a run that holds one")

    @staticmethod
    def _text(raw: Any) -> Value:
        if isinstance(raw, dict | list):
            raise TypeError
        return None if raw is None else str(raw)

    def _typed(self, raw: Any) -> Value:
        assert self.keyword is not None
        kind = self.keyword.type
        if raw in _NO_VALUE or (raw in _NO_SIZE and self.name.lower() == "*size*"):
            return None
        if isinstance(raw, bool) or not isinstance(raw, str | int | float | None):
            raise TypeError
        value = read_value(raw, kind, units=self.keyword.units)
        if kind is KeywordType.TIME and not self.digits and isinstance(raw, str) and (found := _DECIMALS.search(raw)):
            self.digits = len(found[1])
        return value


async def read_records(body: Body, wanted: Wanted) -> RecordTable:
    """Read an answer with the records that were asked for.

    Raises:
        QueryRefused: The service's own wording.
        WrongValue: A keyword's value is not of its type.
        MalformedAnswer, IncompleteBody: The answer is not what the protocol promises, or not whole.
    """
    return await _Reader(Pull(body.chunks(_PIECE_BYTES), shown_url(body.url)), wanted).table()


class _Unseen:
    """The values of a primary key that is there for the names of the records only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = PackedTexts()

    def add(self, run: list[Any]) -> None:
        self.values.extend(["" if one is None else str(one) for one in run])


class _Reader:
    def __init__(self, pull: Pull, wanted: Wanted) -> None:
        self._pull = pull
        self._wanted = wanted
        self._keywords: dict[str, KeywordColumn] = {}
        self._segments: dict[str, SegmentColumn] = {}
        self._links: dict[str, list[str | None]] = {}
        self._recnums: list[Any] = []
        self._unseen = {name.lower(): name for name in wanted.unseen_keys}
        self._keys: dict[str, PackedTexts] = {}
        self._names: list[str] = []
        self._lengths: dict[str, int] = {}

    async def table(self) -> RecordTable:
        groups = {"keywords": self._keyword, "segments": self._segment, "links": self._link}
        rest: dict[str, Any] = {}
        async for name in self._pull.members("$"):
            if (read := groups.get(name)) is not None:
                async for where in self._pull.elements(f"$.{name}"):
                    await read(where)
            elif name == "recinfo":
                async for run in self._pull.runs("$.recinfo"):
                    self._names += [self._name_of(item) for item in run]
                self._lengths["$.recinfo"] = len(self._names)
            else:
                rest[name] = await self._pull.value(f"$.{name}")
        await self._pull.end()
        node = Node(rest, self._pull.url, "$")
        refuse(node, str(self._wanted.record_set))
        return self._made(node.whole("count"))

    def _made(self, count: int) -> RecordTable:
        wanted = self._wanted
        if count:
            self._check(count)
        else:  # the answer tells of no columns then
            self._keywords = {
                name: _Values(name, wanted.keyword(name)).column() for name in wanted.expanded("keywords")
            }
            self._segments = {name: SegmentColumn(name=name) for name in wanted.expanded("segments")}
            self._links = {name: [] for name in wanted.expanded("links")}
        if RECNUM not in map(str.lower, wanted.keywords or ()):
            self._keywords.pop(RECNUM, None)
        one = wanted.structures[0].name if wanted.structures else wanted.record_set.series[0]
        return RecordTable(
            wanted.record_set,
            keywords=self._keywords,
            segments=self._segments,
            links=self._links,
            recnums=self._recnums or [None] * count,
            names=self._names if wanted.names else None,
            series=[name.partition("[")[0] for name in self._names] if len(wanted.record_set.series) > 1 else one,
            primekeys=wanted.structures[0].primekeys if len(wanted.structures) == 1 else (),
            unseen_keys=self._keys,
        )

    def _check(self, count: int) -> None:
        """Make sure that every column asked for is there, and as long as the others."""
        for where, length in self._lengths.items():
            if length != count:
                raise self._pull.malformed(where, f"expected {count} values, as many as records, got {length}")
        groups = {"keywords": set(self._keywords), "segments": set(self._segments), "links": set(self._links)}
        for group, found in groups.items():
            for name in getattr(self._wanted, group) or ():
                if name not in (ALL, NONE) and name not in found:
                    raise self._pull.malformed(f"$.{group}", f"{name} is missing")
        if self._wanted.params.get("R") and not self._names:
            raise self._pull.malformed("$.recinfo", "the names of the records are missing")

    def _name_of(self, item: object) -> str:
        return Node.of(item, self._pull.url, "$.recinfo[]").text("name")

    async def _keyword(self, where: str) -> None:
        column: _Values | _Unseen | None = None
        held: list[Any] = []
        async for member in self._pull.members(where):
            if member == "name":
                name = await self._text(f"{where}.name")
                known = Keyword(RECNUM, KeywordType.LONGLONG) if name.lower() == RECNUM else self._wanted.keyword(name)
                column = _Unseen(self._unseen[name.lower()]) if name.lower() in self._unseen else _Values(name, known)
            elif member == "values":
                async for run in self._pull.runs(f"{where}.values"):
                    if column is None:
                        held += run
                    else:
                        self._add(column, run, where)
            else:
                await self._pull.value(f"{where}.{member}")
        if column is None:
            raise self._pull.malformed(f"{where}.name", "a text is missing")
        self._add(column, held, where)
        self._lengths[f"{where}.values"] = len(column.values)
        if isinstance(column, _Unseen):
            self._keys[column.name] = column.values
            return
        made = column.column()
        if column.name.lower() == RECNUM:
            self._recnums = column.values
            if not self._wanted.typed:
                made = KeywordColumn(name=made.name, values=[None if one is None else str(one) for one in made.values])
        self._keywords[column.name] = made

    def _add(self, column: _Values | _Unseen, run: list[Any], where: str) -> None:
        try:
            column.add(run)
        except (ValueError, TypeError):
            assert isinstance(column, _Values), "the other takes whatever comes"
            index, raw, error = column.wrong(run)
            kind = "text" if column.keyword is None else column.keyword.type.value
            record = self._record(index)
            place = f"{where}.values[{index}]"
            raise WrongValue(self._pull.url, place, record, column.name, raw, f"is no {kind}") from error

    def _record(self, index: int) -> str:
        if index < len(self._names):
            return self._names[index]
        series = self._wanted.record_set.series[0]
        if index < len(self._recnums) and self._recnums[index] is not None:
            return f"{series}[:#{self._recnums[index]}]"
        return f"record {index} of {self._wanted.record_set}"

    async def _segment(self, where: str) -> None:
        lists = {"values": "paths", "dims": "dims", "cparms": "cparms", "bzeros": "bzeros", "bscales": "bscales"}
        name, found = await self._lists(where, tuple(lists), _NO_FILE)
        told = {field: found.get(member) or [None] * len(found["values"]) for member, field in lists.items()}
        self._segments[name] = SegmentColumn(name=name, **told)

    async def _link(self, where: str) -> None:
        name, found = await self._lists(where, ("values",), _NO_LINK)
        self._links[name] = found["values"]

    async def _lists(
        self, where: str, members: tuple[str, ...], nothing: frozenset[str]
    ) -> tuple[str, dict[str, list[str | None]]]:
        """Read a name, and the lists of texts beside it."""
        name: str | None = None
        none = nothing if self._wanted.typed else frozenset()
        lists: dict[str, list[str | None]] = {"values": []}
        async for member in self._pull.members(where):
            place = f"{where}.{member}"
            if member == "name":
                name = await self._text(place)
            elif member in members:
                texts = lists[member] = []
                async for run in self._pull.runs(place):
                    texts += [None if one is None or one in none else sys.intern(str(one)) for one in run]
                self._lengths[place] = len(texts)
            else:
                await self._pull.value(place)
        if name is None:
            raise self._pull.malformed(f"{where}.name", "a text is missing")
        return name, lists

    async def _text(self, where: str) -> str:
        value = await self._pull.value(where)
        if not isinstance(value, str):
            raise self._pull.malformed(where, f"expected a text, got {str(value)[:60]}")
        return value
