"""What series are made of, and what is known about a user: all frozen, as the service tells it.

A series holds records, each named by its primary keys; its keywords are values, its segments files, its links point to
records of other series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from aurora_async.display.numbers import plural
from aurora_async.jsoc.keywords import KeywordType
from aurora_async.transfer.tables import Records, table

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "AddressStatus",
    "Interval",
    "Keyword",
    "Link",
    "Members",
    "PendingExports",
    "PrimeKey",
    "Segment",
    "SeriesInfo",
    "SeriesName",
]

_INTEGERS = frozenset({KeywordType.SHORT, KeywordType.INT, KeywordType.LONGLONG})
_REALS = frozenset({KeywordType.FLOAT, KeywordType.DOUBLE})


@table(shown=("name", "type", "units", "note"), noun="keyword", hides_empty=True)
@attrs.frozen
class Keyword:
    """A keyword: a typed value of each record.

    `recscope` is `variable`, `constant`, or what a slot helper is for; `units` of a time name its zone; `linkinfo` is
    `LINK->KEYWORD` where it comes from a record of another series. `default` is printed in the keyword's own format.
    """

    name: str
    type: KeywordType
    recscope: str = "variable"
    default: str = ""
    units: str = ""
    note: str = ""
    linkinfo: str | None = None

    @property
    def is_time(self) -> bool:
        """Whether its values are instants."""
        return self.type is KeywordType.TIME

    @property
    def is_integer(self) -> bool:
        """Whether its values are whole numbers; a char, which may be a letter, is none."""
        return self.type in _INTEGERS

    @property
    def is_real(self) -> bool:
        """Whether its values are floating-point numbers."""
        return self.type in _REALS

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.is_integer or self.is_real


@table(noun="segment", hides_empty=True)
@attrs.frozen
class Segment:
    """A file, or a folder of files, of each record.

    `dims` is `4096x4096`, with `VAR` where it differs from record to record; empty where it has none. `units` and
    `dims` are None, and `protocol` names the link, where the segment is that of a linked record.
    """

    name: str
    type: str | None = None
    units: str | None = None
    protocol: str | None = None
    dims: str | None = None
    note: str = ""


@table(noun="link", hides_empty=True)
@attrs.frozen
class Link:
    """A pointer from each record to one of the series `target`: `kind` is `STATIC` or `DYNAMIC`."""

    name: str
    target: str
    kind: str
    note: str = ""


@attrs.frozen
class PrimeKey:
    """A primary key; the values of a slotted one are rounded to a grid of `step_s` (seconds, for a time)."""

    name: str
    slotted: bool = False
    step_s: float | None = None


@attrs.frozen
class Interval:
    """From where to where the records of a series go; names and numbers are None while it is empty."""

    first_record: str | None = None
    first_recnum: int | None = None
    last_record: str | None = None
    last_recnum: int | None = None
    max_recnum: int | None = None


M = TypeVar("M", bound=Keyword | Segment | Link)


class Members(Mapping[str, M]):
    """Keywords, segments or links of a series by name, in the order of the series; the case of names is ignored."""

    def __init__(self, members: Iterable[M] = (), *, record_type: type[M]) -> None:
        self._members = tuple(members)
        self._record_type = record_type
        # Names that differ in case only do not exist, but for the first the service would take no other either.
        self._by_name = {member.name.lower(): member for member in reversed(self._members)}

    def __getitem__(self, name: str) -> M:
        try:
            return self._by_name[name.lower()]
        except (KeyError, AttributeError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (member.name for member in self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"<{plural(len(self), self._record_type.__name__.lower())}: {', '.join(self)}>"

    @property
    def records(self) -> Records[M]:
        """The members as a list, for tables and notebooks."""
        return Records(self._members, record_type=self._record_type)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame, a row a member."""
        return self.records.to_pandas()

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table, a row a member."""
        return self.records.to_arrow()

    def _repr_html_(self) -> str:
        return self.records._repr_html_()


@attrs.frozen(kw_only=True)
class SeriesInfo:
    """The structure of a series.

    Attributes:
        name: In the service's own spelling where it shows it, else as asked.
        retention_days: How long the files of a record are kept on disk.
        archive: -1, 0 or 1: whether records go with their files, files are kept, or go to tape.
        primekeys: The names of the keywords that identify a record.
        prime_key_info: The same with their slots.
        interval: The first and the last record.
        raw: The whole answer, for what is not told otherwise.
    """

    name: str
    note: str = ""
    retention_days: int | None = None
    staging_retention_days: int | None = None
    unitsize: int | None = None
    archive: int | None = None
    tapegroup: int | None = None
    primekeys: tuple[str, ...] = ()
    prime_key_info: tuple[PrimeKey, ...] = ()
    dbindex: tuple[str, ...] = ()
    keywords: Members[Keyword] = attrs.field(factory=lambda: Members(record_type=Keyword))
    segments: Members[Segment] = attrs.field(factory=lambda: Members(record_type=Segment))
    links: Members[Link] = attrs.field(factory=lambda: Members(record_type=Link))
    interval: Interval | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, eq=False)

    def __repr__(self) -> str:
        return f"<SeriesInfo {self._summary()}>"

    def _repr_html_(self) -> str:
        members = (self.segments, self.links, self.keywords)
        tables = "".join(one._repr_html_() for one in members if len(one))
        return f"<p><b>{escape(self._summary())}</b></p><p>{escape(self.note)}</p>{tables}"

    def _summary(self) -> str:
        counted = [plural(len(self.keywords), "keyword"), plural(len(self.segments), "segment")]
        if self.links:
            counted.append(plural(len(self.links), "link"))
        return f"{self.name}: {', '.join(counted)}; {', '.join(self.primekeys) or 'no primary keys'}"


@table(noun="series", hides_empty=True)
@attrs.frozen
class SeriesName:
    """A series in a list; `note` and `primekeys` are None where the list does not tell them."""

    name: str
    note: str | None = None
    primekeys: tuple[str, ...] | None = None


@attrs.frozen
class AddressStatus:
    """What the service knows about an e-mail address; `message` is its own wording.

    `status` is 1 (a mail was sent that must be replied to), 2 (registered), 3 (pending), 4 (unknown), or -2 (it is no
    address).
    """

    address: str
    status: int
    message: str = ""

    @property
    def is_registered(self) -> bool:
        """Whether exports can be made for it."""
        return self.status == 2

    @property
    def is_pending(self) -> bool:
        """Whether the service waits for the reply to its mail."""
        return self.status in (1, 3)


@attrs.frozen
class PendingExports:
    """The exports of an address that are under way; `request_ids` are those that the service names in `message`.

    `status` is 1 (nothing pending), 2 (pending) or 3 (just given up).
    """

    address: str
    status: int
    message: str = ""
    request_ids: tuple[str, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether any is under way."""
        return self.status == 2

    def __repr__(self) -> str:
        told = {1: "none", 2: "pending", 3: "given up"}.get(self.status, f"status {self.status}")
        return f"<PendingExports of {self.address}: {' '.join([told, ', '.join(self.request_ids)]).strip()}>"
