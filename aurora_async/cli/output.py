"""What commands print on stdout: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

import attrs
import click

from aurora_async.cli.exits import Common
from aurora_async.cli.listing import Column, Listing, note, print_json

__all__ = ["Output", "format_option"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@attrs.frozen
class Output:
    """How an answer is to be printed: `table`, `json`, `jsonl` or `csv`."""

    format: str = "table"

    @property
    def is_table(self) -> bool:
        """Whether people read it."""
        return self.format == "table"

    def print_records(
        self, common: Common, columns: Sequence[Column], records: Sequence[Any], *, empty: str,
        document: Callable[[Any], object] = lambda record: record,
    ) -> None:  # fmt: skip
        """Print records. `empty` is what stderr says when there are none, `document` makes one into JSON."""
        match self.format:
            case "table":
                Listing(columns).print(common, records, empty=empty)
                return
            case "json":
                print_json([document(record) for record in records])
            case "jsonl":
                print_lines(document(record) for record in records)
            case "csv":
                print_csv(
                    [column.name for column in columns],
                    ([column.value(record) for column in columns] for record in records),
                )
        if not records:
            note(common, empty)

    def print_one(self, fields: Mapping[str, object]) -> None:
        """Print what is known of one thing, in a format for programs."""
        match self.format:
            case "json":
                print_json(fields)
            case "jsonl":
                print_lines([fields])
            case "csv":
                print_csv(fields, [list(fields.values())])


def print_lines(documents: Iterable[object]) -> None:
    """Print one JSON document a line."""
    import msgspec

    lines = [msgspec.json.encode(document) for document in documents]
    if lines:
        click.echo(b"\n".join(lines))


def print_csv(names: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table with a line of names; what is not known is empty, several values are joined by blanks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(
        [" ".join(map(str, cell)) if isinstance(cell, list | tuple) else cell for cell in row] for row in rows
    )
    click.echo(text.getvalue(), nl=False)


def format_option(function: FunctionT) -> Any:
    """Add `--format` and `--json`, and give them to the command as its `output`."""

    @wraps(function)
    def command(*args: Any, format: str | None, as_json: bool, **rest: Any) -> Any:
        if as_json and format not in (None, "json"):
            raise click.UsageError(f"--json and --format {format} contradict each other")
        return function(*args, output=Output("json" if as_json else format or "table"), **rest)

    # click knows only its own wrappers' options.
    decorated: Any = command
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
        click.option("--format", type=click.Choice(["table", "json", "jsonl", "csv"]),
                     help="How the answer is printed; jsonl has one JSON record a line.  [default: table]"),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated
