"""How long do many exports take, from the request to the files on disk, where the service takes only so many at once?

The local JSOC works a second on each export, and refuses more than so many pending ones of a user (status 7). The ideal
keeps that many under way until all are done. drms makes one export after the other, and has no way to wait for room.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Span, Subject, figure
from benchmarks.table import Row

__all__ = ["ask", "by_drms", "ours"]

EXPORT_S = 1.0
PENDING = 10
EMAIL = "demo@example.com"


def ask(bench: Bench) -> list[Row]:
    """Ask both at services of their own kind of limits."""
    count, export_s = bench.size(20, 3), EXPORT_S / 10 if bench.quick else EXPORT_S
    ideal_s = export_s * -(-count // PENDING)
    limits = ("--jsoc-export-time", str(export_s), "--jsoc-max-pending", str(PENDING))
    # A service for each: what one has exported is given to the next at once.
    with standins.local_service(*limits) as (_, for_us), standins.local_service(*limits) as (_, for_drms):
        found = bench.by_turns(
            {
                "ours": Subject(ours, (for_us, count), rounds=1),
                "drms": Subject(by_drms, (for_drms, count), needs="drms", rounds=1),
            }
        )

    def row(what: str, unit: str, of: Any) -> Row:
        return Row(
            question=f"{count} exports of {export_s:g} s, {PENDING} at once", what=what, unit=unit,
            ours=figure(found["ours"], of), others={"drms, serial": figure(found["drms"], of)},
        )  # fmt: skip

    return [
        row("to the files", "x ideal", lambda facts: facts["wall_s"] / ideal_s),
        row("CPU an export", "ms", lambda facts: 1000 * facts["cpu_s"] / count),
        row("memory", "MB", "peak_mb"),
    ]


def record_sets(count: int) -> list[str]:
    """Dopplergrams of ten minutes each: thirteen or fourteen files."""
    starts = [datetime(2016, 4, 1) + timedelta(minutes=10 * number) for number in range(count)]
    return [f"hmi.v_45s[{start:%Y.%m.%d_%H:%M:%S}_TAI/10m]{{Dopplergram}}" for start in starts]


async def ours(base_url: str, count: int) -> Facts:
    """All at once through `run`, one file at a time, as JSOC asks for."""
    from aurora_async import ExportQuery, Jsoc

    with TemporaryDirectory() as folder:
        async with Jsoc(base_url=base_url, email=EMAIL) as jsoc:
            await jsoc.info("hmi.v_45s")
            queries = [ExportQuery(text, method="url", protocol="fits") for text in record_sets(count)]
            with Span() as span:
                async for outcome in jsoc.run(queries, at_once=count, folder=folder):
                    outcome.unwrap()
        return span.facts(files=_count_files(folder))


def by_drms(base_url: str, count: int) -> Facts:
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
        with Span() as span:
            for text in record_sets(count):
                export = client.export(text, method="url", protocol="fits")
                export.wait(sleep=None)  # the seconds that the service asks for
                export.download(folder)
        return span.facts(files=_count_files(folder))


def _count_files(folder: str) -> int:
    return sum(1 for _ in Path(folder).rglob("*.fits"))
