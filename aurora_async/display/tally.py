"""What a client's events add up to: counts, speeds, the time that is left, the slowest requests, the last errors.

Its memory does not grow with the number of requests: those that are over are kept as numbers, but for the last ones.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from aurora_async.engine import Event

__all__ = ["STATES", "Failure", "Kind", "Progress", "Row", "Tally", "words"]

STATES = ("waiting", "running", "ready", "fetching", "done", "failed", "cancelled", "left")
_OVER = ("done", "failed", "cancelled", "left")
_ERRORS = 5
_RECENT = 50
_REMEMBERED = 10_000
"""Requests that are over, whose result may be asked for once more."""
_RECENTLY_S = 10.0
_SAMPLES = 64
_FEWEST = 5


def words(kind: str) -> str:
    """Write the name of a kind of search as words: `data products`."""
    return kind.replace("_", " ")


@attrs.define(eq=False)
class Row:
    """One request, as far as events have told; the moments are a `Tally`'s clock."""

    number: int
    kind: str
    request_id: str
    since: float
    label: str = ""
    """What people know it by: its identifier, unless the service has something better."""
    state: str = "waiting"
    looks: int = 0
    bytes: int = 0
    records: int | None = None
    until: float | None = None

    def seconds(self, now: float) -> float:
        """How long it has taken, or took."""
        return (now if self.until is None else self.until) - self.since


@attrs.frozen
class Failure:
    """One error of late."""

    kind: str
    request_id: str
    text: str
    label: str = ""


@attrs.define
class Kind:
    """The requests of one kind: how many there will be (None when nobody said), how many are over, their bytes."""

    name: str
    total: int | None
    begun: int = 0
    ended: int = 0
    bytes: int = 0


@attrs.frozen(kw_only=True)
class Progress:
    """How things stood at one moment. Nothing in it changes any more, so that any thread may draw it."""

    elapsed_s: float
    total: int | None
    """Requests in all, None when nobody said."""
    begun: int
    states: Mapping[str, int]
    """How many requests are at each of `STATES`."""
    bytes: int
    per_s: float | None
    """Requests that ended, a second, of late; None when too little has happened."""
    bytes_per_s: float | None
    left_s: float | None
    """None unless the total is known, and how long requests take."""
    kinds: Sequence[Kind]
    rows: Sequence[Row]
    """Those under way and the last ones that are over, in the order of their beginning, while they are few."""
    slowest: Sequence[Row]
    """Of those under way, the ones that began first."""
    errors: Sequence[Failure]
    """The last ones, newest last."""
    now: float
    opening: str = "submitting"
    """What is done before the first of them has begun."""

    @property
    def ended(self) -> int:
        """How many are over, whichever way."""
        return sum(self.states[state] for state in _OVER)


