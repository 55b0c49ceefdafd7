"""What a batch has left in its folder, seen without a service: counts, manifest, report, and which files are wrong."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from aurora_async.engine.journal import Entry, Stage, is_worked_on, read_facts, read_journal
from aurora_async.engine.places import STAGING, digest_file
from aurora_async.engine.remote import Store
from aurora_async.errors import AuroraError, InvalidInput, MissingExtra, TargetNotWritable
from aurora_async.transfer.tables import Records, parquet_of

__all__ = ["BatchFolder", "BatchStatus", "Flaw", "ManifestRow"]

JOURNAL = "journal.sqlite"
MANIFEST = "manifest.json"
REPORT = "report.md"

_TRIES = 5


@attrs.frozen(kw_only=True)
class ManifestRow:
    """What the manifest says of one query."""

    number: int
    kind: str
    start: str
    """Of the query, as the service is asked (UTC)."""
    end: str
    phase: str
    """A `Stage`: `done`, `failed`, `cancelled`, or how far it is."""
    path: str
    """Of the file, relative to the folder or address that the manifest names."""
    bytes: int | None
    records: int | None
    sha256: str | None
    seconds: float | None
    attempts: int
    """How many requests were made, windows included."""
    windows: int
    """How many windows it was cut into, 0 when it was asked as it is."""
    request_ids: list[str]
    reason: str | None
    """Why there is no file."""
    key: str


@attrs.frozen(kw_only=True)
class BatchStatus:
    """How far a batch is. Windows of queries that were cut are not counted as queries."""

    folder: str
    counts: Mapping[Stage, int]
    records: int
    bytes: int
    requests: int
    """How many were made."""
    failures: tuple[ManifestRow, ...] = ()
    waiting: tuple[ManifestRow, ...] = ()
    """Those that are not over although something stood in their way, with it as `reason`."""
    changed: datetime | None = None
    """When the journal was last written to."""

    @property
    def total(self) -> int:
        """How many queries there are."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """How many have their file."""
        return self.counts.get(Stage.DONE, 0)

    @property
    def is_over(self) -> bool:
        """True when `run` would have nothing to do."""
        return all(stage.is_over for stage, count in self.counts.items() if count)

    @property
    def is_complete(self) -> bool:
        """True when every query has its file."""
        return self.done == self.total


@attrs.frozen
class Flaw:
    """A file that is not what the manifest says."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class BatchFolder:
    """The folder of a batch, read as it is at each call; a run may be under way in it."""

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder)

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / JOURNAL

    @property
    def is_batch(self) -> bool:
        """True when a batch lives here."""
        return self.journal.is_file()

    @property
    def is_running(self) -> bool:
        """True while some process, here or elsewhere, works on the batch, as far as can be known from here."""
        return is_worked_on(self.journal)

    def facts(self) -> dict[str, Any]:
        """Return what is known of the batch as a whole."""
        return read_facts(self.journal)

    def rows(self) -> Records[ManifestRow]:
        """Return what the manifest says of each query now.

        Raises:
            InvalidInput: There is no batch in this folder.
        """
        return _rows(read_journal(self.journal)[1])

    def status(self) -> BatchStatus:
        """Return how far the batch is."""
        _, entries = read_journal(self.journal)
        return _status(self.path, entries, _rows(entries))

    def write_manifest(self) -> None:
        """Write `manifest.json`, `report.md`, and `manifest.parquet` where pyarrow is installed; each whole or not."""
        facts, entries = read_journal(self.journal)
        rows = _rows(entries)
        report = _report(facts, _status(self.path, entries, rows), rows)
        document = {
            "batch": facts,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "queries": [attrs.asdict(row) for row in rows],
        }
        _write(self.path / MANIFEST, json.dumps(document, indent=1).encode() + b"\n")
        _write(self.path / REPORT, report.encode())
        try:
            data = parquet_of(rows)
        except MissingExtra:
            return
        _write(self.path / "manifest.parquet", data)

    def report(self) -> str:
        """Return what came of the batch, as Markdown that reads well as it is."""
        facts, entries = read_journal(self.journal)
        rows = _rows(entries)
        return _report(facts, _status(self.path, entries, rows), rows)

    def verify(self, storage_options: Mapping[str, Any] | None = None) -> list[Flaw]:
        """Read every file once more and compare it with the manifest; nothing is asked of any service.

        `storage_options` are for fsspec, where the files are not in the folder.

        Raises:
            InvalidInput: There is neither a manifest nor a journal.
        """
        facts, rows = (self.facts(), self.rows()) if self.is_batch else _read_manifest(self.path / MANIFEST)
        address = facts.get("outputs")
        store = None if address is None else Store(address, storage_options)
        flaws = []
        for row in rows:
            if row.phase == Stage.DONE.value:
                problem = _problem(self.path / row.path, row) if store is None else _problem_there(store, row)
                if problem is not None:
                    flaws.append(Flaw(row.path, problem))
                elif facts.get("lists_files"):
                    flaws += self._flaws_of_files(row.path)
        return flaws

    def _flaws_of_files(self, index: str) -> Iterator[Flaw]:
        """Compare the files that one file lists with what it says of them."""
        for one in json.loads((self.path / index).read_bytes())["files"]:
            if one["path"] is None:
                continue  # there is none on the service
            said = _Said(one["bytes"], one["sha256"])
            problem = _problem(self.path / one["path"], said, index)
            if problem is not None:
                yield Flaw(one["path"], problem)


def _problem_there(store: Store, row: ManifestRow) -> str | None:
    try:
        size = store.size(row.path)
        if size is None:
            return "is missing"
        return _difference(size, row) or _difference_inside(store.sha256(row.path), row)
    except AuroraError as error:
        return f"cannot be read: {error}"


