"""What an export may have done to its images: cut out, bin, scale, project.

The images here are smaller than the real ones by a factor, and so is everything that is said in pixels: a cut-out of
512 pixels of a 4096 pixel image is an eighth of the disk here as well. As at JSOC, arguments that make no sense leave
an image as it is; only a step that nobody knows is an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from aurora_async.errors import InvalidInput
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.scenes import Frame, Picture, Pixels, reduced

__all__ = ["Process", "Step", "StepError", "apply_steps", "to_ptr"]

_LONGEST = 1024
"""Pixels that an image has at most along an axis, after it is processed."""
_DEGREES_PER_DAY = 13.2


class StepError(Exception):
    """A list of steps that cannot be understood; the text says why."""


@attrs.frozen
class Step:
    """One step, and its arguments as texts."""

    name: str
    arguments: Mapping[str, str] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{name}={value}" for name, value in self.arguments.items())])

    def number(self, name: str, default: float) -> float:
        """Return an argument as a number; the default too where it is none."""
        try:
            value = float(self.arguments.get(name, default))
        except ValueError:
            return default
        return value if math.isfinite(value) else default

    def word(self, name: str, default: str = "") -> str:
        """Return an argument as a word in lower case."""
        return self.arguments.get(name, default).strip().lower()

    def flag(self, name: str) -> bool:
        """Tell whether an argument is there and not 0."""
        return self.word(name, "0") not in ("0", "")


@attrs.frozen
class Process:
    """How many records are wanted (0: all, below: the last), and what is done to each."""

    limit: int = 0
    steps: tuple[Step, ...] = ()

    @classmethod
    def of_text(cls, text: str) -> Process:
        """Read `n=LIMIT|step,argument=value,…|…`.

        Raises:
            StepError: There is no such step, or it cannot be read.
        """
        first, *rest = text.split("|")
        name, equals, number = first.partition("=")
        if name.strip() != "n" or not equals:
            rest, number = text.split("|"), "0"
        return cls(_limit(number), _known(_step(part) for part in rest if part.strip()))

    @classmethod
    def of_json(cls, text: str, limit: str) -> Process:
        """Read the steps of the newer spelling, a JSON object; the limit is another parameter there.

        Raises:
            StepError: It is no JSON, or there is no such step.
        """
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise StepError("processing is not a JSON object")
        return cls(_limit(limit), _known(Step(name, _texts(value)) for name, value in document.items()))

    def __str__(self) -> str:
        return "|".join([f"n={self.limit}", *map(str, self.steps)])


def _limit(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise StepError(f"{text!r} is not a number of records") from None


def _step(text: str) -> Step:
    name, *arguments = text.split(",")
    return Step(name.strip(), {key.strip(): value for key, _, value in (one.partition("=") for one in arguments)})


def _texts(value: Any) -> dict[str, str]:
    return {name: str(one) for name, one in value.items()} if isinstance(value, dict) else {}


def _known(steps: Any) -> tuple[Step, ...]:
    named = [attrs.evolve(step, name=_OTHER_NAMES.get(step.name, step.name)) for step in steps]
    for step in named:
        if step.name not in _STEPS and step.name not in ("no_op", "HmiB2ptr"):
            raise StepError(f"there is no processing step {step.name!r}")
    return tuple(step for step in named if step.name != "no_op")


def apply_steps(picture: Picture, steps: Sequence[Step]) -> Picture:
    """Return what becomes of a picture; of its planes the first, should there be several."""
    if steps and picture.pixels.ndim > 2:
        picture = attrs.evolve(picture, pixels=picture.pixels[0])
    for step in steps:
        if act := _STEPS.get(step.name):
            picture = act(picture, step)
    return picture


# The steps ----------------------------------------------------------------------------------------------------------


def _im_patch(picture: Picture, step: Step) -> Picture:
    """Cut a box out; what of it lies outside of the image is empty."""
    frame, (rows, columns) = picture.frame, picture.shape
    width, height = (_box_pixels(picture, step, name, axis) for axis, name in enumerate(("width", "height")))
    if not (1 <= width <= _LONGEST and 1 <= height <= _LONGEST):
        return picture
    column, row = _box_centre(picture, step)
    left, bottom = round(column - (width - 1) / 2) - 1, round(row - (height - 1) / 2) - 1
    patch = np.full((height, width), np.nan)
    inside = (
        slice(max(0, bottom), max(0, min(rows, bottom + height))),
        slice(max(0, left), max(0, min(columns, left + width))),
    )
    cut = picture.pixels[inside]
    if cut.size:
        at_row, at_column = max(0, -bottom), max(0, -left)
        patch[at_row : at_row + cut.shape[0], at_column : at_column + cut.shape[1]] = cut
    moved = attrs.evolve(frame, crpix=(frame.crpix[0] - left, frame.crpix[1] - bottom))
    if step.flag("c"):
        patch[_beyond_limb(moved, patch)] = np.nan
    return attrs.evolve(picture, pixels=patch, frame=moved)


def _box_pixels(picture: Picture, step: Step, name: str, axis: int) -> int:
    size, unit = step.number(name, 0), step.word("boxunits", "pixels")
    frame = picture.frame
    if unit == "arcsec":
        return _pixels(size / abs(frame.cdelt[axis]))
    if unit == "degrees":
        return _pixels(2 * frame.radius * math.sin(math.radians(min(size, 180) / 2)) / abs(frame.cdelt[axis]))
    return _pixels(size / picture.factor)


def _pixels(length: float) -> int:
    """Return a whole number of pixels: one at least of a box that has a size, none of one that has not."""
    return max(1, round(length)) if length > 0 else 0


def _box_centre(picture: Picture, step: Step) -> tuple[float, float]:
    frame, unit = picture.frame, step.word("locunits", "arcsec")
    x, y = step.number("x", 0), step.number("y", 0)
    if unit == "pixels":
        return (x - 0.5) / picture.factor + 0.5, (y - 0.5) / picture.factor + 0.5
    if unit in ("stony", "carrlong"):
        x, y = _from_heliographic(frame, x, y)
    if not step.flag("t") and (day := _day(step.arguments.get("t_ref", ""))) is not None:
        x, y = _tracked(frame, x, y, frame.day - day)
    column, row = frame.pixel(x, y)
    return float(column), float(row)


def _day(text: str) -> float | None:
    try:
        time = TaiTime.parse(text)
    except InvalidInput:
        return None
    return None if time.is_missing else time.seconds / 86_400


def _from_heliographic(frame: Frame, longitude: float, latitude: float) -> tuple[float, float]:
    north, west = math.radians(latitude), math.radians(longitude)
    return frame.radius * math.cos(north) * math.sin(west), frame.radius * math.sin(north)


def _tracked(frame: Frame, x: float, y: float, days: float) -> tuple[float, float]:
    """Return where the Sun's rotation has taken a place on the disk; it is left alone beyond the limb."""
    sine = y / frame.radius
    if abs(sine) >= 1:
        return x, y
    across = frame.radius * math.sqrt(1 - sine**2)
    if abs(x) >= across:
        return x, y
    angle = math.asin(x / across) + math.radians(_DEGREES_PER_DAY * days)
    return across * math.sin(max(-math.pi / 2, min(math.pi / 2, angle))), y


