"""AuroraX: conjunctions, ephemeris, data products."""

from aurora_async.aurorax.admin import Account, Administration, SearchRequest
from aurora_async.aurorax.availability import Availability, AvailabilityCounts
from aurora_async.aurorax.client import AuroraX
from aurora_async.aurorax.conjunctions import ConjunctionSearches
from aurora_async.aurorax.data_products import DataProductSearches
from aurora_async.aurorax.ephemeris import EphemerisSearches
from aurora_async.aurorax.files import FetchedProduct
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
from aurora_async.aurorax.plans import Plan, PlannedSearch
from aurora_async.aurorax.records import ChunkOutcome, UploadFailed, UploadReport
from aurora_async.aurorax.searches import Searches
from aurora_async.aurorax.sources import NoSuchSource, Sources

__all__ = [
    "Account",
    "Administration",
    "AuroraX",
    "Availability",
    "AvailabilityCounts",
    "ChunkOutcome",
    "Conjunction",
    "ConjunctionQuery",
    "ConjunctionSearches",
    "CustomLocationsBlock",
    "DataProduct",
    "DataProductQuery",
    "DataProductSearches",
    "DataSource",
    "DataSourceStatistics",
    "Ephemeris",
    "EphemerisQuery",
    "EphemerisSearches",
    "EventsBlock",
    "FetchedProduct",
    "GroundBlock",
    "Location",
    "MetadataExpression",
    "MetadataFilter",
    "NoSuchSource",
    "PairConjunction",
    "Plan",
    "PlannedSearch",
    "Query",
    "SchemaField",
    "SearchRequest",
    "Searches",
    "Sources",
    "SpaceBlock",
    "UploadFailed",
    "UploadReport",
]
