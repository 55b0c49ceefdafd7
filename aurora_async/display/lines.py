"""Progress where there is no terminal: plain lines with their time, as log files have them.

One for each event of note while requests are few. When they are many: sums every few seconds, ever fewer the longer it
takes, and between two of them the first errors. Ten thousand requests in an hour write a few hundred lines.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING

from aurora_async.display import numbers
from aurora_async.display.phrases import states, sums
from aurora_async.display.tally import Progress, Row, Tally, words

if TYPE_CHECKING:
    from aurora_async.engine import Event

__all__ = ["Lines"]

_FEW = 10
_SUMS_EVERY_S = 5.0
_SUMS_AT_LEAST_EVERY_S = 60.0
_ERRORS_BETWEEN = 3
_STILL_AFTER_S = 10.0
_LONGEST = 1000
_BEGINNINGS = ("submitted", "running", "ready")
_ENDS = ("done", "failed", "cancelled", "left")


class Lines:
    """Listens to the events that a tally counts (after it), and writes (`tick`) what is worth a line.

    Events only leave their text here: whoever ticks, in a thread of its own, waits for the file.
    """

    def __init__(self, tally: Tally, file: IO[str], *, ends: bool = True) -> None:
        """Begin. Without `ends`, how it ends is not told: the caller does that."""
        self._tally = tally
        self._file = file
        self._ends = ends
        self._told = (*_BEGINNINGS, *_ENDS) if ends else _BEGINNINGS
        self._waiting: deque[str] = deque()
        self._errors = 0
        self._failed: set[str] = set()
        self._spoke = self._summed = tally.clock()

    def hear(self, event: Event) -> None:
        """Note what an event is worth."""
        what = event.kind.value
        if what != "failed":
            self._failed.discard(event.request_id)
        elif event.request_id in self._failed:
            return  # a server that is away is met at every step; the first one says it
        if self._tally.count <= _FEW:
            told = what in self._told
        else:
            self._errors += what == "failed"
            told = what == "failed" and self._errors <= _ERRORS_BETWEEN
        if told:
            if what == "failed" and event.request_id:
                self._failed.add(event.request_id)
            self._note(f"{_name(event.service, event.label or event.request_id)}: {_said(event)}")

    def tick(self) -> None:
        """Write what has come together."""
        progress = self._tally.progress(slowest=1)
        if self._tally.count <= _FEW:
            if progress.now - self._spoke >= _STILL_AFTER_S:
                for row in progress.slowest:
                    self._note(_still(row, progress.now))
        elif progress.now - self._summed >= min(max(_SUMS_EVERY_S, progress.elapsed_s / 50), _SUMS_AT_LEAST_EVERY_S):
            self._sum_up(progress)
        self._write(progress.now)

    def end(self) -> None:
        """Write the last lines."""
        progress = self._tally.progress()
        if self._ends and self._tally.count > _FEW:
            self._sum_up(progress, is_over=True)
        self._write(progress.now)

    def _sum_up(self, progress: Progress, *, is_over: bool = False) -> None:
        self._note(_sums(progress, is_over=is_over))
        self._summed = progress.now
        self._errors = 0

    def _note(self, text: str) -> None:
        moment = datetime.now().isoformat(sep=" ", timespec="seconds")
        text = " ".join(text.split())
        self._waiting.append(f"[{moment}] {text if len(text) <= _LONGEST else f'{text[:_LONGEST]} ...'}\n")

    def _write(self, now: float) -> None:
        if not self._waiting:
            return
        self._spoke = now
        text = "".join(self._waiting.popleft() for _ in range(len(self._waiting)))
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        with suppress(OSError, ValueError):  # a stderr that is gone or closed stops the lines, not the search
            self._file.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._file.flush()


def _name(kind: str, label: str) -> str:
    return f"{words(kind)} {label}".rstrip()


def _said(event: Event) -> str:
    what = event.kind.value
    if what == "failed":
        return f"failed: {event.error}"
    facts = [what]
    records = event.records if event.status is None else event.status.records
    if what in ("ready", "done") and records is not None:
        facts.append(numbers.plural(records, "record"))
    if what == "done" and event.bytes:
        facts.append(numbers.size(event.bytes))
    return ", ".join(facts)


def _still(row: Row, now: float) -> str:
    fetched = f", {numbers.size(row.bytes)} fetched" if row.bytes else ""
    return f"{_name(row.kind, row.label)}: {row.state} since {numbers.duration(row.seconds(now))}{fetched}"


def _sums(progress: Progress, *, is_over: bool) -> str:
    counts = ", ".join(text for _, text in states(progress))
    ended, time, *others = sums(progress, is_over=is_over)
    return ", ".join([f"{ended} after {time}" + (f" ({counts})" if counts else ""), *others])
