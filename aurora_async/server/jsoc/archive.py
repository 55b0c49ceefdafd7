"""All files of an export in one: a tar, written member by member, so that one file at a time is in memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["write_tar"]


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], *, changed_s: int) -> None:
    """Write a tar of files, given by name and content; it has its name when it is whole."""
    part = path.with_name(f"{path.name}.part")
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), changed_s
            tar.addfile(member, io.BytesIO(content))
    part.replace(path)
