"""How long do many files of an archive take, and how long to see that all of them are here already?

The local IMAP service has so many files; each is asked for at the service, which sends on to the object store. Of such
services the answer takes a moment, so every exchange is answered after `--latency` seconds. The official client fetches
one file after the other, and takes whatever stands under a file's name for the file; ours compares it with the store's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import local_service, print_table, report, run_subject

MODULE = "benchmarks.files"
KEY = "benchmark"


def make_archive(folder: Path, count: int) -> None:
    """Write daily files of 5 to 75 kB, every hundredth of 5 MB."""
    for number in range(count):
        day = date(2026, 1, 1) + timedelta(days=number % 300)
        key = f"imap/mag/l2/{day:%Y/%m}/imap_mag_l2_part{number // 300}_{day:%Y%m%d}_v001.0001.cdf"
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Random(number).randbytes(5_000_000 if number % 100 == 50 else 5_000 + number * 7919 % 70_000))


async def ours(base_url: str, folder: str) -> Mapping[str, Any]:
    """A query's result, sixteen files at once."""
    from aurora_async import Imap

    async with Imap(base_url=base_url, data_dir=folder, api_key=KEY) as imap:
        files = await imap.query(instrument="mag", data_level="l2")
        started = time.perf_counter()
        download = await imap.download(files)
        download.raise_for_failures()
        return {"files_s": time.perf_counter() - started, "files": len(download)}


async def official(base_url: str, folder: str) -> Mapping[str, Any]:
    """The official client in the loop that everybody writes around it."""
    import imap_data_access

    imap_data_access.config |= {"DATA_ACCESS_URL": base_url, "DATA_DIR": Path(folder), "API_KEY": KEY}
    rows = imap_data_access.query(instrument="mag", data_level="l2")
    started = time.perf_counter()
    for row in rows:
        imap_data_access.download(row["file_path"])
    return {"files_s": time.perf_counter() - started, "files": len(rows)}


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects against one service; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--folder", default="")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds until an exchange is answered")
    parser.add_argument("--peers", action="store_true", help="also run the official client")
    options = parser.parse_args(argv)
    if options.subject:
        work = {"ours": ours, "imap-data-access": official}[options.subject]
        report(lambda: work(options.base_url, options.folder))
        return []
    rows = []
    with TemporaryDirectory() as temporary:
        archive, faults = Path(temporary, "archive"), Path(temporary, "faults.json")
        make_archive(archive, options.count)
        faults.write_text(json.dumps({"faults": [{"path": "*/imap/*", "delay_s": options.latency}]}))
        serving = ("--imap-files", str(archive), "--imap-empty", "--imap-key", KEY, "--workers", "0")
        with local_service(*serving, "--faults", str(faults)) as base_url:
            for subject in ["ours", *(["imap-data-access"] if options.peers else [])]:
                folder = str(Path(temporary, subject))
                for what in ("all of them", "none: they are here"):
                    facts = run_subject(MODULE, subject, "--base-url", f"{base_url}/imap", "--folder", folder)
                    rows.append(
                        {
                            "client": subject,
                            "to be fetched": what,
                            "files": facts["files"],
                            "seconds": facts["files_s"],
                            "ms a file": facts["files_s"] / facts["files"] * 1000,
                            "s CPU": facts["cpu_s"],
                            "peak MB": facts["peak_mb"],
                        }
                    )
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
