"""What a command shows while requests are under way; it goes to stderr, and the caller prints what is to stay there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from aurora_async.cli.screen import console_for
from aurora_async.display import Tally
from aurora_async.display.eventfile import EventFile, event_file
from aurora_async.display.lines import Lines
from aurora_async.display.showing import Client, ticking
from aurora_async.display.terminal import is_live, live

__all__ = ["shown"]


@contextmanager
def shown(
    client: Client, tally: Tally, *, quiet: bool = False, events: str | None = None, ends: bool = False
) -> Iterator[EventFile | None]:
    """Show what happens to requests until the block ends; give the file `events` (- is stdout), which hears it, too.

    Without `ends`, how a request ends is left to the caller where lines are printed.
    """
    console = console_for(sys.stderr)
    subscribe = client.events.subscribe
    with ExitStack() as stack:
        file = None
        if events == "-":
            file = stack.enter_context(EventFile(sys.stdout.fileno(), "stdout"))
            stack.enter_context(subscribe(file.hear))
        elif events is not None:
            file = stack.enter_context(event_file(client, events))
        stack.enter_context(subscribe(tally.hear))
        if is_live(console) and not quiet:
            stack.enter_context(live(tally, console))
        elif not quiet:
            lines = Lines(tally, console.file, ends=ends)
            stack.enter_context(subscribe(lines.hear))
            stack.enter_context(ticking(lines))
        yield file
