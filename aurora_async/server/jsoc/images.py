"""Images and movies of pictures: colour tables, scaling, JPEG, PNG, MPEG. Pillow and PyAV are asked for when needed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from aurora_async.server.jsoc.scenes import Pixels

__all__ = ["IMAGES", "MOVIES", "ImageOptions", "ImagesUnavailable", "image_file", "require", "save_movie"]

IMAGES = {"jpg": "JPEG", "png": "PNG"}
"""The kinds of image, and what Pillow calls them."""
MOVIES = {"mpg": "mpeg1video", "mp4": "mpeg4"}
"""The kinds of movie, and the codec of each that PyAV always has."""

_FRAMES_PER_S = 25  # MPEG-1 allows few others
_BLOCK = 16


class ImagesUnavailable(Exception):
    """An image that cannot be made; the text says why."""


@attrs.frozen(kw_only=True)
class ImageOptions:
    """How an image is to look."""

    colours: str = "grey.sao"
    scaling: str = "MINMAX"
    binning: int = 1
    """Pixels of the picture that become one of the image, along each axis."""
    least: float | None = None
    most: float | None = None

    @classmethod
    def of_protocol(cls, protocol: str) -> ImageOptions:
        """Read what follows the kind in a protocol: `jpg,CT=grey.sao,scaling=MINMAX,size=1,min=0,max=9`.

        Raises:
            ImagesUnavailable: There is no such option, or no such value of it.
        """
        found: dict[str, Any] = {}
        for part in protocol.split(",")[1:]:
            name, _, text = part.strip().partition("=")
            try:
                field, read = _OPTIONS[name.lower()]
                found[field] = read(text.strip())
            except (KeyError, ValueError):
                raise ImagesUnavailable(f"{part.strip()!r} is no option of an image") from None
        return cls(**found)

    def paint(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Return the picture in colours, `(rows, columns, 3)`, north above; what is not there is black."""
        block = max(1, min(self.binning, *pixels.shape))
        rows, columns = (length // block for length in pixels.shape)
        cut = pixels[: rows * block, : columns * block]
        small = np.nan_to_num(cut).reshape(rows, block, columns, block).mean((1, 3))
        there = np.asarray(np.isfinite(cut).reshape(rows, block, columns, block).all((1, 3)))
        light = self._scaled(small, there)
        red, green, blue = _COLOURS[self.colours]
        colours = np.stack([light**power for power in (red, green, blue)], axis=-1)
        painted = np.where(there[..., None], np.clip(colours, 0, 1) * 255, 0).astype(np.uint8)
        return np.ascontiguousarray(painted[::-1])

    def _scaled(self, values: Pixels, there: NDArray[np.bool_]) -> Pixels:
        found = values[there]
        least = self.least if self.least is not None else float(found.min()) if found.size else 0.0
        most = self.most if self.most is not None else float(found.max()) if found.size else 1.0
        if self.scaling == "mag":
            most = max(abs(least), abs(most), 1.0) if self.most is None else self.most
            signed = np.clip(values / (most or 1), -1, 1)
            return np.asarray(0.5 + 0.5 * np.sign(signed) * np.sqrt(np.abs(signed)))
        light = np.clip((values - least) / ((most - least) or 1.0), 0, 1)
        if self.scaling == "SQRT":
            return np.sqrt(light)
        return np.log1p(999 * light) / np.log(1000) if self.scaling == "LOG" else light


# A colour table here is a gamma for each of red, green and blue: its hue is the real one's, its steps are not.
_COLOURS: Mapping[str, tuple[float, float, float]] = {
    "HMI_mag.lut": (1, 1, 1),
    "aia_94.lut": (1.6, 0.7, 1.1),
    "aia_131.lut": (1.8, 0.7, 0.7),
    "aia_171.lut": (0.7, 0.9, 2.2),
    "aia_193.lut": (0.7, 1.2, 1.8),
    "aia_211.lut": (0.8, 1.4, 1.0),
    "aia_304.lut": (0.6, 2.0, 2.6),
    "aia_335.lut": (1.8, 1.0, 0.6),
    "aia_1600.lut": (0.9, 0.9, 1.9),
    "aia_1700.lut": (0.8, 1.3, 1.3),
    "aia_4500.lut": (0.8, 0.8, 2.5),
    "aia_mixed": (0.8, 1.0, 1.2),
    "bb.sao": (0.5, 1.0, 2.0),
    "grey.sao": (1, 1, 1),
    "heat.sao": (0.5, 1.5, 3.0),
}
_SCALINGS = ("LOG", "MINMAX", "MINMAXGIVEN", "SQRT", "mag")


def _one_of(known: Iterable[str]) -> Callable[[str], str]:
    by_name = {name.lower(): name for name in known}
    return lambda text: by_name[text.lower()]


def _binning(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


_OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "ct": ("colours", _one_of(_COLOURS)),
    "scaling": ("scaling", _one_of(_SCALINGS)),
    "size": ("binning", _binning),
    "min": ("least", float),
    "max": ("most", float),
}


def require(kind: str) -> None:
    """See to it that images or movies of a kind can be made.

    Raises:
        ImagesUnavailable: What makes them is not installed.
    """
    try:
        if kind in MOVIES:
            import av  # noqa: F401
        else:
            import PIL.Image  # noqa: F401
    except ImportError as error:
        needed = "movies need PyAV" if kind in MOVIES else "images need Pillow"
        raise ImagesUnavailable(f"{needed} here: pip install 'aurora-async[images]' ({error})") from None


def image_file(pixels: Pixels, options: ImageOptions, kind: str) -> bytes:
    """Return an image file of one of the `IMAGES`."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(options.paint(pixels)).save(file, IMAGES[kind])
    return file.getvalue()


def save_movie(path: Path, kind: str, pictures: Iterable[Pixels], options: ImageOptions) -> None:
    """Write one of the `MOVIES`, a picture at a time; all of them have the form of the first."""
    import av

    with av.open(str(path), "w", format="mpeg" if kind == "mpg" else "mp4") as movie:
        stream: Any = movie.add_stream(MOVIES[kind], rate=_FRAMES_PER_S)
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(pictures):
            frame = _even(options.paint(pixels))
            if number == 0:
                stream.height, stream.width = frame.shape[:2]
            elif frame.shape[:2] != (stream.height, stream.width):
                frame = _fitted(frame, stream.height, stream.width)
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                movie.mux(packet)
        for packet in stream.encode():
            movie.mux(packet)


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame whose sides are whole blocks of the codec."""
    rows, columns = (-(-length // _BLOCK) * _BLOCK for length in frame.shape[:2])
    return _fitted(frame, rows, columns)


def _fitted(frame: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    fitted = np.zeros((rows, columns, 3), np.uint8)
    part = frame[:rows, :columns]
    fitted[: part.shape[0], : part.shape[1]] = part
    return fitted
