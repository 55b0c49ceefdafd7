"""What AuroraX is asked (queries) and what it answers (records). All frozen; a query that cannot be right is not built.

The records carry the service's own field names, so that JSON is decoded straight into them; distances are kilometres
between footprints, latitudes and longitudes are degrees, instants are aware UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from aurora_async.aurorax.filters import MetadataFilter, plain_number
from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.times import TimeLike, end_of, start_of, to_wire
from aurora_async.transfer.decoding import as_utc, block_wise, light
from aurora_async.transfer.tables import table

__all__ = [
    "CONJUNCTION_TYPES",
    "DATA_PRODUCT_TYPES",
    "HEMISPHERES",
    "MAX_BLOCKS",
    "MAX_EPHEMERIS_SPAN",
    "ROLES",
    "SOURCE_TYPES",
    "Conjunction",
    "ConjunctionQuery",
    "CriteriaBlock",
    "CustomLocationsBlock",
    "DataProduct",
    "DataProductQuery",
    "DataSource",
    "DataSourceStatistics",
    "Ephemeris",
    "EphemerisQuery",
    "EventsBlock",
    "GroundBlock",
    "Location",
    "PairConjunction",
    "Query",
    "SchemaField",
    "SpaceBlock",
    "check_distance",
    "check_one_request",
    "east_or_west",
    "make_aware",
]

CONJUNCTION_TYPES = ("nbtrace", "sbtrace", "geographic")
HEMISPHERES = ("northern", "southern")
DATA_PRODUCT_TYPES = (
    "keogram",
    "montage",
    "movie",
    "summary_plot",
    "data_availability",
    "average",
    "gridded_data",
)
SOURCE_TYPES = ("ground", "leo", "heo", "lunar", "event_list", "not_applicable")
ROLES = ("User", "Maintainer", "Owner", "Administrator")
"""What an account may do; each includes those before it."""
MAX_BLOCKS = 10
MAX_EPHEMERIS_SPAN = timedelta(days=31)

# What the service stores for "no limit", in km.
_BOUNDLESS_KM = 2**31


def _as_texts(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    # What is no list of texts is left to the validator, which knows the field's name.
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return tuple(map(plain_number, value if several else (value,)))


def _check_texts(instance: object, attribute: attrs.Attribute[tuple[str, ...]], values: tuple[str, ...]) -> None:
    for value in values:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise InvalidQuery(attribute.name, f"{value!r} is not a name")


def _check_choice(*allowed: str) -> Any:
    def check(instance: object, attribute: attrs.Attribute[tuple[str, ...]], values: tuple[str, ...]) -> None:
        for value in values:
            if value not in allowed:
                raise InvalidQuery(attribute.name, f"{value!r} is unknown; use one or more of {', '.join(allowed)}")

    return check


def _check_filter(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, MetadataFilter):
        raise InvalidQuery(attribute.name, f"{value!r} is not a MetadataFilter")


def _check_flag(instance: object, attribute: attrs.Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidQuery(attribute.name, f"{value!r} is neither True nor False")


def _as_flag(value: bool) -> bool:
    flag: bool = plain_number(value)
    return flag


def _as_filter(value: MetadataFilter | None) -> MetadataFilter | None:
    # A filter without expressions lets everything pass, as none does; the service makes no difference either.
    return None if isinstance(value, MetadataFilter) and not value.expressions else value


@attrs.frozen(kw_only=True)
class CriteriaBlock:
    """Which data sources a block of a query means: alternatives inside a list, all lists together.

    `programs`, `platforms` and `instrument_types` are names as AuroraX spells them (`themis-asi`, `fort smith`,
    `panchromatic ASI`); an empty list does not restrict. `metadata_filter` selects among their records.
    """

    programs: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    platforms: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    instrument_types: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    metadata_filter: MetadataFilter | None = attrs.field(default=None, converter=_as_filter, validator=_check_filter)

    @property
    def is_empty(self) -> bool:
        """True when nothing restricts the data sources or their records."""
        return not (self.programs or self.platforms or self.instrument_types or self.metadata_filter)


@attrs.frozen(kw_only=True)
class GroundBlock(CriteriaBlock):
    """Ground instruments, such as all-sky imagers."""

    kind: ClassVar[str] = "ground"


@attrs.frozen(kw_only=True)
class SpaceBlock(CriteriaBlock):
    """Spacecraft. `hemisphere` keeps the epochs with the spacecraft (not its footprint) over the named hemispheres."""

    kind: ClassVar[str] = "space"

    hemisphere: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_choice(*HEMISPHERES))

    @property
    def is_empty(self) -> bool:
        """True when nothing restricts the spacecraft or their records."""
        return super().is_empty and not self.hemisphere


@attrs.frozen(kw_only=True)
class EventsBlock(CriteriaBlock):
    """Lists of events, such as substorm onsets; each event has a place and a minute."""

    kind: ClassVar[str] = "events"

    programs: tuple[str, ...] = attrs.field(default=("events",), converter=_as_texts, validator=_check_texts)


@light
class Location:
    """A point in degrees, `lat` -90 to 90, `lon` -180 to 360; both None where there is none (an open field line)."""

    lat: float | None
    lon: float | None

    @property
    def exists(self) -> bool:
        """True when there is a point."""
        return self.lat is not None and self.lon is not None


if TYPE_CHECKING:
    _Place = Location
else:
    _Place = Location | None  # what the decoder lets through; the record then has a location without coordinates

_NOWHERE = Location(None, None)


def _as_place(place: Location | None) -> Location:
    return _NOWHERE if place is None else place


def _as_places(places: list[Location | None]) -> list[Location] | None:
    return None if all(places) else list(map(_as_place, places))


block_wise(_as_place, _as_places)


def east_or_west(lon: Any) -> Any:
    """Return a longitude of 180 to 360 degrees as the service describes it, from -180 to 0; all else as it is."""
    return lon - 360 if isinstance(lon, int | float) and 180 < lon <= 360 else lon


def _as_location(place: Any) -> Any:
    try:
        lat, lon = (place.lat, place.lon) if isinstance(place, Location) else place
        return Location(plain_number(lat), east_or_west(plain_number(lon)))
    except (TypeError, ValueError):  # no pair; refused below, where its index is known
        return place


def _as_locations(value: Iterable[Location | tuple[float, float]]) -> tuple[Location, ...]:
    return tuple(map(_as_location, value)) if isinstance(value, Iterable) else (value,)


@attrs.frozen(kw_only=True)
class CustomLocationsBlock:
    """Places of the user's own, as `Location`s or `(lat, lon)` pairs in geodetic degrees."""

    kind: ClassVar[str] = "custom"

    locations: tuple[Location, ...] = attrs.field(converter=_as_locations)

    def __attrs_post_init__(self) -> None:
        for index, place in enumerate(self.locations):
            if not isinstance(place, Location):
                raise InvalidQuery(f"locations[{index}]", f"{place!r} is neither a Location nor a (lat, lon) pair")
            for name, value, lowest, highest in (("lat", place.lat, -90, 90), ("lon", place.lon, -180, 360)):
                if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
                    allowed = f"must be a number of degrees from {lowest} to {highest}"
                    raise InvalidQuery(f"locations[{index}].{name}", f"{value!r} {allowed}")

    @property
    def is_empty(self) -> bool:
        """True when no place is given."""
        return not self.locations


