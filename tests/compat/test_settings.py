"""Settings of `PyAuroraX`: server, key, timeout, folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aurora_async.compat import pyaurorax
from aurora_async.config import AURORAX_URL


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set."""
    monkeypatch.delenv("AURORAX_BASE_URL", raising=False)
    monkeypatch.delenv("AURORAX_API_KEY", raising=False)


def test_the_defaults_are_those_of_the_package_and_of_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """The production server, asked anonymously, unless the environment says otherwise."""
    aurorax = pyaurorax.PyAuroraX()
    assert (aurorax.api_base_url, aurorax.api_key, aurorax.api_timeout) == (AURORAX_URL, None, 10)
    assert aurorax.download_output_root_path == str(Path.home() / "pyaurorax_data")
    assert aurorax.read_tar_temp_path == str(Path.home() / "pyaurorax_data" / "tar_temp_working")
    monkeypatch.setenv("AURORAX_BASE_URL", "http://127.0.0.1:8080/")
    monkeypatch.setenv("AURORAX_API_KEY", "from-the-environment")
    assert pyaurorax.PyAuroraX().api_base_url == "http://127.0.0.1:8080"
    assert pyaurorax.PyAuroraX().api_key == "from-the-environment"
    assert pyaurorax.PyAuroraX(api_base_url="http://127.0.0.1:9").api_base_url == "http://127.0.0.1:9"


def test_a_key_belongs_to_one_object() -> None:
    """One dictionary serves all objects of the original: the key of one is sent by every other."""
    one, other = pyaurorax.PyAuroraX(api_key="mine"), pyaurorax.PyAuroraX()
    assert one.api_headers["x-aurorax-api-key"] == "mine"
    assert "x-aurorax-api-key" not in other.api_headers
    one.api_headers["x-aurorax-api-key"] = "changed"
    assert one.api_key == "mine"
    one.api_key = ""
    assert one.api_key is None


def test_a_key_is_never_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Notebooks are published with their output."""
    aurorax = pyaurorax.PyAuroraX(api_key="very-secret")
    aurorax.pretty_print()
    assert "very-secret" not in repr(aurorax) + capsys.readouterr().out
    assert "***" in repr(aurorax)


def test_the_base_url_keeps_its_case_and_loses_its_slash() -> None:
    """The original lower-cases the path too, which is another path."""
    aurorax = pyaurorax.PyAuroraX()
    aurorax.api_base_url = "https://Example.org/AuroraX/"
    assert aurorax.api_base_url == "https://Example.org/AuroraX"
    url = aurorax.search.ephemeris.get_request_url("123")
    assert url == "https://Example.org/AuroraX/api/v1/ephemeris/requests/123"
    aurorax.api_base_url = None
    assert aurorax.api_base_url == AURORAX_URL


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("api_base_url", "ftp://example.org", "API base_url: .* is not an absolute http"),
        ("api_timeout", -1, "^api_timeout: -1 is not a number above 0"),
        ("api_key", "naïve", "API api_key: holds characters"),
        ("progress_bar_backend", "fancy", "'fancy' is unknown; use auto, standard, notebook"),
    ],
)
def test_a_bad_setting_is_refused_at_once(setting: str, value: Any, message: str) -> None:
    """When the object is made and when it is changed, and a refused change changes nothing."""
    with pytest.raises(pyaurorax.AuroraXInitializationError, match=message):
        pyaurorax.PyAuroraX(**{setting: value})
    aurorax = pyaurorax.PyAuroraX()
    before = repr(aurorax)
    with pytest.raises(pyaurorax.AuroraXInitializationError, match=message):
        setattr(aurorax, setting, value)
    assert repr(aurorax) == before


def test_folders_are_made_and_emptied_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Making the object writes nothing; purging leaves the other folder alone."""
    root = tmp_path / "data"
    aurorax = pyaurorax.PyAuroraX(download_output_root_path=root)
    assert not root.exists()
    aurorax.purge_download_output_root_path()
    assert aurorax.show_data_usage(return_dict=True) == {}
    aurorax.initialize_paths()
    for name, size in (("REGO_RAW", 10), ("TREX_RGB", 2000)):
        (root / name / "2020").mkdir(parents=True)
        (root / name / "2020" / "file.pgm").write_bytes(bytes(size))
    (root / "tar_temp_working" / "left.pgm").write_bytes(bytes(5))

    usage = aurorax.show_data_usage(return_dict=True)
    assert {name: facts["size_bytes"] for name, facts in usage.items()} == {"REGO_RAW": 10, "TREX_RGB": 2000}
    aurorax.show_data_usage()
    assert capsys.readouterr().out.splitlines() == [
        "Dataset name   Size    ",
        "=======================",
        "TREX_RGB       2.0 kB  ",
        "REGO_RAW       10 Bytes",
        "",
        "Total size: 2.0 kB",
    ]

    aurorax.purge_download_output_root_path("rego_raw")
    assert sorted(path.name for path in root.iterdir()) == ["TREX_RGB", "tar_temp_working"]
    aurorax.purge_download_output_root_path()
    assert [path.name for path in root.iterdir()] == ["tar_temp_working"]
    assert (root / "tar_temp_working" / "left.pgm").exists()
    aurorax.purge_read_tar_temp_path()
    assert list((root / "tar_temp_working").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the original's error."""
    (tmp_path / "file").touch()
    aurorax = pyaurorax.PyAuroraX(download_output_root_path=tmp_path / "file")
    with pytest.raises(pyaurorax.AuroraXInitializationError, match="Error during output path creation"):
        aurorax.initialize_paths()


def test_the_other_half_says_so() -> None:
    """By object and by module alike; what is nowhere is missed in the usual words."""
    for place in (pyaurorax, pyaurorax.PyAuroraX()):
        for name in ("data", "models", "tools"):
            with pytest.raises(AttributeError, match="reads and plots image files: use pyaurorax for it"):
                getattr(place, name)
    with pytest.raises(AttributeError, match="no attribute 'nowhere'"):
        _ = pyaurorax.nowhere
