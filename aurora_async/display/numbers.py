"""Numbers as people read them: 1,440 and 376.7 kB and 1 min 05 s. Decimal units, as AuroraX's own clients print."""

from __future__ import annotations

__all__ = ["count", "duration", "frequency", "plural", "rate", "rough", "size"]


def count(number: int) -> str:
    """1440 → `1,440`."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Count something: `1 record`, `1,440 records`, `2 searches`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def size(number: float) -> str:
    """376747 → `376.7 kB`."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:,.1f} TB"


def rate(number: float, seconds: float) -> str:
    """Bytes in seconds → `2.1 MB/s`."""
    return f"{size(number / seconds)}/s" if seconds > 0 else "0 B/s"


def duration(seconds: float) -> str:
    """65.2 → `1 min 05 s`; tenths below a minute, since searches are often that short."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def frequency(per_s: float) -> str:
    """Events a second → `38.2/s`, and those that are rarer a minute or an hour: `4.5/min`."""
    for each, unit in ((1, "s"), (60, "min")):
        if per_s * each >= 0.95:
            return f"{per_s * each:,.{0 if per_s * each >= 99.95 else 1}f}/{unit}"
    return f"{per_s * 3600:.1f}/h"


def rough(seconds: float) -> str:
    """Write an estimate, which promises no more than it knows: `10 s`, `3 min 20 s`, `25 min`, `2 h 10 min`."""
    if seconds < 595:
        tens = max(round(seconds / 10), 1) * 10
        return f"{tens} s" if tens < 60 else f"{tens // 60} min" + (f" {tens % 60} s" if tens % 60 else "")
    if seconds < 3570:
        return f"{round(seconds / 60)} min"
    tens = round(seconds / 600) * 10
    return f"{tens // 60:,} h" + (f" {tens % 60} min" if tens % 60 else "")
