"""What a series is made of: keywords, segments, links, prime keys and their slots."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs

from aurora_async.jsoc.keywords import KeywordType, Value, print_value, read_value
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.positions import Choice, Coordinate, Position, Positions, Rows, only

if TYPE_CHECKING:
    from aurora_async.server.jsoc.records import Record

__all__ = ["Key", "KeywordDef", "LinkDef", "Listed", "RecordSetProblem", "SegmentDef", "Series", "Slots"]


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
        return self.kind is not KeywordType.TIME and re.fullmatch(r"%\.?\d*[defgs]", self.format) is not None

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

    def position_of(self, values: Sequence[Value]) -> Position | None:
        """Return the position of the record with these prime keys."""
        choices: list[Choice] = []
        for key, value in zip(self.keys, values, strict=True):
            if value is None:
                return None
            choices.append([only(key.coordinate(value))])
        return next(self.positions.among(choices), None)
