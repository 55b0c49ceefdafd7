"""`search`, `get-data` and `describe`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import attrs
import click

from aurora_async.aurorax import AuroraX
from aurora_async.aurorax.searches import Searches
from aurora_async.aurorax.wire import KINDS
from aurora_async.cli import numbers
from aurora_async.cli.exits import PROGRAM, Common, Failed, run
from aurora_async.cli.progress import Tally, shown
from aurora_async.cli.queryfile import read_query_file
from aurora_async.cli.screen import console_for
from aurora_async.config import Config, origin_of
from aurora_async.errors import DeadlineExceeded
from aurora_async.transfer import Saved

__all__ = ["Output", "describe", "get_data", "search"]

_NOUNS = {"conjunctions": "conjunction", "ephemeris": "record", "data_products": "data product"}
_COPY_BYTES = 1 << 20


@attrs.frozen
class Output:
    """Where the records go, in which form, and how long that may take."""

    out: str | None
    form: Literal["json", "jsonl"]
    no_clobber: bool
    deadline_s: float | None

    @property
    def to_stdout(self) -> bool:
        """True for `--out -`."""
        return self.out == "-"


Fetch = Callable[[Searches[Any, Any], Path], Awaitable[Saved]]


def search(common: Common, kind: str, query_file: str, output: Output) -> None:
    """Make the search that a file describes, and write its records."""
    config = _config(common)

    async def prepare() -> Fetch:
        query = await read_query_file(query_file, KINDS[kind])

        async def fetch(searches: Searches[Any, Any], target: Path) -> Saved:
            return await searches.download(
                query, target, form=output.form, overwrite=not output.no_clobber, deadline_s=output.deadline_s
            )

        return fetch

    _write(common, config, kind, output, prepare)


def get_data(common: Common, kind: str, request_id: str, output: Output) -> None:
    """Write the records of a request made before."""
    config = _config(common)

    async def prepare() -> Fetch:
        async def fetch(searches: Searches[Any, Any], target: Path) -> Saved:
            return await searches.resume(request_id).download(
                target, form=output.form, overwrite=not output.no_clobber, deadline_s=output.deadline_s
            )

        return fetch

    _write(common, config, kind, output, prepare)


def describe(common: Common, kind: str, query_file: str) -> None:
    """Print the server's description of a query."""
    config = _config(common)

    async def ask() -> str:
        query = await read_query_file(query_file, KINDS[kind])
        async with AuroraX(config) as client:
            return await _searches(client, kind).describe(query)

    click.echo(run(ask()))


def _config(common: Common) -> Config:
    """What was typed wins over the environment; an empty text was typed as well."""
    typed: dict[str, Any] = {}
    if common.base_url is not None:
        origin_of(common.base_url)
        typed["base_url"] = common.base_url
    if common.api_key is not None:
        typed["api_key"] = common.api_key
    return Config.from_environment(**typed)


def _searches(client: AuroraX, kind: str) -> Searches[Any, Any]:
    searches: Searches[Any, Any] = getattr(client, kind)
    return searches


def _write(common: Common, config: Config, kind: str, output: Output, prepare: Callable[[], Awaitable[Fetch]]) -> None:
    if not output.to_stdout:
        saved = run(_fetched(common, config, kind, prepare, Path(output.out or ".")))
        if not common.quiet:
            click.echo(os.fsencode(saved.path))
        return
    # The whole result first, then its bytes: whoever reads them never gets half of one that failed.
    with tempfile.TemporaryDirectory(prefix=f"{PROGRAM}-") as folder:
        saved = run(_fetched(common, config, kind, prepare, Path(folder)))
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
    common: Common, config: Config, kind: str, prepare: Callable[[], Awaitable[Fetch]], target: Path
) -> Saved:
    fetch = await prepare()
    console = console_for(sys.stderr)
    tally = Tally({kind: 1})
    # As a request, also when it would fit one exchange: its identifier names the file and finds the result again.
    async with AuroraX(config, synchronous=False) as client:
        try:
            with shown(console, tally, client.events, quiet=common.quiet):
                saved = await fetch(_searches(client, kind), target)
        except DeadlineExceeded as error:
            if error.request_id is None:
                raise
            command = f"{PROGRAM} {kind.replace('_', '-')} get-data {error.request_id}"
            late = f"{error.doing} was not done within {error.deadline_s:g} s"
            raise Failed(f"{late}; the request lives on, fetch it with: {command}") from error
    if not common.quiet:
        found = numbers.plural(saved.records, _NOUNS[kind])
        seconds = numbers.duration(tally.elapsed_s)
        console.print(f"{found}, {numbers.size(saved.bytes)}, in {seconds}", soft_wrap=True)
    return saved
