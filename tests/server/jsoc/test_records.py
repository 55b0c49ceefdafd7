"""Values of records: what was published comes out as printed, and what is computed fits to it."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.orbit import AU_M, view
from aurora_async.server.jsoc.records import Record
from aurora_async.server.jsoc.regions import patches

FACTS = json.loads((Path(__file__).parents[2] / "facts" / "jsoc_records.json").read_text())
CATALOG = Catalog()
FLARE = FACTS["aia_2021"]["ds"]


def only(text: str) -> Record:
    (record,) = CATALOG.open(text)
    return record


# Published ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", ["aia_2021", "aia_2014", "hmi_2014"])
def test_published_rows_come_out_as_they_were_printed(fact: str) -> None:
    """At their places in the answer, to the last digit."""
    records = CATALOG.open(FACTS[fact]["ds"])
    for row in FACTS[fact]["rows"]:
        record = records[row.pop("index")]
        assert {name: record.text(name) for name in row} == {name: str(value) for name, value in row.items()}


def test_published_files_are_where_they_were() -> None:
    """Their paths lead back to the records."""
    records = CATALOG.open(FACTS["hmi_2016"]["ds"])
    for keyword in FACTS["hmi_2016"]["keywords"]:
        assert [record.text(keyword["name"]) for record in records] == keyword["values"]
    (paths,) = (segment["values"] for segment in FACTS["hmi_2016"]["segments"])
    assert [record.segment_path("dopplergram") for record in records] == paths
    assert CATALOG.record_at(803708321, 8) == records[0]


def test_the_image_behind_a_link_has_the_published_values_as_well() -> None:
    """There is one image, of which two series tell."""
    image = only("aia.lev1_euv_12s[2021-07-03T14:27:23Z][211]").linked("lev1")
    assert image is not None and image.series.name == "aia.lev1"
    assert (image.text("EXPTIME"), image.text("T_OBS")) == ("0.578715", "2021-07-03T14:27:25.09Z")


def test_the_last_region_of_the_quick_look_series_is_the_published_one() -> None:
    """It was the answer to `[][$]`."""
    record = only("hmi.mharp_720s_nrt[][$]")
    assert [record.text(name) for name in ("HARPNUM", "NOAA_ARS", "T_REC")] == [
        "6314",
        "12818,12820,12821",
        "2021.05.01_05:24:00_TAI",
    ]


# Computed -------------------------------------------------------------------------------------------------------------


def exposures(records: list[Record]) -> list[tuple[int, float]]:
    return [(int(record.text("WAVELNTH")), float(record.text("EXPTIME"))) for record in records]


def test_as_many_exposures_of_the_flare_are_short_as_were() -> None:
    """101 below two seconds; 20 of them at 211, which are the published ones."""
    short = [wavelength for wavelength, exposure in exposures(CATALOG.open(FLARE)) if exposure < 2]
    assert len(short) == FACTS["aia_2021"]["shorter_than_2_s"]
    assert short.count(211) == 20


def test_exposures_are_as_long_as_ever_when_nothing_happens() -> None:
    """A year earlier, none of an hour's images has less than two seconds."""
    records = CATALOG.open("aia.lev1_euv_12s[2020-01-01T00:00:00Z/1h@1m]")
    assert all(exposure > 2 for _, exposure in exposures(records))


def test_an_image_is_taken_within_its_slot() -> None:
    """T_OBS lies in the twelve seconds that T_REC begins, give or take a second; so it does in the published rows."""
    for record in CATALOG.open(FLARE):
        observed, slot = record.value("T_OBS"), record.value("T_REC")
        assert isinstance(observed, TaiTime) and isinstance(slot, TaiTime)
        assert -1 < observed - slot < 13


def test_values_are_the_same_in_every_catalogue() -> None:
    """Nothing depends on the order of questions, or on the process."""
    text = "hmi.v_45s[2014.06.01_TAI]"
    names = [keyword.name for keyword in only(text).series.keywords]
    (again,) = Catalog().open(text)
    assert [again.text(name) for name in names] == [only(text).text(name) for name in names]


def test_the_latitude_of_the_observer_is_the_published_one() -> None:
    """CRLT_OBS of 2013.07.03_08:42 was pi, nearly."""
    records = CATALOG.open("hmi.v_45s[2013.07.03_08:42_TAI/3m]")
    assert len(records) == 4
    assert all(abs(float(record.text("CRLT_OBS")) - 3.14159) < 1e-4 for record in records)


