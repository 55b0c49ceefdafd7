"""Submit now, fetch later: the identifier of a request is all another process needs."""

from __future__ import annotations

import asyncio
import sys

from aurora_async import AuroraX, ConjunctionQuery, GroundBlock, SpaceBlock
from aurora_async.server.app import LocalService


async def submit(base_url: str) -> str:
    """Submit a search and leave it alone; in real life this program ends here."""
    query = ConjunctionQuery(
        start="2020-01-01T00",
        end="2020-01-01T06",
        ground=GroundBlock(programs="themis-asi"),
        space=SpaceBlock(programs="swarm"),
        max_distance_km=500,
    )
    async with AuroraX(base_url=base_url) as client:
        print(await client.conjunctions.describe(query))
        request = await client.conjunctions.submit(query)
        return request.detach()


async def collect(base_url: str, token: str) -> int:
    """Pick the request up again, in another process or on another day."""
    async with AuroraX(base_url=base_url) as client:
        conjunctions = await client.conjunctions.resume(token).records(deadline_s=120)
    for conjunction in conjunctions[:3]:
        station, spacecraft = conjunction.data_sources
        print(f"{conjunction.start:%H:%M} {station.display_name} and {spacecraft.display_name}")
    return len(conjunctions)


async def main() -> None:
    """Use the service named on the command line, or one of our own."""
    if len(sys.argv) > 1:
        print(await collect(sys.argv[1], await submit(sys.argv[1])), "conjunctions")
        return
    async with LocalService() as service:
        print(await collect(service.base_url, await submit(service.base_url)), "conjunctions")


if __name__ == "__main__":
    asyncio.run(main())
