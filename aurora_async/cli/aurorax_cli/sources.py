"""`search sources`: data sources, listed, shown and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pprint import pformat
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.aurorax_cli.asking import Settings, ask
from aurora_async.cli.aurorax_cli.tables import missing_first, table, wrapped
from aurora_async.cli.aurorax_cli.words import commas

if TYPE_CHECKING:
    from aurora_async.aurorax import AuroraX, DataSource, DataSourceStatistics, SchemaField

__all__ = ["sources"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_TYPES = click.Choice(["event_list", "ground", "heo", "leo", "lunar"])
_LEVELS = click.Choice(["basic_info", "with_metadata", "identifier_only", "full_record"])
_ORDERS = click.Choice(["identifier", "program", "platform", "instrument_type", "display_name", "owner"])
_SCHEMA_WIDTH = 40


@click.group(short_help="Spacecraft, instruments and event lists.")
def sources() -> None:
    """The data sources: spacecraft, ground instruments and event lists."""


def _table_options(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--reversed", "backwards", is_flag=True, help="Last one first."),
        click.option("--include-stats", is_flag=True, help="Show how many records there are, and from when to when."),
        click.option("--order", type=_ORDERS, default="identifier", show_default=True, help="Column to sort by."),
    ):  # fmt: skip
        function = option(function)
    return function


_level = click.option("--format", "level", type=_LEVELS, default="basic_info", help="How much is shown.")
_stats = click.option("--include-stats", is_flag=True, help="Show how many records there are, and from when to when.")


@sources.command("list", short_help="List data sources.")
@click.option("--program", help="Only this program.")
@click.option("--platform", help="Only this platform.")
@click.option("--instrument-type", help="Only this instrument type.")
@click.option("--source-type", type=_TYPES, help="Only this type of data source.")
@click.option("--owner", help="Only those of this account (an e-mail address).")
@_table_options
@click.pass_obj
def list_sources(
    settings: Settings, /, order: str, include_stats: bool, backwards: bool, owner: str | None, **filters: Any
) -> None:
    """List the data sources to which every filter given applies."""
    found = ask(
        settings,
        lambda client: client.sources.list(owner=owner, order=order, include_stats=include_stats, **filters),
    )
    with_owner = owner is not None or order == "owner"
    _print_table(found, order, backwards=backwards, with_owner=with_owner, with_stats=include_stats)


@sources.command(short_help="List data sources, with several names a filter.")
@click.option("--programs", help="Any of these programs, separated by commas.")
@click.option("--platforms", help="Any of these platforms, separated by commas.")
@click.option("--instrument-types", help="Any of these instrument types, separated by commas.")
@_table_options
@click.pass_obj
def search(settings: Settings, /, order: str, include_stats: bool, backwards: bool, **lists: str | None) -> None:
    """List the data sources whose names are in every list given."""
    names: dict[str, Any] = {
        name: [part.strip() for part in (text or "").split(",") if part.strip()] for name, text in lists.items()
    }
    found = ask(
        settings,
        lambda client: client.sources.search(order=order, include_stats=include_stats, **names),
    )
    _print_table(found, order, backwards=backwards, with_owner=order == "owner", with_stats=include_stats)


@sources.command(short_help="Show a data source, by its names.")
@click.argument("program")
@click.argument("platform")
@click.argument("instrument_type")
@_level
@_stats
@click.pass_obj
def get(settings: Settings, program: str, platform: str, instrument_type: str, level: Any, include_stats: bool) -> None:
    """Show the data source that is called PROGRAM, PLATFORM, INSTRUMENT_TYPE."""
    source = ask(
        settings,
        lambda client: client.sources.find(
            program, platform, instrument_type, level=level, include_stats=include_stats
        ),
    )
    _print_source(source, level, with_stats=include_stats)


@sources.command("get_using_identifier", short_help="Show a data source, by its number.")
@click.argument("identifier", type=int)
@_level
@_stats
@click.pass_obj
def get_using_identifier(settings: Settings, identifier: int, level: Any, include_stats: bool) -> None:
    """Show the data source with the number IDENTIFIER."""
    source = ask(settings, lambda client: client.sources.get(identifier, level=level, include_stats=include_stats))
    _print_source(source, level, with_stats=include_stats)


@sources.command(short_help="Create a data source.")
@click.argument("program")
@click.argument("platform")
@click.argument("instrument_type")
@click.argument("source_type", type=_TYPES, metavar="SOURCE_TYPE")
@click.argument("display_name")
@click.option("--identifier", type=int, help="A number of your own choice.")
@click.pass_obj
def add(settings: Settings, /, **fields: Any) -> None:
    """Create a data source. Needs an API key with the role Owner."""
    source = ask(settings, lambda client: client.sources.add(**fields))
    click.echo(f"Created data source successfully\n\n{_as_object(source)}")


@sources.command(short_help="Change a data source.")
@click.argument("identifier", type=int)
@click.option("--program", help="New program.")
@click.option("--platform", help="New platform.")
@click.option("--instrument-type", help="New instrument type.")
@click.option("--source-type", type=_TYPES, help="New type of data source.")
@click.option("--display-name", help="New name to show.")
@click.pass_obj
def update(settings: Settings, /, identifier: int, **changes: Any) -> None:
    """Change what is given of the data source IDENTIFIER. Needs an API key with the role Owner."""
    if all(change is None for change in changes.values()):
        raise click.UsageError("Nothing to change: give at least one option.")
    source = ask(settings, lambda client: client.sources.update(identifier, **changes))
    click.echo(f"Updated data source successfully\n\n{_as_object(source)}")


@sources.command(short_help="Delete a data source.")
@click.argument("identifier", type=int)
@click.pass_obj
def delete(settings: Settings, identifier: int) -> None:
    """Delete the data source IDENTIFIER, which must have no records. Needs an API key with the role Owner."""

    async def work(client: AuroraX) -> None:
        await client.sources.delete(identifier)

    ask(settings, work)
    click.echo(f"Successfully deleted data source #{identifier}")


def _as_object(source: DataSource) -> str:
    names = ("program", "platform", "instrument_type", "source_type", "display_name")
    fields = ", ".join(f"{name}='{getattr(source, name)}'" for name in names)
    return f"DataSource(identifier={source.identifier}, {fields}, ...)"


def _print_table(
    found: Iterable[DataSource], order: str, *, backwards: bool, with_owner: bool, with_stats: bool
) -> None:
    shown = sorted(found, key=lambda source: missing_first(getattr(source, order)))
    header = ["Identifier", "Display Name", "Program", "Platform", "Instrument Type", "Source Type"]
    header += ["Owner"] * with_owner + ["Ephemeris stats", "Data Products stats"] * with_stats
    rows = []
    for source in shown[::-1] if backwards else shown:
        row = [source.identifier, source.display_name, source.program, source.platform, source.instrument_type]
        row += [source.source_type, *[source.owner] * with_owner]
        rows.append([*row, *([_counted(source.stats, kind) for kind in _COUNTED] if with_stats else [])])
    click.echo(table(header, rows, ordered_by=order))
    if with_stats:
        ephemeris, products = (
            sum(getattr(source.stats, f"{kind}_count") for source in shown if source.stats) for kind in _COUNTED
        )
        click.echo(f"\nTotal Ephemeris records:\t{commas(ephemeris)}")
        click.echo(f"Total Data Product records:\t{commas(products)}\n")


_COUNTED = ("ephemeris", "data_product")


def _counted(stats: DataSourceStatistics | None, kind: str) -> str:
    if stats is None:
        return "-"
    count, span = _count_and_span(stats, kind)
    return f"{commas(count)} records{span}"


def _count_and_span(stats: DataSourceStatistics, kind: str) -> tuple[int, str]:
    """Return the count, and ` (first to last)` where there is one."""
    count: int = getattr(stats, f"{kind}_count")
    first: datetime | None = getattr(stats, f"earliest_{kind}_loaded")
    last: datetime | None = getattr(stats, f"latest_{kind}_loaded")
    return count, "" if first is None or last is None else f" ({first:%Y-%m-%dT%H:%M} to {last:%Y-%m-%dT%H:%M})"


def _print_source(source: DataSource, level: str, *, with_stats: bool) -> None:
    click.echo(f"Identifier:\t\t{source.identifier}")
    if level != "identifier_only":
        click.echo(f"Program:\t\t{source.program}")
        click.echo(f"Platform:\t\t{source.platform}")
        click.echo(f"Instument Type:\t\t{source.instrument_type}")  # spelled so by the official program
        click.echo(f"Source Type:\t\t{source.source_type}")
        click.echo(f"Display Name:\t\t{source.display_name}")
    if level == "full_record":
        click.echo(f"Owner:\t\t\t{source.owner}")
        click.echo(f"Maintainers:\t\t{source.maintainers}")
    if level in ("with_metadata", "full_record"):
        click.echo(f"Metadata:\n{pformat(source.metadata)}" if source.metadata else f"Metadata:\t\t{source.metadata}")
    if with_stats and source.stats is not None:
        for name, kind in (("Ephemeris Stats:\t", "ephemeris"), ("Data Product Stats:\t", "data_product")):
            count, span = _count_and_span(source.stats, kind)
            click.echo(f"{name}{commas(count)}{span}" if count else f"{name}0 records")
    if level == "full_record":
        ephemeris, products = source.ephemeris_metadata_schema or [], source.data_product_metadata_schema or []
        click.echo(f"Ephemeris Schema:\t{'see below table' if ephemeris else '[]'}")
        click.echo(f"Data Product Schema:\t{'see below table' if products else '[]'}\n")
        fields = [("ephemeris", one) for one in ephemeris] + [("data_product", one) for one in products]
        click.echo(table(_SCHEMA_HEADER, [_schema_row(kind, one) for kind, one in fields]))


_SCHEMA_HEADER = (
    "Schema", "Field Name", "Data Type", "Allowed Values", "Searchable", "Description", "Additional Description",
)  # fmt: skip


def _schema_row(kind: str, field: SchemaField) -> tuple[object, ...]:
    texts = (str(list(field.allowed_values)), field.description, field.additional_description)
    allowed, description, more = ("-" if text is None else wrapped(text, _SCHEMA_WIDTH) for text in texts)
    searchable = "-" if field.searchable is None else field.searchable
    return kind, field.field_name, field.data_type, allowed, searchable, description, more
