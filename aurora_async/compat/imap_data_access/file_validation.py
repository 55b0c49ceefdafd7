"""Names of files: what they mean, and where in `DATA_DIR` a file of that name is."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from datetime import date, datetime, time
from functools import total_ordering
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

from aurora_async.compat.imap_data_access._settings import config
from aurora_async.errors import AuroraError
from aurora_async.imap import filenames
from aurora_async.imap.vocabulary import EXTENSIONS

__all__ = [
    "AncillaryFilePath",
    "CadenceFilePath",
    "DependencyFilePath",
    "ImapFilePath",
    "QuicklookFilePath",
    "ReleaseFilePath",
    "SPICEFilePath",
    "ScienceFilePath",
    "Version",
    "generate_imap_file_path",
]
__dir__ = __all__.copy


_Product: TypeAlias = filenames.ScienceName | filenames.QuicklookName | filenames.DependencyName
_Validity: TypeAlias = filenames.AncillaryName | filenames.ReleaseName
_Name: TypeAlias = _Product | _Validity | filenames.SpiceName


@total_ordering
class Version:
    """`v001.0008`, or `v012` where there is no major number; those sort before all that have one."""

    max_major = 999
    max_minor_if_major = 9999
    max_minor = 999
    minor_only_version_pattern: ClassVar[str] = r"v\d{3}"
    science_version_pattern: ClassVar[str] = r"v\d{3}\.\d{4}"
    valid_imap_version_pattern: ClassVar[str] = rf"(?:{science_version_pattern}|{minor_only_version_pattern})"

    def __init__(self, major: int | str | None, minor: int | str) -> None:
        """Take numbers, or texts of them with or without a `v`."""
        self.major = None if major is None else _number(major, self.max_major)
        self.minor = _number(minor, self.max_minor if major is None else self.max_minor_if_major)

    def __str__(self) -> str:
        return str(filenames.Version(self.major, self.minor))

    def __repr__(self) -> str:
        return f"Version({self.major}, {self.minor})"

    def _rank(self) -> tuple[int, int]:
        return -1 if self.major is None else self.major, self.minor

    def __eq__(self, other: object) -> bool:
        return self._rank() == other._rank() if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._rank() < other._rank() if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._rank())

    @staticmethod
    def from_version(version: str, raise_error: bool = True) -> Version | None:
        """Read a version; what is none is a ValueError, or None."""
        if Version.is_valid_version(version):
            major, _, minor = version[1:].rpartition(".")
            return Version(major or None, minor)
        if raise_error:
            raise ValueError(f"Version {version} is not a valid version string.")
        return None

    @staticmethod
    def version_regex() -> str:
        """Return the pattern of either form."""
        return Version.valid_imap_version_pattern

    @staticmethod
    def is_valid_version(version: str, pattern: str = valid_imap_version_pattern) -> bool:
        """Whether it is of that form."""
        return re.fullmatch(pattern, version, re.ASCII) is not None

    @staticmethod
    def is_valid_science_version(version: str) -> bool:
        """Whether it is of the form `vMMM.mmmm`."""
        return Version.is_valid_version(version, Version.science_version_pattern)

    @staticmethod
    def is_valid_version_minor_only(version: str) -> bool:
        """Whether it is of the form `vXXX`."""
        return Version.is_valid_version(version, Version.minor_only_version_pattern)


def _number(given: int | str, most: int) -> int:
    number = int(given.strip("v")) if isinstance(given, str) else given
    if not 0 <= number <= most:
        raise ValueError(f"Version {number} must be between 0 and {most}")
    return number


class ImapFilePath:
    """What the names of all kinds of files have in common."""

    VALID_VERSION_PATTERN: ClassVar[str] = Version.minor_only_version_pattern
    _kind: ClassVar[type[_Name]]
    _name: _Name

    class InvalidImapFileError(AuroraError):
        """A name is none of its kind; the message says why."""

    def __init__(self, filename: str | Path) -> None:
        """Take a name apart; folders in front of it count for nothing."""
        self.filename = Path(filename)
        try:
            self._name = self._kind.parse(self.filename.name)
        except filenames.InvalidFileName as error:
            raise ImapFilePath.InvalidImapFileError(str(error)) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.filename)!r})"

    @property
    def data_dir(self) -> Path:
        """Deprecated: `config["DATA_DIR"]`."""
        warnings.warn(
            "data_dir is deprecated. Use imap_data_access.config['DATA_DIR'] instead.", DeprecationWarning, stacklevel=2
        )
        return Path(config["DATA_DIR"])

    @staticmethod
    def is_valid_date(input_date: str) -> bool:
        """Whether it is a day of the calendar, in eight digits."""
        try:
            return re.fullmatch(r"\d{8}", input_date, re.ASCII) is not None and bool(_day(input_date))
        except ValueError:
            return False

    @classmethod
    def is_valid_version(cls, input_version: str) -> bool:
        """Whether it is `latest`, or of a form that this kind of file has."""
        return input_version == "latest" or Version.is_valid_version(input_version, cls.VALID_VERSION_PATTERN)

    def construct_path(self) -> Path:
        """Return where the file is kept: below `DATA_DIR`, in the folders that the service has."""
        return Path(config["DATA_DIR"]) / self._name.key

    def is_valid_for_start_date(self, start_date: datetime | date) -> bool:
        """Whether the file says something about that day."""
        return self._name.is_valid_on(start_date.date() if isinstance(start_date, datetime) else start_date)


class ScienceFilePath(ImapFilePath):
    """`imap_<instrument>_<level>_<descriptor>_<date>[-repoint00000|-cr00000]_<version>.<cdf|pkts>`, taken apart.

    Attributes:
        filename: As it was given.
        start_date: Eight digits.
        repointing, cr, major_version: Numbers, or None.
    """

    FILENAME_CONVENTION = (
        "<mission>_<instrument>_<datalevel>_<descriptor>_"
        "<startdate>(-<repointing>)_<version>.<extension>"
        " where version is vMMM.mmmm or vXXX."
    )
    VALID_VERSION_PATTERN: ClassVar[str] = Version.valid_imap_version_pattern
    VALID_EXTENSIONS: ClassVar[set[str]] = set(EXTENSIONS["science"])
    _kind: ClassVar[type[_Product]] = filenames.ScienceName
    _name: _Product

    class InvalidScienceFileError(ImapFilePath.InvalidImapFileError):
        """Deprecated: `ImapFilePath.InvalidImapFileError`."""

    def __init__(self, filename: str | Path) -> None:
        """Take a name apart."""
        super().__init__(filename)
        self.mission = "imap"
        self.instrument = self._name.instrument
        self.data_level = self._name.data_level
        self.descriptor = self._name.descriptor
        self.start_date = f"{self._name.start_date:%Y%m%d}"
        self.repointing = self._name.repointing
        self.cr = self._name.cr
        self.major_version = self._name.version.major
        self.minor_version = self._name.version.minor
        self.extension = self._name.extension
        self.error_message = ""

    @classmethod
    def generate_from_inputs(
        cls,
        instrument: str,
        data_level: str,
        descriptor: str,
        start_time: str,
        major_version: int | None,
        minor_version: int,
        extension: str = "cdf",
        repointing: int | str | None = None,
        cr: int | None = None,
    ) -> Self:
        """Make a name of its parts; files of level l0 are always packets (`pkts`)."""
        if repointing is not None and cr is not None:
            raise ImapFilePath.InvalidImapFileError("Only one of CR or repointing can be included.")
        when = start_time + _pointing(repointing) + ("" if cr is None else f"-cr{cr:05d}")
        version = Version(major_version, minor_version)
        extension = "pkts" if data_level == "l0" else extension
        return cls(f"imap_{instrument}_{data_level}_{descriptor}_{when}_{version}.{extension}")

    def validate_filename(self) -> str:
        """Return what is wrong with the name: nothing, or there would be no such object."""
        return self.error_message

    @staticmethod
    def extract_filename_components(filename: str | Path) -> dict[str, Any]:
        """Take apart the name of a science, quicklook or dependency file."""
        for kind in (QuicklookFilePath, DependencyFilePath, ScienceFilePath):
            if Path(filename).suffix[1:] in kind.VALID_EXTENSIONS:
                break
        return _parts(kind(filename), _SCIENCE_PARTS)

    @staticmethod
    def is_valid_repointing(input_repointing: str | int) -> bool:
        """Whether it is `repoint` and five digits."""
        return re.fullmatch(r"repoint\d{5}", str(input_repointing), re.ASCII) is not None

    @staticmethod
    def is_valid_cr(input_cr: str | int) -> bool:
        """Whether it is `cr` and five digits."""
        return re.fullmatch(r"cr\d{5}", str(input_cr), re.ASCII) is not None


class QuicklookFilePath(ScienceFilePath):
    """The name of a picture: like that of a science file."""

    VALID_EXTENSIONS: ClassVar[set[str]] = set(EXTENSIONS["quicklook"])
    _kind = filenames.QuicklookName


class DependencyFilePath(ScienceFilePath):
    """The name of a list of what a product was made of: like that of a science file."""

    VALID_EXTENSIONS: ClassVar[set[str]] = set(EXTENSIONS["dependency"])
    _kind = filenames.DependencyName


class CadenceFilePath(DependencyFilePath):
    """Deprecated: `DependencyFilePath`."""


class AncillaryFilePath(ImapFilePath):
    """`imap_<instrument>_<descriptor>_<date>[_<date>|-repoint00000]_<vXXX>.<extension>`, taken apart.

    Attributes:
        filename: As it was given.
        start_date, end_date: Eight digits; no end date is None.
        repointing: A number, or None.
        version: As in the name.
    """

    FILENAME_CONVENTION = (
        "<mission>_<instrument>_<description>_<start_date>(_<end_date>)(-<repointing>)_<version>.<extension>"
    )
    VALID_EXTENSIONS: ClassVar[set[str]] = set(EXTENSIONS["ancillary"])
    _kind: ClassVar[type[_Validity]] = filenames.AncillaryName
    _name: _Validity

    class InvalidAncillaryFileError(ImapFilePath.InvalidImapFileError):
        """Deprecated: `ImapFilePath.InvalidImapFileError`."""

    def __init__(self, filename: str | Path) -> None:
        """Take a name apart."""
        super().__init__(filename)
        end = self._name.end_date
        self.mission = "imap"
        self.instrument = self._name.instrument
        self.descriptor = self._name.descriptor
        self.start_date = f"{self._name.start_date:%Y%m%d}"
        self.end_date = None if end is None else f"{end:%Y%m%d}"
        self.repointing = self._name.repointing
        self.version = str(self._name.version)
        self.extension = self._name.extension
        self.error_message = ""

    @classmethod
    def generate_from_inputs(
        cls,
        instrument: str,
        descriptor: str,
        version: str,
        extension: str,
        start_time: str,
        end_time: str | None = None,
        repointing: int | str | None = None,
    ) -> Self:
        """Make a name of its parts."""
        if end_time is not None and repointing is not None:
            raise ImapFilePath.InvalidImapFileError("Only one of end_time or repointing can be included.")
        when = start_time + ("" if end_time is None else f"_{end_time}") + _pointing(repointing)
        return cls(f"imap_{instrument}_{descriptor}_{when}_{version}.{extension}")

    def validate_filename(self) -> str:
        """Return what is wrong with the name: nothing, or there would be no such object."""
        return self.error_message

    @classmethod
    def extract_filename_components(cls, filename: str | Path) -> dict[str, Any]:
        """Take a name apart."""
        return _parts(cls(filename), _ANCILLARY_PARTS)


class ReleaseFilePath(AncillaryFilePath):
    """The name of a manifest, which says what is to be released: like that of an ancillary file."""

    VALID_EXTENSIONS: ClassVar[set[str]] = set(EXTENSIONS["release"])
    _kind = filenames.ReleaseName


class SPICEFilePath(ImapFilePath):
    """The name of a kernel, or of a spin, repoint or thruster file, taken apart.

    Attributes:
        filename: As it was given.
        spice_metadata: `type`, `version` (a text or None), `start_date` and `end_date` (naive, or None), `repointing`,
            `extension` (what follows the last dot); Earth attitude has a `prediction_start_date`, and no version.
    """

    _kind = filenames.SpiceName
    _name: filenames.SpiceName

    class InvalidSPICEFileError(ImapFilePath.InvalidImapFileError):
        """Deprecated: `ImapFilePath.InvalidImapFileError`."""

    def __init__(self, filename: str | Path) -> None:
        """Take a name apart."""
        super().__init__(filename)
        self.spice_metadata = self._metadata()

    @staticmethod
    def extract_filename_components(filename: str | Path) -> dict[str, Any]:
        """Take a name apart."""
        return SPICEFilePath(filename).spice_metadata

    def _metadata(self) -> dict[str, Any]:
        name = self._name
        found: dict[str, Any] = {
            "version": name.version,
            "type": name.type,
            "start_date": _midnight(name.start_date),
            "end_date": _midnight(name.end_date),
            "repointing": name.repointing,
            "extension": self.filename.suffix[1:],
        }
        if name.type == "earth_attitude":
            del found["version"]
            found["prediction_start_date"] = _midnight(name.prediction_date)
        return found


_SCIENCE_PARTS = (
    *("mission", "instrument", "data_level", "descriptor", "start_date"),
    *("extension", "repointing", "cr", "major_version", "minor_version"),
)
_ANCILLARY_PARTS = (
    *("mission", "instrument", "descriptor", "start_date", "end_date", "repointing", "version", "extension"),
)
_KINDS: Mapping[str, type[ImapFilePath]] = {
    "science": ScienceFilePath,
    "ancillary": AncillaryFilePath,
    "spice": SPICEFilePath,
    "quicklook": QuicklookFilePath,
    "dependency": DependencyFilePath,
    "release": ReleaseFilePath,
}


def generate_imap_file_path(filename: str | Path) -> ImapFilePath:
    """Return what a name means; what fits no convention is a ValueError."""
    try:
        return _KINDS[filenames.parse_name(Path(filename).name).kind](filename)
    except (filenames.InvalidFileName, KeyError) as error:
        raise ValueError(f"Invalid file type for {filename}. It does not matchany file formats.") from error


def _parts(path: ImapFilePath, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(path, name) for name in names}


def _pointing(repointing: int | str | None) -> str:
    if repointing is None:
        return ""
    if isinstance(repointing, int):
        return f"-repoint{repointing:05d}"
    if not ScienceFilePath.is_valid_repointing(repointing):
        raise ImapFilePath.InvalidImapFileError("The repointing should be an integer or a 'repointXXXXX' string.")
    return f"-{repointing}"


def _day(digits: str) -> date:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min)
