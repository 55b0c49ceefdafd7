"""imap-data-access and the drop-in, asked the same: equal where the original is right, better where it is not."""

from __future__ import annotations

import base64
import importlib
import inspect
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.imap_calls import ANSWERED, REFUSED, error_of

import aurora_async.compat.imap_data_access as ours

pytestmark = pytest.mark.peers

FACTS = Path(__file__).parents[1] / "facts"
VECTORS = json.loads((FACTS / "imap_filename_vectors.json").read_text("utf-8"))
INPUTS = json.loads((FACTS / "imap_dependency_examples.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def settings(imap_data_access: Any, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are told the same; each has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for module, folder in ((imap_data_access, "theirs"), (ours, "ours")):
        told = {"DATA_ACCESS_URL": f"{base_url}/imap", "DATA_DIR": tmp_path / folder, "API_KEY": "imap-demo-key"}
        for name, value in told.items():
            monkeypatch.setitem(module.config, name, value)


@pytest.mark.parametrize(("function", "arguments"), ANSWERED)
def test_answers_are_equal(imap_data_access: Any, function: str, arguments: dict[str, Any]) -> None:
    """Row by row, in every member; the original does not sort what it sifts itself."""
    expected, found = (getattr(module, function)(**arguments) for module in (imap_data_access, ours))
    key = "file_path" if function == "query" else "file_name"
    assert sorted(expected, key=lambda row: row[key]) == sorted(found, key=lambda row: row[key])
    assert bool(found) is (arguments.get("start_date") != "21000101")


@pytest.mark.parametrize(("function", "arguments", "said"), REFUSED)
def test_refusals_are_equal(imap_data_access: Any, function: str, arguments: dict[str, Any], said: str) -> None:
    """Class and message; what there is to choose from is in another order every day there."""
    found = error_of(ours, function, arguments)
    assert found.startswith(said)
    assert found == error_of(imap_data_access, function, arguments)


def test_settings_have_the_same_names(imap_data_access: Any) -> None:
    """And one more."""
    assert set(ours.config) - set(imap_data_access.config) == {"CLIENT_VERSION"}
    for name in ("VALID_INSTRUMENTS", "VALID_DATALEVELS", "VALID_TABLES", "REPOINT_DEPENDENT_INSTRUMENTS"):
        assert getattr(ours, name) == getattr(imap_data_access, name)
    assert set(imap_data_access.__all__) <= set(ours.__all__)
    assert imap_data_access.__version__ == ours.__version__


def parameters(function: Any) -> dict[str, tuple[Any, Any]]:
    """The arguments of a function, with their kinds and defaults."""
    return {one.name: (one.kind, one.default) for one in inspect.signature(function).parameters.values()}


@pytest.mark.parametrize("module", ["file_validation", "io", "processing_input", "utils", "webpoda"])
def test_functions_and_classes_have_the_same_arguments(imap_data_access: Any, module: str) -> None:
    """Names, kinds and defaults; what the drop-in adds is by keyword, and has a default."""
    theirs, mine = (importlib.import_module(f"{one.__name__}.{module}") for one in (imap_data_access, ours))
    for name, expected in vars(theirs).items():
        if name.startswith("_") or getattr(expected, "__module__", None) != theirs.__name__:
            continue
        if name in ("compare_files", "file_hash", "format_size"):  # how two files are compared, which we do on the way
            continue
        found = getattr(mine, name)
        if not inspect.isclass(expected):
            assert_covers(parameters(found), parameters(expected), name)
            continue
        for member, value in vars(expected).items():
            plain = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if not inspect.isfunction(plain) or (member.startswith("_") and member != "__init__"):
                continue
            assert_covers(parameters(getattr(found, member)), parameters(getattr(expected, member)), f"{name}.{member}")


def assert_covers(found: dict[str, tuple[Any, Any]], expected: dict[str, tuple[Any, Any]], name: str) -> None:
    """Hold arguments to each other."""
    assert {one: found.get(one) for one in expected} == expected, name
    for kind, default in (found[one] for one in found.keys() - expected.keys()):
        assert kind is inspect.Parameter.KEYWORD_ONLY and default is not inspect.Parameter.empty, name


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["name"])
def test_names_mean_the_same(imap_data_access: Any, vector: dict[str, Any]) -> None:
    """Class, parts, path and days."""
    from imap_data_access.file_validation import generate_imap_file_path as generate

    theirs, mine = generate(vector["name"]), ours.file_validation.generate_imap_file_path(vector["name"])
    assert type(theirs).__name__ == type(mine).__name__ == vector["class"]
    folders = (imap_data_access.config["DATA_DIR"], ours.config["DATA_DIR"])
    paths = [path.construct_path().relative_to(folder) for path, folder in zip((theirs, mine), folders, strict=True)]
    assert paths == [Path(vector["path"])] * 2
    assert theirs.extract_filename_components(theirs.filename) == mine.extract_filename_components(mine.filename)
    if vector["class"] != "SPICEFilePath":
        expected = dict(vars(theirs))
        assert {name: getattr(mine, name) for name in expected} == expected
        days = (datetime(2025, 1, 3), datetime(2026, 4, 3), datetime.strptime(theirs.start_date, "%Y%m%d"))
        assert [theirs.is_valid_for_start_date(day) for day in days] == [mine.is_valid_for_start_date(d) for d in days]


@pytest.mark.parametrize("name", VECTORS["invalid"])
def test_what_is_no_name_is_none_for_both(imap_data_access: Any, name: str) -> None:
    """In the same words."""
    from imap_data_access.file_validation import generate_imap_file_path as generate

    found = []
    for make in (generate, ours.file_validation.generate_imap_file_path):
        with pytest.raises(ValueError) as refused:
            make(name)
        found.append(str(refused.value))
    assert found[0] == found[1]


def test_documents_are_read_and_written_alike(imap_data_access: Any) -> None:
    """To the letter."""
    read = []
    for module in (imap_data_access, ours):
        collection = module.ProcessingInputCollection()
        collection.deserialize(json.dumps(INPUTS["chain"]["document"]))
        read.append(collection)
    assert read[0].serialize() == read[1].serialize()
    for theirs, mine in zip(*(one.processing_input for one in read), strict=True):
        for name in ("filename_list", "source", "data_type", "descriptor"):
            assert getattr(theirs, name) == getattr(mine, name)
        assert theirs.input_type.value == mine.input_type.value
        assert theirs.get_time_range() == mine.get_time_range()
        assert theirs.construct_json_output() == mine.construct_json_output()
    for filters in ({}, {"source": "glows"}, {"descriptor": "cal"}, {"data_type": "spin"}, {"source": "repoint"}):
        theirs, mine = (one.get_file_paths(**filters) for one in read)
        assert [path.parts[-4:] for path in theirs] == [path.parts[-4:] for path in mine]


def test_files_are_the_same(imap_data_access: Any) -> None:
    """To the byte."""
    name = "imap_glows_l2-calibration_20251112_v004.dat"
    theirs, mine = (module.download(name) for module in (imap_data_access, ours))
    assert theirs.read_bytes() == mine.read_bytes()
    assert theirs.parts[-4:] == mine.parts[-4:]


def test_packets_are_the_same(imap_data_access: Any, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their times, their bytes, and the file that a day of them becomes."""
    import imap_data_access.webpoda as theirs

    monkeypatch.setattr(theirs, "WEBPODA_APID_URL", f"{base_url}/imap/poda/dap2/apids")
    start, end = datetime(2026, 4, 12), datetime(2026, 4, 12, 6)
    found = []
    for module, package in ((theirs, imap_data_access), (ours.webpoda, ours)):
        monkeypatch.setitem(package.config, "WEBPODA_TOKEN", base64.b64encode(b"demo:demo").decode())
        module.download_daily_data("swapi", start, end, query_by_ert=False)
        found.append(
            (
                module.get_packet_times_ert(1188, start, end),
                module.get_packet_binary_data_sctime(1188, start, end),
                {path.name: path.read_bytes() for path in package.config["DATA_DIR"].rglob("*.pkts")},
                module.get_repoint_file().name,
                module.INSTRUMENT_APIDS,
            )
        )
    assert found[0] == found[1]
    assert all(found[0])
