"""B-traces, as functions."""

from __future__ import annotations

from datetime import datetime

from aurora_async.compat.pyaurorax.search.location import Location
from aurora_async.compat.pyaurorax.search.util import UtilManager

__all__ = ["ground_geo_to_nbtrace", "ground_geo_to_sbtrace"]
__dir__ = __all__.copy


def ground_geo_to_nbtrace(geo_location: Location, timestamp: datetime) -> Location:
    """Return the northern end of the field line through a place."""
    return UtilManager().ground_geo_to_nbtrace(geo_location, timestamp)


def ground_geo_to_sbtrace(geo_location: Location, timestamp: datetime) -> Location:
    """Return the southern end of the field line through a place."""
    return UtilManager().ground_geo_to_sbtrace(geo_location, timestamp)
