"""What the commands of `batch` do: running needs a server, looking only reads the journal, whoever writes it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import click

from aurora_async.aurorax import AuroraX, Plan
from aurora_async.aurorax.plans import parse_window
from aurora_async.cli.client import Access
from aurora_async.cli.exits import Common, Failed, Terminated, one_line, run
from aurora_async.cli.listing import note, print_fields, print_json, print_text
from aurora_async.cli.progress import shown
from aurora_async.cli.screen import console_for
from aurora_async.config import AURORAX_URL
from aurora_async.display import Tally, numbers
from aurora_async.display.eventfile import EventFile
from aurora_async.engine import Batch, BatchFolder, BatchStatus, Entry, Event, EventKind, Stage
from aurora_async.engine.folder import ManifestRow
from aurora_async.engine.journal import read_journal
from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.http import shown_url
from aurora_async.transfer import Format

__all__ = ["Found", "Settings", "cancel", "print_report", "print_status", "run_batch", "verify"]

_AT_ONCE = 100
_SOME_FAILED = 3
_ALL_FAILED = 4
_REASONS = 10
_ENDS = {Stage.DONE: EventKind.DONE, Stage.FAILED: EventKind.FAILED, Stage.CANCELLED: EventKind.CANCELLED}


@attrs.frozen(kw_only=True)
class Settings:
    """How a batch is to be run; what is None is as the plan, or an earlier run, says."""

    at_once: int | None = None
    format: Format | None = None
    window: str | None = None
    reuse: tuple[Path, ...] = ()
    outputs: str | None = None
    dataset: Path | None = None
    cluster: str | None = None
    events: str | None = None


@attrs.frozen
class Found:
    """What was typed for PLAN_OR_FOLDER: the batch's folder, and the plan's file, if it was one."""

    typed: str
    folder: BatchFolder
    plan: Path | None
    typed_folder: Path | None = None

    @classmethod
    def at(cls, where: str, folder: Path | None) -> Found:
        """Look at what is there; a plan that is gone is not needed to look at its folder."""
        path = Path(where)
        if path.is_dir():
            if folder is not None:
                raise click.UsageError(f"{where} is a folder itself; --dir goes with a plan")
            return cls(where, BatchFolder(path), None)
        if folder is None and not path.suffix:
            name = "its name does not end in .toml or .json, so --dir must say which folder"
            problem = name if path.exists() else "there is no such plan or folder"
            raise InvalidInput(where, problem)
        found = cls(where, BatchFolder(folder or path.with_suffix("")), path, folder)
        if not path.exists() and not found.folder.is_batch:
            raise InvalidInput(where, "there is no such plan or folder")
        return found

    def read_plan(self) -> Plan | None:
        """Return the plan, None where a folder was typed."""
        if self.plan is None:
            return None
        try:
            return Plan.read(self.plan)
        except InvalidInput as error:
            if self.plan.suffix.lower() in (".toml", ".json"):
                raise
            raise InvalidInput(error.field, f"{error.reason}; plans are .toml or .json files") from error.__cause__

    def command(self, verb: str, common: Common | None = None) -> str:
        """Return what is to be typed to do something with it."""
        words = ["batch", verb, self.typed]
        if self.typed_folder is not None:
            words += ["--dir", str(self.typed_folder)]
        same = attrs.evolve(common or Common())
        if same.base_url is None:
            same.base_url = self._service()
        return same.command(*words, also=["login"])

    def _service(self) -> str | None:
        """Return the server that the folder was begun with, None where it is the one that is asked anyway."""
        service = self.folder.facts().get("service") if self.folder.is_batch else None
        usual = os.environ.get("AURORAX_BASE_URL") or AURORAX_URL
        return None if service == shown_url(usual.rstrip("/")) else service

    def check(self) -> BatchFolder:
        """Return the folder; one that was never run is refused."""
        if self.folder.is_batch:
            return self.folder
        if self.plan is None:
            raise InvalidInput(self.typed, "is not the folder of a batch; type the plan that it is to be made from")
        raise InvalidInput(self.typed, f"has not been run yet; begin with: {self.command('run')}")


# Running ------------------------------------------------------------------------------------------------------------


def run_batch(common: Common, found: Found, settings: Settings, *, retry: bool = False) -> None:
    """Run a batch to its end, or until somebody stops it; `retry` what has failed before."""
    plan = found.read_plan()
    if plan is None or retry:
        found.check()
    access = Access.of(common)
    stopper = _Stopper(common)
    try:
        ran = run(_run(common, access, found, plan, settings, stopper, retry=retry))
    except asyncio.CancelledError:
        ran = None
    except InvalidInput:
        raise
    except AuroraError:
        common.aftermath = _aftermath(common, found)
        raise
    if stopper.number is not None and not (ran is not None and ran[0].is_complete):
        common.aftermath = _aftermath(common, found)
        raise KeyboardInterrupt if stopper.number is signal.SIGINT else Terminated(stopper.number)
    if ran is None:
        raise asyncio.CancelledError
    _tell_outcome(common, found, *ran, is_silent=settings.events == "-")


async def _run(
    common: Common, access: Access, found: Found, plan: Plan | None, settings: Settings, stopper: _Stopper, *,
    retry: bool,
) -> tuple[BatchStatus, float]:  # fmt: skip
    stopper.listen()
    async with access.client() as client, _batch(client, found, plan, settings) as batch:
        if retry:
            again = await batch.retry()
            note(common, f"{numbers.plural(again, 'search')} to be made once more" if again else "nothing has failed")
        status = await batch.status()
        if not common.quiet:
            console_for(sys.stderr).print(_beginning(found, status), soft_wrap=True)
        _, entries = await asyncio.to_thread(read_journal, found.folder.journal)
        # Of a search that was cut, the windows are requests, and it is not.
        cut = {entry.number for entry in entries if entry.stage is Stage.SPLIT}
        tally = Tally(Counter(one.kind for one in entries if not one.stage.is_over and one.number not in cut))
        if cut:
            note(common, f"{numbers.plural(len(cut), 'search')} cut into windows, {tally.count:,} requests in all")
        at_once = settings.at_once or (plan and plan.at_once) or _AT_ONCE
        with shown(client, tally, quiet=common.quiet, events=settings.events, ends=True) as file:
            stopper.batch = batch
            async for entry in batch.run(at_once=at_once):
                if entry.number not in cut:
                    _count(entry, tally)
                if file is not None:
                    _tell(entry, file)
        return await batch.status(), tally.elapsed_s


def _batch(client: AuroraX, found: Found, plan: Plan | None, settings: Settings) -> Batch:
    cluster = settings.cluster
    return client.batch(
        found.folder.path,
        plan or (),
        format=settings.format,
        window=parse_window(settings.window),
        reuse=settings.reuse,
        cluster=int(cluster) if cluster is not None and cluster.isdecimal() else cluster,
        outputs=settings.outputs,
        dataset=settings.dataset,
    )


def _count(entry: Entry, tally: Tally) -> None:
    """Count a search that is over, also when its end was no event of a request: it was reused, or an earlier run's."""
    request_id = entry.request_id or ("" if entry.stage is Stage.FAILED else f"search {entry.number}")
    error = None if entry.error is None else Failed(entry.error)
    tally.hear(
        Event(kind=_ENDS[entry.stage], service=entry.kind, request_id=request_id, records=entry.records, error=error)
    )


