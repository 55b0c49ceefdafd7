"""A query that is longer than the service takes, straight to a table: cut, searched side by side, merged on the way.

Runs offline against a local service of its own; give the address of another as the only argument. Needs pyarrow
(`pip install "aurora-async[parquet]"`).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import mkdtemp

import pyarrow.parquet

from aurora_async import AuroraX, EphemerisQuery
from aurora_async.server.app import LocalService


async def download(base_url: str, folder: Path) -> None:
    """Save 50 days of an all-sky camera's operation; one request may ask for 31."""
    query = EphemerisQuery(start="2019-12-01", end="2020-01-19", programs="themis-asi", platforms="gillam")
    async with AuroraX(base_url=base_url) as client:
        saved = await client.ephemeris.download(query, folder / "gillam.parquet", format="parquet")
    print(f"{saved.path}: {saved.records} records, {saved.bytes} bytes")

    table = pyarrow.parquet.read_table(saved.path)
    told = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    print(f"columns: {', '.join(table.column_names)}")
    print(f"asked: {told['aurora_async.query']}")


async def main() -> None:
    """Use the service named on the command line, or one of our own."""
    folder = Path(mkdtemp(prefix="gillam-"))
    if len(sys.argv) > 1:
        await download(sys.argv[1], folder)
        return
    async with LocalService() as service:
        await download(service.base_url, folder)


if __name__ == "__main__":
    asyncio.run(main())
