"""`jsoc info` and `jsoc query`: what series are made of, and what is known of records."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import attrs
import click

from aurora_async.cli.exits import Common, Failed
from aurora_async.cli.jsoc_client import ask_jsoc
from aurora_async.cli.listing import Column, Listing, print_fields, shown
from aurora_async.cli.output import Output
from aurora_async.display import numbers

if TYPE_CHECKING:
    from aurora_async.jsoc import Keyword, Link, PrimeKey, Segment, SeriesInfo
    from aurora_async.jsoc.recordset import RecordSet

__all__ = ["print_info", "print_records"]


def _units(member: Keyword | Segment) -> str | None:
    return None if member.units == "none" else member.units


_KEYWORDS = (
    Column("name"),
    Column("type", value=lambda keyword: keyword.type.value),
    Column("units", value=_units, drop=2),
    Column("default", drop=3),
    Column("linkinfo", head="link", drop=4),
    Column("note", fold_at=24, drop=1),
)
_SEGMENTS = (
    Column("name"),
    Column("type", drop=4),
    Column("units", value=_units, drop=3),
    Column("protocol", drop=2),
    Column("dims"),
    Column("note", fold_at=20, drop=1),
)
_LINKS = (Column("name"), Column("target"), Column("kind", drop=2), Column("note", fold_at=20, drop=1))
_COLUMNS = {"keywords": _KEYWORDS, "segments": _SEGMENTS, "links": _LINKS}


def print_info(common: Common, info: SeriesInfo, keywords: Sequence[str], only: str | None, output: Output) -> None:
    """Print the structure of a series, or one table of it."""
    parts: dict[str, Sequence[Keyword | Segment | Link]] = {
        "keywords": _wanted(common, info, keywords) if keywords else list(info.keywords.values()),
        "segments": list(info.segments.values()),
        "links": list(info.links.values()),
    }
    if keywords or only or output.format in ("jsonl", "csv"):
        part = only or "keywords"
        output.print_records(
            common, _COLUMNS[part], parts[part], empty=f"{info.name} has no {part}", document=_document
        )
        return
    if not output.is_table:
        output.print_one(_series(info) | {name: list(map(_document, part)) for name, part in parts.items()})
        return
    print_fields(
        {
            "series": info.name,
            "note": info.note,
            "prime keys": ", ".join(map(_said, info.prime_key_info)) or list(info.primekeys),
            "first record": None if info.interval is None else info.interval.first_record,
            "last record": None if info.interval is None else info.interval.last_record,
            "on disk": None if info.retention_days is None else numbers.plural(info.retention_days, "day"),
        }.items()
    )
    for name, members in parts.items():
        click.secho(f"\n{name} ({len(members)})", bold=True)
        if members:
            Listing(_COLUMNS[name]).print(common, members, empty="")


def _wanted(common: Common, info: SeriesInfo, names: Sequence[str]) -> list[Keyword]:
    missing = [name for name in names if name not in info.keywords]
    if missing:
        known = {name.casefold(): name for name in info.keywords}
        alike = [known[name] for name in difflib.get_close_matches(missing[0].casefold(), known, n=3)]
        hint = f"did you mean {' or '.join(alike)}?" if alike else f"see: {common.command('jsoc', 'info', info.name)}"
        raise Failed(f"{info.name} has no keyword {missing[0]}; {hint}", 2)
    return [info.keywords[name] for name in names]


def _said(key: PrimeKey) -> str:
    return key.name if key.step_s is None else f"{key.name} (every {key.step_s:g} s)"


def _series(info: SeriesInfo) -> dict[str, Any]:
    left_out = attrs.filters.exclude("raw", "keywords", "segments", "links")
    return attrs.asdict(info, filter=left_out)


def _document(member: Keyword | Segment | Link) -> dict[str, Any]:
    document = attrs.asdict(member)
    return document | ({"type": document["type"].value} if "linkinfo" in document else {})


# Records -------------------------------------------------------------------------------------------------------------


def print_records(
    common: Common, record_set: RecordSet, keywords: Sequence[str], segments: Sequence[str], links: Sequence[str], *,
    n: int | None, names: bool, output: Output,
) -> None:  # fmt: skip
    """Query records, and print them: where a table has no room, one after the other."""
    for_programs = output.format in ("json", "jsonl")
    table = ask_jsoc(
        common,
        lambda client: client.query(
            record_set,
            keywords=_listed(keywords),
            segments=_listed(segments),
            links=_listed(links),
            prime_keys=not keywords,
            names=names or output.is_table,  # where that has no room, they are the headings
            n=n,
            typed=for_programs,
        ),
    )
    rows = table.to_dicts(times="text")
    if names:
        rows = [{"record": name} | row for name, row in zip(table.names, rows, strict=True)]
    heads = [*(["record"] if names else []), *table.columns]
    columns = [_column(head, rows) for head in heads]
    if not output.is_table or not rows or Listing(columns).fits(rows):
        output.print_records(common, columns, rows, empty=f"no record of {record_set}")
        return
    beside = max(map(len, table.columns))
    for row, name in zip(rows, table.names, strict=True):
        click.secho(name, bold=True)
        for head in table.columns:
            click.echo(f"  {head:{beside}}  {shown(row[head])}")


def _listed(names: Sequence[str]) -> list[str] | None:
    return [name.strip() for text in names for name in text.split(",") if name.strip()] or None


@attrs.frozen(kw_only=True)
class _Named(Column):
    """A column whose head is spelled as the service spells it."""

    @property
    def title(self) -> str:
        return self.name


def _column(name: str, rows: Sequence[dict[str, Any]]) -> Column:
    is_number = bool(rows) and all(_is_number(row[name]) for row in rows)
    return _Named(name, value=itemgetter(name), is_number=is_number)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value == "MISSING" or re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|0x[\da-f]+|nan", value) is not None
    return value is None or isinstance(value, int | float)
