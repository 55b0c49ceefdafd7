"""The classes and constants of the search half."""

from __future__ import annotations

from aurora_async.compat.pyaurorax.search.availability import AvailabilityManager, AvailabilityResult
from aurora_async.compat.pyaurorax.search.conjunctions import (
    CONJUNCTION_TYPE_GEOGRAPHIC,
    CONJUNCTION_TYPE_NBTRACE,
    CONJUNCTION_TYPE_SBTRACE,
    Conjunction,
    ConjunctionSearch,
    ConjunctionsManager,
    CustomLocationsCriteriaBlock,
    EventsCriteriaBlock,
    GroundCriteriaBlock,
    SpaceCriteriaBlock,
)
from aurora_async.compat.pyaurorax.search.data_products import (
    DATA_PRODUCT_TYPE_DATA_AVAILABILITY,
    DATA_PRODUCT_TYPE_KEOGRAM,
    DATA_PRODUCT_TYPE_MONTAGE,
    DATA_PRODUCT_TYPE_MOVIE,
    DATA_PRODUCT_TYPE_SUMMARY_PLOT,
    DataProductData,
    DataProductSearch,
    DataProductsManager,
)
from aurora_async.compat.pyaurorax.search.ephemeris import EphemerisData, EphemerisManager, EphemerisSearch
from aurora_async.compat.pyaurorax.search.location import Location
from aurora_async.compat.pyaurorax.search.manager import SearchManager
from aurora_async.compat.pyaurorax.search.metadata import MetadataManager
from aurora_async.compat.pyaurorax.search.metadata_filters import MetadataFilter, MetadataFilterExpression
from aurora_async.compat.pyaurorax.search.requests import RequestsManager
from aurora_async.compat.pyaurorax.search.sources import (
    FORMAT_BASIC_INFO,
    FORMAT_BASIC_INFO_WITH_METADATA,
    FORMAT_DEFAULT,
    FORMAT_FULL_RECORD,
    FORMAT_IDENTIFIER_ONLY,
    SOURCE_TYPE_EVENT_LIST,
    SOURCE_TYPE_GROUND,
    SOURCE_TYPE_HEO,
    SOURCE_TYPE_LEO,
    SOURCE_TYPE_LUNAR,
    SOURCE_TYPE_NOT_APPLICABLE,
    DataSource,
    DataSourceStatistics,
    SourcesManager,
)
from aurora_async.compat.pyaurorax.search.util import UtilManager

__all__ = [
    "CONJUNCTION_TYPE_GEOGRAPHIC",
    "CONJUNCTION_TYPE_NBTRACE",
    "CONJUNCTION_TYPE_SBTRACE",
    "DATA_PRODUCT_TYPE_DATA_AVAILABILITY",
    "DATA_PRODUCT_TYPE_KEOGRAM",
    "DATA_PRODUCT_TYPE_MONTAGE",
    "DATA_PRODUCT_TYPE_MOVIE",
    "DATA_PRODUCT_TYPE_SUMMARY_PLOT",
    "FORMAT_BASIC_INFO",
    "FORMAT_BASIC_INFO_WITH_METADATA",
    "FORMAT_DEFAULT",
    "FORMAT_FULL_RECORD",
    "FORMAT_IDENTIFIER_ONLY",
    "SOURCE_TYPE_EVENT_LIST",
    "SOURCE_TYPE_GROUND",
    "SOURCE_TYPE_HEO",
    "SOURCE_TYPE_LEO",
    "SOURCE_TYPE_LUNAR",
    "SOURCE_TYPE_NOT_APPLICABLE",
    "AvailabilityManager",
    "AvailabilityResult",
    "Conjunction",
    "ConjunctionSearch",
    "ConjunctionsManager",
    "CustomLocationsCriteriaBlock",
    "DataProductData",
    "DataProductSearch",
    "DataProductsManager",
    "DataSource",
    "DataSourceStatistics",
    "EphemerisData",
    "EphemerisManager",
    "EphemerisSearch",
    "EventsCriteriaBlock",
    "GroundCriteriaBlock",
    "Location",
    "MetadataFilter",
    "MetadataFilterExpression",
    "MetadataManager",
    "RequestsManager",
    "SearchManager",
    "SourcesManager",
    "SpaceCriteriaBlock",
    "UtilManager",
]
