"""Release 0.2.0 of imap-data-access against the local service: every example of its description, unchanged.

It is fetched from the package index into a folder of its own, beside the release that is installed.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import imap_seed

pytestmark = pytest.mark.peers

Running = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the release was installed into; nothing but Python is needed by it."""
    folder = tmp_path_factory.mktemp("imap-data-access-0.2.0")
    wanted = ["--no-deps", "--target", str(folder), "imap-data-access==0.2.0"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=True, timeout=120)
    return folder


@pytest.fixture
def run(release: Path, base_url: str, tmp_path: Path) -> Running:
    """Runs Python with that release in a folder of its own."""

    def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("IMAP_")}
        environ |= {"PYTHONPATH": str(release), "IMAP_DATA_ACCESS_URL": f"{base_url}/imap", "NO_PROXY": "127.0.0.1"}
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environ,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run_python


def test_the_command_line(run: Running, tmp_path: Path) -> None:
    """Tables, what it calls JSON, and files in both directions, as printed in the description."""
    program = ("-m", "imap_data_access.cli")
    assert run(*program, "--version").stdout == "imap-data-access 0.2.0\n"
    table = run(*program, "query", "--instrument", "swe", "--data-level", "l0").stdout
    assert set(imap_seed.FOUND.splitlines()[1:]) <= set(table.splitlines())
    done = run(*program, "query", "--start-date", "20240101", "--end-date", "20241231", "--output-format", "json")
    rows = ast.literal_eval(done.stdout)
    assert all(row in rows for row in imap_seed.ROWS)
    assert all(row["end_date"] and row["version"] for row in rows)
    done = run(*program, "download", imap_seed.DOWNLOADED)
    assert done.stdout == f"Successfully downloaded the file to: {tmp_path / 'data' / imap_seed.DOWNLOADED}\n"
    mine = tmp_path / "data" / "imap/swe/l1a/2024/01/imap_swe_l1a_peer_20240105_20240105_v00-00.cdf"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"by command")
    assert run(*program, "upload", str(mine)).stdout == "Successfully uploaded the file to the IMAP SDC\n"
    again = run(*program, "upload", str(mine))
    assert again.stdout.startswith("HTTP Error: 409 - Conflict\nServer Message: ")


SCRIPT = f"""
import imap_data_access

results = imap_data_access.query(instrument="swe", data_level="l0")
assert type(imap_data_access.query(instrument="mag", data_level="l0")) is list
imap_data_access.download({imap_seed.DOWNLOADED_FROM_PYTHON!r})
path = imap_data_access.config["DATA_DIR"] / "imap/mag/calibration/test_peer.txt"
path.parent.mkdir(parents=True)
path.write_text("calibrated")
imap_data_access.upload(path)
path.unlink()
print(imap_data_access.download("imap/mag/calibration/test_peer.txt").read_text())
print(sorted(row["file_path"] for row in results))
"""


def test_a_script(run: Running, tmp_path: Path) -> None:
    """As the description imports it; whatever it puts in the archive it can have back."""
    done = run("-c", SCRIPT)
    assert done.returncode == 0, done.stderr
    text, paths = done.stdout.splitlines()
    assert text == "calibrated"
    assert {row["file_path"] for row in imap_seed.ROWS} <= set(ast.literal_eval(paths))
    assert (tmp_path / "data" / imap_seed.DOWNLOADED_FROM_PYTHON).stat().st_size
