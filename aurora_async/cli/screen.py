"""The terminal: what can be shown on it."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console

__all__ = ["console_for"]


def console_for(stream: TextIO) -> Console:
    """Make a console on stdout or stderr. Elsewhere than on a terminal its text is plain, and as long as it is."""
    on_stderr = stream is sys.stderr
    return Console(stderr=on_stderr, highlight=False, soft_wrap=False, emoji=False, markup=False)
