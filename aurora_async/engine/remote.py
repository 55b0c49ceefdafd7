"""Files of a batch at an address that fsspec knows: an object store, another host, another file system.

Journal and manifest stay local; only results go there. A file is made whole on a local disk first, then put under a
staging name, compared with what was put, and moved to its final name: on object stores that is a copy within the store.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from aurora_async.engine.places import PROBE, STAGING, aside
from aurora_async.errors import (
    AuroraError,
    ConnectionLost,
    IncompleteBody,
    InvalidInput,
    MissingExtra,
    TargetNotWritable,
)
from aurora_async.transfer import Saved
from aurora_async.transfer.sink import as_ours

__all__ = ["RemotePlace", "Store", "check_address", "is_address", "put_at"]

_PIECE_BYTES = 1 << 20
# Where an object is there whole or not at all; elsewhere a put that is cut leaves half a file.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "memory"})

_PASSWORD = re.compile("://[^/@]*:[^/@]*@")

Write = Callable[[str], Awaitable[Saved]]
"""Makes the local file of this path."""


def is_address(target: str) -> bool:
    """True for an address, False for a path."""
    return "://" in target


def check_address(address: str) -> str:
    """Return the address of a folder, without a slash at its end; nothing is asked of the store.

    Raises:
        InvalidInput: It is none, or nothing here knows how to go there, or it holds a password, which would end up in
            the manifest.
        MissingExtra: fsspec is not installed.
    """
    if not isinstance(address, str) or not is_address(address):
        raise InvalidInput("outputs", f"{address!r} is not an address such as s3://bucket/folder")
    if _PASSWORD.search(address):
        raise InvalidInput("outputs", "the address holds a password: give it among storage_options")
    if find_spec("fsspec") is None:
        raise MissingExtra("remote", "fsspec")
    import fsspec

    for link in address.split("::"):  # such as simplecache::s3://bucket
        try:
            fsspec.get_filesystem_class(link.partition("://")[0])
        except (ImportError, ValueError) as error:  # which says what has to be installed, where that is known
            raise InvalidInput("outputs", f"{address} cannot be used: {error}") from error
    return address.rstrip("/") if not address.endswith("://") else address


class Store:
    """A folder somewhere else, blocking: for threads, and for those who only look.

    Args:
        address: Of the folder.
        options: What fsspec is told beside it, such as credentials; by default its drivers look where they always do.

    Raises:
        InvalidInput: Nothing here knows how to go there.
    """

    def __init__(self, address: str, options: Mapping[str, Any] | None = None) -> None:
        self.address = check_address(address)
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.address, **dict(options or {}))
        except (ImportError, ValueError, TypeError) as error:  # such as no such options
            raise InvalidInput("outputs", f"{address} cannot be used: {error}") from error
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self._puts_whole = not protocols.isdisjoint(_OBJECT_STORES)

    def size(self, path: str) -> int | None:
        """Return the bytes of a file, None when there is none."""
        info = self._info(path)
        return None if info is None else int(info["size"])

    def sizes(self) -> dict[str, int]:
        """Return the bytes of all files."""
        with self._translated(""):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._root, detail=True)
            except FileNotFoundError:
                return {}
        root = self._root.rstrip("/")
        return {path.removeprefix(root).lstrip("/"): int(info["size"]) for path, info in found.items()}

    def sha256(self, path: str) -> str | None:
        """Read a file, and return its hexadecimal digest; None when there is none."""
        digest = hashlib.sha256()
        with self._translated(path):
            try:
                with self._fs.open(self._at(path), "rb") as file:
                    while piece := file.read(_PIECE_BYTES):
                        digest.update(piece)
            except FileNotFoundError:
                return None
        return digest.hexdigest()

    def version(self, path: str) -> str | None:
        """Return what changes whenever the file does, as far as the store tells; None when there is none."""
        with self._translated(path):
            self._fs.invalidate_cache()
            try:
                return str(self._fs.ukey(self._at(path)))
            except FileNotFoundError:
                return None

    def put(self, source: Path, path: str, sha256: str | None) -> None:
        """Copy a local file there, so that it is whole or not there, and see that it has arrived."""
        with self._translated(path):
            if self._puts_whole:
                self._fs.put_file(str(source), self._at(path))
            else:
                folder, _, name = path.rpartition("/")
                stem, dot, ending = name.partition(".")
                fresh = f"{folder}/{stem}.{secrets.token_hex(4)}{dot}{ending}"
                self._fs.makedirs(self._at(folder), exist_ok=True)
                self._fs.put_file(str(source), self._at(fresh))
                self._move(fresh, path)
        if not self._holds(path, source, sha256):
            reason = "what was put there is not what came; it is put there again"
            raise IncompleteBody(f"{self.address}/{path}", None, reason)

    def move(self, staged: str, path: str) -> bool:
        """Give a file its final name; False when there is none of the first name."""
        with self._translated(path):
            try:
                if not self._puts_whole:
                    self._fs.makedirs(self._at(path).rpartition("/")[0], exist_ok=True)
                self._move(staged, path)
            except FileNotFoundError:
                return False
        return True

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with self._translated(path), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._at(path))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        with self._translated(folder):
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return []
        return sorted(one["name"].rpartition("/")[2] for one in found if one["type"] == "file")

    def leave(self, folder: str) -> None:
        """Remove a folder, unless there is something in it; object stores have none."""
        with contextlib.suppress(Exception):
            self._fs.rmdir(self._at(folder))

    def _move(self, path: str, after: str) -> None:
        import fsspec

        if type(self._fs).mv is not fsspec.AbstractFileSystem.mv:
            self._fs.mv(self._at(path), self._at(after))
            return
        # Not its own `mv`, to which a bracket in the address would be a pattern.
        self._fs.cp_file(self._at(path), self._at(after))
        self._fs.rm_file(self._at(path))

    def _holds(self, path: str, source: Path, sha256: str | None) -> bool:
        """Compare with what was put: by the MD5 that the store tells, or by reading it back."""
        info = self._info(path)
        if info is None or int(info["size"]) != source.stat().st_size:
            return False
        told = _md5_told(info)
        # An ETag need not be one, so a difference proves nothing.
        if told is not None and told == _digest(source, "md5"):
            return True
        return self.sha256(path) == (sha256 or _digest(source, "sha256"))

    def _info(self, path: str) -> Mapping[str, Any] | None:
        with self._translated(path):
            self._fs.invalidate_cache()
            try:
                info: Mapping[str, Any] = self._fs.info(self._at(path))
            except FileNotFoundError:
                return None
        return info if info["type"] == "file" else None

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """Each driver has errors of its own; what this package sees is where, and whether waiting may help."""
        address = f"{self.address}/{path}"
        try:
            yield
        except AuroraError:
            raise
        except (PermissionError, FileNotFoundError, NotImplementedError) as error:  # a bucket that is not there
            raise TargetNotWritable(address, None, f"cannot be used: {_said(error)}") from error
        except (ConnectionError, TimeoutError) as error:
            raise ConnectionLost("fsspec", address, _said(error)) from error
        except OSError as error:
            if error.errno is None:
                raise ConnectionLost("fsspec", address, _said(error)) from error
            raise as_ours(error, address, Path(path), 0) from error
        except Exception as error:
            raise ConnectionLost("fsspec", address, _said(error)) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _md5_told(info: Mapping[str, Any]) -> str | None:
    """Return the MD5 in hexadecimal that an object store tells of an object, where it does (S3, Google)."""
    if (tag := str(info.get("ETag", "")).strip('"')) and len(tag) == 32 and "-" not in tag:
        return tag.lower()
    with contextlib.suppress(ValueError):
        if isinstance(told := info.get("md5Hash"), str):
            return base64.b64decode(told, validate=True).hex()
    return None


def _digest(path: Path, name: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()


async def put_at(target: str, options: Mapping[str, Any] | None, write: Write, *, scratch: Path | None = None) -> Saved:
    """Have a file made on a local disk, and put it at the address `target`, whole and compared.

    `scratch` is the folder it is made in; by default one of the system's, of its own.
    """
    address, _, name = target.rpartition(f"/{STAGING}/")
    folder = scratch or Path(await aside(partial(tempfile.mkdtemp, prefix="aurora_async-")))
    local = folder / name
    try:
        saved = await write(str(local))
        store = await aside(Store, address, options)
        put = partial(store.put, local, f"{STAGING}/{name}", saved.sha256)
        # Abandoned: nobody is to wait for a store that hangs, and what it may still put there is only staged.
        await anyio.to_thread.run_sync(put, abandon_on_cancel=True)
    finally:
        with anyio.CancelScope(shield=True):
            await aside(local.unlink, missing_ok=True)
            if scratch is None:
                with contextlib.suppress(OSError):
                    await aside(folder.rmdir)
    return attrs.evolve(saved, path=Path(local.name))


class RemotePlace:
    """A folder at an address; what is on its way there is made in `scratch`, a local folder."""

    def __init__(self, address: str, scratch: Path, options: Mapping[str, Any] | None = None) -> None:
        """Ask nothing of the store yet."""
        self.address = check_address(address)
        self.options = dict(options or {})
        self._scratch = scratch
        self._opened: Store | None = None
        # Of files that were compared with their origin after they were put: which version that was, and its digest.
        self._compared: dict[str, tuple[str | None, str | None]] = {}

    def __repr__(self) -> str:
        return f"<RemotePlace {self.address}>"

    def target(self, path: str) -> str:
        """Return the address of a file."""
        return f"{self.address}/{path}"

    async def filled(self, target: str, write: Write) -> Saved:
        """Have `write` make a file here, and put it there."""
        return await self.taken(await put_at(target, self.options, write, scratch=self._scratch), target)

    async def taken(self, saved: Saved, target: str) -> Saved:
        """Take over what was put there, here or by a worker, who has compared it."""
        path = target.removeprefix(f"{self.address}/")
        store = await self._store()
        if await aside(store.size, path) != saved.bytes:
            reason = "what a worker has put there is not to be seen from here: is this one place for all of them?"
            raise TargetNotWritable(target, None, reason)
        self._compared[path] = await aside(store.version, path), saved.sha256
        return saved

    async def size(self, path: str) -> int | None:
        """Return the bytes of a file, None when there is none."""
        return await aside((await self._store()).size, path)

    async def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """Return the bytes of many files, in their order: from one listing."""
        found = await aside((await self._store()).sizes) if paths else {}
        return [found.get(path) for path in paths]

    async def sha256(self, path: str) -> str | None:
        """Return the hexadecimal digest of a file, None when there is none; read unless it was compared before."""
        store = await self._store()
        version, digest = self._compared.get(path, (None, None))
        if version is not None and await aside(store.version, path) == version:
            return digest
        return await aside(store.sha256, path)

    async def publish(self, staged: str, path: str, sha256: str | None) -> bool:
        """Move a whole file to its final name."""
        if await self.sha256(staged) != sha256:
            return False
        moved = await aside((await self._store()).move, staged, path)
        self._compared.pop(staged, None)
        return moved

    async def adopt(self, source: Path, path: str) -> bool:
        """Put a copy of a local file there; False when that is not there."""
        if not await aside(source.is_file):
            return False
        await aside((await self._store()).put, source, path, None)
        return True

    async def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        await aside((await self._store()).remove, path)

    async def staged(self) -> list[str]:
        """Return the paths of all files in the staging folder."""
        return [f"{STAGING}/{name}" for name in await aside((await self._store()).names, STAGING)]

    async def leave(self) -> None:
        """Remove the staging folder, where there is such a thing."""
        await aside((await self._store()).leave, STAGING)

    async def probe(self) -> str:
        """Put a small file there, to see whether that can be done, and return its path."""
        path = f"{PROBE}{secrets.token_hex(4)}"

        async def write(target: str) -> Saved:
            await anyio.Path(target).parent.mkdir(parents=True, exist_ok=True)
            await anyio.Path(target).write_bytes(b"")
            return Saved(Path(target), 0, 0, None, 0.0)

        await put_at(self.target(path), self.options, write, scratch=self._scratch)
        return path

    async def _store(self) -> Store:
        if self._opened is None:
            self._opened = await aside(Store, self.address, self.options)
        return self._opened
