"""Formats of file names, and the names that files get here: no two files one name, none outside of the folder."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text
from support.scripted import dumps
from support.scripted_jsoc import keyword, structure

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc.filenames import Field, FileNameFormat, NamesTaken, default_format, name_of_record
from aurora_async.jsoc.models import SeriesInfo
from aurora_async.jsoc.wire import decode_structure


def info(**changes: object) -> SeriesInfo:
    """A series with two prime keys, one of them a time."""
    document = structure(keyword("DATE__OBS", "time"), keyword("EXPTIME", "double"), **changes)
    return decode_structure(dumps(document), "http://x/", "hmi.M_720s")


def test_the_default_tells_files_apart_by_their_keys() -> None:
    """As drms has it, so that files have the names one is used to."""
    assert str(default_format(info())) == "hmi.m_720s.{T_REC:A}.{CAMERA}.{segment}"
    assert str(default_format(info(primekeys=[None]))) == "hmi.m_720s.{recnum:%lld}.{segment}"
    default_format(info()).check(info())


@pytest.mark.parametrize(
    "text",
    [
        "{seriesname}.{recnum:%d}.{segment}",
        "{seriesname}.{#:%03d}",
        "{T_REC:A0,UTC}.{segment}",
        "{DATE__OBS:D}{T_REC:-1}.{T_REC:,TAI}.x",
        "{EXPTIME:%.1f}-{CAMERA:%02d}.{exptime}.{segment}",
    ],
)
def test_formats_are_read_and_printed_alike(text: str) -> None:
    """All layouts of the service's documentation."""
    read = FileNameFormat.parse(text)
    assert str(read) == text
    read.check(info())


def test_a_format_knows_its_fields() -> None:
    """Texts between them stay as they are."""
    assert FileNameFormat.parse("a{T_REC:A}b").parts == ("a", Field("T_REC", "A"), "b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{segment",
        "segment}",
        "{}",
        "{a b}",
        "{recnum:A}",
        "{segment:%s}",
        "{T_REC:x}",
        "{EXPTIME:%q}",
        "a;b",
        "../{segment}",
        "/tmp/{segment}",
        "a/../{segment}",
        "{segment}/..",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    """At the service it would be the end of the export, minutes later."""
    with pytest.raises(InvalidQuery) as caught:
        FileNameFormat.parse(text)
    assert caught.value.field == "filename_format"


@pytest.mark.parametrize("text", [5, None, b"{segment}"])
def test_a_format_is_a_text(text: Any) -> None:
    """Said so, since a number looks like one in a message."""
    with pytest.raises(InvalidQuery, match="is not a text"):
        FileNameFormat.parse(text)


@pytest.mark.parametrize("text", ["{NOSUCH}", "{T_REC:%d}", "{EXPTIME:A}", "image.fits", "{segment}" + "x" * 200])
def test_what_the_series_lacks_is_refused(text: str) -> None:
    """Keywords it has not, times laid out as numbers, one name for all files."""
    with pytest.raises(InvalidQuery) as caught:
        FileNameFormat.parse(text).check(info())
    assert caught.value.field == "filename_format"


@pytest.mark.parametrize(
    ("record", "filename", "name"),
    [
        (
            "hmi.V_45s[2016.04.01_00:00:00_TAI][2]{Dopplergram}",
            "/SUM58/D803708321/S00008/Dopplergram.fits",
            "hmi.v_45s.20160401_000000_TAI.2.Dopplergram.fits",
        ),
        (
            "aia.lev1_euv_12s[2021-07-03T14:27:23Z][211]{image}",
            "/SUM1/D1/S00000/image_lev1.fits",
            "aia.lev1_euv_12s.20210703T142723Z.211.image.fits",
        ),
        (
            "hmi.v_sht_2drls[2024.09.19_00:00:00_TAI][0][6]{rot}",
            "rot.2d",
            "hmi.v_sht_2drls.20240919_000000_TAI.0.6.rot.2d",
        ),
        (
            "hmi.sharp_720s[4864][2014.11.30_00:00:00_TAI]",
            "hmi.sharp_720s.4864.20141130_000000_TAI.continuum.fits",
            "hmi.sharp_720s.4864.20141130_000000_TAI.continuum.fits",
        ),
        ("hmi.M_720s[-1.5][2150]", "1234.fits", "hmi.m_720s.-1.5.2150.fits"),
        ('x.y["../../etc"]{s}', "a.fits", "etc.s.fits"),
        ("movie of the following data", "hmi.m_720s.mpg", None),
        ("hmi.M_720s", "a.fits", None),
        ("hmi.M_720s[? QUALITY=0 ?]", "a.fits", None),
        ("hmi.M_720s[:#4]", "a.fits", None),
    ],
)
def test_names_of_records(record: str, filename: str, name: str | None) -> None:
    """Times lose what not every system takes; all suffixes are kept; a set of records has no name."""
    assert name_of_record(record, filename) == name


@given(lists(sampled_from(["a.fits", "A.FITS", "a.fits.1", "é", "e\u0301", "b"]) | text(max_size=3), max_size=20))
def test_no_two_files_get_one_name(wanted: list[str]) -> None:
    """Whatever the service calls them, and in whatever case."""
    taken = NamesTaken()
    given_names = [taken.add(name) for name in wanted]
    assert len({name.casefold() for name in given_names}) == len(wanted)
    assert all(name.startswith(asked) for name, asked in zip(given_names, wanted, strict=True))


def test_names_that_are_there_are_passed_over() -> None:
    """What `unique` means."""
    assert NamesTaken().add("a.fits", {"a.fits", "a.fits.1"}) == "a.fits.2"


def test_many_files_of_one_name_are_no_trouble() -> None:
    """The next number is known, not found: else ten thousand took half a minute."""
    taken, looked_at = NamesTaken(), Counter[str]()

    class Folder:
        def __contains__(self, name: object) -> bool:
            looked_at[str(name)] += 1
            return False

    names = [taken.add("a.fits", Folder()) for _ in range(5000)]
    assert names[:3] == ["a.fits", "a.fits.1", "a.fits.2"] and len(set(names)) == 5000
    assert looked_at.total() <= 2 * 5000
