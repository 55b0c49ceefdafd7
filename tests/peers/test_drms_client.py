"""The official drms against the local service, unchanged: series, queries, addresses, exports, downloads."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

pytestmark = [
    pytest.mark.peers,
    # The original's own: with newer releases of pandas, the line that should blank the row of a movie has no effect.
    pytest.mark.filterwarnings("ignore::Warning:drms.*"),
]

FLARE = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]"
FLARE_KEYS = ["EXPTIME", "QUALITY", "T_OBS", "T_REC", "WAVELNTH"]
SPLITTINGS = "hmi.v_sht_2drls[2024.09.19_00:00:00_TAI]{split,rot,err}"
SHARP = "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]{continuum, magnetogram}"
DOPPLERGRAMS = "hmi.v_45s[2016.04.01_TAI/1d@6h]{Dopplergram}"


@pytest.fixture
def client(drms: Any, drms_config: Any, drms_email: str) -> Any:
    """The official client, with a registered address."""
    return drms.Client(drms_config, email=drms_email)


def finished(request: Any) -> Any:
    """Wait for an export, and see to it that it is one."""
    assert request.wait(timeout=60, sleep=0.2)
    assert request.has_succeeded(skip_update=True)
    assert request.status == 0
    return request


def test_series_are_listed_and_searched(client: Any) -> None:
    """By a pattern without regard to case; with notes on demand."""
    listed = client.series()
    known = {"hmi.v_45s", "hmi.m_720s", "hmi.ic_720s", "aia.lev1", "aia.lev1_euv_12s", "mdi.fd_v"}
    assert known <= {name.lower() for name in listed}
    for schema in ("aia", "hmi", "mdi"):
        assert {name.split(".")[0] for name in client.series(rf"{schema}\.")} == {schema}
    table = client.series(r"HMI\.m_720s$", full=True)
    assert table.to_dict("records") == [{"name": "hmi.M_720s", "note": "magnetograms with a cadence of 720 seconds."}]


def test_the_plain_list_knows_prime_keys(drms: Any, drms_config: Any) -> None:
    """As a server without internal series lists them."""
    plain = {k: v for k, v in drms_config.to_dict().items() if "wrapper" not in k}
    table = drms.Client(drms.ServerConfig(plain)).series(r"hmi\.m_720s$", full=True)
    assert [table.name[0], table.primekeys[0]] == ["hmi.M_720s", ["T_REC", "CAMERA"]]


@pytest.mark.parametrize(
    ("series", "prime_keys", "segments"),
    [
        ("hmi.v_45s", ["T_REC", "CAMERA"], ["Dopplergram"]),
        ("hmi.m_720s", ["T_REC", "CAMERA"], ["magnetogram"]),
        ("hmi.v_sht_2drls", ["LMIN", "NACOEFF"], ["split", "rot", "err"]),
        ("aia.lev1", ["T_REC", "FSN"], []),
        ("aia.lev1_euv_12s", ["T_REC", "WAVELNTH"], ["image"]),
        ("aia.response", ["T_START", "WAVE_STR"], []),
        ("iris.lev1", ["T_OBS", "FSN"], []),
        ("mdi.fd_m_lev182", ["T_REC"], []),
    ],
)
def test_structures(client: Any, series: str, prime_keys: list[str], segments: list[str]) -> None:
    """Prime keys are keywords, too."""
    info = client.info(f"{series}[^]")
    assert info.name == series
    assert set(prime_keys) <= set(info.primekeys) <= set(info.keywords.index)
    assert client.pkeys(series) == info.primekeys
    assert set(segments) <= set(info.segments.index)
    assert info.keywords.is_numeric.any()


@pytest.mark.parametrize(
    ("record_set", "count"),
    [
        ("hmi.v_45s[2013.07.03_08:42_TAI/3m]", 4),
        ("hmi.V_45s[2013.07.03_08:42_TAI/4m]", 5),
        ("hmi.B_720s[2013.07.03_08:42_TAI/40m]", 3),
        ("hmi.v_45s[2016.04.01_TAI/1d@6h]", 4),
        ("hmi.v_45s[2014.01.01_00:00:35_TAI-2014.01.01_01:00:35_TAI]", 81),
        (FLARE, 357),
        (f"{FLARE}[? EXPTIME<2.0 AND WAVELNTH=211 ?]{{image}}", 20),
        ("aia.lev1_euv_12s[2017.09.06_12:00:37_TAI-2017.09.06_12:02:37_TAI][304]", 11),
    ],
)
def test_queries_find_as_many_records_as_published(client: Any, record_set: str, count: int) -> None:
    """Counts that the real service gave."""
    assert len(client.query(record_set, pkeys=True)) == count
    assert client._json.rs_summary(record_set)["count"] == count


def test_values_paths_and_links(client: Any) -> None:
    """One frame for each that was asked for, and special words for what there is not."""
    keys, segments = client.query("hmi.v_45s[2013.07.03_08:42_TAI/3m]", key="T_REC, CRLT_OBS", seg="Dopplergram")
    assert ((keys.CRLT_OBS - 3.14159).abs() < 0.0001).all()
    assert all(re.fullmatch(r"/SUM\d+/D\d+/S\d+/\w+\.fits", path) for path in segments.Dopplergram)
    links = client.query("hmi.B_720s[2013.07.03_08:42_TAI/40m]", link="MDATA")
    assert len(links.MDATA) == 3
    keys, segments, links = client.query("hmi.B_720s[2013.07.03_08:42_TAI/40m]", key="foo", seg="baz", link="bar")
    assert (keys.foo == "Invalid KeyLink").all()
    assert (segments.baz == "InvalidSegName").all()
    assert (links.bar == "Invalid_Link").all()


def test_records_have_names(drms: Any, client: Any) -> None:
    """In the series' own spelling, and numbers that a pseudo keyword asks for."""
    constants = drms.JsocInfoConstants
    keys = client.query(
        "hmi.v_45s[2013.07.03_08:42_TAI/4m]", key=["T_REC", constants.recnum, constants.sunum], rec_index=True
    )
    assert keys.index[0] == "hmi.V_45s[2013.07.03_08:42:00_TAI][2]"
    assert keys["*recnum*"].dtype == keys["*sunum*"].dtype == "int64"


