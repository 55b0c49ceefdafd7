"""Who works here: names of processes that other processes, on other hosts too, can tell apart and see the end of."""

from __future__ import annotations

import os
import secrets
import socket
from functools import cache
from pathlib import Path

__all__ = ["host", "is_gone", "new_worker", "retire"]

_retired: set[str] = set()


@cache
def host() -> str:
    """Return the name of what gives processes their numbers: this machine since its last start, or a container on it.

    Where that cannot be told, nothing follows the slash.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()}/"


def new_worker() -> str:
    """Return a new name for something that works in this process."""
    return f"{host()}/{os.getpid()}/{secrets.token_hex(4)}"


def retire(worker: str) -> None:
    """Say that a worker of this process has ended, although the process lives on."""
    _retired.add(worker)


def is_gone(worker: str) -> bool:
    """True when the worker has retired here, or its process ran on this machine and does not any more.

    False where nobody can know.
    """
    if worker in _retired:
        return True
    place, _, rest = worker.rpartition("/")[0].rpartition("/")
    if place != host() or place.endswith("/") or not rest.isdecimal() or int(rest) == 0:
        return False
    try:
        os.kill(int(rest), 0)
        # One that was killed keeps its number until its parent asks how it ended, which may be never.
        return Path(f"/proc/{rest}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in ("Z", "X")
    except ProcessLookupError:
        return True
    except (OSError, ValueError):  # it lives, and is another user's
        return False