@pytest.mark.parametrize(
    ("when", "speed"), list(zip(*(keyword["values"] for keyword in FACTS["hmi_2016"]["keywords"][::2]), strict=True))
)
def test_computed_speeds_go_on_where_published_ones_end(when: str, speed: str) -> None:
    """The orbit behind them is fitted to the published speeds, to 20 m/s of 3000."""
    assert view(TaiTime.parse(when).seconds).away == pytest.approx(float(speed), abs=20)


@pytest.mark.parametrize(("when", "rotation"), [("2014.01.01_TAI", 2145), ("2017.09.06_TAI", 2194)])
def test_rotations_are_counted_as_carrington_did(when: str, rotation: int) -> None:
    """As in the published rows of these days."""
    assert view(TaiTime.parse(when).seconds).rotation == rotation


def test_light_comes_to_the_spacecraft_earlier_in_january() -> None:
    """Slots are kept at one astronomical unit: T_OBS is 8 s before T_REC then, as published, and after it in July."""
    assert only("hmi.ic_720s[2017.01.09_TAI]").text("T_OBS") == "2017.01.08_23:59:52_TAI"
    assert only("hmi.ic_720s[2017.07.04_TAI]").text("T_OBS") == "2017.07.04_00:00:08_TAI"
    assert view(TaiTime.parse("2017.07.04_TAI").seconds).distance_m > 1.016 * AU_M


def test_there_is_no_image_while_the_earth_is_in_the_way() -> None:
    """QUALITY shows its missing value as it is; statistics of no image are missing."""
    record = only("hmi.v_45s[2014.03.07_06:48_TAI]")
    assert not record.has_image
    assert (record.text("QUALITY"), record.text("DATAMEAN")) == ("0x80000000", "MISSING")
    assert not CATALOG.open("hmi.v_45s[2014.03.07_06:48_TAI]", images_only=True)
    assert CATALOG.open("hmi.v_45s[2014.03.07_06:48_TAI][? QUALITY < 0 ?]", images_only=True)


def test_a_record_says_that_it_is_computed() -> None:
    """Nobody should take it for an observation."""
    assert "computed" in only("hmi.v_45s[2014.06.01_TAI]").text("COMMENT")
    assert "computed" in only("aia.lev1_euv_12s[2014-06-01T00:00:00Z][171]").text("BLD_VERS")


def test_a_region_grows_moves_and_is_gone() -> None:
    """What its keywords say of it fits together."""
    records = CATALOG.open("hmi.sharp_cea_720s[3604]")
    first, middle, last = records[0], records[len(records) // 2], records[-1]
    flux = [float(record.text("USFLUX")) for record in (first, middle, last)]
    assert flux[1] > flux[0] and flux[1] > flux[2]
    longitudes = [float(record.text("LON_FWT")) for record in records]
    assert longitudes == sorted(longitudes)
    assert (first.text("T_FRST"), last.text("T_LAST")) == (first.text("T_REC"), last.text("T_REC"))
    assert first.text("N_PATCH") == "1336"


# Links and files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "link", "shown"),
    [
        ("hmi.B_720s[2013.07.03_08:48_TAI]", "MDATA", "hmi.ME_720s_fd10[2013.07.03_08:48:00_TAI]"),
        ("hmi.sharp_720s[4864][2014.11.30_TAI]", "mharp", "hmi.Mharp_720s[4864][2014.11.30_00:00:00_TAI]"),
        ("hmi.V_sht_modes[$]", "HISTORY", "hmi.globalhs_history[:#1]"),
        ("hmi.v_45s[$]", "MDATA", "Invalid_Link"),
    ],
)
def test_a_link_shows_where_it_leads(text: str, link: str, shown: str) -> None:
    """Dynamic ones by prime keys, static ones by number."""
    assert only(text).link_text(link) == shown


def test_every_wavelength_leads_to_an_image_of_its_own() -> None:
    """Seven images of a slot, and two ultraviolet ones of twice the time, are nine different records of level 1."""
    records = CATALOG.open("aia.lev1_euv_12s[2014.01.01_00:00:24_TAI/24s],aia.lev1_uv_24s[2014.01.01_00:00:24_TAI]")
    images = [record.linked("lev1") for record in records]
    assert all(image is not None for image in images)
    assert len(set(images)) == len(records) == 16
    for record, image in zip(records, images, strict=True):
        assert image is not None and record.text("WAVELNTH") == image.text("WAVELNTH")


