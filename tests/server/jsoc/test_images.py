"""Pictures as images and movies, looked at with the libraries that people look at them with."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

from aurora_async.server.jsoc.images import ImageOptions, ImagesUnavailable, image_file, require, save_movie

RAMP = np.linspace(0, 100, 64 * 48).reshape(48, 64)
"""Darkest below on the left, as images of the Sun have their first row below."""


def options(text: str = "") -> ImageOptions:
    """Read options as they follow a protocol."""
    return ImageOptions.of_protocol(f"jpg,{text}" if text else "jpg")


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_an_image_has_north_above(kind: str) -> None:
    """The first row of a picture is the last of an image."""
    image = PIL.Image.open(io.BytesIO(image_file(RAMP, options(), kind)))
    assert (image.size, image.format) == ((64, 48), {"jpg": "JPEG", "png": "PNG"}[kind])
    light = np.asarray(image.convert("L")).astype(float)
    assert light[0].mean() > 240
    assert light[-1].mean() < 15


@pytest.mark.parametrize("binning", [1, 2, 4, 8])
def test_size_is_a_factor_of_binning(binning: int) -> None:
    """1 is the whole picture, 2 half of it in both directions."""
    assert options(f"size={binning}").paint(RAMP).shape == (48 // binning, 64 // binning, 3)


def test_limits_of_the_scale_are_kept() -> None:
    """What is below the least is black, what is above the most is white, whatever there is in the picture."""
    painted = options("CT=grey.sao,scaling=MINMAXGIVEN,min=40,max=60").paint(RAMP)[::-1, :, 0]
    assert (painted[RAMP < 40] == 0).all()
    assert (painted[RAMP > 60] == 255).all()
    assert 100 < painted[np.abs(RAMP - 50) < 1].mean() < 155


@pytest.mark.parametrize("scaling", ["LOG", "SQRT", "MINMAX", "mag"])
def test_every_scaling_keeps_the_order_of_values(scaling: str) -> None:
    """Brighter is more, in each of them."""
    painted = options(f"scaling={scaling}").paint(RAMP)[::-1, :, 0].astype(int)
    assert (np.diff(painted.ravel()) >= 0).all()
    assert painted.max() > painted.min()


def test_zero_is_grey_in_magnetograms() -> None:
    """`mag` shows both signs alike."""
    painted = options("CT=HMI_mag.lut,scaling=mag,max=100").paint(np.array([[-100.0, 0.0, 100.0]]))
    assert painted[0, :, 0].tolist() == [0, 127, 255]


def test_colour_tables_differ_and_what_is_missing_is_black() -> None:
    """A colour table has a hue, and nothing is where nothing was observed."""
    pixels = np.where(RAMP < 50, np.nan, RAMP)
    grey, gold = (options(f"ct={name}").paint(pixels)[::-1] for name in ("GREY.SAO", "aia_171.lut"))
    assert (grey[RAMP < 50] == 0).all()
    assert (grey[..., 0] == grey[..., 2]).all()
    assert gold[-1, 30, 0] > gold[-1, 30, 2]


@pytest.mark.parametrize("text", ["CT=none.lut", "scaling=CUBE", "size=0", "size=half", "min=low", "colour=red", "x"])
def test_an_option_that_there_is_not_is_refused(text: str) -> None:
    """The export fails with what was wrong, and makes no image of another kind."""
    with pytest.raises(ImagesUnavailable, match="is no option of an image"):
        options(text)


@pytest.mark.parametrize("kind", ["mp4", "mpg"])
def test_a_movie_has_a_frame_for_each_picture(tmp_path: Path, kind: str) -> None:
    """Also where sides are no multiple of what the codec works in, and pictures differ in form."""
    pictures = [np.roll(RAMP, number, axis=1)[: 41 + number % 2] for number in range(10)]
    save_movie(tmp_path / f"film.{kind}", kind, iter(pictures), options("CT=heat.sao"))
    with av.open(str(tmp_path / f"film.{kind}")) as movie:
        frames = list(movie.decode(video=0))
    assert len(frames) == 10
    assert (frames[0].width, frames[0].height) == (64, 48)


@pytest.mark.parametrize(("kind", "module"), [("jpg", "PIL.Image"), ("png", "PIL.Image"), ("mp4", "av"), ("mpg", "av")])
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, module: str) -> None:
    """The error says what to install, and for what."""
    monkeypatch.setitem(sys.modules, module, None)
    if module == "PIL.Image":
        monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImagesUnavailable, match=r"pip install 'aurora-async\[images\]'"):
        require(kind)
