"""Is the answer of windows that of the whole query, and what does cutting cost?

Ephemeris: a year of Swarm A, which the service takes only in months, in one `download` and month by month.
Conjunctions: a month of THEMIS-ASI and Swarm, in one request and day by day. Everything is asked once before the clock
starts, since the service computes each spacecraft-day the first time (minutes, for a year of them).
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import local_service, print_table, report, run_subject

MODULE = "benchmarks.windows"


async def ephemeris(base_url: str, year: str) -> Mapping[str, Any]:
    """A year, or what part of one is given (`2019-03`), month by month and in one piece."""
    from aurora_async import EphemerisQuery
    from aurora_async.aurorax.splitting import windows

    query = EphemerisQuery(start=year, end=year, programs="swarm", platforms="swarma")
    return await compare(base_url, "ephemeris", windows(query), [query], None)


async def conjunctions(base_url: str, year: str) -> Mapping[str, Any]:
    """The first month of a year in one piece, and day by day."""
    from aurora_async import ConjunctionQuery, GroundBlock, SpaceBlock

    month = f"{year[:4]}-01"
    query = ConjunctionQuery(
        start=month, end=month, max_distance_km=500, ground=GroundBlock(programs="themis-asi"),
        space=SpaceBlock(programs="swarm"),
    )  # fmt: skip
    return await compare(base_url, "conjunctions", [query], [query], timedelta(days=1))


async def compare(
    base_url: str, kind: str, direct: Sequence[Any], cut: Sequence[Any], window: timedelta | None
) -> Mapping[str, Any]:
    """Download queries as they are and in windows; say how long each took, and whether the files are equal."""
    from aurora_async import AuroraX

    async with AuroraX(base_url=base_url) as client:
        searches = getattr(client, kind)

        async def fetch(queries: Sequence[Any], **how: Any) -> tuple[str, int, float]:
            digest, records, started = hashlib.sha256(), 0, time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                for query in queries:
                    saved = await searches.download(query, Path(folder) / "found.jsonl", format="jsonl", **how)
                    records += saved.records
                    with saved.path.open("rb") as file:
                        while piece := file.read(1 << 20):
                            digest.update(piece)
            return digest.hexdigest(), records, time.perf_counter() - started

        await fetch(direct)
        expected, records, direct_s = await fetch(direct)
        found, _, windows_s = await fetch(cut, window=window)
    return {"equal": found == expected, "records": records, "direct_s": direct_s, "windows_s": windows_s}


SUBJECTS: Mapping[str, Callable[[str, str], Any]] = {"ephemeris": ephemeris, "conjunctions": conjunctions}


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects against one service each; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--year", default="2019", help="or a part of one, such as 2019-03")
    options = parser.parse_args(argv)
    if options.subject:
        report(lambda: SUBJECTS[options.subject](options.base_url, options.year))
        return []
    rows = []
    for subject in SUBJECTS:
        with local_service() as base_url:
            facts = run_subject(MODULE, subject, "--base-url", base_url, "--year", options.year)
        rows.append(
            {
                "search": subject,
                "equal": facts["equal"],
                "records": facts["records"],
                "direct s": facts["direct_s"],
                "windows s": facts["windows_s"],
                "peak MB": facts["peak_mb"],
            }
        )
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
