"""What is in the files of every series that has any."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.contents import exported_file, is_image, picture_of, stored_file, stored_name
from aurora_async.server.jsoc.records import Record
from aurora_async.server.jsoc.scenes import unrolled

CATALOG = Catalog()
MAP = "hmi.sharp_cea_720s[4864][2014.11.30_00:00_TAI]"
PATCH = "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]"
RECORDS = [
    record
    for name in CATALOG.names()
    if (series := CATALOG.series(name)) is not None and series.segments and len(series.positions)
    for record in CATALOG.open(f"{name}[:#$]")
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.series.name)
def test_every_segment_of_every_series_has_a_file(record: Record) -> None:
    """FITS to the letter where it says so, with the image's axes, and the record's keywords where it is exported."""
    for segment in record.series.segments:
        name = stored_name(record, segment.name)
        stored = stored_file(record, segment.name)
        assert stored == stored_file(record, segment.name)
        assert stored != stored_file(record, segment.name, version=2)
        if not is_image(record, segment.name):
            assert name is None or not name.endswith(".fits")
            assert stored.startswith(b"# Made up")
            continue
        for content, is_exported in ((stored, False), (exported_file(record, segment.name, ()), True)):
            with fits.open(io.BytesIO(content), checksum=True) as file:
                file.verify("exception")
                header, data = file[0].header, file[0].data
            axes = [int(axis) for axis in record.dims(segment).split("x") if axis.isdigit()]
            assert data.ndim == (len(axes) if len(axes) > 1 else 2)
            assert max(data.shape) <= 64
            for key in record.series.primekeys if is_exported else ():
                assert key[:8] in header or key.replace("_", "")[:8].upper() in header


def test_an_image_of_an_active_region_has_one_in_its_middle() -> None:
    """It lies where the record says, and both polarities are in the image."""
    (record,) = CATALOG.open(PATCH)
    picture = picture_of(record, "magnetogram")
    rows, columns = picture.shape
    x, y = (float(at) for at in picture.frame.world((columns + 1) / 2, (rows + 1) / 2))
    north = np.degrees(np.arcsin(y / picture.frame.radius))
    west = np.degrees(np.arcsin(x / picture.frame.radius / np.cos(np.radians(north))))
    assert [west, north] == pytest.approx([record.value("LON_FWT"), record.value("LAT_FWT")], abs=1)
    assert np.nanmax(picture.pixels) > 500
    assert np.nanmin(picture.pixels) < -500


# What an image shows, and what its header says of it ------------------------------------------------------------------


def only(text: str) -> Record:
    """Return the one record of a text."""
    (record,) = CATALOG.open(text)
    return record


def read(record: Record, segment: str) -> tuple[fits.Header, NDArray[Any]]:
    """Return header and image of an exported file."""
    with fits.open(io.BytesIO(exported_file(record, segment, ()))) as file:
        return file[0].header.copy(), np.array(file[0].data, float)


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        ("hmi.v_45s[2014.01.01_TAI]", "Dopplergram"),
        ("hmi.v_45s[2016.04.01_00:00_TAI]", "Dopplergram"),  # the mean is published
        ("hmi.m_720s[2014.01.01_TAI]", "magnetogram"),
        ("hmi.ic_45s[2014.01.01_TAI]", "continuum"),
        ("aia.lev1_euv_12s[2021-07-03T14:25:23Z][94]", "image"),
        ("aia.lev1_euv_12s[2021-07-03T14:25:23Z][171]", "image"),
        ("aia.lev1_euv_12s[2021-07-03T14:27:23Z][211]", "image"),  # a short exposure
        ("mdi.fd_M_96m_lev182[2003.10.28_TAI]", "data"),
        ("mdi.fd_v[:#$]", "data"),
    ],
)
def test_an_image_has_the_statistics_of_its_record(text: str, segment: str) -> None:
    """Whoever selects records by their keywords gets images that are so, and headers that say the same."""
    record = only(text)
    header, image = read(record, segment)
    for name, found in (("DATAMIN", np.nanmin), ("DATAMEAN", np.nanmean), ("DATAMAX", np.nanmax)):
        said = record.value(name)
        assert isinstance(said, int | float)
        assert header[name] == pytest.approx(found(image), rel=1e-6)
        assert found(image) == pytest.approx(said, rel=1e-3, abs=2)
    assert header["DATAMEAN"] == pytest.approx(record.value("DATAMEAN"), rel=1e-3, abs=0.02)
    assert header["DATAVALS"] + header["MISSVALS"] == image.size


def test_a_header_tells_of_each_of_several_images() -> None:
    """The statistics of one record cannot be those of all its segments."""
    record = only("hmi.B_720s[2014.01.01_TAI]")
    for segment in ("field", "inclination"):
        header, image = read(record, segment)
        assert header["DATAMEAN"] == pytest.approx(np.nanmean(image))
        assert header["DATAMEA2"] == pytest.approx(np.nanmean(image), rel=0.05)


def test_a_segment_whose_name_says_nothing_shows_what_its_unit_says() -> None:
    """MDI's are called `data`: a magnetogram has both signs and no corona, a Dopplergram recedes in the west."""
    header, field = read(only("mdi.fd_M_96m_lev182[2003.10.28_TAI]"), "data")
    assert np.isnan(field[0, 0])
    assert abs(np.nanmedian(field)) < 20
    assert (header["CUNIT1"], header["CUNIT2"], header["RSUN_REF"]) == ("arcsec", "arcsec", 696_000_000.0)
    _, speed = read(only("mdi.fd_v[:#$]"), "data")
    assert np.nanmean(speed[:, 44:]) - np.nanmean(speed[:, :20]) > 1000


