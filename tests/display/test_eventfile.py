"""Events as JSON Lines, for programs that read along."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aurora_async import Event, EventKind, Phase, RequestStatus, write_events
from aurora_async.display.eventfile import EventFile, document_of
from aurora_async.engine import Events
from aurora_async.errors import InvalidInput, RequestFailed

MOMENT = datetime(2020, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)


class Client:
    """As far as it matters here."""

    def __init__(self) -> None:
        self.events = Events()

    def tell(self, kind: EventKind, request_id: str = "a", **facts: Any) -> None:
        """Let something happen."""
        self.events.emit(Event(kind=kind, request_id=request_id, service="ephemeris", **facts))


def written(path: Path) -> list[dict[str, Any]]:
    """Return what a file holds; every line of it is an object."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_event_says_what_is_known_and_nothing_else() -> None:
    """A reader takes the columns that there are."""
    status = RequestStatus(request_id="a", phase=Phase.READY, records=66)
    event = Event(kind=EventKind.READY, request_id="a", service="ephemeris", status=status)
    assert document_of(MOMENT, event) == {
        "time": "2020-01-01T12:00:00.123Z", "kind": "ready", "service": "ephemeris", "request_id": "a",
        "phase": "ready", "records": 66,
    }  # fmt: skip
    event = Event(kind=EventKind.FAILED, request_id="", service="ephemeris", error=RequestFailed("a", "out of disk"))
    assert document_of(MOMENT, event)["error"] == {
        "type": "RequestFailed",
        "message": "request a failed on the server: out of disk",
    }
    assert "request_id" not in document_of(MOMENT, event)
    event = Event(kind=EventKind.RUNNING, request_id="quick:m%5B1", label="m[1]", service="export")
    assert document_of(MOMENT, event)["label"] == "m[1]"


def test_lines_are_there_while_things_happen(tmp_path: Path) -> None:
    """`tail -f` shows what goes on; a second run goes on in the same file."""
    path, client = tmp_path / "events.jsonl", Client()
    path.write_bytes(b'{"kind":"of an earlier run"}\n')
    with write_events(client, path):
        client.tell(EventKind.SUBMITTED)
        deadline = time.monotonic() + 5
        while len(written(path)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.tell(EventKind.DONE, records=3, bytes=300, path=tmp_path / "x.json")
    client.tell(EventKind.SUBMITTED, "b")  # nobody listens any more
    assert [one["kind"] for one in written(path)] == ["of an earlier run", "submitted", "done"]
    last = written(path)[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", last["time"])
    assert (last["records"], last["bytes"], last["path"]) == (3, 300, str(tmp_path / "x.json"))


def test_a_body_is_told_of_twice_a_second_at_most(tmp_path: Path) -> None:
    """A gigabyte in chunks would be thousands of lines; of each body there is the first and the sum."""
    path, client = tmp_path / "events.jsonl", Client()
    with write_events(client, path):
        for arrived in range(1, 1001):
            client.tell(EventKind.BYTES, bytes=arrived)
        client.tell(EventKind.BYTES, "b", bytes=7)
        client.tell(EventKind.DONE, bytes=1000)
    counts = [(one["kind"], one["bytes"]) for one in written(path)]
    assert counts[0] == ("bytes", 1) and counts[-2:] == [("bytes", 7), ("done", 1000)]
    assert len(counts) < 10


def test_what_cannot_be_opened_is_said_before_anything_happens(tmp_path: Path) -> None:
    """With the file's name."""
    with pytest.raises(InvalidInput, match=r"there/events\.jsonl: No such file"), write_events(
        Client(), tmp_path / "not there" / "events.jsonl"
    ):  # fmt: skip
        raise AssertionError


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The records are what matters; the events are about them."""
    client = Client()
    with caplog.at_level(logging.WARNING), write_events(client, "/dev/full"):
        client.tell(EventKind.SUBMITTED)
        deadline = time.monotonic() + 5
        while not caplog.records:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.tell(EventKind.DONE)
    assert caplog.messages == ["events are not written to /dev/full any more: No space left on device"]


def test_a_reader_that_stands_still_costs_looks_and_not_memory() -> None:
    """The pipe is full and nobody reads: what happened is kept, looks and byte counts are counted."""
    reading, writing = os.pipe()
    try:
        with EventFile(writing, "a pipe") as file:
            for number in range(60_000):
                kind = EventKind.POLLED if number else EventKind.SUBMITTED
                file.hear(Event(kind=kind, request_id="a", service="ephemeris"))
            file.hear(Event(kind=EventKind.DONE, request_id="a", service="ephemeris"))
            chunks: list[bytes] = []
            reader = threading.Thread(target=lambda: chunks.extend(iter(lambda: os.read(reading, 1 << 16), b"")))
            reader.start()
    finally:
        os.close(writing)
    reader.join(10)
    os.close(reading)
    told = [json.loads(line) for line in b"".join(chunks).splitlines()]
    kinds = [one["kind"] for one in told]
    assert kinds[0] == "submitted" and "done" in kinds
    assert kinds.count("polled") + sum(one.get("count", 0) for one in told) == 59_999
    assert kinds.count("polled") < 59_999
