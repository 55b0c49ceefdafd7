"""imap_data_access over ours, what asks no server: names of files, inputs of jobs, settings, errors."""

from __future__ import annotations

import copy
import json
import pickle
import runpy
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import aurora_async.compat.imap_data_access as imap
from aurora_async.compat.imap_data_access import _settings, file_validation, io, processing_input
from aurora_async.compat.imap_data_access.file_validation import Version, generate_imap_file_path
from aurora_async.compat.imap_data_access.processing_input import ProcessingInput, generate_imap_input

FACTS = Path(__file__).parents[1] / "facts"
VECTORS = json.loads((FACTS / "imap_filename_vectors.json").read_text("utf-8"))
INPUTS = json.loads((FACTS / "imap_dependency_examples.json").read_text("utf-8"))
SCIENCE = "imap_mag_l1a_norm-magi_20250101_v000.0001.cdf"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept."""
    monkeypatch.setitem(imap.config, "DATA_DIR", tmp_path)
    return tmp_path


def parts_of(path: Any) -> dict[str, Any]:
    """What was read of a name, in the form of the vectors."""
    if isinstance(path, imap.SPICEFilePath):
        return {
            name: f"{value:%Y-%m-%d}".zfill(10) if isinstance(value, datetime) else value
            for name, value in path.spice_metadata.items()
        }
    return path.extract_filename_components(path.filename)


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["name"])
def test_names_mean_what_they_meant(vector: dict[str, Any], data_dir: Path) -> None:
    """Class, parts and path, from the vectors of the original."""
    path = generate_imap_file_path(vector["name"])
    assert type(path) is getattr(imap, vector["class"])
    assert parts_of(path) == vector["parts"]
    assert path.construct_path() == data_dir / vector["path"]
    assert path.filename == Path(vector["name"])


@pytest.mark.parametrize("name", VECTORS["invalid"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """By each class in its own words, and by the choice among them in the original's."""
    with pytest.raises(ValueError, match=r"^Invalid file type for .*\. It does not matchany file formats\.$"):
        generate_imap_file_path(name)
    for kind in (imap.ScienceFilePath, imap.AncillaryFilePath, imap.SPICEFilePath, imap.ReleaseFilePath):
        with pytest.raises(imap.ImapFilePath.InvalidImapFileError):
            kind(name)


def test_names_end_where_they_end() -> None:
    """The original takes a copy that an editor left behind for a kernel."""
    for name in ("naif0012.tls.bak", "imap_2025_032_2025_034_003.ah.bcXYZ"):
        with pytest.raises(imap.ImapFilePath.InvalidImapFileError, match=name):
            imap.SPICEFilePath(name)
    assert not imap.ImapFilePath.is_valid_date("202111")
    assert imap.ImapFilePath.is_valid_date("20240229")
    assert not imap.ImapFilePath.is_valid_date("20250229")


def test_no_path_leaves_the_folder(data_dir: Path) -> None:
    """Folders in front of a name count for nothing."""
    for name in (f"a/b/{SCIENCE}", f"/etc/{SCIENCE}", Path("..", SCIENCE)):
        assert imap.ScienceFilePath(name).construct_path() == data_dir / "imap/mag/l1a/2025/01" / SCIENCE
    assert imap.SPICEFilePath("/etc/naif0012.tls").construct_path() == data_dir / "imap/spice/lsk/naif0012.tls"


def test_names_are_made_of_their_parts() -> None:
    """As the original's `generate_from_inputs`; a repointing that is none is refused, and not left out."""
    make = imap.ScienceFilePath.generate_from_inputs
    assert str(make("mag", "l1a", "burst", "20210101", 1, 1).filename) == "imap_mag_l1a_burst_20210101_v001.0001.cdf"
    assert make("glows", "l0", "raw", "20260101", 1, 2, repointing=96).filename.suffix == ".pkts"
    assert make("glows", "l2", "x", "20260101", 1, 2, repointing="repoint00096").repointing == 96
    assert make("hi", "l2", "x", "20260101", None, 2, cr=7).filename.name == "imap_hi_l2_x_20260101-cr00007_v002.cdf"
    for wrong in ({"repointing": "96"}, {"repointing": 1, "cr": 1}, {"extension": "png"}):
        with pytest.raises(imap.ImapFilePath.InvalidImapFileError):
            make("hi", "l2", "x", "20260101", 1, 2, **wrong)
    with pytest.raises(ValueError, match=r"^Version 1000 must be between 0 and 999$"):
        make("hi", "l2", "x", "20260101", 1000, 2)
    ancillary = imap.AncillaryFilePath.generate_from_inputs
    assert ancillary("mag", "cal", "v001", "cdf", "20250103", "20250104").end_date == "20250104"
    assert ancillary("glows", "map", "v001", "json", "20260101", repointing=96).repointing == 96
    with pytest.raises(imap.ImapFilePath.InvalidImapFileError, match="Only one of end_time or repointing"):
        ancillary("mag", "cal", "v001", "cdf", "20250103", "20250104", 1)
    assert imap.QuicklookFilePath.generate_from_inputs("mag", "l2", "x", "20260101", 1, 2, "png").extension == "png"


