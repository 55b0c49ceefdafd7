"""What the service tells about one request: its status, its logs, its query."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime
from pprint import pformat
from typing import TYPE_CHECKING, Any

import click

from aurora_async.cli.aurorax_cli.tables import table, wrapped
from aurora_async.cli.aurorax_cli.words import bytes_of, commas, duration

if TYPE_CHECKING:
    from aurora_async.engine import LogEntry, RequestStatus

__all__ = ["print_logs", "print_query", "print_status", "query_of"]

_BESIDE_SUMMARY = 43
"""Characters of a line that the other columns of the logs take."""
_SUMMARY_WIDTH = 70
_LONGEST_SUMMARY = 1000


def print_status(status: RequestStatus, base_url: str) -> None:
    """Print eight lines."""
    result = json.loads(status.raw)["search_result"]
    done = status.completed is not None
    failed = done and bool(result.get("error_condition"))
    uri = result["data_uri"] if done else None
    milliseconds = result.get("query_duration") if done else None
    lines = {
        "Completed:\t\t": "True" if done else click.style("False", fg="yellow"),
        "Requested timestamp:\t": _clock(status.requested),
        "Completed timestamp:\t": _clock(status.completed),
        "Query duration:\t\t": "-" if milliseconds is None else f"{duration(milliseconds)} ({milliseconds:.0f}ms)",
        "Error condition:\t": "-" if not done else click.style("True", fg="red") if failed else "False",
        "Data URL:\t\t": "-" if uri is None else f"{base_url}{uri}",
        "File size:\t\t": bytes_of(status.result_bytes if done else None),
        "Result count:\t\t": commas(status.records if done else None),
    }
    for name, value in lines.items():
        click.echo(f"{name}{value}")


def print_logs(
    entries: Iterable[LogEntry], *, level: str | None, max_width: int | None, truncated: bool = True
) -> None:
    """Print a table of what happened, of one level if wanted; long summaries are cut unless `truncated` is False."""
    width = _summary_width(max_width)
    rows = []
    for entry in entries:
        if level is None or entry.level == level:
            text = entry.summary
            if truncated and len(text) > _LONGEST_SUMMARY:
                text = f"{text[:_LONGEST_SUMMARY]}..."
            rows.append((_clock(entry.timestamp), entry.level, wrapped(text, width)))
    click.echo(table(("Timestamp", "Level", "Summary"), rows))


def query_of(status: RequestStatus) -> dict[str, Any] | None:
    """Return the query that a request asks, as the service shows it; None when it does not."""
    query = json.loads(status.raw)["search_request"].get("query")
    return {name: value for name, value in query.items() if name != "request_id"} if isinstance(query, dict) else None


def print_query(status: RequestStatus, *, title: bool) -> None:
    """Print the query as Python writes it."""
    query = query_of(status)
    if query is None:
        click.echo("\nSearch query: missing, unable to display")
        return
    if title:
        click.echo("\nSearch query:\n==================")
    click.echo(pformat(query))


def _clock(moment: datetime | None) -> str:
    return "-" if moment is None else str(moment.replace(tzinfo=None))


def _summary_width(max_width: int | None) -> int:
    if max_width is None:
        try:
            max_width = os.get_terminal_size().columns
        except OSError:
            return _SUMMARY_WIDTH
    width = max_width - _BESIDE_SUMMARY
    if width < 1:
        click.echo(f"the table needs more than {_BESIDE_SUMMARY} columns; it is drawn wider", err=True)
        return _SUMMARY_WIDTH
    return width