@pytest.mark.parametrize(("n", "expected"), [(2, ["00:00:45", "00:01:30"]), (-2, ["01:00:00", "01:00:45"])])
def test_the_first_and_the_last_records(client: Any, n: int, expected: list[str]) -> None:
    """In ascending order both times."""
    keys = client.query("hmi.v_45s[2014.01.01_00:00:35_TAI-2014.01.01_01:00:35_TAI]", key="T_REC", n=n)
    assert [time[11:19] for time in keys.T_REC] == expected


def test_all_keywords_at_once(drms: Any, client: Any) -> None:
    """QUALITY is a hexadecimal text in these series, and stays whole."""
    for record_set in (
        "hmi.v_45s[2014.01.01_00:00:35_TAI-2014.01.01_01:00:35_TAI]",
        "hmi.M_720s[2011.04.14_00:30:00_TAI/6h@2h]",
    ):
        keys = client.query(record_set, key=drms.JsocInfoConstants.all, convert_numeric=False)
        assert keys.QUALITY.str.fullmatch("0x[0-9a-f]{8}").all()
    keys, segments = client.query("hmi.synoptic_mr_720s[2150]", key=drms.JsocInfoConstants.all, seg="synopMr")
    assert len(keys) == len(segments) == 1


def test_what_is_refused(drms: Any, client: Any) -> None:
    """With the status and the words of the service."""
    with pytest.raises(drms.DrmsQueryError, match=r"\[status=1\]"):
        client.query("foo", key="T_REC")
    with pytest.raises(drms.DrmsQueryError, match=r"\[status=1\]"):
        client.info("hmi.nothing")
    failed = client.export_from_id("JSOC_20990101_001")
    assert failed.has_failed() and failed.status == 4
    with pytest.raises(drms.DrmsExportError, match=r"\[status=4\]"):
        _ = failed.data
    failed = client.export("hmi.nothing[2010.01.01]", filenamefmt=False)
    with pytest.raises(drms.DrmsExportError, match=r"\[status=4\]"):
        failed.wait()


def test_addresses(drms: Any, drms_config: Any, drms_email: str) -> None:
    """Checked before anything is exported, and also those that are none."""
    client = drms.Client(drms_config)
    assert client.check_email(drms_email)
    for address in ("notregistered@example.com", "not-valid", ""):
        assert not client.check_email(address)
        with pytest.raises(ValueError, match="invalid or not registered"):
            client.email = address
    client.email = drms_email
    assert client.email == drms_email


