"""Conjunctions: when footprints of data sources came close to one another."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, overload

import attrs

from aurora_async.aurorax import models
from aurora_async.aurorax.distances import max_distances
from aurora_async.aurorax.wire import KINDS, decode_query, query_document, read_query
from aurora_async.compat.pyaurorax._errors import their_errors
from aurora_async.compat.pyaurorax._plain import as_list, naive, plain
from aurora_async.compat.pyaurorax._printing import Printed, counted
from aurora_async.compat.pyaurorax._searching import KindManager, Search, do
from aurora_async.compat.pyaurorax.exceptions import AuroraXBadParametersError
from aurora_async.compat.pyaurorax.search.metadata_filters import MetadataFilter, filter_document
from aurora_async.compat.pyaurorax.search.sources import FORMAT_BASIC_INFO, DataSource
from aurora_async.times import end_of, start_of, to_wire

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = [
    "CONJUNCTION_TYPE_GEOGRAPHIC",
    "CONJUNCTION_TYPE_NBTRACE",
    "CONJUNCTION_TYPE_SBTRACE",
    "Conjunction",
    "ConjunctionSearch",
    "ConjunctionsManager",
    "CustomLocationsCriteriaBlock",
    "EventsCriteriaBlock",
    "GroundCriteriaBlock",
    "SpaceCriteriaBlock",
    "SwarmAuroraManager",
]
__dir__ = __all__.copy

CONJUNCTION_TYPE_NBTRACE = "nbtrace"
CONJUNCTION_TYPE_SBTRACE = "sbtrace"
CONJUNCTION_TYPE_GEOGRAPHIC = "geographic"


# Criteria blocks ----------------------------------------------------------------------------------------------------


class _CriteriaBlock(Printed):
    """A block as an object; a dictionary with the service's own keys does as well."""

    def to_search_query_dict(self) -> dict[str, Any]:
        """Return the block as a query has it."""
        return _block_document(vars(self))


@attrs.define(slots=False, eq=False)
class GroundCriteriaBlock(_CriteriaBlock):
    """Ground instruments, such as all-sky imagers; an empty list does not restrict."""

    programs: list[str] = attrs.field(factory=list)
    platforms: list[str] = attrs.field(factory=list)
    instrument_types: list[str] = attrs.field(factory=list)
    metadata_filters: MetadataFilter | None = None


@attrs.define(slots=False, eq=False)
class SpaceCriteriaBlock(_CriteriaBlock):
    """Spacecraft; `hemisphere` is any of northern and southern, and means where the spacecraft is."""

    programs: list[str] = attrs.field(factory=list)
    platforms: list[str] = attrs.field(factory=list)
    instrument_types: list[str] = attrs.field(factory=list)
    hemisphere: list[Literal["northern", "southern"]] = attrs.field(factory=list)
    metadata_filters: MetadataFilter | None = None


@attrs.define(slots=False, eq=False)
class EventsCriteriaBlock(_CriteriaBlock):
    """Lists of events, such as substorm onsets."""

    platforms: list[str] = attrs.field(factory=list)
    instrument_types: list[str] = attrs.field(factory=list)
    metadata_filters: MetadataFilter | None = None

    def to_search_query_dict(self) -> dict[str, Any]:
        """Return the block as a query has it; its program is always `events`."""
        return super().to_search_query_dict() | {"programs": ["events"]}


@attrs.define(slots=False, eq=False)
class CustomLocationsCriteriaBlock(_CriteriaBlock):
    """Places of the user's own, as (lat, lon) pairs in geodetic degrees."""

    locations: list[tuple[float, float]] = attrs.field(factory=list)

    def to_search_query_dict(self) -> dict[str, Any]:
        """Return the block as a query has it."""
        return _places_document(vars(self))


def _block_document(block: Mapping[str, Any]) -> dict[str, Any]:
    document = {name: plain(value) for name, value in block.items()}
    for name in ("metadata_filters", "ephemeris_metadata_filters"):
        if name in document:
            document["ephemeris_metadata_filters"] = filter_document(document.pop(name)) or None
    return document


def _places_document(block: Mapping[str, Any]) -> dict[str, Any]:
    return {**block, "locations": [_place_document(place) for place in as_list(block.get("locations"))]}


