"""How long until an import is done, or the command line has answered?

From the start of a fresh interpreter to its end, as users have it, after one start that nobody counts (byte code, disk
cache). `import aurora_async` alone loads next to nothing, so the client's own import is asked for as well.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median

from benchmarks.measure import Bench, Facts, Figure, Subject, figure, run_tool
from benchmarks.table import Row, Target

__all__ = ["ask", "started"]

STARTS = 3


def ask(bench: Bench) -> list[Row]:
    """Ask for imports, then for the command lines' help."""
    starts = bench.size(STARTS, 1)

    def subject(needs: str, *arguments: str) -> Subject:
        return Subject(started, (arguments, starts), needs=needs, rounds=1 if needs else None)

    found = bench.by_turns(
        {
            "import aurora_async": subject("", "-c", "import aurora_async"),
            "from aurora_async import AuroraX": subject("", "-c", "from aurora_async import AuroraX"),
            "aurora-async --help": subject("", "-m", "aurora_async", "--help"),
            "Python alone": subject("", "-c", "pass"),
            "pandas": subject("tables", "-c", "import pandas"),
            "aiohttp": subject("aiohttp", "-c", "import aiohttp"),
            "pyaurorax": subject("pyaurorax", "-c", "import pyaurorax; pyaurorax.PyAuroraX"),
            "drms": subject("drms", "-c", "import drms"),
            "imap-data-access": subject("imap-data-access", "-c", "import imap_data_access"),
            "imap-data-access --help": subject("imap-data-access", "-m", "imap_data_access.cli", "--help"),
        }
    )
    figures: dict[str, Figure | str] = {name: figure(outcome, "start_s") for name, outcome in found.items()}

    def row(what: str, target: float, against: str, *others: str) -> Row:
        return Row(
            question="start", what=what, unit="s", ours=figures[what],
            others={name: figures[name] for name in (against, *others)}, target=Target("≤", target), against=against,
        )  # fmt: skip

    return [
        row("import aurora_async", 0.35, "pandas", "aiohttp", "pyaurorax", "drms", "imap-data-access", "Python alone"),
        row("from aurora_async import AuroraX", 0.35, "pandas"),
        row("aurora-async --help", 0.45, "imap-data-access --help"),
    ]


def started(arguments: Sequence[str], times: int) -> Facts:
    """Start this interpreter so often, once more than is counted."""
    took_s = [run_tool([sys.executable, *arguments])["wall_s"] for _ in range(times + 1)]
    return {"start_s": median(took_s[1:])}
