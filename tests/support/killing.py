"""Batches that are killed: a service in one process, the runs in others, and the account of what came of it.

Starting an interpreter takes longer than such a run. So a process that has everything imported forks the runs.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

QUERIES = 40
KEY = "killing"

_TESTS = Path(__file__).parents[1]
_ENVIRON = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])}


def queries(count: int = QUERIES) -> list[Any]:
    """Ten minutes each of one day, which the service computes once."""
    from aurora_async import EphemerisQuery

    day = datetime(2020, 1, 1, tzinfo=UTC)
    starts = [day + timedelta(minutes=10 * number) for number in range(count)]
    return [EphemerisQuery(start=start, end=start + timedelta(minutes=9), platforms="swarma") for start in starts]


@contextmanager
def service(*arguments: str) -> Iterator[str]:
    """Run the local service in a process of its own; gives its base URL."""
    command = [sys.executable, "-m", "aurora_async", "serve", "--port", "0", "--api-key", f"{KEY}:Administrator"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True, env=_ENVIRON) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


class Runs:
    """Runs of batches in forks of a prepared process."""

    def __init__(self, base_url: str) -> None:
        command = [sys.executable, "-m", "support.killing", base_url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=_ENVIRON
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.communicate(timeout=20)

    def run(self, folder: Path, kill_after_s: float | None = None) -> int:
        """Run the batch in a folder; return its exit code, or minus the signal that ended it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(folder, file=self._process.stdin)
        pid = int(self._process.stdout.readline())
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(pid, signal.SIGKILL)  # a child that has ended is there until its parent is told to look
        print(file=self._process.stdin)
        return int(self._process.stdout.readline())


def _fork_runs(base_url: str) -> None:
    import pyarrow.parquet  # noqa: F401 - what a run imports late is imported before the forks

    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            code = 70
            try:
                code = asyncio.run(_run_batch(base_url, Path(line.rstrip("\n"))))
            finally:
                os._exit(code)
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


async def _run_batch(base_url: str, folder: Path) -> int:
    from aurora_async import AuroraX, Config, Polling

    config = Config(base_url=base_url, polling=Polling(floor_s=0.02, ceiling_s=0.2), trust_environment=False)
    async with AuroraX(config) as client, client.batch(folder, queries()) as batch:
        status = await batch.finish(at_once=12)
        return 0 if status.is_complete and not await batch.verify() else 1


class Account:
    """What the service has been asked so far."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._before: set[str] = set()

    def new_requests(self) -> set[str]:
        """The identifiers of the searches that were made since the last look."""
        from aurora_async import Config, sync

        config = Config(base_url=self._base_url, api_key=KEY, trust_environment=False)
        with sync.AuroraX(config) as client:
            now = {one.request_id for one in client.admin.search_requests()}
        new, self._before = now - self._before, now
        return new


def killed(base_url: str, folder: Path, kills: int, *, seed: int = 0) -> dict[str, Any]:
    """Kill runs at random moments until there were so many, each batch run again until it is complete; say how it went.

    What must not be raises.
    """
    from aurora_async import BatchFolder

    rng = random.Random(seed)
    account = Account(base_url)
    done = batches = runs = 0
    with Runs(base_url) as fork:
        model = folder / "model"
        started = time.monotonic()
        assert fork.run(model) == 0
        whole_s = min(time.monotonic() - started, 1.5)  # the first takes longer: the service computes the day
        account.new_requests()
        expected = {path.name: path.read_bytes() for path in model.glob("*.jsonl")}
        assert len(expected) == QUERIES
        while done < kills:
            place = folder / str(batches)
            batches += 1
            code = -signal.SIGKILL
            while code != 0:
                last = done >= kills
                code = fork.run(place, None if last else rng.uniform(0, whole_s))
                runs += 1
                assert code in (0, -signal.SIGKILL), f"batch {place}: exit code {code}"
                done += code != 0
            found = {path.name: path.read_bytes() for path in place.iterdir() if path.suffix == ".jsonl"}
            assert found == expected, f"batch {place} has other files"
            rows = BatchFolder(place).rows()
            made = account.new_requests()
            assert len(made) == QUERIES, f"batch {place}: {len(made)} searches for {QUERIES} queries"
            assert {row.request_ids[0] for row in rows} == made
            assert all(row.attempts == 1 for row in rows)
            rest = {path.name for path in place.iterdir()} - expected.keys()
            assert rest <= {"journal.sqlite", "manifest.json", "manifest.parquet", "report.md"}, f"{place}: {rest}"
    return {"kills": done, "batches": batches, "runs": runs, "a whole run, s": round(whole_s, 2)}


if __name__ == "__main__":
    _fork_runs(sys.argv[1])
