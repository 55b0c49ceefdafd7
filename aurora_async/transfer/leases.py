"""Who is writing a file: claims that processes and hosts on one folder can see, and what they leave when they die.

A claim is a small JSON file in the folder `.aurora-parts` beside the target, with a part file of the same name. Its age
by the file system's own clock is the heartbeat. There are no locks, which network file systems do not keep:

- Who wants a file looks for living claims, writes his own, and looks again. Who then sees another takes his own back
  and tries again later. Two can so never both go on, since each wrote before he looked.
- What the dead leave, or those that gave up, is taken over: by renaming when the process is known to be gone, by
  copying when it may only be stuck and could still write.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import attrs

__all__ = ["PARTS_FOLDER", "Claim", "Leftover", "Progress", "claim", "leftovers"]

PARTS_FOLDER = ".aurora-parts"


@attrs.frozen(kw_only=True)
class Progress:
    """What is known of a body on its way: which version it is, and how much of it is safely on the disk."""

    etag: str | None = None
    last_modified: str | None = None
    validator: str | None = None
    """That of the two by which the rest of just this version can be asked for."""
    length: int | None = None
    durable_bytes: int = 0


@attrs.define(eq=False)
class Claim:
    """The right to write one file, for as long as it is renewed. All its methods block: call them in a thread."""

    target: Path
    lease_s: float
    _token: str = attrs.field(factory=lambda: f"{time.time_ns():x}-{secrets.token_hex(6)}")

    @property
    def part(self) -> Path:
        """The part file."""
        return self._file("part")

    @property
    def state(self) -> Path:
        """The claim's own file."""
        return self._file("json")

    def _file(self, ending: str) -> Path:
        return self.target.parent / PARTS_FOLDER / f"{_digest(self.target.name)}.{self._token}.{ending}"

    def note(self, progress: Progress, *, released: bool = False) -> None:
        """Write down how far it is, so that whoever comes next can go on from there.

        Before this is called, the bytes have to be on the disk.
        """
        document = {
            "file": self.target.name,
            "host": _HOST,
            "pid": os.getpid(),
            "released": released,
            **attrs.asdict(progress),
        }
        fresh = self.state.with_suffix(".new")
        with _opened(fresh) as file:
            file.write(json.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.state)

    def renew(self) -> bool:
        """Say that the process lives; False when the claim has been taken over."""
        try:
            os.utime(self.state)
        except FileNotFoundError:
            return False
        return True

    def drop(self) -> None:
        """Take the claim back, with its part file."""
        for path in (self.part, self.state, self.state.with_suffix(".new")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.state.parent.rmdir()  # the last one puts out the light

    def now(self) -> float:
        """The time by the clock of the file system, which all hosts share."""
        return self.state.stat().st_mtime


@attrs.frozen(kw_only=True)
class Leftover:
    """What somebody left behind who does not write any more, or should not."""

    state: Path
    progress: Progress
    is_gone: bool
    """True when nobody can write to the part file any more."""
    usable_bytes: int
    """How much of the part file can be relied on."""

    @property
    def part(self) -> Path:
        """The part file."""
        return self.state.with_suffix(".part")

    def move_to(self, claim: Claim) -> bool:
        """Make its part file that of `claim`; False when somebody else was faster, or there is nothing."""
        try:
            if self.is_gone:
                self.part.replace(claim.part)
            else:
                # Whoever is stuck may wake up and write on; into his own file, not into ours.
                shutil.copyfile(self.part, claim.part)
        except FileNotFoundError:
            return False
        finally:
            self.remove()
        return True

    def remove(self) -> None:
        """Clean it away."""
        for path in (self.state, self.part, self.state.with_suffix(".new")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def claim(target: Path, lease_s: float) -> Claim | None:
    """Claim a file; None while somebody else writes it."""
    if any(_living(target, lease_s)):
        return None
    ours = Claim(target, lease_s)
    ours.note(Progress())
    if any(path != ours.state for path in _living(target, lease_s, now=ours.now())):
        ours.drop()
        return None
    return ours


def leftovers(ours: Claim) -> list[Leftover]:
    """Return what others have left of the same file, the largest part first."""
    found = []
    for path in _claims(ours.target):
        if path == ours.state:
            continue
        document = _read(path)
        known = {field.name: document.get(field.name) for field in attrs.fields(Progress)}
        progress = Progress(**known | {"durable_bytes": known["durable_bytes"] or 0})
        is_dead = _is_dead(document)
        usable = progress.durable_bytes
        if is_dead and _BOOT:
            # A process died and the system lives: what was written is there, whether or not it is on the disk yet.
            with contextlib.suppress(OSError):
                usable = max(usable, path.with_suffix(".part").stat().st_size)
        is_gone = is_dead or bool(document.get("released"))
        found.append(Leftover(state=path, progress=progress, is_gone=is_gone, usable_bytes=usable))
    return sorted(found, key=lambda left: left.usable_bytes, reverse=True)


def _claims(target: Path) -> Iterator[Path]:
    """Yield the claims of a file."""
    prefix = f"{_digest(target.name)}."
    try:
        with os.scandir(target.parent / PARTS_FOLDER) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(".json")]
    except FileNotFoundError:
        return
    for name in sorted(names):
        yield target.parent / PARTS_FOLDER / name


def _living(target: Path, lease_s: float, now: float | None = None) -> Iterator[Path]:
    """Yield the claims of a file whose owners write it, as far as can be known from here."""
    for path in _claims(target):
        try:
            touched = path.stat().st_mtime
        except FileNotFoundError:
            continue
        document = _read(path)
        if document.get("released") or _is_dead(document):
            continue
        if (_file_system_now(path.parent) if now is None else now) - touched <= lease_s:
            yield path


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_dead(document: dict[str, Any]) -> bool:
    """True when the owner is known to be gone: its process ran on this host, and does not any more."""
    pid = document.get("pid")
    if document.get("host") != _HOST or not isinstance(pid, int) or pid < 1:
        return False
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _file_system_now(folder: Path) -> float:
    probe = folder / f"now-{secrets.token_hex(6)}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _opened(path: Path) -> TextIO:
    """Open a new file, in a folder that others may remove at any moment while it is empty."""
    for _ in range(100):
        path.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return path.open("w", encoding="utf-8")
    return path.open("w", encoding="utf-8")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def _boot() -> str:
    # After a restart the same process number is somebody else; the boot's own name tells the two apart.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


_BOOT = _boot()
_HOST = f"{socket.gethostname()} {_BOOT}".strip()
