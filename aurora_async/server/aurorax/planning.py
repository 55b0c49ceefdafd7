"""From a query to the task that answers it: which data sources it means, where they are, how much work it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from aurora_async.aurorax.models import (
    ConjunctionQuery,
    CriteriaBlock,
    CustomLocationsBlock,
    DataProductQuery,
    EphemerisQuery,
    Query,
)
from aurora_async.aurorax.wire import KINDS
from aurora_async.server.aurorax.filtering import matches_criteria
from aurora_async.server.aurorax.records import Record, source_record
from aurora_async.server.aurorax.searching import SearchTask
from aurora_async.server.aurorax.sources import DataSources
from aurora_async.server.days import DayCache

__all__ = ["Planner"]

_SMALL_SOURCE_DAYS = 120
"""A search that goes through no more days of data sources than this takes milliseconds once they are computed."""
_SMALL_MISSING_DAYS = 2
"""Days that a small search may have to compute (half a second each) before it counts as a large one."""


class Planner:
    """Plans searches over the data sources as they are at the moment.

    Args:
        sources: The data sources; borrowed.
        days_folder: Where computed days are.
        database: Where uploaded records are.
    """

    def __init__(self, sources: DataSources, days_folder: Path, database: Path) -> None:
        self._sources = sources
        self._days = DayCache(days_folder)
        self._database = database
        self.files_root: str | None = None
        """Where the addresses of data products are to lead; None means to where they are published."""
        self._matches: dict[object, tuple[int, ...]] = {}
        self._basic: dict[int, Record] = {}
        self._known_version = -1

    def plan(self, query: Query, document: Mapping[str, Any], request_id: str, path: Path) -> SearchTask:
        """Say what has to be done for a query."""
        kind = next(kind for kind in KINDS.values() if isinstance(query, kind.query_type))
        places: dict[int, tuple[float, float]] = {}
        blocks: dict[str, tuple[int, ...]] = {}
        if isinstance(query, ConjunctionQuery):
            for name, block in query.blocks.items():
                if isinstance(block, CustomLocationsBlock):
                    found, _ = self._sources.custom(block.locations)
                    blocks[name] = tuple(record["identifier"] for record in found.values())
                    for place, record in found.items():
                        assert place.lat is not None and place.lon is not None
                        places[record["identifier"]] = (place.lat, place.lon)
                else:
                    blocks[name] = self.matching(block)
        else:
            blocks["data_sources"] = self.matching(query)
        named = {one for identifiers in blocks.values() for one in identifiers}
        of_products = isinstance(query, DataProductQuery)
        changed = self._sources.changed_products if of_products else self._sources.changed_ephemeris
        task = SearchTask(
            request_id=request_id,
            kind=kind.name,
            query=query,
            document=document,
            blocks=blocks,
            sources={one: self._basic_record(one) for one in named},
            places=places,
            changed=frozenset(changed & named),
            database=self._database,
            path=path,
            files_root=self.files_root,
        )
        return attrs.evolve(task, is_small=_is_small(task, self._days))

    def matching(self, criteria: CriteriaBlock | EphemerisQuery | DataProductQuery) -> tuple[int, ...]:
        """Return the data sources that a block means, by identifier."""
        self._look_at_version()
        key = (criteria.programs, criteria.platforms, criteria.instrument_types)
        if (found := self._matches.get(key)) is None:
            records = self._sources.all()
            found = tuple(record["identifier"] for record in records if matches_criteria(record, criteria))
            if len(self._matches) > 1000:
                self._matches.clear()
            self._matches[key] = found
        return found

    def _basic_record(self, identifier: int) -> Record:
        self._look_at_version()
        if (found := self._basic.get(identifier)) is None:
            record = self._sources.get(identifier)
            assert record is not None
            found = self._basic[identifier] = source_record(record)
        return found

    def _look_at_version(self) -> None:
        if self._known_version != self._sources.version:
            self._known_version = self._sources.version
            self._matches.clear()
            self._basic.clear()


def _is_small(task: SearchTask, days: DayCache) -> bool:
    """Tell whether a search takes milliseconds: it goes through few days, nearly all of which are computed."""
    span = (task.query.end - task.query.start).days + 1
    if span * sum(map(len, task.blocks.values())) > _SMALL_SOURCE_DAYS:
        return isinstance(task.query, DataProductQuery) and span < 400
    missing = 0
    for identifier, day, north, south in task.days_needed():
        missing += not days.has(identifier, day, north=north, south=south)
        if missing > _SMALL_MISSING_DAYS:
            return False
    return True
