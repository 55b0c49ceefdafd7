"""A product kept in a folder: fetched once, brought up to date, and searched for days that are missing.

The folder has the tree of the IMAP Science Data Center. What a program without size checks has left half done is
noticed and mended, and only what is new or not there is fetched.

Runs offline against a local service of its own, which has the names of real files, and made-up bytes; give the address
of another as the only argument.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import mkdtemp

from aurora_async import Imap
from aurora_async.imap import FileQuery
from aurora_async.server.app import LocalService

PRODUCT = FileQuery(
    instrument="mag", data_level="l1d", descriptor="burst-dsrf", start_date="2025-09", end_date="2025-11"
)


async def main(base_url: str, folder: Path) -> None:
    """Mirror twice, with an accident between, and list the gaps."""
    async with Imap(base_url=base_url, data_dir=folder) as imap:
        first = await imap.mirror(PRODUCT)
        print(f"{len(first.new)} files came, the first is {first.new[0].key}")

        lost, cut = (folder / file.key for file in first.new[:2])
        lost.unlink()
        cut.write_bytes(cut.read_bytes()[:100])
        second = await imap.mirror(PRODUCT)
        print(f"the second time {len(second.new)} came, {second.present} were there")

        found = await imap.query(PRODUCT)
        print(f"\nthere are {len(found)} days, from {found[0].start_date} to {found[-1].start_date}; missing are")
        for gap in found.gaps(start=found[0].start_date, end=found[-1].start_date):
            print(f"  {gap.first} to {gap.last}" if gap.first != gap.last else f"  {gap.first}")


async def start() -> None:
    """Use the service named on the command line, or one of our own."""
    folder = Path(mkdtemp(prefix="imap-"))
    if len(sys.argv) > 1:
        await main(sys.argv[1], folder)
        return
    async with LocalService() as service:
        await main(f"{service.base_url}/imap", folder)


if __name__ == "__main__":
    asyncio.run(start())
