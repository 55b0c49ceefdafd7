"""`search availability`: how many records there are, day by day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

import click

from aurora_async.cli.aurorax_cli.asking import Settings, ask, fail
from aurora_async.cli.aurorax_cli.tables import missing_first, table
from aurora_async.cli.aurorax_cli.words import commas

__all__ = ["availability"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_ORDERS = ("identifier", "program", "platform", "instrument_type", "source_type", "display_name")
_HEADER = (
    "Identifier", "Display Name", "Program", "Platform", "Instrument Type", "Source Type", "Date", "Available Records",
)  # fmt: skip


@click.group(short_help="How many records there are, day by day.")
def availability() -> None:
    """How many records the data sources have, day by day (UTC).

    Dates are written YYYY/MM/DD, YYYY-MM-DD or YYYYMMDD; both ends are inclusive.
    """


def _options(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--reversed", "backwards", is_flag=True, help="Last data source first."),
        click.option("--order", type=click.Choice(_ORDERS), default="identifier", show_default=True,
                     help="Column to sort by."),
        click.option("--source-type", help="Only this type of data source."),
        click.option("--instrument-type", help="Only this instrument type."),
        click.option("--platform", help="Only this platform."),
        click.option("--program", help="Only this program."),
        click.argument("end_date"),
        click.argument("start_date"),
    ):  # fmt: skip
        function = option(function)
    return function


@availability.command(short_help="Count ephemeris records.")
@_options
@click.pass_obj
def ephemeris(settings: Settings, /, **typed: Any) -> None:
    """Show how many ephemeris records there are from START_DATE to END_DATE."""
    _show(settings, "ephemeris", **typed)


@availability.command("data_products", short_help="Count data products.")
@_options
@click.pass_obj
def data_products(settings: Settings, /, **typed: Any) -> None:
    """Show how many data products there are from START_DATE to END_DATE."""
    _show(settings, "data_products", **typed)


def _show(
    settings: Settings,
    /,
    kind: str,
    *,
    start_date: str,
    end_date: str,
    order: str,
    backwards: bool,
    **filters: str | None,
) -> None:
    start, end = _day(start_date, "start"), _day(end_date, "end")
    found = ask(settings, lambda client: getattr(client.availability, kind)(start, end, **filters))
    if not found:
        click.echo(f"No {kind.replace('_', ' ')} availability information found!")
        return
    entries = sorted(found, key=lambda entry: missing_first(getattr(entry.data_source, order)))
    rows = [
        (source.identifier, source.display_name, source.program, source.platform, source.instrument_type,
         source.source_type, day.isoformat(), commas(count))
        for source, days in ((entry.data_source, entry.days) for entry in (entries[::-1] if backwards else entries))
        for day, count in days.items()
    ]  # fmt: skip
    click.echo(table(_HEADER, rows, ordered_by=order))


def _day(text: str, which: str) -> date:
    form = "%Y/%m/%d" if "/" in text else "%Y-%m-%d" if "-" in text else "%Y%m%d"
    try:
        return datetime.strptime(text, form).date()
    except ValueError:
        fail(f"Error parsing {which} date, make sure it is in a valid format shown in help menu")
