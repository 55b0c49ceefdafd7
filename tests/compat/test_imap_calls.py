"""imap_data_access over ours: what its users call, against the local service; the original is asked in tests/peers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.imap_calls import ANSWERED, REFUSED, error_of
from support.processes import ENVIRON

import aurora_async.compat.imap_data_access as imap
from aurora_async.compat.imap_data_access import io, webpoda
from aurora_async.errors import Conflict, NotFound
from aurora_async.testing import FaultScript, LocalServer

KEY = "imap-demo-key"
PRODUCT = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
CHAIN = [
    *({"type": "spice", "files": ["naif0012.tls", "imap_sclk_0225.tsc", "imap_2025_358_2026_085_004.ah.bc"]},),
    *({"type": "spin", "files": ["imap_2026_001_2026_002_01.spin"]},),
    *({"type": "repoint", "files": ["imap_2026_191_01.repoint"]},),
    *({"type": "science", "files": ["imap_glows_l0_raw_20260101-repoint00096_v001.0002.pkts"]},),
    *({"type": "ancillary", "files": ["imap_glows_l2-calibration_20251112_v004.dat"]},),
]


@pytest.fixture(autouse=True)
def data_dir(base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings as a script makes them, and as they were afterwards."""
    monkeypatch.chdir(tmp_path)
    settings = {
        "DATA_ACCESS_URL": f"{base_url}/imap",
        "DATA_DIR": tmp_path / "data",
        "API_KEY": KEY,
        "ACCESS_TOKEN": None,
        "WEBPODA_TOKEN": base64.b64encode(b"demo:demo").decode(),
        "CLIENT_VERSION": "1.3.0",
    }
    for name, value in settings.items():
        monkeypatch.setitem(imap.config, name, value)
    yield tmp_path / "data"


def fresh(day: str = "20270101", descriptor: str | None = None) -> str:
    """A name that nobody has used."""
    return f"imap_swe_l1a_{descriptor or uuid.uuid4().hex[:9]}_{day}_v001.0001.cdf"


