"""The service's JSON to our models: the one place that knows the wire's spelling.

Values come as numbers here and as texts there, with blanks around, and descriptions in UTF-8 beside others in latin1;
all of that is read. What is missing or wrong is named with its place (`$.keywords[3].type`), what nobody knows is
tolerated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs
import msgspec

from aurora_async.errors import MalformedAnswer
from aurora_async.http import shown_url
from aurora_async.jsoc.errors import AddressCheckFailed, NoSuchSeries, QueryRefused
from aurora_async.jsoc.keywords import KeywordType
from aurora_async.jsoc.models import (
    AddressStatus,
    Interval,
    Keyword,
    Link,
    Members,
    PendingExports,
    PrimeKey,
    Segment,
    SeriesInfo,
    SeriesName,
)

__all__ = [
    "ExportAnswer",
    "ExportRow",
    "Node",
    "decode_address",
    "decode_count",
    "decode_pending",
    "decode_series",
    "decode_status",
    "decode_structure",
    "read_document",
    "readable",
    "refuse",
]

T = TypeVar("T")

_NOT_UTF8 = re.compile("[\udc80-\udcff]+")
_REQUEST_ID = re.compile(r"JSOC_\d{8}_\d+(?:_[A-Z]+)*")
_BARE_MESSAGE = re.compile(
    r'"status"\s*:\s*"?\s*(?P<status>-?\d+)\s*"?\s*,\s*"errmsg"\s*:\s*(?P<text>.*?)\s*\}?\s*$', re.DOTALL
)
# A column that does not exist is none of these.
_UNKNOWN_SERIES = re.compile(r"series not found|unknown series|\bseries\b.*does not exist", re.IGNORECASE)


# Documents ------------------------------------------------------------------------------------------------------------


def readable(body: bytes) -> bytes:
    """Return a body as UTF-8: bytes that are not, are latin1, also beside others that are."""
    try:
        body.decode()
    except UnicodeDecodeError:
        text = body.decode(errors="surrogateescape")
        return _NOT_UTF8.sub(lambda found: found[0].encode(errors="surrogateescape").decode("latin1"), text).encode()
    return body


def read_document(body: bytes, url: str) -> Node:
    """Read an answer as a JSON object."""
    try:
        document = msgspec.json.decode(readable(body))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        start = " ".join(body[:200].decode(errors="replace").split())[:80]
        raise MalformedAnswer(shown_url(url), "$", f"not JSON but {start!r} ({error})") from error
    return Node.of(document, shown_url(url), "$")


@attrs.frozen
class Node:
    """An object of an answer, and its place in there."""

    fields: Mapping[str, Any]
    url: str
    where: str

    @classmethod
    def of(cls, value: object, url: str, where: str) -> Node:
        """Return the object `value`."""
        if not isinstance(value, dict):
            raise MalformedAnswer(url, where, f"expected an object, got {_short(value)}")
        return cls(value, url, where)

    def wrong(self, name: str, expected: str) -> MalformedAnswer:
        """The error for a field that is missing, or is not what was expected."""
        if name not in self.fields:
            return MalformedAnswer(self.url, f"{self.where}.{name}", f"{expected} is missing")
        return MalformedAnswer(
            self.url, f"{self.where}.{name}", f"expected {expected}, got {_short(self.fields[name])}"
        )

    def maybe_text(self, name: str) -> str | None:
        """Return a text; None where there is none, or null."""
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise self.wrong(name, "a text")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text, which must be there unless there is a default."""
        found = self.maybe_text(name)
        if found is not None:
            return found
        if default is None:
            raise self.wrong(name, "a text")
        return default

    def some_text(self, name: str) -> str | None:
        """Return a text; None where there is none, or an empty one."""
        return (self.maybe_text(name) or "").strip() or None

    def maybe_number(self, name: str) -> float | None:
        """Return a number, which may be written as a text; None where there is none."""
        value = self.fields.get(name)
        if isinstance(value, str):
            if not value.strip():
                return None
            try:
                value = float(value)
            except ValueError:
                raise self.wrong(name, "a number") from None
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
            return value
        raise self.wrong(name, "a number")

    def maybe_whole(self, name: str) -> int | None:
        """Return a whole number, which may be written as a text; None where there is none."""
        number = self.maybe_number(name)
        if number is None:
            return None
        if int(number) != number:
            raise self.wrong(name, "a whole number")
        return int(number)

    def whole(self, name: str) -> int:
        """Return a whole number, which must be there."""
        number = self.maybe_whole(name)
        if number is None:
            raise self.wrong(name, "a whole number")
        return number

    def items(self, name: str, *, required: bool = False) -> list[Any]:
        """Return a list, empty where there is none."""
        value = self.fields.get(name)
        if value is None and not required:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        return value

    def nodes(self, name: str, *, required: bool = False) -> Iterator[Node]:
        """Yield the objects of a list."""
        for index, item in enumerate(self.items(name, required=required)):
            yield Node.of(item, self.url, f"{self.where}.{name}[{index}]")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list without its nulls: `[null]` is how the service writes an empty one."""
        items = [item for item in self.items(name) if item is not None]
        if not all(isinstance(item, str) for item in items):
            raise self.wrong(name, "a list of texts")
        return tuple(items)


def refuse(node: Node, asked: str, field: str = "record_set") -> None:
    """Raise what the service has to say about a record set, series or pattern, if it is anything but an answer.

    Raises:
        NoSuchSeries, QueryRefused: `reason` is its own wording.
    """
    status = node.whole("status")
    if status == 0:
        return
    reason = node.some_text("error") or node.some_text("errmsg") or node.some_text("msg")
    reason = " ".join((reason or "it gives no reason").split())
    kind = NoSuchSeries if _UNKNOWN_SERIES.search(reason) else QueryRefused
    raise kind(asked, status, reason, field)


# Series ---------------------------------------------------------------------------------------------------------------


def decode_series(body: bytes, url: str, pattern: str) -> list[SeriesName]:
    """Read a list of series, in any of the three forms it has.

    Raises:
        QueryRefused: The service could not use the pattern, or failed.
    """
    try:
        node = read_document(body, url)
    except MalformedAnswer:
        # The service puts its message behind "errmsg" without quotes.
        bare = _BARE_MESSAGE.search(readable(body).decode())
        if bare is None or bare["status"] == "0":
            raise
        raise QueryRefused(pattern, int(bare["status"]), " ".join(bare["text"].split()), "regex") from None
    if "seriesList" not in node.fields:
        refuse(node, pattern, "regex")
        return [
            SeriesName(
                one.text("name"), one.maybe_text("note"), tuple(re.findall(r"[^\s,]+", one.text("primekeys", "")))
            )
            for one in node.nodes("names", required=True)
        ]
    if (reason := node.some_text("errMsg")) is not None:
        raise QueryRefused(pattern, node.maybe_whole("status") or 1, reason, "regex")
    return [_listed(item, node, index) for index, item in enumerate(node.items("seriesList", required=True))]


def _listed(item: object, node: Node, index: int) -> SeriesName:
    if isinstance(item, str):
        return SeriesName(item)
    where = f"{node.where}.seriesList[{index}]"
    inner = Node.of(item, node.url, where)
    if len(inner.fields) != 1:
        raise MalformedAnswer(node.url, where, f"expected one name and its description, got {_short(item)}")
    (name,) = inner.fields
    return SeriesName(name, Node.of(inner.fields[name], node.url, f"{where}.{name}").maybe_text("description"))


def decode_structure(body: bytes, url: str, name: str) -> SeriesInfo:
    """Read the structure of the series that was asked for as `name`.

    Raises:
        NoSuchSeries, QueryRefused: There is no such series, or the service failed.
    """
    node = read_document(body, url)
    refuse(node, name)
    interval = _interval(node)
    return SeriesInfo(
        name=_canonical(name, interval),
        note=node.text("note", ""),
        retention_days=node.maybe_whole("retention"),
        staging_retention_days=node.maybe_whole("stagingretention"),
        unitsize=node.maybe_whole("unitsize"),
        archive=node.maybe_whole("archive"),
        tapegroup=node.maybe_whole("tapegroup"),
        primekeys=node.texts("primekeys"),
        prime_key_info=tuple(map(_prime_key, node.nodes("primekeysinfo"))),
        dbindex=node.texts("dbindex"),
        keywords=Members(map(_keyword, node.nodes("keywords", required=True)), record_type=Keyword),
        segments=Members(map(_segment, node.nodes("segments", required=True)), record_type=Segment),
        links=Members(map(_link, node.nodes("links", required=True)), record_type=Link),
        interval=interval,
        raw=node.fields,
    )


def _canonical(name: str, interval: Interval | None) -> str:
    """Return the service's own spelling, which nothing shows but the names of records."""
    for record in (interval.first_record, interval.last_record) if interval else ():
        spelled = (record or "").partition("[")[0]
        if spelled.lower() == name.lower():
            return spelled
    return name


