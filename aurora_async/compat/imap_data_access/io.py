"""Asking the service, and files to and from it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aurora_async.compat.imap_data_access._settings import config, data_dir, dialect, imap
from aurora_async.compat.imap_data_access.file_validation import (
    ImapFilePath,
    ScienceFilePath,
    generate_imap_file_path,
)
from aurora_async.compat.imap_data_access.utils import ReleaseType
from aurora_async.compat.imap_dialect import DATES, OLD, answer_behind, is_day, worded
from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.imap import FileQuery
from aurora_async.imap.filenames import key_of
from aurora_async.imap.vocabulary import DATA_LEVELS, EXTENSIONS, INSTRUMENTS
from aurora_async.transfer.fetch import Exists

__all__ = ["IMAPDataAccessError", "download", "query", "release", "reprocess", "spice_query", "upload"]
__dir__ = __all__.copy

logger = logging.getLogger(__name__)

_TABLES = ("science", "ancillary", "spice")
_REFUSALS = {
    "instrument": f"Not a valid instrument, please choose from {', '.join(INSTRUMENTS)}",
    "data_level": f"Not a valid data level, choose from {', '.join(DATA_LEVELS)}",
    **DATES,
    "repointing": "Not a valid repointing, use format repoint<num>, where <num> is a 5 digit integer.",
    "version": "Not a valid version, use format 'vXXX'.",
    "major_version": "Not a valid major_version, use an integer.",
    "minor_version": "Not a valid minor_version, use an integer.",
}
_NOTHING_ASKED = "At least one query parameter must be provided. Run 'query -h' for more information."


class IMAPDataAccessError(AuroraError):
    """The service refused something, or no usable answer came: `404 Not Found: …`, its own words behind the status.

    The error of ours that it stands for, with all its attributes, is its `__cause__`.
    """


def query(
    *,
    table: str | None = "science",
    instrument: str | None = None,
    data_level: str | None = None,
    descriptor: str | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    ingestion_start_date: str | None = None,
    ingestion_end_date: str | None = None,
    repointing: str | int | None = None,
    version: str | None = None,
    major_version: str | int | None = None,
    minor_version: str | int | None = None,
    extension: str | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of the catalogue that all given filters fit, as dictionaries in the service's own words.

    Args:
        table: `science` or `ancillary`.
        instrument, data_level: Of those in `VALID_INSTRUMENTS` and `VALID_DATALEVELS`.
        descriptor: Of the product.
        start_date, end_date: First and last day on which a file may begin.
        ingestion_start_date, ingestion_end_date: First and last day on which it may have come to the archive.
        repointing: A number, or `repoint` and five digits.
        version: `latest`, `vMMM.mmmm` or `vXXX`.
        major_version, minor_version: Of science files; without a major one, the highest there is.
        extension: Of the name.
    """
    filters: dict[str, Any] = {
        "instrument": instrument,
        "data_level": data_level,
        "descriptor": descriptor,
        "start_date": start_date,
        "end_date": end_date,
        "ingestion_start_date": ingestion_start_date,
        "ingestion_end_date": ingestion_end_date,
        "repointing": repointing,
        "version": version,
        "major_version": major_version,
        "minor_version": minor_version,
        "extension": extension,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    if not given.keys() - ({"version"} if version == "latest" else set()):
        raise ValueError(_NOTHING_ASKED)
    table = "science" if table is None else table
    if table not in _TABLES:
        raise ValueError(f"Not a valid database table, please choose from {', '.join(_TABLES)}")
    if table == "spice":
        raise ValueError("Kernels have a catalogue of their own: spice_query(type=…) asks it")
    _check(given)
    if extension is not None and extension not in EXTENSIONS[table]:
        choices = ", ".join(map(repr, EXTENSIONS[table]))
        raise ValueError(f"Not a valid extension for '{table}', choose from {{{choices}}}.")
    wanted = given.pop("version") if dialect() == OLD and version is not None else None
    with their_errors():
        found = imap().query(FileQuery(table=table, **(given or {"start_date": "1970"})))
    return [dict(row.raw) for row in found if wanted in (None, row.raw.get("version"))]


def spice_query(
    *,
    start_date: str | None = None,
    end_date: str | None = None,
    ingestion_start_date: str | None = None,
    ingestion_end_date: str | None = None,
    type: str | None = None,
    version: str | None = None,
) -> list[dict[str, Any]]:
    """Return the kernels that all given filters fit, as dictionaries in the service's own words.

    Args:
        start_date, end_date: Days of which at least one is covered.
        ingestion_start_date, ingestion_end_date: First and last day on which it may have come to the archive.
        type: Of the kernel, such as `ephemeris_predicted`, or `kernels` for all.
        version: `latest` for the highest of each kind; or a number, as in the name.
    """
    wanted: dict[str, Any] = {
        "start": start_date,
        "end": end_date,
        "ingestion_start_date": ingestion_start_date,
        "ingestion_end_date": ingestion_end_date,
        "type": type,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    if not given and version == "latest":
        raise ValueError("One other parameter must be run with 'version'")
    if not given:
        raise ValueError("The 'type' parameter is required for SPICE queries. Run 'query -h' for more information.")
    number = None if version in (None, "latest") else _kernel_version(version)
    _check({"start_date": start_date, "end_date": end_date})
    _check({"ingestion_start_date": ingestion_start_date, "ingestion_end_date": ingestion_end_date})
    with their_errors():
        found = imap().spice_query(**given, latest=version == "latest")
    return [dict(row.raw) for row in found if number in (None, row.version)]


def download(file_path: Path | str, *, exists: Exists = "complete") -> Path:
    """Bring a file into its folder below `DATA_DIR`, and return where it is.

    Args:
        file_path: Its name; folders in front of it count for nothing, unless it is a name that no convention knows.
        exists: What a file that is there means: it is kept unless it is shorter than the service's, as one is whose
            transfer was cut (`complete`), it is compared with the service's (`check`), taken unseen (`skip`), or
            fetched in any case (`replace`). (The original has no such argument, and takes what is there unseen.)
    """
    destination = Path(config["DATA_DIR"]) / _key(Path(file_path))
    fetch([destination], exists=exists)
    return destination


def fetch(paths: Iterable[Path], *, exists: Exists = "complete") -> None:
    """Bring files to where they are kept, many at once. One that is there and that the service has not is kept."""
    wanted = list(dict.fromkeys(paths))
    if not wanted:
        return
    folder = Path(config["DATA_DIR"])
    with their_errors():
        got = imap().download([path.relative_to(folder).as_posix() for path in wanted], data_dir(), exists=exists)
        for file in got.failed:
            assert file.error is not None
            raise file.error


def upload(file_path: Path | str) -> None:
    """Deliver a file to the archive, which chooses the folder by the name.

    Args:
        file_path: Where it is; a relative path is looked for here, and then below `DATA_DIR`.
    """
    path = Path(file_path).resolve()
    if not path.exists() and (data_dir() / file_path).exists():
        path = (data_dir() / file_path).resolve()
    if not path.exists():
        raise FileNotFoundError(path)
    if dialect() == OLD:
        folder = data_dir().resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"File {path} is not within the data directory: {folder}")
        with their_errors():
            imap().upload(path, below=folder)
        return
    if _is_minor_only(path.name):
        raise ValueError(f"Invalid science file {path.name}.")
    with their_errors(are_of_service=True):
        imap().upload(path)


def reprocess(
    *,
    start_date: str,
    end_date: str,
    instrument: str | None = None,
    data_level: str | None = None,
    descriptor: str | None = None,
) -> None:
    """Ask for files to be made anew.

    Args:
        start_date, end_date: First and last day.
        instrument: Whose files; None for all.
        data_level: Needs an instrument and a descriptor.
        descriptor: Needs an instrument.
    """
    if not end_date or not start_date:
        raise ValueError("Start date and end date are required for a reprocessing Event.")
    if data_level and not (instrument and descriptor):
        raise ValueError("If data_level is provided, instrument and descriptor are required.")
    if descriptor and not instrument:
        raise ValueError("If descriptor is provided, instrument must also be provided.")
    _check({"instrument": instrument, "data_level": data_level, "start_date": start_date, "end_date": end_date})
    with their_errors():
        asked = imap().reprocess(start_date, end_date, instrument, data_level, descriptor)
    logger.info("The service will reprocess under the id %s", asked.id)


def release(*, release_type: str, manifest_file: Path | str) -> None:
    """Publish files: deliver a manifest, wait until the service has it, and have it applied.

    Args:
        release_type: `release`; the other two are not supported yet.
        manifest_file: Says what is to be published.
    """
    if not config.get("API_KEY"):
        raise ValueError(
            "API key is required for release operations. "
            "Set the IMAP_API_KEY environment variable or use --api-key argument."
        )
    if manifest_file is None:
        raise ValueError("Manifest file is required or check that the path is valid.")
    known = [one.value for one in ReleaseType]
    if release_type not in known:
        raise ValueError(f"Not a valid release type, please choose from {known}")
    if release_type != ReleaseType.RELEASE.value:
        raise ValueError(f"release_type '{release_type}' is not supported yet")
    path = Path(manifest_file).resolve()
    if not path.exists():
        raise FileNotFoundError(path)
    with their_errors():
        imap().release(path, ReleaseType.RELEASE.value)


def _check(given: Mapping[str, Any]) -> None:
    """Refuse what cannot be right in the words that the original has for it."""
    for name, value in given.items():
        if name in DATES and isinstance(value, str) and not is_day(value):
            raise ValueError(_REFUSALS[name])
        if name in _REFUSALS and not (name == "version" and dialect() == OLD):
            try:
                FileQuery(**{"descriptor": "any", name: value})
            except InvalidInput as error:
                raise ValueError(_REFUSALS[name]) from error


@contextmanager
def their_errors(*, are_of_service: bool = False) -> Iterator[None]:
    """Raise what the original's users expect to catch.

    An argument that cannot be right stays the ValueError it is, unless the original leaves it to the service to say so.
    """
    try:
        yield
    except IMAPDataAccessError:
        raise
    except AuroraError as error:
        if isinstance(error, InvalidInput) and not are_of_service and answer_behind(error) is None:
            raise
        raise IMAPDataAccessError(worded(error, dialect())) from error


def _kernel_version(version: str) -> int:
    number = version.removeprefix("v")
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(_REFUSALS["version"])
    return int(number)


def _key(path: Path) -> str:
    """Return the path below `DATA_DIR` of a file that is asked for by its name, or by where it is."""
    if dialect() != OLD:
        try:
            return generate_imap_file_path(path.name).construct_path().relative_to(config["DATA_DIR"]).as_posix()
        except ValueError:
            if path.name == str(path):
                raise
    # What no convention knows is asked for as it stands: files of the archive from before the conventions.
    given = path.relative_to(data_dir()) if path.is_relative_to(data_dir()) else path
    try:
        return key_of(given.as_posix())
    except InvalidInput as error:
        raise ValueError(f"Invalid file type for {path}. It does not matchany file formats.") from error


def _is_minor_only(name: str) -> bool:
    try:
        return ScienceFilePath(name).major_version is None
    except ImapFilePath.InvalidImapFileError:
        return False
