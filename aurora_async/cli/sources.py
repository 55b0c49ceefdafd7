"""`sources`: which spacecraft, instruments and event lists there are; and changing those that one owns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.client import ask
from aurora_async.cli.exits import Common, Failed
from aurora_async.cli.listing import Column, Listing, note, print_fields, print_json
from aurora_async.cli.options import (
    JSON,
    Section,
    WholeNumber,
    common_options,
    confirm,
    json_option,
    listing_options,
    yes_option,
)
from aurora_async.errors import InvalidInput

if TYPE_CHECKING:
    from aurora_async.aurorax import DataSource, DataSourceStatistics, SchemaField

__all__ = ["SOURCE_TYPE", "filter_options", "said_of", "source_columns", "sources"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

# Written out, like the levels below: help does not wait for the client to be imported.
SOURCE_TYPE = click.Choice(["ground", "leo", "heo", "lunar", "event_list", "not_applicable"])
_LEVEL = click.option(
    "--level", type=click.Choice(["identifier_only", "basic_info", "with_metadata", "full_record"]),
    default="full_record", show_default=True, help="How much is told.",
)  # fmt: skip
_STATS = click.option("--stats", is_flag=True, help="Also how many records there are; takes longer.")


class _Identifier(WholeNumber):
    """The number of a data source. Whoever types a name instead is told the command for that."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if isinstance(value, str) and not value.lstrip("+-").isdecimal():
            common = (ctx and ctx.find_object(Common)) or Common()
            by_names = common.command("sources", "find", "PROGRAM", "PLATFORM", "INSTRUMENT_TYPE")
            self.fail(f"{value!r} is not a number; to look up by names: {by_names}", param, ctx)
        return super().convert(value, param, ctx)


_IDENTIFIER = click.argument("identifier", type=_Identifier(min=0))


def source_columns(of: Callable[[Any], DataSource] = lambda source: source) -> tuple[Column, ...]:
    """Return the columns of a data source; `of` finds it in a record."""
    return (
        Column("identifier", value=lambda one: of(one).identifier, head="id", is_number=True),
        Column("program", value=lambda one: of(one).program),
        Column("platform", value=lambda one: of(one).platform),
        Column("instrument_type", value=lambda one: of(one).instrument_type, fold_at=10),
        Column("display_name", value=lambda one: of(one).display_name, drop=2),
        Column("source_type", value=lambda one: of(one).source_type, drop=3),
    )


def _stat(name: str) -> Callable[[DataSource], Any]:
    return lambda source: getattr(source.stats, name, None)


_COLUMNS = (*source_columns(), Column("owner", drop=4))
_STATS_COLUMNS = (
    *source_columns(),
    Column.number("ephemeris", _stat("ephemeris_count"), drop=1),
    Column.number("data_products", _stat("data_product_count"), drop=1),
)
_SCHEMA_COLUMNS = (
    Column("field_name"),
    Column("data_type"),
    Column("allowed_values", fold_at=16, drop=1),
    Column("description", fold_at=20, drop=2),
)


def filter_options(function: FunctionT) -> FunctionT:
    """Add the filters of data sources by one name each."""
    for option in (
        click.option("--owner", help="Only those of this account (e-mail address)."),
        click.option("--source-type", type=SOURCE_TYPE, help="Only this type."),
        click.option("--instrument-type", help="Only this type of instrument."),
        click.option("--platform", help="Only this platform."),
        click.option("--program", help="Only this program; names are matched whole."),
    ):
        function = option(function)
    return function


def said_of(filters: Mapping[str, Any]) -> str:
    """Write the filters that were given: `program 'swarm' and platform 'x'`."""
    given = {name.replace("_", " "): value for name, value in filters.items() if value}
    return " and ".join(f"{name} {value if isinstance(value, list) else repr(value)}" for name, value in given.items())


def _nothing(filters: Mapping[str, Any]) -> str:
    if asked := said_of(filters):
        return f"there is no data source with {asked}; names are matched whole, see: aurora-async sources list"
    return "the server has no data sources"


@click.group(
    cls=Section,
    short_help="Spacecraft, instruments and event lists.",
    headings={
        "Looking": ("list", "search", "get", "find", "stats", "schema"),
        "Changing (for their owners)": ("add", "update", "replace", "delete"),
    },
)
@common_options()
def sources() -> None:
    """Show which data sources there are, and change those that are yours."""


@sources.command("list", short_help="List the data sources.")
@filter_options
@_STATS
@listing_options(_STATS_COLUMNS + _COLUMNS[-1:], sort="identifier")
@common_options()
@click.pass_obj
def list_(common: Common, /, stats: bool, listing: Listing, **filters: Any) -> None:
    """List the data sources to which every filter given applies."""
    found = ask(common, lambda client: client.sources.list(**filters, include_stats=stats))
    _with_columns(listing, stats).print(common, found, empty=_nothing(filters))


