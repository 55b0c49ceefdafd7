"""What became of many files: a sequence that says which are here and which are not, whatever they were asked for by."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, overload

import attrs

from aurora_async.errors import AuroraError
from aurora_async.transfer.tables import Records

if TYPE_CHECKING:
    import pandas

__all__ = ["ByteCount", "FileOutcome", "FileOutcomes", "below", "error_document", "raise_for"]


class FileOutcome(attrs.AttrsInstance, Protocol):
    """What became of one file: it is at `path`, `bytes` long, or there is an `error`. A class of attrs."""

    @property
    def path(self) -> Path | None:
        """Where it is."""

    @property
    def bytes(self) -> int | None:
        """How long it is."""

    @property
    def error(self) -> AuroraError | None:
        """Why it is not where it should be."""


OutcomeT = TypeVar("OutcomeT", bound=FileOutcome)


class FileOutcomes(Sequence[OutcomeT]):
    """What became of each of `files`, in the order in which they were asked for. Services add what it was about."""

    __slots__ = ()

    record_type: ClassVar[type[Any] | None] = None
    """The class of `files`, for tables of none."""
    files: tuple[OutcomeT, ...]

    @property
    def failed(self) -> tuple[OutcomeT, ...]:
        """Those that went wrong."""
        return tuple(file for file in self.files if file.error is not None)

    @property
    def ok(self) -> bool:
        """True when nothing went wrong."""
        return not self.failed

    @property
    def paths(self) -> list[Path]:
        """Where the files are, each once."""
        return list(dict.fromkeys(file.path for file in self.files if file.error is None and file.path is not None))

    @property
    def bytes(self) -> int:
        """What all of them have together."""
        return sum({file.path: file.bytes or 0 for file in self.files if file.error is None}.values())

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> OutcomeT: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[OutcomeT, ...]: ...
    def __getitem__(self, index: int | slice) -> OutcomeT | tuple[OutcomeT, ...]:
        return self.files[index]

    def raise_for_failures(self) -> None:
        """Raise an `ExceptionGroup` of what went wrong, if anything did."""
        raise_for(self.failed, f"of {len(self.files)} {self._wording}")

    @property
    def _wording(self) -> str:
        """What to call those that failed."""
        return "files failed"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return what became of each as plain objects."""
        return [attrs.asdict(file, recurse=False, value_serializer=_plain) for file in self.files]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame, a row a file."""
        return Records(self.files, record_type=self.record_type).to_pandas()


def raise_for(failed: Iterable[FileOutcome], wording: str) -> None:
    """Raise an `ExceptionGroup` of the errors, if there are any; its text is their number and the `wording`."""
    errors = [file.error for file in failed if file.error is not None]
    if errors:
        raise ExceptionGroup(f"{len(errors)} {wording}", errors)


class ByteCount:
    """Tells how many bytes of all files have come, when told of each."""

    def __init__(self, on_bytes: Callable[[int], object]) -> None:
        self._on_bytes = on_bytes
        self._come: dict[Hashable, int] = {}
        self._total = 0

    def __call__(self, file: Hashable, come: int, total: int | None = None) -> None:
        """Note that `come` bytes of one file are there; as `fetch_many` calls its `on_bytes`."""
        self._total += come - self._come.get(file, 0)
        self._come[file] = come
        self._on_bytes(self._total)


def below(path: Path | None, folder: Path) -> str | None:
    """Return a path as it is below a folder, the same on all systems."""
    if path is None:
        return None
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _plain(file: object, field: object, value: object) -> object:
    if isinstance(value, AuroraError):
        return error_document(value)
    return str(value) if isinstance(value, Path) else value


def error_document(error: AuroraError | None) -> dict[str, str] | None:
    """Return an error as plain objects."""
    return None if error is None else {"kind": type(error).__name__, "text": str(error)}
