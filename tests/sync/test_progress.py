"""Progress of blocking calls, in scripts and in a real notebook's kernel."""

from __future__ import annotations

import io
import threading
from typing import Any

from jupyter_client.manager import start_new_kernel
from support.processes import ENVIRON

from aurora_async import EphemerisQuery, show_progress
from aurora_async.sync import AuroraX

QUERY = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")


def test_a_blocking_client_shows_its_progress(client: AuroraX) -> None:
    """Its events come from the thread of its loop; the display's own thread ends with the block."""
    log = io.StringIO()
    with show_progress(client, file=log):
        assert len(client.ephemeris.search(QUERY)) == 10
    assert log.getvalue().rstrip().endswith(": done, 10 records")
    assert "progress" not in {thread.name for thread in threading.enumerate()}


SETUP = """
from aurora_async import AuroraX as AsyncAuroraX, EphemerisQuery, show_progress
from aurora_async.sync import AuroraX
query = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")
"""
BLOCKING = """
with AuroraX(base_url={url!r}) as client, show_progress(client, total={{'ephemeris': 2}}):
    outcomes = list(client.run([query, query]))
"""
ASYNCHRONOUS = """
import asyncio
async with AsyncAuroraX(base_url={url!r}) as client:
    with show_progress(client):
        await client.ephemeris.search(query)
        await asyncio.sleep(1.5)
"""
FAILING = """
from aurora_async.errors import RequestFailed
from aurora_async import Event, EventKind
with AuroraX(base_url={url!r}) as client, show_progress(client) as tally:
    error = RequestFailed("a", "<script>alert(1)</script>")
    tally.hear(Event(kind=EventKind.FAILED, request_id="a", service="ephemeris", error=error))
"""


def test_a_notebook_shows_progress_in_the_cell_and_leaves_what_came_of_it(base_url: str) -> None:
    """One output, drawn anew a few times a second; it is what a saved notebook has."""
    manager, kernel = start_new_kernel(env=ENVIRON)
    try:

        def cell(text: str) -> list[dict[str, Any]]:
            shown: list[dict[str, Any]] = []

            def hook(message: dict[str, Any]) -> None:
                if message["msg_type"] not in ("status", "execute_input"):
                    shown.append(message)

            reply = kernel.execute_interactive(text.format(url=base_url), output_hook=hook, timeout=60)
            assert reply["content"]["status"] == "ok", reply
            return shown

        assert cell(SETUP) == []
        first, *updates = cell(BLOCKING)
        assert first["msg_type"] == "display_data"
        assert {one["msg_type"] for one in updates} == {"update_display_data"}
        assert len({one["content"]["transient"]["display_id"] for one in (first, *updates)}) == 1
        last = updates[-1]["content"]["data"]
        assert '<progress max="2" value="2"></progress>' in last["text/html"]
        assert "2 done" in last["text/html"] and last["text/plain"].startswith("2 of 2 ended, ")

        # Drawn on while the kernel's own loop is busy with the cell, and not for every event.
        assert 3 <= len(cell(ASYNCHRONOUS)) <= 12

        html = cell(FAILING)[-1]["content"]["data"]["text/html"]
        assert "&lt;script&gt;" in html and "<script>" not in html
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