@sources.command("search", short_help="List data sources with one of several names.")
@click.option("--program", "programs", multiple=True, help="One of these programs; may be repeated.")
@click.option("--platform", "platforms", multiple=True, help="One of these platforms; may be repeated.")
@click.option("--instrument-type", "instrument_types", multiple=True, help="One of these types; may be repeated.")
@_STATS
@listing_options(_STATS_COLUMNS + _COLUMNS[-1:], sort="identifier")
@common_options()
@click.pass_obj
def search(common: Common, /, stats: bool, listing: Listing, **names: Any) -> None:
    """List the data sources that have one of the names given in each respect; no names do not restrict."""
    found = ask(common, lambda client: client.sources.search(**names, include_stats=stats))
    _with_columns(listing, stats).print(
        common, found, empty=_nothing({name: " or ".join(values) for name, values in names.items()})
    )


@sources.command("get", short_help="Show one data source.")
@_IDENTIFIER
@_LEVEL
@_STATS
@json_option
@common_options()
@click.pass_obj
def get(common: Common, identifier: int, level: Any, stats: bool, as_json: bool) -> None:
    """Show the data source with the number IDENTIFIER."""
    _show(ask(common, lambda client: client.sources.get(identifier, level=level, include_stats=stats)), as_json)


@sources.command("find", short_help="Show the data source with these names.")
@click.argument("program")
@click.argument("platform")
@click.argument("instrument_type")
@_LEVEL
@_STATS
@json_option
@common_options()
@click.pass_obj
def find(
    common: Common, program: str, platform: str, instrument_type: str, level: Any, stats: bool, as_json: bool
) -> None:
    """Show the data source with these three names, which are matched whole."""
    from aurora_async.aurorax.sources import NoSuchSource

    try:
        found = ask(
            common,
            lambda client: client.sources.find(program, platform, instrument_type, level=level, include_stats=stats),
        )
    except NoSuchSource as error:
        names = {"program": program, "platform": platform, "instrument_type": instrument_type}
        raise Failed(_nothing(names)) from error
    _show(found, as_json)


@sources.command("stats", short_help="Count the records of a data source.")
@_IDENTIFIER
@click.option("--slow", is_flag=True, help="Count now, instead of using the server's estimate.")
@json_option
@common_options()
@click.pass_obj
def stats(common: Common, identifier: int, slow: bool, as_json: bool) -> None:
    """Say how many records the data source IDENTIFIER has, and from when to when."""
    found = ask(common, lambda client: client.sources.statistics(identifier, slow=slow))
    if as_json:
        print_json(found)
    else:
        print_fields(_statistics(found).items())


@sources.command("schema", short_help="Show which metadata its records carry.")
@_IDENTIFIER
@click.option("--data-products", is_flag=True, help="Of its data products, instead of its ephemeris.")
@listing_options(_SCHEMA_COLUMNS)
@common_options()
@click.pass_obj
def schema(common: Common, identifier: int, data_products: bool, listing: Listing) -> None:
    """Show which metadata fields records of the data source IDENTIFIER carry."""

    found: list[SchemaField] = ask(
        common,
        lambda client: (
            client.sources.data_product_schema(identifier)
            if data_products
            else client.sources.ephemeris_schema(identifier)
        ),
    )
    what, other = ("data products", "without --data-products") if data_products else ("ephemeris", "--data-products")
    listing.print(common, found, empty=f"{what} of data source {identifier} have no metadata fields; try {other}")


# Changing -----------------------------------------------------------------------------------------------------------


def _detail_options(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--data-product-schema", "data_product_metadata_schema", type=JSON, metavar="JSON",
                     help="Metadata fields of its data products."),
        click.option("--ephemeris-schema", "ephemeris_metadata_schema", type=JSON, metavar="JSON",
                     help="Metadata fields of its ephemeris, as sources schema --json prints them."),
        click.option("--maintainer", "maintainers", multiple=True, metavar="EMAIL",
                     help="Who may load records; may be repeated."),
        click.option("--owner", metavar="EMAIL", help="Whose it is."),
        click.option("--metadata", type=JSON, metavar="JSON", help="Anything; @FILE reads a file."),
    ):  # fmt: skip
        function = option(function)
    return function