def test_a_field_strength_is_never_negative() -> None:
    """The sign is in the inclination, which is below 90 degrees where the field comes towards us."""
    record = only("hmi.B_720s[2014.01.01_TAI]")
    field, inclination = (picture_of(record, name).pixels for name in ("field", "inclination"))
    along = field * np.cos(np.radians(inclination))
    assert np.nanmin(field) >= 0
    line_of_sight = picture_of(only("hmi.m_720s[2014.01.01_TAI]"), "magnetogram").pixels
    strong = np.nan_to_num(abs(line_of_sight)) > 700
    assert np.corrcoef(along[strong], line_of_sight[strong])[0, 1] > 0.5


@pytest.mark.parametrize(("segment", "metre"), [("Dopplergram", 1), ("vlos_mag", 100)])
def test_the_spacecraft_moves_in_images_of_velocity(segment: str, metre: float) -> None:
    """Its speed is up to 3 km/s, more than that of the Sun's rotation."""
    record = only(PATCH)
    image = picture_of(record, segment).pixels
    assert np.nanmean(image) / metre == pytest.approx(record.value("OBS_VR"), abs=2000)
    assert np.nanmin(image) / metre > 1000


@pytest.mark.parametrize("text", [PATCH, MAP])
def test_a_bitmap_has_the_published_marks(text: str) -> None:
    """Weak and strong field, 32 more inside of the region."""
    _, marks = read(only(text), "bitmap")
    assert set(np.unique(marks)) <= {0, 1, 2, 33, 34}
    assert marks[marks.shape[0] // 2, marks.shape[1] // 2] > 32
    assert marks[0, 0] < 3


def test_the_map_of_a_region_is_one() -> None:
    """Degrees of Carrington longitude and latitude, equal areas, the region in its middle."""
    record = only(MAP)
    header, image = read(record, "magnetogram")
    assert (header["CTYPE1"], header["CTYPE2"], header["CUNIT1"]) == ("CRLN-CEA", "CRLT-CEA", "degree")
    assert (record.text("CDELT1"), record.text("CTYPE2")) == ("0.030000", "CRLT-CEA")
    with pytest.warns(FITSFixedWarning):  # of the unit's spelling, and of dates
        sky = WCS(header)
    rows, columns = image.shape
    longitude, latitude = sky.wcs_pix2world([[(columns + 1) / 2, (rows + 1) / 2]], 1)[0]
    meridian, west, north = (record.value(name) for name in ("CRLN_OBS", "LON_FWT", "LAT_FWT"))
    assert isinstance(meridian, float) and isinstance(west, float)
    assert [longitude, latitude] == pytest.approx([(meridian + west) % 360, north], abs=0.2)
    corners = sky.wcs_pix2world([[0.5, rows / 2], [columns + 0.5, rows / 2]], 1)
    width, height = (int(axis) for axis in record.dims(record.series.segments[0]).split("x"))
    assert header["CDELT1"] * columns == pytest.approx(0.03 * width, rel=0.05)
    assert corners[1][0] > corners[0][0]
    strongest = np.unravel_index(np.nanargmax(image), image.shape)
    assert abs(strongest[1] - columns / 2) < columns / 2 - 3  # the pair is well inside
    assert height < width


def test_a_map_is_unrolled_as_its_header_says() -> None:
    """What is shown where is by the same formulae as what is said: those of the FITS standard."""
    header, _ = read(only(MAP), "magnetogram")
    with pytest.warns(FITSFixedWarning):
        sky = WCS(header)
    column, row = np.array([1.0, 11.0, 51.0]), np.array([1.0, 6.0, 21.0])
    frame = picture_of(only(MAP), "magnetogram").frame
    x, y = frame.world(column, row)
    found = unrolled(x - frame.crval[0], y - frame.crval[1], np.radians(frame.crval[1]))
    longitude, latitude = sky.wcs_pix2world(column, row, 1)
    assert np.degrees(found[0]) + frame.crval[0] == pytest.approx(longitude, abs=1e-5)
    assert np.degrees(found[1]) == pytest.approx(latitude, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "segment", "unit"),
    [
        ("aia.lev1_euv_12s[2014-01-01T00:00:01Z][171]", "image", "DN"),
        ("hmi.m_720s[2014.01.01_TAI]", "magnetogram", "Gauss"),
        ("hmi.B_720s[2014.01.01_TAI]", "disambig", None),
    ],
)
def test_a_unit_is_one_or_is_not_there(text: str, segment: str, unit: str | None) -> None:
    """`none` is no unit that astropy could read."""
    assert read(only(text), segment)[0].get("BUNIT") == unit
