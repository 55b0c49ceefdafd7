"""`PyAuroraX().search`: what can be asked, sorted by what it is about, with all classes and constants at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora_async.compat.pyaurorax.search import api, availability, conjunctions, data_products, ephemeris, sources
from aurora_async.compat.pyaurorax.search import location as locations
from aurora_async.compat.pyaurorax.search import metadata_filters as filters
from aurora_async.compat.pyaurorax.search.metadata import MetadataManager
from aurora_async.compat.pyaurorax.search.requests import RequestsManager
from aurora_async.compat.pyaurorax.search.util import UtilManager

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax.client import PyAuroraX

__all__ = ["SearchManager"]
__dir__ = __all__.copy


class SearchManager:
    """The search half of pyaurorax.

    Attributes:
        conjunctions, ephemeris, data_products: The three kinds of search.
        sources, availability, metadata: What there is to be searched.
        requests: Requests by URL, and administration.
        util: B-traces.
        api: Requests and answers as objects.
    """

    DataSource = sources.DataSource
    Location = locations.Location
    AvailabilityResult = availability.AvailabilityResult
    MetadataFilter = filters.MetadataFilter
    MetadataFilterExpression = filters.MetadataFilterExpression
    GroundCriteriaBlock = conjunctions.GroundCriteriaBlock
    SpaceCriteriaBlock = conjunctions.SpaceCriteriaBlock
    EventsCriteriaBlock = conjunctions.EventsCriteriaBlock
    CustomLocationsCriteriaBlock = conjunctions.CustomLocationsCriteriaBlock
    Conjunction = conjunctions.Conjunction
    ConjunctionSearch = conjunctions.ConjunctionSearch
    EphemerisData = ephemeris.EphemerisData
    EphemerisSearch = ephemeris.EphemerisSearch
    DataProductData = data_products.DataProductData
    DataProductSearch = data_products.DataProductSearch

    FORMAT_BASIC_INFO = sources.FORMAT_BASIC_INFO
    FORMAT_BASIC_INFO_WITH_METADATA = sources.FORMAT_BASIC_INFO_WITH_METADATA
    FORMAT_FULL_RECORD = sources.FORMAT_FULL_RECORD
    FORMAT_IDENTIFIER_ONLY = sources.FORMAT_IDENTIFIER_ONLY
    FORMAT_DEFAULT = sources.FORMAT_DEFAULT
    SOURCE_TYPE_EVENT_LIST = sources.SOURCE_TYPE_EVENT_LIST
    SOURCE_TYPE_GROUND = sources.SOURCE_TYPE_GROUND
    SOURCE_TYPE_HEO = sources.SOURCE_TYPE_HEO
    SOURCE_TYPE_LEO = sources.SOURCE_TYPE_LEO
    SOURCE_TYPE_LUNAR = sources.SOURCE_TYPE_LUNAR
    SOURCE_TYPE_NOT_APPLICABLE = sources.SOURCE_TYPE_NOT_APPLICABLE
    DATA_PRODUCT_TYPE_KEOGRAM = data_products.DATA_PRODUCT_TYPE_KEOGRAM
    DATA_PRODUCT_TYPE_MONTAGE = data_products.DATA_PRODUCT_TYPE_MONTAGE
    DATA_PRODUCT_TYPE_MOVIE = data_products.DATA_PRODUCT_TYPE_MOVIE
    DATA_PRODUCT_TYPE_SUMMARY_PLOT = data_products.DATA_PRODUCT_TYPE_SUMMARY_PLOT
    DATA_PRODUCT_TYPE_DATA_AVAILABILITY = data_products.DATA_PRODUCT_TYPE_DATA_AVAILABILITY
    CONJUNCTION_TYPE_NBTRACE = conjunctions.CONJUNCTION_TYPE_NBTRACE
    CONJUNCTION_TYPE_SBTRACE = conjunctions.CONJUNCTION_TYPE_SBTRACE
    CONJUNCTION_TYPE_GEOGRAPHIC = conjunctions.CONJUNCTION_TYPE_GEOGRAPHIC

    def __init__(self, aurorax_obj: PyAuroraX) -> None:
        """Made by `PyAuroraX`."""
        self.api = api
        self.util = UtilManager()
        self.sources = sources.SourcesManager(aurorax_obj)
        self.availability = availability.AvailabilityManager(aurorax_obj)
        self.metadata = MetadataManager(aurorax_obj)
        self.requests = RequestsManager(aurorax_obj)
        self.ephemeris = ephemeris.EphemerisManager(aurorax_obj)
        self.data_products = data_products.DataProductsManager(aurorax_obj)
        self.conjunctions = conjunctions.ConjunctionsManager(aurorax_obj)
