"""Data sources: which spacecraft, instruments and event lists there are; and, for those who own some, changing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs
import msgspec

from aurora_async.aurorax.filters import plain_number
from aurora_async.aurorax.models import SOURCE_TYPES, DataSource, DataSourceStatistics, SchemaField
from aurora_async.aurorax.wire import decode_answer
from aurora_async.engine import Engine
from aurora_async.errors import AuroraError, InvalidInput
from aurora_async.transfer.tables import Records

__all__ = [
    "LEVELS",
    "Level",
    "NoSuchSource",
    "Sources",
    "check_level",
    "known_source",
    "source_filters",
    "source_path",
]

Level = Literal["identifier_only", "basic_info", "with_metadata", "full_record"]
LEVELS: tuple[Level, ...] = ("identifier_only", "basic_info", "with_metadata", "full_record")

_ORDERS = ("identifier", "program", "platform", "instrument_type", "source_type", "display_name", "owner")
# Longer ones are answered with a bare 500.
_LONGEST = {"program": 200, "platform": 50, "instrument_type": 200, "source_type": 200, "display_name": 50}
_SourceList = list[DataSource]


class NoSuchSource(AuroraError, LookupError):
    """No data source has this program, platform and instrument type."""

    def __init__(self, program: str, platform: str, instrument_type: str) -> None:
        super().__init__(program, platform, instrument_type)
        self.program = program
        self.platform = platform
        self.instrument_type = instrument_type

    def __str__(self) -> str:
        asked = f"program {self.program!r}, platform {self.platform!r}, instrument type {self.instrument_type!r}"
        return f"there is no data source with {asked}; names are matched whole, list() shows those there are"


class Sources:
    """The data sources of AuroraX.

    `level` is how much is told of each: `identifier_only`, `basic_info` (names and type), `with_metadata`, or
    `full_record` (also owner, maintainers and the metadata schemas); what is not told is None.
    """

    def __init__(self, engine: Engine) -> None:
        """Made by the client."""
        self._engine = engine

    async def list(
        self,
        *,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        owner: str | None = None,
        level: Level = "full_record",
        include_stats: bool = False,
        order: str = "identifier",
    ) -> Records[DataSource]:
        """Return the data sources to which every filter given applies; names are matched whole.

        Args:
            program, platform, instrument_type, source_type, owner: Filters; None does not restrict.
            level: How much is told of each.
            include_stats: Whether each comes with its statistics, which takes longer.
            order: The field they are sorted by; those without it come last.

        Source: AuroraX API, GET api/v1/data_sources.
        """
        params = _detail(level, include_stats) | source_filters(
            program=program,
            platform=platform,
            instrument_type=instrument_type,
            source_type=source_type,
            owner=owner,
        )
        _check_order(order)
        answer = await self._engine.session.exchange("GET", "/api/v1/data_sources", params=params)
        return _sorted(decode_answer(answer, _SourceList), order)

    async def search(
        self,
        *,
        programs: Iterable[str] = (),
        platforms: Iterable[str] = (),
        instrument_types: Iterable[str] = (),
        level: Level = "full_record",
        include_stats: bool = False,
        order: str = "identifier",
    ) -> Records[DataSource]:
        """Return the data sources that are in every list which is not empty.

        Source: AuroraX API, POST api/v1/data_sources/search.
        """
        params = _detail(level, include_stats)
        _check_order(order)
        lists = {"programs": programs, "platforms": platforms, "instrument_types": instrument_types}
        body = msgspec.json.encode({name: _names(name, values) for name, values in lists.items()})
        answer = await self._engine.session.exchange(
            "POST", "/api/v1/data_sources/search", params=params, body=body, repeat=True
        )
        return _sorted(decode_answer(answer, _SourceList), order)

    async def get(self, identifier: int, *, level: Level = "full_record", include_stats: bool = False) -> DataSource:
        """Return the data source with this identifier.

        Raises:
            NotFound: There is none.
        """
        params = _detail(level, include_stats)
        answer = await self._engine.session.exchange("GET", source_path(identifier), params=params)
        return decode_answer(answer, DataSource)

    async def find(
        self,
        program: str,
        platform: str,
        instrument_type: str,
        *,
        level: Level = "full_record",
        include_stats: bool = False,
    ) -> DataSource:
        """Return the data source with these names; together they are unique.

        Raises:
            NoSuchSource: There is none.
        """
        found = await self.list(
            program=program,
            platform=platform,
            instrument_type=instrument_type,
            level=level,
            include_stats=include_stats,
        )
        if not found:
            raise NoSuchSource(program, platform, instrument_type)
        return found[0]

    async def statistics(self, identifier: int, *, slow: bool = False) -> DataSourceStatistics:
        """Return how many records a data source has, and from when to when; `slow` counts them instead of estimating.

        Source: AuroraX API, GET api/v1/data_sources/{id}/stats.
        """
        params = {"slow": "true"} if slow else {}
        answer = await self._engine.session.exchange("GET", f"{source_path(identifier)}/stats", params=params)
        return decode_answer(answer, DataSourceStatistics)

    async def ephemeris_schema(self, identifier: int) -> Records[SchemaField]:
        """Return the metadata fields that ephemeris records of a data source carry."""
        source = await self.get(identifier)
        return Records(source.ephemeris_metadata_schema or (), record_type=SchemaField)

    async def data_product_schema(self, identifier: int) -> Records[SchemaField]:
        """Return the metadata fields that data products of a data source carry."""
        source = await self.get(identifier)
        return Records(source.data_product_metadata_schema or (), record_type=SchemaField)

    async def add(
        self,
        *,
        program: str,
        platform: str,
        instrument_type: str,
        source_type: str,
        display_name: str,
        identifier: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        owner: str | None = None,
        maintainers: Iterable[str] | None = None,
        ephemeris_metadata_schema: Iterable[SchemaField] | None = None,
        data_product_metadata_schema: Iterable[SchemaField] | None = None,
    ) -> DataSource:
        """Create a data source and return it as the service stores it. Needs the role Owner.

        Args:
            program, platform, instrument_type: Its names; together they must be new.
            source_type: One of `ground`, `leo`, `heo`, `lunar`, `event_list`, `not_applicable`.
            display_name: What people are shown.
            identifier: A number of one's own choice; None lets the service choose.
            metadata: Anything.
            owner, maintainers: E-mail addresses of accounts; the owner is by default who asks.
            ephemeris_metadata_schema, data_product_metadata_schema: What metadata its records carry.

        Raises:
            Conflict: The names, or the identifier, are taken.
            MaintenanceMode: Nothing can be written at the moment.
        """
        changes = _Changes(
            identifier, program, platform, instrument_type, source_type, display_name, metadata, owner, maintainers,
            ephemeris_metadata_schema, data_product_metadata_schema,
        )  # fmt: skip
        # Not repeated: a second try after a lost answer would be told that the first one's source is in the way.
        answer = await self._engine.session.exchange("POST", "/api/v1/data_sources", body=changes.encoded())
        return decode_answer(answer, DataSource)

    async def update(
        self,
        identifier: int,
        *,
        program: str | None = None,
        platform: str | None = None,
        instrument_type: str | None = None,
        source_type: str | None = None,
        display_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        owner: str | None = None,
        maintainers: Iterable[str] | None = None,
        ephemeris_metadata_schema: Iterable[SchemaField] | None = None,
        data_product_metadata_schema: Iterable[SchemaField] | None = None,
    ) -> DataSource:
        """Change what is given, leave the rest, and return the whole record. Needs to be its owner.

        None leaves a field as it is; an empty object or list empties it.

        Source: AuroraX API, PATCH api/v1/data_sources/{id}.
        """
        changes = _Changes(
            None, program, platform, instrument_type, source_type, display_name, metadata, owner, maintainers,
            ephemeris_metadata_schema, data_product_metadata_schema,
        )  # fmt: skip
        answer = await self._engine.session.exchange(
            "PATCH", source_path(identifier), body=changes.encoded(), repeat=True
        )
        return decode_answer(answer, DataSource)

    async def replace(self, source: DataSource) -> DataSource:
        """Store `source` in place of the one with its identifier, and return it. Needs to be its owner.

        Source: AuroraX API, PUT api/v1/data_sources/{id}.
        """
        if not isinstance(source, DataSource):
            raise InvalidInput("source", f"{source!r} is not a DataSource")
        for name in ("program", "platform", "instrument_type", "source_type", "display_name"):
            if getattr(source, name) is None:
                raise InvalidInput(f"source.{name}", "is missing: read the data source at the level full_record first")
        told = (source.owner, source.maintainers, source.ephemeris_metadata_schema, source.data_product_metadata_schema)
        if told == (None, None, None, None):
            reason = "was not read at the level full_record: what it does not tell would be erased"
            raise InvalidInput("source", reason)
        changes = _Changes(
            source.identifier, source.program, source.platform, source.instrument_type, source.source_type,
            source.display_name, source.metadata, source.owner, source.maintainers, source.ephemeris_metadata_schema,
            source.data_product_metadata_schema,
        )  # fmt: skip
        answer = await self._engine.session.exchange("PUT", source_path(source), body=changes.encoded())
        return decode_answer(answer, DataSource)

    async def delete(self, identifier: int) -> None:
        """Delete a data source that has no records. Needs to be its owner.

        Raises:
            Conflict: It still has records.
        """
        # Not repeated: a second try after a lost answer would be told that there is none.
        await self._engine.session.exchange("DELETE", source_path(identifier), repeat=False)


async def known_source(engine: Engine, source: DataSource | int, *, with_schemas: bool = False) -> DataSource:
    """Return a data source whose names are known, and its schemas too if wanted; it is read where they are not."""
    path = source_path(source)
    if isinstance(source, DataSource) and not with_schemas:
        names = (source.program, source.platform, source.instrument_type)
        if None not in names:
            return source
    answer = await engine.session.exchange("GET", path, params={"format": "full_record"})
    return decode_answer(answer, DataSource)


def source_filters(**filters: str | None) -> dict[str, str]:
    """Return the filters that are given as query parameters, checked."""
    for name, value in filters.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise InvalidInput(name, f"{value!r} is not a name")
    source_type = filters.get("source_type")
    if source_type is not None and source_type not in SOURCE_TYPES:
        raise InvalidInput("source_type", f"{source_type!r} is unknown; use one of {', '.join(SOURCE_TYPES)}")
    return {name: value for name, value in filters.items() if value is not None}


def check_level(level: str) -> None:
    """Refuse a level of detail that does not exist."""
    if level not in LEVELS:
        raise InvalidInput("level", f"{level!r} is unknown; use one of {', '.join(LEVELS)}")


def _detail(level: Level, include_stats: bool) -> dict[str, str]:
    check_level(level)
    return {"format": level} | ({"include_stats": "true"} if include_stats else {})


def _check_order(order: str) -> None:
    if order not in _ORDERS:
        raise InvalidInput("order", f"{order!r} is unknown; use one of {', '.join(_ORDERS)}")


def _sorted(sources: Iterable[DataSource], order: str) -> Records[DataSource]:
    def key(source: DataSource) -> tuple[bool, Any, int]:
        value = getattr(source, order)
        return value is None, "" if value is None else value, source.identifier

    # Those with negative identifiers stand for the custom locations of somebody's searches.
    return Records(sorted((one for one in sources if one.identifier >= 0), key=key), record_type=DataSource)


def source_path(source: DataSource | int) -> str:
    """Return the path of a data source, given with its record or its identifier."""
    identifier = plain_number(source.identifier if isinstance(source, DataSource) else source)
    if isinstance(identifier, bool) or not isinstance(identifier, int):
        raise InvalidInput("identifier", f"{identifier!r} is not the number of a data source")
    return f"/api/v1/data_sources/{identifier}"


def _names(field: str, values: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(values, Iterable):
        raise InvalidInput(field, f"{values!r} is no list of names")
    names = (values,) if isinstance(values, str) else tuple(values)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput(field, f"{name!r} is not a name")
    return names


@attrs.frozen
class _Changes:
    """The fields of a data source that are to be stored; None leaves one to the service."""

    identifier: int | None
    program: str | None
    platform: str | None
    instrument_type: str | None
    source_type: str | None
    display_name: str | None
    metadata: Mapping[str, Any] | None
    owner: str | None
    maintainers: Iterable[str] | None
    ephemeris_metadata_schema: Iterable[SchemaField] | None
    data_product_metadata_schema: Iterable[SchemaField] | None

    def encoded(self) -> bytes:
        """Return them as JSON, checked."""
        if self.identifier is not None:
            source_path(self.identifier)
        source_filters(source_type=self.source_type)
        document: dict[str, Any] = {}
        for name, value in attrs.asdict(self, recurse=False).items():
            if value is None:
                continue
            if name in _LONGEST:
                if not isinstance(value, str) or not value.strip():
                    raise InvalidInput(name, f"{value!r} is not a text")
                if len(value) > _LONGEST[name]:
                    raise InvalidInput(name, f"is {len(value)} characters long; at most {_LONGEST[name]} are stored")
            document[name] = self._wire_value(name, value)
        try:
            return msgspec.json.encode(document)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput("source", f"is not JSON: {error}") from None

    @staticmethod
    def _wire_value(name: str, value: Any) -> Any:
        if name == "metadata":
            if not isinstance(value, Mapping):
                raise InvalidInput(name, f"{value!r} is not a dictionary")
            return value
        if name == "maintainers":
            if isinstance(value, str):
                raise InvalidInput(name, f"{value!r} is one text; give a list")
            return _names(name, value)
        if name.endswith("_schema"):
            fields = list(value) if isinstance(value, Iterable) else [value]
            for number, field in enumerate(fields):
                if not isinstance(value, Iterable) or not isinstance(field, SchemaField):
                    raise InvalidInput(f"{name}[{number}]", f"{field!r} is not a SchemaField in a list")
            return fields
        if name != "identifier" and not isinstance(value, str):
            raise InvalidInput(name, f"{value!r} is not a text")
        return plain_number(value)
