"""Every example runs, as a reader would run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
GALLERY = json.loads((Path(__file__).parent / "facts" / "aiapy_gallery.json").read_text("utf-8"))
SAID = {
    # What the gallery of aiapy publishes for the same query.
    "jsoc_flare_images": [
        *(f"{name:>10} : {note}\n" for name, note in GALLERY["notes"].items()),
        "357 records of aia.lev1_euv_12s[",
        "101 of them were exposed for less than 2 s",
        "20 of those show 211",
        *("{EXPTIME}  {QUALITY:7d}  {T_OBS}  {T_REC}  {WAVELNTH:8d}\n".format(**row) for row in GALLERY["rows_at_211"]),
        "finds 20 records, the same",
    ],
    "imap_mirror": ["57 files came", "the second time 2 came, 55 were there", "missing are\n  2025-09-29\n"],
    "imap_processing_inputs": ["14 files, ", "imap/spice/lsk/naif0012.tls\n"],
    "jsoc_six_wavelengths": [f"{length:3d} Å: 11 images" for length in (94, 131, 171, 193, 211, 335)],
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_offline(example: Path) -> None:
    """An example that does not run teaches the wrong thing."""
    command = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert [text for text in SAID.get(example.stem, ()) if text not in done.stdout] == []
