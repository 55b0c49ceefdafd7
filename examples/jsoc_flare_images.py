"""Short exposures of a flare: found, filtered, and only those that were kept exported and fetched.

The X-class flare of 2021-07-03 at 14:30 UTC, as the Atmospheric Imaging Assembly (AIA) saw it five minutes before and
after. A query's result can be cut down to any rows, and these are what is exported.

Runs offline against a local service of its own, with made-up images; give the address of another as the only argument,
and your registered e-mail address in JSOC_EMAIL.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import mkdtemp

from anyio.from_thread import start_blocking_portal

from aurora_async.server.app import LocalService
from aurora_async.sync import Jsoc

KEYWORDS = ["EXPTIME", "QUALITY", "T_OBS", "T_REC", "WAVELNTH"]
FLARE = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]"


def main(base_url: str, email: str, folder: Path) -> None:
    """Query, filter, compare with the service's own filter, export and download."""
    jsoc = Jsoc(base_url=base_url, email=email)

    info = jsoc.info("aia.lev1_euv_12s")
    for name in KEYWORDS:
        print(f"{name:>10} : {info.keywords[name].note}")

    images = jsoc.query(f"{FLARE}{{image}}", keywords=KEYWORDS)  # of the two files of each record, only the image
    print(f"\n{len(images)} records of {FLARE}")
    short = images.where(lambda row: row["EXPTIME"] < 2)
    print(f"{len(short)} of them were exposed for less than 2 s")
    kept = short.where(lambda row: row["WAVELNTH"] == 211)
    print(f"{len(kept)} of those show 211 Å:\n")
    print("EXPTIME   QUALITY  T_OBS                    T_REC                 WAVELNTH")
    for row in kept:
        observed, slot = row["T_OBS"].text("ISO", 2), row["T_REC"].text("ISO")
        print(f"{row['EXPTIME']:.6f}  {row['QUALITY']:7d}  {observed}  {slot}  {row['WAVELNTH']:8d}")

    # The same, sought by the service. Its answer also tells where the files lie.
    asked = f"{FLARE}[? EXPTIME<2.0 AND WAVELNTH=211 ?]{{image}}"
    again = jsoc.query(asked, keywords=KEYWORDS, segments="image")
    is_same = all(again[name] == kept[name] for name in KEYWORDS)
    print(f"\nthe service itself finds {len(again)} records, {'the same' if is_same else 'others'}")
    print(f"the first file is {again['image'][0]}\n")

    # Only the first five of the rows that were kept: exactly these are exported, as FITS files with all keywords.
    chosen = kept[:5]
    print(f"exporting {chosen.subset()}")
    done = jsoc.download(chosen, folder, method="url", protocol="fits")
    done.raise_for_failures()
    for file in done.files:
        print(f"{file.path}  {file.bytes:,} bytes")


if __name__ == "__main__":
    target = Path(mkdtemp(prefix="flare-"))
    if len(sys.argv) > 1:
        main(sys.argv[1], os.environ["JSOC_EMAIL"], target)
    else:
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(LocalService()) as service:
            main(service.base_url, "demo@example.com", target)
