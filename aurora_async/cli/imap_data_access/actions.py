"""What the commands do: one verb of the client each, and what the official program prints of it."""

from __future__ import annotations

import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import click

from aurora_async.cli.exits import Common, Terminated, one_line, run
from aurora_async.cli.imap_data_access.tables import current_table, old_table
from aurora_async.compat.imap_dialect import DATES, OLD, agent_of, answer_behind, is_day, url_of, worded
from aurora_async.errors import AuroraError, InvalidInput, TransportError
from aurora_async.imap import FileQuery, Imap, ImapConfig, SpiceQuery
from aurora_async.imap.query import query_of_name

__all__ = ["act"]

_FILTERS = (
    "instrument", "data_level", "descriptor", "start_date", "end_date", "ingestion_start_date", "ingestion_end_date",
    "repointing", "version", "major_version", "minor_version", "extension",
)  # fmt: skip
_OF_KERNELS = ("start_date", "end_date", "ingestion_start_date", "ingestion_end_date", "version")

Row = Mapping[str, Any]


def act(common: Common, typed: Namespace) -> int:
    """Run the command that was typed; return its exit code."""

    async def inside() -> None:
        async with Imap(_config(common, typed)) as client:
            await _COMMANDS[typed.command](client, typed)

    with _logged(typed):
        try:
            _check_days(typed)
            run(inside())
        except AuroraError as error:
            return _told(error, typed)
        except Terminated as error:
            return 128 + error.number
    return 0


def _check_days(typed: Namespace) -> None:
    for name, said in DATES.items():
        if (value := getattr(typed, name, None)) is not None and not is_day(value):
            raise InvalidInput(f"--{name.replace('_', '-')}", said)


def _config(common: Common, typed: Namespace) -> ImapConfig:
    url = common.base_url if typed.url is None else typed.url
    if typed.client_version == OLD:
        url = url or os.environ.get("IMAP_DATA_ACCESS_URL") or url_of(OLD)
    return ImapConfig.from_environment(
        base_url=url,
        data_dir=typed.data_dir,
        api_key=common.api_key if typed.api_key is None else typed.api_key,
        access_token=typed.access_token,
        webpoda_token=typed.webpoda_token,
        user_agent=agent_of(typed.client_version),
    )


# Files ---------------------------------------------------------------------------------------------------------------


async def _download(client: Imap, typed: Namespace) -> None:
    (file,) = await client.download(typed.file_path.as_posix())
    if file.error is not None:
        raise file.error
    click.echo(f"Successfully downloaded the file to: {file.path}")


async def _upload(client: Imap, typed: Namespace) -> None:
    path = typed.file_path
    if typed.client_version == OLD:
        # It did not look at names, but had files lie below the data directory, and told the path from there.
        folder = client.config.data_dir
        await client.upload(path if path.exists() else folder / path, below=folder)
    else:
        await client.upload(path)
    click.echo("Successfully uploaded the file to the IMAP SDC")


async def _query(client: Imap, typed: Namespace) -> None:
    table, rows = await _found(client, typed)
    if typed.client_version == OLD:
        # What it called JSON is how Python writes a list.
        lines = [repr(rows)] if typed.output_format == "json" else old_table(rows)
    else:
        lines = [json.dumps(rows)] if typed.output_format == "json" else current_table(table, rows)
    for line in lines:
        click.echo(line)


async def _found(client: Imap, typed: Namespace) -> tuple[str, list[Row]]:
    """Return the table that was looked through, and the rows as they came."""
    filters = {name: value for name in _FILTERS if (value := getattr(typed, name, None)) is not None}
    if typed.client_version == OLD:
        return "science", await _old_rows(client, filters)
    if typed.filename is not None:
        if filters or typed.type:
            raise InvalidInput("--filename", "stands alone, without another filter")
        return await _named(client, typed.filename)
    if typed.table == "spice":
        return "spice", await _kernels(client, typed.type, filters)
    if typed.type is not None:
        raise InvalidInput("--type", "is for kernels: add --table spice")
    return typed.table, _raw(await client.query(FileQuery(table=typed.table, **filters)))


def _raw(rows: Iterable[Any]) -> list[Row]:
    return [dict(row.raw) for row in rows]


