"""The official imap-data-access against the local service, unchanged: queries, files both ways, kernels, packets."""

from __future__ import annotations

import base64
import csv
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.peers

KEY = "imap-demo-key"
PRODUCT = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
CHAIN = [
    {"type": "spice", "files": ["naif0012.tls", "imap_sclk_0225.tsc", "imap_2025_358_2026_085_004.ah.bc"]},
    {"type": "spin", "files": ["imap_2026_001_2026_002_01.spin"]},
    {"type": "repoint", "files": ["imap_2026_191_01.repoint"]},
    {"type": "science", "files": ["imap_glows_l0_raw_20260101-repoint00096_v001.0002.pkts"]},
    {"type": "ancillary", "files": ["imap_glows_l2-calibration_20251112_v004.dat"]},
]


@pytest.fixture
def client(imap_data_access: Any, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, told of the service in its own settings."""
    settings = {"DATA_ACCESS_URL": f"{base_url}/imap", "DATA_DIR": tmp_path, "API_KEY": KEY, "ACCESS_TOKEN": None}
    for name, value in settings.items():
        monkeypatch.setitem(imap_data_access.config, name, value)
    return imap_data_access


def fresh(day: str, descriptor: str) -> str:
    return f"imap_swe_l1a_{descriptor}_{day}_v001.0001.cdf"


def test_it_is_the_release_that_we_know(client: Any) -> None:
    """Another may differ, and then these tests say how."""
    assert importlib.metadata.version("imap-data-access").startswith("1.3.")


def test_queries_of_the_science_table(client: Any) -> None:
    """By product, day, pointing, version; the newest of each, and of one version all."""
    rows = client.query(instrument="swe", data_level="l1b", start_date="20240510", end_date="20240510")
    assert {row["file_path"].rsplit("_", 1)[1] for row in rows} >= {"v001.cdf", "v003.cdf", "v012.cdf"}
    assert all({"repointing", "cr", "released", "minor_version"} <= row.keys() for row in rows)
    (row,) = client.query(
        instrument="swe", data_level="l1b", start_date="20240510", end_date="20240510", version="latest"
    )
    assert (row["major_version"], row["minor_version"], row["version"]) == (None, 12, "v012")
    (row,) = client.query(instrument="glows", repointing="repoint00260", descriptor="survival-probability-ul-hf")
    assert row["repointing"] == 260 and row["version"] == "v001.0018"
    assert client.query(descriptor="norm-dsrf", major_version=1, minor_version="8")
    assert client.query(instrument="ultra", start_date="21000101") == []


def test_queries_of_the_ancillary_table(client: Any) -> None:
    """Validity, versions and extensions of their own."""
    rows = client.query(table="ancillary", instrument="codice", descriptor="l1a-sci-lut")
    assert {(row["start_date"], row["end_date"], row["version"]) for row in rows} >= {
        ("20260129", None, "v002"),
        ("20260403", "20260403", "v001"),
        ("20260403", None, "v002"),
    }
    assert {row["extension"] for row in client.query(table="ancillary", instrument="glows", extension="dat")} == {"dat"}


def test_queries_of_kernels(client: Any) -> None:
    """By type and ingestion; the newest."""
    rows = client.spice_query(type="attitude_history")
    (row,) = [row for row in rows if row["file_name"] == "ck/imap_2025_302_2025_303_001.ah.bc"]
    assert row["min_date_j2000"] == pytest.approx(815036897.0909909)
    newest = client.spice_query(type="spacecraft_clock", version="latest")
    assert len({row["file_root"] for row in newest}) == len(newest)
    with pytest.raises(client.io.IMAPDataAccessError, match=r"^400 Bad Request: .*is not a valid query parameter"):
        client.spice_query(type="attitude_history", start_date="20251029")


def test_only_credentials_show_what_is_not_released(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a key, by a token, or the released files alone."""
    everything = client.query(instrument="swe", end_date="20251231")
    monkeypatch.setitem(client.config, "API_KEY", None)
    released = client.query(instrument="swe", end_date="20251231")
    assert 0 < len(released) < len(everything)
    with pytest.raises(client.io.IMAPDataAccessError, match=r"^403 Forbidden: The file .* is not a part of a public"):
        client.download("imap_swe_l0_raw_20240510_v012.pkts")
    monkeypatch.setitem(client.config, "ACCESS_TOKEN", "imap-demo-token")
    assert client.query(instrument="swe", end_date="20251231") == everything


def test_a_file_is_downloaded(client: Any, base_url: str) -> None:
    """Through a redirect to a presigned link elsewhere, with the bytes that its ETag says."""
    path = client.download(Path(PRODUCT).name)
    assert path == client.config["DATA_DIR"] / PRODUCT
    url = f"{base_url}/imap/api-key/download/{PRODUCT}"
    with urlopen(Request(url, headers={"x-api-key": KEY}, method="HEAD")) as answer:
        assert answer.headers["ETag"].strip('"') == md5(path.read_bytes()).hexdigest()
    with pytest.raises(client.io.IMAPDataAccessError, match=r"^404 Not Found: File not found"):
        client.download("imap_swe_l1a_sci_19990101_v001.0001.cdf")


def test_a_file_is_uploaded_once_and_found(client: Any, tmp_path: Path) -> None:
    """A GET for the link, a PUT to it, a row a moment later; a second time it is refused."""
    descriptor = uuid.uuid4().hex[:9]
    path = tmp_path / fresh("20270101", descriptor)
    path.write_bytes(b"made by the official client")
    client.upload(path)
    while not (rows := client.query(instrument="swe", descriptor=descriptor)):
        pass
    assert [(row["version"], row["released"]) for row in rows] == [("v001.0001", False)]
    assert client.download(rows[0]["file_path"]).read_bytes() == b"made by the official client"
    with pytest.raises(client.io.IMAPDataAccessError, match=r"^409 Conflict: .*FileAlreadyExists"):
        client.upload(path)
    with pytest.raises(ValueError, match="Invalid science file"):
        (tmp_path / "imap_swe_l1a_sci_20270101_v001.cdf").touch()
        client.upload(tmp_path / "imap_swe_l1a_sci_20270101_v001.cdf")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(client.io.IMAPDataAccessError, match=r"^400 Bad Request: .*does not match ancillary, science"):
        client.upload(tmp_path / "notes.txt")


def test_a_reading_key_may_not_write(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the gateway sees to."""
    path = tmp_path / fresh("20270102", "any")
    path.touch()
    monkeypatch.setitem(client.config, "API_KEY", "imap-read-key")
    assert client.query(instrument="swe")
    with pytest.raises(client.io.IMAPDataAccessError, match=r"^403 Forbidden"):
        client.upload(path)


def test_files_are_reprocessed(client: Any) -> None:
    """A job is asked for, and its id not told on."""
    assert client.reprocess(start_date="20260412", end_date="20260412", instrument="lo") is None


def test_inputs_of_a_job_are_fetched(client: Any) -> None:
    """All kinds that a document knows."""
    collection = client.ProcessingInputCollection()
    collection.deserialize(json.dumps(CHAIN))
    collection.download_all_files()
    paths = collection.get_file_paths()
    assert len(paths) == 7
    assert all(path.stat().st_size for path in paths)


@pytest.fixture
def packets(client: Any, base_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The part that fetches packets; the one address that cannot be set is patched."""
    import imap_data_access.webpoda as webpoda

    monkeypatch.setattr(webpoda, "WEBPODA_APID_URL", f"{base_url}/imap/poda/dap2/apids")
    monkeypatch.setitem(client.config, "WEBPODA_TOKEN", base64.b64encode(b"demo:demo").decode())
    return webpoda


def test_packets_of_a_day_become_a_file(packets: Any, client: Any) -> None:
    """By the time in which they were received, and by that in which they were made."""
    start, end = datetime(2026, 4, 12), datetime(2026, 4, 12, 23, 59, 59, 999999)
    times = packets.get_packet_times_ert(1330, start, end)
    assert times
    packets.download_daily_data("swe", start, end, query_by_ert=False)
    (path,) = client.config["DATA_DIR"].rglob("imap_swe_l0_raw_20260412_v*.pkts")
    content = path.read_bytes()
    assert {int.from_bytes(content[:2]) & 0x7FF} <= set(packets.INSTRUMENT_APIDS["swe"])


def test_packets_of_a_pointing_become_a_file(packets: Any, client: Any) -> None:
    """With the table of manoeuvres that came last."""
    table = packets.get_repoint_file()
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    done = [row for row in rows if row["repoint_end_utc"].lower() != "nan"]
    first, second = (datetime.strptime(row["repoint_end_utc"], "%Y-%m-%d %H:%M:%S.%f") for row in done[-2:])
    packets.download_repointing_data("glows", first, second, rows, query_by_ert=False)
    names = {path.name for path in client.config["DATA_DIR"].rglob("imap_glows_l0_raw_*.pkts")}
    assert any(f"-repoint{int(done[-2]['repoint_id']):05}_" in name for name in names)


# The command line ----------------------------------------------------------------------------------------------------

Command = Callable[..., subprocess.CompletedProcess[str]]


def _environ(base_url: str, **more: str) -> dict[str, str]:
    """An environment that tells of the service, and of nothing else that the program listens to."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IMAP_")}
    return environ | {"IMAP_DATA_ACCESS_URL": f"{base_url}/imap", "NO_PROXY": "127.0.0.1"} | more


@pytest.fixture
def command(imap_data_access: Any, base_url: str, tmp_path: Path) -> Command:
    """Runs `imap-data-access` as a person does, in a folder of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "import imap_data_access.cli as cli; cli.main()", *arguments],
            cwd=tmp_path, env=_environ(base_url, IMAP_API_KEY=KEY),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_tables_are_printed(command: Command) -> None:
    """Of each kind the columns that it has: the rows have what the program goes by."""
    day = ("--start-date", "20240510", "--end-date", "20240510")
    done = command("query", "--instrument", "swe", "--data-level", "l1b", *day)
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"Found \[\d+\] matching files in science table", lines[0]), done.stderr
    assert lines[2].split(" | ")[:3] == ["| Instrument", "Data Level", "Descriptor"]
    assert "| v012    | imap_swe_l1b_sci_20240510_v012.cdf |" in done.stdout
    assert {len(line) for line in lines[1:]} == {len(lines[1])}
    done = command("query", "--table", "ancillary", "--instrument", "codice")
    assert "matching files in ancillary table" in done.stdout
    assert re.search(r"20260129 +\| None +\| .* v002 +\| imap_codice_l1a-sci-lut_20260129_v002\.json", done.stdout)
    done = command("query", "--table", "spice", "--type", "leapseconds")
    assert "matching files in spice table" in done.stdout
    assert "lsk/naif0012.tls" in done.stdout
    done = command("query", "--instrument", "ultra", "--start-date", "21000101")
    assert (done.returncode, done.stdout) == (0, "Found [0] matching files\n")


