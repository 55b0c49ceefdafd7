"""How do time and memory grow with the number of searches, and with the size of a result?

Searches take 2 s of the stand-in's time each, so the ideal is 2 s however many they are; pyaurorax has a hundred
threads. Results are streamed as typed records; pyaurorax returns them as a list. It is asked no further than is known
within minutes, and is stopped at 8 GB or five of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import many_searches, standins, typed_records
from benchmarks.measure import Bench, Facts, Subject

__all__ = ["draw", "drawn", "measure", "show"]

COUNTS = (10, 30, 100, 300, 1_000, 3_000, 10_000)
MEGABYTES = (10, 30, 100, 300, 500, 1_000, 2_000, 5_000)
PYAURORAX_COUNTS = COUNTS[:4]
PYAURORAX_MEGABYTES = MEGABYTES[:5]
SERVER_TIME_S = 2.0
THREADS = 100
LIMIT_S = 300.0
LIMIT_MB = 8_000.0
ASKED_NO_FURTHER = "asked no further"

Points = list[dict[str, Any]]
"""Each with `at`, and either `wall_s` and `peak_mb` or why it was `stopped` or not even begun."""
Curves = dict[str, dict[str, Points]]
"""Of `searches` and `megabytes`, for each client."""


def measure(bench: Bench) -> Curves:
    """Go up both ladders, each client until it is stopped."""
    counts, megabytes = ((2, 5), (1, 2)) if bench.quick else (COUNTS, MEGABYTES)
    fewer, smaller = ((2,), (1,)) if bench.quick else (PYAURORAX_COUNTS, PYAURORAX_MEGABYTES)
    took_s = 0.1 if bench.quick else SERVER_TIME_S
    with standins.searches() as origin, standins.bodies() as large:
        base_url = f"{origin}/{took_s:g}"
        return {
            "searches": {
                "aurora_async": _climbed(bench, counts, lambda at: Subject(many_searches.ours, (base_url, at))),
                "pyaurorax": _climbed(
                    bench,
                    fewer,
                    lambda at: Subject(
                        many_searches.pyaurorax, (base_url, at, THREADS), needs="pyaurorax", limit_s=LIMIT_S,
                        limit_mb=LIMIT_MB,
                    ),
                    beyond=counts[len(fewer)],
                ),
            },
            "megabytes": {
                "aurora_async": _climbed(
                    bench, megabytes, lambda at: Subject(typed_records.ours, (f"{large}/plain/{at * 1_000_000}",))
                ),
                "pyaurorax": _climbed(
                    bench,
                    smaller,
                    lambda at: Subject(
                        typed_records.pyaurorax, (f"{large}/plain/{at * 1_000_000}",), needs="pyaurorax",
                        limit_s=LIMIT_S, limit_mb=LIMIT_MB,
                    ),
                    beyond=megabytes[len(smaller)],
                ),
            },
        }  # fmt: skip


def _climbed(
    bench: Bench, steps: Sequence[int], subject: Callable[[int], Subject], *, beyond: int | None = None
) -> Points:
    """Try each step until one is too much; `beyond` is the first of those that are not tried."""
    points: Points = []
    for at in steps:
        print(f"  {subject(at).work.__module__}.{subject(at).work.__name__}, {at:,}", file=sys.stderr, flush=True)
        facts = bench.run(subject(at))
        if isinstance(facts, str):
            return [*points, {"at": at, "stopped": facts}]
        points.append({"at": at, "wall_s": facts["wall_s"], "peak_mb": facts["peak_mb"]})
    return points if beyond is None else [*points, {"at": beyond, "stopped": ASKED_NO_FURTHER}]


def draw(bench: Bench, curves: Curves, path: Path) -> None:
    """Write the plot as PNG, by an interpreter that has matplotlib."""
    found = bench.run(Subject(drawn, (curves, str(path.resolve())), needs="matplotlib"))
    print(f"no plot: matplotlib is {found}" if isinstance(found, str) else f"wrote {path}", file=sys.stderr)


def drawn(curves: Mapping[str, Mapping[str, Points]], path: str) -> Facts:
    """Four panels: wall time above memory, number of searches beside the size of a result."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    # Okabe and Ito's, which differ for every kind of sight, and markers that differ without colour.
    looks = {"aurora_async": ("#0072B2", "o"), "pyaurorax": ("#D55E00", "s")}
    titles = {"searches": "searches at once, 2 s of server time each", "megabytes": "size of one result (MB)"}
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), sharex="col", sharey="row", layout="constrained")
    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    for column, (question, clients) in enumerate(curves.items()):
        for panel, key, label in zip(panels[:, column], ("wall_s", "peak_mb"), ("seconds", "memory (MB)"), strict=True):
            for client, points in clients.items():
                colour, marker = looks[client]
                there = [point for point in points if "stopped" not in point]
                if not there:
                    panel.plot([], [], color=colour, marker=marker, label=f"{client}: {points[0]['stopped']}")
                    continue
                x, y = [point["at"] for point in there], [point[key] for point in there]
                panel.plot(x, y, color=colour, marker=marker, linewidth=2, markersize=6, label=client)
                if len(there) < len(points):
                    why = points[-1]["stopped"]
                    if why != ASKED_NO_FURTHER:
                        panel.plot(x[-1], y[-1], marker="x", color="black", markersize=13, markeredgewidth=2, zorder=5)
                        why = f"{why} at {points[-1]['at']:,}"
                    panel.annotate(
                        why, (x[-1], y[-1]), xytext=(9, 0), textcoords="offset points", ha="left", va="center",
                        fontsize=9, color="#444444",
                    )  # fmt: skip
            panel.set(xscale="log", yscale="log", ylabel=label if column == 0 else "")
            if (question, key) == ("searches", "wall_s"):
                panel.axhline(SERVER_TIME_S, color="#666666", linestyle="--", linewidth=1)
                panel.annotate(
                    "ideal", (1, SERVER_TIME_S), xycoords=("axes fraction", "data"), xytext=(-2, -4),
                    textcoords="offset points", ha="right", va="top", color="#444444", fontsize=10,
                )  # fmt: skip
            panel.yaxis.set_major_formatter(plain)
            panel.xaxis.set_major_formatter(plain)
            panel.yaxis.set_minor_formatter(NullFormatter())
            panel.grid(True, which="major", color="#dddddd", linewidth=0.8)
            panel.set_axisbelow(True)
            panel.margins(y=0.15)
        panels[1, column].set_xlabel(titles[question])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=12)
    figure.align_ylabels()
    figure.savefig(path, dpi=130)
    return {"path": path}


def show(curves: Curves, *, width: int | None = None) -> None:
    """Print the points."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=width, highlight=False)
    for question, clients in curves.items():
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(question, justify="right")
        for client in clients:
            table.add_column(f"{client}, s", justify="right")
            table.add_column("MB", justify="right")
        steps = sorted({point["at"] for points in clients.values() for point in points})
        for at in steps:
            cells = list[str]()
            for points in clients.values():
                point = next((point for point in points if point["at"] == at), None)
                if point is None:
                    cells += ["", ""]
                elif "stopped" in point:
                    cells += [point["stopped"], ""]
                else:
                    cells += [f"{point['wall_s']:,.2f}", f"{point['peak_mb']:,.0f}"]
            table.add_row(f"{at:,}", *cells)
        console.print(table)