async def _old_rows(client: Imap, filters: dict[str, Any]) -> list[Row]:
    """Return the rows in the service's order, which was not that of their names."""
    version = filters.pop("version", None)  # vNN-NN, which queries of today do not know
    rows = _raw([row async for row in client.stream(FileQuery(**filters))])
    return rows if version is None else [row for row in rows if row.get("version") == version]


async def _named(client: Imap, name: str) -> tuple[str, list[Row]]:
    query = query_of_name(name)
    if isinstance(query, SpiceQuery):
        return "spice", _raw(await client.spice_query(file_name=query.file_name))
    found = await client.query(query)
    return query.table, _raw(row for row in found if row.file_name == PurePath(name).name)


async def _kernels(client: Imap, kernel_type: str | None, filters: Mapping[str, Any]) -> list[Row]:
    ignored = [f"--{name.replace('_', '-')}" for name in filters if name not in _OF_KERNELS]
    if ignored:
        click.echo(f"imap-data-access: warning: kernels have no {', '.join(ignored)}", err=True)
    if kernel_type is None and not filters.keys() & set(_OF_KERNELS):
        raise InvalidInput("query", "needs a filter, such as --type leapseconds")
    version = filters.get("version")
    if version not in (None, "latest"):
        raise InvalidInput("--version", f"{version!r} cannot be asked of kernels; latest can")
    return _raw(
        await client.spice_query(
            type=kernel_type,
            start=filters.get("start_date"),
            end=filters.get("end_date"),
            latest=version == "latest",
            ingestion_start_date=filters.get("ingestion_start_date"),
            ingestion_end_date=filters.get("ingestion_end_date"),
        )
    )


# What the service does ------------------------------------------------------------------------------------------------


async def _webpoda(client: Imap, typed: Namespace) -> None:
    done = await client.download_packets(
        typed.instrument, typed.start_date, typed.end_date, mode=typed.query_mode, upload=typed.upload_to_sdc
    )
    for file in done.failed:
        assert file.error is not None
        if file.status != "new":
            raise file.error
        # It is there, and was not delivered: the official program goes on, too.
        said = one_line(worded(file.error, typed.client_version))
        click.echo(f"imap-data-access: warning: {file.path}: {said}", err=True)
    click.echo("Successfully downloaded the data from webpoda.")


async def _reprocess(client: Imap, typed: Namespace) -> None:
    await client.reprocess(
        typed.start_date,
        typed.end_date,
        instrument=typed.instrument,
        data_level=typed.data_level,
        descriptor=typed.descriptor,
    )
    click.echo("Successfully triggered reprocessing for the given parameters.")


async def _release(client: Imap, typed: Namespace) -> None:
    if typed.manifest_file is None:
        raise InvalidInput("--manifest-file", "is missing: it says which files are released")
    await client.release(typed.manifest_file, typed.release_type)
    click.echo("Successfully submitted release request to the IMAP SDC.")


_COMMANDS: Mapping[str, Callable[[Imap, Namespace], Awaitable[None]]] = {
    "download": _download,
    "query": _query,
    "upload": _upload,
    "webpoda": _webpoda,
    "reprocess": _reprocess,
    "release": _release,
}


# What goes wrong ------------------------------------------------------------------------------------------------------


def _told(error: AuroraError, typed: Namespace) -> int:
    """Say what went wrong; return the exit code. Release 0.2.0 told of servers on stdout, and called it a success."""
    said = worded(error, typed.client_version)
    if typed.client_version == OLD and (isinstance(error, TransportError) or answer_behind(error) is not None):
        click.echo(said)
        return 0
    click.echo(f"imap-data-access: error: {one_line(said)}", err=True)
    return 1


@contextmanager
def _logged(typed: Namespace) -> Iterator[None]:
    """Log as the official program does, in Python's own format, if that was asked for."""
    if not (typed.debug or typed.verbose):
        yield
        return
    logger = logging.getLogger("aurora_async")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    level, others = logger.level, logger.handlers
    logger.setLevel(logging.DEBUG if typed.debug else logging.INFO)
    logger.handlers = [handler]
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.handlers = others
