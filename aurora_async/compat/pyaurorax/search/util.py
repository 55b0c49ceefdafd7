"""Where the ends of a field line are."""

from __future__ import annotations

from datetime import datetime

from aurora_async.aurorax.geometry import ground_to_nbtrace, ground_to_sbtrace
from aurora_async.compat.pyaurorax._errors import their_errors
from aurora_async.compat.pyaurorax.search.location import Location

__all__ = ["UtilManager"]
__dir__ = __all__.copy


class UtilManager:
    """B-traces of places on the ground; needs the extra `btrace`."""

    def ground_geo_to_nbtrace(self, geo_location: Location, timestamp: datetime) -> Location:
        """Return the northern end of the field line through a place."""
        with their_errors():
            trace = ground_to_nbtrace(geo_location._as_ours(), timestamp)
        return Location(trace.lat, trace.lon)

    def ground_geo_to_sbtrace(self, geo_location: Location, timestamp: datetime) -> Location:
        """Return the southern end of the field line through a place."""
        with their_errors():
            trace = ground_to_sbtrace(geo_location._as_ours(), timestamp)
        return Location(trace.lat, trace.lon)
