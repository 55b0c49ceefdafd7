"""What the pictures of the local JSOC show: a made-up Sun that turns, with active regions, in images of small size.

The real images are 4096 pixels wide; these are smaller by a whole factor, with coordinates to match, so that whoever
reads them finds the disk where it was. Nothing in them was observed, and their headers say so.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "Picture", "Pixels", "fitted", "reduced", "scene", "unrolled"]

Pixels = NDArray[np.float64]

LONGEST = 64
"""Pixels that an image has at most along an axis, before it is processed."""
_MOST_PLANES = 4
_RADIUS_ARCSEC = 960.0
_DEGREES_PER_DAY = 13.2
_REGIONS = 14


@attrs.frozen(kw_only=True)
class Frame:
    """Where an image lies on the sky: pixel coordinates count from 1, as in FITS."""

    crpix: tuple[float, float]
    """The pixel of the reference point."""
    crval: tuple[float, float] = (0.0, 0.0)
    cdelt: tuple[float, float]
    """Size of a pixel in the unit of the axes."""
    crota_deg: float = 0.0
    radius: float = _RADIUS_ARCSEC
    """Radius of the disk, in the unit of the axes."""
    day: float = 0.0
    """When, in days: regions are further west each day."""
    away: float = 0.0
    """Speed (m/s) at which the observer goes away from the Sun."""
    region: tuple[float, float] | None = None
    """Coordinates of an active region that is there in any case."""
    is_disk: bool = True
    """False of maps, which show the Sun unrolled."""
    meridian_deg: float | None = None
    """Of the map of a region: the Carrington longitude that the middle of the disk has."""
    is_map: bool = False
    """Whether it was made a map by an export."""

    def world(self, column: Pixels | float, row: Pixels | float) -> tuple[Pixels, Pixels]:
        """Return the coordinates of pixels."""
        x = (column - self.crpix[0]) * self.cdelt[0]
        y = (row - self.crpix[1]) * self.cdelt[1]
        turn = math.radians(self.crota_deg)
        return (
            np.asarray(self.crval[0] + x * math.cos(turn) - y * math.sin(turn)),
            np.asarray(self.crval[1] + x * math.sin(turn) + y * math.cos(turn)),
        )

    def pixel(self, x: Pixels | float, y: Pixels | float) -> tuple[Pixels, Pixels]:
        """Return where coordinates are in the image."""
        turn = math.radians(self.crota_deg)
        along, across = np.asarray(x) - self.crval[0], np.asarray(y) - self.crval[1]
        column = (along * math.cos(turn) + across * math.sin(turn)) / self.cdelt[0] + self.crpix[0]
        row = (across * math.cos(turn) - along * math.sin(turn)) / self.cdelt[1] + self.crpix[1]
        return np.asarray(column), np.asarray(row)


@attrs.frozen
class Picture:
    """An image, NaN where there is nothing, and where it lies; a pixel is `factor` of the real image's wide."""

    pixels: Pixels
    frame: Frame
    factor: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.pixels.shape[-2]), int(self.pixels.shape[-1])


