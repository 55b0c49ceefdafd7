"""Conjunctions, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aurora_async.compat.pyaurorax._module_form import STANDARD_POLLING_SLEEP_TIME, aurorax, submitting
from aurora_async.compat.pyaurorax._searching import do
from aurora_async.compat.pyaurorax.search.conjunctions import (
    CONJUNCTION_TYPE_NBTRACE,
    CONJUNCTION_TYPE_SBTRACE,
    Conjunction,
    ConjunctionSearch,
    Distance,
    EventsBlocks,
    GroundBlocks,
    SpaceBlocks,
)

__all__ = [
    "CONJUNCTION_TYPE_NBTRACE",
    "CONJUNCTION_TYPE_SBTRACE",
    "DEFAULT_CONJUNCTION_DISTANCE",
    "Conjunction",
    "Search",
    "search",
    "search_async",
]
__dir__ = __all__.copy

DEFAULT_CONJUNCTION_DISTANCE = 300


class Search(ConjunctionSearch):
    """A search for conjunctions, step by step; `epoch_search_precision` below 60 s looks between the minutes too."""

    def __init__(
        self,
        start: datetime,
        end: datetime,
        distance: Distance,
        ground: GroundBlocks = (),
        space: SpaceBlocks = (),
        events: EventsBlocks = (),
        conjunction_types: Sequence[str] = (CONJUNCTION_TYPE_NBTRACE,),
        epoch_search_precision: int = 60,
        response_format: dict[str, Any] | None = None,
    ) -> None:
        """Make a search; nothing is sent before `execute`."""
        super().__init__(
            aurorax(), start, end, distance, ground, space, events, (), conjunction_types, response_format,
            subminute_precision=True if epoch_search_precision < 60 else None,
        )  # fmt: skip
        self.epoch_search_precision = epoch_search_precision


def search(
    start: datetime,
    end: datetime,
    distance: Distance,
    ground: GroundBlocks = (),
    space: SpaceBlocks = (),
    events: EventsBlocks = (),
    conjunction_types: Sequence[str] = (CONJUNCTION_TYPE_NBTRACE,),
    epoch_search_precision: int = 60,
    response_format: dict[str, Any] | None = None,
    poll_interval: float = STANDARD_POLLING_SLEEP_TIME,
    return_immediately: bool = False,
    verbose: bool = False,
) -> Search:
    """Search, wait, and return the search with its records in `data`."""
    made = Search(
        start, end, distance, ground, space, events, conjunction_types, epoch_search_precision, response_format
    )
    return do(made, poll_interval, return_immediately, verbose)


search_async = submitting(Search)
