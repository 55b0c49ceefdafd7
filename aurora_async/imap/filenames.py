"""The names of files: what they say, how they are made, and where the service keeps each of them.

    ScienceName       imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf
    QuicklookName     imap_mag_l1a_test_20210101_v000.0001.png
    DependencyName    imap_mag_l1a_test_20210101_v000.0001.json
    AncillaryName     imap_mag_l1b-cal_20250103_20250104_v002.cdf
    ReleaseName       imap_hit_data-release-001_20260101_20260131_v001.txt
    SpiceName         imap_2025_032_2025_034_003.ah.bc, naif0012.tls, …
    LegacyName        imap_swe_l0_sci_20240105_20240105_v00-05.pkts     read, and no longer written

`parse_name` reads any of them, `str` prints them, `key` is the path in the service's store, and `key_of` finds that for
whatever a caller has in hand.

Source: the SDC's data-access client 1.3.0, its server, and for the legacy names its releases 0.2.0 to 0.4.0.
"""

from __future__ import annotations

import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path, PurePath
from typing import Any, ClassVar, NoReturn, Protocol, Self, TypeVar

import attrs

from aurora_async.errors import InvalidInput
from aurora_async.imap._kernels import read_kernel, write_kernel
from aurora_async.imap.vocabulary import (
    DATA_LEVELS,
    EXTENSIONS,
    INSTRUMENTS,
    KERNEL_FOLDERS,
    LEGACY_INSTRUMENTS,
)

__all__ = [
    "AncillaryName",
    "DayLike",
    "DependencyName",
    "FileName",
    "HasKey",
    "InvalidFileName",
    "LegacyName",
    "QuicklookName",
    "ReleaseName",
    "ScienceName",
    "SpiceName",
    "Version",
    "compact",
    "key_of",
    "parse_name",
    "to_day",
]

DayLike = date | str

_VERSION = re.compile(r"v(?:(?P<major>\d{3})\.(?P<minor>\d{4})|(?P<alone>\d{3}))", re.ASCII)
_LEGACY_VERSION = re.compile(r"v\d\d-\d\d", re.ASCII)
_DAY = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)", re.ASCII)
_EIGHT_DIGITS = re.compile(r"\d{8}", re.ASCII)
_MOST_NUMBER = 99999
_MOST_KEY_BYTES = 1024
"""Of the store behind the service. A path of thousands of folders is more than the system's own functions bear."""

_PRODUCT = re.compile(
    r"""imap_(?P<instrument>[^_]+)_(?P<data_level>[^_]+)_(?P<descriptor>[^_]+)_(?P<start_date>\d{8})
    (?:-repoint(?P<repointing>\d{5})|-cr(?P<cr>\d{5}))?_(?P<version>v\d{3}(?:\.\d{4})?)\.(?P<extension>[^.]+)""",
    re.ASCII | re.VERBOSE,
)
_VALIDITY = re.compile(
    r"""imap_(?P<instrument>[^_]+)_(?P<descriptor>[^_]+)_(?P<start_date>\d{8})
    (?:_(?P<end_date>\d{8})|-repoint(?P<repointing>\d{5}))?_(?P<version>v\d{3})\.(?P<extension>[^.]+)""",
    re.ASCII | re.VERBOSE,
)
_LEGACY = re.compile(
    r"""imap_(?P<instrument>[^_]+)_(?P<data_level>[^_]+)_(?P<descriptor>[^_]+)_(?P<start_date>\d{8})
    _(?P<end_date>\d{8})_(?P<version>v\d\d-\d\d)\.(?P<extension>[^.]+)""",
    re.ASCII | re.VERBOSE,
)

_PRODUCT_FORM = "imap_<instrument>_<level>_<descriptor>_<YYYYMMDD>[-repoint<5 digits> or -cr<5 digits>]_v<MMM>.<mmmm>"
_VALIDITY_FORM = "imap_<instrument>_<descriptor>_<YYYYMMDD>[_<YYYYMMDD> or -repoint<5 digits>]_v<NNN>"
_LEGACY_FORM = "imap_<instrument>_<level>_<descriptor>_<YYYYMMDD>_<YYYYMMDD>_v<NN>-<NN>.<cdf|pkts>"


