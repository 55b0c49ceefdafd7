"""FITS files that are whole, and those that only look so."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from aurora_async.jsoc.fits import flaw_of

fits = pytest.importorskip("astropy.io.fits")


def written(*units: Any) -> bytes:
    """What astropy makes of them."""
    file = io.BytesIO()
    fits.HDUList(list(units)).writeto(file)
    return file.getvalue()


IMAGE = np.arange(64 * 50, dtype=np.int16).reshape(64, 50)
TABLE = np.array([(1, 2.5, "a"), (2, 3.5, "b")], dtype=[("n", "i4"), ("x", "f8"), ("s", "S5")])
FILES = {
    "image": written(fits.PrimaryHDU(IMAGE)),
    "no data": written(fits.PrimaryHDU()),
    "floats": written(fits.PrimaryHDU(IMAGE.astype(">f8"))),
    "long header": written(fits.PrimaryHDU(IMAGE, fits.Header([(f"K{n}", n) for n in range(200)]))),
    "extensions": written(fits.PrimaryHDU(), fits.ImageHDU(IMAGE), fits.BinTableHDU(TABLE)),
    "compressed": written(fits.PrimaryHDU(), fits.CompImageHDU(IMAGE, compression_type="RICE_1")),
    "cube": written(fits.PrimaryHDU(np.zeros((3, 4, 5), dtype=np.uint8))),
}


@pytest.mark.parametrize("name", FILES)
def test_whole_files_have_no_flaw(name: str) -> None:
    """Also inside of something else, where an archive has them."""
    data = FILES[name]
    assert flaw_of(io.BytesIO(data), len(data)) is None
    inside = io.BytesIO(b"before" + data + b"behind")
    inside.seek(6)
    assert flaw_of(inside, len(data)) is None


@pytest.mark.parametrize("name", FILES)
def test_cut_anywhere_they_have_one(name: str) -> None:
    """Between two blocks as well, where the length alone tells nothing; only a whole extension is never missed."""
    data = FILES[name]
    with fits.open(io.BytesIO(data)) as units:
        ends = {unit.fileinfo()["datLoc"] + unit.fileinfo()["datSpan"] for unit in units}
    for size in {1, 100, len(data) - 1, *range(2880, len(data), 2880)} - ends:
        flaw = flaw_of(io.BytesIO(data[:size]), size)
        assert flaw is not None and ("ends in the middle" in flaw or size < 10), size


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (b"<html>The server is busy</html>", "a web page came instead"),
        (b"  <!DOCTYPE html>", "a web page came instead"),
        (b"The disk is full", "something else came instead of a FITS file: 'The disk is full'"),
        (b"", "something else came"),
        (b"SIMPLE  =".ljust(2880), "has no end"),
    ],
)
def test_what_is_something_else_is_named(data: bytes, flaw: str) -> None:
    """The reader sees at once what came."""
    assert flaw in str(flaw_of(io.BytesIO(data), len(data)))


def test_what_the_standard_leaves_open_may_follow() -> None:
    """Some programs add blocks of their own behind the last extension."""
    data = FILES["image"] + bytes(2880)
    assert flaw_of(io.BytesIO(data), len(data)) is None
