"""The series that there are: their structure, and which records each has.

The structures are facts, copied with their sources into `server/data/jsoc`, as far as they are published. A series of
which only the name is known is listed, and has neither keywords nor records.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import attrs

from aurora_async.jsoc.keywords import KeywordType, Value, print_value, read_value
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc import regions
from aurora_async.server.jsoc.positions import Cadence, Chain, Coordinate, Patches, Positions, Rows

if TYPE_CHECKING:
    from aurora_async.server.jsoc.records import Record

__all__ = ["Catalog", "Key", "KeywordDef", "LinkDef", "Listed", "RecordSetProblem", "SegmentDef", "Series", "Slots"]


class RecordSetProblem(Exception):
    """A record set that cannot be answered; the text is what the service says about it."""


@attrs.frozen
class KeywordDef:
    """A keyword as the structure of its series defines it; `default` is printed in its own format."""

    name: str
    type: str
    recscope: str
    format: str
    units: str
    default: str
    note: str
    linkinfo: str | None = None

    @cached_property
    def kind(self) -> KeywordType:
        """The type."""
        return KeywordType(self.type)

    @cached_property
    def default_value(self) -> Value:
        """The default, as a value."""
        return self.read(self.default)

    def read(self, text: str) -> Value:
        """Return the value that a text of this keyword is; the word that stands for no image stays a number."""
        if self.is_quality and text.lower() == "0x80000000":
            return -(1 << 31)
        return read_value(text, self.kind, units=self.units)

    def printed(self, value: Value) -> str:
        """Return a value in the keyword's format."""
        if value is not None and self._is_plain:
            return self.format % value
        return print_value(value, self.kind, self.format, self.units)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether Python's `%` prints it as C does, which is quicker."""
        return self.kind is not KeywordType.TIME and re.fullmatch(r"%\.?\d*[dfgs]", self.format) is not None

    @property
    def is_quality(self) -> bool:
        """Whether its missing value is shown as it is, for which there is one name."""
        return self.name == "QUALITY" and self.kind is KeywordType.INT


@attrs.frozen
class SegmentDef:
    """A file, or a directory of files, that each record has."""

    name: str
    type: str
    units: str
    protocol: str
    dims: str
    note: str
    cparms: str = ""
    bzero: str = ""
    bscale: str = ""
    file: str | None = None
    """What the stored file is called, where not after the segment; an empty text is a directory."""

    @property
    def file_name(self) -> str:
        """What is stored, below the record's directory."""
        if self.file is not None:
            return self.file or self.name
        return f"{self.name}.fits" if self.protocol in ("fits", "fitsz") else self.name


@attrs.frozen
class LinkDef:
    """A pointer to records of another series."""

    name: str
    target: str
    kind: str
    note: str


@attrs.frozen
class Slots:
    """The slots of a key: times that are so many steps away from an epoch (seconds since 1977, TAI)."""

    kind: str
    epoch_s: float
    step_s: float
    round_s: float

    def index(self, when: TaiTime) -> int:
        """Return the slot of an instant: the nearest, ties upward, unless the key is rounded down."""
        return math.floor((when.seconds - self.epoch_s + self.round_s / 2) / self.step_s)

    def when(self, index: int) -> TaiTime:
        """Return the time of a slot."""
        return TaiTime(self.epoch_s + index * self.step_s)


@attrs.frozen
class Key:
    """A prime key: what its values are as coordinates."""

    keyword: KeywordDef
    slots: Slots | None

    @property
    def name(self) -> str:
        return self.keyword.name

    def value(self, coordinate: Coordinate) -> Value:
        """Return the value at a coordinate."""
        if isinstance(coordinate, str):
            return coordinate
        if self.slots is not None:
            return self.slots.when(coordinate)
        return TaiTime(coordinate / 100) if self.keyword.kind is KeywordType.TIME else coordinate

    def coordinate(self, value: Value) -> Coordinate:
        """Return the coordinate of a value."""
        if isinstance(value, TaiTime):
            return self.slots.index(value) if self.slots is not None else round(value.seconds * 100)
        if isinstance(value, float):
            return round(value)
        return "" if value is None else value