def _place_document(place: Any) -> Any:
    document = plain(place)
    return dict(zip(("lat", "lon"), document, strict=False)) if isinstance(document, list) else document


def _documents(field: str, blocks: Any, kind: type[_CriteriaBlock]) -> list[dict[str, Any]]:
    """Return blocks of one kind, in whatever mix they are given, as a query has them."""
    documents = []
    for number, block in enumerate(as_list(blocks)):
        if isinstance(block, kind):
            documents.append(block.to_search_query_dict())
        elif isinstance(block, Mapping):
            as_document = _places_document if kind is CustomLocationsCriteriaBlock else _block_document
            documents.append(as_document(block))
        else:
            raise AuroraXBadParametersError(f"{field}[{number}]: {block!r} is neither a {kind.__name__} nor a dict")
    return documents


# Records ------------------------------------------------------------------------------------------------------------


@attrs.define(slots=False, eq=False, repr=False)
class Conjunction(Printed):
    """When data sources, one of each criteria block, were close (UTC); distances are km.

    `events` holds the conjunctions pair by pair, as dictionaries.
    """

    conjunction_type: str
    start: datetime
    end: datetime
    data_sources: list[DataSource]
    min_distance: float
    max_distance: float
    events: list[dict[str, Any]]
    closest_epoch: datetime
    farthest_epoch: datetime

    def __repr__(self) -> str:
        distances = f"min_distance={self.min_distance:.2f}, max_distance={self.max_distance:.2f}"
        return f"Conjunction(start={self.start!r}, end={self.end!r}, {distances}, data_sources=[...], events=[...])"

    def _rows(self) -> dict[str, object]:
        shortened = {
            "data_sources": counted(len(self.data_sources), "data source"),
            "events": counted(len(self.events), "event"),
        }
        return vars(self) | shortened


def _event(pair: models.PairConjunction) -> dict[str, Any]:
    return {
        "conjunction_type": pair.conjunction_type,
        "e1_source": _source(pair.e1_source),
        "e2_source": _source(pair.e2_source),
        "start": naive(pair.start),
        "end": naive(pair.end),
        "min_distance": pair.min_distance,
        "max_distance": pair.max_distance,
        "generated_e1_ephemeris_query": pair.generated_e1_ephemeris_query,
        "generated_e2_ephemeris_query": pair.generated_e2_ephemeris_query,
    }


def _source(source: models.DataSource) -> dict[str, Any]:
    return attrs.asdict(source, filter=lambda _, value: value is not None)


# Searches -----------------------------------------------------------------------------------------------------------

GroundBlocks = Sequence[GroundCriteriaBlock | dict[str, Any]]
SpaceBlocks = Sequence[SpaceCriteriaBlock | dict[str, Any]]
EventsBlocks = Sequence[EventsCriteriaBlock | dict[str, Any]]
CustomLocationsBlocks = Sequence[CustomLocationsCriteriaBlock | dict[str, Any]]
Distance = float | Mapping[str, float | None]


