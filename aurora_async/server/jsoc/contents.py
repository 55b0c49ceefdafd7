"""What is in the files of records: FITS images and tables of text, made when they are asked for, always the same.

A file depends on the record, the segment and what an export does to it, on nothing else: so nothing is kept, and any
part of a file can be sent at any time.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from aurora_async.jsoc.keywords import KeywordType, Value
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.fits import Card, fits_file
from aurora_async.server.jsoc.records import Record
from aurora_async.server.jsoc.scenes import Frame, Picture, Pixels, fitted, scene
from aurora_async.server.jsoc.steps import Step, apply_steps, to_ptr
from aurora_async.server.jsoc.structure import SegmentDef, Series
from aurora_async.server.jsoc.values import OF_DISK, OF_IMAGE

__all__ = ["FIELD_SEGMENTS", "export_segments", "exported_file", "is_image", "picture_of", "stored_file", "stored_name"]

_MADE_UP = "Made up by aurora_async's local service. Not an observation."
FIELD_SEGMENTS = ("field", "inclination", "azimuth")
"""The segments that `HmiB2ptr` makes others of."""
_COMPONENTS = ("Bp", "Bt", "Br")
_TABLE_ROWS = 40


def stored_name(record: Record, segment: str) -> str | None:
    """Return the name of a segment's file in the store, None if the record has no such file."""
    defined = record.series.segment(segment)
    if defined is None or not record.has_image:
        return None
    return PurePosixPath(record.segment_path(defined)).name


def is_image(record: Record, segment: str) -> bool:
    """Tell whether a segment's file is a FITS image."""
    return (stored_name(record, segment) or "").endswith(".fits")


def stored_file(record: Record, segment: str, *, version: int = 1) -> bytes:
    """Return the file of a segment as it is in the store; the header of an image knows nothing of the record."""
    if not is_image(record, segment):
        return _table(record, segment, version)
    return _image_file(record, segment, picture_of(record, segment, version=version), [])


def exported_file(record: Record, segment: str, steps: Sequence[Step], *, version: int = 1) -> bytes:
    """Return the image of a segment after some steps, with the record's keywords in its header."""
    picture = picture_of(record, segment, steps, version=version)
    done = [Card("HISTORY", str(step)) for step in steps]
    cards = _keyword_cards(record, picture, _kept(picture, record.series.segment(segment)))
    return _image_file(record, segment, picture, [*cards, *done])