@attrs.frozen
class Listed:
    """A name in the listing of series; `is_public` when the public listing has it as well."""

    name: str
    note: str
    is_public: bool


@attrs.define(eq=False)
class Series:
    """A series."""

    name: str
    """In the spelling that the service prints."""
    number: int
    """Small, and the same in every run: it is part of where the files are."""
    note: str
    family: str
    """Which rules the values of its records are computed by; empty if it has none."""
    primekeys: tuple[str, ...]
    dbindex: tuple[str, ...]
    keywords: tuple[KeywordDef, ...]
    segments: tuple[SegmentDef, ...]
    links: tuple[LinkDef, ...]
    unitsize: int = 1
    retention: int = 10000
    stagingretention: int = 3
    archive: int = 1
    tapegroup: int = 1
    keys: tuple[Key, ...] = ()
    """The prime keys, with their slots."""
    constants: Mapping[str, str] = attrs.field(factory=dict)
    """Values that all records have in common, as texts."""
    positions: Positions = attrs.field(factory=lambda: Rows([]))
    members: Mapping[str, Sequence[Any]] = attrs.field(factory=dict)
    """Values that each member of a cycle has."""
    readers: dict[str, Callable[[Record], Value]] = attrs.field(factory=dict)
    """What reads a keyword from a record; `records` fills it."""

    @cached_property
    def _keywords_by_name(self) -> dict[str, KeywordDef]:
        return {keyword.name.lower(): keyword for keyword in reversed(self.keywords)}

    def keyword(self, name: str) -> KeywordDef | None:
        """Return a keyword, whatever the case of its name."""
        return self._keywords_by_name.get(name.lower())

    def segment(self, name: str) -> SegmentDef | None:
        """Return a segment, whatever the case of its name."""
        return next((segment for segment in self.segments if segment.name.lower() == name.lower()), None)

    def link(self, name: str) -> LinkDef | None:
        """Return a link, whatever the case of its name."""
        return next((link for link in self.links if link.name.lower() == name.lower()), None)

    def key(self, name: str) -> int | None:
        """Return which prime key a name is; that of its index means the key itself."""
        names = [key.lower() for key in self.primekeys]
        name = name.lower()
        if name not in names and name.endswith("_index"):
            name = name.removesuffix("_index")
        return names.index(name) if name in names else None


