"""Who is writing a file: claims that processes and hosts on one folder can see, and what they leave when they die.

A claim is a small JSON file in the folder `.aurora-parts` beside the target, with a part file of the same name. Its age
by the file system's own clock is the heartbeat. There are no locks, which network file systems do not keep:

- Who wants a file looks for living claims, makes his own, and looks again. Who then sees another takes his own back
  and tries again later. Two can so never both go on, since each made his before he looked.
- What the dead leave, or those that gave up, is taken over: by renaming when nobody can write to it any more, by
  copying when its owner may only be stuck, who would otherwise write on in our file when he wakes.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import attrs
import msgspec

from aurora_async.processes import is_gone, new_worker
from aurora_async.transfer.versions import Version

__all__ = ["PARTS_FOLDER", "Claim", "ClaimLost", "Leftover"]

PARTS_FOLDER = ".aurora-parts"
_ENDINGS = ("json", "part", "new")


class ClaimLost(Exception):
    """Others took the file for abandoned, since this process was silent for too long; they write it now."""


@attrs.frozen(kw_only=True)
class _Note:
    """What a claim says."""

    file: str = ""
    worker: str = ""
    lease_s: float = 0.0
    released: bool = False
    version: Version | None = None
    """Of the bytes in the part file."""
    durable_bytes: int = 0
    """How many of them are safely on the disk."""


@attrs.frozen(kw_only=True)
class Leftover:
    """What somebody left behind who does not write any more, or should not."""

    part: Path
    version: Version | None
    usable_bytes: int
    """How much of the part file can be relied on."""
    is_gone: bool
    """True when nobody can write to it any more."""


@attrs.define(eq=False)
class Claim:
    """The right to write one file, for as long as it is renewed. All its methods block: call them in a thread."""

    target: Path
    lease_s: float
    _worker: str = attrs.field(factory=new_worker)
    _token: str = attrs.field(factory=lambda: secrets.token_hex(8))
    is_alone: bool = attrs.field(default=False, init=False)
    """True when nobody else had anything of the file at the time it was claimed: there is nothing to take over."""

    @property
    def part(self) -> Path:
        """The part file."""
        return self._path(self._token, "part")

    @property
    def state(self) -> Path:
        """The claim's own file."""
        return self._path(self._token, "json")

    @property
    def is_held(self) -> bool:
        """False when others have taken it."""
        return self.state.exists()

    def take(self) -> bool:
        """Claim the file; False while somebody else writes it."""
        try:
            fresh = self._write(None, 0, False)
            now = fresh.stat().st_mtime
            if not self._is_taken(now):
                fresh.replace(self.state)
                if not self._is_taken(now):
                    return True
        except FileNotFoundError:  # cleaned away by others, who took it for abandoned
            pass
        except BaseException:
            self.drop()
            raise
        self.drop()
        return False

    def note(self, version: Version | None, durable_bytes: int, *, released: bool = False) -> None:
        """Write down how far it is, so that whoever comes next can go on from there.

        Before this is called, the bytes have to be on the disk.

        Raises:
            ClaimLost: Others have taken it.
        """
        fresh = self._write(version, durable_bytes, released, is_durable=True)
        if not self.is_held:
            fresh.unlink(missing_ok=True)
            raise ClaimLost
        fresh.replace(self.state)

    def renew(self) -> bool:
        """Say that the process lives; False when others have taken the claim."""
        try:
            os.utime(self.state)
        except FileNotFoundError:
            return False
        except OSError:  # a file server that is away for a moment
            return True
        return True

    def drop(self) -> None:
        """Take the claim back, with its part file."""
        self._remove(self._token)
        with suppress(OSError):
            self.state.parent.rmdir()  # the last one puts out the light

    def leftovers(self) -> list[Leftover]:
        """Return what others have left of the file, the largest part first."""
        found = []
        for token, note in self._abandoned(self.state.stat().st_mtime):
            part = self._path(token, "part")
            size = part.stat().st_size if part.exists() else 0
            is_dead = is_gone(note.worker)
            # When a process dies and its system lives, all it wrote is there, on the disk or on the way to it.
            usable = size if is_dead else min(note.durable_bytes, size)
            found.append(
                Leftover(part=part, version=note.version, usable_bytes=usable, is_gone=is_dead or note.released)
            )
        return sorted(found, key=lambda left: left.usable_bytes, reverse=True)

    def move_here(self, left: Leftover) -> None:
        """Make a leftover part file ours."""
        if left.is_gone:
            left.part.replace(self.part)
        else:
            shutil.copyfile(left.part, self.part)

    def tidy(self) -> None:
        """Clean away what others have left of the file. Needs no claim."""
        with suppress(OSError):
            if self._tokens() - {self._token}:
                probe = self._write(None, 0, False)
                now = probe.stat().st_mtime
                probe.unlink()
                for token, _ in self._abandoned(now):
                    self._remove(token)
            self.state.parent.rmdir()

    def _write(self, version: Version | None, durable_bytes: int, released: bool, *, is_durable: bool = False) -> Path:
        note = _Note(
            file=self.target.name, worker=self._worker, lease_s=self.lease_s, released=released,
            version=version, durable_bytes=durable_bytes,
        )  # fmt: skip
        fresh = self._path(self._token, "new")
        for _ in range(100):  # others may remove the folder at any moment while it is empty
            with suppress(FileExistsError):  # not `exist_ok`, which looks once more, at what may be gone by then
                fresh.parent.mkdir()
            with suppress(FileNotFoundError), fresh.open("wb") as file:
                file.write(msgspec.json.encode(note))
                file.flush()
                if is_durable:
                    os.fsync(file.fileno())
                break
        return fresh

    def _is_taken(self, now: float) -> bool:
        others = self._tokens() - {self._token}
        self.is_alone = not others
        return any(self._path(token, "json").exists() and self._lives(token, now) for token in others)

    def _abandoned(self, now: float) -> Iterator[tuple[str, _Note]]:
        for token in sorted(self._tokens() - {self._token}):
            if not self._lives(token, now):
                yield token, self._read(token)[0]

    def _lives(self, token: str, now: float) -> bool:
        """True when the owner writes the file, or is about to, as far as can be known from here."""
        note, touched = self._read(token)
        return not note.released and not is_gone(note.worker) and now - touched <= max(self.lease_s, note.lease_s)

    def _read(self, token: str) -> tuple[_Note, float]:
        """Return what a claim says and when it was renewed last; one that cannot be read says nothing."""
        note, touched = _Note(), 0.0
        for ending in ("json", "new", "part"):
            path = self._path(token, ending)
            with suppress(OSError):
                touched = path.stat().st_mtime
                if ending != "part":
                    with suppress(msgspec.DecodeError):
                        note = msgspec.json.decode(path.read_bytes(), type=_Note)
                break
        return note, touched

    def _tokens(self) -> set[str]:
        """Return whose claims or parts of the file there are."""
        try:
            names = os.listdir(self.state.parent)  # noqa: PTH208
        except FileNotFoundError:
            return set()
        ours = _digest(self.target.name)
        split = [name.split(".") for name in names]
        return {parts[1] for parts in split if len(parts) == 3 and parts[0] == ours and parts[2] in _ENDINGS}

    def _remove(self, token: str) -> None:
        # The claim last: without it nobody would know whose the part file was.
        for ending in ("part", "new", "json"):
            with suppress(OSError):
                self._path(token, ending).unlink(missing_ok=True)

    def _path(self, token: str, ending: str) -> Path:
        return self.target.parent / PARTS_FOLDER / f"{_digest(self.target.name)}.{token}.{ending}"


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:24]