def _interval(node: Node) -> Interval | None:
    if node.fields.get("Interval") is None:
        return None
    inner = Node.of(node.fields["Interval"], node.url, f"{node.where}.Interval")

    def told(name: str, read: Callable[[str], T]) -> T | None:
        return None if inner.fields.get(name) == "NA" else read(name)

    return Interval(
        told("FirstRecord", inner.maybe_text),
        told("FirstRecnum", inner.maybe_whole),
        told("LastRecord", inner.maybe_text),
        told("LastRecnum", inner.maybe_whole),
        told("MaxRecnum", inner.maybe_whole),
    )


def _prime_key(node: Node) -> PrimeKey:
    try:
        step_s = node.maybe_number("step")
    except MalformedAnswer:  # a step in words
        step_s = None
    return PrimeKey(node.text("name"), bool(node.maybe_whole("slotted")), step_s)


def _keyword(node: Node) -> Keyword:
    try:
        kind = KeywordType(node.text("type"))
    except ValueError:
        raise node.wrong("type", f"one of {', '.join(one.value for one in KeywordType)}") from None
    return Keyword(
        node.text("name"),
        kind,
        node.text("recscope", ""),
        node.text("defval", ""),
        node.text("units", ""),
        node.text("note", ""),
        node.some_text("linkinfo"),
    )


