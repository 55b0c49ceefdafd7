"""What a processing job is made of: groups of files, written as JSON, chosen by day, fetched at once."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from aurora_async.compat.imap_data_access.file_validation import (
    AncillaryFilePath,
    ImapFilePath,
    ScienceFilePath,
    SPICEFilePath,
)
from aurora_async.compat.imap_data_access.io import fetch
from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.imap import inputs

__all__ = [
    "AncillaryInput",
    "InputTypePathMapper",
    "ProcessingInput",
    "ProcessingInputCollection",
    "ProcessingInputType",
    "RepointInput",
    "SPICEInput",
    "SPICESource",
    "ScienceInput",
    "SpinInput",
    "generate_imap_input",
]
__dir__ = __all__.copy


class ProcessingInputType(Enum):
    """Three types; spin and repoint files count as SPICE."""

    SCIENCE_FILE = "science"
    ANCILLARY_FILE = "ancillary"
    SPICE_FILE = "spice"


class InputTypePathMapper(Enum):
    """What names of each type are."""

    SCIENCE_FILE = ScienceFilePath
    ANCILLARY_FILE = AncillaryFilePath
    SPICE_FILE = SPICEFilePath


class SPICESource(Enum):
    """What a document calls inputs of type SPICE."""

    SPICE = "spice"
    SPIN = "spin"
    REPOINT = "repoint"


class ProcessingInput:
    """Files of one source, data type and descriptor.

    Attributes:
        filename_list, imap_file_paths: The names, as given and taken apart.
        input_type: Of the three.
        source: An instrument, `spin` or `repoint`; of kernels the list of their types.
        data_type: A level, `ancillary`, `spice`, `spin` or `repoint`.
        descriptor: Of the product; of kernels `historical`, or `best` where some are predicted.
    """

    input_type: ProcessingInputType
    _path: ClassVar[type[ImapFilePath]]
    _input: ClassVar[type[inputs.Input]]

    class ProcessingInputError(AuroraError):
        """Files that are no input together."""

    def __init__(self, *args: str) -> None:
        """Take names of files."""
        if not all(isinstance(name, str) for name in args):
            raise ProcessingInput.ProcessingInputError("All arguments must be strings")
        self.filename_list = list(args)
        self.imap_file_paths: list[ImapFilePath] = [self._path(name) for name in args]
        try:
            self._group = self._input([path._name for path in self.imap_file_paths])
        except InvalidInput as error:
            raise ProcessingInput.ProcessingInputError(self._wrong(error)) from error
        source = self._group.source
        self.source: str | list[str] = source if isinstance(source, str) else list(source)
        self.data_type = self._group.data_type
        self.descriptor = self._group.descriptor

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.filename_list))})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProcessingInput):
            return NotImplemented
        return (type(self), self.filename_list) == (type(other), other.filename_list)

    __hash__ = None  # type: ignore[assignment]  # its list may grow

    def _wrong(self, error: InvalidInput) -> str:
        return str(error) if self.filename_list else "At least one file must be provided."

    def get_time_range(self) -> tuple[datetime, datetime] | None:
        """Return the first and the last day that names speak of; None for kernels, spin and repoint files."""
        return None

    def construct_json_output(self) -> dict[str, Any]:
        """Return the input as it stands in a document."""
        return {"type": self._group.type, "files": self.filename_list}


class _Dated(ProcessingInput):
    def _wrong(self, error: InvalidInput) -> str:
        return "All files must have the same source, data type, and descriptor."

    def get_time_range(self) -> tuple[datetime, datetime] | None:
        """Return the first and the last day that the names speak of, both at midnight."""
        days = self._group.time_range()
        return None if days is None else (datetime.combine(days[0], time.min), datetime.combine(days[1], time.min))


class ScienceInput(_Dated):
    """Science files of one instrument, level and descriptor."""

    input_type = ProcessingInputType.SCIENCE_FILE
    _path = ScienceFilePath
    _input = inputs.ScienceInput


class AncillaryInput(_Dated):
    """Ancillary files of one instrument and descriptor."""

    input_type = ProcessingInputType.ANCILLARY_FILE
    _path = AncillaryFilePath
    _input = inputs.AncillaryInput

    def get_file_for_time(self, day: datetime | date) -> list[str]:
        """Return the names of the files to be used on a day: of those valid then, the one of the highest version."""
        chosen = inputs.ProcessingInputs([self._group]).for_day(_day(day), latest_ancillary=True)
        return [str(name) for one in chosen for name in one.names]


class SPICEInput(ProcessingInput):
    """Kernels of any types, in the order in which they are loaded."""

    input_type = ProcessingInputType.SPICE_FILE
    _path = SPICEFilePath
    _input = inputs.SpiceInput

    def _wrong(self, error: InvalidInput) -> str:
        if not self.filename_list:
            return super()._wrong(error)
        return "SPICEInput can only contain ephemeris or attitude files. Use SpinInput or RepointInput instead."


class SpinInput(ProcessingInput):
    """Spin files."""

    input_type = ProcessingInputType.SPICE_FILE
    _path = SPICEFilePath
    _input = inputs.SpinInput

    def _wrong(self, error: InvalidInput) -> str:
        return "SpinInput can only contain spin files." if self.filename_list else super()._wrong(error)


class RepointInput(ProcessingInput):
    """One repoint file."""

    input_type = ProcessingInputType.SPICE_FILE
    _path = SPICEFilePath
    _input = inputs.RepointInput

    def _wrong(self, error: InvalidInput) -> str:
        return "RepointInput can only contain one repoint file."


_KINDS: dict[str, type[ProcessingInput]] = {
    "science": ScienceInput,
    "ancillary": AncillaryInput,
    "spice": SPICEInput,
    "spin": SpinInput,
    "repoint": RepointInput,
}


class ProcessingInputCollection:
    """All inputs of a job; `processing_input` is their list."""

    def __init__(self, *args: ProcessingInput) -> None:
        """Take inputs, or none yet."""
        self.processing_input: list[ProcessingInput] = []
        for one in args:
            self.add(one)

    def __repr__(self) -> str:
        return f"ProcessingInputCollection({', '.join(map(repr, self.processing_input))})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProcessingInputCollection):
            return NotImplemented
        return self.processing_input == other.processing_input

    __hash__ = None  # type: ignore[assignment]

    def add(self, processing_inputs: ProcessingInput | list[ProcessingInput]) -> None:
        """Append an input, or a list of them."""
        self.processing_input += processing_inputs if isinstance(processing_inputs, list) else [processing_inputs]

    def serialize(self) -> str:
        """Return the document."""
        return json.dumps([one.construct_json_output() for one in self.processing_input])

    def deserialize(self, json_input: str) -> None:
        """Append the inputs of a document."""
        read = inputs.ProcessingInputs.deserialize(json_input)
        self.add([_KINDS[one.type](*map(str, one.names)) for one in read])

    def get_science_inputs(self, source: str | None = None) -> list[ProcessingInput]:
        """Return the science inputs, or those of one instrument."""
        return self.get_processing_inputs(ProcessingInputType.SCIENCE_FILE, source=source)

    def get_processing_inputs(
        self,
        input_type: ProcessingInputType | None = None,
        source: str | None = None,
        descriptor: str | None = None,
        data_type: str | None = None,
    ) -> list[ProcessingInput]:
        """Return the inputs that all given filters fit: `descriptor` is found anywhere in theirs.

        A kernel type as `source` finds the inputs that hold such kernels.
        """
        return [
            one
            for one in self.processing_input
            if input_type in (None, one.input_type)
            and (source in (None, one.source) or (isinstance(one.source, list) and source in one.source))
            and (descriptor is None or descriptor in one.descriptor)
            and data_type in (None, one.data_type)
        ]

    def get_file_paths(
        self, source: str | None = None, descriptor: str | None = None, data_type: str | None = None
    ) -> list[Path]:
        """Return where the files are kept, of the inputs that all given filters fit."""
        chosen = self.get_processing_inputs(source=source, descriptor=descriptor, data_type=data_type)
        return [path.construct_path() for one in chosen for path in one.imap_file_paths]

    def download_all_files(self) -> None:
        """Bring all files that are not there yet, many at once."""
        fetch(self.get_file_paths())

    def get_valid_inputs_for_start_date(
        self, start_date: datetime | date, return_latest_ancillary: bool = False
    ) -> ProcessingInputCollection:
        """Return the inputs with only those files that say something about a day; what is empty then is left out.

        With `return_latest_ancillary`, of each ancillary input the one file that is to be used.
        """
        chosen = inputs.ProcessingInputs([one._group for one in self.processing_input]).for_day(
            _day(start_date), latest_ancillary=return_latest_ancillary
        )
        return ProcessingInputCollection(*(_KINDS[one.type](*map(str, one.names)) for one in chosen))


def generate_imap_input(filename: str) -> ProcessingInput:
    """Return a file as an input; what fits none is a ValueError."""
    for kind in _KINDS.values():
        try:
            return kind(filename)
        except (ProcessingInput.ProcessingInputError, ImapFilePath.InvalidImapFileError):
            continue
    raise ValueError(f"Invalid input type for {filename}. It does not match any file formats.")


def _day(day: datetime | date) -> date:
    return day.date() if isinstance(day, datetime) else day
