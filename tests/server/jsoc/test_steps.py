"""What exports do to images, by numbers: sizes, sums, and where on the sky a pixel lies."""

from __future__ import annotations

import numpy as np
import pytest

from aurora_async.server.jsoc.scenes import Frame, Picture, scene
from aurora_async.server.jsoc.steps import Process, StepError, apply_steps

FULL = Frame(crpix=(2048.5, 2048.5), cdelt=(0.6, 0.6), radius=960.0)


def apply(text: str, picture: Picture) -> Picture:
    """Return what becomes of a picture by a process as it is sent."""
    return apply_steps(picture, Process.of_text(text).steps)


@pytest.fixture
def sun() -> Picture:
    """A whole disk: 64 by 64 pixels of 38.4 arcsec."""
    return scene("image", (4096, 4096), FULL, "seed")


def brightest(picture: Picture) -> tuple[float, float]:
    """Return where on the sky the brightest pixel is."""
    row, column = np.unravel_index(np.nanargmax(picture.pixels), picture.pixels.shape)
    x, y = picture.frame.world(float(column + 1), float(row + 1))
    return float(x), float(y)


def test_a_small_image_has_the_sky_of_the_real_one(sun: Picture) -> None:
    """Who reads the coordinates finds the disk where it was, and of its size."""
    assert sun.pixels.shape == (64, 64)
    assert sun.frame.crpix == (32.5, 32.5)
    assert sun.frame.cdelt == pytest.approx((38.4, 38.4))
    edges = [float(FULL.world(at, 2048.5)[0]) for at in (0.5, 4096.5)]
    assert [float(sun.frame.world(at, 32.5)[0]) for at in (0.5, 64.5)] == pytest.approx(edges)


def test_pictures_of_the_same_seed_are_the_same() -> None:
    """A file can be had in parts, or again later."""
    one, other, third = (scene("magnetogram", (4096, 4096), FULL, seed) for seed in ("a", "a", "b"))
    assert np.array_equal(one.pixels, other.pixels, equal_nan=True)
    assert not np.array_equal(one.pixels, third.pixels, equal_nan=True)


def test_a_cut_out_shows_what_was_there(sun: Picture) -> None:
    """A box around the brightest place has it in its middle, and its coordinates say so."""
    x, y = brightest(sun)
    cut = apply(f"n=0|im_patch,x={x},y={y},width=345.6,height=192,boxunits=arcsec,locunits=arcsec,t=1", sun)
    assert cut.pixels.shape == (5, 9)
    assert cut.pixels[2, 4] == np.nanmax(sun.pixels)
    assert brightest(cut) == pytest.approx((x, y))


def test_a_cut_out_over_the_edge_is_empty_there(sun: Picture) -> None:
    """The box has the size that was asked for wherever it lies."""
    cut = apply("n=0|im_patch,x=1,y=1,width=640,height=640,boxunits=pixels,locunits=pixels,t=1", sun)
    assert cut.pixels.shape == (10, 10)
    assert np.isnan(cut.pixels).sum() == 100 - 25
    assert np.array_equal(cut.pixels[5:, 5:], sun.pixels[:5, :5])


def test_a_cut_out_follows_the_rotation() -> None:
    """A place that is at the centre at the reference time is in the west a day later; without tracking it stays."""
    day = 20_000.0
    later = scene("image", (4096, 4096), Frame(crpix=FULL.crpix, cdelt=FULL.cdelt, day=day + 1), "seed")
    reference = "2031.10.05_00:00:00_TAI"  # day 20000 of the service's clock
    box = f"t_ref={reference},x=0,y=0,width=512,height=512,boxunits=pixels,locunits=arcsec"
    tracked, still = (apply(f"n=0|im_patch,{box},t={flag}", later) for flag in (0, 1))

    def centre_x(picture: Picture) -> float:
        return float(picture.frame.world(4.5, 4.5)[0])

    assert centre_x(still) == pytest.approx(0, abs=20)
    assert centre_x(tracked) == pytest.approx(960 * np.sin(np.radians(13.2)), abs=20)


def test_beyond_the_limb_can_be_cut_away(sun: Picture) -> None:
    """`c` leaves the disk only."""
    cut = apply("n=0|im_patch,x=0,y=0,width=4096,height=4096,boxunits=pixels,t=1,c=1", sun)
    assert np.isnan(cut.pixels[0, 0])
    assert np.isfinite(cut.pixels[32, 32])