def _as_blocks(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, Iterable) else (value,)


def _only(kind: type[Any]) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], blocks: tuple[Any, ...]) -> None:
        for index, block in enumerate(blocks):
            if not isinstance(block, kind):
                raise InvalidQuery(f"{attribute.name}[{index}]", f"{block!r} is not a {kind.__name__}")
            if block.is_empty:
                raise InvalidQuery(f"{attribute.name}[{index}]", "is empty: name at least one program or place")

    return check


_PAIR_SIDE = re.compile(r"(ground|space|events|custom|adhoc|custom_locations)([1-9]\d*)")


def _pair_side(text: str) -> str | None:
    match = _PAIR_SIDE.fullmatch(text.strip().lower())
    if match is None:
        return None
    kind = {"adhoc": "custom", "custom_locations": "custom"}.get(match[1], match[1])
    return kind + match[2]


class _Distances(Mapping[str, float | None]):
    """Limits by pair that cannot change under a frozen query, and, unlike a mapping proxy, can be pickled."""

    __slots__ = ("_by_pair",)

    def __init__(self, by_pair: Mapping[str, float | None]) -> None:
        self._by_pair = dict(by_pair)

    def __getitem__(self, pair: str) -> float | None:
        return self._by_pair[pair]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_pair)

    def __len__(self) -> int:
        return len(self._by_pair)

    def __repr__(self) -> str:
        return repr(self._by_pair)


