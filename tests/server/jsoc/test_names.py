"""Names of exported files, by the patterns that clients send."""

from __future__ import annotations

import pytest

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.names import DEFAULT_PATTERN, BadPattern, file_name
from aurora_async.server.jsoc.records import Record

CATALOG = Catalog()
AIA = CATALOG.open("aia.lev1_euv_12s[2022-10-25T02:19:59Z][193]")[0]
HMI = CATALOG.open("hmi.M_720s[2017.12.03_00:00:00_TAI][3]")[0]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}", "aia.lev1_euv_12s.2022-10-25T021959Z.193.image.fits"),
        ("{seriesname}.{WAVELNTH:%06d}.x", "aia.lev1_euv_12s.000193.x"),
        ("{T_REC:A,TAI}", "20221025_022036_TAI"),
        ("{T_REC:A-2}", "2022-10-25T02Z"),
        ("{t_rec:A2}", "2022-10-25T02195900Z"),
        ("{#}-{#:%d}", "00007-7"),
        ("{EXPTIME:%8.0f}s", "2s"),
    ],
)
def test_fields_of_aia(pattern: str, name: str) -> None:
    """Times keep the dashes of their dates, and keywords may be laid out; white space goes."""
    assert file_name(pattern, AIA, AIA.series.name, "image.fits", 7) == name


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (DEFAULT_PATTERN, f"hmi.M_720s.{HMI.recnum}.magnetogram.fits"),
        ("{T_REC:A}.{CAMERA}.{segment}", "20171203_000000_TAI.3.magnetogram.fits"),
        ("{T_REC}", "2017.12.03_00:00:00_TAI"),
        ("{T_REC:D}", "@2017@12@03@_000000_TAI"),
        ("{QUALITY}", "0x00000000"),
        ("{recnum:%010d}", f"{HMI.recnum:010d}"),
    ],
)
def test_fields_of_hmi(pattern: str, name: str) -> None:
    """Times of TAI lose their dots with their colons, and keywords have their own formats otherwise."""
    assert file_name(pattern, HMI, HMI.series.name, "magnetogram.fits", 0) == name


@pytest.mark.parametrize(
    ("record", "pattern", "reason"),
    [
        (AIA, "{NO_SUCH}", "NO_SUCH in the file name format is no keyword of aia.lev1_euv_12s"),
        (AIA, "{T_REC", "a brace is not closed"),
        (AIA, "x}", "a brace is not closed"),
        (AIA, "{WAVELNTH:%q}{segment", "a brace is not closed"),
        (AIA, "a" * 128, "has 128 characters"),
        (AIA, " ", "has 0 characters"),
        (AIA, "../{segment}", "is no name of a file in the export's directory"),
        (AIA, "/etc/passwd", "is no name of a file in the export's directory"),
    ],
)
def test_a_pattern_that_gives_no_name_is_refused(record: Record, pattern: str, reason: str) -> None:
    """Such an export fails with a reason, and nothing is served from outside of its directory."""
    with pytest.raises(BadPattern, match=reason):
        file_name(pattern, record, record.series.name, "image.fits", 0)