class Tally:
    """Listens to events (`hear`) and says how things stand (`progress`), from whichever thread."""

    def __init__(
        self,
        total: int | Mapping[str, int] | None = None,
        *,
        opening: str = "submitting",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count. `total` says how many requests there will be, or how many of each kind.

        `opening` is what people are told until the first one begins.
        """
        self.opening = opening
        self.clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._kinds = {name: Kind(name, number) for name, number in total.items()} if isinstance(total, Mapping) else {}
        self._total = sum(total.values()) if isinstance(total, Mapping) else total
        self._open: dict[str, Row] = {}
        self._over: OrderedDict[str, Row] = OrderedDict()
        self._recent: deque[Row] = deque(maxlen=_RECENT)
        self._errors: deque[Failure] = deque(maxlen=_ERRORS)
        self._states = dict.fromkeys(STATES, 0)
        self._begun = self._ended = self._most_open = self._bytes = 0
        self._speed = _Speed(self._began, _RECENTLY_S)
        self._course = _Course(self._began)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self._began

    @property
    def count(self) -> int:
        """How many requests there will be, as far as is known."""
        return max(self._total or 0, self._begun)

    @property
    def request_ids(self) -> list[str]:
        """The identifiers of the last requests, in the order of their beginning."""
        with self._lock:
            return [row.request_id for row in self._rows() if row.request_id]

    def expect(self, kind: str, total: int) -> None:
        """Say how many requests of a kind there will be, where that is known later than the beginning."""
        with self._lock:
            self._kinds.setdefault(kind, Kind(kind, None)).total = total
            self._total = sum(kind.total or 0 for kind in self._kinds.values())

    def hear(self, event: Event) -> None:
        """Take in an event."""
        with self._lock:
            self._hear(event, self.clock())

    def _hear(self, event: Event, now: float) -> None:
        what = event.kind.value
        row = self._open.get(event.request_id) or self._row_of(event, now)
        if row.until is not None and what in ("polled", "running", "submitted"):
            return  # somebody looks at a request that is over
        match what:
            case "polled":
                row.looks += 1
            case "running":
                self._move(row, "running")
            case "ready":
                if event.status is not None:
                    row.records = event.status.records
                if row.until is None:
                    self._move(row, "ready")
            case "bytes":
                # A transfer that is made again begins at nothing: what it repeats is counted once.
                more = event.bytes - row.bytes
                if more > 0:
                    row.bytes = event.bytes
                    self._bytes += more
                    self._kinds[row.kind].bytes += more
                if row.until is None:
                    self._move(row, "fetching")
            case "done" | "failed" | "cancelled" | "left":
                row.records = row.records if event.records is None else event.records
                self._end(row, what, now)
                if what == "failed" and event.error is not None:
                    text = str(event.error) or repr(event.error)
                    self._keep_error(Failure(row.kind, row.request_id, text, row.label))
        self._speed.note(now, self._ended, self._bytes)

    def _row_of(self, event: Event, now: float) -> Row:
        known = self._over.get(event.request_id)
        if known is not None:
            return known
        self._begun += 1
        row = Row(self._begun, event.service, event.request_id, now, event.label or event.request_id)
        self._states["waiting"] += 1
        kind = self._kinds.setdefault(row.kind, Kind(row.kind, None))
        kind.begun += 1
        # A query that was never accepted may have no identifier; such have nothing in common.
        self._open[event.request_id or f"no identifier, {row.number}"] = row
        self._most_open = max(self._most_open, len(self._open))
        return row

    def _move(self, row: Row, state: str) -> None:
        if row.state != state:
            self._states[row.state] -= 1
            self._states[state] += 1
            row.state = state

    def _end(self, row: Row, state: str, now: float) -> None:
        self._move(row, state)
        if row.until is not None:
            return
        row.until = now
        self._ended += 1
        self._kinds[row.kind].ended += 1
        key = row.request_id or f"no identifier, {row.number}"
        self._over[key] = self._open.pop(key)
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)
        self._recent.append(row)
        self._course.note(now, self._ended)

    def _keep_error(self, failure: Failure) -> None:
        # One that several hands have told on its way up is one error.
        if failure not in self._errors:
            self._errors.append(failure)

    def progress(self, *, slowest: int = 5) -> Progress:
        """Return how things stand."""
        with self._lock:
            now = self.clock()
            self._speed.note(now, self._ended, self._bytes)
            per_s, bytes_per_s = self._speed.rates(now)
            total = None if self._total is None else max(self._total, self._begun)
            return Progress(
                elapsed_s=now - self._began,
                total=total,
                begun=self._begun,
                states=dict(self._states),
                bytes=self._bytes,
                per_s=per_s,
                bytes_per_s=bytes_per_s,
                left_s=self._left_s(total, now),
                kinds=[attrs.evolve(kind) for kind in self._kinds.values()],
                rows=[attrs.evolve(row) for row in self._rows()],
                slowest=[attrs.evolve(row) for row in islice(self._open.values(), slowest)],
                errors=list(self._errors),
                now=now,
                opening=self.opening,
            )

    def _rows(self) -> list[Row]:
        rows = [*self._recent, *islice(self._open.values(), _RECENT)]
        return sorted(rows, key=lambda row: row.number)

    def _left_s(self, total: int | None, now: float) -> float | None:
        """Return how long it will take, once the first ones, as many as were ever under way together, have ended.

        Before that, all of the time may have been spent on waiting for the first of them.
        """
        if total is None or self._ended < max(_FEWEST, self._most_open):
            return None
        per_s = self._course.per_s(now, self._ended)
        return (total - self._ended) / per_s if per_s else None


class _Speed:
    """What happened within the last seconds, from two samples a second at most."""

    def __init__(self, began: float, window_s: float) -> None:
        self._window_s = window_s
        self._samples = deque([(began, 0, 0)])

    def note(self, now: float, ended: int, bytes: int) -> None:
        samples = self._samples
        if now - samples[-1][0] < 0.5:
            return
        samples.append((now, ended, bytes))
        while now - samples[1][0] >= self._window_s:
            samples.popleft()

    def rates(self, now: float) -> tuple[float | None, float | None]:
        """Return how many ended and how many bytes came, a second; None before anything can be said."""
        then, ended, bytes = self._samples[0]
        last = self._samples[-1]
        seconds = last[0] - then
        if seconds < 1:
            return None, None
        return (last[1] - ended) / seconds or None, (last[2] - bytes) / seconds or None


class _Course:
    """When how many had ended, over the whole run, in a bounded number of samples: each second one goes when full."""

    def __init__(self, began: float) -> None:
        self._samples = [(began, 0)]
        self._every_s = 0.05

    def note(self, now: float, ended: int) -> None:
        if now - self._samples[-1][0] < self._every_s:
            return
        self._samples.append((now, ended))
        if len(self._samples) > _SAMPLES:
            del self._samples[1::2]
            self._every_s *= 2

    def per_s(self, now: float, ended: int) -> float | None:
        """Return how many ended a second over the later half of the time."""
        began = self._samples[0][0]
        half = (began + now) / 2
        then, before = max((one for one in self._samples if one[0] <= half), default=self._samples[0])
        return (ended - before) / (now - then) if now > then and ended > before else None
