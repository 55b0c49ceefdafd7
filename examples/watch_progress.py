"""See what many searches are doing, and keep a record of it for other programs.

On a terminal the progress is drawn over, in a notebook it is the cell's output, and in a log file it is plain lines.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from aurora_async import AuroraX, EphemerisQuery, show_progress, write_events
from aurora_async.server.app import LocalService

QUERIES = [
    EphemerisQuery(start=f"2020-01-01T{hour:02d}:00", end=f"2020-01-01T{hour:02d}:59", platforms=platform)
    for platform in ("swarma", "swarmb", "swarmc")
    for hour in range(8)
]


async def watch(base_url: str, events: Path) -> None:
    """Make the searches, and say which one was looked at most often."""
    async with AuroraX(base_url=base_url, synchronous=False) as client:
        with show_progress(client, total=len(QUERIES)), write_events(client, events):
            async for outcome in client.run(QUERIES, at_once=6):
                outcome.unwrap()
    print(most_looked_at(events))


def most_looked_at(events: Path) -> str:
    """Read the record; any program that knows JSON can."""
    told = [json.loads(line) for line in events.read_text().splitlines()]
    looks = Counter(event["request_id"] for event in told if event["kind"] == "polled")
    ((request_id, count),) = looks.most_common(1)
    return f"request {request_id} was looked at most often: {count} times"


async def main() -> None:
    """Use the service named on the command line, or one of our own."""
    with TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        if len(sys.argv) > 1:
            await watch(sys.argv[1], events)
            return
        async with LocalService() as service:
            await watch(service.base_url, events)


if __name__ == "__main__":
    asyncio.run(main())
