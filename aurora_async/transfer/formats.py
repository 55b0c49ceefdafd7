"""The forms in which a result becomes a file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal, get_args

import attrs

from aurora_async.errors import InvalidInput, MissingExtra

__all__ = ["Format", "TableForm", "check_format", "ending"]

Format = Literal["body", "json", "jsonl", "csv", "parquet"]


@attrs.frozen
class TableForm:
    """What has to be known of records before the first one comes, to make a table of them (`csv`, `parquet`)."""

    record_type: type[Any]
    """Their class: the columns are those of its `Records`."""
    places: int | None = None
    """How many columns a numbered list gets in a CSV file (`program_1`, …); None: as many as the first record needs."""
    about: Mapping[str, str] = attrs.field(factory=dict)
    """Texts for the metadata of a Parquet file, each under `aurora_async.` and its key."""


def check_format(format: Format) -> None:
    """Raise `InvalidInput` for what is no form of a file, `MissingExtra` for one that this installation cannot write.

    Both are known before anything is sent; a result of a day's work is not the place to find out.
    """
    if format not in get_args(Format):
        raise InvalidInput("format", f"{format!r} is unknown; use {', '.join(get_args(Format))}")
    if format == "parquet" and find_spec("pyarrow") is None:  # importing it takes longer than asking
        raise MissingExtra("parquet", "pyarrow")


def ending(format: Format) -> str:
    """Return how the name of such a file ends, without the dot."""
    return "json" if format == "body" else format
