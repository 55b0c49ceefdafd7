"""Records: what one holds, where its files are, and what it is called.

A value is, in this order: what the real service has printed, a prime key, what a link leads to, what is computed, or
the keyword's default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aurora_async.jsoc.keywords import Value
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc import values
from aurora_async.server.jsoc.definitions import published_records
from aurora_async.server.jsoc.positions import Cadence, Chain, Position
from aurora_async.server.jsoc.structure import KeywordDef, LinkDef, SegmentDef, Series

if TYPE_CHECKING:
    from aurora_async.server.jsoc.catalog import Catalog

__all__ = ["INVALID_KEY", "Record", "home_of"]

INVALID_KEY = "Invalid KeyLink"
_UNITS_PER_SERIES = 10_000_000
_FIRST_UNIT = 1_000_000_000
_BYTES = {"char": 1, "short": 2, "int": 4, "longlong": 8, "float": 4, "double": 8}


class Record:
    """A record of a series."""

    # What is computed is kept in `__dict__`, which a record of which nothing is asked does not have.
    __slots__ = ("__dict__", "catalog", "position", "series")

    catalog: Catalog
    series: Series
    position: Position

    def __init__(self, catalog: Catalog, series: Series, position: Position) -> None:
        self.catalog = catalog
        self.series = series
        self.position = position

    @property
    def recnum(self) -> int:
        """Its number in the series."""
        return self.position.recnum

    def copy(self) -> Record:
        """Return the same record, of which nothing has been computed yet."""
        return Record(self.catalog, self.series, self.position)

    def __repr__(self) -> str:
        return f"<record {self.name()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and (self.series.name, self.recnum) == (other.series.name, other.recnum)

    def __hash__(self) -> int:
        return hash((self.series.name, self.recnum))

    # Values -----------------------------------------------------------------------------------------------------------

    def value(self, name: str) -> Value:
        """Return the value of a keyword, whatever the case of its name; None where it is missing or there is none."""
        keyword = self.series.keyword(name)
        return None if keyword is None else self.value_of(keyword)

    def value_of(self, keyword: KeywordDef) -> Value:
        """Return the value of one of the series' keywords."""
        if self._published and (printed := self._published.get(keyword.name)) is not None:
            return keyword.read(printed)
        reader = self.series.readers.get(keyword.name)
        if reader is None:
            reader = self.series.readers[keyword.name] = _reader(self.series, keyword)
        return reader(self)

    def text(self, name: str) -> str:
        """Return the value of a keyword as lists of records show it: in its format, `MISSING` where it is missing."""
        keyword = self.series.keyword(name)
        if keyword is None:
            return INVALID_KEY
        if keyword.linkinfo is not None and self.linked(keyword.linkinfo.partition("->")[0]) is None:
            return INVALID_KEY
        return self.print(keyword)

    def print(self, keyword: KeywordDef) -> str:
        """Return the value of one of the keywords as lists of records show it."""
        value = self.value_of(keyword)
        return "MISSING" if value is None and not keyword.is_quality else keyword.printed(value)

    @cached_property
    def _published(self) -> dict[str, str]:
        printed: dict[str, str] = _published(self.catalog, self.series).get(self.recnum, {}).get("values", {})
        return printed

    # What the values are computed from --------------------------------------------------------------------------------

    @cached_property
    def when(self) -> TaiTime:
        """The time that the record is of: that of its first time key, or of its rotation."""
        return values.time_of(self)

    @cached_property
    def member(self) -> tuple[int, int]:
        """Which cycle of a cadence it belongs to, and which member of that it is."""
        positions = self.series.positions
        if isinstance(positions, Chain):
            positions = positions.part_of(self.recnum)
        return positions.place(self.recnum) if isinstance(positions, Cadence) else (self.recnum, 0)

    # Links ------------------------------------------------------------------------------------------------------------

    def linked(self, name: str) -> Record | None:
        """Return the record that a link leads to; None if there is no such link, or nothing at its end."""
        link = self.series.link(name)
        return None if link is None else self._linked(link)

    def _linked(self, link: LinkDef) -> Record | None:
        if link.name not in self._ends_of_links:
            self._ends_of_links[link.name] = self._follow(link)
        return self._ends_of_links[link.name]

    @cached_property
    def _ends_of_links(self) -> dict[str, Record | None]:
        return {}

    def _follow(self, link: LinkDef) -> Record | None:
        target = self.catalog.series(link.target)
        if target is None or not len(target.positions):
            return None
        if link.kind == "STATIC":
            recnum = values.linked_recnum(self, target)
            return None if recnum is None else self.catalog.record(target, recnum)
        position = target.position_of([self.value(key) for key in target.primekeys])
        return None if position is None else Record(self.catalog, target, position)

    def link_text(self, name: str) -> str:
        """Return a link as lists of records show it."""
        link = self.series.link(name)
        if link is None:
            return "Invalid_Link"
        linked = self._linked(link)
        if linked is None:
            return "Invalid_Link"
        return f"{link.target}[:#{linked.recnum}]" if link.kind == "STATIC" else linked.name()

    # Names and files --------------------------------------------------------------------------------------------------

    def name(self) -> str:
        """Return its name: the series and each prime key, or the number where there is no prime key."""
        if not self.series.keys:
            return f"{self.series.name}[:#{self.recnum}]"
        return self.series.name + "".join(f"[{self.print(key.keyword)}]" for key in self.series.keys)

    @cached_property
    def _home(self) -> tuple[str, int, int]:
        """Where its files are: partition, storage unit, slot."""
        folder = _published(self.catalog, self.series).get(self.recnum, {}).get("folder")
        if folder is not None:
            return _parts_of(folder)
        unit, slot = divmod(self.recnum, self.series.unitsize)
        sunum = _FIRST_UNIT + self.series.number * _UNITS_PER_SERIES + unit
        return f"SUM{sunum % 97}", sunum, slot

    @property
    def sunum(self) -> int:
        """The storage unit that its files are in."""
        return self._home[1]

    @property
    def slot_dir(self) -> str:
        """Its directory in the storage unit."""
        return f"S{self._home[2]:05}"

    @property
    def directory(self) -> str:
        """The path of its directory."""
        partition, sunum, slot = self._home
        return f"/{partition}/D{sunum}/S{slot:05}"

    def segment_path(self, segment: str | SegmentDef) -> str:
        """Return the path of a segment's file; `KeyError` if the series has no such segment."""
        found = self.series.segment(segment) if isinstance(segment, str) else segment
        if found is None:
            raise KeyError(segment)
        return f"{self.directory}/{found.file_name}"

    def dims(self, segment: SegmentDef) -> str:
        """Return the size of a segment's image: where it differs from record to record, that of this one."""
        return values.patch_dims(self) if segment.dims.startswith("VAR") else segment.dims

    @property
    def has_image(self) -> bool:
        """Whether there is an image: bit 31 of QUALITY says that there is none."""
        quality = self.value("QUALITY")
        return not (isinstance(quality, int) and quality < 0)

    @cached_property
    def size_bytes(self) -> int:
        """What the real files take, all segments together."""
        return sum(self.segment_bytes(segment) for segment in self.series.segments)

    def segment_bytes(self, segment: SegmentDef) -> int:
        """Return what the real file of a segment takes, compressed."""
        if segment.protocol not in ("fits", "fitsz"):
            return 40_000
        pixels = 1
        for axis in self.dims(segment).split("x"):
            pixels *= int(axis) if axis.isdigit() else 1
        # 15.1 MB for a magnetogram of 4096 by 4096, as published answers to exports have it; a little more, or less.
        share = 0.226 + 0.02 * values.chance(self, segment.name)
        return round(pixels * _BYTES.get(segment.type, 4) * share) + 5760


