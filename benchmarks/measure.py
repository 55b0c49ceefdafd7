"""Runs each subject in a process of its own, by turns, and says what it took by the kernel's account.

A subject is a function of a question's module. It imports what it needs, prepares, does what is measured inside a
`Span`, and returns its facts. The module is loaded by others' interpreters too: at its top it imports the standard
library and this package alone.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, NoReturn

from benchmarks import environments

__all__ = [
    "NOT_HERE",
    "Bench",
    "Facts",
    "Figure",
    "Lag",
    "Outcome",
    "Span",
    "Subject",
    "figure",
    "leave",
    "peak_mb",
    "resident_mb",
    "run_tool",
    "watched_loop",
]

Facts = Mapping[str, Any]
Outcome = list[Facts] | str
"""The facts of each run, or the word that stands in their place."""

NOT_HERE = "not here"

_ROOT = Path(__file__).parents[1]
_START = "from benchmarks.measure import _be_subject; _be_subject()"


# In the process that measures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """Who is measured: a function with its arguments, in our interpreter or in that of a named environment."""

    work: Callable[..., Facts | Awaitable[Facts]]
    arguments: tuple[object, ...] = ()
    needs: str = ""
    """A name of `environments.ENVIRONMENTS`, in which it runs, or of `environments.TOOLS`, which it calls."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the environment."""
    rounds: int | None = None
    """Instead of the bench's, for who takes minutes."""
    limit_s: float = 900.0
    limit_mb: float | None = None


@dataclass(frozen=True)
class Figure:
    """What some runs give, their median as a rule, and how far they lie apart."""

    value: float
    low: float
    high: float
    runs: int


def figure(outcome: Outcome, of: str | Callable[[Facts], float], *, worst: bool = False) -> Figure | str:
    """Return the median of a fact, or of what is computed from the facts; the word where there are none.

    `worst` takes the largest instead, for what must never be more.
    """
    if isinstance(outcome, str):
        return outcome
    values = [float(facts[of] if isinstance(of, str) else of(facts)) for facts in outcome]
    return Figure(max(values) if worst else median(values), min(values), max(values), len(values))


class Bench:
    """How this run measures.

    Attributes:
        quick: Everything tiny, to see that nothing is broken; the figures mean nothing.
        rounds: How often each subject is run.
        peers: Whether others' environments are used.
        install: Whether those that are not there are made.
        patient: Whether what takes an hour the first time may do so.
        used: The environments and tools that were here.
    """

    def __init__(
        self,
        *,
        quick: bool = False,
        rounds: int = 3,
        peers: bool = True,
        install: bool = True,
        patient: bool = False,
    ) -> None:
        self.quick = quick
        self.rounds = rounds
        self.peers = peers
        self.install = install
        self.patient = patient
        self.used: list[str] = []

    def size(self, full: int, tiny: int) -> int:
        """Return how many: `tiny` in a quick run."""
        return tiny if self.quick else full

    def by_turns(self, subjects: Mapping[str, Subject], *, settled: bool = False) -> dict[str, Outcome]:
        """Run all subjects, then all once more …: what else the machine does then meets each of them.

        `settled` has the disk finish what others have left it to write before each run.
        """
        outcomes: dict[str, Outcome] = {name: [] for name in subjects}
        for turn in range(max(subject.rounds or self.rounds for subject in subjects.values())):
            for name, subject in subjects.items():
                outcome = outcomes[name]
                if isinstance(outcome, str) or turn >= (subject.rounds or self.rounds):
                    continue
                if settled:
                    os.sync()
                print(f"  {name}, {turn + 1}", file=sys.stderr, flush=True)
                found = self.run(subject)
                if isinstance(found, str):
                    outcomes[name] = found
                else:
                    outcome.append(found)
        return outcomes

    def run(self, subject: Subject) -> Facts | str:
        """Run a subject once. One of ours that fails ends everything; another's is said to have failed."""
        interpreter: Path | None = Path(sys.executable)
        if subject.needs:
            if subject.needs in environments.ENVIRONMENTS:
                interpreter = environments.python_of(subject.needs, install=self.install) if self.peers else None
            elif environments.tool_version(subject.needs) is None:
                interpreter = None
        if interpreter is None:
            return NOT_HERE
        if subject.needs and subject.needs not in self.used:
            self.used.append(subject.needs)
        what = json.dumps([subject.work.__module__, subject.work.__name__, subject.arguments])
        # Our sources for both; whatever else the caller's environment has stays out of others' interpreters.
        variables = {**os.environ, "PYTHONPATH": str(_ROOT), **subject.variables}
        with (
            tempfile.TemporaryDirectory() as folder,
            tempfile.TemporaryFile() as printed,
            tempfile.TemporaryFile() as complaints,
        ):
            # Some leave files in the folder they are called from.
            with subprocess.Popen(
                [str(interpreter), "-c", _START, what], stdout=printed, stderr=complaints, env=variables, cwd=folder
            ) as process:
                stopped = _watch(process, subject, min(subject.limit_s, 60) if self.quick else subject.limit_s)
            printed.seek(0)
            complaints.seek(0)
            if stopped and not subject.needs and not subject.limit_mb:
                raise RuntimeError(f"{what} was stopped: {stopped}")
            if stopped:
                return stopped
            if process.returncode != 0:
                told = complaints.read().decode(errors="replace").strip()
                if not subject.needs:
                    raise RuntimeError(f"{what} ended with {process.returncode}:\n{told}")
                print(told, file=sys.stderr)
                return "failed"
            facts: Facts = json.loads(printed.read().splitlines()[-1])
            return facts