class Catalog:
    """All series, and the records of each; what is asked often is kept, so one of them serves all."""

    def __init__(self) -> None:
        definitions = _definitions()
        names = {name.lower() for name in definitions}
        self._series = {name.lower(): number for number, name in enumerate(definitions)}
        self._definitions = list(definitions.items())
        self._listing = [Listed(name, note, bool(public)) for name, note, public in _data("listing")["series"]]
        self._unknown = {one.name.lower(): one for one in self._listing if one.name.lower() not in names}
        self._made: dict[str, Series] = {}
        self._making = threading.Lock()
        self.published: dict[str, Mapping[int, Any]] = {}
        """What is known of published records, by series and record number; `records` fills it."""

    def names(self) -> list[str]:
        """Return the names of all listed series, sorted without regard to case."""
        return [one.name for one in self._listing]

    def listing(self) -> Sequence[Listed]:
        """Return all listed series, sorted without regard to case."""
        return self._listing

    def series(self, name: str) -> Series | None:
        """Return a series, whatever the case of its name; None if there is none of that name."""
        name = name.lower()
        with self._making:  # one for all threads
            if name not in self._made:
                if name in self._series:
                    number = self._series[name]
                    self._made[name] = _make_series(*self._definitions[number], number + 1)
                elif name in self._unknown:
                    self._made[name] = _unknown_series(self._unknown[name])
            return self._made.get(name)

    def open(self, text: str, *, n: int = 0, images_only: bool = False, limit: int | None = None) -> list[Record]:
        """Return the records that a text selects, ascending by their prime keys.

        Args:
            text: A record set.
            n: The first so many of them, or the last if negative; 0 means all.
            images_only: Leave out records whose QUALITY says that there is no image, unless the text speaks of it.
            limit: More records than this are an error.

        Raises:
            RecordSetProblem: The text cannot be understood, or selects too much.
        """
        from aurora_async.server.jsoc.selection import select

        return select(self, text, n=n, images_only=images_only, limit=limit)

    def count(self, text: str, *, n: int = 0) -> int:
        """Return how many records a text selects, without looking at each where arithmetic will do.

        Raises:
            RecordSetProblem: The text cannot be understood.
        """
        from aurora_async.server.jsoc.selection import count

        return count(self, text, n=n)

    def record(self, series: Series, recnum: int) -> Record | None:
        """Return a record by its number."""
        from aurora_async.server.jsoc.records import Record

        position = series.positions.at(recnum)
        return None if position is None else Record(self, series, position)

    def record_at(self, sunum: int, slot: int) -> Record | None:
        """Return the record whose files are in a slot of a storage unit."""
        from aurora_async.server.jsoc.records import home_of

        home = home_of(self, sunum, slot)
        if home is None:
            return None
        series = self.series(home[0])
        return None if series is None else self.record(series, home[1])

    def numbered(self, number: int) -> Series | None:
        """Return a series by its number."""
        if not 0 < number <= len(self._definitions):
            return None
        return self.series(self._definitions[number - 1][0])


# Reading the definitions --------------------------------------------------------------------------------------------


@cache
def _data(name: str) -> Any:
    return json.loads(resources.files("aurora_async.server.data.jsoc").joinpath(f"{name}.json").read_text("utf-8"))


@cache
def _definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = _data("series")["series"]
    return definitions


def published_records() -> dict[str, Any]:
    """Return the values that the real service has printed, by series."""
    records: dict[str, Any] = _data("published")["records"]
    return records


def _unknown_series(listed: Listed) -> Series:
    return Series(listed.name, 0, listed.note, "", (), (), (), (), ())


def _make_series(name: str, definition: Mapping[str, Any], number: int) -> Series:
    segments = tuple(SegmentDef(**segment) for segment in definition["segments"])
    links = tuple(LinkDef(*link) for link in definition["links"])
    primekeys = tuple(definition["primekeys"])
    keywords = tuple(_keywords(definition, segments, primekeys))
    series = Series(
        name,
        number,
        definition["note"],
        definition["family"],
        primekeys,
        tuple(definition.get("dbindex", primekeys)),
        keywords,
        segments,
        links,
        definition["unitsize"],
        definition["retention"],
        definition["stagingretention"],
        definition["archive"],
        definition["tapegroup"],
        constants=definition["values"],
    )
    series.keys = tuple(Key(_known(series, key), _slots(series, key)) for key in primekeys)
    records = definition["records"]
    series.positions = _positions(series.keys, records)
    series.members = records.get("members", {})
    return series


def _known(series: Series, name: str) -> KeywordDef:
    keyword = series.keyword(name)
    assert keyword is not None, f"{series.name} lacks its prime key {name}"
    return keyword


