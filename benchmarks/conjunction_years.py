"""How long does the local service take for the conjunctions of a year, and of ten, whose ephemeris it has?

All THEMIS-ASI stations and the three Swarm spacecraft, end to end from the query to typed records; ten years in windows
of one. The service has Swarm's elements for 2018-03 to 2022-07: of the ten years that are searched 4.3 have positions.
The ephemeris is computed once and kept in the benchmarks' cache folder: that of a year takes six CPU minutes, all that
there is half an hour, so it is only begun when this question is asked by name. Memory is that of the service's
processes at their largest, pages that they share counted in each, and of the client with all that was found.
"""

from __future__ import annotations

from benchmarks import environments, standins
from benchmarks.measure import Bench, Facts, Outcome, Span, Subject, figure, resident_mb
from benchmarks.table import Row, Target

__all__ = ["SERVICE_FOLDER", "ask", "years"]

SERVICE_FOLDER = environments.cache_folder() / "service"
YEAR = "2019"
DECADE = ("2014", "2023")
COMPUTING_S = 4 * 3600.0


def ask(bench: Bench) -> list[Row]:
    """Ask for a year in one request, and for ten in windows."""
    asked = {"year": (YEAR, YEAR, None), "decade": (*DECADE, 366)}
    if bench.quick:
        asked = {"year": ("2019-01-01", "2019-01-01", None)}
    kept = ("--data-dir", str(SERVICE_FOLDER))
    computed = SERVICE_FOLDER / "ten-years"
    found: dict[str, Outcome] = {"decade": "not computed"}
    for name, (start, end, window_days) in asked.items():
        if name == "decade" and not (bench.patient or computed.exists()):
            continue
        # A service of its own for each, so that its memory is that of this question, and not that of computing either.
        if not bench.quick:
            with standins.local_service(*kept) as (pid, base_url):
                for part in _parts(start, end):
                    first = Subject(years, (base_url, pid, part, part, None, 400), rounds=1, limit_s=COMPUTING_S)
                    bench.by_turns({f"computing what is not there of {part}": first})
        with standins.local_service(*kept) as (pid, base_url):
            subject = Subject(years, (base_url, pid, start, end, window_days, 500))
            found[name] = bench.by_turns({name: subject})[name]
        if name == "decade" and not bench.quick:
            computed.touch()
    question = "local service, conjunctions of 3 spacecraft"
    return [
        Row(
            question=question, what="one year", unit="s", ours=figure(found["year"], "wall_s"), others={},
            target=Target("≤", 0.5),
        ),
        Row(
            question=question, what="ten years, windows", unit="s", ours=figure(found["decade"], "wall_s"),
            others={},
        ),
        Row(
            question=question, what="ten years: memory", unit="MB", ours=figure(found["decade"], "service_mb"),
            others={}, target=Target("≤", 1000),
        ),
        Row(
            question=question, what="ten years: client", unit="MB", ours=figure(found["decade"], "peak_mb"),
            others={}, target=Target("≤", 1000),
        ),
        Row(question=question, what="ten years: found", unit="", ours=figure(found["decade"], "found"), others={}),
    ]  # fmt: skip


def _parts(start: str, end: str) -> list[str]:
    """The months of one year, or the years of many."""
    if start == end:
        return [f"{start}-{month:02d}" for month in range(1, 13)]
    return [str(year) for year in range(int(start), int(end) + 1)]


async def years(base_url: str, pid: int, start: str, end: str, window_days: int | None, distance_km: float) -> Facts:
    """Search, and look at the service's processes."""
    from datetime import timedelta

    from aurora_async import AuroraX, ConjunctionQuery, GroundBlock, SpaceBlock

    ground, space = GroundBlock(programs="themis-asi"), SpaceBlock(programs="swarm")
    query = ConjunctionQuery(start=start, end=end, max_distance_km=distance_km, ground=ground, space=space)
    window = None if window_days is None else timedelta(days=window_days)
    async with AuroraX(base_url=base_url) as client:
        with Span() as span:
            found = await client.conjunctions.search(query, window=window)
    return span.facts(found=len(found), service_mb=resident_mb(pid, peak=True, tree=True))
