"""How long do many files of an archive take, and how long to see that all of them are here already?

The local IMAP service has so many files; each is asked for at the service, which sends on to the object store. Of such
services the answer takes a moment, so every exchange is answered after 20 ms. The official client fetches one file
after the other, and takes whatever stands under a file's name for the file; ours compares it with the store's.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Outcome, Span, Subject, figure
from benchmarks.table import Row

__all__ = ["ask", "official", "ours"]

KEY = "benchmark"
LATENCY_S = 0.02


def ask(bench: Bench) -> list[Row]:
    """Ask both for all of the files, then for the same again."""
    count = bench.size(500, 20)
    with TemporaryDirectory() as temporary:
        archive, faults = Path(temporary, "archive"), Path(temporary, "faults.json")
        make_archive(archive, count)
        faults.write_text(json.dumps({"faults": [{"path": "*/imap/*", "delay_s": LATENCY_S}]}))
        serving = ("--imap-files", str(archive), "--imap-empty", "--imap-key", KEY, "--workers", "0")
        with standins.local_service(*serving, "--faults", str(faults)) as (_, origin):
            base_url = f"{origin}/imap"
            subjects = {
                "ours": Subject(ours, (base_url, f"{temporary}/ours"), rounds=1),
                "imap-data-access": Subject(
                    official, (base_url, f"{temporary}/official"), needs="imap-data-access", rounds=1
                ),
            }
            fetched, here = bench.by_turns(subjects), bench.by_turns(subjects)

    def row(what: str, unit: str, found: dict[str, Outcome], of: Any) -> Row:
        return Row(
            question=f"{count:,} files, 20 ms an exchange", what=what, unit=unit, ours=figure(found["ours"], of),
            others={"imap-data-access": figure(found["imap-data-access"], of)},
        )  # fmt: skip

    return [
        row("fetched", "s", fetched, "wall_s"),
        row("seen to be here", "s", here, "wall_s"),
        row("memory", "MB", fetched, "peak_mb"),
    ]


def make_archive(folder: Path, count: int) -> None:
    """Write daily files of 5 to 75 kB, every hundredth of 5 MB."""
    for number in range(count):
        day = date(2026, 1, 1) + timedelta(days=number % 300)
        key = f"imap/mag/l2/{day:%Y/%m}/imap_mag_l2_part{number // 300}_{day:%Y%m%d}_v001.0001.cdf"
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Random(number).randbytes(5_000_000 if number % 100 == 50 else 5_000 + number * 7919 % 70_000))


async def ours(base_url: str, folder: str) -> Facts:
    """A query's result, sixteen files at once."""
    from aurora_async import Imap

    async with Imap(base_url=base_url, data_dir=folder, api_key=KEY) as imap:
        files = await imap.query(instrument="mag", data_level="l2")
        with Span() as span:
            download = await imap.download(files)
            download.raise_for_failures()
        return span.facts(files=len(download))


def official(base_url: str, folder: str) -> Facts:
    """The official client in the loop that everybody writes around it."""
    import imap_data_access

    imap_data_access.config |= {"DATA_ACCESS_URL": base_url, "DATA_DIR": Path(folder), "API_KEY": KEY}
    rows = imap_data_access.query(instrument="mag", data_level="l2")
    with Span() as span:
        for row in rows:
            imap_data_access.download(row["file_path"])
    return span.facts(files=len(rows))
