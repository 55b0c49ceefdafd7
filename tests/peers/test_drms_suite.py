"""drms by `http_proxy`: a script that names no server, and drms' own tests, of the original and of the drop-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pandas as pd
import pytest

pytestmark = pytest.mark.peers

FLARE = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]"

Running = Callable[..., subprocess.CompletedProcess[str]]


# What a script prints that knows nothing of a local service, and whom only the environment leads there.
SCRIPT = """
import json, sys
import drms

client = drms.Client("jsoc", email=sys.argv[1])
request = client.export("hmi.v_45s[2016.04.01_TAI/1d@6h]{Dopplergram}")
print(json.dumps({
    "series": client.series(r"hmi\\.m_720s$"),
    "records": len(client.query(sys.argv[2], key="T_REC")),
    "urls": list(request.urls.url),
    "downloads": [str(path) for path in request.download(".").download],
    "kis": drms.Client("kis").pkeys("hmi.v_45s"),
}))
"""


@pytest.fixture
def by_proxy(base_url: str, tmp_path: Path) -> Running:
    """Runs Python in a folder of its own, with the local service as its proxy."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environ |= {"http_proxy": base_url, "HTTP_PROXY": base_url, "JSOC_EMAIL": "demo@example.com"}
        return subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip

    return run


def test_a_script_that_names_no_server(by_proxy: Running, drms_email: str, tmp_path: Path) -> None:
    """`http_proxy` leads it here: its addresses stay those of Stanford and Freiburg."""
    done = by_proxy("-c", SCRIPT, drms_email, FLARE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["series"], found["records"]) == (["hmi.M_720s"], 357)
    assert {urlsplit(url).netloc for url in found["urls"]} == {"jsoc.stanford.edu"}
    assert all((tmp_path / path).read_bytes()[:9] == b"SIMPLE  =" for path in found["downloads"])
    assert found["kis"] == ["T_REC", "CAMERA"]


# With the drop-in under drms' name. What its tests look at inside drms is left out.
CONFTEST = """
import importlib
import os
import sys

import pytest

import aurora_async.compat.drms as drms

sys.modules["drms"] = drms
for name in ("client", "config", "exceptions", "json", "utils"):
    sys.modules[f"drms.{name}"] = importlib.import_module(f"aurora_async.compat.drms.{name}")


@pytest.fixture
def email():
    return os.environ["JSOC_EMAIL"]


@pytest.fixture
def jsoc_client():
    return drms.Client("jsoc")


@pytest.fixture
def jsoc_client_export(email):
    return drms.Client("jsoc", email=email)


@pytest.fixture
def kis_client():
    return drms.Client("kis")
"""


def failures(run: Running, folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """Run a test suite; return how many tests it has, and which of them did not pass."""
    report = folder / "report.xml"
    done = run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:aurora_async", f"--junitxml={report}", *arguments)
    assert done.returncode in (0, 1), done.stdout
    cases = list(ElementTree.parse(report).iter("testcase"))
    # One that is expected to fail is reported as skipped.
    wrong = {case.attrib["name"] for case in cases for told in case if told.get("type") != "pytest.xfail"}
    return len(cases), wrong


def test_drms_own_tests_pass_here(drms: ModuleType, by_proxy: Running, tmp_path: Path) -> None:
    """All of them, also those that need JSOC and KIS, but for what newer releases of pandas broke."""
    count, failed = failures(by_proxy, tmp_path, "--pyargs", "drms")
    assert count > 150
    broken = {
        "test_corner_case[1600-True]",
        *(f"test_corner_case_series[time_series{n}-expected{n}]" for n in range(4)),
    }
    assert failed == (broken if int(pd.__version__.split(".")[0]) >= 3 else set())


def test_drms_own_tests_pass_with_the_drop_in(drms: ModuleType, by_proxy: Running, tmp_path: Path) -> None:
    """Also those that newer releases of pandas broke."""
    tests = Path(str(drms.__file__)).parent / "tests"
    for name in ("client", "config", "exceptions", "series_info", "to_datetime", "kis_basic"):
        shutil.copy(tests / f"test_{name}.py", tmp_path)
    for path in tests.glob("test_jsoc_*.py"):
        shutil.copy(path, tmp_path)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    count, failed = failures(by_proxy, tmp_path, "--rootdir", ".", ".", "--deselect", "test_series_info.py::test_parse")
    assert count > 120
    assert failed == set()
