"""What is in the files of every series that has any."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.contents import exported_file, is_image, picture_of, stored_file, stored_name
from aurora_async.server.jsoc.records import Record

CATALOG = Catalog()
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
