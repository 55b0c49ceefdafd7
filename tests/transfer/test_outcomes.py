"""What became of many files, in one sequence."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs
import pytest

from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.transfer.outcomes import ByteCount, FileOutcomes, below


@attrs.frozen(kw_only=True)
class One:
    """A file."""

    path: Path | None = None
    bytes: int | None = None
    error: AuroraError | None = None


@attrs.frozen
class Many(FileOutcomes[One]):
    """Several."""

    record_type: ClassVar = One
    files: tuple[One, ...]


GOOD, BAD = One(path=Path("a"), bytes=3), One(error=InvalidInput("name", "is none"))


def test_one_failure_is_not_the_failure_of_all() -> None:
    """Files that are here are told, each once, and errors in a group."""
    many = Many((GOOD, BAD, GOOD))
    assert (many.ok, many.failed, many.paths, many.bytes) == (False, (BAD,), [Path("a")], 3)
    assert (len(many), many[1], many[1:]) == (3, BAD, (BAD, GOOD))
    with pytest.raises(ExceptionGroup, match="1 of 3 files failed") as caught:
        many.raise_for_failures()
    assert caught.value.exceptions == (BAD.error,)
    assert Many((GOOD,)).ok
    Many((GOOD,)).raise_for_failures()


def test_they_are_plain_objects_and_tables_too() -> None:
    """Paths are texts, errors say what they are; a table of nothing has its columns."""
    assert Many((GOOD, BAD)).to_dicts() == [
        {"path": "a", "bytes": 3, "error": None},
        {"path": None, "bytes": None, "error": {"kind": "InvalidInput", "text": "name: is none"}},
    ]
    pytest.importorskip("pandas")
    assert list(Many(()).to_pandas().columns) == ["path", "bytes", "error"]


def test_bytes_of_all_files_are_counted_as_they_come() -> None:
    """What comes again, after a new start, is not counted twice."""
    told: list[int] = []
    count = ByteCount(told.append)
    for file, come in (("a", 10), ("b", 5), ("a", 30), ("a", 0), ("a", 20)):
        count(file, come)
    assert told == [10, 15, 35, 5, 25]


def test_a_path_is_told_as_it_is_below_its_folder() -> None:
    """With one kind of slash, and whole where it is not below it."""
    assert below(Path("x", "y", "z"), Path("x")) == "y/z"
    assert below(Path("/y"), Path("/x")) == str(Path("/y"))
    assert below(None, Path("x")) is None
