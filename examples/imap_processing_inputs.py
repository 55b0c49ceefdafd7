"""Everything that one step of processing needs, fetched at once: science, calibration, kernels, spins and pointings.

The document is what the IMAP Science Data Center gives its own jobs: the inputs of a GLOWS level 2 file. Its files lie
in ten folders of the archive, and come sixteen at a time.

Runs offline against a local service of its own, with made-up bytes; give the address of another as the only argument.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import mkdtemp

from aurora_async import Imap
from aurora_async.imap import ProcessingInputs
from aurora_async.server.app import LocalService

DOCUMENT = """
[{"type": "science", "files": ["imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf"]},
 {"type": "ancillary", "files": ["imap_glows_l2-calibration_20251112_v004.dat"]},
 {"type": "ancillary", "files": ["imap_glows_pipeline-settings_20251112_v002.json"]},
 {"type": "spice", "files": ["naif0012.tls", "pck00011.tpc", "imap_130.tf", "imap_science_120.tf",
                             "imap_sclk_0225.tsc", "de440.bsp", "imap_recon_20250925_20260601_v01.bsp",
                             "imap_2025_358_2026_085_004.ah.bc"]},
 {"type": "spin", "files": ["imap_2025_365_2026_001_01.spin", "imap_2026_001_2026_002_01.spin"]},
 {"type": "repoint", "files": ["imap_2026_191_01.repoint"]}]
"""


async def main(base_url: str, folder: Path) -> None:
    """Read the document, fetch what it lists, and say where each part is."""
    inputs = ProcessingInputs.deserialize(DOCUMENT)
    async with Imap(base_url=base_url, data_dir=folder) as imap:
        done = await imap.download(inputs)
        done.raise_for_failures()
        print(f"{len(done.paths)} files, {done.bytes:,} bytes\n")
        for one in inputs:
            print(f"{one.data_type:9} {one.descriptor}")
            for name in one.names:
                print(f"          {name.path_in(folder).relative_to(folder)}")

        later = inputs.for_day("2026-01-02").keys()
        print(f"\n{len(later)} of the {len(inputs.keys())} are of use for 2026-01-02, the day after")


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
