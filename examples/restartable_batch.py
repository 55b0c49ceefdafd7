"""A batch that may be stopped, or die, at any moment: opened again, it goes on where it was.

Runs offline against a local service of its own; give the address of another as the only argument.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import mkdtemp

from aurora_async import AuroraX, Plan
from aurora_async.server.app import LocalService

# The same can stand in a TOML or JSON file: `Plan.read("swarm.toml")`, or `aurora-async batch run swarm.toml`.
PLAN = Plan.from_document(
    {
        "format": "jsonl",
        "search": [
            {
                "kind": "ephemeris",
                "name": "{platform}/{start:%Y-%m-%d}",
                "query": {"data_sources": {"programs": ["swarm"], "platforms": ["{platform}"]}},
                "over": {
                    "platform": ["swarma", "swarmb", "swarmc"],
                    "time": {"start": "2020-01-01", "end": "2020-01-04", "step": "1d"},
                },
            }
        ],
    }
)


async def interrupted(base_url: str, folder: Path) -> None:
    """Run the batch, and stop after a few files, as Ctrl-C would."""
    async with AuroraX(base_url=base_url) as client, client.batch(folder, PLAN) as batch:
        done = 0
        async for entry in batch.run(at_once=4):
            print(f"{entry.path}: {entry.error or f'{entry.records} records'}")
            done += 1
            if done == 3:
                batch.stop()  # what is being transferred is finished, what waits on the service waits there
        print(f"stopped with {(await batch.status()).done} of {(await batch.status()).total} files\n")


async def to_the_end(base_url: str, folder: Path) -> None:
    """The same again, in real life in another process: nothing is submitted or fetched twice."""
    async with AuroraX(base_url=base_url) as client, client.batch(folder, PLAN) as batch:
        status = await batch.finish()
        assert not await batch.verify()
        print(f"{status.done} files, {status.records} records, {status.requests} requests in all")


async def main() -> None:
    """Use the service named on the command line, or one of our own."""
    folder = Path(mkdtemp(prefix="swarm-"))
    if len(sys.argv) > 1:
        await interrupted(sys.argv[1], folder)
        await to_the_end(sys.argv[1], folder)
        return
    async with LocalService() as service:
        await interrupted(service.base_url, folder)
        await to_the_end(service.base_url, folder)


if __name__ == "__main__":
    asyncio.run(main())
