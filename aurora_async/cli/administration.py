"""`requests` and `accounts`: what only administrators may do."""

from __future__ import annotations

from typing import Any

import click

from aurora_async.cli.client import ask
from aurora_async.cli.exits import Common
from aurora_async.cli.listing import Column, Listing, note
from aurora_async.cli.options import Section, WholeNumber, common_options, confirm, listing_options, yes_option
from aurora_async.display import numbers

__all__ = ["accounts", "requests"]


def _size(size: int | None) -> str:
    return "-" if size is None else numbers.size(size)


def _took(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else numbers.duration(milliseconds / 1000)


_REQUEST_COLUMNS = (
    Column("requested"),
    Column("search_type", head="kind", drop=1),
    Column("request_id"),
    Column("active", drop=2),
    Column("error_condition", head="failed", drop=5),
    Column.number("result_count", head="records", drop=3),
    Column("file_size", head="size", show=_size, is_number=True, drop=4),
    Column("query_duration", head="took", show=_took, is_number=True, drop=4),
    Column("ip_address", drop=6),
)
_ACCOUNT_COLUMNS = (
    Column("email_address"),
    Column("role"),
    Column("first_name", drop=1),
    Column("last_name", drop=1),
    Column("disabled", drop=2),
    Column("last_login", drop=3),
    Column("account_id", drop=4),
)


@click.group(cls=Section, short_help="Everybody's search requests (administrators).")
@common_options()
def requests() -> None:
    """Show or remove search requests of all users. Needs the role Administrator."""


@requests.command("list", short_help="List everybody's search requests.")
@click.option("--search-type", type=click.Choice(["conjunction", "ephemeris", "data_product"]), help="Only this kind.")
@click.option("--active/--over", "active", default=None, help="Only those that run, or only those that are over.")
@click.option("--failed/--good", "error_condition", default=None,
              help="Only those that failed, or only those that did not.")  # fmt: skip
@click.option("--start", metavar="TIME", help="Made at this time (UTC) or later; may be partial: 2020-01.")
@click.option("--end", metavar="TIME", help="Made at this time (UTC) or earlier; may be partial.")
@click.option("--min-size", "file_size_kb", type=WholeNumber(min=0), metavar="KB", help="Results at least so large.")
@click.option("--min-records", "result_count", type=WholeNumber(min=0), metavar="N",
              help="Results of at least so many records.")  # fmt: skip
@click.option("--min-duration", "query_duration_ms", type=WholeNumber(min=0), metavar="MS",
              help="Those that took at least so many milliseconds.")  # fmt: skip
@listing_options(_REQUEST_COLUMNS, sort="requested")
@common_options()
@click.pass_obj
def list_(common: Common, /, listing: Listing, **filters: Any) -> None:
    """List the search requests to which every filter given applies."""
    found = ask(common, lambda client: client.admin.search_requests(**filters))
    given = any(value is not None for value in filters.values())
    listing.print(
        common,
        found,
        empty=f"there are no {'such ' * given}search requests{'; try fewer filters' * given}",
    )


@requests.command("delete", short_help="Remove a search request and its result.")
@click.argument("request_id", metavar="REQUEST_ID")
@yes_option
@common_options()
@click.pass_obj
def delete(common: Common, request_id: str, yes: bool) -> None:
    """Remove a search request of anybody, and its result."""
    confirm(f"Delete request {request_id} and its result?", yes=yes)
    ask(common, lambda client: client.admin.delete_search_request(request_id))
    note(common, f"request {request_id} is deleted")


@click.command(short_help="List the accounts (administrators).")
@click.option("--role", type=click.Choice(["User", "Maintainer", "Owner", "Administrator"], case_sensitive=False),
              help="Only those with this role.")  # fmt: skip
@listing_options(_ACCOUNT_COLUMNS, sort="email_address")
@common_options()
@click.pass_obj
def accounts(common: Common, role: str | None, listing: Listing) -> None:
    """List the accounts of the service. Needs the role Administrator."""
    found = ask(common, lambda client: client.admin.accounts(role=role))
    listing.print(common, found, empty=f"there is no account{'' if role is None else f' with the role {role}'}")