@pytest.mark.parametrize(
    ("scale", "shape"), [("0.25", (16, 16)), ("0.5", (32, 32)), ("2", (128, 128)), ("1", (64, 64))]
)
def test_binning_keeps_the_mean_and_the_sky(sun: Picture, scale: str, shape: tuple[int, int]) -> None:
    """Averages are averages, and the disk stays where it is."""
    binned = apply(f"n=0|rebin,method=boxcar,scale={scale}", sun)
    assert binned.pixels.shape == shape
    assert binned.pixels.mean() == pytest.approx(sun.pixels.mean())
    assert binned.frame.cdelt[0] == pytest.approx(38.4 / float(scale))
    assert binned.frame.crpix == pytest.approx(((shape[1] + 1) / 2, (shape[0] + 1) / 2))


def test_a_blurred_image_varies_less(sun: Picture) -> None:
    """`gaussian` takes more than the block into its mean."""
    boxcar, gaussian = (apply(f"n=0|rebin,method={one},scale=0.5,FWHM=4", sun) for one in ("boxcar", "gaussian"))
    assert gaussian.pixels.shape == boxcar.pixels.shape
    assert gaussian.pixels.std() < boxcar.pixels.std()


@pytest.mark.parametrize("step", ["aia_scale_aialev1", "aia_scale_orig", "aia_scale", "resize,rescale=1,scale_to=1.2"])
def test_a_registered_image_has_north_above_and_the_disk_in_its_middle(step: str) -> None:
    """An image of a turned camera, off its centre, ends like one that was not."""
    turned = Frame(crpix=(2000.0, 2100.0), cdelt=(0.5, 0.5), crota_deg=180.0, radius=960.0)
    picture = scene("image", (4096, 4096), turned, "seed")
    registered = apply(f"n=0|{step}", picture)
    size = 1.2 if "scale_to" in step else 0.6
    rows, columns = registered.pixels.shape
    assert registered.frame.crota_deg == 0
    assert registered.frame.crpix == ((columns + 1) / 2, (rows + 1) / 2)
    assert registered.frame.cdelt[0] == pytest.approx(size * 64)
    assert rows == round(64 * 0.5 / size)
    if size < 1:  # between larger pixels, the brightest one may get lost
        assert brightest(registered) == pytest.approx(brightest(picture), abs=size * 64)


def test_a_map_unrolls_the_disk(sun: Picture) -> None:
    """The centre of a map is the place that was asked for, and its axes are degrees."""
    mapped = apply("n=0|Maproj,map=carree,clon=30,clat=0,scale=0.03125,cols=2048,rows=1024", sun)
    assert mapped.pixels.shape == (16, 32)
    assert mapped.frame.cdelt == (2.0, 2.0)
    column, row = (float(at) for at in sun.frame.pixel(960 * np.sin(np.radians(31)), 960 * np.sin(np.radians(1))))
    near = sun.pixels[int(row) - 2 : int(row) + 2, int(column) - 2 : int(column) + 2]
    assert near.min() <= mapped.pixels[8, 16] <= near.max()


@pytest.mark.parametrize(
    "step",
    [
        "im_patch,width=0,height=10,boxunits=pixels",
        "im_patch,width=wide,height=10,boxunits=arcsec",
        "im_patch",
        "rebin,scale=-1",
        "rebin,scale=1000",
        "resize,rescale=1,scale_to=0.001",
        "Maproj,cols=0,rows=10",
        "no_op",
    ],
)
def test_arguments_that_make_no_sense_leave_an_image_alone(sun: Picture, step: str) -> None:
    """As at JSOC, where such an export succeeds, with an image that nothing has been done to."""
    left = apply(f"n=0|{step}", sun)
    assert left is sun


def test_a_process_is_read_in_both_spellings() -> None:
    """The newer one is JSON, with its own names for some steps, and its limit apart."""
    old = Process.of_text("n=-3|HmiB2ptr,l=1|Maproj,clon=5")
    new = Process.of_json('{"to_ptr": {"l": 1}, "map_proj": {"clon": 5}}', "-3")
    assert old == new
    assert Process.of_text(str(old)) == old
    assert Process.of_text("n=0|no_op") == Process()


@pytest.mark.parametrize("text", ["n=0|foobar", "n=few", "foobar"])
def test_a_step_that_nobody_knows_is_an_error(text: str) -> None:
    """A typing error in the name of a step would otherwise go unnoticed."""
    with pytest.raises(StepError):
        Process.of_text(text)