def _segment(node: Node) -> Segment:
    return Segment(
        node.text("name"),
        node.maybe_text("type"),
        node.maybe_text("units"),
        node.maybe_text("protocol"),
        node.maybe_text("dims"),
        node.text("note", ""),
    )


def _link(node: Node) -> Link:
    return Link(node.text("name"), node.text("target"), node.text("kind", ""), node.text("note", ""))


def decode_count(body: bytes, url: str, record_set: str) -> int:
    """Read how many records there are."""
    node = read_document(body, url)
    refuse(node, record_set)
    return node.whole("count")


# Addresses ------------------------------------------------------------------------------------------------------------


def decode_address(body: bytes, url: str, address: str) -> AddressStatus:
    """Read what the service knows about an address.

    Raises:
        AddressCheckFailed: It could not find out, or could not send its mail.
    """
    node = read_document(body, url)
    status, message = node.whole("status"), " ".join(node.text("msg", "").split())
    if status in (1, 2, 3, 4, -2):
        return AddressStatus(address, status, message)
    raise AddressCheckFailed(address, status, message or "it gives no reason")


def decode_pending(body: bytes, url: str, address: str) -> PendingExports:
    """Read which exports of an address are under way.

    Raises:
        AddressCheckFailed: The service could not find out, or could not give them up.
    """
    node = read_document(body, url)
    status, message = node.whole("status"), " ".join(node.text("msg", "").split())
    if status not in (1, 2, 3):
        raise AddressCheckFailed(address, status, message or "it gives no reason")
    return PendingExports(address, status, message, tuple(dict.fromkeys(_REQUEST_ID.findall(message))))


# Exports --------------------------------------------------------------------------------------------------------------


@attrs.frozen
class ExportRow:
    """A file of an export, and the record it is of; `filename` is `NoDataFile` or empty where there is none."""

    record: str
    filename: str


@attrs.frozen(kw_only=True)
class ExportAnswer:
    """What the service says about an export: None for what it leaves out.

    `status` is the service's own number; `records` is how many records were asked for, `files` how many files there
    are; `dir` and `tarfile` are paths below the download address.
    """

    status: int
    request_id: str | None = None
    method: str | None = None
    protocol: str | None = None
    wait_s: float | None = None
    records: int | None = None
    files: int | None = None
    size_mb: float | None = None
    dir: str | None = None
    tarfile: str | None = None
    keywords: str | None = None
    data: tuple[ExportRow, ...] = attrs.field(default=(), repr=lambda rows: f"<{len(rows)} rows>")
    error: str | None = None
    contact: str | None = None
    movie: str | None = None
    raw: bytes = attrs.field(default=b"", repr=False, eq=False)


def decode_status(body: bytes, url: str) -> ExportAnswer:
    """Read what the service answers to an export request, and to a question for the status of one.

    Raises:
        MalformedAnswer: With the place (`$.data[3].record`).
    """
    node = read_document(body, url)
    status = node.whole("status")
    request_id = node.some_text("requestid") or node.some_text("reqid")
    # The records of a refused request are counted where the files of a finished one are.
    count, records = node.maybe_whole("count"), node.maybe_whole("rcount")
    return ExportAnswer(
        status=status,
        request_id=None if request_id == "VOID" else request_id,
        method=node.some_text("method"),
        protocol=node.some_text("protocol"),
        wait_s=node.maybe_number("wait"),
        records=count if status == 3 and records is None else records,
        files=count if status == 0 else None,
        size_mb=node.maybe_number("size"),
        dir=node.some_text("dir"),
        tarfile=node.some_text("tarfile"),
        keywords=node.some_text("keywords"),
        data=tuple(ExportRow(row.text("record", ""), row.text("filename", "")) for row in node.nodes("data")),
        error=node.some_text("error"),
        contact=node.some_text("contact"),
        movie=node.some_text("movie name"),
        raw=body,
    )


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
