"""Six wavelengths of a flare at once: six searches, six exports and their files, side by side.

Alternatives of a search (`|`) are queries of their own. The service prepares their exports at the same time, and the
files of each are fetched as soon as it is ready.

Runs offline against a local service of its own, with made-up images; give the address of another as the only argument,
and your registered e-mail address in JSOC_EMAIL.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import mkdtemp

from aurora_async import Jsoc
from aurora_async.jsoc import attrs as a
from aurora_async.server.app import LocalService

WAVELENGTHS = (94, 131, 171, 193, 211, 335)


async def main(base_url: str, email: str, folder: Path) -> None:
    """Fetch an image a minute of each wavelength, from five minutes before the flare's peak to five minutes after."""
    query = (
        a.Series("aia.lev1_euv_12s")
        & a.Time("2021-07-03T14:25", "2021-07-03T14:35")
        & a.Sample(60)  # seconds, a timedelta, or astropy's 1 * u.min
        & (a.Keyword("QUALITY") == 0)
        & reduce(or_, [a.Wavelength(length) for length in WAVELENGTHS])  # Angstrom, or 17.1 * u.nm
        & a.Segment("image")
        & a.Protocol("fits")
    )
    async with Jsoc(base_url=base_url, email=email) as jsoc:
        found = await jsoc.search(query, keywords="EXPTIME")
        for wavelength, images in zip(WAVELENGTHS, found, strict=True):
            shortest, longest = min(images["EXPTIME"]), max(images["EXPTIME"])
            print(f"{wavelength:3d} Å: {len(images)} images, exposed for {shortest:.2f} s to {longest:.2f} s")
        exports = found.export_queries(method="url")
        folders = [f"{wavelength}" for wavelength in WAVELENGTHS]
        async for outcome in jsoc.run(exports, folder=folder, name=lambda index, query: folders[index]):
            if outcome.error is not None:
                print(f"{folders[outcome.index]} Å: {outcome.error}")
                continue
            files = outcome.files or ()
            print(f"{outcome.request_id}: {len(files)} files in {files[0].path.parent}, after {outcome.seconds:.1f} s")


async def start() -> None:
    """Use the service named on the command line, or one of our own."""
    folder = Path(mkdtemp(prefix="wavelengths-"))
    if len(sys.argv) > 1:
        await main(sys.argv[1], os.environ["JSOC_EMAIL"], folder)
        return
    async with LocalService() as service:
        await main(service.base_url, "demo@example.com", folder)


if __name__ == "__main__":
    asyncio.run(start())
