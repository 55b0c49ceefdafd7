"""How long do many exports take, from the request to the files on disk, where the service takes only so many at once?

The local JSOC works a second on each export, and refuses more than so many pending ones of a user (status 7). The ideal
keeps that many under way until all are done. drms makes one export after the other, and has no way to wait for room.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import local_service, print_table, report, run_subject

MODULE = "benchmarks.exports"
EXPORT_S = 1.0
EMAIL = "demo@example.com"


def record_sets(count: int) -> list[str]:
    """Dopplergrams of ten minutes each: thirteen or fourteen files."""
    starts = [datetime(2016, 4, 1) + timedelta(minutes=10 * number) for number in range(count)]
    return [f"hmi.v_45s[{start:%Y.%m.%d_%H:%M:%S}_TAI/10m]{{Dopplergram}}" for start in starts]


def count_files(folder: str) -> int:
    """How many there are in a folder, and those in it."""
    return sum(1 for _ in Path(folder).rglob("*.fits"))


async def ours(base_url: str, count: int) -> Mapping[str, Any]:
    """All at once through `run`, one file at a time, as JSOC asks for."""
    from aurora_async import ExportQuery, Jsoc

    with TemporaryDirectory() as folder:
        async with Jsoc(base_url=base_url, email=EMAIL) as jsoc:
            await jsoc.info("hmi.v_45s")
            started = time.perf_counter()
            queries = [ExportQuery(text, method="url", protocol="fits") for text in record_sets(count)]
            async for outcome in jsoc.run(queries, at_once=count, folder=folder):
                outcome.unwrap()
            return {"exports_s": time.perf_counter() - started, "files": count_files(folder)}


async def official(base_url: str, count: int) -> Mapping[str, Any]:
    """The official client in the loop that its documentation shows."""
    import drms

    server = drms.ServerConfig(
        name="local",
        cgi_baseurl=f"{base_url}/cgi-bin/ajax/",
        cgi_show_series="show_series",
        cgi_jsoc_info="jsoc_info",
        cgi_jsoc_fetch="jsoc_fetch",
        cgi_check_address="checkAddress.sh",
        cgi_show_series_wrapper="showextseries",
        show_series_wrapper_dbhost="hmidb2",
        http_download_baseurl=f"{base_url}/",
    )
    client = drms.Client(server)
    client.email = EMAIL
    client.info("hmi.v_45s")
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        for text in record_sets(count):
            export = client.export(text, method="url", protocol="fits")
            export.wait(sleep=None)  # the seconds that the service asks for
            export.download(folder)
        return {"exports_s": time.perf_counter() - started, "files": count_files(folder)}


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects against one service each; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--pending", type=int, default=10, help="how many pending exports the service takes")
    parser.add_argument("--peers", action="store_true", help="also run the official client")
    options = parser.parse_args(argv)
    if options.subject:
        work = {"ours": ours, "drms": official}[options.subject]
        report(lambda: work(options.base_url, options.count))
        return []
    ideal_s = EXPORT_S * -(-options.count // options.pending)
    rows = []
    for subject in ["ours", *(["drms"] if options.peers else [])]:
        limits = ("--jsoc-export-time", str(EXPORT_S), "--jsoc-max-pending", str(options.pending))
        with local_service(*limits) as base_url:
            facts = run_subject(MODULE, subject, "--base-url", base_url, "--count", str(options.count))
        rows.append(
            {
                "client": subject,
                "exports": options.count,
                "files": facts["files"],
                "seconds": facts["exports_s"],
                "x ideal": facts["exports_s"] / ideal_s,
                "s CPU": facts["cpu_s"],
                "peak MB": facts["peak_mb"],
            }
        )
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
