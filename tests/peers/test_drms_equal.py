"""drms and the drop-in, asked the same: equal tables where the original is right, better ones where it is not."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

import aurora_async.compat.drms as ours

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::Warning:drms.*"),
]

FLARE = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]"
HOUR = "hmi.v_45s[2014.01.01_00:00:35_TAI-2014.01.01_01:00:35_TAI]"
MAGNETOGRAMS = "hmi.M_720s[2011.04.14_00:30:00_TAI/6h@2h]"
SPLITTINGS = "hmi.v_sht_2drls[2024.09.19_00:00:00_TAI]{split,rot,err}"
SHARP = "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]{continuum, magnetogram}"
DOPPLERGRAMS = "hmi.v_45s[2016.04.01_TAI/1d@6h]{Dopplergram}"


@pytest.fixture
def theirs(drms: Any, drms_config: Any, drms_email: str) -> Any:
    """The original."""
    return drms.Client(drms_config, email=drms_email)


@pytest.fixture
def mine(drms_config: Any, drms_email: str) -> ours.Client:
    """The drop-in, told of the service in the same words."""
    return ours.Client(ours.ServerConfig(drms_config.to_dict()), email=drms_email)


def parameters(function: Any) -> dict[str, tuple[Any, Any]]:
    """The arguments of a function, with their kinds and defaults."""
    return {one.name: (one.kind, one.default) for one in inspect.signature(function).parameters.values()}


def assert_same(theirs: Any, mine: Any) -> None:
    """Hold tables, or several of them, to each other: values, types, names and order."""
    if isinstance(theirs, tuple):
        assert isinstance(mine, tuple) and len(theirs) == len(mine)
        for one, other in zip(theirs, mine, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, pd.DataFrame):
        assert_frame_equal(theirs, mine)
    else:
        assert theirs == mine


MADE = [
    *("Client", "ExportRequest", "SeriesInfo", "ServerConfig", "HttpJsonClient", "JsocInfoConstants"),
    *("DrmsError", "DrmsQueryError", "DrmsExportError", "DrmsOperationNotSupported"),
]


@pytest.mark.parametrize("name", MADE)
def test_classes_have_the_same_members_and_arguments(drms: Any, name: str) -> None:
    """Names, kinds and defaults; what the drop-in adds has a default, and takes nothing's place."""
    theirs, mine = getattr(drms, name), getattr(ours, name)
    # Exports are asked for by the client alone, which sees to it that none is lost.
    members = {member for member in dir(theirs) if not member.startswith("_")} - {"exp_request"}
    assert members <= set(dir(mine))
    for member in ("__init__", *members):
        if inspect.isfunction(function := inspect.getattr_static(theirs, member)) and "drms" in function.__module__:
            expected = parameters(function)
            found = parameters(inspect.getattr_static(mine, member))
            assert {one: found[one] for one in expected} == expected, member
            added = {one: found[one] for one in found if one not in expected}
            assert all(kind is inspect.Parameter.KEYWORD_ONLY and default is None for kind, default in added.values())


@pytest.mark.parametrize("name", ["to_datetime", "register_server"])
def test_functions_have_the_same_arguments(drms: Any, name: str) -> None:
    """Names, kinds and defaults."""
    assert parameters(getattr(ours, name)) == parameters(getattr(drms, name))


def test_modules_have_the_same_names(drms: Any) -> None:
    """But for what tells how to cite the original, and for requests that are made one by one."""
    missing = {"HttpJsonRequest", "__bibtex__", "__citation__"}
    assert set(drms.__all__) - set(ours.__all__) == missing
    for module in ("client", "config", "exceptions", "json", "utils"):
        names = set(getattr(drms, module).__all__) - {"HttpJsonRequest", "create_request_with_header"}
        assert names <= set(getattr(ours, module).__all__)


