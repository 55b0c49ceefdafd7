"""Seeing what happens to requests: on a terminal, in a notebook, in a log, in a file for other programs."""

from aurora_async.display.eventfile import write_events
from aurora_async.display.showing import show_progress
from aurora_async.display.tally import Progress, Tally

__all__ = ["Progress", "Tally", "show_progress", "write_events"]
