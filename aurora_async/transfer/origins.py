"""Where a file came from, noted with the file itself where its file system has room for that (extended attributes)."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import attrs
import msgspec

__all__ = ["Origin"]

_NAME = "user.aurora_async.origin"
_OF_CONTENT = re.compile(r'"[0-9a-f]{32}(-[0-9]+)?"')
"""ETags of S3: an MD5, or one of the MD5s of so many parts."""


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

    def is_other(self, other: Origin, *, is_of_content: bool = False) -> bool:
        """True when the two are certainly of different files: another address, and another version.

        Of one address the version says nothing, as some servers have an ETag per machine; but those of object stores
        are made of the content, which counts where `is_of_content` says that the file is still what came.
        """
        if None in (self.etag, other.etag) or self.etag == other.etag:
            return False
        of_content = all(_OF_CONTENT.fullmatch(etag) for etag in (self.etag, other.etag) if etag is not None)
        return self.address != other.address or (is_of_content and of_content)
