"""Disks that are small, or that nothing can be written to: what only root on Linux can have made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Give the same folder once more, where nobody can write to it, root neither."""
    with _mounted(folder.with_name(f"{folder.name}-ro"), ["--bind", folder], ["-o", "remount,bind,ro"]) as place:
        yield place


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of `size` (`4m`) at the folder."""
    with _mounted(folder, ["-t", "tmpfs", "-o", f"size={size}", "tmpfs"]) as place:
        yield place


@contextmanager
def _mounted(place: Path, *mounts: list[str | Path]) -> Iterator[Path]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount")
    place.mkdir(exist_ok=True)
    is_mounted = False
    try:
        for options in mounts:
            done = subprocess.run(["mount", *options, place], check=False, capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"mounting is not permitted here: {done.stderr}")
            is_mounted = True
        yield place
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", place], check=True)
