"""`demo`: many searches at once against a local server, and what they found."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import attrs
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aurora_async.aurorax import AuroraX
from aurora_async.aurorax.models import Query
from aurora_async.cli.demo_queries import PUBLISHED_COUNT, DemoSearch, demo_searches
from aurora_async.cli.demo_server import local_server
from aurora_async.cli.exits import PROGRAM, Failed, one_line, run
from aurora_async.cli.progress import shown
from aurora_async.cli.screen import console_for
from aurora_async.cli.serve import require_server
from aurora_async.config import Config
from aurora_async.display import Tally, numbers
from aurora_async.display.tally import words
from aurora_async.engine import Event, EventKind, Outcome, RequestStatus

__all__ = ["demo"]

_INDEX = "aurora-demo.json"
_ROWS = 3
_NARROW = 60
_LOOK_EVERY_S = 1.0
"""The official clients submit one query, look at it once a second, and submit the next one when it is done."""


def demo(folder: Path | None, *, searches: int, workers: int | None, server_time_s: float, quiet: bool) -> None:
    """Make the demo's searches and print what came of them; None removes the results again."""
    require_server()
    wanted = demo_searches(searches)
    with ExitStack() as stack:
        temporary = folder is None
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{PROGRAM}-demo-")))
        _make_room(folder, wanted)
        results = run(_searched(folder, wanted, workers=workers, server_time_s=server_time_s, quiet=quiet))
        if not quiet:
            _print_report(console_for(sys.stdout), results, None if temporary else folder)
    if problem := results.problem():
        raise Failed(problem)


@attrs.frozen
class _Results:
    """What the demo found, and what it took."""

    searches: Sequence[DemoSearch]
    outcomes: Sequence[Outcome[Query]]
    work_s: Sequence[float]
    """Seconds that the server worked on each search (without those in which it waited for its turn)."""
    wall_s: float
    server_time_s: float
    conjunctions: Sequence[dict[str, Any]]

    def problem(self) -> str | None:
        """The sentence that says why the demo failed, None if it did not."""
        failed = [outcome.error for outcome in self.outcomes if outcome.error is not None]
        if failed:
            return f"{len(failed)} of {numbers.plural(len(self.outcomes), 'search')} failed; the first one: {failed[0]}"
        if len(self.conjunctions) != PUBLISHED_COUNT:
            return f"the published search gives {PUBLISHED_COUNT} conjunctions, and here {len(self.conjunctions)}"
        return None


async def _searched(
    folder: Path, wanted: Sequence[DemoSearch], *, workers: int | None, server_time_s: float, quiet: bool
) -> _Results:
    totals: dict[str, int] = {}
    for search in wanted:
        totals[search.kind] = totals.get(search.kind, 0) + 1
    console = console_for(sys.stderr)
    if not quiet:
        console.print("Starting a local server ...")
    work_s: list[float] = []

    def keep_work(event: Event) -> None:
        if event.kind is EventKind.READY and event.status is not None:
            work_s.append(_work_s(event.status))

    async with local_server(workers=workers, server_time_s=server_time_s) as base_url:
        # Neither a proxy nor anybody's API key has business between the two ends of a demo.
        config = Config(base_url=base_url, trust_environment=False)
        async with AuroraX(config) as client:
            if not quiet:
                console.print(f"It listens on {base_url}", soft_wrap=True)
                console.print(f"Making {numbers.plural(len(wanted), 'search')} at once ...")
            with shown(client, Tally(totals), quiet=quiet), client.events.subscribe(keep_work):
                began = time.monotonic()
                run = client.run(
                    [search.query for search in wanted],
                    at_once=len(wanted),
                    folder=folder,
                    name=lambda index, query: wanted[index].file,
                )
                async with run:
                    outcomes = [outcome async for outcome in run]
                wall_s = time.monotonic() - began
    outcomes.sort(key=lambda outcome: outcome.index)
    conjunctions = await _read(outcomes[0]) if outcomes[0].ok else []
    return _Results(wanted, outcomes, work_s, wall_s, server_time_s, conjunctions)


def _work_s(status: RequestStatus) -> float:
    """Seconds from the log line with which the server began a search to the last one of the search itself.

    The two lines behind that are written when its result is put away, with those of others that ended meanwhile.
    """
    moments = [log.timestamp for log in status.logs[1:-2] if log.timestamp is not None]
    return (max(moments) - min(moments)).total_seconds() if moments else 0.0


async def _read(outcome: Outcome[Query]) -> list[dict[str, Any]]:
    assert outcome.saved is not None
    return msgspec.json.decode(await anyio.Path(outcome.saved.path).read_bytes(), type=list[dict[str, Any]])


# The folder ---------------------------------------------------------------------------------------------------------


def _make_room(folder: Path, wanted: Sequence[DemoSearch]) -> None:
    """Remove what an earlier demo left, and refuse to replace what is not a demo's.

    The index, which names the demo's files, is written before any of them: also a demo that was killed is known.
    """
    index = folder / _INDEX
    earlier = _earlier_files(index)
    if folder.is_dir():
        for search in wanted:
            path = folder / search.file
            if path.exists() and search.file not in earlier:
                raise Failed(f"{path} is not from an earlier demo and stays as it is; choose another folder with --out")
        for file in earlier:
            (folder / file).unlink(missing_ok=True)
    for search in wanted:
        (folder / search.file).parent.mkdir(parents=True, exist_ok=True)
    note = f"Written by `{PROGRAM} demo`, which replaces these files when it is run again."
    index.write_text(json.dumps({"note": note, "files": [search.file for search in wanted]}, indent=2) + "\n")


