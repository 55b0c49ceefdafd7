"""What an export asks for: its parameters read and checked, and the records that it means."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc.recordset import RecordSet, parse_record_set
from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.contents import FIELD_SEGMENTS, export_segments, is_image, stored_name
from aurora_async.server.jsoc.names import DEFAULT_PATTERN
from aurora_async.server.jsoc.records import Record
from aurora_async.server.jsoc.settings import JsocSettings
from aurora_async.server.jsoc.steps import Process, Step, StepError
from aurora_async.server.jsoc.structure import RecordSetProblem, Series

__all__ = ["Opened", "Order", "Refused", "check_texts", "open_records", "read_order"]

_METHODS = ("url_quick", "url", "url-tar")
_KINDS = ("as-is", "fits", "jpg", "png", "mpg", "mp4")
_MEGABYTE = 1 << 20
_MOST_RECORDS = 100_000


class Refused(Exception):
    """A request that is answered with a status and an error, which the answer has last.

    Args:
        status: The status.
        error: The error.
        document: What else the answer says.
    """

    def __init__(self, status: int, error: str, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, error)
        self.document = {"status": status, **(document or {}), "error": error}


@attrs.frozen(kw_only=True)
class Order:
    """An export as it was asked for."""

    record_set: str
    segments: str = ""
    address: str = ""
    requestor: str = ""
    method: str = "url"
    protocol: str = "as-is"
    pattern: str = DEFAULT_PATTERN
    process: str = "n=0"
    size_ratio: float = 1.0
    any_quality: bool = False
    is_test: bool = False

    @property
    def kind(self) -> str:
        """What sort of files comes of it: the protocol without its options."""
        return self.protocol.partition(",")[0].strip().lower()

    @property
    def is_quick(self) -> bool:
        """Whether it is answered at once."""
        return self.method == "url_quick" and self.kind == "as-is"

    @property
    def is_tar(self) -> bool:
        """Whether all files are packed into one."""
        return self.method.endswith("-tar")

    @property
    def limit(self) -> int:
        """How many records are wanted: 0 all, below the last."""
        return Process.of_text(self.process).limit

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done to the images; nothing to files that are given as they are stored."""
        return () if self.kind == "as-is" else Process.of_text(self.process).steps

    def as_json(self) -> str:
        """Return it as it is kept."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Order:
        """Read what `as_json` returned."""
        return cls(**json.loads(text))


def check_texts(given: Mapping[str, str]) -> None:
    """Refuse what might end a statement of the database, or a text in one, wherever it stands."""
    for value in given.values():
        if ";" in value or value.count("'") % 2:
            raise Refused(4, f"Illegal text in arg: {value}")


def read_order(given: Mapping[str, str]) -> Order:
    """Read the parameters of an export.

    Raises:
        Refused: One of them says nothing.
    """
    method = given.get("method", "url").strip().lower()
    if method not in _METHODS:
        raise Refused(4, f"Method '{method}' is not served here, only {', '.join(_METHODS)}.")
    record_set = given.get("ds", "").strip()
    if record_set == "*file*":
        record_set = ",".join(line.strip() for line in given.get("file", "").splitlines() if line.strip())
    try:
        ratio = float(given.get("sizeratio", "1"))
        if not 0 <= ratio < math.inf:
            raise ValueError(ratio)
        if "processing" in given:
            process = str(Process.of_json(given["processing"], given.get("max_recs", "0")))
        else:
            process = given.get("process", "").strip() or "n=0"
            Process.of_text(process)
    except StepError as error:
        raise Refused(4, f"Cannot understand the processing steps: {error}.") from None
    except ValueError:
        raise Refused(4, f"Bad sizeratio '{given['sizeratio']}'.") from None
    order = Order(
        record_set=record_set,
        segments=given.get("seg", ""),
        address=given.get("notify", ""),
        requestor=given.get("requestor", ""),
        method=method,
        protocol=given.get("protocol", "as-is"),
        pattern=given.get("filenamefmt") or DEFAULT_PATTERN,
        process=process,
        size_ratio=ratio,
        any_quality=_is_on(given, "q"),
        is_test=_is_on(given, "t"),
    )
    if order.kind not in _KINDS:
        raise Refused(4, f"Protocol '{order.protocol}' is not served here, only {', '.join(_KINDS)}.")
    # A quick answer names files that exist: what has to be made is queued.
    return order if order.is_quick or method != "url_quick" else attrs.evolve(order, method="url")


def _is_on(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "0").strip() not in ("0", "")


@attrs.frozen(kw_only=True)
class Opened:
    """The records of an export, and which of their files it takes."""

    series: Series
    records: Sequence[Record]
    segments: tuple[str, ...]
    fingerprint: str
    """The same for exports that come to the same."""
    megabytes: int = 0
    refusal: Refused | None = None
    """Why it cannot be carried out, although it can be understood."""

    def files(self, order: Order) -> Iterator[tuple[Record, str, str | None]]:
        """Yield record, segment and name in the store of each file; of an export of images, only images."""
        made, steps = export_segments(self.segments, order.steps), order.steps
        for record in self.records:
            for segment in made:
                if made != self.segments:
                    if all(stored_name(record, name) for name in FIELD_SEGMENTS):
                        yield record, segment, f"{segment}.fits"
                elif order.kind == "as-is":
                    yield record, segment, stored_name(record, segment)
                elif is_image(record, segment):
                    yield record, segment, f"{segment}.fits" if steps else stored_name(record, segment)


def open_records(order: Order, catalog: Catalog, settings: JsocSettings) -> Opened:
    """Find the records that an export means, checking it in the order in which JSOC does.

    Raises:
        Refused: It names no records of one series.
    """
    wanted, series = _one_series(order, catalog)
    names = _segments(order, wanted, series)
    try:
        records = catalog.open(order.record_set, n=order.limit, images_only=not order.any_quality, limit=_MOST_RECORDS)
    except RecordSetProblem as error:
        text = f"Can not open RecordSet, bad query or too many records: {order.record_set}"
        raise Refused(4, text) from error
    opened = Opened(series=series, records=records, segments=names, fingerprint=_fingerprint(order, records, names))
    return _with_size(order, opened, settings)


def _one_series(order: Order, catalog: Catalog) -> tuple[RecordSet, Series]:
    try:
        wanted = parse_record_set(order.record_set)
    except InvalidQuery:
        raise Refused(4, f"Bad record-set query '{order.record_set}'.") from None
    names = {subset.series.lower() for subset in wanted.subsets}
    if len(names) > 1:
        raise Refused(4, "Cannot specify subsets of records from different series.")
    name = wanted.subsets[0].series
    series = catalog.series(name)
    if series is None or name.lower().startswith("jsoc.export"):
        raise Refused(4, f"Cannot export series '{name}' - it does not exist.")
    return wanted, series


def _segments(order: Order, wanted: RecordSet, series: Series) -> tuple[str, ...]:
    in_set = [name for subset in wanted.subsets for name in subset.segments]
    apart = [name for name in order.segments.replace(",", " ").split() if name != "**ALL**"]
    if in_set and apart:
        raise Refused(4, f"Bad record-set query '{order.record_set}'.")
    known = {segment.name.lower(): segment.name for segment in series.segments}
    asked = list(dict.fromkeys(name.lower() for name in (in_set or apart)))
    return tuple(known[name] for name in asked if name in known) if asked else tuple(known.values())


def _fingerprint(order: Order, records: Sequence[Record], segments: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for part in (order.pattern, order.process, order.protocol.lower(), order.method, *segments):
        digest.update(part.encode() + b"\0")
    for record in records:
        digest.update(f"{record.series.name} {record.recnum}\0".encode())
    return digest.hexdigest()


def _with_size(order: Order, opened: Opened, settings: JsocSettings) -> Opened:
    taken = [segment for segment in opened.series.segments if segment.name in opened.segments]
    stored = sum(record.segment_bytes(segment) for record in opened.records for segment in taken)
    size = stored * order.size_ratio / _MEGABYTE
    megabytes = max(1, int(size)) if size > 0 else 0
    # Whoever wants files unpacked gets less: what is stored is compressed.
    most = settings.max_megabytes // 10 if "**NONE**" in order.protocol else settings.max_megabytes
    name = opened.series.name.lower()
    refusal = None
    if order.is_quick and not any(stored for _, _, stored in opened.files(order)):
        refusal = Refused(4, "There are no files in this RecordSet")
    elif any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in settings.offline):
        text = f"The files of {opened.series.name} are on tape only; write to jsoc_help@jsoc.stanford.edu for them."
        refusal = Refused(25, text)
    elif megabytes > most:
        answer = {"requestid": "VOID", "method": order.method, "protocol": order.protocol, "wait": 0}
        answer |= {"count": len(opened.records), "size": megabytes}
        refusal = Refused(3, f"Request exceeds max byte limit of {most}MB", answer)
    return attrs.evolve(opened, megabytes=megabytes, refusal=refusal)
