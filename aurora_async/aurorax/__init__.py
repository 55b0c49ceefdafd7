"""AuroraX: conjunctions, ephemeris, data products."""

from aurora_async.aurorax.client import AuroraX
from aurora_async.aurorax.filters import MetadataExpression, MetadataFilter
from aurora_async.aurorax.models import (
    Conjunction,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProduct,
    DataProductQuery,
    DataSource,
    DataSourceStatistics,
    Ephemeris,
    EphemerisQuery,
    EventsBlock,
    GroundBlock,
    Location,
    PairConjunction,
    Query,
    SchemaField,
    SpaceBlock,
)
from aurora_async.aurorax.searches import Searches

__all__ = [
    "AuroraX",
    "Conjunction",
    "ConjunctionQuery",
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
    "MetadataExpression",
    "MetadataFilter",
    "PairConjunction",
    "Query",
    "SchemaField",
    "Searches",
    "SpaceBlock",
]
