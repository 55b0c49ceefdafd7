"""What every benchmark needs: a subject in a process of its own, a local service in another, and one table."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["local_service", "print_table", "report", "run_subject"]


def run_subject(module: str, subject: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m module --subject subject …` and return the JSON it prints last."""
    command = [sys.executable, "-m", module, "--subject", subject, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(work: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    """Run the subject's work, and print its facts with wall time, CPU time and peak memory of this process."""
    _forget_peak()
    started, cpu = time.perf_counter(), time.process_time()
    facts = asyncio.run(_awaited(work))
    own = {
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": peak_bytes() / 1e6,
    }
    print(json.dumps(own | dict(facts)))


def peak_bytes() -> int:
    """Most memory this process ever had resident since `_forget_peak`, or since its start where that is not known."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _forget_peak() -> None:
    # A new process inherits its parent's peak on Linux, which would then be reported as its own.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


async def _awaited(work: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
    return await work()


@contextmanager
def local_service(*arguments: str) -> Iterator[str]:
    """Run `aurora-async serve` in a process of its own; gives its base URL."""
    command = [sys.executable, "-m", "aurora_async", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                raise SystemExit(f"{' '.join(command)} printed {line!r}")
            yield line.split()[-1]
        finally:
            process.terminate()


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows that all have the same keys."""
    print(f"\n{title}")
    if not rows:
        return
    cells = [[str(name) for name in rows[0]], *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _shown(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
