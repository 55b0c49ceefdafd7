"""Which bytes a server means by a URL at one moment, and how two such moments are told apart (RFC 9110, 8.8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs

from aurora_async.transfer.digests import is_md5_etag

__all__ = ["Version"]

_STRONG_ETAG = re.compile(r'"[^"]*"')
_SETTLED_S = 60.0


@attrs.frozen(kw_only=True)
class Version:
    """What an answer says of the file it is about, of which only a part may have come."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None
    validator: str | None = None
    """That of the two by which the rest of just these bytes can be asked for (`If-Range`), None when neither can."""
    is_md5: bool = False
    """Whether the ETag, where it looks like an MD5, certainly is that of the bytes."""

    @classmethod
    def of(cls, headers: Mapping[str, str], length: int | None) -> Version:
        """Read the headers of an answer about a file of `length` bytes."""
        etag, last_modified = headers.get("ETag"), headers.get("Last-Modified")
        validator = None
        if headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity"):
            if etag is not None and _STRONG_ETAG.fullmatch(etag):
                validator = etag
            elif _is_settled(_moment(last_modified), _moment(headers.get("Date"))):
                validator = last_modified
        return cls(
            etag=etag, last_modified=last_modified, length=length, validator=validator, is_md5=is_md5_etag(headers)
        )

    @property
    def modified(self) -> datetime | None:
        """When the server says the file was changed last."""
        return _moment(self.last_modified)

    def is_same(self, other: Version) -> bool:
        """True when nothing tells the two apart, and something could have."""
        tags, dates = (self.etag, other.etag), (self.last_modified, other.last_modified)
        known = [pair for pair in (tags, dates, (self.length, other.length)) if None not in pair]
        return all(one == two for one, two in known) and (tags in known or dates in known)

    def is_continued_by(self, part: Version) -> bool:
        """True when `part`, the answer to an If-Range with our validator, is of the same bytes."""
        if self.validator == self.last_modified and part.last_modified is None:
            # Such an answer need not repeat the date (RFC 9110, 15.3.7); that it is a part says that the date held.
            part = attrs.evolve(part, last_modified=self.last_modified)
        return self.is_same(part)


def _is_settled(modified: datetime | None, sent: datetime | None) -> bool:
    # Shortly after a change the file may change again without its date, in whole seconds, showing it.
    return modified is not None and sent is not None and (sent - modified).total_seconds() >= _SETTLED_S


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