def _tell(entry: Entry, file: EventFile) -> None:
    is_window = entry.parent is not None  # whose file is of use to nobody else
    file.tell(
        "window" if is_window else "search", service=entry.kind, request_id=entry.request_id, number=entry.number,
        stage=entry.stage.value, path=None if is_window else entry.path, bytes=entry.bytes, records=entry.records,
        sha256=entry.sha256, error=entry.error,
    )  # fmt: skip


class _Stopper:
    """Ctrl-C, SIGTERM and SIGHUP: the first one stops the batch, the second one ends everything."""

    def __init__(self, common: Common) -> None:
        self.number: signal.Signals | None = None
        self.batch: Batch | None = None
        self._common = common
        self._task: asyncio.Task[Any] | None = None

    def listen(self) -> None:
        """Begin, in the task that is to be ended; the handlers are gone with its loop."""
        self._task = asyncio.current_task()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                with suppress(NotImplementedError, RuntimeError):  # Windows; a thread that is not the main one
                    asyncio.get_running_loop().add_signal_handler(number, self._stop, number)

    def _stop(self, number: signal.Signals) -> None:
        is_first = self.number is None
        self.number = number
        if is_first and self.batch is not None:
            self.batch.stop()
            if not self._common.quiet:
                with suppress(OSError):  # not through click or a console: a live display must hear of it
                    print("stopping: transfers that have begun are finished; once more ends at once", file=sys.stderr)
        elif self._task is not None:
            self._task.cancel()


