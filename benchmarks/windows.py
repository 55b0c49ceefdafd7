"""Is the answer of windows that of the whole query, and what does cutting cost?

Ephemeris: a year of Swarm A, which the service takes only in months, in one `download` and month by month.
Conjunctions: a month of THEMIS-ASI and Swarm, in one request and day by day. Everything is asked once before the clock
starts, since the service computes each spacecraft-day the first time (and keeps it in the benchmarks' cache folder).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import standins
from benchmarks.conjunction_years import COMPUTING_S, SERVICE_FOLDER
from benchmarks.measure import Bench, Facts, Outcome, Span, Subject, figure
from benchmarks.table import Row, Target

__all__ = ["ask", "conjunctions", "ephemeris"]


def ask(bench: Bench) -> list[Row]:
    """Ask for both kinds."""
    year, month = ("2019-01-01", "2019-01-01") if bench.quick else ("2019", "2019-01")
    with standins.local_service("--data-dir", str(SERVICE_FOLDER)) as (_, base_url):
        found = bench.by_turns(
            {
                "ephemeris": Subject(ephemeris, (base_url, year), rounds=1, limit_s=COMPUTING_S),
                "conjunctions": Subject(conjunctions, (base_url, month), rounds=1, limit_s=COMPUTING_S),
            }
        )

    def row(what: str, outcome: Outcome) -> Row:
        return Row(
            question="windows of one query", what=what, unit="s", ours=figure(outcome, "windows_s"),
            others={"asked one by one": figure(outcome, "direct_s")},
        )  # fmt: skip

    return [
        row(f"ephemeris of {year}", found["ephemeris"]),
        row(f"conj. of {month}", found["conjunctions"]),
        Row(
            question="windows of one query", what="same bytes", unit="of 2", others={},
            ours=figure([{"equal": sum(facts["equal"] for one in found.values() for facts in _facts(one))}], "equal"),
            target=Target("≥", 2),
        ),
        Row(
            question="windows of one query", what="memory", unit="MB", ours=figure(found["ephemeris"], "peak_mb"),
            others={},
        ),
    ]  # fmt: skip


async def ephemeris(base_url: str, year: str) -> Facts:
    """A year, or what part of one is given (`2019-03`), month by month and in one piece."""
    from aurora_async import EphemerisQuery
    from aurora_async.aurorax.splitting import windows

    query = EphemerisQuery(start=year, end=year, programs="swarm", platforms="swarma")
    return await _compared(base_url, "ephemeris", windows(query), [query], None)


async def conjunctions(base_url: str, month: str) -> Facts:
    """A month in one piece, and day by day."""
    from aurora_async import ConjunctionQuery, GroundBlock, SpaceBlock

    ground, space = GroundBlock(programs="themis-asi"), SpaceBlock(programs="swarm")
    query = ConjunctionQuery(start=month, end=month, max_distance_km=500, ground=ground, space=space)
    return await _compared(base_url, "conjunctions", [query], [query], timedelta(days=1))


async def _compared(
    base_url: str, kind: str, direct: Sequence[Any], cut: Sequence[Any], window: timedelta | None
) -> Facts:
    """Download queries as they are and in windows; say how long each took, and whether the files are equal."""
    from aurora_async import AuroraX

    async with AuroraX(base_url=base_url) as client:
        searches = getattr(client, kind)

        async def fetch(queries: Sequence[Any], **how: Any) -> tuple[str, float]:
            digest = hashlib.sha256()
            with tempfile.TemporaryDirectory() as folder, Span() as span:
                for query in queries:
                    saved = await searches.download(query, Path(folder) / "found.jsonl", format="jsonl", **how)
                    with saved.path.open("rb") as file:
                        while piece := file.read(1 << 20):
                            digest.update(piece)
            return digest.hexdigest(), span.wall_s

        await fetch(direct)
        expected, direct_s = await fetch(direct)
        found, windows_s = await fetch(cut, window=window)
    return {"equal": found == expected, "direct_s": direct_s, "windows_s": windows_s}


def _facts(outcome: Outcome) -> Sequence[Facts]:
    return [] if isinstance(outcome, str) else outcome