def _earlier_files(index: Path) -> set[str]:
    try:
        document = json.loads(index.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except ValueError:
        document = None
    files = document.get("files") if isinstance(document, dict) else None
    known = {search.file for search in demo_searches(500)}
    if not isinstance(files, list) or not all(isinstance(file, str) and file in known for file in files):
        raise Failed(f"{index} is not what a demo writes; choose another folder with --out")
    return set(files)


# The report ---------------------------------------------------------------------------------------------------------


def _print_report(console: Console, results: _Results, folder: Path | None) -> None:
    console.print()
    console.print(_kinds_table(console, results))
    for outcome in results.outcomes:
        if outcome.error is not None:
            console.print(Text(one_line(f"failed: {results.searches[outcome.index].file}: {outcome.error}"), "red"))
    if results.outcomes[0].ok:
        _print_conjunctions(console, results.conjunctions)
    _print_times(console, results)
    console.print()
    console.print(
        "Positions and footprints were computed by the local server (SGP4 orbits, IGRF + T89c field): "
        "they are not AuroraX's own."
    )
    if folder is not None:
        console.print(f"The files are in {folder.resolve()}", soft_wrap=True)


def _plain_table(console: Console) -> Table:
    narrow = console.width < _NARROW
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 0 if narrow else 1))


def _kinds_table(console: Console, results: _Results) -> Table:
    table = _plain_table(console)
    rows: dict[str, list[int]] = {}
    for outcome in results.outcomes:
        row = rows.setdefault(results.searches[outcome.index].kind, [0, 0, 0, 0])
        row[0] += 1
        if outcome.saved is not None:
            row[1] += outcome.saved.records
            row[2] += outcome.saved.bytes
            row[3] += 1
    sums = [sum(row[column] for row in rows.values()) for column in range(4)]
    cells = [[numbers.count(n), numbers.count(r), numbers.size(b), numbers.count(f)] for n, r, b, f in rows.values()]
    footer = [numbers.count(sums[0]), numbers.count(sums[1]), numbers.size(sums[2]), numbers.count(sums[3])]
    headings = ["searches", "records", "size", "files"]
    if console.width < _NARROW:  # as many files as searches, unless something went wrong
        headings, footer, cells = headings[:3], footer[:3], [row[:3] for row in cells]
    table.add_column("kind", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for kind, texts in zip(rows, cells, strict=True):
        table.add_row(words(kind), *texts)
    table.add_row("total", *footer, style="bold")
    return table


def _print_conjunctions(console: Console, conjunctions: Sequence[dict[str, Any]]) -> None:
    right = len(conjunctions) == PUBLISHED_COUNT
    number = (numbers.plural(len(conjunctions), "conjunction"), "bold green" if right else "bold red")
    published = "as published" if right else f"and {PUBLISHED_COUNT} are published"
    console.print()
    console.print(Text.assemble(number, f" of THEMIS imagers and Swarm within 500 km, {published}:"))
    table = _plain_table(console)
    narrow = console.width < _NARROW
    for heading in ("start", "imager", "spacecraft") if narrow else ("start", "end", "imager", "spacecraft"):
        table.add_column(heading, no_wrap=True)
    table.add_column("km" if narrow else "closest", justify="right", no_wrap=True)
    for record in conjunctions[:_ROWS]:
        ground, space = record["data_sources"][:2]
        start, end = datetime.fromisoformat(record["start"]), datetime.fromisoformat(record["end"])
        times = [f"{start:%H:%M}"] if narrow else [f"{start:%Y-%m-%d %H:%M}", f"{end:%H:%M}"]
        distance = f"{record['min_distance']:.0f}" + ("" if narrow else " km")
        table.add_row(*times, ground["platform"], space["display_name"], distance)
    console.print(table)
    if len(conjunctions) > _ROWS:
        console.print(Text(f"... and {numbers.count(len(conjunctions) - _ROWS)} more", "dim"))


def _print_times(console: Console, results: _Results) -> None:
    """Compare with one search after another: from what the server worked on each, since only that adds up.

    The sum of what each search took here would be many times that: side by side, most of it is waiting for each other.
    """
    each_s = [max(work_s, results.server_time_s) for work_s in results.work_s]
    others_s = sum(math.ceil(max(seconds, 0.001) / _LOOK_EVERY_S) * _LOOK_EVERY_S for seconds in each_s)
    rows = [(f"{numbers.plural(len(results.outcomes), 'search')} at once", numbers.duration(results.wall_s), "")]
    rows.append(("sum of the individual search times", numbers.duration(sum(each_s)), "on the server"))
    if others_s > results.wall_s:
        times = f"estimated, {others_s / results.wall_s:.1f} times as long"
        rows.append(("one by one, with a look a second", numbers.duration(others_s), times))
    fetched = sum(outcome.saved.bytes for outcome in results.outcomes if outcome.saved is not None)
    rows.append(("written to disk", numbers.size(fetched), ""))
    memory = _peak_bytes()
    if memory is not None:
        rows.append(("memory of this process, at most", numbers.size(memory), ""))
    console.print()
    if console.width < _NARROW:
        for name, number, remark in rows:
            console.print(Text.assemble(f"{name}: ", (number, "bold"), f" ({remark})" if remark else ""))
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    for name, number, remark in rows:
        grid.add_row(name, Text(number, "bold"), Text(remark, "green"))
    console.print(grid)


def _peak_bytes() -> int | None:
    """The most memory this process has had in use."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