def _as_distances(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {pair: plain_number(limit) for pair, limit in value.items()}
    return plain_number(value)


class _TimeLimited:
    """What every query has: a time range, both ends inclusive."""

    start: datetime
    end: datetime

    def _check_range(self) -> None:
        if self.end < self.start:
            raise InvalidQuery("end", f"{to_wire(self.end)} is before the start, {to_wire(self.start)}")

    @property
    def duration(self) -> timedelta:
        """`end - start`."""
        return self.end - self.start


def _query_time(convert: Callable[[TimeLike, str], datetime], when: TimeLike, field: str) -> datetime:
    try:
        return convert(when, field).replace(microsecond=0)  # the service counts whole seconds
    except InvalidInput as error:
        raise InvalidQuery(field, error.reason) from None


def _to_start(when: TimeLike) -> datetime:
    return _query_time(start_of, when, "start")


def _to_end(when: TimeLike) -> datetime:
    return _query_time(end_of, when, "end")


def _as_conjunction_types(value: str | Iterable[str] | None) -> tuple[str, ...]:
    return _as_texts(value) or ("nbtrace",)  # what the service takes an empty list for


@attrs.frozen(kw_only=True)
class ConjunctionQuery(_TimeLimited):
    """When did footprints of data sources from two or more criteria blocks come close?

    Args:
        start, end: Time range, both inclusive: datetimes (naive ones are UTC), dates, or texts that may be partial.
        ground, space, events, custom_locations: Criteria blocks, 2 to 10 in all. A conjunction takes one data source
            from each.
        max_distance_km: Largest separation in km, one for all pairs of blocks, or by pair of blocks:
            `{"ground1-space1": 500, "ground1-space2": None}`; None, or a pair that is left out, does not limit.
        conjunction_types: Which points must be close: `nbtrace`, `sbtrace` (footprints) or `geographic` (positions).
        subminute_precision: Look between the whole minutes too.

    Source: AuroraX API, POST api/v1/conjunctions/search.
    """

    start: datetime = attrs.field(converter=_to_start)
    end: datetime = attrs.field(converter=_to_end)
    # What the limits are for every pair, not how they were written, decides whether two queries are equal.
    max_distance_km: float | Mapping[str, float | None] = attrs.field(eq=False, converter=_as_distances)
    ground: tuple[GroundBlock, ...] = attrs.field(default=(), converter=_as_blocks, validator=_only(GroundBlock))
    space: tuple[SpaceBlock, ...] = attrs.field(default=(), converter=_as_blocks, validator=_only(SpaceBlock))
    events: tuple[EventsBlock, ...] = attrs.field(default=(), converter=_as_blocks, validator=_only(EventsBlock))
    custom_locations: tuple[CustomLocationsBlock, ...] = attrs.field(
        default=(), converter=_as_blocks, validator=_only(CustomLocationsBlock)
    )
    conjunction_types: tuple[str, ...] = attrs.field(
        default=("nbtrace",), converter=_as_conjunction_types, validator=_check_choice(*CONJUNCTION_TYPES)
    )
    subminute_precision: bool = attrs.field(default=False, converter=_as_flag, validator=_check_flag)
    _limits_km: tuple[float | None, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._check_range()
        count = len(self.blocks)
        if count < 2:
            raise InvalidQuery("blocks", f"a conjunction needs at least 2 criteria blocks, this query has {count}")
        if count > MAX_BLOCKS:
            raise InvalidQuery("blocks", f"at most {MAX_BLOCKS} criteria blocks are allowed, this query has {count}")
        object.__setattr__(self, "_limits_km", self._read_distances())
        if all(limit is None for limit in self._limits_km):
            raise InvalidQuery("max_distance_km", "limits no pair of blocks: give at least one distance")

    @property
    def blocks(self) -> dict[str, CriteriaBlock | CustomLocationsBlock]:
        """The blocks by name, in the service's order: ground1, …, space1, …, events1, …, custom1, …"""
        groups: tuple[tuple[Any, ...], ...] = (self.ground, self.space, self.events, self.custom_locations)
        return {f"{block.kind}{number}": block for group in groups for number, block in enumerate(group, start=1)}

    @property
    def pairs(self) -> tuple[str, ...]:
        """The names of all pairs of blocks (`ground1-space1`), each once."""
        return tuple(f"{one}-{other}" for one, other in combinations(self.blocks, 2))

    @property
    def max_distances(self) -> dict[str, float | None]:
        """Largest separation in km for every pair of blocks; None does not limit."""
        return dict(zip(self.pairs, self._limits_km, strict=True))

    def _read_distances(self) -> tuple[float | None, ...]:
        if not isinstance(self.max_distance_km, Mapping):
            check_distance("max_distance_km", self.max_distance_km)
            return (self.max_distance_km,) * len(self.pairs)
        by_pair = self._normal_distances(self.max_distance_km)
        object.__setattr__(self, "max_distance_km", by_pair)
        return tuple(by_pair.get(pair) for pair in self.pairs)

    def _normal_distances(self, given: Mapping[str, float | None]) -> _Distances:
        by_sides = {frozenset(pair.split("-")): pair for pair in self.pairs}
        normal: dict[str, float | None] = {}
        for name, limit in given.items():
            sides = [_pair_side(side) for side in str(name).split("-")]
            pair = by_sides.get(frozenset(side for side in sides if side)) if len(sides) == 2 else None
            if pair is None:
                known = ", ".join(self.pairs)
                raise InvalidQuery(f"max_distance_km[{name!r}]", f"is no pair of this query's blocks ({known})")
            if limit is not None:
                check_distance(f"max_distance_km[{name!r}]", limit)
            if pair in normal and normal[pair] != limit:
                raise InvalidQuery(f"max_distance_km[{name!r}]", f"differs from another entry for the pair {pair}")
            normal[pair] = limit
        return _Distances(normal)


@attrs.frozen(kw_only=True)
class EphemerisQuery(_TimeLimited):
    """Positions and footprints of data sources, one record a minute while they took data.

    `programs`, `platforms`, `instrument_types` name the data sources (at least one of them), `metadata_filter` selects
    records. The service takes at most one month (31 days) in one request; longer queries are searched in windows.

    Source: AuroraX API, POST api/v1/ephemeris/search.
    """

    start: datetime = attrs.field(converter=_to_start)
    end: datetime = attrs.field(converter=_to_end)
    programs: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    platforms: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    instrument_types: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    metadata_filter: MetadataFilter | None = attrs.field(default=None, converter=_as_filter, validator=_check_filter)

    def __attrs_post_init__(self) -> None:
        self._check_range()
        _check_restricted(self)


@attrs.frozen(kw_only=True)
class DataProductQuery(_TimeLimited):
    """Keograms, montages, movies and summary plots that lie wholly inside a time range.

    `data_product_types` is any of `keogram`, `montage`, `movie`, `summary_plot`, `data_availability`,
    `average`, `gridded_data`; empty means all.

    Source: AuroraX API, POST api/v1/data_products/search.
    """

    start: datetime = attrs.field(converter=_to_start)
    end: datetime = attrs.field(converter=_to_end)
    programs: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    platforms: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    instrument_types: tuple[str, ...] = attrs.field(default=(), converter=_as_texts, validator=_check_texts)
    metadata_filter: MetadataFilter | None = attrs.field(default=None, converter=_as_filter, validator=_check_filter)
    data_product_types: tuple[str, ...] = attrs.field(
        default=(), converter=_as_texts, validator=_check_choice(*DATA_PRODUCT_TYPES)
    )

    def __attrs_post_init__(self) -> None:
        self._check_range()
        _check_restricted(self)


Query = ConjunctionQuery | EphemerisQuery | DataProductQuery


def _check_restricted(query: EphemerisQuery | DataProductQuery) -> None:
    if not (query.programs or query.platforms or query.instrument_types):
        raise InvalidQuery("programs", "name at least one program, platform or instrument type")


def check_one_request(query: Query) -> None:
    """Raise `InvalidQuery` for a query that the service does not take as one request."""
    if isinstance(query, EphemerisQuery) and query.duration > MAX_EPHEMERIS_SPAN:
        days = query.duration / timedelta(days=1)
        reason = f"the range is {days:.1f} days long; the service takes at most one month (31 days) in one request"
        raise InvalidQuery("end", f"{reason}, so it has to be searched in windows")


def check_distance(field: str, limit: object) -> None:
    """Raise `InvalidQuery` for what is no largest distance in km; `field` is what it is called there."""
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit != limit:
        raise InvalidQuery(field, f"{limit!r} is not a number of kilometres")
    if limit < 0:
        raise InvalidQuery(field, f"{limit!r} km is negative")
    if limit > _BOUNDLESS_KM:
        raise InvalidQuery(field, f"{limit!r} km is no limit: give None for the pairs that have none")


def make_aware(record: object, *names: str) -> None:
    """Say of the service's bare timestamps what they are: UTC. (The JSON decoder cannot.)"""
    for name in names:
        object.__setattr__(record, name, as_utc(getattr(record, name)))


def _minutes(start: datetime, end: datetime) -> str:
    """`2020-01-01 01:46 to 01:47`; the day is said once."""
    same_day = start.date() == end.date()
    return f"{start:%Y-%m-%d %H:%M} to {end:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}}"


def _names(source: DataSource) -> str:
    """`swarm swarma footprint`, or the identifier of a source that is known by no more."""
    names = (source.program, source.platform, source.instrument_type)
    return " ".join(name for name in names if name) or f"source {source.identifier}"


def _degrees(place: Location) -> str:
    return "none" if place.lat is None or place.lon is None else f"{place.lat:.2f}, {place.lon:.2f}"


if TYPE_CHECKING:
    _Text = str
    _Texts = list[str]
else:
    _Text = str | None  # what the decoder lets through; null then means what a missing field does
    _Texts = list[str] | None


@attrs.frozen(kw_only=True)
class SchemaField:
    """One metadata field that records of a data source may carry; no `allowed_values` means any."""

    field_name: str
    description: _Text = ""
    data_type: _Text = "string"
    allowed_values: _Texts = attrs.field(factory=list)
    additional_description: str | None = None
    searchable: bool | None = None

    def __attrs_post_init__(self) -> None:
        for name, unsaid in (("description", ""), ("data_type", "string"), ("allowed_values", [])):
            if getattr(self, name) is None:
                object.__setattr__(self, name, unsaid)

    def __repr__(self) -> str:
        values = f", one of {len(self.allowed_values)} values" if self.allowed_values else ""
        return f"<SchemaField {self.field_name}: {self.data_type}{values}>"


@attrs.frozen(kw_only=True)
class DataSourceStatistics:
    """How many records a data source has, and from when to when."""

    ephemeris_count: int
    data_product_count: int
    earliest_ephemeris_loaded: datetime | None = None
    latest_ephemeris_loaded: datetime | None = None
    earliest_data_product_loaded: datetime | None = None
    latest_data_product_loaded: datetime | None = None

    def __attrs_post_init__(self) -> None:
        make_aware(self, "earliest_ephemeris_loaded", "latest_ephemeris_loaded")
        make_aware(self, "earliest_data_product_loaded", "latest_data_product_loaded")

    def __repr__(self) -> str:
        kinds = (
            ("ephemeris", self.ephemeris_count, self.earliest_ephemeris_loaded, self.latest_ephemeris_loaded),
            ("data products", self.data_product_count, self.earliest_data_product_loaded,
             self.latest_data_product_loaded),
        )  # fmt: skip
        parts = [
            f"{count:,} {what}" + (f" {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first and last else "")
            for what, count, first, last in kinds
        ]
        return f"<DataSourceStatistics: {', '.join(parts)}>"


@table(
    inline=("stats",),
    brief=("identifier", "program", "platform", "instrument_type", "source_type", "display_name"),
    shown=("identifier", "program", "platform", "instrument_type", "source_type", "display_name"),
)
@light(kw_only=True)
class DataSource:
    """A spacecraft, ground instrument or event list; fields outside the asked level of detail are None."""

    identifier: int
    program: str | None = None
    platform: str | None = None
    instrument_type: str | None = None
    source_type: str | None = None
    display_name: str | None = None
    metadata: dict[str, Any] | None = None
    owner: str | None = None
    maintainers: list[str] | None = None
    ephemeris_metadata_schema: list[SchemaField] | None = None
    data_product_metadata_schema: list[SchemaField] | None = None
    stats: DataSourceStatistics | None = None

    def __repr__(self) -> str:
        names = (self.program, self.platform, self.instrument_type)
        return f"<DataSource {self.identifier}{': ' + _names(self) if any(names) else ''}>"


@table(
    omit=("generated_e1_ephemeris_query", "generated_e2_ephemeris_query"),
    units={"min_distance": "km", "max_distance": "km"},
)
@light(kw_only=True)
class PairConjunction:
    """The conjunction of two data sources that is part of a larger one. Distances in km."""

    conjunction_type: str
    start: datetime = attrs.field(converter=as_utc)
    end: datetime = attrs.field(converter=as_utc)
    min_distance: float
    max_distance: float
    e1_source: DataSource
    e2_source: DataSource
    generated_e1_ephemeris_query: dict[str, Any] | None = None
    generated_e2_ephemeris_query: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return _conjunction_repr(self, (self.e1_source, self.e2_source))


@table(
    numbered=("data_sources",),
    partition={"program": "data_sources.program", "platform": "data_sources.platform", "date": "start"},
    omit=("events",),
    shown=("start", "end", "conjunction_type", "program", "platform", "min_distance", "max_distance"),
    units={"min_distance": "km", "max_distance": "km"},
)
@light(kw_only=True)
class Conjunction:
    """A time range in which one data source of every block stayed within the limits. Distances in km.

    `start` and `end` are its first and last minute; `data_sources` has one entry per block, in block order; `events`
    holds the conjunctions pair by pair.
    """

    conjunction_type: str
    start: datetime = attrs.field(converter=as_utc)
    end: datetime = attrs.field(converter=as_utc)
    data_sources: list[DataSource]
    min_distance: float
    max_distance: float
    closest_epoch: datetime = attrs.field(converter=as_utc)
    farthest_epoch: datetime = attrs.field(converter=as_utc)
    events: list[PairConjunction]

    def __repr__(self) -> str:
        return _conjunction_repr(self, self.data_sources)


def _conjunction_repr(one: Conjunction | PairConjunction, sources: Iterable[DataSource]) -> str:
    among = " + ".join(map(_names, sources))
    distances = f"{one.min_distance:.1f} to {one.max_distance:.1f} km"
    return f"<{type(one).__name__} {one.conjunction_type} {_minutes(one.start, one.end)}: {among}, {distances}>"


@table(
    inline=("data_source",),
    partition={"program": "data_source.program", "platform": "data_source.platform", "date": "epoch"},
    shown=("epoch", "program", "platform", "instrument_type", "location_geo_lat", "location_geo_lon", "nbtrace_lat",
           "nbtrace_lon", "sbtrace_lat", "sbtrace_lon"),
)  # fmt: skip
@light(kw_only=True)
class Ephemeris:
    """Where one data source was at one minute.

    `location_geo` is the position (spacecraft: geocentric latitude), `nbtrace` and `sbtrace` the northern and southern
    footprints traced to 100 km, with lat and lon None where the field line is open.
    """

    data_source: DataSource
    epoch: datetime = attrs.field(converter=as_utc)
    location_geo: _Place = attrs.field(converter=_as_place)
    location_gsm: _Place = attrs.field(converter=_as_place)
    nbtrace: _Place = attrs.field(converter=_as_place)
    sbtrace: _Place = attrs.field(converter=_as_place)
    metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        places = f"at {_degrees(self.location_geo)}, nbtrace {_degrees(self.nbtrace)}, sbtrace {_degrees(self.sbtrace)}"
        return f"<Ephemeris {self.epoch:%Y-%m-%d %H:%M} {_names(self.data_source)}: {places}>"


@table(
    inline=("data_source",),
    partition={"program": "data_source.program", "platform": "data_source.platform", "date": "start"},
    shown=("start", "end", "data_product_type", "program", "platform", "instrument_type", "url"),
)
@light(kw_only=True)
class DataProduct:
    """One keogram, montage, movie or plot: what it shows (`start` to `end`), and the `url` of the file."""

    data_source: DataSource
    data_product_type: str
    start: datetime = attrs.field(converter=as_utc)
    end: datetime = attrs.field(converter=as_utc)
    url: str
    metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        names = _names(self.data_source)
        return f"<DataProduct {self.data_product_type} {_minutes(self.start, self.end)} {names}: {self.url}>"