@pytest.mark.parametrize("method", ["url_quick", "url", "url-tar"])
def test_files_as_they_are(client: Any, method: str, tmp_path: Path) -> None:
    """By all methods; names that occur thrice are told apart."""
    request = finished(client.export(SPLITTINGS, method=method, protocol="as-is"))
    assert (request.method, request.protocol) == (method, "as-is")
    assert len(request.data) == 9
    assert all(record.endswith(("{split}", "{rot}", "{err}")) for record in request.data.record)
    assert all(name.endswith(("splittings.out", "rot.2d", "err.2d")) for name in request.data.filename)
    found = request.download(tmp_path)
    if method == "url-tar":
        (path,) = found.download
        assert request.tarfile == f"{request.dir}/{request.id}.tar"
        with tarfile.open(path) as archive:
            assert len([name for name in archive.getnames() if name.endswith((".out", ".2d"))]) == 9
        return
    assert len(request.urls) == len(set(found.download)) == 9
    assert all(Path(path).stat().st_size for path in found.download)
    assert (request.id is None) == (method == "url_quick")
    if method == "url":
        with urlopen(f"{request.request_url}/{request.id}.keywords.txt") as answer:
            assert answer.read()


def test_fits_files(client: Any, drms_email: str, tmp_path: Path) -> None:
    """Made for the purpose, with keywords in their headers."""
    request = finished(client.export(SHARP, method="url", protocol="fits", requester=False))
    assert request.protocol == "fits"
    assert re.fullmatch(r"JSOC_\d{8}_\d{3,}", request.id)
    assert [record.lower() for record in request.urls.record] == ["hmi.sharp_720s[4864][2014.11.30_00:00:00_tai]"] * 2
    found = request.download(tmp_path)
    assert sorted(Path(path).name.rsplit(".", 2)[1] for path in found.download) == ["continuum", "magnetogram"]
    assert {Path(path).read_bytes()[:9] for path in found.download} == {b"SIMPLE  ="}
    again = finished(client.export_from_id(request.id))
    assert again.urls.equals(request.urls)


@pytest.mark.parametrize(
    ("protocol", "at", "mark"), [("jpg", 0, b"\xff\xd8\xff"), ("mpg", 0, b"\0\0\1\xba"), ("mp4", 4, b"ftyp")]
)
def test_images_and_movies(client: Any, protocol: str, at: int, mark: bytes, tmp_path: Path) -> None:
    """With a colour table; a movie comes with its frames."""
    request = finished(
        client.export(DOPPLERGRAMS, protocol=protocol, protocol_args={"ct": "grey.sao", "scaling": "minmax", "size": 8})
    )
    assert request.id
    names = list(request.data.filename)
    if protocol != "jpg":
        assert request.data.record[0] == "movie of the following data"
        assert names[0].endswith(f".{protocol}")
        names = names[1:]
    assert len(names) == 4 and all(name.endswith(".jpg") for name in names)
    found = request.download(tmp_path, index=[0])
    path = Path(found.download.iloc[0])
    assert path.suffix == f".{protocol}"
    assert path.read_bytes()[at:].startswith(mark)


@pytest.mark.parametrize(
    ("record_set", "process", "series", "ending"),
    [
        (
            "aia.lev1_euv_12s[2025-01-01T04:33:30.000/1m@12s][171]{image}",
            {
                "im_patch": {
                    **{"t_ref": "2025-01-01T04:33:30.000", "t": 0, "r": 0, "c": 0},
                    **{"locunits": "arcsec", "boxunits": "arcsec", "x": -517.2, "y": -246},
                    **{"width": 345.6, "height": 345.6},
                }
            },
            "aia.lev1_euv_12s_mod",
            "image.fits",
        ),
        (
            "hmi.M_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}",
            {"rebin": {"method": "boxcar", "scale": 0.25}},
            "hmi.M_720s_mod",
            "magnetogram.fits",
        ),
    ],
)
def test_processed_files(client: Any, record_set: str, process: Any, series: str, ending: str) -> None:
    """Are those of another series."""
    request = finished(client.export(record_set, method="url", protocol="fits", process=process))
    assert request.protocol == "fits"
    assert len(request.urls)
    assert all(record.startswith(series) for record in request.urls.record)
    assert all(url.endswith(ending) for url in request.urls.url)


def test_names_from_records(client: Any, tmp_path: Path) -> None:
    """What is answered at once has the store's names, which the client makes telling ones."""
    request = finished(client.export(DOPPLERGRAMS))
    assert request.id is None and len(request.urls) == 4
    found = request.download(tmp_path)
    assert [Path(path).name for path in found.download] == [
        f"hmi.v_45s.20160401_{hour:02}0000_TAI.2.Dopplergram.fits" for hour in (0, 6, 12, 18)
    ]