# Where values come from -----------------------------------------------------------------------------------------------


def _reader(series: Series, keyword: KeywordDef) -> Callable[[Record], Value]:
    """Return what reads a keyword from a record of which nothing is published: decided once for a series."""
    place = series.key(keyword.name)
    if place is not None:
        key = series.keys[place]
        if keyword.name != key.name:  # its index
            return lambda record: record.position.coordinates[place]
        return lambda record: key.value(record.position.coordinates[place])
    if keyword.linkinfo is not None:
        name, _, target = keyword.linkinfo.partition("->")
        return lambda record: None if (linked := record.linked(name)) is None else linked.value(target)
    text = series.constants.get(keyword.name)
    how = values.how(series, keyword.name) if text is None else None
    if how is not None:
        return how
    value = keyword.default_value if text is None else keyword.read(text)
    return lambda record: value


# Published records ----------------------------------------------------------------------------------------------------


def _published(catalog: Catalog, series: Series) -> Mapping[int, Any]:
    """Return what is published of a series' records, by their numbers."""
    if series.name not in catalog.published:
        catalog.published[series.name] = _collected(catalog, series)
    return catalog.published[series.name]


def _collected(catalog: Catalog, series: Series) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for row in published_records().get(series.name, ()):
        position = _position(series, row["keys"])
        found[position.recnum] = row
    # Values that came through a link are those of the record behind it.
    for name in published_records():
        source = catalog.series(name)
        if source is None or source is series or not any(link.target == series.name for link in source.links):
            continue
        for recnum, row in _published(catalog, source).items():
            record = catalog.record(source, recnum)
            for keyword, text in row["values"].items():
                known = source.keyword(keyword)
                link, _, target = (known.linkinfo or "" if known is not None else "").partition("->")
                linked = record.linked(link) if record is not None and link else None
                if linked is not None and linked.series is series:
                    found.setdefault(linked.recnum, {"values": {}})["values"][target] = text
    return found


def _position(series: Series, keys: list[Any]) -> Position:
    position = series.position_of([key.keyword.read(str(text)) for key, text in zip(series.keys, keys, strict=True)])
    assert position is not None, f"{series.name} has no record {keys}"
    return position


def _parts_of(folder: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"/(SUM\d+)/D(\d+)/S(\d+)", folder)
    assert match is not None, folder
    return match[1], int(match[2]), int(match[3])


def home_of(catalog: Catalog, sunum: int, slot: int) -> tuple[str, int] | None:
    """Return series and number of the record whose files are in a slot of a storage unit."""
    for name in published_records():
        series = catalog.series(name)
        if series is None:
            continue
        for recnum, row in _published(catalog, series).items():
            if "folder" in row and _parts_of(row["folder"])[1:] == (sunum, slot):
                return name, recnum
    number, unit = divmod(sunum - _FIRST_UNIT, _UNITS_PER_SERIES)
    series = catalog.numbered(number)
    if series is None or not 0 <= slot < series.unitsize:
        return None
    return series.name, unit * series.unitsize + slot
