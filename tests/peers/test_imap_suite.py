"""The tests of imap-data-access itself, run with the drop-in under its name; they come with its source distribution.

Those of names and inputs, that is: the others look at the calls of a library for HTTP which we do not use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.peers

CONFTEST = """
import importlib
import sys

import aurora_async.compat.imap_data_access as drop_in

sys.modules["imap_data_access"] = drop_in
for name in ("file_validation", "io", "processing_input", "utils", "webpoda"):
    sys.modules[f"imap_data_access.{name}"] = importlib.import_module(f"aurora_async.compat.imap_data_access.{name}")
"""

# It fetches files that only a stand-in for the server has, which does not come with the tests.
ELSEWHERE = "test_processing_input.py::test_download_all_files"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The folder of the tests of the release that is installed."""
    wanted = ["--no-deps", "--no-binary", "imap-data-access", f"imap-data-access=={version('imap-data-access')}"]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(tmp_path), *wanted], check=True, timeout=240
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.glob("*/tests")
    return folder


def test_its_own_tests_pass_with_the_drop_in(suite: Path, tmp_path: Path) -> None:
    """All of names, versions, folders, inputs and documents."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("test_file_validation.py", "test_processing_input.py"):
        shutil.copy(suite / name, run)
    (run / "conftest.py").write_text(CONFTEST)
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:aurora_async"),
            *("--rootdir", ".", f"--junitxml={report}", "--deselect", ELSEWHERE, "."),
        ],
        cwd=run, env={name: value for name, value in os.environ.items() if not name.startswith("IMAP_")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert len(list(ElementTree.parse(report).iter("testcase"))) > 40
