"""Raw packets that nobody has sent: one of each kind every ten minutes, the same whenever they are asked for.

A packet is a CCSDS space packet with its spacecraft time as secondary header. It reaches the ground twenty minutes
after it was made; there are none of the future.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from aurora_async.imap.vocabulary import APIDS, BUFFERS_MIN, REPOINTED
from aurora_async.server.imap.moments import CLOCK_ZERO, midnight

__all__ = ["DELAY_S", "MANOEUVRE_S", "known_apids", "packets", "raw_file", "times"]

DELAY_S = 1200
"""From when a packet is made to when it is received."""
MANOEUVRE_S = 900
"""How long the spacecraft turns, at the beginning of each day."""

_EVERY_S = 600
_NOTE = b"made up "


def known_apids() -> frozenset[int]:
    """Return the application identifiers that any instrument has."""
    return frozenset(apid for apids in APIDS.values() for apid in apids)


def times(apid: int, start_s: float, end_s: float) -> Sequence[int]:
    """Return when packets were made from one instant to another (seconds since 1970, the end excluded)."""
    offset = apid % _EVERY_S
    end_s = min(end_s, time.time() - DELAY_S)
    first = -int(-(start_s - offset) // _EVERY_S)
    last = -int(-(end_s - offset) // _EVERY_S)
    return range(first * _EVERY_S + offset, last * _EVERY_S + offset, _EVERY_S)


def packets(apid: int, start_s: float, end_s: float, *, version: int = 1) -> Iterator[bytes]:
    """Yield the packets of that time; those of another version have other contents."""
    salt = "" if version == 1 else f" {version}"
    for made_s in times(apid, start_s, end_s):
        body = _NOTE + hashlib.sha256(f"{apid} {made_s}{salt}".encode()).digest()
        clock_s = made_s - int(CLOCK_ZERO.timestamp())
        data = struct.pack(">I", clock_s) + body
        # Version 0, telemetry with a secondary header; unsegmented, numbered; the length is that of the data less one.
        yield struct.pack(">HHH", 0x0800 | apid, 0xC000 | (made_s // _EVERY_S) % 0x4000, len(data) - 1) + data


def raw_file(instrument: str, day: date, *, version: int = 1) -> bytes:
    """Return what an instrument's file of a day, or of the pointing that begins on it, holds."""
    start = midnight(day)
    if instrument in REPOINTED:
        start += timedelta(seconds=MANOEUVRE_S)
    buffer_s = BUFFERS_MIN.get(instrument, 0) * 60
    start_s = start.timestamp() - buffer_s
    end_s = (start + timedelta(days=1)).timestamp() + buffer_s
    apids = APIDS.get(instrument, ())
    return b"".join(packet for apid in apids for packet in packets(apid, start_s, end_s, version=version))
