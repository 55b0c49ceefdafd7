"""The drop-in in the dialect of release 0.2.0: every call of its description, of January 2024."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import imap_seed

import aurora_async.compat.imap_data_access as imap_data_access


@pytest.fixture(autouse=True)
def data_dir(base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings that release had, and the one that asks for it; no key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(imap_data_access.config, "DATA_ACCESS_URL", f"{base_url}/imap")
    monkeypatch.setitem(imap_data_access.config, "DATA_DIR", tmp_path / "data")
    monkeypatch.setitem(imap_data_access.config, "API_KEY", None)
    monkeypatch.setitem(imap_data_access.config, "CLIENT_VERSION", "0.2.0")
    return tmp_path / "data"


def test_queries_answer_as_printed() -> None:
    """Rows with an end date and a plain version, of the archive as it was then."""
    found = imap_data_access.query(instrument="swe", data_level="l0")
    assert [row for row in found if row["descriptor"] == "sci"] == found
    wanted = {row["file_path"]: row for row in imap_seed.ROWS}
    assert {path: row for path, row in ((row["file_path"], row) for row in found) if path in wanted} == wanted
    in_2024 = imap_data_access.query(start_date="20240101", end_date="20241231")
    assert wanted.keys() <= {row["file_path"] for row in in_2024}
    assert imap_data_access.query(version="v00-05") == imap_seed.ROWS[:1]
    assert type(imap_data_access.query(instrument="mag", data_level="l0")) is list


@pytest.mark.parametrize("version", ["0.2.0", "1.3.0"])
def test_files_are_asked_for_by_their_paths(data_dir: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Also where the path breaks every rule, as one of the description does; also in today's dialect."""
    monkeypatch.setitem(imap_data_access.config, "CLIENT_VERSION", version)
    for key in (imap_seed.DOWNLOADED, imap_seed.DOWNLOADED_FROM_PYTHON):
        path = imap_data_access.download(key)
        assert path == data_dir / key
        assert path.stat().st_size


def test_files_go_up_by_their_paths(data_dir: Path) -> None:
    """Those below the data directory, whatever they are called; from wherever the script runs."""
    for number, key in enumerate(imap_seed.UPLOADED):
        path = data_dir / key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\xcd\xf3 made here, %d" % number)
        imap_data_access.upload(key)
        path.unlink()
        assert imap_data_access.download(key).read_bytes() == b"\xcd\xf3 made here, %d" % number
    with pytest.raises(FileNotFoundError):
        imap_data_access.upload("imap/mag/calibration/nothing.txt")
    outside = data_dir.parent / "outside.txt"
    outside.touch()
    with pytest.raises(ValueError, match="is not within the data directory"):
        imap_data_access.upload(outside)


def test_refusals_are_worded_as_then() -> None:
    """Status and body on two lines."""
    with pytest.raises(
        imap_data_access.io.IMAPDataAccessError, match=r"^HTTP Error: 404 - Not Found\nServer Message: "
    ):
        imap_data_access.download("imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-99.pkts")
    with pytest.raises(ValueError, match=r"^At least one query parameter must be provided"):
        imap_data_access.query()
