"""Ask the questions, and print one table: `python -m benchmarks [QUESTION …]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import traceback
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import environments, growth
from benchmarks.measure import Bench
from benchmarks.table import Row, as_json, show

QUESTIONS = (
    "many_searches",
    "noticed",
    "body_to_disk",
    "typed_records",
    "to_parquet",
    "in_flight",
    "journal",
    "blocking_calls",
    "start_up",
    "conjunction_years",
    "exports",
    "files",
    "windows",
)
GROWTH = "growth"
"""Asked when it is named, or when its plot is wanted: it takes long, and is no row of the table."""

OURS = ("aurora-async", "aiohttp", "msgspec", "isal", "pyarrow")
"""Whose versions make ours what it is."""


def main(argv: list[str] | None = None) -> int:
    """Run the questions that are named, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=_help(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", nargs="*", help="as listed above; all but growth when none is named")
    parser.add_argument("--quick", action="store_true", help="everything tiny: shows what is broken, measures nothing")
    parser.add_argument("--rounds", type=int, help="how often each subject is run (3; quick: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here, - for the output")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"ask {GROWTH}, and draw it as PNG")
    parser.add_argument("--peers", action="store_true", help="have others take part in a quick run, too")
    parser.add_argument("--no-install", action="store_true", help="do without the environments that are not there")
    options = parser.parse_args(argv)
    for name in options.question:
        if name not in (*QUESTIONS, GROWTH):
            parser.error(f"there is no {name!r}; the questions are {', '.join(QUESTIONS)} and {GROWTH}")
    names = options.question or list(QUESTIONS)
    bench = Bench(
        quick=options.quick,
        rounds=options.rounds or (1 if options.quick else 3),
        peers=options.peers or not options.quick,
        install=not (options.quick or options.no_install),
        patient=bool(options.question),
    )
    rows: list[Row] = []
    curves: growth.Curves | None = None
    seconds: dict[str, float] = {}
    failed: list[str] = []
    for name in dict.fromkeys([*names, *([GROWTH] if options.plot else [])]):
        started = time.monotonic()
        print(f"{name}: {_question(name)}", file=sys.stderr, flush=True)
        try:
            if name == GROWTH:
                curves = growth.measure(bench)
                if options.plot:
                    growth.draw(bench, curves, options.plot)
            else:
                rows += import_module(f"benchmarks.{name}").ask(bench)
        except Exception:  # what the others have found in half an hour is not lost
            traceback.print_exc()
            failed.append(name)
        seconds[name] = round(time.monotonic() - started, 1)
    about = _about(bench, seconds, failed)
    if options.json:
        document = json.dumps({**about, "rows": [as_json(row) for row in rows], GROWTH: curves}, indent=2)
        if str(options.json) == "-":
            print(document)
            return bool(failed)
        options.json.write_text(document + "\n")
    if rows:
        show(rows, _caption(about), judged=not bench.quick)
    if curves is not None:
        growth.show(curves)
    return bool(failed)


def _question(name: str) -> str:
    return (import_module(f"benchmarks.{name}").__doc__ or "").partition("\n")[0]


def _help() -> str:
    questions = "\n".join(f"  {name:18} {_question(name)}" for name in (*QUESTIONS, GROWTH))
    return f"{(__doc__ or '').strip()}\n\n{questions}"


def _about(bench: Bench, seconds: dict[str, float], failed: list[str]) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": bench.quick,
        "rounds": bench.rounds,
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "ours": {name: version(name) for name in OURS if find_spec(name.replace("-", "_"))},
        "others": environments.versions(bench.used),
        "seconds": seconds,
        "failed": failed,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _caption(about: dict[str, Any]) -> str:
    ours, others = (
        ", ".join(f"{name} {number}" for name, number in about[whose].items()) for whose in ("ours", "others")
    )
    lines = [
        f"{about['date'][:10]}, {about['machine']}, Python {about['python']}.",
        f"Ours: {ours}. Others: {others or 'none'}.",
        f"Medians of up to {about['rounds']} runs by turns, below them the least and the most. "
        "The ratio is to the first of the others, above 1 where ours is better.",
    ]
    if about["failed"]:
        lines.append(f"Broken: {', '.join(about['failed'])}.")
    if about["quick"]:
        lines.append("A quick run: tiny sizes, whose figures say nothing.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
