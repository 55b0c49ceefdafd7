"""`Location`: a point, or none."""

from __future__ import annotations

import attrs

from aurora_async.aurorax import models
from aurora_async.compat.pyaurorax._printing import Printed

__all__ = ["Location"]
__dir__ = __all__.copy

_BOTH_OR_NONE = "Latitude and longitude must both be numbers, or both be None"


def _check_number(instance: object, attribute: attrs.Attribute[float | None], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"{attribute.name} {value!r} is not a number of degrees")


def _check_pair(place: Location, attribute: attrs.Attribute[float | None], value: float | None) -> float | None:
    other = place.lon if attribute.name == "lat" else place.lat
    if (value is None) != (other is None):
        raise ValueError(_BOTH_OR_NONE)
    return value


@attrs.define(slots=False, eq=False, on_setattr=[attrs.setters.validate, _check_pair])
class Location(Printed):
    """Latitude and longitude in degrees; both None where there is no point, such as the end of an open field line."""

    lat: float | None = attrs.field(default=None, validator=_check_number)
    lon: float | None = attrs.field(default=None, validator=_check_number)

    def __attrs_post_init__(self) -> None:
        if (self.lat is None) != (self.lon is None):
            raise ValueError(_BOTH_OR_NONE)

    @classmethod
    def _of(cls, place: models.Location) -> Location:
        """Return a place of ours; one that has only one of the two numbers is none."""
        return cls(place.lat, place.lon) if place.exists else cls()

    def _as_ours(self) -> models.Location:
        return models.Location(self.lat, self.lon)

    def to_json_serializable(self) -> dict[str, float | None]:
        """Return the point as the service writes it."""
        return {"lat": self.lat, "lon": self.lon}