def test_versions() -> None:
    """Read, written, ordered: those without a major number come first."""
    for text, major, minor in VECTORS["versions"]["valid"]:
        assert Version.from_version(text) == Version(major, minor)
        assert str(Version(major, minor)) == text
    for text in VECTORS["versions"]["invalid"]:
        assert Version.from_version(text, raise_error=False) is None
        with pytest.raises(ValueError, match=r"^Version .* is not a valid version string\.$"):
            Version.from_version(text)
    order = [Version.from_version(text) for text in VECTORS["versions"]["order"]]
    assert sorted(set(order)) == order
    assert len({Version(1, 2), Version("v001", "0002")}) == 1
    assert Version.is_valid_science_version("v001.0001") and Version.is_valid_version_minor_only("v001")


def test_what_a_file_is_valid_for() -> None:
    """Also kernels, which the original takes for valid on every day."""
    day = datetime(2025, 1, 1, 12)
    assert imap.ScienceFilePath(SCIENCE).is_valid_for_start_date(day)
    assert not imap.ScienceFilePath(SCIENCE).is_valid_for_start_date(datetime(2025, 1, 2))
    assert imap.AncillaryFilePath("imap_hit_l1b-cal_20240102_20250101_v000.cdf").is_valid_for_start_date(day)
    assert imap.SPICEFilePath("naif0012.tls").is_valid_for_start_date(day)
    assert not imap.SPICEFilePath("imap_2025_032_2025_034_003.ah.bc").is_valid_for_start_date(day)


def test_the_old_property_says_that_it_is_old(data_dir: Path) -> None:
    """As in the original."""
    with pytest.warns(DeprecationWarning, match="data_dir is deprecated"):
        assert imap.ScienceFilePath(SCIENCE).data_dir == data_dir
    assert issubclass(imap.CadenceFilePath, imap.DependencyFilePath)


def test_a_document_becomes_inputs_and_back(data_dir: Path) -> None:
    """A real chain, with what the original reads out of it."""
    chain = INPUTS["chain"]
    collection = imap.ProcessingInputCollection()
    collection.deserialize(json.dumps(chain["document"]))
    found = [
        {
            "type": one.construct_json_output()["type"],
            **{name: getattr(one, name) for name in ("source", "data_type", "descriptor")},
            "class": type(one).__name__,
        }
        for one in collection.processing_input
    ]
    assert found == chain["expected"]
    assert collection.get_file_paths() == [data_dir / path for path in chain["paths"]]
    assert json.loads(collection.serialize()) == chain["document"]
    again = imap.ProcessingInputCollection(*map(copy.copy, collection.processing_input))
    assert again == collection
    assert [one.input_type.value for one in again.processing_input] == ["science", "ancillary", "ancillary"] + [
        "spice"
    ] * 3


def test_inputs_are_found_by_what_they_are() -> None:
    """Also kernels by one of their types, which the original never finds."""
    collection = imap.ProcessingInputCollection()
    collection.deserialize(json.dumps(INPUTS["chain"]["document"]))
    assert len(collection.get_science_inputs("glows")) == 1
    assert len(collection.get_processing_inputs(descriptor="calib")) == 1
    assert len(collection.get_processing_inputs(processing_input.ProcessingInputType.SPICE_FILE)) == 3
    assert len(collection.get_processing_inputs(source="leapseconds")) == 1
    assert len(collection.get_file_paths(source="spin")) == 3
    assert collection.get_file_paths(data_type="spice", source="nothing") == []


@pytest.mark.parametrize(("latest", "expected"), [(False, "valid"), (True, "valid_latest_ancillary")])
def test_inputs_of_a_day(latest: bool, expected: str) -> None:
    """Science files of the day, ancillary files that are valid then, or the one to be used."""
    given = INPUTS["date_filter"]
    collection = imap.ProcessingInputCollection()
    collection.deserialize(json.dumps(given["inputs"]))
    chosen = collection.get_valid_inputs_for_start_date(datetime.fromisoformat(given["date"]), latest)
    assert json.loads(chosen.serialize()) == given[expected]