def _beyond_limb(frame: Frame, pixels: Pixels) -> Any:
    row, column = np.mgrid[1.0 : pixels.shape[0] + 1, 1.0 : pixels.shape[1] + 1]
    x, y = frame.world(column, row)
    return np.hypot(x, y) > frame.radius


def _rebin(picture: Picture, step: Step) -> Picture:
    """Average blocks of pixels, or repeat them."""
    scale = step.number("scale", 1)
    rows, columns = picture.shape
    if scale <= 0 or scale == 1 or max(rows, columns) * scale > _LONGEST:
        return picture
    pixels = picture.pixels
    if step.word("method", "boxcar") == "gaussian":
        pixels = _blurred(pixels, step.number("FWHM", 1 / scale))
    if scale > 1:
        times = round(scale)
        pixels = pixels.repeat(times, 0).repeat(times, 1)
        return Picture(pixels, reduced(picture.frame, 1 / times), picture.factor)
    block = min(round(1 / scale), rows, columns)
    rows, columns = rows // block, columns // block
    blocks = pixels[: rows * block, : columns * block].reshape(rows, block, columns, block)
    return Picture(_mean(blocks, (1, 3)), reduced(picture.frame, block), picture.factor)


def _mean(blocks: Pixels, axes: tuple[int, ...]) -> Pixels:
    """Return means of what is there, NaN where there is nothing at all."""
    there = np.isfinite(blocks)
    count = there.sum(axes)
    total = np.where(there, blocks, 0).sum(axes)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _blurred(pixels: Pixels, fwhm: float) -> Pixels:
    sigma = max(fwhm, 0.1) / 2.3548
    reach = min(int(3 * sigma) + 1, 32)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    there = np.isfinite(pixels).astype(float)
    values = np.nan_to_num(pixels)
    for axis in (0, 1):
        values, there = (
            np.apply_along_axis(lambda line: np.convolve(line, weights)[reach:-reach], axis, one)
            for one in (values, there)
        )
    return np.asarray(np.where(there > 0, values / np.maximum(there, 1e-12), np.nan))


