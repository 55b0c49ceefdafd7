"""The terminal: what can be shown on it."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console

__all__ = ["console_for", "is_live", "words"]


def console_for(stream: TextIO) -> Console:
    """Make a console on stdout or stderr. Elsewhere than on a terminal its text is plain, and as long as it is."""
    on_stderr = stream is sys.stderr
    return Console(stderr=on_stderr, highlight=False, soft_wrap=False, emoji=False, markup=False)


def is_live(console: Console) -> bool:
    """True when lines can be drawn over: a terminal that understands how, also when FORCE_COLOR colours a pipe."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


def words(kind: str) -> str:
    """Write the name of a kind of search as words: `data products`."""
    return kind.replace("_", " ")
