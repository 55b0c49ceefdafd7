"""Numbers and durations in the words that the official program uses."""

from __future__ import annotations

__all__ = ["about", "bytes_of", "commas", "duration"]

_PREFIXES = "kMGTPEZYRQ"


def commas(number: int | None) -> str:
    """1440 → `1,440`; a dash for what is not known."""
    return "-" if number is None else f"{number:,}"


def bytes_of(size: int | None) -> str:
    """376747 → `376.7 kB`."""
    if size is None:
        return "-"
    if size < 1000:
        return f"{size} Byte{'' if size == 1 else 's'}"
    powers = range(1, len(_PREFIXES) + 1)
    # By what is shown: 999,999 bytes are 1.0 MB, not 1000.0 kB.
    power = next((power for power in powers if round(size / 1000**power, 1) < 1000), powers[-1])
    return f"{size / 1000**power:.1f} {_PREFIXES[power - 1]}B"


def duration(milliseconds: float | None) -> str:
    """65200 → `1 minute and 5.20 seconds`."""
    if milliseconds is None:
        return "-"
    total = float(f"{milliseconds / 1000:.2f}")  # rounded first: 59.999 s are a minute, not 60 seconds
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = [
        _counted(str(count), unit) for count, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")) if count
    ]
    text = f"{seconds:.2f}".removesuffix(".00")
    if text != "0" or not parts:
        parts.append(_counted(text, "second"))
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def about(seconds: float) -> str:
    """65.2 → `a minute`: the largest unit alone."""
    if seconds < 1:
        return "a moment"
    if seconds < 60:
        return "a second" if seconds < 2 else f"{int(seconds)} seconds"
    minutes, hours = round(int(seconds) / 60), round(int(seconds) / 3600)
    if minutes < 60:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 24:
        return "an hour" if hours == 1 else f"{hours} hours"
    days = max(int(seconds) // 86400, 1)
    return "a day" if days == 1 else f"{days} days"


def _counted(number: str, unit: str) -> str:
    return f"{number} {unit}{'' if number == '1' else 's'}"
