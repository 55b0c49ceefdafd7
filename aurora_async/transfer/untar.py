"""Files out of a tar archive that somebody else has packed: looked through first, then taken out one by one.

An archive that holds anything but plain files in plain folders is refused as a whole, before anything is written:
whoever packs a link, or a path that leads elsewhere, means no good, or is somebody else than one thinks.
"""

from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path, PurePosixPath

import anyio.to_thread
import attrs

from aurora_async.errors import WrongContent
from aurora_async.transfer.sink import PartFile, Saved, as_ours

__all__ = ["Member", "extract", "members"]

_PIECE_BYTES = 8 << 20
_BLOCK_BYTES = tarfile.BLOCKSIZE


@attrs.frozen
class Member:
    """A file in an archive: `name` is a relative path with `/` (its parts need not suit every system: `safe_name`)."""

    name: str
    offset: int
    """Of its first byte."""
    size: int


async def members(archive: Path, *, url: str = "") -> tuple[Member, ...]:
    """Return the files of an uncompressed archive, in its order.

    Raises:
        WrongContent: It is no such archive, is cut, or holds what must not be taken out; `reason` names the member.
    """
    return await anyio.to_thread.run_sync(_members, archive, url, abandon_on_cancel=True)


def _members(archive: Path, url: str) -> tuple[Member, ...]:
    found: dict[str, Member] = {}
    try:
        with tarfile.open(archive, "r:", errorlevel=2) as tar:
            for header in tar:
                if header.size < 0:  # the next header would be one that was read before
                    raise WrongContent(url, archive, f"{header.name!r} has {header.size} bytes")
                if header.isdir():
                    _check_name(header.name, url, archive)
                    continue
                member = _checked(header, url, archive)
                spelling = os.path.normcase(member.name).casefold()
                if spelling in found:
                    raise WrongContent(url, archive, f"two of its files have the name {member.name!r}")
                found[spelling] = member
            # Cut between two files, an archive looks like a shorter one, but for the empty block that ends it.
            with archive.open("rb") as file:
                file.seek(tar.offset)
                if file.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
                    raise WrongContent(url, archive, "the archive has no end; fetch it again")
    except tarfile.TarError as error:
        raise WrongContent(url, archive, f"this is not a whole tar archive ({error}); fetch it again") from error
    except OSError as error:
        raise as_ours(error, url, archive, 0) from error
    return tuple(found.values())


def _checked(header: tarfile.TarInfo, url: str, archive: Path) -> Member:
    if not header.isreg() or header.issparse():
        kind = "a link" if header.issym() or header.islnk() else "no plain file"
        raise WrongContent(url, archive, f"{header.name!r} is {kind}; nothing of the archive was taken out")
    return Member(_check_name(header.name, url, archive), header.offset_data, header.size)


def _check_name(name: str, url: str, archive: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        reason = f"{name!r} is not the name of a file in a folder; nothing of the archive was taken out"
        raise WrongContent(url, archive, reason)
    return str(path)


async def extract(
    archive: Path, member: Member, target: Path, *, overwrite: bool = True, sha256: bool = True, url: str = ""
) -> Saved:
    """Take a file out: under the target's name it is whole, or it is not there.

    Raises:
        WrongContent: The archive has been cut since it was looked through.
        TargetNotWritable, TargetExists, DiskFull: It cannot be saved.
    """
    started = time.monotonic()
    async with PartFile(target, url=url, sha256=sha256, overwrite=overwrite) as part:
        for at in range(0, member.size, _PIECE_BYTES):
            await part.run(_copy, archive, member, at, part, url)
        await part.commit()
    return Saved(target, part.written_bytes, 0, part.sha256, time.monotonic() - started)


def _copy(archive: Path, member: Member, at: int, part: PartFile, url: str) -> None:
    wanted = min(_PIECE_BYTES, member.size - at)
    with archive.open("rb") as file:
        file.seek(member.offset + at)
        piece = file.read(wanted)
    if len(piece) < wanted:
        raise WrongContent(url, archive, f"the archive ends within {member.name!r}; fetch it again")
    part.write_here(piece)