def test_sizes_of_records_are_those_of_real_files() -> None:
    """A magnetogram of 4096 by 4096 takes some 15 MB compressed as whole numbers of 16 bits."""
    record = only("hmi.m_720s[2014.01.01_TAI]")
    assert 10e6 < record.size_bytes < 40e6
    assert record.size_bytes == only("hmi.m_720s[2014.01.01_TAI]").size_bytes


@pytest.mark.parametrize(
    ("text", "segment", "name"),
    [
        ("hmi.v_sht_2drls[2024.09.19_TAI][0][6]", "split", "splittings.out"),
        ("aia.lev1_euv_12s[2014-01-01T00:00:01Z][171]", "image", "image_lev1.fits"),
        ("hmi.rdVflows_fd15_frame[2150][360]", "Ux", "Ux"),
    ],
)
def test_stored_files_have_their_published_names(text: str, segment: str, name: str) -> None:
    """They are not always called after the segment; some are directories."""
    assert only(text).segment_path(segment).rpartition("/")[2] == name


def test_where_nothing_is_stored_there_is_no_record() -> None:
    """A path that was made up leads nowhere."""
    record = only("hmi.v_45s[2014.01.01_TAI]")
    assert CATALOG.record_at(record.sunum, record.series.unitsize) is None
    assert CATALOG.record_at(12, 0) is None
    with pytest.raises(KeyError):
        record.segment_path("magnetogram")


def test_what_is_missing_is_said() -> None:
    """A keyword that the series lacks is another matter than a value that the record lacks."""
    record = only("hmi.v_45s[2014.01.01_TAI]")
    assert record.text("FOO") == "Invalid KeyLink"
    assert record.text("CAL_FSN") == "MISSING"
    assert record.value("FOO") is None and record.value("CAL_FSN") is None


# Means and regions ----------------------------------------------------------------------------------------------------


def steps(text: str, keyword: str) -> list[float]:
    """Return how much a keyword changes from one record to the next."""
    found = [float(record.text(keyword)) for record in CATALOG.open(text)]
    return [after - before for before, after in pairwise(found)]


def test_means_follow_the_spacecraft_smoothly() -> None:
    """45 s apart, the mean of Dopplergrams changes as OBS_VR does, and that of intensities by 0.01 % at most."""
    hour = "[2014.01.01_06:00_TAI/1h]"
    changes = zip(*(steps(f"hmi.v_45s{hour}", name) for name in ("DATAMEAN", "OBS_VR")), strict=True)
    assert all(abs(mean - speed) < 0.5 for mean, speed in changes)
    assert all(abs(step) < 4.5 for step in steps(f"hmi.ic_45s{hour}", "DATAMEAN"))


def test_large_values_are_printed_with_an_exponent() -> None:
    """A flux of 22 digits would not be read by anyone."""
    flux = only("hmi.sharp_cea_720s[4864][2014.11.30_TAI]").text("USFLUX")
    assert re.fullmatch(r"\d\.\d{6}e\+21", flux)


@pytest.mark.parametrize(
    ("harp", "number"), [(377, 11158), (1449, 11429), (4698, 12192), (4864, 12222), (7115, 12673), (11149, 13664)]
)
def test_famous_regions_have_their_numbers(harp: int, number: int) -> None:
    """Of HARP and of NOAA."""
    record = CATALOG.open(f"hmi.sharp_720s[{harp}]", n=1)[0]
    assert (record.text("NOAA_AR"), record.text("NOAA_ARS"), record.text("NOAA_NUM")) == (str(number), str(number), "1")


@pytest.mark.parametrize("which", ["definitive", "nrt"])
def test_numbers_of_active_regions_go_on_with_time(which: str) -> None:
    """Each is given once, to about every fourth region."""
    numbers = [patch.active_region for patch in patches(which)]
    given = [number for number in numbers if number]
    assert given == sorted(set(given))
    assert 0.1 < len(given) / len(numbers) < 0.5


@pytest.mark.parametrize(
    ("day", "number"), [("2011.02.15", 11158), ("2014.10.24", 12192), ("2014.11.30", 12222), ("2017.09.06", 12673)]
)
def test_a_famous_region_is_there_on_its_day(day: str, number: int) -> None:
    """Whoever looks for the region of a great flare finds it by its number."""
    found = CATALOG.open(f"hmi.sharp_cea_720s[][{day}_12:00_TAI][? NOAA_AR = {number} ?]")
    assert len(found) == 1
