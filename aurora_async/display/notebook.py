"""Progress in a notebook: one output of a cell, drawn anew a few times a second and left as it was at the end.

Plain HTML without scripts or widgets, so that it shows in any front end, and still does in a saved notebook.
"""

from __future__ import annotations

import sys
from html import escape
from typing import Any

import attrs

from aurora_async.display import numbers
from aurora_async.display.phrases import states, sums
from aurora_async.display.tally import Progress, Tally, words

__all__ = ["Notebook", "html_of", "in_notebook", "text_of"]

_SLOWEST = 5
_SLOW_S = 2.0
_COLOURS = {"done": "green", "failed": "#c00", "cancelled": "#a60", "left": "#a60"}
_ROW = '<tr style="background:none">{}</tr>'
_LEFT = '<td style="text-align:left">{}</td>'
_RIGHT = '<td style="text-align:right">{}</td>'


def in_notebook() -> bool:
    """True inside a Jupyter kernel (not in IPython's terminal)."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Notebook:
    """A cell's output: shown by making it, drawn anew by `tick`, for the last time by `end`."""

    def __init__(self, tally: Tally) -> None:
        from IPython.display import display

        self._tally = tally
        self._last: tuple[object, ...] = ()
        show: Any = display
        self._handle = show(_Picture(tally.progress(), is_over=False), display_id=True)

    def tick(self) -> None:
        """Show how things stand."""
        progress = self._tally.progress(slowest=_SLOWEST)
        shown = (progress.states, progress.bytes, round(progress.elapsed_s))
        if shown != self._last:
            self._last = shown
            self._handle.update(_Picture(progress, is_over=False))

    def end(self) -> None:
        """Show what came of it."""
        self._handle.update(_Picture(self._tally.progress(), is_over=True))


@attrs.frozen
class _Picture:
    """What the front end shows: HTML where it can, a line of text where not."""

    progress: Progress
    is_over: bool

    def _repr_html_(self) -> str:
        return html_of(self.progress, is_over=self.is_over)

    def __repr__(self) -> str:
        return text_of(self.progress)


def text_of(progress: Progress) -> str:
    """Return how things stand, in one line."""
    return ", ".join(sums(progress, is_over=True) + [text for _, text in states(progress)])


def html_of(progress: Progress, *, is_over: bool) -> str:
    """Return how things stand; when it is over, without what was only of interest until then."""
    parts = [f"<div>{escape(' · '.join(sums(progress, is_over=is_over)))}</div>", _kinds(progress), _states(progress)]
    slow = [row for row in progress.slowest if row.seconds(progress.now) >= _SLOW_S]
    if slow and not is_over:
        rows = [
            _LEFT.format(escape(words(row.kind)))
            + _LEFT.format(f"<code>{escape(row.label)}</code>")
            + _LEFT.format(row.state)
            + _RIGHT.format(numbers.duration(row.seconds(progress.now)))
            for row in slow
        ]
        parts.append(_table(rows, "slowest"))
    if progress.errors:
        rows = [
            _LEFT.format(escape(words(one.kind)))
            + _LEFT.format(f"<code>{escape(one.label)}</code>")
            + _LEFT.format(f'<span style="color:{_COLOURS["failed"]}">{escape(one.text)}</span>')
            for one in progress.errors
        ]
        parts.append(_table(rows, "last errors"))
    return f'<div style="font-variant-numeric:tabular-nums">{"".join(parts)}</div>'


def _kinds(progress: Progress) -> str:
    rows = []
    for kind in progress.kinds:
        total, ended = kind.total, kind.ended
        bar = "" if not total else f'<progress max="{total}" value="{min(ended, total)}"></progress>'
        rows.append(
            _LEFT.format(escape(words(kind.name)))
            + _LEFT.format(bar)
            + _RIGHT.format(f"{ended:,} of {total:,}" if total else f"{ended:,}")
            + _RIGHT.format(numbers.size(kind.bytes) if kind.bytes else "")
        )
    return _table(rows, "")


def _states(progress: Progress) -> str:
    parts = [
        f'<span style="color:{_COLOURS[state]}">{text}</span>' if state in _COLOURS else text
        for state, text in states(progress)
    ]
    return f"<div>{' · '.join(parts)}</div>" if parts else ""


def _table(rows: list[str], caption: str) -> str:
    if not rows:
        return ""
    head = f"<div><small>{caption}</small></div>" if caption else ""
    return f'{head}<table style="margin:0.3em 0">{"".join(map(_ROW.format, rows))}</table>'