def _keywords(
    definition: Mapping[str, Any], segments: Sequence[SegmentDef], primekeys: Sequence[str]
) -> Iterator[KeywordDef]:
    for number, segment in enumerate(segments):
        if segment.protocol in ("fits", "fitsz"):
            yield KeywordDef(f"cparms_sg{number:03}", "string", "variable", "%s", "none", segment.cparms, "")
            for name, value in (("bzero", segment.bzero), ("bscale", segment.bscale)):
                yield KeywordDef(f"{segment.name}_{name}", "double", "variable", "%g", "none", value, "")
    sets = _data("keywords")["sets"]
    rows = [KeywordDef(*row) for name in definition["keywords"] for row in sets[name]]
    dropped, linked, steps = definition.get("drop", ()), definition.get("linked"), definition.get("slot_step", {})
    aliases = []
    for keyword in rows:
        if keyword.name in dropped:
            continue
        key, _, helper = keyword.name.rpartition("_")
        if key in steps and helper in ("step", "round"):
            keyword = attrs.evolve(keyword, default=steps[key][helper == "round"])
        alias = re.match(r"\[([^]]+)\]", keyword.note)
        if alias and definition.get("hide_alias"):
            keyword = attrs.evolve(keyword, note=keyword.note[alias.end() :].strip())
        elif alias:
            aliases.append(attrs.evolve(keyword, name=alias[1]))
        if linked and keyword.name not in primekeys and key not in primekeys:
            keyword = attrs.evolve(keyword, linkinfo=f"{linked}->{keyword.name}")
        yield keyword
    yield from aliases


def _slots(series: Series, name: str) -> Slots | None:
    epoch, step = series.keyword(f"{name}_epoch"), series.keyword(f"{name}_step")
    if epoch is None or step is None:
        return None
    kind = _known(series, name).recscope
    step_s, epoch_s = float(step.default), TaiTime.parse(epoch.default).seconds
    rounding = series.keyword(f"{name}_round")
    round_s = (float(rounding.default) if rounding else 0.0) if kind == "ts_slot" else step_s
    return Slots(kind, epoch_s, step_s, round_s)


def _positions(keys: Sequence[Key], records: Mapping[str, Any]) -> Positions:
    match records["kind"]:
        case "cadence":
            return _cadences(keys, records)
        case "patches":
            return Patches(partial(regions.patches, records["which"]))
        case "table":
            return Rows([tuple(map(_coordinate, keys, row)) for row in records["rows"]])
        case _:
            return Rows([])


def _coordinate(key: Key, value: Any) -> Coordinate:
    return key.coordinate(key.keyword.read(str(value)))


def _cadences(keys: Sequence[Key], records: Mapping[str, Any]) -> Positions:
    """Read eras of cycles; a `#` in place of a key counts all images, one after the other."""
    first_key = keys[0]
    begins = [_coordinate(first_key, first) for first, _ in records["eras"]]
    origin, last = begins[0], _coordinate(first_key, records["last"])
    assert isinstance(origin, int) and isinstance(last, int)
    # In coordinates of the first key: slots, whole numbers, or hundredths of a second.
    every = records["every"]
    if first_key.slots is not None:
        unit = 1 / first_key.slots.step_s if every >= first_key.slots.step_s else 1.0
        pace = round(every * unit)
    elif first_key.keyword.kind is KeywordType.TIME:
        unit, pace = 100.0, every * 100
    else:
        unit, pace = 1.0, every
    parts: list[Positions] = []
    recnum, recnums = records["recnum"], []
    for number, (begin, (_, rows)) in enumerate(zip(begins, records["eras"], strict=True)):
        assert isinstance(begin, int)
        stop = begins[number + 1] if number + 1 < len(begins) else last + 1
        assert isinstance(stop, int)
        # Cycles are counted from the first record of all, so that a change falls on a whole one.
        cycles = range(-(-(begin - origin) // pace), -(-(stop - origin) // pace))
        offsets = records.get("offsets") or [0] * len(rows)
        members = []
        for place, (row, offset) in enumerate(zip(rows, offsets, strict=True)):
            lines: list[tuple[Coordinate, int]] = [(origin + round(offset * unit), pace)]
            for value in row:
                counted = (records["number_from"] + place, len(rows)) if value == "#" else (value, 0)
                lines.append(counted)
            members.append(lines)
        recnums.append(recnum)
        part = Cadence(cycles, members, recnum)
        parts.append(part)
        recnum += len(part)
    return parts[0] if len(parts) == 1 else Chain(parts, recnums)
