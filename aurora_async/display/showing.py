"""Showing progress, wherever the program runs: drawn over on a terminal, in a notebook's cell, or as plain lines."""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol

from aurora_async.display.lines import Lines
from aurora_async.display.notebook import Notebook, in_notebook
from aurora_async.display.tally import Tally

if TYPE_CHECKING:
    from aurora_async.engine import Event

__all__ = ["Client", "show_progress", "ticking"]

logger = logging.getLogger(__name__)

_EVERY_S = 0.3


class Subscribable(Protocol):
    """What tells events."""

    def subscribe(self, listener: Callable[[Event], None]) -> AbstractContextManager[Any]:
        """Call `listener` with every event."""


class Client(Protocol):
    """A client of any service, asynchronous or blocking."""

    @property
    def events(self) -> Subscribable:
        """What happens to its requests."""


@contextmanager
def show_progress(
    client: Client, *, total: int | Mapping[str, int] | None = None, file: IO[str] | None = None
) -> Iterator[Tally]:
    """Show what happens to the client's requests until the block ends, and then what came of them.

    ```python
    with show_progress(client, total=len(queries)):
        outcomes = [outcome async for outcome in client.run(queries)]
    ```

    On a terminal it is drawn over, in a notebook it is the cell's output, elsewhere it is plain lines. It is drawn in
    a thread of its own, and memory and work do not grow with the number of requests.

    Args:
        client: Asynchronous or blocking.
        total: How many requests there will be, or how many of each kind (`{"ephemeris": 400}`). Without it, nothing
            is said about the time that is left.
        file: Where to write; by default a notebook's cell, or stderr.
    """
    tally = Tally(total)
    if file is None and in_notebook():
        notebook = Notebook(tally)
        with client.events.subscribe(tally.hear), ticking(notebook):
            yield tally
        return
    # rich takes a tenth of a second to import, which whoever shows nothing need not wait for.
    from rich.console import Console

    from aurora_async.display.terminal import is_live, live

    console = Console(file=file or sys.stderr, highlight=False, emoji=False, markup=False)
    if is_live(console):
        with client.events.subscribe(tally.hear), live(tally, console, leave=True):
            yield tally
        return
    lines = Lines(tally, console.file)
    with client.events.subscribe(tally.hear), client.events.subscribe(lines.hear), ticking(lines):
        yield tally


class _Ticks(Protocol):
    def tick(self) -> None: ...

    def end(self) -> None: ...


@contextmanager
def ticking(display: _Ticks) -> Iterator[None]:
    """Let a display draw in a thread of its own, a few times a second, and once more at the end."""
    over = threading.Event()

    def tick() -> None:
        try:
            while not over.wait(_EVERY_S):
                display.tick()
        except Exception:
            logger.exception("progress is not shown any more")

    # A notebook knows by a context variable to which cell an output belongs.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(tick,), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        display.end()
