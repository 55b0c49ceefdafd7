"""Read a result of any size record by record: memory stays the same, and one can stop whenever one has enough."""

from __future__ import annotations

import asyncio
import sys

from aurora_async import AuroraX, EphemerisQuery
from aurora_async.server.app import LocalService


async def northernmost(base_url: str) -> str:
    """Find where the northern footprint of Swarm A came closest to the pole on one day."""
    query = EphemerisQuery(start="2020-01-01", end="2020-01-01", platforms="swarma", instrument_types="footprint")
    best_deg, best = -90.0, "nowhere"
    async with AuroraX(base_url=base_url) as client:
        async for record in client.ephemeris.stream(query):
            latitude_deg = record.nbtrace.lat
            if latitude_deg is not None and latitude_deg > best_deg:
                best_deg, best = latitude_deg, f"{latitude_deg:.2f} degrees north at {record.epoch:%H:%M} UTC"
    return best


async def main() -> None:
    """Use the service named on the command line, or one of our own."""
    if len(sys.argv) > 1:
        print(await northernmost(sys.argv[1]))
        return
    async with LocalService() as service:
        print(await northernmost(service.base_url))


if __name__ == "__main__":
    asyncio.run(main())
