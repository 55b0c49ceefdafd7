"""`search`, `get-data` and `wait`: what takes long, with progress."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import click

from aurora_async.aurorax.searches import Searches, Window
from aurora_async.aurorax.wire import KINDS
from aurora_async.cli.client import Access, searches_of
from aurora_async.cli.exits import PROGRAM, Common, Failed, run
from aurora_async.cli.progress import shown
from aurora_async.cli.queryfile import read_query_file
from aurora_async.cli.screen import console_for
from aurora_async.display import Tally, numbers
from aurora_async.engine import Phase, RequestStatus
from aurora_async.errors import AuroraError, DeadlineExceeded, NotFound
from aurora_async.transfer import Format, Saved

__all__ = ["Output", "get_data", "search", "wait"]

_NOUNS = {"conjunctions": "conjunction", "ephemeris": "record", "data_products": "data product"}
_COPY_BYTES = 1 << 20
# A service stops a request some time after it has accepted its cancellation; Ctrl-C is not held up for longer.
_LAST_LOOKS_S = 2.0
_LAST_LOOK_EVERY_S = 0.2


@attrs.frozen
class Output:
    """Where the records go, in which format, and how long that may take."""

    out: str | None
    format: Format
    no_clobber: bool
    deadline_s: float | None
    response_format: Mapping[str, Any] | None = None
    events: str | None = None
    """The file that hears of what happens; - is stdout."""

    def __attrs_post_init__(self) -> None:
        if self.to_stdout and self.events == "-":
            raise click.UsageError("stdout takes either the records (--out -) or the events (--events -)")

    @property
    def to_stdout(self) -> bool:
        """True for `--out -`."""
        return self.out == "-"


Fetch = Callable[[Searches[Any, Any], Path], Awaitable[Saved]]


def search(common: Common, kind: str, query_file: str, window: Window | None, output: Output) -> None:
    """Make the search that a file describes, and write its records."""
    access = Access.of(common)

    async def prepare() -> Fetch:
        query = await read_query_file(query_file, KINDS[kind])

        async def fetch(searches: Searches[Any, Any], target: Path) -> Saved:
            return await searches.download(
                query, target, format=output.format, overwrite=not output.no_clobber,
                response_format=output.response_format, window=window, deadline_s=output.deadline_s,
            )  # fmt: skip

        return fetch

    _write(common, access, kind, output, prepare, is_ours=True)


def get_data(common: Common, kind: str, request_id: str, output: Output) -> None:
    """Write the records of a request made before."""
    access = Access.of(common)

    async def prepare() -> Fetch:
        async def fetch(searches: Searches[Any, Any], target: Path) -> Saved:
            request = searches.resume(request_id, response_format=output.response_format)
            return await request.download(
                target, format=output.format, overwrite=not output.no_clobber, deadline_s=output.deadline_s
            )

        return fetch

    _write(common, access, kind, output, prepare)


def wait(
    common: Common, kind: str, request_id: str, deadline_s: float | None, events: str | None = None
) -> RequestStatus:
    """Return the status of a request once its result is ready."""
    access = Access.of(common)

    async def work() -> RequestStatus:
        async with access.client() as client:
            with shown(client, Tally({kind: 1}), quiet=common.quiet, events=events):
                return await searches_of(client, kind).resume(request_id).wait(deadline_s=deadline_s)

    return run(work())


def _write(
    common: Common, access: Access, kind: str, output: Output, prepare: Callable[[], Awaitable[Fetch]],
    is_ours: bool = False,
) -> None:  # fmt: skip
    if not output.to_stdout:
        saved = run(_fetched(common, access, kind, output, prepare, Path(output.out or "."), is_ours))
        if not common.quiet and output.events != "-":  # events say it themselves
            click.echo(os.fsencode(saved.path))
        return
    # The whole result first, then its bytes: whoever reads them never gets half of one that failed.
    with tempfile.TemporaryDirectory(prefix=f"{PROGRAM}-") as folder:
        saved = run(_fetched(common, access, kind, output, prepare, Path(folder), is_ours))
        _copy_to_stdout(saved.path)


def _copy_to_stdout(path: Path) -> None:
    with path.open("rb") as file:
        while piece := file.read(_COPY_BYTES):
            view = memoryview(piece)
            while view:
                # With PYTHONUNBUFFERED, stdout has no buffer that writes all of what it is given.
                view = view[sys.stdout.buffer.write(view) :]
    sys.stdout.buffer.flush()


async def _fetched(
    common: Common, access: Access, kind: str, output: Output, prepare: Callable[[], Awaitable[Fetch]], target: Path,
    is_ours: bool,
) -> Saved:  # fmt: skip
    fetch = await prepare()
    console = console_for(sys.stderr)
    tally = Tally({kind: 1})
    async with access.client() as client:
        try:
            with shown(client, tally, quiet=common.quiet, events=output.events):
                saved = await fetch(searches_of(client, kind), target)
        except asyncio.CancelledError:
            if is_ours:
                for request_id in tally.request_ids:
                    common.aftermath = await _aftermath(common, searches_of(client, kind), kind, request_id)
            raise
        except DeadlineExceeded as error:
            if error.request_id is None:
                raise
            command = _command(common, kind, "get-data", error.request_id)
            late = f"{error.doing} was not done within {error.deadline_s:g} s"
            raise Failed(f"{late}; the request lives on, fetch it with: {command}") from error
    if not common.quiet:
        found = numbers.plural(saved.records, _NOUNS[kind])
        seconds = numbers.duration(tally.elapsed_s)
        console.print(f"{found}, {numbers.size(saved.bytes)}, in {seconds}", soft_wrap=True)
    return saved


async def _aftermath(common: Common, searches: Searches[Any, Any], kind: str, request_id: str) -> str:
    """Say what became of a request that the client has cancelled, unless it was over; only a look can tell."""
    phase: Phase | None = None
    with anyio.move_on_after(_LAST_LOOKS_S, shield=True), suppress(AuroraError):
        try:
            while phase is None or not phase.is_final:
                if phase is not None:
                    await anyio.sleep(_LAST_LOOK_EVERY_S)
                phase = (await searches.resume(request_id).refresh()).phase
        except NotFound:
            return "the server has no such request"
    match phase:
        case None:
            see = _command(common, kind, "status", request_id)
            return f"what became of request {request_id} is not known, see: {see}"
        case Phase.QUEUED | Phase.RUNNING:
            stop = _command(common, kind, "cancel", request_id)
            return f"request {request_id} still runs on the server, stop it with: {stop}"
        case Phase.READY:
            fetch = _command(common, kind, "get-data", request_id)
            return f"request {request_id} is ready, fetch it with: {fetch}"
        case Phase.CANCELLED:
            return f"request {request_id} was cancelled on the server"
        case _:
            return f"request {request_id} has {phase.value} on the server"


def _command(common: Common, kind: str, verb: str, request_id: str) -> str:
    return common.command(kind.replace("_", "-"), verb, request_id, also=["login"])
