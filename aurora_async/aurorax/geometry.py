"""Where the field line through a place on the ground meets the ground again (extra `btrace`).

AuroraX takes the other end of a line from AACGM coordinates, and so does this module, with the library aacgmv2.
"""

from __future__ import annotations

import math
import threading
from types import ModuleType

from aurora_async.aurorax.filters import plain_number
from aurora_async.aurorax.models import Location
from aurora_async.errors import InvalidInput, MissingExtra
from aurora_async.times import TimeLike, start_of

__all__ = ["ground_to_nbtrace", "ground_to_sbtrace"]

# The C library below aacgmv2 keeps the date in a global variable.
_LOCK = threading.Lock()


def ground_to_nbtrace(location: Location, when: TimeLike) -> Location:
    """Return the northern end of the field line through a place on the ground.

    In the northern hemisphere (the equator included) that is the place itself; otherwise it is the place with the
    opposite AACGM latitude.

    Args:
        location: Geodetic degrees.
        when: The field drifts: about 0.1 degrees a year. A partial text means its beginning.

    Returns:
        Geodetic degrees; both None where AACGM is not defined, near the magnetic equator.

    Raises:
        InvalidInput: There is no such place, or the coefficients of AACGM do not cover the date.
        MissingExtra: aacgmv2 is not installed.
    """
    return location if _latitude(location) >= 0 else _other_end(location, when)


def ground_to_sbtrace(location: Location, when: TimeLike) -> Location:
    """Return the southern end of the field line through a place on the ground; else as `ground_to_nbtrace`."""
    return location if _latitude(location) < 0 else _other_end(location, when)


def _latitude(location: Location) -> float:
    if not isinstance(location, Location):
        raise InvalidInput("location", f"{location!r} is not a Location")
    lat, lon = plain_number(location.lat), plain_number(location.lon)
    if lat is None or lon is None:
        raise InvalidInput("location", "is no point: it has neither latitude nor longitude")
    if type(lat) not in (int, float) or type(lon) not in (int, float):
        raise InvalidInput("location", f"{location} has coordinates that are not numbers of degrees")
    if not -90 <= lat <= 90 or not -180 <= lon <= 360:
        raise InvalidInput("location", f"{location} lies outside latitudes -90 to 90 or longitudes -180 to 360")
    return float(lat)


def _other_end(location: Location, when: TimeLike) -> Location:
    moment = start_of(when, "when").replace(tzinfo=None)
    convert = _aacgmv2().convert_latlon
    with _LOCK:
        try:
            lat, lon, radius = convert(location.lat, location.lon, 0.0, moment, method_code="G2A")
            # What comes back is a radius in Earth radii (about 1), which AuroraX takes for a height in km, as we must
            # to get its values. From a place on the ground that moves the point by less than 0.01 degrees.
            lat, lon, _ = convert(-lat, lon, radius, moment, method_code="A2G")
        except RuntimeError as error:
            raise InvalidInput("when", f"AACGM's coefficients do not cover {moment:%Y-%m-%d}") from error
    return Location(float(lat), float(lon)) if math.isfinite(lat) and math.isfinite(lon) else Location(None, None)


def _aacgmv2() -> ModuleType:
    try:
        import aacgmv2
    except ModuleNotFoundError as error:
        raise MissingExtra("btrace", "aacgmv2") from error
    module: ModuleType = aacgmv2
    return module
