"""Where a file came from, noted with the file itself where its file system has room for that (extended attributes)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import attrs
import msgspec

__all__ = ["Origin"]

_NAME = "user.aurora_async.origin"


@attrs.frozen
class Origin:
    """The address and the version of what was fetched. The address is a digest: it may hold somebody's key."""

    address: str
    etag: str | None = None
    size: int | None = None
    modified_ns: int | None = None
    """What the file was like when this was noted: what has changed since is of no version."""

    @classmethod
    def of(cls, url: str, etag: str | None = None) -> Origin:
        """Return that of a file that comes from there."""
        return cls(sha256(url.encode()).hexdigest(), etag)

    @classmethod
    def noted(cls, path: Path) -> Origin | None:
        """Return what is noted with a file; None where nothing is, or could be."""
        if sys.platform == "linux":
            with suppress(OSError, msgspec.DecodeError):
                return msgspec.json.decode(os.getxattr(path, _NAME), type=cls)
        return None

    def note(self, path: Path) -> None:
        """Note it with a file, if that is possible."""
        if sys.platform == "linux":
            with suppress(OSError):
                found = path.stat()
                noted = attrs.evolve(self, size=found.st_size, modified_ns=found.st_mtime_ns)
                os.setxattr(path, _NAME, msgspec.json.encode(noted))

    def is_of(self, found: os.stat_result, url: str) -> bool:
        """True when a file came from there and has not changed since this was noted."""
        is_untouched = (self.size, self.modified_ns) == (found.st_size, found.st_mtime_ns)
        return is_untouched and self.address == Origin.of(url).address

    def is_other(self, other: Origin) -> bool:
        """True when the two are certainly of different files: another address, and another version."""
        return self.address != other.address and None not in (self.etag, other.etag) and self.etag != other.etag
