"""Search every day of a month at once, and write each result to a file as it comes in.

Runs offline against a local service of its own; give the address of another as the only argument.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date, timedelta
from pathlib import Path
from tempfile import mkdtemp

from aurora_async import AuroraX, ConjunctionQuery, GroundBlock, SpaceBlock
from aurora_async.server.app import LocalService


async def survey(base_url: str, folder: Path, days: int = 7) -> int:
    """Find THEMIS-ASI and Swarm within 500 km, day by day; returns how many conjunctions there were."""
    first = date(2020, 1, 1)
    queries = [
        ConjunctionQuery(
            start=first + timedelta(days=day),
            end=first + timedelta(days=day),
            ground=GroundBlock(programs="themis-asi"),
            space=SpaceBlock(programs="swarm", hemisphere="northern"),
            max_distance_km=500,
        )
        for day in range(days)
    ]
    found = 0
    async with AuroraX(base_url=base_url) as client:
        async for outcome in client.run(queries, at_once=50, folder=folder, format="jsonl"):
            if outcome.error is not None:
                print(f"{outcome.query.start:%Y-%m-%d}  {outcome.error}")
                continue
            assert outcome.saved is not None
            found += outcome.saved.records
            print(f"{outcome.query.start:%Y-%m-%d}  {outcome.saved.records:4d} conjunctions  {outcome.saved.path.name}")
    return found


async def main() -> None:
    """Use the service named on the command line, or one of our own."""
    folder = Path(mkdtemp(prefix="conjunctions-"))
    if len(sys.argv) > 1:
        found = await survey(sys.argv[1], folder)
    else:
        async with LocalService() as service:
            found = await survey(service.base_url, folder)
    print(f"{found} conjunctions in {folder}")


if __name__ == "__main__":
    asyncio.run(main())
