"""An asyncio SDK for scientific services whose searches are submitted, polled and then downloaded."""

from aurora_async.aurorax import (
    AuroraX,
    Conjunction,
    ConjunctionQuery,
    CustomLocationsBlock,
    DataProduct,
    DataProductQuery,
    DataSource,
    Ephemeris,
    EphemerisQuery,
    EventsBlock,
    GroundBlock,
    Location,
    MetadataExpression,
    MetadataFilter,
    PairConjunction,
    SpaceBlock,
)
from aurora_async.config import Config, Limits, Polling, Retries, Timeouts
from aurora_async.engine import Event, EventKind, Outcome, Phase, Request, RequestStatus, Run
from aurora_async.times import TimeRange
from aurora_async.transfer import Saved

__all__ = [
    "AuroraX",
    "Config",
    "Conjunction",
    "ConjunctionQuery",
    "CustomLocationsBlock",
    "DataProduct",
    "DataProductQuery",
    "DataSource",
    "Ephemeris",
    "EphemerisQuery",
    "Event",
    "EventKind",
    "EventsBlock",
    "GroundBlock",
    "Limits",
    "Location",
    "MetadataExpression",
    "MetadataFilter",
    "Outcome",
    "PairConjunction",
    "Phase",
    "Polling",
    "Request",
    "RequestStatus",
    "Retries",
    "Run",
    "Saved",
    "SpaceBlock",
    "TimeRange",
    "Timeouts",
]
