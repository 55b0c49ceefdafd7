"""An export is made: its files get their names, its directory the lists, and where all go into one file, that.

The other files are made when they are asked for. Blocks; one file at a time is in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from aurora_async.server.jsoc.archive import write_tar
from aurora_async.server.jsoc.contents import exported_file, picture_of, stored_file
from aurora_async.server.jsoc.images import (
    IMAGES,
    MOVIES,
    ImageOptions,
    ImagesUnavailable,
    image_file,
    require,
    save_movie,
)
from aurora_async.server.jsoc.index import NO_FILE, NO_IMAGES, Row, write_index, write_keywords
from aurora_async.server.jsoc.names import BadPattern, file_name
from aurora_async.server.jsoc.orders import Opened, Order
from aurora_async.server.jsoc.records import Record
from aurora_async.server.jsoc.scenes import Pixels

__all__ = ["ExportFailed", "ExportFile", "GivenUp", "Making", "file_content", "listed_name"]

_MEGABYTE = 1_000_000
_MOST_MEASURED = 100


class ExportFailed(Exception):
    """An export that cannot be carried out; the text says why."""


class GivenUp(Exception):
    """An export that was given up."""


@attrs.frozen
class ExportFile:
    """A file of an export: its name there, whose it is."""

    name: str
    record: Record
    segment: str


def file_content(order: Order, record: Record, segment: str, *, version: int = 1) -> bytes:
    """Return a file of an export."""
    if order.kind == "as-is":
        return stored_file(record, segment, version=version)
    steps = order.steps
    if order.kind == "fits":
        return exported_file(record, segment, steps, version=version)
    options = ImageOptions.of_protocol(order.protocol)
    pixels = picture_of(record, segment, steps, version=version).pixels
    return image_file(_flat(pixels), options, _image_kind(order))


def listed_name(order: Order, record: Record, segment: str) -> str:
    """Return what the lists say for the record of a file."""
    name = record.name()
    if order.kind == "as-is":
        return f"{name}{{{segment}}}"
    return _series_name(order, record) + name.removeprefix(record.series.name)


def _series_name(order: Order, record: Record) -> str:
    return f"{record.series.name}_mod" if order.steps else record.series.name


def _flat(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 2 else pixels[0]


def _image_kind(order: Order) -> str:
    return order.kind if order.kind in IMAGES else "jpg"


@attrs.frozen(kw_only=True)
class Making:
    """An export that is to be made.

    Args:
        request_id: Its id.
        order: What was asked for.
        opened: The records.
        directory: Its directory, as the service's clients know it.
        folder: Where its lists go here.
        count_off: How much its count of files is to be wrong.
        is_wanted: Looked at from file to file.
    """

    request_id: str
    order: Order
    opened: Opened
    directory: str
    folder: Path
    count_off: int = 0
    is_wanted: Callable[[], bool]

    def make(self) -> list[ExportFile]:
        """Make it; return its files.

        Raises:
            ExportFailed: It cannot be made.
            GivenUp: It was given up.
        """
        try:
            rows, files = self._name_files()
            self._check_images()
        except (BadPattern, ImagesUnavailable) as error:
            raise ExportFailed(str(error)) from None
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.order.kind in MOVIES and files:
            rows.insert(0, ("movie of the following data", self._movie_name))
            self._film(files)
        if self.order.kind == "as-is":
            write_keywords(self.folder / self._keywords_name, self.opened.records)
        if self.order.is_tar:
            self._pack(rows, files)
        write_index(self.folder, self._header(files), rows)
        return files

    def _name_files(self) -> tuple[list[Row], list[ExportFile]]:
        rows: list[Row] = []
        files: list[ExportFile] = []
        taken: set[str] = set()
        for number, (record, segment, stored) in enumerate(self.opened.files(self.order)):
            self._checkpoint()
            listed = listed_name(self.order, record, segment)
            if stored is None:
                rows.append((listed, NO_FILE))
                continue
            name = file_name(self.order.pattern, record, _series_name(self.order, record), stored, number)
            if self.order.kind in IMAGES or self.order.kind in MOVIES:
                name = f"{name.removesuffix('.fits')}.{_image_kind(self.order)}"
            if name in taken:
                raise BadPattern(f"the file name format {self.order.pattern!r} gives two files the name {name}")
            taken.add(name)
            rows.append((listed, name))
            files.append(ExportFile(name, record, segment))
        if not rows and self.order.kind == "fits":
            rows.append((NO_IMAGES, ""))
        return rows, files

    def _checkpoint(self) -> None:
        if not self.is_wanted():
            raise GivenUp

    def _check_images(self) -> None:
        kind = self.order.kind
        if kind in IMAGES or kind in MOVIES:
            ImageOptions.of_protocol(self.order.protocol)
            for needed in {kind, _image_kind(self.order)}:
                require(needed)

    def _contents(self, files: Sequence[ExportFile]) -> Iterator[tuple[str, bytes]]:
        for file in files:
            self._checkpoint()
            yield file.name, file_content(self.order, file.record, file.segment)

    def _film(self, files: Sequence[ExportFile]) -> None:
        def frames() -> Iterator[Pixels]:
            for file in files:
                self._checkpoint()
                yield _flat(picture_of(file.record, file.segment, self.order.steps).pixels)

        options = ImageOptions.of_protocol(self.order.protocol)
        save_movie(self.folder / self._movie_name, self.order.kind, frames(), options)

    def _pack(self, rows: Sequence[Row], files: Sequence[ExportFile]) -> None:
        def members() -> Iterator[tuple[str, bytes]]:
            yield from self._contents(files)
            if self.order.kind in MOVIES and files:
                yield self._movie_name, (self.folder / self._movie_name).read_bytes()
            listing = "".join(f"{record}\t{name}\n" for record, name in rows)
            yield f"{self.request_id}.txt", listing.encode("ascii", "replace")

        write_tar(self.folder / f"{self.request_id}.tar", members(), changed_s=int(time.time()))

    @property
    def _movie_name(self) -> str:
        return f"{self.opened.series.name}.{self.order.kind}"

    @property
    def _keywords_name(self) -> str:
        return f"{self.request_id}.keywords.txt"

    def _header(self, files: Sequence[ExportFile]) -> dict[str, str]:
        """Return what the lists begin with: each of JSOC's exporting programs has members of its own."""
        order, directory = self.order, self.directory
        count, size = str(max(0, len(files) + self.count_off)), str(self._megabytes(files))
        asked = {"requestid": self.request_id, "method": order.method, "protocol": order.protocol}
        if order.kind == "as-is":
            header = {"version": "1", **asked, "wait": "0", "count": count, "size": size, "status": "0"}
            header |= {"dir": directory, "keywords": f"{directory}/{self._keywords_name}"}
        elif order.kind == "fits":
            now = datetime.now(UTC).strftime("%Y.%m.%d_%H:%M:%S_UT")
            header = {"version": "0.5", **asked, "count": count, "size": size, "exptime": now}
            header |= {"dir": directory, "status": "0", "keywords": "**IN FITS FILES**"}
        else:
            header = {"reqid": self.request_id, "expversion": "0.5", "method": order.method}
            header |= {"recordset": order.record_set, "protocol": order.protocol, "dir": directory}
            header |= {"filefmt": order.pattern, "cparms": "**NONE**", "keywords": "**NONE**", "size": size}
            header["status"] = "0 "  # with a blank, as the service has it
            if order.kind in MOVIES:
                header["movie name"] = self._movie_name
        if order.is_tar:
            header["tarfile"] = f"{directory}/{self.request_id}.tar"
        return header

    def _megabytes(self, files: Sequence[ExportFile]) -> int:
        # Images of the same form take about the same: one of each is made to be measured, as long as they are few.
        sizes: dict[tuple[str, str], int] = {}
        total = 0
        for number, file in enumerate(files):
            self._checkpoint()
            defined = file.record.series.segment(file.segment)
            form = file.segment, file.record.dims(defined) if defined is not None else ""
            if form not in sizes:
                is_made = len(sizes) < _MOST_MEASURED
                sizes[form] = len(file_content(self.order, file.record, file.segment)) if is_made else total // number
            total += sizes[form]
        return max(1, total // _MEGABYTE) if files else 0