# What came of it ------------------------------------------------------------------------------------------------------


def _beginning(found: Found, status: BatchStatus) -> str:
    searches, folder = numbers.plural(status.total, "search"), found.folder.path
    if not any(count for stage, count in status.counts.items() if stage is not Stage.PLANNED):
        return f"{searches}, into {folder}"
    have = "has its file" if status.done == 1 else "have their file"
    return f"{searches}, {status.done:,} of which {have} in {folder}"


def _tell_outcome(common: Common, found: Found, status: BatchStatus, seconds: float, *, is_silent: bool) -> None:
    if not common.quiet:
        console = console_for(sys.stderr)
        sums = f"{numbers.plural(status.done, 'file')}, {numbers.plural(status.records, 'record')}"
        console.print(f"{sums}, {numbers.size(status.bytes)}, in {numbers.duration(seconds)}", soft_wrap=True)
        for line in _reasons(found, (*status.failures, *status.waiting)):
            console.print(f"  {line}", soft_wrap=True)
        if not is_silent:
            click.echo(str(found.folder.path))
    if status.is_complete:
        return
    code = _SOME_FAILED if status.done else _ALL_FAILED
    of = f"of {numbers.plural(status.total, 'search')}"
    open_ = sum(count for stage, count in status.counts.items() if not stage.is_over)
    if open_:
        raise Failed(f"{open_:,} {of} could not be finished; go on with: {found.command('run', common)}", code)
    failed = status.total - status.done
    said = "failed" if status.failures else "were cancelled"
    raise Failed(f"{failed:,} {of} {said}; once more with: {found.command('retry', common)}", code)


def _reasons(found: Found, rows: Sequence[ManifestRow]) -> list[str]:
    """Say why there are no files; those with the same reason, such as a server that is away, share a line."""
    groups: dict[str, list[ManifestRow]] = {}
    for row in rows:
        reason = one_line(row.reason or row.phase)
        for request_id in row.request_ids:
            reason = reason.replace(f"request {request_id}", "the request")
        groups.setdefault(reason, []).append(row)
    lines = [
        f"{group[0].path}{f' and {len(group) - 1:,} more' if len(group) > 1 else ''}: {reason}"
        for reason, group in groups.items()
    ]
    if len(lines) > _REASONS:
        lines[_REASONS:] = [f"... and {len(lines) - _REASONS:,} other reasons, see: {found.command('report')}"]
    return lines


def _aftermath(common: Common, found: Found) -> str:
    try:
        status = found.folder.status()
    except AuroraError:
        return f"begin again with: {found.command('run', common)}"
    have = "has its file" if status.done == 1 else "have their file"
    return f"{status.done:,} of {status.total:,} {have}; go on with: {found.command('run', common)}"


def cancel(common: Common, found: Found) -> None:
    """Give up what is not over."""
    found.check()
    access = Access.of(common)

    async def work() -> tuple[int, BatchStatus]:
        async with access.client() as client, _batch(client, found, None, Settings()) as batch:
            return await batch.cancel(), await batch.status()

    count, status = run(work())
    there = f"{numbers.plural(count, 'request')} cancelled on the server" if count else "nothing was under way"
    note(common, f"{there}; {status.done:,} of {numbers.plural(status.total, 'search')} have their file")


