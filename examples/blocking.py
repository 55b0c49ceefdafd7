"""The same without `await`, for scripts and notebooks: each call returns when its answer is here.

Runs offline against a local service of its own; give the address of another as the only argument.
"""

from __future__ import annotations

import sys

from anyio.from_thread import start_blocking_portal

from aurora_async import ConjunctionQuery, EphemerisQuery, GroundBlock, SpaceBlock
from aurora_async.server.app import LocalService
from aurora_async.sync import AuroraX


def main(base_url: str) -> None:
    """Find conjunctions, then follow the spacecraft of the first one through it."""
    client = AuroraX(base_url=base_url)
    conjunctions = client.conjunctions.search(
        ConjunctionQuery(
            start="2020-01-01T00",
            end="2020-01-01T06",
            ground=GroundBlock(programs="themis-asi"),
            space=SpaceBlock(programs="swarm", hemisphere="northern"),
            max_distance_km=500,
        )
    )
    first = conjunctions[0]
    station, spacecraft = first.data_sources
    print(f"{len(conjunctions)} conjunctions, the first of {spacecraft.display_name} with {station.display_name}")
    query = EphemerisQuery(start=first.start, end=first.end, platforms=spacecraft.platform or "")
    for record in client.ephemeris.stream(query):
        print(f"{record.epoch:%H:%M}  {record.nbtrace.lat:6.2f} {record.nbtrace.lon:7.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(LocalService()) as service:
            main(service.base_url)