def _resize(picture: Picture, step: Step) -> Picture:
    """Scale to a pixel size, turn north up, and put the disk into the middle."""
    scale_to = step.number("scale_to", 0) if step.flag("rescale") or "scale_to" in step.arguments else 0
    return _registered(picture, scale_to)


def _aia_scale(picture: Picture, step: Step) -> Picture:
    """Make level 1.5 of level 1: 0.6 arcsec a pixel, north up, the disk in the middle."""
    return _registered(picture, 0.6)


def _registered(picture: Picture, scale_to: float) -> Picture:
    frame, (rows, columns) = picture.frame, picture.shape
    size = scale_to * picture.factor if scale_to > 0 else abs(frame.cdelt[0])
    ratio = abs(frame.cdelt[0]) / size
    rows, columns = max(1, round(rows * ratio)), max(1, round(columns * ratio))
    if max(rows, columns) > _LONGEST:
        return picture
    wanted = attrs.evolve(
        frame, crpix=((columns + 1) / 2, (rows + 1) / 2), crval=(0.0, 0.0), cdelt=(size, size), crota_deg=0.0
    )
    row, column = np.mgrid[1.0 : rows + 1, 1.0 : columns + 1]
    return attrs.evolve(picture, pixels=_sampled(picture, *wanted.world(column, row)), frame=wanted)


def _sampled(picture: Picture, x: Pixels, y: Pixels) -> Pixels:
    """Return the picture at coordinates, between its pixels by the four around; NaN outside of it."""
    column, row = (np.nan_to_num(one, nan=-9.0) - 1 for one in picture.frame.pixel(x, y))
    rows, columns = picture.shape
    left, bottom = np.floor(column).astype(int), np.floor(row).astype(int)
    total = np.zeros(column.shape)
    for up in (0, 1):
        for right in (0, 1):
            weight = np.abs(column - left - (1 - right)) * np.abs(row - bottom - (1 - up))
            at_row, at_column = np.clip(bottom + up, 0, rows - 1), np.clip(left + right, 0, columns - 1)
            total += np.where(weight > 0, weight * picture.pixels[at_row, at_column], 0)
    outside = (column < -0.5) | (row < -0.5) | (column > columns - 0.5) | (row > rows - 0.5)
    return np.where(outside, np.nan, total)


