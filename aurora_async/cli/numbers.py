"""Numbers as people read them: 1,440 and 376.7 kB and 1 min 05 s. Decimal units, as AuroraX's own clients print."""

from __future__ import annotations

__all__ = ["count", "duration", "plural", "rate", "size"]


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