@attrs.frozen
class _Said:
    """What one file says of another."""

    bytes: int | None
    sha256: str | None


def _problem(path: Path, said: _Said | ManifestRow, by: str = "the manifest") -> str | None:
    try:
        size = path.stat().st_size
    except OSError as error:
        return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
    return _difference(size, said, by) or _difference_inside(digest_file(path), said, by)


def _difference(size: int, said: _Said | ManifestRow, by: str = "the manifest") -> str | None:
    return None if size == said.bytes else f"has {size:,} bytes, {by} says {said.bytes:,}"


def _difference_inside(sha256: str | None, said: _Said | ManifestRow, by: str = "the manifest") -> str | None:
    if sha256 is None:
        return "cannot be read"
    return None if sha256 == said.sha256 else f"has the SHA-256 {sha256}, {by} says {said.sha256}"


def _status(folder: Path, entries: Sequence[Entry], rows: Sequence[ManifestRow]) -> BatchStatus:
    done = [row for row in rows if row.phase == Stage.DONE.value]
    changed = max((entry.changed_us for entry in entries), default=None)
    return BatchStatus(
        folder=str(folder),
        counts=Counter(entry.stage for entry in entries if entry.parent is None),
        records=sum(row.records or 0 for row in done),
        bytes=sum(row.bytes or 0 for row in done),
        requests=sum(row.attempts for row in rows),
        failures=tuple(row for row in rows if row.phase == Stage.FAILED.value),
        waiting=tuple(row for row in rows if row.reason and not Stage(row.phase).is_over),
        changed=None if changed is None else datetime.fromtimestamp(changed / 1e6, UTC),
    )


def _rows(entries: Iterable[Entry]) -> Records[ManifestRow]:
    windows: dict[int, list[Entry]] = {}
    queries = []
    for entry in entries:
        if entry.parent is None:
            queries.append(entry)
        else:
            windows.setdefault(entry.parent, []).append(entry)
    return Records([_row(one, windows.get(one.number, [])) for one in queries], record_type=ManifestRow)


def _row(entry: Entry, windows: list[Entry]) -> ManifestRow:
    reason = entry.error or next((window.error for window in windows if window.error), None)
    return ManifestRow(
        number=entry.number,
        kind=entry.kind,
        start=str(entry.query.get("start", "")),
        end=str(entry.query.get("end", "")),
        phase=entry.stage.value,
        path=entry.path,
        bytes=entry.bytes,
        records=entry.records,
        sha256=entry.sha256,
        seconds=entry.seconds,
        attempts=entry.attempts + sum(window.attempts for window in windows),
        windows=len(windows),
        request_ids=[one.request_id for one in (entry, *windows) if one.request_id is not None],
        reason=None if entry.stage is Stage.DONE else reason,
        key=entry.key,
    )


def _read_manifest(path: Path) -> tuple[dict[str, Any], list[ManifestRow]]:
    try:
        document = json.loads(path.read_bytes())
        return dict(document["batch"]), [ManifestRow(**row) for row in document["queries"]]
    except FileNotFoundError:
        raise InvalidInput("folder", f"{path.parent} is not the folder of a batch: it has no {path.name}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidInput("folder", f"{path} is not the manifest of a batch: {error}") from error


def _write(path: Path, data: bytes) -> None:
    staging = path.parent / STAGING
    for _ in range(_TRIES):
        # A name of its own: other processes write theirs at the same time. What a crash leaves is swept with the rest.
        fresh = staging / f"{path.name}.{secrets.token_hex(4)}"
        try:
            staging.mkdir(exist_ok=True)
            fresh.write_bytes(data)
            fresh.replace(path)
        except FileNotFoundError:
            continue  # swept by one of those
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise TargetNotWritable("", path, f"cannot be written: {error.strerror or error}") from error
        return
    raise TargetNotWritable("", path, "cannot be written: its folder is emptied all the time")


def _span(row: ManifestRow) -> str:
    return f" ({row.start} to {row.end})" if row.start else ""


def _plural(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


def _report(facts: Mapping[str, Any], status: BatchStatus, rows: Records[ManifestRow]) -> str:
    name = facts.get("name") or Path(status.folder).name
    state = "complete" if status.is_complete else "over" if status.is_over else "not finished"
    lines = [
        f"# {name}: {state}",
        "",
        f"{status.done:,} of {status.total:,} {'query has its' if status.total == 1 else 'queries have their'} file: "
        f"{_plural(status.records, 'record')}, {_plural(status.bytes, 'byte')}, {_plural(status.requests, 'request')}.",
        "",
    ]
    seconds = sorted(row.seconds for row in rows if row.seconds is not None)
    if seconds:
        lines += [f"A query took {seconds[len(seconds) // 2]:.1f} s in the middle, {seconds[-1]:.1f} s at most.", ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items() if key != "name" and value]
    for title, chosen in (
        ("Failed", status.failures),
        ("Not over yet", status.waiting),
    ):
        if chosen:
            lines += ["", f"## {title}: {len(chosen):,}", ""]
            lines += [f"- {row.path}{_span(row)}: {row.reason}" for row in chosen]
    kinds = Counter(row.kind for row in rows)
    lines += ["", "## Files", "", "| kind | queries | done | records | bytes |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, count in sorted(kinds.items()):
        done = [row for row in rows if row.kind == kind and row.phase == Stage.DONE.value]
        records, size = sum(row.records or 0 for row in done), sum(row.bytes or 0 for row in done)
        lines.append(f"| {kind} | {count:,} | {len(done):,} | {records:,} | {size:,} |")
    return "\n".join(lines) + "\n"