def _maproj(picture: Picture, step: Step) -> Picture:
    """Unroll the disk into a map around a place."""
    frame = picture.frame
    columns, rows = (round(step.number(name, 512) / picture.factor) for name in ("cols", "rows"))
    degrees = step.number("scale", 0.1) * picture.factor
    if not (1 <= columns <= _LONGEST and 1 <= rows <= _LONGEST and degrees > 0):
        return picture
    row, column = np.mgrid[1.0 : rows + 1, 1.0 : columns + 1]
    east, north = ((at - (length + 1) / 2) * degrees for at, length in ((column, columns), (row, rows)))
    centre = step.number("clon", 0), step.number("clat", 0)
    longitude, latitude = _PROJECTIONS.get(step.word("map", "carree"), _carree)(
        np.radians(east), np.radians(north), math.radians(centre[1])
    )
    longitude = longitude + math.radians(centre[0])
    visible = np.cos(latitude) * np.cos(longitude) > 0
    x = np.where(visible, frame.radius * np.cos(latitude) * np.sin(longitude), np.nan)
    y = np.where(visible, frame.radius * np.sin(latitude), np.nan)
    unrolled = attrs.evolve(
        frame,
        crpix=((columns + 1) / 2, (rows + 1) / 2),
        crval=centre,
        cdelt=(degrees, degrees),
        crota_deg=0.0,
        is_disk=False,
        is_map=True,
    )
    return attrs.evolve(picture, pixels=_sampled(picture, x, y), frame=unrolled)


def _carree(east: Pixels, north: Pixels, latitude: float) -> tuple[Pixels, Pixels]:
    return east, np.clip(north + latitude, -math.pi / 2, math.pi / 2)


def _equal_area(east: Pixels, north: Pixels, latitude: float) -> tuple[Pixels, Pixels]:
    return east, np.arcsin(np.clip(north + math.sin(latitude), -1, 1))


def _orthographic(east: Pixels, north: Pixels, latitude: float) -> tuple[Pixels, Pixels]:
    depth = np.sqrt(np.clip(1 - east**2 - north**2, 0, None))
    up = np.clip(north * math.cos(latitude) + depth * math.sin(latitude), -1, 1)
    return np.arctan2(east, depth * math.cos(latitude) - north * math.sin(latitude)), np.arcsin(up)


_PROJECTIONS: Mapping[str, Callable[[Pixels, Pixels, float], tuple[Pixels, Pixels]]] = {
    "carree": _carree,
    "cyleqa": _equal_area,
    "sineqa": _equal_area,
    "orthographic": _orthographic,
    "postel": _orthographic,
    "gnomonic": _orthographic,
}
_STEPS: Mapping[str, Callable[[Picture, Step], Picture]] = {
    "im_patch": _im_patch,
    "resize": _resize,
    "rebin": _rebin,
    "aia_scale_orig": _aia_scale,
    "aia_scale_aialev1": _aia_scale,
    "aia_scale_other": _aia_scale,
    "Maproj": _maproj,
}
_OTHER_NAMES = {
    "to_ptr": "HmiB2ptr",
    "map_proj": "Maproj",
    "aia_scale": "aia_scale_aialev1",
}


def to_ptr(field: Picture, inclination: Picture, azimuth: Picture) -> dict[str, Picture]:
    """Return the three components of a magnetic field on the sphere, by the names of their segments."""
    strength, tilt, turn = (np.nan_to_num(one.pixels, nan=0.0) for one in (field, inclination, azimuth))
    tilt, turn = np.radians(tilt), np.radians(turn)
    empty = ~np.isfinite(field.pixels)
    parts = {
        "Bp": -strength * np.sin(tilt) * np.sin(turn),
        "Bt": strength * np.sin(tilt) * np.cos(turn),
        "Br": strength * np.cos(tilt),
    }
    return {name: attrs.evolve(field, pixels=np.asarray(np.where(empty, np.nan, part))) for name, part in parts.items()}