# Looking --------------------------------------------------------------------------------------------------------------


def print_status(found: Found, *, as_json: bool) -> None:
    """Print how far a batch is; one that was never run is told how to begin."""
    if not found.folder.is_batch and found.plan is not None:
        plan = found.read_plan()
        assert plan is not None
        searches = len(plan.searches)
        if as_json:
            print_json({"state": "not begun", "folder": str(found.folder.path), "total": searches})
        else:
            planned = numbers.plural(searches, "search")
            click.echo(f"{found.typed} has not been run yet: {planned}. Begin with: {found.command('run')}")
        return
    status = found.check().status()
    if as_json:
        print_json(_document(found, status))
        return
    state = _state(found.folder, status)
    changed = status.changed
    facts = found.folder.facts()
    elsewhere = {name: facts[fact] for name, fact in (("files", "outputs"), ("dataset", "dataset")) if fact in facts}
    counts = {f"  {stage.value}": numbers.count(count) for stage in Stage if (count := status.counts.get(stage, 0))}
    print_fields(
        {
            "batch": facts.get("name") or found.folder.path.resolve().name,
            "folder": str(found.folder.path),
            **elsewhere,
            "state": state,
            "searches": numbers.count(status.total),
            **counts,
            "requests": numbers.count(status.requests),
            "records": numbers.count(status.records),
            "size": numbers.size(status.bytes),
            "last change (UTC)": None if changed is None else f"{changed:%Y-%m-%d %H:%M:%S} ({_ago(changed)})",
        }.items()
    )
    for title, rows in (("failed", status.failures), ("not over yet", status.waiting)):
        if rows:
            click.echo(f"\n{title}:")
        for line in _reasons(found, rows):
            print_text(f"  {line}")
    if state not in ("complete", "running"):
        verb = "retry" if status.is_over else "run"
        click.echo(f"\n{'once more' if status.is_over else 'go on'} with: {found.command(verb)}")


def _state(folder: BatchFolder, status: BatchStatus) -> str:
    if status.is_complete:
        return "complete"
    if status.is_over:
        return "over"
    return "running" if folder.is_running else "not finished"


def _ago(moment: datetime) -> str:
    return f"{numbers.duration(max((datetime.now(UTC) - moment).total_seconds(), 0.0))} ago"


def _document(found: Found, status: BatchStatus) -> dict[str, Any]:
    document = attrs.asdict(status)
    counts = {stage.value: count for stage, count in status.counts.items()}
    return document | {
        "counts": counts,
        "state": _state(found.folder, status),
        "total": status.total,
        "done": status.done,
    }


def print_report(found: Found, *, as_json: bool) -> None:
    """Print what came of a batch."""
    folder = found.check()
    if not as_json:
        click.echo(folder.report(), nl=False)
        return
    searches = [attrs.asdict(row) for row in folder.rows()]
    print_json({"batch": folder.facts(), "status": _document(found, folder.status()), "searches": searches})


def verify(common: Common, found: Found) -> None:
    """Check every file; the flaws are printed."""
    # A folder that was copied without its journal has its manifest.
    folder = found.folder if found.folder.path.is_dir() else found.check()
    flaws = folder.verify()
    for flaw in flaws:
        click.echo(str(flaw))
    if flaws:
        wrong = f"{numbers.plural(len(flaws), 'file')} {'is' if len(flaws) == 1 else 'are'} not as the manifest says"
        raise Failed(f"{wrong}; remove what is wrong, and fetch it again with: {found.command('run', common)}")
    if not folder.is_batch:
        note(common, "all files are as the manifest says")
        return
    status = folder.status()
    left = "" if status.is_complete else f"; {status.total - status.done:,} of {status.total:,} searches have none yet"
    files = f"{numbers.plural(status.done, 'file')} as the manifest says, {numbers.size(status.bytes)}"
    note(common, f"{files}{left}")
