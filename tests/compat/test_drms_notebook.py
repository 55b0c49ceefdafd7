"""A published example, cell by cell: one line of it is another, the one that imports drms.

Its code names no server: `http_proxy` leads it to the local service, where the flare's printed records are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FACTS = json.loads((ROOT / "tests" / "facts" / "aiapy_gallery.json").read_text("utf-8"))

REPORT = """
import json
print(json.dumps({
    "count": len(client.query(qstr, key="T_REC")),
    "short": int((client.query(qstr, key="EXPTIME").EXPTIME < 2).sum()),
    "notes": {key: series_info.keywords.loc[key].note for key in keys},
    "results": results.reset_index(names="index").to_dict("records"),
    "same": bool((results.reset_index(drop=True) == records.reset_index(drop=True)).all(axis=None)),
    "files": [str(path) for path in files.download.to_list()],
    "urls": urls,
}))
"""


@pytest.fixture
def report(base_url: str, tmp_path: Path) -> dict[str, Any]:
    """What the example's variables hold in the end."""
    (tmp_path / "sunpy").mkdir()
    cells = [cell.replace("import drms", "import aurora_async.compat.drms as drms") for cell in FACTS["cells"]]
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environ |= {"http_proxy": base_url, "JSOC_EMAIL": "demo@example.com", "HOME": str(tmp_path)}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([*cells, REPORT])],
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_the_gallery_example_runs_as_it_stands(report: dict[str, Any], tmp_path: Path) -> None:
    """From the flare's 357 records to the files of the 20 short exposures at 211 Å, as printed."""
    assert (report["count"], report["short"]) == (357, 101)
    assert report["notes"] == FACTS["notes"]
    assert report["results"] == [row | {"EXPTIME": float(row["EXPTIME"])} for row in FACTS["rows_at_211"]]
    assert report["same"]
    assert len(report["files"]) == len(set(report["files"])) == len(report["urls"]) == 20
    for path in map(Path, report["files"]):
        assert path.parent == tmp_path / "sunpy"
        assert path.read_bytes()[:9] == b"SIMPLE  ="