@pytest.mark.parametrize(("function", "arguments"), ANSWERED)
def test_answers_are_the_services_own_rows(function: str, arguments: dict[str, Any]) -> None:
    """Lists of dictionaries, ordered by path; all of them found something but one."""
    rows = getattr(imap, function)(**arguments)
    assert bool(rows) is (arguments.get("start_date") != "21000101")
    assert all(type(row) is dict for row in rows)
    for name in arguments.keys() & {"instrument", "data_level", "descriptor", "extension"}:
        assert {row[name] for row in rows} <= {arguments[name]}
    if function == "query":
        assert [row["file_path"] for row in rows] == sorted(row["file_path"] for row in rows)
    if arguments.get("version") == "latest" and arguments.get("table") != "ancillary" and function == "query":
        assert len({(row["descriptor"], row["start_date"], row["repointing"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(("function", "arguments", "said"), REFUSED)
def test_what_cannot_be_right_is_refused(function: str, arguments: dict[str, Any], said: str) -> None:
    """With a ValueError before anything is sent, or in the service's words; choices are in a fixed order."""
    assert error_of(imap, function, arguments).startswith(said)


def test_what_the_service_would_refuse_is_not_sent() -> None:
    """Which columns a table lacks, and which kernels there are, is known beforehand."""
    with pytest.raises(ValueError, match="ancillary table has no such column"):
        imap.query(table="ancillary", data_level="l1a")
    with pytest.raises(ValueError, match="'nonsense' is not one of kernels, attitude_history"):
        imap.spice_query(type="nonsense")
    with pytest.raises(ValueError, match="is before start_date"):
        imap.query(start_date="20260102", end_date="20260101")


@pytest.mark.parametrize("text", ["202111", "2021-11", "20211101T12", "2021-11-01 12:00", "2021-W44-1", "20211131"])
def test_a_date_is_a_whole_day(text: str) -> None:
    """Part of one would find far more than was meant, and to the original six digits are a day of January."""
    for name in ("start_date", "end_date", "ingestion_start_date", "ingestion_end_date"):
        said = f"^Not a valid {name.replace('_', ' ')}, use format 'YYYYMMDD'\\.$"
        with pytest.raises(ValueError, match=said):
            imap.query(**{"instrument": "swe", name: text})
        with pytest.raises(ValueError, match=said):
            imap.spice_query(**{"type": "leapseconds", name: text})
    with pytest.raises(ValueError, match="Not a valid start date"):
        imap.reprocess(start_date=text, end_date="20211130")
    assert imap.query(instrument="swe", start_date="2024-05-10", end_date="20240510")


def test_choices_are_in_a_fixed_order() -> None:
    """So that a message is the same tomorrow."""
    with pytest.raises(ValueError, match="choose from codice, glows, hi, hit, ialirt, idex, l1const, lo, mag, space"):
        imap.query(instrument="x")
    with pytest.raises(ValueError, match=r"'ancillary', choose from {'cdf', 'csv', 'dat', 'json', 'pgm', 'tsv', "):
        imap.query(table="ancillary", instrument="mag", extension="x")
    with pytest.raises(ValueError, match=r"choose from science, ancillary, spice$"):
        imap.query(table="x", instrument="mag")


def test_full_versions_are_understood() -> None:
    """They are documented, and the original refuses them."""
    rows = imap.query(descriptor="norm-dsrf", version="v001.0008")
    assert rows and {row["version"] for row in rows} == {"v001.0008"}
    assert imap.query(instrument="glows", repointing=260, version="v001.0018")
    with pytest.raises(ValueError, match="version"):
        imap.query(instrument="glows", repointing=260, version="newest")


def test_no_ancillary_file_is_lost_among_the_latest() -> None:
    """One that is for a window is none of the open one that starts on the same day."""
    rows = imap.query(table="ancillary", descriptor="l1a-sci-lut", start_date="20260403", version="latest")
    assert {(row["end_date"], row["version"]) for row in rows} == {("20260403", "v001"), (None, "v002")}


def test_kernels_are_found_by_day_and_version() -> None:
    """Which the original sends in words that the service refuses."""
    rows = imap.spice_query(type="attitude_history", start_date="20251030", end_date="20251030")
    assert "ck/imap_2025_302_2025_303_001.ah.bc" in {row["file_name"] for row in rows}
    assert "ck/imap_2025_274_2025_276_001.ah.bc" not in {row["file_name"] for row in rows}
    assert {row["kernel_type"] for row in imap.spice_query(start_date="20251030", end_date="20251030")} > {
        "leapseconds"
    }
    (row,) = imap.spice_query(type="spacecraft_clock", version="v032")
    assert row["file_name"] == "sclk/imap_sclk_0032.tsc"
    with pytest.raises(ValueError, match="spice_query"):
        imap.query(table="spice", start_date="20251030")


def test_without_a_key_there_is_what_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings count from the next call on, whoever changed them."""
    everything = imap.query(instrument="swe", end_date="20251231")
    monkeypatch.setitem(imap.config, "API_KEY", None)
    released = imap.query(instrument="swe", end_date="20251231")
    assert 0 < len(released) < len(everything)
    assert {row["released"] for row in released} == {True}
    monkeypatch.setitem(imap.config, "ACCESS_TOKEN", "imap-demo-token")
    assert imap.query(instrument="swe", end_date="20251231") == everything
    monkeypatch.setitem(imap.config, "API_KEY", "wrong")
    with pytest.raises(io.IMAPDataAccessError, match=r'^403 Forbidden: {"message": ?"Forbidden"}$'):
        imap.query(instrument="swe")


def test_a_file_comes_into_its_folder(data_dir: Path) -> None:
    """By its name, whatever is in front of it; what is there is taken as it is, but what a cut transfer left is not."""
    path = imap.download(Path("/somewhere/else") / Path(PRODUCT).name)
    assert path == data_dir / PRODUCT
    whole = path.read_bytes()
    assert len(whole) > 100
    mine = b"made here" + whole
    path.write_bytes(mine)
    assert imap.download(PRODUCT).read_bytes() == mine
    assert imap.download(PRODUCT, exists="check").read_bytes() == whole
    for stub in (b"", whole[:-1]):
        path.write_bytes(stub)
        assert imap.download(path).read_bytes() == whole
    own = path.with_name(path.name.replace("v001.", "v999."))
    own.write_bytes(b"not delivered yet")
    assert imap.download(own).read_bytes() == b"not delivered yet"
    own.unlink()
    assert [found for found in path.parent.iterdir() if not found.name.startswith(".")] == [path]


def test_what_is_not_there_is_said_in_the_services_words() -> None:
    """With our error, and all that it knows, behind it."""
    with pytest.raises(io.IMAPDataAccessError, match=r"^404 Not Found: File not found, make sure") as caught:
        imap.download("imap_swe_l1a_sci_19990101_v001.0001.cdf")
    assert isinstance(caught.value.__cause__, NotFound)


def test_a_file_goes_up_once(tmp_path: Path) -> None:
    """And can be had back; a second of its name is refused, and names that no file has are refused by the service."""
    path = tmp_path / fresh()
    path.write_bytes(b"\xcd\xf3 made here")
    assert imap.upload(path) is None  # type: ignore[func-returns-value]
    with pytest.raises(io.IMAPDataAccessError, match=r"^409 Conflict: .*FileAlreadyExists") as caught:
        imap.upload(str(path))
    assert isinstance(caught.value.__cause__, Conflict)
    assert imap.download(path.name).read_bytes() == b"\xcd\xf3 made here"
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(io.IMAPDataAccessError, match=r"notes\.txt"):
        imap.upload(tmp_path / "notes.txt")
    (tmp_path / "imap_swe_l1a_sci_20270101_v001.cdf").write_text("x")
    with pytest.raises(ValueError, match=r"^Invalid science file imap_swe_l1a_sci_20270101_v001\.cdf\.$"):
        imap.upload(tmp_path / "imap_swe_l1a_sci_20270101_v001.cdf")


def test_failures_are_outlasted(
    aurora_server: LocalServer, aurora_faults: FaultScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the original gives up, or leaves half a file under its name; and the key goes to the service alone."""
    monkeypatch.setitem(imap.config, "DATA_ACCESS_URL", aurora_server.imap_url)
    monkeypatch.setitem(imap.config, "API_KEY", aurora_server.imap_key)
    busy = aurora_faults.status(503, "*/query", times=2)
    cut = aurora_faults.cut("/imap/mag/*", at=0.5, times=1)
    assert imap.query(descriptor="norm-dsrf")
    assert busy.hits == 2
    whole = imap.download(PRODUCT).read_bytes()
    assert cut.hits == 1
    asked = aurora_faults.requests("/imap/mag/*")
    assert [answer.status for answer in asked] == [200, 206]
    assert not any("x-api-key" in {name.lower() for name in answer.headers} for answer in asked)
    assert imap.download(PRODUCT, exists="replace").read_bytes() == whole


def test_reprocessing_and_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is public once a manifest says so, without ten seconds of sleep."""
    descriptor = uuid.uuid4().hex[:9]
    path = tmp_path / fresh("20270301", descriptor)
    path.write_bytes(b"\xcd\xf3 to be released")
    imap.upload(path)
    imap.reprocess(start_date="20270301", end_date="20270301", instrument="swe", data_level="l1a", descriptor="none")
    monkeypatch.setitem(imap.config, "API_KEY", None)
    with pytest.raises(io.IMAPDataAccessError, match=r"^403 Forbidden: The file .* is not a part of a public release"):
        imap.download(path.name)
    manifest = tmp_path / f"imap_swe_data-release-{uuid.uuid4().int % 1000:03}_20270301_20270301_v001.txt"
    manifest.write_text(f"instrument, data_type, descriptor, flag\nswe, l1a, {descriptor}, true\n")
    with pytest.raises(ValueError, match=r"^API key is required for release operations\."):
        imap.release(release_type="release", manifest_file=manifest)
    monkeypatch.setitem(imap.config, "API_KEY", KEY)
    while not imap.query(instrument="swe", descriptor=descriptor):  # listed a moment after it came
        pass
    imap.release(release_type="release", manifest_file=manifest)
    monkeypatch.setitem(imap.config, "API_KEY", None)
    assert imap.download(path.name).read_bytes() == b"\xcd\xf3 to be released"


def test_inputs_come_all_at_once(data_dir: Path) -> None:
    """Read from a document, fetched, and where the job looks for them."""
    collection = imap.ProcessingInputCollection()
    collection.deserialize(json.dumps(CHAIN))
    collection.download_all_files()
    paths = collection.get_file_paths()
    assert len(paths) == 7
    assert all(path.is_relative_to(data_dir) and path.stat().st_size for path in paths)
    collection.download_all_files()
    assert json.loads(collection.serialize()) == CHAIN


def test_packets_of_a_day_become_a_file(data_dir: Path) -> None:
    """Compared with what the archive has: a new version, or none."""
    start, end = datetime(2026, 4, 12), datetime(2026, 4, 12, 23, 59, 59, 999999)
    times = webpoda.get_packet_times_ert(1330, start, end)
    assert times and all(type(time) is datetime and time.tzinfo is None for time in times)
    assert webpoda.get_packet_binary_data_sctime(1330, times[0], end)
    webpoda.download_daily_data("swe", start, end, query_by_ert=False)
    (path,) = data_dir.rglob("*.pkts")
    assert path.name.startswith("imap_swe_l0_raw_20260412_v001.")
    with pytest.raises(ValueError, match="l1const"):
        webpoda.download_daily_data("l1const", start, end)
    assert webpoda.get_repoint_file().suffixes[-1] in (".csv", ".repoint")


def test_packets_want_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is said before anything is asked."""
    monkeypatch.setitem(imap.config, "WEBPODA_TOKEN", None)
    with pytest.raises(ValueError, match="IMAP_WEBPODA_TOKEN"):
        webpoda.get_packet_times_ert(1330, datetime(2026, 4, 12), datetime(2026, 4, 13))


def test_one_client_serves_all_threads() -> None:
    """Of one configuration; calls from many threads share its connections."""
    from aurora_async.compat.imap_data_access._settings import imap as client

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: len(imap.query(descriptor="norm-dsrf")), range(24)))
    assert len(set(found)) == 1
    assert client() is client()
    assert sum(thread.name == "aurora_async.sync" for thread in threading.enumerate()) == 1


async def test_calls_work_inside_a_running_loop() -> None:
    """As in a notebook, whose loop they do not need."""
    assert imap.query(descriptor="norm-dsrf")
    assert await asyncio.to_thread(imap.query, descriptor="norm-dsrf")


SCRIPT = """
import imap_data_access
print(imap_data_access.config)
print(len(imap_data_access.query(instrument="swe", data_level="l1b")))
print(imap_data_access.download("imap_swe_l1b_sci_20240510_v012.cdf"))
"""


def test_a_script_is_told_by_the_environment(base_url: str, tmp_path: Path) -> None:
    """As the original is, when it is imported; nothing is left running at its end."""
    environ = {name: value for name, value in ENVIRON.items() if not name.startswith("IMAP_")}
    environ |= {"IMAP_DATA_ACCESS_URL": f"{base_url}/imap/", "IMAP_API_KEY": KEY, "IMAP_DATA_DIR": ""}
    script = SCRIPT.replace(
        "import imap_data_access", "import aurora_async.compat.imap_data_access as imap_data_access"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    _, count, path = done.stdout.splitlines()
    assert int(count) >= 4
    assert path == os.fspath(tmp_path / "data/imap/swe/l1b/2024/05/imap_swe_l1b_sci_20240510_v012.cdf")
