"""`availability`: how many records each data source has, day by day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import attrs
import click

from aurora_async.cli.client import ask
from aurora_async.cli.exits import Common
from aurora_async.cli.listing import Column, Listing
from aurora_async.cli.options import Section, common_options, listing_options
from aurora_async.cli.sources import filter_options, said_of, source_columns

if TYPE_CHECKING:
    from aurora_async.aurorax import Availability, DataSource

__all__ = ["availability"]


@attrs.frozen
class _Row:
    """One line of the table: a data source, and one day or all of them."""

    data_source: DataSource
    first: date
    last: date
    days: int
    records: int


_SOURCE_COLUMNS = source_columns(lambda row: row.data_source)
_SOURCE_NAMES = [column.name for column in _SOURCE_COLUMNS]
_COLUMNS = (
    *_SOURCE_COLUMNS,
    Column("first", drop=1),
    Column("last", drop=1),
    Column.number("days"),
    Column.number("records"),
)
_DAY_COLUMNS = (*_COLUMNS[:-4], Column("day", value=lambda row: row.first), _COLUMNS[-1])


@click.group(cls=Section, short_help="How many records there are, day by day.")
@common_options()
def availability() -> None:
    """Show how many records the data sources have, day by day."""


def _add(kind: str, what: str) -> None:
    @availability.command(
        kind.replace("_", "-"),
        short_help=f"Count {what} by data source and day.",
        help=f"""
        Count {what} by data source, from START to END, both inclusive (2020-01-01, or partial: 2020-01).

        Without START, from the first of January; without END, for a year. One line for each data source, or with
        --daily one for each of its days; --json has all days.
        """,
    )
    @click.argument("start", required=False)
    @click.argument("end", required=False)
    @filter_options
    @click.option("--daily", is_flag=True, help="A line for each day.")
    @click.option("--slow", is_flag=True, help="Count now, instead of using counts prepared before.")
    @listing_options((*_DAY_COLUMNS, *_COLUMNS[-4:-1]), sort="identifier")
    @common_options()
    @click.pass_obj
    def command(
        common: Common,
        /,
        start: str | None,
        end: str | None,
        daily: bool,
        slow: bool,
        listing: Listing,
        **filters: Any,
    ) -> None:
        found = ask(common, lambda client: getattr(client.availability, kind)(start, end, slow=slow, **filters))
        asked = f" with {said}" if (said := said_of(filters)) else ""
        span = f"from {start or 'January'} to {end or 'a year later'}"
        empty = f"there are no {what}{asked} {span}; try another range, or see: {common.command('sources', 'list')}"
        if listing.as_json:
            by_source = listing.sort if listing.sort in _SOURCE_NAMES else None
            attrs.evolve(listing, sort=by_source).print(common, found, empty=empty)
            return
        rows = [row for one in found for row in (_by_day(one) if daily else _summed(one))]
        if daily and listing.sort in ("first", "last", "days"):
            raise click.UsageError(f"with --daily there is no column {listing.sort}; sort by day")
        if not daily and listing.sort == "day":
            raise click.UsageError("--sort day needs --daily")
        attrs.evolve(listing, columns=_DAY_COLUMNS if daily else _COLUMNS).print(common, rows, empty=empty)

    if kind == "data_products":
        command.params.append(
            click.Option(["--type", "data_product_type"], metavar="TYPE", help="Only this type, such as keogram.")
        )


def _summed(one: Availability) -> list[_Row]:
    days = sorted(day for day, number in one.days.items() if number)
    return [_Row(one.data_source, days[0], days[-1], len(days), one.total)] if days else []


def _by_day(one: Availability) -> list[_Row]:
    return [_Row(one.data_source, day, day, 1, number) for day, number in sorted(one.days.items()) if number]


_add("ephemeris", "ephemeris records")
_add("data_products", "data products")
