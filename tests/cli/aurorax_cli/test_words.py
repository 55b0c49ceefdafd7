"""Numbers as the official program writes them; the facts are what humanize 4.17 gives it."""

from __future__ import annotations

import pytest

from aurora_async.cli.aurorax_cli.words import about, bytes_of, commas, duration


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 Bytes"), (1, "1 Byte"), (5, "5 Bytes"), (999, "999 Bytes"), (1000, "1.0 kB"), (376747, "376.7 kB"),
        (999_949, "999.9 kB"), (999_999, "1.0 MB"), (8_333_523, "8.3 MB"), (123_456_789_012, "123.5 GB"),
        (10**15, "1.0 PB"), (None, "-"),
    ],
)  # fmt: skip
def test_sizes(size: int | None, text: str) -> None:
    """Decimal units, one digit."""
    assert bytes_of(size) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 seconds"), (1, "0 seconds"), (5, "0.01 seconds"), (325, "0.33 seconds"), (999, "1 second"),
        (1500, "1.50 seconds"), (1999, "2 seconds"), (59_999, "1 minute"), (61_000, "1 minute and 1 second"),
        (65_200, "1 minute and 5.20 seconds"), (119_999, "2 minutes"), (3_600_000, "1 hour"),
        (3_661_500, "1 hour, 1 minute and 1.50 seconds"), (90_061_001, "1 day, 1 hour, 1 minute and 1 second"),
        (None, "-"),
    ],
)  # fmt: skip
def test_durations(milliseconds: int | None, text: str) -> None:
    """Rounded to hundredths before they are taken apart."""
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "a moment"), (0.999, "a moment"), (1, "a second"), (1.6, "a second"), (59.6, "59 seconds"),
        (60, "a minute"), (89, "a minute"), (90, "2 minutes"), (150, "2 minutes"), (3540, "59 minutes"),
        (3599, "an hour"), (5399, "an hour"), (5400, "2 hours"), (86_399, "a day"), (172_800, "2 days"),
    ],
)  # fmt: skip
def test_rough_durations(seconds: float, text: str) -> None:
    """The largest unit alone."""
    assert about(seconds) == text


def test_counts() -> None:
    """With commas; a dash for what is not known."""
    assert (commas(1440), commas(11712947), commas(None)) == ("1,440", "11,712,947", "-")
