"""Events as JSON Lines, for other programs: one object an event, in order, written while things happen."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurora_async.display.showing import Client
from aurora_async.errors import InvalidInput

if TYPE_CHECKING:
    from aurora_async.engine import Event

__all__ = ["EventFile", "document_of", "event_file", "write_events"]

logger = logging.getLogger(__name__)

_WAITING = 10_000
_WRITTEN_EVERY_S = 0.1
_BYTES_EVERY_S = 0.5


@contextmanager
def write_events(client: Client, path: Path | str) -> Iterator[None]:
    """Append what happens to the client's requests to a file, a line each, until the block ends.

    A line is an object with `time` (UTC, milliseconds), `kind` (an `EventKind`, such as `submitted` or `done`),
    `service`, `request_id`, and what else is known: `label` (what people know the request by, where that is another
    name), `phase`, `bytes`, `records`, `path`, `error` (`type` and `message`). Of a body that arrives, there are at
    most two lines a second. Each line is in the file within a tenth of a second. A disk that is full ends the file,
    with a warning, and nothing else.

    Raises:
        InvalidInput: The file cannot be opened.
    """
    with event_file(client, path):
        yield


@contextmanager
def event_file(client: Client, path: Path | str) -> Iterator[EventFile]:
    """The same, for whoever has lines of his own to add."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        raise InvalidInput("path", f"{os.fspath(path)}: {error.strerror}") from error
    try:
        with EventFile(file, str(path)) as events, client.events.subscribe(events.hear):
            yield events
    finally:
        os.close(file)


class EventFile:
    """Writes events to a file descriptor, which is borrowed, in a thread: a slow disk does not slow the requests.

    When thousands of lines wait for the disk, looks and byte counts are left out; a line of the kind `missed` says how
    many.
    """

    def __init__(self, file: int, name: str) -> None:
        """Begin with `with`; `name` is what a warning calls the file."""
        self._file = file
        self._name = name
        self._waiting: deque[dict[str, Any] | tuple[datetime, Event]] = deque()
        self._missed = 0
        self._bytes_told: dict[str, float] = {}
        self._failed = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="events", daemon=True)

    def __enter__(self) -> EventFile:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def tell(self, kind: str, **facts: Any) -> None:
        """Write a line of one's own; what is None is not known."""
        known = {name: value for name, value in facts.items() if value is not None}
        self._waiting.append({"time": _text(datetime.now(UTC)), "kind": kind, **known})

    def hear(self, event: Event) -> None:
        """Take in an event."""
        if self._failed:
            return
        now = datetime.now(UTC)
        what = event.kind.value
        if what == "bytes":
            moment = now.timestamp()
            if moment - self._bytes_told.get(event.request_id, 0.0) < _BYTES_EVERY_S:
                return
            self._bytes_told[event.request_id] = moment
        elif what in ("done", "failed", "cancelled", "left"):
            self._bytes_told.pop(event.request_id, None)
        if what in ("polled", "bytes") and len(self._waiting) >= _WAITING:
            self._missed += 1
            return
        self._waiting.append((now, event))

    def _write_all(self) -> None:
        import msgspec  # here and below: whoever only shows progress, or only help, need not wait for it

        is_over = False
        while not is_over:
            is_over = self._over.wait(_WRITTEN_EVERY_S)
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            documents = [one if isinstance(one, dict) else document_of(*one) for one in waiting]
            if self._missed:
                missed, self._missed = self._missed, 0
                documents.append({"time": _text(datetime.now(UTC)), "kind": "missed", "count": missed})
            self._write(b"".join(msgspec.json.encode(document) + b"\n" for document in documents))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view and not self._failed:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self._failed = True
            logger.warning("events are not written to %s any more: %s", self._name, error.strerror or error)


def document_of(moment: datetime, event: Event) -> dict[str, Any]:
    """Return an event as it is written; what is not known is not there."""
    from aurora_async.engine.places import STAGING

    document: dict[str, Any] = {"time": _text(moment), "kind": event.kind.value, "service": event.service}
    if event.request_id:
        document["request_id"] = event.request_id
    if event.label:
        document["label"] = event.label
    status = event.status
    if status is not None:
        document["phase"] = status.phase.value
    records = event.records if event.records is not None or status is None else status.records
    if event.bytes:
        document["bytes"] = event.bytes
    if records is not None:
        document["records"] = records
    if event.path is not None and event.path.parent.name != STAGING:  # a batch gives it another name afterwards
        document["path"] = os.fspath(event.path)
    if event.error is not None:
        document["error"] = {"type": type(event.error).__name__, "message": str(event.error)}
    return document


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
