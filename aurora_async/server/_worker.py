"""A worker process of the local service: reads tasks from its stdin, writes what becomes of them to its stdout.

Started by `jobs`; it ends when its stdin does, which is when the service ends, in whatever way.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import aurora_async.server.aurorax.searching  # noqa: F401  what a search needs, before the first one comes
from aurora_async.server.days import DayCache
from aurora_async.server.jobs import HEADER_BYTES, Message, Task, frame, frame_length, perform

__all__ = ["main"]


def main(days_folder: Path) -> None:
    """Work until the service is gone."""
    if hasattr(os, "nice"):
        os.nice(10)  # computing takes what answering leaves
    # Whatever a library prints must not end up between the frames.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    batches: queue.SimpleQueue[Sequence[tuple[int, Task]]] = queue.SimpleQueue()
    cancelled: set[int] = set()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, batches, cancelled), daemon=True).start()
    days = DayCache(days_folder)

    def tell(messages: Sequence[Message]) -> None:
        _write_all(answers, frame(messages))

    tell([])  # ready
    while True:
        perform(batches.get(), days, tell, cancelled.__contains__)


def _listen(commands: BinaryIO, batches: queue.SimpleQueue[Any], cancelled: set[int]) -> None:
    while header := commands.read(HEADER_BYTES):
        what, value = pickle.loads(commands.read(frame_length(header)))
        if what == "do":
            batches.put(value)
        else:
            cancelled.add(value)
    os._exit(0)


def _write_all(stream: Any, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
