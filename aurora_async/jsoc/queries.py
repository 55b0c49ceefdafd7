"""What is asked of an export: which records, in what form, after which steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc.addresses import checked_address
from aurora_async.jsoc.filenames import FileNameFormat
from aurora_async.jsoc.processing import Protocol, Step, refuse_unsafe, steps_of
from aurora_async.jsoc.recordset import RecordSet

if TYPE_CHECKING:
    from aurora_async.jsoc.tables import RecordTable

__all__ = ["ExportQuery", "Method", "as_email", "as_requestor"]

Method = Literal["url_quick", "url", "url-tar"]


def _as_record_set(what: Any) -> RecordSet:
    """Return what a text means, or exactly the records of a table."""
    if isinstance(what, RecordSet | str):
        return RecordSet.of(what)
    if not hasattr(what, "subset"):
        raise InvalidQuery("record_set", f"{what!r} is no record set, text of one, or table of records")
    if not len(what):
        raise InvalidQuery("record_set", "the table has no rows, so there is nothing to export")
    subset = what.subset()
    assert isinstance(subset, RecordSet)
    return subset


def _as_method(method: str) -> Method:
    known: dict[str, Method] = {"url_quick": "url_quick", "url": "url", "url-tar": "url-tar"}
    found = known.get(method.strip().lower()) if isinstance(method, str) else None
    if found is None:
        raise InvalidQuery("method", f"{method!r} is none of {', '.join(known)}")
    return found


def _as_format(text: str | FileNameFormat | None) -> str | None:
    """Return the text of a format, read once to find what is wrong with it; the empty text is the service's own."""
    return text if text is None or text == "" else str(FileNameFormat.parse(str(text)))


def as_email(address: str | None) -> str | None:
    """Check an address, if one is given."""
    return None if address is None else checked_address(address, "email")


def _as_limit(n: int | None) -> int:
    if isinstance(n, bool) or not isinstance(n, int | None):
        raise InvalidQuery("n", f"{n!r} is not a number of records: the first ones, or with a minus the last")
    return n or 0


def _as_ratio(ratio: float | None) -> float | None:
    if ratio is not None and (isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < 1e6):
        raise InvalidQuery("size_ratio", f"{ratio!r} is not a number above 0")
    return ratio


def as_requestor(name: str | None) -> str | None:
    """Check a name, if one is given."""
    if name is not None and not isinstance(name, str):
        raise InvalidQuery("requestor", f"{name!r} is not a name")
    return name if name is None else refuse_unsafe("requestor", name.strip())


@attrs.frozen(init=False)
class ExportQuery:
    """Files of records: which records, in what form, after which steps.

    Attributes:
        record_set: Of one series; a text, or a table of records, of which exactly the rows are meant.
        method: `url_quick` answers at once with files that are on disk, where nothing is to be done to them, and is
            `url` otherwise; `url-tar` packs all of them into one archive.
        protocol: The form: `as-is`, `fits` (with the keywords in the headers), or images `jpg`, `png`, `mpg`, `mp4`.
        filename_format: The service's names; None makes them of series, primary keys and segment, the empty text
            leaves them to the service.
        process: The steps an image goes through.
        n: The first so many records, with a minus the last; 0: all.
        size_ratio: How large the files are expected to be, compared with those stored: a cut-out is small, and passes
            the service's limit only when it knows.
        email: A registered address; None: the client's.
        requestor: A name; None: the client's, or what stands before the address' @; the empty text sends none.
    """

    record_set: RecordSet = attrs.field(converter=_as_record_set)
    method: Method = attrs.field(converter=_as_method)
    protocol: Protocol
    filename_format: str | None = attrs.field(converter=_as_format)
    process: tuple[Step, ...] = attrs.field(converter=steps_of)
    n: int = attrs.field(converter=_as_limit)
    size_ratio: float | None = attrs.field(converter=_as_ratio)
    email: str | None = attrs.field(converter=as_email)
    requestor: str | None = attrs.field(converter=as_requestor)

    def __init__(
        self,
        record_set: RecordSet | RecordTable | str,
        *,
        method: str = "url_quick",
        protocol: str | Protocol = "as-is",
        protocol_args: Mapping[str, Any] | None = None,
        filename_format: str | FileNameFormat | None = None,
        process: Mapping[str, Mapping[str, Any]] | Iterable[Step] | None = None,
        n: int | None = None,
        size_ratio: float | None = None,
        email: str | None = None,
        requestor: str | None = None,
    ) -> None:
        """Check everything that can be checked without the series; what is given is only read.

        Args:
            protocol_args: Options of images: `ct` (color table), `scaling`, `size` (1, 2, 4, 8: so much smaller),
                `min`, `max`.
            process: Names of steps, and the arguments of each.

        Raises:
            InvalidQuery: With the field, and what is allowed there.
        """
        self.__attrs_init__(
            record_set,
            method,
            Protocol.of(protocol, protocol_args),
            filename_format,
            process,
            n,
            size_ratio,
            email,
            requestor,
        )
        if len({series.lower() for series in self.record_set.series}) > 1:
            raise InvalidQuery("record_set", f"an export is of one series, not of {', '.join(self.record_set.series)}")
        refuse_unsafe("record_set", str(self.record_set))

    @property
    def series(self) -> str:
        """The series of the records."""
        return self.record_set.series[0]

    @property
    def is_quick(self) -> bool:
        """Whether the service may answer at once: stored files, just as they are."""
        return self.method == "url_quick" and self.protocol.name == "as-is" and not self.process

    def document(self) -> dict[str, Any]:
        """Return the query as plain JSON, for files and journals."""
        return {
            "record_set": str(self.record_set),
            "method": self.method,
            "protocol": str(self.protocol),
            "filename_format": self.filename_format,
            "process": {step.name: dict(step.arguments) for step in self.process},
            "n": self.n,
            "size_ratio": self.size_ratio,
            "email": self.email,
            "requestor": self.requestor,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ExportQuery:
        """Return the query of a document, also of one that somebody has written; what is left out has its default."""
        known = {attribute.name for attribute in attrs.fields(cls)} | {"protocol_args"}
        if not isinstance(document, Mapping) or "record_set" not in document:
            raise InvalidQuery("record_set", "is missing")
        for name in document:
            if name not in known:
                raise InvalidQuery(str(name), f"is unknown; known are {', '.join(sorted(known))}")
        return cls(**document)