class ConjunctionSearch(Search[Conjunction]):
    """A search for conjunctions between data sources of two to ten criteria blocks, in whatever mix they are given."""

    _kind = "conjunctions"
    _noun = "conjunction"
    _name = "ConjunctionSearch"
    _record_type: ClassVar[type[Conjunction]] = Conjunction

    def __init__(
        self,
        aurorax_obj: PyAuroraX,
        start: datetime,
        end: datetime,
        distance: Distance,
        ground: GroundBlocks = (),
        space: SpaceBlocks = (),
        events: EventsBlocks = (),
        custom_locations: CustomLocationsBlocks = (),
        conjunction_types: Sequence[str] = (CONJUNCTION_TYPE_NBTRACE,),
        response_format: dict[str, Any] | None = None,
        subminute_precision: bool | None = None,
    ) -> None:
        """Make a search; nothing is sent before `execute`."""
        self.start = start
        self.end = end
        self.ground = as_list(ground)
        self.space = as_list(space)
        self.events = as_list(events)
        self.custom_locations = as_list(custom_locations)
        self._distance = distance
        self.conjunction_types = as_list(conjunction_types)
        self.subminute_precision = subminute_precision
        self._blocks()  # what is no block is refused here, where the traceback shows who gave it
        super().__init__(aurorax_obj, response_format)

    @property
    def distance(self) -> dict[str, float | None]:
        """Largest separation in km for every pair of blocks there is now; None does not limit.

        May be set to one number for all pairs, or to a dictionary of some: `{"ground1-space1": 500}`.
        """
        if not isinstance(self._distance, Mapping):
            return self.get_advanced_distances_combos(self._distance)
        pairs = self.get_advanced_distances_combos()
        by_sides = {frozenset(pair.split("-")): pair for pair in pairs}
        for name, limit in self._distance.items():
            sides = frozenset(side.strip().replace("custom", "adhoc") for side in str(name).split("-"))
            # A pair that is none is kept, so that it is refused instead of being forgotten.
            pairs[by_sides.get(sides, name)] = limit
        return pairs

    @distance.setter
    def distance(self, distance: Distance) -> None:
        self._distance = distance

    def get_advanced_distances_combos(self, default_distance: float | None = None) -> dict[str, float | None]:
        """Return all pairs of this search's blocks, each with `default_distance`."""
        return _pairs(default_distance, *self._counts())

    def check_criteria_block_count_validity(self) -> None:
        """Raise `AuroraXBadParametersError` when there are more blocks than the service takes."""
        count = sum(self._counts())
        if count > models.MAX_BLOCKS:
            raise AuroraXBadParametersError(
                f"Number of criteria blocks exceeds {models.MAX_BLOCKS}, please reduce the count (it is {count})"
            )

    @property
    def query(self) -> dict[str, Any]:
        """The query document, made from the attributes as they are now."""
        with their_errors():
            start, end = to_wire(start_of(self.start)), to_wire(end_of(self.end))
        query = {
            "start": start,
            "end": end,
            **self._blocks(),
            "conjunction_types": plain(self.conjunction_types),
            "max_distances": plain(self.distance),
        }
        if self.subminute_precision is not None:
            query["subminute_precision"] = self.subminute_precision
        return query

    def _blocks(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "ground": _documents("ground", self.ground, GroundCriteriaBlock),
            "space": _documents("space", self.space, SpaceCriteriaBlock),
            "events": _documents("events", self.events, EventsCriteriaBlock),
            "adhoc": _documents("custom_locations", self.custom_locations, CustomLocationsCriteriaBlock),
        }

    def _counts(self) -> list[int]:
        return [len(as_list(blocks)) for blocks in (self.ground, self.space, self.events, self.custom_locations)]

    def _check(self) -> None:
        self.check_criteria_block_count_validity()

    def _record(self, record: models.Conjunction) -> Conjunction:
        return self._record_type(
            conjunction_type=record.conjunction_type,
            start=naive(record.start),
            end=naive(record.end),
            data_sources=[DataSource._of(source, FORMAT_BASIC_INFO) for source in record.data_sources],
            min_distance=record.min_distance,
            max_distance=record.max_distance,
            events=[_event(pair) for pair in record.events],
            closest_epoch=naive(record.closest_epoch),
            farthest_epoch=naive(record.farthest_epoch),
        )