def test_json_is_printed(command: Command) -> None:
    """One line of it."""
    done = command("query", "--descriptor", "norm-dsrf", "--start-date", "20260412", "--output-format", "json")
    (line,) = done.stdout.splitlines()
    assert PRODUCT in {row["file_path"] for row in json.loads(line)}


def test_files_go_both_ways_by_command(command: Command, tmp_path: Path) -> None:
    """With the words that scripts look for; errors are a line on stderr, and the exit code 1."""
    done = command("download", PRODUCT)
    path = tmp_path / "data" / PRODUCT
    assert done.stdout == f"Successfully downloaded the file to: {path}\n"
    assert path.stat().st_size
    mine = tmp_path / fresh("20270103", uuid.uuid4().hex[:9])
    mine.write_bytes(b"by command")
    assert command("upload", str(mine)).stdout == "Successfully uploaded the file to the IMAP SDC\n"
    again = command("upload", str(mine))
    assert again.returncode == 1
    assert again.stderr.startswith("IMAPDataAccessError('409 Conflict: ")


def test_a_release_by_command(client: Any, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads the manifest, sleeps its ten seconds, and has it applied: afterwards everybody may have the file."""
    descriptor = uuid.uuid4().hex[:9]
    path = tmp_path / fresh("20270201", descriptor)
    path.write_bytes(b"for everybody")
    client.upload(path)
    number = uuid.uuid4().int % 1000
    manifest = tmp_path / f"imap_swe_data-release-{number:03}_20270201_20270201_v001.txt"
    manifest.write_text(f"instrument, data_type, descriptor, flag\nswe, l1a, {descriptor}, true\n")
    done = command("release", "--release-type", "release", "--manifest-file", str(manifest))
    assert done.stdout == "Successfully submitted release request to the IMAP SDC.\n", done.stderr
    monkeypatch.setitem(client.config, "API_KEY", None)
    assert [row["released"] for row in client.query(instrument="swe", descriptor=descriptor)] == [True]
