"""`jsoc export`, `status` and `download`: exports that the service prepares, and their files, with progress."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import click

from aurora_async.cli.exits import Common, Failed, run
from aurora_async.cli.fetching import print_failures
from aurora_async.cli.jsoc_client import JsocAccess, ask_jsoc, in_our_words
from aurora_async.cli.listing import note, print_fields
from aurora_async.cli.output import Output
from aurora_async.cli.progress import shown
from aurora_async.display import Tally, numbers
from aurora_async.engine import Phase, RequestStatus
from aurora_async.engine.deadline import Deadline
from aurora_async.errors import AuroraError, DeadlineExceeded, InvalidInput
from aurora_async.http import shown_url
from aurora_async.jsoc.client import Jsoc
from aurora_async.jsoc.downloads import Download, DownloadOptions, Exists, Names
from aurora_async.jsoc.errors import ExportRefused
from aurora_async.jsoc.exports import Export
from aurora_async.jsoc.recordset import RecordSet

__all__ = ["Downloading", "detached", "download", "export", "print_status"]

_KIND = "export"
_LAST_LOOK_S = 2.0
_NO_FILES = "no files in this RecordSet"
"""What the service says of nothing, if it answers at once; else it makes an export of nothing."""


@attrs.frozen
class Downloading:
    """Where files go, how they are called, and how long that may take."""

    folder: Path
    names: Names
    exists: Exists
    tar: str
    manifest: str | None
    deadline_s: float | None
    events: str | None

    @property
    def options(self) -> DownloadOptions:
        """Those of the client."""
        return DownloadOptions(
            names=self.names, exists=self.exists, extract=self.tar != "keep", keep_tar=self.tar != "extract"
        )


def export(common: Common, asked: RecordSet, arguments: Mapping[str, Any], how: Downloading) -> None:
    """Export records and fetch their files."""
    _check_email(common)

    async def work(client: Jsoc) -> Download:
        deadline = Deadline(how.deadline_s)
        export = await client.export(asked, **arguments, deadline_s=how.deadline_s)
        if not await export.list_files(deadline):
            raise _nothing(asked)
        return await export.fetch(how.folder, how.options, deadline)

    try:
        _fetch(common, how, work)
    except ExportRefused as error:
        raise (_nothing(asked) if _NO_FILES in error.reason else error) from error


def download(common: Common, export_id: str, how: Downloading) -> None:
    """Fetch the files of an export made before."""

    async def work(client: Jsoc) -> Download:
        return await client.resume(export_id).fetch(how.folder, how.options, Deadline(how.deadline_s))

    _fetch(common, how, work)


def detached(common: Common, asked: RecordSet, arguments: Mapping[str, Any]) -> str:
    """Export records and return the identifier that `download` takes."""
    _check_email(common)

    async def work(client: Jsoc) -> str:
        return (await client.export(asked, **arguments)).detach()

    export_id = ask_jsoc(common, work)
    note(common, f"fetch the files with: {_command(common, export_id)}")
    return export_id


def print_status(common: Common, export_id: str, output: Output) -> None:
    """Say where an export stands."""

    async def work(client: Jsoc) -> tuple[RequestStatus, Export, int | None]:
        export = client.resume(export_id)
        status = await export.refresh()
        # Before it is finished, the service does not tell of them.
        return status, export, len(await export.files()) if status.phase is Phase.READY else None

    status, export, files = ask_jsoc(common, work)
    hint_s = None if status.phase.is_final else status.wait_hint_s
    known: dict[str, object] = {"export": status.request_id, "phase": status.phase.value}
    if not output.is_table:
        facts = {"files": files, "bytes_about": status.result_bytes, "directory": export.directory, "wait_s": hint_s}
        output.print_one(known | {"reason": status.reason or None} | facts)
        return
    facts = {
        "reason": status.reason or None,
        "files": None if files is None else numbers.count(files),
        "size": None if status.result_bytes is None else f"about {numbers.size(status.result_bytes)}",
        "directory": export.directory,
        "look again in": None if hint_s is None else numbers.rough(hint_s),
    }
    print_fields((known | {name: fact for name, fact in facts.items() if fact is not None}).items())


def _check_email(common: Common) -> None:
    if JsocAccess.of(common).email is None:
        raise InvalidInput(
            "--email", "is missing: exports are made for a registered address; give it, or set JSOC_EMAIL"
        )


def _fetch(common: Common, how: Downloading, work: Callable[[Jsoc], Awaitable[Download]]) -> None:
    access = JsocAccess.of(common)
    tally = Tally({_KIND: 1})

    async def inside() -> Download:
        with in_our_words(common):
            return await fetched()

    async def fetched() -> Download:
        async with access.client() as client:
            try:
                with shown(client, tally, quiet=common.quiet, events=how.events):
                    return await work(client)
            except asyncio.CancelledError:
                for export_id in tally.request_ids:
                    common.aftermath = await _aftermath(common, client, export_id)
                raise
            except DeadlineExceeded as error:
                if error.request_id is None:
                    raise
                late = f"{error.doing} was not done within {error.deadline_s:g} s"
                command = _command(common, error.request_id)
                raise Failed(f"{late}; the export lives on, fetch its files with: {command}") from error

    done = run(inside())
    if how.manifest is not None:
        run(_written(done, how.manifest))
    _tell(common, done, tally.elapsed_s, how.events)


async def _written(done: Download, manifest: str) -> None:
    await done.write_manifest(manifest)


def _tell(common: Common, done: Download, seconds: float, events: str | None) -> None:
    """Print the paths, then what failed, and what the service has no file of."""
    if not common.quiet and events != "-":  # events name the files themselves
        for path in done.paths:
            click.echo(os.fsencode(path))
    fetched = sum(file.fetched_bytes for file in done.files)
    there = sum(1 for file in done.files if file.ok and not file.fetched_bytes)
    known = f", {numbers.count(there)} of them there already" if there else ""
    took = numbers.duration(seconds)
    note(common, f"{numbers.plural(len(done.paths), 'file')}{known}; {numbers.size(fetched)} fetched in {took}")
    if done.missing:
        note(common, f"the service has no file of {numbers.plural(len(done.missing), 'record')}")
    failed = [(shown_url(file.url or file.record or ""), file.error) for file in done.failed if file.error is not None]
    if failed:
        print_failures(failed)
        wanted = len(done.files) - len(done.missing)
        raise Failed(f"{len(failed)} of {numbers.plural(wanted, 'file')} could not be fetched; try again for these")


async def _aftermath(common: Common, client: Jsoc, export_id: str) -> str:
    """Say what became of an export; only a look can tell."""
    status: RequestStatus | None = None
    with anyio.move_on_after(_LAST_LOOK_S, shield=True), suppress(AuroraError):
        status = await client.resume(export_id).refresh()
    command = _command(common, export_id)
    if status is not None and status.phase in (Phase.FAILED, Phase.CANCELLED, Phase.EXPIRED):
        return f"export {export_id} is {status.phase.value} on the service"
    if status is not None and status.phase is Phase.READY:
        return f"export {export_id} is ready, fetch its files with: {command}"
    return f"export {export_id} goes on at the service, fetch its files with: {command}"


def _nothing(asked: RecordSet) -> Failed:
    return Failed(f"no files of {asked}; nothing was exported", 2)


def _command(common: Common, export_id: str) -> str:
    return common.command("jsoc", "download", export_id, also=["email"])