def scene(kind: str, dims: tuple[int, ...], frame: Frame, seed: str, *, units: str = "") -> Picture:
    """Make the picture of a record's segment.

    Args:
        kind: The segment's name, which tells what it shows.
        dims: Length of each axis of the real image, columns first.
        frame: Where the real image lies.
        seed: Another for each picture, for its noise.
        units: Its unit, which tells what it shows where its name does not.
    """
    factor = max(1, -(-max(dims[:2]) // LONGEST))
    columns, rows = (max(1, length // factor) for length in dims[:2])
    small = reduced(frame, factor)
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    row, column = np.mgrid[1.0 : rows + 1, 1.0 : columns + 1]
    x, y = small.world(column, row)
    by_unit = _OF_UNITS.get(units, _corona)
    show = next((show for pattern, show in _KINDS if re.search(pattern, kind, re.IGNORECASE)), by_unit)
    planes = [show(_Place(x, y, small), rng) for _ in range(min(_MOST_PLANES, math.prod(dims[2:])))]
    if units == "cm/s":
        planes = [plane * 100 for plane in planes]
    return Picture(planes[0] if len(dims) < 3 else np.stack(planes), small, factor)


def reduced(frame: Frame, factor: float) -> Frame:
    """Return the frame of an image whose pixels are larger by a factor (or smaller, below 1)."""
    return attrs.evolve(
        frame,
        crpix=((frame.crpix[0] - 0.5) / factor + 0.5, (frame.crpix[1] - 0.5) / factor + 0.5),
        cdelt=(frame.cdelt[0] * factor, frame.cdelt[1] * factor),
    )


def fitted(pixels: Pixels, least: float, mean: float, most: float) -> Pixels:
    """Return pixels brought to these statistics, in the same order of brightness."""
    low, high = np.nanmin(pixels), np.nanmax(pixels)
    if not (low < high and least < mean < most):
        return pixels
    share = (pixels - low) / (high - low)
    there = share[np.isfinite(share)]
    wanted = (mean - least) / (most - least)
    # The mean falls as the power grows: halve the interval that it is in.
    below, above = -6.0, 6.0
    for _ in range(26):
        middle = (below + above) / 2
        if np.mean(there ** (2.0**middle)) > wanted:
            below = middle
        else:
            above = middle
    return np.asarray(least + (most - least) * share ** (2.0**above))


class _Place:
    """The pixels of an image as places on the Sun."""

    def __init__(self, x: Pixels, y: Pixels, frame: Frame) -> None:
        if frame.is_disk:
            self.x, self.y = x / frame.radius, y / frame.radius
        elif frame.meridian_deg is not None:
            longitude, latitude = unrolled(x - frame.crval[0], y - frame.crval[1], math.radians(frame.crval[1]))
            west = longitude + math.radians(frame.crval[0] - frame.meridian_deg)
            self.x, self.y = np.cos(latitude) * np.sin(west), np.sin(latitude)
        else:
            # A map shows the whole Sun, whatever its axes are called.
            rows, columns = x.shape
            row, column = np.mgrid[0.0:rows, 0.0:columns]
            latitude = np.pi * ((row + 0.5) / rows - 0.5)
            self.x, self.y = (2 * (column + 0.5) / columns - 1) * np.cos(latitude), np.sin(latitude)
        self.radius = np.hypot(self.x, self.y)
        self.is_outside = self.radius > 1
        self.mu = np.sqrt(np.clip(1 - self.radius**2, 0, None))
        self.day = frame.day
        self.away = frame.away
        self.region = None if frame.region is None else [at / frame.radius for at in frame.region]

    def regions(self, shape: Callable[[Pixels, Pixels], Pixels]) -> Pixels:
        """Return the sum over the active regions that are in view, each of `shape`, in units of its size."""
        rng = np.random.default_rng(11)  # always the same regions, so that films and neighbouring images agree
        total = np.zeros_like(self.x)
        for longitude, latitude, strength in zip(
            rng.uniform(0, 360, _REGIONS), rng.uniform(5, 35, _REGIONS), rng.uniform(0.3, 1, _REGIONS), strict=True
        ):
            angle = math.radians(longitude + _DEGREES_PER_DAY * self.day)
            if math.cos(angle) < 0:
                continue
            north = math.sin(math.radians(latitude)) * (1 if strength > 0.65 else -1)
            west = math.sin(angle) * math.sqrt(1 - north**2)
            total += strength * shape((self.x - west) / 0.06, (self.y - north) / 0.05)
        if self.region is not None:
            total += shape((self.x - self.region[0]) / 0.06, (self.y - self.region[1]) / 0.05)
        return total


def unrolled(x: Pixels, y: Pixels, latitude: float) -> tuple[Pixels, Pixels]:
    """Return longitude from the middle and latitude (radians) of a cylindrical equal-area map around a latitude."""
    turn, height = np.radians(x), np.clip(np.radians(y), -1, 1)
    width = np.sqrt(1 - height**2)
    forward = width * np.cos(turn) * math.cos(latitude) - height * math.sin(latitude)
    up = width * np.cos(turn) * math.sin(latitude) + height * math.cos(latitude)
    return np.arctan2(width * np.sin(turn), forward), np.arcsin(np.clip(up, -1, 1))


def _spot(x: Pixels, y: Pixels) -> Pixels:
    return np.asarray(np.exp(-(x**2) - y**2))


def _pair(x: Pixels, y: Pixels) -> Pixels:
    return _spot(x - 0.8, y) - _spot(x + 0.8, y)


def _magnetic(place: _Place, rng: np.random.Generator) -> Pixels:
    field = 1500 * place.regions(_pair) * place.mu + rng.normal(0, 8, place.x.shape)
    return _on_disk(place, field)


def _velocity(place: _Place, rng: np.random.Generator) -> Pixels:
    # The western half goes away from us, and we from all of it; the oscillations are those of the quiet Sun.
    turning = 2000 * place.x * (1 - 0.2 * place.y**2)
    return _on_disk(place, place.away + turning + rng.normal(0, 250, place.x.shape))


def _continuum(place: _Place, rng: np.random.Generator) -> Pixels:
    light = 60_000 * (0.36 + 0.84 * place.mu - 0.2 * place.mu**2)
    return _on_disk(place, light * (1 - 0.5 * np.clip(place.regions(_spot), 0, 1)) + rng.normal(0, 300, place.x.shape))


def _corona(place: _Place, rng: np.random.Generator) -> Pixels:
    # Brightest at the limb, fading within a tenth of a radius above it.
    quiet = np.where(place.is_outside, 350 * np.exp((1 - place.radius) / 0.1), 180 / (place.mu + 0.5))
    return np.asarray(quiet + 4000 * place.regions(_spot) + rng.gamma(2.0, 6.0, place.x.shape))


def _strength(place: _Place, rng: np.random.Generator) -> Pixels:
    # The noise of a field strength is never negative, and larger than that of a magnetogram.
    return _on_disk(place, np.hypot(1500 * place.regions(_pair), rng.normal(0, 90, place.x.shape)))


def _angle(place: _Place, rng: np.random.Generator) -> Pixels:
    # Less than 90 degrees is towards us, where magnetograms are positive.
    angle = 90 - 85 * np.tanh(place.regions(_pair) * 3) + rng.normal(0, 2, place.x.shape)
    return _on_disk(place, np.clip(angle, 0, 180))


def _error(place: _Place, rng: np.random.Generator) -> Pixels:
    return _on_disk(place, rng.gamma(2.0, 10.0, place.x.shape))


def _flags(place: _Place, rng: np.random.Generator) -> Pixels:
    return np.where(place.is_outside, 0.0, rng.integers(0, 8, place.x.shape).astype(float))


def _bitmap(place: _Place, rng: np.random.Generator) -> Pixels:
    # 1 and 2: weak and strong field; 32 more within the region that is followed.
    marks = _activity(place, rng)
    if place.region is None:
        return marks
    down, across = (np.linspace(-1, 1, length) for length in place.x.shape)
    is_inside = np.hypot(down[:, None], across[None, :]) < 1
    return np.where(is_inside & (marks > 0), marks + 32, marks)


def _activity(place: _Place, rng: np.random.Generator) -> Pixels:
    return np.where(place.is_outside, 0.0, np.where(np.abs(_magnetic(place, rng)) > 100, 2.0, 1.0))


def _confidence(place: _Place, rng: np.random.Generator) -> Pixels:
    # Of the disambiguation: 90 where the field is strong, 50 where it is weak.
    return np.choose(_activity(place, rng).astype(int), (0.0, 50.0, 90.0))


def _on_disk(place: _Place, values: Pixels) -> Pixels:
    return np.where(place.is_outside, np.nan, values)


_KINDS: tuple[tuple[str, Callable[[_Place, np.random.Generator], Pixels]], ...] = (
    (r"bitmap", _bitmap),
    (r"mask", _activity),
    (r"conf_disambig", _confidence),
    (r"bad_pixel|disambig|conf|flag|info", _flags),
    (r"err|chisq|sigma|alpha_mag", _error),
    (r"inclination|azimuth", _angle),
    (r"^[quv]\d", _magnetic),
    (r"dopp|vlos|veloc|^u[xyz]|^v", _velocity),
    (r"continuum|depth|width|intensity|^i\d|dark|flat", _continuum),
    (r"field", _strength),
    (r"magn|^b|synop|^mr", _magnetic),
)
# What a picture shows whose name does not tell, as `data`.
_OF_UNITS = {"Gauss": _magnetic, "Mx/cm^2": _magnetic, "m/s": _velocity, "cm/s": _velocity}
