"""Files out of a tar archive that somebody else has packed: looked through first, then taken out one by one.

An archive that holds anything but plain files in plain folders is refused as a whole, before anything is written:
whoever packs a link, or a path that leads elsewhere, means no good, or is somebody else than one thinks.
"""

from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

import anyio.to_thread
import attrs

from aurora_async.errors import WrongContent
from aurora_async.transfer.sink import PartFile, Saved, as_ours

__all__ = ["Archive", "Member"]

_PIECE_BYTES = 8 << 20
_BLOCK_BYTES = tarfile.BLOCKSIZE
_MOST_HEADER_BYTES = 1 << 20
"""A long name or a list of attributes is read in one piece, as long as the archive says it is."""


@attrs.frozen
class Member:
    """A file in an archive: `name` is a relative path with `/` (its parts need not suit every system: `safe_name`)."""

    name: str
    offset: int
    """Of its first byte."""
    size: int


class Archive:
    """An uncompressed tar archive: `async with` it, look through it, take files out.

    It is opened once: whatever takes its name meanwhile, one file is looked through and taken apart.
    """

    def __init__(self, path: Path, *, url: str = "") -> None:
        self.path = path
        self.url = url
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            TargetNotWritable: It cannot be read.
        """
        try:
            self._file = await anyio.to_thread.run_sync(lambda: self.path.open("rb"))
        except OSError as error:
            raise as_ours(error, self.url, self.path, 0) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.file.close()

    @property
    def file(self) -> BinaryIO:
        """The open file, for one thread at a time."""
        assert self._file is not None, "an archive is opened by `async with`"
        return self._file

    async def members(self) -> tuple[Member, ...]:
        """Return the files of the archive, in its order.

        Raises:
            WrongContent: It is no such archive, is cut, or holds what must not be taken out; `reason` names the member.
        """
        return await anyio.to_thread.run_sync(_members, self.file, self.path, self.url, abandon_on_cancel=True)

    async def extract(self, member: Member, target: Path, *, overwrite: bool = True, sha256: bool = True) -> Saved:
        """Take a file out: under the target's name it is whole, or it is not there.

        Raises:
            WrongContent: The archive has been cut since it was looked through.
            TargetNotWritable, TargetExists, DiskFull: It cannot be saved.
        """
        started = time.monotonic()
        async with PartFile(target, url=self.url, sha256=sha256, overwrite=overwrite) as part:
            for at in range(0, member.size, _PIECE_BYTES):
                await part.run(self._copy, member, at, part)
            await part.commit()
        return Saved(target, part.written_bytes, 0, part.sha256, time.monotonic() - started)

    def _copy(self, member: Member, at: int, part: PartFile) -> None:
        wanted = min(_PIECE_BYTES, member.size - at)
        self.file.seek(member.offset + at)
        piece = self.file.read(wanted)
        if len(piece) < wanted:
            raise WrongContent(self.url, self.path, f"the archive ends within {member.name!r}; fetch it again")
        part.write_here(piece)


class _Headers:
    """The file as tarfile sees it: headers of any sensible length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _members(file: BinaryIO, archive: Path, url: str) -> tuple[Member, ...]:
    found: dict[str, Member] = {}
    file.seek(0)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], _Headers(file)), mode="r:", errorlevel=2) as tar:
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
            file.seek(tar.offset)
            if file.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
                raise WrongContent(url, archive, "the archive has no end; fetch it again")
    except OSError as error:
        raise as_ours(error, url, archive, 0) from error
    # All but the first are tarfile's own answer to attributes, sizes and chains of headers that make no sense.
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise WrongContent(url, archive, f"this is not a whole tar archive ({error}); fetch it again") from error
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