class ConjunctionsManager(KindManager[ConjunctionSearch]):
    """Searches for conjunctions; `swarmaurora` shows their results elsewhere."""

    _kind = "conjunctions"

    @property
    def swarmaurora(self) -> SwarmAuroraManager:
        """What Swarm-Aurora can do with a search."""
        return SwarmAuroraManager(self._aurorax_obj)

    def search(
        self,
        start: datetime,
        end: datetime,
        distance: Distance,
        ground: GroundBlocks = (),
        space: SpaceBlocks = (),
        events: EventsBlocks = (),
        custom_locations: CustomLocationsBlocks = (),
        conjunction_types: Sequence[str] = (),
        subminute_precision: bool | None = None,
        response_format: dict[str, Any] | None = None,
        poll_interval: float = 1.0,
        return_immediately: bool = False,
        verbose: bool = False,
    ) -> ConjunctionSearch:
        """Search, wait, and return the search with its records in `data`.

        Args:
            start, end: Time range, both inclusive; naive datetimes are UTC.
            distance: Largest separation in km, one for all pairs of blocks, or by pair: `{"ground1-space1": 500}`.
            ground, space, events, custom_locations: Criteria blocks, 2 to 10 in all, as objects or dictionaries.
            conjunction_types: Any of `CONJUNCTION_TYPE_*`; none means nbtrace.
            subminute_precision: Look between the whole minutes too.
            response_format: Records are dictionaries with just that; see `create_response_format_template`.
            poll_interval: Seconds between two looks; the first ones are sooner.
            return_immediately: Whether to return as soon as it is submitted.
            verbose: Whether to print every step.
        """
        search = ConjunctionSearch(
            self._aurorax_obj, start, end, distance, ground, space, events, custom_locations, conjunction_types,
            response_format, subminute_precision,
        )  # fmt: skip
        return do(search, poll_interval, return_immediately, verbose)

    def search_from_raw_query(
        self,
        query: dict[str, Any] | str,
        poll_interval: float = 1.0,
        return_immediately: bool = False,
        verbose: bool = False,
    ) -> ConjunctionSearch:
        """Make the search that a query document asks, as the web site shows it or a status tells it, and return it."""
        kind = KINDS["conjunctions"]
        with their_errors():
            asked = read_query(query, kind) if isinstance(query, str) else decode_query(plain(query), kind)
        given = cast(models.ConjunctionQuery, asked)
        document = query_document(given)
        search = ConjunctionSearch(
            self._aurorax_obj,
            naive(given.start),
            naive(given.end),
            document["max_distances"],
            ground=document["ground"],
            space=document["space"],
            events=document["events"],
            custom_locations=document["adhoc"],
            conjunction_types=document["conjunction_types"],
            subminute_precision=given.subminute_precision or None,
        )
        return do(search, poll_interval, return_immediately, verbose)

    def create_advanced_distance_combos(
        self, distance: float | None = None, ground: int = 0, space: int = 0, events: int = 0, custom: int = 0
    ) -> dict[str, float | None]:
        """Return all pairs of so many blocks, each with `distance`."""
        with their_errors():
            return _pairs(distance, ground, space, events, custom)


def _pairs(distance: float | None, ground: int, space: int, events: int, custom: int) -> dict[str, float | None]:
    pairs = max_distances(distance, ground=ground, space=space, events=events, custom_locations=custom)
    return {pair.replace("custom", "adhoc"): limit for pair, limit in pairs.items()}


# Swarm-Aurora -------------------------------------------------------------------------------------------------------


class SwarmAuroraManager:
    """Shows the result of a search at Swarm-Aurora; our API key does not go there."""

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self._aurorax_obj = aurorax_obj

    def get_url(self, search_obj: ConjunctionSearch) -> str:
        """Return the address of the page that shows a search."""
        with self._aurorax_obj._client() as client:
            return str(client.conjunctions.swarmaurora_url(search_obj.request_id))

    def open_in_browser(self, search_obj: ConjunctionSearch, browser: str | None = None) -> None:
        """Open that page in the browser of this machine, or in one of those that `webbrowser.get` knows by name."""
        url = self.get_url(search_obj)
        try:
            webbrowser.get(using=browser).open_new_tab(url)
        except webbrowser.Error as error:
            raise AuroraXBadParametersError(f"browser {browser!r} was not found: {error}; {url}") from error

    @overload
    def create_custom_import_file(
        self, search_obj: ConjunctionSearch, filename: str | None = None, return_dict: Literal[False] = False
    ) -> str: ...
    @overload
    def create_custom_import_file(
        self, search_obj: ConjunctionSearch, filename: str | None = None, *, return_dict: Literal[True]
    ) -> list[dict[str, Any]]: ...
    def create_custom_import_file(
        self, search_obj: ConjunctionSearch, filename: str | None = None, return_dict: bool = False
    ) -> Any:
        """Write what Swarm-Aurora makes of a search to a file and return its name, or return it with `return_dict`."""
        with self._aurorax_obj._client() as client:
            if return_dict:
                return client.conjunctions.swarmaurora_import(search_obj.request_id)
            target = Path(filename or f"swarmaurora_custom_import_{search_obj.request_id}.json")
            return str(client.conjunctions.save_swarmaurora_import(search_obj.request_id, target))
