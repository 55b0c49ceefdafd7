"""What a processing job is made from: groups of files, written as JSON, and chosen for a day.

    [{"type": "science",   "files": ["imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf"]},
     {"type": "ancillary", "files": ["imap_glows_l2-calibration_20251112_v004.dat"]},
     {"type": "spice",     "files": ["naif0012.tls", "imap_sclk_0225.tsc"]},
     {"type": "spin",      "files": ["imap_2026_001_2026_002_01.spin"]},
     {"type": "repoint",   "files": ["imap_2026_191_01.repoint"]}]

Such documents are stored as dependency files. All here are values: what changes one returns another.

Source: the SDC's data-access client 1.3.0; for the choice of ancillary files the documentation of `imap_processing`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, ClassVar, overload

import attrs
import msgspec

from aurora_async.errors import InvalidInput
from aurora_async.imap.filenames import (
    AncillaryName,
    DayLike,
    FileName,
    ScienceName,
    SpiceName,
    parse_name,
    to_day,
)

__all__ = [
    "INPUTS",
    "AncillaryInput",
    "Input",
    "ProcessingInputs",
    "RepointInput",
    "ScienceInput",
    "SpiceInput",
    "SpinInput",
    "ancillary_for_day",
    "input_of",
]

Name = str | PurePath | FileName


def _to_names(names: Name | Iterable[Name]) -> tuple[FileName, ...]:
    if isinstance(names, (str, PurePath, FileName)):
        names = (names,)
    return tuple(name if isinstance(name, FileName) else parse_name(name) for name in names)


@attrs.frozen
class Input(ABC):
    """Files that belong together: of one type, source and descriptor."""

    type: ClassVar[str]
    """What the document calls it."""

    names: tuple[FileName, ...] = attrs.field(converter=_to_names)

    def __attrs_post_init__(self) -> None:
        if not self.names:
            raise InvalidInput("files", f"an input of type {self.type} needs at least one file")
        for name in self.names:
            self._check(name)
        if len({self._group(name) for name in self.names}) > 1:
            listed = ", ".join(map(str, self.names))
            raise InvalidInput(
                "files", f"{listed} are of several sources, levels or descriptors; make an input of each"
            )

    @abstractmethod
    def _check(self, name: FileName) -> None:
        """Refuse a file that is of another type."""

    def _group(self, name: FileName) -> object:
        """Return what all files must have in common."""
        return None

    @property
    @abstractmethod
    def source(self) -> str | tuple[str, ...]:
        """Where the files come from: an instrument; of kernels their types, each once, in order."""

    @property
    @abstractmethod
    def data_type(self) -> str:
        """The level of science files; else what `type` says."""

    @property
    @abstractmethod
    def descriptor(self) -> str:
        """The product; of kernels `historical`, or `best` where some of them may be superseded."""

    def time_range(self) -> tuple[date, date] | None:
        """Return the first and the last day that the names tell; None where they tell none."""
        days = [day for name in self.names for day in _days(name)]
        return (min(days), max(days)) if days else None

    def for_day(self, day: DayLike) -> tuple[FileName, ...]:
        """Return the names of the files that are for this day."""
        day = to_day(day, "day")
        return tuple(name for name in self.names if name.is_valid_on(day))

    def document(self) -> dict[str, Any]:
        """Return it as it stands in a document."""
        return {"type": self.type, "files": [str(name) for name in self.names]}


def _days(name: FileName) -> Iterator[date]:
    for field in ("start_date", "end_date"):
        if (day := getattr(name, field, None)) is not None:
            yield day


def _refuse_type(name: FileName, wanted: str) -> None:
    raise InvalidInput("files", f"{name} is not {wanted}")


@attrs.frozen
class ScienceInput(Input):
    """Science files of one instrument, level and descriptor."""

    type: ClassVar[str] = "science"

    def _check(self, name: FileName) -> None:
        if not isinstance(name, ScienceName):
            _refuse_type(name, "a science file")

    def _group(self, name: FileName) -> object:
        assert isinstance(name, ScienceName)
        return name.instrument, name.data_level, name.descriptor

    @property
    def _first(self) -> ScienceName:
        first = self.names[0]
        assert isinstance(first, ScienceName)
        return first

    @property
    def source(self) -> str:
        return self._first.instrument

    @property
    def data_type(self) -> str:
        return self._first.data_level

    @property
    def descriptor(self) -> str:
        return self._first.descriptor


@attrs.frozen
class AncillaryInput(Input):
    """Ancillary files of one instrument and descriptor; a day needs the one that its date and version make it."""

    type: ClassVar[str] = "ancillary"

    def _check(self, name: FileName) -> None:
        if not isinstance(name, AncillaryName):
            _refuse_type(name, "an ancillary file")

    def _group(self, name: FileName) -> object:
        assert isinstance(name, AncillaryName)
        return name.instrument, name.descriptor

    @property
    def _files(self) -> tuple[AncillaryName, ...]:
        return tuple(name for name in self.names if isinstance(name, AncillaryName))

    @property
    def source(self) -> str:
        return self._files[0].instrument

    @property
    def data_type(self) -> str:
        return "ancillary"

    @property
    def descriptor(self) -> str:
        return self._files[0].descriptor

    def for_day(self, day: DayLike, *, latest: bool = False) -> tuple[FileName, ...]:
        """Return the names of the files that are for this day, or of the one to use: see `ancillary_for_day`."""
        return ancillary_for_day(self._files, day, latest=latest)


def ancillary_for_day(
    names: Iterable[AncillaryName], day: DayLike, *, latest: bool = True
) -> tuple[AncillaryName, ...]:
    """Choose among ancillary files of one descriptor.

    A file with an end date is valid inside its window, one without until another without starts. Of those that are
    valid on a day the one with the highest version is to be used: a newer one with a window counts inside it only.

    Args:
        names: Of one instrument and descriptor.
        day: The day of the data.
        latest: Only the file to use; False: all that are valid. Of several with one version and start the one with a
            window is used, and of several that differ only in their extension, all are.

    Returns:
        In the order of `names`; empty where nothing is valid.
    """
    day = to_day(day, "day")
    valid = [name for name in names if name.is_valid_on(day)]
    newest_start = max((name.start_date for name in valid if name.end_date is None), default=None)
    valid = [name for name in valid if name.end_date is not None or name.start_date == newest_start]
    if latest and valid:
        best = max(map(_preference, valid))
        valid = [name for name in valid if _preference(name) == best]
    return tuple(valid)


def _preference(name: AncillaryName) -> Any:
    return name.version, name.start_date, name.end_date is not None, name.repointing or 0


@attrs.frozen
class SpiceInput(Input):
    """Kernels, in the order in which they are loaded. Spin and repoint files are inputs of their own."""

    type: ClassVar[str] = "spice"

    def _check(self, name: FileName) -> None:
        if not isinstance(name, SpiceName) or name.type in ("spin", "repoint"):
            _refuse_type(name, "a kernel")

    @property
    def source(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name.type for name in self.names if isinstance(name, SpiceName)))

    @property
    def data_type(self) -> str:
        return "spice"

    @property
    def descriptor(self) -> str:
        # `planetary_ephemeris` counts among those that may be superseded: so the pipeline has it.
        return "best" if any(map(_is_preliminary, self.source)) else "historical"


def _is_preliminary(kernel_type: str) -> bool:
    return kernel_type == "attitude_predict" or (
        "ephemeris" in kernel_type and kernel_type != "ephemeris_reconstructed"
    )


@attrs.frozen
class _TableInput(Input):
    def _check(self, name: FileName) -> None:
        if not isinstance(name, SpiceName) or name.type != self.type:
            _refuse_type(name, f"a {self.type} file")

    @property
    def source(self) -> str:
        return self.type

    @property
    def data_type(self) -> str:
        return self.type

    @property
    def descriptor(self) -> str:
        return "historical"


@attrs.frozen
class SpinInput(_TableInput):
    """Tables of spins."""

    type: ClassVar[str] = "spin"


@attrs.frozen
class RepointInput(_TableInput):
    """The table of repointings: one, which holds every manoeuvre until its end date."""

    type: ClassVar[str] = "repoint"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if len(self.names) > 1:
            raise InvalidInput(
                "files", f"a repoint input is one file, not {len(self.names)}: each holds all manoeuvres"
            )


INPUTS: Mapping[str, type[Input]] = MappingProxyType(
    {kind.type: kind for kind in (ScienceInput, AncillaryInput, SpiceInput, SpinInput, RepointInput)}
)
"""By the word for it in documents, the class of an input."""


def input_of(name: Name) -> Input:
    """Return the input that a single file makes."""
    (name,) = _to_names(name)
    for kind in INPUTS.values():
        try:
            return kind(name)
        except InvalidInput:
            continue
    raise InvalidInput("files", f"{name} is a {name.kind} file, and no input; those are {', '.join(INPUTS)} files")


def _to_inputs(inputs: Iterable[Input]) -> tuple[Input, ...]:
    return tuple(inputs)


@attrs.frozen
class ProcessingInputs(Sequence[Input]):
    """The inputs of a job, in order. `await imap.download(inputs)` fetches all their files."""

    inputs: tuple[Input, ...] = attrs.field(default=(), converter=_to_inputs)

    @classmethod
    def deserialize(cls, text: str | bytes) -> ProcessingInputs:
        """Read a document.

        Raises:
            InvalidInput: It is none; `field` points to what is wrong with it (`$[2].files[0]`).
        """
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidInput("$", f"is not JSON: {error}") from None
        if not isinstance(document, list):
            raise InvalidInput("$", f"is {_shown(document)}, not a list of inputs")
        return cls(_read(f"$[{at}]", entry) for at, entry in enumerate(document))

    def serialize(self) -> str:
        """Return the document."""
        return json.dumps([one.document() for one in self.inputs])

    def add(self, *inputs: Input | Name) -> ProcessingInputs:
        """Return them with further ones at the end; a name is an input of one file."""
        return ProcessingInputs((*self.inputs, *(one if isinstance(one, Input) else input_of(one) for one in inputs)))

    def select(
        self,
        *,
        type: str | None = None,
        source: str | None = None,
        descriptor: str | None = None,
        data_type: str | None = None,
    ) -> ProcessingInputs:
        """Return the inputs that all given filters fit.

        Args:
            type: science, ancillary, spice, spin or repoint.
            source: An instrument, or the type of a kernel that is among those of an input.
            descriptor: Anything that the descriptor contains.
            data_type: A level, or what a type of input has in its place.
        """
        if type is not None and type not in INPUTS:
            raise InvalidInput("type", f"{type!r} is not one of {', '.join(INPUTS)}")
        return ProcessingInputs(
            one
            for one in self.inputs
            if type in (None, one.type)
            and (source is None or source == one.source or (isinstance(one.source, tuple) and source in one.source))
            and (descriptor is None or descriptor in one.descriptor)
            and data_type in (None, one.data_type)
        )

    def science(self, source: str | None = None) -> ProcessingInputs:
        """Return the science inputs, of all instruments or one."""
        return self.select(type="science", source=source)

    def for_day(self, day: DayLike, *, latest_ancillary: bool = False) -> ProcessingInputs:
        """Return what is for one day; an input that has nothing for it is left out.

        Science files of that day, ancillary files that are valid on it (with `latest_ancillary` of each input only the
        one to use), kernels and tables that reach into it, and those that tell no dates.
        """
        day = to_day(day, "day")
        chosen: list[Input] = []
        for one in self.inputs:
            names = one.for_day(day, latest=latest_ancillary) if isinstance(one, AncillaryInput) else one.for_day(day)
            if names:
                chosen.append(attrs.evolve(one, names=names))
        return ProcessingInputs(chosen)

    @property
    def names(self) -> tuple[FileName, ...]:
        """Of all files, in order."""
        return tuple(name for one in self.inputs for name in one.names)

    def keys(self) -> tuple[str, ...]:
        """Return the paths of all files in the service's store, each once, in order."""
        return tuple(dict.fromkeys(name.key for name in self.names))

    def paths_in(self, folder: Path | str) -> tuple[Path, ...]:
        """Return where all files lie below a data folder."""
        return tuple(Path(folder, *key.split("/")) for key in self.keys())

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> ProcessingInputs: ...
    def __getitem__(self, index: int | slice) -> Input | ProcessingInputs:
        return ProcessingInputs(self.inputs[index]) if isinstance(index, slice) else self.inputs[index]

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[Input]:
        return iter(self.inputs)


def _read(where: str, entry: object) -> Input:
    if not isinstance(entry, dict):
        raise InvalidInput(where, f"is {_shown(entry)}, not an input such as {{'type': 'science', 'files': […]}}")
    kind, files = entry.get("type"), entry.get("files")
    if not isinstance(kind, str) or kind not in INPUTS:
        raise InvalidInput(f"{where}.type", f"{kind!r} is not one of {', '.join(INPUTS)}")
    if not isinstance(files, list):
        raise InvalidInput(f"{where}.files", f"is {_shown(files)}, not a list of file names")
    names = []
    for at, file in enumerate(files):
        if not isinstance(file, str):
            raise InvalidInput(f"{where}.files[{at}]", f"is {_shown(file)}, not a file name")
        try:
            names.append(parse_name(file))
        except InvalidInput as error:
            raise InvalidInput(f"{where}.files[{at}]", str(error)) from None
    try:
        return INPUTS[kind](names)
    except InvalidInput as error:
        raise InvalidInput(f"{where}.files", error.reason) from None


def _shown(value: object) -> str:
    return repr(value)[:80]
