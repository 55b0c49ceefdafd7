"""Published facts, and the one Swarm day that several tests look at."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurora_async.server.sky.ephemeris import DayEphemeris, compute_day

FACTS = Path(__file__).parents[2] / "facts"


@pytest.fixture(scope="session")
def fact() -> Callable[[str], Any]:
    """Read a file of tests/facts."""
    return lambda name: json.loads((FACTS / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def swarm_day() -> dict[int, DayEphemeris]:
    """Swarm A, B and C on 2020-01-01, both traces."""
    return {identifier: compute_day(identifier, dt.date(2020, 1, 1)) for identifier in (3, 29, 30)}
