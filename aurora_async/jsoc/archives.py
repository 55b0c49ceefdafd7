"""Exports that come as one tar archive: fetched whole, looked through, then taken out file by file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import anyio.to_thread
import attrs

from aurora_async.engine.places import digest_file
from aurora_async.errors import AuroraError, DiskFull, WrongContent
from aurora_async.http import Session
from aurora_async.jsoc.downloads import (
    DownloadedFile,
    DownloadOptions,
    ExportedFile,
    OnBytes,
    fetch_files,
    local_names,
    refuse_other_content,
    without_file,
)
from aurora_async.jsoc.errors import NoFile
from aurora_async.jsoc.filenames import NamesTaken
from aurora_async.transfer.names import safe_name
from aurora_async.transfer.untar import Archive, Member

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
    # The archive lies in the same folder, and none of its files may take its place.
    own_name = safe_name(archive.filename)
    naming = partial(local_names, files, by_record=options.names == "record", taken=[own_name])
    names = await anyio.to_thread.run_sync(naming)
    url = archive.url or ""
    if options.extract and options.exists == "skip":
        wanted = [(files[at], folder / names[at] if at in names else None) for at in chosen]
        there = await anyio.to_thread.run_sync(_all_there, folder / own_name, wanted, url, options.sha256)
        if there is not None:
            return None, there
    fetching = attrs.evolve(options, names="server", index=None, sha256=options.sha256 and not options.extract)
    (fetched,) = await fetch_files(session, [archive], folder, fetching, by_record=False, at_once=1, on_bytes=on_bytes)
    if fetched.error is not None:
        raise fetched.error
    assert fetched.path is not None, "without an error there is a file"
    if not options.extract:
        return fetched.path, [attrs.evolve(fetched, record=None)]
    wanted_names = [(files[at], names.get(at, "")) for at in chosen]
    try:
        async with Archive(fetched.path, url=url) as opened:
            found = await _Unpacking(opened, folder, options).take_out_all(wanted_names, [own_name, *names.values()])
    except WrongContent:
        if fetched.fetched_bytes or not fetched.bytes:
            await anyio.to_thread.run_sync(_remove, fetched.path)
        raise
    if options.keep_tar or any(file.error is not None and not isinstance(file.error, NoFile) for file in found):
        return fetched.path, found
    await anyio.to_thread.run_sync(_remove, fetched.path)
    return None, found


def _remove(archive: Path) -> None:
    archive.unlink(missing_ok=True)  # another process may have taken the same files, and been faster


def _all_there(
    archive: Path, wanted: Sequence[tuple[ExportedFile, Path | None]], url: str, sha256: bool
) -> list[DownloadedFile] | None:
    """Return what is told of files that are all there already; None when the archive is needed, or there as well."""
    if archive.is_file() or not all(path is None or path.is_file() for _, path in wanted):
        return None
    return [
        without_file(file) if path is None else _kept(DownloadedFile(record=file.record, url=url), path, sha256)
        for file, path in wanted
    ]


def _kept(told: DownloadedFile, path: Path, sha256: bool) -> DownloadedFile:
    return attrs.evolve(told, path=path, bytes=path.stat().st_size, sha256=digest_file(path) if sha256 else None)


class _Contents:
    """The files of an archive: `rest` are those that nobody has asked for yet."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.rest = {member.name: member for member in members}
        self._found = dict[str, Member | None]()
        self._by_last = defaultdict[str, list[str]](list)
        for member in reversed(members):
            self._by_last[PurePosixPath(member.name).name].append(member.name)

    def find(self, filename: str) -> Member | None:
        """Return one: by its path, or, should the archive have a folder around all, by its name."""
        if filename not in self._found:
            path, near = filename, self._by_last[PurePosixPath(filename).name]
            while path not in self.rest and near:
                path = near.pop()
            self._found[filename] = self.rest.pop(path, None)
        return self._found[filename]


@attrs.frozen
class _Unpacking:
    """An open archive, and where its files go."""

    archive: Archive
    folder: Path
    options: DownloadOptions

    async def take_out_all(
        self, wanted: Sequence[tuple[ExportedFile, str]], taken: Iterable[str]
    ) -> list[DownloadedFile]:
        """Take out the wanted files, each under its name, and with all of them what is of no record: lists.

        Raises:
            WrongContent: The archive holds what must not be taken out.
        """
        contents = _Contents(await self.archive.members())
        planned: list[tuple[DownloadedFile, Member | None, str]] = []
        for file, name in wanted:
            if file.problem is not None:
                planned.append((without_file(file), None, name))
                continue
            told = DownloadedFile(record=file.record, url=self.archive.url)
            planned.append((told, contents.find(file.filename), name))
        if self.options.index is None:
            given = NamesTaken()
            for name in taken:
                given.add(name)
            for path, rest in contents.rest.items():
                planned.append((DownloadedFile(record=None, url=self.archive.url), rest, given.add(safe_name(path))))
        found: list[DownloadedFile] = []
        by_name: dict[str, DownloadedFile] = {}
        full: DiskFull | None = None
        for told, member, name in planned:
            if name in by_name:  # one file of two records
                told = attrs.evolve(by_name[name], record=told.record)
            elif told.error is None:  # what does not fit is the end for those behind it, too
                told = await self.take_out(told, member, name) if full is None else attrs.evolve(told, error=full)
                by_name[name] = told
            if isinstance(told.error, DiskFull):
                full = told.error
            found.append(told)
        return found

    async def take_out(self, told: DownloadedFile, member: Member | None, name: str) -> DownloadedFile:
        """Take one out, or say why not."""
        try:
            if member is None:
                reason = "the archive does not hold it; fetch it again"
                raise WrongContent(self.archive.url, self.folder / name, reason)
            target = await anyio.to_thread.run_sync(self._target, member, name)
            if target is None:
                return await anyio.to_thread.run_sync(_kept, told, self.folder / name, self.options.sha256)
            overwrite = self.options.exists not in ("refuse", "unique")
            saved = await self.archive.extract(member, target, overwrite=overwrite, sha256=self.options.sha256)
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
        self.archive.file.seek(member.offset)
        refuse_other_content(member.name, self.archive.file, member.size, self.archive.url, target)
        return target

    def _is_same(self, member: Member, target: Path) -> bool:
        if target.stat().st_size != member.size:
            return False
        self.archive.file.seek(member.offset)
        with target.open("rb") as there:
            left = member.size
            while left:
                piece = there.read(min(left, _PIECE_BYTES))
                if not piece or self.archive.file.read(len(piece)) != piece:
                    return False
                left -= len(piece)
        return True