@pytest.mark.parametrize("plain", [False, True], ids=["with internal series", "public ones"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("regex", [None, r"hmi\.m_", "NOT hmi", "nothing at all"])
def test_lists_of_series(drms: Any, drms_config: Any, regex: str | None, full: bool, plain: bool) -> None:
    """Names, or a table of them: with prime keys where the server's list has them."""
    settings = {k: v for k, v in drms_config.to_dict().items() if not (plain and "wrapper" in k)}
    theirs, mine = (module.Client(module.ServerConfig(settings)) for module in (drms, ours))
    assert_same(theirs.series(regex, full=full), mine.series(regex, full=full))


@pytest.mark.parametrize(
    "series",
    [
        "hmi.v_45s",
        "hmi.M_720s[2010.01.01]",
        "hmi.sharp_720s",
        "hmi.v_sht_2drls",
        "aia.lev1_euv_12s",
        "aia.lev1",
        "mdi.fd_v",
    ],
)
def test_structures(theirs: Any, mine: ours.Client, series: str) -> None:
    """Attributes and the three tables."""
    expected, found = theirs.info(series), mine.info(series)
    assert repr(expected) == repr(found)
    for name in ("name", "note", "retention", "unitsize", "archive", "tapegroup", "primekeys", "dbindex"):
        assert getattr(expected, name) == getattr(found, name)
    for name in ("keywords", "links", "segments"):
        assert_frame_equal(getattr(expected, name), getattr(found, name))
    assert (theirs.keys(series), theirs.pkeys(series)) == (mine.keys(series), mine.pkeys(series))


@pytest.mark.parametrize(
    ("record_set", "arguments"),
    [
        (FLARE, {"key": ["EXPTIME", "QUALITY", "T_OBS", "T_REC", "WAVELNTH"]}),
        (FLARE, {"key": "t_rec, exptime", "n": -20}),
        (f"{FLARE}[? EXPTIME<2.0 AND WAVELNTH=211 ?]{{image}}", {"key": "EXPTIME", "seg": "image"}),
        (HOUR, {"pkeys": True, "key": "CRLT_OBS, T_REC CAMERA"}),
        (HOUR, {"key": "T_REC, QUALITY", "convert_numeric": False, "n": 3}),
        (HOUR, {"key": "CAMERA, CRLT_OBS", "skip_conversion": ["CAMERA"], "n": 3}),
        (HOUR, {"key": ["T_REC", ours.JsocInfoConstants.recnum, ours.JsocInfoConstants.sunum], "rec_index": True}),
        (HOUR, {"key": [one.value for one in ours.JsocInfoConstants][2:], "n": 2}),
        (HOUR, {"seg": "**ALL**", "rec_index": True}),
        ("hmi.B_720s[2013.07.03_08:42_TAI/40m]", {"key": "foo", "seg": "baz", "link": "bar"}),
        ("hmi.B_720s[2013.07.03_08:42_TAI/40m]", {"link": "MDATA", "pkeys": True}),
        ("hmi.synoptic_mr_720s[2150]", {"key": "CAR_ROT, DATE", "seg": "synopMr"}),
        ("hmi.v_45s[1970.01.01/3m]", {"key": "T_REC", "seg": "Dopplergram"}),
    ],
)
def test_queries(theirs: Any, mine: ours.Client, record_set: str, arguments: dict[str, Any]) -> None:
    """Values with their types, paths, links; record names as the index; nothing at all."""
    assert_same(theirs.query(record_set, **arguments), mine.query(record_set, **arguments))


@pytest.mark.parametrize("record_set", [HOUR, MAGNETOGRAMS])
def test_quality_words_are_numbers(theirs: Any, mine: ours.Client, record_set: str) -> None:
    """Everything else is as in the original, which loses hexadecimal values with newer releases of pandas."""
    expected, found = (client.query(record_set, key="**ALL**") for client in (theirs, mine))
    text = theirs.query(record_set, key="QUALITY", convert_numeric=False)
    assert found.QUALITY.dtype == "int64"
    assert found.QUALITY.tolist() == [int(word, 16) for word in text.QUALITY]
    words = [name for name in expected if not found[name].equals(expected[name])]
    for name in words:
        assert expected[name].isna().all() and found[name].notna().all()
    assert_frame_equal(expected.drop(columns=words), found.drop(columns=words))


def test_record_names_of_no_records(theirs: Any, mine: ours.Client) -> None:
    """A KeyError in the original."""
    with pytest.raises(KeyError):
        theirs.query("hmi.v_45s[1970.01.01/3m]", key="T_REC", rec_index=True)
    assert mine.query("hmi.v_45s[1970.01.01/3m]", key="T_REC", rec_index=True).empty


@pytest.mark.parametrize(
    "address", ["demo@example.com", "notregistered@example.com", "a+b@example.com", "not-valid", ""]
)
def test_addresses(theirs: Any, mine: ours.Client, address: str) -> None:
    """Registered or not."""
    assert theirs.check_email(address) == mine.check_email(address)


@pytest.mark.parametrize(
    ("asked", "arguments"),
    [
        ("export", {"ds": FLARE, "method": "ftp"}),
        ("export", {"ds": FLARE, "protocol": "tiff"}),
        ("export", {"ds": FLARE, "process": {"foobar": {}}}),
        ("export", {"ds": FLARE, "protocol": "jpg", "protocol_args": {"ct": "blue"}}),
        ("export", {"ds": FLARE, "protocol": "jpg", "protocol_args": {"scaling": "blue"}}),
        ("export", {"ds": FLARE, "protocol": "jpg", "protocol_args": {"colour": "blue"}}),
        ("export", {"ds": FLARE, "protocol": "fits", "protocol_args": {"ct": "grey.sao"}}),
        ("query", {"ds": FLARE}),
        ("query", {"ds": "foo", "key": "T_REC"}),
        ("info", {"ds": "foo"}),
    ],
)
def test_refusals(theirs: Any, mine: ours.Client, asked: str, arguments: dict[str, Any]) -> None:
    """The same kind of error, about the same thing."""
    with pytest.raises((ValueError, RuntimeError)) as expected:
        getattr(theirs, asked)(**arguments)
    with pytest.raises((ValueError, RuntimeError)) as found:
        getattr(mine, asked)(**arguments)
    assert isinstance(found.value, ValueError) == isinstance(expected.value, ValueError)
    assert type(found.value).__name__ == type(expected.value).__name__ or isinstance(found.value, ValueError)


@pytest.mark.parametrize(
    ("record_set", "arguments"),
    [
        (DOPPLERGRAMS, {}),
        (SPLITTINGS, {"method": "url"}),
        (SPLITTINGS, {"method": "url-tar"}),
        (SHARP, {"method": "url", "protocol": "fits"}),
        (SHARP, {"method": "url", "protocol": "fits", "filenamefmt": "{seriesname}.{segment}.{#}"}),
        (SHARP, {"method": "url", "protocol": "fits", "filenamefmt": False}),
        (DOPPLERGRAMS, {"protocol": "jpg", "protocol_args": {"ct": "GREY.sao", "size": 8}}),
        (
            "hmi.M_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}",
            {"method": "url", "protocol": "fits", "process": {"rebin": {"method": "boxcar", "scale": 0.25}}},
        ),
    ],
)
def test_exports(theirs: Any, mine: ours.Client, record_set: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    """Asked for twice, an export is one: of the same files at the same addresses, which get the same names."""
    expected, found = theirs.export(record_set, **arguments), mine.export(record_set, **arguments)
    assert expected.wait(sleep=0.2, timeout=60) and found.wait(sleep=0.2, timeout=60)
    assert repr(expected) == repr(found)
    for name in ("id", "status", "method", "protocol", "dir", "tarfile", "keywords", "request_url"):
        assert getattr(expected, name) == getattr(found, name), name
    assert_frame_equal(expected.data, found.data)
    assert_frame_equal(expected.urls, found.urls)
    folders = tmp_path / "theirs", tmp_path / "mine"
    saved = []
    for request, folder in zip((expected, found), folders, strict=True):
        folder.mkdir()
        table = request.download(folder)
        table["download"] = [Path(path).relative_to(folder.resolve()) for path in table.download]
        saved.append(table)
    assert_frame_equal(*saved)
    for path in saved[0].download:
        assert (folders[0] / path).read_bytes() == (folders[1] / path).read_bytes()


@pytest.mark.parametrize("index", [0, [1, 3], [-1], np.array([2, 0])])
def test_some_files_of_an_export(theirs: Any, mine: ours.Client, index: Any, tmp_path: Path) -> None:
    """By position."""
    saved = []
    for name, client in (("theirs", theirs), ("mine", mine)):
        (tmp_path / name).mkdir()
        table = client.export(DOPPLERGRAMS).download(tmp_path / name, index=index)
        table["download"] = [Path(path).name for path in table.download]
        saved.append(table)
    assert_frame_equal(*saved)


def test_the_row_of_a_movie(theirs: Any, mine: ours.Client) -> None:
    """Belongs to no record, which newer releases of pandas keep the original from saying."""
    arguments: dict[str, Any] = {"protocol": "mp4", "protocol_args": {"size": 8}}
    expected, found = theirs.export(DOPPLERGRAMS, **arguments), mine.export(DOPPLERGRAMS, **arguments)
    assert expected.wait(sleep=0.2) and found.wait()
    assert found.urls.record.isna().tolist() == [True] + [False] * 4
    assert_frame_equal(expected.urls[["filename", "url"]], found.urls[["filename", "url"]])
    assert expected.urls.record[1:].equals(found.urls.record[1:])


@pytest.mark.parametrize("key", ["T_REC", "T_OBS", "DATE"])
@pytest.mark.parametrize("record_set", [FLARE, HOUR])
def test_times(drms: Any, mine: ours.Client, record_set: str, key: str) -> None:
    """Of a whole column at once."""
    texts = mine.query(record_set, key=key)[key]
    assert_series_equal(drms.to_datetime(texts), ours.to_datetime(texts))