@sources.command("add", short_help="Create a data source.")
@click.argument("program")
@click.argument("platform")
@click.argument("instrument_type")
@click.argument("source_type", type=SOURCE_TYPE, metavar="SOURCE_TYPE")
@click.argument("display_name")
@click.option("--identifier", type=WholeNumber(min=0), help="A number of your choice.  [default: the server's]")
@_detail_options
@json_option
@common_options()
@click.pass_obj
def add(common: Common, /, as_json: bool, **fields: Any) -> None:
    """Create a data source and show it as the server stores it. Needs the role Owner.

    SOURCE_TYPE is ground, leo, heo, lunar, event_list or not_applicable.
    """
    changes = _changes(fields)
    _show(ask(common, lambda client: client.sources.add(**changes)), as_json)


@sources.command("update", short_help="Change fields of a data source.")
@_IDENTIFIER
@click.option("--program", help="A new program.")
@click.option("--platform", help="A new platform.")
@click.option("--instrument-type", help="A new type of instrument.")
@click.option("--source-type", type=SOURCE_TYPE, help="A new type.")
@click.option("--display-name", help="What people are shown.")
@_detail_options
@json_option
@common_options()
@click.pass_obj
def update(common: Common, /, identifier: int, as_json: bool, **fields: Any) -> None:
    """Change what is given of the data source IDENTIFIER, leave the rest, and show all of it."""
    changes = _changes(fields)
    if not changes:
        raise click.UsageError("say what is to be changed")
    _show(ask(common, lambda client: client.sources.update(identifier, **changes)), as_json)


@sources.command("replace", short_help="Store a whole record in place of one.")
@click.argument("record", type=JSON, metavar="JSON")
@json_option
@common_options()
@click.pass_obj
def replace(common: Common, record: Any, as_json: bool) -> None:
    """Store a whole record, as sources get --json prints it, in place of the one with its identifier.

    JSON is the record itself, or @FILE for a file that holds it.
    """
    from aurora_async.aurorax import DataSource

    source: DataSource = _read("record", record, DataSource)
    _show(ask(common, lambda client: client.sources.replace(source)), as_json)


@sources.command("delete", short_help="Delete a data source that has no records.")
@_IDENTIFIER
@yes_option
@common_options()
@click.pass_obj
def delete(common: Common, identifier: int, yes: bool) -> None:
    """Delete the data source IDENTIFIER; the server refuses while it has records."""
    confirm(f"Delete data source {identifier}?", yes=yes)
    ask(common, lambda client: client.sources.delete(identifier))
    note(common, f"data source {identifier} is deleted")


def _changes(fields: Mapping[str, Any]) -> dict[str, Any]:
    from aurora_async.aurorax import SchemaField

    changes = {name: value for name, value in fields.items() if value not in (None, ())}
    for name in ("ephemeris_metadata_schema", "data_product_metadata_schema"):
        if name in changes:
            changes[name] = _read(name, changes[name], list[SchemaField])
    if not isinstance(changes.get("metadata", {}), dict):
        raise InvalidInput("--metadata", "is not a JSON object")
    return changes


def _read(name: str, document: Any, into: Any) -> Any:
    import msgspec

    try:
        return msgspec.convert(document, into)
    except msgspec.ValidationError as error:
        raise InvalidInput(name, str(error)) from None


# Showing ------------------------------------------------------------------------------------------------------------


def _with_columns(listing: Listing, stats: bool) -> Listing:
    import attrs

    if not stats and listing.sort in ("ephemeris", "data_products"):
        raise click.UsageError(f"--sort {listing.sort} needs --stats")
    return attrs.evolve(listing, columns=_STATS_COLUMNS if stats and listing.sort != "owner" else _COLUMNS)


def _show(source: DataSource, as_json: bool) -> None:
    if as_json:
        print_json(source)
        return
    import json

    fields: dict[str, Any] = {
        name: getattr(source, name)
        for name in (
            "identifier", "program", "platform", "instrument_type", "source_type", "display_name", "owner",
            "maintainers",
        )
    }  # fmt: skip
    fields["metadata"] = None if source.metadata is None else json.dumps(source.metadata)
    for name in ("ephemeris_metadata_schema", "data_product_metadata_schema"):
        fields[name] = [field.field_name for field in getattr(source, name) or ()]
    if source.stats is not None:
        fields |= _statistics(source.stats)
    print_fields((name, value) for name, value in fields.items() if value not in (None, []))


def _statistics(stats: DataSourceStatistics) -> dict[str, Any]:
    from aurora_async.display.numbers import count

    return {
        "ephemeris records": count(stats.ephemeris_count),
        "earliest": stats.earliest_ephemeris_loaded,
        "latest": stats.latest_ephemeris_loaded,
        "data products": count(stats.data_product_count),
        "earliest product": stats.earliest_data_product_loaded,
        "latest product": stats.latest_data_product_loaded,
    }
