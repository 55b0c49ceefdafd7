"""How fast does a JSON body become a Parquet file, and in how much memory?

Ours writes columns while the body comes. The others take the body first, as they must: pyaurorax and pandas as its
users do, the rest from a file. pyarrow reads JSON Lines alone, and DuckDB takes minutes for one large document: they
are given lines, which the service does not send.
"""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks import standins, typed_records
from benchmarks.body_to_disk import DATA
from benchmarks.measure import Bench, Facts, Span, Subject, figure, watched_loop
from benchmarks.table import Row, Target

__all__ = ["ask", "by_duckdb", "by_polars", "by_pyarrow", "ours", "pyaurorax"]


def ask(bench: Bench) -> list[Row]:
    """Ask for the pace and for memory."""
    size, smaller = bench.size(500_000_000, 3_000_000), bench.size(100_000_000, 2_000_000)
    with standins.bodies() as origin:
        base_url = f"{origin}/plain/{size}"
        found = bench.by_turns(
            {
                "ours": Subject(ours, (base_url,)),
                f"pyaurorax, {smaller / 1e6:g} MB": Subject(
                    pyaurorax, (f"{origin}/plain/{smaller}",), needs="pyaurorax", rounds=1
                ),
                "polars": Subject(by_polars, (base_url,), needs="tables", rounds=1),
                "DuckDB, of lines": Subject(by_duckdb, (f"{origin}/lines/{size}",), needs="tables"),
                "pyarrow, of lines": Subject(by_pyarrow, (f"{origin}/lines/{size}",), needs="tables"),
            }
        )

    def row(what: str, unit: str, of: Any, target: Target, others: bool = True, worst: bool = False) -> Row:
        return Row(
            question=f"JSON to Parquet, {size / 1e6:g} MB", what=what, unit=unit,
            ours=figure(found["ours"], of, worst=worst),
            others={name: figure(found[name], of) for name in found if others and name != "ours"}, target=target,
            more_is_better=unit == "MB/s",
        )  # fmt: skip

    return [
        row("pace", "MB/s", lambda facts: facts["megabytes"] / facts["wall_s"], Target("≥", 110)),
        row("memory", "MB", "peak_mb", Target("≤", 150)),
        row("lag of the loop", "ms", "lag_ms", Target("≤", 20), others=False, worst=True),
    ]


async def ours(base_url: str) -> Facts:
    """Download the result as Parquet."""
    import pyarrow.compute  # the others have imported what they use when their clock starts
    import pyarrow.parquet  # noqa: F401

    from aurora_async import AuroraX, EphemerisQuery

    query = EphemerisQuery(start="2019-01-01", end="2019-01-31", programs="swarm")
    async with AuroraX(base_url=base_url) as client:
        request = await client.ephemeris.submit(query)
        status = await request.wait()
        with tempfile.TemporaryDirectory() as folder, watched_loop() as lag, Span() as span:
            saved = await request.download(Path(folder) / "out.parquet", format="parquet")
        assert saved.records == status.records
        return span.facts(megabytes=(status.result_bytes or 0) / 1e6, lag_ms=lag.longest_ms)


def pyaurorax(base_url: str) -> Facts:
    """All records, one row each, then a frame, then the file."""
    import pandas as pd
    import pyarrow.parquet  # noqa: F401

    search = typed_records.ready_search(base_url)
    with tempfile.TemporaryDirectory() as folder, Span() as span:
        search.get_data()
        rows = [
            {
                "platform": record.data_source.platform,
                "epoch": record.epoch,
                **{
                    f"{name}_{axis}": getattr(getattr(record, name), axis)
                    for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")
                    for axis in ("lat", "lon")
                },
                **record.metadata,
            }
            for record in search.data
        ]
        pd.DataFrame(rows).to_parquet(Path(folder) / "out.parquet")
    return span.facts(megabytes=search.status["search_result"]["file_size"] / 1e6)


def by_polars(base_url: str) -> Facts:
    """The body in a file, then all of it in a frame."""
    import polars as pl

    with tempfile.TemporaryDirectory() as folder, Span() as span:
        size = _taken(base_url, path := Path(folder) / "body.json")
        pl.read_json(path).explode("result").unnest("result").write_parquet(Path(folder) / "out.parquet")
    return span.facts(megabytes=size / 1e6)


def by_duckdb(base_url: str) -> Facts:
    """Lines in a file, then one statement."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder, Span() as span:
        size = _taken(base_url, path := Path(folder) / "body.jsonl")
        read = f"read_json('{path}', format = 'newline_delimited')"
        duckdb.sql(f"COPY (SELECT * FROM {read}) TO '{folder}/out.parquet' (FORMAT parquet)")
    return span.facts(megabytes=size / 1e6)


def by_pyarrow(base_url: str) -> Facts:
    """Lines in a file, then all of them in a table."""
    import pyarrow.json
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder, Span() as span:
        size = _taken(base_url, path := Path(folder) / "body.jsonl")
        options = pyarrow.json.ReadOptions(block_size=16 << 20)
        pyarrow.parquet.write_table(pyarrow.json.read_json(path, options), Path(folder) / "out.parquet")
    return span.facts(megabytes=size / 1e6)


def _taken(base_url: str, path: Path) -> int:
    with urllib.request.urlopen(f"{base_url}/{DATA}") as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
    return path.stat().st_size
