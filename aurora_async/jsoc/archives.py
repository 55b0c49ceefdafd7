"""Exports that come as one tar archive: fetched whole, looked through, then taken out file by file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import anyio.to_thread
import attrs

from aurora_async.engine.places import digest_file
from aurora_async.errors import AuroraError, DiskFull, WrongContent
from aurora_async.http import Session
from aurora_async.jsoc.downloads import (
    HEAD_BYTES,
    DownloadedFile,
    DownloadOptions,
    ExportedFile,
    OnBytes,
    fetch_files,
    is_fits,
    local_names,
    refuse_other_start,
    refuse_part_of_block,
    without_file,
)
from aurora_async.jsoc.errors import NoFile
from aurora_async.jsoc.filenames import NamesTaken
from aurora_async.transfer.names import safe_name
from aurora_async.transfer.untar import Member, extract, members

__all__ = ["fetch_archive"]

_PIECE_BYTES = 1 << 20


async def fetch_archive(
    session: Session,
    archive: ExportedFile,
    files: Sequence[ExportedFile],
    folder: Path,
    options: DownloadOptions,
    *,
    on_bytes: OnBytes,
) -> tuple[Path | None, list[DownloadedFile]]:
    """Fetch an archive and take out the files it is said to hold; return where it is, if it is kept, and the files.

    Raises:
        WrongContent: It holds what must not be taken out; nothing was, and the archive is not kept.
        AuroraError: It could not be fetched.
    """
    chosen = options.chosen(files)
    names = local_names(files, by_record=options.names == "record")
    url = archive.url or ""
    if options.extract and options.exists == "skip":
        wanted = [(files[at], folder / names[at] if at in names else None) for at in chosen]
        there = await anyio.to_thread.run_sync(_all_there, wanted, url, options.sha256)
        if there is not None:
            return None, there
    fetching = attrs.evolve(options, names="server", index=None, sha256=options.sha256 and not options.extract)
    (fetched,) = await fetch_files(session, [archive], folder, fetching, by_record=False, at_once=1, on_bytes=on_bytes)
    if fetched.error is not None:
        raise fetched.error
    assert fetched.path is not None, "without an error there is a file"
    if not options.extract:
        return fetched.path, [attrs.evolve(fetched, record=None)]
    try:
        packed = await members(fetched.path, url=url)
    except WrongContent:
        if fetched.fetched_bytes:
            await anyio.to_thread.run_sync(fetched.path.unlink)
        raise
    unpacking = _Unpacking(fetched.path, url, folder, options)
    found = await unpacking.take_out_all(packed, [(files[at], names.get(at, "")) for at in chosen], names.values())
    if options.keep_tar or any(file.error is not None and not isinstance(file.error, NoFile) for file in found):
        return fetched.path, found
    await anyio.to_thread.run_sync(fetched.path.unlink)
    return None, found


def _all_there(
    wanted: Sequence[tuple[ExportedFile, Path | None]], url: str, sha256: bool
) -> list[DownloadedFile] | None:
    """Return what is told of files that are all there already; None when the archive is needed."""
    if not all(path is None or path.is_file() for _, path in wanted):
        return None
    return [
        without_file(file) if path is None else _kept(DownloadedFile(record=file.record, url=url), path, sha256)
        for file, path in wanted
    ]


def _kept(told: DownloadedFile, path: Path, sha256: bool) -> DownloadedFile:
    return attrs.evolve(told, path=path, bytes=path.stat().st_size, sha256=digest_file(path) if sha256 else None)


def _popped(rest: dict[str, Member], filename: str) -> Member | None:
    """Take a file from those that are left: by its path, or, should the archive have a folder around all, its name."""
    last = PurePosixPath(filename).name
    near = (name for name in rest if PurePosixPath(name).name == last)
    return rest.pop(filename if filename in rest else next(near, ""), None)


@attrs.frozen
class _Unpacking:
    """An archive that has been looked through, and where its files go."""

    archive: Path
    url: str
    folder: Path
    options: DownloadOptions

    async def take_out_all(
        self, packed: Sequence[Member], wanted: Sequence[tuple[ExportedFile, str]], names: Iterable[str]
    ) -> list[DownloadedFile]:
        """Take out the wanted files, each under its name, and with all of them what is of no record: lists."""
        rest = {member.name: member for member in packed}
        found = []
        for file, name in wanted:
            if file.problem is not None:
                found.append(without_file(file))
            else:
                found.append(await self.take_out(_popped(rest, file.filename), file.record, name))
        if self.options.index is None:
            taken = NamesTaken()
            for name in names:
                taken.add(name)
            for member in rest.values():
                found.append(await self.take_out(member, None, taken.add(safe_name(member.name))))
        return found

    async def take_out(self, member: Member | None, record: str | None, name: str) -> DownloadedFile:
        """Take one out, or say why not."""
        told = DownloadedFile(record=record, url=self.url)
        try:
            if member is None:
                raise WrongContent(self.url, self.folder / name, "the archive does not hold it; fetch it again")
            target = await anyio.to_thread.run_sync(self._target, member, name)
            if target is None:
                return await anyio.to_thread.run_sync(_kept, told, self.folder / name, self.options.sha256)
            saved = await extract(
                self.archive,
                member,
                target,
                overwrite=self.options.exists not in ("refuse", "unique"),
                sha256=self.options.sha256,
                url=self.url,
            )
        except DiskFull:
            raise  # nor does the next one fit
        except AuroraError as error:
            return attrs.evolve(told, error=error)
        return attrs.evolve(told, path=saved.path, bytes=saved.bytes, fetched_bytes=saved.bytes, sha256=saved.sha256)

    def _target(self, member: Member, name: str) -> Path | None:
        """Return where a file goes; None when what is there already will do."""
        target, exists = self.folder / name, self.options.exists
        if exists == "unique":
            target = self.folder / NamesTaken().add(name, {path.name for path in self.folder.iterdir()})
        elif exists in ("check", "skip") and target.is_file() and (exists == "skip" or self._is_same(member, target)):
            return None
        if is_fits(member.name):
            with self.archive.open("rb") as packed:
                packed.seek(member.offset)
                refuse_other_start(packed.read(min(HEAD_BYTES, member.size)), self.url, target)
            refuse_part_of_block(member.size, self.url, target)
        return target

    def _is_same(self, member: Member, target: Path) -> bool:
        if target.stat().st_size != member.size:
            return False
        with self.archive.open("rb") as packed, target.open("rb") as there:
            packed.seek(member.offset)
            left = member.size
            while left:
                piece = there.read(min(left, _PIECE_BYTES))
                if not piece or packed.read(len(piece)) != piece:
                    return False
                left -= len(piece)
        return True
