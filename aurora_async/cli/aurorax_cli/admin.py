"""`search util`: everybody's search requests, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from aurora_async.cli.aurorax_cli.asking import Settings, ask, fail, told
from aurora_async.cli.aurorax_cli.tables import missing_first, table
from aurora_async.cli.aurorax_cli.words import about, bytes_of, commas
from aurora_async.errors import AuroraError, Unauthorized

if TYPE_CHECKING:
    from aurora_async.aurorax import AuroraX, SearchRequest

__all__ = ["util"]

_ORDERS = [
    "search_type", "active", "error_condition", "file_size", "ip_address", "query_duration", "requested",
    "result_count", "result_file_exists",
]  # fmt: skip
_HEADER = (
    "Requested Timestamp", "Search Type", "Request ID", "IP Address", "Active", "Query Duration", "Result Count",
    "File Size", "Result File Exists", "Error Condition",
)  # fmt: skip


@click.group(short_help="What only administrators may do.")
def util() -> None:
    """What only administrators may do; give an API key of one."""


@util.command("list_search_requests", short_help="List everybody's search requests.")
@click.option("--search-type", type=click.Choice(["conjunction", "data_product", "ephemeris"]), help="Only this kind.")
@click.option("--active", is_flag=True, help="Only those that run.")
@click.option("--start", help="Made at this time or later (YYYY-mm-ddTHH:MM:SS).")
@click.option("--end", help="Made at this time or earlier (YYYY-mm-ddTHH:MM:SS).")
@click.option("--file-size", "file_size_kb", type=int, help="With a result of at least so many kilobytes.")
@click.option("--result-count", type=int, help="With at least so many records.")
@click.option("--query-duration", "query_duration_ms", type=int, help="That took at least so many milliseconds.")
@click.option("--error-condition", type=bool, help="true: those that failed; false: those that did not.")
@click.option(
    "--order",
    type=click.Choice(_ORDERS),
    metavar="COLUMN",
    default="requested",
    show_default=True,
    help=f"Column to sort by: {', '.join(_ORDERS)}.",
)
@click.option("--second-order", type=click.Choice(_ORDERS), metavar="COLUMN", default="requested", show_default=True,
              help="Column to sort equal ones by.")  # fmt: skip
@click.option("--limit", type=int, help="Show only so many.")
@click.option("--reversed", "backwards", is_flag=True, help="Last one first.")
@click.pass_obj
def list_search_requests(
    settings: Settings,
    /,
    active: bool,
    start: str | None,
    end: str | None,
    order: str,
    second_order: str,
    limit: int | None,
    backwards: bool,
    **filters: Any,
) -> None:
    """List the search requests to which every filter given applies."""
    first, last = _moment(start, "start"), _moment(end, "end")
    found = ask(
        settings,
        # Absent, --active does not filter.
        lambda client: client.admin.search_requests(active=active or None, start=first, end=last, **filters),
        said=_told,
    )
    listed = sorted(
        found,
        key=lambda one: (missing_first(getattr(one, order)), missing_first(getattr(one, second_order))),
        reverse=backwards,
    )
    click.echo(table(_HEADER, map(_row, listed[:limit]), ordered_by=order))


@util.command("delete_search_request", short_help="Delete a search request and its result.")
@click.argument("request_uuid")
@click.pass_obj
def delete_search_request(settings: Settings, request_uuid: str) -> None:
    """Delete the search request REQUEST_UUID, and its result."""

    async def work(client: AuroraX) -> None:
        await client.admin.delete_search_request(request_uuid)

    ask(settings, work, said=_told)
    click.echo(f"Successfully deleted request '{request_uuid}'")


def _told(error: AuroraError) -> str:
    if isinstance(error, Unauthorized):
        needs = "An Administrator API key was not detected, and is required for this function"
        return f"AuroraXUnauthorizedError occurred: {needs}"
    return told(error)


def _moment(text: str | None, which: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")
    except ValueError as error:
        fail(f"Error parsing {which} timestamp, make sure it is in YYYY-MM-DDTHH:MM:SS format ({error})")


def _row(request: SearchRequest) -> tuple[object, ...]:
    # The service's own way to write a timestamp: without a zone, and without zeros at the end of the fraction.
    requested = f"{request.requested:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".")
    seconds = None if request.query_duration is None else request.query_duration / 1000
    return (
        requested,
        request.search_type,
        request.request_id,
        request.ip_address,
        request.active,
        "-" if seconds is None else f"{seconds:.3f}s ({about(seconds)})",
        commas(request.result_count),
        bytes_of(request.file_size),
        request.result_file_exists,
        request.error_condition,
    )
