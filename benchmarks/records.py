"""Ephemeris records as AuroraX writes them, from a seed."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

__all__ = ["RECORDS_A_BLOCK", "block", "few", "made_by_others"]

RECORDS_A_BLOCK = 1440


@cache
def block() -> bytes:
    """Return a day of records as JSON, without the list's brackets: about 840 kB."""
    return json.dumps(_records(RECORDS_A_BLOCK), separators=(",", ":")).encode()[1:-1]


def few(count: int) -> bytes:
    """Return a whole result of so many records."""
    return json.dumps({"result": _records(count)}, separators=(",", ":")).encode()


def _records(count: int) -> list[dict[str, Any]]:
    random = Random(2019)
    source = {
        "identifier": 3,
        "program": "swarm",
        "platform": "swarma",
        "instrument_type": "footprint",
        "source_type": "leo",
        "display_name": "Swarm A",
    }

    def place() -> dict[str, float]:
        return {"lat": round(random.uniform(-90, 90), 6), "lon": round(random.uniform(-180, 180), 6)}

    return [
        {
            "data_source": source,
            "epoch": f"2019-01-01T{minute // 60 % 24:02d}:{minute % 60:02d}:00",
            "location_geo": place(),
            "location_gsm": place(),
            "nbtrace": place(),
            "sbtrace": {"lat": None, "lon": None},
            "metadata": {
                "radial_distance": random.uniform(6800, 6900),
                "nbtrace_region": random.choice(["low latitude", "mid latitude", "north polar cap"]),
                "sbtrace_region": random.choice(["low latitude", "mid latitude", "south polar cap"]),
                "spacecraft_region": random.choice(["dayside plasmasphere", "nightside plasmasphere"]),
                "state": "definitive",
            },
        }
        for minute in range(count)
    ]


def made_by_others() -> Any:
    """Return what makes a typed record of a decoded one, as one writes it without a library for that."""
    from dataclasses import dataclass
    from datetime import datetime

    @dataclass(slots=True)
    class Location:
        lat: float | None
        lon: float | None

    @dataclass(slots=True)
    class Source:
        identifier: int
        program: str
        platform: str
        instrument_type: str
        source_type: str
        display_name: str

    @dataclass(slots=True)
    class Record:
        data_source: Source
        epoch: datetime
        location_geo: Location
        location_gsm: Location
        nbtrace: Location
        sbtrace: Location
        metadata: dict[str, Any]

    def typed(plain: dict[str, Any]) -> Record:
        return Record(
            Source(**plain["data_source"]),
            datetime.fromisoformat(plain["epoch"]),
            Location(**plain["location_geo"]),
            Location(**plain["location_gsm"]),
            Location(**plain["nbtrace"]),
            Location(**plain["sbtrace"]),
            plain["metadata"],
        )

    return typed