def test_the_file_for_a_day_is_the_one_of_the_highest_version() -> None:
    """Of those valid then; the original has not written this yet."""
    ancillary = imap.AncillaryInput(
        "imap_hit_l1b-cal_20250101_v001.cdf",
        "imap_hit_l1b-cal_20250102_20250103_v002.cdf",
        "imap_hit_l1b-cal_20250109_v003.cdf",
    )
    assert ancillary.get_file_for_time(datetime(2025, 1, 2)) == ["imap_hit_l1b-cal_20250102_20250103_v002.cdf"]
    assert ancillary.get_file_for_time(datetime(2025, 1, 4)) == ["imap_hit_l1b-cal_20250101_v001.cdf"]
    assert ancillary.get_time_range() == (datetime(2025, 1, 1), datetime(2025, 1, 9))
    assert imap.SpinInput("imap_2026_001_2026_002_01.spin").get_time_range() is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: imap.ScienceInput(1), "^All arguments must be strings$"),
        (lambda: imap.ScienceInput(), "^All files must have the same source, data type, and descriptor.$"),
        (lambda: imap.ScienceInput(SCIENCE, SCIENCE.replace("l1a", "l1b")), "^All files must have the same source"),
        (lambda: imap.SPICEInput(), "^At least one file must be provided.$"),
        (lambda: imap.SPICEInput("naif0012.tls", "imap_2026_191_01.repoint"), "Use SpinInput or RepointInput instead"),
        (lambda: imap.SpinInput("naif0012.tls"), "^SpinInput can only contain spin files.$"),
        (lambda: imap.RepointInput("naif0012.tls"), "^RepointInput can only contain one repoint file.$"),
        (lambda: imap.RepointInput(), "^RepointInput can only contain one repoint file.$"),
    ],
)
def test_files_that_are_no_input_together(make: Any, message: str) -> None:
    """In the original's words; a repoint input of a kernel is accepted there."""
    with pytest.raises(ProcessingInput.ProcessingInputError, match=message):
        make()


def test_unknown_inputs_are_errors() -> None:
    """The original leaves them out without a word, and the job runs without its files."""
    with pytest.raises(ValueError, match=r"\[0\]"):
        imap.ProcessingInputCollection().deserialize('[{"type": "sience", "files": ["a"]}]')
    with pytest.raises(imap.ImapFilePath.InvalidImapFileError):
        imap.ScienceInput("a")
    with pytest.raises(ValueError, match=r"^Invalid input type for a\. It does not match any file formats\.$"):
        generate_imap_input("a")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (SCIENCE, imap.ScienceInput),
        ("imap_hit_l1b-cal_20250101_v001.cdf", imap.AncillaryInput),
        ("naif0012.tls", imap.SPICEInput),
        ("imap_2026_001_2026_002_01.spin", imap.SpinInput),
        ("imap_2026_191_01.repoint", imap.RepointInput),
    ],
)
def test_a_name_chooses_its_input(name: str, kind: type[ProcessingInput]) -> None:
    """The first that takes it."""
    assert generate_imap_input(name) == kind(name)


def test_errors_keep_their_messages() -> None:
    """Also between processes."""
    error = io.IMAPDataAccessError("404 Not Found: nothing")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "404 Not Found: nothing"
    assert repr(error) == "IMAPDataAccessError('404 Not Found: nothing')"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"DATA_ACCESS_URL": "https://api.imap-mission.com", "API_KEY": None, "CLIENT_VERSION": "1.3.0"}),
        ({"IMAP_DATA_ACCESS_URL": "", "IMAP_DATA_DIR": ""}, {"DATA_ACCESS_URL": "https://api.imap-mission.com"}),
        ({"IMAP_DATA_ACCESS_URL": "http://x", "IMAP_API_KEY": "k"}, {"DATA_ACCESS_URL": "http://x", "API_KEY": "k"}),
        ({"IMAP_DATA_DIR": "/data", "IMAP_ACCESS_TOKEN": "t"}, {"DATA_DIR": Path("/data"), "ACCESS_TOKEN": "t"}),
        (
            {"IMAP_DATA_ACCESS_CLIENT_VERSION": "0.2.0"},
            {"CLIENT_VERSION": "0.2.0", "DATA_ACCESS_URL": "https://api.dev.imap-mission.com"},
        ),
    ],
)
def test_settings_come_from_the_environment(
    environ: dict[str, str], expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is when the package is imported."""
    for name in ("DATA_ACCESS_URL", "DATA_DIR", "API_KEY", "ACCESS_TOKEN", "DATA_ACCESS_CLIENT_VERSION"):
        monkeypatch.delenv(f"IMAP_{name}", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    config = runpy.run_path(_settings.__file__)["config"]
    assert {"DATA_DIR": tmp_path / "data", **expected}.items() <= config.items()


def test_importing_sets_nothing_up() -> None:
    """Logging is the application's, and heavy libraries wait until they are needed."""
    code = """
import logging, sys
import aurora_async.compat.imap_data_access
print(logging.root.handlers, {"numpy", "pandas", "pyarrow", "cdflib"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[] set()\n"


def test_the_package_offers_what_is_public() -> None:
    """By `dir`, as editors ask for it, and by name."""
    assert dir(imap) == sorted(imap.__all__)
    assert all(hasattr(imap, name) for name in imap.__all__)
    assert imap.__version__ == "1.3.0"
    assert len(imap.VALID_INSTRUMENTS) == 13 and len(imap.VALID_DATALEVELS) == 18
    assert imap.REPOINT_DEPENDENT_INSTRUMENTS == ["glows", "hi", "lo", "ultra"]
    assert all(hasattr(file_validation, name) for name in file_validation.__all__)