def export_segments(wanted: Sequence[str], steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the segments that come of those that are asked for; one step makes others of them."""
    return _COMPONENTS if any(step.name == "HmiB2ptr" for step in steps) else tuple(wanted)


def picture_of(record: Record, segment: str, steps: Sequence[Step] = (), *, version: int = 1) -> Picture:
    """Return what a segment shows after some steps."""
    if any(step.name == "HmiB2ptr" for step in steps):
        field, inclination, azimuth = (_scene(record, name, version) for name in FIELD_SEGMENTS)
        picture = to_ptr(field, inclination, azimuth)[segment]
    else:
        picture = _scene(record, segment, version)
    return apply_steps(picture, steps)


def _scene(record: Record, segment: str, version: int) -> Picture:
    dims = _dims(record, segment)
    seed = f"{record.series.name} {record.recnum} {segment} {version}"
    defined = record.series.segment(segment)
    picture = scene(segment, dims, _frame(record, dims), seed, units=defined.units if defined else "")
    if defined is None or not _has_statistics(record.series, defined):
        return picture
    said = [record.value(name) for name in ("DATAMIN", "DATAMEAN", "DATAMAX")]
    least, mean, most = (float(value) if isinstance(value, int | float) else math.nan for value in said)
    return attrs.evolve(picture, pixels=fitted(picture.pixels, least, mean, most))


def _has_statistics(series: Series, segment: SegmentDef) -> bool:
    """Tell whether the statistics of a record are those of a segment: of its only image that shows something."""
    images = [one for one in series.segments if one.protocol in ("fits", "fitsz") and one.name != "spikes"]
    return images == [segment] and segment.type != "char"


def _dims(record: Record, segment: str) -> tuple[int, ...]:
    """Return the size of the real image, columns first."""
    defined = record.series.segment(segment)
    said = record.dims(defined) if defined is not None else ""
    lengths = [int(text) for text in said.split("x") if text.isdigit()] or [4096, 4096]
    return tuple(lengths) if len(lengths) > 1 else (lengths[0], 1)


def _frame(record: Record, dims: tuple[int, ...]) -> Frame:
    """Return where the real image lies: as its keywords say, or with the whole disk in the middle."""

    def number(name: str, default: float) -> float:
        value = record.value(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else default

    radius = number("RSUN_OBS", 960.0)
    size = number("CDELT1", 2.2 * radius / dims[0]) or 1.0
    axis = record.value("CTYPE1")
    is_disk = not axis.startswith(("CR", "HG")) if isinstance(axis, str) else dims[0] == dims[1]
    frame = Frame(
        crpix=(number("CRPIX1", (dims[0] + 1) / 2), number("CRPIX2", (dims[1] + 1) / 2)),
        crval=(number("CRVAL1", 0.0), number("CRVAL2", 0.0)),
        cdelt=(size, number("CDELT2", size) or 1.0),
        crota_deg=number("CROTA2", 0.0),
        radius=radius,
        away=number("OBS_VR", 0.0),
        day=record.when.seconds / 86_400,
        is_disk=is_disk,
    )
    longitude, latitude = record.value("LON_FWT"), record.value("LAT_FWT")
    if isinstance(longitude, float) and isinstance(latitude, float):
        west, north = math.radians(longitude), math.radians(latitude)
        if is_disk:
            return _around(frame, dims, west, north)
        region = radius * math.cos(north) * math.sin(west), radius * math.sin(north)
        return attrs.evolve(frame, region=region, meridian_deg=number("CRLN_OBS", 0.0))
    return frame


def _around(frame: Frame, dims: tuple[int, ...], west: float, north: float) -> Frame:
    """Return the frame of an image of an active region, which is in its middle; longitude and latitude in radians."""
    x, y = frame.radius * math.cos(north) * math.sin(west), frame.radius * math.sin(north)
    off = [(length + 1) / 2 - float(at) for length, at in zip(dims, frame.pixel(x, y), strict=False)]
    return attrs.evolve(frame, crpix=(frame.crpix[0] + off[0], frame.crpix[1] + off[1]), region=(x, y))


# Images -------------------------------------------------------------------------------------------------------------


def _image_file(record: Record, segment: str, picture: Picture, cards: Iterable[Card]) -> bytes:
    defined = record.series.segment(segment)
    pixels, scaling = _numbers(picture, defined)
    units = _units(record.series, defined)
    named = [Card("BUNIT", units, "unit of the image")] if units else []
    said = [*scaling, *named, *cards, Card("COMMENT", _MADE_UP)]
    if picture.factor != 1:
        said += [Card("COMMENT", f"The real image is {picture.factor:g} times as wide.")]
    return fits_file(pixels, said)


def _units(series: Series, defined: SegmentDef | None) -> str:
    if defined is None:
        return "Gauss"
    if defined.units != "none":
        return defined.units
    # AIA's images say of themselves that they have no unit; those who read them take them for counts.
    return "DN" if series.family == "aia" else ""


def _kept(picture: Picture, defined: SegmentDef | None) -> Pixels:
    """Return an image as it is read from its file, NaN where there is nothing."""
    pixels, cards = _numbers(picture, defined)
    if not cards:
        return pixels.astype(float)
    scale, zero, blank = (float(str(card.value)) for card in cards)
    return np.where(pixels == blank, np.nan, pixels * scale + zero)


def _numbers(picture: Picture, defined: SegmentDef | None) -> tuple[NDArray[Any], list[Card]]:
    """Return the image as it is stored: whole numbers with a scale, or floats."""
    values = picture.pixels
    if defined is None or defined.type not in ("char", "short", "int", "longlong"):
        return values.astype(np.float64 if defined and defined.type == "double" else np.float32), []
    form = np.int32 if defined.type in ("int", "longlong") else np.int16
    blank = int(np.iinfo(form).min)
    scale, zero = float(defined.bscale or 1) or 1.0, float(defined.bzero or 0)
    whole = np.clip(np.round((np.nan_to_num(values) - zero) / scale), blank + 1, -blank - 1)
    stored = np.where(np.isfinite(values), whole, blank).astype(form)
    return stored, [Card("BSCALE", scale), Card("BZERO", zero), Card("BLANK", blank, "value of missing pixels")]


# Keywords -----------------------------------------------------------------------------------------------------------

_FORM = {
    *("SIMPLE", "BITPIX", "EXTEND", "END", "BZERO", "BSCALE", "BLANK", "BUNIT", "CHECKSUM", "DATASUM", "XTENSION"),
    *("COMMENT", "HISTORY", "CONTINUE", "NAXIS", *(f"NAXIS{axis}" for axis in range(1, 5))),
}
_HIDDEN = re.compile(r"cparms_sg\d+|.*_(bzero|bscale|index)", re.IGNORECASE)
_REAL = (KeywordType.FLOAT, KeywordType.DOUBLE)
_BRACKETED = re.compile(r"\s*\[([A-Z0-9_-]{1,8})\]")


def _keyword_cards(record: Record, picture: Picture, kept: Pixels) -> Iterator[Card]:
    """Yield a card for each keyword; those of place and statistics have the values of the smaller image."""
    placed = dict([*_placed(picture, record.series), *_measured(picture, kept, record.series)])
    taken = set(_FORM)
    for keyword in record.series.keywords:
        name = _fits_name(keyword.name, keyword.note or "")
        if name in taken or not name or _HIDDEN.fullmatch(keyword.name):
            continue
        taken.add(name)
        value = placed.pop(name) if name in placed else record.value(keyword.name)
        yield Card(name, record.text(keyword.name) if isinstance(value, TaiTime) else _plain(value), keyword.note or "")
    for name, value in placed.items():
        if name not in taken:
            yield Card(name, _plain(value))


def _placed(picture: Picture, series: Series) -> Iterator[tuple[str, Value]]:
    frame = picture.frame
    axes = ("HPLN-TAN", "HPLT-TAN", "arcsec") if frame.is_disk else ("CRLN-CAR", "CRLT-CAR", "deg")
    for axis in (0, 1):
        yield f"CRPIX{axis + 1}", round(frame.crpix[axis], 6)
        yield f"CRVAL{axis + 1}", round(frame.crval[axis], 9)
        yield f"CDELT{axis + 1}", round(frame.cdelt[axis], 9)
        if series.keyword(f"CTYPE{axis + 1}") is None or frame.is_map:
            yield f"CTYPE{axis + 1}", axes[axis]
        if series.keyword(f"CUNIT{axis + 1}") is None or frame.is_map:
            yield f"CUNIT{axis + 1}", axes[2]
    if frame.is_disk and series.keyword("RSUN_REF") is None:
        yield "RSUN_REF", 696_000_000.0
    yield "CROTA2", round(frame.crota_deg, 9)
    for name, size in (("R_SUN", frame.radius / abs(frame.cdelt[0])), ("IMSCL_MP", abs(frame.cdelt[0]))):
        if series.keyword(name):
            yield name, round(size, 6)
    for axis, name in enumerate(("X0_MP", "Y0_MP")):
        if series.keyword(name):
            yield name, round(float(frame.pixel(*frame.crval)[axis]) - 1, 6)


def _measured(picture: Picture, kept: Pixels, series: Series) -> Iterator[tuple[str, Value]]:
    """Yield the statistics that the series has keywords for, of all pixels and of those well inside the disk."""
    inside = kept
    if picture.frame.is_disk:
        row, column = np.mgrid[1.0 : picture.shape[0] + 1, 1.0 : picture.shape[1] + 1]
        inside = kept[..., np.hypot(*picture.frame.world(column, row)) < 0.99 * picture.frame.radius]
    for names, pixels in ((OF_IMAGE, kept), (OF_DISK, inside)):
        there = pixels[np.isfinite(pixels)]
        for name, value in zip(names, _moments(there), strict=True):
            if keyword := series.keyword(name):
                yield name, value if keyword.kind in _REAL or not math.isfinite(value) else round(value)
    valid = int(np.isfinite(kept).sum())
    for name, count in (("TOTVALS", kept.size), ("DATAVALS", valid), ("MISSVALS", kept.size - valid)):
        if series.keyword(name):
            yield name, count


def _moments(pixels: Pixels) -> list[float]:
    """Return least, most, median, mean, rms, skewness and excess kurtosis."""
    if not pixels.size:
        return [math.nan] * 7
    mean, rms = pixels.mean(), pixels.std()
    shape = (pixels - mean) / (rms or 1.0)
    found = pixels.min(), pixels.max(), np.median(pixels), mean, rms, (shape**3).mean(), (shape**4).mean() - 3
    return [float(value) for value in found]


def _fits_name(name: str, note: str) -> str:
    if bracketed := _BRACKETED.match(note):
        return bracketed[1]
    name = name.upper().replace("__", "-")
    if len(name) > 8:
        name = name.replace("_", "").replace("-", "")[:8]
    return name if re.fullmatch(r"[A-Z0-9_-]+", name) else ""


def _plain(value: Value) -> int | float | str | None:
    if isinstance(value, TaiTime):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Tables -------------------------------------------------------------------------------------------------------------


def _table(record: Record, segment: str, version: int) -> bytes:
    seed = hashlib.sha256(f"{record.series.name} {record.recnum} {segment} {version}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    lines = [f"# {_MADE_UP}", f"# {record.name()}{{{segment}}}"]
    for number, row in enumerate(rng.normal(0, 100, (_TABLE_ROWS, 4)).tolist()):
        lines.append(" ".join([f"{number:5d}", *(f"{value:14.6f}" for value in row)]))
    return ("\n".join(lines) + "\n").encode()