def _watch(process: subprocess.Popen[bytes], subject: Subject, limit_s: float) -> str:
    """Wait for the end, or bring it about; return why."""
    until = time.monotonic() + limit_s
    while True:
        try:
            process.wait(0.2 if subject.limit_mb else limit_s)
            return ""
        except subprocess.TimeoutExpired:
            pass
        why = f"over {limit_s:,.0f} s" if time.monotonic() > until else ""
        if subject.limit_mb and resident_mb(process.pid) > subject.limit_mb:
            why = f"over {subject.limit_mb:,.0f} MB"
        if why:
            process.kill()
            process.wait()
            return why


# In the subject's process ------------------------------------------------------------------------------------------


class Span:
    """Wall time and CPU time of a `with` block: of all threads of this process, and of processes it has waited for."""

    wall_s = 0.0
    cpu_s = 0.0

    def __enter__(self) -> Span:
        gc.collect()
        self._cpu_s, self._wall_s = _cpu_s(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall_s, self.cpu_s = time.perf_counter() - self._wall_s, _cpu_s() - self._cpu_s

    def facts(self, **more: Any) -> dict[str, Any]:
        """Return both, and more."""
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, **more}


@dataclass
class Lag:
    """The longest time the event loop served nobody."""

    longest_ms: float = 0.0


@contextmanager
def watched_loop() -> Iterator[Lag]:
    """Watch the running loop while the block lasts."""
    lag, every_s, due = Lag(), 0.002, time.perf_counter()

    def look() -> None:
        lag.longest_ms = max(lag.longest_ms, 1000 * (time.perf_counter() - due))

    async def watch() -> None:
        nonlocal due
        while True:
            due = time.perf_counter() + every_s
            await asyncio.sleep(every_s)
            look()

    task = asyncio.get_running_loop().create_task(watch())
    try:
        yield lag
    finally:
        task.cancel()
        look()  # it may have been kept from its last one


def run_tool(command: Sequence[str], *, shell: bool = False) -> dict[str, Any]:
    """Run another program; return its wall time, CPU time and peak memory, or raise what it complained about."""
    started = time.perf_counter()
    line = ["sh", "-c", *command] if shell else list(command)
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=complaints)
        ended, peak = threading.Event(), 0.0

        def sample() -> None:
            # `ru_maxrss` of a child begins with what its parent had; the peak of its own memory map does not.
            nonlocal peak
            while not ended.wait(0.02):
                peak = max(peak, resident_mb(process.pid, peak=True, tree=True))

        sampler = threading.Thread(target=sample)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for, and not by Popen
        ended.set()
        sampler.join()
        if process.returncode:
            complaints.seek(0)
            raise RuntimeError(f"{line} ended with {process.returncode}: {complaints.read().decode(errors='replace')}")
    return {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": peak}


def peak_mb() -> float:
    """Return the most memory that this process has had resident."""
    if peak := _status_mb(os.getpid(), "VmHWM"):
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def leave(facts: Facts) -> NoReturn:
    """Hand over the facts and end at once: nothing is cleaned up that would take long."""
    print(json.dumps({"peak_mb": peak_mb(), **facts}), flush=True)
    os._exit(0)


def resident_mb(pid: int | None = None, *, peak: bool = False, tree: bool = False) -> float:
    """Return what a process has resident, 0 where that is not known; of a tree the sum, shared pages in each."""
    pid = pid or os.getpid()
    own = _status_mb(pid, "VmHWM" if peak else "VmRSS")
    return own + sum(resident_mb(child, peak=peak, tree=True) for child in _children(pid)) if tree else own


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []


def _status_mb(pid: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _be_subject() -> None:
    module, name, arguments = json.loads(sys.argv[1])
    work = getattr(import_module(module), name)
    facts = work(*arguments)
    if inspect.isawaitable(facts):
        facts = asyncio.run(_awaited(facts))
    print(json.dumps({"peak_mb": peak_mb(), **facts}))


async def _awaited(facts: Awaitable[Facts]) -> Facts:
    return await facts
