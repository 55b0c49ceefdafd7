"""FITS files by hand, read by astropy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from aurora_async.server.jsoc.fits import Card, fits_file

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)


def read(content: bytes) -> tuple[Any, Any]:
    """Return header and image, which must be valid to the letter, with sums that come out."""
    with fits.open(io.BytesIO(content), checksum=True) as file:
        file.verify("exception")
        (image,) = file
        assert image.verify_checksum() == 1
        assert image.verify_datasum() == 1
        return image.header.copy(), np.array(image.data)


@pytest.mark.parametrize("kind", ["i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 64, 48), (24, 61)])
def test_an_image_is_read_as_it_was_written(kind: str, shape: tuple[int, ...]) -> None:
    """Axes, order of bytes and padding are right for every type that segments have."""
    pixels: NDArray[Any] = np.random.default_rng(1).normal(0, 1000, shape).astype(kind)
    _, data = read(fits_file(pixels, []))
    assert data.shape == shape
    assert np.array_equal(data, pixels)


@given(text=TEXTS)
def test_a_text_of_any_length_and_with_any_quotes_survives(text: str) -> None:
    """Long texts go on over several cards, and no quote is cut in two there; blanks at the end mean nothing in FITS."""
    header, _ = read(fits_file(np.zeros((2, 2), "i2"), [Card("TEXT", text, "a comment"), Card("AFTER", 1)]))
    assert header["TEXT"] == text.rstrip()
    assert header["AFTER"] == 1


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives(number: float) -> None:
    """Python writes some floats without a point, which FITS would take for whole numbers or for nothing."""
    header, _ = read(fits_file(np.zeros((2, 2), "f4"), [Card("VALUE", number)]))
    assert header["VALUE"] == number
    assert isinstance(header["VALUE"], float)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
def test_the_sums_come_out_whatever_the_image(seed: int, count: int) -> None:
    """Some sums have letters that are not allowed and must be shifted in pairs."""
    read(fits_file(np.random.default_rng(seed).integers(-(2**31), 2**31, (count, count)).astype("i4"), []))


def test_missing_flags_and_remarks_are_written_as_such() -> None:
    """A value that is not known is undefined, not 0 or an empty text."""
    cards = [Card("GONE", None, "not known"), Card("IS", True), Card("COMMENT", "made up"), Card("N", -5)]
    header, _ = read(fits_file(np.zeros((2, 2), "i2"), cards))
    assert header["GONE"] is None
    assert header.comments["GONE"] == "not known"
    assert (header["IS"], header["N"], list(header["COMMENT"])) == (True, -5, ["made up"])


def test_a_damaged_file_is_told_by_its_sums() -> None:
    """The sums are there to tell a transfer that went wrong from one that did not."""
    content = bytearray(fits_file(np.ones((8, 8), "f4"), []))
    content[2880 + 10] ^= 1
    with (
        pytest.warns(AstropyUserWarning, match="Checksum verification failed|Datasum verification failed"),
        fits.open(io.BytesIO(bytes(content)), checksum=True) as file,
    ):
        assert file[0].verify_datasum() == 0