class InvalidFileName(InvalidInput):
    """A text is no file name of the service; `field` is the part that is wrong, `name` where it is the form."""

    def __init__(self, name: str, reason: str, field: str = "name") -> None:
        super().__init__(field, reason)
        self.args = (name, reason, field)
        self.name = name

    def __str__(self) -> str:
        what = "" if self.field == "name" else f"{self.field.replace('_', ' ')} "
        return f"{self.name!r} is not a file name of IMAP: {what}{self.reason}"


@attrs.frozen(order=True)
class Version:
    """A version: `v001.0008`, or with a minor part only `v012`, which comes before all that have a major one."""

    major: int | None = attrs.field(order=lambda major: -1 if major is None else major)
    minor: int

    def __attrs_post_init__(self) -> None:
        largest = 999 if self.major is None else 9999
        for field, number, most in (("major", self.major, 999), ("minor", self.minor, largest)):
            if number is not None and (type(number) is not int or not 0 <= number <= most):
                raise InvalidInput(f"version.{field}", f"{number!r} is not a whole number from 0 to {most}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `v001.0008` or `v012`."""
        match = _VERSION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidInput("version", f"{text!r} is not a version; write v001.0008 (major.minor) or v012")
        if match["alone"]:
            return cls(None, int(match["alone"]))
        return cls(int(match["major"]), int(match["minor"]))

    @property
    def is_full(self) -> bool:
        """Whether it has a major part, as those of science files must have to be uploaded."""
        return self.major is not None

    def __str__(self) -> str:
        return f"v{self.minor:03}" if self.major is None else f"v{self.major:03}.{self.minor:04}"


def to_day(when: DayLike, field: str = "date") -> date:
    """Return the day that a date, a datetime (naive ones are UTC) or a text such as 20260412 or 2026-04-12 names."""
    if isinstance(when, datetime):
        return when.date() if when.tzinfo is None else when.astimezone(UTC).date()
    if isinstance(when, date):
        return when
    match = _DAY.fullmatch(when) if isinstance(when, str) else None
    if match is not None:
        try:
            return date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError as error:
            raise InvalidInput(field, f"{when!r} is not a day: {error}") from None
    raise InvalidInput(field, f"{when!r} is not a day; write YYYYMMDD")


def compact(day: date) -> str:
    """Return a day as names and the service have it: 20260412."""
    return f"{day.year:04}{day.month:02}{day.day:02}"  # strftime pads no year before 1000


def _to_start(when: DayLike) -> date:
    return to_day(when, "start_date")


def _to_last(when: DayLike) -> date:
    return to_day(when, "end_date")


def _to_end(when: DayLike | None) -> date | None:
    return None if when is None else _to_last(when)


def _to_number(value: int | None) -> int | None:
    """Make whole numbers of NumPy ours; what is none of any kind is left to the validator."""
    try:
        return value if value is None or isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value


def _to_version(version: Version | str) -> Version:
    return version if isinstance(version, Version) else Version.parse(version)


def _one_of(words: Iterable[str]) -> Any:
    allowed = tuple(words)

    def check(instance: object, field: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise InvalidInput(field.name, f"{value!r} is not one of {', '.join(allowed)}")

    return check


def _one_of_its_kind(name: FileName, field: attrs.Attribute[Any], value: object) -> None:
    allowed = EXTENSIONS[name.kind]
    if value not in allowed:
        raise InvalidInput(field.name, f"{value!r} is not one of {', '.join(allowed)} (of {name.kind} files)")


def _word(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable() or set(value) & set("_/\\"):
        raise InvalidInput(field.name, f"{value!r} is not a descriptor: printable characters, no _, / or \\ in it")


def _number(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (type(value) is not int or not 0 <= value <= _MOST_NUMBER):
        raise InvalidInput(field.name, f"{value!r} is not a whole number from 0 to {_MOST_NUMBER}")


def _two_numbers(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not _LEGACY_VERSION.fullmatch(value):
        raise InvalidInput(field.name, f"{value!r} is not a version of that time; write v00-05")


def _check_order(start: date, end: date) -> None:
    if end < start:
        raise InvalidInput("end_date", f"{end} is before the start, {start}")


@attrs.frozen
class FileName(ABC):
    """The name of a file: `str` is the bare name, `key` its path in the service's store and below a data folder."""

    kind: ClassVar[str]
    """Which family it belongs to: science, quicklook, dependency, ancillary, release, spice or legacy."""

    @property
    @abstractmethod
    def key(self) -> str:
        """The path in the service's store, with `/` between folders."""

    @abstractmethod
    def is_valid_on(self, day: date) -> bool:
        """Whether its content is for this day, as far as the name tells."""

    def path_in(self, folder: Path | str) -> Path:
        """Return where the file lies below a data folder."""
        return Path(folder, *self.key.split("/"))


@attrs.frozen
class _ProductName(FileName):
    """What science, quicklook and dependency files have in common: a product, of a level, for a day or a pointing."""

    instrument: str = attrs.field(validator=_one_of(INSTRUMENTS))
    data_level: str = attrs.field(validator=_one_of(DATA_LEVELS))
    descriptor: str = attrs.field(validator=_word)
    start_date: date = attrs.field(converter=_to_start)
    version: Version = attrs.field(converter=_to_version)
    extension: str = attrs.field(validator=_one_of_its_kind)
    repointing: int | None = attrs.field(default=None, converter=_to_number, validator=_number)
    """Number of the pointing that the data are of."""
    cr: int | None = attrs.field(default=None, converter=_to_number, validator=_number)
    """Number of the Carrington rotation that the data are of."""

    _root: ClassVar[str]

    @property
    def series(self) -> tuple[str, str, str, date, int | None]:
        """What the versions of this file have in common."""
        return self.instrument, self.data_level, self.descriptor, self.start_date, self.repointing

    @extension.default
    def _usual_extension(self) -> str:
        return "pkts" if self.kind == "science" and self.data_level == "l0" else EXTENSIONS[self.kind][0]

    def __attrs_post_init__(self) -> None:
        if self.repointing is not None and self.cr is not None:
            raise InvalidInput("cr", "a file is of a pointing or of a Carrington rotation, not of both")
        if _EIGHT_DIGITS.fullmatch(self.descriptor):
            reason = (
                f"{self.descriptor!r} is a date. The service takes an ancillary file whose descriptor is a level for "
                "such a one; give that file another descriptor"
            )
            raise InvalidInput("descriptor", reason)

    @classmethod
    def parse(cls, text: str | PurePath) -> Self:
        """Read a name; folders before it do not matter."""
        bare = _bare(text)
        name = _read_product(bare)
        if not isinstance(name, cls):
            _refuse_form(bare, f"{_PRODUCT_FORM}.<{'|'.join(EXTENSIONS[cls.kind])}>")
        return name

    @property
    def key(self) -> str:
        day = self.start_date
        return f"{self._root}/{self.instrument}/{self.data_level}/{day.year:04}/{day.month:02}/{self}"

    def is_valid_on(self, day: date) -> bool:
        return day == self.start_date

    def __str__(self) -> str:
        which = f"-repoint{self.repointing:05}" if self.repointing is not None else ""
        which += f"-cr{self.cr:05}" if self.cr is not None else ""
        return (
            f"imap_{self.instrument}_{self.data_level}_{self.descriptor}"
            f"_{compact(self.start_date)}{which}_{self.version}.{self.extension}"
        )


@attrs.frozen
class ScienceName(_ProductName):
    """The name of a science file. The extension is `pkts` for level l0 and `cdf` for others unless it is given."""

    kind: ClassVar[str] = "science"
    _root: ClassVar[str] = "imap"


@attrs.frozen
class QuicklookName(_ProductName):
    """The name of a quicklook picture."""

    kind: ClassVar[str] = "quicklook"
    _root: ClassVar[str] = "imap/quicklook"


@attrs.frozen
class DependencyName(_ProductName):
    """The name of a file that lists what a product is made from; see `aurora_async.imap.inputs`."""

    kind: ClassVar[str] = "dependency"
    _root: ClassVar[str] = "imap/dependency"


@attrs.frozen
class _ValidityName(FileName):
    """What ancillary files and release manifests have in common: a time range, and versions without a major part."""

    instrument: str = attrs.field(validator=_one_of(INSTRUMENTS))
    descriptor: str = attrs.field(validator=_word)
    start_date: date = attrs.field(converter=_to_start)
    """First day."""
    version: Version = attrs.field(converter=_to_version)
    extension: str = attrs.field(validator=_one_of_its_kind)
    end_date: date | None = attrs.field(default=None, converter=_to_end)
    """Last day, included; None: until another file of this descriptor takes over."""
    repointing: int | None = attrs.field(default=None, converter=_to_number, validator=_number)

    _root: ClassVar[str]

    @extension.default
    def _usual_extension(self) -> str:
        return EXTENSIONS[self.kind][0]

    def __attrs_post_init__(self) -> None:
        if self.version.is_full:
            raise InvalidInput(
                "version", f"{self.version} has a major part; {self.kind} files have versions such as v012"
            )
        if self.end_date is None:
            return
        if self.repointing is not None:
            raise InvalidInput("end_date", "a file that is of a pointing has no end date")
        _check_order(self.start_date, self.end_date)
        if self.descriptor in DATA_LEVELS and self.extension in EXTENSIONS["science"]:
            reason = f"{self.descriptor!r} is a level, with which the service takes this file for a science file"
            raise InvalidInput("descriptor", reason)

    @classmethod
    def parse(cls, text: str | PurePath) -> Self:
        """Read a name; folders before it do not matter."""
        bare = _bare(text)
        name = _read_validity(bare)
        if not isinstance(name, cls):
            _refuse_form(bare, f"{_VALIDITY_FORM}.<{'|'.join(EXTENSIONS[cls.kind])}>")
        return name

    @property
    def key(self) -> str:
        return f"{self._root}/{self.instrument}/{self}"

    def is_valid_on(self, day: date) -> bool:
        return self.start_date <= day and (self.end_date is None or day <= self.end_date)

    def __str__(self) -> str:
        until = f"_{compact(self.end_date)}" if self.end_date is not None else ""
        until += f"-repoint{self.repointing:05}" if self.repointing is not None else ""
        start = compact(self.start_date)
        return f"imap_{self.instrument}_{self.descriptor}_{start}{until}_{self.version}.{self.extension}"


@attrs.frozen
class AncillaryName(_ValidityName):
    """The name of an ancillary file: a calibration, a table, settings, for a range of days.

    Which of several a day's data need, `inputs.ancillary_for_day` says.
    """

    kind: ClassVar[str] = "ancillary"
    _root: ClassVar[str] = "imap/ancillary"


@attrs.frozen
class ReleaseName(_ValidityName):
    """The name of a manifest that says what of its days is published; see `aurora_async.imap.releases`."""

    kind: ClassVar[str] = "release"
    _root: ClassVar[str] = "imap/release"


@attrs.frozen
class SpiceName(FileName):
    """The name of a file of the SPICE family, from `name` itself: kernels, and tables of spins, repointings, thrusters.

    What a name does not tell is None. Upper and lower case stay as they were given, here and in the key.
    """

    kind: ClassVar[str] = "spice"

    name: str
    _parts: dict[str, Any] = attrs.field(init=False, eq=False, repr=False)

    @_parts.default
    def _read(self) -> dict[str, Any]:
        try:
            parts = read_kernel(self.name)
        except InvalidInput as error:
            raise InvalidFileName(self.name, error.reason, error.field) from None
        if parts is None:
            raise InvalidFileName(self.name, "no kernel and no table of the SPICE family is called like that")
        return parts

    @classmethod
    def parse(cls, text: str | PurePath) -> Self:
        """Read a name; folders before it do not matter."""
        return cls(_bare(text))

    @classmethod
    def build(cls, type: str, *, ending: str | None = None, **parts: date | int | str | None) -> Self:
        """Make a name of its parts.

        Args:
            type: One of `vocabulary.KERNEL_TYPES`.
            ending: What the name ends in, where the type alone does not tell: `spin.csv`, `spice.mk`.
            parts: What the names of that type hold: `version` (a text, zeros and all), `start_date`, `end_date`,
                `prediction_date`, `repointing`, `orbit` (number of the orbit determination), `word`.

        Raises:
            InvalidInput: No name of that type has just these parts.
        """
        given = {
            field: to_day(part, field) if field.endswith("_date") and not isinstance(part, int) else part
            for field, part in parts.items()
            if part is not None
        }
        name = cls(write_kernel(type, given, ending))
        for field, part in given.items():
            if name._parts.get(field) != part:
                raise InvalidInput(field, f"{part} cannot be said in a name such as {name}")
        return name

    @property
    def type(self) -> str:
        """One of `vocabulary.KERNEL_TYPES`."""
        return str(self._parts["type"])

    @property
    def folder(self) -> str:
        """Where files of this type are, below `imap/spice`."""
        return KERNEL_FOLDERS[self.type]

    @property
    def version(self) -> str | None:
        """The version as it is written: `0012`, `01`."""
        return self._parts.get("version")

    @property
    def start_date(self) -> date | None:
        """First day."""
        return self._parts.get("start_date")

    @property
    def end_date(self) -> date | None:
        """Last day, included."""
        return self._parts.get("end_date")

    @property
    def prediction_date(self) -> date | None:
        """The day from which on it is a prediction (Earth attitude)."""
        return self._parts.get("prediction_date")

    @property
    def repointing(self) -> int | None:
        """Number of the pointing (pivot of Lo)."""
        return self._parts.get("repointing")

    @property
    def orbit(self) -> str | None:
        """Number of the orbit determination (ephemerides): `004`."""
        return self._parts.get("orbit")

    @property
    def word(self) -> str | None:
        """What a table of thrusters is called besides: `hist`."""
        return self._parts.get("word")

    @property
    def extension(self) -> str:
        """What follows the last dot."""
        return self.name.rpartition(".")[2]

    @property
    def root(self) -> str:
        """The name without its version: versions of one file have it in common."""
        begin, end = self._parts.get("span", (0, 0))
        return self.name[:begin] + self.name[end:]

    @property
    def key(self) -> str:
        return f"imap/spice/{self.folder}/{self.name}"

    def is_valid_on(self, day: date) -> bool:
        return (self.start_date is None or self.start_date <= day) and (self.end_date is None or day <= self.end_date)

    def __str__(self) -> str:
        return self.name


@attrs.frozen
class LegacyName(FileName):
    """A name as it was until February 2024. Files that have one can be found and fetched; no file gets one any more."""

    kind: ClassVar[str] = "legacy"

    instrument: str = attrs.field(validator=_one_of((*INSTRUMENTS, *LEGACY_INSTRUMENTS)))
    data_level: str = attrs.field(validator=_one_of(DATA_LEVELS))
    descriptor: str = attrs.field(validator=_word)
    start_date: date = attrs.field(converter=_to_start)
    end_date: date = attrs.field(converter=_to_last)
    version: str = attrs.field(validator=_two_numbers)
    """Two digits twice: `v00-05`."""
    extension: str = attrs.field(validator=_one_of(EXTENSIONS["science"]))

    def __attrs_post_init__(self) -> None:
        _check_order(self.start_date, self.end_date)

    @classmethod
    def parse(cls, text: str | PurePath) -> Self:
        """Read a name; folders before it do not matter."""
        bare = _bare(text)
        name = _read_legacy(bare)
        if not isinstance(name, cls):
            _refuse_form(bare, _LEGACY_FORM)
        return name

    @property
    def key(self) -> str:
        day = self.start_date
        return f"imap/{self.instrument}/{self.data_level}/{day.year:04}/{day.month:02}/{self}"

    def is_valid_on(self, day: date) -> bool:
        return self.start_date <= day <= self.end_date

    def __str__(self) -> str:
        return (
            f"imap_{self.instrument}_{self.data_level}_{self.descriptor}"
            f"_{compact(self.start_date)}_{compact(self.end_date)}_{self.version}.{self.extension}"
        )


# Reading and writing --------------------------------------------------------------------------------------------------

_PRODUCTS: dict[str, type[_ProductName]] = {
    extension: cls for cls in (ScienceName, QuicklookName, DependencyName) for extension in EXTENSIONS[cls.kind]
}
_VALIDITIES: dict[str, type[_ValidityName]] = {
    extension: cls for cls in (AncillaryName, ReleaseName) for extension in EXTENSIONS[cls.kind]
}


def _bare(text: str | PurePath) -> str:
    if isinstance(text, PurePath):
        return text.name
    if not isinstance(text, str):
        raise InvalidInput("name", f"{text!r} is a {type(text).__name__}; give a text or a path")
    return text.rpartition("/")[2]


def _refuse_form(name: str, form: str) -> NoReturn:
    raise InvalidFileName(name, f"it is not of the form {form}")


_Name = TypeVar("_Name", bound=FileName)


def _of_parts(cls: type[_Name], text: str, parts: dict[str, Any]) -> _Name:
    for field in ("repointing", "cr"):
        if parts.get(field) is not None:
            parts[field] = int(parts[field])
    try:
        return cls(**parts)
    except InvalidInput as error:
        raise InvalidFileName(text, error.reason, error.field) from None


def _of_match(match: re.Match[str] | None, text: str, classes: Mapping[str, type[_Name]]) -> _Name | None:
    if match is None:
        return None
    cls = classes.get(match["extension"])
    if cls is None:
        reason = f"{match['extension']!r} is not one of {', '.join(classes)}"
        raise InvalidFileName(text, reason, "extension")
    return _of_parts(cls, text, match.groupdict())


def _read_product(text: str) -> _ProductName | None:
    match = _PRODUCT.fullmatch(text)
    if match and match["data_level"] not in DATA_LEVELS and _EIGHT_DIGITS.fullmatch(match["descriptor"]):
        return None  # an ancillary file's with a window, which has the same shape
    return _of_match(match, text, _PRODUCTS)


def _read_validity(text: str) -> _ValidityName | None:
    return _of_match(_VALIDITY.fullmatch(text), text, _VALIDITIES)


def _read_spice(text: str) -> SpiceName | None:
    try:
        return SpiceName(text)
    except InvalidFileName as error:
        if error.field == "name":
            return None
        raise


def _read_legacy(text: str) -> LegacyName | None:
    match = _LEGACY.fullmatch(text)
    return None if match is None else _of_parts(LegacyName, text, match.groupdict())


def parse_name(text: str | PurePath) -> FileName:
    """Read the name of a file of any kind; folders before it do not matter.

    Raises:
        InvalidFileName: It is none: the part that is wrong, or all the forms that there are.
    """
    bare = _bare(text)
    problem: InvalidFileName | None = None
    for read in (_read_product, _read_validity, _read_spice, _read_legacy):
        try:
            name = read(bare)
        except InvalidFileName as error:
            problem = problem or error
        else:
            if name is not None:
                return name
    forms = f"{_PRODUCT_FORM}.<{'|'.join(_PRODUCTS)}>; {_VALIDITY_FORM}.<{'|'.join(_VALIDITIES)}>"
    kernels = "or that of a kernel, such as imap_2025_032_2025_034_003.ah.bc or naif0012.tls"
    raise problem or InvalidFileName(bare, f"it has none of the forms {forms}; {kernels}")


class HasKey(Protocol):
    """Whatever knows its path in the service's store: a row of the catalogue, or a file name."""

    @property
    def key(self) -> str:
        """The path in the service's store."""


def key_of(what: str | PurePath | HasKey) -> str:
    """Return the path in the service's store.

    Args:
        what: A file's name, alone or with any folders before it: its own folders are found by the name. What is not
            named by today's rules, such as `imap/mag/calibration/test_calibration.txt`, must be the whole path. The
            path of a row of the catalogue is taken as the service gave it.

    Raises:
        InvalidFileName: It is neither a name nor a path below `imap/`, or it leads out of its folder.
    """
    if isinstance(what, FileName):
        return what.key
    if not isinstance(what, (str, PurePath)):
        key = getattr(what, "key", None)
        if not isinstance(key, str):
            raise InvalidInput("key", f"{what!r} is a {type(what).__name__}; give a file name, a path or a row")
        return _checked_key(key)
    text = what.as_posix() if isinstance(what, PurePath) else what
    if ".." not in text.split("/"):
        try:
            return parse_name(text).key
        except InvalidFileName:
            if not text.startswith("imap/"):
                raise
    return _checked_key(text)


def _checked_key(key: str) -> str:
    parts = key.split("/")
    if parts[0] != "imap" or len(parts) < 2 or not key.isprintable() or "\\" in key or set(parts) & {"", ".", ".."}:
        raise InvalidFileName(key, "is not a path such as imap/swe/l1a/2024/05/<name>", "key")
    if len(key.encode()) > _MOST_KEY_BYTES:
        raise InvalidFileName(f"{key[:80]}…", f"is longer than any path of the store, {_MOST_KEY_BYTES} bytes", "key")
    return key
