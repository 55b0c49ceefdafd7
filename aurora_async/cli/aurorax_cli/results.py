"""Records of a request: into a file, or onto the terminal."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING, Any, Literal

import attrs
import click

from aurora_async.cli.aurorax_cli.asking import fail
from aurora_async.cli.aurorax_cli.tables import wrapped
from aurora_async.cli.aurorax_cli.words import bytes_of, commas
from aurora_async.errors import ResultExpired, ResultMissing

if TYPE_CHECKING:
    from aurora_async.engine import Request, RequestStatus

__all__ = ["Output", "deliver"]

_STORED_INDENT = 2
"""How the client itself writes JSON files."""


@attrs.frozen(kw_only=True)
class Output:
    """Where the records go, and in which form."""

    outfile: str | None
    to_terminal: Literal["dict", "objects"] | None
    indent: int
    minify: bool


async def deliver(
    request: Request[Any], status: RequestStatus, kind: str, output: Output, say: Callable[[str], None]
) -> None:
    """Fetch the result of a finished request, sorted by time, and write or print it.

    Raises:
        AuroraError: But for a result that is gone: that is told here, with the way out.
    """
    if status.records is not None:
        say(f"Downloading {commas(status.records)} results and {bytes_of(status.result_bytes)} of data ...")
    try:
        await _deliver(request, kind, output, say)
    except ResultMissing as error:
        fail(f"Error downloading data: {error.rest.get('error', error.rest)}")
    except ResultExpired:
        gone = (
            "Error downloading data: this request is too old and the data file has been removed on the server. "
            f'You can re-run the search using the command "aurorax-cli search {kind} search_resubmit '
            f'{request.request_id}".'
        )
        fail(f"\n{wrapped(gone, 110)}")


async def _deliver(request: Request[Any], kind: str, output: Output, say: Callable[[str], None]) -> None:
    target = _target(output, request.request_id)
    indent = None if output.minify else output.indent
    if output.to_terminal is None and indent == _STORED_INDENT:
        await request.download(target)
        say("Writing data to file ...")
        say(f"Data has been saved to '{target}'")
        return
    with tempfile.TemporaryDirectory(prefix="aurorax-cli-") as folder:
        saved = await request.download(folder)
        records = await asyncio.to_thread(_load, saved.path)
    if output.to_terminal is None:
        say("Writing data to file ...")
        await _write(Path(target), json.dumps(records, indent=indent))
        say(f"Data has been saved to '{target}'")
        return
    click.echo()
    if output.to_terminal == "dict":
        click.echo(pformat(records))
    else:
        for record in records:
            click.echo(_OBJECTS[kind](record))


def _target(output: Output, request_id: str) -> str:
    """Return the name of the file as it was typed; in a folder, and by default, it is named after the request."""
    name = f"{request_id}_data.json"
    if output.outfile is None:
        return name
    return str(Path(output.outfile) / name) if Path(output.outfile).is_dir() else output.outfile


def _load(path: Path) -> Any:
    return json.loads(path.read_bytes())


async def _write(path: Path, text: str) -> None:
    from aurora_async.transfer import PartFile

    async with PartFile(path) as part:
        await part.run(part.write_here, text.encode())
        await part.commit()


# One record on a line, as the official client shows its objects -------------------------------------------------------

Record = Mapping[str, Any]


def _conjunction(record: Record) -> str:
    nearest, farthest = f"{record['min_distance']:.2f}", f"{record['max_distance']:.2f}"
    return (
        f"Conjunction(start={_when(record['start'])}, end={_when(record['end'])}, min_distance={nearest}, "
        f"max_distance={farthest}, data_sources=[...], events=[...])"
    )


def _ephemeris(record: Record) -> str:
    places = ", ".join(
        f"{name}={_place(record[name])}" for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")
    )
    metadata = _shortened(record["metadata"], "...}")
    return f"EphemerisData(epoch={_when(record['epoch'])}, {places}, metadata={metadata}, data_source=DataSource(...))"


def _data_product(record: Record) -> str:
    return (
        f"DataProductData(start={_when(record['start'])}, end={_when(record['end'])}, "
        f"data_product_type='{record['data_product_type']}', url='{_shortened(record['url'], '...')}', "
        f"metadata={_shortened(record['metadata'], '...}')}, data_source=DataSource(...))"
    )


_OBJECTS: Mapping[str, Callable[[Record], str]] = {
    "conjunctions": _conjunction,
    "ephemeris": _ephemeris,
    "data_products": _data_product,
}


def _when(text: str) -> str:
    return repr(datetime.fromisoformat(text).replace(tzinfo=None))


def _place(place: Mapping[str, float | None]) -> str:
    return f"Location(lat={place['lat']}, lon={place['lon']})"


def _shortened(value: object, ending: str) -> str:
    text = str(value)
    return text if len(text) <= 20 else text[:20] + ending
