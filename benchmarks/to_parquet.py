"""How fast does a result of a gigabyte become a table, and how much memory does that take?

The service of `large_body` answers one ephemeris request. `json.loads + pandas` is what one writes without a library:
the body in memory, its objects, a DataFrame, a file; it gets a smaller body, because it needs ten times its size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import large_body
from benchmarks.measure import print_table, report, run_subject

MODULE = "benchmarks.to_parquet"
FORMATS = ("jsonl", "parquet", "csv")
NAIVE = "json.loads + pandas"


async def ours(base_url: str, format: str) -> Mapping[str, Any]:
    """Download the result in one of our forms."""
    return await large_body.ours(base_url, f"download {format}")


async def naive(base_url: str) -> Mapping[str, Any]:
    """The whole body, the whole list, the whole frame, one after the other."""
    started = time.perf_counter()
    records = _written_by_pandas(f"{base_url}/api/v1/ephemeris/requests/{uuid.uuid4()}/data")
    took_s = time.perf_counter() - started
    return {"took_s": took_s, "records": records, "blocked_ms": 1000 * took_s}


def _written_by_pandas(url: str) -> int:
    import pandas as pd

    with urllib.request.urlopen(url) as answer:
        records = json.loads(answer.read())["result"]
    frame = pd.json_normalize(records)
    frame["epoch"] = pd.to_datetime(frame["epoch"], utc=True)
    with tempfile.TemporaryDirectory() as folder:
        frame.to_parquet(Path(folder) / "out")
    return len(frame)


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects, each against a service with a body of its size; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--naive-megabytes", type=int, default=200)
    options = parser.parse_args(argv)
    if options.subject:
        base_url, subject = options.base_url, options.subject
        report(lambda: naive(base_url) if subject == NAIVE else ours(base_url, subject))
        return []
    rows = []
    for subject in (*FORMATS, NAIVE):
        megabytes = options.naive_megabytes if subject == NAIVE else options.megabytes
        command = [sys.executable, "-m", large_body.MODULE, "--subject", "serve", "--megabytes", str(megabytes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            base_url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            try:
                facts = run_subject(MODULE, subject, "--base-url", base_url)
            finally:
                server.terminate()
        rows.append(
            {
                "subject": subject,
                "MB": megabytes,
                "seconds": facts["took_s"],
                "MB/s": megabytes / facts["took_s"],
                "MB/s of CPU": megabytes / facts["cpu_s"],
                "peak MB": facts["peak_mb"],
                "loop blocked ms": facts["blocked_ms"],
                "records": facts["records"],
            }
        )
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
